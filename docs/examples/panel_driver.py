# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Acme Panel: an example of a driver, run by tests/unit/.../_panels/test_example_driver.py.

The panel does not exist. Say that it keeps domains and mailboxes in a SQLite file, and that `acme export FILE` writes a tar.gz with a JSON file for each
domain.
To make it a real one: put the file into module_utils/_panels/, import it in _registry.py, and give it a test file.
"""

from __future__ import annotations

import json
import os
import sqlite3

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import _inventory, _ready, _verify

NAME, TITLE = "acme", "Acme Panel"
# "real" only for what was run against the panel itself.
MET = "stand-in"
SOURCES = ("invented, as an example",)
HOME, LOCK = "/usr/local/acme", "/run/acme/backup.lock"
STORE, KEY = HOME + "/store.sqlite", HOME + "/secret.key"
ARTEFACT = "acme.tar.gz"
# What it says when it fails, often at exit 0, and what it says always.
ERRORS, HARMLESS = (r"^error: ", r"could not "), (r"could not send statistics",)


def detect(view):
    """By its files, whether it runs or not: this works on a disk as well."""
    if not view.exists(HOME + "/version"):
        return None
    return {"version": view.text(HOME + "/version").strip(), "root": HOME}


def inventory(system, found, query=None):
    """From its database, never from `acme export` (R2). A rescue gives query(database, sql), otherwise the live file is read."""
    query = query or _live(system)
    domains = {name: {} for (name,) in query(STORE, "SELECT name FROM domains")}
    rows = query(STORE, "SELECT address, quota, password FROM mailboxes")
    # a secret is kept as a digest: enough to see that it is another one
    mailboxes = {address: {"quota": quota, "password": _inventory.secret(password)} for address, quota, password in rows}
    host = system.text("/etc/hostname").strip()
    return _inventory.make(NAME, found["version"], host, "sql", {"domain": domains, "mailbox": mailboxes})


def _live(system):
    def query(database, sql):
        path = system.place(database) if hasattr(system, "place") else database
        try:
            # read-only: looking must not make a file, nor a journal
            connection = sqlite3.connect("file:%s?mode=ro" % path, uri=True)
            try:
                return [tuple("" if value is None else str(value) for value in row) for row in connection.execute(sql)]
            finally:
                connection.close()
        except sqlite3.Error as exc:
            raise IntactError("Acme's database %s can't be read (%s): look into it before anything else" % (database, exc)) from exc

    return query


def ready(system, found, mode="settings", where=_ready.ROOT):
    """What keeps an export from beginning: room where it is written (R9), and the panel's own backup."""
    findings = _ready.space(NAME, 64 << 20, "Acme writes its archive twice", where)
    if system.exists(LOCK):
        findings.append(_ready.busy(NAME, "its own backup", LOCK + " is there"))
    return findings


def keys(view, found):
    """Without it the passwords in an export mean nothing (R6)."""
    return [KEY] if view.exists(KEY) else []


def export(system, found, mode, target, say):
    """The panel's own export and its key. A bad exit status is passed on: verify judges what is in the file (R1)."""
    done = system.run(["acme", "export", os.path.join(target, ARTEFACT)], timeout=3600, check=False)
    files = [{"name": ARTEFACT, "role": "artefact"}]
    for path in keys(system, found):
        with open(os.path.join(target, os.path.basename(path)), "wb") as handle:
            handle.write(system.read(path))
        files.append({"name": os.path.basename(path), "role": "key"})
    return {"files": files, "said": done.text.splitlines() + done.error.splitlines(), "rc": done.rc}


def verify(opened, inventory, mode):
    """Offline: everything is read, every object is there and says something, every reference leads somewhere."""
    contents = opened.contents(ARTEFACT, keep=lambda path, _size: path.endswith(".json"))
    found = _verify.broken(contents, NAME, ARTEFACT)
    found += _verify.said(NAME, opened.document["said"], ERRORS, HARMLESS)
    if not opened.names("key"):
        found.append(_inventory.finding("panel.key.missing", NAME, "setting", KEY, "the export has no key", "", "look for it, and export again"))
    domains, mailboxes = {}, {}
    for path, data in contents.kept.items():
        name = path[len("domains/") : -len(".json")]
        try:
            entry = json.loads(data)
            mailboxes.update((box["address"], {"quota": box["quota"], "password": _inventory.secret(box["password"])}) for box in entry["mailboxes"])
        except (ValueError, KeyError, TypeError):
            found.append(_inventory.finding("panel.export.schema", NAME, "domain", name, "its file is no domain of Acme's", path, _verify.AGAIN))
            continue
        domains[name] = {}
        if entry.get("page") and entry["page"] not in contents.members:
            found.append(_inventory.finding("panel.reference.broken", NAME, "domain", name, "it refers to what is not there", entry["page"], _verify.AGAIN))
    seen = _inventory.make(NAME, inventory["version"], inventory["host"], {"kind": "files", "of": ARTEFACT}, {"domain": domains, "mailbox": mailboxes})
    return found + _inventory.compare(inventory, seen)
