# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A phase that is watched: lost connections, a phase that takes too long, and nothing of the background in the result."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

from ansible_collections.intact.hosting.plugins.action import migration_phase

ARGS = {"phase": "files", "migration": "web1", "limit_seconds": 60, "poll_seconds": 1}


@pytest.fixture(name="watch")
def fixture_watch(monkeypatch):
    """watch(answers, check_mode): run the task; answers of the job are given in turn, exceptions are raised. Time is counted in sleeps."""
    clock, asked, shown = [0.0], [], []
    monkeypatch.setattr(ActionBase, "run", lambda self, tmp, task_vars: {})
    monkeypatch.setattr(migration_phase.time, "sleep", lambda seconds: clock.__setitem__(0, clock[0] + seconds))
    monkeypatch.setattr(migration_phase.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(migration_phase.display, "display", shown.append)
    monkeypatch.setattr(migration_phase.display, "warning", shown.append)

    def run(answers, check_mode=False, lines="", before="", at_work="1", **args):
        action = object.__new__(migration_phase.ActionModule)
        action._task = SimpleNamespace(args=dict(ARGS, **args), check_mode=check_mode, async_val=0)
        action._connection = SimpleNamespace(reset=lambda: asked.append("reset"))
        told = iter([before])
        action._low_level_execute_command = lambda command, executable: (
            {"stdout": at_work} if "/proc/" in command else asked.append(command) or {"stdout": next(told, lines)}
        )

        def execute(module_name, module_args, task_vars, wrap_async=False):
            asked.append(("module", wrap_async, action._task.async_val))
            return {"ansible_job_id": "j1", "changed": True} if wrap_async else {"changed": True}

        def status(job, mode, task_vars):
            asked.append((job, mode))
            one = next(given) if mode == "status" else {}
            if isinstance(one, Exception):
                raise one
            return one

        given = iter(answers)
        action._execute_module, action._status = execute, status
        return action.run(task_vars={"inventory_hostname": "web1"}), asked, shown

    return run


def test_it_goes_on_over_a_lost_connection_and_cleans_up(watch):
    done = {"finished": True, "changed": True, "status": "done", "ansible_job_id": "j1", "results_file": "x"}
    result, asked, shown = watch([{"finished": False}, AnsibleConnectionFailure("no route"), AnsibleConnectionFailure("no route"), done])
    assert result == {"changed": True, "status": "done"}
    assert ("module", True, 60) in asked and asked.count("reset") == 2 and asked[-1] == ("j1", "cleanup")
    assert sum("can't be reached" in line for line in shown) == 1


def test_a_line_of_progress_is_shown_once_and_only_of_this_phase(watch):
    lines = "2026-11-23T09:59:59Z files failed\n2026-11-23T10:00:00Z files 5 files\n2026-11-23T10:00:01Z files 9 files\n2026-11-23T09:00:00Z mail x\n"
    _result, asked, shown = watch([{"finished": False}, {"finished": True}], lines=lines, before="2026-11-23T09:59:59Z files failed\n", migration="we b")
    assert shown == ["web1: files 5 files", "web1: files 9 files"]
    assert any("'/var/lib/intact/migrations/we b/progress.log'" in command for command in asked if isinstance(command, str))


def test_a_phase_that_takes_too_long_says_how_to_go_on(watch):
    result, _asked, _shown = watch([{"finished": False}] * 1000)
    assert result["failed"] and "was not through after 60 s" in result["msg"] and "goes on where it was" in result["msg"]


def test_a_phase_that_was_killed_on_the_host_is_told_soon(watch):
    result, asked, _shown = watch([{"finished": False}] * 1000, at_work="0\n")
    assert result["failed"] and "was killed on the host" in result["msg"] and "goes on where it was" in result["msg"]
    assert asked.count(("j1", "status")) == migration_phase.LOOKS


def test_a_phase_whose_end_is_seen_late_is_not_taken_for_killed(watch):
    result, _asked, _shown = watch([{"finished": False}, {"finished": True, "changed": True}], at_work="0\n")
    assert result == {"changed": True}


def test_a_module_that_failed_in_the_background_fails(watch):
    result, _asked, _shown = watch([{"finished": True, "failed": True, "msg": "this is another disk"}])
    assert result == {"failed": True, "msg": "this is another disk"}


@pytest.mark.parametrize("more", [{"check_mode": True}, {"limit_seconds": 0}])
def test_check_mode_and_no_limit_run_it_in_one_go(watch, more):
    result, asked, _shown = watch([], **more)
    assert result == {"changed": True} and asked == [("module", False, 0)]
