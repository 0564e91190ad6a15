# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""The boot entry that goes back: GRUB's configuration with one entry more, and the small second initrd whose script merges before / is mounted. Pure.

The step from the new system to the old one must be one step. Merges of several volumes are several, and /boot is yet another file system:
so the one step is the rename of grub.cfg. From then on every boot, also after a cut, loads the old kernel and comes by the script, which asks
for every merge that is not under way yet, before any volume is in use. Nothing of the new system is ever seen beside something of the old one.
"""

from __future__ import annotations

import re

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

IDENT = "intact-back"
# The kernel's word by which initramfs-tools sources scripts/intact instead of only scripts/local.
BOOT = "boot=intact"
SCRIPT = """# Written by Intact. Sourced by initramfs-tools' init because of boot=intact: as scripts/local, but merges first.
intact_say() { echo "intact: $*" >&2; echo "<4>intact: $*" >/dev/kmsg 2>/dev/null || true; }
# Builtins and lvm only: an initrd without busybox has klibc's few programs (no tr, no sed, no rm).
intact_attr() {
  wanted=$1
  list=$(lvm lvs --noheadings -a -o lv_name,lv_attr "$vg") || panic "intact: the volumes of $vg can't be listed: nothing was merged by this boot"
  set -- $list
  [ $# -ge 2 ] || panic "intact: $vg has no volumes: nothing was merged by this boot"
  attr=
  while [ $# -ge 2 ]; do
    case "$1" in "$wanted"|"[$wanted]") attr=$2 ;; esac
    shift 2
  done
}
intact_back() {
  vg=%(vg)s
  snapshots="%(snapshots)s"
  modprobe -q dm-snapshot || true
  modprobe -q dm-thin-pool || true
  tries=0
  until lvm vgs "$vg" >/dev/null 2>&1; do
    tries=$((tries + 1))
    [ "$tries" -le 180 ] || panic "intact: the volume group $vg does not appear: nothing was merged"
    sleep 1
  done
  todo=
  for name in $snapshots; do
    intact_attr "$name"
    case "$attr" in
      "") ;;
      S*|O*) intact_say "$name is being merged" ;;
      I*|????I*) panic "intact: the snapshot $vg/$name is invalid: nothing was merged by this boot" ;;
      *) todo="$todo $vg/$name" ;;
    esac
  done
  # An active origin would only be marked, and / mounted as it is: nothing of the group may be in use while it is asked for.
  udevadm settle --timeout=30 || true
  tries=0
  until lvm vgchange --activate n "$vg"; do
    tries=$((tries + 1))
    [ "$tries" -le 15 ] || panic "intact: the volumes of $vg can't be taken out of use: nothing was merged by this boot"
    sleep 2
  done
  for lv in $todo; do
    intact_say "merging $lv"
    tries=0
    until lvm lvconvert --yes --background --merge "$lv"; do
      tries=$((tries + 1))
      [ "$tries" -le 5 ] || panic "intact: $lv can't be merged: start this entry again"
      sleep 2
    done
  done
  lvm vgchange --activate y --sysinit "$vg" || panic "intact: the volumes of $vg can't be activated"
  for name in $snapshots; do
    intact_attr "$name"
    case "$attr" in
      ""|S*|O*) ;;
      *) panic "intact: $name is not being merged: start this entry again" ;;
    esac
  done
}
# Disks that must be unlocked or assembled first are local-top's.
mount_top() { local_top; intact_back; }
mount_premount() { local_premount; }
mountroot() { local_mount_root; }
mount_bottom() { local_bottom; }
"""
NAME = re.compile(r"[a-zA-Z0-9+_.][a-zA-Z0-9+_.-]*\Z")


def script(group, snapshots):
    """Text of scripts/intact for one volume group and its snapshots. IntactError for a name that LVM would not take."""
    for name in [group] + list(snapshots):
        if not NAME.match(name):
            raise IntactError("%r is no name of LVM's" % name)
    return SCRIPT % {"vg": group, "snapshots": " ".join(snapshots)}


def cpio(files):
    """An archive in the format newc, as the kernel unpacks it behind another initrd. files: {path: (mode, bytes)}; directories have a mode too."""
    out = bytearray()
    for number, (path, (mode, data)) in enumerate([*sorted(files.items()), ("TRAILER!!!", (0, b""))], 1):
        name = path.encode() + b"\0"
        fields = (number if mode else 0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name), 0)
        out += b"070701" + b"".join(b"%08X" % field for field in fields) + name
        out += b"\0" * (-len(out) % 4)
        out += data
        out += b"\0" * (-len(out) % 4)
    return bytes(out) + b"\0" * (-len(out) % 512)


def initrd(group, snapshots):
    """The second initrd."""
    return cpio({"scripts": (0o040755, b""), "scripts/intact": (0o100644, script(group, snapshots).encode())})


def entries(text):
    """[(start, end, title, body)] of the menu entries of a grub.cfg, those in submenus too."""
    out = []
    for head in re.finditer(r"^[ \t]*menuentry\s+(?:'([^']*)'|\"([^\"]*)\")[^\n]*\{[ \t]*\n", text, re.M):
        end = re.compile(r"^[ \t]*\}[ \t]*$", re.M).search(text, head.end())
        if end:
            out.append((head.start(), end.end(), head.group(1) or head.group(2) or "", text[head.end() : end.start()]))
    return out


def parts(text, release):
    """{body, path, arguments} of the entry that boots this kernel: path: GRUB's directory of it, arguments: the kernel line's rest. IntactError without one."""
    for _start, _end, title, body in entries(text):
        line = re.search(r"^[ \t]*linux\S*[ \t]+(\S*?)vmlinuz-%s(?:[ \t]+([^\n]*))?$" % re.escape(release), body, re.M)
        if line and "recovery" not in title and re.search(r"^[ \t]*initrd\S*[ \t]", body, re.M):
            return {"body": body, "path": line.group(1), "arguments": (line.group(2) or "").strip()}
    raise IntactError("grub.cfg has no entry with an initrd for the kernel %s that runs: update-grub, reboot and look again" % release)


def configuration(text, release, folder, title):
    """grub.cfg that boots the files vmlinuz, initrd.img and back.img below folder (a directory beside the kernels) by itself, made from the old one."""
    found = parts(text, release)
    kept = [line for line in found["body"].splitlines() if not re.match(r"\s*(linux|initrd|echo)", line)]
    head = text[: entries(text)[0][0]]
    # A submenu may be what the first entry lies in: its opening line must not be left behind.
    head = re.sub(r"(?m)^[ \t]*submenu[^\n]*\{[ \t]*\n", "", head)
    where = found["path"] + folder
    lines = [
        "# Written by Intact: %s" % title,
        head.rstrip("\n"),
        "menuentry '%s' --unrestricted --id %s {" % (title.replace("'", ""), IDENT),
        *kept,
        "\tlinux %s/vmlinuz %s %s" % (where, found["arguments"], BOOT),
        "\tinitrd %s/initrd.img %s/back.img" % (where, where),
        "}",
        "set default=%s" % IDENT,
        "set timeout=0",
        "",
    ]
    return "\n".join(lines)
