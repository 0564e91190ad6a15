# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The runner goes through its stages: once, in order, over cuts, failures and stops."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from ansible_collections.intact.hosting.plugins.module_utils import _flight
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _host, _install, _quiet, _runner, _stages, _state, _watch


def test_all_stages_run_once_in_order_and_the_units_go(runner):
    (runner.places.path / "intact-upgrade.timer").write_text("x")
    made = runner.make()
    assert made.go() == "done"
    assert [name.replace("_", "-") for name in runner.engine.seen] == list(_stages.ORDER)
    assert not (runner.places.path / "intact-upgrade.timer").exists()
    assert "disable --now intact-upgrade.timer" in runner.calls
    events, torn = _flight.read("f-1", runner.places.flights)
    assert torn == 0
    assert [s["result"] for s in _flight.stages(events)] == ["ok"] * len(_stages.ORDER)
    assert runner.make().go() == "done"
    assert len(runner.engine.seen) == len(_stages.ORDER)


def test_a_cut_in_a_stage_is_continued_there(runner):
    class Cut(BaseException):
        pass

    runner.engine.trouble = {"minimal": Cut()}
    with pytest.raises(Cut):
        runner.make().go()
    runner.engine.trouble = {}
    runner.engine.seen.clear()
    assert runner.make().go() == "done"
    assert runner.engine.seen[0] == "minimal"
    assert "bind" not in runner.engine.seen


def test_a_failure_before_the_point_of_no_return_gives_everything_back_and_starts_from_the_beginning(runner):
    runner.engine.trouble = {"simulate": _host.StageFailure("apt would remove nginx", "look at it")}
    made = runner.make()
    assert made.go() == "failed"
    state = made.memory.state
    assert (state["stage"], state["message"], state["next"]) == ("simulate", "apt would remove nginx", "look at it")
    assert runner.calls == ["loud", "disable --now intact-upgrade.timer"]
    assert runner.make().go() == "failed"
    _install.renew(_state.load("f-1", runner.places.root, runner.places.flights), runner.places.root)
    runner.engine.trouble = {}
    runner.engine.seen.clear()
    assert runner.make().go() == "done"
    assert runner.engine.seen[0] == "bind"


def test_a_failure_after_it_keeps_what_is_done_and_keeps_others_still(runner):
    runner.engine.trouble = {"full": IntactError("disk full")}
    made = runner.make()
    assert made.go() == "failed"
    assert made.memory.state["point_of_no_return"] is True
    assert "loud" not in runner.calls
    _install.renew(_state.load("f-1", runner.places.root, runner.places.flights), runner.places.root)
    runner.engine.trouble = {}
    runner.engine.seen.clear()
    assert runner.make().go() == "done"
    assert runner.engine.seen[0] == "full"


def test_a_programming_error_is_a_failure_with_a_sentence_and_not_a_loop(runner, capsys):
    runner.engine.trouble = {"carry": KeyError("x")}
    made = runner.make()
    assert made.go() == "failed"
    assert made.memory.state["message"].startswith("unexpected KeyError")
    assert "Traceback" in capsys.readouterr().err
    assert "Traceback" not in made.memory.state["message"]


def test_a_stop_is_taken_between_stages(runner):
    _install.ask_to_stop("f-1", runner.places.root)
    made = runner.make()
    assert made.go() == "stopped"
    assert runner.engine.seen == []
    _install.renew(made.memory.state, runner.places.root)
    assert runner.make().go() == "done"


class Cut(BaseException):
    """The power goes."""


def cut(*_args, **_more):
    raise Cut


def test_a_cut_while_things_are_given_back_starts_from_the_beginning(runner, monkeypatch):
    """The timers run again then: going on in the middle would leave them running."""
    runner.engine.trouble = {"simulate": _host.StageFailure("no", "look")}
    made = runner.make()
    made.memory.remember("quiet", {"units": {"apt-daily.timer": {"enabled": "enabled", "active": "active"}}, "cron": []})
    with monkeypatch.context() as patch:
        patch.setattr(_quiet, "loud", cut)
        with pytest.raises(Cut):
            made.go()
    again = runner.make()
    assert _stages.following(again.memory.state["stages"]) == "bind"
    assert again.memory.recall("quiet")["units"]


def test_what_could_not_be_given_back_stays_known(runner, monkeypatch):
    def fails(host):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_quiet, "loud", fails)
    runner.engine.trouble = {"simulate": _host.StageFailure("no", "look")}
    made = runner.make()
    made.memory.remember("quiet", {"units": {"apt-daily.timer": {}}, "cron": []})
    made.memory.remember("staged", ["x"])
    assert made.go() == "failed"
    assert runner.make().memory.state["memory"] == {"quiet": {"units": {"apt-daily.timer": {}}, "cron": []}}


def test_a_request_to_stop_outlives_a_cut(runner, monkeypatch):
    _install.ask_to_stop("f-1", runner.places.root)
    with monkeypatch.context() as patch:
        patch.setattr(_quiet, "loud", cut)
        with pytest.raises(Cut):
            runner.make().go()
    assert runner.make().go() == "stopped"
    assert runner.engine.seen == []


def test_units_go_also_when_a_cut_came_just_before(runner, monkeypatch):
    (runner.places.path / "intact-upgrade.service").write_text("x")
    with monkeypatch.context() as patch:
        patch.setattr(_runner.Runner, "_remove_units", cut)
        with pytest.raises(Cut):
            runner.make().go()
    assert runner.make().go() == "done"
    assert not (runner.places.path / "intact-upgrade.service").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "No such file"),
        ("{", "cannot be read"),
        ("[]", "it lacks flight, plan"),
        ('{"flight": "f-1", "plan": {}, "settings": {}}', "it lacks release_path"),
        ('{"flight": "f-1", "plan": {}, "settings": {}, "release_path": {"target": {"id": "plan9"}}}', "no engine for plan9"),
        ('{"flight": "f-1", "plan": {}, "settings": {}, "release_path": {}}', "cannot be read"),
    ],
)
@pytest.mark.parametrize("after", [False, True])
def test_a_job_that_cannot_be_read_ends_the_timer_and_tells_what_is_next(runner, monkeypatch, capsys, text, said, after):
    """Nobody would hear of it otherwise: the timer would start the runner again every 30 seconds."""
    monkeypatch.setattr(_runner, "preload", lambda: None)
    if after:
        runner.engine.trouble = {"full": _host.StageFailure("no", "look")}
        made = runner.make()
        made.go()
        _install.renew(made.memory.state, runner.places.root)
        runner.calls.clear()
    job = Path(runner.places.directory) / "job.json"
    job.unlink()
    if text is not None:
        job.write_text(text)
    assert _runner.main(runner.places.directory, runner.places.root, runner.places.flights) == 1
    assert runner.calls == ["disable --now intact-upgrade.timer"]
    assert said in capsys.readouterr().err
    assert "Traceback" in (Path(runner.places.directory) / "crash.txt").read_text()
    state = _state.load("f-1", runner.places.root, runner.places.flights)
    assert (state["status"], state["stage"]) == ("failed", "full" if after else "bind")
    assert said in state["message"]
    assert ("copy job.json back" if after else "it writes the job anew") in state["next"]
    told = _watch.Watch("web1", 9).heard("%s\n\n--intact-units--\ninactive\ninactive\n%s\n" % (json.dumps(state), _watch.END), 0)
    assert told["failed"] and state["next"] in told["msg"]


def test_a_state_that_cannot_be_written_ends_the_timer_all_the_same(runner, monkeypatch):
    def full(*_args, **_more):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_runner, "preload", lambda: None)
    os.unlink(os.path.join(runner.places.directory, "job.json"))
    monkeypatch.setattr(_runner, "write_atomic", full)
    monkeypatch.setattr(_state, "write_atomic", full)
    with pytest.raises(OSError):
        _runner.main(runner.places.directory, runner.places.root, runner.places.flights)
    assert runner.calls == ["disable --now intact-upgrade.timer"]


def test_another_trouble_of_the_runner_is_left_to_the_timer(runner, monkeypatch, capsys):
    """A full disk may have room in 30 seconds."""
    monkeypatch.setattr(_runner, "preload", lambda: None)
    monkeypatch.setattr(_state.Memory, "save", lambda self, **fields: cut_off())
    assert _runner.main(runner.places.directory, runner.places.root, runner.places.flights) == 1
    assert runner.calls == []
    assert "No space" in capsys.readouterr().err


def cut_off():
    raise OSError(28, "No space left on device")


def test_a_stage_is_on_the_disk_before_it_counts_as_done(runner, monkeypatch):
    """Power cuts took back what stages had written, lists and carried files among it, and the stages were done all the same."""
    counted = []
    made = runner.make()
    monkeypatch.setattr(_host.Host, "settle", lambda self: counted.append((made.memory.state["stage"], len(runner.engine.seen), _done(made))))
    made.go()
    assert counted == [(name, number + 1, number) for number, name in enumerate(_stages.ORDER)]


def _done(made):
    return sum(entry["status"] == "ok" for entry in made.memory.state["stages"].values())


def test_a_runner_that_comes_after_a_crash_of_the_host_knows_it(runner):
    made = runner.make()
    made.memory.begin("bind")
    assert not runner.make().host.power_was_cut
    for boot, waiting, cut in (("another", "", True), ("", "", True), ("another", "another", False)):
        made.memory.save()
        state = dict(json.loads(Path(made.memory.path).read_text()), boot=boot, waiting_boot=waiting)
        Path(made.memory.path).write_text(json.dumps(state))
        assert runner.make().host.power_was_cut is cut
