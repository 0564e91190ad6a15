# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab: web1 (a populated hosting server), vault (offsite store) and probe (outside observer) in Docker.

lab up           start it, from the stored snapshot when there is one, else build and fill it; then check that it works
lab up --reseed  as up, but fill it again from scratch
lab down         remove the containers, the network and the data disk (images and snapshot stay)
lab shell HOST   a root shell on a host, over SSH as Ansible does
lab status       what runs
lab check        every site, mailbox, zone and database answers
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
from contextlib import contextmanager
from pathlib import Path

import lab_disk
import lab_snapshot
from lab_containers import DISK, HOSTS, NETWORK, Container, docker, docker_ok
from steps import StepFailed, run, say

ROOT = lab_snapshot.ROOT
STATE = ROOT / ".lab"
LOGS = ROOT / "build" / "log"
SNAPSHOT_LABEL = "intact.snapshot"
INVENTORY = "inventories/lab/hosts.yml"


@contextmanager
def progress(label: str) -> Iterator[None]:
    start = time.monotonic()
    yield
    say(f"==> lab: {label} ({time.monotonic() - start:.0f} s)")


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Two 'lab up' on one machine would fight for the network and the snapshot."""
    lab_disk.cache().mkdir(parents=True, exist_ok=True)
    with (lab_disk.cache() / "lab.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def images(names: list[str]) -> None:
    done = subprocess.run([ROOT / "scripts" / "lab-images", *names], stdout=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise StepFailed("the lab's images could not be built; the lines above say why")


def ssh_key() -> Path:
    """The key that Ansible and 'lab shell' use, made once per checkout."""
    STATE.mkdir(mode=0o700, exist_ok=True)
    key = STATE / "id_ed25519"
    if not key.exists():
        argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "intact-lab", "-f", str(key)]
        run("ssh key", argv, LOGS / "lab.log")
    return key


def open_the_door(hosts: list[Container]) -> None:
    """Our key on each host, each host's key in our known_hosts, read from the host itself and not from the network."""
    public = ssh_key().with_suffix(".pub").read_text(encoding="utf-8")
    lines = []
    for host in hosts:
        host.wait_booted()
        script = "mkdir -pm 700 /root/.ssh && umask 077 && cat >/root/.ssh/authorized_keys"
        docker("exec", "-i", host.name, "sh", "-c", script, data=public)
        for line in docker("exec", host.name, "sh", "-c", "cat /etc/ssh/ssh_host_*_key.pub").splitlines():
            kind, blob = line.split()[:2]
            lines += [f"{address} {kind} {blob}" for address in (host.ipv4, host.ipv6)]
    (STATE / "known_hosts").write_text("\n".join(lines) + "\n", encoding="utf-8")
    docker("cp", f"{HOSTS['web1'].name}:/usr/local/share/ca-certificates/intact-lab.crt", str(STATE / "ca.crt"), ok=False)


def start(tags: dict[str, str], source: Path | None, snapshot: str) -> None:
    """Make whatever of the lab is missing and start what is stopped."""
    if not docker_ok("network", "inspect", NETWORK["name"]):
        docker(
            "network", "create", "--ipv6", "--subnet", NETWORK["ipv4"], "--subnet", NETWORK["ipv6"],
            "--label", "owner=intact-lab", NETWORK["name"],
        )  # fmt: skip
    for host in HOSTS.values():
        device = ""
        if host.disk:
            # A container keeps the loop device it was made with: after a restart of the machine it must be that one.
            device = lab_disk.attach(host.name, source, host.device() or "")
        host.ensure_running(tags[host.short], device, {SNAPSHOT_LABEL: snapshot})


def play(playbook: str, label: str) -> None:
    env = {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_FORCE_COLOR": "0"}
    argv = [str(ROOT / ".venv/bin/ansible-playbook"), "-i", INVENTORY, f"molecule/_shared/{playbook}"]
    run(label, argv, LOGS / f"lab-{Path(playbook).stem}.log", cwd=ROOT, env=env)


def store(snapshot: str) -> None:
    """Stop cleanly, keep images and disk under the snapshot's key, start again."""
    seeded = [HOSTS[name] for name in lab_snapshot.HOSTS]
    for host in seeded:
        docker("stop", "-t", "90", host.name)
    path = lab_snapshot.disk_path(snapshot)
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    lab_disk.run("cp", "--sparse=always", str(lab_disk.image_of(HOSTS[DISK].name)), str(fresh))
    for host in seeded:
        host.forget_identity()
        docker("commit", "--change", "LABEL owner=intact-lab", host.name, lab_snapshot.seeded_tag(host.short, snapshot))
    fresh.rename(path)
    for host in seeded:
        docker("start", host.name)


def check() -> None:
    web1 = HOSTS["web1"]
    argv = [sys.executable, str(ROOT / "molecule/_shared/lab-check.py"), "--ca", str(STATE / "ca.crt")]
    done = subprocess.run([*argv, "--container", web1.name, web1.ipv4, web1.ipv6], check=False)
    if done.returncode:
        raise StepFailed("the lab does not answer as it should; the lines above say what")


def up(reseed: bool) -> None:
    begin = time.monotonic()
    with one_at_a_time():
        if reseed:
            remove()
        tags = lab_snapshot.image_tags()
        made_from = HOSTS["web1"].label(SNAPSHOT_LABEL)
        snapshot = made_from or lab_snapshot.key(tags)
        if made_from and made_from != lab_snapshot.key(tags):
            say("==> lab: the running lab was filled by an older recipe and stays as it is; '--reseed' makes a new one")
        stored = lab_snapshot.exists(snapshot)
        if not HOSTS["web1"].exists() or not HOSTS["probe"].exists():
            with progress("images are there"):
                images(["bookworm"] if stored else [*lab_snapshot.HOSTS, "bookworm"])
        use = {"probe": tags["bookworm"]}
        for host in lab_snapshot.HOSTS:
            use[host] = lab_snapshot.seeded_tag(host, snapshot) if stored else tags[host]
        with progress("network, data disk and containers are there"):
            start(use, lab_snapshot.disk_path(snapshot) if stored else None, snapshot)
        with progress("hosts have booted, SSH keys are exchanged"):
            open_the_door(list(HOSTS.values()))
        # An interrupted filling is continued: every script looks before it writes.
        if not stored and snapshot == lab_snapshot.key(tags):
            with progress("vault and web1 are filled"):
                play("lab-seed.yml", "filling the servers")
            with progress(f"snapshot {snapshot} is stored"):
                store(snapshot)
            with progress("hosts have booted again"):
                open_the_door(list(HOSTS.values()))
    with progress("every service answers"):
        check()
    say(f"==> lab: up after {time.monotonic() - begin:.0f} s; 'scripts/lab shell web1' logs in")


def remove() -> None:
    for host in HOSTS.values():
        docker("rm", "-f", "-v", host.name, ok=False)
    docker("network", "rm", NETWORK["name"], ok=False)
    lab_disk.detach(HOSTS[DISK].name)


def down() -> None:
    with one_at_a_time(), progress("containers, network and data disk are gone"):
        remove()


def status() -> None:
    for host in HOSTS.values():
        print(f"{host.short:6} {host.state():10} {host.ipv4:15} {host.ipv6:20} {host.device() or ''}")
    tags = lab_snapshot.image_tags()
    snapshot = lab_snapshot.key(tags)
    print(f"snapshot {snapshot}: {'stored' if lab_snapshot.exists(snapshot) else 'not stored, the next up fills the server'}")


def shell(name: str, command: list[str]) -> int:
    if name not in HOSTS:
        raise StepFailed(f"there is no lab host '{name}': choose one of {', '.join(HOSTS)}")
    options = ["-i", str(STATE / "id_ed25519"), "-o", f"UserKnownHostsFile={STATE / 'known_hosts'}"]
    return subprocess.run(["ssh", *options, f"root@{HOSTS[name].ipv4}", *command], check=False).returncode


def main() -> int:
    parser = argparse.ArgumentParser(prog="lab", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up").add_argument("--reseed", action="store_true")
    for name in ("down", "status", "check"):
        commands.add_parser(name)
    login = commands.add_parser("shell")
    login.add_argument("host")
    login.add_argument("argv", nargs=argparse.REMAINDER)
    args = parser.parse_args()
    if not shutil.which("docker"):
        raise StepFailed("there is no docker command: run scripts/docker-engine first")
    if args.command == "shell":
        return shell(args.host, args.argv)
    if args.command == "up":
        if os.geteuid():
            raise StepFailed("the lab's data disk needs a loop device: run this as root")
        up(args.reseed)
    else:
        {"down": down, "status": status, "check": check}[args.command]()
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (StepFailed, lab_disk.DiskError) as problem:
        sys.exit(f"lab: {problem}")
