# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Everything of a disk's MySQL or MariaDB as dumps: table by table, byte for byte, with digests; what is damaged is told by name."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile

from ansible_collections.intact.hosting.plugins.module_utils._backup import _dump, _mysql_accounts, mysql
from ansible_collections.intact.hosting.plugins.module_utils._baseline import _mysql as questions
from ansible_collections.intact.hosting.plugins.module_utils._cold import _dumped, _mysql, _mysql_tables
from ansible_collections.intact.hosting.plugins.module_utils._command import run, which
from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._system import System

KIND = "mysql"
UPGRADES = ("mariadb-upgrade", "mysql_upgrade")
# a crashed table is told before it is repaired, and not repaired by merely looking at it
OPTIONS = ["--loose-myisam-recover-options=OFF"]
OBJECTS = ["--no-data", "--skip-events", "--no-create-info", "--no-create-db", "--force"]
SERVERS_OWN = ("mariadb.sys", "mysql.sys", "mysql.session", "mysql.infoschema", "PUBLIC")
# pre-4.1 passwords: 16 hex digits
OLD_HASH = re.compile(r"\A[0-9a-fA-F]{16}\Z")


class Taking:
    """One run over a cold server. identity: keys the digests of passwords. wanted: names of databases, [] for all.

    databases {name: {charset collation objects dropped tables {name: {...}}}}; findings; accounts [names]; reset [names].
    """

    def __init__(self, server, files, identity, wanted=(), tell=lambda _line: None):
        self.server, self._files, self._identity, self._wanted, self._tell = server, files, identity, list(wanted), tell
        self.databases, self.findings, self.accounts, self.account_items, self.reset, self.definers = {}, [], [], {}, [], {}
        self.version = ""

    def all(self):
        """Take everything; the server may die of a table and is started again."""
        self._upgrade()
        names = self._names()
        self._events()
        for name in names:
            self._database(name)
        self._privileged()
        # last: what is opened anew has nothing of what was done above
        _mysql_tables.salvage(self)

    # asking

    def system(self):
        """The server as the baseline's questions see it; every table is digested, whatever its size."""
        system = self.server.system()
        system.options["identity"] = self._identity
        return system

    def ask(self, *statements):
        """(rows, what the client complained about)."""
        return questions.ask(self.system(), mysql.CLIENTS[0] if which(mysql.CLIENTS[0]) else "mysql", list(statements))

    def _login(self):
        path = os.path.join(self.server.directory, "client.cnf")
        if not os.path.exists(path):
            # clients from MariaDB 11.4 on refuse servers without TLS (2026)
            self.server._file("client.cnf", "[client]\nsocket=%s\nprotocol=socket\nloose-skip-ssl\nuser=root\n" % self.server.socket)
        return path

    # the server's own tables

    def _upgrade(self):
        """Bring the system tables of another version to this server's, on the copy; without that questions about mysql.* fail."""
        rows, said = self.ask("SELECT 'version', VERSION();", "SELECT 'end';")
        if ["end"] not in rows:
            raise IntactError("the disk's server gives no answer: %s" % (said.splitlines() or ["nothing"])[-1])
        self.version = rows[0][1]
        program = next((name for name in UPGRADES if which(name)), None)
        inside = os.path.realpath(self.server.data).startswith(os.path.realpath(self.server.directory) + "/")
        if self.server.by_disk or not program or not inside:
            return
        noted = self.server.noted_version()
        if noted and noted.split("-")[0] == self.version.split("-")[0]:
            return
        self._tell("bringing the server's own tables to %s, on the copy" % self.version)
        # its note about what it did lands below the data directory's path, which must be ours also where only the server sees what is there
        os.makedirs(self.server.data, exist_ok=True)
        self.server._own(self.server.data)
        argv = [which(program), "--defaults-file=" + self._login(), "--force", "--upgrade-system-tables"]
        done = run(self.server.unprivileged(argv), timeout=7200, check=False, env={"HOME": self.server.directory, "TMPDIR": self.server.directory})
        if done.rc:
            words = (done.error or done.text).splitlines() or ["status %d" % done.rc]
            self.findings.append(
                _dumped.finding(
                    "upgrade", "warning", "mysql", "the server's own tables could not be brought to this version", words[-1], "look at its accounts by hand"
                )
            )
        else:
            self.server.said.append("its system tables (%s) were brought to %s, on the copy" % (noted or "of an unknown version", self.version))
        # it let privileges in, which nobody of us has
        self.server.again()

    def _names(self):
        rows, said = self.ask("SELECT 'db', HEX(SCHEMA_NAME) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME %s;" % questions.CUSTOMERS, "SELECT 'end';")
        if ["end"] not in rows:
            raise IntactError("the disk's server gave no list of databases: %s" % (said.splitlines() or ["nothing"])[-1])
        found = sorted(questions.unhex(row[1]) for row in rows if row[0] == "db" and not questions.unhex(row[1]).startswith("#mysql50#"))
        lacking = sorted(set(self._wanted) - set(found))
        if lacking:
            raise IntactError("the disk's server has no database %s: it has %s" % (", ".join(lacking), ", ".join(found) or "none"))
        return [name for name in found if not self._wanted or name in self._wanted]

    def _events(self):
        """Every event is off in the dump: who cuts over turns them on."""
        rows, said = self.ask(
            "SELECT 'event', HEX(db), HEX(name) FROM mysql.event WHERE status = 'ENABLED';",
            "UPDATE mysql.event SET status = 'DISABLED' WHERE status = 'ENABLED';",
        )
        self.events = sorted("%s.%s" % (questions.unhex(row[1]), questions.unhex(row[2])) for row in rows if row[0] == "event")
        if "ERROR" in said:
            self.findings.append(
                _dumped.finding("events", "warning", "events", "its events could not be read", said.splitlines()[0], "look for events on the disk")
            )

    # one database

    def _database(self, name):
        self._tell("database %s" % escape(name))
        kept = self.databases[name] = {"tables": {}, "views": [], "objects": {}, "said": []}
        _mysql_tables.look(self, name, kept)
        for table in sorted(kept["tables"]):
            _mysql_tables.take(self, name, table, kept["tables"][table])
        damaged = [table for table, entry in kept["tables"].items() if entry["damaged"]]
        found = self._objects(name, kept, damaged)
        kept["objects"] = found

    def _objects(self, name, kept, damaged):
        """Routines, events, triggers and views: {subject: item}."""
        base = quoted = _dumped.quoted(name)
        ignored = ["--ignore-table=%s.%s" % (name, table) for table in damaged]
        path = "%s/_objects.sql" % base
        said = self._files.write(path, lambda fd: self.dump(fd, OBJECTS + ignored, name)[1])
        if kept["views"]:
            said += self._files.append(path, lambda fd: self.dump(fd, _mysql_tables.STRUCTURE + ["--force"], name, *kept["views"])[1])
        kept["file"], kept["said"] = path, [escape(line) for line in said.splitlines() if line.strip()][:20]
        for line in kept["said"]:
            self.findings.append(
                _dumped.finding("object", "warning", name, "a view, routine, trigger or event is broken on the disk", line, "repair it there or drop it")
            )
        if not _dumped.whole(os.path.join(self._files.top, path), mysql.ENDING):
            raise IntactError("%s: its views and routines were not dumped to the end: %s" % (quoted, said[:300]))
        items = _mysql_tables.objects(self, name)
        for subject, item in items.items():
            who = item.get("properties", "").split(" ")[0]
            if item["kind"] in ("view", "routine", "trigger", "event") and "@" in who:
                self.definers.setdefault(who, []).append(subject)
        return items

    def _events_of(self, name):
        """Statements that make a database's events."""
        lines = ["-- Events", "SET NAMES utf8mb4;"]
        raw = name.encode("utf-8", "surrogateescape").hex().upper()
        rows, _said = self.ask("SELECT 'event', HEX(name), HEX(definer) FROM mysql.event WHERE HEX(db) = '%s' ORDER BY name;" % raw)
        for row in rows:
            event, definer = questions.unhex(row[1]), questions.unhex(row[2])
            full = "%s.%s" % (questions.quote(name), questions.quote(event))
            made, said = self.ask("SHOW CREATE EVENT %s;" % full)
            if not made or len(made[0]) < 4:
                evidence, remedy = said or "it is not told of", "make it anew by hand"
                self.findings.append(_dumped.finding("object", "warning", "%s.%s" % (name, event), "this event could not be dumped", evidence, remedy))
                continue
            mode, zone, text = (_mysql_accounts._unescaped(value) for value in made[0][1:4])
            lines += ["SET sql_mode = '%s', time_zone = '%s';" % (mode.replace("'", "''"), zone.replace("'", "''"))]
            lines += ["DELIMITER ;;", text + " ;;", "DELIMITER ;"]
            self.definers.setdefault(definer, []).append("%s (event)" % full)
            self.databases[name]["events"].append(escape(event))
        return "\n".join([*lines, mysql.ENDING.decode(), ""]).encode("utf-8", "surrogateescape")

    def dump(self, fd, options, *names):
        """(whether the program ended well, its complaints): a dump by this host's program into a descriptor."""
        argv = mysql.dump_argv(System(), "x")
        argv = [which(argv[0]), "--defaults-file=" + self._login()] + argv[1 : argv.index("--databases")] + options + ["--", *names]
        with tempfile.TemporaryFile() as errors:
            process = _dump.start(self.server.unprivileged(argv), {"HOME": self.server.directory}, stdin=subprocess.DEVNULL, stdout=fd, stderr=errors)
            try:
                status = process.wait(86400)
            except BaseException:
                process.kill()
                process.wait()
                raise
            errors.seek(0)
            said = errors.read(8000).decode("utf-8", "backslashreplace")
        _dumped.never_full(said, self._files.top)
        return status == 0, "".join(line + "\n" for line in said.splitlines() if "error" in line.lower() or "Couldn't" in line)

    # accounts

    def _privileged(self):
        try:
            self.server.admit()
            self._accounts()
        except IntactError as exc:
            self.findings.append(_dumped.finding("accounts", "blocker", "accounts", "its accounts could not be read", str(exc), "make them anew by hand"))
            if self.events:
                evidence, remedy = ", ".join(escape(name) for name in self.events), "make them anew by hand"
                self.findings.append(_dumped.finding("events", "blocker", "events", "its events could not be read", evidence, remedy))
            return
        for name, kept in self.databases.items():
            path = "%s/_events.sql" % _dumped.quoted(name)
            kept["events"], kept["events_file"] = [], path
            self._files.write(path, lambda fd, name=name: _write(fd, self._events_of(name)))
        for who, subjects in sorted(self.definers.items()):
            if escape(who) not in self.accounts:
                evidence, remedy = ", ".join(sorted(subjects)[:8]), "make the account, or change the definer"
                self.findings.append(_dumped.finding("definer", "warning", who, "this account defines what is there, and does not exist", evidence, remedy))

    def _accounts(self):
        """Accounts as the server's own statements."""
        try:
            stored = mysql.accounts(self.system())[0]
            text, items = _without_admin(stored.text), stored.section()
            stored.close()
        except IntactError:
            # before 5.7 there is no SHOW CREATE USER, and the grants hold the passwords
            text, items = self._grants()
        rows, _said = self.ask("SELECT 'hash', HEX(CONCAT(User, '@', Host)), HEX(authentication_string) FROM mysql.user;")
        self._files.write("accounts.sql", lambda fd: _write(fd, text))
        self.account_items = {subject: item for subject, item in items.items() if not subject.endswith(" user %s@localhost" % _mysql.ADMIN)}
        self.accounts = sorted(subject.partition(" user ")[2] for subject in self.account_items if " user " in subject)
        for row in rows:
            if row[0] == "hash" and OLD_HASH.match(questions.unhex(row[2])):
                self.reset.append(escape(questions.unhex(row[1])))
        for who in sorted(self.reset):
            self.findings.append(
                _dumped.finding(
                    "old_hash",
                    "warning",
                    who,
                    "this account has a password of before 4.1",
                    "16 hexadecimal digits",
                    "give it a new password: no server of today takes it",
                )
            )

    def _grants(self):
        """(statements, {subject: item}) of accounts by their grants alone."""
        people, said = self.ask("SELECT 'user', HEX(User), HEX(Host) FROM mysql.user ORDER BY User, Host;", "SELECT 'end';")
        if ["end"] not in people:
            raise IntactError("the disk's server gave no list of accounts: %s" % (said.splitlines() or ["nothing"])[-1])
        lines, items = [], {}
        for row in people[:-1]:
            user, host = questions.unhex(row[1]), questions.unhex(row[2])
            if user == _mysql.ADMIN or user in SERVERS_OWN:
                continue
            grants, said = self.ask("SHOW GRANTS FOR %s@%s;" % (questions.quote(user), questions.quote(host)))
            if not grants:
                raise IntactError("the disk's server does not tell what %s@%s may do: %s" % (escape(user), escape(host), said.splitlines()[-1:]))
            lines += [_mysql_accounts._unescaped("\t".join(words)) + ";" for words in grants]
            items["%s user %s" % (questions.NAME, escape("%s@%s" % (user, host)))] = {
                "kind": "user",
                "plugin": "",
                "secret": "",
                "privileges": {},
                "grants": len(grants),
            }
        text = "\n".join(["-- Accounts and rights", "SET NAMES utf8mb4;", *lines, "FLUSH PRIVILEGES;", mysql.ENDING.decode(), ""])
        return text.encode("utf-8", "surrogateescape"), items


def _without_admin(text):
    """The statements without those of our own account; it is no name of the disk's."""
    own = ("`%s`@" % _mysql.ADMIN).encode(), ("'%s'@" % _mysql.ADMIN).encode()
    return b"\n".join(line for line in text.split(b"\n") if not any(word in line for word in own))


def _write(fd, data):
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
