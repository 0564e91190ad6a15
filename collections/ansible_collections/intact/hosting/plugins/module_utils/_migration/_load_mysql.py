# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Dumps of a cold MySQL or MariaDB into the live one."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile

from ansible_collections.intact.hosting.plugins.module_utils._backup import _dump, _throwaway
from ansible_collections.intact.hosting.plugins.module_utils._baseline import _mysql
from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._migration._loading import DONE, Loader

# accounts that belong to the server or to its packages, on both sides
OWN = {"root", "mysql", "mariadb.sys", "mysql.sys", "mysql.session", "mysql.infoschema", "debian-sys-maint", "PUBLIC"}
WHO = r"(?:`(?:[^`]|``)*`|'(?:[^']|\\'|'')*')"
STATEMENT = re.compile(
    r"(?:CREATE USER(?: IF NOT EXISTS)?|ALTER USER|CREATE ROLE IF NOT EXISTS|GRANT .* TO|SET DEFAULT ROLE .* FOR) (%s(?:@%s)?)" % (WHO, WHO), re.DOTALL
)
# what a table was made with before 5.1
TYPE = re.compile(rb"^\) TYPE=(?=\w)")
# the table that bears the token of a database which is being loaded
MARK = "intact_is_loading_this_database"
# the name of the state of accounts
ACCOUNTS = "accounts of this server"
SESSION = "SET SESSION foreign_key_checks = 0, unique_checks = 0, sql_mode = 'NO_AUTO_VALUE_ON_ZERO'"


class Mysql(Loader):
    """See Loader."""

    kind, label = "mysql", _mysql.NAME

    def check(self):
        self._client = _mysql.program(self.live)
        if not self._client:
            raise IntactError("the old disk has MySQL or MariaDB databases, and this host has no such server: install mariadb-server")
        rows, said = _mysql.ask(self.live, self._client, ["SELECT 'version', VERSION();"])
        if not rows:
            raise IntactError("this host's database server gives no answer: %s" % ((said.splitlines() or ["nothing"])[-1]))
        self._version = rows[0][1]

    def versions_differ(self, dumped):
        return _series(dumped["version"]) != _series(self._version)

    def _ask(self, *statements):
        rows, said = _mysql.ask(self.live, self._client, [*statements, "SELECT 'end';"])
        words = [line for line in said.splitlines() if line.startswith("ERROR")]
        if words or ["end"] not in rows:
            raise IntactError("the database server says: %s" % (words or said.splitlines() or ["nothing"])[0])
        return rows

    def names(self):
        return {_mysql.unhex(row[1]) for row in self._ask("SELECT 'db', HEX(SCHEMA_NAME) FROM information_schema.SCHEMATA;") if row[0] == "db"}

    def drop(self, name):
        self._ask("DROP DATABASE IF EXISTS %s;" % _mysql.quote(name))

    def items(self, name, rules):
        return _mysql.database_items(self.live, self._client, name, list(rules))

    def bears(self, name, token):
        there = self._ask("SELECT 'there' FROM information_schema.TABLES WHERE HEX(TABLE_SCHEMA) = '%s' AND TABLE_NAME = '%s';" % (_hex(name), MARK))
        return ["there"] in there and ["token", token] in self._ask("SELECT 'token', token FROM %s.%s;" % (_mysql.quote(name), MARK))

    def clear(self, name):
        self._ask("DROP TABLE IF EXISTS %s.%s;" % (_mysql.quote(name), MARK))

    def create_and_fill(self, name, kept, token):
        charset = "".join(" %s %s" % (word, kept[key]) for word, key in (("CHARACTER SET", "charset"), ("COLLATE", "collation")) if kept.get(key))
        made = "CREATE DATABASE IF NOT EXISTS %s%s;" % (_mysql.quote(name), charset)
        alter = "ALTER DATABASE %s%s;" % (_mysql.quote(name), charset)
        mark = "%s.%s" % (_mysql.quote(name), MARK)
        self._ask(made, "CREATE TABLE %s ENGINE=InnoDB AS SELECT '%s' AS token;" % (mark, token), *([alter] if charset else []))
        packet = self._ask("SELECT 'packet', @@GLOBAL.max_allowed_packet;")[0][1]
        # a row may be as long as its table allowed, and twice that in hexadecimal
        self._ask("SET GLOBAL max_allowed_packet = 1073741824;")
        out = []
        try:
            files = [entry["file"] for _table, entry in sorted(kept["tables"].items()) if entry["file"] and (entry.get("item") or not entry["damaged"])]
            for path in [*files, kept["file"], kept.get("events_file", "")]:
                if path:
                    out += ["%s: %s" % (escape(path), line) for line in self._load(name, os.path.join(self._dest, path))]
        finally:
            self._ask("SET GLOBAL max_allowed_packet = %d;" % int(packet))
        return out

    def _load(self, name, path):
        """[what the server refused] of a file."""
        if not os.path.exists(path):
            return ["the file is gone"]
        argv = [self._client]
        if self.live.options.get("mysql_defaults_file"):
            argv.append("--defaults-extra-file=" + self.live.options["mysql_defaults_file"])
        # forced: what one statement is refused for must not hide what comes after it; what is missing is told by the comparison
        argv += ["--protocol=socket", "--loose-skip-ssl", "--binary-mode", "--force", "--default-character-set=utf8mb4", "--max-allowed-packet=1G"]
        argv += ["--init-command=" + SESSION + ", innodb_strict_mode = OFF"] if "MARIADB" in self._version.upper() else ["--init-command=" + SESSION]
        argv += ["--database=" + name] if name else []
        with open(path, "rb") as source, tempfile.TemporaryFile() as errors:
            process = _dump.start(argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=errors)
            try:
                for line in source:
                    process.stdin.write(TYPE.sub(b") ENGINE=", line))
                process.stdin.close()
            except BrokenPipeError:
                pass
            finally:
                status = process.wait(86400)
            errors.seek(0)
            said = errors.read(20000).decode("utf-8", "backslashreplace").splitlines()
        # the text near an error is a customer's data, and may be a password's hash
        words = [re.sub(r"near '.*", "near (a piece of the dump)", line) for line in said if line.startswith("ERROR")]
        return words or (["the client ended with status %d" % status] if status else [])

    # accounts

    def after(self, dumped):
        path = os.path.join(self._dest, "accounts.sql")
        if not os.path.exists(path):
            return
        with open(path, "rb") as handle:
            text = handle.read().decode("utf-8", "surrogateescape")
        before = dumped["account_items"]
        live = _mysql.account_items(self.live, self._client)
        matches = [(STATEMENT.match(statement), statement) for statement in text.split(";\n")]
        chosen = [(_plain(match.group(1)), statement) for match, statement in matches if match]
        made, finished = self.kept(ACCOUNTS, "names") or [], self.kept(ACCOUNTS, "finished") or []
        wanted = [who for who in dict.fromkeys(who for who, _statement in chosen) if self._takes(who, before, live, made)]
        # who was brought before may have a new password or other rights by now
        fresh = [who for who in wanted if who not in finished or _item(who) not in live]
        if fresh:
            self._set(ACCOUNTS, DONE, names=sorted({*made, *fresh}), finished=finished)
            self._run_statements([statement for who, statement in chosen if who in fresh])
            wrong = self._compare_accounts([who for who in fresh if "grants" not in before.get(_item(who), {})], before)
            self.findings += wrong
            bad = {finding.subject for finding in wrong if finding.severity == "blocker"}
            self._set(ACCOUNTS, DONE, names=sorted({*made, *fresh}), finished=sorted({*finished, *(who for who in fresh if _item(who) not in bad)}))
        self.accounts = [escape(who) for who in wanted]
        for who in wanted:
            item = before.get(_item(who), {})
            if "@" in who and "grants" not in item and not item.get("secret") and item.get("plugin", "") in ("", "mysql_native_password"):
                self._add("no_password", "warning", escape(who), "this account has no password, as on the old server", "", "give it one, or drop it")

    def _compare_accounts(self, people, before):
        now = _mysql.account_items(self.live, self._client)
        keys = {_item(who) for who in people} | {_mysql.NAME}
        old, new = ({key: item for key, item in side.items() if key in keys} for side in (before, now))
        for side in (old, new):
            if _mysql.NAME in side:
                side[_mysql.NAME] = {"kind": "server", "known": side[_mysql.NAME].get("known", [])}
        return [finding for finding in _throwaway.compare(old, new) if finding.subject != _mysql.NAME]

    def _takes(self, who, before, live, made):
        name = who.rpartition("@")[0] or who
        if name in OWN:
            self.explained.append({"class": "accounts", "subject": "database account " + escape(who), "reason": "this server's own account stays as it is"})
            return False
        if who.startswith("@"):
            title, remedy = "an account without a name lets everybody in: it was not brought", "make a named account for whoever needs it"
            self._add("anonymous", "warning", escape(who), title, "", remedy)
            return False
        if _item(who) in live and who not in made and live[_item(who)] != before.get(_item(who)):
            title = "an account of this name is there with other rights or another password: it was not touched"
            self._add("account", "blocker", escape(who), title, "", "decide which one is right, and change or drop the one on this host")
            return False
        return True

    def _run_statements(self, statements):
        with tempfile.NamedTemporaryFile(dir=self._states, prefix="accounts-") as handle:
            handle.write((";\n".join(statements) + ";\nFLUSH PRIVILEGES;\n").encode("utf-8", "surrogateescape"))
            handle.flush()
            for line in self._load("", handle.name):
                title = "the server refused an account or a right"
                self._add("account", "blocker", "accounts", title, re.sub(r"'\*[0-9A-F]{40}'", "(a hash)", line), "make it by hand")


def _hex(name):
    return name.encode("utf-8", "surrogateescape").hex().upper()


def _item(who):
    """The subject of an account's item; a role has no host."""
    return "%s user %s" % (_mysql.NAME, escape(who if "@" in who else who + "@"))


def _plain(who):
    """name@host of a quoted account, or the name of a role."""
    parts = re.findall(WHO, who)
    return "@".join(part[1:-1].replace(part[0] * 2, part[0]) for part in parts)


def _series(version):
    match = re.match(r"(\d+\.\d+)", version)
    return (match.group(1) if match else version, "MARIADB" in version.upper())
