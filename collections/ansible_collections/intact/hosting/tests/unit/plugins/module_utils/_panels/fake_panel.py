# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A small panel for tests of restores: domains and mailboxes in MariaDB, configuration in files, an import that can go wrong in many ways."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _mysql
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import _inventory

SECRET = "planted-Secret-7391"
HASH = "planted-hash-5512"


class Panel:
    """The driver. lab: a restore_lab.Lab. fault: what goes wrong in the import."""

    NAME, TITLE, MET, SOURCES = "fake", "Fake panel", "stand-in", ("tests",)

    def __init__(self, lab, fault=""):
        self.lab, self.fault = lab, fault

    def detect(self, view):
        version = view.read(self.lab.etc + "/version")
        return {"version": version.decode().strip(), "root": self.lab.etc} if version else None

    def inventory(self, system, found, query=None):
        ask = query or (lambda database, sql: [tuple(row) for row in self._ask(system, database, sql)])
        domains = {row[0]: {"owner": row[1]} for row in ask("panel", "SELECT name, owner FROM domains ORDER BY name")}
        boxes = {row[0]: {"password": _inventory.secret(row[1])} for row in ask("panel", "SELECT address, password FROM mail ORDER BY address")}
        limits = {name: {"value": system.text("%s/limits/%s" % (self.lab.etc, name)).strip()} for name in system.listdir(self.lab.etc + "/limits")}
        return _inventory.make(self.NAME, found["version"], "web1", "sql", {"domain": domains, "mailbox": boxes, "limit": limits})

    @staticmethod
    def _ask(system, database, sql):
        rows, said = _mysql.ask(system, "mariadb", ["USE `%s`;" % database, sql + ";", "SELECT 'end';"])
        if ["end"] not in rows or "ERROR" in said:
            raise IntactError("the panel's database did not answer: %s" % said)
        return rows[:-1]

    def keys(self, view, found):
        return [path for path in [self.lab.etc + "/keys/old.key"] if view.exists(path)]

    def export(self, system, found, mode, target, say):
        return self.rescue(system, found, lambda database, sql: [tuple(row) for row in self._ask(system, database, sql)], target)

    def rescue(self, view, found, query, target):
        held = {
            "domains": [list(row) for row in query("panel", "SELECT name, owner FROM domains ORDER BY name")],
            "mail": [list(row) for row in query("panel", "SELECT address, password FROM mail ORDER BY address")],
            "limits": {name: view.text("%s/limits/%s" % (self.lab.etc, name)).strip() for name in view.listdir(self.lab.etc + "/limits")},
        }
        with open(target + "/objects.json", "w") as handle:
            json.dump(held, handle)
        files = [{"name": "objects.json", "role": "artefact"}]
        for path in self.keys(view, found):
            with open(target + "/old.key", "wb") as handle:
                handle.write(view.read(path))
            files.append({"name": "old.key", "role": "key"})
        return {"files": files, "said": ["exported"], "rc": 0}

    def verify(self, opened, inventory, mode):
        if not opened.names("key"):
            return [_inventory.finding("panel.key.missing", self.NAME, "key", "old.key", "the export has no key", "", "export again")]
        try:
            held = json.loads(opened.read("objects.json"))
        except ValueError as exc:
            return [_inventory.finding("panel.export.schema", self.NAME, "file", "objects.json", "it can't be read", str(exc), "export again")]
        domains = {name: {"owner": owner} for name, owner in held["domains"]}
        boxes = {address: {"password": _inventory.secret(password)} for address, password in held["mail"]}
        limits = {name: {"value": value} for name, value in held["limits"].items()}
        seen = _inventory.make(self.NAME, "", "", "files", {"domain": domains, "mailbox": boxes, "limit": limits})
        return _inventory.compare(inventory, seen)

    def daily(self, view, found):
        paths = view.glob(self.lab.etc + "/dumps/*.gz")
        return [{"path": path, "made": "2008-11-22T0%d:00:00Z" % n, "holds": "the database", "lacks": "sites"} for n, path in enumerate(paths)]

    def checkpoint(self, system, found):
        store = self.lab.etc + "/store.sqlite"
        more = [{"engine": "sqlite", "name": store, "port": ""}] if system.exists(store) else []
        return {"paths": [self.lab.etc], "databases": ["panel", *more], "services": []}

    def restore(self, system, found, opened, say):
        held = json.loads(opened.read("objects.json"))
        sql = self.lab.server.sql
        if self.fault == "sqlite":
            with contextlib.closing(sqlite3.connect(self.lab.etc + "/store.sqlite", isolation_level=None)) as store:
                store.execute("INSERT INTO t VALUES ('imported')")
                raise IntactError("the import broke off")
        if self.fault.startswith("adds"):
            sql("INSERT INTO domains VALUES ('more.example.com', 'x'); INSERT INTO mail VALUES ('x@more.example.com', 'x')", "panel")
            self._fail("end")
        sql("DROP TABLE mail", "panel")
        sql("DELETE FROM domains", "panel")
        self._fail("early")
        with open(self.lab.etc + "/panel.conf", "w") as handle:
            handle.write("imported\n")
        with open(self.lab.etc + "/imported", "w") as handle:
            handle.write("new\n")
        os.unlink(self.lab.etc + "/keys/old.key")
        os.chmod(self.lab.etc + "/keys", 0o755)
        sql("CREATE DATABASE cust2; CREATE TABLE cust2.t (a INT); INSERT INTO cust2.t VALUES (1);")
        sql("CREATE USER 'new'@'localhost' IDENTIFIED BY '%s'; GRANT ALL ON cust2.* TO 'new'@'localhost'; DROP USER 'shop'@'localhost';" % SECRET)
        sql("CREATE TABLE mail (address VARCHAR(99) PRIMARY KEY, password VARCHAR(99)) ENGINE=InnoDB", "panel")
        for name, owner in held["domains"]:
            sql("INSERT INTO domains VALUES ('%s', '%s')" % (name, owner), "panel")
        self._fail("late")
        for address, password in held["mail"]:
            sql("INSERT INTO mail VALUES ('%s', '%s')" % (address, password), "panel")
        self._fail("end")
        # what a whole import leaves as it was here, except what it is for
        if not self.fault.startswith("untidy"):
            sql("DROP DATABASE cust2; DROP USER 'new'@'localhost'; CREATE USER 'shop'@'localhost' IDENTIFIED BY '%s';" % HASH)
        return {"said": ["imported"], "rc": 3 if self.fault == "rc" else 0}

    def repair(self, system, found):
        if self.fault == "repair":
            raise IntactError("the panel's repair tool crashed")
        return []

    def _fail(self, when):
        server, sql = self.lab.server, self.lab.server.sql
        if self.fault == "killed-" + when:
            os.kill(os.getpid(), signal.SIGKILL)
        elif self.fault == "server-" + when:
            server.end()
            raise IntactError("the import lost its connection to the database")
        elif self.fault == "own-" + when:
            # its accounts, as a crash may leave them
            server.end()
            server.damage("mysql/global_priv.MAD", "mysql/global_priv.MAI")
            raise IntactError("the import lost its connection to the database")
        elif self.fault == "running-" + when:
            # the server runs and refuses everybody
            sql("DELETE FROM mysql.global_priv WHERE User = 'root'; FLUSH PRIVILEGES;")
            raise IntactError("the import was refused by the database")
        elif self.fault == "torn-" + when:
            server.end(signal.SIGTERM)
            server.damage("panel/domains.ibd", size=16384 * 4)
            server.start()
        elif self.fault == "gone-" + when:
            sql("DROP DATABASE panel")
            raise IntactError("the database is gone")
        elif self.fault == "leftover-" + when:
            with open(server.data + "/panel/left.txt", "w") as handle:
                handle.write("no table\n")
            raise IntactError("the import broke off")
        elif self.fault == "bug-" + when:
            raise KeyError("a driver's mistake")
        elif self.fault == "told-" + when:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(30)
        elif self.fault == "twice-" + when:
            both = (signal.SIGTERM, signal.SIGHUP)
            signal.pthread_sigmask(signal.SIG_BLOCK, both)
            for number in both:
                os.kill(os.getpid(), number)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, both)
            time.sleep(30)
        elif self.fault == "orphan-" + when:
            self._leave_behind()
            os.kill(os.getpid(), signal.SIGKILL)
        elif self.fault == "loses-" + when:
            sql("DELETE FROM mail LIMIT 1", "panel")
        elif self.fault == "adds-" + when:
            raise IntactError("the import broke off")

    def _leave_behind(self):
        """A child that goes on writing when its parent is gone."""
        script = "import time\nwhile True:\n    open(%r, 'a').write('x')\n    time.sleep(0.02)\n" % (self.lab.etc + "/orphan")
        subprocess.Popen([sys.executable, "-c", script], start_new_session=True)
        while not os.path.exists(self.lab.etc + "/orphan"):
            time.sleep(0.02)
