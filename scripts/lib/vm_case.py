# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the tests ask the machine, always by another route than the modules under test: the host's hash of each image, QEMU's
count of written bytes, the guest kernel's tables."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import vm_disks
from vm_machine import Machine

ROOT = Path(__file__).resolve().parents[2]
LIVE_MOUNTS = ("/srv/data", "/home", "/srv/xfs", "/srv/btrfs")
UNGUARD = """
rm -f /etc/lvm/lvmlocal.conf /etc/lvm/devices/system.devices
sed -i -e '/^AUTO -all/d' -e '/^ARRAY <ignore>/d' /etc/mdadm/mdadm.conf
"""
# mdadm's own timer starts a degraded array half a minute after its first member appeared.
DEGRADED = "for n in $(seq 90); do ! grep -q ^md /proc/mdstat || break; sleep 1; done; sleep 3; cat /proc/mdstat"
# Everything that could be armed, and what the live system uses. Disks by serial: a reboot numbers them anew.
STATE = """
import glob, json, os, subprocess
def said(*argv):
    return subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.decode()
def read(path):
    with open(path) as handle:
        return handle.read()
names = {}
for link in glob.glob('/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_*'):
    number = os.stat(link).st_rdev
    names[os.path.realpath(link)] = names['%d:%d' % (os.major(number), os.minor(number))] = link.rpartition('HARDDISK_')[2]
def named(line):
    return ' '.join(names.get(word, word) for word in line.split())
mounts = [line.split(' - ')[0].split()[4] + ' ' + ' '.join(line.split(' - ')[1].split()[:2]) for line in read('/proc/self/mountinfo').splitlines()]
print(json.dumps({
    'dm': sorted(named(line) for line in said('dmsetup', 'table').splitlines()),
    'nodes': sorted(os.listdir('/dev/mapper')),
    'md': [line for line in read('/proc/mdstat').splitlines() if line.startswith('md')],
    'loops': sorted(said('losetup', '-n', '-O', 'BACK-FILE', '-l').split()),
    'swaps': read('/proc/swaps').splitlines()[1:],
    'mounts': sorted(named(m) for m in mounts if m.split()[1] in ('ext2', 'ext3', 'ext4', 'xfs', 'btrfs') or m.split()[1].startswith('fuse.')),
}))
"""
CONTENT = "for m in %s; do find $m -xdev -type f -print0 | sort -z | xargs -0r sha256sum; done" % " ".join(LIVE_MOUNTS)


def disk(serial: str) -> str:
    return f"/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_{serial}"


class Case:
    def __init__(self, machine: Machine, images: dict[str, Path], made: Path) -> None:
        self.machine = machine
        self.images = images
        self.hashes = json.loads((made / "facts.json").read_text(encoding="utf-8"))["sha256"]
        self.before: dict = {}
        self.content = ""
        self.looked: dict = {}
        self.attached: dict[str, dict] = {}

    def remember(self) -> None:
        self.before = self.state()
        self.content = self.machine.run(CONTENT)

    def state(self) -> dict:
        return json.loads(self.machine.run(f"python3 - <<'END'\n{STATE}\nEND"))

    def plug(self) -> None:
        for serial, image in self.images.items():
            self.machine.qmp.plug(image, serial)
        nodes = " ".join(disk(serial) for serial in self.images)
        # mdadm's last resort starts a degraded array 30 s after its first member appeared.
        self.machine.run(
            f"for d in {nodes}; do for n in $(seq 100); do [ -b $d ] && break; sleep 0.2; done; [ -b $d ]; done; udevadm settle; sleep 36; udevadm settle"
        )

    def module(self, name: str, fails: bool = False, seconds: float = 600, **arguments: object) -> dict:
        """Result of a module of this checkout, run through Ansible's SSH connection; that it fails must be said with `fails`."""
        machine = self.machine
        inventory = machine.directory / "hosts.json"
        options = " ".join(machine.ssh_options())
        host = {
            "ansible_host": "127.0.0.1",
            "ansible_port": machine.port,
            "ansible_user": "root",
            "ansible_python_interpreter": "/usr/bin/python3",
            "ansible_ssh_common_args": options,
        }
        inventory.write_text(json.dumps({"all": {"hosts": {"vm": host}}}), encoding="utf-8")
        inventory = inventory.rename(inventory.with_suffix(".yml"))
        argv = [str(Path(sys.executable).parent / "ansible"), "vm", "-i", str(inventory), "-m", f"intact.hosting.{name}"]
        argv += ["-a", json.dumps(arguments)] if arguments else []
        env = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1", "LC_ALL": "C.UTF-8"}
        done = subprocess.run(argv, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds, check=False)
        head, _arrow, body = done.stdout.partition("=> ")
        assert body, f"{name}: no result from Ansible:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        result = json.JSONDecoder().raw_decode(body)[0]
        failed = "FAILED" in head or "UNREACHABLE" in head
        assert failed == fails, f"{name} {arguments}: {json.dumps(result, indent=1)[:4000]}"
        return result

    def unchanged(self) -> None:
        """No byte reached a legacy disk: by QEMU's counters and by the images' hashes on the host."""
        counted = self.machine.qmp.operations()
        for serial, image in self.images.items():
            wrote = {key: value for key, value in counted[serial].items() if key != "rd_bytes" and value}
            assert not wrote, f"{serial} was written to: {counted[serial]}"
            assert vm_disks.sha256(image) == self.hashes[serial], f"{serial}: its image is not what it was"

    def undisturbed(self) -> None:
        """The live disks have the content they had, and are mounted from where they were."""
        assert self.machine.run(CONTENT) == self.content
        now = self.state()
        live = [mount for mount in self.before["mounts"] if mount.split()[0] in LIVE_MOUNTS]
        assert [mount for mount in now["mounts"] if mount.split()[0] in LIVE_MOUNTS] == live
        assert [line for line in now["dm"] if line.startswith("vg0-")] == [line for line in self.before["dm"] if line.startswith("vg0-")]
        for mount in LIVE_MOUNTS:
            self.machine.run(f"echo alive >{mount}/.alive; sync -f {mount}; rm {mount}/.alive")

    def nothing_more(self) -> None:
        """What is active, mapped, mounted or assembled is exactly what was before the disks were plugged."""
        now = self.state()
        for key, value in self.before.items():
            assert now[key] == value, f"{key}: was {value}, is {now[key]}"
