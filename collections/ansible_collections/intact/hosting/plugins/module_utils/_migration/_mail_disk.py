# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Looking below a place of the old disk by descriptors: no link is followed that a customer could have planted, nothing but plain files is opened."""

from __future__ import annotations

import os
import stat

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _descriptors

DEPTH = 12


class Place:
    """A directory of the old disk, opened. Only the way to it may hold links, and they stay below the old root (see _backup._rooted)."""

    def __init__(self, context, path):
        real = os.fsencode(context.old.place(path))
        self.fd = _descriptors.open_directory(real)
        self.path = os.fsencode(path)

    def __enter__(self):
        return self

    def __exit__(self, *_what):
        os.close(self.fd)

    def _parent(self, name):
        """(descriptor, last component) of a name below; the descriptor is the caller's."""
        parts = [p for p in name.split(b"/") if p]
        fd = os.dup(self.fd)
        for part in parts[:-1]:
            try:
                deeper = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
            finally:
                os.close(fd)
            fd = deeper
        return fd, parts[-1] if parts else b"."

    def open(self, name):
        """A plain file below as a binary handle, or None when there is none (a link, a pipe, a directory are none)."""
        try:
            parent, last = self._parent(name)
        except OSError:
            return None
        try:
            fd = _descriptors.open_file(last, parent)
        except OSError:
            return None
        finally:
            os.close(parent)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            return None
        return os.fdopen(fd, "rb")

    def read(self, name, limit=1 << 20):
        """The bytes of a plain file, at most limit, or None."""
        handle = self.open(name)
        if handle is None:
            return None
        with handle:
            return handle.read(limit)

    def entries(self, name=b""):
        """Sorted (name, stat) of a directory below, [] when it is none."""
        try:
            parent, last = self._parent(name)
        except OSError:
            return []
        try:
            fd = os.open(last, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        except OSError:
            return []
        finally:
            os.close(parent)
        try:
            out = []
            for found in os.listdir(fd):
                raw = os.fsencode(found)
                try:
                    out.append((raw, os.stat(raw, dir_fd=fd, follow_symlinks=False)))
                except FileNotFoundError:
                    continue
            return sorted(out, key=lambda e: e[0])
        finally:
            os.close(fd)

    def is_directory(self, name):
        """Whether a directory, and no link to one, is there."""
        try:
            parent, last = self._parent(name)
        except OSError:
            return False
        try:
            return stat.S_ISDIR(os.stat(last, dir_fd=parent, follow_symlinks=False).st_mode)
        except OSError:
            return False
        finally:
            os.close(parent)

    def files(self, name=b"", depth=DEPTH):
        """(name below, stat) of plain files, hidden ones and those of hidden directories left out."""
        for found, status in self.entries(name):
            if found.startswith(b"."):
                continue
            below = name + b"/" + found if name else found
            if stat.S_ISDIR(status.st_mode) and depth:
                yield from self.files(below, depth - 1)
            elif stat.S_ISREG(status.st_mode):
                yield below, status


def place(context, path):
    """A Place, or None when there is no such directory."""
    try:
        return Place(context, path)
    except OSError:
        return None
