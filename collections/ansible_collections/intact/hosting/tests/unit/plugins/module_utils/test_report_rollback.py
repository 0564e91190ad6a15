# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The way back in the report: what was decided, whether it was gone and by whom, what was saved, how the old system compares."""

from __future__ import annotations

import pytest

from ansible_collections.intact.hosting.plugins.module_utils import _findings
from ansible_collections.intact.hosting.plugins.module_utils._report import _html, _load, _model, _rollback, _text
from ansible_collections.intact.hosting.tests.unit.plugins import flight_fixture as fixture

NAME = "intact-" + fixture.ID
COUNTS = {"messages": 12, "databases": 1, "tables": 2, "queued": 0, "files": 0, "bytes": 4096}
LINES = ("mailbox ada@example.com INBOX: 12 messages saved", "database shop: 4096 bytes saved", "  table orders: 40 rows, now 43 (rows)")


def snapshot(driver="lvm", complete=True, **more):
    value = dict({"driver": driver, "name": NAME, "complete": complete, "taken": fixture.at(9)}, **more)
    return {"event": "runner.memory", "key": "snapshot", "value": value, "time": fixture.at(9)}


LVM = snapshot(vg="vg0", volumes=[{"lv": "root", "snapshot": NAME + "-root"}, {"lv": "var", "snapshot": NAME + "-var"}])
STAGE = [
    {"event": "stage.start", "stage": "snapshot", "time": fixture.at(8)},
    {"event": "stage.end", "stage": "snapshot", "result": "ok", "seconds": 1, "note": "", "time": fixture.at(10)},
]
TAKEN = {
    "event": "decision",
    "what": "the way back: %s by lvm" % NAME,
    "who": "operator",
    "why": "decided before take-off",
    "rollback": {"state": "taken", "automatic": True},
    "time": fixture.at(10),
}


def begun(second, who=_rollback.AUTOMATIC):
    return {"event": "decision", "what": "back", "who": who, "why": "the post-flight says NO GO", "rollback": {"state": "begun"}, "time": fixture.at(second)}


def saved(second, unsaved=0, lines=LINES):
    told = {"state": "saved", "place": "/var/lib/intact/kept/f", "counts": COUNTS, "unsaved": unsaved, "lines": list(lines)}
    return {"event": "note", "text": "saved", "rollback": told, "time": fixture.at(second)}


def arrived(second):
    return {"event": "note", "text": "back in the system before the upgrade: merged", "rollback": {"state": "back"}, "time": fixture.at(second)}


def gate(second, go=True, **counts):
    return {"event": "gate", "name": "rollback", "go": go, "counts": counts, "time": fixture.at(second)}


UNDONE = {"event": "runner.undone", "rollback": True, "time": fixture.at(640)}
WENT = [begun(600), saved(620), UNDONE, arrived(700), gate(750)]
DIFFERS = _findings.Finding("mail.folder.missing", "blocker", "bob@example.com Sent", "a folder is gone", details={"change": "missing"})


def drawn(tmp_path, *more, close="rolled-back", stage=True, differ=(), lost=tuple(fixture.LOSS), verdict=True):
    events = fixture.journal(close=None) + (STAGE if stage else []) + list(more)
    if close:
        events.append({"event": "flight.close", "verdict": close, "note": "", "time": fixture.at(760)})
    found = {"rollback-verdict": _findings.gate(list(differ), [], fixture.BEGIN)} if verdict and any(e.get("name") == "rollback" for e in more) else {}
    directory = fixture.write(str(tmp_path / fixture.ID), events=sorted(events, key=lambda e: e["time"]), lost=lost, **found)
    model = _model.build(_load.load(directory), fixture.ID, fixture.at(90000))
    return model, _html.page(model), _text.report(model)


def test_a_way_back_that_was_gone_by_itself(tmp_path):
    model, page, text = drawn(tmp_path, LVM, TAKEN, *WENT)
    back = model["rollback"]
    assert (back["driver"], back["automatic"], back["done"], back["seconds"]) == ("lvm", True, True, 100.0)
    assert back["snapshots"][0]["names"] == [NAME + "-root", NAME + "-var"] and back["tries"][0]["automatic"]
    assert back["saved"]["counts"]["messages"] == 12 and back["compared"]["go"] and back["compared"]["seconds"] == 150.0
    for said in (page, " ".join(text.split())):
        assert "an LVM snapshot (lvm); by itself when the post-flight says no" in said and NAME + "-var" in said
        assert "Went back by itself (the post-flight says NO GO)" in said and "in 1 min 40 s" in said
        assert "12 messages, 1 database, 2 tables (4.0 KiB), below /var/lib/intact/kept/f" in said
        assert "table orders: 40 rows, now 43 (rows)" in said and "No difference from the look before the flight." in said
    assert 'id="rollback"' in page and 'href="#rollback"' in page


def test_what_the_new_system_lost_is_not_lost_in_the_old_one(tmp_path):
    model, page, _said = drawn(tmp_path, LVM, TAKEN, *WENT)
    assert model["verdict"]["word"] == "FAILED" and "it is the system before the work" in model["verdict"]["sentence"]
    assert model["lost"] == [] and "listed below" not in page
    assert any(c.startswith("Written after the upgrade and saved: 12 messages") for c in model["caveats"])
    assert any("No difference" in c for c in model["caveats"])


def test_what_differs_in_the_old_system_is_a_loss_by_its_name(tmp_path):
    model, page, text = drawn(tmp_path, LVM, TAKEN, *WENT[:-1], gate(750, go=False, blocker=1), differ=[DIFFERS])
    assert model["verdict"]["word"] == "LOSS" and [f["subject"] for f in model["lost"]] == ["bob@example.com Sent"]
    assert model["verdict"]["reasons"] == ["a folder is gone"]
    assert "1 difference from the look before the flight: bob@example.com Sent." in page and "1 difference" in text


def test_a_person_who_went_back(tmp_path):
    model, page, _said = drawn(tmp_path, snapshot("btrfs"), TAKEN, begun(600, "Ada <b>"), *WENT[1:])
    assert not model["rollback"]["tries"][0]["automatic"] and "Went back by Ada &lt;b&gt; (" in page and "a btrfs snapshot (btrfs)" in page


def test_a_try_that_stopped_is_told_and_its_time_is_not_the_next_ones(tmp_path):
    stopped = {"event": "note", "text": "the host did not go back: no room", "rollback": {"state": "stopped"}, "time": fixture.at(500)}
    model, page, _said = drawn(tmp_path, LVM, begun(480), stopped, begun(600, "Ada"), *WENT[1:])
    assert [t["result"] for t in model["rollback"]["tries"]] == ["stopped", "back"] and model["rollback"]["seconds"] == 100.0
    assert "ended where it was: the host did not go back: no room." in page


def test_one_that_was_cut_and_went_on_is_one(tmp_path):
    model, _page, _said = drawn(tmp_path, LVM, begun(560, "Ada"), begun(600, "Ada"), *WENT[1:])
    assert len(model["rollback"]["tries"]) == 1 and model["rollback"]["seconds"] == 140.0


def test_while_it_goes_back_nobody_says_that_it_arrived(tmp_path):
    model, page, _said = drawn(tmp_path, LVM, TAKEN, begun(600), saved(620), close=None)
    assert not model["rollback"]["done"] and model["rollback"]["seconds"] is None
    assert any("not known to have arrived" in c for c in model["caveats"]) and "Went back" not in page


def test_a_hypervisors_way_ends_with_its_proof(tmp_path):
    """The journal that comes back from the controller ends with what was saved."""
    model, _page, _said = drawn(tmp_path, snapshot("hook"), TAKEN, begun(600), saved(620), gate(750))
    assert model["rollback"]["done"] and model["rollback"]["seconds"] == 150.0


def test_without_a_proof_the_old_system_is_not_called_the_same(tmp_path):
    model, page, text = drawn(tmp_path, LVM, TAKEN, *WENT[:-1])
    assert any("Nobody compared the system that came back" in c for c in model["caveats"])
    assert "No difference" not in page and "No difference" not in text


def test_a_gate_whose_findings_are_not_here_does_not_say_zero(tmp_path):
    _drawn, page, _said = drawn(tmp_path, LVM, TAKEN, *WENT[:-1], gate(750, go=True, blocker=0, warning=2), verdict=False)
    assert "2 differences from the look before the flight (the gate said go)." in page


def test_what_could_not_be_saved_is_on_the_first_screen(tmp_path):
    model, _page, _said = drawn(tmp_path, LVM, TAKEN, begun(600), saved(620, unsaved=3), arrived(700), gate(750))
    assert any("3 things could NOT be saved" in c for c in model["caveats"])


def test_a_long_list_says_how_many_are_left_out(tmp_path):
    many = ["mailbox m%d INBOX: 1 messages saved" % n for n in range(_rollback.MOST + 5)]
    _drawn, page, text = drawn(tmp_path, LVM, TAKEN, begun(600), saved(620, lines=many), arrived(700), gate(750))
    assert "5 more in report.json" in page and "and 5 more in report.json" in text


def test_none_was_decided(tmp_path):
    model, page, text = drawn(tmp_path, {"event": "gate", "name": "postflight", "go": True, "counts": {}, "time": fixture.at(590)}, close="intact", lost=())
    assert model["rollback"]["driver"] == "none" and model["verdict"]["word"] == "INTACT" and not any("back" in c for c in model["caveats"])
    assert "None was decided before take-off" in page and "None was decided before take-off" in text and "Not used." in page


def test_a_snapshot_that_was_let_go_is_said_to_be(tmp_path):
    dropped = {"event": "note", "text": "removed", "rollback": {"state": "dropped"}, "time": fixture.at(700)}
    model, page, _said = drawn(tmp_path, LVM, TAKEN, dropped, close="intact", lost=())
    assert [s["kept"] for s in model["rollback"]["snapshots"]] == [False] and "let go" in page
    forgotten = dict(LVM, value=None, time=fixture.at(20))
    assert [s["kept"] for s in drawn(tmp_path, LVM, TAKEN, forgotten, close="failed", lost=())[0]["rollback"]["snapshots"]] == [False]


def test_a_snapshot_that_was_never_finished_is_none(tmp_path):
    events = [STAGE[0], snapshot(complete=False)]
    model, page, _said = drawn(tmp_path, *events, stage=False, close=None, lost=())
    assert model["rollback"]["driver"] == "" and "Not known: stage snapshot did not end." in page


def test_a_flight_without_that_stage_has_no_such_section(tmp_path):
    model, page, text = drawn(tmp_path, stage=False, close=None, lost=())
    assert model["rollback"] is None and 'id="rollback"' not in page and "Way back" not in text


@pytest.mark.parametrize("driver", sorted(set(_rollback.DRIVERS) - {"none"}))
def test_every_driver_has_words(tmp_path, driver):
    assert _rollback.DRIVERS[driver] + " (%s)" % driver in drawn(tmp_path, snapshot(driver), close=None)[1]
