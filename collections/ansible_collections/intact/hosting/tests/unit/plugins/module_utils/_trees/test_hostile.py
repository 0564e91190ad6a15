# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Customers who exchange directories and files for links while root copies: nothing outside is read, written or given away. Controls fall for it."""

from __future__ import annotations

import os
import signal
import time

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._trees import _kernel
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._trees import tree_lab as lab

SECRET = b"SECRET of root"
ROUNDS = 25


@pytest.fixture
def place(tmp_path):
    """source with a directory and a file to exchange, outside with what must not be touched."""
    lab.needs()
    outside = tmp_path / "outside"
    outside.mkdir()
    for number in range(40):
        (outside / ("f%d" % number)).write_bytes(SECRET)
    os.chmod(outside, 0o700)
    for side in ("source", "live"):
        home = tmp_path / side / "bob"
        (home / "www").mkdir(parents=True)
        for number in range(40):
            (home / "www" / ("f%d" % number)).write_bytes(b"bob's %d" % number)
        (home / "file").write_bytes(b"bob's")
        (home / "www.link").symlink_to(outside)
        (home / "file.link").symlink_to(outside / "f1")
        for path in (tmp_path / side).rglob("*"):
            os.chown(path, 1002, 1002, follow_symlinks=False)
    return tmp_path


class Swapper:
    """Another process that exchanges each name for its link, as fast as it can."""

    def __init__(self, home):
        self.home = home

    def __enter__(self):
        self.pid = os.fork()
        if not self.pid:
            try:
                fd = os.open(self.home, os.O_RDONLY)
                while True:
                    for name in (b"www", b"file"):
                        try:
                            _kernel.rename(name, name + b".link", fd, fd, _kernel.EXCHANGE)
                        except OSError:
                            # the copy put something away: plant it again
                            for lost, aim in ((b"www.link", b"/"), (b"file.link", b"/f1")):
                                try:
                                    os.symlink(os.fsencode(self.home.parents[1] / "outside") + aim, lost, dir_fd=fd)
                                except OSError:
                                    pass
            finally:
                os._exit(1)
        return self

    def __exit__(self, *_exc):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def picture(top):
    """All that could have been done to a tree."""
    out = {}
    for path in [top, *top.rglob("*")]:
        state = os.lstat(path)
        out[path.name] = (state.st_mode, state.st_uid, state.st_gid, state.st_mtime_ns, state.st_ctime_ns, state.st_nlink, path.is_file() and path.read_bytes())
    return out


def control(attempt):
    """Whether something that goes by paths falls for it within some seconds."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            if attempt():
                return True
        except OSError:
            pass
    return False


def test_source_exchanged_while_it_is_read(place):
    before = picture(place / "outside")
    told = set()
    with Swapper(place / "source/bob"):
        assert control(lambda: (place / "source/bob/www/f1").read_bytes() == SECRET), "the attack does not work: this test would prove nothing"
        for number in range(ROUNDS):
            target = place / ("target%d" % number)
            try:
                told |= {kind for kind, _s in lab.copy(place / "source", target, place / ("state%d" % number))["told"]}
            except IntactError as exc:
                pytest.fail("the copy let itself be stopped: %s" % exc)
    for number in range(ROUNDS):
        for path in (place / ("target%d" % number)).rglob("*"):
            if path.is_file() and not path.is_symlink():
                assert SECRET not in path.read_bytes(), path
    assert picture(place / "outside") == before
    assert told <= {"changed-while-read"}


def test_target_exchanged_while_it_is_written(place):
    before = picture(place / "outside")
    for path in (place / "source/bob/www.link", place / "source/bob/file.link"):
        path.unlink()
    for number in range(40):
        (place / "source/bob/www" / ("f%d" % number)).write_bytes(b"from the old disk")
    victim = place / "outside" / "control"

    def naive():
        (place / "live/bob/www/control").write_bytes(b"x")
        return victim.exists()

    copied = 0
    with Swapper(place / "live/bob"):
        assert control(naive), "the attack does not work: this test would prove nothing"
        victim.unlink()
        os.utime(place / "outside", ns=(1, before["outside"][3]))
        before["outside"] = picture(place / "outside")["outside"]
        for number in range(ROUNDS):
            for path in (place / "source/bob/www").iterdir():
                os.utime(path, (number, number))
            copied += lab.copy(place / "source", place / "live", place / "state")["counts"]["copied"]
    assert copied > 0
    assert picture(place / "outside") == before


def test_a_link_planted_for_our_own_directories(place):
    before = picture(place / "outside")
    (place / "live" / ".intact-aside").symlink_to(place / "outside")
    told = lab.copy(place / "source", place / "live", place / "state")["told"]
    assert {kind for kind, _s in told} == {"unwritable"}
    assert picture(place / "outside") == before
