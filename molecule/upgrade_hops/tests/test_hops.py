# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After one flight over one or two releases: no false alarm in any hop, and what customers have is what they had, by a witness that is not Intact's."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

RESULTS = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])
TARGET = os.environ.get("INTACT_TARGET_RELEASE") or "13"
CODENAMES = {"12": "bookworm", "13": "trixie"}
# the machine's load, which plays other scenarios meanwhile
MACHINES_OWN = ("resources.load.high",)
# notes: accounts of new packages, and what customers' cron jobs wrote into their tables during the flight
NOTES = ("info accounts.system.new", "info databases.rows.added")


@pytest.fixture(scope="module")
def flight():
    found = sorted((RESULTS / "flights").glob("web1-upgrade-*"))
    assert len(found) == 1, f"all hops must be one flight: {found}"
    return found[0]


@pytest.fixture(scope="module")
def witnesses():
    return [json.loads((RESULTS / f"witness-{name}.json").read_text()) for name in ("before", "after")]


def test_the_release_is_the_target(host):
    assert host.check_output(". /etc/os-release; echo $VERSION_CODENAME") == CODENAMES[TARGET]
    assert host.check_output("dpkg --audit") == ""
    assert host.check_output("systemctl is-system-running") == "running", host.check_output("systemctl --failed --no-legend")


def test_each_hop_has_its_gates_and_its_reboot(flight):
    events = [json.loads(line) for line in (flight / "journal.jsonl").read_text().splitlines()]
    hops = 1 if TARGET == "12" else 2
    assert len([event for event in events if event["event"] == "flight.hop"]) == hops - 1
    stages = [event["stage"] for event in events if event["event"] == "stage.start"]
    assert stages.count("full") == hops
    assert len({event["boot"] for event in events if event.get("boot")}) == hops + 1


def test_no_hop_tells_what_the_release_brought(flight):
    documents = sorted(flight.glob("**/comparison.json"))
    assert len(documents) == (1 if TARGET == "12" else 2)
    for path in documents:
        found = [f"{f['severity']} {f['id']} {f['subject']}: {f['evidence']}" for f in json.loads(path.read_text())["findings"] if f["id"] not in MACHINES_OWN]
        assert [line for line in found if not line.startswith(NOTES)] == [], "\n".join([str(path), *found])


def test_the_verdict_is_intact(flight):
    assert "INTACT" in json.dumps(json.loads((flight / "report.json").read_text())["verdict"]).upper()


@pytest.mark.parametrize("what", ["home", "sites", "databases", "messages", "queue", "lists", "zones", "crontabs"])
def test_nothing_of_the_customers_differs(witnesses, what):
    before, after = witnesses
    assert before[what], "the witness saw nothing before"
    assert before[what] == after[what]
