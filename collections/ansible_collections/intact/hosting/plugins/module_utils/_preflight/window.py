# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Does the maintenance window hold the upgrade and the way back (PF53)."""

from __future__ import annotations

import datetime

from ansible_collections.intact.hosting.plugins.module_utils import _budget, _flight
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _estimate, _history, _measure


def settings(options):
    """(start or None, end or None, budget seconds, whether the work begins now) of the options, or IntactError."""
    window = options.get("window") or {}
    start, end = _budget.moment(window.get("start"), "intact_window_start"), _budget.moment(window.get("end"), "intact_window_end")
    if start and end and end <= start:
        raise IntactError("intact_window_end (%s) is not after intact_window_start (%s)" % (window["end"], window["start"]))
    return start, end, int(window.get("budget_seconds") or 0), bool(window.get("takeoff"))


def estimated(context):
    """The estimate for this host and plan, worked out once."""

    def make():
        measures = dict(context.once("measures", lambda: _measure.take(context.cache)))
        held = ((context.section("files").get("data") or {}).get("summary") or {}).get("bytes")
        if isinstance(held, (int, float)):
            measures["data_bytes"] = held
        measures["look_seconds"] = context.baseline.get("seconds") or 0
        options = context.options
        history = context.once("history", lambda: _history.entries(options.get("flights_root") or _flight.FLIGHTS, own=True))
        known = {entry["flight"] for entry in history}
        history = history + [entry for entry in options.get("history") or [] if entry.get("flight") not in known]
        chosen = {"rollback": dict(options.get("rollback") or {}, seconds=options.get("rollback_seconds") or 0)}
        return dict(_estimate.estimate(context.plan, measures, history, chosen), release_path=context.plan.get("release_path", ""))

    return context.once("estimate", make)


def left(start, end, budget, now):
    """(seconds that the work has or None, what bounds it). The window's end and the budget both bind; the smaller counts."""
    bounds = []
    if end:
        bounds.append((max(0, int((end - max(now, start or now)).total_seconds())), "the window until %s" % end.strftime("%Y-%m-%d %H:%M UTC")))
    if budget:
        bounds.append((budget, "the budget"))
    return min(bounds) if bounds else (None, "")


def _finding(ident, severity, title, evidence, remedy="", **details):
    return Finding(id="window." + ident, severity=severity, subject="maintenance window", title=title, evidence=evidence, remedy=remedy, details=details)


def fits(context, now=None):
    """PF53: the window holds the upgrade at its longest, and the way back after it."""
    now = now or datetime.datetime.now(datetime.timezone.utc)
    start, end, budget, takeoff = settings(context.options)
    if not context.plan:
        return [_finding("unknown", "info", "not judged: there is no plan, so nobody knows how long the upgrade takes", "see the findings of the plan")]
    found = estimated(context)
    evidence = "%s; %s" % (_estimate.words(found), "; ".join(found["basis"]))
    if takeoff and start and now < start:
        begins = start.strftime("%Y-%m-%d %H:%M UTC")
        return [_finding("closed", "blocker", "the window opens only at %s" % begins, evidence, "start again at %s, or correct intact_window_start" % begins)]
    if end and end <= now:
        shut = end.strftime("%Y-%m-%d %H:%M UTC")
        return [_finding("over", "blocker", "the window has been closed since %s" % shut, evidence, "agree on a new window and set intact_window_end")]
    seconds, bound = left(start, end, budget, now)
    if seconds is None:
        return [_finding("estimate", "info", "no window is set; the upgrade would take %s" % _estimate.words(found), "; ".join(found["basis"]))]
    needed = found["high"] + found["rollback"]
    span = "up to %s%s, %s are left" % (_budget.words(needed), " with the way back" if found["rollback"] else "", _budget.words(seconds))
    if needed > seconds:
        return [
            _finding(
                "short",
                "blocker",
                "the work does not fit into %s" % bound,
                "%s; %s" % (span, evidence),
                "start earlier or agree on a longer window (intact_window_end, intact_budget_seconds); a nearer mirror, and fewer packages, make it shorter",
                needed=needed,
                left=seconds,
            )
        ]
    return [
        _finding(
            "enough",
            "info",
            "the work fits into %s" % bound,
            "%s; %s" % (span, evidence),
            needed=needed,
            left=seconds,
        )
    ]
