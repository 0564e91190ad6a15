# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Measuring on a real file system, bounded and without traces; and what earlier flights' journals tell."""

from __future__ import annotations

import json
import os
from types import SimpleNamespace

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _history, _measure
from ansible_collections.intact.hosting.tests.unit.plugins import flight_fixture


def test_a_look_measures_all_and_leaves_nothing(tmp_path):
    found = _measure.take(str(tmp_path), str(tmp_path), seconds=0.05)
    assert found["cpu_seconds"] > 0 and found["write_bytes_per_second"] > 0 and found["fsync_seconds"] > 0 and found["cpus"] >= 1 and not found["notes"]
    assert os.listdir(tmp_path) == []


def test_it_writes_no_more_than_it_may(tmp_path):
    path = tmp_path / "file"
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    ticks = iter(range(10**6))
    # a clock on which no time passes to speak of: only the room ends it
    _measure.write(fd, 5 << 20, clock=lambda: next(ticks) * 1e-9)
    os.close(fd)
    assert path.stat().st_size == 5 << 20


def test_a_slow_disk_is_measured_on_little(tmp_path):
    path = tmp_path / "file"
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    ticks = iter(range(10**6))
    _measure.write(fd, 1 << 30, clock=lambda: next(ticks) * 1.0)
    os.close(fd)
    assert path.stat().st_size <= 2 << 20


def test_a_full_disk_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(_measure.os, "statvfs", lambda path: SimpleNamespace(f_bavail=10, f_frsize=4096))
    monkeypatch.setattr(_measure, "write", lambda *a: pytest.fail("it wrote"))
    found, notes = _measure.disk(str(tmp_path), str(tmp_path))
    assert found == {} and "too full" in notes[0]


def test_without_unnamed_files_our_own_directory_is_taken_and_nothing_stays(tmp_path, monkeypatch):
    def none(directory):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(_measure, "unnamed", none)
    packages, private = tmp_path / "usr", tmp_path / "cache"
    packages.mkdir()
    private.mkdir()
    found, _notes = _measure.disk(str(packages), str(private), seconds=0.02)
    assert found["write_bytes_per_second"] > 0
    assert os.listdir(packages) == [] and os.listdir(private) == []


def write(root, name, events, plan=None):
    (root / name).mkdir(parents=True)
    (root / name / "journal.jsonl").write_text("".join(json.dumps(e) + "\n" for e in events))
    if plan:
        (root / name / "plan.json").write_text(json.dumps(plan))


PLAN = {"release_path": "debian-12-13", "upgrade": [{"stage": "full"}] * 20, "download_bytes": 5}


def test_entries_of_a_directory_newest_first(tmp_path):
    for number, name in enumerate(("a-upgrade-1", "b-upgrade-2", "c-migration-3")):
        write(tmp_path, name, flight_fixture.journal(), PLAN)
        os.utime(tmp_path / name / "journal.jsonl", (number, number))
    write(tmp_path, "d-upgrade-4", [])
    found = _history.entries(str(tmp_path), own=True)
    assert [e["flight"] for e in found] == ["b-upgrade-2", "a-upgrade-1"]
    assert found[0]["stages"]["full"] == 204 and found[0]["work"]["full"] == 20 and found[0]["own"] and found[0]["release_path"] == "debian-12-13"
    assert [e["flight"] for e in _history.entries(str(tmp_path), most=1, but="b-upgrade-2")] == ["a-upgrade-1"]
    assert _history.entries(str(tmp_path / "none")) == []


def test_what_the_journal_says_of_work_and_measures_wins_over_the_plan(tmp_path):
    said = {"event": "estimate", "time": flight_fixture.at(1), "work": {"full": 7}, "measures": {"cpu_seconds": 1}, "release_path": "own-1-2"}
    events = flight_fixture.journal()
    write(tmp_path, "a-upgrade-1", [*events[:1], said, *events[1:]], PLAN)
    (found,) = _history.entries(str(tmp_path))
    assert (found["work"], found["measures"], found["release_path"]) == ({"full": 7}, {"cpu_seconds": 1}, "own-1-2")


def test_interrupted_and_failed_stages_do_not_count_and_waiting_is_taken_out():
    events = flight_fixture.journal()
    again = next(e for e in events if e["event"] == "stage.start" and e["stage"] == "minimal")
    bad = next(e for e in events if e["event"] == "stage.end" and e["stage"] == "carry")
    events = [dict(e, result="failed") if e is bad else e for e in events]
    events.insert(events.index(again), dict(again))
    events.append({"event": "note", "time": flight_fixture.at(900), "text": "held before reboot for 30 s, then let go"})
    found = _history.seconds_of(events)
    assert "minimal" not in found and "carry" not in found and found["reboot"] == 8 and found["full"] == 204


def test_a_journal_that_cannot_be_read_tells_nothing(tmp_path):
    write(tmp_path, "a-upgrade-1", flight_fixture.journal())
    (tmp_path / "a-upgrade-1" / "plan.json").write_text("{")
    (tmp_path / "b-upgrade-1").mkdir()
    (tmp_path / "b-upgrade-1" / "journal.jsonl").write_bytes(b"\xff\xfe not json\n")
    assert _history.entries(str(tmp_path)) == []
