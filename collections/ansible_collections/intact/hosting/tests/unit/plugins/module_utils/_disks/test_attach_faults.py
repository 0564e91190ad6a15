# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Attaching when things go wrong: killed between any two steps, the overlay full, the disk gone, another disk, a disk in use."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._disks import _block
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._disks import attach_lab
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._disks.attach_lab import MIB, digest, run

pytestmark = attach_lab.needs()
lab = attach_lab.lab


def killed_at(lab, device, token, what, count):
    """Run present or absent in a process that SIGKILLs itself at its count-th step. The steps that it came through, whether it was killed."""
    out, into = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            done = []

            def step(name):
                done.append(name)
                os.write(into, name.encode() + b"\n")
                if len(done) == count:
                    os.kill(os.getpid(), signal.SIGKILL)

            getattr(lab.attachment(device, step=step, token=token, prove=True), what)()
        finally:
            os._exit(3)
    os.close(into)
    status = os.waitpid(pid, 0)[1]
    with os.fdopen(out, "rb") as handle:
        steps = handle.read().decode().split("\n")[:-1]
    return steps, os.WIFSIGNALED(status)


def root(place):
    """A little old root with an fstab."""
    for name in ("etc", "usr", "home"):
        (place / name).mkdir()
    (place / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    (place / "etc/fstab").write_text("/dev/hda1 / ext3 defaults 1 1\n/dev/hda2 /home ext3 defaults 1 2\n/dev/hda3 swap swap defaults 0 0\n")


@pytest.fixture
def disk(lab):
    """(image, device, token, files) of an old disk: a dirty root and a dirty /home."""
    first, files = lab.image("ext3", name="root.img", fill=root, size=8)
    second, _files = lab.image("ext3", name="home.img", size=8)
    image = lab.partitioned("disk.img", first, second)
    device = lab.loop(image)
    return image, device, lab.token(device), files


def test_killed_between_any_two_steps_absent_leaves_nothing_and_present_repairs(lab, disk):
    image, device, token, files = disk
    before, count, seen = digest(image), 0, []
    while True:
        count += 1
        steps, killed = killed_at(lab, device, token, "present", count)
        if not killed:
            break
        seen.append(steps[-1])
        lab.attachment(device, token=token, prove=True).absent()
        assert lab.left() == [], steps
        assert run("blockdev", "--getro", device).strip() == "0", steps
        # The same once more, and this time present itself makes it whole.
        steps, _killed = killed_at(lab, device, token, "present", count)
        told = lab.attachment(device, token=token, prove=True).present()
        assert [m["target"] for m in told["mounts"]] == [str(lab.old), str(lab.old / "home")], steps
        lab.seen(told["root"], files)
        lab.seen(told["mounts"][1]["target"], files)
        gone = lab.attachment(device, token=token, prove=True).absent()
        assert gone["sha256"] == {"before": before, "after": before}, steps
        assert lab.left() == [], steps
    assert {"recorded", "read-only", "overlay", "replayed part1", "replayed part2", "mounted %s" % lab.old, "attached"} <= set(seen)
    lab.attachment(device, token=token).absent()
    assert digest(image) == before and lab.left() == []


def test_killed_while_detaching_the_next_run_ends_it(lab, disk):
    image, device, token, _files = disk
    before, count = digest(image), 0
    while True:
        count += 1
        lab.attachment(device, token=token, prove=True).present()
        steps, killed = killed_at(lab, device, token, "absent", count)
        if not killed:
            break
        lab.attachment(device, token=token, prove=True).absent()
        assert lab.left() == [] and run("blockdev", "--getro", device).strip() == "0", steps
    assert count > 5 and digest(image) == before and lab.left() == []


def test_killed_while_the_filesystem_is_checked(lab, disk, monkeypatch):
    _image, device, token, files = disk
    (lab.directory / "bin").mkdir()
    checker = lab.directory / "bin/e2fsck"
    checker.write_text('#!/bin/sh\nfor last; do :; done\nexec 3<"$last"\nexec sleep 300\n')
    checker.chmod(0o755)
    path = os.environ["PATH"]
    monkeypatch.setenv("PATH", "%s:%s" % (lab.directory / "bin", path))
    pid = os.fork()
    if not pid:
        try:
            lab.attachment(device, token=token).present()
        finally:
            os._exit(3)
    for _turn in range(200):
        if "sleep 300" in run("ps", "-ww", "-eo", "args", "--ppid", pid):
            break
        time.sleep(0.05)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    monkeypatch.setenv("PATH", path)
    lab.attachment(device, token=token).absent()
    assert lab.left() == []
    lab.seen(lab.attachment(device, token=token).present()["root"], files)
    lab.attachment(device, token=token).absent()


def test_the_overlays_program_dies_and_present_repairs(lab, disk):
    _image, device, token, files = disk
    lab.attachment(device, token=token).present()
    pid = next(int(line.split()[0]) for line in run("ps", "-ww", "-eo", "pid,args").splitlines() if "qemu-storage" in line and str(lab.ov) in line)
    os.kill(pid, signal.SIGKILL)
    told = lab.attachment(device, token=token).present()
    assert told["changed"]
    lab.seen(told["root"], files)
    lab.attachment(device, token=token).absent()
    assert lab.left() == []


def test_after_a_power_cut_absent_and_present_start_from_what_is_there(lab, disk):
    _image, device, token, files = disk
    lab.attachment(device, token=token).present()
    kept = Path(lab.attachment(device, token=token).state.path).read_bytes()
    lab.attachment(device, token=token).absent()
    # What a reboot leaves: the directory and a state that says attached.
    state = lab.attachment(device, token=token).state
    state.make()
    Path(state.path).write_bytes(kept)
    told = lab.attachment(device, token=token).present()
    assert told["changed"]
    lab.seen(told["root"], files)
    Path(state.path).write_bytes(b"{torn")
    assert lab.attachment(device, token=token).absent()["changed"]
    assert lab.left() == []


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs"])
def test_a_full_overlay_is_an_error_and_leaves_nothing(lab, kind):
    image, _files = lab.image(kind, fill=lambda place: [(place / ("d%d" % n)).mkdir() for n in range(2000)])
    before, device = digest(image), lab.loop(image)
    with pytest.raises(IntactError, match=r"overlay of 1\.0 MiB is full.*overlay_size"):
        lab.attachment(device, overlay_size=MIB).present()
    assert lab.left() == [] and digest(image) == before and run("blockdev", "--getro", device).strip() == "0"
    assert lab.attachment(device).present()["changed"]
    lab.attachment(device).absent()


def test_no_room_for_the_overlay_is_refused_before_anything_is_done(lab):
    image, _files = lab.image("ext4")
    device = lab.loop(image)
    with pytest.raises(IntactError, match="free"):
        lab.attachment(device, overlay_size=1 << 50).present()
    with pytest.raises(IntactError, match="at least"):
        lab.attachment(device, overlay_size=4096).present()
    assert lab.left() == []


def test_a_disk_that_goes_away_while_it_is_attached(lab, disk):
    image, device, token, _files = disk
    lab.attachment(device, token=token).present()
    os.truncate(image, 0)
    with pytest.raises(IntactError, match="does not answer"):
        lab.attachment(device, token=token).present()
    gone = lab.attachment(device, token=token, prove=True).absent()
    assert gone["changed"] and [f["id"] for f in gone["findings"]] == ["legacy.disk.gone"]
    assert lab.left() == []


@pytest.mark.parametrize("where", ["read-only", "overlay", "replayed part1", "looked part1"])
def test_a_disk_that_goes_away_in_the_middle(lab, disk, where):
    image, device, token, _files = disk

    def step(name):
        if name == where:
            os.truncate(image, 0)

    with pytest.raises(IntactError) as caught:
        lab.attachment(device, token=token, step=step).present()
    assert device in str(caught.value) and "does not answer" in str(caught.value)
    assert lab.left() == []


def test_another_disk_is_refused_and_named(lab, disk):
    _image, device, token, _files = disk
    with pytest.raises(IntactError, match="expected serial WD-1234, seen no-serial") as caught:
        lab.attachment(device, token="WD-1234/" + token.rsplit("/", 1)[1]).present()
    assert device in str(caught.value)
    with pytest.raises(IntactError, match="another partition table"):
        lab.attachment(device, token="no-serial/0123456789abcdef").present()
    with pytest.raises(IntactError, match="no token"):
        lab.attachment(device, token="yes").absent()
    with pytest.raises(IntactError, match="expected serial"):
        lab.attachment(device, token="WD-1234/" + token.rsplit("/", 1)[1]).absent()
    assert lab.left() == [] and run("blockdev", "--getro", device).strip() == "0"


def test_the_disk_is_swapped_while_attached(lab, disk):
    image, device, token, _files = disk
    lab.attachment(device, token=token).present()
    # The same device name, with another table: what a hot-swapped slot looks like.
    content = image.read_bytes()[:512]
    with open(image, "r+b") as handle:
        handle.write(content[:440] + b"swap" + content[444:])
    run("blockdev", "--flushbufs", device)
    with pytest.raises(IntactError, match="another partition table"):
        lab.attachment(device, token=token).present()
    gone = lab.attachment(device, token=token).absent()
    assert [f["id"] for f in gone["findings"]] == ["legacy.disk.another"] and lab.left() == []
    # The other disk is not ours to switch.
    assert _block.read_only(device)


def test_a_write_in_between_is_a_blocker(lab, disk):
    image, device, token, _files = disk
    lab.attachment(device, token=token, prove=True).present()
    with open(image, "r+b") as handle:
        handle.seek(12 * MIB)
        handle.write(b"intruder")
    gone = lab.attachment(device, token=token, prove=True).absent()
    assert [(f["id"], f["severity"]) for f in gone["findings"]] == [("legacy.disk.changed", "blocker")]
    assert gone["sha256"]["before"] != gone["sha256"]["after"] and lab.left() == []


def test_a_disk_in_use_is_refused_and_its_user_named(lab):
    image, _files = lab.image("ext4", dirty=False)
    device = lab.loop(image)
    token = lab.token(device)
    for options in (("rw",), ("ro",)):
        place = lab.mount(device, *options)
        with pytest.raises(IntactError, match="in use: .*mounted at %s" % place):
            lab.attachment(device, token=token).present()
        lab.unmount(place)
    above = lab.loop(device)
    with pytest.raises(IntactError, match="written through %s" % above):
        lab.attachment(device, token=token).present()
    lab.unloop(above)
    assert lab.left() == [] and not _block.read_only(device)
    lab.attachment(device, token=token).present()
    lab.attachment(device, token=token).absent()


def test_who_sits_in_a_mount_is_named_and_nothing_is_torn_away(lab, disk):
    _image, device, token, _files = disk
    told = lab.attachment(device, token=token).present()
    held = os.open(told["root"], os.O_RDONLY)
    try:
        with pytest.raises(IntactError, match=r"used by .*\(%d\)" % os.getpid()):
            lab.attachment(device, token=token).absent()
    finally:
        os.close(held)
    lab.attachment(device, token=token).absent()
    assert lab.left() == []


def test_two_runs_at_a_time_are_one_too_many(lab, disk):
    _image, device, token, _files = disk
    first = lab.attachment(device, token=token)
    first.state.lock()
    with pytest.raises(IntactError, match="another run"):
        lab.attachment(device, token=token).present()
    first.state.unlock()


def test_check_mode_tells_and_does_nothing(lab, disk):
    image, device, token, _files = disk
    before = digest(image)
    told = lab.attachment(device, token=token).present(check_mode=True)
    assert told["changed"] and {m["name"] for m in told["mounts"]} == {"part1", "part2"}
    assert lab.left() == [] and not _block.read_only(device) and digest(image) == before
    lab.attachment(device, token=token).present()
    assert not lab.attachment(device, token=token).present(check_mode=True)["changed"]
    assert lab.attachment(device, token=token).absent(check_mode=True)["changed"]
    assert os.path.ismount(lab.old)
    lab.attachment(device, token=token).absent()
    assert not lab.attachment(device, token=token).absent(check_mode=True)["changed"]


def test_a_copy_with_the_same_token_is_not_taken_for_the_disk(lab, disk):
    image, device, token, _files = disk
    run("cp", "--sparse=always", image, lab.directory / "copy.img")
    copy = lab.loop(lab.directory / "copy.img")
    assert lab.token(copy) == token
    lab.attachment(device, token=token).present()
    for what in ("present", "absent"):
        with pytest.raises(IntactError, match="same token, and %s is attached" % device):
            getattr(lab.attachment(copy, token=token), what)()
    assert os.path.ismount(lab.old) and not _block.read_only(copy)
    lab.attachment(device, token=token).absent()
    lab.attachment(copy, token=token).present()
    lab.attachment(copy, token=token).absent()
    assert lab.left() == []


def test_a_path_through_a_link_is_the_one_that_the_kernel_names(lab, disk):
    _image, device, token, files = disk
    (lab.directory / "link").symlink_to("private")
    for _turn in (True, False):
        told = lab.attachment(device, token=token, path=str(lab.directory / "link/old")).present()
        assert told["changed"] is _turn and told["root"] == str(lab.old)
    lab.seen(told["root"], files)
    lab.attachment(device, token=token, path=str(lab.directory / "link/old")).absent()
    assert lab.left() == []


def test_nothing_is_hidden_by_a_mount(lab, disk):
    _image, device, token, _files = disk
    lab.old.mkdir()
    (lab.old / "mine").write_text("kept")
    with pytest.raises(IntactError, match="not empty or in use"):
        lab.attachment(device, token=token).present()
    assert lab.left() == [] and (lab.old / "mine").read_text() == "kept"


@pytest.mark.parametrize("mode", ["replay", "raw"])
def test_an_image_is_as_good_as_a_disk(lab, disk, mode):
    image, device, _token, files = disk
    lab.unloop(device)
    before, token = digest(image), lab.token(str(image))
    told = lab.attachment(str(image), token=token, mode=mode, prove=True).present()
    assert [m["target"] for m in told["mounts"]] == [str(lab.old), str(lab.old / "home")] and told["sha256"]["before"] == before
    if mode == "replay":
        lab.seen(lab.old, files)
    assert not lab.attachment(str(image), token=token, mode=mode, prove=True).present()["changed"]
    assert lab.attachment(str(image), token=token, prove=True).absent()["sha256"] == {"before": before, "after": before}
    assert digest(image) == before and lab.left() == []
    writer = lab.loop(image)
    with pytest.raises(IntactError, match="written through %s" % writer):
        lab.attachment(str(image), token=token).present()
