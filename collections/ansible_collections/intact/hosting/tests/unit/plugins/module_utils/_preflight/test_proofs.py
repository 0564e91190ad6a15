# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""PF33 and PF34: which proof of a backup lets an upgrade begin, and the sentence for each that does not."""

from __future__ import annotations

import datetime
import json
import shutil
import subprocess
import types

import pytest

from ansible_collections.intact.hosting.plugins.module_utils import _flight, _proofs
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import _export, _registry
from ansible_collections.intact.hosting.plugins.module_utils._preflight import proofs
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels import export_fixture
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._preflight import preflight_host as fake

NOW = datetime.datetime(2026, 11, 30, 12, 0, tzinfo=datetime.timezone.utc)


def proof(**more):
    return dict({"kind": "backup", "taken": "2026-11-30T06:00:00Z", "host": "web1", "digest": "sha256:00"}, **more)


@pytest.mark.parametrize(
    "given, holds, word",
    [
        ([proof()], True, ""),
        ([], False, "no proof"),
        ([proof(kind="panel:plesk")], False, "no proof"),
        ([proof(host="web2")], False, "web2"),
        ([proof(taken="2026-11-29T06:00:00Z")], False, "30 hours old"),
        ([proof(taken="2026-11-30T18:00:00Z")], False, "future"),
        ([proof(result="unproven")], False, "unproven"),
        ([proof(taken="2026-11-28"), proof()], True, ""),
        ([proof(), proof(taken="2026-11-30T07:00:00Z", result="failed")], False, "failed"),
    ],
)
def test_a_proof_holds_or_says_why_not(given, holds, word):
    found, why = proofs.judge(given, "backup", ["aa", "web1"], 24, NOW)
    assert bool(found) == holds and word in why


def test_no_backup_proof_blocks_with_a_remedy():
    (finding,) = proofs.backup(fake.context(files={"/etc/machine-id": "aa", "/proc/sys/kernel/hostname": "web1"}))
    assert (finding.id, finding.severity, finding.subject) == ("backup.unproven", "blocker", "web1") and "preflight_proofs" in finding.remedy
    fresh = proof(taken=_flight.now(), host="aa")
    assert proofs.backup(fake.context(files={"/etc/machine-id": "aa"}, proofs=[fresh]))[0].id == "backup.proven"


def drilled(classes=("files", "system"), repositories=("far", "near"), **more):
    entries = {name: {"result": "proven", "taken": _flight.now()} for name in classes}
    made = {"schema": 1, "kind": "backup", "host": "web1", "host_id": "aa", "taken": _flight.now(), "made": _flight.now(), "result": "proven"}
    made = dict(made, repositories={name: {"classes": {k: dict(v) for k, v in entries.items()}} for name in repositories}, **more)
    return dict(made, digest=_proofs.digest(made))


def pf33(given, baseline=None, files=None, **options):
    host = dict({"/etc/machine-id": "aa", "/proc/sys/kernel/hostname": "web1"}, **(files or {}))
    found = proofs.backup(fake.context(files=host, proofs=[given], baseline=baseline or {}, options=options))
    return [f.id for f in found], " ".join(f.evidence for f in found)


def test_a_drills_proof_is_judged_class_by_class():
    assert pf33(drilled())[0] == ["backup.proven", "backup.proof.unsigned"]
    told, why = pf33(drilled(repositories=("near",)))
    assert told == ["backup.unproven"] and "files is proven from 1 of 2 repositories" in why
    assert pf33(drilled(repositories=("near",)), proof_repositories=1)[0][0] == "backup.proven"
    mail = {"sections": {"mail": {"status": "ok", "data": {"items": {"ann": {"kind": "mailbox"}}}}, "databases": {"status": "failed"}}}
    told, why = pf33(drilled(), baseline=mail)
    assert told == ["backup.unproven"] and "mail is proven from 0" in why and "databases is proven from 0" in why
    assert pf33(drilled(), baseline=mail, proof_classes=["files"])[0][0] == "backup.proven"


def test_a_panel_or_its_exports_make_the_class_panel_one_in_use(monkeypatch):
    panels(monkeypatch, "plesk", "mailman")
    assert "panel is proven from 0" in pf33(drilled(), files={"/plesk": ""})[1] and pf33(drilled(), files={"/mailman": ""})[0][0] == "backup.proven"
    assert "panel is proven from 0" in pf33(drilled(), files={"/var/lib/intact/panel/mailman/x": ""})[1]


def test_a_proof_of_another_machine_of_this_name_and_a_changed_one():
    assert "another machine of this name" in pf33(drilled(host_id="bb"))[1]
    assert "changed after it was made" in pf33(dict(drilled(), result="proven!"))[1]
    assert pf33(drilled(result="failed"))[0] == ["backup.proven", "backup.proof.partly", "backup.proof.unsigned"]


def test_with_signers_only_a_signed_proof_counts_and_a_word_by_hand_is_weaker():
    by_hand = proof(taken=_flight.now(), host="aa")
    assert pf33(by_hand)[0] == ["backup.proven", "backup.proof.by_hand"]
    for given in (by_hand, drilled()):
        told, why = pf33(given, proof_signers="drill@example.com ssh-ed25519 AAAA")
        assert told == ["backup.unproven"] and "it is not signed" in why


def panels(monkeypatch, *names):
    """Drivers whose panel is there when /NAME is."""
    drivers = [types.SimpleNamespace(NAME=n, TITLE=n.title(), detect=lambda view, n=n: {"version": "1"} if view.exists("/" + n) else None) for n in names]
    monkeypatch.setattr(_registry, "DRIVERS", drivers)


def pf34(files=None, given=(), **options):
    found = proofs.panel(fake.context(files=dict({"/etc/machine-id": "aa", "/etc/hostname": "web1"}, **(files or {})), proofs=list(given), options=options))
    return fake.ids(found), " ".join(f.evidence for f in found)


def test_each_panel_needs_its_own_export(monkeypatch):
    panels(monkeypatch, "plesk", "mailman", "none")
    told, why = pf34()
    assert told == [("panel.none", "info", "control panel")] and why == "looked for plesk, mailman"
    told, why = pf34({"/plesk": "", "/mailman": ""})
    assert told == [("panel.unproven", "blocker", "plesk"), ("panel.unproven", "blocker", "mailman")] and "none was given" in why


@pytest.mark.parametrize(
    "more, hours, holds, word",
    [
        ({}, 1, True, ""),
        ({"verdict": "unproven"}, 1, False, "the export is unproven"),
        ({}, 30, False, "30 hours old"),
        ({}, -2, False, "from the future"),
        ({"host_id": "bb"}, 1, False, "machine-id bb"),
    ],
)
def test_only_a_proven_export_of_this_host_that_is_young_enough_counts(tmp_path, monkeypatch, more, hours, holds, word):
    panels(monkeypatch, "plesk")
    monkeypatch.setattr(_export, "ROOT", str(tmp_path))
    moment = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=hours)
    monkeypatch.setattr(export_fixture, "FACTS", dict(export_fixture.FACTS, host_id=more.pop("host_id", "aa")))
    path = export_fixture.export(tmp_path, {"backup.tar": b"x" * 99}, moment=moment, **more)
    document = _export.read(path)
    for files, given in (({path + "/export.json": json.dumps(document)}, []), ({}, [document])):
        told, why = pf34(dict(files, **{"/plesk": ""}), given)
        assert told == [("panel.proven" if holds else "panel.unproven", "info" if holds else "blocker", "plesk")] and word in why


def test_an_older_export_counts_when_the_newest_does_not_and_one_that_rotted_does_not(tmp_path, monkeypatch):
    panels(monkeypatch, "plesk")
    monkeypatch.setattr(_export, "ROOT", str(tmp_path))
    monkeypatch.setattr(export_fixture, "FACTS", dict(export_fixture.FACTS, host_id="aa"))
    now, files = datetime.datetime.now(datetime.timezone.utc), {"/plesk": ""}
    for hours, verdict in ((2, "proven"), (1, "unproven")):
        path = export_fixture.export(tmp_path, {"backup.tar": b"x" * 99}, verdict, moment=now - datetime.timedelta(hours=hours))
        files[path + "/export.json"] = json.dumps(_export.read(path))
    assert pf34(files)[0][0][0] == "panel.proven"
    with open(sorted(tmp_path.glob("plesk/2*"))[0] / "backup.tar", "r+b") as handle:
        handle.write(b"y")
    told, why = pf34(files)
    assert told[0][0] == "panel.unproven" and "backup.tar: a file of the export is not what was written" in why and "the export is unproven" in why


def test_a_word_by_hand_and_a_changed_document_are_no_proof_of_a_panel(tmp_path, monkeypatch):
    panels(monkeypatch, "plesk")
    by_hand = proof(kind="panel:plesk", host="aa", taken=_flight.now())
    assert "somebody's word" in pf34({"/plesk": ""}, [by_hand])[1]
    changed = dict(_export.read(export_fixture.export(tmp_path, {"a": b"1"}, "unproven")), verdict="proven", host="aa")
    assert "changed after" in pf34({"/plesk": ""}, [changed])[1]


def test_a_proof_that_proves_nothing_is_refused():
    with pytest.raises(IntactError, match="digest"):
        proofs.check_proofs([{"kind": "backup", "taken": "2026-11-30", "host": "web1"}])


# As the demo's: five classes in use, a key that signs, and the pre-flight knows its public half.
CLASSES = ("databases", "files", "lists", "mail", "system")
IN_USE = {
    "sections": {
        "databases": {"status": "ok", "data": {"items": {"mariadb:shop": {}}}},
        "lists": {"status": "ok", "data": {"items": {"crew@example.com": {}}}},
        "mail": {"status": "ok", "data": {"items": {"ann@example.com": {"kind": "mailbox"}}}},
    }
}


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """{name: path of a private key}: the drill host's, and a stranger's."""
    if not shutil.which("ssh-keygen"):
        pytest.skip("ssh-keygen is not installed")  # a controller without it refuses signatures by itself; CI has it
    folder = tmp_path_factory.mktemp("keys")
    for name in ("drill", "stranger"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(folder / name)], check=True, stdin=subprocess.DEVNULL)
    return {name: str(folder / name) for name in ("drill", "stranger")}


def gate(given, keys):
    """What PF33 says to a proof on a host with five classes in use, where the drill host's key is the only one that counts."""
    with open(keys["drill"] + ".pub", encoding="ascii") as handle:
        signers = 'drill@example.com namespaces="intact-proof" ' + handle.read()
    return pf33(given, baseline=IN_USE, proof_signers=signers)


def edited(proof, **more):
    """Changed after it was signed, by one who knows how a digest is made."""
    proof = dict(proof, **more)
    return dict(proof, digest=_proofs.digest(proof))


def uncompared(proof, name, *repositories):
    """As a drill writes it where too much of a class changed while it was backed up."""
    for repository in repositories:
        more = {"result": "unproven", "compared": {"files": 1, "bytes": 5}, "uncompared": {"files": 7, "bytes": 90}, "limit": {"percent": 5.0, "objects": 3}}
        proof["repositories"][repository]["classes"][name].update(more)
    return dict(proof, result="unproven")


def aged(proof, repository, name, hours):
    taken = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=hours)
    proof["repositories"][repository]["classes"][name]["taken"] = taken.strftime("%Y-%m-%dT%H:%M:%SZ")
    return proof


def test_a_young_signed_proof_of_every_class_from_two_repositories_lets_the_upgrade_begin(keys):
    told, why = gate(_proofs.sign(drilled(CLASSES), keys["drill"]), keys)
    assert told == ["backup.proven"] and "signed by drill@example.com" in why


def test_the_numbers_of_what_was_compared_are_signed_and_do_not_disturb(keys):
    proof = drilled(CLASSES)
    proof["repositories"]["far"]["classes"]["mail"].update(compared={"files": 90}, uncompared={"files": 1}, limit={"percent": 5.0, "objects": 3})
    signed = _proofs.sign(proof, keys["drill"])
    assert gate(signed, keys)[0] == ["backup.proven"]
    signed["repositories"]["far"]["classes"]["mail"]["uncompared"]["files"] = 0
    assert "its signature is not about this content" in gate(edited(signed), keys)[1]


def test_what_the_flights_journal_keeps_of_a_proof():
    given = drilled()
    options = {"inventory_name": "web1", "proof_classes": ["files"]}
    details = proofs.backup(fake.context(files={"/etc/machine-id": "aa"}, proofs=[given], options=options))[0].details
    assert details == {"name": "backup of web1: files system, each from far and near", "taken": given["taken"], "digest": given["digest"]}
    by_hand = proofs.backup(fake.context(files={"/etc/machine-id": "aa"}, proofs=[proof(taken=_flight.now(), host="aa")]))[0].details
    assert by_hand["name"].endswith(": somebody's word") and by_hand["digest"] == "sha256:00"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda key, _other: _proofs.sign(aged(drilled(CLASSES), "near", "mail", 25), key), "mail is proven from 1 of 2 repositories (near: 25 hours old"),
        (lambda key, _other: _proofs.sign(drilled(CLASSES, host="web2"), key), "the proof is about web2, this host is aa or web1"),
        (lambda key, _other: _proofs.sign(drilled(CLASSES, host_id="bb"), key), "another machine of this name (machine-id bb)"),
        (lambda key, _other: _proofs.sign(drilled(("databases", "files", "mail", "system")), key), "lists is proven from 0 of 2 repositories"),
        (lambda key, _other: _proofs.sign(drilled(CLASSES, repositories=("near",)), key), "mail is proven from 1 of 2 repositories"),
        (
            lambda key, _other: _proofs.sign(uncompared(drilled(CLASSES), "mail", "far", "near"), key),
            "mail is proven from 0 of 2 repositories (far: unproven; near: unproven)",
        ),
        (lambda key, _other: _proofs.sign(uncompared(drilled(CLASSES), "mail", "near"), key), "mail is proven from 1 of 2 repositories (near: unproven)"),
        (lambda _key, _other: drilled(CLASSES), "it is not signed"),
        (lambda _key, other: _proofs.sign(drilled(CLASSES), other), "its key is none of the allowed signers'"),
        (lambda key, _other: dict(_proofs.sign(drilled(CLASSES), key), made="2026-01-01T00:00:00Z"), "changed after it was made"),
        (lambda key, _other: edited(_proofs.sign(drilled(CLASSES), key), made="2026-01-01T00:00:00Z"), "its signature is not about this content"),
    ],
    ids=["too old", "another host", "another machine of this name", "a class in use is missing", "one repository", "not compared", "not compared in one"]
    + ["unsigned", "a stranger's key", "tampered", "tampered with a new digest"],
)
def test_any_other_proof_does_not(keys, make, words):
    told, why = gate(make(keys["drill"], keys["stranger"]), keys)
    assert told == ["backup.unproven"] and words in why


def test_a_newer_proof_of_another_host_does_not_stand_before_this_hosts_own():
    found, why = proofs.judge([proof(), proof(host="web2", taken="2026-11-30T11:00:00Z")], "backup", ["aa", "web1"], 24, NOW)
    assert (found["host"], why) == ("web1", "")
