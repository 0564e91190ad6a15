# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real disks for the tests of attaching: images with real filesystems, crashed ones too, on loop devices that are writable as a disk is."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._disks import _attach, _look
from ansible_collections.intact.hosting.plugins.module_utils._system import System
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._disks.look_images import settled

MIB = 1 << 20
MAKE = {
    "ext3": (24, ["mkfs.ext3", "-q", "-F"]),
    "ext4": (24, ["mkfs.ext4", "-q", "-F"]),
    "xfs": (320, ["mkfs.xfs", "-q", "-f"]),
    "btrfs": (128, ["mkfs.btrfs", "-q", "-f"]),
}
NEEDED = ("losetup", "e2fsck", "mkfs.xfs", "xfs_repair", "mkfs.btrfs", "btrfs", "sfdisk", "qemu-storage-daemon", "qemu-img")


def needs(*tools):
    """A skip that names what is missing."""
    missing = [tool for tool in tools or NEEDED if not shutil.which(tool, path=os.environ["PATH"] + ":/usr/sbin:/sbin")]
    why = "root is needed" if os.geteuid() else ("not installed: %s" % ", ".join(missing)) if missing else ""
    why = why or ("" if os.path.exists("/dev/fuse") and os.path.exists("/dev/loop-control") else "/dev/fuse or /dev/loop-control is missing")
    return pytest.mark.skipif(bool(why), reason=why or "-")


def run(*argv, **more):
    """A command that must work; its output as text."""
    return subprocess.run([str(a) for a in argv], check=True, capture_output=True, text=True, **more).stdout


def text(path):
    """A file's text."""
    with open(path, encoding="utf-8") as handle:
        return handle.read()


def options(place):
    """The options of a mount by /proc/mounts."""
    return set(next(line.split()[3] for line in text("/proc/mounts").splitlines() if line.split()[1] == str(place)).split(","))


def digest(path):
    """sha256 of an image file, by another route than the module's."""
    total = hashlib.sha256()
    with open(path, "rb") as handle:
        for piece in iter(lambda: handle.read(MIB), b""):
            total.update(piece)
    return total.hexdigest()


class Lab:
    """Images, loop devices and mounts of one test, all taken away at its end."""

    def __init__(self, directory):
        self.directory = directory
        self.loops, self.mounts = [], []
        self.ov, self.old = directory / "ov", directory / "private" / "old"
        (directory / "private").mkdir(mode=0o700)

    def loop(self, image, *more):
        """A writable loop device over an image."""
        path = run("losetup", "-f", "--show", *more, image).strip()
        self.loops.append(path)
        return path

    def unloop(self, path):
        """Take one away, with the switch that would outlive it."""
        subprocess.run(["blockdev", "--setrw", path], check=False)
        run("losetup", "-d", path)
        self.loops.remove(path)

    def mount(self, device, *options):
        """Mount a device somewhere of its own."""
        place = self.directory / ("m%d" % len(self.mounts))
        place.mkdir(exist_ok=True)
        run("mount", *(("-o", ",".join(options)) if options else ()), device, place)
        self.mounts.append(place)
        return place

    def unmount(self, place):
        """Unmount what mount() made."""
        device = run("findmnt", "-n", "-o", "SOURCE", place).strip()
        run("umount", place)
        settled(device)
        self.mounts[self.mounts.index(place)] = None

    def image(self, kind, name="disk.img", dirty=True, fill=None, size=None):
        """(path, {name: content}) of a filesystem with files; dirty: as after a power cut, its last files only fsynced.

        fill: called with the mount point. size: in MiB, where the usual one is too much.
        """
        usual, make = MAKE[kind]
        living = self.directory / ("living-" + name)
        with open(living, "wb") as handle:
            handle.truncate((size or usual) * MIB)
        run(*make, living)
        device = self.loop(living)
        place = self.mount(device)
        files = {}
        for number in range(60):
            files["old%02d" % number] = ("old %d\n" % number) * 40
            (place / ("old%02d" % number)).write_text(files["old%02d" % number])
        if fill:
            fill(place)
        run("sync", "-f", place)
        if not dirty:
            self.unmount(place)
        else:
            for number in range(40):
                files["new%02d" % number] = ("new %d\n" % number) * 50
                with open(place / ("new%02d" % number), "w", encoding="ascii") as handle:
                    handle.write(files["new%02d" % number])
                    handle.flush()
                    os.fsync(handle.fileno())
        target = self.directory / name
        run("cp", "--sparse=always", living, target)
        if dirty:
            self.unmount(place)
        self.unloop(device)
        living.unlink()
        return target, files

    def partitioned(self, name, *volumes):
        """A disk of images, one partition each, MBR."""
        image, start, lines = self.directory / name, 2048, []
        for volume in volumes:
            sectors = os.stat(volume).st_size // 512
            lines.append("start=%d, size=%d, type=83" % (start, sectors))
            start += (sectors + 2047) // 2048 * 2048
        with open(image, "wb") as handle:
            handle.truncate((start + 2048) * 512)
        run("sfdisk", "-q", image, input="label: dos\nlabel-id: 0x1234abcd\n" + "\n".join(lines) + "\n")
        start = 2048
        for volume in volumes:
            run("dd", "if=%s" % volume, "of=%s" % image, "bs=1M", "seek=%d" % (start // 2048), "conv=notrunc,sparse", "status=none")
            start += (os.stat(volume).st_size // 512 + 2047) // 2048 * 2048
        return image

    def token(self, device):
        """The token that a look gives."""
        found = _look.look(System(), [device], smart=False, describe=False)["devices"]
        return found[device]["token"]

    def attachment(self, device, step=lambda name: None, token=None, **more):
        """An Attachment with this lab's directories."""
        more = dict({"overlay_size": 32 * MIB, "path": str(self.old), "overlay_dir": str(self.ov)}, **more)
        return _attach.Attachment(_attach.Settings(device=device, token=token or self.token(device), **more), step=step)

    def left(self):
        """What is left of attachments, told by the kernel's and util-linux' own words."""
        mark = str(self.directory)
        mounted = [str(m) for m in self.mounts if m]
        out = [line for line in text("/proc/mounts").splitlines() if mark in line and line.split()[1] not in mounted]
        out += [line for line in run("losetup", "-l", "-n", "-O", "NAME,BACK-FILE").splitlines() if str(self.ov) in line]
        out += [line for line in run("ps", "-ww", "-eo", "pid,args").splitlines() if str(self.ov) in line]
        if os.path.isdir(self.ov):
            out += os.listdir(self.ov)
        return out

    def seen(self, place, files):
        """Assert that every file is there with its content."""
        assert {name: text(os.path.join(place, name)) for name in files} == files

    def close(self):
        """Take everything away, however the test ended."""
        for place in [str(m) for m in self.mounts if m]:
            subprocess.run(["umount", place], check=False)
        mark = str(self.directory)
        for _again in range(3):
            for line in reversed(text("/proc/mounts").splitlines()):
                if line.split()[1].startswith(mark):
                    subprocess.run(["umount", line.split()[1]], check=False)
            for line in run("losetup", "-l", "-n", "-O", "NAME,BACK-FILE").splitlines():
                if str(self.ov) in line:
                    subprocess.run(["losetup", "-d", line.split()[0]], check=False)
        for line in run("ps", "-ww", "-eo", "pid,comm,args").splitlines():
            if str(self.ov) in line and line.split()[1].startswith(("qemu-storage", "nbd")):
                os.kill(int(line.split()[0]), 9)
        for path in list(self.loops):
            subprocess.run(["blockdev", "--setrw", path], check=False)
            subprocess.run(["losetup", "-d", path], check=False)


@pytest.fixture
def lab(tmp_path):
    """A Lab."""
    made = Lab(tmp_path)
    yield made
    made.close()
