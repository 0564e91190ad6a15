# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What several checks ask of the machine itself: is it a virtual one, what lies beneath a mount, which drivers hold it up."""

from __future__ import annotations

import os
import re


def hypervisor(context):
    """Name of the hypervisor, or "" on bare metal. Means nothing in a container."""

    def look():
        host = context.host
        if host.which("systemd-detect-virt"):
            said = host.run(["systemd-detect-virt", "--vm"], check=False).text.strip()
            return "" if said == "none" else said
        return "unknown" if re.search(r"^flags\s*:.*\bhypervisor\b", host.text("/proc/cpuinfo"), re.M) else ""

    return context.once("hypervisor", look)


def place_of(items, path):
    """Subject of the disks item that is mounted at path or nearest above it, or "". items: of the baseline's disks section. Pure."""
    best = ("", "")
    for subject, item in sorted(items.items()):
        for target in item.get("mounts") or []:
            if (path == target or path.startswith(target.rstrip("/") + "/")) and len(target) > len(best[0]):
                best = (target, subject)
    return best[1]


def beneath(items, path):
    """(subjects of the whole disks that carry a path, subjects of all devices on the way, the mounted one first). Pure."""
    start = place_of(items, path)
    way, waiting, disks = [], [start] if start else [], []
    while waiting:
        subject = waiting.pop(0)
        if subject in way or subject not in items:
            continue
        way.append(subject)
        item = items[subject]
        parents = [item["parent"]] if item.get("parent") else []
        parents += [name for name, other in sorted(items.items()) if item.get("path") in (other.get("holders") or [])]
        if item.get("kind") == "disk" and not parents:
            disks.append(subject)
        waiting += parents
    return sorted(disks), way


def mirrored(context, items, way):
    """Whether one of the devices on the way keeps what it holds on several disks at once: an array that is no stripe, or LVM's own mirror."""
    for subject in way:
        item = items[subject]
        if re.search(r"_[rm]image_\d+$", item.get("path", "")):
            return True
        if item.get("kind") == "raid":
            name = context.host.realpath(item["path"]).rsplit("/", 1)[-1]
            if context.host.text("/sys/block/%s/md/level" % name).strip() not in ("raid0", "linear", "container"):
                return True
    return False


def drivers(context, path):
    """Names of the kernel modules and drivers that a device of /sys stands on, itself first. path: e.g. /sys/class/net/eth0/device."""
    host, found = context.host, []
    place = host.realpath(path)
    while place.startswith("/sys/devices/"):
        driver = host.readlink(place + "/driver")
        if driver:
            module = host.readlink(place + "/driver/module")
            found += [os.path.basename(name) for name in (module, driver) if name]
        place = os.path.dirname(place)
    return list(dict.fromkeys(found))


def nics(context):
    """{name: {"mac", "drivers", "slot"}} of the network interfaces that are hardware, or a hypervisor's imitation of it. slot: the firmware's number, or ""."""

    def look():
        host, out = context.host, {}
        for name in host.listdir("/sys/class/net"):
            here = "/sys/class/net/" + name
            if host.exists(here + "/device"):
                out[name] = {"mac": host.text(here + "/address").strip(), "drivers": drivers(context, here + "/device"), "slot": _slot(host, here + "/device")}
        return out

    return context.once("nics", look)


def _slot(host, path):
    """The number that the firmware gives to the slot of a card (ACPI's _SUN), of the nearest device above that has one."""
    place = host.realpath(path)
    while place.startswith("/sys/devices/"):
        number = host.text(place + "/firmware_node/sun").strip()
        if number:
            return number
        place = os.path.dirname(place)
    return ""


def coming(context):
    """Names of the packages that will be there after the upgrade: today's, less what the plan removes, and what it installs."""

    def look():
        gone = {entry["name"] for entry in context.planned("remove")}
        return (set(context.installed()) - gone) | {entry["name"] for entry in context.planned("install")}

    return context.once("packages after", look)
