# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Room for the transaction, inodes, /tmp, fstab and the identity of disks."""

from __future__ import annotations

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._baseline import disks as probe
from ansible_collections.intact.hosting.plugins.module_utils._preflight import disks, space
from ansible_collections.intact.hosting.plugins.module_utils._preflight._system import Space
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._preflight import preflight_host as fake

MIB = 1 << 20


def room(device, free, inodes=1 << 19):
    return Space(device, 1 << 40, free, 1 << 20, inodes)


@pytest.mark.parametrize("free, ids", [(1200 * MIB, ["space.enough"]), (1199 * MIB, ["space.short"])])
def test_the_real_size_and_a_fifth_more(free, ids):
    plan = {"disk_bytes": {"/": 600 * MIB, "/var": 400 * MIB}, "download_bytes": 250 * MIB, "upgrade": ["x"]}
    found = space.transaction(fake.context(plan=plan, spaces={"/": room(1, free)}))
    assert [f.id for f in found] == ids
    if ids == ["space.short"]:
        assert found[0].subject == "/" and "1.2 GiB" in found[0].evidence and "apt-get clean" in found[0].remedy


def test_filesystems_are_summed_apart():
    plan = {"disk_bytes": {"/": 10 * MIB, "/var": 400 * MIB, "/var/cache/apt/archives": 300 * MIB}}
    spaces = {"/": room(1, 500 * MIB), "/var": room(2, 700 * MIB), "/var/cache/apt/archives": room(2, 700 * MIB)}
    assert fake.ids(space.transaction(fake.context(plan=plan, spaces=spaces))) == [("space.short", "blocker", "/var")]


def test_without_a_plan_nobody_says_that_there_is_room():
    assert [f.id for f in space.transaction(fake.context())] == ["space.unknown"]
    assert [f.id for f in space.transaction(fake.context(plan={"upgrade": ["x"]}))] == ["space.unknown"]


@pytest.mark.parametrize("free, ids", [(30 * MIB, ["boot.short"]), (200 * MIB, [])])
def test_room_in_boot(free, ids):
    files = {"/run/systemd/container": None, "/boot/vmlinuz-6.1": "", "/boot/initrd.img-6.1": ""}
    stats = {"/boot/vmlinuz-6.1": {"size": 8 * MIB}, "/boot/initrd.img-6.1": {"size": 40 * MIB}}
    context = fake.context({"systemd-detect-virt": (1, "none")}, files, stats=stats, spaces={"/boot": room(2, free)})
    assert [f.id for f in space.boot(context)] == ids


def test_a_containers_boot_is_not_judged_and_says_so():
    assert fake.ids(space.boot(fake.context())) == [("boot.unseen", "info", "/boot")]


@pytest.mark.parametrize("free, ids", [(52428, ["space.inodes"]), (52430, [])])
def test_inodes_below_a_twentieth(free, ids):
    context = fake.context(files={"/var/x": ""}, spaces={"/": room(1, 0), "/var": room(2, 0, free)})
    assert [(f.id, f.subject) for f in space.inodes(context)] == [(i, "/var") for i in ids]


GREP = "/etc/app.conf:store = /tmp/app-queue/data\n/etc/mysql/my.cnf:tmpdir = /tmp/mysql\n/etc/cron.d/x:# uses /tmp/x\n/etc/shipped.conf:path /tmp/shipped\n"


def test_what_relies_on_tmp_and_nothing_that_is_temporary_or_shipped():
    commands = {
        "grep": GREP,
        "dpkg-query -W -f ${Conffiles}\n": " /etc/shipped.conf 0123456789abcdef0123456789abcdef\n",
        "md5sum": "0123456789abcdef0123456789abcdef  /etc/shipped.conf\n",
    }
    commands = {tuple(k.split(" ")) if "Conffiles" in k else k: v for k, v in commands.items()}
    context = fake.context(commands, opened={"/tmp/journal.db": "appd", "/tmp/systemd-private-1/x": "php-fpm8.2"})
    found = space.temporary(context)
    assert fake.ids(found) == [("tmp.configured", "warning", "/etc/app.conf"), ("tmp.open", "warning", "/tmp/journal.db")]
    assert "/tmp/app-queue/data" in found[0].title


@pytest.mark.parametrize(
    "files, links",
    [
        ({"/proc/mounts": "tmpfs /tmp tmpfs rw 0 0\n"}, {}),
        ({}, {"/etc/systemd/system/tmp.mount": "/dev/null"}),
        ({"/etc/fstab": "UUID=1 /tmp ext4 defaults 0 2\n"}, {}),
    ],
)
def test_a_tmp_that_stays_as_it_is(files, links):
    assert space.temporary(fake.context(files=files, links=links)) == []


FSTAB = """# x
UUID=1 / ext4 defaults 0 1
UUID=2 /home ext4 defaults 0 2
%s
"""
MOUNTS = "a / ext4 rw 0 0\nb /home ext4 rw 0 0\nc /srv ext4 rw 0 0\n"


@pytest.mark.parametrize(
    "line, ids",
    [
        ("", []),
        ("UUID=3 /srv ext4 defaults 0 2", []),
        ("/dev/sdb1 /srv ext4 defaults 0 2", ["mounts.fstab.name"]),
        ("UUID=3 /home ext4 defaults 0 2", ["mounts.fstab.duplicate"]),
        ("UUID=3 /backup ext4 defaults 0 2", ["mounts.fstab.unmounted"]),
        ("UUID=3 /backup ext4 noauto 0 2", []),
        ("UUID=4 none swap sw 0 0", []),
    ],
)
def test_fstab(line, ids):
    context = fake.context({"findmnt": "Success, no errors or warnings detected\n"}, {"/etc/fstab": FSTAB % line, "/proc/mounts": MOUNTS})
    assert [f.id for f in disks.fstab(context)] == ids


def test_findmnts_errors_are_told_and_its_warnings_are_not():
    verify = "/home\n   [W] source UUID=2 does not exist\n/srv\n   [E] unreachable on boot required source: UUID=3\n"
    context = fake.context({"findmnt": (1, verify)}, {"/etc/fstab": FSTAB % "", "/proc/mounts": MOUNTS})
    (finding,) = disks.fstab(context)
    assert (finding.id, finding.subject) == ("mounts.fstab.invalid", "/srv") and "UUID=3" in finding.evidence


def item(**more):
    base = dict(
        kind="disk",
        path="/dev/sdb",
        size=1 << 30,
        serial="S1",
        wwn="",
        model="",
        type="ext4",
        uuid="u1",
        label="",
        partuuid="",
        table_type="",
        table="",
        mounts=["/home"],
        holders=[],
        parent="",
        partition="",
    )
    return dict(base, **more)


def identity(now, earlier=None):
    baseline = {"sections": {"disks": {"status": "ok", "data": {"items": now}}}}
    inventories = [{"from": "/var/lib/intact/disks.json", "taken": "2026-11-01", "items": earlier}] if earlier is not None else []
    return disks.identity(fake.context(baseline=baseline, compare_disks=probe.compare, inventories=inventories))


def test_the_first_look_is_told_and_an_idle_file_system_too():
    found = identity({"SERIAL=S1": item(), "SERIAL=S2": item(serial="S2", uuid="u2", mounts=[], path="/dev/sdc")})
    assert fake.ids(found) == [("disks.first", "info", "disks"), ("disks.idle", "warning", "SERIAL=S2")]


def test_the_same_disks_are_silent():
    assert identity({"SERIAL=S1": item()}, {"SERIAL=S1": item()}) == []


def test_another_disk_at_the_same_place_blocks():
    found = identity({"SERIAL=S9": item(serial="S9", uuid="u9")}, {"SERIAL=S1": item()})
    assert [(f.id, f.severity, f.subject, f.check) for f in found] == [("disks.identity.changed", "blocker", "/home", "PF23")]
    assert "2026-11-01" in found[0].evidence and "disks.json" in found[0].remedy


def test_an_unknown_disk_with_data_blocks():
    found = identity({"SERIAL=S1": item(), "SERIAL=S2": item(serial="S2", uuid="u2", mounts=[], path="/dev/sdc")}, {"SERIAL=S1": item()})
    assert fake.ids(found) == [("disks.unknown", "blocker", "SERIAL=S2")]


def test_unread_disks_block():
    context = fake.context(baseline={"sections": {"disks": {"status": "failed", "reason": "no /sys"}}})
    assert fake.ids(disks.identity(context)) == [("disks.unread", "blocker", "disks")]
