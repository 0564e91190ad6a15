# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A driver's whole way over a host of stand-ins: detect, inventory, export, document, verification; and what all of it printed, for planted secrets."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._panels import _export, _verify

TESTS = next((path / "tests" for path in Path(__file__).resolve().parents if (path / "tests" / "stand_ins").is_dir()), None)
if TESTS is None:
    pytest.skip("the stand-ins of panels are in the repository, not in the collection", allow_module_level=True)
if str(TESTS) not in sys.path:
    sys.path.insert(0, str(TESTS))

from stand_ins import kit, mariadb  # noqa: E402 (found by the line above)
from stand_ins.stage import Stage  # noqa: E402 (found by the line above)

__all__ = ["Stage", "kit", "mariadb"]


@dataclass
class Run:
    """What one export came to. seen: the findings' (id, subject), blockers first; text: all that anybody could have read of it."""

    findings: list
    verdict: str
    inventory: dict
    made: dict
    path: str
    text: str

    @property
    def red(self):
        """Sorted {(id, subject)} of the blockers."""
        return sorted({(finding.id, finding.subject) for finding in self.findings if finding.severity == "blocker"})

    @property
    def ids(self):
        return sorted({finding.id for finding in self.findings})


def export(driver, stage, mode="full", damage=None):
    """Run of one export. damage(target): what happens to the driver's files before they are stored."""
    found = driver.detect(stage)
    assert found, "%s is not detected" % driver.NAME
    told = []
    inventory = driver.inventory(stage, found)
    ready = driver.ready(stage, found, mode)
    with _export.begin(driver.NAME, mode, kit.real(kit_root(stage), "/var/lib/intact/panel")) as work:
        made = driver.export(stage, found, mode, work.target, told.append)
        if damage:
            damage(Path(work.target))
        facts = {"version": found["version"], "met": driver.MET, "host": "panel.example.com", "host_id": "aa", "seconds": 1}
        document = _export.store(work, made, inventory, facts)
        with _verify.Opened(work.path) as opened:
            findings, verdict = _verify.judge(driver, opened)
        path = _export.seal(work, dict(document, verdict=verdict))
    text = json.dumps([[f.as_dict() for f in findings + ready], inventory, document, told, made, stage.started], default=str)
    return Run(findings, verdict, inventory, made, path, text)


def kit_root(stage):
    """The root of a stage as text."""
    return stage.root.decode().rstrip("/")


def verified(driver, path):
    """(red, verdict) of an export that lies at path."""
    with _verify.Opened(path) as opened:
        findings, verdict = _verify.judge(driver, opened)
    return sorted({(finding.id, finding.subject) for finding in findings if finding.severity == "blocker"}), verdict


def unspoken(text, secrets):
    """Names of the planted secrets that stand in a text."""
    return [name for name, value in secrets.items() if any(part in text for part in (value, json.dumps(value)[1:-1]))]
