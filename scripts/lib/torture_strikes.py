# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cuts themselves: what is killed, filled, taken away or spoiled, what is mended later, and whether another runner came after it."""

from __future__ import annotations

import json
import os
import time
from typing import Any

import torture_cuts
from torture_controller import Controller
from torture_cuts import Cut
from torture_machine import Machine
from torture_mirror import Mirror
from torture_seen import FLIGHT, OTHER, Seen

INSIDE = ("/usr/bin/python3", "-I", "/opt/intact/torture/torture_inside.py")


class Strikes:
    """Cuts one flight. done: what was cut, as data. problems: what was wrong at once."""

    def __init__(self, machine: Machine, mirror: Mirror, seen: Seen, controller: Controller | None) -> None:
        self.machine, self.mirror, self.seen, self.controller = machine, mirror, seen, controller
        self.done: list[dict[str, Any]] = []
        self.problems: list[str] = []
        self._mend: tuple[str, float] | None = None
        self._waiting: dict[str, Any] | None = None

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

    def several(self, cut: Cut) -> None:
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

    def strike(self, cut: Cut) -> bool:
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
            self.several(cut)
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

    def recovered(self) -> None:
        """Note when another runner than the one that was killed is at work."""
        waiting, state = self._waiting, self.seen.state
        if waiting and state.get("updated") != waiting["updated"] and (state.get("pid"), state.get("boot")) != (waiting["pid"], waiting["boot"]):
            waiting["entry"]["went_on_after"] = round(time.monotonic() - waiting["since"], 1)
            self._waiting = None

    def mended(self, stopped: bool) -> None:
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
