# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""ext2, ext3 and ext4: the superblock (linux/fs/ext4/ext4.h). A journal on another device is named, its state is that of this one's flag."""

from __future__ import annotations

import struct

from ansible_collections.intact.hosting.plugins.module_utils._disks._names import label, moment, uuid

HAS_JOURNAL, RECOVER, JOURNAL_DEVICE = 0x4, 0x4, 0x8
# What ext2 and ext3 know (e2fsprogs, lib/ext2fs/ext2_fs.h); anything more makes it an ext4.
EXT2_INCOMPAT, EXT3_INCOMPAT, OLD_RO_COMPAT = 0x2 | 0x10, 0x2 | 0x4 | 0x10, 0x1 | 0x2 | 0x4
COMPAT = {0x4: "has_journal", 0x8: "ext_attr", 0x10: "resize_inode", 0x20: "dir_index", 0x200: "sparse_super2"}
INCOMPAT = {
    0x1: "compression",
    0x2: "filetype",
    0x4: "needs_recovery",
    0x8: "journal_dev",
    0x10: "meta_bg",
    0x40: "extent",
    0x80: "64bit",
    0x100: "mmp",
    0x200: "flex_bg",
    0x400: "ea_inode",
    0x2000: "metadata_csum_seed",
    0x4000: "large_dir",
    0x8000: "inline_data",
    0x10000: "encrypt",
    0x20000: "casefold",
}
RO_COMPAT = {
    0x1: "sparse_super",
    0x2: "large_file",
    0x8: "huge_file",
    0x10: "uninit_bg",
    0x20: "dir_nlink",
    0x40: "extra_isize",
    0x100: "quota",
    0x200: "bigalloc",
    0x400: "metadata_csum",
    0x2000: "project",
    0x8000: "verity",
    0x10000: "orphan_present",
}


def probe(device):
    """The signature of an ext filesystem, or None."""
    return _read(device.at(1024, 1024))


def second(device):
    """The signature that the first copy of a lost superblock tells, or None: `copy` is its byte. What was there before other content tells the same."""
    for size, place in ((1024, 8193 * 1024), (2048, 16384 * 2048), (4096, 32768 * 4096)):
        data = device.at(place, 1024)
        found = _read(data)
        if found and found["block_size"] == size and struct.unpack_from("<H", data, 90)[0] == 1:
            return dict(found, copy=place)
    return None


def _read(data):
    if data[56:58] != b"\x53\xef" or len(data) < 1024:
        return None
    compat, incompat, ro_compat = struct.unpack_from("<III", data, 92)
    blocks, order, inodes = struct.unpack_from("<I", data, 4)[0], struct.unpack_from("<I", data, 24)[0], struct.unpack_from("<I", data, 0)[0]
    revision = struct.unpack_from("<I", data, 76)[0]
    if not blocks or not inodes or order > 6 or revision > 1:
        return None  # two bytes alone are found in other data too
    mounted, written, mounts, _most, _magic, state = struct.unpack_from("<IIHHHH", data, 44)
    out = {
        "type": _type(compat, incompat, ro_compat),
        "uuid": uuid(data[104:120]),
        "label": label(data[120:136]),
        "version": "rev %d" % revision,
        "block_size": 1024 << order,
        "inode_size": struct.unpack_from("<H", data, 88)[0] if revision else 128,
        "last_mounted": label(data[136:200]),
        "last_mount": moment(mounted),
        "last_write": moment(written),
        "mount_count": mounts,
        "clean": bool(state & 1),
        "errors": bool(state & 2),
        "features": [
            word for bits, names in ((compat, COMPAT), (incompat, INCOMPAT), (ro_compat, RO_COMPAT)) for bit, word in sorted(names.items()) if bits & bit
        ],
    }
    high = struct.unpack_from("<I", data, 336)[0] if incompat & 0x80 else 0
    out["bytes"] = (blocks | high << 32) * out["block_size"]
    free = struct.unpack_from("<I", data, 12)[0] | (struct.unpack_from("<I", data, 344)[0] << 32 if incompat & 0x80 else 0)
    out["used"] = max(0, out["bytes"] - free * out["block_size"])
    out["files"] = max(0, inodes - struct.unpack_from("<I", data, 16)[0])
    out["journal"] = ("dirty" if incompat & RECOVER else "clean") if compat & HAS_JOURNAL else "none"
    if compat & HAS_JOURNAL and not struct.unpack_from("<I", data, 224)[0]:
        out["journal_uuid"] = uuid(data[208:224])
    return out


def _type(compat, incompat, ro_compat):
    if incompat & JOURNAL_DEVICE:
        return "jbd"
    if compat & HAS_JOURNAL:
        return "ext4" if incompat & ~EXT3_INCOMPAT or ro_compat & ~OLD_RO_COMPAT else "ext3"
    return "ext4" if incompat & ~EXT2_INCOMPAT or ro_compat & ~OLD_RO_COMPAT else "ext2"
