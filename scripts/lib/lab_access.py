# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How Ansible gets into lab hosts: SSH with a key of this checkout and the hosts' real keys, all below .lab/."""

from __future__ import annotations

from pathlib import Path

from lab_containers import Container, docker
from lab_snapshot import ROOT
from steps import run

STATE = ROOT / ".lab"
LOGS = ROOT / "build" / "log"


def ssh_key() -> Path:
    """The private key, made once per checkout."""
    STATE.mkdir(mode=0o700, exist_ok=True)
    key = STATE / "id_ed25519"
    if not key.exists():
        argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "intact-lab", "-f", str(key)]
        run("ssh key", argv, LOGS / "lab.log")
    return key


def open_the_door(hosts: list[Container], known_hosts: Path) -> None:
    """Our key on each host, each host's key in known_hosts, read from the host itself and not from the network."""
    public = ssh_key().with_suffix(".pub").read_text(encoding="utf-8")
    lines = []
    for host in hosts:
        host.wait_booted()
        script = "mkdir -pm 700 /root/.ssh && umask 077 && cat >/root/.ssh/authorized_keys"
        docker("exec", "-i", host.name, "sh", "-c", script, data=public)
        for line in docker("exec", host.name, "sh", "-c", "cat /etc/ssh/ssh_host_*_key.pub").splitlines():
            kind, blob = line.split()[:2]
            lines += [f"{address} {kind} {blob}" for address in (host.ipv4, host.ipv6)]
    known_hosts.parent.mkdir(parents=True, exist_ok=True)
    known_hosts.write_text("\n".join(lines) + "\n", encoding="utf-8")


def inventory(hosts: list[Container], folder: Path) -> Path:
    """A static inventory for containers that are no hosts of inventories/lab."""
    options = f"-o UserKnownHostsFile={folder / 'known_hosts'} -o StrictHostKeyChecking=yes -o ControlMaster=auto -o ControlPersist=60s"
    text = "---\nall:\n  vars:\n    ansible_user: root\n    ansible_python_interpreter: /usr/bin/python3\n"
    text += f"    ansible_ssh_private_key_file: {ssh_key()}\n    ansible_ssh_common_args: {options}\n  hosts:\n"
    text += "".join(f"    {host.short}:\n      ansible_host: {host.ipv4}\n" for host in hosts)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "hosts.yml"
    path.write_text(text, encoding="utf-8")
    return path
