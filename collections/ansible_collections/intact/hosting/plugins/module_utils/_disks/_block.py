# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""A block device as the kernel has it: read-only switch, size, uncached reads, digest, and loop devices."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import mmap
import os
import stat
import struct
import time

from ansible_collections.intact.hosting.plugins.module_utils._command import run
from ansible_collections.intact.hosting.plugins.module_utils._files import read_if_exists
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

BLKROSET, BLKROGET, BLKSSZGET, BLKGETSIZE64 = 0x125D, 0x125E, 0x1268, 0x80081272
BLOCK = "/sys/class/block"
PIECE = 4 << 20
GONE = (errno.EIO, errno.ENXIO, errno.ENODEV, errno.ENOMEDIUM, errno.ENOENT, 121, 110)  # also EREMOTEIO, ETIMEDOUT


def is_file(path):
    """Whether a path is a plain file, such as the image of a disk."""
    return os.path.isfile(path)


def name(path):
    """The kernel's name of a block device (sdb), its links followed. An IntactError where the path is none."""
    real = os.path.realpath(path)
    try:
        state = os.stat(real)
    except OSError as exc:
        raise IntactError("%s is not there (%s): look with block_device_info what this host has" % (path, exc.strerror), device=path) from exc
    if not stat.S_ISBLK(state.st_mode):
        raise IntactError("%s is no block device: give the disk's node, such as /dev/sdb, or an image file" % path, device=path)
    number = "%d:%d" % (os.major(state.st_rdev), os.minor(state.st_rdev))
    link = "/sys/dev/block/" + number
    return os.path.basename(os.path.realpath(link)) if os.path.exists(link) else os.path.basename(real)


def nodes(path):
    """The whole disk and its partitions: [{path number}], the disk first; of an image file itself only, and its number is the file's.

    A partition given in place of its disk is an IntactError.
    """
    if is_file(path):
        state = os.stat(path)
        return [{"path": os.path.realpath(path), "number": "file %d:%d" % (state.st_dev, state.st_ino)}]
    disk = name(path)
    base = os.path.join(BLOCK, disk)
    if os.path.exists(os.path.join(base, "partition")):
        parent = os.path.basename(os.path.dirname(os.path.realpath(base)))
        raise IntactError("%s is a partition: give its disk, /dev/%s, with the disk's token" % (path, parent), device=path)
    names = [disk]
    if os.path.isdir(base):
        names += sorted(entry for entry in os.listdir(base) if os.path.exists(os.path.join(base, entry, "partition")))
    out = []
    for entry in names:
        number = (read_if_exists(os.path.join(BLOCK, entry, "dev")) or b"").decode().strip()
        node = os.path.realpath(path) if entry == disk else "/dev/" + entry.replace("!", "/")
        if entry == disk or os.path.exists(node):
            out.append({"path": node, "number": number})
    return out


def _ioctl(path, code, buffer):
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return fcntl.ioctl(fd, code, buffer)
    finally:
        os.close(fd)


def read_only(path):
    """Whether the kernel refuses writes to a block device. An image file has no such switch: nothing opens it for writing here."""
    if is_file(path):
        return True
    return struct.unpack("i", _ioctl(path, BLKROGET, struct.pack("i", 0)))[0] != 0


def set_read_only(path, value):
    """Set or clear the kernel's read-only switch of a block device; read back, an IntactError where it did not take."""
    _ioctl(path, BLKROSET, struct.pack("i", int(value)))
    if read_only(path) != bool(value):
        raise IntactError("%s did not become %s: its driver ignores the switch" % (path, "read-only" if value else "writable"), device=path)


def size(path):
    """Bytes of a block device or a file."""
    if stat.S_ISBLK(os.stat(path).st_mode):
        return struct.unpack("Q", _ioctl(path, BLKGETSIZE64, struct.pack("Q", 0)))[0]
    return os.stat(path).st_size


def sector(path):
    """Bytes of a logical sector; 512 of an image file."""
    return 512 if is_file(path) else struct.unpack("i", _ioctl(path, BLKSSZGET, struct.pack("i", 0)))[0]


def _direct(path):
    try:
        if is_file(path):
            return os.open(path, os.O_RDONLY | os.O_CLOEXEC), False
        return os.open(path, os.O_RDONLY | os.O_DIRECT | os.O_CLOEXEC), True
    except OSError as exc:
        if exc.errno != errno.EINVAL:
            raise
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC), False


def _pieces(path, offset, end):
    """Bytes offset..end in pieces, past the page cache, which would answer for a disk that is gone. End and offset are whole sectors."""
    fd, direct = _direct(path)
    try:
        with mmap.mmap(-1, PIECE) as buffer:
            while offset < end:
                wanted = min(PIECE, end - offset)
                if not direct:
                    os.posix_fadvise(fd, offset, wanted, os.POSIX_FADV_DONTNEED)
                with memoryview(buffer) as whole, whole[:wanted] as part:
                    count = os.preadv(fd, [part], offset)
                    if count <= 0:
                        raise OSError(errno.EIO, "the device ends at byte %d of %d" % (offset, end), path)
                    yield bytes(part[:count])
                offset += count
    finally:
        os.close(fd)


def probe(path):
    """Whether the disk still answers, asked at its start and at its end; an IntactError that names it where it does not."""
    try:
        whole = size(path)
        if not whole:
            raise OSError(errno.ENOMEDIUM, "it has no bytes", path)
        for offset in (0, max(0, whole - 4096) & ~4095):
            for _piece in _pieces(path, offset, min(whole, offset + 4096)):
                pass
    except OSError as exc:
        said = exc.strerror or exc
        raise IntactError("%s does not answer (%s): look at cable and power, then attach again" % (path, said), device=path, gone=True) from exc


def digest(path):
    """sha256 of a whole device, in hexadecimal, read from the medium itself."""
    total = hashlib.sha256()
    try:
        for piece in _pieces(path, 0, size(path)):
            total.update(piece)
    except OSError as exc:
        raise IntactError("%s can't be read to its end (%s): make an image with legacy_image and attach that" % (path, exc.strerror), device=path) from exc
    return total.hexdigest()


def backing(loop):
    """The file or device below a loop device as the kernel names it, or None."""
    raw = read_if_exists("/sys/block/%s/loop/backing_file" % loop)
    return os.fsdecode(raw.rstrip(b"\n")) if raw else None


def loops():
    """{loop device path: backing} of every loop device in use."""
    out = {}
    with contextlib.suppress(OSError):
        for entry in sorted(os.listdir("/sys/block")):
            if entry.startswith("loop"):
                below = backing(entry)
                if below:
                    out["/dev/" + entry] = below
    return out


def loop(path, offset=0, length=0, writable=False):
    """A new loop device over a part of a file or device; its path."""
    argv = ["losetup", "-f", "--show", "-o", str(offset)]
    if length:
        argv += ["--sizelimit", str(length)]
    if not writable:
        argv.append("-r")
    try:
        return run(argv + [path]).text.strip()
    except IntactError as exc:
        raise IntactError("no loop device over %s: %s; is /dev/loop-control there, and the module loop?" % (path, exc), device=path) from exc


def unloop(path, patience=20.0):
    """Take a loop device away, and wait until it is gone: the kernel keeps it as long as anybody, such as udev or a look, has it open.

    The kernel's read-only switch of a loop device outlives it, so it is cleared for the next user. Once is enough: the kernel remembers the wish, and a second
    one could meet the next user of the number.
    """
    name_of, below = os.path.basename(path), backing(os.path.basename(path))
    with contextlib.suppress(OSError, IntactError):
        set_read_only(path, False)
    run(["losetup", "-d", path], check=False)
    until = time.monotonic() + patience
    while below is not None and backing(name_of) == below:
        if time.monotonic() > until:
            raise IntactError("%s (over %s) is still open after %d s: end what reads it and run state absent again" % (path, below, patience), device=path)
        time.sleep(0.05)
