# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""PF53: what fits into the window, what does not, and what is only told."""

from __future__ import annotations

import datetime

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._preflight import _registry, window
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._preflight import preflight_host as fake

NOW = datetime.datetime(2026, 11, 30, 1, 0, tzinfo=datetime.timezone.utc)
PLAN = {"release_path": "debian-12-13", "upgrade": [{"name": "p", "stage": "full"}] * 400, "download_bytes": 10}


def look(rollback=None, plan=None, **said):
    context = fake.context(plan=PLAN if plan is None else plan)
    context.options.update(window=said, rollback=rollback or {}, history=[], flights_root="/nowhere")
    context.once("measures", lambda: {"cpu_seconds": 0.32, "write_bytes_per_second": 150e6, "fsync_seconds": 0.004})
    return window.fits(context, NOW), context.once("estimate", dict)


def test_without_a_window_the_estimate_is_only_told():
    (finding,), estimate = look()
    assert (finding.id, finding.severity) == ("window.estimate", "info") and "about" in finding.title
    assert estimate["release_path"] == "debian-12-13" and estimate["high"] > estimate["total"]


@pytest.mark.parametrize("spare, ids", [(0, "window.enough"), (-1, "window.short")])
def test_the_budget_holds_the_longest_or_it_is_a_blocker(spare, ids):
    needed = look()[1]["high"]
    (finding,), _estimate = look(budget_seconds=needed + spare)
    assert finding.id == ids and finding.severity == ("info" if spare == 0 else "blocker")
    assert finding.details["needed"] == needed


def test_the_way_back_has_to_fit_as_well():
    needed = look()[1]["high"]
    (finding,), estimate = look(rollback={"driver": "btrfs"}, budget_seconds=needed)
    assert finding.id == "window.short" and estimate["rollback"] > 0 and "way back" in finding.evidence


def test_the_window_ends_sooner_than_the_budget():
    (finding,), _numbers = look(budget_seconds=10**6, end="2026-11-30T02:05:00+01:00")
    assert finding.id == "window.short" and "2026-11-30 01:05 UTC" in finding.title and finding.details["left"] == 300


def test_a_closed_window_is_a_blocker():
    (finding,), _numbers = look(end="2026-11-30T00:59:59Z")
    assert (finding.id, finding.severity) == ("window.over", "blocker")


def test_before_it_opens_a_look_tells_and_a_start_is_refused():
    said = {"start": "2026-11-30T02:00:00Z", "end": "2026-11-30T09:00:00Z"}
    (finding,), _numbers = look(**said)
    assert finding.id == "window.enough" and finding.details["left"] == 7 * 3600
    (finding,), _numbers = look(takeoff=True, **said)
    assert (finding.id, finding.severity) == ("window.closed", "blocker") and "02:00 UTC" in finding.title


@pytest.mark.parametrize("said", [{"end": "tomorrow"}, {"end": "2026-11-30T02:00:00"}, {"start": "2026-11-30T02:00:00Z", "end": "2026-11-30T01:30:00Z"}])
def test_a_window_that_is_none_is_refused_by_name(said):
    with pytest.raises(IntactError, match="intact_window_end"):
        look(**said)


def test_without_a_plan_nothing_is_judged_and_it_says_so():
    (finding,), estimate = look(plan={})
    assert finding.id == "window.unknown" and not estimate


def test_history_of_others_is_used_once_beside_ones_own():
    context = fake.context(plan=PLAN)
    entry = {"flight": "x", "release_path": "debian-12-13", "stages": {"full": 4000}, "work": {"full": 400}}
    context.options.update(window={}, history=[entry, entry])
    context.once("measures", dict)
    context.once("history", lambda: [dict(entry, own=True)])
    assert window.estimated(context)["stages"]["full"] == 4000


def test_it_is_registered_and_needs_a_release_path():
    assert "PF53" in [c.number for c in _registry.CHECKS] and "PF53" not in [c.number for c in _registry.chosen(path=False)]
