# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Phase jobs: cron jobs of the old disk into this host's crontabs, disabled, each with what it lacks here. Nothing that ran there runs here by itself.

at jobs and scripts of cron.daily are kept in jobs.d; an at job that is due would run at once, so none is queued.
"""

from __future__ import annotations

import datetime
import hashlib
import os
import re

from ansible_collections.intact.hosting.plugins.module_utils import _flight
from ansible_collections.intact.hosting.plugins.module_utils._baseline import _origin
from ansible_collections.intact.hosting.plugins.module_utils._files import escape, read_if_exists, write_atomic
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding
from ansible_collections.intact.hosting.plugins.module_utils._migration import _cron_install, _cron_lacks, _cron_old

PHASE = "jobs"
# Upkeep that Red Hat's systems of that time brought; their package database can't be asked without its own tools.
UPKEEP = frozenset(
    "0anacron 0logwatch 00-logwatch logrotate makewhatis.cron man-db.cron mlocate.cron slocate.cron prelink rpm tmpwatch cups certwatch readahead.cron "
    "sysstat sa-update mcelogd.cron inn-cron-nntpsend mrtg yum.cron yum-autoupdate 00webalizer anacron raid-check dailyjobs 0hourly".split()
)


def run(context, check=False):
    """The phase's document. Idempotent: a block that is there, enabled or not, stays as it is. check: write nothing.

    Raises IntactError when crontab is missing here and there is something to import.
    """
    return _Run(context, check).run()


class _Run:
    def __init__(self, context, check):
        self.context, self.check = context, check
        self.old, self.system, self.identity = context.old, context.system, context.identity()
        self.findings, self.explained, self.changed = [], [], False
        self.counts = {"crontabs": 0, "jobs": 0, "imported": 0, "scripts": 0, "at": 0, "lacking": 0, "left": 0}
        self.accounts = {line.split(":")[0] for line in self.system.text("/etc/passwd").split("\n")}

    def run(self):
        """The document."""
        started = _flight.now()
        tabs = _cron_old.tabs(self.old)
        system_tabs, parts = _cron_old.system_tabs(self.old)
        ours = self._packages()
        tabs += [tab for tab in system_tabs if not self._packaged(tab, ours)] + self._scripts(ours)
        for path, line in parts:
            self.explain("root", line, "the system's own way to run cron.hourly and its like; their scripts are looked at one by one", path, True)
        targets = {}
        for tab in tabs:
            user = self._target(tab)
            if user:
                targets.setdefault(user, []).append(tab)
        self._import(targets)
        self._at()
        self._clock()
        self.counts["crontabs"] = len(targets)
        return {
            "phase": PHASE,
            "status": "done",
            "started": started,
            "finished": _flight.now(),
            "counts": self.counts,
            "findings": self.findings,
            "explained": self.explained,
            "changed": self.changed,
        }

    def say(self, ident, severity, subject, title, evidence="", remedy=""):
        """One more finding jobs.IDENT."""
        self.findings.append(Finding("jobs." + ident, severity, escape(subject), title, escape(evidence)[:2000], escape(remedy)).as_dict())

    def explain(self, user, line, reason, source, column=False):
        """Why a job of the old disk is in no crontab here; its subject is the reconciliation's."""
        for subject in _cron_lacks.subjects(user, line, source, column):
            self.explained.append({"class": "jobs", "subject": subject, "reason": escape(reason)})

    def _keep(self, name, data, mode=0o600):
        """Keep a file of the old disk in jobs.d; returns its path."""
        path = os.path.join(self.context.directory, PHASE + ".d", name)
        if read_if_exists(path) == data:
            return path
        self.changed = True
        if not self.check:
            folder = os.path.join(self.context.phase_directory(PHASE), os.path.dirname(name))
            os.makedirs(folder, mode=0o700, exist_ok=True)
            write_atomic(path, data, mode)
        return path

    def _target(self, tab):
        """The account here that a crontab goes to, or None: it is kept then, and told."""
        user = "root" if tab["user"] == "root" else self.identity.user(tab["user"])
        jobs = _cron_lacks.jobs(tab)
        self.counts["jobs"] += len(jobs)
        if user and user in self.accounts:
            return user
        entry = self.identity.users.get(escape(tab["user"]))
        why = "the account %s is not here: %s" % (escape(tab["user"]), entry["why"] if entry else "the old host had none of that name")
        name = "left/" + hashlib.sha256((tab["user"] + tab["source"]).encode("utf-8", "surrogateescape")).hexdigest()[:16]
        path = self._keep(name, b"\n".join(tab["lines"]) + b"\n")
        self.counts["left"] += len(jobs)
        said = "%d jobs of %s; they are kept in %s" % (len(jobs), tab["source"], path)
        self.say("user", "warning", "user " + tab["user"], "has jobs and no account here", "%s; %s" % (why, said), "crontab -u NAME, for whoever needs them")
        conflict = any(c["kind"] == "user" and c["name"] == escape(tab["user"]) for c in self.identity.document["conflicts"])
        for line in () if conflict else tab["lines"]:
            self.explain(tab["user"], line, why, tab["source"])
        return None

    def _import(self, targets):
        ident = os.path.basename(self.context.directory)
        for user, tabs in sorted(targets.items()):
            for tab in tabs:
                self._lacks(user, tab)
            done = _cron_install.install(self.system, user, tabs, ident, None if self.check else self.context.phase_directory(PHASE))
            self.changed = self.changed or bool(done["added"])
            self.counts["imported"] += sum(len(_cron_lacks.jobs(tab)) for tab in tabs)
            if done["refused"]:
                advice = "crontab -u %s -e after enabling: mend the lines it names" % user
                self.say("syntax", "warning", "user " + user, "this host's cron refuses the crontab when its jobs are enabled", done["refused"], advice)

    def _lacks(self, user, tab):
        """Findings for what a crontab's jobs need and this host has not."""
        for line in _cron_lacks.unreadable(tab):
            said = "%s in %s" % (line.decode("utf-8", "surrogateescape"), tab["source"])
            self.say("unreadable", "warning", "user " + user, "a line that cron can't read", said, "it did not run on the old host either")
        for job in _cron_lacks.jobs(tab):
            lacking = _cron_lacks.lacking(self.system, job)
            if lacking:
                self.counts["lacking"] += 1
                subject = "%s: %s %s" % (tab["user"], job["schedule"], job["command"])
                self.say(
                    "lacking", "warning", subject, "needs what is not on this host", "; ".join(lacking), "install it, or change the line, before it is enabled"
                )

    def _packages(self):
        """{path: package} of this host's own jobs."""
        roots = [b"/etc/cron.d"] + [b"/etc/cron." + part.encode() for part in _cron_old.PARTS]
        owned = _origin.owned(self.system, roots)
        return {os.fsdecode(path): package for path, package in owned.items()}

    def _own(self, path, data, ours, theirs):
        """Why a file is a package's own job and not the administrator's, or ""."""
        package, name = ours.get(path), path.rsplit("/", 1)[1]
        was = theirs.get(path)
        edited = was is not None and hashlib.md5(data).hexdigest() != was[1]  # dpkg's own digest, no secret
        if package or self.system.exists(path):
            if edited:
                advice = "look at both, and carry over what matters"
                self.say("edited", "warning", path, "was edited on the old host", "this host has its own%s" % (" of " + package if package else ""), advice)
            return "this host has its own %s%s" % (path, " of the package " + package if package else "")
        if was is not None and not edited:
            return "as the old package %s brought it, and that is not on this host" % was[0]
        return "upkeep of the old distribution" if not theirs and name in UPKEEP else ""

    def _packaged(self, tab, ours):
        path = tab["source"]
        if path in ("/etc/crontab", "/etc/anacrontab"):
            return False
        why = self._own(path, _cron_old.plain(self.old, path) or b"", ours, _cron_old.conffiles(self.old))
        if why:
            for line in tab["lines"]:
                self.explain(tab["user"], line, why, path)
        return bool(why)

    def _scripts(self, ours):
        """Tabs for the administrator's own scripts of cron.daily and its like: kept in jobs.d, with a line that would run them."""
        theirs, tabs = _cron_old.conffiles(self.old), []
        for part, name, path, data in _cron_old.scripts(self.old):
            why = self._own(path, data, ours, theirs)
            if why:
                self.explained.append({"class": "jobs", "subject": _cron_lacks.part_subject(part, path), "reason": escape(why)})
                continue
            if not re.match(r"[\w.@+-]+\Z", name):
                self.say("script", "warning", path, "a script whose name no crontab can hold", "it is not imported", "rename it")
                continue
            kept = self._keep("parts/%s/%s" % (part, name), data, 0o700)
            self.counts["scripts"] += 1
            line = ("@%s %s" % (part, kept)).encode("utf-8", "surrogateescape")
            tabs.append({"user": "root", "source": path, "lines": [line], "script": data})
        return tabs

    def _at(self):
        for job in _cron_old.at_jobs(self.old):
            self.counts["at"] += 1
            kept = self._keep("at/" + job["name"], job["data"])
            due = datetime.datetime.fromtimestamp(job["due"], datetime.timezone.utc).strftime("%Y-%m-%d %H:%MZ")
            said = "due %s: %s; kept in %s" % (due, job["command"], kept)
            user = self.identity.user(job["user"]) or "USER"
            advice = "runuser -u %s -- at -t [[CC]YY]MMDDhhmm < %s queues it, when it is still wanted" % (user, kept)
            self.say("at", "warning", "%s: at job %d" % (job["user"], job["number"]), "an at job is not queued", said, advice)
            reason = "at jobs are kept, not queued: one that is due would run at once"
            self.explained.append({"class": "jobs", "subject": _cron_lacks.at_subject(job), "reason": reason})

    def _clock(self):
        was, now = _cron_old.timezone(self.old), _cron_old.timezone(self.system)
        if self.counts["jobs"] and was and now and was != now:
            advice = "timedatectl set-timezone %s, or change the hours of the jobs" % was
            self.say("timezone", "warning", "time zone", "jobs would run at another hour", "%s on the old host, %s here" % (was, now), advice)
