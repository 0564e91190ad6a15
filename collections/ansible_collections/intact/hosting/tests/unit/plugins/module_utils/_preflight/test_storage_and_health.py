# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Health of disks and of what is built on them, shapes of storage that the target does not support, mounts over the network."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._preflight import _machine, health, storage
from ansible_collections.intact.hosting.plugins.module_utils._preflight._context import Context
from ansible_collections.intact.hosting.plugins.module_utils._preflight._system import Host
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._preflight import preflight_host as fake

SBIN = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


def tool(name):
    path = shutil.which(name, path=SBIN)
    return path or pytest.skip("%s is not installed" % name)


MIRROR = dict(
    sda={"kind": "disk"},
    sdb={"kind": "disk"},
    sda1={"kind": "partition", "parent": "sda", "holders": ["/dev/md0"]},
    sdb1={"kind": "partition", "parent": "sdb", "holders": ["/dev/md0"]},
    md0={"kind": "raid", "type": "LVM2_member", "holders": ["/dev/root"]},
    root={"kind": "mapped", "type": "ext4", "mounts": ["/"]},
    sdc={"kind": "disk", "type": "xfs", "mounts": ["/srv"]},
)


def test_the_disks_beneath_a_path():
    items = fake.disks(**MIRROR)["sections"]["disks"]["data"]["items"]
    assert _machine.beneath(items, "/boot") == (["sda", "sdb"], ["root", "md0", "sda1", "sdb1", "sda", "sdb"])
    assert _machine.beneath(items, "/srv/www")[0] == ["sdc"] and _machine.beneath({}, "/") == ([], [])
    # /srvx is not below /srv
    assert _machine.place_of(items, "/srvx") == "root"


LOG = "kernel: starting\n"
QUIET = {"smartctl --scan": "{}", "smartctl -j": "{}", "dmesg": LOG}


def test_a_healthy_machine_is_silent_and_a_container_says_what_nobody_saw():
    ok = json.dumps({"smart_status": {"passed": True}})
    baseline = fake.disks(sda={"type": "ext4", "mounts": ["/"]})
    files = {"/proc/mdstat": "Personalities :\nunused devices: <none>\n", "/sys/fs/ext4/sda/errors_count": "0\n"}
    assert fake.said("PF24", fake.machine(dict(QUIET, **{"smartctl -j": ok}), files, baseline=baseline)) == []
    assert fake.said("PF24", fake.context(baseline=baseline)) == [("PF24", "disks.health.unseen", "info", "disks")]


def test_errors_that_ext4_recorded_block_in_a_container_too():
    baseline = fake.disks(loop7={"kind": "loop", "type": "ext4", "mounts": ["/home"]}, loop8={"kind": "loop", "type": "ext4", "mounts": ["/srv"]})
    context = fake.context(files={"/sys/fs/ext4/loop7/errors_count": "3\n", "/sys/fs/ext4/loop8/errors_count": "0\n"}, baseline=baseline)
    assert fake.said("PF24", context)[0] == ("PF24", "disks.health.filesystem", "blocker", "loop7") and len(fake.said("PF24", context)) == 2


ARRAYS = """Personalities : [raid1] [raid5]
md0 : active raid1 sdb1[1] sda1[0]
      1046528 blocks super 1.2 [2/2] [UU]

md1 : active raid1 sdb2[1](F) sda2[0]
      1046528 blocks super 1.2 [2/1] [U_]

md2 : active raid5 sdc1[3] sdb3[1] sda3[0]
      209 blocks level 5, 64k chunk, algorithm 2 [3/2] [UU_]
      [==>..................]  recovery = 12.6% (37043392/292945152) finish=127.5min speed=33440K/sec

md3 : inactive sdd1[0](S)
      1046528 blocks

md4 : active raid1 sdf1[1] sde1[0]
      1046528 blocks super 1.2 [2/2] [UU]
      [=>...................]  check =  8.4% (88/1046528) finish=0.1min speed=88K/sec

unused devices: <none>
"""


def test_arrays():
    assert health.arrays(ARRAYS) == [
        ("md1", "1 of 2 members", ["sdb2"]),
        ("md2", "2 of 3 members, recovery 12.6%", []),
        ("md3", "it is not running", []),
    ]
    said = fake.said("PF24", fake.machine(QUIET, {"/proc/mdstat": ARRAYS}))
    assert said == [("PF24", "disks.health.array", "blocker", "/dev/md%d" % n) for n in (1, 2, 3)]


def ata(ident, raw, when=""):
    return {"ata_smart_attributes": {"table": [{"id": ident, "name": "X", "when_failed": when, "raw": {"value": raw}}]}, "smart_status": {"passed": True}}


@pytest.mark.parametrize(
    "document, expected",
    [
        ({"smart_status": {"passed": True}}, None),
        ({"smart_status": {"passed": False}}, "blocker"),
        (ata(197, 8), "blocker"),
        (ata(198, 1), "blocker"),
        (ata(5, 24), "warning"),
        (ata(5, 0), None),
        (ata(1, 5, "now"), "blocker"),
        ({"nvme_smart_health_information_log": {"critical_warning": 4}}, "blocker"),
        ({"nvme_smart_health_information_log": {"critical_warning": 0, "available_spare": 3, "available_spare_threshold": 10}}, "blocker"),
        ({"nvme_smart_health_information_log": {"media_errors": 2}}, "warning"),
        ({"smart_status": {"passed": True}, "scsi_grown_defect_list": 4}, "warning"),
    ],
)
def test_what_disks_say_of_themselves(document, expected):
    commands = dict(QUIET, **{"smartctl --scan": json.dumps({"devices": [{"name": "/dev/sda", "type": "sat"}]}), "smartctl -j": json.dumps(document)})
    said = fake.said("PF24", fake.machine(commands, baseline=fake.disks(sda={})))
    assert said == ([("PF24", "disks.health.smart", expected, "sda")] if expected else [])


def test_disks_that_nobody_asked():
    commands = {"dmesg": LOG}
    baseline = fake.disks(sda={})
    assert fake.said("PF24", fake.machine(commands, baseline=baseline)) == [("PF24", "disks.health.unasked", "warning", "disks")]
    assert fake.said("PF24", fake.machine(commands, baseline=baseline, bare=False)) == []
    # smartctl is there, and the disk is mute: behind a controller, or imitated by a hypervisor
    assert fake.said("PF24", fake.machine(QUIET, baseline=baseline)) == [("PF24", "disks.health.mute", "warning", "/dev/sda")]
    assert fake.said("PF24", fake.machine(QUIET, baseline=baseline, bare=False)) == []


def test_the_kernels_log():
    log = "\n".join(
        [
            "[1.0] blk_update_request: I/O error, dev sda, sector 1234 op 0x0:(READ)",
            "[2.0] Buffer I/O error on dev sda1, logical block 5, async page read",
            "[3.0] I/O error, dev fd0, sector 0",
            "[4.0] I/O error, dev sdz, sector 0",
            "[5.0] EXT4-fs error (device dm-3): ext4_lookup:1234: inode #2",
        ]
    )
    found = health.kernel_errors(log, {"sda", "dm-3"})
    assert {name: number for name, (number, _line) in found.items()} == {"sda": 1, "sda1": 1, "dm-3": 1}
    said = fake.said("PF24", fake.machine(dict(QUIET, dmesg=log), baseline=fake.disks(sda={}), bare=False))
    assert said == [("PF24", "disks.health.kernel", "blocker", "/dev/sda"), ("PF24", "disks.health.kernel", "blocker", "/dev/sda1")]
    assert fake.said("PF24", fake.machine({"dmesg": ""}, bare=False)) == [("PF24", "disks.health.log", "warning", "kernel log")]


def test_btrfs_and_zfs():
    stats = "[/dev/sda].write_io_errs    0\n[/dev/sda].read_io_errs     2\n[/dev/sdb].corruption_errs  0\n"
    commands = dict(QUIET, **{"btrfs device stats": stats, "zpool": "  pool: tank\n state: DEGRADED\n"})
    baseline = fake.disks(sda={"type": "btrfs", "mounts": ["/srv"], "uuid": "u"}, sdb={"type": "btrfs", "mounts": ["/srv"], "uuid": "u"})
    said = fake.said("PF24", fake.machine(commands, baseline=baseline, bare=False))
    assert said == [("PF24", "disks.health.filesystem", "blocker", "/dev/sda"), ("PF24", "disks.health.array", "blocker", "tank")]
    assert fake.said("PF24", fake.machine(dict(QUIET, zpool="all pools are healthy\n"), bare=False)) == []


RULES = [
    {"shape": "xfs v4", "reason": "old"},
    {"shape": "md 0.90", "reason": "old"},
    {"shape": "md linear", "reason": "old"},
    {"shape": "crypttab luks", "package": "systemd-cryptsetup", "reason": "split"},
    {"shape": "crypttab plain default", "reason": "defaults"},
    {"shape": "lvm cache", "severity": "warning", "reason": "slow"},
]
CRYPTTAB = "# x\nhome UUID=1 none luks\nold /dev/sdq /key plain\n"
CRYPTTAB += "sure /dev/sdr /key plain,cipher=aes-xts-plain64,size=512,hash=sha256\nswap /dev/sds /dev/urandom swap\n"


def test_crypttab():
    assert [shape for _n, shape, _l in storage.parse_crypttab(CRYPTTAB)] == ["crypttab luks", "crypttab plain default", "crypttab plain", "crypttab plain"]


def test_shapes_that_the_target_does_not_support():
    path = dict(fake.PATH, storage=RULES)
    commands = {
        "xfs_info /srv": "meta-data=/dev/sdc isize=256\n         =   crc=0  finobt=0\nnaming   =version 2 ftype=0\n",
        "vgs": json.dumps({"report": [{"vg": [{"vg_name": "vg0", "vg_attr": "wz--n-", "vg_fmt": "lvm2", "vg_missing_pv_count": "0"}]}]}),
        "lvs": json.dumps({"report": [{"lv": [{"lv_full_name": "vg0/root", "lv_attr": "Cwi-aoC---", "segtype": "cache", "lv_health_status": ""}]}]}),
    }
    files = {"/etc/crypttab": CRYPTTAB, "/sys/block/md0/md/metadata_version": "0.90\n", "/sys/block/md0/md/level": "raid1\n"}
    context = fake.machine(commands, files, baseline=fake.disks(**MIRROR), release_path=path)
    assert sorted(fake.said("PF25", context)) == [
        ("PF25", "storage.unsupported", "blocker", "home"),
        ("PF25", "storage.unsupported", "blocker", "md0"),
        ("PF25", "storage.unsupported", "blocker", "old"),
        ("PF25", "storage.unsupported", "blocker", "sdc"),
        ("PF25", "storage.unsupported", "warning", "LV vg0/root"),
    ]
    planned = fake.machine(commands, files, plan={"install": ["systemd-cryptsetup"]}, baseline=fake.disks(**MIRROR), release_path=path)
    assert "home" not in [row[3] for row in fake.said("PF25", planned)]
    assert fake.said("PF25", fake.context(commands, files, release_path=path)) == [("PF25", "storage.unseen", "info", "storage")]


def test_volumes_that_are_not_whole():
    commands = {
        "vgs": json.dumps({"report": [{"vg": [{"vg_name": "vg0", "vg_attr": "wz-pn-", "vg_fmt": "lvm2", "vg_missing_pv_count": "1"}]}]}),
        "lvs": json.dumps(
            {
                "report": [
                    {
                        "lv": [
                            {"lv_full_name": "vg0/a", "lv_attr": "Owi-aos---", "segtype": "linear", "lv_health_status": ""},
                            {"lv_full_name": "vg0/b", "lv_attr": "swi-I-s---", "segtype": "linear", "lv_health_status": ""},
                            {"lv_full_name": "vg0/c", "lv_attr": "rwi-aor-p-", "segtype": "raid1", "lv_health_status": "partial"},
                            {"lv_full_name": "vg0/d", "lv_attr": "-wi-ao----", "segtype": "linear", "lv_health_status": ""},
                        ]
                    }
                ]
            }
        ),
        "multipath": "mpatha (36) dm-0\n  `- 3:0:0:1 sdc 8:32 failed faulty running\n",
        "systemctl is-active": "active\n",
    }
    said = fake.said("PF25", fake.machine(commands))
    assert said == [("PF25", "storage.lvm", "blocker", name) for name in ("VG vg0", "LV vg0/a", "LV vg0/b", "LV vg0/c")] + [
        ("PF25", "storage.multipath", "blocker", "multipath")
    ]


def mounts(*rows):
    return json.dumps({"filesystems": [dict(zip(("target", "source", "fstype", "options"), row)) for row in rows]})


@pytest.mark.parametrize(
    "row, expected",
    [
        (("/srv/nfs", "nas:/x", "nfs4", "rw"), ("mounts.network", "warning")),
        (("/mnt/win", "//nas/x", "cifs", "rw"), ("mounts.network", "warning")),
        (("/mnt/ssh", "a:/", "fuse.sshfs", "rw"), ("mounts.network", "warning")),
        (("/mnt/arc", "rar2fs", "fuse.rar2fs", "rw"), ("mounts.network", "warning")),
        (("/srv/layer", "overlay", "overlay", "rw"), ("mounts.layer", "warning")),
        (("/var/lib/docker/overlay2/x/merged", "overlay", "overlay", "rw"), None),
        (("/proc/cpuinfo", "lxcfs", "fuse.lxcfs", "rw"), None),
        (("/", "overlay", "overlay", "rw"), None),
        (("/home", "/dev/sda1", "ext4", "rw"), None),
    ],
)
def test_mounts_that_are_not_local(row, expected):
    said = fake.said("PF22", fake.context({"findmnt": mounts(row)}))
    assert said == ([("PF22", expected[0], expected[1], row[0])] if expected else [])


def test_a_root_that_is_a_layer_is_known_in_a_container_only_and_red_hats_way_refuses_the_network():
    assert fake.said("PF22", fake.machine({"findmnt": mounts(("/", "overlay", "overlay", "rw"))})) == [("PF22", "mounts.layer", "warning", "/")]
    path = dict(fake.PATH, target={"id": "almalinux", "version": "9"})
    context = fake.machine({"findmnt": mounts(("/srv", "nas:/x", "nfs", "rw"))}, release_path=path)
    assert fake.said("PF22", context) == [("PF22", "mounts.network", "blocker", "/srv")]


# The tools that are here.


def run(*argv, **more):
    return subprocess.run(argv, check=True, capture_output=True, text=True, **more).stdout


def real(**items):
    return Context(host=Host(), release_path=dict(fake.PATH, storage=RULES), baseline=fake.disks(**items))


def test_the_real_findmnt_and_smartctl():
    tool("findmnt")
    rows = storage.mounted(run("findmnt", "--json", "--list", "-o", "TARGET,SOURCE,FSTYPE,OPTIONS"))
    assert "/" in [row["target"] for row in rows] and all(row["fstype"] for row in rows)
    assert all(finding.severity != "blocker" for finding in storage.network(real()))
    devices = json.loads(run(tool("smartctl"), "--scan", "-j")).get("devices") or []
    assert all(entry["name"].startswith("/dev/") for entry in devices)


def test_errors_in_a_real_ext4(tmp_path):
    image = str(tmp_path / "image")
    with open(image, "wb") as out:
        out.truncate(8 << 20)
    run(tool("mkfs.ext4"), "-q", "-F", image)
    context = real(x={"type": "ext4"})
    context.items("disks")["x"]["path"] = image
    tool("dumpe2fs")
    context._known["container"] = ""
    assert health._ext(context) == []
    with open(image, "r+b") as out:  # s_error_count of the superblock, and no checksum of it to keep right
        run(tool("tune2fs"), "-O", "^metadata_csum", image)
        out.seek(1024 + 0x194)
        out.write(struct.pack("<I", 7))
    (found,) = health._ext(context)
    assert (found.id, found.severity) == ("disks.health.filesystem", "blocker") and found.evidence.startswith("7 errors")


@pytest.mark.parametrize("version", ["luks1", "luks2"])
def test_a_real_luks_header(tmp_path, version):
    image = str(tmp_path / "image")
    with open(image, "wb") as out:
        out.truncate(32 << 20)
    argv = [tool("cryptsetup"), "luksFormat", "-q", "--type", version, "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000", "--key-file", "-", image]
    done = subprocess.run(argv, input=b"secret", capture_output=True, check=False)
    if done.returncode:
        pytest.skip("cryptsetup cannot format here: %s" % done.stderr.decode().strip()[:200])
    context = real(x={"type": "crypto_LUKS"})
    context.items("disks")["x"]["path"] = image
    assert (version, "x", image) in storage.shapes(context)


def test_a_real_old_xfs(tmp_path):
    image = str(tmp_path / "image")
    tool("xfs_info")
    with open(image, "wb") as out:
        out.truncate(320 << 20)
    run(tool("mkfs.xfs"), "-q", "-f", "-m", "crc=0", "-n", "ftype=0", image, env=dict(os.environ, PATH=SBIN))
    context = real(x={"type": "xfs", "mounts": [image]})
    found = {shape for shape, _subject, _evidence in storage.shapes(context)}
    assert {"xfs v4", "xfs ftype=0", "fs xfs"} <= found
    (finding,) = [f for f in _judged(context) if f.details.get("shape") == "xfs v4"]
    assert finding.severity == "blocker"


def _judged(context):
    context._known["container"] = ""
    return storage.storage(context)


def test_the_real_lvm_answers_in_the_form_that_is_read():
    tool("vgs")
    assert isinstance(storage._report(Host(), ["vgs", "-o", "vg_name,vg_attr,vg_fmt,vg_missing_pv_count"], "vg"), list)
    assert isinstance(storage._report(Host(), ["lvs", "-a", "-o", "lv_full_name,lv_attr,segtype,lv_health_status"], "lv"), list)
    fields = subprocess.run([tool("lvs"), "-o", "help"], capture_output=True, text=True, check=False)
    assert all(name in fields.stdout + fields.stderr for name in ("lv_attr", "segtype", "lv_health_status"))
