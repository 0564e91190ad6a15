# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What every phase of a migration knows: the old disk, the new host, the migration's directory, and what earlier phases left there."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import time

from ansible_collections.intact.hosting.plugins.module_utils import _flight
from ansible_collections.intact.hosting.plugins.module_utils._backup._rooted import Rooted
from ansible_collections.intact.hosting.plugins.module_utils._files import escape, read_document, write_document
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError
from ansible_collections.intact.hosting.plugins.module_utils._system import System

DIRECTORY = "/var/lib/intact/migrations"
ABOUT = "migration.json"
MAP = "identity.json"
PROGRESS = "progress.log"
LOCK = ".lock"
# of one line of progress, which may hold a name out of a customer's tree
LONGEST = 300
# A phase that tells more than this begins its file anew: progress is for eyes, what counts is in the document.
PROGRESS_BYTES = 1 << 20
PHASE = re.compile(r"[a-z][a-z0-9_]*\Z")


def fresh(phase):
    """The document of a phase of which nothing is known: status "" (else running, done or failed)."""
    return {"phase": phase, "status": "", "started": "", "finished": "", "inputs": "", "counts": {}, "findings": [], "explained": []}


def explained(klass, subject, reason, **more):
    """A line for a document's `explained`: this subject of this class of the reconciliation is not as it was, and why."""
    return dict({"class": klass, "subject": subject, "reason": reason}, **more)


class Context:
    """One migration. root: the old disk's mounted / (str). directory: the migration's (0700). settings: dict of the role's variables.

    old: a Rooted on the disk, whose owners are named as on the old host. system: the live System. Both only look.
    """

    def __init__(self, root, directory, settings=None, system=None, phase=""):
        self.root = os.fsdecode(root)
        self.directory = os.path.abspath(os.fsdecode(directory))
        self.settings = dict(settings or {})
        self.system = system or System()
        self.phase = phase
        self.old = Rooted(os.fsencode(os.path.realpath(self.root)), owners=self._names("passwd"), groups=self._names("group"))
        self._identity = None
        self._told = 0

    def _names(self, name):
        """{number as text: name} out of the old passwd or group; the first line of a number wins, as for the old system."""
        names = {}
        for line in Rooted(os.fsencode(os.path.realpath(self.root))).text("/etc/" + name).splitlines():
            parts = line.split(":")
            if len(parts) > 2 and parts[0] and parts[2].isdigit():
                names.setdefault(parts[2], parts[0])
        return names

    @property
    def ident(self):
        """The migration's id."""
        return os.path.basename(self.directory)

    def path(self, *names):
        """A path below the migration's directory."""
        return os.path.join(self.directory, *names)

    def phase_directory(self, phase):
        """PHASE.d, made when it is not there (0700): what a phase keeps to be continued."""
        self.prepare()
        path = self.path(phase + ".d")
        os.makedirs(path, mode=0o700, exist_ok=True)
        return path

    def prepare(self):
        """Make the migration's directory. Raises IntactError when somebody else than root could have put something there."""
        os.makedirs(self.directory, mode=0o700, exist_ok=True)
        entry = os.lstat(self.directory)
        if entry.st_uid != os.geteuid() or entry.st_mode & 0o077:
            raise IntactError("%s is open to others than its owner: chown it to root and chmod 0700, after a look at what lies there" % self.directory)

    def identity(self):
        """The Map of identity.json. Raises IntactError when the phase identity has not run."""
        if self._identity is None:
            if not os.path.exists(self.path(MAP)):
                raise IntactError("there is no identity map in %s yet: run the phase identity first" % self.directory)
            from ansible_collections.intact.hosting.plugins.module_utils._migration import _identity_map  # noqa: PLC0415

            self._identity = _identity_map.load(self.path(MAP))
        return self._identity

    def document(self, phase):
        """PHASE.json, or fresh(phase) when there is none. Raises IntactError when it can't be read."""
        path = self._document_path(phase)
        try:
            document = read_document(path)
            if not isinstance(document, dict):
                raise ValueError("it is no object")
        except FileNotFoundError:
            return fresh(phase)
        except (OSError, ValueError, EOFError) as exc:
            raise IntactError("%s can't be read (%s): put it aside, and the phase %s runs anew" % (path, exc, phase)) from exc
        return dict(fresh(phase), **document)

    def save(self, document):
        """Replace the phase's document: written, fsynced, renamed (0600). Findings may be Finding or dict. Returns it as it was written."""
        self.prepare()
        plain = dict(document, findings=[f.as_dict() if isinstance(f, Finding) else f for f in document.get("findings", [])])
        write_document(self._document_path(plain["phase"]), plain)
        return plain

    def finished(self, phase):
        """Whether the phase is done: it ran to its end, whatever it found."""
        return self.document(phase)["status"] == "done"

    def _document_path(self, phase):
        if not PHASE.match(phase):
            raise IntactError("%r is no phase of a migration" % phase)
        return self.path(phase + ".json")

    def about(self):
        """migration.json ({id root token started settings}), or {}."""
        try:
            return read_document(self.path(ABOUT))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as exc:
            raise IntactError("%s can't be read (%s): put it aside; it is written anew from the options" % (self.path(ABOUT), exc)) from exc

    def tell(self, line):
        """A line of progress, for whoever watches: TIME PHASE LINE in progress.log. Never an error: nothing depends on it."""
        text = "%s %s %s\n" % (_flight.now(), self.phase or "-", escape(line)[:LONGEST])
        with contextlib.suppress(OSError):
            path = self.path(PROGRESS)
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                size = os.lseek(fd, 0, os.SEEK_END)
                if size > PROGRESS_BYTES:
                    os.ftruncate(fd, 0)
                    os.lseek(fd, 0, os.SEEK_SET)
                os.write(fd, text.encode("utf-8", "backslashreplace"))
            finally:
                os.close(fd)

    def progress(self, lines=20):
        """The last lines that were told."""
        try:
            with open(self.path(PROGRESS), "rb") as handle:
                handle.seek(max(0, os.fstat(handle.fileno()).st_size - lines * (LONGEST + 60)))
                return handle.read().decode("utf-8", "replace").splitlines()[-lines:]
        except OSError:
            return []

    @contextlib.contextmanager
    def locked(self, wait=0):
        """Only one run at a time works in a migration; the kernel lets go of the lock when its holder dies.

        wait: seconds to wait for one that is at work, as one that a dead controller left is. Raises IntactError that names the holder.
        """
        self.prepare()
        fd = os.open(self.path(LOCK), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            until, told = time.monotonic() + wait, False
            while True:
                try:
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except OSError as exc:
                    holder = os.pread(fd, 200, 0).decode("utf-8", "replace").strip() or "another process"
                    if time.monotonic() >= until:
                        raise IntactError(
                            "the migration %s is being worked on by %s: wait for it (%s shows how far it is)" % (self.ident, holder, self.path(PROGRESS))
                        ) from exc
                if not told:
                    self.tell("%s: waits for %s, which an earlier start left at work" % (self.phase or "it", holder))
                    told = True
                time.sleep(0.5)
            os.ftruncate(fd, 0)
            os.pwrite(fd, ("process %d (phase %s, since %s)\n" % (os.getpid(), self.phase or "-", _flight.now())).encode(), 0)
            yield
        finally:
            os.close(fd)
