# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Exports on their own schedule: the program on a host, its job, its service and its timer."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils import _program
from ansible_collections.intact.hosting.plugins.module_utils._panels import _main

ENTRY = _main.__name__[len(_program.PACKAGE) + 1 :]
PROGRAM = "/usr/local/lib/intact/panel"
UNIT = "intact-panel-export"
PLACE = _program.Place(PROGRAM, _main.JOB, r"intact-panel-export\.(?:service|timer)\Z")

SERVICE = """[Unit]
Description=Export of the control panels' settings, proven
Documentation=file://{program}
After=local-fs.target network-online.target mariadb.service mysql.service mysqld.service postgresql.service
Wants=network-online.target
# A backup of the class panel that falls due meanwhile waits for what is being exported.
Before=intact-backup@panel.service intact-backup@all.service

[Service]
# Not "exec": others wait for its end.
Type=oneshot
ExecStart=/usr/bin/python3 -I -B {program}/__main__.py run
# 1: findings; the journal and the exports' documents say which. 75: the panel was busy all the time.
Nice=10
IOSchedulingClass=best-effort
IOSchedulingPriority=7
OOMScoreAdjust=500
# The panel's own programs run in here, which write where they always do: nothing is closed to them.
TimeoutStartSec=infinity
TimeoutStopSec=300
"""

TIMER = """[Unit]
Description=Export of the control panels' settings, on schedule

[Timer]
OnCalendar={calendar}
RandomizedDelaySec={delay}
# A host that was off at that moment catches up.
Persistent=true
AccuracySec=1min
Unit={unit}.service

[Install]
WantedBy=timers.target
"""


def units(schedule):
    """{name: text}. schedule: {calendar, delay}."""
    return {
        UNIT + ".service": SERVICE.format(program=PROGRAM),
        UNIT + ".timer": TIMER.format(unit=UNIT, calendar=schedule["calendar"], delay=int(schedule["delay"])),
    }


def installer(job, schedule, root=""):
    """An Installer of the job, which is checked."""
    _main.check(job)
    return _program.Installer(PLACE, ENTRY, units(schedule), job, root)
