# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Asks the kernel for files before they are read, from several threads: a cold disk answers many questions at once as fast as one.

Only while blocks come from the disk: with everything in memory it would be work for nothing. A spinning disk gets two readers and the
order of its blocks, others as many as are wanted.
"""

from __future__ import annotations

import contextlib
import os
import resource
import threading
from collections import deque

from ansible_collections.intact.hosting.plugins.module_utils._trees import _kernel

WINDOW = 64  # files ahead of the reader
MOST = 8 << 20  # bytes of one file


class Ahead:
    """readers: threads; 0: never. spinning: whether the source is on a spinning disk."""

    def __init__(self, readers, spinning):
        self.readers, self.spinning = min(readers, 2) if spinning else readers, spinning
        self.threads, self.work = [], deque()
        self.ready = threading.Semaphore(0)
        self.waiting, self.stop = False, False
        self.blocks = 0

    def judge(self):
        """Look whether blocks were read from a device since the last look. Time says nothing: others may have had the processor."""
        blocks = resource.getrusage(resource.RUSAGE_SELF).ru_inblock
        self.waiting, self.blocks = blocks - self.blocks >= 8, blocks

    def want(self, fd, names):
        """Have these files (names in a directory that stays open until drop()) read ahead; cheap when nothing waits."""
        if not self.readers or not names:
            return
        while len(self.threads) < self.readers:
            thread = threading.Thread(target=self._read, daemon=True)
            thread.start()
            self.threads.append(thread)
        for name in names:
            self.work.append((fd, name))
            self.ready.release()

    def drop(self):
        """Forget what was not begun. Returns when no thread works with a directory of before."""
        self.work.clear()

    def _read(self):
        while True:
            self.ready.acquire()
            if self.stop:
                return
            try:
                parent, name = self.work.popleft()
            except IndexError:
                continue
            with contextlib.suppress(OSError):
                fd = os.open(name, _kernel.FILE, dir_fd=parent)
                try:
                    os.posix_fadvise(fd, 0, MOST, os.POSIX_FADV_WILLNEED)
                finally:
                    os.close(fd)

    def close(self):
        """End the threads."""
        self.stop = True
        self.work.clear()
        for _thread in self.threads:
            self.ready.release()
        for thread in self.threads:
            thread.join()
