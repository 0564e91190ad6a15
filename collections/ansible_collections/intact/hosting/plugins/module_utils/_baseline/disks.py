# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Disks by what they are, not by what they are called: serial, partition table, and the file system's own UUID."""

from __future__ import annotations

import hashlib

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _mounttable, _sysblock
from ansible_collections.intact.hosting.plugins.module_utils._baseline._compare import details
from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding

SECTION = "disks"


def capture(system):
    """Items by serial, else file system UUID, else path.

    What LVM keeps to itself below a volume is none.
    Attributes: kind, path, serial, wwn, model, size (bytes), table (digest of the partition table), table_type, type, uuid, label,
    mounts [targets], holders [devices built on it], parent (subject of the whole disk); of a snapshot: snapshot_of (path of the volume).
    """
    mounts = {}
    for mount in _mounttable.mounted(system):
        mounts.setdefault(mount["device"], []).append(mount)
    found = {}
    for name in system.listdir(_sysblock.SYSFS):
        if name.rstrip("0123456789") in _sysblock.VOLATILE:
            continue
        item = _device(system, name, mounts)
        if item:
            found[name] = item
    names = {}
    for name in sorted(found, key=lambda n: (found[n]["parent"] != "", n)):
        names[name] = _subject(found[name], name, names)
    items = {}
    for name, item in found.items():
        item["parent"] = names.get(item["parent"], "")
        items[names[name]] = item
    return {"items": items, "summary": {"devices": len(items), "mounted": sum(1 for i in items.values() if i["mounts"])}}


def _device(system, name, mounts):
    base = "%s/%s" % (_sysblock.SYSFS, name)
    if _sysblock.layer(system, name):
        return None
    number = system.text(base + "/dev").strip()
    size = int(system.text(base + "/size").strip() or 0) * 512
    if not size or not number:
        return None
    path = _mounttable.node(system, name)
    # Only directories say that a disk is in use here: container engines bind single files (/etc/hosts) from a disk that is not ours.
    targets = sorted(m["target"] for m in mounts.get(number, []) if m["root"] == "/" or _mounttable.is_directory(system, m["target"]))
    if path is None and not targets:
        return None
    content = _mounttable.superblock(system, path) if path else {}
    udev = _sysblock.udev(system, number)
    partition = system.text(base + "/partition").strip()
    item = {
        "kind": _sysblock.kind(system, base, partition),
        "path": _sysblock.label(system, base, name),
        "size": size,
        "serial": _sysblock.serial(system, base, udev) if not partition else "",
        "wwn": _sysblock.wwn(system, base, udev) if not partition else "",
        "model": _sysblock.first(system.text(base + "/device/model")) if not partition else "",
        "type": content.get("TYPE", ""),
        "uuid": content.get("UUID", ""),
        "label": escape(content.get("LABEL", "")),
        "partuuid": content.get("PART_ENTRY_UUID", ""),
        "table_type": content.get("PTTYPE", ""),
        "table": "",
        "mounts": targets,
        "holders": [_sysblock.label(system, "%s/%s" % (_sysblock.SYSFS, h), h) for h in system.listdir(base + "/holders")],
        "parent": "",
        "partition": partition,
    }
    if path and item["table_type"]:
        try:
            item["table"] = table_digest(system.blocks(path, 0, 65536))
        except OSError as exc:  # one dying disk must not hide the others
            system.skip("partition table of %s" % item["path"], exc.strerror or str(exc))
    if partition:
        item["parent"] = _sysblock.whole(system, name, partition)
    volume = _sysblock.origin(system, name)
    if volume:
        item["snapshot_of"] = volume
    return item


def _subject(item, name, taken):
    used = set(taken.values())
    wanted = []
    if item["parent"] and taken.get(item["parent"], "").startswith("SERIAL="):
        wanted.append("%s-part%s" % (taken[item["parent"]], item["partition"]))
    if item["serial"]:
        wanted.append("SERIAL=" + escape(item["serial"]))
    if item["kind"] == "mapped":
        wanted.append(item["path"])
    if item["uuid"]:
        wanted.append("UUID=" + item["uuid"])
    if item["partuuid"]:
        wanted.append("PARTUUID=" + item["partuuid"])
    wanted += [item["path"], item["path"] + " (%s)" % name]
    return next(subject for subject in wanted if subject not in used)


def table_digest(data):
    """sha256 of a partition table's essence: a GPT's header and entries, else an MBR's disk signature and entries (not its boot code)."""
    for sector in (512, 4096):
        if data[sector : sector + 8] == b"EFI PART":
            # header CRC field included: it changes with any entry, which is what we ask
            return hashlib.sha256(data[sector : sector + 92] + data[2 * sector : 2 * sector + 16384]).hexdigest()
    return hashlib.sha256(data[440:512]).hexdigest()


def compare(before, after):
    """Findings: disks.identity.changed missing unknown new size table label type."""
    old, new = before.get("items", {}), after.get("items", {})
    pairs, gone, come = _pair(old, new)
    out, told = [], set()
    out += _replaced(old, new, pairs, told)
    for left, right in pairs:
        if left not in told:
            out += _changed(left, old[left], new[right])
    for subject in gone:
        if subject not in told:
            out.append(_missing(subject, old))
    for subject in come:
        if subject not in told:
            out.append(_new(subject, new))
    return out


def _pair(old, new):
    """Join items of both looks: by subject, then by file system UUID, partition UUID, serial or WWN (a name may move, the thing is the same)."""
    pairs = [(s, s) for s in old if s in new]
    gone, come = [s for s in old if s not in new], [s for s in new if s not in old]
    for key in ("uuid", "partuuid", "wwn", "serial"):
        for subject in list(gone):
            value = old[subject][key]
            match = [s for s in come if value and new[s][key] == value and new[s]["kind"] == old[subject]["kind"]]
            # the same UUID on a disk with another serial is a copy, not the disk
            match = [s for s in match if not (old[subject]["serial"] and new[s]["serial"] and old[subject]["serial"] != new[s]["serial"])]
            if len(match) == 1:
                pairs.append((subject, match[0]))
                gone.remove(subject)
                come.remove(match[0])
    return sorted(pairs), sorted(gone), sorted(come)


def _identity(item, items):
    """What the content is (UUID) and what it is on (serials of it and of its disk), as far as known."""
    disk = items.get(item["parent"], {})
    return {"uuid": item["uuid"], "serial": item["serial"] or disk.get("serial", ""), "partuuid": item["partuuid"]}


def _other(one, two):
    return any(one[key] != two[key] for key in ("uuid", "serial") if one[key] and two[key]) or bool(one["uuid"]) != bool(two["uuid"])


def _say(item, identity):
    words = ["%s %s" % (word, identity[key]) for key, word in (("uuid", "UUID"), ("serial", "serial")) if identity[key]]
    return "%s %s on %s" % (item["type"] or "no file system known", ", ".join(words) or "without UUID", item["path"])


def _replaced(old, new, pairs, told):
    """Mount points that carry another file system than before: the worst that can happen without an error message."""
    at = {target: subject for subject, item in new.items() for target in item["mounts"]}
    renamed = dict(pairs)
    for subject, item in sorted(old.items()):
        moved = [t for t in item["mounts"] if t in at]
        if not moved:
            # unmounted and reformatted in place: no mount point to name
            continue
        now = at[moved[0]]
        was_id, now_id = _identity(item, old), _identity(new[now], new)
        if not _other(was_id, now_id):
            continue
        told.update((subject, now, item["parent"], new[now]["parent"]))
        # the device was there before, empty and so known by its path: that it has a file system now is this same event
        told.update(s for s, i in old.items() if i["path"] == new[now]["path"] and not i["uuid"] and not i["mounts"])
        told.discard("")
        partner = renamed.get(subject)
        targets = sorted(item["mounts"], key=lambda t: (t.count("/"), t))
        yield Finding(
            id="disks.identity.changed",
            severity="blocker",
            subject=targets[0],
            check="QF28",
            title="another disk or file system is mounted at %s" % ", ".join(targets),
            evidence="before: %s; now: %s%s"
            % (
                _say(item, was_id),
                _say(new[now], now_id),
                "; the former one is still there, not mounted here" if partner and partner != now and not new[partner]["mounts"] else "",
            ),
            remedy="stop: write nothing to it. Find the former disk (blkid), mount it again by its UUID, compare anew; restore the backup only when it is lost",
            details=details(
                "changed",
                "uuid" if was_id["uuid"] != now_id["uuid"] else "serial",
                was_id["uuid"] or was_id["serial"],
                now_id["uuid"] or now_id["serial"],
                paths=targets,
            ),
            covers=[{"section": "*", "path": t} for t in targets] + [{"section": "disks", "subject": s} for s in (subject, now) if s != targets[0]],
        )


def _changed(subject, was, now):
    out = []
    if was["uuid"] != now["uuid"] or was["type"] != now["type"]:
        return [
            Finding(
                id="disks.identity.changed",
                severity="blocker",
                subject=subject,
                check="QF28",
                title="the content of %s is another file system than before" % now["path"],
                evidence="before: %s UUID %s; now: %s UUID %s"
                % (was["type"] or "nothing", was["uuid"] or "none", now["type"] or "nothing", now["uuid"] or "none"),
                remedy="find out who formatted it; restore its content if it was in use",
                details=details("changed", "uuid", was["uuid"], now["uuid"], paths=was["mounts"]),
                covers=[{"section": "*", "path": t} for t in was["mounts"]],
            )
        ]
    for attribute, severity, remedy in (
        ("table", "blocker", "compare with a saved copy of the table (sfdisk --dump) before any reboot"),
        ("serial", "blocker", "another device carries the same file system: make sure which copy is the right one"),
        ("label", "warning", "set the label again (e2label, xfs_admin) if fstab or scripts use it"),
        ("size", "blocker" if now["size"] < was["size"] else "warning", "check the device; a smaller one has lost content"),
    ):
        # a serial that only one look could read says nothing
        if was[attribute] == now[attribute] or (attribute in ("serial", "table") and not (was[attribute] and now[attribute])):
            continue
        out.append(
            Finding(
                id="disks.%s.changed" % attribute,
                severity=severity,
                subject=subject,
                check="QF28",
                title={
                    "table": "the partition table of %s has changed",
                    "serial": "%s is another device",
                    "label": "the label of %s has changed",
                    "size": "the size of %s has changed",
                }[attribute]
                % now["path"],
                evidence="before: %s; now: %s" % (was[attribute], now[attribute]),
                remedy=remedy,
                details=details("changed", attribute, was[attribute], now[attribute]),
            )
        )
    return out


def _children(subject, items):
    return [{"section": "disks", "subject": s} for s, item in sorted(items.items()) if item["parent"] == subject]


def _missing(subject, items):
    item = items[subject]
    below = [t for s, i in items.items() if s == subject or i["parent"] == subject for t in i["mounts"]]
    return Finding(
        id="disks.missing",
        severity="blocker",
        subject=subject,
        check="QF28",
        title="a disk or file system that was there is gone",
        evidence="%s, %d bytes, was %s"
        % (_say(item, _identity(item, items)), item["size"], "mounted at " + ", ".join(sorted(below)) if below else "not mounted"),
        remedy="look for it with lsblk and dmesg: driver missing in the new kernel, cable, array not assembled",
        details=details("missing", "", item["path"], None, paths=sorted(below)),
        covers=[{"section": "*", "path": t} for t in sorted(below) if t != "/"] + _children(subject, items),
    )


def _snapshot(subject, item):
    """A snapshot of a volume that is mounted holds nothing that is unknown; one that fills up is of no use any more."""
    ours = "-intact--" in item["path"]
    return Finding(
        id="disks.snapshot.new",
        severity="info" if ours else "warning",
        subject=subject,
        check="QF28",
        title="a flight's snapshot of %s" % item["snapshot_of"] if ours else "a new snapshot of %s" % item["snapshot_of"],
        evidence="%s, %d bytes, not mounted" % (item["path"], item["size"]),
        remedy="" if ours else "lvs says how full it is; remove it when nobody needs it",
        details=details("new", "", None, item["path"]),
    )


def _new(subject, items):
    item = items[subject]
    if not item["mounts"] and any(i["path"] == item.get("snapshot_of") and i["mounts"] for i in items.values()):
        return _snapshot(subject, item)
    inside = [i for s, i in items.items() if s == subject or i["parent"] == subject]
    data = [i for i in inside if i["type"] and not i["mounts"] and not i["holders"]]
    unknown = bool(data) or (item["table_type"] and not any(i["mounts"] or i["holders"] for i in inside))
    say = "%s, %d bytes, %s" % (
        _say(item, _identity(item, items)),
        item["size"],
        "mounted at " + ", ".join(item["mounts"]) if item["mounts"] else "not mounted",
    )
    return Finding(
        id="disks.unknown" if unknown else "disks.new",
        severity="blocker" if unknown else "warning",
        subject=subject,
        check="QF28",
        title="a disk with data on it that nobody mounted has appeared" if unknown else "a new disk or file system",
        evidence=say,
        remedy="find out what it is before anything writes to it; then mount it or detach it" if unknown else "expected? then allow it with a reason",
        details=details("new", "", None, item["path"], paths=item["mounts"]),
        covers=_children(subject, items),
    )
