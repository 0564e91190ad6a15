# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for a MySQL server and its client: a store of rows, the few questions that panels and drivers ask, dumps, and loading them.

Known: the shape of mysqldump's output, the client's batch format, the texts of errors 1045, 2002 and 2013. Guessed: nothing else is played.
A real server may stand behind it, for tests of what happens to one: serve() names the option file of a login at it.
Switches: database_refused (error 2002 for everybody), database_dies: name (the dump of this database and of all that come after it fails with 2002),
dies_in: name, dies_how: server or caller (a real server: in the middle of loading it the server is killed, or who started the restore),
empty_dump: name (its dump has tables and no rows), dump_cut: name (its dump has no last line), missing_dump: names (a panel leaves them out).
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys

from stand_ins.machine import Machine

STORE = "mysql"
SOCKET = "/var/lib/mysql/mysql.sock"
REFUSED = "ERROR 2002 (HY000): Can't connect to local MySQL server through socket '%s' (111)" % SOCKET
GOT_ERROR = "mysqldump: Got error: 2002: Can't connect to local MySQL server through socket '%s' (111) when trying to connect" % SOCKET
SYSTEM = ("information_schema", "mysql", "performance_schema", "sys")


def install(machine, databases, users):
    """databases: {name: {table: [[value, ...], ...]}}, users: {name: {"host", "hash", "databases": [...]}}."""
    machine.keep(STORE, {"databases": databases, "users": users})
    for name in ("/usr/bin/mysql", "/usr/bin/mysqldump"):
        machine.program(name, "mysql_server", name.rpartition("/")[2])
    machine.program("/usr/sbin/mysqld", "mysql_server", "daemon")


def serve(machine, options, pid):
    """From here on a real server answers, by the login in this option file. pid: the file with its process."""
    machine.keep("server", {"options": options, "pid": pid})


def real(machine, script, database="", check=True):
    """What the real server answers; None when there is none."""
    options = machine.document("server").get("options")
    if not options:
        return None
    argv = [shutil.which("mariadb") or "mysql", "--defaults-file=" + options, "--batch", "--skip-column-names", "--raw"] + ([database] if database else [])
    done = subprocess.run(argv, input=script, capture_output=True, text=True, check=False)
    if check and done.returncode:
        sys.stderr.write(done.stderr)
        raise SystemExit(1)
    return done.stdout


def users(machine):
    """{user: {host, hash, databases}}."""
    told = real(machine, "SELECT User, Host, authentication_string FROM mysql.user WHERE User NOT IN ('root', 'mariadb.sys', 'mysql', 'da_admin', '')")
    if told is None:
        return machine.document(STORE)["users"]
    out = {name: {"host": host, "hash": digest, "databases": []} for name, host, digest in (line.split("\t") for line in told.splitlines())}
    for line in real(machine, "SELECT User, Db FROM mysql.db").splitlines():
        name, database = line.split("\t")
        if name in out:
            out[name]["databases"].append(database.replace("\\_", "_"))
    return out


def databases(machine):
    """Names of the customers' databases."""
    told = real(machine, "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA")
    return sorted(machine.document(STORE)["databases"] if told is None else [name for name in told.split() if name not in SYSTEM])


def grant(machine, name, host, digest, granted):
    """A user with these databases, as a restore makes it."""
    if real(machine, "SELECT 1") is None:
        store = machine.document(STORE)
        store["users"][name] = {"host": host, "hash": digest, "databases": sorted(granted)}
        machine.keep(STORE, store)
        return
    script = ["CREATE USER IF NOT EXISTS '%s'@'%s' IDENTIFIED BY PASSWORD '%s'" % (name, host, digest)]
    script += ["SET PASSWORD FOR '%s'@'%s' = '%s'" % (name, host, digest)]
    script += ["GRANT ALL PRIVILEGES ON `%s`.* TO '%s'@'%s'" % (database.replace("_", "\\_"), name, host) for database in granted]
    real(machine, ";\n".join(script) + ";\n")


def daemon(root, arguments):
    """Only there so that a server is found."""
    return 0


def mysql(root, arguments):
    """The client: statements come on standard input, rows go out separated by tabs."""
    machine = Machine(root)
    machine.note("mysql", arguments)
    script = sys.stdin.read()
    if machine.hit("database_refused", "server"):
        print(REFUSED, file=sys.stderr)
        return 1
    store = machine.document(STORE)
    for statement in [part.strip() for part in script.split(";\n")]:
        if not statement.rstrip(";"):
            continue
        rows = _answer(store, statement.rstrip(";"))
        if rows is None:
            print("ERROR 1064 (42000): the stand-in does not know: %s" % statement[:80], file=sys.stderr)
            return 1
        for row in rows:
            print("\t".join(str(value).replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n") for value in row))
    return 0


def _answer(store, statement):
    databases, users = store["databases"], store["users"]
    flat = " ".join(statement.split())
    if flat.upper().startswith(("SET ", "USE ")):
        return []
    if re.match(r"SELECT 1\b", flat, re.I) and "FROM" not in flat.upper():
        return [["1"]]
    if "information_schema.SCHEMATA" in flat:
        return [[name] for name in (*SYSTEM, *sorted(databases))]
    if "information_schema.TABLES" in flat:
        if "SUM(" in flat:
            return [[name, sum(len(str(value)) for rows in tables.values() for row in rows for value in row)] for name, tables in sorted(databases.items())]
        return [[name, table, "BASE TABLE"] for name, tables in sorted(databases.items()) for table in sorted(tables)]
    if "EXISTS" in flat:
        asked = re.findall(r"SELECT '([^']*)', EXISTS \(SELECT 1 FROM `([^`]+)`\.`([^`]+)` LIMIT 1\)", flat)
        return [[label, int(bool(databases[database][table]))] for label, database, table in asked]
    if "FROM mysql.user" in flat:
        return [[name, user["host"], "mysql_native_password", user["hash"].encode().hex().upper()] for name, user in sorted(users.items())]
    if "FROM mysql.db" in flat:
        return [[name, user["host"], database.replace("_", "\\_")] for name, user in sorted(users.items()) for database in user["databases"]]
    return None


def mysqldump(root, arguments):
    """One database to standard output, as panels call it."""
    machine = Machine(root)
    machine.note("mysqldump", arguments)
    text, complaint = dumped(machine, arguments[-1])
    sys.stdout.write(text)
    if complaint:
        print(complaint, file=sys.stderr)
    return 2 if complaint else 0


def refuses(machine, database):
    """Whether the server is gone when this database's turn comes; dumps are made in the order of names."""
    dies = machine.document("switches").get("database_dies")
    return machine.hit("database_refused", "server") or (dies is not None and database >= dies)


def dumped(machine, database):
    """(text of the dump, complaint or "")."""
    if refuses(machine, database):
        return "", GOT_ERROR
    options = machine.document("server").get("options")
    if options:
        done = subprocess.run(["mariadb-dump", "--defaults-file=" + options, database], capture_output=True, text=True, check=False)
        return done.stdout, done.stderr
    tables = machine.document(STORE)["databases"][database]
    lines = ["-- MySQL dump 10.13  Distrib 8.0.36, for Linux (x86_64)", "--", "-- Host: localhost    Database: %s" % database]
    lines += ["-- " + "-" * 54, "-- Server version\t8.0.36", "", "/*!40101 SET NAMES utf8mb4 */;"]
    for table, rows in sorted(tables.items()):
        lines += ["", "--", "-- Table structure for table `%s`" % table, "--", "", "DROP TABLE IF EXISTS `%s`;" % table]
        lines += ["CREATE TABLE `%s` (" % table, "  `id` int NOT NULL,", "  `v` text", ") ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;", ""]
        lines += ["LOCK TABLES `%s` WRITE;" % table]
        if rows and not machine.hit("empty_dump", database):
            lines.append("INSERT INTO `%s` VALUES %s;" % (table, ",".join("(%d,'%s')" % (row[0], row[1]) for row in rows)))
        lines += ["UNLOCK TABLES;"]
    if not machine.hit("dump_cut", database):
        lines += ["", "-- Dump completed on 2026-11-22 15:30:00"]
    return "\n".join(lines) + "\n", ""


def loaded(machine, database, text):
    """Take a dump into the store."""
    if real(machine, "CREATE DATABASE IF NOT EXISTS `%s`" % database) is not None:
        if machine.hit("dies_in", database):
            _half(machine, database, text)
        real(machine, text, database)
        return
    store = machine.document(STORE)
    tables = store["databases"][database] = {name: [] for name in re.findall(r"CREATE TABLE `([^`]+)`", text)}
    for table, values in re.findall(r"INSERT INTO `([^`]+)` VALUES (.*);", text):
        tables[table] += [[int(number), value] for number, value in re.findall(r"\((\d+),'([^']*)'\)", values)]
    machine.keep(STORE, store)


def _half(machine, database, text):
    """Half of a dump is loaded; then the server is killed, or who wanted the restore, and this goes on for a while. Once."""
    how = machine.document("switches").get("dies_how")
    machine.switch("dies_in", "")
    lines = text[: len(text) // 2].split(";\n")[:-1]
    real(machine, ";\n".join(lines) + ";\n", database)
    if how == "server":
        with open(machine.document("server")["pid"], encoding="ascii") as handle:
            os.kill(int(handle.read()), signal.SIGKILL)
    elif how == "caller":
        # who runs this goes on without the one that wanted it
        os.kill(os.getppid(), signal.SIGKILL)
