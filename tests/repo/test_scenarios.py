# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Molecule scenarios are whole and do not share names or networks; a run without tests is not taken for a success."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest

import scenarios

ROOT = Path(__file__).resolve().parents[2]
ONE = "=========== 6 passed in 2.12s ============\n"
TWO = "===== 3 passed, 1 skipped in 0.50s =====\n"


@pytest.mark.parametrize(
    ("log", "verifies", "tests", "problem"),
    [
        (ONE, 1, 6, ""),
        (ONE + TWO, 2, 9, ""),
        ("\x1b[2m│\x1b[0m " + ONE, 1, 6, ""),
        (ONE, 2, 6, "1 test runs in the log, the sequence has 2"),
        ("", 1, 0, "0 test runs in the log, the sequence has 1"),
        ("===== no tests ran in 0.01s =====\n", 1, 0, "a verify step had no passing test"),
        ("===== 4 skipped in 0.01s =====\n", 1, 0, "a verify step had no passing test"),
        (ONE + "WARNING Missing playbook (x.yml)", 1, 6, "a playbook that the sequence names is missing"),
    ],
)
def test_log_is_judged(log, verifies, tests, problem):
    assert scenarios.judge(log, verifies) == (tests, problem)


def scenario(tmp_path, sequence):
    folder = tmp_path / "molecule" / "one"
    (folder / "inventory").mkdir(parents=True)
    (folder / "molecule.yml").write_text("scenario: {test_sequence: [%s]}" % ", ".join(sequence))
    (folder / "converge.yml").write_text("[]")
    (folder / "inventory" / "hosts.yml").write_text("{}")
    return folder


def test_scenario_without_tests_or_with_a_lost_side_effect_is_found(tmp_path):
    folder = scenario(tmp_path, ["create", "verify", "side_effect other.yml", "verify tests_after"])
    (folder / "tests").mkdir()
    (folder / "tests" / "test_a.py").write_text("def helper():\n    pass\n")
    assert scenarios.missing(tmp_path, "one") == [
        "one: tests holds no test",
        "one: tests_after holds no test",
        "one: side_effect.yml is missing, Molecule would skip the step without an error",
        "one: other.yml is missing, Molecule would skip the step without an error",
    ]


def test_base_sequence_counts_where_a_scenario_has_none(tmp_path):
    folder = scenario(tmp_path, [])
    (tmp_path / ".config" / "molecule").mkdir(parents=True)
    (tmp_path / ".config" / "molecule" / "config.yml").write_text("scenario: {test_sequence: [create, verify]}")
    (folder / "molecule.yml").write_text("---\n")
    assert scenarios.missing(tmp_path, "one") == ["one: tests holds no test"]


@pytest.mark.parametrize("name", scenarios.names(ROOT))
def test_scenario_of_this_repository_is_whole(name):
    assert scenarios.missing(ROOT, name) == []


def test_images_are_those_of_the_inventories(tmp_path):
    folder = scenario(tmp_path, ["verify"])
    (folder / "inventory" / "hosts.yml").write_text(
        """all:
  vars: {lab_image: "intact-lab/one:current"}
  children:
    lab:
      hosts:
        a: {}
        b: {lab_image: "intact-lab/two:current"}
        c: {lab_image: "someone/else:1"}
"""
    )
    assert scenarios.images(tmp_path, ["one"]) == ["one", "two"]
    assert [host["name"] for host in scenarios.inventory(tmp_path, "one")] == ["a", "b", "c"]


def test_a_scenario_that_runs_apart_has_a_target_that_runs_it(tmp_path):
    scenario(tmp_path, ["verify"])
    assert scenarios.apart(tmp_path, "one") == ""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for name in scenarios.names(ROOT):
        target = scenarios.apart(ROOT, name)
        assert not target or f"\n{target}: venv engine" in makefile and f"scripts/run-tests molecule {name}\n" in makefile, name


def test_scenarios_share_no_container_and_no_network():
    """Two scenarios, and the lab, must be able to run side by side."""
    containers, networks = {}, {}
    for place in scenarios.names(ROOT):
        for host in scenarios.inventory(ROOT, place):
            if "lab_net" not in host:
                continue
            container = host.get("lab_container", host.get("ansible_host", host["name"]))
            assert containers.setdefault(container, place) == place, f"{place} and {containers[container]} use container {container}"
            for key in ("lab_subnet", "lab_subnet6"):
                if key in host:
                    networks[ipaddress.ip_network(host[key])] = place
    known = list(networks.items())
    for number, (network, place) in enumerate(known):
        for other, owner in known[number + 1 :]:
            clash = place != owner and network.version == other.version and network.overlaps(other)
            assert not clash, f"{place} and {owner} use overlapping networks {network} and {other}"
