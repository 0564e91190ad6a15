# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.
"""Names that two disks share, so that a mount, an assembly or the next boot could take the wrong one."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._disks import _inuse
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding

# Kinds that nobody mounts by a name of their own.
NAMELESS = ("iso9660", "squashfs", "crypto_LUKS", "LVM2_member", "linux_raid_member")
HARM = {
    "XFS UUID": "the second one can be mounted only with the option nouuid; do not give the old one a new UUID, that writes to it",
    "btrfs fsid": "a kernel before 6.7 may mix both up: show it only one of them, or take another machine for the other",
    "filesystem UUID": "mount by the device's own path; do not boot while both are attached: UUID= in fstab or in the boot loader takes either of them",
    "label": "mount by the device's own path; do not boot while both are attached: LABEL= in fstab takes either of them",
    "swap UUID": "do not boot while both are attached: swap by UUID= takes either of them",
    "volume group name": "activate nothing of it: both would have the same device names; legacy_volume maps its volumes without LVM",
    "volume group UUID": "LVM hides one of both: let LVM see one of them only (lvm.conf filter or --devices); legacy_volume maps its volumes without LVM",
    "physical volume UUID": "LVM hides one of both: let LVM see one of them only (lvm.conf filter or --devices); legacy_volume maps its volumes without LVM",
    "RAID member": "the array may be assembled from either of them: stop automatic assembly (AUTO -all in mdadm.conf, in the initramfs too)",
    "RAID array in use": "this member left the array or comes from a copy of it: adding it would overwrite it; look at its events before anything else",
    "LUKS UUID": "open it under another name, by the device's own path",
    "partition table's identity": "PARTUUID= in fstab or in the boot loader takes either of them: do not boot while both are attached",
}


def mark(scene):
    """Put `duplicates` [{of what value live}] into the entries; a Finding for each pair."""
    pairs = {}
    held = {}
    for sighting in _sightings(scene):
        held.setdefault((sighting["what"], sighting["value"]), []).append(sighting)
    for (what, value), several in sorted(held.items()):
        for at, one in enumerate(several):
            for other in several[at + 1 :]:
                if _same(one, other):
                    continue
                for mine, yours in ((one, other), (other, one)):
                    told = {"of": yours["path"], "what": what, "value": value, "live": yours["live"]}
                    kept = scene.entries[mine["path"]].setdefault("duplicates", [])
                    if told not in kept:
                        kept.append(told)
                first, second = sorted((one, other), key=lambda s: (s["live"], s["path"]))
                pairs.setdefault((first["path"], second["path"]), {})[what] = value
    return [_finding(scene, path, other, whats) for (path, other), whats in sorted(pairs.items())]


def _same(one, other):
    """Whether two sightings are one thing: the same bytes, or different members of one array, group or btrfs."""
    if one["leaves"] & other["leaves"]:
        return True
    groups = dict(other["members"])
    return any(group in groups and groups[group] != member for group, member in one["members"])


def _finding(scene, path, other, whats):
    used = scene.entries[other]["in_use"]
    return Finding(
        id="disks.duplicate",
        severity="warning",
        subject=path,
        title="%s has the same %s as %s" % (path, ", ".join(sorted(whats)), other),
        evidence="%s; %s is %s"
        % (", ".join("%s %s" % pair for pair in sorted(whats.items())), other, used[0] if used else "not in use, and another copy or disk like it"),
        remedy="; ".join(dict.fromkeys(HARM[what] for what in sorted(whats))),
        details={"of": other, "names": whats, "live": bool(used)},
    )


def _sightings(scene):
    """Every name on every device: {path what value live leaves {place} members [(group, member)]}."""
    for path, entry in scene.entries.items():
        if entry["kind"] == "loop" and entry.get("backing") and _inuse.is_view(scene.system, entry["backing"]):
            continue
        common = {"path": path, "live": bool(entry["in_use"]), "leaves": _leaves(scene, entry)}
        if (entry.get("table") or {}).get("id", "").strip("0-"):
            yield dict(common, what="partition table's identity", value=entry["table"]["id"], members=[])
        for what, value, members in _names(entry, []):
            yield dict(common, what=what, value=value, members=members)
    yield from _assembled(scene)


def _assembled(scene):
    """Members that are not in use of an array that is: the array's own device and the member have one name."""
    running = {}
    for path, entry in scene.entries.items():
        if entry.get("md") and any(use.startswith("part of ") for use in entry["in_use"]):
            running.setdefault(entry["md"]["uuid"], path)
    for path, entry in scene.entries.items():
        uuid = (entry.get("md") or {}).get("uuid")
        if uuid in running and (path == running[uuid] or not entry["in_use"]):
            yield {"path": path, "live": bool(entry["in_use"]), "leaves": {path}, "what": "RAID array in use", "value": uuid, "members": []}


def _names(held, members):
    """(what, value, members) of an entry, of what is inside it, of a volume."""
    signature, md, lvm = held.get("signature") or {}, held.get("md"), held.get("lvm")
    if md:
        member = str(md.get("device_uuid") or md.get("number"))
        members = members + [(md["uuid"], member)]
        yield "RAID member", "%s %s" % (md["uuid"], member), []
    if held.get("luks"):
        yield "LUKS UUID", held["luks"]["uuid"], members
    if lvm:
        members = members + [(lvm.get("vg_uuid") or lvm["pv_uuid"], lvm["pv_uuid"])]
        yield "physical volume UUID", lvm["pv_uuid"], members
        if lvm.get("vg"):
            yield "volume group name", lvm["vg"], members
            yield "volume group UUID", lvm["vg_uuid"], members
        for volume in lvm.get("lvs") or ():
            yield from _names(volume, members)
    kind = signature.get("type")
    if kind and kind not in NAMELESS:
        if kind == "btrfs":
            members = members + [(signature["uuid"], signature["device_uuid"])]
        if signature.get("uuid"):
            yield {"xfs": "XFS UUID", "btrfs": "btrfs fsid", "swap": "swap UUID"}.get(kind, "filesystem UUID"), signature["uuid"], members
        if signature.get("label") and kind not in ("vfat", "ntfs"):
            yield "label", signature["label"], members
    if held.get("inside"):
        yield from _names(held["inside"], members)


def _leaves(scene, entry):
    """The places that a device's bytes really lie at: PATH@BYTE."""
    out = set()
    for name in _inuse.leaves(scene.system, entry["name"]) if "number" in entry else [entry["path"]]:
        leaf = scene.entries.get(scene.names.get(name), entry)
        start = leaf.get("start", 0)
        whole = scene.entries.get(leaf.get("parent"), leaf)
        if whole["kind"] == "loop":
            offset = scene.system.text("/sys/class/block/%s/loop/offset" % whole["name"]).strip()
            out.add("%s@%d" % (whole.get("backing") or whole["path"], start + int(offset or 0)))
        else:
            out.add("%s@%d" % (whole["path"], start))
    return out
