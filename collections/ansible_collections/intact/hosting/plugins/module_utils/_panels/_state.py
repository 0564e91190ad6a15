# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What panels and exports are, for people, results and gates."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils import _proofs
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError, parse_time
from ansible_collections.intact.hosting.plugins.module_utils._panels import _export, _inventory, _progress, _verify


def host_of(system):
    """(name, machine-id) of the host that a view shows."""
    return system.text("/proc/sys/kernel/hostname").strip() or system.text("/etc/hostname").strip(), system.text("/etc/machine-id").strip()


def look(system, driver, found, inventory, root, now):
    """(what a panel is, knows and has exported; findings; [Held]). inventory: none, counts or full."""
    exports = _export.held(root, driver.NAME)
    keys = driver.keys(system, found) if hasattr(driver, "keys") else []
    told = {"name": driver.NAME, "title": driver.TITLE, "version": found.get("version", ""), "met": driver.MET, "root": found.get("root", "")}
    daily = driver.daily(system, found) if hasattr(driver, "daily") else []
    told.update(exports=[state(entry, now) for entry in exports], keys=keys, daily=daily, running=_progress.running(driver.NAME, root))
    findings = []
    if inventory != "none":
        try:
            document = driver.inventory(system, found)
        except Exception as exc:  # one panel must not hide the others
            why = str(exc) if isinstance(exc, IntactError) else _verify.defect(driver, exc)
            remedy = "repair what is named: no export of this panel can be proven before"
            findings.append(_inventory.finding("panel.unproven", driver.NAME, "inventory", "", "its objects could not be told", why, remedy))
        else:
            told.update(objects=_inventory.counts(document), unlooked=document["unlooked"])
            told.update({"inventory": _inventory.shown(document)} if inventory == "full" else {})
    return told, findings, exports


def stale(panel, held, now, hours, host_id):
    """A finding when no proven export of a panel is young enough. held: [Held] of the panel, newest first. Pure."""
    good = next((entry for entry in held if entry.verdict == "proven" and (entry.document.get("host_id") or host_id) == host_id), None)
    if good is None:
        evidence = "%d exports, none of them proven" % len(held) if held else "there is no export at all"
    elif _export.age(good.document, now) > hours:
        evidence = "the newest proven one is %d hours old (%s), %d are allowed" % (_export.age(good.document, now), good.ident, hours)
    elif parse_time(good.document["taken"]) > now:
        evidence = "the newest proven one is from the future (%s): look at the clock" % good.document["taken"]
    else:
        return []
    title, remedy = "there is no proven export that is young enough", "export it: export-panel.yml, and read its findings"
    return [_inventory.finding("panel.export.stale", panel, "export", good.ident if good else "", title, evidence, remedy)]


def state(held, now):
    """An export for people and machines: what its document says, without what it says about objects."""
    out = {"panel": held.panel, "id": held.ident, "path": held.path, "verdict": held.verdict, "why": held.why}
    if held.document:
        keys = ("mode", "version", "met", "host", "host_id", "made", "taken", "seconds", "objects", "native", "scratch", "digest")
        out.update({key: held.document.get(key) for key in keys})
        out["hours"] = round(_export.age(held.document, now), 1)
        out["bytes"] = sum(entry["stored"]["bytes"] for entry in held.document["files"] if entry["stored"])
    return out


def weaknesses(document, panel, host_id, names, hours, now):
    """Why an export's document does not prove that this panel of this host can be brought back: [sentence]. Pure."""
    if document.get("kind") != "panel:%s" % panel or not isinstance(document.get("files"), list):
        return ["it is somebody's word, not the document of an export (export.json)"]
    if document.get("digest") != _proofs.digest(document):
        return ["its digest is not that of its content: it was changed after it was made"]
    told = [] if document["verdict"] == "proven" else ["the export is %s: %s" % (document["verdict"], _worst(document))]
    known = document.get("host_id") or ""
    if (known and host_id and known != host_id) or (not (known and host_id) and document.get("host") not in names):
        told.append("it is about %s (machine-id %s), this host is %s" % (document.get("host") or "?", known or "unknown", " or ".join(names)))
    why = _proofs.late(document["taken"], hours, now)
    return told + (["it is " + why] if why else [])


def _worst(document):
    blockers = [finding for finding in document["findings"] if finding["severity"] == "blocker"]
    return "%s %s" % (blockers[0]["subject"], blockers[0]["title"]) if blockers else "it was not read back"


def lines(settings, planned, outcomes=()):
    """The exports of the panels of a plan, a line each, as a diff shows them; with the outcomes, as they are or would be afterwards."""
    out = []
    done = {outcome.panel: outcome for outcome in outcomes}
    for driver, _found, _held in planned:
        outcome = done.get(driver.NAME)
        gone = outcome.removed if outcome else []
        if outcome and outcome.foretold:
            out.append("%s: a new %s export" % (driver.NAME, settings.mode))
        elif outcome and outcome.made and outcome.verdict == "failed":
            out.append("%s: %s, failed" % (driver.NAME, outcome.path))
        out += ["%s: %s, %s" % (driver.NAME, entry.path, entry.verdict) for entry in _export.held(settings.root, driver.NAME) if entry.path not in gone]
    return "".join(line + "\n" for line in out)
