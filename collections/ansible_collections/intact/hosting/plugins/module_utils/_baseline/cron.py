# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Cron: jobs of users and of the system, at jobs, the administrator's own timers, and whether what they start is there."""

from __future__ import annotations

import datetime
import os

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _origin, _schedule
from ansible_collections.intact.hosting.plugins.module_utils._baseline._compare import details
from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError

SECTION = "cron"
TABS = "/var/spool/cron/crontabs"
AT_JOBS = "/var/spool/cron/atjobs"
PARTS = ("hourly", "daily", "weekly", "monthly", "yearly")
TIMER_PROPERTIES = "Id,Triggers,UnitFileState,ActiveState,TimersCalendar,TimersMonotonic,FragmentPath,DropInPaths"
VENDOR = ("/usr/lib/systemd/", "/lib/systemd/")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def capture(system):
    """Items: "carol: 5 * * * * /home/carol/bin/report" {kind, user, schedule, command, file, count, settings, runs, origin},
    "timer backup.timer" {kind: timer, schedule, unit, enabled, armed, file}, "carol: at 2026-11-22 15:16Z (job 7) ..." {kind: at, due}.
    clock: minutes since 1970, for at jobs.
    """
    known = _origin.conffiles(system)
    items, jobs = {}, []
    for name in system.listdir(TABS):
        path = "%s/%s" % (TABS, name)
        jobs += [(path, job, "user") for job in _schedule.crontab(system.text(path), user=name)]
    system_tabs = ["/etc/crontab"] + ["/etc/cron.d/" + name for name in system.listdir("/etc/cron.d") if _schedule.READ_NAME.match(name)]
    for path in system_tabs:
        jobs += [(path, job, "system") for job in _schedule.crontab(system.text(path))]
    jobs += [("/etc/anacrontab", job, "anacron") for job in _schedule.anacrontab(system.text("/etc/anacrontab"))]
    for part in PARTS:
        jobs += list(_run_parts(system, part))
    for path, job, kind in jobs:
        subject = escape("%s: %s %s" % (job["user"], job["schedule"], job["command"]))
        if subject in items:
            items[subject]["count"] += 1
            continue
        items[subject] = {
            "kind": kind,
            "user": escape(job["user"]),
            "schedule": job["schedule"],
            "command": escape(job["command"]),
            "file": escape(path),
            "count": 1,
            "settings": {escape(k): escape(v) for k, v in job["settings"].items()},
            "runs": _runs(system, job),
        }
        if path.startswith("/etc/"):
            items[subject]["origin"] = _origin_of(system, path, known)
    cron_jobs = len(items)
    timers = dict(_timers(system))
    at_jobs = dict(_at_jobs(system))
    items.update(timers)
    items.update(at_jobs)
    if not items and not system.which("crontab") and not system.which("systemctl"):
        return None
    data = {"items": items, "summary": {"cron jobs": cron_jobs, "own timers": len(timers), "at jobs": len(at_jobs)}}
    if system.exists(AT_JOBS):
        data["clock"] = int(datetime.datetime.now(datetime.timezone.utc).timestamp()) // 60
    return data


def _run_parts(system, part):
    """Programs of /etc/cron.daily and so on, as jobs; only what run-parts would run."""
    directory = "/etc/cron.%s" % part
    for name in system.listdir(directory):
        path = "%s/%s" % (directory, name)
        st = system.lstat(system.realpath(path))
        if _schedule.READ_NAME.match(name) and st is not None and st.st_mode & 0o111:
            yield path, {"user": "root", "schedule": part, "command": path, "settings": {}}, "part"


def _origin_of(system, path, known):
    if path not in known:
        return "local"
    return _origin.classify(path, _origin.md5(system.read(path) or b""), known, True)


def _runs(system, job):
    """ "yes", "unknown", "PROGRAM is not there" or "PROGRAM needs INTERPRETER, which is not there"."""
    name = _schedule.program(job["command"])
    if not name or name.startswith(("~", ".")):
        return "unknown"
    path = _find(system, name, job["settings"].get("PATH"))
    if path is None:
        return "%s is not there" % escape(name)
    st = system.lstat(system.realpath(path))
    # a customer's path may be anything by now: only a plain file is opened
    if st is None or (st.st_mode & 0o170000) != 0o100000:
        return "%s is not there" % escape(name) if st is None else "unknown"
    needs = _schedule.interpreter(system.read(path, 256) or b"")
    if needs and _find(system, needs, job["settings"].get("PATH")) is None:
        return "%s needs %s, which is not there" % (escape(name), escape(needs))
    return "yes"


def _find(system, name, search):
    """Path of a program as cron would find it, or None."""
    if "/" in name:
        return name if system.exists(name) and system.exists(system.realpath(name)) else None
    for directory in (search or PATH).split(":") + PATH.split(":"):
        path = os.path.join(directory, name)
        if directory.startswith("/") and system.exists(path):
            return path
    return None


def _timers(system):
    """The administrator's timers: units, or drop-ins to units, that no package directory holds. Packages' timers are services."""
    if not system.which("systemctl"):
        return
    try:
        text = system.run(["systemctl", "show", "--all", "-p", TIMER_PROPERTIES, "*.timer"]).text
    except IntactError as exc:
        system.skip("systemd timers", str(exc))
        return
    for unit in _schedule.timers(text):
        path = unit.get("FragmentPath", "")
        if not path or (path.startswith(VENDOR) and not unit.get("DropInPaths")) or path.startswith("/run/"):
            continue
        yield (
            "timer " + escape(unit["Id"]),
            {
                "kind": "timer",
                "schedule": sorted(unit.get("TimersCalendar", []) + unit.get("TimersMonotonic", [])),
                "unit": escape(unit.get("Triggers", "")),
                "enabled": unit.get("UnitFileState", ""),
                "armed": unit.get("ActiveState") == "active",
                "file": escape(path),
            },
        )


def _at_jobs(system):
    for name in system.listdir(AT_JOBS):
        path = "%s/%s" % (AT_JOBS, name)
        st = system.lstat(path)
        job = _schedule.at_job(name, system.text(path)) if st is not None and (st.st_mode & 0o170000) == 0o100000 else None
        if job:
            due = datetime.datetime.fromtimestamp(job["due"], datetime.timezone.utc).strftime("%Y-%m-%d %H:%MZ")
            yield (
                escape("%s: at %s (job %d) %s" % (job["user"] or "uid %d" % st.st_uid, due, job["number"], job["command"])),
                {"kind": "at", "due": job["due"] // 60, "file": escape(path)},
            )


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
