# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Packages and the order of their versions."""

from __future__ import annotations

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _compare, packages
from ansible_collections.intact.hosting.plugins.module_utils._baseline._versions import sort_key
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding
from ansible_collections.intact.hosting.tests.unit.plugins.fake_system import FakeSystem
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._baseline.recorded import HOSTS, changed, recorded, told

POLICY = """nginx:
  Installed: 1.22.1-9
  Candidate: 1.22.1-9
  Version table:
 *** 1.22.1-9 500
        500 http://mirror.example/debian bookworm/main amd64 Packages
        100 /var/lib/dpkg/status
local-tool:
  Installed: 1.0
  Candidate: 1.0
  Version table:
 *** 1.0 100
        100 /var/lib/dpkg/status
old-lib:
  Installed: 1.0-1
  Candidate: 1.0-2
  Version table:
     1.0-2 -10
        -10 http://mirror.example/debian bookworm/main amd64 Packages
 *** 1.0-1 100
        100 /var/lib/dpkg/status
"""


def host(dpkg, automatic="", lists=True, policy=POLICY):
    files = {"/var/lib/apt/extended_states": automatic}
    if lists:
        files["/var/lib/apt/lists/mirror_Packages"] = ""
    return FakeSystem(commands={"dpkg --print-architecture": "amd64\n", "dpkg-query -W": dpkg, "apt-cache policy": policy}, files=files)


def rows(*lines):
    return "".join("\t".join(line) + "\n" for line in lines)


SMALL = (
    ("nginx", "amd64", "1.22.1-9", "install", "installed", "ok", "no"),
    ("local-tool", "all", "1.0", "install", "installed", "ok", "no"),
    ("old-lib", "amd64", "1.0-1", "hold", "installed", "ok", "no"),
    ("old-lib", "i386", "1.0-1", "install", "installed", "ok", "no"),
    ("gone", "amd64", "2", "deinstall", "config-files", "ok", "no"),
    ("bash", "amd64", "5.2", "install", "installed", "ok", "yes"),
)
AUTO = "Package: old-lib\nArchitecture: amd64\nAuto-Installed: 1\n\nPackage: nginx\nArchitecture: amd64\nAuto-Installed: 0\n"


@pytest.mark.parametrize("name", HOSTS)
def test_recorded_package_sets(name):
    system = host(recorded(name, "dpkg.txt"), recorded(name, "extended_states.txt"))
    data = packages.capture(system)
    assert data["summary"]["installed"] > 100 and data["summary"]["broken"] == 0
    assert data["items"]["dpkg"]["essential"] and data["items"]["dpkg"]["version"][0] == "1"
    assert 0 < data["summary"]["asked for"] < data["summary"]["installed"]
    assert packages.compare(data, packages.capture(system)) == []


def test_a_recorded_hold_is_seen():
    held = [s for s, i in packages.capture(host(recorded("web1-bookworm", "dpkg.txt")))["items"].items() if i["held"]]
    assert held == ["unzip"]


def test_what_is_known_of_a_package():
    data = packages.capture(host(rows(*SMALL), AUTO))
    assert sorted(data["items"]) == ["bash", "local-tool", "nginx", "old-lib", "old-lib:i386"]
    assert data["items"]["local-tool"]["foreign"] is True and data["items"]["nginx"]["foreign"] is False and data["items"]["old-lib"]["foreign"] is False
    assert (
        data["items"]["old-lib"]["held"]
        and not data["items"]["old-lib"]["manual"]
        and data["items"]["old-lib:i386"]["manual"]
        and data["items"]["nginx"]["manual"]
    )


def test_without_package_lists_foreign_is_unknown_and_said():
    system = host(rows(*SMALL), lists=False)
    assert {i["foreign"] for i in packages.capture(system)["items"].values()} == {None}
    assert system.unlooked and "apt-get update" in system.unlooked[0]["why"]
    assert not [c for c in system.calls if c[0] == "apt-cache"]


@pytest.mark.parametrize(
    "step, expected",
    [
        (lambda i: i.pop("nginx"), [("packages.missing", "blocker", "nginx")]),
        (lambda i: i.pop("old-lib"), [("packages.missing", "warning", "old-lib")]),
        (lambda i: i.pop("local-tool"), [("packages.missing", "blocker", "local-tool")]),
        (lambda i: i["nginx"].update(version="1.26.3-3"), []),
        (lambda i: i["nginx"].update(version="1.22.1-8"), [("packages.downgraded", "warning", "nginx")]),
        (lambda i: i["nginx"].update(version="1.22.1-9~bpo1"), [("packages.downgraded", "warning", "nginx")]),
        (lambda i: i["old-lib"].update(held=False), [("packages.hold.lost", "warning", "old-lib")]),
        (lambda i: i["nginx"].update(held=True), [("packages.hold.new", "warning", "nginx")]),
        (lambda i: i["nginx"].update(manual=False), [("packages.manual.lost", "warning", "nginx")]),
        (lambda i: i["old-lib"].update(manual=True), []),
        (lambda i: i["nginx"].update(status="half-configured"), [("packages.broken", "blocker", "nginx")]),
        (lambda i: i.update(new=dict(i["nginx"])), []),
        (lambda i: i.update(new=dict(i["nginx"], status="unpacked")), [("packages.broken", "blocker", "new")]),
    ],
)
def test_each_change_of_a_package_is_its_own_finding(step, expected):
    data = packages.capture(host(rows(*SMALL), AUTO))
    assert told(packages.compare(data, changed(data, step))) == expected


def test_a_package_that_was_broken_before_is_still_said():
    data = changed(packages.capture(host(rows(*SMALL), AUTO)), lambda i: i["nginx"].update(status="half-configured"))
    assert told(packages.compare(data, data)) == [("packages.broken.before", "warning", "nginx")]


def test_a_removal_says_how_it_can_come_back():
    data = packages.capture(host(rows(*SMALL), AUTO))
    assert "in no source" in packages.compare(data, changed(data, lambda i: i.pop("local-tool")))[0].evidence


def test_a_removal_explains_the_packages_own_files_and_not_the_owners_edit():
    item = {"version": "1", "status": "installed", "held": False, "manual": False, "essential": False, "foreign": False}
    (gone,) = packages.compare({"items": {"tool": item}}, {"items": {}})
    lost = [
        Finding("files.missing", "blocker", "/etc/tool/" + origin, "gone", details=_compare.details("missing", "missing", package="tool", origin=origin))
        for origin in ("package", "conffile-unmodified", "conffile-edited")
    ]
    told = _compare.correlate([gone, *lost])
    assert [(f.id, f.severity, f.subject) for f in told] == [
        ("packages.missing", "warning", "tool"),
        ("files.missing", "blocker", "/etc/tool/conffile-edited"),
    ]


def test_no_dpkg_is_absent():
    assert packages.capture(FakeSystem()) is None


ORDER = [
    "0.9",
    "1.0~rc1-1",
    "1.0",
    "1.0-0.1",
    "1.0-1",
    "1.0-1+b1",
    "1.0-1+deb12u1",
    "1.0-1.1",
    "1.0a",
    "1.0+dfsg",
    "1.0.1",
    "1.2",
    "1.10",
    "2.0",
    "1:0.1",
    "2:0",
]


@pytest.mark.parametrize("low, high", list(zip(ORDER, ORDER[1:])))
def test_version_order(low, high):
    assert sort_key(low) < sort_key(high)
    assert sort_key(high) > sort_key(low)


@pytest.mark.parametrize("one, two", [("1.0", "1.0-0"), ("0:1.0-1", "1.0-1"), ("1.00", "1.0")])
def test_equal_versions(one, two):
    assert sort_key(one) == sort_key(two)
