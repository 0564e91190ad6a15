# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A whole way back on a real btrfs: the runner's stage, a real Maildir, what is told to the snapshot, and a cut before every command."""

from __future__ import annotations

import json
import os
import shutil
from types import SimpleNamespace

import pytest

from ansible_collections.intact.hosting.plugins.module_utils import _command, _flight
from ansible_collections.intact.hosting.plugins.module_utils._baseline import _mailboxes
from ansible_collections.intact.hosting.plugins.module_utils._files import write_document
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._report import _rollback
from ansible_collections.intact.hosting.plugins.module_utils._rollback import _back, _stage, _told
from ansible_collections.intact.hosting.plugins.module_utils._system import System
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _deadman, _rescue, _runner, _state

FLIGHT = "f-1"
CMDLINE = "root=UUID=x ro rootflags=subvol=@rootfs"
JOB = {"flight": FLIGHT, "plan": {}, "release_path": {"target": {"id": "debian"}}, "settings": {"rollback": {"driver": "btrfs", "cmdline": CMDLINE}}}
MESSAGE = "From: a@example.com\nSubject: %s\n\nbody of %s\n"


class Cut(BaseException):
    """The power goes."""


class Lab:
    """The disk as a host: programs of systemd are written down, all others run."""

    def __init__(self, disk):
        self.disk, self.said = disk, []
        self.active = ["nginx.service", "cron.service", "mariadb.service"]
        self.root = disk.root
        self.box = disk.root / "home/anna/Maildir"
        for part in ("cur", "new", "tmp"):
            (self.box / part).mkdir(parents=True)
        self.units = disk.root / "etc/systemd/system"
        (self.units / "timers.target.wants").mkdir(parents=True)
        for name in ("intact-upgrade.service", "intact-upgrade.timer", "intact-rescue-ssh.service", "nginx.service"):
            (self.units / name).write_text("[Unit]\n")
        os.symlink("/etc/systemd/system/intact-upgrade.timer", self.units / "timers.target.wants/intact-upgrade.timer")
        self.names = [disk.place().path(path) for path in (_state.ROOT, _flight.FLIGHTS)]

    def run(self, argv, **more):
        if argv[0] == "systemctl":
            self.said.append(" ".join(argv))
            if argv[1] == "stop":
                self.active = [unit for unit in self.active if unit not in argv]
            elif argv[1] == "start":
                self.active += argv[3:]
            units = "".join("%s loaded active running x\n" % unit for unit in self.active)
            return _command.Result(tuple(argv), 0, units.encode() if argv[1] == "list-units" else b"", b"")
        return _command.run(argv, **more)

    def place(self, run=None):
        return self.disk.place(run or self.run)

    def memory(self):
        return _state.Memory(_state.load(FLIGHT, *self.names) or _state.fresh(FLIGHT), *self.names)

    def mail(self, name, part="new"):
        (self.box / part / name).write_text(MESSAGE % (name, name))

    def look(self, *_args):
        """A baseline of the mailbox, read by the baseline's own eyes."""
        folders = _mailboxes.read(System(), str(self.box), str(self.box / ".probe"), 1000, lambda count: True)
        mail = {"status": "ok", "data": {"items": {"anna": {"kind": "mailbox", "folders": folders}}}}
        return {
            "schema": 1,
            "taken": _flight.now(),
            "sections": {"mail": mail, "databases": {"status": "absent", "data": {}}, "queue": {"status": "absent", "data": {}}},
        }

    def fly(self):
        """Take-off: look, stage snapshot, then an upgrade that ends done."""
        flight = _flight.ensure(FLIGHT, self.names[1])
        write_document(os.path.join(flight, "baseline-before.json.gz"), self.look())
        os.makedirs(_state.directory(FLIGHT, self.names[0]))
        memory = self.memory()
        memory.begin("bind")
        memory.end("bind", "ok")
        memory.begin("snapshot")
        host = SimpleNamespace(memory=memory, directory=_state.directory(FLIGHT, self.names[0]), run=self.run)
        memory.end("snapshot", "ok", _stage.snapshot(host, JOB, self.place()))
        (self.root / "etc/os-release").write_text("VERSION_CODENAME=new\n")
        memory.save(status="done")
        return host

    def fly_on(self, host):
        """The rest of a flight whose snapshot was taken."""
        write_document(os.path.join(_flight.ensure(FLIGHT, self.names[1]), "baseline-before.json.gz"), self.look())
        host.memory.save(status="done")

    def back(self, run=None, **options):
        options = {"why": "red", "who": "a test", **options}
        return _back.Back(FLIGHT, JOB, options, self.place(run), look=self.look)

    def release(self):
        return (self.root / "etc/os-release").read_text().strip().partition("=")[2]


@pytest.fixture
def lab(disk):
    return Lab(disk)


def test_what_came_later_is_in_the_old_system_that_does_not_take_off_again(lab):
    lab.mail("old")
    lab.fly()
    lab.mail("new1")
    lab.mail("new2", "cur")
    record = lab.back().go()
    assert list(record["steps"]) == list(_back.STEPS) and record["counts"]["messages"] == 2
    assert lab.back().position() == "switched" and lab.back().go()["steps"] == record["steps"]
    lab.disk.boot()
    assert lab.release() == "old"
    assert sorted(os.listdir(lab.box / "new")) == ["old"]
    kept = lab.root / "var/lib/intact/kept" / FLIGHT
    document = json.loads((kept / "kept.json").read_text())
    assert [(e["mailbox"], e["folder"], e["messages"]) for e in document["mail"]] == [("anna", "INBOX", 2)]
    assert {(kept / e["file"]).read_text() for e in document["files"]} == {MESSAGE % ("new1", "new1"), MESSAGE % ("new2", "new2")}
    # Nothing starts the upgrade, whoever is asked: unit files, the state, the journal alone.
    assert sorted(p.name for p in lab.units.rglob("*") if p.is_symlink() or p.is_file()) == ["nginx.service"]
    state = _state.load(FLIGHT, *lab.names)
    assert state["status"] == "rolled-back" and not state["point_of_no_return"]
    os.unlink(os.path.join(_state.directory(FLIGHT, lab.names[0]), "state.json"))
    assert _state.load(FLIGHT, *lab.names)["status"] == "rolled-back"
    back = lab.back()
    assert back.position() == "old" and "until it is dropped" in back.settle()[0]["settled"][-1]
    assert back.settle()[0]["settled"] == lab.back().record["settled"]
    events = _flight.read(FLIGHT, lab.names[1])[0]
    assert [e["who"] for e in events if e["event"] == "decision"] == ["operator", "a test"]
    told = _rollback.build(events, None)
    assert (told["driver"], told["automatic"], told["done"], told["saved"]["counts"]["messages"]) == ("btrfs", False, True, 2)
    assert told["snapshots"][0]["names"] == ["intact-" + FLIGHT] and told["tries"][0]["who"] == "a test" and told["seconds"] >= 0
    assert any("mailbox anna INBOX: 2 messages saved" in line for line in told["saved"]["lines"]) and "until it is dropped" in told["left"][0]
    with pytest.raises(IntactError, match="went back already"):
        lab.back().go()


def test_a_runner_that_wakes_up_in_the_old_system_ends(lab, monkeypatch):
    lab.fly()
    lab.back().go()
    lab.disk.boot()
    directory = _state.directory(FLIGHT, lab.names[0])
    write_document(os.path.join(directory, "job.json"), JOB)
    monkeypatch.setattr(_runner, "UNITS", str(lab.units))
    runner = _runner.Runner(directory, *lab.names)
    runner.host.systemctl = lambda *words, **more: None
    assert runner.go() == "rolled-back"


def test_every_command_may_be_the_last(lab):
    """Power fails before each command and right after the last: what boots is old or new and whole; going on ends in the old one with all mail."""
    lab.mail("old")
    lab.fly()
    count, cuts = 0, 0
    for number in range(300):
        lab.mail("after-%d" % number)
        left = [number]

        def run(argv, left=left, **more):  # pylint: disable=dangerous-default-value  # its own in each round
            if not left[0]:
                raise Cut
            left[0] -= 1
            return lab.run(argv, **more)

        try:
            lab.back(run).go()
            count = number
            break
        except Cut:
            cuts += 1
            lab.disk.cut()
            if lab.release() == "old":
                count = number
                break
            # Not a mix: the snapshot is still the whole old system, and this one has what it had.
            assert lab.back().position() == "new" and sorted(os.listdir(lab.box / "new"))[0] == "after-0"
    assert cuts > 8, "only %d commands were cut" % cuts
    lab.disk.boot()
    assert lab.release() == "old" and lab.back().position() == "old"
    assert sorted(os.listdir(lab.box / "new")) == ["old"]
    kept = json.loads((lab.root / "var/lib/intact/kept" / FLIGHT / "kept.json").read_text())
    names = {os.path.basename(e["from"]) for e in kept["files"]}
    assert names == {"after-%d" % number for number in range(count + 1)}


@pytest.mark.parametrize("call", ["write_atomic", "_copy", "take_units_away", "_once"])
def test_a_cut_while_the_snapshot_is_told(lab, monkeypatch, call):
    lab.fly()
    lab.mail("new")
    real = getattr(_told, call)

    def cut(*args, **more):
        real(*args, **more)
        raise Cut

    monkeypatch.setattr(_told, call, cut)
    with pytest.raises(Cut):
        lab.back().go()
    monkeypatch.setattr(_told, call, real)
    lab.disk.cut()
    assert lab.release() == "new" and lab.back().position() == "new"
    lab.back().go()
    lab.disk.boot()
    assert lab.release() == "old" and _state.load(FLIGHT, *lab.names)["status"] == "rolled-back"
    assert not [n for n in os.listdir(os.path.join(lab.names[1])) if "intact" in n]


def test_services_rest_meanwhile_and_run_again_when_it_fails(lab):
    lab.fly()
    shutil.rmtree(lab.root / "var/lib/intact/flights" / FLIGHT)
    with pytest.raises(IntactError, match="did not go back and is the upgraded system as before"):
        lab.back().go()
    assert "systemctl stop -- cron.service nginx.service" in lab.said and "systemctl start -- cron.service nginx.service" in lab.said
    assert not [line for line in lab.said if "mariadb" in line]


def test_what_an_earlier_try_stopped_is_started_again(lab):
    """The first half is done by itself where the controller fetches what was saved."""
    lab.fly()
    record = lab.back().go(until="save")
    assert record["stopped"] == ["cron.service", "nginx.service"] and lab.active == ["mariadb.service"] and lab.back().position() == "new"
    shutil.rmtree(lab.root / "var/lib/intact/flights" / FLIGHT)
    with pytest.raises(IntactError, match="did not go back"):
        lab.back().go()
    assert sorted(lab.active) == ["cron.service", "mariadb.service", "nginx.service"]


@pytest.mark.parametrize("trouble", [ValueError("torn"), KeyError("items"), RuntimeError("x")])
def test_services_run_again_whatever_it_fails_with(lab, trouble):
    lab.fly()

    def look(*_args):
        raise trouble

    lab.look = look
    with pytest.raises(IntactError, match="did not go back and is the upgraded system as before"):
        lab.back().go()
    assert sorted(lab.active) == ["cron.service", "mariadb.service", "nginx.service"]


def test_what_was_stopped_when_it_was_killed_is_started_again(lab):
    lab.fly()

    def killed(argv, **more):
        done = lab.run(argv, **more)
        if argv[:2] == ["systemctl", "stop"]:
            raise Cut
        return done

    with pytest.raises(Cut):
        lab.back(killed).go()
    assert lab.active == ["mariadb.service"]
    shutil.rmtree(lab.root / "var/lib/intact/flights" / FLIGHT)
    with pytest.raises(IntactError, match="did not go back"):
        lab.back().go()
    assert sorted(lab.active) == ["cron.service", "mariadb.service", "nginx.service"]


def test_what_rests_after_saving_runs_again_when_it_is_not_gone_on_with(lab):
    """The controller could not fetch it: nobody may be left without mail and sites over that."""
    lab.fly()
    lab.back().go(until="save")
    assert lab.active == ["mariadb.service"]
    assert lab.back().resume() == ["cron.service", "nginx.service"]
    assert sorted(lab.active) == ["cron.service", "mariadb.service", "nginx.service"] and lab.back().resume() == []
    lab.back().go()
    assert lab.back().position() == "switched" and lab.back().resume() == []


def test_what_can_not_be_saved_stops_it_until_somebody_says_so(lab):
    lab.fly()
    look = lab.look

    def blind(*args):
        document = look()
        document["sections"]["mail"] = {"status": "failed", "reason": "Dovecot does not answer"}
        return document

    lab.look = blind
    with pytest.raises(IntactError, match="1 things could not be saved: section mail"):
        lab.back().go()
    assert lab.back().position() == "new" and "systemctl start -- cron.service nginx.service" in lab.said
    lab.back(accept_unsaved=True).go()
    lab.disk.boot()
    assert lab.release() == "old"


def test_a_flight_without_a_snapshot_or_with_half_a_one_is_refused(lab):
    with pytest.raises(IntactError, match="no upgrade of flight"):
        lab.back()
    host = lab.fly()
    facts = host.memory.recall("snapshot")
    host.memory.remember("snapshot", dict(facts, complete=False))
    assert "never finished" in lab.back().refusals()[0]
    host.memory.remember("snapshot", None)
    with pytest.raises(IntactError, match="took no snapshot"):
        lab.back()


def test_a_second_start_and_a_working_runner_are_refused(lab):
    lab.fly()
    lock = _state.lock(lab.names[0])
    with pytest.raises(IntactError, match="works right now"):
        lab.back().go()
    lock.close()


def test_the_stage_is_repeated_after_a_cut_and_never_taken_late(lab):
    memory = lab.memory()
    os.makedirs(_state.directory(FLIGHT, lab.names[0]))
    host = SimpleNamespace(memory=memory, directory="", run=lab.run)
    count = [0]

    def run(argv, **more):
        if argv[:3] == ["btrfs", "filesystem", "sync"]:
            count[0] += 1
            raise Cut
        return lab.run(argv, **more)

    with pytest.raises(Cut):
        _stage.snapshot(host, JOB, lab.place(run))
    lab.disk.cut()
    host.memory = lab.memory()
    assert host.memory.recall("snapshot")["complete"] is False and count == [1]
    lab.mail("while-it-was-down")
    assert _stage.snapshot(host, JOB, lab.place()) == "intact-f-1 by btrfs"
    assert _stage.snapshot(host, JOB, lab.place()) == "snapshot intact-f-1 is there"
    assert _stage.watch(host, JOB, lab.place()) == ""
    assert _stage.give_back(host, JOB, lab.place()) == "snapshot intact-f-1 removed"
    assert host.memory.recall("snapshot") is None
    host.memory.end("patch-source", "ok")
    assert "changed the host already" in _stage.snapshot(host, JOB, lab.place())
    assert _stage.snapshot(host, dict(JOB, settings={}), lab.place()) == ""


def test_a_snapshot_that_could_not_be_given_back_is_made_anew_by_the_next_attempt(lab):
    """The host went on after the attempt that it was made for: what came meanwhile is in no later look, and would be lost without a word."""
    os.makedirs(_state.directory(FLIGHT, lab.names[0]))
    host = SimpleNamespace(memory=lab.memory(), directory="", run=lab.run)
    _stage.snapshot(host, JOB, lab.place())

    def refuses(argv, **more):
        if argv[:3] == ["btrfs", "subvolume", "delete"]:
            raise IntactError("busy")
        return lab.run(argv, **more)

    with pytest.raises(IntactError, match="busy"):
        _stage.give_back(host, JOB, lab.place(refuses))
    host.memory = lab.memory()
    lab.mail("after-the-first-attempt")
    with pytest.raises(IntactError, match="busy"):
        _stage.snapshot(host, JOB, lab.place(refuses))
    assert _stage.snapshot(host, JOB, lab.place()) == "intact-f-1 by btrfs"
    assert host.memory.recall("snapshot")["complete"] is True and "undone" not in host.memory.recall("snapshot")
    lab.fly_on(host)
    lab.back().go()
    lab.disk.boot()
    assert os.listdir(lab.box / "new") == ["after-the-first-attempt"]


def test_every_unit_of_the_flight_is_taken_away_in_the_snapshot():
    for unit in (_runner.UNIT, _rescue.UNIT, _rescue.DOOR, _deadman.UNIT):
        assert os.path.splitext(unit)[0] in _told.OURS


def test_links_in_the_snapshot_lead_nowhere_else(tmp_path):
    (tmp_path / "real/lib").mkdir(parents=True)
    os.symlink("/real", tmp_path / "var")
    os.symlink("../../../../etc", tmp_path / "real/out")
    assert _told.inside(str(tmp_path), "/var/lib/intact") == str(tmp_path / "real/lib/intact")
    assert _told.inside(str(tmp_path), "/var/out/passwd") == str(tmp_path / "etc/passwd")
    os.symlink("loop", tmp_path / "loop")
    with pytest.raises(IntactError, match="round in links"):
        _told.inside(str(tmp_path), "/loop/x")
