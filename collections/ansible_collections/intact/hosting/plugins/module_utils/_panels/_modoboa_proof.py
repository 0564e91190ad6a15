# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Proof of an export of Modoboa: its copy against the inventory row by row, its CSV against its copy, its keys, and a second instance made of it."""

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
    _modoboa_config,
    _modoboa_csv,
    _modoboa_items,
    _sqlpanel,
)
from ansible_collections.intact.hosting.plugins.module_utils._panels._modoboa_items import NAME

KEYS, FILES = "keys.tar", "instance.tar"
NEEDED = ("schema", "version", "root", "settings", "keys")


def document(rows, files, facts, version, host, route):
    """The inventory document of rows and key material. files: {path: bytes or None}."""
    held = _modoboa_items.objects(rows)
    settings = (files.get(facts["settings"]) or b"").decode("utf-8", "surrogateescape")
    held["setting"]["SECRET_KEY"] = {"value": _inventory.secret(_modoboa_config.secret_key(settings) if settings else "")}
    env = (files.get(facts["root"] + "/.env") or b"").decode("utf-8", "surrogateescape")
    if env:
        held["setting"][".env"] = {escape(key): _inventory.secret(value) for key, value in _modoboa_config.environment(env).items()}
    held["certificate"] = {}
    for path, data in files.items():
        if path not in (facts["settings"], facts["root"] + "/.env") and data is not None:
            held["certificate"][escape("signing key " + path)] = {"bytes": len(data), "content": _inventory.secret(data)}
    return _sqlpanel.complete(_inventory.make(NAME, version, host, {"kind": "sql", "of": route}, held), held)


def _of(opened, told, rows, version, route):
    held = _bundle.held(opened, KEYS)
    files = {path: held.get(path.lstrip("/")) for path in told["keys"]}
    return document(rows, files, told, version, "", route)


def verify(opened, inventory, mode):
    """Findings. Each row of the copy is an object of the inventory as it was; each cell of the CSV is what the rows say; no key is missing."""
    told, found = _sqlpanel.sound(opened, NAME, [KEYS, FILES])
    if told is None:
        return found
    rows = _copies.file_rows(opened.files[told["copy"]], told["engine"], _modoboa_items.TABLES)
    if "admin_domain" not in rows:
        return [*found, _sqlpanel.empty(NAME, told["copy"])]
    here = _modoboa_items.schema(rows)
    different = sorted(app for app in set(here) | set(told["schema"]) if here.get(app) != told["schema"].get(app))
    found += _sqlpanel.schema(NAME, told["copy"], *("; ".join("%s %s" % (app, held.get(app)) for app in different) for held in (here, told["schema"])))
    found += _inventory.compare(inventory, _of(opened, told, rows, told["version"], "the export"))
    found += _keyless(_bundle.held(opened, KEYS), told, rows)
    return found + (_sqlpanel.resting(opened, _modoboa_csv.check(opened, rows)) if _exported(opened) else [_unasked()])


def _exported(opened):
    return any(name in opened.names() for name in (_modoboa_csv.DOMAINS, _modoboa_csv.IDENTITIES))


def _unasked():
    title, evidence = "Modoboa's own export is not in it", "it was made from files; the rows were compared all the same"
    return _inventory.finding("panel.export.member", NAME, "file", _modoboa_csv.IDENTITIES, title, evidence, "nothing: the copy is what is restored", "warning")


def _keyless(held, told, rows):
    out = []
    settings = held.get(told["settings"].lstrip("/"), b"").decode("utf-8", "surrogateescape")
    if not settings or not _modoboa_config.secret_key(settings):
        title, evidence = "SECRET_KEY is not in the export", "%s is not in it, or computes it" % told["settings"]
        remedy = "keep it with the export: what it encrypted is lost without it"
        out.append(_inventory.finding("panel.key.missing", NAME, "setting", "SECRET_KEY", title, evidence, remedy))
    for row in rows["admin_domain"]:
        path = row.get("dkim_private_key_path")
        if path and row.get("enable_dkim") == "1" and not held.get(path.lstrip("/")):
            title, remedy = "the key that its mail is signed with is not in the export", "find the key, or make a new one and publish it"
            out.append(_inventory.finding("panel.key.missing", NAME, "domain", escape(row["name"]), title, escape(path), remedy))
    return out


def scratch(system, found, opened, directory):
    """A second instance, deployed by the program of this host, given the export's rows and key, migrated, and asked for its own export; its rows."""
    told = _sqlpanel.facts(opened, NEEDED)
    if told["engine"] != "sqlite":
        rows = _copies.loaded_rows(opened.files[told["copy"]], _sqlpanel.place_of(told), directory, _modoboa_items.TABLES)
        return _of(opened, told, rows, told["version"], "a throw-away server")
    if not found["python"]:
        raise IntactError(_modoboa_config.NO_PYTHON)
    with _alone.place(directory, found["user"]) as path:
        database, programs = os.path.join(path, "scratch.db"), os.path.dirname(found["python"])
        env = {"PATH": programs + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
        deploy = [programs + "/modoboa-admin.py", "deploy", "instance", "--dburl", "default:sqlite:///" + database]
        deploy += ["--domain", "scratch.invalid", "--lang", "en", "--timezone", "UTC"]
        done = _alone.run(system, found["user"], [deploy], path, env, redis=True)
        settings = os.path.join(path, "instance", "instance", "settings.py")
        # it ends with status 0 whatever went wrong
        if not os.path.exists(settings) or not os.path.exists(database):
            raise IntactError("Modoboa could not deploy a second instance: %s" % _words(done[-1]))
        _given(opened, told, database, settings, found["user"])
        ask = [found["python"], os.path.join(path, "instance", "manage.py")]
        commands = [[*ask, "migrate", "--noinput"], [*ask, "check"], [*ask, "modo", "export", "domains"], [*ask, "modo", "export", "identities"]]
        done = _alone.run(system, found["user"], commands, path, env, redis=True)
        if done[-1]["rc"] or len(done) < len(commands):
            raise IntactError("Modoboa can't open the copy: %s" % _words(done[-1]))
        _agree(opened, {_modoboa_csv.DOMAINS: done[2]["out"], _modoboa_csv.IDENTITIES: done[3]["out"]})
        rows = _copies.file_rows(database, "sqlite", _modoboa_items.TABLES)
    return _of(opened, told, rows, found["version"], "the scratch instance")


def _words(told):
    return escape((told["err"].strip().splitlines() or told["out"].strip().splitlines() or ["no word"])[-1][:300])


def _given(opened, told, database, settings, user):
    """The export's rows and SECRET_KEY in place of the fresh instance's own."""
    with open(opened.files[told["copy"]], "rb") as source, open(database, "r+b") as out:
        out.truncate(0)
        shutil.copyfileobj(source, out, 1 << 20)
    key = _modoboa_config.secret_key(_bundle.held(opened, KEYS).get(told["settings"].lstrip("/"), b"").decode("utf-8", "surrogateescape"))
    with open(settings, "r+", encoding="utf-8") as handle:
        text = _modoboa_config.with_secret_key(handle.read(), key) if key else None
        if text:
            handle.seek(0)
            handle.write(text)
            handle.truncate()
    shutil.chown(settings, user)


def _agree(opened, said):
    """Raise when the second instance exports something else than the first."""
    for name, text in said.items():
        if name in opened.names():
            ours, theirs = _modoboa_csv.parsed(opened.read(name))[0], _modoboa_csv.parsed(re.sub(r"\r?\n", "\r\n", text).encode("utf-8", "backslashreplace"))[0]
            different = sorted(key for key in set(ours) | set(theirs) if ours.get(key) != theirs.get(key))
            if different:
                raise IntactError("the second instance of Modoboa exports %s %s otherwise than the first" % tuple(escape(word) for word in different[0]))
