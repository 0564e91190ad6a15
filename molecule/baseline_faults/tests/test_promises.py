# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No false alarm, no false peace. The tests run in this order: each wave ends as it began."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from drill import MACHINES_OWN, ROOT, Drill, cases, judge, lists, waves

RULES = ROOT / "roles" / "distro_upgrade" / "release_paths" / "debian-12-13.yml"


@pytest.fixture(scope="module")
def drill(host):
    return Drill(host=host.check_output("hostname"), rules=str(RULES))


def told(result):
    """Every finding of a capture and its comparison, as lines that a failing test shows."""
    findings = result["captured"].get("findings", []) + result["compared"].get("findings", [])
    return [f"{f['severity']} {f['id']} {f['subject']}: {f['evidence']}" for f in findings if f["id"] not in MACHINES_OWN]


def test_the_clean_look_saw_everything(host, drill):
    """Equality of two looks is worth nothing when they did not look: the numbers are what the lab was filled with."""
    document = host.check_output(
        'python3 -c \'import gzip, json; d = json.load(gzip.open("/var/lib/intact/faults/clean.json.gz"));'
        ' print(json.dumps({n: [s["status"], len(s["unlooked"]), len(s["data"].get("items", {}))] for n, s in d["sections"].items()}))\''
    )
    sections = json.loads(document)
    assert len(sections) == 24
    server = lists(drill.server)
    assert {name: state for name, (state, unlooked, _items) in sections.items() if state != ("absent" if name in server.ABSENT else "ok") or unlooked} == {}
    assert {name: sections[name][2] for name, floor in server.FLOORS.items() if sections[name][2] < floor} == {}


def test_no_change_is_no_finding(drill):
    result = drill.look("again")
    assert told(result) == []
    assert result["compared"]["equal"] is True


def test_a_reboot_is_no_finding(drill, host):
    started = host.check_output("stat -c %Y /proc/1")
    drill.reboot()
    assert host.check_output("stat -c %Y /proc/1") != started, "the host was not rebooted"
    assert told(drill.look("rebooted")) == []


def test_rules_for_an_upgrade_change_nothing_where_nothing_was_upgraded(drill):
    assert told(drill.look("rebooted", capture=False, rules=str(RULES))) == []


def test_each_fault_gives_its_own_finding_and_nothing_besides(drill):
    wrong = [line for number in range(len(waves(drill.server))) for line in drill.wave(number)]
    assert wrong == [], "\n".join(wrong)


def test_all_faults_were_seeded(drill):
    listed = cases(drill.server)
    assert sorted(name for wave in waves(drill.server) for name in wave) == sorted(listed)
    assert len(listed) >= 20


def test_afterwards_the_host_is_as_before(drill):
    assert told(drill.look("after")) == []


@pytest.mark.parametrize(
    "findings",
    [
        [],
        [{"id": "packages.missing", "subject": "curl"}],
        [{"id": "packages.missing", "subject": "unzip"}] * 2,
        [{"id": "packages.missing", "subject": "unzip", "severity": "warning"}],
        [{"id": "packages.missing", "subject": "unzip"}, {"id": "files.new", "subject": "/etc/x", "severity": "info"}],
        [{"id": "packages.missing", "subject": "unzip", "remedy": ""}],
    ],
)
def test_the_judge_is_no_rubber_stamp(findings):
    whole = {"severity": "blocker", "title": "t", "evidence": "e", "remedy": "r", "consequences": []}
    assert judge("web1", ("package_removed",), [dict(whole, **f) for f in findings]) != []
    assert judge("web1", ("package_removed",), [dict(whole, id="packages.missing", subject="unzip")]) == []
