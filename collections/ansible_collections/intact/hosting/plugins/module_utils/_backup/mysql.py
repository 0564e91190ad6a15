# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""MariaDB and MySQL: a dump of one database and its digests, both of the moment at which nobody could write to it."""

from __future__ import annotations

import array
import contextlib
import fcntl
import re
import termios
import time

from ansible_collections.intact.hosting.plugins.module_utils._backup._dump import Dump, Program, stream_path
from ansible_collections.intact.hosting.plugins.module_utils._backup._held import Held, Session
from ansible_collections.intact.hosting.plugins.module_utils._backup._mysql_accounts import ENDING, accounts
from ansible_collections.intact.hosting.plugins.module_utils._baseline import _mysql
from ansible_collections.intact.hosting.plugins.module_utils._files import escape, unescape
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

__all__ = ["ENDING", "accounts", "databases", "dump_argv", "open", "schema"]
ENGINE = "mysql"
CLIENTS = ("mariadb", "mysql")
# what mysqld knows how to keep at one moment without a lock
TRANSACTIONAL = {"INNODB", "ROCKSDB", "TOKUDB", "NDBCLUSTER"}
# not stored here, or by design gone at a restart: nothing to keep
ELSEWHERE = {"MEMORY", "BLACKHOLE", "FEDERATED", "CONNECT", "SPIDER", "MRG_MYISAM"}
# a hoster's short time-outs are for web applications
PATIENT = b"SET SESSION wait_timeout = 86400, net_read_timeout = 3600, net_write_timeout = 3600;"
# charsets whose way to utf8mb4 and back is the same for every byte
FAITHFUL = {"utf8", "utf8mb3", "utf8mb4", "ascii", "latin1", "binary", ""}


def _client(system):
    client = _mysql.program(system)
    if not client:
        raise IntactError("no MariaDB or MySQL server with its client is installed on this host")
    return client


def _defaults(system):
    # must be the first argument; a password is in this file and nowhere else
    path = system.options.get("mysql_defaults_file")
    return ["--defaults-extra-file=%s" % path] if path else []


def _session(system):
    """A held session. It must never connect again by itself: its locks and its transaction would be gone without a word."""
    argv = [_client(system)] + _defaults(system)
    argv += ["--protocol=socket", "--default-character-set=utf8mb4", "--batch", "--skip-column-names", "--quick", "--unbuffered", "--force", "--skip-reconnect"]
    return Session(argv, "SELECT '{}';")


def _rows(result, what):
    """Rows of a session's answer; raises with the server's words when it complained."""
    words = [line for line in result.error.splitlines() if line.startswith("ERROR")]
    if words or result.rc:
        raise IntactError("%s: %s" % (what, words[0] if words else "the server ended the session"))
    return [line.split("\t") for line in result.text.split("\n") if line]


def databases(system):
    """Names of the customers' databases (mariadb:shop), empty ones too; [] without a server."""
    client = _mysql.program(system)
    if not client:
        return []
    listing = "SELECT 'db', HEX(SCHEMA_NAME) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME %s;" % _mysql.CUSTOMERS
    rows, said = _mysql.ask(system, client, [listing, "SELECT 'end';"])
    if ["end"] not in rows:
        raise IntactError("the database server gave no list of databases: %s" % (said.splitlines()[-1] if said else "no answer"))
    return sorted("%s:%s" % (_mysql.NAME, escape(_mysql.unhex(row[1]))) for row in rows if row[0] == "db")


def schema(name):
    """The database's own name, of mariadb:shop."""
    return unescape(name.partition(":")[2]).decode("utf-8", "surrogateescape")


def open(system, name):  # noqa: A001 (the contract's word)
    """A MysqlDump that is being written; writers waited only while its snapshots were opened. Raises IntactError that names who holds a table."""
    database = schema(name)
    running = []
    try:
        for _which in ("lock", "look"):
            running.append(_session(system))
        lock, look = running
        tables = _tables(lock, database)
        stored = [t for t in tables if t[1] in _mysql.STORED and t[2].upper() not in ELSEWHERE]
        safe = [t[0] for t in stored if t[2].upper() in TRANSACTIONAL]
        plain = [t[0] for t in stored if t[2].upper() not in TRANSACTIONAL]
        held = bool(plain) and system.options.get("lock_nontransactional", True)
        _lock(system, lock, name, safe + plain if held else safe, held)
        if _tables(lock, database) != tables:
            raise IntactError("%s: its tables were changed while they were being locked: take it again" % name)
        begun = PATIENT + b"\nSET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ;\nSTART TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY;"
        _rows(look.ask(begun, 60), name)
        with _patience(look, int(system.options.get("stall_seconds", 3600))):
            process = Program(dump_argv(system, database))
            running.append(process)
            _await(process, name)
        if not held:
            _rows(lock.ask(b"UNLOCK TABLES;", 60), name)
    except BaseException:
        for thing in running:
            thing.close()
        raise
    return MysqlDump(system, name, process, (lock, look), tables, [] if held else ["%s.%s" % (name, escape(table)) for table in plain])


class MysqlDump(Dump):
    """A dump by mariadb-dump (mysqldump). sessions: the one that locked, and the one whose snapshot is the dump's."""

    def __init__(self, system, name, process, sessions, tables, volatile):
        super().__init__(name, stream_path(name, ENGINE), process, ENDING, volatile)
        self._system, self._sessions, self._tables = system, sessions, tables

    def section(self):
        """Items of the database. Raises when a table was altered, made or dropped meanwhile: that no snapshot holds back."""
        lock, look = self._sessions
        self.rules = _inexact(look, schema(self.name))
        items = _mysql.database_items(Held(self._system, look, CLIENTS), CLIENTS[0], schema(self.name), self.rules)
        if _tables(lock, schema(self.name)) != self._tables:
            raise IntactError("%s: a table was made, altered or dropped while it was dumped: take it again" % self.name)
        return items

    def close(self):
        """End the program, the transaction and the lock."""
        super().close()
        for session in self._sessions:
            session.close()


def dump_argv(system, database):
    """The dump program's arguments."""
    program = next((p for p in ("mariadb-dump", "mysqldump") if system.which(p)), None)
    if not program:
        raise IntactError("neither mariadb-dump nor mysqldump is installed on this host")
    version = system.run([program, "--version"], check=False).text
    mariadb = "MariaDB" in version
    argv = [program] + _defaults(system) + ["--protocol=socket", "--single-transaction", "--quick", "--routines", "--events", "--triggers", "--hex-blob"]
    argv += ["--default-character-set=utf8mb4", "--no-tablespaces"]
    # without its date, two dumps of one content are one
    argv += ["--skip-dump-date", "--max-allowed-packet=1G"]
    number = re.search(r"(?:Distrib|Ver) (?:\d+\.\d+ Distrib )?(\d+)\.(\d+)", version)
    number = (int(number.group(1)), int(number.group(2))) if number else (0, 0)
    if mariadb and number >= (10, 11):
        argv.append("--dump-history")
    if not mariadb:
        argv.append("--set-gtid-purged=OFF")
        if number >= (8, 0):
            argv.append("--column-statistics=0")
    return argv + ["--databases", "--", database]


def _inexact(session, database):
    """Rules for the columns with values that the dump's text can't carry: the program prints 6 digits of a FLOAT, and bytes that are no character of
    a column's charset have no place in utf8mb4. (A dump of untranslated bytes has them, and loses the names in ENUMs and defaults instead.)"""
    columns = (
        b"SELECT HEX(TABLE_NAME), HEX(COLUMN_NAME), DATA_TYPE, IFNULL(CHARACTER_SET_NAME, '') FROM information_schema.COLUMNS"
        b" WHERE TABLE_SCHEMA = %s AND HEX(TABLE_SCHEMA) = '%s' AND EXTRA NOT LIKE '%%GENERATED%%' AND (COLUMN_TYPE IN ('float', 'float unsigned')"
        b" OR (CHARACTER_SET_NAME IS NOT NULL AND CHARACTER_SET_NAME NOT IN (%s))) AND TABLE_NAME IN"
        b" (SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s AND TABLE_TYPE <> 'VIEW');"
    )
    raw = database.encode("utf-8", "surrogateescape").hex().upper().encode()
    faithful = b", ".join(b"'%s'" % name.encode() for name in sorted(FAITHFUL))
    rules = []
    for row in _rows(session.ask(columns % (_text(database), raw, faithful, _text(database)), 600), database):
        table, column = _mysql.unhex(row[0]), _mysql.unhex(row[1])
        name = _mysql.quote(column)
        if row[2] == "float":
            lost, why = "CAST(CAST({0} AS CHAR) AS FLOAT) <> {0}".format(name), "digits of a FLOAT after the sixth"
        else:
            lost, why = "HEX(CONVERT(CONVERT({0} USING utf8mb4) USING {1})) <> HEX({0})".format(name, row[3]), "bytes that are no character of %s" % row[3]
        query = "SELECT COUNT(*) FROM %s.%s WHERE %s;" % (_mysql.quote(database), _mysql.quote(table), lost)
        answer = session.ask(query.encode("utf-8", "surrogateescape"), 3600)
        number = answer.text.strip() or "an unknown number"
        if number != "0":
            rules.append({"table": _glob(database + "." + table), "columns": [column], "reason": "the dump can't carry %s: %s rows" % (why, number)})
    return rules


def _glob(name):
    # a pattern that matches this name only
    return re.sub(r"([*?\[])", r"[\1]", name)


def _text(value):
    """An SQL string, whatever is in it, as bytes."""
    return b"CONVERT(0x%s USING utf8mb4)" % value.encode("utf-8", "surrogateescape").hex().encode() if value else b"''"


def _tables(session, database):
    """Sorted [(name, type, engine, when it was made or altered)]."""
    sql = (
        b"SELECT HEX(TABLE_NAME), TABLE_TYPE, IFNULL(ENGINE, ''), IFNULL(CREATE_TIME, '') FROM information_schema.TABLES"
        b" WHERE TABLE_SCHEMA = %s AND HEX(TABLE_SCHEMA) = '%s';"
    )
    raw = database.encode("utf-8", "surrogateescape")
    rows = _rows(session.ask(PATIENT + b"\n" + sql % (_text(database), raw.hex().upper().encode()), 600), database)
    return sorted((_mysql.unhex(row[0]), row[1], row[2], row[3]) for row in rows)


def _lock(system, session, name, tables, to_the_end):
    """Let all writes to these tables wait. The lock is asked for a few times, briefly: behind a lock that waits, writers wait as well.

    to_the_end: the dump reads under this lock. LOCK TABLES is no such lock for MyISAM: a writer that waits there goes before a new reader, so that the
    dump would wait for the writer, and the writer for us. FLUSH TABLES stops writers earlier, and first waits for readers, which is why it is not used
    where a moment is enough.
    """
    if not tables:
        return
    seconds = int(system.options.get("lock_wait_seconds", 10))
    names = ["%s.%s" % (_mysql.quote(schema(name)), _mysql.quote(table)) for table in tables]
    words = "FLUSH TABLES %s WITH READ LOCK;" % ", ".join(names) if to_the_end else "LOCK TABLES %s;" % ", ".join(n + " READ" for n in names)
    script = ("SET SESSION lock_wait_timeout = %d;\n%s" % (seconds, words)).encode("utf-8", "surrogateescape")
    for attempt in range(3):
        try:
            _rows(session.ask(script, seconds + 600), name)
            return
        except IntactError as exc:
            if not re.search(r"ERROR (1205|1213) ", str(exc)):
                raise
            if attempt == 2:
                held = _blockers(system)
                raise IntactError(
                    "%s: its tables could not be locked within %d s: %s" % (name, seconds, "; ".join(held) or "nothing is seen that holds them"), blockers=held
                ) from exc
        time.sleep(1)


def _blockers(system):
    """Sentences about the transactions that are open for longest."""
    sql = (
        "SELECT t.trx_mysql_thread_id, IFNULL(p.USER, ''), IFNULL(p.HOST, ''), TIMESTAMPDIFF(SECOND, t.trx_started, NOW()), IFNULL(p.COMMAND, ''),"
        " IFNULL(p.DB, '')"
        " FROM information_schema.INNODB_TRX t LEFT JOIN information_schema.PROCESSLIST p ON p.ID = t.trx_mysql_thread_id"
        " WHERE t.trx_mysql_thread_id <> 0 ORDER BY t.trx_started LIMIT 5;"
    )
    rows, _said = _mysql.ask(system, _client(system), [sql])
    rows = [(r[0], r[1], r[2], r[3], r[5] or "no database", r[4]) for r in rows if len(r) == 6]
    return ["connection %s of %s@%s has a transaction open for %s s in %s (%s)" % row for row in rows]


@contextlib.contextmanager
def _patience(session, seconds):
    """A program that is started within may be read as slowly as that.

    The server ends a connection that takes nothing for net_write_timeout, by default one minute: a repository that is slow for that long, or a look that
    comes before the stream, would cost the dump. The program can't set it for itself; it takes over what the server's setting is when it connects.
    """
    before = session.ask(b"SELECT @@GLOBAL.net_write_timeout;", 60).text.strip()
    set_global = b"SET GLOBAL net_write_timeout = %d;"
    # without the right to set it, the dump is as good as the server's patience
    changed = before.isdigit() and int(before) < seconds and not session.ask(set_global % seconds, 60).error
    try:
        yield
    finally:
        if changed:
            session.ask(set_global % int(before), 60)


def _await(process, name, seconds=300):
    """Wait until the dump's transaction is open, told by the dump itself.

    It fills a buffer of 4 KiB before it writes, its header is shorter, and the transaction is opened before anything that follows the header:
    so it is open when there is anything to read, and needless when the program has ended. The server's own list of transactions
    can't tell the dump's connection from another of the same user.
    """
    deadline = time.monotonic() + seconds
    waiting = array.array("i", [0])
    while time.monotonic() < deadline:
        fcntl.ioctl(process.stdout, termios.FIONREAD, waiting)
        if waiting[0] >= 4096 or process.poll() is not None:
            return
        time.sleep(0.01)
    said = process.said()
    process.close()
    raise IntactError("%s: the dump did not begin within %d s: %s" % (name, seconds, said))
