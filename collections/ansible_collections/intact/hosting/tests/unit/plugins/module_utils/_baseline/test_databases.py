# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Databases: digests that tell where a table changed, what the servers are asked, real SQLite files, one finding for one event."""

from __future__ import annotations

import copy
import hashlib
import json
import sqlite3

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _compare, _digests, _mysql, _postgresql, databases
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._system import System
from ansible_collections.intact.hosting.tests.unit.plugins.fake_system import FakeSystem


def table(rows, chunk=None, key="id", until=None):
    """A table item as a server would digest it; rows: {id: content}, until: the highest id of the earlier look, where it is known."""
    top = max(rows, default=0)
    if chunk is None:
        chunk = 1
        while top // chunk >= _digests.GROUPS:
            chunk *= 2
    digests = [
        (n // chunk if chunk else 0, 1, int(hashlib.md5(("%s|%s" % (n, content)).encode()).hexdigest()[:16], 16), n, until is None or n <= until)
        for n, content in rows.items()
    ]
    return {
        "kind": "table",
        "database": "shop",
        "engine": "InnoDB",
        "collation": "utf8mb4_general_ci",
        "structure": "s",
        "rows": len(rows),
        "chunk": chunk,
        "key": key,
        **_digests.contents(digests, until),
    }


ROWS = {n: "row %d" % n for n in range(1, 1001)}


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        ({}, None, ""),
        ({500: "other"}, "changed", "1000 rows as before, with other content in id 496 to 511"),
        ({500: None}, "lost", "1000 rows, now 999 in id 496 to 511"),
        ({1001: "new", 1002: "new"}, "added", "rows were added at the end"),
        ({2000: "new"}, "added", "rows were added at the end"),
        ({1001: "new", 3: "other"}, "rewritten", "not only at the end"),
        ({500: None, 501: None, 2000: "a"}, "lost", "1000 rows, now 999"),
    ],
)
def test_judge_tells_what_happened_and_where(change, kind, words):
    rows = {**ROWS, **change}
    verdict = _digests.judge(table(ROWS), table({k: v for k, v in rows.items() if v is not None}, until=1000))
    assert (verdict and verdict[0]) == kind
    assert words in (verdict[1] if verdict else "")


@pytest.mark.parametrize(
    ("change", "informed", "blind"),
    [
        # ids 992 to 1007 are one range
        ({1001: "new"}, "added", "grown"),
        ({1001: "new", 1000: "other"}, "rewritten", "grown"),
        ({1001: "new", 1002: "new", 999: None}, "rewritten", "grown"),
        ({1001: "new", 999: None, 2000: "new"}, "rewritten", "rewritten"),
        ({1024: "new"}, "added", "added"),
        ({1024: "new", 1000: "other"}, "rewritten", "rewritten"),
    ],
)
def test_an_old_row_that_changed_beside_new_ones_is_never_only_a_note(change, informed, blind):
    rows = {k: v for k, v in {**ROWS, **change}.items() if v is not None}
    assert _digests.judge(table(ROWS), table(rows, until=1000))[0] == informed
    assert _digests.judge(table(ROWS), table(rows))[0] == blind
    # a look that was told of another document than it is compared with
    assert _digests.judge(table(ROWS), table(rows, until=998))[0] == blind


def test_the_first_rows_of_an_empty_table():
    assert _digests.judge(table({}), table(dict.fromkeys(range(1, 200), "new")))[0] == "added"


def test_two_equal_rows_do_not_cancel_out():
    before = table({1: "x"}, chunk=0)
    twice = dict(before, rows=3, parts=[[0, 3, str(3 * int(before["parts"][0][2]))]])
    assert _digests.judge(twice, dict(before, rows=1))[0] == "lost"
    assert _digests.judge(twice, dict(twice, parts=[[0, 3, before["parts"][0][2]]]))[0] == "changed"


def test_table_without_whole_number_key_says_what_it_cannot_tell():
    kind, sentence = _digests.judge(table(ROWS, chunk=0), table({**ROWS, 1001: "n"}, chunk=0))
    assert kind == "grown" and "can't be told" in sentence


def test_coarser_brings_negative_keys_together_as_the_server_does():
    # SQL's DIV cuts towards zero
    assert _digests.coarser([[-3, 1, "1"], [-1, 1, "2"], [0, 1, "4"], [1, 1, "8"], [2, 1, "16"]], 2) == [[-1, 1, "1"], [0, 3, "14"], [1, 1, "16"]]


def test_volatile_rules_need_their_columns_and_a_reason():
    condition, left, counted = _digests.volatile("wp.wp_options", ["option_id", "option_name", "option_value"], _digests.VOLATILE)
    assert "transient" in condition and counted and not left
    assert _digests.volatile("shop.options", ["id", "name"], _digests.VOLATILE) == ("", set(), True)
    assert _digests.volatile("wiki.objectcache", ["keyname", "value", "exptime"], _digests.VOLATILE)[2] is False
    with pytest.raises(IntactError, match="lacks a reason"):
        _digests.volatile("a.b", ["x"], [{"table": "a.b", "columns": ["x"]}])


@pytest.mark.parametrize(
    ("kind", "octets", "expected"),
    [
        ("int", 0, "COALESCE(`c`, '-')"),
        ("float", 0, "COALESCE(`c` + 0e0, '-')"),
        ("bit", 0, "COALESCE(`c` + 0, '-')"),
        ("varchar", 80, "COALESCE(HEX(`c`), '-')"),
        ("varchar", 60000, "COALESCE(MD5(`c`), '-')"),
        ("longblob", 4294967295, "COALESCE(MD5(`c`), '-')"),
        ("uuid", 0, "COALESCE(HEX(CAST(`c` AS CHAR)), '-')"),
    ],
)
def test_every_kind_of_column_becomes_text(kind, octets, expected):
    assert _mysql.expression("c", kind, octets) == expected


def test_names_are_quoted_and_generated_columns_left_out():
    columns = [{"name": "a`b", "kind": "int", "octets": 0, "generated": False}, {"name": "g", "kind": "int", "octets": 0, "generated": True}]
    text = "\n".join(_mysql.digest_statements(7, "odd`db", "t;x", columns, "a`b", "x = 1", {"c"}))
    assert "`odd``db`.`t;x`" in text and "`a``b` DIV @chunk" in text and "`g`" not in text
    assert text.count("WHERE NOT COALESCE((x = 1), FALSE)") == 2


def hexed(*values):
    return "\t".join(v if i == 0 else v.encode().hex().upper() for i, v in enumerate(values))


METADATA = "\n".join(
    [
        "version\t10.11.6-MariaDB",
        hexed("db", "shop") + "\tutf8\tutf8_general_ci",
        hexed("table", "shop", "orders") + "\tBASE TABLE\tInnoDB\tutf8_general_ci\t16384",
        hexed("table", "shop", "cache") + "\tBASE TABLE\tMEMORY\tutf8_general_ci\t0",
        hexed("column", "shop", "orders", "id") + "\tint\t" + b"int(11)".hex() + "\t0\t\tNO\t\t",
        hexed("column", "shop", "orders", "note") + "\tvarchar\t" + b"varchar(9)".hex() + "\t36\tutf8_general_ci\tYES\t" + b"NULL".hex() + "\t",
        hexed("index", "shop", "orders", "PRIMARY") + "\t0\t" + b"id".hex() + "\t",
        hexed("routine", "shop", "p1 (procedure)", "BEGIN END", "root@localhost DEFINER"),
        hexed("parameter", "shop", "p1 (procedure)", "IN x int"),
        "user\t" + b"carol@localhost".hex() + "\tmysql_native_password\t" + b"*ABC".hex(),
        "grant\t" + b"'carol'@'localhost'".hex() + "\t" + b"shop.*".hex() + "\tSELECT\tNO",
        "grant\t" + b"'carol'@'localhost'".hex() + "\t" + b"shop.*".hex() + "\tINSERT\tNO",
        "Select\tTables\tTo retrieve rows",
        "end",
    ]
)


def mariadb(digests):
    def answer(argv, stdin):
        return METADATA if b"information_schema" in stdin else digests

    return FakeSystem({"mariadb": answer, "mariadbd": ""}, {"/etc/machine-id": "abc"}, options={"sqlite_trees": []})


def test_capture_of_mariadb_from_recorded_answers():
    found = databases.capture(mariadb("rows\t0\t2\npart\t0\t1\t1\t1\t77\t1\t1\npart\t0\t1\t2\t1\t88\t2\t1\nend"))
    items = found["items"]
    orders = items["mariadb:shop.orders"]
    assert orders["rows"] == 2 and orders["parts"] == [[1, 1, "77"], [2, 1, "88"]] and orders["key"] == "id" and "error" not in orders
    assert items["mariadb:shop.cache"]["stored"] is False
    assert items["mariadb user carol@localhost"]["privileges"] == {"shop.*": ["INSERT", "SELECT"]}
    assert "ABC" not in json.dumps(found) and items["mariadb user carol@localhost"]["secret"]
    assert items["mariadb:shop"]["charset"] == "utf8mb3"
    assert items["mariadb:shop.p1 (procedure)"]["properties"].endswith("IN x int")
    assert found["summary"]["rows"] == 2


@pytest.mark.parametrize("digests", ["rows\t0\t2\npart\t0\t1\t1\t1\t77\t1\t1\nend", "end"])
def test_a_table_that_is_not_read_whole_is_an_error_of_that_table(digests):
    before, after = databases.capture(mariadb("rows\t0\t2\npart\t0\t1\t1\t2\t77\t2\t1\nend")), databases.capture(mariadb(digests))
    assert [(f.id, f.subject) for f in databases.compare(before, after)] == [("databases.unread", "mariadb:shop.orders")]


def test_a_server_that_does_not_answer_is_one_finding():
    before = databases.capture(mariadb("rows\t0\t0\nend"))
    after = databases.capture(FakeSystem({"mariadb": (1, "", "ERROR 2002 (HY000): Can't connect"), "mariadbd": ""}, options={"sqlite_trees": []}))
    (finding,) = databases.compare(before, after)
    assert (finding.id, finding.subject) == ("databases.unread", "mariadb") and "Can't connect" in finding.evidence
    assert "service:mariadb.service" in finding.details["paths"]


def test_a_host_without_databases_has_no_such_section():
    assert databases.capture(FakeSystem(options={"sqlite_trees": []})) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" SELECT items.id, items.name\n   FROM crm.items\n  WHERE items.price > 10;", " SELECT id, name\n   FROM crm.items\n  WHERE price > 10;"),
        ("SELECT a.x, f.y(1) FROM s.t a JOIN s.u b ON a.id = b.id", "SELECT x, f.y(1) FROM s.t a JOIN s.u b ON id = id"),
    ],
)
def test_postgresql_views_print_the_same_in_every_version(text, expected):
    assert _postgresql.unqualified(text) == expected


def test_clusters_and_access_lists():
    system = FakeSystem({"psql": "", "pg_lsclusters -h": "17 main 5433 down postgres /d /l\n15 main 5432 online postgres /d /l\n"})
    assert [(c["version"], c["status"]) for c in _postgresql.clusters(system)] == [("15", "online"), ("17", "down")]
    assert _postgresql._acl("{postgres=arwdDxtm/postgres,probe=r/postgres}") == _postgresql._acl("{probe=r/postgres,postgres=arwdDxt/postgres}")


@pytest.fixture
def shelf(tmp_path):
    """A docroot with one SQLite file in WAL mode, and a capture of it."""
    file = tmp_path / "shop\nodd.sqlite"
    connection = sqlite3.connect(file)
    connection.executescript(
        "PRAGMA journal_mode = WAL; CREATE TABLE notes (id INTEGER PRIMARY KEY, t TEXT, b BLOB, f REAL); CREATE VIEW v AS SELECT t FROM notes;"
        "CREATE TABLE pairs (a TEXT PRIMARY KEY) WITHOUT ROWID; INSERT INTO pairs VALUES ('x');"
    )
    connection.executemany("INSERT INTO notes VALUES (?, ?, ?, ?)", [(n, "note %d" % n, bytes([n % 256]) * 300, n / 7) for n in range(1, 400)])
    connection.commit()
    (tmp_path / "not.sqlite").write_bytes(b"x" * 512)

    class Host(FakeSystem):
        """Real files, no servers."""

        read, lstat, listdir, exists = System.read, System.lstat, System.listdir, System.exists

    def capture(earlier=None):
        host = Host(options={"sqlite_trees": [str(tmp_path)]})
        host.earlier = earlier or {}
        return databases.capture(host)

    return tmp_path, connection, capture


def test_sqlite_is_read_without_a_trace_and_with_its_log(shelf):
    directory, connection, capture = shelf
    names = sorted(p.name for p in directory.iterdir())
    first = capture()
    assert sorted(p.name for p in directory.iterdir()) == names
    assert databases.compare(first, capture()) == []
    (subject,) = [s for s in first["items"] if s.endswith("#notes")]
    assert "\\x0aodd" in subject and first["items"][subject]["rows"] == 399
    connection.execute("UPDATE notes SET b = substr(b, 1, 299) WHERE id = 7")
    connection.commit()
    (finding,) = databases.compare(first, capture())
    assert (finding.id, finding.subject) == ("databases.rows.changed", subject) and "rowid 0 to 7" in finding.evidence


def test_sqlite_rows_below_new_ones(shelf):
    _directory, connection, capture = shelf
    connection.execute("DELETE FROM notes WHERE id = 399")
    connection.commit()
    first = capture()
    connection.execute("INSERT INTO notes VALUES (399, 'new', NULL, 1)")
    connection.commit()
    assert [f.id for f in databases.compare(first, capture(first))] == ["databases.rows.added"]
    assert [f.id for f in databases.compare(first, capture())] == ["databases.rows.grown"]
    connection.execute("UPDATE notes SET t = 'other' WHERE id = 398")
    connection.commit()
    assert [f.id for f in databases.compare(first, capture(first))] == ["databases.rows.rewritten"]


def test_servers_are_asked_for_the_rows_up_to_the_earlier_top():
    columns = [{"name": "id", "kind": "int", "octets": 0, "generated": False}]
    assert "`id` <= 41 AS e" in _mysql.digest_statements(0, "s", "t", columns, "id", "", set(), 41)[-1]
    row = {"schema": "s", "name": "t", "kind": "r", "key": "id", "columns": [["id"]]}
    # a column may be called t: the whole row is digested all the same
    assert "md5(intact_whole_row::text)" in _postgresql.table_statements(0, row, True, "", set(), 41)[-1]
    assert 'intact_whole_row."id" <= 41 AS e' in _postgresql.table_statements(0, row, True, "", set(), 41)[-1]


def test_a_later_look_at_mariadb_sums_what_was_there_before():
    first = databases.capture(mariadb("rows\t0\t2\npart\t0\t2\t0\t1\t77\t1\t1\npart\t0\t2\t1\t1\t88\t2\t1\nend"))
    assert first["items"]["mariadb:shop.orders"]["top"] == 2 and "earlier" not in first["items"]["mariadb:shop.orders"]
    later = mariadb("rows\t0\t3\npart\t0\t2\t0\t1\t77\t1\t1\npart\t0\t2\t1\t1\t88\t2\t1\npart\t0\t2\t1\t1\t9\t3\t0\nend")
    later.earlier = first
    orders = databases.capture(later)["items"]["mariadb:shop.orders"]
    assert orders["parts"] == [[0, 1, "77"], [1, 2, "97"]] and orders["earlier"] == [2, 2, "165"] and "error" not in orders
    assert [f.id for f in databases.compare(first, {"items": dict(first["items"], **{"mariadb:shop.orders": orders})})] == ["databases.rows.added"]


def test_sqlite_file_that_is_gone_or_broken_is_one_finding(shelf):
    directory, connection, capture = shelf
    before = capture()
    connection.close()
    file = directory / "shop\nodd.sqlite"
    data = bytearray(file.read_bytes())
    data[4096:] = b"\0" * (len(data) - 4096)
    file.write_bytes(data)
    assert [f.id for f in databases.compare(before, capture())] == ["databases.unread"]
    file.unlink()
    assert [f.id for f in databases.compare(before, capture() or {})] == ["databases.missing"]


BASE = {
    "mariadb": {"kind": "server", "version": "10.11.6", "known": ["SELECT", "INSERT", "GRANT OPTION"]},
    "mariadb:shop": {"kind": "database", "charset": "utf8mb4", "collation": "utf8mb4_general_ci"},
    "mariadb:shop.orders": table(ROWS),
    "mariadb:shop.paid (view)": {"kind": "view", "database": "shop", "definition": "d", "properties": "root@localhost"},
    "mariadb user carol@localhost": {"kind": "user", "plugin": "p", "secret": "1", "privileges": {"shop.*": ["INSERT", "SELECT"]}},
    "postgresql:app.crm.seq": {"kind": "sequence", "database": "app", "value": 100, "owner": "a", "acl": ""},
}


def mutate(items):
    changes, items = items, copy.deepcopy(BASE)
    for subject, value in changes.items():
        if value is None:
            items.pop(subject)
        else:
            items.setdefault(subject, {}).update(value)
    return {"items": items}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, []),
        ({"mariadb": {"version": "11.8.3"}}, []),
        ({"mariadb:shop.orders": table({**ROWS, 500: "other"})}, [("databases.rows.changed", "blocker", "mariadb:shop.orders")]),
        ({"mariadb:shop.orders": table({**ROWS, 1001: "n"}, until=1000)}, [("databases.rows.added", "info", "mariadb:shop.orders")]),
        ({"mariadb:shop.orders": table({**ROWS, 1001: "n"})}, [("databases.rows.grown", "warning", "mariadb:shop.orders")]),
        ({"mariadb:shop.orders": None}, [("databases.table.missing", "blocker", "mariadb:shop.orders")]),
        ({"mariadb:shop.orders": {"engine": "MyISAM"}}, [("databases.table.changed", "warning", "mariadb:shop.orders")]),
        ({"mariadb:shop.orders": {"structure": "other", "parts": []}}, [("databases.structure.changed", "blocker", "mariadb:shop.orders")]),
        ({"mariadb:shop": None, "mariadb:shop.orders": None, "mariadb:shop.paid (view)": None}, [("databases.missing", "blocker", "mariadb:shop")]),
        ({"mariadb:shop.paid (view)": {"definition": "other"}}, [("databases.view.changed", "blocker", "mariadb:shop.paid (view)")]),
        ({"mariadb user carol@localhost": {"privileges": {"shop.*": ["SELECT"]}}}, [("databases.user.changed", "blocker", "mariadb user carol@localhost")]),
        # a right that the old server did not know
        ({"mariadb user carol@localhost": {"privileges": {"shop.*": ["INSERT", "SELECT", "SHOW CREATE ROUTINE"]}}}, []),
        (
            {"mariadb user carol@localhost": {"privileges": {"shop.*": ["INSERT", "SELECT", "GRANT OPTION"]}}},
            [("databases.user.changed", "blocker", "mariadb user carol@localhost")],
        ),
        ({"mariadb user carol@localhost": {"secret": "2"}}, [("databases.user.changed", "blocker", "mariadb user carol@localhost")]),
        ({"postgresql:app.crm.seq": {"value": 200}}, []),
        ({"postgresql:app.crm.seq": {"value": 5}}, [("databases.sequence.changed", "blocker", "postgresql:app.crm.seq")]),
        ({"mariadb": {"error": "gone away"}, "mariadb:shop.orders": None, "mariadb:shop": None}, [("databases.unread", "blocker", "mariadb")]),
        ({"mariadb:new": {"kind": "database"}, "mariadb:new.t": dict(table({1: "a"}), database="new")}, [("databases.new", "warning", "mariadb:new")]),
    ],
)
def test_one_finding_for_one_event(change, expected):
    found = databases.compare({"items": BASE}, mutate(items=change))
    assert [(f.id, f.severity, f.subject) for f in found] == expected


def test_a_lost_database_explains_its_site():
    (finding,) = databases.compare({"items": BASE}, mutate(items={"mariadb:shop": None, "mariadb:shop.orders": None, "mariadb:shop.paid (view)": None}))
    site = copy.deepcopy(finding)
    site.id, site.details = "sites.status.changed", {"paths": ["database:shop"]}
    assert any(_compare.covered(entry, site) for entry in finding.covers)


def test_a_materialised_view_that_was_filled_anew_is_to_be_looked_at():
    """It may have been stale: what it is made from is compared by itself. One that lost rows is told as a table is."""

    def view(rows):
        return {"items": {"postgresql:crm.turnover": dict(table(rows), kind="materialised view", database="crm")}}

    (finding,) = databases.compare(view({1: "a", 2: "b"}), view({1: "a", 2: "c"}))
    assert (finding.id, finding.severity) == ("databases.rows.changed", "warning") and "compared by themselves" in finding.remedy
    (finding,) = databases.compare(view({1: "a", 2: "b"}), view({1: "a"}))
    assert (finding.id, finding.severity) == ("databases.rows.lost", "blocker")
