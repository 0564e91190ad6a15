# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab in Docker: web1 (a populated hosting server), vault and attic (places for its backups), drill (restores them), probe (outside observer).

lab up           start it from the snapshot of the filled servers (made when there is none); then check that it works
lab down         remove the containers, the network and the data disk (images and snapshot stay)
lab shell HOST [COMMAND...]   a root shell on a host, over SSH as Ansible does
lab status       what runs
lab check        every site, mailbox, zone and database answers, and so do the places for backups
lab snapshot     only make the snapshot, when there is none, and print its key
"""

from __future__ import annotations

import argparse
import fcntl
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import lab_access
import lab_backup
import lab_disk
import lab_seed
import lab_snapshot
from lab_containers import HOSTS, LAB, docker
from lab_progress import progress
from steps import StepFailed, say

ROOT = lab_snapshot.ROOT
LABEL = "intact.snapshot"


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Two of us on one machine would fight for networks and for the snapshot."""
    if os.geteuid():
        raise StepFailed("the lab's data disk needs a loop device: run this as root")
    lab_disk.cache().mkdir(parents=True, exist_ok=True)
    with (lab_disk.cache() / "lab.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def start(tags: dict[str, str], snapshot: str) -> None:
    """Make whatever of the lab is missing and start what is stopped."""
    LAB.ensure()
    for host in HOSTS.values():
        image = lab_snapshot.seeded_tag(host.short, snapshot) if host.short in lab_snapshot.HOSTS else tags[host.recipe]
        device = ""
        if host.disk:
            # A container keeps the loop device it was made with: after a restart of the machine it must be that one.
            device = lab_disk.attach(host.name, lab_snapshot.disk_path(snapshot), host.device())
        host.ensure_running(image, device, {LABEL: snapshot})


def check_services() -> None:
    web1 = HOSTS["web1"]
    authority = lab_access.STATE / "ca.crt"
    docker("cp", f"{web1.name}:/usr/local/share/ca-certificates/intact-lab.crt", str(authority))
    argv = [sys.executable, str(ROOT / "molecule/_shared/lab-check.py"), "--ca", str(authority), "--container", web1.name]
    done = subprocess.run([*argv, web1.ipv4, web1.ipv6], check=False)
    if done.returncode:
        raise StepFailed("the lab does not answer as it should; the lines above say what")


def check() -> None:
    check_services()
    lab_backup.check()


def up() -> None:
    begin = time.monotonic()
    with one_at_a_time():
        tags = lab_snapshot.image_tags()
        made_from = HOSTS["web1"].label(LABEL)
        if made_from:
            snapshot = made_from
            if made_from != lab_snapshot.key(tags):
                say("==> lab: the lab was made by another recipe and stays as it is; 'scripts/lab down' and 'up' make it new")
        else:
            snapshot = lab_seed.ensure(tags)
        recipes = {host.recipe for host in HOSTS.values() if host.short not in lab_snapshot.HOSTS and not host.exists()}
        if recipes:
            lab_seed.images(sorted(recipes))
        with progress("network, data disk and containers are there"):
            start(tags, snapshot)
        with progress("hosts have booted, SSH keys are exchanged"):
            lab_access.open_the_door(list(HOSTS.values()), lab_access.STATE / "known_hosts")
    # Neither needs the other, and both mostly wait.
    with ThreadPoolExecutor() as pool, progress("every service answers, backups have their places"):
        set_up = pool.submit(lab_backup.set_up)
        check_services()
        set_up.result()
    say(f"==> lab: up after {time.monotonic() - begin:.0f} s; 'scripts/lab shell web1' logs in")


def down() -> None:
    with one_at_a_time(), progress("containers, network and data disk are gone"):
        for host in HOSTS.values():
            docker("rm", "-f", "-v", host.name, ok=False)
            if host.disk:
                lab_disk.detach(host.name)
        LAB.remove()


def status() -> None:
    for host in HOSTS.values():
        print(f"{host.short:6} {host.state():10} {host.ipv4:15} {host.ipv6:24} {host.device()}".rstrip())
    snapshot = lab_snapshot.key()
    print(f"snapshot {snapshot}: {'stored' if lab_snapshot.exists(snapshot) else 'not stored, it is made when it is needed'}")


def shell(name: str, command: list[str]) -> int:
    if name not in HOSTS:
        raise StepFailed(f"there is no lab host '{name}': choose one of {', '.join(HOSTS)}")
    options = ["-i", str(lab_access.ssh_key()), "-o", f"UserKnownHostsFile={lab_access.STATE / 'known_hosts'}"]
    return subprocess.run(["ssh", *options, f"root@{HOSTS[name].ipv4}", *command], check=False).returncode


def snapshot_only() -> None:
    with one_at_a_time():
        print(lab_seed.ensure(lab_snapshot.image_tags()))


def main() -> int:
    parser = argparse.ArgumentParser(prog="lab", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    jobs = {"up": up, "down": down, "status": status, "check": check, "snapshot": snapshot_only}
    for name in jobs:
        commands.add_parser(name)
    login = commands.add_parser("shell")
    login.add_argument("host")
    login.add_argument("argv", nargs=argparse.REMAINDER)
    args = parser.parse_args()
    if not shutil.which("docker"):
        raise StepFailed("there is no docker command: run scripts/docker-engine first")
    if args.command == "shell":
        return shell(args.host, args.argv)
    jobs[args.command]()
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (StepFailed, lab_disk.DiskError) as problem:
        sys.exit(f"lab: {problem}")
