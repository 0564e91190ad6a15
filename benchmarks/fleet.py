# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What many hosts cost the controller: CPU seconds for each host's pre-flight at 10, 25 and 50 light containers, and of the waves' own logic on stand-ins."""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests" / "fleet")]

import fleet_stand_in  # noqa: E402 (beside the fleet's tests: the path is set first)

PREFIX = "intact-bench-fleet"
# A host at the largest fleet may cost so much of one at the smallest: more than noise is a defect.
LINEAR = 1.25


@dataclass
class Spent:
    """One run: hosts, CPU and wall seconds of the controller and all that it started, and how it ended."""

    hosts: int
    cpu: float
    wall: float
    status: int

    @property
    def each(self) -> float:
        return self.cpu / self.hosts


def docker(*arguments: str, check: bool = True) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise SystemExit("docker %s: %s" % (arguments[0], done.stderr.strip()[-400:]))
    return done.stdout


def start(count: int, image: str) -> list[str]:
    """Names of so many booted containers."""
    names = ["%s-%02d" % (PREFIX, number) for number in range(count)]
    for name in names:
        options = ["--detach", "--name", name, "--hostname", name, "--cgroupns", "private", "--cap-add", "SYS_ADMIN", "--tmpfs", "/run", "--tmpfs", "/run/lock"]
        options += ["--security-opt", "apparmor=unconfined", "--stop-signal", "SIGRTMIN+3", "--label", "owner=intact-lab", "--pull", "never"]
        docker("run", *options, image, "/lib/systemd/systemd")
    for name in names:
        for _attempt in range(120):
            if docker("exec", name, "systemctl", "is-system-running", check=False).strip() in ("running", "degraded"):
                break
            time.sleep(1)
        else:
            raise SystemExit("%s did not boot within two minutes" % name)
    return names


def stop() -> None:
    """Take away what start() made, and nothing else."""
    names = docker("ps", "--all", "--quiet", "--filter", "name=^/%s-" % PREFIX, check=False).split()
    if names:
        docker("rm", "--force", "--volumes", *names, check=False)


def run(argv: list[str], environment: dict[str, str], hosts: int, log: Path) -> Spent:
    """Run the controller to its end."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    with log.open("wb") as out:
        status = subprocess.run(argv, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, check=False, cwd=ROOT).returncode
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Spent(hosts, cpu, time.monotonic() - begun, status)


def preflight(names: list[str], forks: int, place: Path, log: Path) -> Spent:
    """check-host.yml over these containers. It tells, and its gate does not end it."""
    inventory = place / "hosts"
    lines = ["%s ansible_connection=community.docker.docker ansible_user=root" % name for name in names]
    inventory.write_text("[hosting_servers]\n" + "\n".join(lines) + "\n")
    given = {"intact_flights_dir": str(place / "flights"), "preflight_gate_enabled": False, "intact_become": False}
    collections = [str(ROOT / "collections"), *(str(p) for p in (ROOT / ".collections",) if p.is_dir())]
    environment = dict(os.environ, ANSIBLE_CONFIG=str(ROOT / "ansible.cfg"), ANSIBLE_NOCOLOR="1", ANSIBLE_HOME=str(place / "home"))
    environment["ANSIBLE_COLLECTIONS_PATH"] = os.environ.get("ANSIBLE_COLLECTIONS_PATH") or ":".join(collections)
    argv = ["ansible-playbook", "-i", str(inventory), "playbooks/check-host.yml", "--forks", str(forks), "-e", json.dumps(given)]
    return run(argv, environment, len(names), log)


def stand_ins(count: int, forks: int, place: Path, log: Path) -> Spent:
    """upgrade-fleet.yml over so many stand-ins: what waves, records and reports cost, and nothing of what a host costs."""
    (place / "state").mkdir(parents=True)
    collections = fleet_stand_in.build(place / "collections")
    (place / "hosts").write_text("[hosting_servers]\n" + "\n".join("h%03d fate=ok ansible_connection=local" % n for n in range(count)) + "\n")
    (place / "ansible.cfg").write_text("[defaults]\ninject_facts_as_vars = false\n")
    given = {"intact_flights_dir": str(place / "flights"), "intact_fleets_dir": str(place / "fleets"), "intact_become": False}
    environment = dict(os.environ, ANSIBLE_CONFIG=str(place / "ansible.cfg"), ANSIBLE_COLLECTIONS_PATH=str(collections), STAND_IN=str(place / "state"))
    environment.update(ANSIBLE_HOME=str(place / "home"), ANSIBLE_NOCOLOR="1")
    argv = ["ansible-playbook", "-i", str(place / "hosts"), "playbooks/upgrade-fleet.yml", "--forks", str(forks), "-e", json.dumps(given)]
    return run(argv, environment, count, log)


def table(title: str, spent: list[Spent]) -> list[str]:
    lines = ["", title, "", "| hosts | CPU s of the controller | for each host | wall s | against the smallest |", "|---|---|---|---|---|"]
    for one in spent:
        lines.append("| %d | %.1f | %.2f | %.0f | %.2f |" % (one.hosts, one.cpu, one.each, one.wall, one.each / spent[0].each))
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", default="10,25,50", help="sizes of the fleet, by comma")
    parser.add_argument(
        "--image", default="intact-lab/trixie:current", help="a light one has no release before it; intact-lab/bookworm:current simulates an upgrade on each"
    )
    parser.add_argument("--forks", type=int, default=10)
    parser.add_argument("--stand-ins", action="store_true", help="no containers: only the waves' own logic")
    options = parser.parse_args()
    sizes = [int(word) for word in options.hosts.split(",")]
    place = Path(tempfile.mkdtemp(prefix="intact-bench-fleet-", dir="/var/tmp"))
    spent: list[Spent] = []
    try:
        if not options.stand_ins:
            stop()
            names = start(max(sizes), options.image)
        for size in sizes:
            here = place / str(size)
            here.mkdir()
            log = here / "log"
            if options.stand_ins:
                one = stand_ins(size, options.forks, here, log)
            else:
                one = preflight(names[:size], options.forks, here, log)
            spent.append(one)
            print("%3d hosts: %.1f CPU s, %.0f s, exit status %d" % (size, one.cpu, one.wall, one.status), flush=True)
            if one.status not in (0, 2) or "PLAY RECAP" not in log.read_text(errors="replace"):
                print(log.read_text(errors="replace")[-3000:], file=sys.stderr)
                return 1
    finally:
        if not options.stand_ins:
            stop()
        shutil.rmtree(place, ignore_errors=True)
    what = "upgrade-fleet.yml on stand-ins" if options.stand_ins else "check-host.yml on %s" % options.image
    print("\n".join(table("%s, %d forks, %d CPUs, Python %s" % (what, options.forks, os.cpu_count() or 1, platform.python_version()), spent)))
    worst = max(one.each for one in spent) / spent[0].each
    print(
        "\n%s: a host costs at most %.2f times what it costs in the smallest fleet (%.2f allowed)"
        % ("linear" if worst <= LINEAR else "NOT LINEAR", worst, LINEAR)
    )
    return 0 if worst <= LINEAR else 1


if __name__ == "__main__":
    raise SystemExit(main())
