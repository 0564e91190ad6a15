# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A SQLite database in a restore: the file stays when it is whole, else the stream takes its place and what was there is kept."""

from __future__ import annotations

import io
import os
import sqlite3

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._backup import _live, _live_file, _placing, sqlite
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._system import System
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._backup import restore_fixture as fixture

ROOT = os.geteuid() == 0


@pytest.fixture
def path(tmp_path):
    """A database with one table of three rows, in a customer's directory."""
    place = tmp_path / "home" / "db.sqlite"
    place.parent.mkdir()
    made(place, 3)
    return place


def made(place, rows):
    connection = sqlite3.connect(str(place))
    connection.execute("CREATE TABLE t (x INTEGER PRIMARY KEY)")
    connection.executemany("INSERT INTO t VALUES (?)", [(row,) for row in range(rows)])
    connection.commit()
    connection.close()


def backed_up(path):
    """(name, manifest, stream) of a file."""
    name = "sqlite:%s" % path
    with sqlite.open(System(), name) as dump:
        items, data = dump.section(), dump.process.stdout.read()
        assert dump.process.wait() == 0
    return name, {"host_id": "aa", "sections": {"databases": {"items": items}}}, data


def live(tmp_path, **known):
    return _live.Databases(System(), str(tmp_path / "aside"), lambda _name: known or None)


def kept(tmp_path):
    out = {}
    for folder, _folders, names in os.walk(tmp_path / "aside"):
        out.update({name: os.path.join(folder, name) for name in names})
    return out


def test_a_whole_file_stays_and_looking_does_not_touch_it(tmp_path, path):
    name, manifest, _data = backed_up(path)
    before = path.read_bytes()
    assert live(tmp_path).state(name, manifest) == ("same", []) and live(tmp_path).compare(name, manifest) == []
    assert path.read_bytes() == before and os.listdir(path.parent) == ["db.sqlite"]


def test_a_torn_file_is_replaced_with_the_manifests_owner_and_what_was_there_is_kept(tmp_path, path):
    name, manifest, data = backed_up(path)
    path.write_bytes(b"SQLite format 3\0 torn")
    assert live(tmp_path).state(name, manifest) == ("absent", [])
    for ending in ("-wal", "-journal"):
        (path.parent / (path.name + ending)).write_bytes(ending.encode())
    live(tmp_path, uid=os.geteuid(), gid=4711 if ROOT else os.getegid(), mode="0640").load(name, io.BytesIO(data))
    status = path.stat()
    assert live(tmp_path).compare(name, manifest) == [] and os.listdir(path.parent) == ["db.sqlite"]
    assert status.st_mode & 0o7777 == 0o640 and (not ROOT or status.st_gid == 4711)
    there = kept(tmp_path)
    assert sorted(there) == ["db.sqlite", "db.sqlite-journal", "db.sqlite-wal"]
    with open(there["db.sqlite"], "rb") as handle:
        assert handle.read() == b"SQLite format 3\0 torn"


def test_a_second_load_keeps_what_the_first_one_kept(tmp_path, path):
    name, _manifest, data = backed_up(path)
    path.write_bytes(b"the customer's own")
    for _time in range(2):
        live(tmp_path, uid=os.geteuid(), gid=os.getegid(), mode="0600").load(name, io.BytesIO(data))
    there = kept(tmp_path)
    with open(there["db.sqlite"], "rb") as handle:
        assert sorted(there) == ["db.sqlite", "db.sqlite.2"] and handle.read() == b"the customer's own"


def test_a_missing_file_comes_and_without_an_owner_it_is_refused(tmp_path, path):
    name, manifest, data = backed_up(path)
    path.unlink()
    with pytest.raises(IntactError, match="neither the backup nor this host says whose file it is"):
        live(tmp_path).load(name, io.BytesIO(data))
    live(tmp_path, uid=os.geteuid(), gid=os.getegid(), mode="0600").load(name, io.BytesIO(data))
    assert live(tmp_path).state(name, manifest) == ("same", [])
    with pytest.raises(IntactError, match="its directory is not on this host"):
        live(tmp_path, uid=0, gid=0, mode="0600").load("sqlite:%s/none/db" % tmp_path, io.BytesIO(data))


@pytest.mark.parametrize("end", [0, 100, -1])
def test_a_cut_stream_changes_nothing(tmp_path, path, end):
    name, _manifest, data = backed_up(path)
    path.write_bytes(b"mine")
    with pytest.raises(IntactError, match="the stream is not whole"):
        live(tmp_path).load(name, io.BytesIO(data[:end]))
    assert path.read_bytes() == b"mine" and os.listdir(path.parent) == ["db.sqlite"] and kept(tmp_path) == {}


def test_what_an_earlier_cut_left_beside_it_is_taken_away(tmp_path, path, monkeypatch):
    name, manifest, data = backed_up(path)
    monkeypatch.setattr(_live_file.os, "rename", fixture.failing(OSError("cut")))
    monkeypatch.setattr(_live_file.os, "unlink", lambda *_given, **_more: None)
    with pytest.raises(OSError, match="cut"):
        live(tmp_path).load(name, io.BytesIO(data))
    monkeypatch.undo()
    assert len(os.listdir(path.parent)) == 2
    live(tmp_path).load(name, io.BytesIO(data))
    assert os.listdir(path.parent) == ["db.sqlite"] and live(tmp_path).state(name, manifest) == ("same", [])


def test_a_link_in_its_place_is_replaced_and_not_followed(tmp_path, path):
    name, manifest, data = backed_up(path)
    victim = tmp_path / "victim"
    victim.write_text("mine")
    path.unlink()
    path.symlink_to(victim)
    with pytest.raises(IntactError, match="whose file it is"):
        live(tmp_path).load(name, io.BytesIO(data))
    assert live(tmp_path).state(name, manifest) == ("absent", [])
    live(tmp_path, uid=os.geteuid(), gid=os.getegid(), mode="0600").load(name, io.BytesIO(data))
    assert victim.read_text() == "mine" and not path.is_symlink() and os.readlink(kept(tmp_path)["db.sqlite"]) == str(victim)
    assert os.listdir(path.parent) == ["db.sqlite"]


def test_a_directory_in_its_place_is_told(tmp_path, path):
    name, _manifest, data = backed_up(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(IntactError, match="is no file: move it away"):
        live(tmp_path, uid=0, gid=0, mode="0600").load(name, io.BytesIO(data))


def test_the_log_of_a_file_that_is_replaced_goes_aside_with_it(tmp_path, path):
    staged = tmp_path / "staging" / str(path.parent)[1:]
    staged.mkdir(parents=True)
    made(staged / path.name, 5)
    (path.parent / "db.sqlite-wal").write_bytes(b"of the old file")
    placer = _placing.Placer(str(tmp_path / "staging"), str(tmp_path / "aside"))
    placer.place(os.fsencode(str(path.parent)))
    assert os.listdir(path.parent) == ["db.sqlite"] and sorted(kept(tmp_path)) == ["db.sqlite", "db.sqlite-wal"]
