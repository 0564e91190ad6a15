# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The disk of a small hosting server that can be upgraded for real and go back: Debian 12, /boot of its own, / and /var on LVM with free room.

This kernel has no device-mapper, so the server makes it itself: the base machine copies its system onto a second disk, which then boots alone.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import tempfile
from pathlib import Path

import vm_disks
import vm_image
from steps import heartbeat, say
from vm_machine import Machine, accelerator, overlay

SERIAL = "NEWROOT"
SIZE_MB = 14 * 1024
MEMORY = 2048
# Sizes of the volumes; what is left in the group is for their snapshots.
ROOT_MB, VAR_MB = 3584, 2560
PACKAGES = "nginx-light mariadb-server postfix cpio"

# These scripts make file systems and install packages: they must never run on anything but the machine they are for.
GUARD = """
[ "$(cat /etc/hostname)" = intact-vm ] && [ -d /sys/firmware/qemu_fw_cfg ] || { echo 'this is not the lab machine' >&2; exit 1; }
"""

DISK = (
    GUARD
    + vm_disks.LIBRARY
    + f"""
d=$(disk {SERIAL}); await $d
printf 'label: gpt\\nstart=2048, size=1M, type=21686148-6449-6E6F-744E-656564454649\\nsize=640M, type=linux\\ntype=lvm\\n' | sfdisk -q $d
await $d-part3
mkfs.ext4 -q -L vm-boot $d-part2
vgcreate -q vg0 $d-part3
lvcreate -q -y -n root -L {ROOT_MB}M vg0; lvcreate -q -y -n var -L {VAR_MB}M vg0
await /dev/vg0/var
mkfs.ext4 -q -L lvm-root /dev/vg0/root; mkfs.ext4 -q -L lvm-var /dev/vg0/var
mkdir -p /mnt/new; mount /dev/vg0/root /mnt/new
mkdir -p /mnt/new/boot /mnt/new/var; mount $d-part2 /mnt/new/boot; mount /dev/vg0/var /mnt/new/var
rsync -aHAXx --exclude=/mnt/new --exclude='/tmp/*' / /mnt/new/
printf '%s\\n' '/dev/mapper/vg0-root / ext4 errors=remount-ro 0 1' '/dev/mapper/vg0-var /var ext4 defaults 0 2' \\
  'LABEL=vm-boot /boot ext4 defaults 0 2' >/mnt/new/etc/fstab
for m in dev proc sys; do mount --rbind /$m /mnt/new/$m; done
printf 'dm-snapshot\\n' >>/mnt/new/etc/initramfs-tools/modules
chroot /mnt/new update-initramfs -u -k all
chroot /mnt/new grub-install --target=i386-pc $d
chroot /mnt/new update-grub
# The disk has another name when it boots alone.
printf 'grub-pc grub-pc/install_devices multiselect /dev/vda\\ngrub-pc grub-pc/install_devices_empty boolean false\\n' | chroot /mnt/new debconf-set-selections
grep -q 'root=/dev/mapper/vg0-root' /mnt/new/boot/grub/grub.cfg
for m in sys proc dev; do umount -R -l /mnt/new/$m; done
umount /mnt/new/var /mnt/new/boot /mnt/new
vgchange -q -an vg0
"""
)
SITE = "server { listen 80; server_name shop.example.com; root /var/www/shop; }"
SERVER = (
    GUARD
    + f"""
export DEBIAN_FRONTEND=noninteractive
printf 'force-unsafe-io\\n' >/etc/dpkg/dpkg.cfg.d/vm
echo 'postfix postfix/main_mailer_type select Local only' | debconf-set-selections
echo 'postfix postfix/mailname string vm.example.com' | debconf-set-selections
apt-get -q update; apt-get -qy full-upgrade; apt-get -qy install --no-install-recommends {PACKAGES}
postconf -e 'home_mailbox = Maildir/' 'inet_interfaces = loopback-only'
systemctl restart postfix nginx mariadb
useradd -m -s /bin/bash anna
printf 'Subject: before\\n\\nbefore the flight\\n' | sendmail anna
for n in $(seq 90); do [ -z "$(ls /home/anna/Maildir/new 2>/dev/null)" ] || break; sleep 1; done
[ -n "$(ls /home/anna/Maildir/new)" ]
mkdir -p /var/www/shop; echo '<h1>shop</h1>' >/var/www/shop/index.html
echo '{SITE}' >/etc/nginx/sites-available/shop
ln -sf ../sites-available/shop /etc/nginx/sites-enabled/shop
mariadb -e "CREATE DATABASE shop; CREATE TABLE shop.orders (id INT PRIMARY KEY, what TEXT); INSERT INTO shop.orders VALUES (1, 'first');"
systemctl reload nginx
apt-get clean
sync
"""
)


def key() -> str:
    """Hash of everything that the disk is made from."""
    parts = [vm_image.key(), SERIAL, SIZE_MB, DISK, SERVER]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]


def ensure(log: Path) -> Path:
    """The server's disk (raw, only overlays of it are booted), made unless it is there."""
    base = vm_image.ensure(log)
    target = vm_image.folder() / f"upgrade-{key()}.raw"
    with (vm_image.folder() / "upgrade.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            with heartbeat("virtual machine: the disk of the server that is upgraded"):
                make(base, target)
            for old in vm_image.folder().glob("upgrade-*.raw"):
                if old != target:
                    say(f"    {old.name}: of an older recipe, taken away")
                    old.unlink()
    return target


def make(base: Path, target: Path) -> None:
    """Copy the system onto LVM in the base machine, then boot it alone and make a server of it."""
    half = target.with_suffix(".work")
    with half.open("wb") as image:
        image.truncate(SIZE_MB * vm_disks.MB)
    with tempfile.TemporaryDirectory(prefix="intact-vm.") as name:
        folder = Path(name)
        with vm_disks.booted(overlay(base, folder / "root.qcow2"), {SERIAL: half}, base) as machine:
            machine.run(DISK, seconds=1800)
        alone = Machine(folder / "alone", half, {}, accelerator(base), root_format="raw", memory=MEMORY)
        try:
            alone.start(600)
            alone.run(SERVER, seconds=3600)
            alone.shut_down()
        finally:
            alone.stop()
    half.rename(target)
