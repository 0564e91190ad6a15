# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""The verdict: pure rules over what is known. INTACT is said only when every step that proves it is there."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._report import _migration, _watch
from ansible_collections.intact.hosting.plugins.module_utils._report._words import count, listing

INTACT, LOSS, FAILED, RUNNING, REFUSED = "INTACT", "LOSS", "FAILED", "STILL RUNNING", "REFUSED"
WORDS = (INTACT, LOSS, FAILED, RUNNING, REFUSED)
# Stages that look and change nothing on the host.
LOOKING = ("bind", "preflight", "baseline", "baseline-before", "plan")
LOST = ("missing", "changed")


def open_blockers(verdict):
    """Blockers that no valid waiver covers, of a gate's verdict."""
    return [f for f in (verdict or {}).get("findings", []) if f.get("severity") == "blocker" and f.get("status") != "waived"]


def is_loss(finding):
    """Whether a blocker says that something that was there is gone or different (and not that something could not be looked at)."""
    return (finding.get("details") or {}).get("change") in LOST


def lost(postflight, comparison):
    """Findings that tell of a loss: open blockers of the post-flight gate, or of the comparison when there was no gate."""
    if postflight:
        return [f for f in open_blockers(postflight) if is_loss(f)]
    return [f for f in (comparison or {}).get("findings", []) if f.get("severity") == "blocker" and is_loss(f)]


def proof_of_return(sources):
    """Whether the flight was taken back and the system that came back was compared with the look before it."""
    closed = next((e for e in reversed(sources["events"]) if e["event"] == "flight.close"), None)
    back = any(e["event"] == "gate" and e.get("name") == "rollback" for e in sources["events"])
    return bool(closed and closed.get("verdict") == "rolled-back" and back)


def lost_at_the_end(sources):
    """What is lost on the host as it is now: after a rollback that is what differs in the system that came back."""
    if proof_of_return(sources):
        return [f for f in open_blockers(sources.get("rollback-verdict")) if is_loss(f)]
    return lost(sources.get("postflight"), sources.get("comparison"))


def unread(before, after):
    """Sections that were not looked at, in either look: [{section, moment, status, reason}]. before, after: _load.digest() or None."""
    out = []
    for moment, look in (("before", before), ("after", after)):
        for name, section in sorted((look or {}).get("sections", {}).items()):
            if section["status"] in ("off", "failed", "missing"):
                out.append({"section": name, "moment": moment, "status": section["status"], "reason": section["reason"]})
            elif section["unlooked"]:
                reason = count(len(section["unlooked"]), "thing") + " left out, first: %s" % section["unlooked"][0].get("why", "")
                out.append({"section": name, "moment": moment, "status": "partial", "reason": reason})
    if before and after:
        later = sorted(set(after["sections"]) - set(before["sections"]))
        out += [{"section": name, "moment": "before", "status": "unknown", "reason": ""} for name in later]
    return out


def not_looked(sources):
    """What nobody looked at or could not read, so that nothing can be said about it: sentences."""
    if sources.get("migration"):
        unread_files = [u["file"] for u in sources.get("unreadable") or []]
        return _migration.unproven(sources["migration"]) + (["a file of the flight cannot be read: %s" % listing(unread_files)] if unread_files else [])
    after, comparison = sources.get("baseline-after"), sources.get("comparison")
    out = []
    if not sources.get("baseline-before"):
        out.append("there is no baseline from before the work")
    if not after:
        out.append("nobody looked at the host after the work: there is no later baseline")
    if not comparison:
        out.append("the two looks were not compared")
    elif after and not comparison.get("sections"):
        out.append("the comparison covers no section")
    unseen = [u for u in unread(sources.get("baseline-before"), after) if u["status"] in ("failed", "missing")]
    if unseen:
        out.append("%s could not be read: %s" % (count(len({u["section"] for u in unseen}), "section"), listing(sorted({u["section"] for u in unseen}))))
    if sources.get("unreadable"):
        out.append("a file of the flight cannot be read: %s" % listing([u["file"] for u in sources["unreadable"]]))
    return out


def missing_proof(sources, closed):
    """Why INTACT may not be said: sentences, empty when nothing is missing."""
    postflight, out = sources.get("postflight"), not_looked(sources)
    blockers = open_blockers(postflight)
    if not postflight:
        out.append("the post-flight gate did not decide")
    elif blockers:
        out.append("%s open: %s" % (count(len(blockers), "blocker is", "blockers are"), listing([f.get("subject", "?") for f in blockers])))
    elif not postflight.get("go"):
        out.append("the post-flight gate said no go")
    if closed and closed.get("verdict") != "intact":
        out.append("the flight was closed as %s" % closed.get("verdict", "?"))
    return out


def refusal(events, stages, preflight):
    """Whether the last pre-flight gate said no and nothing was done after it."""
    gates = [e for e in events if e["event"] == "gate" and e.get("name") == "preflight"]
    go = gates[-1].get("go") if gates else (preflight or {}).get("go")
    acted = [s for s in stages if s["stage"] not in LOOKING]
    return go is False and not acted


def decide(sources, opening, closed, stages):
    """{word, sentence, reasons: [...]} of a flight. opening, closed: those events or None; stages: _flight.stages()."""
    host = (opening or {}).get("host") or "the host"
    target = (opening or {}).get("target") or "the target"
    gone = lost(sources.get("postflight"), sources.get("comparison"))
    failed = [s["stage"] for s in stages if s["result"] == "failed"]
    proof = missing_proof(sources, closed)
    if not opening:
        proof.insert(0, "the journal does not say when the flight was opened")
    if refusal(sources["events"], stages, sources.get("preflight")):
        blockers = open_blockers(sources.get("preflight"))
        return _verdict(
            REFUSED,
            "The upgrade of %s was refused before anything was changed: %s."
            % (host, count(len(blockers), "blocker is open", "blockers are open") if blockers else "the pre-flight gate said no go"),
            [f.get("title", "") for f in blockers],
        )
    back = [e for e in sources["events"] if e["event"] == "gate" and e.get("name") == "rollback"]
    if proof_of_return(sources):
        # What was lost in the new system is no loss any more; what differs in the old one is.
        if back[-1].get("go"):
            return _verdict(FAILED, "The work on %s was rolled back, and it was compared: it is the system before the work." % host, [])
        differs = [f.get("title", "") for f in open_blockers(sources.get("rollback-verdict"))]
        return _verdict(LOSS, "The work on %s was rolled back, and it differs from before the work." % host, differs)
    if gone:
        return _verdict(
            LOSS,
            "%s lost or changed on %s: %s." % (count(len(gone), "thing is", "things are"), host, listing([f.get("subject", "?") for f in gone])),
            not_looked(sources),
        )
    if closed and closed.get("verdict") == "rolled-back":
        return _verdict(FAILED, "The work on %s was rolled back." % host, proof)
    watching = _watch.build(sources["events"], "")
    if not closed and watching and watching["open"]:
        return _verdict(RUNNING, _watch.sentence(host, watching), proof)
    if not closed and not failed:
        running = [s["stage"] for s in stages if s["end"] is None]
        return _verdict(
            RUNNING, "The work on %s is not finished%s." % (host, ": stage %s is under way" % running[-1] if running else ", the flight is open"), proof
        )
    if failed:
        return _verdict(FAILED, "The work on %s failed in stage %s." % (host, failed[-1]), proof)
    if closed.get("verdict") == "loss" and watching and _watch.standing(watching):
        left = [alarm["subject"] for alarm in _watch.standing(watching)]
        return _verdict(LOSS, "%s of the watch on %s: %s." % (count(len(left), "alarm stands", "alarms stand"), host, listing(left)), proof)
    if closed.get("verdict") == "loss":
        return _verdict(LOSS, "The flight of %s was closed as loss, though no finding names what is lost." % host, proof)
    if closed.get("verdict") == "failed":
        return _verdict(FAILED, "The work on %s failed%s." % (host, ": " + closed["note"].rstrip(".") if closed.get("note") else ""), proof)
    if proof:
        return _verdict(FAILED, "It is not proved that nothing is lost on %s: %s." % (host, proof[0]), proof)
    if sources.get("migration"):
        return _verdict(INTACT, "%s has everything of the old disk, or it is explained why not." % host, [])
    return _verdict(INTACT, "%s runs %s, and everything that was compared is still there." % (host, target), [])


def _verdict(word, sentence, reasons):
    return {"word": word, "sentence": sentence[:1].upper() + sentence[1:] if word != INTACT else sentence, "reasons": [r for r in reasons if r]}
