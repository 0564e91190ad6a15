# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Compare two baselines: pure. Differences of items, correlation of cause and consequence."""

from __future__ import annotations

import copy
import fnmatch
import json

from ansible_collections.intact.hosting.plugins.module_utils._baseline._allowed import check_rules, judged, rename, still, text
from ansible_collections.intact.hosting.plugins.module_utils._findings import SEVERITIES, Finding

# Which finding is the cause when several tell of one event: earlier explains later (see correlate).
CAUSES = (
    "disks",
    "mounts",
    "files.tree",
    "network",
    "resolver",
    "accounts",
    "packages",
    "integrity",
    "runtimes",
    "confinement",
    "services",
    "databases",
    "dns",
    "tls",
    "sites",
    "lists",
    "mail",
    "queue",
    "cron",
    "rotation",
    "firewall",
    "sockets",
    "sysctl",
    "resources",
    "files",
)

# Sections that came after the others: a look from before has none of them, and is whole without.
LATER = ("integrity", "runtimes", "confinement", "rotation")


def differences(before, after, ignore=()):
    """Differences of two {subject: {attribute: value}} maps, sorted by subject.

    Yields (subject, change, attribute, old, new); change is missing, new or changed.
    For missing and new, attribute is "" and old/new is the whole item.
    """
    for subject in sorted(set(before) | set(after)):
        if subject not in after:
            yield subject, "missing", "", before[subject], None
        elif subject not in before:
            yield subject, "new", "", None, after[subject]
        else:
            old, new = before[subject], after[subject]
            for attribute in sorted(set(old) | set(new)):
                if attribute not in ignore and old.get(attribute) != new.get(attribute):
                    yield subject, "changed", attribute, old.get(attribute), new.get(attribute)


def details(change, attribute="", before=None, after=None, **more):
    """The details dict that rules match against."""
    return dict(more, change=change, attribute=attribute, before=before, after=after)


def _under(path, directory):
    return path == directory or path.startswith(directory.rstrip("/") + "/")


def covered(entry, finding):
    """Whether a covers entry names this finding: its section ("*" is any) and every other key it has.

    subject: exact. match: shell pattern for the subject. id: shell pattern for the id. details: {key: shell pattern}.
    path: the subject is that path or below it, or any of details.paths is. told (for _explains): the section tells all that this file says.
    """
    if entry["section"] not in ("*", finding.section) or _about_the_look(finding):
        return False
    if "subject" in entry and entry["subject"] != finding.subject:
        return False
    if "match" in entry and not fnmatch.fnmatchcase(finding.subject, entry["match"]):
        return False
    if "id" in entry and not fnmatch.fnmatchcase(finding.id, entry["id"]):
        return False
    if any(not fnmatch.fnmatchcase(text(finding.details.get(key)), text(value)) for key, value in entry.get("details", {}).items()):
        return False
    if "path" not in entry:
        return True
    paths = list(finding.details.get("paths") or [])
    if finding.subject.startswith("/"):
        paths.append(finding.subject)
    return any(_under(path, entry["path"]) for path in paths)


def _about_the_look(finding):
    """Whether a finding is about the earlier look or the operator's own limits: no event on the host explains these."""
    change = finding.details.get("change")
    return change in ("off", "unlooked", "uncompared", "unknown") or (change == "unread" and finding.subject.endswith("(before)"))


def _rank(finding):
    for index, prefix in enumerate(CAUSES):
        if finding.id.startswith(prefix + "."):
            # "files.tree" must not be taken for "files", nor the other way round
            if prefix == "files" and finding.id.startswith("files.tree."):
                continue
            return index
    return len(CAUSES)


TOLD_BY_A_FILE = {"content", "link", "type", "new", "hardlink", "sparse"}


def _tells(entry, finding):
    """Whether a covers entry says by which file the same change is told, and not what an event brought about.

    A file may tell by other content, or as a link that came or went; that others may read it now, or that it is gone, is an event of its own.
    """
    if entry["section"] != "files" or not {"path", "match", "details"} & set(entry):
        return False
    if "details" in entry or set((finding.details.get("attribute") or "content").split(",")) <= TOLD_BY_A_FILE:
        return True
    return str(finding.details.get("before") or finding.details.get("after")).startswith("a link to ")


def _explains(cause, finding):
    """Whether a cause's covers name a finding; and whether the finding is then as grave as it would be alone (see correlate)."""
    entries = [entry for entry in cause.covers if still(cause) == still(finding) and covered(entry, finding)]
    if cause.severity == "info":
        # A note is read by nobody: it must not hide what somebody has to look at, unless it says that this file's content is told by its section.
        return bool(entries) and (finding.severity == "info" or any(entry.get("told") and _tells(entry, finding) for entry in entries)), False
    return bool(entries), not any(_tells(entry, finding) for entry in entries)


def correlate(findings):
    """Fold consequences under their causes: nothing is dropped, each folded finding is listed once, under the first cause of its chain.

    A cause is as grave as the gravest of what it brought about: a warning that hides a loss is a blocker, and details.alone says what it is by itself.
    """
    order = sorted(findings, key=_rank)
    parent, grave = {}, []

    def root(index):
        while index in parent:
            index = parent[index]
        return index

    for index, cause in enumerate(order):
        if not cause.covers:
            continue
        for other, finding in enumerate(order):
            # root(index) != other: two that explain each other must not both vanish
            if other in parent or root(index) == other:
                continue
            explains, weighs = _explains(cause, finding)
            if explains:
                parent[other] = index
                if weighs:
                    grave.append(other)
    raised = {}
    for index in grave:
        # along the chain: what a consequence weighs, its cause weighs as well
        climb, worst = index, min(SEVERITIES.index(order[index].severity), raised.get(index, len(SEVERITIES)))
        while climb in parent:
            climb = parent[climb]
            raised[climb] = min(worst, raised.get(climb, worst))
    for index, worst in raised.items():
        if worst < SEVERITIES.index(order[index].severity):
            order[index].details["alone"] = order[index].severity
            order[index].severity = SEVERITIES[worst]
    for index in sorted(parent):
        finding = order[index]
        order[root(index)].consequences += [{k: v for k, v in finding.as_dict().items() if k != "consequences"}] + finding.consequences
    return [finding for index, finding in enumerate(order) if index not in parent]


def compare(before, after, probes, rules=()):
    """Compare two documents (see _document). probes: {section: module with compare(before, after)}.

    Returns {"findings": [Finding], "allowed": [{"finding": dict, "reason": str}], "renamed": [...],
    "sections": [{"section", "before", "after", "changes", "allowed", "status"}]}.
    """
    check_rules(rules)
    findings, allowed, renamed, sections = mismatched(before, after), [], [], []
    for section, probe in probes.items():
        old, new = before["sections"].get(section), after["sections"].get(section)
        raised = state_findings(section, old, new)
        if old and new and "data" in old and "data" in new and (old["data"] or new["data"]):
            data = copy.copy(old["data"])
            try:
                if "items" in data:
                    data["items"], moved = rename(data["items"], section, rules, new["data"].get("items", {}))
                    renamed += [dict(entry, section=section) for entry in moved]
                raised += probe.compare(data, new["data"])
            except Exception as exc:  # a document that is not whole, or a probe's own defect, must hide neither this section nor the others
                raised.append(_uncompared(section, exc))
        kept = []
        pairs = [pair for finding in raised for pair in judged(finding, rules)]
        allowed += [{"finding": finding.as_dict(), "reason": rule["reason"]} for rule, finding in pairs if rule]
        kept = [finding for rule, finding in pairs if not rule]
        findings += kept
        sections.append(
            {
                "section": section,
                "before": summary(old),
                "after": summary(new),
                "status": (new or {}).get("status", "missing"),
                "changes": len(pairs),
                "allowed": len(pairs) - len(kept),
            }
        )
    return {"findings": correlate(findings), "allowed": allowed, "renamed": renamed, "sections": sections}


def _uncompared(section, exc):
    """The finding in place of all that a probe would have told, had it not failed."""
    return Finding(
        id="%s.uncompared" % section,
        severity="blocker",
        subject=section,
        title="the %s section could not be compared: nobody knows what differs in it" % section,
        evidence="%s: %s (a document that is not whole, or a defect in this probe)" % (type(exc).__name__, exc),
        remedy="capture again and compare again; if it stays, compare this section by hand and report the defect",
        details=details("uncompared"),
    )


def mismatched(before, after):
    """Findings about two documents that say nothing of one another: another host's, or the later one taken first."""
    out = []
    if before.get("host") and after.get("host") and before["host"] != after["host"]:
        out.append(
            Finding(
                id="baseline.host.differs",
                severity="blocker",
                subject=after["host"],
                title="the two looks are at different hosts, or the host has another name now",
                evidence="%s before, %s after" % (before["host"], after["host"]),
                remedy="name the right earlier document, or give the host its name back",
                details=details("changed", "host", before["host"], after["host"]),
            )
        )
    if before.get("taken") and after.get("taken") and after["taken"] < before["taken"]:
        out.append(
            Finding(
                id="baseline.order",
                severity="blocker",
                subject=after.get("host") or "baseline",
                title="the later look was taken before the earlier one",
                evidence="%s before, %s after" % (before["taken"], after["taken"]),
                remedy="look again, then compare; check the host's clock",
                details=details("changed", "taken", before["taken"], after["taken"]),
            )
        )
    return out


def diff(findings, allowed):
    """Before and after as text for Ansible's diff mode: one line for each thing that differs, allowed ones with their reason."""
    told = [(f.as_dict(), "") for f in findings] + [(entry["finding"], " (allowed: %s)" % entry["reason"]) for entry in allowed]
    before, after = [], []
    for finding, note in told:
        for entry, mark in [(finding, note)] + [(c, " (explained by %s %s)" % (finding["id"], finding["subject"])) for c in finding["consequences"]]:
            attribute = entry["details"].get("attribute", "")
            name = "%s: %s%s%s" % (entry["id"].split(".", 1)[0], entry["subject"], " " + attribute if attribute else "", mark)
            change = entry["details"].get("change", "changed")
            if change in ("missing", "changed"):
                before.append("%s = %s" % (name, _short(entry["details"].get("before"))))
            if change != "missing":
                after.append("%s = %s" % (name, _short(entry["details"].get("after")) if change in ("new", "changed") else entry["title"]))
    return {"before_header": "baseline before", "after_header": "baseline after", "before": "\n".join(before) + "\n", "after": "\n".join(after) + "\n"}


def _short(value):
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return text if len(text) <= 200 else text[:197] + "..."


def summary(section):
    """The section's own summary {what: number}, or {} when it could not be read."""
    return ((section or {}).get("data") or {}).get("summary", {})


def state_findings(section, old, new):
    """Findings about what was not looked at. A section that neither look could see is a finding as well."""
    out = []
    for moment, part in (("before", old), ("after", new)):
        status = (part or {}).get("status", "missing")
        if part is None and moment == "before" and section in LATER and new is not None:
            out.append(
                Finding(
                    id="%s.unknown" % section,
                    severity="warning",
                    subject="%s (before)" % section,
                    title="the earlier look was taken before there was a section %s: nothing in it was compared" % section,
                    evidence="not in the earlier document; the later look has it (%s)" % new.get("status", "?"),
                    remedy="before the next work look again (check-host.yml), so that it is compared then; look at what the later one says by hand now",
                    details=details("unknown"),
                )
            )
        elif status in ("missing", "failed"):
            out.append(
                Finding(
                    id="%s.unread" % section,
                    severity="blocker",
                    subject="%s (%s)" % (section, moment),
                    title="the %s section could not be read %s" % (section, moment),
                    evidence=(part or {}).get("reason", "not in the document"),
                    remedy="repair what the reason names and capture again",
                    details=details("unread"),
                )
            )
        elif status == "off":
            out.append(
                Finding(
                    id="%s.off" % section,
                    severity="warning",
                    subject="%s (%s)" % (section, moment),
                    title="the %s section is switched off %s: nothing in it was compared" % (section, moment),
                    remedy="switch it on in baseline_sections, or waive this",
                    details=details("off"),
                )
            )
        for entry in (part or {}).get("unlooked", []):
            out.append(
                Finding(
                    id="%s.unlooked" % section,
                    severity="warning",
                    subject=entry["what"],
                    title="not looked at (%s)" % moment,
                    evidence=entry["why"],
                    remedy="raise the section's limit, or waive this",
                    details=details("unlooked"),
                )
            )
    return out
