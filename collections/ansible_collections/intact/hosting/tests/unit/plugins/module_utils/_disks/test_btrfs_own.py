# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A copy of a mounted btrfs gets an fsid of its own: both are mounted, each shows its own files, also those that only the log tree knows."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._disks import _btrfs_own
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError


def run(*argv):
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(params=["crc32c", "sha256", "blake2"])
def live(tmp_path, request):
    """A mounted btrfs with a fsynced file, and its copy as a power cut leaves it."""
    if os.geteuid():
        pytest.skip("mounting needs root")
    if not shutil.which("mkfs.btrfs"):
        pytest.skip("mkfs.btrfs (btrfs-progs) is not installed")
    if "btrfs" not in pathlib.Path("/proc/filesystems").read_text() and subprocess.run(["modprobe", "-q", "btrfs"], check=False).returncode:
        pytest.skip("the kernel has no btrfs")
    image, copy, place = tmp_path / "live.img", tmp_path / "copy.img", tmp_path / "live"
    place.mkdir()
    with image.open("wb") as out:
        out.truncate(160 << 20)
    run("mkfs.btrfs", "-q", "--csum", request.param, str(image))
    loops = [run("losetup", "-f", "--show", str(image))]
    try:
        try:
            run("mount", loops[0], str(place))
        except subprocess.CalledProcessError as exc:
            pytest.skip("the kernel has no %s for btrfs: %s" % (request.param, exc.stderr))
        (place / "which").write_text("copy")
        os.sync()
        with (place / "fsynced").open("w") as out:
            out.write("only the log tree knows")
            out.flush()
            os.fsync(out.fileno())
        run("cp", "--sparse=always", str(image), str(copy))
        (place / "which").write_text("live")
        loops.append(run("losetup", "-f", "--show", str(copy)))
        yield place, loops[1], copy
    finally:
        subprocess.run(["umount", str(tmp_path / "shown")], check=False, capture_output=True)
        subprocess.run(["umount", str(place)], check=False, capture_output=True)
        for loop in loops:
            subprocess.run(["losetup", "-d", loop], check=False)


def test_both_are_shown_side_by_side(live, tmp_path):
    place, loop, _copy = live
    before = run("blkid", "-p", "-s", "UUID", "-o", "value", loop)
    fsid = _btrfs_own.rename(loop)
    assert run("blkid", "-p", "-s", "UUID", "-o", "value", loop) == fsid != before
    assert "metadata_uuid\t\t%s" % before in run("btrfs", "inspect-internal", "dump-super", loop)
    for mirror in ("0", "1"):
        assert "[match]" in run("btrfs", "inspect-internal", "dump-super", "-s", mirror, loop).splitlines()[4]
    shown = tmp_path / "shown"
    shown.mkdir()
    run("mount", "-o", "ro", loop, str(shown))
    assert os.path.isdir("/sys/fs/btrfs/" + fsid) and os.path.isdir("/sys/fs/btrfs/" + before)
    assert (shown / "which").read_text() == "copy"
    assert (shown / "fsynced").read_text() == "only the log tree knows"
    assert (place / "which").read_text() == "live"
    run("umount", str(shown))
    run("btrfs", "check", "--readonly", loop)


def test_a_damaged_superblock_is_left_alone(live):
    _place, loop, copy = live
    with copy.open("r+b") as out:
        out.seek((64 << 10) + 300)
        out.write(b"x")
    run("blockdev", "--flushbufs", loop)
    before = copy.read_bytes()
    with pytest.raises(IntactError, match="checksum"):
        _btrfs_own.rename(loop)
    assert copy.read_bytes() == before


def test_what_is_no_btrfs_is_told():
    with pytest.raises(IntactError, match="no superblock"):
        _btrfs_own.renamed(b"\0" * 4096, b"\1" * 16)
