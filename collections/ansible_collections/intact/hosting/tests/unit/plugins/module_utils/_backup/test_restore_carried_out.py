# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Carrying a restore out: databases, places, packages, and what is newer, also when it was cut or waited for days."""

from __future__ import annotations

import os
import sqlite3

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._backup import _opened, _restore, _restore_journal, _restore_plan
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._system import System
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._backup import readback_fixture as fake
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._backup import restore_fixture as fixture

SHOP = "mariadb:shop"
LATER = 4 * 10**9


@pytest.fixture
def top(tmp_path):
    """A tree that was backed up long ago: www/index, www/data."""
    path = tmp_path / "host" / "www"
    path.mkdir(parents=True)
    for name in ("index", "data"):
        write(path / name, "backup")
    return path


def write(path, text, when=1):
    path.write_text(text)
    os.utime(path, (when, when))
    return path


def backed_up(tmp_path, *tops, streams=(SHOP,), **more):
    source = fake.Memory("near")
    if tops:
        fixture.back_up(source, tmp_path / "store", "files", *tops, **more)
    if streams:
        fixture.back_up(source, tmp_path / "store", "databases", streams=[(name, "databases/%d" % n, name.encode()) for n, name in enumerate(streams)])
    return _opened.Backup(source, "web1"), fixture.Engine({name: name.encode() for name in streams})


def planned(backup, engine, *paths, databases=(), **more):
    sites = [{"name": "shop", "paths": [str(path) for path in paths], "databases": list(databases)}]
    return _restore_plan.plan("r", backup, System(), sites, more.pop("select", {"sites": ["shop"]}), databases=engine, **more)


def ids(findings):
    return [(finding.id, finding.subject) for finding in findings]


def test_a_load_that_was_cut_is_made_again_and_nothing_that_was_kept_is_lost(tmp_path):
    backup, engine = backed_up(tmp_path)
    engine.held[SHOP] = b"the host's own"
    made, found = planned(backup, engine, databases=[SHOP])
    assert ids(found) == [("restore.newer", "site shop")] and found[0].details["paths"] == [SHOP]
    made, found = planned(backup, engine, databases=[SHOP], accept=[SHOP])
    engine.cut = (SHOP,)
    with pytest.raises(OSError, match="power"):
        fixture.restore(tmp_path, made, backup, engines=engine).run()
    engine.cut = ()
    done = fixture.restore(tmp_path, made, backup, engines=engine)
    assert found == [] and done.run() and done.findings == [] and engine.held == {SHOP: SHOP.encode()}
    assert engine.kept == [(SHOP, b"the host's own"), (SHOP, SHOP.encode()[:2])]


def test_a_database_that_looks_whole_after_a_cut_load_is_loaded_again(tmp_path):
    backup, engine = backed_up(tmp_path)
    made, _found = planned(backup, engine, databases=[SHOP])
    engine.cut = (SHOP,)
    with pytest.raises(OSError, match="power"):
        fixture.restore(tmp_path, made, backup, engines=engine).run()
    engine.cut, engine.held = (), {SHOP: SHOP.encode()}
    fixture.restore(tmp_path, made, backup, engines=engine).run()
    assert engine.loads == [SHOP, SHOP]


def test_a_cut_between_drop_and_load_is_made_good(tmp_path, monkeypatch):
    backup, engine = backed_up(tmp_path)
    engine.held[SHOP] = b"old"
    made, _found = planned(backup, engine, databases=[SHOP], accept=["*"])
    with monkeypatch.context() as patch:
        patch.setattr(_restore_journal.Journal, "add", fixture.failing(OSError("cut")))
        with pytest.raises(OSError, match="cut"):
            fixture.restore(tmp_path, made, backup, engines=engine).run()
    assert engine.held == {} and engine.kept == [(SHOP, b"old")]
    fixture.restore(tmp_path, made, backup, engines=engine).run()
    assert engine.held == {SHOP: SHOP.encode()} and engine.kept == [(SHOP, b"old")]


def test_orders_that_came_after_the_plan_are_not_overwritten(tmp_path, top):
    backup, engine = backed_up(tmp_path, top)
    engine.held[SHOP] = SHOP.encode()
    made, found = planned(backup, engine, top, databases=[SHOP])
    assert found == []
    engine.held[SHOP] = b"today's orders"
    write(top / "index", "today's work", LATER)
    write(top / "data", "work of then", 2)
    done = fixture.restore(tmp_path, made, backup, engines=engine)
    done.run()
    assert engine.held[SHOP] == b"today's orders" and (top / "index").read_text() == "today's work" and (top / "data").read_text() == "backup"
    assert ids(done.findings)[:2] == [("restore.newer", "site shop")] * 2
    again = fixture.restore(tmp_path, made, backup, engines=engine)
    assert not again.run() and ids(again.findings) == [("files.content.changed", str(top / "index")), ("databases.rows.lost", SHOP)]
    kept = fixture.restore(tmp_path, made, backup, engines=engine, keep=[str(top / "index"), SHOP])
    kept.run()
    assert kept.findings == []
    assert not fixture.restore(tmp_path, made, backup, engines=engine).run()  # and now it is known to be whole


def test_what_is_accepted_is_overwritten_also_when_it_became_newer_later(tmp_path, top):
    backup, engine = backed_up(tmp_path, top)
    made, _found = planned(backup, engine, top, databases=[SHOP], accept=["*"])
    engine.held[SHOP] = b"new"
    write(top / "index", "new", LATER)
    done = fixture.restore(tmp_path, made, backup, engines=engine, accept=["*"])
    assert done.run() and done.findings == [] and engine.kept == [(SHOP, b"new")] and (top / "index").read_text() == "backup"


def test_accounts_that_are_kept_are_kept_in_the_rights_as_well(tmp_path):
    backup, engine = backed_up(tmp_path, streams=["mariadb accounts"])
    made, _found = planned(backup, engine, select={}, keep=["mariadb accounts"])
    assert [step["name"] for step in made["steps"] if step["streams"]] == []
    engine.held["mariadb accounts"] = b"own"
    made, found = planned(backup, engine, select={"databases": ["mariadb accounts"]})
    assert ids(found) == [("restore.newer", "mariadb accounts")]


def test_accounts_that_were_left_are_not_overwritten_by_the_rights(tmp_path):
    backup, engine = backed_up(tmp_path, streams=["mariadb accounts"])
    made, _found = planned(backup, engine, select={})
    engine.held["mariadb accounts"] = b"own"
    done = fixture.restore(tmp_path, made, backup, engines=engine)
    done.run()
    assert engine.held == {"mariadb accounts": b"own"} and ids(done.findings) == [("restore.newer", "accounts"), ("databases.rows.lost", "mariadb accounts")]


def test_a_host_without_the_server_is_told_before_anything_is_changed(tmp_path):
    backup, engine = backed_up(tmp_path)
    engine.missing[SHOP] = "no MariaDB is installed"
    _made, found = planned(backup, engine, databases=[SHOP])
    assert ids(found) == [("restore.engine.missing", "site shop " + SHOP)] and found[0].severity == "blocker" and found[0].evidence == "no MariaDB is installed"


def test_a_sites_settings_are_placed_after_its_databases(tmp_path, top):
    backup, engine = backed_up(tmp_path, top)
    conf = write(tmp_path / "host" / "site.conf", "vhost")
    fixture.back_up(backup.source, tmp_path / "store", "system", conf)
    backup = _opened.Backup(backup.source, "web1")
    conf.unlink()
    there = []
    engine.load = lambda name, stream, load=engine.load: (there.append(conf.exists()), load(name, stream))[1]
    made, _found = planned(backup, engine, top, conf, databases=[SHOP])
    done = fixture.restore(tmp_path, made, backup, engines=engine)
    assert done.run() and done.findings == [] and there == [False] and conf.read_text() == "vhost"


def test_a_path_lands_where_it_belongs_and_packages_files_do_not_come(tmp_path):
    old, new = tmp_path / "host" / "php7", tmp_path / "host" / "php8"
    old.mkdir(parents=True)
    for name in ("pool", "of-the-package", "edited"):
        write(old / name, "7")
    files = fixture.walked(old)
    files["items"][str(old / "of-the-package")].update(origin="package", package="php")
    files["items"][str(old / "edited")].update(origin="conffile-edited", package="php")
    backup, engine = backed_up(tmp_path, old, streams=(), files=files)
    backup.moves, backup.packages = [(str(old), str(new))], {"php"}
    write(old / "pool", "the host's own", LATER)
    made, found = planned(backup, engine, old)
    assert found == [] and made["steps"][0]["packaged"] == 1
    done = fixture.restore(tmp_path, made, backup, engines=engine)
    assert done.run() and done.findings == [] and sorted(os.listdir(new)) == ["edited", "pool"] and (old / "pool").read_text() == "the host's own"
    assert not [name for name in os.listdir(tmp_path) if name.startswith(_restore.STAGING)]


def test_sites_whose_names_are_alike_do_not_share_a_place(tmp_path, top):
    other = tmp_path / "host" / "other"
    other.mkdir()
    write(other / "x", "backup")
    backup, engine = backed_up(tmp_path, top, other, streams=())
    sites = [{"name": name, "paths": [str(path)], "databases": []} for name, path in (("a-b.com", top), ("a.b-com", other))]
    made, _found = _restore_plan.plan("r", backup, System(), sites, {"sites": ["a-b.com", "a.b-com"]})
    places = []
    backup.source.restore = lambda snapshot, target, paths=(), f=backup.source.restore: (places.append(target), f(snapshot, target, paths))
    fixture.restore(tmp_path, made, backup, engines=engine).run()
    assert len(set(places)) == 2


def test_a_sqlite_file_that_is_kept_is_not_replaced_by_its_stream(tmp_path, top):
    path = top / "db.sqlite"
    with sqlite3.connect(str(path)) as connection:
        connection.execute("CREATE TABLE t (x)")
    name = "sqlite:%s" % path
    backup, engine = backed_up(tmp_path, top, streams=(name,))
    connection.close()
    os.utime(path, (LATER, LATER))
    made, found = planned(backup, engine, databases=[name])
    assert ids(found) == [("restore.newer", "site shop")] and found[0].details["paths"] == [str(path)]
    for keep in ([str(path)], [str(top)], [name]):
        made, found = planned(backup, engine, top, databases=[name], keep=keep)
        assert found == [] and [step["streams"] for step in made["steps"]] == [[]]
    made, found = planned(backup, engine, databases=[name], accept=[str(path)])
    assert found == []
    done = fixture.restore(tmp_path, made, backup, engines=engine, keep=[str(path)])
    done.run()
    assert engine.loads == [] and done.findings == []


def test_a_step_with_blockers_is_looked_at_again_and_a_whole_one_is_not(tmp_path, top):
    backup, engine = backed_up(tmp_path, top)
    made, _found = planned(backup, engine, top, databases=[SHOP])
    fixture.restore(tmp_path, made, backup, engines=engine).run()
    looked = []
    engine.compare = lambda name, manifest, f=engine.compare: (looked.append(name), f(name, manifest))[1]
    assert not fixture.restore(tmp_path, made, backup, engines=engine).run() and looked == []
    _restore_journal.Journal(str(tmp_path / "restores")).add("site shop", "compared", differing=1)
    assert fixture.restore(tmp_path, made, backup, engines=engine).run() and looked == [SHOP]
    assert not fixture.restore(tmp_path, made, backup, engines=engine).run() and looked == [SHOP]


def test_a_torn_line_of_the_journal_is_a_stage_that_is_done_again(tmp_path):
    journal = _restore_journal.Journal(str(tmp_path))
    journal.add("a", "done")
    with open(journal.path, "ab") as handle:
        handle.write(b'{"step": "b", "sta')
    _restore_journal.Journal(str(tmp_path)).add("c", "done", units=["x"])
    journal = _restore_journal.Journal(str(tmp_path))
    assert [journal.has(step, "done") for step in "abc"] == [True, False, True] and journal.last("c", "done")["units"] == ["x"]


def test_a_repository_that_breaks_off_is_named_and_not_the_client(tmp_path):
    backup, engine = backed_up(tmp_path)
    made, _found = planned(backup, engine, databases=[SHOP])

    def broken(*_given):
        raise IntactError("repository near: the connection was cut")

    def torn(_name, stream):
        stream.read()
        raise IntactError("the stream is not whole")

    backup.source.write, engine.load = broken, torn
    with pytest.raises(IntactError, match="the connection was cut"):
        fixture.restore(tmp_path, made, backup, engines=engine).run()
