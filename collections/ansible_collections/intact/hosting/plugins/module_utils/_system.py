# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What probes and checks may see of a host: the one place that opens files and runs commands for them, so that they stay testable."""

from __future__ import annotations

import errno
import glob
import grp
import os
import pwd
import socket
import stat
import time

from ansible_collections.intact.hosting.plugins.module_utils import _command
from ansible_collections.intact.hosting.plugins.module_utils._files import read_if_exists, write_atomic
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError


class OutOfTime(IntactError):
    """The section's seconds are used up."""


class System:
    """What a probe may see of the host, with the section's options and limits.

    options: dict of the section's settings. limits: {"seconds": n, "bytes": n}; 0 is no limit.
    unlooked: filled by the probe through skip(): [{"what": subject, "why": sentence}].
    earlier: the section's data in the document that this look will be compared with, {} where that is not known.
    root: where / is looked for (see _backup/_rooted.py for another one).
    """

    root = b"/"

    def __init__(self, options=None, limits=None, clock=time.monotonic):
        self.options = dict(options or {})
        self.limits = dict({"seconds": 0, "bytes": 0}, **(limits or {}))
        self.unlooked = []
        self.earlier = {}
        self.bytes_read = 0
        self._clock = clock
        self._started = clock()

    def remaining(self):
        """Seconds left in the section's budget, or None without one. Raises OutOfTime when used up."""
        if not self.limits["seconds"]:
            return None
        left = self.limits["seconds"] - (self._clock() - self._started)
        if left <= 0:
            raise OutOfTime("the limit of %s s for this section is used up" % self.limits["seconds"])
        return left

    def spend(self, count):
        """Account for count content bytes about to be read; False when the section's byte limit would be passed."""
        if self.limits["bytes"] and self.bytes_read + count > self.limits["bytes"]:
            return False
        self.bytes_read += count
        return True

    def skip(self, what, why):
        """Record that something was not looked at: it becomes a finding, never silence."""
        self.unlooked.append({"what": what, "why": why})

    def which(self, program):
        """Full path of a program or None."""
        return _command.which(program)

    def run(self, argv, timeout=120, stdin=b"", env=None, check=True):
        """Run a reading command within the section's budget (see _command.run)."""
        left = self.remaining()
        return _command.run(argv, timeout=min(timeout, left) if left else timeout, stdin=stdin, env=env, check=check)

    def read(self, path, limit=None):
        """Bytes of a file or None when it is not there."""
        return read_if_exists(path, limit)

    def blocks(self, path, offset, size):
        """Bytes of a block device or an image file, fewer at its end; an OSError where it can't be read. Nothing else is read."""
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            mode = os.fstat(fd).st_mode
            if not (stat.S_ISBLK(mode) or stat.S_ISREG(mode)):
                raise OSError(errno.ENOTBLK, os.strerror(errno.ENOTBLK), path)
            parts = []
            while size > 0:
                part = os.pread(fd, min(size, 1 << 20), offset)
                if not part:
                    break
                parts.append(part)
                size, offset = size - len(part), offset + len(part)
            return b"".join(parts)
        finally:
            os.close(fd)

    def text(self, path):
        """Text of a file ("" when not there), undecodable bytes kept as surrogates."""
        return (self.read(path) or b"").decode("utf-8", "surrogateescape")

    def secret(self, path, create=True):
        """The host's own random key (32 bytes, 0600), made on first use; None when it is not there and must not or can't be made.

        The only thing a capture may write.
        """
        key = read_if_exists(path)
        if key or not create:
            return key or None
        key = os.urandom(32)
        try:
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            write_atomic(path, key, 0o600)
        except OSError:
            return None
        return key

    def exists(self, path):
        """Whether a path is there, a dangling link included."""
        return os.path.lexists(path)

    def glob(self, pattern):
        """Sorted paths that match a shell pattern."""
        return sorted(glob.glob(pattern))

    def listdir(self, path):
        """Sorted names in a directory; [] when it is not there. Other errors are raised."""
        try:
            return sorted(os.listdir(path))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def lstat(self, path):
        """os.lstat() of a path, or None when it is not there."""
        try:
            return os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def readlink(self, path):
        """What a symbolic link says, or None when the path is none."""
        try:
            return os.readlink(path)
        except OSError:
            return None

    def realpath(self, path):
        """The path with every symbolic link followed, as far as it exists."""
        return os.path.realpath(path)

    def account(self, number):
        """The name of a user id, or None."""
        try:
            return pwd.getpwuid(number).pw_name
        except KeyError:
            return None

    def group(self, number):
        """The name of a group id, or None."""
        try:
            return grp.getgrgid(number).gr_name
        except KeyError:
            return None

    def dial(self, address, port, timeout=10):
        """A connected TCP socket to one of the host's own addresses; raises OSError. The caller closes it."""
        left = self.remaining()
        return socket.create_connection((address, int(port)), timeout=min(timeout, left) if left else timeout)
