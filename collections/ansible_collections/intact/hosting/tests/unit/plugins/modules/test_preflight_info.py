# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module preflight_info as a whole: its result, its binding, its refusals; the host is faked below it."""

from __future__ import annotations

import json

import pytest

from ansible_collections.intact.hosting.plugins.modules import preflight_info
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._preflight import preflight_host as fake

PATH = dict(fake.PATH)
ITEMS = {"SERIAL=S1": {"uuid": "u1"}}


@pytest.fixture(name="look")
def _look(monkeypatch, call_module, tmp_path):
    def host(_options=None):
        return fake.FakeHost(
            commands={"dpkg-query": "unzip\t6.0\thi \n"},
            files={
                "/etc/os-release": fake.OS,
                "/etc/machine-id": "aa\n",
                "/proc/sys/kernel/hostname": "web1\n",
                "/etc/apt/sources.list": "deb http://a/debian bookworm main\n",
            },
        )

    monkeypatch.setattr(preflight_info, "Host", host)
    monkeypatch.setattr(preflight_info.disks_probe, "capture", lambda _host: {"items": ITEMS})
    monkeypatch.setattr(preflight_info, "INVENTORY", str(tmp_path / "disks.json"))
    monkeypatch.setattr(preflight_info._flight, "FLIGHTS", str(tmp_path / "flights"))

    def look(check=False, **params):
        return call_module(preflight_info.main, check=check, **dict({"release_path": PATH, "proofs_dir": str(tmp_path / "proofs"), "only": ["PF06"]}, **params))

    return look


@pytest.mark.parametrize("check", [False, True])
def test_findings_checks_and_binding_in_both_modes(look, check):
    result = look(check=check)
    assert result["changed"] is False
    assert [(f["id"], f["subject"], f["check"]) for f in result["findings"]] == [("packages.held", "unzip", "PF06")]
    assert [c["check"] for c in result["checks"]] == ["PF06"]
    assert result["binding"]["hostname"] == "web1" and set(result["binding"]) >= {"host_id", "boot", "packages", "sources", "disks", "made", "expires"}
    assert result["disks"] == ITEMS


def test_a_binding_holds_a_moment_later_and_not_for_another_host(look):
    binding = look()["binding"]
    assert look(only=["PF52"], binding=binding)["findings"] == []
    (finding,) = look(only=["PF52"], binding=dict(binding, host_id="bb"))["findings"]
    assert finding["id"] == "preflight.foreign"


def test_proofs_on_the_host_count_and_a_broken_one_is_named(look, tmp_path):
    (tmp_path / "proofs").mkdir()
    path = tmp_path / "proofs" / "backup.json"
    path.write_text(json.dumps({"kind": "backup", "taken": "2020-01-01", "host": "aa", "digest": "x", "disks": {}}), encoding="utf-8")
    (finding,) = look(only=["PF33"])["findings"]
    assert finding["id"] == "backup.unproven" and "hours old" in finding["evidence"]
    path.write_text("{", encoding="utf-8")
    result = look(only=["PF33"])
    assert result["failed"] and str(path) in result["msg"]


def test_the_disks_of_an_earlier_look_count(look, tmp_path):
    def seen(_before, _after):
        raise AssertionError("compared")

    assert [f["id"] for f in look(only=["PF23"])["findings"]] == ["disks.first"]
    (tmp_path / "disks.json").write_text(json.dumps({"taken": "2026-11-01", "items": {}}), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(preflight_info.disks_probe, "compare", seen)
        (finding,) = look(only=["PF23"])["findings"]
    assert finding["id"] == "preflight.unchecked" and "compared" in finding["evidence"]


@pytest.mark.parametrize(
    "params, word",
    [
        ({"only": ["PF99"]}, "no pre-flight check PF99"),
        ({"baseline": "/nowhere/baseline.json.gz"}, "baseline /nowhere/baseline.json.gz cannot be read"),
        ({"accepted_holds": [{"package": "x", "decision": "drop", "reason": "r"}]}, "decision"),
        ({"accepted_holds": [{"package": "x", "decision": "keep"}]}, "reason"),
    ],
)
def test_wrong_input_is_one_sentence(look, params, word):
    result = look(**params)
    assert result["failed"] and word in result["msg"]


def test_a_check_that_is_left_out_is_a_finding(look):
    result = look(only=[], skip=[c.number for c in preflight_info.chosen() if c.number != "PF06"])
    assert {f["id"] for f in result["findings"]} == {"packages.held", "preflight.skipped"}


def test_the_estimate_comes_with_the_result_and_uses_what_others_took(look, tmp_path, monkeypatch):
    monkeypatch.setattr(
        preflight_info.Context, "once", lambda self, name, make, real=preflight_info.Context.once: {} if name == "measures" else real(self, name, make)
    )
    plan = {"release_path": "debian-12-13", "upgrade": [{"name": "p", "stage": "full"}] * 100, "download_bytes": 10}
    history = [{"flight": "f", "release_path": "debian-12-13", "stages": {"full": 5000}, "work": {"full": 100}, "measures": {}}]
    result = look(only=["PF53"], plan=plan, history=history, window={"budget_seconds": 60}, rollback={"driver": "hook"}, rollback_seconds=33)
    assert [f["id"] for f in result["findings"]] == ["window.short"] and result["findings"][0]["check"] == "PF53"
    assert result["estimate"]["stages"]["full"] == 5000 and result["estimate"]["rollback"] == 33
    assert look(only=["PF06"])["estimate"] == {}


def test_a_window_that_is_none_is_a_blocker_that_names_the_setting(look):
    result = look(only=["PF53"], plan={"upgrade": []}, window={"end": "tonight"})
    assert [f["severity"] for f in result["findings"]] == ["blocker"] and "intact_window_end" in result["findings"][0]["evidence"]
