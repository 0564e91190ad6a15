# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How much of a flight's time is used up, and that each part is told once."""

from __future__ import annotations

import datetime

import pytest

from ansible_collections.intact.hosting.plugins.module_utils import _budget
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._report import _progress

OPENED = "2026-11-22T11:00:00.000Z"


def opening(**window):
    return {"event": "flight.open", "time": OPENED, "window": window}


@pytest.mark.parametrize(
    ("window", "seconds"),
    [
        ({}, 0),
        ({"budget_seconds": 0}, 0),
        ({"budget_seconds": 3600}, 3600),
        ({"end": "2026-11-22T11:30:00Z"}, 1800),
        ({"budget_seconds": 3600, "end": "2026-11-22T11:30:00Z"}, 1800),
        ({"budget_seconds": 600, "end": "2026-11-22T13:30:00+02:00"}, 600),
        ({"budget_seconds": "nonsense"}, 0),
        # opened after the window closed: every moment of it is too much
        ({"end": "2026-11-22T10:00:00Z"}, 1),
    ],
)
def test_the_smaller_of_budget_and_window_counts(window, seconds):
    assert _budget.seconds(opening(**window)) == seconds


def test_nothing_is_known_without_an_opening():
    assert _budget.seconds(None) == 0


@pytest.mark.parametrize(("spent", "step"), [(0, 0), (49.9, 0), (50, 50), (74, 50), (75, 75), (90, 90), (99.9, 90), (100, 100), (500, 100)])
def test_steps(spent, step):
    assert _budget.step(spent, 100) == step


def test_each_step_is_told_once_and_a_jump_tells_the_highest():
    assert [_budget.due(60, 100, 0), _budget.due(60, 100, 50), _budget.due(95, 100, 50), _budget.due(95, 100, 90), _budget.due(60, 0, 0)] == [50, 0, 90, 0, 0]


def test_the_sentence_names_stage_and_both_times():
    assert _budget.sentence(75, 2700, 3600, "full") == "75 % of the time for this work is used: 45 min of 60 min, in stage full"
    assert "is over: 60 min were set, 1 h" not in _budget.sentence(90, 3300, 3600) and "is over" in _budget.sentence(100, 7500, 3600)


def test_a_moment_needs_its_offset():
    assert _budget.moment("2026-11-30T02:00:00+01:00", "x").hour == 1 and _budget.moment("", "x") is None
    for text in ("2026-11-30T02:00:00", "2026-11-30", "at night"):
        with pytest.raises(IntactError, match=r"intact_window_end is .* with its offset"):
            _budget.moment(text, "intact_window_end")


def test_the_progress_warns_each_host_once_for_each_part():
    teller, state = _progress.Teller(), {"host": "web1", "opened": OPENED, "budget": 100, "stage": "full"}

    def at(seconds, **more):
        return teller.warning(dict(state, **more), datetime.datetime(2026, 11, 22, 11, 0, tzinfo=datetime.timezone.utc) + datetime.timedelta(seconds=seconds))

    assert [bool(at(s)) for s in (10, 51, 52, 91, 92, 120, 130)] == [False, True, False, True, False, True, False]
    assert at(60, host="web2").startswith("web2: 50 %") and not at(60, host="web3", budget=None)
