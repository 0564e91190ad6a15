# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Class lists: Mailman 3's directory and its database, whatever kind that is, with every list and every member."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._backup import _eyes, databases, mysql, postgresql, sqlite
from ansible_collections.intact.hosting.plugins.module_utils._baseline import _mysql, _postgresql, _sqlite, lists
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

NAME = "lists"
EXPECTED = "lists"
DIRECTORY = "/var/lib/mailman3"
ENGINES = {_mysql.NAME: mysql, _postgresql.NAME: postgresql, _sqlite.NAME: sqlite}
# The web interface's database beside the lists' own.
WEB = DIRECTORY + "/web/mailman3web.db"


def in_use(system):
    """Whether Mailman 3 is there."""
    return system.exists(lists.CONFIG) and system.exists(DIRECTORY)


def paths(system, options):
    """Mailman's directory (messages, archives, templates), and what the operator adds."""
    return _eyes.there(system, list(options.get("paths") or [DIRECTORY]) + list(options.get("more_paths") or []))


def excluded(options):
    """Locks and logs of the running service."""
    own = {"patterns": [DIRECTORY + "/locks", "/var/lib/mailman3/**/*.log"], "reason": "locks and logs of the running service"}
    return [own] + list(options.get("exclude") or [])


def sections(system, options):
    """Every file; every list with its people and settings."""
    return {
        "files": _eyes.tree(system, paths(system, options), options.get("rules", excluded(options)), options.get("cache")),
        "lists": _eyes.look(system, lists),
    }


def dumps(system, options):
    """[(name, function that opens the Dump)] of the database that Mailman's configuration names, and of the web interface's file."""
    system.options = databases.set_options(options)
    source = _eyes.look(system, lists).get("source")
    if not source:
        system.skip("section lists", "Mailman's database could not be told from %s" % lists.CONFIG)
        return []
    engine = ENGINES[source["kind"]]
    names = ["%s:%s" % (source["kind"], source["database"])]
    try:
        known = engine.databases(system)
        # a server may be known by a longer name, such as postgresql(other):mailman3
        names = [name for name in known if name in names or name.endswith(":" + source["database"])][:1] or names
    except IntactError as exc:
        system.skip("section lists", str(exc))
    out = [(name, lambda name=name: engine.open(system, name)) for name in names]
    if system.exists(WEB) and source["database"] != WEB:
        out.append(("%s:%s" % (_sqlite.NAME, WEB), lambda: sqlite.open(system, "%s:%s" % (_sqlite.NAME, WEB))))
    return out


def counts(sections):
    """Files, lists, people on lists; tables and rows of the database."""
    out = _eyes.count_files(sections.get("files", {}))
    summary = sections.get("lists", {}).get("summary") or {}
    out["lists"] = int(summary.get("lists", 0))
    out["people"] = int(summary.get("people on lists", 0))
    return out


def objects(sections):
    """{list: people}."""
    items = sections.get("lists", {}).get("items", {})
    return {"list " + name: sum(len(role) for role in item["people"].values()) for name, item in items.items()}
