# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Allowed changes from what was agreed: as wide as the agreement, and no wider."""

from __future__ import annotations

import hashlib
import os

import pytest

from ansible_collections.intact.hosting.plugins.filter import rules
from ansible_collections.intact.hosting.plugins.module_utils._baseline import _allowed, _compare, files, packages, services

WANTED = b"dovecot_config_version = 2.4.0\n"


def allowed(directory, before, after, name):
    """Whether the rules for a target directory allow what became of a file; None when nothing is found."""
    path = "/etc/dovecot/" + name
    found = files.compare({"items": {path: before} if before else {}}, {"items": {path: after} if after else {}})
    given = rules.target_file_rules(str(directory))
    _allowed.check_rules(given)
    return [any(_allowed.allows(rule, finding) for rule in given) for finding in found]


def file(data, **more):
    return dict({"type": "file", "uid": 0, "gid": 0, "mode": "0640", "size": len(data), "hash": hashlib.sha256(data).hexdigest(), "origin": "local"}, **more)


OLD, NEW = file(b"protocols = imap\n"), file(WANTED)


@pytest.mark.parametrize(
    "before, after, expected",
    [
        (OLD, NEW, [True]),
        (None, NEW, [True]),
        (None, file(WANTED, mode="0755"), [True]),
        (None, file(WANTED, mode="0666"), [False]),
        (None, file(WANTED, mode="4755"), [False]),
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


@pytest.mark.parametrize("number", [3, 30])
def test_many_target_files_are_allowed_one_by_one(tmp_path, number):
    os.makedirs(str(tmp_path / "etc/dovecot"))
    before, after = {}, {}
    for n in range(number):
        (tmp_path / "etc/dovecot" / str(n)).write_bytes(WANTED)
        before["/etc/dovecot/%d" % n], after["/etc/dovecot/%d" % n] = OLD, NEW
    assert outcome(before, after, rules.target_file_rules(str(tmp_path))) == []
    # beside them many that nobody spoke of, and one of them that is not what the operator wrote
    before.update(("/etc/dovecot/other-%d" % n, OLD) for n in range(number))
    after.update(("/etc/dovecot/other-%d" % n, file(b"strange")) for n in range(number))
    after["/etc/dovecot/1"] = file(b"strange")
    found = outcome(before, after, rules.target_file_rules(str(tmp_path)))
    assert sum(finding.details.get("count", 1) for finding in found) == number + 1
    assert {finding.id for finding in found} == {"files.content.changed"}


def outcome(before, after, given):
    """Findings that are left of two manifests under rules."""
    look = [
        {"host": "h", "sections": {"files": {"status": "ok", "data": {"items": dict(items, **{"/etc/dovecot": DIRECTORY}), "summary": {}}}}}
        for items in (before, after)
    ]
    return _compare.compare(*look, {"files": files}, given)["findings"]


DIRECTORY = {"type": "dir", "uid": 0, "gid": 0, "mode": "0755"}


@pytest.mark.parametrize("number", [1, 3, 30])
@pytest.mark.parametrize(
    "more, changed, left",
    [
        # all that was in the directory is gone, and was to be
        ({}, {}, []),
        ({"dovecot.conf": OLD}, {"dovecot.conf": OLD}, []),
        # gone, and nobody said so: another name, a directory below, a hidden file
        ({"conf.d/own.txt": OLD, "dovecot.conf": OLD}, {"dovecot.conf": OLD}, ["conf.d"]),
        ({"conf.d/below/a.conf": OLD, "dovecot.conf": OLD}, {"dovecot.conf": OLD}, ["conf.d"]),
        ({"conf.d/.a.conf": OLD, "conf.d/stays": OLD}, {"conf.d/stays": OLD}, ["conf.d/.a.conf"]),
        # to be gone, and changed instead
        ({"conf.d/a.conf": OLD, "conf.d/stays": OLD}, {"conf.d/a.conf": NEW, "conf.d/stays": OLD}, ["conf.d/a.conf"]),
        # one of the target files
        ({"conf.d/own.conf": OLD, "conf.d/stays": OLD}, {"conf.d/stays": OLD}, ["conf.d/own.conf"]),
    ],
)
def test_what_the_target_configuration_takes_away_may_be_missing_and_nothing_else(tmp_path, number, more, changed, left):
    os.makedirs(str(tmp_path / "etc/dovecot/conf.d"))
    (tmp_path / "etc/dovecot/conf.d/own.conf").write_bytes(WANTED)
    given = rules.target_absent_rules(["/etc/dovecot/conf.d/*.conf"], str(tmp_path))
    _allowed.check_rules(given)
    before = {"conf.d": DIRECTORY}
    before.update(("conf.d/%d.conf" % n, OLD) for n in range(number))
    before.update(more)
    after = {"conf.d": DIRECTORY, **changed}
    named = [{"/etc/dovecot/" + name: item for name, item in items.items()} for items in (before, after)]
    found = outcome(*named, given)
    if number == 1 and left == ["conf.d"]:
        assert found and all(f.subject.startswith("/etc/dovecot/conf.d") for f in found)
    else:
        assert [f.subject for f in found] == ["/etc/dovecot/" + name for name in left]


def test_the_plan_allows_only_that_its_packages_go():
    given = rules.plan_rules({"remove": [{"name": "libssl3"}], "autoremove": ["libaio1"]})
    _allowed.check_rules(given)
    assert [rule["subject"] for rule in rules.plan_rules({"remove": [{"name": "libssl3", "arch": "i386"}]})] == ["libssl3:i386"]
    assert [(rule["section"], rule.get("subject"), rule.get("change")) for rule in given] == [
        ("packages", "libssl3", "missing"),
        ("services", None, None),
        ("packages", "libaio1", "missing"),
        ("services", None, None),
    ]


@pytest.mark.parametrize(
    "unit, expected",
    [
        ({"active": "inactive"}, []),
        # somebody misses what ran; what no package of the plan brought is not the plan's
        ({"active": "active"}, [("services.missing", "probe.service")]),
        ({"active": "failed"}, [("services.missing", "probe.service")]),
        ({"active": "inactive", "package": "other"}, [("services.missing", "probe.service")]),
        ({"active": "inactive", "package": ""}, [("services.missing", "probe.service")]),
    ],
)
def test_a_unit_that_went_with_a_package_of_the_plan(unit, expected):
    look = {"packages": {"items": {"probe": PACKAGE}}, "services": {"items": {"probe.service": dict(UNIT, **unit)}}}
    assert told(look, rules.plan_rules({"remove": [{"name": "probe"}]})) == expected


def test_a_unit_that_went_with_a_package_that_nobody_planned_to_remove_is_one_event():
    look = {"packages": {"items": {"probe": PACKAGE}}, "services": {"items": {"probe.service": UNIT}}}
    assert told(look, []) == [("packages.missing", "probe")]


PACKAGE = {"version": "1", "status": "installed", "held": False, "manual": True, "essential": False, "foreign": False}
UNIT = {"enabled": "enabled", "active": "active", "watched": True, "local": False, "links": [], "result": "", "package": "probe"}


def told(before, given):
    """(id, subject) of what is left when all that was there is gone."""
    probes = {"packages": packages, "services": services}
    looks = [{"sections": {name: {"status": "ok", "data": data} for name, data in look.items()}} for look in (before, {n: {"items": {}} for n in before})]
    return [(finding.id, finding.subject) for finding in _compare.compare(*looks, probes, given)["findings"]]
