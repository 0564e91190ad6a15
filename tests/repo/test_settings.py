# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A role's settings are in its defaults, its argument spec and its own list; those around a flight have a word in its README."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROLES = sorted(p for p in (Path(__file__).resolve().parents[2] / "roles").iterdir() if (p / "defaults" / "main.yml").is_file())
# What an operator decides around the work: way back, second way in, dead man, stalls, window, budgets, confirmations, watch.
AROUND = {
    "distro_upgrade": r"rescue_ssh_|dead_man_|stall_|rollback$|confirm$|approved_|budget",
    "preflight": r"window_|budget_|rollback",
    "rollback": r"",
    "flight_watch": r"",
}


def read(path):
    return yaml.safe_load(path.read_text(encoding="utf-8")) or {}


@pytest.mark.parametrize("role", ROLES, ids=lambda p: p.name)
def test_defaults_spec_and_the_list_that_refuses_unknown_names_agree(role):
    defaults = set(read(role / "defaults" / "main.yml"))
    options = {name for entry in read(role / "meta" / "argument_specs.yml")["argument_specs"].values() for name in entry.get("options") or {}}
    assert defaults == options
    (listed,) = [names for key, names in read(role / "vars" / "main.yml").items() if key.endswith("_settings")]
    assert len(listed) == len(set(listed)) and defaults <= set(listed)
    # A role's own result is no input.
    assert all(name.endswith("_result") for name in set(listed) - defaults)


@pytest.mark.parametrize("role", [p for p in ROLES if p.name in AROUND], ids=lambda p: p.name)
def test_what_is_decided_around_a_flight_is_in_the_readme(role):
    text = (role / "README.md").read_text(encoding="utf-8")
    names = [name for name in read(role / "defaults" / "main.yml") if re.match("%s_(%s)" % (role.name, AROUND[role.name]), name)]
    assert names and [name for name in names if not re.search("^[|].*`%s`" % name, text, re.MULTILINE)] == []
