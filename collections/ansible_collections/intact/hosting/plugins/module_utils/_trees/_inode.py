# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What an inode carries besides mode, owner and times: read from one descriptor, mapped to this host's ids, put on another."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import struct

from ansible_collections.intact.hosting.plugins.module_utils._trees import _kernel
from ansible_collections.intact.hosting.plugins.module_utils._trees._record import ACL, CAPABILITY, DEFAULT_ACL

ACLS = (ACL, DEFAULT_ACL)
NAMED = {0x02: 0, 0x08: 1}
# These describe how a kernel keeps a file, not the file: overlayfs's marks would make another tree of it elsewhere.
OURS_ALONE = ("trusted.overlay.", "user.overlay.", "security.selinux", "security.ima", "security.evm")
NONE = {}


class Owners:
    """Numbers there -> numbers here, asked once each. ids: an object with uid(n) and gid(n), or None (all stay)."""

    def __init__(self, ids=None):
        self.ids = ids
        self.users, self.groups = {}, {}

    def uid(self, number):
        """Where a user's number goes."""
        if self.ids is None:
            return number
        new = self.users.get(number)
        if new is None:
            new = self.users[number] = int(self.ids.uid(number))
        return new

    def gid(self, number):
        """Where a group's number goes."""
        if self.ids is None:
            return number
        new = self.groups.get(number)
        if new is None:
            new = self.groups[number] = int(self.ids.gid(number))
        return new

    def acl(self, raw):
        """A posix_acl value for this host. Two who become one keep what both had: nobody gets a right that he did not have."""
        if self.ids is None or len(raw) < 4 or (len(raw) - 4) % 8 or struct.unpack_from("<I", raw)[0] != 2:
            return raw
        entries = {}
        for at in range(4, len(raw), 8):
            tag, bits, number = struct.unpack_from("<HHI", raw, at)
            if tag in NAMED:
                number = self.gid(number) if NAMED[tag] else self.uid(number)
            key = (tag, number)
            entries[key] = entries[key] & bits if key in entries else bits
        ordered = sorted(entries, key=lambda key: (key[0], key[1] if key[0] in NAMED else 0))
        return raw[:4] + b"".join(struct.pack("<HHI", tag, entries[tag, number], number) for tag, number in ordered)

    def attributes(self, given):
        """{name: bytes} with the ACLs for this host."""
        if not given or self.ids is None or not (ACL in given or DEFAULT_ACL in given):
            return given
        return {name: self.acl(value) if name in ACLS else value for name, value in given.items()}


class Inodes:
    """Reads and sets attributes; knows which filesystems have no flags, and tells what a target could not keep."""

    def __init__(self, told):
        self.told = told
        self.flagless, self.seen = set(), {}

    def attributes(self, where, path):
        """{name: bytes} of a descriptor, or of /proc/self/fd/N/NAME for a link."""
        try:
            names = os.listxattr(where, follow_symlinks=False) if isinstance(where, bytes) else os.listxattr(where)
        except OSError as exc:
            if exc.errno not in (errno.EOPNOTSUPP, errno.ENOSYS):
                self.told.add("unreadable", path, "its extended attributes can't be read: %s" % exc.strerror)
            return NONE
        if not names:
            return NONE
        out = {}
        for name in names:
            if name.startswith(OURS_ALONE):
                continue
            try:
                out[name] = os.getxattr(where, name, follow_symlinks=False) if isinstance(where, bytes) else os.getxattr(where, name)
            except OSError as exc:
                if exc.errno != errno.ENODATA:
                    self.told.add("unreadable", path, "its attribute %s can't be read: %s" % (name, exc.strerror))
        return out

    def look(self, fd, device, path):
        """(attributes, flags) of a descriptor: the short way for the many that have none."""
        try:
            attributes = self.attributes(fd, path) if os.listxattr(fd) else NONE
        except OSError:
            attributes = self.attributes(fd, path)
        if device in self.flagless:
            return attributes, None
        try:
            raw = fcntl.ioctl(fd, _kernel.GETFLAGS, _kernel.ROOM)
        except OSError:
            return attributes, self.flags(fd, device)
        kept = self.seen.get(raw)
        if kept is None:
            kept = self.seen[raw] = struct.unpack("=I", raw[:4])[0] & _kernel.KEPT
        return attributes, kept

    def flags(self, fd, device):
        """Kept flags of a descriptor; None where the filesystem has none."""
        if device in self.flagless:
            return None
        value = _kernel.get_flags(fd)
        if value is None:
            self.flagless.add(device)
        return value

    def give(self, where, attributes, path):
        """Set attributes on a descriptor (or a link's /proc path): the ACL first, the capability after every change of owner and mode."""
        for name in sorted(attributes, key=lambda name: (name not in ACLS, name)):
            try:
                if isinstance(where, bytes):
                    os.setxattr(where, name, attributes[name], follow_symlinks=False)
                else:
                    os.setxattr(where, name, attributes[name])
            except OSError as exc:
                self.told.add("unkept", path, "%s: %s" % (name, exc.strerror))

    def take(self, fd, keep, path):
        """Remove what a new inode inherited and should not have."""
        for name in self.attributes(fd, path):
            if name not in keep:
                try:
                    os.removexattr(fd, name)
                except OSError as exc:
                    self.told.add("unkept", path, "%s can't be removed: %s" % (name, exc.strerror))

    def mark(self, fd, flags, path):
        """Set flags; where the filesystem has none that is told."""
        try:
            _kernel.set_flags(fd, flags)
        except OSError as exc:
            if flags:
                self.told.add("unkept", path, "flags %s: %s" % (_kernel.words(flags), exc.strerror))


def settle(fd, state, owners, attributes, inodes, path):
    """Owner, mode, attributes and times of a directory or file that is there already: only what differs. Returns whether anything did."""
    now = os.fstat(fd)
    uid, gid, mode = owners.uid(state.st_uid), owners.gid(state.st_gid), stat.S_IMODE(state.st_mode)
    changed = False
    if (now.st_uid, now.st_gid) != (uid, gid):
        os.fchown(fd, uid, gid)
        changed = True
    if changed or stat.S_IMODE(now.st_mode) != mode:
        os.fchmod(fd, mode)
        changed = True
    have = inodes.attributes(fd, path)
    if have != attributes or changed and CAPABILITY in attributes:
        inodes.take(fd, attributes, path)
        inodes.give(fd, attributes, path)
        if ACL in have and ACL not in attributes:
            os.fchmod(fd, mode)
        changed = True
    return changed
