# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The record: state changes as JSON lines, durable; and what it adds up to (outages.json)."""

from __future__ import annotations

import datetime
import json
import os
import time

SCHEMA = 1


def clock():
    """Seconds that go on while the machine sleeps and that nobody can set."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def stamp(moment):
    """UTC as ISO 8601 with milliseconds. moment: seconds since 1970."""
    when = datetime.datetime.fromtimestamp(moment, datetime.timezone.utc)
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def epoch(text):
    """Seconds since 1970 of a stamp."""
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


class Record:
    """Lines are gathered by add() and written with one fsync by flush(): a burst of changes costs one."""

    def __init__(self, path):
        self.lines = []
        # Times are counted from here by a clock nobody can set: a step of the wall clock must not make or hide an outage.
        self.offset = time.time() - clock()
        self.fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        size = os.fstat(self.fd).st_size
        if size and os.pread(self.fd, 1, size - 1) != b"\n":
            os.write(self.fd, b"\n")  # a torn line must not swallow the next

    def at(self, moment=None):
        """Stamp of a moment of clock(), now when left out."""
        return stamp((clock() if moment is None else moment) + self.offset)

    def add(self, what, moment=None, **fields):
        """Put one record down. moment: of clock(), now when left out."""
        self.lines.append(json.dumps(dict(fields, r=what, time=self.at(moment)), sort_keys=True))

    def flush(self):
        """Write and fsync what was gathered."""
        lines, self.lines = self.lines, []
        if lines:
            os.write(self.fd, ("\n".join(lines) + "\n").encode("utf-8"))
            os.fsync(self.fd)


def read(path):
    """(records, torn lines) of a record file."""
    records, torn = [], 0
    with open(path, "rb") as handle:
        for text in handle:
            try:
                entry = json.loads(text)
                epoch(entry["time"])
                entry["r"]
            except (ValueError, KeyError, TypeError):
                torn += bool(text.strip())
                continue
            records.append(entry)
    return records, torn


def _overlap(first, last, spans):
    return round(sum(max(0.0, min(last, b) - max(first, a)) for a, b in spans), 3)


def summarise(records, torn=0, since=None, until=None):
    """Add up: the document outages.json.

    {schema, from, to, torn_lines, targets: [{name, kind, interval, outages: [{start, end, seconds, reason, reasons, maintenance, open,
    uncertain}], total_seconds, longest, maintenance_seconds, polls, failures, slowest_ms, unobserved_seconds, seconds_per_poll, never_up}]}.
    since, until: stamps that cut the view. An outage that lasts when the record ends is open; one that the observer did
    not watch through is uncertain. Optional targets that never answered are left out. maintenance: every poll of it got a maintenance page.
    polls, failures, slowest_ms: of the minutes that were summed up; a killed observer takes its last minute's with it.
    """
    targets, gaps, last, begun = {}, [], None, None
    for entry in records:
        moment = epoch(entry["time"])
        if entry["r"] == "start":
            if last is not None and moment > last:
                gaps.append((last, moment))  # from the last sign of life to the new start nobody looked
            begun = moment if begun is None else begun
            for target in entry["targets"]:
                known = targets.setdefault(
                    target["name"], {"outages": [], "unseen": [], "polls": 0, "counted": 0, "failures": 0, "slowest_ms": 0, "up": 0, "first": moment}
                )
                known.update(kind=target["kind"], interval=target["interval"], optional=bool(target.get("optional")))
        elif entry["r"] in ("down", "maintenance", "reason") and entry["target"] in targets:
            outages = targets[entry["target"]]["outages"]
            if not outages or outages[-1]["end"] is not None:
                outages.append({"start": moment, "end": None, "reason": entry["reason"], "reasons": [], "parts": []})
            outages[-1]["parts"].append((moment, entry["r"]))
            if entry["reason"] not in outages[-1]["reasons"]:
                outages[-1]["reasons"].append(entry["reason"])
        elif entry["r"] == "up" and entry["target"] in targets:
            known = targets[entry["target"]]
            known["up"] += 1
            if known["outages"] and known["outages"][-1]["end"] is None:
                known["outages"][-1]["end"] = moment
        elif entry["r"] == "unseen" and entry["target"] in targets:
            targets[entry["target"]]["unseen"].append((epoch(entry["from"]), moment))
        elif entry["r"] == "sums":
            for name, (polls, failures, slowest) in entry["targets"].items():
                if name in targets:
                    targets[name]["polls"] += polls
                    targets[name]["counted"] += entry.get("seconds", 0)
                    targets[name]["failures"] += failures
                    targets[name]["slowest_ms"] = max(targets[name]["slowest_ms"], slowest)
        last = moment if last is None else max(last, moment)
    if begun is None:
        raise ValueError("the record has no start: the observer never ran")
    first = max(begun, epoch(since)) if since else begun
    end = min(last, epoch(until)) if until else last
    return {
        "schema": SCHEMA,
        "from": stamp(first),
        "to": stamp(max(first, end)),
        "torn_lines": torn,
        "targets": [_target(name, known, gaps, first, max(first, end)) for name, known in targets.items() if known["up"] or not known["optional"]],
    }


def _target(name, known, gaps, first, last):
    unseen = [(a, b) for a, b in gaps if b > known["first"]] + known["unseen"]
    outages, away = [], 0.0
    for outage in known["outages"]:
        begin, end = max(outage["start"], first), min(last if outage["end"] is None else outage["end"], last)
        if end < begin or outage["start"] > last:
            continue
        kinds = {kind for _moment, kind in outage["parts"] if kind != "reason"}
        maintenance = kinds == {"maintenance"}
        away += end - begin if maintenance else 0
        outages.append(
            {
                "start": stamp(begin),
                "end": stamp(end),
                "seconds": round(end - begin, 3),
                "reason": outage["reason"],
                "reasons": outage["reasons"][:6],
                "maintenance": maintenance,
                "open": outage["end"] is None or outage["end"] > last,
                "uncertain": _overlap(begin, end, unseen) > 0,
            }
        )
    return {
        "name": name,
        "kind": known["kind"],
        "interval": known["interval"],
        "outages": outages,
        "total_seconds": round(sum(o["seconds"] for o in outages), 3),
        "longest": max([o["seconds"] for o in outages] or [0]),
        "maintenance_seconds": round(away, 3),
        "polls": known["polls"],
        "failures": known["failures"],
        "slowest_ms": known["slowest_ms"],
        "unobserved_seconds": _overlap(first, last, unseen),
        "seconds_per_poll": round(known["counted"] / known["polls"], 3) if known["polls"] else None,
        "never_up": known["up"] == 0,
    }
