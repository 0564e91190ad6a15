# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the stages open, look after and close the second way in, and arm the dead-man check."""

from __future__ import annotations

import os
import time

import pytest

from ansible_collections.intact.hosting.plugins.module_utils import _files, _flight
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._rollback import _stage
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _deadman, _engine, _host, _quiet, _rescue, _rpm, _stages


class Ended(BaseException):
    """Init ends the runner."""


@pytest.fixture
def engine(places, monkeypatch):
    """make(settings) gives what every engine has; calls says what was called, in order."""
    calls = []
    monkeypatch.setattr(_host.Host, "systemctl", lambda self, *words, **more: calls.append(" ".join(words)) or self.run(["true"]))
    monkeypatch.setattr(_rescue, "open_way", lambda host, settings: calls.append("open") or "opened")
    monkeypatch.setattr(_rescue, "close_way", lambda host: calls.append("close") or "closed")
    monkeypatch.setattr(_quiet, "loud", lambda host: calls.append("loud") or "")
    monkeypatch.setattr(_deadman, "UNITS", str(places.path))
    monkeypatch.setattr(_engine, "CACHES", ())

    def make(**settings):
        host = _host.Host(places.directory, _flight.ensure("f-1", places.flights), places.memory())
        made = _engine.Engine(host, {"flight": "f-1", "plan": {}, "release_path": {}, "settings": settings})
        made.calls = calls
        return made

    return make


def test_the_way_in_is_opened_before_anything_changes_and_closed_at_the_end():
    order = list(_stages.ORDER)
    assert order[:4] == ["bind", "snapshot", "rescue-ssh", "quiesce"] and order[-1] == "cleanup"
    assert not any(_stages.changes_packages(name) for name in order[:4])


def test_the_stages_call_it(engine):
    made = engine()
    assert made.snapshot() == ""
    assert made.rescue_ssh() == "opened"
    assert made.cleanup() == "staged files and lists removed; closed"
    made.back_out()
    assert made.calls == ["open", "close", "close", "loud"]


def test_services_are_given_back_also_when_the_door_cannot_be_closed(engine, monkeypatch):
    def fails(host):
        raise IntactError("nft refused a rule")

    monkeypatch.setattr(_rescue, "close_way", fails)
    made = engine()
    with pytest.raises(IntactError, match="nft refused"):
        made.back_out()
    assert made.calls == ["loud"]


def test_the_snapshot_is_given_back_whatever_else_cannot_be(engine, monkeypatch):
    def fails(host):
        raise IntactError("nft refused a rule")

    made = engine()
    monkeypatch.setattr(_rescue, "close_way", fails)
    monkeypatch.setattr(_quiet, "loud", fails)
    monkeypatch.setattr(_stage, "give_back", lambda host, job: made.calls.append("snapshot"))
    with pytest.raises(IntactError, match="nft refused"):
        made.back_out()
    assert made.calls == ["snapshot"]


def test_a_command_that_cannot_be_called_is_told_before_anything_changes(engine):
    with pytest.raises(_host.StageFailure, match="No such file"):
        engine(dead_man={"minutes": 5, "command": ["/nowhere"]}).rescue_ssh()


def test_the_dead_man_is_armed_before_the_reboot_and_not_after_it(engine, places, monkeypatch):
    pause = time.sleep

    def sleep(seconds):
        # commands are waited for in short steps
        if seconds >= 600:
            raise Ended
        pause(seconds)

    monkeypatch.setattr(time, "sleep", sleep)
    made = engine(reboot=True, dead_man={"minutes": 30, "command": []})
    with pytest.raises(Ended):
        made.reboot()
    assert _deadman.state(places.directory) == "armed"
    assert made.calls.index("restart intact-dead-man.timer") < made.calls.index("reboot")
    made.calls.clear()
    made.host.memory.save(waiting_boot="before")
    assert made.reboot().startswith("system is")
    assert not [word for word in made.calls if "dead-man" in word]
    assert engine(reboot=False, dead_man={"minutes": 30, "command": []}).reboot() == ""


def test_the_dead_man_is_armed_also_where_the_package_manager_had_the_boot(engine, places):
    """leapp and dnf's offline upgrade reboot in stage full: the verdict is waited for from the stage that would have rebooted."""
    made = engine(reboot=True, dead_man={"minutes": 30, "command": []})
    rpm = object.__new__(_rpm.Rpm)
    rpm.host, rpm.settings = made.host, made.settings
    made.host.memory.remember("own_boot", "before")
    assert rpm.reboot() == "" and _deadman.state(places.directory) == "armed"
    assert "restart intact-dead-man.timer" in made.calls and "reboot" not in made.calls


def test_what_is_lost_meanwhile_is_noticed_between_stages_and_told_once(runner, monkeypatch):
    said = ["", "", "a rule was gone and is set again", "it may be closed: x", "it may be closed: x", "it may be closed: x"]
    monkeypatch.setattr(_rescue, "watch", lambda host: said.pop(0) if said else "")
    assert runner.make().go() == "done"
    notes = [event["text"] for event in _flight.read("f-1", runner.places.flights)[0] if event["event"] == "note"]
    assert notes == ["a rule was gone and is set again", "it may be closed: x"]


def test_it_is_looked_after_while_packages_are_installed(runner, monkeypatch):
    looked = []
    monkeypatch.setattr(_host, "GUARD", 0)
    made = runner.make()
    monkeypatch.setattr(_rescue, "watch", lambda host: looked.append(1) or "")
    assert made.host.packages(["true"], status=False) == 0
    assert looked


def test_what_could_not_be_closed_stays_known(runner, monkeypatch):
    def fails(self):
        raise IntactError("nft refused a rule")

    monkeypatch.setattr(runner.engine, "back_out", fails)
    runner.engine.trouble = {"simulate": _host.StageFailure("no", "look")}
    made = runner.make()
    monkeypatch.setattr(_rescue, "watch", lambda host: "")
    made.memory.remember("rescue", {"port": 1})
    made.memory.remember("staged", [])
    assert made.go() == "failed"
    assert made.memory.state["memory"] == {"rescue": {"port": 1}}


def test_the_stall_limit_of_the_job_is_the_hosts(runner):
    assert runner.make().host.stall_minutes == 0
    path = os.path.join(runner.places.directory, "job.json")
    job = _files.read_document(path)
    job["settings"]["stall_minutes"] = 20
    _files.write_document(path, job)
    assert runner.make().host.stall_minutes == 20
