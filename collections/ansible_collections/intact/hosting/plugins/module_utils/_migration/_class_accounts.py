# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Accounts for the reconciliation. The old side is parsed by the baseline's reader, the new one is asked through libc (getent), not read as it was written."""

from __future__ import annotations

import hashlib
import hmac
import os

from ansible_collections.intact.hosting.plugins.module_utils._baseline import accounts
from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._migration._identity_files import LARGEST, NO_NUMBERS
from ansible_collections.intact.hosting.plugins.module_utils._migration._identity_files import NAME as USABLE
from ansible_collections.intact.hosting.plugins.module_utils._migration._identity_users import NOBODIES

NAME = "accounts"
RULES = [
    {
        "subject": "user *",
        "attribute": "password",
        "change": "changed",
        "when": lambda old, new: old == "locked" and new == "locked",
        "reason": "locked on both hosts",
    },
]
# Digests are compared within one process and never kept: with a key that nobody has they tell nothing of a hash.
_KEY = os.urandom(32)
# Accounts of the system itself: what they are is this host's matter, only who they are was mapped.
MAPPED = ("service", "same", "merged")
FIRST_UID = 1000


def old(context):
    """{"user NAME": {uid gid home shell password [aging]}, "group NAME": {gid, "member NAME": True}}; numbers are the new ones, names the old ones."""
    identity, out = context.identity(), {}
    shadow = accounts._shadow(context.old)
    people = {}
    for row in reversed(accounts._table(context.old, "/etc/passwd", 7)):
        if not USABLE.match(row[0]) or int(row[2]) in NO_NUMBERS or int(row[2]) > LARGEST:
            continue  # no account to any kernel; told as a malformed line
        people[row[0]] = row
    for name, row in people.items():
        entry = identity.users.get(escape(name), {"how": "unknown"})
        item = {"uid": identity.uid(int(row[2]))}
        if not _system(entry):
            password = row[1] if row[1] != "x" else shadow[name][1] if name in shadow else "!"
            item.update(gid=identity.gid(int(row[3])), home=escape(row[5]), shell=escape(row[6]), password=_digest(context, password))
            item["name"] = escape(name)
            if entry["how"] == "new":
                item["aging"] = ":".join(shadow[name][3:8]) if name in shadow else "0:99999:7::"
        out["user " + escape(name)] = item
    groups = {row[0]: row for row in reversed(accounts._table(context.old, "/etc/group", 4)) if USABLE.match(row[0])}
    for name, row in groups.items():
        entry = identity.groups.get(escape(name), {"how": "unknown", "new": 0})
        item = {"gid": identity.gid(int(row[2]))}
        for member in row[3].split(","):
            user = identity.users.get(escape(member))
            if member in people and people[member][2] != "0" and not (_system(user) and entry["new"] < FIRST_UID):
                item["member " + escape(member)] = True
        out["group " + escape(name)] = item
    return out


def new(context):
    """The same of the live system, under the old names. Also whoever shares a carried account's number, or is in a group that was made, and was not carried."""
    identity, out = context.identity(), {}
    shadow = {row[0]: row for row in _asked(context.system, "shadow", 9)}
    rows = _asked(context.system, "passwd", 7)
    people = {row[0]: row for row in reversed(rows)}
    carried = {}
    for name, entry in identity.users.items():
        there = people.get(identity.user(name) or "")
        if entry["how"] == "orphan" or there is None:
            continue
        carried.setdefault(there[0], name)
        item = {"uid": int(there[2])}
        if not _system(entry):
            password = there[1] if there[1] != "x" else shadow[there[0]][1] if there[0] in shadow else "!"
            item.update(gid=int(there[3]), home=escape(there[5]), shell=escape(there[6]), password=_digest(context, password), name=escape(there[0]))
            if entry["how"] == "new":
                item["aging"] = ":".join(shadow[there[0]][3:8]) if there[0] in shadow else ""
        out["user " + name] = item
    numbers = {item["uid"] for subject, item in out.items() if "password" in item}
    for row in rows:
        if int(row[2]) in numbers and row[0] not in carried:
            out["user " + escape(row[0])] = {"uid": int(row[2])}
    groups = {row[0]: row for row in reversed(_asked(context.system, "group", 4))}
    for name, entry in identity.groups.items():
        there = groups.get(identity.group(name) or "")
        if entry["how"] == "orphan" or there is None:
            continue
        item = {"gid": int(there[2])}
        for member in [m for m in there[3].split(",") if m]:
            was = carried.get(member)
            if was is not None and not (_system(identity.users[was]) and entry["new"] < FIRST_UID):
                if was in _old_members(context, name) or entry["how"] == "new":
                    item["member " + was] = True
            elif was is None and entry["how"] == "new":
                item["member " + escape(member)] = True
        out["group " + name] = item
    return out


def _old_members(context, name):
    for row in accounts._table(context.old, "/etc/group", 4):
        if escape(row[0]) == name:
            return {escape(m) for m in row[3].split(",")}
    return set()


def _system(entry):
    """Whether a map's entry is a service's, or root."""
    if entry is None or entry["how"] not in MAPPED:
        return False
    return entry["how"] == "service" or entry["old"] == 0 or entry["new"] < FIRST_UID or entry["old"] in NOBODIES


def _asked(system, kind, width):
    """Rows of a file of accounts, through libc where the system is the live one."""
    if os.fsdecode(system.root) == "/" and system.which("getent"):
        text = system.run(["getent", kind]).text
    else:
        text = system.text("/etc/" + kind)
    rows = (line.split(":") for line in text.split("\n") if line and line[0] not in "#+-")
    return [row for row in rows if len(row) == width and (kind == "shadow" or row[2].isdigit())]


def _digest(context, password):
    if password == "":
        return "empty"
    body = password.lstrip("!")
    state = "locked" if password[0] in "!*" else ""
    if not body.strip("*"):
        return "locked"
    text = os.path.basename(context.directory) + ":" + password
    return (state + " " + hmac.new(_KEY, text.encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest()).strip()
