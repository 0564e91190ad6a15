# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Panels before and after: a small one whose rows lie in a real SQLite database, and the registered drivers on a host without any."""

from __future__ import annotations

import json
import sqlite3

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import _inventory
from ansible_collections.intact.hosting.plugins.module_utils._postflight import panels
from ansible_collections.intact.hosting.plugins.module_utils._postflight._context import Context
from ansible_collections.intact.hosting.plugins.module_utils._system import System
from ansible_collections.intact.hosting.tests.unit.plugins.fake_system import FakeSystem

HASH = "planted-hash-1187"


class Panel:
    """A driver whose panel is one database file."""

    NAME, TITLE = "small", "Small panel"

    def __init__(self, path):
        self.path = str(path)

    def inventory(self, system, found):
        rows = sqlite3.connect(self.path)
        try:
            domains = {name: {"owner": owner} for name, owner in rows.execute("SELECT name, owner FROM domains")}
            boxes = {name: {"password": _inventory.secret(secret)} for name, secret in rows.execute("SELECT name, secret FROM boxes")}
        except sqlite3.Error as exc:
            raise IntactError("the panel's database did not answer: %s" % exc) from exc
        finally:
            rows.close()
        return _inventory.make(self.NAME, "1", "web1", "sql", {"domain": domains, "mailbox": boxes})


@pytest.fixture
def panel(tmp_path):
    """(driver, function that changes the panel's rows)."""

    def change(*statements):
        rows = sqlite3.connect(str(tmp_path / "panel.db"))
        for statement in statements:
            rows.execute(statement)
        rows.commit()
        rows.close()

    change("CREATE TABLE domains (name, owner)", "CREATE TABLE boxes (name, secret)")
    change("INSERT INTO domains VALUES ('a.test', 'ann'), ('b.test', 'bob')", "INSERT INTO boxes VALUES ('ann@a.test', '%s')" % HASH)
    return Panel(tmp_path / "panel.db"), change


def look(driver):
    return panels.look(System(), [(driver, {})])


def told(before, after):
    return [(f.id, f.severity, f.subject, f.check) for f in panels.compare(before, after)]


def test_a_panel_that_knows_what_it_knew(panel):
    driver, _change = panel
    before = look(driver)
    assert told(before, look(driver)) == []
    # the document lies on disks and in copies: neither the hash nor its digest is in it
    assert HASH not in json.dumps(before) and "sha256:" not in json.dumps(before)


def test_what_a_panel_lost(panel):
    driver, change = panel
    before = look(driver)
    change("DELETE FROM domains WHERE name = 'b.test'", "UPDATE domains SET owner = 'eve'")
    found = panels.compare(before, look(driver))
    assert [(f.id, f.severity, f.subject, f.check) for f in found] == [
        ("panel.object.changed", "blocker", "small domain a.test", "QF41"),
        ("panel.object.missing", "blocker", "small domain b.test", "QF41"),
    ]
    assert "restore-panel.yml" in found[0].remedy
    change("DROP TABLE boxes")
    assert told(before, look(driver)) == [("panel.unanswered", "blocker", "small", "QF41")]
    broken = look(driver)
    assert told(broken, look(driver)) == [("panel.unanswered", "warning", "small", "QF41")]


def test_a_panel_that_is_gone_or_that_nobody_looked_at(panel):
    driver, _change = panel
    assert told(look(driver), {}) == [("panel.missing", "blocker", "small", "QF41")]
    assert told(None, look(driver)) == [("panel.uncompared", "warning", "small", "QF41")]
    assert told({}, look(driver)) == [("panel.uncompared", "info", "small", "QF41")], "one that was put in since"
    assert told({"small": {"error": "no answer"}}, look(driver)) == [("panel.uncompared", "warning", "small", "QF41")]
    assert told({"small": {"error": "no answer"}}, {}) == []


def test_what_the_baseline_tells_is_not_told_twice():
    class Mailman:
        NAME = "mailman"

    assert panels.look(System(), [(Mailman, {})]) == {}
    assert panels.inventories(Context(FakeSystem())) == []


def test_a_defect_in_a_driver_hides_no_other_panel(panel):
    class Broken:
        NAME = "broken"

        @staticmethod
        def inventory(system, found):
            raise KeyError("rows")

    seen = panels.look(System(), [(Broken, {}), (panel[0], {})])
    assert "defect" in seen["broken"]["error"] and seen["small"]["objects"]["domain"]
