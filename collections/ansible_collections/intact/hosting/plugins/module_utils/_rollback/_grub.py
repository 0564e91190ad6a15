# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""GRUB on BIOS disks: which disks it is on, what it has written there, and how its parts stay of one version on the way back.

GRUB's core lies outside of every file system and loads modules from /boot/grub/PLATFORM: both must be of one build. The core can't be
changed in one step with anything else, so it stays the newer one, with its modules, until the old system runs and installs its own.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil

from ansible_collections.intact.hosting.plugins.module_utils._command import which
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

PLATFORMS = ("i386-pc", "x86_64-efi", "i386-efi", "arm64-efi")
BIOS_BOOT = "21686148-6449-6e6f-744e-656564454649"
SECTOR = 512
GAP = 2048 * SECTOR


def sectors(place):
    """[{disk, sha256}] of the disks whose boot sector is GRUB's: a digest over boot code, the room before the first partition, and BIOS boot partitions."""
    said = place.run(["lsblk", "--json", "--bytes", "--paths", "-o", "NAME,TYPE,START,SIZE,PARTTYPE"], check=False)
    if said.rc:
        return []
    out = []
    for disk in json.loads(said.text).get("blockdevices") or []:
        if disk["type"] != "disk":
            continue
        try:
            found = _digest(disk)
        except OSError:
            continue
        if found:
            out.append({"disk": disk["name"], "sha256": found})
    return out


def _digest(disk):
    """sha256 of what GRUB owns on a disk, "" when its boot sector is not GRUB's."""
    with open(disk["name"], "rb") as handle:
        first = handle.read(SECTOR)
        if b"GRUB" not in first[:440]:
            return ""
        seen = hashlib.sha256(first[:440])
        parts = [p for p in disk.get("children") or [] if p["type"] == "part" and p.get("start")]
        own = [p for p in parts if (p.get("parttype") or "").lower() == BIOS_BOOT]
        start = min([int(p["start"]) for p in parts] or [0]) * SECTOR
        # With a BIOS boot partition the gap holds the partition table, which is not GRUB's.
        if not own and start:
            handle.seek(SECTOR)
            seen.update(handle.read(min(start, GAP) - SECTOR))
        for part in own:
            handle.seek(int(part["start"]) * SECTOR)
            seen.update(handle.read(min(int(part["size"]), GAP)))
    return seen.hexdigest()


def files(directory):
    """{relative path: sha256} of the plain files below a directory."""
    out = {}
    for folder, _folders, names in os.walk(directory):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.isfile(path) and not os.path.islink(path):
                out[os.path.relpath(path, directory)] = sha256(path)
    return out


def sha256(path):
    """Digest of a file."""
    seen = hashlib.sha256()
    with open(path, "rb") as handle:
        for chunk in iter(lambda: handle.read(1 << 20), b""):
            seen.update(chunk)
    return seen.hexdigest()


def carry_modules(place, tree):
    """The running system's GRUB modules into the old tree, whole directories by a rename each; the platforms that were carried."""
    done = []
    for platform in PLATFORMS:
        new, old = os.path.join(place.path("/boot/grub"), platform), os.path.join(tree, "boot/grub", platform)
        if not os.path.isdir(new) or not os.path.isdir(old) or files(new) == files(old):
            continue
        half, aside = old + ".intact-new", old + ".intact-old"
        for path in (half, aside):
            shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(new, half, symlinks=True)
        os.rename(old, aside)
        os.rename(half, old)
        shutil.rmtree(aside)
        done.append(platform)
    return done


def settle(place, known):
    """Install the old system's own GRUB again on the disks where the upgrade changed it. known: sectors() before the flight. Returns sentences."""
    now = {entry["disk"]: entry["sha256"] for entry in sectors(place)}
    changed = [entry["disk"] for entry in known if now.get(entry["disk"]) != entry["sha256"]]
    done = []
    for disk in changed:
        if not which("grub-install"):
            raise IntactError("GRUB on %s is the upgrade's, and this system has no grub-install: install grub-pc's package again" % disk)
        place.run(["grub-install", "--target=i386-pc", disk], timeout=600)
        done.append("GRUB of this system installed again on %s" % disk)
    return done
