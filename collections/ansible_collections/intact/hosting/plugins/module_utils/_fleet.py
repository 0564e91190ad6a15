# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""A fleet: many hosts in waves, each host its own flight. Which host flies when, when nobody flies any more, what became of each. Pure, but for its journal.

Directory on the controller: fleets/<id>/fleet.jsonl, one event a line. Events:
  fleet.open   hosts (in order), waves (as asked for), settings
  fleet.run    a controller begins, or goes on after an earlier one
  host.left    host, state (refused | lost | done | watched), reason: what the look before the first wave found
  wave.begin   wave (1 on), hosts
  host.begin   host, wave
  host.end     host, wave, state, flight, reason
  fleet.stop   wave, reason
  fleet.close  verdict
"""

from __future__ import annotations

import datetime
import json
import math
import os
import re

from ansible_collections.intact.hosting.plugins.module_utils import _flight
from ansible_collections.intact.hosting.plugins.module_utils._files import append_durable, read_if_exists
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

JOURNAL = "fleet.jsonl"
ID = re.compile(r"^fleet-[0-9]{8}t[0-9]{4}z(?:-[0-9]+)?$")
WAVES = (1, "10%", "100%")
# What a host can be, the worst first: that is how the report is read.
STATES = ("lost", "loss", "failed", "rolled-back", "open", "refused", "running", "untouched", "watched", "intact", "done")
RED = ("lost", "loss", "failed", "rolled-back", "open")
GOOD = ("intact", "watched", "done")
_SIZE = re.compile(r"^([0-9]+)(%?)\Z")


def sizes(waves, total):
    """[number of hosts of each wave] for a fleet of so many; the last size repeats until nobody is left. IntactError names a size that is none.

    A percentage is one of the whole fleet, rounded up.
    """
    counts, left = [], total
    given = waves if isinstance(waves, (list, tuple)) else [waves]
    if not given:
        raise IntactError("intact_waves is empty: write sizes such as [1, 10%, 100%]")
    parsed = []
    for size in given:
        match = _SIZE.match(str(size).strip())
        number = int(match.group(1)) if match else 0
        if not number or (match.group(2) and number > 100):
            raise IntactError("intact_waves: %r is no size of a wave: a number of hosts from 1, or a percentage up to 100%%" % (size,))
        parsed.append(math.ceil(total * number / 100.0) if match.group(2) else number)
    while left > 0:
        size = min(left, parsed[min(len(counts), len(parsed) - 1)])
        counts.append(size)
        left -= size
    return counts


def ordered(hosts, canary=()):
    """The hosts with the canaries first, otherwise as they are."""
    first = [host for host in hosts if host in set(canary)]
    return first + [host for host in hosts if host not in set(canary)]


def make(hosts, waves=WAVES, canary=(), again=(), gone=()):
    """[[hosts of a wave], ...]. again: hosts with an open flight, which come first, all at once. gone: hosts that are finished: their places stay empty,

    so that a fleet that is continued has the waves that it had.
    """
    again, gone = [host for host in hosts if host in set(again)], set(gone)
    line, out, start = ordered(hosts, canary), [again], 0
    for size in sizes(waves, len(line)):
        out.append([host for host in line[start : start + size] if host not in gone and host not in again])
        start += size
    return [wave for wave in out if wave]


def event(name, /, **fields):
    """One entry of the journal."""
    return dict(fields, event=name, time=_flight.now())


def append(directory, name, /, **fields):
    """Write one event durably and return it."""
    entry = event(name, **fields)
    append_durable(os.path.join(directory, JOURNAL), json.dumps(entry, sort_keys=True).encode())
    return entry


def read(directory):
    """Events of a fleet."""
    return _flight.parse(read_if_exists(os.path.join(directory, JOURNAL)) or b"")[0]


def opening(events):
    """The fleet.open event, or None."""
    return next((entry for entry in events if entry["event"] == "fleet.open"), None)


def unfinished(root, hosts):
    """The newest fleet of exactly these hosts that was not closed: (id, events), or ("", [])."""
    for name in sorted(os.listdir(root) if os.path.isdir(root) else [], reverse=True):
        if not ID.match(name):
            continue
        events = read(os.path.join(root, name))
        begun = opening(events)
        if begun and sorted(begun.get("hosts") or []) == sorted(hosts) and not any(entry["event"] == "fleet.close" for entry in events):
            return name, events
    return "", []


def new_id(taken=(), moment=None):
    """An id such as fleet-20261122t1134z that is not taken."""
    moment = moment or datetime.datetime.now(datetime.timezone.utc)
    base = name = "fleet-" + moment.strftime("%Y%m%dt%H%Mz")
    number = 1
    while name in taken:
        number += 1
        name = "%s-%d" % (base, number)
    return name


def outcomes(events):
    """{host: {state, reason, flight, wave, begun, ended}} of every host. One that began and never ended is running, or lost: its wave's end tells."""
    begun = opening(events) or {}
    out = {host: {"state": "untouched", "reason": "", "flight": "", "wave": 0, "begun": "", "ended": ""} for host in begun.get("hosts") or []}
    for entry in events:
        known = out.get(entry.get("host"))
        if known is None:
            continue
        if entry["event"] == "host.left":
            # What an earlier run of this fleet made of it stays known when it is merely found on the target: that heals no loss.
            if not (entry.get("state") == "done" and known["wave"]):
                known.update(state=entry.get("state") or "refused", reason=entry.get("reason") or "", flight=entry.get("flight") or known["flight"])
        elif entry["event"] == "host.begin":
            known.update(state="running", reason="", wave=entry.get("wave") or 0, begun=entry["time"], ended="")
        elif entry["event"] == "host.end":
            flight = entry.get("flight") or known["flight"]
            known.update(state=entry.get("state") or "failed", reason=entry.get("reason") or "", flight=flight, ended=entry["time"])
    return out


def finished(events):
    """Hosts that this fleet has brought to a good end."""
    return [host for host, known in outcomes(events).items() if known["state"] in GOOD and known["wave"]]


def missing(events):
    """Hosts that began and never ended, when nothing of this fleet runs any more: they were lost on the way."""
    return [host for host, known in outcomes(events).items() if known["state"] == "running"]


def run(events):
    """The opening, and what happened since a controller last began: whoever starts a fleet again has seen what stopped it."""
    starts = [number for number, entry in enumerate(events) if entry["event"] == "fleet.run"]
    begun = opening(events)
    return ([begun] if begun else []) + (events[starts[-1] :] if starts else [])


def since(events):
    """Events since the last wave began, that one included."""
    starts = [number for number, entry in enumerate(events) if entry["event"] == "wave.begin"]
    return events[starts[-1] :] if starts else []


def stop(events, on_refusal="continue", wave_budget=0):
    """Why no further wave may begin, "" when one may. Looks at the wave that was last; all of its hosts have ended or are lost."""
    last = since(events)
    if not last:
        return ""
    all_of_them, wave = outcomes(events), last[0]
    own = {host: all_of_them[host] for host in wave.get("hosts") or [] if host in all_of_them}
    red = sorted((STATES.index(known["state"]), host) for host, known in own.items() if known["state"] in RED)
    if red:
        host = red[0][1]
        more = " and %d more" % (len(red) - 1) if len(red) > 1 else ""
        return "%s%s of wave %d %s %s%s" % (host, more, wave["wave"], "is" if len(red) == 1 else "are not whole:", own[host]["state"], said(own[host]))
    refused = [host for host, known in own.items() if known["state"] == "refused"]
    if refused and on_refusal == "stop":
        return "%s of wave %d was refused%s" % (refused[0], wave["wave"], said(own[refused[0]]))
    ends = [known["ended"] for known in own.values() if known["ended"]]
    spent = _flight.seconds_between(wave["time"], max(ends)) if ends else 0
    if wave_budget and spent > wave_budget:
        return "wave %d took %d s of its %d s" % (wave["wave"], spent, wave_budget)
    return ""


def said(known):
    """The reason in brackets, shortened."""
    reason = " ".join(str(known.get("reason") or "").split())
    return " (%s)" % (reason if len(reason) <= 300 else reason[:299] + "…") if reason else ""


def verdict(events):
    """(state of the worst host, hosts that are not at a good end). A fleet without hosts is untouched."""
    found = outcomes(events)
    left = [host for host, known in found.items() if known["state"] not in GOOD]
    worst = min((known["state"] for known in found.values()), key=STATES.index, default="untouched")
    return worst, left
