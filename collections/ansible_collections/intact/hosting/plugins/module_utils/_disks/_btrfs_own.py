# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""An fsid of its own for a btrfs on an overlay, so that a kernel before 6.7 does not take it for the live one that it is a copy of.

The kernel's feature metadata_uuid: the superblock names a new fsid and keeps the old one, which stands in every block (as btrfstune -m does).
Only superblocks are rewritten, without a transaction: one would make the log tree, which fsync() left, unreadable.
"""

from __future__ import annotations

import hashlib
import os
import struct
import uuid

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

PLACES = (64 << 10, 64 << 20, 256 << 30)
SIZE = 4096
MAGIC = b"_BHRfS_M"
METADATA_UUID = 0x400
# A change of the fsid that was cut off; the kernel treats such a filesystem in ways of its own.
CHANGING = (1 << 35) | (1 << 36)


def _crc32c(data):
    value = 0xFFFFFFFF
    for byte in data:
        value = _TABLE[(value ^ byte) & 0xFF] ^ (value >> 8)
    return struct.pack("<I", value ^ 0xFFFFFFFF)


def _table():
    out = []
    for byte in range(256):
        for _bit in range(8):
            byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
        out.append(byte)
    return tuple(out)


_TABLE = _table()
# By the superblock's csum_type; 1 is xxhash, which Python lacks.
SUMS = {0: _crc32c, 2: lambda data: hashlib.sha256(data).digest(), 3: lambda data: hashlib.blake2b(data, digest_size=32).digest()}


def renamed(block, fsid):
    """A superblock (4096 bytes) with another fsid (16 bytes) and its checksum; an IntactError when it is none, damaged or can't be rewritten."""
    if len(block) != SIZE or block[64:72] != MAGIC:
        raise IntactError("there is no superblock of a btrfs")
    flags, incompat = struct.unpack_from("<Q", block, 56)[0], struct.unpack_from("<Q", block, 188)[0]
    kind = struct.unpack_from("<H", block, 196)[0]
    if kind not in SUMS:
        raise IntactError("its checksums are of type %d (xxhash is 1), which can't be computed here" % kind)
    held = SUMS[kind](block[32:])
    if block[: len(held)] != held:
        raise IntactError("the checksum of its superblock is wrong")
    if flags & CHANGING:
        raise IntactError("a change of its fsid was cut off")
    out = bytearray(block)
    if not incompat & METADATA_UUID:
        out[571:587] = block[32:48]
        struct.pack_into("<Q", out, 188, incompat | METADATA_UUID)
    out[32:48] = fsid
    sum_ = SUMS[kind](bytes(out[32:]))
    out[: len(sum_)] = sum_
    return bytes(out)


def rename(source, fsid=None):
    """Give the btrfs on source (a writable device of an overlay, not mounted) another fsid in all its superblocks; the new one as text."""
    fsid = fsid or uuid.uuid4()
    fd = os.open(source, os.O_RDWR | os.O_CLOEXEC)
    try:
        end = os.lseek(fd, 0, os.SEEK_END)
        for place in PLACES:
            block = os.pread(fd, SIZE, place) if place + SIZE <= end else b""
            # The first one counts for the kernel; a copy that is not there or damaged stays so.
            if place == PLACES[0]:
                os.pwrite(fd, renamed(block, fsid.bytes), place)
            elif block[64:72] == MAGIC:
                try:
                    os.pwrite(fd, renamed(block, fsid.bytes), place)
                except IntactError:
                    continue
        os.fsync(fd)
    finally:
        os.close(fd)
    return str(fsid)
