# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""btrfs: the first superblock (linux/include/uapi/linux/btrfs_tree.h). A log tree is what fsync() left for the next mount to replay."""

from __future__ import annotations

import struct

from ansible_collections.intact.hosting.plugins.module_utils._disks._names import label, uuid

PLACE = 65536
INCOMPAT = {
    0x1: "mixed_backref",
    0x2: "default_subvol",
    0x4: "mixed_groups",
    0x8: "compress_lzo",
    0x10: "compress_zstd",
    0x40: "extended_iref",
    0x80: "raid56",
    0x100: "skinny_metadata",
    0x200: "no_holes",
    0x400: "metadata_uuid",
    0x800: "raid1c34",
    0x1000: "zoned",
    0x4000: "raid_stripe_tree",
    0x10000: "simple_quota",
}


def probe(device):
    """The signature of a member of a btrfs, or None."""
    data = device.at(PLACE, 4096)
    if data[64:72] != b"_BHRfS_M":
        return None
    generation = struct.unpack_from("<Q", data, 72)[0]
    log = struct.unpack_from("<Q", data, 96)[0]
    size, _used, _root, devices = struct.unpack_from("<QQQQ", data, 112)
    incompat = struct.unpack_from("<Q", data, 188)[0]
    return {
        "type": "btrfs",
        "uuid": uuid(data[32:48]),
        "device_uuid": uuid(data[267:283]),
        "label": label(data[299:555]),
        "version": "generation %d" % generation,
        "bytes": size,
        "devices": devices,
        "block_size": struct.unpack_from("<I", data, 144)[0],
        "features": [word for bit, word in sorted(INCOMPAT.items()) if incompat & bit],
        "journal": "dirty" if log else "clean",
    }
