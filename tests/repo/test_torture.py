# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Upgrades that are cut: what is drawn is the same for the same seed and covers all, the judge finds what is wrong, the release is one that apt reads."""

from __future__ import annotations

import copy
import gzip
import json
import shutil
import socket
import subprocess
import urllib.request
from pathlib import Path

import pytest

import torture
import torture_cuts
import torture_judge
import torture_mirror
import torture_release
import torture_seen
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _stages
from torture_cuts import Cut


def test_the_same_seed_draws_the_same_cuts_and_another_one_others():
    first = [torture_cuts.draw(7, number) for number in range(200)]
    assert first == [torture_cuts.draw(7, number) for number in range(200)]
    assert first != [torture_cuts.draw(8, number) for number in range(200)]
    # one flight alone is drawn as it is among all
    assert torture_cuts.draw(7, 150) == first[150]


def test_two_hundred_cuts_are_of_every_kind_in_every_stage_with_packages():
    cuts = [cut for number in range(200) for cut in torture_cuts.draw(1, number)]
    cells = {(cut.kind, cut.event) for cut in cuts}
    for kind in ("runner", "apt", "dpkg", "power"):
        assert {(kind, event) for event in ("unpack", "configure", "trigger")} <= cells
    assert {("runner", "download"), ("apt", "download"), ("power", "download")} <= cells
    assert {cut.kind for cut in cuts} == set(torture_cuts.MATRIX) - {"two"}
    assert {cut.stage for cut in cuts} >= set(torture_judge.PACKAGE_STAGES) | {"download", "reboot"}
    assert all(cut.number <= torture_cuts.EVENTS[cut.stage][cut.event] for cut in cuts if cut.event != "begin")


def test_the_sample_has_one_flight_of_each_kind():
    drawn = torture_cuts.sample(1)
    assert len(drawn) == len(torture_cuts.MATRIX) + len(torture_cuts.CONTROLLER)
    assert {cuts[0].kind for cuts in drawn if len(cuts) == 1} == (set(torture_cuts.MATRIX) | set(torture_cuts.CONTROLLER)) - {"two"}


def test_the_stages_are_the_runners():
    assert set(torture_cuts.STAGES) <= set(_stages.ORDER)
    assert list(torture_cuts.STAGES) == [name for name in _stages.ORDER if name in torture_cuts.STAGES]


@pytest.mark.parametrize(
    ("stage", "counts", "ended", "due"),
    [
        ("full", {("full", "unpack"): 2}, set(), False),
        ("full", {("full", "unpack"): 3}, set(), True),
        ("minimal", {("minimal", "unpack"): 9}, set(), False),
        ("target-files", {}, {"full"}, True),
    ],
)
def test_a_moment_comes_once_its_event_was_seen_or_its_stage_is_over(stage, counts, ended, due):
    assert torture_cuts.due(Cut("dpkg", "full", "unpack", 3, 0.0), stage, counts, ended) is due


@pytest.mark.parametrize(
    ("line", "event"),
    [
        ("2026-11-23 19:00:00 upgrade lab-lib:all 1.0-1 2.0-1", "unpack"),
        ("2026-11-23 19:00:00 install lab-after:all <none> 2.0-1", "unpack"),
        ("2026-11-23 19:00:00 configure lab-lib:all 2.0-1 <none>", "configure"),
        ("2026-11-23 19:00:00 trigproc lab-trigger:all 2.0-1 <none>", "trigger"),
        ("2026-11-23 19:00:00 status half-installed lab-lib:all 1.0-1", ""),
        ("", ""),
    ],
)
def test_events_are_told_from_dpkgs_log(line, event):
    assert torture_cuts.event_of(line) == event


def test_what_is_left_of_a_file_is_never_the_file():
    whole = json.dumps({"flight": "torture-upgrade-1", "stages": {}}).encode()
    for how in torture_cuts.GARBAGE:
        for seed in range(20):
            assert torture_cuts.spoil(whole, how, 0.7, seed) != whole


def facts():
    """Of a host on which everything is as it must be."""
    states = {name: ["ii", version] for name, version in torture_release.expected().items()}
    loaded = {"LoadState": "loaded", "ActiveState": "active", "UnitFileState": "enabled"}
    units = {name: dict(loaded) for name in ("apt-daily.timer", "apt-daily-upgrade.timer", "lab-daemon.service")}
    units.update({f"intact-upgrade.{kind}": {"LoadState": "not-found", "ActiveState": "inactive"} for kind in ("timer", "service")})
    return {
        "audit": [0, ""],
        "check": [0, ""],
        "verify": [0, "??5?????? c /etc/lab/answer.conf\n"],
        "states": {**states, "libc6": ["ii", "2.36"], "lab-before": ["rc", "1.0-1"]},
        "updates": [],
        "units": units,
        "processes": [],
        "daemon": f"lab-daemon 2.0-1\n{torture_release.OPERATOR}",
        "files": {
            torture_release.ANSWER: torture_release.OPERATOR,
            "/etc/lab/plain.conf": "plain 2\n",
            "/etc/lab/after.d/10-lab.conf": "before\n",
            "/etc/os-release": "VERSION_CODENAME=labnext\n",
            "/etc/apt/sources.list": "deb x labnew main\n",
            "/var/lib/lab/mode": "fast\n",
            "/usr/sbin/policy-rc.d": None,
        },
        "beside": ["answer.conf.dpkg-dist"],
        "debconf": "* lab-debconf/mode: fast\n",
        "hold": "",
    }


def told(*extra):
    """A journal in which each stage ended once, and more lines."""
    lines = [json.dumps({"event": "stage.end", "stage": name, "result": "ok"}) for name in torture_cuts.STAGES]
    return "\n".join([*lines, *extra, ""]).encode()


STATE = {"status": "done", "stages": {name: {"status": "ok"} for name in torture_cuts.STAGES}}


def wrong(data, journal=None, state=None, kinds=("runner",)):
    return torture_judge.judge(data, told() if journal is None else journal, state or STATE, "deb x labnew main", list(kinds))


def test_a_host_on_which_everything_holds_is_good():
    assert wrong(facts()) == []


FAULTS = {
    "audit": lambda f: f.update(audit=[0, "half configured"]),
    "half a package": lambda f: f["states"].update(perl=["iU", "1"]),
    "an old version": lambda f: f["states"].update({"lab-lib": ["ii", "1.0-1"]}),
    "a forgotten database": lambda f: f["states"].pop("libc6"),
    "not removed": lambda f: f["states"].update({"lab-gone": ["ii", "1.0-1"]}),
    "updates": lambda f: f.update(updates=["0001"]),
    "a damaged file": lambda f: f.update(verify=[0, "??5??????   /usr/share/lab-plain1/1\n"]),
    "the operator's file": lambda f: f["files"].update({torture_release.ANSWER: "answer = 2\n"}),
    "an emptied file": lambda f: f["files"].update({"/etc/lab/plain.conf": ""}),
    "carried": lambda f: f["files"].update({"/etc/lab/after.d/10-lab.conf": None}),
    "debconf": lambda f: f["files"].update({"/var/lib/lab/mode": "careful\n"}),
    "old release": lambda f: f["files"].update({"/etc/os-release": "VERSION_CODENAME=bookworm\n"}),
    "sources": lambda f: f["files"].update({"/etc/apt/sources.list": "deb x labold main\n"}),
    "policy": lambda f: f["files"].update({"/usr/sbin/policy-rc.d": "#!/bin/sh\n"}),
    "service": lambda f: f["units"]["lab-daemon.service"].update(ActiveState="failed"),
    "old service": lambda f: f.update(daemon="lab-daemon 1.0-1\n"),
    "a masked timer": lambda f: f["units"]["apt-daily.timer"].update(UnitFileState="masked"),
    "our timer": lambda f: f["units"]["intact-upgrade.timer"].update(LoadState="loaded"),
    "a second runner": lambda f: f.update(processes=["python3 runner/__main__.py"]),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_judge_finds_each_fault_by_itself(fault):
    data = copy.deepcopy(facts())
    FAULTS[fault](data)
    assert len(wrong(data)) == 1


def test_the_judge_reads_journal_and_state():
    twice = json.dumps({"event": "stage.end", "stage": "full", "result": "ok"})
    assert len(wrong(facts(), told(twice))) == 1
    assert wrong(facts(), told(json.dumps({"event": "runner.undone"}), *told().decode().splitlines())) == []
    assert len(wrong(facts(), told('{"event": "sta'))) == 1
    assert wrong(facts(), told('{"event": "sta'), kinds=["power"]) == []
    assert len(wrong(facts(), b"")) == 1
    assert len(wrong(facts(), state={"status": "failed", "message": "x", "stages": STATE["stages"]})) == 1
    assert len(wrong(facts(), state={"status": "done", "stages": {"full": {"status": ""}}})) == 1


def test_only_a_stop_that_names_its_cause_and_the_next_step_is_documented():
    full = {"message": "a filesystem is full: apt-get upgrade", "next": "make room (df -h), then start the upgrade again"}
    assert torture_judge.documented("disk", full)
    assert not torture_judge.documented("disk", {**full, "next": ""})
    assert not torture_judge.documented("runner", full)


def test_apt_reads_the_release(tmp_path):
    """With the machine's own apt-get, over the mirror: the index is whole, the hashes are right, and the way from old to new is the plan's."""
    for tool in ("dpkg-deb", "apt-get", "dpkg"):
        if not shutil.which(tool):
            pytest.skip(f"needs {tool}")
    architecture = subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=True).stdout.strip()
    root = tmp_path / "repository"
    archives = torture_release.write_repository(root, architecture)
    mirror = torture_mirror.Mirror(root, "127.0.0.1")
    mirror.start()
    try:
        status = "".join(
            subprocess.run(["dpkg-deb", "-f", str(path)], capture_output=True, text=True, check=True).stdout.replace(
                "Version:", "Status: install ok installed\nVersion:", 1
            )
            + "\n"
            for path in archives
        )
        status += "Package: debconf\nStatus: install ok installed\nVersion: 1.5\nArchitecture: all\nMaintainer: x <x@example.com>\nDescription: x\n\n"
        here = tmp_path / "apt"
        for name in ("lists/partial", "cache/archives/partial", "etc"):
            (here / name).mkdir(parents=True)
        (here / "status").write_text(status)
        (here / "etc/sources.list").write_text(f"deb [trusted=yes] http://127.0.0.1:{mirror.port}/ labnew main\n")
        options = {"Dir::State": here, "Dir::State::status": here / "status", "Dir::State::lists": here / "lists", "Dir::Cache": here / "cache"}
        options |= {"Dir::Etc": here / "etc", "Dir::Etc::sourcelist": here / "etc/sources.list", "Dir::Etc::sourceparts": "/dev/null"}
        options |= {"Debug::NoLocking": "1", "APT::Sandbox::User": "root", "APT::Architecture": architecture}
        words = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
        subprocess.run(["apt-get", *words, "-qq", "update"], check=True, capture_output=True)
        text = subprocess.run(["apt-get", *words, "-s", "full-upgrade", "lab-after"], check=True, capture_output=True, text=True).stdout
    finally:
        mirror.stop()
    arriving = {line.split()[1] for line in text.splitlines() if line.startswith("Inst ")}
    assert arriving == set(torture_release.expected())
    assert {line.split()[1] for line in text.splitlines() if line.startswith("Remv ")} == {"lab-before"}
    listed = gzip.decompress((root / f"dists/labnew/main/binary-{architecture}/Packages.gz").read_bytes()).decode()
    assert listed.count("Package: ") == len(torture_release.expected())


def test_a_mirror_goes_away_and_comes_back_on_its_port(tmp_path):
    (tmp_path / "x").write_text("here")
    mirror = torture_mirror.Mirror(tmp_path, "127.0.0.1")
    mirror.start()
    url = f"http://127.0.0.1:{mirror.port}/x"
    assert urllib.request.urlopen(url, timeout=10).read() == b"here"
    mirror.stop()
    with pytest.raises(OSError), socket.create_connection(("127.0.0.1", mirror.port), timeout=5):
        pass
    mirror.start()
    assert urllib.request.urlopen(url, timeout=10).read() == b"here"
    mirror.stop()


def test_a_flight_is_seen_through_the_files_of_its_disk(tmp_path):
    seen = torture_seen.Seen(tmp_path)
    seen.look()
    assert (seen.stage, seen.status) == ("", "")
    seen.folder.mkdir(parents=True)
    log = tmp_path / "var/log/dpkg.log"
    log.parent.mkdir(parents=True)
    (seen.folder / "state.json").write_text(json.dumps({"stage": "full", "status": "running", "stages": {"bind": {"status": "ok"}}}))
    log.write_text("d t upgrade a 1 2\nd t upg")
    seen.look()
    assert (seen.stage, seen.ended(), seen.counts) == ("full", {"bind"}, {("full", "unpack"): 1})
    (seen.folder / "state.json").write_bytes(b"\0\0")
    log.open("a").write("rade b 1 2\n")
    seen.look()
    assert (seen.stage, seen.counts) == ("full", {("full", "unpack"): 2})


def test_the_result_counts_cuts_by_kind_and_stage_and_names_what_failed():
    cut = {**Cut("dpkg", "full", "unpack", 3, 0.1).as_dict(), "hit": "full", "late": False, "went_on_after": 12.0}
    good = {"number": 0, "cuts": [cut], "missed": [], "end": "done", "problems": [], "drawn": []}
    bad = {"number": 1, "cuts": [dict(cut, kind="power", hit="minimal")], "missed": [], "end": "failed", "problems": ["x"], "drawn": []}
    document = torture.summary([good, bad], 1, 5.0)
    assert (document["flights"], document["good"], document["cuts"]) == (2, 1, 2)
    assert document["by_kind"] == {"dpkg": 1, "power": 1}
    assert [entry["number"] for entry in document["failed"]] == [1]
    lines = "\n".join(torture.table([good, bad]))
    assert "12 s (longest)" in lines and "minimal" in lines


def test_the_make_target_is_there():
    text = (Path(__file__).resolve().parents[2] / "Makefile").read_text()
    assert "\ntorture: " in text
