# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Proof of an export of Mailman 3: its copy against the inventory row by row, REST against its copy, and its copy opened by the program on this host."""

from __future__ import annotations

import json
import os
import shutil

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import (
    _alone,
    _bundle,
    _copies,
    _inventory,
    _mailman_config,
    _mailman_items,
    _mailman_rest,
    _sqlpanel,
    _verify,
)

NEEDED = ("revision", "etc", "templates", "archives", "messages", "version")
# Run by the program's own Python: every roster as the program sees it.
_ROSTERS = """
import json, sys
from mailman.core.initialize import initialize
initialize(sys.argv[1])
from mailman.interfaces.listmanager import IListManager
from zope.component import getUtility
out = {}
for mlist in getUtility(IListManager).mailing_lists:
    out[mlist.fqdn_listname] = {r: sorted(m.address.email for m in getattr(mlist, r).members) for r in ("members", "owners", "moderators", "nonmembers")}
print(json.dumps(out))
"""
CONFIG = """[mailman]
layout: scratch
site_owner: nobody@localhost
[paths.scratch]
var_dir: {0}
[database]
class: mailman.database.sqlite.SQLiteDatabase
url: sqlite:///{0}/data/mailman.db
[mta]
incoming: mailman.mta.null.NullMTA
"""


def document(opened, told, rows, version):
    """The inventory document that an export gives, from these rows and its own configuration."""
    etc, held = told["etc"].lstrip("/") + "/", _bundle.held(opened, _sqlpanel.ETC)
    sections = _mailman_config.sections_of(held.get(etc + "mailman.cfg", b"").decode("utf-8", "surrogateescape"))
    templates, files = told["templates"].lstrip("/") + "/", {}
    for path, data in held.items():
        if path.startswith(templates):
            files["template " + path[len(templates) :]] = data
        elif path.startswith(etc) and path != etc + "mailman.cfg" and not path.endswith(_bundle.LEFTOVERS):
            files["file " + path[len(etc) :]] = data
    objects = _mailman_items.objects(rows, _mailman_config.shown(sections, _sqlpanel.place_of(told)), files)
    objects["setting"]["archives"] = {"directory": _mailman_config.paths_of(sections)["archive_dir"]}
    made = _inventory.make(_mailman_config.NAME, version, "", {"kind": "sql", "of": "the export"}, objects)
    return _sqlpanel.complete(made, objects)


def verify(opened, inventory, mode):
    """Findings. Everything is read to its end, every object of the inventory must be in the copy as it was, and REST must say the same."""
    told, found = _sqlpanel.sound(opened, _mailman_config.NAME, [_sqlpanel.ETC] + ([_mailman_config.DATA] if mode == "full" else []))
    if told is None:
        return found
    rows = _copies.file_rows(opened.files[told["copy"]], told["engine"], _mailman_items.TABLES)
    if not rows:
        return [*found, _sqlpanel.empty(_mailman_config.NAME, told["copy"])]
    found += _sqlpanel.schema(_mailman_config.NAME, told["copy"], _mailman_config.revision(rows), told["revision"])
    held = document(opened, told, rows, told["version"])
    found += _inventory.compare(inventory, held)
    found += _templates(held)
    return found + _sqlpanel.resting(opened, _rest(opened, held))


def _templates(held):
    """A list that names a file of Mailman's own template directory which is not there. It was so on the host: told, and no fault of the export."""
    out, names = [], held["objects"].get("setting", {})
    for name, told in names.items():
        uri = told.get("uri", "")
        if name.startswith("template ") and uri.startswith("mailman:///"):
            path = uri[len("mailman:///") :].split("?")[0]
            if not any(other.startswith("template ") and "uri" not in names[other] and other.endswith("/" + path) for other in names):
                title, remedy = "it names a template that is not there", "give the list the template, or take the setting back"
                out.append(_inventory.finding("panel.reference.broken", _mailman_config.NAME, "setting", name, title, uri, remedy, severity="warning"))
    return out


def _rest(opened, held):
    if _mailman_config.REST not in opened.names():
        title, evidence = "the service was not asked", "Mailman's REST interface did not answer; its rows were compared all the same"
        remedy = "start the unit %s and export again to have its own words too" % _mailman_config.UNIT
        return [_inventory.finding("panel.export.member", _mailman_config.NAME, "file", _mailman_config.REST, title, evidence, remedy, severity="warning")]
    try:
        told = json.loads(opened.read(_mailman_config.REST).decode("utf-8"))
        seen = _inventory.make(_mailman_config.NAME, "", "", {"kind": "command", "of": "REST"}, _mailman_rest.objects(told))
        people = _mailman_rest.people(told)
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        title, evidence = "what the service said can't be read", str(exc)[:200]
        return [_inventory.finding("panel.export.corrupt", _mailman_config.NAME, "file", _mailman_config.REST, title, evidence, _verify.AGAIN)]
    for name, rosters in people.items():
        seen["objects"].get("list", {}).get(name, {}).update(rosters)
    return _inventory.compare(plain(held), seen, kinds=("list", "domain"))


def plain(held):
    """The document with rosters of bare addresses."""
    lists = {name: dict(told) for name, told in held["objects"].get("list", {}).items()}
    for told in lists.values():
        for attribute in _mailman_items.PEOPLE.values():
            told[attribute] = sorted(entry.split(" (")[0] for entry in told.get(attribute, []))
    return dict(held, objects=dict(held["objects"], list=lists))


def scratch(system, found, opened, directory):
    """The copy opened, and its schema migrated, by the program of this host; the rows that it then has. What it sees of rosters must be what the rows say."""
    told = _sqlpanel.facts(opened, NEEDED)
    if told["engine"] != "sqlite":
        return _loaded(opened, told, directory)
    if not found["program"]:
        raise IntactError("Mailman's program is not installed on this host: the copy can't be opened by it")
    with _alone.place(directory, found["user"]) as path:
        data = os.path.join(path, "data")
        os.mkdir(data, 0o700)
        shutil.copyfile(opened.files[told["copy"]], os.path.join(data, "mailman.db"))
        config = os.path.join(path, "mailman.cfg")
        with open(config, "w", encoding="utf-8") as handle:
            handle.write(CONFIG.format(path))
        for place in (data, os.path.join(data, "mailman.db"), config):
            shutil.chown(place, found["user"])
        python = system.text(found["program"]).split("\n", 1)[0].lstrip("#!").split() or ["/usr/bin/python3"]
        commands = [[found["program"], "-C", config, "lists", "-q"], python + ["-c", _ROSTERS, config]]
        done = _alone.run(system, found["user"], commands, path)
        if done[-1]["rc"] or len(done) < len(commands):
            raise IntactError("Mailman can't open the copy: %s" % (done[-1]["err"].strip().splitlines() or ["no word"])[-1])
        rows = _copies.file_rows(os.path.join(data, "mailman.db"), "sqlite", _mailman_items.TABLES)
    held = document(opened, told, rows, found["version"])
    held["route"] = {"kind": "sql", "of": "the scratch instance"}
    _agree(held, json.loads(done[1]["out"].strip().splitlines()[-1]))
    return held


def _agree(held, seen):
    lists = plain(held)["objects"].get("list", {})
    seen = {_mailman_items.escape(name): told for name, told in seen.items()}
    for name in sorted(set(lists) | set(seen)):
        for attribute in _mailman_items.PEOPLE.values():
            ours = lists.get(name, {}).get(attribute)
            theirs = [_mailman_items.escape(email) for email in seen.get(name, {}).get(attribute, [])] if name in seen else None
            if ours != theirs:
                raise IntactError("Mailman sees other %s of the list %s than its rows say" % (attribute, name))


def _loaded(opened, told, directory):
    rows = _copies.loaded_rows(opened.files[told["copy"]], _sqlpanel.place_of(told), directory, _mailman_items.TABLES)
    held = document(opened, told, rows, told["version"])
    held["route"] = {"kind": "sql", "of": "a throw-away server"}
    return held
