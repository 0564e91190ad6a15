# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""The backup's systemd units as text: one service for a class or all of them, one timer for each class. Pure."""

from __future__ import annotations

SERVICE = "intact-backup@.service"
PROGRAM = "/usr/local/lib/intact/backup"

SERVICE_TEXT = """[Unit]
Description=Backup of %i into all repositories
Documentation=file://{program}
After=local-fs.target network-online.target
Wants=network-online.target

[Service]
Type=exec
ExecStart=/usr/bin/python3 -I -B {program}/__main__.py run %i
# 1: the backup is there and has findings; the state says which.
Nice={nice}
IOSchedulingClass=best-effort
IOSchedulingPriority=7
IOWeight=20
CPUWeight=20
{limits}OOMScoreAdjust=500
# A backup reads all there is and writes only its own: what it runs as root gets no further than that.
ProtectSystem=strict
ReadWritePaths=/var/lib/intact /var/cache/intact /run -/tmp -/var/tmp{writable}
CacheDirectory=intact
StateDirectory=intact
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
ProtectClock=yes
RestrictRealtime=yes
RestrictNamespaces=yes
LockPersonality=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallArchitectures=native
UMask=0077
TimeoutStartSec=infinity
TimeoutStopSec=60
"""

TIMER_TEXT = """[Unit]
Description=Backup of {klass}, on schedule

[Timer]
OnCalendar={calendar}
RandomizedDelaySec={delay}
# A host that was off at that moment catches up.
Persistent=true
AccuracySec=1min
Unit=intact-backup@{klass}.service

[Install]
WantedBy=timers.target
"""


def timer_name(klass):
    """The timer of a class."""
    return "intact-backup-%s.timer" % klass


def texts(schedule, limits=None, metrics_file=""):
    """{unit file's name: text}. schedule: {class: {calendar, delay}}. limits: the job's."""
    limits = limits or {}
    folder = metrics_file.rpartition("/")[0]
    megabytes = limits.get("read_mbps")
    service = SERVICE_TEXT.format(
        program=PROGRAM,
        nice=limits.get("nice", 10),
        limits="IOReadBandwidthMax=/ %dM\n" % megabytes if megabytes else "",
        writable=" -" + folder if folder else "",
    )
    out = {SERVICE: service}
    for klass, entry in sorted(schedule.items()):
        out[timer_name(klass)] = TIMER_TEXT.format(klass=klass, calendar=entry["calendar"], delay=entry["delay"])
    return out
