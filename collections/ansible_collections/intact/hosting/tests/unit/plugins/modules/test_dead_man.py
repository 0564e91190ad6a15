# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module dead_man as a whole."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _deadman, _host
from ansible_collections.intact.hosting.plugins.modules import dead_man


@pytest.fixture
def host(tmp_path, monkeypatch):
    calls, units = [], tmp_path / "units"
    directory = tmp_path / "upgrade" / "f-1"
    units.mkdir()
    directory.mkdir(parents=True)
    (tmp_path / "flights" / "f-1").mkdir(parents=True)
    monkeypatch.setattr(_deadman, "UNITS", str(units))
    monkeypatch.setattr(_host.Host, "systemctl", lambda self, *words, **more: calls.append(" ".join(words)))
    monkeypatch.setattr(_deadman, "host_of", lambda flight, root, f=_deadman.host_of: f(flight, str(tmp_path / "upgrade"), str(tmp_path / "flights")))
    return SimpleNamespace(calls=calls, units=units, directory=str(directory))


def test_it_is_armed_and_disarmed(host, call_module):
    told = call_module(dead_man.main, flight_id="f-1", state="armed", minutes=5, command=["/bin/true", "x"], check=True)
    assert (told["changed"], told["before"], host.calls, os.listdir(host.units)) == (True, "off", [], [])
    told = call_module(dead_man.main, flight_id="f-1", state="armed", minutes=5, command=["/bin/true", "x"])
    assert (told["changed"], told["msg"]) == (True, "dead-man check in 5 min after the reboot, calls /bin/true")
    told = call_module(dead_man.main, flight_id="f-1", check=True)
    assert (told["changed"], told["before"], told["msg"]) == (True, "armed", "the dead-man check would be disarmed")
    assert _deadman.state(host.directory) == "armed"
    told = call_module(dead_man.main, flight_id="f-1")
    assert (told["changed"], told["struck"], told["msg"]) == (True, False, "the dead-man check is disarmed")
    assert os.listdir(host.units) == []
    told = call_module(dead_man.main, flight_id="f-1")
    assert (told["changed"], told["before"], told["msg"]) == (False, "off", "the dead-man check is not armed")


def test_that_it_struck_is_told(host, call_module):
    call_module(dead_man.main, flight_id="f-1", state="armed", minutes=5)
    os.rename(os.path.join(host.directory, "dead-man.armed"), os.path.join(host.directory, "dead-man.struck"))
    told = call_module(dead_man.main, flight_id="f-1")
    assert (told["changed"], told["before"], told["struck"]) == (True, "struck", True)
    assert os.listdir(host.units) == []


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"state": "armed"}, "minutes"),
        ({"state": "armed", "minutes": 0}, "give one or more"),
        ({"state": "armed", "minutes": 5, "command": ["/nowhere"]}, "correct distro_upgrade_dead_man_command"),
        ({"state": "armed", "minutes": 5, "flight_id": "f-2"}, "there is no upgrade of flight f-2"),
        ({"flight_id": "../x"}, "is not a flight id"),
    ],
)
def test_what_it_refuses(host, call_module, more, said):
    told = call_module(dead_man.main, **dict({"flight_id": "f-1"}, **more))
    assert told["failed"] and said in told["msg"]
    assert os.listdir(host.units) == []


def test_a_disk_that_takes_nothing_is_a_sentence(host, call_module, monkeypatch):
    call_module(dead_man.main, flight_id="f-1", state="armed", minutes=5)

    def fails(_host):
        raise OSError(30, "Read-only file system", "/etc/systemd/system")

    monkeypatch.setattr(_deadman, "disarm", fails)
    told = call_module(dead_man.main, flight_id="f-1")
    assert told["failed"] and told["msg"].startswith("the dead-man check of flight f-1 is as it was: ") and "Read-only" in told["msg"]
