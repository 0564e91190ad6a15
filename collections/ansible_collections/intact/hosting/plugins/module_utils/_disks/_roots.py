# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.
"""Old roots that a look came across: mounted ones are described, an unmounted ext is asked through debugfs, which replays and writes nothing."""

from __future__ import annotations

import os
import posixpath
import re

from ansible_collections.intact.hosting.plugins.module_utils._disks import _oldsystem, _release
from ansible_collections.intact.hosting.plugins.module_utils._files import unescape
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

EXT = ("ext2", "ext3", "ext4")
MOST = 1 << 20


class _Text:
    """What _oldsystem.fstab() asks of a system."""

    def __init__(self, text):
        self.text = text


def found(scene, chosen):
    """[{device (path of the entry) volume (name of an LV) mounted ...what _oldsystem.describe or unmounted tells}]."""
    out, seen = [], set()
    for path in sorted(chosen):
        entry = scene.entries[path]
        targets = [target for target in entry.get("mounted") or () if _is_old_root(target)]
        if targets:
            out.append(dict(_described(targets[0]), device=path, mounted=targets[0]))
            continue
        if entry.get("mounted"):
            continue
        for volume, kind, device in _filesystems(scene, entry):
            place = device.place()
            if kind not in EXT or place is None or place in seen:
                continue
            seen.add(place)
            told = unmounted(scene.system, place[0], place[1])
            if told:
                out.append(dict(told, device=path, **({"volume": volume} if volume else {})))
    return out


def _filesystems(scene, entry):
    """(name of the volume, type, device) of what a device holds."""
    device, held = scene.devices.get(entry["path"]), entry
    if device is None:
        return
    while held.get("inside"):
        held = held["inside"]
        device = device.part(held["offset"], held["size"])
    yield "", (held.get("signature") or {}).get("type"), device
    for volume in (held.get("lvm") or {}).get("lvs") or ():
        inner = scene.volumes.get((entry["path"], volume["uuid"]))
        if inner is not None:
            yield "%s/%s" % (held["lvm"]["vg"], volume["name"]), (volume.get("signature") or {}).get("type"), inner


def _is_old_root(target):
    place = unescape(target)
    return target != "/" and os.path.isdir(place + b"/etc") and any(os.path.lexists(place + name) for name in (b"/etc/fstab", b"/etc/passwd"))


def _described(target):
    try:
        return _oldsystem.describe(unescape(target))
    except (IntactError, OSError) as exc:
        return {"root": target, "said": [{"what": "root", "why": str(exc)}]}


def unmounted(system, path, offset=0):
    """{distribution hostname fstab how said} of an ext filesystem at a byte of a device or image, or None when it is no root or debugfs is not here."""
    if not system.which("debugfs") or "?" in path:
        return None
    place = "%s?offset=%d" % (path, offset) if offset else path

    def ask(words):
        # -c: bitmaps of a damaged filesystem are not read; without -w it is opened read-only, a dirty one as it lies there
        return system.run(["debugfs", "-c", "-R", words, place], timeout=60, check=False).out.decode("utf-8", "surrogateescape")

    def text(name):
        for _link in range(5):
            told = ask("stat %s" % name)
            link = re.search(r'^Fast link dest: "([^"\s]+)"', told, re.MULTILINE)
            if not link:
                size = re.search(r"Type: regular.*?^User:.*?Size: (\d+)", told, re.DOTALL | re.MULTILINE)
                return ask("cat %s" % name) if size and int(size.group(1)) <= MOST else ""
            name = posixpath.normpath(posixpath.join(posixpath.dirname(name), link.group(1)))
        return ""

    try:
        fstab = _oldsystem.fstab(_Text(text))
        if not fstab and not re.match(r"[^:\n]+:[^:\n]*:\d+:", text("/etc/passwd")):
            return None
        release = _release.distribution(text)
        return {"how": "debugfs, without replaying the journal", "distribution": release, "hostname": _release.hostname(text), "fstab": fstab}
    except IntactError as exc:
        return {"how": "debugfs", "said": [{"what": "root", "why": str(exc)}]}
