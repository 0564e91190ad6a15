# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The virtual machine at the terminal: `vm-lab test | test-upgrade | disks | up | ssh [COMMAND] | down | status`.

`test` runs tests/vm but for the upgrade, which `test-upgrade` runs;
`up` starts a machine that stays, with the legacy disks plugged (copies: nothing it does is kept).
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

import vm_disks
import vm_image
import vm_machine
from steps import StepFailed, say
from vm_qmp import QmpError

ROOT = Path(__file__).resolve().parents[2]
LOG = ROOT / "build" / "log" / "vm-image.log"
STAYS = Path("/run/intact-vm")


def why_not() -> str:
    """Why no virtual machine can be had here; empty when it can."""
    missing = vm_image.missing_tools()
    if missing:
        return f"{', '.join(missing)} missing: as root 'apt-get install {' '.join(sorted(set(missing.values())))}' has them"
    if os.geteuid():
        return "the machine's disk is built as root (loop device, chroot): run this as root"
    return ""


def files(folder: Path, root: str = "guarded") -> tuple[Path, dict[str, Path]]:
    """Overlays for one run: the root disk (`guarded`, or `root` without the guards), and the live ones by serial."""
    made = vm_disks.ensure(LOG)
    live = {serial: vm_machine.overlay(made / f"{serial}.raw", folder / f"{serial}.qcow2") for serial in vm_disks.LIVE}
    return vm_machine.overlay(made / f"{root}.qcow2", folder / "root.qcow2"), live


def up() -> None:
    if vm_machine.running(STAYS):
        say(f"vm-lab: it runs already: scripts/vm-lab ssh, or ssh {STAYS}")
        return
    shutil.rmtree(STAYS, ignore_errors=True)
    STAYS.mkdir(mode=0o700)
    root, live = files(STAYS)
    machine = vm_machine.Machine(STAYS, root, live, vm_machine.accelerator(vm_image.ensure(LOG)))
    say(f"vm-lab: booting with {machine.accel}")
    (STAYS / "port").write_text(f"{machine.port}\n", encoding="ascii")
    machine.start(detached=True)
    made = vm_disks.ensure(LOG)
    for serial in vm_disks.LEGACY_SERIALS:
        machine.qmp.plug(vm_machine.overlay(made / f"{serial}.raw", STAYS / f"{serial}.qcow2"), serial, "qcow2")
    say("vm-lab: up, with the legacy disks " + " ".join(vm_disks.LEGACY_SERIALS))


def ssh(command: list[str]) -> int:
    if not vm_machine.running(STAYS):
        raise StepFailed("no machine runs: 'scripts/vm-lab up' starts one")
    options = ["-i", str(STAYS / "key"), "-o", f"UserKnownHostsFile={STAYS / 'known_hosts'}", "-o", "IdentitiesOnly=yes"]
    port = (STAYS / "port").read_text(encoding="ascii").strip()
    return subprocess.run(["ssh", *options, "-p", port, "root@127.0.0.1", *command], check=False).returncode


def main() -> int:
    parser = argparse.ArgumentParser(prog="vm-lab", description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=["test", "test-upgrade", "disks", "up", "ssh", "down", "status"])
    parser.add_argument("rest", nargs=argparse.REMAINDER, help="for test: pytest's arguments, for ssh: the command")
    args = parser.parse_args()
    reason = why_not()
    if reason:
        say(f"vm-lab: SKIPPED, nothing was tested in a virtual machine: {reason}")
        return 0 if args.action in ("test", "test-upgrade") else 1
    if args.action == "test":
        argv = [sys.executable, "-m", "pytest", "-v", "-rs", str(ROOT / "tests" / "vm"), *args.rest]
        return subprocess.run(argv, cwd=ROOT, env={**os.environ, "INTACT_VM": "1"}, check=False).returncode
    if args.action == "test-upgrade":
        argv = [sys.executable, "-m", "pytest", "-v", "-s", "-rs", str(ROOT / "tests" / "vm" / "test_vm_upgrade.py"), *args.rest]
        return subprocess.run(argv, cwd=ROOT, env={**os.environ, "INTACT_VM_UPGRADE": "1"}, check=False).returncode
    if args.action == "disks":
        print(vm_disks.ensure(LOG))
    elif args.action == "up":
        up()
    elif args.action == "ssh":
        return ssh(args.rest)
    elif args.action == "down":
        say("vm-lab: " + ("ended" if vm_machine.end(STAYS) else "no machine runs"))
    else:
        say("vm-lab: " + (f"runs as process {vm_machine.running(STAYS)}" if vm_machine.running(STAYS) else "no machine runs"))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (StepFailed, QmpError, vm_machine.MachineError) as problem:
        say(f"vm-lab: {problem}")
        sys.exit(1)
