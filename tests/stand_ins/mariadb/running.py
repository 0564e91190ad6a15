# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A running MariaDB that keeps the databases, where the stand-in keeps files otherwise. The file stand-in/server names an option file for its client."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import signal
import subprocess

from stand_ins.kit import switched, text

SYSTEM = ("information_schema", "mysql", "performance_schema", "sys")
# what a panel of those days did not know of: its own values go in as they are
LENIENT = "SET SESSION sql_mode = ''"


class Down(Exception):
    """The server does not answer, or does not know what was said to it; in the client's words."""


def options(root):
    """The option file, "" when there is no such server."""
    return text(root, "/stand-in/server").strip()


def argv(root, *words):
    """A command line of the real client."""
    return ["mariadb", "--defaults-file=" + options(root), "--default-character-set=utf8mb4", "--batch", *words]


def plain(value):
    """What the client escapes in a column."""
    return re.sub(r"\\([nt0\\])", lambda found: {"n": "\n", "t": "\t", "0": "\0"}.get(found.group(1), found.group(1)), value)


def literal(value):
    """A value in a statement."""
    return "NULL" if value is None else "'%s'" % str(value).replace("\\", "\\\\").replace("'", "''").replace("\0", "\\0")


def filled(statement, values):
    """A statement with its values in the places of the question marks."""
    parts = statement.split("?")
    assert len(parts) == len(values) + 1, statement
    return parts[0] + "".join(literal(value) + part for value, part in zip(values, parts[1:], strict=True))


class Session:
    """One client for many questions: a restore asks hundreds."""

    def __init__(self, root, *words):
        pipe = subprocess.PIPE
        self._client = subprocess.Popen(argv(root, "--unbuffered", *words), stdin=pipe, stdout=pipe, stderr=pipe)
        self.ask(LENIENT)

    def __enter__(self):
        return self

    def __exit__(self, *_exc):
        self._client.communicate()

    def ask(self, statement):
        """Rows, the names of the columns first; [] when there are none. Raises Down."""
        mark, lines = "mark%s" % secrets.token_hex(8), []
        with contextlib.suppress(BrokenPipeError):
            self._client.stdin.write(("%s;\nSELECT 1 AS %s;\n" % (statement, mark)).encode("utf-8", "surrogateescape"))
            self._client.stdin.flush()
        for line in self._client.stdout:
            if line == mark.encode() + b"\n":
                self._client.stdout.readline()
                return [[plain(value) for value in row.decode("utf-8", "surrogateescape").split("\t")] for row in lines]
            lines.append(line[:-1])
        raise Down(self._client.communicate()[1].decode("utf-8", "backslashreplace").strip() or "the client ended")

    def rows(self, statement):
        """[{column: text}]."""
        told = self.ask(statement)
        return [dict(zip(told[0], row, strict=True)) for row in told[1:]]


def run(root, script, *words):
    """A script to its end. Raises Down."""
    done = subprocess.run(argv(root, *words), input=script.encode("utf-8", "surrogateescape"), capture_output=True, check=False)
    if done.returncode:
        raise Down(done.stderr.decode("utf-8", "backslashreplace").strip())


def make(root, database, tables):
    """A database; tables: {name: (columns, rows)}."""
    out = ["CREATE DATABASE `%s` CHARACTER SET utf8mb4" % database]
    for name, (columns, rows) in tables.items():
        out.append("CREATE TABLE `%s`.`%s` (%s)" % (database, name, ", ".join("`%s` text" % column for column in columns)))
        out += ["INSERT INTO `%s`.`%s` VALUES (%s)" % (database, name, ", ".join(literal(value) for value in row)) for row in rows]
    run(root, "".join(line + ";\n" for line in out))


def databases(root):
    """Names of all that are not the server's own."""
    with Session(root) as session:
        return [row[0] for row in session.ask("SHOW DATABASES")[1:] if row[0] not in SYSTEM]


def tables(root, database):
    """{table: (columns, rows)} of a database."""
    out = {}
    with Session(root, database) as session:
        for (name,) in session.ask("SHOW TABLES")[1:]:
            columns = [row[0] for row in session.ask("SHOW COLUMNS FROM `%s`" % name)[1:]]
            out[name] = (columns, [tuple(None if value == "NULL" else value for value in row) for row in session.ask("SELECT * FROM `%s`" % name)[1:]])
    return out


def dump_text(root, database):
    """(a dump by the server's own program, its exit status), with the failures that are switched on."""
    words = ["mariadb-dump", "--defaults-file=" + options(root), "--default-character-set=utf8mb4", "--complete-insert"]
    words += ["--no-data"] if switched(root, "mysql-dump-silent") == database else []
    done = subprocess.run([*words, database], capture_output=True, check=False)
    told = done.stdout.decode("utf-8", "surrogateescape")
    if switched(root, "mysql-dump-broken") == database:
        return told[: len(told) * 2 // 3], 3
    return told, done.returncode


def kill(root):
    """The server ends as by a power failure."""
    with Session(root) as session:
        place = session.rows("SELECT @@datadir AS data, @@pid_file AS file")[0]
    with open(os.path.join(place["data"], place["file"]), encoding="ascii") as handle:
        os.kill(int(handle.read()), signal.SIGKILL)
