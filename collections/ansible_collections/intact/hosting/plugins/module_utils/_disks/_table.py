# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.
"""Partition tables read from the disk: GPT with its checksums and its second copy, MBR with the chain of logical partitions."""

from __future__ import annotations

import struct
import zlib

from ansible_collections.intact.hosting.plugins.module_utils._disks._names import guid
from ansible_collections.intact.hosting.plugins.module_utils._disks._token import digest
from ansible_collections.intact.hosting.plugins.module_utils._files import escape

EXTENDED = (0x05, 0x0F, 0x85)
LOGICAL = 128  # more of them in one chain are a loop or an attack
ENTRIES = 1024


def read(device, sector=512):
    """{type (gpt | dos) hash id sector backup said partitions [{number start size (bytes) type uuid name}]} of a disk, or None without a table.

    backup: the first GPT header is broken, the one at the disk's end was read. hash is of what the table says, not of where its copies lie.
    """
    return _gpt(device, sector) or _mbr(device, sector)


def _gpt(device, sector):
    sizes = (sector, 4096 if sector == 512 else 512)  # images of disks with large sectors keep their own
    for size in sizes:
        last = device.size // size - 1
        first, second = _said(_header, device, 1, size), _said(_header, device, last, size)
        if isinstance(first, str) and isinstance(second, str) and not _marked(device, size):
            continue
        return _copies(device, size, first, second, last)
    return None


def _marked(device, sector):
    """Whether somebody wrote a GPT there, however broken it is."""
    try:
        return device.at(sector, 8) == b"EFI PART" and device.at(510, 2) == b"\x55\xaa"
    except OSError:
        return False


def _copies(device, sector, first, second, last):
    said = ["the GPT in sector %d: %s" % (number, held) for number, held in ((1, first), (last, second)) if isinstance(held, str)]
    held = second if isinstance(first, str) else first
    if isinstance(held, str):
        return {"type": "gpt", "hash": digest(["gpt", "unreadable"]), "sector": sector, "said": said, "partitions": [], "broken": True}
    if not isinstance(first, str) and not isinstance(second, str) and (first["id"], first["rows"]) != (second["id"], second["rows"]):
        said.append("the two copies of the GPT differ")
    partitions, words = [], ["gpt", held["id"]]
    for number, row in enumerate(held["rows"], 1):
        if not any(row[:16]):
            continue
        begin, end, flags = struct.unpack_from("<QQQ", row, 32)
        name = escape(row[56:128].decode("utf-16-le", "replace").split("\0", 1)[0].encode("utf-8"))
        entry = {"number": number, "start": begin * sector, "size": max(0, end - begin + 1) * sector, "type": guid(row[:16]), "uuid": guid(row[16:32])}
        partitions.append(dict(entry, name=name))
        words.append("%d %s %s %d %d %x %s" % (number, entry["type"], entry["uuid"], begin, end, flags, name))
    out = {"type": "gpt", "id": held["id"], "hash": digest(words), "sector": sector, "said": said, "partitions": partitions}
    return dict(out, backup=True) if isinstance(first, str) else out


def _said(function, *arguments):
    try:
        return function(*arguments)
    except OSError as exc:
        return "can't be read (%s)" % (exc.strerror or exc)


def _header(device, number, sector):
    """{id, rows} of the header in this sector, or a sentence about what is wrong with it."""
    data = device.at(number * sector, 512) if number > 0 else b""
    if data[:8] != b"EFI PART":
        return "there is none"
    size, checksum = struct.unpack_from("<II", data, 12)
    if not 92 <= size <= 512 or zlib.crc32(data[:16] + b"\0\0\0\0" + data[20:size]) != checksum:
        return "the header's checksum is wrong"
    place, count, length, rows_checksum = struct.unpack_from("<QIII", data, 72)
    if not 128 <= length <= 4096 or count > ENTRIES:
        return "it has %d entries of %d bytes" % (count, length)
    rows = device.at(place * sector, count * length)
    if zlib.crc32(rows) != rows_checksum:
        return "the entries' checksum is wrong"
    return {"id": guid(data[56:72]), "rows": [rows[at : at + length] for at in range(0, len(rows), length)]}


def _mbr(device, sector):
    data = device.at(0, 512)
    rows = _rows(data)
    if rows is None or (not any(row[1] for row in rows) and not any(data[440:444])):
        return None
    name = "%08x" % struct.unpack_from("<I", data, 440)
    partitions, words, said = [], ["dos", name], []
    for number, (flag, kind, begin, count) in enumerate(rows, 1):
        if kind:
            partitions.append(_partition(number, kind, begin, count, sector, name))
            words.append("%d %02x %02x %d %d" % (number, flag, kind, begin, count))
    for extended in [row for row in rows if row[1] in EXTENDED]:
        for flag, kind, begin, count in _logical(device, extended[2], sector, said):
            number = 5 + sum(1 for p in partitions if p["number"] > 4)
            partitions.append(_partition(number, kind, begin, count, sector, name))
            words.append("%d %02x %02x %d %d" % (number, flag, kind, begin, count))
    return {"type": "dos", "id": name, "hash": digest(words), "sector": sector, "said": said, "partitions": partitions}


def _partition(number, kind, begin, count, sector, name):
    return {"number": number, "start": begin * sector, "size": count * sector, "type": "%02x" % kind, "uuid": "%s-%02x" % (name, number), "name": ""}


def _rows(data):
    """[(flag, type, first sector, sectors)] of a boot record's four entries, or None when it is none."""
    if len(data) < 512 or data[510:512] != b"\x55\xaa":
        return None
    out = []
    for at in range(446, 510, 16):
        flag, kind, begin, count = data[at], data[at + 4], *struct.unpack_from("<II", data, at + 8)
        if flag not in (0, 0x80) or (kind and not count):
            return None
        out.append((flag, kind, begin, count))
    return out


def _logical(device, extended, sector, said):
    """The logical partitions of an extended one; a chain that can't be followed further is said."""
    at, seen = extended, set()
    while at not in seen and len(seen) < LOGICAL:
        seen.add(at)
        try:
            rows = _rows(device.at(at * sector, 512))
        except OSError as exc:
            said.append("the chain of logical partitions can't be read at sector %d: %s" % (at, exc.strerror or exc))
            return
        if rows is None:
            said.append("the chain of logical partitions is broken at sector %d" % at)
            return
        following = 0
        for flag, kind, begin, count in rows[:2]:
            if kind in EXTENDED:
                following = extended + begin
            elif kind:
                yield flag, kind, at + begin, count
        if not following:
            return
        at = following
    said.append("the chain of logical partitions runs in a circle at sector %d" % at)
