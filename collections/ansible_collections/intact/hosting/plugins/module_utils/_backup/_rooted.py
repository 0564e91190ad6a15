# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""The baseline's eyes on a restored tree: every path is looked up below a root, and is told by the name that it has on its host."""

from __future__ import annotations

import glob
import os
import re

from ansible_collections.intact.hosting.plugins.module_utils import _command
from ansible_collections.intact.hosting.plugins.module_utils._files import read_if_exists
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._system import System

LINKS = 40  # as the kernel: more of them in one path are a loop


class Rooted(System):
    """System with / at `root` (bytes, absolute, without links).

    owners, groups: {number as text: name}: whose files these are is told by the host that they come from, not by the one that they lie on.
    Programs would tell of the host that they run on, so none is there, and running one is an error.
    """

    def __init__(self, root, options=None, limits=None, owners=None, groups=None, **more):
        super().__init__(options, limits, **more)
        self.root = os.fsencode(root)
        self._owners, self._groups = owners or {}, groups or {}

    def which(self, program):
        """None: no program of this host may be asked about a restored tree."""
        return

    def run(self, argv, timeout=120, stdin=b"", env=None, check=True):
        raise IntactError("%s would tell of this host, not of the restored tree" % argv[0], program=str(argv[0]))

    def tool(self, argv, **more):
        """Run a program that only reads a file given by its real place (see place)."""
        return _command.run(argv, **more)

    def dial(self, address, port, timeout=10):
        raise IntactError("nothing listens in a restored tree")

    def secret(self, path, create=True):
        """Never made here: a digest with another key could not be compared."""
        return self.read(path) or None

    def account(self, number):
        return self._owners.get(str(number))

    def group(self, number):
        return self._groups.get(str(number))

    def place(self, path, follow=True):
        """Where a path of the host lies really. Links are followed below the root only; with follow=False the last component is not."""
        inside = self._inside(os.fsencode(path), follow)
        return os.fsdecode(self.root.rstrip(b"/") + inside)

    def realpath(self, path):
        return os.fsdecode(self._inside(os.fsencode(path), True))

    def _inside(self, path, follow):
        """The path with every link followed, .. stopping at the root, as the host's own kernel would have it."""
        rest = [part for part in path.split(b"/") if part not in (b"", b".")][::-1]
        done, seen = [], 0
        while rest:
            part = rest.pop()
            if part == b"..":
                done = done[:-1]
                continue
            done.append(part)
            if not rest and not follow:
                break
            try:
                target = os.readlink(self.root.rstrip(b"/") + b"/" + b"/".join(done))
            except OSError:
                continue
            seen += 1
            if seen > LINKS:
                raise OSError(40, os.strerror(40), os.fsdecode(path))
            done = [] if target.startswith(b"/") else done[:-1]
            rest += [part for part in target.split(b"/") if part not in (b"", b".")][::-1]
        return b"/" + b"/".join(done)

    def read(self, path, limit=None):
        if path.startswith("/proc/"):
            return None  # the kernel of this host knows nothing of that one
        try:
            return read_if_exists(self.place(path), limit)
        except OSError as exc:
            if exc.errno == 40:
                return None
            raise

    def exists(self, path):
        return os.path.lexists(self.place(path, follow=False))

    def glob(self, pattern):
        """Sorted paths that match; only the fixed beginning of the pattern is followed along links."""
        head = re.split(r"[*?[]", pattern, maxsplit=1)[0].rpartition("/")[0]
        real = self.place(head or "/").rstrip("/")
        found = glob.glob(glob.escape(real) + pattern[len(head) :])
        return sorted(head + path[len(real) :] for path in found if self._held(path))

    def _held(self, path):
        """Whether what a pattern found lies below the root: a link in the middle may have led out of it."""
        parent = os.path.realpath(os.path.dirname(path))
        root = os.fsdecode(self.root.rstrip(b"/"))
        return parent == root or parent.startswith(root + "/")

    def listdir(self, path):
        return super().listdir(self.place(path))

    def lstat(self, path):
        return super().lstat(self.place(path, follow=False))

    def readlink(self, path):
        return super().readlink(self.place(path, follow=False))
