# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What drivers do on a host: taking the panel's file, packing settings, putting them back, and who is at work."""

from __future__ import annotations

import os
import tarfile

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._backup._rooted import Rooted
from ansible_collections.intact.hosting.plugins.module_utils._panels import _archives
from ansible_collections.intact.hosting.plugins.module_utils._panels import _panel_host as host
from ansible_collections.intact.hosting.plugins.module_utils._system import System
from ansible_collections.intact.hosting.tests.unit.plugins.fake_system import FakeSystem


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "home" / "shop.test" / "backup").mkdir(parents=True)
    (tmp_path / "home" / "shop.test" / "backup" / "b.tar").write_bytes(b"archive")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "shadow").write_bytes(b"root:secret")
    (tmp_path / "out").mkdir()
    return tmp_path


def take(tree, **more):
    return host.take(Rooted(str(tree)), "/home/shop.test/backup/b.tar", str(tree / "out"), "b.tar", **more)


def test_a_file_is_taken_for_root_alone(tree):
    assert take(tree, below="/home") == ""
    assert (tree / "out" / "b.tar").read_bytes() == b"archive" and os.stat(tree / "out" / "b.tar").st_mode & 0o777 == 0o600


def test_what_an_earlier_run_left_is_not_taken(tree):
    os.utime(tree / "home" / "shop.test" / "backup" / "b.tar", (1700000000, 1700000000))
    assert "older than this export" in take(tree, newer=1800000000.0) and os.listdir(tree / "out") == []


def test_a_link_that_a_customer_made_is_not_followed(tree):
    place = tree / "home" / "shop.test" / "backup"
    (place / "b.tar").unlink()
    (place / "b.tar").symlink_to("/etc/shadow")
    assert "link" in take(tree, below="/home") and os.listdir(tree / "out") == []


def test_a_directory_that_a_customer_replaced_by_a_link_is_not_followed(tree):
    place = tree / "home" / "shop.test" / "backup"
    (tree / "etc" / "b.tar").write_bytes(b"somebody else's")
    (place / "b.tar").unlink()
    place.rmdir()
    place.symlink_to("/etc")
    assert "link" in take(tree, below="/home") and os.listdir(tree / "out") == []


def test_a_file_with_a_second_name_is_not_taken(tree):
    os.link(tree / "home" / "shop.test" / "backup" / "b.tar", tree / "home" / "second")
    assert "link" in take(tree, below="/home")


def test_a_pipe_and_a_missing_file_are_told(tree):
    (tree / "home" / "shop.test" / "backup" / "b.tar").unlink()
    assert "can't be read" in take(tree)
    os.mkfifo(tree / "home" / "shop.test" / "backup" / "b.tar")
    assert "no plain file" in take(tree)


def test_settings_go_into_an_archive_and_back(tree, monkeypatch):
    (tree / "etc" / "panel" / "users").mkdir(parents=True)
    (tree / "etc" / "panel" / "users" / "ann").write_bytes(b"x=1")
    (tree / "etc" / "panel" / "now").symlink_to("users/ann")
    (tree / "etc" / "panel" / "log").mkdir()
    (tree / "etc" / "panel" / "log" / "big").write_bytes(b"0" * 2000)
    os.chmod(tree / "etc" / "panel" / "users" / "ann", 0o640)
    view = Rooted(str(tree))
    assert host.pack(view, str(tree / "out"), "s.tar.gz", ["/etc/panel", "/nowhere"], ["/etc/panel/log"]) == []
    told = _archives.walk(str(tree / "out" / "s.tar.gz"))
    assert told.broken == [] and sorted(told.members) == ["etc/panel", "etc/panel/now", "etc/panel/users", "etc/panel/users/ann"]
    (tree / "etc" / "panel" / "users" / "ann").write_bytes(b"broken")
    os.unlink(tree / "etc" / "panel" / "now")
    assert host.unpack(view, str(tree / "out" / "s.tar.gz"), lambda path: path.startswith("/etc/panel")) == 2
    back = tree / "etc" / "panel" / "users" / "ann"
    assert back.read_bytes() == b"x=1" and back.stat().st_mode & 0o777 == 0o640 and os.readlink(tree / "etc" / "panel" / "now") == "users/ann"
    monkeypatch.setattr(host, "LARGEST", 1000)
    assert host.pack(view, str(tree / "out"), "t.tar.gz", ["/etc/panel"]) == ["/etc/panel/log/big was left out: it is larger than 0 MiB"]


def test_only_what_is_wanted_is_put_back_and_nothing_outside(tree):
    with tarfile.open(tree / "out" / "evil.tar.gz", "w:gz") as archive:
        for name in ("etc/../../outside", "etc/passwd", "etc/panel.conf"):
            archive.addfile(tarfile.TarInfo(name))
    assert host.unpack(Rooted(str(tree)), str(tree / "out" / "evil.tar.gz"), lambda path: path == "/etc/panel.conf" or "outside" in path) == 1
    assert sorted(os.listdir(tree / "etc")) == ["panel.conf", "shadow"]


def test_room():
    assert host.room(System(), "p", "/nonexistent/below", 1) == []
    (found,) = host.room(System(), "p", "/nonexistent/below", 1 << 80, "ann", "twice")
    assert (found.id, found.subject) == ("panel.space", "p customer ann") and "twice" in found.evidence


def test_who_is_at_work():
    lines = {1: "/bin/bash\0/usr/local/x/bin/v-backup-user\0ann\0", 2: "vim\0a\0b\0v-backup-user\0", 3: "", 4: "/usr/bin/mysqldump\0"}
    view = FakeSystem(files={"/proc/%d/cmdline" % number: text for number, text in lines.items()})
    assert host.at_work(view, "v-backup-user|mysqldump") == [(1, "v-backup-user"), (4, "mysqldump")]


@pytest.mark.parametrize(("text", "expected"), [("1.50 0.1 0.1 1/2 3\n", (1.5, 2)), ("", (0.0, 2)), ("rubbish", (0.0, 2))])
def test_load(text, expected):
    assert host.load(FakeSystem(files={"/proc/loadavg": text, "/proc/cpuinfo": "processor : 0\nprocessor : 1\n"})) == expected
