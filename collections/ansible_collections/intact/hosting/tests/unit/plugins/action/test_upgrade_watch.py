# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The watcher as a task: what it asks the host, what it writes for the callback, how it ends."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase

from ansible_collections.intact.hosting.plugins.action import upgrade_watch
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _state, _watch


def answer(status, **fields):
    """What the host prints."""
    state = dict(_state.fresh("f-1"), status=status, **fields)
    return {"stdout": "%s\n\n--intact-units--\nactive\nactive\n%s\n" % (json.dumps(state), _watch.END), "stderr": "", "rc": 0}


@pytest.fixture
def watch(monkeypatch, tmp_path):
    """watch(answers, check_mode) runs the task against a host that gives these answers in turn; exceptions are raised."""
    monkeypatch.setattr(ActionBase, "run", lambda self, tmp, task_vars: {})
    monkeypatch.setattr(upgrade_watch.time, "sleep", lambda seconds: None)
    asked = []

    def run(answers, check_mode=False, **args):
        action = object.__new__(upgrade_watch.ActionModule)
        action._task = SimpleNamespace(args=dict({"flight_id": "f-1", "progress_directory": str(tmp_path)}, **args), check_mode=check_mode)
        action._connection = SimpleNamespace(reset=lambda: asked.append("reset"))
        given = iter(answers)

        def execute(command, executable=None):
            asked.append(command)
            one = next(given)
            if isinstance(one, Exception):
                raise one
            return one

        action._low_level_execute_command = execute
        return action.run(task_vars={"inventory_hostname": "web1"}), asked, tmp_path / "progress.json"

    return run


def test_it_goes_on_over_a_lost_connection_and_ends_when_the_host_is_done(watch):
    lost = [AnsibleConnectionFailure("no route"), {"stdout": "", "stderr": "ssh: timed out", "rc": 255}]
    result, asked, progress = watch([answer("running", stage="full"), *lost, answer("done")], budget_seconds=60)
    assert not result.get("failed")
    assert result["state"]["status"] == "done"
    assert asked.count("reset") == 2
    assert len(result["gaps"]) == 1
    written = json.loads(progress.read_text())
    assert (written["host"], written["reachable"], written["budget_seconds"], written["status"]) == ("web1", True, 60, "done")
    assert progress.stat().st_mode & 0o777 == 0o600


def test_it_needs_no_python_on_the_host(watch):
    _result, asked, _progress = watch([answer("done")])
    assert "python" not in asked[0]
    assert asked[0].startswith("cat /var/lib/intact/upgrade/f-1/state.json")


def test_a_host_that_stays_away_ends_the_watching_and_is_told(watch):
    result, _asked, progress = watch([answer("running", stage="full"), AnsibleConnectionFailure("no route")], lost_limit=0)
    assert result["failed"]
    assert "Nothing is lost" in result["msg"]
    assert json.loads(progress.read_text())["reachable"] is False


def test_check_mode_asks_nothing(watch):
    result, asked, _progress = watch([], check_mode=True)
    assert result["skipped"]
    assert asked == []


def test_a_wrong_argument_is_named(watch):
    with pytest.raises(AnsibleError, match="poll"):
        watch([], poll="often")


def test_it_ends_when_the_host_waits_for_somebody_who_must_say_yes_and_only_there(watch):
    waits = [answer("running", stage="full", held=True), answer("running", stage="reboot", held=False), answer("running", stage="reboot", held=True)]
    result, _asked, _progress = watch(waits, held_stages=["reboot"])
    assert result["held"] == "reboot" and not result.get("failed")
    result, _asked, _progress = watch([answer("running", stage="reboot", held=True), answer("done")])
    assert result["held"] == "" and result["state"]["status"] == "done"
