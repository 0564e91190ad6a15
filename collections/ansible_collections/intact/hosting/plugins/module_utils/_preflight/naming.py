# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Will the network cards have the names that the configuration knows, is the program that sets them up still there, who resolves names (PF28, PF29)."""

from __future__ import annotations

import fnmatch
import re

from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding
from ansible_collections.intact.hosting.plugins.module_utils._preflight import _machine

# Names that software makes: bridges, bonds, tunnels, ends of virtual cables.
SOFT = re.compile(r"^(lo|br|bond|vlan|dummy|tun|tap|wg|veth|virbr|docker|vmbr|vnet|ppp|sit|gre|ip6|ifb|team|vxlan|macvlan|lxc|zt|tailscale)[\w-]*$")
KERNEL = re.compile(r"^(eth|wlan)\d+$")
# Which packages carry a way to set up the network: one of them has to be there afterwards.
STACKS = {
    "ifupdown": ("ifupdown", "ifupdown2", "ifupdown-ng"),
    "netplan": ("netplan.io",),
    "NetworkManager": ("network-manager",),
    "systemd-networkd": ("systemd",),
    "wicked": ("wicked",),
}
CLIENTS = ("isc-dhcp-client", "dhcpcd", "dhcpcd5", "dhcpcd-base", "udhcpc", "pump")
STUB = ("/run/systemd/resolve/", "/lib/systemd/resolv.conf", "/usr/lib/systemd/resolv.conf")


def parse_interfaces(text):
    """{"names": {name: line number}, "auto": {names}, "dhcp": {names}, "soft": {names made by software}} of ifupdown's file. Pure."""
    out = {"names": {}, "auto": set(), "dhcp": set(), "soft": set()}
    current = ""
    for number, line in enumerate(text.replace("\\\n", " ").splitlines(), 1):
        words = line.split("#", 1)[0].split()
        if not words:
            continue
        if words[0] in ("auto", "allow-auto", "allow-hotplug"):
            out["auto"].update(words[1:] if words[0] != "allow-hotplug" else ())
            for name in words[1:]:
                out["names"].setdefault(name, number)
            current = ""
        elif words[0] == "iface" and len(words) > 1:
            current = words[1]
            out["names"].setdefault(current, number)
            if "dhcp" in words[3:4]:
                out["dhcp"].add(current)
        elif current and re.match(r"(bridge|bond|vlan|tunnel|pre-up|link-type|wireguard)", words[0].replace("_", "-")):
            if not words[0].startswith("pre-up") or re.search(r"ip link add|ip tunnel add|brctl addbr", line):
                out["soft"].add(current)
            if words[0].replace("_", "-") in ("bridge-ports", "bond-slaves", "vlan-raw-device", "bond-ports"):
                for name in words[1:]:
                    if name not in ("none", "all", "regex"):
                        out["names"].setdefault(name, number)
    return out


def parse_netplan(text):
    """{name: (line number, is found by its MAC address)} below ethernets: of a netplan file. Pure."""
    out, inside, depth, name = {}, None, None, ""
    for number, line in enumerate(text.splitlines(), 1):
        bare = line.split("#", 1)[0].rstrip()
        if not bare.strip():
            continue
        indent = len(bare) - len(bare.lstrip())
        if inside is not None and indent <= inside:
            inside = None
        if re.match(r"\s*ethernets:\s*$", bare):
            inside, depth = indent, None
        elif inside is not None:
            depth = indent if depth is None else depth
            key = re.match(r"\s*[\"']?([^\"':\s]+)[\"']?:", bare)
            if indent == depth and key:
                name = key.group(1)
                out[name] = (number, False)
            elif key and key.group(1) == "macaddress" and name and out[name][1] is False:
                out[name] = (out[name][0], True)
    return out


def sections(text):
    """[(section, {key: value})] of a unit-like file, the last value of a key counts. Pure."""
    out = []
    for line in text.splitlines():
        line = line.strip()
        head = re.match(r"\[(.+)\]$", line)
        if head:
            out.append((head.group(1), {}))
        elif "=" in line and out and line[:1] not in "#;":
            key, value = line.split("=", 1)
            out[-1][1][key.strip()] = value.strip()
    return out


def configured(context):
    """[{name, where, stack, mac: found by its address, auto, soft}] of all interfaces that configuration names, with the stacks in use."""

    def look():
        host, out = context.host, []
        if context.installed(*STACKS["ifupdown"]):
            for path in ["/etc/network/interfaces"] + host.glob("/etc/network/interfaces.d/*"):
                held = parse_interfaces(host.text(path))
                for name, number in held["names"].items():
                    soft = name in held["soft"] or "." in name
                    more = {"auto": name in held["auto"], "soft": soft, "dhcp": name in held["dhcp"]}
                    out.append(dict(more, name=name.split(":")[0], where="%s:%d" % (path, number), stack="ifupdown", mac=False))
                    if "." in name:
                        out.append(dict(more, name=name.split(".")[0], soft=False, where="%s:%d" % (path, number), stack="ifupdown", mac=False))
        if context.installed("netplan.io"):
            for path in host.glob("/etc/netplan/*.yaml"):
                for name, (number, mac) in parse_netplan(host.text(path)).items():
                    out.append({"name": name, "where": "%s:%d" % (path, number), "stack": "netplan", "mac": mac, "auto": False, "soft": False, "dhcp": False})
        for path in host.glob("/etc/systemd/network/*.network"):
            for section, held in sections(host.text(path)):
                if section == "Match" and (held.get("Name") or held.get("MACAddress") or held.get("PermanentMACAddress")):
                    mac = "MACAddress" in held or "PermanentMACAddress" in held
                    for name in held.get("Name", "").split() or [""]:
                        out.append({"name": name, "where": path, "stack": "systemd-networkd", "mac": mac, "auto": False, "soft": False, "dhcp": False})
        if context.installed("network-manager"):
            for path in host.glob("/etc/NetworkManager/system-connections/*"):
                held = dict(sections(host.text(path)))
                name, mac = held.get("connection", {}).get("interface-name", ""), "mac-address" in held.get("ethernet", {})
                soft = held.get("connection", {}).get("type", "ethernet") not in ("ethernet", "802-3-ethernet", "wifi")
                out.append({"name": name, "where": escape(path), "stack": "NetworkManager", "mac": mac, "auto": False, "soft": soft, "dhcp": False})
        return [entry for entry in out if entry["name"] != "lo" and not entry["name"].startswith("-")]

    return context.once("interfaces", look)


def pinned(context):
    """MAC addresses that a .link file or an old udev rule gives a name, in lower case."""
    host, out = context.host, set()
    for path in host.glob("/etc/systemd/network/*.link"):
        held = {}
        for section, values in sections(host.text(path)):
            held.setdefault(section, {}).update(values)
        if held.get("Link", {}).get("Name"):
            match = held.get("Match", {})
            out.update((match.get("MACAddress", "") + " " + match.get("PermanentMACAddress", "")).lower().split())
    for path in host.glob("/etc/udev/rules.d/*.rules"):
        for line in host.text(path).splitlines():
            address = re.search(r'ATTR\{address\}=="([0-9a-fA-F:]{17})"', line)
            if address and "NAME=" in line and not line.lstrip().startswith("#"):
                out.add(address.group(1).lower())
    return out


def link_remedy(name, mac):
    """How a name is tied to a card for good."""
    return (
        "tie the name to the card: printf '[Match]\\nMACAddress=%s\\n[Link]\\nName=%s\\n' > /etc/systemd/network/10-%s.link && update-initramfs -u, "
        "reboot, and see that it still has its name" % (mac or "MAC", name, name)
    )


def naming(context):
    """PF28: the names of network cards that configuration uses will still be theirs, and what sets them up is part of the target."""
    found = _stacks(context)
    if context.container():
        return found
    host, cards, fixed = context.host, _machine.nics(context), pinned(context)
    links = set(host.listdir("/sys/class/net"))
    used = [entry for entry in configured(context) if entry["name"] and not entry["soft"]]
    for entry in used:
        name = entry["name"]
        if entry["auto"] and not any(fnmatch.fnmatchcase(link, name) for link in links) and not SOFT.match(name):
            remedy = "correct the name (ip -br link lists what is there), or take it out"
            found.append(Finding("network.name.absent", "warning", name, "the configuration names an interface that is not there", entry["where"], remedy))
    words = host.text("/proc/cmdline").split()
    kept = "net.ifnames=0" in words
    scheme = any(word.startswith("net.naming-scheme=") for word in words)
    # a pattern (en* eth*) means whatever card there is, by any name
    by_name = {entry["name"]: entry["where"] for entry in reversed(used) if not entry["mac"]}
    loose = {name: by_name[name] for name in cards if name in by_name and cards[name]["mac"].lower() not in fixed}
    kernel = sorted(name for name in loose if KERNEL.match(name))
    for name in kernel:
        several = len(kernel) > 1
        if kept and not several:
            continue
        title = "the kernel gave this card its name" + (
            ", as it did others: the next one may give them in another order" if several else ": udev may give it another one"
        )
        evidence = "%s, address %s" % (loose[name], cards[name]["mac"])
        found.append(Finding("network.name.kernel", "blocker" if several else "warning", name, title, evidence, link_remedy(name, cards[name]["mac"])))
    for entry in context.release_path.get("network_names") or []:
        for name in sorted(set(loose) - set(kernel)):
            if kept or scheme or not _renamed(entry, name, cards[name]):
                continue
            severity = entry.get("severity") or "blocker"
            evidence = "driver %s, %s; %s" % (", ".join(cards[name]["drivers"][:2]) or "not told", loose[name], entry["reason"])
            title = "this card %s another name at the target release, and the configuration knows the old one" % (
                "gets" if severity == "blocker" else "may get"
            )
            found.append(Finding("network.name.changes", severity, name, title, evidence, link_remedy(name, cards[name]["mac"])))
    if cards:
        told = ", ".join("%s=%s" % (name, card["mac"]) for name, card in sorted(cards.items()))
        found.append(Finding("network.cards", "info", "network cards", "names and addresses as they are now", told, details={"cards": cards}))
    return found


def _renamed(entry, name, card):
    """Whether an entry of the release path means this card: by its driver, or by its name where the firmware numbers its slot."""
    if entry.get("driver"):
        return any(fnmatch.fnmatchcase(driver, str(entry["driver"])) for driver in card["drivers"])
    return bool(card["slot"]) and fnmatch.fnmatchcase(name, str(entry.get("numbered_slot") or ""))


def _stacks(context):
    """The programs that set the network up stay."""
    host, found, after = context.host, [], _machine.coming(context)
    used = {entry["stack"] for entry in configured(context)}
    if "systemd-networkd" in used and not any(
        host.run(["systemctl", "is-enabled", "--", "systemd-networkd.service"], check=False).text.strip() == word for word in ("enabled", "enabled-runtime")
    ):
        used.discard("systemd-networkd")
    for stack in sorted(used):
        if context.installed(*STACKS[stack]) and not any(name in after for name in STACKS[stack]):
            title = "the upgrade takes away what sets up the network"
            remedy = "keep one of %s: apt-get install it before, or find out what removes it" % ", ".join(STACKS[stack])
            found.append(Finding("network.stack", "blocker", stack, title, "after the upgrade none of its packages is there", remedy))
    asks = sorted({entry["name"] for entry in configured(context) if entry["dhcp"]})
    if asks and context.installed(*CLIENTS) and not any(name in after for name in CLIENTS):
        remedy = "apt-get install dhcpcd-base in the same transaction, or write the address into the configuration"
        title = "the address comes by DHCP, and no client for it is left after the upgrade"
        found.append(Finding("network.dhcp", "blocker", ", ".join(asks), title, "installed now: %s" % ", ".join(context.installed(*CLIENTS)), remedy))
    return found


def resolver(context):
    """PF29: names can be resolved after the upgrade: what resolv.conf leads to is still made by somebody."""
    host, after = context.host, _machine.coming(context)
    link = host.readlink("/etc/resolv.conf")
    place = host.realpath("/etc/resolv.conf") if link else ""
    through = bool(link) and (place.startswith(STUB) or "systemd/resolve" in link or link.endswith("systemd/resolv.conf"))
    if not through:
        if link and not host.exists(place):
            remedy = "write a plain /etc/resolv.conf with the name servers that are meant"
            return [
                Finding("resolver.dangling", "blocker", "/etc/resolv.conf", "it leads to a file that is not there", "it is a link to %s" % escape(link), remedy)
            ]
        makers = ("resolvconf", "openresolv")
        if link and "resolvconf" in place + link and context.installed(*makers) and not any(name in after for name in makers):
            remedy = "keep %s, or write a plain /etc/resolv.conf with the name servers that are meant" % " or ".join(makers)
            title = "after the upgrade nobody writes the file that resolv.conf leads to"
            return [Finding("resolver.maker", "blocker", "/etc/resolv.conf", title, "it is a link to %s" % escape(link), remedy)]
        return []
    split = [entry for entry in context.release_path.get("split_packages") or [] if entry.get("package") == "systemd-resolved"]
    evidence = "/etc/resolv.conf leads to %s" % escape(link)
    if "systemd-resolved" in after or (not split and not context.installed("systemd-resolved")):
        state = host.run(["systemctl", "is-enabled", "--", "systemd-resolved.service"], check=False).text.strip()
        if state in ("enabled", "enabled-runtime", "static", "alias", ""):
            return []
        remedy = "systemctl enable --now systemd-resolved, or write a plain /etc/resolv.conf"
        title = "resolv.conf leads to systemd-resolved, which does not start by itself"
        return [Finding("resolver.off", "blocker", "systemd-resolved", title, "%s; the unit is %s" % (evidence, state), remedy)]
    reason = str(split[0]["reason"]) if split else "the upgrade removes the package systemd-resolved"
    remedy = (
        "apt-get install systemd-resolved in the same transaction (there is none to install before); or before it: cp --remove-destination "
        "/run/systemd/resolve/resolv.conf /etc/resolv.conf, and systemctl disable systemd-resolved"
    )
    title = "after the upgrade nobody resolves names: not even the rest of the upgrade could download"
    return [Finding("resolver.split", "blocker", "systemd-resolved", title, "%s; %s" % (evidence, reason), remedy)]
