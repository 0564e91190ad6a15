# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The frame: correlation, rules, the document, what was not looked at."""

from __future__ import annotations

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _allowed, _compare, _document, _registry
from ansible_collections.intact.hosting.plugins.module_utils._files import write_document
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError
from ansible_collections.intact.hosting.tests.unit.plugins.fake_system import FakeSystem


def finding(ident, subject, covers=(), **found):
    change = found.pop("change", "changed")
    return Finding(id=ident, severity="blocker", subject=subject, title=ident, details=_compare.details(change, **found), covers=list(covers))


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


class Probe:
    """A probe of one attribute: every difference is a finding."""

    def __init__(self, section, data=None, error=None):
        self.SECTION, self.data, self.error = section, data, error

    def capture(self, system):
        if self.error:
            raise self.error
        return self.data(system) if callable(self.data) else self.data

    def compare(self, before, after):
        return [
            finding("%s.%s" % (self.SECTION, change), subject, change=change, attribute=attribute, before=old, after=new)
            for subject, change, attribute, old, new in _compare.differences(before.get("items", {}), after.get("items", {}))
        ]


def take(**probes):
    return _document.capture({name: Probe(name, **given) for name, given in probes.items()}, system=FakeSystem)


def judge(before, after, rules=()):
    names = sorted(set(before["sections"]) | set(after["sections"]))
    return _compare.compare(before, after, {name: Probe(name) for name in names}, rules)


def test_differences_are_missing_new_and_changed_attributes():
    out = list(_compare.differences({"a": {"x": 1, "y": 2}, "b": {}}, {"a": {"x": 1, "y": 3, "z": 4}, "c": {}}))
    assert out == [("a", "changed", "y", 2, 3), ("a", "changed", "z", None, 4), ("b", "missing", "", {}, None), ("c", "new", "", None, {})]
    assert list(_compare.differences({"a": {"x": 1}}, {"a": {"x": 2}}, ignore=("x",))) == []


def test_an_allowed_change_is_listed_with_its_reason():
    before, after = take(dns={"data": {"items": {"zone": {"serial": 1}}}}), take(dns={"data": {"items": {"zone": {"serial": 2}}}})
    rule = {"section": "dns", "attribute": "serial", "reason": "signed again"}
    result = judge(before, after, [rule])
    assert result["findings"] == []
    assert [(a["reason"], a["finding"]["subject"]) for a in result["allowed"]] == [("signed again", "zone")]
    assert [(s["changes"], s["allowed"]) for s in result["sections"]] == [(1, 1)]
    assert [f.subject for f in judge(before, after)["findings"]] == ["zone"]


def test_renaming_is_reported_and_the_rest_is_still_compared():
    before, after = take(services={"data": {"items": {"old": {"v": 1}}}}), take(services={"data": {"items": {"new": {"v": 2}}}})
    result = judge(before, after, [{"section": "services", "rename": {"from": "old", "to": "new"}, "reason": "r"}])
    assert [(f.id, f.subject) for f in result["findings"]] == [("services.changed", "new")]
    assert result["renamed"] == [{"section": "services", "from": "old", "to": "new", "reason": "r"}]
    assert before["sections"]["services"]["data"]["items"] == {"old": {"v": 1}}, "the document itself is left alone"


def test_a_service_uninstalled_altogether_is_compared_with_nothing():
    before, after = take(dns={"data": {"items": {"zone": {}}}}), take(dns={"data": None})
    assert after["sections"]["dns"]["status"] == "absent"
    assert [(f.id, f.subject) for f in judge(before, after)["findings"]] == [("dns.missing", "zone")]


def test_one_broken_probe_does_not_hide_the_others():
    document = take(dns={"error": KeyError("x")}, mail={"error": IntactError("doveadm said no")}, disks={"data": {"items": {}}})
    states = {name: (s["status"], s["reason"]) for name, s in document["sections"].items()}
    assert states == {"dns": ("failed", "KeyError: 'x' (a defect in this probe)"), "mail": ("failed", "doveadm said no"), "disks": ("ok", "")}


def test_a_section_that_cannot_be_compared_is_a_blocker_and_the_others_are_compared():
    before, after = ({"sections": {name: {"status": "ok", "data": {"items": {"x": {"v": value}}}} for name in ("dns", "mail")}} for value in (1, 2))
    after["sections"]["dns"]["data"]["items"]["x"] = None
    rules = [{"section": "dns", "id": "dns.*", "reason": "whatever"}, {"section": "mail", "rename": {"from": "y", "to": "z"}, "reason": "r"}]
    result = judge(before, after, rules)
    assert [(f.id, f.severity, f.subject) for f in result["findings"]] == [("dns.uncompared", "blocker", "dns"), ("mail.changed", "blocker", "x")]
    assert "TypeError" in result["findings"][0].evidence and result["allowed"] == []
    # nor does what is no map of items end in a traceback, and no event explains it
    after["sections"]["dns"]["data"]["items"] = before["sections"]["dns"]["data"]["items"] = None
    assert [f.id for f in judge(before, after)["findings"]] == ["dns.uncompared", "mail.changed"]
    cause = finding("mounts.missing", "/var", covers=[{"section": "*"}])
    assert len(_compare.correlate([cause] + result["findings"][:1])) == 2


@pytest.mark.parametrize("section", sorted(_registry.PROBES))
def test_every_probe_compares_something_with_nothing(section):
    probe = _registry.PROBES[section]
    assert probe.compare({}, {}) == [] and probe.compare({"items": {}}, {}) == [] and probe.compare({}, {"items": {}, "summary": {}}) == []


def test_what_was_not_looked_at_is_a_finding():
    def short(system):
        system.skip("/home/big", "limit of 10 bytes")
        return {"items": {}}

    good = take(files={"data": {"items": {}}}, dns={"data": {"items": {}}})
    bad = take(files={"data": short}, dns={"error": IntactError("rndc said no")})
    out = judge(good, bad)["findings"]
    assert {(f.id, f.severity, f.subject) for f in out} == {("dns.unread", "blocker", "dns (after)"), ("files.unlooked", "warning", "/home/big")}
    assert bad["sections"]["files"]["status"] == "partial"


def test_a_section_that_is_off_is_a_warning_and_one_that_is_missing_a_blocker():
    before = _document.capture({"dns": Probe("dns", {"items": {}})}, off=("dns",), system=FakeSystem)
    after = take(dns={"data": {"items": {}}})
    assert [(f.id, f.severity) for f in judge(before, after)["findings"]] == [("dns.off", "warning")]
    del before["sections"]["dns"]
    assert [(f.id, f.severity) for f in judge(before, after)["findings"]] == [("dns.unread", "blocker")]


def test_the_time_limit_stops_a_section_and_says_so():
    def slow(system):
        system.limits["seconds"] = 1e-9
        system.remaining()

    document = take(files={"data": slow}, dns={"data": {"items": {}}})
    assert document["sections"]["files"]["status"] == "failed" and "used up" in document["sections"]["files"]["reason"]
    assert document["sections"]["dns"]["status"] == "ok"


def test_a_document_survives_the_disk(tmp_path):
    document = take(files={"data": {"items": {"/home/a\\x0ab": {"mode": "0644"}}}})
    for name in ("a.json", "a.json.gz"):
        write_document(str(tmp_path / name), document)
        assert _document.load(str(tmp_path / name)) == document
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "content, words",
    [
        (None, "there is no baseline"),
        (b"", "cannot be read"),
        (b"\x1f\x8bgarbage", "cannot be read"),
        (b"[]", "is not a baseline"),
        (b'{"schema": 99, "sections": {}}', "schema 99"),
    ],
)
def test_a_document_that_is_none_is_refused_with_a_sentence(tmp_path, content, words):
    path = tmp_path / "b.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(IntactError, match=words):
        _document.load(str(path))


def test_diff_shows_before_and_after_and_what_explains_what():
    cause = finding("mounts.missing", "/home", [{"section": "*", "path": "/home"}], change="missing", before="UUID=1")
    result = _compare.correlate([cause, finding("files.mode.changed", "/home/a", attribute="mode", before="0644", after="0600")])
    gone = finding("packages.missing", "libicu72", change="missing", before="72.1-3").as_dict()
    shown = _compare.diff(result, [{"finding": gone, "reason": "replaced"}])
    assert "mounts: /home = UUID=1\n" in shown["before"] and "/home =" not in shown["after"]
    assert "files: /home/a mode (explained by mounts.missing /home) = 0644\n" in shown["before"]
    assert "files: /home/a mode (explained by mounts.missing /home) = 0600\n" in shown["after"]
    assert "packages: libicu72 (allowed: replaced) = 72.1-3\n" in shown["before"]


@pytest.mark.parametrize(
    "before, after, expected",
    [
        ({"host": "web1", "taken": "2026-11-22T10:00:00.000Z"}, {"host": "web1", "taken": "2026-11-22T11:00:00.000Z"}, []),
        ({"host": "web1", "taken": "2026-11-22T10:00:00.000Z"}, {"host": "web2", "taken": "2026-11-22T11:00:00.000Z"}, ["baseline.host.differs"]),
        ({"host": "web1", "taken": "2026-11-22T12:00:00.000Z"}, {"host": "web1", "taken": "2026-11-22T11:00:00.000Z"}, ["baseline.order"]),
    ],
)
def test_documents_that_say_nothing_of_one_another_are_refused(before, after, expected):
    result = _compare.compare(dict(before, sections={}), dict(after, sections={}), {})
    assert [(f.id, f.severity) for f in result["findings"]] == [(name, "blocker") for name in expected]
