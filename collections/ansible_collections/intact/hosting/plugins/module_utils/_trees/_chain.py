# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Walks down a tree by held descriptors: every step is one component, opened without following a link, and known again by its inode.

Only some levels stay open, so that a tree deeper than a process may have descriptors is walked too. Coming back to a level that was closed means to walk down
to it again and to meet the same inode: "..", which leads elsewhere once somebody moved the directory, is never used.
"""

from __future__ import annotations

import os

from ansible_collections.intact.hosting.plugins.module_utils._trees._kernel import DIRECTORY

HELD = 48


class Moved(OSError):
    """A directory is no longer where it was."""


def ident(state):
    """What tells one inode from all others."""
    return state.st_dev, state.st_ino


class Chain:
    """Descriptors of the directories from a top to where the walk is; the top's descriptor belongs to the chain."""

    def __init__(self, top):
        self.fds, self.names, self.idents = [top], [b""], [ident(os.fstat(top))]

    def push(self, name, fd=None):
        """Go down: fd, when the caller has opened it already, else opened here. Returns the descriptor, which the chain closes."""
        if fd is None:
            fd = os.open(name, DIRECTORY, dir_fd=self.top())
        self.fds.append(fd)
        self.names.append(name)
        self.idents.append(ident(os.fstat(fd)))
        self._shut()
        return fd

    def pop(self):
        """Go up again."""
        fd = self.fds.pop()
        self.names.pop()
        self.idents.pop()
        if fd is not None:
            os.close(fd)

    def top(self):
        """The descriptor of the deepest directory. Raises Moved when it can't be found again."""
        if self.fds[-1] is None:
            level = max(index for index, fd in enumerate(self.fds) if fd is not None)
            while level < len(self.fds) - 1:
                level += 1
                self.fds[level] = self._again(level)
                self._shut(level)
        return self.fds[-1]

    def _again(self, level):
        path = os.fsdecode(b"/".join(self.names[1 : level + 1])[-200:])
        try:
            fd = os.open(self.names[level], DIRECTORY, dir_fd=self.fds[level - 1])
        except OSError as exc:
            raise Moved(exc.errno, "moved while it was walked", path) from exc
        if ident(os.fstat(fd)) != self.idents[level]:
            os.close(fd)
            raise Moved(None, "another directory is in its place", path)
        return fd

    def _shut(self, level=None):
        old = (len(self.fds) - 1 if level is None else level) - HELD
        if old > 0 and self.fds[old] is not None:
            os.close(self.fds[old])
            self.fds[old] = None

    def close(self):
        """Close all of them."""
        while self.fds:
            self.pop()


def walk_down(top, components):
    """Descriptor of a directory some components below an open one, none of them followed along a link; the caller closes it."""
    fd = os.dup(top)
    for name in components:
        try:
            deeper = os.open(name, DIRECTORY, dir_fd=fd)
        finally:
            os.close(fd)
        fd = deeper
    return fd


def walk(visitor, name=b""):
    """Depth first. visitor.enter(path, name) returns the names of the directories to go down to (or None: not entered), visitor.leave(path) comes after them.

    path: bytes relative to the top, b"" for the top itself.
    """
    below = visitor.enter(b"", name)
    if below is None:
        return
    stack = [(b"", below[::-1])]
    while stack:
        path, names = stack[-1]
        if not names:
            stack.pop()
            visitor.leave(path)
            continue
        name = names.pop()
        deeper = path + b"/" + name if path else name
        below = visitor.enter(deeper, name)
        if below is not None:
            stack.append((deeper, below[::-1]))
