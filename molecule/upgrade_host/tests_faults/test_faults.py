# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No false peace on a server that was really upgraded: each fault is told as itself, and nothing besides."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

RESULTS = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])


@pytest.fixture(scope="module")
def drill(host):
    """What the drill said of this host."""
    return json.loads((RESULTS / f"faults-{host.check_output('hostname')}.json").read_text())


def test_every_fault_is_its_own_finding(drill):
    told = re.search(r"^(\d+) of (\d+) faults told", drill["out"], re.MULTILINE)
    assert told, drill["out"]
    assert told.group(1) == told.group(2), drill["out"]
    assert int(told.group(2)) >= 20
    assert drill["rc"] == 0, drill["out"]


def test_nothing_is_told_besides(drill):
    assert "besides:" not in drill["out"], drill["out"]


def test_the_host_the_faults_were_on_is_the_upgraded_one(host, drill):
    assert host.check_output(". /etc/os-release; echo $VERSION_CODENAME") == "trixie"
