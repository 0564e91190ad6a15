# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A stand-in of a MariaDB server with its clients mariadb (mysql) and mariadb-dump (mysqldump), for panels that keep customers or themselves in one.

From the facts: the clients' options as drivers use them, errors 2002 and 1045, a dump's first and last lines, a dump that breaks off, is empty or has
no rows at exit 0. Only a small part of SQL is understood: what SQLite understands too, and information_schema's SCHEMATA, TABLES and COLUMNS.
A database is an SQLite file below /var/lib/mysql, or one of a running MariaDB where the stand-in was given one (running.py).
Switches: mysql-refused, mysql-dump-broken=DB, mysql-dump-silent=DB (no rows), mysql-dump-nothing=DB; others stand in clients.py.
"""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

from stand_ins.kit import install_program, put, real, text
from stand_ins.mariadb import running

STORE = "/var/lib/mysql"


def install(root, accounts=None):
    """Clients in /usr/bin; accounts: {user: password or None for everybody who is root}."""
    for name in ("mariadb", "mysql", "mariadb-dump", "mysqldump", "mariadb-check", "mysqlcheck"):
        install_program(root, "/usr/bin/" + name, "mariadb.clients")
    put(root, STORE + "/.accounts.json", json.dumps({"root": None} if accounts is None else accounts), 0o600)


def make(root, database, tables):
    """A database; tables: {name: (columns, rows)}."""
    if running.options(root):
        running.make(root, database, tables)
        return
    place = Path(real(root, "%s/%s/stand-in.sqlite" % (STORE, database)))
    place.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(str(place))
    for name, (columns, rows) in tables.items():
        connection.execute("CREATE TABLE `%s` (%s)" % (name, ", ".join("`%s`" % column for column in columns)))
        connection.executemany("INSERT INTO `%s` VALUES (%s)" % (name, ", ".join("?" * len(columns))), rows)
    connection.commit()
    connection.close()


def change(root, database, sql, *values):
    """One statement in a database, for tests."""
    connection = sqlite3.connect(real(root, "%s/%s/stand-in.sqlite" % (STORE, database)))
    connection.execute(sql, values)
    connection.commit()
    connection.close()


def databases(root):
    """Names of all databases."""
    if running.options(root):
        return running.databases(root)
    return sorted(place.parent.name for place in Path(real(root, STORE)).glob("*/stand-in.sqlite"))


def contents(root, database):
    """{table: (columns, rows)} of a database."""
    if running.options(root):
        return running.tables(root, database)
    connection, out = sqlite3.connect(real(root, "%s/%s/stand-in.sqlite" % (STORE, database))), {}
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall():
        columns = [row[1] for row in connection.execute("PRAGMA table_info(`%s`)" % name)]
        out[name] = (columns, connection.execute("SELECT * FROM `%s`" % name).fetchall())
    connection.close()
    return out


def accounts(root):
    """{user: password}."""
    return json.loads(text(root, STORE + "/.accounts.json") or "{}")
