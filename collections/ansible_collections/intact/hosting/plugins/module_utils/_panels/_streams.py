# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Readers that archives are taken apart with: each reads from the one below it, and none holds more than a block."""

from __future__ import annotations

BLOCK = 1 << 16
HEAD = 4096


class Broken(Exception):
    """An archive is not what it should be. origin: the Reader where that was seen. alone: only the member that it reads is; the next one can be read."""

    def __init__(self, why, alone=False):
        super().__init__(why)
        self.why, self.alone, self.origin = why, alone, None


class Reader:
    """read(n) of what produce() gives block by block (b"" at the end), with a look at its beginning. A read is shorter than asked for at the end only.

    What comes before a break can be read; then the break is raised, again and again: it must not be taken for the end. done: called by close().
    """

    def __init__(self, produce, done=None):
        self._produce, self._done, self._held, self._ended, self._failed = produce, done, b"", False, None
        self.passed = 0

    def _fill(self, size):
        parts, length = [self._held], len(self._held)
        while length < size and not (self._ended or self._failed):
            try:
                block = self._produce()
            except Broken as exc:
                self._failed, exc.origin = exc, exc.origin or self
                break
            self._ended = not block
            parts.append(block)
            length += len(block)
        self._held = b"".join(parts) if len(parts) > 1 else self._held
        if self._failed and not self._held:
            raise self._failed

    def peek(self, size=HEAD):
        """The first bytes of what comes, at most size, which stay."""
        self._fill(size)
        return self._held[:size]

    def read(self, size=BLOCK):
        """The next bytes, size of them unless the end or a break comes first."""
        self._fill(size)
        data, self._held = self._held[:size], self._held[size:]
        self.passed += len(data)
        return data

    def exactly(self, size, what):
        """The next size bytes, or Broken when the end comes first."""
        data = self.read(size)
        if len(data) < size:
            raise self.torn(what)
        return data

    def torn(self, what):
        """What to raise when the bytes for something are not all there."""
        return self._failed or Broken("it ends in the middle of %s" % what)

    def drain(self):
        """Read to the end."""
        while self.read():
            pass

    def close(self):
        """Let go of what the bytes come from."""
        if self._done:
            self._done()


def part(source, size, what):
    """A Reader of the next size bytes of another one; Broken when those are not there."""
    left = [size]

    def produce():
        data = source.read(min(BLOCK, left[0])) if left[0] else b""
        if left[0] and not data:
            raise source.torn(what)
        left[0] -= len(data)
        return data

    return Reader(produce)
