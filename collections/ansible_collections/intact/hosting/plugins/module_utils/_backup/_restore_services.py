# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Services around a restore: reloaded when a site is there, stopped while what they write is put in place, started again afterwards and looked at."""

from __future__ import annotations

import time

from ansible_collections.intact.hosting.plugins.module_utils._command import run as run_command
from ansible_collections.intact.hosting.plugins.module_utils._command import which

SETTLE = 30


def _units(patterns, states):
    """Names of loaded services and timers that match shell patterns and are in one of these states."""
    if not patterns:
        return []
    argv = ["systemctl", "list-units", "--all", "--plain", "--no-legend", "--no-pager", "--state=" + ",".join(states), "--"] + list(patterns)
    return [line.split()[0] for line in run_command(argv, check=False).text.splitlines() if line.split()]


class Services:
    """reload: after each site. stop: {class: [pattern]}, while the class is restored. restart: database servers, when their settings came.

    finish: at the end of a whole restore. All are shell patterns of units; only units that run are touched.
    """

    def __init__(self, reload=(), stop=None, restart=(), finish=()):
        self.after_site, self.while_class, self.after_settings, self.at_end = list(reload), dict(stop or {}), list(restart), list(finish)

    def reload(self):
        """[(unit, why)] of what could not be reloaded after a site."""
        return self._all(self.after_site, "reload-or-restart")

    def restart(self):
        """[(unit, why)]: settings of database servers came."""
        return self._all(self.after_settings, "restart")

    def finish(self):
        """[(unit, why)]: everything else that came is read now."""
        run_command(["systemctl", "daemon-reload"], check=False)
        if which("update-ca-certificates"):
            # authorities of the administrator's own came with /usr/local
            run_command(["update-ca-certificates"], check=False, timeout=300)
        return self._all(self.at_end, "reload-or-restart")

    def begin(self, timers):
        """[(timer, why)] of timers that came and are meant to run."""
        run_command(["systemctl", "daemon-reload"], check=False)
        return self._each(timers, "start")

    def running(self, name):
        """Units that have to be stopped for a class."""
        return _units(self.while_class.get(name, ()), ["active", "activating", "reloading"])

    def stop(self, units):
        """[(unit, why)] of those that could not be stopped."""
        # sockets would start them again
        return self._each(sorted(units, key=lambda unit: not unit.endswith(".socket")), "stop")

    def retry(self, unit, what):
        """[(unit, why)] when what failed in an earlier run fails still. what: reloaded, restarted, started."""
        return self._each([unit], {"reloaded": "reload-or-restart", "restarted": "restart", "started": "start"}[what])

    def start(self, units):
        """[(unit, why)] of those that do not run again."""
        return self._each(sorted(units, key=lambda unit: unit.endswith(".socket")), "start")

    def _all(self, patterns, verb):
        out = []
        for pattern in patterns:
            out += self._each(_units([pattern], ["active", "failed"]), verb)
        return out

    @staticmethod
    def _each(units, verb):
        out = []
        for unit in units:
            done = run_command(["systemctl", verb, "--", unit], check=False, timeout=600)
            why = (done.error or "systemctl %s ended with %d" % (verb, done.rc)).strip().splitlines()[0] if done.rc else ""
            # the exit code tells of the job; what runs is looked at
            if not why and verb != "stop" and not _runs(unit):
                why = "it was started and does not run: journalctl -u %s" % unit
            if why:
                out.append((unit, why))
        return out


def _runs(unit):
    deadline = time.monotonic() + SETTLE
    while time.monotonic() < deadline:
        shown = run_command(["systemctl", "show", unit, "-p", "ActiveState,Type,Result,ActiveEnterTimestampMonotonic"], check=False).text
        state = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
        if state.get("ActiveState") == "active" or (state.get("Type") == "oneshot" and state.get("Result") == "success"):
            return True
        if state.get("ActiveState") == "failed":
            return False
        time.sleep(0.2)
    return False
