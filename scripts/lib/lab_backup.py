# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the lab's backups go and where they are restored: stores on vault and attic, restic on drill, their secrets in .lab/backup."""

from __future__ import annotations

import http.client
import socket
import ssl
import subprocess

import lab_access
from lab_containers import HOSTS, docker_ok
from lab_snapshot import ROOT
from steps import StepFailed, run, say

SECRETS = lab_access.STATE / "backup"
REST_PORT = 8443


def set_up() -> None:
    """Make secrets, stores and the drill host's tools; what is there stays."""
    lab_access.STATE.mkdir(mode=0o700, exist_ok=True)
    inventory = ROOT / "inventories" / "lab" / "hosts.yml"
    argv = [str(ROOT / ".venv/bin/ansible-playbook"), "-i", str(inventory), f"--extra-vars=lab_secrets={SECRETS}", "molecule/_shared/lab-offsite.yml"]
    env = {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_FORCE_COLOR": "0"}
    run("places for backups", argv, lab_access.LOGS / "lab-backup.log", cwd=ROOT, env=env)


def rest_trouble(address: str, port: int = REST_PORT) -> str:
    """Why vault's store is not as it should be: its own certificate, and nothing without a password."""
    try:
        context = ssl.create_default_context(cafile=SECRETS / "vault.crt")
        with socket.create_connection((address, port), timeout=20) as raw, context.wrap_socket(raw, server_hostname="vault") as channel:
            channel.sendall(b"GET /web1/config HTTP/1.0\r\n\r\n")
            answer = http.client.HTTPResponse(channel)
            answer.begin()
    except (OSError, http.client.HTTPException) as exc:
        return f"{address} port {port}: {exc}"
    return "" if answer.status == 401 else f"answers {answer.status} to one without a password, 401 was expected"


def sftp_trouble(address: str) -> str:
    """Why attic's store is not as it should be: it lets web1's key in, which is held to SFTP."""
    options = ["-q", "-i", str(SECRETS / "sftp.key"), "-o", f"UserKnownHostsFile={SECRETS / 'known_hosts'}", "-o", "HostKeyAlias=attic"]
    options += ["-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", "ControlPath=none", "-o", "ConnectTimeout=20"]
    argv = ["sftp", *options, "-b", "-", f"backup-web1@{address}"]
    done = subprocess.run(argv, input="ls /store\n", capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stderr.strip() or f"sftp ended with exit code {done.returncode}"


def check() -> None:
    """Raise StepFailed, with each trouble on a line before it, when a backup or a drill could not work."""
    troubles = {
        "vault's append-only store": rest_trouble(HOSTS["vault"].ipv4),
        "attic's store over SFTP": sftp_trouble(HOSTS["attic"].ipv4),
        "drill": "" if docker_ok("exec", HOSTS["drill"].name, "restic", "version") else "has no restic",
    }
    for name, trouble in troubles.items():
        if trouble:
            say(f"    {name}: {trouble}")
    if any(troubles.values()):
        raise StepFailed("backups could not be made or drilled; 'scripts/lab up' sets their places up")
