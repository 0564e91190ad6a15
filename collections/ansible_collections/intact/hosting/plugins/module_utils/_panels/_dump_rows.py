# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Rows of some tables in an SQL dump of MySQL or MariaDB, read as the dump passes by: what a panel keeps of its customers is compared row by row."""

from __future__ import annotations

import re

from ansible_collections.intact.hosting.plugins.module_utils._panels import _dumps

# The programs write each row's newlines as \n: a line ends between rows, and a statement at the end of a line.
_INSERT = re.compile(rb"(?:INSERT|REPLACE)(?: IGNORE)? INTO `((?:[^`]|``)+)`(?: \(([^)]*)\))? VALUES?\s*")
_CREATE = re.compile(rb"CREATE TABLE (?:IF NOT EXISTS )?`((?:[^`]|``)+)` \(")
_COLUMN = re.compile(rb"\s+`((?:[^`]|``)+)` ")
_VALUE = re.compile(rb"\s*(?:_binary\s+|_utf8mb4\s+)?(?:'((?:[^'\\]|\\.|'')*)'|0x([0-9A-Fa-f]*)|([^,()'\s]+))\s*([,)])", re.S)
_ESCAPE = re.compile(rb"\\(.)|''", re.S)
_MEANT = {b"0": b"\0", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"Z": b"\x1a"}
LONGEST = 64 << 20


class Rows:
    """As _dumps.Scan, and beside what it says: rows {table: [{column: text}]} of the wanted {table: columns}. NULL is ""."""

    def __init__(self, wanted):
        self._scan, self._wanted = _dumps.Scan(), wanted
        self._held, self._length = [], 0
        self._columns, self._making, self._filling = {}, None, None
        self.rows, self.unreadable = {}, []

    def feed(self, data):
        """The next bytes of the dump."""
        self._scan.feed(data)
        first, newline, rest = data.partition(b"\n")
        self._hold(first)
        if newline:
            self._line(b"".join(self._held))
            lines = rest.split(b"\n")
            self._held, self._length = [], 0
            self._hold(lines.pop())
            for line in lines:
                self._line(line)

    def _hold(self, part):
        self._length += len(part)
        self._held = self._held + [part] if self._length <= LONGEST else []

    def result(self):
        """What Scan says, and rows; unreadable: tables of which a row could not be read."""
        if self._held:
            self._line(b"".join(self._held))
        return dict(self._scan.result(), rows=self.rows, unreadable=sorted(set(self.unreadable)))

    def _line(self, line):
        if self._filling is not None:
            self._values(line)
            return
        if self._making is not None:
            column = _COLUMN.match(line)
            if column:
                self._columns[self._making].append(_name(column.group(1)))
            elif line.startswith(b")"):
                self._making = None
            return
        made, filled = _CREATE.match(line), _INSERT.match(line)
        if made and _name(made.group(1)) in self._wanted:
            self._making = _name(made.group(1))
            self._columns[self._making] = []
            self.rows.setdefault(self._making, [])
        elif filled and _name(filled.group(1)) in self._wanted:
            table = _name(filled.group(1))
            named = re.findall(rb"`((?:[^`]|``)+)`", filled.group(2) or b"")
            self._filling = (table, [_name(column) for column in named] or self._columns.get(table, []))
            self.rows.setdefault(table, [])
            self._values(line[filled.end() :])

    def _values(self, text):
        """Rows of one line; the statement ends with its ; behind a row."""
        table, columns = self._filling
        place, size = 0, len(text)
        while True:
            while place < size and text[place : place + 1] in b", \t\r":
                place += 1
            if place >= size:
                return
            if text[place : place + 1] == b";":
                self._filling = None
                return
            if text[place : place + 1] != b"(":
                self._give_up(table)
                return
            place = self._row(table, columns, text, place + 1)
            if place < 0:
                self._give_up(table)
                return

    def _row(self, table, columns, text, place):
        values = []
        while True:
            found = _VALUE.match(text, place)
            if not found:
                return -1
            values.append(_text(found))
            place = found.end()
            if found.group(4) == b")":
                break
        if len(values) != len(columns):
            return -1
        self.rows[table].append({column: value for column, value in zip(columns, values) if column in self._wanted[table]})
        return place

    def _give_up(self, table):
        self.unreadable.append(table)
        self._filling = None


def _name(raw):
    return raw.replace(b"``", b"`").decode("utf-8", "surrogateescape")


def _text(found):
    string, hexed, bare = found.group(1), found.group(2), found.group(3)
    if string is not None:
        string = _ESCAPE.sub(lambda match: b"'" if match.group(1) is None else _MEANT.get(match.group(1), match.group(1)), string)
        return string.decode("utf-8", "surrogateescape")
    if hexed is not None:
        return bytes.fromhex(hexed.decode("ascii")).decode("utf-8", "surrogateescape")
    return "" if bare.upper() == b"NULL" else bare.decode("utf-8", "surrogateescape")
