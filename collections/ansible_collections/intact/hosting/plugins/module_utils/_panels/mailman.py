# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Mailman 3. Its database is the truth; what its service says over REST is held against it.

No command of Mailman's is run for an inventory or an export: the first one after an upgrade migrates the schema (R8). A restore has its checkpoint before it.
"""

from __future__ import annotations

import os
import re

from ansible_collections.intact.hosting.plugins.module_utils._baseline.lists import CONFIG
from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import (
    _bundle,
    _copies,
    _inventory,
    _mailman_items,
    _mailman_proof,
    _mailman_rest,
    _ready,
    _sqlpanel,
    _tables,
)
from ansible_collections.intact.hosting.plugins.module_utils._panels._mailman_config import (
    COPY,
    DATA,
    NAME,
    PROGRAMS,
    REST,
    UNIT,
    heads,
    migrations,
    paths_of,
    revision,
    sections_of,
    shown,
    url_of,
    version,
)

__all__ = ["NAME"]

TITLE = "Mailman 3"
MET = "real"
SOURCES = ("run for real: Debian 11 (3.3.3), 12 (3.3.8), 13 (3.3.10)", "the schema's revisions and REST's words: the program's source")


def detect(view):
    """By its configuration, and its program or its database. `database`: the place; None and `refused` when it is not one that can be read here."""
    if not view.exists(CONFIG):
        return None
    sections = sections_of(view.text(CONFIG))
    paths = paths_of(sections)
    program = next((p for p in PROGRAMS if view.exists(p)), "")
    found = {"version": version(view), "root": paths["var_dir"], "etc": os.path.dirname(CONFIG), "program": program, "database": None}
    found.update(templates=paths["template_dir"], archives=paths["archive_dir"], messages=paths["messages_dir"])
    try:
        found["database"] = _tables.of_url(url_of(sections))
    except IntactError as exc:
        found["refused"] = str(exc)
    place = found["database"]
    if not program and not (place and place["engine"] == "sqlite" and view.exists(place["name"])):
        return None
    status = view.lstat(paths["var_dir"])
    found["user"] = (view.account(status.st_uid) if status else None) or "list"
    return found


def inventory(system, found, query=None):
    """By SQL and by files, never through the program."""
    rows = _tables.rows(system, _sqlpanel.place(found), _mailman_items.TABLES, query)
    sections, place = sections_of(system.text(CONFIG)), found["database"]
    _sqlpanel.whole(rows, ("mailinglist", "member"), TITLE, place)
    files = {"template " + name: data for name, data in _bundle.files(system, found["templates"]).items()}
    files.update({"file " + name: data for name, data in _bundle.files(system, found["etc"], leftovers=False).items() if name != os.path.basename(CONFIG)})
    objects = _mailman_items.objects(rows, shown(sections, place), files)
    objects["setting"]["archives"] = {"directory": found["archives"]}
    return _inventory.make(NAME, found["version"], _sqlpanel.host(system), {"kind": "sql", "of": "Mailman's rows"}, objects)


def ready(system, found, mode="settings", where=_ready.ROOT):
    """The database answers, and there is room."""
    paths = [found["etc"], found["templates"]] + ([found["messages"], found["archives"]] if mode == "full" else [])
    return _sqlpanel.ready(system, NAME, found, "alembic_version", paths, where)


def export(system, found, mode, target, say):
    """A copy of the database of one moment, the configuration, the templates, and what the running service says of every list."""
    out = rescue(system, found, None, target, mode)
    say("the database, the configuration and the templates are copied")
    try:
        document = _mailman_rest.fetch(_mailman_rest.Rest(system, sections_of(system.text(CONFIG)).get("webservice") or {}))
    except IntactError as exc:
        out["said"].append(str(exc))
    else:
        _sqlpanel.write(target, REST, document)
        out["files"].append({"name": REST, "role": "artefact"})
        say("%d lists told over REST" % len(document["lists"]))
    return out


def rescue(view, found, query, target, mode="settings"):
    """The same without the program: from a disk."""
    place = _sqlpanel.place(found)
    copy = COPY[place["engine"]]
    said, rc = _copies.rescued(view, place, os.path.join(target, copy), query, TITLE)
    _bundle.pack(view, [found["etc"], found["templates"]], os.path.join(target, _sqlpanel.ETC))
    files = [{"name": copy, "role": "dump"}, {"name": _sqlpanel.ETC, "role": "artefact"}, {"name": _sqlpanel.FACTS, "role": "artefact"}]
    if mode == "full":
        _bundle.pack(view, [found["messages"], found["archives"]], os.path.join(target, DATA))
        files.append({"name": DATA, "role": "artefact"})
    facts = {key: found[key] for key in ("version", "etc", "templates", "archives", "messages", "user")}
    facts.update(engine=place["engine"], database=place["name"], copy=copy, revision=revision(_tables.rows(view, place, ["alembic_version"], query)))
    _sqlpanel.write(target, _sqlpanel.FACTS, facts)
    return {"files": files, "said": said, "rc": rc}


def verify(opened, inventory, mode):
    """See _mailman_proof."""
    return _mailman_proof.verify(opened, inventory, mode)


def scratch(system, found, opened, directory):
    """See _mailman_proof."""
    return _mailman_proof.scratch(system, found, opened, directory)


def checkpoint(system, found):
    """What a restore touches."""
    return {"paths": [found["etc"], found["templates"]], "databases": [_sqlpanel.place(found)], "services": [UNIT], "stop": [UNIT]}


def restore(system, found, opened, say):
    """The export's rows, configuration and templates; then Mailman's first command, which brings the schema to this program's. Its service must be stopped."""
    facts = _sqlpanel.facts(opened, _mailman_proof.NEEDED)
    place = _sqlpanel.alike(facts, found, TITLE)
    if facts["revision"] and facts["revision"] not in migrations(system):
        raise IntactError("the export's schema (revision %s) is newer than Mailman %s here: upgrade it first" % (facts["revision"], found["version"]))
    # how a server's database is reached here is not the export's matter
    own = None if place["engine"] == "sqlite" else sections_of(system.text(CONFIG)).get("database", {}).get("url")
    _copies.put(system, place, opened.files[facts["copy"]], say)
    _bundle.clear(facts["templates"])
    _bundle.unpack(opened.files[_sqlpanel.ETC], [facts["etc"], facts["templates"]])
    if own:
        text = re.sub(r"(?m)^url:.*$", lambda _m: "url: " + own, system.text(CONFIG))
        _bundle.rewrite(CONFIG, text.encode("utf-8", "surrogateescape"))
    if DATA in opened.names():
        # they can be large, so no checkpoint has them: what is there stays
        _bundle.unpack(opened.files[DATA], [facts["messages"], facts["archives"]], over=False)
    say("configuration and templates are back")
    result = system.run(_as(found, "lists", "-q"), timeout=1800, check=False)
    say("Mailman's first command found %d lists" % sum("@" in line for line in result.text.splitlines()))
    # it tells addresses of lists and the steps of the migration, nothing secret
    return {"said": [escape(line) for line in (result.text + "\n" + result.error).splitlines()[-20:] if line], "rc": result.rc}


def _as(found, *words):
    return ["runuser", "-u", found["user"], "--", found["program"] or "mailman", *words]


def repair(system, found):
    """SQLite's own check of the live file, the schema's revision, and the maps that the mail server reads."""
    out, place = _sqlpanel.live(system, NAME, found), _sqlpanel.place(found)
    there, wanted = revision(_tables.rows(system, place, ["alembic_version"])), heads(migrations(system))
    if wanted and there not in wanted:
        evidence = "revision %s, the program wants %s" % (there or "none", " or ".join(sorted(wanted)))
        out.append(_inventory.finding("panel.export.schema", NAME, "database", "", "its schema is not this program's", evidence, "run a command of Mailman's"))
    result = system.run(_as(found, "aliases"), timeout=600, check=False)
    if result.rc:
        evidence, remedy = escape(result.error[-300:]), "run `mailman aliases` as %s when the mail server is set up" % found["user"]
        title = "the maps for the mail server were not made"
        out.append(_inventory.finding("panel.native", NAME, "", "", title, evidence, remedy, severity="warning"))
    return out
