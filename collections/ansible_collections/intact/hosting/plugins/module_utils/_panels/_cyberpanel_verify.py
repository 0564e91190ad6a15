# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""CyberPanel: an export's site archives are read to their last byte; what their meta.xml lists must be in them, and be what the panel's database says."""

from __future__ import annotations

import posixpath
import re

from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._panels import _cyberpanel_tables as tables
from ansible_collections.intact.hosting.plugins.module_utils._panels import _dumps, _inventory, _measured, _sql_panel, _verify
from ansible_collections.intact.hosting.plugins.module_utils._panels import _virtualmin_files as crontabs
from ansible_collections.intact.hosting.plugins.module_utils._panels._inventory import secret

ARCHIVE = re.compile(r"backup-(?P<name>.+)-\d\d\.\d\d\.\d{4}_\d\d-\d\d-\d\d\.tar\.gz\Z")
DUMP = re.compile(r"(?P<name>[^/!]+)\.sql\Z")
CRONTABS = ("/var/spool/cron/crontabs/", "/var/spool/cron/")
LETS = "/etc/letsencrypt/live/"
ERRORS = (
    r"\[5009\]",
    r"could not be backed up",
    r"Failed to create database backup",
    r": 0\Z",
    r"no archive",
    r"older than this export",
    r"over a link",
    r"can't be read",
    r"no plain file",
    r"Disk space exceeded",
    r": status ",
)
AGAIN = _verify.AGAIN


def verify(panel, opened, inventory, mode, needed):
    """All findings of an export of CyberPanel."""
    found = _sql_panel.complaints(panel, opened, "database", (r": exit \d+", r"[Ee]rror")) + _sql_panel.complaints(panel, opened, "domain", ERRORS)
    dump = _sql_panel.dump_name(inventory["route"].get("of", ""))
    broken, rows = _sql_panel.panel_rows(panel, opened, dump, tables.WANTED)
    objects = tables.objects(rows)
    found += broken + _sql_panel.files(panel, opened, needed)
    objects.update(_from_files(opened, rows))
    seen = _inventory.make(panel, inventory["version"], inventory["host"], {"kind": "sql", "of": dump}, objects)
    found += _inventory.compare(inventory, seen)
    if mode == "full":
        found += _sites(panel, opened, inventory)
    return found


def _from_files(opened, rows):
    """Crontabs and certificates in the archive of the settings."""
    if _sql_panel.SETTINGS not in opened.names("artefact"):
        return {}
    wanted = ("etc/letsencrypt/", *(path.lstrip("/") for path in CRONTABS))
    contents = opened.contents(_sql_panel.SETTINGS, keep=lambda path, _size: path.startswith(wanted), enter=lambda _path: False)

    def read(path):
        for _hop in range(8):
            member = contents.members.get(path.lstrip("/"))
            if member is None or member.kind != "symlink":
                break
            path = posixpath.normpath(posixpath.join(posixpath.dirname("/" + path.lstrip("/")), member.target))
        return contents.kept.get(path.lstrip("/"))

    return of_files(read, rows)


def of_files(read, rows):
    """{cron_job, certificate} of all sites. read(path): bytes or None, links followed."""
    out = {"cron_job": {}, "certificate": {}}
    for row in rows.get(tables.SITES, ()):
        name, user = row.get("domain", ""), row.get("externalApp", "")
        data = next((data for data in (read(path + user) for path in CRONTABS) if data), b"") if re.match(r"[\w.-]+\Z", user) else b""
        out["cron_job"].update(crontabs.jobs(user, data.decode("utf-8", "surrogateescape"), escape(name)))
    names = [row.get("domain", "") for table in (tables.SITES, tables.CHILDREN) for row in rows.get(table, ())]
    for name in [name for name in names if re.match(r"[^./][^/]*\Z", name)]:
        data, key = read("%s%s/cert.pem" % (LETS, name)), read("%s%s/privkey.pem" % (LETS, name))
        if data:
            out["certificate"][escape(name)] = certificate(data, key)
    return {kind: entries for kind, entries in out.items() if entries}


def certificate(data, key):
    """Digests of a certificate and its key."""
    return {"certificate": secret(b"".join(data.split())), "key": secret(b"".join(key.split())) if key else None}


def _sites(panel, opened, inventory):
    """Each site has an archive, and the archive is what the inventory says."""
    found, made = [], set()
    archives = {ARCHIVE.match(name).group("name"): name for name in sorted(opened.names("artefact")) if ARCHIVE.match(name)}
    for name in sorted(archives):
        made.add(escape(name))
        found += _site(panel, opened, inventory, archives[name], name)
    for name in sorted(set(inventory["objects"].get("domain", {})) - made):
        title, evidence = "there is no backup of this site", "no archive in the export has its name"
        found.append(_inventory.finding("panel.object.missing", panel, "domain", name, title, evidence, AGAIN, change="missing"))
    children = inventory["objects"].get("subdomain", {})
    for address, entry in sorted(inventory["objects"].get("mailbox", {}).items()):
        if _measured.of(inventory, "mailbox", address).get("stored") == "yes" and entry.get("domain") in children:
            title, evidence = "its mail is in no backup of the panel", "a site's backup takes the mail of the site's own name, and not of %s" % entry["domain"]
            remedy = "back the mail up by host_backup's class mail"
            found.append(_inventory.finding("panel.object.empty", panel, "mailbox", address, title, evidence, remedy, "warning"))
    return found


def _site(panel, opened, inventory, file, name):
    site = escape(name)

    def keep(path, _size):
        return path == "meta.xml" or bool(re.match(r"[^/!]+\.(?:cert|privkey)\.pem\Z", path))

    contents = opened.contents(file, keep, lambda path: _dumps.Scan() if DUMP.match(path) else None, lambda _path: False)
    found = _verify.broken(contents, panel, file)
    for finding in found:
        finding.subject, finding.evidence = "%s domain %s" % (panel, site), "%s: %s" % (finding.details["name"], finding.evidence)
        finding.details.update(kind="domain", name=site)
    if "meta.xml" not in contents.kept:
        return found + [_member(panel, site, "its backup has no meta.xml", "%s: without it nothing of the site can be restored" % file)]
    try:
        told, objects = tables.meta(contents.kept["meta.xml"])
    except tables.Unreadable as exc:
        evidence = "%s!meta.xml: %s" % (file, exc)
        return found + [_inventory.finding("panel.export.schema", panel, "domain", site, "its backup's meta.xml says nothing", evidence, AGAIN)]
    if told != site:
        found.append(_member(panel, site, "its backup is another site's", "%s!meta.xml names %s" % (file, told)))
    _certificates(contents, objects)
    results = {DUMP.match(path).group("name"): said for path, said in contents.scanned.items()}
    part = _of_site(inventory, site)
    names = set(objects.get("database", {})) | set(part["objects"].get("database", {}))
    # the panel goes on after a failed dump
    dumped = _measured.dumps(panel, inventory, names, results) if not contents.broken else []
    seen = _inventory.make(panel, inventory["version"], inventory["host"], {"kind": "files", "of": file}, objects)
    found += dumped + _inventory.compare(part, seen, kinds=tables.IN_META + ["certificate"])
    return found + (_content(panel, contents, part, site) if not contents.broken else [])


def _member(panel, name, title, evidence):
    return _inventory.finding("panel.export.member", panel, "domain", name, title, evidence, AGAIN)


def _certificates(contents, objects):
    for path, data in contents.kept.items():
        match = re.match(r"(.+)\.cert\.pem\Z", path)
        if match:
            key = contents.kept.get(match.group(1) + ".privkey.pem")
            objects.setdefault("certificate", {})[match.group(1)] = certificate(data, key)


def _of_site(inventory, site):
    """What of the inventory a site's backup has."""
    objects = {}
    children = {n for kind in ("subdomain", "domain_alias") for n, entry in inventory["objects"].get(kind, {}).items() if entry.get("domain") == site}
    for kind in tables.IN_META + ["certificate"]:
        for name, entry in inventory["objects"].get(kind, {}).items():
            own = name in (children | {site}) if kind == "certificate" else name == site if kind in ("domain", "dns_zone") else entry.get("domain") == site
            if own:
                objects.setdefault(kind, {})[name] = entry
    return dict(inventory, objects=objects)


def _content(panel, contents, part, site):
    """The site's files and its mailboxes are in the archive when they are on the disk: rsync's errors are not looked at."""
    found, names = [], contents.files()
    if _measured.of(part, "domain", site).get("stored") == "yes" and not any(name.startswith("public_html/") for name in names):
        title, evidence = "its files are not in its backup", "nothing below public_html"
        found.append(_inventory.finding("panel.object.empty", panel, "domain", site, title, evidence, AGAIN, change="empty"))
    held = {name.split("/")[1] for name in contents.members if name.startswith("vmail/") and name.count("/")}
    for address in sorted(part["objects"].get("mailbox", {})):
        if _measured.of(part, "mailbox", address).get("stored") == "yes" and address.rpartition("@")[0] not in held:
            title, evidence = "its mail is not in the backup", "nothing below vmail/%s" % address.rpartition("@")[0]
            found.append(_inventory.finding("panel.object.empty", panel, "mailbox", address, title, evidence, AGAIN, change="empty"))
    if "vhost.conf" not in contents.members and _measured.of(part, "domain", site).get("vhost") == "yes":
        found.append(_member(panel, site, "its web server's configuration is not in its backup", "there is no vhost.conf"))
    return found
