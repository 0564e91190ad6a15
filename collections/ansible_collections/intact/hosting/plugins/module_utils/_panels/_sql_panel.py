# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Panels whose settings are tables of a MariaDB or MySQL: their inventory is asked for, their export is a dump whose rows must say the same."""

from __future__ import annotations

import os
import re

from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import _dump_rows, _inventory, _measured, _verify
from ansible_collections.intact.hosting.plugins.module_utils._panels import _mysql_login as mysql
from ansible_collections.intact.hosting.plugins.module_utils._panels import _panel_host as host

SETTINGS = "settings.tar.gz"
KEYS = "keys.tar.gz"
# What is no text and no number: written as it is, without a charset.
BINARY = "binary varbinary tinyblob blob mediumblob longblob bit geometry".split()
SHAPE = "SELECT HEX(TABLE_NAME), HEX(COLUMN_NAME), HEX(DATA_TYPE) FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = %s ORDER BY TABLE_NAME, ORDINAL_POSITION"


def dump_name(database):
    """The name of a database's dump in an export."""
    return "db_%s.sql" % re.sub(r"[^\w.-]", lambda match: "%%%02x" % ord(match.group()), database)


def asked(query, database, wanted):
    """Rows of the panel's tables; IntactError when the database tells none of them, which an empty panel does not."""
    rows = mysql.rows(query, database, wanted)
    if not rows:
        raise IntactError("the database %s has none of the panel's tables" % database)
    return rows


def panel_rows(panel, opened, name, wanted):
    """(findings, rows) of the dump of the panel's own database."""
    if name not in opened.names("dump"):
        title, evidence = "the panel's own database is not in it", "there is no %s" % name
        return [_inventory.finding("panel.export.member", panel, "database", name, title, evidence, _verify.AGAIN)], {}
    contents = opened.contents(name, scan=lambda _path: _dump_rows.Rows(wanted))
    found = _verify.broken(contents, panel, name)
    said = next(iter(contents.scanned.values()), None)
    if said is None:
        return found, {}
    database = re.sub(r"\Adb_(.*)\.sql\Z", r"\1", name)
    found += _verify.dumps(panel, {database: said}, {database: {"tables": 1, "rows": 1}})
    if said["unreadable"]:
        evidence = "rows of %s can't be told apart" % ", ".join(escape(table) for table in said["unreadable"])
        found.append(_inventory.finding("panel.dump.incomplete", panel, "database", database, "its dump can't be read", evidence, _verify.AGAIN))
    return found, said["rows"]


def customers(panel, opened, inventory):
    """Findings of the customers' dumps: each database of the inventory has one that is whole, with its tables, and says something where the server does."""
    results, found = {}, []
    names = {dump_name(name): name for name in inventory["objects"].get("database", {})}
    for file in sorted(set(names) & set(opened.names("dump"))):
        contents = opened.contents(file, scan=lambda _path: _dump_rows.Rows({}))
        for finding in _verify.broken(contents, panel, file):
            finding.subject, finding.evidence = "%s database %s" % (panel, names[file]), "%s: %s" % (finding.details["name"], finding.evidence)
            finding.details.update(kind="database", name=names[file])
            found.append(finding)
        results.update((names[file], said) for said in contents.scanned.values())
    return found + _measured.dumps(panel, inventory, inventory["objects"].get("database", {}), results)


def files(panel, opened, needed):
    """Findings of the settings' archive and of the keys: read to the end, with every key that the panel can't be without."""
    if SETTINGS not in opened.names("artefact"):
        title, evidence = "a part of the export is not there", "there is no %s" % SETTINGS
        return [_inventory.finding("panel.export.member", panel, "setting", SETTINGS, title, evidence, _verify.AGAIN)] + _measured.keys(
            panel, opened, KEYS, needed
        )
    contents = opened.contents(SETTINGS, enter=lambda _path: False)
    return _verify.broken(contents, panel, SETTINGS) + _measured.keys(panel, opened, KEYS, needed)


def check(panel, system, login, database):
    """The server's check of the panel's own tables, as panels have no tool for them."""

    def finding(name, title, evidence):
        return [_inventory.finding("panel.native", panel, "database", name, title, evidence, "repair what it says")]

    program = next((name for name in ("mariadb-check", "mysqlcheck") if system.which(name)), None)
    if program is None:
        return finding(escape(database), "the panel's tables were not checked", "neither mariadb-check nor mysqlcheck is installed")
    done = host.call(system, [program, *login.words(), "--databases", database], login.environment())
    wrong = [line.strip() for line in host.words(done) if not re.search(r"\sOK\s*\Z", line)]
    if done.rc or wrong:
        return finding(escape(database), "the server finds a fault in the panel's tables", "exit %d: %s" % (done.rc, "; ".join(wrong[:3])))
    return []


def pack(view, target, paths, without, keys):
    """The panel's files and its keys, each as an archive: (files, what was said)."""
    said = ["setting panel: %s" % line for line in host.pack(view, target, SETTINGS, paths, without)]
    said += ["setting key: %s" % line for line in host.pack(view, target, KEYS, keys)]
    return [{"name": SETTINGS, "role": "artefact"}, {"name": KEYS, "role": "key"}], said


def dumps(system, login, names, target, say):
    """A dump of each database: (files, what was said, the worst exit status)."""
    out, said, worst = [], [], 0
    for name in names:
        say("dump of database %s" % escape(name))
        file = dump_name(name)
        status, lines = mysql.dump(system, login, name, os.path.join(target, file))
        said += ["database %s: %s" % (escape(name), line) for line in lines]
        said += ["database %s: exit %d of the dump" % (escape(name), status)] if status else []
        out.append({"name": file, "role": "dump"})
        worst = max(worst, status)
    return out, said, worst


def complaints(panel, opened, kind, errors, harmless=()):
    """Findings of what was said of the objects of one kind: `said` has the object first in each line."""
    found, lines = [], opened.document.get("said") or []
    for name in sorted({match.group(1) for match in (re.match(r"%s (\S+): " % kind, line) for line in lines) if match}):
        own = [line for line in lines if line.startswith("%s %s: " % (kind, name))]
        found += _verify.said(panel, own, errors, harmless, kind, name)
    return found


def gone(panel, view, paths):
    """Keys that should be there."""
    title, remedy = "key material of the panel is not there", "put it back; without it the panel can't reach its databases after a restore"
    return [_inventory.finding("panel.key.missing", panel, "setting", path, title, "no such file", remedy) for path in paths if not view.exists(path)]


def by_query(query, database, path):
    """Write a dump of a database that only answers questions, as a disk's does; how many tables. It ends as a program's dump does."""
    shape = {}
    for row in query("", SHAPE % mysql.text(database)):
        shape.setdefault(mysql.unhex(row[0]), []).append((mysql.unhex(row[1]), mysql.unhex(row[2]).lower()))
    if not shape:
        raise IntactError("the database %s has no tables, or is not there" % database)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape", newline="") as out:
        out.write("-- MariaDB dump made of answers, by Intact\n-- Database: %s\n\nSET NAMES utf8mb4;\nSET FOREIGN_KEY_CHECKS = 0;\n" % escape(database))
        for table, columns in shape.items():
            _table(query, database, table, columns, out)
        out.write("\n-- Dump completed\n")
    return len(shape)


def _table(query, database, table, columns, out):
    made = query("", "SHOW CREATE TABLE %s.%s" % (mysql.quoted(database), mysql.quoted(table)))
    statement = made[0][1].replace("\\n", "\n") if made and len(made[0]) > 1 else ""
    if not re.match(r"CREATE TABLE", statement):
        return  # a view holds no rows
    out.write("\nDROP TABLE IF EXISTS %s;\n%s;\n" % (mysql.quoted(table), statement))
    shown = ", ".join(_shown(name, kind) for name, kind in columns)
    head = "INSERT INTO %s (%s) VALUES " % (mysql.quoted(table), ", ".join(mysql.quoted(name) for name, _kind in columns))
    for row in query("", "SELECT 1, %s FROM %s.%s" % (shown, mysql.quoted(database), mysql.quoted(table))):
        out.write(head + "(%s);\n" % ", ".join(_literal(value, kind) for value, (_name, kind) in zip(row[1:], columns)))


def _shown(name, kind):
    column = mysql.quoted(name)
    return "IFNULL(HEX(%s), '-')" % (column if kind in BINARY else "CAST(%s AS CHAR)" % column)


def _literal(value, kind):
    if value == "-":
        return "NULL"
    if kind in BINARY:
        return "0x" + value if value else "''"
    text = mysql.unhex(value).replace("\\", "\\\\").replace("'", "\\'")
    for char, escaped in (("\0", "\\0"), ("\n", "\\n"), ("\r", "\\r"), ("\x1a", "\\Z")):
        text = text.replace(char, escaped)
    return "'%s'" % text
