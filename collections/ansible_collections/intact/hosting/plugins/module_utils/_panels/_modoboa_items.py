# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Modoboa's objects, from the rows of its database, and what its own export must say of them."""

from __future__ import annotations

import json
import re

from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._panels import _inventory

NAME = "modoboa"
TABLES = (
    "core_user core_user_groups auth_group core_objectaccess django_content_type core_localconfig admin_domain admin_domainalias admin_mailbox "
    "admin_alias modoboa_admin_aliasrecipient admin_senderaddress transport_transport relaydomains_recipientaccess limits_userobjectlimit "
    "limits_domainobjectlimit postfix_autoreply_armessage authtoken_token otp_totp_totpdevice oauth2_provider_application radicale_usercalendar "
    "radicale_sharedcalendar modoboa_contacts_addressbook modoboa_contacts_contact imap_migration_emailprovider django_migrations"
).split()
SECRETS = re.compile(r"pass(?!word_scheme)|secret|token|private(?!_key_path)|(?<!public)_key\Z|\Akey\Z", re.IGNORECASE)
# Numbers of rows, and times that using the panel moves.
VOLATILE = (
    "id creation last_modification last_dns_check_execution date_joined last_login created updated last_t drift throttling_failure_count "
    "throttling_failure_timestamp created_at last_used_at sync_token last_sync"
).split()


def objects(rows):
    """{kind: {name: attributes}}."""
    number = {table: {row["id"]: row for row in rows.get(table, [])} for table in ("admin_domain", "admin_mailbox", "core_user", "transport_transport")}
    out = {"customer": _users(rows), "domain": {}, "domain_alias": {}, "mailbox": {}, "mail_alias": {}, "setting": {}}
    for row in rows.get("admin_domain", []):
        held = _told(row, "name", "transport_id")
        transport = number["transport_transport"].get(row.get("transport_id"))
        if transport:
            held["transport"] = escape("%s %s %s" % (transport["service"], transport["next_hop"], _json(transport["_settings"])))
        held["limits"] = _limits(rows.get("limits_domainobjectlimit", []), "domain_id", row["id"])
        out["domain"][escape(row["name"])] = held
    for row in rows.get("admin_domainalias", []):
        target = number["admin_domain"].get(row["target_id"], {}).get("name", "domain %s" % row["target_id"])
        out["domain_alias"][escape(row["name"])] = dict(_told(row, "name", "target_id"), target=escape(target))
    for row in rows.get("admin_mailbox", []):
        held = _told(row, "address", "domain_id", "user_id")
        held["user"] = escape(number["core_user"].get(row["user_id"], {}).get("username", "user %s" % row["user_id"]))
        held["senders"] = [escape(s["address"]) for s in rows.get("admin_senderaddress", []) if s["mailbox_id"] == row["id"]]
        for reply in rows.get("postfix_autoreply_armessage", []):
            if reply["mbox_id"] == row["id"]:
                held["autoreply"] = escape("%(enabled)s %(fromdate)s %(untildate)s %(subject)s: %(content)s" % reply)
        out["mailbox"][address(row, number["admin_domain"])] = held
    recipients = {}
    for row in rows.get("modoboa_admin_aliasrecipient", []):
        recipients.setdefault(row["alias_id"], []).append(escape(row["address"]))
    for row in rows.get("admin_alias", []):
        # each mailbox has an alias of its own, which nobody sees
        name = escape(row["address"]) + (" (internal)" if row["internal"] == "1" else "")
        out["mail_alias"][name] = dict(_told(row, "address", "domain_id"), to=recipients.get(row["id"], []))
    _settings(rows, number, out["setting"])
    return out


def address(row, domains):
    """A mailbox's whole address."""
    return escape("%s@%s" % (row["address"], domains.get(row["domain_id"], {}).get("name", "domain %s" % row["domain_id"])))


def role(row, rows):
    """A user's role, as the panel computes it."""
    groups = {g["id"]: g["name"] for g in rows.get("auth_group", [])}
    if row["is_superuser"] == "1":
        return "SuperAdmins"
    return next((groups.get(g["group_id"], "---") for g in rows.get("core_user_groups", []) if g["user_id"] == row["id"]), "---")


def owned(row, rows):
    """Names of the domains that a user may look after."""
    kinds = {k["id"] for k in rows.get("django_content_type", []) if (k["app_label"], k["model"]) == ("admin", "domain")}
    names = {d["id"]: d["name"] for d in rows.get("admin_domain", [])}
    mine = [a for a in rows.get("core_objectaccess", []) if a["user_id"] == row["id"] and a["content_type_id"] in kinds]
    return {names.get(a["object_id"], "domain %s" % a["object_id"]): a["is_owner"] == "1" for a in mine}


def _users(rows):
    out, tokens = {}, {t["user_id"]: t["key"] for t in rows.get("authtoken_token", [])}
    for row in rows.get("core_user", []):
        held = _told(row, "username", "_parameters")
        held["parameters"] = _inventory.secret(_json(row.get("_parameters")))
        held["role"] = role(row, rows)
        held["domains"] = [escape(name) + (" (owner)" if owner else "") for name, owner in owned(row, rows).items()]
        held["limits"] = _limits(rows.get("limits_userobjectlimit", []), "user_id", row["id"])
        held["api_token"] = _inventory.secret(tokens.get(row["id"]))
        held["second_factors"] = [_inventory.secret(d["key"]) for d in rows.get("otp_totp_totpdevice", []) if d["user_id"] == row["id"]]
        out[escape(row["username"])] = held
    return out


def _limits(rows, key, number):
    return ["%s=%s" % (row["name"], row["max_value"]) for row in rows if row[key] == number]


def _settings(rows, number, out):
    for row in rows.get("core_localconfig", []):
        for app, held in sorted(_loaded(row["_parameters"]).items()):
            told = {escape(k): _inventory.secret(_text(v)) if SECRETS.search(k) else escape(_text(v)) for k, v in held.items()}
            out["parameters of %s" % escape(app)] = told
    mine = {r["transport_id"] for r in rows.get("admin_domain", []) if r.get("transport_id")}
    for row in rows.get("transport_transport", []):
        if row["id"] not in mine:
            out["transport %s" % escape(row["pattern"])] = dict(_told(row, "_settings"), settings=_json(row["_settings"]))
    for row in rows.get("relaydomains_recipientaccess", []):
        out["recipient access %s" % escape(row["pattern"])] = _told(row, "pattern")
    for row in rows.get("oauth2_provider_application", []):
        out["application %s" % escape(row["name"])] = _told(row, "user_id")
    for row in rows.get("imap_migration_emailprovider", []):
        out["provider %s" % escape(row["name"])] = _told(row)
    for row in rows.get("radicale_usercalendar", []):
        box = number["admin_mailbox"].get(row["mailbox_id"])
        owner = address(box, number["admin_domain"]) if box else "mailbox %s" % row["mailbox_id"]
        out["calendar %s of %s" % (escape(row["name"]), owner)] = _told(row, "mailbox_id")
    for row in rows.get("radicale_sharedcalendar", []):
        owner = number["admin_domain"].get(row["domain_id"], {}).get("name", "domain %s" % row["domain_id"])
        out["calendar %s of %s" % (escape(row["name"]), escape(owner))] = _told(row, "domain_id")
    books = {}
    for row in rows.get("modoboa_contacts_contact", []):
        books[row["addressbook_id"]] = books.get(row["addressbook_id"], 0) + 1
    for row in rows.get("modoboa_contacts_addressbook", []):
        owner = number["core_user"].get(row["user_id"], {}).get("username", "user %s" % row["user_id"])
        out["contacts %s of %s" % (escape(row["name"]), escape(owner))] = {"records": books.get(row["id"], 0)}


def _told(row, *without):
    return {
        # nothing is a value too: what is not there is not compared
        escape(column): _inventory.secret(value) if SECRETS.search(column) else escape(value or "")
        for column, value in row.items()
        if column not in VOLATILE and column not in without
    }


def _loaded(text):
    try:
        held = json.loads(text or "{}")
    except ValueError:
        return {"unreadable": {"text": text}}
    return {app: told if isinstance(told, dict) else {"": told} for app, told in held.items()} if isinstance(held, dict) else {}


def _json(text):
    """JSON the same from every server."""
    try:
        return json.dumps(json.loads(text or "{}"), sort_keys=True)
    except ValueError:
        return text


def _text(value):
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def schema(rows):
    """{application: its newest step}, as the panel counts them."""
    out = {}
    for row in sorted(rows.get("django_migrations", []), key=lambda r: int(r["id"])):
        out[row["app"]] = row["name"]
    return out
