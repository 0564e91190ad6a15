# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Wait for a host that has only just booted: daemons go on starting after their unit counts as started, and would be missed."""

from __future__ import annotations

import os
import time

# How much longer than asked for a boot that does not come to an end may keep us.
PATIENCE = 300
STEP = 5


def age(system, ticks=None):
    """Seconds since PID 1 started (a container's boot is that of its PID 1), or None when /proc does not say."""
    uptime, stat = system.text("/proc/uptime").split(), system.text("/proc/1/stat").rpartition(")")[2].split()
    if not uptime or len(stat) < 20:
        return None
    return float(uptime[0]) - int(stat[19]) / float(ticks or os.sysconf("SC_CLK_TCK"))


def wait(system, seconds, sleep=time.sleep, ticks=None):
    """When the host booted less than seconds ago: wait for that age, for the end of the boot, and for listeners that stay the same. Returns seconds waited."""
    start = age(system, ticks)
    if not seconds or start is None or start >= seconds:
        return 0
    waited = max(0, seconds - start)
    sleep(waited)
    heard = None
    while waited < seconds + PATIENCE:
        now = _listeners(system)
        if not _starting(system) and now == heard:
            break
        heard = now
        sleep(STEP)
        waited += STEP
    return round(waited, 1)


def _starting(system):
    if not system.which("systemctl"):
        return False
    return system.run(["systemctl", "is-system-running"], timeout=60, check=False).text.strip() in ("initializing", "starting")


def _listeners(system):
    if not system.which("ss"):
        return []
    return sorted(" ".join(line.split()[:1] + line.split()[4:5]) for line in system.run(["ss", "-H", "-l", "-n", "-t"], timeout=60).text.splitlines())
