# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real PostgreSQL of a test's own, which is killed at work; and the disk that its cluster lies on."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import subprocess
import time

from ansible_collections.intact.hosting.plugins.module_utils._backup._throwaway_postgresql import newest
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels import old_disk


def missing():
    """Why no server can be started here, or ""."""
    if not newest():
        return "postgresql not installed"
    return "not root" if os.getuid() else "" if "postgres" in {entry.pw_name for entry in pwd.getpwall()} else "no user postgres"


class Server:
    """top: a directory that other users can pass through."""

    def __init__(self, top):
        self.top, self.data, self.socket = top, os.path.join(top, "data"), os.path.join(top, "run")
        self.major = newest().split("/")[4]
        self._person = pwd.getpwnam("postgres")
        self._process = None

    def run(self, *argv, stdin=b""):
        words = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--", *argv]
        done = subprocess.run(words, input=stdin, capture_output=True, check=False, env=dict(os.environ, LC_ALL="C.UTF-8"), cwd=self.top)
        if done.returncode:
            raise RuntimeError(done.stderr.decode())
        return done.stdout.decode()

    def make(self):
        for path in (self.data, self.socket):
            os.mkdir(path, 0o700)
            os.chown(path, self._person.pw_uid, self._person.pw_gid)
        self.run(newest() + "/initdb", "-D", self.data, "--username=postgres", "--auth=trust", "--no-sync", "--encoding=SQL_ASCII", "--no-locale")
        self.start()
        return self

    def start(self):
        argv = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--pdeathsig=KILL", "--", newest() + "/postgres", "-D", self.data]
        argv += ["-k", self.socket, "-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_prepared_transactions=7"]
        self._process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self.top)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                self.sql("SELECT 1", "template1")
                return
            except RuntimeError:
                time.sleep(0.1)
        raise AssertionError("PostgreSQL did not start")

    def sql(self, text, database="postgres"):
        argv = [newest() + "/psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", self.socket, "-U", "postgres", "-d", database]
        return self.run(*argv, stdin=text.encode("utf-8", "surrogateescape"))

    def end(self, number=signal.SIGKILL):
        if self._process and self._process.poll() is None:
            with open("%s/postmaster.pid" % self.data) as handle:
                held = int(handle.readline())
            os.kill(held, number)
            self._process.wait()
            # its children leave by themselves when the parent is gone
            deadline = time.monotonic() + 30
            while time.monotonic() < deadline and self._children():
                time.sleep(0.05)

    def _children(self):
        out = []
        for name in os.listdir("/proc"):
            if name.isdigit():
                try:
                    if os.readlink("/proc/%s/cwd" % name) == self.data:
                        out.append(name)
                except OSError:
                    continue
        return out


class Disk(old_disk.OldDisk):
    """An old disk with a PostgreSQL cluster where Debian has it."""

    def take_cluster(self, server):
        self.cluster = "/var/lib/postgresql/%s/main" % server.major
        os.makedirs(os.path.dirname(self.root + self.cluster))
        subprocess.run(["cp", "-a", server.data, self.root + self.cluster], check=True)

    def install_postgresql(self):
        """A server of its own, with what it needs to run with the disk as its /."""
        program = newest() + "/postgres"
        told = subprocess.run(["ldd", program], check=True, capture_output=True).stdout.decode()
        for path in [program, *re.findall(r"(/\S+) \(0x", told)]:
            os.makedirs(os.path.dirname(self.root + path), exist_ok=True)
            shutil.copy(os.path.realpath(path), self.root + path)
        for path in (newest().replace("/usr/lib/", "/usr/share/")[:-4], newest()[:-4] + "/lib", "/usr/share/zoneinfo/Etc"):
            shutil.copytree(path, self.root + path, ignore=shutil.ignore_patterns("man", "bitcode", "extension", "tsearch_data"))
        shutil.copy(os.path.realpath("/usr/share/zoneinfo/UTC"), self.root + "/usr/share/zoneinfo/UTC")
        os.makedirs(self.root + "/tmp", exist_ok=True)
