# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's hosts as Docker containers: names, addresses, and how one is made."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
import time
from dataclasses import dataclass
from pathlib import Path

from steps import StepFailed

ROOT = Path(__file__).resolve().parents[2]
NOSYNC = ROOT / "molecule" / "_shared" / "nosync.json"


def docker(*args: str, data: str | None = None, ok: bool = True) -> str:
    """Standard output of a docker command; with ok=False a failure gives an empty string."""
    done = subprocess.run(["docker", *args], input=data, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return done.stdout.strip()
    if ok:
        raise StepFailed(f"docker {' '.join(args[:4])}: {done.stderr.strip()}")
    return ""


def docker_ok(*args: str) -> bool:
    return subprocess.run(["docker", *args], capture_output=True, check=False).returncode == 0


@dataclass(frozen=True)
class Network:
    """A Docker network of /24 and /64; `ipv4` and `ipv6` are what all its addresses begin with."""

    name: str
    ipv4: str
    ipv6: str

    def ensure(self) -> None:
        if docker_ok("network", "inspect", self.name):
            return
        subnets = ["--subnet", f"{self.ipv4}0/24", "--subnet", f"{self.ipv6}/64"]
        docker("network", "create", "--ipv6", *subnets, "--label", "owner=intact-lab", self.name)

    def remove(self) -> None:
        docker("network", "rm", self.name, ok=False)


@dataclass(frozen=True)
class Container:
    """One lab host. Everything a server may do is allowed by capability, nothing by --privileged."""

    network: Network
    short: str
    number: int
    disk: bool = False
    recipe: str = "bookworm"  # its image, where the snapshot of the filled servers has none
    sysctls: tuple[str, ...] = ("net.ipv6.conf.all.disable_ipv6=0",)

    @property
    def name(self) -> str:
        return f"{self.network.name}-{self.short}"

    @property
    def ipv4(self) -> str:
        return f"{self.network.ipv4}{self.number}"

    @property
    def ipv6(self) -> str:
        return f"{self.network.ipv6}{self.number}"

    def exists(self) -> bool:
        return docker_ok("container", "inspect", self.name)

    def state(self) -> str:
        return docker("container", "inspect", "--format", "{{.State.Status}}", self.name, ok=False) or "absent"

    def device(self) -> str:
        """Loop device this container was made with; empty without one."""
        text = docker("container", "inspect", "--format", "{{json .HostConfig.Devices}}", self.name, ok=False)
        devices = json.loads(text) if text else None
        return devices[0]["PathOnHost"] if devices else ""

    def label(self, name: str) -> str:
        """Value of a label of the container; empty without it."""
        return docker("container", "inspect", "--format", f'{{{{index .Config.Labels "{name}"}}}}', self.name, ok=False)

    def ensure_running(self, image: str, device: str, labels: dict[str, str]) -> None:
        state = self.state()
        if state == "absent":
            self._create(image, device, labels)
        elif state != "running":
            docker("start", self.name)

    def _create(self, image: str, device: str, labels: dict[str, str]) -> None:
        options = ["--name", self.name, "--hostname", f"{self.short}.lab.test", "--label", "owner=intact-lab"]
        options += ["--network", self.network.name, "--network-alias", self.short, "--ip", self.ipv4, "--ip6", self.ipv6]
        options += ["--cap-add", "SYS_ADMIN", "--cap-add", "NET_ADMIN", "--cap-add", "LINUX_IMMUTABLE"]
        options += ["--security-opt", f"seccomp={NOSYNC}", "--security-opt", "apparmor=unconfined"]
        options += ["--cgroupns", "private", "--tmpfs", "/run", "--tmpfs", "/run/lock"]
        # brings it back after 'systemctl reboot' inside
        options += ["--stop-signal", "SIGRTMIN+3", "--restart", "unless-stopped"]
        for setting in self.sysctls:
            options += ["--sysctl", setting]
        for label, value in labels.items():
            options += ["--label", f"{label}={value}"]
        if device:
            options += ["--device", device]
        docker("run", "-d", *options, image, "/lib/systemd/systemd")

    def wait_booted(self, seconds: float = 60.0) -> None:
        """Until systemd has started what it starts; 'degraded' is for the check to judge, it comes with exit code 1."""
        argv = ["docker", "exec", self.name, "systemctl", "is-system-running"]
        end = time.monotonic() + seconds
        while True:
            done = subprocess.run(argv, capture_output=True, text=True, check=False)
            if done.stdout.strip() in ("running", "degraded"):
                return
            if time.monotonic() > end:
                raise StepFailed(f"{self.name} did not finish booting in {seconds:.0f} s: see 'docker exec {self.name} systemctl list-jobs'")
            time.sleep(0.3)

    def forget_identity(self) -> None:
        """Each container made from the stored image gets a machine id of its own at its first boot."""
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w") as archive:
            entry = tarfile.TarInfo("machine-id")
            entry.mode = 0o444
            archive.addfile(entry)
        argv = ["docker", "cp", "-", f"{self.name}:/etc"]
        subprocess.run(argv, input=stream.getvalue(), stdout=subprocess.DEVNULL, check=True)


# What web1's own /etc/sysctl.d says: a container's /proc/sys is read-only, so Docker has to set it.
WEB1_SYSCTLS = (
    "net.ipv6.conf.all.disable_ipv6=0",
    "net.ipv4.tcp_keepalive_time=600",
    "net.core.somaxconn=4096",
    "net.ipv4.ip_local_port_range=20000 60999",
)
# The lab that people use, and a second one beside it in which the snapshot is made.
LAB = Network("intact-lab", "172.28.10.", "fd28:1077:ac70:10::")
SEED = Network("intact-seed", "172.28.11.", "fd28:1077:ac70:11::")


def servers(network: Network) -> dict[str, Container]:
    """web1 and vault on a network, by name."""
    return {
        "web1": Container(network, "web1", 10, disk=True, sysctls=WEB1_SYSCTLS),
        "vault": Container(network, "vault", 20),
    }


# drill has the database servers that dumps are loaded into, as web1 has them.
HOSTS = {
    **servers(LAB),
    "probe": Container(LAB, "probe", 30),
    "attic": Container(LAB, "attic", 40),
    "drill": Container(LAB, "drill", 50, recipe="web1"),
}
