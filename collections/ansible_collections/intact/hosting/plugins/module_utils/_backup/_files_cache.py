# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Digests of files that were read in earlier runs, by inode: a file that nobody touched since is not read each night, but every reread_days.

The trust is restic's own (inode, size, modification and change time; a change time can't be set back), and less: only a file that had rested is kept.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import struct

from ansible_collections.intact.hosting.plugins.module_utils._files import HALF, read_if_exists, write_atomic

SCHEMA = 1
# size, modified, changed (nanoseconds), day of reading, whether it has no extended attributes, SHA-256; kept packed, for millions of files
RECORD = struct.Struct("<QqqI?32s")
KEY = struct.Struct("<QQ")  # device, inode
DAY = 86400 * 10**9
# A page that is written through a mapping gets a change time only once, until the kernel has put it on the disk
# (dirty_expire_centisecs, 30 s, and its writers' 5 s): what changed lately may change again without a trace.
REST = 120 * 10**9
# Anybody can date a file after the year 2262, which a record has no room for.
FITS = 2**63


class FilesCache:
    """path: where it is kept. days: every file is read at least once in so many days, 0: each time. now: wall clock in nanoseconds, before the first look.

    directories: {escaped path: (device, inode)} of the last look, not kept.
    rotten: [(escaped path, day it was read, digest then, digest now)] of what has other bytes under the same times.
    """

    def __init__(self, path, days, now):
        self.path, self.days, self._now = path, days, now
        self._old = _load(path) if days else {}
        self._new, self._named = {}, set()
        self.rotten, self.directories = [], {}

    def known(self, st):
        """(digest, whether the file has no extended attributes) of a file that need not be read, or None."""
        key, record = self._record(st)
        if record is None or not _same(record, st):
            return None
        # also when its day came: should it turn out that it can't be read, what was read earlier is all that tells of it
        if key not in self._new:
            self._new[key] = self._old.pop(key)
        return None if self._due(st.st_ino, record[3]) else (record[5].hex(), record[4])

    def note(self, text, st, digest, plain):
        """A file was read. Returns the digest that holds: the earlier one, when bytes changed and times did not, as its copies have that content."""
        key, record = self._record(st)
        if record and _same(record, st) and record[5].hex() != digest:
            if text not in self._named:
                self._named.add(text)
                self.rotten.append((text, record[3], record[5].hex(), digest))
            # with its old day: it is read again by each run until somebody mends it
            self._new[key] = RECORD.pack(*record)
            return record[5].hex()
        if self.days and st.st_ctime_ns < self._now - REST and abs(st.st_mtime_ns) < FITS:
            self._new[key] = RECORD.pack(st.st_size, st.st_mtime_ns, st.st_ctime_ns, self._now // DAY, plain, bytes.fromhex(digest))
        return digest

    def _record(self, st):
        key = KEY.pack(st.st_dev, st.st_ino)
        packed = self._new.get(key) or self._old.get(key)
        return key, packed and RECORD.unpack(packed)

    def save(self):
        """Keep what this run saw. Raises OSError where it can't be kept."""
        directory = os.path.dirname(self.path)
        os.makedirs(directory, mode=0o700, exist_ok=True)
        # one run at a time writes here: these are of one that was killed while it did
        for name in os.listdir(directory):
            if name.startswith(HALF):
                os.unlink(os.path.join(directory, name))
        body = b"".join(itertools.chain.from_iterable(self._new.items()))
        head = json.dumps({"schema": SCHEMA, "sha256": hashlib.sha256(body).hexdigest()}).encode("ascii")
        write_atomic(self.path, head + b"\n" + body)

    def _due(self, inode, read):
        """Whether the file's day came since it was read: inodes spread them evenly. A day to come was written by a clock that was wrong."""
        today = self._now // DAY
        return read > today or (today + inode) // self.days > (read + inode) // self.days


def _same(record, st):
    return record[:3] == (st.st_size, st.st_mtime_ns, st.st_ctime_ns)


def _load(path):
    """{key: record}, packed; nothing at all of a file that is not whole or can't be read: without it a run reads more, and that is all."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, struct.error):
        head, _end, body = (read_if_exists(path) or b"").partition(b"\n")
        said = json.loads(head)
        if said["schema"] == SCHEMA and said["sha256"] == hashlib.sha256(body).hexdigest():
            return dict(struct.iter_unpack("%ds%ds" % (KEY.size, RECORD.size), body))
    return {}
