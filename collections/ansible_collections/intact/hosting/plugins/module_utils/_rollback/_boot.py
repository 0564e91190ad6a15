# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""/boot on a file system of its own: kept before the flight, given the entry that goes back, and put back exactly by the old system."""

from __future__ import annotations

import os
import shutil
import stat

from ansible_collections.intact.hosting.plugins.module_utils._files import escape, fsync_directory, read_document, write_atomic, write_document
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._rollback import _entry, _grub

CFG = "grub/grub.cfg"
KEPT = "boot"
MANIFEST = "boot.json"
# A separate file system below /boot: firmware reads it, and GRUB there needs no modules of its version.
APART = ("efi",)
ROOM = 16 << 20


def keep(place, directory):
    """Copy /boot below a directory (0700), with a manifest; an earlier copy is replaced. Returns the bytes kept."""
    boot, target = place.path("/boot"), os.path.join(directory, KEPT)
    half = target + ".half"
    for path in (half, target):
        shutil.rmtree(path, ignore_errors=True)
    os.makedirs(half, mode=0o700)
    manifest = look(boot)
    for name, entry in manifest.items():
        source, copy = os.path.join(boot, name), os.path.join(half, name)
        os.makedirs(os.path.dirname(copy), mode=0o700, exist_ok=True)
        if entry["kind"] == "file":
            shutil.copyfile(source, copy)
            if _grub.sha256(copy) != entry["sha256"]:
                raise IntactError("/boot/%s changed while it was copied: start again" % escape(name))
            with open(copy, "rb") as handle:
                os.fsync(handle.fileno())
    write_document(os.path.join(directory, MANIFEST), {os.fsdecode(name): entry for name, entry in manifest.items()})
    os.rename(half, target)
    fsync_directory(directory)
    return sum(entry.get("size", 0) for entry in manifest.values())


def forget(directory):
    """Remove the copy of /boot."""
    shutil.rmtree(os.path.join(directory, KEPT), ignore_errors=True)


def look(boot):
    """{relative path: {kind: file, link or directory, mode, uid, gid, and sha256 size mtime_ns or target}} of what is on /boot itself."""
    out, device = {}, os.lstat(boot).st_dev
    for folder, folders, names in os.walk(boot):
        for name in sorted(folders + names):
            path = os.path.join(folder, name)
            status = os.lstat(path)
            relative = os.path.relpath(path, boot)
            entry = {"mode": stat.S_IMODE(status.st_mode), "uid": status.st_uid, "gid": status.st_gid}
            if stat.S_ISDIR(status.st_mode):
                if status.st_dev != device or relative in ("lost+found", *APART):
                    folders.remove(name)
                    continue
                out[relative] = dict(entry, kind="directory")
            elif stat.S_ISLNK(status.st_mode):
                out[relative] = dict(entry, kind="link", target=os.readlink(path))
            elif stat.S_ISREG(status.st_mode):
                out[relative] = dict(entry, kind="file", sha256=_grub.sha256(path), size=status.st_size, mtime_ns=status.st_mtime_ns)
    return out


def flush(place):
    """Make the file system's own blocks say what its journal says: GRUB replays none."""
    boot = place.path("/boot")
    place.run(["sync", "-f", boot])
    if os.path.ismount(boot):
        place.run(["fsfreeze", "--freeze", boot], check=False)
        place.run(["fsfreeze", "--unfreeze", boot], check=False)


def provide(place, directory, facts):
    """Lay the old kernel, its initrd and the second one beside what is in /boot: nothing that boots now is touched."""
    boot, kept = place.path("/boot"), os.path.join(directory, KEPT)
    manifest = read_document(os.path.join(directory, MANIFEST))
    folder = os.path.join(boot, facts["name"])
    wanted = {"vmlinuz": "vmlinuz-" + facts["kernel"], "initrd.img": "initrd.img-" + facts["kernel"]}
    for name in wanted.values():
        if _grub.sha256(os.path.join(kept, name)) != manifest[name]["sha256"]:
            raise IntactError("the copy of /boot/%s in %s is not what was kept: the host can't go back by it" % (name, kept))
    os.makedirs(folder, mode=0o700, exist_ok=True)
    missing = [name for short, name in wanted.items() if not _is(os.path.join(folder, short), manifest[name])]
    copied = [name for name in missing if not _is(os.path.join(boot, name), manifest[name])]
    status = os.statvfs(boot)
    need = sum(manifest[name]["size"] for name in copied) + ROOM
    if status.f_bavail * status.f_frsize < need:
        raise IntactError("/boot has no room for the old kernel beside the new one: free %d MiB there" % (need >> 20))
    for short, name in wanted.items():
        target = os.path.join(folder, short)
        if name not in missing:
            continue
        half = target + ".half"
        if os.path.lexists(half):
            os.unlink(half)
        if name in copied:
            shutil.copyfile(os.path.join(kept, name), half)
            with open(half, "rb") as handle:
                os.fsync(handle.fileno())
        else:
            os.link(os.path.join(boot, name), half)
        os.rename(half, target)
    write_atomic(os.path.join(folder, "back.img"), _entry.initrd(facts["vg"], [v["snapshot"] for v in facts["volumes"]]))
    flush(place)


def _is(path, entry):
    return os.path.isfile(path) and not os.path.islink(path) and _grub.sha256(path) == entry["sha256"]


def switch(place, directory, facts):
    """The one step: grub.cfg names the entry that goes back. The new one is kept beside it."""
    boot = place.path("/boot")
    live = os.path.join(boot, CFG)
    with open(os.path.join(directory, KEPT, CFG), encoding="utf-8", errors="surrogateescape") as handle:
        old = handle.read()
    text = _entry.configuration(old, facts["kernel"], facts["name"], "back to the system before flight %s" % facts["flight"])
    data = text.encode("utf-8", "surrogateescape")
    upgraded = os.path.join(boot, facts["name"], "grub.cfg.upgraded")
    with open(live, "rb") as handle:
        now = handle.read()
    if now == data:
        flush(place)
        return
    write_atomic(upgraded, now)
    flush(place)
    write_atomic(live, data, 0o600)
    flush(place)


def switched(place):
    """Whether grub.cfg is the one that goes back."""
    try:
        with open(os.path.join(place.path("/boot"), CFG), encoding="utf-8", errors="replace") as handle:
            return handle.readline().startswith("# Written by Intact: ")
    except OSError:
        return False


def put_back(place, directory, facts, sectors):
    """In the old system, after the merge: /boot as it was kept. grub.cfg last, our own directory after it. Returns sentences."""
    boot, kept = place.path("/boot"), os.path.join(directory, KEPT)
    manifest = read_document(os.path.join(directory, MANIFEST))
    wrong = [n for n, e in manifest.items() if e["kind"] == "file" and _grub.sha256(os.path.join(kept, n)) != e["sha256"]]
    if wrong:
        raise IntactError("copies of /boot in %s are not what was kept (%s): /boot stays as it is" % (kept, ", ".join(sorted(wrong)[:3])))
    before = look(boot)
    own = facts["name"]
    platforms = tuple("grub/%s" % platform for platform in _grub.PLATFORMS)
    gone = 0
    for name in sorted(manifest):
        if name != CFG and not name.startswith(platforms):
            _restore(boot, kept, name, manifest[name], before.get(name))
    now = look(boot)
    for name in sorted(now, key=len, reverse=True):
        if name not in manifest and not (name + "/").startswith(own + "/") and not name.startswith(platforms):
            path = os.path.join(boot, name)
            os.rmdir(path) if now[name]["kind"] == "directory" else os.unlink(path)
            gone += 1
    flush(place)
    done = _grub.settle(place, sectors)
    if not done:
        # The core was never replaced: its modules may be put back file by file.
        for name in sorted(n for n in manifest if n.startswith(platforms)):
            _restore(boot, kept, name, manifest[name], before.get(name))
    _restore(boot, kept, CFG, manifest[CFG], None)
    flush(place)
    shutil.rmtree(os.path.join(boot, own), ignore_errors=True)
    flush(place)
    left = sorted(
        n for n, e in look(boot).items() if {k: v for k, v in e.items() if k != "mtime_ns"} != {k: v for k, v in manifest.get(n, {}).items() if k != "mtime_ns"}
    )
    left += sorted(set(manifest) - set(look(boot)))
    said = "/boot is as it was kept" if not left else "/boot differs from what was kept in %s" % ", ".join(escape(n) for n in left[:5])
    return ["%s (%d new files taken away)" % (said, gone)] + done


def _restore(boot, kept, name, entry, now):
    """Make one path of /boot what the manifest says."""
    path = os.path.join(boot, name)
    if now == entry:
        return
    if entry["kind"] == "directory":
        os.makedirs(path, exist_ok=True)
    else:
        half = os.path.join(os.path.dirname(path), ".intact-back")
        if os.path.lexists(half):
            os.unlink(half)
        if entry["kind"] == "link":
            os.symlink(entry["target"], half)
        else:
            shutil.copyfile(os.path.join(kept, name), half)
        os.chown(half, entry["uid"], entry["gid"], follow_symlinks=False)
        if entry["kind"] == "file":
            os.chmod(half, entry["mode"])
            os.utime(half, ns=(entry["mtime_ns"], entry["mtime_ns"]))
            with open(half, "rb") as handle:
                os.fsync(handle.fileno())
        os.rename(half, path)
        fsync_directory(os.path.dirname(path))
        return
    os.chmod(path, entry["mode"])
    os.chown(path, entry["uid"], entry["gid"])
