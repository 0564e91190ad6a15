# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Stages, state, healing, carrying over, configuration and watching: everything of the runner that needs no package manager."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import typing
from pathlib import Path
from types import SimpleNamespace

import pytest

from ansible_collections.intact.hosting.plugins.module_utils import _flight
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import (
    _carry,
    _configuration,
    _databases,
    _heal,
    _host,
    _install,
    _quiet,
    _runner,
    _stages,
    _state,
    _watch,
)


def finished(*names):
    """Stages of which these are done."""
    return {name: {"status": "ok" if name in names else ""} for name in _stages.ORDER}


def test_stages_are_done_in_order_and_a_failed_one_is_next():
    assert _stages.following(finished()) == "bind"
    assert _stages.following(finished("bind", "quiesce")) == "patch-source"
    stages = finished(*_stages.ORDER)
    assert _stages.following(stages) is None
    stages["full"]["status"] = "failed"
    assert _stages.following(stages) == "full"
    assert _stages.following(dict(finished("bind"), quiesce={"status": "skipped"})) == "patch-source"


def test_percent_goes_from_nothing_to_all():
    assert _stages.percent(finished()) == 0
    assert _stages.percent(finished(*_stages.ORDER)) == 100
    assert _stages.percent(finished("bind"), 0.5) > _stages.percent(finished("bind"))


def test_sources_are_staged_before_anything_is_downloaded_and_committed_after_everything_is_installed():
    order = list(_stages.ORDER)
    for earlier, later in (
        ("quiesce", "patch-source"),
        ("stage-sources", "download"),
        ("download", "point-of-no-return"),
        ("simulate", "point-of-no-return"),
        ("point-of-no-return", "bootstrap"),
        ("database-stop", "bootstrap"),
        ("carry", "full"),
        ("minimal", "full"),
        ("full", "target-files"),
        ("target-files", "commit-sources"),
        ("commit-sources", "reboot"),
        ("reboot", "unquiesce"),
    ):
        assert order.index(earlier) < order.index(later)


def test_the_third_failure_of_the_same_package_is_one_too_many():
    attempts, given_up = _stages.after_failures({}, ["a", "b"])
    attempts, given_up = _stages.after_failures(attempts, ["a"])
    assert given_up == []
    attempts, given_up = _stages.after_failures(attempts, ["a", "c"])
    assert given_up == ["a"]


@pytest.fixture
def places(tmp_path):
    """Directories of the runner and of the flights."""
    (tmp_path / "upgrade" / "f-1").mkdir(parents=True)
    return SimpleNamespace(root=str(tmp_path / "upgrade"), flights=str(tmp_path / "flights"), directory=str(tmp_path / "upgrade" / "f-1"), path=tmp_path)


def memory(places, state=None):
    """The memory of a flight in places."""
    return _state.Memory(state or _state.fresh("f-1"), places.root, places.flights)


def test_state_survives_and_is_told_from_the_journal_when_it_is_torn(places):
    first = memory(places)
    first.begin("bind")
    first.end("bind", "ok", "plan x")
    first.begin("quiesce")
    assert _state.load("f-1", places.root, places.flights)["stages"]["bind"]["status"] == "ok"
    with open(first.path, "w", encoding="utf-8") as handle:
        handle.write('{"flight": "f-1", "sta')
    state = _state.load("f-1", places.root, places.flights)
    assert state["stages"]["bind"] == {"status": "ok", "seconds": pytest.approx(0, abs=5), "note": "plan x"}
    assert state["stages"]["quiesce"]["status"] == ""
    os.unlink(first.path)
    assert _stages.following(_state.load("f-1", places.root, places.flights)["stages"]) == "quiesce"


def test_a_flight_that_never_started_has_no_state(places):
    assert _state.load("f-1", places.root, places.flights) is None


def test_state_is_private_and_progress_is_not_written_all_the_time(places):
    first = memory(places)
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


class Engine:
    """Stages that write down their names, and fail where they are told to."""

    trouble: typing.ClassVar[dict] = {}
    seen: typing.ClassVar[list] = []

    def __init__(self, host, job):
        self.host, self.job = host, job

    def __getattr__(self, name):
        if name.replace("_", "-") not in _stages.STAGES:
            raise AttributeError(name)

        def stage():
            Engine.seen.append(name)
            error = Engine.trouble.get(name)
            if error:
                raise error
            return "did it"

        return stage


@pytest.fixture
def runner(places, monkeypatch):
    """make() gives a runner over places whose engine only pretends; nothing starts a program."""
    Engine.trouble, Engine.seen = {}, []
    calls = []
    monkeypatch.setitem(_runner.ENGINES, "pretended", Engine)
    monkeypatch.setattr(_runner, "UNITS", str(places.path))
    monkeypatch.setattr(_runner._heal, "heal", lambda host: [])
    monkeypatch.setattr(_runner._quiet, "loud", lambda host: calls.append("loud"))
    monkeypatch.setattr(_host.Host, "systemctl", lambda self, *words, **more: calls.append(" ".join(words)))
    with open(os.path.join(places.directory, "job.json"), "w", encoding="utf-8") as handle:
        json.dump({"flight": "f-1", "release_path": {"target": {"id": "pretended"}}, "plan": {}, "settings": {}}, handle)

    def make():
        return _runner.Runner(places.directory, places.root, places.flights)

    return SimpleNamespace(make=make, calls=calls, places=places)


def test_all_stages_run_once_in_order_and_the_units_go(runner):
    (runner.places.path / "intact-upgrade.timer").write_text("x")
    made = runner.make()
    assert made.go() == "done"
    assert [name.replace("_", "-") for name in Engine.seen] == list(_stages.ORDER)
    assert not (runner.places.path / "intact-upgrade.timer").exists()
    assert "disable --now intact-upgrade.timer" in runner.calls
    events, torn = _flight.read("f-1", runner.places.flights)
    assert torn == 0
    assert [s["result"] for s in _flight.stages(events)] == ["ok"] * len(_stages.ORDER)
    assert runner.make().go() == "done"
    assert len(Engine.seen) == len(_stages.ORDER)


def test_a_cut_in_a_stage_is_continued_there(runner):
    class Cut(BaseException):
        pass

    Engine.trouble = {"minimal": Cut()}
    with pytest.raises(Cut):
        runner.make().go()
    Engine.trouble = {}
    Engine.seen.clear()
    assert runner.make().go() == "done"
    assert Engine.seen[0] == "minimal"
    assert "bind" not in Engine.seen


def test_a_failure_before_the_point_of_no_return_gives_everything_back_and_starts_from_the_beginning(runner):
    Engine.trouble = {"simulate": _host.StageFailure("apt would remove nginx", "look at it")}
    made = runner.make()
    assert made.go() == "failed"
    state = made.memory.state
    assert (state["stage"], state["message"], state["next"]) == ("simulate", "apt would remove nginx", "look at it")
    assert runner.calls == ["loud", "disable --now intact-upgrade.timer"]
    assert runner.make().go() == "failed"
    _install.renew(_state.load("f-1", runner.places.root, runner.places.flights), runner.places.root)
    Engine.trouble = {}
    Engine.seen.clear()
    assert runner.make().go() == "done"
    assert Engine.seen[0] == "bind"


def test_a_failure_after_it_keeps_what_is_done_and_keeps_others_still(runner):
    Engine.trouble = {"full": IntactError("disk full")}
    made = runner.make()
    assert made.go() == "failed"
    assert made.memory.state["point_of_no_return"] is True
    assert "loud" not in runner.calls
    _install.renew(_state.load("f-1", runner.places.root, runner.places.flights), runner.places.root)
    Engine.trouble = {}
    Engine.seen.clear()
    assert runner.make().go() == "done"
    assert Engine.seen[0] == "full"


def test_a_programming_error_is_a_failure_with_a_sentence_and_not_a_loop(runner, capsys):
    Engine.trouble = {"carry": KeyError("x")}
    made = runner.make()
    assert made.go() == "failed"
    assert made.memory.state["message"].startswith("unexpected KeyError")
    assert "Traceback" in capsys.readouterr().err
    assert "Traceback" not in made.memory.state["message"]


def test_a_stop_is_taken_between_stages(runner):
    _install.ask_to_stop("f-1", runner.places.root)
    made = runner.make()
    assert made.go() == "stopped"
    assert Engine.seen == []
    _install.renew(made.memory.state, runner.places.root)
    assert runner.make().go() == "done"


class Cut(BaseException):
    """The power goes."""


def cut(*_args, **_more):
    raise Cut


def test_a_cut_while_things_are_given_back_starts_from_the_beginning(runner, monkeypatch):
    """The timers run again then: going on in the middle would leave them running."""
    Engine.trouble = {"simulate": _host.StageFailure("no", "look")}
    made = runner.make()
    made.memory.remember("quiet", {"units": {"apt-daily.timer": {"enabled": "enabled", "active": "active"}}, "cron": []})
    with monkeypatch.context() as patch:
        patch.setattr(_runner._quiet, "loud", cut)
        with pytest.raises(Cut):
            made.go()
    again = runner.make()
    assert _stages.following(again.memory.state["stages"]) == "bind"
    assert again.memory.recall("quiet")["units"]


def test_what_could_not_be_given_back_stays_known(runner, monkeypatch):
    def fails(host):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_runner._quiet, "loud", fails)
    Engine.trouble = {"simulate": _host.StageFailure("no", "look")}
    made = runner.make()
    made.memory.remember("quiet", {"units": {"apt-daily.timer": {}}, "cron": []})
    made.memory.remember("staged", ["x"])
    assert made.go() == "failed"
    assert runner.make().memory.state["memory"] == {"quiet": {"units": {"apt-daily.timer": {}}, "cron": []}}


def test_a_request_to_stop_outlives_a_cut(runner, monkeypatch):
    _install.ask_to_stop("f-1", runner.places.root)
    with monkeypatch.context() as patch:
        patch.setattr(_runner._quiet, "loud", cut)
        with pytest.raises(Cut):
            runner.make().go()
    assert runner.make().go() == "stopped"
    assert Engine.seen == []


def test_units_go_also_when_a_cut_came_just_before(runner, monkeypatch):
    (runner.places.path / "intact-upgrade.service").write_text("x")
    with monkeypatch.context() as patch:
        patch.setattr(_runner.Runner, "_remove_units", cut)
        with pytest.raises(Cut):
            runner.make().go()
    assert runner.make().go() == "done"
    assert not (runner.places.path / "intact-upgrade.service").exists()


def test_a_new_attempt_keeps_what_is_there_now(places):
    live = places.path / "sources.list"
    host = _host.Host(places.directory, str(places.path), memory(places))
    live.write_text("first")
    copy = host.keep(str(live), "before")
    live.write_text("corrected by the operator")
    host.keep(str(live), "before")
    assert Path(copy).read_text() == "first"
    for text in ("second", "third"):
        live.write_text(text)
        host.set_aside("before")
        host.set_aside("never-there")
        assert Path(host.keep(str(live), "before")).read_text() == text
    backups = Path(host.backups)
    assert sorted(p.name for p in backups.iterdir()) == ["before", "before-1", "before-2"]
    assert Path(copy.replace("/before/", "/before-1/")).read_text() == "first"


def test_a_directory_that_a_cut_left_half_carried_is_carried_anew(places):
    source, target = places.path / "php8.2-fpm.service.d", places.path / "php8.4-fpm.service.d"
    source.mkdir()
    (source / "limits.conf").write_text("[Service]\n")
    half = places.path / "php8.4-fpm.service.d.intact-new"
    half.mkdir()
    host = _host.Host(places.directory, str(places.path), memory(places))
    assert _carry.steps([{"from": str(source), "to": str(target)}], set(), {})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_carry, "recorded_sums", lambda host: {})
        assert _carry.carry(host, [{"from": str(source), "to": str(target)}], set()) == [str(target)]
    assert sorted(p.name for p in target.iterdir()) == ["limits.conf"] and not half.exists()


def test_the_installed_program_is_whole_and_imports_nothing_late(tmp_path):
    """The files that are installed run by themselves, and a flight with them imports nothing once it has begun."""
    for relative, text in _install.files().items():
        path = tmp_path / "runner" / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    program = """
import sys, json, os
sys.path.insert(0, %r)
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _runner, _state, _host, _stages, _quiet
from ansible_collections.intact.hosting.plugins.module_utils import _flight
_runner.preload()
known = set(sys.modules)
class Engine:
    def __init__(self, host, job): self.host = host
    def __getattr__(self, name):
        if name.replace("_", "-") not in _stages.STAGES: raise AttributeError(name)
        def stage():
            if name == "minimal": return str(self.host.packages(["sh", "-c", "echo Unpacking"], 3, status=False))
            if name == "full": raise _host.StageFailure("no", "look")
            return "ok"
        return stage
_runner.ENGINES["x"] = Engine
_runner._heal.heal = lambda host: []
_host.Host.systemctl = lambda self, *words, **more: self.run(["true"])
top = %r
os.makedirs(top + "/u/f-1")
json.dump({"flight": "f-1", "release_path": {"target": {"id": "x"}}, "plan": {}, "settings": {}}, open(top + "/u/f-1/job.json", "w"))
runner = _runner.Runner(top + "/u/f-1", top + "/u", top + "/flights")
print(runner.go(), sorted(set(sys.modules) - known), [n for n in sys.modules if n.startswith("ansible.")])
""" % (str(tmp_path / "runner"), str(tmp_path))
    done = subprocess.run([sys.executable, "-I", "-B", "-c", program], capture_output=True, text=True, check=False, cwd="/")
    assert done.stdout.strip() == "failed [] []", done.stderr


def test_what_the_runner_starts_goes_on_when_it_is_killed(tmp_path):
    """A package command writes to files, not to pipes: kill -9 of the runner does not end it."""
    program = """
import sys
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _host
class Memory:
    def progress(self, *words): pass
host = _host.Host(%r, %r, Memory())
host.packages(["sh", "-c", "echo one; sleep 2; echo two; echo three >&2; touch %s/whole"], status=False)
""" % (str(tmp_path), str(tmp_path), str(tmp_path))
    process = subprocess.Popen([sys.executable, "-c", program], env=dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path)))
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and b"one" not in (tmp_path / "apt.log").read_bytes() if (tmp_path / "apt.log").exists() else True:
        time.sleep(0.05)
    process.kill()
    process.wait()
    while time.monotonic() < deadline and not (tmp_path / "whole").exists():
        time.sleep(0.05)
    assert (tmp_path / "apt.log").read_text().splitlines()[1:] == ["one", "two", "three"]


def test_progress_is_told_from_apts_status_lines():
    progress = _host.Progress(3)
    progress.feed("dlstatus:1:3.5:Retrieving file 1 of 9\npmstatus:libc6:10.2:Unpacking libc6 (amd64)\npmstatus:libc6:20.1:Insta")
    assert (progress.done, progress.message, progress.percent) == (0, "Unpacking libc6 (amd64)", 3.5)
    progress.feed(
        "lled libc6 (amd64)\npmstatus:libc6:20.1:Installed libc6 (amd64)\n"
        "pmstatus:php8.2-fpm:30:Removed php8.2-fpm (amd64)\npmstatus:x:i386:40:Installed x (i386)\n"
    )
    assert progress.done == 3


@pytest.mark.parametrize(
    ("audit", "updates", "status", "count"),
    [
        ("", [], "nginx ii \nphp8.2-fpm rc \n", 0),
        ("", ["tmp.i"], "", 0),
        ("The following packages are only half configured\n", [], "", 1),
        ("", ["0003", "tmp.i"], "", 1),
        ("", [], "a iU \nb iF \nc iHR\nd ii \n", 1),
        ("x", ["0001"], "a it \n", 3),
    ],
)
def test_when_dpkg_needs_healing(audit, updates, status, count):
    assert len(_heal.needed(audit, updates, status)) == count


@pytest.mark.parametrize(
    ("data", "good"),
    [
        (b"Package: x\nStatus: install ok unpacked\nDescription: a\n b\n\n", True),
        (b"", False),
        (b"\0\0\0\0", False),
        (b"Package: x\nStat", False),
        (b"garbage here\n", False),
    ],
)
def test_which_update_files_dpkg_can_read(data, good):
    assert _heal.parsable(data) is good


def test_the_log_names_packages_and_a_full_disk():
    log = (
        "dpkg: error processing package dovecot-core (--configure):\n"
        "dpkg: error processing archive /var/cache/apt/archives/perl-base_5.40_amd64.deb (--unpack):\n"
        "x: No space left on device\n"
    )
    assert _heal.failed_packages(log) == ["dovecot-core", "perl-base"]
    assert _heal.disk_full(log)
    assert not _heal.disk_full("fine")


class Bench:
    """A host without programs: what is asked of it is written down."""

    def __init__(self, tmp_path):
        self.log = "/log"
        self.backups = str(tmp_path / "backup")
        self.notes = []
        self.memory = SimpleNamespace(state={"attempts": {}}, save=lambda **f: self.memory.state.update(f), journal=lambda *a, **f: None)

    def keep(self, path, group):
        self.notes.append(("keep", path))

    def run(self, argv, **more):
        done = subprocess.run(argv, check=True, capture_output=True)
        return SimpleNamespace(rc=0, text=done.stdout.decode())


def test_the_third_failure_stops_with_the_package_and_the_log(tmp_path):
    host, log = Bench(tmp_path), "dpkg: error processing package mailman3 (--configure):\n installed mailman3 package post-installation script returned 1\n"
    _heal.judge(host, log, "x")
    _heal.judge(host, log, "x")
    with pytest.raises(_host.StageFailure, match="mailman3 failed three times") as caught:
        _heal.judge(host, log, "x")
    assert "/log" in caught.value.following


def test_a_full_disk_stops_at_once(tmp_path):
    with pytest.raises(_host.StageFailure, match="full") as caught:
        _heal.judge(Bench(tmp_path), "tar: No space left on device", "x")
    assert "make room" in caught.value.following


def test_policy_forbids_starting_only_what_is_fragile(tmp_path):
    previous = tmp_path / "previous"
    previous.write_text("#!/bin/sh\nexit 42\n")
    previous.chmod(0o755)
    for text, expected in ((_quiet.policy("f", ["dovecot"]), 0), (_quiet.policy("f", ["dovecot"], str(previous)), 42)):
        script = tmp_path / "policy"
        script.write_text(text)
        for words, status in (
            (["dovecot", "start"], 101),
            (["--quiet", "dovecot.service", "restart"], 101),
            (["dovecot", "try-restart"], 101),
            (["dovecot", "stop"], expected),
            (["nginx", "start"], expected),
        ):
            assert subprocess.run(["sh", str(script)] + words, check=False).returncode == status, words


def test_fragile_are_only_services_that_get_new_configuration():
    path = {"fragile_services": [{"service": "dovecot", "package": "dovecot-core", "configuration": "/etc/dovecot", "reason": "r"}]}
    assert _quiet.fragile(path, {"target_files_cover": ["/etc/dovecot/dovecot.conf"]}, lambda name: "2.3") == ["dovecot"]
    assert _quiet.fragile(path, {"target_files_cover": ["/etc/dovecotx"]}, lambda name: "2.3") == []
    assert _quiet.fragile(path, {"target_files_cover": ["/etc/dovecot/dovecot.conf"]}, lambda name: None) == []


def test_ini_differences_are_only_what_was_changed():
    reference = '[PHP]\nmemory_limit = 128M\n;date.timezone =\npost_max_size = 8M ; note\n[Session]\nsession.save_path = "/x"\n'
    text = '[PHP]\nmemory_limit = 333M\ndate.timezone = Europe/Berlin\npost_max_size = 8M\n[Session]\nsession.save_path = "/x"\nsession.name = "A;B" ; mine\n'
    made = _carry.ini_differences(text, reference, "/etc/php.ini")
    assert (
        made == '; carried over from /etc/php.ini by the upgrade\n[PHP]\nmemory_limit = 333M\ndate.timezone = Europe/Berlin\n[Session]\nsession.name = "A;B"\n'
    )
    assert _carry.ini_differences(reference, reference, "x") == ""


def test_carried_are_edited_files_only_and_never_over_one_that_is_there(tmp_path):
    old, new, web = tmp_path / "8.2", tmp_path / "8.4", tmp_path / "nginx"
    for directory in (old, new, web):
        directory.mkdir()
    (old / "www.conf").write_text("unedited")
    (old / "alice.conf").write_text("pool")
    (old / "there.conf").write_text("mine")
    (new / "there.conf").write_text("already")
    (old / "link.conf").symlink_to("www.conf")
    sums = {str(old / "www.conf"): _carry._questions.md5(b"unedited")}
    entry = {
        "from": str(old) + "/*",
        "to": str(new) + "/",
        "package": "php8.2-fpm",
        "edited_only": True,
        "unless_mentioned": {"words": ["/run/php/php8.2-fpm.sock"], "in": [str(web)]},
        "reason": "r",
    }
    assert [s[1:3] for s in _carry.steps([entry], {"php8.2-fpm"}, sums)] == [(str(old / "alice.conf"), str(new / "alice.conf"))]
    assert _carry.steps([entry], set(), sums) == []
    (web / "site").write_text("fastcgi_pass unix:/run/php/php8.2-fpm.sock;")
    assert [os.path.basename(s[1]) for s in _carry.steps([entry], {"php8.2-fpm"}, sums)] == ["alice.conf", "www.conf"]


def test_target_files_take_the_place_keep_the_mode_and_leave_a_copy(tmp_path):
    class Host(Bench):
        def keep(self, path, group):
            _host.Host.keep(self, path, group)

    host, live, staging = Host(tmp_path), tmp_path / "live", tmp_path / "staging"
    target = str(live)
    os.makedirs(str(staging) + target)
    live.mkdir()
    (live / "secret.conf").write_text("old")
    (live / "secret.conf").chmod(0o640)
    (live / "conf.d").mkdir()
    (live / "conf.d" / "old.conf").write_text("2.3")
    for name in ("secret.conf", "new.conf"):
        with open(str(staging) + target + "/" + name, "w", encoding="utf-8") as handle:
            handle.write("2.4")
    installed, removed = _configuration.install(host, str(staging), [str(live) + "/conf.d/*"])
    assert (sorted(os.path.basename(p) for p in installed), [os.path.basename(p) for p in removed]) == (["new.conf", "secret.conf"], ["old.conf"])
    assert (live / "secret.conf").read_text() == "2.4"
    assert (live / "secret.conf").stat().st_mode & 0o777 == 0o640
    assert Path(host.backups + "/target-files" + target + "/secret.conf").read_text() == "old"
    assert Path(host.backups + "/target-files" + target + "/conf.d/old.conf").read_text() == "2.3"
    assert _configuration.install(host, str(staging), [str(live) + "/conf.d/*"]) == ([], [])


def test_a_daemon_that_refuses_its_new_configuration_stops_the_flight():
    host = SimpleNamespace(
        package_version=lambda name: "2.4", run=lambda argv, **m: SimpleNamespace(rc=89, error="doveconf: Fatal: Unknown setting: x", text="")
    )
    checks = [{"name": "dovecot", "detect": ["dovecot-core"], "command": ["doveconf", "-n"], "configuration": "/etc/dovecot"}]
    with pytest.raises(_host.StageFailure, match=r"dovecot does not accept.*Unknown setting"):
        _configuration.check(host, checks, ["/etc/dovecot/dovecot.conf"])
    _configuration.check(host, checks, ["/etc/nginx/nginx.conf"])


CLEAN = (
    "[Note] InnoDB: Starting shutdown...\n"
    "[Note] Shutdown completed; log sequence number 5661450; transaction id 48\n"
    "[Note] /usr/sbin/mariadbd: Shutdown complete\n"
)


@pytest.mark.parametrize(
    ("log", "clean"),
    [
        (CLEAN, True),
        ("Starting MariaDB 10.11 as process 77\n/usr/sbin/mariadbd: ready for connections.\n" + CLEAN, True),
        (CLEAN + "Starting MariaDB as process 9\n", False),
        ("InnoDB: Starting shutdown...\n", False),
        ("", False),
        (CLEAN.split("\n", 2)[0] + "\nmariadbd: Shutdown complete\n", False),
        ("Shutdown completed; log sequence number 1\n", False),
    ],
)
def test_a_clean_stop_is_told_from_the_log(log, clean):
    assert _databases.clean_stop(log) is clean


def test_clusters_are_read():
    text = "15 main 5432 online postgres /var/lib/postgresql/15/main /var/log/x\n17 main 5433 down,recovery postgres /d /l\n"
    assert [(c["version"], c["port"], c["status"]) for c in _databases.clusters(text)] == [("15", "5432", "online"), ("17", "5433", "down,recovery")]


def heard(status, units="active\nactive", **fields):
    """What COMMAND prints."""
    state = dict(_state.fresh("f-1"), status=status, stage="full", **fields)
    return "%s\n\n--intact-units--\n%s\n%s\n" % (json.dumps(state), units, _watch.END)


def test_a_watcher_goes_on_until_the_runner_is_done():
    watch = _watch.Watch("web1", 100)
    assert watch.heard(heard("running"), 0) is None
    assert watch.lost("no route", 10) is None
    assert not watch.reachable
    assert watch.heard(heard("waiting-reboot"), 50) is None
    assert watch.gaps[0]["seconds"] == 40
    verdict = watch.heard(heard("done"), 60)
    assert verdict["changed"]
    assert not verdict.get("failed")


def test_a_watcher_says_where_it_failed_and_what_is_next():
    verdict = _watch.Watch("web1", 100).heard(heard("failed", message="disk full", next="make room", last_lines=["tar: x"]), 0)
    assert verdict["failed"]
    assert all(word in verdict["msg"] for word in ("web1", "full", "disk full", "make room", "tar: x"))


def test_a_watcher_gives_up_on_a_host_that_stays_away_and_says_that_nothing_is_lost():
    watch = _watch.Watch("web1", 100)
    watch.heard(heard("running"), 0)
    assert watch.lost("timed out", 10) is None
    verdict = watch.lost("timed out", 120)
    assert verdict["failed"]
    assert "Nothing is lost" in verdict["msg"]
    assert "in full" in verdict["msg"]


def test_a_watcher_notices_that_nobody_works():
    watch = _watch.Watch("web1", 100)
    verdicts = [watch.heard(heard("running", units="inactive\ninactive"), n) for n in range(_watch.GONE)]
    assert verdicts[:-1] == [None] * (_watch.GONE - 1)
    assert "start the upgrade again" in verdicts[-1]["msg"].lower()


def test_a_state_that_is_not_there_yet_is_waited_for():
    watch = _watch.Watch("web1", 100)
    assert watch.heard("cat: no such file\n\n--intact-units--\nactivating\nactive\n%s\n" % _watch.END, 0) is None


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_a_watcher_reads_the_answer_of_a_terminal_too(ending):
    """SSH gives a command a terminal: its lines end with CR LF."""
    watch = _watch.Watch("web1", 1800)
    answer = ending.join(['{"status": "running", "stage": "full"}', "", "--intact-units--", "active", "active", _watch.END, ""])
    for moment in range(_watch.GONE + 2):
        assert watch.heard(answer, moment) is None
    assert watch.state["stage"] == "full"


def test_what_is_installed_is_closed_to_others(tmp_path, monkeypatch):
    """The log of the runner and its job hold what the operator's configuration holds."""
    monkeypatch.setattr(_install._runner, "UNITS", str(tmp_path))
    directory = _install.install({"flight": "web1-x", "plan": {}}, str(tmp_path / "upgrade"))
    modes = {name: os.stat(os.path.join(directory, name)).st_mode & 0o777 for name in ("runner.log", "job.json")}
    assert modes == {"runner.log": 0o600, "job.json": 0o600}
