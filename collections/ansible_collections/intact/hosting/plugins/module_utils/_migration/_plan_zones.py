# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""DNS zones of a system that does not run, from named.conf and the zone files: records in one form, whoever wrote them. Works on a Rooted as on a System."""

from __future__ import annotations

import hashlib
import posixpath
import re

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _webconf

CONF = ("/etc/named.conf", "/etc/bind/named.conf")
BASES = ("/var/named/chroot", "")
MOST_INCLUDES = 2000
# Zones that a distribution brings.
SHIPPED = re.compile(r"(\.|localhost|localdomain|.*\.localdomain|(0|127|255)(\.[0-9]+)*\.in-addr\.arpa|[0-9a-f.]*ip6\.arpa)\Z", re.IGNORECASE)
TYPES_WITH_NAME = {"NS": (0,), "CNAME": (0,), "PTR": (0,), "DNAME": (0,), "MX": (1,), "SRV": (3,), "SOA": (0, 1)}
_COMMENTS = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
_TTL = re.compile(r"(\d+[smhdw]?)+\Z", re.IGNORECASE)
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_CLASSES = ("IN", "CH", "HS")
_WORD = re.compile(r"\"(?:\\.|[^\"\\])*\"|[()]|;[^\n]*|\n|[^\S\n]+|(?:\\.|[^\s();\"\\])+|\\")


def zones(system):
    """{zone: {type, file (as it lies), text, config}}: zones of named.conf that are no distribution's. A file that is not there has text ""."""
    out = {}
    for base in BASES:
        for conf in CONF:
            if system.text(base + conf):
                blocks = _blocks(system, base, base + conf)
                directory = next((c.words[1] for b in blocks if b.words[0] == "options" for c in b.find("directory") if len(c.words) > 1), "/var/named")
                for block in _all(blocks):
                    if block.words[0] == "zone" and len(block.words) > 1 and block.children is not None:
                        name = block.words[1].rstrip(".").lower() or "."
                        if SHIPPED.match(name):
                            continue
                        file = posixpath.normpath(posixpath.join(directory, block.value("file"))) if block.value("file") else ""
                        path = base + file if file and base and not file.startswith(base) else file
                        text = system.text(path) if path else ""
                        out.setdefault(name, {"type": block.value("type", "master"), "file": path, "text": text, "config": block.file})
    return out


def _blocks(system, base, path, seen=None):
    seen = set() if seen is None else seen
    if path in seen or len(seen) > MOST_INCLUDES:
        return []
    seen.add(path)
    out = []
    for block in _webconf.nginx_parse(_COMMENTS.sub(" ", system.text(path)), path):
        if block.words[0] == "include" and len(block.words) > 1:
            inner = block.words[1] if block.words[1].startswith("/") else posixpath.join("/etc/bind", block.words[1])
            out += _blocks(system, base, base + inner, seen)
        else:
            out.append(block)
    return out


def _all(blocks):
    """Statements, those in views included."""
    for block in blocks:
        yield block
        if block.words[0] == "view":
            yield from block.children or []


def primary(zone):
    """Whether a zone's records are kept on this host."""
    return zone["type"] in ("master", "primary")


def records(text, origin):
    """(serial, sorted records (owner, ttl, type, data)) of a zone file; ValueError names the first line that is none. $GENERATE stays as it is."""
    origin, ttl, owner, serial, out = origin.rstrip(".").lower() + ".", "", "", 0, []
    top = origin
    for indented, words in _lines(text):
        if words[0].upper() == "$ORIGIN":
            origin = _name(words[1], origin)
        elif words[0].upper() == "$TTL":
            ttl = _seconds(words[1])
        elif words[0].startswith("$"):
            out.append((origin, "", words[0].upper(), " ".join(words[1:])))
        else:
            if not indented:
                owner = _name(words.pop(0), origin)
            own = ttl
            while words and (words[0].upper() in _CLASSES or _TTL.match(words[0])):
                own = _seconds(words[0]) if words[0].upper() not in _CLASSES else own
                words.pop(0)
            if not words or not owner:
                raise ValueError("a record of %s has no type" % (owner or top))
            kind, data = words[0].upper(), words[1:]
            for place in TYPES_WITH_NAME.get(kind, ()):
                if place < len(data):
                    data[place] = _name(data[place], origin)
            if kind == "SOA" and len(data) > 2:
                serial, ttl = int(data.pop(2)), ttl or _seconds(data[-1])
                data = data[:2] + [_seconds(word) for word in data[2:]]
                own = own or ttl
            out.append((owner, own, kind, " ".join(data)))
    return serial, sorted(set(out))


def told(zone, name):
    """{records, digest, serial} of a zone, or {"unreadable": why}: the attributes by which two are compared."""
    if not primary(zone):
        return {"type": "slave"}
    try:
        serial, found = records(zone["text"], name)
    except (ValueError, IndexError) as exc:
        return {"unreadable": str(exc)[:200]}
    if not any(record[2] == "SOA" for record in found):
        return {"unreadable": "there is no SOA record" if zone["text"] else "there is no file %s" % zone["file"]}
    plain = "\n".join(" ".join(record) for record in found)
    return {"type": "master", "records": len(found), "digest": hashlib.sha256(plain.encode("utf-8", "surrogateescape")).hexdigest(), "serial": serial}


def _lines(text):
    """(begins with a blank, words) of each record, parentheses and comments taken away."""
    words, depth, indented, fresh = [], 0, False, True
    for match in _WORD.finditer(text + "\n"):
        word = match.group(0)
        if word == "\n":
            if words and not depth:
                yield indented, words
                words = []
            fresh = fresh if depth else True
            indented = indented if depth else False
        elif word == "(":
            depth += 1
        elif word == ")":
            depth = max(0, depth - 1)
        elif word.startswith(";"):
            continue
        elif word.isspace():
            indented = indented or (fresh and not words)
        else:
            words.append(word)
        if word != "\n":
            fresh = False
    if words:
        raise ValueError("a parenthesis is not closed")


def _name(word, origin):
    word = word.lower()
    return origin if word == "@" else word if word.endswith(".") else "%s.%s" % (word, origin.lstrip(".")) if origin != "." else word + "."


def _seconds(word):
    if word.isdigit():
        return str(int(word))
    return str(sum(int(number) * _UNITS[unit.lower() or "s"] for number, unit in re.findall(r"(\d+)([smhdwSMHDW]?)", word)))
