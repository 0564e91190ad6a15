# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The installed runner: whole, and closed to others."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _install, _stages, _state


def test_the_installed_program_is_whole_and_imports_nothing_late(tmp_path):
    """The files that are installed run by themselves, and a flight with them imports nothing once it has begun."""
    for relative, text in _install.files().items():
        path = tmp_path / "runner" / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    program = """
import sys, json, os
sys.path.insert(0, %r)
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _runner, _state, _host, _stages, _quiet
from ansible_collections.intact.hosting.plugins.module_utils import _flight
_runner.preload()
known = set(sys.modules)
class Engine:
    def __init__(self, host, job): self.host = host
    def heal(self): return []
    def watch(self): pass
    def __getattr__(self, name):
        if name.replace("_", "-") not in _stages.STAGES: raise AttributeError(name)
        def stage():
            if name == "minimal": return str(self.host.packages(["sh", "-c", "echo Unpacking"], 3, status=False))
            if name == "full": raise _host.StageFailure("no", "look")
            return "ok"
        return stage
_runner.ENGINES["x"] = Engine
_host.Host.systemctl = lambda self, *words, **more: self.run(["true"])
_host.PLACES = ()
top = %r
os.makedirs(top + "/u/f-1")
json.dump({"flight": "f-1", "release_path": {"target": {"id": "x"}}, "plan": {}, "settings": {}}, open(top + "/u/f-1/job.json", "w"))
runner = _runner.Runner(top + "/u/f-1", top + "/u", top + "/flights")
print(runner.go(), sorted(set(sys.modules) - known), [n for n in sys.modules if n.startswith("ansible.")])
""" % (str(tmp_path / "runner"), str(tmp_path))
    done = subprocess.run([sys.executable, "-I", "-B", "-c", program], capture_output=True, text=True, check=False, cwd="/")
    assert done.stdout.strip() == "failed [] []", done.stderr


def test_what_is_installed_is_closed_to_others(tmp_path, monkeypatch):
    """The log of the runner and its job hold what the operator's configuration holds."""
    monkeypatch.setattr(_install._runner, "UNITS", str(tmp_path))
    directory = _install.install({"flight": "web1-x", "plan": {}}, str(tmp_path / "upgrade"))
    modes = {name: os.stat(os.path.join(directory, name)).st_mode & 0o777 for name in ("runner.log", "job.json")}
    assert modes == {"runner.log": 0o600, "job.json": 0o600}


def test_a_flight_that_went_back_is_neither_continued_nor_in_the_way(tmp_path):
    root, flights = str(tmp_path / "upgrade"), str(tmp_path / "flights")
    os.makedirs(os.path.join(root, "f-1"))
    memory = _state.Memory(_state.fresh("f-1"), root, flights)
    for stage in _stages.ORDER:
        memory.state["stages"][stage]["status"] = "ok"
    memory.save(status="rolled-back")
    assert _install.intent("f-1", {"codename": "trixie"}, root, flights)[0] == "nothing"
    assert _install.unfinished("f-2", root) is None


def start_of(flight, root, program="time.sleep(1)"):
    """A process that holds the place of a start for a second."""
    text = "import time\nfrom ansible_collections.intact.hosting.plugins.module_utils._upgrade import _install\n"
    text += "with _install.exclusive(%r, %r):\n    print('in', flush=True)\n    %s\n" % (flight, root, program)
    return subprocess.Popen([sys.executable, "-c", text], env=dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path)), stdout=subprocess.PIPE)


def test_of_two_starts_the_second_waits_and_finds_the_first(places):
    """Two starts of different flights at once both found nothing under way, and the second one's units took the first one's place."""
    first = start_of("f-2", places.root)
    first.stdout.readline()
    with pytest.raises(IntactError, match=r"flight f-2.* has been starting an upgrade"), _install.exclusive("f-1", places.root, patience=0):
        pass
    with _install.exclusive("f-1", places.root, patience=30):
        assert first.wait(timeout=10) == 0
        _install.begin("f-1", places.root, places.flights)
    first.stdout.close()
    with pytest.raises(IntactError, match="the upgrade of flight f-1 is not finished"):
        _install.intent("f-2", {"codename": "trixie"}, places.root, places.flights)
    assert _install.intent("f-1", {"codename": "trixie"}, places.root, places.flights)[0] == "attach"


def test_a_flight_whose_state_is_gone_is_still_under_way(places):
    memory = places.memory()
    memory.begin("bind")
    memory.end("bind", "ok")
    for left in (b"", b"[]", b"{", b"null", b"\0\0"):
        (places.path / "upgrade" / "f-1" / "state.json").write_bytes(left)
        assert _install.unfinished("f-2", places.root, places.flights) == "f-1"
