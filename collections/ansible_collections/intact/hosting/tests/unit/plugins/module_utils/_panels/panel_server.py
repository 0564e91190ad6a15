# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real MariaDB of a test's own, which stands for the host's: it outlives who started it, may be killed and damaged, and is gone when the test ends."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time

from ansible_collections.intact.hosting.plugins.module_utils._command import which
from ansible_collections.intact.hosting.plugins.module_utils._panels import _processes

TEMPLATE = []
LOG = "--innodb-log-file-size=8M"


def missing():
    """Why no server can be started here, or ""."""
    wanted = ("mariadbd", "mariadb", "mariadb-install-db", "mariadb-dump", "setpriv")
    lacking = [program for program in wanted if not which(program)]
    return "%s not installed" % ", ".join(lacking) if lacking else "not root" if os.getuid() else ""


def template():
    """A fresh data directory, made once for all tests of a session."""
    if not TEMPLATE:
        top = tempfile.mkdtemp(prefix="intact-panel-template-")
        os.chmod(top, 0o711)
        argv = ["mariadb-install-db", "--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve", "--user=mysql"]
        # as small as the servers want it: each test copies it, and 96 MiB of a log would be most of that
        subprocess.run([*argv, LOG, "--datadir=" + top + "/data"], check=True, capture_output=True)
        TEMPLATE.append(top)
    return TEMPLATE[0] + "/data"


def forget():
    """Remove the template."""
    while TEMPLATE:
        shutil.rmtree(TEMPLATE.pop())


class HostServer:
    """top: a directory that other users can pass through."""

    def __init__(self, top):
        self.top = top
        self.data = os.path.join(top, "data")
        self.options = os.path.join(top, "client.cnf")
        self.socket = os.path.join(top, "s")
        self.record = {"program": os.path.realpath(which("mariadbd")), "datadir": self.data}
        # by these it is told where processes of other accounts can't be looked into
        self.record.update(uid=pwd.getpwnam("mysql").pw_uid, argv=["mariadbd", "--defaults-file=%s/my.cnf" % top])

    def make(self):
        """Make its directory and its configuration, and start it."""
        subprocess.run(["cp", "-a", "--reflink=auto", template(), self.data], check=True)
        run = os.path.join(self.top, "run")
        os.mkdir(run)
        shutil.chown(run, "mysql", "mysql")
        self.socket = os.path.join(run, "s")
        lines = [
            "[mysqld]",
            "datadir=" + self.data,
            "socket=" + self.socket,
            "pid-file=%s/pid" % run,
            "log-error=%s/log" % run,
            "skip-networking",
            "user=mysql",
        ]
        lines += ["innodb-buffer-pool-size=16M", LOG.lstrip("-"), "performance-schema=OFF", "loose-innodb-fast-shutdown=0"]
        # what a kill may lose is lost all the same; only a power failure would lose more, and none is played here
        lines += ["innodb-flush-method=nosync"]
        self._write("my.cnf", lines)
        self._write("client.cnf", ["[client]", "user=root", "socket=" + self.socket])
        self.start()
        return self

    def _write(self, name, lines):
        with open(os.path.join(self.top, name), "w") as handle:
            handle.write("\n".join(lines) + "\n")

    def start(self):
        """Start it and wait until it answers."""
        argv = ["mariadbd", "--defaults-file=%s/my.cnf" % self.top]
        subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        deadline = time.monotonic() + 60
        # a question costs more than a look
        while not os.path.exists(self.socket) or self.sql("SELECT 1", check=False) != "1\n":
            assert time.monotonic() < deadline, "see %s/run/log" % self.top
            time.sleep(0.05)

    def sql(self, text, database="", check=True):
        """What the server answers, as text."""
        argv = ["mariadb", "--defaults-file=" + self.options, "--batch", "--skip-column-names"] + ([database] if database else [])
        done = subprocess.run(argv, input=text.encode(), capture_output=True, check=False)
        if check and done.returncode:
            raise RuntimeError(done.stderr.decode())
        return done.stdout.decode()

    def pid(self):
        """Its process now, 0 when it does not run."""
        return _processes.running(self.record)

    def end(self, number=signal.SIGKILL):
        """End it, by default as a crash does."""
        pid = self.pid()
        if pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
            deadline = time.monotonic() + 60
            while self.pid() and time.monotonic() < deadline:
                time.sleep(0.02)

    def damage(self, *patterns, size=8192):
        """Overwrite files of the data directory; to be done while it is down."""
        for name in patterns:
            with open(os.path.join(self.data, name), "r+b") as handle:
                handle.write(b"\xde\xad" * (size // 2))


def dumps(document):
    """JSON that is the same each time."""
    return json.dumps(document, sort_keys=True)
