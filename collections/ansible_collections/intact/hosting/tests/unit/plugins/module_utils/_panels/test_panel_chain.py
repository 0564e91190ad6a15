# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which source is taken and why, and where a restore stands by its journal: tables."""

from __future__ import annotations

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import _chain, _export, _inventory, _standing


def source(kind, name, made="2026-11-22T00:00:00Z", **more):
    return _chain.Source(kind, name, "/x/" + name, made=made, **more)


def proving(good, tried=None):
    def prove(candidate):
        if tried is not None:
            tried.append(candidate.name)
        if candidate.name == "gone":
            raise IntactError("the disk is gone")
        bad = _inventory.finding("panel.export.corrupt", "plesk", "file", "a.tar", "it is broken", "at byte 7", "")
        return "/y/" + candidate.name, [] if candidate.name in good else [bad]

    return prove


ALL = [
    source("disk", "/mnt/old", made=""),
    source("daily", "dump.1.gz", made="2026-11-23T00:00:00Z"),
    source("rescued", "20261123t000000z-settings", made="2026-11-23T00:00:00Z"),
    source("proven", "older", made="2026-11-20T00:00:00Z"),
    source("unproven", "newest", made="2026-11-24T00:00:00Z"),
    source("proven", "newer", made="2026-11-21T00:00:00Z"),
    source("unproven", "cut", made="2026-11-25T00:00:00Z", why="its document is damaged"),
]
ORDER = ["newer", "older", "cut", "newest", "dump.1.gz", "20261123t000000z-settings", "/mnt/old"]


def test_sources_are_tried_by_what_they_are_and_then_newest_first():
    assert [entry.name for entry in _chain.order(ALL)] == ORDER


@pytest.mark.parametrize("number", range(len(ORDER)))
def test_the_first_that_is_proven_now_is_taken_and_those_before_are_refused_by_name(number):
    if ORDER[number] == "cut":
        return
    tried = []
    choice = _chain.choose(ALL, proving({ORDER[number]}, tried))
    assert (choice.taken.name, choice.path) == (ORDER[number], "/y/" + ORDER[number])
    assert tried == [name for name in ORDER[: number + 1] if name != "cut"], "no more than needed is tried, and what has a why is not"
    found = _chain.findings(choice, "plesk")
    assert [finding.subject for finding in found if finding.id == "panel.source.refused"] == ["plesk source %s" % name for name in ORDER[:number]]
    assert {finding.severity for finding in found} <= {"warning"}
    assert [line.rpartition(" is ")[0].split()[-1] for line in _chain.lines(choice)[:-1]] or number == 0
    assert _chain.lines(choice)[-1] == "%s %s is taken: every check passes now" % (_chain.TITLES[choice.taken.kind], ORDER[number])


def test_without_a_source_every_refusal_is_a_blocker_and_says_why():
    choice = _chain.choose([source("proven", "a"), source("disk", "gone"), source("unproven", "cut", why="torn")], proving(()))
    found = _chain.findings(choice, "plesk")
    assert choice.taken is None and {finding.severity for finding in found} == {"blocker"}
    assert [finding.evidence for finding in found] == ["plesk file a.tar: it is broken: at byte 7", "torn", "the disk is gone"]
    assert found[0].details["found"] == ["panel.export.corrupt plesk file a.tar"]
    assert _chain.lines(choice)[-1] == "no source is left"


def test_nothing_at_all_is_a_blocker_too():
    found = _chain.findings(_chain.choose([], proving(())), "plesk")
    assert [(finding.id, finding.severity) for finding in found] == [("panel.source.refused", "blocker")]


def test_what_a_dump_of_the_panel_lacks_is_told_when_it_is_taken():
    choice = _chain.choose([source("daily", "d", lacks="mail")], proving({"d"}))
    assert [(finding.id, finding.evidence) for finding in _chain.findings(choice, "plesk")] == [("panel.source.lacks", "mail")]


def test_an_operator_may_name_one():
    assert [entry.name for entry in _chain.only(ALL, "older")] == ["older"] == [entry.name for entry in _chain.only(ALL, "/x/older")]
    assert _chain.only(ALL, "none") == []


@pytest.mark.parametrize(
    ("document", "kind", "why"),
    [
        ({"verdict": "proven", "taken": "t"}, "proven", ""),
        ({"verdict": "unproven", "taken": "t"}, "unproven", ""),
        ({"verdict": "proven", "taken": "t", "rescued": {"kind": "disk"}}, "rescued", ""),
        (None, "unproven", "torn"),
    ],
)
def test_an_export_is_a_source_by_its_document(document, kind, why):
    made = _chain.of_export(_export.Held("/p", "plesk", "i", document, "torn" if document is None else ""))
    assert (made.kind, made.why, made.made) == (kind, why, "t" if document else "")


OPEN = {"event": "flight.open", "panel": "plesk", "token": "t"}
KEPT = {"event": "stage.end", "stage": "checkpoint", "result": "ok"}
CLOSE = {"event": "flight.close", "verdict": "rolled-back"}


@pytest.mark.parametrize(
    ("events", "state", "attempt"),
    [
        ([], "none", 0),
        ([{"event": "decision"}], "none", 0),
        ([OPEN], "looking", 1),
        ([OPEN, {"event": "stage.end", "stage": "checkpoint", "result": "failed"}], "looking", 1),
        ([OPEN, KEPT], "changing", 1),
        ([OPEN, KEPT, {"event": "stage.end", "stage": "rollback", "result": "ok"}], "changing", 1),
        ([OPEN, KEPT, CLOSE], "closed", 1),
        ([OPEN, KEPT, CLOSE, {"event": "decision"}], "closed", 1),
        ([OPEN, KEPT, CLOSE, OPEN], "looking", 2),
    ],
)
def test_where_a_restore_stands(events, state, attempt):
    at = _standing.standing(events)
    assert (at["state"], at["attempt"]) == (state, attempt)


def test_a_source_of_settings_brings_no_data_and_what_was_here_of_it_must_stay():
    def with_data(**more):
        return _inventory.make("plesk", "8", "h", "sql", {"database": {"shop": dict({"owner": "x"}, **more)}, "cron_job": {"a": {}}})

    full = with_data(tables=2, filled="yes")
    wanted = _standing.brought(full, ["database"], "settings")
    assert wanted["objects"] == {"database": {"shop": {"owner": "x"}}}
    assert _standing.brought(full, None, "full")["objects"] == full["objects"]
    assert [(finding.id, finding.subject) for finding in _standing.lacking(full, ["database"])] == [("panel.source.lacks", "plesk cron_job")]
    assert _standing.lacking(full, None) == []
    fresh = with_data(tables=0, filled="no")
    assert _standing.needed(wanted, fresh) == [] == _standing.judge(wanted, fresh, fresh)
    lost = [(finding.id, finding.subject, finding.severity) for finding in _standing.judge(wanted, full, fresh)]
    assert lost == [("panel.object.empty", "plesk database shop", "blocker")]
    assert [finding.subject for finding in _standing.judge(wanted, full, with_data(tables=2, filled="yes"))] == []


def inventory(**domains):
    return _inventory.make("plesk", "8", "h", "sql", {"domain": {name: {"owner": owner} for name, owner in domains.items()}})


@pytest.mark.parametrize(
    ("wanted", "before", "seen", "accept", "told"),
    [
        (inventory(a="x"), inventory(), inventory(a="x"), [], []),
        (inventory(a="x"), inventory(), inventory(), [], [("panel.object.missing", "blocker")]),
        (inventory(a="x"), inventory(a="y"), inventory(a="y"), [], [("panel.object.changed", "blocker")]),
        (inventory(a="x"), inventory(), inventory(a="x", b="y"), [], [("panel.object.extra", "warning")]),
        (inventory(a="x"), inventory(b="y"), inventory(a="x", b="y"), [], []),
        (inventory(a="x"), inventory(b="y"), inventory(a="x"), [], [("panel.object.missing", "blocker")]),
        (inventory(a="x"), inventory(b="y"), inventory(a="x", b="z"), [], [("panel.object.changed", "blocker")]),
        (inventory(a="x"), inventory(b="y"), inventory(a="x"), ["plesk domain b"], [("panel.object.missing", "info")]),
        (inventory(a="x"), inventory(b="y"), inventory(a="x"), ["plesk domain c"], [("panel.object.missing", "blocker")]),
        (inventory(a="x"), None, inventory(a="x", b="y"), [], [("panel.object.extra", "warning")]),
    ],
)
def test_what_an_import_made_is_judged_by_the_source_and_by_what_was_here(wanted, before, seen, accept, told):
    assert [(finding.id, finding.severity) for finding in _standing.judge(wanted, before, seen, accept)] == told
