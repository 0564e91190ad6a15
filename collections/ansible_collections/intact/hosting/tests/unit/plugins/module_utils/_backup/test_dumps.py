# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Dumps: producers, sessions held open, what engines ask and print, real SQLite files. No database server is needed."""

from __future__ import annotations

import contextlib
import io
import os
import pwd
import sqlite3
import sys

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._backup import (
    _dump,
    _held,
    _mysql_accounts,
    _throwaway,
    _throwaway_postgresql,
    _throwaway_sqlite,
    mysql,
    postgresql,
    sqlite,
)
from ansible_collections.intact.hosting.plugins.module_utils._baseline import _mysql, _postgresql
from ansible_collections.intact.hosting.plugins.module_utils._command import Result
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._system import System
from ansible_collections.intact.hosting.tests.unit.plugins.fake_system import FakeSystem

# pytest's directories are closed to everybody else
ME = pwd.getpwuid(os.getuid()).pw_name
# a client that answers a line "SELECT 'x';" with x, complains about others, and may end
CLIENT = """
import sys
for line in sys.stdin:
    line = line.strip()
    if line.startswith("SELECT '"):
        print(line[8:-2], flush=True)
    elif line == "long;":
        print("x" * 300000, flush=True)
    elif line == "die;":
        sys.exit(3)
    elif line == "sleep;":
        import time; time.sleep(30)
    elif line:
        sys.stderr.write("ERROR: %s\\n" % line[:40])
"""


@pytest.fixture(name="session")
def fixture_session():
    """A held session with the fake client."""
    with contextlib.closing(_held.Session([sys.executable, "-c", CLIENT], "SELECT '{}';")) as session:
        yield session


@pytest.mark.parametrize(
    ("name", "engine", "path"),
    [
        ("mariadb:shop", "mysql", "databases/mysql/shop.sql"),
        ("mariadb:a/../b", "mysql", "databases/mysql/a%2F..%2Fb.sql"),
        ("mariadb:..", "mysql", "databases/mysql/...sql"),
        ("mariadb:a\\x0ab", "mysql", "databases/mysql/a%0Ab.sql"),
        ("mariadb accounts", "mysql", "databases/accounts/mariadb.sql"),
        ("postgresql(15/other):app", "postgresql", "databases/postgresql/15%2Fother/app.sql"),
        ("postgresql(other) accounts", "postgresql", "databases/accounts/postgresql%28other%29.sql"),
        ("sqlite:/home/a/db.sqlite", "sqlite", "databases/sqlite/%2Fhome%2Fa%2Fdb.sqlite"),
    ],
)
def test_no_name_of_a_database_is_a_path(name, engine, path):
    assert _dump.stream_path(name, engine) == path


def test_a_program_that_is_damaged_is_told_by_its_name(tmp_path):
    """Half a binary, as a full disk leaves it behind: one database's dump fails, not the whole run."""
    program = tmp_path / "mariadb-dump"
    program.write_bytes(b"\x7fEL")
    program.chmod(0o755)
    with pytest.raises(IntactError, match=r"mariadb-dump can't be started \(Exec format error\)"):
        _dump.Program([str(program)])
    with pytest.raises(IntactError, match=r"mariadb-dump can't be started \(Exec format error\)"):
        _held.Session([str(program)], "SELECT '{}';")


def test_a_feed_gives_its_bytes_and_tells_its_failure():
    feed = _dump.Feed([b"a" * 200000, b"b"])
    assert feed.stdout.readall() == b"a" * 200000 + b"b"
    assert feed.wait(5) == 0
    feed.close()

    def failing():
        yield b"begun"
        raise OSError("the disk is gone")

    feed = _dump.Feed(failing())
    assert feed.stdout.readall() == b"begun"
    assert feed.wait(5) == 1 and feed.said() == "the disk is gone"
    feed.close()


def test_a_feed_that_nobody_reads_can_be_closed():
    feed = _dump.Feed([b"a" * 2**20])
    feed.close()
    assert feed.wait(5) == 1


def test_a_program_keeps_its_complaints_and_knows_no_other_server(monkeypatch):
    monkeypatch.setenv("PGHOST", "live")
    monkeypatch.setenv("MYSQL_PWD", "secret")
    words = "import os, sys; print([k for k in os.environ if k.startswith(('PG', 'MYSQL'))]); sys.stderr.write('e' * 300000 + 'end'); sys.exit(2)"
    program = _dump.Program([sys.executable, "-c", words])
    assert program.stdout.read() == b"[]\n"
    assert program.wait(30) == 2
    assert program.said().endswith("eend") and len(program.said()) == 4000
    program.close()


@pytest.mark.parametrize(
    ("ending", "tail", "whole"),
    [
        (mysql.ENDING, b"x;\n-- Dump completed\n", True),
        (mysql.ENDING, b"x;\n-- Dump completed on 2026-11-22  1:00:00\n", True),
        (mysql.ENDING, b"INSERT INTO t VALUES ('-- Dump completed');\n", False),
        (mysql.ENDING, b"", False),
        (postgresql.ENDING, b"--\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict abc\n\n", True),
        (postgresql.ENDING, b"--\n-- PostgreSQL database du", False),
    ],
)
def test_only_a_whole_dump_is_complete(ending, tail, whole):
    assert _dump.Dump("n", "p", None, ending).complete(tail) is whole


def test_a_session_answers_in_order_and_keeps_complaints_apart(session):
    first = session.ask(b"SELECT 'a';\nnonsense;")
    assert (first.rc, first.out, first.error) == (0, b"a\n", "ERROR: nonsense;")
    second = session.ask(b"long;")
    assert len(second.out) == 300001 and second.err == b""
    assert session.ask(b"\n".join([b"SELECT 'b';"] * 20000)).out == b"b\n" * 20000


def test_a_session_that_ends_is_told_and_one_that_hangs_is_ended(session):
    assert session.ask(b"SELECT 'a';\ndie;").rc == 3
    other = _held.Session([sys.executable, "-c", CLIENT], "SELECT '{}';")
    with pytest.raises(IntactError, match="gave no answer within 1 s"):
        other.ask(b"sleep;", timeout=1)


class Recorder:
    """A session that keeps what it was asked."""

    def __init__(self, answer=b"", error=b""):
        self.asked, self.answer, self.error = [], answer, error

    def ask(self, script, timeout=0):
        self.asked.append(script)
        return Result(("client",), 0, self.answer(script) if callable(self.answer) else self.answer, self.error)

    def close(self):
        self.asked.append(b"closed")


def test_the_baselines_questions_do_not_end_the_dumps_transaction():
    recorder = Recorder()
    held = _held.Held(FakeSystem({"mariadb": "", "mariadbd": ""}), recorder, ("mariadb",))
    tables = {("shop", "t"): {"type": "BASE TABLE", "engine": "InnoDB", "collation": "c", "bytes": 2**50, "columns": [], "structure": [], "primary": []}}
    with pytest.raises(IntactError):
        _mysql._tables(held, "mariadb", tables, [])
    script = recorder.asked[0]
    assert b"SELECT 'rows', 0" in script and b"SELECT 'part', 0" in script
    assert b"TRANSACTION" not in script and b"COMMIT" not in script

    recorder = Recorder()
    held = _held.Held(FakeSystem({"psql": ""}), recorder, ("psql",))
    with pytest.raises(IntactError):
        _postgresql.database_items(held, {"port": "1", "version": "15", "name": "main"}, "postgresql", "app", [])
    assert b"pg_class" in recorder.asked[0]
    assert b"BEGIN" not in recorder.asked[0] and b"COMMIT" not in recorder.asked[0]


def test_a_held_session_stands_for_its_client_only():
    held = _held.Held(FakeSystem({}), Recorder(), ("mariadb",))
    with pytest.raises(IntactError, match="systemctl is not what the held session is for"):
        held.run(["systemctl", "stop", "mariadb"])


@pytest.mark.parametrize(
    ("programs", "has", "lacks"),
    [
        (
            {"mariadb-dump --version": "mariadb-dump  Ver 10.19 Distrib 10.11.19-MariaDB, for debian-linux-gnu (x86_64)"},
            ["mariadb-dump", "--dump-history", "--hex-blob", "--single-transaction", "--routines", "--events", "--triggers"],
            ["--set-gtid-purged=OFF"],
        ),
        ({"mariadb-dump --version": "mariadb-dump  Ver 10.19 Distrib 10.5.29-MariaDB, for debian"}, ["mariadb-dump"], ["--dump-history"]),
        ({"mysqldump --version": "mysqldump  Ver 8.0.36 for Linux on x86_64"}, ["mysqldump", "--set-gtid-purged=OFF", "--column-statistics=0"], []),
        ({"mysqldump --version": "mysqldump  Ver 10.13 Distrib 5.7.44, for Linux"}, ["--set-gtid-purged=OFF"], ["--column-statistics=0", "--dump-history"]),
    ],
)
def test_the_dump_programs_arguments(programs, has, lacks):
    argv = mysql.dump_argv(FakeSystem(programs, options={"mysql_defaults_file": "/etc/intact/backup/mysql.cnf"}), "--all-databases")
    assert argv[1] == "--defaults-extra-file=/etc/intact/backup/mysql.cnf"
    assert argv[-3:] == ["--databases", "--", "--all-databases"]
    assert set(has) <= set(argv) and not set(lacks) & set(argv)


def test_without_a_dump_program_it_is_said():
    with pytest.raises(IntactError, match="neither mariadb-dump nor mysqldump"):
        mysql.dump_argv(FakeSystem({}), "shop")


def test_a_table_that_stays_locked_is_told_with_who_holds_it(monkeypatch):
    monkeypatch.setattr(mysql.time, "sleep", lambda seconds: None)
    session = Recorder(error=b"ERROR 1205 (HY000) at line 2: Lock wait timeout exceeded; try restarting transaction")
    system = FakeSystem({"mariadb": "17\tshop\tlocalhost\t900\tSleep\tshop\n", "mariadbd": ""})
    with pytest.raises(IntactError, match=r"connection 17 of shop@localhost has a transaction open for 900 s in shop \(Sleep\)") as caught:
        mysql._lock(system, session, "mariadb:shop", ["a`b", "c"], False)
    assert caught.value.details["blockers"]
    assert len(session.asked) == 3 and b"LOCK TABLES `shop`.`a``b` READ, `shop`.`c` READ;" in session.asked[0]


def test_what_is_read_under_the_lock_is_locked_so_that_no_writer_goes_before_the_reader():
    session = Recorder()
    mysql._lock(FakeSystem({}), session, "mariadb:shop", ["m"], True)
    assert b"FLUSH TABLES `shop`.`m` WITH READ LOCK;" in session.asked[0]


def test_columns_that_a_dump_cannot_carry_become_rules():
    def answer(script):
        if b"information_schema" in script:
            return b"6B\t66\tfloat\t\n6B\t67\tfloat\t\n625B78\t77\tvarchar\tcp1251\n"
        return b"3\n" if b"`f`" in script else b"0\n" if b"`g`" in script else b""

    rules = mysql._inexact(Recorder(answer), "shop")
    assert [(r["table"], r["columns"]) for r in rules] == [("shop.k", ["f"]), ("shop.b[[]x", ["w"])]
    assert rules[0]["reason"] == "the dump can't carry digits of a FLOAT after the sixth: 3 rows"
    assert "an unknown number" in rules[1]["reason"]


def test_the_servers_patience_is_given_back(session):
    recorder = Recorder(lambda script: b"60\n" if script.startswith(b"SELECT") else b"")
    with pytest.raises(IntactError), mysql._patience(recorder, 3600):
        raise IntactError("it did not begin")
    assert recorder.asked[1:] == [b"SET GLOBAL net_write_timeout = 3600;", b"SET GLOBAL net_write_timeout = 60;"]
    recorder = Recorder(lambda script: b"7200\n")
    with mysql._patience(recorder, 3600):
        pass
    assert len(recorder.asked) == 1


@pytest.mark.parametrize(
    ("shown", "statements"),
    [
        (
            "CREATE USER `shop`@`localhost` IDENTIFIED BY PASSWORD '*AB' REQUIRE SSL",
            ["CREATE USER IF NOT EXISTS `shop`@`localhost`;", "ALTER USER `shop`@`localhost` IDENTIFIED BY PASSWORD '*AB' REQUIRE SSL;"],
        ),
        ("CREATE USER `root`@`localhost`", ["CREATE USER IF NOT EXISTS `root`@`localhost`;", "ALTER USER `root`@`localhost` IDENTIFIED BY '';"]),
        ("CREATE USER `o'd``d`@`10.%`", ["CREATE USER IF NOT EXISTS `o'd``d`@`10.%`;", "ALTER USER `o'd``d`@`10.%` IDENTIFIED BY '';"]),
        (
            "CREATE USER 'a'@'%' IDENTIFIED WITH 'x' AS '1' DEFAULT ROLE `r`@`%`,`s`@`%` REQUIRE NONE",
            ["CREATE USER IF NOT EXISTS 'a'@'%';", "ALTER USER 'a'@'%' IDENTIFIED WITH 'x' AS '1' REQUIRE NONE;"],
        ),
    ],
)
def test_a_user_becomes_what_it_was_also_where_it_is_already(shown, statements):
    assert _mysql_accounts._created(shown) == statements


def test_accounts_are_not_given_when_one_could_not_be_shown():
    def answer(argv, stdin):
        if b"SHOW CREATE USER" in stdin:
            return 0, "end\n", "ERROR 1141 (42000): no such grant"
        return "role\t72\t\nuser\t73\t6C\nend\n" if b"is_role" in stdin else "version\t10.11.19-MariaDB\nend\n"

    with pytest.raises(IntactError, match="did not show all accounts: ERROR 1141"):
        mysql.accounts(FakeSystem({"mariadb": answer, "mariadbd": ""}))


def test_a_cluster_that_is_down_is_not_left_out_silently():
    system = FakeSystem({"psql": "", "pg_lsclusters": "15 main 5432 down postgres /data /log\n"})
    with pytest.raises(IntactError, match="cluster 15/main is down: it can't be dumped"):
        postgresql.databases(system)


def test_postgresql_dump_argv_names_the_snapshot_and_quotes_the_name():
    argv = postgresql.dump_argv("5433", "we'ird", "0000-1")
    assert argv[:5] == ["runuser", "-u", "postgres", "--", "pg_dump"]
    assert "--snapshot=0000-1" in argv and "--create" in argv and argv[-1] == "dbname='we\\'ird'"
    assert "--create" not in postgresql.dump_argv("5433", "postgres", "0000-1")


def test_a_sequence_is_told_as_it_was_before_the_dump_began(monkeypatch):
    items = {"postgresql:app.public.q": {"kind": "sequence", "value": 90}, "postgresql:app.public.r": {"kind": "sequence", "value": 3}}
    monkeypatch.setattr(postgresql, "items_of", lambda *_args: items)
    made = postgresql.PostgresqlDump(FakeSystem({}), "postgresql:app", None, Recorder(), ({}, "postgresql", "app"), {("public", "q"): 77, ("public", "r"): 5})
    assert {s.rpartition(".")[2]: i["value"] for s, i in made.section().items()} == {"q": 77, "r": 3}


def test_tablespaces_of_a_drill_are_inside_it(tmp_path):
    server = _throwaway_postgresql.PostgreSQL.__new__(_throwaway_postgresql.PostgreSQL)
    server._directory = lambda name: str(tmp_path / name)
    text = server._confined(b"CREATE ROLE a;\nCREATE TABLESPACE ts OWNER a LOCATION '/srv/it''s';\n")
    assert b"/srv" not in text and ("LOCATION '%s/tablespace-1';" % tmp_path).encode() in text


def test_a_drills_system_asks_nobody_else():
    system = _throwaway.Confined(lambda argv, stdin: Result(tuple(argv), 0, b"answer", b""), {"mariadb", "mariadbd"}, "machine")
    assert system.run(["mariadb", "--defaults-extra-file=x"]).out == b"answer"
    assert system.read("/etc/machine-id") == b"machine" and system.read("/etc/shadow") is None
    for argv in (["systemctl", "stop", "mariadb"], ["runuser", "-u", "postgres", "--", "psql"]):
        with pytest.raises(IntactError, match="has no business in a drill"):
            system.run(argv)


def test_a_view_that_was_broken_already_is_only_a_warning():
    broken = {"kind": "view", "database": "shop", "error": "it can't be read"}
    whole = {"kind": "view", "definition": "d", "properties": "", "database": "shop"}
    for after in ({}, {"mariadb:shop.v (view)": broken}):
        assert [(f.id, f.severity) for f in _throwaway.compare({"mariadb:shop.v (view)": broken}, after)] == [("databases.view.before", "warning")]
    assert [f.severity for f in _throwaway.compare({"mariadb:shop.v (view)": whole}, {"mariadb:shop.v (view)": broken})] == ["blocker"]
    assert [f.severity for f in _throwaway.compare({"mariadb:shop.v (view)": whole}, {})] == ["blocker"]


@pytest.fixture(name="restored")
def fixture_restored(tmp_path):
    """(name, stream, items, place for drills) of a real file that was dumped."""
    path = str(tmp_path / "shop é.db")
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, v BLOB); CREATE VIEW w AS SELECT id FROM t; CREATE TABLE k (a PRIMARY KEY) WITHOUT ROWID"
        )
        connection.executemany("INSERT INTO t VALUES (?, ?)", [(n, b"row %05d" % n) for n in range(2000)])
        connection.commit()
        system = System({"sqlite_trees": [str(tmp_path)]})
        (name,) = sqlite.databases(system)
        with sqlite.open(system, name) as dump:
            data = dump.process.stdout.read()
            items = dump.section()
            assert dump.process.wait() == 0 and dump.complete(data)
    place = str(tmp_path / "drill")
    return name, data, items, place


def test_a_sqlite_file_comes_back_equal(restored):
    name, data, items, place = restored
    assert items[name + "#t"]["rows"] == 2000 and len(items) == 4
    with _throwaway_sqlite.SQLite(place, user=ME) as server:
        assert server.load(name, io.BytesIO(data)) == []
        assert _throwaway.compare(items, server.section(name)) == []
        assert server.system().exists(sqlite.file_of(name)) and server.system().read("/etc/passwd") is None
    assert not os.path.exists(place)


@pytest.mark.parametrize("cut", [1, 20, 60, 5000])
def test_a_truncated_sqlite_file_is_refused(restored, cut):
    name, data, _items, place = restored
    with _throwaway_sqlite.SQLite(place, user=ME) as server:
        with pytest.raises(_throwaway.Unloadable, match="truncated"):
            server.load(name, io.BytesIO(data[:-cut]))
        assert server.section(name) == {}


def test_a_changed_byte_in_a_sqlite_file_is_told_by_the_table(restored):
    name, data, items, place = restored
    with _throwaway_sqlite.SQLite(place, user=ME) as server:
        server.load(name, io.BytesIO(data.replace(b"row 01234", b"row 01235")))
        (found,) = _throwaway.compare(items, server.section(name))
    assert (found.id, found.subject) == ("databases.rows.changed", name + "#t") and "rowid 1216 to 1247" in found.evidence


def test_a_file_that_is_no_database_is_told(tmp_path):
    path = tmp_path / "bad.db"
    path.write_bytes(b"SQLite format 3\0" + b"x" * 4080)
    with sqlite.open(System(), "sqlite:%s" % path) as dump:
        with pytest.raises(IntactError, match="SQLite can't read it"):
            dump.section()
        assert dump.process.wait() == 1 and not dump.complete(dump.process.stdout.read())
    with pytest.raises(IntactError, match="is not there any more"):
        sqlite.open(System(), "sqlite:/nowhere/at/all.db")


def test_a_directory_that_is_there_is_never_taken_for_a_drill(tmp_path):
    with pytest.raises(IntactError, match="is there already"):
        _throwaway_sqlite.SQLite(str(tmp_path))
    assert tmp_path.is_dir()


@pytest.mark.skipif(os.getuid() != 0, reason="only root runs a server as somebody else")
def test_a_directory_that_the_server_can_not_reach_is_told(tmp_path):
    tmp_path.chmod(0o700)
    with pytest.raises(IntactError, match="can't reach"):
        _throwaway_sqlite.SQLite(str(tmp_path / "drill"), user="nobody")
    assert not (tmp_path / "drill").exists()
