# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What restic does not bring back: holes, immutable and append-only flags, and owners who have other numbers on this host.

Shared by drill and restore. Works through held descriptors below a root, as customers may write to the trees.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import stat
import struct

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _descriptors
from ansible_collections.intact.hosting.plugins.module_utils._files import unescape
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

SETFLAGS = 0x40086602 if struct.calcsize("l") == 8 else 0x40046602  # FS_IOC_SETFLAGS
PUNCH = 0x01 | 0x02  # FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE
CHUNK, PAGE = 1 << 16, 4096
ACLS = ("system.posix_acl_access", "system.posix_acl_default")
CAPABILITY = "security.capability"
BITS = {word: bit for bit, word in _descriptors.FLAGS}


def opened(root, path):
    """Descriptor of a file or directory that an escaped path names below root; no component is followed along a link."""
    raw = unescape(path)
    parent = _descriptors.open_directory(os.path.dirname(raw), root)
    try:
        name = os.path.basename(raw) or b"."
        return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=parent)
    finally:
        os.close(parent)


def mend(root, items, holes=True, marks=True):
    """Dig holes and set flags as the manifest's items say. Returns {path: why it could not be done}; entries that are not there are left to the comparison."""
    failed = {}
    for path, item in sorted(items.items()):
        if holes and item.get("type") == "file" and item.get("sparse") and item.get("hardlink", path) == path:
            _each(root, path, _dig, failed)
    for path, item in sorted(items.items()):
        if marks and item.get("flags"):
            _each(root, path, lambda fd, words=item["flags"]: set_flags(fd, words.split(",")), failed)
    return failed


def _each(root, path, work, failed):
    try:
        fd = opened(root, path)
    except OSError as exc:
        if exc.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            failed[path] = exc.strerror
        return
    try:
        work(fd)
    except OSError as exc:
        failed[path] = exc.strerror
    finally:
        os.close(fd)


def flags(fd):
    """The inode's flags as a number; 0 where the filesystem has none."""
    try:
        return struct.unpack("=I", fcntl.ioctl(fd, _descriptors.GETFLAGS, b"\0" * 8)[:4])[0]
    except OSError:
        return 0


def set_flags(fd, words):
    """Set exactly these of immutable and append."""
    now = flags(fd)
    wanted = now & ~sum(BITS.values()) | sum(BITS[word] for word in words)
    if wanted != now:
        fcntl.ioctl(fd, SETFLAGS, struct.pack("=Q", wanted) if struct.calcsize("l") == 8 else struct.pack("=I", wanted))


def free(top):
    """Take immutable and append-only off everything at or below a directory (path of our own), so that it can be changed or removed."""
    for _folder, folders, names, at in os.fwalk(os.fsencode(top)):
        set_flags(at, [])
        for name in names + folders:
            state = os.stat(name, dir_fd=at, follow_symlinks=False)
            if stat.S_ISREG(state.st_mode) or stat.S_ISDIR(state.st_mode):
                fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=at)
                try:
                    set_flags(fd, [])
                finally:
                    os.close(fd)


def _dig(fd):
    """Give blocks of zeros back to the filesystem; content, size and times stay."""
    state = os.fstat(fd)
    libc = ctypes.CDLL(None, use_errno=True)
    writable = os.open("/proc/self/fd/%d" % fd, os.O_RDWR | os.O_CLOEXEC)
    try:
        position = 0
        while position < state.st_size:
            try:
                position = os.lseek(fd, position, os.SEEK_DATA)
            except OSError as exc:
                if exc.errno == errno.ENXIO:
                    break  # only a hole is left
                raise
            position -= position % PAGE
            data = os.pread(fd, CHUNK, position)
            if not data:
                break
            for start, length in _zeros(data):
                if libc.fallocate(writable, PUNCH, ctypes.c_long(position + start), ctypes.c_long(length)):
                    raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
            position += len(data)
        os.utime(writable, ns=(state.st_atime_ns, state.st_mtime_ns))
    finally:
        os.close(writable)


def _zeros(data):
    """(start, length) of whole pages of zeros."""
    if data.count(0) == len(data):
        return [(0, len(data))]
    return [(at, PAGE) for at in range(0, len(data) - PAGE + 1, PAGE) if data.count(0, at, at + PAGE) == PAGE]


class Ids:
    """Numbers on the host of the manifest -> numbers here: users {old: new}, groups {old: new}. Who is not named keeps the number."""

    def __init__(self, users=None, groups=None):
        self.users = {int(k): int(v) for k, v in (users or {}).items() if int(k) != int(v)}
        self.groups = {int(k): int(v) for k, v in (groups or {}).items() if int(k) != int(v)}

    def __bool__(self):
        return bool(self.users or self.groups)

    def acl(self, raw):
        """A posix_acl value with its named users and groups renumbered, in the order that the kernel wants."""
        if len(raw) < 4 or struct.unpack_from("<I", raw)[0] != 2:
            return raw
        entries = [struct.unpack_from("<HHI", raw, at) for at in range(4, len(raw) - 7, 8)]
        maps = {0x02: self.users, 0x08: self.groups}
        entries = [(tag, bits, maps.get(tag, {}).get(number, number)) for tag, bits, number in entries]
        entries.sort(key=lambda entry: (entry[0], entry[2] if entry[0] in maps else 0))
        return raw[:4] + b"".join(struct.pack("<HHI", *entry) for entry in entries)

    def acl_text(self, text):
        """The same for the text of the manifest."""
        maps = {"user": self.users, "group": self.groups}
        order = {"user": 0, "group": 2, "mask": 4, "other": 5}
        entries = []
        for entry in text.split(","):
            tag, number, bits = (entry.split(":") + ["", ""])[:3]
            if not number.isdigit():
                entries.append(((order.get(tag, 6), 0), entry))
                continue
            number = maps.get(tag, {}).get(int(number), int(number))
            entries.append(((order.get(tag, 6) + 1, number), "%s:%d:%s" % (tag, number, bits)))
        return ",".join(entry for _place, entry in sorted(entries))

    def data(self, data):
        """The manifest's section files as it has to look on this host."""
        if not self:
            return data
        items = {}
        for path, item in data.get("items", {}).items():
            item = dict(item)
            for key, table in (("uid", self.users), ("gid", self.groups)):
                if key in item:
                    item[key] = table.get(item[key], item[key])
            for key in ("acl", "default_acl"):
                if key in item:
                    item[key] = self.acl_text(item[key])
            items[path] = item
        owners = {str(self.users.get(int(k), int(k))): name for k, name in data.get("owners", {}).items()}
        groups = {str(self.groups.get(int(k), int(k))): name for k, name in data.get("groups", {}).items()}
        return dict(data, items=items, owners=owners, groups=groups)


def renumber(top, ids):
    """Give everything at or below a freshly restored directory (path of our own) its owner's number on this host: owner, group and access lists.

    Once for each inode: a chain (1001 becomes 1002, 1002 becomes 1003) must not be followed to its end. Returns the number of inodes changed.
    """
    if not ids:
        return 0
    seen, count = set(), 0
    for _folder, folders, names, at in os.fwalk(os.fsencode(top)):
        for name in [b"."] + names + folders:
            state = os.stat(name, dir_fd=at, follow_symlinks=False)
            if (state.st_dev, state.st_ino) in seen:
                continue
            seen.add((state.st_dev, state.st_ino))
            count += _renumber(at, name, state, ids)
    return count


def _renumber(at, name, state, ids):
    held = b"/proc/self/fd/%d/%s" % (at, name)
    link = stat.S_ISLNK(state.st_mode)
    acls = {} if link else {key: _attribute(held, key) for key in ACLS}
    uid, gid = ids.users.get(state.st_uid, state.st_uid), ids.groups.get(state.st_gid, state.st_gid)
    moved = (uid, gid) != (state.st_uid, state.st_gid)
    rights = None if link or not moved else _attribute(held, CAPABILITY)
    if moved:
        os.chown(name, uid, gid, dir_fd=at, follow_symlinks=False)
        if not link:
            # chown took set-id bits and the capability
            os.chmod(held, stat.S_IMODE(state.st_mode))
            if rights:
                os.setxattr(held, CAPABILITY, rights, follow_symlinks=False)
    for key, value in acls.items():
        if value and ids.acl(value) != value:
            os.setxattr(held, key, ids.acl(value), follow_symlinks=False)
            moved = True
    return int(moved)


def _attribute(path, name):
    try:
        return os.getxattr(path, name, follow_symlinks=False)
    except OSError:
        return None


def holds_all(directory):
    """Raise IntactError when a directory's filesystem (or we) cannot keep what a manifest knows: owners, access lists, attributes, capabilities, flags."""
    probe = os.path.join(os.fsencode(directory), b".intact-probe")
    fd = os.open(probe, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    lacking = []
    acl = struct.pack("<I", 2) + b"".join(
        struct.pack("<HHI", *e) for e in ((1, 6, 2**32 - 1), (2, 4, 1), (4, 0, 2**32 - 1), (16, 4, 2**32 - 1), (32, 0, 2**32 - 1))
    )
    trials = (
        ("owners", lambda: os.fchown(fd, 1, 1)),
        ("extended attributes", lambda: os.setxattr(fd, "user.intact", b"1")),
        ("access lists", lambda: os.setxattr(fd, ACLS[0], acl)),
        ("capabilities", lambda: os.setxattr(fd, CAPABILITY, struct.pack("<IIIII", 0x02000001, 0x400, 0, 0, 0))),
        ("flags", lambda: (set_flags(fd, ["immutable"]), set_flags(fd, []))),
    )
    try:
        for what, trial in trials:
            try:
                trial()
            except OSError as exc:
                lacking.append("%s (%s)" % (what, exc.strerror))
    finally:
        os.close(fd)
        os.unlink(probe)
    if lacking:
        raise IntactError("%s can't keep %s: take a directory on ext4, XFS or btrfs, as root" % (os.fsdecode(directory), ", ".join(lacking)), lacking=lacking)
