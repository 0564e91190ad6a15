# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Big files are read beside the walk: what the manifest says of them is the same, whatever happens to the walk or the file."""

from __future__ import annotations

import hashlib
import os
import threading

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _aside, _content, _tree, files
from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._system import System

BIG = 3 * _content.BLOCK + 7


@pytest.fixture
def tree(tmp_path, monkeypatch):
    monkeypatch.setattr(_aside, "worthwhile", lambda: True)
    for number in range(6):
        (tmp_path / ("big%d" % number)).write_bytes(bytes([number]) * (BIG + number))
    (tmp_path / "small").write_text("x")
    os.link(tmp_path / "big0", tmp_path / "again")
    os.link(tmp_path / "big5", tmp_path / "zlink")
    return tmp_path


def walk(path):
    walker = _tree.Walker(System(), None, {escape(str(path)) + "/big1"}, {})
    walker.tree(os.fsencode(str(path)))
    walker.finish()
    return walker


def test_the_same_as_without_a_second_thread(tree, monkeypatch):
    beside = walk(tree)
    monkeypatch.setattr(_aside, "worthwhile", lambda: False)
    alone = walk(tree)
    assert alone._aside is None and beside.items == alone.items and beside.bytes == alone.bytes
    top = escape(str(tree))
    assert beside.items[top + "/big3"]["hash"] == hashlib.sha256(bytes([3]) * (BIG + 3)).hexdigest()
    assert beside.items[top + "/zlink"]["hardlink"] == top + "/big5" and beside.items[top + "/zlink"]["links"] == 2
    assert beside.md5 == alone.md5 == {top + "/big1": hashlib.md5(bytes([1]) * (BIG + 1)).hexdigest()}
    assert len(os.listdir("/proc/self/fd")) < 100


def test_two_captures_are_equal_to_the_order_of_their_items(tree):
    options = {"trees": [str(tree)], "privileged": []}
    first, second = files.capture(System(options)), files.capture(System(options))
    assert list(first["items"]) == list(second["items"]) and first == second


def test_a_byte_limit_holds_for_big_files_too(tree):
    system = System({"trees": [str(tree)], "privileged": []}, {"bytes": 3 * BIG + 100})
    items = files.capture(system)["items"]
    assert sum(item.get("state") == "unhashed" for item in items.values()) == 4  # of six, one under two names
    assert system.unlooked


def test_what_changes_while_the_thread_reads_is_told(tree, monkeypatch):
    target, real = tree / "big2", _tree.Walker._hash

    def grow(self, fd, size, md5):
        out = real(self, fd, size, md5)
        if os.fstat(fd).st_ino == target.stat().st_ino:
            with open(target, "ab") as handle:
                handle.write(b"more")
        return out

    monkeypatch.setattr(_tree.Walker, "_hash", grow)
    walker = walk(tree)
    assert walker.changing == [escape(str(target))] and walker.items[escape(str(target))]["state"] == "changing"


def test_a_disk_that_fails_is_told(tree, monkeypatch):
    real = _tree.Walker._hash

    def broken(self, fd, size, md5):
        if size == BIG + 4:
            raise OSError(5, "Input/output error")
        return real(self, fd, size, md5)

    monkeypatch.setattr(_tree.Walker, "_hash", broken)
    assert walk(tree).items[escape(str(tree / "big4"))]["state"] == "unreadable: EIO"


def test_what_nobody_expected_is_raised_where_the_walk_is(tree, monkeypatch):
    def broken(self, fd, size, md5):
        raise MemoryError("no room")

    monkeypatch.setattr(_tree.Walker, "_hash", broken)
    with pytest.raises(MemoryError):
        walk(tree)


def test_a_walk_that_ends_early_leaves_no_thread_and_no_file(tree):
    before, opened = threading.active_count(), len(os.listdir("/proc/self/fd"))

    def excluded(path, name, kind, target):
        if name == b"small":
            raise KeyboardInterrupt
        return False

    with pytest.raises(KeyboardInterrupt):
        _tree.Walker(System(), excluded, (), {}).tree(os.fsencode(str(tree)))
    for thread in threading.enumerate():
        if thread.daemon and thread.name.startswith("Thread"):
            thread.join(5)
    assert threading.active_count() <= before and len(os.listdir("/proc/self/fd")) <= opened


def test_more_than_wait_are_read_by_the_walk(tree, monkeypatch):
    monkeypatch.setattr(_aside, "WAITING", 0)
    walker = walk(tree)
    assert walker._aside._thread is None and sum("hash" in item for item in walker.items.values()) == 9


def test_who_asks_for_one_that_was_not_begun_reads_it(tree):
    begun, go_on, readers = threading.Event(), threading.Event(), {}

    def read(fd, name):
        readers[name] = threading.current_thread()
        if name == "first":
            begun.set()
            assert go_on.wait(10)
        return name

    aside = _aside.Aside(read)
    fd = os.open(tree / "small", os.O_RDONLY)
    for name in ("first", "second", "third"):
        aside.add(name, fd, (name,), name.upper())
    os.close(fd)
    assert begun.wait(10)
    assert "second" in aside and aside.settle("second") == ("second", "SECOND") and "second" not in aside
    go_on.set()
    assert list(aside.settled()) == [("first", "first", "FIRST"), ("third", "third", "THIRD")]
    assert readers["second"] is threading.current_thread() and readers["first"] is not threading.current_thread()
