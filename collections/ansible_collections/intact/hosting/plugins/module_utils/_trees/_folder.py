# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""One directory of the target while it is filled: nothing appears under its own name before it is whole, and nothing is replaced unseen.

New entries are made in a directory of ours (`.intact-...`, 0700) beside where they belong, so nobody can meet them half made. A directory that is new
itself gets its
name by one rename when its entries are whole; into one that was there each entry is renamed. The journal knows of a batch before it gets its names.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import time

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._trees import _kernel
from ansible_collections.intact.hosting.plugins.module_utils._trees._chain import ident

ENTRIES, BYTES = 4096, 256 << 20  # of a batch: what a kill can cost
ASIDE = b".intact-aside"


class Folder:
    """Where entries of one directory go.

    fd: the target's directory, or while it is new the one that becomes it; None in check mode where there is none. names: what the target has there (set),
    None
    when the directory is new. where: descriptor in which new entries are made, see room().
    """

    def __init__(self, copy, path, source, parent, fd, name, fresh):
        self.copy, self.path, self.source, self.parent, self.fd, self.name = copy, path, source, parent, fd, name
        self.prefix = path + b"/" if path else b""
        self.names = None if fresh else set()
        self.made = fresh
        self.temporary, self.where = b"", None
        self.entries, self.seen, self.rows, self.row_size, self.pending, self.links = [], [], [], 0, [], []
        self.count = self.bytes = 0
        self.touched = fresh
        self.known, self.flags, self.began = {}, 0, time.time_ns()

    # a new directory

    def begin(self):
        """Make the directory that becomes the target's."""
        self.temporary, self.fd = self._private(self.parent)
        self.where = self.fd

    def _private(self, parent):
        name = self.copy.temporary()
        os.mkdir(name, 0o700, dir_fd=parent)
        fd = os.open(name, _kernel.DIRECTORY, dir_fd=parent)
        state = os.fstat(fd)
        if state.st_uid != os.geteuid() or state.st_mode & 0o77:
            os.close(fd)
            raise OSError(errno.EPERM, "a directory of ours was exchanged", os.fsdecode(name))
        if state.st_mode & stat.S_ISGID:
            os.fchmod(fd, 0o700)
        self.copy.inodes.take(fd, (), self.path)
        return name, fd

    def commit(self):
        """Write down what the batch is, then let it have its names."""
        copy = self.copy
        if copy.check:
            self._report()
            return
        if self.names is None:
            copy.journal.write(self.path, time.time_ns(), self.entries)
            self._appear()
            self.names, self.where = set(), None
        elif self.entries:
            copy.journal.write(self.path, 0, self.entries)
            for name, expected, mark in self.pending:
                try:
                    self._name(name, expected, mark)
                except OSError as exc:
                    copy.unwritable(self.prefix + name, exc)
            if self.pending:
                self.touched = True
                copy.journal.write(self.path, time.time_ns(), self.entries)
        if self.seen:
            copy.journal.write(self.path, self.began, self.seen)
        self.entries, self.seen, self.pending, self.count, self.bytes = [], [], [], 0, 0
        self._report()

    def _report(self):
        if self.copy.writer is not None:
            self.copy.writer.add(self.rows, self.row_size)
        self.rows, self.row_size = [], 0

    def _appear(self):
        try:
            _kernel.rename(self.temporary, self.name, self.parent, self.parent)
        except FileExistsError:
            # made by somebody since we looked
            if not self.copy.out_of_the_way(self.parent, self.name, self.path):
                raise
            _kernel.rename(self.temporary, self.name, self.parent, self.parent)
        self.temporary = b""
        if ident(os.stat(self.name, dir_fd=self.parent, follow_symlinks=False)) != ident(os.fstat(self.fd)):
            self.copy.told.add("swapped", self.path)

    # a directory that was there

    def room(self):
        """Descriptor of the directory in which new entries are made."""
        if self.where is None:
            self.temporary, self.where = self._private(self.fd)
        return self.where

    def _name(self, name, expected, mark):
        """Rename one entry from our directory to the target's. expected: the inode that it replaces, made by an earlier run; None: nothing. mark: (dev,
        ino) of it."""
        copy, path = self.copy, self.prefix + name
        if expected is None:
            try:
                _kernel.rename(name, name, self.where, self.fd)
            except FileExistsError:
                if not copy.out_of_the_way(self.fd, name, path):
                    os.unlink(name, dir_fd=self.where)
                    return
                _kernel.rename(name, name, self.where, self.fd)
        else:
            try:
                _kernel.rename(name, name, self.where, self.fd, _kernel.EXCHANGE)
            except OSError as exc:
                if exc.errno not in (errno.ENOSYS, errno.ENOENT):
                    raise
                os.rename(name, name, src_dir_fd=self.where, dst_dir_fd=self.fd)
            else:
                if ident(os.stat(name, dir_fd=self.where, follow_symlinks=False)) == expected:
                    os.unlink(name, dir_fd=self.where)
                else:
                    copy.put_aside(self.where, name, path)
        if mark and ident(os.stat(name, dir_fd=self.fd, follow_symlinks=False)) != mark:
            copy.told.add("swapped", path)

    def done(self):
        """Name what is left and take our directory away."""
        self.commit()
        if self.where is not None and self.temporary:
            os.close(self.where)
            self.where = None
            os.rmdir(self.temporary, dir_fd=self.fd)
            self.temporary = b""

    def give_up(self):
        """After an error: what was not named yet goes away, as far as that is possible."""
        with contextlib.suppress(OSError):
            if self.names is not None and self.where is not None:
                os.close(self.where)
                self.where = None
            if self.temporary:
                clear(self.parent if self.names is None else self.fd, self.temporary)
                self.temporary = b""


def clear(parent, name):
    """Remove a directory of ours that a run left: only one of root's own, mode 0700, with nothing but files. Returns whether it is gone."""
    try:
        fd = os.open(name, _kernel.DIRECTORY, dir_fd=parent)
    except OSError:
        return False
    try:
        state = os.fstat(fd)
        if state.st_uid != os.geteuid() or stat.S_IMODE(state.st_mode) != 0o700:
            return False
        for entry in os.listdir(fd):
            os.unlink(entry, dir_fd=fd)
        os.rmdir(name, dir_fd=parent)
        return True
    finally:
        os.close(fd)


class Aside:
    """Where what stood in the way goes: TOP/.intact-aside/NUMBER/NAME, root's own. top: descriptor of the target."""

    def __init__(self, top):
        self.top, self.fd, self.number = top, None, 0

    def take(self, parent, name):
        """Move an entry there; returns its place as bytes below the top. Raises OSError (EXDEV when another filesystem is mounted there)."""
        if self.fd is None:
            with contextlib.suppress(FileExistsError):
                os.mkdir(ASIDE, 0o700, dir_fd=self.top)
            self.fd = os.open(ASIDE, _kernel.DIRECTORY, dir_fd=self.top)
            state = os.fstat(self.fd)
            if state.st_uid != os.geteuid() or stat.S_IMODE(state.st_mode) & 0o77:
                raise IntactError("%s in the target is not ours: look at it and move it away" % ASIDE.decode())
            self.number = max([int(entry) for entry in os.listdir(self.fd) if entry.isdigit()] or [0])
        self.number += 1
        number = b"%06d" % self.number
        os.mkdir(number, 0o700, dir_fd=self.fd)
        fd = os.open(number, _kernel.DIRECTORY, dir_fd=self.fd)
        try:
            os.rename(name, name, src_dir_fd=parent, dst_dir_fd=fd)
        except OSError:
            os.rmdir(number, dir_fd=self.fd)
            raise
        finally:
            os.close(fd)
        return b"/".join((ASIDE, number, name))

    def close(self):
        """Let go of it."""
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None
