# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""How each filesystem is replayed, checked and shown; what the kernel lacks is read by grub-mount or ntfs-3g, or refused with who can read it."""

from __future__ import annotations

import os
import re

from ansible_collections.intact.hosting.plugins.module_utils._command import run, which
from ansible_collections.intact.hosting.plugins.module_utils._disks import _btrfs_own, _mounts
from ansible_collections.intact.hosting.plugins.module_utils._files import read_if_exists
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError

LONG = 12 * 3600
EXT = ("ext2", "ext3", "ext4")
# Options for the overlay, and for the read-only device itself (facts: ext rejects nouuid, XFS noload, new kernels btrfs' bare nologreplay).
OPTIONS = {"xfs": ("nouuid",)}
RAW = {"ext3": ("noload",), "ext4": ("noload",), "xfs": ("nouuid", "norecovery"), "btrfs": ("rescue=nologreplay",)}
READERS = {"reiserfs": "grub-mount", "jfs": "grub-mount", "xfs": "grub-mount", "ntfs": "ntfs-3g"}
WHO = {
    "reiserfs": "a system with a kernel before 6.13 and the module reiserfs, such as Debian 10",
    "jfs": "a system whose kernel has the module jfs, such as SystemRescue or Debian",
    "ntfs": "a system with ntfs-3g",
    "xfs": "a kernel built with XFS_SUPPORT_V4, such as Debian 12's",
}
NOT_FILES = ("swap", "crypto_LUKS", "LVM2_member", "linux_raid_member")


def _examine(argv):
    """A checker's Result. It is killed when we are: it would hold its device, and write to an overlay that goes, for hours."""
    before = ["setpriv", "--pdeathsig", "KILL", "--"] if which("setpriv") else []
    return run(before + argv, timeout=LONG, check=False)


def known(fstype):
    """Whether the kernel can mount a type."""
    for _again in range(2):
        held = (read_if_exists("/proc/filesystems") or b"").decode().split()
        if fstype in held:
            return True
        if which("modprobe"):
            run(["modprobe", "-q", fstype], check=False)
    return False


def lives(uuid):
    """Whether a btrfs with this fsid is mounted."""
    return bool(uuid) and os.path.isdir("/sys/fs/btrfs/" + uuid)


def live_btrfs(uuid):
    """Why a btrfs can't be shown as it is beside a living one of the same fsid, "" when it can: before Linux 6.7 the kernel takes both for one."""
    if not lives(uuid):
        return ""
    release = re.match(r"(\d+)\.(\d+)", os.uname().release)
    if release and (int(release.group(1)), int(release.group(2))) >= (6, 7):
        return ""
    return "a btrfs of the same fsid %s is mounted, and Linux %s would take both for one: use mode replay, where the overlay gets an fsid of its own" % (
        uuid,
        os.uname().release,
    )


def refusal(signature, raw=False):
    """Why a filesystem can't be shown on this host, "" when it can. raw: without an overlay."""
    kind = signature.get("type", "")
    if kind == "btrfs":
        if int(signature.get("devices") or 1) > 1:
            return "it is one of %s devices of a btrfs: attach it in a machine that has images of all of them" % signature["devices"]
        if known(kind):
            return live_btrfs(signature.get("uuid")) if raw else ""
    if known(kind) or (READERS.get(kind) and which(READERS[kind])):
        return ""
    reader = READERS.get(kind)
    more = "install %s here, or " % reader if reader else ""
    return "this kernel (%s) has no %s: %sattach it on %s" % (os.uname().release, kind, more, WHO.get(kind, "a system whose kernel has it"))


def replay(volume, source, target, check):
    """Replay the journal and check the filesystem on source, a writable device of the overlay. target: an empty directory for a moment's mount.

    Returns findings; an IntactError where nothing readable came of it.
    """
    kind = volume.type
    if kind in EXT:
        return _ext(volume, source, check)
    if kind in ("xfs", "btrfs") and known(kind):
        own = _own_fsid(volume, source) if kind == "btrfs" and lives(volume.signature.get("uuid")) else []
        try:
            _mounts.mount(source, target, kind, OPTIONS.get(kind, ()))
        except IntactError as exc:
            if kind == "xfs" and which("grub-mount") and old_xfs(volume):
                return []
            raise IntactError(
                "the journal of %s (%s) can't be replayed: %s. Mode raw shows its stale state" % (volume.name, kind, exc), volume=volume.name
            ) from exc
        _mounts.unmount(target)
        return own + (_examined(volume, source) if check else [])
    return []


def _own_fsid(volume, source):
    try:
        fsid = _btrfs_own.rename(source)
    except IntactError as exc:
        raise IntactError(
            "%s (btrfs) is a copy of a mounted one, and its overlay can't get an fsid of its own: %s. Unmount the other, or attach it elsewhere"
            % (volume.name, exc),
            volume=volume.name,
        ) from exc
    title = "is shown under another fsid, because a copy of it is mounted"
    return [_finding("fsid", "info", volume, title, "on the disk %s, on the overlay %s" % (volume.signature.get("uuid"), fsid), "")]


def _ext(volume, source, check):
    if not which("e2fsck"):
        return [_finding("unchecked", "info", volume, "was not checked", "e2fsck is not installed", "Install e2fsprogs to have it checked")]
    # The overlay is ours: what a check changes there, the disk never sees.
    result = _examine(["e2fsck", "-p"] + (["-f"] if check else []) + [source])
    if result.rc & ~3 == 0:
        return [] if not result.rc & 1 or _only_journal(result.text) else [_repaired(volume, result.text)]
    if result.rc & ~(3 | 4):
        raise IntactError("e2fsck can't work on %s (%s): %s" % (volume.name, volume.type, _words(result)), volume=volume.name)
    again = _examine(["e2fsck", "-f", "-y", source])
    if again.rc & ~3:
        raise IntactError("%s (%s) is damaged beyond e2fsck: %s. Mode raw shows what is left" % (volume.name, volume.type, _words(again)), volume=volume.name)
    return [_repaired(volume, again.text)]


def _only_journal(text):
    lines = [line for line in text.splitlines() if line.strip() and not re.search(r"recovering journal|clean,|files \(|Pass \d|orphan", line)]
    return not lines


def _repaired(volume, text):
    lines = [line for line in text.splitlines() if line.strip()]
    shown = "; ".join(lines[:6]) + ("; and %d more lines" % (len(lines) - 6) if len(lines) > 6 else "")
    return _finding(
        "repaired", "warning", volume, "was damaged beyond its journal; it is shown as repaired on the overlay", shown, "Compare with mode raw where it matters"
    )


def _examined(volume, source):
    """What the filesystem's own read-only check says after the replay."""
    argv = {"xfs": ["xfs_repair", "-n", source], "btrfs": ["btrfs", "check", "--readonly", source]}[volume.type]
    if not which(argv[0]):
        return [_finding("unchecked", "info", volume, "was not checked", "%s is not installed" % argv[0], "Install it to have it checked")]
    result = _examine(argv)
    if result.rc == 0:
        return []
    return [_finding("damaged", "warning", volume, "is damaged", _words(result), "Expect damaged or missing files; the copy will name them")]


def _words(result):
    said = (result.text.strip() + "\n" + result.error).strip().splitlines()
    return "; ".join(said[-4:])[-600:] or "status %d" % result.rc


def old_xfs(volume):
    """Whether it is an XFS without checksums, which kernels drop."""
    return "4" in str(volume.signature.get("version", "")) and "crc" not in (volume.signature.get("features") or ())


def show(volume, source, target, raw, more=()):
    """Mount source at target for reading: (type that the kernel shows, findings)."""
    kind = volume.type
    options = (RAW if raw else OPTIONS).get(kind, ()) + tuple(more)
    if known(kind):
        try:
            _mounts.mount(source, target, kind, options)
            return kind, []
        except IntactError as exc:
            if not (kind == "xfs" and old_xfs(volume)):
                raise IntactError("%s (%s) can't be mounted: %s" % (volume.name, kind, exc), volume=volume.name) from exc
    return "fuse", _read_by(volume, source, target)


def _read_by(volume, source, target):
    reader = READERS.get(volume.type)
    if not reader or not which(reader):
        raise IntactError(
            "%s is %s, which this kernel (%s) can't mount: %sattach it on %s"
            % (
                volume.name,
                volume.type,
                os.uname().release,
                "install %s here, or " % reader if reader else "",
                WHO.get(volume.type, "a system whose kernel has it"),
            ),
            volume=volume.name,
        )
    if reader == "ntfs-3g":
        run([reader, "-o", "ro,nodev,nosuid,noexec", source, target], timeout=600)
    else:
        run([reader, source, target], timeout=600)
    run(["mount", "-o", "remount,bind," + ",".join(_mounts.SAFE), target])
    _mounts.prove(target)
    title = "is shown by %s without replaying its journal: knowingly stale" % reader
    return [_finding("stale", "warning", volume, title, "the kernel can't mount %s" % volume.type, "Attach it on %s for the replayed state" % WHO[volume.type])]


def stale(volume):
    """The finding of mode raw."""
    journal = volume.signature.get("journal", "unknown")
    if volume.type not in RAW or journal in ("clean", "none"):
        return _finding("raw", "info", volume, "is shown as it lies on the disk", "mode raw, journal %s" % journal, "")
    title = "is knowingly stale: its journal was not replayed, files that were already on the disk are missing"
    return _finding("stale", "warning", volume, title, "mode raw, journal %s" % journal, "Use mode replay for data; raw is for evidence")


def forget(source):
    """Make the kernel's btrfs forget a device that goes: an entry left behind would meet the next one of the same fsid."""
    if b"btrfs" in (read_if_exists("/proc/filesystems") or b"").split() and which("btrfs"):
        run(["btrfs", "device", "scan", "--forget", source], check=False, timeout=60)


def _finding(what, severity, volume, title, evidence, remedy):
    words = "%s (%s) %s" % (volume.name, volume.type, title)
    return Finding("legacy.volume.%s" % what, severity, volume.name, words, evidence=evidence, remedy=remedy)
