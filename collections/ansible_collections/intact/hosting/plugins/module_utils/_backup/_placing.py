# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Put a restored tree in its place on a living host: what is missing is moved in whole, what differs is kept aside first. Repeatable at any point.

Customers may write to the trees meanwhile: directories are held open and never reached along a link.
"""

from __future__ import annotations

import errno
import os
import stat

from ansible_collections.intact.hosting.plugins.module_utils._backup import _metadata
from ansible_collections.intact.hosting.plugins.module_utils._baseline import _descriptors, _sqlite
from ansible_collections.intact.hosting.plugins.module_utils._command import run
from ansible_collections.intact.hosting.plugins.module_utils._files import escape

HELD = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
LOGS = (b"-wal", b"-journal", b"-shm")


class Modes:
    """{directory: (uid, gid, mode)} as the backup knows them, for those that are asked for."""

    def __init__(self, backup, name, ids):
        self._items, self._ids = backup.files(name).get("items", {}), ids

    def get(self, path, default):
        item = self._items.get(escape(path))
        if not item or item["type"] != "dir":
            return default
        item = self._ids.data({"items": {"": item}})["items"][""]
        return item["uid"], item["gid"], int(item["mode"], 8)


class Placer:
    """staging: where the tree was restored to (bytes, below it paths as on the host). aside: where what is overwritten is kept (bytes).

    same: escaped paths that are on the host as in the backup. keep: escaped paths whose version on the host stays. root: where the host's / is.
    """

    def __init__(self, staging, aside, same=(), keep=(), root=b"/"):
        self.staging, self.aside, self.root = os.fsencode(staging), os.fsencode(aside), os.fsencode(root)
        self.same, self.keep = set(same), set(keep)
        self.placed, self.overwritten = 0, []

    def place(self, path, modes=None):
        """Place one restored path (bytes) with all below. modes: {directory (bytes): (uid, gid, mode)} for directories above it that have to be made."""
        staged = self.staging.rstrip(b"/") + path
        if not os.path.lexists(staged):
            return  # placed before we were cut
        parent = self._parents(os.path.dirname(path), modes or {})
        source = os.open(os.path.dirname(staged), HELD)
        try:
            self._entry(source, parent, os.path.basename(path), path)
        finally:
            os.close(source)
            os.close(parent)

    def remove(self, path):
        """Keep what is at one path (bytes) aside; nothing takes its place."""
        parent = self._parents(os.path.dirname(path), {})
        try:
            if _look(parent, os.path.basename(path)):
                self._put_aside(parent, os.path.basename(path), path)
        finally:
            os.close(parent)

    def _parents(self, path, modes):
        """Descriptor of the directory (links above the restored trees are the host's own and are followed), made where it is missing."""
        if path in (b"", b"/"):
            return _descriptors.open_directory(b"/", self.root)
        full = self.root.rstrip(b"/") + path
        if not os.path.isdir(full):
            above = self._parents(os.path.dirname(path), modes)
            try:
                uid, gid, mode = modes.get(path, (0, 0, 0o755))
                os.mkdir(os.path.basename(path), 0o700, dir_fd=above)
                os.chown(os.path.basename(path), uid, gid, dir_fd=above)
                os.chmod(os.path.basename(path), mode, dir_fd=above)
            finally:
                os.close(above)
        return os.open(os.path.realpath(full), HELD)

    def _entry(self, source, target, name, path):
        text = escape(path)
        there = _look(target, name)
        fresh = os.stat(name, dir_fd=source, follow_symlinks=False)
        if there is None:
            self._move(source, target, name)
        elif stat.S_ISDIR(there.st_mode) and stat.S_ISDIR(fresh.st_mode):
            self._directory(source, target, name, path)
            return
        elif text in self.keep or text in self.same:
            _remove(source, name)
            return
        else:
            for ending in LOGS if _is_sqlite(target, name) else ():
                if _look(target, name + ending) and not _look(source, name + ending):
                    # what is in the log is of the old file, and would be written into the new one
                    self._put_aside(target, name + ending, path + ending)
            # a file is replaced in one step: whoever is cut here must not leave a host without its /etc/passwd
            self._put_aside(target, name, path, stays=stat.S_ISREG(there.st_mode) and stat.S_ISREG(fresh.st_mode))
            self._move(source, target, name)
        self.placed += 1

    def _directory(self, source, target, name, path):
        """Merge: what the host has besides stays; then the directory itself gets the backup's owner, mode and attributes."""
        one, other = os.open(name, HELD, dir_fd=source), os.open(name, HELD, dir_fd=target)
        try:
            _metadata.set_flags(other, [])
            for child in sorted(os.fsencode(entry) for entry in os.listdir(one)):
                self._entry(one, other, child, path.rstrip(b"/") + b"/" + child)
            if escape(path) not in self.keep:
                _like(one, other)
        finally:
            os.close(one)
            os.close(other)
        os.rmdir(name, dir_fd=source)

    def _move(self, source, target, name):
        try:
            os.rename(name, name, src_dir_fd=source, dst_dir_fd=target)
        except OSError as exc:
            if exc.errno != errno.EXDEV:
                raise
            _across(source, target, name)

    def _put_aside(self, target, name, path, stays=False):
        """Keep what is there under aside, by the same path; what an earlier attempt kept is not overwritten. stays: it is in its place as well."""
        _free(target, name)
        folder = self.aside.rstrip(b"/") + os.path.dirname(path)
        os.makedirs(folder, mode=0o700, exist_ok=True)
        kept, number = folder + b"/" + name, 1
        while os.path.lexists(kept):
            number += 1
            kept = folder + b"/" + name[:240] + b".%d" % number
        held = os.open(folder, HELD)
        try:
            if stays:
                os.link(name, os.path.basename(kept), src_dir_fd=target, dst_dir_fd=held, follow_symlinks=False)
            else:
                os.rename(name, os.path.basename(kept), src_dir_fd=target, dst_dir_fd=held)
        except OSError as exc:
            if exc.errno != errno.EXDEV and not (stays and exc.errno in (errno.EPERM, errno.EMLINK)):
                raise
            _across(target, held, name, os.path.basename(kept), stays)
        finally:
            os.close(held)
        self.overwritten.append(escape(path))


def _is_sqlite(fd, name):
    try:
        held = _descriptors.open_file(name, fd)
    except OSError:
        return False
    try:
        return stat.S_ISREG(os.fstat(held).st_mode) and os.read(held, len(_sqlite.MAGIC)) == _sqlite.MAGIC
    finally:
        os.close(held)


def _look(fd, name):
    try:
        return os.stat(name, dir_fd=fd, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _free(fd, name):
    """Take immutable and append-only off an entry and what is below it: it could not be moved."""
    state = os.stat(name, dir_fd=fd, follow_symlinks=False)
    if stat.S_ISREG(state.st_mode) or stat.S_ISDIR(state.st_mode):
        held = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=fd)
        try:
            _metadata.set_flags(held, [])
        finally:
            os.close(held)


def _across(source, target, name, into=None, stays=False):
    """Move (stays: copy) to another filesystem: copied beside its place under a name of ours, then renamed, so that no half is ever in place."""
    part = b".intact-%d" % os.getpid()
    # cp -a keeps owner, mode, times, access lists, attributes, capabilities, holes and hard links inside of what it copies
    run(
        ["cp", "-a", "--no-target-directory", b"/proc/%d/fd/%d/%s" % (os.getpid(), source, name), b"/proc/%d/fd/%d/%s" % (os.getpid(), target, part)],
        timeout=86400,
    )
    os.rename(part, into or name, src_dir_fd=target, dst_dir_fd=target)
    if not stays:
        _remove(source, name)


def _remove(fd, name):
    state = os.stat(name, dir_fd=fd, follow_symlinks=False)
    if stat.S_ISDIR(state.st_mode):
        held = os.open(name, HELD, dir_fd=fd)
        try:
            for child in os.listdir(held):
                _remove(held, os.fsencode(child))
        finally:
            os.close(held)
        os.rmdir(name, dir_fd=fd)
    else:
        os.unlink(name, dir_fd=fd)


def _like(one, other):
    """Owner, mode, attributes and times of directory `other` as of `one`. Order: chown takes rights away, so it is first; times are last."""
    state = os.fstat(one)
    os.fchown(other, state.st_uid, state.st_gid)
    os.fchmod(other, stat.S_IMODE(state.st_mode))
    wanted = {name: os.getxattr(one, name) for name in os.listxattr(one)}
    for name in os.listxattr(other):
        if name not in wanted and name.startswith(("user.", "system.posix_acl_")):
            os.removexattr(other, name)
    for name, value in wanted.items():
        os.setxattr(other, name, value)
    os.utime(other, ns=(state.st_atime_ns, state.st_mtime_ns))
