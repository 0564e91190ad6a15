# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Swap areas, and what old disks carry that Linux's main filesystems do not explain: reiserfs, JFS, NTFS, FAT, ISO 9660, squashfs."""

from __future__ import annotations

import struct

from ansible_collections.intact.hosting.plugins.module_utils._disks._names import label, uuid
from ansible_collections.intact.hosting.plugins.module_utils._files import escape

PAGES = (4096, 8192, 16384, 65536)
SWAP = (b"SWAP-SPACE", b"SWAPSPACE2")
SUSPENDED = (b"S1SUSPEND", b"S2SUSPEND", b"ULSUSPEND", b"LINHIB0001", b"\xed\xc3\x02\xe9\x98\x56\xe5\x0c")


def swap(device):
    """A swap area; hibernated: an image of a sleeping system lies in it, which the next boot of that system would write over everything."""
    for page in PAGES:
        magic = device.at(page - 10, 10)
        sleeping = magic.startswith(SUSPENDED)
        if magic not in SWAP and not sleeping:
            continue
        out = {"type": "swap", "version": "0" if magic == SWAP[0] else "1", "block_size": page, "journal": "none", "hibernated": sleeping, "features": []}
        if magic != SWAP[0]:
            data = device.at(1024, 64)
            out.update(uuid=uuid(data[12:28]), label=label(data[28:44]), bytes=(struct.unpack_from("<I", data, 4)[0] + 1) * page)
        return out
    return None


def reiserfs(device):
    """ReiserFS 3.5 and 3.6, and Reiser4."""
    for place in (65536, 8192):
        data = device.at(place, 128)
        if data[:7] == b"ReIsEr4":
            return {"type": "reiser4", "uuid": uuid(data[20:36]), "label": label(data[36:52]), "journal": "unknown", "features": []}
        version = {b"ReIsErFs": "3.5", b"ReIsEr2F": "3.6", b"ReIsEr3F": "journal elsewhere"}.get(data[52:60])
        if version:
            blocks, size, state = struct.unpack_from("<I", data)[0], struct.unpack_from("<H", data, 44)[0], struct.unpack_from("<H", data, 50)[0]
            out = {"type": "reiserfs", "version": version, "block_size": size, "bytes": blocks * size, "features": []}
            out["journal"] = {1: "clean", 2: "dirty"}.get(state, "unknown")
            if version != "3.5":
                out.update(uuid=uuid(data[84:100]), label=label(data[100:116]))
            return out
    return None


def jfs(device):
    """IBM's JFS."""
    data = device.at(32768, 184)
    if data[:4] != b"JFS1":
        return None
    version, blocks, size = struct.unpack_from("<IQI", data, 4)
    state = struct.unpack_from("<I", data, 40)[0]
    return {
        "type": "jfs",
        "version": str(version),
        "uuid": uuid(data[136:152]),
        "label": label(data[152:168]),
        "block_size": size,
        "bytes": blocks * struct.unpack_from("<I", data, 24)[0],
        "journal": "dirty" if state & 3 else "clean",
        "features": [],
    }


def ntfs(device):
    """NTFS with its volume's name and dirty flag from the record $Volume."""
    data = device.at(0, 512)
    if data[3:11] != b"NTFS    " or len(data) < 512:
        return None
    sector, per_cluster = struct.unpack_from("<HB", data, 11)
    if per_cluster > 128:
        per_cluster = 1 << (256 - per_cluster)
    total, table = struct.unpack_from("<QQ", data, 40)
    record = struct.unpack_from("<b", data, 64)[0]
    cluster = sector * per_cluster
    size = min(record * cluster if record > 0 else 1 << -record, 65536)
    out = {"type": "ntfs", "uuid": "%016X" % struct.unpack_from("<Q", data, 72), "block_size": cluster, "bytes": total * sector, "features": []}
    out["journal"] = "unknown"
    for kind, value in _attributes(device.at(table * cluster + 3 * size, size)):
        if kind == 0x60:
            out["label"] = escape(value.decode("utf-16-le", "replace").encode("utf-8"))
        elif kind == 0x70 and len(value) >= 12:
            out["version"] = "%d.%d" % (value[8], value[9])
            out["journal"] = "dirty" if struct.unpack_from("<H", value, 10)[0] & 1 else "clean"
    return out


def _attributes(record):
    """(type, value) of the resident attributes of an MFT record."""
    if record[:4] != b"FILE":
        return
    at = struct.unpack_from("<H", record, 20)[0]
    while at + 24 <= len(record):
        kind, length = struct.unpack_from("<II", record, at)
        if kind == 0xFFFFFFFF or length < 24:
            return
        if not record[at + 8]:
            size, place = struct.unpack_from("<IH", record, at + 16)
            yield kind, record[at + place : at + place + size]
        at += length


def vfat(device):
    """FAT of 12, 16 and 32 bits."""
    data = device.at(0, 512)
    if data[510:512] != b"\x55\xaa" or data[11:13] not in (b"\x00\x02", b"\x00\x04", b"\x00\x08", b"\x00\x10") or data[16] not in (1, 2):
        return None
    for kind, serial in ((82, 67), (54, 39)):
        if data[kind : kind + 3] == b"FAT":
            name = data[serial + 4 : serial + 15].rstrip(b" \0")
            number = struct.unpack_from("<I", data, serial)[0]
            sectors = struct.unpack_from("<H", data, 19)[0] or struct.unpack_from("<I", data, 32)[0]
            return {
                "type": "vfat",
                "version": data[kind : kind + 8].decode("ascii", "replace").strip(),
                "uuid": "%04X-%04X" % (number >> 16, number & 0xFFFF),
                "label": "" if name == b"NO NAME" else escape(name),
                "bytes": sectors * struct.unpack_from("<H", data, 11)[0],
                "journal": "none",
                "features": [],
            }
    return None


def iso9660(device):
    """A CD's image; its date of making is what it has of a UUID."""
    data = device.at(32768, 2048)
    if data[1:6] != b"CD001" or data[0] != 1:
        return None
    date = next((d for d in (data[830:846], data[813:829]) if d.strip(b"0 \0")), b"").decode("ascii", "replace")
    words = [date[:4]] + [date[i : i + 2] for i in range(4, 16, 2)] if date else []
    return {"type": "iso9660", "uuid": "-".join(words), "label": escape(data[40:72].rstrip(b" \0")), "journal": "none", "features": []}


def squashfs(device):
    """squashfs of version 4."""
    data = device.at(0, 96)
    if data[:4] != b"hsqs":
        return None
    version = struct.unpack_from("<HH", data, 28)
    return {"type": "squashfs", "version": "%d.%d" % version, "bytes": struct.unpack_from("<Q", data, 40)[0], "journal": "none", "features": []}


def bios_raid(device):
    """The kind of array that a mainboard's or controller's firmware keeps on this disk (blkid's word), or None. Its superblock is at the disk's end."""
    end = device.size // 512 * 512
    tail = device.at(end - 1024, 1024) if end >= 1024 else b""
    if tail[:24] == b"Intel Raid ISM Cfg Sig. ":
        return "isw_raid_member"
    if tail[:6] == b"NVIDIA":
        return "nvidia_raid_member"
    if tail[512:516] == b"\xde\x11\xde\x11":
        return "ddf_raid_member"
    return None
