# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.
"""What is on a device or on a part of one: all known signatures, read from its bytes; the names of types are blkid's."""

from __future__ import annotations

import struct

from ansible_collections.intact.hosting.plugins.module_utils._disks import _btrfs, _ext, _luks, _lvm, _md, _others, _xfs

# Which one counts when old signatures were left behind: what made the newer content wipes those before it, and swap is checked after none.
FILESYSTEMS = (
    _xfs.probe,
    _btrfs.probe,
    _ext.probe,
    _others.ntfs,
    _others.vfat,
    _others.reiserfs,
    _others.jfs,
    _others.iso9660,
    _others.squashfs,
    _others.swap,
)
DEEPEST = 3


class Damage:
    """What went wrong with one device: read errors by byte, and structures that can't be understood."""

    def __init__(self):
        self.places = {}
        self.broken = []

    def add(self, exc):
        """Keep what an OSError said."""
        self.places.setdefault(getattr(exc, "offset", -1), exc.strerror or str(exc))


def identify(device, damage, depth=0):
    """{signature, md, lvm, luks, inside} of a device; keys that say nothing are absent.

    lvm is what _lvm.probe tells: _volumes turns it into volumes. inside: the same of what a RAID1 member or a linear one holds, with its
    `offset` and `size` in bytes; the member itself is then of type linux_raid_member.
    """
    out = {}
    md = _try(_md.probe, device, damage)
    if md:
        out["md"] = md
        out["signature"] = {
            "type": "linux_raid_member",
            "uuid": md["uuid"],
            "version": md["version"],
            "label": md.get("name", ""),
            "journal": "none",
            "features": [],
        }
        if md["level"] == "raid1" and depth < DEEPEST and md["data_offset"] < device.size:
            part = device.part(md["data_offset"], md["data_size"] or device.size)
            out["inside"] = dict(identify(part, damage, depth + 1), offset=md["data_offset"], size=part.size)
        return out
    luks = _try(_luks.probe, device, damage)
    if luks:
        out["luks"] = luks
        named = {"uuid": luks["uuid"], "version": str(luks["version"]), "label": luks.get("label", "")}
        out["signature"] = dict(named, type="crypto_LUKS", journal="unknown", features=[])
        return out
    lvm = _try(_lvm.probe, device, damage)
    if lvm:
        out["lvm"] = lvm
        out["signature"] = {"type": "LVM2_member", "uuid": lvm["pv_uuid"], "version": "LVM2 001", "label": "", "journal": "none", "features": []}
        return out
    found = [held for held in (_try(probe, device, damage) for probe in FILESYSTEMS) if held]
    if found:
        out["signature"] = dict(found[0], **({"also": [held["type"] for held in found[1:]]} if found[1:] else {}))
    return out


def bios_raid(device, damage):
    """The kind of firmware's array that a whole disk belongs to, or None."""
    return _try(_others.bios_raid, device, damage)


def lost(device, damage):
    """The signature of an ext filesystem whose first superblock is gone, for a device on which nothing else was found."""
    return _try(_ext.second, device, damage)


def _try(probe, device, damage):
    try:
        return probe(device)
    except OSError as exc:
        damage.add(exc)
    except (struct.error, ValueError, IndexError, ZeroDivisionError, OverflowError) as exc:
        damage.broken.append("%s: %s" % (probe.__module__.rpartition("._")[2] + "." + probe.__name__, exc))
    return None
