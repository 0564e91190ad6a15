# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The host's own databases: what is there, kept aside whole before it goes, loaded; and SQLite, a file among customers' files."""

from __future__ import annotations

import io
import os
from types import SimpleNamespace

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._backup import _live, postgresql
from ansible_collections.intact.hosting.plugins.module_utils._backup._dump import Dump, Feed, Statements
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._system import System

ROOT = os.geteuid() == 0
SHOP = "mariadb:shop"
END = b"-- Dump completed"


def shop(rows, total):
    table = {"kind": "table", "database": "shop", "engine": "InnoDB", "rows": rows, "chunk": 1, "parts": [[0, rows, str(total)]], "structure": "x"}
    return {SHOP: {"kind": "database"}, SHOP + ".orders": table}


BACKUP = {"host_id": "aa", "sections": {"databases": {"items": dict(shop(3, 7), **{"mariadb user 'a'@'%'": {"kind": "user", "secret": "x"}})}}}


class Held(Dump):
    def __init__(self, text, items):
        super().__init__(SHOP, "databases/mysql/shop.sql", Feed([text]), END)
        self._items = items

    def section(self):
        return self._items


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A MariaDB that has shop. items, text: of its dump; client: script that takes statements; said: what it got."""
    has = SimpleNamespace(items=shop(3, 7), text=b"INSERT\n" + END + b"\n", names=[SHOP], said=tmp_path / "said", accounts=[])
    has.client = 'cat >> "%s"' % has.said
    engine = SimpleNamespace(databases=lambda _view: has.names, open=lambda _view, _name: Held(has.text, has.items), accounts=lambda _view: has.accounts)
    monkeypatch.setattr(_live, "mysql", engine)
    monkeypatch.setitem(_live.ENGINES, "mariadb", engine)
    monkeypatch.setattr(_live.Databases, "_client", lambda _self, _name: ["sh", "-c", has.client])
    return has


def databases(tmp_path, **more):
    return _live.Databases(System(), str(tmp_path / "aside"), **more)


def aside(tmp_path):
    return {os.path.relpath(os.path.join(folder, name), str(tmp_path / "aside")) for folder, _folders, names in os.walk(tmp_path / "aside") for name in names}


def test_absent_same_and_differs(tmp_path, server):
    live = databases(tmp_path)
    assert live.state(SHOP, BACKUP) == ("same", []) and live.compare(SHOP, BACKUP) == []
    server.items = shop(3, 8)
    assert live.state(SHOP, BACKUP) == ("differs", [SHOP]) and [f.id for f in live.compare(SHOP, BACKUP)] == ["databases.rows.changed"]
    server.items = {SHOP: {"kind": "database"}}
    assert live.state(SHOP, BACKUP) == ("absent", [])
    server.names = []
    assert live.state(SHOP, BACKUP) == ("absent", []) and live.compare(SHOP, BACKUP)


def test_an_empty_database_that_is_there_is_as_in_the_backup(tmp_path, server):
    server.items = {SHOP: {"kind": "database"}}
    empty = {"host_id": "aa", "sections": {"databases": {"items": dict(server.items)}}}
    assert databases(tmp_path).state(SHOP, empty) == ("same", []) and databases(tmp_path).compare(SHOP, empty) == []


def test_a_database_is_dropped_only_when_it_is_kept_aside_whole(tmp_path, server):
    server.text = b"INSERT\n"
    with pytest.raises(IntactError, match=r"mariadb:shop could not be kept aside, so it is not overwritten"):
        databases(tmp_path).put_aside(SHOP, BACKUP)
    assert not server.said.exists() and aside(tmp_path) == set()
    server.text = b"INSERT\n" + END + b"\n"
    databases(tmp_path).put_aside(SHOP, BACKUP)
    kept = tmp_path / "aside" / "databases" / "mysql" / "shop.sql"
    assert kept.read_bytes() == server.text and kept.stat().st_mode & 0o777 == 0o600 and "DROP DATABASE IF EXISTS" in server.said.read_text()


def test_what_was_kept_aside_first_is_never_overwritten(tmp_path, server):
    databases(tmp_path).put_aside(SHOP, BACKUP)
    first = server.text
    server.text = b"half\n" + END + b"\n"
    databases(tmp_path).put_aside(SHOP, BACKUP)
    assert aside(tmp_path) == {"databases/mysql/shop.sql", "databases/mysql/shop.sql.2"}
    assert (tmp_path / "aside" / "databases" / "mysql" / "shop.sql").read_bytes() == first


def test_nothing_is_kept_of_an_empty_database_and_a_refused_drop_is_told(tmp_path, server):
    server.items = {SHOP: {"kind": "database"}}
    databases(tmp_path).put_aside(SHOP, BACKUP)
    assert not server.said.exists() and aside(tmp_path) == set()
    server.items, server.client = shop(1, 1), "cat > /dev/null; echo ERROR 1 at line 1: no >&2; exit 1"
    with pytest.raises(IntactError, match=r"could not be dropped to make room for the backup's: ERROR 1"):
        databases(tmp_path).put_aside(SHOP, BACKUP)


def test_what_a_server_refuses_is_told_without_values(tmp_path, server):
    said = "ERROR 1064 (42000) at line 3: error near 'IDENTIFIED BY PASSWORD '*HASH'' at line 1|ERROR 1062 at line 4: Duplicate entry 'ann@x' for key|"
    said += 'ERROR:  invalid input syntax for type integer: "secret"|LINE 1: ERROR PASSWORD SCRAM|ERROR 1007: database exists already exists'
    server.client = "cat > /dev/null; printf '%%s' \"$SAID\" | tr '|' '\\n' >&2; exit 1"
    server.client = server.client.replace("%%", "%")
    os.environ["SAID"] = said
    try:
        refused = databases(tmp_path).load(SHOP, io.BytesIO(b"SELECT"))
    finally:
        del os.environ["SAID"]
    assert len(refused) == 3 and not any(word in " ".join(refused) for word in ("HASH", "ann@x", "secret", "SCRAM"))
    server.client = "exit 3"
    with pytest.raises(IntactError, match=r"mariadb:shop: the client ended with status 3"):
        databases(tmp_path).load(SHOP, io.BytesIO(b"x" * 10**6))


def test_accounts_are_those_of_their_own_server(tmp_path, server, monkeypatch):
    name = "postgresql(other) accounts"
    role = {"kind": "role", "attributes": "x", "secret": "s", "until": "", "connections": -1, "member_of": []}
    items = {"postgresql(other)": {"kind": "server"}, "postgresql(other) role ann": role}
    main = Statements("postgresql accounts", "databases/accounts/postgresql.sql", b"main", b"", {"postgresql": {"kind": "server"}})
    other = Statements(name, "databases/accounts/postgresql%28other%29.sql", b"other", b"", items)
    server.accounts = [main, other]
    monkeypatch.setitem(_live.ENGINES, "postgresql", SimpleNamespace(accounts=lambda _view: server.accounts))
    assert databases(tmp_path).state(name, {"sections": {"databases": {"items": items}}}) == ("same", [])
    databases(tmp_path).put_aside(name, BACKUP)
    assert aside(tmp_path) == {"databases/accounts/postgresql%28other%29.sql"}


def test_the_database_postgres_is_loaded_into_itself_and_never_dropped(tmp_path, monkeypatch):
    monkeypatch.setattr(_live._postgresql, "clusters", lambda _view: [{"version": "15", "name": "main", "port": "5432", "status": "online"}])
    live = databases(tmp_path)
    assert live._client("postgresql:postgres")[-2:] == ["-d", "postgres"] and live._client("postgresql:app")[-2:] == ["-d", "template1"]
    monkeypatch.setattr(live, "now", lambda _name, _manifest: {"postgresql:postgres.t": {"kind": "table"}})
    with pytest.raises(IntactError, match="empty it, or name it in keep"):
        live.put_aside("postgresql:postgres", BACKUP)
    monkeypatch.setattr(live, "now", lambda _name, _manifest: {"postgresql:postgres extension plpgsql": {"kind": "extension"}})
    live.put_aside("postgresql:postgres", BACKUP)
    assert _live.engine("postgresql:app") is postgresql
