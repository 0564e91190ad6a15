#!/usr/bin/env bash
# Build the disk of the virtual machine: vm_image.sh TARGET.raw SUITE PACKAGES -- MMDEBSTRAP-OPTIONS... -- SOURCES...
# Called by vm_image.py as root in a mount namespace of its own: what is mounted here ends with it.
# SPDX-License-Identifier: GPL-3.0-or-later
set -euo pipefail
target=$1 suite=$2 packages=$3
shift 4
options=()
while [ "$1" != -- ]; do
  options+=("$1")
  shift
done
shift

work=$(mktemp -d)
loop=
finish() {
  [ -z "$loop" ] || { umount -R "$work/mnt" 2>/dev/null || true; partx -d "$loop" || true; losetup -d "$loop"; }
  umount "$work" && rmdir "$work"
}
trap finish EXIT
# dpkg waits for the disk at every package; in memory it does not.
mount -t tmpfs -o size=6g,mode=0755 tmpfs "$work"
mkdir "$work/tmp" "$work/mnt"
chmod 1777 "$work/tmp"

TMPDIR=$work/tmp mmdebstrap --variant=minbase --include="$packages" "${options[@]}" "$suite" "$work/root" "$@"
root=$work/root

echo intact-vm >"$root/etc/hostname"
printf '127.0.0.1 localhost\n127.0.1.1 intact-vm\n' >"$root/etc/hosts"
: >"$root/etc/machine-id"
rm -f "$root"/etc/ssh/ssh_host_*
# QEMU's user network is always the same, so nothing waits for DHCP.
cat >"$root/etc/systemd/network/10-user.network" <<'END'
[Match]
Name=en* eth*
[Network]
Address=10.0.2.15/24
Gateway=10.0.2.2
DNS=10.0.2.3
LinkLocalAddressing=no
IPv6AcceptRA=no
END
rm -f "$root/etc/resolv.conf"
echo 'nameserver 10.0.2.3' >"$root/etc/resolv.conf"
# Keys are made for each run and come over QEMU's firmware interface: the image holds none.
mkdir -p "$root/etc/systemd/system/ssh.service.d"
cat >"$root/usr/local/sbin/vm-keys" <<'END'
#!/bin/sh
set -e
modprobe qemu_fw_cfg
from=/sys/firmware/qemu_fw_cfg/by_name/opt/intact
umask 077
mkdir -p /root/.ssh
cat $from/authorized_keys/raw >/root/.ssh/authorized_keys
cat $from/host_key/raw >/etc/ssh/ssh_host_ed25519_key
END
chmod 0755 "$root/usr/local/sbin/vm-keys"
cat >"$root/etc/systemd/system/ssh.service.d/keys.conf" <<'END'
[Service]
ExecStartPre=
ExecStartPre=/usr/local/sbin/vm-keys
ExecStartPre=/usr/sbin/sshd -t
END
printf 'HostKey /etc/ssh/ssh_host_ed25519_key\nPasswordAuthentication no\nUseDNS no\n' >"$root/etc/ssh/sshd_config.d/vm.conf"
cat >"$root/etc/fstab" <<'END'
LABEL=vm-root / ext4 errors=remount-ro 0 1
END
cat >"$root/etc/default/grub" <<'END'
GRUB_DEFAULT=0
GRUB_TIMEOUT=0
GRUB_DISTRIBUTOR=Debian
GRUB_CMDLINE_LINUX_DEFAULT="quiet"
GRUB_CMDLINE_LINUX="mitigations=off tsc=reliable console=ttyS0"
GRUB_TERMINAL=serial
GRUB_DISABLE_OS_PROBER=true
END
printf 'MODULES=list\nCOMPRESS=zstd\nCOMPRESSLEVEL=3\n' >"$root/etc/initramfs-tools/conf.d/vm.conf"
printf '%s\n' virtio_pci virtio_blk virtio_scsi sd_mod ext4 >>"$root/etc/initramfs-tools/modules"
for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer man-db.timer getty@tty1.service \
  serial-getty@ttyS0.service systemd-networkd-wait-online.service systemd-timesyncd.service e2scrub_reap.service; do
  ln -sf /dev/null "$root/etc/systemd/system/$unit"
done
chroot "$root" systemctl enable systemd-networkd ssh >/dev/null 2>&1

truncate -s 3G "$target.new"
sfdisk -q "$target.new" <<'END'
label: gpt
start=2048, size=2048, type=21686148-6449-6E6F-744E-656564454649
start=4096, type=0FC63DAF-8483-4772-8E79-3D69D8477DE4
END
size=$(sfdisk --json "$target.new" | python3 -c 'import json,sys; print(json.load(sys.stdin)["partitiontable"]["partitions"][1]["size"] // 2)')
loop=$(losetup -f --show "$target.new")
# Some kernels read no partition tables by themselves; telling them works everywhere.
partx -a "$loop" 2>/dev/null || partx -u "$loop"
for _ in 1 2 3 4 5 6 7 8 9 10; do
  [ ! -b "${loop}p2" ] || break
  sleep 0.3
done
[ -b "${loop}p2" ] || { echo "no ${loop}p2 appeared" >&2; exit 1; }
mkfs.ext4 -q -L vm-root -d "$root" "${loop}p2" "${size}k"
mount "${loop}p2" "$work/mnt"
for dir in dev proc sys; do mount --rbind /$dir "$work/mnt/$dir"; done
mount -t tmpfs tmpfs "$work/mnt/run"
chroot "$work/mnt" sh -ec "
  update-initramfs -u -k all
  grub-install --target=i386-pc --modules='part_gpt ext2 serial' $loop
  update-grub
"
# There is no udev here to tell the disk's UUID to update-grub, so it wrote the loop device.
sed -i "s,root=${loop}p2,root=LABEL=vm-root," "$work/mnt/boot/grub/grub.cfg"
grep -q 'root=LABEL=vm-root' "$work/mnt/boot/grub/grub.cfg"
umount "$work/mnt/run"
for dir in sys proc dev; do umount -R -l "$work/mnt/$dir"; done
fstrim "$work/mnt" || true
umount "$work/mnt"
partx -d "$loop"
losetup -d "$loop"
loop=
sync "$target.new"
mv "$target.new" "$target"
