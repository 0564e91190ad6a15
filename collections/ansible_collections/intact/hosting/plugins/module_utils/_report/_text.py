# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""The report as text that fits a terminal of 100 columns. Pure, from the model."""

from __future__ import annotations

import textwrap

from ansible_collections.intact.hosting.plugins.module_utils._report import _course, _migration, _rollback, _watch
from ansible_collections.intact.hosting.plugins.module_utils._report._html import intervals, outage_words
from ansible_collections.intact.hosting.plugins.module_utils._report._parts import figures
from ansible_collections.intact.hosting.plugins.module_utils._report._svg import marks
from ansible_collections.intact.hosting.plugins.module_utils._report._words import clock, count, day, duration, listing, visible

WIDTH = 100
MOST = 40


def wrap(text, first="", rest=None):
    """Lines of at most WIDTH columns."""
    rest = " " * len(first) if rest is None else rest
    flat = " ".join(visible(text).split())
    return textwrap.wrap(flat, WIDTH, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False) or [first.rstrip()]


def heading(text):
    return ["", text, "-" * len(text)]


def gauge(spent, budget, width=20):
    """A bar of # with the share of the budget."""
    if not budget:
        return " " * width
    filled = min(width, int(round(width * (spent or 0) / budget)))
    return "#" * filled + "." * (width - filled)


def columns(name, middle, right):
    """Three columns in one line."""
    name = " ".join(visible(name).split())
    return ("%-40s %-20s %s" % (name if len(name) <= 40 else name[:39] + "…", middle, right))[:WIDTH].rstrip()


def report(model):
    """The whole report as text."""
    flight, verdict = model["flight"], model["verdict"]
    lines = ["Intact flight report   %s   %s" % (flight["id"], day(flight["opened"])), ""]
    lines += wrap(verdict["sentence"], "%s  " % verdict["word"])
    for reason in verdict["reasons"]:
        lines += wrap(reason, "  - ", "    ")
    for caveat in model["caveats"]:
        lines += wrap(caveat, "  ! ", "    ")
    lines += heading("Lost or changed")
    lines += lost(model)
    lines += heading("Service away, as seen from outside")
    lines += away(model["outages"])
    lines += heading("Stages against budget")
    lines += stages(model)
    for title, told in (("On the way", _course.lines(model)), ("Way back", _rollback.lines(model["rollback"]) if model["rollback"] else [])):
        if told:
            lines += heading(title)
            lines += [part for line in told for part in wrap(line.strip(), line[: len(line) - len(line.lstrip())], "    ")]
    if model["watch"]:
        lines += heading("Watch after the work")
        lines += _watch.lines(model["watch"])
    lines += heading("Gates, decisions, proofs")
    for mark in marks(model):
        lines += wrap(mark["text"], clock(mark["time"]) + "  ")
    if not marks(model):
        lines.append("none")
    for name, title in (("postflight", "Findings after the work"), ("preflight", "Findings before the work")):
        lines += heading(title)
        decided = any(gate["name"] == name for gate in model["gates"]) or model["findings"][name] or model["checks"][name]
        lines += findings(model["findings"][name]) if decided else ["this gate did not decide"]
    if model["migration"]:
        lines += heading("Migration")
        lines += _migration.lines(model)
    if model["contacts"]:
        lines += heading("Contacts")
        lines += contacts(model)
    lines += heading("Before and after")
    lines += sections(model)
    return "\n".join(line.rstrip() for line in lines) + "\n"


def lost(model):
    """Names of what is gone, or that nothing is, or that it is not known."""
    if not model["lost"]:
        return ["nothing of what was compared" if model["compared"] else "not known: no comparison was made"]
    out = []
    for finding in model["lost"][:MOST]:
        out += wrap("%s: %s" % (finding.get("subject", "?"), finding.get("title", "")), "  - ", "    ")
    return out + (["  and %d more in report.json" % (len(model["lost"]) - MOST)] if len(model["lost"]) > MOST else [])


def away(outages):
    """One line per service that was away."""
    if not outages["observed"]:
        return ["not observed"]
    gone = [t for t in outages["targets"] if t.get("total_seconds")]
    most = max([t["total_seconds"] for t in gone] or [1])
    out = [columns(t["name"], gauge(t["total_seconds"], most).replace(".", " "), outage_words(t)) for t in gone[:MOST]]
    if len(gone) > MOST:
        out.append("%d more in report.json" % (len(gone) - MOST))
    fine = [t["name"] for t in outages["targets"] if not t.get("total_seconds")]
    if fine:
        out += wrap("no outage seen: " + listing(fine, 8))
    if outages["silent"]:
        out += wrap("never answered the observer: " + listing([t.get("name", "?") for t in outages["silent"]], 8))
    return out + (["asked every %s" % intervals(outages["targets"])] if outages["targets"] else [])


def stages(model):
    """One line per stage."""
    out = []
    for stage in model["stages"]:
        words = duration(stage["spent"])
        if stage["budget"]:
            words += " of %s%s" % (duration(stage["budget"]), ", over" if stage["over"] else "")
        elif stage["expected"] is not None:
            words += ", %s expected" % duration(stage["expected"])
        if stage["result"] != "ok":
            words += ", %s" % ("running" if stage["running"] else stage["result"])
        out.append(columns(stage["stage"], gauge(stage["spent"], stage["budget"]), words))
    flight = model["flight"]
    if flight["seconds"] is not None:
        out.append(
            columns(
                "the whole flight",
                gauge(flight["seconds"], flight["budget_seconds"]),
                duration(flight["seconds"]) + (" of %s" % duration(flight["budget_seconds"]) if flight["budget_seconds"] else ""),
            )
        )
    if model["estimate"]:
        out += wrap(expected(model))
    return out or ["no stage was started"]


def expected(model):
    """What was expected before the work, in a sentence."""
    found = model["estimate"]
    return "expected before the work: %s (%s to %s)%s" % (
        duration(found["total"]),
        duration(found["low"]),
        duration(found["high"]),
        ", and %s for the way back" % duration(found["rollback"]) if found["rollback"] else "",
    )


def contacts(model):
    """One line per person."""
    return [line for c in model["contacts"] for line in wrap(", ".join(str(c[k]) for k in ("name", "role", "phone", "mail") if c.get(k)), "  ", "    ")]


def findings(entries):
    """Blockers, warnings and waived ones with evidence and remedy; notes are counted."""
    out, notes = [], 0
    for entry in entries:
        if entry.get("severity") == "info" and entry.get("status", "open") == "open":
            notes += 1
            continue
        word = "waived" if entry.get("status") == "waived" else {"blocker": "BLOCK", "warning": "warn"}.get(entry.get("severity"), "note")
        out += wrap("%s  %s%s" % (entry.get("id", ""), entry.get("subject", ""), " [%s]" % entry["check"] if entry.get("check") else ""), "%-6s " % word)
        for label, text in (("", entry.get("title")), ("seen: ", entry.get("evidence")), ("do: ", "" if word == "waived" else entry.get("remedy"))):
            if text:
                out += wrap(label + text, " " * 7, " " * 9)
        if entry.get("waiver"):
            w = entry["waiver"]
            out += wrap("%s by %s until %s: %s" % (entry.get("status"), w.get("who"), w.get("expires"), w.get("reason")), " " * 7, " " * 9)
        if entry.get("consequences"):
            out.append("       explains %s more" % count(len(entry["consequences"]), "finding"))
    if notes:
        out.append("%s in report.json" % count(notes, "note"))
    return out or ["none"]


def sections(model):
    """One line per section."""
    out = []
    for row in model["sections"]:
        left = row["changes"] - row["allowed"]
        state = (
            row["status"]
            if row["status"] in ("off", "failed", "missing")
            else count(left, "finding")
            if left
            else "%d allowed" % row["allowed"]
            if row["allowed"]
            else "equal"
        )
        out += wrap(figures(row), "%-12s %-14s " % (row["section"], state))
    return out or ["no comparison was made"]
