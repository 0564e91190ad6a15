# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""HestiaCP and Vesta: an export is read to its last byte and held against the inventory, object by object. Nothing but the files is asked."""

from __future__ import annotations

import re

from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._panels import _dumps, _hestia_conf, _hestia_files, _inventory, _measured, _verify

SETTINGS, KEYS = "panel.tar.gz", "keys.tar.gz"
ARTEFACT = re.compile(r"(?P<user>.+)\.\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d\.tar\Z")
# What v-backup-user nests; customers' own archives inside are not the panel's.
OWN_ARCHIVE = re.compile(r"(?:web/[^/]+/domain_data|mail/[^/]+/accounts|user_dir/[^!]+)\.tar\.(?:gz|zst)\Z|db/[^!]+\.sql\.(?:gz|zst)\Z")
DUMP = re.compile(r"db/(?P<name>[^/]+)/[^/!]+\.(?:mysql|pgsql)\.sql(?:\.(?:gz|zst)!.*)?\Z")
OBJECT = re.compile(r"(?P<kind>web|mail|dns|db)/(?P<name>[^/!]+)")
KINDS = {"web": "domain", "mail": "domain", "dns": "dns_zone", "db": "database"}
# In the archives of customers; the settings are compared apart.
IN_ARCHIVES = [kind for kind in _inventory.KINDS if kind != "setting"]
# Which section of backup-excludes.conf leaves out which kinds.
SECTIONS = {
    "WEB": ("domain", "domain_alias", "ftp_user", "php_handler", "certificate"),
    "DNS": ("dns_zone",),
    "MAIL": ("domain", "mailbox", "forward", "mail_alias"),
    "DB": ("database", "database_user"),
    "CRON": ("cron_job",),
}
REMEDIES = {
    5: "set POLICY_BACKUP_SUSPENDED_USERS='yes' in the panel's configuration, so that suspended customers are backed up too",
    8: "make room in /backup: the panel wants twice what the customer uses",
    11: "give the customer's package at least one backup (BACKUPS), or set BACKUP_SYSTEM",
    13: "make room in /backup: the panel stops at 95 %",
    15: "start the database server, or correct its login in the panel's configuration",
    17: "look at the database whose dump failed; the panel backs nothing of this customer up until then",
}
ERRORS = (
    r"^\w+ \S+: Error:",
    r"Wrote only",
    r"Error is not recoverable",
    r"No such file or directory",
    r"Cannot (?:open|stat|write)",
    r"backup failed",
    r"doesn't exist",
    r"was left behind",
)
HARMLESS = (r"file changed as we read it", r"file removed before we read it", r"socket ignored")
AGAIN = _verify.AGAIN


def verify(panel, opened, inventory, mode, root):
    """All findings of an export of HestiaCP or Vesta."""
    found = _said(panel, opened)
    names = opened.names("artefact")
    found += _settings(panel, opened, inventory, root) if SETTINGS in names else [_lacking(panel, opened)]
    logins = [name for name in ("conf/mysql.conf", "conf/pgsql.conf") if _measured.of(inventory, "setting", name)]
    found += _measured.keys(panel, opened, KEYS, ["%s/%s" % (root, name) for name in logins])
    if mode == "full":
        found += _customers(panel, opened, inventory, [name for name in names if ARTEFACT.match(name)])
    return found


def _lacking(panel, opened):
    title, evidence = "the panel's own settings are not in it", "there is no %s: packages, templates and limits have no other copy" % SETTINGS
    return _inventory.finding("panel.export.member", panel, "setting", SETTINGS, title, evidence, AGAIN)


def _said(panel, opened):
    """Exit statuses other than 0, and complaints: `said` has a line for each, with the object first."""
    found, rest = [], []
    for line in opened.document.get("said") or []:
        match = re.match(r"(customer|setting) (\S+): (exit \d+ .*|no archive .*|.*older than this export.*)", line)
        if match:
            ident = "panel.export.stale" if "older than this export" in line else "panel.export.failed"
            title, status = "the panel's program made no backup of this run", re.match(r"exit (\d+)", match.group(3))
            remedy = REMEDIES.get(int(status.group(1)) if status else 0, "correct what it says, and export again")
            found.append(_inventory.finding(ident, panel, match.group(1), match.group(2), title, match.group(3), remedy))
        else:
            rest.append(line)
    for name in sorted({line.split(" ")[1].rstrip(":") for line in rest if line.startswith("customer ")}):
        own = [line for line in rest if line.startswith("customer %s:" % name)]
        found += _verify.said(panel, own, ERRORS, HARMLESS, "customer", name)
    return found


def _settings(panel, opened, inventory, root):
    """The archive of the settings: all customers' files, packages, configuration."""
    contents = opened.contents(SETTINGS, keep=lambda path, _size: _wanted(path, root), enter=lambda _path: False)
    found = _verify.broken(contents, panel, SETTINGS)
    objects = _hestia_conf.merged(_hestia_conf.objects(customer) for customer in _hestia_files.settings(contents.kept, root))
    top, held = root.lstrip("/"), {}
    for path, data in contents.kept.items():
        if re.match(re.escape(top) + r"/(?:conf/[^/]+\.conf|data/packages/[^/]+\.pkg)\Z", path):
            name, attributes = _hestia_files.package(path, data)
            (held if name.startswith("conf/") else objects.setdefault("setting", {}))[name] = attributes
    found += _measured.compare(panel, inventory, "setting", inventory.get("measured", {}).get("setting", {}), held, SETTINGS)
    seen = _inventory.make(panel, inventory["version"], inventory["host"], {"kind": "files", "of": SETTINGS}, objects)
    return found + _inventory.compare(inventory, seen)


def _wanted(path, root):
    top = root.lstrip("/")
    return bool(re.match(re.escape(top) + r"/(?:data/users/[^/]+/(?:[^/]+\.conf|(?:dns|mail|ssl)/[^/]+)|conf/[^/]+\.conf|data/packages/[^/]+\.pkg)\Z", path))


def _customers(panel, opened, inventory, names):
    """Each customer's archive, and what all of them together hold of the inventory."""
    found, several, results, whole = [], [], {}, set()
    archives = {}
    for name in names:
        archives.setdefault(ARTEFACT.match(name).group("user"), []).append(name)
    wanted = inventory["objects"].get("customer", {})
    for owner in sorted(set(wanted) - {escape(user) for user in archives}):
        title, evidence = "there is no backup of this customer", "no archive in the export has this name: %s" % _count(inventory, owner)
        found.append(_inventory.finding("panel.object.missing", panel, "customer", owner, title, evidence, AGAIN, change="missing"))
    excluded = {}
    for user in sorted(archives):
        name = sorted(archives[user])[-1]
        contents = opened.contents(name, _keep, lambda path: _dumps.Scan() if DUMP.match(path) else None, lambda path: bool(OWN_ARCHIVE.match(path)))
        found += _broken(panel, contents, name, user)
        customer = _hestia_files.archive(user, contents.kept)
        objects = _hestia_conf.objects(customer)
        if not customer.user:
            objects.pop("customer"), objects.pop("limit")
        whole.add(escape(user))
        excluded[escape(user)] = _hestia_conf.excluded(customer)
        results.update({DUMP.match(path).group("name"): said for path, said in contents.scanned.items()})
        found += _members(panel, contents, customer, inventory)
        several.append(objects)
    part, objects = _of_customers(inventory, whole), _hestia_conf.merged(several)
    dumped = _measured.dumps(panel, inventory, part["objects"].get("database", {}), results)
    seen = _inventory.make(panel, inventory["version"], inventory["host"], {"kind": "files", "of": "customers' backups"}, objects)
    compared = _inventory.compare(part, seen, kinds=IN_ARCHIVES) + dumped
    return found + [_lenient(finding, part, excluded) for finding in compared]


def _keep(path, size):
    return bool(_hestia_files.PIECE.match(path))


def _count(inventory, owner):
    held = [kind for kind, entries in inventory["objects"].items() for entry in entries.values() if entry.get("customer") == owner]
    return "%d objects of the inventory are this customer's" % len(held)


def _of_customers(inventory, owners):
    """The inventory of the customers whose archives are there; the others are missing as a whole."""
    objects = {
        kind: {name: entry for name, entry in entries.items() if entry.get("customer", name) in owners} for kind, entries in inventory["objects"].items()
    }
    return dict(inventory, objects=objects)


def _broken(panel, contents, name, user):
    """Findings of what can't be read, by the object that it is of."""
    found = _verify.broken(contents, panel, name)
    for finding in found:
        where = finding.details["name"].partition("!")[2]
        match = OBJECT.match(where)
        kind, thing = (KINDS[match.group("kind")], match.group("name")) if match else ("customer", escape(user))
        finding.subject = "%s %s %s" % (panel, kind, thing)
        finding.evidence = "%s: %s" % (finding.details["name"], finding.evidence)
        finding.details.update(kind=kind, name=thing)
    return found


def _members(panel, contents, customer, inventory):
    """Archives that hold something else than their object: the script goes on where it is when it can't enter a directory."""
    found, inside = [], {}
    for path in contents.members:
        match = re.match(r"((web|mail)/([^/]+)/(?:domain_data|accounts)\.tar\.(?:gz|zst))!(.*)\Z", path)
        if match:
            inside.setdefault((match.group(2), match.group(3), match.group(1)), set()).add(match.group(4).split("/")[0].split("!")[0])
    unread = set(contents.cut) | {path for path, _why in contents.broken}
    for (kind, name, path), held in sorted(inside.items()):
        evidence = "%s: %s" % (path, ", ".join(sorted(held)[:6]))
        if {"hestia", "conf"} <= held or {"vesta", "conf"} <= held:
            title = "its archive holds the panel's temporary directory instead of the %s" % ("site" if kind == "web" else "mail")
            found.append(_member(panel, "domain", name, title, evidence))
        elif kind == "web" and _stored(inventory, "domain", name) and "public_html" not in held and path not in unread:
            found.append(_member(panel, "domain", name, "its archive has no public_html, which was there", evidence))
    mail = {name: (path, held) for (kind, name, path), held in inside.items() if kind == "mail"}
    mail.update((OBJECT.match(path).group("name"), (path, set())) for path in unread if re.match(r"mail/[^/]+/accounts\.tar\.\w+\Z", path))
    for domain, text in customer.accounts.items():
        path, held = mail.get(domain, ("", set()))
        for account in _hestia_conf.lines(text):
            address = escape("%s@%s" % (account.get("ACCOUNT", ""), domain))
            if path not in unread and account.get("ACCOUNT") not in held and _stored(inventory, "mailbox", address):
                title, evidence = "its mail is not in the archive", "mail/%s/accounts.tar has no directory of this name" % domain
                found.append(_inventory.finding("panel.object.empty", panel, "mailbox", address, title, evidence, AGAIN, change="empty"))
    return found


def _member(panel, kind, name, title, evidence):
    remedy = "make the directory that is missing on the host, or delete the object in the panel, and export again"
    return _inventory.finding("panel.export.member", panel, kind, name, title, evidence, remedy)


def _stored(inventory, kind, name):
    return _measured.of(inventory, kind, name).get("stored") == "yes"


def _lenient(finding, inventory, excluded):
    """A finding about what the customer wanted no backup of is a warning: it is so on purpose, and the settings have it all the same."""
    kind, name = finding.details.get("kind"), finding.details.get("name", "")
    owner = inventory["objects"].get(kind, {}).get(name, {}).get("customer", "")
    for section, names in excluded.get(owner, {}).items():
        parts = (name, name.partition("@")[2], inventory["objects"].get(kind, {}).get(name, {}).get("domain", ""))
        if kind in SECTIONS.get(section, ()) and ("*" in names or any(part in names for part in parts if part)):
            finding.severity = "warning"
            finding.evidence += "; backup-excludes.conf of %s says so" % owner
            finding.remedy = "ask the customer whether this is still meant, or take it out of backup-excludes.conf"
    return finding
