# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What copying trees asks of the kernel beyond Python's os: renames that replace nothing, inode flags, syncfs, extents, what times a filesystem holds."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import struct

from ansible_collections.intact.hosting.plugins.module_utils._backup._metadata import SETFLAGS
from ansible_collections.intact.hosting.plugins.module_utils._baseline import _descriptors
from ansible_collections.intact.hosting.plugins.module_utils._baseline._descriptors import GETFLAGS
from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

NOREPLACE, EXCHANGE = 1, 2
AT_FDCWD = -100
# Flags that a copy keeps: inode bit (linux/fs.h) and the word for it. The rest (extents, compression, encryption ...) is the filesystem's own.
WORDS = ((0x10, "immutable"), (0x20, "append"), (0x40, "nodump"), (0x80, "noatime"), (0x8, "sync"), (0x10000, "dirsync"))
KEPT = sum(bit for bit, _word in WORDS)
HARD = 0x30  # these forbid changes, also by us
DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
FIEMAP = 0xC020660B
SECOND = 10**9

_LIBC = ctypes.CDLL(None, use_errno=True)
ROOM = b"\0" * 8


def open_top(path):
    """Descriptor of a directory (str or bytes); raises IntactError at a link in its path: on an old disk they lead into the live system."""
    path = os.path.abspath(os.fsencode(path))
    try:
        return _descriptors.open_directory(path)
    except OSError as exc:
        if exc.errno not in (errno.ELOOP, errno.ENOTDIR):
            raise
        parts = path.split(b"/")
        for count in range(2, len(parts) + 1):
            part = b"/".join(parts[:count])
            if os.path.islink(part):
                said = escape(part), escape(os.readlink(part))
                raise IntactError("%s is a link to %s, which is not followed: name the directory that is meant" % said) from exc
        raise


def get_flags(fd):
    """Those of the inode's flags that a copy keeps; None where the filesystem has none."""
    try:
        return struct.unpack("=I", fcntl.ioctl(fd, GETFLAGS, ROOM)[:4])[0] & KEPT
    except OSError as exc:
        if exc.errno in (errno.ENOTTY, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
            return None
        raise


def set_flags(fd, wanted):
    """Make the kept flags exactly these; the others stay. Raises OSError where the filesystem can't."""
    now = struct.unpack("=I", fcntl.ioctl(fd, GETFLAGS, ROOM)[:4])[0]
    if now & KEPT != wanted:
        value = now & ~KEPT | wanted
        fcntl.ioctl(fd, SETFLAGS, struct.pack("=Q", value) if struct.calcsize("l") == 8 else struct.pack("=I", value))


def words(flags):
    """The flags as text: "immutable,append"."""
    return ",".join(word for bit, word in WORDS if flags & bit)


def rename(old, new, from_fd, to_fd, how=NOREPLACE):
    """renameat2: NOREPLACE raises FileExistsError, EXCHANGE swaps both. A filesystem or kernel without it gets the same by a link where that is possible."""
    call = getattr(_LIBC, "renameat2", None)
    code = errno.ENOSYS
    if call is not None:
        if not call(from_fd, old, to_fd, new, how):
            return
        code = ctypes.get_errno()
    if code not in (errno.ENOSYS, errno.EINVAL):
        raise OSError(code, os.strerror(code), new)
    if how == EXCHANGE:
        raise OSError(errno.ENOSYS, "this filesystem can't exchange two names", new)
    try:
        os.link(old, new, src_dir_fd=from_fd, dst_dir_fd=to_fd, follow_symlinks=False)
    except PermissionError:
        # a directory has no second name: an empty one is all that rename() would replace
        os.mkdir(new, 0o700, dir_fd=to_fd)
        os.rename(old, new, src_dir_fd=from_fd, dst_dir_fd=to_fd)
        return
    os.unlink(old, dir_fd=from_fd)


def syncfs(fd):
    """Write everything of this descriptor's filesystem to its device; raises OSError, also for a write that failed earlier."""
    call = getattr(_LIBC, "syncfs", None)
    if call is None:
        os.sync()
    elif call(fd):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def first_block(fd):
    """Where on the device (bytes) a file's data begins; 0 when that is not known (empty, inline, delayed, no FIEMAP)."""
    request = bytearray(struct.pack("=QQLLLL", 0, 2**64 - 1, 0, 0, 1, 0) + b"\0" * 56)
    try:
        fcntl.ioctl(fd, FIEMAP, request)
    except OSError:
        return 0
    return struct.unpack_from("=Q", request, 40)[0] if struct.unpack_from("=L", request, 20)[0] else 0


def rotational(device, sysfs="/sys/dev/block"):
    """Whether a device number (st_dev) is on a spinning disk; False when nobody says."""
    place = os.path.realpath("%s/%d:%d" % (sysfs, os.major(device), os.minor(device)))
    for folder in (place, os.path.dirname(place)):
        try:
            with open(folder + "/queue/rotational") as handle:
                return handle.read().strip() == "1"
        except OSError:
            continue
    return False


def granularity(fd):
    """Nanoseconds that times on this directory's filesystem are multiples of. fd: an open file of ours there."""
    os.utime(fd, ns=(1234567891 * SECOND + 123456789, 1234567891 * SECOND + 123456789))
    seen = os.fstat(fd).st_mtime_ns
    for step in (1, 100, 1000, 10**6, 10**7, SECOND, 2 * SECOND):
        if seen == (1234567891 * SECOND + 123456789) // step * step:
            return step
    return 2 * SECOND


def cached(fd):
    """Whether the first page of an open file's data is in memory; False too for one without data, True when the filesystem can't tell."""
    try:
        return bool(os.preadv(fd, [bytearray(1)], os.lseek(fd, 0, os.SEEK_DATA), os.RWF_NOWAIT))
    except BlockingIOError:
        return False
    except OSError as exc:
        return exc.errno != errno.ENXIO
