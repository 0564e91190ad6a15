# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What drivers do on a host whose panel keeps its settings in files: programs run, files taken and put back, room, load, and who is at work."""

from __future__ import annotations

import grp
import os
import pwd
import re
import stat
import tarfile

from ansible_collections.intact.hosting.plugins.module_utils._files import escape, write_atomic
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import _export, _inventory
from ansible_collections.intact.hosting.plugins.module_utils._panels._homes import place

# A file of settings is smaller; what is larger is a log or somebody's data.
LARGEST = 64 << 20
BLOCK = 1 << 20
HELD = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
DAY = 86400


def call(system, argv, env=None, stdin=b"", timeout=7 * DAY):
    """Run a panel's program to its end, whatever its exit status is."""
    return system.run(argv, timeout=timeout, stdin=stdin, env=env, check=False)


def words(result, secrets=()):
    """Lines that a program printed, on both streams, without empty ones, without what looks like a password and without the secrets that are known."""
    text = result.text + "\n" + result.err.decode("utf-8", "backslashreplace")
    for value in sorted(secrets, key=len, reverse=True):
        text = text.replace(value, "***") if len(value) > 3 else text
    return _export.redacted(line.rstrip() for line in text.split("\n") if line.strip())


def take(view, path, target, name, newer=0.0, below=""):
    """Copy a file that the panel made into the export; a sentence why not, "" when it was taken.

    newer: seconds since 1970; an older file was not made by this run. below: the directory above which customers can't write: nothing
    between it and the file may be a link, and the file has no second name.
    """
    fd, why = held(view, path, below)
    if why:
        return why
    with os.fdopen(fd, "rb") as source:
        if os.fstat(fd).st_mtime < newer - 2:
            return "%s is older than this export: it is what an earlier run left" % path
        out = os.open(os.path.join(target, name), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(out, "wb") as handle:
            for block in iter(lambda: source.read(BLOCK), b""):
                handle.write(block)
    return ""


def held(view, path, below=""):
    """(descriptor, "") of a plain file, or (None, why not). below: see take()."""
    try:
        # its last component is opened without following a link, where customers can write
        fd = os.open(place(view, path, not below), HELD)
    except OSError as exc:
        return None, "%s can't be read: %s" % (path, exc.strerror)
    found = os.fstat(fd)
    expected = os.path.join(os.path.realpath(place(view, below)), os.path.relpath(path, below)) if below else ""
    if not stat.S_ISREG(found.st_mode):
        why = "%s is no plain file" % path
    elif below and (os.path.realpath("/proc/self/fd/%d" % fd) != expected or found.st_nlink != 1):
        why = "%s is reached over a link that a customer may have made" % path
    else:
        return fd, ""
    os.close(fd)
    return None, why


def pack(view, target, name, paths, without=()):
    """Write a tar.gz of files and directories of the host, by their names without the first /; sentences about what was left out.

    without: beginnings of paths that are not taken. Links are kept as links, and never followed.
    """
    out = os.open(os.path.join(target, name), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    left = []
    with os.fdopen(out, "wb") as handle, tarfile.open(fileobj=handle, mode="w:gz", format=tarfile.PAX_FORMAT, compresslevel=6) as archive:
        for path in paths:
            if view.exists(path):
                _pack(view, archive, path, without, left)
    return left


def _pack(view, archive, path, without, left):
    if any(path == start or path.startswith(start.rstrip("/") + "/") for start in without):
        return
    found = view.lstat(path)
    if found is None:
        return
    info = tarfile.TarInfo(path.lstrip("/"))
    info.mode, info.mtime, info.uid, info.gid = stat.S_IMODE(found.st_mode), int(found.st_mtime), found.st_uid, found.st_gid
    info.uname, info.gname = view.account(found.st_uid) or "", view.group(found.st_gid) or ""
    if stat.S_ISLNK(found.st_mode):
        info.type, info.linkname = tarfile.SYMTYPE, view.readlink(path) or ""
        archive.addfile(info)
    elif stat.S_ISDIR(found.st_mode):
        info.type = tarfile.DIRTYPE
        archive.addfile(info)
        for name in view.listdir(path):
            _pack(view, archive, path + "/" + name, without, left)
    elif stat.S_ISREG(found.st_mode):
        _pack_file(view, archive, path, info, left)


def _pack_file(view, archive, path, info, left):
    try:
        data = _bytes(place(view, path, False))
    except OSError as exc:
        left.append("%s was left out: %s" % (escape(path), exc.strerror))
        return
    if len(data) > LARGEST:
        left.append("%s was left out: it is larger than %d MiB" % (escape(path), LARGEST >> 20))
        return
    info.size = len(data)
    archive.addfile(info, _Once(data))


def _bytes(real):
    with os.fdopen(os.open(real, HELD), "rb") as handle:
        return handle.read(LARGEST + 1)


class _Once:
    """What tarfile wants to read from: the file was read whole, so that one that grows or shrinks can't break the archive."""

    def __init__(self, data):
        self._data = memoryview(data)

    def read(self, size):
        out, self._data = self._data[:size], self._data[size:]
        return bytes(out)


def unpack(view, source, wanted):
    """Put files and links of a tar.gz that pack() wrote back to their places; wanted(path) says which. Returns how many.

    Owners are told by name where the host knows it. Only for directories that belong to root or to the panel: customers' own are not written through this.
    """
    count = 0
    try:
        with tarfile.open(source, mode="r:gz") as archive:
            for member in archive:
                path = "/" + member.name
                if ".." in member.name.split("/") or not wanted(path):
                    continue
                count += _put(view, archive, member, place(view, path, False))
    except (tarfile.TarError, OSError, EOFError) as exc:
        raise IntactError("not all settings could be put back: %s" % exc, path=source) from exc
    return count


def _put(view, archive, member, real):
    owner, group = _owner(member)
    if member.isdir():
        os.makedirs(real, exist_ok=True)
    elif member.isfile():
        os.makedirs(os.path.dirname(real), exist_ok=True)
        write_atomic(real, archive.extractfile(member).read(), member.mode & 0o7777)
    elif member.issym():
        os.makedirs(os.path.dirname(real), exist_ok=True)
        if os.path.islink(real):
            os.unlink(real)
        if not os.path.lexists(real):
            os.symlink(member.linkname, real)
    else:
        return 0
    os.chown(real, owner, group, follow_symlinks=False)
    if member.isdir():
        os.chmod(real, member.mode & 0o7777)
    return 0 if member.isdir() else 1


def _owner(member):
    """Numbers of a member's owner and group: by name, as numbers may mean somebody else on another host."""
    try:
        owner = pwd.getpwnam(member.uname).pw_uid if member.uname else member.uid
    except KeyError:
        owner = member.uid
    try:
        group = grp.getgrnam(member.gname).gr_gid if member.gname else member.gid
    except KeyError:
        group = member.gid
    return owner, group


def free(view, path):
    """Bytes free for root, and how full in percent, where a path is or will be."""
    real = place(view, path)
    while not os.path.isdir(real):
        real = os.path.dirname(real)
    found = os.statvfs(real)
    used = found.f_blocks - found.f_bfree
    return found.f_bavail * found.f_frsize, 100 * used // max(used + found.f_bavail, 1)


def room(view, panel, path, wanted, name="", rule=""):
    """[panel.space] when fewer than `wanted` bytes are free at path. name: whose export needs them; rule: whose rule it is."""
    have, _percent = free(view, path)
    if have >= wanted:
        return []
    evidence = "%s has %d MiB free, %d MiB are needed%s" % (path, have >> 20, wanted >> 20, " (%s)" % rule if rule else "")
    remedy = "make room at %s, or move old exports and backups away" % path
    return [_inventory.finding("panel.space", panel, "customer" if name else "directory", name or path, "there is no room for the export", evidence, remedy)]


def load(view):
    """(load of the last minute, number of processors); (0.0, 1) where it is not told."""
    first = view.text("/proc/loadavg").split(" ")[0]
    processors = len(re.findall(r"^processor\b", view.text("/proc/cpuinfo"), re.M))
    return (float(first) if re.match(r"[\d.]+\Z", first) else 0.0), max(processors, 1)


def at_work(view, pattern):
    """[(process id, program)] of running processes with a program or script of this name (a regular expression for all of it) among their first three words."""
    out = []
    for number in [name for name in view.listdir("/proc") if name.isdigit()]:
        held = (view.read("/proc/%s/cmdline" % number, 4096) or b"").split(b"\0")[:3]
        names = [os.path.basename(os.fsdecode(word)) for word in held]
        found = next((name for name in names if re.match("(?:%s)\\Z" % pattern, name)), None)
        if found:
            out.append((int(number), found))
    return out
