# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Pure. What a cPanel account is, told from its small files: the same for those on the server and for those in an archive, which has them under other names."""

from __future__ import annotations

import json
import re

from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._panels import _accounts, _inventory

LIMITS = ("BWLIMIT", "DISK_BLOCK_LIMIT", "QUOTA", "MAXADDON", "MAXFTP", "MAXLST", "MAXPARK", "MAXPOP", "MAXSQL", "MAXSUB")
# What is read of an archive to tell the objects; the rest is only read through.
KEPT = re.compile(
    r"(cp/[^/]+|meta/[^/]+|userdata/[^/]+|va/[^/]+|vad/[^/]+|vf/[^/]+|dnszones/[^/]+\.db|apache_tls/[^/]+(/combined)?|cron/[^/]+|proftpdpasswd|shadow"
    r"|mysql\.sql|suspended/[^/]+|resellerconfig/resellers|mm/[^/]+/config\.pck|homedir/etc/[^/]+/(passwd|shadow|quota))\Z"
)
_GRANT_USAGE = re.compile(r"GRANT USAGE ON \*\.\* TO '([^']*)'@'([^']*)'(?: IDENTIFIED (?:BY PASSWORD|WITH '[^']*' AS) '([^']*)')?")
_GRANT = re.compile(r"GRANT [^;]*? ON [`']?((?:[^`'\\.]|\\.)+)[`']?\.\* TO '([^']*)'@'([^']*)'")


def account(user, held):
    """{kind: {name: attributes}} of one account. held: {member as an archive names it, without its top directory: bytes}. {} when there is no such account."""
    found = _accounts.settings(held.get("cp/" + user))
    if not found:
        return {}
    owner = escape(user)
    main = _accounts.userdata(held.get("userdata/main"))
    addons, subdomains = _mapping(main.get("addon_domains")), _listing(main.get("sub_domains"))
    primary = main.get("main_domain") or found.get("DNS", "")
    out = {
        "customer": {owner: _customer(user, held, found)},
        "limit": {owner: {name: found[name] for name in LIMITS if name in found}},
        "domain": {},
        "domain_alias": {escape(name): {"owner": owner, "of": escape(primary)} for name in _listing(main.get("parked_domains"))},
        "subdomain": {escape(name): {"owner": owner} for name in subdomains if name not in addons.values()},
        "php_handler": {},
    }
    for name, host in [(primary, primary)] + sorted(addons.items()):
        if name:
            data = _accounts.userdata(held.get("userdata/" + host))
            out["domain"][escape(name)] = {"owner": owner, "role": "main" if name == primary else "addon", "root": escape(str(data.get("documentroot", "")))}
    for host in [primary] + subdomains:
        data = _accounts.userdata(held.get("userdata/" + host))
        if data.get("phpversion"):
            out["php_handler"][escape(host)] = {"owner": owner, "version": escape(str(data["phpversion"]))}
    domains = [name for name in [primary] + list(addons) + _listing(main.get("parked_domains")) + subdomains if name]
    for part in (_mail(owner, held), _lists(owner, held, domains), _small(user, owner, held), _database_users(owner, held)):
        for kind, entries in part.items():
            out.setdefault(kind, {}).update(entries)
    return out


def _listing(value):
    return list(value) if isinstance(value, list) else []


def _mapping(value):
    return dict(value) if isinstance(value, dict) else {}


def _customer(user, held, found):
    reseller = [line.partition(":")[2] for line in _accounts.lines(held.get("resellerconfig/resellers")) if line.startswith(user + ":")]
    return {
        "owner": escape(found.get("OWNER", "")),
        "plan": escape(found.get("PLAN", "")),
        "domain": escape(found.get("DNS", "")),
        "email": escape(found.get("CONTACTEMAIL", "")),
        "password": _accounts.hashed("".join(_accounts.lines(held.get("shadow"))[:1]).strip()),
        "suspended": int("suspended/" + user in held),
        "reseller": sorted(escape(right.strip()) for right in "".join(reseller).split(",") if right.strip()),
    }


def _mail(owner, held):
    out = {"mailbox": {}, "forward": {}, "mail_alias": {}, "setting": {}}
    for member in sorted(held):
        top, _slash, domain = member.partition("/")
        if top == "va":
            for name, target in _accounts.settings(held[member], ":").items():
                name = name if "@" in name else "%s@%s" % (name, domain)
                out["forward"][escape(name)] = {"owner": owner, "targets": _accounts.targets(target)}
        elif top == "vad":
            for name, target in _accounts.settings(held[member], ":").items():
                out["mail_alias"][escape(name)] = {"owner": owner, "targets": _accounts.targets(target)}
        elif top == "vf" and _accounts.lines(held[member]):
            out["setting"]["mail filter " + escape(domain)] = {"owner": owner, "content": _inventory.secret(held[member])}
        elif member.startswith("homedir/etc/") and member.endswith("/passwd"):
            above, domain = member[: -len("/passwd")], member.split("/")[2]
            hashes, quotas = _accounts.passwords(held.get(above + "/shadow")), _accounts.passwords(held.get(above + "/quota"))
            for box in _accounts.passwords(held[member]):
                out["mailbox"][escape("%s@%s" % (box, domain))] = {
                    "owner": owner,
                    "password": _accounts.hashed((hashes.get(box) or ["", ""])[1]),
                    "quota": escape((quotas.get(box) or ["", ""])[1]),
                }
    return out


def _lists(owner, held, domains):
    out = {}
    for member in held:
        if member.startswith("mm/"):
            name = member.split("/")[1]
            # an underscore may be in the list's name as well
            domain = max((d for d in domains if name.endswith("_" + d)), key=len, default=None)
            if domain:
                out[escape("%s@%s" % (name[: -len(domain) - 1], domain))] = {"owner": owner, "files": int(bool(held[member]))}
    return {"list": out}


def _small(user, owner, held):
    """Zones, certificates, cron jobs and FTP users."""
    out = {"dns_zone": {}, "certificate": {}, "cron_job": {}, "ftp_user": {}}
    for member, data in held.items():
        top, _slash, rest = member.partition("/")
        if top == "dnszones":
            out["dns_zone"][escape(rest[: -len(".db")])] = {"owner": owner, "records": _accounts.records(data)}
        elif top == "apache_tls":
            out["certificate"][escape(rest.partition("/")[0])] = dict(_accounts.certificate(data), owner=owner)
        elif top == "cron":
            out["cron_job"].update(_accounts.crontab(user, _accounts.lines(data)))
    for name, fields in _accounts.passwords(held.get("proftpdpasswd")).items():
        if len(fields) > 5:
            out["ftp_user"][escape(name)] = {"owner": owner, "home": escape(fields[5]), "password": _accounts.hashed(fields[1])}
    return out


def _database_users(owner, held):
    """Users of databases in mysql.sql, which is in the old syntax that restorepkg reads."""
    out = {}
    text = "\n".join(_accounts.lines(held.get("mysql.sql")))
    for name, host, digest in _GRANT_USAGE.findall(text):
        user = out.setdefault(escape(name), {"owner": owner, "hosts": set(), "passwords": set(), "databases": set()})
        user["hosts"].add(escape(host))
        user["passwords"].add(digest)
    for database, name, _host in _GRANT.findall(text):
        if database != "*" and escape(name) in out:
            out[escape(name)]["databases"].add(escape(re.sub(r"\\([_%])", r"\1", database)))
    for user in out.values():
        user.update(hosts=sorted(user["hosts"]), passwords=_accounts.native(user["passwords"]), databases=sorted(user["databases"]))
    return {"database_user": out}


def mapped(user, data):
    """(databases, users) that cPanel's own map says the account owns; (None, None) when it does not answer, which is not the same as none."""
    try:
        found = json.loads((data or b"").decode("utf-8", "surrogateescape"))["MYSQL"]
        if found["owner"] != user:
            return None, None
        databases = set(found.get("dbs") or {}) | set(found.get("noprefix") or {})
        return sorted(databases - {""}), sorted(set(found.get("dbusers") or {}) - {""})
    except (ValueError, KeyError, TypeError):
        return None, None
