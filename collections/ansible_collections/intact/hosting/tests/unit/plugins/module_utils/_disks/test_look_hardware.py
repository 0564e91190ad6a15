# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks as hardware: serials, health, read errors, what mainboards leave, what this kernel can't read."""

from __future__ import annotations

import os
import signal
import subprocess
import time

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._disks import _kernel, _look, _smart, _token
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.tests.unit.plugins.fake_system import FakeSystem
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._disks.look_disk import TABLE, fixture_disk, ids, look
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._disks.look_images import (
    PATH,
    blank,
    blkid,
    loop,
    needs,
    run,
    write,
)
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._disks.test_tables_and_volumes import partitioned

MB = 1 << 20
disk = fixture_disk


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
        with loop(view / "nbd", "-r") as name:
            [seen] = [f for f in look(name)["findings"] if f["id"] == "disks.unreadable"]
            assert seen["severity"] == "warning" and "overlay" in seen["remedy"]
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
