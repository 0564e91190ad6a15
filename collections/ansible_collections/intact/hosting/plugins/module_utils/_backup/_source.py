# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""A repository to read back from: what drill and restore ask of it. What does not work is an IntactError in restic's own words."""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading

from ansible_collections.intact.hosting.plugins.module_utils._backup import _rules, _snapshots
from ansible_collections.intact.hosting.plugins.module_utils._backup._outcome import ResticError
from ansible_collections.intact.hosting.plugins.module_utils._files import unescape
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

BLOCK = 1 << 16


class Source:
    """restic: a _restic.Restic."""

    def __init__(self, restic):
        self.restic, self.name = restic, restic.name

    def fresh(self, cache):
        """Read everything from the repository itself: take an empty directory for restic's cache."""
        self.restic.cache = cache

    def runs(self, host):
        """{class: [Run, newest first]} of a host."""
        return _snapshots.runs(self.restic.snapshots(("intact",), host), host)

    def write(self, snapshot, path, out):
        """One file of a snapshot into an open file."""
        outcome = self.restic.dump(snapshot, path, out)
        if outcome.kind != "ok":
            raise ResticError(outcome, self.name, "reading %s of snapshot %s" % (path, snapshot[:8]))

    def read(self, snapshot, path):
        """The bytes of one file of a snapshot."""
        with tempfile.TemporaryFile() as handle:
            self.write(snapshot, path, handle)
            handle.seek(0)
            return handle.read()

    def manifest(self, run):
        """(manifest, its sha256) of a run."""
        return _snapshots.opened(self.read(run.snapshot, _snapshots.manifest_path(run.name)), run.name)

    def entries(self, snapshot, paths):
        """{escaped path: entry} of those of the paths (escaped) that a snapshot has."""
        wanted = {unescape(path): path for path in paths}
        return {wanted[node["path"]]: node for node in self.restic.ls(snapshot) if node["path"] in wanted}

    def restore(self, snapshot, target, paths=()):
        """A snapshot, or only these paths (text) of it, below target. Raises IntactError when not all of it came."""
        outcome = self.restic.restore(snapshot, target, [_rules.literal(path) for path in paths])
        if outcome.kind != "ok" or outcome.unreadable:
            raise ResticError(outcome, self.name, "restoring snapshot %s" % snapshot[:8])

    def stream(self, snapshot, path):
        """One file of a snapshot as a Passing."""
        return Passing(lambda out: self.write(snapshot, path, out))


class Passing:
    """What write(file) writes, as a pipe (stdout) to read from, with the digest and the length of what passed."""

    def __init__(self, write):
        self.digest, self.length, self.error = hashlib.sha256(), 0, ""
        source, into = os.pipe()
        reading, out = os.pipe()
        self.stdout = os.fdopen(reading, "rb")
        self._threads = [
            threading.Thread(target=self._write, args=(write, into), daemon=True),
            threading.Thread(target=self._pass, args=(source, out), daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def _write(self, write, into):
        with os.fdopen(into, "wb") as handle:
            try:
                write(handle)
            except (IntactError, OSError) as exc:
                self.error = str(exc)

    def _pass(self, source, out):
        taken = True
        with os.fdopen(source, "rb", buffering=0) as reading, os.fdopen(out, "wb", buffering=0) as writing:
            for block in iter(lambda: reading.read(BLOCK), b""):
                self.digest.update(block)
                self.length += len(block)
                view = memoryview(block)
                while view and taken:
                    try:
                        view = view[writing.write(view) :]
                    except BrokenPipeError:
                        taken = False  # the server gave up: the digest is wanted all the same

    def wrong(self, stream):
        """(finding id, title, evidence) when this is not what the manifest says of the stream, or None; to be asked after finish()."""
        if self.error:
            return "backup.repository.damaged", "its dump can't be read from the repository", self.error
        if self.length == stream["bytes"] and self.digest.hexdigest() == stream["sha256"]:
            return None
        said = (stream["bytes"], stream["sha256"][:16], self.length, self.digest.hexdigest()[:16])
        evidence = "%d bytes with sha256 %s were backed up, %d with %s came out" % said
        if self.length < stream["bytes"]:
            return "backup.dump.truncated", "the dump is shorter than what was backed up", evidence
        return "databases.dump.changed", "the dump is not what was backed up", evidence

    def finish(self):
        """Wait for the end."""
        self.stdout.close()
        for thread in self._threads:
            thread.join()
