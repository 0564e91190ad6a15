# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What a running backup tells of itself, line by line: how far it is, whether it still moves, and its summary."""

from __future__ import annotations

import json
import time

EVERY = 2.0
# A status that says the same for so long: the connection is dead and nobody noticed.
STALL = 1800.0


class Watch:
    """Reads the JSON lines of a running backup: the summary, and how far it is."""

    def __init__(self, progress, stall, clock=time.monotonic):
        self.summary, self.rest, self.call = {}, b"", None
        self._progress, self._stall, self._clock = progress, stall, clock
        self._told, self._moved, self._state = None, clock(), None

    def line(self, text):
        """One line of output."""
        try:
            message = json.loads(text)
        except ValueError:
            self.rest += text
            return
        if message.get("message_type") == "summary":
            self.summary = message
        elif message.get("message_type") == "status":
            self._status(message)

    def _status(self, message):
        now = self._clock()
        state = (message.get("bytes_done", 0), message.get("files_done", 0), message.get("total_bytes", 0))
        if state != self._state:
            self._state, self._moved = state, now
        elif self._stall and now - self._moved > self._stall and self.call:
            self.call.stop("gave-up")
        if self._progress and (self._told is None or now - self._told >= EVERY):
            self._told = now
            left = message.get("seconds_remaining")
            self._progress(
                {
                    "bytes": state[0],
                    "bytes_total": state[2],
                    "files": state[1],
                    "files_total": message.get("total_files", 0),
                    # Nothing done yet is told as the age of the universe.
                    "eta": left if left is not None and left < 1 << 31 else None,
                }
            )
