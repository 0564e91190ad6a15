# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Disks by identity, mounts, swap and fstab."""

from __future__ import annotations

import struct

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _compare, _mounttable, disks, mounts
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.tests.unit.plugins.fake_system import FakeSystem
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._baseline.recorded import HOSTS, changed, recorded, told

HOME = "5a1d0f0e-11ab-4c0d-9a57-1a7ac7da7a00"
ROOT = "b9cdcb29-ff88-42a1-b8ac-a6ba5ae92d64"
# a real host: a virtio disk with a GPT and two partitions, a second disk for /home, one logical volume as swap, one free disk
SYSFS = {
    "vda": ("254:0", 67108864, {"serial": "DISK-A"}),
    "vda1": ("254:1", 60000000, {"partition": "1"}),
    "vda2": ("254:2", 2000000, {"partition": "2"}),
    "vdb": ("254:16", 8388608, {"serial": "DISK-B"}),
    "vdc": ("254:32", 4194304, {"serial": "DISK-C"}),
    "dm-0": ("253:0", 2097152, {"dm/name": "vg-swap", "dm/uuid": "LVM-x"}),
    "zram0": ("251:0", 999, {}),
    "loop7": ("7:7", 0, {}),
}
BLKID = {
    "vda": "PTUUID=aa\nPTTYPE=gpt\n",
    "vda1": "UUID=%s\nTYPE=ext4\nPART_ENTRY_UUID=p1\n" % ROOT,
    "vda2": "UUID=m2\nTYPE=LVM2_member\nPART_ENTRY_UUID=p2\n",
    "vdb": "UUID=%s\nLABEL=home\\ disk\nTYPE=ext4\n" % HOME,
    "vdc": (2, ""),
    "dm-0": "UUID=s1\nTYPE=swap\n",
}
MOUNTINFO = (
    "22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw,errors=remount-ro\n"
    "23 22 0:5 / /proc rw,nosuid shared:2 - proc proc rw\n"
    "24 22 0:6 / /run rw,nosuid - tmpfs tmpfs rw,size=99k\n"
    "25 22 254:16 / /home rw,nosuid,relatime - ext4 /dev/vdb rw,usrquota\n"
    "26 22 0:44 / /mnt/a\\040b rw,relatime - nfs4 nas.example:/export rw,vers=4.2,addr=192.0.2.9\n"
    "27 22 0:45 / /snap/core/1 ro - squashfs /dev/loop3 ro\n"
)
FSTAB = (
    "# comment\nUUID=%s / ext4 errors=remount-ro 0 1\nUUID=%s /home ext4 nosuid,usrquota 0 2\nnas.example:/export /mnt/a\\040b nfs4 defaults 0 0\n"
    "/dev/mapper/vg-swap none swap sw 0 0\nUUID=gone /backup ext4 noauto 0 0\n" % (ROOT, HOME)
)
SWAPS = "Filename Type Size Used Priority\n/dev/dm-0 partition 1048572 0 -2\n/dev/zram0 partition 99 0 100\n"


def gpt(entry=b"\x01"):
    """The first 64 KiB of a disk with a GPT."""
    return (
        (b"\0" * 446 + struct.pack("<64s", b"mbr") + b"\x55\xaa").ljust(512, b"\0")
        + b"EFI PART".ljust(512, b"\0")
        + entry.ljust(16384, b"\0")
        + b"content of no interest".ljust(48000, b"\0")
    )


def host(sysfs=None, blkid=None, mountinfo=MOUNTINFO, fstab=FSTAB, swaps=SWAPS, table=None, more=None, unreadable=()):
    files = {"/proc/self/mountinfo": mountinfo, "/etc/fstab": fstab, "/proc/swaps": swaps}
    stats, commands, directories = {}, {"blkid -p -o export /dev/none": (2, "")}, {"/", "/home", "/mnt/a b", "/backup", "/sys/class/block", "/sys/dev/block"}
    for name, (number, size, extra) in dict(SYSFS, **(sysfs or {})).items():
        base = "/sys/class/block/" + name
        files.update(
            {
                base + "/dev": number + "\n",
                base + "/size": "%d\n" % size,
                "/dev/" + name: table if name == "vda" and table else gpt() if name == "vda" else b"x",
            }
        )
        files.update({"/sys/dev/block/%s/size" % number: "%d\n" % size})
        for key, value in extra.items():
            files["%s/%s" % (base, key)] = value + "\n"
            if key.startswith("dm/"):
                files["/sys/dev/block/%s/%s" % (number, key)] = value + "\n"
        if name == "dm-0":
            files["/sys/class/block/vda2/holders/dm-0"] = b""
        stats["/dev/" + name] = {"type": "b"}
        if name in unreadable:
            files["/dev/" + name] = PermissionError(1, "Operation not permitted")
    for name, answer in dict(BLKID, **(blkid or {})).items():
        commands["blkid -p -o export /dev/" + name] = answer
    files.update(more or {})
    return FakeSystem(commands=commands, files=files, stats=stats, directories=directories)


def both(**given):
    """(disks, mounts) of a host."""
    return disks.capture(host(**given)), mounts.capture(host(**given))


def test_disks_are_named_by_what_stays():
    items = disks.capture(host())["items"]
    assert sorted(items) == ["/dev/mapper/vg-swap", "SERIAL=DISK-A", "SERIAL=DISK-A-part1", "SERIAL=DISK-A-part2", "SERIAL=DISK-B", "SERIAL=DISK-C"]
    assert items["SERIAL=DISK-B"]["uuid"] == HOME and items["SERIAL=DISK-B"]["label"] == "home disk" and items["SERIAL=DISK-B"]["mounts"] == ["/home"]
    assert items["SERIAL=DISK-A-part2"]["holders"] == ["/dev/mapper/vg-swap"] and items["SERIAL=DISK-A-part2"]["parent"] == "SERIAL=DISK-A"
    assert len(items["SERIAL=DISK-A"]["table"]) == 64 and items["SERIAL=DISK-C"]["type"] == ""
    assert items["SERIAL=DISK-A"]["size"] == 67108864 * 512


def test_disks_that_belong_to_the_machine_around_a_container_do_not_count():
    bind = MOUNTINFO + "40 22 254:32 /var/lib/engine/hosts /etc/hosts rw - ext4 /dev/vdc rw\n"
    data = disks.capture(host(unreadable=("vda", "vda1", "vda2", "vdb", "vdc", "dm-0"), mountinfo=bind, more={"/etc/hosts": "x"}))
    # what is mounted here counts, though it can't be opened; a single file bound from elsewhere does not
    assert {s: i["mounts"] for s, i in data["items"].items()} == {"/dev/vda1": ["/"], "SERIAL=DISK-B": ["/home"]}


@pytest.mark.parametrize("name", HOSTS)
def test_recorded_containers_have_no_disks_but_their_own(name):
    files = {
        "/proc/self/mountinfo": recorded(name, "mountinfo.txt"),
        "/sys/class/block/vda/dev": "254:0",
        "/sys/class/block/vda/size": "536870912",
        "/etc/hosts": "",
        "/etc/hostname": "",
        "/etc/resolv.conf": "",
        "/etc/fstab": "",
        "/proc/swaps": "Filename\n/dev/vda3 partition 1 1 1\n",
    }
    system = FakeSystem(files=files, directories={"/home", "/tmp"})
    assert disks.capture(system)["items"] == {}
    expected = {"/", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf"} | ({"/home"} if name == "web1-bookworm" else {"/tmp"} if name == "trixie" else set())
    items = mounts.capture(system)["items"]
    assert set(items) == expected
    assert {items[t]["source"] for t in expected if t.startswith("/etc/")} == {"bound file"}


def test_no_change_is_no_finding():
    one, two = both(), both()
    assert one == two
    assert disks.compare(one[0], two[0]) == [] and mounts.compare(one[1], two[1]) == []


def test_another_name_for_the_same_disk_is_no_finding():
    renamed = {"vdb": ("254:16", 0, {}), "vdd": ("254:48", 8388608, {"serial": "DISK-B"})}
    after = disks.capture(host(sysfs=renamed, blkid={"vdd": BLKID["vdb"]}, mountinfo=MOUNTINFO.replace("254:16", "254:48").replace("/dev/vdb", "/dev/vdd")))
    assert disks.compare(disks.capture(host()), after) == []


def test_a_serial_that_only_the_new_kernel_shows_is_no_finding():
    before = disks.capture(host(sysfs={"vdb": ("254:16", 8388608, {})}))
    assert "UUID=" + HOME in before["items"]
    assert disks.compare(before, disks.capture(host())) == []


def test_an_empty_disk_at_the_same_mount_point_is_one_finding_that_explains_all_below():
    fresh = "UUID=0000\nTYPE=ext4\n"
    before, after = both(), both(blkid={"vdb": fresh}, sysfs={"vdb": ("254:16", 8388608, {"serial": "DISK-X"})})
    raised = disks.compare(before[0], after[0]) + mounts.compare(before[1], after[1])
    out = _compare.correlate(raised)
    assert told(out) == [("disks.identity.changed", "blocker", "/home")]
    assert HOME in out[0].evidence and "0000" in out[0].evidence and "DISK-X" in out[0].evidence
    assert [c["id"] for c in out[0].consequences] == ["mounts.source.changed"]
    assert {"section": "*", "path": "/home"} in out[0].covers


def test_the_same_disk_formatted_anew_is_named_by_its_mount_point():
    out = disks.compare(disks.capture(host()), disks.capture(host(blkid={"vdb": "UUID=0000\nTYPE=ext4\n"})))
    assert told(out) == [("disks.identity.changed", "blocker", "/home")]
    assert out[0].details["before"] == HOME


def test_a_blank_device_that_was_there_before_and_is_mounted_now_is_the_same_event():
    """Loop devices and disks without a serial are known by their path until they carry a file system."""
    blank = {"vdb": ("254:16", 8388608, {}), "vdc": ("254:32", 4194304, {})}
    before = disks.capture(host(sysfs=blank))
    assert "/dev/vdc" in before["items"]
    mountinfo = MOUNTINFO.replace("254:16 / /home rw,nosuid,relatime - ext4 /dev/vdb", "254:32 / /home rw,nosuid,relatime - ext4 /dev/vdc")
    after = disks.capture(host(sysfs=blank, blkid={"vdc": "UUID=0000\nTYPE=ext4\n"}, mountinfo=mountinfo))
    assert told(disks.compare(before, after)) == [("disks.identity.changed", "blocker", "/home")]


def test_a_copy_of_the_file_system_on_another_disk_is_another_disk():
    out = disks.compare(disks.capture(host()), disks.capture(host(sysfs={"vdb": ("254:16", 8388608, {"serial": "COPY"})})))
    assert told(out) == [("disks.identity.changed", "blocker", "/home")] and out[0].details["attribute"] == "serial"


@pytest.mark.parametrize(
    "given, expected",
    [
        (dict(blkid={"vdc": "UUID=c1\nTYPE=xfs\n"}), [("disks.identity.changed", "blocker", "SERIAL=DISK-C")]),
        (dict(sysfs={"vdc": ("254:32", 0, {})}), [("disks.missing", "blocker", "SERIAL=DISK-C")]),
        (dict(sysfs={"vdd": ("254:48", 99, {"serial": "NEW"})}, blkid={"vdd": "UUID=d1\nTYPE=ext4\n"}), [("disks.unknown", "blocker", "SERIAL=NEW")]),
        (dict(sysfs={"vdd": ("254:48", 99, {"serial": "NEW"})}, blkid={"vdd": (2, "")}), [("disks.new", "warning", "SERIAL=NEW")]),
        (dict(sysfs={"vdb": ("254:16", 9000000, {"serial": "DISK-B"})}), [("disks.size.changed", "warning", "SERIAL=DISK-B")]),
        (dict(sysfs={"vdb": ("254:16", 8000000, {"serial": "DISK-B"})}), [("disks.size.changed", "blocker", "SERIAL=DISK-B")]),
        (dict(blkid={"vdb": "UUID=%s\nTYPE=ext4\n" % HOME}), [("disks.label.changed", "warning", "SERIAL=DISK-B")]),
        (dict(table=gpt(b"\x02")), [("disks.table.changed", "blocker", "SERIAL=DISK-A")]),
    ],
)
def test_each_change_of_a_disk_is_its_own_finding(given, expected):
    assert told(disks.compare(disks.capture(host()), disks.capture(host(**given)))) == expected


def test_a_new_disk_with_partitions_is_told_once():
    given = dict(
        sysfs={"vdd": ("254:48", 99, {"serial": "NEW"}), "vdd1": ("254:49", 90, {"partition": "1"})},
        blkid={"vdd": "PTTYPE=dos\n", "vdd1": "UUID=d1\nTYPE=ext4\n"},
    )
    out = _compare.correlate(disks.compare(disks.capture(host()), disks.capture(host(**given))))
    assert told(out) == [("disks.unknown", "blocker", "SERIAL=NEW")] and len(out[0].consequences) == 1


def test_a_table_that_a_dying_disk_does_not_give_is_told_and_hides_no_other_disk(monkeypatch):
    look = host()
    monkeypatch.setattr(look, "blocks", FakeSystem(files={"/dev/vda": OSError(5, "Input/output error")}).blocks)
    items = disks.capture(look)["items"]
    assert items["SERIAL=DISK-A"]["table"] == "" and items["SERIAL=DISK-B"]["uuid"] == HOME
    assert look.unlooked == [{"what": "partition table of /dev/vda", "why": "Input/output error"}]


def test_boot_code_is_not_part_of_an_mbr_table():
    one = (b"A" * 440 + b"table").ljust(510, b"\0") + b"\x55\xaa"
    two = (b"B" * 440 + b"table").ljust(510, b"\0") + b"\x55\xaa"
    three = (b"A" * 440 + b"tablX").ljust(510, b"\0") + b"\x55\xaa"
    assert disks.table_digest(one) == disks.table_digest(two) != disks.table_digest(three)


def test_several_signatures_and_an_unreadable_disk():
    assert _mounttable.superblock(FakeSystem(commands={"blkid": (8, "")}), "/dev/x") == {"TYPE": "ambivalent"}
    with pytest.raises(IntactError, match="blkid cannot read /dev/x"):
        _mounttable.superblock(FakeSystem(commands={"blkid": (4, "", "I/O error")}), "/dev/x")


def test_mounts_are_captured_with_fstab_and_swap():
    data = mounts.capture(host())
    items = data["items"]
    assert sorted(items) == ["/", "/backup", "/home", "/mnt/a b", "swap UUID=s1"]
    assert items["/home"]["source"] == "UUID=" + HOME and items["/home"]["options"] == ["nosuid", "rw", "usrquota"] and items["/home"]["size"] == 8388608 * 512
    assert items["/mnt/a b"]["source"] == "nas.example:/export" and items["/mnt/a b"]["options"] == ["rw", "vers=4.2"]
    assert items["/backup"]["mounted"] is False and data["unmounted"] == {"/backup": 0}
    assert items["swap UUID=s1"]["size"] == 1048572 * 1024
    assert data["summary"] == {"mounted": 4, "fstab lines": 5}


def test_a_mount_that_is_gone_says_what_lies_in_its_directory():
    gone = "".join(line + "\n" for line in MOUNTINFO.splitlines() if " /home " not in line)
    before = mounts.capture(host())
    for more, words in (({}, "the directory is empty"), ({"/home/a/f": "1", "/home/b": "2"}, "2 names that are NOT the mounted content")):
        out = mounts.compare(before, mounts.capture(host(mountinfo=gone, more=more)))
        assert told(out) == [("mounts.missing", "blocker", "/home")] and words in out[0].evidence and "still there" in out[0].evidence
        assert {"section": "*", "path": "/home"} in out[0].covers
    lost = "".join(line + "\n" for line in FSTAB.splitlines() if " /home " not in line)
    out = mounts.compare(before, mounts.capture(host(mountinfo=gone, fstab=lost)))
    assert told(out) == [("mounts.missing", "blocker", "/home")] and "gone too" in out[0].evidence
    assert {"section": "files", "path": "/etc/fstab"} in out[0].covers


@pytest.mark.parametrize(
    "old, new, expected",
    [
        ("rw,usrquota", "rw", [("mounts.options.changed", "blocker", "/home")]),
        (" /home rw,nosuid", " /home ro,nosuid", [("mounts.options.changed", "blocker", "/home")]),
        (" /home rw,nosuid,relatime", " /home rw,relatime", [("mounts.options.changed", "warning", "/home")]),
        (" /home rw,nosuid,relatime", " /home rw,nosuid,relatime,lazytime", []),
        ("nas.example:/export", "nas.example:/other", [("mounts.source.changed", "blocker", "/mnt/a b")]),
        ("254:16 / /home", "254:16 /sub /home", [("mounts.root.changed", "blocker", "/home")]),
    ],
)
def test_each_change_of_a_mount_is_its_own_finding(old, new, expected):
    assert old in MOUNTINFO
    assert told(mounts.compare(mounts.capture(host()), mounts.capture(host(mountinfo=MOUNTINFO.replace(old, new))))) == expected


@pytest.mark.parametrize(
    "old, new, expected",
    [
        ("UUID=%s /home ext4 nosuid,usrquota 0 2\n" % HOME, "", [("mounts.fstab.missing", "blocker", "/home")]),
        ("nosuid,usrquota 0 2", "nosuid,usrquota,noauto 0 2", [("mounts.fstab.changed", "warning", "/home")]),
        ("UUID=gone", "UUID=gone2", [("mounts.fstab.changed", "warning", "/backup")]),
        ("# comment", "UUID=x /new ext4 noauto 0 0", [("mounts.fstab.new", "warning", "/new")]),
        ("/dev/mapper/vg-swap none swap sw 0 0\n", "", [("mounts.fstab.missing", "blocker", "swap UUID=s1")]),
        ("# comment", "# another", []),
    ],
)
def test_each_change_of_fstab_is_its_own_finding(old, new, expected):
    assert old in FSTAB
    out = mounts.compare(mounts.capture(host()), mounts.capture(host(fstab=FSTAB.replace(old, new))))
    assert told(out) == expected
    assert all({"section": "files", "path": "/etc/fstab"} in f.covers for f in out)


def test_swap_off_and_a_new_mount():
    before = mounts.capture(host())
    assert told(mounts.compare(before, mounts.capture(host(swaps="Filename\n")))) == [("mounts.swap.missing", "blocker", "swap UUID=s1")]
    after = mounts.capture(host(mountinfo=MOUNTINFO + "50 22 0:60 / /tmp rw - tmpfs tmpfs rw,size=1k\n"))
    assert told(mounts.compare(before, after)) == [("mounts.new", "warning", "/tmp")]


def test_what_an_automounter_mounts_comes_and_goes():
    auto = MOUNTINFO + "51 22 0:61 / /net rw - autofs systemd-1 rw\n"
    used = auto + "52 51 0:62 / /net/nas rw - nfs4 nas:/x rw\n"
    assert mounts.compare(mounts.capture(host(mountinfo=auto)), mounts.capture(host(mountinfo=used))) == []
    table = FSTAB + "nas:/y /lazy nfs4 x-systemd.automount 0 0\n"
    idle = MOUNTINFO + "53 22 0:63 / /lazy rw - autofs systemd-1 rw\n"
    busy = idle + "54 53 0:64 / /lazy rw - nfs4 nas:/y rw\n"
    assert mounts.compare(mounts.capture(host(mountinfo=busy, fstab=table)), mounts.capture(host(mountinfo=idle, fstab=table))) == []


def test_without_proc_nothing_is_claimed():
    with pytest.raises(IntactError, match="mountinfo"):
        mounts.capture(FakeSystem())


def test_attributes_nobody_asked_about_do_not_matter():
    data = mounts.capture(host())
    assert mounts.compare(data, changed(data, lambda items: items["/home"].update(size=1))) == []


LVM_UUID = "LVM-" + "a" * 32
VOLUMES = {
    "dm-1": ("253:1", 4000, {"dm/name": "vg-root", "dm/uuid": LVM_UUID + "r" * 32}),
}
SNAPPED = dict(
    VOLUMES,
    **{
        "dm-2": ("253:2", 4000, {"dm/name": "vg-root-real", "dm/uuid": LVM_UUID + "r" * 32 + "-real"}),
        "dm-3": ("253:3", 400, {"dm/name": "vg-%s-cow", "dm/uuid": LVM_UUID + "s" * 32 + "-cow"}),
        "dm-4": ("253:4", 4000, {"dm/name": "vg-%s", "dm/uuid": LVM_UUID + "s" * 32}),
    },
)
LAYERS = ("dm-2/holders/dm-1", "dm-2/holders/dm-4", "dm-3/holders/dm-4", "dm-1/slaves/dm-2", "dm-4/slaves/dm-2", "dm-4/slaves/dm-3")


def snapped(name, mounted=True):
    """A host whose volume vg-root (mounted at /srv) has a snapshot of this name, as sysfs shows it."""
    sysfs = {key: (number, size, {k: v.replace("%s", name) for k, v in extra.items()}) for key, (number, size, extra) in SNAPPED.items()}
    more = {"/sys/class/block/" + path: b"" for path in LAYERS}
    mountinfo = MOUNTINFO + ("60 22 253:1 / /srv rw - ext4 /dev/mapper/vg-root rw\n" if mounted else "")
    blkid = {"dm-1": "UUID=rr\nTYPE=ext4\n", "dm-4": "UUID=rr\nTYPE=ext4\n", "dm-2": (2, ""), "dm-3": (2, "")}
    return host(sysfs=sysfs, blkid=blkid, mountinfo=mountinfo, more=more)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("intact--web1--upgrade--1--root", "info"), ("nightly", "warning")],
)
def test_a_snapshot_of_a_mounted_volume_is_no_unknown_disk(name, expected):
    """The flight's own snapshots made every post-flight with LVM red, and LVM's inner layers were told as new disks (seen on a virtual machine)."""
    mountinfo = MOUNTINFO + "60 22 253:1 / /srv rw - ext4 /dev/mapper/vg-root rw\n"
    before = disks.capture(host(sysfs=VOLUMES, blkid={"dm-1": "UUID=rr\nTYPE=ext4\n"}, mountinfo=mountinfo))
    after = disks.capture(snapped(name))
    assert after["items"]["/dev/mapper/vg-%s" % name]["snapshot_of"] == "/dev/mapper/vg-root"
    assert told(disks.compare(before, after)) == [("disks.snapshot.new", expected, "/dev/mapper/vg-%s" % name)]


def test_a_snapshot_of_what_nobody_mounted_is_unknown():
    before = disks.capture(host(sysfs=VOLUMES, blkid={"dm-1": "UUID=rr\nTYPE=ext4\n"}))
    assert ("disks.unknown", "blocker", "/dev/mapper/vg-intact--x") in told(disks.compare(before, disks.capture(snapped("intact--x", mounted=False))))
