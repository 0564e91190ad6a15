# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""A tree's manifest without copying; with device, each file is dropped from memory first, so that the digest is of what the disk holds."""

from __future__ import annotations

import errno
import os
import stat
import time

from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._trees import (
    _ahead,
    _chain,
    _content,
    _entries,
    _inode,
    _kernel,
    _listing,
    _manifest_file,
    _record,
)
from ansible_collections.intact.hosting.plugins.module_utils._trees._folder import ASIDE
from ansible_collections.intact.hosting.plugins.module_utils._trees._rules import SYSTEMS, Rules
from ansible_collections.intact.hosting.plugins.module_utils._trees._told import Progress, Told

DEEPEST = 1 << 16


class Level:
    """A directory that is walked."""

    def __init__(self, path, source):
        self.path, self.source, self.prefix = path, source, path + b"/" if path else b""


class Manifest(_listing.Listing):
    """top: directory (str or bytes). path: file to write. device: read from the device. readers: how many threads ask for files ahead."""

    def __init__(self, top, path, tell=None, rules=(), digest="sha256", device=False, progress=None, totals=None, readers=8):
        self.name = os.fsencode(top)
        self.told = Told("tree_manifest", os.path.abspath(self.name))
        self.rules, self.inodes = Rules(rules), _inode.Inodes(self.told)
        self.progress = Progress(tell, progress, totals)
        self.content = _content.Content(digest, self.progress.tick)
        self.writer = _manifest_file.Writer(path, digest)
        self.device, self.readers = device, readers
        self.counts = dict.fromkeys("files links others directories".split(), 0)
        self.linked, self.levels = {}, []
        self.noatime = os.O_NOATIME

    def run(self):
        """Write the manifest. Returns {counts, bytes, seconds, findings [Finding], manifest}. Raises IntactError when there is no such directory."""
        began = time.monotonic()
        try:
            self.source = _chain.Chain(_kernel.open_top(self.name))
        except (FileNotFoundError, NotADirectoryError) as exc:
            raise IntactError("%s is no directory: mount it first, or name another" % escape(self.name)) from exc
        self.ahead = _ahead.Ahead(self.readers, _kernel.rotational(os.fstat(self.source.fds[0]).st_dev))
        try:
            if self.device:
                _kernel.syncfs(self.source.fds[0])
            _chain.walk(self)
            outside = self.writer.close({"files": self.progress.files})
        except OSError as exc:
            raise IntactError("the manifest of %s could not be made: %s" % (escape(self.name), exc)) from exc
        finally:
            self.writer.abandon()
            self.ahead.close()
            self.source.close()
        if outside:
            self.told.add("links-outside", b"", "%d files have more names than were met" % outside)
        self.progress.say()
        seconds = round(time.monotonic() - began, 3)
        counts = dict(self.counts, **{kind.replace("-", "_"): number for kind, number in self.told.counts.items()})
        return {"counts": counts, "bytes": self.progress.bytes, "seconds": seconds, "findings": self.told.findings(), "manifest": self.writer.path}

    def enter(self, path, name):
        """Record a directory's entries; returns the names of the directories to go down to."""
        if len(path) > DEEPEST:
            self.told.add("too-deep", path[:200], "its path is longer than %d bytes" % DEEPEST)
            return None
        try:
            fd = self.source.push(name) if path else self.source.top()
        except OSError as exc:
            self.unreadable(path, exc)
            return None
        if (name in SYSTEMS and not os.fstat(fd).st_uid) or path == ASIDE:
            self.source.pop()
            self.told.add("excluded", path, "it belongs to its filesystem, or was put aside by a copy")
            return None
        folder = Level(path, fd)
        below, files, others = self._list(folder)
        rows = []
        if self.device:
            self._drop(folder, files)
        for name in self._ordered(folder, files):
            rows.append(self._file(folder, name))
        rows += [self._other(folder, name) for name in others]
        rows = [row for row in rows if row is not None]
        self.writer.add(rows, sum(map(len, rows)) + 40 * len(rows))
        self.progress.files += len(rows)
        self.counts["directories"] += 1
        return below

    def _drop(self, folder, names):
        """Forget what memory holds of a directory's files; what stays although it was written out is told."""
        for name in names:
            try:
                fd = os.open(name, _kernel.FILE | self.noatime, dir_fd=folder.source)
            except OSError:
                continue  # reading it will tell
            try:
                if not self._dropped(fd):
                    self.told.add("cached", folder.prefix + name)
            except OSError as exc:
                self.unreadable(folder.prefix + name, exc)
            finally:
                os.close(fd)

    def _dropped(self, fd):
        """Whether an open file is out of memory. A page that another processor has in its hands stays the first time."""
        hopeless = self.told.counts.get("cached", 0) > 8  # tmpfs: memory is all there is
        for pause in (0,) if hopeless else (0, 0.001, 0.01, 0.1):
            if pause:
                os.fdatasync(fd)
                time.sleep(pause)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            if not _kernel.cached(fd) or not os.fstat(fd).st_blocks:
                return True
        return False

    def leave(self, path):
        """Record the directory itself."""
        try:
            fd = self.source.top()
            state = os.fstat(fd)
            self._row(path, state, _record.other("dir", state, _record.tail(self.inodes.attributes(fd, path), self.inodes.flags(fd, state.st_dev))), True)
        except OSError as exc:
            self.unreadable(path, exc)
        if path:
            self.source.pop()

    def unreadable(self, path, exc):
        """An entry that can't be had: gone or exchanged since it was listed, or damaged."""
        gone = exc.errno in (None, errno.ENOENT, errno.ELOOP, errno.ENOTDIR, errno.ESTALE)
        self.told.add("changed-while-read" if gone else "unreadable", path, exc.strerror or str(exc))

    def _row(self, path, state, body, add=False):
        link = b"%d:%d:%d" % (state.st_dev, state.st_ino, state.st_nlink) if state.st_nlink > 1 and not stat.S_ISDIR(state.st_mode) else b""
        row = b"%s\0%s\0%s" % (path, link, _record.line(_record.text(path), body))
        if add:
            self.writer.add([row], len(row) + 40)
        return row

    def _file(self, folder, name):
        path = folder.prefix + name
        try:
            try:
                fd = os.open(name, _kernel.FILE | self.noatime, dir_fd=folder.source)
            except PermissionError:
                if not self.noatime:
                    raise
                self.noatime = 0  # not root: others' files can't be opened so
                fd = os.open(name, _kernel.FILE, dir_fd=folder.source)
        except OSError as exc:
            self.unreadable(path, exc)
            return None
        try:
            state = os.fstat(fd)
            if not stat.S_ISREG(state.st_mode):
                self.told.add("changed-while-read", path, "it is no file any more")
                return None
            if name in SYSTEMS and not state.st_uid:
                self.told.add("excluded", path, "it belongs to its filesystem")
                return None
            self.counts["files"] += 1
            key = (state.st_dev, state.st_ino)
            body = self.linked.get(key) if state.st_nlink > 1 else None
            if body is None:
                body = self._body(fd, path, state)
                if state.st_nlink > 1:
                    self.linked[key] = [state.st_nlink - 1, body]
            else:
                body[0] -= 1
                if not body[0]:
                    del self.linked[key]
                body = body[1]
            return self._row(path, state, body)
        except OSError as exc:
            self.unreadable(path, exc)
            return self._row(path, state, _record.other("file", state, b',"error":"%s"' % _record.text((exc.strerror or "?").encode())))
        finally:
            os.close(fd)

    def _body(self, fd, path, state):
        attributes, flags = self.inodes.look(fd, state.st_dev, path)
        extra = _record.tail(attributes, flags) if attributes or flags else b""
        for _attempt in range(_entries.TRIES):
            state, digest = os.fstat(fd), ""
            try:
                if state.st_size <= _content.SMALL and state.st_blocks * 512 >= state.st_size:
                    data = self.content.small(fd, state.st_size)
                    digest = self.content.new(data).hexdigest()
                    self.progress.bytes += len(data)
                else:
                    digest = self.content.stream(fd, state)
                after = os.fstat(fd)
                if (after.st_ctime_ns, after.st_mtime_ns, after.st_size) == (state.st_ctime_ns, state.st_mtime_ns, state.st_size):
                    return _record.file(state, digest, extra)
            except _content.Changed:
                pass
        self.told.add("changed-while-read", path, "it changed each of the %d times" % _entries.TRIES)
        return _record.file(state, digest, extra + b',"changed":true')

    def _other(self, folder, name):
        path = folder.prefix + name
        try:
            state = os.stat(name, dir_fd=folder.source, follow_symlinks=False)
            kind = stat.S_IFMT(state.st_mode)
            if kind == stat.S_IFREG:
                return self._file(folder, name)
            extra = _record.tail(self.inodes.attributes(b"/proc/self/fd/%d/%s" % (folder.source, name), path), None)
            if kind == stat.S_IFLNK:
                self.counts["links"] += 1
                return self._row(path, state, _record.other("link", state, b',"target":"%s"' % _record.text(os.readlink(name, dir_fd=folder.source)) + extra))
            self.counts["others"] += 1
            said = "fifo" if kind == stat.S_IFIFO else _entries.KINDS.get(kind, "unknown")
            if said in ("char", "block"):
                extra = b',"rdev":"%d:%d"' % (os.major(state.st_rdev), os.minor(state.st_rdev)) + extra
            return self._row(path, state, _record.other(said, state, extra))
        except OSError as exc:
            self.unreadable(path, exc)
            return None
