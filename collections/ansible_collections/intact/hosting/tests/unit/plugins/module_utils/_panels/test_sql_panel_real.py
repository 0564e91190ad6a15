# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Questions, dumps and rows against a real MariaDB: what the stand-in of it can't prove. The panel's tables in it are ISPConfig's and CyberPanel's."""

from __future__ import annotations

import os
import shutil
import tempfile

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._backup import _throwaway_mysql
from ansible_collections.intact.hosting.plugins.module_utils._command import run, which
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import (
    _archives,
    _cyberpanel_tables,
    _dump_rows,
    _inventory,
    _ispconfig_tables,
    _sql_panel,
)
from ansible_collections.intact.hosting.plugins.module_utils._panels import _mysql_login as mysql
from ansible_collections.intact.hosting.plugins.module_utils._system import System
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels import stand_in_fixture as fixture

from stand_ins import cyberpanel, ispconfig  # isort: skip (their place is known once the fixture is imported)

assert fixture.TESTS
needed = all(which(program) for program in ("mariadbd", "mariadb-dump", "mariadb"))
pytestmark = pytest.mark.skipif(not needed, reason="a real MariaDB is needed for this test: install mariadb-server")
ODD = 'it\'s \\ "odd"\n\r\t\0\x1a ü € `x` -- /* ; 😀'
PANELS = {"dbispconfig": (_ispconfig_tables, ispconfig.tables), "cyberpanel": (_cyberpanel_tables, cyberpanel.tables)}


@pytest.fixture(scope="module")
def server():
    """(System, Login) of a private server with both panels' tables in it."""
    place = tempfile.mkdtemp(prefix="intact-panels-")
    os.chmod(place, 0o711)
    try:
        with _throwaway_mysql.MariaDB(os.path.join(place, "server")) as private:
            login = mysql.Login(file=private._login)
            for name, (_tables, tables) in PANELS.items():
                sql(login, "CREATE DATABASE %s CHARACTER SET utf8mb4;" % name)
                for table, (columns, rows) in tables().items():
                    made = ", ".join("`%s` text" % column for column in columns)
                    sql(login, "CREATE TABLE %s.`%s` (%s);" % (name, table, made))
                    for row in rows:
                        sql(login, "INSERT INTO %s.`%s` VALUES (%s);" % (name, table, ", ".join(literal(value) for value in row)))
            kinds = (
                "id int, name varchar(200), note text, raw blob, bits bit(9), at datetime, part decimal(8,2), far double, kind enum('a','b'), PRIMARY KEY (id)"
            )
            sql(login, "CREATE DATABASE shop CHARACTER SET utf8mb4; CREATE TABLE shop.odd (%s); CREATE TABLE shop.empty (id int);" % kinds)
            sql(login, "INSERT INTO shop.odd VALUES (1, %s, NULL, 0x00ff27, b'101', '2026-11-22 10:00:00', -1.5, 1e300, 'b');" % literal(ODD))
            sql(login, "INSERT INTO shop.odd VALUES (2, '', '', '', NULL, NULL, 0, 0, 'a'); CREATE VIEW shop.seen AS SELECT id FROM shop.odd;")
            yield System(), login
    finally:
        shutil.rmtree(place)


def literal(value):
    return "NULL" if value is None else "CONVERT(0x%s USING utf8mb4)" % value.encode("utf-8").hex() if value else "''"


def sql(login, text):
    run(["mariadb", *login.words(), "--default-character-set=utf8mb4"], stdin=text.encode("utf-8"))


def dumped(server, name, path, wanted):
    status, said = mysql.dump(*server, name, str(path))
    assert (status, said) == (0, [])
    return scanned(path, wanted)


def scanned(path, wanted):
    return next(iter(_archives.walk(str(path), scan=lambda _name: _dump_rows.Rows(wanted)).scanned.values()))


@pytest.mark.parametrize("name", sorted(PANELS))
def test_rows_of_a_real_dump_are_the_rows_of_the_server(server, tmp_path, name):
    tables = PANELS[name][0]
    rows = mysql.rows(mysql.asking(*server), name, tables.WANTED)
    held = dumped(server, name, tmp_path / "d.sql", tables.WANTED)
    assert held["whole"] and held["unreadable"] == []
    key = repr
    assert {table: sorted(found, key=key) for table, found in held["rows"].items()} == {table: sorted(found, key=key) for table, found in rows.items()}
    assert rows and tables.objects(rows)["customer"]


@pytest.mark.parametrize("name", sorted(PANELS))
def test_a_dump_made_of_answers_says_the_same_and_loads(server, tmp_path, name):
    tables, query = PANELS[name][0], mysql.asking(*server)
    path = tmp_path / "made.sql"
    assert _sql_panel.by_query(query, name, str(path)) == len(PANELS[name][1]())
    held = scanned(path, tables.WANTED)
    assert held["whole"] and held["unreadable"] == []
    objects = tables.objects(mysql.rows(query, name, tables.WANTED))
    wanted, seen = (_inventory.make(name, "", "", "sql", one) for one in (objects, tables.objects(held["rows"])))
    assert _inventory.compare(wanted, seen) == []
    sql(server[1], "DROP DATABASE IF EXISTS copy; CREATE DATABASE copy CHARACTER SET utf8mb4;")
    assert mysql.load(*server, "copy", str(path)) == (0, [])
    assert tables.objects(mysql.rows(query, "copy", tables.WANTED)) == objects


def test_values_of_all_kinds_survive_both_ways(server, tmp_path):
    query = mysql.asking(*server)
    columns = tuple("id name note at part kind".split())
    expected = [
        {"id": "1", "name": ODD, "note": "", "at": "2026-11-22 10:00:00", "part": "-1.50", "kind": "b"},
        {"id": "2", "name": "", "note": "", "at": "", "part": "0.00", "kind": "a"},
    ]
    assert mysql.rows(query, "shop", {"odd": columns}) == {"odd": expected}
    assert dumped(server, "shop", tmp_path / "d.sql", {"odd": columns})["rows"] == {"odd": expected}
    path = tmp_path / "made.sql"
    _sql_panel.by_query(query, "shop", str(path))
    sql(server[1], "DROP DATABASE IF EXISTS copy; CREATE DATABASE copy CHARACTER SET utf8mb4;")
    assert mysql.load(*server, "copy", str(path)) == (0, [])
    same = "SELECT COUNT(*) FROM shop.odd o JOIN copy.odd c ON o.id <=> c.id AND o.name <=> c.name AND o.note <=> c.note AND o.raw <=> c.raw"
    assert query("", same + " AND o.bits <=> c.bits AND o.at <=> c.at AND o.part <=> c.part AND o.far <=> c.far AND o.kind <=> c.kind") == [("2",)]


def test_which_tables_hold_something(server):
    assert mysql.filled(mysql.asking(*server), "shop") == {"tables": ["empty", "odd"], "filled": ["odd"]}


def test_the_servers_refusals_are_told_in_its_words(server):
    query = mysql.asking(*server)
    with pytest.raises(IntactError, match=r"database server says: ERROR 1146"):
        query("", "SELECT 1 FROM shop.gone")
    with pytest.raises(IntactError, match="none of the panel's tables"):
        _sql_panel.asked(query, "shop", {"client": ("username",)})
    with pytest.raises(IntactError, match="no tables, or is not there"):
        _sql_panel.by_query(query, "nowhere", "/nonexistent")
    refused = mysql.refused("p", mysql.asking(server[0], mysql.Login("nobody-here", "wrong")))
    assert [finding.id for finding in refused] == ["panel.database.refused"] and "wrong" not in refused[0].evidence


def test_the_servers_check_of_tables(server):
    assert _sql_panel.check("p", *server, "shop") == []
