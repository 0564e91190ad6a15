# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Cron: jobs of users and of the system, at jobs, the administrator's own timers, and whether what they start is there."""

from __future__ import annotations

import datetime
import os

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _origin, _schedule
from ansible_collections.intact.hosting.plugins.module_utils._baseline._cron_compare import compare
from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

__all__ = ["SECTION", "capture", "compare"]
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
