# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What /sys/class/block tells of one block device, with and without udev: kind, name, whole disk, serial, WWN."""

from __future__ import annotations

import struct

SYSFS = "/sys/class/block"
# Memory and network block devices without content of their own; they come and go with the kernel.
VOLATILE = ("ram", "zram", "fd", "sr")


def first(*values):
    """The first value that says something, with its blanks in order."""
    return next((" ".join(v.replace("\0", " ").split()) for v in values if v and v.strip("\0 \t\r\n")), "")


def attribute(system, path):
    """Bytes of an attribute in sysfs; b"" where it is not there or its driver answers with an error (wwid of disks without page 83: EINVAL)."""
    try:
        return system.read(path) or b""
    except OSError:
        return b""


def _text(system, path):
    return attribute(system, path).decode("utf-8", "surrogateescape")


def udev(system, number):
    """Properties udev stored for a device (a plain file; no udevadm, none in a container)."""
    lines = system.text("/run/udev/data/b" + number).splitlines()
    return dict(line[2:].split("=", 1) for line in lines if line.startswith("E:") and "=" in line)


def kind(system, base, partition):
    """partition, mapped (device-mapper), raid (md), loop or disk."""
    if partition:
        return "partition"
    for directory, word in (("dm", "mapped"), ("md", "raid"), ("loop", "loop")):
        if system.exists("%s/%s" % (base, directory)):
            return word
    return "disk"


def label(system, base, name):
    """How a person calls a device."""
    mapped = system.text(base + "/dm/name").strip()
    return "/dev/mapper/" + mapped if mapped else "/dev/" + name.replace("!", "/")


def layer(system, name):
    """What LVM keeps a device to itself for (vg-root-real: real, vg-snap-cow: cow, a pool's tdata); "" for all that is not: the word behind its UUID."""
    uuid = system.text("%s/%s/dm/uuid" % (SYSFS, name)).strip()
    return uuid[len("LVM-") :].partition("-")[2] if uuid.startswith("LVM-") else ""


def origin(system, name):
    """How a person calls the volume whose snapshot a device is; "" when it is none. Both stand on the same VOLUME-real, a snapshot on its -cow besides."""

    def below(device):
        return {layer(system, s): s for s in system.listdir("%s/%s/slaves" % (SYSFS, device))}

    mine = below(name)
    if "cow" not in mine or "real" not in mine:
        return ""
    volumes = [h for h in system.listdir("%s/%s/holders" % (SYSFS, mine["real"])) if "cow" not in below(h)]
    return label(system, "%s/%s" % (SYSFS, volumes[0]), volumes[0]) if volumes else ""


def whole(system, name, partition):
    """Kernel name of the disk a partition is on: sda for sda1, nvme0n1 for nvme0n1p1."""
    stem = name[: -len(partition)]
    disk = stem[:-1] if stem.endswith("p") and stem[-2:-1].isdigit() else stem
    return disk if system.exists("%s/%s" % (SYSFS, disk)) else ""


def serial(system, base, properties):
    """A disk's serial number: what udev stored, else the driver's, else the SCSI page, else that of the USB bridge that it hangs on."""
    given = first(properties.get("ID_SERIAL_SHORT"), _text(system, base + "/serial"), _text(system, base + "/device/serial"))
    return given or _page_serial(attribute(system, base + "/device/vpd_pg80")) or _usb_serial(system, base)


def wwn(system, base, properties):
    """A disk's world-wide name, "" where it has none. A WWID made of vendor, model and serial (t10.) is none."""
    given = first(properties.get("ID_WWN"), _text(system, base + "/wwid"), _text(system, base + "/device/wwid"))
    if given and not given.startswith("t10."):
        return given
    return _page_wwn(attribute(system, base + "/device/vpd_pg83")) or given


def _page_serial(page):
    """Serial of SCSI's vital product data page 80 (SPC-4, 7.8.16)."""
    if len(page) < 5 or page[1] != 0x80:
        return ""
    return first(page[4 : 4 + struct.unpack(">H", page[2:4])[0]].decode("ascii", "replace"))


def _page_wwn(page):
    """NAA or EUI-64 name of the disk (not of a port) of page 83 (SPC-4, 7.8.6)."""
    if len(page) < 4 or page[1] != 0x83:
        return ""
    at = 4
    while at + 4 <= len(page):
        length = page[at + 3]
        designator = page[at + 4 : at + 4 + length]
        if page[at + 1] >> 4 & 3 == 0 and page[at] & 15 == 1:
            word = {3: "0x", 2: "eui."}.get(page[at + 1] & 15)
            if word:
                return word + designator.hex()
        at += 4 + length
    return ""


def _usb_serial(system, base):
    place = system.realpath(base)
    while place.count("/") > 3:
        place = place.rsplit("/", 1)[0]
        if system.exists(place + "/idVendor"):
            return first(system.text(place + "/serial"))
    return ""
