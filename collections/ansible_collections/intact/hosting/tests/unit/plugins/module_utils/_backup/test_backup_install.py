# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The installed backup program: whole, closed to others, and told before it is written."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._backup import _install, _units
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

JOB = {
    "host": "web1",
    "repositories": [
        {"name": "vault", "url": "rest:https://vault.example.com/web1", "password_file": "/etc/intact/backup/secrets/vault.password"},
        {"name": "offsite", "url": "sftp:backup@offsite.example.com:/web1", "password_file": "/etc/intact/backup/secrets/offsite.password"},
    ],
}
SCHEDULE = {"files": {"calendar": "*-*-* 03:00:00", "delay": 1800}, "system": {"calendar": "*-*-* 01:00:00", "delay": 900}}


def test_the_installed_program_runs_alone(tmp_path):
    """Every file that it imports, inside of functions too, is installed, and nothing of Ansible is needed."""
    for relative, text in _install.files().items():
        path = tmp_path / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    program = """
import sys
sys.path.insert(0, %r)
from ansible_collections.intact.hosting.plugins.module_utils._backup import _main
""" % str(tmp_path)
    for name in sorted(_install.parts()):
        program += "import %s.%s\n" % (_install.PACKAGE, name)
    program += "print(_main.main([]), [n for n in sys.modules if n.startswith('ansible.')])"
    done = subprocess.run([sys.executable, "-I", "-B", "-c", program], capture_output=True, text=True, check=False, cwd="/")
    assert done.stdout.strip() == "64 []", done.stderr
    done = subprocess.run([sys.executable, "-I", "-B", str(tmp_path / "__main__.py"), "fly"], capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 64 and "usage" in done.stderr


def test_a_second_look_finds_nothing_to_change(tmp_path):
    root = str(tmp_path)
    first = _install.Installer(JOB, SCHEDULE, root)
    assert "/etc/intact/backup/job.json" in [path for path, _before, _after in first.changes]
    assert any(part["after_header"].endswith("intact-backup-files.timer") and "03:00:00" in part["after"] for part in first.diff())
    assert not (tmp_path / "etc").exists(), "looking must not write"
    first.apply()
    assert _install.Installer(JOB, SCHEDULE, root).changes == []
    assert os.stat(root + "/etc/intact/backup/job.json").st_mode & 0o777 == 0o600
    assert os.stat(root + "/etc/intact/backup").st_mode & 0o777 == 0o700


def test_what_is_not_wanted_any_more_goes(tmp_path):
    root = str(tmp_path)
    _install.Installer(JOB, SCHEDULE, root).apply()
    (tmp_path / _units.PROGRAM[1:] / "old.py").write_text("x")
    later = _install.Installer(JOB, {"system": SCHEDULE["system"]}, root)
    gone = [path for path, _before, after in later.changes if after is None]
    assert gone == [_units.PROGRAM + "/old.py", _install.UNITS + "/intact-backup-files.timer"]
    later.apply()
    assert not os.path.exists(root + _install.UNITS + "/intact-backup-files.timer")
    assert _install.Installer(JOB, {"system": SCHEDULE["system"]}, root).changes == []


def test_removing_leaves_state_and_secrets(tmp_path):
    root = str(tmp_path)
    _install.Installer(JOB, SCHEDULE, root).apply()
    secret = tmp_path / "etc/intact/backup/secrets"
    secret.mkdir()
    (secret / "vault.password").write_text("x")
    _install.remove(root)
    assert _install.installed(root) == []
    assert (secret / "vault.password").exists() and (tmp_path / "var/lib/intact/backup").exists()


def test_a_job_that_cannot_work_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(IntactError, match="2 independent repositories"):
        _install.Installer(dict(JOB, repositories=JOB["repositories"][:1]), SCHEDULE, str(tmp_path))
    assert not os.listdir(tmp_path)


def test_units_hold_what_the_job_says():
    texts = _units.texts(SCHEDULE, {"nice": 15, "read_mbps": 40}, "/var/lib/prometheus/node-exporter/intact.prom")
    service = texts[_units.SERVICE]
    assert "Nice=15" in service and "IOReadBandwidthMax=/ 40M" in service and " -/var/lib/prometheus/node-exporter\n" in service
    assert "IOReadBandwidthMax" not in _units.texts(SCHEDULE)[_units.SERVICE]
    timer = texts["intact-backup-files.timer"]
    assert "OnCalendar=*-*-* 03:00:00" in timer and "RandomizedDelaySec=1800" in timer and "Persistent=true" in timer
    assert "Unit=intact-backup@files.service" in timer
