# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A fleet: its waves, what stops it, what became of each host, and what a run that goes on makes of an earlier one."""

from __future__ import annotations

import itertools

import pytest

from ansible_collections.intact.hosting.plugins.module_utils import _fleet
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

HOSTS = ["h%02d" % n for n in range(50)]


@pytest.mark.parametrize(
    ("waves", "total", "counts"),
    [
        ((1, "10%", "100%"), 50, [1, 5, 44]),
        ((1, "10%", "100%"), 1, [1]),
        ((1, "10%", "100%"), 2, [1, 1]),
        (("20%",), 50, [10] * 5),
        ((5, 10), 32, [5, 10, 10, 7]),
        (["3%"], 7, [1] * 7),
        ("100%", 3, [3]),
        ((1,), 0, []),
    ],
)
def test_sizes(waves, total, counts):
    assert _fleet.sizes(waves, total) == counts


@pytest.mark.parametrize("waves", [[], ["0"], ["0%"], ["101%"], ["-1"], ["many"], [""], ["1.5"]])
def test_a_size_that_is_none_is_refused(waves):
    with pytest.raises(IntactError, match="intact_waves"):
        _fleet.sizes(waves, 3)


def test_every_host_flies_once_and_the_canary_first():
    waves = _fleet.make(HOSTS, canary=["h30"])
    assert waves[0] == ["h30"] and [len(w) for w in waves] == [1, 5, 44]
    assert sorted(itertools.chain(*waves)) == HOSTS


def test_a_fleet_that_goes_on_keeps_its_waves_and_open_flights_come_first():
    gone = HOSTS[:3]
    waves = _fleet.make(HOSTS, again=["h03"], gone=gone)
    assert waves[0] == ["h03"] and waves[1] == ["h04", "h05"] and len(waves[2]) == 44
    assert sorted(itertools.chain(*waves)) == HOSTS[3:]


def test_nothing_left_is_no_wave():
    assert _fleet.make(HOSTS, gone=HOSTS) == []


def at(seconds):
    return "2026-11-22T12:%02d:%02d.000Z" % divmod(seconds, 60)


def story(*entries):
    """Events from (name, fields), a second apart unless they say their time."""
    return [dict({"event": name, "time": at(n)}, **fields) for n, (name, fields) in enumerate(entries)]


def wave(outcomes, number=1, seconds=None):
    """A whole wave: {host: state or None when it never ended}."""
    out = [("fleet.open", {"hosts": ["a", "b", "c", "d"], "waves": ["1"]}), ("fleet.run", {}), ("wave.begin", {"wave": number, "hosts": list(outcomes)})]
    for host in outcomes:
        out.append(("host.begin", {"host": host, "wave": number}))
    for host, state in outcomes.items():
        if state:
            more = {"time": at(seconds)} if seconds else {}
            out.append(("host.end", dict(host=host, wave=number, state=state, flight="f-" + host, reason="why of %s" % host, **more)))
    return story(*out)


@pytest.mark.parametrize("state", _fleet.RED)
def test_every_red_state_stops(state):
    said = _fleet.stop(wave({"a": "intact", "b": state}))
    assert said.startswith("b of wave 1 is %s (why of b)" % state)


@pytest.mark.parametrize("state", [*_fleet.GOOD, "refused"])
def test_a_good_end_and_a_refusal_do_not(state):
    assert _fleet.stop(wave({"a": state, "b": "intact"})) == ""


def test_a_refusal_stops_when_it_is_told_to_and_the_worst_is_named():
    assert _fleet.stop(wave({"a": "refused"}), "stop").startswith("a of wave 1 was refused")
    assert _fleet.stop(wave({"a": "failed", "b": "lost"})).startswith("b and 1 more of wave 1 are not whole: lost")


def test_a_wave_over_its_budget_stops():
    assert _fleet.stop(wave({"a": "intact"}, seconds=600), wave_budget=300) == "wave 1 took 598 s of its 300 s"
    assert _fleet.stop(wave({"a": "intact"}, seconds=600), wave_budget=598) == ""


def test_before_the_first_wave_nothing_stops():
    assert _fleet.stop(story(("fleet.open", {"hosts": ["a"]}))) == ""


def test_a_host_that_began_and_never_ended_is_missing():
    events = wave({"a": "intact", "b": None})
    assert _fleet.missing(events) == ["b"] and _fleet.outcomes(events)["b"]["state"] == "running" and _fleet.outcomes(events)["c"]["state"] == "untouched"


def test_who_starts_again_has_seen_what_stopped_it():
    events = [*wave({"a": "failed"}), *story(("fleet.run", {"resumed": True}))]
    assert _fleet.stop(_fleet.run(events)) == ""
    assert _fleet.outcomes(events)["a"]["state"] == "failed"


def test_found_on_the_target_later_heals_no_loss():
    events = wave({"a": "loss", "b": "intact"}) + story(("host.left", {"host": "a", "state": "done"}), ("host.left", {"host": "c", "state": "done"}))
    found = _fleet.outcomes(events)
    assert (found["a"]["state"], found["b"]["state"], found["c"]["state"]) == ("loss", "intact", "done")
    assert _fleet.finished(events) == ["b"]
    assert _fleet.verdict(events) == ("loss", ["a", "d"])


def test_a_fleet_of_the_same_hosts_goes_on_until_it_is_closed(tmp_path):
    name = _fleet.new_id()
    (tmp_path / name).mkdir()
    _fleet.append(str(tmp_path / name), "fleet.open", hosts=["a", "b"])
    assert _fleet.unfinished(str(tmp_path), ["b", "a"])[0] == name
    assert _fleet.unfinished(str(tmp_path), ["a"]) == ("", [])
    _fleet.append(str(tmp_path / name), "fleet.close", verdict="intact")
    assert _fleet.unfinished(str(tmp_path), ["a", "b"]) == ("", [])
    assert _fleet.new_id([name, name + "-2"], None) != name and _fleet.ID.match(_fleet.new_id([name]))
    assert _fleet.unfinished(str(tmp_path / "none"), ["a"]) == ("", [])
