# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The driver lvm: exact names, all or none, what it refuses. Its commands meet a real LVM in tests/vm."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._rollback import _boot, _lvm_look, _stage, lvm
from ansible_collections.intact.hosting.plugins.module_utils._rollback._place import Place
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._rollback import lvm_lab
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._rollback.lvm_lab import Cut, Lvm, row
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._rollback.test_entry import KERNEL, SEPARATE

PLAN = {"upgrade": [{"name": "libc6"}], "download_bytes": 200 << 20, "disk_bytes": {"/": 300 << 20, "/var": 100 << 20}}
SETTINGS = {"kernel": KERNEL, "plan": PLAN, "exclude": ["/home"]}
# As lvs told them: a merging snapshot is hidden, a thin one is skipped at activation.
MERGING = [
    row("[intact-f-1-root]", lv_attr="Swi-a-s---", origin="root", lv_tags="intact-f-1", data_percent="42.10"),
    row("root", lv_attr="Owi-aos---", data_percent="42.10"),
]
THIN = [
    row("intact-f-1-troot", lv_attr="Vwi---tz-k", origin="troot", pool_lv="pool", lv_tags="intact-f-1", segtype="thin"),
    row("pool", lv_attr="twi-aotz--", data_percent="61.50", segtype="thin-pool"),
    row("[pool_tdata]", lv_attr="Twi-ao----"),
    row("troot", lv_attr="Vwi-aotz--", pool_lv="pool", data_percent="30.00", segtype="thin"),
]


@pytest.fixture
def host(tmp_path, monkeypatch):
    """A host whose / is below tmp_path, its LVM pretended."""
    (tmp_path / "boot/grub").mkdir(parents=True)
    (tmp_path / "boot/grub/grub.cfg").write_text(SEPARATE)
    (tmp_path / "usr/share/initramfs-tools/scripts").mkdir(parents=True)
    (tmp_path / "usr/share/initramfs-tools/scripts/local").write_text("")
    made = Lvm()
    made.mounts = [dict(m, target=(str(tmp_path) + m["target"]).rstrip("/")) for m in lvm_lab.MOUNTS]
    made.place = Place(made.run, str(tmp_path), str(tmp_path / "work"))
    monkeypatch.setattr(_boot, "keep", lambda place, directory: made.calls.append(["keep /boot"]))
    monkeypatch.setattr(lvm, "_initrd_found", lambda place, facts: [])
    return made


def created(host):
    return [call[call.index("--name") + 1] for call in host.calls if call[0] == "lvcreate"]


def test_the_set_has_exact_names_and_room_from_the_plan(host):
    facts = lvm.decide(host.place, "f-1", SETTINGS)
    assert (facts["name"], facts["vg"], facts["kernel"]) == ("intact-f-1", "vg0", KERNEL)
    assert [(v["lv"], v["target"], v["snapshot"], v["thin"]) for v in facts["volumes"]] == [
        ("root", "/", "intact-f-1-root", False),
        ("var", "/var", "intact-f-1-var", False),
    ]
    root, var = (v["cow"] for v in facts["volumes"])
    # 1 GiB, growth, one and a half of 2 GiB installed, a tenth of the volume; and 1 GiB, growth, twice the download, a tenth.
    assert root == -(-((1 << 30) + (300 << 20) + (3 << 30) + (1 << 30)) // (4 << 20)) * (4 << 20)
    assert var == -(-((1 << 30) + (100 << 20) + (400 << 20) + (1 << 30)) // (4 << 20)) * (4 << 20)
    facts = lvm.decide(host.place, "f-1", dict(SETTINGS, sizes={"/": 2048}))
    assert facts["volumes"][0]["cow"] == 2 << 30


def test_take_there_drop(host):
    facts = lvm.decide(host.place, "f-1", SETTINGS)
    lvm.take(host.place, facts)
    assert host.calls[0] == ["keep /boot"] and created(host) == ["intact-f-1-root", "intact-f-1-var"]
    size = "%db" % facts["volumes"][0]["cow"]
    argv = ["lvcreate", "--yes", "--snapshot", "--addtag", "intact-f-1", "--name", "intact-f-1-root", "--size", size, "vg0/root"]
    assert argv in host.calls
    assert lvm.state(host.place, facts)["whole"]
    assert lvm.drop(host.place, facts) == "snapshots removed: intact-f-1-root, intact-f-1-var"
    assert sorted(host.rows) == ["home", "root", "swap", "var"] and lvm.drop(host.place, facts) == ""


def test_all_or_none_after_a_cut_at_every_command(host):
    facts = lvm.decide(host.place, "f-1", SETTINGS)
    for number in range(20):
        host.left = number
        try:
            lvm.take(host.place, facts)
            break
        except Cut:
            host.left = None
            assert not lvm.state(host.place, facts)["whole"]
    assert number >= 3
    host.left = None
    assert lvm.state(host.place, facts)["whole"] and sorted(host.rows) == ["home", "intact-f-1-root", "intact-f-1-var", "root", "swap", "var"]


@pytest.mark.parametrize("more", [{"lv_tags": ""}, {"lv_tags": "intact-f-11"}, {"origin": "home"}, {"lv_attr": "-wi-ao----"}, {"lv_attr": "Swi-a-s---"}])
def test_somebody_elses_volume_of_this_name_is_left_alone(host, more):
    facts = lvm.decide(host.place, "f-1", SETTINGS)
    lvm.take(host.place, facts)
    host.rows["intact-f-1-var"].update(more)
    host.calls.clear()
    with pytest.raises(IntactError, match="is not this flight's snapshot"):
        lvm.take(host.place, dict(facts, volumes=facts["volumes"][1:]))
    with pytest.raises(IntactError, match="left alone"):
        lvm.drop(host.place, facts)
    assert "intact-f-1-var" in host.rows and ["lvremove", "--yes", "vg0/intact-f-1-var"] not in host.calls


def test_a_snapshot_that_fills_up_is_told_and_a_full_one_is_not_gone_back_to(host):
    facts = lvm.decide(host.place, "f-1", SETTINGS)
    lvm.take(host.place, facts)
    host.rows["intact-f-1-var"]["data_percent"] = "83.20"
    state = lvm.state(host.place, facts)
    assert state["whole"] and state["percent"] == 83.2
    assert state["room"] == int(facts["volumes"][1]["cow"] * 0) + int(10737418240 * (97.0 - 83.2) / 100)
    host.rows["intact-f-1-var"].update(lv_attr="swi-I-s---", data_percent="100.00")
    state = lvm.state(host.place, facts)
    assert not state["whole"] and state["why"] == "intact-f-1-var ran full and is invalid"
    with pytest.raises(IntactError, match="ran full and is invalid"):
        lvm.boot_back(host.place, facts)
    del host.rows["intact-f-1-var"]
    assert "is not there" in lvm.state(host.place, facts)["why"]


def test_what_stands_in_the_way(host):
    def found(**more):
        return {(f.id, f.severity, f.subject) for f in lvm.check(host.place, dict(SETTINGS, **more))}

    assert found() == {("rollback.possible", "info", "vg0")}
    assert ("rollback.possible", "info", "vg0") in found(exclude=[])
    host.free = 1 << 30
    assert ("rollback.space", "blocker", "vg0") in found()
    host.free = 20 << 30
    mounts = host.mounts
    root = mounts[0]["target"]
    host.mounts = [m for m in mounts if not m["target"].endswith("/boot")]
    assert ("rollback.boot.inside", "blocker", "/boot") in found()
    host.mounts = [*mounts, dict(mounts[1], target=root + "/srv", source="/dev/vdb1"), dict(mounts[1], target=root + "/usr", source="/dev/vdc1")]
    assert {("rollback.undecided", "blocker", "/srv"), ("rollback.parted", "blocker", "/usr")} <= found()
    assert ("rollback.undecided", "blocker", "/srv") not in found(exclude=["/home", "/srv"])
    again = dict(mounts[4], target=root + "/srv/chroot", fsroot="/named")
    host.mounts = [mounts[0], again, *mounts[1:]]
    assert found() == {("rollback.possible", "info", "vg0")}
    assert [v["target"] for v in lvm.decide(host.place, "f-1", SETTINGS)["volumes"]] == ["/", "/var"]
    host.mounts = [*mounts[:4], dict(mounts[4], fstype="btrfs")]
    assert [i for i, _s, _w in found()] == ["rollback.impossible"]
    host.mounts = [dict(mounts[0], source="/dev/vda3"), *mounts[1:]]
    assert [i for i, _s, _w in found()] == ["rollback.impossible"]
    host.mounts = mounts
    assert ("rollback.boot.entry", "blocker", "/boot/grub/grub.cfg") in found(kernel="9.9.9")


def test_merging_is_waited_for_and_boot_is_put_back(host, monkeypatch):
    facts = lvm.decide(host.place, "f-1", SETTINGS)
    lvm.take(host.place, facts)
    monkeypatch.setattr(_boot, "put_back", lambda *args: ["/boot is as it was kept"])
    with pytest.raises(IntactError, match="is not being merged: reboot"):
        lvm.settle(host.place, facts)
    for name in ("root", "var"):
        host.rows["intact-f-1-" + name].update(lv_attr="Swi-a-s---", lv_name="[intact-f-1-%s]" % name, lv_path="")
    told, progress = lvm.settle(host.place, facts)
    assert told is None and progress == "intact-f-1-root: 0 % left to merge, intact-f-1-var: 0 % left to merge"

    def sleep(_seconds):
        host.rows.pop(next(name for name in host.rows if name.startswith("intact-f-1")))

    assert lvm.settle(host.place, facts, 60, sleep=sleep) == (["/boot is as it was kept"], "")


def test_what_lvs_says_is_read():
    known = _lvm_look.volumes(json.dumps({"report": [{"lv": MERGING + THIN}]}))
    assert _lvm_look.merging(known["vg0", "intact-f-1-root"]) and _lvm_look.merging(known["vg0", "root"])
    assert _lvm_look.thin(known["vg0", "troot"]) and not _lvm_look.invalid(known["vg0", "intact-f-1-troot"])
    facts = {"vg": "vg0", "name": "intact-f-1", "volumes": [{"lv": "troot", "snapshot": "intact-f-1-troot", "thin": True, "pool": "pool"}]}
    assert _lvm_look.judge(known, facts) == ("", 61.5)
    mounts = [dict(lvm_lab.MOUNTS[0], source="/dev/mapper/vg0-troot")]
    group, volumes = _lvm_look.chosen(known, mounts, lambda target: False)
    assert (group, volumes[0]["thin"], volumes[0]["pool"]) == ("vg0", True, "pool")


def test_a_snapshot_is_never_larger_than_it_can_use():
    assert _lvm_look.cow(1 << 30, 50 << 30, 4 << 20) == -(-((1 << 30) + (1 << 30) // 50 + (16 << 20)) // (4 << 20)) * (4 << 20)
    assert _lvm_look.cow(100 << 30, 1, 4 << 20) == 256 << 20


def test_a_name_too_long_for_device_mapper_is_refused(host):
    with pytest.raises(IntactError, match=r"too long|can't be called"):
        lvm.decide(host.place, "f" + "-1" * 38, SETTINGS)


def test_the_runner_tells_once_for_every_step_and_goes_on(host):
    facts = dict(lvm.decide(host.place, "f-1", SETTINGS), complete=True)
    lvm.take(host.place, facts)
    said, memory = [], {"snapshot": facts}
    told = SimpleNamespace(recall=memory.get, remember=memory.__setitem__, journal=lambda event, **fields: said.append(fields["text"]))
    flying = SimpleNamespace(memory=told, run=host.run)

    def watch(percent, attr="swi-a-s---"):
        host.rows["intact-f-1-root"].update(data_percent=percent, lv_attr=attr)
        return _stage.watch(flying, {"settings": {}}, host.place)

    assert watch("79.90") == ""
    assert watch("81.00") == "the snapshot intact-f-1 is 81 % full: extend it (lvextend) before it is lost"
    assert watch("83.00") == "" and "86 % full" in watch("86.00")
    assert "can't be gone back to any more: intact-f-1-root ran full and is invalid" in watch("100.00", "swi-I-s---")
    assert watch("100.00", "swi-I-s---") == "" and len(said) == 3
    facts["driver"] = "hook"
    assert _stage.watch(flying, {"settings": {}}, None) == ""
