# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The estimate: what the plan, the measures and the history make of it."""

from __future__ import annotations

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _estimate, _simulate, _stages

MEASURES = {"cpu_seconds": 0.32, "write_bytes_per_second": 150e6, "fsync_seconds": 0.004}
LISTS = {"bytes": 9e6, "bytes_per_second": 10e6}


def plan(packages=500, download=400e6, **more):
    half = packages // 2
    upgrade = [{"name": "p%d" % n, "stage": "minimal" if n < half else "full"} for n in range(packages)]
    return dict({"release_path": "debian-12-13", "upgrade": upgrade, "install": [], "remove": [], "download_bytes": download, "lists": LISTS}, **more)


def flight(name="f-1", seconds=100, packages=250, own=False, path="debian-12-13", **more):
    return dict(
        {"flight": name, "release_path": path, "own": own, "stages": {"full": seconds, "reboot": 30}, "work": {"full": packages}, "measures": dict(MEASURES)},
        **more,
    )


def test_every_stage_has_its_seconds_and_they_add_up():
    found = _estimate.estimate(plan(), MEASURES, [])
    assert set(found["stages"]) == {*_stages.ORDER, _estimate.LOOK}
    assert found["total"] == sum(found["stages"].values()) and found["low"] < found["total"] < found["high"]
    assert all(isinstance(seconds, int) for seconds in found["stages"].values())
    assert found["stages"]["download"] == 42


def test_it_grows_with_packages_with_a_slow_disk_and_with_a_slow_cpu():
    base = _estimate.estimate(plan(), MEASURES, [])["stages"]["full"]
    assert _estimate.estimate(plan(1000), MEASURES, [])["stages"]["full"] > 1.8 * base
    assert _estimate.estimate(plan(), dict(MEASURES, fsync_seconds=0.04), [])["stages"]["full"] > base * 1.5
    assert _estimate.estimate(plan(), dict(MEASURES, cpu_seconds=1.28), [])["stages"]["full"] > base * 2
    assert _estimate.estimate(plan(), dict(MEASURES, write_bytes_per_second=5e6), [])["stages"]["full"] > base + 100


def test_without_measures_the_span_is_wider_and_says_why():
    known, unknown = _estimate.estimate(plan(), MEASURES, []), _estimate.estimate(plan(lists={}), {"notes": ["/usr is too full to measure"]}, [])
    assert unknown["high"] / unknown["total"] > known["high"] / known["total"]
    assert any("assumed" in text for text in unknown["basis"]) and "/usr is too full to measure" in unknown["basis"]


def test_a_few_kilobytes_of_lists_tell_nothing_of_the_mirror():
    slow = _estimate.estimate(plan(lists={"bytes": 20e3, "bytes_per_second": 1e3}), MEASURES, [])
    assert slow["stages"]["download"] == 82 and any("assumed" in text for text in slow["basis"])


def test_history_is_scaled_by_amount_and_pace_and_narrows_the_span():
    alone = _estimate.estimate(plan(), MEASURES, [])
    once = _estimate.estimate(plan(), MEASURES, [flight()])
    assert once["stages"]["full"] == 100 and once["stages"]["reboot"] == 30
    assert once["high"] / once["total"] < alone["high"] / alone["total"]
    assert _estimate.estimate(plan(1000), MEASURES, [flight()])["stages"]["full"] == 200
    slower = _estimate.estimate(plan(), dict(MEASURES, cpu_seconds=0.64), [flight()])["stages"]["full"]
    assert 150 < slower < 200
    three = _estimate.estimate(plan(), MEASURES, [flight("a", 80), flight("b", 100), flight("c", 900, own=True)])
    assert three["stages"]["full"] == 100 and any("3 earlier flights (1 of this host)" in text for text in three["basis"])


def test_flights_of_the_same_step_count_before_others():
    other = flight("o", 900, path="debian-11-12")
    assert _estimate.estimate(plan(), MEASURES, [other, flight()])["stages"]["full"] == 100
    assert _estimate.estimate(plan(), MEASURES, [other])["stages"]["full"] == 900


@pytest.mark.parametrize(
    ("settings", "seconds", "word"),
    [
        ({}, 0, "no rollback is prepared"),
        ({"driver": "btrfs"}, 210, "btrfs"),
        ({"driver": "lvm"}, 219, "lvm"),
        ({"driver": "hook", "seconds": 77}, 77, "as was set"),
        ({"driver": "restore"}, 1690, "reinstallation"),
    ],
)
def test_the_way_back_by_its_driver(settings, seconds, word):
    found = _estimate.estimate(plan(), dict(MEASURES, data_bytes=100e9), [], {"rollback": settings})
    assert found["rollback"] == seconds and word in found["basis"][-1]


def test_no_reboot_takes_no_time_and_an_empty_plan_is_no_division_by_zero():
    assert _estimate.estimate(plan(), MEASURES, [], {"reboot": False})["stages"]["reboot"] == 0
    assert _estimate.estimate({}, {}, [])["total"] > 0


def test_work_of_a_plan():
    found = _estimate.work(plan(3, 7, patch=[{}], install=[{}], remove=[{}, {}], autoremove=[{}]))
    assert found == {"patch-source": 1, "download": 7, "minimal": 1, "full": 5, "autoremove": 1}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Fetched 9,123 kB in 2s (4,561 kB/s)", {"bytes": 9123e3, "bytes_per_second": 4561e3}),
        ("Get:1 x\nFetched 48.3 MB in 1min 3s (766 kB/s)\nReading package lists...", {"bytes": 48.3e6, "bytes_per_second": 766e3}),
        ("Fetched 12 B in 0s (24 B/s)", {"bytes": 12, "bytes_per_second": 24}),
        ("Hit:1 http://mirror bookworm InRelease\nReading package lists...", {}),
    ],
)
def test_what_apt_says_that_it_fetched(text, found):
    assert _simulate.fetched(text) == pytest.approx(found)


def test_words():
    assert _estimate.words({"total": 1800, "low": 900, "high": 3600, "rollback": 0}) == "about 30 min (15 min to 60 min)"
    assert _estimate.words({"total": 60, "low": 30, "high": 8000, "rollback": 240}).endswith("2 h 13 min), and 4 min for the way back")
