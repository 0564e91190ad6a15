# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""/boot kept, given the entry that goes back, and put back; cut wherever something is written."""

from __future__ import annotations

import os
import shutil

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._rollback import _boot, _grub
from ansible_collections.intact.hosting.plugins.module_utils._rollback._place import Place
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._rollback.test_entry import KERNEL, SEPARATE

FACTS = {"name": "intact-f-1", "flight": "f-1", "kernel": KERNEL, "vg": "vg0", "volumes": [{"snapshot": "intact-f-1-root"}]}


class Cut(Exception):
    """The power goes."""


@pytest.fixture
def host(tmp_path):
    """A /boot before the flight; upgraded() makes of it what an upgrade leaves."""
    boot = tmp_path / "root/boot"
    (boot / "grub/i386-pc").mkdir(parents=True)
    (boot / ("vmlinuz-" + KERNEL)).write_text("old kernel")
    (boot / ("initrd.img-" + KERNEL)).write_text("old initrd")
    (boot / "grub/grub.cfg").write_text(SEPARATE)
    (boot / "grub/i386-pc/normal.mod").write_text("2.06")
    (boot / "grub/grubenv").write_text("env")
    os.symlink("vmlinuz-" + KERNEL, boot / "vmlinuz")
    os.chmod(boot / "grub/grubenv", 0o600)
    (tmp_path / "kept").mkdir()

    class Host:
        place = Place(root=str(tmp_path / "root"), work=str(tmp_path / "work"))
        kept = str(tmp_path / "kept")
        directory = boot

        @staticmethod
        def upgraded():
            (boot / "vmlinuz-6.12.0").write_text("new kernel")
            (boot / ("initrd.img-" + KERNEL)).write_text("an initrd that the new system made for the old kernel")
            (boot / "grub/grub.cfg").write_text("new menu")
            (boot / "grub/i386-pc/normal.mod").write_text("2.12")
            (boot / "grub/new").mkdir()
            (boot / "grub/new/font").write_text("new")
            (boot / "vmlinuz").unlink()

    return Host


def state(boot):
    return {name: {k: v for k, v in entry.items() if k != "mtime_ns"} for name, entry in _boot.look(str(boot)).items()}


def test_boot_is_put_back_as_it_was(host):
    before = state(host.directory)
    assert _boot.keep(host.place, host.kept) == sum(e.get("size", 0) for e in before.values())
    host.upgraded()
    _boot.provide(host.place, host.kept, FACTS)
    # What boots now is untouched.
    assert (host.directory / "grub/grub.cfg").read_text() == "new menu" and not _boot.switched(host.place)
    own = host.directory / "intact-f-1"
    assert (own / "vmlinuz").read_text() == "old kernel" and (own / "initrd.img").read_text() == "old initrd"
    # The same kernel takes no room twice.
    assert (own / "vmlinuz").stat().st_ino == (host.directory / ("vmlinuz-" + KERNEL)).stat().st_ino
    assert b"scripts/intact" in (own / "back.img").read_bytes()
    _boot.switch(host.place, host.kept, FACTS)
    assert _boot.switched(host.place) and (own / "grub.cfg.upgraded").read_text() == "new menu"
    text = (host.directory / "grub/grub.cfg").read_text()
    _boot.switch(host.place, host.kept, FACTS)
    assert (host.directory / "grub/grub.cfg").read_text() == text and (own / "grub.cfg.upgraded").read_text() == "new menu"
    said = _boot.put_back(host.place, host.kept, FACTS, [])
    assert said == ["/boot is as it was kept (3 new files taken away)"]
    assert state(host.directory) == before and not _boot.switched(host.place)


def test_a_cut_anywhere_leaves_what_boots_whole(host, tmp_path, monkeypatch):
    """Each rename is the last one once: grub.cfg is the new one, the one that goes back, or the old one, and its files are there; going on ends well."""
    before = state(host.directory)
    _boot.keep(host.place, host.kept)
    host.upgraded()
    shutil.copytree(tmp_path / "root", tmp_path / "upgraded", symlinks=True)
    rename, cuts = os.rename, 0

    def go():
        if not _boot.switched(host.place):
            _boot.provide(host.place, host.kept, FACTS)
            _boot.switch(host.place, host.kept, FACTS)
        _boot.put_back(host.place, host.kept, FACTS, [])

    for number in range(100):
        shutil.rmtree(tmp_path / "root")
        shutil.copytree(tmp_path / "upgraded", tmp_path / "root", symlinks=True)
        left = [number]

        def cut(one, other, left=left):  # pylint: disable=dangerous-default-value  # its own in each round
            if not left[0]:
                raise Cut
            left[0] -= 1
            rename(one, other)

        monkeypatch.setattr(os, "rename", cut)
        try:
            go()
            break
        except Cut:
            cuts += 1
        finally:
            monkeypatch.setattr(os, "rename", rename)
        text = (host.directory / "grub/grub.cfg").read_text()
        assert text in ("new menu", SEPARATE) or text.startswith("# Written by Intact")
        if text.startswith("# Written by Intact"):
            files = [(host.directory / "intact-f-1" / name).read_bytes() for name in ("vmlinuz", "initrd.img", "back.img")]
            assert files[:2] == [b"old kernel", b"old initrd"] and files[2]
        go()
        assert state(host.directory) == before
    assert cuts > 6 and state(host.directory) == before


def test_a_copy_that_rotted_is_not_gone_back_to(host):
    _boot.keep(host.place, host.kept)
    host.upgraded()
    with open(os.path.join(host.kept, "boot", "vmlinuz-" + KERNEL), "w") as handle:
        handle.write("rotten")
    with pytest.raises(IntactError, match="is not what was kept"):
        _boot.provide(host.place, host.kept, FACTS)
    with pytest.raises(IntactError, match="/boot stays as it is"):
        _boot.put_back(host.place, host.kept, FACTS, [])
    assert (host.directory / "grub/grub.cfg").read_text() == "new menu"


def test_no_room_is_told_before_anything_is_written(host, monkeypatch):
    _boot.keep(host.place, host.kept)
    host.upgraded()
    monkeypatch.setattr(_boot, "ROOM", 1 << 60)
    with pytest.raises(IntactError, match="no room for the old kernel"):
        _boot.provide(host.place, host.kept, FACTS)
    assert not os.listdir(host.directory / "intact-f-1")


def test_what_is_grubs_on_a_disk(tmp_path):
    """A digest over boot code and gap, or over boot code and BIOS boot partition; the table of partitions is no part of it."""
    image = tmp_path / "disk"
    data = bytearray(4 << 20)
    data[384:388] = b"GRUB"
    data[0x100000:0x100004] = b"core"
    image.write_bytes(data)
    mbr = {"name": str(image), "type": "disk", "children": [{"type": "part", "start": 2048, "size": 1 << 20, "parttype": "0x83"}]}
    gpt = {"name": str(image), "type": "disk", "children": [{"type": "part", "start": 2048, "size": 1 << 20, "parttype": _grub.BIOS_BOOT}]}
    seen = _grub._digest(mbr), _grub._digest(gpt)
    data[446:450] = b"part"
    image.write_bytes(data)
    assert (_grub._digest(mbr), _grub._digest(gpt)) == seen
    data[1024:1028] = b"gap!"
    image.write_bytes(data)
    assert _grub._digest(mbr) != seen[0] and _grub._digest(gpt) == seen[1]
    data[0x100000:0x100004] = b"CORE"
    image.write_bytes(data)
    assert _grub._digest(gpt) != seen[1]
    data[384:388] = b"LILO"
    image.write_bytes(data)
    assert _grub._digest(mbr) == ""
