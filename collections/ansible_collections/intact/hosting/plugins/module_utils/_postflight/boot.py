# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Will this host start again: initramfs, boot loader and its default, EFI partitions and boot sectors (QF36). A container has no such things."""

from __future__ import annotations

import hashlib
import json
import os
import stat

from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError
from ansible_collections.intact.hosting.plugins.module_utils._postflight import _grub
from ansible_collections.intact.hosting.plugins.module_utils._postflight.release import version_key

CONTAINERS = ("/run/systemd/container", "/.dockerenv", "/run/.containerenv")
CONFIGURATIONS = ("/boot/grub/grub.cfg", "/boot/grub2/grub.cfg")
ESP = "c12a7328-f81f-11d2-ba4b-00c04fc93ec9"
REMAKE = {"/boot/grub/grub.cfg": "update-grub", "/boot/grub2/grub.cfg": "grub2-mkconfig -o /boot/grub2/grub.cfg"}


def kernels(host):
    """Versions of the kernels in /boot, the newest last; rescue images are none."""
    found = [path.rpartition("/vmlinuz-")[2] for path in host.glob("/boot/vmlinuz-*")]
    return sorted((version for version in found if "rescue" not in version and not version.endswith((".old", ".bak"))), key=version_key)


def initrd_of(host, version):
    """Path of a kernel's initramfs, or ""."""
    names = ("/boot/initrd.img-%s" % version, "/boot/initramfs-%s.img" % version, "/boot/initrd-%s" % version, "/boot/initrd-%s.img" % version)
    return next((name for name in names if host.exists(name)), "")


def _finding(name, severity, subject, title, evidence, remedy):
    return Finding(id="boot." + name, severity=severity, subject=subject, title=title, evidence=evidence, remedy=remedy)


def _judged(host):
    return not any(host.exists(path) for path in CONTAINERS) and kernels(host)


def initramfs(context):
    """QF36: the newest kernel has its modules, and an initramfs that is whole and not older."""
    host = context.host
    found = _judged(host)
    if not found:
        return []
    newest, subject = found[-1], "kernel %s" % found[-1]
    out = []
    if not any(host.exists("%s/modules/%s" % (place, newest)) for place in ("/lib", "/usr/lib")):
        out.append(
            _finding(
                "modules.missing",
                "blocker",
                subject,
                "its modules are not there",
                "/lib/modules/%s" % newest,
                "apt-get install --reinstall linux-image-%s" % newest,
            )
        )
    path = initrd_of(host, newest)
    remedy = "update-initramfs -c -k %s (dracut --force --kver %s), then the boot loader's configuration" % (newest, newest)
    if not path:
        # a host whose kernels all start without one was made so
        if any(initrd_of(host, version) for version in found):
            out.append(_finding("initramfs.missing", "blocker", subject, "it has no initramfs", "other kernels in /boot have one", remedy))
        return out
    real, kernel = host.lstat(host.realpath(path)), host.lstat(host.realpath("/boot/vmlinuz-" + newest))
    if real is None or not stat.S_ISREG(real.st_mode) or real.st_size == 0:
        return out + [_finding("initramfs.broken", "blocker", subject, "its initramfs is empty", path, remedy)]
    if kernel is not None and real.st_mtime < kernel.st_mtime:
        out.append(_finding("initramfs.old", "blocker", subject, "its initramfs is older than the kernel itself", path, remedy))
    lister = next((program for program in ("lsinitramfs", "lsinitrd") if host.which(program)), "")
    if lister:
        listed = host.run([lister, path], timeout=180, check=False)
        names = listed.text.split("\n")
        if listed.rc != 0 or not any(line.split(" ")[-1] == "init" or line.endswith("/init") for line in names):
            evidence = "%s %s: %s" % (lister, path, (listed.error.splitlines() or ["it holds no init"])[-1])
            out.append(_finding("initramfs.broken", "blocker", subject, "its initramfs can't be read", evidence, remedy))
    return out


def loader(context):
    """QF36: the boot loader's configuration is sound, starts the newest kernel by default, and names files that are there."""
    host = context.host
    found = _judged(host)
    if not found:
        return []
    path = next((name for name in CONFIGURATIONS if host.exists(name)), "")
    entries, name = [], "0"
    if path:
        text = host.text(path)
        env = _grub.environment(host.read(os.path.dirname(path) + "/grubenv") or b"")
        entries, name = _grub.menu(text), _grub.default_name(text, env)
        checker = next((program for program in ("grub-script-check", "grub2-script-check") if host.which(program)), "")
        if checker:
            said = host.run([checker, path], check=False)
            if said.rc != 0:
                return [_finding("loader.broken", "blocker", path, "GRUB can't read its configuration", said.error, REMAKE[path])]
    specified = host.glob("/boot/loader/entries/*.conf")
    if specified and (not path or "blscfg" in text):
        listed = _grub.specified({file.rpartition("/")[2]: host.text(file) for file in specified})
        entries = sorted(listed, key=lambda entry: version_key(entry["version"] or entry["id"]), reverse=True) + entries
    started = [entry for entry in _grub.flat(entries) if entry["linux"]]
    if not started:
        return [
            _finding(
                "loader.unjudged",
                "warning",
                "boot loader",
                "whether it starts the new kernel can't be told",
                "no entry in %s" % (path or " or ".join(CONFIGURATIONS)),
                "look at its configuration by hand, or see the host start once more (postflight_second_reboot)",
            )
        ]
    remedy = "%s, and look at GRUB_DEFAULT in /etc/default/grub" % REMAKE.get(path, "kernel-install add")
    newest = found[-1]
    if not any(entry["linux"].endswith("/vmlinuz-" + newest) for entry in started):
        return [_finding("entry.missing", "blocker", "kernel %s" % newest, "no entry of the boot loader starts it", "%d entries" % len(started), remedy)]
    default = _grub.chosen(entries, name)
    out = []
    if default is None or not default["linux"].endswith("/vmlinuz-" + newest):
        seen = "%s starts %s" % (name, default["linux"] or "no kernel") if default else name
        out.append(_finding("default.old", "blocker", "kernel %s" % newest, "the boot loader's default is another one", seen, remedy))
    else:
        for file in [default["linux"]] + default["initrd"]:
            real = "/boot/" + file.rpartition("/")[2]
            # microcode and the like may lie beside the initramfs; variables are not ours to follow
            if "$" not in file and not host.exists(real):
                out.append(_finding("file.missing", "blocker", real, "the boot loader's default names it, and it is not there", default["title"], remedy))
    return out


def _devices(host, argv):
    try:
        listed = host.run(["lsblk", "-J", "-o", "PATH,TYPE,PARTTYPE,MOUNTPOINT"] + argv, check=False)
        rows = json.loads(listed.text or "{}").get("blockdevices", [])
    except (ValueError, IntactError):
        return []
    out = []
    while rows:
        row = rows.pop(0)
        rows += row.get("children", [])
        out.append(row)
    return out


def efi(context):
    """QF36: on EFI, the partition that the firmware reads has a boot loader, and those of all disks have the same."""
    host = context.host
    if not _judged(host) or not host.exists("/sys/firmware/efi"):
        return []
    partitions = [row for row in _devices(host, []) if (row.get("parttype") or "").lower() == ESP]
    mounted = sorted({row["mountpoint"] for row in partitions if row.get("mountpoint")} | {p for p in ("/boot/efi", "/efi") if host.exists(p + "/EFI")})
    if not mounted:
        return [
            _finding(
                "esp.unmounted",
                "warning",
                "EFI partition",
                "none is mounted: whether its boot loader is the new one can't be told",
                ", ".join(sorted(row["path"] for row in partitions)) or "no partition of this type",
                "mount it on /boot/efi (fstab), then grub-install",
            )
        ]
    held = {point: loaders(host, point) for point in mounted}
    out = []
    for point in mounted:
        if not held[point]:
            out.append(_finding("esp.empty", "blocker", point, "it holds no boot loader", "no *.efi below EFI", "grub-install, then efibootmgr -v"))
    first = next((point for point in mounted if held[point]), None)
    for point in mounted:
        if first and held[point] and held[point] != held[first]:
            differ = sorted(name for name in set(held[first]) | set(held[point]) if held[first].get(name) != held[point].get(name))
            evidence = "%s and %s differ in %s" % (first, point, ", ".join(differ[:5]))
            out.append(
                _finding(
                    "esp.differs",
                    "blocker",
                    point,
                    "the EFI partitions of two disks differ",
                    evidence,
                    "grub-install to each (dpkg-reconfigure grub-efi-amd64)",
                )
            )
    unlooked = sorted(row["path"] for row in partitions if not row.get("mountpoint"))
    if unlooked:
        title = "this EFI partition is not mounted: whether the host starts from its disk can't be told"
        out += [
            _finding("esp.unlooked", "warning", path, title, "mounted: " + ", ".join(mounted), "mount it and compare, or copy the other one to it")
            for path in unlooked
        ]
    return out


def loaders(host, point):
    """{path below the partition in small letters: digest} of the boot loaders on a mounted EFI partition."""
    paths = set()
    for pattern in ("/[Ee][Ff][Ii]/*/*.[Ee][Ff][Ii]", "/[Ee][Ff][Ii]/*/*.[Cc][Ff][Gg]"):
        paths.update(host.glob(point + pattern))
    found = {path[len(point) :].lower(): hashlib.sha256(host.read(path) or b"").hexdigest() for path in sorted(paths)}
    return found if any(name.endswith(".efi") for name in found) else {}


def sectors(context):
    """QF36: without EFI, every disk below /boot has GRUB in its boot sector, and the disks that grub-pc writes to are there."""
    host = context.host
    if not _judged(host) or host.exists("/sys/firmware/efi") or not host.exists("/boot/grub/grub.cfg"):
        return []
    out = []
    if host.which("debconf-show"):
        said = host.run(["debconf-show", "grub-pc"], check=False).text
        line = next((line.partition("install_devices:")[2] for line in said.splitlines() if "grub-pc/install_devices:" in line), "")
        for path in filter(None, (part.strip() for part in line.split(","))):
            if not host.exists(path):
                title = "grub-pc writes its boot sector to this disk, which is not there"
                out.append(
                    _finding(
                        "disk.gone", "warning", path, title, "debconf: grub-pc/install_devices", "dpkg-reconfigure grub-pc, and name the disks that are there"
                    )
                )
    source = host.run(["findmnt", "-n", "-o", "SOURCE", "-T", "/boot"], check=False).text.strip().partition("[")[0]
    disks = sorted({row["path"] for row in _devices(host, ["-s", source]) if row.get("type") == "disk"}) if source.startswith("/dev/") else []
    codes = {}
    for path in disks:
        try:
            codes[path] = b"GRUB" in host.blocks(path, 0, 512)
        except OSError:
            continue
    # none at all: another boot loader, or a machine whose hypervisor starts the kernel
    if any(codes.values()):
        for path in sorted(path for path, has in codes.items() if not has):
            title, others = "the host does not start from this disk, should the others fail", ", ".join(sorted(p for p, has in codes.items() if has))
            out.append(_finding("sector.missing", "warning", escape(path), title, "GRUB's boot sector is only on " + others, "grub-install %s" % path))
    return out
