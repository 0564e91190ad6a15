# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What a job needs and a host has not: programs, interpreters, paths. And how a job is called in the reconciliation."""

from __future__ import annotations

import os
import re

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _schedule, cron
from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._migration import _cron_old

# An absolute path that a command names; what a shell would expand in it ends it and is judged by what stands before.
_PATH = re.compile(r"(>>?\s*|[=\s\"'(;|&]|^)(/[A-Za-z0-9_.+@/-]*[A-Za-z0-9_+@-])(?=$|[\s\"');|&<>])")
MOST = 20
ANACRON = {"every %s days" % old.decode(): new.decode() for old, new in _cron_old.PERIODS.items()}


def jobs(tab):
    """Jobs of a tab (see _cron_old), as _schedule.crontab() gives them."""
    return _schedule.crontab(b"\n".join(tab["lines"]).decode("utf-8", "surrogateescape"), user=tab["user"])


def unreadable(tab):
    """Lines that are neither jobs nor settings nor comments."""
    out = []
    for line in tab["lines"]:
        text = line.decode("utf-8", "surrogateescape").strip()
        if text and not text.startswith("#") and not _schedule.ASSIGNMENT.match(text) and not _schedule.crontab(text, user="x"):
            out.append(line)
    return out


def lacking(system, job):
    """Sentences on what a job needs and a host has not."""
    said = []
    runs = cron._runs(system, job)
    if runs not in ("yes", "unknown"):
        said.append(runs)
    seen = set()
    for before, path in _PATH.findall(re.split(r"(?<!\\)%", job["command"])[0])[:MOST]:
        # a file that a job writes need not be there, its directory has to
        path = os.path.dirname(path) if before.startswith(">") else path
        if path in seen or any(path + " " in sentence + " " for sentence in said):
            continue
        seen.add(path)
        if not system.exists(path) or not system.exists(system.realpath(path)):
            said.append("%s is not there" % escape(path))
    return said


def subjects(user, line, source, column=False):
    """What the reconciliation calls the jobs of one line (bytes). column: the line still names its user, as in the system's own crontabs."""
    text = line.decode("utf-8", "surrogateescape")
    if source == "/etc/anacrontab":
        return [anacron_subject(job) for job in _schedule.anacrontab(text)]
    return [subject(job) for job in _schedule.crontab(text, user=None if column else user)]


def subject(job):
    """USER: SCHEDULE COMMAND, as the baseline's section cron says it."""
    return escape("%s: %s %s" % (job["user"], job["schedule"], job["command"]))


def part_subject(part, path):
    """A script of cron.daily or its like."""
    return escape("root: %s %s" % (part, path))


def anacron_subject(job):
    """A job of anacron, as it was there or as the line of cron that it became: how often, not when."""
    often = ANACRON.get(job["schedule"].partition(" after")[0], job["schedule"])
    return escape("root: %s by anacron: %s" % (often, job["command"]))


def at_subject(job):
    """An at job."""
    return escape("%s: at job %d of queue %s" % (job["user"], job["number"], job["queue"]))
