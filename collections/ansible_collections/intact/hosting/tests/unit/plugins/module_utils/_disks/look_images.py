# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real images of disks for the tests of the look, made by the systems' own programs, and those programs' second opinion."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import os
import shutil
import subprocess
import time

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._disks._device import Device
from ansible_collections.intact.hosting.plugins.module_utils._system import System

PATH = os.environ["PATH"] + ":/usr/sbin:/sbin"


def needs(*programs, root=False):
    """Skip unless the programs are here (and, with root, we are root)."""
    missing = [program for program in programs if not shutil.which(program, path=PATH)]
    if missing:
        pytest.skip("not installed: %s" % ", ".join(missing))
    if root and os.geteuid() != 0:
        pytest.skip("root is needed for loop devices")


def run(*argv, check=True, locale="C"):
    """Standard output of a program as text."""
    env = dict(os.environ, PATH=PATH, LC_ALL=locale)
    done = subprocess.run([str(a) for a in argv], capture_output=True, check=False, text=True, env=env, timeout=120)
    assert not check or done.returncode == 0, (argv, done.stdout, done.stderr)
    return done.stdout


def blank(path, size):
    """A sparse file."""
    with open(path, "wb") as handle:
        handle.truncate(size)
    return str(path)


def device(path):
    """The reader of an image or a block device."""
    fd = os.open(str(path), os.O_RDONLY)
    try:
        return Device(System(), str(path), os.lseek(fd, 0, os.SEEK_END))
    finally:
        os.close(fd)


def blkid(path, offset=0):
    """What blkid's own probe tells: {TYPE UUID LABEL ...}."""
    text = run("blkid", "-p", "-O", str(offset), "-o", "export", path, check=False)
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def digest(path):
    """sha256 of a file's bytes."""
    out = hashlib.sha256()
    with open(path, "rb") as handle:
        for part in iter(lambda: handle.read(1 << 20), b""):
            out.update(part)
    return out.hexdigest()


def copy(source, target):
    """A copy of an image as it is in this moment, holes kept."""
    run("cp", "--sparse=always", source, target)
    return str(target)


def settled(device):
    """Wait until no process has a device mounted: who starts a container or a namespace has all mounts of the host in it for a moment."""
    words = (" %s " % device).encode()
    for _time in range(400):
        held = False
        for path in glob.glob("/proc/[0-9]*/mountinfo"):
            with contextlib.suppress(OSError), open(path, "rb") as handle:
                held = held or words in handle.read()
        if not held:
            return
        time.sleep(0.05)
    raise AssertionError("%s is still mounted by somebody" % device)


@contextlib.contextmanager
def loop(path, *options):
    """A loop device over a file."""
    name = run("losetup", "-f", "--show", *options, path).strip()
    try:
        if "-r" not in options:
            run("blockdev", "--setrw", name)  # a loop device stays read-only if the test that had it before left it so
        yield name
    finally:
        run("losetup", "-d", name, check=False)


@contextlib.contextmanager
def parted(path):
    """A loop device with its partitions: a kernel without parsers of tables is told them by partx."""
    with loop(path) as name:
        run("partx", "-a", name)
        try:
            yield name
        finally:
            run("partx", "-d", name, check=False)


@contextlib.contextmanager
def mounted(path, target, *options):
    """A filesystem mounted through its own loop device, read-write as a real disk's."""
    os.makedirs(target, exist_ok=True)
    with loop(path) as name:
        run("mount", *options, name, target)
        try:
            yield str(target)
        finally:
            run("umount", target, check=False)
            settled(name)
            free(name)


def free(name):
    """Wait until nobody has a device mounted: another test's new mount namespace may hold a copy of the mount for a moment."""
    for _turn in range(200):
        try:
            os.close(os.open(name, os.O_RDONLY | os.O_EXCL))
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("%s stays mounted somewhere" % name)


def crashed(path, target, copied):
    """Copy an image while it is mounted and has just promised (fsync) 200 files: the disk of a server whose power went."""
    with mounted(path, target) as root:
        os.makedirs(root + "/kept", exist_ok=True)
        run("sync", "-f", root)
        for number in range(200):
            fd = os.open("%s/kept/%d" % (root, number), os.O_WRONLY | os.O_CREAT, 0o600)
            os.write(fd, b"promised %d\n" % number)
            if number % 50 == 49:
                os.fsync(fd)
            os.close(fd)
        return copy(path, copied)


def write(path, offset, data):
    """Put bytes into an image."""
    with open(path, "r+b") as handle:
        handle.seek(offset)
        handle.write(data)
