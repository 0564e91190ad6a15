# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The way from one release to another, with the release paths that are shipped."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.intact.hosting.plugins.filter.release_hops import FilterModule
from ansible_collections.intact.hosting.plugins.lookup import release_path

PATHS = [release_path.read(path) for path in release_path.find_every("debian-*", release_path.directories(""))]


def test_the_way_is_told_by_names_and_what_leads_nowhere_is_refused():
    hops = FilterModule().filters()["release_hops"]
    assert hops(PATHS, {"id": "debian", "version": "11"}, 13) == ["debian-11-12", "debian-12-13"]
    assert hops(PATHS, {"id": "debian", "version": "12"}, "13") == ["debian-12-13"]
    assert hops(PATHS, {"id": "debian", "version": "13"}, "13") == []
    with pytest.raises(AnsibleFilterError, match="no release paths lead from debian 13 to debian 12"):
        hops(PATHS, {"id": "debian", "version": "13"}, "12")
    with pytest.raises(AnsibleFilterError, match="release_hops takes"):
        hops(PATHS, {"version": "13"}, "12")
