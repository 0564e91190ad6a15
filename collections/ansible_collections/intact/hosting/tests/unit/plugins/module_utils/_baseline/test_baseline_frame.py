# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The frame: how findings explain one another, and what rules allow."""

from __future__ import annotations

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _allowed, _compare
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.tests.unit.plugins.fake_findings import finding


def shape(findings):
    """{(id, subject): [(id, subject) of consequences]}."""
    return {(f.id, f.subject): [(c["id"], c["subject"]) for c in f.consequences] for f in findings}


def test_a_cause_folds_its_consequences_and_drops_none():
    out = _compare.correlate(
        [
            finding("files.missing", "/home/a/x"),
            finding("sites.body.changed", "a.example", paths=["/home/a/www"]),
            finding("mounts.missing", "/home", covers=[{"section": "*", "path": "/home"}]),
            finding("files.missing", "/homes/other"),
        ]
    )
    assert shape(out) == {
        ("mounts.missing", "/home"): [("sites.body.changed", "a.example"), ("files.missing", "/home/a/x")],
        ("files.missing", "/homes/other"): [],
    }


def test_a_disk_explains_the_mount_and_all_that_the_mount_explains():
    covers = [{"section": "*", "path": "/home"}]
    out = _compare.correlate(
        [
            finding("files.missing", "/home/a"),
            finding("mounts.source.changed", "/home", covers),
            finding("disks.identity.changed", "/home", covers),
        ]
    )
    assert shape(out) == {("disks.identity.changed", "/home"): [("mounts.source.changed", "/home"), ("files.missing", "/home/a")]}


def test_a_chain_ends_under_its_first_cause():
    out = _compare.correlate(
        [
            finding("sockets.missing", "tcp 0.0.0.0:80 nginx", unit="nginx.service"),
            finding("services.failed", "nginx.service", [{"section": "sockets", "details": {"unit": "nginx.service"}}]),
            finding("packages.missing", "nginx", [{"section": "services", "subject": "nginx.service"}]),
        ]
    )
    assert shape(out) == {("packages.missing", "nginx"): [("services.failed", "nginx.service"), ("sockets.missing", "tcp 0.0.0.0:80 nginx")]}


def test_two_that_explain_each_other_leave_one():
    both = [finding("dns.answer", "zone", [{"section": "services"}]), finding("services.failed", "named.service", [{"section": "dns"}])]
    assert shape(_compare.correlate(both)) == {("services.failed", "named.service"): [("dns.answer", "zone")]}


def test_a_finding_does_not_cover_itself():
    out = _compare.correlate([finding("mounts.missing", "/home", [{"section": "*", "path": "/home"}])])
    assert shape(out) == {("mounts.missing", "/home"): []}


def test_a_ring_of_three_keeps_one_with_both_others():
    ring = [finding("sites.a", "a", [{"section": "tls"}]), finding("tls.b", "b", [{"section": "dns"}]), finding("dns.c", "c", [{"section": "sites"}])]
    out = _compare.correlate(ring)
    assert len(out) == 1 and len(out[0].consequences) == 2


def graded(severity, *args, **more):
    out = finding(*args, **more)
    out.severity = severity
    return out


def test_a_warning_that_hides_a_loss_is_as_grave_as_the_loss():
    out = _compare.correlate(
        [
            graded("warning", "mounts.new", "/home", [{"section": "*", "path": "/home"}]),
            graded("warning", "files.mode.changed", "/home/a/x"),
            finding("files.tree.missing", "/home/a/www"),
        ]
    )
    assert [(f.severity, f.details["alone"], len(f.consequences)) for f in out] == [("blocker", "warning", 2)]


def test_weight_goes_up_the_whole_chain():
    out = _compare.correlate(
        [
            graded("warning", "services.active.changed", "mariadb.service", [{"section": "sockets", "subject": "tcp 3306"}]),
            graded("warning", "sockets.missing", "tcp 3306", [{"section": "*", "path": "socket:3306"}]),
            finding("sites.unanswered", "a.example", paths=["socket:3306"]),
        ]
    )
    assert [(f.id, f.severity) for f in out] == [("services.active.changed", "blocker")]
    assert [c["severity"] for c in out[0].consequences] == ["blocker", "blocker"]


def test_a_warning_that_tells_a_file_better_stays_a_warning():
    """A new cron job is a warning, and the file that it stands in is only where it stands."""
    new = graded("warning", "cron.job.new", "root: true", [{"section": "files", "path": "/etc/crontab"}], change="new")
    out = _compare.correlate([new, finding("files.content.changed", "/etc/crontab")])
    assert [(f.severity, len(f.consequences), "alone" in f.details) for f in out] == [("warning", 1, False)]


@pytest.mark.parametrize(
    ("attribute", "before", "severity"),
    [
        ("content", "x", "warning"),
        ("content,hardlink", "x", "warning"),
        ("missing", "a link to ../nginx.service", "warning"),
        # that it is gone, or open to everybody now, is more than the warning says
        ("missing", "a file of 9 bytes, mode 0640", "blocker"),
        ("mode", "0640", "blocker"),
        ("content,owner", "x", "blocker"),
        ("tree", 3, "blocker"),
    ],
)
def test_a_warning_tells_a_files_content_and_not_its_loss(attribute, before, severity):
    new = graded("warning", "cron.job.new", "root: true", [{"section": "files", "path": "/etc/crontab"}], change="new")
    file = finding("files.changed", "/etc/crontab")
    file.details.update(attribute=attribute, before=before)
    assert [(f.severity, len(f.consequences)) for f in _compare.correlate([new, file])] == [(severity, 1)]


@pytest.mark.parametrize(
    "keys",
    [{}, {"subject": "*"}, {"id": "*.*", "change": "*"}, {"id": None}, {"details": {}}, {"except": ["/etc/x"]}],
)
def test_a_rule_that_would_allow_a_whole_section_is_refused(keys):
    with pytest.raises(IntactError, match="everything in its section"):
        _allowed.check_rules([dict(keys, section="files", reason="r")])


def test_two_things_renamed_to_one_name_do_not_hide_one_another():
    rules = [{"section": "services", "rename": {"from": "php8.?-fpm.service", "to": "php8.4-fpm.service"}, "reason": "r"}]
    items, moved = _allowed.rename({"php8.1-fpm.service": 1, "php8.2-fpm.service": 2}, "services", rules, ["php8.4-fpm.service"])
    assert items == {"php8.4-fpm.service": 1, "php8.2-fpm.service": 2} and len(moved) == 1
    # nothing was renamed on this host
    assert _allowed.rename({"php8.2-fpm.service": 2}, "services", rules, ["php8.2-fpm.service"])[1] == []


def test_a_note_hides_nothing_that_somebody_must_look_at():
    note = graded("info", "sites.markup.changed", "a.example", [{"section": "files", "path": "/srv/a"}])
    out = _compare.correlate([note, finding("files.content.changed", "/srv/a/index.html"), graded("info", "files.new", "/srv/a/b")])
    assert shape(out) == {("files.content.changed", "/srv/a/index.html"): [], ("sites.markup.changed", "a.example"): [("files.new", "/srv/a/b")]}


def test_files_tree_is_a_cause_and_single_files_are_the_last():
    names = ["files.content.changed", "files.tree.emptied", "sites.body.changed", "mounts.missing", "disks.missing"]
    out = _compare.correlate([finding(name, name) for name in names])
    assert [f.id for f in out] == ["disks.missing", "mounts.missing", "files.tree.emptied", "sites.body.changed", "files.content.changed"]


@pytest.mark.parametrize(
    "entry, names",
    [
        ({"section": "files", "path": "/etc/fstab"}, True),
        ({"section": "files", "path": "/etc"}, True),
        ({"section": "files", "path": "/etc/fst"}, False),
        ({"section": "files", "path": "/"}, True),
        ({"section": "*", "path": "/etc"}, True),
        ({"section": "mounts", "path": "/etc"}, False),
        ({"section": "files", "subject": "/etc/fstab"}, True),
        ({"section": "files", "subject": "/etc"}, False),
        ({"section": "files", "match": "/etc/f*"}, True),
        ({"section": "files", "match": "/etc/g*"}, False),
        ({"section": "files", "id": "files.content.*"}, True),
        ({"section": "files", "id": "files.owner.*"}, False),
        ({"section": "files", "details": {"attribute": "content"}}, True),
        ({"section": "files", "details": {"attribute": "mode"}}, False),
        ({"section": "files", "path": "/etc", "details": {"attribute": "mode"}}, False),
        ({"section": "files"}, True),
    ],
)
def test_what_an_entry_of_covers_names(entry, names):
    assert _compare.covered(entry, finding("files.content.changed", "/etc/fstab", attribute="content")) is names


@pytest.mark.parametrize(
    "change, subject, folded",
    [("off", "dns (after)", False), ("unlooked", "/home/big", False), ("unread", "dns (before)", False), ("unread", "dns (after)", True)],
)
def test_no_event_explains_what_the_operator_left_out(change, subject, folded):
    assert _compare.covered({"section": "dns"}, finding("dns." + change, subject, change=change)) is folded


@pytest.mark.parametrize("change", ["off", "unlooked", "unread"])
def test_no_rule_allows_what_nobody_looked_at(change):
    assert not _allowed.allows({"section": "dns", "subject": "*", "reason": "r"}, finding("dns." + change, "dns (after)", change=change))


def test_paths_in_details_count_as_well():
    site = finding("sites.body.changed", "a.example", paths=["/srv/a/public"])
    assert _compare.covered({"section": "*", "path": "/srv"}, site)
    assert not _compare.covered({"section": "*", "path": "/srv/b"}, site)


@pytest.mark.parametrize(
    "rule, allowed",
    [
        ({"section": "packages", "subject": "libicu72"}, True),
        ({"section": "packages", "subject": "libicu*", "change": "missing"}, True),
        ({"section": "packages", "subject": "libicu*", "change": "new"}, False),
        ({"section": "services", "subject": "libicu72"}, False),
        ({"section": "packages", "before": "72.*"}, True),
        ({"section": "packages", "after": ""}, True),
        ({"section": "packages", "details": {"manual": "False"}}, True),
        ({"section": "packages", "details": {"manual": "True"}}, False),
        ({"section": "packages", "id": "packages.missing", "attribute": ""}, True),
        ({"section": "packages", "rename": {"from": "libicu72", "to": "libicu76"}}, False),
    ],
)
def test_what_a_rule_allows(rule, allowed):
    gone = finding("packages.missing", "libicu72", change="missing", before="72.1-3", manual=False)
    assert _allowed.allows(dict(rule, reason="x"), gone) is allowed


@pytest.mark.parametrize(
    "rule, words",
    [
        ({"section": "packages"}, "lacks reason"),
        ({"reason": "because"}, "lacks section"),
        ({"section": "packages", "reason": " "}, "lacks reason"),
        ({"section": "packages", "reason": "x", "subjekt": "y"}, "unknown keys: subjekt"),
        ({"section": "packages", "reason": "x", "rename": {"from": "a"}}, "rename needs from and to"),
    ],
)
def test_a_rule_nobody_could_read_is_refused(rule, words):
    with pytest.raises(IntactError, match=words):
        _allowed.check_rules([rule])


def test_rename_carries_the_star_over_and_hides_nothing():
    rules = [{"section": "services", "rename": {"from": "php8.2-*", "to": "php8.4-*"}, "reason": "PHP 8.4"}]
    items, done = _allowed.rename({"php8.2-fpm.service": {"a": 1}, "nginx.service": {}}, "services", rules)
    assert items == {"php8.4-fpm.service": {"a": 1}, "nginx.service": {}}
    assert done == [{"from": "php8.2-fpm.service", "to": "php8.4-fpm.service", "reason": "PHP 8.4"}]
    taken, done = _allowed.rename({"php8.2-fpm.service": {"a": 1}, "php8.4-fpm.service": {"b": 1}}, "services", rules)
    assert sorted(taken) == ["php8.2-fpm.service", "php8.4-fpm.service"] and done == []
