# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A runner that goes through its stages without a package manager."""

from __future__ import annotations

import json
import os
import subprocess
import typing
from types import SimpleNamespace

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _host, _quiet, _runner, _stages, _state


class Engine:
    """Stages that write down their names, and fail where they are told to."""

    trouble: typing.ClassVar[dict] = {}
    seen: typing.ClassVar[list] = []

    def __init__(self, host, job):
        self.host, self.job = host, job

    def heal(self):
        return []

    def watch(self):
        """Nothing fills up."""

    def back_out(self):
        _quiet.loud(self.host)

    def __getattr__(self, name):
        if name.replace("_", "-") not in _stages.STAGES:
            raise AttributeError(name)

        def stage():
            Engine.seen.append(name)
            error = Engine.trouble.get(name)
            if error:
                raise error
            return "did it"

        return stage


@pytest.fixture(autouse=True)
def unsettled(monkeypatch):
    """Nothing waits for this machine's disks."""
    monkeypatch.setattr(_host.Host, "settle", lambda self: None)


@pytest.fixture
def places(tmp_path):
    """Directories of the runner and of the flights; memory() gives the flight's."""
    (tmp_path / "upgrade" / "f-1").mkdir(parents=True)
    root, flights = str(tmp_path / "upgrade"), str(tmp_path / "flights")

    def memory(state=None):
        return _state.Memory(state or _state.fresh("f-1"), root, flights)

    return SimpleNamespace(root=root, flights=flights, directory=os.path.join(root, "f-1"), path=tmp_path, memory=memory)


@pytest.fixture
def bench(tmp_path):
    """A host whose memory is a dict, which really runs what it is asked to and writes down what it is to keep."""

    def run(argv, **_more):
        done = subprocess.run(argv, check=True, capture_output=True)
        return SimpleNamespace(rc=0, text=done.stdout.decode())

    memory = SimpleNamespace(state={"attempts": {}}, journal=lambda *a, **f: None)
    memory.save = memory.state.update
    host = SimpleNamespace(log="/log", backups=str(tmp_path / "backup"), notes=[], memory=memory, run=run, full=list)
    host.keep = lambda path, group: host.notes.append(("keep", path))
    return host


@pytest.fixture
def runner(places, monkeypatch):
    """make() gives a runner over places whose engine only pretends; nothing starts a program."""
    Engine.trouble, Engine.seen = {}, []
    calls = []
    monkeypatch.setitem(_runner.ENGINES, "pretended", Engine)
    monkeypatch.setattr(_runner, "UNITS", str(places.path))
    monkeypatch.setattr(_quiet, "loud", lambda host: calls.append("loud"))
    monkeypatch.setattr(_host.Host, "systemctl", lambda self, *words, **more: calls.append(" ".join(words)))
    with open(os.path.join(places.directory, "job.json"), "w", encoding="utf-8") as handle:
        json.dump({"flight": "f-1", "release_path": {"target": {"id": "pretended"}}, "plan": {}, "settings": {}}, handle)

    def make():
        return _runner.Runner(places.directory, places.root, places.flights)

    return SimpleNamespace(make=make, calls=calls, places=places, engine=Engine)
