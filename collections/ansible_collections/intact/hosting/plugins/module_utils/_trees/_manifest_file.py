# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""A manifest as a file: gzip, a header, then one record a line, sorted by the path's bytes; written and read in bounded memory.

Records arrive in the order of the disk. Runs of them are sorted in memory and put aside in the manifest's directory; the end merges the runs. Names of one
inode
become `hardlink` (the first name of it) there, as only sorted names can tell which is first: inode numbers mean nothing on another disk.
"""

from __future__ import annotations

import contextlib
import gzip
import heapq
import json
import os
import tempfile
import zlib

from ansible_collections.intact.hosting.plugins.module_utils._files import fsync_directory
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._trees import _record

FORMAT = 1
RUN = 24 << 20  # bytes of records that are sorted at once


class Sorter:
    """Lines of bytes (key, NUL, anything but NUL at first), given in any order, sorted by their bytes. Put aside in unnamed files of directory."""

    def __init__(self, directory, run=RUN):
        self.directory, self.run = directory, run
        self.rows, self.size, self.runs = [], 0, []

    def add(self, rows, size):
        """rows: list of bytes; size: about how many bytes they are."""
        self.rows += rows
        self.size += size
        if self.size > self.run:
            self._spill()

    def _spill(self):
        self.rows.sort()
        handle = tempfile.TemporaryFile(dir=self.directory, buffering=1 << 18)  # noqa: SIM115 (lives as long as the sorter)
        for row in self.rows:
            handle.write(b"%d\n" % len(row))
            handle.write(row)
        handle.flush()
        handle.seek(0)
        self.runs.append(handle)
        self.rows, self.size = [], 0

    def sorted(self):
        """All rows, once."""
        self.rows.sort()
        if not self.runs:
            return iter(self.rows)
        return heapq.merge(*[self._read(handle) for handle in self.runs], self.rows)

    @staticmethod
    def _read(handle):
        while True:
            head = handle.readline()
            if not head:
                return
            yield handle.read(int(head))

    def close(self):
        """Forget all."""
        for handle in self.runs:
            handle.close()
        self.rows, self.runs = [], []


class Writer:
    """Makes a manifest at path (0600, atomically). add() in any order, then close(); abandon() leaves no trace."""

    def __init__(self, path, digest="sha256", granularity=1, run=RUN):
        self.path = os.path.abspath(os.fsdecode(path))
        self.header = {"intact_manifest": FORMAT, "digest": digest, "granularity": granularity}
        self.sorter = Sorter(os.path.dirname(self.path), run)
        self.partial = {}  # (dev, ino): names seen and links, of inodes with names outside

    def add(self, rows, size):
        """rows made by row()."""
        self.sorter.add(rows, size)

    @staticmethod
    def row(path, link, line):
        """link: b"" or b"DEV:INO:NLINK" of an inode with several names."""
        return b"%s\0%s\0%s" % (path, link, line)

    def close(self, counts=None):
        """Sort and write. Returns the number of inodes that have names outside the tree."""
        fd, temporary = tempfile.mkstemp(prefix=".intact-", dir=os.path.dirname(self.path))
        try:
            with os.fdopen(fd, "wb") as handle:
                with gzip.GzipFile("", "wb", 1, handle, 0) as packed:
                    outside = self._write(packed, dict(self.header, **(counts or {})))
                handle.flush()
                os.fsync(handle.fileno())
            os.rename(temporary, self.path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            raise
        finally:
            self.sorter.close()
        fsync_directory(os.path.dirname(self.path))
        return outside

    def _write(self, packed, header):
        packed.write(json.dumps(header, sort_keys=True).encode() + b"\n")
        block, linked = [], {}
        for row in self.sorter.sorted():
            path, link, line = row.split(b"\0", 2)
            if link:
                device, inode, names = link.split(b":")
                key = (int(device), int(inode))
                first = linked.get(key)
                if first is None:
                    linked[key] = [path, int(names) - 1]
                else:
                    line = b'%s,"hardlink":"%s"}' % (line[:-1], _record.text(first[0]))
                    first[1] -= 1
                    if not first[1]:
                        del linked[key]
            block.append(line)
            if len(block) == 512:
                packed.write(b"\n".join(block) + b"\n")
                block = []
        if block:
            packed.write(b"\n".join(block) + b"\n")
        return len(linked)

    def abandon(self):
        """Stop without a file."""
        self.sorter.close()


class Reader:
    """A manifest's header (dict) and lines (bytes, in order). Raises IntactError when it is none or ends early."""

    def __init__(self, path):
        self.path = os.fsdecode(path)
        try:
            self.handle = gzip.open(self.path, "rb")  # noqa: SIM115 (closed by lines())
            self.header = json.loads(self.handle.readline())
            if self.header.get("intact_manifest") != FORMAT:
                raise ValueError("its format is %r" % self.header.get("intact_manifest"))
        except (OSError, EOFError, ValueError, AttributeError, zlib.error) as exc:
            raise IntactError("%s is no manifest of a tree (%s): name one that tree_manifest or tree_copy wrote" % (self.path, exc), path=self.path) from exc

    def lines(self):
        """Each record's line without its newline."""
        left = b""
        try:
            with self.handle:
                while True:
                    block = self.handle.read(1 << 18)
                    if not block:
                        break
                    rows = (left + block).split(b"\n")
                    left = rows.pop()
                    yield from rows
        except (OSError, EOFError, ValueError, zlib.error) as exc:
            raise IntactError("the manifest %s is damaged (%s): make it again" % (self.path, exc), path=self.path) from exc
        if left:
            raise IntactError("the manifest %s ends in the middle of a record: make it again" % self.path, path=self.path)

    def records(self):
        """Each record as a dict."""
        return map(json.loads, self.lines())
