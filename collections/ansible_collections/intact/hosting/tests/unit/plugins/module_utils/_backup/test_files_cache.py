# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run need not read again: over real files, whose change time the test waits out by telling the cache a later clock."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import time

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._backup import _eyes, _files_cache, _manifest
from ansible_collections.intact.hosting.plugins.module_utils._baseline import _content
from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._system import System

DAY = _files_cache.DAY


def now():
    """A clock by which everything that the test made has rested."""
    return time.time_ns() + 2 * _files_cache.REST


@pytest.fixture
def counted(monkeypatch):
    """Sizes of files that were read."""
    seen, hashed = [], _content.Reader._hash

    def spy(self, fd, size, md5):
        seen.append(size)
        return hashed(self, fd, size, md5)

    monkeypatch.setattr(_content.Reader, "_hash", spy)
    return seen


def look(tree, home, days=30, clock=None):
    """(items, cache) of one run's look at the tree."""
    cache = _files_cache.FilesCache(str(home), days, clock or now())
    items = _eyes.tree(System(), [os.fsencode(str(tree))], [], cache)["items"]
    cache.save()
    return items, cache


@pytest.fixture
def tree(tmp_path):
    tree = tmp_path / "tree"
    (tree / "deep").mkdir(parents=True)
    for number in range(8):
        (tree / "deep" / ("%d" % number)).write_bytes(b"x" * (100 + number))
    (tree / "big").write_bytes(os.urandom(3 << 20))
    os.link(tree / "deep/0", tree / "again")
    return tree


def test_untouched_files_are_read_once_and_told_the_same(tree, tmp_path, counted):
    first, _cache = look(tree, tmp_path / "kept")
    assert len(counted) == 9  # nine inodes, ten names
    counted.clear()
    second, _cache = look(tree, tmp_path / "kept")
    assert counted == [] and second == first
    assert oct((tmp_path / "kept").stat().st_mode & 0o777) == "0o600"


def test_without_days_each_run_reads_all(tree, tmp_path, counted):
    for _run in range(2):
        counted.clear()
        look(tree, tmp_path / "kept", days=0)
        assert len(counted) == 9


@pytest.mark.parametrize("touch", ["write", "chmod", "utime", "replace", "truncate"])
def test_whatever_was_touched_is_read(tree, tmp_path, counted, touch):
    look(tree, tmp_path / "kept")
    path = tree / "deep/3"
    before = path.stat()
    counted.clear()
    if touch == "write":
        path.write_bytes(b"y" * 103)
        # a customer's program may set the modification time back
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    elif touch == "chmod":
        path.chmod(0o600)
    elif touch == "utime":
        os.utime(path)
    elif touch == "replace":
        (tree / "new").write_bytes(b"z" * 103)
        os.utime(tree / "new", ns=(before.st_atime_ns, before.st_mtime_ns))
        os.rename(tree / "new", path)
    else:
        os.truncate(path, 50)
    items, _cache = look(tree, tmp_path / "kept")
    assert counted == [path.stat().st_size]
    item = items[escape(str(path))]
    assert item["hash"] == hashlib.sha256(path.read_bytes()).hexdigest() and item["mode"] == "%04o" % (path.stat().st_mode & 0o7777)


def test_what_changed_lately_is_not_trusted(tree, tmp_path, counted):
    look(tree, tmp_path / "kept", clock=time.time_ns() + _files_cache.REST // 2)
    counted.clear()
    look(tree, tmp_path / "kept")
    assert len(counted) == 9


def test_attributes_are_looked_at_though_the_content_is_not_read(tree, tmp_path, counted):
    try:
        os.setxattr(tree / "deep/1", "user.note", b"kept")
    except OSError as exc:
        pytest.skip("this file system keeps no attributes: %s" % exc)
    look(tree, tmp_path / "kept")
    counted.clear()
    items, _cache = look(tree, tmp_path / "kept")
    assert counted == [] and items[escape(str(tree / "deep/1"))]["xattr"] == {"user.note": "kept"}


def test_each_file_is_read_within_the_days_and_not_all_on_one(tree, tmp_path, counted):
    begin = now()
    look(tree, tmp_path / "kept", days=10, clock=begin)
    daily = []
    for day in range(1, 11):
        counted.clear()
        look(tree, tmp_path / "kept", days=10, clock=begin + day * DAY)
        daily.append(len(counted))
    assert sum(daily) == 9 and max(daily) < 5


def test_a_run_after_a_long_pause_reads_all(tree, tmp_path, counted):
    begin = now()
    look(tree, tmp_path / "kept", days=10, clock=begin)
    counted.clear()
    look(tree, tmp_path / "kept", days=10, clock=begin + 10 * DAY)
    assert len(counted) == 9


def rot(path):
    """Other bytes under the same times: the entry in the cache is made to have read something else."""
    body = path.read_bytes().partition(b"\n")[2]
    key, length = _files_cache.KEY.size, _files_cache.KEY.size + _files_cache.RECORD.size
    records = [body[start : start + length] for start in range(0, len(body), length)]
    for number, record in enumerate(records):
        if _files_cache.RECORD.unpack(record[key:])[0] == 104:
            records[number] = record[:-32] + hashlib.sha256(b"what it was").digest()
    body = b"".join(records)
    said = b'{"schema": 1, "sha256": "%s"}' % hashlib.sha256(body).hexdigest().encode()
    path.write_bytes(said + b"\n" + body)


def test_content_that_changed_by_itself_is_found_and_stays_found(tree, tmp_path):
    begin = now()
    look(tree, tmp_path / "kept", days=10, clock=begin)
    rot(tmp_path / "kept")
    path, was = escape(str(tree / "deep/4")), hashlib.sha256(b"what it was").hexdigest()
    for day in (10, 11, 11):
        items, cache = look(tree, tmp_path / "kept", days=10, clock=begin + day * DAY)
        assert [(entry[0], entry[2]) for entry in cache.rotten] == [(path, was)]
        # the copies have what was read then
        assert items[path]["hash"] == was
    (finding,) = _manifest.rotten("files", cache.rotten)
    assert finding.id == "backup.source.rotten" and finding.severity == "blocker" and finding.subject == "files " + path
    assert "sha256 " + was[:16] in finding.evidence and time.strftime("%Y-%m-%d", time.gmtime(begin // 10**9)) in finding.evidence
    (tree / "deep/4").write_bytes(b"mended")
    _items, cache = look(tree, tmp_path / "kept", days=10, clock=begin + 12 * DAY)
    assert cache.rotten == []


def test_many_are_told_together():
    found = [("/srv/%d" % number, 20000, "a" * 64, "b" * 64) for number in range(30)]
    told = _manifest.rotten("files", found)
    assert len(told) == 21 and "10 more files" in told[-1].title and "/srv/20" in told[-1].evidence
    # whoever brings them back has to know all of them
    assert told[-1].details["paths"] == ["/srv/%d" % number for number in range(20, 30)] and told[0].details["paths"] == ["/srv/0"]


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-1], lambda data: b"", lambda data: data[:-5] + b"AAAAA", lambda data: b"{}\n" + data, lambda data: b"[1]\n"]
)
def test_a_cache_that_is_not_whole_is_no_cache(tree, tmp_path, counted, damage):
    first, _cache = look(tree, tmp_path / "kept")
    (tmp_path / "kept").write_bytes(damage((tmp_path / "kept").read_bytes()))
    counted.clear()
    items, cache = look(tree, tmp_path / "kept")
    assert len(counted) == 9 and items == first and cache.rotten == []


def test_a_place_that_cannot_be_read_or_written_is_no_cache_and_no_failure(tree, tmp_path, counted):
    (tmp_path / "kept" / "in it").mkdir(parents=True)
    (tmp_path / "file").write_text("where the directory should be")
    os.symlink("/nowhere", tmp_path / "dangling")
    for place in ("kept", "file/kept", "dangling/kept", "new/kept"):
        counted.clear()
        cache = _files_cache.FilesCache(str(tmp_path / place), 30, now())
        _eyes.tree(System(), [os.fsencode(str(tree))], [], cache)
        assert len(counted) == 9
        with contextlib.suppress(OSError):  # as a run does
            cache.save()
    assert (tmp_path / "new/kept").is_file() and (tmp_path / "new").stat().st_mode & 0o777 == 0o700


def test_records_of_another_length_are_no_cache(tree, tmp_path, counted):
    body = b"of a later release"
    (tmp_path / "kept").write_bytes(b'{"schema": 1, "sha256": "%s"}\n' % hashlib.sha256(body).hexdigest().encode() + body)
    look(tree, tmp_path / "kept")
    assert len(counted) == 9


def test_what_a_killed_run_left_beside_it_goes(tree, tmp_path):
    home = tmp_path / "files-cache"
    home.mkdir()
    (home / ".intact-abc").write_bytes(b"half of a cache")
    (home / "mail").write_bytes(b"of another class")
    look(tree, home / "files")
    assert sorted(path.name for path in home.iterdir()) == ["files", "mail"]


def test_a_day_that_a_wrong_clock_wrote_is_not_waited_for(tree, tmp_path, counted):
    look(tree, tmp_path / "kept", days=10, clock=now() + 3650 * DAY)
    counted.clear()
    look(tree, tmp_path / "kept", days=10)
    assert len(counted) == 9


def test_a_file_that_could_not_be_read_on_its_day_is_still_known(tree, tmp_path, monkeypatch):
    """A disk gives an error first, and other bytes once it has replaced the sector."""
    begin, reading = now(), _content.Reader._hash
    look(tree, tmp_path / "kept", days=10, clock=begin)
    rot(tmp_path / "kept")

    def broken(self, fd, size, md5):
        if size == 104:
            raise OSError(errno.EIO, "Input/output error")
        return reading(self, fd, size, md5)

    path = escape(str(tree / "deep/4"))
    monkeypatch.setattr(_content.Reader, "_hash", broken)
    items, cache = look(tree, tmp_path / "kept", days=10, clock=begin + 10 * DAY)
    assert items[path]["state"] == "unreadable: EIO" and "hash" not in items[path] and cache.rotten == []
    monkeypatch.setattr(_content.Reader, "_hash", reading)
    _items, cache = look(tree, tmp_path / "kept", days=10, clock=begin + 11 * DAY)
    assert [entry[0] for entry in cache.rotten] == [path]


def test_a_rotten_file_is_named_once_however_often_it_is_read(tmp_path):
    cache = _files_cache.FilesCache(str(tmp_path / "kept"), 30, now())
    st = tmp_path.stat()
    cache._old[_files_cache.KEY.pack(st.st_dev, st.st_ino)] = _files_cache.RECORD.pack(st.st_size, st.st_mtime_ns, st.st_ctime_ns, 20000, True, b"\0" * 32)
    for _look in range(2):
        for number in range(50):
            assert cache.note("/srv/%d" % number, st, "1" * 64, True) == "0" * 64
    assert [entry[0] for entry in cache.rotten] == ["/srv/%d" % number for number in range(50)]


def test_a_date_that_a_record_has_no_room_for(tree, tmp_path, counted):
    os.utime(tree / "deep/2", (2**34, 2**34))  # the year 2514, or the latest that the file system knows
    look(tree, tmp_path / "kept")
    counted.clear()
    items, _cache = look(tree, tmp_path / "kept")
    assert len(counted) <= 1 and len(items) == 12
