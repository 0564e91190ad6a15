# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What a panel's MySQL server says of its customers' databases, the route of inventories that leads past the panel; and dumps told the same way."""

from __future__ import annotations

import os
import re

from ansible_collections.intact.hosting.plugins.module_utils import _command
from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import _accounts, _inventory, _mysql_login, _verify
from ansible_collections.intact.hosting.plugins.module_utils._panels._mysql_login import AT_ONCE, DUMPERS, Login, quoted

OWN = ("information_schema", "mysql", "performance_schema", "sys")
NAMES = "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA"
TABLES = (
    "SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE FROM information_schema.TABLES"
    " WHERE TABLE_SCHEMA NOT IN ('information_schema', 'mysql', 'performance_schema', 'sys')"
)
SIZES = "SELECT TABLE_SCHEMA, SUM(DATA_LENGTH + INDEX_LENGTH) FROM information_schema.TABLES GROUP BY TABLE_SCHEMA"
USERS = "SELECT User, Host, plugin, HEX(authentication_string) FROM mysql.user"
GRANTED = "SELECT User, Host, Db FROM mysql.db"
_ESCAPED = re.compile(r"\\(.)", re.S)


def asking(system, defaults=None):
    """A function query(database, sql) -> [tuple of text] that asks the running server. defaults: file with the panel's own login."""
    ask = _mysql_login.asking(system, Login(file=defaults or ""))

    def query(database, sql):
        # names come as they are here, in the client's own escapes
        return [tuple(_plain(value) for value in row) for row in ask(database, sql)]

    return query


def dumped(query, database, path):
    """Dump a database of a disk to a file; a sentence why not, "" when it was done. query: as a rescue gives it, with the server that was started cold."""
    try:
        socket = getattr(query, "socket", None)
    except IntactError as exc:
        return str(exc)
    program = next((name for name in DUMPERS if _command.which(name)), None)
    if not socket or not program:
        return "nothing that could dump it: no %s" % ("server was started on the disk's data" if program else " or ".join(DUMPERS))
    argv = [program, "--no-defaults", "--protocol=socket", "--socket=" + socket, "--user=root", "--single-transaction", "--quick", "--routines", "--events"]
    argv += ["--triggers", "--hex-blob", "--no-tablespaces", "--default-character-set=utf8mb4", "--result-file=" + path, "--", database]
    done = _command.run(argv, timeout=86400, check=False)
    if os.path.exists(path):
        os.chmod(path, 0o600)
    return _accounts.redact((done.error.splitlines() or ["status %d" % done.rc])[-1])[:300] if done.rc else ""


def kept(query, databases, target):
    """({database: path of its dump}, sentences why not): the dumps of a disk's databases, as temporary files in an export's directory."""
    out, said = {}, []
    for name in databases:
        path = os.path.join(target, ".%s.sql" % name)
        why = dumped(query, name, path) if _accounts.plain(name) else "its name can't be a file's"
        if why:
            said.append("database %s: %s" % (escape(name), why))
        if _accounts.plain(name) and os.path.exists(path):
            out[name] = path
    return out, said


def _plain(value):
    kinds = {"t": "\t", "n": "\n", "0": "\0"}
    return _ESCAPED.sub(lambda m: kinds.get(m.group(1), m.group(1)), value)


def databases(query):
    """{name: {tables: names, rows: whether any has one, error: text}} of all but the server's own databases."""
    out = {name: {"tables": [], "rows": None, "error": ""} for (name,) in query("", NAMES) if name not in OWN}
    for name, table, kind in query("", TABLES):
        if name in out and kind in ("BASE TABLE", "SYSTEM VERSIONED"):
            out[name]["tables"].append(table)
    for found in out.values():
        found["tables"].sort()
    try:
        for name, rows in _rows(query, out).items():
            out[name]["rows"] = rows
    except IntactError:
        # one broken table must not hide the other databases
        for name, found in out.items():
            try:
                found["rows"] = _rows(query, {name: found})[name]
            except IntactError as exc:
                found["error"] = str(exc)
    return out


def _rows(query, found):
    """{database: whether any of its tables has a row}."""
    out = dict.fromkeys(found, False)
    waiting = [(name, table) for name, told in found.items() for table in told["tables"]]
    while waiting:
        now, waiting = waiting[:AT_ONCE], waiting[AT_ONCE:]
        parts = ["SELECT '%d', EXISTS (SELECT 1 FROM %s.%s LIMIT 1)" % (n, quoted(name), quoted(table)) for n, (name, table) in enumerate(now)]
        for number, there in query("", " UNION ALL ".join(parts)):
            out[now[int(number)][0]] |= there == "1"
        waiting = [pair for pair in waiting if not out[pair[0]]]
    return out


def sizes(query):
    """{database: bytes} as the server estimates them."""
    return {row[0]: int(float(row[1])) for row in query("", SIZES) if row[1] not in ("NULL", "")}


def grants(query):
    """[(user, host, hash, [pattern of a database])]: for files that hold grants. Holds secrets."""
    granted = {}
    for name, host, database in query("", GRANTED):
        granted.setdefault((name, host), []).append(database)
    out = []
    for name, host, _plugin, hexed in query("", USERS):
        out.append((name, host, bytes.fromhex(hexed).decode("utf-8", "surrogateescape") if hexed != "NULL" else "", sorted(granted.get((name, host), []))))
    return out


def users(query):
    """{user: {hosts, passwords: digests or None, databases}}; a grant's pattern is told as the name that it means."""
    out = {}
    for name, host, _plugin, hexed in query("", USERS):
        user = out.setdefault(name, {"hosts": set(), "passwords": set(), "databases": set()})
        user["hosts"].add(host)
        user["passwords"].add(bytes.fromhex(hexed).decode("utf-8", "surrogateescape") if hexed != "NULL" else "")
    for name, _host, database in query("", GRANTED):
        if name in out:
            out[name]["databases"].add(re.sub(r"\\([_%])", r"\1", database))
    for user in out.values():
        user["passwords"] = _accounts.native(user["passwords"])
    return out


def database(owner, found):
    """A database as an inventory's object. rows only tells whether there is one: how many there are changes while one looks."""
    rows = None if found["rows"] is None else "some" if found["rows"] else 0
    return {"owner": escape(owner), "tables": len(found["tables"]), "names": [escape(name) for name in found["tables"]], "rows": rows}


def database_user(owner, found):
    """A user of databases as an inventory's object."""
    return {
        "owner": escape(owner),
        "hosts": sorted(escape(host) for host in found["hosts"]),
        "passwords": found["passwords"],
        "databases": sorted(escape(name) for name in found["databases"]),
    }


def told(result):
    """A dump as an inventory's object."""
    tables = result["tables"]
    return {"tables": len(tables), "names": sorted(escape(name) for name in tables), "rows": "some" if any(tables.values()) else 0}


def dumps(panel, results, wanted):
    """Findings of dumps: those that all drivers know, and the tables that are not in one. wanted: the inventory's databases."""
    known = {name: {"tables": min(1, int(w.get("tables") or 0)), "rows": int(w.get("rows") == "some")} for name, w in wanted.items()}
    # a database without a dump is told by the comparison, once
    present = {name: result for name, result in results.items() if escape(name) in known}
    found = _verify.dumps(panel, present, {name: known[escape(name)] for name in present})
    bad = {finding.details["name"] for finding in found}
    for name, result in present.items():
        gone = sorted(set(wanted[escape(name)].get("names") or []) - {escape(table) for table in result["tables"]})
        if gone and name not in bad:
            title, evidence = "tables are not in its dump", ", ".join(gone[:10])
            found.append(_inventory.finding("panel.dump.incomplete", panel, "database", name, title, evidence, _verify.AGAIN, tables=gone))
    return found
