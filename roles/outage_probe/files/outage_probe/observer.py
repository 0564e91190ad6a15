# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Watch many targets at once from one thread, and put down what changes."""

from __future__ import annotations

import asyncio
import json
import os
import signal

import kinds
from record import clock

VERSION = 1
DEFAULTS = {"timeout": 5.0, "max_rate": 100.0, "alive_seconds": 5.0, "sums_seconds": 60.0}


class BadConfig(Exception):
    """A configuration nobody can run, in one sentence."""


def load(config, credentials=None):
    """Targets ready to poll, from the configuration's and the credentials' data.

    Fills port, interval and timeout; keeps polls of one address below max_rate a second by longer intervals.
    """
    targets, names = [], set()
    for given in config["targets"]:
        target = dict(given)
        name = target.get("name") or ""
        if not name or name in names:
            raise BadConfig("target %r: every target needs a name of its own" % (name or given))
        names.add(name)
        if target.get("kind") == "https":
            target.update(kind="http", tls=True)
        if target.get("kind") not in kinds.PORTS:
            raise BadConfig("target %s: kind %r is none of https, %s" % (name, target.get("kind"), ", ".join(sorted(kinds.PORTS))))
        target["port"] = target.get("port") or (kinds.TLS_PORTS if target.get("tls") else kinds.PORTS).get(target["kind"])
        for key in ["address", "port"] + (["zone"] if target["kind"] == "dns" else []):
            if not target.get(key):
                raise BadConfig("target %s (%s) lacks %s" % (name, target["kind"], key))
        if target["kind"] == "dns" and (target.get("type") or "SOA") not in kinds.TYPES:
            raise BadConfig("target %s: record type %s is none of %s" % (name, target["type"], ", ".join(sorted(kinds.TYPES))))
        account = target.pop("credentials", None)
        if account:
            if account not in (credentials or {}):
                raise BadConfig("target %s wants the credentials %r, which are not given" % (name, account))
            target["account"] = credentials[account]
        intervals = dict(kinds.INTERVALS, **config.get("intervals") or {})
        target["interval"] = max(float(target.get("interval") or intervals[target["kind"]]), kinds.FLOORS.get(target["kind"], 0.05))
        target["timeout"] = float(target.get("timeout") or config.get("timeout") or DEFAULTS["timeout"])
        targets.append(target)
    rate = float(config.get("max_rate") or DEFAULTS["max_rate"])
    for address in {t["address"] for t in targets}:
        mine = [t for t in targets if t["address"] == address]
        load_ = sum(1 / t["interval"] for t in mine)
        if load_ > rate:
            for target in mine:
                target["interval"] = round(target["interval"] * load_ / rate, 3)
    return targets


class Watch:
    """One target's state: None before the first poll, else up, down or maintenance."""

    def __init__(self, target):
        self.target = target
        self.state = None
        self.reason = ""
        self.polls = self.failures = self.slowest_ms = 0

    def judge(self, state, reason, began, ended, record):
        """Take one poll's result in; began, ended: of clock(). A failure counts from when its poll began, a success from its end."""
        self.polls += 1
        self.failures += state != "up"
        self.slowest_ms = max(self.slowest_ms, int((ended - began) * 1000))
        name = self.target["name"]
        if state != self.state:
            if state == "up":
                record.add("up", ended, target=name)
            else:
                record.add(state, began, target=name, reason=reason)
        elif state != "up" and reason != self.reason:
            record.add("reason", began, target=name, reason=reason)
        self.state, self.reason = state, reason

    def sums(self):
        """[polls, failures, slowest] since the last call."""
        out = [self.polls, self.failures, self.slowest_ms]
        self.polls = self.failures = self.slowest_ms = 0
        return out


def stall_limit(interval):
    """Seconds a poll may come late before the time counts as not observed."""
    return max(1.0, 3 * interval)


async def attempt(target, number):
    """One poll: (state, reason)."""
    try:
        await asyncio.wait_for(kinds.poll(target, number), target["timeout"])
        return "up", ""
    except kinds.Maintenance as exc:
        return "maintenance", str(exc)
    except asyncio.CancelledError:
        raise
    except Exception as exc:  # whatever a service sends, the observer goes on
        return "down", kinds.reason(exc)


async def follow(watch, record, spread, stopping):
    """Poll one target until told to stop. spread: seconds before the first poll, so that targets don't march in step."""
    target = watch.target
    planned, number = clock() + spread, int.from_bytes(os.urandom(2), "big")
    while not stopping.is_set():
        await asyncio.sleep(max(0.0, planned - clock()))
        began = clock()
        if began - planned > stall_limit(target["interval"]):
            unseen(record, target, planned, began)
        state, reason = await attempt(target, number)
        ended = clock()
        number += 1
        took = ended - began
        if took > target["timeout"] + 1:
            unseen(record, target, began, ended)  # the observer stood still inside the poll: its result says nothing
        else:
            watch.judge(state, reason, began, ended, record)
        planned = began + rest(target["interval"], took, state, reason)


def rest(interval, took, state, reason):
    """Seconds from one poll's begin to the next.

    A page that is costly to make is asked for less often: at most a third of one worker's time is the observer's.
    Where nobody listens there is nobody to be polite to, and the end of the outage is wanted exactly.
    """
    if state == "up":
        return max(interval, 3 * took)
    return max(min(interval, 0.2) if reason == "connection refused" else interval, took)


def unseen(record, target, since, until):
    """Time in which the observer did not get to look is neither up nor down."""
    record.add("unseen", until, target=target["name"], **{"from": record.at(since), "seconds": round(until - since, 3)})


async def keep_record(watches, record, stopping, alive_seconds, sums_seconds):
    """Write what was gathered, a sign of life, and the sums, until told to stop. Returns when the sums were last written."""
    loop = asyncio.get_event_loop()
    alive = sums = clock()
    while not stopping.is_set():
        await asyncio.sleep(0.1)
        now = clock()
        if now - alive >= alive_seconds:
            alive = now
            record.add("alive")
        if now - sums >= sums_seconds:
            record.add("sums", seconds=round(now - sums, 3), targets={w.target["name"]: w.sums() for w in watches})
            sums = now
        await loop.run_in_executor(None, record.flush)
    return sums


async def run(config, credentials, record):
    """Watch until SIGTERM or SIGINT."""
    targets = load(config, credentials)
    watches = [Watch(target) for target in targets]
    record.add(
        "start",
        version=VERSION,
        flight=config.get("flight", ""),
        targets=[{k: t[k] for k in ("name", "kind", "address", "port", "interval", "optional") if k in t} for t in targets],
    )
    record.flush()
    loop, stopping = asyncio.get_event_loop(), asyncio.Event()
    loop.set_exception_handler(lambda _loop, _context: None)  # a connection that breaks late is told by its poll
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    settings = {key: float(config.get(key) or DEFAULTS[key]) for key in ("alive_seconds", "sums_seconds")}
    tasks = [asyncio.ensure_future(follow(w, record, w.target["interval"] * i / max(1, len(watches)), stopping)) for i, w in enumerate(watches)]
    keeper = asyncio.ensure_future(keep_record(watches, record, stopping, **settings))
    await stopping.wait()
    sums = await keeper
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    record.add("sums", seconds=round(clock() - sums, 3), targets={w.target["name"]: w.sums() for w in watches})
    record.add("stop")
    record.flush()


async def check(config, credentials):
    """Poll every target once: [{name, kind, state, reason}]."""
    targets = load(config, credentials)
    results = await asyncio.gather(*[attempt(target, index) for index, target in enumerate(targets)])
    return [{"name": t["name"], "kind": t["kind"], "state": state, "reason": reason} for t, (state, reason) in zip(targets, results)]


def read_json(path):
    """A JSON file, or BadConfig."""
    try:
        with open(path, encoding="utf-8") as handle:
            return json.load(handle)
    except (OSError, ValueError) as exc:
        raise BadConfig("%s cannot be read: %s" % (path, exc)) from None
