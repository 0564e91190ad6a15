# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The walk over real trees: what a limit, a mount, a writer or a damaged disk keeps from being looked at is said."""

from __future__ import annotations

import os

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _mounttable, _tree, files
from ansible_collections.intact.hosting.plugins.module_utils._baseline._system import System
from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._baseline.tree_fixture import names, walk


def test_a_byte_limit_keeps_metadata_and_says_so_once(tmp_path):
    for number in range(10):
        (tmp_path / ("file%d" % number)).write_bytes(b"x" * 1000)
    system = System({"trees": [str(tmp_path)], "privileged": []}, {"bytes": 3500})
    data = files.capture(system)
    hashed = [item for item in data["items"].values() if "hash" in item]
    assert len(hashed) == 3
    assert sum(1 for item in data["items"].values() if item.get("state") == "unhashed" and item["size"] == 1000) == 7
    assert len(system.unlooked) == 1 and system.unlooked[0]["what"].startswith("7 paths: ")


def test_when_seconds_run_out_the_rest_is_named(tmp_path):
    for folder in "abc":
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "file").write_text("x")
    ticks = iter(range(1000))
    walker = walk(tmp_path, limits={"seconds": 6}, clock=lambda: next(ticks))
    assert walker.unwalked
    assert all(path.startswith(escape(str(tmp_path))) for path in walker.unwalked)


def test_a_file_that_is_being_written_has_its_own_state(tmp_path, monkeypatch):
    path = tmp_path / "busy"
    path.write_bytes(b"x")
    real = _tree.Walker._hash

    def grow(self, fd, size, md5):
        out = real(self, fd, size, md5)
        with open(path, "ab") as handle:
            handle.write(b"more")
        return out

    monkeypatch.setattr(_tree.Walker, "_hash", grow)
    walker = walk(tmp_path)
    item = walker.items[escape(str(path))]
    assert item["state"] == "changing" and "hash" not in item
    assert walker.changing == [escape(str(path))]


def test_a_mount_from_another_host_is_named_not_read(tmp_path):
    (tmp_path / "nfs" / "deep").mkdir(parents=True)
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "file").write_text("x")
    top = os.fsencode(str(tmp_path))
    walker = walk(tmp_path, mounts={top + b"/nfs": "nfs4", top + b"/disk": "ext4"})
    assert names(walker, tmp_path) == [".", "disk", "disk/file", "nfs"]
    assert [entry["what"] for entry in walker.system.unlooked] == [escape(str(tmp_path / "nfs"))]
    assert set(walker.nested.values()) == {"nfs4", "ext4"}


def test_mounts_are_read_from_mountinfo():
    class Recorded(System):
        def read(self, path, limit=None):
            return b"""22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
35 22 254:17 / /home rw,relatime shared:2 master:1 - xfs /dev/vdb1 rw
36 22 0:44 / /srv/with\\040blank rw - nfs4 store:/x rw
"""

    assert _mounttable.types(Recorded()) == {b"/": "ext4", b"/home": "xfs", b"/srv/with blank": "nfs4"}


def test_what_cannot_be_read_in_either_look_is_said(tmp_path, monkeypatch):
    (tmp_path / "damaged").write_text("x")

    def broken(self, fd, size, md5):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(_tree.Walker, "_hash", broken)
    system = System({"trees": [str(tmp_path)], "privileged": []})
    data = files.capture(system)
    assert files.compare(data, data) == []
    assert [entry["what"] for entry in system.unlooked] == [escape(str(tmp_path / "damaged"))]
