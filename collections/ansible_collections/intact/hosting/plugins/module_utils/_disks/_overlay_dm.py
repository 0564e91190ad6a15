# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Overlay by device-mapper's snapshot target, where the kernel has it, and the names that device-mapper gives to volumes of an attachment."""

from __future__ import annotations

import os
import re
import stat

from ansible_collections.intact.hosting.plugins.module_utils._command import run, which
from ansible_collections.intact.hosting.plugins.module_utils._disks import _block
from ansible_collections.intact.hosting.plugins.module_utils._disks._overlay import Overlay, touch
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

CONTROL = "/dev/mapper/control"


def available(target):
    """Why device-mapper with a target (snapshot, linear, crypt) is not to be had, "" when it is."""
    if not which("dmsetup"):
        return "dmsetup is not installed"
    if which("modprobe"):
        run(["modprobe", "-q", "-a", "dm_mod", "dm_" + target], check=False)
    if not os.path.exists("/sys/class/misc/device-mapper"):
        return "the kernel has no device-mapper"
    targets = [line.split()[0] for line in run(["dmsetup", "targets"], check=False).text.splitlines() if line.split()]
    return "" if target in targets else "device-mapper has no target %s" % target


def create(name, table, read_only=False):
    """A mapped device; its path. table: one line or several."""
    # udev must not be waited for: in a container or a rescue system nobody answers.
    argv = ["dmsetup", "create", "--noudevsync", "--noudevrules", name] + (["--readonly"] if read_only else [])
    run(argv, stdin=table.encode())
    return _node(name)


def _node(name):
    """The path of a mapped device, made to be the kernel's device of that name: a node left by an earlier one may have the number of another disk's."""
    node, entry = "/dev/mapper/" + name, names(name).get(name)
    if not entry:
        raise IntactError("device-mapper made no device %s although dmsetup said so" % name, name=name)
    with open("/sys/block/%s/dev" % entry, encoding="ascii") as handle:
        major, minor = handle.read().strip().split(":")
    number = os.makedev(int(major), int(minor))
    if not os.path.exists(node) or os.stat(node).st_rdev != number:
        if os.path.lexists(node):
            os.unlink(node)
        os.mknod(node, 0o600 | stat.S_IFBLK, number)
    return node


def names(prefix):
    """{name: dm-N} of the mapped devices whose name begins so, in order of their making, from sysfs."""
    out = {}
    for entry in sorted((e for e in os.listdir("/sys/block") if e.startswith("dm-")), key=lambda e: int(e[3:])):
        try:
            with open("/sys/block/%s/dm/name" % entry, encoding="utf-8", errors="surrogateescape") as handle:
                name = handle.read().strip()
        except OSError:
            continue
        if name.startswith(prefix):
            out[name] = entry
    return out


def remove(name):
    """Take a mapped device away."""
    run(["dmsetup", "remove", "--noudevsync", "--retry", name], timeout=120)
    # It leaves the node to udev, which did not make it; the next device with this name would be found under an old number.
    if name not in names(name) and os.path.lexists("/dev/mapper/" + name):
        os.unlink("/dev/mapper/" + name)


class Snapshot(Overlay):
    """A transient snapshot: its file has its full size from the start, and the kernel says when it overflowed."""

    name = "device-mapper"

    @property
    def mapped(self):
        """The snapshot's name."""
        return "intact-%s" % self.state.id

    def lacks(self):
        return available("snapshot")

    def start(self, device, limit):
        image = self.file("overlay.cow")
        fd = os.open(image, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            os.posix_fallocate(fd, 0, limit & ~4095)
        finally:
            os.close(fd)
        loop = _block.loop(image, writable=True)
        sectors = _block.size(device) // 512
        node = create(self.mapped, "0 %d snapshot %s %s N 8\n" % (sectors, os.path.realpath(device), loop))
        touch(self.state.view)
        run(["mount", "--bind", os.path.realpath(node), self.state.view])

    def full(self):
        said = run(["dmsetup", "status", self.mapped], check=False).text
        match = re.search(r" snapshot (\d+)/(\d+) ", said)
        return not match or int(match.group(1)) >= int(match.group(2))

    def stop(self):
        super().stop()
        if self.mapped in names(self.mapped):
            remove(self.mapped)


def is_block(path):
    """Whether a path is a block device."""
    return stat.S_ISBLK(os.stat(path).st_mode)
