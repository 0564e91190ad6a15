# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Links, addresses and routes as the kernel has them now."""

from __future__ import annotations

import json
import re

from ansible_collections.intact.hosting.plugins.module_utils._baseline._compare import details
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError

SECTION = "network"
# Ends of virtual cables that container and VM managers name at random.
RANDOM_LINKS = re.compile(r"^(veth|cali|vnet|tap|lxc|cni)[0-9a-zA-Z]*$")
DEFAULT_RULES = {(0, "local"), (32766, "main"), (32767, "default")}


def capture(system):
    """Items "link NAME" {mac mtu up ipv6 kind}, "address A/LEN" {dev scope}, "route [TABLE] DST [metric N]" {via dev}, "rule N" {text}.

    Left out: indexes, lifetimes, counters, what the kernel derives by itself (link-local addresses, connected routes), temporary addresses.
    """
    items = {}
    for link in _json(system, ["ip", "-j", "-d", "addr", "show"]):
        name = link.get("ifname", "")
        if not name or (RANDOM_LINKS.match(name) and "link_netnsid" in link):
            continue
        addresses = [a for a in link.get("addr_info", []) if a.get("local")]
        items["link " + name] = {
            "mac": link.get("address", "") if link.get("link_type") == "ether" else "",
            "mtu": link.get("mtu"),
            "up": "UP" in link.get("flags", []) and link.get("operstate") != "DOWN",
            "ipv6": any(a["family"] == "inet6" for a in addresses),
            "kind": link.get("linkinfo", {}).get("info_kind", ""),
        }
        for address in addresses:
            if address.get("scope") == "link" or address.get("temporary") or name == "lo" and address.get("scope") == "host":
                continue
            items["address %s/%s" % (address["local"], address.get("prefixlen"))] = {"dev": name, "scope": address.get("scope", "")}
    for family in ("-4", "-6"):
        for route in _json(system, ["ip", family, "-j", "route", "show", "table", "all"]):
            _route(items, route, family)
        for rule in _json(system, ["ip", family, "-j", "rule", "show"], optional=True):
            _rule(items, rule, family)
    summary = {kind: sum(1 for s in items if s.startswith(kind + " ")) for kind in ("link", "address", "route")}
    return {"items": items, "summary": {"links": summary["link"], "addresses": summary["address"], "routes": summary["route"]}}


def _json(system, argv, optional=False):
    result = system.run(argv, timeout=20, check=not optional)
    if result.rc != 0:
        # a kernel without IPv6 or policy rules has nothing to show
        return []
    try:
        return [entry for entry in json.loads(result.text or "[]") if entry]
    except ValueError:
        raise IntactError("%s gave no JSON: %s" % (" ".join(argv), result.text[:200])) from None


def _route(items, route, family):
    table = str(route.get("table", "main"))
    if table == "local" or route.get("protocol") == "kernel" or route.get("type") in ("local", "broadcast", "multicast", "anycast"):
        return
    if RANDOM_LINKS.match(route.get("dev", "")) or "cache" in route.get("flags", []):
        return
    destination = route.get("dst", "?")
    if destination == "default":
        destination = "default (IPv%s)" % family[1]
    name = "route " + destination + ("" if table == "main" else " table " + table)
    hops = ["%s dev %s" % (hop.get("gateway", "direct"), hop.get("dev", "?")) for hop in route.get("nexthops", [])] or [
        "%s dev %s" % ((route.get("via") or {}).get("host") or route.get("gateway", "direct"), route.get("dev", "none"))
    ]
    if name in items:
        name += " metric %s" % route.get("metric", 0)
    items[name] = {
        "via": sorted(hops),
        "dev": sorted({h.split(" dev ")[1] for h in hops}),
        "type": route.get("type", "unicast"),
        "source": route.get("prefsrc", ""),
    }


def _rule(items, rule, family):
    table = str(rule.get("table", rule.get("action", "")))
    if (rule.get("priority"), table) in DEFAULT_RULES:
        return
    text = " ".join("%s %s" % (key, rule[key]) for key in sorted(rule) if key != "priority")
    items["rule IPv%s %s" % (family[1], rule.get("priority"))] = {"text": text}


def _finding(word, kind, subject, severity, title, evidence, remedy, covers=(), **found):
    return Finding(
        id="network.%s.%s" % (kind, word),
        severity=severity,
        subject=subject,
        check="QF29",
        title=title,
        evidence=evidence,
        remedy=remedy,
        details=details(**found),
        covers=list(covers),
    )


def compare(before, after):
    """Findings: network.{link,address,route,rule}.{missing,new,changed}, network.link.{renamed,down}, network.ipv6.lost."""
    old, new = before.get("items", {}), after.get("items", {})
    out, done = [], set()
    for subject in sorted(old):
        if subject in new or not subject.startswith("link "):
            continue
        twin = [s for s in new if s not in old and s.startswith("link ") and old[subject]["mac"] and new[s]["mac"] == old[subject]["mac"]]
        if twin:
            done.update((subject, twin[0]))
            out.append(
                _finding(
                    "renamed",
                    "link",
                    subject,
                    "blocker",
                    "the network interface has another name now: %s" % twin[0][5:],
                    "both have the address %s" % old[subject]["mac"],
                    "configure the new name, or give the interface its old name by a .link file matched on the MAC address",
                    _behind(subject, old, new, twin[0]),
                    change="renamed",
                    attribute="name",
                    before=subject[5:],
                    after=twin[0][5:],
                )
            )
    for subject in sorted(set(old) | set(new)):
        if subject in done:
            continue
        kind = subject.split(" ", 1)[0]
        if subject not in new:
            out.append(
                _finding(
                    "missing",
                    kind,
                    subject,
                    "blocker",
                    {
                        "link": "the network interface is gone",
                        "address": "the address is not on any interface",
                        "route": "the route is gone",
                        "rule": "the routing rule is gone",
                    }[kind],
                    _words(old[subject]),
                    "check the network configuration (ifupdown, systemd-networkd, NetworkManager, netplan) and bring it up again",
                    _behind(subject, old, new) if kind == "link" else _listeners(subject) if kind == "address" else (),
                    change="missing",
                    before=_words(old[subject]),
                )
            )
        elif subject not in old:
            if kind == "link" and not new[subject]["up"] and not new[subject]["mac"]:
                # tunnel devices that a newly loaded kernel module brings along (sit0, ip6tnl0), down and without address
                continue
            out.append(
                _finding(
                    "new",
                    kind,
                    subject,
                    "warning",
                    {"link": "a new network interface", "address": "a new address", "route": "a new route", "rule": "a new routing rule"}[kind],
                    _words(new[subject]),
                    "expected? then allow it with a reason",
                    change="new",
                    after=_words(new[subject]),
                )
            )
        else:
            out += _link(subject, old, new) if kind == "link" else _changed(kind, subject, old[subject], new[subject])
    return out


def _words(item):
    return ", ".join(
        "%s %s" % (key, " ".join(value) if isinstance(value, list) else value) for key, value in sorted(item.items()) if value not in ("", [], None)
    )


def _behind(subject, old, new, twin=None):
    """What a lost or renamed interface takes with it: its addresses and routes."""
    name = subject[5:]
    out = [{"section": "network", "subject": s} for s, i in sorted(old.items()) if i.get("dev") in (name, [name])]
    out += [{"section": "network", "subject": s} for s, i in sorted(new.items()) if twin and i.get("dev") in (twin[5:], [twin[5:]])]
    for entry in list(out):
        out += _listeners(entry["subject"])
    return out


def _listeners(subject):
    """Listeners on exactly this address cannot be there without it."""
    if not subject.startswith("address "):
        return []
    address = subject[8:].rsplit("/", 1)[0]
    return [{"section": "sockets", "details": {"address": address}}]


def _changed(kind, subject, was, now):
    if was == now or (kind == "address" and was["dev"] == now["dev"]):
        return []
    severity = "blocker" if kind == "route" else "warning"
    return [
        _finding(
            "changed",
            kind,
            subject,
            severity,
            {"address": "the address is on another interface", "route": "the route leads elsewhere", "rule": "the routing rule has changed"}[kind],
            "before: %s; now: %s" % (_words(was), _words(now)),
            "compare with the network configuration",
            change="changed",
            attribute=",".join(k for k in sorted(was) if was[k] != now.get(k)),
            before=_words(was),
            after=_words(now),
        )
    ]


def _link(subject, old, new):
    was, now, out = old[subject], new[subject], []
    if was["up"] and not now["up"]:
        return [
            _finding(
                "down",
                "link",
                subject,
                "blocker",
                "the network interface is down",
                _words(now),
                "bring it up: ip link set %s up; look for its configuration and its driver" % subject[5:],
                _behind(subject, old, new),
                change="changed",
                attribute="up",
                before=True,
                after=False,
            )
        ]
    if was["ipv6"] and not now["ipv6"]:
        out.append(
            _finding(
                "lost",
                "ipv6",
                subject,
                "blocker",
                "IPv6 is gone from the interface",
                "not one IPv6 address is left on it, not even a link-local one",
                "look at net.ipv6.conf.%s.disable_ipv6 and the network configuration" % subject[5:],
                [{"section": "network", "subject": s} for s, i in sorted(old.items()) if i.get("dev") in (subject[5:], [subject[5:]]) and (":" in s)]
                + [
                    {"section": "network", "subject": "route default (IPv6)"},
                    {"section": "sysctl", "match": "net.ipv6.conf.*.disable_ipv6"},
                    {"section": "sockets", "id": "sockets.ipv6.lost"},
                ],
                change="changed",
                attribute="ipv6",
                before=True,
                after=False,
            )
        )
    for attribute, title in (
        ("mac", "the interface has another hardware address"),
        ("mtu", "the interface has another MTU"),
        ("kind", "the interface is of another kind"),
    ):
        if was[attribute] != now[attribute]:
            out.append(
                _finding(
                    "changed",
                    "link",
                    subject,
                    "warning",
                    title,
                    "%s before: %s; now: %s" % (attribute, was[attribute], now[attribute]),
                    "check switch ports, DHCP reservations and firewalls that know the former one"
                    if attribute == "mac"
                    else "compare with the network configuration",
                    change="changed",
                    attribute=attribute,
                    before=was[attribute],
                    after=now[attribute],
                )
            )
    return out
