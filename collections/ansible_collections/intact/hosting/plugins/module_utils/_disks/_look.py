# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.
"""Look at block devices without touching them: what the kernel's sysfs says, what their own bytes say. Nothing is activated, assembled or mounted."""

from __future__ import annotations

import os
import stat

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _mounttable, _sysblock
from ansible_collections.intact.hosting.plugins.module_utils._disks import _duplicates, _inuse, _judge, _probe, _roots, _smart, _table, _token, _volumes
from ansible_collections.intact.hosting.plugins.module_utils._disks._device import Device
from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError


def look(system, paths=None, smart=True, describe=True):
    """{devices: {path: entry}, roots: [root], findings: [dict]}: see docs/disks.md for an entry.

    paths: block devices or image files; all block devices are read in any case, to know what collides, and those asked for are returned with the disk
    that they are on and the partitions that are on them. A path that is none is an IntactError. smart: ask the disks. describe: read old roots.
    """
    scene = Scene(system)
    asked = {scene.add(path) for path in paths or ()}
    scene.read()
    chosen = {path for path in scene.entries if not asked or path in asked or scene.entries[path].get("parent") in asked}
    chosen |= {scene.entries[path]["parent"] for path in chosen if scene.entries[path].get("parent")}
    if smart:
        for path in sorted(chosen):
            if scene.entries[path]["kind"] == "disk" and scene.entries[path].get("node", True):
                scene.entries[path]["smart"] = _smart.look(system, path)
    findings = [finding for finding in _duplicates.mark(scene) if {finding.subject, finding.details["of"]} & chosen] + _judge.judge(scene, chosen)
    roots = _roots.found(scene, chosen) if describe else []
    return {
        "devices": {path: {key: value for key, value in scene.entries[path].items() if value not in ("", None, [], {})} for path in sorted(chosen)},
        "roots": roots,
        "findings": [finding.as_dict() for finding in findings],
    }


class Scene:
    """Everything that was read: entries by path, their bytes, the volumes' bytes, what went wrong."""

    def __init__(self, system):
        self.system = system
        self.entries, self.devices, self.damage, self.names, self.volumes = {}, {}, {}, {}, {}
        self._mounts, self._swaps, self._btrfs = _inuse.mounts(system), _inuse.swaps(system), _inuse.of_btrfs(system)
        self._elsewhere = _inuse.elsewhere(system)
        for name in system.listdir(_sysblock.SYSFS):
            if name.rstrip("0123456789") not in _sysblock.VOLATILE:
                self._kernel(name)
        for entry in self.entries.values():
            if entry["kind"] == "partition":
                entry["parent"] = self.names.get(entry["parent"], "")

    def add(self, path):
        """The key of a path that was asked for: a block device's own, an image file's."""
        real = self.system.realpath(path)
        key = next((k for k, e in self.entries.items() if real in (self.system.realpath(k), e.get("node_path"))), None)
        if key:
            return key
        state = self.system.lstat(real)
        if state is not None and stat.S_ISBLK(state.st_mode):
            number = "%d:%d" % (os.major(state.st_rdev), os.minor(state.st_rdev))
            for key, entry in self.entries.items():
                if entry.get("number") == number:
                    return self._by_node(key, entry, real)
        if state is None or not stat.S_ISREG(state.st_mode):
            what = "is not there" if state is None else "is neither a block device that the kernel knows nor a file"
            raise IntactError("%s %s: name a disk, a partition, a loop device or an image file" % (escape(path), what), path=escape(path))
        key = escape(real)
        self.entries[key] = {"path": key, "name": escape(os.path.basename(real)), "kind": "image", "size": state.st_size, "sector": 512, "in_use": []}
        self.devices[key] = Device(self.system, real, state.st_size)
        return key

    def _by_node(self, key, entry, node):
        """A device whose node lies elsewhere than in /dev, as rescue systems make them, is read by that node."""
        if key not in self.devices:
            self.devices[key] = Device(self.system, node, entry["size"])
            entry["node_path"] = node
            entry.pop("node", None)
        return key

    def _kernel(self, name):
        system, base = self.system, "%s/%s" % (_sysblock.SYSFS, name)
        number, size = system.text(base + "/dev").strip(), int(system.text(base + "/size").strip() or 0) * 512
        if not number or not size:
            return
        partition = system.text(base + "/partition").strip()
        disk = _sysblock.whole(system, name, partition) if partition else ""
        queue = "%s/%s/queue" % (_sysblock.SYSFS, disk or name)
        udev = _sysblock.udev(system, number)
        path = _sysblock.label(system, base, name)
        entry = {
            "path": path,
            "name": name,
            "number": number,
            "kind": _sysblock.kind(system, base, partition),
            "parent": disk,
            "size": size,
            "sector": int(system.text(queue + "/logical_block_size").strip() or 512),
            "read_only": system.text(base + "/ro").strip() == "1",
            "rotational": system.text(queue + "/rotational").strip() == "1",
            "removable": system.text(base + "/removable").strip() == "1",
        }
        if partition:
            entry.update(partition=int(partition), start=int(system.text(base + "/start").strip() or 0) * 512)
        else:
            entry.update(serial=escape(_sysblock.serial(system, base, udev)), wwn=escape(_sysblock.wwn(system, base, udev)))
            entry["model"] = escape(_sysblock.first(system.text(base + "/device/model")))
        if entry["kind"] == "loop":
            entry["backing"] = escape(os.fsencode(_inuse.backing(system, base)))
        # reading a suspended one would wait for ever
        node = _mounttable.node(system, name) if system.text(base + "/dm/suspended").strip() != "1" else None
        if node:
            self.devices[path] = Device(system, node, size)
            entry["node_path"] = node
        else:
            entry["node"] = False
        self._usage(entry, base, node)
        self.names[name] = path
        self.entries[path] = entry

    def _usage(self, entry, base, node):
        keys = {entry["number"], entry["path"], node or entry["path"]}
        entry["mounted"] = sorted({target for key in keys for target in self._mounts.get(key, ())})
        entry["swap"] = bool(self._swaps & keys)
        holders = self.system.listdir(base + "/holders")
        uses = ["mounted at %s" % target for target in entry["mounted"]] + ["swap"] * entry["swap"]
        uses += ["part of %s" % _sysblock.label(self.system, "%s/%s" % (_sysblock.SYSFS, held), held) for held in holders]
        if not entry["mounted"]:
            uses += ["mounted in another namespace (process %d)" % self._elsewhere[key] for key in sorted(keys) if key in self._elsewhere][:1]
            uses += ["part of the mounted btrfs %s" % self._btrfs[entry["name"]]] if entry["name"] in self._btrfs else []
        entry["in_use"] = uses

    def read(self):
        """Read every device's bytes."""
        for path in list(self.entries):
            entry, device = self.entries[path], self.devices.get(path)
            if entry["kind"] != "partition" and device:
                self._whole(entry, device)
        for path, entry in self.entries.items():
            if entry["kind"] == "partition" and path in self.devices and not entry.get("extended"):
                self._content(entry, self.devices[path])
            if path in self.devices and not entry.get("extended") and not entry.get("table") and not entry.get("signature"):
                entry["lost"] = _probe.lost(self.devices[path], self.damage[path])
        self._under()
        for entry in self.entries.values():
            if entry["kind"] != "partition":
                below = [e for e in self.entries.values() if e.get("parent") == entry["path"] and e["in_use"]]
                entry["in_use"] = entry["in_use"] + ["%s is %s" % (e["path"], e["in_use"][0]) for e in below]
                self._own(entry)
        self._groups()
        for entry in self.entries.values():
            if entry["kind"] not in ("partition", "mapped", "raid") and entry["path"] in self.devices:
                entry["token"] = _token.of(entry)

    def _under(self):
        """A loop device over a device or an image that is here uses it."""
        for entry in self.entries.values():
            below = self.entries.get(entry.get("backing")) if entry["kind"] == "loop" else None
            if below and entry["path"] not in " ".join(below["in_use"]):
                below["in_use"] = below["in_use"] + ["under %s" % entry["path"]]

    def _content(self, entry, device):
        damage = self.damage.setdefault(entry["path"], _probe.Damage())
        entry.update(_probe.identify(device, damage))

    def _whole(self, entry, device):
        self._content(entry, device)
        entry["bios_raid"] = _probe.bios_raid(device, self.damage[entry["path"]])
        if (entry.get("signature") or {}).get("type") in ("vfat", "ntfs", "iso9660"):
            return  # their first sector ends as a table does
        try:
            table = _table.read(device, entry["sector"])
        except OSError as exc:
            self.damage[entry["path"]].add(exc)
            return
        if table:
            entry["table"] = table
            for part in table["partitions"]:
                self._partition(entry, device, part)

    def _partition(self, disk, device, part):
        """Join what the table says with the kernel's partition; one that the kernel does not know is read in its disk."""
        held = [e for e in self.entries.values() if e.get("parent") == disk["path"] and e.get("partition") == part["number"]]
        key = held[0]["path"] if held else "%s#%d" % (disk["path"], part["number"])
        if not held:
            self.entries[key] = {"path": key, "kind": "partition", "parent": disk["path"], "partition": part["number"], "sector": disk["sector"], "in_use": []}
            self.entries[key].update(start=part["start"], size=part["size"], place=[disk["path"], part["start"]])
            self.devices[key] = device.part(part["start"], part["size"])
        elif held[0].get("start") != part["start"]:
            disk["table"].setdefault("said", []).append("the kernel has partition %d at another place than the table" % part["number"])
        part["path"] = key
        self.entries[key].update(type=part["type"], partuuid=part["uuid"], partition_name=part["name"])
        self.entries[key]["extended"] = disk["table"]["type"] == "dos" and int(part["type"], 16) in _table.EXTENDED

    def _own(self, disk):
        """A 0.90 or 1.0 superblock at the end of the last partition is also at the end of the disk: it is the partition's."""
        md = disk.get("md")
        below = [e for e in self.entries.values() if e.get("parent") == disk["path"] and e.get("md")]
        if md and any(e["md"]["super_offset"] + e["start"] == md["super_offset"] and e["md"]["uuid"] == md["uuid"] for e in below):
            for key in ("md", "signature", "inside"):
                disk.pop(key, None)

    def _groups(self):
        """Volume groups, from physical volumes on devices and inside RAID1 members; volumes are looked into."""
        found, homes = [], []
        for path, entry in self.entries.items():
            holder, device = entry, self.devices.get(path)
            while holder.get("inside"):
                holder = holder["inside"]
                device = device.part(holder["offset"], holder["size"])
            if holder.get("lvm"):
                found.append((path, device, holder["lvm"], bool(entry["in_use"])))
                homes.append((entry, holder))
        for (entry, holder), (told, devices) in zip(homes, _volumes.assemble(found)):
            holder["lvm"] = told
            for volume in told["lvs"]:
                if volume["uuid"] in devices:
                    self.volumes[entry["path"], volume["uuid"]] = devices[volume["uuid"]]
                    volume.update(_probe.identify(devices[volume["uuid"]], self.damage[entry["path"]]))
                    if volume.get("lvm"):
                        volume["lvm"] = {"pv_uuid": volume["lvm"]["pv_uuid"], "vg": escape(str(volume["lvm"]["metadata"].get("name", ""))), "lvs": []}
