# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The gate as an action: what it prints, writes, refuses, and that check mode writes nothing."""

from __future__ import annotations

import json
import os
from unittest import mock

import pytest
from ansible.errors import AnsibleActionFail

from ansible_collections.intact.hosting.plugins.action import gate

FINDING = {"id": "packages.held", "severity": "blocker", "subject": "unzip", "title": "held", "evidence": "6.0 on hold", "remedy": "decide it."}
NOTE = {"id": "a.b", "severity": "info", "subject": "x", "title": "a note"}
WAIVER = {"id": "packages.held", "subject": "unzip", "reason": "r", "who": "jane", "expires": "2099-12-31"}


class Gate(gate.ActionModule):
    """The action without a connection: remembers what it would run on the host."""

    def __init__(self, args, check_mode=False):
        task = mock.Mock(args=args, check_mode=check_mode, async_val=0, diff=False, environment=[], delegate_to=None)
        super().__init__(task, mock.Mock(), mock.Mock(), mock.Mock(), mock.Mock(), mock.Mock())
        self.ran = []

    def _run(self, module, arguments, task_vars, trouble):
        content = None
        if "src" in arguments:
            with open(arguments["src"], encoding="utf-8") as handle:
                content = json.load(handle)
        self.ran.append((module, arguments, content))


@pytest.fixture(name="ask")
def _ask(monkeypatch):
    printed = []
    monkeypatch.setattr(gate, "Display", lambda: mock.Mock(display=lambda line, color=None: printed.append(line)))

    def ask(check_mode=False, **args):
        action = Gate(dict({"name": "preflight", "findings": []}, **args), check_mode)
        with mock.patch("ansible.plugins.action.ActionBase.run", return_value={}):
            return action.run(task_vars={"inventory_hostname": "web1"}), action.ran, printed

    return ask


def test_go_prints_one_line_and_writes_nothing_unasked(ask):
    result, ran, printed = ask(findings=[NOTE])
    assert not result.get("failed") and result["verdict"]["go"] and ran == []
    assert len(printed) == 1 and printed[0].startswith("web1 pre-flight: GO")


def test_no_go_is_one_sentence_with_host_thing_and_remedy(ask):
    result, _ran, printed = ask(findings=[NOTE, FINDING])
    assert result["failed"]
    assert (
        result["msg"]
        == "web1: pre-flight says NO GO: 1 blocker; first: unzip: held (6.0 on hold); decide it. Clear it or add waivers to preflight_waivers, and run again"
    )
    assert any(line.startswith("BLOCK  packages.held  unzip") for line in printed)
    # a failed task's result is printed again, so it is short
    assert "table" not in result and [f["id"] for f in result["verdict"]["findings"]] == ["packages.held"]


def test_telling_only(ask):
    result, _ran, _printed = ask(findings=[FINDING], enforce=False)
    assert not result.get("failed") and not result["verdict"]["go"] and len(result["table"]) > 1


def test_a_waiver_lets_it_go_and_an_expired_one_does_not(ask):
    assert not ask(findings=[FINDING], waivers=[WAIVER])[0].get("failed")
    result = ask(findings=[FINDING], waivers=[dict(WAIVER, expires="2020-01-01")])[0]
    assert result["failed"] and "expired on 2020-01-01" in result["msg"] and "jane" in result["msg"]


def test_a_waiver_that_waives_nothing_is_told(ask):
    assert ask(waivers=[WAIVER])[2][-1].startswith("unused waiver: packages.held unzip")


@pytest.mark.parametrize(
    "waiver, word", [(dict(WAIVER, who=""), "lacks who"), (dict(WAIVER, expires="soon"), "'soon' is not a date"), (dict(WAIVER, id="*"), "waives everything")]
)
def test_a_bad_waiver_is_named_with_its_variable(ask, waiver, word):
    with pytest.raises(AnsibleActionFail, match=word) as caught:
        ask(findings=[FINDING], waivers=[waiver], waivers_variable="preflight_waivers")
    assert "web1" in str(caught.value) and "preflight_waivers" in str(caught.value)


@pytest.mark.parametrize("args", [{"findings": "x"}, {"name": ""}, {"findings": [{"id": "x"}]}, {"findings": [dict(FINDING, severity="bad")]}])
def test_bad_input_is_refused_without_a_traceback(ask, args):
    with pytest.raises(AnsibleActionFail):
        ask(**args)


def test_the_verdict_is_kept_with_its_binding_and_the_journal_gets_an_event(ask):
    checks = [{"check": "PF06", "title": "t", "seconds": 0.1, "findings": 1}]
    _result, ran, _printed = ask(findings=[FINDING], checks=checks, binding={"host_id": "a"}, dest="/var/lib/intact/x.json", flight_id="f-1")
    (copy, arguments, document), (event, fields, _none) = ran
    assert (copy, arguments["dest"], arguments["mode"]) == ("ansible.legacy.copy", "/var/lib/intact/x.json", "0600")
    assert document["binding"] == {"host_id": "a"} and document["checks"] == checks and document["go"] is False and document["host"] == "web1"
    assert not os.path.exists(arguments["src"])
    assert (
        event == "intact.hosting.flight_event"
        and fields["flight_id"] == "f-1"
        and fields["fields"]["go"] is False
        and fields["fields"]["counts"]["blocker"] == 1
    )


def test_check_mode_decides_and_writes_nothing(ask):
    result, ran, _printed = ask(check_mode=True, findings=[FINDING], dest="/x.json", flight_id="f-1")
    assert result["failed"] and ran == []


def test_lines_fit_the_asked_width(ask):
    _result, _ran, printed = ask(findings=[dict(FINDING, evidence="word " * 60)], width=70)
    assert max(len(line) for line in printed) <= 70
