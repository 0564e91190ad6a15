# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""tar, read strictly: Python's tarfile takes a damaged header in the middle for the end of the archive."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._panels._streams import BLOCK, Broken, part

NAME = "tar"
UNIT = 512
KINDS = {b"1": "hardlink", b"2": "symlink", b"3": "special", b"4": "special", b"5": "directory", b"6": "special"}
# Headers about the next one: GNU's long names, pax records.
ABOUT = (b"L", b"K", b"x", b"X", b"g")
MOST = 1 << 20


def told(head):
    """Whether a file with this beginning is a tar: its first header has the right checksum."""
    return len(head) >= UNIT and bool(head[:UNIT].strip(b"\0")) and _sum_is_right(head[:UNIT])


def members(source, work=None):
    """Yield (name, kind, size, reader, target) of each member, and raise Broken where the archive is. A member is read before the next is asked for."""
    about = {}
    while True:
        place = source.passed
        header = source.read(UNIT)
        if len(header) < UNIT:
            raise source.torn("a header") if header else Broken("it is cut short: its end mark is missing")
        if not header.strip(b"\0"):
            break
        if not _sum_is_right(header):
            raise Broken("the header at byte %d is damaged" % place)
        kind = header[156:157]
        size = _number(header[124:136], place)
        if kind in ABOUT:
            if size > MOST:
                raise Broken("the header at byte %d says it has a name of %d bytes" % (place, size))
            text = source.exactly(size, "a long name")
            _padding(source, size)
            about.update(_about(kind, text))
            continue
        if kind == b"S":
            _skip_sparse_map(source, header)
        size = 0 if kind in KINDS else about.get("size", size)
        if size < 0:
            raise Broken("the header at byte %d has a length below zero" % place)
        name = _name(about.get("GNU.sparse.name") or about.get("path") or _joined(header))
        target = _name(about.get("linkpath") or header[157:257].rstrip(b"\0")) if kind in (b"1", b"2") else ""
        about = {}
        body = part(source, size, "member %s" % name)
        yield name, KINDS.get(kind, "file"), size, body, target
        body.drain()
        _padding(source, size)
    _end(source)


def _sum_is_right(header):
    try:
        said = int(header[148:156].strip(b" \0") or b"-1", 8)
    except ValueError:
        return False
    return said == sum(header[:148]) + 8 * 32 + sum(header[156:])


def _number(field, place):
    if field[0] & 0x80:
        return int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
    try:
        return int(field.strip(b" \0") or b"0", 8)
    except ValueError:
        raise Broken("the header at byte %d has no length" % place) from None


def _joined(header):
    name = header[:100].split(b"\0", 1)[0]
    prefix = header[345:500].split(b"\0", 1)[0] if header[257:263] == b"ustar\0" else b""
    return prefix + b"/" + name if prefix else name


def _name(raw):
    """Escaped, without ./ before and / behind it; what stands between an archive and its members is escaped too."""
    while raw.startswith(b"./") and len(raw) > 2:
        raw = raw[2:].lstrip(b"/") or b"."
    return escape(raw.rstrip(b"/") or raw[:1]).replace("!", "\\x21")


def _about(kind, text):
    """What a header says of the next one; what it says of all that follow (g) is comments and times."""
    if kind == b"L":
        return {"path": text.rstrip(b"\0")}
    if kind == b"K":
        return {"linkpath": text.rstrip(b"\0")}
    return {} if kind == b"g" else _pax(text)


def _pax(text):
    out = {}
    while text.strip(b"\0"):
        length, _blank, _rest = text.partition(b" ")
        try:
            record, text = text[: int(length)], text[int(length) :]
            key, value = record[len(length) + 1 : -1].split(b"=", 1)
            out[key.decode("utf-8", "replace")] = int(value) if key == b"size" else value
        except ValueError:
            raise Broken("an extended header is damaged") from None
        if int(length) < 5:
            raise Broken("an extended header is damaged")
    return out


def _skip_sparse_map(source, header):
    """GNU's old sparse files have blocks with the rest of their map behind the header."""
    more = header[482:483] not in (b"\0", b"")
    while more:
        more = source.exactly(UNIT, "a sparse file's map")[504:505] != b"\0"


def _padding(source, size):
    source.exactly(-size % UNIT, "a member's padding")


def _end(source):
    """Behind the first empty block only zeros may stand."""
    behind, zeros = 0, UNIT
    for block in iter(lambda: source.read(BLOCK), b""):
        behind += len(block.strip(b"\0"))
        zeros += len(block)
    if behind:
        raise Broken("%d bytes stand behind its end" % behind)
    if zeros < 2 * UNIT:
        raise Broken("it is cut short: its end mark is not whole")
