# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""The drill's place for SQLite files: no server, but the same words as the throw-away servers have."""

from __future__ import annotations

import os

from ansible_collections.intact.hosting.plugins.module_utils._backup import sqlite
from ansible_collections.intact.hosting.plugins.module_utils._backup._throwaway import Server, Unloadable
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._system import System


class Restored(System):
    """files: {path on the host: path here}. Nothing runs."""

    def __init__(self, files):
        super().__init__()
        self._files = files

    def read(self, path, limit=None):
        """Bytes of a restored file; None for everything else."""
        return super().read(self._files[path], limit) if path in self._files else None

    def exists(self, path):
        """Whether it was restored."""
        return path in self._files

    def lstat(self, path):
        """Of a restored file; None for everything else."""
        return super().lstat(self._files[path]) if path in self._files else None

    def run(self, argv, timeout=120, stdin=b"", env=None, check=True):
        """Refuse."""
        raise IntactError("%s has no business in a drill" % argv[0])


class SQLite(Server):
    """Restored files, read by a process without rights; directory is made and removed."""

    def _start(self):
        self._files, self._number = {}, 0

    def prove(self):
        """Nothing to prove: files are opened by their path in our own directory."""

    def load(self, name, stream, taken=None):
        """Write a stream to a file. Raises Unloadable when it is no whole one."""
        self.drop(name)
        self._number += 1
        path = os.path.join(self.directory, "%d.sqlite" % self._number)
        with open(path, "xb") as handle:
            for chunk in iter(lambda: stream.read(1 << 20), b""):
                handle.write(chunk)
        self._own(path)
        self._files[name] = path
        if not sqlite.cut(path):
            self.drop(name)
            raise Unloadable("%s: the dump is truncated: its last line is missing" % name, truncated=True)
        return []

    def section(self, name, rules=()):
        """Items of a restored file, by the name that it has on its host."""
        if name not in self._files:
            return {}
        reader = sqlite.Reader(name, self._files[name], self._user.pw_uid, self._user.pw_gid, copy=False)
        try:
            items = reader.answer()
        finally:
            reader.close()
        path = name.partition(":")[2]
        # where a file is now is no difference
        return {s: dict(item, **({"path": path} if "path" in item else {}), **({"database": path} if "database" in item else {})) for s, item in items.items()}

    def system(self):
        """A System in which the restored files are where they were on their host, and nothing else is."""
        return Restored({sqlite.file_of(name): path for name, path in self._files.items()})

    def path(self, name):
        """Where a loaded file is."""
        return self._files[name]

    def drop(self, name):
        """Make room: remove a file."""
        path = self._files.pop(name, None)
        if path and os.path.exists(path):
            os.unlink(path)
