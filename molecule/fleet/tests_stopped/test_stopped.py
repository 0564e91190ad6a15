# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After the first start: the canary is done, a refused server and the last wave are untouched, the red wave came to its end, and the report is right."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

RESULTS = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])


def run():
    return json.loads((RESULTS / "first.json").read_text())


@pytest.fixture(scope="module")
def fleet():
    (path,) = (RESULTS / "fleets").glob("fleet-*/fleet.json")
    return json.loads(path.read_text()), path.parent


def rows(fleet):
    return {row["host"].split(".")[0]: row for row in fleet[0]["hosts"]}


def test_the_run_was_red_and_the_power_was_really_cut_among_the_packages():
    assert run()["status"] != 0 and run()["cut"] in ("minimal", "full")


def test_every_host_is_what_it_is(fleet):
    states = {name: row["state"] for name, row in rows(fleet).items()}
    assert states.pop("f4") in ("open", "lost")
    flown = {"f1": "intact", "f2": "refused", "f3": "loss", "f5": "intact", "f6": "intact", "f7": "intact"}
    assert states == {**flown, **{f"f{number}": "untouched" for number in range(8, 51)}}


def test_the_waves_were_the_ones_asked_for(fleet):
    assert [[h.split(".")[0] for h in wave["hosts"]] for wave in fleet[0]["waves"]] == [["f1"], ["f3", "f4", "f5", "f6", "f7"]]


def test_the_report_opens_on_the_worst_and_leads_to_the_flights(fleet):
    model, place = fleet
    assert model["hosts"][0]["state"] in ("lost", "loss") and model["stop"]
    assert any("letter.txt" in name for name in rows(fleet)["f3"]["lost"]), rows(fleet)["f3"]
    assert "restored" in rows(fleet)["f2"]["reason"]
    for name in ("f1", "f3", "f5"):
        assert (place / rows(fleet)[name]["report"]).is_file()
        assert rows(fleet)[name]["seconds"] > 0 and rows(fleet)[name]["expected"] > 0
    page = (place / "fleet.html").read_text()
    assert "The worst: " in page and "The lab" in page


@pytest.mark.parametrize(
    ("name", "release"), [("f1", "trixie"), ("f2", "bookworm"), ("f3", "trixie"), ("f5", "trixie"), ("f7", "trixie"), ("f8", "bookworm"), ("f10", "bookworm")]
)
def test_the_hosts_themselves_say_the_same(name, release, host):
    # by the connection's own name: the one whose power was cut answers nothing
    if host.backend.get_hostname().split(".")[0].rpartition("-")[2] != name:
        pytest.skip("another host")
    assert host.check_output(". /etc/os-release; echo $VERSION_CODENAME") == release
    assert host.check_output("dpkg --audit") == ""
    untouched = host.run("ls /var/lib/intact/upgrade").rc != 0
    assert untouched is (release == "bookworm")


def test_those_that_were_not_reached_have_nothing_of_ours():
    """All 43, asked without Ansible."""
    for number in range(8, 51):
        done = subprocess.run(
            ["docker", "exec", f"intact-m-fleet-f{number}", "cat", "/etc/os-release", "/home/letters/letter.txt"], capture_output=True, text=True, check=True
        )
        assert "bookworm" in done.stdout and done.stdout.endswith("Dear Sir or Madam\n"), number
        assert subprocess.run(["docker", "exec", f"intact-m-fleet-f{number}", "ls", "/var/lib/intact/upgrade"], capture_output=True, check=False).returncode, (
            number
        )
