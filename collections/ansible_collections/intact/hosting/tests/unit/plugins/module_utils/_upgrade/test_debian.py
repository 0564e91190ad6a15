# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Debian's stages, as far as they need no package manager."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from ansible_collections.intact.hosting.plugins.module_utils import _flight
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _debian, _heal, _host, _packages, _private_apt, _quiet

# A mirror that is gone is an error: apt-get update ended with 0, and the upgrade went on with the lists of before.
UPDATE = "update -o APT::Update::Error-Mode=any"
JOB = {
    "flight": "f-1",
    "plan": {},
    "release_path": {"target": {"id": "debian", "codename": "trixie"}},
    "settings": {"reboot": True, "target_absent": [], "target_files_cover": []},
}


@pytest.fixture
def debian(places, monkeypatch):
    """The engine of a host whose commands are only written down in asked; live names a file below its /etc/apt."""
    asked = []
    host = _host.Host(places.directory, str(places.path), places.memory())
    monkeypatch.setattr(_host.Host, "systemctl", lambda self, *words, **more: asked.append(" ".join(words)) or SimpleNamespace(rc=0, text="running"))
    monkeypatch.setattr(_heal, "heal", lambda host: [])
    made = _debian.Debian(host, JOB)
    monkeypatch.setattr(made, "_apt", lambda words, *args, **more: asked.append(" ".join(words)))
    made.asked = asked
    return made


@pytest.fixture
def sources(debian, places, monkeypatch):
    """Two live source files with their copies and their staged texts; returns their paths, and where the staged ones lie."""
    live, staged = places.path / "apt", places.path / "staged"
    paths = [live / "sources.list", live / "sources.list.d" / "x.sources"]
    monkeypatch.setattr(_private_apt.PrivateApt, "path_of", lambda self, path: str(staged / os.path.relpath(path, live)))
    monkeypatch.setattr(_private_apt, "live_sources", lambda: [(str(path), path.read_text()) for path in paths if path.exists()])
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        path.write_text("bookworm")
        debian.host.keep(str(path), "before")
        there = Path(debian.staged.path_of(str(path)))
        there.parent.mkdir(exist_ok=True)
        there.write_text("trixie")
    return SimpleNamespace(paths=paths, staged=[Path(debian.staged.path_of(str(path))) for path in paths])


def test_sources_are_committed(debian, sources):
    debian.host.memory.remember("staged", [str(path) for path in sources.paths])
    for _time in range(2):
        debian.commit_sources()
        assert [path.read_text() for path in sources.paths] == ["trixie", "trixie"]
    assert debian.asked == [UPDATE, UPDATE]


def test_sources_are_committed_also_when_it_is_forgotten_which(debian, sources):
    debian.commit_sources()
    assert [path.read_text() for path in sources.paths] == ["trixie", "trixie"]


@pytest.mark.parametrize("known", [True, False])
def test_a_staged_file_that_is_not_there_is_told_before_any_is_replaced(debian, sources, known):
    if known:
        debian.host.memory.remember("staged", [str(path) for path in sources.paths])
    sources.staged[1].unlink()
    with pytest.raises(_host.StageFailure) as caught:
        debian.commit_sources()
    assert str(caught.value) == "%s, which is to become %s, is not there" % (sources.staged[1], sources.paths[1])
    assert caught.value.following == "write %s for trixie there, then start the upgrade again" % sources.paths[1]
    assert [path.read_text() for path in sources.paths] == ["bookworm", "bookworm"]
    sources.staged[1].write_text("trixie by hand")
    debian.commit_sources()
    assert [path.read_text() for path in sources.paths] == ["trixie", "trixie by hand"]


def test_a_source_that_somebody_changed_is_told_before_any_is_replaced(debian, sources):
    sources.paths[1].write_text("sid")
    with pytest.raises(_host.StageFailure, match="changed by somebody else") as caught:
        debian.commit_sources()
    assert str(sources.staged[1]) in caught.value.following
    assert sources.paths[0].read_text() == "bookworm"
    for path in (sources.paths[1], sources.staged[1]):
        path.write_text("sid in order")
    debian.commit_sources()
    assert [path.read_text() for path in sources.paths] == ["trixie", "sid in order"]


def test_after_the_reboot_the_host_is_not_rebooted_again_also_when_the_wait_is_cut(debian):
    debian.host.memory.save(waiting_boot="another boot")
    for _time in range(2):
        assert debian.reboot() == "system is running: running"
    assert not any(words.startswith("reboot") for words in debian.asked)
    assert debian.host.memory.state["waiting_boot"] == "another boot"


def test_a_reboot_that_did_not_come_is_asked_for_again(debian, monkeypatch):
    debian.host.memory.save(waiting_boot=_flight.boot_id())
    monkeypatch.setattr(_debian.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(_host.Host, "run", lambda self, argv, **more: None)
    with pytest.raises(Exception, match="did not reboot"):
        debian.reboot()
    assert "reboot" in debian.asked


def test_services_that_were_kept_still_are_started_also_when_it_is_forgotten_which(debian, monkeypatch):
    monkeypatch.setattr(_quiet, "lift_policy", lambda host: None)
    monkeypatch.setattr(_quiet, "fragile", lambda *args: ["dovecot"])
    debian.target_files()
    assert "restart dovecot" in debian.asked
    debian.asked.clear()
    debian.host.memory.remember("fragile", [])
    debian.target_files()
    assert debian.asked == []


def test_timers_of_which_nobody_knows_how_they_were_are_named(debian, places, monkeypatch):
    monkeypatch.setattr(_quiet, "loud", lambda host: "0 units as they were")
    monkeypatch.setattr(_host.Host, "unit_state", lambda self, unit, what="": "masked" if unit == "apt-daily.timer" else "enabled")
    debian.unquiesce()
    assert [e["text"] for e in _flight.read("f-1", places.flights)[0]] == ["how these were before is lost, unmask those that should run: apt-daily.timer"]


def test_lists_that_a_cut_may_have_emptied_are_read_anew(debian, places, monkeypatch):
    """After a power cut an empty list was the newest to apt, and nothing was brought up to date."""
    lists = places.path / "lists"
    (lists / "partial").mkdir(parents=True)
    for path in (lists / "a_Packages", lists / "lock", lists / "partial" / "b"):
        path.write_bytes(b"")
    monkeypatch.setattr(_host, "LISTS", str(lists))
    debian.host.memory.begin("patch-source")
    debian._update()
    assert (lists / "a_Packages").exists()
    debian.host.memory.begin("patch-source")
    debian._update()
    assert sorted(path.name for path in lists.rglob("*")) == ["lock", "partial"]
    assert debian.asked == [UPDATE, UPDATE]


def test_a_plan_that_apt_no_longer_sees_stops(debian, monkeypatch):
    """With empty lists apt found nothing to do, and every stage ended well without an upgrade."""
    versions = {"nginx": "1", "perl": "1", "php": "1", "vim": "2"}
    debian.plan = {"upgrade": [{"name": n, "arch": "amd64", "from": "1", "to": "2"} for n in versions], "sources": [{"uri": "http://mirror"}]}
    monkeypatch.setattr(_packages, "installed", lambda: {(name, "amd64"): {"version": version} for name, version in versions.items()})
    text = "Not upgrading:\n  perl\nInst nginx [1] (3 Debian:13 [amd64])\nRemv php [1]\n"
    debian._see_all(text)
    versions["curl"] = "1"
    debian.plan["upgrade"].append({"name": "curl", "arch": "amd64", "from": "1", "to": "2"})
    with pytest.raises(_host.StageFailure, match="no longer sees what was planned for 1 packages: curl") as caught:
        debian._see_all(text)
    assert "http://mirror" in caught.value.following


def test_marks_that_a_power_cut_emptied_are_put_back(debian, places, monkeypatch):
    """Without them nothing was removed at the end, and nothing would ever be."""
    marks = places.path / "extended_states"
    monkeypatch.setattr(_debian, "MARKS", str(marks))
    marks.write_text("Package: lab\nAuto-Installed: 1\n")
    debian.host.keep(str(marks), "before")
    marks.write_text("")
    debian.heal()
    assert marks.read_text() == ""
    debian.host.power_was_cut = True
    debian.heal()
    assert "Auto-Installed: 1" in marks.read_text()
    marks.write_text("Package: newer\n")
    debian.heal()
    assert marks.read_text() == "Package: newer\n"


def test_what_was_to_be_removed_is_removed_after_a_cut(debian, monkeypatch):
    """apt takes the marks away before dpkg has removed anything: after a power cut the package was there for ever, as if somebody had asked for it."""
    there, unneeded = {("gone", "amd64"): {}, ("kept", "amd64"): {}, ("sshd", "amd64"): {}}, ["gone", "kept", "sshd"]
    debian.plan = {"autoremove": [{"name": "gone"}, {"name": "sshd"}]}
    debian.settings.update(autoremove=True, protected=["sshd"])
    monkeypatch.setattr(_packages, "installed", lambda: dict(there))
    monkeypatch.setattr(
        debian.staged, "simulate", lambda verb, *names: "".join("Remv %s [1]\n" % name for name in (unneeded if verb == "autoremove" else names))
    )

    def cut(words, *_args, **_more):
        unneeded.clear()
        raise KeyboardInterrupt(words)

    monkeypatch.setattr(debian, "_apt", cut)
    with pytest.raises(KeyboardInterrupt):
        debian.autoremove()
    monkeypatch.setattr(debian, "_apt", lambda words, *args, **more: debian.asked.append(" ".join(words)))
    assert debian.autoremove() == "1 packages" and debian.asked == ["remove gone"]
    del there["gone", "amd64"]
    assert debian.autoremove() == ""
