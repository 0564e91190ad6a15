# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Walk trees that customers can write to, as root: by bytes, through held directory descriptors, never along a link.

Besides _system.py and _descriptors.py the only file of the baseline that touches the file system: a manifest needs descriptors, not paths.
"""

from __future__ import annotations

import errno
import os
import stat

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _aside, _content, _descriptors
from ansible_collections.intact.hosting.plugins.module_utils._baseline._system import OutOfTime
from ansible_collections.intact.hosting.plugins.module_utils._files import escape

KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "dir",
    stat.S_IFLNK: "link",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "char",
    stat.S_IFBLK: "block",
}
DEEPEST = 200
SPARSE_FROM = 65536
# Filesystems on disks of this host; others are named, not read.
LOCAL = {"ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "jfs", "reiserfs", "zfs", "bcachefs", "overlay"}
# What an entry's mode says, as (type, mode as text): a tree has few different ones.
FORMS = {}
VOLATILE = {"tmpfs", "ramfs", "proc", "sysfs", "devtmpfs", "devpts", "cgroup", "cgroup2", "autofs", "mqueue", "securityfs", "debugfs", "tracefs"}


class Walker(_content.Reader):
    """Fills items {escaped path: attributes} from roots.

    excluded(path, name, kind, target): whether an entry is left out. md5_paths: paths (text) whose MD5 is
    taken as well, into md5 {path: digest}. mounts: {path bytes: filesystem type}. cache: digests of files that need not be read (_backup._files_cache).
    """

    def __init__(self, system, excluded=None, md5_paths=(), mounts=None, cache=None):
        super().__init__()
        self.cache = cache
        self.system, self.excluded, self.md5_paths = system, excluded or (lambda *_entry: False), md5_paths
        self.mounts = mounts or {}
        self.items, self.md5, self.roots = {}, {}, []
        self.nested, self.unwalked = {}, []
        self.owners, self.groups = {}, {}
        self.unhashed, self.changing, self.sockets = [], [], 0
        self.bytes = 0
        self._inodes, self._directories, self._known = {}, {}, set()
        self._hashing, self._stopped = True, False
        # with a limit of seconds every file is asked for whether there is time for it
        self._timed = bool(system.limits["seconds"])
        self._aside = None if self._timed or not _aside.worthwhile() else _aside.Aside(self._read)

    def tree(self, root):
        """Walk one root (bytes, absolute), a directory or one file. A root that is not there gives no items; a root that is a link is followed once."""
        real = os.fsencode(self.system.realpath(os.fsdecode(root)))
        if real != root and self.system.readlink(os.fsdecode(root)) is not None:
            target = os.fsencode(self.system.readlink(os.fsdecode(root)))
            self.record(root, self.system.lstat(os.fsdecode(root)), {"target": escape(target)})
        try:
            fd = _descriptors.open_directory(real, self.system.root)
        except FileNotFoundError:
            return
        except NotADirectoryError:
            self._single(real)
            return
        try:
            if not self.seen(real, os.fstat(fd)):
                self.roots.append(escape(real))
                self._directory(fd, real, 0)
        except BaseException:
            if self._aside:
                self._aside.close()
            raise
        finally:
            os.close(fd)

    def settle(self):
        """Wait for the files that are read beside the walk."""
        for text, found, extra in self._aside.settled() if self._aside else ():
            self._keep(text, extra, *found)

    def _single(self, real):
        """A root that is no directory, such as one mailbox in /var/mail."""
        try:
            parent = _descriptors.open_directory(os.path.dirname(real), self.system.root)
        except (FileNotFoundError, NotADirectoryError):
            return
        try:
            self._entry(parent, os.path.basename(real), real, 0)
            self.roots.append(escape(real))
        except FileNotFoundError:
            pass  # gone between two looks: it is not there now
        finally:
            os.close(parent)

    def finish(self):
        """Name the hard link groups, once all trees are walked."""
        self.settle()
        for paths in self._inodes.values():
            paths = [path for path in paths if path in self.items]
            first = min(paths, default=None)
            for path in paths:
                if len(paths) > 1:
                    self.items[path]["hardlink"] = first

    def seen(self, path, st):
        """Whether this directory was walked under another name (bind mount, overlapping roots)."""
        key = (st.st_dev, st.st_ino)
        seen = key in self._directories
        self._directories.setdefault(key, path)
        return seen

    def _own(self, fd, path, extra=None):
        """A directory's own entry."""
        st = os.fstat(fd)
        self.record(path, st, _descriptors.extended(fd) if extra is None else extra)
        if self.cache:
            self.cache.directories[escape(path)] = (st.st_dev, st.st_ino)

    def _directory(self, fd, path, depth):
        self._own(fd, path)
        if self._time_is_up() or depth > DEEPEST:
            self.unwalked.append(escape(path))
            return
        with os.scandir(fd) as entries:
            # a directory knows which of its entries are files: they are opened without another look
            names = sorted((os.fsencode(entry.name), entry.is_file(follow_symlinks=False)) for entry in entries)
        prefix = path.rstrip(b"/") + b"/"
        stem = escape(prefix)
        for name, is_file in names:
            child = prefix + name
            try:
                if not is_file:
                    self._entry(fd, name, child, depth)
                elif not self.excluded(child, name, "file", b""):
                    self._file(fd, name, stem + escape(name))
            except FileNotFoundError:
                continue  # gone between listing and looking: it is not there now
            except OSError as exc:
                self.items[escape(child)] = {"type": "unknown", "state": "unreadable: %s" % errno.errorcode.get(exc.errno, exc.errno)}

    def entry(self, parent, name, path, deep=True):
        """Look at one entry (bytes) of an open directory, as tree() does at every one; a directory's own entry only, unless deep."""
        self._entry(parent, name, path, 0, deep)

    def _entry(self, parent, name, path, depth, deep=True):
        st = os.stat(name, dir_fd=parent, follow_symlinks=False)
        kind = KINDS.get(stat.S_IFMT(st.st_mode), "unknown")
        target = os.readlink(name, dir_fd=parent) if kind == "link" else b""
        if self.excluded(path, name, kind, target):
            return
        if kind == "dir" and not deep:
            fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
            try:
                self._own(fd, path)
            finally:
                os.close(fd)
        elif kind == "dir":
            self._child(parent, name, path, st, depth)
        elif kind == "file":
            self._file(parent, name, escape(path))
        elif kind == "socket":
            self.sockets += 1  # made by whoever listens; the sockets section looks at listeners
        elif kind == "link":
            self.record(path, st, {"target": escape(target)})
        else:
            device = {"device": "%d:%d" % (os.major(st.st_rdev), os.minor(st.st_rdev))} if kind in ("char", "block") else {}
            self.record(path, st, device)

    def _child(self, parent, name, path, st, depth):
        filesystem = self.mounts.get(path)
        if filesystem:
            self.nested[escape(path)] = filesystem
            if filesystem not in LOCAL:
                self.record(path, st, {})
                if filesystem not in VOLATILE:
                    self.system.skip(escape(path), "%s file system mounted inside a tree: not read from this host" % filesystem)
                return
        fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        try:
            if self.seen(path, os.fstat(fd)):
                self._own(fd, path, {"same_as": escape(self._directories[(st.st_dev, st.st_ino)])})
            else:
                self._directory(fd, path, depth + 1)
        finally:
            os.close(fd)

    def _file(self, parent, name, text):
        if self.cache and self._unread(os.stat(name, dir_fd=parent, follow_symlinks=False), text):
            return
        try:
            fd = _descriptors.open_file(name, parent)
        except OSError as exc:
            if exc.errno == errno.ENOENT:
                raise
            st = os.stat(name, dir_fd=parent, follow_symlinks=False)
            self.record(b"", st, {"size": st.st_size, "state": "unreadable: %s" % errno.errorcode.get(exc.errno, exc.errno)}, text)
            return
        try:
            st = os.fstat(fd)
            if not stat.S_ISREG(st.st_mode):
                return  # replaced while we looked; the next capture sees what it became
            if st.st_nlink > 1 and self._linked(text, st):
                return
            extra = _descriptors.extended(fd)
            known = self.cache.known(st) if self.cache and text not in self.md5_paths else None
            if known:
                self._keep(text, extra, st, {"size": st.st_size, "hash": known[0]}, None, read=False)
            elif not self._hashing or (self._timed and self._time_is_up()) or not self.system.spend(st.st_size):
                self._keep(text, extra, st, {"size": st.st_size, "state": "unhashed"}, None)
            elif st.st_size >= _content.BLOCK and self._aside and not self._aside.full():
                self._aside.add(text, fd, (st, text in self.md5_paths), extra)
            else:
                self._keep(text, extra, *self._read(fd, st, text in self.md5_paths))
        finally:
            os.close(fd)

    def _unread(self, st, text):
        """Whether all of a file is known without opening it: nothing was changed since it was read, and it has no extended attributes."""
        if not stat.S_ISREG(st.st_mode) or text in self.md5_paths:
            return False
        digest, plain = self.cache.known(st) or ("", False)
        if not plain:
            return False
        if st.st_nlink == 1 or not self._linked(text, st):
            self._keep(text, {}, st, {"size": st.st_size, "hash": digest}, None, read=False)
        return True

    def _linked(self, text, st):
        """Whether this is another name of a file that was read already: what is known of that one holds."""
        known = self._inodes.setdefault((st.st_dev, st.st_ino), [])
        known.append(text)
        first = known[0]
        if self._aside and first in self._aside:
            found, extra = self._aside.settle(first)
            self._keep(first, extra, *found)
        if len(known) == 1 or first not in self.items:
            return False
        self.items[text] = dict(self.items[first])
        if first in self.md5:
            self.md5[text] = self.md5[first]
        return True

    def _keep(self, text, extra, st, found, md5, read=True):
        """Record a file with what reading it gave, or what the cache knows of it."""
        if self.cache and read and "hash" in found:
            found = dict(found, hash=self.cache.note(text, st, found["hash"], not extra))
        extra.update(found)
        if "hash" in found:
            self.bytes += st.st_size
            if md5:
                self.md5[text] = md5
        elif found["state"] == "unhashed":
            self.unhashed.append(text)
        elif found["state"] == "changing":
            self.changing.append(text)
        if st.st_nlink > 1:
            extra["links"] = st.st_nlink
        if st.st_size >= SPARSE_FROM and st.st_blocks * 512 < st.st_size // 2:
            extra["sparse"] = True
        self.record(text, st, extra, text)

    def record(self, path, st, extra, text=None):
        """One entry. extra: what applies besides type, owner and mode. text: its path escaped, where that is known."""
        if (st.st_uid, st.st_gid) not in self._known:
            self._known.add((st.st_uid, st.st_gid))
            self.owners[str(st.st_uid)] = self.system.account(st.st_uid)
            self.groups[str(st.st_gid)] = self.system.group(st.st_gid)
        form = FORMS.get(st.st_mode) or FORMS.setdefault(st.st_mode, _form(st.st_mode))
        item = {"type": form[0], "uid": st.st_uid, "gid": st.st_gid}
        if form[0] != "link":
            item["mode"] = form[1]
        item.update(extra)
        self.items[text or escape(path)] = item

    def _time_is_up(self):
        """Hashing stops with a quarter of the seconds left, so that names and owners of the rest are still seen."""
        if self._stopped:
            return True
        try:
            left = self.system.remaining()
        except OutOfTime:
            self._stopped = True
            return True
        if left is not None and left < self.system.limits["seconds"] / 4:
            self._hashing = False
        return False


def _form(mode):
    return KINDS.get(stat.S_IFMT(mode), "unknown"), "%04o" % stat.S_IMODE(mode)
