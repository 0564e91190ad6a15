# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Mailboxes as they lie on the disk: Maildir and mbox read directly, so that looking changes neither flags nor indexes."""

from __future__ import annotations

import hashlib
import posixpath
import re
import stat

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _digests
from ansible_collections.intact.hosting.plugins.module_utils._files import escape

PROBE = "intactprobe"
# written by mail servers into an mbox file: they hold flags and numbers, not the message
STATE_HEADERS = (
    b"status:",
    b"x-status:",
    b"x-keywords:",
    b"x-uid:",
    b"x-imapbase:",
    b"x-imap:",
    b"content-length:",
    b"x-mozilla-status:",
    b"x-mozilla-status2:",
)
FROM = re.compile(rb"(?:\A|\n\r?\n)From [^\n]*\d\d:\d\d[^\n]*\n")
FLAGS = {"S": "seen", "R": "answered", "F": "flagged", "T": "deleted", "D": "draft"}


def message_id(data):
    """10 hex digits over a message, the same in Maildir and mbox, with CRLF or LF, before and after it was read."""
    data = data.replace(b"\r\n", b"\n")
    head, blank, body = data.partition(b"\n\n")
    kept, skipping = [], False
    for line in head.split(b"\n"):
        if line[:1] in (b" ", b"\t"):
            if not skipping:
                kept.append(line)
            continue
        skipping = line.lower().startswith(STATE_HEADERS)
        if not skipping:
            kept.append(line)
    return hashlib.sha256(b"\n".join(kept) + blank + body.rstrip(b"\n")).hexdigest()[:10]


def mbox_messages(data):
    """(message id, set of flags) for each message of an mbox file, the internal one left out."""
    starts = [(m.start() + (0 if m.start() == 0 and data[:5] == b"From " else m.group().index(b"From ")), m.end()) for m in FROM.finditer(data)]
    for number, (_start, begin) in enumerate(starts):
        end = starts[number + 1][0] if number + 1 < len(starts) else len(data)
        message = data[begin:end]
        head = message.replace(b"\r\n", b"\n").partition(b"\n\n")[0]
        if b"FOLDER INTERNAL DATA" in head:
            continue
        flags = set()
        for name, letters in re.findall(rb"^(status|x-status):[ \t]*([A-Z]*)", head, re.MULTILINE | re.IGNORECASE):
            table = {82: "seen"} if name.lower() == b"status" else {65: "answered", 70: "flagged", 68: "deleted", 84: "draft"}
            flags |= {table[c] for c in letters if c in table}
        yield message_id(message), flags


def folder(messages, by, limit):
    """What is kept of a folder: {messages, ids (sorted, at most limit), digest, flags {name: count}, by}."""
    ids, flags = [], {}
    for identity, marks in messages:
        ids.append(identity)
        for mark in marks:
            flags[mark] = flags.get(mark, 0) + 1
    ids.sort()
    out = {"messages": len(ids), "digest": _digests.short(",".join(ids)), "flags": flags, "by": by}
    if len(ids) <= limit:
        out["ids"] = ids
    return out


def _maildir(system, path, budget):
    """One Maildir folder: (messages, by)."""
    found, by = [], "content"
    for part in ("cur", "new"):
        for name in system.listdir(path + "/" + part):
            if name.startswith("."):
                continue
            base, _colon, suffix = name.partition(":2,")
            full = "%s/%s/%s" % (path, part, name)
            status = system.lstat(full)
            if status is None or not stat.S_ISREG(status.st_mode):
                continue
            found.append((full, base, {FLAGS[c] for c in suffix if c in FLAGS}, status.st_size))
    if not budget(sum(size for _f, _b, _m, size in found)):
        # too much to read: its name holds the message's birth, its size the rest
        return [(_digests.short("%s %d" % (base.split(",")[0], size))[:10], marks) for _f, base, marks, size in found], "name and size"
    out = []
    for full, base, marks, _size in found:
        data = system.read(full)
        if data is None:
            # renamed since it was listed (its flags changed): the same message under its new name
            twin = next((p for p in system.glob(_glob_escape(full.rpartition("/")[0].rpartition("/")[0]) + "/cur/" + _glob_escape(base) + "*")), None)
            data = system.read(twin) if twin else None
        if data is not None:
            out.append((message_id(data), marks))
    return out, by


def _glob_escape(text):
    return re.sub(r"([*?[])", r"[\1]", text)


def _mbox(system, path, budget):
    status = system.lstat(path)
    if not budget(status.st_size):
        return [], "size"
    return list(mbox_messages(system.read(path) or b"")), "content"


def read(system, inbox, other, limit, budget):
    """{folder name: folder()} of one mailbox. inbox: path of INBOX. other: path that a folder called PROBE would have. budget(bytes) -> bool."""
    root = posixpath.dirname(other)
    folders = {}
    if system.exists(inbox + "/cur") or system.exists(inbox + "/new"):
        paths = {"INBOX": inbox}
        if posixpath.basename(other).startswith("."):
            for name in system.listdir(root):
                if name.startswith(".") and name not in (".", "..") and system.exists("%s/%s/cur" % (root, name)):
                    paths[escape(name[1:].replace(".", "/"))] = "%s/%s" % (root, name)
        else:
            paths.update({escape(posixpath.relpath(p, root)): p for p in _walk(system, root) if p != inbox and system.exists(p + "/cur")})
        for name, path in paths.items():
            found, by = _maildir(system, path, budget)
            folders[name] = dict(folder(found, by, limit), path=escape(path))
        return folders
    files = {}
    if system.exists(inbox):
        files["INBOX"] = inbox
    for path in _walk(system, root, files_too=True):
        if path != inbox and (system.read(path, 5) or b"") == b"From ":
            files[escape(posixpath.relpath(path, root))] = path
    for name, path in files.items():
        status = system.lstat(path)
        if not stat.S_ISREG(status.st_mode):
            continue
        found, by = _mbox(system, path, budget)
        folders[name] = dict(folder(found, by, limit), path=escape(path))
        if by == "size":
            folders[name].update(messages=None, bytes=status.st_size)
    return folders


def _walk(system, root, files_too=False, depth=8):
    """Directories (or plain files) below root that are not hidden, links not followed."""
    for name in system.listdir(root):
        if name.startswith(".") or name in ("cur", "new", "tmp"):
            continue
        path = "%s/%s" % (root, name)
        status = system.lstat(path)
        if status is None:
            continue
        if stat.S_ISDIR(status.st_mode):
            if not files_too:
                yield path
            if depth:
                yield from _walk(system, path, files_too, depth - 1)
        elif files_too and stat.S_ISREG(status.st_mode) and not name.endswith((".lock", ".cache", ".log", ".sieve", ".svbin")):
            yield path


def subscriptions(text):
    """Sorted folder names from a subscriptions file, old format or new, whatever the separator."""
    lines = text.split("\n")
    if lines and lines[0].startswith("V\t"):
        lines = lines[1:]
    return sorted({escape(re.sub(r"[./\t]", "/", line)) for line in lines if line.strip()})


def extras(system, home, root, inbox):
    """What belongs to a mailbox besides messages: {subscriptions, filters {name: digest}, active filter}."""
    names = [p for p in (inbox + "/subscriptions", root + "/subscriptions", root + "/.subscriptions") if system.lstat(p)]
    out = {"subscriptions": subscriptions(system.text(names[0])) if names else [], "filters": {}, "active": ""}
    active = home + "/.dovecot.sieve"
    target = system.readlink(active)
    if target is not None:
        out["active"] = escape(posixpath.basename(target))
    candidates = {active: ".dovecot.sieve"} if target is None else {}
    candidates.update({home + "/" + name: name for name in (".forward", ".procmailrc", ".vacation.msg", ".vacationrc", ".mailfilter")})
    candidates.update({path: posixpath.relpath(path, home) for path in system.glob(_glob_escape(home) + "/sieve/*.sieve")})
    for path, name in candidates.items():
        status = system.lstat(path)
        # a customer may put a link or a pipe there: only plain files are read
        if status is not None and stat.S_ISREG(status.st_mode) and status.st_size < 2**20:
            out["filters"][escape(name)] = _digests.short(system.read(path) or b"")
    return out
