# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lists: Mailman's database read as it lies there, from both schemas, and one finding for one member."""

from __future__ import annotations

import sqlite3

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._baseline import lists
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.tests.unit.plugins.fake_system import FakeSystem

CONFIG = (
    "[mailman]\nsite_owner: a@test\n[paths.debian]\nvar_dir: /var/lib/mailman3\n"
    "[database]\nclass: mailman.database.sqlite.SQLiteDatabase\nurl: sqlite:///$DATA_DIR/mailman.db\n"
)
SCHEMA = """
CREATE TABLE mailinglist (id INTEGER PRIMARY KEY, list_name VARCHAR, mail_host VARCHAR, list_id VARCHAR, advertised BOOLEAN, subscription_policy INTEGER,
    post_id INTEGER, moderator_password BLOB%s);
CREATE TABLE member (id INTEGER PRIMARY KEY, role INTEGER, list_id VARCHAR, moderation_action INTEGER,
    address_id INTEGER, preferences_id INTEGER, user_id INTEGER);
CREATE TABLE address (id INTEGER PRIMARY KEY, email VARCHAR, user_id INTEGER);
CREATE TABLE user (id INTEGER PRIMARY KEY, display_name VARCHAR, _preferred_address_id INTEGER);
CREATE TABLE preferences (id INTEGER PRIMARY KEY, delivery_mode INTEGER, delivery_status INTEGER);
CREATE TABLE ban (id INTEGER PRIMARY KEY, email VARCHAR, list_id VARCHAR);
INSERT INTO mailinglist VALUES (1, 'crew', 'lists.test', 'crew.lists.test', 1, 2, 17, 'geheim'%s);
INSERT INTO address VALUES (1, 'captain@test', 1), (2, 'anna@test', NULL), (3, 'bob@test', NULL);
INSERT INTO user VALUES (1, 'Captain', 1);
INSERT INTO preferences VALUES (1, 1, NULL), (2, 3, 2);
INSERT INTO member VALUES (1, 2, 'crew.lists.test', 3, 1, 1, NULL), (2, 1, 'crew.lists.test', NULL, NULL, 1, 1),
    (3, 1, 'crew.lists.test', NULL, 2, 2, NULL), (4, 1, 'crew.lists.test', NULL, 3, 1, NULL);
INSERT INTO ban VALUES (1, 'eve@evil.test', 'crew.lists.test');
"""


def capture(tmp_path, *statements, newer=False):
    file = tmp_path / ("mailman%d.db" % len(list(tmp_path.iterdir())))
    connection = sqlite3.connect(file)
    connection.executescript(SCHEMA % ((", dmarc_addresses BLOB", ", NULL") if newer else ("", "")))
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()
    return lists.capture(FakeSystem({"mailman": ""}, {lists.CONFIG: CONFIG, "/var/lib/mailman3/data/mailman.db": file.read_bytes(), "/etc/machine-id": "x"}))


def test_lists_people_and_secrets(tmp_path):
    found = capture(tmp_path)
    item = found["items"]["crew@lists.test"]
    # captain subscribed as a user: the preferred address counts
    assert sorted(item["people"]["member"]) == ["anna@test", "bob@test", "captain@test"] and item["people"]["owner"]["captain@test"]["moderation_action"] == "3"
    assert item["people"]["member"]["anna@test"] == {"delivery_mode": "3", "delivery_status": "2"} and item["bans"] == ["eve@evil.test"]
    assert "geheim" not in str(found) and "post_id" not in item["settings"]
    assert found["summary"] == {"lists": 1, "people on lists": 4}


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        ([], []),
        (["UPDATE mailinglist SET post_id = 99"], []),
        (["DELETE FROM member WHERE id = 3"], [("lists.member.lost", "blocker", "crew@lists.test: anna@test")]),
        (["DELETE FROM member WHERE role = 2"], [("lists.member.lost", "blocker", "crew@lists.test: captain@test")]),
        (
            ["INSERT INTO address VALUES (9, 'new@test', NULL)", "INSERT INTO member VALUES (9, 1, 'crew.lists.test', NULL, 9, 1, NULL)"],
            [("lists.member.new", "info", "crew@lists.test: new@test")],
        ),
        (["UPDATE member SET preferences_id = 1 WHERE id = 3"], [("lists.member.changed", "warning", "crew@lists.test: anna@test")]),
        (["UPDATE mailinglist SET subscription_policy = 1"], [("lists.settings.changed", "warning", "crew@lists.test")]),
        (["DELETE FROM ban"], [("lists.settings.changed", "warning", "crew@lists.test")]),
        (["DELETE FROM mailinglist"], [("lists.missing", "blocker", "crew@lists.test")]),
    ],
)
@pytest.mark.parametrize("newer", [False, True])
def test_one_finding_for_one_event(tmp_path, statements, expected, newer):
    found = lists.compare(capture(tmp_path), capture(tmp_path, *statements, newer=newer))
    assert [(f.id, f.severity, f.subject) for f in found] == expected


@pytest.mark.parametrize("settings", [{}, {"advertised": "1"}])
def test_settings_that_are_gone_are_told(tmp_path, settings):
    before, after = capture(tmp_path), capture(tmp_path)
    after["items"]["crew@lists.test"]["settings"] = settings
    (finding,) = lists.compare(before, after)
    assert (finding.id, finding.subject) == ("lists.settings.changed", "crew@lists.test") and "no longer there: " in finding.evidence
    assert "subscription_policy" in finding.evidence and lists.compare(before=after, after=before) == []


def test_many_lost_members_are_one_finding(tmp_path):
    more = ["INSERT INTO address VALUES (%d, 'm%d@test', NULL)" % (n, n) for n in range(10, 30)]
    more += ["INSERT INTO member VALUES (%d, 1, 'crew.lists.test', NULL, %d, 1, NULL)" % (n, n) for n in range(10, 30)]
    (finding,) = lists.compare(capture(tmp_path, *more), capture(tmp_path))
    assert (finding.id, finding.subject) == ("lists.members.lost", "crew@lists.test: 20 of 23 members")


def test_database_that_is_gone_or_elsewhere():
    with pytest.raises(IntactError, match="is not there"):
        lists.capture(FakeSystem(files={lists.CONFIG: CONFIG}))
    with pytest.raises(IntactError, match="only a database on this host"):
        lists.capture(FakeSystem(files={lists.CONFIG: CONFIG.replace("sqlite:///$DATA_DIR/mailman.db", "mysql+pymysql://u:p@db.test/mailman3")}))
    assert lists.capture(FakeSystem()) is None


def test_mariadb_is_asked_in_hexadecimal():
    def answer(argv, stdin):
        if b"information_schema" in stdin:
            columns = {"mailinglist": ["list_name", "mail_host", "list_id"], "address": ["id", "email"], "member": ["role", "list_id", "address_id"]}
            return "\n".join("%s\t%s" % (t.encode().hex(), c.encode().hex()) for t, names in columns.items() for c in names)
        rows = [("mailinglist", "crew", "lists.test", "crew.lists.test"), ("address", "1", "anna@test"), ("member", "1", "crew.lists.test", "1")]
        return "\n".join("\t".join([row[0]] + [value.encode().hex() for value in row[1:]]) for row in rows)

    config = CONFIG.replace("sqlite:///$DATA_DIR/mailman.db", "mysql+pymysql://mailman3:geheim@localhost/mailman3?charset=utf8mb4")
    system = FakeSystem({"mariadb": answer, "mariadbd": "", "mailman": ""}, {lists.CONFIG: config})
    found = lists.capture(system)
    assert list(found["items"]["crew@lists.test"]["people"]["member"]) == ["anna@test"]
    assert found["source"] == {"kind": "mariadb", "database": "mailman3"} and "geheim" not in str(system.calls)
    (finding,) = lists.compare(found, {"items": {}, "source": found["source"]})
    assert {"section": "databases", "subject": "mariadb:mailman3.mailinglist"} in finding.covers
