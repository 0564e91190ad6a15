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
import shutil
import tempfile

from ansible_collections.intact.hosting.plugins.module_utils._files import escape, read_document, write_document
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._migration import _mail_disk, _mail_names, _mail_old, _maildir

COPY = 1 << 20
# Users' processes must reach their stage: it can't lie in the migration's own directory (0700). A fixed parent, so that a killed run's stage is found again.
STAGES = "/var/lib/intact-mail-stage"


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
        entry["live"] = session.folder(name) if entry["there"] else {"validity": 0, "messages": []}
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


class Stage:
    """A private copy of what is missing, owned by the user, one Dovecot location for each kind of store."""

    def __init__(self, context, user, owner):
        self._context, self._owner = context, owner
        os.makedirs(STAGES, mode=0o711, exist_ok=True)
        status = os.lstat(STAGES)
        if status.st_uid != os.geteuid() or status.st_mode & 0o022 or not os.path.isdir(STAGES) or os.path.islink(STAGES):
            raise IntactError("%s is not root's own directory: take it away" % STAGES)
        os.chmod(STAGES, 0o711)
        tag = hashlib.sha256(("%s\0%s" % (context.directory, user)).encode("utf-8", "surrogateescape")).hexdigest()[:16] + "."
        for left in os.listdir(STAGES):
            if left.startswith(tag):
                # of a run that was killed: what it staged is told again by comparison
                shutil.rmtree(os.path.join(STAGES, left), ignore_errors=True)
        self.path = tempfile.mkdtemp(prefix=tag, dir=STAGES)

    def __enter__(self):
        return self

    def __exit__(self, *_what):
        shutil.rmtree(self.path, ignore_errors=True)

    def fill(self, kind, folders):
        """Copies {live name: (parts, [message])} of one kind. Returns Dovecot's location."""
        root = os.path.join(self.path, kind)
        os.mkdir(root, 0o700)
        for parts, messages in folders.values():
            if kind == "mbox":
                self._mbox(root, parts, messages)
            else:
                self._maildir(root, parts, messages)
        if kind == "maildir":
            for part in ("cur", "new", "tmp"):
                os.makedirs(os.path.join(root, part), mode=0o700, exist_ok=True)
        for folder, below, files in os.walk(root):
            for name in [*below, *files]:
                os.chown(os.path.join(folder, name), self._owner["uid"], self._owner["gid"], follow_symlinks=False)
        os.chown(root, self._owner["uid"], self._owner["gid"])
        # the way in: others can't list it and its name is random
        os.chmod(self.path, 0o711)
        return "%s:%s" % (kind, root)

    def _mbox(self, root, parts, messages):
        path = os.path.join(root, *(parts or ["inbox"]))
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        if os.path.isdir(path):
            raise IntactError("the folder %s is a file and a directory on the old disk: rename one of them" % escape("/".join(parts)))
        with open(path, "xb") as target:
            os.fchmod(target.fileno(), 0o600)
            told = False
            for store, components in _sources(messages):
                with _mail_disk.Place(self._context, store.path) as place, place.open(store.folders[components]) as source:
                    if not told:
                        told = True
                        target.write(_base(messages, store, components, self._context))
                    for message in (m for m in messages if m["store"] is store and m["components"] == components):
                        _span(source, target, message["start"], message["end"])

    def _maildir(self, root, parts, messages):
        folder = os.path.join(root, "." + ".".join(parts)) if parts else root
        for part in ("cur", "new", "tmp"):
            os.makedirs(os.path.join(folder, part), mode=0o700, exist_ok=True)
        if parts:
            with open(os.path.join(folder, "maildirfolder"), "xb"):
                pass
        numbers, validity, following = {}, 0, 0
        for store, components in _sources(messages):
            with _mail_disk.Place(self._context, store.path) as place:
                validity, following = _maildir.uids(place, store.folders[components])[:2]
                for message in (m for m in messages if m["store"] is store and m["components"] == components):
                    name = os.path.join(store.folders[components], message["part"], message["file"])
                    with place.open(name) as source:
                        path = os.path.join(os.fsencode(folder), message["part"], message["file"])
                        with open(path, "xb") as target:
                            shutil.copyfileobj(source, target, COPY)
                        status = os.fstat(source.fileno())
                        # when it was received, as POP3 and IMAP clients see it
                        os.utime(path, ns=(status.st_mtime_ns, status.st_mtime_ns))
                    if message["uid"]:
                        numbers[message["file"].partition(b":2,")[0]] = message["uid"]
        if numbers and validity:
            with open(os.path.join(folder, "dovecot-uidlist"), "xb") as target:
                target.write(_maildir.dovecot_list(validity, max(following, max(numbers.values()) + 1), numbers))


def _sources(messages):
    seen = []
    for message in messages:
        source = (message["store"], message["components"])
        if not any(source[0] is s and source[1] == c for s, c in seen):
            seen.append(source)
    return seen


def _base(messages, store, components, context):
    """The internal message that says UIDVALIDITY, where the first message does not come along to say it. b"" without numbers."""
    found = _mail_old.read(context, store, components)
    if not found["validity"]:
        return b""
    first = found["messages"][0] if found["messages"] else None
    if first is not None and first["start"] == 0 and messages and messages[0]["start"] == 0:
        return b""
    return (
        b"From MAILER-DAEMON Thu Jan  1 00:00:00 1970\nFrom: Mail System Internal Data <MAILER-DAEMON@localhost>\n"
        b"Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\nX-IMAP: %d %010d\nStatus: RO\n\nNumbers of this folder.\n\n"
        % (found["validity"], max(found["next"] - 1, 0))
    )


def _span(source, target, start, end):
    source.seek(start)
    left, last = end - start, b""
    while left:
        data = source.read(min(COPY, left))
        if not data:
            raise IntactError("an mbox file on the old disk ended early: it can't be read in full")
        target.write(data)
        left, last = left - len(data), (last + data[-2:])[-2:]
    # a From_ line begins a line, and a blank one is before it
    target.write(b"" if last == b"\n\n" else b"\n" if last.endswith(b"\n") else b"\n\n")


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
        _room(sum((m.get("size") or m["end"] - m["start"]) for messages in wanted.values() for m in messages))
        with Stage(context, user, owner) as stage:
            for kind in ("mbox", "maildir"):
                part = {}
                for name, messages in wanted.items():
                    mine = [m for m in messages if m["store"].kind == kind]
                    bare = [s for s, _c in folders[name]["bare"] if s.kind == kind] if not folders[name]["there"] else []
                    if mine or bare:
                        part[name] = (folders[name]["parts"], mine)
                if part:
                    live.sync(user, stage.fill(kind, part))
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


def _room(needed):
    held = os.statvfs(os.path.dirname(STAGES))
    free = held.f_bavail * held.f_frsize
    if free < needed * 2 + (64 << 20):
        raise IntactError("%s has %d MB free, and staging this mailbox needs %d MB: make room" % (os.path.dirname(STAGES), free >> 20, needed * 2 >> 20))
