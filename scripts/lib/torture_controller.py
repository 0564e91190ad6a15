# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller of a flight that is cut: ansible-playbook over SSH, killed with -9 or cut off from the host."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import torture_release
from lab_containers import docker
from torture_machine import Machine

ROOT = Path(__file__).resolve().parents[2]
PLAY = ROOT / "molecule" / "interruptions" / "fly.yml"


class Controller:
    """One controller after the other, for one host; their output is kept in `log`."""

    def __init__(self, machine: Machine, folder: Path, flight: str) -> None:
        self.machine, self.folder, self.flight = machine, folder, flight
        self.key, self.log = folder / "key", folder / "controller.log"
        self._run: subprocess.Popen[bytes] | None = None

    def let_in(self) -> None:
        """A key of its own, which the host accepts."""
        if not self.key.exists():
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.key)], check=True)
        folder = self.machine.disk.path / "root/.ssh"
        folder.mkdir(mode=0o700, exist_ok=True)
        (folder / "authorized_keys").write_text(self.key.with_suffix(".pub").read_text())

    def start(self) -> None:
        given = {"fly_flight_id": self.flight, "fly_release_path": torture_release.RELEASE_PATH, "fly_settings": torture_release.SETTINGS}
        options = {
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(self.key),
            "ansible_ssh_common_args": "-o UserKnownHostsFile=/dev/null -o StrictHostKeyChecking=no -o ServerAliveInterval=2 -o ServerAliveCountMax=2",
        }
        argv = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", f"{self.machine.address},", str(PLAY), "-e", json.dumps({**given, **options})]
        environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_HOST_KEY_CHECKING": "False", "ANSIBLE_LOCAL_TEMP": str(self.folder)}
        # sockets of connections are shared by everything that asks for the same host and user
        environment["ANSIBLE_SSH_CONTROL_PATH_DIR"] = str(self.folder / "cp")
        with self.log.open("ab") as out:
            self._run = subprocess.Popen(argv, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)

    def kill(self) -> bool:
        """kill -9 of the playbook and all its processes; whether it was there."""
        if not self._run or self._run.poll() is not None:
            return False
        os.killpg(self._run.pid, signal.SIGKILL)
        self._run.wait()
        return True

    def ended(self) -> int | None:
        """Its exit status, None while it runs."""
        return self._run.poll() if self._run else None

    def wait(self, seconds: float) -> int | None:
        try:
            return self._run.wait(seconds) if self._run else None
        except subprocess.TimeoutExpired:
            return None

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""

    def disconnect(self) -> None:
        docker("network", "disconnect", "--force", self.machine.network.name, self.machine.name)

    def connect(self) -> None:
        docker("network", "connect", "--ip", self.machine.address, self.machine.network.name, self.machine.name)
