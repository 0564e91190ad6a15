# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A restore from beginning to end over a real MariaDB: sources by proof, a rescue from a disk, a cut, the second try."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import tempfile

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import (
    _checkpoint,
    _dumped,
    _export,
    _login,
    _mysql_login,
    _rescue,
    _restores,
    _restoring,
    _run,
)
from ansible_collections.intact.hosting.plugins.module_utils._system import System
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels import fake_panel, old_disk, panel_server, restore_lab

real = pytest.mark.skipif(bool(panel_server.missing()), reason=panel_server.missing() or "-")
ACCEPT = ["fake domain half.example.com"]


@pytest.fixture(scope="module", autouse=True)
def _template():
    yield
    panel_server.forget()


@pytest.fixture
def lab():
    made = restore_lab.Lab().make()
    made.scratch = made.top + "/scratch"
    yield made
    made.close()


@pytest.fixture
def disk(lab):
    """A disk of the server that the host replaces: its panel as it was when it was killed."""
    other = restore_lab.Lab(tempfile.mkdtemp(prefix="intact-panel-"))
    other.make(restore_lab.EXPORT)
    made = old_disk.OldDisk(tempfile.mkdtemp(prefix="root-", dir=lab.top))
    made.take(other.server)
    shutil.copytree(other.etc, made.root + lab.etc, symlinks=True)
    made.write("/etc/hostname", "old1\n")
    # this very server, under a new name
    made.write("/etc/machine-id", System().text("/etc/machine-id"))
    made.write("/etc/passwd", "root:x:0:0::/root:/bin/sh\n")
    other.close()
    made.lock()
    yield made
    made.unlock()
    shutil.rmtree(made.root)


def settings(lab, **more):
    return _run.Settings(root=lab.top + "/panel", **more)


def restoring(lab, fault="", name="restore", **more):
    panel = fake_panel.Panel(lab, fault)
    return _restoring.Restoring(panel, lambda _name: panel, lab.view, settings(lab, **more), name, lab.root, lab.scratch)


def exported(lab, **more):
    """A proven export of what the host has."""
    panel = fake_panel.Panel(lab)
    return _run.export(lab.view, panel, panel.detect(lab.view), settings(lab, **more))


def told(work, severity=("blocker", "warning")):
    return [(finding.id, finding.subject) for finding in work.findings if finding.severity in severity]


def damage(lab):
    """What a restore is for."""
    lab.server.sql("DELETE FROM domains WHERE name = 'shop.example.com'", "panel")


@real
def test_a_proven_export_brings_back_what_was_lost_and_the_second_run_changes_nothing(lab):
    made = exported(lab)
    assert made.verdict == "proven"
    damage(lab)
    foreseen, before = restoring(lab), lab.state()
    foreseen.foresee()
    assert (foreseen.status, foreseen.changed, lab.state()) == ("would-restore", True, before) and not os.path.exists(lab.root)
    assert foreseen.plan["changes"] == ["fake domain shop.example.com: it is not there"]
    work = restoring(lab)
    work.run()
    assert (work.status, work.changed, work.plan) == ("restored", True, foreseen.plan)
    again = restoring(lab, name="again")
    again.run()
    assert (again.status, again.changed) == ("unchanged", False)
    foreseen = restoring(lab)
    foreseen.foresee()
    assert (foreseen.status, foreseen.changed) == ("unchanged", False)


@real
def test_the_chain_ends_at_the_disk_and_a_killed_database_is_rolled_back_before_the_second_try(lab, disk):
    older, newest = exported(lab), exported(lab)
    with open(older.path + "/objects.json", "r+b") as handle:
        handle.truncate(20)
    with open(newest.path + "/objects.json", "r+b") as handle:
        handle.seek(10)
        handle.write(b"#")
    before, on_disk = lab.state(), disk.state()
    work = restoring(lab, "server-late")
    work.run(disks=[disk.root], accept=ACCEPT)
    assert (work.status, work.changed, lab.state()) == ("rolled-back", True, before)
    assert work.choice.taken.kind == "disk" and [source.path for source, _why, _found in work.choice.refused] == [newest.path, older.path]
    refused = {finding.details["name"]: finding for finding in work.findings if finding.id == "panel.source.refused"}
    assert "is not what was written" in refused[os.path.basename(newest.path)].evidence and "cut short" in refused[os.path.basename(older.path)].evidence
    work = restoring(lab)
    work.run(disks=[disk.root], accept=ACCEPT)
    assert work.status == "restored" and lab.before()["objects"] == lab.wanted()["objects"]
    # what was rescued is an export of its own from then on: the disk is not opened twice
    assert work.choice.taken.kind == "rescued" and _export.read(work.choice.path)["host"] == "old1"
    assert disk.state() == on_disk
    said = [(event["event"], event.get("stage") or event.get("verdict") or event.get("why", "").split(" is ")[0]) for event in work.journal()]
    assert said[0][0] == "flight.open" and said[1:4] == [
        ("decision", "export, proven when it was made " + os.path.basename(newest.path)),
        ("decision", "export, proven when it was made " + os.path.basename(older.path)),
        ("decision", "disk " + disk.root),
    ]
    assert [stage for event, stage in said if event == "stage.end"] == [
        "checkpoint",
        "import",
        "rollback",
    ] + "checkpoint import repair check compare commit".split()
    assert [verdict for event, verdict in said if event == "flight.close"] == ["rolled-back", "intact"]
    secrets = repr(work.journal()) + repr(work.findings) + repr(work.plan)
    assert fake_panel.SECRET not in secrets and fake_panel.HASH not in secrets


@real
def test_what_another_server_exported_is_not_taken_for_the_panel_that_is_meant(lab, disk):
    """A fresh server exports its empty panel every night, and proves it."""
    own = exported(lab)
    disk.unlock()
    disk.write("/etc/machine-id", "ab" * 16 + "\n")
    foreseen = restoring(lab)
    foreseen.foresee(disks=[disk.root])
    assert foreseen.choice.taken.kind == "disk"
    assert [why for _source, why, _found in foreseen.choice.refused] == ["it is of %s, and not of old1" % own.document["host"]]
    foreseen = restoring(lab)
    foreseen.foresee(disks=[disk.root], host=own.document["host"])
    assert (foreseen.choice.taken.path, foreseen.status) == (own.path, "unchanged")
    rescued = _rescue.from_disk(fake_panel.Panel(lab), disk.root, settings(lab), lab.scratch)
    foreseen = restoring(lab)
    foreseen.foresee()
    assert foreseen.choice.taken.path == own.path, "of this host, as nothing else is said"
    for name in ("old1", "ab" * 16):
        foreseen = restoring(lab)
        foreseen.foresee(host=name)
        assert foreseen.choice.taken.path == rescued.path


@real
def test_a_restore_that_was_killed_is_undone_at_the_next_start_and_then_done(lab):
    exported(lab)
    damage(lab)
    before = lab.state()
    assert lab.elsewhere("killed-late", "cut") == -9
    assert lab.state() != before
    foreseen = restoring(lab)
    foreseen.foresee()
    assert (foreseen.status, foreseen.changed, foreseen.recovered) == ("would-restore", True, [{"id": "cut", "status": "would-roll-back"}])
    work = restoring(lab)
    work.run()
    assert (work.status, work.recovered) == ("restored", [{"id": "cut", "status": "rolled-back"}])
    assert told(work) == [("panel.restore.rolled_back", "fake")]
    again = restoring(lab)
    again.run()
    assert (again.status, again.changed, again.recovered) == ("unchanged", False, [])


@real
def test_no_export_is_made_of_what_a_restore_has_half_done(lab, monkeypatch):
    """Inventory and export would tell the same half, and so prove it: the newest proven export would be the damage."""
    monkeypatch.setattr(_restores, "RESTORES", lab.root)
    exported(lab)
    damage(lab)
    assert lab.elsewhere("killed-late", "cut") == -9
    made = exported(lab)
    assert (made.made, [(f.id, f.severity) for f in made.findings]) == (False, [("panel.restore.cut", "blocker")])
    with _restores.Held(lab.root):
        assert [f.id for f in exported(lab).findings] == ["panel.busy"]
    work = restoring(lab)
    work.run()
    # this import loses the panel's key, which is told
    assert work.status == "restored" and [f.id for f in exported(lab).findings] == ["panel.key.missing"]
    panel = fake_panel.Panel(lab)
    export = panel.export

    def meanwhile(*words):
        restoring(lab, name="meanwhile").run(force=True)
        return export(*words)

    panel.export = meanwhile
    made = _run.export(lab.view, panel, panel.detect(lab.view), settings(lab))
    assert not made.made and "a restore changed the panel meanwhile" in made.findings[-1].evidence


@real
def test_what_a_customer_made_while_sources_were_proven_is_not_lost_in_silence(lab):
    exported(lab)
    damage(lab)
    work, told_once = restoring(lab), []
    verify = work.driver.verify

    def slow(*words):
        if not told_once:
            lab.server.sql("INSERT INTO domains VALUES ('late.example.com', 'zoe')", "panel")
        told_once.append(1)
        return verify(*words)

    work.driver.verify = slow
    work.run()
    assert work.status == "rolled-back" and "fake domain late.example.com" in {finding.subject for finding in work.findings}
    assert "late.example.com" in lab.server.sql("SELECT name FROM panel.domains")


@real
def test_what_a_customer_made_after_the_checkpoint_was_made_ends_the_restore_before_it_begins(lab, monkeypatch):
    """It is in no checkpoint: the import and the way back would both lose it."""
    exported(lab)
    damage(lab)
    take = _checkpoint.take

    def slow(*words, **more):
        document = take(*words, **more)
        lab.server.sql("INSERT INTO domains VALUES ('late.example.com', 'zoe')", "panel")
        return document

    monkeypatch.setattr(_checkpoint, "take", slow)
    work = restoring(lab)
    work.run(accept=["*"])
    assert (work.status, work.changed) == ("refused", False) and "late.example.com" in work.findings[-1].evidence
    assert "late.example.com" in lab.server.sql("SELECT name FROM panel.domains") and _restores.cut(lab.root) == []


@real
def test_a_restore_that_can_not_be_undone_stops_everything_until_a_person_gives_it_up(lab):
    exported(lab)
    assert lab.elsewhere("killed-late", "cut") == -9
    os.unlink(lab.root + "/cut/attempt-1/checkpoint/accounts.sql")
    work = restoring(lab)
    work.run()
    assert (work.status, told(work, ["blocker"])) == ("failed", [("panel.restore.failed", "fake")])
    work = restoring(lab)
    work.run(abandon=True, accept=["*"])
    assert (work.recovered, _restores.cut(lab.root)) == ([], []) and work.status != "failed"


@real
def test_a_dump_of_the_panels_own_is_a_source_and_what_it_lacks_is_told(lab):
    os.makedirs(lab.etc + "/dumps")
    dump = subprocess.run(
        ["mariadb-dump", "--defaults-file=" + lab.server.options, "--databases", "mysql", "panel", "--single-transaction"], check=True, capture_output=True
    )
    for name, data in (("a", dump.stdout), ("b", dump.stdout[:-200]), ("c", b"no dump")):
        with open("%s/dumps/%s.gz" % (lab.etc, name), "wb") as handle:
            handle.write(gzip.compress(data))
    with open(lab.etc + "/dumps/d.gz", "wb") as handle:
        handle.write(gzip.compress(dump.stdout)[:-5])
    damage(lab)
    work = restoring(lab)
    work.run()
    assert work.status == "restored", told(work)
    assert (work.choice.taken.kind, work.choice.taken.name) == ("daily", "a.gz")
    why = {source.name: why for source, why, _found in work.choice.refused}
    assert sorted(why) == ["b.gz", "c.gz", "d.gz"]
    assert "truncated" in why["b.gz"] and "is no dump of a database server" in why["c.gz"] and "is damaged" in why["d.gz"]
    assert ("panel.source.lacks", "fake source a.gz") in told(work)
    assert not os.path.exists(lab.scratch) or os.listdir(lab.scratch) == []


@real
def test_a_restore_that_was_committed_can_be_undone(lab):
    exported(lab)
    damage(lab)
    before = lab.state()
    with pytest.raises(IntactError, match="nothing to undo"):
        restoring(lab).undo()
    work = restoring(lab)
    work.run()
    assert work.status == "restored" and lab.state() != before
    foreseen = restoring(lab)
    foreseen.undo(check=True)
    assert (foreseen.status, foreseen.changed) == ("would-undo", True) and lab.state() != before
    back = restoring(lab)
    back.undo()
    assert (back.status, back.changed, lab.state()) == ("rolled-back", True, before)
    back = restoring(lab)
    back.undo()
    assert (back.status, back.changed) == ("unchanged", False)


@real
@pytest.mark.parametrize("second", ["server-late", "refused"])
def test_a_committed_restore_is_undone_although_a_later_attempt_of_its_name_came_to_nothing(lab, second, monkeypatch):
    exported(lab)
    damage(lab)
    before = lab.state()
    work = restoring(lab)
    work.run()
    assert work.status == "restored"
    after = lab.state()
    with monkeypatch.context() as patch:
        if second == "refused":
            patch.setattr(_checkpoint, "take", lambda *words, **more: os.stat("/nowhere/at/all"))
        work = restoring(lab, second)
        work.run(force=True)
    assert work.status == ("refused" if second == "refused" else "rolled-back") and lab.state() == after
    foreseen = restoring(lab)
    foreseen.undo(check=True)
    assert foreseen.status == "would-undo"
    back = restoring(lab)
    back.undo()
    assert (back.status, back.changed, lab.state()) == ("rolled-back", True, before)
    back = restoring(lab)
    back.undo()
    assert (back.status, back.changed) == ("unchanged", False)
    work = restoring(lab)
    work.run()
    assert work.status == "restored" and os.path.isdir(lab.root + "/restore/attempt-3/checkpoint")


@real
def test_check_mode_does_not_promise_an_undo_whose_checkpoint_is_gone(lab):
    exported(lab)
    damage(lab)
    work = restoring(lab)
    work.run()
    assert work.status == "restored"
    shutil.rmtree(lab.root + "/restore/attempt-1")
    for check in (True, False):
        with pytest.raises(IntactError, match="holds no whole checkpoint"):
            restoring(lab).undo(check=check)
    assert _restores.cut(lab.root) == []


@real
def test_the_panels_own_login_asks_the_server_and_its_password_is_in_a_closed_file_only(lab):
    password = "a'b\"c\\d#e f;g\u00e4"
    quoted = password.replace("\\", "\\\\").replace("'", "''")
    lab.server.sql("CREATE USER 'admin'@'localhost' IDENTIFIED BY '%s'; GRANT ALL ON *.* TO 'admin'@'localhost';" % quoted)
    panel = fake_panel.Panel(lab)
    panel.login = lambda _view, _found: _mysql_login.Login("admin", password)
    path = lab.top + "/login.cnf"
    view = _login.view(panel, System(), {}, path)
    assert view.options == {"mysql_defaults_file": path} and os.stat(path).st_mode & 0o777 == 0o600
    argv = ["mariadb", "--defaults-file=" + path, "--socket=" + lab.server.socket, "-N", "-e", "SELECT CURRENT_USER()"]
    assert subprocess.run(argv, capture_output=True, check=True).stdout == b"admin@localhost\n"
    given = System({"mysql_defaults_file": "/x"})
    assert _login.view(panel, given, {}, path) is given
    panel.login = lambda _view, _found: _mysql_login.Login(file="/root/.my.cnf")
    assert _login.view(panel, System(), {}, path).options == {"mysql_defaults_file": "/root/.my.cnf"}
    panel.login = lambda _view, _found: None
    assert _login.view(panel, System(), {}, path).options == {}


@real
def test_the_file_with_the_login_is_gone_when_a_restore_ends_and_when_it_is_undone(lab, monkeypatch):
    seen = []

    def view(_driver, system, _found, path):
        assert os.stat(os.path.dirname(path)).st_mode & 0o777 == 0o700
        seen.append(path)
        with open(path, "w") as handle:
            handle.write("[client]")
        return system

    monkeypatch.setattr(_login, "view", view)
    exported(lab)
    lab.server.sql("DELETE FROM domains WHERE name = 'shop.example.com'", "panel")
    work = restoring(lab)
    work.run()
    assert work.status == "restored" and len(seen) == 1 and not os.path.exists(seen[0])
    work.undo()
    assert work.status == "rolled-back" and len(seen) == 2 and not os.path.exists(seen[1])


@real
def test_nothing_is_begun_without_a_source(lab):
    before = lab.state()
    work = restoring(lab)
    work.run()
    assert (work.status, work.changed, told(work)) == ("refused", False, [("panel.source.refused", "fake source")])
    assert lab.state() == before and work.journal()[-1]["why"] == "no source is left"
    with pytest.raises(IntactError, match="there is no source other"):
        restoring(lab).run(source="other")


@real
def test_a_panel_whose_database_can_not_be_asked_is_restored_all_the_same(lab):
    exported(lab)
    lab.server.sql("RENAME TABLE panel.domains TO panel.lost")
    work = restoring(lab)
    work.run()
    assert work.status == "rolled-back", "the import can't do without its table"
    assert ("panel.database.refused", "fake") in told(work)
    assert any(finding.severity == "warning" and "can't be compared" in finding.title for finding in work.findings)
    lab.server.sql("CREATE TABLE panel.domains LIKE panel.lost")
    work = restoring(lab)
    work.run()
    assert work.status == "restored"


@real
def test_a_rescue_is_encrypted_when_asked_and_says_where_it_is_from(lab, disk, tmp_path):
    phrase = tmp_path / "phrase"
    phrase.write_text("correct horse battery\n")
    phrase.chmod(0o600)
    panel = fake_panel.Panel(lab)
    outcome = _rescue.from_disk(panel, disk.root, settings(lab, passphrase_file=str(phrase)), lab.scratch)
    assert (outcome.verdict, outcome.document["host"]) == ("proven", "old1")
    assert {key: outcome.document["rescued"][key] for key in ("kind", "root")} == {"kind": "disk", "root": disk.root}
    assert _rescue.kept(panel, disk.root, settings(lab, passphrase_file=str(phrase))).path == outcome.path
    assert _rescue.kept(panel, disk.root, settings(lab)) is None, "that one is encrypted"
    for name in os.listdir(outcome.path):
        with open(os.path.join(outcome.path, name), "rb") as handle:
            assert fake_panel.SECRET.encode() not in handle.read()
    assert not os.path.exists(lab.scratch) or os.listdir(lab.scratch) == []
    disk.unlock()
    assert _rescue.kept(panel, disk.root, settings(lab, passphrase_file=str(phrase))) is None, "it may have changed"
    outcome = _rescue.from_disk(panel, disk.root, settings(lab), lab.scratch)
    assert [finding.id for finding in outcome.findings] == ["panel.rescue.writable"]
    plan = _rescue.plan(panel, disk.root)
    assert (plan["host"], plan["version"], plan["datadir"]) == ("old1", "1.2", "/var/lib/mysql") and plan["bytes"] > 1 << 20


@real
def test_what_a_killed_rescue_or_look_left_is_removed_by_the_next(lab, disk):
    left = [lab.scratch + "/rescue-%d" % 4194305, lab.scratch + "/dump-%d" % os.getpid(), lab.scratch + "/rescue-%d" % os.getpid()]
    others = [lab.scratch + "/rescue-%d" % os.getppid(), lab.scratch + "/panel-x"]
    for path in left + others:
        os.makedirs(path + "/server/data")
    assert _rescue.from_disk(fake_panel.Panel(lab), disk.root, settings(lab), lab.scratch).verdict == "proven"
    assert sorted(os.listdir(lab.scratch)) == sorted(map(os.path.basename, others + [left[1]]))
    os.makedirs(lab.root + "/.foresee-4194305-x", 0o700)
    restoring(lab).run()
    assert not [name for name in os.listdir(lab.root) if name.startswith(".foresee")]


@real
def test_a_rescue_that_lost_its_key_or_its_table_is_no_proven_export(lab, disk):
    disk.unlock()
    panel = fake_panel.Panel(lab)
    os.unlink(disk.root + lab.etc + "/keys/old.key")
    outcome = _rescue.from_disk(panel, disk.root, settings(lab), lab.scratch)
    assert outcome.verdict == "failed" and outcome.path.endswith(".failed") and "panel.key.missing" in [finding.id for finding in outcome.findings]
    os.unlink(disk.root + "/var/lib/mysql/panel/mail.MYD")
    with pytest.raises(IntactError, match="the database says: ERROR"):
        _rescue.from_disk(panel, disk.root, settings(lab), lab.scratch)
    assert sorted(os.listdir(lab.top + "/panel/fake")) == [".lock", os.path.basename(outcome.path)]


def test_this_host_and_what_is_no_root_are_refused(tmp_path):
    with pytest.raises(IntactError, match="is this running host"):
        _rescue.view_of("/")
    with pytest.raises(IntactError, match="there is no etc in it"):
        _rescue.view_of(str(tmp_path))


def test_the_servers_own_databases_are_left_out_of_a_dump(tmp_path):
    text = b"-- MySQL dump\nSET x;\n--\n-- Current Database: `mysql`\n--\nUSE `mysql`;\nINSERT 1;\n--\n"
    text += b"-- Current Database: `psa`\n--\nUSE `psa`;\nINSERT 2;\n-- Dump completed\n"
    (tmp_path / "a").write_bytes(text)
    with _dumped.opened(System(), str(tmp_path / "a")) as stream:
        held = b"".join(iter(lambda: stream.read(7), b""))
    assert b"INSERT 2" in held and b"INSERT 1" not in held and held.endswith(b"-- Dump completed\n")
    (tmp_path / "b").write_bytes(text.partition(b"-- Current Database: `psa`")[0] + b"-- Dump completed\n")
    with _dumped.opened(System(), str(tmp_path / "b")) as stream:
        assert stream.read().endswith(b"-- Dump completed\n")
