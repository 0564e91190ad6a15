# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Waiting before a stage because the operator asked for it."""

from __future__ import annotations

import json
import os

import pytest

from ansible_collections.intact.hosting.plugins.module_utils import _flight
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _host, _install, _runner, _stages, _state, _watch


@pytest.fixture
def held(runner, monkeypatch):
    """A runner that is asked to wait; meanwhile[n] is done instead of the n-th sleep, and what it said then is kept in saw."""
    runner.meanwhile, runner.saw = [], []

    def sleep(_seconds):
        runner.saw.append((_state.load("f-1", runner.places.root, runner.places.flights), list(runner.engine.seen)))
        runner.meanwhile.pop(0)()

    monkeypatch.setattr(_runner.time, "sleep", sleep)
    runner.hold = lambda *names: _state.write_hold(runner.places.directory, names)
    runner.notes = lambda: [e["text"] for e in _flight.read("f-1", runner.places.flights)[0] if e["event"] == "note"]
    return runner


def test_names_are_checked_and_brought_into_the_stages_order():
    assert _stages.check(["reboot", "full", "reboot"]) == ["full", "reboot"]
    with pytest.raises(IntactError, match=r"no such stage: rebot\. The stages are: bind, snapshot, .*, cleanup"):
        _stages.check(["full", "rebot"])


def test_the_list_is_a_private_file_of_lines_and_none_is_no_file(places):
    assert _state.read_hold(places.directory) == []
    _state.write_hold(places.directory, ["full", "reboot"])
    path = os.path.join(places.directory, "hold")
    assert os.stat(path).st_mode & 0o777 == 0o600
    with open(path, encoding="ascii") as handle:
        assert handle.read() == "full\nreboot\n"
    with open(path, "a", encoding="ascii") as handle:
        handle.write("\n  cleanup  \n")
    assert _state.read_hold(places.directory) == ["full", "reboot", "cleanup"]
    for _time in range(2):
        _state.write_hold(places.directory, [])
        assert not os.path.exists(path)


def test_it_waits_after_the_stage_began_and_before_its_work_and_says_so_once(held):
    held.hold("reboot")
    held.meanwhile = [lambda: None, lambda: held.hold("bind")]
    made = held.make()
    saves = []
    save = made.memory.save
    made.memory.save = lambda **fields: (saves.append(fields), save(**fields))
    assert made.go() == "done"
    for state, seen in held.saw:
        assert (state["held"], state["status"], state["stage"]) == (True, "running", "reboot")
        assert state["message"] == (
            "held before its work, as asked: start again without distro_upgrade_hold_before, or remove the line from %s/hold" % held.places.directory
        )
        assert seen[-1] == "autoremove"
    assert len(held.saw) == 2
    assert [fields["held"] for fields in saves if "held" in fields].count(True) == 1
    assert made.memory.state["held"] is False
    assert held.notes() == ["held before reboot, as asked", "held before reboot for 0 s, then let go"]
    events, _torn = _flight.read("f-1", held.places.flights)
    assert [e["stage"] for e in events if e["event"] == "stage.start"] == list(_stages.ORDER)


def test_a_list_that_names_others_holds_nothing_up(held):
    held.hold("nonsense")
    assert held.make().go() == "done"
    assert held.notes() == []


def test_the_host_is_held_before_healing(held, monkeypatch):
    held.hold("minimal")
    healed = []
    monkeypatch.setattr(held.engine, "heal", lambda engine: healed.append(engine.host.memory.state["stage"]) or [])
    held.meanwhile = [lambda: (healed.append("let go"), held.hold())]
    held.make().go()
    assert healed[healed.index("let go") + 1] == "minimal"
    assert "minimal" not in healed[: healed.index("let go")]


def test_a_stop_while_held_is_a_stop_before_that_stage(held):
    held.hold("full")
    held.meanwhile = [lambda: _install.ask_to_stop("f-1", held.places.root)]
    made = held.make()
    assert made.go() == "stopped"
    assert (made.memory.state["message"], made.memory.state["held"]) == ("stopped before full, as asked", False)
    assert made.memory.state["stages"]["full"]["status"] == ""
    assert held.notes()[-1] == "held before full for 0 s, then asked to stop"
    assert "full" not in held.engine.seen and "loud" not in held.calls
    _install.renew(made.memory.state, held.places.root)
    held.hold()
    assert held.make().go() == "done"


def test_a_stop_while_held_before_the_point_of_no_return_gives_everything_back(held):
    held.hold("download")
    held.meanwhile = [lambda: _install.ask_to_stop("f-1", held.places.root)]
    made = held.make()
    assert made.go() == "stopped"
    assert "loud" in held.calls
    assert _stages.following(made.memory.state["stages"]) == "bind"


class Cut(BaseException):
    """The power goes."""


def test_a_cut_while_held_is_held_again(held):
    def cut():
        raise Cut

    held.hold("full")
    held.meanwhile = [cut, held.hold]
    with pytest.raises(Cut):
        held.make().go()
    assert held.make().go() == "done"
    assert [state["held"] for state, _seen in held.saw] == [True, True]
    assert held.engine.seen.count("full") == 1


def test_after_our_own_reboot_it_is_not_held_again(held):
    held.hold("reboot")
    state = _state.fresh("f-1")
    for name in _stages.ORDER[: _stages.ORDER.index("reboot")]:
        state["stages"][name]["status"] = "ok"
    held.places.memory(state).save(status="waiting-reboot", stage="reboot", waiting_boot="another boot")
    assert held.make().go() == "done"
    assert held.saw == []


def test_a_reboot_that_was_asked_for_but_did_not_come_is_held(held):
    held.hold("reboot")
    state = _state.fresh("f-1")
    for name in _stages.ORDER[: _stages.ORDER.index("reboot")]:
        state["stages"][name]["status"] = "ok"
    held.places.memory(state).save(status="running", stage="reboot", waiting_boot=_flight.boot_id())
    held.meanwhile = [held.hold]
    assert held.make().go() == "done"
    assert len(held.saw) == 1


def test_a_state_of_an_older_runner_knows_no_hold(held):
    state = _state.fresh("f-1")
    del state["held"]
    held.places.memory(state).save()
    held.hold("bind")
    held.meanwhile = [held.hold]
    assert held.make().go() == "done"


def test_a_watcher_that_loses_a_held_host_says_that_it_waits():
    watch = _watch.Watch("web1", 100)
    document = json.dumps(dict(_state.fresh("f-1"), stage="reboot", held=True))
    assert watch.heard("%s\n\n--intact-units--\nactive\nactive\n%s\n" % (document, _watch.END), 0) is None
    watch.lost("timed out", 10)
    message = watch.lost("timed out", 200)["msg"]
    assert "it was held before reboot" in message and "the host waits as asked" in message


def test_the_way_in_and_the_snapshot_are_looked_after_while_it_waits_and_a_full_disk_ends_no_wait(held, monkeypatch):
    """It may wait for a night: a snapshot fills up meanwhile, and a firewall is loaded anew."""
    looked = []
    monkeypatch.setattr(_host, "GUARD", 0)
    monkeypatch.setattr(held.engine, "watch", lambda self: looked.append(1))
    held.hold("reboot")
    before = []
    held.meanwhile = [lambda: before.append(len(looked)), lambda: before.append(len(looked)), held.hold]
    made = held.make()

    def full():
        raise OSError(28, "No space left on device")

    spend = made.memory.spend
    monkeypatch.setattr(made.memory, "spend", lambda: full() if made.memory.state["held"] else spend())
    assert made.go() == "done"
    assert before[1] > before[0]
