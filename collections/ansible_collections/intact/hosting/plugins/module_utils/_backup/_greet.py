# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""The first words with a repository, said beside the first look at the host: dead locks taken away, clocks held against each other."""

from __future__ import annotations

import datetime
import threading

from ansible_collections.intact.hosting.plugins.module_utils._backup import _clock
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError


class Greeting:
    """One repository, in a thread that lives until all is said: what it starts would be killed with it."""

    def __init__(self, restic, host, clock):
        self._restic, self._host, self._clock = restic, host, clock
        self._findings, self._error, self._raised = [], "", None
        # a run that is stopped does not wait for it
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def wait(self):
        """(findings, what did not work or "")."""
        self._thread.join()
        if self._raised is not None:
            raise self._raised
        return self._findings, self._error

    def _run(self):
        try:
            self._speak()
        except BaseException as exc:  # pylint: disable=broad-except
            self._raised = exc

    def _speak(self):
        server, newest = _clock.server_time(self._restic.repository), ""
        try:
            self._restic.unlock_stale()
            newest = max((shot["time"] for shot in self._restic.snapshots(("intact",), self._host)), default="")
        except IntactError as exc:
            self._error = "%s: %s" % (self._restic.name, exc)
        now = datetime.datetime.fromtimestamp(self._clock(), datetime.timezone.utc)
        self._findings = _clock.judge(self._restic.name, now, server, newest)
