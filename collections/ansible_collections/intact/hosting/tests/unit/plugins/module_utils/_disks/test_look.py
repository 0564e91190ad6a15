# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole look at loop devices and images, as a legacy disk beside a live one: nothing is written, copies are told, the token holds."""

from __future__ import annotations

import os
import signal
import subprocess
import time
import uuid

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._disks import _kernel, _look, _smart, _token
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._system import System
from ansible_collections.intact.hosting.plugins.modules import block_device_info
from ansible_collections.intact.hosting.tests.unit.plugins.fake_system import FakeSystem
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._disks.look_images import (
    PATH,
    blank,
    blkid,
    copy,
    digest,
    loop,
    mounted,
    needs,
    parted,
    run,
    write,
)
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._disks.test_tables_and_volumes import member, partitioned

MB = 1 << 20
TABLE = "label: dos\nd1 : size=24MiB, type=83, bootable\nd2 : size=20MiB, type=5\nd5 : size=8MiB, type=82\nd6 : size=8MiB, type=83\n"


def look(*paths, **more):
    return _look.look(System(), [str(path) for path in paths], smart=False, **more)


def ids(told, subject=None):
    return sorted({f["id"] for f in told["findings"] if subject in (None, f["subject"])})


@pytest.fixture
def disk(tmp_path):
    """An old server's disk: MBR with a root of ext3 that was never unmounted, swap and an ext2 in an extended partition."""
    needs("mkfs.ext3", "mkswap", "debugfs", "losetup", root=True)
    root = blank(tmp_path / "root", 24 * MB)
    run("mkfs.ext3", "-q", "-F", "-I", "128", "-L", "/", root)
    with mounted(root, tmp_path / "mnt") as place:
        os.makedirs(place + "/etc")
        for name, text in (("fstab", "LABEL=/ / ext3 defaults 1 1\nLABEL=sw swap swap defaults 0 0\n"), ("redhat-release", "CentOS release 5.2 (Final)\n")):
            with open("%s/etc/%s" % (place, name), "w") as handle:
                handle.write(text)
        run("sync", "-f", place)
        with open(place + "/unsynced", "w") as handle:
            handle.write("x")
            os.fsync(handle.fileno())
        crashed = copy(root, tmp_path / "crashed")
    path = partitioned(tmp_path / "disk", TABLE)
    swap, other = blank(tmp_path / "swap", 8 * MB), blank(tmp_path / "other", 8 * MB)
    run("mkswap", "-q", "-L", "sw", swap)
    run("mkfs.ext2", "-q", "-F", "-L", "other", other)
    parts = {p["number"]: p for p in look(path)["devices"][path]["table"]["partitions"]}
    for number, content in ((1, crashed), (5, swap), (6, other)):
        with open(content, "rb") as handle:
            write(path, parts[number]["start"], handle.read())
    return path


def test_an_image_is_told_with_its_partitions_and_stays_as_it_is(disk):
    before, times = digest(disk), os.stat(disk).st_mtime_ns
    told = look(disk)
    assert digest(disk) == before and os.stat(disk).st_mtime_ns == times
    kinds = {path[len(disk) :]: (e.get("signature") or {}).get("type") for path, e in told["devices"].items()}
    assert kinds == {"": None, "#1": "ext3", "#2": None, "#5": "swap", "#6": "ext2"}
    assert told["devices"][disk + "#1"]["signature"]["journal"] == "dirty"
    assert "disks.journal" in ids(told, disk + "#1") and ids(told, disk + "#6") == []
    [root] = told["roots"]
    assert (root["device"], root["distribution"]["id"], root["distribution"]["version"]) == (disk + "#1", "centos", "5.2")
    assert [(row["source"], row["target"]) for row in root["fstab"]] == [("LABEL=/", "/"), ("LABEL=sw", "swap")]


def test_a_loop_device_is_told_as_the_kernel_has_it_and_its_image_is_in_use(disk):
    with parted(disk) as name:
        before = digest(disk)
        told = look(name)["devices"]
        assert set(told) == {name} | {name + "p%d" % number for number in (1, 2, 5, 6)}
        assert told[name + "p5"]["signature"]["type"] == "swap" and told[name + "p5"]["parent"] == name
        assert told[name + "p1"]["number"] == "%d:%d" % (os.major(os.stat(name + "p1").st_rdev), os.minor(os.stat(name + "p1").st_rdev))
        assert look(disk)["devices"][disk]["in_use"] == ["under " + name]
        assert look(name + "p6")["devices"][name]["token"] == told[name]["token"] == look(disk)["devices"][disk]["token"]
        assert not any("duplicates" in entry for entry in told.values())
        assert digest(disk) == before


def test_the_token_stays_through_mounts_and_replays_and_names_another_disk(disk, tmp_path):
    token = look(disk)["devices"][disk]["token"]
    with parted(disk) as name:
        before = digest(disk)
        run("mount", name + "p1", tmp_path / "mnt")
        try:
            entry = look(name)["devices"][name]
            assert entry["token"] == token and "%sp1 is mounted at %s" % (name, tmp_path / "mnt") in entry["in_use"]
            mounts = look(name)["devices"][name + "p1"]["mounted"]
            assert mounts == [str(tmp_path / "mnt")]
        finally:
            run("umount", tmp_path / "mnt")
        entry = look(name)["devices"][name]
        assert digest(disk) != before and entry["token"] == token
        assert look(name)["devices"][name + "p1"]["signature"]["journal"] == "clean"
        _token.check(token, entry)
    run("sfdisk", "-q", "--delete", disk, "6")
    with pytest.raises(IntactError) as caught:
        _token.check(token, look(disk)["devices"][disk])
    assert caught.value.details["difference"] == "table" and disk in str(caught.value)


@pytest.mark.parametrize("name", ["xfs", "btrfs", "ext4", "swap"])
def test_the_token_of_a_disk_without_a_table(name, tmp_path):
    needs("losetup", "mkswap" if name == "swap" else "mkfs." + name, root=True)
    path = blank(tmp_path / "disk", 320 * MB)
    make = ["mkswap", "-q"] if name == "swap" else ["mkfs." + name, "-q", "-F" if name == "ext4" else "-f"]
    run(*make, path)
    token = look(path)["devices"][path]["token"]
    assert token.startswith("no-serial/")
    if name != "swap":
        with mounted(path, tmp_path / "mnt") as root, open(root + "/file", "w") as handle:
            handle.write("x")
    assert look(path)["devices"][path]["token"] == token
    run(*make, path)
    assert look(path)["devices"][path]["token"] != token


@pytest.mark.parametrize(("name", "what"), [("xfs", "XFS UUID"), ("btrfs", "btrfs fsid"), ("ext4", "filesystem UUID")])
def test_a_copy_of_a_mounted_filesystem_is_told(name, what, tmp_path):
    needs("losetup", "mkfs." + name, root=True)
    path = blank(tmp_path / "live", 320 * MB)
    run("mkfs." + name, "-q", "-F" if name == "ext4" else "-f", "-L", "root", path)
    clone = copy(path, tmp_path / "clone")
    with loop(path) as live, loop(clone, "-r") as old:
        (tmp_path / "mnt").mkdir()
        run("mount", live, tmp_path / "mnt")
        try:
            told = look(old)
        finally:
            run("umount", tmp_path / "mnt", check=False)
        entry = told["devices"][old]
        names = {(d["of"], d["what"], d["live"]) for d in entry["duplicates"]}
        assert {(live, what, True), (live, "label", True)} <= names
        [finding] = [f for f in told["findings"] if f["id"] == "disks.duplicate" and f["details"]["of"] == live]
        assert finding["subject"] == old and "mounted at" in finding["evidence"] and finding["severity"] == "warning"


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
    assert not any("duplicates" in told["devices"][half] for half in halves)
    [older] = [f for f in told["findings"] if f["id"] == "disks.md.older"]
    assert older["subject"] == halves[0] and older["details"]["newer"] == halves[1] and "events 900" in older["evidence"]
    assert "disks.md.incomplete" not in ids(told)
    clone = copy(halves[1], tmp_path / "clone")
    told = look(*halves, clone)
    assert {(d["of"], d["what"]) for d in told["devices"][clone]["duplicates"]} >= {(halves[1], "RAID member"), (halves[1], "filesystem UUID")}
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
        assert "duplicates" not in told["devices"][half]
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
    assert [(d["of"], d["what"], d["value"]) for d in told["devices"][images[0]]["duplicates"]] == [(images[1], "volume group name", "VolGroup00")]
    clone = copy(images[0], tmp_path / "clone")
    whats = {d["what"] for d in look(clone, *images)["devices"][clone]["duplicates"] if d["of"] == images[0]}
    assert whats == {"volume group name", "volume group UUID", "physical volume UUID"}


def test_a_disk_that_can_t_be_read_is_a_finding(tmp_path):
    """A real read error, from the kernel: a FUSE file whose bytes of the ext superblock fail."""
    needs("nbdkit", "nbdfuse", "mkfs.ext4", root=True)
    image, view = blank(tmp_path / "disk", 16 * MB), tmp_path / "view"
    run("mkfs.ext4", "-q", "-F", image)
    view.mkdir()
    bad = "case $4 in 0) echo EIO Input/output error >&2; exit 1;; esac; dd if=%s iflag=skip_bytes,count_bytes skip=$4 count=$3 status=none" % image
    kit = ["nbdkit", "-s", "--exit-with-parent", "--filter=blocksize", "sh", "-", "minblock=4096", "maxdata=4096"]
    script = tmp_path / "disk.sh"
    script.write_text("#!/bin/sh\ncase $1 in get_size) echo %d;; pread) %s;; can_write) exit 3;; *) exit 2;; esac\n" % (16 * MB, bad))
    script.chmod(0o755)
    kit[kit.index("-")] = str(script)
    process = subprocess.Popen(["nbdfuse", "-r", str(view), "--command", *kit], env=dict(os.environ, PATH=PATH), stderr=subprocess.PIPE)
    try:
        for _turn in range(100):
            if (view / "nbd").exists() or process.poll() is not None:
                break
            time.sleep(0.1)
        with pytest.raises(OSError), open(view / "nbd", "rb") as handle:
            handle.read(4096)
        told = look(view / "nbd")
        [finding] = [f for f in told["findings"] if f["id"] == "disks.unreadable"]
        assert finding["severity"] == "blocker" and finding["details"]["places"] == [0] and "image" in finding["remedy"]
    finally:
        run("umount", view, check=False)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)


@pytest.mark.parametrize(("back", "magic", "kind"), [(1024, b"Intel Raid ISM Cfg Sig. 1.3.00", "isw_raid_member"), (1024, b"NVIDIA  ", "nvidia_raid_member")])
def test_a_disk_of_a_mainboards_array_is_told(back, magic, kind, tmp_path):
    path = blank(tmp_path / "disk", 16 * MB)
    write(path, 16 * MB - back, magic)
    told = look(path)
    assert told["devices"][path]["bios_raid"] == kind and ids(told) == ["disks.bios_raid"]
    if kind.startswith("isw"):
        assert blkid(path)["TYPE"] == kind


def test_a_lost_superblock_is_told_by_its_copy_and_stays_out_of_tables(disk, tmp_path):
    needs("mkfs.ext3")
    path = blank(tmp_path / "lost", 24 * MB)
    run("mkfs.ext3", "-q", "-F", "-b", "1024", path)
    held = look(path)["devices"][path]["signature"]
    write(path, 1024, b"\0" * 1024)
    told = look(path)
    assert "signature" not in told["devices"][path] and told["devices"][path]["lost"]["uuid"] == held["uuid"]
    assert ids(told) == ["disks.superblock"]
    assert "disks.superblock" not in ids(look(disk))
    run("mkswap", "-q", path)
    assert ids(look(path)) == []


def test_halves_that_each_ran_alone_are_told(tmp_path):
    array = uuid.uuid4().bytes
    halves = [member(tmp_path / ("half%d" % n), 2, array, n, events, active=[n]) for n, events in ((0, 20), (1, 22))]
    assert {"disks.md.split", "disks.md.older"} <= set(ids(look(*halves)))
    halves[0] = member(halves[0], 2, array, 0, 20)
    assert "disks.md.split" not in ids(look(*halves))


def test_a_path_that_is_no_device_is_refused(tmp_path):
    for path in (tmp_path, tmp_path / "none", "/dev/null"):
        with pytest.raises(IntactError, match="name a disk"):
            look(path)


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


def hardware(serial="WD-1", content=b"", table=b""):
    """One SCSI disk without udev, as a rescue system has it."""
    base = "/sys/class/block/sda"
    files = {
        base + "/dev": "8:0\n",
        base + "/size": "%d\n" % (len(content) // 512),
        base + "/ro": "0\n",
        base + "/queue/logical_block_size": "512\n",
        base + "/queue/rotational": "1\n",
        base + "/device/model": "WDC WD2500YS-01S\n",
        base + "/device/wwid": "naa.50014ee0\n",
        base + "/device/serial": serial + "\n",
        "/dev/sda": content,
        "/proc/self/mountinfo": "1 0 0:1 / / rw - tmpfs none rw\n",
        "/proc/filesystems": "\text4\n",
    }
    system = FakeSystem({"smartctl -j": '{"smart_status": {"passed": false}}'}, files, stats={"/dev/sda": {"type": "b"}})
    system.blocks = lambda _path, offset, size: content[offset : offset + size]
    return system


def test_a_disk_is_known_by_its_serial_and_its_failing_health_is_told(tmp_path):
    needs("sfdisk")
    with open(partitioned(tmp_path / "disk", TABLE), "rb") as handle:
        content = handle.read()
    told = _look.look(hardware(content=content))
    entry = told["devices"]["/dev/sda"]
    assert (entry["serial"], entry["wwn"], entry["model"], entry["rotational"]) == ("WD-1", "naa.50014ee0", "WDC WD2500YS-01S", True)
    assert entry["token"] == "WD-1/" + entry["table"]["hash"] and entry["smart"]["verdict"] == "failing"
    assert [f["severity"] for f in told["findings"] if f["id"] == "disks.smart"] == ["blocker"]
    other = _look.look(hardware("WD-2", content))["devices"]["/dev/sda"]
    with pytest.raises(IntactError) as caught:
        _token.check(entry["token"], other)
    assert caught.value.details["difference"] == "serial" and "WD-1" in str(caught.value) and "WD-2" in str(caught.value)
    with pytest.raises(IntactError, match="no token"):
        _token.check("/dev/sda", entry)
    assert _token.of({"wwn": "naa.5 1/2", "table": entry["table"]}).startswith("naa.5_1_2/")


@pytest.mark.parametrize(
    ("told", "verdict"),
    [
        ({"smart_status": {"passed": True}}, "passed"),
        ({"smart_status": {"passed": True}, "ata_smart_attributes": {"table": [{"id": 197, "raw": {"value": 8}}]}}, "worn"),
        ({"smart_status": {"passed": False}, "nvme_smart_health_information_log": {"critical_warning": 4}}, "failing"),
        ({"smartctl": {"messages": [{"string": "Unable to detect device type", "severity": "error"}]}}, "unknown"),
        ({}, "unknown"),
    ],
)
def test_the_verdict_of_smart(told, verdict):
    assert _smart.judge(told)["verdict"] == verdict


def test_smartctl_that_is_not_there_or_talks_nonsense():
    assert _smart.look(FakeSystem(), "/dev/sda")["verdict"] == "not asked"
    assert _smart.look(FakeSystem({"smartctl -j": "nonsense"}), "/dev/sda")["verdict"] == "unknown"


def test_filesystems_that_the_kernel_lacks_are_told_with_who_reads_them():
    release = os.uname().release
    plain = FakeSystem(
        {"grub-mount": ""},
        {"/proc/filesystems": "nodev\tproc\n\text4\n\txfs\n", "/boot/config-" + release: "CONFIG_XFS_FS=y\n# CONFIG_XFS_SUPPORT_V4 is not set\n"},
    )
    assert _kernel.lacks(plain, {"type": "ext3"}) is None
    assert _kernel.lacks(plain, {"type": "xfs", "version": "v5"}) is None
    assert "version 5 only" in _kernel.lacks(plain, {"type": "xfs", "version": "v4"})["evidence"]
    told = _kernel.lacks(plain, {"type": "reiserfs"})
    assert told["readers"] == ["grub-mount"] and "grub-mount is installed here" in told["remedy"]
    module = FakeSystem({}, {"/proc/filesystems": "\text4\n", "/lib/modules/%s/modules.dep" % release: "kernel/fs/jfs/jfs.ko.xz: kernel/x.ko\n"})
    assert _kernel.lacks(module, {"type": "jfs"}) is None
    assert _kernel.lacks(module, {"type": "ntfs"})["readers"] == []


def test_the_module_tells_the_same_in_check_mode(disk, call_module):
    before = digest(disk)
    first, second = (call_module(block_device_info.main, paths=[disk], smart=False, check=check) for check in (False, True))
    assert first == second and first["changed"] is False
    assert first["devices"][disk]["token"] and first["roots"][0]["distribution"]["id"] == "centos"
    assert digest(disk) == before
    told = call_module(block_device_info.main, paths=[disk + "-none"])
    assert told["failed"] and "name a disk" in told["msg"]
