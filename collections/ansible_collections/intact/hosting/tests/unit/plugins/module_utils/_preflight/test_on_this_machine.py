# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The checks of the machine on the machine that runs the tests, whatever it is: none has a defect, and none asks a container for what it cannot have."""

from __future__ import annotations

import os

import pytest
import yaml

from ansible_collections.intact.hosting.plugins.module_utils._baseline import disks
from ansible_collections.intact.hosting.plugins.module_utils._preflight import _registry
from ansible_collections.intact.hosting.plugins.module_utils._preflight._context import Context, perform
from ansible_collections.intact.hosting.plugins.module_utils._preflight._system import Host

HERE = os.path.dirname(os.path.realpath(_registry.__file__))
PATHS = os.path.join(HERE, *[os.pardir] * 3, "roles", "distro_upgrade", "release_paths")
# PF20 asks apt for fresh lists, and has no question without a plan.
NUMBERS = "PF11 PF17 PF18 PF19 PF20 PF22 PF24 PF25 PF26 PF27 PF28 PF29 PF30 PF32 PF37 PF42 PF43 PF46 PF47 PF50".split()
HARDWARE = {"PF24", "PF25", "PF26", "PF27", "PF32", "PF47"}


def look(tmp_path, name, container=None):
    if os.geteuid():
        pytest.skip("needs root, as the pre-flight does")
    with open(os.path.join(PATHS, name + ".yml"), encoding="utf-8") as data:
        path = yaml.safe_load(data)
    items = disks.capture(Host())["items"]
    context = Context(host=Host(), release_path=path, baseline={"sections": {"disks": {"status": "ok", "data": {"items": items}}}}, cache=str(tmp_path))
    if container is not None:
        context._known["container"] = container
    findings, told = perform(_registry.chosen(NUMBERS), context)
    assert [entry["check"] for entry in told] == [check.number for check in _registry.CHECKS if check.number in NUMBERS]
    assert [(f.check, f.evidence) for f in findings if f.id == "preflight.unchecked"] == []
    assert all(f.remedy for f in findings if f.severity != "info")
    return findings


@pytest.mark.parametrize("name", ["debian-11-12", "debian-12-13"])
def test_as_a_container(tmp_path, name):
    findings = look(tmp_path, name, "docker")
    assert [(f.check, f.id, f.evidence) for f in findings if f.check in HARDWARE and f.severity == "blocker" and f.id != "disks.health.filesystem"] == []


def test_as_a_machine_of_its_own(tmp_path):
    findings = look(tmp_path, "debian-12-13", "")
    # whoever has confirmed nothing is asked, however the rest of this machine is
    assert "access.out-of-band" in [f.id for f in findings]


def test_as_it_is(tmp_path):
    look(tmp_path, "debian-12-13")
