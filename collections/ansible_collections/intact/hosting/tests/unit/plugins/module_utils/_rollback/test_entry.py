# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The boot entry that goes back: a real grub.cfg, real cpio, a real shell with a pretended lvm."""

from __future__ import annotations

import gzip
import os
import subprocess

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._command import which
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._rollback import _entry, lvm
from ansible_collections.intact.hosting.plugins.module_utils._rollback._place import Place

KERNEL = "6.1.0-56-cloud-amd64"
with open(os.path.join(os.path.dirname(__file__), "grub-debian-12.cfg"), encoding="utf-8") as _handle:
    CFG = _handle.read()
SEPARATE = CFG.replace("/boot/vmlinuz", "/vmlinuz").replace("/boot/initrd", "/initrd")


def test_the_entry_is_made_from_the_one_that_boots_this_kernel():
    text = _entry.configuration(SEPARATE, KERNEL, "intact-f-1", "back to the system before flight f-1")
    assert text.startswith("# Written by Intact: ")
    (entry,) = _entry.entries(text)
    lines = [line.strip() for line in entry[3].splitlines()]
    assert "linux /intact-f-1/vmlinuz root=LABEL=vm-root ro mitigations=off tsc=reliable console=ttyS0 quiet boot=intact" in lines
    assert "initrd /intact-f-1/initrd.img /intact-f-1/back.img" in lines
    assert "insmod part_gpt" in lines and "search --no-floppy --fs-uuid --set=root ed2e69b9-80ce-4df0-9c0a-dae717c2ed3e" in lines
    assert not [line for line in lines if "vmlinuz-" in line or "single" in line]
    # What decides what is booted comes last, and there is nothing else to boot.
    assert text.rstrip().splitlines()[-2:] == ["set default=intact-back", "set timeout=0"] and text.count("menuentry '") == 1
    assert text.count("{") == text.count("}") and "submenu" not in text


def test_a_boot_directory_within_the_root_keeps_its_path():
    assert "linux /boot/intact-f-1/vmlinuz " in _entry.configuration(CFG, KERNEL, "intact-f-1", "x")


@pytest.mark.parametrize("text", ["", CFG.replace(KERNEL, "6.12.0"), CFG.replace("\tinitrd", "\t# initrd")])
def test_a_kernel_without_an_entry_or_an_initrd_is_refused(text):
    with pytest.raises(IntactError, match="no entry with an initrd"):
        _entry.configuration(text, KERNEL, "intact-f-1", "x")


def test_grub_takes_it(tmp_path):
    if not which("grub-script-check"):
        pytest.skip("grub-script-check (grub-common) is not installed")
    path = tmp_path / "grub.cfg"
    path.write_text(_entry.configuration(SEPARATE, KERNEL, "intact-f-1", "it's back"))
    subprocess.run(["grub-script-check", str(path)], check=True)


def test_the_second_initrd_is_an_archive_of_one_script(tmp_path):
    if not which("cpio"):
        pytest.skip("cpio is not installed")
    data = _entry.initrd("vg0", ["intact-f-1-root", "intact-f-1-var"])
    assert len(data) % 512 == 0
    done = subprocess.run(["cpio", "-idv", "--quiet"], input=data, cwd=tmp_path, capture_output=True, check=True)
    assert done.stderr.decode().split() == ["scripts", "scripts/intact"]
    assert (tmp_path / "scripts/intact").read_text() == _entry.script("vg0", ["intact-f-1-root", "intact-f-1-var"])


@pytest.mark.parametrize("name", ["vg 0", "-x", "a;reboot", "$(id)", ""])
def test_a_name_that_the_shell_would_take_for_more_is_refused(name):
    with pytest.raises(IntactError, match="no name of LVM"):
        _entry.script("vg0", [name])
    with pytest.raises(IntactError, match="no name of LVM"):
        _entry.script(name, ["a"])


# lvm as the initrd has it: attributes of snapshots lie in files, what is being merged is told in brackets; every call is written down.
LVM = """#!/bin/sh
PATH=/usr/bin:/bin
echo "lvm $*" >>"$LAB/calls"
case "$1" in
  vgs) [ -e "$LAB/vg" ] ;;
  lvs)
    [ ! -e "$LAB/fail.lvs" ] || exit 5
    echo "  root owi-aos---"
    for file in "$LAB"/attr/*; do
      [ -e "$file" ] || continue
      case "$(cat "$file")" in S*) echo "  [${file##*/}] $(cat "$file")" ;; *) echo "  ${file##*/} $(cat "$file")" ;; esac
    done ;;
  vgchange) [ ! -e "$LAB/fail.$1" ] ;;
  lvconvert)
    for last; do :; done
    [ ! -e "$LAB/cut" ] || exit 5
    echo Swi---s--- >"$LAB/attr/${last##*/}" ;;
esac
"""
# Nothing but lvm and the shell: Debian's initrd has no tr, sed or rm where busybox is not installed (seen: every snapshot was taken for merged).
INIT = """
PATH="$LAB"
panic() { echo "panic: $*"; exit 9; }
local_top() { echo local_top >>"$LAB/calls"; }
local_premount() { :; }
local_mount_root() { :; }
local_bottom() { :; }
modprobe() { :; }
udevadm() { :; }
sleep() { :; }
. "$LAB/intact"
mount_top
mount_premount
mountroot
mount_bottom
echo mounted
"""


class Initrd:
    """Runs the script as initramfs-tools' init would."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "attr").mkdir()
        (folder / "lvm").write_text(LVM)
        (folder / "lvm").chmod(0o755)
        (folder / "vg").touch()
        (folder / "intact").write_text(_entry.script("vg0", ["intact-f-1-root", "intact-f-1-var"]))

    def attr(self, **attrs):
        for name, attr in attrs.items():
            (self.folder / "attr" / ("intact-f-1-" + name)).write_text(attr + "\n")

    def boot(self):
        """(what it said, the calls that change something)."""
        (self.folder / "calls").write_text("")
        done = subprocess.run(["dash", "-c", INIT], env={"LAB": str(self.folder), "PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False)
        calls = [line for line in (self.folder / "calls").read_text().splitlines() if not line.startswith(("lvm lvs", "lvm vgs"))]
        return done.stdout.strip().splitlines()[-1], calls


@pytest.fixture
def initrd(tmp_path):
    if not which("dash"):
        pytest.skip("dash is not installed")
    return Initrd(tmp_path)


ALL = [
    "local_top",
    "lvm vgchange --activate n vg0",
    "lvm lvconvert --yes --background --merge vg0/intact-f-1-root",
    "lvm lvconvert --yes --background --merge vg0/intact-f-1-var",
    "lvm vgchange --activate y --sysinit vg0",
]


def test_the_whole_set_is_merged_before_the_root_is_mounted(initrd):
    initrd.attr(root="swi---s---", var="swi---s---")
    assert initrd.boot() == ("mounted", ALL)


def test_after_a_cut_the_rest_of_the_set_is_asked_for(initrd):
    initrd.attr(root="Swi---s---", var="swi---s---")
    assert initrd.boot() == ("mounted", [ALL[0], ALL[1], ALL[3], ALL[4]])
    (initrd.folder / "attr/intact-f-1-root").unlink()
    assert initrd.boot()[0] == "mounted"


def test_when_everything_is_merged_it_only_boots(initrd):
    said, calls = initrd.boot()
    assert said == "mounted" and not [call for call in calls if "lvconvert" in call]


def test_volumes_that_cannot_be_listed_are_not_taken_for_merged(initrd):
    initrd.attr(root="swi---s---", var="swi---s---")
    (initrd.folder / "fail.lvs").touch()
    said, calls = initrd.boot()
    assert said.startswith("panic: intact: the volumes of vg0 can't be listed") and calls == ["local_top"]


def test_thin_snapshots_are_merged_too(initrd):
    initrd.attr(root="Vwi---tz-k", var="Vwi---tz-k")
    assert initrd.boot() == ("mounted", ALL)


def test_nothing_is_merged_when_one_of_the_set_is_invalid(initrd):
    initrd.attr(root="swi---s---", var="swi-I-s---")
    said, calls = initrd.boot()
    assert said.startswith("panic: intact: the snapshot vg0/intact-f-1-var is invalid") and calls == ["local_top"]


def test_a_disk_that_never_appears_and_a_merge_that_fails_stop_the_boot(initrd):
    (initrd.folder / "vg").unlink()
    assert "does not appear" in initrd.boot()[0]
    (initrd.folder / "vg").touch()
    initrd.attr(root="swi---s---", var="swi---s---")
    (initrd.folder / "cut").touch()
    assert "can't be merged" in initrd.boot()[0]
    (initrd.folder / "cut").unlink()
    (initrd.folder / "fail.vgchange").touch()
    assert "can't be taken out of use" in initrd.boot()[0]


def test_an_initrd_that_can_not_merge_is_found_out(tmp_path):
    """By the real lsinitramfs, on archives that hold more and more of what is needed."""
    if not which("lsinitramfs"):
        pytest.skip("lsinitramfs (initramfs-tools-core) is not installed")
    place, facts = Place(root=str(tmp_path)), {"kernel": KERNEL, "volumes": [{"thin": False}]}

    def found():
        return {(f.id, f.severity, os.path.basename(f.subject)) for f in lvm._initrd_found(place, facts)}

    assert found() == {("rollback.boot.initramfs", "blocker", "initramfs")}
    (tmp_path / "usr/share/initramfs-tools/scripts").mkdir(parents=True)
    (tmp_path / "usr/share/initramfs-tools/scripts/local").touch()
    assert [f[0] for f in found()] == ["rollback.boot.initrd"]
    (tmp_path / "boot").mkdir()
    image = tmp_path / "boot" / ("initrd.img-" + KERNEL)
    files = {"usr": (0o040755, b""), "usr/sbin": (0o040755, b"")}
    image.write_bytes(gzip.compress(_entry.cpio(files)))
    assert found() == {("rollback.boot.module", "blocker", "dm-snapshot"), ("rollback.boot.lvm", "blocker", image.name)}
    files["usr/sbin/lvm"] = (0o100755, b"lvm")
    files["dm-snapshot.ko"] = (0o100644, b"module")
    image.write_bytes(gzip.compress(_entry.cpio(files)))
    assert found() == set()
    facts["volumes"][0]["thin"] = True
    assert found() == {("rollback.boot.module", "blocker", "dm-thin-pool")}
