# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The boot chain: a whole one raises nothing, and each link that is broken is one finding."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._postflight import _grub, boot
from ansible_collections.intact.hosting.plugins.module_utils._postflight._context import Context
from ansible_collections.intact.hosting.plugins.module_utils._system import System
from ansible_collections.intact.hosting.tests.unit.plugins.fake_system import FakeSystem

OLD, NEW = "6.1.0-37-amd64", "6.12.48+deb13-amd64"
ENTRY = """menuentry '%(title)s' --class debian --class gnu-linux $menuentry_id_option '%(id)s' {
\tload_video
\tinsmod gzio
\tif [ x$grub_platform = xxen ]; then insmod xzio; insmod lzopio; fi
\tsearch --no-floppy --fs-uuid --set=root 5b1f
\techo\t'Loading Linux %(version)s ...'
\tlinux\t/boot/vmlinuz-%(version)s root=UUID=5b1f ro  quiet
\techo\t'Loading initial ramdisk ...'
\tinitrd\t/boot/initrd.img-%(version)s
}
"""


def grub(first=NEW, versions=(NEW, OLD), default="0"):
    """grub.cfg as Debian's grub-mkconfig writes it."""
    inner = "".join(ENTRY % {"title": "Debian GNU/Linux, with Linux " + v, "id": "gnulinux-%s-advanced-5b1f" % v, "version": v} for v in versions)
    return (
        'if [ -s $prefix/grubenv ]; then\n  set have_grubenv=true\n  load_env\nfi\nif [ "${next_entry}" ] ; then\n   set default="${next_entry}"\n'
        '   set next_entry=\n   save_env next_entry\n   set boot_once=true\nelse\n   set default="%s"\nfi\n'
        "function load_video {\n  if [ x$feature_all_video_module = xy ]; then\n    insmod all_video\n  fi\n}\n"
        % default
        + ENTRY % {"title": "Debian GNU/Linux", "id": "gnulinux-simple-5b1f", "version": first}
        + "submenu 'Advanced options for Debian GNU/Linux' $menuentry_id_option 'gnulinux-advanced-5b1f' {\n%s}\n" % inner
        + "menuentry 'UEFI Firmware Settings' $menuentry_id_option 'uefi-firmware' {\n\tfwsetup\n}\n"
    )


def host(cfg=None, env="", commands=None, drop=(), stats=None, **files):
    given = {
        "/boot/vmlinuz-" + OLD: "x",
        "/boot/vmlinuz-" + NEW: "x",
        "/boot/initrd.img-" + OLD: "x",
        "/boot/initrd.img-" + NEW: "x",
        "/lib/modules/%s/modules.dep" % NEW: "x",
        "/boot/grub/grub.cfg": grub() if cfg is None else cfg,
        "/boot/grub/grubenv": "# GRUB Environment Block\n%s\n####" % env,
    }
    given.update(files)
    return FakeSystem(commands=commands, files={path: text for path, text in given.items() if path not in drop}, stats=stats)


def told(check, *args, **more):
    return [(f.id, f.severity, f.subject) for f in check(Context(host(*args, **more)))]


def test_a_whole_chain_raises_nothing():
    for check in (boot.initramfs, boot.loader, boot.efi, boot.sectors):
        assert told(check, commands={"findmnt": "/dev/vda1\n", "lsblk -J": '{"blockdevices": [{"path": "/dev/vda", "type": "disk"}]}'}) == [], check


@pytest.mark.parametrize("mark", boot.CONTAINERS)
def test_a_container_has_no_boot_chain(mark):
    for check in (boot.initramfs, boot.loader, boot.efi, boot.sectors):
        assert told(check, "nonsense", **{mark: ""}) == []
        assert check(Context(FakeSystem())) == []


KERNEL = "kernel " + NEW


@pytest.mark.parametrize(
    "more, expected",
    [
        ({"drop": ("/boot/initrd.img-" + NEW,)}, [("boot.initramfs.missing", "blocker", KERNEL)]),
        ({"drop": ("/boot/initrd.img-" + NEW, "/boot/initrd.img-" + OLD)}, []),
        ({"drop": ("/lib/modules/%s/modules.dep" % NEW,)}, [("boot.modules.missing", "blocker", KERNEL)]),
        ({"/boot/initrd.img-" + NEW: ""}, [("boot.initramfs.broken", "blocker", KERNEL)]),
        ({"stats": {"/boot/vmlinuz-" + NEW: {"mtime": 9}, "/boot/initrd.img-" + NEW: {"mtime": 8}}}, [("boot.initramfs.old", "blocker", KERNEL)]),
        ({"stats": {"/boot/vmlinuz-" + NEW: {"mtime": 8}, "/boot/initrd.img-" + NEW: {"mtime": 9}}}, []),
        ({"commands": {"lsinitramfs": (0, ".\nbin\ninit\n")}}, []),
        ({"commands": {"lsinitramfs": (0, ".\nkernel\n")}}, [("boot.initramfs.broken", "blocker", KERNEL)]),
        ({"commands": {"lsinitramfs": (1, "", "cpio: premature end of archive")}}, [("boot.initramfs.broken", "blocker", KERNEL)]),
    ],
)
def test_initramfs(more, expected):
    assert told(boot.initramfs, **more) == expected


ADVANCED = "gnulinux-advanced-5b1f>gnulinux-%s-advanced-5b1f"


@pytest.mark.parametrize(
    "cfg, env, expected",
    [
        (grub(), "", []),
        (grub(first=OLD), "", [("boot.default.old", "blocker", KERNEL)]),
        (grub(first=OLD, versions=(OLD,)), "", [("boot.entry.missing", "blocker", KERNEL)]),
        (grub(default="1>1"), "", [("boot.default.old", "blocker", KERNEL)]),
        (grub(default="1>0"), "", []),
        (grub(default="${saved_entry}"), "", []),
        (grub(default="${saved_entry}"), "saved_entry=" + ADVANCED % OLD, [("boot.default.old", "blocker", KERNEL)]),
        (grub(first=OLD, default="${saved_entry}"), "saved_entry=" + ADVANCED % NEW, []),
        (grub(), "next_entry=" + ADVANCED % OLD, [("boot.default.old", "blocker", KERNEL)]),
        (grub(default="Debian, of old"), "", []),  # GRUB takes the first one when there is no such entry
        ("# nothing\n", "", [("boot.loader.unjudged", "warning", "boot loader")]),
    ],
)
def test_what_grub_will_start(cfg, env, expected):
    assert told(boot.loader, cfg, env) == expected


def test_a_file_that_the_default_names_and_a_configuration_that_grub_refuses():
    assert told(boot.loader, drop=("/boot/initrd.img-" + NEW,)) == [("boot.file.missing", "blocker", "/boot/initrd.img-" + NEW)]
    assert told(boot.loader, commands={"grub-script-check": (1, "", "syntax error at line 3")}) == [("boot.loader.broken", "blocker", "/boot/grub/grub.cfg")]


def test_the_fixture_is_what_the_real_grub_reads(tmp_path):
    if not shutil.which("grub-script-check"):
        pytest.skip("needs grub-common")
    (tmp_path / "good").write_text(grub())
    (tmp_path / "bad").write_text(grub().replace("fi\n", "", 1))
    assert System().run(["grub-script-check", str(tmp_path / "good")], check=False).rc == 0
    assert System().run(["grub-script-check", str(tmp_path / "bad")], check=False).rc != 0
    assert [e["title"] for e in _grub.menu(grub())] == ["Debian GNU/Linux", "Advanced options for Debian GNU/Linux", "UEFI Firmware Settings"]
    assert len(list(_grub.flat(_grub.menu(grub())))) == 4


def test_the_real_lsinitramfs(tmp_path):
    if not shutil.which("lsinitramfs") or not shutil.which("cpio"):
        pytest.skip("needs initramfs-tools-core and cpio")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "init").write_text("#!/bin/sh\n")
    archive = subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], input=b"init\n", cwd=str(tmp_path / "tree"), capture_output=True, check=True).stdout
    image = tmp_path / ("initrd.img-" + NEW)

    class Real(FakeSystem):
        def run(self, argv, **more):
            return System.run(self, [argv[0], str(image)], **more)

        def which(self, program):
            return shutil.which(program)

    def look(data):
        image.write_bytes(data)
        given = host()
        real = Real(files=given.files)
        return [f.id for f in boot.initramfs(Context(real))]

    packed = gzip.compress(archive)
    assert look(packed) == []
    assert look(packed[: len(packed) // 2]) == ["boot.initramfs.broken"]
    assert look(os.urandom(4096)) == ["boot.initramfs.broken"]


def test_entries_of_the_boot_loader_specification():
    def text(version):
        return "title Fedora (%s)\nversion %s\nlinux /vmlinuz-%s\ninitrd /initramfs-%s.img\n" % ((version,) * 4)

    def fedora(env="", newest=True):
        files = {"/boot/vmlinuz-6.9.1": "x", "/boot/vmlinuz-6.10.2": "x", "/boot/initramfs-6.9.1.img": "x", "/boot/initramfs-6.10.2.img": "x"}
        files.update({"/boot/vmlinuz-0-rescue-1f": "x", "/boot/grub2/grubenv": env, "/boot/loader/entries/1f-6.9.1.conf": text("6.9.1")})
        files["/boot/grub2/grub.cfg"] = (
            'insmod blscfg\nblscfg\nif [ "${next_entry}" ]; then\n set default="${next_entry}"\nelse\n set default="${saved_entry}"\nfi\n'
        )
        if newest:
            files["/boot/loader/entries/1f-6.10.2.conf"] = text("6.10.2")
        return [(f.id, f.subject) for f in boot.loader(Context(FakeSystem(files=files)))]

    assert fedora() == [] and fedora("saved_entry=1f-6.10.2\n") == []
    assert fedora("saved_entry=1f-6.9.1\n") == [("boot.default.old", "kernel 6.10.2")]
    assert fedora(newest=False) == [("boot.entry.missing", "kernel 6.10.2")]


def esp(second="same", mounted=True, extra=False):
    rows = [{"path": "/dev/sda1", "type": "part", "parttype": boot.ESP.upper(), "mountpoint": "/boot/efi" if mounted else None}]
    files = {"/sys/firmware/efi/fw_platform_size": "64"}
    if mounted:
        files["/boot/efi/EFI/debian/grubx64.efi"] = "same"
    if second is not None:
        rows.append({"path": "/dev/sdb1", "type": "part", "parttype": boot.ESP, "mountpoint": "/boot/efi2"})
        files["/boot/efi2/EFI/debian/" + ("grubx64.efi" if second else "x.txt")] = second
    if extra:
        rows.append({"path": "/dev/sdc1", "type": "part", "parttype": boot.ESP, "mountpoint": None})
    return {
        "commands": {"lsblk -J": json.dumps({"blockdevices": [{"path": "/dev/sda", "type": "disk", "parttype": None, "mountpoint": None, "children": rows}]})},
        **files,
    }


@pytest.mark.parametrize(
    "given, expected",
    [
        (esp(None), []),
        (esp(), []),
        (esp("other"), [("boot.esp.differs", "blocker", "/boot/efi2")]),
        (esp(""), [("boot.esp.empty", "blocker", "/boot/efi2")]),
        (esp(None, mounted=False), [("boot.esp.unmounted", "warning", "EFI partition")]),
        (esp(None, extra=True), [("boot.esp.unlooked", "warning", "/dev/sdc1")]),
    ],
)
def test_efi_partitions(given, expected):
    assert told(boot.efi, **given) == expected


def disks(first=b"\xeb\x63" + b"GRUB \0", second=b"GRUB", install="/dev/sda, /dev/sdb"):
    rows = {"blockdevices": [{"path": "/dev/md0", "type": "raid1", "children": [{"path": "/dev/sda", "type": "disk"}, {"path": "/dev/sdb", "type": "disk"}]}]}
    return {
        "commands": {
            "lsblk -J": json.dumps(rows),
            "findmnt": "/dev/md0[/boot]\n",
            "debconf-show grub-pc": "* grub-pc/install_devices: %s\n  grub-pc/x: y\n" % install,
        },
        "/dev/sda": first.ljust(512, b"\0"),
        "/dev/sdb": second.ljust(512, b"\0"),
    }


@pytest.mark.parametrize(
    "given, expected",
    [
        (disks(), []),
        (disks(second=b""), [("boot.sector.missing", "warning", "/dev/sdb")]),
        (disks(first=b"", second=b""), []),
        (disks(install="/dev/sda, /dev/disk/by-id/ata-GONE"), [("boot.disk.gone", "warning", "/dev/disk/by-id/ata-GONE")]),
    ],
)
def test_boot_sectors(given, expected):
    assert told(boot.sectors, **given) == expected
