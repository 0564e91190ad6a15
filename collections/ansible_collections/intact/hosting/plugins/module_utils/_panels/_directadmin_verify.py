# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""DirectAdmin's exports read without restoring them: each archive and the home's archive in it to the last byte, and every object against the inventory."""

from __future__ import annotations

import re

from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._panels import (
    _account_archives,
    _accounts,
    _directadmin_files,
    _directadmin_live,
    _directadmin_task,
    _dumps,
    _inventory,
    _mysql_look,
    _verify,
)
from ansible_collections.intact.hosting.plugins.module_utils._panels._directadmin_export import ARCHIVE, ENDING, SERVER

PANEL = "directadmin"
AGAIN = _verify.AGAIN
DUMP = re.compile(r"backup/([^/]+_[^/]+)\.sql\Z")
HOME = re.compile(r"backup/home\.tar(\.gz|\.zst)?\Z")
# Of a database the rows are judged by _mysql_look.dumps(), here only whose it is.
ATTRIBUTES = {"database": ["owner"]}
NEEDED = {"email", "database", "database_data"}
TITLES = {
    _directadmin_task.REFUSED: "the database server refused while it was packed",
    _directadmin_task.FULL: "the disk was full while it was packed",
    _directadmin_task.SAID: "what was said means a failure",
}


def verify(opened, inventory, mode):
    """Findings of an export; nothing is started and nothing written."""
    names, wanted = opened.names("artefact"), inventory["objects"].get("database", {})
    seen, found, results = _accounts_of(opened, names, mode, wanted)
    packed = {ARCHIVE.match(name).group(1) for name in archives(names)}
    for user in sorted(set(inventory["objects"].get("customer", {})) - packed):
        found += _transcript(opened, user, "", sorted(wanted)) if user + ENDING in names else []
        title, evidence = "DirectAdmin wrote no archive of this account", "its status says nothing; see what was said"
        found.append(_inventory.finding("panel.export.failed", PANEL, "customer", user, title, evidence, AGAIN))
    if SERVER in names:
        settings, findings = _account_archives.server(opened, PANEL, SERVER, _directadmin_live.settings)
        seen.setdefault("setting", {}).update(settings)
        found += findings
    found += _mysql_look.dumps(PANEL, results, wanted)
    document = _inventory.make(PANEL, inventory["version"], inventory["host"], {"kind": "command", "of": "the export"}, seen)
    return found + _inventory.compare(inventory, document, attributes=ATTRIBUTES)


def _accounts_of(opened, names, mode, databases):
    """(objects, findings, {database: what its dump says}) of all accounts' archives."""
    results = {}
    seen, found = _account_archives.together(archives(names), lambda name: _account(opened, name, names, mode, sorted(databases), results))
    for name, result in results.items():
        owner = _directadmin_live.owner_of(name, seen.get("customer", {})) or ""
        seen.setdefault("database", {})[escape(name)] = dict(_mysql_look.told(result), owner=owner)
    return seen, found, results


def packed(opened, found, host):
    """The inventory document that archives without any other word for it tell of themselves. A database that has users is one."""
    objects, _findings, _results = _accounts_of(opened, opened.names("artefact"), "settings", {})
    return _account_archives.alone(PANEL, found, host, objects)


def archives(names):
    """Those of an export's files that are an account's archive."""
    return [name for name in names if ARCHIVE.match(name)]


def stripped(path):
    """A member's path without what tar may put before it."""
    return path[2:] if path.startswith("./") else path


def _account(opened, name, names, mode, databases, results):
    """(objects of one account's archive, findings). results: filled with what its dumps say."""
    user = ARCHIVE.match(name).group(1)
    contents = opened.contents(
        name,
        keep=lambda path, _size: bool(_directadmin_files.KEPT.match(stripped(path))),
        scan=lambda path: _dumps.Scan() if DUMP.match(stripped(path)) else None,
        # what lies in a home, in a site or in a mailbox is the customer's matter
        enter=lambda path: bool(HOME.match(stripped(path))),
    )
    found = _verify.broken(contents, PANEL, name)
    held = {stripped(path): data for path, data in contents.kept.items()}
    if user + ENDING in names:
        found += _transcript(opened, user, name, databases)
    found += _manifest(user, name, contents, held) + (_home(user, name, contents) if mode == "full" and not contents.broken else [])
    for path, result in contents.scanned.items():
        database = DUMP.match(stripped(path)).group(1)
        # a copy of somebody else's dump is none of this account's databases
        if database.startswith(user + "_"):
            results[database] = result
    return _directadmin_files.account(user, held), found


def _tell(ident, user, title, evidence, name, severity="blocker"):
    return _inventory.finding(ident, PANEL, "customer", user, title, evidence, AGAIN, severity=severity, file=name)


def _transcript(opened, user, name, databases):
    """Findings of what was said of one account's task."""
    text = opened.read(user + ENDING).decode("utf-8", "surrogateescape")
    said, found, told = _directadmin_task.told(text, "backup", user), [], {}
    if not said.ended:
        found.append(_tell("panel.export.failed", user, "DirectAdmin did not say that it finished this account", said.why, name))
    for ident, line in said.complaints:
        about = next((entry for entry in sorted(databases, key=len, reverse=True) if re.search(r"(?<![\w.-])%s(?![\w-])" % re.escape(entry), line)), None)
        told.setdefault((ident, "database" if about else "customer", about or user), []).append(_accounts.redact(line)[:300])
    for (ident, kind, what), lines in told.items():
        remedy = "repair what it names, then export again"
        found.append(_inventory.finding(ident, PANEL, kind, what, TITLES[ident], "; ".join(lines[:3]), remedy, lines=len(lines)))
    return found


def _manifest(user, name, contents, held):
    """An archive's name proves nothing: DirectAdmin goes by what is in it; and its own list says what was packed."""
    found = []
    told = _accounts.settings(held.get("backup/user.conf"))
    if not told and not contents.broken:
        found.append(_tell("panel.export.member", user, "the archive does not say whose it is", "backup/user.conf is not in it, or empty", name))
    if told and told.get("username", user) != user:
        found.append(_tell("panel.export.stale", user, "the archive is another account's", "it names %s" % escape(told["username"]), name))
    packed = _directadmin_files.packed(held)
    if packed is None and not contents.broken:
        found.append(_tell("panel.export.member", user, "the archive does not say what was packed", "backup/backup_options.list is not in it", name))
    elif packed is not None and NEEDED - packed:
        missing = ", ".join(sorted(NEEDED - packed))
        found.append(_tell("panel.export.stale", user, "the archive's own list is not that of this export", "it was made without %s" % missing, name))
    return found


def _home(user, name, contents):
    found = []
    nested = [stripped(path) for path in contents.members if HOME.match(stripped(path).partition("!")[0])]
    if not nested:
        found.append(_tell("panel.export.member", user, "the archive of its home is not in its archive", "no backup/home.tar.* in %s" % name, name))
    elif not [path for path in nested if "!" in path]:
        found.append(_tell("panel.object.empty", user, "the archive of its home holds nothing", "backup/home.tar.* in %s is empty" % name, name))
    return found
