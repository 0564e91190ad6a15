# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Go or no-go: prints the table, writes the verdict, and is the only thing that stops a flight."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile

from ansible.errors import AnsibleActionFail
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.intact.hosting.plugins.module_utils import _flight
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError, gate, table

TITLES = {"preflight": "pre-flight", "postflight": "post-flight"}
PLAYBOOKS = {"preflight": "check-host", "postflight": "verify-host"}


def sentence(verdict, host, name, waivers_variable):
    """What an operator reads when the gate says no: host, first thing, what to do."""
    blockers = [entry for entry in verdict["findings"] if entry["status"] != "waived" and entry["severity"] == "blocker"]
    first = blockers[0]
    return "%s: %s says NO GO: %d blocker%s; first: %s: %s%s; %s. Clear %s or add waivers to %s, and run again" % (
        host,
        TITLES.get(name, name),
        len(blockers),
        "" if len(blockers) == 1 else "s",
        first["subject"],
        first["title"],
        " (%s)" % first["evidence"][:160] if first["evidence"] else "",
        (first["remedy"] or "see the table")[:240].rstrip("."),
        "it" if len(blockers) == 1 else "them",
        waivers_variable,
    )


def width(wanted):
    """Columns of the table: as asked, else the terminal's, else 100."""
    return int(wanted) if int(wanted or 0) else max(60, min(160, shutil.get_terminal_size((100, 24)).columns)) if sys.stdout.isatty() else 100


class ActionModule(ActionBase):
    """See the documentation of the module intact.hosting.gate."""

    _requires_connection = True
    _VALID_ARGS = frozenset(("name", "findings", "checks", "waivers", "binding", "flight_id", "dest", "enforce", "waivers_variable", "infos", "width"))

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        task_vars = task_vars or {}
        args = self._task.args
        name, host = args.get("name"), task_vars.get("inventory_hostname", "host")
        if not name or not isinstance(args.get("findings"), list):
            raise AnsibleActionFail("gate needs name and findings (a list)")
        waivers = args.get("waivers") or []
        variable = args.get("waivers_variable") or "%s_waivers" % name
        try:
            verdict = gate([Finding.from_dict(entry) for entry in args["findings"]], waivers)
        except (IntactError, TypeError, KeyError, ValueError, AttributeError) as exc:
            said = "%s: %s (in %s)" % (host, exc, variable) if isinstance(exc, IntactError) else "%s: a finding or a waiver is not one: %s" % (host, exc)
            raise AnsibleActionFail(said) from exc
        unused = [
            w for w in waivers if not any(e["waiver"] and e["waiver"]["id"] == w["id"] and e["waiver"]["subject"] == w["subject"] for e in verdict["findings"])
        ]
        lines = table(verdict, host, TITLES.get(name, name), width(args.get("width", 0)), boolean(args.get("infos", False)))
        lines += ["unused waiver: %s %s (until %s)" % (w["id"], w["subject"], w["expires"]) for w in unused]
        for line in lines:
            Display().display(
                line,
                color="red" if line.startswith("BLOCK") or ": NO GO" in line else "yellow" if line.startswith("warn") else "green" if ": GO " in line else None,
            )
        result.update(changed=False, verdict=verdict, table=lines)
        if not self._task.check_mode:
            self._keep(args, name, host, verdict, task_vars)
        if not verdict["go"] and boolean(args.get("enforce", True)):
            # the table was printed: a failed task's result is printed as well, and should fit
            blockers = [entry for entry in verdict["findings"] if entry["severity"] == "blocker" and entry["status"] != "waived"]
            result.update(failed=True, msg=sentence(verdict, host, name, variable), verdict=dict(verdict, findings=blockers))
            del result["table"]
        return result

    def _keep(self, args, name, host, verdict, task_vars):
        """The verdict file on the host and the event in the flight's journal."""
        if args.get("dest"):
            document = dict(verdict, name=name, host=host, made=_flight.now(), checks=args.get("checks") or [], binding=args.get("binding") or {})
            handle, source = tempfile.mkstemp(prefix="intact-gate-")
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as out:
                    json.dump(document, out, sort_keys=True, indent=1)
                self._run(
                    "ansible.legacy.copy", dict(src=source, dest=args["dest"], mode="0600"), task_vars, "the verdict could not be written to %s" % args["dest"]
                )
            finally:
                os.unlink(source)
        if args.get("flight_id"):
            fields = dict(name=name, go=verdict["go"], counts=verdict["counts"])
            self._run(
                "intact.hosting.flight_event",
                dict(flight_id=args["flight_id"], event="gate", fields=fields),
                task_vars,
                "the journal of %s could not be written" % args["flight_id"],
            )

    def _run(self, module, arguments, task_vars, trouble):
        """Run a module or action on the host; AnsibleActionFail names what went wrong."""
        if module == "ansible.legacy.copy":
            task = self._task.copy()
            task.args = arguments
            action = self._shared_loader_obj.action_loader.get(
                module,
                task=task,
                connection=self._connection,
                play_context=self._play_context,
                loader=self._loader,
                templar=self._templar,
                shared_loader_obj=self._shared_loader_obj,
            )
            done = action.run(task_vars=task_vars)
        else:
            done = self._execute_module(module_name=module, module_args=arguments, task_vars=task_vars)
        if done.get("failed"):
            raise AnsibleActionFail("%s: %s: %s" % (task_vars.get("inventory_hostname", "host"), trouble, done.get("msg", "no reason given")))
