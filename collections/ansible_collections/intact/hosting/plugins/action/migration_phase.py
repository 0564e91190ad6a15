# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A phase that takes hours: started on the host, watched from here, its progress shown. A lost connection does not end it."""

from __future__ import annotations

import shlex
import time

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.intact.hosting.plugins.module_utils._migration import _context

MODULE = "intact.hosting.migration_phase"
STATUS = "ansible.legacy.async_status"
# Lines of progress that one look shows.
LINES = 5
# How many looks in a row must find nobody at work before a phase counts as killed: between its lock and its result it ends by itself.
LOOKS = 3

display = Display()


class ActionModule(ActionBase):
    """See the documentation of the module intact.hosting.migration_phase."""

    _requires_connection = True

    def run(self, tmp=None, task_vars=None):
        """In check mode, and without limit_seconds, as any module; else started in the background and asked until it is done."""
        result = super().run(tmp, task_vars)
        args, host = dict(self._task.args), (task_vars or {}).get("inventory_hostname", "host")
        limit, poll = self._number(args, "limit_seconds", 0), self._number(args, "poll_seconds", 5)
        if self._task.check_mode or limit <= 0:
            result.update(self._execute_module(module_name=MODULE, module_args=args, task_vars=task_vars))
            return result
        before = max([*self._told(args), ""])
        started = self._start(args, int(limit), task_vars)
        job = started.get("ansible_job_id")
        if not job:
            result.update(started)
            return result
        result.update(self._watch(args, job, host, (limit, max(poll, 0.2), before), task_vars))
        return result

    @staticmethod
    def _number(args, name, default):
        try:
            return float(args.get(name) or default)
        except (TypeError, ValueError) as exc:
            raise AnsibleError("migration_phase: %s must be a number of seconds" % name) from exc

    def _start(self, args, limit, task_vars):
        """Begin the module in the background; the task itself stays a plain one."""
        before, self._task.async_val = self._task.async_val, limit
        try:
            return self._execute_module(module_name=MODULE, module_args=args, task_vars=task_vars, wrap_async=True)
        finally:
            self._task.async_val = before

    def _watch(self, args, job, host, times, task_vars):
        """The module's result, or one that says that it was not through in time. times: limit, poll, and the last line that an earlier run told."""
        limit, poll, seen = times
        until, lost, idle = time.monotonic() + limit + 60, "", 0
        while time.monotonic() < until:
            time.sleep(poll)
            try:
                seen = self._show(args, host, seen)
                told = self._status(job, "status", task_vars)
                idle = 0 if self._at_work(job) else idle + 1
                lost = ""
            except (AnsibleConnectionFailure, AnsibleError, OSError) as exc:
                if not lost:
                    display.warning("%s can't be reached (%s); the phase goes on there, and so do the tries" % (host, exc))
                lost = str(exc)
                self._reset()
                continue
            if told.get("finished") or (told.get("failed") and told.get("_ansible_parsed", True) and "could not find job" in str(told.get("msg", ""))):
                self._show(args, host, seen)
                self._status(job, "cleanup", task_vars)
                return {key: value for key, value in told.items() if key not in ("ansible_job_id", "results_file", "started", "finished", "stdout", "stderr")}
            if idle >= LOOKS:
                self._status(job, "cleanup", task_vars)
                msg = "%s: what worked on the phase %s was killed on the host: run the playbook again, it goes on where it was" % (host, args.get("phase"))
                return {"failed": True, "msg": msg}
        why = "the host could not be reached: %s" % lost if lost else "it is still at work or was ended"
        return {
            "failed": True,
            "msg": "%s: the phase %s was not through after %d s, %s; run it again, it goes on where it was" % (host, args.get("phase"), limit, why),
        }

    def _show(self, args, host, seen):
        """Show what was told since `seen`, the last line shown; returns the last line now."""
        lines = self._told(args)
        # each line begins with its moment, so that later ones are greater
        for line in [line for line in lines if line > seen]:
            display.display("%s: %s" % (host, line.split(" ", 1)[1]))
        return max([*lines, seen])

    def _told(self, args):
        """The last lines of progress of this phase."""
        path = "%s/%s/%s" % (str(args.get("directory") or _context.DIRECTORY).rstrip("/"), args.get("migration"), _context.PROGRESS)
        # before the phase tells anything there is no such file, and nothing to show
        answer = self._low_level_execute_command("tail -n %d %s 2>/dev/null || true" % (LINES, shlex.quote(path)), executable="/bin/sh")
        return [line for line in answer.get("stdout", "").splitlines() if " %s " % args.get("phase") in line]

    def _at_work(self, job):
        """Whether a process of the job is left on the host; its state file says nothing of one that was killed."""
        # the pattern does not find the shell that holds it
        words = "[%s]%s" % (job[0], job[1:].split(".")[0])
        # grep ends with 1 when it counts none; processes that end meanwhile are no error
        command = "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' | grep -c -e %s || true" % shlex.quote(words)
        answer = self._low_level_execute_command(command, executable="/bin/sh")
        return (answer.get("stdout") or "").strip() != "0"

    def _status(self, job, mode, task_vars):
        task = self._task.copy()
        task.args, task.async_val = {"jid": job, "mode": mode}, 0
        action = self._shared_loader_obj.action_loader.get(
            STATUS,
            task=task,
            connection=self._connection,
            play_context=self._play_context,
            loader=self._loader,
            templar=self._templar,
            shared_loader_obj=self._shared_loader_obj,
        )
        return action.run(task_vars=task_vars)

    def _reset(self):
        """Drop a connection that may hang on a path that is gone."""
        try:
            self._connection.reset()
        except Exception:  # pylint: disable=broad-except  # plugins raise what they like; the next try connects anew
            display.vvv("the connection could not be reset")
