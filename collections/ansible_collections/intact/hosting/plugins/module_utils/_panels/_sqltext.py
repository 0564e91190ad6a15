# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""The rows in an SQL dump of mysqldump or pg_dump, read as text: no server is needed to know what a dump says."""

from __future__ import annotations

import re

_NAME = rb"(?:`(?P<%s>(?:[^`]|``)+)`|\"(?P<%sq>(?:[^\"]|\"\")+)\"|(?P<%sp>[\w$]+))"


def _named(key):
    return _NAME % (key, key, key)


_SCHEMA = rb"(?:(?:\"[^\"]+\"|\w+)\.)?"
_CREATE = re.compile(rb"CREATE (?:UNLOGGED )?TABLE (?:IF NOT EXISTS )?" + _SCHEMA + _named(b"t") + rb" \(")
_INSERT = re.compile(rb"INSERT INTO " + _SCHEMA + _named(b"t") + rb"(?: \((?P<columns>[^)]*)\))? VALUES ?")
_COPY = re.compile(rb"COPY " + _SCHEMA + _named(b"t") + rb" \((?P<columns>.*)\) FROM stdin;")
_COLUMN = re.compile(rb"\s+" + _named(b"c") + rb"\s+(?P<type>\w+)")
_LISTED = re.compile(_named(b"c"))
_NO_COLUMN = (b"PRIMARY", b"UNIQUE", b"KEY", b"CONSTRAINT", b"FULLTEXT", b"SPATIAL", b"CHECK", b"FOREIGN", b"PERIOD", b"EXCLUDE", b"LIKE")
_VALUE = re.compile(
    rb"\s*(?:(?P<null>NULL)|(?P<hex>0x[0-9A-Fa-f]+)|(?P<binary>_binary )?'(?P<text>[^'\\]*(?:(?:\\.|'')[^'\\]*)*)'|(?P<number>[-+0-9.eE]+))\s*(?P<next>[,)])",
    re.DOTALL,
)
_ESCAPES = {b"0": b"\0", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"Z": b"\x1a", b"f": b"\f", b"v": b"\v"}
_BACKSLASH = re.compile(rb"\\(.)|''", re.DOTALL)
_BYTES = {"blob", "tinyblob", "mediumblob", "longblob", "binary", "varbinary", "bytea"}


def rows(lines, wanted):
    """{table: [{column: None, text, or bytes of a binary column}]} of these tables; one that the dump does not make is left out.

    lines: the dump, line by line, as bytes: the programs write one statement of rows, or one row, to a line.
    """
    out, types, copying, creating, inserting = {}, {}, None, None, None
    for line in lines:
        if copying:
            copying = _copied(line, out, types, *copying)
            continue
        if inserting:
            _added(line, out, types, *inserting)
            inserting = None if line.rstrip().endswith(b";") else inserting
            continue
        if creating:
            creating = None if not _column(line, types[creating]) else creating
            continue
        start = line[:7]
        if start == b"CREATE ":
            name = _of(_CREATE.match(line), "t")
            if name in wanted:
                creating = name
                types[name], out[name] = {}, []
        elif start == b"INSERT ":
            match = _INSERT.match(line)
            name = _of(match, "t")
            if name in out:
                columns = [_of(m, "c") for m in _LISTED.finditer(match.group("columns"))] if match.group("columns") else list(types[name])
                out[name] += [_row(columns, values, types[name]) for values in _inserted(line, match.end())]
            # since 10.11 each row has a line of its own
            inserting = (name if name in out else None, columns if name in out else []) if not line.rstrip().endswith(b";") else None
        elif line[:5] == b"COPY ":
            match = _COPY.match(line)
            name = _of(match, "t")
            if name in out:
                copying = (name, [_of(m, "c") for m in _LISTED.finditer(match.group("columns"))])
            elif match:
                copying = (None, [])
    return out


def _added(line, out, types, name, columns):
    """Put the rows of a line that goes on with an INSERT where they belong; name: None for a table that nobody wants."""
    if name is not None:
        out[name] += [_row(columns, values, types[name]) for values in _inserted(line, 0)]


def _of(match, key):
    if not match:
        return None
    name = match.group(key)
    if name is not None:
        name = name.replace(b"``", b"`")
    elif match.group(key + "q") is not None:
        name = match.group(key + "q").replace(b'""', b'"')
    else:
        name = match.group(key + "p")
    return name.decode("utf-8", "surrogateescape")


def _column(line, types):
    """Note one line of CREATE TABLE; False at its end."""
    if line.startswith(b")"):
        return False
    match = _COLUMN.match(line)
    if match and (match.group("c") or match.group("cq") or match.group("cp") not in _NO_COLUMN):
        types[_of(match, "c")] = match.group("type").lower()
    return True


def _inserted(line, place):
    """Lists of raw values: None, (True, bytes of a binary one) or (False, bytes)."""
    while line[place : place + 1] == b"(":
        values, place = [], place + 1
        while True:
            match = _VALUE.match(line, place)
            if not match:
                raise ValueError("a row that can't be read")
            place = match.end()
            if match.group("null"):
                values.append(None)
            elif match.group("hex"):
                values.append((True, bytes.fromhex(match.group("hex")[2:].decode())))
            elif match.group("number") is not None:
                values.append((False, match.group("number")))
            else:
                values.append((bool(match.group("binary")), _BACKSLASH.sub(_unescaped, match.group("text"))))
            if match.group("next") == b")":
                break
        yield values
        if line[place : place + 1] != b",":
            return
        place += 1


def _unescaped(match):
    char = match.group(1)
    return b"'" if char is None else _ESCAPES.get(char, char)


def _copied(line, out, types, name, columns):
    line = line.rstrip(b"\n")
    if line == b"\\.":
        return None
    if name is not None:
        values = []
        for field in line.split(b"\t"):
            values.append(None if field == b"\\N" else (False, _BACKSLASH.sub(_unescaped, field) if b"\\" in field else field))
        out[name].append(_row(columns, values, types[name]))
    return name, columns


def _row(columns, values, types):
    if len(columns) != len(values):
        raise ValueError("a row with %d values for %d columns" % (len(values), len(columns)))
    return {column: _plain(value, types.get(column, b"")) for column, value in zip(columns, values)}


def _plain(value, kind):
    if value is None:
        return None
    binary, raw = value
    kind = kind.decode("utf-8", "replace")
    if binary or (kind in _BYTES and not raw.startswith(b"\\x")):
        return raw
    return of_postgresql(raw.decode("utf-8", "surrogateescape"), kind)


def of_postgresql(text, kind):
    """A value that PostgreSQL wrote as text: bytes, a truth, a number and all other texts as every other server's are given here."""
    if text is None:
        return None
    if kind == "bytea" and text.startswith("\\x"):
        return bytes.fromhex(text[2:])
    if kind == "boolean":
        return {"t": "1", "true": "1", "f": "0", "false": "0"}.get(text, text)
    return number(text) if kind.startswith(("float", "double", "real")) else text


def number(value):
    """A number as text, the same from every server: 30.0 is 30."""
    try:
        held = float(value)
    except ValueError:
        return str(value)
    return str(int(held)) if held == int(held) else repr(held)
