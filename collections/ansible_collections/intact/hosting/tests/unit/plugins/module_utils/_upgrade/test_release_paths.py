# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every release path says what the engine reads, each entry why, and nothing that nobody reads."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _allowed
from ansible_collections.intact.hosting.plugins.module_utils._baseline._registry import PROBES
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _carry, _dnf, _plan, _planners, _runner, _suites

KEYS = {
    "name",
    "source",
    "target",
    "suites",
    "components",
    "minimum_versions",
    "bootstrap",
    "fragile_services",
    "settle",
    "apache_modules",
    "carry",
    "expected_removals",
    "target_checks",
    "protected",
    "allowed",
    "engine",
    "repositories",
    "leapp_options",
    "offline",
    "machine",
    "merged_usr",
    "renamed_libraries",
    "network_mounts",
    "storage",
    "network_names",
    "split_packages",
    "sshd",
    "engines",
    "panels",
    "questions",
    "removed_drivers",
    "crypto",
}
NEEDED = {
    "fragile_services": {"service", "package", "configuration", "reason"},
    "apache_modules": {"from", "to", "reason"},
    "settle": {"package", "instance", "service", "reason"},
    "carry": {"from", "to", "reason"},
    "expected_removals": {"package", "replacement", "reason"},
    "target_checks": {"name", "detect", "command", "configuration", "remedy", "reason"},
    "components": {"having", "add", "reason"},
    "repositories": {"match", "action", "reason"},
}


def directory():
    """Where the release paths lie: in the tree, or in a built collection."""
    collection = Path(_plan.__file__).resolve().parents[3]
    places = [collection / "roles", *(parent / "roles" for parent in collection.parents)]
    return next(place / "distro_upgrade" / "release_paths" for place in places if (place / "distro_upgrade").is_dir())


PATHS = sorted(directory().glob("*.yml"))


def test_there_are_the_two_that_are_promised():
    assert {"debian-11-12", "debian-12-13"} <= {path.stem for path in PATHS}


def test_each_has_an_engine_and_a_plan_maker_and_goes_no_further_than_its_distribution_tests(path):
    assert _runner.engine_name(path) in _runner.ENGINES
    assert _runner.engine_name(path) in _planners.LOOKS
    assert _dnf.too_far(path) == ""
    assert _dnf.too_far({"source": {"id": "fedora", "version": "40"}, "target": {"id": "fedora", "version": "43"}})
    # A codename that nobody has would be every RPM distribution's.
    assert bool(path["target"]["codename"]) == (_runner.engine_name(path) in ("debian", "ubuntu"))


def test_rules_for_repositories_can_be_followed(path):
    for rule in path.get("repositories") or []:
        assert rule["action"] in ("rename", "release", "disable", "keep"), rule
        assert (rule["action"] == "rename") == ("uri" in rule), rule


@pytest.fixture(params=PATHS, ids=lambda path: path.stem)
def path(request):
    """A release path's data."""
    data = yaml.safe_load(request.param.read_text())
    assert data["name"] == request.param.stem
    return data


def test_keys_are_known_and_every_entry_has_its_reason(path):
    assert set(path) <= KEYS
    for key, needed in NEEDED.items():
        for entry in path.get(key) or []:
            assert needed <= set(entry), (key, entry)
            assert entry["reason"].strip()
    for name, rule in (path.get("minimum_versions") or {}).items():
        assert set(rule) == {"version", "reason"}, name


def test_the_name_tells_both_ends_and_the_suites_lead_from_one_to_the_other(path):
    assert path["name"] == "%s-%s-%s" % (path["source"]["id"], path["source"]["version"], path["target"]["version"])
    if "suites" not in path:
        return
    assert path["suites"][path["source"]["codename"]] == path["target"]["codename"]
    for old, new in path["suites"].items():
        assert old.startswith(path["source"]["codename"])
        assert new is None or new.startswith(path["target"]["codename"])
    text = "deb http://mirror.example/debian %s main\n" % path["source"]["codename"]
    assert _suites.transform("/etc/apt/sources.list", text, path["suites"])[0] == text.replace(path["source"]["codename"], path["target"]["codename"])


def test_allowed_changes_can_be_read_and_name_sections_that_there_are(path):
    _allowed.check_rules(path.get("allowed") or [])
    assert {rule["section"] for rule in path.get("allowed") or []} <= set(PROBES)


def test_no_allowed_change_allows_everything_of_a_section(path):
    for rule in path.get("allowed") or []:
        named = set(rule) - {"section", "reason", "change"}
        assert named, rule
        assert rule.get("subject") != "*" or named - {"subject"}, rule


def test_what_is_expected_to_go_has_a_successor_that_the_patterns_can_name(path):
    for rule in path.get("expected_removals") or []:
        assert rule["replacement"].count("*") <= rule["package"].count("*") <= 1
        assert _plan.carry_over(rule["package"].replace("*", "fpm"), rule["package"], rule["replacement"])


def test_what_is_carried_goes_by_kinds_that_there_are(path, tmp_path):
    for entry in path.get("carry") or []:
        assert entry.get("kind", "files") in ("files", "ini-differences")
        assert entry.get("kind") != "ini-differences" or entry["reference"]
    assert _carry.steps([dict(entry, **{"from": str(tmp_path / "none*")}) for entry in path.get("carry") or []], set(), {}) == []
