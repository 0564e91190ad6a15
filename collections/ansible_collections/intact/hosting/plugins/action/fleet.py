# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The fleet's journal on the controller: waves are made, begun and judged here. Runs in ansible-core itself, whatever becomes of the hosts."""

from __future__ import annotations

import os

from ansible.errors import AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.intact.hosting.plugins.module_utils import _fleet
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

LOOKED = {
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["ready", "open", "refused", "lost", "done", "watched"], "required": True},
    "reason": {"type": "str", "default": ""},
    "flight": {"type": "str", "default": ""},
}
SPEC = {
    "state": {"type": "str", "choices": ["opened", "wave", "begun", "ended", "closed"], "required": True},
    "root": {"type": "path", "required": True},
    "fleet_id": {"type": "str", "default": ""},
    "fresh": {"type": "bool", "default": False},
    "looked": {"type": "list", "elements": "dict", "options": LOOKED, "default": []},
    "waves": {"type": "list", "elements": "str", "default": list(map(str, _fleet.WAVES))},
    "canary": {"type": "list", "elements": "str", "default": []},
    "on_refusal": {"type": "str", "choices": ["continue", "stop"], "default": "continue"},
    "wave_budget_seconds": {"type": "int", "default": 0},
    "wave": {"type": "int", "default": 0},
    "hosts": {"type": "list", "elements": "str", "default": []},
    "host": {"type": "str", "default": ""},
    "outcome": {"type": "str", "default": ""},
    "flight": {"type": "str", "default": ""},
    "reason": {"type": "str", "default": ""},
}

display = Display()


class ActionModule(ActionBase):
    """See the documentation of the module intact.hosting.fleet."""

    _requires_connection = False
    _VALID_ARGS = frozenset(SPEC)

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        checked = ArgumentSpecValidator(SPEC).validate(self._task.args)
        if checked.error_messages:
            raise AnsibleError("; ".join(checked.error_messages))
        args = checked.validated_parameters
        if args["state"] != "opened" and not _fleet.ID.match(args["fleet_id"]):
            return dict(result, failed=True, msg="fleet_id %r is not the id of a fleet" % args["fleet_id"])
        self.directory = os.path.join(args["root"], args["fleet_id"])
        try:
            return dict(result, **getattr(self, "_" + args["state"])(args))
        except IntactError as exc:
            return dict(result, failed=True, msg=str(exc))
        except OSError as exc:
            return dict(result, failed=True, msg="the fleet's journal below %s cannot be written: %s" % (args["root"], exc))

    def _note(self, name, **fields):
        if not self._task.check_mode:
            _fleet.append(self.directory, name, **fields)

    def _opened(self, args):
        """Open a fleet or go on with the one of these hosts that is open; make its waves."""
        known, hosts = {entry["name"]: entry for entry in args["looked"]}, list(dict.fromkeys(args["hosts"]))
        if not hosts:
            raise IntactError("the fleet has no hosts: name some of the inventory in intact_hosts")
        unheard = {"state": "lost", "reason": "it could not be looked at: it does not answer", "flight": ""}
        looked = {host: known.get(host, dict(unheard, name=host)) for host in hosts}
        strange = [host for host in args["canary"] if host not in looked]
        if strange:
            raise IntactError("intact_canary names %s, which is none of the fleet's hosts" % ", ".join(strange))
        fleet, events = ("", []) if args["fresh"] else _fleet.unfinished(args["root"], hosts)
        resumed = bool(fleet)
        gone = set(_fleet.finished(events))
        flying = [host for host in hosts if looked[host]["state"] in ("ready", "open") or host in gone]
        again = [host for host in hosts if looked[host]["state"] == "open"]
        waves = _fleet.make(flying, args["waves"], args["canary"], again, gone)
        fleet = fleet or _fleet.new_id(os.listdir(args["root"]) if os.path.isdir(args["root"]) else [])
        self.directory = os.path.join(args["root"], fleet)
        if not self._task.check_mode:
            os.makedirs(self.directory, mode=0o700, exist_ok=True)
        if not resumed:
            settings = {key: args[key] for key in ("canary", "on_refusal", "wave_budget_seconds")}
            self._note("fleet.open", fleet=fleet, hosts=hosts, waves=args["waves"], settings=settings)
        self._note("fleet.run", resumed=resumed)
        stop = ""
        for host in hosts:
            entry = looked[host]
            if entry["state"] not in ("ready", "open") and host not in gone:
                self._note("host.left", host=host, state=entry["state"], reason=entry["reason"], flight=entry["flight"])
            if entry["state"] in ("refused", "lost") and args["on_refusal"] == "stop" and not stop:
                stop = "%s was %s before anything flew%s" % (host, "refused" if entry["state"] == "refused" else "not reached", _fleet.said(entry))
        if stop:
            self._note("fleet.stop", wave=0, reason=stop)
            waves = []
        begun = max([entry.get("wave") or 0 for entry in events] or [0])
        numbered = [{"wave": begun + number, "hosts": wave} for number, wave in enumerate(waves, 1)]
        for entry in numbered:
            display.display("wave %d: %s" % (entry["wave"], ", ".join(entry["hosts"])))
        for host in hosts:
            if looked[host]["state"] in ("refused", "lost"):
                display.display("left out: %s: %s%s" % (host, looked[host]["state"], _fleet.said(looked[host])), color="yellow")
        queue = [{"name": host, "wave": entry["wave"], "keeper": host == ""} for entry in numbered for host in [*entry["hosts"], ""]]
        queue = [dict(item, name=item["name"] or "intact-wave-%d" % item["wave"]) for item in queue]
        sizes = [len(entry["hosts"]) + 1 for entry in numbered]
        told = {"fleet_id": fleet, "directory": self.directory, "resumed": resumed, "waves": numbered, "queue": queue, "sizes": sizes, "stop": stop}
        return dict(told, changed=True)

    def _settled(self, args):
        """Events, after hosts that began and never ended were written down as lost."""
        events = _fleet.read(self.directory)
        for host in _fleet.missing(events):
            why = "the controller lost it on the way; what it was doing goes on by itself, or its power is off: look at its console"
            wave = _fleet.outcomes(events)[host]["wave"]
            self._note("host.end", host=host, wave=wave, state="lost", flight="", reason=why)
        return _fleet.read(self.directory)

    def _wave(self, args):
        """Begin a wave unless the one before stops the fleet."""
        events = self._settled(args)
        run = _fleet.run(events)
        stopped = next((entry["reason"] for entry in run if entry["event"] == "fleet.stop"), "")
        stop = stopped or _fleet.stop(run, args["on_refusal"], args["wave_budget_seconds"])
        if stop:
            if not stopped:
                display.display("STOP before wave %d: %s" % (args["wave"], stop), color="red")
                self._note("fleet.stop", wave=args["wave"], reason=stop)
            return {"changed": False, "stop": stop}
        self._note("wave.begin", wave=args["wave"], hosts=args["hosts"])
        return {"changed": True, "stop": ""}

    def _begun(self, args):
        self._note("host.begin", host=args["host"], wave=args["wave"])
        return {"changed": False}

    def _ended(self, args):
        if args["outcome"] not in _fleet.STATES:
            raise IntactError("outcome %r is none of %s" % (args["outcome"], ", ".join(_fleet.STATES)))
        self._note("host.end", host=args["host"], wave=args["wave"], state=args["outcome"], flight=args["flight"], reason=args["reason"])
        return {"changed": False}

    def _closed(self, args):
        """Judge; a fleet is closed only when every host is at a good end."""
        events = self._settled(args)
        worst, left = _fleet.verdict(events)
        stops = [entry for entry in events if entry["event"] == "fleet.stop"]
        if not left and not any(entry["event"] == "fleet.close" for entry in events):
            self._note("fleet.close", verdict=worst)
        found = _fleet.outcomes(events)
        flights = {host: known["flight"] for host, known in found.items() if known["flight"]}
        reason = stops[-1]["reason"] if stops and left else ""
        return {"changed": True, "verdict": worst, "left": left, "stop": reason, "flights": flights, "closed": not left}
