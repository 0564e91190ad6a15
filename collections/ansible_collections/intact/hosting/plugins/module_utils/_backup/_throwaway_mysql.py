# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""A throw-away MariaDB (or MySQL): dumps and accounts are loaded into it, and the baseline's own questions are put to it."""

from __future__ import annotations

import os
import re
import secrets

from ansible_collections.intact.hosting.plugins.module_utils._backup import mysql
from ansible_collections.intact.hosting.plugins.module_utils._backup._throwaway import Confined, Server, Unloadable
from ansible_collections.intact.hosting.plugins.module_utils._baseline import _mysql
from ansible_collections.intact.hosting.plugins.module_utils._command import which
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

# the drill's own account: a name that no host has, so that all accounts of the backup can be made beside it
ADMIN = "intact-drill"
ACCOUNTS = _mysql.NAME + " accounts"
OPTIONS = [
    "--skip-networking",
    "--skip-log-bin",
    "--event-scheduler=OFF",
    "--local-infile=0",
    # a table of a dump must not be put where its DATA DIRECTORY says
    "--skip-symbolic-links",
    "--skip-slave-start",
    "--performance-schema=OFF",
    "--max-allowed-packet=1G",
    # nothing here outlives the drill: what is lost in a crash is loaded again
    "--innodb-flush-log-at-trx-commit=0",
    "--skip-innodb-doublewrite",
    "--innodb-buffer-pool-size=256M",
    "--innodb-fast-shutdown=2",
    # tables that an older version made are taken as they were
    "--loose-innodb-strict-mode=OFF",
    "--loose-character-set-collations=utf8mb3=utf8mb3_general_ci,utf8mb4=utf8mb4_general_ci",
]


class MariaDB(Server):
    """A private server; directory is made and removed."""

    users = ("mysql", "nobody")

    def _start(self):
        server = which("mariadbd") or which("mysqld")
        self._program = next((c for c in mysql.CLIENTS if which(c)), None)
        if not server or not self._program:
            raise IntactError("no MariaDB or MySQL server with its client is installed on this host: dumps can't be drilled here")
        self._data, self._empty = os.path.join(self.directory, "data"), self._directory("nowhere")
        self.socket = os.path.join(self.sockets, "s")
        install = which("mariadb-install-db") or which("mysql_install_db")
        if install:
            words = [install, "--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"]
            self._prepare(words + ["--datadir=" + self._data])
        else:
            self._prepare([server, "--no-defaults", "--initialize-insecure", "--datadir=" + self._data])
        password = secrets.token_urlsafe(24)
        self._login = self._file("client.cnf", "[client]\nuser=%s\npassword=%s\nsocket=%s\n" % (ADMIN, password, self.socket))
        statements = [
            "CREATE USER '%s'@'localhost' IDENTIFIED BY '%s';" % (ADMIN, password),
            "GRANT ALL PRIVILEGES ON *.* TO '%s'@'localhost' WITH GRANT OPTION;" % ADMIN,
            # only who has this right can give it; the server itself refuses to give it without a person
            "INSERT INTO mysql.proxies_priv (Host, User, Proxied_host, Proxied_user, With_grant, Grantor) VALUES ('localhost', '%s', '', '', 1, '');" % ADMIN,
        ]
        first = self._file("first.sql", "\n".join(statements) + "\n")
        argv = [server, "--no-defaults", "--datadir=" + self._data, "--socket=" + self.socket, "--pid-file=" + os.path.join(self.directory, "pid")]
        argv += ["--tmpdir=" + self.directory, "--secure-file-priv=" + self._empty, "--init-file=" + first]
        self._spawn(argv + OPTIONS, lambda: os.path.exists(self.socket) and self._sql("SELECT 1;").rc == 0)
        os.unlink(first)
        self._empty_accounts()

    def _argv(self, *words):
        return [self._program, "--defaults-file=" + self._login, "--protocol=socket", "--socket=" + self.socket, "--batch", "--skip-reconnect"] + list(words)

    def _sql(self, text, *words):
        script = text.encode("utf-8", "surrogateescape")
        return self._client(self._argv("--default-character-set=utf8mb4", "--skip-column-names", *words), stdin=script, timeout=600)[0]

    def _empty_accounts(self):
        # those that a fresh server has would be taken for the backup's
        people = self._sql("SELECT HEX(User), HEX(Host) FROM mysql.user WHERE User NOT LIKE '%%.sys' AND User NOT LIKE 'mysql.%%' AND User <> '%s';" % ADMIN)
        names = [[_mysql.unhex(value) for value in line.split("\t")] for line in people.text.splitlines()]
        drop = ["DROP USER %s@%s;" % (_mysql.quote(user), _mysql.quote(host)) for user, host in names if user != "PUBLIC"]
        result = self._sql("\n".join(drop + ["FLUSH PRIVILEGES;"]))
        if result.rc:
            raise IntactError("the throw-away server kept an account: %s" % result.error)

    def prove(self):
        """Raise unless the server that answers has this very directory and socket and no network."""
        told = self._sql("SELECT @@datadir, @@socket, @@skip_networking, @@pid_file;").text.strip().split("\t")
        data, directory = os.path.realpath(self._data), os.path.realpath(self.directory)
        if (
            len(told) != 4
            or os.path.realpath(told[0]) != data
            or os.path.realpath(told[1]) != os.path.realpath(self.socket)
            or told[2] != "1"
            or os.path.dirname(os.path.realpath(told[3])) != directory
        ):
            raise IntactError("the server at %s is not the drill's own: it says %s" % (self.socket, told))

    def system(self):
        """A System for the baseline's questions, which reach this server and no other."""

        def answer(argv, stdin):
            # the question's own options, without those that say which server and who asks
            words = [w for w in argv[1:] if not w.startswith(("--defaults", "--protocol", "--socket", "--user", "--host", "--port"))]
            return self._client(self._argv(*words), stdin=stdin)[0]

        return Confined(answer, {"mariadb", "mysql", "mariadbd", "mysqld"} - ({"mariadb"} if self._program != "mariadb" else set()), self.machine_id)

    def load(self, name, stream, taken=None):
        """Load a dump (a binary stream); sentences with which the server refused a part of it. Raises Unloadable when it is no whole dump.

        taken: seconds since 1970; the load believes to be then, so that an event of that day is not already over.
        """
        self.prove()
        # Binary mode: no word in a customer's data is a command to the client. Forced: a view that was broken on its host, or wants a
        # database or an account that comes later, must not hide what comes after it; what is missing at the end is told by the comparison.
        words = ["--binary-mode", "--force", "--default-character-set=utf8mb4", "--max-allowed-packet=1G"]
        words += ["--init-command=SET timestamp=%d" % taken] if taken else []
        result, tail = self._client(self._argv(*words), stream=stream)
        if not any(line.startswith(mysql.ENDING) for line in tail.split(b"\n")[-8:]):
            raise Unloadable("%s: the dump is truncated: its last line is missing" % name, truncated=True)
        wrong = [line for line in result.error.splitlines() if line.startswith("ERROR")]
        if result.rc and not wrong:
            raise Unloadable("%s: %s" % (name, _words(result)))
        return ["%s: %s" % (name, _quiet(line)) for line in wrong]

    def section(self, name, rules=()):
        """Items of a loaded database, or of the accounts. rules: the dump's own (see Dump.rules), from the manifest."""
        self.prove()
        if name != ACCOUNTS:
            return _mysql.database_items(self.system(), self._program, mysql.schema(name), list(rules))
        items = _mysql.account_items(self.system(), self._program)
        return {subject: item for subject, item in items.items() if subject != "%s user %s@localhost" % (_mysql.NAME, ADMIN)}

    def drop(self, name):
        """Make room: remove a database."""
        self.prove()
        result = self._sql("DROP DATABASE IF EXISTS %s;" % _mysql.quote(mysql.schema(name)))
        if result.rc:
            raise IntactError("%s could not be dropped from the throw-away server: %s" % (name, _words(result)))


def _words(result):
    lines = [line for line in result.error.splitlines() if line.startswith("ERROR")] or result.error.splitlines()[-1:]
    return _quiet(lines[0]) if lines else "the client ended with status %d" % result.rc


def _quiet(line):
    # the text near an error is a customer's data
    return re.sub(r"near '.*", "near (a piece of the dump)", line)
