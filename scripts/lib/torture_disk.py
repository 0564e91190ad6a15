# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The disks of hosts whose upgrade is cut: ext4 on a loop device over one prepared tree, small, and honest about what was not synced when the power goes.

What the host keeps in /etc, /root, /usr and /var is on that file system. A power cut there is the kernel's own: it forgets what was not written to the
device (EXT4_IOC_SHUTDOWN without its log), and the journal is replayed at the next mount.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import struct
import subprocess
import sys
import time
from pathlib import Path

import lab_disk
import torture_release
from lab_containers import docker
from steps import StepFailed

SIZE = 420 * 1000 * 1000
FOLDERS = ("etc", "root", "usr", "var")
FILLER = "filler"
# _IOR('X', 125, __u32), and its flag for going down without writing the log
SHUTDOWN, NO_LOG = 0x8004587D, 2
PRESEED = "lab-debconf lab-debconf/mode select fast\n"
INSTALL = r"""set -e
mount --bind /dev "$1/dev"
mount -t proc proc "$1/proc"
exec chroot "$1" /bin/sh -ec '
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
printf "#!/bin/sh\nexit 101\n" >/usr/sbin/policy-rc.d && chmod 0755 /usr/sbin/policy-rc.d
debconf-set-selections </installed/preseed
dpkg -i /installed/*.deb
apt-mark auto lab-gone >/dev/null
ssh-keygen -A >/dev/null
rm -r /usr/sbin/policy-rc.d /installed
'
"""


def run(*argv: str, check: bool = True) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise StepFailed(f"{' '.join(argv)}: {done.stderr.strip() or done.returncode}")
    return done.stdout.strip()


def key(image: str) -> str:
    """Changes with the image that the tree is made from, and with what is in the release."""
    basis = hashlib.sha256(docker("image", "inspect", "--format", "{{.Id}}", image).encode())
    for module in (torture_release, sys.modules[__name__]):
        basis.update(Path(str(module.__file__)).read_bytes())
    return basis.hexdigest()[:12]


def prepare(image: str) -> Path:
    """Folder with `tree`, the old release as it is installed, and `repository`; made when it is not there."""
    base = lab_disk.cache() / "torture"
    folder = base / key(image)
    base.mkdir(parents=True, exist_ok=True)
    with (base / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            fresh = base / "new"
            shutil.rmtree(fresh, ignore_errors=True)
            make(image, fresh)
            fresh.rename(folder)
    return folder


def make(image: str, folder: Path) -> None:
    tree = folder / "tree"
    tree.mkdir(parents=True)
    name = f"intact-t-tree-{os.getpid()}"
    docker("create", "--name", name, "--label", "owner=intact-torture", image)
    try:
        with subprocess.Popen(["docker", "export", name], stdout=subprocess.PIPE) as export:
            unpacked = subprocess.run(["tar", "-x", "--numeric-owner", "-C", str(tree)], stdin=export.stdout, check=False)
        if unpacked.returncode or export.returncode:
            raise StepFailed(f"the files of {image} could not be taken out of it")
    finally:
        docker("rm", name, ok=False)
    archives = torture_release.write_repository(folder / "repository", run("dpkg", "--print-architecture"))
    inside = tree / "installed"
    inside.mkdir()
    (inside / "preseed").write_text(PRESEED)
    for archive in archives:
        shutil.copy(archive, inside)
    run("unshare", "--mount", "sh", "-c", INSTALL, "sh", str(tree))
    for path in [tree / "etc/apt/sources.list", *(tree / "etc/apt/sources.list.d").glob("*")]:
        path.unlink(missing_ok=True)
    (tree / torture_release.ANSWER.lstrip("/")).write_text(torture_release.OPERATOR)
    (tree / "var/log/dpkg.log").write_text("")


class Disk:
    """The disk of one host, below `place`; `path` is where its files are seen."""

    def __init__(self, place: Path, tree: Path) -> None:
        self.place, self.tree = place, tree
        self.image, self.lower, self.path = place / "disk.img", place / "mnt", place / "merged"
        self.device = ""
        self._lives = 0

    def make(self) -> None:
        for folder in (self.lower, self.path):
            folder.mkdir(parents=True, exist_ok=True)
        with self.image.open("wb") as handle:
            handle.truncate(SIZE)
        run("mkfs.ext4", "-q", "-F", "-m", "0", "-O", "^resize_inode", "-E", "lazy_itable_init=0,lazy_journal_init=0", str(self.image))
        self._mount()
        for folder in ("upper", "work"):
            (self.lower / folder).mkdir()
        self._overlay()

    def _mount(self) -> None:
        self.device = run("losetup", "--find", "--show", str(self.image))
        run("blockdev", "--setrw", self.device)
        run("mount", self.device, str(self.lower))

    def _overlay(self) -> None:
        options = f"lowerdir={self.tree},upperdir={self.lower}/upper,workdir={self.lower}/work"
        run("mount", "-t", "overlay", "overlay", "-o", options, str(self.path))

    def _unmount(self) -> None:
        """Of what a container had mounted the kernel lets go a moment after its end; who copied our mounts into a namespace of his own keeps only his copy."""
        for point in (self.path, self.lower):
            deadline = time.monotonic() + 20
            while os.path.ismount(point):
                options = ["--lazy"] if time.monotonic() > deadline else []
                if subprocess.run(["umount", *options, str(point)], capture_output=True, check=False).returncode:
                    time.sleep(0.1)
        if self.device:
            # the kernel does it as soon as nobody uses it any more
            run("losetup", "--detach", self.device, check=False)
            self.device = ""

    def lose_power(self) -> None:
        """Forget what was not synced. The host must be down already."""
        handle = os.open(self.lower, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(handle, SHUTDOWN, struct.pack("I", NO_LOG))
        finally:
            os.close(handle)
        # what is on the disk now, as a disk of its own: the dead file system may be in use for a while
        self._lives += 1
        image = self.place / f"disk-{self._lives}.img"
        run("cp", "--sparse=always", str(self.image), str(image))
        self._unmount()
        self.image.unlink()
        self.image = image
        self._mount()
        self._overlay()

    def fill(self) -> None:
        """Leave no byte free."""
        with (self.lower / FILLER).open("ab", buffering=0) as handle:
            for size in (1 << 20, 1 << 12, 1 << 10):
                try:
                    while handle.write(b"\0" * size) == size:
                        continue
                except OSError:
                    continue

    def free(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            (self.lower / FILLER).unlink()

    def remove(self) -> None:
        self._unmount()
        shutil.rmtree(self.place, ignore_errors=True)


def place() -> Path:
    """Where disks lie: in memory where there is plenty, as a flight waits for its disk at every package."""
    memory = Path("/dev/shm")
    if memory.is_dir() and shutil.disk_usage(memory).free > 8 * 1000**3:
        return memory / "intact-torture"
    return lab_disk.cache() / "torture-disks"


def clear() -> None:
    """Take away what a killed run left: disks whose driver is gone."""
    for folder in sorted(place().glob("*")) if place().is_dir() else []:
        if Path("/proc", folder.name.split("-")[0]).exists():
            continue
        for point in (folder / "merged", folder / "mnt"):
            if os.path.ismount(point):
                run("umount", str(point), check=False)
        for image in folder.glob("*.img"):
            for line in run("losetup", "-j", str(image), check=False).splitlines():
                run("losetup", "-d", line.split(":")[0], check=False)
        shutil.rmtree(folder, ignore_errors=True)
