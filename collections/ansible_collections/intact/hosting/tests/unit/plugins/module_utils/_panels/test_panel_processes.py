# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which process is a database server, on hosts that tell and in containers that do not let root look into processes of other accounts."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import _processes


@pytest.fixture
def closed(monkeypatch):
    """A container without CAP_SYS_PTRACE."""
    stat, readlink = os.stat, os.readlink

    def refuse(function):
        def asked(path, *args, **kwargs):
            if re.fullmatch(r"/proc/\d+/(cwd|exe)", str(path)):
                raise PermissionError(13, "Permission denied", path)
            return function(path, *args, **kwargs)

        return asked

    monkeypatch.setattr(os, "stat", refuse(stat))
    monkeypatch.setattr(os, "readlink", refuse(readlink))


@pytest.fixture
def start(tmp_path):
    made = []

    def started(*argv):
        made.append(subprocess.Popen(argv, cwd=str(tmp_path)))
        while not _processes.arguments(made[-1].pid) or "python" in _processes.arguments(made[-1].pid)[0]:
            pass  # it is not the program yet
        return made[-1]

    yield started
    for process in made:
        process.kill()
        process.wait()


def record(process, place):
    return {"program": _processes.program(process.pid), "argv": _processes.arguments(process.pid), "uid": os.getuid(), "datadir": str(place)}


def test_a_server_is_told_by_its_program_and_directory(start, tmp_path):
    server = start("sleep", "61.25")
    known = record(server, tmp_path)
    assert known["program"] == os.path.realpath(shutil.which("sleep")) and known["argv"] == ["sleep", "61.25"]
    assert _processes.running(known) == server.pid
    assert not _processes.running(dict(known, datadir="/"))
    server.kill()
    server.wait()
    assert not _processes.running(known)


def test_where_nobody_may_look_it_is_told_by_its_account_and_arguments(start, tmp_path, closed):
    server = start("sleep", "61.5")
    known = record(server, tmp_path)
    assert known["program"] == os.path.realpath(shutil.which("sleep"))
    assert _processes.running(known) == server.pid
    assert not _processes.running(dict(known, uid=os.getuid() + 1))
    # another instance of the same program is not it
    assert not _processes.running(dict(known, argv=["sleep", "61.75"])) and not _processes.running(dict(known, argv=["sleep"]))
    server.kill()
    server.wait()
    assert not _processes.running(known)


def test_a_private_start_of_ours_is_the_server_too():
    known = ["/usr/sbin/mariadbd", "--user=mysql"]
    assert _processes._alike(known, known) and _processes._alike(["mariadbd", "--user=mysql", *_processes.PRIVATE, "--socket=/x"], known)
    assert not _processes._alike([*known, "--defaults-group-suffix=2"], known) and not _processes._alike([], known) and not _processes._alike(known, [])


def test_a_program_that_nobody_can_tell_is_a_sentence(start, closed, monkeypatch):
    server = start("sleep", "61.8")
    monkeypatch.setattr(shutil, "which", lambda _word: None)
    with pytest.raises(IntactError, match="CAP_SYS_PTRACE"):
        _processes.program(server.pid)
