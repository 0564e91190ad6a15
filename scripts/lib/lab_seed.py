# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the snapshot: fill a web1 and a vault of their own, stop them cleanly, keep images and disk.

It happens beside the lab, so that a lab or a scenario in use is never touched.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import lab_access
import lab_disk
import lab_snapshot
from lab_containers import SEED, Container, docker, servers
from lab_progress import progress
from steps import StepFailed, run, say

ROOT = lab_snapshot.ROOT
# A machine holds the snapshots of a few recipes: another checkout may be on another commit.
KEEP = 3


def images(names: list[str]) -> None:
    done = subprocess.run([ROOT / "scripts" / "lab-images", *names], stdout=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise StepFailed("the lab's images could not be built; the lines above say why")


def remove() -> None:
    """Take away what an earlier attempt left."""
    for host in servers(SEED).values():
        docker("rm", "-f", "-v", host.name, ok=False)
        if host.disk:
            lab_disk.detach(host.name)
    SEED.remove()


def fill(hosts: list[Container], folder: Path) -> None:
    lab_access.open_the_door(hosts, folder / "known_hosts")
    inventory = lab_access.inventory(hosts, folder)
    env = {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_FORCE_COLOR": "0"}
    argv = [str(ROOT / ".venv/bin/ansible-playbook"), "-i", str(inventory), "molecule/_shared/lab-seed.yml"]
    run("filling the servers", argv, lab_access.LOGS / "lab-seed.log", cwd=ROOT, env=env)


def ensure(tags: dict[str, str]) -> str:
    """Key of the snapshot for the current recipe, made when it is not there."""
    snapshot = lab_snapshot.key(tags)
    if lab_snapshot.exists(snapshot):
        return snapshot
    say(f"==> lab: no snapshot {snapshot} yet, the servers are filled once")
    remove()
    images(list(lab_snapshot.HOSTS))
    hosts = list(servers(SEED).values())
    SEED.ensure()
    for host in hosts:
        device = lab_disk.attach(host.name) if host.disk else ""
        host.ensure_running(tags[host.short], device, {})
    with progress("vault and web1 are filled"):
        fill(hosts, lab_access.STATE / "seed")
    with progress(f"snapshot {snapshot} is stored"):
        store(hosts, snapshot)
        remove()
    return snapshot


def store(hosts: list[Container], snapshot: str) -> None:
    for host in hosts:
        # each checkout brings its own key
        docker("exec", host.name, "rm", "-f", "/root/.ssh/authorized_keys")
        docker("stop", "-t", "90", host.name)
    path = lab_snapshot.disk_path(snapshot)
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    for host in hosts:
        if host.disk:
            lab_disk.run("cp", "--sparse=always", str(lab_disk.image_of(host.name)), str(fresh))
        host.forget_identity()
        docker("commit", "--change", "LABEL owner=intact-lab", host.name, lab_snapshot.seeded_tag(host.short, snapshot))
    # The disk comes last: a snapshot counts when all its parts are there.
    fresh.rename(path)
    for old in sorted(path.parent.glob("web1-*.img"), key=lambda p: p.stat().st_mtime, reverse=True)[KEEP:]:
        forgotten = old.stem.split("-", 1)[1]
        old.unlink()
        for host in lab_snapshot.HOSTS:
            docker("rmi", lab_snapshot.seeded_tag(host, forgotten), ok=False)
