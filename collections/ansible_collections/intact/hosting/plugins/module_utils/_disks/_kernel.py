# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.
"""Whether this kernel can read a filesystem, and what can when it can't."""

from __future__ import annotations

import gzip
import os
import re

SERVED = {"ext2": ("ext2", "ext4"), "ext3": ("ext3", "ext4"), "ntfs": ("ntfs3", "ntfs")}
# What reads it elsewhere: program that may be here, and a sentence.
READERS = {
    "reiserfs": (
        "grub-mount",
        "grub-mount (package grub-common) reads it here; so does a system with a kernel before 6.13 and its module reiserfs, such as Debian 11",
    ),
    "jfs": (
        "grub-mount",
        "grub-mount (package grub-common) reads it here; so does a system with the kernel module jfs, such as Debian with its standard kernel",
    ),
    "ntfs": ("ntfs-3g", "ntfs-3g (package ntfs-3g) reads it here"),
    "xfs": ("grub-mount", "grub-mount (package grub-common) reads it here; so does Debian 12 (kernel 6.1) in a helper machine"),
    "reiser4": ("", "no distribution's kernel reads it: a system with the reiser4 patches does"),
    "vfat": ("mcopy", "mtools reads it here; so does any system with the kernel module vfat"),
    "iso9660": ("bsdtar", "bsdtar (package libarchive-tools) or xorriso reads it here; so does any system with the kernel module isofs"),
}
NAMED = ("ext2", "ext3", "ext4", "xfs", "btrfs", "reiserfs", "reiser4", "jfs", "ntfs", "vfat", "iso9660", "squashfs")


def lacks(system, signature):
    """None when the kernel reads it, else {evidence, remedy, readers [programs here that can]}."""
    kind = signature["type"]
    if kind not in NAMED:
        return None
    release = os.uname().release
    names = SERVED.get(kind, (kind,))
    have = {line.split()[-1] for line in system.text("/proc/filesystems").splitlines() if line.strip()}
    evidence = ""
    if not have & set(names) and not any(_module(system, release, name) for name in names):
        evidence = "%s is neither in /proc/filesystems nor a module of kernel %s" % (" or ".join(names), release)
    elif kind == "xfs" and signature.get("version") != "v5" and not version4(system, release):
        evidence = "kernel %s reads XFS of version 5 only" % release
    if not evidence:
        return None
    program, sentence = READERS.get(kind, ("", "attach it to a system whose kernel has %s" % kind))
    here = program if program and system.which(program) else ""
    return {"evidence": evidence, "remedy": ("%s is installed here. " % here if here else "") + sentence, "readers": [here] if here else []}


def _module(system, release, name):
    base = "/lib/modules/%s" % release
    known = {"isofs": "iso9660", "fat": "vfat"}
    files = [re.split(r"\.ko", line.split(":")[0].rpartition("/")[2])[0] for line in system.text(base + "/modules.dep").splitlines()]
    return name in files or known.get(name) in files or any(key in files for key, value in known.items() if value == name)


def version4(system, release):
    """Whether the kernel was built with XFS version 4. Before 5.10 all were; later it is an option, off by default since September 2025."""
    numbers = [int(word) for word in re.findall(r"\d+", release)[:2]]
    if numbers < [5, 10]:
        return True
    text = system.text("/boot/config-" + release)
    if not text:
        packed = system.read("/proc/config.gz")
        text = gzip.decompress(packed).decode("utf-8", "replace") if packed else ""
    if "CONFIG_XFS_FS" in text:
        return "CONFIG_XFS_SUPPORT_V4=y" in text
    return numbers < [6, 17]
