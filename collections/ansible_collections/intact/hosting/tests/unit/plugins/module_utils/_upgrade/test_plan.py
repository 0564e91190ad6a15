# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sources, simulations, space and the plan: the pure part of the look before an upgrade."""

from __future__ import annotations

import copy
import json

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _plan, _private_apt, _simulate, _space, _suites

SUITES = {"bookworm": "trixie", "bookworm-security": "trixie-security", "bookworm-backports": None}
FIRMWARE = [{"having": "non-free", "add": "non-free-firmware", "reason": "split off"}]


def transform(text, path="/etc/apt/sources.list", source_map=(), components=()):
    """The new text and {suite: (action, target suite)}."""
    new, changes = _suites.transform(path, text, SUITES, source_map, components)
    return new, {c["suite"]: (c["action"], c["target_suite"]) for c in changes}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("deb http://a.test/debian bookworm main\n", "deb http://a.test/debian trixie main\n"),
        (
            "deb [ arch=amd64 signed-by=/k.gpg ]  http://a.test/debian\tbookworm-security  main contrib # why\n",
            "deb [ arch=amd64 signed-by=/k.gpg ]  http://a.test/debian\ttrixie-security  main contrib # why\n",
        ),
        ("# deb http://a.test/debian bookworm main\n", "# deb http://a.test/debian bookworm main\n"),
        ("deb http://third.test/ ./\n", "deb http://third.test/ ./\n"),
        ("deb http://third.test/x stable main\n", "deb http://third.test/x stable main\n"),
        ("deb http://a.test/debian bookworm main", "deb http://a.test/debian trixie main"),
    ],
)
def test_one_line_sources_keep_everything_but_the_suite(old, new):
    assert transform(old)[0] == new


def test_a_suite_without_counterpart_is_disabled_with_its_reason():
    new, changes = transform("deb http://a.test/debian bookworm-backports main\n")
    assert new.startswith("# disabled for the upgrade (bookworm-backports has no counterpart")
    assert changes == {"bookworm-backports": ("disable", None)}


def test_a_split_component_is_added_before_a_comment_and_only_once():
    new, _changes = transform(
        "deb http://a.test/debian bookworm main non-free # mine\ndeb http://a.test/debian bookworm non-free non-free-firmware\n", components=FIRMWARE
    )
    assert new == "deb http://a.test/debian trixie main non-free non-free-firmware # mine\ndeb http://a.test/debian trixie non-free non-free-firmware\n"


def test_deb822_keeps_comments_and_other_fields_and_drops_a_suite_that_is_gone():
    old = (
        "# ours\nTypes: deb\nURIs: http://a.test/debian\nSuites: bookworm\n bookworm-backports\n"
        "Components: main\nSigned-By: /k.gpg\n\nTypes: deb\nURIs: http://b.test/\nSuites: bookworm\n"
        "Components: main"
    )
    new, _changes = transform(old, "/etc/apt/sources.list.d/x.sources", [{"match": "http://b.test/*", "action": "disable", "reason": "no build for trixie"}])
    assert new == (
        "# ours\nTypes: deb\nURIs: http://a.test/debian\nSuites: trixie\nComponents: main\n"
        "Signed-By: /k.gpg\n\nTypes: deb\nURIs: http://b.test/\nSuites: bookworm\nComponents: main\n"
        "Enabled: no\n"
    )


def test_the_operators_map_wins_and_may_rename_both():
    entry = {"match": "http://php.test/* bookworm", "action": "rename", "uri": "http://new.test/", "suite": "trixie-php", "reason": "moved"}
    new, changes = transform("deb http://php.test/d bookworm main\n", source_map=[entry])
    assert new == "deb http://new.test/ trixie-php main\n"
    assert changes["bookworm"] == ("map", "trixie-php")


def test_a_stanza_whose_uris_go_different_ways_is_refused_with_what_to_do():
    text = "Types: deb\nURIs: http://a.test/ http://b.test/\nSuites: bookworm\nComponents: main\n"
    with pytest.raises(IntactError, match=r"x\.sources line 1.*own stanza"):
        transform(text, "/x.sources", [{"match": "http://b.test/*", "action": "keep", "reason": "r"}])


def test_an_unreadable_source_is_refused_with_its_line():
    with pytest.raises(IntactError, match=r"sources\.list line 2 cannot be read"):
        transform("deb http://a.test/ bookworm main\ndebb nonsense\n")


def test_a_password_in_a_uri_does_not_reach_the_plan():
    _new, changes = _suites.transform("/etc/apt/sources.list", "deb https://me:secret@a.test/ bookworm main\n", SUITES)
    assert "secret" not in json.dumps(changes)


@pytest.mark.parametrize(
    "entry",
    [
        {"match": "x", "action": "drop", "reason": "r"},
        {"match": "x", "action": "rename", "reason": "r"},
        {"action": "keep", "reason": "r"},
        {"match": "x", "action": "keep"},
    ],
)
def test_a_source_map_entry_that_says_too_little_is_refused(entry):
    with pytest.raises(IntactError):
        _suites.check_source_map([entry])


SIMULATION = """Reading package lists...
The following packages have been kept back:
  libfoo1 held-tool
  another
The following packages will be REMOVED:
  php8.2-fpm
Remv php8.2-fpm [8.2.32-1~deb12u1] [openssh-sftp-server:amd64 ]
Inst base-files [12.4+deb12u15] (13.8+deb13u7 Debian:13.7/stable [amd64])
Inst libssl3t64 (3.5.7-1~deb13u2 Debian:13.7/stable, Debian-Security:13/stable-security [amd64]) [systemd:amd64 on libssl3:amd64] []
Inst libc6:i386 [2.36-9] (2.41-12 Debian:13.7/stable [i386])
Conf base-files (13.8+deb13u7 Debian:13.7/stable [amd64])
Inst base-files [12.4+deb12u15] (13.8+deb13u7 Debian:13.7/stable [amd64])
Purg old-thing [1.0]
"""


def test_a_simulation_becomes_data():
    found = _simulate.transaction(SIMULATION)
    assert [(e["name"], e["arch"], e["from"], e["to"]) for e in found["upgrade"]] == [
        ("base-files", "amd64", "12.4+deb12u15", "13.8+deb13u7"),
        ("libc6", "i386", "2.36-9", "2.41-12"),
    ]
    assert [(e["name"], e["to"]) for e in found["install"]] == [("libssl3t64", "3.5.7-1~deb13u2")]
    assert [(e["name"], e["from"]) for e in found["remove"]] == [("php8.2-fpm", "8.2.32-1~deb12u1"), ("old-thing", "1.0")]
    assert _simulate.kept_back(SIMULATION) == ["libfoo1", "held-tool", "another"]


def test_what_apt_announces_in_both_of_its_forms():
    old = (
        "Calculating upgrade...\nThe following packages will be REMOVED:\n   libdb5.3 (5.3.28+dfsg2-1)\n   gone:i386* (1.0-1)\n"
        "The following NEW packages will be installed:\n   libdb5.3t64 (5.3.28)\n"
        "The following packages will be upgraded:\n   apt (2.6.1 => 3.0.3)\n2 upgraded\n"
    )
    new = (
        "Upgrading:\n  apt (2.6.1 => 3.0.3)\n\n"
        "Installing dependencies:\n  libdb5.3t64 (5.3.28)\n\nREMOVING:\n  libdb5.3 (5.3.28+dfsg2-1)\n\nSummary:\n  Upgrading: 1\n"
    )
    found = _simulate.announced(old)
    assert [(e["name"], e["arch"], e["from"]) for e in found["remove"]] == [("libdb5.3", "", "5.3.28+dfsg2-1"), ("gone", "i386", "1.0-1")]
    for text in (old, new):
        found = _simulate.announced(text)
        assert found["remove"][0]["name"] == "libdb5.3"
        assert [(e["name"], e["to"]) for e in found["install"]] == [("libdb5.3t64", "5.3.28")]
        assert [(e["name"], e["from"], e["to"]) for e in found["upgrade"]] == [("apt", "2.6.1", "3.0.3")]


def test_archives_with_and_without_a_hash():
    text = "'http://a.test/x%2b_1_amd64.deb' x+_1_amd64.deb 87416 MD5Sum:abc\n'http://a.test/y.deb' y_2%3a1_all.deb 100 \n"
    assert [(a["file"], a["size"], a["hash"]) for a in _simulate.archives(text)] == [("x+_1_amd64.deb", 87416, "MD5Sum:abc"), ("y_2%3a1_all.deb", 100, "")]


def test_conffiles_of_installed_packages_without_obsolete_ones():
    text = "nginx-common ii \n /etc/nginx/nginx.conf aaa\n /etc/nginx/with space bbb\n /etc/nginx/old ccc obsolete\n.\ngone rc \n /etc/gone ddd\n.\n"
    assert _simulate.conffiles(text) == {"nginx-common": {"/etc/nginx/nginx.conf": "aaa", "/etc/nginx/with space": "bbb"}}


@pytest.mark.parametrize(
    ("recorded", "disk", "new", "asked"),
    [
        ("a", "b", "c", True),
        ("a", "b", "a", False),
        ("a", "a", "c", False),
        ("a", "c", "c", False),
        ("a", None, "c", True),
        ("a", "b", None, False),
    ],
)
def test_dpkg_asks_only_when_both_sides_changed_differently(recorded, disk, new, asked):
    assert _simulate.question(recorded, disk, new) is asked


def test_space_goes_to_the_filesystems_that_hold_the_files():
    mounts = ["/", "/boot", "/var"]
    known = {"a": _space.shares([("/usr/bin/a", 75), ("/var/lib/a/x", 25)], mounts)}
    found = _space.spread(
        [{"name": "a", "old": 100, "new": 300}, {"name": "linux-image-6.12", "old": 0, "new": 1000}],
        mounts,
        known,
        [("/var/cache/apt/archives", 50)],
        [("initrd", "/boot", 60)],
    )
    assert found["/"]["growth"] == 150 + 500
    assert found["/var"] == {"growth": 50, "largest": 75, "archives": 50, "initrd": 0, "backups": 0, "needed": 175}
    assert found["/boot"]["needed"] == 500 + 500 + 60


def test_room_that_removals_give_back_does_not_count():
    assert _space.spread([{"name": "a", "old": 500, "new": 100}], ["/"], {})["/"]["needed"] == 100


EXPECTED = [{"package": "php8.2-*", "replacement": "php8.4-*", "reason": "8.4 in place of 8.2"}]
REMOVED = [{"name": n, "arch": "amd64", "from": "1"} for n in ("php8.2-fpm", "libssl3", "nginx", "junk")]


def test_replacements_are_asked_for_when_apt_does_not_bring_them():
    assert _plan.wanted_replacements(REMOVED, [], EXPECTED) == ["php8.4-fpm"]
    assert _plan.wanted_replacements(REMOVED, [{"name": "php8.4-fpm"}], EXPECTED) == []


def test_removals_are_judged():
    found = {e["name"]: e for e in _plan.judge_removals(REMOVED, {"php8.4-fpm", "libssl3t64"}, EXPECTED, ["nginx*", "php*-fpm"])}
    assert (found["php8.2-fpm"]["replacement"], found["php8.2-fpm"]["protected"]) == ("php8.4-fpm", False)
    assert found["libssl3"]["replacement"] == "libssl3t64"
    assert found["nginx"]["protected"] is True
    assert (found["junk"]["protected"], found["junk"]["expected"]) == (False, "")


def test_a_replacement_that_does_not_arrive_protects():
    found = _plan.judge_removals(REMOVED[:1], set(), EXPECTED, ["php*-fpm"])
    assert found[0]["protected"] is True


def plan():
    """A small plan as build() makes it."""
    path = {"name": "debian-12-13", "source": {"id": "debian", "version": "12"}, "target": {"id": "debian", "version": "13"}, "expected_removals": EXPECTED}
    full = {
        "upgrade": [
            {"name": "libc6", "arch": "amd64", "from": "1", "to": "2", "origin": "D"},
            {"name": "mariadb", "arch": "amd64", "from": "10", "to": "11", "origin": "D"},
        ],
        "install": [{"name": "php8.4-fpm", "arch": "amd64", "to": "8.4", "origin": "D"}],
        "remove": REMOVED[:2],
    }
    minimal = {"upgrade": full["upgrade"][:1], "install": [], "remove": []}
    empty = {"upgrade": [], "install": [], "remove": []}
    return _plan.build(
        path,
        [
            {
                "path": "/etc/apt/sources.list",
                "line": 1,
                "uri": "http://a.test",
                "suite": "bookworm",
                "target_uri": "http://a.test",
                "target_suite": "trixie",
                "action": "map",
                "reason": "r",
            }
        ],
        empty,
        minimal,
        full,
        [{"name": "python3.11", "arch": "amd64", "from": "3.11"}],
        conffiles=[],
        held=[],
        kept=[],
        download_bytes=10,
        disk={"/": {"needed": 5, "free": 9}},
        packages_hash="h",
        made="now",
        apt={},
        replacements=["php8.4-fpm"],
        protected=["php*-fpm"],
    )


def test_a_plan_tells_the_stage_of_each_package_and_is_the_same_when_made_again():
    first, second = plan(), dict(plan(), made="later")
    assert {e["name"]: e["stage"] for e in first["upgrade"]} == {"libc6": "minimal", "mariadb": "full"}
    assert first["hash"] == second["hash"] == _plan.plan_hash(second)
    text = "\n".join(_plan.lines(first))
    assert "libc6 1 -> 2" in text
    assert "php8.2-fpm 1 (replaced by php8.4-fpm: 8.4 in place of 8.2)" in text
    assert "10 B" in text
    assert "remove at the end, because nothing needs them any more: 1 packages" in text


@pytest.mark.parametrize("key", ["upgrade", "remove", "sources"])
def test_an_edited_plan_is_refused(key):
    edited = copy.deepcopy(plan())
    edited[key].pop()
    with pytest.raises(IntactError, match="edited"):
        _plan.check(edited)
    _plan.check(plan())


def entry(name):
    """A removal."""
    return {"name": name, "arch": "amd64", "from": "1"}


def test_deviations_name_what_the_plan_does_not():
    arriving = [{"name": "php8.4-fpm"}, {"name": "libz1t64"}]
    same = {"upgrade": [], "install": arriving, "remove": [entry("php8.2-fpm"), entry("libssl3"), entry("python3.11"), entry("libz1")]}
    assert _plan.deviations(plan(), same) == []
    more = {"upgrade": [], "install": arriving, "remove": [entry("mariadb-server"), entry("tool")]}
    assert _plan.deviations(plan(), more, ["mariadb*"]) == [
        "mariadb-server would be removed, which the plan does not name (and it is protected)",
        "tool would be removed, which the plan does not name",
    ]
    assert _plan.deviations(plan(), more, ["mariadb*"], ["mariadb-server", "to*"]) == []
    gone = {"upgrade": [], "install": [], "remove": [entry("php8.2-fpm")]}
    assert _plan.deviations(plan(), gone) == []
    assert _plan.deviations(plan(), gone, present={"php8.4-fpm"}) == []
    assert _plan.deviations(plan(), gone, present=set()) == ["php8.2-fpm would be removed, and php8.4-fpm no longer takes its place"]


def test_the_private_configuration_keeps_proxies_and_drops_hooks_and_places():
    dump = (
        'APT "";\nAcquire::http::Proxy "http://p.test:3142";\nAPT::Update::Post-Invoke "";\n'
        'APT::Update::Post-Invoke:: "rm -rf /";\nDPkg::Pre-Install-Pkgs:: "hook";\n'
        'Dir::State::lists "lists";\nDir::Etc::sourceparts "sources.list.d";\nX "a "quoted" b";\n'
    )
    text = _private_apt.configuration(dump, "/p", "/arch")
    assert 'Acquire::http::Proxy "http://p.test:3142";' in text
    assert "rm -rf" not in text
    assert '"hook"' not in text
    assert "quoted" not in text
    assert "#clear APT::Update::Post-Invoke;" in text
    assert text.count("Dir::State::lists") == 1
    assert 'Dir::State::lists "/p/lists";' in text
    assert 'Dir::Cache::archives "/arch";' in text


def test_a_daemon_that_a_dependency_pulls_in_is_noticed_and_a_replacement_is_not():
    arriving = [{"name": n} for n in ("apache2", "php8.4-fpm", "nginx", "libx1t64")]
    assert _plan.newcomers(arriving, [{"name": "nginx-light", "replacement": "nginx"}]) == ["apache2"]
    more = {"upgrade": [], "install": [{"name": "apache2"}, {"name": "php8.4-fpm"}], "remove": []}
    assert _plan.deviations(plan(), more) == ["apache2 would be installed, a daemon that the plan does not name"]


def test_a_package_that_makes_way_for_a_moment_is_not_removed():
    """cron of Debian 11 for that of 12: a protected package was said to go."""
    text = (
        "Remv cron [3.0pl1-137]\nRemv libold:i386 [1]\nInst cron-daemon-common (3.0pl1-162 Debian:12.15/oldstable [all])\n"
        "Inst cron [3.0pl1-137] (3.0pl1-162 Debian:12.15/oldstable [amd64])\nInst libold [1] (2 Debian:12.15/oldstable [amd64])\n"
    )
    found = _simulate.transaction(text)
    assert [(e["name"], e["arch"]) for e in found["remove"]] == [("libold", "i386")]
    assert [e["name"] for e in found["upgrade"]] == ["cron", "libold"]
