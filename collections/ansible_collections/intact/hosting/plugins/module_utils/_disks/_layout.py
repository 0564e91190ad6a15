# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Where each volume is shown: the root at path, the others as the old fstab says, the rest beside it. Pure, but for root_of()."""

from __future__ import annotations

import os
import re
import stat

from ansible_collections.intact.hosting.plugins.module_utils._backup._rooted import Rooted
from ansible_collections.intact.hosting.plugins.module_utils._baseline import _mounttable
from ansible_collections.intact.hosting.plugins.module_utils._disks import _map
from ansible_collections.intact.hosting.plugins.module_utils._files import unescape
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError

PARTITION = re.compile(r"/dev/(?:(?P<disk>(?:[hsv]|xv)d[a-z]+)|(?P<long>(?:nvme\d+n|mmcblk|md)\d+)p)(?P<number>\d+)\Z")
SUBVOLUME = re.compile(r"(?:subvol|subvolid)=[A-Za-z0-9._/@+-]+\Z")
ELSEWHERE = ("swap", "proc", "sysfs", "tmpfs", "devpts", "nfs", "nfs4", "cifs", "none", "usbfs", "debugfs", "fuse", "autofs")


def root_of(path):
    """What tells an old system's root: {fstab: lines}, or None when nothing of one is there. path: where the volume is mounted."""
    state = _lstat(os.path.join(path, "etc"))
    if state is None or not stat.S_ISDIR(state.st_mode):
        return None
    if not any(_lstat(os.path.join(path, "etc", name)) for name in ("fstab", "passwd", "os-release", "inittab")):
        return None
    if not any(_lstat(os.path.join(path, name)) for name in ("usr", "bin", "sbin", "var")):
        return None
    return {"fstab": _mounttable.fstab(Rooted(path))}


def _lstat(path):
    try:
        return os.lstat(path)
    except OSError:
        return None


def resolve(root, target):
    """The directory below root that an old mount point (escaped) means, links followed as the old system would; None when it is no directory there."""
    place = Rooted(root).place(unescape(target))
    state = _lstat(place)
    return place if state is not None and stat.S_ISDIR(state.st_mode) else None


def choose(roots, wanted=""):
    """The name of the root volume among {name: root_of()}. Several are decided by their own fstab, else by the operator; "" when there is none."""
    if wanted:
        if wanted not in roots:
            raise IntactError("%s holds no root of an old system; there are: %s" % (wanted, ", ".join(sorted(roots)) or "none"), roots=sorted(roots))
        return wanted
    if len(roots) > 1:
        raise IntactError("the disk has several roots: %s. Say which one with root" % ", ".join(sorted(roots)), roots=sorted(roots))
    return next(iter(roots), "")


def _matches(volume, source, letters):
    if source.startswith(("UUID=", "PARTUUID=", "/dev/disk/by-uuid/", "/dev/disk/by-partuuid/")):
        head, mark, number = source.rpartition("=" if "=" in source else "/")
        source = head + mark + number.lower()
    if source in volume.names:
        return True
    found = PARTITION.match(source)
    return bool(found and volume.number and int(found.group("number")) == volume.number and (found.group("disk") or found.group("long")) in letters)


def plan(root, fstab, volumes):
    """[(volume, target, options)] in order of mounting, for a root volume and its fstab; and [volume] that no line names. Targets as in fstab.

    /dev/sdXN means the disk that the root's own line names, else the only one that the fstab names.
    """
    lines = [line for line in fstab if line["target"].startswith("/") and line["fstype"] not in ELSEWHERE and "bind" not in line["options"]]
    disks = {}
    for line in lines:
        found = PARTITION.match(line["source"])
        if found:
            disks.setdefault(found.group("disk") or found.group("long"), []).append(line)
    own = [disk for disk, held in disks.items() if any(line["target"] == "/" for line in held)]
    letters = set(own or (disks if len(disks) == 1 else ()))
    arrays = {line["source"] for line in lines if re.match(r"/dev/md[/0-9]", line["source"])}
    mirrors = [volume for volume in volumes if volume.md and not volume.luks]
    options = [o for line in lines if line["target"] == "/" for o in line["options"] if SUBVOLUME.match(o)]
    out, named = [(root, "/", options)], {root.name}
    for line in sorted(lines, key=lambda held: (held["target"].count("/"), held["target"])):
        if line["target"] == "/":
            continue
        for volume in volumes:
            array = line["source"] in arrays and volume in mirrors and _array(volume, line["source"], arrays, mirrors)
            if not (array or _matches(volume, line["source"], letters)):
                continue
            out.append((volume, line["target"], [o for o in line["options"] if SUBVOLUME.match(o)]))
            named.add(volume.name)
            break
    return out, [volume for volume in volumes if volume.name not in named]


def _array(volume, source, arrays, mirrors):
    """Whether /dev/mdN means a mirror: by its preferred minor or name, else when there is one of each."""
    minor = volume.md.get("minor")
    word = re.sub(r"^/dev/md[/_d]*", "", source)
    if minor is not None:
        return str(minor) == word
    name = str(volume.md.get("name") or "").rpartition(":")[2]
    return name == word or (len(arrays) == 1 and len(mirrors) == 1)


def beside(path, volume):
    """Where a volume is shown that no line of the fstab names."""
    return os.path.join(path.rstrip("/") + ".volumes", _map.safe(volume.name))


def unnamed(volume, target, why):
    """The finding of a volume that is not where the old system had it."""
    title = "%s (%s) is shown at %s" % (volume.name, volume.type, target)
    return Finding("legacy.volume.beside", "info", volume.name, title, evidence=why, remedy="Look there for its files")
