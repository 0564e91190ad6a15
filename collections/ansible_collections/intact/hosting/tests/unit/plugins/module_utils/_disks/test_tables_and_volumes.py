# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Partition tables against sfdisk, volume groups against LVM's own tools, RAID superblocks against mdadm."""

from __future__ import annotations

import json
import re
import struct
import uuid

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._disks import _lvm, _lvmtext, _md, _probe, _table, _volumes
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._disks.look_images import blank, device, loop, mounted, needs, run, write

MB = 1 << 20
GPT = 'label: gpt\nsize=4MiB, type=linux, name="röot"\nsize=6MiB, type=lvm\nsize=1MiB, type=swap\n'
MBR = "label: dos\nd1 : size=4MiB, type=83, bootable\nd2 : size=30MiB, type=5\nd5 : size=3MiB, type=83\nd6 : size=5MiB, type=82\nd7 : size=6MiB, type=8e\n"


def partitioned(path, script, size=48):
    needs("sfdisk")
    blank(path, size * MB)
    with open(str(path) + ".txt", "w", encoding="utf-8") as handle:
        handle.write(script)
    run("sh", "-c", 'exec sfdisk -q "$1" < "$2"', "sh", path, str(path) + ".txt", locale="C.UTF-8")
    return str(path)


def of_sfdisk(path):
    return json.loads(run("sfdisk", "-J", path, locale="C.UTF-8"))["partitiontable"]


@pytest.mark.parametrize(("script", "kind"), [(GPT, "gpt"), (MBR, "dos")])
def test_a_table_is_told_as_sfdisk_tells_it(script, kind, tmp_path):
    path = partitioned(tmp_path / "disk", script)
    found, other = _table.read(device(path)), of_sfdisk(path)
    assert (found["type"], found["said"], "backup" in found) == (kind, [], False)
    assert found["id"].upper() == other["id"].upper().replace("0X", "")
    rows = [(p["start"] // 512, p["size"] // 512, p["type"].lower().lstrip("0"), p["name"]) for p in found["partitions"]]
    assert rows == [(p["start"], p["size"], p["type"].lower().lstrip("0"), p.get("name", "")) for p in other["partitions"]]
    assert [p["number"] for p in found["partitions"]] == [int(re.search(r"(\d+)\Z", p["node"]).group()) for p in other["partitions"]]


def test_the_second_copy_is_read_when_the_first_is_broken(tmp_path):
    path = partitioned(tmp_path / "disk", GPT)
    whole = _table.read(device(path))
    write(path, 512 + 56, b"\xff")
    found = _table.read(device(path))
    assert found["backup"] is True and "checksum" in found["said"][0]
    assert (found["hash"], found["partitions"]) == (whole["hash"], whole["partitions"])
    write(path, 48 * MB - 512 + 60, b"\xff")
    found = _table.read(device(path))
    assert found["broken"] is True and not found["partitions"] and found["hash"] != whole["hash"]


def test_entries_that_do_not_fit_their_checksum_are_not_believed(tmp_path):
    path = partitioned(tmp_path / "disk", GPT)
    whole = _table.read(device(path))
    write(path, 1024 + 33, b"\xff")
    assert "entries' checksum" in _table.read(device(path))["said"][0]
    assert _table.read(device(path))["partitions"] == whole["partitions"]


def test_the_hash_changes_with_the_table_and_with_nothing_else(tmp_path):
    for script in (GPT, MBR):
        path = partitioned(tmp_path / "disk", script)
        before = _table.read(device(path))["hash"]
        write(path, 0, b"\x90" * 440)  # boot code
        write(path, 2 * MB, b"content")
        assert _table.read(device(path))["hash"] == before
        partitioned(tmp_path / "disk", script.replace("size=4MiB", "size=5MiB"))
        assert _table.read(device(path))["hash"] != before


def test_a_chain_in_a_circle_ends(tmp_path):
    path = partitioned(tmp_path / "disk", MBR)
    second = next(p for p in _table.read(device(path))["partitions"] if p["number"] == 6)["start"] - MB
    with open(path, "rb") as handle:
        handle.seek(second)
        row = bytearray(handle.read(512))
    struct.pack_into("<BxxxBxxxII", row, 462, 0, 5, 0, 100)
    write(path, second, bytes(row))
    found = _table.read(device(path))
    assert "circle" in found["said"][0] and len(found["partitions"]) >= 3


def test_a_boot_sector_of_fat_is_no_table(tmp_path):
    needs("mkfs.vfat")
    path = blank(tmp_path / "fat", 16 * MB)
    run("mkfs.vfat", path)
    assert _probe.identify(device(path), _probe.Damage())["signature"]["type"] == "vfat"


LVM = ["--driverloaded", "n", "--nolocking", "--config", 'devices{use_devicesfile=0 scan=["/dev"] global_filter=[FILTER]} activation{udev_sync=0 udev_rules=0}']


def lvm(devices, *argv):
    """One of LVM's commands that sees these devices only and no device-mapper."""
    accept = ",".join('"a|^%s$|"' % name for name in devices) + ',"r|.*|"'
    return run("lvm", argv[0], *[word.replace("FILTER", accept) for word in LVM], *argv[1:])


@pytest.fixture
def group(tmp_path):
    """Two physical volumes with a linear volume in two pieces, a striped one and a mirror, as a real LVM made them."""
    needs("lvm", "pvck", "losetup", "mkfs.ext4", root=True)
    images = [blank(tmp_path / name, 96 * MB) for name in ("one", "two")]
    with loop(images[0]) as one, loop(images[1]) as two:
        both = (one, two)
        lvm(both, "pvcreate", "-q", "-ff", "-y", one, two)
        lvm(both, "vgcreate", "-q", "-s", "4M", "VolGroup00", one, two)
        create = ["lvcreate", "-q", "-an", "-Zn", "-Wn", "-y"]
        lvm(both, *create, "-n", "LogVol00", "-L", "16M", "VolGroup00", one)
        lvm(both, *create, "-n", "striped", "-i", "2", "-I", "64k", "-L", "24M", "VolGroup00")
        lvm(both, "lvextend", "-q", "-L", "+12M", "VolGroup00/LogVol00", one)
        lvm(both, *create, "-n", "second", "-L", "8M", "VolGroup00", two)
        yield images, both


def told(images, live=()):
    found = []
    for path in images:
        reader = device(path)
        found.append((path, reader, _lvm.probe(reader), path in live))
    return _volumes.assemble(found)


def test_a_group_is_told_as_lvm_tells_it(group):
    images, both = group
    (one, devices), (two, _more) = told(images)
    rows = json.loads(lvm(both, "pvs", "--reportformat", "json", "-o", "pv_uuid,vg_name,vg_uuid,vg_seqno"))["report"][0]["pv"]
    assert {(row["pv_uuid"], row["vg_name"], row["vg_uuid"], int(row["vg_seqno"])) for row in rows} == {
        (pv["pv_uuid"], pv["vg"], pv["vg_uuid"], pv["seqno"]) for pv in (one, two)
    }
    rows = json.loads(lvm(both, "lvs", "--reportformat", "json", "--units", "b", "--nosuffix", "-o", "lv_name,lv_uuid,lv_size"))["report"][0]["lv"]
    assert [(row["lv_name"], row["lv_uuid"], int(row["lv_size"])) for row in rows] == [(lv["name"], lv["uuid"], lv["size"]) for lv in one["lvs"]]
    assert one["lvs"] == two["lvs"] and one["missing"] == [] and all(lv["complete"] for lv in one["lvs"])
    text = run("pvck", "--dump", "metadata", both[0]).split("\n  ---\n")[1]
    held = _lvm.probe(device(images[0]))["metadata"]
    assert held == dict(_lvmtext.parse(text)["VolGroup00"], name="VolGroup00")
    assert {lv["name"]: [s["type"] for s in lv["segments"]] for lv in one["lvs"]} == {
        "LogVol00": ["linear", "linear"],
        "second": ["linear"],
        "striped": ["striped"],
    }
    assert set(devices) == {lv["uuid"] for lv in one["lvs"]}


def test_a_filesystem_in_pieces_is_read_where_the_pieces_are(group, tmp_path):
    """The bytes of a volume are put where dmsetup's table of `lvm` would have them: the file system is made in a file and cut up by hand."""
    images, both = group
    needs("mkfs.ext4", "blkid")
    (one, devices), _two = told(images)
    segments = lvm(both, "pvs", "--segments", "--units", "b", "--nosuffix", "--noheadings", "-o", "pv_name,pvseg_start,pvseg_size,lv_name,seg_start,pe_start")
    rows = [line.split() for line in segments.splitlines()]
    places = sorted((int(float(r[4])), r[0], int(r[1]), int(r[2]), int(r[5])) for r in rows if len(r) == 6 and r[3] == "LogVol00")
    image = blank(tmp_path / "fs", 28 * MB)
    run("mkfs.ext4", "-q", "-F", "-L", "cut", image)
    with open(image, "rb") as handle:
        for start, name, extent, count, begin in places:
            handle.seek(start)
            write(images[both.index(name)], begin + extent * 4 * MB, handle.read(count * 4 * MB))
    assert len(places) == 2
    volume = next(lv for lv in one["lvs"] if lv["name"] == "LogVol00")
    reader = devices[volume["uuid"]]
    with open(image, "rb") as handle:
        assert reader.at(0, 28 * MB) == handle.read()
    signature = _probe.identify(reader, _probe.Damage())["signature"]
    assert (signature["type"], signature["label"]) == ("ext4", "cut")
    assert reader.place() is None and devices[next(lv for lv in one["lvs"] if lv["name"] == "second")["uuid"]].place()[0] == images[1]


def test_stripes_are_put_in_their_order(group):
    images, _both = group
    (one, _devices), _two = told(images)
    volume = next(lv for lv in one["lvs"] if lv["name"] == "striped")
    [segment] = volume["segments"]
    assert segment["stripe_size"] == 65536 and len(segment["areas"]) == 2
    for number in range(6):
        area = segment["areas"][number % 2]
        write(area["path"], area["offset"] + number // 2 * 65536, b"%d" % number * 65536)
    (_one, fresh), _two = told(images)
    assert fresh[volume["uuid"]].at(60000, 5 * 65536) == b"".join(b"%d" % n * 65536 for n in range(6))[60000:][: 5 * 65536]


def test_a_missing_disk_is_said_and_what_needs_it(group):
    images, _both = group
    [(one, devices)] = told(images[:1])
    lacking = {lv["name"]: lv["complete"] for lv in one["lvs"]}
    assert lacking == {"LogVol00": True, "second": False, "striped": False}
    assert len(one["missing"]) == 1 and len(devices) == 1


def test_copies_of_a_group_do_not_mix(group, tmp_path):
    images, both = group
    run("cp", "--sparse=always", images[0], tmp_path / "copy-one")
    run("cp", "--sparse=always", images[1], tmp_path / "copy-two")
    copies = [str(tmp_path / "copy-one"), str(tmp_path / "copy-two")]
    lvm(both, "lvremove", "-q", "-y", "VolGroup00/second")
    (one, _d), (two, _e), (three, _f), (four, _g) = told(images + copies, live=images)
    assert [len(pv["lvs"]) for pv in (one, two, three, four)] == [2, 2, 3, 3]
    used = {area["path"] for lv in three["lvs"] for s in lv["segments"] for area in s["areas"]}
    assert used == set(copies)
    assert {area["path"] for lv in two["lvs"] for s in lv["segments"] for area in s["areas"]} == set(images)


def test_damaged_metadata_is_said(group):
    images, _both = group
    held = _lvm.probe(device(images[0]))
    assert held["said"] == [] and held["metadata"]
    reader = device(images[0])
    place = reader.at(0, 2 * MB).rindex(b"VolGroup00 {")
    write(images[0], place + 20, b"\xff")
    held = _lvm.probe(device(images[0]))
    assert "checksum" in held["said"][0] and held["metadata"] == {}


@pytest.mark.parametrize("text", ["a {", "a = [1, 2", "a = }", "= 3", 'a = "x', "a { " * 40, "a b", "}"])
def test_broken_text_is_refused(text):
    with pytest.raises(ValueError):
        _lvmtext.parse(text)


def test_the_language_of_lvm():
    text = 'contents = "Text"\n# said\nvg {\nid = "a\\"b"\nflags = []\nx = -3\nstripes = [\n"pv0", 0\n]\nlogical_volumes {\nroot-1 {\nf=1.5\n}\n}\n}\n'
    assert _lvmtext.parse(text) == {
        "contents": "Text",
        "vg": {"id": 'a"b', "flags": [], "x": -3, "stripes": ["pv0", 0], "logical_volumes": {"root-1": {"f": 1.5}}},
    }


def member(path, minor, array, number, events, devices=2, level=1, size=64 * MB, offset=1 * MB, updated=1200000000, active=None):
    """Write the superblock of an array's member as mdadm does (it needs the kernel's md to do it itself). minor 90 is the old one at the end."""
    blank(path, size)
    if minor == 90:
        words = [0] * 1024
        place = (size & ~65535) - 65536
        ids = struct.unpack(">4I", array)
        words[0:11] = [0xA92B4EFC, 0, 90, 0, 0, ids[0], 1100000000, level & 0xFFFFFFFF, place // 1024, devices, devices]
        words[13:16] = ids[1:]
        words[32:38] = [updated, 1, devices, devices, 0, 0]
        words[39:41] = [events & 0xFFFFFFFF, events >> 32]
        for disk in range(devices):
            words[128 + 32 * disk : 133 + 32 * disk] = [disk, 8, 1 + 16 * disk, disk, 6]
        words[992:997] = [number, 8, 1 + 16 * number, number, 6]
        total = sum(words)
        words[38] = (total & 0xFFFFFFFF) + (total >> 32) & 0xFFFFFFFF
        write(path, place, struct.pack("<1024I", *words))
        return str(path)
    place = {0: ((size // 512 - 16) & ~7) * 512, 1: 0, 2: 4096}[minor]
    begin = 0 if minor == 0 else offset
    data = bytearray(1024)
    struct.pack_into("<4I16s32s", data, 0, 0xA92B4EFC, 1, 0, 0, array, b"old:0")
    length = (size - offset) // 512
    struct.pack_into("<QiIQII", data, 64, 1100000000, level, 0, length, 0, devices)
    struct.pack_into("<QQQQI", data, 128, begin // 512, length, place // 512, 0, number)
    data[168:184] = uuid.UUID(int=uuid.UUID(bytes=array).int + number + 1).bytes
    struct.pack_into("<QQQII", data, 192, updated, events, 0xFFFFFFFFFFFFFFFF, 0, 128)
    struct.pack_into("<128H", data, 256, *[n if n in (active or [n, number]) or n == number else 0xFFFE for n in range(devices)] + [0xFFFE] * (128 - devices))
    total = sum(struct.unpack_from("<128I", data))
    struct.pack_into("<I", data, 216, (total & 0xFFFFFFFF) + (total >> 32) & 0xFFFFFFFF)
    write(path, place, bytes(data))
    return str(path)


@pytest.mark.parametrize("minor", [0, 1, 2, 90])
@pytest.mark.parametrize("level", [1, 5])
def test_a_member_is_told_as_mdadm_tells_it(minor, level, tmp_path):
    needs("mdadm", "losetup", root=True)
    path = member(tmp_path / "half", minor, uuid.uuid4().bytes, 1, 4242, level=level)
    found = _md.probe(device(path))
    with loop(path, "-r") as name:
        said = dict(re.findall(r"^\s*([A-Z][\w ]*?) : (.*)$", run("mdadm", "--examine", name), re.M))
    assert found["checksum"] == "ok" and "correct" in said["Checksum"], said
    assert found["uuid"] == said.get("UUID", said.get("Array UUID")).split()[0]
    assert found["version"] == {"0.90.00": "0.90"}.get(said["Version"], "1.%d" % minor)
    assert found["level"] == said["Raid Level"] and found["devices"] == int(said["Raid Devices"]) == 2
    assert found["events"] == int(said["Events"]) == 4242
    assert found["state"] == said["State"].split()[0] == "clean"
    assert found["role"] == 1 and said.get("Device Role", "Active device 1") == "Active device 1"
    if minor != 90:
        assert found["data_offset"] == int(said.get("Data Offset", "0 sectors").split()[0]) * 512
        assert found["device_uuid"] == said["Device UUID"]


def test_what_a_mirror_holds_is_seen_and_a_stripe_is_not_guessed(tmp_path):
    needs("mkfs.ext3")
    image = blank(tmp_path / "fs", 16 * MB)
    run("mkfs.ext3", "-q", "-F", "-L", "mirrored", image)
    with open(image, "rb") as handle:
        content = handle.read()
    for minor in (0, 1, 2, 90):
        path = member(tmp_path / "half", minor, uuid.uuid4().bytes, 0, 7)
        write(path, 0 if minor in (0, 90) else MB, content)
        found = _probe.identify(device(path), _probe.Damage())
        assert found["signature"]["type"] == "linux_raid_member" and found["inside"]["signature"]["label"] == "mirrored"
        assert found["inside"]["offset"] == (0 if minor in (0, 90) else MB)
    path = member(tmp_path / "half", 2, uuid.uuid4().bytes, 0, 7, level=5)
    write(path, MB, content)
    assert "inside" not in _probe.identify(device(path), _probe.Damage())


def test_a_superblock_with_a_wrong_sum_is_said(tmp_path):
    for minor, place in ((2, 4096 + 200), (90, 63 * MB + 15 * 65536 + 160)):
        path = member(tmp_path / "half", minor, uuid.uuid4().bytes, 0, 7)
        write(path, place, b"\x99")
        assert _md.probe(device(path))["checksum"] == "bad"


def test_a_linear_volume_mounts_where_it_is_told_to_lie(group, tmp_path):
    """The strongest second opinion: the kernel finds the filesystem at the path and the offset that were computed."""
    images, _both = group
    (one, devices), _two = told(images)
    [second] = [lv for lv in one["lvs"] if lv["name"] == "second"]
    image = blank(tmp_path / "fs", 8 * MB)
    run("mkfs.ext4", "-q", "-F", image)
    with mounted(image, tmp_path / "mnt") as root, open(root + "/file", "w") as handle:
        handle.write("seen")
    path, offset = devices[second["uuid"]].place()
    with open(image, "rb") as handle:
        write(path, offset, handle.read())
    with loop(path, "-r", "-o", str(offset), "--sizelimit", str(second["size"])) as name:
        run("mount", "-o", "ro", name, tmp_path / "mnt")
        try:
            assert (tmp_path / "mnt" / "file").read_text() == "seen"
        finally:
            run("umount", tmp_path / "mnt")
