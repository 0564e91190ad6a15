# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The walk's roots that are no directory."""

from __future__ import annotations

import os

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _tree
from ansible_collections.intact.hosting.plugins.module_utils._baseline._system import System


def failing(error):
    """A function that raises, whatever it is given."""

    def fail(*_given, **_more):
        raise error

    return fail


def walk(*roots):
    walker = _tree.Walker(System({}))
    for root in roots:
        walker.tree(os.fsencode(str(root)))
    walker.finish()
    return walker


def test_a_root_that_is_a_file_is_looked_at(tmp_path):
    box = tmp_path / "ann"
    box.write_text("mail")
    walker = walk(box)
    assert list(walker.items) == walker.roots == [str(box)] and walker.items[str(box)]["size"] == 4


def test_a_root_that_is_a_link_to_a_file_is_followed_once(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to("file")
    items = walk(tmp_path / "link").items
    assert items[str(tmp_path / "link")]["target"] == "file" and items[str(tmp_path / "file")]["type"] == "file"


def test_a_root_that_is_not_there_or_vanishes_gives_nothing(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("x")
    (tmp_path / "dangling").symlink_to("nothing")
    assert walk(tmp_path / "none", tmp_path / "file" / "below").items == {}
    assert list(walk(tmp_path / "dangling").items) == [str(tmp_path / "dangling")]
    monkeypatch.setattr(_tree.Walker, "_entry", failing(FileNotFoundError()))
    walker = walk(tmp_path / "file")
    assert (walker.items, walker.roots) == ({}, [])


def test_a_file_and_its_directory_are_told_once(tmp_path):
    (tmp_path / "file").write_text("x")
    assert sorted(walk(tmp_path, tmp_path / "file").items) == [str(tmp_path), str(tmp_path / "file")]
