# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A panel's database server: who asks is told by no argument, refusals are the server's words, tables are told with whether they hold anything."""

from __future__ import annotations

import os

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import _archives, _dumps
from ansible_collections.intact.hosting.plugins.module_utils._panels import _mysql_login as mysql
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels.stand_in_fixture import Stage, kit, mariadb

PASSWORD = "planted-password"


@pytest.fixture
def root(tmp_path):
    root = str(tmp_path)
    mariadb.install(root, {"panel": PASSWORD})
    mariadb.make(root, "shop", {"orders": (("id", "text"), [(1, "it's\ta 'test'\n\\ ü"), (2, None)]), "empty": (("id",), [])})
    return root


def asked(stage, **more):
    return mysql.asking(stage, mysql.Login("panel", PASSWORD, **more))


def test_the_password_is_in_no_argument(root):
    stage = Stage(root)
    assert asked(stage)("", "SELECT 1") == [("1",)]
    assert PASSWORD not in repr(stage.started) and stage.started[0][:3] == ["mariadb", "--no-defaults", "--user=panel"]


def test_an_option_file_of_the_panel_comes_first(root):
    kit.put(root, "/etc/panel.cnf", "[client]\nuser=panel\npassword='%s'\n" % PASSWORD)
    stage = Stage(root)
    assert mysql.asking(stage, mysql.Login(file="/etc/panel.cnf"))("", "SELECT 1") == [("1",)]
    assert stage.started[0][1] == "--defaults-file=/etc/panel.cnf"


@pytest.mark.parametrize(("login", "switch", "words"), [(mysql.Login("panel", "wrong"), "", "1045"), (mysql.Login("panel", PASSWORD), "mysql-refused", "2002")])
def test_a_refusal_is_told_in_the_servers_words(root, login, switch, words):
    if switch:
        kit.switch(root, switch)
    (found,) = mysql.refused("panel", mysql.asking(Stage(root), login))
    assert found.id == "panel.database.refused" and words in found.evidence and "wrong" not in found.evidence


def test_no_client_is_an_error_of_its_own(tmp_path):
    with pytest.raises(IntactError, match="no mariadb or mysql is installed"):
        mysql.asking(Stage(str(tmp_path)), mysql.Login())("", "SELECT 1")


def test_tables_and_which_of_them_hold_a_row(root):
    assert mysql.filled(asked(Stage(root)), "shop") == {"tables": ["empty", "orders"], "filled": ["orders"]}
    unlooked = []
    assert mysql.attributes(None, "shop", unlooked) == {} and unlooked == []
    kit.switch(root, "mysql-refused")
    assert mysql.attributes(asked(Stage(root)), "shop", unlooked) == {} and unlooked[0]["what"] == "tables of database shop"


def test_rows_whatever_is_in_them(root):
    wanted = {"orders": ("id", "text", "from a later version"), "gone": ("id",)}
    assert mysql.rows(asked(Stage(root)), "shop", wanted) == {"orders": [{"id": "1", "text": "it's\ta 'test'\n\\ ü"}, {"id": "2", "text": ""}]}


def test_a_dump_and_loading_it(root):
    stage, login = Stage(root), mysql.Login("panel", PASSWORD)
    path = os.path.join(root, "dump.sql")
    assert mysql.dump(stage, login, "shop", path) == (0, []) and os.stat(path).st_mode & 0o777 == 0o600
    said = next(iter(_archives.walk(path, scan=lambda name: _dumps.Scan()).scanned.values()))
    assert said["whole"] and said["tables"] == {"empty": 0, "orders": 2}
    mariadb.change(root, "shop", "DELETE FROM orders")
    mariadb.change(root, "shop", "INSERT INTO empty VALUES (7)")
    assert mysql.load(stage, login, "shop", path) == (0, [])
    assert mysql.rows(asked(stage), "shop", {"orders": ("text",), "empty": ("id",)}) == {
        "orders": [{"text": "it's\ta 'test'\n\\ ü"}, {"text": ""}],
        "empty": [],
    }
    assert PASSWORD not in repr(stage.started)


def test_a_dump_that_breaks_off_is_told(root):
    kit.switch(root, "mysql-dump-broken", "shop")
    status, said = mysql.dump(Stage(root), mysql.Login("panel", PASSWORD), "shop", os.path.join(root, "d.sql"))
    assert status == 3 and "Lost connection" in said[0]


@pytest.mark.parametrize(("name", "sql"), [("shop", "'shop'"), ("", "''"), ("a'b", "CONVERT(0x612762 USING utf8mb4)")])
def test_text_for_sql(name, sql):
    assert mysql.text(name) == sql and mysql.quoted("a`b") == "`a``b`"
