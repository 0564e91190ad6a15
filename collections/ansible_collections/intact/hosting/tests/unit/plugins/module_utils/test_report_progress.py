# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lines of the operator's terminal."""

from __future__ import annotations

import datetime

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._report import _progress

NOW = datetime.datetime(2026, 11, 22, 11, 40, 0, tzinfo=datetime.timezone.utc)
STATE = {
    "host": "web1",
    "status": "running",
    "stage": "full",
    "order": ["bind", "full", "reboot"],
    "stages": {"full": {"status": "running", "started": "2026-11-22T11:38:00Z"}},
    "done": 131,
    "total": 265,
    "unit": "packages",
    "message": "",
    "started": "2026-11-22T11:34:00Z",
    "budget_seconds": 3600,
    "budgets": {"full": 1200},
    "reachable": True,
}


def pace(*samples, stage="full"):
    out = _progress.Pace()
    for now, done in samples:
        out.add(stage, done, now)
    return out


def test_a_line_has_stage_time_packages_and_what_is_left():
    line = _progress.plain(STATE, pace((0, 31), (50, 131)), NOW, 50)
    assert line == "web1: upgrade fully 2/3, 6 min of 1 h, stage 50 s of 20 min, 131 of 265 packages, about 1 min 07 s left"


@pytest.mark.parametrize(
    ("change", "piece"),
    [
        ({"started": "2026-11-22T10:30:00Z"}, "1 h 10 min, OVER BUDGET by 10 min"),
        ({"budgets": {"full": 20}}, "stage 50 s, OVER BUDGET by 30 s"),
        ({"status": "waiting-reboot"}, "waiting for the host to come back 2/3"),
        ({"status": "failed"}, "failed in full"),
        ({"reachable": False}, "no answer from the host, it works on"),
        ({"held": True}, "held before upgrade fully 2/3"),
        ({"held": True, "message": "start again without"}, "start again without"),
        ({"held": True, "reachable": False}, "no answer from the host, it waits as asked"),
        ({"held": True, "status": "failed"}, "failed in full"),
        ({"message": "Setting up nginx"}, "Setting up nginx"),
        ({"stage": "own-stage", "order": []}, "own-stage"),
        ({"budget_seconds": None}, "6 min,"),
    ],
)
def test_what_a_line_tells(change, piece):
    assert piece in _progress.plain(dict(STATE, **change), pace((0, 131)), NOW, 50)


@pytest.mark.parametrize(
    "state",
    [
        {},
        {"stages": None, "order": None, "budgets": None, "done": "x", "total": "y", "started": "yesterday"},
        {"stage": 3, "stages": {3: 4}},
        {"total": 0, "done": 0},
    ],
)
def test_a_strange_file_is_no_error(state):
    assert _progress.plain(state, pace(), NOW, 0) and _progress.live(state, pace(), NOW, 0, 80)


def test_hostile_text_does_not_reach_the_terminal():
    line = _progress.live(dict(STATE, message="a\x1b[2J\nb"), pace(), NOW, 0, 300)
    assert "\x1b" not in line and "\n" not in line


@pytest.mark.parametrize("width", [20, 80, 120])
def test_a_live_line_fits_its_terminal(width):
    assert len(_progress.live(dict(STATE, message="x" * 300), pace((0, 1), (50, 131)), NOW, 50, width)) < width


def test_a_pace_is_of_one_stage_and_waits_for_samples():
    assert pace((0, 1)).left(100, 1) is None
    assert pace((0, 1), (2, 50)).left(100, 2) is None, "too soon to tell"
    assert pace((0, 0), (10, 10)).left(20, 10) == 10
    assert pace((0, 0), (10, 10)).left(20, 14) == 6, "time goes on between two packages"
    assert pace((0, 0), (10, 10)).left(20, 99) == 0
    moved = pace((0, 0), (10, 10))
    moved.add("reboot", 0, 11)
    assert moved.left(20, 12) is None


def test_plain_lines_come_at_changes_and_every_half_minute():
    teller = _progress.Teller()
    told = [teller.due(dict(STATE, done=n), n) for n in range(0, 70, 2)]
    assert [n * 2 for n, due in enumerate(told) if due] == [0, 30, 60]
    assert teller.due(dict(STATE, stage="reboot"), 61) and teller.due(dict(STATE, stage="reboot", reachable=False), 62)
    assert teller.due(dict(STATE, host="web2"), 62)


def test_a_hold_is_no_overrun_of_its_stage():
    """Neither while it lasts nor afterwards: the stage's time begins when it is let go."""
    seen = _progress.Pace()
    state = dict(STATE, held=True, budgets={"full": 20})
    for second in range(0, 3600, 60):
        seen.add("full", 0, second, held=True)
    assert "stage" not in _progress.plain(state, seen, NOW, 3600)
    seen.add("full", 0, 3601)
    assert "stage 10 s of 20 s" in _progress.plain(dict(state, held=False), seen, NOW, 3550)
    assert "stage 1 min, OVER BUDGET" in _progress.plain(dict(state, held=False), seen, NOW, 3600)


def test_a_hold_and_its_end_are_told_at_once():
    teller = _progress.Teller()
    assert [teller.due(dict(STATE, held=held), second) for second, held in enumerate((False, True, True, False, False))] == [True, True, False, True, False]
