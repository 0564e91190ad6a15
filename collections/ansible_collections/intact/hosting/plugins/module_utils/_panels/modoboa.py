# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Modoboa. A copy of its database, its settings and its keys are the export; its own CSV files go along, and are held against the rows (see _modoboa_csv)."""

from __future__ import annotations

import os
import re

from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import (
    _bundle,
    _copies,
    _inventory,
    _modoboa_config,
    _modoboa_csv,
    _modoboa_items,
    _modoboa_proof,
    _ready,
    _sqlpanel,
    _tables,
)
from ansible_collections.intact.hosting.plugins.module_utils._panels._modoboa_items import NAME
from ansible_collections.intact.hosting.plugins.module_utils._panels._modoboa_proof import FILES, KEYS, NEEDED

__all__ = ["NAME"]
TITLE = "Modoboa"
MET = "real"
SOURCES = ("run for real: 2.12.0 from PyPI on Debian 12", "the CSV's quoting: the program's lib/csvutils.py, since 2.9.1")
# Made from the database or by the package manager, or somebody's mail.
LEFT_OUT = ("frontend", "sitestatic", "webmail_attachments", "__pycache__", ".env")


def detect(view):
    """By the instance's manage.py and settings. `database`: the place; None and `refused` when it is not one that can be read here."""
    root = _modoboa_config.instance(view)
    if not root:
        return None
    python = _modoboa_config.python(view, root)
    found = {"version": _modoboa_config.version(view, python), "root": root, "settings": _modoboa_config.settings_file(view, root), "python": python}
    found.update(database=None, services=_modoboa_config.services(view))
    status = view.lstat(root)
    found["user"] = view.account(status.st_uid) or str(status.st_uid)
    try:
        found["database"] = _modoboa_config.database(view.text(found["settings"]))
    except IntactError as exc:
        found["refused"] = str(exc)
    return found


def inventory(system, found, query=None):
    """By SQL, and the keys by files."""
    place = _sqlpanel.place(found)
    rows = _tables.rows(system, place, _modoboa_items.TABLES, query)
    _sqlpanel.whole(rows, ("admin_domain", "core_user"), TITLE, place)
    files = {path: system.read(path) for path in _keys(found, rows)}
    return _modoboa_proof.document(rows, files, found, found["version"], _sqlpanel.host(system), "Modoboa's rows")


def _keys(found, rows):
    """Paths of the key material: settings with SECRET_KEY, .env, and the keys that mail is signed with."""
    signing = [row["dkim_private_key_path"] for row in rows.get("admin_domain", []) if row.get("dkim_private_key_path")]
    return [found["settings"], found["root"] + "/.env", *sorted(set(signing))]


def keys(view, found):
    """R6."""
    try:
        rows = _tables.rows(view, _sqlpanel.place(found), ["admin_domain"])
    except IntactError:
        rows = {}
    return _keys(found, rows)


def ready(system, found, mode="settings", where=_ready.ROOT):
    """The database answers, and there is room."""
    return _sqlpanel.ready(system, NAME, found, "admin_domain", _parts(system, found["root"], mode), where)


def _parts(view, root, mode):
    """What of the instance's directory belongs to an export."""
    names = [name for name in view.listdir(root) if name not in LEFT_OUT and not name.endswith((".pyc", ".db", ".sqlite3"))]
    # the frontend is links to the program; this is the one file that was written for this instance
    return [root + "/" + name for name in names + ["frontend/config.json"] + (["webmail_attachments"] if mode == "full" else [])]


def export(system, found, mode, target, say):
    """The copy and the keys, and what Modoboa's own export says."""
    out = rescue(system, found, None, target, mode)
    say("the database, the settings and the keys are copied")
    for what, name in (("domains", _modoboa_csv.DOMAINS), ("identities", _modoboa_csv.IDENTITIES)):
        result = system.run(manage(found, "modo", "export", what), timeout=3600, check=False)
        with os.fdopen(os.open(os.path.join(target, name), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as handle:
            handle.write(result.out)
        out["files"].append({"name": name, "role": "artefact"})
        # a traceback may tell values: its last line says what it was
        out["said"] += [escape(line) for line in result.error.splitlines()[-1:]]
        out["rc"] = out["rc"] or result.rc
        say("Modoboa exported %s" % what)
    return out


def manage(found, *words):
    """A command of the instance, as its user."""
    if not found["python"]:
        raise IntactError(_modoboa_config.NO_PYTHON)
    return ["runuser", "-u", found["user"], "--", found["python"], found["root"] + "/manage.py", *words]


def rescue(view, found, query, target, mode="settings"):
    """The same without the program: from a disk."""
    place = _sqlpanel.place(found)
    copy = "modoboa." + ("db" if place["engine"] == "sqlite" else "sql")
    said, rc = _copies.rescued(view, place, os.path.join(target, copy), query, TITLE)
    rows = _tables.rows(view, place, ["admin_domain", "django_migrations"], query)
    _bundle.pack(view, _keys(found, rows), os.path.join(target, KEYS))
    _bundle.pack(view, _parts(view, found["root"], mode), os.path.join(target, FILES))
    facts = {key: found[key] for key in ("version", "root", "settings", "user")}
    facts.update(engine=place["engine"], database=place["name"], copy=copy, schema=_modoboa_items.schema(rows), keys=_keys(found, rows))
    _sqlpanel.write(target, _sqlpanel.FACTS, facts)
    files = [{"name": copy, "role": "dump"}, {"name": KEYS, "role": "key"}]
    files += [{"name": name, "role": "artefact"} for name in (FILES, _sqlpanel.FACTS)]
    return {"files": files, "said": said, "rc": rc}


def verify(opened, inventory, mode):
    """See _modoboa_proof."""
    return _modoboa_proof.verify(opened, inventory, mode)


def scratch(system, found, opened, directory):
    """See _modoboa_proof."""
    return _modoboa_proof.scratch(system, found, opened, directory)


def checkpoint(system, found):
    """What a restore touches."""
    apart = [path for path in keys(system, found) if not path.startswith(found["root"] + "/")]
    return {"paths": [found["root"], *apart], "databases": [_sqlpanel.place(found)], "services": found["services"], "stop": found["services"]}


def restore(system, found, opened, say):
    """The export's rows, keys and settings; then the program's own migrations (R8). What runs the instance must be stopped."""
    told = _sqlpanel.facts(opened, NEEDED)
    place = _sqlpanel.alike(told, found, TITLE)
    if told["root"] != found["root"]:
        raise IntactError("the export's instance was in %s, and is in %s here: move it first" % (told["root"], found["root"]))
    if _modoboa_config.number(told["version"]) > _modoboa_config.number(found["version"]):
        raise IntactError("the export is Modoboa %s, and here is %s: upgrade it first" % (told["version"], found["version"] or "an unknown version"))
    manage(found)
    text = system.text(found["settings"])
    _copies.put(system, place, opened.files[told["copy"]], say)
    same = told["version"] == found["version"] and place["engine"] == "sqlite"
    # another version's settings name other parts of the program, and how a server's database is reached here is not the export's matter
    own = [] if same else [p for p in _bundle.held(opened, FILES) if p.endswith(".py")]
    _bundle.unpack(opened.files[FILES], [told["root"]], ["/" + path for path in own])
    _bundle.unpack(opened.files[KEYS], sorted({os.path.dirname(path) for path in told["keys"]}), [] if same else [told["settings"]])
    if not same:
        key = _modoboa_config.secret_key(_bundle.held(opened, KEYS)[told["settings"].lstrip("/")].decode("utf-8", "surrogateescape"))
        _bundle.rewrite(found["settings"], _modoboa_config.with_secret_key(text, key).encode("utf-8", "surrogateescape"))
    say("settings and keys are back")
    result = system.run(manage(found, "migrate", "--noinput"), timeout=3600, check=False)
    say("the schema is this program's")
    return {"said": [escape(line) for line in (result.text + "\n" + result.error).splitlines()[-10:] if line.strip()], "rc": result.rc}


def repair(system, found):
    """SQLite's check of the live file, and Modoboa's own tools: check, migrate --check, repair (whose exit status says nothing)."""
    out = _sqlpanel.live(system, NAME, found)
    for words, title in ((["check"], "Modoboa's check finds a fault"), (["migrate", "--check"], "its schema is not this program's")):
        result = system.run(manage(found, *words), timeout=1800, check=False)
        if result.rc:
            evidence = escape((result.error.splitlines() or ["status %d" % result.rc])[-1][:300])
            ident = "panel.export.schema" if words[0] == "migrate" else "panel.native"
            out.append(_inventory.finding(ident, NAME, "", "", title, evidence, "run manage.py %s" % " ".join(words)))
    result = system.run(manage(found, "modo", "repair", "--dry-run"), timeout=1800, check=False)
    wrong = [line.strip() for line in result.text.splitlines() if re.match(r"\s+\S", line)]
    if wrong or result.rc:
        title, remedy = "Modoboa would repair something", "run manage.py modo repair; it was so before if the inventories are equal"
        evidence = escape("; ".join(wrong[:10]) or "status %d" % result.rc)
        out.append(_inventory.finding("panel.native", NAME, "", "", title, evidence, remedy, severity="warning"))
    return out
