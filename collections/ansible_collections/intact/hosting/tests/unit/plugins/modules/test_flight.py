# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""flight and flight_event, on real directories."""

from __future__ import annotations

import json
import os
import re

import pytest

from ansible_collections.intact.hosting.plugins.module_utils import _flight
from ansible_collections.intact.hosting.plugins.modules import flight, flight_event


@pytest.fixture
def root(tmp_path):
    return str(tmp_path / "flights")


def journal(root, name):
    return _flight.read(name, root)[0]


def test_open_makes_directory_pointer_and_event(call_module, root):
    result = call_module(flight.main, root=root, host="web1", source="Debian 12", target="Debian 13", budget_seconds=3600, budgets={"full": 600})
    assert result["changed"] and not result["resumed"]
    assert re.match(r"^web1-upgrade-\d{8}t\d{4}z$", result["flight_id"])
    assert os.stat(result["directory"]).st_mode & 0o777 == 0o700
    assert _flight.current(root) == result["flight_id"]
    (event,) = journal(root, result["flight_id"])
    assert event["event"] == "flight.open" and event["budgets"] == {"full": 600}
    assert event["window"]["budget_seconds"] == 3600 and event["source"] == "Debian 12"


def test_second_open_continues(call_module, root):
    first = call_module(flight.main, root=root, host="web1", budget_seconds=60, budgets={"full": 5})
    second = call_module(flight.main, root=root, host="web1", note="after Ctrl-C")
    assert second["flight_id"] == first["flight_id"] and second["resumed"] and not second["changed"]
    assert second["opened"] == first["opened"] and (second["budget_seconds"], second["budgets"]) == (60, {"full": 5})
    assert [e["event"] for e in journal(root, first["flight_id"])] == ["flight.open", "note"]


def test_check_mode_writes_nothing(call_module, root):
    result = call_module(flight.main, check=True, root=root, host="web1")
    assert result["changed"] and result["flight_id"].startswith("web1-upgrade-")
    assert not os.path.exists(root)


def test_other_kind_is_refused_with_a_sentence(call_module, root):
    first = call_module(flight.main, root=root, host="web1", kind="migration")
    result = call_module(flight.main, root=root, host="web1", kind="upgrade")
    assert result["failed"] and first["flight_id"] in result["msg"] and "close it" in result["msg"]


def test_close_then_open_makes_a_new_one(call_module, root):
    first = call_module(flight.main, root=root, host="web1")
    closed = call_module(flight.main, root=root, state="closed", verdict="loss", note="a mailbox is gone")
    assert closed["changed"] and closed["flight_id"] == first["flight_id"]
    assert journal(root, first["flight_id"])[-1]["verdict"] == "loss"
    again = call_module(flight.main, root=root, state="closed", verdict="loss")
    assert not again["changed"] and again["flight_id"] == ""
    new = call_module(flight.main, root=root, host="web1")
    assert not new["resumed"] and new["flight_id"] != first["flight_id"]


def test_close_needs_a_verdict(call_module, root):
    assert "verdict" in call_module(flight.main, root=root, state="closed")["msg"]


def test_cut_between_pointer_and_journal_is_healed(call_module, root):
    _flight.set_current("web1-upgrade-20261122t1134z", root)
    result = call_module(flight.main, root=root, host="web1")
    assert result["flight_id"] == "web1-upgrade-20261122t1134z" and result["resumed"] and result["changed"]
    assert journal(root, result["flight_id"])[0]["event"] == "flight.open"


def test_cut_between_close_and_pointer_is_not_an_open_flight(call_module, root):
    first = call_module(flight.main, root=root, host="web1")
    _flight.append(first["flight_id"], "flight.close", root, verdict="intact")
    second = call_module(flight.main, root=root, host="web1")
    assert not second["resumed"] and second["flight_id"] == first["flight_id"] + "-2"


@pytest.mark.parametrize("content", [b"../../etc", b"\x00\xff", b"", b"UPPER"])
def test_a_damaged_pointer_is_no_flight(root, content):
    os.makedirs(root)
    with open(os.path.join(root, "current"), "wb") as handle:
        handle.write(content)
    assert _flight.current(root) == ""


def test_bad_kind(call_module, root):
    assert "lower-case word" in call_module(flight.main, root=root, kind="../x")["msg"]


def test_event_is_appended_and_once_is_once(call_module, root):
    name = call_module(flight.main, root=root, host="web1")["flight_id"]
    fields = {"what": "waive PF33", "who": "ada", "why": "snapshot by the provider"}
    first = call_module(flight_event.main, root=root, event="decision", fields=fields, once=True)
    second = call_module(flight_event.main, root=root, event="decision", fields=fields, once=True)
    assert first["changed"] and not second["changed"] and first["flight_id"] == name
    assert sum(e["event"] == "decision" for e in journal(root, name)) == 1


def test_event_check_mode(call_module, root):
    name = call_module(flight.main, root=root, host="web1")["flight_id"]
    assert call_module(flight_event.main, check=True, root=root, event="note", fields={"text": "x"})["changed"]
    assert len(journal(root, name)) == 1


@pytest.mark.parametrize(
    ("event", "fields", "sentence"),
    [
        ("note", {}, "lacks text"),
        ("stage.end", {"stage": "full", "result": "good"}, "ok, failed or skipped"),
        ("decision", {"what": "x"}, "lacks who, why"),
        ("note", {"text": "x", "time": "yesterday"}, "must not set time"),
    ],
)
def test_event_refusals(call_module, root, event, fields, sentence):
    call_module(flight.main, root=root, host="web1")
    assert sentence in call_module(flight_event.main, root=root, event=event, fields=fields)["msg"]


def test_event_without_a_flight(call_module, root):
    assert "no flight is open" in call_module(flight_event.main, root=root, event="note", fields={"text": "x"})["msg"]
    assert "no journal" in call_module(flight_event.main, root=root, event="note", fields={"text": "x"}, flight_id="web1-typo")["msg"]


def test_event_choices_are_the_journals_own():
    assert set(flight_event.NEEDED) == {name for name in _flight.EVENTS if not name.startswith(("flight.", "runner."))}


def test_a_torn_line_does_not_swallow_the_next(call_module, root):
    name = call_module(flight.main, root=root, host="web1")["flight_id"]
    with open(os.path.join(root, name, "journal.jsonl"), "ab") as handle:
        handle.write(b'{"event": "note", "te')
    call_module(flight_event.main, root=root, event="note", fields={"text": "after the cut"})
    events, torn = _flight.read(name, root)
    assert torn == 1 and events[-1]["text"] == "after the cut"
    assert json.dumps(events)


def test_gates_and_proofs_have_names(call_module, root):
    name = call_module(flight.main, root=root, host="web1")["flight_id"]
    call_module(flight_event.main, root=root, event="proof", fields={"name": "restore drill", "taken": "2026-11-21T02:10:00Z"})
    call_module(flight_event.main, root=root, event="gate", fields={"name": "preflight", "go": False})
    assert [(e["event"], e.get("name")) for e in journal(root, name)][1:] == [("proof", "restore drill"), ("gate", "preflight")]
