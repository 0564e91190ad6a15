# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""The timeline, drawn: stages as bars, outages beneath, gates and decisions as numbered marks, UTC. Pure."""

from __future__ import annotations

import datetime

from ansible_collections.intact.hosting.plugins.module_utils._report._markup import tag
from ansible_collections.intact.hosting.plugins.module_utils._report._words import STAGES, clock, count, duration, moment

WIDTH, LEFT, RIGHT, ROW, PIN = 1080, 210, 76, 22, 18
LANES = 6
STEPS = (5, 10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400, 604800)
MOST_TARGETS = 24


def ticks(first, last, most=9):
    """Round moments between two datetimes, and the step in seconds."""
    span = max(1.0, (last - first).total_seconds())
    step = next((s for s in STEPS if span / s <= most), STEPS[-1])
    start = int(first.timestamp() // step + 1) * step
    stamps = []
    while start <= last.timestamp():
        stamps.append(datetime.datetime.fromtimestamp(start, datetime.timezone.utc))
        start += step
    return stamps, step


def marks(model):
    """Gates, decisions and proofs in order of time: [{number, time, cls, text}]."""
    found = []
    for gate in model["gates"]:
        counts = gate.get("counts") or {}
        found.append(
            (
                gate["time"],
                "go" if gate["go"] else "no",
                "Gate %s: %s (%s, %s, %d waived)"
                % (
                    gate["name"],
                    "go" if gate["go"] else "no go",
                    count(counts.get("blocker", 0), "blocker"),
                    count(counts.get("warning", 0), "warning"),
                    counts.get("waived", 0),
                ),
            )
        )
    for entry in model["decisions"]:
        found.append((entry["time"], "", "Decision: %s (%s: %s)" % (entry["what"], entry["who"], entry["why"])))
    for entry in model["proofs"]:
        if entry["kind"] == "proof":
            found.append((entry["time"], "", "Proof: %s" % entry["name"]))
    for entry in model["confirmations"]:
        found.append((entry["time"], "", "Confirmed before %s: %s, by %s (%s)" % (entry["before"], entry["who"], entry["by"], entry["how"])))
    for row in model["hops"][1:]:
        found.append((row["begun"], "", "Next release: %s to %s" % (row["source"], row["target"])))
    for entry in model["budget_warnings"] + model["alarms"]:
        found.append((entry["time"], "no", entry["text"] or ""))
    for alarm in (model["watch"] or {}).get("alarms", []):
        found.append((alarm["raised"], "no", "Alarm: %s: %s" % (alarm["subject"], alarm["title"])))
    found = sorted((f for f in found if moment(f[0])), key=lambda f: f[0])
    return [{"number": index + 1, "time": when, "cls": cls, "text": text} for index, (when, cls, text) in enumerate(found)]


class Scale:
    """Moments to x coordinates."""

    def __init__(self, first, last):
        self.first = first
        self.span = max(1.0, (last - first).total_seconds())

    def __call__(self, text):
        when = moment(text)
        share = ((when - self.first).total_seconds() / self.span) if when else 0.0
        return round(LEFT + min(1.0, max(0.0, share)) * (WIDTH - LEFT - RIGHT), 1)


def bounds(model):
    """First and last moment that the drawing covers, or None."""
    times = [moment(model["flight"]["opened"]), moment(model["flight"]["ended"])]
    for stage in model["stages"]:
        times += [moment(stage["start"]), moment(stage["end"])]
    times = [t for t in times if t]
    return (min(times), max(times)) if times else None


def timeline(model):
    """The drawing as markup, or None when there is nothing to draw."""
    span = bounds(model)
    if not span or not model["stages"]:
        return None
    scale = Scale(*span)
    seen = [t for t in model["outages"]["targets"] if t.get("outages")][:MOST_TARGETS]
    rows = [stage_row(s, scale, model["flight"]["ended"]) for s in model["stages"]]
    placed = lanes(marks(model), scale)
    parts, y = [], 28 + PIN * (max([lane for _x, lane, _mark in placed] or [0]) + 1)
    for row in rows:
        parts += row(y)
        y += ROW
    if seen:
        y += 14
        parts.append(tag("text", "Away, as seen from outside", x=0, y=y + 8, cls="dim"))
        y += 20
        for target in seen:
            parts += target_row(target, scale, y)
            y += ROW
    return tag(
        "svg",
        axis(scale, span, y),
        parts,
        pins(placed, y),
        cls="timeline",
        viewBox="0 0 %d %d" % (WIDTH, y + 6),
        role="img",
        aria_label="Timeline of the flight: stages, and outages per service beneath",
    )


def axis(scale, span, bottom):
    """Vertical lines at round times, named above."""
    stamps, step = ticks(*span)
    days = span[0].date() != span[1].date()
    form = "%d %b %H:%M" if days else "%H:%M:%S" if step < 60 else "%H:%M"
    out = [tag("text", "UTC", x=0, y=14, cls="dim")]
    for stamp in stamps:
        x = scale(stamp.isoformat())
        out.append(tag("line", x1=x, x2=x, y1=20, y2=bottom, cls="grid"))
        out.append(tag("text", stamp.strftime(form), x=x, y=14, text_anchor="middle", cls="dim"))
    return out


def stage_row(stage, scale, now):
    """A function that draws a stage at a height."""
    end = stage["end"] or now
    x1, x2 = scale(stage["start"]), scale(end)
    result = "running" if stage["running"] else stage["result"] or "running"
    label = STAGES.get(stage["stage"], stage["stage"])
    hint = "%s (%s): %s to %s, %s%s" % (
        label,
        stage["stage"],
        clock(stage["start"]),
        clock(end),
        duration(stage["spent"]),
        ", " + stage["note"] if stage.get("note") else "",
    )

    def draw(y):
        return [
            tag("rect", x=LEFT, y=y + 5, width=WIDTH - LEFT - RIGHT, height=12, rx=3, cls="lane"),
            tag("text", label[:34], x=0, y=y + 15),
            tag("rect", x=x1, y=y + 5, width=max(2.0, round(x2 - x1, 1)), height=12, rx=2, cls=result if result in ("ok", "failed", "skipped") else "running"),
            tag("text", duration(stage["spent"]), x=WIDTH - RIGHT + 8, y=y + 15, cls="dim"),
            tag("g", tag("title", hint), tag("rect", x=LEFT, y=y, width=WIDTH - LEFT - RIGHT, height=ROW, fill="transparent")),
        ]

    return draw


def target_row(target, scale, y):
    """One service: its outages as bars, the sum at the right."""
    name = target.get("name", "?")
    out = [
        tag("rect", x=LEFT, y=y + 5, width=WIDTH - LEFT - RIGHT, height=12, rx=3, cls="lane"),
        tag("text", name if len(name) <= 34 else name[:33] + "…", x=0, y=y + 15),
        tag("text", duration(target.get("total_seconds")), x=WIDTH - RIGHT + 8, y=y + 15, cls="dim"),
    ]
    for outage in target["outages"]:
        x1, x2 = scale(outage["start"]), scale(outage["end"])
        hint = "%s: %s to %s, %s: %s" % (name, clock(outage["start"]), clock(outage["end"]), duration(outage["seconds"]), outage.get("reason", ""))
        out.append(
            tag(
                "g",
                tag("title", hint),
                tag("rect", x=x1, y=y + 5, width=max(2.0, round(x2 - x1, 1)), height=12, rx=2, cls="maint" if outage.get("maintenance") else "out"),
            )
        )
    return out


def lanes(found, scale):
    """[(x, lane, mark)]: marks that are close together go into lanes below each other, so that each stays legible."""
    out, ends = [], [-99.0] * LANES
    for mark in found:
        x = scale(mark["time"])
        lane = next((i for i, end in enumerate(ends) if x - end >= PIN), LANES - 1)
        ends[lane] = x
        out.append((x, lane, mark))
    return out


def pins(placed, bottom):
    """Numbered marks with a line down through the rows."""
    out = [tag("line", x1=x, x2=x, y1=32 + lane * PIN, y2=bottom, cls="mark") for x, lane, _mark in placed]
    for x, lane, mark in placed:
        y = 32 + lane * PIN
        out.append(
            tag(
                "g",
                tag("title", "%s %s" % (clock(mark["time"]), mark["text"])),
                tag("circle", cx=x, cy=y, r=8, cls="dot " + mark["cls"]),
                tag("text", mark["number"], x=x, y=y + 4, text_anchor="middle", font_size=10),
            )
        )
    return out
