# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ask those who must say yes before a step, and write down who did and when. The host waits meanwhile, whatever becomes of us."""

from __future__ import annotations

import datetime
import os
import shlex
import time

from ansible.errors import AnsibleConnectionFailure, AnsibleError, AnsiblePromptInterrupt, AnsiblePromptNoninteractive
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.intact.hosting.plugins.module_utils import _confirm
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError, parse_time
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _stages

SPEC = {
    "state": {"type": "str", "choices": ["told", "pending", "asked"], "default": "asked"},
    "flight_id": {"type": "str", "default": ""},
    "before": {"type": "str", "default": ""},
    "confirmations": {"type": "list", "elements": "dict", "default": []},
    "approved_before": {"type": "str", "default": ""},
    "approved_by": {"type": "str", "default": ""},
    "poll": {"type": "float", "default": 5.0},
}
AWX = ("awx_workflow_job_id", "awx_job_id", "awx_user_name", "tower_workflow_job_id", "tower_job_id", "tower_user_name")

display = Display()


class ActionModule(ActionBase):
    """See the documentation of the module intact.hosting.confirm."""

    _requires_connection = True
    _VALID_ARGS = frozenset(SPEC)

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        checked = ArgumentSpecValidator(SPEC).validate(self._task.args)
        if checked.error_messages:
            raise AnsibleError("; ".join(checked.error_messages))
        args = checked.validated_parameters
        self.host, self.vars = (task_vars or {}).get("inventory_hostname", "?"), task_vars or {}
        try:
            entries = _confirm.check(args["confirmations"], _stages.ORDER)
            events = self._journal(args["flight_id"]) if args["flight_id"] else []
            waiting = _confirm.missing(entries, events)
            result.update(changed=False, stages=_confirm.stages(waiting), asked=[_confirm.said(entry) for entry in waiting], answers=[])
            if args["state"] == "asked":
                waiting = [entry for entry in waiting if entry["before"] == args["before"]]
                result["asked"] = [_confirm.said(entry) for entry in waiting]
            if args["state"] == "told" or self._task.check_mode:
                self._tell(waiting)
            elif args["state"] == "asked":
                for entry in waiting:
                    result["answers"].append(self._ask(entry, args, self._opened(events)))
                    result["changed"] = True
        except IntactError as exc:
            return dict(result, failed=True, msg="%s: %s" % (self.host, exc))
        return result

    def _journal(self, flight):
        """Events of the flight on the host."""
        answer = self._execute_module(module_name="intact.hosting.flight_info", module_args={"flight_id": flight}, task_vars=self.vars)
        if answer.get("failed"):
            raise IntactError("the journal of %s could not be read: %s" % (flight, answer.get("msg", "no reason given")))
        return answer.get("events") or []

    def _opened(self, events):
        """When the flight was opened, or the release that it is in begun, in seconds since 1970: no older file confirms it."""
        opening = next((entry for entry in _confirm.of_this_hop(events) if entry.get("event") in ("flight.open", "flight.hop")), None)
        return parse_time(opening["time"]).timestamp() if opening else datetime.datetime.now(datetime.timezone.utc).timestamp()

    def _tell(self, waiting):
        """Say who will be asked; a question at a terminal that is not there is refused now and not in the middle of the night."""
        for entry in waiting:
            line = "%s: %s" % (self.host, _confirm.said(entry))
            if entry["how"] == "prompt" and not self._task.check_mode:
                self._prompt(entry, line, 0)
            else:
                display.display(line)

    def _prompt(self, entry, text, seconds):
        """What was typed; IntactError without a terminal."""
        try:
            typed = display.prompt_until(text, seconds=seconds)
            if isinstance(typed, BaseException):
                # ansible-core hands the exception over as a value when a worker asks
                raise typed
        except AnsiblePromptNoninteractive:
            raise IntactError(
                "before %s %s is to be asked at a terminal, and there is none: start the playbook in a terminal, or use how: file or approval"
                % (entry["before"], entry["who"])
            ) from None
        except AnsiblePromptInterrupt:
            raise IntactError("nobody answered for %s before %s (interrupted)" % (entry["who"], entry["before"])) from None
        return typed.decode("utf-8", "replace")

    @staticmethod
    def _waits(entry):
        """What becomes of the host without a yes."""
        if entry["before"] == _confirm.GATE:
            return "nothing was changed on the host"
        return "the host waits before %s: start again to be asked again" % entry["before"]

    def _ask(self, entry, args, opened):
        """The journal's entry of a yes; IntactError without one."""
        try:
            by = getattr(self, "_by_" + entry["how"])(entry, args, opened)
        except IntactError as exc:
            raise IntactError("%s; %s" % (exc, self._waits(entry))) from exc
        fields = {"before": entry["before"], "who": entry["who"], "by": by, "how": entry["how"], "what": self._what(entry)}
        arguments = {"flight_id": args["flight_id"], "event": "confirmation", "fields": fields}
        done = self._execute_module(module_name="intact.hosting.flight_event", module_args=arguments, task_vars=self.vars)
        if done.get("failed"):
            raise IntactError("the yes of %s could not be written into the journal: %s" % (by, done.get("msg", "no reason given")))
        display.display("%s: %s said yes before %s (for %s)" % (self.host, by, entry["before"], entry["who"]), color="green")
        return fields

    def _what(self, entry):
        """What was said yes to, and in which job."""
        job = ", ".join("%s %s" % (key.split("_", 1)[1].replace("_", " "), self.vars[key]) for key in AWX if self.vars.get(key))
        step = "take-off after the pre-flight" if entry["before"] == _confirm.GATE else "stage %s" % entry["before"]
        return step + (" (%s)" % job if job else "")

    def _by_prompt(self, entry, args, opened):
        text = "%s: %s must say yes before %s. Type the name of who says yes and press Return (no: refuse):" % (self.host, entry["who"], entry["before"])
        by = _confirm.name(self._prompt(entry, text, int(entry["minutes"] * 60)), entry)
        if not by:
            raise IntactError("nobody answered for %s before %s within %g minutes" % (entry["who"], entry["before"], entry["minutes"]))
        return by

    def _by_file(self, entry, args, opened):
        display.display("%s: waits: %s" % (self.host, _confirm.said(entry)))
        until, problem = time.monotonic() + entry["minutes"] * 60, ""
        while True:
            text, now = self._file(entry, opened)
            if now and now != problem:
                display.warning("%s: %s" % (self.host, now))
            problem = now
            by = _confirm.name(text, entry) if text else ""
            if by:
                return by
            if time.monotonic() >= until:
                why = problem or ("%s is empty" % entry["path"] if text is not None else "%s is not there" % entry["path"])
                raise IntactError("%s did not say yes before %s within %g minutes: %s" % (entry["who"], entry["before"], entry["minutes"], why))
            time.sleep(args["poll"])

    def _file(self, entry, opened):
        """(text or None, problem) of the file, wherever it is."""
        if entry["place"] != "host":
            return _confirm.look(entry, opened)
        path = shlex.quote(entry["path"])
        command = _confirm.COMMAND % (path, shlex.quote(os.path.dirname(entry["path"])), path)
        try:
            answer = self._low_level_execute_command(command, executable="/bin/sh")
        except (AnsibleConnectionFailure, AnsibleError, OSError) as exc:
            return None, "the host does not answer: %s" % exc
        return _confirm.told(entry, opened, answer.get("stdout", ""))

    def _by_approval(self, entry, args, opened):
        by = _confirm.approved(entry, args["approved_before"], args["approved_by"])
        if not by:
            raise IntactError(
                "%s has not approved yet: approve it (AWX), or start again with intact_approved_before=%s and intact_approved_by=NAME"
                % (entry["who"], entry["before"])
            )
        return by
