# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of the disk under /home."""

from __future__ import annotations

import glob
import os
import shutil
import sys
import time
from pathlib import Path

from fault_kinds import Fault, rewrite, run


class MountMissing(Fault):
    """The data disk was not mounted, and an old copy of some homes lies in the mount point. users: units that keep files open there."""

    def __init__(self, leftovers: dict[str, str], users: tuple[str, ...]) -> None:
        self.leftovers, self.users = leftovers, users

    def inject(self) -> None:
        unmount("/home", self.users)
        for path, text in self.leftovers.items():
            os.makedirs(os.path.dirname(path), exist_ok=True)
            Path(path).write_text(text, encoding="ascii")

    def undo(self) -> None:
        for name in {path.split("/")[2] for path in self.leftovers}:
            shutil.rmtree(f"/home/{name}")
        run("mount", "/home")
        settle(self.users)

    def there(self) -> bool:
        return not os.path.ismount("/home") and all(os.path.isfile(path) for path in self.leftovers)


class DiskReplaced(Fault):
    """Another, empty disk under the same mount point, and an fstab that agrees with it."""

    uuid = "0e9b7a44-57aa-4f7d-8f0e-000000000e0e"

    def __init__(self, users: tuple[str, ...]) -> None:
        self.users = users

    def inject(self) -> None:
        self.save("/etc/fstab")
        old = run("findmnt", "-no", "UUID", "/home").strip()
        spare = self.spare()
        run("mkfs.ext4", "-q", "-F", "-U", self.uuid, "-L", "home", spare)
        unmount("/home", self.users)
        rewrite("/etc/fstab", f"UUID={old}", f"UUID={self.uuid}")
        link = f"/dev/disk/by-uuid/{self.uuid}"
        if not os.path.lexists(link):
            os.symlink(spare, link)
        run("mount", "/home")

    def undo(self) -> None:
        unmount("/home", self.users)
        run("wipefs", "-qa", self.spare())
        os.unlink(f"/dev/disk/by-uuid/{self.uuid}")
        self.restore()
        run("systemctl", "daemon-reload")
        run("mount", "/home")
        settle(self.users)

    def there(self) -> bool:
        return os.path.ismount("/home") and os.listdir("/home") == ["lost+found"]

    def spare(self) -> str:
        """The data disk that is not mounted."""
        for device in glob.glob("/dev/loop[0-9]*"):
            if "ext4" not in run("blkid", device, check=False) or self.uuid in run("blkid", device, check=False):
                return device
        sys.exit("faults: this host has no second, empty disk")


def unmount(point: str, users: tuple[str, ...]) -> None:
    for unit in users:
        run("systemctl", "stop", unit)
    run("systemctl", "daemon-reload")
    run("umount", point)
    settle(users)


def settle(users: tuple[str, ...]) -> None:
    """Start again what unmount() stopped; some of it may not start without its files, which is part of the fault."""
    units = []
    for unit in users:
        enabled = run("systemctl", "list-unit-files", "--no-legend", "--state=enabled,generated", unit).split()
        units += [word for word in enabled if word.endswith(".service")]
    for unit in units:
        run("systemctl", "restart", unit, check=False)
    time.sleep(1)
