# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After the second start: the same fleet went on, the open flight first; its wave took longer than it may, so nobody else flew; a loss stays one."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

RESULTS = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])


@pytest.fixture(scope="module")
def fleet():
    (path,) = (RESULTS / "fleets").glob("fleet-*/fleet.json")
    return json.loads(path.read_text())


def test_it_was_one_fleet_and_ended_red_for_the_loss_and_the_refusal(fleet):
    states = {row["host"].split(".")[0]: row["state"] for row in fleet["hosts"]}
    assert {name: states[name] for name in ("f1", "f2", "f3", "f4")} == {"f1": "intact", "f2": "refused", "f3": "loss", "f4": "intact"}
    assert {states[f"f{number}"] for number in range(5, 8)} == {"intact"} and {states[f"f{number}"] for number in range(8, 51)} == {"untouched"}
    assert json.loads((RESULTS / "again.json").read_text())["status"] != 0 and fleet["word"] == "LOSS"


def test_the_open_flight_came_first_and_its_wave_was_the_last(fleet):
    assert [[h.split(".")[0] for h in wave["hosts"]] for wave in fleet["waves"][2:]] == [["f4"]]
    assert "s of its 1 s" in fleet["stop"], fleet["stop"]


def test_the_one_that_lost_its_power_is_whole(host):
    if host.check_output("hostname").split(".")[0] != "f4":
        pytest.skip("another host")
    assert host.check_output(". /etc/os-release; echo $VERSION_CODENAME") == "trixie"
    assert host.check_output("dpkg --audit") == "" and host.run("apt-get check").rc == 0
    assert host.check_output("cat /home/letters/letter.txt") == "Dear Sir or Madam"
