# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Class databases: every database and every server's accounts as a stream of its own, looked at in the dump's own transaction."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._backup import mysql, postgresql, sqlite
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

NAME = "databases"
ENGINES = (mysql, postgresql, sqlite)
EXPECTED = "databases"


def in_use(system):
    """Whether any engine has a database, or one that can't be asked: then the run says so."""
    for engine in ENGINES:
        try:
            if engine.databases(system):
                return True
        except IntactError:
            return True
    return False


def paths(system, options):
    """None: databases are streams."""
    return []


def excluded(options):
    """Nothing: every database is dumped whole."""
    return []


def dumps(system, options):
    """[(name, function that opens the Dump)], accounts first: what a restored database's owner is, must be there before it. Engines that can't be asked go to
    system.unlooked."""
    system.options = set_options(options)
    first, out = [], []
    for engine in ENGINES:
        try:
            # ready-made statements: nothing is locked until they are read
            first += [(dump.name, lambda dump=dump: dump) for dump in engine.accounts(system)]
            out += [(name, lambda engine=engine, name=name: engine.open(system, name)) for name in engine.databases(system)]
        except IntactError as exc:
            system.skip("section databases", "%s: %s" % (engine.__name__.rpartition(".")[2], exc))
    return first + out


def set_options(options):
    """What the engines read of a class's settings; what is empty is left to them."""
    return {key: value for key, value in options.items() if value not in ("", [], None)}


def sections(system, options):
    """Filled by the dumps: see merged()."""
    return {"databases": {}}


def merged(items):
    """Section databases of what the dumps saw."""
    kinds = [item["kind"] for item in items.values()]
    summary = {
        "databases": kinds.count("database"),
        "tables": kinds.count("table"),
        "rows": sum(item.get("rows", 0) for item in items.values()),
        "users": kinds.count("user") + kinds.count("role"),
    }
    return {"items": dict(sorted(items.items())), "summary": summary}


def counts(sections):
    """Databases, tables, rows, users."""
    return {name: int(number) for name, number in (sections.get("databases", {}).get("summary") or {}).items()}


def objects(sections):
    """{table: rows}, so that an emptied table among many is told."""
    items = sections.get("databases", {}).get("items", {})
    return {subject: item["rows"] for subject, item in items.items() if item["kind"] == "table" and "rows" in item}
