# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Findings, waivers and the gate: what every check returns and what alone decides whether a flight goes on."""

from __future__ import annotations

import datetime
import fnmatch
import textwrap
from dataclasses import asdict, dataclass, field

SEVERITIES = ("blocker", "warning", "info")


class IntactError(Exception):
    """One sentence an operator can act on; facts go into details."""

    def __init__(self, message, **details):
        super().__init__(message)
        self.details = details


@dataclass
class Finding:
    """One sentence about one subject.

    id: stable and dotted, e.g. disks.identity.changed; its first part is the section.
    check: the check's number in the facts (PF06, QF10), when it has one.
    subject: the thing, as an operator would name it. evidence: what was seen.
    remedy: what to do next. details: machine-readable (change, attribute, before, after).
    covers: what this finding explains if it is true: list of [section, subject pattern].
    consequences: findings folded under this one by correlation, as dicts.
    """

    id: str
    severity: str
    subject: str
    title: str
    evidence: str = ""
    remedy: str = ""
    check: str = ""
    details: dict = field(default_factory=dict)
    covers: list = field(default_factory=list)
    consequences: list = field(default_factory=list)

    def __post_init__(self):
        if self.severity not in SEVERITIES:
            raise ValueError("severity %r is none of %s" % (self.severity, ", ".join(SEVERITIES)))

    @property
    def section(self):
        """The part of the id before its first dot."""
        return self.id.split(".", 1)[0]

    def as_dict(self):
        """Plain data for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data):
        """A Finding from as_dict(), unknown keys left out."""
        return cls(**{key: data[key] for key in cls.__dataclass_fields__ if key in data})


def parse_time(text):
    """An aware UTC datetime from ISO 8601; a bare date means its end (23:59:59 UTC)."""
    text = str(text).strip()
    try:
        if len(text) == 10:
            moment = datetime.datetime.strptime(text, "%Y-%m-%d") + datetime.timedelta(days=1, seconds=-1)
        else:
            moment = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError as exc:
        raise IntactError("%r is not a date like 2026-11-30 or 2026-11-30T04:00:00Z" % text) from exc
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.timezone.utc)
    return moment.astimezone(datetime.timezone.utc)


WAIVER_KEYS = ("id", "subject", "reason", "who", "expires")


def check_waivers(waivers):
    """Raise IntactError naming the first waiver that lacks a key or has an unreadable expiry."""
    for waiver in waivers:
        missing = [key for key in WAIVER_KEYS if not str(waiver.get(key) or "").strip()]
        if missing:
            raise IntactError(
                "waiver %s lacks %s: a waiver names id, subject, reason, who and expires (a date)" % (waiver.get("id") or waiver, ", ".join(missing))
            )
        if waiver["id"].strip("*.") == "":
            raise IntactError("waiver %r waives everything: name the finding's id" % waiver["id"])
        parse_time(waiver["expires"])


def waives(waiver, finding):
    """Whether a waiver names this finding: same id; subject equal, or a shell pattern in the waiver."""
    if waiver["id"] != finding.id:
        return False
    return waiver["subject"] == finding.subject or fnmatch.fnmatchcase(finding.subject, waiver["subject"])


def gate(findings, waivers=(), now=None):
    """Decide: findings + waivers -> verdict.

    Returns {go: bool, counts: {blocker, warning, info, waived}, findings: [dict + status, waiver]},
    blockers first. status is open, waived, or expired (a waiver is there and out of date: still a blocker).
    """
    check_waivers(waivers)
    now = now or datetime.datetime.now(datetime.timezone.utc)
    judged, waiting = [], list(findings)
    while waiting:
        finding = waiting.pop(0)
        entry = dict(finding.as_dict(), status="open", waiver=None)
        for waiver in waivers:
            if finding.severity == "info" or not waives(waiver, finding):
                continue
            expired = parse_time(waiver["expires"]) < now
            entry["waiver"] = dict(waiver, expires=str(waiver["expires"]))
            entry["status"] = "expired" if expired else "waived"
            if not expired:
                break
        alone = finding.details.get("alone")
        if entry["status"] == "waived" and alone in SEVERITIES:
            # Who waived a warning knew of the warning, not of the losses that it turned out to explain.
            released = [c for c in finding.consequences if SEVERITIES.index(c["severity"]) < SEVERITIES.index(alone)]
            entry["consequences"] = [c for c in entry["consequences"] if c not in released]
            waiting += [Finding.from_dict(c) for c in released]
        if entry["status"] == "expired":
            entry["severity"] = "blocker"
            remedy = entry["remedy"] or "clear the finding"
            said = (entry["waiver"]["who"], entry["waiver"]["expires"], remedy[:1].lower() + remedy[1:])
            entry["remedy"] = "The waiver by %s expired on %s: renew it or %s" % said
        judged.append(entry)
    judged.sort(key=lambda e: (e["status"] == "waived", SEVERITIES.index(e["severity"]), e["id"], e["subject"]))
    open_ones = [e for e in judged if e["status"] != "waived"]
    counts = {s: sum(1 for e in open_ones if e["severity"] == s) for s in SEVERITIES}
    counts["waived"] = len(judged) - len(open_ones)
    return {"go": counts["blocker"] == 0, "counts": counts, "findings": judged}


def table(verdict, host, title="gate", width=100, infos=False):
    """The gate's table as lines that fit a terminal of width columns: blockers first, each with its remedy."""
    counts = verdict["counts"]
    word = "GO" if verdict["go"] else "NO GO"
    lines = [
        "%s %s: %s  (%d blockers, %d warnings, %d notes, %d waived)"
        % (host, title, word, counts["blocker"], counts["warning"], counts["info"], counts["waived"])
    ]
    marks = {"blocker": "BLOCK", "warning": "warn", "info": "note"}
    for entry in verdict["findings"]:
        if entry["severity"] == "info" and entry["status"] == "open" and not infos:
            continue
        mark = "waived" if entry["status"] == "waived" else marks[entry["severity"]]
        number = (" [%s]" % entry["check"]) if entry.get("check") else ""
        head = "%-6s %s  %s%s" % (mark, entry["id"], entry["subject"], number)
        lines += textwrap.wrap(head, width, subsequent_indent=" " * 7, break_on_hyphens=False)
        for label, text in (("", entry["title"]), ("seen: ", entry["evidence"]), ("do: ", entry["remedy"])):
            if text and not (label == "do: " and entry["status"] == "waived"):
                lines += textwrap.wrap(label + text, width, initial_indent=" " * 7, subsequent_indent=" " * 9, break_on_hyphens=False)
        if entry["waiver"]:
            w = entry["waiver"]
            lines += textwrap.wrap(
                "%s by %s until %s: %s" % (entry["status"], w["who"], w["expires"], w["reason"]),
                width,
                initial_indent=" " * 7,
                subsequent_indent=" " * 9,
                break_on_hyphens=False,
            )
        if entry["consequences"]:
            lines.append("       explains %d more findings (in the report)" % len(entry["consequences"]))
    return lines
