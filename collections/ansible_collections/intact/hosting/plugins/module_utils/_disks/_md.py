# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.
"""md's superblocks, 0.90 (at the end), 1.0 (end), 1.1 (begin) and 1.2 (4 KiB): linux/include/uapi/linux/raid/md_p.h. No array is assembled."""

from __future__ import annotations

import struct

from ansible_collections.intact.hosting.plugins.module_utils._disks._names import label, moment

MAGIC = 0xA92B4EFC
NEVER = 0xFFFFFFFFFFFFFFFF
LEVELS = {-4: "multipath", -1: "linear", 0: "raid0", 1: "raid1", 4: "raid4", 5: "raid5", 6: "raid6", 10: "raid10"}
FAULTY, SPARE, JOURNAL = 0xFFFE, 0xFFFF, 0xFFFD


def probe(device):
    """What an array's member says of itself, or None.

    {version uuid (as mdadm writes it) device_uuid number level name devices role (number | spare | faulty | journal) events state (clean | active)
    updated data_offset data_size super_offset (bytes) active [roles that it believes to work] checksum (ok | bad)}.
    """
    for place, minor in ((0, 1), (4096, 2), (_end(device.size), 0)):
        data = device.at(place, 4096) if place >= 0 else b""
        if len(data) >= 256 and struct.unpack_from("<II", data) == (MAGIC, 1) and struct.unpack_from("<Q", data, 144)[0] * 512 == place:
            return _one(device, data, place, minor)
    place = (device.size & ~65535) - 65536
    data = device.at(place, 4096) if place >= 0 else b""
    for order in "<>":
        if len(data) == 4096 and struct.unpack_from(order + "III", data) == (MAGIC, 0, 90):
            return _old(data, place, order)
    return None


def _end(size):
    """Where 1.0 lies: 8 to 12 KiB before the end."""
    return (size // 512 - 16 & ~7) * 512 if size >= 16384 else -1


def _uuid(text):
    return ":".join((text[:8], text[8:16], text[16:24], text[24:]))


def _one(device, data, place, minor):
    features = struct.unpack_from("<I", data, 8)[0]
    level, _layout, size, chunk, devices = struct.unpack_from("<iIQII", data, 72)
    start, length = struct.unpack_from("<QQ", data, 128)
    number = struct.unpack_from("<I", data, 160)[0]
    updated, events, resync, _sum, most = struct.unpack_from("<QQQII", data, 192)
    most = min(most, 1920)
    roles = struct.unpack_from("<%dH" % most, data, 256)
    role = roles[number] if number < most else SPARE
    return {
        "version": "1.%d" % minor,
        "uuid": _uuid(data[16:32].hex()),
        "device_uuid": _uuid(data[168:184].hex()),
        "number": number,
        "name": label(data[32:64]),
        "level": LEVELS.get(level, "level %d" % level),
        "devices": devices,
        "role": {FAULTY: "faulty", SPARE: "spare", JOURNAL: "journal"}.get(role, role),
        "events": events,
        "state": "clean" if resync == NEVER else "active",
        "updated": moment(updated & 0xFFFFFFFFFF),
        "recovering": bool(features & 2),
        "super_offset": place,
        "data_offset": start * 512,
        "data_size": (size or length) * 512 if level == 1 else length * 512,
        "chunk": chunk * 512,
        "active": sorted({r for r in roles if r < devices}),
        "checksum": "ok" if _sum == _sum_one(data, most) else "bad",
    }


def _sum_one(data, most):
    size = 256 + most * 2
    words = data[:216] + b"\0\0\0\0" + data[220:size]
    total = sum(struct.unpack_from("<%dI" % (size // 4), words))
    if size % 4:
        total += struct.unpack_from("<H", words, size - 2)[0]
    return (total & 0xFFFFFFFF) + (total >> 32) & 0xFFFFFFFF


def _old(data, place, order):
    words = struct.unpack(order + "1024I", data)
    level = words[7] - (1 << 32) if words[7] >> 31 else words[7]
    low, high = (words[39], words[40]) if order == "<" else (words[40], words[39])
    number, _major, _minor, role, state = words[992:997]
    disks = [words[at : at + 5] for at in range(128, 992, 32)]
    total = sum(words) - words[38]
    return {
        "version": "0.90",
        "uuid": _uuid("%08x%08x%08x%08x" % (words[5], words[13], words[14], words[15])),
        "number": number,
        "minor": words[11],
        "level": LEVELS.get(level, "level %d" % level),
        "devices": words[10],
        # bits of a disk's state: 0 faulty, 1 active, 2 in sync
        "role": "faulty" if state & 1 else role if state & 2 else "spare",
        "events": high << 32 | low,
        "state": "clean" if words[33] & 1 else "active",
        "updated": moment(words[32]),
        "recovering": False,
        "super_offset": place,
        "data_offset": 0,
        "data_size": words[8] * 1024,
        "chunk": words[65],
        "active": sorted({d[3] for d in disks if d[4] & 6 == 6 and not d[4] & 1 and d[3] < words[10]}),
        "checksum": "ok" if (total & 0xFFFFFFFF) + (total >> 32) & 0xFFFFFFFF == words[38] else "bad",
    }
