# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Pure. ISPConfig's tables, and the objects that their rows make: the same from a running server, from a dump, and from a disk."""

from __future__ import annotations

import re

from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._panels._inventory import secret

LIMITS = (
    "limit_maildomain limit_mailbox limit_mailalias limit_mailforward limit_mailcatchall limit_mailquota limit_mailmailinglist limit_web_domain"
    " limit_web_quota limit_web_subdomain limit_web_aliasdomain limit_ftp_user limit_shell_user limit_dns_zone limit_dns_record limit_database"
    " limit_database_user limit_database_quota limit_cron limit_cron_type limit_traffic_quota limit_client"
).split()
WANTED = {
    "sys_group": ("groupid", "client_id"),
    "client": ("client_id", "username", "password", "company_name", "contact_name", "customer_no", "email", "language", "locked", "canceled", *LIMITS),
    "web_domain": tuple(
        "domain_id sys_groupid server_id domain type parent_domain_id document_root system_user hd_quota traffic_quota php server_php_id ssl ssl_letsencrypt"
        " ssl_cert ssl_key redirect_type redirect_path subdomain apache_directives nginx_directives custom_php_ini active".split()
    ),
    "mail_domain": ("domain_id", "sys_groupid", "domain", "dkim", "dkim_selector", "dkim_private", "active"),
    "mail_user": tuple(
        "mailuser_id sys_groupid email login password name quota cc autoresponder postfix disableimap disablepop3 disablesmtp custom_mailfilter".split()
    ),
    "mail_forwarding": ("forwarding_id", "sys_groupid", "source", "destination", "type", "active"),
    "mail_mailinglist": ("mailinglist_id", "sys_groupid", "domain", "listname", "email", "password"),
    "mail_transport": ("transport_id", "sys_groupid", "domain", "transport", "active"),
    "web_database": tuple(
        "database_id sys_groupid parent_domain_id type database_name database_user_id database_ro_user_id database_quota database_charset remote_access"
        " active".split()
    ),
    "web_database_user": ("database_user_id", "sys_groupid", "database_user", "database_password"),
    "dns_soa": ("id", "sys_groupid", "origin", "ns", "mbox", "refresh", "retry", "expire", "minimum", "ttl", "active", "xfer", "dnssec_wanted"),
    "dns_rr": ("id", "zone", "name", "type", "data", "aux", "ttl", "active"),
    "dns_slave": ("id", "sys_groupid", "origin", "ns", "active"),
    "cron": ("id", "sys_groupid", "parent_domain_id", "type", "command", "run_min", "run_hour", "run_mday", "run_month", "run_wday", "active"),
    "ftp_user": ("ftp_user_id", "sys_groupid", "parent_domain_id", "username", "password", "dir", "quota_size", "active"),
    "shell_user": ("shell_user_id", "sys_groupid", "parent_domain_id", "username", "password", "dir", "shell", "chroot", "ssh_rsa", "active"),
    "server": ("server_id", "server_name", "config", "active"),
    "server_php": ("server_php_id", "name", "active"),
    "sys_user": ("userid", "username", "passwort", "typ", "active", "client_id"),
    "sys_ini": ("sysini_id", "config"),
    "client_template": ("template_id", "template_name", "template_type"),
}
SECRETS = {"password", "passwort", "dkim_private", "database_password", "ssh_rsa", "command", "ssl_key"}
# Texts of a customer or of the panel that may be long and may hold passwords.
LONG = {"apache_directives", "nginx_directives", "custom_php_ini", "custom_mailfilter", "config", "ssl_cert"}
_NUMBERS = re.compile(r"(?:\w+_)?(?:id|userid|groupid)\Z")


def _attributes(row, without=()):
    """What a row says of its object: numbers of rows are no part of it, secrets and long texts are digests."""
    out = {}
    for column, value in row.items():
        if column not in without and not _NUMBERS.match(column):
            out[column] = secret(value) if column in SECRETS or column in LONG else value
    return out


def objects(rows):
    """{kind: {name: attributes}} of all rows. rows: {table: [{column: text}]}."""
    return _Objects(rows).out


class _Objects:
    def __init__(self, rows):
        self.out, self._rows = {}, rows
        clients = {row.get("client_id", ""): row.get("username", "") for row in rows.get("client", ())}
        self._owners = {row.get("groupid", ""): escape(clients.get(row.get("client_id", ""), "")) for row in rows.get("sys_group", ())}
        self._sites = {row.get("domain_id", ""): escape(row.get("domain", "")) for row in rows.get("web_domain", ())}
        self._php = {row.get("server_php_id", ""): row.get("name", "") for row in rows.get("server_php", ())}
        for part in (self._clients, self._web, self._mail, self._databases, self._dns, self._others, self._panel):
            part()

    def _put(self, kind, name, row, attributes):
        """An object with whose it is; what two rows say of one is put together."""
        owner = self._owners.get(row.get("sys_groupid", ""), "")
        self.out.setdefault(kind, {}).setdefault(escape(name), {"customer": owner} if "sys_groupid" in row else {}).update(attributes)

    def _clients(self):
        for row in self._rows.get("client", ()):
            self._put("customer", row.get("username", ""), {}, _attributes(row, ("username", *LIMITS)))
            self._put("limit", row.get("username", ""), {}, {key: row[key] for key in LIMITS if key in row})

    def _web(self):
        kinds = {"alias": "domain_alias", "vhostalias": "domain_alias", "subdomain": "subdomain", "vhostsubdomain": "subdomain"}
        for row in self._rows.get("web_domain", ()):
            kind = kinds.get(row.get("type", ""), "domain")
            held = _attributes(row, ("domain", "ssl_cert", "ssl_key", "php"))
            more = {"web_" + key: value for key, value in held.items()} if kind == "domain" else held
            above = self._sites.get(row.get("parent_domain_id", ""))
            self._put(kind, row.get("domain", ""), row, dict(more, domain=above) if kind != "domain" else more)
            if row.get("php", "no") != "no":
                version = self._php.get(row.get("server_php_id", ""), "default")
                self._put("php_handler", row.get("domain", ""), row, {"php": row["php"], "version": version})
            if row.get("ssl_cert"):
                key = secret("".join(row.get("ssl_key", "").split()))
                self._put("certificate", row.get("domain", ""), row, {"certificate": secret("".join(row["ssl_cert"].split())), "key": key})

    def _mail(self):
        for row in self._rows.get("mail_domain", ()):
            self._put("domain", row.get("domain", ""), row, {"mail_" + key: value for key, value in _attributes(row, ("domain",)).items()})
        for row in self._rows.get("mail_user", ()):
            self._put("mailbox", row.get("email", ""), row, _attributes(row, ("email",)))
        for row in self._rows.get("mail_forwarding", ()):
            kind = "forward" if row.get("type") == "forward" else "mail_alias"
            to = sorted(escape(part) for part in re.split(r"[,\s]+", row.get("destination", "")) if part)
            self._put(kind, row.get("source", ""), row, {"to": to, "type": row.get("type", ""), "active": row.get("active", "")})
        for row in self._rows.get("mail_mailinglist", ()):
            self._put("list", "%s@%s" % (row.get("listname", ""), row.get("domain", "")), row, _attributes(row, ("listname", "domain")))

    def _databases(self):
        users = {row.get("database_user_id", ""): escape(row.get("database_user", "")) for row in self._rows.get("web_database_user", ())}
        for row in self._rows.get("web_database", ()):
            held = _attributes(row, ("database_name",))
            accounts = [users.get(row.get(key, "")) for key in ("database_user_id", "database_ro_user_id")]
            held.update(site=self._sites.get(row.get("parent_domain_id", ""), ""), users=[name for name in accounts if name])
            self._put("database", row.get("database_name", ""), row, held)
        for row in self._rows.get("web_database_user", ()):
            self._put("database_user", row.get("database_user", ""), row, {"password": secret(row.get("database_password", ""))})

    def _dns(self):
        records = {}
        for row in self._rows.get("dns_rr", ()):
            said = (row.get(key, "") for key in ("name", "type", "aux", "data", "ttl", "active"))
            records.setdefault(row.get("zone", ""), []).append(escape(" ".join(part for part in said if part)))
        for row in self._rows.get("dns_soa", ()):
            held = dict(_attributes(row, ("origin",)), records=sorted(records.get(row.get("id", ""), [])))
            self._put("dns_zone", row.get("origin", "").rstrip("."), row, held)
        for row in self._rows.get("dns_slave", ()):
            self._put("dns_zone", row.get("origin", "").rstrip("."), row, {"slave_of": row.get("ns", "")})

    def _others(self):
        for row in self._rows.get("cron", ()):
            when = " ".join(row.get(key, "") for key in ("run_min", "run_hour", "run_mday", "run_month", "run_wday"))
            held = {"when": when, "command": secret(row.get("command", "")), "type": row.get("type", ""), "active": row.get("active", "")}
            self._put("cron_job", "%s/%s" % (self._sites.get(row.get("parent_domain_id", ""), ""), row.get("id", "")), row, held)
        for table, word in (("ftp_user", "ftp"), ("shell_user", "shell")):
            for row in self._rows.get(table, ()):
                held = dict(_attributes(row, ("username",)), site=self._sites.get(row.get("parent_domain_id", ""), ""), account=word)
                self._put("ftp_user", row.get("username", ""), row, held)

    def _panel(self):
        """What is the panel's own: administrators, servers, versions of PHP, templates, transports."""
        for row in self._rows.get("sys_user", ()):
            if row.get("client_id", "0") in ("0", ""):
                self._put("setting", "login/" + row.get("username", ""), {}, _attributes(row, ("username",)))
        for table, word, column in (
            ("server", "server", "server_name"),
            ("server_php", "php", "name"),
            ("client_template", "template", "template_name"),
            ("mail_transport", "transport", "domain"),
            ("sys_ini", "system", "sysini_id"),
        ):
            for row in self._rows.get(table, ()):
                self._put("setting", "%s/%s" % (word, row.get(column, "")), {}, _attributes(row, (column,)))
