# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What walking a tree asks of the kernel by descriptor: opened without following a link, and what an inode carries besides its mode."""

from __future__ import annotations

import fcntl
import hashlib
import os
import struct
import sys

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _attributes
from ansible_collections.intact.hosting.plugins.module_utils._files import escape

GETFLAGS = 0x80086601 if struct.calcsize("l") == 8 else 0x80046601  # FS_IOC_GETFLAGS
FLAGS = ((0x10, "immutable"), (0x20, "append"))
ALL_FLAGS, ROOM = 0x30, b"\0" * 8
# Answers seen that hold none of these.
PLAIN = set()


def open_directory(path, below=b"/"):
    """Descriptor of an absolute path without links, each component opened without following one. below: where / is looked for."""
    fd = os.open(below, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for part in path.split(b"/"):
        if part:
            try:
                deeper = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
            finally:
                os.close(fd)
            fd = deeper
    return fd


def open_file(name, parent):
    """O_NONBLOCK: a FIFO put in its place must not hang us; O_NOATIME: looking leaves no trace."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        return os.open(name, flags | os.O_NOATIME, dir_fd=parent)
    except PermissionError:
        return os.open(name, flags, dir_fd=parent)


def extended(fd):
    """ACLs, capability, user attributes and the immutable and append flags of an open file or directory."""
    out = {}
    try:
        names = os.listxattr(fd)
    except OSError:
        names = []
    for name in names:
        try:
            value = os.getxattr(fd, name)
        except OSError:
            continue
        if name == "system.posix_acl_access":
            out["acl"] = _attributes.acl(value)
        elif name == "system.posix_acl_default":
            out["default_acl"] = _attributes.acl(value)
        elif name == "security.capability":
            out["capability"] = _attributes.capability(value)
        elif name.startswith("user."):
            shown = escape(value) if len(value) <= 64 else "sha256:" + hashlib.sha256(value).hexdigest()
            out.setdefault("xattr", {})[escape(name)] = shown
    try:
        raw = fcntl.ioctl(fd, GETFLAGS, ROOM)
        if raw not in PLAIN:
            bits = int.from_bytes(raw[:4], sys.byteorder)
            if bits & ALL_FLAGS:
                out["flags"] = ",".join(word for bit, word in FLAGS if bits & bit)
            else:
                PLAIN.add(raw)
    except OSError:
        pass  # this filesystem has no flags
    return out
