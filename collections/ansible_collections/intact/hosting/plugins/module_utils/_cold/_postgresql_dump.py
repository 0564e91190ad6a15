# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Everything of a disk's PostgreSQL as dumps by this host's own programs: the roles, and each database with digests of its tables."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile

from ansible_collections.intact.hosting.plugins.module_utils._backup import postgresql
from ansible_collections.intact.hosting.plugins.module_utils._baseline import _postgresql as questions
from ansible_collections.intact.hosting.plugins.module_utils._cold import _dumped
from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

KIND = "postgresql"
TABLES = ("table", "materialised view", "large objects")
# the baseline's questions are for servers from here on
ASKED = 11
# of these settings, those that every version knows
SESSION_OLD = "SET TimeZone = 'UTC'; SET DateStyle = 'ISO, MDY'; SET extra_float_digits = 2; SET client_encoding = 'UTF8'; SET search_path = pg_catalog;\n"
OLDER = (
    "SELECT n.nspname || '|' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r'"
    " AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' ORDER BY 1;"
)
OLDER_ROWS = (
    "SELECT count(*) || ' ' || COALESCE(sum(('x' || substr(md5(intact_whole_row::text), 1, 16))::bit(64)::bigint::numeric), 0)"
    " FROM ONLY %s.%s intact_whole_row;"
)


class Taking:
    """One run over a cold cluster; attributes as those of _mysql_dump.Taking."""

    def __init__(self, server, files, identity, wanted=(), tell=lambda _line: None):
        self.server, self._files, self._identity, self._wanted, self._tell = server, files, identity, list(wanted), tell
        self.databases, self.findings, self.accounts, self.account_items, self.reset = {}, [], [], {}, []
        self.version = server.version

    def all(self):
        """Take everything."""
        self._cluster = {"version": self.server.version, "name": "main", "port": "5432", "status": "online"}
        items, names = self._globals()
        lacking = sorted(set(self._wanted) - set(names))
        if lacking:
            raise IntactError("the disk's cluster has no database %s: it has %s" % (", ".join(lacking), ", ".join(names)))
        self._accounts(items)
        for name in names:
            if not self._wanted or name in self._wanted:
                self._database(name, items.get("%s:%s" % (questions.NAME, escape(name)), {}))

    def system(self):
        """The server as the baseline's questions see it."""
        system = self.server.system()
        system.options["identity"] = self._identity
        return system

    def _old(self):
        return int(self.version.split(".")[0]) < ASKED

    def _globals(self):
        if not self._old():
            return questions.cluster_items(self.system(), self._cluster, questions.NAME)
        rows = self.server.sql("postgres", "SELECT datname FROM pg_database WHERE NOT datistemplate AND datallowconn ORDER BY 1;")
        roles = self.server.sql("postgres", "SELECT rolname FROM pg_authid ORDER BY 1;")
        if rows.rc or roles.rc:
            raise IntactError("the disk's cluster does not say what it holds: %s" % (rows.error or roles.error))
        items = {"%s role %s" % (questions.NAME, escape(name)): {"kind": "role"} for name in roles.text.splitlines()}
        return items, rows.text.splitlines()

    def _accounts(self, items):
        ended, said = self._files.write("accounts.sql", lambda fd: self._run(fd, self.server.argv("pg_dumpall", "--globals-only")))
        if not ended or not _dumped.whole(os.path.join(self._files.top, "accounts.sql"), postgresql.ACCOUNTS_ENDING):
            self.findings.append(_dumped.finding("accounts", "blocker", "accounts", "its roles could not be dumped", said, "make them anew by hand"))
        self.account_items = {subject: item for subject, item in items.items() if item["kind"] in ("role", "server")}
        self.accounts = sorted(subject.partition(" role ")[2] for subject in self.account_items if " role " in subject)

    def _run(self, fd, argv):
        with tempfile.TemporaryFile() as errors:
            process = self.server.client(argv, stdin=subprocess.DEVNULL, stdout=fd, stderr=errors)
            try:
                status = process.wait(86400)
            except BaseException:
                process.kill()
                process.wait()
                raise
            errors.seek(0)
            said = errors.read(4000).decode("utf-8", "backslashreplace").strip()
        _dumped.never_full(said, self._files.top)
        return status == 0, said

    def _database(self, name, item):
        self._tell("database %s" % escape(name))
        kept = self.databases[name] = {
            "tables": {},
            "views": [],
            "objects": {},
            "said": [],
            "charset": item.get("charset", ""),
            "collation": item.get("collation", ""),
        }
        kept["file"] = "%s.sql" % _dumped.quoted(name)
        try:
            items = self._older(name) if self._old() else questions_of(self.system(), self._cluster, name)
        except IntactError as exc:
            self.findings.append(
                _dumped.finding("closed", "blocker", name, "this database can't be read", str(exc), "install what it names, or read it on a helper machine")
            )
            kept["said"].append(str(exc))
            return
        for subject, found in items.items():
            if found["kind"] in TABLES:
                _dumped.never_full(found.get("error", ""), self.server.directory)
                table = subject[len("%s:%s" % (questions.NAME, escape(name))) + 1 :]
                kept["tables"][table] = {
                    "rows": found.get("rows", 0),
                    "digest": _dumped.digest(found),
                    "damaged": found.get("error", ""),
                    "item": found,
                    "said": [],
                    "kind": found["kind"],
                }
            else:
                kept["objects"][subject] = found
        damaged = [table for table, entry in sorted(kept["tables"].items()) if entry["damaged"]]
        options = [word for table in damaged for word in ("--exclude-table-data=" + _pattern(table),)]
        create = ["--create"] if name != "postgres" else []
        argv = self.server.argv("pg_dump", *create, *options, "-d", postgresql.connection(name))
        ended, said = self._files.write(kept["file"], lambda fd: self._run(fd, argv))
        if not ended or not _dumped.whole(os.path.join(self._files.top, kept["file"]), postgresql.ENDING):
            kept["said"].append(said)
            self.findings.append(
                _dumped.finding(
                    "dump", "blocker", name, "this database could not be dumped", said, "read it with the disk's own pg_dump, or on a helper machine"
                )
            )
            kept["file"] = ""
        for table in damaged:
            self.findings.append(
                _dumped.finding(
                    "damaged",
                    "blocker",
                    "%s.%s" % (name, table),
                    "this table is damaged on the disk: its rows were not saved",
                    kept["tables"][table]["damaged"],
                    "bring it back from a backup, or waive the loss",
                )
            )

    def _older(self, name):
        """{subject: item} of a server that the baseline's questions are too new for: tables only, with the same sums."""
        listed = self.server.sql(name, OLDER)
        if listed.rc:
            raise IntactError("PostgreSQL %s, database %s: %s" % (self.version, escape(name), (listed.error or "no answer").splitlines()[0]))
        out = {}
        for line in listed.text.splitlines():
            schema, _bar, table = line.partition("|")
            told = self.server.sql(name, SESSION_OLD + OLDER_ROWS % (questions.quote(schema), questions.quote(table)))
            item = out["%s:%s.%s.%s" % (questions.NAME, escape(name), escape(schema), escape(table))] = {"kind": "table", "database": escape(name)}
            numbers = re.match(r"(\d+) (-?\d+)\Z", told.text.strip())
            if not numbers:
                item.update(rows=0, error=(told.error or "it can't be read").splitlines()[0])
                continue
            item.update(rows=int(numbers.group(1)), chunk=0, parts=[[0, int(numbers.group(1)), numbers.group(2)]])
        return out


def questions_of(system, cluster, name):
    """Items of one database."""
    system.options.setdefault("table_bytes", 2**60)
    return postgresql.items_of(system, cluster, questions.NAME, name)


def _pattern(table):
    """schema.table as pg_dump's patterns want it."""
    return ".".join('"%s"' % part.replace('"', '""') for part in table.split(".", 1))
