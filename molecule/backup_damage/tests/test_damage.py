# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every damage was told for what it is, by each of the three versions of restic."""

from __future__ import annotations

import re
from pathlib import Path

FILES = sorted((Path(__file__).resolve().parents[3] / "tests/backup_damage").glob("drills_*.py"))
DRILLS = [name for path in FILES for name in re.findall(r"^@drill\ndef (\w+)", path.read_text(), re.MULTILINE)]
VERSIONS = {"bullseye": "0.11", "bookworm": "0.14", "trixie": "0.18"}


def test_each_host_has_its_release_of_restic(host):
    release = host.check_output("hostname -s")
    assert host.check_output("restic version").startswith("restic %s." % VERSIONS[release])


def test_every_damage_was_told(host):
    said = host.file("/var/tmp/drills.txt").content_string
    results = dict(reversed(pair) for pair in re.findall(r"^(ok|FAIL)\s+(\w+)", said, re.MULTILINE))
    assert len(DRILLS) >= 20
    assert {name: results.get(name, "did not run") for name in DRILLS} == dict.fromkeys(DRILLS, "ok"), said
    assert said.rstrip().endswith("exit 0")


def test_nothing_is_left_running(host):
    assert host.run("pgrep -x restic || pgrep -x rclone").rc == 1
