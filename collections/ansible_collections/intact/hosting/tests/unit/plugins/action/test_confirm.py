# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The action confirm: who is asked how, what the journal gets, and that it refuses instead of hanging."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from ansible.errors import AnsibleConnectionFailure, AnsibleError, AnsiblePromptInterrupt, AnsiblePromptNoninteractive
from ansible.plugins.action import ActionBase

from ansible_collections.intact.hosting.plugins.action import confirm

OPENED = {"event": "flight.open", "time": "2026-11-22T11:00:00Z"}


@pytest.fixture
def ask(monkeypatch):
    """ask(how, ..., typed=, journal=): run the task; what it wrote into the journal is in ask.written, what it displayed in ask.shown."""
    monkeypatch.setattr(ActionBase, "run", lambda self, tmp, task_vars: {})
    written, shown = [], []

    def run(entries, check_mode=False, typed=b"", journal=(OPENED,), on_host="", task_vars=None, **args):
        action = object.__new__(confirm.ActionModule)
        action._task = SimpleNamespace(args=dict({"flight_id": "f-1", "confirmations": entries, "poll": 0.01}, **args), check_mode=check_mode)

        def execute(module_name, module_args, task_vars):
            if module_name.endswith("flight_info"):
                return {"events": list(journal)}
            written.append(module_args)
            return {}

        def prompt_until(text, seconds=None):
            shown.append((text, seconds))
            if isinstance(typed, type):
                raise typed("x")
            return typed

        def low(command, executable=None):
            if isinstance(on_host, Exception):
                raise on_host
            return {"stdout": on_host}

        action._execute_module, action._low_level_execute_command = execute, low
        monkeypatch.setattr(confirm.display, "prompt_until", prompt_until)
        monkeypatch.setattr(confirm.display, "display", lambda text, **more: shown.append((text, None)))
        monkeypatch.setattr(confirm.display, "warning", lambda text, **more: shown.append((text, "warning")))
        return action.run(task_vars=dict({"inventory_hostname": "web1"}, **(task_vars or {})))

    run.written, run.shown = written, shown
    return run


def one(how, **more):
    return dict({"before": "reboot", "who": "data centre", "how": how}, **more)


def test_a_typed_name_is_written_down_with_who_and_what(ask):
    result = ask([one("prompt", minutes=2)], before="reboot", typed=b"Jo Smith", task_vars={"awx_workflow_job_id": 7})
    fields = {"before": "reboot", "who": "data centre", "by": "Jo Smith", "how": "prompt", "what": "stage reboot (workflow job id 7)"}
    assert ask.written == [{"flight_id": "f-1", "event": "confirmation", "fields": fields}]
    assert result["changed"] and result["answers"] == [fields] and ask.shown[0][1] == 120


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (b"", "nobody answered for data centre before reboot within 60 minutes"),
        (b"no", "data centre said no before reboot"),
        (AnsiblePromptNoninteractive, "start the playbook in a terminal, or use how: file or approval"),
        (AnsiblePromptInterrupt, "interrupted"),
    ],
)
def test_without_a_yes_it_fails_says_that_the_host_waits_and_writes_nothing(ask, typed, words):
    result = ask([one("prompt")], before="reboot", typed=typed)
    assert result["failed"] and result["msg"].startswith("web1: ") and words in result["msg"]
    assert "the host waits before reboot: start again to be asked again" in result["msg"]
    assert ask.written == []


def test_an_exception_that_a_worker_gets_as_a_value_is_one(ask):
    assert "no" in ask([one("prompt")], before="reboot", typed=AnsiblePromptNoninteractive("x"))["msg"]
    assert ask.written == []


def test_who_answered_is_not_asked_again(ask):
    answered = dict(one("prompt"), event="confirmation")
    result = ask([one("prompt"), one("approval", who="boss")], before="reboot", journal=[OPENED, answered], approved_before="reboot", approved_by="Ada")
    assert [a["who"] for a in result["answers"]] == ["boss"] and ask.written[0]["fields"]["by"] == "Ada"
    assert not [s for s in ask.shown if s[1] == 3600]


def test_pending_gives_the_stages_to_wait_before_and_asks_nobody(ask):
    entries = [one("prompt"), one("approval", before="gate"), one("file", before="full", path="/run/x")]
    result = ask(entries, state="pending")
    assert result["stages"] == ["full", "reboot"] and not ask.shown and not ask.written and not result["changed"]


def test_check_mode_tells_who_will_be_asked(ask):
    result = ask([one("prompt"), one("approval", who="boss")], state="told", check_mode=True, typed=AnsiblePromptNoninteractive)
    assert len(result["asked"]) == 2 and "before stage reboot data centre is asked at the terminal" in ask.shown[0][0] and not result.get("failed")


def test_a_terminal_that_is_not_there_is_told_before_the_flight(ask):
    assert "there is none" in ask([one("prompt")], state="told", typed=AnsiblePromptNoninteractive)["msg"]
    assert not ask([one("prompt")], state="told").get("failed")


def test_a_missing_approval_says_how_to_give_it(ask):
    result = ask([one("approval", before="gate")], before="gate", approved_before="reboot", approved_by="Jo")
    assert "intact_approved_before=gate and intact_approved_by=NAME" in result["msg"] and "nothing was changed on the host" in result["msg"]


def test_a_file_on_the_controller(ask, tmp_path):
    path = tmp_path / "yes"
    path.write_text("Jo\n")
    path.chmod(0o600)
    assert ask([one("file", path=str(path))], before="reboot")["answers"][0]["by"] == "Jo"
    path.unlink()
    result = ask([one("file", path=str(path), minutes=0.001)], before="reboot")
    assert "is not there" in result["msg"]
    path.write_text("")
    assert "is empty" in ask([one("file", path=str(path), minutes=0.001)], before="reboot")["msg"]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("81a4 0 99999999999\n41ed 0\nJo\n", ""),
        ("81a4 1000 99999999999\n41ed 0\nJo\n", "must be root's"),
        ("", "is not there"),
        (AnsibleConnectionFailure("no route"), "does not answer"),
    ],
)
def test_a_file_on_the_host(ask, answer, words):
    result = ask([one("file", path="/run/it's", place="host", minutes=0.001)], before="reboot", on_host=answer)
    assert (words in result["msg"]) if words else result["answers"][0]["by"] == "Jo"


def test_wrong_settings_are_a_sentence(ask):
    assert ask([one("prompt", before="rebot")], state="told")["msg"].startswith("web1: distro_upgrade_confirm: no such stage")
    with pytest.raises(AnsibleError):
        ask([one("prompt")], state="perhaps")


def test_a_file_of_the_release_before_confirms_nothing(ask, tmp_path):
    path = tmp_path / "yes"
    path.write_text("Jo Smith\n")
    path.chmod(0o600)
    hop = {"event": "flight.hop", "time": "2099-01-01T00:00:00Z", "number": 2}
    assert not ask([one("file", path=str(path), minutes=0.001)], before="reboot").get("failed")
    result = ask([one("file", path=str(path), minutes=0.001)], before="reboot", journal=(OPENED, hop))
    assert result["failed"] and "it confirmed an earlier one" in result["msg"]
