# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The dead-man check: its real program, run as systemd would run it."""

from __future__ import annotations

import os
import shutil
import subprocess
from types import SimpleNamespace

import pytest

from ansible_collections.intact.hosting.plugins.module_utils import _flight
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _deadman, _host

NASTY = ["$(touch made)", "a b", "it's", '"x"', "-n", "", "*", "\\n", "ü;|&"]


@pytest.fixture
def field(places, monkeypatch):
    """A host on which units are files only; strike() runs what the service would."""
    calls, units = [], places.path / "units"
    units.mkdir()
    monkeypatch.setattr(_deadman, "UNITS", str(units))
    monkeypatch.setattr(_host.Host, "systemctl", lambda self, *words, **more: calls.append(" ".join(words)))
    host = _host.Host(places.directory, _flight.ensure("f-1", places.flights), None)
    command = places.path / "call"
    out = places.path / "called"
    command.write_text('#!/bin/sh\nfor word in "$@"; do printf "<%%s>" "$word"; done > %s\necho said\n' % out)
    command.chmod(0o755)

    def strike():
        line = next(line for line in (units / "intact-dead-man.service").read_text().splitlines() if line.startswith("ExecStart="))
        return subprocess.run(line.split("=", 1)[1].split(" "), capture_output=True, text=True, check=False, cwd="/").returncode

    def alarms():
        events, torn = _flight.read("f-1", places.flights)
        assert torn == 0
        return [event for event in events if event["event"] == "alarm"]

    return SimpleNamespace(host=host, calls=calls, units=units, command=command, out=out, strike=strike, alarms=alarms, places=places)


def wanted(*command, minutes=30):
    return {"dead_man": {"minutes": minutes, "command": [str(word) for word in command]}}


def test_it_strikes_once_and_says_so_before_it_calls(field):
    assert _deadman.arm(field.host, wanted(field.command, *NASTY)) == "dead-man check in 30 min after the reboot, calls %s" % field.command
    assert _deadman.state(field.host.directory) == "armed"
    assert field.strike() == 0
    assert field.out.read_text() == "".join("<%s>" % word for word in NASTY)
    assert not os.path.exists(os.path.join(field.host.directory, "made"))
    first, second = field.alarms()
    assert first["text"] == "no verdict on flight f-1 within 30 min after its reboot"
    assert (first["boot"], first["source"], first["minutes"]) == (_flight.boot_id(), "dead man", 30)
    assert abs(_flight.seconds_between(first["time"], _flight.now())) < 3600
    assert (second["text"], second["status"]) == ("%s was called for the alarm and ended well" % field.command, 0)
    log = field.places.path / "upgrade" / "f-1" / "dead-man.log"
    assert log.read_text() == "said\n" and log.stat().st_mode & 0o777 == 0o600
    assert _deadman.state(field.host.directory) == "struck"
    field.out.unlink()
    assert field.strike() == 0
    assert not field.out.exists() and len(field.alarms()) == 2
    assert _deadman.disarm(field.host) == "the dead-man check had struck"


def test_disarmed_it_does_nothing(field):
    _deadman.arm(field.host, wanted(field.command))
    service = (field.units / "intact-dead-man.service").read_text()
    assert _deadman.disarm(field.host) == "the dead-man check is disarmed"
    assert list(field.units.iterdir()) == []
    assert "disable --now intact-dead-man.timer" in field.calls
    # The timer may have started it in the same moment.
    (field.units / "intact-dead-man.service").write_text(service)
    assert field.strike() == 0
    assert not field.out.exists() and field.alarms() == []
    (field.units / "intact-dead-man.service").unlink()
    assert _deadman.disarm(field.host) == ""


@pytest.mark.parametrize(("body", "text", "status"), [("exit 3", "failed; what it said is in", 3), ("sleep 30", "did not end within 1 s", 124)])
def test_a_command_that_fails_or_hangs_is_told(field, monkeypatch, body, text, status):
    monkeypatch.setattr(_deadman, "LIMIT", 1)
    monkeypatch.setattr(_deadman.script, "__defaults__", ("/dev/null", 1))
    field.command.write_text("#!/bin/sh\n%s\n" % body)
    _deadman.arm(field.host, wanted(field.command))
    assert field.strike() == status
    assert text in field.alarms()[1]["text"] and field.alarms()[1]["status"] == status


def test_a_command_that_is_gone_since_is_told(field):
    _deadman.arm(field.host, wanted(field.command))
    field.command.unlink()
    assert field.strike() != 0
    assert [event["status"] for event in field.alarms()[1:]] == [127]


def test_without_a_command_the_journal_and_the_console_are_told(field):
    console = field.places.path / "console"
    console.write_text("")
    _deadman.arm(field.host, wanted())
    program = field.places.path / "upgrade" / "f-1" / "dead-man.sh"
    program.write_text(program.read_text().replace("/dev/console", str(console)))
    assert field.strike() == 0
    assert len(field.alarms()) == 1
    assert "no verdict on flight f-1" in console.read_text()


def test_a_torn_line_of_the_journal_does_not_swallow_the_alarm(field):
    _flight.append("f-1", "note", root=field.places.flights, text="x")
    with open(os.path.join(field.places.flights, "f-1", "journal.jsonl"), "ab") as handle:
        handle.write(b'{"event": "no')
    _deadman.arm(field.host, wanted())
    field.strike()
    events, torn = _flight.read("f-1", field.places.flights)
    assert ([event["event"] for event in events], torn) == (["note", "alarm"], 1)


def test_a_journal_that_cannot_be_written_does_not_keep_it_from_calling(field):
    _deadman.arm(field.host, wanted(field.command, "x"))
    shutil.rmtree(os.path.join(field.places.flights, "f-1"))
    assert field.strike() == 0
    assert field.out.read_text() == "<x>"


def test_the_timer_counts_from_the_arming_and_from_each_boot(field):
    _deadman.arm(field.host, wanted(minutes=45))
    timer = (field.units / "intact-dead-man.timer").read_text()
    assert "OnActiveSec=45min" in timer and "WantedBy=timers.target" in timer
    assert field.calls == ["daemon-reload", "enable intact-dead-man.timer", "restart intact-dead-man.timer"]
    if shutil.which("systemd-analyze"):
        for suffix in ("service", "timer"):
            path = str(field.units / ("intact-dead-man." + suffix))
            said = subprocess.run(["systemd-analyze", "verify", "--man=no", path], capture_output=True, text=True, check=False)
            assert not [line for line in said.stderr.splitlines() if "intact-dead-man" in line], said.stderr


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda path: path.unlink(), "No such file"),
        (lambda path: path.chmod(0o644), "is no program with its whole path"),
        (lambda path: path.chmod(0o777), "can be changed by others"),
    ],
)
def test_a_command_that_cannot_be_trusted_is_refused(field, change, said):
    change(field.command)
    with pytest.raises(_host.StageFailure, match=said):
        _deadman.check(wanted(field.command))
    assert list(field.units.iterdir()) == []


def test_none_is_wanted(field):
    assert _deadman.arm(field.host, {}) == _deadman.arm(field.host, wanted("/bin/true", minutes=0)) == ""
    assert field.calls == []
