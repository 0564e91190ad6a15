# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Going back, step by step: rest, look, save, tell the snapshot what it is, the one step, reboot; in the old system: settle.

Before the one step everything may be repeated from its beginning, and is: what was written meanwhile must be saved too. After it only the reboot is left.
"""

from __future__ import annotations

import contextlib
import os
import time

from ansible_collections.intact.hosting.plugins.module_utils import _flight
from ansible_collections.intact.hosting.plugins.module_utils._baseline import _document
from ansible_collections.intact.hosting.plugins.module_utils._files import fsync_directory, read_document, write_document
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._rollback import _drivers, _kept, _services, _told
from ansible_collections.intact.hosting.plugins.module_utils._rollback._place import Place
from ansible_collections.intact.hosting.plugins.module_utils._rollback._stage import KEY
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _runner, _state

STEPS = ("rest", "look", "save", "tell", "switch")
RECORD = "rollback.json"
SPARE = 64 << 20
TOLD = 200  # lines of what was saved that the journal, and so the report, has; kept.json has all
FULL = 97.0
BEFORE = "baseline-before.json.gz"


def fresh(flight, driver, why, who):
    """A record of which nothing is done."""
    return {
        "flight": flight,
        "driver": driver,
        "began": _flight.now(),
        "why": why,
        "who": who,
        "steps": {},
        "stopped": [],
        "counts": {},
        "boot": _flight.boot_id(),
    }


def chosen(flight):
    """The flight that is meant: the one that is named, else the open one, else the newest with an earlier baseline; "" when there is none."""
    return flight or _flight.current() or _flight.newest(BEFORE)


class Back:
    """The way back of one flight. options: why, who, accept_unsaved, trees (list of paths to save too), baseline_options, baseline_limits."""

    def __init__(self, flight, job, options=None, place=None, look=_kept.look):
        self.flight, self.job, self.options = flight, job, dict(options or {})
        self.place, self._look = place or Place(), look
        self.root, self.flights, self.kept = (self.place.path(path) for path in (_state.ROOT, _flight.FLIGHTS, _told.KEPT))
        self.settings = job["settings"].get("rollback") or {}
        self.directory = _state.directory(flight, self.root)
        state = _state.load(flight, self.root, self.flights)
        if not state:
            raise IntactError("no upgrade of flight %s ran on this host: nothing to go back from" % flight)
        self.state = state
        facts = state["memory"].get(KEY)
        if not facts:
            raise IntactError("flight %s took no snapshot: no rollback was decided before take-off, restore from the backup (restore-host.yml)" % flight)
        self.facts = _drivers.complete(facts, self.settings)
        self.driver = _drivers.of(facts["driver"])

    @property
    def record(self):
        """What this host knows of the way back."""
        path = os.path.join(self.directory, RECORD)
        return read_document(path) if os.path.exists(path) else {}

    def _write(self, record):
        write_document(os.path.join(self.directory, RECORD), record)
        fsync_directory(self.directory)

    def _journal(self, event, **fields):
        _flight.append(self.flight, event, root=self.flights, **fields)

    def position(self):
        """old: the system that was gone back to runs. switched: the new one runs, and the next boot is the old one. new: neither."""
        if self.state.get("status") == _told.STATUS:
            return "old"
        return "switched" if self.record.get("steps", {}).get("switch") or self.driver.state(self.place, self.facts)["back"] else "new"

    def refusals(self):
        """Why the host can't go back now: sentences."""
        if not self.facts.get("complete"):
            return ["the snapshot %s was never finished: nothing of the target release was installed, start the upgrade again" % self.facts["name"]]
        state = self.driver.state(self.place, self.facts)
        if not state["whole"]:
            return ["the snapshot can't be gone back to: %s: restore from the backup (restore-host.yml)" % state["why"]]
        if state["percent"] > FULL:
            return ["the snapshot %s is %.0f %% full: extend it (lvextend), then start again" % (self.facts["name"], state["percent"])]
        return []

    def before(self):
        """The look before the flight."""
        return _document.load(os.path.join(_flight.directory(self.flight, self.flights), BEFORE))

    def preview(self):
        """What would be saved, and what a look can't tell (see _kept.tell). Changes nothing."""
        before = self.before()
        return _kept.tell(before, self._look(before, self.options.get("baseline_options"), self.options.get("baseline_limits")))

    def go(self, until=""):
        """All steps up to the reboot, or the first ones up to this; returns the record.

        Raises IntactError: then the host is the new system, and its services run again.
        """
        position = self.position()
        if position == "old":
            raise IntactError("this host went back already: it is the system before flight %s" % self.flight)
        if position == "switched":
            return self.record
        why = self.refusals()
        if why:
            raise IntactError("; ".join(why))
        lock = _state.lock(self.root)
        if lock is None:
            raise IntactError("the upgrade works right now: ask it to stop (upgrade_runner, state stopped), then start again")
        with contextlib.closing(lock):
            # A runner that was cut must not be started by its timer while the host goes back.
            self.place.run(["systemctl", "disable", "--now", _runner.UNIT + ".timer"], check=False)
            earlier = self.record
            record = fresh(self.flight, self.driver.NAME, self.options.get("why", ""), self.options.get("who", ""))
            # What an earlier try stopped rests still.
            record["stopped"] = [unit for unit in earlier.get("stopped") or [] if earlier.get("boot") == record["boot"]]
            self._write(record)
            what = "back to the system before the upgrade, by %s" % self.facts["name"]
            self._journal("decision", what=what, who=record["who"], why=record["why"], rollback={"state": "begun"})
            try:
                self._all(record, until)
            except Exception as exc:  # pylint: disable=broad-except  # whatever it is: what serves customers must not stay stopped over it
                _services.start(self.place, record["stopped"])
                why = str(exc) if isinstance(exc, (IntactError, OSError)) else "unexpected %s: %s" % (type(exc).__name__, exc)
                with contextlib.suppress(OSError):
                    self._journal("note", text="the host did not go back: %s" % why, rollback={"state": "stopped"})
                raise IntactError("the host did not go back and is the upgraded system as before: %s" % why) from exc
        return record

    def _stop(self, record, patterns):
        """Stop services; which ones is written down first, so that they run again also when this is killed."""
        units = _services.active(self.place, patterns)
        record["stopped"] += units
        self._write(record)
        _services.stop(self.place, units)

    def _all(self, record, until):
        with self._step(record, "rest"):
            self._stop(record, _services.WRITERS)
        with self._step(record, "look"):
            before = self.before()
            after = self._look(before, self.options.get("baseline_options"), self.options.get("baseline_limits"))
            self._stop(record, _services.READERS)
        with self._step(record, "save"):
            kept = _kept.save(
                self.flight,
                before,
                after,
                kept=self.kept,
                options=self.options.get("baseline_options"),
                trees=self.options.get("trees") or self.settings.get("trees") or (),
            )
            record["counts"] = kept["counts"]
            if kept["unsaved"] and not self.options.get("accept_unsaved"):
                lost = "; ".join("%s (%s)" % (entry["what"], entry["why"]) for entry in kept["unsaved"][:5])
                raise IntactError(
                    "%d things could not be saved: %s. Save them yourself and say rollback_accept_unsaved, or repair what is named"
                    % (len(kept["unsaved"]), lost)
                )
            place, lines = os.path.join(self.kept, self.flight), _kept.lines(kept)
            saved = {"state": "saved", "place": place, "counts": kept["counts"], "unsaved": len(kept["unsaved"]), "lines": lines[:TOLD]}
            self._journal("note", text="saved below %s: %s" % (place, "; ".join(lines)[:4000]), rollback=saved)
        if until == "save":
            return
        with self._step(record, "tell"), self.driver.opened(self.place, self.facts) as tree:
            if tree is not None:
                self._room(kept)
                message = "the host went back to the system before the upgrade"
                _told.tell(tree, self.flight, message, self.place.path)
            self.driver.prepare(self.place, self.facts, tree)
        with self._step(record, "switch"):
            self.driver.boot_back(self.place, self.facts)

    def resume(self):
        """Start again what go() let rest up to "save", when it is not gone on with; the units. Nothing once the next boot is the old system."""
        record = self.record
        units = record.get("stopped") or []
        if not units or self.position() != "new" or record.get("boot") != _flight.boot_id():
            return []
        _services.start(self.place, units)
        self._write(dict(record, stopped=[]))
        self._journal("note", text="the host did not go back: what was saved could not be brought away")
        return units

    def reboot(self):
        """Let init reboot the host in some seconds, so that who asked hears of it."""
        self.place.run(["sync"], check=False)
        done = self.place.run(["systemd-run", "--on-active=3s", "--timer-property=AccuracySec=1s", "systemctl", "reboot"], check=False)
        if done.rc:
            raise IntactError("everything is ready, and the reboot could not be asked for (%s): reboot the host, it comes back as the old system" % done.error)

    def _room(self, kept):
        """Refuse when the snapshot has no room for what is written into it."""
        flight = _flight.directory(self.flight, self.flights)
        need = kept["counts"]["bytes"] + sum(os.path.getsize(os.path.join(f, n)) for f, _d, ns in os.walk(flight) for n in ns) + SPARE
        room = self.driver.state(self.place, self.facts)["room"]
        if room is not None and room < need:
            raise IntactError("the snapshot has room for %d MiB and %d MiB were saved: extend it (lvextend), then start again" % (room >> 20, need >> 20))

    @contextlib.contextmanager
    def _step(self, record, name):
        began = time.monotonic()
        yield
        record["steps"][name] = {"seconds": round(time.monotonic() - began, 3), "at": _flight.now()}
        if name != "tell":
            self._write(record)

    def settle(self, patience=0):
        """In the old system: wait so many seconds for what is under way, put the rest back.

        Returns (record, progress); record["settled"] has sentences, or is missing while progress says how far it is.
        """
        if self.position() != "old":
            raise IntactError("this host has not gone back: it is the system after the upgrade")
        record = self.record or fresh(self.flight, self.driver.NAME, "", "")
        if record.get("settled") is not None:
            return record, ""
        began = record.setdefault("settling", _flight.now())
        done, progress = self.driver.settle(self.place, self.facts, patience)
        if done is not None:
            record["settled"] = done
            record["steps"]["settle"] = {"seconds": _flight.seconds_between(began, _flight.now()), "at": _flight.now()}
            self._journal("note", text="back in the system before the upgrade: %s" % ("; ".join(done) or "nothing was left to do"), rollback={"state": "back"})
        self._write(record)
        return record, progress

    def drop(self):
        """Remove the snapshot (in the old system: the upgraded tree) for good; a sentence."""
        if self.position() == "switched":
            raise IntactError("the next boot is the old system: reboot first")
        said = self.driver.drop(self.place, self.facts)
        self._journal("note", text=said or "no snapshot is left", rollback={"state": "dropped"})
        return said
