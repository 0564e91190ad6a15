# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What lay on the disk and in the database server when an inventory was taken, beside its objects: {kind: {name: {attribute: value}}} as its `measured`.

An export of data must have it. It is no part of the objects, as it changes without the panel, and a restore of settings brings none of it.
"""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._panels import _inventory, _verify
from ansible_collections.intact.hosting.plugins.module_utils._panels import _mysql_login as mysql


def beside(inventory, measured):
    """The inventory document with what was measured."""
    return dict(inventory, measured={kind: entries for kind, entries in measured.items() if entries})


def of(inventory, kind, name):
    """What was measured of one object, {} when nothing was."""
    return inventory.get("measured", {}).get(kind, {}).get(name, {})


def databases(query, names, unlooked):
    """{name: {tables, filled}} of databases that a server tells."""
    out = {}
    for name in sorted(names):
        held = mysql.attributes(query, name, unlooked)
        if held:
            out[name] = held
    return out


def dumps(panel, inventory, names, results):
    """Findings of the dumps of these databases: there, whole, with the tables that the server had, and saying something where it did.

    results: {database: what _dumps.Scan.result() said}.
    """
    found, wanted, before, after = [], {}, {}, {}
    for name in sorted(names):
        held = of(inventory, "database", name)
        if name not in results:
            title, evidence = "there is no dump of this database", "the export has none by its name"
            found.append(_inventory.finding("panel.dump.incomplete", panel, "database", name, title, evidence, _verify.AGAIN))
        elif held:
            wanted[name] = {"tables": len(held["tables"]), "rows": len(held["filled"])}
    found += _verify.dumps(panel, {name: results[name] for name in wanted}, wanted)
    # what the server did not tell must have a table at least
    found += _verify.dumps(panel, {name: results[name] for name in names if name in results and name not in wanted})
    told = {finding.details["name"] for finding in found}
    for name in set(wanted) - told:
        tables = results[name]["tables"]
        before[name] = of(inventory, "database", name)
        after[name] = {"tables": sorted(tables), "filled": sorted(table for table, rows in tables.items() if rows)}
    return found + compare(panel, inventory, "database", before, after, "the dumps")


def compare(panel, inventory, kind, before, after, where):
    """Findings of what was measured of one kind, and what an export has of it."""
    seen = _inventory.make(panel, inventory["version"], inventory["host"], {"kind": "files", "of": where}, {kind: after})
    return _inventory.compare(dict(inventory, objects={kind: before}), seen, kinds=[kind])


def keys(panel, opened, name, needed):
    """Findings of the archive of the keys: read to its end, with every key that the panel can't be without (R6)."""
    if not needed:
        return []
    members, found = {}, []
    if name in opened.names("key"):
        contents = opened.contents(name, enter=lambda _path: False)
        found, members = _verify.broken(contents, panel, name), contents.members
        if contents.broken:
            return found
    for path in needed:
        member = members.get(path.lstrip("/"))
        if member is None or (not member.size and member.kind == "file"):
            title, evidence = "key material of the panel is not in the export", "%s has no %s, or an empty one" % (name, path)
            found.append(_inventory.finding("panel.key.missing", panel, "setting", path, title, evidence, _verify.AGAIN))
    return found
