# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The databases of an old disk in a live MariaDB: every row as it was, nothing of the live server's touched, killed half-way and done again."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import types

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._cold import _take
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._migration import _class_tables, _load_mysql, _loading, databases
from ansible_collections.intact.hosting.plugins.module_utils._system import System
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._cold import cold_lab
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels import panel_server

real = pytest.mark.skipif(bool(panel_server.missing()), reason=panel_server.missing() or "-")


@pytest.fixture(scope="module")
def killed():
    with cold_lab.killed_server() as made:
        yield made


@pytest.fixture
def disk(killed):
    with cold_lab.disk_of(killed) as made:
        yield made


@pytest.fixture
def live(killed):
    top = tempfile.mkdtemp(prefix="live-", dir=killed[0])
    os.chmod(top, 0o711)
    server = panel_server.HostServer(top)
    try:
        yield server.make()
    finally:
        server.end()
        shutil.rmtree(top)


def context_of(disk, live, **settings):
    system = System({"mysql_defaults_file": live.options})
    told = dict({"databases_scratch": disk.scratch + "/work", "token": "S/1"}, **settings)
    directory = disk.scratch + "/migration"
    os.makedirs(directory, mode=0o700, exist_ok=True)
    return types.SimpleNamespace(root=disk.root, directory=directory, settings=told, system=system, tell=lambda _line: None)


def found(document, severity=None):
    return [(f["id"], f["subject"], f["evidence"]) for f in document["findings"] if severity in (None, f["severity"])]


@real
def test_everything_is_in_the_live_server_byte_for_byte_and_a_second_run_does_nothing(disk, live):
    live.sql("SET GLOBAL sql_mode = 'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ANSI_QUOTES'; CREATE DATABASE own; CREATE TABLE own.t (a INT);")
    before, context = disk.state(), context_of(disk, live)
    plan = databases.run(context, check=True)
    assert plan["status"] == "would-run" and plan["plan"][0]["datadir"] == "/var/lib/mysql" and not os.listdir(context.directory)
    document = databases.run(context)
    assert disk.state() == before
    assert document["status"] == "done", found(document, "blocker")
    assert document["counts"] == {"databases": 2, "tables": 8, "rows": 10006, "accounts": 2, "damaged": 0}
    assert live.sql("SET NAMES utf8mb4; SELECT HEX(t), HEX(e + 0), HEX(b) FROM shop.mojibake WHERE id = 1") == "4772C3BCC39F65\t1\t00FF27\n"
    assert live.sql("SELECT d + 0 FROM shop.dated") == "0\n"
    assert live.sql("SELECT HEX(t) FROM `dot.ted-ü`.`täble/x` WHERE `spälte` = 1") == "E282AC\n"
    assert live.sql("SELECT STATUS FROM information_schema.EVENTS WHERE EVENT_NAME = 'hourly'") == "DISABLED\n"
    assert live.sql("SELECT COUNT(*) FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = 'shop'") == "1\n"
    assert live.sql("SELECT COUNT(*) FROM shop.seen") == "5000\n"
    assert int(live.sql("SELECT NEXTVAL(`dot.ted-ü`.counter)")) > 7
    argv = ["mariadb", "--no-defaults", "--socket=" + live.socket, "-ushop", "-psecret word", "-BN", "-e", "SELECT COUNT(*) FROM shop.plain"]
    assert subprocess.run(argv, capture_output=True, check=True).stdout == b"2000\n", "the old password"
    assert live.sql("SELECT COUNT(*) FROM mysql.user WHERE User = 'intact-cold'") == "0\n"
    assert "secret" not in json.dumps(document) and cold_lab.OLD_HASH not in json.dumps(document)
    assert live.sql("SHOW TABLES IN own") == "t\n"
    old, new = _class_tables.old(context), _class_tables.new(context)
    assert old == new and old["mariadb:shop.orders"]["rows"] == 5000 and len(old) >= 6, (old, new)
    live.sql("SET PASSWORD FOR 'shop'@'localhost' = PASSWORD('a new one')")
    updates = live.sql("SHOW GLOBAL STATUS LIKE 'Com_insert'")
    again = databases.run(context)
    assert again["status"] == "done" and again["counts"] == document["counts"]
    assert live.sql("SHOW GLOBAL STATUS LIKE 'Com_insert'") == updates
    argv[4] = "-pa new one"
    assert subprocess.run(argv, capture_output=True, check=True).stdout == b"2000\n", "a second run gives nobody an old password"
    live.sql("UPDATE shop.plain SET t = 'changed' WHERE id = 7; DELETE FROM shop.orders WHERE id = 1; DROP TABLE shop.dated;")
    new = _class_tables.new(context)
    assert {subject for subject in old if old[subject] != new.get(subject)} == {"mariadb:shop.plain", "mariadb:shop.orders", "mariadb:shop.dated"}


@real
def test_what_is_there_already_is_never_written_to(disk, live):
    live.sql("CREATE DATABASE shop; CREATE TABLE shop.mine (a INT); INSERT INTO shop.mine VALUES (7);")
    live.sql("CREATE USER 'shop'@'localhost' IDENTIFIED BY 'another'; CREATE DATABASE `dot.ted-ü`;")
    context = context_of(disk, live)
    document = databases.run(context)
    assert document["status"] == "failed"
    assert {(one, subject) for one, subject, _told in found(document, "blocker")} == {
        ("databases.migrate.existing", "mariadb:shop"),
        ("databases.migrate.account", "shop@localhost"),
    }
    assert live.sql("SHOW TABLES IN shop") == "mine\n" and live.sql("SELECT a FROM shop.mine") == "7\n"
    argv = ["mariadb", "--no-defaults", "--socket=" + live.socket, "-ushop", "-panother", "-BN", "-e", "SELECT 1"]
    assert subprocess.run(argv, capture_output=True, check=True).stdout == b"1\n"
    assert live.sql("SELECT COUNT(*) FROM `dot.ted-ü`.`täble/x`") == "2\n", "an empty one is filled"
    live.sql("DROP DATABASE shop; DROP USER 'shop'@'localhost';")
    assert databases.run(context)["status"] == "done"


@real
def test_killed_in_the_middle_of_a_load_it_goes_on(disk, live):
    script = (
        "import sys, time, types; sys.path.insert(0, %r)\n"
        "from ansible_collections.intact.hosting.plugins.module_utils._migration import _load_mysql, databases\n"
        "from ansible_collections.intact.hosting.plugins.module_utils._system import System\n"
        "original = _load_mysql.Mysql._load\n"
        "def slow(self, name, path):\n"
        "    if path.endswith('plain.sql'):\n"
        "        print('now', flush=True); time.sleep(60)\n"
        "    return original(self, name, path)\n"
        "_load_mysql.Mysql._load = slow\n"
        "databases.run(types.SimpleNamespace(root=%r, directory=%r, settings=%r, system=System({'mysql_defaults_file': %r}), tell=lambda _l: None))\n"
    )
    context = context_of(disk, live)
    words = (os.path.abspath(__file__).split("/ansible_collections/")[0], context.root, context.directory, context.settings, live.options)
    process = subprocess.Popen([sys.executable, "-c", script % words], stdout=subprocess.PIPE)
    try:
        assert process.stdout.readline() == b"now\n"
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    assert "orders" in live.sql("SHOW TABLES IN shop") and "plain" not in live.sql("SHOW TABLES IN shop")
    dump = context.directory + "/databases.d/mysql/document.json"
    taken = os.stat(dump).st_mtime_ns
    half = live.sql("SHOW TABLES IN shop")
    live.sql("RENAME TABLE shop.%s TO shop.kept_aside" % _load_mysql.MARK)
    document = databases.run(context)
    assert [entry[:2] for entry in found(document, "blocker")] == [("databases.migrate.existing", "mariadb:shop")], "without our mark it is somebody else's"
    live.sql("RENAME TABLE shop.kept_aside TO shop.%s" % _load_mysql.MARK)
    assert live.sql("SHOW TABLES IN shop") == half
    document = databases.run(context)
    assert document["status"] == "done", found(document, "blocker")
    assert _load_mysql.MARK not in live.sql("SHOW TABLES IN shop")
    assert live.sql("SELECT COUNT(*) FROM shop.plain") == "2000\n" and os.stat(dump).st_mtime_ns == taken


@real
def test_a_damaged_table_is_explained_and_what_differs_after_the_load_is_found(disk, live, monkeypatch):
    os.truncate(disk.root + "/var/lib/mysql/shop/big.ibd", 12 * 16384)
    original = _load_mysql.Mysql._load

    def lossy(self, name, path):
        said = original(self, name, path)
        if path.endswith("orders.sql"):
            live.sql("UPDATE shop.orders SET what = 'other' WHERE id = 77")
        return said

    monkeypatch.setattr(_load_mysql.Mysql, "_load", lossy)
    context = context_of(disk, live)
    document = databases.run(context)
    assert document["status"] == "failed"
    told = {(one, subject) for one, subject, _evidence in found(document, "blocker")}
    assert ("databases.cold.damaged", "shop.big") in told and any(subject == "mariadb:shop.orders" for _id, subject in told), told
    assert [entry["subject"] for entry in document["explained"] if entry["class"] == "tables"] == ["mariadb:shop.big"]
    old, new = _class_tables.old(context), _class_tables.new(context)
    assert {subject for subject in old if old[subject] != new.get(subject)} == {"mariadb:shop.orders", "mariadb:shop.big"}
    with open(disk.root + "/var/lib/mysql/shop/forgotten.frm", "wb") as handle:
        handle.write(b"\xfe\x01")
    assert _class_tables.old(context)["mariadb:shop.forgotten"] == {"rows": None, "digest": ""}
    live.sql("DROP DATABASE shop")
    monkeypatch.undo()
    again = databases.run(context)
    assert {(one, subject) for one, subject, _evidence in found(again, "blocker")} == {("databases.cold.damaged", "shop.big")}


def test_without_a_live_server_the_phase_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "old/var/lib/mysql/mysql").mkdir(parents=True)
    (tmp_path / "m").mkdir()
    system = System()
    monkeypatch.setattr(System, "which", lambda _self, _name: None)
    context = types.SimpleNamespace(root=str(tmp_path / "old"), directory=str(tmp_path / "m"), settings={}, system=system, tell=print)
    document = databases.run(context)
    assert document["status"] == "failed" and "install mariadb-server" in document["findings"][0]["evidence"]
    assert not os.path.exists(str(tmp_path / "m/databases.d/mysql")) and time.time() - document["finished"] < 60


def test_a_data_directory_that_nothing_led_to_is_told(tmp_path):
    for name in ("var/lib/mysql/ibdata1", "srv/second/mysql/ibdata1", "home/old/copy/ibdata1", "opt/pg/global/pg_control", "etc/mysql/my.cnf", "m/x"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "var/lib/also").symlink_to("/var/lib/mysql")
    (tmp_path / "etc/mysql/my.cnf").write_text("[mysqld2]\ndatadir = /srv/second/mysql\n")
    context = types.SimpleNamespace(root=str(tmp_path), directory=str(tmp_path / "m"), settings={}, system=System(), tell=print)
    assert databases.others(context, databases.sources(context)) == [
        ("/home/old/copy", "MySQL or MariaDB", ""),
        ("/opt/pg", "PostgreSQL", ""),
        ("/srv/second/mysql", "MySQL or MariaDB", "/etc/mysql/my.cnf"),
    ]
    told = {(one["subject"], one["severity"]) for one in databases.run(context, check=True)["findings"] if one["id"].endswith(".another")}
    assert told == {("/home/old/copy", "warning"), ("/opt/pg", "warning"), ("/srv/second/mysql", "blocker")}


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[mysqld2]\ndatadir = /home/bob\n", True),
        ("ExecStart=/usr/sbin/mysqld --datadir=/home/bob/\n", True),
        ("ExecStart=/usr/lib/postgresql/9.1/bin/postgres -D '/home/bob'\n", True),
        ("data_directory = '/home/bob'\n", True),
        ("# datadir = /home/bob\n", False),
        ("datadir = /home/bobby\n", False),
        ("WorkingDirectory=/home/bob\n", False),
    ],
)
def test_a_customer_who_puts_a_file_in_his_home_does_not_stop_a_migration(text, named):
    assert databases._names(text.encode(), "/home/bob") == named


def test_databases_of_a_cluster_are_told_by_its_directories(tmp_path):
    for name in ("base/1", "base/5", "base/16384", "base/pgsql_tmp", "pg_tblspc/16999/PG_15_202209061/16400", "pg_tblspc/16999/PG_15_202209061/16384"):
        (tmp_path / "data" / name).mkdir(parents=True)
    assert _class_tables.own_databases(_take.view_of(str(tmp_path)), "/data") == 2


def test_tables_are_told_by_the_files_of_a_disk(tmp_path):
    data = tmp_path / "var/lib/mysql"
    for name in (
        "mysql/user.frm",
        "shop/orders.frm",
        "shop/orders.ibd",
        "shop/old.MYD",
        "shop/part#P#p0.ibd",
        "shop/#sql-1.ibd",
        "shop/db.opt",
        "dot@002eted/a@002db.frm",
    ):
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).write_bytes(b"\xfe\x01")
    (data / "shop/FTS_00000000000000b5_CONFIG.ibd").write_bytes(b"")
    (data / "shop/t@1nble.frm").write_bytes(b"\xfe\x01")
    (data / "shop/seen.frm").write_bytes(b"TYPE=VIEW\nquery=")
    view = _take.view_of(str(tmp_path))
    found = _class_tables.on_disk(view, "/var/lib/mysql")
    assert found == [("dot.ted", "a-b"), ("shop", "old"), ("shop", "orders"), ("shop", "part")]


@pytest.mark.parametrize(
    ("verdict", "more", "again"),
    [
        ("proven", {}, False),
        ("proven", {"dangerous": ["innodb_force_recovery=4"]}, False),
        ("damaged", {}, False),
        ("damaged", {"dangerous": ["innodb_force_recovery=4"]}, True),
        ("proven", {"databases": ["shop", "blog"]}, True),
        ("proven", {"databases": []}, True),
    ],
)
def test_a_dump_of_less_than_is_asked_for_now_is_not_the_one(tmp_path, monkeypatch, verdict, more, again):
    first = {"root": str(tmp_path), "kind": "mysql", "dest": str(tmp_path), "token": "S/1", "databases": ["shop"]}
    document = {"state": "s", "token": "S/1", "verdict": verdict, "files": {}, "asked": _take._asked(_take.Settings(**first))}
    (tmp_path / "document.json").write_text(json.dumps(document))
    monkeypatch.setattr(_take, "state_of", lambda _settings: "s")
    now = _take.Settings(**dict(first, **more))
    assert (_take.kept(now) is None) == again and (databases._whole(str(tmp_path), now) is None) == again


class Refusing(_loading.Loader):
    """A server in whose place a set is; it makes a database only where it is told so."""

    label, made, makes, token = "fake", frozenset(), False, None

    def names(self):
        return set(self.made)

    def drop(self, name):
        self.made -= {name}

    def versions_differ(self, dumped):
        return False

    def items(self, name, rules):
        return {"fake:%s.by_hand" % name: {"kind": "table"}}

    def bears(self, name, token):
        return self.token == token

    def create_and_fill(self, name, kept, token):
        if self.makes:
            self.made, self.token = self.made | {name}, token
        raise IntactError("no such character set")


@pytest.mark.parametrize("makes", [False, True])
def test_what_is_made_by_hand_after_a_refusal_is_not_dropped(tmp_path, makes):
    context = types.SimpleNamespace(system=System(), tell=lambda _line: None)
    dumped = {"identity": "", "databases": {"shop": {"tables": {}, "objects": {}}}}
    first, then = (Refusing(context, str(tmp_path / "dump")) for _run in range(2))
    first.makes = makes
    first.load(dumped)
    assert first.kept("shop") == "loading"
    then.made, then.token = frozenset({"shop"}), first.token
    then.load(dumped)
    assert (then.names() == {"shop"}) == (not makes), "only what a run of ours left half made is made anew"
    assert [finding.id for finding in then.findings if finding.severity == "blocker"] == ["databases.migrate." + ("failed" if makes else "existing")]


def test_statements_of_accounts_tell_whose_they_are():
    told = {
        "CREATE USER IF NOT EXISTS `a``b`@`%`": "a`b@%",
        "ALTER USER `shop`@`localhost` IDENTIFIED BY PASSWORD '*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19'": "shop@localhost",
        "GRANT SELECT ON `TO`.* TO `shop`@`localhost`": "shop@localhost",
        "GRANT `reader` TO 'old'@'10.0.0.%'": "old@10.0.0.%",
        "CREATE ROLE IF NOT EXISTS `reader`": "reader",
    }
    for statement, who in told.items():
        assert _load_mysql._plain(_load_mysql.STATEMENT.match(statement).group(1)) == who
    assert _load_mysql.TYPE.sub(b") ENGINE=", b") TYPE=MyISAM;\n") == b") ENGINE=MyISAM;\n"
    assert _load_mysql.TYPE.sub(b") ENGINE=", b"INSERT INTO t VALUES (') TYPE=x');\n").endswith(b"TYPE=x');\n")
