# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""The report of a fleet: one page that opens on the worst host and leads to each flight's own. Model, page and text; only load() opens files."""

from __future__ import annotations

import os

from ansible_collections.intact.hosting.plugins.module_utils import _fleet, _flight
from ansible_collections.intact.hosting.plugins.module_utils._files import read_document
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._report import _style
from ansible_collections.intact.hosting.plugins.module_utils._report._markup import Markup, tag
from ansible_collections.intact.hosting.plugins.module_utils._report._words import count, day, duration, listing, visible

SCHEMA = 1
TONES = {
    "lost": "failed",
    "loss": "loss",
    "failed": "failed",
    "rolled-back": "failed",
    "open": "failed",
    "refused": "refused",
    "running": "running",
    "untouched": "running",
    "watched": "intact",
    "intact": "intact",
    "done": "intact",
}
WORDS = {
    "lost": "LOST",
    "loss": "LOSS",
    "failed": "FAILED",
    "rolled-back": "ROLLED BACK",
    "open": "IN THE MIDDLE",
    "refused": "REFUSED",
    "running": "RUNNING",
    "untouched": "UNTOUCHED",
    "watched": "INTACT, WATCHED",
    "intact": "INTACT",
    "done": "DONE BEFORE",
}
# What a state means for who reads it, where no flight's report says more.
MEANS = {
    "lost": "The controller lost it on the way. Nobody knows how it is: look at its console.",
    "refused": "Its pre-flight said no, so nothing of it was changed.",
    "untouched": "It was not begun: nothing of it was changed.",
    "running": "It is under way.",
    "done": "It runs the target release already.",
    "open": "Its flight is open in the middle: start the playbook again, it goes on there.",
}


def load(directory, flights):
    """{events, reports: {host: report.json or None}, links: {host: path of its report relative to directory, ""}} of a fleet."""
    events = _fleet.read(directory)
    if not _fleet.opening(events):
        raise IntactError("%s has no journal of a fleet: nothing is known of it, so no report can be drawn" % directory)
    reports, links = {}, {}
    for host, known in _fleet.outcomes(events).items():
        reports[host], links[host] = None, ""
        if not known["flight"] or not _flight.ID.match(known["flight"]):
            continue
        place = os.path.join(flights, known["flight"])
        try:
            reports[host] = read_document(os.path.join(place, "report.json"))
        except (OSError, ValueError):
            continue
        if os.path.exists(os.path.join(place, "report.html")):
            links[host] = os.path.relpath(os.path.join(place, "report.html"), directory)
    return {"events": events, "reports": reports, "links": links}


def host_row(name, known, report, link):
    """What the fleet's report says of one host."""
    report = report or {}
    flight, verdict, outages = report.get("flight") or {}, report.get("verdict") or {}, report.get("outages") or {}
    gone = [t for t in outages.get("targets") or [] if t.get("total_seconds")]
    worst = max(gone, key=lambda t: t.get("longest") or 0, default=None)
    return {
        "host": name,
        "state": known["state"],
        "word": WORDS[known["state"]],
        "wave": known["wave"],
        "reason": known["reason"] or MEANS.get(known["state"], ""),
        "sentence": verdict.get("sentence", ""),
        "lost": [f.get("subject", "") for f in report.get("lost") or []],
        "caveats": report.get("caveats") or [],
        "flight": known["flight"],
        "report": link,
        "seconds": flight.get("seconds"),
        "budget_seconds": flight.get("budget_seconds"),
        "over_budget": bool(flight.get("over_budget")),
        "expected": (report.get("estimate") or {}).get("total"),
        "outage": {"name": worst.get("name", ""), "longest": worst.get("longest")} if worst else None,
        "observed": bool(outages.get("observed")),
        "begun": known["begun"],
        "ended": known["ended"],
    }


def build(sources, fleet, made):
    """The model (fleet.json): {schema, made, fleet, word, sentence, stop, hosts: the worst first, waves, counts, opened, ended, contacts}."""
    events = sources["events"]
    begun, found = _fleet.opening(events), _fleet.outcomes(events)
    order = {host: number for number, host in enumerate(found)}
    rows = [host_row(host, known, sources["reports"].get(host), sources["links"].get(host, "")) for host, known in found.items()]
    rows.sort(key=lambda row: (_fleet.STATES.index(row["state"]), -len(row["lost"]), order[row["host"]]))
    counts = {state: sum(1 for row in rows if row["state"] == state) for state in _fleet.STATES}
    stops = [entry for entry in _fleet.run(events) if entry["event"] == "fleet.stop"]
    closed = any(entry["event"] == "fleet.close" for entry in events)
    people = {str(sorted(c.items())): c for report in sources["reports"].values() for c in (report or {}).get("contacts") or []}
    model = {
        "schema": SCHEMA,
        "made": made,
        "fleet": fleet,
        "opened": begun["time"],
        "ended": events[-1]["time"],
        "closed": closed,
        "asked": [str(size) for size in begun.get("waves") or []],
        "stop": stops[-1]["reason"] if stops and not closed else "",
        "hosts": rows,
        "waves": waves(events, found),
        "counts": {state: number for state, number in counts.items() if number},
        "contacts": list(people.values()),
    }
    model["word"], model["sentence"] = judge(model)
    return model


def waves(events, found):
    """[{wave, hosts, begun, ended, seconds, states}] in their order, runs of the same number apart."""
    out = []
    for entry in events:
        if entry["event"] != "wave.begin":
            continue
        hosts = [host for host in entry.get("hosts") or [] if host in found]
        ends = [found[host]["ended"] for host in hosts if found[host]["ended"] > entry["time"]]
        last = max(ends) if ends else ""
        seconds = _flight.seconds_between(entry["time"], last) if last else None
        out.append({"wave": entry.get("wave"), "hosts": hosts, "begun": entry["time"], "ended": last, "seconds": seconds})
    return out


def judge(model):
    """(word, sentence) of the whole: as good as its worst host."""
    rows, total = model["hosts"], len(model["hosts"])
    if not rows:
        return "UNTOUCHED", "The fleet has no hosts."
    worst = rows[0]
    good = sum(model["counts"].get(state, 0) for state in _fleet.GOOD)
    if worst["state"] in _fleet.GOOD:
        return "INTACT", "All %s are on the target release, and everything that was compared is still there." % count(total, "host")
    parts = ["%d of %d hosts are done" % (good, total)]
    for state in _fleet.STATES:
        names = [row["host"] for row in rows if row["state"] == state]
        if names and state not in _fleet.GOOD:
            parts.append("%s: %s" % (WORDS[state].lower(), listing(names)))
    return worst["word"], "; ".join(parts) + "."


def page(model):
    """The page as one text without any reference to elsewhere but the flights' own reports."""
    rows = model["hosts"]
    first = rows[0] if rows else None
    body = [
        tag("header", tag("div", tag("strong", "Intact"), " fleet report"), tag("div", "%s · %s" % (model["fleet"], day(model["opened"])))),
        tag("main", top(model, first), wave_part(model), table_part(model), people(model)),
        tag("footer", "Drawn %s from the fleet's journal and its flights' reports. As data: fleet.json; as text: fleet.txt. UTC." % day(model["made"])),
    ]
    head = [
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("meta", http_equiv="Content-Security-Policy", content="default-src 'none'; style-src 'unsafe-inline'"),
        tag("title", "%s: %s" % (model["fleet"], model["word"])),
        tag("style", Markup(_style.sheet())),
    ]
    return "<!DOCTYPE html>\n" + tag("html", tag("head", head), tag("body", body), lang="en") + "\n"


def link(row):
    """The host's name, as a link to its flight's report where there is one."""
    return tag("a", row["host"], href=row["report"]) if row["report"] else tag("strong", row["host"])


def top(model, first):
    """The answer, and the worst host at once."""
    tone = TONES[first["state"]] if first else "running"
    worst = None
    if first and first["state"] not in _fleet.GOOD:
        lost = [tag("li", name) for name in first["lost"][:12]]
        worst = tag(
            "div",
            tag("h3", "The worst: ", link(first), ", %s" % first["word"]),
            tag("p", first["sentence"]) if first["sentence"] else None,
            tag("p", first["reason"]) if first["reason"] else None,
            tag("ul", lost) if lost else None,
        )
    return tag(
        "section",
        tag("h1", model["word"], id="verdict"),
        tag("p", model["sentence"], cls="sentence"),
        tag("p", "Stopped: %s" % model["stop"]) if model["stop"] else None,
        worst,
        cls="verdict " + tone,
    )


def wave_part(model):
    """The waves as they were."""
    rows = [
        tag(
            "tr",
            tag("td", "wave %s" % entry["wave"], cls="num"),
            tag("td", listing(entry["hosts"], 8)),
            tag("td", day(entry["begun"]), cls="num"),
            tag("td", duration(entry["seconds"]), cls="num"),
        )
        for entry in model["waves"]
    ]
    heads = tag("thead", tag("tr", [tag("th", h) for h in ("", "Hosts", "Begun", "Took")]))
    inner = tag("div", tag("table", heads, tag("tbody", rows)), cls="scroll") if rows else tag("p", "No wave was begun.", cls="muted")
    return tag("section", tag("h2", "Waves"), tag("div", tag("p", "Asked for: %s." % ", ".join(model["asked"]), cls="muted small"), inner, cls="panel"))


def table_part(model):
    """Every host, the worst first."""
    rows = [
        tag(
            "tr",
            tag("td", link(row)),
            tag("td", tag("span", row["word"], cls="badge " + {"intact": "good", "refused": "warn", "running": "muted"}.get(TONES[row["state"]], "bad"))),
            tag("td", str(row["wave"] or ""), cls="num"),
            tag("td", took(row), cls="num" + (" bad" if row["over_budget"] else "")),
            tag("td", away(row), cls="num"),
            tag("td", row["sentence"] if row["state"] in ("loss", "watched", "intact") and row["sentence"] else row["reason"]),
        )
        for row in model["hosts"]
    ]
    heads = tag("thead", tag("tr", [tag("th", h) for h in ("Host", "", "Wave", "Took", "Longest outage", "")]))
    return tag("section", tag("h2", "Hosts, the worst first"), tag("div", tag("div", tag("table", heads, tag("tbody", rows)), cls="scroll"), cls="panel"))


def took(row):
    """12 min of 1 h (10 min expected)."""
    if row["seconds"] is None:
        return ""
    words = duration(row["seconds"])
    words += " of %s" % duration(row["budget_seconds"]) if row["budget_seconds"] else ""
    return words + (" (%s expected)" % duration(row["expected"]) if row["expected"] else "")


def away(row):
    """The longest outage; not observed is never none."""
    if not row["flight"] or row["seconds"] is None:
        return ""
    if not row["observed"]:
        return "not observed"
    return "%s (%s)" % (duration(row["outage"]["longest"]), row["outage"]["name"]) if row["outage"] else "none seen"


def people(model):
    """Who is to be called."""
    rows = [tag("tr", [tag("td", str(c.get(key) or "")) for key in ("name", "role", "phone", "mail")]) for c in model["contacts"]]
    if not rows:
        return None
    return tag("section", tag("h2", "Contacts"), tag("div", tag("div", tag("table", tag("tbody", rows)), cls="scroll"), cls="panel"))


def text(model):
    """The same for a terminal."""
    out = ["Intact fleet report   %s   %s" % (model["fleet"], day(model["opened"])), "", "%s  %s" % (model["word"], model["sentence"])]
    if model["stop"]:
        out.append("Stopped: %s" % model["stop"])
    out += ["", "Waves", "-----"]
    out += ["wave %s  %s  %s" % (e["wave"], duration(e["seconds"]), listing(e["hosts"], 8)) for e in model["waves"]] or ["no wave was begun"]
    out += ["", "Hosts, the worst first", "----------------------"]
    for row in model["hosts"]:
        out.append("%-30s %-16s %s" % (row["host"], row["word"], "  ".join(part for part in (took(row), away(row)) if part)))
        said = row["sentence"] if row["state"] in ("loss", "watched", "intact") and row["sentence"] else row["reason"]
        out += ["    %s" % part for part in [" ".join(str(said).split())] if part]
        out += ["    %s" % row["report"]] if row["report"] else []
    for c in model["contacts"]:
        out.append("contact: %s" % ", ".join(str(c[k]) for k in ("name", "role", "phone", "mail") if c.get(k)))
    return "\n".join(visible(line).rstrip() for line in out) + "\n"
