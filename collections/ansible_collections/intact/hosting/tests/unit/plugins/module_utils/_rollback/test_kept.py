# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is saved before going back: real Maildirs and mbox files, a real MariaDB, queue files, and the way they come back."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time

import pytest

from ansible_collections.intact.hosting.plugins.module_utils import _flight
from ansible_collections.intact.hosting.plugins.module_utils._baseline import _mailboxes, databases
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._rollback import _kept, _kept_databases
from ansible_collections.intact.hosting.plugins.module_utils._system import System
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels import panel_server

MESSAGE = "From: a@example.com\nSubject: %s\n\nbody of %s\n"
ABSENT = {"status": "absent", "data": {}}


def document(**sections):
    """A baseline of now with these sections' data."""
    told = {name: {"status": "ok", "data": data} for name, data in sections.items()}
    return {"schema": 1, "taken": _flight.now(), "sections": dict(dict.fromkeys(_kept.SECTIONS, ABSENT), **told)}


class Box:
    """A mailbox of one user: a Maildir with a folder, or an mbox file."""

    def __init__(self, home, mbox=False):
        self.home, self.mbox = home, mbox
        home.mkdir()
        self.maildir = home / "Maildir"
        for folder in () if mbox else ("", ".Sent"):
            for part in ("cur", "new", "tmp"):
                (self.maildir / folder / part).mkdir(parents=True)
        if mbox:
            (home / "inbox").write_text("")

    def put(self, name, place="new", old=False):
        path = self.maildir / place / name
        path.write_text(MESSAGE % (name, name))
        if old:
            os.utime(path, (1, 1))

    def append(self, name):
        with (self.home / "inbox").open("a") as handle:
            handle.write("From a@example.com Mon Nov 23 10:00:00 2026\n" + MESSAGE % (name, name) + "\n")

    def item(self, limit=1000):
        inbox, other = (self.home / "inbox", self.home / "mail/probe") if self.mbox else (self.maildir, self.maildir / ".probe")
        return {"kind": "mailbox", "folders": _mailboxes.read(System(), str(inbox), str(other), limit, lambda count: True)}


def look(**boxes):
    return document(mail={"items": {name: box.item() for name, box in boxes.items()}})


def saved(kept, flight="f-1"):
    """{name it had: content}, each file held against its digest."""
    out = {}
    told = json.loads((kept / flight / "kept.json").read_text())
    for entry in told["files"]:
        path = kept / flight / entry["file"]
        assert hashlib.sha256(path.read_bytes()).hexdigest() == entry["sha256"] and path.stat().st_size == entry["bytes"]
        assert path.stat().st_mode & 0o777 == 0o600
        out[os.path.basename(entry["from"])] = path.read_bytes()
    return out


def test_new_messages_are_saved_whatever_time_they_bear(tmp_path):
    box = Box(tmp_path / "anna")
    box.put("old")
    box.put("moved:2,S", "cur")
    before = look(anna=box)
    box.put("new")
    box.put("appended:2,S", ".Sent/cur", old=True)
    os.rename(box.maildir / "cur/moved:2,S", box.maildir / ".Sent/cur/moved:2,RS")
    os.rename(box.maildir / "new/old", box.maildir / "cur/old:2,S")
    kept = _kept.save("f-1", before, look(anna=box), kept=str(tmp_path / "kept"))
    assert {(e["folder"], e["messages"], e["gone"], e["sure"]) for e in kept["mail"]} == {("INBOX", 1, 1, True), ("Sent", 2, 0, True)}
    assert set(saved(tmp_path / "kept")) == {"new", "appended:2,S", "moved:2,RS"}
    assert kept["counts"]["messages"] == 3 and not kept["unsaved"]
    assert "mailbox anna INBOX: 1 messages saved, 1 deleted since will be back" in _kept.lines(kept)


def test_the_same_message_twice_is_new_once(tmp_path):
    box = Box(tmp_path / "anna")
    box.put("one")
    before = look(anna=box)
    shutil.copy(box.maildir / "new/one", box.maildir / "new/two")
    kept = _kept.save("f-1", before, look(anna=box), kept=str(tmp_path / "kept"))
    assert kept["counts"]["messages"] == 1


def test_an_mbox_that_grew(tmp_path):
    box = Box(tmp_path / "bert", mbox=True)
    box.append("old")
    before = look(bert=box)
    box.append("new1")
    box.append("new2")
    _kept.save("f-1", before, look(bert=box), kept=str(tmp_path / "kept"))
    data = saved(tmp_path / "kept")["inbox"]
    assert [identity for identity, _flags in _mailboxes.mbox_messages(data)] == [
        _mailboxes.message_id((MESSAGE % (name, name)).encode()) for name in ("new1", "new2")
    ]


def test_mail_that_came_while_the_look_was_on_is_saved(tmp_path):
    box = Box(tmp_path / "anna")
    box.put("old")
    before = look(anna=box)
    after = look(anna=box)
    box.put("late")
    _kept.save("f-1", before, after, kept=str(tmp_path / "kept"))
    assert set(saved(tmp_path / "kept")) == {"late"}


def test_a_new_mailbox_and_one_that_is_gone(tmp_path):
    anna, carl = Box(tmp_path / "anna"), Box(tmp_path / "carl")
    carl.put("mail")
    before = look(carl=carl)
    shutil.rmtree(carl.home)
    anna.put("first")
    kept = _kept.save("f-1", before, look(anna=anna), kept=str(tmp_path / "kept"))
    assert [(e["mailbox"], e["messages"], e["gone"]) for e in kept["mail"]] == [("anna", 1, 0), ("carl", 0, 1)]


def test_a_folder_whose_messages_nobody_knew(tmp_path):
    """Too many to be listed: what changed since is saved, and that it may be more is said."""
    box = Box(tmp_path / "anna")
    for number in range(5):
        box.put("old%d" % number)
    before = document(mail={"items": {"anna": box.item(limit=3)}})
    time.sleep(0.05)
    before["taken"] = _flight.now()
    time.sleep(0.05)
    box.put("new")
    kept = _kept.save("f-1", before, look(anna=box), kept=str(tmp_path / "kept"))
    assert set(saved(tmp_path / "kept")) == {"new"} and kept["mail"][0]["sure"] is False
    assert "some may be older" in _kept.lines(kept)[0]


def test_a_format_that_only_the_server_reads_is_told(tmp_path):
    folder = {"messages": 3, "digest": "x", "flags": {}, "by": "content", "ids": ["a"], "path": ""}
    after = document(mail={"items": {"anna": {"kind": "mailbox", "folders": {"INBOX": folder}}}})
    kept = _kept.save("f-1", document(mail={"items": {}}), after, kept=str(tmp_path / "kept"))
    assert kept["unsaved"][0]["what"] == "mailbox anna, folder INBOX" and _kept.lines(kept)[-1].startswith("NOT SAVED: mailbox anna")


def test_links_of_customers_are_not_followed(tmp_path):
    """A customer makes his new folder, or a message in it, a link to what is not his."""
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "shadow").write_text("root:hash\n\nx\n")
    box = Box(tmp_path / "anna")
    before = look(anna=box)
    os.symlink(secret / "shadow", box.maildir / "new/link")
    after = look(anna=box)
    after["sections"]["mail"]["data"]["items"]["anna"]["folders"]["INBOX"]["digest"] = "other"
    shutil.rmtree(box.maildir / "cur")
    os.symlink(secret, box.maildir / "cur")
    _kept.save("f-1", before, after, kept=str(tmp_path / "kept"))
    assert saved(tmp_path / "kept") == {}


def test_the_queue_of_postfix(tmp_path):
    spool = tmp_path / "spool"
    for name in ("deferred/4", "hold", "incoming"):
        (spool / name).mkdir(parents=True)
    (spool / "deferred/4/4NEW").write_text("mail")
    (spool / "hold/4OLD").write_text("old")
    entry = {"sender": "a@example.com", "recipients": ["b@example.com"]}
    before = document(queue={"server": "postfix", "items": {"4OLD": entry}})
    after = document(queue={"server": "postfix", "items": {"4OLD": entry, "4NEW": entry, "4GONE": entry}})
    kept = _kept.save("f-1", before, after, kept=str(tmp_path / "kept"), spool=str(spool))
    assert saved(tmp_path / "kept") == {"4NEW": b"mail"}
    assert [e["id"] for e in kept["queue"]] == ["4NEW"] and kept["unsaved"] == [{"what": "queued message 4GONE", "why": "its file was not found in the queue"}]


def test_trees_that_the_operator_named(tmp_path):
    tree = tmp_path / "uploads"
    (tree / "deep").mkdir(parents=True)
    (tree / "old").write_text("old")
    time.sleep(0.05)
    before = document()
    time.sleep(0.05)
    (tree / "deep/new \udcff".encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")).write_text("new")
    os.symlink("/etc/passwd", tree / "deep/link")
    kept = _kept.save("f-1", before, document(), kept=str(tmp_path / "kept"), trees=[str(tree), str(tmp_path / "none")])
    assert list(saved(tmp_path / "kept").values()) == [b"new"]
    assert [e["files"] for e in kept["trees"]] == [1, 0] and kept["unsaved"][0]["what"].endswith("/none")


def test_an_earlier_try_is_replaced_and_what_is_there_is_whole(tmp_path):
    box = Box(tmp_path / "anna")
    before = look(anna=box)
    box.put("one")
    _kept.save("f-1", before, look(anna=box), kept=str(tmp_path / "kept"))
    os.unlink(box.maildir / "new/one")
    box.put("two")
    _kept.save("f-1", before, look(anna=box), kept=str(tmp_path / "kept"))
    assert set(saved(tmp_path / "kept")) == {"two"} and os.listdir(tmp_path / "kept") == ["f-1"]


def test_no_room_is_a_sentence(tmp_path, monkeypatch):
    box = Box(tmp_path / "anna")
    before = look(anna=box)
    box.put("one")

    def full(*_args):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(_kept._kept_mail, "mailboxes", full)
    with pytest.raises(IntactError, match=r"can't be saved below .*: No space left on device: free room there"):
        _kept.save("f-1", before, look(anna=box), kept=str(tmp_path / "kept"))


@pytest.fixture
def server():
    reason = panel_server.missing()
    if reason:
        pytest.skip("a real MariaDB is needed: %s" % reason)
    top = tempfile.mkdtemp(prefix="intact-kept-")
    os.chmod(top, 0o711)
    made = panel_server.HostServer(top)
    try:
        yield made.make()
    finally:
        made.end()
        shutil.rmtree(top, ignore_errors=True)


@pytest.fixture(scope="module", autouse=True)
def template():
    yield
    panel_server.forget()


class Server(System):
    """Programs are found, but only MariaDB is on this host."""

    def which(self, program):
        return super().which(program) if program in ("mariadb", "mysql", "mariadb-dump", "mysqldump", "mariadbd", "mysqld") else None


def test_changed_databases_are_dumped_and_named_with_their_rows(server, tmp_path):
    server.sql("CREATE DATABASE shop; CREATE DATABASE quiet; CREATE TABLE quiet.t (a INT PRIMARY KEY); INSERT INTO quiet.t VALUES (1);")
    server.sql("CREATE TABLE shop.orders (id INT PRIMARY KEY, what TEXT); INSERT INTO shop.orders VALUES (1, 'one'), (2, 'two');")
    server.sql("CREATE TABLE shop.gone (id INT PRIMARY KEY); CREATE TABLE shop.same (id INT PRIMARY KEY); INSERT INTO shop.same VALUES (9);")
    options = {"mysql_defaults_file": server.options, "sqlite_trees": []}
    before = document(databases=databases.capture(Server(options)))
    server.sql("INSERT INTO shop.orders VALUES (3, 'the new order'); UPDATE shop.same SET id = 8; DROP TABLE shop.gone;")
    server.sql("CREATE TABLE shop.fresh (id INT PRIMARY KEY);")
    after = document(databases=databases.capture(Server(options)))
    told = _kept.tell(before, after)
    assert list(told["databases"]) == ["mariadb:shop"]
    kept = _kept.save("f-1", before, after, system=Server(options), kept=str(tmp_path / "kept"), options={"databases": options})
    assert not kept["unsaved"] and [e["database"] for e in kept["databases"]] == ["mariadb:shop"]
    tables = {t["table"]: (t["before"], t["after"], t["how"]) for t in kept["databases"][0]["tables"]}
    assert tables["shop.orders"][:2] == (2, 3) and tables["shop.same"] == (1, 1, "changed")
    assert tables["shop.gone"] == (0, None, "gone") and tables["shop.fresh"] == (None, 0, "new")
    # The dump is worth something: it brings the order back.
    saved(tmp_path / "kept")
    server.sql("DROP DATABASE shop")
    server.sql((tmp_path / "kept/f-1" / kept["databases"][0]["file"]).read_text())
    assert server.sql("SELECT what FROM shop.orders WHERE id = 3") == "the new order\n"


def test_a_server_that_dies_is_told_and_not_half_saved(server, tmp_path):
    server.sql("CREATE DATABASE shop; CREATE TABLE shop.orders (id INT PRIMARY KEY); INSERT INTO shop.orders VALUES (1);")
    options = {"mysql_defaults_file": server.options, "sqlite_trees": []}
    before = document(databases=databases.capture(Server(options)))
    server.sql("INSERT INTO shop.orders VALUES (2);")
    after = document(databases=databases.capture(Server(options)))
    server.end()
    kept = _kept.save("f-1", before, after, system=Server(options), kept=str(tmp_path / "kept"), options={"databases": options})
    assert kept["unsaved"] and kept["counts"]["databases"] == 0
    assert any("mariadb:shop" in entry["what"] for entry in kept["unsaved"])


def test_what_counts_as_changed():
    table = {"kind": "table", "database": "shop", "rows": 1, "parts": [["", 1, "5"]], "chunk": 0}
    same = {"items": {"mariadb:shop.t": table, "mariadb": {"kind": "server"}}}
    assert _kept_databases.changed(same, same) == ({}, set())
    other = {"items": {"mariadb:shop.t": dict(table, parts=[["", 1, "6"]])}}
    assert _kept_databases.changed(same, other)[0]["mariadb:shop"] == [{"table": "shop.t", "before": 1, "after": 1, "how": "changed"}]
    user = {"kind": "user", "secret": "a"}
    assert _kept_databases.changed({"items": {}}, {"items": {"mariadb user x@y": user}})[1] == {"mariadb"}
    assert _kept_databases.changed({"items": {}}, {"items": {"mariadb:new": {"kind": "database"}}})[0] == {"mariadb:new": []}


def test_what_a_look_only_counted_is_saved_whole():
    """As many rows as before say nothing of what is in them."""
    big = {"kind": "table", "database": "shop", "rows": 9}
    file = {"kind": "database", "path": "/srv/app.db"}
    items = {"items": {"mariadb:shop": {"kind": "database"}, "mariadb:shop.t": big, "sqlite:/srv/app.db": file}}
    assert _kept_databases.changed(items, items) == ({}, set())
    wanted = _kept_databases.changed(items, items, {"mariadb:shop.t", "sqlite:/srv/app.db"})[0]
    assert wanted == {"mariadb:shop": [{"table": "shop.t", "before": 9, "after": 9, "how": "unknown"}], "sqlite:/srv/app.db": []}


def test_a_table_over_the_limit_that_was_only_updated_is_saved(server, tmp_path):
    server.sql("CREATE DATABASE shop; CREATE TABLE shop.orders (id INT PRIMARY KEY, what TEXT); INSERT INTO shop.orders VALUES (1, 'open');")
    options = {"mysql_defaults_file": server.options, "sqlite_trees": [], "table_bytes": 1}

    def look_now():
        view = Server(options)
        return {"status": "partial", "data": databases.capture(view), "unlooked": view.unlooked}

    before = document()
    before["sections"]["databases"] = look_now()
    server.sql("UPDATE shop.orders SET what = 'paid';")
    after = document()
    after["sections"]["databases"] = look_now()
    assert list(_kept.tell(before, after)["databases"]) == ["mariadb:shop"]
    kept = _kept.save("f-1", before, after, system=Server(options), kept=str(tmp_path / "kept"), options={"databases": options})
    assert not kept["unsaved"] and "paid" in (tmp_path / "kept/f-1" / kept["databases"][0]["file"]).read_text()


def test_a_mailbox_that_the_look_now_could_not_read_is_not_taken_for_deleted(tmp_path):
    anna, bob, eve = (Box(tmp_path / name) for name in ("anna", "bob", "eve"))
    for box in (anna, bob, eve):
        box.put("old")
    before = look(anna=anna, bob=bob, eve=eve)
    anna.put("new")
    shutil.rmtree(eve.home)
    bob.put("unnamed")
    # anna: her directory could not be listed; bob: the mail server did not name him; eve is really gone; carl is new, and could not be read
    after = look()
    after["sections"]["mail"].update(
        status="partial", unlooked=[{"what": "mailbox anna", "why": "Input/output error"}, {"what": "mailbox carl", "why": "Permission denied"}]
    )
    kept = _kept.save("f-1", before, after, kept=str(tmp_path / "kept"))
    assert sorted(entry["what"] for entry in kept["unsaved"]) == ["mailbox anna", "mailbox carl"]
    assert [(entry["mailbox"], entry["messages"], entry["gone"]) for entry in kept["mail"]] == [("anna", 1, 0), ("bob", 1, 0), ("eve", 0, 1)]
    assert sorted(entry["what"] for entry in _kept.tell(before, after)["blind"]) == ["mailbox anna", "mailbox carl"]
    # a folder of which only names and sizes are known is looked into when it is saved
    after = look(anna=anna, bob=bob)
    after["sections"]["mail"].update(status="partial", unlooked=[{"what": "mailbox anna: INBOX", "why": "too much mail for the limit"}])
    assert _kept.save("f-1", before, after, kept=str(tmp_path / "kept"))["unsaved"] == []
