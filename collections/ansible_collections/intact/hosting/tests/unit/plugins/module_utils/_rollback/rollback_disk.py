# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A btrfs of a test's own on a loop device, its root subvolume mounted as a host's / would be."""

from __future__ import annotations

import os
import subprocess

from ansible_collections.intact.hosting.plugins.module_utils._rollback._place import Place


def do(*argv):
    done = subprocess.run([str(word) for word in argv], capture_output=True, text=True, check=False)
    assert done.returncode == 0, (argv, done.stderr)
    return done.stdout.strip()


class Disk:
    """A btrfs with the subvolume @rootfs; `boot()` mounts what a boot would: by name, or the default subvolume."""

    def __init__(self, folder):
        self.folder, self.by_name = folder, True
        self.image, self.top, self.root = folder / "disk.img", folder / "top", folder / "root"
        self.loop = ""

    def make(self):
        with open(self.image, "wb") as handle:
            handle.truncate(256 << 20)
        do("mkfs.btrfs", "-q", self.image)
        self.loop = do("losetup", "--find", "--show", self.image)
        self.top.mkdir()
        self.root.mkdir()
        do("mount", self.loop, self.top)
        do("btrfs", "subvolume", "create", self.top / "@rootfs")
        do("umount", self.top)
        self.boot()
        for path in ("etc", "boot/grub", "var/lib/intact", "home", "proc"):
            (self.root / path).mkdir(parents=True)
        self.name_it("subvol=@rootfs")
        (self.root / "etc/os-release").write_text("VERSION_CODENAME=old\n")
        return self

    def name_it(self, options):
        """fstab's word for /."""
        (self.root / "etc/fstab").write_text("LABEL=x / btrfs %s 0 0\n" % options)

    def boot(self):
        """What is at / after a reboot."""
        if os.path.ismount(self.root):
            do("umount", self.root)
        do("mount", *(["-o", "subvol=@rootfs"] if self.by_name else []), self.loop, self.root)

    def cut(self):
        """Power off and on: private mounts are gone."""
        for mount in sorted(self.mounts(), key=len, reverse=True):
            do("umount", mount)
        self.boot()

    def mounts(self):
        with open("/proc/self/mounts", encoding="utf-8") as handle:
            return [line.split()[1] for line in handle if line.split()[1].startswith(str(self.folder) + "/")]

    def place(self, run=None):
        place = Place(root=str(self.root), work=str(self.folder / "work"))
        if run:
            place.run = run
        return place

    def close(self):
        for mount in sorted(self.mounts(), key=len, reverse=True):
            subprocess.run(["umount", mount], check=False)
        if self.loop:
            subprocess.run(["losetup", "-d", self.loop], check=False)
