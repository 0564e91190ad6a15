# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What was compared and what was not: how it is counted, how much may be left out, and what is still seen of what is volatile."""

from __future__ import annotations

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._backup import _compared
from ansible_collections.intact.hosting.plugins.module_utils._baseline import databases, files, mail

LIMIT = {"percent": 5, "objects": 3}


def file(size=10, **more):
    return dict({"type": "file", "uid": 0, "gid": 0, "mode": "0644", "size": size, "hash": "aa"}, **more)


def tree(number, size=10):
    items = {"/w/%03d" % n: file(size) for n in range(number)}
    return dict(items, **{"/w": {"type": "dir", "uid": 0, "gid": 0, "mode": "0755"}})


def counted(sections, volatile=(), pairs=None):
    held = {name: {"items": items} for name, items in sections.items()}
    return _compared.Counted(held, {name: (data, data) for name, data in held.items()} if pairs is None else pairs, volatile)


def test_files_and_their_bytes_are_counted_and_directories_are_not():
    found = counted({"files": tree(4)}, ["/w", "/w/001", "/w/came"])
    assert found.compared == {"files": 3, "bytes": 30} and found.uncompared == {"files": 1, "bytes": 10}
    assert found.left == {"files": ["/w/001"], "bytes": []} and found.changed == ["/w/001"]


def test_what_nobody_looked_at_again_was_not_compared():
    items = tree(4)
    del items["/w/000"]["hash"]  # the disk did not give it at backup time
    seen = dict(items, **{"/w/000": file(), "/w/001": dict(items["/w/001"], state="changing")})
    del seen["/w/001"]["hash"]
    found = counted({"files": items}, pairs={"files": ({"items": items}, {"items": seen, "unwalked": ["/w/002"]})})
    assert found.left["files"] == ["/w/000", "/w/001", "/w/002"] and found.changed == []
    assert counted({"files": items}, pairs={}).compared == {"files": 0, "bytes": 0}


def test_mailboxes_and_tables_are_counted_by_themselves():
    boxes = {name: {"kind": "mailbox", "folders": {"INBOX": {"path": "/m/" + name}}} for name in ("ann", "bob")}
    boxes["carl"] = {"kind": "mailbox", "folders": {"INBOX": {"path": ""}}}  # dbox: nobody opened it
    boxes["alias x"] = {"kind": "map entry"}
    tables = {"mariadb:s": {"kind": "database"}, "mariadb:s.a": {"kind": "table"}, "mariadb:s.b": {"kind": "table"}}
    found = counted({"mail": boxes, "databases": tables}, ["ann", "mariadb:s.b"])
    assert found.compared == {"mailboxes": 1, "tables": 1} and found.uncompared == {"mailboxes": 2, "tables": 1}
    assert found.left == {"mailboxes": ["ann", "carl"], "tables": ["mariadb:s.b"]}
    # a manifest that knows tables of which no dump was loaded
    assert counted({"databases": tables}, pairs={"databases": ({"items": {}}, {"items": {}})}).compared == {"tables": 0}


def test_the_file_of_a_sqlite_database_is_compared_by_its_dump():
    items = {path: file() for path in ("/l/mm.db", "/l/mm.db-wal", "/l/other.db")}
    dump = {"sqlite:/l/mm.db": {"kind": "database", "path": "/l/mm.db"}, "sqlite:/l/mm.db#t": {"kind": "table"}}
    found = counted({"files": items, "databases": dump}, list(items))
    assert found.left["files"] == ["/l/other.db"] and found.changed == ["/l/other.db"] and found.compared["files"] == 2


@pytest.mark.parametrize(
    ("number", "left", "limit", "words"),
    [
        (100, 5, LIMIT, ""),
        (100, 6, LIMIT, "6 of 100 files (6 %) with 6 % of the bytes were not compared, 5 % are allowed: /w/000, /w/001, /w/002, ..."),
        (59, 3, LIMIT, ""),  # 5.1 %: of so few files three are nothing
        (59, 4, LIMIT, "4 of 59 files (6.8 %) with 6.8 % of the bytes were not compared, 3 are allowed: "),
        (3, 1, LIMIT, ""),
        (4, 3, LIMIT, ""),
        (3, 3, LIMIT, "3 of 3 files (100 %) with 100 % of the bytes were not compared, and that is everything: /w/000, /w/001, /w/002"),
        (1, 1, LIMIT, "and that is everything"),
        (3, 1, {"percent": 5, "objects": 0}, "1 of 3 files (33.3 %) with 33.3 % of the bytes were not compared, 5 % are allowed: /w/000"),
        (100, 1, {"percent": 0, "objects": 0}, "0 % are allowed"),
        (100, 0, {"percent": 0, "objects": 0}, ""),
        (100, 99, {"percent": 100, "objects": 3}, ""),
        (100, 100, {"percent": 100, "objects": 1000}, "and that is everything"),
    ],
)
def test_how_much_may_be_left_out(number, left, limit, words):
    said, paths = _compared.too_much(counted({"files": tree(number)}, ["/w/%03d" % n for n in range(left)]), limit)
    assert (words in said) if words else said == ""
    assert len(paths) == (left if words else 0)


def test_the_bytes_count_besides_the_number():
    items = tree(200)
    items["/w/007"]["size"] = 1000
    said, _paths = _compared.too_much(counted({"files": items}, ["/w/007"]), LIMIT)
    assert said.startswith("1 of 200 files (0.5 %) with 33.4 % of the bytes were not compared, 5 % are allowed: /w/007")
    # among few files one that is big is let through, but not when the others are empty
    few = {"/m/ann": file(1000), "/m/bob": file(1), "/m/carl": file(0)}
    assert _compared.too_much(counted({"files": few}, ["/m/ann"]), LIMIT)[0] == ""
    few["/m/bob"]["size"] = 0
    assert (
        "1 of 3 files (33.3 %) with 100 % of the bytes were not compared, and that is every byte"
        in _compared.too_much(counted({"files": few}, ["/m/ann"]), LIMIT)[0]
    )


def test_tables_are_judged_and_mailboxes_are_told_only():
    tables = {"mariadb:s.%d" % n: {"kind": "table"} for n in range(4)}
    assert "4 of 4 tables (100 %) were not compared, and that is everything" in _compared.too_much(counted({"databases": tables}, list(tables)), LIMIT)[0]
    assert _compared.too_much(counted({"databases": tables}, list(tables)[:3]), LIMIT)[0] == ""
    boxes = {name: {"kind": "mailbox", "folders": {}} for name in "abcde"}
    found = counted({"files": tree(200), "mail": boxes}, list(boxes) + ["/w/001"])
    assert found.uncompared["mailboxes"] == 5 and _compared.too_much(found, LIMIT) == ("", [])


def test_a_share_is_told_neither_as_nothing_nor_as_all():
    assert [_compared.percent(share) for share in (0, 0.004, 33.333, 99.96, 100)] == ["0 %", "under 0.1 %", "33.3 %", "over 99.9 %", "100 %"]


def compare(was, now, volatile, section="files", probe=files):
    before, after = _compared.loosened(section, {"items": was, "owners": {}}, {"items": now, "owners": {}}, frozenset(volatile))
    return [(f.id, f.subject) for f in probe.compare(before, after)]


def test_of_a_volatile_file_content_may_differ_and_nothing_else():
    now = {"/w/a": file(99, hash="bb", xattr="x", links=2)}
    assert compare({"/w/a": file()}, now, ["/w/a"]) == []
    for change, kind in (({"mode": "0600"}, "mode"), ({"uid": 7}, "owner"), ({"gid": 7}, "owner"), ({"type": "fifo"}, "type")):
        assert compare({"/w/a": file()}, {"/w/a": dict(now["/w/a"], **change)}, ["/w/a"]) == [("files.%s.changed" % kind, "/w/a")]
    links = [{"/w/l": {"type": "link", "uid": 0, "gid": 0, "target": target}} for target in ("v1", "v2")]
    assert compare(links[0], links[1], ["/w/l"]) == [] and compare(links[0], links[1], []) == [("files.link.changed", "/w/l")]


def test_a_volatile_directory_is_compared_as_any_other():
    was = {"/w": {"type": "dir", "uid": 0, "gid": 0, "mode": "0755", "acl": "user:7:rwx"}}
    assert compare(was, {"/w": dict(was["/w"], acl="")}, ["/w"]) == [("files.acl.changed", "/w")]


def test_a_volatile_file_that_is_not_there_is_lost_unless_its_directory_changed_too():
    was = {"/w": {"type": "dir", "uid": 0, "gid": 0, "mode": "0755"}, "/w/a": file(), "/w/b": file()}
    now = {path: item for path, item in was.items() if path != "/w/a"}
    assert compare(was, now, ["/w/a"]) == [("files.missing", "/w/a")]
    assert compare(was, now, ["/w/a", "/w"]) == []
    assert compare({"/a": file()}, {}, ["/a", "/"]) == []


def test_what_came_after_the_look_is_no_finding():
    program = {"/w/x": file(mode="4755")}
    assert compare({}, program, ["/w/x"]) == [] and compare({}, program, []) == [("files.new", "/w/x")]


def test_a_volatile_mailbox_is_there_and_its_messages_may_be_others():
    folder = {"messages": 2, "ids": ["aa", "bb"], "digest": "x", "flags": {}, "by": "content", "path": "/m/ann"}
    box = {"kind": "mailbox", "folders": {"INBOX": folder}, "subscriptions": [], "filters": {}, "active": "", "secret": "", "home": "/h", "paths": ["/m/ann"]}
    fewer = dict(box, folders={"INBOX": dict(folder, messages=1, ids=["bb"], digest="y")})
    assert compare({"ann": box}, {"ann": fewer}, [], "mail", mail) == [("mail.messages.lost", "ann: INBOX")]
    assert compare({"ann": box}, {"ann": fewer}, ["ann"], "mail", mail) == []
    assert compare({"ann": box}, {}, ["ann"], "mail", mail) == [("mail.mailbox.missing", "ann")]


def test_a_volatile_table_keeps_its_place_and_its_columns():
    table = {"mariadb:s": {"kind": "database"}, "mariadb:s.a": {"kind": "table", "database": "s", "rows": 5, "parts": [[0, 5, "9"]], "structure": "x"}}
    for change, kinds in (({"rows": 2, "parts": [[0, 2, "1"]]}, []), ({"structure": "y", "rows": 2}, ["databases.structure.changed"])):
        now = dict(table, **{"mariadb:s.a": dict(table["mariadb:s.a"], **change)})
        assert [kind for kind, _s in compare(table, now, ["mariadb:s.a"], "databases", databases)] == kinds
    gone = {"mariadb:s": table["mariadb:s"]}
    assert compare(table, gone, ["mariadb:s.a"], "databases", databases) == [("databases.table.missing", "mariadb:s.a")]
