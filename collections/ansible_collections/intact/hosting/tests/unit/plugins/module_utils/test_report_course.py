# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What happened on the way, in the report: hops, who said yes and when, stalls, warnings of the time, the dead man's alarm."""

from __future__ import annotations

import os

from ansible_collections.intact.hosting.plugins.module_utils import _findings
from ansible_collections.intact.hosting.plugins.module_utils._report import _html, _load, _model, _text
from ansible_collections.intact.hosting.tests.unit.plugins import flight_fixture as fixture

YES = {"event": "confirmation", "time": fixture.at(400), "before": "reboot", "who": "data centre", "by": "Ada <b>", "how": "file", "what": "stage reboot"}
STALL = {"event": "note", "time": fixture.at(200), "about": "stall", "text": "no sign of work for 20 min (dpkg, process 12)"}
MOVES = {"event": "note", "time": fixture.at(300), "about": "stall", "text": "it moves again after 25 min"}
USED = {"event": "runner.budget", "time": fixture.at(350), "percent": 75, "spent": 2700, "budget": 3600, "text": "75 % of the time for this work is used"}
STRUCK = {"event": "alarm", "time": fixture.at(450), "source": "dead man", "minutes": 30, "text": "no verdict on flight f-1 within 30 min after its reboot"}
HOP = {"event": "flight.hop", "time": fixture.at(700), "number": 2, "source": "Debian 12", "target": "Debian 13"}


def drawn(tmp_path, *more, first=None, **documents):
    events = fixture.journal(close="intact")
    closed = events.pop()
    events[0] = dict(events[0], source="Debian 11") if any(e["event"] == "flight.hop" for e in more) else events[0]
    events += [*more, dict(closed, time=fixture.at(2000))]
    directory = fixture.write(str(tmp_path / fixture.ID), events=sorted(events, key=lambda e: e["time"]), **documents)
    if first is not None:
        os.makedirs(os.path.join(directory, "hop-1"))
        fixture.write(os.path.join(directory, "hop-1"), **first)
    model = _model.build(_load.load(directory), fixture.ID, fixture.at(3000))
    return model, _html.page(model), _text.report(model)


def test_a_quiet_flight_has_no_such_section(tmp_path):
    model, page, text = drawn(tmp_path)
    assert model["hops"] == model["stalls"] == model["budget_warnings"] == model["alarms"] == []
    assert 'id="way"' not in page and "On the way" not in text


def test_who_said_yes_and_when(tmp_path):
    _drawn, page, text = drawn(tmp_path, YES)
    assert "<td>reboot</td><td>data centre</td><td>Ada &lt;b&gt;</td><td>file</td>" in page and "22 Nov 2026, 11:40 UTC" in page
    assert "confirmed before reboot: asked data centre, said by Ada <b> (file), 22 Nov 2026, 11:40 UTC" in " ".join(text.split())


def test_stalls_and_what_the_time_was_used_for(tmp_path):
    model, page, text = drawn(tmp_path, STALL, MOVES, USED)
    assert len(model["stalls"]) == 2 and model["budget_warnings"][0]["percent"] == 75
    assert any(c.startswith("1 time that a package command showed no sign of work") for c in model["caveats"])
    for said in (page, " ".join(text.split())):
        assert "Stall: no sign of work for 20 min" in said and "Stall: it moves again" in said and "Time: 75 % of the time" in said


def test_the_dead_mans_alarm_is_on_the_first_screen_and_not_the_watchs(tmp_path):
    model, page, _said = drawn(tmp_path, STRUCK)
    assert any("The dead man's alarm: no verdict on flight f-1" in c for c in model["caveats"]) and model["watch"] is None
    assert "Alarm: no verdict on flight f-1" in page


def gates(second):
    return [
        {"event": "gate", "name": name, "go": True, "counts": {"waived": 1}, "time": fixture.at(second + n)}
        for n, name in enumerate(("preflight", "postflight"))
    ]


def test_each_hop_has_its_own_gates_and_time(tmp_path):
    model, page, text = drawn(tmp_path, HOP, *gates(1800), first={})
    assert [(h["number"], h["source"], h["target"], h["seconds"]) for h in model["hops"]] == [
        (1, "Debian 11", "Debian 12", 700.0),
        (2, "Debian 12", "Debian 13", 1300.0),
    ]
    assert all(h["preflight"]["go"] and h["postflight"]["go"] and h["sections"] == len(fixture.SUMMARIES) for h in model["hops"])
    assert "Debian 11 to Debian 12 in 11 min 40 s; pre-flight go, 1 waived, post-flight go" in page and "hop 2: Debian 12 to Debian 13" in text
    assert "Next release: Debian 12 to Debian 13" in page and "hop-1/postflight.json" in model["files"]


def test_a_hop_that_nobody_judged_says_so(tmp_path):
    model, page, _said = drawn(tmp_path, HOP)
    assert model["hops"][1]["postflight"] is None and "post-flight did not decide" in page


def test_what_was_waived_in_the_first_hop_is_answered_for_in_the_whole_flight(tmp_path):
    model, page, _said = drawn(tmp_path, HOP, *gates(1800), first={}, preflight=_findings.gate([], [], fixture.BEGIN))
    assert [(w["gate"], w["who"]) for w in model["waivers"]] == [("preflight (hop 1)", "Ada")] and "ticket 4711" in page


def test_a_hops_document_that_cannot_be_read_is_told(tmp_path):
    directory = fixture.write(str(tmp_path / fixture.ID), events=[*fixture.journal(), HOP])
    os.makedirs(os.path.join(directory, "hop-1"))
    with open(os.path.join(directory, "hop-1", "postflight.json"), "w", encoding="utf-8") as handle:
        handle.write("{")
    model = _model.build(_load.load(directory), fixture.ID, fixture.at(3000))
    assert any(c.startswith("hop-1/postflight.json cannot be read") for c in model["caveats"]) and model["verdict"]["word"] != "INTACT"


def test_what_was_expected_of_two_hops_is_their_sum_and_each_stage_has_its_own(tmp_path):
    one = {"event": "estimate", "time": fixture.at(2), "stages": {"full": 300}, "total": 500, "low": 300, "high": 900, "rollback": 60, "basis": ["a"]}
    two = dict(one, time=fixture.at(800), stages={"full": 30}, total=100, low=50, high=200, basis=["b"])
    model, _page, _said = drawn(tmp_path, one, HOP, two)
    assert (model["estimate"]["total"], model["estimate"]["low"], model["estimate"]["high"]) == (600, 350, 1100)
    assert model["estimate"]["basis"] == ["hop 1: a", "hop 2: b"]
    assert next(s for s in model["stages"] if s["stage"] == "full")["expected"] == 300
