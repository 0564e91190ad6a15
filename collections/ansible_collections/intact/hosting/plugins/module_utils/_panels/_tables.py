# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""The database that a panel's configuration names, and its rows: SQLite, MariaDB or MySQL, PostgreSQL.

A place is plain data: {"engine": "sqlite" | "mysql" | "postgresql", "name": path or database, "port": text}. A password is never in it: root asks over the
local socket.
Rows are {table: [{column: None, text, or bytes of a binary column}]}; a table that is not there is left out.
"""

from __future__ import annotations

import contextlib
import json
import time
import urllib.parse

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _mysql, _postgresql, _sqlite
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import _sqltext

LOCAL = (None, "", "localhost", "127.0.0.1", "::1")
_BINARY = ("blob", "binary")


def of_url(text):
    """The place that a URL of SQLAlchemy names."""
    parts = urllib.parse.urlsplit(text)
    name = urllib.parse.unquote(parts.path[1:]).split("?")[0]
    if parts.scheme.startswith("sqlite"):
        return {"engine": "sqlite", "name": name, "port": ""}
    engine = "mysql" if parts.scheme.startswith(("mysql", "mariadb")) else "postgresql" if parts.scheme.startswith("postgres") else ""
    return of(engine or parts.scheme, name, parts.hostname, parts.port)


def of(engine, name, host="", port=""):
    """The place of a database on this host; another host's is an IntactError."""
    if engine not in ("sqlite", "mysql", "postgresql"):
        raise IntactError("the panel's database is of a kind that is not known here: %s" % engine)
    if engine != "sqlite" and host not in LOCAL and not str(host).startswith("/"):
        raise IntactError("the panel's database is on %s: only a database on its own host is read" % host)
    return {"engine": engine, "name": name, "port": str(port or "")}


def told(place):
    """A place for people."""
    return "%s %s" % ({"sqlite": "SQLite", "mysql": "MariaDB", "postgresql": "PostgreSQL"}[place["engine"]], place["name"])


def rows(system, place, tables, query=None):
    """The rows of these tables. query(database, sql) -> [tuples of text] is asked instead of this host's server."""
    if place["engine"] == "sqlite":
        with opened(system, place["name"]) as connection:
            return sqlite_rows(connection, tables)
    if place["engine"] == "mysql":
        return mysql_rows(mysql_asker(system, place) if query is None else lambda sql: query(place["name"], sql), place, tables)
    return postgresql_rows(postgresql_asker(system, place) if query is None else lambda sql: query(place["name"], sql), place, tables)


@contextlib.contextmanager
def opened(system, path):
    """A connection to a copy of an SQLite file of one moment."""
    if not system.exists(path):
        raise IntactError("the panel's database %s is not there" % path)
    for attempt in range(8):
        try:
            with _sqlite.opened(system, path) as connection:
                connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
                yield connection
                return
        except _sqlite.Busy:
            if attempt == 7:
                raise
            time.sleep(0.5)
        except _sqlite.sqlite3.DatabaseError as exc:
            raise IntactError("SQLite can't read the panel's database %s: %s" % (path, exc)) from exc


def sqlite_rows(connection, tables):
    connection.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
    out = {}
    for table in tables:
        names = [row[1] for row in connection.execute("PRAGMA table_info(%s)" % _postgresql.quote(table))]
        if names:
            found = connection.execute("SELECT * FROM %s" % _postgresql.quote(table))
            out[table] = [{name: _plain(value) for name, value in zip(names, row)} for row in found]
    return out


def _plain(value):
    if value is None or isinstance(value, bytes):
        return value
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, str):
        return value
    return _sqltext.number(value) if isinstance(value, float) else str(value)


def mysql_asker(system, place):
    client = _mysql.program(system)
    if not client:
        raise IntactError("the panel's database %s is in MariaDB, which is not installed here" % place["name"])

    def ask(sql):
        found, said = _mysql.ask(system, client, [sql + ";", "SELECT 'intact', 'end';"])
        if ["intact", "end"] not in found:
            raise IntactError("MariaDB does not answer for the panel's database %s: %s" % (place["name"], said.splitlines()[-1] if said else "no word"))
        return [row for row in found if row != ["intact", "end"]]

    return ask


def mysql_rows(ask, place, tables):
    asked = "SELECT HEX(TABLE_NAME), HEX(COLUMN_NAME), LOWER(DATA_TYPE) FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = CONVERT(X'%s' USING utf8)"
    kinds = {}
    for table, column, kind in ask(asked % place["name"].encode().hex() + " ORDER BY TABLE_NAME, ORDINAL_POSITION"):
        kinds.setdefault(_mysql.unhex(table), []).append((_mysql.unhex(column), kind))
    out = {}
    for table in tables:
        if table not in kinds:
            continue
        texts = []
        for column, kind in kinds[table]:
            plain = _mysql.quote(column) if kind.endswith(_BINARY) else "CONVERT(CAST(%s AS CHAR) USING utf8mb4)" % _mysql.quote(column)
            # HEX of a number is not HEX of its digits
            texts.append("IFNULL(HEX(%s), '-')" % plain)
        found = ask("SELECT %s FROM %s.%s" % (", ".join(texts), _mysql.quote(place["name"]), _mysql.quote(table)))
        out[table] = [{c: _unhexed(value, kind) for (c, kind), value in zip(kinds[table], row)} for row in found]
    return out


def _unhexed(value, kind):
    if value == "-" or value is None:
        return None
    if kind.endswith(_BINARY):
        return bytes.fromhex(value)
    return _sqltext.number(_mysql.unhex(value)) if kind in ("float", "double") else _mysql.unhex(value)


def cluster(system, place):
    """The PostgreSQL cluster of a place."""
    found = [c for c in _postgresql.clusters(system) if not place["port"] or c["port"] == place["port"]]
    if not found:
        raise IntactError("the panel's database %s is in PostgreSQL, and no such cluster is on this host" % place["name"])
    return found[0]


def postgresql_asker(system, place, server=None):
    server = server or cluster(system, place)

    def ask(sql):
        script = "SELECT json_build_object('is', 'row', 'row', x.told) FROM (%s) x;\nSELECT json_build_object('is', 'end');\n" % sql
        found, _said = _postgresql.ask(system, server, place["name"], script)
        return [[row["row"]] for row in found if row["is"] == "row"]

    return ask


def postgresql_rows(ask, place, tables):
    columns = "SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = 'public'"
    kinds = {}
    for (text,) in ask("SELECT row_to_json(c)::text AS told FROM (%s) c" % columns):
        row = json.loads(text)
        kinds.setdefault(row["table_name"], {})[row["column_name"]] = row["data_type"]
    out = {}
    for table in [t for t in tables if t in kinds]:
        # as text, which is what a dump has too: JSON writes times otherwise
        told = ", ".join("%s::text" % _postgresql.quote(column) for column in kinds[table])
        found = ask("SELECT json_build_array(%s)::text AS told FROM public.%s" % (told, _postgresql.quote(table)))
        out[table] = [dict(zip(kinds[table], map(_sqltext.of_postgresql, json.loads(text), kinds[table].values()))) for (text,) in found]
    return out
