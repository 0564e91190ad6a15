# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The modules baseline_info and baseline_compare, whole, on a host made of recorded output."""

from __future__ import annotations

import gzip
import json
import os

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _document, _registry, mounts, packages
from ansible_collections.intact.hosting.plugins.module_utils._files import read_document, write_document
from ansible_collections.intact.hosting.plugins.modules import baseline_compare, baseline_info
from ansible_collections.intact.hosting.tests.unit.plugins.fake_system import FakeSystem

MOUNTINFO = "22 1 254:1 / / rw - ext4 /dev/x rw\n25 22 0:9 / /home rw - nfs4 nas:/home rw\n"
DPKG = "nginx\tamd64\t1.22.1-9\tinstall\tinstalled\tok\tno\n"
COMMANDS = {"dpkg --print-architecture": "amd64\n", "dpkg-query": DPKG}


@pytest.fixture(autouse=True)
def two_sections(monkeypatch):
    """Two real probes on a recorded host; seen collects the option dicts the probes got."""
    seen = []
    state = {"mountinfo": MOUNTINFO, "seen": seen}

    def system(options, limits):
        seen.append((options, limits))
        return FakeSystem(commands=COMMANDS, files={"/proc/self/mountinfo": state["mountinfo"]}, options=options, limits=limits, directories=["/home"])

    probes = {"mounts": mounts, "packages": packages}
    monkeypatch.setattr(_registry, "PROBES", probes)
    monkeypatch.setattr(baseline_info, "System", lambda: FakeSystem(files={"/proc/uptime": "5000.0 1", "/proc/1/stat": "1 (systemd) S " + "0 " * 18 + "100"}))
    real = _document.capture
    monkeypatch.setattr(_document, "capture", lambda given, **more: real(given, system=system, **more))
    return state


def test_without_dest_the_document_is_returned_and_nothing_is_changed(call_module):
    result = call_module(baseline_info.main)
    assert result["changed"] is False and "path" not in result
    assert result["baseline"]["sections"]["mounts"]["data"]["items"]["/home"]["source"] == "nas:/home"
    assert result["sections"]["mounts"]["summary"]["mounted"] == 2 and "data" not in result["sections"]["mounts"]
    assert [(f["id"], f["severity"]) for f in result["findings"]] == [("packages.unlooked", "warning")]


@pytest.mark.parametrize("name", ["b.json", "b.json.gz"])
def test_dest_is_written_for_root_only(call_module, tmp_path, name):
    dest = tmp_path / name
    result = call_module(baseline_info.main, dest=str(dest))
    assert result["changed"] is True and result["path"] == str(dest) and "baseline" not in result
    assert os.stat(dest).st_mode & 0o777 == 0o600
    assert read_document(str(dest))["schema"] == 1
    if name.endswith("gz"):
        assert json.loads(gzip.decompress(dest.read_bytes()))["sections"]["mounts"]["status"] == "ok"


def test_check_mode_writes_nothing_and_predicts_the_change(call_module, tmp_path, two_sections):
    result = call_module(baseline_info.main, check=True, dest=str(tmp_path / "b.json"))
    assert result["changed"] is True and list(tmp_path.iterdir()) == [] and "sha256" not in result


def test_check_mode_makes_no_key(call_module, monkeypatch, two_sections):
    from ansible_collections.intact.hosting.plugins.module_utils._baseline import accounts

    monkeypatch.setitem(_registry.PROBES, "accounts", accounts)
    call_module(baseline_info.main, check=True, options={"accounts": {"x": 1}})
    assert two_sections["seen"][-1][0] == {"x": 1, "read_only": True}
    call_module(baseline_info.main, options={"accounts": {"x": 1}})
    assert two_sections["seen"][-1][0] == {"x": 1}


def test_sections_off_options_and_limits(call_module, two_sections):
    result = call_module(baseline_info.main, sections=["mounts"], options={"mounts": {"a": 1}}, limits={"default": {"seconds": 5}})
    assert {name: s["status"] for name, s in result["sections"].items()} == {"mounts": "ok", "packages": "off"}
    assert two_sections["seen"] == [({"a": 1}, {"seconds": 5})]
    result = call_module(baseline_info.main, exclude=["mounts"])
    assert [f["id"] for f in result["findings"]] == ["mounts.off", "packages.unlooked"]


@pytest.mark.parametrize(
    "params, words",
    [
        ({"sections": ["mount"]}, "sections names mount: the sections are mounts, packages"),
        ({"limits": {"defualt": {}}}, "limits names defualt"),
        ({"dest": "/no/such/directory/b.json"}, "/no/such/directory is not there"),
    ],
)
def test_refusals_are_sentences(call_module, params, words):
    result = call_module(baseline_info.main, **params)
    assert result["failed"] and words in result["msg"]


def test_dest_that_cannot_be_written(call_module, tmp_path):
    (tmp_path / "b.json").mkdir()
    result = call_module(baseline_info.main, dest=str(tmp_path / "b.json"))
    assert result["failed"] and "could not be written" in result["msg"] and [p.name for p in tmp_path.iterdir()] == ["b.json"]


@pytest.fixture
def pair(call_module, tmp_path, two_sections):
    """Paths of two documents: /home is no longer mounted in the second."""
    for name, text in (("before", MOUNTINFO), ("after", MOUNTINFO.splitlines()[0] + "\n")):
        two_sections["mountinfo"] = text
        call_module(baseline_info.main, dest=str(tmp_path / name))
    return {"before": str(tmp_path / "before"), "after": str(tmp_path / "after")}


def ids(result):
    return [(f["id"], f["subject"]) for f in result["findings"]]


UNLOOKED = {"section": "packages", "id": "packages.unlooked", "reason": "this host has no package lists"}


def test_compare_finds_and_changes_nothing(call_module, pair):
    result = call_module(baseline_compare.main, **pair)
    assert result["changed"] is False and result["equal"] is False
    assert ("mounts.missing", "/home") in ids(result)
    assert [s["section"] for s in result["sections"]] == ["mounts", "packages"]
    assert result["sections"][0]["before"] == {"mounted": 2, "fstab lines": 0} and result["sections"][0]["after"]["mounted"] == 1


def test_compare_with_itself_is_equal(call_module, pair):
    for path in pair.values():
        document = read_document(path)
        document["sections"]["packages"]["unlooked"] = []
        write_document(path, document)
    result = call_module(baseline_compare.main, before=pair["before"], after=pair["before"])
    assert result["equal"] is True and result["findings"] == [] and result["allowed"] == []


def test_allowed_changes_are_returned_with_their_reason(call_module, pair):
    rule = {"section": "mounts", "change": "missing", "subject": "/ho*", "reason": "moved to another host"}
    result = call_module(baseline_compare.main, allowed=[rule, UNLOOKED], **pair)
    assert result["equal"] is False
    assert [(a["finding"]["subject"], a["reason"]) for a in result["allowed"]] == [("/home", "moved to another host")]
    # No rule takes what nobody could look at, before and after.
    assert [f["id"] for f in result["findings"]] == ["packages.unlooked", "packages.unlooked"]


def test_diff_mode_shows_what_differs(call_module, pair):
    result = call_module(baseline_compare.main, diff=True, **pair)
    assert "mounts: /home = nas:/home\n" in result["diff"]["before"] and "/home =" not in result["diff"]["after"]
    assert "diff" not in call_module(baseline_compare.main, **pair)


def test_compare_check_mode_is_the_same(call_module, pair):
    assert call_module(baseline_compare.main, check=True, **pair)["findings"] == call_module(baseline_compare.main, **pair)["findings"]


@pytest.mark.parametrize(
    "params, words",
    [
        ({"after": "/no/such"}, "there is no baseline at /no/such"),
        ({"allowed": [{"section": "mounts", "reason": " "}]}, "lacks reason"),
        ({"allowed": [{"section": "mounts"}]}, "reason"),
        ({"allowed": [{"section": "mounts", "reason": "x", "rename": {"from": "a"}}]}, "rename needs from and to"),
    ],
)
def test_compare_refuses_with_a_sentence(call_module, pair, params, words):
    result = call_module(baseline_compare.main, **dict(pair, **params))
    assert result["failed"] and words in result["msg"]
