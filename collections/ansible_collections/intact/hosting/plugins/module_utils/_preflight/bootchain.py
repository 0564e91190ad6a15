# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""The way from the firmware to the new kernel: GRUB where the machine looks for it (PF26), and is it our GRUB that boots this host at all (PF27)."""

from __future__ import annotations

import os
import re

from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding
from ansible_collections.intact.hosting.plugins.module_utils._preflight import _machine

# A word on the kernel's command line that only our boot loader's configuration can have put there.
TAG = "intact.boot="
ESP = ("/boot/efi", "/efi", "/boot")
ENTRIES = ("/boot/loader/entries", "/boot/efi/loader/entries", "/efi/loader/entries")
PROOF = (
    "prove it once, in a window: echo 'GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX intact.boot=1\"' > /etc/default/grub.d/intact.cfg && update-grub && reboot; "
    "then grep intact.boot /proc/cmdline. If it is not there, somebody else (provider, PXE, hypervisor) chooses the kernel: have that changed"
)


def parse_debconf(text):
    """{question: (value, was answered)} of debconf-show. Pure."""
    return {name: (value.strip(), mark == "*") for mark, name, value in re.findall(r"^([* ]) (\S+?):(.*)$", text, re.M)}


def answers(context, package):
    """What debconf knows of a package's questions, {} when it is not installed or there is no debconf."""
    if not context.host.which("debconf-show") or not context.installed(package):
        return {}
    return context.once("debconf " + package, lambda: parse_debconf(context.host.run(["debconf-show", package], check=False).text))


def unseen(context, ident, what):
    """The one finding that a container gets, whose kernel belongs to somebody else."""
    evidence = "it belongs to the machine below this %s container" % context.container()
    return [Finding(ident, "info", what, "this can't be judged here", evidence)]


def loader(context):
    """PF26: the boot loader's package would write to disks that are there, and each disk that the machine may boot from has it."""
    if context.container():
        return unseen(context, "boot.loader.unseen", "boot loader")
    if context.host.exists("/sys/firmware/efi"):
        return _efi(context)
    return _bios(context)


def _bios(context):
    host, found = context.host, []
    if not context.installed("grub-pc"):
        title = "GRUB for this machine's firmware (grub-pc) is not installed: nobody knows what the upgrade does to the boot loader"
        others = ", ".join(context.installed("grub-*", "lilo", "extlinux", "syslinux*")) or "none"
        return [Finding("boot.loader.other", "warning", "boot loader", title, "installed boot loaders: %s" % others, "know how this host boots; see PF27")]
    told = answers(context, "grub-pc")
    value, _seen = told.get("grub-pc/install_devices", ("", False))
    devices = [part.strip() for part in value.split(",") if part.strip()]
    none_wanted = told.get("grub-pc/install_devices_empty", ("", False))[0] == "true"
    reset = "grub-install DISK on each of them, then dpkg-reconfigure grub-pc (choose the same disks by their /dev/disk/by-id names)"
    gone = [device for device in devices if not host.exists(device)]
    if gone:
        title = "the package grub-pc would install to a disk that is not there, and stop in the middle"
        found.append(Finding("boot.loader.device", "blocker", ", ".join(gone), title, "grub-pc/install_devices: %s" % value, reset))
    unstable = [device for device in devices if device not in gone and re.match(r"/dev/(sd|vd|hd|xvd|nvme)\w+$", device)]
    if unstable and sum(1 for item in context.items("disks").values() if item.get("kind") == "disk") > 1:
        title = "grub-pc knows its disk by a name that the next kernel may give to another one"
        found.append(Finding("boot.loader.name", "warning", ", ".join(unstable), title, "grub-pc/install_devices: %s" % value, reset))
    if not devices:
        title = "grub-pc has no disk to install to: the boot sector stays the old release's"
        evidence = "grub-pc/install_devices is empty" + (", as somebody chose" if none_wanted else "")
        found.append(Finding("boot.loader.unanswered", "info" if none_wanted else "warning", "grub-pc", title, evidence, reset))
    return found + _members(context, [host.realpath(device) for device in devices])


def in_sector(host, path):
    """Whether GRUB's first stage is in a disk's boot sector; None when it can't be read."""
    try:
        return b"GRUB" in host.blocks(path, 0, 512)
    except OSError:
        return None


def _members(context, devices):
    items = context.items("disks")
    disks, way = _machine.beneath(items, "/boot")
    mirrored = len(disks) > 1 and _machine.mirrored(context, items, way)
    state = {subject: in_sector(context.host, items[subject]["path"]) for subject in disks}
    found = []
    for subject in disks:
        path = items[subject]["path"]
        if state[subject] is False and (mirrored or not any(state.values())):
            severity = "blocker" if any(state.values()) else "warning"
            title = "this disk carries /boot and has no GRUB in its boot sector" + (": if the other one fails, nothing boots" if severity == "blocker" else "")
            found.append(Finding("boot.loader.member", severity, subject, title, path, "grub-install %s, and name it in dpkg-reconfigure grub-pc" % path))
        elif mirrored and devices and context.host.realpath(path) not in devices:
            title = "this disk of the array is not among those that grub-pc keeps up to date"
            found.append(Finding("boot.loader.member", "blocker", subject, title, path, "dpkg-reconfigure grub-pc, and choose this disk too"))
    return found


def _efi(context):
    host, found = context.host, []
    for place in [line.split()[1] for line in host.text("/proc/mounts").splitlines() if line.split()[2:3] == ["autofs"]]:
        if place in ESP:
            host.listdir(place)  # whoever looks into it has it mounted
    mounts = [line.split() for line in host.text("/proc/mounts").splitlines() if len(line.split()) > 3]
    esp = next((words for place in ESP for words in mounts if words[1] == place and words[2] == "vfat"), None)
    if not esp:
        title = "the EFI system partition is not mounted: the boot loader's package can't write to it"
        remedy = "mount /boot/efi, and see that fstab has it; blkid -t TYPE=vfat lists what it may be"
        return [Finding("boot.esp.unmounted", "blocker", "/boot/efi", title, "no vfat file system at %s" % ", ".join(ESP), remedy)]
    if "rw" not in esp[3].split(","):
        remedy = "mount -o remount,rw %s; if it refuses, unmount it and run fsck.vfat %s" % (esp[1], esp[0])
        found.append(Finding("boot.esp.readonly", "blocker", esp[1], "the EFI system partition can't be written to", "%s: %s" % (esp[0], esp[3]), remedy))
    if not context.installed("grub-efi-*", "systemd-boot", "systemd-boot-efi", "refind", "shim-signed"):
        title = "this machine starts by EFI, and no package brings a boot loader for it"
        found.append(
            Finding("boot.loader.other", "warning", "boot loader", title, ", ".join(context.installed("grub-*")) or "none", "apt-get install grub-efi-amd64")
        )
    items = context.items("disks")
    disks, way = _machine.beneath(items, "/")
    if len(disks) > 1 and _machine.mirrored(context, items, way):
        for subject in disks:
            if not any(item.get("type") == "vfat" and item.get("parent") == subject for item in items.values()):
                title = "this disk carries / and has no EFI system partition: if the other one fails, nothing boots"
                remedy = "make one on it, grub-install --efi-directory on it, and an entry of its own with efibootmgr"
                found.append(Finding("boot.loader.member", "blocker", subject, title, items[subject]["path"], remedy))
    return found + _entries(context, items)


def _entries(context, items):
    """The firmware's boot entries: the first one leads to a partition that is there."""
    if not context.host.which("efibootmgr"):
        return []
    said = context.host.run(["efibootmgr", "-v"], check=False).text
    order = (re.findall(r"^BootOrder: (\S+)", said, re.M) or [""])[0].split(",")
    known = {str(item.get("partuuid") or "").lower() for item in items.values()} - {""}
    for number in order[:1]:
        line = (re.findall(r"^Boot%s\*? (.*)$" % re.escape(number), said, re.M) or [""])[0]
        partition = re.search(r"HD\(\d+,GPT,([0-9a-fA-F-]+)", line)
        if partition and known and partition.group(1).lower() not in known:
            title = "the firmware's first boot entry leads to a partition that is not here"
            remedy = "grub-install writes it anew; efibootmgr -v shows all of them"
            return [Finding("boot.loader.entry", "warning", "Boot" + number, title, escape(line)[:200], remedy)]
    return []


def kernel_lines(text):
    """[(kernel's file name, [arguments])] of the linux lines of a grub.cfg, in order. Pure."""
    out = []
    # under Xen the kernel is a module of the hypervisor
    for line in re.findall(r"^\s*(?:linux(?:16|efi)?|module2?(?=\s+\S*vmlinuz))\s+(\S.*)$", text, re.M):
        words = line.split()
        out.append((os.path.basename(words[0]), _settled(words[1:])))
    return out


def entry_lines(texts, environment=""):
    """The same of the files of boot loader entries (/boot/loader/entries), the newest version first. environment: text of grubenv. Pure."""
    out = []
    for text in texts:
        held = dict(re.findall(r"^(linux|options|version)\s+(\S.*)$", text, re.M))
        options = held.get("options", "")
        for name in re.findall(r"\$(\w+)", options):
            value = re.search(r"^%s=(.*)$" % re.escape(name), environment, re.M)
            options = options.replace("$" + name, value.group(1) if value else "")
        if held.get("linux"):
            number = [int(part) for part in re.findall(r"\d+", held.get("version") or held["linux"])]
            out.append((number, os.path.basename(held["linux"].split()[0]), _settled(options.split())))
    return [(kernel, arguments) for _number, kernel, arguments in sorted(out, key=lambda row: row[0], reverse=True)]


def _settled(words):
    """Arguments without what the boot loader decides at the moment itself."""
    return [word for word in words if word != "placeholder" and not word.startswith(("$", "vt.handoff=", "BOOT_IMAGE=", "initrd="))]


def booted_by(cmdline, lines):
    """ "entry": the running command line is one of GRUB's; "kernel": its kernel and root are; "": neither. Pure."""
    words = cmdline.split()
    image = next((os.path.basename(word.split("=", 1)[1]) for word in words if word.startswith("BOOT_IMAGE=")), "")
    rest = sorted(_settled(words))
    root = [word for word in rest if word.startswith("root=")]
    if any(image in (name, "") and rest == sorted(arguments) and rest for name, arguments in lines):
        return "entry"
    return "kernel" if any(image == name and root and root[0] in arguments for name, arguments in lines) else ""


def proven(context):
    """PF27: the running system was booted by the boot loader whose configuration the upgrade changes."""
    if context.container():
        return unseen(context, "boot.unseen", "boot chain")
    host = context.host
    cmdline = host.text("/proc/cmdline").strip()
    tags = [word for word in cmdline.split() if word.startswith(TAG)]
    texts = [host.text(path) for path in ["/etc/default/grub"] + host.glob("/etc/default/grub.d/*.cfg")]
    if any(re.search(r"(?m)^[^#\n]*" + re.escape(tag), text) for tag in tags for text in texts):
        return [
            Finding("boot.proven", "info", "boot chain", "this host boots by our boot loader's configuration", "%s is on the kernel's command line" % tags[0])
        ]
    config = next((path for path in ("/boot/grub/grub.cfg", "/boot/grub2/grub.cfg") if host.exists(path)), "")
    grubenv = host.text(os.path.dirname(config) + "/grubenv") if config else ""
    entries = [host.text(path) for directory in ENTRIES for path in host.glob(directory + "/*.conf")]
    lines = (kernel_lines(host.text(config)) if config else []) + entry_lines(entries, grubenv)
    how = booted_by(cmdline, lines)
    evidence = "/proc/cmdline: %s" % escape(cmdline)[:300]
    # A virtual machine is reached by its hypervisor; before a bare one somebody would have to stand.
    grave = "warning" if _machine.hypervisor(context) else "blocker"
    if not config and not lines:
        title = "there is neither a configuration of GRUB nor an entry: which boot loader starts this host was not found"
        return [Finding("boot.unproven", grave, "boot chain", title, evidence, PROOF)]
    if how == "":
        title = "the kernel was started in a way that the boot loader's configuration does not know: the new one may never be booted"
        return [Finding("boot.unproven", grave, "boot chain", title, "%s; %s: %d entries" % (evidence, config or ENTRIES[0], len(lines)), PROOF)]
    found = []
    if how == "kernel":
        title = "the running kernel is the boot loader's, its command line is not: settings were changed since, or somebody else starts it"
        found.append(Finding("boot.likely", "warning", "boot chain", title, evidence, "reboot in a window so that both agree, or " + PROOF))
    if not config:
        return found
    default = re.search(r'^\s*set default="([^"$]*)"', host.text(config), re.M)
    pinned = default.group(1) if default else "0"
    if pinned not in ("", "0") or re.search(r'set default="\$\{saved_entry\}"', host.text(config)):
        entry = (re.findall(r"^saved_entry=(.+)$", grubenv, re.M) or [pinned if pinned != "0" else ""])[0]
        if entry:
            title = "GRUB is told to start one certain entry: the new kernel would not be booted"
            remedy = "set GRUB_DEFAULT=0 in /etc/default/grub and run update-grub (grub-editenv - unset saved_entry)"
            found.append(Finding("boot.pinned", "warning", "GRUB", title, "the entry is %s" % escape(entry)[:200], remedy))
    elif lines and host.kernel() not in lines[0][0]:
        title = "GRUB's first entry is another kernel than the one that runs"
        found.append(
            Finding(
                "boot.default", "warning", "GRUB", title, "%s is first, %s runs" % (lines[0][0], host.kernel()), "reboot in a window, then run check-host again"
            )
        )
    return found
