# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One flight that is cut: started as an operator would, watched through the files of its disk, cut, mended where its surroundings were cut, judged."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import torture_cuts
import torture_judge
import torture_release
from torture_controller import Controller
from torture_cuts import Cut
from torture_machine import Machine
from torture_mirror import Mirror
from torture_seen import FLIGHT, Seen
from torture_strikes import INSIDE, Strikes

LOOK = 0.02
# Seconds in which nothing at all happens on a host that should be at work.
STUCK = 300
# Cuts of what surrounds the host: it may stop and say so, and goes on when that is mended.
SURROUNDINGS = ("disk", "mirror")


class Flight:
    """Runs one flight; run() gives its result as data."""

    def __init__(self, machine: Machine, mirror: Mirror, cuts: list[Cut]) -> None:
        self.machine, self.mirror, self.cuts = machine, mirror, list(cuts)
        self.seen = Seen(machine.disk.path)
        self.stops: list[dict[str, Any]] = []
        self.controller = Controller(machine, machine.disk.place, FLIGHT) if cuts and cuts[0].kind in torture_cuts.CONTROLLER else None
        self.strikes = Strikes(machine, mirror, self.seen, self.controller)
        # one list: what a cut finds is a problem of its flight
        self.problems = self.strikes.problems

    def source(self, suite: str) -> str:
        return f"deb [trusted=yes] http://{self.mirror.address}:{self.mirror.port}/ {suite} main"

    def prepare(self) -> None:
        """What is this host's own."""
        root = self.machine.disk.path
        (root / "etc/apt/sources.list").write_text(self.source(torture_release.OLD) + "\n")
        (root / "etc/machine-id").write_text(f"{int.from_bytes(self.machine.name.encode()[-12:], 'big'):032x}\n")
        asked = {"release_path": torture_release.RELEASE_PATH, "settings": torture_release.SETTINGS}
        (root / "root/asked.json").write_text(json.dumps(asked))
        os.sync()

    def take_off(self) -> None:
        if self.controller:
            self.controller.start()
        elif self.cuts and self.cuts[0].kind == "starts" and self.cuts[0].event == "begin":
            self.strikes.several(self.cuts.pop(0))
        else:
            said = self.strikes.starts([FLIGHT])[0]
            if said.get("failed"):
                self.problems.append(f"it could not be started: {said['msg']}")

    def _stopped(self) -> bool:
        """Deal with a flight that rests; whether it goes on."""
        state = self.seen.state
        kinds = [entry["kind"] for entry in self.strikes.done]
        stop = {key: state.get(key) for key in ("stage", "message", "next", "point_of_no_return")}
        stop["lines"] = state.get("last_lines", [])[-4:]
        self.stops.append(stop)
        if not any(torture_judge.documented(kind, state) for kind in kinds if kind in SURROUNDINGS):
            self.problems.append(f"it stopped in {state.get('stage')}: {state.get('message')} (next: {state.get('next')})")
            return False
        self.strikes.mended(True)
        said = self.strikes.starts([self.seen.flight])[0]
        if said.get("failed") or said.get("action") not in ("continue", "start", "attach"):
            self.problems.append(f"it could not be started again after {stop['message']}: {said.get('msg') or said.get('action')}")
            return False
        return True

    def fly(self) -> None:
        """Until the flight ends, or nothing happens any more."""
        due_since: float | None = None
        while True:
            self.seen.look()
            self.strikes.recovered()
            if self.cuts:
                wanted = self.cuts[0]
                if due_since is None and torture_cuts.due(wanted, self.seen.stage, self.seen.counts, self.seen.ended()):
                    due_since = time.monotonic()
                if due_since is not None and time.monotonic() >= due_since + wanted.delay:
                    self.seen.look()
                    if self.seen.status not in ("failed", "stopped") and self.strikes.strike(wanted):
                        self.cuts.pop(0)
                        due_since = None
                        self.seen.stirred = time.monotonic()
            self.strikes.mended(False)
            if self.seen.status in ("failed", "stopped"):
                if not self._stopped():
                    return
                self.seen.stirred = time.monotonic()
                continue_at = self.seen.state.get("updated")
                while self.seen.status in ("failed", "stopped") and self.seen.state.get("updated") == continue_at and time.monotonic() < self.seen.stirred + 60:
                    self.seen.look()
                    time.sleep(LOOK)
            if self.seen.status == "done" and not self.seen.path("etc/systemd/system/intact-upgrade.timer").exists():
                return
            if self.controller and self.controller.ended() not in (None, 0) and not self._again():
                return
            if time.monotonic() - self.seen.stirred > STUCK:
                self.problems.append(f"nothing happened for {STUCK} s in {self.seen.stage} ({self.seen.status}: {self.seen.state.get('message')})")
                return
            time.sleep(LOOK)

    def _again(self) -> bool:
        """Start the playbook again when another flight's disk came or went between its look and its start; whether it was that."""
        assert self.controller
        if not self.seen.state and "the disks of this host are not those" in self.controller.said().rsplit("PLAY [", 1)[-1]:
            self.controller.start()
            return True
        self.problems.append(f"the playbook ended with {self.controller.ended()}: {self.controller.said()[-1500:]}")
        return False

    def _controller_ended(self) -> None:
        """The watcher must come to the flight's end by itself, and well."""
        if self.controller:
            code = self.controller.wait(180)
            if code != 0:
                self.problems.append(f"the playbook ended with {code}: {self.controller.said()[-1500:]}")
            if self.strikes.done and self.strikes.done[0]["kind"] == "connection" and "UNREACHABLE" in self.controller.said():
                self.problems.append("the playbook gave the host up when its connection was gone")

    def facts(self) -> dict[str, Any]:
        """How the host is; asked until its runner is gone and it has booted."""
        deadline = time.monotonic() + 120
        while True:
            code, text = self.machine.call(*INSIDE, "facts")
            try:
                facts = json.loads(text)
                if not facts["processes"] and facts["units"]["intact-upgrade.service"].get("ActiveState") != "active" and "no answer" not in facts["daemon"]:
                    return facts
            except (ValueError, KeyError):
                facts = {"unreadable": f"status {code}: {text[-800:]}"}
            if time.monotonic() > deadline:
                return facts
            time.sleep(0.5)

    def run(self) -> dict[str, Any]:
        """Fly and judge: {cuts, end, stops, problems, seconds}."""
        begun = time.monotonic()
        self.mirror.start()
        self.machine.disk.make()
        self.prepare()
        if self.controller:
            self.controller.let_in()
        self.machine.create()
        self.take_off()
        flown = time.monotonic()
        if not self.problems:
            self.fly()
        seconds = time.monotonic() - flown
        if not self.problems or self.seen.status == "done":
            self._controller_ended()
            facts = self.facts()
            if "unreadable" in facts:
                self.problems.append(f"the host does not answer: {facts['unreadable']}")
            else:
                kinds = [entry["kind"] for entry in self.strikes.done]
                journal = self.seen.path("var/lib/intact/flights", self.seen.flight, "journal.jsonl")
                data = journal.read_bytes() if journal.exists() else b""
                self.problems += torture_judge.judge(facts, data, self.seen.state, self.source(torture_release.NEW), kinds)
        end = "done" if self.seen.status == "done" else self.seen.status or "nothing"
        if end == "done" and self.stops:
            end = "stopped as documented, mended, done"
        missed = [cut.as_dict() for cut in self.cuts]
        whole = round(time.monotonic() - begun, 1)
        return {
            "cuts": self.strikes.done,
            "missed": missed,
            "end": end,
            "stops": self.stops,
            "problems": self.problems,
            "flight_seconds": round(seconds, 1),
            "seconds": whole,
        }

    def keep(self, folder: Path) -> None:
        """Copy what tells why it failed below a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        root = self.machine.disk.path
        wanted = [
            "var/lib/intact/upgrade",
            "var/lib/intact/flights",
            "var/log/dpkg.log",
            "var/lib/dpkg/status",
            "var/lib/dpkg/updates",
            "var/lib/lab",
            "etc/lab",
        ]
        for name in wanted:
            source, target = root / name, folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                if source.is_dir():
                    shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.deb", "runner", "cache", "backup"))
                elif source.exists():
                    shutil.copy(source, target)
            except (OSError, shutil.Error) as exc:
                (folder / "not-copied.txt").open("a").write(f"{name}: {exc}\n")
        if self.controller:
            (folder / "controller.log").write_text(self.controller.said())
        _code, text = self.machine.call("journalctl", "--no-pager", "-b", "-o", "short-precise")
        (folder / "systemd-journal.txt").write_text(text)
        _code, text = self.machine.call("ps", "-eo", "pid,ppid,stat,etimes,args")
        (folder / "processes.txt").write_text(text)
