# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Pure. What Virtualmin's files say: key=value files of domains, plans and templates, mail users, aliases, crontabs; and the objects they make."""

from __future__ import annotations

import hashlib
import re

from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._panels._inventory import secret

MODULE = "/etc/webmin/virtual-server"
FEATURES = "unix dir mail dns web webalizer ssl logrotate mysql postgres ftp spam virus status webmin virt virt6".split()
LIMITS = "quota uquota bw_limit mailboxlimit aliaslimit dbslimit domslimit aliasdomslimit realdomslimit".split()
# What a domain's file says that is the customer's, and the same in a backup.
PLAIN = "home ip ip6 template plan owner reseller disabled group prefix".split()
_WHEN = re.compile(r"(@\w+|(?:\S+\s+){4}\S+)\s+(\S.*)\Z")
_ADDRESS = re.compile(r"[^\s@,|/:\\\"]+@[^\s@,|/:\\\"]+\Z")


def settings(text):
    """{key: value} of Webmin's key=value lines."""
    out = {}
    for line in text.split("\n"):
        key, sign, value = line.rstrip("\r").partition("=")
        if sign and key and not key.startswith("#"):
            out[key] = value
    return out


def lines(text):
    """Lines without comments and empty ones."""
    return [line.strip() for line in text.split("\n") if line.strip() and not line.lstrip().startswith("#")]


def name_of(held):
    """A domain's name as an inventory has it."""
    return escape(held.get("dom", ""))


def features(held):
    """Sorted names of what is switched on for a domain; plugins have a - in their names."""
    return sorted(key for key, value in held.items() if value == "1" and (key in FEATURES or re.match(r"virtualmin-[a-z0-9-]+\Z", key)))


def domain_objects(held, by_id):
    """{kind: {name: attributes}} of a domain's file. by_id: {id: such a file} of all domains, for the names of parents."""
    name, user = name_of(held), escape(held.get("user", ""))
    parent = by_id.get(held.get("parent", ""), {})
    real = by_id.get(held.get("alias", "") or held.get("subdom", ""), {})
    entry = {key: held[key] for key in PLAIN if held.get(key)}
    entry.update(customer=user, email=held.get("emailto", ""), features=features(held))
    out = {}
    if held.get("alias"):
        out["domain_alias"] = {name: {"customer": user, "domain": name_of(real)}}
    elif held.get("subdom"):
        out["subdomain"] = {name: dict(entry, domain=name_of(real))}
    else:
        out["domain"] = {name: dict(entry, parent=name_of(parent) if parent else None)}
    if not held.get("parent"):
        password = held.get("enc_pass") or held.get("pass", "")
        out["customer"] = {user: {"domain": name, "email": held.get("emailto", ""), "password": secret(password)}}
        out["limit"] = {name: dict({key: held[key] for key in LIMITS if key in held}, customer=user)}
    if held.get("dns") == "1":
        out["dns_zone"] = {name: {"customer": user}}
    if held.get("php_mode"):
        out["php_handler"] = {name: {"customer": user, "mode": held["php_mode"]}}
    _databases(out, held, name, user)
    return out


def _databases(out, held, name, user):
    for kind in ("mysql", "postgres"):
        names = held.get("db_" + kind, "").split() if held.get(kind) == "1" else []
        for database in names:
            out.setdefault("database", {})[escape(database)] = {"customer": user, "domain": name, "type": kind}
        if held.get(kind) == "1" and not held.get("parent"):
            account = escape(held.get(kind + "_user") or held.get("user", ""))
            password = held.get(kind + "_enc_pass") or held.get(kind + "_pass") or held.get("pass", "")
            out.setdefault("database_user", {})["%s (%s)" % (account, kind)] = {"customer": user, "password": secret(password)}


def mail_users(text):
    """[{user, password, web, home, shell, email, to}] of a backup's list: a line as in /etc/passwd, and one with where the mail goes."""
    out, held = [], text.split("\n")
    for first, second in zip(held[::2], held[1::2]):
        fields = first.rstrip("\r").split(":")
        if len(fields) >= 8:
            keys = dict(zip(("user", "password", "uid", "gid", "real", "home", "shell", "email"), fields))
            out.append(dict(keys, web=fields[2] == "w", to=[part for part in second.strip().split(",") if part]))
    return out


def mail_aliases(text):
    """{address: [targets]} of a backup's list."""
    out = {}
    for line in lines(text):
        address, sign, targets = line.partition(": ")
        if sign or line.endswith(":"):
            out[address.rstrip(":")] = [part for part in targets.split(",") if part]
    return out


def virtuals(text):
    """{address: [targets]} of Postfix's table of virtual addresses; a line that only declares a domain is none."""
    out = {}
    for line in lines(text):
        words = line.split(None, 1)
        if len(words) == 2 and "@" in words[0]:
            out[words[0].lower()] = [part.strip() for part in words[1].split(",") if part.strip()]
    return out


def people(passwd, shadow):
    """[{user, uid, gid, home, shell, password}] of the host's accounts."""
    hashes = {row[0]: row[1] for row in (line.split(":") for line in lines(shadow)) if len(row) > 1}
    out = []
    for row in (line.split(":") for line in lines(passwd)):
        if len(row) >= 7:
            out.append({"user": row[0], "uid": row[2], "gid": row[3], "home": row[5], "shell": row[6], "password": hashes.get(row[0], "")})
    return out


def users_of(held, accounts, by_id):
    """Which accounts are a domain's, as the panel tells it: its group's, apart from what belongs to servers below or above it."""
    home = held.get("home", "").rstrip("/")
    own = [entry for entry in accounts if entry["gid"] == held.get("gid") or entry["user"] == held.get("user")]
    if held.get("parent"):
        own = [entry for entry in own if (entry["home"] + "/").startswith(home + "/") and entry["user"] != held.get("user")]
    elif any(other.get("parent") == held.get("id") for other in by_id.values()):
        own = [entry for entry in own if not (entry["home"] + "/").startswith(home + "/domains/")]
    for entry in own:
        entry = dict(entry, web=entry["uid"] == held.get("uid") and entry["user"] != held.get("user"))
        yield entry


def mail_objects(held, users, aliases):
    """Objects of a domain's users and aliases. users: [{user, password, web, home, shell, email}]."""
    user, domain = escape(held.get("user", "")), held.get("dom", "").lower()
    out = {}
    for entry in users:
        attributes = {"customer": user, "domain": name_of(held), "home": entry["home"], "password": secret(entry["password"]), "shell": entry["shell"]}
        if entry["web"]:
            out.setdefault("ftp_user", {})[escape(entry["user"])] = attributes
        else:
            out.setdefault("mailbox", {})[escape(entry["email"] or entry["user"])] = dict(attributes, login=escape(entry["user"]))
    for address, targets in aliases.items():
        if address.lower().endswith("@" + domain):
            # what goes to programs and files is written in another way in each place
            plain = all(_ADDRESS.match(target) for target in targets)
            to = [escape(target.lower()) for target in targets] if plain else None
            out.setdefault("mail_alias", {})[escape(address.lower())] = {"customer": user, "domain": name_of(held), "to": to}
    return out


def split_virtuals(held, users, table):
    """(users with their addresses, what is left of the table as aliases): an address that goes to one user of the domain alone is that user's."""
    domain = held.get("dom", "").lower()
    own = {address: targets for address, targets in table.items() if address.endswith("@" + domain)}
    names, out = {}, []
    for address, targets in own.items():
        if len(targets) == 1:
            names.setdefault(targets[0].replace("\\", ""), []).append(address)
    for entry in users:
        addresses = names.get(entry["user"], []) + names.get(entry["user"].replace("@", "-"), [])
        # accounts are called info.shop, info-shop, shop-info or info@shop.example: the address that is part of it is the user's own
        parts = re.split(r"[.@_-]", entry["user"].lower())
        email = min(addresses, key=lambda address: (address.split("@")[0] not in parts, address), default="")
        own.pop(email, None)
        out.append(dict(entry, email=email))
    return out, own


def jobs(owner, text, customer):
    """{name: attributes} of a crontab. What is run may hold a password: it is only a digest."""
    out = {}
    for line in lines(text):
        found = _WHEN.match(line)
        if found:
            when, what = " ".join(found.group(1).split()), found.group(2)
            digest = hashlib.sha256(what.encode("utf-8", "surrogateescape")).hexdigest()[:8]
            out["%s: %s #%s" % (escape(owner), escape(when), digest)] = {"customer": customer, "command": secret(what)}
    return out


def records(text):
    """How many records a zone's file has besides its SOA."""
    joined = re.sub(r"\([^)]*\)", lambda match: match.group().replace("\n", " "), re.sub(r";[^\n]*", "", text))
    return len([line for line in joined.split("\n") if line.strip() and not line.startswith("$") and not re.search(r"\sSOA\s", line, re.I)])


def merge(into, more):
    """Put objects of one part to those of all."""
    for kind, entries in more.items():
        for name, attributes in entries.items():
            into.setdefault(kind, {}).setdefault(name, {}).update(attributes)
    return into
