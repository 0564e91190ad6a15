# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One list of exclusions, understood alike by restic and by the walk."""

from __future__ import annotations

import os

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._backup import _rules, files
from ansible_collections.intact.hosting.plugins.module_utils._baseline import _trees_data
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._system import System


def rule(*patterns, reason="because"):
    return {"patterns": list(patterns), "reason": reason}


@pytest.mark.parametrize("pattern", ["a$HOME", "a\\b", "a\nb", " a", "#a", "!a", "[!a]", "a/b", "/a/", "/a/**.jnl", "/", "/**", "*"])
def test_what_the_two_would_understand_differently_is_refused(pattern):
    with pytest.raises(IntactError):
        _rules.check([rule(pattern)])


@pytest.mark.parametrize("entry", [{"patterns": ["a"]}, {"reason": "x"}, {"patterns": ["a"], "reason": "x", "target": "/x"}])
def test_an_entry_has_patterns_and_a_reason(entry):
    with pytest.raises(IntactError):
        _rules.check([entry])


def test_a_name_must_not_close_a_whole_tree():
    with pytest.raises(IntactError, match=r"cache.*would leave out all of /srv/cache/site"):
        _rules.check([rule("cache")], [b"/srv/cache/site"])
    _rules.check([rule("/srv/other/cache")], [b"/srv/cache/site"])


def test_our_own_rules_hold():
    _rules.check(files.excluded({"taken": [{"path": "/home/a b/Mail [x]", "class": "mail"}]}), [b"/home"])


def test_a_literal_path_matches_itself():
    path = "/home/a b/Mail [x]$"
    excluded = _trees_data.matcher([rule(_rules.literal(path))])
    assert excluded(path.encode(), b"Mail [x]$", "dir", b"") and not excluded(b"/home/a b/Mail", b"Mail", "dir", b"")


def test_the_exclude_file_names_its_reasons():
    assert _rules.exclude_file([rule("a", "/b/**/c", reason="two\nlines")]) == b"# two lines\na\n/b/**/c\n"
    assert _rules.exclude_file([]) == b""


def test_what_is_mounted_from_elsewhere_is_closed_and_told():
    mounts = {b"/": "ext4", b"/srv/nfs": "nfs4", b"/srv/disk": "xfs", b"/mnt/x": "nfs4", b"/srv/odd [name]": "fuse.sshfs"}
    found = _rules.nested(mounts, [b"/srv"], {"ext4", "xfs"})
    assert [entry["patterns"] for entry in found] == [["/srv/nfs/*"], ["/srv/odd??name?/*"]]
    assert "nfs4" in found[0]["reason"]


def test_a_swap_file_is_left_out_where_it_is_this_hosts(tmp_path):
    """Its bytes change and its times do not: it would be called rotten."""
    swap, other = tmp_path / "swap file", tmp_path / "other"
    for path in (swap, other):
        path.write_bytes(b"")
        os.truncate(path, 1 << 20)
    told = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n/dev/vda2 partition\t4194300\t0\t-2\n"
    told += "%s file\t\t1020\t\t0\t\t-3\n%s file\t\t4096\t\t0\t\t-4\n" % (str(swap).replace(" ", "\\040"), other)
    told += "%s file\t\t1020\t\t0\t\t-5\n" % (tmp_path / "gone\\040(deleted)")

    class Host(System):
        def text(self, path, *more):
            return told if path == "/proc/swaps" else super().text(path, *more)

    (rule,) = _rules.swapped(Host(), [os.fsencode(str(tmp_path))])
    assert rule["patterns"] == [str(tmp_path / "swap?file")] and "swap" in rule["reason"]
    assert _rules.swapped(Host(), [os.fsencode(str(tmp_path / "deeper"))]) == []
    assert _rules.check([rule]) == [rule]
