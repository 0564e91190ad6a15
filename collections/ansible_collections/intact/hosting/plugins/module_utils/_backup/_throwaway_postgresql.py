# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""A throw-away PostgreSQL: dumps and globals are loaded into it, and the baseline's own questions are put to it."""

from __future__ import annotations

import glob
import io
import os
import re
import signal

from ansible_collections.intact.hosting.plugins.module_utils._backup import postgresql
from ansible_collections.intact.hosting.plugins.module_utils._backup._throwaway import Confined, Server, Unloadable
from ansible_collections.intact.hosting.plugins.module_utils._baseline import _postgresql
from ansible_collections.intact.hosting.plugins.module_utils._command import Result
from ansible_collections.intact.hosting.plugins.module_utils._files import unescape
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

# a part of the socket's name only
PORT = "5432"
ADMIN = "postgres"
SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    # nothing here outlives the drill
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "4GB",
    "autovacuum": "off",
    "maintenance_work_mem": "128MB",
    "jit": "off",
    "logging_collector": "off",
    # what is loaded may not preload anything
    "shared_preload_libraries": "",
}
_TABLESPACE = re.compile(rb"^(CREATE TABLESPACE .* LOCATION )'(?:[^']|'')*';$")


def newest():
    """The directory of the newest installed version's programs, or None."""
    found = [(int(path.split("/")[4]), path) for path in glob.glob("/usr/lib/postgresql/*/bin") if path.split("/")[4].isdigit()]
    return max(found)[1] if found else None


class PostgreSQL(Server):
    """A private cluster of the newest installed version; directory is made and removed."""

    users = ("postgres", "nobody")

    def _start(self):
        self._programs = newest()
        if not self._programs:
            raise IntactError("no PostgreSQL server is installed on this host: dumps can't be drilled here")
        self._data = os.path.join(self.directory, "data")
        words = ["--username=" + ADMIN, "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync"]
        self._prepare([os.path.join(self._programs, "initdb"), "-D", self._data] + words)
        settings = dict(SETTINGS, unix_socket_directories=self.sockets, port=PORT)
        argv = [os.path.join(self._programs, "postgres"), "-D", self._data]
        for key, value in sorted(settings.items()):
            argv += ["-c", "%s=%s" % (key, value)]
        self._spawn(argv, lambda: self._sql("template1", "SELECT 1;").rc == 0)

    def _stop_signal(self):
        return signal.SIGQUIT

    def _argv(self, *words):
        return [os.path.join(self._programs, "psql"), "-X", "-q", "-A", "-t", "-h", self.sockets, "-p", PORT, "-U", ADMIN] + list(words)

    def _sql(self, database, text):
        return self._client(self._argv("-v", "ON_ERROR_STOP=1", "-d", postgresql.connection(database)), stdin=text.encode("utf-8", "surrogateescape"))[0]

    def prove(self):
        """Raise unless the server that answers has this very directory and socket and no network."""
        settings = ("data_directory", "unix_socket_directories", "listen_addresses")
        told = self._sql("template1", "\n".join("SHOW %s;" % name for name in settings)).text.split("\n")
        if len(told) < 3 or os.path.realpath(told[0]) != os.path.realpath(self._data) or told[1] != self.sockets or told[2]:
            raise IntactError("the server at %s is not the drill's own: it says %s" % (self.sockets, told))

    def system(self):
        """A System for the baseline's questions, which reach this server and no other."""

        def answer(argv, stdin):
            if "psql" not in argv:
                return Result(tuple(argv), 1, b"", b"it is not asked in a drill")
            words = argv[argv.index("psql") + 1 :]
            place = words.index("-p")
            return self._client(self._argv(*(words[:place] + words[place + 2 :])), stdin=stdin)[0]

        return Confined(answer, {"psql", "pg_lsclusters", "postgres"}, self.machine_id)

    def load(self, name, stream, taken=None):
        """Load a dump (a binary stream); sentences with which the server refused a part of it. Raises Unloadable when it is no whole dump."""
        self.prove()
        ending, database = postgresql.ENDING, "template1"
        if name.endswith(" accounts"):
            ending, stream = postgresql.ACCOUNTS_ENDING, io.BytesIO(self._confined(stream.read()))
        else:
            self.drop(name)
            database = "postgres" if _own(name) == "postgres" else database
        result, tail = self._client(self._argv("-v", "ON_ERROR_STOP=0", "-d", postgresql.connection(database)), stream=stream)
        if not any(line.startswith(ending) for line in tail.split(b"\n")[-8:]):
            raise Unloadable("%s: the dump is truncated: its last line is missing" % name, truncated=True)
        wrong = [line for line in result.error.splitlines() if re.search(r"\b(ERROR|FATAL|error):", line)]
        # the server's own superuser is there, and roles and tablespaces are when they are loaded once more
        wrong = [line for line in wrong if not re.search(r'\b(role|tablespace) ".*" already exists$', line)]
        if result.rc and not wrong:
            raise Unloadable("%s: psql ended with status %d: %s" % (name, result.rc, result.error[-300:]))
        return ["%s: %s" % (name, line.strip()) for line in wrong]

    def _confined(self, text):
        """Statements whose tablespaces are in this server's own directory, wherever they were."""
        out = []
        for number, line in enumerate(text.split(b"\n")):
            match = _TABLESPACE.match(line)
            if match:
                line = match.group(1) + b"'" + os.fsencode(self._directory("tablespace-%d" % number)).replace(b"'", b"''") + b"';"
            out.append(line)
        return b"\n".join(out)

    def section(self, name, rules=()):
        """Items of a loaded database, or of the roles. rules: the dump's own (see Dump.rules), from the manifest."""
        self.prove()
        cluster = {"version": "drill", "name": "main", "port": PORT, "status": "online"}
        if name.endswith(" accounts"):
            return postgresql.account_items(self.system(), cluster, name.rpartition(" ")[0])
        return postgresql.items_of(self.system(), cluster, name.partition(":")[0], _own(name), rules)

    def drop(self, name):
        """Make room: remove a database (postgres becomes empty)."""
        self.prove()
        quoted = _postgresql.quote(_own(name))
        again = "CREATE DATABASE %s;" % quoted if _own(name) == "postgres" else ""
        result = self._sql("template1", "DROP DATABASE IF EXISTS %s;\n%s" % (quoted, again))
        if result.rc:
            raise IntactError("%s could not be dropped from the throw-away server: %s" % (name, result.error))


def _own(name):
    return unescape(name.partition(":")[2]).decode("utf-8", "surrogateescape")
