# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The drill and its proof: what is found, under whose name, and that nothing bad is called proven."""

from __future__ import annotations

import datetime
import os

import pytest

from ansible_collections.intact.hosting.plugins.module_utils import _proofs
from ansible_collections.intact.hosting.plugins.module_utils._backup import _drill, _loading, _metadata, _proof, _scratch
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._backup import readback_fixture as fake

NOW = datetime.datetime(2026, 11, 22, 16, 0, tzinfo=datetime.timezone.utc)


@pytest.fixture
def top(tmp_path):
    path = tmp_path / "host" / "www"
    path.mkdir(parents=True)
    for name in ("index.html", "b\udce4d\nname", "n" * 255):
        (path / name).write_bytes(b"page")
    return path


@pytest.fixture
def drill(tmp_path, monkeypatch):
    monkeypatch.setattr(_metadata, "holds_all", lambda _path: None)

    def run(sources, classes=(), **more):
        more.setdefault("servers", lambda place: _loading.Servers(place, {"mariadb": fake.Server}))
        with _scratch.Scratch(os.path.realpath(tmp_path / "scratch")) as scratch:
            done = _drill.Drill({s.name: s for s in sources}, scratch, "web1", now=lambda: NOW, **more)
            out = done.run(classes)
        assert not (tmp_path / "scratch").exists()
        return done, out

    return run


def results(out):
    return {(name, klass): entry["result"] for name, held in out.items() for klass, entry in held["classes"].items()}


def told(done):
    return sorted((f.id, f.severity, f.subject) for f in done.findings)


def two(tmp_path, top, **more):
    sources = [fake.Memory("far"), fake.Memory("near")]
    for source in sources:
        source.back_up(tmp_path, "files", top, **more)
    return sources


def test_what_came_back_as_it_was_is_proven(drill, tmp_path, top):
    sources = two(tmp_path, top)
    done, out = drill(sources)
    assert told(done) == [] and results(out) == {("far", "files"): "proven", ("near", "files"): "proven"}
    assert {s.cache for s in sources} == {os.path.realpath(tmp_path / "scratch") + "/cache"}  # an old cache hides a damaged repository
    assert out["far"]["classes"]["files"]["taken"] == "2026-11-22T15:00:00Z" and done.host_id == "aa"


def test_a_difference_names_repository_class_and_object(drill, tmp_path, top):
    def spoil(repository, _klass, tree):
        if repository == "near":
            with open(tree + str(top / "index.html"), "wb") as handle:
                handle.write(b"PAGE")
            os.link(tree + str(top / "index.html"), tree + str(top / "second"))

    done, out = drill(two(tmp_path, top), disturb=spoil)
    assert told(done) == [("files.content.changed", "blocker", "near files %s" % (top / "index.html"))]
    assert results(out) == {("far", "files"): "proven", ("near", "files"): "failed"}


@pytest.mark.parametrize(
    "more, word",
    [
        ({"known": {"files": {"r1": "00"}}}, "the host's state says 00"),
        ({"known": {"files": {"r0": "00"}}}, ""),
    ],
)
def test_a_manifest_is_held_against_the_hosts_state(drill, tmp_path, top, more, word):
    done, _out = drill(two(tmp_path, top), **more)
    assert [word in f.evidence for f in done.findings if f.id == "drill.manifest.tampered"] == ([True, True] if word else [])


def test_a_forged_manifest_is_told_by_the_other_repository(drill, tmp_path, top):
    sources = [fake.Memory("far"), fake.Memory("near")]
    sources[0].back_up(tmp_path, "files", top)

    def forge(manifest):
        manifest["sections"]["files"]["items"].pop(str(top / "index.html"))

    sources[1].back_up(tmp_path, "files", top, change=forge)
    done, out = drill(sources)
    assert {f.id for f in done.findings} == {"drill.manifest.tampered"} and set(results(out).values()) == {"failed"}


def test_a_manifest_that_its_tag_does_not_know_and_one_of_another_run(drill, tmp_path, top):
    source = fake.Memory("near")
    source.back_up(tmp_path, "files", top)
    source.shots[-1]["tags"][-1] = "manifest:beef"
    source.back_up(tmp_path, "system", top, change=lambda manifest: manifest.update(run="r9"))
    done, out = drill([source])
    assert [f.id for f in done.findings] == ["drill.manifest.tampered"] * 2 and set(results(out).values()) == {"failed"}


def test_what_is_not_there_is_unproven_or_failed_and_never_proven(drill, tmp_path, top):
    sources = two(tmp_path, top)
    sources[0].shots, sources[1].broken = [], "it is on fire"
    done, out = drill(sources, ["files", "mail"])
    assert set(results(out).values()) == {"failed"} and "on fire" in " ".join(f.evidence for f in done.findings)
    done, out = drill([fake.Memory("empty")])
    assert [f.id for f in done.findings] == ["drill.snapshot.missing"]
    assert _proof.document("web1", "aa", "2026-11-22T16:00:00Z", out)["result"] == "unproven"


def test_a_run_without_its_end_is_told_and_the_one_before_is_drilled(drill, tmp_path, top):
    (source, _other) = two(tmp_path, top)
    tags = ["intact", "class:files", "run:r2"]
    source.shots.append({"id": "x", "time": "2026-11-22T15:30:00.123456789+00:00", "paths": ["/intact/x"], "hostname": "web1", "tags": tags})
    done, out = drill([source])
    assert told(done) == [("backup.snapshot.incomplete", "warning", "far files r2")] and out["far"]["classes"]["files"]["run"] == "r1"


def test_a_backup_from_tomorrow_and_one_that_holds_nothing(drill, tmp_path, top):
    source = fake.Memory("near")
    source.back_up(tmp_path, "files", top, taken="2026-11-23T15:00:00Z")
    source.back_up(tmp_path, "mail", None, sections={"mail": {"items": {}}})
    done, out = drill([source])
    assert told(done) == [("backup.class.empty", "blocker", "near mail"), ("backup.clock", "blocker", "near files r1")]
    assert set(results(out).values()) == {"failed"}


DUMP = b"TABLE orders 3\nTABLE people 2\n-- done\n"


def databases(tmp_path, seen=DUMP, stored=None):
    source = fake.Memory("near")
    source.back_up(
        tmp_path,
        "databases",
        None,
        streams=[("mariadb:shop", "databases/mysql/shop.sql", DUMP)],
        sections={"databases": {"items": fake.items("mariadb:shop", seen)}},
    )
    if stored is not None:
        source.files["near-databases-r1-0", "/intact/databases/mysql/shop.sql"] = stored
    return source


def test_dumps_are_loaded_and_their_tables_compared(drill, tmp_path):
    done, out = drill([databases(tmp_path)])
    assert told(done) == [] and results(out) == {("near", "databases"): "proven"}


def test_a_row_less_a_truncated_and_a_missing_dump(drill, tmp_path):
    done, out = drill([databases(tmp_path, seen=DUMP.replace(b"orders 3", b"orders 4"))])
    assert [(f.severity, f.subject) for f in done.findings] == [("blocker", "near databases mariadb:shop.orders")]
    assert results(out) == {("near", "databases"): "failed"}
    done, _out = drill([databases(tmp_path / "b", stored=DUMP[:20])])
    assert "backup.dump.truncated" in {f.id for f in done.findings}
    source = databases(tmp_path / "c")
    source.shots = source.shots[1:]
    done, out = drill([source])
    assert "drill.snapshot.missing" in {f.id for f in done.findings} and results(out) == {("near", "databases"): "failed"}


def test_a_proof_names_what_was_not_drilled():
    good = {"result": "proven", "taken": "2026-11-22T15:00:00Z", "manifest": "00"}
    proof = _proof.document("web1", "aa", "2026-11-22T16:00:00Z", {"far": {"classes": {"files": dict(good)}}}, ["files", "mail"])
    assert (proof["result"], proof["taken"], proof["digest"]) == ("unproven", "2026-11-22T15:00:00Z", _proofs.digest(proof))
    assert [f.subject for f in _proof.unproven(proof)] == ["far mail"]
    assert _proof.worst(["proven", "failed", "unproven"]) == "failed" and _proof.worst([]) == "unproven"
    assert _proof.summary(proof) == "1 of 2 proven: files mail, each from far (not: far mail is unproven); restored in 0 s, not signed"


def proof(**more):
    good = {"result": "proven", "taken": "2026-11-22T15:00:00Z"}
    made = _proof.document("web1", "aa", "2026-11-22T16:00:00Z", {n: {"classes": {"files": dict(good), "mail": dict(good)}} for n in ("far", "near")})
    for (repository, klass), entry in more.get("change", {}).items():
        made["repositories"][repository]["classes"][klass] = entry
    return dict(made, digest=_proofs.digest(made)) if more.get("again", True) else made


@pytest.mark.parametrize(
    "given, classes, word",
    [
        (proof(), ["files", "mail"], None),
        (proof(), ["files", "lists"], "lists is proven from 0 of 2"),
        (proof(change={("far", "mail"): {"result": "failed"}}), ["mail"], "mail is proven from 1 of 2 repositories (far: failed)"),
        (proof(change={("far", "mail"): {"result": "failed"}}), ["files"], None),
        (proof(change={("far", "mail"): {"result": "proven", "taken": "2026-11-20T15:00:00Z"}}), ["mail"], "49 hours old"),
        (proof(change={("far", "mail"): {"result": "proven", "taken": "2026-11-24T15:00:00Z"}}), ["mail"], "from the future"),
        (proof(change={("far", "mail"): {"result": "proven"}}), ["mail"], "unknown time"),
        (proof(change={("far", "mail"): {"result": "failed"}}, again=False), ["files"], "changed after it was made"),
    ],
)
def test_what_a_proof_proves(given, classes, word):
    found = _proofs.weaknesses(given, classes, 24, NOW)
    assert (found == []) if word is None else any(word in sentence for sentence in found), found


def test_a_signature_is_asked_of_ssh_keygen_and_a_key_that_others_read_is_refused(tmp_path):
    key = tmp_path / "key"
    key.write_text("key")
    key.chmod(0o644)
    with pytest.raises(IntactError, match="read by others"):
        _proofs.sign(proof(), str(key))
    assert _proofs.signer(proof(), "x")[1] == "it is not signed"
    assert "none that ssh-keygen makes" in _proofs.signer(dict(proof(), signature="--- x"), "x")[1]


def test_a_server_that_is_older_than_the_hosts_is_named():
    old = {
        "mariadb": {"kind": "server", "version": "11.8.3-MariaDB"},
        "postgresql": {"kind": "server", "version": "15.20 (Debian)"},
        "mariadb:a": {"kind": "database"},
    }
    new = {"mariadb": {"kind": "server", "version": "10.11.19-MariaDB"}, "postgresql": {"kind": "server", "version": "17.2"}}
    assert _loading.older(old, new) == [("mariadb", "11.8.3-MariaDB", "10.11.19-MariaDB")]
    assert _loading.older(old, {}) == [] and _loading.older(new, old) == [("postgresql", "17.2", "15.20 (Debian)")]
