# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""XFS of versions 4 and 5: the superblock, and whether its log was closed (linux/fs/xfs/libxfs/xfs_format.h, xfs_log_format.h, xfs_log_recover.c)."""

from __future__ import annotations

import struct

from ansible_collections.intact.hosting.plugins.module_utils._disks._names import label, uuid

INCOMPAT = {0x1: "ftype", 0x2: "spinodes", 0x4: "meta_uuid", 0x8: "bigtime", 0x10: "needsrepair", 0x20: "nrext64", 0x40: "exchange", 0x80: "parent"}
RO_COMPAT = {0x1: "finobt", 0x2: "rmapbt", 0x4: "reflink", 0x8: "inobtcnt"}
SECTOR = 512
RECORD = 0xFEEDBABE
UNMOUNT = 0x20
# Records under way when the power went (8 buffers of 256 KiB): so far back the last header can be.
BACK = 8 * 256 * 1024 // SECTOR


def probe(device):
    """The signature of an XFS, or None."""
    data = device.at(0, 512)
    if data[:4] != b"XFSB" or len(data) < 512:
        return None
    size, blocks = struct.unpack_from(">IQ", data, 4)
    number = struct.unpack_from(">H", data, 100)[0]
    version = number & 15
    if size < 512 or size > 65536 or not 1 <= version <= 5:
        return None
    ro_compat, incompat = struct.unpack_from(">II", data, 212) if version == 5 else (0, 0)
    more = struct.unpack_from(">I", data, 200)[0] if number & 0x8000 else 0
    features = ["crc"] if version == 5 else []
    features += [word for bits, names in ((incompat, INCOMPAT), (ro_compat, RO_COMPAT)) for bit, word in sorted(names.items()) if bits & bit]
    out = {
        "type": "xfs",
        "uuid": uuid(data[32:48]),
        "label": label(data[108:120]),
        "version": "v%d" % version,
        "block_size": size,
        "inode_size": struct.unpack_from(">H", data, 104)[0],
        "bytes": blocks * size,
        "features": features + (["ftype"] if more & 0x200 else []),
        "journal": "unknown",
    }
    try:
        out["journal"] = _journal(device, data)
    except OSError as exc:
        out["journal_said"] = "the log can't be read: %s" % (exc.strerror or exc)
    return out


def _journal(device, data):
    """clean when the last record of the log is the one that unmounting writes, dirty when it is another, unknown where that can't be told."""
    size = struct.unpack_from(">I", data, 4)[0]
    start, blocks = struct.unpack_from(">Q", data, 48)[0], struct.unpack_from(">I", data, 96)[0]
    if not start or not blocks:
        return "unknown"  # it lies on another device
    bits, per_group = data[124], struct.unpack_from(">I", data, 84)[0]
    begin = ((start >> bits) * per_group + (start & ((1 << bits) - 1))) * size
    log = device.part(begin, blocks * size)
    count = log.size // SECTOR
    if log.size < blocks * size:
        return "unknown"
    head = _head(log, count)
    if head is None:
        return "clean"  # nothing was ever written to it
    last = _last_record(log, head, count)
    if last is None:
        return "unknown"
    header = log.at(last * SECTOR, SECTOR)
    version, length = struct.unpack_from(">II", header, 8)
    held = struct.unpack_from(">I", header, 320)[0]
    headers = -(-held // 32768) if version & 2 and held > 32768 else 1
    after = (last + headers + -(-length // SECTOR)) % count
    operations = struct.unpack_from(">I", header, 40)[0]
    if after == head % count and operations == 1:
        flags = log.at((last + headers) % count * SECTOR, SECTOR)[9]
        return "clean" if flags & UNMOUNT else "dirty"
    return "dirty"


def _cycle(log, number):
    """How often the log had gone round when this sector was written; 0: never."""
    data = log.at(number * SECTOR, SECTOR)
    word, second = struct.unpack_from(">II", data)
    return second if word == RECORD else word


def _head(log, count):
    """The sector that would be written next; None of an unused log. As xlog_find_head: cycles fall by one there."""
    first, last = _cycle(log, 0), _cycle(log, count - 1)
    if not first:
        return None
    if first == last:
        return count
    low, high = 0, count - 1  # the cycle at low is first's, that at high is not
    while high - low > 1:
        middle = (low + high) // 2
        if _cycle(log, middle) == first:
            low = middle
        else:
            high = middle
    return high


def _last_record(log, head, count):
    """The sector with the header of the last record before the head, or None."""
    step = 128
    for back in range(0, min(BACK, count), step):
        low = max(head - back - step, head - count)
        size = head - back - low
        data = b"".join(log.at(n % count * SECTOR, SECTOR) for n in range(low, low + size)) if low < 0 else log.at(low * SECTOR, size * SECTOR)
        for index in range(size - 1, -1, -1):
            if struct.unpack_from(">I", data, index * SECTOR)[0] == RECORD:
                return (low + index) % count
    return None
