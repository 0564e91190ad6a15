# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Seed faults on a populated server of the lab, look, and hold what was found against what had to be found.

Used by this scenario's tests, and by hand against any host that the lab's server became, an upgraded one too:
    drill.py --inventory inventories/lab --host web1 [--server web1] --before PATH-ON-HOST [--rules release-path.yml --renames]
The server's name says which list of faults/ applies; it is the host's short name where it is not said.
--before is the baseline that everything is compared with, for example a flight's baseline-before.json.gz.
"""

from __future__ import annotations

import argparse
import fnmatch
import importlib
import json
import os
import shlex
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "faults"))
# A container's load is the machine's, which plays other scenarios meanwhile: told, and no fault of the host's.
MACHINES_OWN = ("resources.load.high",)
SERVERS = ("web1", "shop1", "relay1")
ROOT = HERE.parents[1]
LOOKS = "/var/lib/intact/faults"


def lists(server: str):
    """A server's module below faults/: CASES, FLOORS (items that a section has at least), ABSENT (sections it has nothing for)."""
    return importlib.import_module(server)


def cases(server: str) -> dict:
    """{name: Case} of a server's list."""
    return lists(server).CASES


def waves(server: str) -> tuple[tuple[str, ...], ...]:
    """Faults that can be on a host at once without one explaining the other, so that few looks see all of them."""
    listed = cases(server)
    return (tuple(name for name in listed if not listed[name].alone), *((name,) for name in listed if listed[name].alone))


@dataclass
class Drill:
    """One host, and the baseline that it is compared with."""

    inventory: str = os.environ.get("MOLECULE_SCENARIO_DIRECTORY", str(HERE)) + "/inventory"
    host: str = "web1.lab.test"
    server: str = ""
    before: str = f"{LOOKS}/clean.json.gz"
    rules: str = ""
    renames: bool = False
    ruled_only: bool = False
    results: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="intact-faults-")))

    def __post_init__(self) -> None:
        self.server = self.server or self.host.split(".")[0]

    def program(self) -> Path:
        """The folder faults/ as one file that Python runs."""
        path = self.results / "faults.pyz"
        if not path.exists():
            with zipfile.ZipFile(path, "w") as packed:
                for source in sorted((HERE / "faults").glob("*.py")):
                    packed.write(source, source.name)
        return path

    def ansible(self, *argv: str) -> None:
        env = dict(os.environ, ANSIBLE_CONFIG=str(ROOT / "ansible.cfg"), ANSIBLE_NOCOLOR="1", ANSIBLE_FORCE_COLOR="0")
        env["ANSIBLE_COLLECTIONS_PATH"] = f"{ROOT / 'collections'}:{ROOT / '.collections'}"
        program = str(Path(sys.executable).parent / argv[0])
        done = subprocess.run([program, "-i", self.inventory, *argv[1:]], cwd=ROOT, env=env, capture_output=True, text=True, check=False)
        if done.returncode:
            raise AssertionError(f"{' '.join(argv)}\n{done.stdout[-4000:]}\n{done.stderr[-2000:]}")

    def faults(self, action: str, names: tuple[str, ...]) -> None:
        """inject, undo, or assert that all are there or absent."""
        words = shlex.join([str(self.program()), self.server, action, *names])
        self.ansible("ansible", self.host, "-m", "ansible.builtin.script", "-a", json.dumps({"cmd": words, "executable": "/usr/bin/python3"}))

    def look(self, name: str, compare: bool = True, capture: bool = True, rules: str = "") -> dict:
        """Capture as NAME, compare with the baseline before, and return both results."""
        variables = {"look_hosts": self.host, "look": name, "look_capture": capture, "results": str(self.results)}
        if compare:
            variables["look_before"] = self.before
        if rules:
            variables.update(look_rules=rules, look_renames=self.renames)
        self.ansible("ansible-playbook", str(HERE / "look.yml"), "-e", json.dumps(variables))
        return json.loads((self.results / f"{self.host}-{name}.json").read_text(encoding="utf-8"))

    def reboot(self) -> None:
        self.ansible("ansible-playbook", str(HERE / "reboot.yml"), "-e", json.dumps({"look_hosts": self.host}))

    def wave(self, number: int) -> list[str]:
        """Inject one wave, prove it, look, undo, prove that it is undone; what is wrong, as sentences."""
        names = waves(self.server)[number]
        self.faults("absent", names)
        self.faults("inject", names)
        try:
            self.faults("there", names)
            seen = self.look(f"wave{number}", rules=self.rules if self.ruled_only else "")
            wrong = judge(self.server, names, seen["compared"]["findings"], ruled=self.ruled_only)
            if self.rules and not self.ruled_only:
                ruled = self.look(f"wave{number}", capture=False, rules=self.rules)
                wrong += [f"with the release path's rules: {line}" for line in judge(self.server, names, ruled["compared"]["findings"], ruled=True)]
        finally:
            self.faults("undo", names)
        self.faults("absent", names)
        return wrong


def judge(server: str, names: tuple[str, ...], findings: list[dict], ruled: bool = False) -> list[str]:
    """What keeps faults and findings from being one to one, as sentences; empty when they are."""
    wrong, left = [], [finding for finding in findings if finding["id"] not in MACHINES_OWN]
    for name in names:
        case = cases(server)[name]
        equal = str.__eq__ if case.literal else fnmatch.fnmatchcase
        hits = [f for f in left if f["id"] == case.id and equal(f["subject"], case.subject)]
        if len(hits) != 1:
            wrong.append(f"{name}: {len(hits)} findings {case.id} about {case.subject}, one expected")
            continue
        left.remove(hits[0])
        if hits[0]["severity"] != case.severity:
            wrong.append(f"{name}: its finding is a {hits[0]['severity']}, not a {case.severity}")
        if not (hits[0]["title"] and hits[0]["evidence"] and hits[0]["remedy"]):
            wrong.append(f"{name}: its finding lacks a title, evidence or a remedy")
        if case.explains and not (ruled and case.allowed_with_rules) and case.explains not in [(c["id"], c["subject"]) for c in hits[0]["consequences"]]:
            wrong.append(f"{name}: {' about '.join(case.explains)} is not among what it explains")
    return wrong + [f"besides: {f['severity']} {f['id']} about {f['subject']}: {f['evidence']}" for f in left]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inventory", default=Drill.inventory)
    parser.add_argument("--host", default=Drill.host)
    parser.add_argument("--server", default="", choices=("", *SERVERS), help="whose list of faults")
    parser.add_argument("--before", default=Drill.before)
    parser.add_argument("--rules", default="", help="a release path's file: its allowed changes apply")
    parser.add_argument("--renames", action="store_true", help="apply the rules' renames too: the host has been upgraded")
    parser.add_argument("--ruled-only", action="store_true", help="compare under the rules only: without them the upgrade itself is a difference")
    options = parser.parse_args()
    drill = Drill(options.inventory, options.host, options.server, options.before, options.rules, options.renames, options.ruled_only)
    told, total = 0, len(cases(drill.server))
    for number, names in enumerate(waves(drill.server)):
        wrong = drill.wave(number)
        told += len(names) - sum(1 for line in wrong if line.split(":")[0] in names)
        print("\n".join(wrong))
    print(f"{told} of {total} faults told, each as itself; what was seen is in {drill.results}")
    return 0 if told == total else 1


if __name__ == "__main__":
    sys.exit(main())
