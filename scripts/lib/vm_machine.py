# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One virtual machine: its process, its console, its control socket and the way in by SSH.

QEMU ends when the process that started it does (parent-death signal), whatever happens to that: a run leaves nothing behind.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from vm_qmp import Qmp, QmpError

CPU = "Nehalem"
MEMORY = 1536
# A machine with KVM answers in a few seconds.
KVM_SECONDS = 30


class MachineError(Exception):
    """The machine did not do what was asked; the message says what was seen."""


def accelerator(base: Path) -> str:
    """kvm where the machine really boots with it, else tcg: /dev/kvm may be there and fail, or run the firmware and hang.

    Asked once for each start of this host; INTACT_VM_ACCEL decides without asking.
    """
    chosen = os.environ.get("INTACT_VM_ACCEL")
    if chosen:
        return chosen
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    host = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    remembered = base.parent / "accelerator"
    known = remembered.read_text(encoding="ascii").split() if remembered.exists() else []
    if len(known) == 2 and known[0] == host:
        return known[1]
    with tempfile.TemporaryDirectory(prefix="intact-kvm.") as folder:
        machine = Machine(Path(folder), overlay(base, Path(folder) / "root.qcow2"), accel="kvm")
        try:
            machine.start(KVM_SECONDS)
            answer = "kvm"
        except (MachineError, QmpError):
            answer = "tcg"
        finally:
            machine.stop()
    remembered.write_text(f"{host} {answer}\n", encoding="ascii")
    return answer


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def overlay(base: Path, target: Path) -> Path:
    """A qcow2 disk that starts as `base` and keeps what is written to itself."""
    argv = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(base.resolve()), "-F", "raw" if base.suffix == ".raw" else "qcow2", str(target)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise MachineError(f"no overlay on {base}: {done.stderr.strip()}")
    return target


class Machine:
    """Started by `start()`; `disks` ({serial: image}) are there when it boots, others are plugged through `qmp`."""

    def __init__(
        self, directory: Path, root_disk: Path, disks: dict[str, Path] | None = None, accel: str = "tcg", root_format: str = "qcow2", memory: int = MEMORY
    ) -> None:
        self.directory = directory
        self.root_format, self.memory = root_format, memory
        self.root_disk = root_disk
        self.disks = disks or {}
        self.accel = accel
        self.port = free_port()
        self.process: subprocess.Popen | None = None
        self.qmp: Qmp | None = None
        self.key = directory / "key"
        self.console = directory / "console.log"
        directory.mkdir(parents=True, exist_ok=True)
        self._keys()

    def _keys(self) -> None:
        for name in ("key", "host"):
            if not (self.directory / name).exists():
                subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "intact-vm", "-f", str(self.directory / name)], check=True)
        host = (self.directory / "host.pub").read_text(encoding="ascii").split()
        (self.directory / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {host[0]} {host[1]}\n", encoding="ascii")

    def arguments(self) -> list[str]:
        acceleration = ["-accel", "tcg,thread=multi"] if self.accel == "tcg" else ["-accel", self.accel]
        root = f"driver={self.root_format},node-name=root,file.driver=file,file.filename={self.root_disk},cache.no-flush=on"
        return [
            *["qemu-system-x86_64", "-nodefaults", "-vga", "none", "-display", "none", "-machine", "q35,hpet=off,smbus=off,vmport=off"],
            *acceleration,
            *["-cpu", CPU, "-smp", "2", "-m", str(self.memory), "-serial", f"file:{self.console}"],
            *["-qmp", f"unix:{self.directory / 'qmp'},server=on,wait=off", "-device", "virtio-rng-pci"],
            # Without bootindex the firmware asks a plugged disk first after a reboot and stays there.
            *["-blockdev", root, "-device", "virtio-blk-pci,drive=root,bootindex=1"],
            *["-device", "virtio-scsi-pci,id=scsi0", "-S"],
            *["-netdev", f"user,id=net,hostfwd=tcp:127.0.0.1:{self.port}-:22", "-device", "virtio-net-pci,netdev=net,romfile="],
            *["-fw_cfg", f"name=opt/intact/authorized_keys,file={self.key}.pub", "-fw_cfg", f"name=opt/intact/host_key,file={self.directory / 'host'}"],
        ]

    def start(self, wait: float = 300, detached: bool = False) -> Machine:
        argv = self.arguments() if detached else ["setpriv", "--pdeathsig", "KILL", *self.arguments()]
        with (self.directory / "qemu.log").open("ab") as log:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=detached)
        (self.directory / "pid").write_text(f"{self.process.pid}\n", encoding="ascii")
        try:
            self.qmp = Qmp(self.directory / "qmp")
            for serial, image in self.disks.items():
                self.qmp.plug(image, serial, "qcow2" if image.suffix == ".qcow2" else "raw")
            self.qmp.command("cont")
            if wait:
                self.wait(wait)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """The power is cut; nothing happens when it is off already."""
        if self.qmp:
            self.qmp.close()
            self.qmp = None
        if self.process:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None
        (self.directory / "pid").unlink(missing_ok=True)

    def shut_down(self, seconds: float = 120) -> None:
        """The guest's own way to power off; the power is cut when that takes too long."""
        self.run("systemctl poweroff", check=False)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.stop()
            raise MachineError(f"the machine did not power off in {seconds:.0f} s: {self.tail()}") from None
        self.stop()

    def tail(self, lines: int = 15) -> str:
        try:
            text = self.console.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return "no console output"
        return "the console's end:\n" + "\n".join(text.splitlines()[-lines:])

    def ssh_options(self) -> list[str]:
        return [
            *["-i", str(self.key), "-o", f"UserKnownHostsFile={self.directory / 'known_hosts'}", "-o", "GlobalKnownHostsFile=/dev/null"],
            *["-o", "StrictHostKeyChecking=yes", "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-o", "ConnectTimeout=15", "-o", "LogLevel=ERROR"],
            *["-o", "ControlMaster=auto", "-o", f"ControlPath={self.directory / 'ssh'}", "-o", "ControlPersist=120"],
        ]

    def ssh(self, *command: str) -> list[str]:
        return ["ssh", *self.ssh_options(), "-p", str(self.port), "root@127.0.0.1", *command]

    def run(self, script: str, check: bool = True, seconds: float = 300) -> str:
        """Standard output of a shell script in the guest, as root; MachineError with its words when it fails and `check`."""
        argv = self.ssh("bash", "-c", shlex.quote("set -eu -o pipefail; export LC_ALL=C.UTF-8; cd /\n" + script))
        try:
            done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="surrogateescape", timeout=seconds, check=False)
        except subprocess.TimeoutExpired:
            raise MachineError(f"not done in {seconds:.0f} s: {script.strip()[:200]}\n{self.tail()}") from None
        if check and done.returncode:
            raise MachineError(f"exit code {done.returncode} of: {script.strip()[:1500]}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}")
        return done.stdout

    def boot_id(self) -> str:
        return self.run("cat /proc/sys/kernel/random/boot_id", check=False, seconds=25).strip()

    def wait(self, seconds: float = 300, other_than: str = "") -> None:
        """Until SSH answers, with another boot id than the given one."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise MachineError(f"QEMU ended with {self.process.returncode}: {(self.directory / 'qemu.log').read_text(errors='replace')[-2000:]}")
            try:
                answer = self.boot_id()
            except MachineError:
                answer = ""
            if answer and answer != other_than:
                return
            time.sleep(1)
        raise MachineError(f"no SSH answer after {seconds:.0f} s: {self.tail()}")

    def reboot(self, seconds: float = 400) -> None:
        before = self.boot_id()
        self.run("systemctl reboot", check=False)
        subprocess.run(["ssh", *self.ssh_options(), "-O", "exit", "root@127.0.0.1"], capture_output=True, check=False)
        self.wait(seconds, other_than=before)


def running(directory: Path) -> int:
    """Process id of a machine that was started here and still runs, else 0."""
    try:
        pid = int((directory / "pid").read_text(encoding="ascii"))
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError):
        return 0
    return pid if str(directory / "qmp").encode() in command else 0


def end(directory: Path) -> bool:
    """End the machine that runs from this directory; whether there was one."""
    pid = running(directory)
    if not pid:
        return False
    try:
        Qmp(directory / "qmp", seconds=3).command("quit")
    except QmpError:
        os.kill(pid, signal.SIGKILL)
    for _ in range(50):
        if not running(directory):
            break
        time.sleep(0.1)
    else:
        os.kill(pid, signal.SIGKILL)
    shutil.rmtree(directory, ignore_errors=True)
    return True
