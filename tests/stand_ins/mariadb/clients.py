# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The clients of the stand-in server: mariadb (mysql), mariadb-dump (mysqldump) and mariadb-check (mysqlcheck).

Switches besides those of the package: mysql-dump-full=DB (the disk is, in mysqldump's words), mysql-dump-warning (and a good dump), mysql-table-damaged=DB.
"""

from __future__ import annotations

import os
import re
import sqlite3
import sys
from pathlib import Path

from stand_ins import mariadb
from stand_ins.kit import real, switched
from stand_ins.mariadb import running

VERSION = "10.11.14-MariaDB-0+deb12u2"
HEAD = "/*M!999999\\- enable the sandbox mode */ \n-- MariaDB dump 10.19  Distrib 10.11.14-MariaDB, for debian-linux-gnu (x86_64)\n--\n"
ESCAPES = {"0": "\0", "n": "\n", "r": "\r", "t": "\t", "Z": "\x1a"}


def main(root, name, arguments):
    """One of the clients; its exit status."""
    options, words = _arguments(root, arguments)
    if "version" in options:
        print("%s  Ver 10.19 Distrib 10.11.14-MariaDB, for debian-linux-gnu (x86_64)" % name)
        return 0
    if switched(root, "mysql-refused"):
        return _error("ERROR 2002 (HY000): Can't connect to local server through socket '/run/mysqld/mysqld.sock' (2)")
    user = options.get("user") or "root"
    password = options.get("password", os.environ.get("MYSQL_PWD", ""))
    known = mariadb.accounts(root)
    if user not in known or known[user] not in (None, password):
        return _error("ERROR 1045 (28000): Access denied for user '%s'@'localhost' (using password: %s)" % (user, "YES" if password else "NO"))
    if "dump" in name:
        return _dump(root, options, words)
    if "check" in name:
        return _check(root, options, words)
    return _client(root, options, words)


def _error(sentence):
    print(sentence, file=sys.stderr)
    return 1


def _arguments(root, arguments):
    """({option: value}, other words); option files are read as the real clients do."""
    options, words, plain = {}, [], False
    for word in arguments:
        if plain or not word.startswith("-") or word == "-":
            words.append(word)
        elif word == "--":
            plain = True
        else:
            key, _sign, value = word.lstrip("-").partition("=")
            options[key] = value
    for key in ("defaults-file", "defaults-extra-file"):
        if key in options:
            for line in Path(real(root, options[key])).read_text().splitlines():
                key, sign, value = line.partition("=")
                if sign and key.strip() in ("user", "password"):
                    options.setdefault(key.strip(), value.strip().strip("'\""))
    return options, words


def _open(root, names):
    """A connection with these databases attached, and information_schema."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.create_function("CONCAT", -1, lambda *parts: "".join(str(part) for part in parts))
    connection.create_function("CONCAT_WS", -1, lambda between, *parts: between.join(str(part) for part in parts if part is not None))
    connection.create_function("VERSION", 0, lambda: VERSION)
    connection.execute("ATTACH ':memory:' AS information_schema")
    connection.execute("CREATE TABLE information_schema.SCHEMATA (SCHEMA_NAME)")
    connection.execute("CREATE TABLE information_schema.TABLES (TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE, DATA_LENGTH)")
    connection.execute("CREATE TABLE information_schema.COLUMNS (TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, DATA_TYPE, ORDINAL_POSITION)")
    for name in mariadb.databases(root):
        connection.execute("INSERT INTO information_schema.SCHEMATA VALUES (?)", (name,))
        place = real(root, "%s/%s/stand-in.sqlite" % (mariadb.STORE, name))
        one = sqlite3.connect(place)
        for (table,) in one.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"):
            bytes_of = one.execute("SELECT COUNT(*) * 100 FROM `%s`" % table).fetchone()[0]
            connection.execute("INSERT INTO information_schema.TABLES VALUES (?, ?, 'BASE TABLE', ?)", (name, table, bytes_of))
            for column in one.execute("PRAGMA table_info(`%s`)" % table):
                kind = "blob" if column[1].endswith("_blob") else "text"
                connection.execute("INSERT INTO information_schema.COLUMNS VALUES (?, ?, ?, ?, ?)", (name, table, column[1], kind, column[0]))
        one.close()
        if name in names:
            connection.execute("ATTACH ? AS `%s`" % name, (place,))
    return connection


def _client(root, options, words):
    script = options.get("execute") or options.get("e") or sys.stdin.read()
    source = re.match(r"\s*(?:source|\\\.)\s+(\S.*?);?\s*\Z", script)
    if source:
        script = Path(real(root, source.group(1))).read_text(encoding="utf-8", errors="surrogateescape")
    database = words[0] if words else options.get("database", "")
    if database and database not in mariadb.databases(root):
        return _error("ERROR 1049 (42000): Unknown database '%s'" % database)
    connection = _open(root, {name for name in mariadb.databases(root) if re.search(r"\b%s\b" % re.escape(name), script) or name == database})
    for statement in statements(script):
        if not statement or re.match(r"(SET|USE|LOCK|UNLOCK|ALTER TABLE .* (DIS|EN)ABLE KEYS|FLUSH|/\*|CREATE DATABASE)", statement, re.I | re.S):
            continue
        shown = re.match(r"SHOW CREATE TABLE `?(\w+)`?\.`?(\w+)`?", statement, re.I)
        if shown:
            print("%s\t%s" % (shown.group(2), _escaped(_made(connection, *shown.groups()))))
            continue
        try:
            rows = connection.execute(_inside(statement, database)).fetchall()
        except sqlite3.Error as exc:
            return _error("ERROR 1064 (42000) at line 1: %s" % exc)
        for row in rows:
            print("\t".join("NULL" if value is None else _escaped(str(value)) for value in row))
    return 0


def _made(connection, database, table):
    """A table's CREATE TABLE as the server shows it."""
    columns = [row[1] for row in connection.execute("PRAGMA `%s`.table_info(`%s`)" % (database, table))]
    return "CREATE TABLE `%s` (\n  %s\n) ENGINE=InnoDB" % (table, ",\n  ".join("`%s` text" % column for column in columns))


def _inside(statement, database):
    """DDL and INSERTs of a dump, for the attached database that they are for."""
    statement = re.sub(r"\) ENGINE=\w+\Z", ")", statement)
    if not database:
        return statement
    return re.sub(r"\A(DROP TABLE IF EXISTS|CREATE TABLE|INSERT INTO) `", r"\1 `%s`.`" % database, statement)


def _escaped(value):
    return value.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")


def statements(script):
    """Statements of a script without comments, strings as SQLite writes them."""
    out, held, index = [], [], 0
    while index < len(script):
        char = script[index]
        if char in "'\"`":
            value, index = _string(script, index)
            held.append("`%s`" % value.replace("`", "``") if char == "`" else "'%s'" % value.replace("'", "''"))
            continue
        if script.startswith("-- ", index) or script.startswith("--\n", index) or char == "#":
            index = script.find("\n", index) if "\n" in script[index:] else len(script)
        elif script.startswith("/*", index):
            index = script.find("*/", index) + 2
        elif char == ";":
            out.append("".join(held).strip())
            held, index = [], index + 1
        else:
            held.append(char)
            index += 1
    return out + ["".join(held).strip()]


def _string(script, index):
    quote, out = script[index], []
    index += 1
    while index < len(script):
        char = script[index]
        if char == "\\" and quote != "`":
            out.append(ESCAPES.get(script[index + 1], script[index + 1]))
            index += 2
        elif char == quote and script[index + 1 : index + 2] == quote:
            out.append(quote)
            index += 2
        elif char == quote:
            return "".join(out), index + 1
        else:
            out.append(char)
            index += 1
    return "".join(out), index


def _value(value):
    if value is None:
        return "NULL"
    if isinstance(value, (int, float)):
        return str(value)
    quoted = value.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\r", "\\r").replace("\0", "\\0")
    return "'%s'" % quoted


def _dump(root, options, words):
    database = words[-1] if words else ""
    if database not in mariadb.databases(root):
        return _error("mysqldump: Got error: 1049: \"Unknown database '%s'\" when selecting the database" % database)
    out = options.get("result-file") or options.get("r")
    text, status = dump_text(root, database, "complete-insert" in options or "c" in options)
    if out:
        try:
            Path(real(root, out)).write_text(text, encoding="utf-8", errors="surrogateescape")
        except OSError as exc:
            print("mysqldump: Got errno %d on write" % exc.errno, file=sys.stderr)
            return 5
    else:
        sys.stdout.write(text)
    return status


def dump_text(root, database, complete=True):
    """(dump of a database, exit status), with the failures that are switched on."""
    if switched(root, "mysql-dump-nothing") == database:
        return "", 0
    if running.options(root):
        return running.dump_text(root, database)
    lines = [HEAD + "-- Host: localhost    Database: %s\n-- ------------------------------------------------------\n" % database]
    connection = sqlite3.connect(real(root, "%s/%s/stand-in.sqlite" % (mariadb.STORE, database)))
    for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall():
        columns = [column[1] for column in connection.execute("PRAGMA table_info(`%s`)" % table)]
        declared = ",\n  ".join("`%s` text" % column for column in columns)
        lines.append("DROP TABLE IF EXISTS `%s`;\nCREATE TABLE `%s` (\n  %s\n) ENGINE=InnoDB;\n" % (table, table, declared))
        rows = connection.execute("SELECT * FROM `%s`" % table).fetchall()
        if rows and switched(root, "mysql-dump-silent") != database:
            named = " (%s)" % ", ".join("`%s`" % column for column in columns) if complete else ""
            values = ",\n".join("(%s)" % ",".join(_value(value) for value in row) for row in rows)
            lines.append("LOCK TABLES `%s` WRITE;\nINSERT INTO `%s`%s VALUES %s;\nUNLOCK TABLES;\n" % (table, table, named, values))
    connection.close()
    if switched(root, "mysql-dump-warning"):
        print("-- Warning: column statistics not supported by the server.", file=sys.stderr)
    if switched(root, "mysql-dump-full") == database:
        print("mysqldump: Got errno 28 on write", file=sys.stderr)
        return "".join(lines)[: len("".join(lines)) // 3], 5
    if switched(root, "mysql-dump-broken") == database:
        print("mysqldump: Error 2013: Lost connection to server during query when dumping table", file=sys.stderr)
        whole = "".join(lines)
        return whole[: len(whole) * 2 // 3], 3
    return "".join(lines) + "\n-- Dump completed on 2026-11-22 15:30:00\n", 0


def _check(root, options, words):
    for name in words or mariadb.databases(root):
        damaged = switched(root, "mysql-table-damaged") == name
        print("%s.%s %s" % (name, "settings", "error    : Corrupt" if damaged else "OK"))
    return 0
