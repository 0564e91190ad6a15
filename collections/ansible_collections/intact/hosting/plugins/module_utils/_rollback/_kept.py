# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What was written after the snapshot was taken: found against the look before the flight, saved, named, proven to be on the disk."""

from __future__ import annotations

import contextlib
import os
import shutil

from ansible_collections.intact.hosting.plugins.module_utils import _flight
from ansible_collections.intact.hosting.plugins.module_utils._baseline import _document, _registry
from ansible_collections.intact.hosting.plugins.module_utils._baseline._descriptors import open_directory
from ansible_collections.intact.hosting.plugins.module_utils._files import escape, fsync_directory, write_document
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError, parse_time
from ansible_collections.intact.hosting.plugins.module_utils._rollback import _kept_databases, _kept_mail
from ansible_collections.intact.hosting.plugins.module_utils._rollback._kept_store import Store, chunks, plain, quoted
from ansible_collections.intact.hosting.plugins.module_utils._rollback._told import KEPT
from ansible_collections.intact.hosting.plugins.module_utils._system import System

SECTIONS = ("mail", "databases", "queue")
NAME = "kept.json"
SCHEMA = 1


def look(before, options=None, limits=None, capture=_document.capture):
    """A baseline of now with the sections that are saved, asked for with the earlier one in mind."""
    probes = {name: probe for name, probe in _registry.PROBES.items() if name in SECTIONS}
    return capture(probes, options=options, limits=limits, earlier=before)


def data(document, name):
    """A section's data, {} when it has none."""
    return (document["sections"].get(name) or {}).get("data") or {}


def tell(before, after):
    """What would be saved, without saving: {mailboxes: [{mailbox, folder, before, after}], databases: {name: tables}, queue: n, blind: [section]}. Pure."""
    boxes = []
    old, new = data(before, "mail").get("items") or {}, data(after, "mail").get("items") or {}
    for user, item in sorted(new.items()):
        for name, folder in sorted(item["folders"].items()) if item.get("kind") == "mailbox" else []:
            was = (((old.get(user) or {}).get("folders")) or {}).get(name) or {}
            if was.get("digest") != folder.get("digest"):
                boxes.append({"mailbox": user, "folder": name, "before": was.get("messages"), "after": folder.get("messages")})
    tables, _accounts = _kept_databases.changed(data(before, "databases"), data(after, "databases"), unread(before, after, "databases"))
    queued = set(data(after, "queue").get("items") or {}) - set(data(before, "queue").get("items") or {})
    return {"mailboxes": boxes, "databases": tables, "queue": len(queued), "blind": blind(before, after)}


def blind(before, after):
    """Sections that one of the two looks could not tell of, and mailboxes that the later one could not, with the reason. Pure."""
    out = []
    for name in SECTIONS:
        for which, document in (("before", before), ("now", after)):
            section = document["sections"].get(name) or {"status": "off", "reason": "the look did not have it"}
            if section["status"] in ("failed", "off"):
                out.append({"what": "section %s" % name, "why": "the look %s: %s" % (which, section.get("reason") or section["status"])})
    if not [entry for entry in out if entry["what"] == "section mail"]:
        out += _kept_mail.unread(data(after, "mail"), after["sections"]["mail"].get("unlooked") or [])
    return out


def unread(before, after, name):
    """What one of the two looks at a section left out or only counted, as it is called there. Pure."""
    return {entry["what"] for document in (before, after) for entry in (document["sections"].get(name) or {}).get("unlooked") or []}


def save(flight, before, after, system=None, kept=KEPT, options=None, trees=(), spool=_kept_mail.POSTFIX):
    """Save all of it below kept/FLIGHT and return its kept.json; an earlier try is replaced. Raises IntactError only when nothing at all can be written.

    {schema, flight, made, since, mail: [...], databases: [...], queue: [...], trees: [...], files: [{file, sha256, bytes, from}],
    unsaved: [{what, why}], counts: {messages, databases, tables, queued, files, bytes}}.
    """
    target = os.path.join(kept, _flight.check_id(flight))
    half = target + ".half"
    shutil.rmtree(half, ignore_errors=True)
    os.makedirs(kept, mode=0o700, exist_ok=True)
    try:
        store = Store(half)
    except OSError as exc:
        raise IntactError("what was written since can't be saved below %s: %s" % (kept, exc.strerror)) from exc
    since = parse_time(before["taken"]).timestamp()
    for entry in blind(before, after):
        # what the look before did not see is saved whole
        if not entry["why"].startswith("the look before"):
            store.lost(entry["what"], entry["why"])
    document = {"schema": SCHEMA, "flight": flight, "made": _flight.now(), "since": before["taken"]}
    unknown = (before["sections"].get("databases") or {}).get("status") in (None, "failed", "off")
    try:
        document["mail"] = _kept_mail.mailboxes(store, data(before, "mail"), data(after, "mail"), since, parse_time(after["taken"]).timestamp())
        document["databases"] = _kept_databases.save(
            store,
            data(before, "databases"),
            data(after, "databases"),
            system or System(),
            (options or {}).get("databases"),
            unknown,
            unread(before, after, "databases"),
        )
        document["queue"] = _kept_mail.queue(store, data(before, "queue"), data(after, "queue"), spool)
        document["trees"] = [_tree(store, path, since) for path in trees]
    except OSError as exc:
        raise IntactError("what was written since can't be saved below %s: %s: free room there, or name another place" % (kept, exc.strerror or exc)) from exc
    tables = [table for entry in document["databases"] for table in entry["tables"]]
    document.update(files=store.files, unsaved=store.unsaved)
    document["counts"] = {
        "messages": sum(entry["messages"] for entry in document["mail"]),
        "databases": len(document["databases"]),
        "tables": len(tables),
        "queued": len(document["queue"]),
        "files": sum(entry["files"] for entry in document["trees"]),
        "bytes": sum(entry["bytes"] for entry in store.files),
    }
    write_document(os.path.join(half, NAME), document)
    fsync_directory(half)
    aside = target + ".old"
    shutil.rmtree(aside, ignore_errors=True)
    if os.path.lexists(target):
        os.rename(target, aside)
    os.rename(half, target)
    fsync_directory(kept)
    shutil.rmtree(aside, ignore_errors=True)
    return document


def _tree(store, path, since):
    """Plain files of a tree that changed since: {path, files}. Links are not followed."""
    count = 0
    try:
        top = open_directory(os.fsencode(path))
    except OSError as exc:
        store.lost(path, exc.strerror)
        return {"path": path, "files": 0}
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, top)
        for folder, _folders, names, inside in os.fwalk(b".", dir_fd=top, follow_symlinks=False):
            for raw in sorted(names):
                found = plain(raw, inside, since)
                if found is None:
                    continue
                where = os.path.normpath(os.path.join(os.fsencode(path), folder, raw))
                relative = "files/" + "/".join(quoted(escape(part)) for part in where.split(b"/") if part)
                try:
                    store.put(relative, chunks(found[0]), escape(where), owner=found[1].st_uid, group=found[1].st_gid, mode=found[1].st_mode & 0o7777)
                    count += 1
                finally:
                    os.close(found[0])
    return {"path": path, "files": count}


def preview_lines(told):
    """What tell() returned as lines that an operator reads. Pure."""
    out = ["mailbox %s %s: %s messages, now %s" % (e["mailbox"], e["folder"], _number(e["before"]), _number(e["after"])) for e in told["mailboxes"]]
    for name, tables in sorted(told["databases"].items()):
        out.append("database %s: saved whole" % name)
        out += ["  table %s: %s rows, now %s (%s)" % (t["table"], _number(t["before"]), _number(t["after"]), t["how"]) for t in tables]
    if told["queue"]:
        out.append("mail queue: %d new messages" % told["queue"])
    out += ["can't be told: %s: %s" % (entry["what"], entry["why"]) for entry in told["blind"]]
    return out or ["nothing was written that the look before the flight did not see"]


def lines(document):
    """kept.json as lines that an operator reads. Pure."""
    out = []
    for entry in document["mail"]:
        words = "%d messages saved" % entry["messages"] if entry["messages"] else ""
        if entry["gone"]:
            words += "%s%d deleted since will be back" % (", " if words else "", entry["gone"])
        out.append("mailbox %s %s: %s%s" % (entry["mailbox"], entry["folder"], words, "" if entry["sure"] else " (some may be older)"))
    for entry in document["databases"]:
        out.append("database %s: %s" % (entry["database"], "%d bytes saved" % entry["bytes"] if entry["file"] else "dropped since, will be back"))
        for table in entry["tables"]:
            out.append("  table %s: %s rows, now %s (%s)" % (table["table"], _number(table["before"]), _number(table["after"]), table["how"]))
    if document["queue"]:
        out.append("mail queue: %d messages saved" % len(document["queue"]))
    for entry in document["trees"]:
        out.append("%s: %d files saved" % (entry["path"], entry["files"]))
    for entry in document["unsaved"]:
        out.append("NOT SAVED: %s: %s" % (entry["what"], entry["why"]))
    return out or ["nothing was written that the look before the flight did not see"]


def _number(rows):
    return "no" if rows is None else str(rows)
