# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Which volumes a disk has and where their bytes lie: partitions, halves of mirrors, logical volumes, encrypted ones. Reads only."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ansible_collections.intact.hosting.plugins.module_utils._disks import _probe, _table, _volumes
from ansible_collections.intact.hosting.plugins.module_utils._disks._device import Device
from ansible_collections.intact.hosting.plugins.module_utils._system import System

# Their first sector ends as a partition table does.
BOOTED = ("vfat", "ntfs", "iso9660")
_UNSAFE = re.compile(r"[^A-Za-z0-9.+_-]")


@dataclass
class Volume:
    """One volume. name: safe as a file's name. place: (offset, size) in bytes on the disk when it is in one piece, else None.

    segments: [(start, size, stripe, [offset on the disk])] of one in several pieces. signature: as _probe tells it, {} when unknown.
    names: what an old fstab may call it. number: of its partition, 0 without. refused: why it can't be attached, and which system can.
    """

    name: str
    place: tuple = None
    segments: list = field(default_factory=list)
    signature: dict = field(default_factory=dict)
    names: set = field(default_factory=set)
    number: int = 0
    kind: str = "partition"
    refused: str = ""
    luks: dict = field(default_factory=dict)
    md: dict = field(default_factory=dict)

    @property
    def type(self):
        """The signature's type, as blkid calls it."""
        return self.signature.get("type", "")


def safe(name):
    """A file's name of any volume's name."""
    return _UNSAFE.sub("_", name).strip(".") or "volume"


def read(path, size, sector=512, newer=None, older_allowed=False):
    """[Volume] of the disk at path. sector: its logical one in bytes.

    newer: {md uuid: (events, where)} of the halves that other disks hold; an older one is refused unless older_allowed.
    """
    whole = Device(System(), path, size)
    damage = _probe.Damage()
    kind = (_probe.identify(whole, damage).get("signature") or {}).get("type")
    table = (_table.read(whole, sector) if kind not in BOOTED else None) or {}
    rows = [p for p in table.get("partitions") or () if table.get("type") != "dos" or int(p["type"], 16) not in _table.EXTENDED]
    if rows:
        parts = [(safe("part%d" % p["number"]), whole.part(p["start"], p["size"]), p) for p in rows]
    else:
        parts = [("disk", whole, {})]
    return _walk(parts, damage, newer or {}, older_allowed)


def inside(path, size, name):
    """[Volume] of an opened encrypted volume: itself, or the logical volumes in it. Places are on its own device."""
    return _walk([(name, Device(System(), path, size), {})], _probe.Damage(), {}, False)


def _walk(parts, damage, newer, older_allowed):
    out, groups = [], []
    for name, device, row in parts:
        held = _probe.identify(device, damage)
        number = int(row.get("number") or 0)
        volume = Volume(name=name, number=number, kind="partition" if number else "disk")
        if row.get("uuid"):
            volume.names |= {"PARTUUID=%s" % row["uuid"].lower(), "/dev/disk/by-partuuid/%s" % row["uuid"].lower()}
        volume.md = held.get("md") or {}
        while held.get("md"):
            volume.refused = volume.refused or _member(held["md"], newer, older_allowed)
            under = held.get("inside") or {}
            if "offset" not in under:
                volume.refused = volume.refused or "what is in the array can't be read from this member alone"
                held = {"signature": held.get("signature") or {}}
                break
            device, held = device.part(under["offset"], under["size"]), under
        if held.get("lvm") and not volume.refused:
            groups.append((name, device, held["lvm"], False))
            continue
        volume.signature, volume.luks = held.get("signature") or {}, held.get("luks") or {}
        _place(volume, device)
        if volume.signature:
            out.append(_named(volume))
    return out + _logical(groups, damage)


def _member(md, newer, older_allowed):
    """Why a member of an array can't be used alone, "" when it can."""
    if md["level"] != "raid1":
        return (
            "it is one of %s members of a %s (md %s): all of them are needed. Attach their images in a machine whose kernel has md: "
            "mdadm --assemble --readonly --run on overlays" % (md.get("devices", "several"), md["level"], md["uuid"])
        )
    if md.get("role") in ("spare", "journal"):
        return "it is a %s of the array %s and holds no data of its own" % (md["role"], md["uuid"])
    events, where = newer.get(md["uuid"], (0, ""))
    if events > md["events"] and not older_allowed:
        return "it is the older half of the mirror %s (%d events, %s has %d): attach that one, or set accept_older" % (md["uuid"], md["events"], where, events)
    return ""


def _place(volume, device):
    where = device.place()
    if where:
        volume.place = (where[1], device.size)


def _named(volume):
    uuid, label = volume.signature.get("uuid"), volume.signature.get("label")
    if uuid:
        volume.names |= {"UUID=%s" % uuid.lower(), "/dev/disk/by-uuid/%s" % uuid.lower()}
    if label:
        volume.names |= {"LABEL=%s" % label, "/dev/disk/by-label/%s" % label}
    return volume


def _logical(groups, damage):
    """Volumes of the volume groups on this disk; what needs another disk says so."""
    out, seen = [], set()
    for group, devices in _volumes.assemble(groups):
        for lv in group["lvs"]:
            if lv["uuid"] in seen or not lv.get("visible", True):
                continue
            seen.add(lv["uuid"])
            vg = group.get("vg", "")
            volume = Volume(name=safe("%s-%s" % (vg, lv["name"])), kind="lv")
            volume.names = {"/dev/%s/%s" % (vg, lv["name"]), "/dev/mapper/%s-%s" % (vg.replace("-", "--"), lv["name"].replace("-", "--"))}
            device = devices.get(lv["uuid"])
            if device is None:
                volume.refused = _incomplete(group, lv)
                out.append(volume)
                continue
            held = _probe.identify(device, damage)
            volume.signature, volume.luks = held.get("signature") or {}, held.get("luks") or {}
            _place(volume, device)
            if volume.place is None:
                volume.segments = [(start, size, stripe, [d.place()[1] + offset for d, offset in areas]) for start, size, stripe, areas in device.segments]
            if volume.signature:
                out.append(_named(volume))
    return out


def _incomplete(group, lv):
    kinds = sorted({segment.get("called", segment["type"]) for segment in lv["segments"] if segment["type"] == "other"})
    if kinds:
        return "the logical volume is of type %s: a machine with LVM can activate it from images of the disks (vgchange -ay on overlays)" % ", ".join(kinds)
    lost = ", ".join("%s (%s)" % (pv["name"], pv["uuid"]) for pv in group["missing"]) or "unknown ones"
    return "the logical volume needs physical volumes of other disks: %s. Attach it in a machine that has images of all of them" % lost


def table_of(volume, base):
    """device-mapper's table of a volume in several pieces over the block device base: one line for each segment, in sectors."""
    lines = []
    for start, size, stripe, offsets in volume.segments:
        if len(offsets) == 1:
            lines.append("%d %d linear %s %d" % (start // 512, size // 512, base, offsets[0] // 512))
        else:
            areas = " ".join("%s %d" % (base, offset // 512) for offset in offsets)
            lines.append("%d %d striped %d %d %s" % (start // 512, size // 512, len(offsets), stripe // 512, areas))
    return "\n".join(lines) + "\n"
