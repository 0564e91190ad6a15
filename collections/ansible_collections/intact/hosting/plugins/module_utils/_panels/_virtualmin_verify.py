# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Virtualmin: backups are read to their last byte, without the .info and .dom files beside them, which the panel's own test believes."""

from __future__ import annotations

import re

from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._panels import _dumps, _inventory, _measured, _verify, _virtualmin_domains
from ansible_collections.intact.hosting.plugins.module_utils._panels import _virtualmin_files as files

ARCHIVE = re.compile(r"(?P<name>[^/]+)\.(?:tar(?:\.(?:gz|bz2|zst))?|zip)\Z")
GLOBAL = "virtualmin"
RESCUED, KEYS = "webmin.tar.gz", "keys.tar.gz"
LOGIN = "/etc/webmin/mysql/config"
SIDECARS = (".info", ".dom")
# A feature that is on and leaves no file was not backed up; the others may have nothing to leave.
LEAVES = ("unix", "dns", "mail", "web", "ssl")
DUMPED = ("mysql", "postgres")
SMALL = re.compile(r"virtualmin(?:_ssl_(?:cert|key))?|unix|dns|mail(?:_users|_aliases)?|ssl_(?:cert|key)|(?:mysql|postgres)\Z")
STATUS = {
    1: "wrong arguments, or unreadable",
    2: "it failed",
    3: "old backups could not be removed, which hides a partial backup",
    4: "only a part was backed up",
}
ERRORS = (r"\.\. .*(?:failed|error|could not|cannot|does not exist|no such|not enough)", r"Backup failed", r"is already running", r"No space left")
HARMLESS = (r"file changed as we read it", r"socket ignored")
AGAIN = _verify.AGAIN


def verify(panel, opened, inventory, mode):
    """All findings of an export of Virtualmin."""
    uses = any(entry.get("type") == "mysql" for entry in inventory["objects"].get("database", {}).values())
    found = _said(panel, opened) + _measured.keys(panel, opened, KEYS, [LOGIN] if uses else [])
    names = {ARCHIVE.match(name).group("name"): name for name in opened.names("artefact") if ARCHIVE.match(name)}
    if RESCUED in opened.names("artefact"):
        return found + _rescued(panel, opened, inventory)
    settings = inventory["objects"].get("setting", {})
    if GLOBAL in names:
        settings = _global(panel, opened, names.pop(GLOBAL), found)
        measured = inventory.get("measured", {}).get("setting", {})
        found += _measured.compare(panel, inventory, "setting", measured, _virtualmin_domains.unsteady({"setting": settings}), GLOBAL)
    else:
        title, evidence = "the panel's own settings are not in it", "there is no %s.tar.gz: plans, templates and schedules" % GLOBAL
        found.append(_inventory.finding("panel.export.member", panel, "setting", GLOBAL, title, evidence, AGAIN))
    held = {name: _domain(panel, opened, names[name], name, mode, found) for name in sorted(names)}
    by_id = {one["held"]["id"]: one["held"] for one in held.values() if one["held"].get("id")}
    objects, results, made = {"setting": _wanted(settings, inventory)}, {}, set()
    for name, one in held.items():
        part = _virtualmin_domains.one_backup(one["kept"], name, by_id)
        files.merge(objects, part)
        results.update(one["dumps"])
        made.add(escape(name))
        found += _features(panel, one, name, mode)
    found += _without_backup(panel, inventory, made)
    dumped = _dumped(panel, inventory, made, results) if mode == "full" else []
    seen = _inventory.make(panel, inventory["version"], inventory["host"], {"kind": "files", "of": "the domains' backups"}, objects)
    return found + dumped + _inventory.compare(_of_made(inventory, made), seen)


def _wanted(settings, inventory):
    """What comes with the panel itself is in its backup and in no file of the host's."""
    return {name: entry for name, entry in settings.items() if name in inventory["objects"].get("setting", {})}


def _said(panel, opened):
    """Exit statuses other than 0, and what was said of each domain."""
    found, lines = [], opened.document.get("said") or []
    status = opened.document.get("rc") or 0
    named = sorted({match.group(1) for match in (re.match(r"domain (\S+): ", line) for line in lines) if match})
    for name in named:
        own = [line for line in lines if line.startswith("domain %s: " % name)]
        found += _verify.said(panel, own, ERRORS, HARMLESS, "domain", name)
    found += _verify.said(panel, [line for line in lines if not line.startswith("domain ")], ERRORS, HARMLESS)
    if status:
        evidence = "exit %d: %s" % (status, STATUS.get(status, "an exit status that the panel does not document"))
        evidence += "; it names " + ", ".join(named) if named else ""
        found.append(
            _inventory.finding(
                "panel.export.failed", panel, "export", "", "the panel's backup did not end well", evidence, "repair what it names, export again"
            )
        )
    return found


def _own(path, name):
    """What follows the domain's name in a member's name, "" for what is not the panel's. Home archives have these in .backup."""
    first = path.partition("!")[0]
    start = re.match(r"(?:\.backup/)?%s_" % re.escape(name), first)
    return first[start.end() :] if start and "/" not in first[start.end() :] else ""


def _global(panel, opened, file, found):
    contents = opened.contents(file, keep=lambda path, _size: bool(re.match(r"virtualmin_(?:config\Z|templates(?:_plans)?!|scheds!)", path)))
    found += _named(panel, _verify.broken(contents, panel, file), "setting", lambda _where: GLOBAL)
    return _virtualmin_domains.global_settings(contents.kept)


def _domain(panel, opened, file, name, mode, found):
    """{held, kept, dumps, members} of one domain's backup."""

    def scan(path):
        # only mysql's are text; PostgreSQL's own format begins with PGDMP
        return _dumps.Scan() if re.match(r"mysql_[^!]+\Z", _own(path, name)) and not re.match(r"[^!]+\.gz\Z", path) else None

    def enter(path):
        return bool(_own(path, name)) and "!" not in path and not re.match(r"dir\b", _own(path, name))

    contents = opened.contents(file, lambda path, _size: "!" not in path and bool(SMALL.match(_own(path, name))), scan, enter)
    found += _named(panel, _verify.broken(contents, panel, file), "domain", lambda where: _subject(where, name))
    kept = {_own(path, name): data for path, data in contents.kept.items()}
    dumps = {re.sub(r"\.gz\Z", "", _own(path, name))[len("mysql_") :]: said for path, said in contents.scanned.items()}
    held = files.settings((kept.get("virtualmin") or b"").decode("utf-8", "surrogateescape"))
    unread = set(contents.cut) | {path for path, _why in contents.broken}
    return {"held": held, "kept": kept, "dumps": dumps, "members": set(contents.members), "unread": unread, "contents": contents}


def _subject(where, name):
    match = re.match(r"mysql_([^!]+)", _own(where, name)) if where else None
    return ("database", re.sub(r"\.gz\Z", "", match.group(1))) if match else ("domain", escape(name))


def _named(panel, findings, kind, subject):
    """The same findings, about the objects that are hit."""
    for finding in findings:
        told = subject(finding.details["name"].partition("!")[2])
        kind, name = told if isinstance(told, tuple) else (kind, told)
        finding.subject = "%s %s %s" % (panel, kind, name)
        finding.evidence = "%s: %s" % (finding.details["name"], finding.evidence)
        finding.details.update(kind=kind, name=name)
    return findings


def _features(panel, one, name, mode):
    """Features that are switched on and left no file; a home that is not in a full backup."""
    found, held = [], one["held"]
    if one["contents"].broken and not held:
        return []
    parts = {_own(path, name) for path in one["members"]}
    if not held.get("dom"):
        title, evidence = "the domain's own settings are not in its backup", "%s_virtualmin is missing or empty" % name
        return [_inventory.finding("panel.export.member", panel, "domain", escape(name), title, evidence, AGAIN)]
    for feature in LEAVES + (DUMPED if mode == "full" else ()):
        wanted = held.get(feature) == "1" and not (feature == "unix" and held.get("parent"))
        if wanted and feature not in parts and not one["contents"].broken:
            title, evidence = "feature %s is not in its backup" % feature, "%s_%s is missing" % (name, feature)
            found.append(_inventory.finding("panel.export.member", panel, "domain", escape(name), title, evidence, AGAIN))
    home = any(path not in (".", ".virtualmin-src") and path.split("/")[0] != ".backup" for path in one["members"]) or "dir.tar" in parts
    if mode == "full" and held.get("dir") == "1" and not held.get("alias") and not home and not one["contents"].broken:
        title, evidence = "its home directory is not in its backup", "the archive holds nothing but .backup"
        found.append(_inventory.finding("panel.object.empty", panel, "domain", escape(name), title, evidence, AGAIN, change="empty"))
    return found


def _without_backup(panel, inventory, made):
    found = []
    for kind in ("domain", "subdomain", "domain_alias"):
        for name in sorted(set(inventory["objects"].get(kind, {})) - made):
            title, evidence = "there is no backup of this domain", "no archive in the export has its name"
            found.append(_inventory.finding("panel.object.missing", panel, kind, name, title, evidence, AGAIN, change="missing"))
    return found


def _of_made(inventory, made):
    """The inventory without what belongs to domains that have no backup: these are missing as a whole."""
    lost = {name for kind in ("domain", "subdomain", "domain_alias") for name in inventory["objects"].get(kind, {})} - made
    whose = {name: entry["domain"] for name, entry in inventory["objects"].get("customer", {}).items()}

    def there(kind, name, entry):
        where = name if kind in ("domain", "subdomain", "domain_alias", "dns_zone", "certificate", "limit", "php_handler") else entry.get("domain")
        where = where or whose.get(entry.get("customer", ""))
        return where not in lost

    objects = {kind: {n: e for n, e in entries.items() if kind == "setting" or there(kind, n, e)} for kind, entries in inventory["objects"].items()}
    return dict(inventory, objects=objects)


def _dumped(panel, inventory, made, results):
    """Findings of dumps. What PostgreSQL's own format holds nobody reads here."""
    names, found = [], []
    for name, entry in inventory["objects"].get("database", {}).items():
        if entry.get("domain") in made and entry.get("type") == "mysql":
            names.append(name)
        elif entry.get("domain") in made:
            why, remedy = "a dump in PostgreSQL's own format was not read", "prove this database by host_backup's class databases"
            found.append(_verify.unproven(panel, why, remedy, "database %s" % name))
    return found + _measured.dumps(panel, inventory, names, results)


def _rescued(panel, opened, inventory):
    """An archive of the panel's files, as a rescue makes it."""
    contents = opened.contents(RESCUED, keep=lambda _path, size: size <= 1 << 20, enter=lambda _path: False)
    found = _verify.broken(contents, panel, RESCUED)
    objects = _virtualmin_domains.objects(_virtualmin_domains.packed(contents.kept))
    held = _virtualmin_domains.unsteady(objects)
    found += _measured.compare(panel, inventory, "setting", inventory.get("measured", {}).get("setting", {}), held, RESCUED)
    seen = _inventory.make(panel, inventory["version"], inventory["host"], {"kind": "files", "of": RESCUED}, objects)
    return found + _inventory.compare(inventory, seen)
