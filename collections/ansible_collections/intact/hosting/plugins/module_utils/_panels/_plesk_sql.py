# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What Plesk's own database says, from version 7.5 to Obsidian: an inventory by SQL, and by the rows of a dump.

Tables and columns come and go with versions, so each is asked for only where it is (SHOW works on a MySQL 3.23 as on a MariaDB 11). Joins are made here, where
a row that points to nothing is seen instead of left out.
"""

from __future__ import annotations

import re
import urllib.parse

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels._inventory import secret

DATABASE = "psa"
# {table: columns}; from plesk2ispconfig, App-Plesk-DB (Plesk 8.6) and Plesk's own scripts for Obsidian: see SOURCES of the drivers.
TABLES = {
    "clients": "id login pname cname email status type parent_id account_id limits_id".split(),
    "domains": "id name status htype cl_id webspace_id parentDomainId dns_zone_id cert_rep_id limits_id real_size".split(),
    "accounts": "id type password".split(),
    "mail": "id mail_name dom_id account_id postbox redirect redir_addr mail_group mbox_quota".split(),
    "mail_aliases": "mn_id alias".split(),
    "mail_redir": "mn_id address".split(),
    "data_bases": "id name type dom_id db_server_id".split(),
    "db_users": "login account_id db_id".split(),
    "DatabaseServers": "id host port type".split(),
    "domainaliases": "name dom_id dns_zone_id dns mail web".split(),
    "subdomains": "name dom_id".split(),
    "hosting": "dom_id sys_user_id certificate_id php_handler_id php_handler_type php".split(),
    "sys_users": "id login account_id home".split(),
    "ftp_users": "dom_id sys_user_id".split(),
    "web_users": "dom_id sys_user_id".split(),
    "dns_zone": "id name type".split(),
    "dns_recs": "dns_zone_id type host val opt".split(),
    "MailLists": "name dom_id status".split(),
    "Limits": "id limit_name value".split(),
    "certificates": "id name cert pvt_key".split(),
    "Repository": "rep_id component_id".split(),
    "Subscriptions": "id object_id object_type".split(),
    "misc": "param val".split(),
    "dom_param": "dom_id param val".split(),
    "cl_param": "cl_id param val".split(),
    "protected_dirs": "dom_id path realm".split(),
}
ESSENTIAL = ("clients", "domains", "accounts", "mail", "data_bases")
# settings that are clocks and counters, or the panel's own bookkeeping
_RESTLESS = re.compile(r"time|date|last|count|stat|lock|cache|sess|_id\Z|version", re.I)


def read(ask, unlooked):
    """{table: [{column: text}]} of the tables that are there. ask(sql) -> [tuple of text], ask.many([sql]) -> [rows of each].

    What can't be read goes into unlooked, unless nothing makes sense without it.
    """
    there = {row[0].lower(): row[0] for row in ask("SHOW TABLES")}
    lacking = [table for table in ESSENTIAL if table.lower() not in there]
    if lacking:
        raise IntactError("the database %s has no table %s: it is no Plesk's, or damaged" % (DATABASE, ", ".join(lacking)), tables=lacking)
    wanted = [table for table in TABLES if table.lower() in there]
    have = [{row[0].lower(): row[0] for row in rows} for rows in ask.many(["SHOW COLUMNS FROM `%s`" % there[table.lower()] for table in wanted])]
    names = [[name for name in TABLES[table] if name.lower() in columns] for table, columns in zip(wanted, have)]
    shown = [", ".join("IFNULL(`%s`, '')" % columns[name.lower()] for name in held) for columns, held in zip(have, names)]
    statements = ["SELECT %s FROM `%s`" % (text or "1", there[table.lower()]) for table, text in zip(wanted, shown)]
    try:
        answers = ask.many(statements)
    except IntactError:
        answers = [_alone(ask, table, statement, unlooked) for table, statement in zip(wanted, statements)]
    return {table: [dict(zip(held, row)) for row in rows] for table, held, rows in zip(wanted, names, answers) if rows is not None}


def _alone(ask, table, statement, unlooked):
    """Rows of one table, as they can't all be read; None for one that can't."""
    try:
        return ask(statement)
    except IntactError as exc:
        if table in ESSENTIAL:
            raise
        unlooked.append({"what": "table %s.%s" % (DATABASE, table), "why": str(exc)})
        return None


def objects(tables, contents=None):
    """({kind: {name: attributes}}, [unlooked]). contents: {database: (tables, whether there are rows)}, as far as the server told. Pure."""
    return _Objects(tables, contents or {}).all()


class _Objects:
    def __init__(self, tables, contents):
        self._tables, self._contents, self.unlooked, self.out = tables, contents, [], {}
        self._accounts = {row["id"]: row for row in tables["accounts"]}
        self._clients = {row["id"]: row for row in tables["clients"]}
        self._domains = {row["id"]: row for row in tables["domains"]}
        self._users = {row["id"]: row for row in self._of("sys_users")}
        self._limits = {}
        for row in self._of("Limits"):
            self._limits.setdefault(row["id"], {})[row["limit_name"]] = row["value"]

    def _of(self, table):
        return self._tables.get(table, [])

    def _add(self, kind, which, **attributes):
        self.out.setdefault(kind, {})[which] = attributes

    def _lost(self, table, row, what):
        """A row that points to nothing: the database is damaged, and no export can hold what is not whole here."""
        name = row.get("name") or row.get("mail_name") or row.get("login") or row.get("alias") or row.get("id") or "?"
        why = "%s of it is not in the database: repair it (plesk repair db -n tells more)" % what
        self.unlooked.append({"what": "%s %s of table %s" % (what, name, table), "why": why})

    def _domain(self, table, row):
        """The name of the domain that a row is of, or None."""
        domain = self._domains.get(row.get("dom_id", ""))
        if domain is None:
            self._lost(table, row, "the domain")
            return None
        return domain["name"]

    def _password(self, row):
        account = self._accounts.get(row.get("account_id", ""), {})
        text = account.get("password", "")
        # an encrypted one is another text each time that it is kept: a restore would seem to have changed it
        return {"password": None if text.startswith("$AES-") else secret(text), "password_set": "yes" if text else "no"}

    def all(self):
        for step in (self._customers, self._sites, self._aliases, self._mail, self._databases, self._zones, self._others, self._certificates):
            step()
        return self.out, self.unlooked

    def _customers(self):
        for row in self._tables["clients"]:
            parent = self._clients.get(row.get("parent_id", ""), {})
            owner = parent.get("login", "") if parent is not row else ""
            more = dict(self._password(row), type=row.get("type") or "client", owner=owner, enabled="yes" if row.get("status", "0") == "0" else "no")
            self._add("customer", row["login"], name=row.get("pname", ""), company=row.get("cname", ""), email=row.get("email", ""), **more)
            self._limited(row["login"], row)

    def _limited(self, name, row):
        for limit, value in self._limits.get(row.get("limits_id", ""), {}).items():
            self._add("limit", "%s/%s" % (name, limit), value=value)

    def _sites(self):
        hosting = {row["dom_id"]: row for row in self._of("hosting")}
        for row in self._tables["domains"]:
            client = self._clients.get(row.get("cl_id", ""))
            if client is None:
                self._lost("domains", row, "the customer")
            place = hosting.get(row["id"], {})
            user = self._users.get(place.get("sys_user_id", ""), {})
            more = {"owner": (client or {}).get("login", ""), "web": "yes" if row.get("htype") == "vrt_hst" else "no", "user": user.get("login", "")}
            space = self._domains.get(row.get("webspace_id", ""), {}).get("name", "")
            parent = self._domains.get(row.get("parentDomainId", ""), {}).get("name", "")
            enabled = "yes" if row.get("status", "0") == "0" else "no"
            if parent:
                self._add("subdomain", row["name"], domain=parent, webspace=space, enabled=enabled, web=more["web"], user=more["user"])
            else:
                self._add("domain", row["name"], webspace=space, enabled=enabled, **more)
            self._limited(row["name"], row)
            handler = place.get("php_handler_id") or place.get("php_handler_type") or place.get("php")
            if handler:
                self._add("php_handler", row["name"], handler=handler)
        for row in self._of("subdomains"):
            domain = self._domain("subdomains", row)
            if domain:
                self._add("subdomain", "%s.%s" % (row["name"], domain), domain=domain)

    def _aliases(self):
        for row in self._of("domainaliases"):
            domain = self._domain("domainaliases", row)
            if domain:
                self._add("domain_alias", row["name"], domain=domain, **{key: row[key] for key in ("web", "mail", "dns") if row.get(key)})

    def _mail(self):
        addresses, redirected = {}, {}
        for row in self._of("mail_redir"):
            redirected.setdefault(row["mn_id"], []).append(row["address"])
        for row in self._tables["mail"]:
            domain = self._domain("mail", row)
            if not domain:
                continue
            address = addresses[row["id"]] = "%s@%s" % (row["mail_name"], domain)
            if row.get("postbox") == "true":
                self._add("mailbox", address, quota=row.get("mbox_quota", ""), **self._password(row))
            to = redirected.get(row["id"], []) if row.get("mail_group", "true") == "true" else []
            to = to + ([row["redir_addr"]] if row.get("redirect") == "true" and row.get("redir_addr") else [])
            if to:
                self._add("forward", address, to=sorted(set(to)))
        for row in self._of("mail_aliases"):
            address = addresses.get(row["mn_id"])
            if not address:
                self._lost("mail_aliases", row, "the mail name")
                continue
            self._add("mail_alias", "%s@%s" % (row["alias"], address.rpartition("@")[2]), mailbox=address)
        for row in self._of("MailLists"):
            domain = self._domain("MailLists", row)
            if domain:
                self._add("list", "%s@%s" % (row["name"], domain), enabled="yes" if row.get("status", "0") == "0" else "no")

    def _databases(self):
        servers = {row["id"]: "%s:%s" % (row.get("host", ""), row.get("port", "")) for row in self._of("DatabaseServers")}
        names = {}
        for row in self._tables["data_bases"]:
            domain = self._domain("data_bases", row)
            if not domain:
                continue
            names[row["id"]] = row["name"]
            more = {"server": servers.get(row.get("db_server_id", ""), "")}
            if row["name"] in self._contents and row.get("type", "mysql") == "mysql":
                more["tables"], filled = self._contents[row["name"]]
                more["filled"] = "yes" if filled else "no"
            self._add("database", row["name"], type=row.get("type", ""), domain=domain, **more)
        used = {}
        for row in self._of("db_users"):
            used.setdefault(row["login"], set()).update([names[row["db_id"]]] if row["db_id"] in names else [])
            self._add("database_user", row["login"], databases=sorted(used[row["login"]]), **self._password(row))

    def _zones(self):
        records = {}
        for row in self._of("dns_recs"):
            if row.get("type") not in ("", "master", "none"):
                records.setdefault(row["dns_zone_id"], []).append(record(row["host"], row["type"], row.get("opt", ""), row["val"]))
        for row in self._of("dns_zone"):
            # the template for new zones has no name
            if row.get("name"):
                self._add("dns_zone", row["name"].rstrip("."), type=row.get("type", ""), records=sorted(records.get(row["id"], [])))

    def _others(self):
        for table in ("ftp_users", "web_users", "hosting"):
            for row in self._of(table):
                user, domain = self._users.get(row.get("sys_user_id", "")), self._domain(table, row)
                if user is None and row.get("sys_user_id", "0") not in ("", "0"):
                    self._lost(table, row, "the system user")
                elif user and domain:
                    had = self.out.get("ftp_user", {}).get(user["login"])
                    if not had:
                        self._add("ftp_user", user["login"], domain=domain, home=user.get("home", ""), **self._password(user))
        for row in self._of("Subscriptions"):
            domain = self._domains.get(row.get("object_id", "")) if row.get("object_type") == "domain" else None
            if domain:
                self._add("subscription", domain["name"], type="domain")
        self._settings()

    def _settings(self):
        """Single settings; any of them may be a password, so that a digest tells it."""
        names = {"dom_param": ("dom_id", self._domains, "name"), "cl_param": ("cl_id", self._clients, "login"), "misc": ("", {}, "")}
        for table, (key, owners, name) in names.items():
            for row in self._of(table):
                owner = owners.get(row.get(key, ""), {}).get(name, "")
                # a parameter of what is gone says nothing
                if not _RESTLESS.search(row["param"]) and (owner or not key):
                    self._add("setting", "%s/%s" % (owner, row["param"]) if owner else row["param"], value=secret(row["val"]))
        for row in self._of("protected_dirs"):
            domain = self._domain("protected_dirs", row)
            if domain:
                self._add("setting", "%s/protected %s" % (domain, row.get("path", "")), value=secret(row.get("realm", "")))

    def _certificates(self):
        owners = {}
        repositories = {row["cert_rep_id"]: row["name"] for row in self._tables["domains"] if row.get("cert_rep_id", "0") not in ("", "0")}
        for row in self._of("Repository"):
            if row["rep_id"] in repositories:
                owners.setdefault(row["component_id"], []).append(repositories[row["rep_id"]])
        for row in self._of("certificates"):
            for owner in owners.get(row["id"], ["server"]):
                self._add("certificate", "%s/%s" % (owner, row.get("name", "")), cert=secret(pem(row.get("cert", ""))), key=secret(pem(row.get("pvt_key", ""))))


def record(host, kind, opt, value):
    """A DNS record as one text, the same by SQL and from an export."""
    return " ".join(part for part in (host.lower(), kind.upper(), opt.strip(), value.strip()) if part)


def pem(text):
    """A certificate or key without what differs between the database (URL-encoded) and an export: the way it is wrapped."""
    return re.sub(r"\s+", "", urllib.parse.unquote_plus(text) if "%" in text else text)
