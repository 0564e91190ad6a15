# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One dump into many repositories: what is torn is nowhere, who dies alone dies alone. With consumers that are no restic."""

from __future__ import annotations

import hashlib
import io
import threading

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._backup import _outcome, _stream


class Consumer:
    """Takes bytes like a Stream; dies after so many, or blocks for ever."""

    def __init__(self, dies_after=None, blocks=False):
        self.data, self.ended, self.dies_after, self.blocks = b"", "", dies_after, blocks
        self.call, self.killed = self, threading.Event()

    def write(self, data):
        if self.blocks:
            self.killed.wait()
        if self.killed.is_set() or (self.dies_after is not None and len(self.data) >= self.dies_after):
            raise BrokenPipeError("gone")
        self.data += data

    def stop(self, why):
        self.killed.set()

    def finish(self):
        self.ended = "finished"
        return _outcome.Outcome("ok", 0, snapshot="s")

    def abort(self):
        self.stop("aborted")
        self.ended = "aborted"
        return _outcome.Outcome("interrupted", 130)


def pour(data, consumers, why="", **more):
    return _stream.tee(io.BytesIO(data), consumers, lambda tail, count: why, **more)


def test_a_whole_dump_is_everywhere():
    two, told = {"near": Consumer(), "far": Consumer()}, []
    data = b"x" * (3 * _stream.CHUNK) + b"-- Dump completed\n"
    seen = []
    passed = _stream.tee(io.BytesIO(data), two, lambda tail, count: seen.append((tail[-6:], len(tail), count)) or "", told.append)
    assert passed.whole and passed.bytes == len(data) and passed.sha256 == hashlib.sha256(data).hexdigest()
    assert {name: (one.ended, one.data == data) for name, one in two.items()} == {"near": ("finished", True), "far": ("finished", True)}
    assert seen == [(b"leted\n", _stream.TAIL, len(data))] and told[-1] == len(data)


def test_a_torn_dump_is_nowhere():
    two = {"near": Consumer(), "far": Consumer()}
    passed = pour(b"half", two, "the last line is missing")
    assert not passed.whole and passed.why == "the last line is missing"
    assert [one.ended for one in two.values()] == ["aborted", "aborted"]
    assert {outcome.kind for outcome in passed.outcomes.values()} == {"interrupted"}


def test_a_consumer_that_dies_does_not_end_the_others():
    two = {"near": Consumer(), "far": Consumer(dies_after=1)}
    passed = pour(b"x" * 40 * _stream.CHUNK, two)
    assert passed.whole and passed.outcomes["near"].ok
    assert passed.outcomes["far"].kind == "failed" and "restic ended" in passed.outcomes["far"].said
    assert (two["near"].ended, two["far"].ended) == ("finished", "aborted")


def test_a_consumer_that_hangs_is_left_behind():
    two = {"near": Consumer(), "far": Consumer(blocks=True)}
    passed = pour(b"x" * 40 * _stream.CHUNK, two, patience=0.2)
    assert passed.whole and passed.outcomes["near"].ok and not passed.outcomes["far"].ok
    assert "took nothing" in passed.outcomes["far"].said


def test_nobody_left_to_write_to():
    passed = pour(b"x" * 200 * _stream.CHUNK, {"far": Consumer(dies_after=0)})
    assert not passed.whole and "no repository" in passed.why
    broken = _outcome.ResticError(_outcome.Outcome("unreachable", 1), "off", "opening it")
    passed = pour(b"x", {"off": broken})
    assert not passed.whole and passed.outcomes["off"].kind == "unreachable"


def test_an_interruption_leaves_nothing():
    class Source(io.BytesIO):
        def read1(self, size=-1):
            raise KeyboardInterrupt

    one = Consumer()
    with pytest.raises(KeyboardInterrupt):
        _stream.tee(Source(b"x"), {"near": one}, lambda tail, count: "")
    assert one.ended == "aborted"
