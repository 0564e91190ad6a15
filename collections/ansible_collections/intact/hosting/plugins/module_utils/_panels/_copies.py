# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Copies of the database that a panel's configuration names: made, read without a server, loaded into a throw-away one, put back. See _tables for places."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import urllib.parse

from ansible_collections.intact.hosting.plugins.module_utils import _command
from ansible_collections.intact.hosting.plugins.module_utils._backup._throwaway_mysql import MariaDB
from ansible_collections.intact.hosting.plugins.module_utils._backup._throwaway_postgresql import PORT, PostgreSQL
from ansible_collections.intact.hosting.plugins.module_utils._baseline import _mysql, _postgresql, _sqlite
from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import _alone, _sqltext, _tables

LOOSE = "refers to a row of"
DUMP = ["--protocol=socket", "--single-transaction", "--quick", "--routines", "--events", "--triggers", "--hex-blob", "--default-character-set=utf8mb4"]
DUMP += ["--no-tablespaces", "--skip-dump-date"]
_OWNER = re.compile(rb"^ALTER [^;\n]* OWNER TO ([^;\n]+);$", re.MULTILINE)


def file_rows(path, engine, tables):
    """The rows in a copy that copy() made."""
    if engine == "sqlite":
        with contextlib.closing(readonly(path)) as connection:
            return _tables.sqlite_rows(connection, tables)
    with open(path, "rb") as handle:
        try:
            return _sqltext.rows(handle, set(tables))
        except ValueError as exc:
            raise IntactError("the dump has %s" % exc) from exc


def loaded_rows(path, place, directory, tables):
    """The same, of a dump that a throw-away server below the directory has taken, which is gone at the end."""
    mysql = place["engine"] == "mysql"
    kind = MariaDB if mysql else PostgreSQL
    with _alone.place(directory, _alone.known(kind.users)) as parent, kind(os.path.join(parent, "server")) as server, open(path, "rb") as stream:
        wrong = server.load("%s:%s" % ("mariadb" if mysql else "postgresql", escape(place["name"])), stream)
        # the accounts of the host are not there
        wrong = [line for line in wrong if not re.search(r'role "[^"]*" does not exist', line)]
        if wrong:
            raise IntactError("a throw-away server did not take the whole dump: %s" % wrong[0])
        own = {"version": "throw-away", "name": "main", "port": PORT}
        if mysql:
            return _tables.mysql_rows(_tables.mysql_asker(server.system(), place), place, tables)
        return _tables.postgresql_rows(_tables.postgresql_asker(server.system(), place, own), place, tables)


def readonly(path):
    """A connection that leaves no trace beside the file."""
    if _sqlite.sqlite3 is None:
        raise IntactError("Python's sqlite3 is not installed on this host: install libpython3-stdlib")
    try:
        connection = _sqlite.sqlite3.connect("file:%s?mode=ro&immutable=1" % urllib.parse.quote(path), uri=True)
        connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
    except _sqlite.sqlite3.DatabaseError as exc:
        raise IntactError("SQLite can't read the copy: %s" % exc) from exc
    return connection


def damage(path):
    """What SQLite finds wrong with a copy: sentences; [] for a sound one."""
    try:
        with contextlib.closing(readonly(path)) as connection:
            connection.text_factory = lambda data: data.decode("utf-8", "replace")
            wrong = [row[0] for row in connection.execute("PRAGMA integrity_check(20)") if row[0] != "ok"]
            loose = connection.execute("PRAGMA foreign_key_check").fetchall()
    except (IntactError, _sqlite.sqlite3.DatabaseError) as exc:
        return [str(exc)]
    return wrong + ["row %s of table %s %s %s that is not there" % (row[1], row[0], LOOSE, row[2]) for row in loose[:20]]


def copy(system, place, target):
    """Write a consistent copy of the database to the file target: SQLite's own form, or an SQL dump. Returns what the dump program said, and its status."""
    if place["engine"] == "sqlite":
        with _tables.opened(system, place["name"]) as source, contextlib.closing(_sqlite.sqlite3.connect(target)) as out:
            try:
                source.backup(out)
                # a file with a log of its own would want to write beside itself wherever it is read
                out.execute("PRAGMA journal_mode = DELETE")
            except _sqlite.sqlite3.OperationalError as exc:
                if "full" in str(exc):  # where the copy goes, and no fault of the panel's database
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), target) from exc
                raise
        os.chmod(target, 0o600)
        return [], 0
    if place["engine"] == "mysql":
        result = system.run(_mysqldump(system, place) + ["--result-file=" + target, "--databases", "--", place["name"]], timeout=3600, check=False)
        said, rc = result.error.splitlines(), result.rc
    else:
        argv = ["runuser", "-u", "postgres", "--", "pg_dump", "--create", "-p", _tables.cluster(system, place)["port"], "-d", connection_string(place["name"])]
        # times are written in the session's zone, and are compared with those of another session
        result = system.run(argv, timeout=3600, env={"PGTZ": "UTC"}, check=False)
        with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as handle:
            handle.write(result.out)
        said, rc = result.error.splitlines(), result.rc
    if os.path.exists(target):
        os.chmod(target, 0o600)
    return said, rc


def rescued(view, place, target, query, title):
    """copy() from a disk: query is what a rescue gives; its server, which was started cold, is dumped."""
    if place["engine"] == "sqlite" or query is None:
        return copy(view, place, target)
    if place["engine"] != "mysql":
        raise IntactError("%s's database is in %s: only a MariaDB or MySQL is opened on a disk; start its server on a copy" % (title, _tables.told(place)))
    program = next((p for p in ("mariadb-dump", "mysqldump") if _command.which(p)), None)
    socket = getattr(query, "socket", None)
    if not program or not socket:
        lacking = "server was started on the disk's data" if program else "mariadb-dump is installed"
        raise IntactError("nothing can dump %s: no %s" % (_tables.told(place), lacking))
    argv = [program, "--no-defaults", "--socket=" + socket, "--user=root"] + DUMP + ["--result-file=" + target, "--databases", "--", place["name"]]
    result = _command.run(argv, timeout=86400, check=False)
    if os.path.exists(target):
        os.chmod(target, 0o600)
    return result.error.splitlines(), result.rc


def connection_string(name):
    """So that odd database names can't be taken for options."""
    return "dbname='%s'" % name.replace("\\", "\\\\").replace("'", "\\'")


def _mysqldump(system, place):
    program = next((p for p in ("mariadb-dump", "mysqldump") if system.which(p)), None)
    if not program:
        raise IntactError("neither mariadb-dump nor mysqldump is installed on this host")
    defaults = system.options.get("mysql_defaults_file")
    argv = [program] + (["--defaults-extra-file=%s" % defaults] if defaults else []) + DUMP
    if "MariaDB" not in system.run([program, "--version"], check=False).text:
        argv.append("--set-gtid-purged=OFF")
    return argv


def put(system, place, source, say):
    """Make the database what a copy holds; whoever uses it must be stopped. What was there is gone: a checkpoint comes first."""
    if place["engine"] == "sqlite":
        return _put_file(place["name"], source)
    with open(source, "rb") as handle:
        script = handle.read()
    if place["engine"] == "mysql":
        client = _mysql.program(system)
        if not client:
            raise IntactError("the panel's database %s is in MariaDB, which is not installed here" % place["name"])
        defaults = system.options.get("mysql_defaults_file")
        argv = [client] + (["--defaults-extra-file=%s" % defaults] if defaults else []) + ["--protocol=socket", "--default-character-set=utf8mb4"]
        system.run(argv, stdin=("DROP DATABASE IF EXISTS %s;\n" % _mysql.quote(place["name"])).encode())
        result = system.run(argv + ["--binary-mode"], timeout=3600, stdin=script, check=False)
    else:
        server = _tables.cluster(system, place)
        argv = ["runuser", "-u", "postgres", "--", "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-p", server["port"], "-d", "dbname='template1'"]
        owners = {name.decode("utf-8", "surrogateescape").strip('"') for name in _OWNER.findall(script)}
        gone = owners - set(system.run(argv, stdin=b"SELECT rolname FROM pg_roles;\n").text.splitlines())
        if gone:
            raise IntactError("the export's database belongs to %s, whom PostgreSQL here does not know: make the role first" % " and ".join(sorted(gone)))
        system.run(argv, stdin=("DROP DATABASE IF EXISTS %s;\n" % _postgresql.quote(place["name"])).encode())
        result = system.run(argv, timeout=3600, stdin=script, check=False)
    if result.rc:
        # the text near an error is a customer's data
        words = re.sub(r"near '.*", "near (a piece of the dump)", (result.error.splitlines() or ["no word"])[0])
        raise IntactError("the database %s did not take the dump: %s" % (_tables.told(place), words))
    say("%s holds the export's rows" % _tables.told(place))
    return None


def _put_file(path, source):
    """A whole new file with the owner and the mode of the one that was there, or of its directory."""
    known = os.stat(path) if os.path.exists(path) else None
    parent = os.stat(os.path.dirname(path))
    fresh = path + ".intact"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(fresh)
    with open(source, "rb") as given, os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        shutil.copyfileobj(given, out, 1 << 20)
        owner = known or parent
        os.fchown(out.fileno(), owner.st_uid, owner.st_gid)
        os.fchmod(out.fileno(), known.st_mode & 0o7777 if known else 0o660)
        out.flush()
        os.fsync(out.fileno())
    for ending in ("-wal", "-shm", "-journal"):
        # they belong to the file that goes
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path + ending)
    os.rename(fresh, path)
