# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Allowed changes from what was agreed: as wide as the agreement, and no wider."""

from __future__ import annotations

import hashlib
import os

import pytest

from ansible_collections.intact.hosting.plugins.filter import rules
from ansible_collections.intact.hosting.plugins.module_utils._baseline import _compare, files

WANTED = b"dovecot_config_version = 2.4.0\n"


def allowed(directory, before, after, name):
    """Whether the rules for a target directory allow what became of a file; None when nothing is found."""
    path = "/etc/dovecot/" + name
    found = files.compare({"items": {path: before} if before else {}}, {"items": {path: after} if after else {}})
    given = rules.target_file_rules(str(directory))
    _compare.check_rules(given)
    return [any(_compare.allows(rule, finding) for rule in given) for finding in found]


def file(data, **more):
    return dict({"type": "file", "uid": 0, "gid": 0, "mode": "0640", "size": len(data), "hash": hashlib.sha256(data).hexdigest(), "origin": "local"}, **more)


OLD, NEW = file(b"protocols = imap\n"), file(WANTED)


@pytest.mark.parametrize(
    "before, after, expected",
    [
        (OLD, NEW, [True]),
        (None, NEW, [True]),
        (OLD, None, [False]),
        (OLD, file(b""), [False]),
        (OLD, file(WANTED, uid=33), [False]),
        (OLD, file(WANTED, mode="0666"), [False]),
        (NEW, NEW, []),
        (OLD, {"type": "link", "uid": 0, "gid": 0, "target": "/dev/null"}, [False]),
    ],
)
@pytest.mark.parametrize("name", ["dovecot.conf", "odd [name].conf"])
def test_a_target_file_may_only_become_what_the_operator_wrote(tmp_path, name, before, after, expected):
    os.makedirs(str(tmp_path / "etc/dovecot"))
    (tmp_path / "etc/dovecot" / name).write_bytes(WANTED)
    assert allowed(tmp_path, before, after, name) == expected


def test_a_target_link_may_only_become_that_link(tmp_path):
    os.makedirs(str(tmp_path / "etc/dovecot"))
    os.symlink("a.conf", str(tmp_path / "etc/dovecot/b.conf"))
    link = {"type": "link", "uid": 0, "gid": 0, "target": "a.conf", "origin": "local"}
    assert allowed(tmp_path, OLD, link, "b.conf") == [True]
    assert allowed(tmp_path, None, link, "b.conf") == [True]
    assert allowed(tmp_path, dict(link, target="x"), link, "b.conf") == [True]
    assert allowed(tmp_path, dict(link, target="x"), dict(link, target="y"), "b.conf") == [False]


def test_the_plan_allows_only_that_its_packages_go():
    given = rules.plan_rules({"remove": [{"name": "libssl3"}], "autoremove": ["libaio1"]})
    assert [(rule["section"], rule["subject"], rule["change"]) for rule in given] == [("packages", "libssl3", "missing"), ("packages", "libaio1", "missing")]
