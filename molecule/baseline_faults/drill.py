# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Seed faults on a populated web1, look, and hold what was found against what had to be found.

Used by this scenario's tests, and by hand against any host that the lab's web1 became, an upgraded one too:
    drill.py --inventory inventories/lab --host web1 --before PATH-ON-HOST [--rules release-path.yml --renames]
--before is the baseline that everything is compared with, for example a flight's baseline-before.json.gz.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import shlex
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from expected import EXPECTED, EXPLAINS, LITERAL, MACHINES_OWN, WAVES

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
LOOKS = "/var/lib/intact/faults"


@dataclass
class Drill:
    """One host, and the baseline that it is compared with."""

    inventory: str = str(HERE / "inventory")
    host: str = "lab"
    before: str = f"{LOOKS}/clean.json.gz"
    rules: str = ""
    renames: bool = False
    ruled_only: bool = False
    results: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="intact-faults-")))

    def ansible(self, *argv: str) -> None:
        env = dict(os.environ, ANSIBLE_CONFIG=str(ROOT / "ansible.cfg"), ANSIBLE_NOCOLOR="1", ANSIBLE_FORCE_COLOR="0")
        env["ANSIBLE_COLLECTIONS_PATH"] = f"{ROOT / 'collections'}:{ROOT / '.collections'}"
        program = str(Path(sys.executable).parent / argv[0])
        done = subprocess.run([program, "-i", self.inventory, *argv[1:]], cwd=ROOT, env=env, capture_output=True, text=True, check=False)
        if done.returncode:
            raise AssertionError(f"{' '.join(argv)}\n{done.stdout[-4000:]}\n{done.stderr[-2000:]}")

    def faults(self, action: str, names: tuple[str, ...]) -> None:
        """inject, undo, or assert that all are there or absent."""
        words = shlex.join([str(HERE / "faults.py"), action, *names])
        self.ansible("ansible", self.host, "-m", "ansible.builtin.script", "-a", json.dumps({"cmd": words, "executable": "/usr/bin/python3"}))

    def look(self, name: str, compare: bool = True, capture: bool = True, rules: str = "") -> dict:
        """Capture as NAME, compare with the baseline before, and return both results."""
        variables = {"look_hosts": self.host, "look": name, "look_capture": capture, "results": str(self.results)}
        if compare:
            variables["look_before"] = self.before
        if rules:
            variables.update(look_rules=rules, look_renames=self.renames)
        self.ansible("ansible-playbook", str(HERE / "look.yml"), "-e", json.dumps(variables))
        return json.loads((self.results / f"{name}.json").read_text(encoding="utf-8"))

    def reboot(self) -> None:
        self.ansible("ansible-playbook", str(HERE / "reboot.yml"), "-e", json.dumps({"look_hosts": self.host}))

    def wave(self, number: int) -> list[str]:
        """Inject one wave, prove it, look, undo, prove that it is undone; what is wrong, as sentences."""
        names = WAVES[number]
        self.faults("absent", names)
        self.faults("inject", names)
        try:
            self.faults("there", names)
            seen = self.look(f"wave{number}", rules=self.rules if self.ruled_only else "")
            wrong = judge(names, seen["compared"]["findings"])
            if self.rules and not self.ruled_only:
                ruled = self.look(f"wave{number}", capture=False, rules=self.rules)
                wrong += [f"with the release path's rules: {line}" for line in judge(names, ruled["compared"]["findings"])]
        finally:
            self.faults("undo", names)
        self.faults("absent", names)
        return wrong


def judge(names: tuple[str, ...], findings: list[dict]) -> list[str]:
    """What keeps faults and findings from being one to one, as sentences; empty when they are."""
    wrong, left = [], [finding for finding in findings if finding["id"] not in MACHINES_OWN]
    for name in names:
        severity, finding, subject = EXPECTED[name]
        equal = str.__eq__ if name in LITERAL else fnmatch.fnmatchcase
        hits = [f for f in left if f["id"] == finding and equal(f["subject"], subject)]
        if len(hits) != 1:
            wrong.append(f"{name}: {len(hits)} findings {finding} about {subject}, one expected")
            continue
        left.remove(hits[0])
        if hits[0]["severity"] != severity:
            wrong.append(f"{name}: its finding is a {hits[0]['severity']}, not a {severity}")
        if not (hits[0]["title"] and hits[0]["evidence"] and hits[0]["remedy"]):
            wrong.append(f"{name}: its finding lacks a title, evidence or a remedy")
        if name in EXPLAINS and EXPLAINS[name] not in [(c["id"], c["subject"]) for c in hits[0]["consequences"]]:
            wrong.append(f"{name}: {' about '.join(EXPLAINS[name])} is not among what it explains")
    return wrong + [f"besides: {f['severity']} {f['id']} about {f['subject']}: {f['evidence']}" for f in left]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inventory", default=Drill.inventory)
    parser.add_argument("--host", default=Drill.host)
    parser.add_argument("--before", default=Drill.before)
    parser.add_argument("--rules", default="", help="a release path's file: its allowed changes apply")
    parser.add_argument("--renames", action="store_true", help="apply the rules' renames too: the host has been upgraded")
    parser.add_argument("--ruled-only", action="store_true", help="compare under the rules only: without them the upgrade itself is a difference")
    options = parser.parse_args()
    drill = Drill(options.inventory, options.host, options.before, options.rules, options.renames, options.ruled_only)
    told = 0
    for number, names in enumerate(WAVES):
        wrong = drill.wave(number)
        told += len(names) - sum(1 for line in wrong if line.split(":")[0] in names)
        print("\n".join(wrong))
    print(f"{told} of {len(EXPECTED)} faults told, each as itself; what was seen is in {drill.results}")
    return 0 if told == len(EXPECTED) else 1


if __name__ == "__main__":
    sys.exit(main())
