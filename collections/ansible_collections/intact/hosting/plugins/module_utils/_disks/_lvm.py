# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.
"""LVM2's label, header and text metadata of one physical volume (lvm2: lib/format_text/layout.h, lib/label/label.h). Nothing is activated."""

from __future__ import annotations

import re
import struct
import zlib

from ansible_collections.intact.hosting.plugins.module_utils._disks import _lvmtext

MAGIC = b" LVM2 x[5A%r0N*>"
LARGEST = 64 << 20  # more text than this no VG has
_SEED = 0xF597A6CF


def crc(data):
    """LVM's checksum: CRC-32 with another beginning and no end."""
    return ~zlib.crc32(data, ~_SEED & 0xFFFFFFFF) & 0xFFFFFFFF


def probe(device):
    """{pv_uuid size metadata (parsed text of the newest, {} without) said [what is wrong]} of a physical volume, or None."""
    for sector in range(4):
        data = device.at(sector * 512, 512)
        if data[:8] == b"LABELONE" and data[24:32] == b"LVM2 001":
            return _read(device, data, sector)
    return None


def _read(device, data, sector):
    checksum, place = struct.unpack_from("<II", data, 16)
    out = {"pv_uuid": dashed(data[place : place + 32].decode("ascii", "replace")), "metadata": {}, "said": []}
    if checksum != crc(data[20:512]):
        out["said"].append("the checksum of the label in sector %d is wrong" % sector)
    out["size"] = struct.unpack_from("<Q", data, place + 32)[0]
    lists, at = [[], []], place + 40
    for held in lists:
        while at + 16 <= len(data):
            offset, size = struct.unpack_from("<QQ", data, at)
            at += 16
            if not offset:
                break
            held.append((offset, size))
    out["data_offset"] = lists[0][0][0] if lists[0] else 0
    found = []
    for offset, size in lists[1]:
        try:
            text, said = _area(device, offset, size)
        except OSError as exc:
            text, said = b"", "the metadata area at byte %d can't be read: %s" % (offset, exc.strerror or exc)
        if said:
            out["said"].append(said)
        if text:
            try:
                found.append(_lvmtext.parse(text.decode("utf-8", "backslashreplace")))
            except ValueError as exc:
                out["said"].append("the metadata text is damaged: %s" % exc)
    groups = [(number(body.get("seqno")), name, body) for held in found for name, body in held.items() if isinstance(body, dict) and "physical_volumes" in body]
    if groups:
        seqno, name, body = max(groups, key=lambda g: g[0])
        out["metadata"] = dict(body, name=name, seqno=seqno)
    return out


def _area(device, offset, size):
    """(text of the committed metadata, what is wrong) of one area: a header of 512 bytes and a ring."""
    head = device.at(offset, 512)
    if head[4:20] != MAGIC:
        return b"", "the metadata area at byte %d has no header" % offset
    said = "" if struct.unpack_from("<I", head)[0] == crc(head[4:512]) else "the checksum of the metadata header at byte %d is wrong" % offset
    _version, start, length = struct.unpack_from("<IQQ", head, 20)
    place, held, checksum, _flags = struct.unpack_from("<QQII", head, 40)
    if not place or not held:
        return b"", said
    if start != offset or not 512 <= place < length or held > min(length, LARGEST):
        return b"", "the metadata header at byte %d is damaged" % offset
    first = min(held, length - place)
    text = device.at(offset + place, first) + (device.at(offset + 512, held - first) if first < held else b"")
    if crc(text) != checksum:
        return b"", "the checksum of the metadata text at byte %d is wrong" % (offset + place)
    return text.rstrip(b"\0"), said


def dashed(text):
    """A UUID as LVM writes it."""
    return "-".join((text[:6], text[6:10], text[10:14], text[14:18], text[18:22], text[22:26], text[26:32])) if re.match(r"\w{32}\Z", text) else text


def number(value):
    """An integer of the text; 0 of anything else."""
    return value if isinstance(value, int) else 0
