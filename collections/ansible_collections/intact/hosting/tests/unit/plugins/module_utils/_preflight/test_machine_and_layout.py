# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The machine itself: memory, processor, architecture, /usr, 64-bit time, components, a way in beside the network, names and certificates."""

from __future__ import annotations

import datetime

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._preflight import floor, foreign, layout, machine
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._preflight import preflight_host as fake

MIB = 1024  # of kB


@pytest.mark.parametrize(
    "available, swap, expected", [(300, 100, "blocker"), (511, 0, "blocker"), (512, 0, "warning"), (600, 300, "warning"), (600, 500, None)]
)
def test_memory_and_swap_together(available, swap, expected):
    text = "MemTotal: 4096000 kB\nMemAvailable: %d kB\nSwapFree: %d kB\n" % (available * MIB, swap * MIB)
    said = fake.said("PF17", fake.machine(files={"/proc/meminfo": text}))
    assert said == ([("PF17", "memory.short", expected, "memory")] if expected else [])


def test_a_containers_limit_counts_and_the_cache_in_it_does_not():
    info = "MemAvailable: 9000000 kB\nSwapFree: 0 kB\n"
    assert machine.spare(info, "1073741824\n", "1000000000\n", "inactive_file 600000000\nactive_file 100000000\n") == 1073741824 - 300000000
    assert machine.spare(info, "max\n", "1000000000\n") == 9000000 * 1024 and machine.spare("") is None
    older = {"limit_in_bytes": "536870912", "usage_in_bytes": "536870912", "stat": "inactive_file 9\ntotal_inactive_file 104857600\n"}
    files = dict({"/proc/meminfo": info}, **{"/sys/fs/cgroup/memory/memory." + name: text for name, text in older.items()})
    assert fake.said("PF17", fake.context(files=files)) == [("PF17", "memory.short", "blocker", "memory")]
    files = {"/proc/meminfo": info, "/sys/fs/cgroup/memory.max": "536870912", "/sys/fs/cgroup/memory.current": "500000000"}
    assert fake.said("PF17", fake.context(files=files)) == [("PF17", "memory.short", "blocker", "memory")]


V2 = "flags\t: fpu cx8 cmov fxsr mmx sse sse2 cx16 lahf_lm popcnt pni sse4_1 sse4_2 ssse3\n"


def test_the_level_is_the_slowest_processors():
    assert machine.level(V2) == "x86-64-v2" and machine.level(V2 + "flags : fpu cx8 cmov fxsr mmx sse sse2\n") == "x86-64-v1"
    assert machine.level("") == "" and machine.level("flags : fpu\n") == ""


def asked(own="amd64", others="", packages="", **more):
    commands = {"dpkg --print-architecture": own + "\n", "dpkg --print-foreign-architectures": others}
    commands[("dpkg-query", "-W", "-f", "${Package}\t${Architecture}\t${db:Status-Abbrev}\n")] = packages
    return commands


RULES = {
    "dropped": [{"architecture": "i386", "reason": "gone"}],
    "levels": [{"architecture": "amd64", "level": "x86-64-v3", "reason": "built for it"}],
    "kernels": [{"architecture": "armhf", "at_least": "5.6", "reason": "time64"}],
    "unified_cgroups": {"reason": "systemd 257"},
}


@pytest.mark.parametrize(
    "commands, files, ids",
    [
        (asked("i386"), {}, ["machine.architecture"]),
        (asked("amd64", "i386\n", "libc6\ti386\tii \n"), {"/proc/cpuinfo": V2}, ["machine.architecture.foreign", "machine.processor"]),
        (asked("amd64", "i386\n", "libc6\tamd64\tii \n"), {"/proc/cpuinfo": V2.replace("fpu", "fpu abm avx avx2 bmi1 bmi2 f16c fma movbe xsave")}, []),
        (asked("arm64"), {}, []),
        (asked("arm64"), {"/run/systemd/system/x": "", "/proc/mounts": "cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n"}, ["machine.cgroups"]),
        (asked("arm64"), {"/run/systemd/system/x": "", "/proc/mounts": "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n"}, []),
    ],
)
def test_architecture_and_processor(commands, files, ids):
    said = fake.said("PF18", fake.machine(commands, files, release_path=dict(fake.PATH, machine=RULES)))
    assert [(check, ident, severity) for check, ident, severity, _s in said] == [("PF18", ident, "blocker") for ident in ids]


def test_a_container_is_judged_by_the_kernel_below_it_and_not_by_its_control_groups():
    path = dict(fake.PATH, machine=RULES)
    files = {"/run/systemd/system/x": "", "/proc/mounts": "cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n"}
    assert fake.said("PF18", fake.context(asked("armhf"), files, release_path=path, release="4.19.0-6")) == [("PF18", "machine.kernel", "blocker", "kernel")]
    assert fake.said("PF18", fake.context(asked("armhf"), files, release_path=path, release="6.1.0-40")) == []
    # a machine's kernel is upgraded with it
    assert fake.said("PF18", fake.machine(asked("armhf"), release_path=path, release="4.19.0-6")) == []


USR = dict(fake.PATH, merged_usr={"reason": "packages lie in /usr"})
SPLIT = {"/bin/ls": "a", "/lib/x/one": "1", "/usr/lib/y": ""}


def test_a_merged_usr_is_silent():
    links = {"/bin": "usr/bin", "/lib": "usr/lib", "/sbin": "usr/sbin"}
    assert fake.said("PF19", fake.context(links=links, release_path=USR)) == []
    assert fake.said("PF19", fake.context(files=SPLIT)) == []


@pytest.mark.parametrize(
    "files, more, ids",
    [
        ({}, {}, ["usr.unmerged"]),
        ({}, {"installed": fake.packages(dpkg_fsys_usrunmess="1")}, ["usr.blocked"]),
        ({layout.FLAG: ""}, {}, ["usr.blocked"]),
        ({"/usr/lib/x/one": "1"}, {}, ["usr.collision"]),
        ({"/proc/mounts": "x /lib/modules ext4 rw 0 0\n"}, {}, ["usr.mount"]),
        ({"/proc/mounts": "overlay / overlay rw 0 0\n"}, {}, ["usr.overlay"]),
        ({"/usr/lib/x/one": "1"}, {"links": {"/usr/lib/x/one": "/lib/x/one"}}, ["usr.unmerged"]),
    ],
)
def test_a_usr_that_is_not_merged(files, more, ids):
    said = fake.said("PF19", fake.machine(files=dict(SPLIT, **files), release_path=USR, **more))
    assert [(check, ident, severity) for check, ident, severity, _s in said] == [("PF19", ident, "blocker") for ident in ids]


def test_a_path_that_merges_by_itself_only_warns():
    path = dict(fake.PATH, merged_usr={"late": True, "reason": "x"})
    (found,) = fake.said("PF19", fake.machine(files=SPLIT, release_path=path))
    assert found == ("PF19", "usr.unmerged", "warning", "/bin, /lib")


@pytest.mark.parametrize(
    "link, other, same",
    [
        (None, None, False),
        ("/usr/lib/a", None, True),
        (None, "/lib/a", True),
        ("a.1", "a.1", True),
        ("a.1", "/lib/a.1", True),
        ("/usr/lib/b", "b", True),
        ("a.1", "a.2", False),
        ("/opt/a", None, False),
    ],
)
def test_links_from_one_place_to_the_other(link, other, same):
    assert layout.leads_over("/lib/a", link, other) is same


def test_packages_from_elsewhere_that_need_old_names(monkeypatch):
    monkeypatch.setattr(foreign, "unknown", lambda _context: ["vendor-tool", "vendor-new", "vendor-plain"])
    depends = {"vendor-tool": "libssl3 (>= 3), libc6", "vendor-new": "libssl3 | libssl3t64, libc6", "vendor-plain": "libcurl4"}
    commands = {("dpkg-query", "-W", "-f", "${Pre-Depends}, ${Depends}\n", name): ", %s\n" % text for name, text in depends.items()}
    commands["apt-cache"] = "Package: libssl3t64\nVersion: 3\n\nPackage: libcurl4t64\nProvides: libcurl4 (= 8)\n"
    plan = {"install": ["libssl3t64", "libcurl4t64"], "remove": ["libssl3", "libcurl4"], "apt": {"config": "/c"}}
    path = dict(fake.PATH, renamed_libraries={"suffix": "t64", "reason": "64-bit time"})
    context = fake.context(commands, {"/c": ""}, plan=plan, release_path=path)
    assert fake.said("PF20", context) == [("PF20", "libraries.time64", "warning", "vendor-tool")]
    assert fake.said("PF20", fake.context(commands, plan={}, release_path=path)) == []


SOURCE = "deb http://deb.example.com/debian bookworm %s\n"
COMPONENTS = dict(fake.PATH, components=[{"having": "non-free", "add": "non-free-firmware", "reason": "split"}])


@pytest.mark.parametrize(
    "has, installed, plan, expected",
    [
        ("main", "", {}, None),
        ("main non-free", "", {}, "warning"),
        ("main non-free", "", {"stages": ["stage-sources"]}, "info"),
        ("main non-free non-free-firmware", "", {}, None),
        ("main", fake.packages(firmware_bnx2="1"), {"stages": ["stage-sources"]}, "warning"),
    ],
)
def test_a_component_that_was_split(has, installed, plan, expected):
    context = fake.context(files={"/etc/apt/sources.list": SOURCE % has}, installed=installed, plan=plan, release_path=COMPONENTS)
    assert fake.said("PF11", context) == ([("PF11", "sources.component", expected, "non-free-firmware")] if expected else [])


def days_ago(number):
    return (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=number)).strftime("%Y-%m-%d")


@pytest.mark.parametrize(
    "given, ident",
    [
        (None, "access.out-of-band"),
        ({"who": "jane", "how": "KVM", "when": days_ago(3)}, "access.out-of-band.attested"),
        ({"who": "jane", "how": "KVM", "when": days_ago(32)}, "access.out-of-band"),
        ({"who": "jane", "how": "KVM", "when": days_ago(-9)}, "access.out-of-band"),
        ({"who": "", "how": "KVM", "when": days_ago(3)}, "access.out-of-band"),
        ({"who": "jane", "how": "KVM", "when": "yesterday"}, "access.out-of-band"),
    ],
)
def test_a_way_in_beside_the_network(given, ident):
    options = {"out_of_band": given, "out_of_band_days": 30}
    grave = "info" if ident.endswith("attested") else "blocker"
    assert fake.said("PF32", fake.machine(options=options)) == [("PF32", ident, grave, "console")]
    milder = "info" if ident.endswith("attested") else "warning"
    assert fake.said("PF32", fake.machine(bare=False, options=options)) == [("PF32", ident, milder, "console")]
    assert fake.said("PF32", fake.context(options=options)) == []


NAMED = {"/proc/sys/kernel/hostname": "web1\n", "/etc/hostname": "web1\n"}


@pytest.mark.parametrize(
    "commands, files, ids",
    [
        ({"hostname": "web1.example.com\n"}, {}, []),
        ({"hostname": "web1\n"}, {}, ["host.fqdn"]),
        ({"hostname": (1, "", "hostname: Name or service not known")}, {}, ["host.fqdn"]),
        ({"hostname": "web1.example.com\n"}, {"/etc/hostname": "web2\n"}, ["host.name.changes"]),
        ({"hostname": "localhost\n"}, {"/proc/sys/kernel/hostname": "localhost\n"}, ["host.name", "host.fqdn"]),
        ({"hostname": "web1.example.com\n", "timedatectl": "NTP=no\nNTPSynchronized=no\n"}, {}, ["host.time"]),
        ({"hostname": "web1.example.com\n", "timedatectl": (1, "", "no bus")}, {}, []),
    ],
)
def test_names_and_time(commands, files, ids):
    said = fake.said("PF50", fake.machine(commands, dict(NAMED, **files)))
    assert [(check, ident, severity) for check, ident, severity, _s in said] == [("PF50", ident, "warning") for ident in ids]
    assert "host.time" not in [row[1] for row in fake.said("PF50", fake.context(commands, dict(NAMED, **files)))]


def x509(bits, signature):
    return "Signature Algorithm: %s\n Public Key Algorithm: rsaEncryption\n  Public-Key: (%d bit)\n" % (signature, bits)


@pytest.mark.parametrize(
    "text, alone, number",
    [
        (x509(1024, "sha256WithRSAEncryption"), True, 1),
        (x509(2048, "sha1WithRSAEncryption"), False, 1),
        (x509(2048, "sha1WithRSAEncryption"), True, 0),
        (x509(2048, "sha256WithRSAEncryption"), False, 0),
    ],
)
def test_certificates_that_new_libraries_refuse(text, alone, number):
    baseline = {"sections": {"tls": {"data": {"items": {"shop:443": {"paths": ["/etc/ssl/a.pem", "site:shop"], "self_signed": alone}}}}}}
    files = dict(NAMED, **{"/etc/ssl/a.pem": "-----BEGIN CERTIFICATE-----\n"})
    said = fake.said("PF50", fake.context({"hostname": "web1.example.com\n", "openssl": text}, files, baseline=baseline))
    assert said == [("PF50", "host.certificate", "warning", "/etc/ssl/a.pem")] * number
    assert floor.certificate(text)[0] == "rsaEncryption"
