# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole look at loop devices and images, as a legacy disk beside a live one: nothing is written, copies are told, the token holds."""

from __future__ import annotations

import os
import stat

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._disks import _look, _token
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._system import System
from ansible_collections.intact.hosting.plugins.modules import block_device_info
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._disks.look_disk import copies, fixture_disk, ids, look
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._disks.look_images import (
    blank,
    copy,
    digest,
    loop,
    mounted,
    needs,
    parted,
    run,
)

MB = 1 << 20
disk = fixture_disk


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
        both = look(disk, name)
        assert not any(copies(both, path) for path in both["devices"])
        assert digest(disk) == before


def test_a_device_is_found_by_any_node_of_it(disk, tmp_path):
    with loop(disk) as name:
        node = str(tmp_path / "node")
        os.mknod(node, 0o600 | stat.S_IFBLK, os.stat(name).st_rdev)
        told = look(node)["devices"]
        assert set(told) == {name} | {"%s#%d" % (name, number) for number in (1, 2, 5, 6)}
        scene = _look.Scene(System())
        del scene.devices[name], scene.entries[name]["node_path"]
        assert scene.add(node) == name
        scene.read()
        assert scene.entries[name]["token"] == told[name]["token"]


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


def test_a_copy_is_told_whichever_of_both_was_asked_for(tmp_path):
    needs("mkfs.ext4", "losetup", root=True)
    path = blank(tmp_path / "one", 16 * MB)
    run("mkfs.ext4", "-q", "-F", path)
    with loop(path) as one, loop(copy(path, tmp_path / "two")) as two:
        for asked, other in ((one, two), (two, one)):
            told = [f for f in look(asked)["findings"] if f["id"] == "disks.duplicate"]
            assert [{f["subject"], f["details"]["of"]} for f in told] == [{asked, other}]


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


def test_a_path_that_is_no_device_is_refused(tmp_path):
    for path in (tmp_path, tmp_path / "none", "/dev/null"):
        with pytest.raises(IntactError, match="name a disk"):
            look(path)


def test_the_module_tells_the_same_in_check_mode(disk, call_module):
    before = digest(disk)
    first, second = (call_module(block_device_info.main, paths=[disk], smart=False, check=check) for check in (False, True))
    assert first == second and first["changed"] is False
    assert first["devices"][disk]["token"] and first["roots"][0]["distribution"]["id"] == "centos"
    assert digest(disk) == before
    told = call_module(block_device_info.main, paths=[disk + "-none"])
    assert told["failed"] and "name a disk" in told["msg"]
