# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""PostfixAdmin's configuration, read as text, and its objects, from the rows of its database."""

from __future__ import annotations

import re

from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._panels import _inventory

NAME = "postfixadmin"
# Where the program may be: Debian's package, and its own instructions.
ROOTS = ("/usr/share/postfixadmin", "/srv/postfixadmin", "/opt/postfixadmin", "/var/www/postfixadmin", "/var/www/html/postfixadmin")
ETC = "/etc/postfixadmin"
# In the order in which they are read, the last word counts; the first is Debian's: how this host reaches its database.
ACCESS, FILES = "dbconfig.inc.php", ("dbconfig.inc.php", "config.inc.php", "config.local.php")
TABLES = (
    "admin alias alias_domain config domain domain_admins fetchmail mailbox vacation dkim dkim_signing mailbox_app_password totp_exception_address"
).split()
ENGINES = {"mysql": "mysql", "mysqli": "mysql", "pgsql": "postgresql", "sqlite": "sqlite", "sqlite3": "sqlite"}
SECRETS = re.compile(r"pass(?!word_(?:expir|validation|regexp))|secret|token|private", re.IGNORECASE)
# Times that every change moves, links for a forgotten password, and what a program wrote last.
VOLATILE = ("created", "modified", "token", "token_validity", "returned_text", "date", "cache", "id", "domain_id")
_SKIPPED = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|/\*.*?\*/|(?://|#)[^\n]*", re.DOTALL)
_VALUE = r"\s*=\s*(?P<v>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|\$\w+|[\w.+-]+)\s*;"
_SET = re.compile(r"\$(?:CONF\[['\"](?P<key>\w+)['\"]\]|(?P<name>\w+))(?P<rest>" + _VALUE + r"|\s*=\s*(?:array\s*\(|\[)(?P<array>[^;]*?)[)\]]\s*;)", re.DOTALL)
_PAIR = re.compile(r"['\"](\w+)['\"]\s*=>\s*(?:'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\")")
_ITEM = re.compile(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"")


def settings(texts):
    """{key: text, or {name: text} or [text] of an array} of $CONF in these files. What is computed is not followed."""
    out, variables = {}, {}
    for text in texts:
        text = _SKIPPED.sub(lambda m: m.group(0) if m.group(0)[0] in "'\"" else " ", text)
        for match in _SET.finditer(text):
            if match.group("array") is not None:
                pairs = {key: _text(a or b) for key, a, b in _PAIR.findall(match.group("array"))}
                value = pairs or [_text(a or b) for a, b in _ITEM.findall(match.group("array"))]
            else:
                value = match.group("v")
                value = variables.get(value[1:], "") if value[0] == "$" else _text(value[1:-1]) if value[0] in "'\"" else value
            if match.group("key"):
                out[match.group("key")] = value
            else:
                variables[match.group("name")] = value
    return out


def _text(raw):
    return re.sub(r"\\(.)", r"\1", raw)


def names(conf):
    """{table: what it is called}."""
    told, prefix = conf.get("database_tables"), conf.get("database_prefix") or ""
    told = told if isinstance(told, dict) else {}
    return {table: prefix + told.get(table, table) for table in TABLES}


def schema(rows):
    """The schema's version, as the table of settings says it."""
    return next((row["value"] for row in rows.get("config", []) if row["name"] == "version"), "")


def objects(rows, conf):
    """{kind: {name: attributes}} from rows under the tables' usual names."""
    out = {"domain": {}, "domain_alias": {}, "mailbox": {}, "mail_alias": {}, "customer": {}, "setting": {}}
    for row in rows.get("domain", []):
        # the domain ALL is how the table of administrators says "of everything"
        if row["domain"] != "ALL":
            out["domain"][escape(row["domain"])] = _told(row, "domain")
    for row in rows.get("alias_domain", []):
        out["domain_alias"][escape(row["alias_domain"])] = _told(row, "alias_domain")
    for row in rows.get("mailbox", []):
        out["mailbox"][escape(row["username"])] = _told(row, "username")
    for row in rows.get("alias", []):
        to = [escape(part.strip()) for part in (row["goto"] or "").split(",") if part.strip()]
        out["mail_alias"][escape(row["address"])] = dict(_told(row, "address", "goto"), to=to)
    for row in rows.get("admin", []):
        mine = [d for d in rows.get("domain_admins", []) if d["username"] == row["username"]]
        domains = [escape(d["domain"] + ("" if d["active"] == "1" else " (inactive)")) for d in mine]
        out["customer"][escape(row["username"])] = dict(_told(row, "username"), domains=domains)
    _settings(rows, conf, out["setting"])
    return out


def _settings(rows, conf, out):
    for table, what in (
        ("vacation", lambda row: row["email"]),
        ("fetchmail", lambda row: "%s from %s at %s (%s)" % (row["mailbox"], row["src_user"], row["src_server"], row["id"])),
        ("dkim", lambda row: "%s of %s" % (row.get("selector"), row.get("domain_name"))),
        ("dkim_signing", lambda row: "%s by %s" % (row.get("author"), row.get("dkim_id"))),
        ("mailbox_app_password", lambda row: "%s (%s)" % (row.get("username"), row.get("id"))),
        ("totp_exception_address", lambda row: "%s for %s" % (row.get("ip"), row.get("username") or "all")),
    ):
        for row in rows.get(table, []):
            out[escape("%s %s" % (table.replace("_", " "), what(row)))] = _told(row)
    held = {}
    for key, value in conf.items():
        # how a server's database is reached is the host's own matter
        if key.startswith("database_") and key not in ("database_type", "database_name", "database_prefix", "database_tables"):
            continue
        if isinstance(value, dict):
            value = ["%s=%s" % pair for pair in value.items()]
        held[escape(key)] = _inventory.secret(value) if SECRETS.search(key) and isinstance(value, str) else value
    out["$CONF"] = held


def _told(row, *without):
    return {
        # nothing is a value too: what is not there is not compared
        escape(column): _inventory.secret(value) if SECRETS.search(column) else escape(value or "")
        for column, value in row.items()
        if column not in VOLATILE and column not in without
    }
