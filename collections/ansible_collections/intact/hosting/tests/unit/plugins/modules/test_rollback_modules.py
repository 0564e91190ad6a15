# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Modules rollback and rollback_info as a whole, and check PF35: what they decide, and that check mode changes nothing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import ClassVar

import pytest

from ansible_collections.intact.hosting.plugins.module_utils import _command
from ansible_collections.intact.hosting.plugins.module_utils._command import which
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._preflight import _registry
from ansible_collections.intact.hosting.plugins.module_utils._preflight import rollback as check
from ansible_collections.intact.hosting.plugins.module_utils._report import _verdict
from ansible_collections.intact.hosting.plugins.modules import rollback, rollback_info

PREVIEW = {
    "mailboxes": [{"mailbox": "anna", "folder": "INBOX", "before": 12, "after": 14}],
    "databases": {"mariadb:shop": [{"table": "shop.orders", "before": 1, "after": 2, "how": "added"}]},
    "queue": 1,
    "blind": [{"what": "section mail", "why": "the look now: Dovecot does not answer"}],
}
LINES = [
    "mailbox anna INBOX: 12 messages, now 14",
    "database mariadb:shop: saved whole",
    "  table shop.orders: 1 rows, now 2 (added)",
    "mail queue: 1 new messages",
    "can't be told: section mail: the look now: Dovecot does not answer",
]


class Back:
    """A way back that only writes down what it is asked for."""

    where: ClassVar[str] = "new"
    refused: ClassVar[list] = []
    calls: ClassVar[list] = []
    memory: ClassVar[object] = {}

    def __init__(self, flight, job, options=None):
        self.flight, self.kept, self.place = flight, "/nowhere", None
        self.record = {"steps": {}}
        self.facts = {"name": "intact-" + flight, "taken": "2026-11-22T11:36:02.120Z"}
        self.driver = SimpleNamespace(NAME="lvm", state=lambda place, facts: {"whole": True, "percent": 12.5})

    def position(self):
        return Back.where

    def refusals(self):
        return Back.refused

    def preview(self):
        Back.calls.append("preview")
        return PREVIEW

    def go(self, until=""):
        Back.calls.append("go " + until)
        if Back.refused:
            raise IntactError(Back.refused[0])
        Back.where = Back.where if until else "switched"
        return {"steps": {"switch": {}}}

    def reboot(self):
        Back.calls.append("reboot")

    def settle(self, patience):
        Back.calls.append("settle")
        return ({"settled": ["/boot is as it was kept"]}, "") if len(Back.calls) > 1 else ({}, "intact-f-1-root: 42 % left to merge")

    def drop(self):
        Back.calls.append("drop")
        return "snapshot removed"


@pytest.fixture
def back(monkeypatch):
    Back.where, Back.refused, Back.calls = "new", [], []
    for module in (rollback, rollback_info):
        monkeypatch.setattr(module, "Back", Back)
        monkeypatch.setattr(module, "chosen", lambda flight: flight)
        monkeypatch.setattr(module._install, "read_job", lambda flight: {"settings": {}})
    Back.memory = {"snapshot": {"driver": "lvm"}}
    monkeypatch.setattr(rollback_info._state, "load", lambda flight: Back.memory and {"memory": Back.memory})
    return Back


@pytest.mark.parametrize("memory", [None, {"snapshot": None}, {"fact": 1}])
def test_there_is_nothing_to_drop_where_nothing_was_taken(back, call_module, memory):
    """Else a flight whose way back was decided after take-off could never be closed."""
    back.memory = memory
    result = call_module(rollback.main, flight_id="f-1", state="dropped")
    assert not result.get("failed") and not result["changed"] and back.calls == []


def test_it_goes_back_and_asks_for_the_reboot(back, call_module):
    result = call_module(rollback.main, flight_id="f-1")
    assert (result["changed"], result["position"], result["rebooting"]) == (True, "switched", True) and back.calls == ["go ", "reboot"]
    back.calls.clear()
    result = call_module(rollback.main, flight_id="f-1", reboot=False)
    assert not result["rebooting"] and back.calls == ["go "]


def test_check_mode_predicts_the_same_shows_what_is_saved_and_changes_nothing(back, call_module):
    result = call_module(rollback.main, check=True, diff=True, flight_id="f-1")
    assert (result["changed"], back.calls) == (True, ["preview"])
    assert result["lines"] == LINES and result["diff"]["after"].splitlines() == LINES
    for state in ("settled", "dropped", "saved"):
        back.calls.clear()
        assert call_module(rollback.main, check=True, flight_id="f-1", state=state)["changed"]
        assert set(back.calls) <= {"preview"}


def test_a_host_that_went_back_is_left_alone(back, call_module):
    back.where = "old"
    result = call_module(rollback.main, flight_id="f-1")
    assert (result["changed"], back.calls) == (False, [])
    first, second = (call_module(rollback.main, flight_id="f-1", state="settled") for _time in range(2))
    assert (first["settled"], first["lines"]) == (False, ["intact-f-1-root: 42 % left to merge"])
    assert (second["settled"], second["lines"]) == (True, ["/boot is as it was kept"])


def test_what_was_saved_first_is_not_gone_back_with_yet(back, call_module):
    result = call_module(rollback.main, flight_id="f-1", state="saved")
    assert back.calls == ["go save"] and result["position"] == "new" and not result["rebooting"]


@pytest.mark.parametrize("check_mode", [True, False])
def test_a_refusal_is_a_sentence(back, call_module, check_mode):
    back.refused = ["the snapshot can't be gone back to: intact-f-1-var ran full and is invalid"]
    result = call_module(rollback.main, check=check_mode, flight_id="f-1")
    assert result["failed"] and "ran full and is invalid" in result["msg"] and "reboot" not in back.calls


def test_no_flight_is_a_sentence(back, call_module):
    assert "no flight to go back from" in call_module(rollback.main)["msg"]
    assert call_module(rollback_info.main)["refusals"] == ["this host has no flight"]


def test_info_tells_and_never_changes(back, call_module):
    result = call_module(rollback_info.main, flight_id="f-1", preview=True)
    assert (result["changed"], result["position"], result["percent"], result["name"]) == (False, "new", 12.5, "intact-f-1")
    assert result["lines"] == LINES and back.calls == ["preview"]
    back.where = "switched"
    assert call_module(rollback_info.main, flight_id="f-1", preview=True)["lines"] == []


def context(**rollback_settings):
    return SimpleNamespace(options={"rollback": rollback_settings}, plan={}, proofs=[], host=SimpleNamespace(run=None))


def test_pf35_is_asked_and_says_what_was_decided():
    assert [c.run for c in _registry.CHECKS if c.number == "PF35"] == [check.possible]
    told = {
        "missing": [(f.id, f.severity) for f in check.possible(context())],
        "none": [(f.id, f.severity) for f in check.possible(context(driver="none"))],
        "unknown": [(f.id, f.severity) for f in check.possible(context(driver="zfs"))],
        "misspelt": [(f.id, f.severity, f.subject) for f in check.possible(context(driver="lvm", exlude=["/home"]))],
        "restore": [(f.id, f.severity) for f in check.possible(context(driver="restore"))],
    }
    assert told == {
        "missing": [("rollback.none", "warning")],
        "none": [("rollback.declined", "info")],
        "unknown": [("rollback.driver", "blocker")],
        "misspelt": [("rollback.setting", "blocker", "exlude")],
        "restore": [("rollback.unproven", "blocker")],
    }


def test_pf35_really_asks_this_host():
    """Nothing is pretended: whatever this machine is on, the answer is findings, and never a traceback."""
    if not which("lvs") or not which("findmnt"):
        pytest.skip("lvm2 or util-linux is not installed")
    real = context(driver="lvm")
    real.host.run = _command.run
    assert all(f.id.startswith("rollback.") for f in check.possible(real))
    real.options["rollback"] = {"driver": "btrfs"}
    assert all(f.id.startswith("rollback.") for f in check.possible(real))


@pytest.mark.parametrize(("go", "word", "said"), [(True, "FAILED", "it is the system before the work"), (False, "LOSS", "it differs from before")])
def test_the_report_tells_what_came_of_it_and_not_what_the_new_system_lacked(go, word, said):
    lost = {"severity": "blocker", "status": "open", "id": "sites.gone", "subject": "shop", "title": "gone"}
    sources = {"events": [{"event": "gate", "name": "postflight", "go": False}, {"event": "gate", "name": "rollback", "go": go}]}
    sources["events"].append({"event": "flight.close", "verdict": "rolled-back"})
    sources["postflight"] = {"go": False, "findings": [lost]}
    verdict = _verdict.decide(sources, {"host": "web1", "target": "Debian 13"}, {"verdict": "rolled-back"}, [])
    assert verdict["word"] == word and said in verdict["sentence"]
