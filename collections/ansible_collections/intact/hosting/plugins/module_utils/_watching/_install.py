# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""The watch on a host: its program, its job, its service and its timer; its reference and its state."""

from __future__ import annotations

import datetime
import os

from ansible_collections.intact.hosting.plugins.module_utils import _flight, _program
from ansible_collections.intact.hosting.plugins.module_utils._baseline import _document
from ansible_collections.intact.hosting.plugins.module_utils._files import write_document
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._watching import _alarms, _main

ENTRY = _main.__name__[len(_program.PACKAGE) + 1 :]
PROGRAM = "/usr/local/lib/intact/flight-watch"
UNIT = "intact-flight-watch"
PLACE = _program.Place(PROGRAM, _main.JOB, r"intact-flight-watch\.(?:service|timer)\Z")

SERVICE = """[Unit]
Description=A look at what the upgrade of flight {flight} left
Documentation=file://{program}

[Service]
Type=oneshot
ExecStart=/usr/bin/python3 -I -B {program}/__main__.py look
Nice=10
IOSchedulingClass=best-effort
IOSchedulingPriority=7
OOMScoreAdjust=500
TimeoutStartSec=300
"""

TIMER = """[Unit]
Description=Watch what the upgrade of flight {flight} left, until it is closed

[Timer]
OnCalendar=minutely
AccuracySec=5s
Unit={unit}.service

[Install]
WantedBy=timers.target
"""


def units(flight):
    """{name: text}."""
    return {UNIT + ".service": SERVICE.format(program=PROGRAM, flight=flight), UNIT + ".timer": TIMER.format(unit=UNIT, flight=flight)}


def installer(job, root=""):
    """An Installer of the job."""
    return _program.Installer(PLACE, ENTRY, units(job["flight"]), job, root)


def state(flight, home=_main.HOME):
    """The state of a flight's watch, None when there is none."""
    path = os.path.join(_main.directory(flight, home), "state.json")
    return _main.read(path, "state") if os.path.exists(path) else None


def reference(flight, sections, flights=_flight.FLIGHTS):
    """The sections of the baseline that the post-flight accepted, as a document of its own; IntactError when it was not taken."""
    path = os.path.join(_flight.directory(flight, flights), "baseline-after.json.gz")
    document = _document.load(path)
    there = {name: document["sections"][name] for name in sections if name in document["sections"]}
    unread = sorted(name for name, section in there.items() if section.get("status") in ("failed", "off"))
    missing = sorted(set(sections) - set(there)) + unread
    if missing:
        raise IntactError("the look after the work has no section %s to watch by: leave it out of flight_watch_sections" % ", ".join(missing))
    return dict(document, sections=there)


def start(job, hours, home=_main.HOME, flights=_flight.FLIGHTS, now=None):
    """Write reference and state of a new watch, and its begin into the journal; returns the state."""
    now = now or datetime.datetime.now(datetime.timezone.utc)
    document = reference(job["flight"], job["sections"], flights)
    place = _main.directory(job["flight"], home)
    os.makedirs(place, mode=0o700, exist_ok=True)
    begun = _alarms.begin(job["flight"], hours, job["sections"], now)
    write_document(os.path.join(place, "reference.json.gz"), document)
    write_document(os.path.join(place, "state.json"), begun)
    _flight.append(job["flight"], "watch", root=flights, state="begin", hours=hours, until=begun["until"], sections=job["sections"])
    return begun


def end(flight, note, home=_main.HOME, flights=_flight.FLIGHTS):
    """Write the end into the journal, once."""
    events, _torn = _flight.read(flight, flights)
    if any(entry["event"] == "watch" and entry.get("state") == "end" for entry in events):
        return
    known = state(flight, home) or {}
    _flight.append(flight, "watch", root=flights, state="end", looks=known.get("looks", 0), note=note)
