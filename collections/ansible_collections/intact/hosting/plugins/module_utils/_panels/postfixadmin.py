# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""PostfixAdmin. It has no list command and no export: its rows are the truth, and a copy of them is the export."""

from __future__ import annotations

import os
import re
import shutil

from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import (
    _alone,
    _bundle,
    _copies,
    _inventory,
    _postfixadmin_items,
    _ready,
    _sqlpanel,
    _tables,
)
from ansible_collections.intact.hosting.plugins.module_utils._panels._postfixadmin_items import ACCESS, ETC, FILES, NAME, ROOTS

TITLE = "PostfixAdmin"
MET = "real"
SOURCES = ("run for real: Debian 12 (3.3.13), 13 (3.3.15)", "the schema's steps: the program's public/upgrade.php")
NEEDED = ("schema", "files", "tables", "version")
# How many domains of a scratch copy the program itself is asked for: it can't list them, and each costs a start of PHP.
ASKED = 20
ERRORS = ("Fatal error", "Execution Exception", "Error:")
OWN = """<?php
$CONF['configured'] = true;
$CONF['database_type'] = 'sqlite';
$CONF['database_name'] = '%s';
$CONF['database_prefix'] = '';
$CONF['database_tables'] = array(%s);
$CONF['emailcheck_resolve_domain'] = 'NO';
"""


def detect(view):
    """By the program's place and its configuration. `database`: the place; None and `refused` when it is not one that can be read here."""
    root = next((r for r in ROOTS if view.exists(r + "/public/upgrade.php")), "")
    etc = ETC if view.exists(ETC + "/config.inc.php") else root
    if not etc or not view.exists(etc + "/config.inc.php"):
        return None
    conf = configuration(view, etc)
    found = {"version": _version(view, root), "root": root, "etc": etc, "tables": _postfixadmin_items.names(conf), "database": None}
    found["files"] = [etc + "/" + name for name in FILES if view.exists(etc + "/" + name)]
    try:
        engine = _postfixadmin_items.ENGINES.get(conf.get("database_type", ""), conf.get("database_type") or "no kind at all")
        found["database"] = _tables.of(engine, conf.get("database_name") or "", conf.get("database_host"), conf.get("database_port"))
    except IntactError as exc:
        found["refused"] = str(exc)
    place = found["database"]
    status = view.lstat(place["name"]) if place and place["engine"] == "sqlite" else None
    found["user"] = (view.account(status.st_uid) if status else None) or "www-data"
    return found


def configuration(view, etc):
    """$CONF as the files say it."""
    return _postfixadmin_items.settings([view.text(etc + "/" + name) for name in FILES])


def _version(view, root):
    match = re.search(r"^Package: postfixadmin\n(?:.+\n)*?Version: (\S+)", view.text("/var/lib/dpkg/status"), re.MULTILINE)
    if match and root == ROOTS[0]:
        return match.group(1)
    match = re.search(r"\$version\s*=\s*'([^']+)'", view.text(root + "/functions.inc.php")) if root else None
    return match.group(1) if match else ""


def steps(view, root):
    """The newest step of the schema that the installed program has; 0 when it can't be told."""
    return max([int(n) for n in re.findall(r"^\s*function upgrade_(\d+)", view.text(root + "/public/upgrade.php"), re.MULTILINE)] or [0])


def _rows(told, asked, *only):
    """Rows under the tables' usual names, of all tables or only of these. asked(names) -> rows."""
    held = asked(sorted({name for table, name in told["tables"].items() if not only or table in only}))
    return {table: held[name] for table, name in told["tables"].items() if name in held}


def inventory(system, found, query=None):
    """By SQL."""
    place = _sqlpanel.place(found)
    rows = _rows(found, lambda names: _tables.rows(system, place, names, query))
    _sqlpanel.whole(rows, ("domain", "mailbox"), TITLE, place)
    objects = _postfixadmin_items.objects(rows, configuration(system, found["etc"]))
    return _inventory.make(NAME, found["version"], _sqlpanel.host(system), {"kind": "sql", "of": "PostfixAdmin's rows"}, objects)


def ready(system, found, mode="settings", where=_ready.ROOT):
    """The database answers, and there is room."""
    return _sqlpanel.ready(system, NAME, found, found["tables"]["config"], found["files"], where)


def export(system, found, mode, target, say):
    """A copy of the database of one moment, and the configuration. There is nothing more to have in a full one: mail is the class mail of host_backup."""
    out = rescue(system, found, None, target)
    say("the database and the configuration are copied")
    return out


def rescue(view, found, query, target):
    """The same from a disk."""
    place = _sqlpanel.place(found)
    copy = "postfixadmin." + ("db" if place["engine"] == "sqlite" else "sql")
    said, rc = _copies.rescued(view, place, os.path.join(target, copy), query, TITLE)
    _bundle.pack(view, found["files"], os.path.join(target, _sqlpanel.ETC))
    rows = _rows(found, lambda names: _tables.rows(view, place, names, query), "config")
    facts = {"version": found["version"], "files": found["files"], "tables": found["tables"], "schema": _postfixadmin_items.schema(rows)}
    facts.update(engine=place["engine"], database=place["name"], copy=copy, user=found["user"])
    _sqlpanel.write(target, _sqlpanel.FACTS, facts)
    files = [{"name": copy, "role": "dump"}] + [{"name": name, "role": "artefact"} for name in (_sqlpanel.ETC, _sqlpanel.FACTS)]
    return {"files": files, "said": said, "rc": rc}


def _document(opened, told, rows, version, route):
    held = _bundle.held(opened, _sqlpanel.ETC)
    texts = [held.get(path.lstrip("/"), b"").decode("utf-8", "surrogateescape") for path in told["files"]]
    objects = _postfixadmin_items.objects(rows, _postfixadmin_items.settings(texts))
    made = _inventory.make(NAME, version, "", {"kind": "sql", "of": route}, objects)
    return _sqlpanel.complete(made, objects)


def verify(opened, inventory, mode):
    """Everything is read to its end, the copy is sound and has the schema that was there, and each row of it is an object of the inventory."""
    told, found = _sqlpanel.sound(opened, NAME, [_sqlpanel.ETC])
    if told is None:
        return found
    rows = _rows(told, lambda names: _copies.file_rows(opened.files[told["copy"]], told["engine"], names))
    if "domain" not in rows:
        return [*found, _sqlpanel.empty(NAME, told["copy"])]
    found += _sqlpanel.schema(NAME, told["copy"], _postfixadmin_items.schema(rows), told["schema"])
    held = _document(opened, told, rows, told["version"], "the export")
    return found + _inventory.compare(inventory, held) + _references(held)


def _references(held):
    """Mailboxes and aliases in a domain that is not there. It was so on the host: told, and no fault of the export."""
    out, domains = [], held["objects"]["domain"]
    for kind in ("mailbox", "mail_alias"):
        for name, item in sorted(held["objects"][kind].items()):
            domain = item.get("domain") or name.rpartition("@")[2]
            if domain not in domains:
                title, remedy = "its domain is not there", "make the domain, or remove it"
                out.append(_inventory.finding("panel.reference.broken", NAME, kind, name, title, domain, remedy, severity="warning"))
    return out


def scratch(system, found, opened, directory):
    """The copy as a second SQLite file, opened and brought to its schema by the program of this host; its rows. A server's dump goes into a throw-away one."""
    told = _sqlpanel.facts(opened, NEEDED)
    if told["engine"] != "sqlite":
        place = _sqlpanel.place_of(told)
        rows = _rows(told, lambda names: _copies.loaded_rows(opened.files[told["copy"]], place, directory, names))
        return _document(opened, told, rows, told["version"], "a throw-away server")
    if not found["root"]:
        raise IntactError("PostfixAdmin's program is not installed on this host: the copy can't be opened by it")
    with _alone.place(directory, found["user"]) as path:
        database, own = os.path.join(path, "scratch.db"), os.path.join(path, "program")
        shutil.copyfile(opened.files[told["copy"]], database)
        shutil.chown(database, found["user"])
        shutil.copytree(found["root"], own, ignore=shutil.ignore_patterns("config.inc.php", "config.local.php", "templates_c"))
        with open(os.path.join(own, "config.inc.php"), "w", encoding="utf-8") as handle:
            handle.write(_bare(system.text(found["etc"] + "/config.inc.php")))
        with open(os.path.join(own, "config.local.php"), "w", encoding="utf-8") as handle:
            handle.write(OWN % (database, ", ".join("'%s' => '%s'" % pair for pair in told["tables"].items())))
        names = _rows(told, lambda tables: _copies.file_rows(database, "sqlite", tables), "domain")["domain"]
        asked = [row["domain"] for row in names if row["domain"] != "ALL" and row["domain"][:1] != "-"][:ASKED]
        commands = [["php", own + "/public/upgrade.php"]]
        commands += [["bash", own + "/scripts/postfixadmin-cli", "domain", "view", name] for name in asked]
        done = _alone.run(system, found["user"], commands, path)
        _opened(done, commands, asked)
        rows = _rows(told, lambda tables: _copies.file_rows(database, "sqlite", tables))
    return _document(opened, told, rows, found["version"], "the scratch instance")


def _bare(text):
    """The configuration without the host's own way to its database."""
    return re.sub(r"(?m)^\s*require(?:_once)?\s*\(?\s*['\"]dbconfig\.inc\.php['\"]\s*\)?\s*;", "$dbtype = $dbuser = $dbpass = $dbname = $dbserver = '';", text)


def _opened(done, commands, asked):
    """Raise unless the program did everything and saw each domain."""
    words = [line for told in done for line in (told["out"] + "\n" + told["err"]).splitlines() if line.strip()]
    wrong = next((line for line in words if any(error in line for error in ERRORS)), None)
    if done[-1]["rc"] or wrong or len(done) < len(commands):
        raise IntactError("PostfixAdmin can't open the copy: %s" % escape((wrong or (words or ["no word"])[-1])[:300]))
    for name, told in zip(asked, done[1:]):
        if name not in told["out"]:
            raise IntactError("PostfixAdmin does not see the domain %s in the copy" % escape(name))


def checkpoint(system, found):
    """What a restore touches. It is no daemon: who serves it is stopped by nobody, and its writers are people."""
    return {"paths": found["files"], "databases": [_sqlpanel.place(found)], "services": []}


def restore(system, found, opened, say):
    """The export's rows and configuration; then the program's own step to its schema (R8: it migrates)."""
    told = _sqlpanel.facts(opened, NEEDED)
    place, newest = _sqlpanel.alike(told, found, TITLE), steps(system, found["root"])
    if told["schema"] and newest and int(told["schema"]) > newest:
        raise IntactError("the export's schema (%s) is newer than PostfixAdmin %s here (%s): upgrade it first" % (told["schema"], found["version"], newest))
    _copies.put(system, place, opened.files[told["copy"]], say)
    # how a server's database is reached here is not the export's matter
    leave = [path for path in told["files"] if os.path.basename(path) == ACCESS and place["engine"] != "sqlite"]
    _bundle.unpack(opened.files[_sqlpanel.ETC], sorted({os.path.dirname(path) for path in told["files"]}), leave)
    say("the configuration is back")
    return _migrated(system, found)


def _migrated(system, found):
    result = system.run(["runuser", "-u", found["user"], "--", "php", found["root"] + "/public/upgrade.php"], timeout=1800, check=False)
    words = re.sub(r"<[^>]*>", " ", result.text + "\n" + result.error)
    said = [escape(line.strip()) for line in words.splitlines() if line.strip()][-20:]
    # it ends with status 0 after an error that it prints
    wrong = any(error in line for line in said for error in ERRORS)
    return {"said": said, "rc": result.rc or int(wrong)}


def repair(system, found):
    """SQLite's own check of the live file, and whether the program reaches its database and finds its schema there."""
    out, place = _sqlpanel.live(system, NAME, found), _sqlpanel.place(found)
    done = _migrated(system, found)
    if done["rc"]:
        title, remedy = "the program can't use its database", "look at how config.local.php reaches the database"
        out.append(_inventory.finding("panel.native", NAME, "database", "", title, "; ".join(done["said"][-2:]), remedy))
    there = _postfixadmin_items.schema(_rows(found, lambda names: _tables.rows(system, place, names), "config"))
    newest = steps(system, found["root"])
    if newest and there != str(newest):
        evidence = "version %s, the program wants %d" % (there or "none", newest)
        out.append(_inventory.finding("panel.export.schema", NAME, "database", "", "its schema is not this program's", evidence, "open setup.php once"))
    return out
