# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Driver lvm: snapshots of all volumes that make the system, as one set; merged together before / is mounted, by the boot entry that goes back."""

from __future__ import annotations

import contextlib
import os
import time

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._rollback import _boot, _entry, _grub, _lvm_look
from ansible_collections.intact.hosting.plugins.module_utils._rollback._place import SYSTEM, check_name, excluded, finding, left_behind

NAME = "lvm"
INITRAMFS = "/usr/share/initramfs-tools/scripts/local"
MODULES = ("dm-snapshot",)
# A device-mapper name holds group, volume and "-cow", each hyphen twice.
LONGEST = 126
FULL = 97.0
# It takes room with every write, so that it must be watched.
FILLS = True


def decide(place, flight, settings):
    """The facts that are remembered before anything is made: the exact names of the set, and what boots now."""
    name = check_name(flight)
    exclude = settings.get("exclude") or []
    known, groups = _lvm_look.look(place)
    group, volumes = _lvm_look.chosen(known, place.mounts(), lambda target: target not in SYSTEM and excluded(target, exclude))
    wanted = _lvm_look.shares(settings.get("plan") or {}, _installed(place, settings.get("plan") or {}), {v["target"]: v["size"] for v in volumes})
    for volume in volumes:
        volume["snapshot"] = "%s-%s" % (name, volume["lv"])
        mib = (settings.get("sizes") or {}).get(volume["target"])
        share = int(mib) << 20 if mib else wanted[volume["target"]]
        volume["cow"] = 0 if volume["thin"] else _lvm_look.cow(volume["size"], share, groups[group]["vg_extent_size"])
        if len(("%s-%s" % (group, volume["snapshot"])).replace("-", "--")) + len("-cow") > LONGEST:
            raise IntactError("the name %s is too long for a volume: give the flight a shorter name" % volume["snapshot"])
    _entry.script(group, [v["snapshot"] for v in volumes])
    kernel = settings.get("kernel") or os.uname().release
    facts = {"driver": NAME, "flight": flight, "name": name, "vg": group, "volumes": volumes, "kernel": kernel}
    return dict(facts, directory=settings.get("directory") or "", grub=_grub.sectors(place))


def _installed(place, plan):
    """Bytes of the packages that are upgraded, as they are installed now."""
    names = {entry["name"] if isinstance(entry, dict) else entry for entry in plan.get("upgrade") or []}
    said = place.run(["dpkg-query", "-W", "-f", "${Package} ${Installed-Size}\n"], check=False)
    if not names or said.rc:
        return 2 << 30
    rows = [line.split() for line in said.text.splitlines()]
    return sum(int(row[1]) for row in rows if len(row) == 2 and row[0] in names and row[1].isdigit()) * 1024


def check(place, settings):
    """Findings before take-off."""
    try:
        facts = decide(place, "check", settings)
        known, groups = _lvm_look.look(place)
    except IntactError as exc:
        return [finding("impossible", "blocker", "/", "this host can't go back by LVM snapshots", str(exc), "choose another driver, or none")]
    mounts, exclude = place.mounts(), settings.get("exclude") or []
    found = left_behind(mounts, {v["target"] for v in facts["volumes"]}, exclude)
    found += _room(facts, known, groups)
    boot = place.mount_of("/boot")
    source = _lvm_look.by_device(known, boot["source"])
    if boot["target"] != "/boot" or source is not None:
        why = "it is on %s" % (boot["source"])
        remedy = "give /boot a partition of its own, or choose hook or restore: GRUB reads /boot of the volume while it is being merged"
        found.append(finding("boot.inside", "blocker", "/boot", "/boot is not on a file system of its own outside of LVM", why, remedy))
    found += _entry_found(place, facts["kernel"]) + _initrd_found(place, facts)
    if os.path.isdir(place.path("/sys/firmware/efi")):
        said = "it stays the newer one until grub's package is installed again"
        found.append(
            finding("boot.efi", "warning", "/boot/efi", "the boot loader on the EFI partition is not put back", said, "nothing: it boots old kernels too")
        )
    if not [f for f in found if f.severity == "blocker"]:
        names = ", ".join("%s (%s)" % (v["target"], v["lv"]) for v in facts["volumes"])
        found.append(finding("possible", "info", facts["vg"], "snapshots of %d volumes can be taken" % len(facts["volumes"]), names))
    return found


def _room(facts, known, groups):
    """Findings about the room that the set takes."""
    found, group = [], groups[facts["vg"]]
    need, free = sum(v["cow"] for v in facts["volumes"]), group["vg_free"]
    if need > free:
        said = "the snapshots need %d MiB, %d MiB are free" % (need >> 20, free >> 20)
        remedy = "extend the group by %d MiB (vgextend), exclude volumes that may stay as they are, or set sizes" % ((need - free) >> 20)
        found.append(finding("space", "blocker", facts["vg"], "the volume group has no room for the snapshots", said, remedy, needed=need, free=free))
    for name in sorted({v["pool"] for v in facts["volumes"] if v["thin"]}):
        full = known[facts["vg"], name]["data_percent"]
        if full > _lvm_look.POOL_FULL:
            found.append(finding("pool", "blocker", name, "the thin pool is nearly full", "%.0f %% used" % full, "extend it (lvextend)"))
    if group["vg_attr"][3:4] == "p":
        found.append(finding("partial", "blocker", facts["vg"], "a disk of the volume group is missing", group["vg_attr"], "bring it back first"))
    return found


def _entry_found(place, kernel):
    """Findings about what boots: the running kernel has its entry, its initrd and its initramfs-tools."""
    try:
        _entry.parts(place.text("/boot/" + _boot.CFG), kernel)
    except IntactError as exc:
        return [finding("boot.entry", "blocker", "/boot/grub/grub.cfg", "no boot entry could be made that goes back", str(exc), "let GRUB boot this host")]
    return []


def _initrd_found(place, facts):
    """Findings about the initrd of the running kernel: it must be able to merge."""
    if not os.path.exists(place.path(INITRAMFS)):
        remedy = "choose hook or restore"
        return [finding("boot.initramfs", "blocker", "initramfs", "the initrd is not made by initramfs-tools", "%s is not there" % INITRAMFS, remedy)]
    image = place.path("/boot/initrd.img-%s" % facts["kernel"])
    said = place.run(["lsinitramfs", image], check=False)
    if said.rc:
        return [finding("boot.initrd", "blocker", image, "the initrd of the running kernel can't be read", said.error, "update-initramfs -u")]
    names, found = said.text, []
    thin = any(v["thin"] for v in facts["volumes"])
    builtin = place.text("/lib/modules/%s/modules.builtin" % facts["kernel"])
    for module in MODULES + (("dm-thin-pool",) if thin else ()):
        if module + ".ko" not in names and module + ".ko" not in builtin:
            remedy = "echo %s >> /etc/initramfs-tools/modules; update-initramfs -u" % module
            found.append(finding("boot.module", "blocker", module, "the initrd can't merge: it lacks this module", image, remedy))
    if "bin/lvm" not in names:
        found.append(finding("boot.lvm", "blocker", image, "the initrd holds no lvm", "", "install lvm2, update-initramfs -u"))
    return found


def take(place, facts):
    """Keep /boot, then make the whole set. What a cut left of it is ours, and made anew: nothing of the flight has changed the host yet."""
    known, _groups = _lvm_look.look(place)
    for volume in facts["volumes"]:
        entry = known.get((facts["vg"], volume["snapshot"]))
        if entry is None:
            continue
        if not _lvm_look.ours(entry, volume, facts["name"]) or _lvm_look.merging(entry):
            raise IntactError(
                "%s/%s is there already and is not this flight's snapshot: find out what it is, and rename it" % (facts["vg"], volume["snapshot"])
            )
        place.run(["lvremove", "--yes", "%s/%s" % (facts["vg"], volume["snapshot"])])
    _boot.keep(place, facts["directory"])
    place.run(["sync"])
    for volume in facts["volumes"]:
        size = [] if volume["thin"] else ["--size", "%db" % volume["cow"]]
        argv = ["lvcreate", "--yes", "--snapshot", "--addtag", facts["name"], "--name", volume["snapshot"], *size, "%s/%s" % (facts["vg"], volume["lv"])]
        place.run(argv, timeout=300)


def state(place, facts):
    """{whole, why, back, percent, room}."""
    known, _groups = _lvm_look.look(place)
    why, percent = _lvm_look.judge(known, facts)
    rooms = []
    for volume in facts["volumes"]:
        entry = known.get((facts["vg"], volume["snapshot"]))
        if volume["target"] in ("/", "/var", "/var/lib") and entry:
            rooms.append(int(entry["lv_size"] * (FULL - entry["data_percent"]) / 100) if not volume["thin"] else volume["size"])
    return {"whole": not why, "why": why, "back": _boot.switched(place), "percent": percent, "room": max(0, min(rooms)) if rooms else 0}


def drop(place, facts):
    """Remove the set. What is not ours is left alone, and told."""
    known, _groups = _lvm_look.look(place)
    gone, left = [], []
    for volume in facts["volumes"]:
        entry = known.get((facts["vg"], volume["snapshot"]))
        if entry is None:
            continue
        if not _lvm_look.ours(entry, volume, facts["name"]) or _lvm_look.merging(entry):
            left.append(volume["snapshot"])
            continue
        place.run(["lvremove", "--yes", "%s/%s" % (facts["vg"], volume["snapshot"])])
        gone.append(volume["snapshot"])
    if not left and facts["directory"]:
        _boot.forget(facts["directory"])
    if left:
        raise IntactError("%s in %s is not what this flight made, or is being merged: it was left alone" % (", ".join(left), facts["vg"]))
    return "snapshots removed: %s" % ", ".join(gone) if gone else ""


@contextlib.contextmanager
def opened(place, facts):
    """The tree of the set, every volume at its place, writable."""
    with contextlib.ExitStack() as stack:
        top = None
        for volume in sorted(facts["volumes"], key=lambda v: v["target"]):
            device = "/dev/%s/%s" % (facts["vg"], volume["snapshot"])
            if volume["thin"]:
                place.run(["lvchange", "--yes", "--activate", "y", "--ignoreactivationskip", "%s/%s" % (facts["vg"], volume["snapshot"])])
                stack.callback(place.run, ["lvchange", "--activate", "n", "%s/%s" % (facts["vg"], volume["snapshot"])], check=False)
            options = ["nouuid"] if volume["fstype"] == "xfs" else []
            if top is None:
                top = stack.enter_context(place.mounted(device, facts["name"], volume["fstype"], options))
            else:
                target = top + volume["target"]
                if not os.path.ismount(target):
                    place.run(["mount", "-t", volume["fstype"], *(["-o", ",".join(options)] if options else []), "--", device, target])
                stack.callback(place.run, ["umount", "--", target])
        yield top


def prepare(place, facts, tree):
    """Lay what boots the old system beside what boots the new one."""
    _boot.provide(place, facts["directory"], facts)


def boot_back(place, facts):
    """The one step: the entry that goes back is what GRUB boots."""
    known, _groups = _lvm_look.look(place)
    why, percent = _lvm_look.judge(known, facts)
    if why or percent > FULL:
        raise IntactError("the snapshots can't be gone back to: %s" % (why or "%.0f %% are used" % percent))
    _boot.switch(place, facts["directory"], facts)


def settle(place, facts, patience=0, clock=time.monotonic, sleep=time.sleep):
    """In the old system: wait until everything is merged, then put /boot back. (sentences, ""), or (None, how far) when that takes longer."""
    place.run(["vgchange", "--poll", "y", facts["vg"]], check=False, timeout=600)
    began = clock()
    while True:
        known, _groups = _lvm_look.look(place)
        left = {v["snapshot"]: known.get((facts["vg"], v["snapshot"])) for v in facts["volumes"]}
        left = {name: entry for name, entry in left.items() if entry is not None}
        if not left:
            return _boot.put_back(place, facts["directory"], facts, facts["grub"]), ""
        still = sorted(name for name, entry in left.items() if not _lvm_look.merging(entry))
        if still:
            raise IntactError("%s is not being merged: reboot, the entry that goes back asks for it again" % ", ".join(still))
        if clock() - began >= patience:
            return None, ", ".join("%s: %.0f %% left to merge" % (name, entry["data_percent"]) for name, entry in sorted(left.items()))
        sleep(2)
