# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What panels share whose whole truth is one database: a sound copy of it, what the export says of itself, and a live database that answers."""

from __future__ import annotations

import json
import os
import socket

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import _bundle, _copies, _dumps, _export, _inventory, _ready, _tables, _verify

FACTS, ETC = "facts.json", "etc.tar"
# An export of a server's database is a text that nobody knows the size of before.
SERVER = 64 << 20


def place(found):
    """The database's place, or an IntactError that says why there is none."""
    if not found["database"]:
        raise IntactError(found["refused"])
    return found["database"]


def whole(rows, needed, title, held):
    """Raise when tables are not there that the panel can't be without. One that nobody began to use has no table at all, and nothing to lose."""
    gone = [table for table in needed if table not in rows]
    if rows and gone:
        raise IntactError("%s's database %s has no table %s" % (title, _tables.told(held), " and no ".join(gone)))


def host(view):
    """The name of the host that a view shows."""
    return view.text("/etc/hostname").strip() or socket.gethostname()


def ready(system, panel, found, table, paths, where):
    """The database answers, nobody writes into it all the time, and there is twice the room that the copy takes (R9). paths: what an export copies."""
    out, held = [], found["database"] or {}
    try:
        _tables.rows(system, place(found), [table])
    except IntactError as exc:
        if "being written" in str(exc):
            out.append(_ready.busy(panel, "writing into its database", str(exc)))
        else:
            remedy = "make the database answer root on this host"
            out.append(_inventory.finding("panel.database.refused", panel, "database", "", "its database can't be read", str(exc), remedy))
    need = _bundle.size(system, *paths) + (_bundle.size(system, held["name"]) if held.get("engine") == "sqlite" else SERVER)
    return out + _ready.space(panel, 2 * need + SERVER, "twice what is copied, and 64 MiB", where)


def write(target, name, document):
    """A JSON file (0600) of the export."""
    with os.fdopen(os.open(os.path.join(target, name), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as handle:
        handle.write(json.dumps(document, sort_keys=True, indent=1).encode())


def facts(opened, needed=()):
    """What the export says of itself; engine, database and copy always."""
    try:
        told = json.loads(opened.read(FACTS).decode("utf-8"))
        lacks = [key for key in ("engine", "database", "copy", *needed) if key not in told]
    except (ValueError, TypeError) as exc:
        raise IntactError("%s in the export can't be read: %s" % (FACTS, exc)) from exc
    if lacks:
        raise IntactError("%s in the export does not tell %s" % (FACTS, ", ".join(lacks)))
    return told


def place_of(told):
    """The place that the export's database was at."""
    return {"engine": told["engine"], "name": told["database"], "port": ""}


def alike(told, found, title):
    """The place on this host, or an IntactError when the export's database is not of this kind or not there."""
    here = place(found)
    if (told["engine"], told["database"]) != (here["engine"], here["name"]):
        raise IntactError("the export comes from %s, and %s has %s here: set it up alike first" % (_tables.told(place_of(told)), title, _tables.told(here)))
    return here


def sound(opened, panel, wanted):
    """(what the export says of itself, findings): every part is there and read to its end, and the copy of the database is whole; facts are None otherwise."""
    found, names = _verify.archives(opened, panel, enter=lambda _path: False), opened.names()
    found += [missing(panel, name) for name in (FACTS, *wanted) if name not in names]
    if found:
        return None, found
    told = facts(opened)
    copy = told["copy"]
    if copy not in names:
        return None, [missing(panel, copy)]
    if told["engine"] != "sqlite":
        scanned = opened.contents(copy, scan=lambda _path: _dumps.Scan()).scanned
        found = _verify.dumps(panel, {copy: next(iter(scanned.values()))})
        return None if found else told, found
    wrong = _copies.damage(opened.files[copy])
    loose = [line for line in wrong if _copies.LOOSE in line]
    if len(loose) < len(wrong):
        evidence = "; ".join(line for line in wrong[:5] if line not in loose)
        return None, [_inventory.finding("panel.export.corrupt", panel, "database", copy, "SQLite finds damage in the copy", evidence, _verify.AGAIN)]
    if loose:
        # an application that does not ask SQLite to mind may have left such rows: whether this export did is told by the comparison
        title, remedy = "rows refer to rows that are not there", "nothing, if the live database is so too; the panel may stumble over them"
        evidence = "; ".join(loose[:5])
        found.append(_inventory.finding("panel.reference.broken", panel, "database", copy, title, evidence, remedy, severity="warning"))
    return told, found


def resting(opened, findings):
    """Findings of what the program said after the copy was made, without those about objects that were being changed meanwhile: the inventory from before and
    the one from after say that of them."""
    if _export.LATER not in opened.names():
        return findings
    told = _inventory.compare(opened.inventory(), opened.inventory(_export.LATER))
    moving = {(finding.details["kind"], finding.details["name"]) for finding in told}
    return [finding for finding in findings if (finding.details["kind"], finding.details["name"]) not in moving]


def missing(panel, name):
    """A part of the export that is not there."""
    return _inventory.finding("panel.export.member", panel, "file", name, "the export lacks a part", "%s is not in it" % name, _verify.AGAIN)


def empty(panel, copy):
    """A copy without the panel's tables."""
    title = "the copy of the database holds no table of the panel's"
    return _inventory.finding("panel.dump.empty", panel, "database", copy, title, "it is sound, and says nothing", _verify.AGAIN)


def schema(panel, copy, here, there):
    """Findings when the copy's schema is not the one that the live database had."""
    if here == there:
        return []
    evidence = "%s in the copy, it was %s" % (here or "none", there or "none")
    return [_inventory.finding("panel.export.schema", panel, "database", copy, "the copy has another schema than the database had", evidence, _verify.AGAIN)]


def complete(document, kinds):
    """The document with every kind, empty ones too: a kind of which nothing came back must not be left out of a comparison."""
    for kind in kinds:
        document["objects"].setdefault(kind, {})
    return document


def live(system, panel, found):
    """Findings of SQLite's own check of the live file."""
    held, out = place(found), []
    if held["engine"] == "sqlite":
        with _tables.opened(system, held["name"]) as connection:
            wrong = [row[0] for row in connection.execute("PRAGMA integrity_check(20)").fetchall() if row[0] != "ok"]
        if wrong:
            title, remedy = "SQLite finds damage in the panel's database", "restore it from another export"
            out.append(_inventory.finding("panel.native", panel, "database", held["name"], title, "; ".join(wrong[:5]), remedy))
    return out
