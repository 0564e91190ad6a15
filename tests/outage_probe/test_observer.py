# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Configuration, the record and what it adds up to, and the program as a process."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import observer
import pytest
import record

PROGRAM = os.path.dirname(os.path.abspath(observer.__file__))


def target(name="a", kind="tcp", **more):
    return dict({"name": name, "kind": kind, "address": "192.0.2.1", "port": 1}, **more)


@pytest.mark.parametrize(
    ("targets", "sentence"),
    [
        ([target(), target()], "a name of its own"),
        ([target(kind="gopher")], "none of https"),
        ([target(port=None)], "lacks port"),
        ([target(kind="dns")], "lacks zone"),
        ([target(kind="dns", zone="example.com", type="LOC")], "record type LOC"),
        ([target(credentials="db")], "which are not given"),
    ],
)
def test_bad_configuration_is_one_sentence(targets, sentence):
    with pytest.raises(observer.BadConfig, match=sentence):
        observer.load({"targets": targets})


def test_intervals_are_polite():
    config = {
        "targets": [target("w", "https"), target("s", "ssh", interval=0.2), target("m", "smtp"), target("f", "smtp", interval=0.2)],
        "intervals": {"imap": 0.2},
    }
    loaded = {t["name"]: t for t in observer.load(config)}
    assert {n: t["interval"] for n, t in loaded.items()} == {"w": 0.2, "s": 2.0, "m": 1.0, "f": 0.2}
    assert loaded["w"]["tls"] and loaded["w"]["kind"] == "http"


def test_many_targets_on_one_address_share_its_rate():
    loaded = observer.load({"targets": [target(str(n), "http") for n in range(400)] + [target("other", "http", address="192.0.2.9")]})
    assert sum(1 / t["interval"] for t in loaded if t["address"] == "192.0.2.1") == pytest.approx(100)
    assert loaded[-1]["interval"] == 0.2


@pytest.mark.parametrize(
    ("took", "state", "reason", "seconds"),
    [
        (0.01, "up", "", 1.0),
        (0.9, "up", "", 2.7),
        (0.0, "down", "connection refused", 0.2),
        (0.0, "down", "status 502", 1.0),
        (5.0, "down", "no answer in time", 5.0),
    ],
)
def test_rest(took, state, reason, seconds):
    assert observer.rest(1.0, took, state, reason) == pytest.approx(seconds)


def line(what, second, **fields):
    return dict(fields, r=what, time=record.stamp(1_800_000_000 + second))


START = line("start", 0, targets=[{"name": "a", "kind": "http", "interval": 0.2}])


def one(*lines, **options):
    return record.summarise([START, *lines], **options)["targets"][0]


def test_an_outage_from_first_failure_to_first_success():
    result = one(
        line("up", 0.1, target="a"),
        line("down", 10, target="a", reason="connection refused"),
        line("reason", 11, target="a", reason="status 502"),
        line("up", 12.5, target="a"),
        line("sums", 60, seconds=60, targets={"a": [290, 9, 80]}),
    )
    (outage,) = result["outages"]
    assert outage["seconds"] == 2.5 and outage["reason"] == "connection refused" and outage["reasons"] == ["connection refused", "status 502"]
    assert not outage["open"] and not outage["uncertain"] and not outage["maintenance"]
    assert (result["total_seconds"], result["longest"], result["polls"], result["failures"], result["slowest_ms"]) == (2.5, 2.5, 290, 9, 80)
    assert result["unobserved_seconds"] == 0 and not result["never_up"]
    assert result["seconds_per_poll"] == pytest.approx(60 / 290, abs=0.001)


def test_time_not_observed_is_neither_up_nor_down():
    result = one(
        line("up", 0, target="a"), {"r": "unseen", "target": "a", "from": record.stamp(1_800_000_005), "time": record.stamp(1_800_000_009)}, line("alive", 20)
    )
    assert result["unobserved_seconds"] == 4 and result["total_seconds"] == 0


def test_a_killed_observer_leaves_a_gap_and_an_uncertain_outage():
    result = one(
        line("up", 0, target="a"),
        line("down", 5, target="a", reason="x"),
        line("alive", 6),
        dict(START, time=record.stamp(1_800_000_030)),
        line("up", 31, target="a"),
    )
    assert result["unobserved_seconds"] == 24
    assert result["outages"][0]["seconds"] == 26 and result["outages"][0]["uncertain"]


def test_an_outage_that_lasts_is_open():
    result = one(line("up", 0, target="a"), line("down", 5, target="a", reason="x"), line("alive", 9))
    assert result["outages"][0]["open"] and result["total_seconds"] == 4


def test_maintenance_is_told_apart():
    result = one(line("up", 0, target="a"), line("maintenance", 5, target="a", reason="status 503, Retry-After 60"), line("up", 9, target="a"))
    assert result["maintenance_seconds"] == 4 and result["outages"][0]["maintenance"]


def test_never_answered_is_not_an_outage_of_the_upgrade():
    assert one(line("down", 0, target="a", reason="connection refused"), line("alive", 9))["never_up"]


def test_a_view_is_cut_at_both_ends():
    lines = [
        line("up", 0, target="a"),
        line("down", 5, target="a", reason="x"),
        line("up", 15, target="a"),
        line("down", 50, target="a", reason="y"),
        line("up", 51, target="a"),
    ]
    result = one(*lines, since=record.stamp(1_800_000_010), until=record.stamp(1_800_000_020))
    assert [o["seconds"] for o in result["outages"]] == [5]


def test_a_record_without_a_start_is_refused():
    with pytest.raises(ValueError, match="never ran"):
        record.summarise([line("alive", 1)])


def test_torn_lines_are_counted_and_do_not_swallow(tmp_path):
    path = str(tmp_path / "r")
    with open(path, "w", encoding="utf-8") as handle:
        handle.write(json.dumps(START) + '\n{"r": "do')
    book = record.Record(path)
    book.add("up", target="a")
    book.flush()
    records, torn = record.read(path)
    assert torn == 1 and [r["r"] for r in records] == ["start", "up"]


def test_a_stalled_poll_says_nothing():
    watch = observer.Watch({"name": "a"})

    class Book(list):
        def add(self, what, moment=None, **fields):
            self.append((what, fields))

    book = Book()
    for state, reason in (("up", ""), ("up", ""), ("down", "x"), ("down", "y"), ("down", "y"), ("up", "")):
        watch.judge(state, reason, 1.0, 1.1, book)
    assert [what for what, _fields in book] == ["up", "down", "reason", "up"]
    assert watch.sums() == [6, 3, 100] and watch.sums() == [0, 0, 0]


class Service:
    """A TCP listener that can go away and come back on the same port."""

    def __init__(self):
        self.port = None
        self.up()

    def up(self):
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(("127.0.0.1", self.port or 0))
        self.socket.listen(64)
        self.port = self.socket.getsockname()[1]

    def down(self):
        self.socket.close()


def run_program(*args):
    return subprocess.Popen([sys.executable, "-B", PROGRAM, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def summary(path):
    out, err = run_program("summarise", "--record", path).communicate(timeout=60)
    assert not err
    return {t["name"]: t for t in json.loads(out)["targets"]}


def alive(path):
    """How often the program wrote that it is there."""
    return Path(path).read_text(encoding="utf-8").count('"alive"') if os.path.exists(path) else 0


def watching(path, since=0):
    """Wait until the program looked at its targets: on a busy machine it takes its time to start."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if alive(path) > since:
            return
        time.sleep(0.1)
    raise AssertionError("the program did not look within 60 s")


def test_the_program_sees_an_outage_and_its_own_stall(tmp_path):
    first, second = Service(), Service()
    config, path = tmp_path / "c.json", str(tmp_path / "record.jsonl")
    config.write_text(
        json.dumps(
            {
                "flight": "f",
                "alive_seconds": 0.5,
                "targets": [
                    {"name": "first", "kind": "tcp", "address": "127.0.0.1", "port": first.port, "interval": 0.1},
                    {"name": "second", "kind": "tcp", "address": "127.0.0.1", "port": second.port, "interval": 0.1},
                ],
            }
        )
    )
    process = run_program("run", "--config", str(config), "--record", path)
    try:
        watching(path)
        first.down()
        down = time.monotonic()
        time.sleep(1.5)
        first.up()
        down = time.monotonic() - down
        time.sleep(1)
        process.send_signal(signal.SIGSTOP)
        stopped = time.monotonic()
        # longer than a poll may take and a second: it may be stopped in the middle of one
        time.sleep(8)
        process.send_signal(signal.SIGCONT)
        stopped = time.monotonic() - stopped
        time.sleep(1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0
    finally:
        process.kill()
        first.down()
        second.down()
    seen = summary(path)
    assert len(seen["first"]["outages"]) == 1 and 0.5 * down <= seen["first"]["total_seconds"] <= down + 2
    assert seen["second"]["outages"] == [] and seen["second"]["polls"] >= 10
    for name in seen:
        assert 0.8 * stopped <= seen[name]["unobserved_seconds"] <= stopped + 4


def test_a_killed_program_loses_nothing_but_the_gap(tmp_path):
    service = Service()
    config, path = tmp_path / "c.json", str(tmp_path / "record.jsonl")
    config.write_text(json.dumps({"alive_seconds": 0.3, "targets": [{"name": "a", "kind": "tcp", "address": "127.0.0.1", "port": service.port}]}))
    killed, seen_again = [], []
    for _attempt in range(2):
        before, process = alive(path), run_program("run", "--config", str(config), "--record", path)
        try:
            watching(path, since=before)
            seen_again.append(time.monotonic())
        finally:
            process.kill()
            process.wait()
            killed.append(time.monotonic())
        time.sleep(1)
    service.down()
    seen = summary(path)["a"]
    # Seen anew somewhat before we saw that; its last word came up to `alive_seconds` before the kill.
    assert 0.8 <= seen["unobserved_seconds"] <= seen_again[1] - killed[0] + 2 and seen["total_seconds"] == 0


def test_the_program_says_what_is_wrong(tmp_path):
    config = tmp_path / "c.json"
    config.write_text('{"targets": [{"name": "a", "kind": "dns", "address": "192.0.2.1"}]}')
    process = run_program("check", "--config", str(config))
    assert process.communicate(timeout=60)[1] == "outage_probe: target a (dns) lacks zone\n" and process.returncode == 2
