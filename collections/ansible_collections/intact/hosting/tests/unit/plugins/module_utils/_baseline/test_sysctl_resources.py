# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Kernel settings and resources."""

from __future__ import annotations

import copy

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._baseline import resources, sysctl
from ansible_collections.intact.hosting.tests.unit.plugins.fake_system import FakeSystem

PROC = {
    "/proc/sys/net/core/somaxconn": "4096\n",
    "/proc/sys/net/ipv4/ip_forward": "0\n",
    "/proc/sys/vm/swappiness": "60\n",
    "/proc/sys/net/ipv4/ip_local_port_range": "20000\t60999\n",
    "/proc/sys/net/ipv4/conf/eth0.100/rp_filter": "2\n",
    "/proc/sys/net/ipv4/conf/lo/rp_filter": "0\n",
    "/proc/sys/net/ipv4/conf/docker0/rp_filter": "1\n",
    "/proc/sys/kernel/hostname": "web1\n",
}
ETC = {
    "/etc/sysctl.d/60-hosting.conf": "# x\n"
    "net.core.somaxconn = 4096\nnet/ipv4/ip_local_port_range=20000 60999\n-net.ipv4.conf.*.rp_filter = 2\nkernel.hostname = web1\n"
    "no.such.key = 1\n",
    "/usr/lib/sysctl.d/60-hosting.conf": "vm.swappiness = 1\n",
    "/usr/lib/sysctl.d/50-default.conf": "net.ipv4.ip_forward = 0\n",
    "/etc/sysctl.conf": "vm.swappiness=10\n",
}


def captured(files=None, linked=True):
    return sysctl.capture(FakeSystem(files=dict(PROC, **ETC, **(files or {})), links={"/etc/sysctl.d/99-sysctl.conf": "../sysctl.conf"} if linked else {}))


def test_values_in_force_and_where_they_are_set():
    data = captured()
    assert data["items"]["net.core.somaxconn"] == {"value": "4096", "set": "4096", "set_in": "/etc/sysctl.d/60-hosting.conf"}
    assert data["items"]["net.ipv4.ip_local_port_range"]["value"] == "20000 60999"
    assert data["items"]["net.ipv4.conf.eth0/100.rp_filter"]["set"] == "2"
    assert data["items"]["vm.swappiness"]["set_in"] == "/etc/sysctl.d/99-sysctl.conf"
    assert data["items"]["net.ipv4.ip_forward"]["set_in"] == "/usr/lib/sysctl.d/50-default.conf"
    assert "kernel.hostname" not in data["items"] and "no.such.key" not in data["items"] and "net.ipv4.conf.docker0.rp_filter" not in data["items"]
    assert data["ignored"] == {}
    assert sysctl.compare(data, captured()) == []


def test_sysctl_conf_that_the_new_release_no_longer_reads():
    """Debian 13 has no 99-sysctl.conf: the value falls back and only the comparison notices."""
    before = captured({"/proc/sys/vm/swappiness": "10\n"})
    found = sysctl.compare(before, captured(linked=False))
    assert [(f.id, f.subject, f.severity) for f in found] == [("sysctl.changed", "vm.swappiness", "blocker")]
    assert "no longer reads" in found[0].evidence and "/etc/sysctl.d" in found[0].remedy


@pytest.mark.parametrize(
    ("key", "path", "severity"),
    [
        ("net.core.somaxconn", "/proc/sys/net/core/somaxconn", "blocker"),
        ("net.ipv4.ip_forward", "/proc/sys/net/ipv4/ip_forward", "warning"),
    ],
)
def test_who_set_it_tells_how_grave_it_is(key, path, severity):
    found = sysctl.compare(captured(), captured({path: "128"}))
    assert [(f.id, f.subject, f.severity, f.details["after"]) for f in found] == [("sysctl.changed", key, severity, "128")]


def test_a_setting_that_the_kernel_lost():
    after = captured()
    del after["items"]["net.core.somaxconn"], after["items"]["net.ipv4.ip_forward"]
    assert [(f.id, f.subject) for f in sysctl.compare(captured(), after)] == [("sysctl.missing", "net.core.somaxconn")]


# Debian 12 in a container.
DF = """Filesystem     Type    1024-blocks     Used Available Capacity Mounted on
overlay        overlay   264212084 36313272  70077640      35% /
tmpfs          tmpfs         65536        0     65536       0% /dev
/dev/vda       ext4      264212084 36313272  70077640      35% /etc/hosts
/dev/loop2     ext4        3020272     1040   2845492       1% /home
"""
INODES = """Filesystem     Type      Inodes  IUsed    IFree IUse% Mounted on
overlay        overlay 16777216 637594 16139622    4% /
/dev/vda       ext4    16777216 637594 16139622    4% /etc/hosts
/dev/loop2     ext4      196608   1000   195608    1% /home
/dev/vdb       btrfs          0      0        0     - /data
"""


def host(df=DF):
    files = {
        "/proc/meminfo": "MemTotal:       24684084 kB\nMemFree:        15798712 kB\nMemAvailable:   17771440 kB\n"
        "SwapTotal:             0 kB\nSwapFree:              0 kB\n",
        "/proc/loadavg": "2.82 2.79 2.65 2/790 1073\n",
        "/proc/cpuinfo": "processor\t: 0\n\nprocessor\t: 1\n",
        "/etc/hosts": "",
    }
    return FakeSystem({"df -lkPT": df, "df -liPT": INODES}, files, directories=["/home", "/dev"])


def test_resources():
    items = resources.capture(host())["items"]
    assert items["memory"] == {"total_mb": 24105, "available_mb": 17354, "swap_used_mb": 0}
    assert items["load"] == {"fifteen": 2.65, "processors": 2} and items["processes"] == {"count": 790}
    assert sorted(items) == ["inodes /", "inodes /home", "load", "memory", "processes", "space /", "space /home"]
    assert items["space /"] == {"size_mb": 258019, "used_percent": 34}


@pytest.mark.parametrize(
    ("before", "after", "finding"),
    [
        ({}, {}, None),
        ({("memory", "available_mb"): 17000}, {("memory", "available_mb"): 9000}, None),
        ({("memory", "available_mb"): 17000}, {("memory", "available_mb"): 2000}, "resources.memory.low"),
        ({("memory", "available_mb"): 2200}, {("memory", "available_mb"): 2000}, None),
        ({}, {("memory", "total_mb"): 12000}, "resources.memory.smaller"),
        ({("load", "fifteen"): 0.5}, {("load", "fifteen"): 7.9}, None),
        ({("load", "fifteen"): 0.5}, {("load", "fifteen"): 9.0}, "resources.load.high"),
        ({("space /", "used_percent"): 60}, {("space /", "used_percent"): 94}, None),
        ({("space /", "used_percent"): 60}, {("space /", "used_percent"): 97}, "resources.space.full"),
        ({("space /", "used_percent"): 96}, {("space /", "used_percent"): 97}, None),
        ({("inodes /home", "used_percent"): 1}, {("inodes /home", "used_percent"): 99}, "resources.inodes.full"),
    ],
)
def test_need_not_noise(before, after, finding):
    sides = []
    for changes in (before, after):
        side = copy.deepcopy(resources.capture(host()))
        for (name, key), value in changes.items():
            side["items"][name][key] = value
        sides.append(side)
    found = resources.compare(*sides)
    assert [f.id for f in found] == ([finding] if finding else [])
    assert all(f.severity == "warning" for f in found)
