# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drivers of control panels: each is registered, has what the contract wants, and the documentation says whether it has met the real panel."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._panels import _registry
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels import panel_matrix

ROOT = Path(__file__).resolve().parents[2]
PANELS = ROOT / "collections" / "ansible_collections" / "intact" / "hosting" / "plugins" / "module_utils" / "_panels"
NAMES = [driver.NAME for driver in _registry.DRIVERS]


def test_every_driver_file_is_registered_once_and_none_is_the_last():
    assert sorted(NAMES) == sorted(path.stem for path in PANELS.glob("[a-z]*.py"))
    assert NAMES[-1] == _registry.NONE


@pytest.mark.parametrize("driver", _registry.DRIVERS, ids=NAMES)
def test_a_driver_has_what_the_contract_wants(driver):
    for name in ("detect", "inventory", "ready", "export", "verify"):
        assert callable(getattr(driver, name)), name
    assert driver.MET in ("real", "stand-in") and driver.SOURCES and all(isinstance(line, str) for line in driver.SOURCES)


@pytest.mark.parametrize("driver", _registry.DRIVERS, ids=NAMES)
def test_the_documentation_says_whether_a_driver_has_met_its_panel(driver):
    rows = dict(re.findall(r"^\| `(\w+)` \| ([^|]+ \| (?:real|stand-in)) \|$", (ROOT / "docs" / "panels.md").read_text(), re.MULTILINE))
    assert rows[driver.NAME] == "%s | %s" % (driver.TITLE, driver.MET)


def test_the_documentation_has_the_matrix_that_the_tests_walk():
    text, wanted = (ROOT / "docs" / "panels.md").read_text(), "\n".join(panel_matrix.table())
    assert wanted in text, "docs/panels.md needs these lines:\n%s" % wanted
    # and no other one, as an old line would stay behind a new table
    assert text.count("| damage |") == 1
