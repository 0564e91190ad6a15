# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Molecule scenarios: which there are, what each must run, and whether a log proves that it ran.

Molecule ends with 0 when a playbook is missing or no test is found, so its exit code alone proves nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def read(path: Path) -> dict[str, Any]:
    return (yaml.safe_load(path.read_text(encoding="utf-8")) or {}) if path.is_file() else {}


def names(root: Path) -> list[str]:
    """Scenario names in the order they run: the lab itself first, then those with the most steps, so that none of these is alone at the end."""
    found = [path.parent.name for path in (root / "molecule").glob("*/molecule.yml")]
    return sorted(found, key=lambda name: (name != "lab", -len(sequence(root, name)), name))


def sequence(root: Path, name: str) -> list[str]:
    """The test sequence of one scenario: its own, or the base configuration's."""
    for path in (root / "molecule" / name / "molecule.yml", root / ".config" / "molecule" / "config.yml"):
        steps = (read(path).get("scenario") or {}).get("test_sequence")
        if steps:
            return [str(step) for step in steps]
    return []


def hosts(node: dict[str, Any], inherited: dict[str, Any] | None = None) -> Iterator[dict[str, Any]]:
    """Each host of a YAML inventory's group as its variables, with those of the groups above it, and its name under `name`."""
    variables = {**(inherited or {}), **(node.get("vars") or {})}
    for name, own in (node.get("hosts") or {}).items():
        yield {**variables, **(own or {}), "name": name}
    for child in (node.get("children") or {}).values():
        yield from hosts(child or {}, variables)


def inventory(root: Path, name: str) -> list[dict[str, Any]]:
    """Hosts of a scenario, each once, with what all its groups say of it."""
    found: dict[str, dict[str, Any]] = {}
    for host in hosts(read(root / "molecule" / name / "inventory" / "hosts.yml").get("all") or {}):
        found.setdefault(host["name"], {}).update(host)
    return list(found.values())


def apart(root: Path, name: str) -> str:
    """The make target that runs a scenario which is too long for every run of the tests; empty for all others."""
    inventory_vars = (read(root / "molecule" / name / "inventory" / "hosts.yml").get("all") or {}).get("vars") or {}
    return str(inventory_vars.get("lab_own_target", ""))


def images(root: Path, wanted: list[str]) -> list[str]:
    """Image recipes that the scenarios need."""
    tags = [str(host.get("lab_image", "")) for name in wanted for host in inventory(root, name)]
    return sorted({match.group(1) for tag in tags if (match := re.fullmatch(r"intact-lab/([^:]+):current", tag))})


def verify_folders(root: Path, name: str) -> list[str]:
    """Test folders that the sequence verifies, in order; `tests` for a plain `verify`."""
    return [" ".join(step.split()[1:]) or "tests" for step in sequence(root, name) if step.split()[0] == "verify"]


def count_tests(folder: Path) -> int:
    """Test functions written in a folder."""
    return sum(len(re.findall(r"^\s*def test_", path.read_text(encoding="utf-8"), re.MULTILINE)) for path in folder.rglob("test_*.py"))


def missing(root: Path, name: str) -> list[str]:
    """What a scenario's folder lacks to be a test at all."""
    folder = root / "molecule" / name
    steps = sequence(root, name)
    found = [f"{name}: {file} is missing" for file in ("converge.yml", "inventory/hosts.yml") if not (folder / file).is_file()]
    folders = verify_folders(root, name)
    if not folders:
        found.append(f"{name}: its test sequence has no verify")
    found += [f"{name}: {tests} holds no test" for tests in folders if count_tests(folder / tests) == 0]
    for step in steps:
        words = step.split()
        if words[0] == "side_effect":
            # Molecule skips a named side effect as missing unless the default one exists too.
            for file in dict.fromkeys(["side_effect.yml", *words[1:]]):
                if not (folder / file).is_file():
                    found.append(f"{name}: {file} is missing, Molecule would skip the step without an error")
    return found


def judge(log: str, verifies: int) -> tuple[int, str]:
    """Tests that passed, and what is wrong with a run that ended with exit code 0 (empty: nothing).

    `verifies` is how many times the sequence verifies; each must have had at least one passing test.
    """
    text = ANSI.sub("", log)
    summaries = re.findall(r"=+ (.*\b(?:passed|failed|skipped|error|errors|no tests ran)\b.*?) in [\d.]+s", text)
    counts = [int(found.group(1)) if (found := re.search(r"(\d+) passed", summary)) else 0 for summary in summaries]
    if "Missing playbook" in text:
        return sum(counts), "a playbook that the sequence names is missing"
    if len(counts) != verifies:
        return sum(counts), f"{len(counts)} test runs in the log, the sequence has {verifies}"
    if not all(counts):
        return sum(counts), "a verify step had no passing test"
    return sum(counts), ""
