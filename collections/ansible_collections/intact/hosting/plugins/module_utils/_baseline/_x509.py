# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""As much of X.509 as it takes to tell two certificates apart: a walk over DER (RFC 5280). Pure."""

from __future__ import annotations

import base64
import datetime
import hashlib
import ipaddress
import re

PEM = re.compile(r"-----BEGIN CERTIFICATE-----\s+(.+?)-----END CERTIFICATE-----", re.DOTALL)
COMMON_NAME, ORGANISATION, SUBJECT_ALT_NAME = "550403", "55040a", "551d11"


def element(data, offset):
    """(tag, start of the content, end) of the DER element at offset."""
    tag, length, start = data[offset], data[offset + 1], offset + 2
    if length & 0x80:
        count = length & 0x7F
        length = int.from_bytes(data[start : start + count], "big")
        start += count
    if start + length > len(data):
        raise ValueError("the certificate is cut off")
    return tag, start, start + length


def children(data, start, end):
    """[(tag, offset, content start, end)] of the elements in a constructed one."""
    out = []
    while start < end:
        tag, inner, stop = element(data, start)
        out.append((tag, start, inner, stop))
        start = stop
    return out


def _name(data, start, end):
    parts = {}
    for _tag, _offset, inner, stop in children(data, start, end):
        for _t, _o, begin, finish in children(data, inner, stop):
            kind, value = children(data, begin, finish)[:2]
            parts[data[kind[2] : kind[3]].hex()] = data[value[2] : value[3]].decode("utf-8", "replace")
    return parts.get(COMMON_NAME) or parts.get(ORGANISATION) or ""


def _moment(tag, text):
    form = "%y%m%d%H%M%SZ" if tag == 0x17 else "%Y%m%d%H%M%SZ"
    return datetime.datetime.strptime(text.decode(), form).replace(tzinfo=datetime.timezone.utc)


def _alternatives(data, start, end):
    out = []
    for _tag, _offset, inner, stop in children(data, start, end):
        fields = children(data, inner, stop)
        if data[fields[0][2] : fields[0][3]].hex() != SUBJECT_ALT_NAME:
            continue
        value = fields[-1]
        _t, begin, finish = element(data, value[2])
        for tag, _o, first, last in children(data, begin, finish):
            if tag == 0x82:
                out.append(data[first:last].decode("ascii", "replace").lower())
            elif tag == 0x87 and last - first in (4, 16):
                out.append(str(ipaddress.ip_address(data[first:last])))
    return out


def read(der):
    """{key, certificate, subject, issuer, names, not_after (datetime), self_signed} of one certificate; ValueError when it can't be read.

    key: SHA-256 of the public key's SPKI; certificate: SHA-256 of the whole.
    """
    try:
        _tag, start, end = element(der, 0)
        _tag, start, end = element(der, start)
        fields = children(der, start, end)
        if fields[0][0] == 0xA0:
            fields = fields[1:]
        _serial, _algorithm, issuer, validity, subject, key = fields[:6]
        until = children(der, validity[2], validity[3])[1]
        names = []
        for tag, _offset, inner, _stop in fields[6:]:
            if tag == 0xA3:
                _t, first, last = element(der, inner)
                names = _alternatives(der, first, last)
        common = _name(der, subject[2], subject[3])
        return {
            "key": hashlib.sha256(der[key[1] : key[3]]).hexdigest(),
            "certificate": hashlib.sha256(der).hexdigest(),
            "subject": common,
            "issuer": _name(der, issuer[2], issuer[3]),
            "names": sorted(set(names or [common.lower()])),
            "not_after": _moment(until[0], der[until[2] : until[3]]),
            "self_signed": der[issuer[1] : issuer[3]] == der[subject[1] : subject[3]],
        }
    except (IndexError, UnicodeDecodeError) as exc:
        raise ValueError("not a certificate: %s" % exc) from exc


def from_pem(text):
    """The DER bytes of each certificate in a text."""
    return [base64.b64decode("".join(block.split())) for block in PEM.findall(text)]
