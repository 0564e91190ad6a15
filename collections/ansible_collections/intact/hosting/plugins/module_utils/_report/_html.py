# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""The page: its first screen, and the order of the rest. Pure, from the model."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._report import _course, _migration, _parts, _rollback, _style, _svg, _watch
from ansible_collections.intact.hosting.plugins.module_utils._report._markup import Markup, join, tag
from ansible_collections.intact.hosting.plugins.module_utils._report._words import STAGES, count, day, duration, listing

TONES = {"INTACT": "intact", "LOSS": "loss", "FAILED": "failed", "STILL RUNNING": "running", "REFUSED": "refused"}
MOST_LOST = 12
MOST_BARS = 9


def page(model):
    """The whole report as one HTML text without any reference to elsewhere."""
    flight = model["flight"]
    title = "%s: %s" % (flight["id"], model["verdict"]["word"])
    chart = _svg.timeline(model)
    body = [
        tag("header", tag("div", tag("strong", "Intact"), " flight report"), tag("div", "%s · %s" % (flight["id"], day(flight["opened"])))),
        tag(
            "main",
            verdict(model),
            tiles(model),
            tag("div", away(model), stages(model), cls="pair"),
            lost(model),
            contents(model, chart),
            _parts.timeline(model, chart),
            _course.section(model),
            _rollback.section(model["rollback"]),
            _migration.section(model),
            _watch.section(model["watch"]),
            _parts.findings(model),
            _parts.sections(model),
            _parts.proofs(model),
            _parts.residue(model),
            _parts.environment(model),
            _parts.journal(model),
        ),
        tag("footer", "Drawn %s from the flight's own files. The same as data: report.json; as text: report.txt. All times are UTC." % day(model["made"])),
    ]
    head = [
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("meta", http_equiv="Content-Security-Policy", content="default-src 'none'; style-src 'unsafe-inline'"),
        tag("title", title),
        tag("style", Markup(_style.sheet())),
    ]
    return "<!DOCTYPE html>\n" + tag("html", tag("head", head), tag("body", body), lang="en") + "\n"


def verdict(model):
    """The answer, why, and what a reader must know besides."""
    found = model["verdict"]
    return tag(
        "section",
        tag("h1", found["word"], id="verdict"),
        tag("p", found["sentence"], cls="sentence"),
        tag("ul", [tag("li", reason) for reason in found["reasons"][:6]]) if found["reasons"] else None,
        tag("ul", [tag("li", caveat) for caveat in model["caveats"]], cls="caveats") if model["caveats"] else None,
        cls="verdict " + TONES[found["word"]],
    )


def tile(label, value, note, tone=""):
    """One number with what it means."""
    return tag("div", tag("div", label, cls="label"), tag("div", value, cls="value " + tone), tag("div", note, cls="note"), cls="tile")


def tiles(model):
    """Lost, longest outage, time against budget, compared."""
    flight = model["flight"]
    return tag(
        "section",
        lost_tile(model),
        outage_tile(model["outages"]),
        tile(
            "Took",
            duration(flight["seconds"]) if flight["seconds"] is not None else "unknown",
            took(model),
            "bad" if flight["over_budget"] else "",
        ),
        compared_tile(model),
        cls="tiles",
    )


def took(model):
    """What the time is held against."""
    budget, expected = model["flight"]["budget_seconds"], model["estimate"]
    words = "of a budget of %s" % duration(budget) if budget else "no budget was set"
    return words + ("; %s expected" % duration(expected["total"]) if expected else "")


def lost_tile(model):
    """How many things are lost; not a zero while nobody compared."""
    if model["lost"]:
        return tile("Lost or changed", count(len(model["lost"]), "thing"), "listed below", "bad")
    if not model["compared"]:
        return tile("Lost or changed", "not known", "no comparison was made", "warn")
    return tile("Lost or changed", "nothing", "of what was compared", "good" if model["verdict"]["word"] == "INTACT" else "")


def outage_tile(outages):
    """The longest absence; not observed is never zero."""
    if not outages["observed"]:
        return tile("Longest outage", "not observed", "nobody watched from outside", "warn")
    gone = [t for t in outages["targets"] if t.get("total_seconds")]
    if not gone:
        if not outages["targets"]:
            return tile("Longest outage", "not known", "no service ever answered the observer", "warn")
        return tile("Longest outage", "none seen", "%s watched from outside" % count(len(outages["targets"]), "service"), "good")
    worst = max(gone, key=lambda t: t.get("longest") or 0)
    return tile(
        "Longest outage", duration(worst.get("longest")), "%s; %d of %d services were away" % (worst.get("name", "?"), len(gone), len(outages["targets"]))
    )


def compared_tile(model):
    """How much of the host was held against its earlier self."""
    rows = model["sections"]
    if not rows:
        return tile("Compared", "nothing", "there is no comparison", "warn")
    looked = [r for r in rows if r["status"] in ("ok", "partial", "absent")]
    allowed = sum(r["allowed"] for r in rows)
    return tile(
        "Compared",
        "%d of %d" % (len(looked), len(rows)),
        "sections; %s" % ("%s allowed by rules" % count(allowed, "change") if allowed else "no change"),
        "" if len(looked) == len(rows) else "warn",
    )


def bar_row(name, share, value, cls=""):
    """Three cells: name, bar, value. share: 0 to 1."""
    return [
        tag("div", name, cls="name"),
        tag("div", tag("i", style="width:%.1f%%" % (100 * min(1.0, share))) if share else None, cls="bar " + cls),
        tag("div", value, cls="num"),
    ]


def away(model):
    """Outage per service, worst first."""
    outages = model["outages"]
    title = tag("h3", "Service away, as seen from outside")
    if not outages["observed"]:
        return tag(
            "section",
            title,
            tag("p", "Not observed. Without an observer outside of the host nobody can say how long customers were without service.", cls="muted"),
            cls="panel",
        )
    gone = [t for t in outages["targets"] if t.get("total_seconds")]
    fine = [t for t in outages["targets"] if not t.get("total_seconds")]
    most = max([t["total_seconds"] for t in gone] or [1])
    rows = [
        bar_row(t["name"], t["total_seconds"] / most, outage_words(t), "planned" if t.get("maintenance_seconds") == t["total_seconds"] else "away")
        for t in gone
    ]
    return tag(
        "section",
        title,
        tag("div", rows[:MOST_BARS], cls="bars") if rows else None,
        tag("details", tag("summary", "%s more" % count(len(rows) - MOST_BARS, "service")), tag("div", rows[MOST_BARS:], cls="bars"))
        if len(rows) > MOST_BARS
        else None,
        tag("p", "No outage seen: %s." % listing([t["name"] for t in fine], 6), cls="muted small") if fine else None,
        tag("p", "Asked every %s." % intervals(outages["targets"]), cls="muted small") if outages["targets"] else None,
        cls="panel",
    )


def outage_words(target):
    """12 s in 2 outages, still away."""
    outages = target.get("outages") or []
    words = duration(target["total_seconds"])
    if len(outages) > 1:
        words += " (%d×)" % len(outages)
    if any(o.get("open") for o in outages):
        words += ", still away"
    return words


def intervals(targets):
    """0.2 s, or 0.2 to 3.1 s, by service: as it really was, which on a slow page is longer than what was asked for."""
    values = sorted(float(t.get("seconds_per_poll") or t.get("interval") or 0) for t in targets)
    first, last = "%.2g" % values[0], "%.2g" % values[-1]
    return "%s s" % first if first == last else "%s to %s s, by service" % (first, last)


def stages(model):
    """Stages against their budgets."""
    title = tag("h3", "Stages against budget")
    if not model["stages"]:
        return tag("section", title, tag("p", "No stage was started.", cls="muted"), cls="panel")
    order = sorted(model["stages"], key=lambda s: (not (s["running"] or s["result"] == "failed"), not s["over"], -(s["spent"] or 0)))
    rows = [stage_bar(s) for s in order]
    return tag(
        "section",
        title,
        tag("div", rows[:MOST_BARS], cls="bars"),
        tag("details", tag("summary", "%s more" % count(len(rows) - MOST_BARS, "stage")), tag("div", rows[MOST_BARS:], cls="bars"))
        if len(rows) > MOST_BARS
        else None,
        tag("p", "A full bar is the stage's whole budget.", cls="muted small") if any(s["budget"] for s in model["stages"]) else None,
        expected(model),
        cls="panel",
    )


def expected(model):
    """What was expected before the work, and from what."""
    found = model["estimate"]
    if not found:
        return None
    words = "Expected before the work: %s (%s to %s)." % (duration(found["total"]), duration(found["low"]), duration(found["high"]))
    return tag("details", tag("summary", words), tag("ul", [tag("li", text) for text in found["basis"] or []], cls="plain small"))


def stage_bar(stage):
    """One stage."""
    words = duration(stage["spent"])
    if stage["budget"]:
        words += " of %s" % duration(stage["budget"])
    elif stage["expected"] is not None:
        words += " (%s expected)" % duration(stage["expected"])
    if stage["result"] == "failed" or stage["running"]:
        words += ", failed" if stage["result"] == "failed" else ", running"
    tone = "over" if stage["over"] or stage["result"] == "failed" else ""
    share = (stage["spent"] or 0) / stage["budget"] if stage["budget"] else 0
    return bar_row(STAGES.get(stage["stage"], stage["stage"]), share, words, tone)


def lost(model):
    """What is gone, by name."""
    if not model["lost"]:
        return None
    rows = [tag("article", _parts.head(f), tag("p", f.get("evidence"), cls="small") if f.get("evidence") else None, cls="finding") for f in model["lost"]]
    return tag(
        "section",
        tag("h2", "Lost or changed"),
        tag(
            "div",
            rows[:MOST_LOST],
            tag("details", tag("summary", "%d more" % (len(rows) - MOST_LOST)), rows[MOST_LOST:]) if len(rows) > MOST_LOST else None,
            cls="panel",
        ),
    )


def contents(model, chart):
    """Where to read on."""
    maybe = [("timeline", "Timeline", chart), ("way", "On the way", _course.lines(model)), ("rollback", "Way back", model["rollback"])]
    links = [(anchor, label) for anchor, label, there in maybe if there] + [
        ("findings", "Findings and waivers"),
        ("sections", "Before and after"),
        ("proofs", "Proofs"),
        ("residue", "Configuration residue"),
        ("environment", "Environment"),
        ("journal", "Journal"),
    ]
    return tag("nav", join([tag("a", label, href="#" + anchor) for anchor, label in links]))
