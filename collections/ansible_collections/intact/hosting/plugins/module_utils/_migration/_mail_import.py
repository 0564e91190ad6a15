# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""One user's old mail into the live Dovecot: only what is missing there is staged and synced, then both sides are compared by routes of their own.

Dovecot can't import from a read-only mbox ("Can't set mailbox GUID to a read-only mailbox", measured with 2.3.19), and writes X-UID and locks beside a
writable one: so a copy is staged, and the old disk is never a mail location. doveadm sync -1R keeps UIDs, UIDVALIDITY and flags; run twice into a live
mbox it doubles every message (measured with 2.4.1), so what is there already is never staged again.
"""

from __future__ import annotations

import collections
import hashlib
import os

from ansible_collections.intact.hosting.plugins.module_utils._files import escape, read_document, write_document
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._migration import _mail_disk, _mail_names, _mail_old, _mail_stage


def state_path(directory, user):
    """Where a user's state lies below the phase's directory."""
    return os.path.join(directory, "users", hashlib.sha256(user.encode("utf-8", "surrogateescape")).hexdigest()[:32] + ".json")


def state(directory, user):
    """What earlier runs left of this user, {} for nothing."""
    try:
        return read_document(state_path(directory, user))
    except (OSError, ValueError):
        return {}


def look(context, user, stores, session):
    """{folder as told: {parts, live name, old [message with store and components], live {...}, validity}} of both sides, and the Names."""
    # a staged Maildir has dots between the components
    dots = "." if any(store.kind == "maildir" for store in stores) else ""
    names, folders = _mail_names.Names(session.separator, session.prefix, dots), {}
    for store in stores:
        for components in sorted(store.folders):
            told = _mail_names.shown(components)
            entry = folders.setdefault(
                names.imap(components), {"told": told, "parts": names.parts(components), "old": [], "validity": set(), "oddities": [], "bare": []}
            )
            found = _mail_old.read(context, store, components)
            entry["old"] += [dict(message, store=store, components=components) for message in found["messages"]]
            entry["validity"].add(found["validity"])
            entry["oddities"] += found["oddities"]
            if not found["messages"]:
                entry["bare"].append((store, components))
    there = session.names()
    for name, entry in folders.items():
        entry["there"] = name in there or name == "INBOX"
        entry["live"] = session.folder(name) if entry["there"] else {"validity": 0, "next": 0, "messages": []}
    return folders, names


def missing(entry):
    """The old messages of a folder that the live one lacks, counted as often as they are there."""
    left = collections.Counter(message["digest"] for message in entry["live"]["messages"])
    out = []
    for message in entry["old"]:
        if left[message["digest"]]:
            left[message["digest"]] -= 1
        else:
            out.append(message)
    return out


def compared(entry):
    """{old, live, missing, doubled, arrived, flags (differing), uids (kept of those that had one), validity (kept)}."""
    old = collections.Counter(m["digest"] for m in entry["old"])
    live = collections.Counter(m["digest"] for m in entry["live"]["messages"])
    marked = collections.Counter((m["digest"], tuple(sorted(m["flags"]))) for m in entry["old"])
    marked.subtract(collections.Counter((m["digest"], tuple(sorted(m["flags"]))) for m in entry["live"]["messages"]))
    numbers = {(m["uid"], m["digest"]) for m in entry["live"]["messages"]}
    numbered = [m for m in entry["old"] if m["uid"]]
    return {
        "old": sum(old.values()),
        "live": sum(live.values()),
        "missing": sum((old - live).values()),
        "doubled": sum((live[d] - n) for d, n in old.items() if live[d] > n),
        "arrived": sum(n for d, n in live.items() if d not in old),
        "flags": sum(n for n in marked.values() if n > 0),
        "numbered": len(numbered),
        "uids": sum(1 for m in numbered if (m["uid"], m["digest"]) in numbers),
        "validity": entry["live"]["validity"] in entry["validity"] - {0},
    }


def carry(context, user, live, stores, directory, check=False):
    """Import what is missing for one user. Returns {folders {told: compared()}, renamed, staged, subscribed, oddities}; in check mode what would be."""
    owner = live.user(user)
    if owner is None:
        return None
    with live.session(user) as session:
        folders, names = look(context, user, stores, session)
    wanted = {name: missing(entry) for name, entry in folders.items()}
    staged = sum(len(messages) for messages in wanted.values())
    empty = [entry for entry in folders.values() if not entry["there"] and not entry["old"]]
    subscribed = sorted({names.imap(c) for store in stores for c in store.subscribed if c in store.folders or any(c in s.folders for s in stores)})
    out = {"renamed": dict(names.renamed), "staged": staged, "oddities": {e["told"]: e["oddities"] for e in folders.values() if e["oddities"]}}
    if check:
        out["folders"] = {entry["told"]: compared(entry) for entry in folders.values()}
        return out
    if staged or empty:
        _mail_stage.room(sum((m.get("size") or m["end"] - m["start"]) for messages in wanted.values() for m in messages))
        _bring(context, user, live, owner, folders)
    with live.session(user) as session:
        have = session.names(subscribed=True)
        separator = session.separator
        there = session.names()
        for name, entry in folders.items():
            entry["live"] = session.folder(name)
    wished = [name for name in subscribed if name not in have and name in there]
    live.subscribe(user, [separator.join(_mail_names.decode(part) or part for part in name.split(separator)) for name in wished])
    out["folders"] = {entry["told"]: compared(entry) for entry in folders.values()}
    out["subscribed"] = len(wished)
    done = not any(folder["missing"] for folder in out["folders"].values())
    path = state_path(directory, user)
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    write_document(path, dict(out, user=escape(user), source=source_of(context, stores), status="done" if done else "short"))
    return out


def _bring(context, user, live, owner, folders):
    """First by sync, which keeps numbers; what is missing still, or can't be synced, is appended. Each time only what is missing then."""
    for act in (live.sync, live.append):
        last = act == live.append
        wanted = {name: missing(entry) for name, entry in folders.items() if last or _syncs(entry)}
        with _mail_stage.Stage(context, user, owner) as stage:
            for kind in ("mbox", "maildir"):
                part = {}
                for name, messages in wanted.items():
                    mine = [m for m in messages if m["store"].kind == kind]
                    bare = not last and not folders[name]["there"] and any(store.kind == kind for store, _c in folders[name]["bare"])
                    if mine or bare:
                        part[name] = (folders[name]["parts"], mine)
                if not part:
                    continue
                try:
                    act(user, stage.fill(kind, part))
                except IntactError as exc:
                    if last:
                        raise
                    context.tell("%s; what is missing is appended" % exc)
        with live.session(user) as session:
            for name, entry in folders.items():
                entry["live"] = session.folder(name)


def _syncs(entry):
    """Whether a sync can bring what is missing: in a folder that already has the old one's numbers it takes lower numbers for deleted messages.

    Measured with 2.3.19: into a Maildir they do not come, into an mbox doveadm dies by a signal.
    """
    there = entry["live"]
    return there["validity"] not in entry["validity"] - {0} or all(m["uid"] >= there["next"] for m in missing(entry))


def source_of(context, stores):
    """What tells whether the old stores are the ones that were imported: names, sizes and times."""
    digest = hashlib.sha256()
    for store in stores:
        with _mail_disk.Place(context, store.path) as place:
            for components, where in sorted(store.folders.items()):
                digest.update(repr((store.kind, store.path, components, where)).encode())
                parts = [where] if store.kind == "mbox" else [where + b"/cur" if where else b"cur", where + b"/new" if where else b"new"]
                for part in parts:
                    parent, _slash, last = part.rpartition(b"/")
                    digest.update(repr([(n, s.st_size, int(s.st_mtime)) for n, s in place.entries(parent) if n == last]).encode())
    return digest.hexdigest()[:32]
