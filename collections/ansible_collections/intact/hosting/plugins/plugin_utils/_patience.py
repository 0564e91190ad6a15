# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run a module on a host that may be starting: a lost connection is normal while a host upgrades itself."""

from __future__ import annotations

import re
import time

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

WAIT = 3.0
# What no waiting mends; the words are those of ssh, of name resolution and of container engines.
HOPELESS = re.compile(r"permission denied|host key verification|identification has changed|could not resolve|no such container|unable to find", re.I)
# How ansible-core names a module that was killed, or whose interpreter went away under it.
CUT = re.compile(r"^(MODULE FAILURE|Module result deserialization failed)")
# A host that answers with a traceback is up: its Python is being replaced, which takes seconds, or it is broken.
REPLACING = 60

display = Display()


def cut_off(result):
    """Why a module's result is not the module's own word, or "" when it is. Pure."""
    said = str(result.get("msg") or "")
    if result.get("unreachable") or (result.get("failed") and "module_stdout" in result and CUT.search(said)):
        return (str(result.get("module_stderr") or "").strip() or said or "no answer")[-200:]
    return ""


class PatientAction(ActionBase):
    """Runs the module of the task's name again while the host cannot be reached. Only for modules that may run twice."""

    _requires_connection = True

    def run(self, tmp=None, task_vars=None):
        """Run the module, at most O(reconnect_seconds) long."""
        result = super().run(tmp, task_vars)
        host = (task_vars or {}).get("inventory_hostname", "?")
        limit, start, told = int(self._task.args.get("reconnect_seconds") or 0), time.monotonic(), False
        # since when it answers with tracebacks; one that goes away after that is starting, and has all its time
        broken = None
        while True:
            failure, answer = None, {}
            try:
                answer = self._execute_module(task_vars=task_vars)
                why = cut_off(answer)
            except AnsibleConnectionFailure as exc:
                failure, why = exc, str(exc)
            if not why:
                return dict(result, **answer)
            if HOPELESS.search(why) or time.monotonic() - start >= limit:
                if failure:
                    raise failure
                return dict(result, **answer)
            what, patience = "does not answer (%s); it may be starting", limit
            if "Traceback" in str(answer.get("module_stderr")):
                broken = time.monotonic() if broken is None else broken
                what, patience = "has a Python that does not work (%s); it may be being replaced", min(limit, REPLACING)
                if time.monotonic() - broken >= patience:
                    return dict(result, **answer)
            else:
                broken = None
            if not told:
                display.display("%s %s: trying again for up to %d s" % (host, what % why.strip()[-120:], patience))
                told = True
            self._reset()
            time.sleep(WAIT)

    def _reset(self):
        """Forget what belongs to the connection that went away, its temporary directory included."""
        self._connection._shell.tmpdir = None
        try:
            self._connection.reset()
        except Exception:  # pylint: disable=broad-except  # plugins raise what they like; the next try connects anew
            display.vvv("the connection could not be reset")
