# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""The runner: goes through the stages on the host, alone. Started by systemd, again after every cut; its Python is replaced under it."""

from __future__ import annotations

import importlib
import os
import sys
import time
import traceback

from ansible_collections.intact.hosting.plugins.module_utils import _flight
from ansible_collections.intact.hosting.plugins.module_utils._files import no_room, read_document, write_atomic
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import (
    _debian,
    _dnf,
    _host,
    _leapp,
    _release_upgrader,
    _rescue,
    _stages,
    _state,
    _zypper,
)

# By the release path's engine, or where it names none by its target's id.
ENGINES = {"debian": _debian.Debian, "ubuntu": _release_upgrader.Ubuntu, "dnf": _dnf.Engine, "zypper": _zypper.Engine, "leapp": _leapp.Engine}
UNIT = "intact-upgrade"
UNITS = "/etc/systemd/system"
ROOM = "make room (df -h, df -i), then start the upgrade again: it goes on where it stopped"
# Seconds between two looks whether a hold still holds.
POLL = 0.5
# Modules that the standard library imports only when it needs them; by then their files may be another version's.
LATE = (
    "_strptime",
    "base64",
    "bz2",
    "codecs",
    "contextlib",
    "copy",
    "encodings.ascii",
    "encodings.idna",
    "encodings.latin_1",
    "encodings.unicode_escape",
    "encodings.utf_8",
    "fnmatch",
    "grp",
    "gzip",
    "heapq",
    "linecache",
    "locale",
    "lzma",
    "ntpath",
    "pwd",
    "selectors",
    "shlex",
    "signal",
    "stringprep",
    "struct",
    "subprocess",
    "tarfile",
    "tempfile",
    "tokenize",
    "unicodedata",
    "warnings",
    "zipfile",
    "zlib",
)


def preload():
    """Import everything that may be needed later, and use what loads on its first use."""
    for name in LATE:
        importlib.import_module(name)
    _flight.seconds_between(_flight.now(), _flight.now())
    _host.Host("/", "/", None).run(["true"])
    try:
        raise ValueError("warm up")
    except ValueError:
        traceback.format_exc()


def engine_name(path):
    """Name of the engine that a release path is done with."""
    return path.get("engine") or path["target"]["id"]


class JobError(IntactError):
    """The job cannot be worked with. Starting the runner again changes nothing."""


def read_job(directory):
    """The job that the module wrote, or JobError."""
    path = os.path.join(directory, "job.json")
    try:
        job = read_document(path)
        missing = [key for key in ("flight", "plan", "release_path", "settings") if key not in job]
        if missing:
            raise ValueError("it lacks %s" % ", ".join(missing))
        if engine_name(job["release_path"]) not in ENGINES:
            raise ValueError("no engine for %s, there are: %s" % (engine_name(job["release_path"]), ", ".join(sorted(ENGINES))))
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise JobError("the job %s cannot be read (%s)" % (path, exc)) from exc
    return job


class Runner:
    """Runs the stages of one flight."""

    def __init__(self, directory, root=_state.ROOT, flights=_flight.FLIGHTS):
        self.directory = directory
        self.job = read_job(directory)
        flight = self.job["flight"]
        self.memory = _state.Memory(_state.load(flight, root, flights) or _state.fresh(flight), root, flights)
        engine = ENGINES[engine_name(self.job["release_path"])]
        self.host = getattr(engine, "HOST", _host.Host)(directory, _flight.ensure(flight, flights), self.memory)
        self.host.stall_minutes = int(self.job["settings"].get("stall_minutes") or 0)
        self.host.guard = self._guard
        self.host.power_was_cut = not self.memory.state["waiting_boot"] and self.memory.state["boot"] != _flight.boot_id()
        begun = (self.memory.state["stages"].get(self.memory.state["stage"]) or {}).get("began")
        self.host.uncertain_since = _flight.epoch(begun) if begun else 0.0
        self._said = ""
        self.engine = engine(self.host, self.job)

    def _guard(self):
        """Set right what somebody else's work took from the second way in, told once while it stays the same; look how full a snapshot is. Never raises."""
        self.host.only_tell(self._guard_way, self.engine.watch)

    def _guard_way(self):
        said = _rescue.watch(self.host)
        if said and said != self._said:
            self.memory.journal("note", text=said)
        self._said = said

    def asked_to_stop(self):
        """Whether somebody asked for a stop before the next stage."""
        return os.path.exists(os.path.join(self.directory, "stop"))

    def go(self):
        """Do what is left; returns the status at the end."""
        state = self.memory.state
        if state["status"] in ("done", "rolled-back"):
            self._remove_units()
            return state["status"]
        if state["status"] in ("failed", "stopped"):
            self._rest()
            return state["status"]
        self.memory.reserve()
        while True:
            stage = _stages.following(state["stages"])
            if stage is None:
                break
            try:
                if self.asked_to_stop():
                    return self._stop(stage)
                self.memory.begin(stage)
                if not self._hold(stage):
                    return self._stop(stage)
                if not self._stage(stage):
                    return state["status"]
            except OSError as exc:
                if not no_room(exc):
                    raise
                # Written between the stage's own work: begin, end, hold.
                self._fail(stage, _full(exc), ROOM)
                return state["status"]
        self.memory.release()
        self.memory.save(status="done", stage="", message="the upgrade is done", done=0, total=0, next="")
        self._remove_units()
        return "done"

    def _hold(self, stage):
        """Wait as long as the operator's list names the stage; False when a stop was asked for meanwhile."""
        waiting = self.memory.state["waiting_boot"]
        if waiting and waiting != _flight.boot_id():
            # The hold was before our reboot: this is what comes after it.
            return True
        if stage not in _state.read_hold(self.directory):
            return True
        path, since = os.path.join(self.directory, _state.HOLD), time.monotonic()
        said = "held before its work, as asked: start again without distro_upgrade_hold_before, or remove the line from %s" % path
        self.memory.journal("note", text="held before %s, as asked" % stage)
        self.memory.save(held=True, message=said)
        while stage in _state.read_hold(self.directory) and not self.asked_to_stop():
            time.sleep(POLL)
            self.host.only_tell(self.memory.spend, self.host.look_after)
        stop = self.asked_to_stop()
        self.memory.journal("note", text="held before %s for %d s, then %s" % (stage, round(time.monotonic() - since), "asked to stop" if stop else "let go"))
        if stop:
            # Nothing of it was done.
            self.memory.state["stages"][stage].update(status="", began="")
        self.memory.save(held=False, message=_stages.STAGES[stage][2])
        return not stop

    def _stage(self, stage):
        """Do one stage that has begun; False when the flight failed in it."""
        try:
            self._guard()
            healed = self.engine.heal() if _stages.changes_packages(stage) else []
            note = getattr(self.engine, stage.replace("-", "_"))()
            self.host.settle()
        except IntactError as exc:
            room = ROOM if "No space left on device" in str(exc) or "Disk quota exceeded" in str(exc) else ""
            self._fail(stage, str(exc), getattr(exc, "following", "") or room or "see to it, then start the upgrade again: it goes on where it stopped")
            return False
        except Exception as exc:  # pylint: disable=broad-except  # an end without a word in the state file would hide the stage
            if no_room(exc):
                self._fail(stage, _full(exc), ROOM)
                return False
            sys.stderr.write(traceback.format_exc())
            sys.stderr.flush()
            self._fail(
                stage,
                "unexpected %s: %s" % (type(exc).__name__, exc),
                "start the upgrade again; when it fails here again, send %s/runner.log with a report" % self.directory,
            )
            return False
        self.memory.end(stage, "ok" if note else "skipped", note or "nothing to do")
        if healed:
            self.memory.journal("note", text="before %s: %s" % (stage, "; ".join(healed)))
        self.memory.save(attempts={})
        return True

    def _fail(self, stage, message, following):
        """Stop for a person. Before the point of no return the host gets everything back."""
        lines = self.host.tail()
        if following == ROOM or self.host.full():
            self.memory.release()
        self.memory.end(stage, "failed", message)
        if not _stages.passed(self.memory.state["stages"]):
            self._back_out()
        self.memory.rest("failed", stage, message, following, last_lines=lines)
        self._rest()

    def _back_out(self):
        """Undo what was done before the point of no return: nothing of the target release was installed."""
        # First that everything is to be done again: a cut in the middle must not go on as if others were still kept away.
        for entry in self.memory.state["stages"].values():
            if entry["status"] != "failed":
                entry.update(status="", seconds=None, note="", began="")
        self.memory.save()
        self.memory.journal("runner.undone")
        try:
            self.engine.back_out()
        except (IntactError, OSError) as exc:
            # How it was stays known: the next attempt would otherwise take our masks for the operator's.
            self.memory.journal("note", text="not all could be given back: %s" % exc)
            self.memory.forget(but=("quiet", "snapshot", _rescue.MEMORY))
            return
        self.memory.forget()

    def _stop(self, stage):
        """Rest before a stage because somebody asked for it."""
        if not _stages.passed(self.memory.state["stages"]):
            self._back_out()
        self.memory.rest("stopped", stage, "stopped before %s, as asked" % stage, "start the upgrade again: it goes on here")
        # The request goes last: after a cut it is still there, and nothing goes on by itself.
        os.unlink(os.path.join(self.directory, "stop"))
        self._rest()
        return "stopped"

    def _rest(self):
        """Keep the timer from starting the runner again: a stop must not become a loop."""
        self.host.systemctl("disable", "--now", UNIT + ".timer", check=False)

    def _remove_units(self):
        """The runner leaves no unit behind."""
        self._rest()
        for suffix in (".timer", ".service"):
            path = os.path.join(UNITS, UNIT + suffix)
            if os.path.exists(path):
                os.unlink(path)
        self.host.systemctl("daemon-reload", check=False)


def _full(error):
    """What a full disk means for the operator."""
    path = error.filename2 or error.filename or ""
    return "no room left on a filesystem (%s)" % (error.strerror + (": %s" % path if path else ""))


def give_up(directory, root, flights, message):
    """Rest without a job: the state tells why, and the timer, which could only repeat it, ends."""
    flight = os.path.basename(os.path.normpath(directory))
    host = _host.Host(directory, directory, None)
    try:
        memory = _state.Memory(_state.load(flight, root, flights) or _state.fresh(flight), root, flights)
        memory.release()
        stages = memory.state["stages"]
        following = "start the upgrade again: it writes the job anew"
        if _stages.passed(stages):
            following = "copy job.json back from the backup of %s, then start the upgrade again: it goes on where it stopped" % directory
        if memory.state["status"] != "done":
            memory.rest("failed", _stages.following(stages) or "", message, following)
    finally:
        host.systemctl("disable", "--now", UNIT + ".timer", check=False)


def main(directory, root=_state.ROOT, flights=_flight.FLIGHTS):
    """Entry of the installed runner: exit status 0 also for a failed flight, whose state tells; 75 when another runner works."""
    preload()
    flight = os.path.basename(os.path.normpath(directory))
    lock = _state.lock(root, flight)
    if lock is None:
        other, process = _state.holder(root) or ("", 0)
        sys.stderr.write(
            "the upgrade of flight %s works on this host (process %d); this start, of flight %s, ends here and changed nothing\n"
            % (other or "unknown", process, flight)
        )
        return 75
    try:
        os.umask(0o022)
        Runner(directory, root, flights).go()
    except Exception as exc:  # pylint: disable=broad-except  # the last chance to keep the traceback
        sys.stderr.write("the runner cannot work: %s\n" % exc)
        try:
            write_atomic(os.path.join(directory, "crash.txt"), traceback.format_exc().encode("utf-8", "backslashreplace"))
        finally:
            if isinstance(exc, JobError):
                give_up(directory, root, flights, str(exc))
        return 1
    finally:
        lock.close()
    return 0
