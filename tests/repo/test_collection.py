# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection as a whole: its links, its module group, and the Python its modules need."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
COLLECTION = ROOT / "collections" / "ansible_collections" / "intact" / "hosting"
ON_HOSTS = sorted(path for name in ("modules", "module_utils") for path in (COLLECTION / "plugins" / name).rglob("*.py"))


def test_roles_are_a_relative_link_to_the_real_ones():
    link = COLLECTION / "roles"
    assert link.is_symlink()
    assert not link.readlink().is_absolute()
    assert link.resolve() == ROOT / "roles"


def test_module_defaults_group_holds_every_module_and_nothing_else():
    group = yaml.safe_load((COLLECTION / "meta" / "runtime.yml").read_text())["action_groups"]["all"]
    modules = {path.stem for path in (COLLECTION / "plugins" / "modules").glob("*.py")} - {"__init__"}
    assert sorted(group) == sorted(modules)


def test_there_are_files_for_hosts():
    assert len(ON_HOSTS) > 10


@pytest.mark.parametrize("path", ON_HOSTS, ids=lambda path: str(path.relative_to(COLLECTION)))
def test_code_that_runs_on_hosts_is_python_3_8(path):
    ast.parse(path.read_bytes(), feature_version=(3, 8))


def test_requirements_do_not_name_the_collection_itself():
    """What requirements.yml names would win over the code in the tree on AWX."""
    names = [str(item) for item in yaml.safe_load((ROOT / "requirements.yml").read_text())["collections"]]
    assert not [name for name in names if "intact" in name]
