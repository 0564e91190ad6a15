# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The modules restore_drill, restore_plan_info, restore_run and proof_info, whole, with repositories made of directories."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from types import SimpleNamespace

import pytest

from ansible_collections.intact.hosting.plugins.module_utils import _flight
from ansible_collections.intact.hosting.plugins.module_utils._backup import _arguments, _identity, _metadata, _restore, _scratch
from ansible_collections.intact.hosting.plugins.module_utils._files import read_document
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.modules import proof_info, restore_drill, restore_plan_info, restore_run
from ansible_collections.intact.hosting.tests.unit.plugins.fake_system import FakeSystem
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._backup import readback_fixture as fake

HASH = "$y$j9T$geheim"


def entry(name):
    return {"name": name, "url": "sftp:backup@%s.example.com:/web1" % name, "password_file": "/etc/intact/%s" % name}


@pytest.fixture
def host(tmp_path, monkeypatch):
    """Two repositories that hold the site www, backed up just now. top, index (paths), sources, etc, restores, drills, scratch."""
    top = tmp_path / "host" / "www"
    for name in ("shop/index.html", "shop/data", "blog/index.html"):
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text("backup")
        os.utime(top / name, (1, 1))
    etc = tmp_path / "etc"
    etc.mkdir()
    for name in _identity.FILES:
        (etc / name).touch()
    sources = {name: fake.Memory(name) for name in ("far", "near")}
    taken = _flight.now()
    for source in sources.values():
        source.back_up(tmp_path / "store", "files", top, taken=taken)
    monkeypatch.setattr(_arguments, "source", lambda given, _params: sources[given["name"]])
    monkeypatch.setattr(_metadata, "holds_all", lambda _path: None)
    monkeypatch.setattr(_scratch, "OURS", str(tmp_path / "drills"))
    monkeypatch.setattr(_restore.Restore, "_by_device", lambda _self, paths: {str(tmp_path): paths})
    monkeypatch.setattr(_restore, "Restore", lambda *given, f=_restore.Restore: f(*given, etc=str(etc)))
    scratch = os.path.realpath(tmp_path / "drills" / "one")
    return SimpleNamespace(
        top=top,
        index=top / "shop" / "index.html",
        sources=sources,
        etc=etc,
        restores=tmp_path / "restores",
        dest=tmp_path / "proofs",
        scratch=scratch,
        path=tmp_path,
    )


def ids(result):
    return sorted((f["id"], f["subject"]) for f in result["findings"])


# restore_drill


def drill(call_module, host, **more):
    given = {"host": "web1", "repositories": [entry("far"), entry("near")], "scratch": host.scratch, "dest": str(host.dest)}
    return call_module(restore_drill.main, **dict(given, **more))


def test_a_drill_leaves_a_proof_and_nothing_else(host, call_module):
    result = drill(call_module, host, classes=["files"])
    assert (result["changed"], result["result"], result["findings"], result["swept"]) == (True, "proven", [], [])
    assert result["path"] == str(host.dest / "proof.json") and read_document(result["path"]) == result["proof"]
    assert read_document(str(host.dest / "findings.json")) == [] and not os.path.exists(host.scratch)
    assert result["summary"].startswith("2 of 2 proven: files, each from far and near; restored in ") and result["summary"].endswith(" s, not signed")
    assert {name: held["classes"]["files"]["result"] for name, held in result["proof"]["repositories"].items()} == {"far": "proven", "near": "proven"}


def test_a_drill_tells_how_much_was_compared_and_what_may_be_left_out(host, call_module):
    result = drill(call_module, host)
    assert result["compared"] == ["%s files: compared 3 of 3 files with 100 %% of the bytes" % name for name in ("far", "near")]
    entry = result["proof"]["repositories"]["near"]["classes"]["files"]
    assert entry["compared"] == {"files": 3, "bytes": 18} and entry["uncompared"] == {"files": 0, "bytes": 0}
    assert entry["limit"] == {"percent": 5, "objects": 3}
    taken = _flight.now()
    for source in host.sources.values():
        source.back_up(host.path / "again", "files", host.top, run="r2", taken=taken, change=lambda m: m.update(volatile=[str(host.index)]))
    result = drill(call_module, host)
    assert result["result"] == "proven" and {f["id"] for f in result["findings"]} == {"backup.source.volatile"}
    result = drill(call_module, host, uncompared_objects=0)
    assert result["result"] == "unproven" and ("drill.uncompared", "near files") in ids(result)
    assert result["proof"]["repositories"]["near"]["classes"]["files"]["limit"] == {"percent": 5, "objects": 0}
    assert drill(call_module, host, uncompared_objects=0, uncompared_percent=33.4)["result"] == "proven"


@pytest.mark.parametrize("more", [{"uncompared_percent": -1}, {"uncompared_percent": 101}, {"uncompared_objects": -1}])
@pytest.mark.parametrize("check", [True, False])
def test_limits_that_mean_nothing_are_refused_before_the_drill(host, call_module, check, more):
    result = drill(call_module, host, check=check, **more)
    assert result["failed"] and "from 0 to 100" in result["msg"] and not host.dest.exists()


def test_check_mode_looks_at_the_scratch_root_and_makes_nothing(host, call_module):
    result = drill(call_module, host, check=True)
    assert (result["changed"], result["result"], result["path"]) == (False, "unproven", "")
    assert not host.dest.exists() and not os.path.exists(host.scratch)
    refused = drill(call_module, host, check=True, scratch="/etc/drill")
    assert refused["failed"] and "/etc/drill is no place for a drill: it lies in /etc" in refused["msg"]


def test_what_came_back_otherwise_is_a_finding_with_its_repository(host, call_module):
    near = host.sources["near"]
    (identity,) = near.trees
    with open(near.trees[identity] + str(host.index), "w", encoding="utf-8") as handle:
        handle.write("BACKUP")
    result = drill(call_module, host)
    assert result["changed"] and result["result"] == "failed"
    assert ids(result) == [("files.content.changed", "near files %s" % host.index)]
    assert read_document(str(host.dest / "findings.json"))[0]["id"] == "files.content.changed"


def test_a_repository_that_does_not_answer_fails_the_proof_and_not_the_module(host, call_module):
    host.sources["near"].broken = "repository near: the repository cannot be reached; check network"
    result = drill(call_module, host, classes=["files"])
    assert not result.get("failed") and result["result"] == "failed" and "check network" in result["findings"][0]["evidence"]
    assert result["proof"]["repositories"]["far"]["classes"]["files"]["result"] == "proven"


def test_the_hosts_state_is_held_against_the_repository(host, call_module):
    held = {"classes": {"files": {"good": {"run": "r1", "manifest": "00"}, "last": None}}, "coverage": {"parts": 4, "read": {"1": "x"}}}
    result = drill(call_module, host, state={"repositories": {"near": held}})
    assert {f["id"] for f in result["findings"]} == {"drill.manifest.tampered"} and result["proof"]["repositories"]["near"]["covered"] == 0.25


def test_a_drill_on_the_host_itself_is_refused_or_told(host, call_module, monkeypatch):
    monkeypatch.setattr(restore_drill, "System", lambda: FakeSystem(files={"/etc/machine-id": "aa\n"}))
    result = drill(call_module, host)
    assert result["failed"] and "this is web1 itself: drill on another host" in result["msg"] and not os.path.exists(host.scratch)
    result = drill(call_module, host, same_host_allowed=True)
    assert result["result"] == "proven" and ids(result) == [("drill.same_host", "web1")]


def test_a_key_that_others_read_is_told_before_the_drill(host, call_module):
    key = host.path / "key"
    key.write_text("key")
    key.chmod(0o644)
    for check in (True, False):
        result = drill(call_module, host, check=check, signing_key=str(key))
        assert result["failed"] and "%s can be read by others: chmod 0600" % key in result["msg"]
    assert not host.dest.exists()


# proof_info


@pytest.fixture
def proof(host, call_module):
    """The path of a good proof."""
    return drill(call_module, host)["path"]


@pytest.mark.parametrize("check", [False, True])
def test_a_proof_that_holds(proof, call_module, check):
    result = call_module(proof_info.main, check=check, path=proof)
    assert (result["changed"], result["holds"], result["findings"], result["signer"]) == (False, True, [], "")
    assert result["proof"]["host"] == "web1"


def test_a_proof_does_not_hold_for_more_than_it_says(proof, call_module):
    for asked, words in (({"classes": ["mail"]}, "mail is proven from 0 of 2"), ({"repositories": 3}, "from 2 of 3"), ({"max_hours": -1}, "hours old")):
        result = call_module(proof_info.main, path=proof, **asked)
        assert result["holds"] is False and words in result["findings"][0]["evidence"]
        assert (result["findings"][0]["id"], result["findings"][0]["subject"]) == ("backup.unproven", "web1")
    result = call_module(proof_info.main, path=proof, signers="drill@example.com ssh-ed25519 AAAA")
    assert result["holds"] is False and result["findings"][0]["evidence"] == "it is not signed"


def test_an_edited_proof_does_not_hold(proof, call_module):
    document = read_document(proof)
    document["repositories"]["near"]["classes"]["files"]["taken"] = "2026-01-01T00:00:00Z"
    with open(proof, "w", encoding="utf-8") as handle:
        json.dump(document, handle)
    result = call_module(proof_info.main, path=proof)
    assert result["holds"] is False and "changed after it was made" in result["findings"][0]["evidence"]


@pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="ssh-keygen is not installed")
def test_who_signed_is_told(host, call_module):
    key = str(host.path / "key")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", key], check=True, stdin=subprocess.DEVNULL)
    with open(key + ".pub", encoding="ascii") as handle:
        public = handle.read()
    path = drill(call_module, host, signing_key=key)["path"]
    result = call_module(proof_info.main, path=path, signers="drill@example.com " + public)
    assert (result["holds"], result["signer"]) == (True, "drill@example.com")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "cannot be read"),
        ("{", "cannot be read"),
        ("[]", "is no drill's proof"),
        ('{"kind": "backup", "taken": "2026-11-22"}', "is no drill's proof"),
    ],
)
def test_what_is_no_proof_is_named_with_what_to_do(call_module, tmp_path, text, words):
    path = tmp_path / "proof.json"
    if text is not None:
        path.write_text(text)
    result = call_module(proof_info.main, path=str(path))
    assert result["failed"] and str(path) in result["msg"] and words in result["msg"] and "drill-restore.yml" in result["msg"]


# restore_plan_info


def plan(call_module, host, /, **more):
    shop = {"name": "shop", "paths": [str(host.top / "shop")]}
    return call_module(restore_plan_info.main, **dict({"host": "web1", "repository": entry("near"), "sites": [shop]}, **more))


@pytest.mark.parametrize("check", [False, True])
def test_a_plan_tells_what_comes_and_changes_nothing(host, call_module, check):
    shutil.rmtree(host.top / "shop")
    result = plan(call_module, host, check=check)
    assert result["changed"] is False and result["findings"] == []
    steps = {step["name"]: step for step in result["plan"]["steps"]}
    assert list(steps) == ["accounts", "site shop", "files"] and steps["site shop"]["comes"] == 3 and steps["files"]["same"] > 0
    assert not (host.top / "shop").exists()


def test_newer_data_is_a_finding_until_somebody_decides(host, call_module):
    host.index.write_text("today's work")
    os.utime(host.index, (4 * 10**9, 4 * 10**9))
    result = plan(call_module, host)
    assert ids(result) == [("restore.newer", "site shop")] and str(host.index) in result["findings"][0]["evidence"]
    assert "accept" in result["findings"][0]["remedy"]
    assert plan(call_module, host, accept=[str(host.index)])["findings"] == []


def test_hashes_of_passwords_are_in_no_result(host, call_module):
    near, texts = host.sources["near"], {"passwd": "ann:x:1001:1001::/home/ann:/bin/sh\n", "shadow": "ann:%s:1:0:99999:7:::\n" % HASH, "group": "ann:x:1001:\n"}
    known = {"/etc/" + name: {"type": "file", "uid": 1001, "gid": 1001} for name in texts}
    near.back_up(host.path / "store", "system", None, sections={"files": {"items": known, "trees": []}}, taken=_flight.now())
    near.files.update({("near-system-r1", "/etc/" + name): text.encode() for name, text in texts.items()})
    for result in (
        plan(call_module, host, select={"sites": ["shop"]}),
        restore(call_module, host, check=True, select={"sites": ["shop"]}),
    ):
        assert "ann" in result["plan"]["identity"]["rows"]["shadow"] and HASH not in json.dumps(result)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"host": "web2"}, "near holds no backup of web2: check host"),
        ({"run": "r9"}, "near holds no backup of web1 by the name of r9"),
        ({"select": {"sites": ["blog"]}}, "blog is not in the list of sites"),
        ({"select": {"paths": ["/nowhere"]}}, "the backup holds nothing at /nowhere"),
        ({"select": {"mailboxes": ["carol"]}}, "no mailbox carol"),
    ],
)
def test_what_the_backup_does_not_hold_is_named(host, call_module, more, words):
    for result in (plan(call_module, host, **more), restore(call_module, host, **more)):
        assert result["failed"] and words in result["msg"] and result.get("changed", False) is False
    assert not host.restores.exists()


# restore_run


def restore(call_module, host, /, **more):
    shop = {"name": "shop", "paths": [str(host.top / "shop")]}
    given = {"restore_id": "r", "restores_dir": str(host.restores), "host": "web1", "repository": entry("near"), "sites": [shop]}
    return call_module(restore_run.main, **dict(given, **more))


def test_check_mode_predicts_what_a_restore_brings(host, call_module):
    assert restore(call_module, host, check=True)["changed"] is False
    shutil.rmtree(host.top / "shop")
    result = restore(call_module, host, check=True, diff=True)
    assert result["changed"] and "site shop: 3 come" in result["diff"]["after"]
    assert not host.index.exists() and not host.restores.exists()


def test_what_was_lost_comes_back_and_a_second_run_changes_nothing(host, call_module):
    shutil.rmtree(host.top)
    result = restore(call_module, host)
    assert (result["changed"], result["refused"], result["findings"]) == (True, False, [])
    assert host.index.read_text() == "backup" and set(result["seconds"]) == {"accounts", "site shop", "files"}
    again = restore(call_module, host)
    assert (again["changed"], again["findings"]) == (False, [])


def test_newer_data_is_refused_and_what_is_accepted_is_kept_aside(host, call_module):
    host.index.write_text("today's work")
    os.utime(host.index, (4 * 10**9, 4 * 10**9))
    for check in (True, False):
        result = restore(call_module, host, check=check)
        assert (result["changed"], result["refused"], ids(result)) == (False, True, [("restore.newer", "site shop")])
    assert host.index.read_text() == "today's work" and not host.restores.exists()
    result = restore(call_module, host, accept=[str(host.index)])
    assert result["changed"] and host.index.read_text() == "backup"
    aside = [os.path.join(folder, name) for folder, _folders, names in os.walk(result["aside"]) for name in names]
    assert [os.path.basename(path) for path in aside] == ["index.html"]
    with open(aside[0], encoding="utf-8") as handle:
        assert handle.read() == "today's work"


def test_a_restore_that_was_cut_says_so_and_goes_on(host, call_module, monkeypatch):
    near, whole, calls = host.sources["near"], host.sources["near"].restore, []

    def cut(snapshot, target, paths=()):
        calls.append(paths)
        if len(calls) == 2:
            raise IntactError("repository near: the connection was cut")
        whole(snapshot, target, paths)

    monkeypatch.setattr(near, "restore", cut)
    shutil.rmtree(host.top)
    result = restore(call_module, host)
    assert result["failed"] and result["changed"]
    assert "repository near" in result["msg"] and "run it again with the same restore_id" in result["msg"]
    result = restore(call_module, host)
    assert result["changed"] and result["findings"] == [] and (host.top / "blog" / "index.html").exists()


def test_an_id_belongs_to_one_backup(host, call_module):
    shutil.rmtree(host.top)
    restore(call_module, host)
    host.sources["near"].back_up(host.path / "store", "files", host.top, run="r2", taken=_flight.now())
    result = restore(call_module, host)
    assert result["failed"] and "r was begun with another backup: take another restore_id" in result["msg"]
    assert restore(call_module, host, run="r1")["changed"] is False
    result = restore(call_module, host, restore_id="../x")
    assert result["failed"] and "restore_id '../x'" in result["msg"]
