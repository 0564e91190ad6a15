# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the stand-in keeps its tables: a database `psa` of the MariaDB stand-in (SQLite files), or of a real server when one was named at the install.

SHOW is answered here for SQLite, as a MySQL would.
"""

from __future__ import annotations

import os
import re
import sqlite3
import sys
from pathlib import Path

from stand_ins import mariadb
from stand_ins.kit import put, real, switched
from stand_ins.mariadb import clients, running
from stand_ins.plesk.world import schema

REFUSED = "ERROR 2002 (HY000): Can't connect to local server through socket '/run/mysqld/mysqld.sock' (2)"


def path(root, database="psa"):
    """The SQLite file of a database."""
    return real(root, "%s/%s/stand-in.sqlite" % (mariadb.STORE, database))


def create(root, world):
    """Make psa and the customers' databases."""
    for name, tables in world.databases.items():
        mariadb.make(root, name, tables)
    if running.options(root):
        running.run(root, script(world))
        return
    place = Path(path(root))
    place.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(str(place))
    for table, columns in schema(world.major).items():
        connection.execute("CREATE TABLE `%s` (%s)" % (table, ", ".join("`%s` text" % column for column in columns)))
        rows = [tuple(row[column] for column in columns) for row in world.tables[table]]
        connection.executemany("INSERT INTO `%s` VALUES (%s)" % (table, ", ".join("?" * len(columns))), rows)
    connection.commit()
    connection.close()


def script(world):
    """The same as statements for a real server."""
    out = ["CREATE DATABASE psa CHARACTER SET utf8mb4;", "USE psa;"]
    for table, columns in schema(world.major).items():
        out.append("CREATE TABLE `%s` (%s) ENGINE=InnoDB;" % (table, ", ".join("`%s` %s" % pair for pair in columns.items())))
        for row in world.tables[table]:
            values = ", ".join("NULL" if columns[name] == "date" else "'%s'" % value.replace("\\", "\\\\").replace("'", "''") for name, value in row.items())
            out.append("INSERT INTO `%s` VALUES (%s);" % (table, values))
    return "\n".join(out) + "\n"


Down = running.Down


class Store:
    """rows(table) -> [{column: text}]; run(statements) changes it."""

    def __init__(self, root):
        self.root = root
        if switched(root, "mysql-refused"):
            raise Down(REFUSED)
        self.server = running.Session(root, "psa") if running.options(root) else None
        self._tables = {row[0] for row in self.server.ask("SHOW TABLES")} if self.server else set()

    def rows(self, table):
        if self.server and table not in self._tables:
            return []
        if self.server:
            return self.server.rows("SELECT * FROM `%s`" % table)
        connection = sqlite3.connect(path(self.root))
        connection.row_factory = sqlite3.Row
        try:
            return [dict(row) for row in connection.execute("SELECT * FROM `%s`" % table)]
        except sqlite3.OperationalError:
            return []
        finally:
            connection.close()

    def run(self, *statements):
        if self.server:
            for statement, *values in statements:
                self.server.ask(running.filled(statement, values))
            return
        connection = sqlite3.connect(path(self.root))
        for statement, *values in statements:
            connection.execute(statement, values)
        connection.commit()
        connection.close()


def client(root, arguments, given=None):
    """The database's client: -e QUERY or a script on its standard input; the exit status."""
    if switched(root, "mysql-refused"):
        print(REFUSED, file=sys.stderr)
        return 1
    server = running.options(root)
    if server:
        os.execvp("mariadb", ["mariadb", "--defaults-file=" + server, *arguments, "psa"])
    words = list(arguments)
    query = words[words.index("-e") + 1] if "-e" in words else None
    if query is None:
        return _script(root, (given if given is not None else sys.stdin.buffer.read()).decode("utf-8", "surrogateescape"))
    connection = clients._open(root, set(mariadb.databases(root)))
    for statement in clients.statements(query):
        if not statement or statement.startswith("START TRANSACTION"):
            continue
        rows = _show(root, statement)
        try:
            rows = connection.execute(_inside(statement)).fetchall() if rows is None else rows
        except sqlite3.Error as exc:
            print("ERROR 1064 (42000) at line 1: %s" % exc, file=sys.stderr)
            return 1
        for row in rows:
            print("\t".join("NULL" if value is None else clients._escaped(str(value)) for value in row))
    return 0


def _inside(query):
    """A question about psa: its tables are attached under that name; those of other databases are named with theirs."""
    return re.sub(r"\b(FROM|JOIN) (`?\w+`?)(?!\w|`?\.)", r"\1 psa.\2", query)


def _show(root, query):
    """The answer to SHOW, or None when it is another question."""
    words = query.strip().rstrip(";").replace("`", "").split()
    if [word.upper() for word in words[:2]] == ["SHOW", "DATABASES"]:
        return [(name,) for name in ["information_schema", "mysql", *mariadb.databases(root)]]
    connection = sqlite3.connect(path(root))
    try:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
        if [word.upper() for word in words[:2]] == ["SHOW", "TABLES"]:
            return [(name,) for name in tables]
        if words[0].upper() != "SHOW" or words[-1] not in tables:
            return None
        types = _types(words[-1])
        columns = [row[1] for row in connection.execute("PRAGMA table_info(`%s`)" % words[-1])]
        if [word.upper() for word in words[:3]] == ["SHOW", "CREATE", "TABLE"]:
            body = ",\n  ".join("`%s` %s" % (column, types.get(column, "text")) for column in columns)
            return [(words[-1], "CREATE TABLE `%s` (\n  %s\n) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4" % (words[-1], body))]
        return [(column, types.get(column, "text"), "NO", "", None, "") for column in columns]
    finally:
        connection.close()


def _types(table):
    out = {}
    for major in (8, 18):
        out.update(schema(major).get(table, {}))
    return out


def _script(root, script):
    """Statements of a dump, into psa. What SQLite does not know is left out."""
    connection = sqlite3.connect(path(root))
    connection.isolation_level = None
    statements = clients.statements(script)
    for number, statement in enumerate(statements):
        if number > len(statements) // 2 and switched(root, "kill-restore"):
            Path(real(root, "/stand-in/kill-restore")).unlink()
            put(root, "/stand-in/mysql-refused", "killed")
            print("ERROR 2013 (HY000) at line %d: Lost connection to MySQL server during query" % number, file=sys.stderr)
            return 1
        if not statement or re.match(r"(SET|USE|LOCK|UNLOCK|ALTER TABLE .* KEYS|FLUSH|/\*|CREATE DATABASE)", statement, re.I | re.S):
            continue
        # strings of bytes, and what stands behind a table
        statement = re.sub(
            r"\bX'([0-9a-fA-F]*)'", lambda found: "'%s'" % bytes.fromhex(found.group(1)).decode("utf-8", "surrogateescape").replace("'", "''"), statement
        )
        statement = re.sub(r"\) ENGINE=.*\Z", ")", statement, flags=re.S)
        if statement.startswith("CREATE TABLE"):
            statement = re.sub(r"enum\([^)]*\)|(?:varchar|varbinary|bigint|int)\(\d+\)(?: unsigned)?|blob|date", "text", statement)
        try:
            connection.execute(statement)
        except sqlite3.Error as exc:
            print("ERROR 1064 (42000) at line 1: %s" % exc, file=sys.stderr)
            return 1
    connection.close()
    return 0
