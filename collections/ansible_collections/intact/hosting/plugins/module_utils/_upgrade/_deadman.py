# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""The dead-man check: when nobody said in time after the reboot that the host is well, the host itself raises the alarm. Needs no Python then."""

from __future__ import annotations

import json
import os
import shlex
import stat

from ansible_collections.intact.hosting.plugins.module_utils import _flight
from ansible_collections.intact.hosting.plugins.module_utils._files import fsync_directory, write_atomic
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _host

UNIT = "intact-dead-man"
UNITS = "/etc/systemd/system"
PROGRAM = "dead-man.sh"
ARMED, STRUCK, LOG = "dead-man.armed", "dead-man.struck", "dead-man.log"
# Seconds for the operator's command.
LIMIT = 300

SERVICE = """[Unit]
Description=Alarm: nobody said in time that flight {flight} ended well
StartLimitIntervalSec=0

[Service]
Type=oneshot
ExecStart=/bin/sh {program}
TimeoutStartSec={limit}
"""
# Since the timer was started, and since each boot: before the reboot it is that, after it the time after it.
TIMER = """[Unit]
Description=Waits for the verdict on flight {flight}

[Timer]
OnActiveSec={minutes}min
AccuracySec=1s
Unit=intact-dead-man.service

[Install]
WantedBy=timers.target
"""

SCRIPT = """#!/bin/sh
# Strikes once, and only when it was not disarmed.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
umask 077
cd {directory} || exit 1
[ -e {armed} ] || exit 0
tell() {{  # tell TEXT-AS-JSON [,"MORE": FIELDS]
    up=$(cut -d' ' -f1 /proc/uptime) boot=$(cat /proc/sys/kernel/random/boot_id 2>/dev/null || echo unknown)
    begun=$(sed 's/.*)//' /proc/1/stat | cut -d' ' -f21)
    moment=$(date -u +%Y-%m-%dT%H:%M:%S.000Z)
    line="{{\\"boot\\": \\"$boot/$begun\\", \\"event\\": \\"alarm\\", \\"monotonic\\": $up, \\"text\\": $1, \\"time\\": \\"$moment\\"$2}}"
    if [ -s {journal} ] && [ "$(tail -c1 {journal} | wc -l)" -eq 0 ]; then echo >> {journal}; fi
    printf '%s\\n' "$line" >> {journal} && sync {journal} 2>/dev/null
    printf '%s\\n' "$line" >&2
    [ -z "$console" ] || printf '\\r\\nintact: %s\\r\\n' "$1" 2>/dev/null > "$console"
}}
console={console}
[ -w "$console" ] || console=
tell {reason} ', "source": "dead man", "minutes": {minutes}'
# Told before, so that a cut here tells twice; marked before the command, which may reboot, so that it is called once.
mv {armed} {struck} || exit 0
sync . 2>/dev/null
systemctl --no-block disable {unit}.timer 2>/dev/null
set -- {command}
[ $# -eq 0 ] && exit 0
timeout -k 10 {limit} "$@" </dev/null > {log} 2>&1
status=$?
if [ $status -eq 124 ] || [ $status -eq 137 ]; then tell {late} ', "source": "dead man", "status": '$status
elif [ $status -ne 0 ]; then tell {failed} ', "source": "dead man", "status": '$status
else tell {done} ', "source": "dead man", "status": 0'
fi
exit $status
"""


def script(flight, directory, journal, minutes, command, console="/dev/console", limit=LIMIT):
    """Text of the program. command: the operator's words, which no shell takes apart. Pure."""
    name = command[0] if command else ""

    def words(text):
        return shlex.quote(json.dumps(text))

    return SCRIPT.format(
        directory=shlex.quote(directory),
        armed=ARMED,
        struck=STRUCK,
        log=LOG,
        journal=shlex.quote(journal),
        console=shlex.quote(console),
        unit=UNIT,
        minutes=minutes,
        limit=limit,
        command=" ".join(shlex.quote(word) for word in command),
        reason=words("no verdict on flight %s within %d min after its reboot" % (flight, minutes)),
        late=words("%s, called for the alarm, did not end within %d s" % (name, limit)),
        failed=words("%s, called for the alarm, failed; what it said is in %s" % (name, os.path.join(directory, LOG))),
        done=words("%s was called for the alarm and ended well" % name),
    )


def check(settings):
    """The dead-man's {minutes, command} of the settings, checked; None when none is wanted. StageFailure says what is wrong with it."""
    wanted = settings.get("dead_man") or {}
    minutes, command = int(wanted.get("minutes") or 0), list(wanted.get("command") or [])
    if not minutes:
        return None
    correct = "correct distro_upgrade_dead_man_command, then start the upgrade again"
    if minutes < 0:
        raise _host.StageFailure("distro_upgrade_dead_man_minutes is %d" % minutes, "give minutes, or 0 for no dead-man check")
    if any("\0" in word for word in command):
        raise _host.StageFailure("the dead-man's command has a word with a zero byte", correct)
    if command:
        path = command[0]
        try:
            facts = os.stat(path)
        except OSError as exc:
            raise _host.StageFailure("the dead-man's command %s: %s" % (path, exc.strerror), correct) from exc
        if not os.path.isabs(path) or not stat.S_ISREG(facts.st_mode) or not os.access(path, os.X_OK):
            raise _host.StageFailure("the dead-man's command %s is no program with its whole path" % path, correct)
        if facts.st_uid or facts.st_mode & 0o022:
            raise _host.StageFailure("the dead-man's command %s can be changed by others than root" % path, correct)
    return {"minutes": minutes, "command": command}


def arm(host, settings, minutes=None):
    """From now, and from the next boot, so many minutes until the alarm; returns a sentence, "" when none is wanted. Repeating it counts anew."""
    wanted = check(settings)
    if not wanted:
        return ""
    minutes = minutes or wanted["minutes"]
    if not os.path.isdir(host.directory):
        raise IntactError("there is no upgrade of flight %s on this host" % os.path.basename(host.directory))
    flight = os.path.basename(host.directory)
    journal = os.path.join(os.path.dirname(host.log), _flight.JOURNAL)
    program = os.path.join(host.directory, PROGRAM)
    write_atomic(program, script(flight, host.directory, journal, minutes, wanted["command"]).encode("utf-8", "surrogateescape"), 0o700)
    service = SERVICE.format(flight=flight, program=program, limit=LIMIT + 60)
    for suffix, text in ((".service", service), (".timer", TIMER.format(flight=flight, minutes=minutes))):
        write_atomic(os.path.join(UNITS, UNIT + suffix), text.encode(), 0o644)
    write_atomic(os.path.join(host.directory, ARMED), (_flight.now() + "\n").encode())
    host.systemctl("daemon-reload", check=False)
    host.systemctl("enable", UNIT + ".timer")
    host.systemctl("restart", UNIT + ".timer")
    return "dead-man check in %d min after the reboot%s" % (minutes, ", calls %s" % wanted["command"][0] if wanted["command"] else "")


def units():
    """Our unit files that are there."""
    return [path for path in (os.path.join(UNITS, UNIT + suffix) for suffix in (".timer", ".service")) if os.path.lexists(path)]


def disarm(host):
    """A verdict is there: no alarm. Returns a sentence that also tells when it struck before, "" when it was never armed."""
    struck = os.path.lexists(os.path.join(host.directory, STRUCK))
    armed = os.path.lexists(os.path.join(host.directory, ARMED))
    there = units()
    if not armed and not there:
        return "the dead-man check had struck" if struck else ""
    if armed:
        # First: whatever comes between, nobody is called any more.
        os.unlink(os.path.join(host.directory, ARMED))
        fsync_directory(host.directory)
    host.systemctl("disable", "--now", UNIT + ".timer", check=False)
    for path in there:
        os.unlink(path)
    fsync_directory(UNITS)
    host.systemctl("daemon-reload", check=False)
    return "the dead-man check had struck" if struck else "the dead-man check is disarmed"


def state(directory):
    """armed, struck, or off when it is neither."""
    for name, word in ((ARMED, "armed"), (STRUCK, "struck")):
        if os.path.lexists(os.path.join(directory, name)):
            return word
    return "off"


def host_of(flight, root, flights=_flight.FLIGHTS):
    """A host for arm() and disarm() from outside the runner."""
    directory = os.path.join(root, _flight.check_id(flight))
    return _host.Host(directory, _flight.directory(flight, flights), None)
