# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What lies on an old disk besides plain partitions: volume groups, halves of mirrors, encrypted volumes, filesystems that the kernel lacks."""

from __future__ import annotations

import os
import shutil
import uuid

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._disks import _map, _overlay_dm
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._disks import attach_lab
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._disks.attach_lab import MIB, digest, run
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._disks.test_tables_and_volumes import lvm, member

pytestmark = attach_lab.needs()
lab = attach_lab.lab
ARRAY = uuid.UUID("a1b2c3d4-0001-0002-0003-000400050006").bytes
without_dm = pytest.mark.skipif(not _overlay_dm.available("linear"), reason="this kernel has device-mapper, which can do what is refused here")
KNOWN = attach_lab.text("/proc/filesystems").split()


def blank(lab, name, size):
    """A sparse image."""
    with open(lab.directory / name, "wb") as handle:
        handle.truncate(size)
    return lab.directory / name


def put(image, part, offset):
    """Write an image into another one."""
    run("dd", "if=%s" % part, "of=%s" % image, "bs=1M", "seek=%d" % offset, "oflag=seek_bytes", "conv=notrunc,sparse", "status=none")


def old_root(fstab):
    """A function that fills an old root."""

    def fill(place):
        for name in ("etc", "usr", "var", "boot", "srv"):
            (place / name).mkdir()
        (place / "home").symlink_to("var/home")
        (place / "var/home").mkdir()
        (place / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\n")
        (place / "etc/fstab").write_text(fstab)

    return fill


FSTAB = """/dev/VolGroup00/LogVol00 / ext3 defaults 1 1
LABEL=/boot /boot ext3 defaults 1 2
/dev/mapper/VolGroup00-home--users /home ext3 usrquota 1 2
/dev/VolGroup00/gone /srv ext3 defaults 0 0
tmpfs /dev/shm tmpfs defaults 0 0
"""


@pytest.fixture(params=[True, False], ids=["two pieces", "one piece"])
def group(lab, request):
    """(image, files, pieces): a disk as CentOS made it: /boot in a partition, the rest in VolGroup00; the root grown later or not; one volume is empty."""
    boot, _files = lab.image("ext3", name="boot.img", dirty=False)
    run("e2label", boot, "/boot")
    root, files = lab.image("ext3", name="root.img", fill=old_root(FSTAB))
    home, _files = lab.image("ext3", name="home.img")
    pv = blank(lab, "pv.img", 160 * MIB)
    device = lab.loop(pv)
    lvm((device,), "pvcreate", "-q", "-ff", "-y", device)
    lvm((device,), "vgcreate", "-q", "-s", "4M", "VolGroup00", device)
    for name in ("LogVol00", "home-users", "spare"):
        lvm((device,), "lvcreate", "-q", "-an", "-Zn", "-Wn", "-y", "-n", name, "-L", "24M", "VolGroup00")
    if request.param:
        lvm((device,), "lvextend", "-q", "-L", "+12M", "VolGroup00/LogVol00")
    lvm((device,), "lvcreate", "-q", "-an", "-Zn", "-Wn", "-y", "-n", "other", "-L", "24M", "VolGroup00")
    start = int(float(lvm((device,), "pvs", "--noheadings", "-o", "pe_start", "--units", "b", "--nosuffix", device)))
    for number, part in ((0, root), (6, home), (21 if request.param else 18, boot)):
        put(pv, part, start + number * 4 * MIB)
    lab.unloop(device)
    return lab.partitioned("disk.img", boot, pv), files, request.param


@without_dm
def test_a_volume_group_without_device_mapper(lab, group):
    image, files, pieces = group
    before, device = digest(image), lab.loop(image)
    told = lab.attachment(device).present()
    refused = {f["subject"]: f["evidence"] for f in told["findings"] if f["id"] == "legacy.volume.refused"}
    shown = {m["name"]: m["target"] for m in told["mounts"]}
    beside = str(lab.old) + ".volumes/"
    if pieces:
        # Without device-mapper that is said, and the rest is shown.
        assert set(refused) == {"VolGroup00-LogVol00"} and "2 pieces" in refused["VolGroup00-LogVol00"] and "device-mapper" in refused["VolGroup00-LogVol00"]
        assert shown == {name: beside + name for name in ("part1", "VolGroup00-home-users", "VolGroup00-other")}
    else:
        root = str(lab.old)
        assert not refused and told["root"] == root
        places = {"VolGroup00-LogVol00": root, "part1": root + "/boot", "VolGroup00-home-users": root + "/var/home"}
        assert shown == dict(places, **{"VolGroup00-other": beside + "VolGroup00-other"})
    lab.seen(shown["VolGroup00-home-users"], files)
    lab.attachment(device).absent()
    assert digest(image) == before and lab.left() == []


def test_the_volumes_of_a_group_lie_where_lvm_says(lab, group):
    image, _files, pieces = group
    device = lab.loop(image)
    volumes = {v.name: v for v in _map.read(device, os.stat(image).st_size)}
    second = 2048 * 512 + 24 * MIB
    assert volumes["VolGroup00-home-users"].place == (second + MIB + 24 * MIB, 24 * MIB)
    if not pieces:
        assert volumes["VolGroup00-LogVol00"].place == (second + MIB, 24 * MIB)
        return
    assert [s[:3] for s in volumes["VolGroup00-LogVol00"].segments] == [(0, 24 * MIB, 0), (24 * MIB, 12 * MIB, 0)]
    table = _map.table_of(volumes["VolGroup00-LogVol00"], "/dev/x").splitlines()
    assert table == ["0 49152 linear /dev/x %d" % ((second + MIB) // 512), "49152 24576 linear /dev/x %d" % ((second + 73 * MIB) // 512)]


def test_the_old_root_is_shown_as_its_fstab_says(lab):
    fstab = "UUID=11111111-2222-3333-4444-555555555555 / ext4 defaults 0 1\n/dev/hda1 /boot ext3 defaults 1 2\n/dev/hda3 /home ext3 defaults 1 2\n"
    boot, _files = lab.image("ext3", name="boot.img")
    root, files = lab.image("ext4", name="root.img", dirty=False, fill=old_root(fstab + "/dev/hda4 /opt ext3 defaults 0 0\n"))
    run("tune2fs", "-U", "11111111-2222-3333-4444-555555555555", root)
    home, more = lab.image("ext3", name="home.img")
    image = lab.partitioned("disk.img", boot, root, home, boot)
    before, device = digest(image), lab.loop(image)
    told = lab.attachment(device).present()
    assert told["root"] == str(lab.old)
    # /home was a link into /var; /opt is no directory of that root.
    assert [(m["name"], m["target"]) for m in told["mounts"]] == [
        ("part2", str(lab.old)),
        ("part1", str(lab.old / "boot")),
        ("part3", str(lab.old / "var/home")),
        ("part4", str(lab.old) + ".volumes/part4"),
    ]
    assert [(f["id"], f["subject"]) for f in told["findings"]] == [("legacy.volume.beside", "part4")]
    lab.seen(lab.old, files)
    lab.seen(lab.old / "home", more)
    assert not lab.attachment(device).present()["changed"]
    lab.attachment(device).absent()
    assert digest(image) == before and lab.left() == []
    assert not os.path.exists(lab.old) and not os.path.exists(str(lab.old) + ".volumes")


def test_a_link_that_leads_out_of_the_old_root_does_not(lab):
    def hostile(place):
        old_root("/dev/sda1 / ext4 defaults 0 1\n/dev/sda2 /srv/www ext4 defaults 0 2\n")(place)
        (place / "srv/www").symlink_to("../../../../../../../../../etc")

    root, _files = lab.image("ext4", name="root.img", fill=hostile)
    www, _files = lab.image("ext4", name="www.img")
    device = lab.loop(lab.partitioned("disk.img", root, www))
    told = lab.attachment(device).present()
    assert [m["target"] for m in told["mounts"]] == [str(lab.old), str(lab.old / "etc")]
    lab.attachment(device).absent()
    assert lab.left() == [] and os.path.exists("/etc/passwd")


def test_two_roots_are_not_guessed_between(lab):
    one, _files = lab.image("ext4", name="one.img", fill=old_root("/dev/sda1 / ext4 defaults 0 1\n"))
    two, _files = lab.image("ext4", name="two.img", fill=old_root("/dev/sda2 / ext4 defaults 0 1\n"))
    device = lab.loop(lab.partitioned("disk.img", one, two))
    with pytest.raises(IntactError, match="several roots: part1, part2"):
        lab.attachment(device).present()
    assert lab.left() == []
    told = lab.attachment(device, root="part2").present()
    assert [(m["name"], m["target"]) for m in told["mounts"]] == [("part2", str(lab.old)), ("part1", str(lab.old) + ".volumes/part1")]
    lab.attachment(device).absent()


def test_the_subvolumes_of_a_btrfs_root(lab):
    def fill(place):
        for name in ("@", "@home"):
            run("btrfs", "subvolume", "create", place / name)
        number = run("findmnt", "-n", "-o", "UUID", place).strip()
        old_root("UUID=%s / btrfs subvol=@ 0 0\nUUID=%s /srv btrfs subvol=@home 0 0\n" % (number, number))(place / "@")
        (place / "@home/one").write_text("1")

    image, _files = lab.image("btrfs", fill=fill)
    before, device = digest(image), lab.loop(image)
    told = lab.attachment(device).present()
    assert [m["target"] for m in told["mounts"]] == [str(lab.old), str(lab.old / "srv")]
    assert (lab.old / "srv/one").read_text() == "1" and (lab.old / "etc/passwd").exists()
    lab.attachment(device).absent()
    assert digest(image) == before and lab.left() == []


@pytest.mark.parametrize("minor", [0, 1, 2, 90])
def test_half_of_a_mirror_is_shown_without_md(lab, minor):
    part, files = lab.image("ext3", name="part.img")
    image = lab.directory / "disk.img"
    member(image, minor, ARRAY, 0, 50)
    put(image, part, 0 if minor in (0, 90) else MIB)
    if minor == 2:
        # What lies before the data was written over by nothing of ours.
        assert image.read_bytes()[4096:4100] == b"\xfc\x4e\x2b\xa9"
    before, device = digest(image), lab.loop(image)
    told = lab.attachment(device).present()
    lab.seen(told["mounts"][0]["target"], files)
    lab.attachment(device).absent()
    assert digest(image) == before and lab.left() == []


def test_the_older_half_of_a_mirror_is_refused_unless_asked_for(lab):
    part, files = lab.image("ext3", name="part.img")
    devices = []
    for number, events in ((0, 90), (1, 120)):
        image = lab.directory / ("half%d.img" % number)
        member(image, 90, ARRAY, number, events)
        put(image, part, 0)
        devices.append(lab.loop(image))
    with pytest.raises(IntactError, match=r"older half .*90 events, %s has 120" % devices[1]):
        lab.attachment(devices[0]).present()
    assert lab.left() == []
    told = lab.attachment(devices[1]).present()
    lab.seen(told["mounts"][0]["target"], files)
    lab.attachment(devices[1]).absent()
    told = lab.attachment(devices[0], accept_older=True).present()
    lab.seen(told["mounts"][0]["target"], files)
    lab.attachment(devices[0]).absent()
    assert lab.left() == []


def test_a_member_of_a_raid5_is_refused_with_what_it_needs(lab):
    image = lab.directory / "disk.img"
    member(image, 2, ARRAY, 0, 50, devices=3, level=5)
    with pytest.raises(IntactError, match="one of 3 members of a raid5"):
        lab.attachment(lab.loop(image)).present()
    assert lab.left() == []


def test_an_encrypted_volume_says_what_it_needs(lab):
    image = blank(lab, "disk.img", 8 * MIB)
    with open(image, "r+b") as handle:
        handle.write(b"LUKS\xba\xbe\x00\x01" + bytes(160) + b"5d1a0a30-9a4c-4a5e-b8c7-000000000001\0")
    device = lab.loop(image)
    with pytest.raises(IntactError, match=r"encrypted .*luks_key_file"):
        lab.attachment(device).present()
    if _overlay_dm.available("crypt"):
        with pytest.raises(IntactError, match=r"encrypted and .*device-mapper|dmsetup"):
            lab.attachment(device, luks_key_file="/nonexistent").present()
    assert lab.left() == []


def test_an_old_xfs_is_read_by_grub_mount_and_said_to_be_stale(lab):
    image = blank(lab, "disk.img", 320 * MIB)
    proto = lab.directory / "proto"
    (lab.directory / "file").write_text("from 2008\n")
    proto.write_text("/stand/none\n0 0\nd--755 0 0\nfile ---644 0 0 %s\n$\n" % (lab.directory / "file"))
    run("mkfs.xfs", "-q", "-f", "-m", "crc=0", "-p", proto, image)
    before, device = digest(image), lab.loop(image)
    told = lab.attachment(device).present()
    place = told["mounts"][0]["target"]
    assert attach_lab.text(place + "/file") == "from 2008\n"
    assert attach_lab.options(place) >= {"ro", "nodev", "nosuid", "noexec"}
    if told["mounts"][0]["type"] == "fuse":
        assert [f["id"] for f in told["findings"]] == ["legacy.volume.stale"] and told["mounts"][0]["mode"] == "raw"
    assert not lab.attachment(device).present()["changed"]
    lab.attachment(device).absent()
    assert digest(image) == before and lab.left() == []


@pytest.mark.skipif(not shutil.which("mkntfs"), reason="ntfs-3g is not installed")
def test_ntfs_is_read_by_ntfs_3g(lab):
    image = blank(lab, "disk.img", 16 * MIB)
    run("mkntfs", "-q", "-F", "-f", image)
    place = lab.directory / "living"
    place.mkdir()
    run("ntfs-3g", image, place)
    (place / "file").write_text("from Windows\n")
    run("umount", place)
    before, device = digest(image), lab.loop(image)
    told = lab.attachment(device).present()
    assert attach_lab.text(told["mounts"][0]["target"] + "/file") == "from Windows\n"
    assert not lab.attachment(device).present()["changed"]
    lab.attachment(device).absent()
    assert digest(image) == before and lab.left() == []


@pytest.mark.parametrize(("kind", "make"), [("jfs", ["mkfs.jfs", "-q"]), ("reiserfs", ["mkreiserfs", "-q", "-ff"])])
def test_a_filesystem_that_nothing_here_can_read_is_refused_with_who_can(lab, kind, make, monkeypatch):
    if not shutil.which(make[0], path=os.environ["PATH"] + ":/usr/sbin:/sbin"):
        pytest.skip("%s is not installed" % make[0])
    if kind in KNOWN:
        pytest.skip("this kernel has %s" % kind)
    image = blank(lab, "disk.img", 64 * MIB)
    run(*make, image)
    device = lab.loop(image)
    if shutil.which("grub-mount"):
        told = lab.attachment(device).present()
        assert told["mounts"][0]["type"] == "fuse" and told["mounts"][0]["mode"] == "raw"
        lab.attachment(device).absent()
    from ansible_collections.intact.hosting.plugins.module_utils._disks import _replay

    real = _replay.which
    monkeypatch.setattr(_replay, "which", lambda name: None if name == "grub-mount" else real(name))
    with pytest.raises(IntactError, match="has no %s: install grub-mount here, or attach it on a system" % kind):
        lab.attachment(device).present()
    assert lab.left() == []


def test_logical_partitions_and_gpt(lab):
    part, files = lab.image("ext3", name="part.img")
    for label, offset in (("dos", 4 * MIB), ("gpt", MIB)):
        image = blank(lab, label + ".img", 40 * MIB)
        lines = "start=2048, size=73728, type=5\nstart=8192, size=49152, type=83\n" if label == "dos" else "start=2048, size=49152\n"
        run("sfdisk", "-q", image, input="label: %s\n%s" % (label, lines))
        put(image, part, offset)
        before, device = digest(image), lab.loop(image)
        told = lab.attachment(device).present()
        assert [m["name"] for m in told["mounts"]] == ["part5" if label == "dos" else "part1"] and told["findings"] == []
        lab.seen(told["mounts"][0]["target"], files)
        lab.attachment(device).absent()
        assert digest(image) == before and lab.left() == []


def test_a_disk_with_sectors_of_4096_bytes(lab):
    part, files = lab.image("ext3", name="part.img")
    image = blank(lab, "disk.img", 40 * MIB)
    device = lab.loop(image, "--sector-size", "4096")
    run("sfdisk", "-q", device, input="label: gpt\nstart=256, size=6144\n")
    put(image, part, MIB)
    run("blockdev", "--flushbufs", device)
    before = digest(image)
    told = lab.attachment(device, prove=True).present()
    lab.seen(told["mounts"][0]["target"], files)
    assert lab.attachment(device, prove=True).absent()["sha256"] == {"before": before, "after": before}
    assert lab.left() == []
