# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each flight that was cut ended as it must, by the judge's word and by what the hosts' disks say."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

FLIGHTS = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "flights"
KINDS = {"runner", "apt", "dpkg", "power", "disk", "mirror", "state", "updates", "starts", "controller", "connection"}


@pytest.fixture(scope="module")
def result():
    return json.loads((FLIGHTS / "result.json").read_text())


def test_every_flight_ended_as_it_must(result):
    assert [(entry["number"], entry["problems"]) for entry in result["failed"]] == []
    assert result["good"] == result["flights"] == 12


def test_every_kind_of_cut_has_hit(result):
    assert set(result["by_kind"]) == KINDS
    assert result["cuts"] >= 13
    assert result["missed"] == 0


def test_dpkgs_own_database_says_that_all_is_installed_and_new(result):
    """Read from the files that the flights left, without dpkg and without the driver."""
    for entry in result["results"]:
        text = (FLIGHTS / f"{result['seed']}-{entry['number']}" / "var/lib/dpkg/status").read_text()
        records = re.findall(r"^Package: (\S+)\nStatus: (\S+ \S+ \S+)\n(?:.*\n)*?Version: (\S+)\n", text, re.MULTILINE)
        assert len(records) > 80
        states = {status for _name, status, _version in records}
        assert states <= {"install ok installed", "deinstall ok config-files"}, (entry["number"], states)
        ours = {name: version for name, status, version in records if name.startswith("lab-") and status.startswith("install")}
        assert len(ours) == 22 and set(ours.values()) == {"2.0-1"}, (entry["number"], ours)


def test_the_operators_file_is_on_each_disk_as_it_was(result):
    for entry in result["results"]:
        text = (FLIGHTS / f"{result['seed']}-{entry['number']}" / "etc/lab/answer.conf").read_text()
        assert "secret_of_the_shop = kept" in text, entry["number"]


def test_who_was_killed_was_followed_by_another(result):
    went = [cut for entry in result["results"] for cut in entry["cuts"] if cut["kind"] in ("runner", "power", "state", "updates") and cut["hit"] != "cleanup"]
    assert went and all("went_on_after" in cut for cut in went)
