# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""A copy's memory: what it made and from what, so that a run that was killed goes on, and one that has nothing to do reads nothing.

One file, appended in one write() for each batch *before* the batch gets its own names (a kill can't come between), fsynced now and then. A chunk:
b"T1 LENGTH CRC\n", then fields that end in NUL: directory, when (ns; nothing of the batch was touched after it, 0: not known), then for each entry its name,
b"INO SIZE MTIME CTIME TARGET-INO" and its record's body. A chunk whose directory is "\\1" names directories that were finished. A torn or damaged end is
cut off.
Later chunks speak before earlier ones.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
import zlib

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

SYNC = 10.0
FINISHED = b"\1"


class Journal:
    """directory: of ours, made when missing (0700), locked while this is open; None: nothing is remembered. identity: bytes that tell this copy from
    others."""

    def __init__(self, directory, identity):
        self.fd, self.index, self.synced = None, {}, time.monotonic()
        self.finished, self.ending = set(), []
        if directory is None:
            return
        os.makedirs(directory, mode=0o700, exist_ok=True)
        path = os.path.join(directory, "journal")
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            os.close(self.fd)
            self.fd = None
            raise IntactError("another copy works with the state in %s: wait for it, or stop it and start again" % directory) from exc
        try:
            self._open(path, b"intact-tree 1 " + identity + b"\n")
        except BaseException:
            self.close()
            raise

    def _open(self, path, head):
        size = os.fstat(self.fd).st_size
        if not size:
            os.write(self.fd, head)
            os.fsync(self.fd)
            return
        with open(self.fd, "rb", closefd=False, buffering=1 << 20) as handle:
            handle.seek(0)
            seen = handle.readline()
            if seen != head:
                if head.startswith(seen):  # cut while it was begun
                    os.ftruncate(self.fd, 0)
                    os.write(self.fd, head)
                    return
                raise IntactError("%s belongs to a copy of other trees: give this one a state directory of its own" % path, path=path)
            good = len(head)
            while True:
                fields = handle.readline(64).split()
                if len(fields) != 3 or fields[0] != b"T1" or not fields[1].isdigit():
                    break
                payload = handle.read(int(fields[1]))
                if len(payload) != int(fields[1]) or b"%08x" % zlib.crc32(payload) != fields[2]:
                    break
                folder = payload[: payload.index(b"\0")]
                if folder == FINISHED:
                    self.finished.update(payload[:-1].split(b"\0")[2:])
                else:
                    self.index.setdefault(folder, []).append((handle.tell() - len(payload), len(payload)))
                good = handle.tell()
        os.ftruncate(self.fd, good)

    def known(self, folder):
        """{name: (when, b"INO SIZE MTIME CTIME TARGET-INO", body)} of a directory."""
        out = {}
        for offset, length in self.index.get(folder, ()):
            fields = os.pread(self.fd, length, offset).split(b"\0")
            when = int(fields[1])
            for at in range(2, len(fields) - 3, 3):
                out[fields[at]] = (when, fields[at + 1], fields[at + 2])
        return out

    def write(self, folder, when, entries):
        """Remember a batch: entries [name, stats, body, name, stats, body, ...]; none: the directory is ours."""
        if self.fd is None:
            return
        payload = b"\0".join([folder, b"%d" % when] + entries) + b"\0"
        chunk = b"T1 %d %08x\n" % (len(payload), zlib.crc32(payload)) + payload
        if os.write(self.fd, chunk) != len(chunk):
            raise OSError(errno.ENOSPC, "the journal could not be written whole: is there room for it?")
        if time.monotonic() - self.synced > SYNC:
            self.sync()

    def finish(self, folder):
        """A directory has everything, its times too. Kept back a little: lost, it is only looked at once more."""
        if self.fd is not None and folder not in self.finished:
            self.ending.append(folder)
            if len(self.ending) == 256:
                self.flush()

    def flush(self):
        """Write down what finish() kept back."""
        ending, self.ending = self.ending, []
        if ending:
            self.write(FINISHED, 0, ending)

    def sync(self):
        """Make what was written so far survive a power cut."""
        if self.fd is not None:
            os.fdatasync(self.fd)
            self.synced = time.monotonic()

    def close(self):
        """Also gives the lock back."""
        if self.fd is not None:
            with contextlib.suppress(OSError):
                self.flush()
                os.fdatasync(self.fd)
            os.close(self.fd)
            self.fd = None
