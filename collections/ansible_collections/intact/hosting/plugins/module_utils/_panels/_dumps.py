# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What an SQL dump says: whether it is whole, and how many rows each of its tables has. It is read as it comes, in constant memory."""

from __future__ import annotations

import re

from ansible_collections.intact.hosting.plugins.module_utils._files import escape

# A line longer than this is no dump's: the largest packet of a server is 1 GiB, and nobody dumps with it.
LONGEST = 64 << 20
SERVERS = (
    (b"-- MySQL dump", "mysql"),
    (b"-- MariaDB dump", "mariadb"),
    (b"/*!999999\\- enable the sandbox mode", "mariadb"),
    (b"/*M!999999\\- enable the sandbox mode", "mariadb"),
    (b"-- PostgreSQL database", "postgresql"),
    (b"PRAGMA foreign_keys", "sqlite"),
)
# Programs that write their errors between the lines of a dump.
COMPLAINTS = (b"mysqldump:", b"mariadb-dump:", b"pg_dump:", b"pg_dumpall:", b"ERROR ")
_NAME = rb"((?:`(?:[^`]|``)+`|\"(?:[^\"]|\"\")+\"|[\w$.-]+)(?:\s*\.\s*(?:`(?:[^`]|``)+`|\"(?:[^\"]|\"\")+\"|[\w$-]+))?)"
_CREATE = re.compile(rb"CREATE (?:UNLOGGED )?TABLE (?:IF NOT EXISTS )?" + _NAME, re.I)
_INSERT = re.compile(rb"(?:INSERT|REPLACE)(?: IGNORE)? INTO " + _NAME, re.I)
_COPY = re.compile(rb"COPY " + _NAME + rb"(?: \(.*\))? FROM stdin;", re.I)
_USE = re.compile(rb"(?:USE |\\connect (?:-reuse-previous=on )?)(`[^`]+`|\"[^\"]+\"|'[^']+'|[^\s;]+);?\s*\Z")
_VALUES = re.compile(rb"\bVALUES\b", re.I)
# A row's parenthesis; one after a word is a function's.
_ROW = re.compile(rb"(?<![\w$])\(")
_DOLLAR = re.compile(rb"\$[A-Za-z_]*\$")
_END_OF_COPY = b"\\."


class Scan:
    """feed(bytes) as often as there is something, then result().

    result(): {"whole": bool, "why": why not, "tables": {name: rows}, "bytes": n, "server": "mysql" | "mariadb" | "postgresql" | "sqlite" | ""}.
    Tables of a dump that changes databases (USE, \\connect) are named database.table; PostgreSQL's schema public is left out of names.
    """

    def __init__(self):
        self.tables, self.bytes, self.server = {}, 0, ""
        self._held, self._length, self._long, self._complaint = [], 0, False, ""
        self._database, self._table, self._copy, self._values, self._quote = "", None, False, False, b""
        self._body = b""
        self._tail = []

    def feed(self, data):
        """The next bytes of the dump."""
        self.bytes += len(data)
        first, newline, rest = data.partition(b"\n")
        self._hold(first)
        if not newline:
            return
        self._line(b"".join(self._held))
        lines = rest.split(b"\n")
        self._held, self._length = [], 0
        self._hold(lines.pop())
        for line in lines:
            self._line(line)

    def _hold(self, part):
        self._held.append(part)
        self._length += len(part)
        if self._length > LONGEST:
            self._held, self._length, self._long = [], 0, True

    def result(self):
        """What was read; the end of the dump is here."""
        held, self._held, self._length = b"".join(self._held), [], 0
        if held:
            self._line(held)
        why = self._why()
        return {"whole": not why, "why": why, "tables": dict(sorted(self.tables.items())), "bytes": self.bytes, "server": self.server}

    def _why(self):
        if not self.bytes:
            return "it is empty"
        if self._complaint:
            return "the program that made it complains in it: %s" % self._complaint
        if self._long:
            return "it has a line longer than %d MiB" % (LONGEST >> 20)
        if self._table is not None:
            return "it ends in the middle of table %s" % self._table
        last = [line for line in self._tail if line not in (b"", b"--") and not line.startswith(b"\\unrestrict")]
        end = last[-1] if last else b""
        if self.server == "postgresql":
            good = end.startswith((b"-- PostgreSQL database dump complete", b"-- PostgreSQL database cluster dump complete"))
        elif self.server == "sqlite":
            good = end == b"COMMIT;"
        else:
            good = end.startswith(b"-- Dump completed")
        return "" if good else "its last line is missing: it is cut short, or was made without comments"

    def _line(self, line):
        if self._copy:
            if line.rstrip(b"\r") == _END_OF_COPY:
                self._table, self._copy = None, False
            else:
                self.tables[self._table] += 1
            return
        if self._table is not None:
            self._rows(line + b"\n")
            return
        line = line.rstrip(b"\r")
        self._tail = (self._tail + [line])[-8:]
        if not self.server:
            self.server = next((name for head, name in SERVERS if line.startswith(head)), "")
        if not line.startswith(b"--") and not self._in_body(line):
            self._statement(line)

    def _in_body(self, line):
        """Whether the line is of a routine or trigger: what stands there is not done now."""
        if self._body:
            if self._body in line:
                self._body = b""
            return True
        if line.startswith(b"DELIMITER ") and line.split()[1:] != [b";"]:
            self._body = b"DELIMITER ;"
        elif self.server == "postgresql":
            marks = _DOLLAR.findall(line)
            self._body = marks[-1] if len(marks) % 2 else b""
        return bool(self._body)

    def _statement(self, line):
        start = line[:7].upper()
        if start == b"INSERT " or start == b"REPLACE":
            match = _INSERT.match(line)
            if match:
                self._table, self._values = self._known(match.group(1)), False
                self._rows(line[match.end() :] + b"\n")
        elif start == b"CREATE ":
            match = _CREATE.match(line)
            if match:
                self._known(match.group(1))
        elif start.startswith(b"COPY "):
            match = _COPY.match(line)
            if match:
                self._table, self._copy = self._known(match.group(1)), True
        elif start.startswith((b"USE ", b"\\CONNEC")):
            match = _USE.match(line)
            self._database = escape(match.group(1).strip(b"`\"'")) if match else self._database
        elif line.startswith(COMPLAINTS):
            self._complaint = self._complaint or line[:200].decode("utf-8", "backslashreplace")

    def _known(self, raw):
        parts = [part.strip().strip(b'`"') for part in re.findall(rb"`(?:[^`]|``)+`|\"(?:[^\"]|\"\")+\"|[\w$-]+", raw)]
        parts = parts[1:] if len(parts) > 1 and parts[0] == b"public" else parts
        name = ".".join(([self._database] if self._database and len(parts) == 1 else []) + [escape(part) for part in parts])
        self.tables.setdefault(name, 0)
        return name

    def _rows(self, text):
        """Count the rows in the next part of an INSERT; strings go first, as they may hold anything."""
        text = self._without_strings(text)
        if not self._values:
            match = _VALUES.search(text)
            self._values, text = bool(match), text[match.end() :] if match else text
        if self._values:
            self.tables[self._table] += len(_ROW.findall(text))
        if not self._quote and text.rstrip().endswith(b";"):
            self._table = None

    def _without_strings(self, text):
        backslash = self.server not in ("postgresql", "sqlite")
        if self._quote:
            rest = (_REST_MYSQL if backslash else _REST_PLAIN)[self._quote].match(text)
            if not rest:
                return b""
            text, self._quote = text[rest.end() :], b""
        text = (_STRING_MYSQL if backslash else _STRING_PLAIN).sub(b"", text)
        opened = re.search(rb"['\"`]", text)
        if opened:
            self._quote, text = opened.group(), text[: opened.start()]
        return text


# MySQL takes a backslash before a quote for an escape, the others don't; a doubled quote is two strings side by side, which counts the same.
_SINGLE, _DOUBLE = rb"[^'\\]*(?:\\.[^'\\]*)*'", rb"[^\"\\]*(?:\\.[^\"\\]*)*\""
_STRING_MYSQL = re.compile(rb"'" + _SINGLE + rb"|\"" + _DOUBLE + rb"|`[^`]*`", re.S)
_STRING_PLAIN = re.compile(rb"'[^']*'|\"[^\"]*\"|`[^`]*`", re.S)
_REST_MYSQL = {b"'": re.compile(_SINGLE, re.S), b'"': re.compile(_DOUBLE, re.S), b"`": re.compile(rb"[^`]*`")}
_REST_PLAIN = {b"'": re.compile(rb"[^']*'"), b'"': re.compile(rb"[^\"]*\""), b"`": re.compile(rb"[^`]*`")}
