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

LOOK = 0.02
# Seconds in which nothing at all happens on a host that should be at work.
STUCK = 300
INSIDE = ("/usr/bin/python3", "-I", "/opt/intact/torture/torture_inside.py")
FLIGHT, OTHER = "torture-upgrade-1", "torture-upgrade-2"
# Cuts of what surrounds the host: it may stop and say so, and goes on when that is mended.
SURROUNDINGS = ("disk", "mirror")


class Seen:
    """What a flight's disk says of it."""

    def __init__(self, root: Path) -> None:
        self.root, self.flight = root, FLIGHT
        self.state: dict[str, Any] = {}
        self.counts: dict[tuple[str, str], int] = {}
        self.stirred = time.monotonic()
        self._offset = 0
        self._rest = b""
        self._read = (0, 0)

    def path(self, *parts: str) -> Path:
        return self.root.joinpath(*parts)

    @property
    def folder(self) -> Path:
        return self.path("var/lib/intact/upgrade", self.flight)

    @property
    def stage(self) -> str:
        return self.state.get("stage", "")

    @property
    def status(self) -> str:
        return self.state.get("status", "")

    def ended(self) -> set[str]:
        return {name for name, entry in self.state.get("stages", {}).items() if entry.get("status") in ("ok", "skipped")}

    def forget(self) -> None:
        """The disk is another one than before: a power cut took what was not synced."""
        self._offset, self._rest, self._read = 0, b"", (0, 0)

    def look(self) -> None:
        """Read what is new; what cannot be read stays as it was."""
        try:
            path = self.folder / "state.json"
            status = os.stat(path)
            if (status.st_ino, status.st_mtime_ns) != self._read:
                state = json.loads(path.read_bytes())
                if isinstance(state, dict) and "stages" in state:
                    self.state, self.stirred = state, time.monotonic()
                self._read = (status.st_ino, status.st_mtime_ns)
        except (OSError, ValueError):
            pass
        try:
            with self.path("var/log/dpkg.log").open("rb") as handle:
                if handle.seek(0, os.SEEK_END) < self._offset:
                    self._offset, self._rest = 0, b""
                handle.seek(self._offset)
                data = handle.read()
        except OSError:
            return
        self._offset += len(data)
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        for line in lines:
            self.stirred = time.monotonic()
            event = torture_cuts.event_of(line.decode("utf-8", "replace"))
            if event:
                self.counts[(self.stage, event)] = self.counts.get((self.stage, event), 0) + 1
        if self.stage in ("download", "patch-source"):
            # the archive that is being fetched counts as well
            try:
                there = sum(name.endswith(".deb") for name in os.listdir(self.path("var/cache/apt/archives")))
                there += any(name.endswith(".deb") for name in os.listdir(self.path("var/cache/apt/archives/partial")))
            except OSError:
                return
            self.counts[(self.stage, "download")] = there


class Flight:
    """Runs one flight; run() gives its result as data."""

    def __init__(self, machine: Machine, mirror: Mirror, cuts: list[Cut]) -> None:
        self.machine, self.mirror, self.cuts = machine, mirror, list(cuts)
        self.seen = Seen(machine.disk.path)
        self.done: list[dict[str, Any]] = []
        self.stops: list[dict[str, Any]] = []
        self.problems: list[str] = []
        self.controller = Controller(machine, machine.disk.place, FLIGHT) if cuts and cuts[0].kind in torture_cuts.CONTROLLER else None
        self._mend: tuple[str, float] | None = None
        self._waiting: dict[str, Any] | None = None

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

    def starts(self, flights: list[str]) -> list[dict[str, Any]]:
        """Start at once for each of the flight ids; what each start said."""
        running = [self.machine.background(*INSIDE, "start", flight, "/root/asked.json") for flight in flights]
        out = []
        for process in running:
            text, errors = process.communicate()
            try:
                out.append(json.loads(text))
            except ValueError:
                out.append({"failed": True, "msg": f"no answer, status {process.returncode}: {errors.strip()[-600:]}"})
        return out

    def take_off(self) -> None:
        if self.controller:
            self.controller.start()
        elif self.cuts and self.cuts[0].kind == "starts" and self.cuts[0].event == "begin":
            self._several(self.cuts.pop(0))
        else:
            said = self.starts([FLIGHT])[0]
            if said.get("failed"):
                self.problems.append(f"it could not be started: {said['msg']}")

    def _several(self, cut: Cut) -> None:
        """Two starts of one flight and one of another at once: one flight flies, and the others say so."""
        flights = [FLIGHT, OTHER, FLIGHT]
        answers = self.starts(flights)
        said = [(flight, answer.get("action"), answer.get("msg", "")) for flight, answer in zip(flights, answers, strict=True)]
        if cut.event == "begin" and answers[1].get("action") == "start":
            # it was the quickest
            self.seen.flight = OTHER
        ours = [(action, msg) for flight, action, msg in said if flight == self.seen.flight]
        others = [(action, msg) for flight, action, msg in said if flight != self.seen.flight]
        first = ["start"] if cut.event == "begin" else ["attach"]
        if sorted(str(action) for action, _msg in ours) != sorted([*first, *["attach"] * (len(ours) - 1)]):
            self.problems.append(f"several starts at once: those of the flight that flies said {ours}")
        if any(self.seen.flight not in msg for _action, msg in others):
            self.problems.append(f"several starts at once: those of the other flight did not name the one that flies: {others}")
        if cut.event != "begin":
            place = f"/var/lib/intact/upgrade/{self.seen.flight}"
            code, text = self.machine.call("/usr/bin/python3", "-I", "-B", f"{place}/runner/__main__.py", place)
            if code != 75:
                self.problems.append(f"a second runner beside the first ended with {code}: {text}")
        self._note(cut, answers=said)

    def _note(self, cut: Cut, **more: Any) -> None:
        where = {"hit": self.seen.stage, "late": cut.stage != self.seen.stage}
        self.done.append({**cut.as_dict(), **where, **more})

    def _strike(self, cut: Cut) -> bool:
        """Cut; False when there was nothing to hit at this moment."""
        machine, state = self.machine, self.seen.state
        kind = cut.kind
        if kind in ("runner", "apt", "dpkg"):
            if not machine.kill(kind):
                return False
            self._note(cut)
        elif kind == "power":
            self._note(cut)
            machine.lose_power()
            self.seen.forget()
        elif kind == "state":
            machine.kill("runner")
            path = self.seen.folder / "state.json"
            try:
                data = path.read_bytes()
            except OSError:
                return False
            path.write_bytes(torture_cuts.spoil(data, **cut.details))
            self._note(cut)
        elif kind == "updates":
            if not machine.kill("dpkg"):
                return False
            machine.kill("apt")
            machine.kill("runner")
            self._litter(cut)
            self._note(cut)
        elif kind == "disk":
            machine.disk.fill()
            self._mend = ("disk", time.monotonic() + cut.details["seconds"])
            self._note(cut)
        elif kind == "mirror":
            self.mirror.stop()
            self._mend = ("mirror", time.monotonic() + cut.details["seconds"])
            self._note(cut)
        elif kind == "controller":
            if not self.controller or not self.controller.kill():
                return False
            self.controller.start()
            self._note(cut)
        elif kind == "connection":
            if self.controller:
                self.controller.disconnect()
            self._mend = ("connection", time.monotonic() + cut.details["seconds"])
            self._note(cut)
        elif kind == "starts":
            self._several(cut)
        if kind in ("runner", "power", "state", "updates"):
            self._waiting = {
                "entry": self.done[-1],
                "since": time.monotonic(),
                "pid": state.get("pid"),
                "boot": state.get("boot"),
                "updated": state.get("updated"),
            }
        return True

    def _litter(self, cut: Cut) -> None:
        """Leave an entry in dpkg's updates that is no whole one, as a crash of the disk does."""
        folder = self.seen.path("var/lib/dpkg/updates")
        names = sorted(name for name in os.listdir(folder) if name.isdigit())
        status = self.seen.path("var/lib/dpkg/status").read_bytes()
        at = status.find(b"Package: lab-plain1\n")
        record = status[at : status.find(b"\n\n", at) + 1] if at >= 0 else status[:600]
        name = f"{int(names[-1]) + 1:04d}" if names else "0000"
        (folder / name).write_bytes(torture_cuts.spoil(record, **cut.details))

    def _recovered(self) -> None:
        """Note when another runner than the one that was killed is at work."""
        waiting, state = self._waiting, self.seen.state
        if waiting and state.get("updated") != waiting["updated"] and (state.get("pid"), state.get("boot")) != (waiting["pid"], waiting["boot"]):
            waiting["entry"]["went_on_after"] = round(time.monotonic() - waiting["since"], 1)
            self._waiting = None

    def _mended(self, stopped: bool) -> None:
        """Mend what was cut around the host when its time has come, or when the host stopped over it."""
        if not self._mend or not (stopped or time.monotonic() >= self._mend[1]):
            return
        what, self._mend = self._mend[0], None
        if what == "disk":
            self.machine.disk.free()
        elif what == "connection" and self.controller:
            self.controller.connect()
        else:
            self.mirror.start()

    def _stopped(self) -> bool:
        """Deal with a flight that rests; whether it goes on."""
        state = self.seen.state
        kinds = [entry["kind"] for entry in self.done]
        stop = {key: state.get(key) for key in ("stage", "message", "next", "point_of_no_return")}
        stop["lines"] = state.get("last_lines", [])[-4:]
        self.stops.append(stop)
        if not any(torture_judge.documented(kind, state) for kind in kinds if kind in SURROUNDINGS):
            self.problems.append(f"it stopped in {state.get('stage')}: {state.get('message')} (next: {state.get('next')})")
            return False
        self._mended(True)
        said = self.starts([self.seen.flight])[0]
        if said.get("failed") or said.get("action") not in ("continue", "start", "attach"):
            self.problems.append(f"it could not be started again after {stop['message']}: {said.get('msg') or said.get('action')}")
            return False
        return True

    def fly(self) -> None:
        """Until the flight ends, or nothing happens any more."""
        due_since: float | None = None
        while True:
            self.seen.look()
            self._recovered()
            if self.cuts:
                wanted = self.cuts[0]
                if due_since is None and torture_cuts.due(wanted, self.seen.stage, self.seen.counts, self.seen.ended()):
                    due_since = time.monotonic()
                if due_since is not None and time.monotonic() >= due_since + wanted.delay:
                    self.seen.look()
                    if self.seen.status not in ("failed", "stopped") and self._strike(wanted):
                        self.cuts.pop(0)
                        due_since = None
                        self.seen.stirred = time.monotonic()
            self._mended(False)
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
            if self.done and self.done[0]["kind"] == "connection" and "UNREACHABLE" in self.controller.said():
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
                kinds = [entry["kind"] for entry in self.done]
                journal = self.seen.path("var/lib/intact/flights", self.seen.flight, "journal.jsonl")
                data = journal.read_bytes() if journal.exists() else b""
                self.problems += torture_judge.judge(facts, data, self.seen.state, self.source(torture_release.NEW), kinds)
        end = "done" if self.seen.status == "done" else self.seen.status or "nothing"
        if end == "done" and self.stops:
            end = "stopped as documented, mended, done"
        missed = [cut.as_dict() for cut in self.cuts]
        whole = round(time.monotonic() - begun, 1)
        return {
            "cuts": self.done,
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
