# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""leapp's report and its list of packages, as our findings and plan: pure. The report's schemas 1.0.0 to 1.2.0: oamg/leapp, report-schema-v1*.json."""

from __future__ import annotations

import json
import re
import shlex

from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError

REPORT = "/var/log/leapp/leapp-report.json"
# What leapp hands to its dnf plugin: names that it asks to install, remove and upgrade.
PACKAGES = "/var/log/leapp/dnf-plugin-data.txt"
NEEDED = ("title", "summary", "severity", "id")
# inhibitor: leapp itself refuses to go on. error: an actor of it failed. They are groups since 1.2.0, flags before.
STOPS = ("inhibitor", "error")
SEVERITIES = {"high": "warning", "medium": "warning", "low": "info", "info": "info"}


def parse(data):
    """Entries of a report (bytes). Raises IntactError when it is none."""
    try:
        document = json.loads(data)
        entries = document["entries"]
        for entry in entries:
            missing = [key for key in NEEDED if not isinstance(entry.get(key), str)]
            if missing:
                raise ValueError("an entry lacks %s" % ", ".join(missing))
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise IntactError("leapp's report cannot be read: %s" % exc) from exc
    return entries


def groups(entry):
    """What an entry belongs to, whichever schema says it."""
    return set(entry.get("groups") or []) | set(entry.get("flags") or []) | set(entry.get("tags") or [])


def stops(entry):
    """Whether leapp does not go on because of an entry."""
    return bool(groups(entry) & set(STOPS))


def remedy(entry):
    """leapp's own hints and commands as one sentence, or where to look."""
    out = []
    for hint in (entry.get("detail") or {}).get("remediations") or []:
        context = hint.get("context")
        if hint.get("type") == "command" and isinstance(context, list):
            out.append("run: " + " ".join(shlex.quote(str(word)) for word in context))
        elif isinstance(context, str):
            out.append(" ".join(context.split()))
    links = [link.get("url") for link in (entry.get("detail") or {}).get("external") or [] if link.get("url")]
    return "; ".join(out) or ("see " + ", ".join(links) if links else "see %s on the host" % REPORT.replace(".json", ".txt"))


def finding(entry):
    """A report's entry as a Finding: its stable key in the id, what stops leapp as a blocker."""
    severity = "blocker" if stops(entry) else SEVERITIES.get(entry["severity"], "warning")
    key = re.sub(r"[^0-9a-z]", "", str(entry.get("key") or entry["id"]).lower())[:12]
    resources = [r.get("title", "") for r in (entry.get("detail") or {}).get("related_resources") or []]
    details = {
        "actor": entry.get("actor", ""),
        "groups": sorted(groups(entry)),
        "severity": entry["severity"],
        "key": entry.get("key", ""),
        "resources": resources,
    }
    return Finding("leapp.%s" % key, severity, entry["title"], entry["title"], " ".join(entry["summary"].split())[:1500], remedy(entry), details=details)


def findings(entries):
    """All entries as Findings, blockers first."""
    order = ("blocker", "warning", "info")
    return sorted((finding(entry) for entry in entries), key=lambda f: (order.index(f.severity), f.id))


def packages(data, installed):
    """The transaction (see _rpm_says.empty) that leapp's plugin data (bytes) asks for, as far as it names packages; versions of the target are not known.

    installed: see _rpm_says.installed. None when there is no such data.
    """
    if data is None:
        return None
    try:
        info = json.loads(data)["pkgs_info"]
        names = {kind: [str(name) for name in info[kind]] for kind in ("to_install", "to_remove", "to_upgrade")}
    except (ValueError, KeyError, TypeError) as exc:
        raise IntactError("leapp's list of packages cannot be read: %s" % exc) from exc
    there = {entry["name"]: entry for entry in installed}
    out = {"upgrade": [], "install": [], "remove": [], "obsoletes": {}, "skipped": []}
    for name in names["to_upgrade"]:
        if name in there:
            out["upgrade"].append({"name": name, "arch": there[name]["arch"], "from": there[name]["version"], "to": "", "origin": ""})
    out["install"] = [{"name": name, "arch": "", "to": "", "origin": ""} for name in names["to_install"] if name not in there]
    out["remove"] = [{"name": name, "arch": there[name]["arch"], "from": there[name]["version"]} for name in names["to_remove"] if name in there]
    return out
