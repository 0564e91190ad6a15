# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""The page below its first screen. Pure, from the model."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._report import _svg
from ansible_collections.intact.hosting.plugins.module_utils._report._markup import join, tag
from ansible_collections.intact.hosting.plugins.module_utils._report._words import clock, count, day, duration, number, size, value

MARKS = {"blocker": ("BLOCKER", "bad"), "warning": ("warning", "warn"), "info": ("note", "muted")}
MOST_SUBJECTS = 40
MOST_EVENTS = 2000


def timeline(model, chart):
    """The drawing and what its marks mean."""
    if not chart:
        return None
    found = _svg.marks(model)
    legend = [tag("li", tag("span", "%d " % m["number"], cls="num"), tag("span", clock(m["time"]) + " ", cls="num muted"), m["text"]) for m in found]
    return tag(
        "section",
        tag("h2", "Timeline"),
        tag("div", tag("div", chart, cls="scroll", tabindex="0"), tag("ul", legend, cls="legend") if legend else None, cls="panel"),
        id="timeline",
    )


def badge(words, tone):
    """A small label."""
    return tag("span", words, cls="badge " + tone)


def head(finding):
    """Severity, title and subject in one line."""
    words, tone = MARKS.get(finding.get("severity"), ("?", "muted"))
    if finding.get("status") == "waived":
        words, tone = "waived", "muted"
    elif finding.get("status") == "expired":
        words = "waiver expired"
    return tag("div", badge(words, tone), tag("strong", finding.get("title")), tag("code", finding.get("subject")), cls="head")


def finding(entry):
    """One finding with evidence, remedy, waiver and what it explains."""
    waiver, details, folded = entry.get("waiver"), entry.get("details") or {}, entry.get("consequences") or []
    change = None
    if details.get("change") == "changed" and details.get("attribute"):
        change = tag(
            "p", "%s: " % details["attribute"], tag("code", value(details.get("before"))), " → ", tag("code", value(details.get("after"))), cls="small"
        )
    return tag(
        "article",
        head(entry),
        tag("p", entry.get("evidence")) if entry.get("evidence") else None,
        change,
        tag("p", "To do: ", entry["remedy"]) if entry.get("remedy") and entry.get("status") != "waived" else None,
        tag("p", "%s by %s until %s: %s" % (str(entry.get("status", "")).capitalize(), waiver.get("who"), waiver.get("expires"), waiver.get("reason")))
        if waiver
        else None,
        tag(
            "details",
            tag("summary", "explains %s more" % count(len(folded), "finding")),
            tag("ul", [tag("li", "%s " % f.get("title", ""), tag("code", f.get("subject"))) for f in folded[:MOST_SUBJECTS]], more(folded), cls="plain small"),
        )
        if folded
        else None,
        tag("p", join([tag("code", entry.get("id")), " · %s" % entry["check"] if entry.get("check") else ""]), cls="muted small"),
        cls="finding",
    )


def more(entries):
    """A last line that says how many are not listed here."""
    return tag("li", "%d more in report.json" % (len(entries) - MOST_SUBJECTS)) if len(entries) > MOST_SUBJECTS else None


def findings(model):
    """Both gates: post-flight in the open, notes and the earlier gate folded."""
    out = []
    for name, title in (("postflight", "After the work"), ("preflight", "Before the work")):
        entries, checks = model["findings"][name], model["checks"][name]
        told = [e for e in entries if e.get("severity") != "info" or e.get("status") not in (None, "open")]
        notes = [e for e in entries if e not in told]
        decided = any(g["name"] == name for g in model["gates"]) or entries
        ran = "%s ran. " % count(len(checks), "check") if checks else ""
        if not decided:
            body = [tag("p", "This gate did not decide.", cls="muted")]
        else:
            body = [
                tag("p", ran + ("No finding." if not entries else "No blocker and no warning." if not told else ""), cls="muted") if ran or not told else None
            ]
            body += [finding(e) for e in told]
            body.append(tag("details", tag("summary", count(len(notes), "note")), [finding(e) for e in notes]) if notes else None)
        out.append(tag("div", tag("h3", title), body, cls="panel"))
    return tag("section", tag("h2", "Findings and waivers"), waivers(model), tag("div", out, cls="pair"), id="findings")


def waivers(model):
    """What somebody answers for, with name and day."""
    if not model["waivers"]:
        return None
    rows = [
        tag(
            "tr",
            tag("td", tag("code", w["id"]), " ", tag("span", w["finding_subject"], cls="muted")),
            tag("td", w["reason"]),
            tag("td", w["who"]),
            tag("td", w["expires"], cls="num"),
            tag("td", w["status"]),
        )
        for w in model["waivers"]
    ]
    return tag("div", tag("h3", "Waivers"), tag("div", table(["Finding", "Reason", "Who", "Until", "State"], rows), cls="scroll"), cls="panel")


def table(heads, rows):
    """A table with a head."""
    return tag("table", tag("thead", tag("tr", [tag("th", h) for h in heads])), tag("tbody", rows))


def state(row):
    """The badge of a section."""
    if row["status"] in ("off", "failed", "missing"):
        return badge({"off": "not compared", "failed": "not read", "missing": "missing"}[row["status"]], "bad" if row["status"] != "off" else "warn")
    left = row["changes"] - row["allowed"]
    if left:
        return badge(count(left, "finding"), "warn" if all(f.get("severity") != "blocker" for f in row["findings"]) else "bad")
    if row["status"] == "absent":
        return badge("not installed", "muted")
    return badge("%s allowed" % count(row["allowed"], "change") if row["allowed"] else "equal", "good")


def figures(row, most=5):
    """The telling numbers of a section in one line: 12 accounts · 214 → 219 packages."""
    out = []
    for key in list(row["before"])[:most] if row["before"] else list(row["after"])[:most]:
        before, after = row["before"].get(key), row["after"].get(key)
        if isinstance(before, (dict, list)) or isinstance(after, (dict, list)):
            continue
        show = [amount(key, v) for v in (before, after)]
        numbers = show[0] if before == after else "%s → %s" % tuple(show)
        out.append(("%s %s" % (numbers, key.replace("_", " ").replace("bytes", ""))).strip())
    return " · ".join(out)


def amount(key, thing):
    """A number of a summary, bytes as bytes."""
    if thing is None:
        return "none"
    return size(thing) if "bytes" in key and isinstance(thing, (int, float)) else number(thing)


def sections(model):
    """Before and after, section by section."""
    if not model["sections"]:
        return tag("section", tag("h2", "Before and after"), tag("p", "No comparison was made.", cls="panel muted"), id="sections")
    rows = [
        tag(
            "details",
            tag("summary", tag("strong", row["section"]), tag("span", state(row)), tag("span", figures(row), cls="muted small figures")),
            section_body(row),
            cls="section",
        )
        for row in model["sections"]
    ]
    return tag("section", tag("h2", "Before and after"), tag("div", rows, cls="panel"), id="sections")


def section_body(row):
    """Numbers, findings, allowed changes with their reasons, renames."""
    keys = list(dict.fromkeys(list(row["before"]) + list(row["after"])))
    lines = [
        tag(
            "tr",
            tag("td", key.replace("_", " ")),
            tag("td", amount(key, row["before"].get(key)), cls="num"),
            tag("td", amount(key, row["after"].get(key)), cls="num"),
        )
        for key in keys
        if not isinstance(row["before"].get(key, row["after"].get(key)), (dict, list))
    ]
    allowed = [
        tag(
            "details",
            tag("summary", "%s: %s" % (count(group["count"], "change"), group["reason"])),
            tag(
                "ul",
                [tag("li", "%s " % entry["title"], tag("code", entry["subject"])) for entry in group["subjects"][:MOST_SUBJECTS]],
                more(group["subjects"]),
                cls="plain small",
            ),
        )
        for group in row["reasons"]
    ]
    renamed = [tag("li", tag("code", r.get("from")), " → ", tag("code", r.get("to")), ": %s" % r.get("reason", "")) for r in row["renamed"][:MOST_SUBJECTS]]
    return tag(
        "div",
        tag("div", table(["", "before", "after"], lines), cls="scroll") if lines else tag("p", "No numbers for this section.", cls="muted"),
        [finding(f) for f in row["findings"]],
        tag("h3", "Allowed by rules") if allowed else None,
        allowed,
        [tag("h3", "Renamed"), tag("ul", renamed, more(row["renamed"]), cls="plain small")] if renamed else None,
        cls="body",
    )


def proofs(model):
    """What can be checked afterwards."""
    rows = [
        tag(
            "tr",
            tag("td", p.get("name")),
            tag("td", day(p.get("taken")), cls="num"),
            tag("td", tag("code", p.get("digest") or "")),
            tag("td", p.get("note") or ""),
        )
        for p in model["proofs"]
    ]
    listed = {p.get("note") for p in model["proofs"]}
    rows += [
        tag(
            "tr",
            tag("td", "file of the flight"),
            tag("td", ""),
            tag("td", tag("code", "sha256:" + f["sha256"])),
            tag("td", "%s, %s" % (name, size(f["bytes"]))),
        )
        for name, f in sorted(model["files"].items())
        if name not in listed
    ]
    body = tag("div", table(["What", "Taken", "Digest", "Note"], rows), cls="scroll") if rows else tag("p", "There is no proof.", cls="muted")
    return tag("section", tag("h2", "Proofs"), tag("div", body, cls="panel"), id="proofs")


def residue(model):
    """Configuration that the upgrade left for a decision."""
    body = [finding(f) for f in model["residue"]] or tag(
        "p", "None that the post-flight gate told of." if model["findings"]["postflight"] or model["checks"]["postflight"] else "Nobody looked.", cls="muted"
    )
    return tag("section", tag("h2", "Configuration residue"), tag("div", body, cls="panel"), id="residue")


def environment(model):
    """Versions before and after."""
    rows = [
        tag("tr", tag("td", e["name"]), tag("td", tag("code", e["before"] or "not installed")), tag("td", tag("code", e["after"] or "not installed")))
        for e in model["environment"]
    ]
    flight = model["flight"]
    facts = [
        ("Host", flight["host"]),
        ("From", flight["source"]),
        ("To", flight["target"]),
        ("Opened", day(flight["opened"])),
        ("Closed" if flight["closed"] else "Last heard of", day(flight["ended"])),
    ]
    table_ = tag("div", table(["Package", "before", "after"], rows), cls="scroll") if rows else None
    people = [tag("tr", [tag("td", str(c.get(key) or "")) for key in ("name", "role", "phone", "mail")]) for c in model["contacts"]]
    return tag(
        "section",
        tag("h2", "Environment"),
        tag("div", tag("p", " · ".join("%s: %s" % f for f in facts if f[1]), cls="muted"), table_, cls="panel"),
        tag("div", tag("h3", "Contacts"), tag("div", table(["Who", "For", "Phone", "Mail"], people), cls="scroll"), cls="panel") if people else None,
        id="environment",
    )


def journal(model):
    """The events themselves; progress and the runner's memory are in report.json only."""
    events = [e for e in model["journal"] if e["event"] not in ("stage.progress", "runner.memory")]
    rows = [tag("tr", tag("td", clock(e.get("time")), cls="num"), tag("td", e["event"]), tag("td", fields(e))) for e in events[:MOST_EVENTS]]
    left = len(model["journal"]) - len(events) + max(0, len(events) - MOST_EVENTS)
    return tag(
        "section",
        tag("h2", "Journal"),
        tag(
            "div",
            tag("p", "%s unreadable." % count(model["torn_lines"], "line is", "lines are"), cls="bad") if model["torn_lines"] else None,
            tag(
                "details",
                tag("summary", "%s%s" % (count(len(rows), "event"), ", %d more in report.json" % left if left else "")),
                tag("div", table(["UTC", "Event", ""], rows), cls="scroll"),
            ),
            cls="panel",
        ),
        id="journal",
    )


def fields(event):
    """An event's own fields in one line."""
    own = [(k, event[k]) for k in sorted(event) if k not in ("time", "monotonic", "boot", "event") and event[k] not in (None, "", {}, [])]
    return ", ".join("%s: %s" % (k, duration(v) if k == "seconds" else value(v, 400)) for k, v in own)
