# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The disks of the virtual machine: the live ones it boots with, and the legacy ones that tests plug while it runs.

Both are made inside a machine once and cached by the hash of this recipe. Legacy disks are copies taken while the guest
stands still with them mounted: what a power cut leaves. The clones are copies of the live XFS and btrfs disks, which went
on afterwards.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import vm_image
from steps import heartbeat, say
from vm_machine import Machine, accelerator, overlay

MB = 1024 * 1024
# Serial and size in MB; mkfs.xfs wants more than 300.
LIVE = {"LIVELVM": 128, "LIVEXFS": 320, "LIVEBTRFS": 200}
LEGACY = {"OLDLVM": 256, "OLDMDA": 96, "OLDMDB": 96, "OLDLUKS": 96, "OLDPARTS": 256}
CLONES = {"OLDXFS": "LIVEXFS", "OLDBTRFS": "LIVEBTRFS"}
LEGACY_SERIALS = (*LEGACY, *CLONES)
LUKS_KEY = "the key of the old disk, one line without its end"
FILES = 200

# What every script in the guest may use; `dirty DIR WORD` writes files whose names only the journal knows.
LIBRARY = f"""
disk() {{ printf '/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_%s' "$1"; }}
await() {{ for n in $(seq 100); do udevadm settle -t 2 || true; [ ! -b "$1" ] || return 0; sleep 0.1; done; echo "no $1" >&2; return 1; }}
dirty() {{
python3 - "$1" "$2" <<'END'
import os, sys
folder, word = sys.argv[1:]
os.makedirs(folder + '/fsynced', exist_ok=True)
os.sync()
for number in range({FILES}):
    with open('%s/fsynced/%03d' % (folder, number), 'w') as out:
        out.write('%s %d\\n' % (word, number) * 20)
        out.flush()
        os.fsync(out.fileno())
handle = os.open(folder + '/fsynced', os.O_RDONLY)
os.fsync(handle)
END
}}
"""

OLD_LVM = """
d=$(disk OLDLVM); await $d
printf 'label: dos\\nstart=2048, type=8e\\n' | sfdisk -q $d; await $d-part1
vgcreate -q vg0 $d-part1
lvcreate -q -y -an -Zn -n root -L 64M vg0
lvcreate -q -y -an -Zn -n home -L 40M vg0
lvcreate -q -y -an -Zn -n swap -L 16M vg0
lvextend -q -L +32M vg0/root
vgchange -q -ay vg0; await /dev/vg0/home
mkfs.ext3 -q -I 128 -L oldroot /dev/vg0/root
mkfs.ext3 -q -I 128 -L oldhome /dev/vg0/home
mkswap -q /dev/vg0/swap
mkdir -p /mnt/old; mount /dev/vg0/root /mnt/old; mkdir -p /mnt/old/etc /mnt/old/home /mnt/old/var/lib/mysql/mysql /mnt/old/bin
mount /dev/vg0/home /mnt/old/home
cat >/mnt/old/etc/os-release <<'END'
PRETTY_NAME="Debian GNU/Linux 7 (wheezy)"
NAME="Debian GNU/Linux"
VERSION_ID="7"
VERSION="7 (wheezy)"
ID=debian
END
echo 7.11 >/mnt/old/etc/debian_version
printf '/dev/vg0/root / ext3 errors=remount-ro 0 1\\n/dev/mapper/vg0-home /home ext3 defaults 0 2\\n/dev/vg0/swap none swap sw 0 0\\n' >/mnt/old/etc/fstab
printf 'root:x:0:0:root:/root:/bin/bash\\nanna:x:1000:1000::/home/anna:/bin/sh\\n' >/mnt/old/etc/passwd
printf 'root:*:1:0:99999:7:::\\nanna:*:1:0:99999:7:::\\n' >/mnt/old/etc/shadow
printf 'root:x:0:\\nanna:x:1000:\\n' >/mnt/old/etc/group
dirty /mnt/old/etc lvm-root
dirty /mnt/old/home lvm-home
"""
OLD_LVM_END = "umount /mnt/old/home /mnt/old; vgchange -q -an vg0"

OLD_MD = """
for n in A B; do d=$(disk OLDMD$n); await $d; printf 'label: dos\\nstart=2048, type=fd\\n' | sfdisk -q $d; await $d-part1; done
mdadm --create /dev/md/old --run --quiet --level=1 --raid-devices=2 --metadata=1.2 --bitmap=none --assume-clean "$(disk OLDMDA)-part1" "$(disk OLDMDB)-part1"
await /dev/md/old
mkfs.ext4 -q -L oldmirror /dev/md/old
mkdir -p /mnt/md; mount /dev/md/old /mnt/md
echo 'both halves' >/mnt/md/which.txt; sync
mdadm --quiet /dev/md/old --fail "$(readlink -f $(disk OLDMDB)-part1)"; sleep 1
mdadm --quiet /dev/md/old --remove "$(readlink -f $(disk OLDMDB)-part1)"
echo 'newer half' >/mnt/md/which.txt; sync
dirty /mnt/md md
"""
OLD_MD_END = "umount /mnt/md; mdadm --quiet --stop /dev/md/old"

OLD_LUKS = f"""
d=$(disk OLDLUKS); await $d
printf 'label: gpt\\nstart=2048\\n' | sfdisk -q $d; await $d-part1
umask 077; printf %s '{LUKS_KEY}' >/root/luks.key
cryptsetup luksFormat -q --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-file /root/luks.key $d-part1
cryptsetup open --key-file /root/luks.key $d-part1 oldsecret
mkfs.ext4 -q -L oldsecret /dev/mapper/oldsecret
mkdir -p /mnt/luks; mount /dev/mapper/oldsecret /mnt/luks
dirty /mnt/luks luks
"""
OLD_LUKS_END = "umount /mnt/luks; cryptsetup close oldsecret; rm /root/luks.key"

OLD_PARTS = """
d=$(disk OLDPARTS); await $d
printf 'label: dos\\nstart=2048, size=120M, type=83, bootable\\nsize=60M, type=83\\nsize=16M, type=82\\nsize=50M, type=83\\n' | sfdisk -q $d
for n in 1 2 3 4; do await $d-part$n; done
mkfs.ext3 -q -I 128 -L / $d-part1; mkfs.ext3 -q -I 128 -L /home $d-part2; mkswap -q -L SWAP $d-part3; mkfs.ext3 -q -I 128 -L /var $d-part4
mkdir -p /mnt/parts; mount $d-part1 /mnt/parts; mkdir -p /mnt/parts/etc /mnt/parts/home /mnt/parts/var /mnt/parts/bin
mount $d-part2 /mnt/parts/home; mount $d-part4 /mnt/parts/var
echo 'CentOS release 5.11 (Final)' >/mnt/parts/etc/redhat-release
cat >/mnt/parts/etc/fstab <<'END'
LABEL=/ / ext3 defaults 1 1
LABEL=/home /home ext3 defaults 1 2
LABEL=/var /var ext3 defaults 1 2
LABEL=SWAP swap swap defaults 0 0
END
printf 'root:x:0:0:root:/root:/bin/bash\\nbert:x:500:500::/home/bert:/bin/bash\\n' >/mnt/parts/etc/passwd
printf 'root:!:1:0:99999:7:::\\nbert:!:1:0:99999:7:::\\n' >/mnt/parts/etc/shadow
dirty /mnt/parts/etc parts-root
dirty /mnt/parts/home parts-home
dirty /mnt/parts/var parts-var
"""
OLD_PARTS_END = "umount /mnt/parts/var /mnt/parts/home /mnt/parts"

# The live system: its VG has the legacy one's name and one LV of the same name. The legacy disks are out by now.
LIVE_SET = """
mkdir -p /srv/data /srv/xfs /srv/btrfs
x=$(disk LIVEXFS); b=$(disk LIVEBTRFS); v=$(disk LIVELVM)
for d in $x $b $v; do await $d; done
printf 'label: gpt\\nstart=2048\\n' | sfdisk -q $x; await $x-part1
mkfs.xfs -q -L livexfs $x-part1; mkfs.btrfs -q -L livebtrfs $b
vgcreate -q vg0 $v; lvcreate -q -y -n data -L 64M vg0; lvcreate -q -y -n home -L 32M vg0
await /dev/vg0/home; mkfs.ext4 -q -L livedata /dev/vg0/data; mkfs.ext4 -q -L livehome /dev/vg0/home
cat >>/etc/fstab <<END
/dev/vg0/data /srv/data ext4 defaults,x-systemd.device-timeout=90 0 2
/dev/vg0/home /home ext4 defaults,x-systemd.device-timeout=90 0 2
$x-part1 /srv/xfs xfs defaults,x-systemd.device-timeout=90 0 2
$b /srv/btrfs btrfs defaults,x-systemd.device-timeout=90 0 0
END
mount /srv/data; mount /home; mount /srv/xfs; mount /srv/btrfs
for m in /srv/xfs /srv/btrfs; do echo 'at clone time' >$m/which.txt; sync; done
dirty /srv/xfs xfs
dirty /srv/btrfs btrfs
"""
LIVE_ON = """
for m in /srv/data /home /srv/xfs /srv/btrfs; do
  echo 'live now' >$m/which.txt; rm -rf $m/fsynced
  dd if=/dev/urandom of=$m/live.bin bs=64k count=64 status=none
done
sync
"""

# An operator's rules before an old disk is plugged (docs/disks.md): LVM uses the disks it knows, mdadm assembles nothing
# by itself, also not from the initramfs, which holds copies of both. Debian's hook puts a generated mdadm.conf there, without
# AUTO, unless the real one has an ARRAY line: this one means no array at all.
GUARDS = """
printf 'devices {\\n  use_devicesfile = 1\\n}\\n' >/etc/lvm/lvmlocal.conf
lvm vgimportdevices -q -a
lvm lvmdevices
printf 'AUTO -all\\nARRAY <ignore> UUID=00000000:00000000:00000000:00000000\\n' >>/etc/mdadm/mdadm.conf
update-initramfs -u
mkdir /root/initrd; unmkinitramfs /boot/initrd.img-$(uname -r) /root/initrd
grep -rqx 'AUTO -all' /root/initrd --include=mdadm.conf || { echo 'the initramfs has no AUTO -all' >&2; exit 1; }
rm -r /root/initrd
"""


def key() -> str:
    parts = [vm_image.key(), LIVE, LEGACY, CLONES, LUKS_KEY, FILES, LIBRARY, OLD_LVM, OLD_MD, OLD_LUKS, OLD_PARTS, LIVE_SET, LIVE_ON, GUARDS]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]


def copy(source: Path, target: Path) -> Path:
    subprocess.run(["cp", "--sparse=always", str(source), str(target)], check=True)
    return target


def sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def ensure(log: Path) -> Path:
    """Directory with root.qcow2, the same with GUARDS as guarded.qcow2, SERIAL.raw of every disk and facts.json ({sha256: {serial: digest}}).

    Made unless it is there.
    """
    base = vm_image.ensure(log)
    target = vm_image.folder() / f"disks-{key()}"
    with (vm_image.folder() / "disks.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (target / "facts.json").exists():
            with heartbeat("virtual machine: its live and legacy disks"):
                make(base, target)
            for old in vm_image.folder().glob("disks-*"):
                if old.is_dir() and old != target:
                    say(f"    {old.name}: of an older recipe, taken away")
                    shutil.rmtree(old)
    return target


def make(base: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for serial, size in {**LIVE, **LEGACY}.items():
        with (target / f"{serial}.work").open("wb") as image:
            image.truncate(size * MB)
    with booted(overlay(base, target / "root.qcow2"), {}, base) as machine:
        fill(machine, target)
    live = {serial: target / f"{serial}.work" for serial in LIVE}
    with booted(overlay(target / "root.qcow2", target / "guarded.qcow2"), live, base) as machine:
        machine.run(GUARDS, seconds=900)
    for serial in LIVE:
        (target / f"{serial}.work").rename(target / f"{serial}.raw")
    for left in target.glob("*.work"):
        left.unlink()
    facts = {"sha256": {serial: sha256(target / f"{serial}.raw") for serial in LEGACY_SERIALS}}
    (target / "facts.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


@contextmanager
def booted(root: Path, disks: dict[str, Path], base: Path) -> Iterator[Machine]:
    """A machine that is shut down properly at the end, so that what it wrote is on its disks."""
    with tempfile.TemporaryDirectory(prefix="intact-vm.") as folder:
        machine = Machine(Path(folder), root, disks, accelerator(base))
        try:
            machine.start()
            yield machine
            machine.shut_down()
        finally:
            machine.stop()


def fill(machine: Machine, target: Path) -> None:
    groups = [
        (["OLDLVM"], OLD_LVM, OLD_LVM_END),
        (["OLDMDA", "OLDMDB"], OLD_MD, OLD_MD_END),
        (["OLDLUKS"], OLD_LUKS, OLD_LUKS_END),
        (["OLDPARTS"], OLD_PARTS, OLD_PARTS_END),
    ]
    for serials, script, ending in groups:
        for serial in serials:
            machine.qmp.plug(target / f"{serial}.work", serial)
        machine.run(LIBRARY + script)
        power_cut(machine, {serial: serial for serial in serials}, target)
        machine.run(ending)
        for serial in serials:
            machine.qmp.pull(serial)
    for serial in LIVE:
        machine.qmp.plug(target / f"{serial}.work", serial)
    machine.run(LIBRARY + LIVE_SET)
    power_cut(machine, CLONES, target)
    machine.run(LIVE_ON)


def power_cut(machine: Machine, serials: dict[str, str], target: Path) -> None:
    """Copies of the disks as they are at one instant, mounted and in use: {name of the copy: serial it is taken from}."""
    machine.qmp.command("stop")
    try:
        for name, source in serials.items():
            copy(target / f"{source}.work", target / f"{name}.raw")
    finally:
        machine.qmp.command("cont")
