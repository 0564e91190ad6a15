# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Mail that came after the snapshot: messages that the look before the flight did not see, and what waits in the queue."""

from __future__ import annotations

import collections
import contextlib
import os

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _mailboxes
from ansible_collections.intact.hosting.plugins.module_utils._baseline._descriptors import open_directory
from ansible_collections.intact.hosting.plugins.module_utils._files import escape, unescape
from ansible_collections.intact.hosting.plugins.module_utils._rollback._kept_store import chunks, plain, quoted, whole

POSTFIX = "/var/spool/postfix"
QUEUES = ("incoming", "active", "deferred", "hold", "maildrop", "corrupt")
EXIM = ("/var/spool/exim4/input", "/var/spool/exim/input")


def mailboxes(store, before, after, since, looked):
    """Save new messages of every mailbox; [{mailbox, folder, path, messages, gone, sure}].

    before, after: sections mail of two baselines. since, looked: seconds since 1970 of the earlier and of the later look.
    gone: messages that were deleted since (they will be back). sure False: the earlier look knew no single messages there, so what changed since
    is saved, which may be more than what is new.
    """
    old, new = before.get("items") or {}, after.get("items") or {}
    out = []
    for user in sorted(name for name, item in new.items() if item.get("kind") == "mailbox"):
        folders = (old.get(user) or {}).get("folders") or {}
        for name, folder in sorted(new[user]["folders"].items()):
            was = folders.get(name) or {}
            if _same(was, folder) and not _touched(folder, looked):
                continue
            entry = _folder(store, user, name, folder, was, since)
            if entry and (entry["messages"] or entry["gone"]):
                out.append(entry)
    for user in sorted(name for name, item in old.items() if item.get("kind") == "mailbox" and name not in new):
        # The mail server may not have named it: what is on the disk counts.
        there = {name: folder for name, folder in old[user]["folders"].items() if folder.get("path") and os.path.lexists(unescape(folder["path"]))}
        found = [_folder(store, user, name, folder, folder, since) for name, folder in sorted(there.items())]
        out += [entry for entry in found if entry and (entry["messages"] or entry["gone"])]
        if there:
            continue
        out.append({"mailbox": user, "folder": "", "path": "", "messages": 0, "gone": _count(old[user]), "sure": True})
    return out


def unread(after, unlooked):
    """[{what, why}] of mailboxes that the later look could not read: they are there, and nobody knows what is new in them. Pure."""
    new = after.get("items") or {}
    return [entry for entry in unlooked if entry["what"].startswith("mailbox ") and entry["what"][8:].split(": ")[0] not in new]


def _same(was, folder):
    return was.get("by") == folder.get("by") == "content" and all(was.get(key) == folder.get(key) for key in ("digest", "messages"))


def _touched(folder, looked):
    """Whether something came or went in a folder after the later look began: the mail server ran while it looked."""
    path = unescape(folder.get("path") or "")
    for part in (b"cur", b"new", b""):
        try:
            if path and os.lstat(os.path.join(path, part) if part else path).st_mtime >= looked - 1:
                return True
        except OSError:
            continue
    return False


def _count(item):
    return sum(folder.get("messages") or 0 for folder in item["folders"].values())


def _folder(store, user, name, folder, was, since):
    """Save what is new in one folder."""
    what = "mailbox %s, folder %s" % (user, name)
    path = unescape(folder.get("path") or "")
    if not path:
        store.lost(what, "only the mail server can read its format: export it with doveadm before going back")
        return None
    known = collections.Counter(was["ids"]) if "ids" in was and was.get("by") == "content" else collections.Counter() if not was.get("messages") else None
    place = "mail/%s/%s" % (quoted(user), quoted(name))
    try:
        parent = open_directory(os.path.dirname(path))
    except OSError as exc:
        store.lost(what, "%s: %s" % (escape(path), exc.strerror))
        return None
    try:
        if os.path.isdir(os.path.join(path, b"cur")) or os.path.isdir(os.path.join(path, b"new")):
            saved, left = _maildir(store, what, path, place, known, since)
        else:
            saved, left = _mbox(store, what, path, parent, place, known, since)
    except OSError as exc:
        store.lost(what, "%s: %s" % (escape(path), exc.strerror))
        return None
    finally:
        os.close(parent)
    gone = sum(left.values()) if left is not None else 0
    return {"mailbox": user, "folder": name, "path": escape(path), "messages": saved, "gone": gone, "sure": known is not None}


def _maildir(store, what, path, place, known, since):
    """(messages saved, those of the earlier look that were not met, or None)."""
    left, saved, folder = known.copy() if known is not None else None, 0, open_directory(path)
    try:
        for part in (b"cur", b"new"):
            try:
                inside = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
            except OSError:
                continue
            with contextlib.ExitStack() as stack:
                stack.callback(os.close, inside)
                for name in sorted(os.listdir(inside)):
                    raw = os.fsencode(name)
                    # With the messages known, all are looked at: an old one that was moved here has an old time.
                    found = None if raw.startswith(b".") else plain(raw, inside, 0.0 if known is not None else since)
                    if found is None:
                        continue
                    try:
                        data = whole(*_sized(found))
                        if data is None:
                            store.lost("%s, message %s" % (what, escape(raw)), "it is larger than a mail can be")
                            continue
                        identity = _mailboxes.message_id(data)
                        if left is not None and left[identity] > 0:
                            left[identity] -= 1
                            continue
                        store.put(
                            "%s/%s/%s" % (place, part.decode(), quoted(escape(raw))),
                            [data],
                            escape(path + b"/" + part + b"/" + raw),
                            owner=found[1].st_uid,
                            group=found[1].st_gid,
                        )
                        saved += 1
                    finally:
                        os.close(found[0])
    finally:
        os.close(folder)
    return saved, left


def _sized(found):
    return found[0], found[1].st_size


def _mbox(store, what, path, parent, place, known, since):
    """The same for an mbox file: new messages in one file with their From lines."""
    found = plain(os.path.basename(path), parent, 0.0 if known is not None else since)
    if found is None:
        return 0, None
    try:
        data = whole(*_sized(found))
    finally:
        os.close(found[0])
    if data is None:
        store.lost(what, "%s is too large to be taken apart: copy it yourself before going back" % escape(path))
        return 0, None
    left, new = known.copy() if known is not None else None, []
    starts = [m.end() - len(m.group().lstrip(b"\r\n")) for m in _mailboxes.FROM.finditer(data)]
    for number, start in enumerate(starts):
        message = data[start : starts[number + 1] if number + 1 < len(starts) else len(data)]
        body = message.partition(b"\n")[2]
        if b"FOLDER INTERNAL DATA" in body.replace(b"\r\n", b"\n").partition(b"\n\n")[0]:
            continue
        identity = _mailboxes.message_id(body)
        if left is not None and left[identity] > 0:
            left[identity] -= 1
        else:
            new.append(message.rstrip(b"\r\n") + b"\n\n")
    if new:
        store.put(place + ".mbox", new, escape(path), owner=found[1].st_uid, group=found[1].st_gid)
    return len(new), left


def queue(store, before, after, spool=POSTFIX, exim=EXIM):
    """Save messages that wait in the queue and did not before; [{id, sender, recipients, files}]."""
    old, new = before.get("items") or {}, after.get("items") or {}
    fresh = {ident: item for ident, item in new.items() if ident not in old}
    out, found = [], {}
    if not fresh:
        return out
    tops = [os.path.join(spool, name) for name in QUEUES] if after.get("server") == "postfix" else list(exim)
    for top in tops:
        try:
            fd = open_directory(os.fsencode(top))
        except OSError:
            continue
        try:
            for folder, _folders, names, inside in os.fwalk(b".", dir_fd=fd, follow_symlinks=False):
                for raw in names:
                    name = os.fsdecode(raw)
                    ident = name if after.get("server") == "postfix" else name[:-2] if name[-2:] in ("-H", "-D", "-J") else ""
                    entry = plain(raw, inside) if ident in fresh else None
                    if entry is None:
                        continue
                    source = "%s/%s/%s" % (top, os.fsdecode(folder), name)
                    relative = "queue/%s/%s" % (quoted(os.path.basename(top)), quoted(name))
                    try:
                        found.setdefault(ident, []).append(store.put(relative, chunks(entry[0]), escape(source), mode=entry[1].st_mode & 0o777)["file"])
                    finally:
                        os.close(entry[0])
        finally:
            os.close(fd)
    for ident, item in sorted(fresh.items()):
        if ident not in found:
            store.lost("queued message %s" % ident, "its file was not found in the queue")
        else:
            out.append({"id": ident, "sender": item["sender"], "recipients": item["recipients"], "files": sorted(found[ident])})
    return out
