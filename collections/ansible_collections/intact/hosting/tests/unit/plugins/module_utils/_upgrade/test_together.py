# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two starts at once, and what is left of state and journal when both were cut: the installed program itself, as systemd runs it."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from ansible_collections.intact.hosting.plugins.module_utils import _files, _flight
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _host, _install, _stages, _state

# The installed main, but with an engine that waits in one stage for a pipe to be written to.
MAIN = """
import os, sys
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _host, _runner, _stages
class Engine:
    def __init__(self, host, job): pass
    def heal(self): return []
    def back_out(self): pass
    def watch(self): pass
    def __getattr__(self, name):
        if name.replace("_", "-") not in _stages.STAGES: raise AttributeError(name)
        def work():
            if name == "full": open(sys.argv[4]).read()
            return "did it"
        return work
_runner.ENGINES["x"] = Engine
_host.Host.systemctl = lambda self, *words, **more: None
_runner.UNITS = sys.argv[2]
sys.exit(_runner.main(sys.argv[1], sys.argv[2], sys.argv[3]))
"""


@pytest.fixture
def installed(places):
    """start(flight) starts the installed program; it waits in stage full until gate() was opened and closed."""
    started, go = [], places.path / "go"
    os.mkfifo(go)

    def start(flight):
        directory = os.path.join(places.root, flight)
        for relative, text in dict(_install.files(), **{"__main__.py": MAIN}).items():
            path = os.path.join(directory, "runner", relative)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            # As the real one does it: another one may be reading.
            _files.write_atomic(path, text.encode())
        _files.write_document(os.path.join(directory, "job.json"), {"flight": flight, "release_path": {"target": {"id": "x"}}, "plan": {}, "settings": {}})
        argv = [sys.executable, "-I", "-B", directory + "/runner/__main__.py", directory, places.root, places.flights, str(go)]
        started.append(subprocess.Popen(argv, stderr=subprocess.PIPE, text=True))
        return started[-1]

    def gate(patience=120):
        """The pipe, opened for writing, when one of them waits in its stage; fails, and does not hang, when none ever will."""
        deadline = time.monotonic() + patience
        while True:
            try:
                return os.open(str(go), os.O_WRONLY | os.O_NONBLOCK)
            except OSError as exc:
                # ENXIO: nobody reads yet
                assert exc.errno == errno.ENXIO
            assert None in [process.poll() for process in started] and time.monotonic() < deadline, "nobody comes to the stage"
            time.sleep(0.05)

    yield SimpleNamespace(start=start, gate=gate, places=places)
    for process in started:
        process.kill()
        process.communicate()


def test_of_two_starts_one_works_and_the_other_says_which(installed):
    first = installed.start("f-1")
    gate = installed.gate()
    for flight in ("f-2", "f-1"):
        second = installed.start(flight)
        said = second.communicate(timeout=60)[1]
        assert second.returncode == 75
        assert said == "the upgrade of flight f-1 works on this host (process %d); this start, of flight %s, ends here and changed nothing\n" % (
            first.pid,
            flight,
        )
    assert not os.path.exists(os.path.join(installed.places.root, "f-2", "state.json"))
    assert _state.holder(installed.places.root) == ("f-1", first.pid)
    os.close(gate)
    assert first.wait(timeout=60) == 0
    assert _state.holder(installed.places.root) is None
    state = _state.load("f-1", installed.places.root, installed.places.flights)
    assert state["status"] == "done"
    events, torn = _flight.read("f-1", installed.places.flights)
    assert (torn, [s["attempts"] for s in _flight.stages(events)]) == (0, [1] * len(_stages.ORDER))


def test_one_that_dies_before_its_stage_is_no_hang(installed):
    installed.start("f-1").kill()
    with pytest.raises(AssertionError):
        installed.gate()


def test_many_starts_at_once_are_one(installed):
    processes = [installed.start("f-1") for _number in range(5)]
    gate = installed.gate()
    os.close(gate)
    codes = [process.wait(timeout=120) for process in processes]
    # Who came after the end finds that it is done.
    assert codes.count(75) + codes.count(0) == 5 and 0 in codes, [process.stderr.read() for process in processes]
    events, torn = _flight.read("f-1", installed.places.flights)
    assert (torn, [s["attempts"] for s in _flight.stages(events)]) == (0, [1] * len(_stages.ORDER))


def test_who_is_killed_holds_nothing(installed):
    first = installed.start("f-1")
    gate = installed.gate()
    first.kill()
    first.wait(timeout=60)
    os.close(gate)
    assert _state.holder(installed.places.root) is None
    second = installed.start("f-1")
    os.close(installed.gate())
    assert second.wait(timeout=60) == 0


def flown(places, *stages):
    """A flight that went through these stages."""
    memory = places.memory()
    for name in stages:
        memory.begin(name)
        memory.end(name, "ok", "did it")
    memory.remember("fact", {"a": [1, 2]})
    memory.begin(_stages.following(memory.state["stages"]))
    return memory


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"\0" * 4096,
        b"null",
        b"[]",
        b'"x"',
        b"{}",
        b"\xff\xfe{",
        b"[" * 100000,
        b'{"flight": "f-1", "status": "running", "stages": {"bind": 1}}',
        b'{"flight": "f-1", "status": "running", "stages": {"bind": {"status": "ok"}}, "memory": []}',
        b'{"flight": "f-1", "status": "flying", "stages": {}}',
        b'{"flight": "f-1", "status": ["running"], "stages": {}}',
        b'{"flight": "f-2", "status": "done", "stages": {}}',
    ],
)
def test_garbage_in_the_state_is_told_from_the_journal(places, damage):
    flown(places, "bind", "snapshot", "rescue-ssh")
    with open(os.path.join(places.directory, "state.json"), "wb") as handle:
        handle.write(damage)
    state = _state.load("f-1", places.root, places.flights)
    assert _stages.following(state["stages"]) == "quiesce" and state["memory"] == {"fact": {"a": [1, 2]}}
    assert _install.unfinished("f-9", places.root, places.flights) == "f-1"
    again = places.memory(state)
    again.begin("quiesce")
    assert _state.load("f-1", places.root, places.flights)["stage"] == "quiesce"


def test_a_state_cut_at_any_byte_and_a_journal_cut_at_any_byte_go_on_at_the_right_stage(places):
    """Never further than what was done, and never more than the one stage back whose end was in the torn line."""
    flown(places, "bind", "snapshot", "rescue-ssh", "quiesce")
    path, journal = os.path.join(places.directory, "state.json"), os.path.join(places.flights, "f-1", "journal.jsonl")
    with open(path, "rb") as handle:
        whole = handle.read()
    with open(journal, "rb") as handle:
        lines = handle.read()
    for cut in range(0, len(whole), 7):
        with open(path, "wb") as handle:
            handle.write(whole[:cut])
        assert _stages.following(_state.load("f-1", places.root, places.flights)["stages"]) == "patch-source"
    os.unlink(path)
    events = lines.splitlines(keepends=True)
    ends = [index for index, line in enumerate(events) if b'"stage.end"' in line]
    last = len(b"".join(events[: ends[-1]]))
    for cut in range(last, len(lines)):
        with open(journal, "wb") as handle:
            handle.write(lines[:cut])
        state = _state.load("f-1", places.root, places.flights)
        # The line's own end is no part of what it says.
        assert _stages.following(state["stages"]) == ("patch-source" if cut >= last + len(events[ends[-1]]) - 1 else "quiesce")
    with open(journal, "wb") as handle:
        handle.write(lines[:-9])
    _flight.append("f-1", "note", root=places.flights, text="after")
    read, torn = _flight.read("f-1", places.flights)
    assert (read[-1]["text"], torn) == ("after", 1)


def test_a_state_of_an_older_version_goes_on_where_it_was(places):
    """It knows nothing of stages that came between since; they are not done in the middle of the upgrade."""
    memory = flown(places, *_stages.ORDER[: _stages.ORDER.index("full")])
    old = json.loads(json.dumps(memory.state))
    for name in ("snapshot", "rescue-ssh"):
        del old["stages"][name]
        old["order"].remove(name)
    del old["held"]
    with open(os.path.join(places.directory, "state.json"), "w", encoding="utf-8") as handle:
        json.dump(old, handle)
    state = _state.load("f-1", places.root, places.flights)
    assert _stages.following(state["stages"]) == "full"
    assert state["stages"]["snapshot"]["status"] == "skipped" and state["order"] == list(_stages.ORDER) and state["held"] is False
    assert state["point_of_no_return"] is True
    places.memory(state).begin("full")
    os.unlink(os.path.join(places.directory, "state.json"))
    journal = os.path.join(places.flights, "f-1", "journal.jsonl")
    with open(journal, encoding="utf-8") as handle:
        lines = [line for line in handle if '"snapshot"' not in line and '"rescue-ssh"' not in line]
    with open(journal, "w", encoding="utf-8") as handle:
        handle.writelines(lines)
    assert _stages.following(_state.load("f-1", places.root, places.flights)["stages"]) == "full"


def test_a_log_that_cannot_be_written_is_no_traceback(runner, monkeypatch):
    def full(self, text):
        raise OSError(28, "No space left on device", self.log)

    monkeypatch.setattr(_host.Host, "note", full)
    made = runner.make()
    monkeypatch.setattr(type(made.engine), "heal", lambda self: self.host.note("x") or [])
    assert made.go() == "failed"
    assert made.memory.state["message"] == "no room left on a filesystem (No space left on device: %s)" % made.host.log
    assert made.memory.state["next"].startswith("make room")
