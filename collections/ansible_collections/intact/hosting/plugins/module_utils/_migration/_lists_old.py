# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Mailing lists of Mailman 2 on an old disk: what their pickles say, by our own reading, in words that Mailman 3 knows too."""

from __future__ import annotations

import os
import re

from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._migration import _mail_disk, _mbox, _pickle

ROOTS = ("/var/lib/mailman", "/usr/local/mailman", "/var/mailman", "/home/mailman", "/usr/local/cpanel/3rdparty/mailman", "/opt/mailman")
LIMIT = 1 << 29
SITE = "mailman"
# Numbers that both have, or that import21 turns round: {name there: (key here, how)}.
_ACTION = {0: 0, 1: 1, 2: 2}
NONMEMBER = {0: 4, 1: 0, 2: 1, 3: 2}


def lists(context):
    """([{name, root, pickle}], [(subject, sentence)]) of directories that hold a list. Setting mailman_roots: more places."""
    out, strange, seen = [], [], set()
    for root in list(ROOTS) + list(context.settings.get("mailman_roots") or []):
        real = context.old.realpath(root)
        if real in seen:
            continue
        seen.add(real)
        place = _mail_disk.place(context, root)
        if place is None:
            continue
        with place:
            for name, _status in place.entries(b"lists"):
                if not place.is_directory(b"lists/" + name):
                    continue
                held = {entry for entry, _s in place.entries(b"lists/" + name)}
                pickles = [entry for entry in (b"config.pck", b"config.pck.last") if entry in held]
                if pickles:
                    out.append({"name": os.fsdecode(name), "root": root, "pickles": pickles})
                elif b"config.db" in held:
                    strange.append((escape(name), "it is a list of Mailman 2.0 (config.db): open it with Mailman 2.1 first"))
    return out, strange


def config(context, entry):
    """(config as plain data, bytes of the pickle, note). Falls back to config.pck.last as Mailman 2 does. Raises IntactError when neither can be read."""
    errors = []
    for name in entry["pickles"]:
        with _mail_disk.Place(context, entry["root"]) as place:
            data = place.read(b"lists/%s/%s" % (os.fsencode(entry["name"]), name), LIMIT)
        if data is None:
            errors.append("%s is no plain file" % escape(name))
            continue
        try:
            told = _pickle.read(data, "%s of the list %s" % (escape(name), escape(entry["name"])))
        except IntactError as exc:
            errors.append(str(exc))
            continue
        return told, "; ".join(errors)
    raise IntactError("; ".join(errors))


def waiting(context, entry):
    """Moderation requests and pending confirmations: {requests, pending, damaged [sentence]}."""
    out = {"requests": 0, "pending": 0, "damaged": []}
    for name, key in ((b"request.pck", "requests"), (b"pending.pck", "pending")):
        with _mail_disk.Place(context, entry["root"]) as place:
            data = place.read(b"lists/%s/%s" % (os.fsencode(entry["name"]), name), LIMIT)
        if not data:
            continue
        try:
            told = _pickle.read(data, "%s of the list %s" % (escape(name), escape(entry["name"])))
            out[key] = sum(1 for one in told if one not in ("version", "evictions"))
        except IntactError as exc:
            out["damaged"].append(str(exc))
    return out


def address(entry, told):
    """NAME@DOMAIN. Raises IntactError when the pickle names no domain."""
    host = str(told.get("host_name") or "").strip().lower()
    name = entry["name"].lower()
    if not re.match(r"[a-z0-9.-]+\.[a-z0-9-]+\Z", host):
        raise IntactError("the list %s has no domain that mail could go to (host_name is %r)" % (escape(entry["name"]), host))
    if name.endswith("_" + host):
        # hosting panels keep lists of many domains apart in this way
        name = name[: -len(host) - 1]
    return "%s@%s" % (name, host)


def wanted(told):
    """What the list must look like: {members digest owners moderators: sorted addresses; settings: texts as Mailman 3's rows have them}."""
    members = {a.lower() for a in told.get("members") or {}}
    digest = {a.lower() for a in told.get("digest_members") or {}} - members
    status = told.get("delivery_status") or {}
    stopped = sorted(a.lower() for a, why in status.items() if (why or [0])[0] and a.lower() in members | digest)
    options = told.get("user_options") or {}
    moderated = sorted(a.lower() for a, bits in options.items() if isinstance(bits, int) and bits & 128 and a.lower() in members | digest)
    prefix = (told.get("subject_prefix") or "").strip()
    if not told.get("archive"):
        archive = 0
    else:
        archive = 1 if told.get("archive_private", 1) else 2
    action = _ACTION.get(int(told.get("member_moderation_action") or 0), 0) if told.get("default_member_moderation") else 4
    out = {
        "members": sorted(members),
        "digest": sorted(digest),
        "owners": sorted({a.lower() for a in told.get("owner") or []}),
        "moderators": sorted({a.lower() for a in told.get("moderator") or []}),
        "stopped": stopped,
        "moderated": moderated,
        "bans": sorted(set(told.get("ban_list") or [])),
        "description": told.get("description") or "",
        "info": told.get("info") or "",
        "subject_prefix": prefix + " " if prefix else "",
        "display_name": told.get("real_name") or "",
        "archive_policy": str(archive),
        "default_member_action": str(action),
    }
    for name, key in (("subscription_policy", "subscribe_policy"), ("advertised", "advertised"), ("max_message_size", "max_message_size")):
        if key in told:
            out[name] = str(int(told[key]))
    for name, key in (("anonymous_list", "anonymous_list"), ("reply_goes_to_list", "reply_goes_to_list")):
        if key in told:
            out[name] = str(int(told[key]))
    if "generic_nonmember_action" in told:
        out["default_nonmember_action"] = str(NONMEMBER.get(int(told["generic_nonmember_action"]), 0))
    return out


def archive(context, entry):
    """{messages, without_id, oddities, file} of the archive's mbox, or None without one; counted by our own parser, From_ lines as cleanarch does."""
    name = b"archives/private/%s.mbox/%s.mbox" % (os.fsencode(entry["name"]), os.fsencode(entry["name"]))
    place = _mail_disk.place(context, entry["root"])
    if place is None:
        return None
    with place:
        handle = place.open(name)
        if handle is None:
            return None
        with handle:
            box, bare, count, seen = _mbox.Mbox(handle), 0, 0, set()
            for message in box.messages():
                count += 1
                bare += not message["id"]
                seen.add(message["id"])
            real, odd = _mbox.count_from(handle)
    said = list(box.oddities)
    if odd:
        said.append("%d lines begin with From and are no beginning of a message" % odd)
    if real != count:
        said.append("%d From lines, %d messages" % (real, count))
    return {"messages": count, "without_id": bare, "ids": len(seen - {b""}), "oddities": said, "file": name}
