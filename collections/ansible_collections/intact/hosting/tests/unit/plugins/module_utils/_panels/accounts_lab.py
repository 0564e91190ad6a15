# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host with the stand-in of a panel with accounts, and a real MariaDB behind it: restores on it, in this process or in one that is killed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile

from ansible_collections.intact.hosting.plugins.module_utils import _command, _flight
from ansible_collections.intact.hosting.plugins.module_utils._panels import _registry, _restoring, _run, _trees
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels import panel_server
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels.stand_in_run import TESTS

from stand_ins import mysql_server  # isort: skip (found by stand_in_run)
from stand_ins.machine import Machine  # isort: skip
from stand_ins.view import View  # isort: skip

COLLECTIONS = os.path.abspath(__file__).split("/ansible_collections/")[0]
SQL = ("mariadb", "mysql", "mariadb-dump", "mysqldump", "mariadb-check", "mysqlcheck")
# Below these lies all that a panel, a customer or the host's programs may have been changed in.
EVERYTHING = ("/etc", "/home", "/usr", "/var/cpanel", "/var/named", "/var/spool")


class Host(View):
    """The stand-in's host, whose database server is a real one. Its programs are processes: one of them kills who started it."""

    apart = True

    @staticmethod
    def count():
        """Told before each program."""

    def which(self, program):
        return _command.which(program) if program in (*SQL, "mariadbd", "setpriv") else super().which(program)

    def run(self, argv, timeout=120, stdin=b"", env=None, check=True):
        self.count()
        argv = [str(word) for word in argv]
        if argv[0] in SQL:
            if not any(word.startswith("--defaults") for word in argv[1:]):
                argv.insert(1, "--defaults-file=" + self.options["mysql_defaults_file"])
            return _command.run(argv, timeout=timeout, stdin=stdin, env=env, check=check)
        return super().run(argv, timeout, stdin, env, check)


class Lab:
    """panel: cpanel or directadmin. top: a directory of its own; made when it is not there."""

    def __init__(self, panel, top=None):
        self.panel, self.driver = panel, _registry.driver(panel)
        self.top = top or tempfile.mkdtemp(prefix="intact-panel-")
        self.root, self.restores = self.top + "/host", self.top + "/restores"
        self.server = panel_server.HostServer(self.top)
        self.server.socket = self.top + "/run/s"
        self.settings = _run.Settings(root=self.top + "/panel", native=False)

    def make(self):
        """Install the stand-in; its databases and their users come into the server."""
        os.chmod(self.top, 0o711)
        os.mkdir(self.root)
        self.server.make()
        from stand_ins import cpanel, directadmin  # noqa: F401 (packages)
        from stand_ins.cpanel import host as cpanel_host
        from stand_ins.directadmin import host as directadmin_host

        machine = (cpanel_host if self.panel == "cpanel" else directadmin_host).install(self.root)
        store = machine.document(mysql_server.STORE)
        script = ["CREATE USER 'da_admin'@'localhost' IDENTIFIED BY 'x'", "GRANT ALL ON *.* TO 'da_admin'@'localhost' WITH GRANT OPTION"]
        for name, tables in store["databases"].items():
            script.append("CREATE DATABASE `%s`" % name)
            for number, (table, rows) in enumerate(tables.items()):
                engine = ("InnoDB", "MyISAM")[number % 2]
                script.append("CREATE TABLE `%s`.`%s` (id INT PRIMARY KEY, v VARCHAR(99)) ENGINE=%s" % (name, table, engine))
                script += ["INSERT INTO `%s`.`%s` VALUES (%d, '%s')" % (name, table, row[0], row[1]) for row in rows]
        for name, told in store["users"].items():
            script.append("CREATE USER '%s'@'%s' IDENTIFIED BY 'of %s'" % (name, told["host"], name))
            script += ["GRANT ALL ON `%s`.* TO '%s'@'%s'" % (database.replace("_", "\\_"), name, told["host"]) for database in told["databases"]]
        self.server.sql(";\n".join(script) + ";\n")
        mysql_server.serve(machine, self.server.options, self.top + "/run/pid")
        if self.panel == "directadmin":
            machine.write("/usr/local/directadmin/conf/my.cnf", "[client]\nuser=da_admin\npassword=x\nsocket=%s\n" % self.server.socket, 0o600)
        return self

    @property
    def machine(self):
        return Machine(self.root)

    @property
    def view(self):
        return Host(self.root, {"mysql_defaults_file": self.server.options})

    def close(self):
        self.server.end()
        shutil.rmtree(self.top, ignore_errors=True)

    def export(self, mode="settings"):
        """An Outcome."""
        self.settings.mode = mode
        return _run.export(self.view, self.driver, self.driver.detect(self.view), self.settings)

    def inventory(self):
        return self.driver.inventory(self.view, self.driver.detect(self.view))

    def state(self):
        """Everything that a way back must bring back, as text: rows, structure, databases, accounts and rights, every file of the host."""
        names = [name for name in self.server.sql("SHOW DATABASES").split() if name not in mysql_server.SYSTEM]
        rows = [names, self.server.sql("SELECT User, Host, Priv FROM mysql.global_priv WHERE User <> 'mariadb.sys' ORDER BY 1, 2")]
        rows.append(self.server.sql("SELECT * FROM mysql.db ORDER BY 1, 2, 3"))
        for name in names:
            for table in self.server.sql("SHOW TABLES", name).split():
                rows.append([name, table, self.server.sql("CHECKSUM TABLE `%s`; SHOW CREATE TABLE `%s`; SELECT * FROM `%s` ORDER BY 1" % ((table,) * 3), name)])
        files = _trees.walk(self.view, [path for path in EVERYTHING if os.path.isdir(self.root + path)])
        # that a directory was written to is no difference that anybody loses by
        return panel_server.dumps([rows, {path: {k: v for k, v in item.items() if k != "mtime" or item.get("type") == "file"} for path, item in files.items()}])

    def restoring(self, name="restore", tell=lambda _line: None, view=None):
        return _restoring.Restoring(self.driver, _registry.driver, view or self.view, self.settings, name, self.restores, self.top + "/scratch", tell)

    def restore(self, name="restore", **more):
        """Run one to its end; it."""
        work = self.restoring(name)
        work.run(**dict({"load": False, "accept": ["*"], "force": True}, **more))
        return work

    def elsewhere(self, name="restore", kill=0):
        """The exit status of the same in a process of its own; kill: with SIGKILL right before the so manyth thing that it writes, says or starts."""
        words = [self.panel, self.top, name, kill]
        script = "from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels import accounts_lab; accounts_lab.child(*%r)" % (words,)
        path = os.pathsep.join([COLLECTIONS, str(TESTS)])
        return subprocess.run([sys.executable, "-c", script], env=dict(os.environ, PYTHONPATH=path), check=False).returncode

    def journal(self, name="restore"):
        with open("%s/%s/journal.jsonl" % (self.restores, name)) as handle:
            return [json.loads(line) for line in handle]


def child(panel, top, name, kill):
    """In the other process."""
    lab, append, done = Lab(panel, top), _flight.append, [0]

    def step(*_said):
        done[0] += 1
        if done[0] == kill:
            os.kill(os.getpid(), 9)

    def counting(*given, **fields):
        step()
        return append(*given, **fields)

    _flight.append = counting
    view = lab.view
    view.count = step
    work = lab.restoring(name, step, view)
    work.run(load=False, accept=["*"], force=True)
    if kill < 0:
        print(done[0])
    sys.exit(0 if work.status == "restored" else 3)
