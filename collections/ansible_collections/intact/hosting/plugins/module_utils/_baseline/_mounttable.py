# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What is mounted, what should be, and which file system is on a device: read by the probes disks, mounts, accounts and files."""

from __future__ import annotations

import os
import re
import stat

from ansible_collections.intact.hosting.plugins.module_utils._files import escape, unescape
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

_OCTAL = re.compile(r"\\([0-7]{3})")


def _plain(field):
    """A field of mountinfo or fstab with its octal escapes (blank, tab, newline, backslash) undone."""
    if "\\" not in field:
        return field
    raw = field.encode("utf-8", "surrogateescape").decode("latin-1")
    return _OCTAL.sub(lambda m: chr(int(m.group(1), 8)), raw).encode("latin-1").decode("utf-8", "surrogateescape")


def mounted(system):
    """Mounts of this process's view, in mount order (proc(5), mountinfo).

    List of {target, device "maj:min", root, options [..], fstype, source, automount}; a later mount over the same target hides the earlier one.
    automount: the target is an automounter's, in use or not.
    """
    text = system.text("/proc/self/mountinfo")
    if not text:
        raise IntactError("/proc/self/mountinfo is empty or missing: is /proc mounted?")
    out = {}
    for line in text.splitlines():
        left, _sep, right = line.partition(" - ")
        fields, tail = left.split(" "), right.split(" ")
        if len(fields) < 6 or len(tail) < 3:
            continue
        target = escape(_plain(fields[4]))
        hidden = out.pop(target, {})
        out[target] = {
            "automount": tail[0] == "autofs" or hidden.get("automount", False),
            "target": target,
            "device": fields[2],
            "root": escape(_plain(fields[3])),
            "fstype": tail[0],
            "source": escape(_plain(tail[1])),
            "options": sorted(set(fields[5].split(",") + tail[2].split(","))),
        }
    return list(out.values())


def types(system):
    """{mount point as bytes: file system type} of this process's view; {} where nothing can be told."""
    if not system.text("/proc/self/mountinfo"):
        return {}
    return {unescape(entry["target"]): entry["fstype"] for entry in mounted(system)}


def fstab(system):
    """Lines of /etc/fstab: list of {source, target, fstype, options [..], dump, pass}; swap has target "none"."""
    out = []
    for line in system.text("/etc/fstab").splitlines():
        fields = line.split()
        if len(fields) < 3 or fields[0].startswith("#"):
            continue
        fields += ["defaults", "0", "0"][len(fields) - 3 :]
        out.append(
            {
                "source": fields[0].replace('"', ""),
                "target": escape(_plain(fields[1]).rstrip("/") or "/"),
                "fstype": fields[2],
                "options": sorted(fields[3].split(",")),
                "dump": fields[4],
                "pass": fields[5],
            }
        )
    return out


def is_directory(system, target):
    """Whether a mount point (escaped) is a directory: container engines also mount single files."""
    state = system.lstat(os.fsdecode(unescape(target)))
    return state is not None and stat.S_ISDIR(state.st_mode)


def node(system, name):
    """Path of a block device's node when this host has it and may read it, else None. name: as in /sys/class/block.

    A container sees all the machine's disks in sysfs, but may open only those that it was given.
    """
    path = "/dev/" + name.replace("!", "/")
    state = system.lstat(path)
    if state is None or not stat.S_ISBLK(state.st_mode):
        return None
    try:
        system.read(path, 1)
    except OSError:
        return None
    return path


def superblock(system, path):
    """What is on a device, read from the device itself and not from udev: {TYPE, UUID, LABEL, PTTYPE, PTUUID, ...}, {} when empty.

    blkid -p: exit 2 is "nothing found", 8 is "several signatures".
    """
    result = system.run(["blkid", "-p", "-o", "export", path], timeout=30, check=False)
    if result.rc == 8:
        return {"TYPE": "ambivalent"}
    if result.rc not in (0, 2):
        raise IntactError("blkid cannot read %s: %s" % (path, result.error or "exit %d" % result.rc))
    pairs = (line.split("=", 1) for line in result.text.splitlines() if "=" in line)
    return {key: re.sub(r"\\(.)", r"\1", value) for key, value in pairs}
