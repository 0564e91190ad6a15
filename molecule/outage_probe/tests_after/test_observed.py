# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What was seen, against what was done."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import pytest

FLIGHTS = Path(__file__).resolve().parents[3] / "build" / "molecule" / "outage_probe"


@pytest.fixture
def seen():
    document = json.loads((FLIGHTS / "target-upgrade-20261122t1134z" / "outages.json").read_text())
    return {t["name"]: t for t in document["targets"]}


def seconds(stamp):
    return datetime.datetime.fromisoformat(stamp).timestamp()


def test_the_outage_is_measured_to_the_poll(seen):
    truth = json.loads((FLIGHTS / "truth.json").read_text())
    (outage,) = seen["shop"]["outages"]
    # stopping is quick, starting Python is not: the service is back some time before or after its unit says so
    assert -0.3 <= seconds(outage["start"]) - truth["gone"] <= 1.5
    assert -1.0 <= seconds(outage["end"]) - truth["back"] <= 3.0
    assert outage["reason"] in ("connection refused", "connection reset", "connection closed before an answer") and not outage["open"]


def test_openssh_with_penalties_does_not_lock_the_observer_out(seen):
    # 0.2 s was asked for; the floor of 2 s keeps the observer welcome
    assert seen["ssh"]["outages"] == [] and seen["ssh"]["polls"] >= 3 and seen["ssh"]["interval"] == 2.0


def test_a_stall_and_a_kill_are_not_observed_and_no_outage(seen):
    for name in ("shop", "ssh"):
        assert 3 <= seen[name]["unobserved_seconds"] <= 25
    assert len(seen["shop"]["outages"]) == 1


def test_what_never_answered_is_told_apart(seen):
    assert seen["nobody"]["never_up"] and not seen["shop"]["never_up"]


def test_nothing_is_left(host):
    left = host.run(
        "ls -d /usr/local/lib/intact/outage-probe /etc/intact/outage-probe /var/lib/intact-outage-probe /etc/systemd/system/intact-outage-probe@.service"
    )
    assert left.stdout == "" and not host.user("intact-probe").exists
