# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The watch: when something is an alarm, when it is over, what a flight is closed as; and the program on its own, looking at real things."""

from __future__ import annotations

import datetime
import json
import os
import socket
import subprocess
import sys

import pytest

from ansible_collections.intact.hosting.plugins.module_utils import _flight, _program
from ansible_collections.intact.hosting.plugins.module_utils._baseline import _document
from ansible_collections.intact.hosting.plugins.module_utils._files import read_document, write_document
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError
from ansible_collections.intact.hosting.plugins.module_utils._watching import _alarms, _install, _main
from ansible_collections.intact.hosting.plugins.modules import flight_watch

NOW = datetime.datetime(2026, 11, 22, 12, 0, tzinfo=datetime.timezone.utc)
FLIGHT = "web1-upgrade-1"


def bad(ident="sites.unanswered", subject="shop.example", severity="blocker"):
    return Finding(id=ident, severity=severity, subject=subject, title="gone", evidence="refused").as_dict()


@pytest.mark.parametrize(
    ("ident", "severity", "alarms"),
    [
        ("sites.unanswered", "blocker", True),
        ("sites.body.changed", "blocker", False),
        ("dns.record.changed", "blocker", False),
        ("services.active.changed", "blocker", True),
        ("services.active.changed", "warning", False),
        ("sockets.new", "warning", False),
        ("network.address.missing", "blocker", True),
        ("sites.unread", "blocker", True),
        ("mounts.missing", "blocker", True),
    ],
)
def test_what_a_customer_would_miss_alarms_and_what_somebody_edits_does_not(ident, severity, alarms):
    assert bool(_alarms.seen([bad(ident, severity=severity)])) is alarms


def test_two_looks_make_an_alarm_and_one_without_it_ends_it():
    found, standing = _alarms.seen([bad()]), {}
    standing, raised, cleared = _alarms.step(standing, found)
    assert (raised, cleared) == ([], [])
    standing, raised, _cleared = _alarms.step(standing, found)
    assert [e["subject"] for e in raised] == ["shop.example"]
    standing, raised, _cleared = _alarms.step(standing, found)
    assert raised == []
    standing, raised, cleared = _alarms.step(standing, {})
    assert [e["subject"] for e in cleared] == ["shop.example"] and standing == {}


def test_a_blink_is_no_alarm():
    standing, _raised, _cleared = _alarms.step({}, _alarms.seen([bad()]))
    standing, raised, cleared = _alarms.step(standing, {})
    assert (raised, cleared, standing) == ([], [], {})


def state(looks=60, hours=1, **standing):
    begun = _alarms.begin(FLIGHT, hours, ["sites"], NOW)
    return dict(begun, looks=looks, standing=standing)


HOUR = NOW + datetime.timedelta(hours=1)


def test_closing_by_what_was_seen():
    assert _alarms.closing(state(), NOW + datetime.timedelta(minutes=30))["due"] is False
    assert _alarms.closing(state(), HOUR) == {"due": True, "verdict": "intact", "why": "60 looks, no alarm stands"}
    entry = {"subject": "shop.example", "title": "gone", "raised": True}
    found = _alarms.closing(state(x=entry), HOUR)
    assert found["verdict"] == "loss" and "shop.example (gone)" in found["why"]
    assert _alarms.closing(state(x=dict(entry, raised=False)), HOUR)["verdict"] == "intact"
    assert _alarms.closing(state(looks=29), HOUR)["verdict"] == "failed"
    assert _alarms.closing(state(looks=30), HOUR)["verdict"] == "intact"
    assert _alarms.closing(state(looks=0), HOUR)["verdict"] == "failed"


def test_sections_are_named_or_refused():
    assert _alarms.check_sections([], list(_main.PROBES)) == list(_alarms.SECTIONS)
    with pytest.raises(IntactError, match="no such section: files"):
        _alarms.check_sections(["sites", "files"], list(_main.PROBES))


@pytest.fixture
def places(tmp_path):
    """Flights with an open one that has an accepted look, and a home for the watch."""
    home, flights = str(tmp_path / "watch"), str(tmp_path / "flights")
    _flight.ensure(FLIGHT, flights)
    _flight.set_current(FLIGHT, flights)
    _flight.append(FLIGHT, "flight.open", flights, host="web1", kind="upgrade")
    probes = _main.chosen(["mounts", "sockets"])
    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    server.listen()
    write_document(os.path.join(flights, FLIGHT, "baseline-after.json.gz"), _document.capture(probes))
    yield home, flights, server
    server.close()


def alarms(flights):
    return [(e["state"], e["subject"]) for e in _flight.read(FLIGHT, flights)[0] if e["event"] == "alarm"]


def test_a_real_listener_that_goes_away_is_an_alarm_and_its_return_the_end(places):
    home, flights, server = places
    job = {"flight": FLIGHT, "sections": ["mounts", "sockets"]}
    _install.start(job, 1, home, flights, NOW)
    port = server.getsockname()[1]

    def at(minute):
        return NOW + datetime.timedelta(minutes=minute)

    assert _main.look(job, home, flights, at(1)) == ([], [])
    server.close()
    assert _main.look(job, home, flights, at(2)) == ([], [])
    raised, _cleared = _main.look(job, home, flights, at(3))
    assert [e["id"] for e in raised] == ["sockets.missing"] and str(port) in raised[0]["subject"]
    again = socket.socket()
    again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    again.bind(("127.0.0.1", port))
    again.listen()
    assert len(_main.look(job, home, flights, at(4))[1]) == 1
    again.close()
    assert [word for word, _subject in alarms(flights)] == ["raised", "cleared"]
    saved = read_document(os.path.join(home, FLIGHT, "state.json"))
    assert saved["looks"] == 4 and saved["last"] == "2026-11-22T12:04:00Z"
    assert _main.look(job, home, flights, at(61)) is None


def test_a_watch_that_cannot_look_says_so_as_an_alarm(places):
    home, flights, _server = places
    job = {"flight": FLIGHT, "sections": ["mounts"]}
    _install.start(job, 1, home, flights, NOW)
    with open(os.path.join(home, FLIGHT, "reference.json.gz"), "wb") as handle:
        handle.write(b"torn")
    for _look in range(2):
        _main.look(job, home, flights, NOW)
    assert alarms(flights) == [("raised", "the watch")]


def test_what_the_last_look_did_not_see_cannot_be_watched(places):
    home, flights, _server = places
    with pytest.raises(IntactError, match="no section sites"):
        _install.start({"flight": FLIGHT, "sections": ["mounts", "sites"]}, 1, home, flights, NOW)


def test_begin_and_end_are_in_the_journal_once(places):
    home, flights, _server = places
    _install.start({"flight": FLIGHT, "sections": ["mounts"]}, 2, home, flights, NOW)
    for _time in range(2):
        _install.end(FLIGHT, "enough", home, flights)
    told = [e for e in _flight.read(FLIGHT, flights)[0] if e["event"] == "watch"]
    assert [e["state"] for e in told] == ["begin", "end"]
    assert told[0]["until"] == "2026-11-22T14:00:00Z" and told[1]["note"] == "enough"


def test_the_installed_program_needs_nothing_but_itself(tmp_path):
    for relative, text in _program.files(_install.ENTRY).items():
        path = tmp_path / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    done = subprocess.run([sys.executable, "-I", "-B", str(tmp_path / "__main__.py"), "bogus"], capture_output=True, text=True, cwd="/", check=False)
    assert (done.returncode, done.stderr) == (64, "usage: look\n")


def test_units_are_whole():
    texts = _install.units(FLIGHT)
    assert set(texts) == {"intact-flight-watch.service", "intact-flight-watch.timer"} and all(_install.PLACE.ours.match(name) for name in texts)
    assert "OnCalendar=minutely" in texts["intact-flight-watch.timer"] and "/__main__.py look" in texts["intact-flight-watch.service"]


class Installer:
    """What the module asks; done: what it was told to do."""

    done: list = []  # noqa: RUF012

    def __init__(self, changes=("x",)):
        self.changes = list(changes)

    def idle_timers(self):
        return ["t"] if self.changes else []

    def diff(self):
        return []

    def apply(self):
        Installer.done.append("apply")

    def start_timers(self, names):
        Installer.done.append(names)


@pytest.fixture
def module(places, call_module, monkeypatch):
    home, flights, _server = places
    Installer.done = []
    changes = ["x"]
    monkeypatch.setattr(_install, "installer", lambda job: Installer(changes))
    monkeypatch.setattr(_install.PLACE, "installed", lambda root="": ["/p"] if Installer.done and "removed" not in Installer.done else [])
    monkeypatch.setattr(_install.PLACE, "remove", lambda root="": Installer.done.append("removed"))

    def call(check=False, settled=False, **params):
        changes[:] = [] if settled else ["x"]
        return call_module(flight_watch.main, check=check, **dict({"flight_id": FLIGHT, "home": home, "root": flights, "sections": ["mounts"]}, **params))

    return call


def test_the_module_begins_once_and_keeps_the_end(module):
    assert module(check=True)["changed"] and Installer.done == []
    first = module(hours=2)
    assert first["changed"] and first["watching"] and not first["due"] and Installer.done == ["apply", ["t"]]
    again = module(hours=5, settled=True)
    assert not again["changed"] and again["until"] == first["until"]
    told = module(state="told")
    assert told["watching"] and told["verdict"] == "intact" and not told["changed"]


def test_the_module_ends_it(module, places):
    module(hours=1)
    assert module(state="ended", note="over")["changed"]
    assert Installer.done[-1] == "removed" and not module(state="ended")["changed"]
    assert json.dumps([e["event"] for e in _flight.read(FLIGHT, places[1])[0]]).count("watch") == 2


def test_the_module_refuses_in_sentences(module, places):
    assert "more than 0" in module(hours=0)["msg"]
    assert "no such section: files" in module(sections=["files"])["msg"]
    assert module(state="told")["why"] == "there is no watch"
    _flight.set_current(None, places[1])
    assert "is not open on this host" in module()["msg"]
