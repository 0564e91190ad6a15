# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""The runner: goes through the stages on the host, alone. Started by systemd, again after every cut; its Python is replaced under it."""

from __future__ import annotations

import errno
import importlib
import os
import sys
import time
import traceback

from ansible_collections.intact.hosting.plugins.module_utils import _flight
from ansible_collections.intact.hosting.plugins.module_utils._files import read_document, write_atomic
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _debian, _host, _stages, _state

ENGINES = {"debian": _debian.Debian}
UNIT = "intact-upgrade"
UNITS = "/etc/systemd/system"
# A disk, or what may be used of it, is full.
FULL = (errno.ENOSPC, errno.EDQUOT)
RESERVED = 256 * 1024
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
        if job["release_path"]["target"]["id"] not in ENGINES:
            raise ValueError("no engine for %s" % job["release_path"]["target"]["id"])
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
        self.host = _host.Host(directory, _flight.ensure(flight, flights), self.memory)
        self.host.power_was_cut = not self.memory.state["waiting_boot"] and self.memory.state["boot"] != _flight.boot_id()
        begun = (self.memory.state["stages"].get(self.memory.state["stage"]) or {}).get("began")
        self.host.uncertain_since = _flight.epoch(begun) if begun else 0.0
        self.engine = ENGINES[self.job["release_path"]["target"]["id"]](self.host, self.job)

    def asked_to_stop(self):
        """Whether somebody asked for a stop before the next stage."""
        return os.path.exists(os.path.join(self.directory, "stop"))

    def _keep_room(self):
        """Room in which a full disk can still be told: without it the state stays as it was, and the timer tries for ever."""
        path = os.path.join(self.directory, _state.RESERVE)
        if not os.path.exists(path) and self.memory.state["status"] == "running":
            try:
                # random, as a file system that compresses would keep none
                write_atomic(path, os.urandom(RESERVED))
            except OSError:
                pass

    def go(self):
        """Do what is left; returns the status at the end."""
        state = self.memory.state
        self._keep_room()
        if state["status"] == "done":
            self._remove_units()
            return "done"
        if state["status"] in ("failed", "stopped"):
            self._rest()
            return state["status"]
        while True:
            stage = _stages.following(state["stages"])
            if stage is None:
                break
            if self.asked_to_stop():
                return self._stop(stage)
            try:
                self.memory.begin(stage)
                if not self._hold(stage):
                    return self._stop(stage)
                if not self._stage(stage):
                    return state["status"]
            except OSError as exc:
                if exc.errno not in FULL:
                    raise
                self._fail(stage, "a filesystem is full: %s" % exc, "make room (df -h), then start the upgrade again: it goes on where it stopped")
                return state["status"]
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
            healed = self.engine.heal() if _stages.changes_packages(stage) else []
            note = getattr(self.engine, stage.replace("-", "_"))()
            self.host.settle()
        except IntactError as exc:
            self._fail(stage, str(exc), getattr(exc, "following", "") or "see to it, then start the upgrade again: it goes on where it stopped")
            return False
        except Exception as exc:  # pylint: disable=broad-except  # an end without a word in the state file would hide the stage
            if isinstance(exc, OSError) and exc.errno in FULL:
                raise
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
        reserve = os.path.join(self.directory, _state.RESERVE)
        if os.path.exists(reserve) and self.host.free(self.directory) < 4 * RESERVED:
            os.unlink(reserve)
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
            self.memory.journal("note", text="timers and services could not all be given back: %s" % exc)
            self.memory.forget(but=("quiet",))
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


def give_up(directory, root, flights, message):
    """Rest without a job: the state tells why, and the timer, which could only repeat it, ends."""
    flight = os.path.basename(os.path.normpath(directory))
    host = _host.Host(directory, directory, None)
    try:
        memory = _state.Memory(_state.load(flight, root, flights) or _state.fresh(flight), root, flights)
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
    lock = _state.lock(root)
    if lock is None:
        sys.stderr.write("another runner works on this host\n")
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
