# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Exports on a schedule of their own: the module that puts it in place, and the program that runs without a controller."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest

from ansible_collections.intact.hosting.plugins.module_utils import _program
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import _install, _main, _registry
from ansible_collections.intact.hosting.plugins.modules import panel_schedule
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels import acme_fixture as acme

JOB = {"passphrase_file": "/etc/intact/panel/passphrase", "wait": 60, "max_age_hours": 12.0}
UNITS = ("/etc/systemd/system/intact-panel-export.service", "/etc/systemd/system/intact-panel-export.timer")


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Where the host's files are."""
    place = str(tmp_path / "host")
    monkeypatch.setattr(_install, "installer", lambda job, schedule, make=_install.installer: make(job, schedule, place))
    monkeypatch.setattr(_install.PLACE, "installed", lambda _root="", own=_install.PLACE.installed: own(place))
    monkeypatch.setattr(_install.PLACE, "remove", lambda _root="", own=_install.PLACE.remove: own(place))
    return place


def test_it_is_put_in_place_once_told_before_and_taken_away(call_module, root):
    told = call_module(panel_schedule.main, check=True, diff=True, job=JOB)
    assert told["changed"] and set(UNITS) < set(told["changes"]) and not os.path.exists(root)
    assert any("OnCalendar=*-*-* 00:15:00" in part["after"] for part in told["diff"]) and any("files" in part["after"] for part in told["diff"])
    assert call_module(panel_schedule.main, job=JOB)["changes"] == told["changes"]
    assert os.stat(root + _main.JOB).st_mode & 0o777 == 0o600 and os.stat(root + "/etc/intact/panel").st_mode & 0o777 == 0o700
    assert not call_module(panel_schedule.main, job=JOB)["changed"]
    (changed,) = call_module(panel_schedule.main, job=JOB, calendar="hourly", delay=5)["changes"]
    with open(root + changed) as handle:
        assert "OnCalendar=hourly\nRandomizedDelaySec=5\n" in handle.read()
    with open(root + UNITS[0]) as handle:
        service = handle.read()
    # a backup of the class panel that falls due waits: that needs a service which is not "started" before it has ended
    assert "Type=oneshot" in service and "Before=intact-backup@panel.service" in service and "Protect" not in service
    exports = root + "/var/lib/intact/panel/acme"
    os.makedirs(exports)
    assert call_module(panel_schedule.main, check=True, state="absent")["changed"] and os.path.exists(root + _main.JOB)
    assert call_module(panel_schedule.main, state="absent")["changed"] and _install.PLACE.installed() == [] and os.path.isdir(exports)
    assert not call_module(panel_schedule.main, state="absent")["changed"]


@pytest.mark.parametrize(
    "job, why",
    [({"mode": "half"}, "settings, full"), ({"keep": 0}, "at least one export stays"), ({"dir": "x"}, "no whole path"), ({"kep": 1}, "names kep")],
)
def test_a_job_that_can_not_work_is_refused_before_anything_is_written(call_module, root, job, why):
    told = call_module(panel_schedule.main, job=job)
    assert told["failed"] and why in told["msg"] and not os.path.exists(root)


def test_the_installed_program_runs_alone(tmp_path):
    """Every file that it imports, inside of functions too, is installed, and nothing of Ansible is needed."""
    for relative, text in _program.files(_install.ENTRY).items():
        path = tmp_path / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    program = "import sys\nsys.path.insert(0, %r)\n" % str(tmp_path)
    for name in sorted(_program.parts(_install.ENTRY)):
        program += "import %s.%s\n" % (_program.PACKAGE, name)
    program += "from %s._panels import _main\nprint(_main.main([]), [n for n in sys.modules if n.startswith('ansible.')])" % _program.PACKAGE
    done = subprocess.run([sys.executable, "-I", "-B", "-c", program], capture_output=True, text=True, check=False, cwd="/")
    assert done.stdout.strip() == "64 []", done.stderr
    done = subprocess.run([sys.executable, "-I", "-B", str(tmp_path / "__main__.py"), "fly"], capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 64 and "usage" in done.stderr


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A host with Acme; job(**more): the exports go below the test's directory."""
    host = acme.host(tmp_path / "acme")
    monkeypatch.setattr(_registry, "DRIVERS", (acme.driver(), _registry.driver("none")))
    host.job = lambda **more: _main.check(dict({"dir": str(tmp_path / "panel")}, **more))
    return host


def test_a_run_proves_an_export_tells_the_journal_and_ends_as_it_went(site):
    said = []
    status, lines = _main.export(site.job(), site, said.append)
    assert status == 0 and "panel acme: proven, " in lines[0] and "acme: the panel exports" in said
    site.fault = "missing"
    status, lines = _main.export(site.job(), site, said.append)
    assert status == 1 and any("panel.object.missing" in line for line in lines)
    waiver = {"id": "panel.object.missing", "subject": "acme *", "reason": "known", "who": "ops", "expires": "2999-01-01"}
    assert _main.export(site.job(waivers=[waiver]), site, said.append)[0] == 0
    site.fault = ""
    os.makedirs(site.place("/run/acme"))
    open(site.place("/run/acme/backup.lock"), "w").close()
    assert _main.export(site.job(), site, said.append)[0] == 75
    assert not any(planted in json.dumps([said, lines]) for planted in acme.PLANTED)


def test_a_job_that_is_not_there_is_named_with_what_to_do(tmp_path, monkeypatch, capsys):
    with pytest.raises(IntactError, match="run the role panel_export"):
        _main.read_job(str(tmp_path / "job.json"))
    monkeypatch.setattr(_main, "JOB", str(tmp_path / "job.json"))
    monkeypatch.setattr(_main, "read_job", lambda own=_main.read_job: own(str(tmp_path / "job.json")))
    assert _main.main(["run"]) == 2 and "run the role panel_export" in capsys.readouterr().err


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed here")
def test_systemd_reads_the_units(tmp_path):
    for name, text in _install.units({"calendar": "*-*-* 00:15:00", "delay": 900}).items():
        (tmp_path / name).write_text(text)
    done = subprocess.run(["systemd-analyze", "verify", str(tmp_path / "intact-panel-export.timer")], capture_output=True, text=True, check=False)
    assert not [line for line in done.stderr.splitlines() if "intact-panel-export" in line and "not found" not in line.lower()], done.stderr
