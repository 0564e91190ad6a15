# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""DNS messages over TCP, as far as asking one's own server needs them (RFC 1035, 3597, 4034, 5936). Pure."""

from __future__ import annotations

import base64
import ipaddress
import struct

TYPES = {
    "A": 1,
    "NS": 2,
    "CNAME": 5,
    "SOA": 6,
    "PTR": 12,
    "HINFO": 13,
    "MX": 15,
    "TXT": 16,
    "RP": 17,
    "AFSDB": 18,
    "AAAA": 28,
    "LOC": 29,
    "SRV": 33,
    "NAPTR": 35,
    "DNAME": 39,
    "DS": 43,
    "SSHFP": 44,
    "RRSIG": 46,
    "NSEC": 47,
    "DNSKEY": 48,
    "NSEC3": 50,
    "NSEC3PARAM": 51,
    "TLSA": 52,
    "SMIMEA": 53,
    "CDS": 59,
    "CDNSKEY": 60,
    "OPENPGPKEY": 61,
    "ZONEMD": 63,
    "SVCB": 64,
    "HTTPS": 65,
    "SPF": 99,
    "AXFR": 252,
    "CAA": 257,
}
NAMES = {number: name for name, number in TYPES.items()}
RCODES = {0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED", 9: "NOTAUTH"}


class Malformed(ValueError):
    """The server's message can't be read."""


def type_number(name):
    """Number of a record type, TYPEnnn included."""
    if name in TYPES:
        return TYPES[name]
    if name.startswith("TYPE") and name[4:].isdigit():
        return int(name[4:])
    raise Malformed("record type %s is unknown" % name)


def type_name(number):
    """Name of a record type."""
    return NAMES.get(number, "TYPE%d" % number)


def labels(name):
    r"""The labels of a name in text form (\. and \DDD understood), as bytes."""
    out, current, index = [], bytearray(), 0
    raw = name.encode("utf-8", "surrogateescape")
    if raw == b".":
        return []
    while index < len(raw):
        char = raw[index : index + 1]
        if char == b"\\":
            if raw[index + 1 : index + 4].isdigit():
                current.append(int(raw[index + 1 : index + 4]) & 255)
                index += 4
                continue
            current += raw[index + 1 : index + 2]
            index += 2
            continue
        if char == b".":
            out.append(bytes(current))
            current = bytearray()
        else:
            current += char
        index += 1
    if current:
        out.append(bytes(current))
    return out


def encode_name(name):
    """A name in wire form."""
    out = b""
    for label in labels(name):
        if not 0 < len(label) < 64:
            raise Malformed("%s is no domain name" % name)
        out += bytes([len(label)]) + label
    return out + b"\0"


def label_text(label):
    """One label as text, odd bytes as BIND writes them, lower case."""
    out = []
    for byte in label.lower():
        char = chr(byte)
        if char in '."();@$\\':
            out.append("\\" + char)
        elif 33 <= byte <= 126:
            out.append(char)
        else:
            out.append("\\%03d" % byte)
    return "".join(out)


def decode_name(message, offset):
    """(name with its final dot, offset behind it)."""
    parts, jumped, hops = [], None, 0
    while True:
        if offset >= len(message):
            raise Malformed("a name ends outside the message")
        length = message[offset]
        if length & 0xC0 == 0xC0:
            if jumped is None:
                jumped = offset + 2
            offset = ((length & 0x3F) << 8) | message[offset + 1]
            hops += 1
            if hops > 128:
                raise Malformed("a name points at itself")
        elif length == 0:
            return ".".join(parts) + ".", (offset + 1 if jumped is None else jumped)
        else:
            parts.append(label_text(message[offset + 1 : offset + 1 + length]))
            offset += 1 + length


def query(name, kind, number=1, dnssec=False):
    """A question as it goes over TCP, with its length in front."""
    head = struct.pack("!HHHHHH", number, 0, 1, 0, 0, 1)
    # EDNS, so that DNSSEC records can be asked for
    edns = b"\0" + struct.pack("!HHIH", 41, 65535, 0x8000 if dnssec else 0, 0)
    body = head + encode_name(name) + struct.pack("!HH", type_number(kind), 1) + edns
    return struct.pack("!H", len(body)) + body


def rdata(message, kind, start, end):
    """A record's data as text that is equal exactly when the data is."""
    data = message[start:end]
    if kind == 1 and len(data) == 4 or kind == 28 and len(data) == 16:
        return str(ipaddress.ip_address(data))
    if kind in (2, 5, 12, 39):
        return decode_name(message, start)[0]
    if kind in (15, 18):
        return "%d %s" % (struct.unpack("!H", data[:2])[0], decode_name(message, start + 2)[0])
    if kind == 33:
        return "%d %d %d %s" % (struct.unpack("!HHH", data[:6]) + (decode_name(message, start + 6)[0],))
    if kind == 6:
        mname, offset = decode_name(message, start)
        rname, offset = decode_name(message, offset)
        return "%s %s %d %d %d %d %d" % ((mname, rname) + struct.unpack("!IIIII", message[offset : offset + 20]))
    if kind == 17:
        mbox, offset = decode_name(message, start)
        return "%s %s" % (mbox, decode_name(message, offset)[0])
    if kind in (16, 99):
        out, index = [], 0
        while index < len(data):
            out.append('"%s"' % "".join(chr(b) if 32 <= b <= 126 and b not in (34, 92) else "\\%03d" % b for b in data[index + 1 : index + 1 + data[index]]))
            index += 1 + data[index]
        return " ".join(out)
    if kind == 257 and len(data) > 2:
        length = data[1]
        return '%d %s "%s"' % (data[0], data[2 : 2 + length].decode("ascii", "replace"), data[2 + length :].decode("ascii", "replace"))
    if kind in (48, 60) and len(data) > 4:
        return "%d %d %d %s" % (struct.unpack("!HBB", data[:4]) + (base64.b64encode(data[4:]).decode(),))
    if kind in (43, 59) and len(data) > 4:
        return "%d %d %d %s" % (struct.unpack("!HBB", data[:4]) + (data[4:].hex(),))
    if kind == 46 and len(data) > 18:
        covered, algorithm, _count, _ttl, expires, begins, tag = struct.unpack("!HBBIIIH", data[:18])
        return "%s %d %d %d %d" % (type_name(covered), algorithm, tag, begins, expires)
    return "\\# %d %s" % (len(data), data.hex())


def parse(message):
    """{"rcode", "authoritative", "sections": [answer, authority, additional]}, each a list of (name, type, ttl, rdata)."""
    if len(message) < 12:
        raise Malformed("the message is too short")
    _number, flags, questions, answers, authority, additional = struct.unpack("!HHHHHH", message[:12])
    offset = 12
    try:
        for _question in range(questions):
            _name, offset = decode_name(message, offset)
            offset += 4
        sections = []
        for count in (answers, authority, additional):
            records = []
            for _record in range(count):
                name, offset = decode_name(message, offset)
                kind, _class, ttl, length = struct.unpack("!HHIH", message[offset : offset + 10])
                offset += 10
                if kind != 41:
                    records.append((name, type_name(kind), ttl, rdata(message, kind, offset, offset + length)))
                offset += length
            sections.append(records)
    except (struct.error, IndexError):
        raise Malformed("the message is cut off") from None
    return {"rcode": RCODES.get(flags & 15, "RCODE%d" % (flags & 15)), "authoritative": bool(flags & 0x0400), "sections": sections}
