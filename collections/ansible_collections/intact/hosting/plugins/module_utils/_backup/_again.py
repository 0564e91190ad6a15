# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""The second look: what changed since the first one, by stat alone. An inode's change time can't be set back, so nothing has to be remembered of a file."""

from __future__ import annotations

import os
import stat

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _descriptors, _tree
from ansible_collections.intact.hosting.plugins.module_utils._files import escape

# The kernel stamps changes with a clock that ticks a few times a second.
TICK = 20_000_000
# A change time so far ahead of the clock is none of this run: a clock ran ahead when it was made. (_run tells of a clock that is set back meanwhile.)
AHEAD = 60 * 10**9
FOREVER = float("inf")


class Again:
    """Looks at the roots that a walk made items of. excluded and mounts: the same as the walk's. directories: as FilesCache.directories."""

    def __init__(self, system, excluded, mounts, directories=None):
        self.system, self.excluded, self.mounts, self.directories = system, excluded, mounts, directories or {}
        self._children, self._closed, self._until = None, set(), FOREVER

    def changed(self, roots, items, since, now=None):
        """Escaped paths of what is another one than at `since` (nanoseconds of the wall clock, as now), or new, or gone, sorted."""
        out, seen = set(), set()
        self._until = FOREVER if now is None else now + AHEAD
        for root in roots:
            try:
                fd = _descriptors.open_directory(root, self.system.root)
            except (FileNotFoundError, NotADirectoryError):
                if self._same_file(root, items, since - TICK):
                    continue
                out |= {path for path in items if path == escape(root) or path.startswith(escape(root).rstrip("/") + "/")}
                continue
            try:
                self._directory(fd, root, items, since - TICK, out, seen)
            finally:
                os.close(fd)
        # of a directory that went, or became something else, all went that was in it
        left = list(self._closed)
        while left:
            inside = self._inside(left.pop(), items)
            out |= inside
            left += inside
        return sorted(out)

    def _same_file(self, root, items, since):
        """Whether a root is one file (a mailbox in /var/mail), was so for the walk, and has not changed since."""
        found = self.system.lstat(os.fsdecode(root))
        known = items.get(escape(root), {}).get("type")
        return found is not None and known == "file" and stat.S_ISREG(found.st_mode) and not since <= found.st_ctime_ns <= self._until

    def _directory(self, fd, path, items, since, out, seen):
        st, text, until = os.fstat(fd), escape(path), self._until if since else FOREVER
        key, alias = (st.st_dev, st.st_ino), "same_as" in items.get(text, ())
        touched = since <= st.st_ctime_ns <= until
        moved = (touched or alias) and self.directories.get(text, key) != key
        if (touched or moved) and (key not in seen or text in items):
            out.add(text)
        if key in seen or (alias and not moved):
            return  # what is in it has other paths
        seen.add(key)
        if moved:
            # another directory was moved here: what is in it may be as old as it likes
            touched, since, until = True, 0, FOREVER
        names = set()
        prefix = path.rstrip(b"/") + b"/"
        deeper = []
        with os.scandir(fd) as entries:
            for entry in entries:
                try:
                    found = entry.stat(follow_symlinks=False)
                except OSError:
                    continue  # gone or unreadable: its directory tells, or the first look did
                mode, late = found.st_mode, since <= found.st_ctime_ns <= until
                if not (touched or late or stat.S_ISDIR(mode)):
                    continue
                name = os.fsencode(entry.name)
                kind = _tree.KINDS.get(stat.S_IFMT(mode), "unknown")
                if kind == "socket" or self.excluded(prefix + name, name, kind, self._target(fd, name, kind)):
                    continue
                if touched:
                    names.add(escape(prefix + name))
                if kind == "dir":
                    deeper.append(name)
                elif late:
                    out.add(escape(prefix + name))
                    if items.get(escape(prefix + name), {}).get("type") == "dir":
                        self._closed.add(escape(prefix + name))
        if touched:
            out |= names - items.keys()
            gone = self._inside(text, items) - names
            self._closed |= {name for name in gone if items[name]["type"] == "dir"}
            out |= gone
        for name in deeper:
            if self.mounts.get(prefix + name, "ext4") in _tree.LOCAL:
                self._deeper(fd, name, prefix + name, items, since, out, seen)

    def _deeper(self, parent, name, path, items, since, out, seen):
        try:
            fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        except OSError:
            return  # gone meanwhile: its parent's change time tells
        try:
            self._directory(fd, path, items, since, out, seen)
        finally:
            os.close(fd)

    def _inside(self, directory, items):
        """Names (escaped paths) that the walk found in a directory."""
        if self._children is None:
            self._children = {}
            for text in items:
                if text != "/":
                    self._children.setdefault(text.rpartition("/")[0] or "/", set()).add(text)
        return self._children.get(directory, set())

    @staticmethod
    def _target(fd, name, kind):
        if kind != "link":
            return b""
        try:
            return os.readlink(name, dir_fd=fd)
        except OSError:
            return b""
