# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bringing dpkg back, and giving up."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _heal, _host


@pytest.mark.parametrize(
    ("audit", "updates", "status", "count"),
    [
        ("", [], "nginx ii \nphp8.2-fpm rc \n", 0),
        ("", ["tmp.i"], "", 0),
        ("The following packages are only half configured\n", [], "", 1),
        ("", ["0003", "tmp.i"], "", 1),
        ("", [], "a iU \nb iF \nc iHR\nd ii \n", 1),
        ("x", ["0001"], "a it \n", 3),
    ],
)
def test_when_dpkg_needs_healing(audit, updates, status, count):
    assert len(_heal.needed(audit, updates, status)) == count


@pytest.mark.parametrize(
    ("data", "good"),
    [
        (b"Package: x\nStatus: install ok unpacked\nDescription: a\n b\n\n", True),
        (b"", False),
        (b"\0\0\0\0", False),
        (b"Package: x\nStat", False),
        (b"garbage here\n", False),
    ],
)
def test_which_update_files_dpkg_can_read(data, good):
    assert _heal.parsable(data) is good


def test_the_log_names_packages_and_a_full_disk():
    log = (
        "dpkg: error processing package dovecot-core (--configure):\n"
        "dpkg: error processing archive /var/cache/apt/archives/perl-base_5.40_amd64.deb (--unpack):\n"
        "x: No space left on device\n"
    )
    assert _heal.failed_packages(log) == ["dovecot-core", "perl-base"]
    assert _heal.disk_full(log)
    assert not _heal.disk_full("fine")


def test_the_third_failure_stops_with_the_package_and_the_log(bench):
    host, log = bench, "dpkg: error processing package mailman3 (--configure):\n installed mailman3 package post-installation script returned 1\n"
    _heal.judge(host, log, "x")
    _heal.judge(host, log, "x")
    with pytest.raises(_host.StageFailure, match="mailman3 failed three times") as caught:
        _heal.judge(host, log, "x")
    assert "/log" in caught.value.following


def test_a_full_disk_stops_at_once(bench):
    with pytest.raises(_host.StageFailure, match="full") as caught:
        _heal.judge(bench, "tar: No space left on device", "x")
    assert "make room" in caught.value.following


@pytest.mark.parametrize(
    ("said", "path"),
    [
        ("dpkg-query: error: parsing file '/var/lib/dpkg/updates/0003' near line 2 package 'x':\n missing version", "/var/lib/dpkg/updates/0003"),
        ("dpkg-query: error: parsing file '/var/lib/dpkg/status' near line 2", ""),
        ("", ""),
    ],
)
def test_dpkg_says_which_entry_it_cannot_read(said, path):
    assert _heal.refused(said) == path


def test_an_entry_that_only_dpkg_finds_wrong_is_set_aside_too(bench, tmp_path, monkeypatch):
    """It looks like a record and lacks a field: without this dpkg refuses everything, three times, and the flight stops."""
    updates = tmp_path / "dpkg" / "updates"
    updates.mkdir(parents=True)
    for name in ("0001", "0002"):
        (updates / name).write_text("Package: lab\nStatus: install ok inst\n")
    monkeypatch.setattr(_heal, "DPKG", str(tmp_path / "dpkg"))

    def run(argv, **more):
        if argv[0] == "mv":
            Path(argv[2]).rename(argv[3])
        left = sorted(updates.iterdir())
        return SimpleNamespace(rc=0, error="dpkg-query: error: parsing file '%s' near line 2" % left[0] if left else "", text="", out=b"", err=b"")

    monkeypatch.setattr(bench, "run", run, raising=False)
    monkeypatch.setattr(bench, "keep", lambda *args, **more: None, raising=False)
    monkeypatch.setattr(bench, "backups", str(tmp_path / "backup"), raising=False)
    _heal._set_aside(bench)
    assert list(updates.iterdir()) == []
    assert len(list((tmp_path / "backup" / "unreadable-updates").iterdir())) == 2


def test_apts_own_failure_is_told_by_what_apt_said(bench):
    """The stop repeated the command line, which has apt in it, and not the reason."""
    log = "--- apt-get -y -q update\nE: Could not connect to mirror:80\n"
    for _time in range(2):
        _heal.judge(bench, log, "apt-get update: Could not connect to mirror:80")
    with pytest.raises(_host.StageFailure) as caught:
        _heal.judge(bench, log, "apt-get update: Could not connect to mirror:80")
    assert str(caught.value) == "apt failed three times: apt-get update: Could not connect to mirror:80"


def test_lists_that_a_power_cut_emptied_are_read_anew_while_healing(bench, monkeypatch):
    """A package that was being unpacked must come again, and with empty lists apt found no archive of it, three times."""
    sound, asked = [["half installed"], ["half installed"], ["half installed"], []], []
    bench.power_was_cut = False
    bench.wait_for_dpkg = lambda: None
    bench.note = bench.sources = lambda *words: []
    bench.against_plan = lambda would: []
    bench.log_size = lambda: 0
    bench.log_since = lambda start: "" if asked else "E: The package lab needs to be reinstalled, but I can't find an archive for it.\n"
    bench.packages = lambda argv, **more: 0
    bench.read_lists = lambda: asked.append("lists")
    monkeypatch.setattr(_heal, "look", lambda host: sound.pop(0))
    monkeypatch.setattr(_heal, "_set_aside", lambda host: None)
    monkeypatch.setattr(_heal, "_refuse_losses", lambda host, words: None)
    monkeypatch.setattr(_heal.time, "sleep", lambda seconds: None)
    assert _heal.heal(bench) == ["half installed"]
    assert asked == ["lists"]
