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


class Again:
    """Looks at the roots that a walk made items of. excluded and mounts: the same as the walk's. directories: as FilesCache.directories."""

    def __init__(self, system, excluded, mounts, directories=None):
        self.system, self.excluded, self.mounts, self.directories = system, excluded, mounts, directories or {}
        self._children, self._closed = None, set()

    def changed(self, roots, items, since):
        """Escaped paths of what is another one than at `since` (nanoseconds of the wall clock), or new, or gone, sorted."""
        out, seen = set(), set()
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
        inside = tuple(path + "/" for path in self._closed)
        return sorted(out | {path for path in items if inside and path.startswith(inside)})

    def _same_file(self, root, items, since):
        """Whether a root is one file (a mailbox in /var/mail), was so for the walk, and has not changed since."""
        found = self.system.lstat(os.fsdecode(root))
        known = items.get(escape(root), {}).get("type")
        return found is not None and known == "file" and stat.S_ISREG(found.st_mode) and found.st_ctime_ns < since

    def _directory(self, fd, path, items, since, out, seen):
        st = os.fstat(fd)
        if (st.st_dev, st.st_ino) in seen:
            return
        seen.add((st.st_dev, st.st_ino))
        touched = st.st_ctime_ns >= since
        if touched:
            out.add(escape(path))
            if self.directories.get(escape(path), (st.st_dev, st.st_ino)) != (st.st_dev, st.st_ino):
                since = 0  # another directory was moved here: what is in it may be as old as it likes
        names = set()
        prefix = path.rstrip(b"/") + b"/"
        deeper = []
        with os.scandir(fd) as entries:
            for entry in entries:
                try:
                    found = entry.stat(follow_symlinks=False)
                except OSError:
                    continue  # gone or unreadable: its directory tells, or the first look did
                mode, late = found.st_mode, found.st_ctime_ns >= since
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
            gone = self._inside(path, items) - names
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

    def _inside(self, path, items):
        """Names (escaped paths) that the walk found in a directory."""
        if self._children is None:
            self._children = {}
            for text in items:
                self._children.setdefault(text.rpartition("/")[0] or "/", set()).add(text)
        return self._children.get(escape(path), set())

    @staticmethod
    def _target(fd, name, kind):
        if kind != "link":
            return b""
        try:
            return os.readlink(name, dir_fd=fd)
        except OSError:
            return b""
