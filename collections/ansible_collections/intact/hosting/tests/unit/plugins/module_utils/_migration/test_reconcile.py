# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The last word of a migration: seeded differences of every class, each found or explained, and nothing that passes for equal without a look."""

from __future__ import annotations

import datetime
import json
import os
import types
from pathlib import Path

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError, gate
from ansible_collections.intact.hosting.plugins.module_utils._migration import _class_table, _context, _expected, _phases, reconcile
from ansible_collections.intact.hosting.plugins.module_utils._migration._explained import check_rules

NOW = datetime.datetime(2026, 11, 23, tzinfo=datetime.timezone.utc)
RULE = {"class": "tables", "subject": "shop.cache", "reason": "a cache", "who": "ops", "expires": "2026-12-01"}
OLD = {"one": {"rows": 3, "digest": "a"}, "two": {"rows": 4, "digest": "b"}, "three": {"rows": 5, "digest": "c"}}


def same(name="tables", old=None, **more):
    """A class whose sides are equal until a test seeds something."""
    old = json.loads(json.dumps(OLD if old is None else old))
    klass = types.SimpleNamespace(NAME=name, olds=old, news=json.loads(json.dumps(old)), RULES=[], SUMS=("rows",))
    klass.old, klass.new = lambda _context: klass.olds, lambda _context: klass.news
    for key, value in more.items():
        setattr(klass, key, value)
    return klass


@pytest.fixture(name="classes")
def fixture_classes(monkeypatch):
    """Every class, equal on both sides; a test seeds what it likes."""
    made = {name: same(name) for name in _class_table.NAMES}
    monkeypatch.setattr(_class_table, "module", made.__getitem__)
    return made


@pytest.fixture(name="context")
def fixture_context(tmp_path):
    """A migration of which every phase is through, on an old disk with nothing on it."""
    (tmp_path / "old" / "etc").mkdir(parents=True)
    context = _context.Context(str(tmp_path / "old"), str(tmp_path / "web1"), {"token": "S/1"})
    context.prepare()
    Path(context.path("identity.json")).write_text("{}")
    for phase in _phases.RUN:
        context.save(dict(_context.fresh(phase), status="done"))
    return context


def test_what_the_map_of_people_says_is_in_the_last_word_too(classes, context):
    conflict = Finding("identity.conflict", "blocker", "user bob", "is another one here", "", "say who he is").as_dict()
    Path(context.path("identity.json")).write_text(json.dumps({"findings": [conflict]}))
    assert ("identity.conflict", "user bob") in seen(reconcile.reconcile(context))


def seen(document):
    return sorted({(f["id"], f["subject"]) for f in document["findings"] if f["severity"] == "blocker"})


def go(document):
    return gate([Finding.from_dict(f) for f in document["findings"]], now=NOW)["go"]


def test_equal_sides_are_a_go_with_a_row_for_each_class(context, classes):
    document = reconcile.reconcile(context, now=NOW)
    assert document["findings"] == [] and go(document) and document["counts"] == {"classes": 9, "explained": 0, "unexplained": 0, "blockers": 0}
    assert [row["class"] for row in document["classes"]] == list(classes)
    assert all(row["looked"] and row["old"] == row["new"] == 3 and row["sums"] == {"rows": [12, 12]} for row in document["classes"])


@pytest.mark.parametrize("name", _class_table.NAMES)
def test_a_seeded_difference_of_each_class_is_a_blocker(context, classes, name):
    del classes[name].news["one"]
    classes[name].news["two"]["digest"] = "B"
    classes[name].news["four"] = {"rows": 0}
    document = reconcile.reconcile(context, now=NOW)
    start = "reconciliation.%s." % name
    assert seen(document) == [(start + "changed", "two"), (start + "extra", "four"), (start + "missing", "one")] and not go(document)
    (row,) = [row for row in document["classes"] if row["class"] == name]
    assert row["unexplained"] == 3 and row["changes"] == {"missing": 1, "changed": 1, "extra": 1} and row["sums"]["rows"] == [12, 9]
    assert all(f["title"] and f["remedy"] for f in document["findings"])


def test_an_attribute_that_was_not_looked_at_on_one_side_is_no_equal_one(context, classes):
    del classes["tables"].news["one"]["digest"]
    classes["tables"].olds["two"]["owner"] = None
    assert seen(reconcile.reconcile(context, now=NOW)) == [("reconciliation.tables.changed", "one"), ("reconciliation.tables.changed", "two")]


def test_a_rule_of_the_class_explains_only_what_it_is_about(context, classes):
    klass = classes["tables"]
    klass.RULES = [{"subject": "o*", "attribute": "digest", "reason": "a timestamp", "when": lambda old, new: (old, new) == ("a", "A")}]
    klass.news["one"]["digest"], klass.news["two"]["digest"] = "A", "B"
    document = reconcile.reconcile(context, now=NOW)
    assert seen(document) == [("reconciliation.tables.changed", "two")] and document["counts"]["explained"] == 1
    (row,) = [row for row in document["classes"] if row["class"] == "tables"]
    assert row["reasons"] == [{"reason": "a timestamp", "count": 1, "subjects": ["one"]}]
    klass.news["one"]["rows"] = 99
    assert ("reconciliation.tables.changed", "one") in seen(reconcile.reconcile(context, now=NOW))


def test_what_a_phase_left_out_with_a_reason_is_explained_and_nothing_else(context, classes):
    del classes["files"].news["one"], classes["files"].news["two"], classes["tables"].news["one"]
    context.save(dict(_context.fresh("files"), status="done", explained=[_context.explained("files", "one", "a socket")]))
    assert seen(reconcile.reconcile(context, now=NOW)) == [("reconciliation.files.missing", "two"), ("reconciliation.tables.missing", "one")]


def test_a_subject_with_signs_of_a_pattern_explains_itself_only(context, classes):
    classes["files"].olds.update({"a[1]*": {}, "a1x": {}})
    context.save(dict(_context.fresh("files"), status="done", explained=[_context.explained("files", "a[1]*", "x")]))
    assert seen(reconcile.reconcile(context, now=NOW)) == [("reconciliation.files.missing", "a1x")]
    context.save(dict(_context.fresh("files"), status="done", explained=[_context.explained("files", "a*", "x", pattern=True, change="missing")]))
    assert seen(reconcile.reconcile(context, now=NOW)) == []
    classes["files"].news.update({"a[1]*": {"rows": 1}, "a1x": {}})
    assert seen(reconcile.reconcile(context, now=NOW)) == [("reconciliation.files.changed", "a[1]*")]


def test_a_phase_that_is_not_through_explains_nothing_and_blocks(context, classes):
    del classes["files"].news["one"]
    context.save(dict(_context.fresh("files"), status="failed", explained=[_context.explained("files", "one", "a socket")]))
    assert seen(reconcile.reconcile(context, now=NOW)) == [("reconciliation.files.missing", "one"), ("reconciliation.phase.unfinished", "files")]
    os.unlink(context.path("identity.json"))
    assert ("reconciliation.phase.unfinished", "identity") in seen(reconcile.reconcile(context, now=NOW))


def test_findings_of_phases_are_part_of_the_last_word(context, classes):
    context.save(dict(_context.fresh("jobs"), status="done", findings=[Finding("jobs.command.missing", "blocker", "/usr/bin/php4", "is not here")]))
    assert seen(reconcile.reconcile(context, now=NOW)) == [("jobs.command.missing", "/usr/bin/php4")]


def test_a_rule_of_the_operator_explains_until_it_runs_out(context, classes):
    classes["tables"].olds["shop.cache"] = {"rows": 1}
    document = reconcile.reconcile(context, rules=[RULE], now=NOW)
    assert go(document) and document["classes"][2]["reasons"][0]["reason"] == "a cache (ops, until 2026-12-01)"
    late = dict(RULE, expires="2026-11-01")
    (finding,) = reconcile.reconcile(context, rules=[late], now=NOW)["findings"]
    assert finding["severity"] == "blocker" and "by ops (a cache) ran out on 2026-11-01: renew it" in finding["remedy"]


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (dict(RULE, who=""), "lacks who"),
        (dict(RULE, subject="*"), "explains the whole class away"),
        (dict(RULE, subject="*", attribute="*"), "explains the whole class away"),
        (dict(RULE, expires="soon"), "is not a date"),
        (dict(RULE, subjekt="x"), "has subjekt"),
    ],
)
def test_a_rule_that_is_none_is_refused(rule, said):
    with pytest.raises(IntactError, match=said):
        check_rules([rule])


def test_a_rule_or_a_class_of_an_unknown_name_is_refused(context, classes):
    with pytest.raises(IntactError, match="no class tabels"):
        reconcile.reconcile(context, rules=[dict(RULE, **{"class": "tabels"})])
    with pytest.raises(IntactError, match="no class shoes"):
        reconcile.reconcile(context, classes=["shoes"])


@pytest.mark.parametrize("side", ["old", "new"])
@pytest.mark.parametrize("error", [IntactError("the disk is gone"), OSError(5, "Input/output error"), KeyError("uid"), RecursionError()])
def test_a_class_that_breaks_is_a_blocker_and_the_others_are_looked_at(context, classes, side, error):
    def breaks(_context):
        raise error

    setattr(classes["lists"], side, breaks)
    del classes["zones"].news["one"]
    document = reconcile.reconcile(context, now=NOW)
    assert seen(document) == [("reconciliation.lists.failed", "lists"), ("reconciliation.zones.missing", "one")]
    assert not document["classes"][4]["looked"] and any(line.split()[:2] == ["lists", "?"] for line in reconcile.table(document["classes"]))
    assert all("Traceback" not in f["evidence"] for f in document["findings"])


def test_a_class_that_breaks_in_the_middle_keeps_what_it_found(context, classes):
    def compare(_context):
        def differences():
            yield "missing", "one", "", None, None
            raise OSError(5, "Input/output error")

        return {"old": 2, "new": 1, "sums": {}, "differences": differences()}

    classes["files"].compare = compare
    assert seen(reconcile.reconcile(context, now=NOW)) == [("reconciliation.files.failed", "files"), ("reconciliation.files.missing", "one")]


def test_a_class_that_is_not_there_is_a_blocker(context, monkeypatch):
    def gone(name):
        raise IntactError("the class %s can't be loaded" % name)

    monkeypatch.setattr(_class_table, "module", gone)
    document = reconcile.reconcile(context, now=NOW)
    assert [f["id"] for f in document["findings"]] == ["reconciliation.%s.failed" % name for name in _class_table.NAMES]


def test_a_class_that_was_not_asked_for_is_told(context, classes):
    document = reconcile.reconcile(context, classes=["tables"], now=NOW)
    assert go(document) and len(document["findings"]) == 8 and {f["severity"] for f in document["findings"]} == {"warning"}


DISK = {
    "accounts": ("etc/passwd", "root:x:0:0::/:/bin/sh\nalice:x:501:501::/home/alice:/bin/sh\n"),
    "files": ("home/alice/index.html", "x"),
    "tables": ("var/lib/mysql/shop/orders.frm", "x"),
    "mailboxes": ("var/mail/alice", "From x"),
    "lists": ("var/lib/mailman/lists/news/config.pck", "x"),
    "jobs": ("var/spool/cron/alice", "0 1 * * * true\n"),
    "aliases": ("etc/aliases", "info: alice\n"),
    "certificates": ("etc/ssl/private/shop.key", "x"),
    "zones": ("var/named/shop.example.zone", "@ IN SOA a b 1 2 3 4 5\n"),
}
# what a system has though nobody put anything there
BARE = {
    "etc/passwd": "root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n",
    "var/lib/mysql/mysql/user.frm": "x",
    "var/lib/postgresql/9.6/main/base/1/1259": "x",
    "var/mail/empty": "",
    "var/lib/mailman/lists/mailman/config.pck": "x",
    "var/spool/cron/crontabs/bob": "# nothing\n",
    "etc/aliases": "# none\n",
    "etc/ssl/private/ssl-cert-snakeoil.key": "x",
    "etc/bind/db.127": "@ IN SOA\n",
}


def test_every_class_has_a_floor():
    assert set(DISK) == set(_class_table.NAMES) == set(_expected.PATTERNS) | {"accounts"}


@pytest.mark.parametrize("name", _class_table.NAMES)
def test_nothing_read_where_there_is_something_is_a_blocker(context, classes, name):
    path = Path(context.root, DISK[name][0])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(DISK[name][1])
    assert seen(reconcile.reconcile(context, now=NOW)) == []
    classes[name].olds, classes[name].news = {}, {}
    (finding,) = reconcile.reconcile(context, now=NOW)["findings"]
    assert finding["id"] == "reconciliation.%s.nothing" % name and not go({"findings": [finding]}) and finding["evidence"].startswith("1 on the disk")


def test_a_system_on_which_there_is_nothing_is_no_blocker(context, classes):
    for name, text in BARE.items():
        path = Path(context.root, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for klass in classes.values():
        klass.olds, klass.news = {}, {}
    assert reconcile.reconcile(context, now=NOW)["findings"] == []


def test_a_postgresql_table_of_a_user_counts(context):
    path = Path(context.root, "var/lib/postgresql/9.6/main/base/16384/16385")
    path.parent.mkdir(parents=True)
    path.write_text("x")
    assert _expected.expected(context.old)["tables"][0] == 1


def test_long_lists_are_cut_with_their_total_and_kept_whole_on_the_host(context, classes):
    classes["files"].olds = {"f%04d" % n: {} for n in range(500)}
    classes["files"].news = {}
    document = reconcile.run(context)
    found = [f for f in document["findings"] if f["id"] == "reconciliation.files.missing"]
    assert len(found) == reconcile.MOST + 1 and found[-1]["subject"] == "450 more" and "500 in all" in found[-1]["evidence"]
    lines = Path(context.path("reconcile.d", "files.jsonl")).read_text().splitlines()
    assert len(lines) == 500 and json.loads(lines[-1])["subject"] == "f0499"
    assert os.stat(context.path("reconcile.d", "files.jsonl")).st_mode & 0o777 == 0o600
    assert context.document("reconcile")["counts"]["unexplained"] == 500 and not go(document)


def test_check_mode_keeps_nothing(context, classes):
    before = sorted(os.listdir(context.directory))
    del classes["files"].news["one"]
    assert not go(reconcile.run(context, check=True))
    assert sorted(os.listdir(context.directory)) == before


def test_no_password_hash_gets_into_a_finding_or_a_list(context, classes):
    classes["accounts"].olds["one"]["password"], classes["accounts"].news["one"]["password"] = "$6$old", "$6$new"
    document = reconcile.run(context)
    assert seen(document) == [("reconciliation.accounts.changed", "one")]
    assert "$6$" not in json.dumps(document) + Path(context.path("reconcile.d", "accounts.jsonl")).read_text()
