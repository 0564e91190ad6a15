# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Pure. What HestiaCP's and Vesta's files say: KEY='value' pairs, and the objects of an inventory from one customer's files."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._panels._inventory import secret

# A value may hold quotes; it ends at one that a blank or the line's end follows.
_PAIR = re.compile(r"\b([a-zA-Z]+\w*)='(.*?)'(?=\s|$)", re.M)
# What the panel counts, and when it wrote a line: not the customer's, and another after each rebuild.
VOLATILE = re.compile(r"(?:U_\w+|SUSPENDED_\w+|TIME|DATE|IP_AVAIL|IP_OWNED|RECORDS|ACCOUNTS|SERIAL)\Z")
SECRET = re.compile(r"(?!LETSENCRYPT)(?:\w*(?:MD5|CRYPT|HASH|PASS|TOKEN|SECRET)\w*|RKEY|QRCODE|TWOFA|(?:\w+_)?KEY)\Z")
LIMITS = (
    "WEB_DOMAINS WEB_ALIASES DNS_DOMAINS DNS_RECORDS MAIL_DOMAINS MAIL_ACCOUNTS RATE_LIMIT DATABASES CRON_JOBS DISK_QUOTA CPU_QUOTA CPU_QUOTA_PERIOD"
    " MEMORY_LIMIT SWAP_LIMIT BANDWIDTH BACKUPS BACKUPS_INCREMENTAL"
).split()
# Names of the exit statuses that the panel's programs end with.
STATUS = (
    "OK ARGS INVALID NOTEXIST EXISTS SUSPENDED UNSUSPENDED INUSE LIMIT PASSWORD FORBIDEN DISABLED PARSING DISK LA CONNECT FTP DB RRD UPDATE RESTART"
).split()


@dataclass
class Customer:
    """One customer's files as text, from wherever they come. records, accounts: {domain: text}; certificates, keys, dkim: {name: bytes}."""

    name: str
    user: str = ""
    web: str = ""
    dns: str = ""
    mail: str = ""
    db: str = ""
    cron: str = ""
    excludes: str = ""
    records: dict = field(default_factory=dict)
    accounts: dict = field(default_factory=dict)
    certificates: dict = field(default_factory=dict)
    keys: dict = field(default_factory=dict)
    dkim: dict = field(default_factory=dict)


def pairs(text):
    """{key: value} of all pairs in a text; the last of a key counts, as for the shell that reads it."""
    return dict(_PAIR.findall(text))


def lines(text):
    """[{key: value}] of a file with one object in each line."""
    return [held for held in (pairs(line) for line in text.split("\n")) if held]


def status(number):
    """What an exit status means."""
    return STATUS[number] if 0 <= number < len(STATUS) else "unknown"


def _attributes(held, without=(), prefix=""):
    """What a line says of its object: secrets as digests, without what the panel counts."""
    out = {}
    for key, value in held.items():
        if key not in without and not VOLATILE.match(key):
            out[prefix + key.lower()] = secret(value) if SECRET.match(key) else value
    return out


def _split(value):
    return [part for part in re.split(r"[,\s]+", value) if part]


def objects(customer):
    """{kind: {name: attributes}} of one customer. Each object says whose it is."""
    owner = escape(customer.name)
    user = pairs(customer.user)
    out = {
        "customer": {owner: _attributes(user, LIMITS)},
        "limit": {owner: dict({key.lower(): user[key] for key in LIMITS if key in user}, customer=owner)},
    }
    _web(out, owner, customer)
    _dns(out, owner, customer)
    _mail(out, owner, customer)
    for held in lines(customer.db):
        name = escape(held.get("DB", ""))
        out.setdefault("database", {})[name] = dict(_attributes(held, ("DB", "DBUSER", "MD5")), customer=owner)
        account = out.setdefault("database_user", {}).setdefault(escape(held.get("DBUSER", "")), {"customer": owner, "databases": []})
        account["databases"].append(name)
        account["password"] = secret(held.get("MD5", ""))
    for held in lines(customer.cron):
        when = " ".join(held.get(key, "") for key in ("MIN", "HOUR", "DAY", "MONTH", "WDAY"))
        name = "%s/%s" % (owner, escape(held.get("JOB", "")))
        # what is run may hold a password or a token
        out.setdefault("cron_job", {})[name] = {"customer": owner, "when": when, "command": secret(held.get("CMD", "")), "suspended": held.get("SUSPENDED", "")}
    for name, data in customer.certificates.items():
        key = customer.keys.get(name)
        out.setdefault("certificate", {})[escape(name)] = {"customer": owner, "certificate": secret(data), "key": secret(key) if key is not None else None}
    return out


def _web(out, owner, customer):
    for held in lines(customer.web):
        name = escape(held.get("DOMAIN", ""))
        more = dict(_attributes(held, ("DOMAIN", "ALIAS", "FTP_USER", "FTP_MD5", "FTP_PATH", "BACKEND"), "web_"), web_customer=owner, customer=owner)
        out.setdefault("domain", {}).setdefault(name, {}).update(more)
        for alias in _split(held.get("ALIAS", "")):
            out.setdefault("domain_alias", {})[escape(alias)] = {"customer": owner, "domain": name}
        if held.get("BACKEND"):
            out.setdefault("php_handler", {})[name] = {"customer": owner, "backend": held["BACKEND"]}
        # three lists side by side, one entry for each account
        users, digests, paths = (held.get(key, "").split(":") for key in ("FTP_USER", "FTP_MD5", "FTP_PATH"))
        for number, account in enumerate(users):
            if account:
                password, path = ("".join(one[number : number + 1]) for one in (digests, paths))
                out.setdefault("ftp_user", {})[escape(account)] = {"customer": owner, "domain": name, "password": secret(password), "path": path}


def _dns(out, owner, customer):
    for held in lines(customer.dns):
        name = held.get("DOMAIN", "")
        entry = dict(_attributes(held, ("DOMAIN",)), customer=owner)
        if name in customer.records:
            entry["records"] = [
                " ".join(part for part in (r.get("RECORD", ""), r.get("TYPE", ""), r.get("PRIORITY", ""), r.get("VALUE", "")) if part)
                for r in lines(customer.records[name])
            ]
        out.setdefault("dns_zone", {})[escape(name)] = entry


def _mail(out, owner, customer):
    for held in lines(customer.mail):
        name = held.get("DOMAIN", "")
        more = dict(_attributes(held, ("DOMAIN",), "mail_"), mail_customer=owner, customer=owner)
        domain = out.setdefault("domain", {}).setdefault(escape(name), {})
        domain.update(more)
        if name in customer.dkim:
            domain["mail_dkim_key"] = secret(customer.dkim[name])
        for account in lines(customer.accounts.get(name, "")):
            _mailbox(out, owner, name, account)


def _mailbox(out, owner, domain, held):
    address = escape("%s@%s" % (held.get("ACCOUNT", ""), domain))
    out.setdefault("mailbox", {})[address] = dict(_attributes(held, ("ACCOUNT", "ALIAS", "FWD", "MD5")), customer=owner, password=secret(held.get("MD5", "")))
    if held.get("FWD"):
        out.setdefault("forward", {})[address] = {"customer": owner, "to": _split(held["FWD"])}
    for alias in _split(held.get("ALIAS", "")):
        out.setdefault("mail_alias", {})[escape("%s@%s" % (alias, domain))] = {"customer": owner, "to": [address]}


def merged(several):
    """One {kind: {name: attributes}} of several: halves of a domain that two customers share become one again."""
    out = {}
    for one in several:
        for kind, entries in one.items():
            held = out.setdefault(kind, {})
            for name, attributes in entries.items():
                held.setdefault(name, {}).update(attributes)
    return out


def excluded(customer):
    """{section: [names]} that the customer wants no backup of: WEB, DNS, MAIL, DB, CRON; "*" is all."""
    held = pairs(customer.excludes)
    return {key: _split(value) for key, value in held.items() if value and key != "USER"}
