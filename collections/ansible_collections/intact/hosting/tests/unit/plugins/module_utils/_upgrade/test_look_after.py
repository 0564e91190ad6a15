# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whatever goes wrong while a package command is looked after: the command works to its end, and only its own end counts."""

from __future__ import annotations

import errno
import os

import pytest

from ansible_collections.intact.hosting.plugins.module_utils import _flight
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _host, _rescue, _rpm_host, _stall

TROUBLE = (IndexError("list index out of range"), KeyError("handle"), OSError(errno.ENOSPC, "No space left on device"), OSError(errno.EROFS, "Read-only"))


def script(places, sign):
    return ["sh", "-c", "sleep 1.2; touch %s" % (places.path / sign)]


@pytest.mark.parametrize("trouble", TROUBLE)
@pytest.mark.parametrize("what", ["guard", "progress", "stall"])
def test_a_command_outlives_whatever_its_watcher_meets(places, monkeypatch, what, trouble):
    def fails(*_words, **_more):
        raise trouble

    memory = places.memory()
    host = _host.Host(places.directory, _flight.ensure("f-1", places.flights), memory)
    if what == "guard":
        host.guard = fails
    elif what == "progress":
        monkeypatch.setattr(memory, "progress", fails)
    else:
        host.stall_minutes = 1
        monkeypatch.setattr(_stall.Stall, "seen", lambda *words: "no sign of work")
        monkeypatch.setattr(_flight, "append", fails)
    assert host.packages(script(places, "whole"), status=False) == 0
    assert (places.path / "whole").exists()


def test_waiting_for_another_package_manager_goes_on_whatever_its_watcher_meets(places, monkeypatch):
    host = _host.Host(places.directory, _flight.ensure("f-1", places.flights), places.memory())
    holders = [os.getpid(), os.getpid(), 0]
    monkeypatch.setattr(host, "lock_holder", lambda locks: holders.pop(0))
    monkeypatch.setattr(_host.time, "sleep", lambda seconds: None)

    def fails():
        raise OSError(errno.ENOSPC, "No space left on device")

    host.guard = fails
    host.wait_for_dpkg()
    assert not holders


@pytest.mark.parametrize("trouble", TROUBLE)
def test_no_stage_ends_over_the_second_way_in_or_a_snapshot_that_cannot_be_looked_at(runner, monkeypatch, trouble):
    looked = []

    def fails(*_words):
        looked.append(1)
        raise trouble

    monkeypatch.setattr(_rescue, "watch", fails)
    monkeypatch.setattr(runner.engine, "watch", fails)
    assert runner.make().go() == "done" and len(looked) > 2


def test_a_sentence_that_the_full_disk_does_not_take_ends_no_stage(runner, monkeypatch):
    def full(*_words, **_more):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(_rescue, "watch", lambda host: "the second sshd was away and is started again")
    made = runner.make()
    monkeypatch.setattr(made.memory, "journal", full)
    made.host.guard()


@pytest.mark.parametrize("kind", [_host.Host, _rpm_host.RpmHost])
def test_every_kind_of_host_looks_after_the_way_in_and_tells_a_stall_while_packages_change(places, monkeypatch, kind):
    host, looked = kind(places.directory, _flight.ensure("f-1", places.flights), places.memory()), []
    host.guard, host.stall_minutes = (lambda: looked.append(1)), 1
    monkeypatch.setattr(_stall.Stall, "seen", lambda *words: "no sign of work")
    assert host.packages(script(places, "whole"), status=False) == 0
    told = [entry["text"] for entry in _flight.read("f-1", places.flights)[0] if entry["event"] == "note"]
    assert looked and told == ["no sign of work"]


def test_a_stall_of_somebody_elses_rpm_command_is_told_and_waited_for(places, monkeypatch):
    host, looked = _rpm_host.RpmHost(places.directory, _flight.ensure("f-1", places.flights), places.memory()), []
    host.guard, host.stall_minutes = (lambda: looked.append(1)), 1
    holders = [os.getpid(), os.getpid(), 0]
    monkeypatch.setattr(host, "lock_holder", lambda: holders.pop(0))
    monkeypatch.setattr(_rpm_host.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(_stall.Stall, "seen", lambda *words: "no sign of work")
    host.wait_for_dpkg()
    assert looked and not holders
    assert [entry["text"] for entry in _flight.read("f-1", places.flights)[0] if entry["event"] == "note"] == ["no sign of work"]


SETTLE = _host.Host.settle


def test_a_disk_that_does_not_take_what_was_written_is_told(places, monkeypatch):
    host = _host.Host(places.directory, _flight.ensure("f-1", places.flights), places.memory())
    program = places.path / "sync"
    program.write_text("#!/bin/sh\necho \"sync: error syncing '/var': Input/output error\" >&2\nexit 1\n")
    program.chmod(0o755)
    run = host.run
    monkeypatch.setattr(host, "run", lambda argv, **more: run([str(program), *argv[1:]], **more))
    SETTLE(host)
    told = [entry["text"] for entry in _flight.read("f-1", places.flights)[0]]
    assert told == ["what was written may not be on the disk: sync: error syncing '/var': Input/output error"]
