# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rows in dumps that real servers made of one panel are the rows that the panel has in SQLite."""

from __future__ import annotations

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _sqlite
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import _copies, _postfixadmin_items, _sqltext, _tables
from ansible_collections.intact.hosting.tests.unit.plugins.fake_system import FakeSystem
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels.sqlpanels_fixture import RECORDED, database


def told(engine, tmp_path):
    path = RECORDED / ("postfixadmin-%s.sql" % engine)
    if engine == "sqlite":
        database(tmp_path, "copy.db", path.name)
        path = tmp_path / "copy.db"
    rows = _copies.file_rows(str(path), engine, _postfixadmin_items.TABLES)
    # salts and times differ from one filling to the next
    objects = _postfixadmin_items.objects(rows, {})
    for entries in objects.values():
        for item in entries.values():
            for key in ("password", "src_password", "password_expiry", "activefrom", "activeuntil"):
                item.pop(key, None)
    # the number of a row is the server's matter
    objects["setting"] = {name.rpartition(" (")[0] or name: item for name, item in objects["setting"].items()}
    return objects


@pytest.mark.parametrize("engine", ["mysql", "postgresql"])
def test_a_servers_dump_tells_the_same_objects_as_the_same_panel_in_sqlite(engine, tmp_path):
    wanted, seen = told("sqlite", tmp_path), told(engine, tmp_path)
    assert seen["domain"]["example.com"]["description"] == "Kunde example.com; \"gut\" & 'günstig'"
    assert seen["mailbox"]["ann@example.com"]["name"] == "Größe Ann, =1+1"
    assert seen["mail_alias"]["sales@example.com"]["to"] == ["ann@example.com", "bob@example.com", "extern@example.net"]
    if engine == "postgresql":
        # its schema lacks a column of vacation, so the filling failed there, and it keeps no rights on domains that it does not have
        wanted["setting"] = {name: item for name, item in wanted["setting"].items() if not name.startswith("vacation ")}
        wanted["customer"]["root@example.com"]["domains"] = []
    assert {kind: sorted(entries) for kind, entries in seen.items()} == {kind: sorted(entries) for kind, entries in wanted.items()}
    for kind in ("domain", "mailbox", "mail_alias", "domain_alias"):
        for name in wanted[kind]:
            both = set(wanted[kind][name]) & set(seen[kind][name])
            assert {k: seen[kind][name][k] for k in both} == {k: wanted[kind][name][k] for k in both}


MYSQL = rb"""CREATE TABLE `t` (
  `id` int(11) NOT NULL,
  `te``xt` varchar(20) DEFAULT NULL,
  `raw` longblob DEFAULT NULL,
  `f` double DEFAULT NULL,
  PRIMARY KEY (`id`),
  KEY `k` (`te``xt`)
) ENGINE=InnoDB;
"""


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        (rb"INSERT INTO `t` VALUES (1,'it\'s; a ''b'' \\ \n',0x00ff,30);", [{"id": "1", "te`xt": "it's; a 'b' \\ \n", "raw": b"\x00\xff", "f": "30"}]),
        (b"INSERT INTO `t` VALUES (1,NULL,NULL,1.5),(2,'),(',_binary 'x',-3);", [(None, None, "1.5"), ("),(", b"x", "-3")]),
        (b"INSERT INTO `t` VALUES\n(1,'a','',NULL),\n(2,'b','',NULL);\n", [("a", b"", None), ("b", b"", None)]),
        (b"INSERT INTO `t` (`id`, `f`) VALUES (7,1e3);", [{"id": "7", "f": "1000"}]),
        (b"INSERT INTO `other` VALUES\n(1,'x',NULL,NULL);\nINSERT INTO `t` VALUES (3,'c',NULL,NULL);", [("c", None, None)]),
    ],
)
def test_inserts(line, wanted):
    found = _sqltext.rows((MYSQL + line).splitlines(keepends=True), {"t"})["t"]
    names = ("te`xt", "raw", "f")
    assert [row if isinstance(w, dict) else tuple(row[n] for n in names) for row, w in zip(found, wanted)] == wanted and len(found) == len(wanted)


POSTGRESQL = rb"""CREATE TABLE public."user" (
    id integer NOT NULL,
    flag boolean,
    data bytea,
    said character varying
);
COPY public.other (id, said) FROM stdin;
1	x
\.
COPY public."user" (id, flag, data, said) FROM stdin;
1	t	\\x80055d	tab\there\nand \\ back
2	\N	\N	\N
\.
"""


def test_copies():
    first, second = _sqltext.rows(POSTGRESQL.splitlines(keepends=True), {"user"})["user"]
    assert first == {"id": "1", "flag": "1", "data": b"\x80\x05]", "said": "tab\there\nand \\ back"}
    assert set(second.values()) == {"2", None}


@pytest.mark.parametrize("line", [b"INSERT INTO `t` VALUES (1,'a';", b"INSERT INTO `t` VALUES (1,'a');"])
def test_a_row_that_can_not_be_read_is_an_error_and_never_left_out(line, tmp_path):
    path = tmp_path / "dump.sql"
    path.write_bytes(MYSQL + line)
    with pytest.raises(IntactError, match="the dump has a row"):
        _copies.file_rows(str(path), "mysql", ["t"])


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("sqlite:////var/lib/mailman3/data/mailman.db", ("sqlite", "/var/lib/mailman3/data/mailman.db", "")),
        ("mysql+pymysql://mm:s3cret@localhost/mm?charset=utf8mb4", ("mysql", "mm", "")),
        ("postgresql://mm:s3cret@127.0.0.1:5433/ma%20il", ("postgresql", "ma il", "5433")),
        ("postgres:///mailman", ("postgresql", "mailman", "")),
    ],
)
def test_place_of_a_url_holds_no_password(url, wanted):
    place = _tables.of_url(url)
    assert (place["engine"], place["name"], place["port"]) == wanted and "s3cret" not in str(place)


@pytest.mark.parametrize(("url", "words"), [("mysql://a:b@db.example.com/x", "its own host"), ("oracle://localhost/x", "a kind that is not known")])
def test_a_database_elsewhere_is_refused_without_its_password(url, words):
    with pytest.raises(IntactError, match=words) as told_:
        _tables.of_url(url.replace("a:b@", "a:s3cret@"))
    assert "s3cret" not in str(told_.value)


def test_rows_of_mariadb_are_asked_in_hexadecimal_and_an_unfinished_answer_is_an_error():
    def answer(argv, stdin):
        text = stdin.decode()
        if "information_schema" in text:
            rows = [b"t".hex() + "\t" + c.encode().hex() + "\t" + kind for c, kind in (("a", "varchar"), ("b", "longblob"), ("c", "double"))]
        else:
            rows = ["%s\t%s\t%s" % (b"tab\there".hex(), "00ff", b"2.50".hex()), "-\t-\t-"]
        return "\n".join(rows + ([] if b"broken".hex() in text else ["intact\tend"])) + "\n"

    system = FakeSystem({"mariadb": answer, "mariadbd": ""})
    place = {"engine": "mysql", "name": "panel", "port": ""}
    assert _tables.rows(system, place, ["t", "gone"]) == {"t": [{"a": "tab\there", "b": b"\x00\xff", "c": "2.5"}, {"a": None, "b": None, "c": None}]}
    with pytest.raises(IntactError, match="MariaDB does not answer"):
        _tables.rows(system, dict(place, name="broken"), ["broken"])


def test_rescue_asks_another_server_with_the_same_words():
    asked = []

    def query(name, sql):
        asked.append((name, sql))
        return [(b"t".hex(), b"a".hex(), "varchar")] if "information_schema" in sql else [(b"x".hex(),)]

    assert _tables.rows(FakeSystem(), {"engine": "mysql", "name": "panel", "port": ""}, ["t"], query) == {"t": [{"a": "x"}]}
    assert [name for name, _sql in asked] == ["panel", "panel"]


def test_a_copy_is_of_one_moment_and_leaves_no_trace(tmp_path):
    database(tmp_path, "live.db", "postfixadmin-sqlite.sql")
    writer = _sqlite.sqlite3.connect(str(tmp_path / "live.db"))
    writer.execute("PRAGMA journal_mode = WAL")
    writer.execute("INSERT INTO domain (domain, description, transport) VALUES ('committed.example', '', '')")
    writer.commit()
    writer.execute("DELETE FROM domain")
    (tmp_path / "out").mkdir()
    system = FakeSystem()
    from ansible_collections.intact.hosting.plugins.module_utils._system import System

    assert _copies.copy(System(), {"engine": "sqlite", "name": str(tmp_path / "live.db"), "port": ""}, str(tmp_path / "out" / "copy.db")) == ([], 0)
    writer.close()
    names = [row["domain"] for row in _copies.file_rows(str(tmp_path / "out" / "copy.db"), "sqlite", ["domain"])["domain"]]
    assert "committed.example" in names and len(names) == 5 and system.calls == []
    assert sorted(os_listdir(tmp_path / "out")) == ["copy.db"] and (tmp_path / "out" / "copy.db").stat().st_mode & 0o777 == 0o600


def os_listdir(path):
    return [entry.name for entry in path.iterdir()]


def test_damage_in_a_copy_is_told(tmp_path):
    database(tmp_path, "a.db", "postfixadmin-sqlite.sql")
    assert _copies.damage(str(tmp_path / "a.db")) == []
    database(tmp_path, "a.db", "", "INSERT INTO vacation_notification VALUES ('nobody@example.com', 'x', '2026-01-01')")
    assert [_copies.LOOSE in line for line in _copies.damage(str(tmp_path / "a.db"))] == [True]
    data = bytearray((tmp_path / "a.db").read_bytes())
    data[4096 * 3 : 4096 * 3 + 400] = b"\xff" * 400
    (tmp_path / "b.db").write_bytes(bytes(data))
    assert _copies.damage(str(tmp_path / "b.db"))
    (tmp_path / "c.db").write_bytes(b"not a database at all, " * 50)
    assert "not a database" in _copies.damage(str(tmp_path / "c.db"))[0]


def test_a_dump_program_that_fails_tells_its_status_and_what_it_said(tmp_path):
    system = FakeSystem({"mariadb-dump --version": "mariadb-dump from 11.8-MariaDB", "mariadb-dump": (2, "", "mariadb-dump: Got error: 1045")})
    place = {"engine": "mysql", "name": "panel", "port": ""}
    assert _copies.copy(system, place, str(tmp_path / "copy")) == (["mariadb-dump: Got error: 1045"], 2)
    assert "--result-file=%s" % (tmp_path / "copy") in system.calls[-1] and system.calls[-1][-1] == "panel"


def test_a_dump_whose_owner_is_not_there_is_refused_before_the_database_is_dropped(tmp_path):
    asked = []

    def psql(argv, stdin):
        asked.append(stdin)
        return "postgres\nmm\n"

    system = FakeSystem({"psql": "", "pg_lsclusters": "15 main 5432 online postgres /x /y\n", "runuser": psql})
    dump = tmp_path / "dump.sql"
    dump.write_bytes(b'ALTER DATABASE mm OWNER TO mm;\nALTER TABLE public.a OWNER TO "odd name";\nSELECT 1;\n')
    with pytest.raises(IntactError, match="belongs to odd name, whom PostgreSQL here does not know"):
        _copies.put(system, {"engine": "postgresql", "name": "mm", "port": ""}, str(dump), asked.append)
    assert asked == [b"SELECT rolname FROM pg_roles;\n"]


def test_an_error_while_a_dump_is_loaded_shows_no_piece_of_the_data(tmp_path):
    def mariadb(argv, stdin):
        return (1, "", "ERROR 1064 (42000) at line 7: near 'PLANTED-hash' at line 1\n") if b"INSERT" in stdin else ""

    system = FakeSystem({"mariadb": mariadb, "mariadbd": ""})
    dump = tmp_path / "dump.sql"
    dump.write_bytes(b"INSERT INTO x")
    with pytest.raises(IntactError, match="did not take the dump: ERROR 1064") as told_:
        _copies.put(system, {"engine": "mysql", "name": "mm", "port": ""}, str(dump), print)
    assert "PLANTED" not in str(told_.value)
