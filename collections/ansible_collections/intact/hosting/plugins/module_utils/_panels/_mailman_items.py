# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Mailman 3's objects, from the rows of its database and from its configuration: names instead of numbers, so that two versions of the schema compare."""

from __future__ import annotations

import pickletools
import re

from ansible_collections.intact.hosting.plugins.module_utils._baseline.lists import ROLES, VOLATILE
from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._panels import _inventory

TABLES = (
    "mailinglist domain domain_owner member address user preferences ban template acceptablealias headermatch contentfilter listarchiver _request "
    "alembic_version"
).split()
# Columns that hold a pickled list of texts.
PICKLED = ("accept_these_nonmembers", "discard_these_nonmembers", "hold_these_nonmembers", "reject_these_nonmembers", "dmarc_addresses", "topics")
PEOPLE = {"member": "members", "owner": "owners", "moderator": "moderators", "nonmember": "nonmembers"}
SECRETS = re.compile(r"pass|secret|token|(?<!list)key\Z", re.IGNORECASE)
_TEXTS = ("SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "UNICODE")


def objects(rows, sections, files):
    """{kind: {name: attributes}}. sections: {section: {key: value}} of mailman.cfg; files: {name: bytes} of templates and the configuration's other files."""
    lists, by_number = _lists(rows, sections)
    _people(rows, lists)
    _extras(rows, lists, by_number)
    out = {
        "list": {"%s@%s" % (escape(row["list_name"] or ""), escape(row["mail_host"] or "")): lists[row["list_id"]] for row in rows.get("mailinglist", [])},
        "domain": _domains(rows),
        "customer": _customers(rows),
        "setting": {},
    }
    settings = out["setting"]
    bans = [row["email"] or "" for row in rows.get("ban", []) if row["list_id"] is None]
    if bans:
        settings["bans of the site"] = {"patterns": [escape(b) for b in bans]}
    for row in rows.get("template", []):
        name = escape("template %s of %s" % (row["name"], row["context"]))
        told = {"uri": escape(row["uri"] or ""), "username": escape(row["username"] or ""), "password": _inventory.secret(row["password"])}
        settings[name] = told
    for name, held in sorted(sections.items()):
        settings[escape("mailman.cfg [%s]" % name)] = {escape(k): _inventory.secret(v) if SECRETS.search(k) else escape(v or "") for k, v in held.items()}
    for name, data in files.items():
        settings[escape(name)] = {"bytes": len(data), "content": _inventory.secret(data)}
    return out


def _lists(rows, sections):
    lists, by_number = {}, {}
    archivers = sorted(name.partition(".")[2] for name, held in sections.items() if name.startswith("archiver.") and _yes(held.get("enable")))
    for row in rows.get("mailinglist", []):
        held = {"list_id": escape(row["list_id"])}
        for column, value in row.items():
            if column in VOLATILE:
                continue
            if column in PICKLED:
                held[column] = texts(value) if value is not None else []
            elif column == "moderator_password":
                held[column] = _inventory.secret(value)
            else:
                # nothing is a value too: what is not there is not compared
                held[column] = escape(value or "")
        held.update({name: [] for name in PEOPLE.values()}, bans=[], acceptable_aliases=[], filters=[], header_matches=[], held=0)
        # a list without a row for an archiver has what the site has; the row is made when the list is looked at
        held["archivers"] = list(archivers)
        lists[row["list_id"]] = by_number[row["id"]] = held
    return lists, by_number


def _yes(text):
    return str(text or "").strip().lower() in ("yes", "true", "on", "1", "enable", "enabled")


def _people(rows, lists):
    addresses = {row["id"]: row for row in rows.get("address", [])}
    users = {row["id"]: row for row in rows.get("user", [])}
    choices = {row["id"]: row for row in rows.get("preferences", [])}
    for row in rows.get("member", []):
        held = lists.get(row["list_id"])
        if held is None:
            continue
        user = users.get(row.get("user_id")) or {}
        # subscribed as a user: mail goes to the address that the user prefers
        address = addresses.get(row.get("address_id")) or addresses.get(user.get("_preferred_address_id")) or {}
        said = _chosen(choices.get(row.get("preferences_id")))
        if row.get("moderation_action") is not None:
            said.append("moderation_action=%s" % row["moderation_action"])
        if user:
            said.append("as the user")
        who = escape(address.get("email") or "user %s" % user.get("_user_id", row.get("user_id")))
        role = ROLES.get(int(row["role"]), "role %s" % row["role"])
        held.setdefault(PEOPLE.get(role, role), []).append(who + (" (%s)" % ", ".join(sorted(said)) if said else ""))


def _chosen(row):
    return ["%s=%s" % (key, escape(value)) for key, value in sorted((row or {}).items()) if key != "id" and value is not None]


def _extras(rows, lists, by_number):
    for row in rows.get("ban", []):
        if row["list_id"] in lists:
            lists[row["list_id"]]["bans"].append(escape(row["email"] or ""))
    for table, name, text in (
        ("acceptablealias", "acceptable_aliases", lambda row: row["alias"]),
        ("contentfilter", "filters", lambda row: "%s %s" % (row["filter_type"], row["filter_pattern"])),
        ("headermatch", "header_matches", lambda row: "%s: %s: %s -> %s" % (row["position"], row["header"], row["pattern"], row["chain"] or "default")),
    ):
        for row in rows.get(table, []):
            if row["mailing_list_id"] in by_number:
                by_number[row["mailing_list_id"]][name].append(escape(text(row) or ""))
    for row in rows.get("listarchiver", []):
        held = by_number.get(row["mailing_list_id"], {}).get("archivers", [])
        if row["name"] in held and row["_is_enabled"] == "0":
            held.remove(row["name"])
    for row in rows.get("_request", []):
        if row["mailing_list_id"] in by_number:
            by_number[row["mailing_list_id"]]["held"] += 1


def _domains(rows):
    mails = {row["id"]: row["email"] for row in rows.get("address", [])}
    of_user = {}
    for row in rows.get("address", []):
        of_user.setdefault(row["user_id"], []).append(row["email"] or "")
    preferred = {row["id"]: mails.get(row["_preferred_address_id"]) for row in rows.get("user", [])}
    out = {}
    for row in rows.get("domain", []):
        owners = [o["user_id"] for o in rows.get("domain_owner", []) if o["domain_id"] == row["id"]]
        out[escape(row["mail_host"] or "")] = {
            "description": escape(row["description"] or ""),
            "alias_domain": escape(row.get("alias_domain") or ""),
            "owners": [escape(preferred.get(number) or min(of_user.get(number) or ["user %s" % number])) for number in owners],
        }
    return out


def _customers(rows):
    """Users with their addresses, and addresses that belong to no user."""
    choices = {row["id"]: row for row in rows.get("preferences", [])}
    of_user, out = {}, {}
    for row in rows.get("address", []):
        if row["user_id"] is not None:
            of_user.setdefault(row["user_id"], []).append(row)
            continue
        out[escape(row["email"] or "")] = dict(_addresses([row]), choices=_chosen(choices.get(row["preferences_id"])))
    for row in rows.get("user", []):
        mine = of_user.get(row["id"], [])
        first = next((a["email"] for a in mine if a["id"] == row["_preferred_address_id"]), None) or min([a["email"] or "" for a in mine] or [""])
        held = _addresses(mine)
        held.update(
            display_name=escape(row["display_name"] or ""),
            password=_inventory.secret(row["password"]),
            user_id=row["_user_id"],
            server_owner=row["is_server_owner"],
            choices=_chosen(choices.get(row["preferences_id"])),
        )
        out[escape(first) or "user %s" % row["_user_id"]] = held
    return out


def _addresses(mine):
    return {
        "addresses": [escape("%s%s" % (a["_original"] or a["email"], " (verified)" if a["verified_on"] else "")) for a in mine],
        "names": [escape("%s: %s" % (a["email"], a["display_name"])) for a in mine if a["display_name"]],
    }


def texts(data):
    """The texts in a pickled list. The pickle is taken apart and never loaded: it is code."""
    out = []
    if not isinstance(data, bytes):
        return [escape(data)]
    try:
        for op, value, _place in pickletools.genops(data):
            if op.name in _TEXTS:
                out.append(value)
            elif op.name == "STACK_GLOBAL":
                # the last two texts were the name of a class
                del out[-2:]
    except Exception:  # pickletools raises what it likes at damaged bytes; a digest still tells whether they changed
        return ["unreadable: " + _inventory.secret(data)]
    return sorted(escape(text) for text in out)
