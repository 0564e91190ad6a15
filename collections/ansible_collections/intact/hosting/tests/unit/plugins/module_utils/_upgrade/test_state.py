# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The runner's memory on disk, and what the journal still tells when it is lost."""

from __future__ import annotations

import os

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _stages, _state


def test_state_survives_and_is_told_from_the_journal_when_it_is_torn(places):
    first = places.memory()
    first.begin("bind")
    first.end("bind", "ok", "plan x")
    first.begin("quiesce")
    assert _state.load("f-1", places.root, places.flights)["stages"]["bind"]["status"] == "ok"
    with open(first.path, "w", encoding="utf-8") as handle:
        handle.write('{"flight": "f-1", "sta')
    state = _state.load("f-1", places.root, places.flights)
    assert state["stages"]["bind"] == {"status": "ok", "seconds": pytest.approx(0, abs=5), "note": "plan x"}
    assert state["stages"]["quiesce"]["status"] == ""
    os.unlink(first.path)
    assert _stages.following(_state.load("f-1", places.root, places.flights)["stages"]) == "quiesce"


def test_a_flight_that_never_started_has_no_state(places):
    assert _state.load("f-1", places.root, places.flights) is None


def test_state_is_private_and_progress_is_not_written_all_the_time(places):
    first = places.memory()
    first.begin("full")
    assert os.stat(first.path).st_mode & 0o777 == 0o600
    before = os.stat(first.path).st_ino
    for number in range(50):
        first.progress(number, 100, "packages", "unpacking")
    assert os.stat(first.path).st_ino == before
    assert first.state["done"] == 49
    first.progress(50, 100, "packages")
    assert first.state["message"] == "unpacking"


def test_only_one_runner_gets_the_lock(places):
    first = _state.lock(places.root)
    assert first is not None
    assert _state.lock(places.root) is None
    first.close()
    again = _state.lock(places.root)
    assert again is not None
    again.close()
