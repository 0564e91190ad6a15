# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The case of 2008: a Plesk 8 whose newest export is corrupt, an older one truncated, the disk pulled. The stand-in of Plesk, real MariaDB servers."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile

import pytest

from ansible_collections.intact.hosting.plugins.module_utils import _command
from ansible_collections.intact.hosting.plugins.module_utils._panels import _export, _inventory, _registry, _restoring, _run, _standing, _verify, plesk_old
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels import old_disk, panel_server
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels import plesk_fixture as fixture
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels.stand_in_fixture import Stage, kit

from stand_ins.plesk import store  # isort: skip (found by stand_in_fixture)

pytestmark = pytest.mark.skipif(bool(panel_server.missing()), reason=panel_server.missing() or "-")
VERSION = "8.6.0"
# The client of the panel's database: it loads half of a script, the server is killed, once.
KILLER = """#!{python}
import os, subprocess, sys
root, words = {root!r}, sys.argv[1:]
if "-e" not in words and os.path.exists(root + "/stand-in/kill-server"):
    os.unlink(root + "/stand-in/kill-server")
    script = sys.stdin.buffer.read()
    lines = script[: len(script) // 2].split(b";\\n")[:-1]
    subprocess.run([{own!r}] + words, input=b";\\n".join(lines) + b";\\n")
    os.kill(int(open({pid!r}).read()), 9)
    sys.exit("ERROR 2013 (HY000) at line 812: Lost connection to MySQL server during query")
os.execv({own!r}, [{own!r}] + words)
"""


class Host(Stage):
    """A host of stand-ins whose database server is a real one: a checkpoint's own questions reach it without the stand-in's client."""

    REAL = ("mariadb-dump", "mariadbd", "setpriv")

    def which(self, program):
        return _command.which(program) if program in self.REAL else super().which(program)

    def run(self, argv, timeout=120, stdin=b"", env=None, check=True):
        if argv[0] in self.REAL or str(argv[1]).startswith("--defaults-extra-file"):
            self.started.append([str(word) for word in argv])
            return _command.run(argv, timeout=timeout, stdin=stdin, env=env, check=check)
        return super().run(argv, timeout, stdin, env, check)


class Plesk:
    """A Plesk 8 of the stand-in, its tables and its customers' databases in a MariaDB of its own."""

    def __init__(self, top, name, seed):
        self.root = "%s/%s" % (top, name)
        self.host = fixture.Host(self.root, seed, VERSION)
        self.world = self.host.world
        kit.put(self.root, "/etc/machine-id", name.encode().hex().ljust(32, "0") + "\n")
        place = "%s/%s-server" % (top, name)
        os.mkdir(place, 0o711)
        os.chmod(place, 0o711)
        self.server = panel_server.HostServer(place).make()
        self.server.sql("CREATE USER 'admin'@'localhost' IDENTIFIED BY '%s'; GRANT ALL ON *.* TO 'admin'@'localhost' WITH GRANT OPTION;" % self.world.shadow)
        script = store.script(self.world)
        for database, tables in self.world.databases.items():
            script += "CREATE DATABASE `%s`;\n" % database
            for table, (columns, rows) in tables.items():
                script += "CREATE TABLE `%s`.`%s` (%s);\n" % (database, table, ", ".join("`%s` text" % column for column in columns))
                script += "".join("INSERT INTO `%s`.`%s` VALUES (%s);\n" % (database, table, ", ".join("'%s'" % v.replace("'", "''") for v in r)) for r in rows)
        self.server.sql(script)
        self.stage = Host(self.root, {"mysql_defaults_file": self.server.options})

    def serve(self):
        """From here on the real server is the panel's."""
        options = self.server.top + "/panel.cnf"
        with open(options, "w") as handle:
            handle.write("[client]\nsocket=%s\nuser=admin\n" % self.server.socket)
        kit.put(self.root, "/stand-in/server", options)
        return self

    def state(self):
        """All that a way back has to bring back, as text."""
        tables = self.server.sql("SELECT GROUP_CONCAT(CONCAT('psa.`', TABLE_NAME, '`')) FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'psa'").strip()
        return self.server.sql("CHECKSUM TABLE %s; SHOW DATABASES; SELECT * FROM mysql.global_priv ORDER BY 1, 2;" % tables)

    def inventory(self):
        return plesk_old.inventory(self.stage, plesk_old.detect(self.stage))


@pytest.fixture
def top():
    made = tempfile.mkdtemp(prefix="intact-panel-")
    os.chmod(made, 0o711)
    yield made
    shutil.rmtree(made)
    panel_server.forget()


@pytest.fixture
def old(top):
    made = Plesk(top, "old", 4)
    yield made
    made.server.end()


@pytest.fixture
def new(top, monkeypatch):
    made = Plesk(top, "new", 5).serve()
    # where a client without --socket looks
    monkeypatch.setenv("MYSQL_UNIX_PORT", made.server.socket)
    for name in ("mariadb", "mysql"):
        place = made.root + "/usr/bin/" + name
        os.rename(place, place + ".own")
        with open(place, "w") as handle:
            handle.write(KILLER.format(python=sys.executable, root=made.root, own=place + ".own", pid=os.path.dirname(made.server.socket) + "/pid"))
        os.chmod(place, 0o755)
    yield made
    made.server.end()


# As servers of 2008 hold them: a column in latin1 with latin1 in it and a byte that stands for nothing there, one with UTF-8 that a program of 4.0 put
# there, and one in a charset of its own.
OLD_TEXTS = """
ALTER TABLE psa.clients CONVERT TO CHARACTER SET latin1;
UPDATE psa.clients SET pname = CONVERT(X'4DFC6C6C657281' USING latin1), cname = CONVERT(X'4DC3BC6C6C6572' USING latin1);
ALTER TABLE psa.domains ADD notes VARCHAR(40) CHARACTER SET sjis, ADD seal VARBINARY(9);
UPDATE psa.domains SET notes = CONVERT(X'93FA967B' USING sjis), seal = X'00FF5C27';
"""
TEXTS = "SELECT DISTINCT HEX(pname), HEX(cname) FROM psa.clients; SELECT DISTINCT HEX(notes), HEX(seal) FROM psa.domains;"


def pulled(top, old):
    """The old server's disk, mounted read-only, its database killed at work."""
    old.server.sql(OLD_TEXTS)
    disk = old_disk.OldDisk(top + "/disk")
    shutil.copytree(old.root, disk.root, symlinks=True, dirs_exist_ok=True, ignore=shutil.ignore_patterns("stand-in", "mysql", "panel-*"))
    disk.take(old.server)
    # the panel's own dumps on it end in the middle as well
    for name in os.listdir(disk.root + "/var/lib/psa/dumps"):
        os.truncate("%s/var/lib/psa/dumps/%s" % (disk.root, name), os.path.getsize("%s/var/lib/psa/dumps/%s" % (disk.root, name)) // 2)
    disk.lock()
    return disk


def test_the_case_of_2008(top, old, new):
    settings = _run.Settings(root=top + "/panel")
    made = [_run.export(old.host.stage, plesk_old, old.host.found, settings) for _time in range(2)]
    assert [outcome.verdict for outcome in made] == ["proven", "proven"]
    for outcome, damage in zip(made, ("cut", "flip"), strict=True):
        path = next(os.path.join(outcome.path, name) for name in os.listdir(outcome.path) if name.endswith(".mime"))
        with open(path, "r+b") as handle:
            size = os.path.getsize(path)
            if damage == "cut":
                handle.truncate(size * 3 // 5)
            else:
                handle.seek(size // 2)
                byte = handle.read(1)
                handle.seek(size // 2)
                handle.write(bytes([byte[0] ^ 1]))
    disk = pulled(top, old)
    try:
        on_disk, before, was = disk.state(), new.state(), new.inventory()

        def start():
            work = _restoring.Restoring(plesk_old, _registry.driver, new.stage, settings, "plesk-2008", top + "/restores", top + "/scratch")
            work.run(disks=[disk.root], accept=["plesk_old *"])
            return work

        kit.switch(new.root, "kill-server")
        first = start()
        assert first.status == "rolled-back", [(f.id, f.subject, f.evidence) for f in first.findings]
        refused = [(source.kind, os.path.basename(source.path)) for source, _why, _found in first.choice.refused]
        assert refused[:2] == [("proven", made[1].document["id"]), ("proven", made[0].document["id"])]
        assert {kind for kind, _name in refused[2:]} == {"daily"}
        assert first.choice.taken.kind == "disk" and _export.read(first.choice.path)["verdict"] == "proven"
        assert new.state() == before and _inventory.compare(was, new.inventory()) == []
        second = start()
        assert second.status == "restored", [(f.id, f.subject, f.evidence) for f in second.findings]
        assert second.choice.taken.kind == "rescued"
        with _verify.Opened(second.choice.path) as opened:
            wanted = _standing.brought(opened.inventory(), plesk_old.brings(opened), "settings")
        assert [f.subject for f in _inventory.compare(wanted, new.inventory()) if f.severity == "blocker"] == []
        assert new.server.sql(TEXTS) == "4DFC6C6C657281\t4DC3BC6C6C6572\n93FA967B\t00FF5C27\n"
        assert disk.state() == on_disk
    finally:
        disk.unlock()
    check_journal(second.journal())
    told = json.dumps([first.journal(), second.journal(), first.plan, second.plan] + [f.as_dict() for f in first.findings + second.findings])
    said = json.dumps([old.host.stage.started, new.stage.started])
    assert fixture.spoken(told + said, old.world) == [] and fixture.spoken(told + said, new.world) == []


def check_journal(journal):
    """Each step is in it, in its order, and why which source was taken."""
    stages = [event["stage"] + " " + event["result"] for event in journal if event["event"] == "stage.end"]
    assert stages == ["checkpoint ok", "import failed", "rollback ok", "checkpoint ok", "import ok", "repair ok", "check ok", "compare ok", "commit ok"]
    assert [event["verdict"] for event in journal if event["event"] == "flight.close"] == ["rolled-back", "intact"]
    why = [event["why"] for event in journal if event["event"] == "decision"]
    assert "is refused" in why[0] and "is refused" in why[1] and any(line.startswith("disk ") and "is taken" in line for line in why)
    notes = [event["text"] for event in journal if event["event"] == "note"]
    assert "the database server does not answer: it is started again" in notes and "mariadb:psa is put back" in notes
