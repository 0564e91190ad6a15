# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Big files are read by a second thread while the walk goes on: Python hashes a large block without holding its lock, so that two processors work."""

from __future__ import annotations

import collections
import os
import threading

# So many open files wait at most; the walk reads the next one itself.
WAITING = 64


def worthwhile():
    """Whether there is a second processor to read with."""
    return len(os.sched_getaffinity(0)) > 1


class Job:
    """One file, held open. found: what read(fd, *asked) gave; kept: what the walk wants back with it."""

    def __init__(self, fd, asked, kept):
        self.fd, self.asked, self.kept, self.found, self.error = os.dup(fd), asked, kept, None, None
        self.ended = threading.Event()

    def run(self, read):
        """Read it."""
        try:
            self.found = read(self.fd, *self.asked)
        except BaseException as exc:  # pylint: disable=broad-except
            self.error = exc  # raised where it is asked for
        finally:
            os.close(self.fd)
            self.ended.set()


class Aside:
    """Jobs by key. read: function(fd, *asked), which touches nothing that the walk touches."""

    def __init__(self, read):
        self._read, self._thread = read, None
        self._jobs, self._waiting, self._turn = {}, collections.deque(), threading.Condition()

    def __contains__(self, key):
        return key in self._jobs

    def full(self):
        """Whether enough files wait."""
        return len(self._waiting) >= WAITING

    def add(self, key, fd, asked, kept):
        """Have an open file read; the descriptor stays the caller's."""
        if self._thread is None:
            # a run that is stopped does not wait for it
            self._thread = threading.Thread(target=self._serve, daemon=True)
            self._thread.start()
        with self._turn:
            self._jobs[key] = Job(fd, asked, kept)
            self._waiting.append(key)
            self._turn.notify()

    def settle(self, key):
        """(found, kept) of one file. What was not begun is read here."""
        with self._turn:
            job = self._jobs.pop(key)
            begun = key not in self._waiting
            if not begun:
                self._waiting.remove(key)
        if not begun:
            job.run(self._read)
        job.ended.wait()
        if job.error is not None:
            raise job.error
        return job.found, job.kept

    def settled(self):
        """(key, found, kept) of all that are left, in the order in which they came."""
        while self._waiting:
            # from the other end than the thread
            with self._turn:
                job = self._jobs[self._waiting.pop()] if self._waiting else None
            if job:
                job.run(self._read)
        for key in list(self._jobs):
            yield (key, *self.settle(key))
        self.close()

    def close(self):
        """End the thread after the file that it reads; what waits is not read."""
        with self._turn:
            for key in self._waiting:
                os.close(self._jobs.pop(key).fd)
            self._waiting.clear()
            self._waiting.append(None)
            self._turn.notify()
            self._waiting, self._thread = collections.deque(), None

    def _serve(self):
        waiting = self._waiting
        while True:
            with self._turn:
                while not waiting:
                    self._turn.wait()
                key = waiting.popleft()
                job = self._jobs[key] if key is not None else None
            if job is None:
                return
            job.run(self._read)
