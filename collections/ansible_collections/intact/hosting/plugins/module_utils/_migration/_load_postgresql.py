# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Dumps of a cold PostgreSQL into the live cluster."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile

from ansible_collections.intact.hosting.plugins.module_utils._backup import _dump, postgresql
from ansible_collections.intact.hosting.plugins.module_utils._baseline import _postgresql
from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._migration._loading import Loader

NAME = r'((?:"(?:[^"]|"")*")|[a-z_][a-z0-9_$]*)'
CREATE = re.compile(r"CREATE ROLE %s;" % NAME)
ALTER = re.compile(r"ALTER ROLE %s " % NAME)
GRANT = re.compile(r"GRANT %s TO %s\b" % (NAME, NAME))
# where a dump connects to the database that it made
CONNECT = b"\\connect "
# the setting that bears the token of a database which is being loaded
MARK = "intact.loading"
# the live cluster's own
OWN = {"postgres"}


class Postgresql(Loader):
    """See Loader. The live cluster is the one on the lowest port."""

    kind, label = "postgresql", _postgresql.NAME

    def check(self):
        found = _postgresql.labelled(_postgresql.clusters(self.live))
        if not found:
            raise IntactError("the old disk has PostgreSQL databases, and this host has no such server: install postgresql")
        _label, self._cluster = found[0]
        if not self._cluster["status"].startswith("online"):
            raise IntactError("this host's cluster %s/%s is %s: start it" % (self._cluster["version"], self._cluster["name"], self._cluster["status"]))
        items, _names = _postgresql.cluster_items(self.live, self._cluster, self.label)
        self._version = items[self.label]["version"]

    def versions_differ(self, dumped):
        return dumped["version"].split(".")[0] != self._version.split(".")[0]

    def names(self):
        items, names = _postgresql.cluster_items(self.live, self._cluster, self.label)
        del items
        return set(names)

    def drop(self, name):
        if name == "postgres":
            raise IntactError("the database postgres was half loaded: empty it by hand, it is not dropped")
        said = self._psql("template1", text="DROP DATABASE IF EXISTS %s;\n" % _postgresql.quote(name))
        if said:
            raise IntactError("the half loaded database %s could not be dropped: %s" % (escape(name), said[0]))

    def items(self, name, rules):
        return postgresql.items_of(self.live, self._cluster, self.label, name, rules)

    def _empty(self, name, shown):
        # pg_dump's file makes the database itself, with its owner and locale
        return name == "postgres" and super()._empty(name, shown)

    def bears(self, name, token):
        script = "SELECT json_build_object('is', 'setting', 'word', unnest(setconfig)) FROM pg_db_role_setting WHERE setrole = 0 AND setdatabase = "
        script += "(SELECT oid FROM pg_database WHERE datname = %s);\nSELECT json_build_object('is', 'end');\n" % _postgresql.literal(name)
        rows, _said = _postgresql.ask(self.live, self._cluster, "postgres", script)
        return {"is": "setting", "word": "%s=%s" % (MARK, token)} in rows

    def clear(self, name):
        for line in self._psql("postgres", text="ALTER DATABASE %s RESET %s;\n" % (_postgresql.quote(name), MARK)):
            raise IntactError("the server says: %s" % line)

    def create_and_fill(self, name, kept, token):
        if not kept["file"]:
            return []
        path = os.path.join(self._dest, kept["file"])
        if name == "postgres":
            return self._psql("postgres", path=path)
        return self._psql("template1", path=path, connected="ALTER DATABASE %s SET %s = '%s';\n" % (_postgresql.quote(name), MARK, token))

    def _psql(self, database, path=None, text="", connected=""):
        """[what the server refused] of a file or a text. connected: a statement that comes where the file connects to the database that it made."""
        argv = [*postgresql.AS_OWNER, "psql", "-X", "-q", "-v", "ON_ERROR_STOP=0", "-p", self._cluster["port"]]
        argv += ["-h", self.live.options["postgresql_host"]] if self.live.options.get("postgresql_host") else []
        argv += ["-d", postgresql.connection(database)]
        with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as errors:
            given.write(text.encode("utf-8", "surrogateescape"))
            given.seek(0)
            source = open(path, "rb") if path else given  # noqa: SIM115
            try:
                process = _dump.start(argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=errors, cwd="/")
                try:
                    for line in source if connected else ():
                        process.stdin.write(line)
                        if line.startswith(CONNECT):
                            process.stdin.write(connected.encode("utf-8", "surrogateescape"))
                            break
                    shutil.copyfileobj(source, process.stdin)
                    process.stdin.close()
                except BrokenPipeError:
                    pass
                finally:
                    status = process.wait(86400)
            finally:
                source.close()
            errors.seek(0)
            said = errors.read(20000).decode("utf-8", "backslashreplace").splitlines()
        words = [re.sub(r"SCRAM-SHA-256\S+|md5[0-9a-f]{32}", "(a hash)", line) for line in said if re.search(r"\b(ERROR|FATAL|error):", line)]
        return words or (["psql ended with status %d" % status] if status else [])

    # roles

    def before(self, dumped):
        path = os.path.join(self._dest, "accounts.sql")
        if not os.path.exists(path):
            return
        with open(path, "rb") as handle:
            lines = handle.read().decode("utf-8", "surrogateescape").split("\n")
        live, _names = _postgresql.cluster_items(self.live, self._cluster, self.label)
        roles = [_plain(match.group(1)) for match in map(CREATE.match, lines) if match]
        wanted = []
        for role in roles:
            subject = "%s role %s" % (self.label, escape(role))
            if role in OWN:
                self.explained.append({"class": "accounts", "subject": "database role " + escape(role), "reason": "this cluster's own role stays as it is"})
            elif subject not in live:
                wanted.append(role)
            elif not self._same(dumped["account_items"].get(subject, {}), live[subject]):
                remedy = "decide which one is right, and change or drop the one on this host"
                self._add("role", "blocker", subject, "a role of this name is there with other rights or another password: it was not touched", "", remedy)
            else:
                self.accounts.append(escape(role))
        # all or none: a role without its password would be taken for somebody else's by the next run
        statements = ["SET client_encoding = 'UTF8';", r"\set ON_ERROR_ROLLBACK on", "BEGIN;"]
        for line in lines:
            match = CREATE.match(line) or ALTER.match(line)
            granted = GRANT.match(line)
            if (match and _plain(match.group(1)) in wanted) or (granted and _plain(granted.group(2)) in wanted):
                statements.append(line)
            elif line.startswith("CREATE TABLESPACE"):
                self._add(
                    "tablespace",
                    "warning",
                    self.label,
                    "a tablespace was not made: its tables come into the default one",
                    line[:200],
                    "make it by hand first, if it is wanted",
                )
        for line in self._psql("postgres", text="\n".join([*statements, "COMMIT;"]) + "\n"):
            self._add("role", "blocker", self.label, "the server refused a role", line, "make it by hand")
        self.accounts += [escape(role) for role in wanted]
        self._passwords([role for role in roles if role not in OWN])

    def _passwords(self, roles):
        """Old md5 hashes that no rule of this cluster takes: PostgreSQL 14 and later ask for scram-sha-256 (its manual, "Password Authentication")."""
        script = (
            "SELECT DISTINCT json_build_object('is', 'method', 'word', auth_method)::text FROM pg_hba_file_rules WHERE error IS NULL;\n"
            "SELECT json_build_object('is', 'md5', 'word', encode(rolname::text::bytea, 'hex')) FROM pg_authid WHERE rolcanlogin AND rolpassword LIKE 'md5%';\n"
            "SELECT json_build_object('is', 'end');\n"
        )
        rows, _said = _postgresql.ask(self.live, self._cluster, "postgres", script)
        methods, old = ({row["word"] for row in rows if row["is"] == kind} for kind in ("method", "md5"))
        if "scram-sha-256" not in methods or methods & {"md5", "password"}:
            return
        for role in roles:
            if role.encode("utf-8", "surrogateescape").hex() in old:
                remedy = "write md5 for scram-sha-256 in pg_hba.conf (it takes both) and reload, or give the role a new password; then run this phase again"
                evidence = "its password is an md5 hash, and pg_hba.conf asks for scram-sha-256"
                self._add("password", "blocker", "%s role %s" % (self.label, escape(role)), "this role's old password does not log in here", evidence, remedy)

    @staticmethod
    def _same(before, after):
        # older servers tell less
        return all(after.get(key) == value for key, value in before.items())


def _plain(name):
    return name[1:-1].replace('""', '"') if name.startswith('"') else name
