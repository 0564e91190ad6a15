# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""The way back in a flight's report: what was decided before take-off, whether it was gone, what was saved, and how the old system compares. Pure."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils import _flight
from ansible_collections.intact.hosting.plugins.module_utils._report._markup import tag
from ansible_collections.intact.hosting.plugins.module_utils._report._words import count, day, duration, listing, moment, size

AUTOMATIC = "intact_rollback, automatic"  # what upgrade-host.yml says of itself in rollback_who
STAGE = "snapshot"
DRIVERS = {
    "lvm": "an LVM snapshot",
    "btrfs": "a btrfs snapshot",
    "hook": "a snapshot by programs of the operator",
    "restore": "a restore from the backup",
    "none": "none",
}
MOST = 40


def build(events, verdict):
    """The way back as data, None for a flight that never came to stage snapshot. verdict: rollback-verdict.json or None.

    {driver, automatic, note, snapshots: [{hop, driver, name, names, taken, kept}], tries: [{began, who, why, automatic, result, reason, seconds}],
    done, ended, seconds, saved: {place, counts, unsaved, lines}, left: [sentence], compared: {go, time, differences: [finding], counts, seconds}}.
    """
    stage = [e for e in events if e.get("stage") == STAGE and e["event"] in ("stage.start", "stage.end")]
    told = [e for e in events if isinstance(e.get("rollback"), dict)]
    if not stage and not told:
        return None
    taken = snapshots(events)
    tries = attempts(events)
    gate = next((e for e in reversed(events) if e["event"] == "gate" and e.get("name") == "rollback"), None)
    back = next((e for e in reversed(told) if e["rollback"].get("state") == "back"), None)
    saved = next((e["rollback"] for e in reversed(told) if e["rollback"].get("state") == "saved"), None)
    automatic = [e["rollback"].get("automatic") for e in told if e["rollback"].get("state") == "taken"]
    done = bool(tries and tries[-1]["result"] == "back")
    ended = stage[-1] if stage and stage[-1]["event"] == "stage.end" else None
    return {
        "driver": taken[-1]["driver"] if taken else "none" if ended and ended.get("result") == "ok" else "",
        "automatic": automatic[-1] if automatic else None,
        "note": (ended or {}).get("note") or "",
        "snapshots": taken,
        "tries": tries,
        "done": done,
        "ended": tries[-1]["ended"] if done else "",
        "seconds": tries[-1]["seconds"] if done else None,
        "saved": {key: saved.get(key) for key in ("place", "counts", "unsaved", "lines")} if saved else None,
        "left": [text for text in [(back or {}).get("text", "")] if text],
        "compared": compared(gate, verdict, tries[-1]["began"] if tries else "") if gate else None,
    }


def snapshots(events):
    """What was taken to go back to, in order; kept is False once it was let go."""
    out, hop = [], 1
    for entry in events:
        if entry["event"] == "flight.hop":
            hop = entry.get("number") or hop + 1
        if entry["event"] == "runner.memory" and entry.get("key") == STAGE:
            facts = entry.get("value")
            if not isinstance(facts, dict):
                out = [dict(one, kept=one["kept"] and one["hop"] != hop) for one in out]
            elif facts.get("complete"):
                names = [v["snapshot"] for v in facts.get("volumes") or [] if isinstance(v, dict) and v.get("snapshot")]
                name = facts.get("name") or ""
                row = {"hop": hop, "driver": facts.get("driver") or "", "name": name, "names": names or [name], "taken": facts.get("taken") or "", "kept": True}
                out = [one for one in out if (one["hop"], one["name"]) != (hop, name)] + [row]
        elif _state(entry) == "dropped":
            out = [dict(one, kept=False) for one in out]
    return out


def _state(entry):
    told = entry.get("rollback")
    return told.get("state", "") if isinstance(told, dict) else ""


def attempts(events):
    """Each going back: result is back, stopped, or "" while it is under way. One that was cut goes on, and is one with what continued it."""
    out = []
    for entry in events:
        state = _state(entry)
        going = out[-1] if out and not out[-1]["result"] else None
        arrived = (
            state == "back"
            or (entry["event"] == "runner.undone" and entry.get("rollback") is True)
            or (entry["event"] == "gate" and entry.get("name") == "rollback")
            or (entry["event"] == "flight.close" and entry.get("verdict") == "rolled-back")
        )
        if state == "begun" and not going:
            who = entry.get("who") or ""
            row = {"began": entry["time"], "who": who, "why": entry.get("why") or "", "automatic": who == AUTOMATIC}
            out.append(dict(row, result="", reason="", ended="", seconds=None))
        elif state == "stopped" and going:
            going.update(result="stopped", reason=entry.get("text") or "", ended=entry["time"], seconds=_between(going["began"], entry["time"]))
        elif arrived and out and out[-1]["result"] in ("", "back"):
            # Told when the old system was made ready, and again when it runs: the running one counts.
            if state == "back" or not out[-1]["ended"] or out[-1]["early"]:
                out[-1].update(result="back", ended=entry["time"], seconds=_between(out[-1]["began"], entry["time"]), early=entry["event"] == "runner.undone")
    return [{key: value for key, value in row.items() if key != "early"} for row in out]


def _between(begin, end):
    return max(0.0, _flight.seconds_between(begin, end)) if moment(begin) and moment(end) else None


def compared(gate, verdict, began):
    """How the system that came back stands against the look before the flight."""
    found = [f for f in (verdict or {}).get("findings") or [] if f.get("severity") != "info"]
    return {
        "go": bool(gate.get("go")),
        "time": gate.get("time", ""),
        "counts": gate.get("counts") or {},
        "known": verdict is not None,
        "differences": found,
        "seconds": _between(began, gate.get("time", "")) if began else None,
    }


def differing(found):
    """How many differences there are between the old system and the look before the flight: waived ones are differences too."""
    return len(found["differences"]) if found["known"] else sum(found["counts"].get(word) or 0 for word in ("blocker", "warning", "waived"))


def same(found):
    """The comparison in a sentence."""
    number = differing(found)
    if not number:
        return "No difference from the look before the flight." if found["go"] else "The gate said no go, and its findings are not known here."
    names = listing([f.get("subject", "?") for f in found["differences"]], 6)
    return "%s from the look before the flight%s%s." % (
        count(number, "difference"),
        ": %s" % names if names else "",
        " (the gate said go)" if found["go"] else "",
    )


def decided(model):
    """What was decided before take-off, in a sentence."""
    driver = model["driver"]
    if not driver:
        return "Not known: stage snapshot did not end."
    if driver == "none":
        return "None was decided before take-off%s." % (": " + model["note"] if model["note"] else "; a restore from the backup is left")
    words = {True: "; by itself when the post-flight says no", False: "; only when a person says so", None: ""}[model["automatic"]]
    return "Decided before take-off: %s (%s)%s." % (DRIVERS.get(driver, driver), driver, words)


def went(model):
    """Each try, as sentences."""
    out = []
    for row in model["tries"]:
        by = "by itself" if row["automatic"] else "by %s" % (row["who"] or "somebody who gave no name")
        why = " (%s)" % row["why"] if row["why"] else ""
        if row["result"] == "back":
            out.append("Went back %s%s, begun %s, in %s." % (by, why, day(row["began"]), duration(row["seconds"])))
        elif row["result"] == "stopped":
            out.append("A try %s%s, begun %s, ended where it was: %s." % (by, why, day(row["began"]), row["reason"].rstrip(".")))
        else:
            out.append("Going back %s%s, begun %s, and not known to have arrived." % (by, why, day(row["began"])))
    return out or ["Not used."]


def kept(model):
    """What was written after the upgrade and saved, in a sentence; "" when nothing was saved."""
    found = model["saved"]
    if not found:
        return ""
    counts = found["counts"] or {}
    words = (("messages", "message"), ("databases", "database"), ("tables", "table"), ("queued", "queued message"), ("files", "file"))
    parts = [count(counts[key], one) for key, one in words if counts.get(key)]
    said = ", ".join(parts) if parts else "nothing was written since"
    amount = " (%s)" % size(counts["bytes"]) if parts and counts.get("bytes") else ""
    left = "; %s could NOT be saved" % count(found["unsaved"], "thing") if found["unsaved"] else ""
    return "Written after the upgrade and saved: %s%s%s, below %s on the host." % (said, amount, left, found["place"])


def caveats(model):
    """What the first screen must say of it."""
    if not model or not model["tries"]:
        return []
    out = went(model)[-1:]
    if model["done"]:
        out += [kept(model)] if model["saved"] else []
        out.append(same(model["compared"]) if model["compared"] else "Nobody compared the system that came back with the look before the flight.")
    return out


def names(row):
    """A snapshot in a sentence."""
    where = " (hop %d)" % row["hop"] if row["hop"] > 1 else ""
    return "%s%s, taken %s%s" % (listing(row["names"], 12), where, day(row["taken"]), "" if row["kept"] else ", let go")


def proved(model):
    """Sentences on the system that came back."""
    if not model["done"]:
        return []
    if not model["compared"]:
        return ["Nobody compared it with the look before the flight."]
    spent = model["compared"]["seconds"]
    return [same(model["compared"]) + (" Proved %s after it was begun." % duration(spent) if spent is not None else "")]


def lines(model):
    """As text."""
    out = [decided(model)] + ["  " + names(row) for row in model["snapshots"]] + went(model)
    out += [text for text in [kept(model)] if text]
    listed = (model["saved"] or {}).get("lines") or []
    out += ["  " + line for line in listed[:MOST]] + (["  and %d more in report.json" % (len(listed) - MOST)] if len(listed) > MOST else [])
    return out + model["left"] + proved(model)


def section(model):
    """As a part of the page."""
    if not model:
        return None
    listed = (model["saved"] or {}).get("lines") or []
    items = [tag("li", tag("code", line)) for line in listed[:MOST]]
    if len(listed) > MOST:
        items.append(tag("li", "%d more in report.json" % (len(listed) - MOST)))
    differences = (model["compared"] or {}).get("differences") or []
    rows = [tag("li", tag("code", f.get("subject", "?")), " ", f.get("title", "")) for f in differences[:MOST]]
    return tag(
        "section",
        tag("h2", "Way back"),
        tag(
            "div",
            tag("p", decided(model)),
            tag("ul", [tag("li", names(row)) for row in model["snapshots"]], cls="plain") if model["snapshots"] else None,
            [tag("p", text) for text in went(model)],
            tag("p", kept(model)) if model["saved"] else None,
            tag("details", tag("summary", "what was saved"), tag("ul", items, cls="plain small")) if items else None,
            [tag("p", text) for text in model["left"] + proved(model)],
            tag("ul", rows, cls="plain") if rows else None,
            cls="panel",
        ),
        id="rollback",
    )
