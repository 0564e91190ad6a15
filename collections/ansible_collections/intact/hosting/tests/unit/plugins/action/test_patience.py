# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A module on a host that is starting: tried again while waiting can mend it, and only then."""

from __future__ import annotations

from unittest import mock

import pytest
from ansible.errors import AnsibleConnectionFailure

from ansible_collections.intact.hosting.plugins.action import flight, flight_info, rollback, rollback_info, upgrade_runner, upgrade_state_info
from ansible_collections.intact.hosting.plugins.plugin_utils import _patience

KILLED = {"failed": True, "msg": "Module result deserialization failed: No start of json char found", "module_stdout": "", "module_stderr": "", "rc": 143}
GOOD = {"changed": False, "flight_id": "web1-upgrade-20261122t1134z"}


@pytest.fixture(name="ask")
def _ask(monkeypatch):
    clock = [0.0]
    printed = []
    monkeypatch.setattr(_patience.time, "sleep", lambda seconds: clock.__setitem__(0, clock[0] + seconds))
    monkeypatch.setattr(_patience.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(_patience, "display", mock.Mock(display=printed.append))

    def ask(answers, limit=60):
        task = mock.Mock(args={"reconnect_seconds": limit}, check_mode=False, async_val=0)
        action = flight_info.ActionModule(task, mock.Mock(), mock.Mock(), mock.Mock(), mock.Mock(), mock.Mock())
        left = list(answers)

        def execute(**_kwargs):
            answer = left.pop(0) if len(left) > 1 else left[0]
            if isinstance(answer, Exception):
                raise answer
            return answer

        with mock.patch("ansible.plugins.action.ActionBase.run", return_value={}), mock.patch.object(action, "_execute_module", execute):
            return action.run(task_vars={"inventory_hostname": "web1"}), printed, clock[0]

    return ask


def test_an_answer_is_handed_on(ask):
    assert ask([GOOD]) == (GOOD, [], 0.0)


def test_a_module_that_the_reboot_killed_runs_again(ask):
    result, printed, _clock = ask([KILLED, AnsibleConnectionFailure("timed out"), GOOD])
    assert result == GOOD
    assert len(printed) == 1 and printed[0].startswith("web1 does not answer") and "60 s" in printed[0]


def test_the_modules_own_failure_is_not_tried_again(ask):
    own = {"failed": True, "msg": "there is no flight x"}
    assert ask([own, GOOD]) == (own, [], 0.0)


def test_in_the_end_it_is_unreachable_as_ever(ask):
    with pytest.raises(AnsibleConnectionFailure, match="timed out"):
        ask([AnsibleConnectionFailure("timed out")])


def test_in_the_end_a_killed_module_has_failed(ask):
    result, _printed, clock = ask([KILLED])
    assert result == KILLED and 60 <= clock <= 63


@pytest.mark.parametrize("words", ["Permission denied (publickey).", "Host key verification failed.", "Could not resolve hostname web9"])
def test_what_waiting_cannot_mend_fails_at_once(ask, words):
    with pytest.raises(AnsibleConnectionFailure):
        ask([AnsibleConnectionFailure("Failed to connect to the host via ssh: " + words), GOOD])


def test_a_broken_python_is_not_waited_for_as_a_reboot_is(ask):
    broken = dict(KILLED, rc=1, module_stderr="Traceback (most recent call last):\nImportError: No module named json\n")
    result, printed, clock = ask([broken], limit=1800)
    assert result == broken and 60 <= clock <= 63
    assert "has a Python that does not work" in printed[0] and "60 s" in printed[0]
    assert ask([broken, GOOD], limit=1800)[0] == GOOD, "it was being replaced"


def test_a_module_that_the_reboot_cut_does_not_shorten_the_wait_for_it(ask):
    """Its traceback was the last word of the system that went down: a host that took more than a minute to come back was given up (seen on the machine)."""
    broken = dict(KILLED, rc=1, module_stderr="Traceback (most recent call last):\nFileNotFoundError: payload.zip\n")
    result, _printed, clock = ask([broken, *[AnsibleConnectionFailure("timed out during banner exchange")] * 60, GOOD], limit=1800)
    assert result == GOOD and clock > 120


def test_without_patience_nothing_is_tried_again(ask):
    with pytest.raises(AnsibleConnectionFailure):
        ask([AnsibleConnectionFailure("timed out"), GOOD], limit=0)


@pytest.mark.parametrize("plugin", [flight, flight_info, rollback, rollback_info, upgrade_runner, upgrade_state_info])
def test_the_modules_that_may_meet_a_reboot_have_it(plugin):
    assert issubclass(plugin.ActionModule, _patience.PatientAction)
