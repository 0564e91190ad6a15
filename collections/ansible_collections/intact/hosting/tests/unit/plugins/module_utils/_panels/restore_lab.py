# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host with a small panel, and restores on it: in this process, or in one that is killed."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import traceback
from types import SimpleNamespace

from ansible_collections.intact.hosting.plugins.module_utils import _flight
from ansible_collections.intact.hosting.plugins.module_utils._panels import _transaction, _trees
from ansible_collections.intact.hosting.plugins.module_utils._system import System
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels import fake_panel, panel_server

EXPORT = {
    "domains": [["shop.example.com", "ann"], ["blog.example.com", "bob"]],
    "mail": [["ann@shop.example.com", fake_panel.SECRET], ["bob@blog.example.com", "b"]],
}
NOW = {"domains": [["shop.example.com", "ann"], ["half.example.com", "eve"]], "mail": [["ann@shop.example.com", "changed"]]}


class Lab:
    """top: a directory of its own; made when it is not there."""

    def __init__(self, top=None):
        self.top = top or tempfile.mkdtemp(prefix="intact-panel-")
        self.etc, self.root, self.drills = self.top + "/etc", self.top + "/restores", ""
        self.server = panel_server.HostServer(self.top)
        self.server.socket = self.top + "/run/s"

    def make(self, held=None):
        os.chmod(self.top, 0o711)
        self.server.make()
        script = ["CREATE DATABASE panel; CREATE USER 'shop'@'localhost' IDENTIFIED BY '%s'; CREATE DATABASE customer; USE panel" % fake_panel.HASH]
        script.append("CREATE TABLE domains (name VARCHAR(99) PRIMARY KEY, owner VARCHAR(99)) ENGINE=InnoDB")
        script.append("CREATE TABLE mail (address VARCHAR(99) PRIMARY KEY, password VARCHAR(99)) ENGINE=MyISAM")
        # of a FLOAT a dump carries six digits only
        script.append("CREATE TABLE stats (id INT PRIMARY KEY, f FLOAT); INSERT INTO stats VALUES (1, 1234567.1)")
        script += ["INSERT INTO %s VALUES ('%s', '%s')" % (table, *row) for table in ("domains", "mail") for row in (held or NOW)[table]]
        self.server.sql(";\n".join(script))
        for path, text in (("version", "1.2\n"), ("panel.conf", "before\n"), ("keys/old.key", fake_panel.SECRET), ("limits/disk", "100\n")):
            os.makedirs(os.path.dirname("%s/%s" % (self.etc, path)), exist_ok=True)
            with open("%s/%s" % (self.etc, path), "w") as handle:
                handle.write(text)
        os.chmod(self.etc + "/keys", 0o700)
        os.symlink("panel.conf", self.etc + "/link")
        return self

    def close(self):
        self.server.end()
        shutil.rmtree(self.top, ignore_errors=True)

    @property
    def view(self):
        return System({"mysql_defaults_file": self.server.options})

    def before(self, panel=None):
        panel = panel or fake_panel.Panel(self)
        return panel.inventory(self.view, panel.detect(self.view))

    def wanted(self, held=None):
        """The export's inventory, as its own panel would have told it."""
        held = held or EXPORT
        fake = fake_panel._inventory
        objects = {
            "domain": {name: {"owner": owner} for name, owner in held["domains"]},
            "mailbox": {address: {"password": fake.secret(password)} for address, password in held["mail"]},
            "limit": {"disk": {"value": "100"}},
        }
        return fake.make("fake", "1.2", "web1", "sql", objects)

    def state(self):
        """Everything that a way back must bring back, as text: rows, structure, accounts, databases, files."""
        rows = self.server.sql("CHECKSUM TABLE panel.domains, panel.mail; SHOW CREATE TABLE panel.domains; SHOW CREATE TABLE panel.mail; SHOW DATABASES;")
        rows += self.server.sql("SELECT * FROM panel.domains ORDER BY 1; SELECT * FROM panel.mail ORDER BY 1;")
        rows += self.server.sql("SELECT User, Host, Priv FROM mysql.global_priv WHERE User <> 'mariadb.sys' ORDER BY 1, 2;")
        return panel_server.dumps([rows, _trees.walk(System(), [self.etc])])

    def transaction(self, fault="", name="first", **more):
        panel = fake_panel.Panel(self, fault)
        more = dict({"accept": ["fake domain half.*"]}, **more)
        return _transaction.Transaction(panel, self.view, panel.detect(self.view), name, self.root, drills=self.drills, **more)

    def restore(self, fault="", name="first", held=None, **more):
        """Run a transaction; it, when it came to its end."""
        work = self.transaction(fault, name, **more)
        work.run(opened(held), self.wanted(held), self.before())
        return work

    def elsewhere(self, fault="", name="first", kill=0, recover=False):
        """The exit status of the same in a process of its own; kill: with SIGKILL right before the so manyth thing that it writes or says."""
        pid = os.fork()
        if not pid:
            status = 1
            try:
                child([self.top, self.drills, fault, name, str(kill), "recover" if recover else ""])
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                # nothing of the test's own is carried out here
                os._exit(status)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def journal(self, name="first"):
        with open("%s/%s/journal.jsonl" % (self.root, name)) as handle:
            return [json.loads(line) for line in handle]


def opened(held=None):
    """What a driver's restore() gets."""
    return SimpleNamespace(read=lambda name, limit=None: json.dumps(held or EXPORT).encode(), document={"mode": "settings"})


def child(words):
    """In the other process."""
    top, drills, fault, name, kill, recover = words
    lab = Lab(top)
    lab.drills = drills
    append, count = _flight.append, [0]

    def step(*_said):
        count[0] += 1
        if count[0] == int(kill):
            os.kill(os.getpid(), 9)

    def counting(*given, **fields):
        step()
        return append(*given, **fields)

    _flight.append = counting
    if recover:
        lab.transaction(name=name, tell=step).recover()
    else:
        work = lab.restore(fault, name, tell=step)
        assert "killed" not in fault, (work.status, work.findings)
