# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""The runner's memory on disk: state.json by write, fsync, rename; the flight's journal; one lock for the host."""

from __future__ import annotations

import fcntl
import json
import os
import time

from ansible_collections.intact.hosting.plugins.module_utils import _budget, _flight
from ansible_collections.intact.hosting.plugins.module_utils._files import fsync_directory, no_room, read_if_exists, write_atomic
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _stages

ROOT = "/var/lib/intact/upgrade"
FIELDS = {
    "status": "running",
    "stage": "",
    "done": 0,
    "total": 0,
    "unit": "",
    "percent": 0.0,
    "message": "",
    "next": "",
    "point_of_no_return": False,
    "attempts": {},
    "memory": {},
    "pid": 0,
    "boot": "",
    "last_lines": [],
    "waiting_boot": "",
    "held": False,
    "budget_told": 0,
}
HOLD = "hold"
# Room that is given back when a disk is full, so that this can still be written down.
RESERVE, RESERVE_BYTES = ".reserve", 256 << 10


def directory(flight, root=ROOT):
    """Where the runner keeps what belongs to a flight."""
    return os.path.join(root, _flight.check_id(flight))


def read_hold(path):
    """Names of the stages before whose work the runner waits: the lines of the file `hold` in its directory, which the operator may edit."""
    data = read_if_exists(os.path.join(path, HOLD)) or b""
    return [line.strip() for line in data.decode("utf-8", "replace").splitlines() if line.strip()]


def write_hold(path, names):
    """Make these the stages before whose work the runner waits; no file for none."""
    target = os.path.join(path, HOLD)
    if names:
        write_atomic(target, "".join(name + "\n" for name in names).encode())
    elif os.path.lexists(target):
        os.unlink(target)
        fsync_directory(path)


def fresh(flight):
    """A state in which nothing was done."""
    now = _flight.now()
    stages = {name: {"status": "", "seconds": None, "note": ""} for name in _stages.ORDER}
    return dict(json.loads(json.dumps(FIELDS)), flight=flight, order=list(_stages.ORDER), stages=stages, started=now, updated=now)


def complete(state):
    """A state with all fields and stages of this version; one before a finished stage, which the runner that began did not know, is skipped. Pure."""
    whole = fresh(state["flight"])
    stages = dict(whole["stages"], **{name: entry for name, entry in state["stages"].items() if name in whole["stages"]})
    finished = [index for index, name in enumerate(_stages.ORDER) if _stages.passed(stages, name)]
    for name in _stages.ORDER[: max(finished, default=0)]:
        if not stages[name].get("status"):
            stages[name] = {"status": "skipped", "seconds": None, "note": "not known when this flight began"}
    return dict(whole, **dict(state, order=list(_stages.ORDER), stages=stages))


def sound(state, flight):
    """Whether what was read is a state: what a cut or another program left may be any JSON. Pure."""
    if not isinstance(state, dict) or state.get("flight") != flight or state.get("status") not in _stages.STATUSES:
        return False
    stages, kinds = state.get("stages"), {key: type(value) for key, value in FIELDS.items()}
    if not isinstance(stages, dict) or not all(isinstance(entry, dict) and isinstance(entry.get("status"), str) for entry in stages.values()):
        return False
    return all(isinstance(state[key], (int, float) if kind in (int, float) else kind) for key, kind in kinds.items() if key in state)


def from_journal(flight, events):
    """A state told from the journal, for when state.json is lost: what ended well and was not undone is finished. Pure."""
    state = fresh(flight)
    memory, begun = state["memory"], 0
    for number, entry in enumerate(events):
        if entry["event"] == "runner.memory":
            memory[entry.get("key")] = entry.get("value")
        elif entry["event"] == "runner.undone":
            begun = number
        elif entry["event"] == "flight.hop":
            begun = number
            memory.clear()
            state.update(status="running", stage="", message="", next="", waiting_boot="")
        elif entry["event"] == "runner.budget":
            state["budget_told"] = max(state["budget_told"], int(entry.get("percent") or 0))
        elif entry["event"] == "runner.rest":
            state.update({key: entry.get(key) or "" for key in ("status", "stage", "message", "next")})
        elif entry["event"] == "stage.start":
            state.update(status="running", stage=entry.get("stage") or "", message="", next="", waiting_boot="")
            if entry.get("stage") == "reboot":
                # A later boot than the one in which it began is what the stage is for.
                state["waiting_boot"] = entry.get("boot") or ""
    state["memory"] = {key: value for key, value in memory.items() if value is not None}
    for entry in _flight.stages(events[begun:]):
        if entry["stage"] in state["stages"] and entry["result"] in _stages.RESULTS:
            state["stages"][entry["stage"]].update(status=entry["result"], seconds=entry["seconds"], note=entry["note"])
        elif entry["stage"] in state["stages"] and entry["result"] is None:
            state["stages"][entry["stage"]]["began"] = entry["start"]
    state = complete(state)
    if _stages.passed(state["stages"], "reboot"):
        state["waiting_boot"] = ""
    if _stages.following(state["stages"]) is None:
        state.update(status="done", stage="", message="the upgrade is done")
    state["point_of_no_return"] = _stages.passed(state["stages"])
    return state


def load(flight, root=ROOT, flights=_flight.FLIGHTS):
    """The state of a flight: from state.json, else from the journal, else None when the runner never started."""
    data = read_if_exists(os.path.join(directory(flight, root), "state.json"))
    if data:
        try:
            state = json.loads(data)
            if sound(state, flight):
                return complete(state)
        except (ValueError, RecursionError):
            pass
    events, _torn = _flight.read(flight, flights)
    number = max([0] + [n for n, e in enumerate(events) if e["event"] == "flight.hop"])
    if data is not None or any(e["event"] == "stage.start" and e.get("stage") == "bind" for e in events[number:]):
        return from_journal(flight, events)
    return None


class Memory:
    """The state of the running flight, saved at each step."""

    def __init__(self, state, root=ROOT, flights=_flight.FLIGHTS):
        self.state = state
        self.path = os.path.join(directory(state["flight"], root), "state.json")
        self.flights = flights
        self._saved = 0.0
        self._noted = 0.0
        self._opening = _flight.opening(_flight.read(state["flight"], flights)[0])

    def save(self, **fields):
        """Change fields and write the state durably."""
        self.state.update(fields)
        self._refresh()
        self._write()

    def _refresh(self):
        stages = self.state["stages"]
        fraction = self.state["done"] / float(self.state["total"]) if self.state["total"] else 0.0
        self.state.update(
            updated=_flight.now(),
            pid=os.getpid(),
            boot=_flight.boot_id(),
            percent=_stages.percent(stages, fraction),
            point_of_no_return=_stages.passed(stages),
        )

    def _write(self):
        write_atomic(self.path, json.dumps(self.state, sort_keys=True, indent=1).encode("utf-8", "backslashreplace"))
        self._saved = time.monotonic()

    def journal(self, event, **fields):
        """Append an event to the flight's journal."""
        _flight.append(self.state["flight"], event, root=self.flights, **fields)

    def _reserves(self):
        return [os.path.join(path, RESERVE) for path in (os.path.dirname(self.path), _flight.directory(self.state["flight"], self.flights))]

    def reserve(self):
        """Keep some room on the filesystems of state and journal."""
        _flight.ensure(self.state["flight"], self.flights)
        for path in self._reserves():
            if os.path.exists(path):
                continue
            try:
                # Not zeros: a filesystem that compresses would keep none.
                write_atomic(path, os.urandom(RESERVE_BYTES))
            except OSError as exc:
                if not no_room(exc):
                    raise

    def release(self):
        """Give the room back: what is written next is the last for now."""
        for path in self._reserves():
            if os.path.exists(path):
                os.unlink(path)

    def progress(self, done, total, unit, message="", lines=()):
        """Tell how far the running stage is: in the state at most every 2 s, in the journal every 30 s."""
        now = time.monotonic()
        changed = {"done": done, "total": total, "unit": unit, "message": message or self.state["message"], "last_lines": list(lines)}
        if now - self._saved < 2:
            self.state.update(changed)
            return
        self.state.update(changed)
        try:
            self._refresh()
            self._write()
            self.spend()
            if now - self._noted >= 30:
                self._noted = now
                self.journal("stage.progress", stage=self.state["stage"], done=done, total=total, unit=unit, note=message)
        except OSError as exc:
            # It is only told: a package command that works must not lose its watcher over it.
            if not no_room(exc):
                raise
            self._saved = now

    def spend(self):
        """Tell in the journal when another part of the flight's time is used up; each once."""
        budget = _budget.seconds(self._opening)
        if not budget:
            return
        spent = _flight.seconds_between(self._opening["time"], _flight.now())
        percent = _budget.due(spent, budget, self.state.get("budget_told") or 0)
        if percent:
            told = _budget.sentence(percent, spent, budget, self.state["stage"])
            self.journal("runner.budget", percent=percent, spent=round(spent), budget=round(budget), text=told)
            self.save(budget_told=percent)

    def begin(self, stage):
        """Write down that a stage starts."""
        self._noted = time.monotonic()
        # Coming back after our own reboot is the same attempt.
        if not self.state["waiting_boot"]:
            self.journal("stage.start", stage=stage)
        entry = self.state["stages"][stage]
        entry.update(status="running", note="", cut=bool(entry.get("began")), began=entry.get("began") or _flight.now())
        self.save(status="running", stage=stage, done=0, total=0, unit="", message=_stages.STAGES[stage][2], next="", last_lines=[], held=False)
        self.spend()

    def was_cut(self):
        """Whether the stage that runs was begun before and did not come to its end."""
        return bool(self.state["stages"].get(self.state["stage"], {}).get("cut"))

    def end(self, stage, result, note=""):
        """Write down how a stage ended: ok, skipped or failed. The state first: the journal is only evidence."""
        entry = self.state["stages"][stage]
        seconds = _flight.seconds_between(entry.get("began") or _flight.now(), _flight.now())
        entry.update(status=result, seconds=seconds, note=note)
        # Not earlier: a cut after our reboot must not make another one.
        waiting = "" if result in _stages.RESULTS else self.state["waiting_boot"]
        self.save(message=note or self.state["message"], waiting_boot=waiting)
        self.journal("stage.end", stage=stage, result=result, seconds=seconds, note=note)

    def remember(self, key, value):
        """Keep a fact for a later stage, a reboot and the loss of state.json included. It goes into reports: no secrets."""
        if key in self.state["memory"] and self.state["memory"][key] == value:
            return
        self.journal("runner.memory", key=key, value=value)
        self.state["memory"][key] = json.loads(json.dumps(value))
        self.save()

    def forget(self, but=()):
        """Drop what remember() kept, except these keys."""
        kept = {key: value for key, value in self.state["memory"].items() if key in but}
        for key in sorted(set(self.state["memory"]) - set(kept)):
            self.journal("runner.memory", key=key, value=None)
        self.save(memory=kept)

    def rest(self, status, stage, message, following, **more):
        """Write down that nothing goes on by itself from here: failed or stopped."""
        self.save(status=status, stage=stage, message=message, next=following, **more)
        self.journal("runner.rest", status=status, stage=stage, message=message, next=following)

    def recall(self, key, default=None):
        """A fact that remember() kept."""
        return self.state["memory"].get(key, default)


def lock(root=ROOT, flight="", name="lock"):
    """The host's one lock as an open file that tells flight and process, or None when another runner has it."""
    os.makedirs(root, mode=0o700, exist_ok=True)
    handle = open(os.path.join(root, name), "a+", encoding="ascii")  # noqa: SIM115 (stays open: it is the lock)  # pylint: disable=consider-using-with
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        handle.close()
        return None
    try:
        handle.truncate(0)
        handle.write("%s %d\n" % (flight, os.getpid()))
        handle.flush()
    except OSError as exc:
        # It is the lock all the same.
        if not no_room(exc):
            handle.close()
            raise
    return handle


def exclusive(what, root=ROOT, flight="", name="lock", patience=60):
    """lock(), waited for as long as these seconds; IntactError after them. what: it says what the other one does, "starting an upgrade"."""
    deadline = time.monotonic() + patience
    while True:
        taken = lock(root, flight, name)
        if taken:
            return taken
        if time.monotonic() >= deadline:
            other, process = holder(root, name) or ("", 0)
            raise IntactError(
                "another process (%d, flight %s) has been %s on this host for more than %d s: look at it there (fuser %s), then start again"
                % (process, other or "unknown", what, patience, os.path.join(root, name))
            )
        time.sleep(0.2)


def holder(root=ROOT, name="lock"):
    """(flight, process) of who holds the lock now, ("", 0) for what it does not tell, None when nobody does. Takes nothing away."""
    try:
        with open(os.path.join(root, name), encoding="ascii", errors="replace") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return None
            except OSError:
                words = handle.read().split()
    except FileNotFoundError:
        return None
    known = len(words) == 2 and words[1].isdigit()
    return (words[0], int(words[1])) if known else ("", 0)
