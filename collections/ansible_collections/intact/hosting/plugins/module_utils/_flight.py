# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""A flight: one maintenance of one host, and its append-only journal, from which the report is drawn.

Directory on the host: /var/lib/intact/flights/<id>/ (0700), copied to the controller's flights/<id>/.
  journal.jsonl                events, one JSON object a line
  baseline-before.json.gz      and baseline-after.json.gz
  preflight.json postflight.json   verdicts of the gates (see _findings.gate)
"""

from __future__ import annotations

import datetime
import json
import os
import re
import time

from ansible_collections.intact.hosting.plugins.module_utils._files import append_durable, read_if_exists, write_atomic
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

FLIGHTS = "/var/lib/intact/flights"
JOURNAL = "journal.jsonl"
CURRENT = "current"
ID = re.compile(r"^[a-z0-9][a-z0-9._-]{2,80}$")

# What an event may be called; the report knows these and no others.
EVENTS = (
    "flight.open",  # host, kind, source, target, window {start, budget_seconds}, budgets {stage: seconds}
    "flight.close",  # verdict: intact | loss | failed | rolled-back
    "stage.start",  # stage
    "stage.progress",  # stage, done, total, unit, note
    "stage.end",  # stage, result: ok | failed | skipped, seconds, note
    "gate",  # name: preflight | postflight, go, counts
    "decision",  # what, who, why; rollback {state: taken (automatic) | begun}: of the way back
    "proof",  # name, digest, taken, note
    "note",  # text; about: stall | snapshot; rollback {state: saved (place, counts, unsaved, lines) | stopped | back | dropped}: of the way back
    "flight.hop",  # number (from 2 on), source, target: the next of several releases in one flight; its stages and documents begin anew
    "estimate",  # stages {stage: seconds}, total, low, high, rollback, basis [sentences], work, measures, release_path
    "confirmation",  # before, who (asked), by (who said so), how, what
    "watch",  # state: begin | end, until, hours, sections, looks
    "alarm",  # of the watch: state (raised | cleared), id, subject, title; of the dead man: text, source and what belongs to it
    # What the upgrade's runner is told by when its state is lost:
    "runner.memory",  # key, value: a fact for a later stage, null when it holds no more
    "runner.undone",  # everything before the point of no return was taken back, or is being
    "runner.budget",  # percent, spent, budget, text: so much of the flight's time is used up
    "runner.rest",  # status: failed | stopped, stage, message, next
)


def now():
    """The moment in UTC as ISO 8601 with milliseconds and Z."""
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def check_id(flight):
    """The id itself, or IntactError: ids become directory names."""
    if not ID.match(flight or "") or ".." in flight:
        raise IntactError("%r is not a flight id: 3 to 80 of a-z 0-9 . _ -" % flight)
    return flight


def directory(flight, root=FLIGHTS):
    """Path of a flight's directory."""
    return os.path.join(root, check_id(flight))


def ensure(flight, root=FLIGHTS):
    """Make the flight's directory (0700) and return its path."""
    path = directory(flight, root)
    os.makedirs(path, mode=0o700, exist_ok=True)
    os.chmod(path, 0o700)
    return path


def boot_id():
    """The kernel's boot id plus the start of PID 1: a container shares its host's boot id."""
    kernel = (read_if_exists("/proc/sys/kernel/random/boot_id") or b"unknown").decode().strip()
    stat = (read_if_exists("/proc/1/stat") or b"").rsplit(b")", 1)[-1].split()
    return "%s/%s" % (kernel, stat[19].decode() if len(stat) > 19 else "?")


def event(name, /, **fields):
    """One journal entry as data: wall time, monotonic seconds, boot, name, fields."""
    if name not in EVENTS:
        raise ValueError("unknown journal event %r" % name)
    return dict(fields, time=now(), monotonic=round(time.monotonic(), 3), boot=boot_id(), event=name)


def append(flight, name, /, root=FLIGHTS, **fields):
    """Write one event durably to the flight's journal and return it."""
    entry = event(name, **fields)
    line = json.dumps(entry, sort_keys=True).encode()
    append_durable(os.path.join(ensure(flight, root), JOURNAL), line)
    return entry


def parse(data):
    """Events from a journal's bytes, and the number of unreadable (torn) lines: (list of dict, int)."""
    events, torn = [], 0
    for line in data.splitlines():
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
            if not isinstance(entry, dict) or "event" not in entry:
                raise ValueError
        except ValueError:
            torn += 1
            continue
        events.append(entry)
    return events, torn


def read(flight, root=FLIGHTS):
    """Events of a flight (see parse)."""
    return parse(read_if_exists(os.path.join(directory(flight, root), JOURNAL)) or b"")


def stages(events):
    """Stages in order of first start: list of {stage, hop, start, end, seconds, result, attempts, note}; hop counts from 1.

    A stage without an end is running or was cut: result is None. Wall seconds, so a reboot counts.
    """
    order, known, hop = [], {}, 1
    for entry in events:
        name = entry.get("stage")
        if entry["event"] == "flight.hop":
            known, hop = {}, entry.get("number") or hop + 1
        elif entry["event"] == "stage.start":
            if name not in known:
                known[name] = {"stage": name, "hop": hop, "start": entry["time"], "attempts": 0}
                order.append(known[name])
            known[name].update(end=None, seconds=None, result=None, note="")
            known[name]["attempts"] += 1
        elif entry["event"] == "stage.end" and name in known:
            seconds = seconds_between(known[name]["start"], entry["time"])
            known[name].update(end=entry["time"], result=entry.get("result"), note=entry.get("note", ""), seconds=seconds)
    return order


def hops(events):
    """Number of the hop that the flight is in, from 1."""
    return max([1] + [entry.get("number") or 1 for entry in events if entry["event"] == "flight.hop"])


def opening(events):
    """The flight.open event of a journal, or None."""
    return next((entry for entry in events if entry["event"] == "flight.open"), None)


def closing(events):
    """The flight.close event of a journal, or None while the flight is open."""
    return next((entry for entry in reversed(events) if entry["event"] == "flight.close"), None)


def current(root=FLIGHTS):
    """The id of the flight that is open on this host, or "". A pointer that a cut left behind a closed flight is none."""
    name = (read_if_exists(os.path.join(root, CURRENT)) or b"").decode("ascii", "replace").strip()
    if not ID.match(name) or ".." in name:
        return ""
    return "" if closing(read(name, root)[0]) else name


def set_current(flight, root=FLIGHTS):
    """Point `current` at a flight (None: at no flight), durably."""
    os.makedirs(root, mode=0o700, exist_ok=True)
    write_atomic(os.path.join(root, CURRENT), (check_id(flight) + "\n").encode() if flight else b"")


def new_id(host, kind, moment=None, taken=()):
    """An id like web1-upgrade-20261122t1134z that is not among taken."""
    moment = moment or datetime.datetime.now(datetime.timezone.utc)
    base = "%s-%s-%s" % (re.sub(r"[^a-z0-9]+", "-", host.lower()).strip("-")[:40] or "host", kind, moment.strftime("%Y%m%dt%H%Mz"))
    name, number = base, 1
    while name in taken:
        number += 1
        name = "%s-%d" % (base, number)
    return check_id(name)


def seconds_between(start, end):
    """Seconds from one of our time stamps to another."""

    def moment(text):
        return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))

    return round((moment(end) - moment(start)).total_seconds(), 3)


def epoch(moment):
    """One of our time stamps as seconds since 1970."""
    return datetime.datetime.fromisoformat(moment.replace("Z", "+00:00")).timestamp()


def newest(holding, root=FLIGHTS):
    """Id of the flight last changed whose directory holds a file of this name, or ""."""
    found = []
    for name in os.listdir(root) if os.path.isdir(root) else []:
        path = os.path.join(root, name, holding)
        if ID.match(name) and os.path.exists(path):
            found.append((os.stat(path).st_mtime, name))
    return max(found)[1] if found else ""
