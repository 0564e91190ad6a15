# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A class is proven only by what was compared: what the manifest calls volatile is counted, told, and in too great a number no proof."""

from __future__ import annotations

import datetime
import os

import pytest

from ansible_collections.intact.hosting.plugins.module_utils import _proofs
from ansible_collections.intact.hosting.plugins.module_utils._backup import _drill, _loading, _looks, _manifest, _metadata, _proof, _scratch, _snapshots
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._backup import readback_fixture as fake

NOW = datetime.datetime(2026, 11, 22, 16, 0, tzinfo=datetime.timezone.utc)
DUMP = b"TABLE orders 3\nTABLE people 2\n-- done\n"


@pytest.fixture
def drill(tmp_path, monkeypatch):
    """function(source, ...) -> (findings, the only class's entry, proof)."""
    monkeypatch.setattr(_metadata, "holds_all", lambda _path: None)

    def run(source, **more):
        more.setdefault("servers", lambda place: _loading.Servers(place, {"mariadb": fake.Server}))
        with _scratch.Scratch(os.path.realpath(tmp_path / "scratch")) as scratch:
            done = _drill.Drill({source.name: source}, scratch, "web1", now=lambda: NOW, **more)
            out = done.run()
        (entry,) = out[source.name]["classes"].values()
        proof = _proof.document("web1", done.host_id, "2026-11-22T16:00:00Z", out)
        return done.findings + _proof.unproven(proof), entry, proof

    return run


@pytest.fixture
def backed_up(tmp_path):
    """function(how many files, how many of them are volatile) -> (source, [path]); their content in the backup is not the manifest's."""

    def make(number, volatile, klass="mail"):
        top = tmp_path / "host" / "mail"
        top.mkdir(parents=True)
        paths = [str(top / ("user%03d" % n)) for n in range(number)]
        for path in paths:
            with open(path, "w", encoding="ascii") as handle:
                handle.write("From ann")
        source = fake.Memory("near")
        source.back_up(tmp_path, klass, top, change=lambda manifest: manifest.update(volatile=paths[:volatile]))
        tree = next(iter(source.trees.values()))
        for path in paths[:volatile]:
            with open(tree + path, "a", encoding="ascii") as handle:
                handle.write(" and more")
        return source, paths

    return make


def told(findings):
    return sorted((f.id, f.severity, f.subject) for f in findings)


def test_a_class_of_which_everything_is_volatile_is_not_proven(drill, backed_up):
    source, paths = backed_up(8, 8)
    findings, entry, proof = drill(source)
    (blocker,) = [f for f in findings if f.severity == "blocker"]
    assert (blocker.id, blocker.subject) == ("drill.uncompared", "near mail")
    assert blocker.evidence == "8 of 8 files (100 %%) with 100 %% of the bytes were not compared, and that is everything: %s, ..." % ", ".join(paths[:3])
    assert "drill again" in blocker.remedy and blocker.details["paths"] == paths
    assert entry["result"] == "unproven" and entry["why"] == "near mail: too much of it was not compared to call it proven"
    assert (entry["compared"], entry["uncompared"]) == ({"files": 0, "bytes": 0}, {"files": 8, "bytes": 64})
    assert proof["result"] == "unproven" and "(not: near mail is unproven); not compared: 8 of 8 files; restored" in _proof.summary(proof)
    assert _proofs.weaknesses(proof, ["mail"], 24, NOW, 1) == ["mail is proven from 0 of 1 repositories (near: unproven)"]
    # told once: "was not read back" would be untrue
    assert "backup.unproven" not in {f.id for f in findings}


def test_a_handful_is_told_and_the_class_is_proven(drill, backed_up):
    source, paths = backed_up(80, 4)
    findings, entry, proof = drill(source)
    assert told(findings) == [("backup.source.volatile", "warning", "near mail " + path) for path in paths[:4]]
    assert entry["result"] == "proven" and entry["limit"] == {"percent": 5, "objects": 3}
    assert (entry["compared"], entry["uncompared"]) == ({"files": 76, "bytes": 608}, {"files": 4, "bytes": 32})
    assert _proof.compared(proof) == ["near mail: compared 76 of 80 files with 95 % of the bytes"]
    assert _proofs.weaknesses(proof, ["mail"], 24, NOW, 1) == []


def test_one_more_than_the_limit_is_too_much(drill, backed_up):
    source, _paths = backed_up(80, 5)
    findings, entry, _document = drill(source)
    assert entry["result"] == "unproven"
    (blocker,) = [f for f in findings if f.severity == "blocker"]
    assert blocker.evidence.startswith("5 of 80 files (6.2 %) with 6.2 % of the bytes were not compared, 5 % are allowed: ")


def test_one_busy_mailbox_of_three_is_no_alarm_unless_it_is_wanted(drill, backed_up):
    source, paths = backed_up(3, 1)
    findings, entry, _document = drill(source)
    assert told(findings) == [("backup.source.volatile", "warning", "near mail " + paths[0])] and entry["result"] == "proven"
    _findings, entry, _document = drill(source, limit={"objects": 0})
    assert entry["result"] == "unproven" and entry["limit"] == {"percent": 5, "objects": 0}
    _findings, entry, _document = drill(source, limit={"percent": 40, "objects": 0})
    assert entry["result"] == "proven"


def test_many_volatile_files_are_one_warning(drill, backed_up):
    source, paths = backed_up(500, 21)
    findings, entry, _document = drill(source)
    (warning,) = findings
    assert (warning.id, warning.severity, warning.subject) == ("backup.source.volatile", "warning", "near mail") and entry["result"] == "proven"
    assert warning.evidence == "21, such as %s, ..." % ", ".join(paths[:3]) and warning.details["paths"] == paths[:21]


def test_what_is_volatile_is_looked_at_from_outside(drill, backed_up):
    source, paths = backed_up(80, 3)

    def spoil(_repository, _klass, tree):
        os.chmod(tree + paths[0], 0o777)
        os.unlink(tree + paths[1])

    findings, entry, _document = drill(source, disturb=spoil)
    assert told(f for f in findings if f.severity == "blocker") == [
        ("files.missing", "blocker", "near mail " + paths[1]),
        ("files.mode.changed", "blocker", "near mail " + paths[0]),
    ]
    assert entry["result"] == "failed"


def test_a_loss_is_a_failure_also_where_too_little_was_compared(drill, backed_up):
    source, paths = backed_up(8, 7)
    findings, entry, _document = drill(source, disturb=lambda _repository, _klass, tree: os.unlink(tree + paths[7]))
    assert entry["result"] == "failed" and entry["why"] == "near mail %s: gone" % paths[7]
    assert {"drill.uncompared", "files.missing"} <= {f.id for f in findings}


def test_a_drill_that_broke_off_is_a_failure_whatever_was_told_before(drill, backed_up):
    class Stuck(_loading.Servers):
        def close(self):
            raise IntactError("it does not end")

    source, _paths = backed_up(8, 8)
    findings, entry, _document = drill(source, servers=Stuck)
    assert [f.id for f in findings if f.severity == "blocker"] == ["drill.uncompared", "drill.failed"]
    assert (entry["result"], entry["why"]) == ("failed", "near mail: could not be restored")


@pytest.fixture
def overtaken(backed_up, monkeypatch):
    """A backup whose tree changed after the last look, at the second 2000, in ways that the manifest knows nothing of."""

    def make(since=2000 * 10**9):
        source, paths = backed_up(100, 0)
        (tree,) = source.trees.values()
        (identity,) = source.trees
        where = _snapshots.manifest_path("mail")
        manifest = dict(_manifest.unpack(source.files[identity, where]), since=since)
        inbox = {"path": paths[2], "messages": 3, "digest": "a", "by": "content", "flags": {}}
        box = {"kind": "mailbox", "folders": {"INBOX": inbox}, "paths": [paths[2]], "home": "", "subscriptions": [], "filters": {}, "active": "", "secret": ""}
        manifest["sections"] = {"mail": {"items": {"carol": box}}, **manifest["sections"]}
        fewer = dict(box, folders={"INBOX": dict(inbox, messages=2, digest="b")})
        monkeypatch.setitem(_looks.LOOKS, "mail", lambda _view, before: (before, {"items": {"carol": fewer}}))
        source.files[identity, where], digest = _manifest.pack(manifest)
        source.shots[0]["tags"] = [tag for tag in source.shots[0]["tags"] if not tag.startswith("manifest:")] + ["manifest:" + digest]
        with open(tree + paths[0], "a", encoding="ascii") as handle:
            handle.write(" and more")
        os.chmod(tree + paths[1], 0o640)
        os.rename(tree + paths[2], tree + paths[2] + ":2,S")
        os.unlink(tree + paths[3])
        os.symlink("elsewhere", tree + paths[3])
        top = os.path.dirname(paths[0])
        os.chmod(tree + top, 0o751)
        source.changed = dict.fromkeys([paths[0], paths[1], paths[3], top], 2001)
        return source, paths

    return make


def test_what_changed_after_the_last_look_is_no_loss(drill, overtaken):
    """On a busy host there is always something, and no manifest can tell of it: it lies in the same snapshot."""
    source, paths = overtaken()
    findings, entry, _document = drill(source)
    assert [f for f in told(findings) if f[1] == "blocker"] == [] and entry["result"] == "proven"
    assert {f.details["object"] for f in findings} == set(paths[:4]) | {"carol"}
    assert (entry["compared"]["files"], entry["uncompared"]["files"]) == (96, 4)


def test_what_changed_before_it_or_nobody_knows_when_is_a_loss(drill, overtaken):
    source, paths = overtaken()
    source.changed.pop(paths[0])
    source.changed.pop(os.path.dirname(paths[0]))
    findings, entry, _document = drill(source)
    lost = {f[2].rpartition("/")[2] for f in told(findings) if f[1] == "blocker"}
    # user002, which went, is told as the mailbox that it was
    assert lost == {"user000", "mail", "near mail carol: INBOX"} and entry["result"] == "failed"


def test_a_manifest_of_an_earlier_release_does_not_say_when_it_looked(drill, overtaken):
    findings, entry, _document = drill(overtaken(since=0)[0])
    assert entry["result"] == "failed" and len([f for f in findings if f.severity == "blocker"]) == 5


def test_what_the_snapshot_has_and_did_not_come_back_is_a_loss(drill, overtaken):
    source, paths = overtaken()
    findings, entry, _document = drill(source, disturb=lambda _repository, _klass, tree: os.unlink(tree + paths[0]))
    assert ("files.missing", "blocker", "near mail " + paths[0]) in told(findings) and entry["result"] == "failed"
    findings, entry, _document = drill(source, disturb=lambda _repository, _klass, tree: os.chmod(tree + paths[1], 0o777))
    assert ("files.mode.changed", "blocker", "near mail " + paths[1]) in told(findings) and entry["result"] == "failed"


def databases(tmp_path, volatile, seen=DUMP):
    source = fake.Memory("near")
    sections = {"databases": {"items": fake.items("mariadb:shop", seen)}}
    streams = [("mariadb:shop", "databases/mysql/shop.sql", DUMP)]
    source.back_up(tmp_path, "databases", None, streams=streams, sections=sections, change=lambda manifest: manifest.update(volatile=volatile))
    return source


def test_tables_that_were_not_kept_locked(drill, tmp_path):
    written = DUMP.replace(b"orders 3", b"orders 4")
    findings, entry, _document = drill(databases(tmp_path / "one", ["mariadb:shop.orders"], written))
    assert told(findings) == [("backup.source.volatile", "warning", "near databases mariadb:shop.orders")] and entry["result"] == "proven"
    assert (entry["compared"], entry["uncompared"]) == ({"tables": 1}, {"tables": 1})
    findings, entry, _document = drill(databases(tmp_path / "all", ["mariadb:shop.orders", "mariadb:shop.people"], written))
    assert entry["result"] == "unproven" and "drill.uncompared" in {f.id for f in findings}
    gone = databases(tmp_path / "gone", ["mariadb:shop.more"], DUMP + b"TABLE more 1\n")
    assert ("databases.table.missing", "blocker", "near databases mariadb:shop.more") in told(drill(gone)[0])


def test_a_manifest_that_knows_tables_and_names_no_dump_proves_nothing(drill, tmp_path):
    source = fake.Memory("near")
    source.back_up(tmp_path, "databases", None, sections={"databases": {"items": fake.items("mariadb:shop", DUMP)}})
    _findings, entry, _document = drill(source)
    assert entry["result"] == "unproven" and (entry["compared"], entry["uncompared"]) == ({"tables": 0}, {"tables": 2})


def test_proofs_of_earlier_drills_have_no_numbers_and_are_read():
    held = {"result": "proven", "taken": "2026-11-22T15:00:00Z", "seconds": 2, "counts": {"files": 9}, "unlooked": []}
    numbers = {"compared": {"files": 9, "bytes": 90, "mailboxes": 2}, "uncompared": {"files": 1, "bytes": 10, "mailboxes": 0}}
    proof = _proof.document("web1", "aa", "2026-11-22T16:00:00Z", {"far": {"classes": {"mail": held}}, "near": {"classes": {"mail": dict(held, **numbers)}}})
    assert _proof.compared(proof) == ["near mail: compared 9 of 10 files with 90 % of the bytes, 2 of 2 mailboxes"]
    assert _proofs.weaknesses(proof, ["mail"], 24, NOW) == []
    assert _proof.summary(proof) == "2 of 2 proven: mail, each from far and near; not compared: 1 of 10 files; restored in 4 s, not signed"
