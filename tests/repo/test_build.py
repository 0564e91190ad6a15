# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tarball that lacks something, as one built in the tree with its linked roles would, is refused."""

from __future__ import annotations

import io
import tarfile

import pytest

import build


def tarball(tmp_path, names, link=""):
    path = tmp_path / "x.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name in names:
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())
        if link:
            entry = tarfile.TarInfo(link)
            entry.type = tarfile.SYMTYPE
            entry.linkname = "elsewhere"
            archive.addfile(entry)
    return path


@pytest.fixture
def expected(tmp_path, monkeypatch):
    """A small project with one role: what its tarball must hold."""
    root, source = tmp_path / "root", tmp_path / "root" / "collection"
    for name in ("root/roles/one/tasks/main.yml", "root/roles/one/files/a b", "root/collection/plugins/modules/m.py", "root/collection/meta/runtime.yml"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    monkeypatch.setattr(build, "ROOT", root)
    monkeypatch.setattr(build, "SOURCE", source)
    return build.expected_files()


def test_roles_are_expected_with_all_their_files(expected):
    assert {"roles/one/tasks/main.yml", "roles/one/files/a b", "plugins/modules/m.py", "meta/runtime.yml", "LICENSE"} <= expected


def test_whole_tarball_is_accepted(tmp_path, expected):
    assert build.check_tarball(tarball(tmp_path, expected), expected) == len(expected)


def test_role_without_tasks_is_refused(tmp_path, expected):
    (tmp_path / "root" / "roles" / "two").mkdir()
    with pytest.raises(build.BuildFailed, match="lacks the tasks of these roles: two"):
        build.check_tarball(tarball(tmp_path, expected), expected)


def test_tarball_without_the_linked_roles_is_refused(tmp_path, expected):
    without = {name for name in expected if not name.startswith("roles/")}
    with pytest.raises(build.BuildFailed, match=r"lacks \d+ files, first: roles/"):
        build.check_tarball(tarball(tmp_path, without), expected)


def test_tarball_with_the_link_itself_is_refused(tmp_path, expected):
    with pytest.raises(build.BuildFailed, match="holds links"):
        build.check_tarball(tarball(tmp_path, expected, link="roles"), expected)
