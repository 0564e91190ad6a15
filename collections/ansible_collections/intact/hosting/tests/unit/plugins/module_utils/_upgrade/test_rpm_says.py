# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What dnf 4, dnf5, zypper and rpm said, taken from runs of the real ones, read as data."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _rpm_look, _rpm_says, _rpm_sources

LONG = "lab-%sname-which-is-very-long-so-that-tables-are-wrapped-by-the-manager"
# dnf 4.14 at 80 columns.
DNF4 = """\
Last metadata expiration check: 0:00:01 ago on Mon Nov 23 18:15:46 2026.
Dependencies resolved.
===================================================================================================
 Package                                                                    Arch    Version
                                                                                        Repo   Size
===================================================================================================
Installing:
 %s   noarch  2-1 lab   5.7 k
     replacing  %s.noarch 1-1
Upgrading:
 lab-conf                                                                   noarch  1:2-1
                                                                                        lab   5.9 k
Installing dependencies:
 lab-dep                                                                    noarch  1-1 lab   5.4 k
Removing dependent packages:
 lab-post                                                                   noarch  1-1 @lab    0
 lab-user                                                                   noarch  1-1 @lab  1.2 k
Downgrading:
 lab-down                                                                   noarch  4-1 lab   5.4 k
Skipping packages with conflicts:
(add '--best --allowerasing' to command line to force their upgrade):
 lab-stuck                                                                  noarch  9-1 lab   5.4 k

Transaction Summary
===================================================================================================
Install    2 Packages
Upgrade    1 Package
""" % (LONG % "new", LONG % "old")
# dnf5 5.4.
DNF5 = """\
Package                                                                               Arch   Version Repository      Size
Removing dependent packages:
 lab-user                                                                             noarch 0:1-1   lab          0.0   B
Downgrading:
 lab-down                                                                             noarch 0:4-1   lab          0.0   B
   replacing lab-down                                                                 noarch 0:5-1   lab          0.0   B
Upgrading:
 lab-conf                                                                             noarch 1:2-1   lab          3.0   B
   replacing lab-conf                                                                 noarch 0:1-1   lab          3.0   B
Installing:
 %s             noarch 0:2-1   lab          0.0   B
   replacing %s noarch 0:1-1   lab          0.0   B
Installing dependencies:
 lab-dep                                                                              noarch 0:1-1   lab          0.0   B
Changing reason:
 lab-lib                                                                              noarch 0:1-1   lab          0.0   B

Transaction Summary:
 Installing:         2 packages
 Upgrading:          1 packages
""" % (LONG % "new", LONG % "old")


def package(name, version, order, arch="noarch", late=False):
    return {"name": name, "arch": arch, "version": version, "bytes": 0, "order": order, "late": late}


def test_dnfs_tables_are_read_over_broken_lines():
    packages = [package("lab-conf", "1-1", (1, 1)), package("lab-down", "5-1", (1, 2))]
    for text, gone in ((DNF4, {"lab-post", "lab-user", LONG % "old"}), (DNF5, {"lab-user", LONG % "old"})):
        would = _rpm_says.dnf(text, packages)
        assert {(e["name"], e["from"], e["to"]) for e in would["upgrade"]} == {("lab-conf", "1-1", "1:2-1"), ("lab-down", "5-1", "4-1")}
        assert {(e["name"], e["to"]) for e in would["install"]} == {(LONG % "new", "2-1"), ("lab-dep", "1-1")}
        assert {e["name"] for e in would["remove"]} == gone
        assert {e["from"] for e in would["remove"]} == {"1-1"}
        assert would["obsoletes"] == {LONG % "old": LONG % "new"}
    assert _rpm_says.dnf(DNF4, packages)["skipped"] == ["lab-stuck"]


def test_zyppers_xml_is_read_and_anything_else_is_an_error():
    text = """<?xml version='1.0'?><stream><message type="warning">Enforced setting: $releasever=new</message>
<install-summary download-size="45048" space-usage-diff="-3" packages-to-change="3">
<to-upgrade><solvable type="package" name="lab-conf" edition="2-1" arch="noarch" edition-old="1-1" arch-old="noarch"/>
<solvable type="product" name="openSUSE" edition="16" arch="x86_64" edition-old="15"/></to-upgrade>
<to-downgrade><solvable type="package" name="lab-down" edition="4-1" arch="noarch" edition-old="5-1"/></to-downgrade>
<to-install><solvable type="package" name="lab-dep" edition="1-1" arch="noarch"/></to-install>
<to-remove><solvable type="package" name="lab-user" edition="1-1" arch="noarch"/></to-remove></install-summary></stream>"""
    would, facts = _rpm_says.zypper(text)
    assert {(e["name"], e["from"], e["to"]) for e in would["upgrade"]} == {("lab-conf", "1-1", "2-1"), ("lab-down", "5-1", "4-1")}
    assert [e["name"] for e in would["install"]] == ["lab-dep"]
    assert [(e["name"], e["from"]) for e in would["remove"]] == [("lab-user", "1-1")]
    assert facts == {"download": 45048, "growth": -3}
    for wrong in ("", "zypper: command line error", "<stream><message type='error'>no</message></stream>"):
        with pytest.raises(IntactError):
            _rpm_says.zypper(wrong)


def test_of_two_versions_the_one_that_came_first_is_what_the_cut_left():
    packages = [
        package("a", "1", (10, 3)),
        package("a", "2", (20, 9)),
        package("down", "5", (10, 4)),
        package("down", "4", (20, 8)),
        package("kernel-core", "1", (1, 1)),
    ]
    packages += [
        package("kernel-core", "2", (20, 7)),
        package("b", "1", (1, 2), "i686"),
        package("b", "1", (1, 3), "x86_64"),
        package("side", "1", (1, 1)),
        package("side", "2", (2, 2)),
    ]
    assert [(e["name"], e["version"]) for e in _rpm_says.duplicates(packages, {"side"})] == [("a", "1"), ("down", "5")]


def test_what_a_cut_kept_from_running_is_the_last_that_came_and_scripts_for_the_transactions_end():
    packages = [package("old", "1", (10, 1), late=True), package("a", "2", (20, 2), late=True), package("b", "2", (20, 3)), package("c", "1:2-1", (20, 4))]
    assert _rpm_says.cut_short(packages, 15) == {"a-2.noarch": "posttrans", "c-2-1.noarch": "post"}
    assert _rpm_says.cut_short(packages, 21) == {}


VERSIONS = [
    "1.0",
    "1.0-1",
    "1.0~rc1",
    "1.0^git1",
    "1.0.1",
    "1:0.9",
    "1.0a",
    "1.0-10",
    "1.0-2",
    "2",
    "10",
    "1.0^",
    "1.0~",
    "1.a",
    "1.1",
    "0:1.0-1",
    "1.0~rc1^x",
    "1.0^git1.1",
]


@pytest.mark.skipif(not shutil.which("rpm"), reason="needs rpm")
def test_versions_are_compared_as_the_real_rpm_does():
    """Versions without epoch and release, each with each, asked of rpm itself."""
    plain = [v for v in VERSIONS if ":" not in v and "-" not in v]
    words = "".join('print(rpm.vercmp("%s","%s").." ")' % (a, b) for a in plain for b in plain)
    said = subprocess.run(["rpm", "--eval", "%%{lua:%s}" % words], capture_output=True, text=True, check=True).stdout.split()
    assert [("-1" if _rpm_says.older(a, b) else "1" if _rpm_says.older(b, a) else "0") for a in plain for b in plain] == said


def test_epochs_and_releases_count():
    assert _rpm_says.older("1.0-1", "1:0.9")
    assert not _rpm_says.older("1:0.9", "1.0-1")
    assert _rpm_says.older("1.0-2", "1.0-10")
    assert not _rpm_says.older("1.0-2", "1.0")
    assert not _rpm_says.older("0:1.0-1", "1.0-1")


@pytest.mark.parametrize(
    ("text", "package"),
    [
        ("warning: %post(lab-post-2-1.noarch) scriptlet failed, exit status 3\n", "lab-post-2-1.noarch"),
        (">>> [RPM] %post(lab-post-2-1.noarch) scriptlet failed, exit status 3\n", "lab-post-2-1.noarch"),
        ("error: lab-pre-2-1.noarch: install failed\n", "lab-pre-2-1.noarch"),
    ],
)
def test_the_package_that_failed_is_named(text, package):
    assert _rpm_says.failed_packages(text) == [package]


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        (
            "  Upgrading        : lab-slow-2-1.noarch              5/15 \n  Running scriptlet: lab-slow-2-1.noarch              5/15 \n",
            (5, 15, "lab-slow-2-1.noarch"),
        ),
        ("[ 7/18] Upgrading lab-slow-0:2-1.noarch 100% | 122.0   B/s | 124.0   B |  00m01s\n", (7, 18, "lab-slow-0:2-1.noarch")),
        ("(1/9) Removing lab-user-1-1.noarch [.....done]\n(2/9) Installing: lab-conf-2-1.noarch [......done]\n", (2, 9, "lab-conf-2-1.noarch")),
        ("[7/8] lab-slow-0:2-1.noarch 100% |   0.0   B/s\n", (0, 0, "")),
    ],
)
def test_the_step_is_told(text, seen):
    assert _rpm_says.step(text) == seen


def test_a_command_without_its_end_in_the_log_was_cut():
    log = "--- run at 100: dnf a\nx\n--- ended with status 0\n--- run at 200: dnf b\ny\n"
    assert _rpm_says.last_command(log) == ("\ny\n", 200, False)
    assert _rpm_says.last_command(log + "--- ended with status 1\n")[2]
    assert _rpm_says.last_command("") == ("", 0, True)


REPO = """# ours
[main]
[fedora]
name=Fedora $releasever
metalink=https://mirrors.example/metalink?repo=fedora-$releasever&arch=$basearch
enabled=1
[off]
baseurl=https://x.example/42/
enabled=0
[pinned]
baseurl=https://user:secret@third.example/fc42/
[tool]
baseurl=https://tool.example/rpm/
"""


def test_repositories_go_where_they_are_told():
    with pytest.raises(IntactError, match=r"pinned \(https://\*\*\*@third.example/fc42/\) names release 42"):
        _rpm_sources.transform("/x.repo", REPO, "42", "43")
    mapped = [{"match": "*third.example*", "action": "rename", "uri": "https://third.example/fc43/", "reason": "it has one"}]
    text, changes = _rpm_sources.transform("/x.repo", REPO, "42", "43", source_map=mapped)
    assert [(c["suite"], c["action"]) for c in changes] == [("fedora", "map"), ("pinned", "map"), ("tool", "keep")]
    assert "secret" not in str(changes)
    assert text == REPO.replace("baseurl=https://user:secret@third.example/fc42/", "baseurl=https://third.example/fc43/")
    text, changes = _rpm_sources.transform("/x.repo", REPO, "42", "43", rules=[dict(mapped[0], action="disable")])
    assert "[pinned]\nenabled=0\n" in text
    text, _changes = _rpm_sources.transform(
        "/x.repo", REPO, "42", "43", rules=[dict(mapped[0], action="keep"), {"match": "* fedora", "action": "keep", "reason": "stays"}]
    )
    assert "repo=fedora-42&" in text, "with the target's releasever a repository that stays must still be the source's"


def test_a_renamed_repository_stays_on_its_mirror():
    rule = {"match": "*/distribution/leap/*/repo/oss*", "action": "rename", "uri": "{server}/distribution/leap/$releasever/repo/oss/$basearch", "reason": "r"}
    found = _rpm_sources.decide("oss", "http://mirror.example/pub/suse/distribution/leap/15.6/repo/oss/", "15.6", "16.0", [rule])
    assert found["url"] == "http://mirror.example/pub/suse/distribution/leap/$releasever/repo/oss/$basearch"
    # a pattern on the repository's name has no words of the address
    named = {"match": "* oss", "action": "rename", "uri": "http://other.example/16.0/", "reason": "r"}
    assert _rpm_sources.decide("oss", "http://mirror.example/15.6/", "15.6", "16.0", [named])["url"] == "http://other.example/16.0/"
    with pytest.raises(IntactError, match=r"\{server\} has no meaning"):
        _rpm_sources.decide("oss", "http://mirror.example/15.6/", "15.6", "16.0", [dict(named, uri="{server}/16.0/")])


@pytest.mark.parametrize(
    ("disk", "new", "target", "question"),
    [
        ("local", ("p", "new", True), "changed", True),
        ("local", ("p", "new", False), "changed", True),
        ("local", ("p", "old", True), "same", False),
        ("new", ("p", "new", True), "changed", False),
        ("local", None, "gone", False),
        (None, ("p", "new", True), "changed", False),
    ],
)
def test_what_becomes_of_a_file_that_both_sides_changed(disk, new, target, question):
    entry = _rpm_look.conffile("/etc/x", ("p", "old", True), disk, new, True, "")
    assert (entry["target"], entry["question"], entry["unknown"]) == (target, question, False)


def test_the_running_kernel_is_known_by_its_name():
    gone = [{"name": "kernel-core", "from": "6.1.0-1.fc42", "arch": "x86_64"}]
    assert _rpm_look.running_kernel(gone, "6.1.0-1.fc42.x86_64") == gone[0]
    assert _rpm_look.running_kernel(gone, "6.2.0-1.fc42.x86_64") is None
