# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""A private copy of old messages that a user's Dovecot may read and write: the old disk itself is never a mail location."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile

from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._migration import _mail_disk, _mail_old, _maildir

COPY = 1 << 20
# Users' processes must reach their stage: it can't lie in the migration's own directory (0700). A fixed parent, so that a killed run's stage is found again.
STAGES = "/var/lib/intact-mail-stage"


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
                        file = message["file"]
                        while os.path.lexists(os.path.join(os.fsencode(folder), message["part"], file)):
                            # a copy of the store has the same names
                            file = b"again." + file
                        path = os.path.join(os.fsencode(folder), message["part"], file)
                        with open(path, "xb") as target:
                            shutil.copyfileobj(source, target, COPY)
                        status = os.fstat(source.fileno())
                        # when it was received, as POP3 and IMAP clients see it
                        os.utime(path, ns=(status.st_mtime_ns, status.st_mtime_ns))
                    if message["uid"] and file == message["file"]:
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


def room(needed):
    """Raises IntactError when a stage of so many bytes has no room."""
    held = os.statvfs(os.path.dirname(STAGES))
    free = held.f_bavail * held.f_frsize
    if free < needed * 2 + (64 << 20):
        raise IntactError("%s has %d MB free, and staging this mailbox needs %d MB: make room" % (os.path.dirname(STAGES), free >> 20, needed * 2 >> 20))
