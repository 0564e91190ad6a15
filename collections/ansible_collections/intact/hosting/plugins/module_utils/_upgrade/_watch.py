# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What a watcher makes of what it hears from a runner, and of not hearing it: pure."""

from __future__ import annotations

import json

from ansible_collections.intact.hosting.plugins.module_utils import _flight

END = "--intact-end--"
# cat and systemctl only: the host's Python may be between two versions.
COMMAND = "cat %s; echo; echo --intact-units--; systemctl is-active intact-upgrade.service intact-upgrade.timer 2>&1; echo " + END
FINAL = ("done", "failed", "stopped", "rolled-back")
# So many looks in a row must find neither runner nor timer before it is taken for gone.
GONE = 10


class Watch:
    """One watcher. heard() and lost() return None to go on, or the task's result."""

    def __init__(self, host, lost_limit, held_stages=()):
        self.host = host
        self.held_stages = tuple(held_stages)
        self.lost_limit = lost_limit
        self.state = {}
        self.reachable = True
        self.lost_since = None
        self.gaps = []
        self._lost_at = None
        self._gone = 0

    def heard(self, text, now):
        """Take an answer of COMMAND at a moment (monotonic seconds)."""
        if self._lost_at is not None:
            self.gaps.append({"since": self.lost_since, "seconds": round(now - self._lost_at, 1)})
        self.reachable, self.lost_since, self._lost_at = True, None, None
        # SSH gives a command a terminal, which ends lines with CR LF.
        document, _mark, units = text.replace("\r\n", "\n").partition("\n--intact-units--\n")
        try:
            self.state = json.loads(document)
        except ValueError:
            # Not written yet, or not there: the runner begins by writing it.
            pass
        words = units.split()
        self._gone = 0 if {"active", "activating", "deactivating", "reloading"} & set(words[:2]) else self._gone + 1
        if self.state.get("status") in FINAL:
            return self._final()
        if self.state.get("held") and self.state.get("stage") in self.held_stages:
            return self._waits()
        if self._gone >= GONE:
            message = self.state.get("message") or "nothing was heard of it"
            return self._failed(
                "%s: the runner is not there and nothing will start it (%s). Start the upgrade again: it goes on where it stopped" % (self.host, message)
            )
        return None

    def lost(self, error, now):
        """Take a failure to reach the host."""
        if self._lost_at is None:
            self._lost_at, self.lost_since = now, _flight.now()
        self.reachable = False
        away = now - self._lost_at
        if away < self.lost_limit:
            return None
        stage, held = self.state.get("stage") or "an unknown stage", self.state.get("held")
        return self._failed(
            "%s cannot be reached for %d s (%s); it was %s %s when it was last heard. Nothing is lost: the host %s. "
            "Look at its console; when it answers, start the upgrade again to go on watching"
            % (self.host, away, error, "held before" if held else "in", stage, "waits as asked" if held else "goes on by itself")
        )

    def _waits(self):
        held = self.state["stage"]
        return {"changed": True, "held": held, "state": self.state, "stages": self._stages(), "gaps": self.gaps, "msg": "the host waits before %s" % held}

    def _final(self):
        state = self.state
        if state["status"] == "done":
            return {"changed": True, "state": state, "held": "", "stages": self._stages(), "gaps": self.gaps, "msg": "the upgrade is done"}
        if state["status"] == "rolled-back":
            return self._failed("%s: went back to the system before this flight: end that with roll-back-host.yml" % self.host)
        lines = "".join("\n    " + line for line in state.get("last_lines", [])[-6:])
        word = "stopped before" if state["status"] == "stopped" else "failed in"
        return self._failed(
            "%s: the upgrade %s %s: %s. Next: %s%s"
            % (self.host, word, state["stage"], state["message"], state["next"], ("\n  last lines of the log:" + lines) if lines else "")
        )

    def _failed(self, message):
        return {"failed": True, "changed": bool(self.state), "msg": message, "held": "", "state": self.state, "stages": self._stages(), "gaps": self.gaps}

    def _stages(self):
        known = self.state.get("stages") or {}
        return [dict(known[name], stage=name) for name in self.state.get("order") or [] if name in known and known[name].get("status")]
