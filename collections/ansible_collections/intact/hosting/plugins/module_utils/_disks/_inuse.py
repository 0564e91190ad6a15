# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.
"""Who uses a block device: mounts of every namespace that can be seen, swap, what is built on it, btrfs of several devices, loop devices over a file."""

from __future__ import annotations

import os
import stat

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _mounttable, _sysblock

BTRFS = "/sys/fs/btrfs"


def mounts(system):
    """{"maj:min" or path of the source: [mount points of this namespace]}."""
    out = {}
    for entry in _mounttable.mounted(system):
        for key in (entry["device"], entry["source"]):
            if entry["target"] not in out.setdefault(key, []):
                out[key].append(entry["target"])
    return out


def elsewhere(system):
    """{"maj:min" or source: process id} of mounts in other mount namespaces: containers and services with their own view."""
    out, seen = {}, {system.readlink("/proc/self/ns/mnt")}
    for name in system.listdir("/proc"):
        space = system.readlink("/proc/%s/ns/mnt" % name) if name.isdigit() else None
        if not space or space in seen:
            continue
        seen.add(space)
        try:
            lines = system.text("/proc/%s/mountinfo" % name).splitlines()
        except OSError:
            continue  # it has ended
        for line in lines:
            fields, tail = line.partition(" - ")[0].split(" "), line.partition(" - ")[2].split(" ")
            if len(fields) > 3 and len(tail) > 1:
                out.setdefault(fields[2], int(name))
                out.setdefault(tail[1], int(name))
    return out


def swaps(system):
    """Paths of /proc/swaps, links followed."""
    return {system.realpath(line.split()[0]) for line in system.text("/proc/swaps").splitlines()[1:] if line.startswith("/")}


def of_btrfs(system):
    """{kernel name: fsid} of the devices of mounted btrfs."""
    out = {}
    for fsid in system.listdir(BTRFS):
        for name in system.listdir("%s/%s/devices" % (BTRFS, fsid)):
            out[name] = fsid
    return out


def backing(system, base):
    """The file or device under a loop device, "" of others; the kernel marks a removed file."""
    return system.text(base + "/loop/backing_file").rstrip("\n")


def is_view(system, path):
    """Whether a file lies on a FUSE filesystem: a loop device over it shows another device, such as an overlay over a legacy disk."""
    best = ("", "")
    for entry in _mounttable.mounted(system):
        target = entry["target"].rstrip("/")
        if (path + "/").startswith(target + "/") and len(target) >= len(best[0]):
            best = (target, entry["fstype"])
    return best[1].startswith("fuse")


def is_block(path):
    """Whether a path is a block device."""
    try:
        return stat.S_ISBLK(os.stat(path).st_mode)
    except OSError:
        return False


def leaves(system, name):
    """Kernel names of what a device is really made of: its slaves' slaves, or itself."""
    below = system.listdir("%s/%s/slaves" % (_sysblock.SYSFS, name))
    return sorted({leaf for other in below for leaf in leaves(system, other)}) if below else [name]
