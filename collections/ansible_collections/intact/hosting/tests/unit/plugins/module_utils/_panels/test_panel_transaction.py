# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A panel's restore as a transaction, over a real MariaDB: whatever befalls it, the host is as it was or as it was wanted."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import sqlite3
import subprocess
import time

import pytest

from ansible_collections.intact.hosting.plugins.module_utils import _flight
from ansible_collections.intact.hosting.plugins.module_utils._backup import _placing
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import _checkpoint, _restores, _scope, _standing
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels import fake_panel, panel_server, restore_lab

pytestmark = pytest.mark.skipif(bool(panel_server.missing()), reason=panel_server.missing() or "-")


@pytest.fixture(scope="module", autouse=True)
def _template():
    yield
    panel_server.forget()


@pytest.fixture
def lab():
    made = restore_lab.Lab().make()
    yield made
    made.close()


def ids(work):
    return [finding.id for finding in work.findings if finding.severity != "info"]


def test_a_restore_that_goes_well_is_committed(lab):
    lab.drills = lab.top + "/drills"
    work = lab.restore()
    assert (work.status, ids(work)) == ("restored", [])
    events = lab.journal()
    assert _standing.steps(events) == [(step, "ok") for step in _standing.STEPS]
    assert _standing.standing(events)["state"] == "closed"


FAULTS = [
    ("rc", "import"),
    ("server-early", "import"),
    ("server-late", "import"),
    ("own-late", "import"),
    ("running-late", "import"),
    ("torn-end", "check"),
    ("gone-late", "import"),
    ("leftover-late", "import"),
    ("bug-late", "import"),
    ("told-late", "import"),
    ("twice-late", "import"),
    ("repair", "repair"),
    ("loses-end", "compare"),
    ("adds-end", "import"),
]


@pytest.mark.parametrize(("fault", "stage"), FAULTS)
def test_whatever_goes_wrong_the_host_is_as_it_was_and_the_second_try_succeeds(lab, fault, stage):
    before = lab.state()
    work = lab.restore(fault)
    assert work.status == "rolled-back", [f.evidence for f in work.findings]
    assert lab.state() == before
    assert _standing.steps(lab.journal())[-2:] == [(stage, "failed"), ("rollback", "ok")]
    assert ids(work)[-1] == "panel.restore.rolled_back"
    again = lab.restore()
    assert (again.status, ids(again)) == ("restored", []), again.findings
    assert lab.before()["objects"] == lab.wanted()["objects"]


@pytest.mark.parametrize(("fault", "least"), [("", 18), ("rc", 14)])
def test_a_kill_at_any_moment_is_made_good_at_the_next_start(fault, least):
    lab, kill, seen = restore_lab.Lab().make(), 0, set()
    before = lab.state()
    try:
        while True:
            kill += 1
            name = "kill%d" % kill
            if lab.elsewhere(fault, name, kill) == 0:
                break
            at = _standing.standing(lab.journal(name) if kill > 1 else [])
            seen.add((at["state"], at["verdict"]))
            status = lab.transaction(name=name).recover()
            assert _restores.cut(lab.root) == []
            if at["verdict"] == "intact":
                assert status == "" and lab.before()["objects"] == lab.wanted()["objects"]
                lab.close()
                lab = restore_lab.Lab().make()
                before = lab.state()
            else:
                assert lab.state() == before, (kill, at)
                assert status == {"none": "", "looking": "refused", "changing": "rolled-back", "closed": ""}[at["state"]], (kill, at)
    finally:
        lab.close()
    assert kill > least and seen >= {("none", ""), ("looking", ""), ("changing", "")} | ({("closed", "intact")} if not fault else set())


def test_a_kill_on_the_way_back_is_made_good_as_well(lab):
    before, kill = lab.state(), 0
    assert lab.elsewhere("killed-late") == -9
    assert lab.state() != before
    while lab.elsewhere(kill=kill + 1, recover=True) == -9:
        kill += 1
    assert kill >= 6 and lab.state() == before
    assert _standing.standing(lab.journal())["verdict"] == "rolled-back"
    assert lab.restore().status == "restored"


def test_what_an_import_left_running_is_ended_before_anything_is_put_back(lab):
    before = lab.state()
    assert lab.elsewhere("orphan-late") == -9
    assert lab.transaction().recover() == "rolled-back"
    time.sleep(0.2)
    assert lab.state() == before, "it wrote on"


def test_a_host_that_lost_its_database_server_with_the_kill_is_put_back(lab):
    before = lab.state()
    assert lab.elsewhere("killed-late") == -9
    lab.server.end()
    lab.server.damage("mysql/global_priv.MAD", "mysql/global_priv.MAI")
    assert lab.transaction().recover() == "rolled-back"
    assert lab.state() == before
    assert os.path.isdir(lab.root + "/first/attempt-1/damaged-mysql"), "what was damaged is kept for a person to look at"


def test_what_the_way_back_could_not_mend_is_a_blocker_and_is_tried_again(lab, monkeypatch):
    before = lab.state()
    monkeypatch.setattr(_placing.Placer, "place", lambda *_given: os.open("/nonexistent", os.O_RDONLY))
    work = lab.restore("rc")
    assert (work.status, ids(work)) == ("failed", ["panel.restore.import", "panel.restore.failed"])
    assert lab.state() != before
    assert [name for name, _at in _restores.cut(lab.root)] == ["first"], "it is open, so the next start goes on"
    monkeypatch.undo()
    assert lab.transaction().recover() == "rolled-back" and lab.state() == before


def test_a_server_that_does_not_start_any_more_is_told_and_given_up_only_by_a_person(lab):
    assert lab.elsewhere("killed-late") == -9
    lab.server.end()
    os.rename(lab.server.data + "/ibdata1", lab.server.data + "/away")
    work = lab.transaction()
    assert work.recover() == "failed"
    told = [finding for finding in work.findings if finding.severity == "blocker"]
    assert {finding.id for finding in told} == {"panel.restore.failed"} and "InnoDB" in told[0].evidence
    assert _restores.cut(lab.root)
    lab.transaction().abandon("ops")
    assert not _restores.cut(lab.root)


def test_a_full_disk_in_the_checkpoint_changes_nothing(lab):
    mount = lab.root + "/first"
    os.makedirs(mount)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", mount], check=True)
    try:
        before = lab.state()
        with open(lab.etc + "/keys/large", "wb") as handle:
            handle.write(os.urandom(4 << 20))
        monkey = pytest.MonkeyPatch()
        monkey.setattr(_scope, "room", lambda *_given: None)  # it was large enough a moment ago
        work = lab.restore()
        monkey.undo()
        assert (work.status, ids(work)) == ("refused", ["panel.space"])
        os.unlink(lab.etc + "/keys/large")
        assert lab.state() == before and os.listdir(mount) == ["journal.jsonl"]
        work = lab.restore()
        assert (work.status, ids(work)) == ("refused", ["panel.space"]) and "room for" in work.findings[0].evidence
    finally:
        subprocess.run(["umount", mount], check=True)
    assert lab.restore().status == "restored"


def test_a_disk_that_is_full_on_the_way_back_does_not_end_it(lab, monkeypatch):
    before, append = lab.state(), _flight.append

    def full(name, event, /, **fields):
        if fields.get("stage") == "rollback" or event == "flight.close":
            raise OSError(28, "No space left on device")
        return append(name, event, **fields)

    monkeypatch.setattr(_flight, "append", full)
    assert lab.restore("rc").status == "rolled-back"
    assert lab.state() == before
    monkeypatch.undo()
    assert _restores.cut(lab.root), "its end could not be written, so the next start looks again"
    assert lab.transaction().recover() == "rolled-back"


def test_a_checkpoint_is_refused_when_it_reads_back_otherwise(lab, monkeypatch):
    before, keep = lab.state(), _checkpoint._keep

    def rotten(directory, file, blocks, whole):
        kept = keep(directory, file, blocks, whole)
        with open(os.path.join(directory, file), "r+b") as handle:
            handle.seek(100)
            handle.write(b"X")
        return kept

    monkeypatch.setattr(_checkpoint, "_keep", rotten)
    work = lab.restore()
    assert (work.status, ids(work)) == ("refused", ["panel.restore.checkpoint"]) and lab.state() == before


def test_a_dump_that_no_server_takes_whole_is_no_checkpoint(lab, monkeypatch):
    keep = _checkpoint._keep

    def lossy(directory, file, blocks, whole):
        text = b"".join(blocks)
        if file.startswith("database-"):
            text = text.replace(b"half.example.com", b"full.example.com")
        return keep(directory, file, iter([text]), whole)

    monkeypatch.setattr(_checkpoint, "_keep", lossy)
    lab.drills = lab.top + "/drills"
    work = lab.restore()
    assert (work.status, ids(work)) == ("refused", ["panel.restore.checkpoint"])
    assert "mariadb:panel.domains" in work.findings[0].evidence


def test_a_damaged_database_is_kept_as_far_as_it_can_be_read_when_somebody_wants_that(lab):
    lab.server.end(signal.SIGTERM)
    lab.server.damage("panel/mail.MYD", "panel/mail.MYI")
    lab.server.start()
    work = lab.transaction()
    assert work.run(restore_lab.opened(), lab.wanted(), None) == "refused"
    assert ids(work) == ["panel.restore.checkpoint"] and "mariadb:panel" in work.findings[0].evidence
    work = lab.transaction(accept_damaged=True)
    assert work.run(restore_lab.opened(), lab.wanted(), None) == "restored"
    assert ids(work) == ["panel.restore.checkpoint"] and work.findings[0].severity == "warning"


def test_what_only_this_host_had_may_go_only_when_somebody_says_so(lab):
    lab.server.sql("INSERT INTO domains VALUES ('only-here.example.com', 'zoe')", "panel")
    before = lab.state()
    work = lab.restore()
    told = [finding.subject for finding in work.findings if finding.id == "panel.object.missing" and finding.severity == "blocker"]
    assert (work.status, told) == ("rolled-back", ["fake domain only-here.example.com"]) and lab.state() == before
    assert lab.restore(accept=["fake domain *"]).status == "restored"


def test_no_file_is_missing_for_a_moment_while_it_is_put_back(lab, monkeypatch):
    """It may be /etc/passwd, and the moment may be the last one before a power failure."""
    moves, seen = _placing.Placer._move, []

    def look(self, source, target, name):
        if name == b"panel.conf":
            with open(lab.etc + "/panel.conf") as handle:
                seen.append(handle.read())
        moves(self, source, target, name)

    monkeypatch.setattr(_placing.Placer, "_move", look)
    assert lab.restore("rc").status == "rolled-back"
    assert seen == ["imported\n"]
    with open("%s/first/attempt-1/aside%s/panel.conf" % (lab.root, lab.etc)) as handle:
        assert handle.read() == "imported\n", "what the import made of it is kept"
    with open(lab.etc + "/panel.conf") as handle:
        assert handle.read() == "before\n"


def test_a_database_that_is_a_file_goes_back_as_a_database_and_not_with_its_directory(lab):
    path = lab.etc + "/store.sqlite"
    live = sqlite3.connect(path, isolation_level=None)
    live.execute("PRAGMA journal_mode = WAL")
    live.execute("CREATE TABLE t (a)")
    live.execute("INSERT INTO t VALUES ('before')")
    os.chmod(path, 0o640)
    shutil.chown(path, "mysql", "mysql")
    for ending in ("-wal", "-shm"):
        shutil.chown(path + ending, "mysql", "mysql")
    shutil.chown(lab.etc, "mysql", "mysql")
    lab.drills = lab.top + "/drills"
    work = lab.restore("sqlite")
    live.close()
    assert work.status == "rolled-back", [f.evidence for f in work.findings]
    with contextlib.closing(sqlite3.connect(path)) as store:
        assert store.execute("SELECT a FROM t").fetchall() == [("before",)]
    state = os.stat(path)
    assert (state.st_mode & 0o777, state.st_uid) == (0o640, pwd.getpwnam("mysql").pw_uid)
    kept = lab.root + "/first/attempt-1/checkpoint/files" + path
    assert not os.path.lexists(kept) and not os.path.lexists(kept + "-wal")


def test_two_at_once_are_refused_and_old_checkpoints_go(lab):
    with _restores.Held(lab.root), pytest.raises(IntactError, match="another restore"):
        _restores.Held(lab.root)
    for name in ("one", "two", "three"):
        assert lab.restore("rc", name).status == "rolled-back"
    _restores.prune(lab.root, 1)
    kept = [name for name in ("one", "two", "three") if os.path.isdir("%s/%s/attempt-1" % (lab.root, name))]
    assert kept == ["three"] and len(lab.journal("one")) > 5


def test_no_secret_is_told_by_journal_or_findings(lab):
    for fault in ("rc", "running-late", "leftover-late", "untidy", ""):
        work = lab.restore(fault)
        told = repr(work.findings) + repr(lab.journal())
        assert fake_panel.SECRET not in told and fake_panel.HASH not in told
    closed = [lab.root, lab.root + "/first"] + [os.path.join(lab.root, "first", name) for name in os.listdir(lab.root + "/first")]
    assert [path for path in closed if os.stat(path).st_mode & 0o077] == []


def test_what_is_mounted_inside_is_left_alone_and_told(lab):
    mount = lab.etc + "/mounted"
    os.makedirs(mount)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", mount], check=True)
    try:
        with open(mount + "/file", "w") as handle:
            handle.write("x")
        work = lab.restore("rc")
        assert work.status == "rolled-back" and os.path.isfile(mount + "/file")
        assert [finding.title for finding in work.findings if finding.id == "panel.restore.checkpoint"] == [
            "%s is mounted there: it is neither kept nor put back" % mount
        ]
    finally:
        subprocess.run(["umount", mount], check=True)
