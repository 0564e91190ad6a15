# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A release that nobody has made yet is one file: found, reached in hops, checked, planned and rewritten without a line of code."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import yaml

from ansible_collections.intact.hosting.plugins.filter.release_hops import FilterModule
from ansible_collections.intact.hosting.plugins.lookup import release_path as lookup
from ansible_collections.intact.hosting.plugins.module_utils._baseline import _allowed, _compare, runtimes
from ansible_collections.intact.hosting.plugins.module_utils._preflight import release, sources
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _install, _plan, _planners, _runner, _suites
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._preflight import preflight_host as fake

TEXT = """
name: debian-13-14
source: {id: debian, version: "13", codename: trixie}
target: {id: debian, version: "14", codename: forky}
suites: {trixie: forky, trixie-updates: forky-updates, trixie-security: forky-security, trixie-backports: null}
minimum_versions:
  debian-archive-keyring: {version: "2025.1", reason: the key that signs Debian 14 came with this version}
bootstrap: [dpkg, libc6, apt]
expected_removals:
  - {package: "php8.4-*", replacement: "php8.9-*", reason: Debian 14 has PHP 8.9}
machine:
  dropped: [{architecture: armel, reason: Debian 14 has no armel}]
allowed:
  - {section: runtimes, rename: {from: "PHP 8.4 *", to: "PHP 8.9 *"}, reason: Debian 14 has PHP 8.9 in place of PHP 8.4}
"""


@pytest.fixture
def own(tmp_path):
    """A directory of the operator's own with the one file; what the lookup looks through."""
    (tmp_path / "debian-13-14.yml").write_text(TEXT, encoding="utf-8")
    return lookup.directories(str(tmp_path))


@pytest.fixture
def path(own):
    return lookup.read(lookup.find("debian-13-*", own))


def test_it_is_found_by_what_the_host_runs(own, path):
    assert path["target"]["codename"] == "forky"
    # and by nobody who has not got the file
    with pytest.raises(lookup.AnsibleLookupError, match="no release path debian-13-"):
        lookup.find("debian-13-*", lookup.directories(""))


def test_it_is_the_last_of_three_hops_from_debian_11(own):
    paths = [lookup.read(name) for name in lookup.find_every("*", own)]
    hops = FilterModule().filters()["release_hops"]
    assert hops(paths, {"id": "debian", "version": "11"}, "14") == ["debian-11-12", "debian-12-13", "debian-13-14"]
    assert hops(paths, {"id": "debian", "version": "13"}, 14) == ["debian-13-14"]


def test_an_engine_and_a_plan_maker_take_it(path):
    assert _runner.engine_name(path) in _runner.ENGINES and _runner.engine_name(path) in _planners.LOOKS
    assert _install.arrived({"id": "debian", "version": "14", "codename": "forky"}, path["target"])
    assert not _install.arrived({"id": "debian", "version": "13", "codename": "trixie"}, path["target"])


def test_its_sources_are_rewritten(path):
    text = "deb http://mirror.example/debian trixie main\ndeb http://mirror.example/debian trixie-backports main\n"
    new = _suites.transform("/etc/apt/sources.list", text, path["suites"])[0]
    assert new.splitlines()[0] == "deb http://mirror.example/debian forky main" and not any(
        line.startswith("deb ") and "backports" in line for line in new.splitlines()
    )


def test_what_it_takes_away_has_its_successor(path):
    rule = path["expected_removals"][0]
    assert _plan.carry_over("php8.4-fpm", rule["package"], rule["replacement"]) == "php8.9-fpm"


def test_the_pre_flight_judges_by_it(path):
    def on(version, codename, *suites):
        text = "".join("deb http://deb.test/debian %s main\n" % suite for suite in suites)
        files = {"/etc/os-release": 'ID=debian\nVERSION_ID="%s"\nVERSION_CODENAME=%s\n' % (version, codename), "/etc/apt/sources.list": text}
        return fake.context({"apt-get": ""}, release_path=path, files=files)

    assert release.pair(on("13", "trixie")) == []
    assert [f.id for f in release.pair(on("14", "forky"))] == ["release.reached"]
    assert [f.id for f in release.pair(on("12", "bookworm"))] == ["release.unsupported"]
    assert [f for f in sources.suites(on("13", "trixie", "trixie", "trixie-updates")) if f.severity != "info"] == []
    assert any("bookworm" in f.subject + f.title + f.evidence for f in sources.suites(on("13", "trixie", "trixie", "bookworm")))


def test_the_post_flight_allows_by_it_and_by_nothing_else(path):
    _allowed.check_rules(path["allowed"])
    item = {"extensions": ["gd"], "packages": {}, "complaints": [], "pools": []}

    def document(name):
        return {"sections": {"runtimes": {"status": "ok", "data": {"items": {name: copy.deepcopy(item)}, "summary": {}}}}}

    def found(rules):
        return [f.id for f in _compare.compare(document("PHP 8.4 fpm"), document("PHP 8.9 fpm"), {"runtimes": runtimes}, rules)["findings"]]

    assert found(path["allowed"]) == []
    assert found([]) == ["runtimes.php.missing"]


def test_no_code_names_a_release_of_debian_but_as_one_of_all():
    """Release knowledge is data: a codename in code would need a change with each release. PF10 knows all names, to tell a mixture."""
    plugins = Path(_plan.__file__).resolve().parents[2]
    names = ("bullseye", "bookworm", "trixie")
    found = set()
    for file in plugins.rglob("module_utils/**/*.py"):
        for line in file.read_text(encoding="utf-8").splitlines():
            code = line.split("#")[0]
            if any('"%s' % name in code or "'%s" % name in code for name in names) and not all(name in code for name in names):
                found.add("%s: %s" % (file.name, line.strip()))
    assert found == set()


def test_the_file_says_nothing_that_the_shipped_ones_do_not(path):
    """Its keys are those of the path that was flown most."""
    known = yaml.safe_load(Path(lookup.find("debian-12-13", lookup.directories(""))).read_text(encoding="utf-8"))
    assert set(path) <= set(known)
