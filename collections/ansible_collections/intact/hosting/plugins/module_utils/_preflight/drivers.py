# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Drivers that the target's kernel does not have, that are built here, or that lack their firmware (PF47)."""

from __future__ import annotations

import re

from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding
from ansible_collections.intact.hosting.plugins.module_utils._preflight import _machine, bootchain

FIRMWARE = re.compile(r"(?:Direct firmware load for|firmware: failed to load) (\S+)")


def parse_dkms(text):
    """{module: {"versions", "states"}} of `dkms status`, in its old and its new form. Pure."""
    out = {}
    for line in text.splitlines():
        found = re.match(r"^([\w.+-]+)[,/] ?([^,:]+)(?:, ([^:]*))?: (\w+)", line)
        if found:
            entry = out.setdefault(found.group(1), {"versions": set(), "states": set()})
            entry["versions"].add(found.group(2).strip())
            entry["states"].add(found.group(4))
    return out


def out_of_tree(host):
    """Names of loaded modules that are not from the kernel's own package, by the taint that the kernel keeps."""
    return [name for name in host.listdir("/sys/module") if "O" in host.text("/sys/module/%s/taint" % name)]


def essential(context):
    """{driver or module: what it drives} of the disks that carry / and /boot, and of the network cards in the configuration or with the default route."""
    host, out = context.host, {}
    items = context.items("disks")
    for path in ("/", "/boot"):
        for subject in _machine.beneath(items, path)[0]:
            name = host.realpath(items[subject]["path"]).rsplit("/", 1)[-1]
            for driver in _machine.drivers(context, "/sys/block/%s/device" % name):
                out.setdefault(driver, "the disk %s below %s" % (items[subject]["path"], path))
    for name, card in sorted(_machine.nics(context).items()):
        for driver in card["drivers"]:
            out.setdefault(driver, "the network card %s" % name)
    return out


def plain(name):
    """A module's name as /proc/modules has it. Pure."""
    return name.replace("-", "_")


def drivers(context):
    """PF47: what drives disks and network is in the target's kernel too, with its firmware."""
    if context.container():
        return bootchain.unseen(context, "drivers.unseen", "drivers")
    host, found = context.host, []
    vital = {plain(name): what for name, what in essential(context).items()}
    loaded = {line.split()[0] for line in host.text("/proc/modules").splitlines() if line.split()} | set(vital)
    for entry in context.release_path.get("removed_drivers") or []:
        name = plain(str(entry["module"]))
        if name not in loaded:
            continue
        what = vital.get(name)
        title = "the target's kernel has no such driver" + (", and it drives %s" % what if what else "")
        remedy = "replace the hardware, or keep it unused: lspci -k shows what it drives"
        found.append(Finding("drivers.removed", "blocker" if what else "warning", name, title, str(entry["reason"]), remedy))
    return found + _built(context, vital) + _firmware(context)


def _built(context, vital):
    """What DKMS builds here, and loaded modules that are not the kernel's own."""
    host, found, strangers = context.host, [], {}
    built = parse_dkms(host.run(["dkms", "status"], check=False).text) if host.which("dkms") else {}
    for name in out_of_tree(host):
        path = host.run(["modinfo", "-n", name], check=False).text.strip() if host.which("modinfo") else ""
        strangers[plain(name)] = path
    drives = {}
    for module, path in sorted(strangers.items()):
        family = next((name for name in sorted(built) if module.startswith(plain(name)) or plain(name).startswith(module)), "")
        # of a family with many modules (zfs, spl, icp) only the path tells
        family = family or ("" if "/dkms/" not in path else next(iter(sorted(built)), ""))
        if family and (len(built) == 1 or "/dkms/" not in path or module.startswith(plain(family)) or module not in vital):
            drives[family] = drives.get(family) or vital.get(module, "")
            del strangers[module]
    for name in sorted(built):
        what = drives.get(name) or vital.get(plain(name))
        title = "this module is built here (DKMS), and has to be built anew for the target's kernel" + (": it drives %s" % what if what else "")
        evidence = "version %s, %s" % (", ".join(sorted(built[name]["versions"])), ", ".join(sorted(built[name]["states"])))
        remedy = "see that its maker's version supports the target's kernel, that the target's linux-headers are in the plan, and try it on another machine"
        found.append(Finding("drivers.dkms", "blocker" if what else "warning", name, title, evidence, remedy))
    for name, path in sorted(strangers.items()):
        what = vital.get(name)
        title = "this module is not the kernel's own: the target's kernel comes without it" + (", and it drives %s" % what if what else "")
        remedy = "find out who brought it (modinfo -n %s; dpkg -S), and get it for the target's kernel" % name
        evidence = "the kernel is tainted by it (O)%s" % ("; " + escape(path) if path else "")
        found.append(Finding("drivers.foreign", "blocker" if what else "warning", name, title, evidence, remedy))
    return found


def _firmware(context):
    host = context.host
    log = host.run(["dmesg"], check=False).text if host.which("dmesg") else ""
    missing = sorted({escape(name) for name in FIRMWARE.findall(log)})
    if not missing:
        return []
    remedy = "apt-get install the firmware package that has it (apt-file search), before a reboot depends on it"
    return [Finding("drivers.firmware", "warning", "firmware", "drivers asked for firmware that is not there", ", ".join(missing[:6]), remedy)]
