# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Pre-flight's view of a host: the shared reader, and the few things that only looking forward needs."""

from __future__ import annotations

import fcntl
import os
import shutil
import struct
from dataclasses import dataclass

from ansible_collections.intact.hosting.plugins.module_utils._files import write_atomic
from ansible_collections.intact.hosting.plugins.module_utils._system import System

# struct flock of 64-bit Linux: type, whence, start, length, pid.
_FLOCK = "hhqqi4x"


@dataclass(frozen=True)
class Space:
    """A filesystem: device number, bytes and inodes in total and free for root."""

    device: int
    bytes_total: int
    bytes_free: int
    inodes_total: int
    inodes_free: int


class Host(System):
    """What a pre-flight check may see of the host. The last three methods write, and only below the check's own cache."""

    def lock_holder(self, path):
        """Pid of the process that holds a POSIX lock on a file, 0 when free or not there.

        Asks with F_GETLK, which never takes the lock. -1: held by a process that this namespace can't see.
        """
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return 0
        try:
            answer = fcntl.fcntl(fd, fcntl.F_GETLK, struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
        finally:
            os.close(fd)
        kind, _whence, _start, _length, pid = struct.unpack(_FLOCK, answer)
        return 0 if kind == fcntl.F_UNLCK else pid or -1

    def space(self, path):
        """Space of the filesystem that holds path, or the nearest directory above that is there."""
        while not os.path.exists(path) and os.path.dirname(path) != path:
            path = os.path.dirname(path)
        data = os.statvfs(path)
        return Space(os.stat(path).st_dev, data.f_blocks * data.f_frsize, data.f_bavail * data.f_frsize, data.f_files, data.f_favail)

    def processes(self):
        """[(pid, name, [arguments])] of all processes that can be seen, kernel threads left out."""
        out = []
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            raw = self._quiet("/proc/%s/cmdline" % entry)
            if raw:
                name = self._quiet("/proc/%s/comm" % entry).decode("utf-8", "replace").strip()
                out.append((int(entry), name, raw.rstrip(b"\0").decode("utf-8", "replace").split("\0")))
        return sorted(out)

    def open_below(self, prefix):
        """{path: process name} of regular files below prefix that processes hold open."""
        found = {}
        for pid, name, _argv in self.processes():
            try:
                links = os.listdir("/proc/%d/fd" % pid)
            except OSError:
                continue
            for link in links:
                try:
                    target = os.readlink("/proc/%d/fd/%s" % (pid, link))
                except OSError:
                    continue
                if target.startswith(prefix) and not target.endswith(" (deleted)"):
                    found[target] = name
        return found

    def kernel(self):
        """Release of the running kernel."""
        return os.uname().release

    def _quiet(self, path):
        """Bytes of a file that may vanish at any moment: b"" then."""
        try:
            return self.read(path) or b""
        except OSError:
            return b""

    def make_private(self, path):
        """Make a directory 0700, and those above it that are not there."""
        os.makedirs(path, mode=0o700, exist_ok=True)
        return path

    def write_private(self, path, data):
        """Write bytes to a file (0600) below the pre-flight's own cache."""
        write_atomic(path, data)

    def remove_tree(self, path):
        """Remove a directory of the pre-flight's own cache; links in it are removed, never followed."""
        shutil.rmtree(path, ignore_errors=True)
