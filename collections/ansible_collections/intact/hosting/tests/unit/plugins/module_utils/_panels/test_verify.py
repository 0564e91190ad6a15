# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Verification: what an export says when it is opened again, whoever copied it where, and what makes it proven."""

from __future__ import annotations

import gzip
import os
import pathlib
import shutil
import types

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import _dumps, _export, _inventory, _verify
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels import export_fixture as made
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels.test_archives import SQL, tar

GOOD = tar({"example.com.tgz": gzip.compress(tar({"shop.sql": SQL})), "ann@example.com": b"mail"})
gpg = pytest.mark.skipif(not shutil.which("gpg"), reason="gpg is not installed: exports are not encrypted here")


def driver(**more):
    """One that finds its objects by their names in the archive."""

    def verify(opened, inventory, mode):
        told = opened.contents("backup.tar", scan=lambda path: _dumps.Scan() if path.endswith(".sql") else None)
        names = {path.rpartition("!")[2] for path in told.members}
        seen = {"domain": {"example.com": {}} if "example.com.tgz" in names else {}, "mailbox": {n: {} for n in names if "@" in n}}
        found = _verify.broken(told, "plesk", "backup.tar") + _verify.dumps("plesk", {"shop": next(iter(told.scanned.values()), None)})
        return found + _inventory.compare(inventory, made.inventory(seen))

    return types.SimpleNamespace(**dict({"NAME": "plesk", "verify": verify}, **more))


def judged(path, secret=None, by=None):
    with _verify.Opened(path, secret) as opened:
        found, verdict = _verify.judge(by or driver(), opened)
    return [(f.id, f.subject) for f in found if f.severity == "blocker"], verdict


def test_a_good_export_is_proven_here_and_as_a_copy_elsewhere(tmp_path):
    path = made.export(tmp_path / "here", {"backup.tar": GOOD, "secret.key": b"k"})
    assert judged(path) == ([], "proven")
    copy = shutil.copytree(path, tmp_path / "copy")
    assert judged(str(copy)) == ([], "proven") and sorted(os.listdir(tmp_path)) == ["copy", "here"]


@gpg
def test_an_encrypted_one_is_read_without_a_trace(tmp_path):
    secret = made.passphrase(tmp_path)
    path = made.export(tmp_path / "panel", {"backup.tar": GOOD, "secret.key": b"k"}, secret=secret)
    assert judged(path, secret) == ([], "proven")
    with _verify.Opened(path, secret) as opened:
        plain = opened.files["secret.key"]
        assert pathlib.Path(plain).read_bytes() == b"k" and oct(os.stat(plain).st_mode)[-3:] == "600"
        assert opened.read("backup.tar", 10) == GOOD[:10]
        assert set(opened.files) == {"backup.tar", "secret.key", "inventory.json.gz"} and opened.files["secret.key"] == plain
    assert not os.path.exists(plain) and sorted(os.listdir(tmp_path / "panel" / "plesk")) == sorted([".lock", os.path.basename(path)])
    with pytest.raises(IntactError, match="is encrypted"):
        _verify.Opened(path)
    (tmp_path / "o").mkdir()
    found, verdict = judged(path, made.passphrase(tmp_path / "o", "wrong"))
    assert verdict == "failed" and found == [("panel.export.failed", "plesk export")]


@pytest.mark.parametrize(
    "data, found",
    [
        (GOOD[:2000], ("panel.export.truncated", "plesk file backup.tar")),
        (b"", ("panel.export.truncated", "plesk file backup.tar")),
        (
            tar({"example.com.tgz": gzip.compress(tar({"shop.sql": SQL}))[:-20], "ann@example.com": b""}),
            ("panel.export.truncated", "plesk file backup.tar!example.com.tgz"),
        ),
        (tar({"example.com.tgz": gzip.compress(tar({"shop.sql": SQL}))}), ("panel.object.missing", "plesk mailbox ann@example.com")),
        (
            tar({"example.com.tgz": gzip.compress(tar({"shop.sql": SQL[:-5]})), "ann@example.com": b""}),
            ("panel.dump.incomplete", "plesk database shop"),
        ),
    ],
)
def test_a_file_that_was_written_broken_is_failed_and_the_finding_names_what(tmp_path, data, found):
    told, verdict = judged(made.export(tmp_path, {"backup.tar": data}))
    assert verdict == "failed" and found in told


def test_what_was_damaged_later_is_told_as_deep_as_it_can_be_read(tmp_path):
    path = made.export(tmp_path, {"backup.tar": GOOD})
    with open(os.path.join(path, "backup.tar"), "r+b") as handle:
        handle.seek(GOOD.index(b"\x1f\x8b") + 60)
        handle.write(b"\0\0")
    told, verdict = judged(path)
    assert verdict == "failed" and ("panel.export.corrupt", "plesk file backup.tar") in told and told[1][1] == "plesk file backup.tar!example.com.tgz"


def test_what_the_driver_does_not_read_is_read_all_the_same(tmp_path):
    path = made.export(tmp_path, {"backup.tar": GOOD, "other.tgz": gzip.compress(b"x" * 99)[:-4]})
    assert judged(path) == ([("panel.export.truncated", "plesk file other.tgz")], "failed")


@pytest.mark.parametrize(
    "more, by, why",
    [
        ({"objects": {}}, None, "no object"),
        ({"unlooked": [{"what": "mailboxes", "why": "the database refused"}]}, None, "mailboxes"),
        ({}, types.SimpleNamespace(NAME="plesk"), "no verification"),
    ],
)
def test_what_was_not_looked_at_is_not_proven(tmp_path, more, by, why):
    path = made.export(tmp_path, {"backup.tar": GOOD}, **more)
    with _verify.Opened(path) as opened:
        found, verdict = _verify.judge(by or driver(verify=lambda *given: []), opened)
    assert verdict == "unproven" and why in " ".join(f.evidence for f in found) and {f.details["host"] for f in found} == {"web1"}


def test_an_inventory_that_was_swapped_is_seen(tmp_path):
    path = made.export(tmp_path, {"backup.tar": GOOD})
    with _verify.Opened(path) as opened:
        opened.document = dict(opened.document, inventory="0" * 64)
        found, verdict = _verify.judge(driver(), opened)
    assert verdict == "failed" and [f.subject for f in found] == ["plesk file inventory.json.gz"]


def test_a_bad_status_with_a_good_file_is_a_warning(tmp_path):
    path = made.export(tmp_path, {"backup.tar": GOOD}, rc=3)
    with _verify.Opened(path) as opened:
        found, verdict = _verify.judge(driver(), opened)
    assert verdict == "proven" and [(f.id, f.severity, f.evidence) for f in found] == [("panel.said", "warning", "status 3")]


def test_what_the_panel_said():
    lines = ["Warning: skipped logs", "ERROR: could not dump shop (password=hunter2)"]
    (finding,) = _verify.said("plesk", lines, [r"^ERROR", "Warning"], [r"skipped logs"])
    assert finding.id == "panel.said" and "could not dump shop" in finding.evidence and "hunter2" not in finding.evidence
    assert _verify.said("plesk", lines[:1], [r"^ERROR", "Warning"], [r"skipped logs"]) == []


def scanned(text):
    scanner = _dumps.Scan()
    scanner.feed(text)
    return scanner.result()


def test_dumps_are_held_against_the_live_server():
    good, none = scanned(SQL), scanned(b"-- MySQL dump\n-- Dump completed\n")
    bare = scanned(b"-- MySQL dump\nCREATE TABLE `a` (\n-- Dump completed\n")

    def told(results, wanted=None):
        return [(f.id, f.subject) for f in _verify.dumps("plesk", results, wanted)]

    assert told({"shop": good}) == [] and told({"shop": good}, {"shop": {"tables": 1, "rows": 2}}) == []
    assert told({}, {"shop": {}}) == [("panel.object.missing", "plesk database shop")]
    assert told({"shop": none}) == [("panel.dump.empty", "plesk database shop")] and told({"shop": none}, {"shop": {"tables": 0}}) == []
    assert told({"shop": bare}, {"shop": {"tables": 1, "rows": 4}}) == [("panel.dump.empty", "plesk database shop")]
    assert told({"shop": good}, {"shop": {"tables": 2, "rows": 9}}) == [("panel.dump.incomplete", "plesk database shop")]


@pytest.mark.parametrize(
    "found, verdict",
    [
        ([], "proven"),
        ([("panel.said", "warning")], "proven"),
        ([("panel.unproven", "blocker")], "unproven"),
        ([("panel.unproven", "blocker"), ("panel.object.missing", "blocker")], "failed"),
    ],
)
def test_the_verdict_is_as_good_as_its_worst_finding(found, verdict):
    given = [_inventory.finding(ident, "plesk", "mailbox", "a", "t", "e", "r", severity=severity) for ident, severity in found]
    assert _verify.verdict(given) == verdict


def test_the_root_of_exports_is_what_the_documents_say():
    assert _export.ROOT == "/var/lib/intact/panel"


@pytest.mark.parametrize(
    ("before", "seen", "later", "stands"),
    [
        # a list server that is never quiet: another count each time
        ({"held": 3}, {"held": 4}, {"held": 5}, False),
        # somebody joined before the copy was made, a message was held after it
        ({"held": 3, "members": ["a"]}, {"held": 3, "members": ["a", "b"]}, {"held": 4, "members": ["a", "b"]}, False),
        ({"held": 3, "owner": "ann"}, {"held": 4, "owner": "eve"}, {"held": 5, "owner": "ann"}, True),
        # neither a roster nor a number of rows is excused by somebody who joins
        ({"members": ["a", "b"]}, {"members": ["b"]}, {"members": ["a", "b", "c"]}, True),
        ({"rows": 90}, {"rows": 3}, {"rows": 91}, True),
        ({"held": 3}, {"held": 0}, {"held": 3}, True),
    ],
)
def test_what_moves_all_the_time_is_no_fault_of_the_export_and_what_stood_still_is(before, seen, later, stands):
    taken = {
        name: _inventory.make("mailman", "3", "web1", "sql", {"list": {"news@example.com": told}})
        for name, told in ((_export.INVENTORY, before), (_export.LATER, later), ("seen", seen))
    }
    opened = types.SimpleNamespace(names=lambda *roles: list(taken), inventory=lambda name=_export.INVENTORY: taken[name])
    found = _verify.standing(opened, lambda inventory: _inventory.compare(inventory, taken["seen"]))
    assert [finding.subject for finding in found] == ["mailman list news@example.com"] * stands
    if stands:
        # what the service says besides of the same object, by the same id, hides nothing
        other = _inventory.finding("panel.object.changed", "mailman", "list", "news@example.com", "", "", "", attributes=["other"])
        assert found[0].as_dict() in [f.as_dict() for f in _verify.standing(opened, lambda i: [*_inventory.compare(i, taken["seen"]), other])]
