# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What the runner's stages may do to the host: run commands, run package commands with progress, keep backups."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import itertools
import os
import struct
import subprocess
import sys
import time
import traceback

from ansible_collections.intact.hosting.plugins.module_utils import _command
from ansible_collections.intact.hosting.plugins.module_utils._files import fsync_directory, read_if_exists
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _progress, _stall

ENVIRONMENT = {
    "DEBIAN_FRONTEND": "noninteractive",
    "DEBIAN_PRIORITY": "critical",
    "APT_LISTCHANGES_FRONTEND": "none",
    "APT_LISTBUGS_FRONTEND": "none",
    "UCF_FORCE_CONFFOLD": "1",
    "NEEDRESTART_SUSPEND": "1",
    "LC_ALL": "C.UTF-8",
    "LANG": "C.UTF-8",
    "HOME": "/root",
    "PATH": _command.SBIN,
}
CONFFILES = ["--force-confdef", "--force-confold"]
OPTIONS = ["Dpkg::Use-Pty=0", "DPkg::Lock::Timeout=600", "Acquire::Retries=3"] + ["Dpkg::Options::=" + word for word in CONFFILES]
# Seconds between two looks whether what was set up for the upgrade still stands, while a package command works.
GUARD = 30
# Filesystems that packages write to, and bytes below which one of them is called full.
WRITTEN = ("/", "/usr", "/var", "/boot", "/boot/efi", "/tmp", "/var/cache/apt/archives")
FULL = 1 << 20
# dpkg goes on by itself when the apt that started it is killed: then only its own lock is left.
LOCKS = ("/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock")
LISTS = "/var/lib/apt/lists"
# What a stage may have written to: each is told to the disk before the stage counts as done.
PLACES = ("/etc", "/usr", "/var", "/var/lib", "/var/lib/apt", "/var/lib/dpkg", "/var/cache/apt/archives", "/boot", "/boot/efi")


class StageFailure(IntactError):
    """A stage cannot go on. following: what the operator does next, one sentence."""

    def __init__(self, message, following="", **details):
        super().__init__(message, **details)
        self.following = following


class Host:
    """The host as the stages see it. directory: the runner's for this flight. memory: _state.Memory."""

    def __init__(self, directory, flight_directory, memory):
        self.directory = directory
        self.memory = memory
        self.log = os.path.join(flight_directory, "apt.log")
        self.backups = os.path.join(directory, "backup")
        # Options that make apt use the release that packages come from now; the engine knows which.
        self.sources = list
        # transaction -> sentences on what it would take away against the plan; the engine knows the plan.
        self.against_plan = _nothing
        # Minutes without a sign of work until a package command is called stalled; 0: never.
        self.stall_minutes = 0
        # Called while package commands work; the runner knows what for.
        self.guard = _idle
        self._guarded = 0.0
        self._trouble = ""
        # Reads the lists of the release that packages come from now anew; the engine knows which.
        self.read_lists = _none
        # The host went down in the middle of our work, and nobody has looked yet at what that left.
        self.power_was_cut = False
        # Moment (epoch) from which on its work may not be on the disk, and configuration files that the operator changed.
        self.uncertain_since = 0.0
        self.edited = frozenset()

    def run(self, argv, timeout=600, check=True, stdin=b"", env=None):
        """Run a short command (see _command.run) in the runner's environment."""
        return _command.run(argv, timeout=timeout, check=check, stdin=stdin, env=dict(ENVIRONMENT, **(env or {})))

    def systemctl(self, *words, **more):
        """Run systemctl; it may fail for some seconds while its libraries are replaced, so it is tried for half a minute."""
        deadline, check = time.monotonic() + 30, more.pop("check", True)
        while True:
            result = self.run(["systemctl"] + list(words), check=False, **more)
            if result.rc == 0 or b"error while loading shared libraries" not in result.err + result.out or time.monotonic() > deadline:
                break
            time.sleep(1)
        if check and result.rc != 0:
            raise IntactError("systemctl %s ended with status %d: %s" % (" ".join(words), result.rc, result.error.splitlines()[-1:] or ""))
        return result

    def unit_state(self, unit, what="ActiveState"):
        """A property of a unit, e.g. active, or masked for UnitFileState; "" when systemd does not know the unit."""
        result = self.systemctl("show", "-p", "LoadState", "-p", what, "--", unit, check=False)
        facts = dict(line.split("=", 1) for line in result.text.splitlines() if "=" in line)
        return "" if facts.get("LoadState") == "not-found" else facts.get(what, "")

    def package_version(self, name):
        """Version of an installed package, or None."""
        result = self.run(["dpkg-query", "-W", "-f", "${db:Status-Abbrev} ${Version}\n", name], check=False)
        for line in result.text.splitlines():
            status, _space, version = line.partition(" ")
            if status[1:2] not in ("n", "c", ""):
                return version.strip()
        return None

    def older(self, version, wanted):
        """Whether a Debian version is lower than another."""
        return self.run(["dpkg", "--compare-versions", version, "lt", wanted], check=False).rc == 0

    def keep(self, path, group, anew=False):
        """Copy a file or directory below the backup directory once, links and owners kept; returns the copy's path or None when path is not there.

        anew: take the place of an earlier copy of what is a file.
        """
        target = os.path.join(self.backups, group, path.lstrip("/"))
        if not os.path.lexists(path):
            return None
        if anew or not os.path.lexists(target):
            # Closed at its top: below it files lie under directories that are not theirs.
            os.makedirs(self.backups, mode=0o700, exist_ok=True)
            os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
            # A cut must not leave half a copy under the name of a whole one.
            half = target + ".intact-new"
            self.run(["rm", "-rf", "--", half])
            try:
                self.run(["cp", "-a", "--", path, half], timeout=3600)
            except IntactError:
                self.run(["rm", "-rf", "--", half], check=False)
                raise
            # nor an empty one when the power goes: a rename is on the disk before what was copied
            whole = os.path.isfile(half) and not os.path.islink(half)
            self.run(["sync", half] if whole else ["sync", "-f", os.path.dirname(half)], timeout=3600, check=False)
            os.rename(half, target)
            fsync_directory(os.path.dirname(target))
        return target

    def set_aside(self, group):
        """Give a group of copies another name, so that keep() makes new ones."""
        path = os.path.join(self.backups, group)
        if os.path.isdir(path):
            number = next(n for n in itertools.count(1) if not os.path.lexists("%s-%d" % (path, n)))
            os.rename(path, "%s-%d" % (path, number))

    def free(self, path):
        """Free bytes for root on the filesystem of a path."""
        status = os.statvfs(path)
        return status.f_bavail * status.f_frsize

    def full(self):
        """Filesystems that have no room left for root, of those that packages and the runner write to."""
        out, seen = [], set()
        for path in WRITTEN + (self.directory, os.path.dirname(self.log)):
            try:
                status, device = os.statvfs(path), os.stat(path).st_dev
            except OSError:
                continue
            if device not in seen and not status.f_flag & os.ST_RDONLY and (status.f_bfree * status.f_frsize < FULL or (status.f_files and status.f_ffree < 8)):
                out.append(path)
            seen.add(device)
        return out

    def only_tell(self, *tellers):
        """Do what only tells and looks after: a package command works on whatever becomes of it, and must not lose its watcher, nor the flight its stage."""
        for teller in tellers:
            try:
                teller()
            except Exception as exc:  # pylint: disable=broad-except  # see above
                said = "%s: %s" % (type(exc).__name__, exc)
                if said != self._trouble:
                    self._trouble = said
                    with contextlib.suppress(OSError):
                        sys.stderr.write(traceback.format_exc())
                        sys.stderr.flush()

    def look_after(self):
        """Call the guard, at most every GUARD seconds."""
        if time.monotonic() - self._guarded >= GUARD:
            self._guarded = time.monotonic()
            self.guard()

    def _watcher(self):
        """Tells a stall in the journal; not in the log, which is one of the signs of work."""
        return _stall.Watcher(self.stall_minutes, self.log_size, lambda text: self.memory.journal("note", text=text, about="stall"))

    def settle(self):
        """Bring to the disk what was written, before it counts as done: a power cut must not take it back."""
        places = {os.stat(path).st_dev: path for path in PLACES + (self.directory, os.path.dirname(self.log)) if os.path.isdir(path)}
        done = self.run(["sync", "-f"] + sorted(places.values()), timeout=3600, check=False)
        if done.rc != 0:
            # A disk that does not take what was written: no reason to stop in the middle, and nothing to be silent about.
            said = (done.error.splitlines() or ["status %d" % done.rc])[-1]
            self.only_tell(functools.partial(self.memory.journal, "note", text="what was written may not be on the disk: %s" % said))

    def lock_holder(self, locks=LOCKS):
        """Process id that holds one of the package manager's locks, 0 when nobody does."""
        for path in locks:
            try:
                with open(path, "rb+") as handle:
                    query = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
                    answer = struct.unpack("hhqqi4x", fcntl.fcntl(handle, fcntl.F_GETLK, query))
            except OSError:
                continue
            if answer[0] != fcntl.F_UNLCK:
                return answer[4] or -1
        return 0

    def wait_for_dpkg(self, locks=LOCKS):
        """Wait until no package manager works: one that outlived a killed runner is left to end its work. Never kills it."""
        reader, watcher, watched = _progress.Progress(0), None, 0
        while True:
            holder = self.lock_holder(locks)
            if not holder:
                return
            if holder != watched:
                watcher, watched = self._watcher(), holder
            self.only_tell(functools.partial(self._tell_holder, holder, reader, watcher), self.look_after)
            time.sleep(2)

    def _tell_holder(self, holder, reader, watcher):
        # When it is one that a killed runner started, its progress is still being written.
        progress = read_if_exists(os.path.join(self.directory, "status-fd")) or b""
        reader.feed(progress[reader.read :].decode("utf-8", "replace"))
        reader.read = len(progress)
        message = "waiting for %s (process %d), which has the package manager's lock" % (_name_of(holder), holder)
        message += ": " + reader.message if reader.message else ""
        stalled = watcher.look(session_of(holder)) if holder > 0 else ""
        self.memory.progress(reader.done, 0, "packages", "%s. %s" % (stalled, message) if stalled else message, self.tail())

    def log_size(self):
        """Bytes in the log so far."""
        return os.path.getsize(self.log) if os.path.exists(self.log) else 0

    def log_since(self, offset):
        """Text of the log from an offset."""
        if not os.path.exists(self.log):
            return ""
        with open(self.log, "rb") as handle:
            handle.seek(offset)
            return handle.read().decode("utf-8", "replace")

    def tail(self, count=8):
        """The log's last lines."""
        size = self.log_size()
        return [line for line in self.log_since(max(0, size - 8192)).splitlines() if line.strip()][-count:]

    def note(self, text):
        """Write a line of our own into the log."""
        with open(self.log, "a", encoding="utf-8", errors="backslashreplace") as handle:
            os.fchmod(handle.fileno(), 0o600)
            handle.write("--- %s\n" % text)

    def packages(self, argv, total=0, status=True):
        """Run a package command to its end, however long it takes; returns its exit status.

        Its output goes straight into the log, and its progress into a file that is read here: neither is a pipe, so that the
        command ends its work even when this runner is killed.
        """
        progress = os.path.join(self.directory, "status-fd")
        self.note(" ".join(argv))
        with open(self.log, "ab") as log, open(progress, "wb") as pipe:
            argv = list(argv)
            if status:
                argv[1:1] = ["-o", "APT::Status-Fd=%d" % pipe.fileno()]
            process = subprocess.Popen(  # pylint: disable=consider-using-with  # waited for below, in steps
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=ENVIRONMENT,
                pass_fds=[pipe.fileno()] if status else [],
                start_new_session=True,
                cwd="/",
            )
        reader, watcher = _progress.Progress(total), self._watcher()
        with open(progress, "rb") as handle:
            while True:
                rc = process.poll()
                self.only_tell(functools.partial(self._tell_work, handle, reader, watcher, process.pid, total), self.look_after)
                if rc is not None:
                    return rc
                time.sleep(0.5)

    def _tell_work(self, handle, reader, watcher, process, total):
        reader.feed(handle.read().decode("utf-8", "replace"))
        message = watcher.look(process) or reader.message
        if reader.percent and not reader.finished and not total:
            self.memory.progress(int(reader.percent), 100, "%", message, self.tail(4))
        else:
            self.memory.progress(reader.done, max(total, reader.done), "packages", message, self.tail(4))


def _nothing(_transaction):
    return []


def _idle():
    return None


def session_of(process):
    """The session of a process that may be gone."""
    try:
        return os.getsid(process)
    except OSError:
        return process


def _none():
    return None


def _name_of(process):
    try:
        with open("/proc/%d/comm" % process, encoding="ascii", errors="replace") as handle:
            return handle.read().strip()
    except OSError:
        return "a package manager"
