# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""The host as the stages of RPM engines see it: rpm's package database in place of dpkg's."""

from __future__ import annotations

import fcntl
import functools
import os
import re
import struct
import subprocess
import time

from ansible_collections.intact.hosting.plugins.module_utils import _command
from ansible_collections.intact.hosting.plugins.module_utils._files import read_if_exists
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _host, _rpm_says

# The package managers' own; nothing of it asks.
ENVIRONMENT = {"LC_ALL": "C.UTF-8", "LANG": "C.UTF-8", "HOME": "/root", "PATH": _command.SBIN, "COLUMNS": "200", "ZYPP_LOCK_TIMEOUT": "600"}
# Files that hold the process id of a package manager at work.
PIDS = ("/var/run/zypp.pid", "/run/zypp.pid", "/var/cache/dnf/metadata_lock.pid", "/var/run/dnf.pid", "/var/lib/dnf/rpmdb_lock.pid", "/run/yum.pid")


def at_work(pid):
    """Name of a process that runs; "" when it is gone, or was killed and waits for its parent to hear of it."""
    head, _bracket, rest = (read_if_exists("/proc/%d/stat" % pid) or b"").rpartition(b")")
    return head.partition(b"(")[2].decode("ascii", "replace") if rest.split()[:1] not in ([], [b"Z"], [b"X"]) else ""


class RpmHost(_host.Host):
    """See Host."""

    def __init__(self, directory, flight_directory, memory):
        super().__init__(directory, flight_directory, memory)
        self.log = os.path.join(flight_directory, "packages.log")
        self._database = ""

    def run(self, argv, timeout=600, check=True, stdin=b"", env=None):
        """See Host.run."""
        return _command.run(argv, timeout=timeout, check=check, stdin=stdin, env=dict(ENVIRONMENT, **(env or {})))

    @property
    def database(self):
        """Directory of rpm's database, as rpm says."""
        if not self._database:
            self._database = self.run(["rpm", "-E", "%{_dbpath}"]).text.strip()
        return self._database

    def installed(self):
        """See _rpm_says.installed. Raises IntactError when rpm cannot read its database."""
        return _rpm_says.installed(self.run(["rpm", "-qa", "--qf", _rpm_says.QUERY], timeout=600).text)

    def package_version(self, name):
        """Version of an installed package ([EPOCH:]VERSION-RELEASE), the latest of several, or None."""
        # Not rpm -q NAME alone: its answer for what is not installed is text on standard output.
        result = self.run(["rpm", "-q", "--qf", _rpm_says.QUERY, name], check=False)
        found = [entry for entry in _rpm_says.installed(result.text) if entry["name"] == name] if result.rc == 0 else []
        return max(found, key=lambda e: e["order"])["version"] if found else None

    def older(self, version, wanted):
        """Whether a version is lower than another, as rpm compares them."""
        return _rpm_says.older(version, wanted)

    def lock_holder(self):
        """Process id of who changes packages now, 0 when nobody does: rpm's own lock, then the managers' pid files."""
        try:
            with open(os.path.join(self.database, ".rpm.lock"), "rb+") as handle:
                query = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
                answer = struct.unpack("hhqqi4x", fcntl.fcntl(handle, fcntl.F_GETLK, query))
            if answer[0] != fcntl.F_UNLCK:
                return answer[4] or -1
        except OSError:
            pass
        for path in PIDS:
            try:
                with open(path, encoding="ascii", errors="replace") as handle:
                    pid = int(re.match(r"\s*(\d+)", handle.read()).group(1))
            except (OSError, AttributeError, ValueError):
                continue
            # The file stays after a kill, and its number is given to others.
            if pid != os.getpid() and re.search(r"dnf|yum|zypper|rpm|python|YaST|packagekit", at_work(pid)):
                return pid
        return 0

    def wait_for_dpkg(self):
        """Wait until no package manager works, one that outlived a killed runner included. Never kills it."""
        watcher, watched = None, 0
        while True:
            holder = self.lock_holder()
            if not holder:
                return
            if holder != watched:
                watcher, watched = self._watcher(), holder
            self.only_tell(functools.partial(self._tell_changer, holder, watcher), self.look_after)
            time.sleep(1)

    def _tell_changer(self, holder, watcher):
        done, total, name = _rpm_says.step(_rpm_says.last_command(self.log_since(max(0, self.log_size() - 65536)))[0])
        message = "waiting for %s (process %d), which changes packages" % (at_work(holder) or "a package manager", holder)
        stalled = watcher.look(_host.session_of(holder)) if holder > 0 else ""
        message = (stalled + ". " if stalled else "") + message + (": " + name if name else "")
        self.memory.progress(done, total, "steps", message, self.tail())

    def packages(self, argv, total=0, status=True):
        """Run a package command to its end, however long it takes; returns its exit status.

        Its output goes straight into the log, from which the progress is read: no pipe, so that it ends its work when this runner is killed.
        """
        self.note("run at %d: %s" % (time.time(), " ".join(argv)))
        start = self.log_size()
        with open(self.log, "ab") as log:
            process = subprocess.Popen(  # pylint: disable=consider-using-with  # waited for below, in steps
                list(argv), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=ENVIRONMENT, start_new_session=True, cwd="/"
            )
        watcher = self._watcher()
        while True:
            rc = process.poll()
            self.only_tell(functools.partial(self._tell_step, start, watcher, process.pid), self.look_after)
            if rc is not None:
                self.note("ended with status %d" % rc)
                return rc
            time.sleep(0.2)

    def _tell_step(self, start, watcher, process):
        done, steps, name = _rpm_says.step(self.log_since(max(start, self.log_size() - 65536)))
        self.memory.progress(done, max(steps, done), "steps", watcher.look(process) or name, self.tail(4))
