# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""The watch's program on the host: one look a minute by a timer, alarms into the flight's journal. Its Python is the host's, its sources are its own."""

from __future__ import annotations

import datetime
import fcntl
import os
import sys
import traceback

from ansible_collections.intact.hosting.plugins.module_utils import _flight
from ansible_collections.intact.hosting.plugins.module_utils._baseline import _compare, _document, dns, mounts, network, resolver, services, sites, sockets
from ansible_collections.intact.hosting.plugins.module_utils._files import read_document, write_document
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._watching import _alarms

PROBES = {probe.SECTION: probe for probe in (mounts, network, resolver, services, sockets, sites, dns)}
HOME = "/var/lib/intact/watch"
JOB = "/etc/intact/flight-watch/job.json"
LIMITS = {"default": {"seconds": 20}}


def directory(flight, home=HOME):
    """Where the watch of a flight keeps its reference and its state."""
    return os.path.join(home, _flight.check_id(flight))


def read(path, what):
    """A JSON document of the watch's, or IntactError that names it."""
    try:
        return read_document(path)
    except (OSError, ValueError, EOFError) as exc:
        raise IntactError("the %s of the watch (%s) cannot be read: %s. Start the watch again" % (what, path, exc)) from exc


def chosen(sections):
    """Probes of these sections."""
    return {name: PROBES[name] for name in PROBES if name in sections}


def findings(job, reference, capture=_document.capture):
    """What differs now from the reference, as dicts."""
    probes = chosen(job["sections"])
    now = capture(probes, options=job.get("options"), limits=dict(LIMITS, **(job.get("limits") or {})), earlier=reference)
    # The look is at the same host, whatever it calls itself.
    return [finding.as_dict() for finding in _compare.compare(reference, now, probes)["findings"]]


def look(job, home=HOME, flights=_flight.FLIGHTS, now=None, see=findings):
    """One look; returns (alarms raised, alarms cleared) as lists of entries, or None when the time is up."""
    now = now or datetime.datetime.now(datetime.timezone.utc)
    place = directory(job["flight"], home)
    path = os.path.join(place, "state.json")
    state = read(path, "state")
    if _alarms.over(state, now):
        return None
    try:
        found = see(job, read(os.path.join(place, "reference.json.gz"), "reference"))
    except IntactError as exc:
        found = [{"id": "watch.blind", "severity": "blocker", "subject": "the watch", "title": "it cannot look", "evidence": str(exc), "details": {}}]
    state["standing"], raised, cleared = _alarms.step(state["standing"], _alarms.seen(found))
    for word, entries in (("raised", raised), ("cleared", cleared)):
        for entry in entries:
            fields = {key: entry[key] for key in ("id", "subject", "title", "evidence")}
            _flight.append(job["flight"], "alarm", root=flights, state=word, **fields)
    state.update(looks=state["looks"] + 1, last=_alarms.stamp(now))
    write_document(path, state)
    return raised, cleared


def main(argv):
    """The program: look."""
    if argv != ["look"]:
        sys.stderr.write("usage: look\n")
        return 64
    try:
        job = read(JOB, "job")
        with open(os.path.join(directory(job["flight"]), "lock"), "a", encoding="ascii") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                sys.stderr.write("the look before is not over yet\n")
                return 0
            told = look(job)
        for word, entries in zip(("ALARM", "over"), told or ()):
            for entry in entries:
                sys.stdout.write("%s: %s: %s\n" % (word, entry["subject"], entry["title"]))
        return 0
    except (IntactError, OSError) as exc:
        sys.stderr.write("%s\n" % exc)
        return 1
    except Exception:  # pylint: disable=broad-except  # the reason belongs into the unit's log
        traceback.print_exc()
        return 2
