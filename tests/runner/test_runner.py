# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The project as AWX runs it: ansible-runner, a copy of the checkout as project directory, in-repository collection, a survey's answers as extra vars."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ansible_collections.intact.hosting.tests.unit.plugins import flight_fixture

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = {t["name"]: t for t in yaml.safe_load((ROOT / "awx" / "controller.yml").read_text())["controller_templates"]}
INVENTORY = (
    "all:\n  children:\n    hosting_servers:\n      hosts:\n        web1:\n          ansible_connection: local\n          ansible_python_interpreter: %s\n"
    % sys.executable
)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the checkout with its links kept, as AWX makes one for each job, without what git does not know."""
    private = tmp_path_factory.mktemp("private")
    names = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"], check=True, capture_output=True).stdout
    for name in {n.decode() for n in names.split(b"\0") if n}:
        source, target = ROOT / name, private / "project" / name
        if os.path.lexists(source):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
    if (ROOT / ".collections").exists():
        (private / "project" / ".collections").symlink_to(ROOT / ".collections")
    (private / "inventory").mkdir()
    (private / "inventory" / "hosts.yml").write_text(INVENTORY)
    return private


def run(private, playbook, variables, *options):
    """(exit status, output, events) of ansible-runner with AWX's environment."""
    shutil.rmtree(private / "artifacts", ignore_errors=True)
    (private / "env").mkdir(exist_ok=True)
    (private / "env" / "extravars").write_text(json.dumps(variables))
    (private / "env" / "cmdline").write_text(" ".join(options))
    environment = {k: v for k, v in os.environ.items() if not k.startswith("ANSIBLE_")}
    # AWX puts the project's own values behind its directory for collections from requirements.yml
    settings = dict(line.split(" = ", 1) for line in (ROOT / "ansible.cfg").read_text().splitlines() if " = " in line and not line.startswith("#"))
    environment.update(
        ANSIBLE_COLLECTIONS_PATH="/runner/requirements_collections:" + settings["collections_path"],
        ANSIBLE_ROLES_PATH="/runner/requirements_roles:" + settings["roles_path"],
        LC_ALL="C.UTF-8",
        PATH=str(Path(sys.executable).parent) + os.pathsep + os.environ["PATH"],
    )
    done = subprocess.run(
        ["ansible-runner", "run", str(private), "-p", playbook, "--ident", "job", "--omit-env-files"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    events = [json.loads(p.read_text()) for p in sorted((private / "artifacts" / "job" / "job_events").glob("[0-9]*.json"))]
    return done.returncode, done.stdout + done.stderr, events


def answers(template, **changed):
    """What the survey gives when nothing is typed, and the template's own variables."""
    given = {q["variable"]: q["default"] for q in template["survey_spec"]["spec"]}
    return dict(given, **changed)


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_template_finds_its_roles_and_collections(project, name):
    given = answers(TEMPLATES[name])
    given["intact_hosts"] = given["intact_hosts"] or "hosting_servers"
    status, output, _events = run(project, TEMPLATES[name]["playbook"], given, "--list-tasks")
    assert status == 0 and re.search(r"play #\d+ \(hosting_servers\)", output), output


def test_a_restore_without_a_host_is_refused(project):
    status, output, _events = run(project, "playbooks/restore-host.yml", answers(TEMPLATES["Intact - restore hosts"]))
    assert status != 0 and "Name the host to restore" in output, output


def test_the_report_is_drawn_by_a_job(project, tmp_path):
    flight_fixture.write(str(tmp_path / "flights" / flight_fixture.ID))
    variables = answers(TEMPLATES["Intact - draw report"], intact_flights_dir=str(tmp_path / "flights"), intact_become=False, flight_report_fetch_enabled=False)
    status, output, events = run(project, "playbooks/report-flight.yml", variables)
    assert status == 0, output
    assert "INTACT: web1 runs Debian 13" in output
    assert (tmp_path / "flights" / flight_fixture.ID / "report.html").stat().st_size > 20_000
    stats = next(e for e in events if e["event"] == "playbook_on_stats")["event_data"]
    assert stats["ok"]["web1"] >= 5 and not stats["failures"]
    handed = [e["event_data"]["res"]["ansible_stats"]["data"] for e in events if "ansible_stats" in (e.get("event_data", {}).get("res") or {})]
    assert handed and handed[-1]["flight_report_verdict"] == "INTACT", "the next workflow node gets the verdict"


def test_a_mistake_in_an_answer_is_one_sentence(project, tmp_path):
    variables = answers(
        TEMPLATES["Intact - draw report"], intact_flights_dir=str(tmp_path), intact_become=False, flight_report_fetch_enabled=False, flight_report_flightid="x"
    )
    status, output, _events = run(project, "playbooks/report-flight.yml", variables)
    assert status != 0 and "web1: no such setting: flight_report_flightid" in output and "Traceback" not in output


def test_panels_are_not_exported_in_the_clear_unless_somebody_asks_for_it(project):
    variables = answers(TEMPLATES["Intact - export panels"], intact_become=False)
    status, output, _events = run(project, "playbooks/export-panel.yml", variables)
    assert status != 0 and "web1: exports hold passwords and keys. Set panel_export_passphrase_src" in output and "Traceback" not in output


def test_the_dry_run_of_an_export_tells_what_it_would_do_and_writes_nothing(project):
    exports = Path("/var/lib/intact/panel")
    before = sorted(exports.rglob("*")) if exports.exists() else None
    variables = answers(
        TEMPLATES["Intact - export panels (dry run)"], intact_become=False, panel_export_encryption_enabled=False, panel_export_package_enabled=False
    )
    status, output, _events = run(project, "playbooks/export-panel.yml", variables, "--check", "--diff")
    assert status == 0 and re.search(r"web1 \w+: would-run", output), output
    assert (sorted(exports.rglob("*")) if exports.exists() else None) == before
