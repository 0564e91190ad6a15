# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""How much of a flight's time is used up, and when to say so. Pure."""

from __future__ import annotations

import datetime

from ansible_collections.intact.hosting.plugins.module_utils import _flight
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

STEPS = (50, 75, 90, 100)


def moment(text, name):
    """An aware datetime of ISO 8601 with its offset from UTC; None for an empty text. IntactError names the setting."""
    text = str(text or "").strip()
    if not text:
        return None
    try:
        when = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        when = None
    if when is None or when.tzinfo is None:
        raise IntactError("%s is %r: write a moment with its offset, such as 2026-11-30T02:00:00+01:00" % (name, text))
    return when.astimezone(datetime.timezone.utc)


def seconds(opening):
    """Seconds that a flight has by its flight.open event: its budget, or until its window closes, whichever is less; 0 when nothing bounds it."""
    window = (opening or {}).get("window") or {}
    bounds = []
    try:
        if float(window.get("budget_seconds") or 0) > 0:
            bounds.append(float(window["budget_seconds"]))
        if window.get("end"):
            bounds.append(max(1.0, _flight.seconds_between(opening["time"], window["end"])))
    except (TypeError, ValueError, KeyError):
        pass
    return min(bounds) if bounds else 0


def step(spent, budget):
    """The last of STEPS that is reached, 0 before the first."""
    used = 100.0 * spent / budget if budget else 0
    return max([percent for percent in STEPS if used >= percent] or [0])


def due(spent, budget, told):
    """The step to tell of now, 0 for none. told: the highest that was told of."""
    now = step(spent, budget)
    return now if now > told else 0


def sentence(percent, spent, budget, stage=""):
    """What an operator is told at a step."""
    where = ", in stage %s" % stage if stage else ""
    if percent >= 100:
        return "the time for this work is over: %s were set, %s are used%s" % (words(budget), words(spent), where)
    return "%d %% of the time for this work is used: %s of %s%s" % (percent, words(spent), words(budget), where)


def words(count):
    """Seconds as 45 s, 12 min or 1 h 05 min."""
    count = int(round(count))
    if count < 120:
        return "%d s" % count
    return "%d min" % (count // 60) if count < 7200 else "%d h %02d min" % (count // 3600, count % 3600 // 60)
