# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The real runner on filesystems that are full: it ends with a sentence, nothing is half written, and it goes on when there is room."""

from __future__ import annotations

import json

import pytest

from ansible_collections.intact.hosting.plugins.module_utils import _files, _flight
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._upgrade.isolated import needs, places

# Runs the flight once; its engine fills a filesystem in one stage, as somebody else's log would.
PROGRAM = """
import json, os, sys
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _host, _install, _runner, _stages, _state
top, stage, where, how = sys.argv[1:5]
root, flights = top + "/upgrade", top + "/flights"
directory = root + "/f-1"
os.makedirs(directory, exist_ok=True)

def fill(path):
    with open(path + "/filler", "wb", buffering=0) as handle:
        size = 1 << 16
        while size:
            try:
                handle.write(b"x" * size)
            except OSError:
                size //= 2

class Engine:
    def __init__(self, host, job): self.host, self.seen = host, []
    def heal(self): return []
    def watch(self): pass
    def back_out(self): print("back out")
    def __getattr__(self, name):
        if name.replace("_", "-") not in _stages.STAGES: raise AttributeError(name)
        def work():
            print(name)
            if name == stage and where:
                fill(top + "/" + where)
                if how == "eaten":
                    self.host.memory.release()
                    os.rename(top + "/" + where + "/filler", top + "/" + where + "/more")
                    fill(top + "/" + where)
                if how == "log": self.host.note("x" * 5000)
                if how == "remember": self.host.memory.remember("fact", "x" * 5000)
                if how == "keep":
                    self.host.keep("/usr/bin/env", "before")
                if how == "packages":
                    said = self.host.packages(["sh", "-c", "echo some; sleep 2.5; echo more"], 3, status=False)
                    if said: raise _host.StageFailure("apt failed")
            return "did it"
        return work

_runner.ENGINES["x"] = Engine
_host.Host.systemctl = lambda self, *words, **more: print("systemctl", *words)
_runner.UNITS = top
document = {"flight": "f-1", "release_path": {"target": {"id": "x"}}, "plan": {}, "settings": {}}
if not os.path.exists(directory + "/job.json"):
    open(directory + "/job.json", "w").write(json.dumps(document))
if how == "renew":
    _install.renew(_state.load("f-1", root, flights), root)
sys.exit(_runner.main(directory, root, flights))
"""
PREPARE = """
mkdir -p {top}/upgrade {top}/flights
mount -t tmpfs -o size=2m upgrade {top}/upgrade
mount -t tmpfs -o size=2m flights {top}/flights
"""


@pytest.fixture
def small(tmp_path):
    with places(PREPARE.format(top=tmp_path)) as (place,):
        place.top = tmp_path

        def fly(stage="", where="", how=""):
            done = place.python(PROGRAM, str(tmp_path), stage, where, how, check=False)
            assert "Traceback" not in done.stdout
            return done

        def state():
            return json.loads(place.run("cat", "%s/upgrade/f-1/state.json" % tmp_path))

        def journal():
            return _flight.parse(place.run("cat", "%s/flights/f-1/journal.jsonl" % tmp_path).encode())

        def halves():
            return [name for name in place.run("find", str(tmp_path), "-name", ".intact-*", "-o", "-name", "*.intact-new").split() if name]

        place.fly, place.state, place.journal, place.halves = fly, state, journal, halves
        yield place


pytestmark = needs()


@pytest.mark.parametrize("stage", ["download", "full"])
@pytest.mark.parametrize(("where", "how"), [("upgrade", ""), ("flights", "log"), ("flights", "remember"), ("upgrade", "keep")])
def test_a_full_disk_ends_with_make_room_and_goes_on_when_there_is(small, stage, where, how):
    done = small.fly(stage, where, how)
    assert done.returncode == 0, done.stderr
    assert "disable --now intact-upgrade.timer" in done.stdout
    state = small.state()
    assert state["status"] == "failed"
    assert "no room left" in state["message"] or "No space left" in state["message"]
    assert state["next"].startswith("make room (df -h, df -i), then start the upgrade again")
    assert state["point_of_no_return"] is (stage == "full")
    assert ("back out" in done.stdout) is (stage == "download")
    events, torn = small.journal()
    assert torn == 0 and events[-1]["event"] == "runner.rest"
    assert small.halves() == []
    small.run("rm", "%s/%s/filler" % (small.top, where))
    again = small.fly(how="renew")
    assert again.returncode == 0, again.stderr
    assert small.state()["status"] == "done"
    assert ("bind" in again.stdout.split()) is (stage == "download")
    assert small.journal()[1] == 0 and small.halves() == []


@pytest.mark.parametrize("where", ["upgrade", "flights"])
def test_a_package_command_that_works_is_not_left_alone_because_nothing_can_be_told(small, where):
    """The state cannot be written while it works; it is watched to its end all the same, and only then the flight ends."""
    done = small.fly("full", where, "packages")
    assert done.returncode == 0, done.stderr
    state = small.state()
    assert state["status"] in ("failed", "done")
    assert small.journal()[1] == 0 and small.halves() == []
    if state["status"] == "failed":
        assert state["next"].startswith("make room")


def test_when_not_even_a_word_can_be_written_the_timer_tries_again(small):
    done = small.fly("full", "upgrade", "eaten")
    assert done.returncode != 0
    assert "systemctl disable --now intact-upgrade.timer" not in done.stdout
    assert small.state()["status"] == "running"
    small.run("rm", "%s/upgrade/filler" % small.top, "%s/upgrade/more" % small.top)
    again = small.fly()
    assert again.returncode == 0
    assert small.state()["status"] == "done" and "bind" not in again.stdout.split()
    assert small.journal()[1] == 0 and small.halves() == []


def test_a_line_is_there_whole_or_not_at_all(small):
    """Lines of many lengths into what is left: no half one stays, and what was there is as it was."""
    program = """
import os, sys
from ansible_collections.intact.hosting.plugins.module_utils._files import append_durable
path, whole = sys.argv[1], 0
for number in range(4000):
    try:
        append_durable(path, b"%06d " % number + b"x" * (number * 37 % 5000))
        whole += 1
    except OSError:
        pass
lines = open(path, "rb").read().split(b"\\n")
assert lines.pop() == b""
assert len(lines) == whole and all(len(line) == 7 + int(line[:6]) * 37 % 5000 for line in lines), (len(lines), whole)
print(whole)
"""
    assert 300 < int(small.python(program, "%s/flights/lines" % small.top)) < 4000


def test_no_room_is_told_from_other_errors():
    assert _files.no_room(OSError(28, "x")) and _files.no_room(OSError(122, "x"))
    assert not _files.no_room(OSError(30, "x")) and not _files.no_room(ValueError())
