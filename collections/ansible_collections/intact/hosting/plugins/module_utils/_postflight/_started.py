# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What starts a job by itself: timers that have a next run, and lines of cron."""

from __future__ import annotations

import re

CRON = ("/etc/crontab", "/etc/cron.d/*", "/var/spool/cron/crontabs/*", "/var/spool/cron/*")
PARTS = ("/etc/cron.hourly/*", "/etc/cron.daily/*", "/etc/cron.weekly/*", "/etc/cron.monthly/*")
NO_SYSTEMD = re.compile(r"(!|\\!)\s*-[de]\s+/run/systemd/system")


def blocks(text):
    """Units from `systemctl show`: list of {property: value}. Pure."""
    out = []
    for block in text.split("\n\n"):
        unit = {}
        for line in block.splitlines():
            key, equals, value = line.partition("=")
            if equals:
                # a service may have several commands
                unit[key] = "%s ; %s" % (unit[key], value) if key in unit else value
        if unit.get("Id"):
            out.append(unit)
    return out


def has_next(timer):
    """Whether a timer's properties say that it will run again. Pure."""
    moments = (timer.get("NextElapseUSecRealtime", ""), timer.get("NextElapseUSecMonotonic", ""))
    return timer.get("ActiveState") == "active" and any(moment not in ("", "0", "infinity", "n/a") for moment in moments)


def timers(host):
    """[{timer, unit, next: bool, state, loads: bool, runs: the command}] of all timers; [] without systemd."""
    if not host.which("systemctl") or not host.exists("/run/systemd/system"):
        return []
    wanted = "Id,Triggers,ActiveState,UnitFileState,NextElapseUSecRealtime,NextElapseUSecMonotonic"
    held = blocks(host.run(["systemctl", "show", "--all", "--no-pager", "-p", wanted, "*.timer"], timeout=60, check=False).text)
    units = sorted({unit["Triggers"] for unit in held if unit.get("Triggers")})
    services = {}
    if units:
        text = host.run(["systemctl", "show", "--no-pager", "-p", "Id,LoadState,ExecStart"] + units, timeout=60, check=False).text
        services = {unit["Id"]: unit for unit in blocks(text)}
    return [
        {
            "timer": unit["Id"],
            "unit": unit.get("Triggers", ""),
            "next": has_next(unit),
            "state": "%s, %s" % (unit.get("UnitFileState") or "?", unit.get("ActiveState", "?")),
            "loads": services.get(unit.get("Triggers", ""), {}).get("LoadState") == "loaded",
            "runs": services.get(unit.get("Triggers", ""), {}).get("ExecStart", ""),
        }
        for unit in held
    ]


def cron_lines(host, word):
    """[(file, line)] of jobs that name a program and that cron would really run here."""
    systemd = host.exists("/run/systemd/system")
    named = re.compile(r"(^|[\s/\"'=;&|(])%s([\s\"';&|)]|$)" % re.escape(word))
    out = []
    for pattern in CRON + PARTS:
        for path in host.glob(pattern):
            try:
                text = host.text(path)
            except OSError:
                continue  # a directory
            for line in text.splitlines():
                if named.search(line) and not line.lstrip().startswith("#") and not (systemd and NO_SYSTEMD.search(line)):
                    out.append((path, line.strip()))
    return out


def started_by(host, word, held=None):
    """What starts a program: (what will, what would but has no next run), both lists of names. held: timers(), where it is known already."""
    will, idle = [path for path, _line in cron_lines(host, word)], []
    for timer in timers(host) if held is None else held:
        if re.search(r"\b%s\b" % re.escape(word), timer["runs"]):
            (will if timer["next"] and timer["loads"] else idle).append(timer["timer"])
    return sorted(set(will)), sorted(set(idle))


def programs(host, word, held=None):
    """Absolute paths by which jobs and timers name a program, sorted."""
    texts = [line for _path, line in cron_lines(host, word)] + [timer["runs"] for timer in (timers(host) if held is None else held)]
    return sorted({path for text in texts for path in re.findall(r"(?<![\w.])(/[\w./-]*/%s)(?![\w.-])" % re.escape(word), text)})


def only_roots(host, program):
    """Whether nobody but root can change a program: others' are not started from here."""
    st = host.lstat(host.realpath(program))
    return st is not None and st.st_uid == 0 and not st.st_mode & 0o022
