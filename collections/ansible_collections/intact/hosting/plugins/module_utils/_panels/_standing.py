# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Pure: where a restore stands by its journal, and what of an inventory a restore may change."""

from __future__ import annotations

import fnmatch

from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding
from ansible_collections.intact.hosting.plugins.module_utils._panels import _inventory

KIND = "panel-restore"
# what inventories say of customers' data, which a source of settings does not bring
CONTENT = {"database": ("tables", "names", "rows", "bytes", "filled"), "mailbox": ("messages", "bytes", "files", "folders")}
STEPS = ("checkpoint", "import", "repair", "check", "compare", "commit")
# none: nothing was begun. looking: no checkpoint yet, so nothing was changed. changing: there is one and no end, so the host may be anything.
# closed: it came to an end.
STATES = ("none", "looking", "changing", "closed")


def standing(events):
    """{state, attempt, opened, panel, token, verdict} of a restore, by the events of its last attempt. opened: how many attempts there were.

    attempt: the last one, or the earlier one that is being undone.
    """
    opened = [index for index, event in enumerate(events) if event["event"] == "flight.open"]
    if not opened:
        return {"state": "none", "attempt": 0, "opened": 0, "panel": "", "token": "", "verdict": ""}
    first, since = events[opened[-1]], events[opened[-1] :]
    out = {"state": "looking", "attempt": len(opened), "opened": len(opened), "panel": first.get("panel", ""), "token": first.get("token", ""), "verdict": ""}
    for event in since:
        if event["event"] == "stage.end" and event.get("stage") == "checkpoint" and event.get("result") == "ok":
            out["state"] = "changing"
        elif event["event"] == "stage.start" and event.get("stage") == "rollback":
            # also of one that was committed and is being undone
            out.update(state="changing", attempt=event.get("attempt", out["attempt"]))
            out["token"] = events[opened[out["attempt"] - 1]].get("token", "")
        elif event["event"] == "flight.close":
            out.update(state="closed", verdict=event.get("verdict", ""))
    return out


def last(events):
    """standing() for an undo: where the last attempt came to nothing (refused, rolled back), it is about the one that was committed before it."""
    at = standing(events)
    if at["state"] != "closed" or at["verdict"] == "intact":
        return at
    committed = None
    for index, event in enumerate(events):
        if event["event"] == "flight.close":
            now = standing(events[: index + 1])
            if now["verdict"] == "intact":
                committed = now
            elif committed and now["attempt"] == committed["attempt"]:
                committed = None  # it was undone, or given up
    return committed or at


def steps(events):
    """[(stage, result)] of the last attempt, in their order; a stage that was cut has None."""
    out = []
    for event in events:
        if event["event"] == "flight.open":
            out = []
        elif event["event"] == "stage.start":
            out.append([event["stage"], None])
        elif event["event"] == "stage.end" and out and out[-1][0] == event["stage"]:
            out[-1][1] = event.get("result")
    return [tuple(entry) for entry in out]


def brought(wanted, kinds, mode):
    """The inventory of what a restore brings: objects of these kinds (None: of all), without what a source of settings says of customers' data."""
    out = {}
    for kind, entries in wanted["objects"].items():
        if kinds is None or kind in kinds:
            without = CONTENT.get(kind, ()) if mode == "settings" else ()
            out[kind] = {name: {key: value for key, value in attributes.items() if key not in without} for name, attributes in entries.items()}
    return dict(wanted, objects=out)


def lacking(wanted, kinds):
    """Findings of what an inventory names and its export can't bring back."""
    out = []
    for kind, entries in sorted(wanted["objects"].items()):
        if kinds is not None and entries and kind not in kinds:
            evidence = ", ".join(sorted(entries)[:5]) + (" and %d more" % (len(entries) - 5) if len(entries) > 5 else "")
            title, remedy = "%d of kind %s are not in the source" % (len(entries), kind), "bring them back from their own backup (restore-host.yml)"
            out.append(_inventory.finding("panel.source.lacks", wanted["panel"], kind, "", title, evidence, remedy, "warning"))
    return out


def needed(wanted, before):
    """Findings of what the host lacks or has otherwise than a source: why it is restored."""
    return [finding for finding in _inventory.compare(wanted, _without(_own_tables(wanted, before), before)) if finding.severity == "blocker"]


def _own_tables(wanted, before):
    """{database: tables that only the host has}: a dump leaves them, and nothing is lost by them."""
    known = wanted["objects"].get("database", {})
    held = {name: set(one.get("names") or []) for name, one in before["objects"].get("database", {}).items() if known.get(name, {}).get("names") is not None}
    return {name: names - set(known[name]["names"]) for name, names in held.items() if names - set(known[name]["names"])}


def _without(tables, document):
    """An inventory whose databases have not these tables."""
    databases = dict(document["objects"].get("database", {}))
    for name in set(tables) & set(databases):
        names = [table for table in databases[name].get("names") or [] if table not in tables[name]]
        databases[name] = dict(databases[name], names=names, **({"tables": len(names)} if "tables" in databases[name] else {}))
    return dict(document, objects=dict(document["objects"], database=databases)) if databases else document


def only_here(wanted, before):
    """The inventory of what the host has and the source does not know."""
    objects = {}
    for kind, entries in before["objects"].items():
        known = wanted["objects"].get(kind, {})
        kept = {name: attributes for name, attributes in entries.items() if name not in known}
        if kept:
            objects[kind] = kept
    return dict(before, objects=objects)


def came(before, seen):
    """Sorted "kind name" of what came in between: it is in no checkpoint."""
    return sorted("%s %s" % (kind, name) for kind, entries in only_here(before, seen)["objects"].items() for name in entries)


def _kept(wanted, before):
    """What has to be as it was: objects that only the host has, and what it has of customers' data where the source says nothing of it."""
    out = only_here(wanted, before)
    for kind, names in CONTENT.items():
        for name, attributes in before["objects"].get(kind, {}).items():
            known = wanted["objects"].get(kind, {}).get(name)
            # where there was nothing, nothing can be lost by what a source brings
            held = {key: attributes[key] for key in names if attributes.get(key) and known is not None and key not in known}
            if held:
                out["objects"].setdefault(kind, {})[name] = held
    return out


def judge(wanted, before, seen, accept=()):
    """Findings after an import. before: the host's inventory before it, or None where it could not be taken.

    accept: shell patterns of subjects ("plesk domain old.example.com") whose loss somebody answers for. An object that only this host had must be
    there as it was; one that neither had is told.
    """
    found = []
    own = _kept(wanted, before) if before else None
    tables = _own_tables(wanted, before) if before else {}
    for name, names in tables.items():
        gone = names - set(seen["objects"].get("database", {}).get(name, {}).get("names") or [])
        if gone:
            evidence = ", ".join(sorted(gone)[:10])
            found.append(_lost(_inventory.finding("panel.object.missing", wanted["panel"], "database", name, "", evidence, "", change="missing"), accept))
    for finding in _inventory.compare(wanted, _without(tables, seen)):
        kind, name = finding.details.get("kind"), finding.details.get("name")
        if finding.details.get("change") == "extra" and own and name in own["objects"].get(kind, {}):
            continue  # it was here before, and is judged below
        found.append(finding)
    if own:
        found += [_lost(finding, accept) for finding in _inventory.compare(own, seen, kinds=list(own["objects"])) if finding.details.get("change") != "extra"]
    return found


def _lost(finding, accept):
    title = {"missing": "this host had it, the source does not, and it is gone"}.get(finding.details.get("change"), "this host had it, and it was changed")
    allowed = any(fnmatch.fnmatchcase(finding.subject, pattern) for pattern in accept)
    return Finding(
        id=finding.id,
        severity="info" if allowed else "blocker",
        subject=finding.subject,
        title=title,
        evidence=finding.evidence,
        remedy="" if allowed else "take a newer source, or name it in accept when it may go",
        details=dict(finding.details, only_here=True),
    )
