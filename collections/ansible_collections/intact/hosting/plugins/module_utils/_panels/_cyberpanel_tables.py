# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Pure. CyberPanel's tables and the meta.xml of its backups, and the objects that they make."""

from __future__ import annotations

import json
import re
from xml.etree import ElementTree

from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._panels._inventory import secret

SITES, CHILDREN, ALIASES = "websiteFunctions_websites", "websiteFunctions_childdomains", "websiteFunctions_aliasdomains"
PEOPLE, ROLES, PACKAGES = "loginSystem_administrator", "loginSystem_acl", "packages_package"
WANTED = {
    PEOPLE: tuple("id userName password firstName lastName email type owner token api securityLevel state initWebsitesLimit acl_id twoFA secretKey".split()),
    ROLES: ("id", "name", "adminStatus", "config"),
    PACKAGES: tuple("id packageName diskSpace bandwidth emailAccounts dataBases ftpAccounts allowedDomains enforceDiskLimits".split()),
    SITES: ("id", "admin_id", "package_id", "domain", "adminEmail", "phpSelection", "ssl", "state", "externalApp", "config"),
    CHILDREN: ("id", "master_id", "domain", "path", "ssl", "phpSelection", "alais"),
    ALIASES: ("id", "master_id", "aliasDomain"),
    "databases_databases": ("id", "website_id", "dbName", "dbUser"),
    "e_domains": ("domain", "domainOwner_id", "childOwner_id"),
    "e_users": ("email", "emailOwner_id", "password", "mail"),
    "e_forwardings": ("id", "source", "destination"),
    "domains": ("id", "name", "type", "master"),
    "records": ("id", "domain_id", "name", "type", "content", "prio", "disabled"),
    "users": ("ID", "domain_id", "User", "Password", "Dir", "QuotaSize", "Status"),
}
SECRETS = {"password", "Password", "token", "secretKey"}
# What meta.xml has; the rest of a site is in the panel's database only.
IN_META = ["domain", "subdomain", "domain_alias", "dns_zone", "mailbox", "database"]


class Unreadable(ValueError):
    """A meta.xml that says nothing."""


def _attributes(row, without=()):
    numbers = re.compile(r"(?i)(?:\w+_)?id\Z")
    return {key: secret(value) if key in SECRETS else value for key, value in row.items() if key not in without and not numbers.match(key)}


def record(row):
    """One record of a zone as text; None for the SOA, whose serial changes with each look."""
    if row.get("type") == "SOA":
        return None
    priority = row.get("prio", "") if row.get("prio", "").isdigit() else "0"
    return escape(" ".join((row.get("name", ""), row.get("type", ""), priority, row.get("content", ""))))


def objects(rows):
    """{kind: {name: attributes}} of all rows. rows: {table: [{column: text}]}."""
    out = {}

    def put(kind, name, attributes):
        out.setdefault(kind, {}).setdefault(escape(name), {}).update(attributes)

    people = {row["id"]: row.get("userName", "") for row in rows.get(PEOPLE, ())}
    roles = {row["id"]: row.get("name", "") for row in rows.get(ROLES, ())}
    packages = {row["id"]: row.get("packageName", "") for row in rows.get(PACKAGES, ())}
    sites = {row["id"]: row for row in rows.get(SITES, ())}
    named = {number: escape(row.get("domain", "")) for number, row in sites.items()}
    for row in rows.get(PEOPLE, ()):
        held = _attributes(row, ("userName", "owner", "initWebsitesLimit"))
        owner = people.get(row.get("owner", ""), "")
        put("customer", row.get("userName", ""), dict(held, acl=escape(roles.get(row.get("acl_id", ""), "")), owner=escape(owner)))
        put("limit", row.get("userName", ""), {"websites": row.get("initWebsitesLimit", "")})
    for row in sites.values():
        held = _attributes(row, ("domain", "config", "phpSelection", "ssl"))
        held.update(customer=escape(people.get(row.get("admin_id", ""), "")), package=escape(packages.get(row.get("package_id", ""), "")))
        put("domain", row.get("domain", ""), held)
        put("php_handler", row.get("domain", ""), {"php": row.get("phpSelection", "")})
    for row in rows.get(CHILDREN, ()):
        above = named.get(row.get("master_id", ""), "")
        kind = "domain_alias" if row.get("alais") == "1" else "subdomain"
        put(kind, row.get("domain", ""), {"domain": above, "path": row.get("path", ""), "php": row.get("phpSelection", "")})
    for row in rows.get(ALIASES, ()):
        put("domain_alias", row.get("aliasDomain", ""), {"domain": named.get(row.get("master_id", ""), "")})
    for row in rows.get("databases_databases", ()):
        put("database", row.get("dbName", ""), {"domain": named.get(row.get("website_id", ""), ""), "user": escape(row.get("dbUser", ""))})
        put("database_user", row.get("dbUser", ""), {"domain": named.get(row.get("website_id", ""), "")})
    _mail(rows, put)
    _zones(rows, put)
    for row in rows.get("users", ()):
        put("ftp_user", row.get("User", ""), dict(_attributes(row, ("User",)), domain=named.get(row.get("domain_id", ""), "")))
    for row in rows.get(PACKAGES, ()):
        put("setting", "package/" + row.get("packageName", ""), _attributes(row, ("packageName",)))
    for row in rows.get(ROLES, ()):
        put("setting", "acl/" + row.get("name", ""), _attributes(row, ("name",)))
    return out


def _mail(rows, put):
    for row in rows.get("e_users", ()):
        put("mailbox", row.get("email", ""), {"domain": escape(row.get("emailOwner_id", "")), "password": secret(row.get("password", ""))})
    targets = {}
    for row in rows.get("e_forwardings", ()):
        targets.setdefault(row.get("source", ""), set()).update(part for part in re.split(r"[,\s]+", row.get("destination", "")) if part)
    for source, to in targets.items():
        # a mailbox forwards to itself to keep a copy
        put("forward", source, {"to": sorted(escape(part) for part in to)})


def _zones(rows, put):
    held = {}
    for row in rows.get("records", ()):
        said = record(row)
        if said:
            held.setdefault(row.get("domain_id", ""), []).append(said)
    for row in rows.get("domains", ()):
        put("dns_zone", row.get("name", ""), {"type": row.get("type", ""), "records": sorted(held.get(row.get("id", ""), []))})


def megabytes(config):
    """What a site uses by the panel's last count; 0 where it does not tell."""
    try:
        return int(float(json.loads(config)["DiskUsage"]))
    except (ValueError, KeyError, TypeError):
        return 0


def meta(data):
    """(name of the site, its objects) that a backup's meta.xml tells; Unreadable with why."""
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise Unreadable("it defines entities, which the panel never does")  # a customer could have written it
    try:
        root = ElementTree.fromstring(data)  # noqa: S314 (what could be used against the parser was refused above)
    except ElementTree.ParseError as exc:
        raise Unreadable("it is no XML: %s" % exc) from exc
    name = root.findtext("masterDomain") or ""
    if root.tag != "metaFile" or not name:
        raise Unreadable("it names no site")
    site = escape(name)
    out = {"domain": {site: {"externalApp": root.findtext("externalApp") or "", "customer": escape(root.findtext("userName") or "")}}}
    out["php_handler"] = {site: {"php": root.findtext("phpSelection") or ""}}
    for child in root.findall("ChildDomains/domain"):
        held = {"domain": site, "path": child.findtext("path") or "", "php": child.findtext("phpSelection") or ""}
        out.setdefault("subdomain", {})[escape(child.findtext("domain") or "")] = held
    for alias in root.findall("Aliases/alias"):
        out.setdefault("domain_alias", {})[escape(alias.text or "")] = {"domain": site}
    for database in root.findall("Databases/database"):
        out.setdefault("database", {})[escape(database.findtext("dbName") or "")] = {"domain": site}
    for account in root.findall("emails/emailAccount"):
        out.setdefault("mailbox", {})[escape(account.findtext("email") or "")] = {"domain": site, "password": secret(account.findtext("password") or "")}
    fields = {"type": "type", "name": "name", "content": "content", "prio": "priority"}
    told = [record({key: entry.findtext(tag) or "" for key, tag in fields.items()}) for entry in root.findall("dnsrecords/dnsrecord")]
    if told:
        out["dns_zone"] = {site: {"records": sorted(entry for entry in told if entry)}}
    return site, out
