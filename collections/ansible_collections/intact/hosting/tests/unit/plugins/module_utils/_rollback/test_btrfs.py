# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The driver btrfs on a real one."""

from __future__ import annotations

import os

import pytest

from ansible_collections.intact.hosting.plugins.module_utils import _command
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._rollback import btrfs
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._rollback.rollback_disk import do

SETTINGS = {"cmdline": "root=UUID=x ro rootflags=subvol=@rootfs quiet"}
BY_DEFAULT = {"cmdline": "root=UUID=x ro quiet", "boot_follows_default": True}


def ids(findings):
    return {(f.id, f.severity, f.subject) for f in findings}


def upgrade(disk):
    (disk.root / "etc/os-release").write_text("VERSION_CODENAME=new\n")
    (disk.root / "home/new").write_text("written later")


def release(disk):
    return (disk.root / "etc/os-release").read_text().strip().partition("=")[2]


def test_there_and_back_by_name(disk):
    place = disk.place()
    facts = btrfs.decide(place, "f-1", SETTINGS)
    assert (facts["name"], facts["mode"], facts["subvolume"]) == ("intact-f-1", "exchange", "@rootfs")
    btrfs.take(place, facts)
    upgrade(disk)
    assert btrfs.state(place, facts)["whole"]
    with btrfs.opened(place, facts) as tree:
        assert (disk.folder / tree / "etc/os-release").read_text() == "VERSION_CODENAME=old\n"
        with open(os.path.join(tree, "etc/told"), "w", encoding="ascii") as handle:
            handle.write("told")
    btrfs.boot_back(place, facts)
    btrfs.boot_back(place, facts)
    disk.boot()
    assert release(disk) == "old" and (disk.root / "etc/told").read_text() == "told" and not (disk.root / "home/new").exists()
    assert btrfs.state(place, facts)["back"]
    assert "kept as subvolume intact-f-1" in btrfs.settle(place, facts)[0][-1]
    assert "removed" in btrfs.drop(place, facts)
    disk.boot()
    assert release(disk) == "old" and btrfs.drop(place, facts) == ""


def test_there_and_back_by_default_subvolume(disk):
    do("btrfs", "subvolume", "set-default", disk.root)
    disk.name_it("defaults")
    disk.by_name = False
    disk.boot()
    place = disk.place()
    facts = btrfs.decide(place, "f-1", BY_DEFAULT)
    assert facts["mode"] == "default"
    btrfs.take(place, facts)
    upgrade(disk)
    btrfs.boot_back(place, facts)
    disk.boot()
    assert release(disk) == "old" and btrfs.state(place, facts)["back"]
    with pytest.raises(IntactError, match="left alone"):
        btrfs.drop(place, facts)


def test_green_flight_drops_the_snapshot_and_nothing_else(disk):
    place = disk.place()
    facts = btrfs.decide(place, "f-1", SETTINGS)
    btrfs.take(place, facts)
    upgrade(disk)
    btrfs.drop(place, facts)
    disk.boot()
    assert release(disk) == "new"
    assert "intact" not in do("btrfs", "subvolume", "list", disk.root)


def test_a_take_that_was_cut_is_made_anew(disk):
    place = disk.place()
    facts = btrfs.decide(place, "f-1", SETTINGS)
    btrfs.take(place, facts)
    disk.cut()
    (disk.root / "home/mail").write_text("arrived while the power was off")
    btrfs.take(place, facts)
    with btrfs.opened(place, facts) as tree:
        assert os.path.exists(os.path.join(tree, "home/mail"))


def test_somebody_elses_subvolume_of_this_name_is_left_alone(disk):
    place = disk.place()
    facts = btrfs.decide(place, "f-1", SETTINGS)
    with btrfs._top(place, facts) as top:
        do("btrfs", "subvolume", "create", os.path.join(top, "intact-f-1"))
        do("touch", os.path.join(top, "intact-f-1", "precious"))
    for act in (btrfs.take, btrfs.drop, btrfs.boot_back):
        with pytest.raises(IntactError):
            act(place, facts)
    assert not btrfs.state(place, facts)["whole"]
    with btrfs._top(place, facts) as top:
        assert os.path.exists(os.path.join(top, "intact-f-1", "precious"))
    disk.boot()
    assert release(disk) == "old"


def test_every_command_of_going_back_may_be_the_last(disk):
    """A cut before each command: what boots is one of the two systems, whole, and starting it again ends at the old one."""
    place = disk.place()
    facts = btrfs.decide(place, "f-1", SETTINGS)
    btrfs.take(place, facts)
    upgrade(disk)

    class Cut(Exception):
        pass

    for number in range(100):
        left = [number]

        def run(argv, left=left, **more):  # pylint: disable=dangerous-default-value  # its own in each round
            if not left[0]:
                raise Cut
            left[0] -= 1
            return _command.run(argv, **more)

        try:
            btrfs.boot_back(disk.place(run), facts)
            break
        except Cut:
            disk.cut()
            assert release(disk) == ("old" if btrfs.state(place, facts)["back"] else "new")
    assert number >= 5
    disk.boot()
    assert release(disk) == "old"


def test_new_modules_go_with_the_core_that_stays(disk):
    grub = disk.root / "boot/grub"
    (grub / "i386-pc").mkdir()
    (grub / "i386-pc/normal.mod").write_text("2.06")
    (grub / "grub.cfg").write_text("old menu")
    place = disk.place()
    facts = btrfs.decide(place, "f-1", SETTINGS)
    btrfs.take(place, facts)
    upgrade(disk)
    (grub / "i386-pc/normal.mod").write_text("2.12")
    (grub / "i386-pc/new.mod").write_text("2.12")
    (grub / "grub.cfg").write_text("new menu")
    with btrfs.opened(place, facts) as tree:
        btrfs.prepare(place, facts, tree)
        btrfs.prepare(place, facts, tree)
    btrfs.boot_back(place, facts)
    disk.boot()
    assert sorted(p.name for p in grub.iterdir()) == ["grub.cfg", "i386-pc"]
    assert (grub / "grub.cfg").read_text() == "old menu"
    assert {p.name: p.read_text() for p in (grub / "i386-pc").iterdir()} == {"normal.mod": "2.12", "new.mod": "2.12"}


def test_nested_subvolumes_are_told(disk):
    do("btrfs", "subvolume", "create", disk.root / "var/lib/machines")
    do("btrfs", "subvolume", "create", disk.root / "home/mail")
    (disk.root / "home/mail/message").write_text("x")
    place = disk.place()
    assert {("rollback.nested.empty", "info", "/var/lib/machines"), ("rollback.nested", "blocker", "/home/mail")} <= ids(btrfs.check(place, SETTINGS))
    assert ("rollback.nested.left", "warning", "/home/mail") in ids(btrfs.check(place, dict(SETTINGS, exclude=["/home"])))


def test_what_is_mounted_beside_is_decided_or_a_blocker(disk):
    with btrfs._top(disk.place(), btrfs.decide(disk.place(), "x-1", SETTINGS)) as top:
        for name in ("@home", "@varlib"):
            do("btrfs", "subvolume", "create", os.path.join(top, name))
    do("mount", "-o", "subvol=@home", disk.loop, disk.root / "home")
    do("mount", "-o", "subvol=@varlib", disk.loop, disk.root / "var/lib")
    found = ids(btrfs.check(disk.place(), SETTINGS))
    assert {("rollback.undecided", "blocker", "/home"), ("rollback.parted", "blocker", "/var/lib")} <= found
    found = ids(btrfs.check(disk.place(), dict(SETTINGS, exclude=["/home", "/var/lib"])))
    assert ("rollback.parted", "blocker", "/var/lib") in found and not [f for f in found if f[2] == "/home"]
    assert ("rollback.databases.left", "warning", "/var/lib/mysql") in found


def test_what_is_mounted_once_more_goes_back_too(disk):
    (disk.root / "srv").mkdir()
    do("mount", "--bind", disk.root / "home", disk.root / "srv")
    assert not [f for f in btrfs.check(disk.place(), SETTINGS) if f.severity == "blocker"]


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["subvol=@rootfs"], "exchange"),
        (["rw", "subvol=/@rootfs", "subvol=@rootfs"], "exchange"),
        (["defaults"], "default"),
        (["subvol=/"], "default"),
        (["subvolid=256"], ""),
        (["subvol=@a", "subvol=@b"], ""),
    ],
)
def test_how_the_root_is_named(words, answer):
    how, why = btrfs.mode(words)
    assert how == answer and bool(why) != bool(answer)


def test_a_default_subvolume_needs_a_boot_loader_that_follows(disk):
    do("btrfs", "subvolume", "set-default", disk.root)
    disk.name_it("defaults")
    disk.by_name = False
    disk.boot()
    assert ("rollback.boot.by_name", "blocker", "/boot") in ids(btrfs.check(disk.place(), {"cmdline": "quiet"}))
    assert not [f for f in btrfs.check(disk.place(), BY_DEFAULT) if f.severity == "blocker"]


def test_another_file_system_is_refused(disk):
    disk.by_name = False
    disk.boot()
    found = btrfs.check(disk.place(), SETTINGS)
    assert [(f.id, f.severity) for f in found] == [("rollback.impossible", "blocker")] and "top" in found[0].evidence
