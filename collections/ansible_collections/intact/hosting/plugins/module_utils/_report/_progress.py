# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What the operator's terminal shows while a flight is under way: pure, from progress.json."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils import _budget
from ansible_collections.intact.hosting.plugins.module_utils._report._words import STAGES, duration, moment, visible

QUIET = 30.0  # seconds between two plain lines of the same stage


class Pace:
    """How fast a stage goes, for its end: samples of (seconds, done) of one stage."""

    def __init__(self):
        self.stage = self.began = None
        self.first = self.last = None

    def enter(self, stage, now):
        """Note since when a stage is seen."""
        if self.began is None or stage != self.began[0]:
            self.began = (stage, now)

    def add(self, stage, done, now, held=False):
        """Take one look in. now: seconds of any steady clock. held: the stage waits for the operator, which is no time of its own."""
        if held:
            self.began = (stage, now)
        self.enter(stage, now)
        if done is None:
            return
        if stage != self.stage or (self.last and done < self.last[1]):
            self.stage, self.first, self.last = stage, (now, done), (now, done)
        elif done > self.last[1]:
            self.last = (now, done)

    def left(self, total, now):
        """Seconds until done reaches total at the pace so far, or None while nobody can tell."""
        if not total or not self.first or self.last[1] - self.first[1] < 3 or self.last[0] - self.first[0] < 3:
            return None
        each = (self.last[0] - self.first[0]) / (self.last[1] - self.first[1])
        return max(0.0, (total - self.last[1]) * each - (now - self.last[0]))


def _number(value):
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def seconds_since(stamp, now):
    """Seconds from one of our stamps to now (a datetime), or None."""
    when = moment(stamp)
    return max(0.0, (now - when).total_seconds()) if when else None


def facts(state, pace, now, steady):
    """The pieces of a line, the most wanted first. now: UTC datetime; steady: seconds of the clock that pace was fed with."""
    stage, status = str(state.get("stage") or ""), state.get("status") or "running"
    held = status == "running" and bool(state.get("held"))
    order = [name for name in state.get("order") or [] if isinstance(name, str)]
    place = " %d/%d" % (order.index(stage) + 1, len(order)) if stage in order else ""
    out = [(STAGES.get(stage, stage) or "starting") + place]
    if status == "waiting-reboot":
        out = ["waiting for the host to come back" + place]
    elif held:
        out = ["held before " + out[0]]
    elif status != "running":
        out = ["%s%s" % (status, " in " + stage if status == "failed" and stage else "")]
    out.append(against(seconds_since(state.get("opened") or state.get("started"), now), allowed(state)))
    budget = _number((state.get("budgets") or {}).get(stage))
    if status == "running" and not held and budget and pace.began:
        out.append("stage " + against(steady - pace.began[1], budget))
    done, total = _number(state.get("done")), _number(state.get("total"))
    if status == "running" and total:
        out.append("%d of %d %s" % (done or 0, total, state.get("unit") or "packages"))
        left = pace.left(total, steady)
        if left is not None:
            out.append("about %s left" % duration(round(left) or 1))
    if state.get("reachable") is False:
        out.append("no answer from the host, it %s" % ("waits as asked" if held else "works on"))
    elif status == "running" and state.get("message"):
        out.append(str(state["message"]))
    return [visible(" ".join(part.split())) for part in out if part]


def allowed(state):
    """Seconds that the flight has: until its window closes when that is known, else its budget; None when nothing bounds it."""
    return _number(state.get("budget")) or _number(state.get("budget_seconds"))


def against(spent, budget):
    """2 min of 1 h, or how far over."""
    if spent is None:
        return ""
    if not budget:
        return duration(round(spent))
    if spent > budget:
        return "%s, OVER BUDGET by %s" % (duration(round(spent)), duration(round(spent - budget) or 1))
    return "%s of %s" % (duration(round(spent)), duration(budget))


def gauge(state, width=16):
    """[####----] of done and total, or nothing."""
    done, total = _number(state.get("done")), _number(state.get("total"))
    if not total:
        return ""
    filled = max(0, min(width, int(width * (done or 0) / total)))
    return "[" + "#" * filled + "-" * (width - filled) + "]"


def live(state, pace, now, steady, width):
    """One line for a terminal of width columns."""
    pieces = facts(state, pace, now, steady)
    head = "%s  %s" % (visible(state.get("host") or "?"), pieces[0])
    text = "  ".join(part for part in [head, gauge(state) if state.get("status", "running") == "running" else ""] + pieces[1:] if part)
    return text if len(text) < width else text[: max(0, width - 2)] + "…"


def plain(state, pace, now, steady):
    """One line for a log."""
    return "%s: %s" % (visible(state.get("host") or "?"), ", ".join(facts(state, pace, now, steady)))


class Teller:
    """Decides when a plain line is due: when stage, status, hold or reachability change, else at most every QUIET seconds."""

    def __init__(self):
        self.told = {}
        self.warned = {}

    def warning(self, state, now):
        """The sentence about a part of the time that is used up since the last look, "" when there is none. now: UTC datetime."""
        host, spent, budget = state.get("host"), seconds_since(state.get("opened") or state.get("started"), now), allowed(state)
        percent = _budget.due(spent, budget, self.warned.get(host, 0)) if spent is not None and budget else 0
        if not percent:
            return ""
        self.warned[host] = percent
        return "%s: %s" % (visible(host or "?"), visible(_budget.sentence(percent, spent, budget, state.get("stage") or "")))

    def due(self, state, steady):
        """Whether to tell this state now."""
        key = (state.get("stage"), state.get("status"), state.get("reachable"), bool(state.get("held")))
        before = self.told.get(state.get("host"))
        if before and before[0] == key and steady - before[1] < QUIET:
            return False
        self.told[state.get("host")] = (key, steady)
        return True
