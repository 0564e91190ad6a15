# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Copies a tree that may be hostile, hashes it on the way and writes its manifest: each byte is read once.

Works with root's rights on what customers write to, so neither side is ever asked for more than one component of a path, no link is followed, and what is
written
goes into directories of ours first (_folder). Order for one file: data, owner, mode, ACL, attributes, capability, times; flags at the very end of the run,
because
an immutable file takes no more names. A directory stays root's own (0700) until all that is below it is there.
"""

from __future__ import annotations

import errno
import hashlib
import os
import random
import stat
import time

from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._trees import _chain, _content, _entries, _folder, _inode, _journal, _kernel, _manifest_file
from ansible_collections.intact.hosting.plugins.module_utils._trees._ahead import Ahead
from ansible_collections.intact.hosting.plugins.module_utils._trees._rules import SYSTEMS, Rules
from ansible_collections.intact.hosting.plugins.module_utils._trees._told import Progress, Told

DEEPEST = 1 << 16
EXISTING = ("aside", "keep", "refuse")
SHOWN = 200


class Copier(_entries.Entries):
    """source, target: directories (str or bytes); the target's parent must be there. ids: an object with uid(n) and gid(n). manifest: path of the file to
    write.

    state: directory for the journal, or None (nothing is remembered, a second run reads everything). rules: exclude patterns. existing: what becomes of
    the target's own
    entries that differ. compare: "quick" or "content" (also what the journal vouches for is read). check: nothing is written. totals: (files, bytes), when
    known.
    """

    def __init__(
        self,
        source,
        target,
        ids=None,
        manifest=None,
        state=None,
        tell=None,
        rules=(),
        existing="aside",
        compare="quick",
        digest="sha256",
        check=False,
        progress=None,
        totals=None,
        readers=8,
    ):
        if existing not in EXISTING:
            raise IntactError("existing %r is none of %s" % (existing, ", ".join(EXISTING)))
        self.names = os.fsencode(source), os.fsencode(target)
        self.rules, self.existing, self.reread, self.check = Rules(rules), existing, compare == "content", check
        self.told = Told("tree_copy", os.path.abspath(self.names[1]))
        self.inodes, self.owners = _inode.Inodes(self.told), _inode.Owners(ids)
        self.progress = Progress(tell, progress, totals)
        self.content, self.digest = _content.Content(digest, self.progress.tick), digest
        self.state, self.manifest, self.readers = state, manifest, readers
        self.counts = dict.fromkeys("files links hardlinks fifos directories copied replaced same aside kept removed".split(), 0)
        self.steps = []
        self.folders, self.linked, self.flagged = [], {}, []
        self.source = self.target = self.ahead = self.writer = self.aside = self.near = None
        self.changed, self.step, self.number = False, 1, 0
        self.journal = _journal.Journal(None, b"")
        self.prefix = b".intact-%08x-" % random.getrandbits(32)
        self.noatime = os.O_NOATIME

    def run(self):
        """Copy. Returns {changed, counts, bytes, seconds, granularity, findings [Finding], steps [lines], manifest}. Raises IntactError when it had to
        stop."""
        began = time.monotonic()
        mask = os.umask(0)
        try:
            self.source = self._open(self.names[0], "source")
            self._begin()
            _chain.walk(self)
            self._flag()
        except OSError as exc:
            raise IntactError(
                "copying %s to %s stopped at %s: %s; make room or repair, then start it again, it goes on where it was"
                % (self._shown(0), self._shown(1), escape(exc.filename or b"") if isinstance(exc.filename, (bytes, str)) else "a file", exc.strerror or exc)
            ) from exc
        finally:
            os.umask(mask)
            self._end()
        outside = 0
        if self.writer is not None:
            outside = self.writer.close({"files": self.progress.files})
        if outside:
            self.told.add("links-outside", b"", "%d files have more names than were met" % outside)
        self.progress.say()
        return {
            "changed": bool(self.steps or self.counts["copied"] or self.counts["replaced"] or self.changed),
            "counts": dict(self.counts, **{kind.replace("-", "_"): number for kind, number in self.told.counts.items()}),
            "bytes": self.progress.bytes,
            "seconds": round(time.monotonic() - began, 3),
            "granularity": self.step,
            "findings": self.told.findings(),
            "steps": self.steps,
            "manifest": self.manifest,
        }

    def _shown(self, which):
        return escape(self.names[which])

    def _open(self, path, what):
        try:
            return _chain.Chain(_kernel.open_top(path))
        except NotADirectoryError as exc:
            raise IntactError("the %s %s is no directory" % (what, escape(path))) from exc
        except FileNotFoundError as exc:
            if what == "target":
                raise
            raise IntactError("there is no %s %s: mount it first, or name another" % (what, escape(path))) from exc

    def _begin(self):
        """Open the target, see what times it holds, take the journal."""
        self.ahead = Ahead(self.readers, _kernel.rotational(os.fstat(self.source.fds[0]).st_dev))
        if self.manifest and not self.check:
            self.writer = _manifest_file.Writer(self.manifest, self.digest)
        if not self.check:
            try:
                os.mkdir(self.names[1], 0o700)
                self.changed = True
            except FileExistsError:
                pass
            except FileNotFoundError as exc:
                raise IntactError("%s can't be made: its parent is not there" % self._shown(1)) from exc
        try:
            self.target = self._open(self.names[1], "target")
        except FileNotFoundError:
            return  # in check mode there may be none yet
        top = self.target.fds[0]
        self._apart(top)
        identity = hashlib.sha256(b"\0".join(os.path.realpath(name) for name in self.names)).hexdigest()[:16].encode()
        if self.state is not None:
            self.prefix = b".intact-%s-" % identity[:8]
            if not self.check or os.path.exists(os.path.join(self.state, "journal")):
                self.journal = _journal.Journal(self.state, identity)
        if self.changed:
            self.journal.write(b"", 0, [])  # the top is ours
        self.aside = _folder.Aside(top)
        if not self.check:
            probe, before = self.temporary(), os.fstat(top)
            fd = os.open(probe, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=top)
            try:
                self.step = _kernel.granularity(fd)
            finally:
                os.close(fd)
                os.unlink(probe, dir_fd=top)
            os.utime(top, ns=(before.st_atime_ns, before.st_mtime_ns))
        if self.writer is not None:
            self.writer.header["granularity"] = self.step

    def _apart(self, top):
        """Refuse a target inside the source or the other way round."""
        for first, other, said in ((top, self.source.fds[0], "inside the source"), (self.source.fds[0], top, "above the source")):
            sought, fd = _chain.ident(os.fstat(other)), os.dup(first)
            while True:
                here = _chain.ident(os.fstat(fd))
                if here == sought:
                    os.close(fd)
                    raise IntactError("the target %s is %s %s: name one that is apart from it" % (self._shown(1), said, self._shown(0)))
                above = os.open(b"..", _kernel.DIRECTORY, dir_fd=fd)
                os.close(fd)
                fd = above
                if _chain.ident(os.fstat(fd)) == here:
                    os.close(fd)
                    break

    def _end(self):
        for folder in self.folders:
            folder.give_up()
        if self.ahead is not None:
            self.ahead.close()
        self.journal.close()
        for chain in (self.source, self.target, self.aside):
            if chain is not None:
                chain.close()
        if self.near is not None:
            os.close(self.near[1])
            self.near = None

    def temporary(self):
        """A name of ours that nothing has."""
        self.number += 1
        return self.prefix + b"%x-%d" % (os.getpid(), self.number)

    def plan(self, line, path):
        """Remember what is done, for the diff."""
        if len(self.steps) < SHOWN:
            self.steps.append("%s %s" % (line, self.told.subject(path)))

    # what stands in the way

    def out_of_the_way(self, parent, name, path):
        """Treat an entry that is not ours as `existing` says. Returns whether its name is free now."""
        if self.existing != "aside":
            self.told.add("kept" if self.existing == "keep" else "refused", path)
            self.counts["kept"] += 1
            return False
        self.plan("aside", path)
        self.counts["aside"] += 1
        if self.check:
            self.told.add("aside", path, "would be put below %s" % _folder.ASIDE.decode())
            return True
        return self.put_aside(parent, name, path)

    def put_aside(self, parent, name, path):
        """Move an entry into our directory, with a finding. Returns whether that went well."""
        try:
            place = self.aside.take(parent, name)
        except OSError as exc:
            self.told.add("unwritable", path, "what is there can't be put aside: %s" % exc.strerror)
            return False
        self.told.add("aside", path, "it is now %s" % self.told.subject(place), {"aside": self.told.subject(place)})
        return True

    # the walk

    def enter(self, path, name):
        """Copy a directory's entries; returns the names of the directories to go down to."""
        if len(path) > DEEPEST:
            self.told.add("too-deep", path[:200], "its path is longer than %d bytes" % DEEPEST)
            return None
        try:
            fd = self.source.push(name) if path else self.source.top()
            state = os.fstat(fd)
        except OSError as exc:
            self.unreadable(path, exc)
            return None
        folder, depth = None, len(self.target.fds) if self.target is not None else 0
        try:
            if self.target is not None and _chain.ident(state) == self.target.idents[0] or (name in SYSTEMS and not state.st_uid):
                self.told.add("excluded", path, "it belongs to its filesystem, or is the target")
            else:
                folder = self._folder(path, name, fd)
        except OSError as exc:
            while self.target is not None and len(self.target.fds) > depth:
                self.target.pop()
            self.unwritable(path, exc)
        if folder is None:
            if path:
                self.source.pop()
            return None
        folder.state = state
        self.folders.append(folder)
        return self._fill(folder)

    def _folder(self, path, name, fd):
        """The target's side of a directory, or None when there can be none."""
        if not path:
            top = self.target.fds[0] if self.target is not None else None
            folder = _folder.Folder(self, path, fd, None, top, b"", top is None)
            folder.made = folder.made or self.changed
            return self._met(folder) if top is not None else folder
        above = self.folders[-1]
        parent = self.target.top() if above.fd is not None else None
        fresh = above.names is None or name not in above.names
        if not fresh and not stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
            if not self.out_of_the_way(parent, name, path):
                return None
            fresh = True
        if fresh:
            self.plan("directory", path)
            folder = _folder.Folder(self, path, fd, parent, None, name, True)
            if not self.check:
                folder.begin()
                self.target.push(name, folder.fd)
            return folder
        return self._met(_folder.Folder(self, path, fd, parent, self.target.push(name), name, False))

    def _met(self, folder):
        """A directory that the target has: what is in it, without what an earlier run left half made."""
        flags = 0 if self.check else self.inodes.flags(folder.fd, os.fstat(folder.fd).st_dev)
        folder.flags = flags or 0
        if flags and flags & _kernel.HARD:
            self.inodes.mark(folder.fd, flags & ~_kernel.HARD, folder.path)
        for name in os.listdir(folder.fd):
            name = os.fsencode(name)
            if not name.startswith(self.prefix) or self.state is None:
                folder.names.add(name)
            elif not self.check and _folder.clear(folder.fd, name):
                self.counts["removed"] += 1
        folder.known = self.journal.known(folder.path)
        return folder

    def leave(self, path):
        """Give a directory what can only be set when nothing is made in it any more."""
        folder = self.folders[-1]
        try:
            sfd = self.source.top()
            tfd = self.target.top() if folder.fd is not None else None
        except _chain.Moved as exc:
            self.told.add("changed-while-read", path, str(exc))
            sfd = tfd = None
        try:
            if sfd is not None:
                self._settle(folder, sfd, tfd)
        finally:
            self.folders.pop()
            if path:
                self.source.pop()
                if folder.fd is not None:
                    self.target.pop()

    def unwritable(self, path, exc):
        """An entry of the target that can't be had. A full, broken or read-only target stops the copy (raises)."""
        if exc.errno in (errno.ENOSPC, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM):
            raise exc
        swapped = isinstance(exc, _chain.Moved) or exc.errno in (errno.ENOENT, errno.ELOOP, errno.ENOTDIR, errno.ESTALE)
        self.told.add("swapped" if swapped else "unwritable", path, exc.strerror or str(exc))

    def unreadable(self, path, exc):
        """An entry of the source that can't be had: gone or exchanged since it was listed, or damaged."""
        gone = exc.errno in (None, errno.ENOENT, errno.ELOOP, errno.ENOTDIR, errno.ESTALE)
        self.told.add("changed-while-read" if gone else "unreadable", path, exc.strerror or str(exc))
