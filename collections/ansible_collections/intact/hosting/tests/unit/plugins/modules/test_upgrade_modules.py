# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The upgrade's modules as a whole: what they decide, what they refuse, and that check mode writes nothing."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from ansible_collections.intact.hosting.plugins.module_utils import _binding
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _caller, _install, _look, _plan, _state
from ansible_collections.intact.hosting.plugins.modules import upgrade_plan_info, upgrade_runner, upgrade_state_info

PATH = {
    "name": "debian-12-13",
    "source": {"id": "debian", "version": "12", "codename": "bookworm"},
    "target": {"id": "debian", "version": "13", "codename": "trixie"},
}
NOW = {"host_id": "m", "hostname": "web1", "boot": "b", "packages": "p", "sources": "s", "disks": "d"}


def plan():
    """A small but whole plan."""
    nothing = {"upgrade": [], "install": [], "remove": []}
    full = {"upgrade": [{"name": "libc6", "arch": "amd64", "from": "2.36", "to": "2.41", "origin": "D"}], "install": [], "remove": []}
    facts = {
        "conffiles": [],
        "held": [],
        "kept": [],
        "download_bytes": 1,
        "disk": {},
        "packages_hash": "p",
        "made": "now",
        "apt": {},
        "replacements": [],
        "protected": [],
    }
    return _plan.build(PATH, [], nothing, nothing, full, [], **facts)


@pytest.fixture
def host(tmp_path, monkeypatch):
    """A host whose runner is only written down; root is its /var/lib/intact/upgrade."""
    done = []
    root, flights = str(tmp_path / "upgrade"), str(tmp_path / "flights")
    monkeypatch.setattr(_state, "load", lambda flight, *a, load=_state.load: load(flight, root, flights))
    monkeypatch.setattr(_install, "unfinished", lambda flight, *a, f=_install.unfinished: f(flight, root))
    monkeypatch.setattr(_install, "exclusive", lambda flight, *a, f=_install.exclusive: f(flight, root, patience=0))
    monkeypatch.setattr(_install, "working", lambda *a, f=_install.working: f(root))
    monkeypatch.setattr(_install._runner, "UNITS", str(tmp_path))
    monkeypatch.setattr(_install, "release", lambda: {"id": "debian", "version": "12", "codename": "bookworm"})
    monkeypatch.setattr(_install, "active", lambda: True)
    monkeypatch.setattr(_install, "read_job", lambda flight, f=_install.read_job: f(flight, root))
    monkeypatch.setattr(_install, "renew", lambda state: done.append("renew"))
    monkeypatch.setattr(_install, "ask_to_stop", lambda flight: done.append("stop"))
    monkeypatch.setattr(_install, "install", done.append)
    monkeypatch.setattr(_install, "start", lambda: done.append("start"))
    monkeypatch.setattr(_install, "begin", lambda flight: done.append("begin"))
    monkeypatch.setattr(_state, "directory", lambda flight, *a, f=_state.directory: f(flight, root))
    monkeypatch.setattr(
        _state, "write_hold", lambda path, names, f=_state.write_hold: (done.append(("hold", names)), os.makedirs(path, exist_ok=True), f(path, names))
    )
    monkeypatch.setattr(upgrade_runner.disks, "capture", lambda system: {"items": {}})
    monkeypatch.setattr(_binding, "current", lambda system, items: dict(NOW))

    def state(flight="f-1", **fields):
        (tmp_path / "upgrade" / flight).mkdir(parents=True, exist_ok=True)
        document = dict(_state.fresh(flight), **fields)
        (tmp_path / "upgrade" / flight / "state.json").write_text(json.dumps(document))
        (tmp_path / "upgrade" / flight / "job.json").write_text(
            json.dumps({"flight": flight, "plan": dict(plan(), old=True), "release_path": PATH, "binding": {"old": 1}, "settings": {}})
        )

    return SimpleNamespace(done=done, state=state, root=root)


def start(call_module, **more):
    """Call upgrade_runner with everything a start needs."""
    given = {"flight_id": "f-1", "plan": plan(), "release_path": PATH, "binding": _binding.bind(NOW, 4)}
    check, diff = more.pop("check", False), more.pop("diff", False)
    return call_module(upgrade_runner.main, check=check, diff=diff, **dict(given, **more))


def test_a_start_installs_the_job_and_starts_it(host, call_module):
    result = start(call_module, settings={"protected": ["nginx*"]})
    assert (result["changed"], result["action"]) == (True, "start")
    job, hold, begun, started = host.done
    # the state before the start: another one finds it from then on
    assert (hold, begun, started) == (("hold", []), "begin", "start")
    assert job["plan"]["hash"] == plan()["hash"]
    assert job["settings"]["protected"] == ["nginx*"]
    assert job["settings"]["postgresql"] == "keep"


def test_check_mode_predicts_the_same_shows_the_plan_and_writes_nothing(host, call_module):
    result = start(call_module, check=True, diff=True)
    assert (result["changed"], result["action"], host.done) == (True, "start", [])
    assert "libc6 2.36 -> 2.41" in result["diff"]["after"]


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"packages": "other"}, "set of installed packages changed"),
        ({"disks": "other"}, "disks of this host are not those"),
        ({"sources": "other"}, "sources or preferences changed"),
        ({"boot": "other"}, "started again"),
        ({"host_id": "other"}, "another host's"),
    ],
)
@pytest.mark.parametrize("check", [True, False])
def test_a_pre_flight_result_that_no_longer_holds_is_refused_and_nothing_is_written(host, call_module, monkeypatch, changed, sentence, check):
    monkeypatch.setattr(_binding, "current", lambda system, items: dict(NOW, **changed))
    result = start(call_module, check=check)
    assert result["failed"]
    assert sentence in result["msg"]
    assert "check-host" in result["msg"]
    assert result["findings"]
    assert host.done == []


@pytest.mark.parametrize(
    ("without", "sentence"),
    [("binding", "without a pre-flight result"), ("plan", "plan and release_path are needed"), ("release_path", "release_path is needed")],
)
def test_what_is_missing_is_named(host, call_module, without, sentence):
    result = start(call_module, **{without: {}})
    assert sentence in result["msg"]
    assert host.done == []


def test_an_edited_plan_is_refused(host, call_module):
    edited = plan()
    edited["upgrade"] = []
    result = start(call_module, plan=edited)
    assert "edited" in result["msg"]
    assert host.done == []


def test_a_runner_that_works_is_attached_to(host, call_module):
    host.state(status="running")
    result = start(call_module)
    assert (result["changed"], result["action"], host.done) == (False, "attach", [("hold", [])])


def test_a_runner_that_has_written_nothing_yet_is_attached_to(host, call_module):
    """Started a moment ago by another controller: its units are there, its state is not."""
    unit = _install.SERVICE.format(flight="f-1", directory=host.root + "/f-1")
    Path(host.root).parent.joinpath("intact-upgrade.service").write_text(unit)
    result = start(call_module)
    assert (result["changed"], result["action"], host.done) == (False, "attach", [("hold", [])])
    assert result["reason"] == "the runner of flight f-1 works already: attached to it"
    refused = start(call_module, flight_id="f-2")
    assert "the upgrade of flight f-1 works on this host" in refused["msg"] and len(host.done) == 1


def test_two_starts_at_once_are_one_start(host, call_module):
    """The other one decides at this moment: both would find that nothing runs."""
    other = _state.lock(host.root, "f-9", "start.lock")
    result = start(call_module)
    assert "another process (%d, flight f-9) has been starting an upgrade on this host" % os.getpid() in result["msg"]
    assert host.done == []
    other.close()
    assert start(call_module)["action"] == "start"


def test_an_upgrade_whose_state_is_torn_keeps_another_from_starting(host, call_module):
    host.state("f-2", status="running")
    Path(host.root, "f-2", "state.json").write_text('{"flight": "f-2", "sta')
    assert "the upgrade of flight f-2 is not finished" in start(call_module)["msg"]
    assert host.done == []


def test_the_controllers_address_is_filled_in_and_what_would_fail_later_is_refused_now(host, call_module, monkeypatch):
    monkeypatch.setattr(_caller, "connection", lambda: "::ffff:192.0.2.7")
    start(call_module, settings={"rescue_ssh": {"port": 4222}})
    assert host.done[0]["settings"]["rescue_ssh"] == {"port": 4222, "from": ["192.0.2.7"], "keys_of": "root"}
    assert "'web1' is no IP address" in start(call_module, settings={"rescue_ssh": {"port": 4222, "from": ["web1"]}})["msg"]
    assert "which is no port" in start(call_module, settings={"rescue_ssh": {"port": 70000}})["msg"]
    assert "No such file" in start(call_module, settings={"dead_man": {"minutes": 5, "command": ["/nowhere"]}})["msg"]
    assert len(host.done) == 4


def test_a_hold_is_written_before_the_start_and_is_no_part_of_the_job(host, call_module):
    assert start(call_module, hold_before=["reboot", "full"])["changed"]
    job, *rest = host.done
    assert rest == [("hold", ["full", "reboot"]), "begin", "start"]
    assert "hold" not in json.dumps(job)


def test_a_hold_is_renewed_when_a_runner_is_attached_to(host, call_module):
    host.state(status="running")
    path = os.path.join(host.root, "f-1")
    for names, changed in ((["reboot"], True), (["reboot"], False), (["full"], True), ([], True), ([], False)):
        predicted = start(call_module, check=True, diff=True, hold_before=names)
        result = start(call_module, diff=True, hold_before=names)
        assert (predicted["changed"], result["changed"], result["action"]) == (changed, changed, "attach")
        assert predicted["diff"] == result["diff"]
        assert result["diff"]["after"].split() == names
        assert _state.read_hold(path) == names
        assert "start" not in host.done


def test_check_mode_leaves_the_hold_as_it_is(host, call_module):
    host.state(status="running")
    start(call_module, hold_before=["reboot"])
    start(call_module, check=True)
    assert _state.read_hold(os.path.join(host.root, "f-1")) == ["reboot"]


def test_a_hold_goes_with_a_continuation_and_not_with_a_flight_that_is_done(host, call_module):
    host.state(status="failed", point_of_no_return=True)
    start(call_module, hold_before=["reboot"])
    assert [entry for entry in host.done if isinstance(entry, (str, tuple))] == ["renew", ("hold", ["reboot"]), "begin", "start"]
    host.done.clear()
    host.state(status="done", point_of_no_return=True)
    assert start(call_module, hold_before=["full"])["action"] == "nothing"
    assert host.done == []


@pytest.mark.parametrize("state", ["started", "stopped"])
def test_an_unknown_stage_is_refused_with_the_stages_that_there_are(host, call_module, state):
    host.state(status="running")
    result = start(call_module, hold_before=["rebot"], state=state)
    assert result["failed"] and "no such stage: rebot. The stages are: bind, snapshot" in result["msg"]
    assert host.done == []


def test_a_runner_that_lost_its_timer_gets_it_back_with_its_own_job(host, call_module, monkeypatch):
    monkeypatch.setattr(_install, "active", lambda: False)
    host.state(status="running")
    result = start(call_module, plan={}, binding={})
    assert result["changed"]
    assert host.done[0]["plan"]["old"] is True


def test_a_failed_one_is_continued_with_its_own_plan_after_the_point_of_no_return(host, call_module):
    host.state(status="failed", point_of_no_return=True)
    result = start(call_module, plan={}, binding={})
    assert (result["changed"], result["action"]) == (True, "continue")
    assert host.done[0] == "renew"
    assert host.done[1]["plan"]["old"] is True
    assert host.done[1]["binding"] == {"old": 1}


def test_a_failed_one_before_it_needs_a_pre_flight_result_that_holds(host, call_module):
    host.state(status="failed")
    assert "without a pre-flight result" in start(call_module, binding={})["msg"]
    assert start(call_module)["action"] == "continue"
    assert "old" not in host.done[1]["plan"]


def test_done_and_a_host_on_the_target_are_nothing_to_do_and_say_so(host, call_module, monkeypatch):
    host.state(status="done", point_of_no_return=True)
    result = start(call_module)
    assert (result["changed"], result["action"], result["reason"]) == (False, "nothing", "the upgrade is done")
    monkeypatch.setattr(_install, "release", lambda: PATH["target"])
    result = start(call_module, flight_id="f-2")
    assert (result["changed"], result["reason"]) == (False, "this host is already on trixie")
    assert host.done == []


@pytest.mark.parametrize("fields", [{"status": "running"}, {"status": "failed", "point_of_no_return": True}])
def test_another_flights_unfinished_upgrade_is_named(host, call_module, fields):
    host.state("f-0", **fields)
    assert "flight f-0 is not finished" in start(call_module)["msg"]


def test_another_flight_that_failed_before_it_began_is_no_hindrance(host, call_module):
    host.state("f-0", status="failed")
    assert start(call_module)["action"] == "start"


def test_a_stop_is_asked_for_only_where_something_runs(host, call_module):
    assert call_module(upgrade_runner.main, flight_id="f-1", state="stopped")["changed"] is False
    host.state(status="running")
    assert call_module(upgrade_runner.main, check=True, flight_id="f-1", state="stopped")["changed"] is True
    assert host.done == []
    assert call_module(upgrade_runner.main, flight_id="f-1", state="stopped")["action"] == "stop"
    assert host.done == ["stop"]


def test_state_info_tells_what_a_start_would_mean(host, call_module):
    nothing = call_module(upgrade_state_info.main)
    assert (nothing["action"], nothing["stages"][0], nothing["stages"][-1]) == ("start", "bind", "cleanup")
    for status, action in (("running", "attach"), ("waiting-reboot", "attach"), ("failed", "continue"), ("stopped", "continue"), ("done", "nothing")):
        host.state(status=status)
        result = call_module(upgrade_state_info.main, flight_id="f-1")
        assert (result["action"], result["release_path"]) == (action, "debian-12-13")


def test_state_info_goes_on_without_a_job_where_the_next_start_writes_another(host, call_module):
    job = os.path.join(host.root, "f-1", "job.json")
    for fields, sentence in (
        ({"status": "failed"}, ""),
        ({"status": "failed", "point_of_no_return": True}, "copy job.json back from the backup"),
        ({"status": "running"}, "copy job.json back from the backup"),
    ):
        host.state(**fields)
        with open(job, "w", encoding="ascii") as handle:
            handle.write("{}")
        result = call_module(upgrade_state_info.main, flight_id="f-1")
        assert result.get("failed", False) is bool(sentence)
        assert sentence in result.get("msg", "")
        if not sentence:
            assert (result["action"], result["release_path"]) == ("continue", "")


def test_plan_info_never_changes_and_shows_the_plan(monkeypatch, call_module):
    seen = {}

    def look(path, root, **more):
        seen.update(more, root=root)
        return plan(), [Finding("plan.source.unreachable", "blocker", "debian trixie", "x")]

    monkeypatch.setattr(_look, "look", look)
    result = call_module(
        upgrade_plan_info.main, diff=True, release_path=PATH, protected=["nginx*"], source_map=[{"match": "http://x/*", "action": "keep", "reason": "r"}]
    )
    assert result["changed"] is False
    assert result["findings"][0]["id"] == "plan.source.unreachable"
    assert "libc6" in result["diff"]["after"]
    assert seen["source_map"] == [{"match": "http://x/*", "action": "keep", "reason": "r"}]


def test_plan_info_refuses_a_source_map_that_says_too_little(call_module):
    result = call_module(upgrade_plan_info.main, release_path=PATH, source_map=[{"match": "http://x/*", "action": "rename", "reason": "r"}])
    assert "rename needs uri or suite" in result["msg"]
