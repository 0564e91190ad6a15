# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Modoboa's own export, two CSV files, held against the rows that it was made from, cell by cell.

Since 2.9.1 a cell that begins with one of = + - @ gets a quote before it, against spreadsheets, and the import does not take it away again: a catch-all alias
comes back as another address, with exit status 0 both ways, and a second export from there is the same file. Only the rows tell. So this file is a paper for
people; the copy of the database is what is restored.
"""

from __future__ import annotations

import csv
import io

from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._panels import _inventory, _modoboa_items, _verify
from ansible_collections.intact.hosting.plugins.module_utils._panels._modoboa_items import NAME

DOMAINS, IDENTITIES = "domains.csv", "identities.csv"
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
KINDS = {"domain": "domain", "relaydomain": "domain", "domainalias": "domain_alias", "account": "customer", "alias": "mail_alias"}
CELLS = {
    "domain": ("type", "name", "quota", "default_mailbox_quota", "enabled"),
    "domainalias": ("type", "name", "target", "enabled"),
    "account": ("type", "username", "password", "first_name", "last_name", "is_active", "role", "email", "quota"),
    "alias": ("type", "address", "enabled"),
}


def wanted(rows):
    """{file: {(type, name): [cells]}} that the export must say, from rows."""
    domains = {row["id"]: row for row in rows.get("admin_domain", [])}
    boxes = {row["user_id"]: row for row in rows.get("admin_mailbox", [])}
    first, second = {}, {}
    for row in rows.get("admin_domain", []):
        first[("domain", row["name"])] = ["domain", row["name"], row["quota"], row["default_mailbox_quota"], _bool(row["enabled"])]
    for row in rows.get("admin_domainalias", []):
        target = domains.get(row["target_id"], {}).get("name", "")
        first[("domainalias", row["name"])] = ["domainalias", row["name"], target, _bool(row["enabled"])]
    for row in rows.get("core_user", []):
        told = ["account", row["username"], row["password"], row["first_name"], row["last_name"], _bool(row["is_active"])]
        told += [_modoboa_items.role(row, rows), row["email"], boxes[row["id"]]["quota"] if row["id"] in boxes else ""]
        if told[6] == "DomainAdmins":
            told += sorted(_modoboa_items.owned(row, rows))
        second[("account", row["username"])] = told
    recipients = {}
    for row in rows.get("modoboa_admin_aliasrecipient", []):
        recipients.setdefault(row["alias_id"], []).append(row["address"])
    for row in rows.get("admin_alias", []):
        if row["internal"] == "0":
            second[("alias", row["address"])] = ["alias", row["address"], _bool(row["enabled"]), *sorted(recipients.get(row["id"], []))]
    return {DOMAINS: first, IDENTITIES: second}


def _bool(text):
    return "True" if text == "1" else "False"


def parsed(data):
    """{(type, name): [cells]} of a file, and what is wrong with it as a whole."""
    out, wrong = {}, []
    try:
        text = data.decode("utf-8")
        for number, row in enumerate(csv.reader(io.StringIO(text, newline=""), delimiter=";", strict=True), 1):
            if not row:
                continue
            if len(row) < 2 or row[0] not in KINDS:
                wrong.append("line %d is no row of Modoboa's" % number)
            else:
                out[(row[0], row[1])] = row
        if text and not text.endswith("\n"):
            wrong.append("its last line has no end: it is cut short")
    except (UnicodeDecodeError, csv.Error) as exc:
        wrong.append("it can't be read: %s" % exc)
    return out, wrong


def check(opened, rows):
    """Findings: what the files lack, have more or say otherwise than the rows; the known corruption of a cell is a warning that names its object."""
    out = []
    for name, told in wanted(rows).items():
        if name not in opened.names():
            title, evidence = "Modoboa wrote no %s" % name, "its program did not end well, or was not started"
            out.append(_inventory.finding("panel.export.member", NAME, "file", name, title, evidence, _verify.AGAIN))
            continue
        seen, wrong = parsed(opened.read(name))
        if wrong:
            ident = "panel.export.truncated" if "cut short" in wrong[-1] else "panel.export.corrupt"
            out.append(_inventory.finding(ident, NAME, "file", name, "the file is not what Modoboa writes", "; ".join(wrong[:3]), _verify.AGAIN))
        if told and not seen:
            evidence = "%d rows were wanted" % len(told)
            out.append(_inventory.finding("panel.dump.empty", NAME, "file", name, "the file says nothing", evidence, _verify.AGAIN))
            continue
        out += _compared(name, told, seen)
    return out + _relayed(rows)


def _compared(name, told, seen):
    out, left = [], dict(seen)
    for key in sorted(told):
        kind, own = key
        row = left.pop(key, None) or (left.pop((kind, "'" + own), None) if own.startswith(FORMULA) else None)
        if row is None:
            title, evidence = "it is not in %s" % name, "the database has it"
            out.append(_inventory.finding("panel.object.missing", NAME, KINDS[kind], escape(own), title, evidence, _verify.AGAIN, change="missing"))
        else:
            out += _cells(name, kind, own, told[key], row)
    for kind, own in sorted(left):
        title, evidence = "it is in %s" % name, "the database does not have it"
        out.append(_inventory.finding("panel.object.extra", NAME, KINDS[kind], escape(own), title, evidence, _verify.AGAIN, severity="warning", change="extra"))
    return out


def _pairs(kind, wanted_row, row):
    """[(name of the cell, wanted, seen)]; recipients and domains at the end of a row have no order that matters."""
    fixed = len(CELLS[kind])
    row = row + [""] * (fixed - len(row))
    out, left = list(zip(CELLS[kind], wanted_row, row)), list(row[fixed:])
    more = "recipients" if kind == "alias" else "domains"
    for value in wanted_row[fixed:]:
        seen = next((v for v in (value, "'" + value) if v in left), None)
        if seen is not None:
            left.remove(seen)
        out.append((more, value, seen))
    return out + [(more, None, value) for value in left]


def _altered(wanted_cell, cell):
    return bool(wanted_cell) and wanted_cell.startswith(FORMULA) and cell == "'" + wanted_cell


def _cells(name, kind, own, wanted_row, row):
    pairs = [pair for pair in _pairs(kind, wanted_row, row) if pair[1] != pair[2]]
    quoted = [pair for pair in pairs if _altered(pair[1], pair[2])]
    out, what = [], KINDS[kind]
    words = ["%s: %s" % (cell, "another one" if cell == "password" else "%s, was %s" % (_told(b), _told(a))) for cell, a, b in pairs if not _altered(a, b)]
    if words:
        title = "%s says it otherwise than the database" % name
        evidence = escape("; ".join(words))
        out.append(_inventory.finding("panel.object.changed", NAME, what, escape(own), title, evidence, _verify.AGAIN, change="changed"))
    if quoted:
        evidence = escape("%s has %s" % (name, "; ".join("%s as %s" % (cell, _told(b)) for cell, _a, b in quoted)))
        out.append(_known(name, what, own, evidence, sorted({cell for cell, _a, _b in quoted})))
    return out


def _told(value):
    return "nothing" if value is None else repr(value[:80])


def _known(name, what, own, evidence, attributes):
    """What is known to be wrong with this export: a warning, as nothing is lost by it."""
    title = "Modoboa's export altered it"
    remedy = "nothing is lost: the copy of the database has it right and is what a restore takes; don't import %s anywhere" % name
    details = {"change": "altered", "attributes": attributes, "file": name}
    return _inventory.finding("panel.object.changed", NAME, what, escape(own), title, evidence, remedy, severity="warning", **details)


def _relayed(rows):
    """Relay domains: the export writes them as ordinary ones, and an import would make them that."""
    out = []
    for row in rows.get("admin_domain", []):
        if row.get("type", "domain") != "domain":
            evidence = "%s has it as an ordinary domain; it is a %s" % (DOMAINS, escape(row["type"]))
            out.append(_known(DOMAINS, "domain", row["name"], evidence, ["type"]))
    return out
