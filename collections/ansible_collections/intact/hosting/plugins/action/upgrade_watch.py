# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Watch the runner on a host until it stops. The host does not need us: a lost connection is normal."""

from __future__ import annotations

import json
import os
import time

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.intact.hosting.plugins.module_utils import _flight
from ansible_collections.intact.hosting.plugins.module_utils._files import write_document
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _state, _watch

SPEC = {
    "flight_id": {"type": "str", "required": True},
    "progress_directory": {"type": "path"},
    "poll": {"type": "float", "default": 3.0},
    "lost_limit": {"type": "int", "default": 1800},
    "held_stages": {"type": "list", "elements": "str", "default": []},
    "opened": {"type": "str", "default": ""},
    "budget_seconds": {"type": "int", "default": 0},
    "budgets": {"type": "dict", "default": {}},
}

display = Display()


class ActionModule(ActionBase):
    """Polls /var/lib/intact/upgrade/<flight>/state.json by cat: Python on the host is replaced meanwhile."""

    _requires_connection = True
    _VALID_ARGS = frozenset(SPEC)

    def run(self, tmp=None, task_vars=None):
        """Poll until the runner is done, failed or stopped."""
        result = super().run(tmp, task_vars)
        checked = ArgumentSpecValidator(SPEC).validate(self._task.args)
        if checked.error_messages:
            raise AnsibleError("; ".join(checked.error_messages))
        args, host = checked.validated_parameters, (task_vars or {}).get("inventory_hostname", "?")
        _flight.check_id(args["flight_id"])
        if self._task.check_mode:
            return dict(result, skipped=True, msg="nothing runs in check mode", state={}, stages=[], held="")
        watch = _watch.Watch(host, args["lost_limit"], args["held_stages"])
        while True:
            text, error = self._look(args["flight_id"])
            verdict = watch.heard(text, time.monotonic()) if error is None else watch.lost(error, time.monotonic())
            self._tell(args, watch)
            if verdict:
                return dict(result, **verdict)
            time.sleep(args["poll"])

    def _look(self, flight):
        """(text, None) from the host, or (None, why it cannot be reached)."""
        command = _watch.COMMAND % os.path.join(_state.directory(flight), "state.json")
        try:
            answer = self._low_level_execute_command(command, executable="/bin/sh")
        except (AnsibleConnectionFailure, AnsibleError, OSError) as exc:
            self._reset()
            return None, str(exc)
        if _watch.END not in answer.get("stdout", ""):
            self._reset()
            return None, (answer.get("stderr") or "no answer").strip()[-300:]
        return answer["stdout"], None

    def _reset(self):
        """Drop a connection that may hang on a path that is gone."""
        try:
            self._connection.reset()
        except Exception:  # pylint: disable=broad-except  # plugins raise what they like; the next try connects anew
            display.vvv("the connection could not be reset")

    def _tell(self, args, watch):
        """Write what is known where the callback flight_progress reads it."""
        if not args["progress_directory"]:
            return
        os.makedirs(args["progress_directory"], mode=0o700, exist_ok=True)
        document = dict(watch.state, host=watch.host, polled=_flight.now(), reachable=watch.reachable, lost_since=watch.lost_since)
        document.update({key: args[key] for key in ("opened", "budget_seconds", "budgets")})
        write_document(os.path.join(args["progress_directory"], "progress.json"), json.loads(json.dumps(document)))
