# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The verdict's rules: what must be there for INTACT, and what each lack leads to."""

from __future__ import annotations

import pytest

from ansible_collections.intact.hosting.plugins.module_utils import _findings
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._report import _load, _model
from ansible_collections.intact.hosting.tests.unit.plugins import flight_fixture as flight


@pytest.fixture
def draw(tmp_path):
    """draw(**what flight_fixture.write takes): the model."""

    def build(**how):
        directory = flight.write(str(tmp_path / flight.ID), **how)
        return _model.build(_load.load(directory), flight.ID, flight.at(600))

    return build


def test_everything_there_is_intact(draw):
    model = draw()
    assert model["verdict"]["word"] == "INTACT" and model["verdict"]["reasons"] == [] and model["lost"] == []
    assert model["flight"]["seconds"] == 480.0 and not model["flight"]["over_budget"]


@pytest.mark.parametrize(
    ("lack", "reason"),
    [
        ("baseline-after", "nobody looked at the host after the work"),
        ("baseline-before", "no baseline from before"),
        ("comparison", "were not compared"),
        ("postflight", "did not decide"),
    ],
)
def test_without_a_proof_it_is_not_intact_whatever_the_journal_says(draw, lack, reason):
    model = draw(leave_out=(lack,))
    assert model["verdict"]["word"] == "FAILED" and any(reason in r for r in model["verdict"]["reasons"])


def test_missing_outages_are_not_observed_and_never_zero(draw):
    model = draw(leave_out=("outages",))
    assert model["verdict"]["word"] == "INTACT"
    assert not model["outages"]["observed"] and any("not observed" in c for c in model["caveats"])


def test_open_blockers_are_loss_by_name(draw):
    model = draw(lost=flight.LOSS)
    assert model["verdict"]["word"] == "LOSS" and len(model["lost"]) == 2
    assert "ada@example.com Archive/2019" in model["verdict"]["sentence"]


def test_loss_is_told_even_when_the_flight_was_closed_as_intact(draw):
    assert draw(lost=flight.LOSS, events=flight.journal(close="intact"))["verdict"]["word"] == "LOSS"


def test_a_waived_loss_is_not_open_but_told(draw):
    waivers = [{"id": f.id, "subject": f.subject, "reason": "agreed with the customer", "who": "Ada", "expires": "2027-01-01"} for f in flight.LOSS]
    model = draw(lost=flight.LOSS, events=flight.journal(), postflight=_findings.gate(flight.LOSS, waivers, flight.BEGIN))
    assert model["verdict"]["word"] == "INTACT" and model["lost"] == [] and any("3 findings are waived" in c for c in model["caveats"])


def test_an_expired_waiver_is_open(draw):
    waivers = [{"id": f.id, "subject": f.subject, "reason": "x", "who": "Ada", "expires": "2026-01-01"} for f in flight.LOSS]
    model = draw(lost=flight.LOSS, events=flight.journal(), postflight=_findings.gate(flight.LOSS, waivers, flight.BEGIN))
    assert model["verdict"]["word"] == "LOSS" and [w["status"] for w in model["waivers"]].count("expired") == 2


def test_a_blocker_that_is_no_loss_is_failed_not_loss(draw):
    broken = [_findings.Finding("packages.database.dirty", "blocker", "dpkg", "packages are half configured", check="QF03")]
    model = draw(postflight=_findings.gate(broken, [], flight.BEGIN))
    assert model["verdict"]["word"] == "FAILED" and any("dpkg" in r for r in model["verdict"]["reasons"])


@pytest.mark.parametrize(("status", "word"), [("failed", "FAILED"), ("off", "INTACT")])
def test_a_section_that_was_not_read_is_named_on_the_first_screen(draw, status, word):
    model = draw(
        **{"baseline-after": flight.baseline(True, {"mail": {"status": status, "reason": "doveadm gave no answer", "seconds": 0, "bytes": 0, "unlooked": []}})}
    )
    assert model["verdict"]["word"] == word
    assert any("Section mail" in c and "after" in c for c in model["caveats"])


def test_what_was_left_out_of_a_section_is_told(draw):
    section = {
        "status": "partial",
        "reason": "",
        "seconds": 1,
        "bytes": 1,
        "unlooked": [{"what": "/home/x", "why": "limit of 1 GiB"}],
        "data": {"items": {}, "summary": {}},
    }
    model = draw(**{"baseline-before": flight.baseline(sections={"files": section})})
    assert any("Section files was not looked at completely (before)" in c and "limit of 1 GiB" in c for c in model["caveats"])


def test_refused_when_the_gate_said_no_and_nothing_was_done(draw):
    blocker = [_findings.Finding("backup.proof.missing", "blocker", "web1", "no proof of a restorable backup")]
    events = [e for e in flight.journal(stages=(("bind", 1, 0),), close=None) if e["event"] != "gate"]
    events.insert(1, dict(events[0], event="gate", name="preflight", go=False, counts={"blocker": 1}))
    model = draw(events=events, leave_out=("baseline-after", "comparison", "postflight", "outages"), preflight=_findings.gate(blocker, [], flight.BEGIN))
    assert model["verdict"]["word"] == "REFUSED" and "before anything was changed" in model["verdict"]["sentence"]
    assert model["verdict"]["reasons"] == ["no proof of a restorable backup"]


def test_a_refusal_that_was_overcome_is_no_refusal(draw):
    events = flight.journal()
    events.insert(1, dict(events[0], event="gate", name="preflight", go=False, counts={"blocker": 1}))
    assert draw(events=events)["verdict"]["word"] == "INTACT"


def test_a_gate_that_said_no_after_work_had_begun_is_no_refusal(draw):
    events = flight.journal(stages=flight.STAGES[:6], close=None)
    events.append(dict(events[0], event="gate", name="preflight", go=False, counts={"blocker": 1}, time=flight.at(300)))
    assert draw(events=events, leave_out=("baseline-after", "comparison", "postflight"))["verdict"]["word"] != "REFUSED"


def test_running(draw):
    model = draw(events=flight.journal(flight.STAGES[:12], close=None)[:-1], leave_out=("baseline-after", "comparison", "postflight", "outages"))
    assert model["verdict"]["word"] == "STILL RUNNING" and "stage full" in model["verdict"]["sentence"]
    full = model["stages"][-1]
    assert full["running"] and full["done"] == 200 and full["spent"] == 200.0


def test_a_failed_stage_is_failed_until_its_next_attempt_went_well(draw):
    events = flight.journal(flight.STAGES[:11], close=None)
    failed = [
        dict(events[0], event="stage.start", stage="full", time=flight.at(200)),
        dict(events[0], event="stage.end", stage="full", result="failed", time=flight.at(210), note="dpkg"),
    ]
    early = ("baseline-after", "comparison", "postflight")
    model = draw(events=events + failed, leave_out=early)
    assert model["verdict"]["word"] == "FAILED" and "stage full" in model["verdict"]["sentence"]
    again = [
        dict(events[0], event="stage.start", stage="full", time=flight.at(300)),
        dict(events[0], event="stage.end", stage="full", result="ok", time=flight.at(390)),
    ]
    model = draw(events=events + failed + again, leave_out=early)
    assert model["verdict"]["word"] == "STILL RUNNING" and any("Interrupted and continued in: full" in c for c in model["caveats"])


@pytest.mark.parametrize(("close", "word"), [("failed", "FAILED"), ("rolled-back", "FAILED"), ("loss", "LOSS"), (None, "STILL RUNNING")])
def test_how_the_flight_was_closed(draw, close, word):
    assert draw(events=flight.journal(close=close))["verdict"]["word"] == word


def test_a_torn_journal_is_told(draw, tmp_path):
    directory = flight.write(str(tmp_path / "torn"))
    with open(directory + "/journal.jsonl", "a", encoding="utf-8") as handle:
        handle.write('{"event": "stage.st')
    model = _model.build(_load.load(directory), "torn", flight.at(600))
    assert model["torn_lines"] == 1 and any("1 unreadable line:" in c for c in model["caveats"])


def test_a_journal_without_its_opening_is_not_intact(draw):
    assert draw(events=flight.journal()[1:])["verdict"]["word"] == "FAILED"


def test_a_broken_document_is_told_and_not_intact(tmp_path):
    directory = flight.write(str(tmp_path / "broken"))
    with open(directory + "/comparison.json", "w", encoding="utf-8") as handle:
        handle.write('{"findings": [')
    model = _model.build(_load.load(directory), "broken", flight.at(600))
    assert model["verdict"]["word"] == "FAILED" and any(c.startswith("comparison.json cannot be read") for c in model["caveats"])


def test_nothing_to_draw_is_a_sentence(tmp_path):
    with pytest.raises(IntactError, match="there is no flight"):
        _load.load(str(tmp_path / "nowhere"))
    with pytest.raises(IntactError, match="no journal"):
        _load.load(str(tmp_path))


def test_services_that_never_answered_are_not_this_works_outage(draw):
    seen = flight.outages()
    seen["targets"][0].update(never_up=True)
    seen["targets"][1].update(unobserved_seconds=7.5)
    model = draw(outages=seen)
    assert [t["name"] for t in model["outages"]["silent"]] == ["IMAP"] and "IMAP" not in [t["name"] for t in model["outages"]["targets"]]
    assert any("IMAP never answered" in c for c in model["caveats"]) and any("up to 8 s at 1 service" in c for c in model["caveats"])


def test_over_budget(draw):
    events = flight.journal()
    events[0]["window"]["budget_seconds"] = 60
    events[0]["budgets"]["full"] = 100
    model = draw(events=events)
    assert model["flight"]["over_budget"] and [s["stage"] for s in model["stages"] if s["over"]] == ["full"]
    assert "The flight took longer than its budget." in model["caveats"]


def test_allowed_changes_are_grouped_by_reason(draw):
    row = next(r for r in draw()["sections"] if r["section"] == "packages")
    assert [(g["reason"], g["count"]) for g in row["reasons"]] == [("the upgrade itself: packages of Debian 13", 10)]
    assert next(r for r in draw()["sections"] if r["section"] == "services")["renamed"][0]["to"] == "php8.4-fpm.service"


def test_proofs_have_digests_that_are_the_files(draw, tmp_path):
    import hashlib

    model = draw()
    data = (tmp_path / flight.ID / "baseline-after.json.gz").read_bytes()
    assert "sha256:" + hashlib.sha256(data).hexdigest() in [p["digest"] for p in model["proofs"]]
