# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Signatures read in Python against what blkid, dumpe2fs, xfs_logprint, btrfs and cryptsetup say of the same real images."""

from __future__ import annotations

import datetime
import errno
import os
import random
import re

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._disks import _others, _probe
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._disks.look_images import (
    blank,
    blkid,
    copy,
    crashed,
    device,
    mounted,
    needs,
    run,
    write,
)

MB = 1 << 20
MAKERS = {
    "ext2": (8, ["mkfs.ext2", "-q", "-F", "-L", "/"]),
    "ext2-old": (8, ["mke2fs", "-q", "-F", "-t", "ext2", "-r", "0", "-b", "1024"]),
    "ext3": (16, ["mkfs.ext3", "-q", "-F", "-I", "128", "-L", "/home"]),
    "ext4": (16, ["mkfs.ext4", "-q", "-F", "-O", "64bit,metadata_csum", "-L", "data"]),
    "xfs": (320, ["mkfs.xfs", "-q", "-f", "-L", "srv"]),
    "xfs4": (320, ["mkfs.xfs", "-q", "-f", "-m", "crc=0", "-L", "old"]),
    "btrfs": (128, ["mkfs.btrfs", "-q", "-f", "-L", "pool"]),
    "swap": (8, ["mkswap", "-q", "-L", "sw"]),
    "vfat": (40, ["mkfs.vfat", "-F", "32", "-n", "EFISYS"]),
    "vfat16": (16, ["mkfs.vfat", "-F", "16", "-n", "OLDDOS"]),
    "ntfs": (16, ["mkfs.ntfs", "-q", "-F", "-Q", "-L", "OFFICE"]),
    "jfs": (16, ["mkfs.jfs", "-q", "-L", "jay"]),
    "reiserfs": (40, ["mkreiserfs", "-q", "-f", "-f", "-l", "reise"]),
}


def identified(path):
    damage = _probe.Damage()
    out = _probe.identify(device(path), damage)
    assert not damage.places and not damage.broken
    return out


def made(name, where):
    size, argv = MAKERS[name]
    needs(argv[0], "blkid")
    path = blank(where / (name + ".img"), size * MB)
    run(*argv, path)
    return path


@pytest.mark.parametrize("name", list(MAKERS))
def test_a_filesystem_is_told_as_blkid_tells_it(name, tmp_path):
    path = made(name, tmp_path)
    found, other = identified(path)["signature"], blkid(path)
    assert found["type"] == other["TYPE"]
    assert found.get("uuid", "") == other.get("UUID", "")
    assert found.get("label", "") == re.sub(r"\\(.)", r"\1", other.get("LABEL", ""))
    assert found["journal"] in ("clean", "none")
    assert "also" not in found
    size = os.path.getsize(path)
    assert found.get("bytes", size) <= size


def test_a_cd_image_is_told_as_blkid_tells_it(tmp_path):
    needs("genisoimage", "blkid")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "file").write_text("x")
    path = str(tmp_path / "cd.iso")
    run("genisoimage", "-quiet", "-V", "INSTALL CD", "-o", path, tmp_path / "in")
    found, other = identified(path)["signature"], blkid(path)
    assert (found["type"], found["uuid"], found["label"]) == (other["TYPE"], other["UUID"], "INSTALL CD")


def test_old_inodes_and_versions_are_told(tmp_path):
    assert identified(made("ext3", tmp_path))["signature"]["inode_size"] == 128
    old = identified(made("ext2-old", tmp_path))["signature"]
    assert (old["version"], old["inode_size"], old["type"]) == ("rev 0", 128, "ext2")
    assert identified(made("xfs4", tmp_path))["signature"]["version"] == "v4"
    assert identified(made("xfs", tmp_path))["signature"]["version"] == "v5"


def ext_says(path):
    return "needs_recovery" in run("dumpe2fs", "-h", path)


def xfs_says(path):
    return re.search(r"state: <(\w+)>", run("xfs_logprint", "-t", path, check=False)).group(1) == "DIRTY"


def btrfs_says(path):
    return re.search(r"^log_root\s+(\d+)", run("btrfs", "inspect-internal", "dump-super", path), re.M).group(1) != "0"


@pytest.mark.parametrize(
    ("name", "says", "program"),
    [("ext3", ext_says, "dumpe2fs"), ("ext4", ext_says, "dumpe2fs"), ("xfs", xfs_says, "xfs_logprint"), ("btrfs", btrfs_says, "btrfs")],
)
def test_a_journal_is_dirty_after_a_crash_and_clean_after_an_unmount(name, says, program, tmp_path):
    needs(program, "losetup", root=True)
    path = made(name, tmp_path)
    broken = crashed(path, tmp_path / "mnt", tmp_path / "crashed.img")
    assert says(broken) is True
    assert identified(broken)["signature"]["journal"] == "dirty"
    assert says(path) is False
    assert identified(path)["signature"]["journal"] == "clean"


def test_the_log_of_an_xfs_is_told_wherever_its_head_is(tmp_path):
    """A small log goes round while it is written to; each time the answer is that of xfs_logprint."""
    needs("mkfs.xfs", "xfs_logprint", "losetup", root=True)
    path, heads = blank(tmp_path / "xfs.img", 320 * MB), []
    run("mkfs.xfs", "-q", "-f", "--unsupported", "-l", "size=8m", path)
    for turn in range(9):
        with mounted(path, tmp_path / "mnt") as root:
            for number in range(120 + 60 * turn):
                os.makedirs("%s/%d/%d" % (root, turn, number))
                fd = os.open("%s/%d/%d/f" % (root, turn, number), os.O_CREAT | os.O_WRONLY)
                os.fsync(fd)
                os.close(fd)
            broken = copy(path, tmp_path / "now.img")
        for image, state in ((broken, "dirty"), (path, "clean")):
            assert identified(image)["signature"]["journal"] == state
            assert xfs_says(image) is (state == "dirty")
        heads.append(int(re.search(r"head: (\d+)", run("xfs_logprint", "-t", path)).group(1)))
    assert heads != sorted(heads), "the log never went round: %s" % heads


def test_a_log_that_does_not_end_with_an_unmount_is_dirty(tmp_path):
    """A last record of one operation, as unmounting writes it, that is another one."""
    path = made("xfs", tmp_path)
    with open(path, "rb") as handle:
        data = handle.read()
    at = data.index(b"\xfe\xed\xba\xbe") + 512
    assert data[at + 9] == 0x20 and identified(path)["signature"]["journal"] == "clean"
    write(path, at + 9, b"\x02")
    assert identified(path)["signature"]["journal"] == "dirty"


def test_ext_and_dumpe2fs(tmp_path):
    # a short name: the kernel writes down where it was mounted only when that is below 64 bytes
    needs("dumpe2fs", "losetup", root=True)
    path = made("ext4", tmp_path)
    for _turn in range(3):
        with mounted(path, tmp_path / "mnt") as root, open(root + "/file", "w") as handle:
            handle.write("x")
    found = identified(path)["signature"]
    told = dict(re.findall(r"^([\w #]+?):\s+(.*)$", run("dumpe2fs", "-h", path), re.M))
    assert found["last_mounted"] == told["Last mounted on"] == str(tmp_path / "mnt")
    assert (found["mount_count"], found["inode_size"], found["block_size"]) == tuple(int(told[k]) for k in ("Mount count", "Inode size", "Block size"))
    assert found["mount_count"] == 3 and found["uuid"] == told["Filesystem UUID"] and found["bytes"] == int(told["Block count"]) * found["block_size"]
    assert set(found["features"]) == set(told["Filesystem features"].split())
    moment = datetime.datetime.strptime(told["Last mount time"], "%a %b %d %H:%M:%S %Y").astimezone(datetime.timezone.utc)
    assert found["last_mount"] == moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def test_an_unmounted_ext2_of_a_crashed_server_is_told(tmp_path):
    needs("mkfs.ext2", "losetup", root=True)
    path = made("ext2", tmp_path)
    with mounted(path, tmp_path / "mnt"):
        run("sync")
        broken = copy(path, tmp_path / "crashed.img")
    found = identified(broken)["signature"]
    assert (found["journal"], found["clean"]) == ("none", False)
    assert identified(path)["signature"]["clean"] is True


def test_the_volume_name_and_version_of_an_ntfs(tmp_path):
    needs("mkfs.ntfs", "ntfsinfo")
    path = blank(tmp_path / "ntfs.img", 16 * MB)
    run("mkfs.ntfs", "-q", "-F", "-Q", "-L", "Büro", path, locale="C.UTF-8")
    found = identified(path)["signature"]
    told = run("ntfsinfo", "-m", path)
    assert found["version"] == re.search(r"Volume Version: (\S+)", told).group(1)
    assert found["label"] == "Büro"


def test_a_hibernated_swap_is_told(tmp_path):
    path = made("swap", tmp_path)
    assert identified(path)["signature"]["hibernated"] is False
    write(path, 4086, b"S1SUSPEND\0")
    found = identified(path)["signature"]
    assert (found["type"], found["hibernated"]) == ("swap", True)
    assert blkid(path)["TYPE"] == "swsuspend"


def test_swap_of_another_page_size(tmp_path):
    needs("mkswap")
    path = blank(tmp_path / "swap", 8 * MB)
    run("mkswap", "-q", "-p", "65536", path)
    assert identified(path)["signature"]["block_size"] == 65536


@pytest.mark.parametrize("version", [1, 2])
def test_luks_is_told_as_cryptsetup_tells_it(version, tmp_path):
    needs("cryptsetup")
    path, key = blank(tmp_path / "luks.img", 32 * MB), tmp_path / "key"
    key.write_bytes(b"a passphrase of the test")
    quick = ["--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000"]
    run("cryptsetup", "-q", "luksFormat", "--type", "luks%d" % version, *quick, path, key)
    found = identified(path)
    assert found["luks"]["version"] == version
    assert found["luks"]["uuid"] == run("cryptsetup", "luksUUID", path).strip()
    told = run("cryptsetup", "luksDump", path)
    if version == 1:
        assert found["luks"]["data_offset"] == int(re.search(r"Payload offset:\s*(\d+)", told).group(1)) * 512
    else:
        assert found["luks"]["data_offset"] == int(re.search(r"offset: (\d+) \[bytes\]", told).group(1))
        write(path, 0, b"\0" * 4096)
        again = identified(path)["luks"]
        assert again["backup_header"] is True and again["uuid"] == found["luks"]["uuid"]


def test_a_left_over_signature_is_said(tmp_path):
    path = made("ext4", tmp_path)
    write(path, 4086, b"SWAPSPACE2")
    found = identified(path)["signature"]
    assert (found["type"], found["also"]) == ("ext4", ["swap"])


def test_bytes_by_chance_are_no_filesystem(tmp_path):
    path = blank(tmp_path / "noise", 4 * MB)
    write(path, 0, random.Random(5).randbytes(4 * MB))
    assert identified(path) == {}
    write(path, 1024 + 56, b"\x53\xef")
    assert identified(path) == {}


@pytest.mark.parametrize("name", ["ext3", "xfs", "btrfs", "ntfs", "swap", "vfat", "reiserfs", "jfs"])
def test_no_damage_of_a_superblock_raises(name, tmp_path):
    path = made(name, tmp_path)
    draw = random.Random(name)
    place = {"ext3": 1024, "btrfs": 65536, "reiserfs": 65536, "jfs": 32768}.get(name, 0)
    with open(path, "rb") as handle:
        handle.seek(place)
        whole = handle.read(4096)
    for _turn in range(60):
        data = bytearray(whole)
        for _byte in range(draw.choice((1, 4, 40))):
            data[draw.randrange(12, 700)] = draw.choice((0, 255, draw.randrange(256)))
        write(path, place, bytes(data))
        _probe.identify(device(path), _probe.Damage())
    for short in (0, 100, 511, 1500, 70000):
        os.truncate(path, short)
        assert "signature" not in _probe.identify(device(path), _probe.Damage()) or short == 70000


def test_a_bad_sector_hides_nothing_but_itself(tmp_path):
    path = made("ext4", tmp_path)
    reader, damage = device(path), _probe.Damage()
    whole = reader.system.blocks

    def blocks(name, offset, size):
        if offset < 69632 and offset + size > 65536:
            raise OSError(errno.EIO, "Input/output error")
        return whole(name, offset, size)

    reader.system.blocks = blocks
    assert _probe.identify(reader, damage)["signature"]["type"] == "ext4"
    assert damage.places == {65536: "Input/output error"}


def test_reading_pages_of_swap_never_passes_the_end(tmp_path):
    assert _others.swap(device(blank(tmp_path / "tiny", 4090))) is None
