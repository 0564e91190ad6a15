# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What happened on the way: hops, who said yes, stalls, warnings of the time that is used up, the dead man's alarm. Pure, from the journal."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils import _flight
from ansible_collections.intact.hosting.plugins.module_utils._report._markup import tag
from ansible_collections.intact.hosting.plugins.module_utils._report._words import count, day, duration, moment

DEAD_MAN = "dead man"
MOST = 60


def stalls(events):
    """When a package command showed no sign of work, and when it moved again: [{time, text}]."""
    return [{"time": e.get("time", ""), "text": e.get("text") or ""} for e in events if e["event"] == "note" and e.get("about") == "stall"]


def warnings(events):
    """What was told as the flight's time was used up: [{time, percent, spent, budget, text}]."""
    keys = ("time", "percent", "spent", "budget", "text")
    return [{key: e.get(key) for key in keys} for e in events if e["event"] == "runner.budget"]


def alarms(events):
    """What the dead man said when no verdict came in time: [{time, text}]."""
    return [{"time": e.get("time", ""), "text": e.get("text") or ""} for e in events if e["event"] == "alarm" and e.get("source") == DEAD_MAN]


def hops(events, documents, ended):
    """Each release of a flight over several: [{number, source, target, begun, ended, seconds, preflight, postflight, allowed, sections}]; [] for one.

    documents: {number: {preflight, postflight, comparison}}; preflight and postflight are {go, counts}, None when that gate did not decide.
    """
    marks = [e for e in events if e["event"] in ("flight.open", "flight.hop")]
    if not any(e["event"] == "flight.hop" for e in marks):
        return []
    out = []
    for index, entry in enumerate(marks):
        following = marks[index + 1] if index + 1 < len(marks) else None
        number = entry.get("number") or 1
        end = following["time"] if following else ended
        within = [e for e in events if e["time"] >= entry["time"] and (not following or e["time"] < following["time"])]
        comparison = (documents.get(number) or {}).get("comparison") or {}
        row = {
            "number": number,
            "source": entry.get("source") or "",
            # A flight is opened with its last target; where its first hop ends the next one says.
            "target": (following.get("source") if following else entry.get("target")) or "",
            "begun": entry["time"],
            "ended": end,
            "seconds": max(0.0, _flight.seconds_between(entry["time"], end)) if moment(entry["time"]) and moment(end) else None,
            "sections": len(comparison.get("sections") or []),
            "allowed": len(comparison.get("allowed") or []),
        }
        for name in ("preflight", "postflight"):
            gates = [e for e in within if e["event"] == "gate" and e.get("name") == name]
            row[name] = {"go": bool(gates[-1].get("go")), "counts": gates[-1].get("counts") or {}} if gates else None
        out.append(row)
    return out


def waivers(documents, last):
    """Waivers of the hops before the last one: what somebody answered for counts for the whole flight."""
    return [
        dict(f["waiver"], status=f.get("status", ""), gate="%s (hop %d)" % (name, number), title=f.get("title", ""), finding_subject=f.get("subject", ""))
        for number, found in sorted(documents.items())
        if number < last
        for name in ("postflight", "preflight")
        for f in (found.get(name) or {}).get("findings") or []
        if f.get("waiver")
    ]


def caveats(model):
    """What the first screen must say of it."""
    out = []
    began = [s for s in model["stalls"] if not s["text"].startswith("it moves again")]
    if began:
        out.append("%s that a package command showed no sign of work: see On the way." % count(len(began), "time"))
    if model["alarms"]:
        out.append("The dead man's alarm: %s." % model["alarms"][0]["text"].rstrip("."))
    return out


def said(gate):
    """A gate in two words."""
    if gate is None:
        return "did not decide"
    waived = gate["counts"].get("waived")
    return ("go" if gate["go"] else "no go") + (", %d waived" % waived if waived else "")


def told(model):
    """Stalls, warnings and alarms in order of time: [(time, text)]."""
    rows = [(s["time"], "Stall: %s" % s["text"]) for s in model["stalls"]]
    rows += [(w["time"], "Time: %s" % w["text"]) for w in model["budget_warnings"]]
    rows += [(a["time"], "Alarm: %s" % a["text"]) for a in model["alarms"]]
    return sorted((row for row in rows if moment(row[0])), key=lambda row: row[0])


def hop_line(row):
    """A hop in a line."""
    looked = "; %s compared, %s" % (count(row["sections"], "section"), count(row["allowed"], "change allowed", "changes allowed")) if row["sections"] else ""
    return "%s to %s in %s; pre-flight %s, post-flight %s%s" % (
        row["source"],
        row["target"],
        duration(row["seconds"]),
        said(row["preflight"]),
        said(row["postflight"]),
        looked,
    )


def lines(model):
    """As text; [] when there is nothing to tell."""
    out = ["hop %d: %s" % (row["number"], hop_line(row)) for row in model["hops"]]
    for c in model["confirmations"]:
        out.append("confirmed before %s: asked %s, said by %s (%s), %s" % (c["before"], c["who"], c["by"], c["how"], day(c["time"])))
    out += ["%s: %s" % (day(when), text) for when, text in told(model)[:MOST]]
    left = len(told(model)) - MOST
    return out + (["and %d more in report.json" % left] if left > 0 else [])


def section(model):
    """As a part of the page; None when there is nothing to tell."""
    if not lines(model):
        return None
    yes = [
        tag(
            "tr",
            tag("td", c["before"]),
            tag("td", c["who"]),
            tag("td", c["by"]),
            tag("td", c["how"]),
            tag("td", day(c["time"]), cls="num"),
        )
        for c in model["confirmations"]
    ]
    heads = tag("thead", tag("tr", [tag("th", h) for h in ("Before", "Asked", "Said yes", "How", "When")]))
    events = told(model)
    return tag(
        "section",
        tag("h2", "On the way"),
        tag(
            "div",
            tag("h3", "Releases") if model["hops"] else None,
            tag("ul", [tag("li", "%d. %s" % (row["number"], hop_line(row))) for row in model["hops"]], cls="plain") if model["hops"] else None,
            [tag("h3", "Confirmations"), tag("div", tag("table", heads, tag("tbody", yes)), cls="scroll")] if yes else None,
            [
                tag("h3", "Stalls, time, alarms"),
                tag("ul", [tag("li", "%s: %s" % (day(when), text)) for when, text in events[:MOST]], cls="plain"),
                tag("p", "%d more in report.json" % (len(events) - MOST), cls="muted small") if len(events) > MOST else None,
            ]
            if events
            else None,
            cls="panel",
        ),
        id="way",
    )
