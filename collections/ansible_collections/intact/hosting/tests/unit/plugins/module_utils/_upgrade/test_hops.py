# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two releases in one flight: the second hop begins only after a good first one, with nothing of it in its way, and wherever it was cut."""

from __future__ import annotations

import json
import os

import pytest

from ansible_collections.intact.hosting.plugins.module_utils import _flight
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _hops, _stages, _state


def path_of(source, target):
    return {"name": "debian-%s-%s" % (source, target), "source": {"id": "debian", "version": str(source)}, "target": {"id": "debian", "version": str(target)}}


@pytest.fixture
def flown(runner):
    """A flight whose first hop is done, and found good."""
    _flight.append("f-1", "flight.open", runner.places.flights, host="web1", kind="upgrade")
    assert runner.make().go() == "done"
    here = _flight.directory("f-1", runner.places.flights)
    for name in _hops.DOCUMENTS:
        with open(os.path.join(here, name), "w", encoding="utf-8") as handle:
            json.dump({"go": True}, handle)
    runner.here = here
    runner.begin = lambda **more: _hops.begin("f-1", "Debian 12", "Debian 13", runner.places.root, runner.places.flights, **more)
    return runner


def files(runner):
    return {os.path.relpath(os.path.join(top, name), runner.places.path) for top, _names, names in os.walk(str(runner.places.path)) for name in names}


def test_the_fewest_hops_are_found():
    paths = [path_of(11, 12), path_of(12, 13), path_of(13, 14)]
    names = [path["name"] for path in _hops.paths_between(paths, {"id": "debian", "version": "11"}, {"id": "debian", "version": 13})]
    assert names == ["debian-11-12", "debian-12-13"]
    assert not _hops.paths_between(paths, {"id": "debian", "version": "12"}, {"id": "debian", "version": "12"})
    with pytest.raises(IntactError, match="no release paths lead from debian 12 to debian 11"):
        _hops.paths_between(paths, {"id": "debian", "version": "12"}, {"id": "debian", "version": "11"})


def test_a_minor_version_starts_where_its_release_does():
    paths = [{"name": "a-8-9", "source": {"id": "a", "version": "8"}, "target": {"id": "a", "version": "9"}}]
    assert [p["name"] for p in _hops.paths_between(paths, {"id": "a", "version": "8.10"}, {"id": "a", "version": "9"})] == ["a-8-9"]
    assert not _hops.paths_between(paths, {"id": "a", "version": "8.10"}, {"id": "a", "version": "8.10"})
    with pytest.raises(IntactError, match=r"from a 7\.9 to a 9"):
        _hops.paths_between(paths, {"id": "a", "version": "7.9"}, {"id": "a", "version": "9"})


def test_the_next_hop_has_its_own_state_documents_and_stages(flown):
    before = files(flown)
    assert flown.begin(check=True) == 2 and files(flown) == before
    assert flown.begin() == 2
    assert sorted(os.listdir(flown.here)) == ["hop-1", "journal.jsonl"]
    assert set(os.listdir(os.path.join(flown.here, "hop-1"))) == set(_hops.DOCUMENTS)
    assert os.listdir(flown.places.directory) == ["hop-1"] and "state.json" in os.listdir(os.path.join(flown.places.directory, "hop-1"))
    assert _state.load("f-1", flown.places.root, flown.places.flights) is None
    # a second call is for the same hop
    assert flown.begin() == 2
    os.link(os.path.join(flown.places.directory, "hop-1", "job.json"), os.path.join(flown.places.directory, "job.json"))
    flown.engine.seen.clear()
    made = flown.make()
    assert made.go() == "done" and len(flown.engine.seen) == len(_stages.ORDER)
    rows = _flight.stages(_flight.read("f-1", flown.places.flights)[0])
    assert [row["hop"] for row in rows] == [1] * len(_stages.ORDER) + [2] * len(_stages.ORDER)
    assert {row["attempts"] for row in rows} == {1}


def test_a_hop_whose_state_is_lost_is_told_from_its_own_part_of_the_journal(flown):
    flown.begin()
    os.link(os.path.join(flown.places.directory, "hop-1", "job.json"), os.path.join(flown.places.directory, "job.json"))
    made = flown.make()
    for stage in _stages.ORDER[:2]:
        made.memory.begin(stage)
        made.memory.end(stage, "ok", "did it")
    os.unlink(os.path.join(flown.places.directory, "state.json"))
    state = _state.load("f-1", flown.places.root, flown.places.flights)
    assert _stages.following(state["stages"]) == _stages.ORDER[2] and not state["point_of_no_return"]


@pytest.mark.parametrize("at", range(1, 9))
def test_cut_while_it_begins_it_begins_when_called_again(flown, monkeypatch, at):
    rename, left = os.rename, [at]

    def cut(*names):
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        rename(*names)

    monkeypatch.setattr(_hops.os, "rename", cut)
    try:
        flown.begin()
    except KeyboardInterrupt:
        pass
    monkeypatch.setattr(_hops.os, "rename", rename)
    assert flown.begin() == 2
    assert sorted(os.listdir(flown.here)) == ["hop-1", "journal.jsonl"] and os.listdir(flown.places.directory) == ["hop-1"]
    assert [e["number"] for e in _flight.read("f-1", flown.places.flights)[0] if e["event"] == "flight.hop"] == [2]


@pytest.mark.parametrize("at", range(1, 40))
def test_cut_while_it_begins_who_looks_next_finds_it_whole(flown, monkeypatch, at):
    """Half of it put aside is a flight that nobody can look at: no job, and a state that says done."""
    calls, left = {name: getattr(_hops.os, name) for name in ("rename", "unlink", "fsync", "mkdir")}, [at]

    def cut(name):
        def call(*words, **more):
            left[0] -= 1
            if not left[0]:
                raise KeyboardInterrupt
            return calls[name](*words, **more)

        return call

    before = files(flown)
    for name in calls:
        monkeypatch.setattr(_hops.os, name, cut(name))
    ended = False
    try:
        flown.begin()
        ended = True
    except KeyboardInterrupt:
        pass
    for name, call in calls.items():
        monkeypatch.setattr(_hops.os, name, call)
    if _hops.finish("f-1", flown.places.root, flown.places.flights, check=True) and not ended:
        assert _hops.finish("f-1", flown.places.root, flown.places.flights) == 2
    assert _hops.finish("f-1", flown.places.root, flown.places.flights) == 0
    left_alone = files(flown) - {name for name in files(flown) if "/.intact-" in name} == before
    assert left_alone or (
        sorted(n for n in os.listdir(flown.here) if not n.startswith(".intact-")) == ["hop-1", "journal.jsonl"]
        and [n for n in os.listdir(flown.places.directory) if not n.startswith(".intact-")] == ["hop-1"]
    )
    assert ended or left_alone or _flight.hops(_flight.read("f-1", flown.places.flights)[0]) == 2
    assert flown.begin() == 2
    assert [e["number"] for e in _flight.read("f-1", flown.places.flights)[0] if e["event"] == "flight.hop"] == [2]


def test_there_is_nothing_to_finish_where_no_hop_was_begun(flown):
    before = files(flown)
    assert _hops.finish("f-1", flown.places.root, flown.places.flights) == 0
    assert _hops.finish("f-never", flown.places.root, flown.places.flights) == 0
    assert files(flown) == before


def test_cut_before_the_journal_knows_it_begins_when_called_again(flown, monkeypatch):
    append = _flight.append

    def cut(*_words, **_more):
        raise KeyboardInterrupt

    monkeypatch.setattr(_flight, "append", cut)
    with pytest.raises(KeyboardInterrupt):
        flown.begin()
    monkeypatch.setattr(_flight, "append", append)
    assert flown.begin() == 2
    assert _state.load("f-1", flown.places.root, flown.places.flights) is None


def test_nothing_is_built_on_a_hop_that_is_not_good(flown):
    with open(os.path.join(flown.here, "postflight.json"), "w", encoding="utf-8") as handle:
        json.dump({"go": False}, handle)
    before = files(flown)
    with pytest.raises(IntactError, match="post-flight of hop 1 of flight f-1 does not say GO"):
        flown.begin()
    os.unlink(os.path.join(flown.here, "postflight.json"))
    with pytest.raises(IntactError, match="does not say GO"):
        flown.begin()
    state = _state.load("f-1", flown.places.root, flown.places.flights)
    state["status"] = "failed"
    _state.Memory(state, flown.places.root, flown.places.flights).save()
    with pytest.raises(IntactError, match="hop 1 of flight f-1 is failed"):
        flown.begin()
    assert before - files(flown) == {os.path.relpath(os.path.join(flown.here, "postflight.json"), flown.places.path)}


def test_a_stop_that_was_asked_for_at_the_end_of_a_hop_is_one(flown):
    _state.write_atomic(os.path.join(flown.places.directory, _hops.STOP), b"")
    before = files(flown)
    with pytest.raises(IntactError, match="a stop was asked for during hop 1 of flight f-1"):
        flown.begin(check=True)
    assert files(flown) == before
    with pytest.raises(IntactError, match="start the upgrade again, and hop 2 begins"):
        flown.begin()
    assert flown.begin() == 2
