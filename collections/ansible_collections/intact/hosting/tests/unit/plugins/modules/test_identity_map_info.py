# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""identity_map_info as Ansible calls it."""

from __future__ import annotations

import os
import stat

import pytest

from ansible_collections.intact.hosting.plugins.modules import identity_map_info
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._migration import identity_fixture as fixture


@pytest.fixture
def given(tmp_path):
    """Parameters: both roots, and where the map goes."""
    old, new = fixture.roots(tmp_path)
    return {"root": str(old), "target": str(new), "dest": str(tmp_path / "identity.json")}


def test_check_mode_says_the_same_and_writes_nothing(call_module, given):
    foretold = call_module(identity_map_info.main, check=True, **given)
    assert foretold["written"] and not foretold["changed"] and not os.path.exists(given["dest"])
    made = call_module(identity_map_info.main, **given)
    assert {k: made[k] for k in foretold if k != "invocation"} == {k: v for k, v in foretold.items() if k != "invocation"}
    assert not made["changed"] and stat.S_IMODE(os.stat(given["dest"]).st_mode) == 0o600
    assert not call_module(identity_map_info.main, check=True, **given)["written"]
    assert not [h for h in (fixture.SHA, fixture.MD5, fixture.DES) if h in str(made)]


def test_owners_given_and_walked(call_module, given):
    os.makedirs(given["root"] + "/home/x")
    result = call_module(identity_map_info.main, owners={"users": {"1234": 3}}, trees=["/home"], **given)
    assert result["orphans"]["users"]["1234"]["count"] == 3 and "0" in result["uids"]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"root": "/nowhere"}, "has no /etc/passwd with root in it"),
        ({"dest": "/nowhere/identity.json"}, "the directory of /nowhere/identity.json is not there"),
        ({"range": [1]}, "range is a first and a last number"),
        ({"owners": {"users": {"anna": 1}}}, "owners has users that are no numbers"),
        ({"trees": ["/gone"]}, "the tree /gone of the old disk can't be walked"),
    ],
)
def test_failures_name_the_thing(call_module, given, more, words):
    result = call_module(identity_map_info.main, **dict(given, **more))
    assert result["failed"] and words in result["msg"]


def test_an_earlier_map_that_is_broken_is_not_overwritten(call_module, given):
    with open(given["dest"], "w", encoding="ascii") as handle:
        handle.write("{")
    result = call_module(identity_map_info.main, **given)
    assert result["failed"] and "put it aside" in result["msg"] and fixture.read(given["dest"]) == "{"
