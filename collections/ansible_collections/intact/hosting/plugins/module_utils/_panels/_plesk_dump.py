# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Plesk's own database as a dump: written row by row through a query function (rescue), and read back into its tables, whoever wrote it."""

from __future__ import annotations

import re

from ansible_collections.intact.hosting.plugins.module_utils._panels import _dumps
from ansible_collections.intact.hosting.plugins.module_utils._panels._plesk_sql import DATABASE, TABLES

_NUMBER = re.compile(r"(?:tiny|small|medium|big)?int|decimal|numeric|float|double|real|year", re.I)
_TEXT = re.compile(r"(?:var)?char|(?:tiny|medium|long)?text|enum|set", re.I)
_PLAIN = re.compile(rb"[ -&(-\[\]-~]*\Z")
_USE = re.compile(rb"(?:-- Current Database: |USE |-- Host: .*Database: )`?([^`;\s]+)`?;?\s*\Z", re.I)
_CREATE = re.compile(rb"CREATE TABLE (?:IF NOT EXISTS )?`?([\w$]+)`? \(", re.I)
_COLUMN = re.compile(rb"\s*`([^`]+)` ")
_INSERT = re.compile(rb"(?:INSERT|REPLACE)(?: IGNORE)? INTO `?([\w$]+)`?\s*(?:\(([^)]*)\))?\s*VALUES\s*", re.I)
_VALUE = re.compile(rb"([(),;])|(?:_\w+ )?[Xx]'([0-9A-Fa-f]*)'|0x([0-9A-Fa-f]*)|(?:_\w+ )?'((?:[^'\\]|\\.|'')*)'|([^\s(),;']+)", re.S)
_ESCAPED = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"0": b"\0", b"Z": b"\x1a", b"b": b"\b"}
LONGEST = 64 << 20
SHAPES = {"number": "`%s`", "bytes": "HEX(`%s`)", "text": "HEX(CONVERT(`%s` USING utf8))"}
HEAD = """-- MySQL dump of a Plesk database, made from its rows
--
-- Current Database: `%(name)s`
--

CREATE DATABASE /*!32312 IF NOT EXISTS*/ `%(name)s`;

USE `%(name)s`;
/*!40101 SET NAMES utf8 */;
/*!50503 SET NAMES utf8mb4 */;
"""
_WANTED = {name.lower(): name for name in TABLES}


def write(query, handle):
    """Write a dump of psa to a binary handle, and return {table: rows}. Values are carried as bytes in UTF-8, or as binary ones."""
    counted = {}
    handle.write(HEAD.encode() % {b"name": DATABASE.encode()})
    handle.write(b"SET FOREIGN_KEY_CHECKS=0;\nSET UNIQUE_CHECKS=0;\nSET SQL_MODE='NO_AUTO_VALUE_ON_ZERO';\n\n")
    for (table,) in [row[:1] for row in query(DATABASE, "SHOW TABLES")]:
        made = query(DATABASE, "SHOW CREATE TABLE `%s`" % table)[0][1]
        if not made.upper().startswith("CREATE TABLE"):
            continue
        columns = query(DATABASE, "SHOW COLUMNS FROM `%s`" % table)
        shapes = [_shape(made, column[0], column[1]) for column in columns]
        wanted = ", ".join(SHAPES[shape] % column[0] for column, shape in zip(columns, shapes))
        handle.write(("DROP TABLE IF EXISTS `%s`;\n%s;\n\n" % (table, made)).encode("utf-8", "surrogateescape"))
        counted[table] = 0
        for row in query(DATABASE, "SELECT %s FROM `%s`" % (wanted, table)):
            values = b",".join(_literal(value, shape) for value, shape in zip(row, shapes))
            handle.write(b"INSERT INTO `%s` VALUES (%s);\n" % (table.encode("utf-8", "surrogateescape"), values))
            counted[table] += 1
        handle.write(b"\n")
    handle.write(b"SET FOREIGN_KEY_CHECKS=1;\n-- Dump completed\n")
    return counted


def _shape(made, name, kind):
    """number, bytes as they are, or text in another charset than UTF-8, which is carried in that. made: the table's CREATE TABLE."""
    if _NUMBER.match(kind):
        return "number"
    if not _TEXT.match(kind):
        return "bytes"
    own = re.search(r"(?m)^\s*`%s` .*?CHARACTER SET (\w+)" % re.escape(name), made)
    whole = re.search(r"(?:DEFAULT )?CHARSET=(\w+)", made.rpartition(")")[2])
    charset = own.group(1) if own else whole.group(1) if whole else "binary"
    return "bytes" if charset in ("binary", "ascii", "utf8", "utf8mb3", "utf8mb4") else "text"


def _literal(value, shape):
    if value is None or value == "NULL":
        return b"NULL"
    if shape == "number":
        return value.encode("ascii") or b"NULL"
    raw = bytes.fromhex(value)
    if _PLAIN.match(raw):
        return b"'%s'" % raw
    return (b"_utf8 X'%s'" if shape == "text" else b"X'%s'") % raw.hex().encode()


class Scan:
    """feed(bytes), result(): what _dumps.Scan says, and "psa": {table: [{column: text}]} of the panel's tables, or None when the dump has none of them.

    A file that does not begin like a dump is passed over: its result() is None.
    """

    def __init__(self):
        self._head, self._told, self._line = b"", None, b""
        # until it says whose tables these are, they are a customer's
        self._database, self._create, self._insert, self._columns, self._row, self.psa = b"", "", None, {}, None, {}

    def feed(self, data):
        """The next bytes."""
        if self._told is None:
            self._head += data
            if len(self._head) < 64:
                return
            data = self._begin()
        if self._told:
            self._told.feed(data)
            self._lines(data)

    def _begin(self):
        data, self._head = self._head, b""
        self._told = _dumps.Scan() if data.startswith(tuple(head for head, _server in _dumps.SERVERS)) else False
        return data

    def result(self):
        """What was read; the end is here."""
        if self._told is None and self._head:
            data = self._begin()
            if self._told:
                self._told.feed(data)
                self._lines(data)
        if not self._told:
            return None
        self._lines(b"\n")
        return dict(self._told.result(), psa=self.psa or None)

    def _lines(self, data):
        lines = (self._line + data).split(b"\n")
        self._line = lines.pop()
        for line in lines:
            self._one(line)
        if len(self._line) > LONGEST:
            self._line = b""

    def _one(self, line):
        if self._insert:
            self._values(line)
            return
        if line.startswith((b"USE ", b"-- Current Database:", b"-- Host: ")):
            found = _USE.match(line)
            self._database = found.group(1) if found else self._database
        elif self._database.decode("latin-1") != DATABASE:
            return
        elif self._create:
            found = _COLUMN.match(line)
            if found:
                self._columns[self._create].append(found.group(1).decode("utf-8", "replace"))
            elif line.startswith(b")"):
                self._create = ""
        elif line[:13].upper() == b"CREATE TABLE ":
            found = _CREATE.match(line)
            name = _WANTED.get(found.group(1).decode("latin-1").lower()) if found else None
            if name:
                self._create, self._columns[name] = name, []
                self.psa.setdefault(name, [])
        elif line[:7].upper() in (b"INSERT ", b"REPLACE"):
            found = _INSERT.match(line)
            name = _WANTED.get(found.group(1).decode("latin-1").lower()) if found else None
            if name:
                named = [part.strip(b"` ").decode("utf-8", "replace") for part in (found.group(2) or b"").split(b",") if part.strip()]
                self._insert = (name, named or self._columns.get(name, []))
                self._row = None
                self._values(line[found.end() :])

    def _values(self, text):
        table, columns = self._insert
        wanted = {column.lower(): column for column in TABLES[table]}
        for mark, hexed, zero, quoted, bare in _VALUE.findall(text):
            if mark == b"(":
                self._row = []
            elif mark == b")" and self._row is not None:
                pairs = zip([column.lower() for column in columns], self._row)
                self.psa.setdefault(table, []).append({wanted[column]: value for column, value in pairs if column in wanted})
                self._row = None
            elif mark == b";" and self._row is None:
                self._insert = None
                return
            elif not mark and self._row is not None:
                self._row.append(_text(hexed or zero, quoted, bare))


def _text(hexed, quoted, bare):
    if bare:
        return "" if bare.upper() == b"NULL" else bare.decode("ascii", "replace")
    raw = bytes.fromhex(hexed.decode("ascii")) if hexed else re.sub(rb"\\(.)|'(')", _unescape, quoted, flags=re.S)
    return raw.decode("utf-8", "surrogateescape")


def _unescape(found):
    return b"'" if found.group(2) else _ESCAPED.get(found.group(1), found.group(1))
