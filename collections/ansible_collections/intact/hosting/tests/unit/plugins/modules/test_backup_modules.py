# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The modules backup_install, backup_run, backup_state_info and backup_check, whole, with repositories made of memory and a host in a directory."""

from __future__ import annotations

import fcntl
import json
import os
from types import SimpleNamespace

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._backup import _install, _main, _outcome, _restic, _state
from ansible_collections.intact.hosting.plugins.module_utils._backup._classes import CLASSES
from ansible_collections.intact.hosting.plugins.modules import backup_check, backup_install, backup_run, backup_state_info
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._backup.restic_fixture import FakeRestic

NAMES = ("vault", "offsite")
SCHEDULE = {"files": {"calendar": "*-*-* 03:00:00", "delay": 1800}}


class Repository(FakeRestic):
    """There or not (kind of what opening it says), made by init, checked with what said tells."""

    def __init__(self, name):
        super().__init__(name)
        self.opens, self.making, self.said, self.asked = "ok", "ok", "", []

    def identity(self):
        if self.opens != "ok":
            raise _outcome.ResticError(_outcome.Outcome(self.opens, 1, "Fatal: it said why"), self.name, "opening it")
        return "0" * 64

    def init(self):
        self.asked.append(["init"])
        return _outcome.Outcome(self.making, int(self.making != "ok"), "Fatal: it said why")

    def run(self, arguments, **_more):
        self.asked.append(arguments)
        return _outcome.Outcome(_outcome.classify(int(bool(self.said)), self.said), int(bool(self.said)), self.said)


@pytest.fixture
def host(tmp_path, monkeypatch):
    """A host whose class files is one site; state and program lie in a directory. root, home, job (path), given (the job), repositories."""
    (tmp_path / "srv").mkdir()
    (tmp_path / "srv" / "index.html").write_text("page")
    root, home = str(tmp_path / "root"), str(tmp_path / "root/var/lib/intact/backup")
    repositories = {name: Repository(name) for name in NAMES}
    given = {
        "host": "web1",
        "repositories": [{"name": name, "url": "sftp:backup@%s.example.com:/web1" % name, "password_file": "/etc/intact/%s" % name} for name in NAMES],
        "classes": dict({name: {"enabled": False} for name in CLASSES}, files={"paths": [str(tmp_path / "srv")]}),
        "metrics_file": "",
    }
    (tmp_path / "job.json").write_text(json.dumps(given))
    monkeypatch.setattr(_restic, "Restic", lambda entry, *_more: repositories[entry["name"]])
    monkeypatch.setattr(_main, "HOME", home)
    monkeypatch.setattr(_main, "backup", lambda job, classes, f=_main.backup: f(job, classes, home))
    monkeypatch.setattr(_main, "judged", lambda job, system, _home="", now=None, f=_main.judged: f(job, system, home, now))
    monkeypatch.setattr(_install, "Installer", lambda job, schedule, f=_install.Installer: f(job, schedule, root))
    monkeypatch.setattr(_install, "installed", lambda _root="", f=_install.installed: f(root))
    monkeypatch.setattr(_install, "remove", lambda f=_install.remove: f(root))
    return SimpleNamespace(root=root, home=home, job=str(tmp_path / "job.json"), given=given, repositories=repositories)


def ids(result):
    return sorted((f["id"], f["subject"]) for f in result["findings"])


# backup_run


def test_a_run_tells_what_it_did(host, call_module):
    result = call_module(backup_run.main, job=host.job)
    assert (result["changed"], result["status"], result["classes"], result["findings"]) == (True, "ok", ["files"], [])
    assert {name: entry["result"] for name, entry in result["done"]["files"].items()} == {"vault": "ok", "offsite": "ok"}
    assert "run:" + result["run"] in host.repositories["vault"].calls[0]["tags"]


def test_check_mode_tells_what_a_run_would_take_and_takes_nothing(host, call_module):
    result = call_module(backup_run.main, check=True, job=host.job)
    assert (result["changed"], result["status"], result["classes"]) == (True, "would-run", ["files"])
    assert not os.path.exists(host.home) and host.repositories["vault"].calls == []


def test_a_bad_repository_is_a_finding_and_no_failure_of_the_module(host, call_module):
    host.repositories["vault"].kind = "full"
    result = call_module(backup_run.main, job=host.job)
    assert not result.get("failed") and result["status"] == "failed"
    assert ids(result) == [("backup.repository.full", "vault files")] and "make room" in result["findings"][0]["remedy"]


def test_a_run_that_works_already_is_waited_for_or_named(host, call_module, monkeypatch):
    os.makedirs(host.home)
    with open(os.path.join(host.home, "lock"), "w", encoding="ascii") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        result = call_module(backup_run.main, job=host.job)
        assert result["failed"] and result["changed"] is False
        assert result["msg"].startswith("web1: a backup works on this host") and host.home + "/runs" in result["msg"]
        slept = []
        clock = SimpleNamespace(monotonic=lambda: 0, sleep=lambda seconds: (slept.append(seconds), fcntl.flock(other, fcntl.LOCK_UN)))
        monkeypatch.setattr(backup_run, "time", clock)
        assert call_module(backup_run.main, job=host.job, wait=60)["status"] == "ok"
        assert slept == [5]


@pytest.mark.parametrize("module", [backup_run, backup_state_info, backup_check])
@pytest.mark.parametrize("check", [False, True])
def test_a_job_that_is_not_there_or_wrong_is_named_with_what_to_do(host, call_module, module, check):
    result = call_module(module.main, check=check, job="/nowhere/job.json")
    assert result["failed"] and "/nowhere/job.json cannot be read" in result["msg"] and "run the role host_backup" in result["msg"]
    assert not result.get("changed")
    with open(host.job, "w", encoding="utf-8") as handle:
        json.dump(dict(host.given, hots="web1"), handle)
    result = call_module(module.main, check=check, job=host.job)
    assert result["failed"] and "job has the key hots" in result["msg"]


def test_a_disk_that_takes_nothing_is_a_sentence(host, call_module):
    with open(host.root, "w", encoding="ascii"):
        pass
    for module in (backup_run, backup_check):
        result = call_module(module.main, job=host.job)
        assert result["failed"] and result["msg"].startswith("web1: the ") and host.root in result["msg"] and "make room" in result["msg"]


# backup_state_info


def test_nothing_backed_up_is_a_finding_for_each_repository(host, call_module):
    for check in (True, False):
        result = call_module(backup_state_info.main, check=check, job=host.job)
        assert result["changed"] is False and result["classes"] == ["files"] and result["runs"] == []
        assert {("backup.stale", "vault files"), ("backup.stale", "offsite files"), ("backup.unproven", "vault files")} <= set(ids(result))
    assert not os.path.exists(host.home)


def test_after_a_run_nothing_is_stale_and_the_run_is_told(host, call_module):
    ran = call_module(backup_run.main, job=host.job)
    result = call_module(backup_state_info.main, job=host.job)
    assert "backup.stale" not in dict(ids(result))
    assert [run["run"] for run in result["runs"]] == [ran["run"]] and result["runs"][0]["status"] == "ok"
    assert result["state"]["repositories"]["vault"]["classes"]["files"]["good"]["run"] == ran["run"]
    assert call_module(backup_state_info.main, job=host.job, runs=0)["runs"] == []


# backup_check


def test_a_check_reads_the_next_part_and_notes_it(host, call_module):
    result = call_module(backup_check.main, job=host.job)
    assert (result["findings"], result["would_check"]) == ([], list(NAMES))
    assert sorted(result["coverage"]["vault"]["read"]) == ["1"]
    assert sorted(call_module(backup_check.main, job=host.job, repositories=["vault"])["coverage"]["vault"]["read"]) == ["1", "2"]
    state = _state.load(os.path.join(host.home, "state.json"))
    assert len(state["repositories"]["vault"]["coverage"]["read"]) == 2 and state["repositories"]["offsite"]["checked"]["result"] == "ok"


def test_check_mode_asks_no_repository(host, call_module):
    result = call_module(backup_check.main, check=True, job=host.job, repositories=["offsite"])
    assert (result["changed"], result["would_check"], "coverage" in result) == (False, ["offsite"], False)
    assert host.repositories["offsite"].asked == [] and not os.path.exists(host.home)


def test_damage_is_told_of_its_repository_and_does_not_hide_the_other(host, call_module):
    host.repositories["vault"].said = "Fatal: wrong password or no key found"
    result = call_module(backup_check.main, job=host.job)
    assert ids(result) == [("backup.repository.password", "vault")] and "password file" in result["findings"][0]["remedy"]
    assert sorted(result["coverage"]["offsite"]["read"]) == ["1"]
    # the state remembers it
    assert ("backup.repository.password", "vault") in ids(call_module(backup_state_info.main, job=host.job))


def test_a_repository_that_is_not_in_the_job(host, call_module):
    result = call_module(backup_check.main, job=host.job, repositories=["vualt"])
    assert result["failed"] and result["msg"] == "the job has no repository vualt: it has vault, offsite"


# backup_install


def install(call_module, host, **more):
    return call_module(backup_install.main, **dict({"job": host.given, "schedule": SCHEDULE}, **more))


def test_check_mode_predicts_what_is_then_written_and_the_second_time_nothing(host, call_module):
    predicted = install(call_module, host, check=True, diff=True)
    assert predicted["changed"] and not os.path.exists(host.root)
    assert any('"host": "web1"' in part["after"] for part in predicted["diff"])
    result = install(call_module, host)
    assert (result["changed"], result["changes"], result["findings"]) == (True, predicted["changes"], [])
    assert "/etc/intact/backup/job.json" in result["changes"] and os.path.exists(host.root + "/etc/intact/backup/job.json")
    again = install(call_module, host)
    assert (again["changed"], again["changes"]) == (False, [])


def test_a_repository_that_is_gone_is_told_and_not_made_anew(host, call_module):
    host.repositories["vault"].opens = "no-repository"
    result = install(call_module, host)
    assert ids(result) == [("backup.repository.missing", "vault")] and result["initialised"] == []
    assert host.repositories["vault"].asked == []


def test_init_makes_what_is_not_there_and_nothing_else(host, call_module):
    host.repositories["vault"].opens, host.repositories["offsite"].opens = "no-repository", "unreachable"
    result = install(call_module, host, check=True, init=True)
    assert (result["initialised"], host.repositories["vault"].asked) == (["vault"], [])
    result = install(call_module, host, init=True)
    assert (result["initialised"], ids(result)) == (["vault"], [("backup.repository.unreachable", "offsite")])
    assert (host.repositories["vault"].asked, host.repositories["offsite"].asked) == ([["init"]], [])


def test_an_init_that_fails_made_nothing(host, call_module):
    host.repositories["vault"].opens, host.repositories["vault"].making = "no-repository", "refused"
    result = install(call_module, host, init=True)
    assert (result["initialised"], ids(result)) == ([], [("backup.repository.refused", "vault")])


def test_repositories_can_be_left_unasked(host, call_module):
    host.repositories["vault"].opens = "unreachable"
    assert install(call_module, host, repositories=False)["findings"] == []


def test_absent_takes_it_away_and_leaves_the_state(host, call_module):
    install(call_module, host)
    call_module(backup_run.main, job=host.job)
    predicted = call_module(backup_install.main, check=True, state="absent")
    assert predicted["changed"] and os.path.exists(host.root + "/etc/intact/backup/job.json")
    result = call_module(backup_install.main, state="absent")
    assert result["changes"] == predicted["changes"] and not os.path.exists(host.root + "/etc/intact/backup/job.json")
    assert os.path.exists(host.home + "/state.json")
    assert call_module(backup_install.main, state="absent")["changed"] is False


@pytest.mark.parametrize("check", [False, True])
def test_what_cannot_work_is_refused_before_anything_is_written(host, call_module, check):
    alone = dict(host.given, repositories=host.given["repositories"][:1])
    for job, words in ((alone, "2 independent repositories"), (dict(host.given, hots=1), "job has the key hots"), ({}, "job is needed")):
        result = install(call_module, host, check=check, job=job)
        assert result["failed"] and words in result["msg"] and result["changed"] is False
    assert not os.path.exists(host.root)


def test_a_directory_that_takes_no_file_is_named(host, call_module):
    os.makedirs(host.root + "/etc/intact/backup/job.json/x")
    result = install(call_module, host)
    assert result["failed"] and "could not be installed" in result["msg"] and "job.json" in result["msg"]
