# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""A disk's MySQL or MariaDB opened cold: on a private copy or an overlay, without a network and without accounts. Not one byte of the disk changes.

What a crash left undone is done on the copy. A server of another make may refuse that ("upgrade after a crash is not supported"): then the disk's
own program does it, with the disk as its /. Throwing its logs away instead would lose what its clients were told is stored.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import signal
import subprocess

from ansible_collections.intact.hosting.plugins.module_utils._backup import mysql
from ansible_collections.intact.hosting.plugins.module_utils._backup._throwaway import Confined, Server
from ansible_collections.intact.hosting.plugins.module_utils._cold import _mysql_copies, _mysql_options, _private_root
from ansible_collections.intact.hosting.plugins.module_utils._command import which
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

OPTIONS = [
    "--skip-networking",
    "--skip-grant-tables",
    "--event-scheduler=OFF",
    "--local-infile=0",
    "--skip-symbolic-links",
    "--skip-slave-start",
    "--loose-performance-schema=OFF",
    "--loose-innodb-buffer-pool-load-at-startup=OFF",
    "--loose-innodb-buffer-pool-dump-at-shutdown=OFF",
    "--skip-log-error",
]
# what versions from 4.1 on know
OLD = ["--skip-networking", "--skip-grant-tables"]
HOWS = ("auto", "copy", "overlay", "disk")
# what may cost data that is still there: only by an explicit word each
DANGEROUS = ("innodb_force_recovery=4", "innodb_force_recovery=5", "innodb_force_recovery=6", "delete_ib_logfiles")
FOREIGN = re.compile(
    r"after a crash is not supported|[Uu]nsupported redo log format|redo log was created with|created with a later|not supported by this version|[Dd]owngrade"
)
HALF_DONE = re.compile(r"prepared transaction")
# the recovery of a large log
PATIENCE = 7200
THERE = "/intact-rescue"
# a name that no host has
ADMIN = "intact-cold"


class Cold(_mysql_copies.Copies, Server):
    """view: a Rooted on the disk. found: of _mysql_options.locate(). directory: is made, and removed at the end. how: one of HOWS. dangerous: of DANGEROUS.
    options: more arguments for this host's server.

    said: sentences about what was done, for the export's document. forced: the level of innodb_force_recovery that was needed. data: its data directory
    as it sees it. by_disk: whether the program that answers is the disk's own.
    """

    users = ("mysql", "nobody")

    def __init__(self, view, found, directory, how="auto", tell=lambda _line: None, dangerous=(), options=()):
        self._view, self._found, self._how, self._tell = view, found, how, tell
        self.said, self.forced, self.data, self.by_disk = [], 0, "", False
        self._levels = [0, 1, 2, 3] + [level for level in (4, 5, 6) if "innodb_force_recovery=%d" % level in dangerous]
        self._options = list(options)
        self._login, self._without_logs, self._last = "", "delete_ib_logfiles" in dangerous, None
        named = _mysql_options.outside(found)
        if named:
            raise IntactError("the disk's server had %s outside of its data directory: copy them by hand" % ", ".join(named))
        self._source = view.place(found["datadir"])
        super().__init__(directory)

    def _start(self):
        self._program = which("mariadbd") or which("mysqld")
        self._client_program = next((c for c in mysql.CLIENTS if which(c)), None)
        if not self._client_program or not (self._program or self._found["programs"]):
            raise IntactError("no MariaDB or MySQL with its client is installed on this host: a disk's database can't be opened here")
        self._run_place = os.path.join(self.sockets, "run")
        os.mkdir(self._run_place, 0o711)
        os.chmod(self._run_place, 0o711)
        self.socket = os.path.join(self._run_place, "s")
        if self._how == "disk" or not self._program:
            self._by_disk("it was asked for" if self._program else "this host has no server of its own")
            return
        self._ascend(self._levels)

    def _ascend(self, levels):
        for level in levels:
            try:
                self._by_host(level)
                self.forced = level
                if level:
                    self.said.append("its tables are damaged: it was opened with innodb_force_recovery=%d, and what could not be read is not there" % level)
                return
            except IntactError as exc:
                words = self._log() + str(exc)
                if FOREIGN.search(words):
                    if self._how != "auto":
                        raise
                    self._by_disk("this host's server refuses what it left: %s" % _line(words, FOREIGN))
                    return
                if level == levels[-1]:
                    if self._without_logs:
                        self._by_host(0, without_logs=True)
                        return
                    raise IntactError("the disk's database can't be opened, not even what is whole of it: %s" % exc) from exc
                self._tell("it does not start: %s" % exc)
                first = first_words(words) if level == 0 else ""
                self.said += ["it did not start at once: %s" % first] if first else []

    def reopen(self, level):
        """Once more on a fresh copy or overlay, with this level of innodb_force_recovery at least."""
        if self.by_disk:
            raise IntactError("it is read by the disk's own program, which is not forced to anything")
        self._without_logs = False
        self._ascend([known for known in self._levels if known >= level])

    def again(self):
        """Start the server once more on what it has, after it died or let privileges in."""
        self._run(*self._last[0], **self._last[1])

    def admit(self):
        """Start it once more with its tables of privileges: without them it tells nothing of accounts and events. We have an account of our own then."""
        (argv, person), more = self._last
        password, path = secrets.token_urlsafe(24), os.path.join(self._run_place, "first.sql")
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "w") as handle:
            handle.write("CREATE USER '%s'@'localhost' IDENTIFIED BY '%s';\n" % (ADMIN, password))
            handle.write("GRANT ALL PRIVILEGES ON *.* TO '%s'@'localhost' WITH GRANT OPTION;\n" % ADMIN)
        os.chown(path, *(person or (self._user.pw_uid, self._user.pw_gid)))
        self._login = self._file("admin.cnf", "[client]\nuser=%s\npassword=%s\n" % (ADMIN, password))
        words = [word for word in argv if word != "--skip-grant-tables"]
        self._run([*words, "--init-file=" + (THERE + "/first.sql" if self.by_disk else path)], person, **more)
        os.unlink(path)

    def noted_version(self):
        """The version that last brought the system tables to its own, as the disk notes it; "" without a note."""
        for name in ("mariadb_upgrade_info", "mysql_upgrade_info"):
            with contextlib.suppress(OSError), open(os.path.join(self._source, name), "rb") as handle:
                return handle.read(100).decode("ascii", "replace").strip("\0 \n")
        return ""

    def records(self, *names):
        """Rows that a MyISAM table had by its own count on the disk; None when that can't be told. names: of the database and of the table."""
        words = [_mysql_options.file_name(name) for name in names]
        return None if None in words else _mysql_options.records(os.path.join(self._source, *words) + ".MYI")

    def _by_host(self, level, without_logs=False):
        """This host's server, on a fresh copy or overlay."""
        self._login = ""
        data, places, more = self._fresh()
        self.data = data
        if without_logs:
            self._drop_logs(data, places, more)
        argv = [self._program, "--no-defaults"] + _mysql_options.words(self._found, data, places)
        argv += ["--socket=" + self.socket, "--pid-file=" + os.path.join(self.directory, "pid"), "--tmpdir=" + self._directory("tmp")] + OPTIONS
        argv += self._options + (["--innodb-force-recovery=%d" % level] if level else [])
        try:
            self._run(argv, **more)
        except IntactError:
            if not HALF_DONE.search(self._log()):
                raise
            # clients may have been told that these are stored
            self.said.append("transactions that it had prepared and not finished were committed")
            with contextlib.suppress(IntactError):
                self._run(argv + ["--tc-heuristic-recover=COMMIT"], **more)
            self._end()
            self._run(argv, **more)

    def _by_disk(self, why):
        """The disk's own program does what a crash left undone, with the disk as its /; then this host's server reads on, or else that one."""
        # by their mode: of a disk that is mounted noexec root itself may run nothing, and through the overlay it may
        programs = [path for path in self._found["programs"] if os.stat(self._view.place(path)).st_mode & 0o111]
        if not programs:
            raise IntactError("%s; and the disk holds no server of its own that could read it" % why)
        self._wipe()
        root = os.fsdecode(self._view.root)
        state = os.stat(self._source)
        person = (state.st_uid or 65534, state.st_gid or 65534)
        overlay = _private_root.Overlay(root, self._directory("overlay"))
        os.chmod(os.path.dirname(overlay.upper), 0o711)
        data = self._view.realpath(self._found["datadir"])
        places = [data] + [self._view.realpath(place) for place in self._found["places"].values()]
        self.said.append("%s was started with the disk as its /: %s" % (programs[0], why))
        self._tell(self.said[-1])
        own = [programs[0], "--no-defaults"] + _mysql_options.words(self._found, data, self._found["places"]) + OLD
        own += ["--socket=%s/s" % THERE, "--pid-file=%s/pid" % THERE, "--tmpdir=" + THERE]
        alone = _private_root.enter(overlay, owner=person, places=places, binds=[(self._run_place, THERE)], user=person)
        self.data, self.by_disk = data, True
        self._run(own + ["--loose-innodb-fast-shutdown=0"], person=person, bare=True, preexec_fn=alone)
        if not self._program:
            return
        self._end(PATIENCE)
        merged = {name: overlay.merged + self._view.realpath(place) for name, place in self._found["places"].items()}
        argv = [self._program, "--no-defaults"] + _mysql_options.words(self._found, overlay.merged + data, merged)
        argv += ["--socket=" + self.socket, "--pid-file=" + os.path.join(self.directory, "pid"), "--tmpdir=" + self._directory("tmp")] + OPTIONS
        enter = _private_root.enter(overlay, owner=(self._user.pw_uid, self._user.pw_gid), places=places)
        try:
            self.data, self.by_disk = overlay.merged + data, False
            self._run(argv, preexec_fn=enter)
        except IntactError as exc:
            self.data, self.by_disk = data, True
            self.said.append("it was also read by that program, as this host's does not: %s" % exc)
            self._end()
            self._run(own, person=person, bare=True, preexec_fn=alone)

    def _run(self, argv, person=None, **more):
        self._end()
        self._last = ((argv, person), more)
        os.chown(self._run_place, *(person or (self._user.pw_uid, self._user.pw_gid)))
        for path in (os.path.join(self.directory, "server.log"), self.socket):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        try:
            self._spawn(argv, lambda: os.path.exists(self.socket) and self._sql("SELECT 1;").rc == 0, seconds=PATIENCE, **more)
        except subprocess.SubprocessError as exc:
            raise IntactError("the disk can't be looked through at by an overlay on this host: open it on a copy") from exc

    def _end(self, seconds=60):
        super()._end(seconds)
        self._process = None

    def _stop_signal(self):
        return signal.SIGTERM

    def _wipe(self):
        self._end()
        for name in os.listdir(self.directory):
            path = os.path.join(self.directory, name)
            if os.path.isdir(path) and path not in (self.sockets, self._run_place):
                shutil.rmtree(path)

    def _log(self):
        with contextlib.suppress(FileNotFoundError), open(os.path.join(self.directory, "server.log"), "rb") as handle:
            return handle.read().decode("utf-8", "backslashreplace")
        return ""

    def _argv(self, *words):
        # clients from MariaDB 11.4 on refuse servers without TLS; nobody else is at our socket
        reached = ["--protocol=socket", "--socket=" + self.socket, "--loose-skip-ssl"]
        return [self._client_program, "--defaults-file=" + self._login if self._login else "--no-defaults", *reached, "--batch", "--skip-reconnect", *words]

    def _sql(self, text, *words):
        script = text.encode("utf-8", "surrogateescape")
        return self._client(self._argv("--skip-column-names", *words), stdin=script, timeout=600)[0]

    def prove(self):
        """Raise unless the server that answers is at our socket, on our copy, and has no network."""
        told = dict(line.split("\t", 1) for line in self._sql("SHOW VARIABLES;").text.splitlines() if "\t" in line)
        here = self.socket if told.get("socket") == self.socket else THERE + "/s"
        if told.get("skip_networking") != "ON" or told.get("socket") != here:
            raise IntactError("the server at %s is not the one that was started on the disk's copy" % self.socket)

    def system(self):
        """A System whose client's questions reach this server and no other."""

        def answer(argv, stdin):
            words = [w for w in argv[1:] if not w.startswith(("--defaults", "--protocol", "--socket", "--loose-skip-ssl", "--user", "--host", "--port"))]
            return self._client(self._argv(*words), stdin=stdin)[0]

        return Confined(answer, {"mariadb", "mysql", "mariadbd", "mysqld"})


def first_words(log):
    """The first complaint in a server's log."""
    return next((line.split("[ERROR]", 1)[1].strip()[:300] for line in log.splitlines() if "[ERROR]" in line), "")


def _line(log, pattern):
    return next((line.split("]", 1)[-1].strip()[:300] for line in log.splitlines() if pattern.search(line)), "")
