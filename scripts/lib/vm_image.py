# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The base disk of the virtual machine: a Debian with its own kernel and boot loader, cached by its recipe's hash.

Containers share a kernel without device-mapper and md; what needs these runs in this machine. Only overlays of the disk
are ever booted, so that each run starts from the same bytes.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from pathlib import Path

import apt_sources
from lab_disk import cache
from steps import StepFailed, run, say

HERE = Path(__file__).resolve().parent
SUITE = "bookworm"
PACKAGES = (
    "systemd systemd-sysv dbus udev openssh-server python3 python3-apt lvm2 mdadm cryptsetup-bin xfsprogs btrfs-progs e2fsprogs dosfstools dmsetup "
    "util-linux fdisk gdisk kmod iproute2 procps rsync grub-pc initramfs-tools linux-image-cloud-amd64 zstd ca-certificates smartmontools"
).split()
TOOLS = {
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "mmdebstrap": "mmdebstrap",
    "mkfs.ext4": "e2fsprogs",
    "sfdisk": "fdisk",
    "losetup": "mount",
    "ssh": "openssh-client",
}


def missing_tools() -> dict[str, str]:
    """Commands that are not here, with the Debian package that has each."""
    sbin = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    return {tool: package for tool, package in TOOLS.items() if not shutil.which(tool, path=sbin)}


def folder() -> Path:
    return cache() / "vm"


def key() -> str:
    """Hash of everything that the disk is made from: recipe, builder, and where packages come from."""
    parts = [SUITE, PACKAGES, (HERE / "vm_image.sh").read_text(encoding="utf-8"), apt_sources.configured_uris(), apt_sources.shared_options()]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]


def ensure(log: Path, rebuild: bool = False) -> Path:
    """The base disk (raw), built unless it is there. Raises StepFailed with the reason."""
    target = folder() / f"base-{key()}.raw"
    if target.exists() and not rebuild:
        return target
    if os.geteuid():
        raise StepFailed("building the machine's disk needs root: run this as root")
    missing = missing_tools()
    if missing:
        raise StepFailed(f"building the machine's disk needs {', '.join(missing)}: install {' '.join(sorted(set(missing.values())))}")
    folder().mkdir(parents=True, exist_ok=True)
    with (folder() / "build.lock").open("w") as lock:
        # Two checkouts that need the same disk build it once.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if rebuild or not target.exists():
            build(target, log)
            for old in folder().glob("base-*.raw"):
                if old != target:
                    say(f"    {old.name}: of an older recipe, taken away")
                    old.unlink()
    return target


def build(target: Path, log: Path) -> None:
    sources = apt_sources.source_lines(SUITE, apt_sources.configured_uris())
    if not sources:
        say(f"    no mirror in this machine's apt configuration has {SUITE}, mmdebstrap's default is used")
    options = ["--aptopt=" + option.rstrip(";") for option in apt_sources.shared_options()]
    keyring = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
    if keyring.is_file():
        options.append(f"--keyring={keyring}")
    script = ["bash", str(HERE / "vm_image.sh"), str(target), SUITE, ",".join(PACKAGES), "--", *options, "--", *sources]
    log.unlink(missing_ok=True)
    run("virtual machine: its disk from the archive", ["unshare", "--mount", *script], log)
    if not target.exists():
        raise StepFailed(f"{target} is not there although its build ended without an error: see {log}")
