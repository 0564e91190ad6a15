# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Lists: Mailman 3's mailing lists, their settings and every member, read from its database and not through the service."""

from __future__ import annotations

import configparser
import re
import urllib.parse

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _digests, _mysql, _postgresql, _sqlite
from ansible_collections.intact.hosting.plugins.module_utils._baseline._lists_compare import compare
from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

__all__ = ["SECTION", "capture", "compare"]
SECTION = "lists"
CONFIG = "/etc/mailman3/mailman.cfg"
TABLES = ("mailinglist", "member", "address", "user", "preferences", "ban", "template", "acceptablealias", "headermatch")
ROLES = {1: "member", 2: "owner", 3: "moderator", 4: "nonmember"}
# counters and times that every posting moves
VOLATILE = {
    "id",
    "list_id",
    "list_name",
    "mail_host",
    "created_at",
    "next_request_id",
    "next_digest_number",
    "digest_last_sent_at",
    "volume",
    "last_post_at",
    "post_id",
    "usenet_watermark",
}


def capture(system):
    """Items by list address: {settings, people {role: {address: choices}}, bans}. Option templates_bytes bounds what is read of templates."""
    if not system.exists(CONFIG):
        return None
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
    parser.read_string(system.text(CONFIG))
    url = parser.get("database", "url", fallback="sqlite:///$DATA_DIR/mailman.db")
    var = parser.get("paths.debian", "var_dir", fallback="/var/lib/mailman3")
    url = re.sub(r"\$\{?DATA_DIR\}?", var + "/data", url, flags=re.IGNORECASE)
    rows, source = _read(system, url)
    items = build(system, rows)
    if not items and not system.which("mailman"):
        return None
    templates = {}
    for path in system.glob(var + "/templates/*/*/*/*.txt"):
        data = system.read(path, 2**20)
        if data is not None:
            templates[escape(path)] = _digests.short(data)
    people = sum(len(role) for item in items.values() for role in item["people"].values())
    return {"items": items, "source": source, "templates": templates, "summary": {"lists": len(items), "people on lists": people}}


def _read(system, url):
    """({table: [row as dict]}, {kind, database}) from the database that Mailman's configuration names."""
    parts = urllib.parse.urlsplit(url)
    database = urllib.parse.unquote(parts.path.lstrip("/")).split("?")[0]
    if parts.scheme.startswith("sqlite"):
        path = "/" + database
        if not system.exists(path):
            raise IntactError("Mailman's database %s is not there" % path)
        try:
            with _sqlite.opened(system, path) as connection:
                return {table: _sqlite_rows(connection, table) for table in TABLES}, {"kind": "sqlite", "database": path}
        except IntactError:
            raise
        except _sqlite.sqlite3.Error as exc:
            raise IntactError("SQLite can't read Mailman's database %s: %s" % (path, exc)) from exc
    if parts.hostname not in (None, "", "localhost", "127.0.0.1", "::1"):
        raise IntactError("Mailman's database is on %s: only a database on this host is read" % parts.hostname)
    if parts.scheme.startswith(("mysql", "mariadb")):
        return _mysql_rows(system, database), {"kind": _mysql.NAME, "database": database}
    if parts.scheme.startswith("postgres"):
        cluster = {"version": "", "name": "main", "port": str(parts.port or 5432)}
        # every row as JSON; the quoted "user" is a table, not the function
        script = "".join("SELECT json_build_object('is', '%s', 'row', row_to_json(t)) FROM public.\"%s\" t;\n" % (table, table) for table in TABLES)
        found, _said = _postgresql.ask(system, cluster, database, script + "SELECT json_build_object('is', 'end');\n", check=False)
        if {"is": "end"} not in found:
            raise IntactError("PostgreSQL does not answer for Mailman's database %s" % database)
        return {table: [row["row"] for row in found if row["is"] == table] for table in TABLES}, {"kind": _postgresql.NAME, "database": database}
    raise IntactError("Mailman's database %s is of a kind that is not known here" % parts.scheme)


def _sqlite_rows(connection, table):
    names = [row[1] for row in connection.execute('PRAGMA table_info("%s")' % table)]
    connection.text_factory = lambda data: data.decode("utf-8", "replace")
    return [dict(zip(names, row)) for row in connection.execute('SELECT * FROM "%s"' % table)] if names else []


def _mysql_rows(system, database):
    client = _mysql.program(system)
    if not client:
        raise IntactError("Mailman's database %s is in MariaDB, which is not installed here" % database)
    asked = (
        "SELECT HEX(TABLE_NAME), HEX(COLUMN_NAME) FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = X'%s' ORDER BY TABLE_NAME, ORDINAL_POSITION;"
        % database.encode().hex()
    )
    found, _said = _mysql.ask(system, client, [asked])
    columns = {}
    for table, column in found:
        columns.setdefault(_mysql.unhex(table), []).append(_mysql.unhex(column))
    if "mailinglist" not in columns:
        raise IntactError("MariaDB does not answer for Mailman's database %s" % database)
    out = {table: [] for table in TABLES}
    statements = [
        "SELECT '%s', %s FROM %s.%s;" % (t, ", ".join("IFNULL(HEX(%s), '-')" % _text(c) for c in columns[t]), _mysql.quote(database), _mysql.quote(t))
        for t in TABLES
        if t in columns
    ]
    for row in _mysql.ask(system, client, statements)[0]:
        out[row[0]].append({name: None if value == "-" else _mysql.unhex(value) for name, value in zip(columns[row[0]], row[1:])})
    return out


def _text(column):
    # HEX of a number is not HEX of its digits
    return "CAST(%s AS CHAR)" % _mysql.quote(column)


def build(system, rows):
    """Items from the tables' rows: names instead of numbers, so that two versions of the schema compare."""
    addresses = {_key(row["id"]): row for row in rows["address"]}
    users = {_key(row["id"]): row for row in rows["user"]}
    preferences = {_key(row["id"]): row for row in rows["preferences"]}
    items, by_id = {}, {}
    for row in rows["mailinglist"]:
        name = escape("%s@%s" % (row["list_name"], row["mail_host"]))
        settings = {k: _plain(v) for k, v in row.items() if k not in VOLATILE}
        if settings.get("moderator_password"):
            settings["moderator_password"] = _digests.keyed(system, settings["moderator_password"])
        by_id[row["list_id"]] = items[name] = {"settings": settings, "people": {}, "bans": []}
    for row in rows["member"]:
        item = by_id.get(row["list_id"])
        if item is None:
            continue
        user = users.get(_key(row.get("user_id"))) or {}
        # subscribed as a user: mail goes to the address that the user prefers
        address = addresses.get(_key(row.get("address_id"))) or addresses.get(_key(user.get("_preferred_address_id"))) or {}
        choices = preferences.get(_key(row.get("preferences_id"))) or {}
        said = {k: _plain(v) for k, v in choices.items() if k != "id" and v is not None}
        if row.get("moderation_action") is not None:
            said["moderation_action"] = _plain(row["moderation_action"])
        role = ROLES.get(int(row["role"]), str(row["role"]))
        item["people"].setdefault(role, {})[escape(address.get("email") or "user %s" % row.get("user_id"))] = said
    for row in rows["ban"]:
        if row.get("list_id") in by_id:
            by_id[row["list_id"]]["bans"].append(escape(row["email"] or ""))
    for item in items.values():
        item["bans"].sort()
    return items


def _key(value):
    return None if value is None else str(value)


def _plain(value):
    """A setting as text, the same from every kind of database."""
    if isinstance(value, bytes):
        return _digests.short(value) if value else ""
    if isinstance(value, bool):
        return str(int(value))
    return None if value is None else str(value)
