# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A drill that is told to restore where something is: it refuses, names the place, and touches nothing."""

from __future__ import annotations

import faults_lab as lab
import pytest

USED = "/var/lib/intact-drills/used"
PLACES = {
    USED: "it is not empty",
    "/var/lib/mysql": "where this host lives",
    "/mnt/customers/drill": "where this host lives",
}


@pytest.fixture(scope="module", autouse=True)
def things():
    lab.DRILL.sh("mkdir -p {0} /mnt/customers/drill; echo dear > {0}/letter".format(USED))
    yield
    lab.DRILL.run("rm", "-r", USED, "/mnt/customers")


@pytest.mark.parametrize("place", PLACES)
def test_it_is_refused_by_its_name(place):
    listing = "ls -la --time-style=full-iso {0} {0}/..".format(place)
    before = lab.DRILL.sh(listing)
    answer = lab.drill(["vault"], ["lists"], scratch=place, live_paths=["/mnt/customers"])
    assert answer["failed"] and answer["msg"].startswith(place + " is no place for a drill") and PLACES[place] in answer["msg"], answer
    assert "proof" not in answer
    assert lab.DRILL.sh(listing) == before
