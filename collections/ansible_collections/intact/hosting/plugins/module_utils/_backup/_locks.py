# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Which locks of a repository are dead: proved by the process table of this host, never guessed for another. Pure, but for alive()."""

from __future__ import annotations

import os
import re

from ansible_collections.intact.hosting.plugins.module_utils._files import read_if_exists
from ansible_collections.intact.hosting.plugins.module_utils._findings import parse_time

# From this age on `restic unlock` takes a lock away whoever holds it (a living restic renews its own every five minutes).
OLD = 30 * 60


def alive(pid):
    """Whether a process of this number lives and may be a restic: the number may have been given to another program since."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    name = (read_if_exists("/proc/%d/comm" % pid) or b"").strip()
    return not name or b"restic" in name


def judge(locks, hostname, now, lives):
    """(dead, kept with why, whether `restic unlock` would take one of the kept). lives: pid -> bool."""
    dead, kept, harm = [], [], False
    for lock in locks:
        age = now - parse_time(re.sub(r"(\.\d{6})\d+", r"\1", lock["time"])).timestamp()
        ours = lock.get("hostname") == hostname
        if ours and not lives(int(lock.get("pid", 0))):
            dead.append(dict(lock, age=round(age)))
            continue
        why = (
            "process %s works on this host" % lock.get("pid")
            if ours
            else "held by process %s on %s, which only that host can judge" % (lock.get("pid"), lock.get("hostname"))
        )
        kept.append(dict(lock, age=round(age), why=why))
        harm = harm or age > OLD
    return dead, kept, harm
