# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What stages may do to the host: backups, and package commands that outlive the runner."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _host, _progress


def test_a_new_attempt_keeps_what_is_there_now(places):
    live = places.path / "sources.list"
    host = _host.Host(places.directory, str(places.path), places.memory())
    live.write_text("first")
    copy = host.keep(str(live), "before")
    live.write_text("corrected by the operator")
    host.keep(str(live), "before")
    assert Path(copy).read_text() == "first"
    for text in ("second", "third"):
        live.write_text(text)
        host.set_aside("before")
        host.set_aside("never-there")
        assert Path(host.keep(str(live), "before")).read_text() == text
    backups = Path(host.backups)
    assert sorted(p.name for p in backups.iterdir()) == ["before", "before-1", "before-2"]
    assert Path(copy.replace("/before/", "/before-1/")).read_text() == "first"


def test_what_the_runner_starts_goes_on_when_it_is_killed(tmp_path):
    """A package command writes to files, not to pipes: kill -9 of the runner does not end it."""
    program = """
import sys
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _host
class Memory:
    def progress(self, *words): pass
host = _host.Host(%r, %r, Memory())
host.packages(["sh", "-c", "echo one; sleep 2; echo two; echo three >&2; touch %s/whole"], status=False)
""" % (str(tmp_path), str(tmp_path), str(tmp_path))
    process = subprocess.Popen([sys.executable, "-c", program], env=dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path)))
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and b"one" not in (tmp_path / "apt.log").read_bytes() if (tmp_path / "apt.log").exists() else True:
        time.sleep(0.05)
    process.kill()
    process.wait()
    while time.monotonic() < deadline and not (tmp_path / "whole").exists():
        time.sleep(0.05)
    assert (tmp_path / "apt.log").read_text().splitlines()[1:] == ["one", "two", "three"]


def test_progress_is_told_from_apts_status_lines():
    progress = _progress.Progress(3)
    progress.feed("dlstatus:1:3.5:Retrieving file 1 of 9\npmstatus:libc6:10.2:Unpacking libc6 (amd64)\npmstatus:libc6:20.1:Insta")
    assert (progress.done, progress.message, progress.percent) == (0, "Unpacking libc6 (amd64)", 3.5)
    progress.feed(
        "lled libc6 (amd64)\npmstatus:libc6:20.1:Installed libc6 (amd64)\n"
        "pmstatus:php8.2-fpm:30:Removed php8.2-fpm (amd64)\npmstatus:x:i386:40:Installed x (i386)\n"
    )
    assert progress.done == 3


def test_a_copy_that_was_cut_is_no_copy(places):
    live = places.path / "sources.list"
    live.write_text("whole")
    host = _host.Host(places.directory, str(places.path), places.memory())
    run = host.run

    def cut(argv, **more):
        if argv[0] == "cp":
            Path(argv[-1]).write_text("who")
            raise KeyboardInterrupt
        return run(argv, **more)

    host.run = cut
    with pytest.raises(KeyboardInterrupt):
        host.keep(str(live), "before")
    host.run = run
    assert Path(host.keep(str(live), "before")).read_text() == "whole"
    live.write_text("later")
    assert Path(host.keep(str(live), "before")).read_text() == "whole"
    assert Path(host.keep(str(live), "before", anew=True)).read_text() == "later"


def test_dpkg_that_outlived_its_apt_is_waited_for(places, monkeypatch):
    """apt killed with -9 lets go of the front-end lock; its dpkg works on with its own, and whatever comes then fails on it."""
    locks = [places.path / "lock-frontend", places.path / "lock"]
    for path in locks:
        path.write_bytes(b"")
    host = _host.Host(places.directory, str(places.path), places.memory())
    names = tuple(str(path) for path in locks)
    assert host.lock_holder(names) == 0
    program = "import fcntl, sys, time\nhandle = open(sys.argv[1], 'rb+')\nfcntl.lockf(handle, fcntl.LOCK_EX)\nprint('held', flush=True)\ntime.sleep(60)\n"
    for path in names:
        with subprocess.Popen([sys.executable, "-c", program, path], stdout=subprocess.PIPE) as holder:
            holder.stdout.readline()
            assert host.lock_holder(names) == holder.pid
            holder.kill()
    assert host.lock_holder(names) == 0
    assert names[1].rsplit("/", 1)[-1] in [os.path.basename(path) for path in _host.LOCKS]


def test_a_copy_is_on_the_disk_before_it_has_its_name(places, monkeypatch):
    """A power cut took the content of copies whose names were there already."""
    asked, host = [], _host.Host(places.directory, str(places.path), places.memory())
    run = host.run
    monkeypatch.setattr(host, "run", lambda argv, **more: asked.append((argv[0], os.path.lexists(argv[-1]))) or run(argv, **more))
    (places.path / "file").write_text("x")
    (places.path / "tree").mkdir()
    for name in ("file", "tree"):
        host.keep(str(places.path / name), "before")
    assert [entry for entry in asked if entry[0] == "sync"] == [("sync", True), ("sync", True)]
