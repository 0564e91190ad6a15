# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The runner's memory on disk, and what the journal still tells when it is lost."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.intact.hosting.plugins.module_utils import _flight
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _host, _install, _look, _quiet, _stages, _state


def test_state_survives_and_is_told_from_the_journal_when_it_is_torn(places):
    first = places.memory()
    first.begin("bind")
    first.end("bind", "ok", "plan x")
    first.begin("snapshot")
    assert _state.load("f-1", places.root, places.flights)["stages"]["bind"]["status"] == "ok"
    with open(first.path, "w", encoding="utf-8") as handle:
        handle.write('{"flight": "f-1", "sta')
    state = _state.load("f-1", places.root, places.flights)
    assert state["stages"]["bind"] == {"status": "ok", "seconds": pytest.approx(0, abs=5), "note": "plan x"}
    assert state["stages"]["snapshot"]["status"] == ""
    os.unlink(first.path)
    assert _stages.following(_state.load("f-1", places.root, places.flights)["stages"]) == "snapshot"


def test_a_flight_that_never_started_has_no_state(places):
    assert _state.load("f-1", places.root, places.flights) is None


def test_state_is_private_and_progress_is_not_written_all_the_time(places):
    first = places.memory()
    first.begin("full")
    assert os.stat(first.path).st_mode & 0o777 == 0o600
    before = os.stat(first.path).st_ino
    for number in range(50):
        first.progress(number, 100, "packages", "unpacking")
    assert os.stat(first.path).st_ino == before
    assert first.state["done"] == 49
    first.progress(50, 100, "packages")
    assert first.state["message"] == "unpacking"


def test_only_one_runner_gets_the_lock(places):
    first = _state.lock(places.root)
    assert first is not None
    assert _state.lock(places.root) is None
    first.close()
    again = _state.lock(places.root)
    assert again is not None
    again.close()


def lost(places):
    """The state that is told when state.json is lost."""
    path = os.path.join(places.directory, "state.json")
    if os.path.exists(path):
        os.unlink(path)
    return _state.load("f-1", places.root, places.flights)


def test_what_was_remembered_outlives_the_state_file(places):
    first = places.memory()
    first.begin("bind")
    known = {"units": {"apt-daily.timer": {"enabled": "enabled", "active": "active"}}, "cron": []}
    first.remember("quiet", known)
    first.remember("staged", ["/etc/apt/sources.list"])
    first.remember("staged", ["/etc/apt/sources.list.d/x.sources"])
    first.remember("staged", ["/etc/apt/sources.list.d/x.sources"])
    events, _torn = _flight.read("f-1", places.flights)
    assert [e["key"] for e in events if e["event"] == "runner.memory"] == ["quiet", "staged", "staged"]
    memory = dict(first.state["memory"])
    assert lost(places)["memory"] == memory == {"quiet": known, "staged": ["/etc/apt/sources.list.d/x.sources"]}
    first.forget(but=("quiet",))
    assert first.state["memory"] == lost(places)["memory"] == {"quiet": known}


def test_a_fact_that_was_changed_in_place_is_remembered_anew(places):
    first = places.memory()
    first.begin("bind")
    names = ["a"]
    first.remember("fragile", names)
    names.append("b")
    first.remember("fragile", names)
    assert lost(places)["memory"]["fragile"] == ["a", "b"]


def test_stages_that_were_taken_back_are_not_finished(runner):
    runner.engine.trouble = {"simulate": _host.StageFailure("apt would remove nginx", "look at it")}
    made = runner.make()
    made.memory.remember("quiet", {"units": {}, "cron": []})
    assert made.go() == "failed"
    known = {key: made.memory.state[key] for key in ("status", "stage", "message", "next", "memory", "point_of_no_return")}
    told = lost(runner.places)
    assert _stages.following(told["stages"]) == "bind"
    assert {key: told[key] for key in known} == known
    assert (told["status"], told["stage"], told["message"], told["next"]) == ("failed", "simulate", "apt would remove nginx", "look at it")


def test_what_could_not_be_taken_back_is_told_from_the_journal_too(runner, monkeypatch):
    def fails(host):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_quiet, "loud", fails)
    runner.engine.trouble = {"simulate": _host.StageFailure("no", "look")}
    made = runner.make()
    for key in ("quiet", "staged", "backup_begun"):
        made.memory.remember(key, {"units": {}})
    made.go()
    assert lost(runner.places)["memory"] == {"quiet": {"units": {}}}


def test_a_stop_is_told_from_the_journal_too(runner):
    _install.ask_to_stop("f-1", runner.places.root)
    runner.engine.trouble = {"full": _host.StageFailure("no", "look")}
    runner.make().memory.begin("bind")
    assert runner.make().go() == "stopped"
    assert (lost(runner.places)["status"], lost(runner.places)["message"]) == ("stopped", "stopped before bind, as asked")


def test_a_failure_that_was_continued_is_none_any_more(runner):
    runner.engine.trouble = {"full": _host.StageFailure("no", "look")}
    runner.make().go()
    told = lost(runner.places)
    assert (told["status"], _stages.following(told["stages"])) == ("failed", "full")
    runner.places.memory(told).begin("full")
    told = lost(runner.places)
    assert (told["status"], told["message"], told["stage"]) == ("running", "", "full")


def test_a_flight_that_is_done_is_done_without_its_state(runner):
    runner.make().go()
    assert lost(runner.places)["status"] == "done"
    assert runner.make().go() == "done"
    assert len(runner.engine.seen) == len(_stages.ORDER)


def test_a_reboot_that_happened_is_told_from_the_journal(places):
    """Without it the host would be rebooted again."""
    first = places.memory()
    first.begin("bind")
    for name in _stages.ORDER[: _stages.ORDER.index("reboot")]:
        first.begin(name)
        first.end(name, "ok")
    first.begin("reboot")
    assert lost(places)["waiting_boot"] == _flight.boot_id()
    first.end("reboot", "ok")
    assert lost(places)["waiting_boot"] == ""


def test_a_reboot_is_waited_for_until_its_stage_ended_well(places):
    """A cut between the first breath of the new system and the stage's end must not reboot again."""
    first = places.memory()
    first.begin("reboot")
    first.save(waiting_boot="old")
    first.end("reboot", "failed", "no")
    assert first.state["waiting_boot"] == "old"
    first.end("reboot", "ok")
    assert first.state["waiting_boot"] == ""


def test_each_part_of_the_time_is_told_once_also_after_the_state_is_lost(places, monkeypatch):
    _flight.append("f-1", "flight.open", places.flights, host="h", kind="upgrade", window={"budget_seconds": 100})
    spent = [10]
    monkeypatch.setattr(_state._flight, "seconds_between", lambda begin, end: spent[0])
    first = places.memory()

    def told():
        return [e["percent"] for e in _flight.read("f-1", places.flights)[0] if e["event"] == "runner.budget"]

    first.begin("bind")
    assert told() == []
    for spent[0] in (55, 60, 92):
        first.spend()
    assert told() == [50, 90]
    again = places.memory(lost(places))
    again.spend()
    assert told() == [50, 90]
    spent[0] = 130
    again.begin("full")
    assert told() == [50, 90, 100]
    event = [e for e in _flight.read("f-1", places.flights)[0] if e["event"] == "runner.budget"][-1]
    assert event["text"].startswith("the time for this work is over") and "full" in event["text"]


def test_without_a_budget_nothing_is_told(places):
    first = places.memory()
    first.begin("bind")
    assert not [e for e in _flight.read("f-1", places.flights)[0] if e["event"] == "runner.budget"]


@pytest.mark.parametrize(
    "left", [b"12\n", b"[]", b'"x"', b"null", b'{"flight": "f-1"}', b'{"flight": "f-1", "stages": {"bind": 1}}', b"\0" * 40, b"\xff\xfe", b"{"]
)
def test_whatever_a_disk_left_of_the_state_the_journal_tells_it(places, left):
    """JSON that is no state ended every start of the runner in a traceback."""
    memory = places.memory()
    for stage in ("bind", "quiesce"):
        memory.begin(stage)
        memory.end(stage, "ok")
    memory.begin("patch-source")
    Path(memory.path).write_bytes(left)
    state = _state.load("f-1", places.root, places.flights)
    assert state["stages"]["quiesce"]["status"] == "ok"
    again = places.memory(state)
    again.begin("patch-source")
    assert again.was_cut()


def test_a_stage_that_is_begun_again_after_a_cut_knows_it(places):
    memory = places.memory()
    memory.begin("bind")
    assert not memory.was_cut()
    memory.begin("bind")
    assert memory.was_cut()
    memory.end("bind", "ok")
    memory.begin("quiesce")
    assert not memory.was_cut()


def test_two_looks_at_once_do_not_meet(places, monkeypatch):
    """Two controllers at once: the second one's apt found the first one's lock, and said that the mirror did not answer."""
    inside = []

    def looked(*_args):
        inside.append("in")
        with pytest.raises(IntactError, match="has been looking"), _state.exclusive("looking", str(places.path / "plan"), patience=0):
            pass
        return None, []

    monkeypatch.setattr(_look, "_looked", looked)
    assert _look.look({}, str(places.path / "plan")) == (None, [])
    assert inside == ["in"]
    _state.exclusive("looking", str(places.path / "plan"), patience=0).close()
