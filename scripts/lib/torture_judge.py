# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must hold after a flight that was cut, judged by what the host itself says and not by the runner's word. Pure."""

from __future__ import annotations

import json
from typing import Any

import torture_release
from torture_cuts import STAGES

# Stages in which dpkg works.
PACKAGE_STAGES = ("patch-source", "bootstrap", "minimal", "full", "autoremove")
# What a stop may say, by the cut that led to it: each names its cause and what to do.
STOPS = {
    "disk": ("a filesystem is full", "No space left", "MB free and the upgrade needs", "MB free and the download needs"),
    "mirror": ("not every source answers", "apt-get update:", "apt-get full-upgrade:", "apt-get upgrade:", "apt failed three times"),
}


def documented(kind: str, state: dict[str, Any]) -> bool:
    """Whether a stop is one that this kind of cut may lead to, with a next step for the operator."""
    return any(words in state.get("message", "") for words in STOPS.get(kind, ())) and len(state.get("next", "")) > 10


def packages(facts: dict[str, Any]) -> list[str]:
    """What dpkg and apt say that is wrong."""
    out = []
    if facts["audit"] != [0, ""]:
        out.append(f"dpkg --audit: {facts['audit']}")
    if facts["check"][0]:
        out.append(f"apt-get check: {facts['check'][1]}")
    half = {name: state for name, state in facts["states"].items() if state[0] not in ("ii", "rc", "hi")}
    if half:
        out.append(f"packages in a half state: {half}")
    if not facts["states"].get("libc6"):
        out.append("dpkg forgot what is installed")
    left = [name for name in facts["updates"] if name.isdigit() or not name.startswith("tmp")]
    if left:
        out.append(f"/var/lib/dpkg/updates is not empty: {left}")
    for name, version in torture_release.expected().items():
        if facts["states"].get(name) != ["ii", version]:
            out.append(f"{name} is {facts['states'].get(name)}, not {version}")
    for name in torture_release.gone():
        if facts["states"].get(name, ["rc"])[0] != "rc":
            out.append(f"{name} is still there: {facts['states'][name]}")
    broken = [line for line in facts["verify"][1].splitlines() if line.strip() and torture_release.ANSWER not in line]
    if broken:
        out.append(f"files of packages are damaged (dpkg --verify): {broken[:5]}")
    return out


def files(facts: dict[str, Any], source: str) -> list[str]:
    """What became of the operator's files and of the release. source: the line of sources.list as it must be now."""
    out, there = [], facts["files"]
    if there[torture_release.ANSWER] != torture_release.OPERATOR:
        out.append(f"the operator's {torture_release.ANSWER} was changed: {there[torture_release.ANSWER]!r}")
    if there["/etc/lab/plain.conf"] != "plain 2\n":
        out.append(f"/etc/lab/plain.conf, which nobody changed, is not the new one: {there['/etc/lab/plain.conf']!r}")
    if there["/etc/lab/after.d/10-lab.conf"] != "before\n":
        out.append(f"configuration was not carried over: {there['/etc/lab/after.d/10-lab.conf']!r}")
    if there["/var/lib/lab/mode"] != "fast\n" or "lab-debconf/mode: fast" not in facts["debconf"]:
        out.append(f"debconf's answer was lost: {there['/var/lib/lab/mode']!r}, {facts['debconf']!r}")
    if "labnext" not in (there["/etc/os-release"] or ""):
        out.append(f"this is still the old release: {there['/etc/os-release']!r}")
    if (there["/etc/apt/sources.list"] or "").strip() != source:
        out.append(f"apt's source is {there['/etc/apt/sources.list']!r}, not {source!r}")
    if there["/usr/sbin/policy-rc.d"] is not None:
        out.append("policy-rc.d was left behind")
    extra = [name for name in facts["beside"] if name != "answer.conf.dpkg-dist"]
    if extra:
        out.append(f"left in /etc/lab: {extra}")
    return out


def services(facts: dict[str, Any]) -> list[str]:
    """What systemd says, and the daemon itself."""
    out, units = [], facts["units"]
    wanted = f"lab-daemon {torture_release.VERSIONS['2']}\n"
    if units["lab-daemon.service"].get("ActiveState") != "active" or not facts["daemon"].startswith(wanted) or torture_release.OPERATOR not in facts["daemon"]:
        out.append(f"lab-daemon does not work as it should: {units['lab-daemon.service']}, {facts['daemon']!r}")
    for unit in ("apt-daily.timer", "apt-daily-upgrade.timer"):
        if units[unit].get("ActiveState") != "active" or units[unit].get("UnitFileState") != "enabled":
            out.append(f"{unit} is not as it was: {units[unit]}")
    for unit in ("intact-upgrade.timer", "intact-upgrade.service"):
        if units[unit].get("LoadState") != "not-found" or units[unit].get("ActiveState") == "active":
            out.append(f"{unit} was left behind: {units[unit]}")
    if facts["processes"]:
        out.append(f"still at work: {facts['processes']}")
    return out


def journal(data: bytes, torn_allowed: bool) -> list[str]:
    """Whether the journal can be read and says that each stage ended well once. A line that the power took is allowed when power was cut or the disk full."""
    out, events, torn = [], [], 0
    for line in filter(bytes.strip, data.splitlines()):
        try:
            events.append(json.loads(line))
        except ValueError:
            torn += 1
    if torn and not torn_allowed:
        out.append(f"{torn} lines of the journal cannot be read")
    begun = max([0] + [number for number, entry in enumerate(events) if entry["event"] == "runner.undone"])
    ends: dict[str, int] = {}
    for entry in events[begun:]:
        if entry["event"] == "stage.end" and entry.get("result") in ("ok", "skipped"):
            ends[entry["stage"]] = ends.get(entry["stage"], 0) + 1
    # a cut between the state and the journal leaves the end of one stage untold, which is never told twice
    wrong = {name: ends.get(name, 0) for name in PACKAGE_STAGES if ends.get(name, 0) > 1}
    if wrong:
        out.append(f"package stages that ended well more than once: {wrong}")
    untold = [name for name in STAGES if not ends.get(name)]
    if len(untold) > 1:
        out.append(f"the journal does not tell the end of {untold}")
    return out


def judge(facts: dict[str, Any], data: bytes, state: dict[str, Any], source: str, kinds: list[str]) -> list[str]:
    """All that is wrong after a flight; [] when everything holds."""
    out = packages(facts) + files(facts, source) + services(facts) + journal(data, bool({"power", "disk"} & set(kinds)))
    if state.get("status") != "done":
        out.append(f"the flight is {state.get('status')}: {state.get('message')}")
    unfinished = [name for name, entry in state.get("stages", {}).items() if entry.get("status") not in ("ok", "skipped")]
    if unfinished:
        out.append(f"stages that are not finished: {unfinished}")
    return out
