# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Legacy disks beside the live ones of a running machine: found, attached, read, detached, and not a byte written. In this order:
each test goes on from the one before, the last ones show what happens without the guards."""

from __future__ import annotations

import os
import shlex
import time

import pytest

import vm_disks
import vm_lab
from vm_case import DEGRADED, LIVE_MOUNTS, UNGUARD, disk
from vm_machine import Machine, overlay

if not os.environ.get("INTACT_VM"):
    pytest.skip("a virtual machine takes minutes: 'make test-vm' runs these", allow_module_level=True)

# What a disk shows: serial, {directory below the mounts: word of its fsynced files}, options.
SHOWN = {
    "OLDLVM": ({"/etc": "lvm-root", "/home": "lvm-home"}, {}),
    "OLDMDA": ({"": "md"}, {}),
    "OLDLUKS": ({"": "luks"}, {"luks_key_file": "/root/old.key"}),
    "OLDXFS": ({"": "xfs"}, {}),
    "OLDBTRFS": ({"": "btrfs"}, {}),
    "OLDPARTS": ({"/etc": "parts-root", "/home": "parts-home", "/var": "parts-var"}, {}),
}
BASE = "/var/lib/intact/legacy"


def look(case):
    if not case.looked:
        case.looked = case.module("block_device_info")
    return case.looked


def entries(case):
    """Entry of each whole disk, by serial."""
    return {entry["serial"]: entry for entry in look(case)["devices"].values() if entry.get("serial") and entry["kind"] == "disk"}


def held(case, serial):
    """What a disk holds and its partitions: entries, the disk first."""
    whole = entries(case)[serial]
    return [whole] + [entry for entry in look(case)["devices"].values() if entry.get("parent") == whole["path"]]


def one(case, serial, key):
    found = [entry[key] for entry in held(case, serial) if entry.get(key)]
    assert len(found) == 1, f"{serial}: {key} is {found}"
    return found[0]


def arguments(serial, case, **more):
    return {
        "device": disk(serial),
        "token": entries(case)[serial]["token"],
        "path": f"{BASE}/{serial}",
        "overlay_dir": f"{BASE}/overlays",
        "overlay_size": "96M",
        **SHOWN[serial][1],
        **more,
    }


def fsynced(case, directory, word):
    """All files that were fsynced before the power cut are there, with their content."""
    script = f"""
import os
folder = {directory!r} + '/fsynced'
names = sorted(os.listdir(folder))
assert names == ['%03d' % n for n in range({vm_disks.FILES})], names
for number, name in enumerate(names):
    with open(folder + '/' + name) as handle:
        assert handle.read() == '{word} %d\\n' % number * 20, name
"""
    case.machine.run(f"python3 - <<'END'\n{script}\nEND")


def test_the_machine_has_its_live_disks_and_guards(case):
    assert {mount.split()[0] for mount in case.before["mounts"]} == {"/", *LIVE_MOUNTS}
    assert sorted(line.split(":")[0] for line in case.before["dm"]) == ["vg0-data", "vg0-home"]
    assert case.before["md"] == []


def test_plugged_disks_arm_nothing(case):
    case.plug()
    # udev did look: what it found out is what its rules for md, LVM and btrfs go by.
    said = case.machine.run(f"for d in {disk('OLDMDA')}-part1 {disk('OLDLVM')}-part1; do udevadm info -q property $d; done")
    assert "ID_FS_TYPE=linux_raid_member" in said and "ID_FS_TYPE=LVM2_member" in said
    case.nothing_more()
    case.undisturbed()
    case.unchanged()


def test_every_disk_is_known_by_its_serial_and_has_a_token(case):
    found = entries(case)
    assert set(vm_disks.LEGACY_SERIALS) | set(vm_disks.LIVE) <= set(found)
    for serial in vm_disks.LEGACY_SERIALS:
        assert found[serial]["token"].startswith(serial + "/"), found[serial]
        assert not found[serial].get("in_use"), found[serial]
    for serial in vm_disks.LIVE:
        assert found[serial]["in_use"], found[serial]
    assert len({found[serial]["token"] for serial in vm_disks.LEGACY_SERIALS}) == len(vm_disks.LEGACY_SERIALS)


def test_the_volume_group_with_the_live_name_is_found(case):
    old, live = one(case, "OLDLVM", "lvm"), one(case, "LIVELVM", "lvm")
    assert old["vg"] == live["vg"] == "vg0" and old["vg_uuid"] != live["vg_uuid"]
    assert {volume["name"] for volume in old["lvs"]} == {"root", "home", "swap"}
    said = case.machine.run(f"vgs --noheadings -o vg_uuid --devices {disk('OLDLVM')}-part1").strip()
    assert old["vg_uuid"] == said
    twins = [twin for entry in held(case, "OLDLVM") for twin in entry.get("duplicates", ())]
    assert [twin["value"] for twin in twins if twin["what"] == "volume group name"] == ["vg0"], twins


def test_the_halves_of_the_mirror_and_which_is_newer(case):
    newer, older = one(case, "OLDMDA", "md"), one(case, "OLDMDB", "md")
    assert newer["uuid"] == older["uuid"] and newer["level"] == older["level"] == "raid1"
    for serial, seen in (("OLDMDA", newer), ("OLDMDB", older)):
        said = case.machine.run(f"mdadm --examine {disk(serial)}-part1")
        assert f"Events : {seen['events']}\n" in said
    assert newer["events"] > older["events"]
    path = [entry["path"] for entry in held(case, "OLDMDB") if entry.get("md")][0]
    told = [finding for finding in look(case)["findings"] if finding["subject"] in (path, entries(case)["OLDMDB"]["path"])]
    assert any("older" in finding["title"] + finding["evidence"] for finding in told), look(case)["findings"]


def test_luks_is_found(case):
    said = case.machine.run(f"cryptsetup luksUUID {disk('OLDLUKS')}-part1").strip()
    assert one(case, "OLDLUKS", "luks")["uuid"] == said


@pytest.mark.parametrize(("old", "live", "what"), [("OLDXFS", "LIVEXFS", "XFS UUID"), ("OLDBTRFS", "LIVEBTRFS", "btrfs fsid")])
def test_a_clone_of_a_live_filesystem_is_found(case, old, live, what):
    mine, yours = one(case, old, "signature"), one(case, live, "signature")
    assert mine["uuid"] == yours["uuid"] and mine["journal"] == "dirty"
    twins = [twin for entry in held(case, old) for twin in entry.get("duplicates", ())]
    paths = {entry["path"] for entry in held(case, live)}
    assert any(twin["what"] == what and twin["of"] in paths and twin["live"] for twin in twins), twins


def test_dirty_journals_are_told(case):
    kinds = [(entry["signature"]["type"], entry["signature"].get("journal")) for entry in held(case, "OLDPARTS")[1:]]
    assert kinds == [("ext3", "dirty"), ("ext3", "dirty"), ("swap", "none"), ("ext3", "dirty")]


def test_old_roots_are_read_without_mounting(case):
    roots = {root["device"]: root for root in look(case)["roots"]}
    paths = {entry["path"] for entry in held(case, "OLDPARTS")}
    mine = [root for device, root in roots.items() if any(path in device for path in paths)]
    assert len(mine) == 1 and "CentOS" in str(mine[0]["distribution"]), roots
    case.unchanged()


def test_another_disk_is_refused(case):
    wrong = arguments("OLDPARTS", case, token=entries(case)["OLDLVM"]["token"])
    said = case.module("legacy_volume", fails=True, state="present", **wrong)["msg"]
    assert "OLDPARTS" in said and "OLDLVM" in said
    case.nothing_more()
    case.unchanged()


def test_a_wrong_key_is_refused(case):
    case.machine.run("umask 077; printf wrong >/root/wrong.key")
    case.module("legacy_volume", fails=True, state="present", **arguments("OLDLUKS", case, luks_key_file="/root/wrong.key"))
    case.nothing_more()
    case.unchanged()


def test_the_older_half_is_refused(case):
    said = case.module("legacy_volume", fails=True, state="present", **dict(arguments("OLDMDA", case), **older(case)))["msg"]
    assert "older" in said
    case.nothing_more()


def older(case):
    return {"device": disk("OLDMDB"), "token": entries(case)["OLDMDB"]["token"], "path": f"{BASE}/OLDMDB"}


@pytest.mark.parametrize("serial", SHOWN)
def test_each_is_attached_beside_the_live_ones(case, serial):
    case.machine.run(f"umask 077; printf %s {shlex.quote(vm_disks.LUKS_KEY)} >/root/old.key")
    result = case.module("legacy_volume", state="present", prove=serial == "OLDLVM", **arguments(serial, case))
    assert result["changed"] and result["mounts"]
    case.attached[serial] = result
    for directory, word in SHOWN[serial][0].items():
        root = result.get("root") or result["mounts"][0]["target"]
        fsynced(case, root + directory, word)
    for mount in result["mounts"]:
        options = case.machine.run(f"findmnt -n -o OPTIONS {shlex.quote(mount['target'])}").strip().split(",")
        assert {"ro", "nodev", "nosuid", "noexec"} <= set(options), (mount, options)


def test_the_newer_half_and_the_clones_show_their_own_content(case):
    for serial, text in (("OLDMDA", "newer half"), ("OLDXFS", "at clone time"), ("OLDBTRFS", "at clone time")):
        target = case.attached[serial]["mounts"][0]["target"]
        assert case.machine.run(f"cat {target}/which.txt").strip() == text
    for mount in LIVE_MOUNTS:
        assert case.machine.run(f"cat {mount}/which.txt").strip() == "live now"


def test_a_second_run_changes_nothing(case):
    assert set(case.attached) == set(SHOWN)
    again = case.module("legacy_volume", state="present", **arguments("OLDLVM", case))
    assert not again["changed"] and again["mounts"] == case.attached["OLDLVM"]["mounts"]


def test_live_disks_are_undisturbed_while_all_are_attached(case):
    case.undisturbed()
    case.unchanged()


@pytest.mark.parametrize("serial", SHOWN)
def test_each_is_detached(case, serial):
    result = case.module("legacy_volume", state="absent", prove=serial == "OLDLVM", **arguments(serial, case))
    assert result["changed"]
    if serial == "OLDLVM":
        assert result["sha256"]["before"] == result["sha256"]["after"] == case.hashes[serial]


def test_nothing_is_left_and_no_byte_was_written(case):
    case.nothing_more()
    case.undisturbed()
    case.unchanged()


def test_a_reboot_with_the_disks_plugged_and_attached(case):
    """The worst moment: some are attached when the machine goes down. It comes back by itself and nothing of the old disks is active."""
    for serial in ("OLDLVM", "OLDXFS", "OLDBTRFS"):
        case.module("legacy_volume", state="present", **arguments(serial, case))
    case.machine.reboot()
    case.machine.run("systemctl is-system-running --wait || true; udevadm settle; sleep 36; udevadm settle", seconds=400)
    case.nothing_more()
    case.undisturbed()
    case.unchanged()
    for serial in ("OLDLVM", "OLDXFS", "OLDBTRFS"):
        case.module("legacy_volume", state="absent", **arguments(serial, case))
        assert case.module("legacy_volume", state="absent", **arguments(serial, case))["changed"] is False
    case.nothing_more()
    case.unchanged()


def test_an_overlay_that_is_full_leaves_nothing(case):
    """XFS zeroes what is stale in its log at a mount: more than such a small overlay holds."""
    said = case.module("legacy_volume", fails=True, state="present", **arguments("OLDXFS", case, overlay_size="1M"))["msg"]
    assert "overlay" in said and "full" in said
    case.nothing_more()
    case.undisturbed()
    case.unchanged()


def test_a_disk_that_is_pulled_while_attached_is_cleaned_up(case):
    case.module("legacy_volume", state="present", **arguments("OLDPARTS", case))
    case.machine.qmp.pull("OLDPARTS")
    case.machine.run(f"for n in $(seq 50); do [ -e {disk('OLDPARTS')} ] || break; sleep 0.2; done; ! ls {disk('OLDPARTS')}")
    result = case.module("legacy_volume", state="absent", **arguments("OLDPARTS", case))
    assert result["changed"] and any("gone" in finding["id"] for finding in result["findings"]), result
    case.nothing_more()
    case.undisturbed()
    assert vm_disks.sha256(case.images["OLDPARTS"]) == case.hashes["OLDPARTS"]
    case.machine.qmp.plug(case.images["OLDPARTS"], "OLDPARTS")
    case.machine.run(f"for n in $(seq 100); do [ -b {disk('OLDPARTS')}-part4 ] && break; sleep 0.2; done; udevadm settle")
    case.module("legacy_volume", state="present", **arguments("OLDPARTS", case))
    fsynced(case, f"{BASE}/OLDPARTS/home", "parts-home")
    case.module("legacy_volume", state="absent", **arguments("OLDPARTS", case))
    case.nothing_more()
    case.unchanged()


def test_control_without_guards_udev_assembles_and_a_mount_writes(case):
    """The same disks, the same checks: they can fail."""
    case.machine.run(UNGUARD)
    for serial in ("OLDMDA", "OLDMDB"):
        case.machine.qmp.pull(serial)
        case.machine.qmp.plug(case.images[serial], serial)
    case.machine.run(DEGRADED, seconds=120)
    with pytest.raises(AssertionError, match="md: was"):
        case.nothing_more()
    case.machine.run("mkdir -p /mnt/control; mount -o ro /dev/md/* /mnt/control; umount /mnt/control")
    written = case.machine.qmp.written()
    assert written["OLDMDA"] > 0, written
    with pytest.raises(AssertionError, match="OLDMDA"):
        case.unchanged()


def test_control_without_guards_the_machine_does_not_come_back(case, tmp_path):
    """Two volume groups of one name: LVM activates neither at boot, and the live system stops in emergency mode."""
    case.machine.stop()
    root, disks = vm_lab.files(tmp_path, "root")
    for serial in vm_disks.LEGACY_SERIALS:
        disks[serial] = overlay(case.images[serial], tmp_path / f"{serial}.qcow2")
    machine = Machine(tmp_path / "machine", root, disks, case.machine.accel)
    try:
        machine.start(wait=0)
        end = time.monotonic() + 500
        while b"emergency mode" not in machine.console.read_bytes():
            assert time.monotonic() < end, "it came back, or hangs: " + machine.tail()
            time.sleep(2)
    finally:
        machine.stop()
