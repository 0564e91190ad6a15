# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mirrors and volume groups in a whole look: their parts are one thing, copies of them are not."""

from __future__ import annotations

import os
import uuid

from ansible_collections.intact.hosting.plugins.module_utils._disks import _look
from ansible_collections.intact.hosting.plugins.module_utils._system import System
from ansible_collections.intact.hosting.tests.unit.plugins.fake_system import FakeSystem
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._disks.look_disk import copies, ids, look
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._disks.look_images import (
    blank,
    copy,
    loop,
    mounted,
    needs,
    run,
    write,
)
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._disks.test_tables_and_volumes import member, partitioned

MB = 1 << 20


def test_halves_of_a_mirror_are_one_thing_and_the_newer_is_named(tmp_path):
    needs("mkfs.ext3")
    image, array = blank(tmp_path / "fs", 16 * MB), uuid.uuid4().bytes
    run("mkfs.ext3", "-q", "-F", "-L", "mirrored", image)
    with open(image, "rb") as handle:
        content = handle.read()
    halves = [member(tmp_path / ("half%d" % n), 90, array, n, events) for n, events in ((0, 900), (1, 1100))]
    for half in halves:
        write(half, 0, content)
    told = look(*halves)
    assert not any(copies(told, half) for half in halves)
    [older] = [f for f in told["findings"] if f["id"] == "disks.md.older"]
    assert older["subject"] == halves[0] and older["details"]["newer"] == halves[1] and "events 900" in older["evidence"]
    assert "disks.md.incomplete" not in ids(told)
    clone = copy(halves[1], tmp_path / "clone")
    told = look(*halves, clone)
    assert {(d["of"], d["what"]) for d in copies(told, clone)} >= {(halves[1], "RAID member"), (halves[1], "filesystem UUID")}
    assert "disks.md.incomplete" in ids(look(halves[0]))


def test_a_member_in_the_last_partition_is_not_taken_for_the_whole_disk(tmp_path):
    path = partitioned(tmp_path / "disk", "label: dos\nd1 : start=2048, size=129024, type=fd\n", size=64)
    half = member(tmp_path / "half", 90, uuid.uuid4().bytes, 0, 5, size=63 * MB)
    with open(half, "rb") as handle:
        write(path, MB, handle.read())
    told = look(path)["devices"]
    assert "md" not in told[path] and told[path + "#1"]["md"]["version"] == "0.90"


def test_volumes_in_a_mirror_are_seen_with_their_place_on_the_disk(tmp_path):
    needs("lvm", "losetup", "mkfs.ext4", root=True)
    from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._disks.test_tables_and_volumes import lvm

    inner, array = blank(tmp_path / "pv", 48 * MB), uuid.uuid4().bytes
    with loop(inner) as name:
        lvm([name], "pvcreate", "-q", "-ff", "-y", name)
        lvm([name], "vgcreate", "-q", "-s", "4M", "VolGroup00", name)
        lvm([name], "lvcreate", "-q", "-an", "-Zn", "-Wn", "-y", "-n", "root", "-L", "16M", "VolGroup00")
    image = blank(tmp_path / "fs", 16 * MB)
    run("mkfs.ext4", "-q", "-F", "-L", "deep", image)
    with mounted(image, tmp_path / "mnt") as root:
        os.makedirs(root + "/etc")
        with open(root + "/etc/fstab", "w") as handle:
            handle.write("/dev/VolGroup00/root / ext4 defaults 1 1\n")
        with open(root + "/etc/debian_version", "w") as handle:
            handle.write("4.0\n")
    with open(image, "rb") as handle:
        write(inner, MB, handle.read())
    halves = [member(tmp_path / ("half%d" % n), 2, array, n, 8) for n in (0, 1)]
    for half in halves:
        with open(inner, "rb") as handle:
            write(half, MB, handle.read())
    told = look(*halves)
    for half in halves:
        [volume] = told["devices"][half]["inside"]["lvm"]["lvs"]
        assert volume["signature"]["label"] == "deep" and volume["complete"]
        assert volume["segments"][0]["areas"][0]["path"] == half and volume["segments"][0]["areas"][0]["offset"] == 2 * MB
        assert not copies(told, half)
    assert {(root["device"], root["volume"], root["distribution"]["version"]) for root in told["roots"]} == {(h, "VolGroup00/root", "4.0") for h in halves}


def test_a_group_with_the_name_of_another_one_is_told(tmp_path):
    needs("lvm", "losetup", root=True)
    from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._disks.test_tables_and_volumes import lvm

    images = [blank(tmp_path / name, 32 * MB) for name in ("one", "two")]
    for image in images:
        with loop(image) as name:
            lvm([name], "pvcreate", "-q", "-ff", "-y", name)
            lvm([name], "vgcreate", "-q", "-s", "4M", "VolGroup00", name)
    told = look(*images)
    assert [(d["of"], d["what"], d["value"]) for d in copies(told, images[0])] == [(images[1], "volume group name", "VolGroup00")]
    clone = copy(images[0], tmp_path / "clone")
    whats = {d["what"] for d in look(clone, *images)["devices"][clone]["duplicates"] if d["of"] == images[0]}
    assert whats == {"volume group name", "volume group UUID", "physical volume UUID"}


def test_halves_that_each_ran_alone_are_told(tmp_path):
    array = uuid.uuid4().bytes
    halves = [member(tmp_path / ("half%d" % n), 2, array, n, events, active=[n]) for n, events in ((0, 20), (1, 22))]
    assert {"disks.md.split", "disks.md.older"} <= set(ids(look(*halves)))
    halves[0] = member(halves[0], 2, array, 0, 20)
    assert "disks.md.split" not in ids(look(*halves))


def test_a_copy_of_a_group_in_use_is_told_and_its_own_volumes_are_no_copies(tmp_path):
    """As the kernel has it with device-mapper: /dev/sda is the group's, dm-0 is its volume and mounted; /dev/sdb is a copy that nothing uses."""
    needs("lvm", "losetup", "mkfs.ext4", root=True)
    from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._disks.test_tables_and_volumes import lvm

    image, inner = blank(tmp_path / "pv", 48 * MB), blank(tmp_path / "fs", 16 * MB)
    with loop(image) as name:
        lvm([name], "pvcreate", "-q", "-ff", "-y", name)
        lvm([name], "vgcreate", "-q", "-s", "4M", "vg", name)
        lvm([name], "lvcreate", "-q", "-an", "-Zn", "-Wn", "-y", "-n", "root", "-L", "16M", "vg")
    run("mkfs.ext4", "-q", "-F", "-L", "root", inner)
    with open(inner, "rb") as handle:
        write(image, MB, handle.read())
    files, contents = {"/proc/filesystems": "\text4\n"}, {"/dev/sda": image, "/dev/sdb": image, "/dev/dm-0": inner}
    for number, (path, source) in enumerate(contents.items()):
        base = "/sys/class/block/" + path[5:]
        files.update({base + "/dev": "8:%d" % number, base + "/size": "%d" % (os.stat(source).st_size // 512), path: b""})
    files["/sys/class/block/dm-0/dm/name"] = "vg-root"
    files["/sys/class/block/dm-0/slaves/sda/x"] = files["/sys/class/block/sda/holders/dm-0/x"] = ""
    files["/proc/self/mountinfo"] = "1 0 8:2 / / rw - ext4 /dev/mapper/vg-root rw\n"
    system = FakeSystem(files=files, stats={path: {"type": "b"} for path in contents})
    system.blocks = lambda path, offset, size: System().blocks(contents[path], offset, size)
    told = _look.look(system, smart=False)
    devices = told["devices"]
    assert devices["/dev/mapper/vg-root"]["in_use"] == ["mounted at /"] and devices["/dev/sda"]["in_use"] == ["part of /dev/mapper/vg-root"]
    assert {d["of"] for d in devices["/dev/sda"]["duplicates"]} == {"/dev/sdb"} == {d["of"] for d in devices["/dev/mapper/vg-root"]["duplicates"]}
    names = {(d["of"], d["what"], d["live"]) for d in devices["/dev/sdb"]["duplicates"]}
    assert {("/dev/sda", "physical volume UUID", True), ("/dev/sda", "volume group name", True), ("/dev/mapper/vg-root", "filesystem UUID", True)} <= names
    [volume] = devices["/dev/sdb"]["lvm"]["lvs"]
    assert volume["segments"][0]["areas"][0]["path"] == "/dev/sdb"
    assert {f["subject"] for f in told["findings"] if f["id"] == "disks.duplicate"} == {"/dev/sdb"}
