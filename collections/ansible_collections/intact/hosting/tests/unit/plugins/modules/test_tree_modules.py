# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The modules tree_copy and tree_manifest, whole."""

from __future__ import annotations

import json
import os

import pytest

from ansible_collections.intact.hosting.plugins.modules import tree_copy, tree_manifest
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._trees import tree_lab as lab

RANGE = [900_000, 999_999]


@pytest.fixture
def tree(tmp_path):
    """src (rich), dest (not there yet), state."""
    lab.needs("rsync")
    (tmp_path / "src").mkdir()
    lab.rich(tmp_path / "src")
    return {"src": str(tmp_path / "src"), "dest": str(tmp_path / "dest"), "state": str(tmp_path / "state")}


def test_check_mode_and_diff_say_what_the_run_does(tree, call_module, tmp_path):
    predicted = call_module(tree_copy.main, check=True, diff=True, **tree)
    assert predicted["changed"] and not os.path.exists(tree["dest"]) and not os.path.exists(tree["state"])
    assert "manifest" not in predicted
    real = call_module(tree_copy.main, diff=True, verify=True, second_opinion=True, **tree)
    assert (real["changed"], real["findings"]) == (True, [])
    assert real["counts"]["copied"] == predicted["counts"]["copied"]
    assert real["verified"]["match"] > 40 and real["rsync"] == {"rsync": 0, "ignored": 0}
    assert "directory %s/home\n" % tree["dest"] in predicted["diff"]["after"] and "directory %s/home\n" % tree["dest"] in real["diff"]["after"]
    again = call_module(tree_copy.main, **tree)
    assert (again["changed"], again["findings"]) == (False, [])
    assert len(json.dumps(again)) < 2000
    assert call_module(tree_copy.main, check=True, **tree)["changed"] is False


def test_findings_are_dictionaries_and_few(tree, call_module, tmp_path):
    (tmp_path / "dest").mkdir()
    for number in range(60):
        (tmp_path / "src" / ("f%d" % number)).write_text("old")
        (tmp_path / "dest" / ("f%d" % number)).write_text("newer")
    result = call_module(tree_copy.main, existing="keep", **tree)
    kept = [f for f in result["findings"] if f["id"] == "tree_copy.kept" and "f" in f["subject"]]
    assert result["counts"]["kept"] == 60 and len(kept) == 21 and kept[-1]["details"] == {"more": 40}
    assert (tmp_path / "dest/f7").read_text() == "newer"


def test_identity_map_and_manifest_of_the_result(tree, call_module, tmp_path):
    document = {"schema": 1, "range": RANGE, "uids": {"0": 0, "1001": 3001, "1002": 3002}, "gids": {"0": 0, "33": 33, "1001": 3001, "1002": 3002}}
    document.update(users={}, groups={})
    (tmp_path / "identity.json").write_text(json.dumps(document))
    os.chown(tmp_path / "src/home/bob/sparse", 4711, 4712)
    copied = call_module(tree_copy.main, ids=str(tmp_path / "identity.json"), verify=True, **tree)
    assert copied["findings"] == [] and os.stat(tmp_path / "dest/home/bob").st_uid == 3002
    orphan = os.stat(tmp_path / "dest/home/bob/sparse")
    assert RANGE[0] <= orphan.st_uid <= RANGE[1] and RANGE[0] <= orphan.st_gid <= RANGE[1]
    given = {"path": tree["dest"], "dest": str(tmp_path / "after.gz"), "compare_with": copied["manifest"]}
    result = call_module(tree_manifest.main, check=True, ids=str(tmp_path / "identity.json"), **given)
    assert result["changed"] and result["findings"] == [] and not (tmp_path / "after.gz").exists()
    assert call_module(tree_manifest.main, ids=str(tmp_path / "identity.json"), **given)["changed"] is True
    assert call_module(tree_manifest.main, ids=str(tmp_path / "identity.json"), **given)["changed"] is False
    without = call_module(tree_manifest.main, **given)
    assert without["compared"]["metadata"] > 8 and without["findings"][0]["id"] == "tree_verify.difference"


def test_manifest_finds_what_changed_since(tree, call_module, tmp_path):
    given = {"path": tree["src"], "dest": str(tmp_path / "m.gz")}
    first = call_module(tree_manifest.main, **given)
    assert first["changed"] and first["counts"]["files"] > 40
    os.rename(tmp_path / "m.gz", tmp_path / "before.gz")
    (tmp_path / "src/home/bob/with-acl").write_text("b")
    os.unlink(tmp_path / "src/home/bob/dangling")
    result = call_module(tree_manifest.main, compare_with=str(tmp_path / "before.gz"), **given)
    assert (result["compared"]["changed"], result["compared"]["missing"], result["compared"]["metadata"]) == (1, 1, 1)
    assert {f["severity"] for f in result["findings"]} == {"blocker"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"src": "/nowhere/at/all"}, "there is no source /nowhere/at/all: mount it first"),
        ({"dest": "/nowhere/at/all"}, "/nowhere/at/all can't be made: its parent is not there"),
        ({"ids": "/nowhere.json"}, "/nowhere.json"),
    ],
)
def test_failures_name_the_thing(tree, call_module, change, said):
    result = call_module(tree_copy.main, **dict(tree, **change))
    assert result["failed"] and said in result["msg"]


def test_manifest_of_nothing_fails(call_module, tmp_path):
    result = call_module(tree_manifest.main, path=str(tmp_path / "none"), dest=str(tmp_path / "m.gz"))
    assert result["failed"] and "is no directory" in result["msg"]
    assert list(tmp_path.iterdir()) == []
