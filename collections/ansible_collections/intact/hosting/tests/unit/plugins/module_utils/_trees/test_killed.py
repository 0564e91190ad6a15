# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A copy that is killed hard at any call, and started again: the same tree in the end, and never a half file under its own name on the way."""

from __future__ import annotations

import os
import random
import shutil
import signal

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._trees import _copy, _folder, _journal, _kernel
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._trees import tree_lab as lab

CALLS = ("open", "write", "link", "symlink", "mkdir", "mkfifo", "fchown", "utime", "unlink", "rmdir", "setxattr", "fdatasync", "pwrite")
SEED = 20261123


@pytest.fixture
def source(tmp_path):
    """A rich tree with some more directories."""
    lab.needs("rsync")
    top = tmp_path / "source"
    top.mkdir()
    lab.rich(top)
    for number in range(12):
        folder = top / "sites" / ("s%02d" % number) / "data"
        folder.mkdir(parents=True)
        for name in range(6):
            (folder / str(name)).write_bytes(b"%d" % name * 3000)
        os.chown(folder, 1002, 1002)
        os.chmod(folder, 0o2770)
    return top


@pytest.fixture
def batches(monkeypatch):
    """Batches so small that every way of naming them is taken."""
    monkeypatch.setattr(_folder, "ENTRIES", 4)


def killed_after(calls, source, target, state):
    """Copy in another process that is killed hard at its nth call. Returns whether it came to its end."""
    pid = os.fork()
    if not pid:
        left = [calls]

        def counted(function):
            def call(*args, **kwargs):
                left[0] -= 1
                if left[0] <= 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return function(*args, **kwargs)

            return call

        try:
            for name in CALLS:
                setattr(os, name, counted(getattr(os, name)))
            _kernel.rename = counted(_kernel.rename)
            _copy.Copier(str(source), str(target), state=str(state), manifest=str(state) + ".gz").run()
            os._exit(0)
        finally:
            os._exit(1)
    _pid, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "the copy failed by itself"
    return not os.WIFSIGNALED(status)


def whole(source, target):
    """Each file that has its own name is whole."""
    for folder, folders, names in os.walk(os.fsencode(target)):
        folders[:] = [name for name in folders if not name.startswith(b".intact-")]
        for name in names:
            path = os.path.join(folder, name)
            other = os.fsencode(source) + path[len(os.fsencode(target)) :]
            if os.path.isfile(path) and not os.path.islink(path):
                with open(path, "rb") as one, open(other, "rb") as two:
                    assert one.read() == two.read(), path


def test_killed_anywhere_and_continued(source, tmp_path, batches):
    rng = random.Random(SEED)
    target = tmp_path / "target"
    for start in range(7):
        state, kills = tmp_path / ("state%d" % start), 0
        while True:
            # the first kills cut early calls, later ones anywhere
            if killed_after(rng.randrange(1, 900), source, target, state):
                break
            kills += 1
            whole(source, target)
            if kills == 4:
                break
        result = lab.copy(source, target, tmp_path / "place", state=str(state))
        assert result["told"] == []
        assert lab.rsync(source, target) == [] and lab.rsync(source=target, target=source) == []
        assert lab.differences(tmp_path / "place/manifest.gz", target) == []
        again = lab.copy(source, target, tmp_path / "place", state=str(state))
        assert (again["changed"], again["told"]) == (False, [])
        shutil.rmtree(target)


def test_what_was_copied_is_not_copied_again(source, tmp_path, batches):
    target, state = tmp_path / "target", tmp_path / "state"
    assert not killed_after(700, source, target, state)
    there = sum(len(names) for folder, _folders, names in os.walk(os.fsencode(target)) if b".intact-" not in folder)
    assert there > 20
    result = lab.copy(source, target, tmp_path / "place", state=str(state))
    assert result["counts"]["same"] >= there - 8 and result["counts"]["replaced"] == 0


def test_torn_journal_is_cut_and_used(source, tmp_path):
    target = tmp_path / "target"
    lab.copy(source, target, tmp_path / "place")
    path = tmp_path / "place/state/journal"
    whole_size = path.stat().st_size
    with open(path, "r+b") as handle:
        handle.seek(whole_size - 30)
        handle.write(b"\xff" * 10)
        handle.truncate(whole_size - 7)
    result = lab.copy(source, target, tmp_path / "place")
    assert result["told"] == [] and result["counts"]["copied"] == 0
    assert path.stat().st_size > 0 and lab.rsync(source, target) == []


def test_two_copies_with_one_state_are_refused(tmp_path):
    journal = _journal.Journal(str(tmp_path / "state"), b"x")
    try:
        with pytest.raises(IntactError, match="another copy works"):
            _journal.Journal(str(tmp_path / "state"), b"x")
    finally:
        journal.close()
    assert os.stat(tmp_path / "state").st_mode & 0o777 == 0o700
