# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Pure. What a DirectAdmin account is, told from its small files under the names that an archive gives them."""

from __future__ import annotations

import re
import urllib.parse

from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._panels import _accounts

LIMITS = ("bandwidth", "domainptr", "ftp", "inode", "mysql", "nemailf", "nemailml", "nemailr", "nemails", "nsubdomains", "quota", "vdomains")
# What DirectAdmin's page offers to be packed; without "domain" neither sites nor the rest of the home are.
OPTIONS = (
    "subdomain",
    "email",
    "email_data",
    "emailsettings",
    "forwarder",
    "autoresponder",
    "vacation",
    "list",
    "ftp",
    "ftpsettings",
    "database",
    "database_data",
)
# What is read of an archive to tell the objects; the rest is only read through.
KEPT = re.compile(
    r"backup/(user\.conf|\.shadow|crontab\.conf|backup_options\.list|[^/]+_[^/]+\.conf|[^/]+/(domain\.(conf|pointers|cert|key)|subdomain\.list|ftp\.passwd"
    r"|[^/]+\.db|email/(passwd|quota|aliases|autoresponder\.conf|vacation\.conf|majordomo/lists/[^/]+)))\Z"
)


def account(user, held):
    """{kind: {name: attributes}} of one account. held: {member as an archive names it: bytes}. {} when there is no such account."""
    found = _accounts.settings(held.get("backup/user.conf"))
    if not found:
        return {}
    owner = escape(user)
    out = {
        "customer": {owner: _customer(held, found)},
        "limit": {owner: {name: found[name] for name in LIMITS if name in found}},
        "cron_job": _accounts.crontab(user, [re.sub(r"\A\d+=", "", line) for line in _accounts.lines(held.get("backup/crontab.conf"))]),
        "database_user": _database_users(owner, held),
    }
    for member in sorted(held):
        match = re.match(r"backup/([^/]+)/domain\.conf\Z", member)
        if match:
            for kind, entries in _domain(owner, match.group(1), held).items():
                out.setdefault(kind, {}).update(entries)
    return out


def _customer(held, found):
    return {
        "owner": escape(found.get("creator", "")),
        "plan": escape(found.get("package", "")),
        "domain": escape(found.get("domain", "")),
        "email": escape(found.get("email", "")),
        "role": escape(found.get("usertype", "")),
        "suspended": int(found.get("suspended", "no").lower() in ("yes", "on", "1")),
        "password": _accounts.hashed("".join(_accounts.lines(held.get("backup/.shadow"))[:1]).strip()),
    }


def _domain(owner, name, held):
    """Everything that an archive keeps with one domain."""
    top = "backup/%s/" % name
    told = _accounts.settings(held.get(top + "domain.conf"))
    out = {
        "domain": {escape(name): {"owner": owner, "active": escape(told.get("active", "")), "ssl": escape(told.get("ssl", ""))}},
        "subdomain": {escape("%s.%s" % (line.strip(), name)): {"owner": owner} for line in _accounts.lines(held.get(top + "subdomain.list"))},
        "domain_alias": {
            escape(alias): {"owner": owner, "of": escape(name), "role": escape(role)}
            for alias, role in _accounts.settings(held.get(top + "domain.pointers")).items()
        },
    }
    selected = {key: value for key, value in told.items() if re.match(r"php\d*_select\Z", key)}
    if selected:
        out["php_handler"] = {escape(name): dict({key: escape(value) for key, value in selected.items()}, owner=owner)}
    zone = held.get("%s%s.db" % (top, name))
    if zone is not None:
        out["dns_zone"] = {escape(name): {"owner": owner, "records": _accounts.records(zone)}}
    if _accounts.lines(held.get(top + "domain.cert")):
        pem = (held.get(top + "domain.key") or b"") + b"\n" + held[top + "domain.cert"]
        out["certificate"] = {escape(name): dict(_accounts.certificate(pem), owner=owner)}
    out["ftp_user"] = _ftp(owner, held.get(top + "ftp.passwd"))
    out.update(_mail(owner, name, top + "email/", held))
    return out


def _mail(owner, domain, top, held):
    hashes, quotas = _accounts.passwords(held.get(top + "passwd")), _accounts.settings(held.get(top + "quota"), ":")
    out = {"mailbox": {}, "forward": {}, "list": {}, "setting": {}}
    for box, fields in hashes.items():
        attributes = {"owner": owner, "password": _accounts.hashed((fields + [""])[1]), "quota": escape(quotas.get(box, ""))}
        out["mailbox"][escape("%s@%s" % (box, domain))] = attributes
    for name, target in _accounts.settings(held.get(top + "aliases"), ":").items():
        out["forward"][escape("%s@%s" % (name, domain))] = {"owner": owner, "targets": _accounts.targets(target)}
    for member, data in held.items():
        name = member[len(top + "majordomo/lists/") :] if member.startswith(top + "majordomo/lists/") else ""
        if name and "." not in name:
            out["list"][escape("%s@%s" % (name, domain))] = {"owner": owner, "members": len(_accounts.lines(data))}
    for name in ("autoresponder", "vacation"):
        entries = _accounts.lines(held.get("%s%s.conf" % (top, name)))
        if entries:
            out["setting"]["%s %s" % (name, escape(domain))] = {"owner": owner, "records": len(entries)}
    return out


def _ftp(owner, data):
    """FTP users of one domain: login=passwd=HASH&path=DIRECTORY&type=..., as an archive has them."""
    out = {}
    for login, told in _accounts.settings(data).items():
        fields = _fields(told)
        if "passwd" in fields and login.partition("@")[0] != owner:
            out[escape(login)] = {"owner": owner, "home": escape(fields.get("path", "")), "password": _accounts.hashed(fields["passwd"])}
    return out


def _fields(told):
    """{name: value} of name=value&...; a plus sign is one, as in hashes."""
    pairs = (part.partition("=") for part in told.split("&"))
    return {urllib.parse.unquote(name): urllib.parse.unquote(value) for name, _sign, value in pairs}


def _database_users(owner, held):
    """Users of databases, told database by database: user=right=Y&...&passwd=%2AHASH."""
    out = {}
    for member, data in held.items():
        match = re.match(r"backup/([^/]+_[^/]+)\.conf\Z", member)
        for name, told in _accounts.settings(data).items() if match else ():
            fields = _fields(told)
            if "passwd" in fields:
                user = out.setdefault(escape(name), {"owner": owner, "databases": set(), "passwords": set()})
                user["databases"].add(escape(match.group(1)))
                user["passwords"].add(fields["passwd"])
    for user in out.values():
        user.update(databases=sorted(user["databases"]), passwords=_accounts.native(user["passwords"]))
    return out


def packed(held):
    """The options that an archive says it was made with; None when it does not say."""
    data = held.get("backup/backup_options.list")
    # "..._aware" only tells that the choice was made on purpose
    return None if data is None else {re.sub(r"_aware\Z", "", line.strip().partition("=")[0]) for line in _accounts.lines(data)}
