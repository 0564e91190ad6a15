# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""migration_phase and reconciliation as a playbook calls them, on a disk that is mounted read-only; migration_phase by Ansible itself too."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import types
from pathlib import Path

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._migration import _class_table, _context, _phases
from ansible_collections.intact.hosting.plugins.modules import migration_phase, reconciliation

ROOT = Path(_context.__file__).resolve().parents[7]
TOKEN = "S/1"


@pytest.fixture(name="disk")
def fixture_disk(tmp_path):
    """Parameters for a tmpfs with an old system's files, read-only, and what legacy_volume would have written of it."""
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    root = tmp_path / "mnt"
    root.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "intact-test", str(root)], check=True)
    try:
        (root / "etc").mkdir()
        (root / "etc" / "passwd").write_text("root:x:0:0::/root:/bin/sh\n")
        (root / "etc" / "named.conf").write_text('zone "a.example" { type slave; file "x"; };\n')
        subprocess.run(["mount", "-o", "remount,ro", str(root)], check=True)
        state = tmp_path / "overlays" / "S-1" / "state.json"
        state.parent.mkdir(parents=True)
        state.write_text(json.dumps({"token": TOKEN, "path": str(root), "status": "attached", "mounts": [{"source": "intact-test", "target": str(root)}]}))
        yield {
            "migration": "web1",
            "directory": str(tmp_path / "migrations"),
            "root": str(root),
            "token": TOKEN,
            "overlay_dir": str(tmp_path / "overlays"),
        }
    finally:
        subprocess.run(["umount", str(root)], check=True)


def test_a_phase_is_foretold_run_and_left_alone(call_module, disk):
    told = call_module(migration_phase.main, check=True, diff=True, phase="plan", **disk)
    assert told["changed"] and told["action"] == "start" and "zone: 1" in told["diff"]["after"] and not os.path.exists(disk["directory"])
    told = call_module(migration_phase.main, phase="plan", **disk)
    assert told["changed"] and told["status"] == "done" and told["counts"]["zone"] == 1 and told["findings"][0]["id"] == "plan.zone"
    assert json.loads(Path(told["document"]).read_text())["status"] == "done"
    again = call_module(migration_phase.main, phase="plan", diff=True, **disk)
    assert not again["changed"] and again["action"] == "nothing" and again["counts"] == told["counts"] and "diff" not in again
    assert not call_module(migration_phase.main, check=True, phase="plan", **disk)["changed"]
    assert call_module(migration_phase.main, phase="plan", force=True, **disk)["action"] == "again"


def test_the_wrong_disk_is_refused_and_named(call_module, disk):
    call_module(migration_phase.main, phase="plan", **disk)
    for module, more in ((migration_phase, {"phase": "plan"}), (reconciliation, {})):
        told = call_module(module.main, **dict(disk, token="S/2", **more))
        assert told["failed"] and "is S/1, and the token asks for S/2" in told["msg"]


def test_another_disk_can_not_go_on_with_a_migration(call_module, disk):
    call_module(migration_phase.main, phase="plan", **disk)
    state = Path(disk["overlay_dir"], "S-1", "state.json")
    state.write_text(state.read_text().replace(TOKEN, "T/9"))
    told = call_module(migration_phase.main, phase="plan", **dict(disk, token="T/9"))
    assert told["failed"] and "is of the disk S/1, not of T/9" in told["msg"]


def test_a_phase_that_waits_says_for_what(call_module, disk):
    assert call_module(migration_phase.main, check=True, phase="files", **disk)["waits_for"] == ["identity", "accounts"]
    told = call_module(migration_phase.main, phase="files", **disk)
    assert told["failed"] and "needs identity and accounts first" in told["msg"]


def test_many_findings_are_cut_for_the_controller(call_module, disk, monkeypatch):
    findings = [{"id": "plan.x", "severity": "warning", "subject": str(n), "title": "x"} for n in range(500)] + [
        {"id": "plan.y", "severity": "blocker", "subject": "last", "title": "y"}
    ]
    monkeypatch.setattr(_phases, "module", lambda name: types.SimpleNamespace(run=lambda context, check: {"findings": findings}))
    told = call_module(migration_phase.main, phase="plan", **disk)["findings"]
    assert len(told) == 201 and told[0]["id"] == "plan.y" and told[-1]["subject"] == "301 more findings"


def test_reconciliation_tells_and_keeps_and_in_check_mode_keeps_nothing(call_module, disk, monkeypatch):
    klass = types.SimpleNamespace(old=lambda context: {"a": {"rows": 1}}, new=lambda context: {}, SUMS=("rows",))
    monkeypatch.setattr(_class_table, "module", lambda name: klass)
    told = call_module(reconciliation.main, check=True, **disk)
    assert told["counts"]["unexplained"] == 9 and not os.path.exists(disk["directory"])
    told = call_module(reconciliation.main, **disk)
    assert not told["changed"] and {f["id"] for f in told["findings"]} >= {"reconciliation.zones.missing", "reconciliation.phase.unfinished"}
    assert told["table"][0].split() == ["class", "old", "new", "explained", "unexplained"]
    document = json.loads(Path(told["document"]).read_text())
    assert document["phase"] == "reconcile" and len(document["classes"]) == 9
    rule = {"class": "zones", "subject": "*", "reason": "x", "who": "y", "expires": "2099-01-01"}
    told = call_module(reconciliation.main, rules=[rule], **disk)
    assert told["failed"] and "explains the whole class away" in told["msg"]


PLAYBOOK = """
- hosts: all
  gather_facts: false
  tasks:
    - name: Plan
      intact.hosting.migration_phase: %s
      register: ran
    - name: Tell
      ansible.builtin.copy:
        content: "{{ ran | to_json }}"
        dest: %s
        mode: '0600'
"""


def test_ansible_runs_a_phase_in_the_background_and_shows_its_progress(disk, tmp_path):
    if not shutil.which("ansible-playbook"):
        pytest.skip("ansible-playbook is not in PATH")
    out, play = tmp_path / "out.json", tmp_path / "play.yml"
    play.write_text(PLAYBOOK % (json.dumps(dict(disk, phase="plan", limit_seconds=60, poll_seconds=0.5)), out))
    environment = dict(os.environ, ANSIBLE_HOME=str(tmp_path / "home"), ANSIBLE_COLLECTIONS_PATH=str(ROOT / "collections"), ANSIBLE_NOCOLOR="1")
    argv = ["ansible-playbook", "-c", "local", "-i", "web1,", "-e", "ansible_python_interpreter=/usr/bin/python3", str(play)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=environment, cwd=tmp_path, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    ran = json.loads(out.read_text())
    assert ran["changed"] and ran["status"] == "done" and ran["counts"]["zone"] == 1 and "ansible_job_id" not in ran
    assert "web1: plan plan: begins" in done.stdout and "web1: plan plan: done" in done.stdout
