# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What is remembered of an attachment: overlay_dir/ID/state.json, written before each step that it is to undo."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil

from ansible_collections.intact.hosting.plugins.module_utils._files import read_document, write_document
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

SCHEMA = 1
_UNSAFE = re.compile(r"[^A-Za-z0-9.-]")
_PLAIN = re.compile(r"/[A-Za-z0-9._/+@-]*\Z")


def identifier(token):
    """The ID of a token's attachment: readable, safe as a file's and a device-mapper's name, the same under whatever name the disk appears."""
    words = _UNSAFE.sub("_", token.rsplit("/", 1)[0])[:24].strip(".-")
    return "%s-%s" % (words or "disk", hashlib.sha256(token.encode()).hexdigest()[:12])


class State:
    """One attachment's directory and document.

    document: {schema token device number mode path status (building | attached | detaching) driver overlay_size read_only {device: was}
    made [directories] mounts [{name of source target type mode}] root sha256 findings}.
    """

    def __init__(self, overlay_dir, token):
        self.base = os.path.realpath(overlay_dir)
        if not _PLAIN.match(self.base) or self.base == "/":
            raise IntactError("overlay_dir is %s: give a directory whose name has letters, digits and ._+@- only" % overlay_dir, overlay_dir=overlay_dir)
        self.id = identifier(token)
        self.directory = os.path.join(self.base, self.id)
        self.path = os.path.join(self.directory, "state.json")
        self.view = os.path.join(self.directory, "view")
        self.document = {}
        self._lock = None

    def load(self):
        """The document, {} where there is none; a torn one counts as none, since what is mounted is found without it."""
        try:
            self.document = read_document(self.path)
        except (OSError, ValueError):
            self.document = {}
        return self.document

    def save(self, **changes):
        """Change the document and make it durable."""
        self.document.update(changes)
        write_document(self.path, self.document)

    def make(self):
        """The private directory."""
        for directory in (self.base, self.directory):
            os.makedirs(directory, mode=0o700, exist_ok=True)
            state = os.lstat(directory)
            if state.st_uid != 0 or state.st_mode & 0o022:
                raise IntactError("%s is not root's alone: chown root, chmod 0700, or choose another overlay_dir" % directory, path=directory)
        os.chmod(self.directory, 0o700)

    def lock(self):
        """Nobody else works on this attachment as long as this process lives; an IntactError where somebody does."""
        os.makedirs(self.base, mode=0o700, exist_ok=True)
        path = self.directory + ".lock"
        while self._lock is None:
            lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as exc:
                os.close(lock)
                raise IntactError("another run works on the attachment %s: wait for its end" % self.directory, path=self.directory) from exc
            # The one before us may have removed the name with the attachment.
            if os.path.exists(path) and os.stat(path).st_ino == os.fstat(lock).st_ino:
                self._lock = lock
            else:
                os.close(lock)

    def locked(self):
        """Whether a run works on it, or was killed while it did."""
        return os.path.exists(self.directory + ".lock")

    def unlock(self):
        """Let others work."""
        if self._lock is not None:
            if not self.exists():
                os.unlink(self.directory + ".lock")
            os.close(self._lock)
            self._lock = None

    def exists(self):
        """Whether anything is kept of an attachment."""
        return os.path.isdir(self.directory)

    def remove(self):
        """Forget it. Only when nothing is mounted in it any more: rmtree must never walk into a mount."""
        if os.path.isdir(self.directory):
            shutil.rmtree(self.directory)


def others(overlay_dir, number, mine):
    """The States of other attachments that say they are of the device with this number."""
    out, base = [], os.path.realpath(overlay_dir)
    for entry in sorted(os.listdir(base)) if os.path.isdir(base) else []:
        try:
            token = read_document(os.path.join(base, entry, "state.json"))["token"]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        state = State(base, token)
        if entry not in (mine, "") and state.id == entry and state.load().get("number") == number:
            out.append(state)
    return out
