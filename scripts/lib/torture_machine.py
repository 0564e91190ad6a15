# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host whose upgrade is cut: a systemd container on a disk of its own, and what can be done to it from outside."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torture_disk
from lab_containers import docker, docker_ok
from steps import StepFailed

ROOT = Path(__file__).resolve().parents[2]
IMAGE = "intact-lab/bookworm:current"
LABEL = "owner=intact-torture"


@dataclass(frozen=True)
class Network:
    """A network of /24; `ipv4` is what all its addresses begin with."""

    name: str
    ipv4: str

    @property
    def gateway(self) -> str:
        return f"{self.ipv4}1"

    def ensure(self) -> None:
        """Make it, without what a killed run left on it."""
        for name in docker("ps", "-a", "--filter", f"label={LABEL}", "--format", "{{.Names}}", ok=False).split():
            if re.fullmatch(re.escape(self.name) + r"-\d+", name):
                docker("rm", "-f", "-v", name, ok=False)
        if not docker_ok("network", "inspect", self.name):
            docker("network", "create", "--subnet", f"{self.ipv4}0/24", "--gateway", self.gateway, "--label", LABEL, self.name)

    def remove(self) -> None:
        docker("network", "rm", self.name, ok=False)


# The scenario's flights and those of `make torture` may be cut side by side.
NETWORKS = {network.name: network for network in (Network("intact-t", "172.30.97."), Network("intact-t-m", "172.30.98."))}


class Machine:
    """One host. Its processes are seen and killed from outside, in the moment, without a command on it."""

    def __init__(self, network: Network, number: int, disk: torture_disk.Disk, place: int) -> None:
        self.network, self.name, self.disk = network, f"{network.name}-{number}", disk
        self.address = f"{network.ipv4}{place}"
        self._init = 0

    def create(self) -> None:
        options = ["--name", self.name, "--hostname", self.name, "--label", LABEL, "--network", self.network.name, "--ip", self.address]
        options += ["--cap-add", "SYS_ADMIN", "--cap-add", "NET_ADMIN"]
        # no profile that makes fsync do nothing: this is about what is on the disk
        options += ["--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined"]
        options += ["--cgroupns", "private", "--tmpfs", "/run", "--tmpfs", "/run/lock"]
        options += ["--stop-signal", "SIGRTMIN+3", "--restart", "unless-stopped"]
        for folder in torture_disk.FOLDERS:
            options += ["--volume", f"{self.disk.path}/{folder}:/{folder}"]
        options += ["--volume", f"{ROOT}/collections:/opt/intact/collections:ro", "--volume", f"{ROOT}/scripts/lib:/opt/intact/torture:ro"]
        docker("run", "-d", *options, IMAGE, "/lib/systemd/systemd")
        self.wait_booted()

    def wait_booted(self, seconds: float = 120) -> None:
        deadline = time.monotonic() + seconds
        while self.call("systemctl", "is-system-running")[1].strip() not in ("running", "degraded"):
            if time.monotonic() > deadline:
                raise StepFailed(f"{self.name} did not boot in {seconds:.0f} s")
            time.sleep(0.2)

    def call(self, *argv: str) -> tuple[int, str]:
        """Run a command on the host: (exit status, what it printed)."""
        done = subprocess.run(["docker", "exec", self.name, *argv], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
        return done.returncode, done.stdout + (done.stderr if done.returncode else "")

    def background(self, *argv: str) -> subprocess.Popen[str]:
        return subprocess.Popen(["docker", "exec", self.name, *argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)

    def running(self) -> bool:
        return docker("container", "inspect", "--format", "{{.State.Running}}", self.name, ok=False) == "true"

    def processes(self) -> Iterator[tuple[int, str, str]]:
        """(process id outside, name, command line) of all that runs on the host."""
        if not self._init or not Path(f"/proc/{self._init}/ns/pid").exists():
            self._init = int(docker("container", "inspect", "--format", "{{.State.Pid}}", self.name, ok=False) or 0)
        try:
            mine = os.readlink(f"/proc/{self._init}/ns/pid") if self._init else ""
        except OSError:
            return
        for entry in filter(str.isdigit, os.listdir("/proc")):
            try:
                if mine and os.readlink(f"/proc/{entry}/ns/pid") == mine:
                    line = Path(f"/proc/{entry}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()
                    yield int(entry), Path(f"/proc/{entry}/comm").read_text().strip(), line
            except OSError:
                continue

    def kill(self, what: str) -> int:
        """kill -9 the runner, apt or dpkg; how many processes were hit."""
        hit = 0
        for pid, name, line in self.processes():
            wanted = {"runner": "runner/__main__.py" in line and name.startswith("python"), "apt": name == "apt-get", "dpkg": name == "dpkg"}
            if wanted[what]:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
                hit += 1
        return hit

    def lose_power(self) -> None:
        """Everything ends at once, and what was not synced is gone; then it boots."""
        docker("kill", "--signal", "KILL", self.name, ok=False)
        deadline = time.monotonic() + 60
        while self.running():
            # it was about to come back from a reboot of its own
            if time.monotonic() > deadline:
                raise StepFailed(f"{self.name} cannot be killed")
            time.sleep(0.1)
            docker("kill", "--signal", "KILL", self.name, ok=False)
        self._init = 0
        self.disk.lose_power()
        docker("start", self.name)

    def remove(self) -> None:
        docker("rm", "-f", "-v", self.name, ok=False)
