# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Judge two captures of cron: jobs and timers that are gone, edited, new, or whose program is. Pure."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _schedule
from ansible_collections.intact.hosting.plugins.module_utils._baseline._compare import details
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding


def compare(before, after):
    """Findings for two data dicts."""
    old, new = before.get("items", {}), after.get("items", {})
    missing = [s for s in sorted(old) if s not in new]
    added = [s for s in sorted(new) if s not in old]
    out = []
    for subject in list(missing):
        twin = next((s for s in added if _same_job(old[subject], new[s])), None)
        if twin:
            missing.remove(subject)
            added.remove(twin)
            what = "schedule" if old[subject]["schedule"] != new[twin]["schedule"] else "command"
            out.append(
                _finding(
                    "cron.job.changed",
                    "blocker",
                    subject,
                    "the job's %s is not what it was" % what,
                    "%s before, %s now" % (old[subject][what], new[twin][what]),
                    old[subject],
                    "changed",
                    what,
                    old[subject][what],
                    new[twin][what],
                )
            )
    out += [f for f in (_missing(subject, old[subject], after.get("clock")) for subject in missing) if f]
    for subject in added:
        item = new[subject]
        kind = "timer" if item["kind"] == "timer" else "job"
        out.append(
            _finding(
                "cron.%s.new" % kind,
                "warning",
                subject,
                "was not there before",
                "it is in %s" % item["file"],
                item,
                "new",
                "",
                None,
                subject,
                remedy="find out who made it; allow it with a reason or remove it",
            )
        )
    for subject in sorted(set(old) & set(new)):
        out += _changed(subject, old[subject], new[subject])
    return out


def _same_job(a, b):
    """Whether two jobs are one whose schedule or command was edited: same user and file, and one of the two kept."""
    if a["kind"] in ("timer", "at") or any(a.get(k) != b.get(k) for k in ("kind", "user", "file")):
        return False
    return a["command"] == b["command"] or (
        a["schedule"] == b["schedule"] and a["kind"] != "part" and _schedule.program(a["command"]) == _schedule.program(b["command"])
    )


def _missing(subject, item, clock):
    if item["kind"] == "at":
        if clock is not None and clock >= item["due"]:
            return None  # it was due and has run
        return _finding("cron.at.missing", "blocker", subject, "the at job is gone before its time", "", item, "missing", "", subject, None)
    if item["kind"] == "timer":
        return _finding(
            "cron.timer.missing",
            "blocker",
            subject,
            "the timer is gone",
            "%s started %s" % (", ".join(item["schedule"]), item["unit"]),
            item,
            "missing",
            "",
            subject,
            None,
        )
    return _finding("cron.job.missing", "blocker", subject, "the job is gone", "it was in %s" % item["file"], item, "missing", "", subject, None)


def _changed(subject, a, b):
    """Findings for one job's or timer's attributes; the file it moved to within the system is no loss."""
    if a["kind"] == "timer":
        for key, title in (
            ("schedule", "the timer runs at other times"),
            ("unit", "the timer starts another unit"),
            ("enabled", "the timer is not enabled as it was"),
            ("armed", "the timer does not run as it did"),
        ):
            if a[key] != b[key]:
                yield _finding(
                    "cron.timer.changed", "blocker", subject, title, "%s: %s before, %s now" % (key, a[key], b[key]), a, "changed", key, a[key], b[key]
                )
                return
        return
    if a.get("runs") != b.get("runs") and b.get("runs") not in ("yes", "unknown"):
        yield _finding(
            "cron.program.missing",
            "blocker",
            subject,
            "the job cannot run any more",
            b["runs"],
            a,
            "changed",
            "runs",
            a.get("runs"),
            b["runs"],
            remedy="install what it needs, or tell the customer what replaces it",
        )
    if a.get("count") != b.get("count"):
        yield _finding(
            "cron.job.changed",
            "warning" if b["count"] > a["count"] else "blocker",
            subject,
            "the job is listed another number of times",
            "%s before, %s now" % (a["count"], b["count"]),
            a,
            "changed",
            "count",
            a["count"],
            b["count"],
        )
    if a.get("settings") != b.get("settings"):
        yield _finding(
            "cron.settings.changed",
            "blocker",
            subject,
            "the job runs with other settings (MAILTO, PATH, ...)",
            "%s before, %s now" % (a["settings"], b["settings"]),
            a,
            "changed",
            "settings",
            None,
            None,
        )


def _finding(
    finding,
    severity,
    subject,
    title,
    evidence,
    item,
    change,
    attribute,
    was,
    now,
    remedy="put the entry back from the backup, or allow the change with a reason",
):
    paths = [path for path in (item.get("file"),) if path]
    return Finding(
        id=finding,
        severity=severity,
        subject=subject,
        title=title,
        evidence=evidence,
        remedy=remedy,
        details=details(change, attribute, was, now, paths=paths, file=item.get("file"), origin=item.get("origin"), user=item.get("user")),
        covers=[{"section": "files", "path": path} for path in paths],
    )
