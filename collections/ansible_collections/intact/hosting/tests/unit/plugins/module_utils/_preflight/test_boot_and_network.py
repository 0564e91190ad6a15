# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From the firmware to the network: boot loader, proof that it is ours, names of network cards, resolver, drivers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._preflight import _machine, bootchain, drivers, naming
from ansible_collections.intact.hosting.plugins.module_utils._preflight._context import Context
from ansible_collections.intact.hosting.plugins.module_utils._preflight._system import Host
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._preflight import preflight_host as fake

GRUB = b"\xebc\x90" + b"\0" * 380 + b"GRUB \0Geom\0Hard Disk\0Read\0 Error\r\n" + b"\0" * 60 + b"\x55\xaa"
ONE = dict(sda={}, sda1={"kind": "partition", "parent": "sda", "mounts": ["/"]})
TWO = dict(
    sda={},
    sdb={},
    sda1={"kind": "partition", "parent": "sda", "holders": ["/dev/md0"]},
    sdb1={"kind": "partition", "parent": "sdb", "holders": ["/dev/md0"]},
    md0={"kind": "raid", "mounts": ["/"]},
)
PC = fake.packages(grub_pc="2.06")


def debconf(devices, empty="false"):
    return {"debconf-show grub-pc": "* grub-pc/install_devices: %s\n  grub-pc/install_devices_empty: %s\n" % (devices, empty)}


def test_debconfs_words():
    told = bootchain.parse_debconf("* grub-pc/install_devices: /dev/sda, /dev/sdb\n  grub-pc/install_devices_empty: false\n")
    assert told == {"grub-pc/install_devices": ("/dev/sda, /dev/sdb", True), "grub-pc/install_devices_empty": ("false", False)}


@pytest.mark.parametrize(
    "answers, files, disks, expected",
    [
        (debconf("/dev/disk/by-id/a"), {"/dev/disk/by-id/a": "", "/dev/sda": GRUB}, ONE, []),
        (debconf("/dev/disk/by-id/gone"), {"/dev/sda": GRUB}, ONE, [("boot.loader.device", "blocker", "/dev/disk/by-id/gone")]),
        (debconf("/dev/sda"), {"/dev/sda": GRUB}, ONE, []),
        (debconf("/dev/sda"), {"/dev/sda": GRUB}, dict(ONE, sdb={}), [("boot.loader.name", "warning", "/dev/sda")]),
        (debconf(""), {"/dev/sda": GRUB}, ONE, [("boot.loader.unanswered", "warning", "grub-pc")]),
        (debconf("", "true"), {"/dev/sda": GRUB}, ONE, [("boot.loader.unanswered", "info", "grub-pc")]),
        (debconf("/dev/disk/by-id/a"), {"/dev/disk/by-id/a": "", "/dev/sda": b"\0" * 512}, ONE, [("boot.loader.member", "warning", "sda")]),
        (debconf("/dev/disk/by-id/a"), {"/dev/disk/by-id/a": "", "/dev/sda": OSError(5, "I/O")}, ONE, []),
    ],
)
def test_grub_in_the_boot_sector(answers, files, disks, expected):
    context = fake.machine(answers, files, installed=PC, baseline=fake.disks(**disks))
    assert fake.said("PF26", context) == [("PF26",) + row for row in expected]


def test_every_member_of_a_mirror_has_it():
    links = {"/dev/disk/by-id/a": "/dev/sda", "/dev/disk/by-id/b": "/dev/sdb"}
    files = {"/dev/sda": GRUB, "/dev/sdb": b"\0" * 512}

    def said(devices, **more):
        context = fake.machine(debconf(devices), dict(files, **more), installed=PC, baseline=fake.disks(**TWO), links=links)
        return fake.said("PF26", context)

    member = [("PF26", "boot.loader.member", "blocker", "sdb")]
    assert said("/dev/disk/by-id/a, /dev/disk/by-id/b") == member
    assert said("/dev/disk/by-id/a, /dev/disk/by-id/b", **{"/dev/sdb": GRUB}) == []
    # it is there, and nobody keeps it up to date
    assert said("/dev/disk/by-id/a", **{"/dev/sdb": GRUB}) == member


def test_a_stripe_or_a_volume_over_two_disks_is_no_mirror():
    files = {"/dev/sda": GRUB, "/dev/sdb": b"\0" * 512, "/dev/disk/by-id/a": "", "/sys/block/md0/md/level": "raid0\n"}
    links = {"/dev/disk/by-id/a": "/dev/sda"}
    volume = dict(sda=dict(holders=["/dev/vg-root"]), sdb=dict(holders=["/dev/vg-root"]), **{"vg-root": {"kind": "mapped", "mounts": ["/"]}})
    lvm = dict(sda=dict(holders=["/dev/a_rimage_0"]), sdb=dict(holders=["/dev/a_rimage_1"]), **{"vg-root": {"kind": "mapped", "mounts": ["/"]}})
    lvm.update({"a_rimage_0": {"kind": "mapped", "holders": ["/dev/vg-root"]}, "a_rimage_1": {"kind": "mapped", "holders": ["/dev/vg-root"]}})
    for disks, number in ((TWO, 0), (volume, 0), (lvm, 1)):
        context = fake.machine(debconf("/dev/disk/by-id/a"), files, installed=PC, baseline=fake.disks(**disks), links=links)
        assert fake.said("PF26", context) == [("PF26", "boot.loader.member", "blocker", "sdb")] * number


def test_another_boot_loader_is_only_told():
    said = fake.said("PF26", fake.machine(installed=fake.packages(extlinux="6")))
    assert said == [("PF26", "boot.loader.other", "warning", "boot loader")]


EFI = {"/sys/firmware/efi/x": "", "/proc/mounts": "/dev/sda1 /boot/efi vfat rw,relatime 0 0\n/dev/md0 / ext4 rw 0 0\n"}
SIGNED = fake.packages(grub_efi_amd64="2.06")


@pytest.mark.parametrize(
    "mounts, expected",
    [
        ("/dev/sda1 /boot/efi vfat rw,relatime 0 0\n", []),
        ("/dev/sda1 /boot/efi vfat ro,relatime 0 0\n", [("boot.esp.readonly", "blocker", "/boot/efi")]),
        ("/dev/sda1 /boot ext4 rw 0 0\n", [("boot.esp.unmounted", "blocker", "/boot/efi")]),
    ],
)
def test_the_efi_system_partition(mounts, expected):
    context = fake.machine(files=dict(EFI, **{"/proc/mounts": mounts}), installed=SIGNED, baseline=fake.disks(**ONE))
    assert fake.said("PF26", context) == [("PF26",) + row for row in expected]


def test_a_mirror_with_one_efi_partition_and_an_entry_that_leads_nowhere():
    disks = dict(TWO, sda2={"kind": "partition", "parent": "sda", "type": "vfat", "partuuid": "11111111-aaaa"})
    efibootmgr = "BootCurrent: 0001\nBootOrder: 0001,0002\nBoot0001* debian\tHD(1,GPT,22222222-bbbb,0x800,0x100000)/File(\\EFI\\debian\\shimx64.efi)\n"
    context = fake.machine({"efibootmgr": efibootmgr}, EFI, installed=SIGNED, baseline=fake.disks(**disks))
    assert fake.said("PF26", context) == [("PF26", "boot.loader.member", "blocker", "sdb"), ("PF26", "boot.loader.entry", "warning", "Boot0001")]


CONFIG = """set default="0"
menuentry 'Debian' {
\tlinux\t/boot/vmlinuz-6.1.0-40-amd64 root=UUID=abc ro  quiet
}
submenu 'more' {
\t\tlinux\t/boot/vmlinuz-6.1.0-39-amd64 root=UUID=abc ro  quiet
}
"""
LINE = "BOOT_IMAGE=/boot/vmlinuz-6.1.0-40-amd64 root=UUID=abc ro quiet"


def booted(cmdline, config=CONFIG, bare=True, **more):
    files = dict({"/proc/cmdline": cmdline + "\n", "/boot/grub/grub.cfg": config}, **more)
    return fake.said("PF27", fake.machine(files=files, bare=bare))


def test_the_running_kernel_is_grubs():
    assert booted(LINE) == []
    # a kernel on a /boot of its own
    assert booted(LINE.replace("/boot/vmlinuz", "/vmlinuz")) == []


@pytest.mark.parametrize("cmdline", ["root=/dev/vda1 console=hvc0", "BOOT_IMAGE=pxe/vmlinuz root=/dev/nfs", LINE.replace("abc", "other")])
def test_a_kernel_from_elsewhere(cmdline):
    assert booted(cmdline) == [("PF27", "boot.unproven", "blocker", "boot chain")]
    assert booted(cmdline, bare=False) == [("PF27", "boot.unproven", "warning", "boot chain")]


def test_entries_in_files_and_what_grub_decides_at_the_moment():
    entry = "title x\nversion 6.1.0-40\nlinux /vmlinuz-6.1.0-40-amd64\noptions root=UUID=abc ro quiet\n"
    entries = {"/boot/loader/entries/a.conf": entry, "/boot/loader/entries/b.conf": entry.replace("6.1.0-40", "6.1.0-9")}
    assert [kernel for kernel, _a in bootchain.entry_lines(entries.values())] == ["vmlinuz-6.1.0-40-amd64", "vmlinuz-6.1.0-9-amd64"]
    assert booted(LINE, None, **entries) == []
    bls = {"/boot/loader/entries/a.conf": entry.replace("root=UUID=abc ro quiet", "$kernelopts"), "/boot/grub/grubenv": "kernelopts=root=UUID=abc ro quiet\n"}
    assert booted(LINE, 'set default="0"\n', **bls) == []
    xen = "menuentry 'Xen' {\n\tmultiboot2 /boot/xen.gz placeholder\n\tmodule2 /boot/vmlinuz-6.1.0-40-amd64 placeholder root=UUID=abc ro quiet\n}\n"
    assert booted("placeholder root=UUID=abc ro quiet", xen) == []
    assert booted(LINE + " vt.handoff=7", CONFIG.replace("quiet", "quiet $vt_handoff")) == []


def test_no_grub_at_all():
    assert booted(LINE, None) == [("PF27", "boot.unproven", "blocker", "boot chain")]


def test_settings_that_were_changed_since_a_tag_and_a_pinned_entry():
    assert booted(LINE + " mitigations=off") == [("PF27", "boot.likely", "warning", "boot chain")]
    tag = {"/etc/default/grub.d/intact.cfg": 'GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX intact.boot=1"\n'}
    assert booted("BOOT_IMAGE=x intact.boot=1", **tag) == [("PF27", "boot.proven", "info", "boot chain")]
    # a tag that our configuration does not have proves nothing
    assert booted("BOOT_IMAGE=x intact.boot=1") == [("PF27", "boot.unproven", "blocker", "boot chain")]
    assert booted(LINE, CONFIG.replace('"0"', '"2"')) == [("PF27", "boot.pinned", "warning", "GRUB")]
    saved = CONFIG.replace('default="0"', 'default="${saved_entry}"')
    assert booted(LINE, saved, **{"/boot/grub/grubenv": "saved_entry=old\n"}) == [("PF27", "boot.pinned", "warning", "GRUB")]
    assert booted(LINE, saved) == []
    older = LINE.replace("-40", "-39")
    files = {"/proc/cmdline": older, "/boot/grub/grub.cfg": CONFIG}
    assert fake.said("PF27", fake.machine(files=files, release="6.1.0-39-amd64")) == [("PF27", "boot.default", "warning", "GRUB")]


@pytest.mark.parametrize("number, ident", [("PF26", "boot.loader.unseen"), ("PF27", "boot.unseen"), ("PF47", "drivers.unseen")])
def test_a_container_has_no_boot_chain(number, ident):
    assert [row[:3] for row in fake.said(number, fake.context())] == [(number, ident, "info")]


INTERFACES = """source /etc/network/interfaces.d/*
auto lo
iface lo inet loopback
auto eth0
iface eth0 inet static
    address 192.0.2.1/24
allow-hotplug enp9s0
iface enp9s0 inet dhcp
auto br0
iface br0 inet static
    bridge_ports enp3s0 enp4s0
iface eth0.10 inet manual
    vlan-raw-device eth0
"""


def test_ifupdowns_file():
    told = naming.parse_interfaces(INTERFACES)
    assert set(told["names"]) == {"lo", "eth0", "enp9s0", "br0", "enp3s0", "enp4s0", "eth0.10"}
    assert told["auto"] == {"lo", "eth0", "br0"} and told["dhcp"] == {"enp9s0"} and "br0" in told["soft"]


def test_netplans_file():
    text = "network:\n  version: 2\n  ethernets:\n    eno1:\n      dhcp4: true\n    lan:\n      match:\n        macaddress: 00:11:22:33:44:55\n"
    text += "  bridges:\n    br0: {}\n"
    assert naming.parse_netplan(text) == {"eno1": (4, False), "lan": (6, True)}


def cards(**names):
    """Files and links of network cards: cards(eth0=("52:54:00:00:00:01", "virtio_net"))."""
    files, links = {}, {}
    for number, (name, (mac, driver)) in enumerate(sorted(names.items())):
        place = "/sys/devices/pci0000:00/0000:00:%02x.0" % number
        files["/sys/class/net/%s/address" % name] = mac + "\n"
        links["/sys/class/net/%s/device" % name] = place
        links[place + "/driver"] = "/sys/bus/pci/drivers/" + driver
        links[place + "/driver/module"] = "/sys/module/" + driver
    return files, links


IFUPDOWN = fake.packages(ifupdown="0.8", isc_dhcp_client="4.4")
PATH = dict(fake.PATH, network_names=[{"driver": "i40e", "reason": "np0"}, {"numbered_slot": "enp*", "severity": "warning", "reason": "slots"}])


def named(names, interfaces, files=None, bare=True, **more):
    here, links = cards(**names)
    here.update({"/etc/network/interfaces": interfaces}, **(files or {}))
    context = fake.machine(files=here, links=links, installed=more.pop("installed", IFUPDOWN), release_path=PATH, bare=bare, **more)
    return [row for row in fake.said("PF28", context) if row[2] != "info"]


def auto(*names):
    return "".join("auto %s\niface %s inet static\n" % (name, name) for name in names)


A, B = ("52:54:00:00:00:01", "virtio_net"), ("52:54:00:00:00:02", "virtio_net")
PIN = {"/etc/systemd/network/10-eth0.link": "[Match]\nMACAddress=52:54:00:00:00:01\n[Link]\nName=eth0\n"}


def test_names_that_the_kernel_gives():
    assert named({"ens3": A}, auto("ens3")) == []
    assert named({"eth0": A}, auto("eth0")) == [("PF28", "network.name.kernel", "warning", "eth0")]
    assert named({"eth0": A}, auto("eth0"), {"/proc/cmdline": "net.ifnames=0 quiet"}) == []
    assert named({"eth0": A}, auto("eth0"), PIN) == []
    both = named({"eth0": A, "eth1": B}, auto("eth0", "eth1"), {"/proc/cmdline": "net.ifnames=0"})
    assert both == [("PF28", "network.name.kernel", "blocker", "eth0"), ("PF28", "network.name.kernel", "blocker", "eth1")]
    rule = {"/etc/udev/rules.d/70-persistent-net.rules": 'SUBSYSTEM=="net", ATTR{address}=="52:54:00:00:00:02", NAME="eth1"\n'}
    assert named({"eth0": A, "eth1": B}, auto("eth0", "eth1"), dict(PIN, **rule)) == []


def test_names_that_change_with_the_release():
    card = ("52:54:00:00:00:03", "i40e")
    assert named({"enp1s0": card}, auto("enp1s0")) == [("PF28", "network.name.changes", "blocker", "enp1s0")]
    assert named({"enp1s0": card}, "") == []
    assert named({"enp1s0": card}, auto("enp1s0"), {"/proc/cmdline": "net.naming-scheme=v252"}) == []
    by_mac = "network:\n  ethernets:\n    enp1s0:\n      match:\n        macaddress: 52:54:00:00:00:03\n"
    plan = fake.packages(netplan_io="1").replace("netplan-io", "netplan.io")
    assert named({"enp1s0": card}, "", {"/etc/netplan/50.yaml": by_mac}, installed=plan) == []
    assert named({"enp1s0": card}, "", {"/etc/netplan/50.yaml": by_mac.split("      match", maxsplit=1)[0]}, installed=plan)[0][1:3] == (
        "network.name.changes",
        "blocker",
    )


def test_a_slot_that_the_firmware_numbers():
    number = {"/sys/devices/pci0000:00/firmware_node/sun": "3\n"}
    assert named({"enp1s0": A}, auto("enp1s0"), number) == [("PF28", "network.name.changes", "warning", "enp1s0")]
    assert named({"enp1s0": A}, auto("enp1s0")) == [] and named({"ens3": A}, auto("ens3"), number) == []


def test_a_name_that_is_not_there():
    assert named({"ens3": A}, auto("ens3", "ens9", "br0")) == [("PF28", "network.name.absent", "warning", "ens9")]


def test_networkmanager_and_networkd_are_read():
    files = {
        "/etc/NetworkManager/system-connections/a.nmconnection": "[connection]\ntype=ethernet\ninterface-name=eth0\n[ethernet]\n",
        "/etc/systemd/network/20-lan.network": "[Match]\nName=eth1\n[Network]\nDHCP=yes\n",
    }
    more = {"installed": fake.packages(network_manager="1", systemd="252"), "commands": {"systemctl is-enabled": "enabled\n"}}
    found = named({"eth0": A, "eth1": B}, "", files, **more)
    assert [row[1:3] for row in found] == [("network.name.kernel", "blocker")] * 2
    every = {"/etc/systemd/network/20-lan.network": "[Match]\nName=en* eth*\n[Network]\nDHCP=yes\n"}
    assert named({"eth0": A, "eth1": B}, "", every, **more) == []


def test_what_sets_the_network_up_stays():
    plan = {"remove": ["ifupdown", "isc-dhcp-client"]}
    dhcp = "auto ens3\niface ens3 inet dhcp\n"
    lost = [("PF28", "network.stack", "blocker", "ifupdown"), ("PF28", "network.dhcp", "blocker", "ens3")]
    assert named({"ens3": A}, dhcp, plan=plan) == lost
    assert named({"ens3": A}, dhcp, plan=dict(plan, install=["ifupdown2", "dhcpcd-base"])) == []
    # a container's network is the engine's, and a stack that goes is told there as well
    assert fake.said("PF28", fake.context(files={"/etc/network/interfaces": dhcp}, installed=IFUPDOWN, plan=plan)) == lost
    assert fake.said("PF28", fake.context(files={"/etc/network/interfaces": dhcp}, installed=IFUPDOWN)) == []


SPLIT = dict(fake.PATH, split_packages=[{"package": "systemd-resolved", "of": "systemd", "reason": "its own package"}])
STUB = {"/etc/resolv.conf": "/run/systemd/resolve/stub-resolv.conf"}
RUN = {"/run/systemd/resolve/stub-resolv.conf": "nameserver 127.0.0.53\n"}


@pytest.mark.parametrize(
    "more, expected",
    [
        ({"release_path": SPLIT}, ("resolver.split", "blocker", "systemd-resolved")),
        ({"release_path": SPLIT, "plan": {"install": ["systemd-resolved"]}}, None),
        ({"installed": fake.packages(systemd_resolved="252"), "plan": {"remove": ["systemd-resolved"]}}, ("resolver.split", "blocker", "systemd-resolved")),
        ({"installed": fake.packages(systemd_resolved="252")}, None),
        ({"installed": fake.packages(systemd_resolved="252"), "state": "disabled\n"}, ("resolver.off", "blocker", "systemd-resolved")),
    ],
)
def test_a_stub_resolver(more, expected):
    state = more.get("state", "enabled\n")
    more = {key: value for key, value in more.items() if key != "state"}
    for make in (fake.machine, fake.context):
        said = fake.said("PF29", make({"systemctl is-enabled": state}, RUN, links=STUB, **more))
        assert said == ([("PF29",) + expected] if expected else [])


def test_other_resolvers():
    assert fake.said("PF29", fake.context(files={"/etc/resolv.conf": "nameserver 192.0.2.53\n"}, release_path=SPLIT)) == []
    links = {"/etc/resolv.conf": "/run/resolvconf/resolv.conf"}
    assert fake.said("PF29", fake.context(files={"/run/resolvconf/resolv.conf": ""}, links=links, release_path=SPLIT)) == []
    gone = fake.context(
        files={"/run/resolvconf/resolv.conf": ""}, links=links, installed=fake.packages(resolvconf="1"), plan={"remove": ["resolvconf"]}, release_path=SPLIT
    )
    assert fake.said("PF29", gone) == [("PF29", "resolver.maker", "blocker", "/etc/resolv.conf")]
    assert fake.said("PF29", fake.context(links=links, release_path=SPLIT)) == [("PF29", "resolver.dangling", "blocker", "/etc/resolv.conf")]


GONE = dict(fake.PATH, removed_drivers=[{"module": "ixgb", "reason": "gone"}, {"module": "gone-too", "reason": "gone"}])


def driven(names, commands=None, files=None, **more):
    here, links = cards(**names)
    here.update(files or {})
    commands = dict({"dmesg": ""}, **(commands or {}))
    return fake.said("PF47", fake.machine(commands, here, links=links, release_path=GONE, **more))


def test_drivers_that_go():
    assert driven({"eth0": A}) == []
    assert driven({"eth0": ("m", "ixgb")}) == [("PF47", "drivers.removed", "blocker", "ixgb")]
    assert driven({"eth0": A}, files={"/proc/modules": "gone_too 16384 0 - Live 0x0\n"}) == [("PF47", "drivers.removed", "warning", "gone_too")]


def test_drivers_that_are_built_here():
    old, new = "r8168, 8.048.00, 6.1.0-40-amd64, x86_64: installed\n", "zfs/2.1.11, 6.1.0-40-amd64, x86_64: installed\n"
    assert drivers.parse_dkms(old)["r8168"]["versions"] == {"8.048.00"} and drivers.parse_dkms(new)["zfs"]["states"] == {"installed"}
    assert driven({"eth0": A}, {"dkms": new}) == [("PF47", "drivers.dkms", "warning", "zfs")]
    tainted = {"/sys/module/r8168/taint": "OE\n", "/sys/module/virtio_net/taint": "\n"}
    assert driven({"eth0": ("m", "r8168")}, {"dkms": old}, tainted) == [("PF47", "drivers.dkms", "blocker", "r8168")]
    assert driven({"eth0": ("m", "r8168")}, files=tainted) == [("PF47", "drivers.foreign", "blocker", "r8168")]
    family = {"/sys/module/%s/taint" % name: "PO\n" for name in ("zfs", "spl", "icp")}
    said = driven({"eth0": A}, {"dkms": new, "modinfo": "/lib/modules/6.1.0-40-amd64/updates/dkms/x.ko\n"}, family)
    assert said == [("PF47", "drivers.dkms", "warning", "zfs")]
    assert driven({"eth0": A}, files={"/sys/module/vendor/taint": "O\n"}) == [("PF47", "drivers.foreign", "warning", "vendor")]


def test_the_driver_of_the_boot_disk_and_missing_firmware():
    links = {"/sys/block/sda/device": "/sys/devices/pci0/0000:01:00.0/host0/target0/0:0:0:0", "/sys/devices/pci0/0000:01:00.0/driver": "/x/ixgb"}
    said = driven_disk(links, {"dmesg": "[1.0] bnx2 0000:02:00.0: firmware: failed to load bnx2/a.fw (-2)\n"})
    assert said == [("PF47", "drivers.removed", "blocker", "ixgb"), ("PF47", "drivers.firmware", "warning", "firmware")]


def driven_disk(links, commands):
    return fake.said("PF47", fake.machine(commands, links=links, release_path=GONE, baseline=fake.disks(**ONE)))


# The tools that are here.


def test_the_real_ip_debconf_and_proc():
    for name in ("ip", "debconf-show"):
        if not shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin"):
            pytest.skip("%s is not installed" % name)
    context = Context(host=Host(), release_path=PATH, baseline=fake.disks())
    links = {link["ifname"]: link["address"] for link in json.loads(subprocess.run(["/usr/sbin/ip", "-j", "link"], capture_output=True, check=True).stdout)}
    found = _machine.nics(context)
    assert set(found) <= set(links) and all(card["mac"] == links[name] for name, card in found.items())
    told = bootchain.parse_debconf(subprocess.run(["debconf-show", "libc6"], capture_output=True, text=True, check=True).stdout)
    assert told["libraries/restart-without-asking"][0] in ("true", "false")
    assert all(isinstance(entry["name"], str) for entry in naming.configured(context))


def test_a_real_boot_sector(tmp_path):
    image = "/usr/lib/grub/i386-pc/boot.img"
    if not os.path.exists(image):
        pytest.skip("%s is not here (package grub-pc-bin)" % image)
    with open(image, "rb") as data:
        sector = data.read()
    disk = tmp_path / "disk"
    disk.write_bytes(sector + b"\0" * 4096)
    assert len(sector) == 512 and bootchain.in_sector(Host(), str(disk)) is True
    disk.write_bytes(b"\0" * 4096)
    assert bootchain.in_sector(Host(), str(disk)) is False and bootchain.in_sector(Host(), str(tmp_path / "none")) is None
