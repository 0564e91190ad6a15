# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What a restore has done already."""

from __future__ import annotations

import json
import os
import threading
import time

from ansible_collections.intact.hosting.plugins.module_utils._files import append_durable, read_if_exists


class Journal:
    """What was done, one line each, so that a cut restore goes on where it was: {step, stage, ...}."""

    def __init__(self, directory):
        self.path, self._lock = os.path.join(directory, "journal.jsonl"), threading.Lock()
        self.events = []
        for line in (read_if_exists(self.path) or b"").splitlines():
            try:
                self.events.append(json.loads(line))
            except ValueError:
                continue  # torn by a power cut: that stage is done again

    def add(self, step, stage, **more):
        """Remember that a stage of a step is done."""
        event = dict(more, step=step, stage=stage, time=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
        with self._lock:
            self.events.append(event)
            append_durable(self.path, json.dumps(event, sort_keys=True).encode("utf-8", "backslashreplace"))

    def last(self, step, stage):
        """The newest event of a stage of a step, or None."""
        return next((event for event in reversed(self.events) if event["step"] == step and event["stage"] == stage), None)

    def has(self, step, stage):
        """Whether a stage of a step is done."""
        return self.last(step, stage) is not None

    def failed(self):
        """{unit: event} of services that did not run again, and were not found mended since."""
        out = {}
        for event in self.events:
            if event["stage"] == "unit":
                out[event["unit"]] = event
            elif event["stage"] == "mended":
                out.pop(event["unit"], None)
        return out
