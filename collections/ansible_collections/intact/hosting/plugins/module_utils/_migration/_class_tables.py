# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Reconciliation of tables: what the cold server counted and the files on the old disk show, against what the live servers answer now."""

from __future__ import annotations

import os
import re

from ansible_collections.intact.hosting.plugins.module_utils._cold import _dumped, _mysql_dump, _mysql_options, _postgresql_dump, _take
from ansible_collections.intact.hosting.plugins.module_utils._files import escape, unescape
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._migration import databases

NAME = "tables"
RULES = []
# of a view: it has no rows of its own
VIEW = b"TYPE=VIEW"
SYSTEM = {"mysql", "performance_schema", "information_schema", "sys"}
# databases that each cluster has, whose object ids lie below the first of users
POSTGRESQL_OWN, FIRST_OWN = {"postgres", "template0", "template1"}, 16384
# what InnoDB makes of a full-text index
_AUXILIARY = re.compile(r"FTS_[0-9a-fA-F]{16}_")
_CODED = re.compile(r"@([0-9a-f]{4})")


def old(context):
    """{subject: {rows, digest}} of the old disk: digests that the cold server told, and every table whose files lie on the disk."""
    out = {}
    for source in databases.sources(context):
        document, label = _document(context, source)
        for name, kept in document["databases"].items():
            for table, entry in kept["tables"].items():
                if entry["kind"] != "SEQUENCE":
                    out["%s:%s.%s" % (label, name, table)] = {"rows": entry["rows"], "digest": entry["digest"]}
        if source["kind"] == _mysql_dump.KIND and not databases.settings_of(context, source).databases:
            for name, table in on_disk(_take.view_of(context.root), source["datadir"]):
                if document["databases"].get(escape(name), {}).get("tables", {}).get(escape(table), {}).get("kind") == "SEQUENCE":
                    continue
                # a table that no server told of is a difference, whatever is in it
                out.setdefault("%s:%s.%s" % (label, escape(name), escape(table)), {"rows": None, "digest": ""})
        elif source["kind"] == _postgresql_dump.KIND and not databases.settings_of(context, source).databases:
            there, told = own_databases(_take.view_of(context.root), source["datadir"]), len(set(document["databases"]) - POSTGRESQL_OWN)
            if there != told:
                # a database that no server told of is a difference; its name is only known to the server
                out["%s:(%d databases by files, %d by the server)" % (label, there, told)] = {"rows": None, "digest": ""}
    return out


def new(context):
    """The same of the live servers, asked now."""
    out = {}
    for source in databases.sources(context):
        document, _label = _document(context, source)
        loader = databases.LOADERS[source["kind"]](context, databases.dest_of(context, source))
        loader.check()
        there = loader.names()
        for shown, kept in document["databases"].items():
            name = unescape(shown).decode("utf-8", "surrogateescape")
            if name not in there:
                continue
            rules = [rule for entry in kept["tables"].values() for rule in (entry.get("item") or {}).get("rules", [])]
            for subject, item in loader.items(name, rules).items():
                if item["kind"] in ("table", "materialised view", "large objects") and "rows" in item:
                    out[subject] = {"rows": item["rows"], "digest": _dumped.digest(item)}
    return out


def _document(context, source):
    dest = databases.dest_of(context, source)
    document = _take.read(dest)
    if not document:
        raise IntactError("%s holds no dump of %s: run the phase databases first" % (dest, source["datadir"]), path=dest)
    return document, databases.LOADERS[source["kind"]].label


def on_disk(view, datadir):
    """[(database, table)] of a MySQL or MariaDB data directory, told by the names of its files; names beyond ASCII are left out."""
    out = set()
    for folder in view.listdir(datadir):
        database = plain(folder)
        if database is None or database in SYSTEM or folder.startswith("#"):
            continue
        for file in view.listdir(os.path.join(datadir, folder)):
            base, ending = os.path.splitext(file)
            name = plain(base.split("#")[0])
            if ending not in (".frm", ".ibd", ".MYD") or name is None or base.startswith("#") or _AUXILIARY.match(base):
                continue
            if ending == ".frm" and (view.read(os.path.join(datadir, folder, file), 20) or b"").startswith(VIEW):
                continue
            out.add((database, name))
    return sorted(out)


def own_databases(view, datadir):
    """How many databases a PostgreSQL data directory has besides the ones that each has, by its directories."""
    places = [os.path.join(datadir, "base")]
    for space in view.listdir(os.path.join(datadir, "pg_tblspc")):
        places += view.glob(os.path.join(datadir, "pg_tblspc", space, "PG_*"))
    found = {name for place in places for name in view.listdir(place) if name.isdigit() and int(name) >= FIRST_OWN}
    return len(found)


def plain(name):
    """A table's or database's own name, of its file's; None where that needs the server's table of letters."""
    text = _CODED.sub(lambda found: chr(int(found.group(1), 16)), name)
    return text if _mysql_options.file_name(text) == name else None
