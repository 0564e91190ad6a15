# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documents of two looks: how sections are captured, compared, kept on disk and refused."""

from __future__ import annotations

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _compare, _document, _registry
from ansible_collections.intact.hosting.plugins.module_utils._files import write_document
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.tests.unit.plugins.fake_findings import finding
from ansible_collections.intact.hosting.tests.unit.plugins.fake_system import FakeSystem


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
