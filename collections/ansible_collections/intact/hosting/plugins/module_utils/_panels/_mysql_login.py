# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""A panel's MariaDB or MySQL while it runs: questions, dumps and loading, with the panel's own login, which no argument of a process tells."""

from __future__ import annotations

import os
import re

from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import _export, _inventory

CLIENTS, DUMPERS = ("mariadb", "mysql"), ("mariadb-dump", "mysqldump")
TABLES = "SELECT HEX(TABLE_NAME) FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s AND TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED')"
COLUMNS = "SELECT HEX(TABLE_NAME), HEX(COLUMN_NAME) FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = %s"
AT_ONCE = 100


class Login:
    """Who asks: user and password, which go by the environment of the one process that needs them; file: an option file of the panel instead."""

    def __init__(self, user="", password="", file=""):
        self.user, self.file = user, file
        self._password = password

    def words(self):
        """Arguments; an option file has to be the first."""
        # without other files: a password for somebody else may stand there
        first = ["--defaults-file=%s" % self.file] if self.file else ["--no-defaults"] if self._password else []
        return first + (["--user=%s" % self.user] if self.user and not self.file else [])

    def environment(self):
        """The password, and where root's own option file lies for services that are started without a home."""
        out = {} if os.environ.get("HOME") else {"HOME": "/root"}
        return dict(out, MYSQL_PWD=self._password) if self._password and not self.file else out


def _program(system, names):
    found = next((name for name in names if system.which(name)), None)
    if not found:
        raise IntactError("no %s is installed on this host" % " or ".join(names))
    return found


def asking(system, login):
    """A function query(database, sql) -> [tuple of text] that asks the running server; IntactError in the server's words."""

    def query(database, sql):
        argv = [_program(system, CLIENTS)] + login.words() + ["--default-character-set=utf8mb4", "--batch", "--skip-column-names"]
        argv += [database] if database else []
        done = system.run(argv, timeout=3600, stdin=(sql + ";\n").encode("utf-8", "surrogateescape"), env=login.environment(), check=False)
        if done.rc:
            raise IntactError("the database server says: %s" % ((_export.redacted(done.error.splitlines()) or ["status %d" % done.rc])[-1]))
        return [tuple(line.split("\t")) for line in done.text.split("\n") if line]

    return query


def refused(panel, query):
    """[panel.database.refused] when the server does not answer."""
    try:
        query("", "SELECT 1")
    except IntactError as exc:
        remedy = "start the server, or correct the panel's login; what is in it can't be exported now"
        return [_inventory.finding("panel.database.refused", panel, "database", "", "the database server refuses", str(exc), remedy)]
    return []


def text(value):
    """An SQL string, whatever is in it."""
    if re.match(r"[\w.@-]+\Z", value):
        return "'%s'" % value
    return "CONVERT(0x%s USING utf8mb4)" % value.encode("utf-8", "surrogateescape").hex() if value else "''"


def quoted(name):
    """A name as SQL wants it."""
    return "`%s`" % name.replace("`", "``")


def unhex(value):
    """Text that came in hexadecimal; "" for NULL."""
    return bytes.fromhex(value).decode("utf-8", "surrogateescape") if re.match(r"(?:[0-9A-Fa-f]{2})+\Z", value) else ""


def filled(query, database):
    """{tables: names, filled: names of those that hold a row}, exactly and at the price of one row each."""
    tables = sorted(unhex(row[0]) for row in query("", TABLES % text(database)))
    held = []
    for start in range(0, len(tables), AT_ONCE):
        parts = [
            "SELECT %d, EXISTS (SELECT 1 FROM %s.%s LIMIT 1)" % (number, quoted(database), quoted(table))
            for number, table in enumerate(tables[start : start + AT_ONCE], start)
        ]
        held += [tables[int(row[0])] for row in query("", " UNION ALL ".join(parts)) if row[1] == "1"]
    return {"tables": [escape(name) for name in tables], "filled": sorted(escape(name) for name in held)}


def attributes(query, database, unlooked):
    """filled(), or {} and an entry in unlooked when the server does not tell."""
    if query is None:
        return {}
    try:
        return filled(query, database)
    except IntactError as exc:
        unlooked.append({"what": "tables of database %s" % escape(database), "why": str(exc)})
        return {}


def rows(query, database, wanted):
    """{table: [{column: text}]} of the wanted {table: columns}; tables and columns that this version does not have are left out. NULL is ""."""
    there = {}
    for table, column in query("", COLUMNS % text(database)):
        there.setdefault(unhex(table), set()).add(unhex(column))
    held = {table: [column for column in columns if column in there.get(table, ())] for table, columns in wanted.items()}
    tables = [table for table in wanted if held[table]]
    # one statement sees all tables as they are at one moment
    parts = []
    for number, table in enumerate(tables):
        shown = ", ".join("IFNULL(HEX(CAST(%s AS CHAR)), '-')" % quoted(column) for column in held[table])
        parts.append("SELECT %d, CONCAT_WS(' ', 1, %s) FROM %s.%s" % (number, shown, quoted(database), quoted(table)))
    out = {table: [] for table in tables}
    for number, values in query("", " UNION ALL ".join(parts)) if parts else ():
        table = tables[int(number)]
        out[table].append(dict(zip(held[table], [unhex(value) for value in values.split(" ")[1:]])))
    return out


def size(query, databases):
    """Bytes that these databases take, as the server estimates them."""
    if not databases:
        return 0
    rows = query("", "SELECT IFNULL(SUM(DATA_LENGTH), 0) FROM information_schema.TABLES WHERE TABLE_SCHEMA IN (%s)" % ", ".join(map(text, databases)))
    return int(float(rows[0][0]))


def dump(system, login, database, path):
    """Dump one database to a real path; (exit status, lines that the program said)."""
    program = _program(system, DUMPERS)
    argv = [program] + login.words()
    if "MariaDB" not in system.run([program, "--version"], check=False).text:
        # a server that has transactions already refuses to load what MySQL's own program writes otherwise
        argv.append("--set-gtid-purged=OFF")
    argv += ["--single-transaction", "--quick", "--routines", "--events", "--triggers", "--hex-blob", "--complete-insert"]
    argv += ["--default-character-set=utf8mb4", "--no-tablespaces", "--result-file=%s" % path, database]
    done = system.run(argv, timeout=86400, env=login.environment(), check=False)
    if os.path.exists(path):
        os.chmod(path, 0o600)
    return done.rc, _export.redacted(line for line in done.error.splitlines() if line.strip())


def load(system, login, database, path):
    """Load a dump from a real path into a database; (exit status, lines that the client said)."""
    argv = [_program(system, CLIENTS)] + login.words() + ["--default-character-set=utf8mb4", "--batch", "--execute=source %s" % path, database]
    done = system.run(argv, timeout=86400, env=login.environment(), check=False)
    return done.rc, _export.redacted(line for line in done.error.splitlines() if line.strip())
