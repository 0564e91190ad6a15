# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""The last word of a migration: per class the old disk against the new host, every difference explained by a rule with a reason, else a blocker."""

from __future__ import annotations

import json
import os
import re

from ansible_collections.intact.hosting.plugins.module_utils import _flight
from ansible_collections.intact.hosting.plugins.module_utils._files import escape, read_document
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError
from ansible_collections.intact.hosting.plugins.module_utils._migration import _class_table, _context, _expected, _phases
from ansible_collections.intact.hosting.plugins.module_utils._migration._explained import Explained, check_rules

# Findings of one kind in one class that are listed one by one; the total is always told, and all are in reconcile.d.
MOST = 50
# Reasons of one class that are listed with examples.
REASONS, EXAMPLES = 40, 5
SHOWN = 300
# Attributes whose values go into no report: that they differ is enough.
SECRET = re.compile(r"passw|hash|secret|shadow")
WORDS = {
    "missing": "was on the old disk and is not on the new host",
    "extra": "is on the new host and was not on the old disk",
    "changed": "is another one than on the old disk",
    "metadata": "has other owners, rights or times than on the old disk",
    "moved": "is at another place than on the old disk",
    "changed-while-read": "changed while it was read",
}
REMEDY = "run the phase that brings %s again (site_migration_force), or say why it is right in site_migration_rules (class, subject, reason, who, expires)"


def run(context, classes=(), rules=(), check=False):
    """Reconcile and keep it: reconcile.json and reconcile.d. In check mode nothing is kept. Returns the document."""
    if check:
        return reconcile(context, classes, rules, keep=False)
    with context.locked(wait=_phases.WAIT):
        return context.save(reconcile(context, classes, rules))


def reconcile(context, classes=(), rules=(), keep=True, now=None):
    """The document of the phase reconcile: {phase status counts findings explained classes: [row]}; counts: {unexplained, explained, classes, blockers}.

    classes: names, all when empty. rules: the operator's. A row: {class, old, new, explained, unexplained, changes {kind: number}, sums {measure: [old, new]},
    reasons [{reason, count, subjects}], looked, list}. It only reads, but for reconcile.d (every difference, one JSON line each), with keep.
    """
    check_rules(rules)
    names = list(classes) or list(_class_table.NAMES)
    unknown = sorted((set(names) | {rule["class"] for rule in rules}) - set(_class_table.NAMES))
    if unknown:
        raise IntactError("there is no class %s to reconcile: known are %s" % (", ".join(unknown), ", ".join(_class_table.NAMES)))
    document = dict(_context.fresh("reconcile"), status="done", started=_flight.now(), classes=[])
    lines, findings = _phases_said(context)
    expected = _expected.expected(context.old)
    for name in names:
        if keep:
            context.tell("reconcile: %s" % name)
        row, found = one(context, name, Explained(name, (), lines, rules, now), expected.get(name, (0, "")), keep)
        document["classes"].append(row)
        findings += found
    for name in sorted(set(_class_table.NAMES) - set(names)):
        findings.append(
            Finding(
                "reconciliation.%s.left_out" % name, "warning", name, "this class was not asked for", "classes: %s" % ", ".join(names), "reconcile it as well"
            )
        )
    document["findings"] = [finding.as_dict() for finding in findings]
    document["counts"] = {
        "classes": len(names),
        "explained": sum(row["explained"] for row in document["classes"]),
        "unexplained": sum(row["unexplained"] for row in document["classes"]),
        "blockers": sum(1 for f in findings if f.severity == "blocker"),
    }
    return dict(document, finished=_flight.now())


def _phases_said(context):
    """(what the phases that are through left out and why, findings): theirs, and one for each phase that is not through."""
    lines, findings = [], []
    for phase in _phases.ORDER[:-1]:
        if phase == "identity":
            if not _phases.finished(context, phase):
                findings.append(_unfinished(context, phase, "there is no %s" % _context.MAP))
            else:
                # who runs the phases without this one has not passed its gate
                findings += [Finding.from_dict(entry) for entry in read_document(context.path(_context.MAP)).get("findings", [])]
            continue
        document = context.document(phase)
        if document["status"] != "done":
            findings.append(_unfinished(context, phase, "status: %s" % (document["status"] or "it never ran")))
        else:
            lines += [line for line in document["explained"] if isinstance(line, dict) and line.get("reason")]
        findings += [Finding.from_dict(entry) for entry in document["findings"]]
    return lines, findings


def _unfinished(context, phase, evidence):
    return Finding(
        "reconciliation.phase.unfinished",
        "blocker",
        phase,
        "this phase of the migration is not through, and nothing that it left out is explained",
        evidence,
        "run it (site_migration_phases: [%s]) for %s; it goes on where it was" % (phase, context.ident),
    )


def one(context, name, explained, expected, keep=True):
    """(row, findings) of one class. expected: (how many there are at least, one of them).

    Whatever goes wrong in looking is a blocker: nobody may take it for equal.
    """
    row = {"class": name, "old": 0, "new": 0, "explained": 0, "unexplained": 0, "changes": {}, "sums": {}, "reasons": [], "looked": False, "list": ""}
    told = _Told(context, name, keep)
    try:
        klass = _class_table.module(name)
        explained.rules = list(getattr(klass, "RULES", ()))
        with told:
            numbers = _class_table.look(klass, context)
            for change, subject, attribute, old, new in numbers["differences"]:
                told.add(change, subject, attribute, old, new, explained)
        row.update(old=numbers["old"], new=numbers["new"], sums=numbers["sums"], looked=True)
    except Exception as exc:  # pylint: disable=broad-except  # a class that broke must not pass as one without a difference
        evidence = str(exc) if isinstance(exc, (IntactError, OSError)) else "%s: %s" % (type(exc).__name__, exc)
        trouble = Finding(
            "reconciliation.%s.failed" % name,
            "blocker",
            name,
            "this class could not be looked at, so nothing is known of it",
            evidence[:SHOWN],
            "mend what it says, then reconcile again",
        )
        row.update(told.numbers())
        return row, [trouble] + told.findings()
    row.update(told.numbers())
    found = told.findings()
    if not row["old"] and expected[0]:
        found.append(
            Finding(
                "reconciliation.%s.nothing" % name,
                "blocker",
                name,
                "nothing of this class was read from the old disk, though there is some",
                "%d on the disk, one is %s" % (expected[0], escape(expected[1])),
                "tell the role where they are (its README names the settings), and reconcile again",
            )
        )
    return row, found


class _Told:
    """Differences of one class: counted all, written to reconcile.d, the first of each kind kept to be shown."""

    def __init__(self, context, name, keep):
        self._name, self._context, self._keep, self._out = name, context, keep, None
        self._shown, self._total, self._subjects = {}, {}, {}
        self._reasons, self._explained = {}, 0
        self.path = ""

    def __enter__(self):
        if not self._keep:
            return self
        self.path = os.path.join(self._context.phase_directory("reconcile"), self._name + ".jsonl")
        fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        self._out = os.fdopen(fd, "w", encoding="utf-8", errors="backslashreplace")
        return self

    def __exit__(self, *_exc):
        if self._out:
            self._out.close()

    def add(self, change, subject, attribute, old, new, explained):
        """One difference."""
        reason = explained.reason(change, subject, attribute, old, new)
        line = {"change": change, "subject": subject, "attribute": attribute, "old": _short(old), "new": _short(new), "reason": reason}
        if SECRET.search(attribute):
            line.update(old="(not shown)", new="(another one)")
        if self._out:
            self._out.write(json.dumps(line, sort_keys=True) + "\n")
        if reason:
            self._explained += 1
            count, examples = self._reasons.setdefault(reason, [0, []])
            self._reasons[reason][0] = count + 1
            if len(examples) < EXAMPLES:
                examples.append(subject)
            return
        self._total[change] = self._total.get(change, 0) + 1
        shown = self._shown.setdefault(change, {})
        if subject in shown or len(shown) < MOST:
            line["expired"] = explained.expired(change, subject, attribute)
            shown.setdefault(subject, []).append(line)

    def numbers(self):
        """The row's part of it."""
        reasons = sorted(self._reasons.items(), key=lambda entry: (-entry[1][0], entry[0]))
        return {
            "explained": self._explained,
            "unexplained": sum(self._total.values()),
            "changes": dict(self._total),
            "reasons": [{"reason": reason, "count": count, "subjects": examples} for reason, (count, examples) in reasons[:REASONS]],
            "reasons_total": len(reasons),
            "list": self.path,
        }

    def findings(self):
        """One for each subject that is shown, one more for each kind that has more of them."""
        out = []
        for change, subjects in sorted(self._shown.items()):
            listed = 0
            for subject, lines in subjects.items():
                listed += len(lines)
                out.append(self._finding(change, subject, lines))
            if self._total[change] > listed:
                text = "%d more" % (self._total[change] - listed)
                title = "more of the class %s: each %s" % (self._name, WORDS.get(change, change))
                evidence = "%d in all, each in %s on the host" % (self._total[change], self.path or "reconcile.d")
                out.append(Finding(self._id(change), "blocker", text, title, evidence, REMEDY % self._name, details={"total": self._total[change]}))
        return out

    def _finding(self, change, subject, lines):
        first = lines[0]
        remedy = REMEDY % self._name
        if first["expired"]:
            rule = first["expired"]
            remedy = "the rule by %s (%s) ran out on %s: renew it or %s" % (rule["who"], rule["reason"], rule["expires"], remedy)
        evidence = "; ".join("%s: %s, now %s" % (line["attribute"], _word(line["old"]), _word(line["new"])) for line in lines if line["attribute"])
        details = {"change": change, "class": self._name, "total": self._total[change]}
        if first["attribute"]:
            details.update(attribute=first["attribute"], before=first["old"], after=first["new"])
        title = "%s %s" % (_class_table.SINGULAR.get(self._name, self._name), WORDS.get(change, change))
        return Finding(self._id(change), "blocker", subject, title, evidence[: SHOWN * 3], remedy, details=details)

    def _id(self, change):
        return "reconciliation.%s.%s" % (self._name, re.sub(r"[^a-z]+", "_", change))


def table(rows):
    """The counts as lines: class, old, new, explained, unexplained; what is added up stands below its class."""
    form = "%-14s %14s %14s %10s %12s"
    lines = [form % ("class", "old", "new", "explained", "unexplained")]
    for row in rows:
        numbers = (row["old"], row["new"]) if row["looked"] else ("?", "?")
        lines.append(form % ((row["class"],) + numbers + (row["explained"], row["unexplained"])))
        lines += [(form % ("  " + name, old, new, "", "")).rstrip() for name, (old, new) in sorted(row["sums"].items())]
    return lines


def _short(value):
    """A value as it may be shown: a long one, or one of many, by its beginning."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    text = escape(value) if isinstance(value, bytes) else value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
    return text if len(text) <= SHOWN else text[:SHOWN] + "..."


def _word(value):
    return "nothing" if value is None or value == "" else str(value)
