# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Another disk was put in the bay after the look: refused, named, and nothing was done with it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

RESULTS = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "results"


@pytest.fixture(scope="module")
def tried():
    return json.loads((RESULTS / "swapped.json").read_text())


def test_it_is_refused_and_the_expected_disk_is_named(tried):
    token = (RESULTS / "token").read_text().strip()
    assert tried["rc"] != 0
    assert token in tried["said"].replace("\n", "") and "new1.lab.test" in tried["said"]
    assert "Traceback" not in tried["said"]


def test_nothing_of_it_is_mounted_or_held(host):
    device = (RESULTS / "device").read_text().strip()
    assert device not in host.check_output("cat /proc/mounts")
    assert "/mnt/legacy" not in host.check_output("cat /proc/mounts")
    assert host.check_output(f"losetup -a | grep -c '({device})' || true") == "0"
