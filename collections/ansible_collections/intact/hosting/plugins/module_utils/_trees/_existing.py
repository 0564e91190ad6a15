# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What is at the target already: the same, ours from an earlier run, or somebody's. Also names of an inode that has several. Part of Copier."""

from __future__ import annotations

import errno
import os
import stat

from ansible_collections.intact.hosting.plugins.module_utils._trees import _chain, _kernel, _record

READ = _kernel.FILE
SAME, FREE = False, None


class Existing:
    """Methods of Copier."""

    def _vouched(self, folder, name):
        """Whether the journal knows that neither side of a file was touched since it was copied; then it is done with."""
        known = folder.known.get(name)
        if known is None or self.reread or not known[0]:
            return False
        when, stats, body = known
        try:
            state = os.stat(name, dir_fd=folder.source, follow_symlinks=False)
            there = os.stat(name, dir_fd=folder.fd, follow_symlinks=False)
        except OSError:
            return False
        key = (state.st_dev, state.st_ino)
        if (
            not stats.startswith(b"%d %d %d %d " % (state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns))
            or not stat.S_ISREG(state.st_mode & there.st_mode)
            or there.st_ctime_ns > when
            or there.st_size != state.st_size
            or not self._same_time(there, state)
            or not self._same_owner(there, state)
            or (self.owners.ids is not None and b'"acl":' in body)
            or key in self.linked
        ):
            return False
        self._same(folder, name, state, body, _chain.ident(there), False)
        return True

    def _same(self, folder, name, state, body, mark, remember=True):
        """Both sides are equal."""
        self.counts["same"] += 1
        if stat.S_ISREG(state.st_mode):
            self.counts["files"] += 1
        stats = self._note(folder, name, state, body, mark, False)
        if remember:
            folder.seen += (name, stats, body)
        if state.st_nlink > 1:
            self.linked[state.st_dev, state.st_ino] = [folder.path, name, mark, body, state.st_nlink - 1, stats]

    def _same_time(self, there, state):
        return there.st_mtime_ns == state.st_mtime_ns // self.step * self.step

    def _same_owner(self, there, state):
        return (there.st_uid, there.st_gid) == (self.owners.uid(state.st_uid), self.owners.gid(state.st_gid))

    def _ours(self, folder, name, there):
        """Whether an entry of the target is what an earlier run made, and nobody touched it since."""
        known = folder.known.get(name)
        if known is None:
            return False
        when, stats, _body = known
        _ino, size, mtime, _ctime, inode = map(int, stats.split())
        if (stat.S_ISREG(there.st_mode) and there.st_size != size) or there.st_mtime_ns != mtime // self.step * self.step:
            return False
        return there.st_ctime_ns <= when if when else inode == there.st_ino

    def _way(self, folder, name, there):
        """What to do with an entry that differs: replace it (its inode), FREE (it was put aside) or leave it (SAME)."""
        if not stat.S_ISDIR(there.st_mode) and self._ours(folder, name, there):
            return _chain.ident(there)
        if self.out_of_the_way(folder.fd, name, folder.prefix + name):
            return FREE
        return SAME

    def _stands(self, folder, name, fd, state, attributes, given, flags):
        """A file of the target with the name of one to copy: as _way(), SAME when it is equal. Raises Changed."""
        path = folder.prefix + name
        try:
            there = os.stat(name, dir_fd=folder.fd, follow_symlinks=False)
            if not stat.S_ISREG(there.st_mode):
                return self._way(folder, name, there)
            other = os.open(name, READ | self.noatime, dir_fd=folder.fd)
        except FileNotFoundError:
            return FREE
        except OSError as exc:
            self.unwritable(path, exc)
            return SAME
        try:
            there = os.fstat(other)
            same = (
                there.st_size == state.st_size
                and stat.S_IMODE(there.st_mode) == stat.S_IMODE(state.st_mode)
                and self._same_time(there, state)
                and self._same_owner(there, state)
                and self.inodes.attributes(other, path) == given
            )
            if same:
                digest = self.content.stream(fd, state)
                same = self.content.stream(other, there) == digest
            marked = self.inodes.flags(other, there.st_dev) or 0
            if same:
                if marked != (flags or 0):
                    self.changed = True
                    self.plan("flags", path)
                    self.flagged.append((folder.path, name, _chain.ident(there), flags or 0))
                self._same(folder, name, state, _record.file(state, digest, _record.tail(attributes, flags)), _chain.ident(there))
                return SAME
            if marked & _kernel.HARD and not self.check:
                self.inodes.mark(other, marked & ~_kernel.HARD, path)
            way = self._way(folder, name, there)
            if way is SAME and not self.check:
                # the manifest tells of the source, whatever stays here
                self._note(folder, name, state, _record.file(state, self.content.stream(fd, state), _record.tail(attributes, flags)), None, False)
            return way
        except OSError as exc:
            self.unreadable(path, exc)
            return SAME
        finally:
            os.close(other)

    def _stands_other(self, folder, name, state, to, attributes, body):
        """The same for a link or a FIFO."""
        if not folder.names or name not in folder.names:
            return FREE
        try:
            there = os.stat(name, dir_fd=folder.fd, follow_symlinks=False)
        except FileNotFoundError:
            return FREE
        if (
            stat.S_IFMT(there.st_mode) == stat.S_IFMT(state.st_mode)
            and self._same_time(there, state)
            and self._same_owner(there, state)
            and (stat.S_IMODE(there.st_mode) == stat.S_IMODE(state.st_mode) if to is None else os.readlink(name, dir_fd=folder.fd) == to)
            and self.inodes.attributes(b"/proc/self/fd/%d/%s" % (folder.fd, name), folder.path) == self.owners.attributes(attributes)
        ):
            self._same(folder, name, state, body, _chain.ident(there))
            return SAME
        return self._way(folder, name, there)

    # several names of one inode

    def _link(self, folder, name, key, first):
        """Another name of an inode whose first name was copied."""
        path = folder.prefix + name
        try:
            state = os.stat(name, dir_fd=folder.source, follow_symlinks=False)
        except OSError as exc:
            self.unreadable(path, exc)
            return
        if _chain.ident(state) != key:
            self.told.add("changed-while-read", path, "it became another file")
            return
        expected = FREE
        try:
            if folder.names and name in folder.names:
                there = os.stat(name, dir_fd=folder.fd, follow_symlinks=False)
                expected = SAME if _chain.ident(there) == first[2] else self._way(folder, name, there)
                if expected is SAME:
                    if _chain.ident(there) == first[2]:
                        self.counts["same"] += 1
                        self._linked(folder, name, state, key, first)
                    return
            self.counts["hardlinks"] += 1
            self.plan("hard link", path)
            if not self.check and not self._another_name(folder, name, path, first, expected):
                return
            self.changed = True
            self._linked(folder, name, state, key, first)
        except OSError as exc:
            if exc.errno == errno.EMLINK:
                self.told.add("unkept", path, "the target holds no more names of one file")
            else:
                self.unwritable(path, exc)

    def _linked(self, folder, name, state, key, first):
        self._note(folder, name, state, first[3], first[2])
        first[4] -= 1
        if first[4] <= 0 and self.linked.pop(key, None):
            self._refresh(first)

    def _another_name(self, folder, name, path, first, expected):
        """Make it. Returns whether it is of the inode that was copied."""
        if folder.fd is None:
            return False
        parent = self._near(first[0]) if first[0] != folder.path else folder.fd
        where = folder.fd if expected is FREE else folder.room()
        try:
            os.link(first[1], name, src_dir_fd=parent, dst_dir_fd=where, follow_symlinks=False)
        except FileExistsError:
            if not self.out_of_the_way(where, name, path):
                return False
            os.link(first[1], name, src_dir_fd=parent, dst_dir_fd=where, follow_symlinks=False)
        if _chain.ident(os.stat(name, dir_fd=where, follow_symlinks=False)) != first[2]:
            os.unlink(name, dir_fd=where)
            self.told.add("swapped", path, "its first name leads to another file")
            return False
        folder.touched = True
        if expected is not FREE:
            folder.pending.append((name, expected, first[2]))
        return True

    def _near(self, path):
        """Descriptor of a directory of the target; kept until another is asked for."""
        if self.near is None or self.near[0] != path:
            fd = _chain.walk_down(self.target.fds[0], path.split(b"/") if path else [])
            if self.near is not None:
                os.close(self.near[1])
            self.near = (path, fd)
        return self.near[1]

    # directories that were there

    def _may_settle(self, folder, state, given, tfd):
        """Whether a directory of the target gets the source's owner, mode, attributes and times; what it had is told."""
        now = os.fstat(tfd)
        known, finished = folder.path in self.journal.index, folder.path in self.journal.finished
        wrong = self._wrong(now, state, given, tfd, folder)
        if not wrong:
            return folder.touched or not finished or now.st_mtime_ns < state.st_mtime_ns // self.step * self.step
        begun = known and not finished and (stat.S_IMODE(now.st_mode) == 0o700 or self._same_owner(now, state))
        if begun:
            return True
        said = "it had mode %04o, owner %d:%d%s" % (stat.S_IMODE(now.st_mode), now.st_uid, now.st_gid, ", other attributes" if "attributes" in wrong else "")
        if self.existing == "aside":
            self.told.add("directory", folder.path, said)
            return True
        self.told.add("kept" if self.existing == "keep" else "refused", folder.path, said)
        return False

    def _wrong(self, now, state, given, tfd, folder):
        """What a directory has otherwise, besides times."""
        out = [] if self._same_owner(now, state) else ["owner"]
        if stat.S_IMODE(now.st_mode) != stat.S_IMODE(state.st_mode):
            out.append("mode")
        return out if self.inodes.attributes(tfd, folder.path) == given else [*out, "attributes"]

    def _predict(self, folder, state, attributes, tfd):
        """Check mode: whether _settle would change something."""
        if folder.made or tfd is None:
            return
        now = os.fstat(tfd)
        times = now.st_mtime_ns != state.st_mtime_ns // self.step * self.step
        wrong = self._wrong(now, state, self.owners.attributes(attributes), tfd, folder)
        if (wrong or times) and self._may_settle(folder, state, self.owners.attributes(attributes), tfd):
            self.changed = True
            self.plan("directory's %s" % ", ".join(wrong or ["times"]), folder.path)
