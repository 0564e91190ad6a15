# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Jobs for the reconciliation. The old side is parsed by the baseline's reader, the new one is read from cron's own spool, not through crontab(1)."""

from __future__ import annotations

import os

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _schedule
from ansible_collections.intact.hosting.plugins.module_utils._files import escape, unescape
from ansible_collections.intact.hosting.plugins.module_utils._migration import _cron_block, _cron_lacks, _cron_old

NAME = "jobs"
RULES = []


def old(context):
    """{"USER: SCHEDULE COMMAND": {count settings}, "root: daily /etc/cron.daily/NAME": {count}, "USER: at job N of queue Q": {count}}."""
    system, out = context.old, {}
    for directory in _cron_old.TABS:
        for name in system.listdir(directory):
            path = directory + "/" + name
            if _cron_old.plain(system, path) is not None and not name.startswith((".", "tmp.")):
                _add(out, _schedule.crontab(system.text(path), user=name))
    for path in ["/etc/crontab"] + ["/etc/cron.d/" + n for n in system.listdir("/etc/cron.d") if _schedule.READ_NAME.match(n)]:
        _add(out, _schedule.crontab(system.text(path)))
    for job in _schedule.anacrontab(system.text("/etc/anacrontab")):
        out[_cron_lacks.anacron_subject(job)] = {"count": 1}
    for part, _name, path, _data in _cron_old.scripts(system):
        out[_cron_lacks.part_subject(part, path)] = {"count": 1, "settings": {}}
    for job in _cron_old.at_jobs(system):
        out[_cron_lacks.at_subject(job)] = {"count": 1}
    return out


def new(context):
    """The same of this migration's blocks in this host's crontabs; settings without those that only keep others' away."""
    system, out = context.system, {}
    ident = os.path.basename(context.directory)
    parts = os.path.join(context.directory, "jobs.d", "parts") + "/"
    for directory in _cron_old.TABS:
        for name in system.listdir(directory):
            data = _cron_old.plain(system, directory + "/" + name)
            for user, source, text in _cron_block.blocks(data or b"", ident):
                jobs = _schedule.crontab(text, user=os.fsdecode(unescape(user)))
                for job in jobs:
                    if job["command"].startswith(parts) and source.startswith("/etc/cron."):
                        if system.exists(job["command"]):
                            out[_cron_lacks.part_subject(job["schedule"][1:], source)] = {"count": 1, "settings": {}}
                    elif source == "/etc/anacrontab":
                        out[_cron_lacks.anacron_subject(job)] = {"count": 1}
                    else:
                        _add(out, [job])
    return out


def _add(out, jobs):
    for job in jobs:
        entry = out.setdefault(_cron_lacks.subject(job), {"count": 0, "settings": {escape(k): escape(v) for k, v in job["settings"].items()}})
        entry["count"] += 1
