# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The walk over real trees: what an entry says, that links are not followed, and what an attacker's race does."""

from __future__ import annotations

import os
import socket
import struct
import threading

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _descriptors, _tree, files
from ansible_collections.intact.hosting.plugins.module_utils._baseline._system import System
from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._baseline.tree_fixture import names, walk

ROOT = os.geteuid() == 0


def test_one_of_each_kind(tmp_path):
    (tmp_path / "file").write_bytes(b"hello")
    os.chmod(tmp_path / "file", 0o4751)
    (tmp_path / "dir").mkdir()
    os.symlink("file", tmp_path / "link")
    os.mkfifo(tmp_path / "fifo")
    made = socket.socket(socket.AF_UNIX)
    here = os.getcwd()
    os.chdir(tmp_path)  # a socket's path is at most 107 bytes
    try:
        made.bind("socket")
    finally:
        os.chdir(here)
        made.close()
    walker = walk(tmp_path)
    top = escape(str(tmp_path))
    assert names(walker, tmp_path) == [".", "dir", "fifo", "file", "link"]
    assert walker.sockets == 1
    item = walker.items[top + "/file"]
    assert item["hash"] == "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    assert (item["type"], item["size"], item["mode"], item["uid"]) == ("file", 5, "4751", os.geteuid())
    assert walker.items[top + "/link"]["target"] == "file" and "mode" not in walker.items[top + "/link"]
    assert walker.owners[str(os.geteuid())]


def test_names_are_bytes(tmp_path):
    for name in (b"caf\xe9", b"two\nlines", "süß".encode(), b"back\\slash"):
        with open(os.path.join(os.fsencode(str(tmp_path)), name), "wb") as handle:
            handle.write(name)
    found = {path.rpartition("/")[2] for path in walk(tmp_path).items} - {tmp_path.name}
    assert found == {"caf\\xe9", "two\\x0alines", "süß", "back\\x5cslash"}


def test_links_are_never_followed(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    tree = tmp_path / "tree"
    tree.mkdir()
    os.symlink(outside, tree / "dir")
    os.symlink(outside / "secret", tree / "file")
    assert names(walk(tree), tree) == [".", "dir", "file"]


def test_a_root_that_is_a_link_is_walked_where_it_leads(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "file").write_text("x")
    os.symlink("real", tmp_path / "home")
    assert names(walk(tmp_path / "home"), tmp_path) == ["home", "real", "real/file"]


def test_a_link_put_in_place_of_a_file_is_not_opened(tmp_path, monkeypatch):
    """Between looking and opening a customer may swap the file: the descriptor is opened without following."""
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "tree").mkdir()
    target = tmp_path / "tree" / "file"
    target.write_text("mine")
    real = _descriptors.open_file

    def swap(name, parent):
        target.unlink()
        os.symlink(tmp_path / "secret", target)
        return real(name, parent)

    monkeypatch.setattr(_descriptors, "open_file", swap)
    item = walk(tmp_path / "tree").items[escape(str(target))]
    assert item["state"] == "unreadable: ELOOP" and "hash" not in item


def test_a_fifo_put_in_place_of_a_file_does_not_hang(tmp_path, monkeypatch):
    target = tmp_path / "file"
    target.write_text("mine")
    real = _descriptors.open_file

    def swap(name, parent):
        target.unlink()
        os.mkfifo(target)
        return real(name, parent)

    monkeypatch.setattr(_descriptors, "open_file", swap)
    thread = threading.Thread(target=walk, args=(tmp_path,), daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()


def test_hard_links_are_one_group_and_hashed_once(tmp_path):
    (tmp_path / "b").write_text("x" * 100)
    os.link(tmp_path / "b", tmp_path / "a")
    os.link(tmp_path / "b", tmp_path / "c")
    (tmp_path / "alone").write_text("x")
    walker = walk(tmp_path)
    top = escape(str(tmp_path))
    assert [walker.items[top + "/" + n].get("hardlink") for n in ("a", "b", "c", "alone")] == [top + "/a"] * 3 + [None]
    assert walker.items[top + "/c"]["links"] == 3
    assert walker.bytes == 101


def test_sparse(tmp_path):
    with open(tmp_path / "holes", "wb") as handle:
        handle.truncate(10 << 20)
    (tmp_path / "full").write_bytes(b"x" * (1 << 20))
    walker = walk(tmp_path)
    top = escape(str(tmp_path))
    if os.stat(tmp_path / "holes").st_blocks * 512 >= 5 << 20:
        pytest.skip("this file system has no holes")
    assert walker.items[top + "/holes"]["sparse"] is True
    assert "sparse" not in walker.items[top + "/full"]


def test_attributes(tmp_path):
    path = tmp_path / "file"
    path.write_text("x")
    try:
        os.setxattr(path, "user.origin", b"web")
        os.setxattr(path, "user.long", b"y" * 100)
        os.setxattr(path, "system.posix_acl_access", bytes.fromhex("0200000001000600ffffffff02000500e903000004000400ffffffff10000500ffffffff20000400ffffffff"))
    except OSError:
        pytest.skip("this file system keeps no attributes")
    item = walk(tmp_path).items[escape(str(path))]
    assert item["acl"] == "user::rw-,user:1001:r-x,group::r--,mask::r-x,other::r--"
    assert item["xattr"]["user.origin"] == "web"
    assert item["xattr"]["user.long"].startswith("sha256:")


@pytest.mark.skipif(not ROOT, reason="setting a capability needs root")
def test_capability(tmp_path):
    path = tmp_path / "program"
    path.write_text("x")
    try:
        os.setxattr(path, "security.capability", struct.pack("<IIIII", 0x02000001, 1 << 10, 0, 0, 0))
    except OSError:
        pytest.skip("this file system keeps no capabilities")
    assert walk(tmp_path).items[escape(str(path))]["capability"] == "cap_net_bind_service=ep"


def test_overlapping_roots_and_bind_mounts_are_walked_once(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").write_text("x")
    walker = walk(tmp_path)
    before = dict(walker.items)
    walker.tree(os.fsencode(str(tmp_path / "a")))
    assert walker.items == before and walker.roots == [escape(str(tmp_path))]


def test_looking_leaves_no_trace(tmp_path):
    path = tmp_path / "file"
    path.write_text("x")
    os.utime(path, (1000000000, 1000000000))
    walk(tmp_path)
    assert os.stat(path).st_atime == 1000000000


def test_two_captures_are_equal(tmp_path):
    for number in range(30):
        (tmp_path / ("f%02d" % number)).write_text(str(number))
    options = {"trees": [str(tmp_path)], "privileged": []}
    assert files.capture(System(options)) == files.capture(System(options))


def test_one_entry_may_be_looked_at_again(tmp_path):
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir" / "file").write_text("x")
    walker = _tree.Walker(System(), None, (), {})
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        walker.entry(fd, b"dir", os.fsencode(str(tmp_path / "dir")), deep=False)
        assert names(walker, tmp_path) == ["dir"]
        walker.entry(fd, b"dir", os.fsencode(str(tmp_path / "dir")))
        assert names(walker, tmp_path) == ["dir", "dir/file"]
    finally:
        os.close(fd)
