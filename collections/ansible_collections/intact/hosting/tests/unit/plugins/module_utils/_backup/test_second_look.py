# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The second look finds what changed since the first, and nothing else; what is read again is what it is now."""

from __future__ import annotations

import errno
import os
import shutil
import time

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._backup import _again, _eyes, _files_cache, _paths_run
from ansible_collections.intact.hosting.plugins.module_utils._baseline import _tree, _trees_data
from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._system import System

RULES = [{"patterns": [".cache"], "reason": "x"}]


def first(tmp_path):
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    (tmp_path / ".cache").mkdir()
    time.sleep(0.1)  # older than the margin for the kernel's coarse clock
    since = time.time_ns()
    return _eyes.tree(System(), [os.fsencode(str(tmp_path))], RULES), since


def again(tmp_path, section, since):
    looker = _again.Again(System(), _trees_data.matcher(RULES), {})
    found = looker.changed([os.fsencode(str(tmp_path))], section["items"], since)
    return [os.path.relpath(path, escape(str(tmp_path))) for path in found]


def test_nothing_changed(tmp_path):
    assert again(tmp_path, *first(tmp_path)) == []


def test_each_kind_of_change_is_found_and_what_is_left_out_is_not(tmp_path):
    section, since = first(tmp_path)
    (tmp_path / "a" / "file").write_text("A")
    os.utime(tmp_path / "a" / "file", (1, 1))  # as old as a customer likes: its change time tells
    os.chmod(tmp_path / "b" / "file", 0o600)
    (tmp_path / "c" / "file").unlink()
    (tmp_path / "c" / "new\n").write_text("x")
    (tmp_path / ".cache" / "x").write_text("x")
    found = again(tmp_path, section, since)
    assert found == ["a/file", "b/file", "c", "c/file", "c/new\\x0a"]


def test_what_was_in_a_directory_that_went_is_named_with_it(tmp_path):
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "file").write_text("x")
    (tmp_path / "turned").mkdir()
    (tmp_path / "turned" / "file").write_text("x")
    section, since = first(tmp_path)
    shutil.rmtree(tmp_path / "deep")
    shutil.rmtree(tmp_path / "turned")
    (tmp_path / "turned").write_text("a file now")
    found = again(tmp_path, section, since)
    assert found == [".", "deep", "deep/er", "deep/er/file", "turned", "turned/file"]
    top = escape(str(tmp_path))
    paths = [os.path.normpath(top + "/" + name) for name in found]
    _paths_run.reread(System(), section, paths, _trees_data.matcher(RULES), {})
    assert section["items"] == _eyes.tree(System(), [os.fsencode(str(tmp_path))], RULES)["items"]


def test_a_directory_that_was_swapped_for_an_older_one_is_read(tmp_path):
    (tmp_path / "next").mkdir()
    (tmp_path / "next" / "file").write_text("the next release, made before the look")
    section, since = first(tmp_path)
    cache = _files_cache.FilesCache(str(tmp_path) + ".cache", 0, since)
    section = _eyes.tree(System(), [os.fsencode(str(tmp_path))], RULES, cache)
    os.rename(tmp_path / "a", tmp_path / "old")
    os.rename(tmp_path / "next", tmp_path / "a")
    looker = _again.Again(System(), _trees_data.matcher(RULES), {}, cache.directories)
    found = looker.changed([os.fsencode(str(tmp_path))], section["items"], since)
    assert escape(str(tmp_path / "a/file")) in found and escape(str(tmp_path / "b/file")) not in found


def test_a_directory_that_was_swapped_is_read_once(tmp_path):
    """Who writes into the new one afterwards has not changed all of it again."""
    (tmp_path / "next").mkdir()
    (tmp_path / "next" / "file").write_text("the next release, made before the look")
    cache = _files_cache.FilesCache(str(tmp_path) + ".cache", 0, time.time_ns())
    _section, since = first(tmp_path)
    section = _eyes.tree(System(), [os.fsencode(str(tmp_path))], RULES, cache)
    os.rename(tmp_path / "a", tmp_path / "old")
    os.rename(tmp_path / "next", tmp_path / "a")
    root, excluded = [os.fsencode(str(tmp_path))], _trees_data.matcher(RULES)
    time.sleep(0.1)
    began = time.time_ns()
    found = _again.Again(System(), excluded, {}, cache.directories).changed(root, section["items"], since)
    _paths_run.reread(System(), section, found, excluded, {}, cache)
    (tmp_path / "a" / "session").write_text("x")
    found = _again.Again(System(), excluded, {}, cache.directories).changed(root, section["items"], began)
    assert [os.path.relpath(path, escape(str(tmp_path))) for path in found] == ["a", "a/session"]


def test_another_name_of_a_directory_is_looked_at_where_the_walk_did(tmp_path):
    """A bind mount: which of two names comes first is another matter in each directory."""
    section, since = first(tmp_path)
    top = escape(str(tmp_path))
    # as the walk tells it: c is the directory a
    for name in ("/c/file", "/b/file"):
        del section["items"][top + name]
    section["items"][top + "/c"]["same_as"] = section["items"][top + "/b"]["same_as"] = top + "/a"
    (tmp_path / "c" / "file").write_text("C")
    (tmp_path / "c" / "new").write_text("C")
    os.chmod(tmp_path / "c", 0o700)
    found = again(tmp_path, section, since)
    assert found == ["c"]
    _paths_run.reread(System(), section, [top + "/c"], _trees_data.matcher(RULES), {})
    assert section["items"][top + "/c"]["same_as"] == top + "/a" and section["items"][top + "/c"]["mode"] == "0700"
    # no longer mounted: another directory is there, with all that is in it
    directories = {top + "/c": (0, 0), top + "/b": (os.stat(tmp_path / "b").st_dev, os.stat(tmp_path / "b").st_ino)}
    looker = _again.Again(System(), _trees_data.matcher(RULES), {}, directories)
    assert [path[len(top) :] for path in looker.changed([os.fsencode(str(tmp_path))], section["items"], since)] == ["/c", "/c/file", "/c/new"]


def test_what_was_changed_by_a_clock_that_ran_ahead_has_not_changed_now(tmp_path):
    section, since = first(tmp_path)
    ago = since - 3600 * 10**9  # an hour ago by today's clock, which ran ahead when the tree was made
    looker = _again.Again(System(), _trees_data.matcher(RULES), {})
    root = [os.fsencode(str(tmp_path))]
    assert looker.changed(root, section["items"], ago, ago + 10**9) == []
    (tmp_path / "b" / "file").write_text("B")
    assert looker.changed(root, section["items"], since, time.time_ns()) == [escape(str(tmp_path / "b/file"))]
    (mailbox,) = [os.fsencode(str(tmp_path / "a/file"))]
    assert looker.changed([mailbox], section["items"], ago, ago + 10**9) == []


def test_many_directories_that_went_are_told_with_all_that_was_in_them(tmp_path):
    section, since = first(tmp_path)
    top = escape(str(tmp_path))
    for number in range(50):
        section["items"]["%s/a/%d" % (top, number)] = {"type": "dir"}
        for inside in range(20):
            section["items"]["%s/a/%d/%d" % (top, number, inside)] = {"type": "file"}
    os.utime(tmp_path / "a")
    assert len(again(tmp_path, section, since)) == 50 * 21 + 1


def test_a_race_while_it_is_read_again_does_not_end_the_run(tmp_path):
    section, _since = first(tmp_path)
    top = escape(str(tmp_path))
    # a directory for the list of what changed, something else when it is opened
    real, calls = os.stat, []

    def swapped(path, *more, **kwargs):
        found = real(path, *more, **kwargs)
        if path == b"a" and not calls:
            calls.append(path)
            os.rename(tmp_path / "a", tmp_path / "away")
            os.symlink("/etc", tmp_path / "a")
        return found

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "stat", swapped)
        _paths_run.reread(System(), section, [top + "/a"], _trees_data.matcher(RULES), {})
    # the look after this one finds what it is then
    assert calls and top + "/a" not in section["items"]


def test_what_cannot_be_read_again_is_told(tmp_path, monkeypatch):
    section, _since = first(tmp_path)
    top, system = escape(str(tmp_path)), System()

    def broken(self, parent, name, path, deep=True):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(_tree.Walker, "entry", broken)
    _paths_run.reread(system, section, [top + "/a"], _trees_data.matcher(RULES), {})
    assert section["items"][top + "/a"] == {"type": "unknown", "state": "unreadable: EIO"}
    (told,) = system.unlooked
    assert told["what"] == top + "/a" and "could not be read" in told["why"] and told["section"] == "files"


def test_a_lost_tree_is_all_gone(tmp_path):
    section, since = first(tmp_path)
    os.rename(tmp_path / "a", tmp_path / "x")
    assert {"a", "x", "."} <= set(again(tmp_path, section, since))
    os.rename(str(tmp_path), str(tmp_path) + ".gone")
    assert len(again(tmp_path, section, since)) == len(section["items"])


def test_reading_again_brings_the_look_up_to_date(tmp_path):
    section, _since = first(tmp_path)
    top = escape(str(tmp_path))
    section["items"][top + "/a/file"]["origin"] = "local"
    (tmp_path / "a" / "file").write_text("other")
    (tmp_path / "b" / "file").unlink()
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "file").write_text("x")
    paths = [top, top + "/a/file", top + "/b", top + "/b/file", top + "/new"]
    _paths_run.reread(System(), section, paths, _trees_data.matcher(RULES), {})
    now = _eyes.tree(System(), [os.fsencode(str(tmp_path))], RULES)
    assert section["items"].pop(top + "/a/file") == dict(now["items"].pop(top + "/a/file"), origin="local")
    assert section["items"] == now["items"]
    assert section["summary"]["files"] == now["summary"]["files"] == 3


def test_a_root_that_is_one_file_is_changed_only_when_it_is(tmp_path):
    mailbox = tmp_path / "carol"
    mailbox.write_text("From a\n")
    time.sleep(0.1)
    since, root = time.time_ns(), os.fsencode(str(mailbox))
    items = _eyes.tree(System(), [root], RULES)["items"]
    assert list(items) == [escape(root)]

    def changed():
        return _again.Again(System(), _trees_data.matcher(RULES), {}).changed([root], items, since)

    assert changed() == []
    mailbox.write_text("From b\n")
    os.utime(mailbox, (1, 1))
    assert changed() == [escape(root)]
    mailbox.unlink()
    assert changed() == [escape(root)]
    mailbox.symlink_to("/etc/hostname")
    assert changed() == [escape(root)]
