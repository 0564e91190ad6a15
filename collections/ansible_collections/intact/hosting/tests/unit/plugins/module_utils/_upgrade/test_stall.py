# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A package command that does nothing any more is told, once, and never ended."""

from __future__ import annotations

import os
import subprocess
from types import SimpleNamespace

import pytest

from ansible_collections.intact.hosting.plugins.module_utils import _flight
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _host, _stall


def shown(rows, minutes=20):
    """What is said at each row (minute, log bytes, ticks, bytes), 100 ticks a second."""
    stall = _stall.Stall(minutes, 100)
    return [stall.seen(minute * 60.0, log, ticks, moved) for minute, log, ticks, moved in rows]


def test_a_stall_is_told_once_and_its_end_too():
    said = shown(
        [(0, 5, 100, 10), (10, 5, 100, 10), (19.9, 5, 100, 10), (20, 5, 100, 10), (30, 5, 100, 10), (40, 5, 100, 10), (41, 6, 100, 10), (50, 6, 100, 10)]
    )
    assert [bool(sentence) for sentence in said] == [False, False, False, True, False, False, True, False]
    assert said[3].startswith("no sign of work for 20 min") and said[6] == "it moves again after 41 min"
    again = shown([(0, 5, 0, 0), (20, 5, 0, 0), (21, 6, 0, 0), (41, 6, 0, 0)])
    assert [bool(sentence) for sentence in again] == [False, True, True, True]


@pytest.mark.parametrize(
    "rows",
    [
        [(m, 5 + m, 100, 10) for m in range(90)],
        # A database that is converted without a word: 1 % of a processor.
        [(m, 5, 60 * m, 10) for m in range(90)],
        # A slow mirror.
        [(m, 5, 100, 20000 * m) for m in range(90)],
        # Silent for 19 minutes at a time.
        [(m, 5, 100 + 800 * (m // 19), 10) for m in range(90)],
    ],
)
def test_work_of_any_kind_is_no_stall(rows):
    assert not any(shown(rows))


def test_waiting_costs_a_little_and_is_no_work():
    """apt wakes up each second to look at a child that waits for an answer: measured with apt 2.2 and 3.0 at 4 to 6 ticks a minute, and no byte."""
    assert [bool(s) for s in shown([(m, 5, 100 + 6 * m, 10 + m * 100) for m in range(30)])].count(True) == 1


def test_none_is_wanted():
    assert not any(shown([(0, 0, 0, 0), (999, 0, 0, 0)], 0))


def test_a_family_is_the_session_and_what_left_it():
    processes = {
        10: {"parent": 1, "session": 10},
        11: {"parent": 10, "session": 10},
        12: {"parent": 11, "session": 12},
        13: {"parent": 12, "session": 12},
        20: {"parent": 1, "session": 20},
        30: {"parent": 1, "session": 10},
    }
    assert _stall.family(processes, 10) == {10, 11, 12, 13, 30}


def test_a_name_with_brackets_and_spaces_is_read():
    assert _stall.parse_stat("7 (a) b (c) S 3 7 5 0 -1 4194560 1 2 3 4 10 20 30 40 20 0 1 0 99 0 0") == {
        "name": "a) b (c", "parent": 3, "session": 5, "ticks": 100, "began": 99,
    }  # fmt: skip


def test_real_processes_are_counted_also_when_they_end():
    work = "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done; cat /bin/sh > /dev/null"
    script = "read line; (%s); echo; read line; (%s); echo; read line" % (work, work)
    process = subprocess.Popen(["sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
    try:
        reader, sums = _stall.Reader(), []
        sums.append(reader.read(process.pid))
        for _part in range(2):
            process.stdin.write(b"\n")
            process.stdin.flush()
            reader.read(process.pid)
            process.stdout.readline()
            sums.append(reader.read(process.pid))
        size = os.path.getsize("/bin/sh")
        assert all(after[1] - before[1] >= size and after[0] > before[0] for before, after in zip(sums, sums[1:]))
        assert reader.youngest == "sh, process %d" % process.pid
    finally:
        process.kill()
        process.communicate()


def test_a_command_that_waits_is_told_in_state_and_journal_and_lives(places, monkeypatch):
    """The real loop around a real process; only the clock of the stall runs faster."""
    memory = places.memory()
    host = _host.Host(places.directory, _flight.ensure("f-1", places.flights), memory)
    host.stall_minutes = 20
    seen, hurry = [], SimpleNamespace(now=0.0)
    fifo = places.path / "go"
    os.mkfifo(fifo)

    def clock():
        hurry.now += 120.0
        return hurry.now

    monkeypatch.setattr(_stall.Watcher.__init__, "__defaults__", (clock, None))
    progress = memory.progress

    def told(done, total, unit, message="", lines=()):
        seen.append(message)
        progress(done, total, unit, message, lines)
        if message.startswith("STALLED"):
            fifo.write_text("go\n")

    monkeypatch.setattr(memory, "progress", told)
    assert host.packages(["sh", "-c", "echo begin; read line < %s; echo end; sleep 2" % fifo], status=False) == 0
    stalled = [message for message in seen if message]
    assert stalled and all(m.startswith("STALLED: no sign of work for 2") and "(sh, process" in m and "left alone" in m for m in stalled)
    assert seen[-1] == ""
    notes = [event["text"] for event in _flight.read("f-1", places.flights)[0] if event["event"] == "note" and event["about"] == "stall"]
    assert len(notes) == 2 and notes[0].startswith("no sign of work") and notes[1].startswith("it moves again")
    assert (places.path / "flights" / "f-1" / "apt.log").read_text().splitlines()[1:] == ["begin", "end"]
