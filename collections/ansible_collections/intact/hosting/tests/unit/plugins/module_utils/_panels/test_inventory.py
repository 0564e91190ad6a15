# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Inventories: what is kept of secrets, and the finding for each way in which an object may differ."""

from __future__ import annotations

import json

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import _inventory as inv


def made(objects, **more):
    return inv.make("plesk", "18.0.62", "web1", "sql", objects, **more)


def told(before, after, **more):
    return [(f.id, f.subject, f.severity) for f in inv.compare(made(before), made(after), **more)]


MAIL = {"mailbox": {"ann@example.com": {"quota": 100, "password": inv.secret("hunter2")}}}


def test_a_secret_is_a_digest_and_is_not_shown():
    document = made(MAIL)
    assert "hunter2" not in json.dumps(document) and document["objects"]["mailbox"]["ann@example.com"]["password"].startswith("sha256:")
    assert inv.secret("") == "" and inv.secret("a") != inv.secret("b") and inv.secret("ä") == inv.secret("ä".encode())
    shown = inv.shown(document)["objects"]["mailbox"]["ann@example.com"]
    assert shown == {"quota": 100, "password": "set"}


def test_names_and_values_are_plain_data():
    document = made({"forward": {b"a\xff@example.com": {"to": {"z@x", "a@x"}, "none": None}}, "list": {}})
    assert document["objects"] == {"forward": {"a\\xff@example.com": {"to": ["a@x", "z@x"]}}}
    assert inv.counts(document) == {"forward": 1} and document["route"] == {"kind": "sql"}
    assert made({"domain": {"a\\x01": {}}})["objects"]["domain"] == {"a\\x01": {}}  # escaped once is escaped


@pytest.mark.parametrize("more", [{"route": "export"}, {"objects": {"mailboxes": {}}}])
def test_an_unknown_kind_or_route_is_a_drivers_mistake(more):
    given = dict({"panel": "p", "version": "", "host": "h", "route": "sql", "objects": {}}, **more)
    with pytest.raises(ValueError, match=r"kind|route"):
        inv.make(**given)


def test_equal_inventories_have_no_finding_whatever_the_route_calls_a_number():
    assert told(MAIL, MAIL) == []
    assert told({"limit": {"x": {"disk": "500", "on": True}}}, {"limit": {"x": {"disk": 500, "on": 1}}}) == []
    assert inv.digest(made(MAIL)) == inv.digest(made(MAIL))


def test_each_difference_has_its_finding_and_names_the_object():
    assert told(MAIL, {}) == [("panel.object.missing", "plesk mailbox ann@example.com", "blocker")]
    assert told({}, MAIL) == [("panel.object.extra", "plesk mailbox ann@example.com", "warning")]
    assert told({"mail_alias": {"@example.com": {}}}, {"mail_alias": {"'@example.com": {}}}) == [
        ("panel.object.extra", "plesk mail_alias '@example.com", "warning"),
        ("panel.object.missing", "plesk mail_alias @example.com", "blocker"),
    ]
    assert told({"mailbox": {"a": {"quota": 1}}}, {"mailbox": {"a": {"quota": 2}}}) == [("panel.object.changed", "plesk mailbox a", "blocker")]
    assert told({"database": {"shop": {"rows": 7}}}, {"database": {"shop": {"rows": 0}}}) == [("panel.object.empty", "plesk database shop", "blocker")]
    assert told({"list": {"crew": {"members": ["a"]}}}, {"list": {"crew": {"members": []}}}) == [("panel.object.empty", "plesk list crew", "blocker")]


def test_what_is_compared_can_be_chosen():
    before, after = {"mailbox": {"a": {"quota": 1, "id": 7}}, "list": {"x": {}}}, {"mailbox": {"a": {"quota": 1}}}
    assert told(before, after, kinds=["mailbox"]) == []
    assert told(before, after, kinds=["mailbox"], attributes={"mailbox": ["id"]}) == [("panel.object.changed", "plesk mailbox a", "blocker")]
    assert told(before, after, attributes={"mailbox": ["other"]}) == [("panel.object.missing", "plesk list x", "blocker")]


def test_a_changed_secret_is_told_without_its_digest():
    (finding,) = inv.compare(made(MAIL), made({"mailbox": {"ann@example.com": {"password": inv.secret("other")}}}))
    assert finding.evidence == "password: another secret" and "sha256" not in json.dumps(finding.as_dict())


def test_a_long_difference_is_cut():
    (finding,) = inv.compare(made({"list": {"crew": {"members": ["m%d" % n for n in range(9)]}}}), made({"list": {"crew": {"members": ["x"]}}}))
    assert "and 4 more" in finding.evidence and "has x" in finding.evidence


def test_what_is_no_inventory_is_refused():
    for wrong in ({}, [], {"schema": 2, "objects": {}}, {"schema": 1, "objects": []}):
        with pytest.raises(IntactError, match="no inventory"):
            inv.check(wrong)
