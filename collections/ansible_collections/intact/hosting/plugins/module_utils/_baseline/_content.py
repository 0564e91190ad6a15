# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""The content of an open file as its digests, and the state of the file that they belong to."""

from __future__ import annotations

import errno
import hashlib
import os
import threading

BLOCK = 1 << 20


class Buffers(threading.local):
    """A block for each thread that reads."""

    def __init__(self):
        self.view = memoryview(bytearray(BLOCK))


class Reader:
    """Several threads may read at once: nothing here is changed by reading."""

    def __init__(self):
        self._buffers = Buffers()

    def _read(self, fd, st, md5):
        """(the stat that it belongs to, size and hash, MD5), looking again when the file changed meanwhile. Two threads do this at once."""
        for _attempt in range(3):
            try:
                digest, other = self._hash(fd, st.st_size, md5)
            except OSError as exc:
                return st, {"size": st.st_size, "state": "unreadable: %s" % errno.errorcode.get(exc.errno, exc.errno)}, None
            after = os.fstat(fd)
            if after.st_ctime_ns == st.st_ctime_ns and after.st_mtime_ns == st.st_mtime_ns and after.st_size == st.st_size:
                return st, {"size": st.st_size, "hash": digest}, other
            st = after
            os.lseek(fd, 0, os.SEEK_SET)
        return st, {"size": st.st_size, "state": "changing"}, None

    def _hash(self, fd, size, md5):
        """(SHA-256, MD5 or None) in hex. A small file in one read: that it ends there is seen by the byte that was not got."""
        if size < BLOCK:
            data = os.read(fd, size + 1)
            if len(data) == size:
                return hashlib.sha256(data).hexdigest(), _md5(data).hexdigest() if md5 and _md5() else None
            os.lseek(fd, 0, os.SEEK_SET)
        digests, buffer = [hashlib.sha256()] + ([_md5()] if md5 and _md5() else []), self._buffers.view
        while True:
            count = os.readv(fd, [buffer])
            if not count:
                return digests[0].hexdigest(), digests[1].hexdigest() if digests[1:] else None
            for digest in digests:
                digest.update(buffer[:count])


def _md5(data=b""):
    try:
        return hashlib.md5(data)
    except ValueError:
        return None  # a FIPS host has no MD5: its conffiles then count as edited, the careful side
