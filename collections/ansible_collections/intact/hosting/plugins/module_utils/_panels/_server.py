# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""The host's MariaDB or MySQL under a restore: who it is, whether it answers, started again when it died, its own tables put back when they are damaged."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

from ansible_collections.intact.hosting.plugins.module_utils._backup import _dump
from ansible_collections.intact.hosting.plugins.module_utils._baseline import _mysql
from ansible_collections.intact.hosting.plugins.module_utils._command import run
from ansible_collections.intact.hosting.plugins.module_utils._files import read_if_exists, unescape
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import _processes

# set in the environment of all that an import starts; no server may inherit it
MARK = "INTACT_PANEL_RESTORE"
OWN = "mysql"
PRIVILEGES = "global_priv user db tables_priv columns_priv procs_priv proxies_priv roles_mapping role_edges default_roles global_grants".split()
# a missing or torn tablespace is passed over; higher levels could damage what is whole
FORCED = ([], ["--innodb-force-recovery=1"])
# the client's own numbers: nobody listens, or who listened went
DOWN = re.compile(r"ERROR (2002|2003|2006|2013|1053|1927)\b|no answer")
# the recovery of a large server's logs
PATIENCE = 1800
QUIT = 120


class Server:
    """view: a System whose option mysql_defaults_file is the login. directory: for what a server says that we start."""

    def __init__(self, view, directory, tell=lambda _line: None):
        self.view, self.directory, self._tell = view, directory, tell

    def present(self):
        """Whether the host has a server of this kind at all."""
        return _mysql.program(self.view) is not None

    def ask(self, statements):
        """Rows; raises when the server did not answer them all."""
        rows, said = _mysql.ask(self.view, _mysql.program(self.view), list(statements) + ["SELECT 'end';"])
        if ["end"] not in rows or any(line.startswith("ERROR") for line in said.splitlines()):
            raise IntactError("the database server did not answer: %s" % _last(said))
        return rows[:-1]

    def state(self):
        """(answers, refuses or down, its words): a server that runs may refuse us when its accounts are damaged."""
        if not self.present():
            return "down", "there is none"
        try:
            self.ask(["SELECT 'is';"])
        except IntactError as exc:
            return ("down" if DOWN.search(str(exc)) else "refuses"), str(exc)
        return "answers", ""

    def schemas(self):
        """Names of all databases that are not the server's own."""
        rows = self.ask(["SELECT HEX(SCHEMA_NAME) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME %s;" % _mysql.CUSTOMERS])
        return sorted(_mysql.unhex(row[0]) for row in rows)

    def identify(self):
        """How it runs, so that it can be started like that again: {unit, program, argv, uid, gid, datadir, log, version}."""
        row = self.ask(["SELECT HEX(@@datadir), HEX(@@socket), HEX(IFNULL(@@log_error, '')), VERSION();"])[0]
        data, place, log = (_mysql.unhex(value) for value in row[:3])
        pid = _processes.listener(os.path.join(data, place))
        owner = os.stat("/proc/%d" % pid)
        return {
            "unit": _processes.unit(pid) if self.view.which("systemctl") else "",
            "program": _processes.program(pid),
            "argv": _processes.arguments(pid),
            "uid": owner.st_uid,
            "gid": owner.st_gid,
            "datadir": data,
            "log": os.path.join(data, log) if log else "",
            "version": row[3],
        }

    def ensure(self, record):
        """Let it answer: True when it had to be started for that. Raises when it does not start; details.refuses when it runs and refuses us."""
        state, said = self.state()
        if state == "answers":
            return False
        if state == "refuses":
            raise IntactError(said, refuses=True)
        self._tell("the database server does not answer: it is started again")
        if record["unit"]:
            self.view.run(["systemctl", "reset-failed", "--", record["unit"]], check=False)
            done = self.view.run(["systemctl", "start", "--", record["unit"]], timeout=PATIENCE, check=False)
            if done.rc == 0 and self._wait():
                return True
            raise IntactError("%s does not start: journalctl -u %s" % (record["unit"], record["unit"]))
        self._gone(record)
        log = os.path.join(self.directory, "server.log")
        process = self._spawn(record, [], log)
        if self._wait(process):
            return True
        raise IntactError("the database server does not start: %s" % _words(log, record["log"]))

    def own_damaged(self):
        """Sentences about the server's own tables that are damaged."""
        names = self.ask(
            [
                "SELECT HEX(TABLE_NAME) FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'mysql' AND TABLE_TYPE = 'BASE TABLE'"
                " AND (ENGINE IS NULL OR ENGINE <> 'CSV');"
            ]
        )
        return self.check([(OWN, _mysql.unhex(row[0])) for row in names])

    def privileges(self):
        """Names of the tables that hold accounts and rights."""
        names = ", ".join("'%s'" % name for name in PRIVILEGES)
        rows = self.ask(
            ["SELECT HEX(TABLE_NAME) FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'mysql' AND TABLE_TYPE = 'BASE TABLE' AND TABLE_NAME IN (%s);" % names]
        )
        return sorted(_mysql.unhex(row[0]) for row in rows)

    def check(self, tables):
        """Sentences about damaged ones of these (schema, table)."""
        if not tables:
            return []
        script = ["CHECK TABLE %s.%s;" % (_mysql.quote(schema), _mysql.quote(table)) for schema, table in tables]
        rows, said = _mysql.ask(self.view, _mysql.program(self.view), script + ["SELECT 'end';"])
        wrong = ["%s: %s" % (row[0], row[3]) for row in rows if len(row) == 4 and row[2].lower() == "error"]
        if ["end"] not in rows:
            wrong.append("the database server ended while its tables were checked: %s" % _last(said))
        return wrong

    def tables(self, schema):
        """[(schema, table)] of a database."""
        condition = "= CONVERT(0x%s USING utf8mb4)" % schema.encode("utf-8", "surrogateescape").hex()
        rows = self.ask(["SELECT HEX(TABLE_NAME) FROM information_schema.TABLES WHERE TABLE_SCHEMA %s AND TABLE_TYPE = 'BASE TABLE';" % condition])
        return [(schema, _mysql.unhex(row[0])) for row in rows]

    def mend(self, record, dump):
        """Put the server's own tables back from a dump, in a private start without accounts; then start it as it ran. Raises when it stays down."""
        self._tell("the database server's own tables are damaged: they are put back from the checkpoint")
        if record["unit"]:
            self.view.run(["systemctl", "stop", "--", record["unit"]], timeout=PATIENCE, check=False)
        self._gone(record, end=True)
        self._keep(record)
        sockets = tempfile.mkdtemp(prefix="intact-panel-")
        try:
            if os.getuid() == 0:
                os.chown(sockets, record["uid"], record["gid"])
            self._privately(record, dump, os.path.join(sockets, "s"))
        finally:
            shutil.rmtree(sockets, ignore_errors=True)
        return self.ensure(record)

    def _privately(self, record, dump, place):
        log, said = os.path.join(self.directory, "server-private.log"), ""
        client = [_mysql.program(self.view), "--no-defaults", "--protocol=socket", "--socket=" + place, "--binary-mode", "--force"]
        for forced in FORCED:
            process = self._spawn(record, [*_processes.PRIVATE, "--socket=" + place, "--pid-file=" + place + ".pid", *forced], log)
            try:
                if not self._wait(process, client):
                    said = _words(log)
                    continue
                # dropping a damaged table fails and takes its files away: the second time it is made anew
                for _time in range(2):
                    with open(dump, "rb") as script:
                        done = subprocess.run(client, stdin=script, capture_output=True, env=_environment(), check=False)
                said = done.stderr.decode("utf-8", "backslashreplace")
                if not any(line.startswith("ERROR") for line in said.splitlines()):
                    return
                said = _last(said)
            finally:
                _end(process)
        raise IntactError("the database server's own tables could not be put back: %s" % said)

    def _keep(self, record):
        """What is damaged is kept for a person to look at, as far as it can be read."""
        kept = os.path.join(self.directory, "damaged-" + OWN)
        if not os.path.lexists(kept):
            run(["cp", "-a", "--", os.path.join(record["datadir"], OWN), kept], check=False, timeout=PATIENCE)

    def _spawn(self, record, more, log):
        from_root = os.getuid() == 0 and record["uid"]
        words = ["setpriv", "--reuid", str(record["uid"]), "--regid", str(record["gid"]), "--init-groups", "--"] if from_root else []
        with open(log, "ab") as handle:
            os.chmod(log, 0o600)
            return subprocess.Popen(  # pylint: disable=consider-using-with
                [os.fsencode(word) for word in words + [record["program"]] + _argv(record) + more],
                stdin=subprocess.DEVNULL,
                stdout=handle,
                stderr=handle,
                cwd=record["datadir"],
                env=_environment(),
                start_new_session=True,
            )

    def _wait(self, process=None, client=None):
        """Whether it answers us (or this client) before the process ends that is to become it."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if client:
                up = subprocess.run(client, input=b"SELECT 1;", capture_output=True, env=_environment(), check=False).returncode == 0
            else:
                up = self.state()[0] != "down"
            if up or (process and process.poll() is not None):
                return up
            time.sleep(0.1)
        return False

    @staticmethod
    def _gone(record, end=False):
        """Wait until no process is on the data directory: two would destroy it. end: it is asked, then made to go."""
        for number, seconds in ((signal.SIGTERM if end else None, QUIT), (signal.SIGKILL if end else None, QUIT)):
            deadline = time.monotonic() + seconds
            pid = _processes.running(record)
            if pid and number:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            while _processes.running(record) and time.monotonic() < deadline:
                time.sleep(0.1)
            if not _processes.running(record):
                return
        raise IntactError("the database server (process %d) runs and does not answer: end it, then run this again" % _processes.running(record))


def _argv(record):
    return [os.fsdecode(unescape(word)) for word in record["argv"][1:]]


def _environment():
    return {name: value for name, value in _dump.environment().items() if name != MARK}


def _end(process):
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(QUIT)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()


def _words(*logs):
    """What went wrong by the ends of these logs."""
    lines = []
    for log in logs:
        lines += (read_if_exists(log) or b"")[-20000:].decode("utf-8", "backslashreplace").splitlines() if log else []
    wrong = [line for line in lines if "ERROR" in line]
    return " | ".join((wrong or lines)[-4:]) or "it said nothing"


def _last(said):
    lines = [line for line in said.splitlines() if line.startswith("ERROR")] or said.splitlines()
    return lines[-1] if lines else "no answer"
