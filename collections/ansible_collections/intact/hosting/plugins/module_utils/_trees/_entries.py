# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What becomes of one entry of a directory while it is copied. Part of Copier: its fields are used here."""

from __future__ import annotations

import errno
import os
import stat
import time

from ansible_collections.intact.hosting.plugins.module_utils._trees import _chain, _existing, _folder, _inode, _kernel, _manifest_file, _record
from ansible_collections.intact.hosting.plugins.module_utils._trees._content import SMALL, Changed, Unwritable
from ansible_collections.intact.hosting.plugins.module_utils._trees._listing import Listing
from ansible_collections.intact.hosting.plugins.module_utils._trees._rules import SYSTEMS

NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
TRIES = 3
KINDS = {stat.S_IFSOCK: "socket", stat.S_IFCHR: "char", stat.S_IFBLK: "block"}


class Entries(Listing, _existing.Existing):
    """Methods of Copier."""

    def _fill(self, folder):
        """Copy all entries of a directory but the directories, whose names (sorted) it returns."""
        below, files, others = self._list(folder)
        self.counts["directories"] += 1
        try:
            self._all(folder, files, others)
        except OSError as exc:
            self.unwritable(folder.path, exc)
            folder.give_up()
            below = []
        self.progress.files += len(files) + len(others)
        return below

    def _all(self, folder, files, others):
        for name in self._ordered(folder, files):
            self._file(folder, name)
            if folder.count >= _folder.ENTRIES or folder.bytes >= _folder.BYTES:
                folder.commit()
        for name in others:
            self._other(folder, name)
        folder.commit()
        for entry in folder.links:
            self._link(folder, *entry)
        folder.links = []
        folder.done()

    def _file(self, folder, name):
        """One regular file."""
        if folder.known and self._vouched(folder, name):
            return
        try:
            try:
                fd = os.open(name, READ | self.noatime, dir_fd=folder.source)
            except PermissionError:
                if not self.noatime:
                    raise
                self.noatime = 0  # not root: others' files can't be opened so
                fd = os.open(name, READ, dir_fd=folder.source)
        except OSError as exc:
            self.unreadable(folder.prefix + name, exc)
            return
        try:
            for attempt in range(TRIES):
                state = os.fstat(fd)
                if not stat.S_ISREG(state.st_mode):
                    self.told.add("changed-while-read", folder.prefix + name, "it is no file any more")
                    return
                if name in SYSTEMS and not state.st_uid:
                    self.told.add("excluded", folder.prefix + name, "it belongs to its filesystem")
                    return
                try:
                    self._take(folder, name, fd, state, attempt == TRIES - 1)
                    return
                except Changed:
                    continue
            self.told.add("changed-while-read", folder.prefix + name, "it changed each of the %d times" % TRIES)
        finally:
            os.close(fd)

    def _take(self, folder, name, fd, state, last):
        """Copy an open file. Raises Changed when it changed meanwhile, unless it is the last try."""
        many = state.st_nlink > 1
        if many:
            first = self.linked.get((state.st_dev, state.st_ino))
            if first is not None:
                folder.links.append((name, (state.st_dev, state.st_ino), first))
                return
        inodes = self.inodes
        attributes, flags = inodes.look(fd, state.st_dev, folder.prefix + name)
        given = self.owners.attributes(attributes) if attributes else attributes
        expected = None
        if folder.names and name in folder.names:
            expected = self._stands(folder, name, fd, state, attributes, given, flags)
            if expected is False:
                return
        extra = _record.tail(attributes, flags) if attributes or flags else b""
        if self.check:
            self.plan("replace" if expected else "file", folder.prefix + name)
            self.counts["replaced" if expected else "copied"] += 1
            self.progress.bytes += state.st_size
            if many:
                self.linked[state.st_dev, state.st_ino] = [folder.path, name, None, b"", state.st_nlink - 1, b""]
            return
        uid, gid, mode = state.st_uid, state.st_gid, state.st_mode & 0o7777
        if self.owners.ids is not None:
            uid, gid = self.owners.uid(uid), self.owners.gid(gid)
        size, mark, changed = state.st_size, None, False
        try:
            where = folder.where if folder.where is not None else folder.room()
            out = os.open(name, NEW, mode & 0o777, dir_fd=where)
        except OSError as exc:
            self.unwritable(folder.prefix + name, exc)
            return
        whole, reading = False, True
        try:
            if size <= SMALL and state.st_blocks * 512 >= size or not size:
                try:
                    data = self.content.small(fd, size)
                except Changed:
                    if not last:
                        raise
                    data, changed = os.pread(fd, SMALL, 0), True
                digest = self.content.new(data).hexdigest()
                if data:
                    reading = False
                    count = os.write(out, data)
                    if count != len(data):
                        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name)
                self.progress.bytes += len(data)
            else:
                try:
                    digest = self.content.stream(fd, state, out)
                except Changed:
                    if not last:
                        raise
                    digest, changed = "", True
            reading = False
            after = os.fstat(fd)
            if after.st_ctime_ns != state.st_ctime_ns or after.st_size != size or after.st_mtime_ns != state.st_mtime_ns:
                if not last and after.st_nlink == state.st_nlink:
                    raise Changed
                changed = changed or after.st_nlink == state.st_nlink
            os.fchown(out, uid, gid)
            if mode & 0o7000:
                os.fchmod(out, mode)
            if given:
                inodes.give(out, given, folder.prefix + name)
            os.utime(out, ns=(state.st_atime_ns, state.st_mtime_ns))
            if many or folder.names is not None or flags:
                mark = _chain.ident(os.fstat(out))
            whole = True
        except Changed:
            raise
        except OSError as exc:
            if reading and not isinstance(exc, Unwritable):
                self.unreadable(folder.prefix + name, exc)
            else:
                self.unwritable(folder.prefix + name, exc)
            return
        finally:
            os.close(out)
            if not whole:
                os.unlink(name, dir_fd=where)
        if changed:
            extra += b',"changed":true'
            self.told.add("changed-while-read", folder.prefix + name, "it changed each of the %d times" % TRIES)
        if flags:
            self.flagged.append((folder.path, name, mark, flags))
        body = _record.file(state, digest, extra)
        stats = self._note(folder, name, state, body, mark)
        folder.bytes += size
        self.counts["replaced" if expected else "copied"] += 1
        self.counts["files"] += 1
        if folder.names is not None:
            self.plan("replace" if expected else "file", folder.prefix + name)
            folder.pending.append((name, expected, mark))
        if many:
            self.linked[state.st_dev, state.st_ino] = [folder.path, name, mark, body, state.st_nlink - 1, stats]

    def _note(self, folder, name, state, body, mark, remember=True):
        """Put an entry into the manifest, and into the journal of its batch. Returns what the journal knows it by."""
        folder.count += 1
        stats = b"%d %d %d %d %d" % (state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns, mark[1] if mark else 0)
        if remember:
            folder.entries += (name, stats, body)
        if self.writer is not None:
            path = folder.prefix + name
            link = b"%d:%d:%d" % (state.st_dev, state.st_ino, state.st_nlink) if state.st_nlink > 1 and not stat.S_ISDIR(state.st_mode) else b""
            row = b'%s\0%s\0{"path":"%s",%s}' % (path, link, _record.text(path), body)
            folder.rows.append(row)
            folder.row_size += len(row) + 40
        return stats

    def _other(self, folder, name):
        """A link, a FIFO; sockets and devices are only told."""
        path = folder.prefix + name
        try:
            state = os.stat(name, dir_fd=folder.source, follow_symlinks=False)
            kind = stat.S_IFMT(state.st_mode)
            held = b"/proc/self/fd/%d/%s" % (folder.source, name)
            attributes = self.inodes.attributes(held, path)
            to = os.readlink(name, dir_fd=folder.source) if kind == stat.S_IFLNK else None
        except OSError as exc:
            if exc.errno == errno.EINVAL:
                self.told.add("changed-while-read", path, "it is no link any more")
            else:
                self.unreadable(path, exc)
            return
        if kind == stat.S_IFREG:
            self._file(folder, name)
            return
        if kind == stat.S_IFDIR:
            self.told.add("changed-while-read", path, "it became a directory")
            return
        if kind in KINDS or kind not in (stat.S_IFLNK, stat.S_IFIFO):
            said = KINDS.get(kind, "of a kind that can't be copied")
            body = _record.other(said, state, b',"rdev":"%d:%d"' % (os.major(state.st_rdev), os.minor(state.st_rdev)) if said in ("char", "block") else b"")
            if kind in KINDS:
                self._note(folder, name, state, body, None, False)
            self.told.add("not-made", path, said)
            return
        extra = _record.tail(attributes, None)
        if to is not None:
            extra = b',"target":"%s"' % _record.text(to) + extra
        body = _record.other("link" if to is not None else "fifo", state, extra)
        first = self.linked.get((state.st_dev, state.st_ino)) if state.st_nlink > 1 else None
        if first is not None:
            folder.links.append((name, (state.st_dev, state.st_ino), first))
            return
        try:
            expected = self._stands_other(folder, name, state, to, attributes, body)
            if expected is False:
                return
            self.counts["replaced" if expected else "copied"] += 1
            self.counts["links" if to is not None else "fifos"] += 1
            if folder.names is not None or self.check:
                self.plan("link" if to is not None else "fifo", path)
            if not self.check:
                self._make_other(folder, name, state, to, attributes, body, expected)
        except OSError as exc:
            self.unwritable(path, exc)

    def _make_other(self, folder, name, state, to, attributes, body, expected):
        where = folder.where if folder.where is not None else folder.room()
        if to is not None:
            os.symlink(to, name, dir_fd=where)
        else:
            os.mkfifo(name, stat.S_IMODE(state.st_mode) & 0o777, dir_fd=where)
        held = b"/proc/self/fd/%d/%s" % (where, name)
        os.chown(name, self.owners.uid(state.st_uid), self.owners.gid(state.st_gid), dir_fd=where, follow_symlinks=False)
        if to is None and state.st_mode & 0o7000:
            os.chmod(held, stat.S_IMODE(state.st_mode))
        self.inodes.give(held, self.owners.attributes(attributes), folder.prefix + name)
        os.utime(name, ns=(state.st_atime_ns, state.st_mtime_ns), dir_fd=where, follow_symlinks=False)
        mark = _chain.ident(os.stat(name, dir_fd=where, follow_symlinks=False)) if folder.names is not None or state.st_nlink > 1 else None
        stats = self._note(folder, name, state, body, mark)
        if folder.names is not None:
            folder.pending.append((name, expected, mark))
        if state.st_nlink > 1:
            self.linked[state.st_dev, state.st_ino] = [folder.path, name, mark, body, state.st_nlink - 1, stats]

    def _settle(self, folder, sfd, tfd):
        """Owner, mode, attributes, times and flags of a directory that has everything; its record."""
        state = os.fstat(sfd)
        attributes = self.inodes.attributes(sfd, folder.path)
        flags = self.inodes.flags(sfd, state.st_dev)
        if self.writer is not None:
            body = _record.other("dir", state, _record.tail(attributes, flags))
            row = _manifest_file.Writer.row(folder.path, b"", _record.line(_record.text(folder.path), body))
            self.writer.add([row], len(row) + 40)
        if self.check or tfd is None:
            self._predict(folder, state, attributes, tfd)
            return
        given = self.owners.attributes(attributes)
        try:
            if not folder.made and not self._may_settle(folder, state, given, tfd):
                return
            if _inode.settle(tfd, state, self.owners, given, self.inodes, folder.path):
                self.changed = True
            now = os.fstat(tfd)
            if now.st_mtime_ns != state.st_mtime_ns // self.step * self.step:
                os.utime(tfd, ns=(state.st_atime_ns, state.st_mtime_ns))
                self.changed = True
            if flags is not None and (flags or not folder.made):
                self.inodes.mark(tfd, flags, folder.path)
                self.changed = self.changed or flags != folder.flags
            self.journal.finish(folder.path)
        except OSError as exc:
            self.unwritable(folder.path, exc)

    def _flag(self):
        """Set files' flags: nothing needs another name any more."""
        if self.check:
            return
        for path, name, mark, flags in self.flagged:
            try:
                parent = _chain.walk_down(self.target.fds[0], path.split(b"/") if path else [])
                try:
                    fd = os.open(name, _kernel.FILE, dir_fd=parent)
                finally:
                    os.close(parent)
                try:
                    if _chain.ident(os.fstat(fd)) == mark:
                        self.inodes.mark(fd, flags, path + b"/" + name if path else name)
                    else:
                        self.told.add("swapped", path + b"/" + name if path else name)
                finally:
                    os.close(fd)
            except OSError as exc:
                self.unwritable(path + b"/" + name if path else name, exc)
        for first in self.linked.values():
            self._refresh(first)

    def _refresh(self, first):
        """A name more is a change of the inode: the journal learns that it was ours."""
        path, name, _mark, body, _left, stats = first
        if self.check:
            return
        self.journal.write(path, time.time_ns(), [name, stats, body])
