# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.
"""What of a look an operator must know before the next step."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._disks import _advice, _inuse, _kernel
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding

IMAGE = "make an image of it first (legacy_image, ddrescue) and go on with the image"


def judge(scene, chosen):
    """Findings about the chosen entries: disks.unreadable smart table md lvm journal hibernated unsupported ambivalent unseen."""
    out = []
    for path in sorted(chosen):
        entry = scene.entries[path]
        out += _damage(scene.system, entry, scene.damage.get(path)) + _smart(entry) + _table(entry) + _bios_raid(entry) + _lost(entry) + _missing(scene, entry)
        for name, held in contents(entry):
            out += _content(scene.system, entry, name, held)
    return out + _halves(scene, chosen) + _advice.findings(scene, chosen)


def contents(entry):
    """(name, what is there) of a device, of what is inside it, and of its volumes."""
    yield entry["path"], entry
    held = entry
    while held.get("inside"):
        held = held["inside"]
        yield entry["path"], held
    for volume in (held.get("lvm") or {}).get("lvs") or ():
        yield "%s (volume %s/%s)" % (entry["path"], held["lvm"].get("vg"), volume["name"]), volume


def _say(number, severity, subject, title, evidence, remedy, **details):
    return Finding(id="disks." + number, severity=severity, subject=subject, title=title, evidence=evidence, remedy=remedy, details=details)


def _damage(system, entry, damage):
    path, out = entry["path"], []
    if damage and damage.places:
        places = sorted(damage.places.items())
        said = ", ".join("%s at byte %d" % (why, at) if at >= 0 else why for at, why in places[:5])
        text = "%s can't be read everywhere" % path
        view = entry["kind"] == "loop" and _inuse.is_view(system, entry.get("backing", ""))
        remedy = "it shows an overlay whose server may have ended: take that away (legacy_volume, state absent)" if view else IMAGE
        out.append(_say("unreadable", "warning" if view else "blocker", path, text, said, remedy, places=[at for at, _why in places if at >= 0]))
    if damage and damage.broken:
        text, remedy = "%s carries structures that make no sense" % path, "treat its content as damaged: " + IMAGE
        out.append(_say("damaged", "warning", path, text, "; ".join(damage.broken), remedy))
    if entry.get("node") is False and entry["kind"] in ("disk", "mapped"):
        text, remedy = "%s was not looked into" % path, "give this system the device's node, as root, or look from the machine itself"
        out.append(_say("unseen", "info", path, text, "there is no node of it here that may be opened, or it is suspended", remedy))
    return out


def _smart(entry):
    told, path = entry.get("smart") or {}, entry["path"]
    said = "; ".join(told.get("said") or ())
    if told.get("verdict") == "failing":
        return [
            _say("smart", "blocker", path, "%s says that it is failing" % path, said or "SMART's verdict", IMAGE + "; each hour that it runs may be its last")
        ]
    if told.get("verdict") == "worn":
        return [_say("smart", "warning", path, "%s has lost sectors" % path, said, IMAGE)]
    if told.get("verdict") == "not asked":
        return [_say("smart.unasked", "info", path, "the health of %s is not known" % path, said, "install smartmontools here, or ask it elsewhere")]
    return []


def _bios_raid(entry):
    if not entry.get("bios_raid"):
        return []
    text = "%s belongs to an array of a mainboard or a controller" % entry["path"]
    remedy = "a mirror's half can be read as it is; a striped one only with the controller, or put together on images (dmraid, mdadm)"
    return [_say("bios_raid", "warning", entry["path"], text, entry["bios_raid"], remedy)]


def _lost(entry):
    path, held = entry["path"], entry.get("lost")
    if not held:
        return []
    said = "%s UUID %s, its copy at byte %d" % (held["type"], held["uuid"], held["copy"])
    remedy = "if nothing newer was made there: repair it on an overlay or an image (e2fsck -b)"
    return [_say("superblock", "warning", path, "%s held a filesystem whose superblock is gone" % path, said, remedy)]


def _table(entry):
    table, path = entry.get("table") or {}, entry["path"]
    if not table.get("said"):
        return []
    if table.get("broken"):
        text = "the partition table of %s is broken in both copies" % path
        return [_say("table", "blocker", path, text, "; ".join(table["said"]), "work on an image; find the partitions with testdisk there")]
    text = "the partition table of %s is damaged" % path
    if table.get("backup"):
        text = "the first partition table of %s is broken; its second copy was read" % path
    return [_say("table", "warning", path, text, "; ".join(table["said"]), "do not let a tool repair it on this disk; the partitions are read as shown")]


def _missing(scene, entry):
    out, holder = [], entry
    while holder.get("inside"):
        holder = holder["inside"]
    lvm = holder.get("lvm") or {}
    if lvm.get("missing"):
        absent = ", ".join("%s %s" % (pv["name"], pv["uuid"]) for pv in lvm["missing"])
        broken = ", ".join(v["name"] for v in lvm["lvs"] if not v["complete"]) or "none"
        text = "the volume group %s of %s lacks %d of its physical volumes" % (lvm["vg"], entry["path"], len(lvm["missing"]))
        out.append(
            _say("lvm.missing", "warning", entry["path"], text, "missing: %s; volumes that need them: %s" % (absent, broken), "attach the other disk too")
        )
    if lvm.get("said"):
        text = "the LVM metadata of %s is damaged" % entry["path"]
        out.append(_say("lvm.damaged", "warning", entry["path"], text, "; ".join(lvm["said"]), "work on an image: pvck shows what other copies there are"))
    odd = [v for v in lvm.get("lvs") or () if any(s["type"] == "other" for s in v["segments"]) and v["visible"]]
    if odd:
        kinds = ", ".join("%s (%s)" % (v["name"], next(s["called"] for s in v["segments"] if s["type"] == "other")) for v in odd)
        text = "volumes of %s are neither linear nor striped" % lvm["vg"]
        out.append(_say("lvm.kind", "warning", entry["path"], text, kinds, "they need device-mapper on an overlay or an image: activate the group there"))
    signature = entry.get("signature") or {}
    if signature.get("type") == "btrfs" and signature["devices"] > 1:
        seen = {(e.get("signature") or {}).get("device_uuid") for e in scene.entries.values() if (e.get("signature") or {}).get("uuid") == signature["uuid"]}
        if len(seen) < signature["devices"]:
            text, said = "the btrfs of %s lacks devices" % entry["path"], "%d of %d were seen" % (len(seen), signature["devices"])
            out.append(_say("btrfs.missing", "warning", entry["path"], text, said, "attach the others too; a mirrored one can be mounted with degraded"))
    return out


def _content(system, entry, name, held):
    signature, path, out = held.get("signature") or {}, entry["path"], []
    kind = signature.get("type")
    if not kind:
        return out
    also = list(signature.get("also", ())) + ["a partition table"] * bool((held.get("table") or {}).get("partitions") and "md" not in held)
    if also:
        said = "%s, and also %s" % (kind, ", ".join(also))
        out.append(_say("ambivalent", "warning", path, "%s carries signatures of several kinds" % name, said, "make sure what it is before it is mounted"))
    if signature.get("hibernated"):
        remedy = "never boot from or swap on it; its filesystems are older than what that system had in memory: mount them on an overlay only"
        out.append(_say("hibernated", "warning", path, "%s holds the image of a hibernated system" % name, "the swap area's signature says so", remedy))
    if entry["in_use"]:
        return out
    if signature.get("journal") == "dirty":
        remedy = "legacy_volume replays it on an overlay (mode replay); a mount with ro alone would write to the disk"
        out.append(_say("journal", "info", path, "%s was not unmounted: the journal of its %s is to be replayed" % (name, kind), _when(signature), remedy))
    elif signature.get("journal") == "none" and signature.get("clean") is False:
        text, remedy = "%s was not unmounted, and %s has no journal" % (name, kind), "legacy_volume checks it on an overlay"
        out.append(_say("journal", "info", path, text, _when(signature), remedy))
    if signature.get("journal_uuid"):
        said, remedy = "its journal has the UUID %s" % signature["journal_uuid"], "attach the disk with the journal too; without it the last changes are lost"
        out.append(_say("journal.elsewhere", "warning", path, "%s has its journal on another device" % name, said, remedy))
    if signature.get("errors") or "needsrepair" in signature.get("features", ()):
        remedy = "mount it on an overlay after a check there (legacy_volume, mode replay)"
        out.append(_say("errors", "warning", path, "%s: the filesystem itself says that it has errors" % name, "flag in the superblock", remedy))
    if signature.get("bytes", 0) > held.get("size", signature.get("bytes", 0)):
        said = "the filesystem has %d bytes, the device %d" % (signature["bytes"], held["size"])
        remedy = "the disk, the partition or the image is cut off: look for the rest before anything is repaired"
        out.append(_say("short", "warning", path, "%s is smaller than the filesystem on it" % name, said, remedy))
    lacking = _kernel.lacks(system, signature)
    if lacking:
        text = "this system's kernel can't read the %s %s of %s" % (kind, signature.get("version", ""), name)
        out.append(_say("unsupported", "warning", path, text.replace("  ", " "), lacking["evidence"], lacking["remedy"], readers=lacking["readers"]))
    return out


def _when(signature):
    return "last mounted %s%s" % (
        signature["last_mount"] if signature.get("last_mount") else "at an unknown time",
        " at %s" % signature["last_mounted"] if signature.get("last_mounted") else "",
    )


def _split(uuid, members):
    """Halves that each ran without the other: neither has everything."""
    for at, (one, path) in enumerate(members):
        for other, beside in members[at + 1 :]:
            alone = [isinstance(m["role"], int) and m["role"] not in o["active"] for m, o in ((one, other), (other, one))]
            if all(alone):
                text, said = "%s and %s each ran without the other" % (path, beside), "each one's superblock says that the other has failed"
                remedy = "neither holds everything: look at both apart, and never put them together"
                yield _say("md.split", "warning", path, text, said, remedy, other=beside, uuid=uuid)


def _halves(scene, chosen):
    """Members of one array that do not agree, and arrays that are not complete."""
    out, arrays = [], {}
    for path, entry in sorted(scene.entries.items()):
        if entry.get("md") and entry["kind"] not in ("mapped", "raid"):
            arrays.setdefault(entry["md"]["uuid"], []).append((entry["md"], path))
    for uuid, members in sorted(arrays.items()):
        if not {path for _md, path in members} & chosen:
            continue
        newest = max(md["events"] for md, _path in members)
        said = ", ".join("%s: events %d, updated %s" % (path, md["events"], md["updated"] or "never") for md, path in members)
        for md, path in members:
            if md["events"] < newest:
                fresh = ", ".join(p for m, p in members if m["events"] == newest)
                remedy = "take the newer half, %s; compare both, and never let them be put together: that overwrites one" % fresh
                text = "%s is older than the other half of its array" % path
                out.append(_say("md.older", "warning", path, text, said, remedy, newer=fresh, uuid=uuid))
            if md["checksum"] == "bad":
                remedy = "compare with mdadm --examine; take the other half if there is one"
                out.append(_say("md.damaged", "warning", path, "the RAID superblock of %s has a wrong checksum" % path, md["version"], remedy))
        out += _split(uuid, members)
        roles = {md["role"] for md, _path in members if isinstance(md["role"], int)}
        devices, level = members[0][0]["devices"], members[0][0]["level"]
        if len(roles) < devices:
            path = next(path for _md, path in members if path in chosen)
            text = "of the %s array on %s %d of %d members are here" % (level, path, len(roles), devices)
            severity = "info" if level == "raid1" else "warning"
            out.append(_say("md.incomplete", severity, path, text, said, "attach the others too, if they still exist", uuid=uuid))
    return out
