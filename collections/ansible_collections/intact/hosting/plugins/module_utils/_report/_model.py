# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""The report as data (report.json): pure, from what _load.load() read. Page and text are drawn from this and nothing else."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils import _budget, _flight
from ansible_collections.intact.hosting.plugins.module_utils._report import _course, _migration, _rollback, _verdict, _watch
from ansible_collections.intact.hosting.plugins.module_utils._report._words import moment

SCHEMA = 1


def build(sources, flight, made):
    """The model. flight: id; made: stamp of the drawing.

    Keys: schema, made, flight, estimate, hops, confirmations, stalls, budget_warnings, alarms, contacts, rollback, watch, verdict, lost, caveats,
    outages, stages, gates, decisions, proofs, notes, findings {preflight, postflight}, waivers, sections, unread, residue, environment,
    migration (None when there was none), files, journal, torn_lines.
    """
    events = sources["events"]
    opening, closed, stages = _flight.opening(events), _flight.closing(events), _flight.stages(events)
    begun, ended = _span(events, opening, closed)
    window, budgets = (opening or {}).get("window") or {}, (opening or {}).get("budgets") or {}
    budget = _budget.seconds(opening)
    seconds = max(0.0, _flight.seconds_between(begun, ended)) if begun and ended else None
    hop_documents = sources.get("hops") or {}
    model = {
        "schema": SCHEMA,
        "made": made,
        "flight": {
            "id": flight,
            "host": (opening or {}).get("host", ""),
            "kind": (opening or {}).get("kind", ""),
            "source": (opening or {}).get("source", ""),
            "target": (opening or {}).get("target", ""),
            "opened": begun,
            "ended": ended,
            "closed": bool(closed),
            "seconds": seconds,
            "budget_seconds": budget,
            "over_budget": bool(budget and seconds and seconds > budget),
            "window_end": window.get("end", ""),
        },
        "estimate": estimate(events),
        "hops": _course.hops(events, {**hop_documents, _flight.hops(events): sources}, ended),
        "stalls": _course.stalls(events),
        "budget_warnings": _course.warnings(events),
        "alarms": _course.alarms(events),
        "rollback": _rollback.build(events, sources.get("rollback-verdict")),
        "confirmations": _named(events, "confirmation", ("before", "who", "by", "how", "what")),
        "contacts": (opening or {}).get("contacts") or [],
        "watch": _watch.build(events, ended),
        "verdict": _verdict.decide(sources, opening, closed, stages),
        "lost": _verdict.lost_at_the_end(sources),
        "compared": bool(sources.get("comparison") or _verdict.proof_of_return(sources)),
        "outages": outages(sources.get("outages")),
        "stages": [stage(entry, budgets, events, ended, (estimate(events, entry["hop"]) or {}).get("stages") or {}) for entry in stages],
        "gates": _named(events, "gate", ("name", "go", "counts")),
        "decisions": _named(events, "decision", ("what", "who", "why")),
        "proofs": proofs(sources),
        "notes": _named(events, "note", ("text",)),
        "findings": {name: (sources.get(name) or {}).get("findings", []) for name in ("preflight", "postflight")},
        "checks": {name: (sources.get(name) or {}).get("checks") or [] for name in ("preflight", "postflight")},
        "sections": sections(sources),
        "renamed": (sources.get("comparison") or {}).get("renamed") or [],
        "unread": _verdict.unread(sources.get("baseline-before"), sources.get("baseline-after")),
        "environment": environment(sources),
        "migration": _migration.build(sources.get("migration")),
        "files": sources["files"],
        "unreadable": sources["unreadable"],
        "journal": events,
        "torn_lines": sources["torn"],
    }
    model["waivers"] = [
        dict(f["waiver"], status=f["status"], gate=name, title=f.get("title", ""), finding_subject=f.get("subject", ""))
        for name, found in sorted(model["findings"].items())
        for f in found
        if f.get("waiver")
    ] + _course.waivers(hop_documents, _flight.hops(events))
    model["residue"] = [f for f in model["findings"]["postflight"] if f.get("check") == "QF32" or "conffile" in f.get("id", "") or "residue" in f.get("id", "")]
    model["caveats"] = caveats(model, sources)
    return model


def _seconds(value):
    try:
        return float(value or 0)
    except (TypeError, ValueError):
        return 0.0


def _span(events, opening, closed):
    """First and last moment of the flight as stamps; while it is open its end is the last thing known."""
    times = [e["time"] for e in events if moment(e.get("time"))]
    first = opening["time"] if opening and moment(opening.get("time")) else (min(times) if times else "")
    last = closed["time"] if closed and moment(closed.get("time")) else (max(times) if times else "")
    return first, last


def _named(events, name, keys):
    return [dict({key: e.get(key) for key in keys}, time=e.get("time", "")) for e in events if e["event"] == name]


def estimate(events, hop=None):
    """What was expected before the work: {stages, total, low, high, rollback, basis, time}, None when nobody did. Each hop's last one counts.

    hop: of this one alone; without, the hops' times are added up, since each was estimated when it was begun.
    """
    found, number = {}, 1
    for entry in events:
        if entry["event"] == "flight.hop":
            number = entry.get("number") or number + 1
        elif entry["event"] == "estimate":
            found[number] = {key: entry.get(key) for key in ("stages", "total", "low", "high", "rollback", "basis", "time")}
    if hop is not None or len(found) < 2:
        return found.get(hop) if hop is not None else next(iter(found.values()), None)
    whole = dict(found[max(found)])
    whole.update({key: sum(_seconds(one[key]) for one in found.values()) for key in ("total", "low", "high")})
    whole["basis"] = ["hop %d: %s" % (n, text) for n, one in sorted(found.items()) for text in one["basis"] or []]
    return whole


def stage(entry, budgets, events, now, expected=None):
    """A stage with its budget, the seconds that were expected, and how far it came: over tells that it took, or is taking, longer than planned."""
    budget = _seconds(budgets.get(entry["stage"]))
    spent = entry["seconds"] if entry["seconds"] is not None else (_flight.seconds_between(entry["start"], now) if now else None)
    mine = [e for e in events if e["event"] == "stage.progress" and e.get("stage") == entry["stage"]]
    progress = [e for e in mine if e["time"] >= entry["start"] and (not entry["end"] or e["time"] <= entry["end"])]
    return dict(
        entry,
        stage=entry["stage"] if entry["hop"] == 1 else "%s (hop %d)" % (entry["stage"], entry["hop"]),
        budget=budget,
        expected=(expected or {}).get(entry["stage"]),
        spent=spent,
        over=bool(budget and spent is not None and spent > budget),
        running=entry["end"] is None,
        done=progress[-1].get("done") if progress else None,
        total=progress[-1].get("total") if progress else None,
        unit=progress[-1].get("unit") if progress else "",
    )


def outages(document):
    """What the observer saw, worst first; observed False when nobody looked. never_up targets are told apart: their silence is not this work's."""
    if not document:
        return {"observed": False, "targets": [], "silent": [], "from": "", "to": ""}
    targets = sorted(document.get("targets") or [], key=lambda t: (-(t.get("total_seconds") or 0), t.get("name", "")))
    return {
        "observed": bool(targets),
        "from": document.get("from", ""),
        "to": document.get("to", ""),
        "torn_lines": document.get("torn_lines", 0),
        "targets": [t for t in targets if not t.get("never_up")],
        "silent": [t for t in targets if t.get("never_up")],
    }


def proofs(sources):
    """What can be checked afterwards: proofs of the journal, and the digests of the flight's own files."""
    out = [dict(entry, kind="proof") for entry in _named(sources["events"], "proof", ("name", "digest", "taken", "note"))]
    for name, label in (("baseline-before", "look before"), ("baseline-after", "look after")):
        look, file = sources.get(name), sources["files"].get(name + ".json.gz")
        if look:
            out.append(
                {
                    "kind": "file",
                    "name": label,
                    "digest": "sha256:" + file["sha256"] if file else "",
                    "taken": look["taken"],
                    "note": "%s.json.gz" % name,
                    "time": look["taken"],
                }
            )
    return out


def sections(sources):
    """Before and after per section: the comparison's rows with what belongs to each, allowed changes grouped by reason."""
    comparison = sources.get("comparison") or {}
    rows = []
    for row in comparison.get("sections") or []:
        name, groups = row["section"], {}
        for entry in comparison.get("allowed") or []:
            finding = entry.get("finding") or {}
            if str(finding.get("id", "")).split(".", 1)[0] == name:
                groups.setdefault(entry.get("reason", ""), []).append({"subject": finding.get("subject", ""), "title": finding.get("title", "")})
        rows.append(
            {
                "section": name,
                "before": row.get("before") or {},
                "after": row.get("after") or {},
                "status": row.get("status", "missing"),
                "changes": row.get("changes", 0),
                "allowed": row.get("allowed", 0),
                "reasons": [{"reason": r, "count": len(e), "subjects": e} for r, e in sorted(groups.items(), key=lambda g: (-len(g[1]), g[0]))],
                "findings": [f for f in comparison.get("findings") or [] if str(f.get("id", "")).split(".", 1)[0] == name],
                "renamed": [r for r in comparison.get("renamed") or [] if r.get("section") == name],
            }
        )
    return rows


def environment(sources):
    """Versions before and after: [{name, before, after}]."""
    before = (sources.get("baseline-before") or {}).get("versions", {})
    after = (sources.get("baseline-after") or {}).get("versions", {})
    return [{"name": name, "before": before.get(name, ""), "after": after.get(name, "")} for name in sorted(set(before) | set(after))]


def caveats(model, sources):
    """What a reader of the first screen must know besides the verdict: sentences."""
    out = []
    if model["torn_lines"]:
        out.append(
            "The journal has %d unreadable line%s: a power cut or a full disk tore it, so an event may be missing."
            % (model["torn_lines"], "" if model["torn_lines"] == 1 else "s")
        )
    for entry in model["unreadable"]:
        out.append("%s cannot be read: %s" % (entry["file"], entry["why"]))
    skipped = {}
    for entry in model["unread"]:
        skipped.setdefault((entry["status"], entry["section"]), []).append(entry)
    says = {
        "off": "is switched off: nothing in it was compared",
        "failed": "could not be read",
        "missing": "is missing",
        "partial": "was not looked at completely",
        "unknown": "did not exist yet at the earlier look: nothing in it was compared",
    }
    for (status, name), entries in sorted(skipped.items()):
        reasons = sorted({e["reason"] for e in entries if e["reason"] and status != "off"})
        moments = " and ".join(e["moment"] for e in entries)
        out.append("Section %s %s (%s)%s" % (name, says[status], moments, ": " + "; ".join(reasons) if reasons else "."))
    if not model["outages"]["observed"]:
        out.append("Outages were not observed: nobody watched the services from outside.")
    for target in model["outages"]["silent"]:
        out.append("%s never answered the observer, before nor after: its outage is not known." % target.get("name", "?"))
    blind = [t for t in model["outages"]["targets"] if (t.get("unobserved_seconds") or 0) >= 1]
    if blind:
        worst = max(t["unobserved_seconds"] for t in blind)
        out.append("The observer itself did not get to look for up to %.0f s at %d service%s." % (worst, len(blind), "" if len(blind) == 1 else "s"))
    waived = [w for w in model["waivers"] if w["status"] == "waived"]
    if waived:
        out.append("%d finding%s waived: see waivers." % (len(waived), " is" if len(waived) == 1 else "s are"))
    again = [s["stage"] for s in model["stages"] if s["attempts"] > 1]
    if again:
        out.append("Interrupted and continued in: %s." % ", ".join(again))
    if model["flight"]["over_budget"]:
        out.append("The flight took longer than its budget.")
    return out + _course.caveats(model) + _rollback.caveats(model["rollback"]) + _watch.caveats(model["watch"])
