# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Images of disks with real read errors, by real ddrescue: what is damaged is named, a killed run goes on, nothing is written to the disk."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._disks import _advice, _block, _damage, _identified, _image, _look, _mapfile
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._system import System
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._disks import attach_lab, test_look_hardware
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._disks.attach_lab import MIB, digest, run

real = attach_lab.needs("ddrescue", "debugfs", "nbdkit", "nbdfuse", "losetup", "sfdisk", "mkfs.ext4", "e2fsck")
lab = attach_lab.lab
READ = "dd if=%s iflag=skip_bytes,count_bytes skip=$4 count=$3 bs=64K status=none"


class Bad:
    """A loop device over a FUSE file whose given ranges fail to be read, from the kernel on. It is slow as long as `slow` is there, and tells of writes."""

    def __init__(self, lab, image, ranges):
        self.lab, self.view = lab, lab.directory / ("view-" + image.name)
        self.written, self.slow = lab.directory / "written", lab.directory / "slow"
        self.view.touch()
        tests = "".join("[ $4 -lt %d ] && [ $(($4+$3)) -gt %d ] && { echo EIO bad sector >&2; exit 1; }\n" % (at + size, at) for at, size in ranges)
        script = (
            "case $1 in\nget_size) stat -c %%s %s;;\ncan_write) exit 0;;\npwrite) touch %s; exit 1;;\n"
            "pread) [ -e %s ] && sleep 0.05\n%s%s;;\n*) exit 2;;\nesac\n"
            % (
                image,
                self.written,
                self.slow,
                tests,
                READ % image,
            )
        )
        path = lab.directory / "bad.sh"
        path.write_text("#!/bin/sh\n" + script)
        path.chmod(0o755)
        kit = ["nbdkit", "-s", "--exit-with-parent", "sh", str(path)]
        self.process = subprocess.Popen(["nbdfuse", str(self.view), "--command", *kit], stderr=subprocess.DEVNULL)
        for _turn in range(200):
            if self.view.stat().st_size:
                break
            time.sleep(0.05)
        self.device = lab.loop(self.view)

    def close(self):
        """Take it away."""
        if self.device in self.lab.loops:
            self.lab.unloop(self.device)
        subprocess.run(["fusermount3", "-u", str(self.view)], check=False, capture_output=True)
        self.process.terminate()
        self.process.wait()


@pytest.fixture
def bad(lab):
    """Make Bad devices."""
    made = []

    def make(*arguments, **more):
        made.append(Bad(lab, *arguments, **more))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def disk(lab):
    """(image of a disk with one ext4 partition, byte where the partition begins, {name: first whole page of the file on the disk})."""

    def fill(place):
        for name in ("hurt", "whole", "odd\nname"):
            (place / name).write_bytes(os.urandom(64 * 1024))

    part, _files = lab.image("ext4", name="part.img", dirty=False, fill=fill, size=8)
    places = {}
    with open(part, "rb") as handle:
        content = handle.read()
    living = lab.mount(part, "loop", "ro")
    for name in ("hurt", "whole", "odd\nname"):
        # Of whole pages, as a FUSE file fails in pages.
        places[name] = (MIB + content.index((living / name).read_bytes()[:4096]) + 4095) // 4096 * 4096
    lab.unmount(living)
    return lab.partitioned("disk.img", part), MIB, places


def imaging(lab, device, token, retries=1):
    return _image.Imaging(_image.Settings(device, token, str(lab.directory / "copy.img"), retries))


def free_place(image, start):
    """A byte of a free block, by debugfs."""
    text = run("debugfs", "-R", "ffb 8 4000", "%s?offset=%d" % (image, start))
    number = int(text.split(":")[1].split()[0])
    return start + number * 1024


@real
def test_a_damaged_file_is_named_and_a_whole_one_is_not(lab, bad, disk):
    image, start, places = disk
    before, empty = digest(image), (free_place(image, start) + 4095) // 4096 * 4096
    broken = [(places["hurt"] + 8192, 4096), (places["odd\nname"], 4096), (empty, 4096)]
    source = bad(image, broken)
    device = source.device
    token = lab.token(device)
    told = imaging(lab, device, token).run(check_mode=True)
    assert told["changed"] and not told["finished"] and not (lab.directory / "copy.img").exists()
    told = imaging(lab, device, token).run()
    assert told["changed"] and told["finished"] and told["bytes"] == {"size": os.path.getsize(image), "rescued": os.path.getsize(image) - 12288, "bad": 12288}
    assert {(d["path"], d["bytes"], d["type"]) for d in told["damaged"]} == {("/hurt", 4096, "regular"), ("/odd\\x0aname", 4096, "regular")}
    assert {(f["id"], f["severity"], f["subject"]) for f in told["findings"]} == {
        ("disks.image.damaged", "blocker", "part1:/hurt"),
        ("disks.image.damaged", "blocker", "part1:/odd\\x0aname"),
        ("disks.image.damaged.unused", "info", "part1"),
    }
    # By another route: every byte outside of the bad places is the disk's, those inside are zeros.
    wanted = bytearray(image.read_bytes())
    for at, size in broken:
        wanted[at : at + size] = bytes(size)
    assert (lab.directory / "copy.img").read_bytes() == bytes(wanted)
    assert (lab.directory / "copy.img").stat().st_mode & 0o7777 == 0o400 and digest(image) == before and not _block.read_only(device)
    assert not source.written.exists()
    progress = json.loads((lab.directory / "copy.img.json").read_text())["progress"]
    assert (progress["bad"], progress["areas"], progress["left"]) == (12288, 3, 0)
    # Whole: not made again, also when the disk is gone.
    assert imaging(lab, device, token).run() == dict(told, changed=False)
    assert not imaging(lab, "/dev/no-such", token).run()["changed"]
    with pytest.raises(IntactError, match="image of another disk"):
        imaging(lab, device, "X/0123456789abcdef").run()
    # It is attached with the disk's token, and what is whole is read from it.
    shown = lab.attachment(str(lab.directory / "copy.img"), token=token).present()
    root = shown["mounts"][0]["target"]
    with open(os.path.join(root, "whole"), "rb") as handle:
        assert handle.read()[4096:8192] in bytes(wanted[places["whole"] : places["whole"] + 65536])
    lab.attachment(str(lab.directory / "copy.img"), token=token).absent()


@real
def test_killed_in_the_middle_it_goes_on(lab, bad, disk):
    image, _start, places = disk
    one = bad(image, [(places["hurt"], 4096)])
    assert not _block.read_only(one.device)
    one.slow.touch()
    token = lab.token(one.device)
    pid = os.fork()
    if not pid:
        os.setpgid(0, 0)
        try:
            imaging(lab, one.device, token).run()
        finally:
            os._exit(3)
    copy = lab.directory / "copy.img"
    for _turn in range(200):
        if copy.exists() and copy.stat().st_blocks * 512 > 100 * 1024:
            break
        time.sleep(0.02)
    # The module alone first: its ddrescue is still at work, and a second run keeps out of its way.
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert _block.read_only(one.device)
    with pytest.raises(IntactError, match="ddrescue that it left"):
        imaging(lab, one.device, token).run()
    os.killpg(pid, signal.SIGKILL)
    for _turn in range(100):
        if not any(str(copy) in line and "ddrescue" in line for line in run("ps", "-ww", "-eo", "args").splitlines()):
            break
        time.sleep(0.05)
    one.slow.unlink()
    assert json.loads((lab.directory / "copy.img.json").read_text())["status"] == "running"
    with open(lab.directory / "copy.img.map", "w", encoding="ascii") as handle:
        handle.write("# torn")
    told = imaging(lab, one.device, token).run()
    assert told["finished"] and told["bytes"]["bad"] == 4096 and [d["path"] for d in told["damaged"]] == ["/hurt"]
    # What the disk was before the first run, not what the killed one left.
    assert not _block.read_only(one.device)


def blocks(part, path):
    """The blocks of a file, by debugfs."""
    return [int(word) for word in run("debugfs", "-R", "blocks %s" % path, part).split()]


@real
def test_what_is_no_file_is_told_as_what_it_is(lab):
    def fill(place):
        (place / "dir").mkdir()
        (place / "dir/inside").write_text("x" * 5000)
        os.link(place / "dir/inside", place / "second")

    part, _files = lab.image("ext4", name="part.img", dirty=False, fill=fill, size=8)
    size = int(next(line for line in run("dumpe2fs", "-h", part).splitlines() if line.startswith("Block size")).split()[-1])
    table = int(run("dumpe2fs", part).split("Inode table at ")[1].split("-")[0])
    image = lab.partitioned("disk.img", part)

    def told(*ranges):
        found = _damage.damaged(str(image), os.path.getsize(image), list(ranges))
        return found, {(f.id, f.severity, f.subject) for f in found["findings"]}

    found, said = told((MIB + blocks(part, "/dir")[0] * size, 512))
    assert said == {("disks.image.damaged", "blocker", "part1:/dir")} and found["files"][0]["type"] == "directory"
    # One block, two names, and only a sector of it.
    _found, said = told((MIB + blocks(part, "/dir/inside")[1] * size + 512, 512))
    assert said == {("disks.image.damaged", "blocker", "part1:/dir/inside"), ("disks.image.damaged", "blocker", "part1:/second")}
    assert told((MIB + table * size, size))[1] == {("disks.image.damaged.metadata", "blocker", "part1")}
    assert told((MIB + blocks(part, "<8>")[3] * size, size))[1] == {("disks.image.damaged.journal", "warning", "part1")}
    found, said = told((4096, 4096))
    assert said == {("disks.image.damaged.unused", "info", str(image))} and found["elsewhere"][0]["what"] == "outside"
    # Across the border: the gap before the partition, and its first bytes.
    assert [(e["what"], e["bytes"]) for e in told((MIB - 512, 1024))[0]["elsewhere"]] == [("free" if size == 1024 else "metadata", size), ("outside", 512)]
    with open(image, "r+b") as handle:
        handle.seek(MIB + 1024)
        handle.write(bytes(1024))
    assert told((MIB + table * size, size))[1] == {("disks.image.damaged.unknown", "blocker", "part1")}
    assert not [loop for loop, below in _block.loops().items() if below == str(image)]


@real
def test_refusals(lab, disk):
    image, _start, _places = disk
    device = lab.loop(image)
    token = lab.token(device)
    with pytest.raises(IntactError, match="is another disk"):
        imaging(lab, device, "WD-1/" + token.rsplit("/", 1)[1]).run()
    for path, said in (("/dev/loop0", "no plain file|not root's alone"), ("/tmp/x.img", "not root's alone"), ("a.img", "absolute"), ("/no/x.img", "not there")):
        with pytest.raises(IntactError, match=said):
            _image.Imaging(_image.Settings(device, token, path)).run()
    copy = lab.directory / "copy.img"
    copy.write_bytes(b"mine")
    with pytest.raises(IntactError, match="nothing was overwritten"):
        imaging(lab, device, token).run()
    copy.unlink()
    copy.symlink_to(image)
    with pytest.raises(IntactError, match="no plain file"):
        imaging(lab, device, token).run()
    copy.unlink()
    place = lab.mount(device + "p1" if os.path.exists(device + "p1") else lab.loop(device, "-o", str(MIB)), "ro")
    with pytest.raises(IntactError, match="in use"):
        imaging(lab, device, token).run()
    lab.unmount(place)
    assert not copy.exists()


@real
def test_no_room_is_refused_before_anything_is_made(lab, disk, monkeypatch):
    device = lab.loop(disk[0])
    monkeypatch.setattr(_image, "SPARE", 1 << 50)
    with pytest.raises(IntactError, match="bytes free, and"):
        imaging(lab, device, lab.token(device)).run()
    assert not (lab.directory / "copy.img").exists() and not _block.read_only(device)
    monkeypatch.undo()
    told = imaging(lab, device, lab.token(device)).run()
    assert (told["finished"], told["areas"], told["findings"]) == (True, 0, []) and digest(told["image"]) == digest(disk[0]) and not _block.read_only(device)


@real
def test_an_image_carries_the_serial_of_its_disk_only_when_it_is_written_down_and_whole(lab, disk):
    image, _start, _places = disk
    table = lab.token(str(image)).rsplit("/", 1)[1]
    token, record = "WD-1/" + table, lab.directory / (image.name + ".json")
    document = {"status": "done", "token": token, "size": os.path.getsize(image)}
    for changed in ({"status": "running"}, {"token": "WD-2/" + table}, {"size": 1}):
        record.write_text(json.dumps(dict(document, **changed)))
        with pytest.raises(IntactError, match="expected serial WD-1"):
            _identified.check(str(image), token)
    record.write_text(json.dumps(document))
    _identified.check(str(image), token)
    with pytest.raises(IntactError, match="expected serial WD-1"):
        record.chmod(0o666)
        _identified.check(str(image), token)
    other = "WD-1/0123456789abcdef"
    record.chmod(0o600)
    record.write_text(json.dumps(dict(document, token=other)))
    with pytest.raises(IntactError, match="another partition table"):
        _identified.check(str(image), other)


def test_maps_are_read_and_torn_ones_refused():
    areas = _mapfile.parse("# x\n0x00  ?  1\n0x00 0x10 +\n0x10 0x08 -\n0x18 0x08 /\n")
    assert areas == [(0, 16, "+"), (16, 8, "-"), (24, 8, "/")]
    assert _mapfile.missing(areas, 40) == [(16, 24)] and _mapfile.missing(areas, 32, "-") == [(16, 8)]
    for text in ("", "# x\n", "0x00 ? 1\n", "0 ? 1\n0 16 +\n17 3 -\n", "0 ? 1\n0 16 x\n", "0 ? 1\n0 16\n", "0 ? 1\n0 0 +\n"):
        with pytest.raises(IntactError, match="no whole map"):
            _mapfile.parse(text)


def test_the_rule_for_imaging_first():
    disk = {"size": 320 * 10**9, "rotational": True}
    assert _advice.advise(disk, 2 * 10**6, 10**11)["image_first"]
    assert not _advice.advise(disk, 1000, 10**11)["image_first"]
    # 137500 files x 0.02 s = 220 GB / 80 MB/s: the very point.
    assert not _advice.advise(disk, 137500, 10**11)["image_first"] and _advice.advise(disk, 137501, 10**11)["image_first"]
    assert not _advice.advise(dict(disk, rotational=False), 2 * 10**6, 10**11)["image_first"]
    assert _advice.advise(dict(disk, smart={"verdict": "worn"}), 1, 10**11)["image_first"]
    assert _advice.advise(dict(disk, rotational=False), 1, 0, unreadable=True)["image_first"]


def test_the_look_advises_an_image_of_a_dying_disk():
    content = bytes(MIB)
    told = _look.look(test_look_hardware.hardware(content=content))
    [finding] = [f for f in told["findings"] if f["id"] == "disks.image.first"]
    assert (finding["severity"], finding["subject"]) == ("warning", "/dev/sda") and "failing" in finding["evidence"] and str(MIB) in finding["remedy"]
    healthy = test_look_hardware.hardware(content=content)
    healthy.commands = {"smartctl -j": '{"smart_status": {"passed": true}}'}
    assert not [f for f in _look.look(healthy)["findings"] if f["id"] == "disks.image.first"]


@real
def test_the_number_of_files_comes_from_the_superblock(lab):
    part, _files = lab.image("ext4", dirty=False, size=8)
    told = dict(line.split(":", 1) for line in run("dumpe2fs", "-h", part).splitlines() if ":" in line)
    seen = _look.look(System(), [str(part)], smart=False, describe=False)["devices"][str(part)]["signature"]
    assert seen["files"] == int(told["Inode count"]) - int(told["Free inodes"])
    assert seen["used"] == (int(told["Block count"]) - int(told["Free blocks"])) * int(told["Block size"])
