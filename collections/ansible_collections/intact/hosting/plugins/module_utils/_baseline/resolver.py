# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Name resolution as programs on the host get it: name servers, order of sources, the hosts file, and a few real look-ups."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._baseline._compare import details, differences
from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding

SECTION = "resolver"
STUB = "127.0.0.53"
FILES = {"resolv.conf": "/etc/resolv.conf", "nsswitch": "/etc/nsswitch.conf", "hosts": "/etc/hosts", "hostname": "/etc/hostname"}


def capture(system):
    """Items "resolv.conf" {nameservers search options upstream}, "nsswitch DB" {sources}, "hosts ADDRESS" {names},
    "hostname" {name}, "lookup NAME" {addresses}.

    Option names: further names to look up, e.g. a database server's.
    """
    items = {"resolv.conf": _resolv(system.text("/etc/resolv.conf"))}
    if STUB in items["resolv.conf"]["nameservers"]:
        items["resolv.conf"]["upstream"] = _resolv(system.text("/run/systemd/resolve/resolv.conf"))["nameservers"]
    for line in system.text("/etc/nsswitch.conf").splitlines():
        database, colon, sources = line.split("#", 1)[0].partition(":")
        if colon:
            items["nsswitch " + database.strip()] = {"sources": sources.split()}
    for line in system.text("/etc/hosts").splitlines():
        fields = line.split("#", 1)[0].split()
        if len(fields) > 1:
            entry = items.setdefault("hosts " + escape(fields[0]), {"names": []})
            entry["names"] = sorted(set(entry["names"]) | {escape(name) for name in fields[1:]})
    hostname = system.text("/proc/sys/kernel/hostname").strip()
    items["hostname"] = {"name": hostname}
    for name in ["localhost", hostname] + list(system.options.get("names") or []):
        items["lookup " + escape(name)] = {"addresses": _lookup(system, name)}
    return {
        "items": items,
        "summary": {"name servers": len(items["resolv.conf"]["nameservers"]), "hosts entries": sum(1 for i in items if i.startswith("hosts "))},
    }


def _resolv(text):
    out = {"nameservers": [], "search": [], "options": [], "upstream": []}
    for line in text.splitlines():
        fields = line.split()
        if not fields or fields[0][0] in "#;":
            continue
        if fields[0] == "nameserver" and len(fields) > 1:
            out["nameservers"].append(fields[1])
        elif fields[0] in ("search", "domain"):
            # the last one of search and domain wins, as in the resolver
            out["search"] = fields[1:]
        elif fields[0] == "options":
            out["options"] = sorted(set(out["options"]) | set(fields[1:]))
    return out


def _lookup(system, name):
    """Sorted addresses getent gives; [] when the name does not resolve."""
    result = system.run(["getent", "ahosts", name], timeout=20, check=False)
    if result.rc != 0:
        return []
    found = {line.split()[0].split("%")[0] for line in result.text.splitlines() if line.split()}
    # link-local answers (nss_myhostname) follow the hardware address
    return sorted(a for a in found if not a.lower().startswith("fe80:"))


def compare(before, after):
    """Findings: resolver.{servers,nsswitch,hosts,hostname,lookup}.{missing,new,changed}."""
    old, new = before.get("items", {}), after.get("items", {})
    causes, broken = [], []
    for subject, change, attribute, was, now in differences(old, new):
        kind = subject.split(" ", 1)[0]
        if kind == "lookup":
            broken += _lookup_changed(subject, change, was, now, old)
        else:
            causes += _configuration(kind, subject, change, attribute, was, now)
    # a name that no longer resolves is the consequence of what was changed in the configuration, when something was
    for finding in causes:
        if finding.severity == "blocker":
            finding.covers += [{"section": "resolver", "id": "resolver.lookup.*"}]
            break
    return causes + broken


def _lookup_changed(subject, change, was, now, old):
    if change == "new" or (change == "missing" and subject == "lookup " + old.get("hostname", {}).get("name", "")):
        return []
    lost = sorted(set(was or []) - set(now or [])) if change == "changed" else []
    if change == "changed" and not lost:
        return []
    return [
        Finding(
            id="resolver.lookup.changed" if change == "changed" and now else "resolver.lookup.missing",
            severity="blocker",
            subject=subject,
            check="QF30",
            title="the name does not resolve any more" if not now else "the name resolves to another address",
            evidence="before: %s; now: %s" % (", ".join(was if change == "changed" else was["addresses"]) or "nothing", ", ".join(now or []) or "nothing"),
            remedy="getent ahosts %s; then /etc/hosts, /etc/nsswitch.conf and the name servers, in this order" % subject.split(" ", 1)[1],
            details=details(change, attribute="addresses", before=was, after=now),
        )
    ]


def _configuration(kind, subject, change, attribute, was, now):
    path = FILES[kind]
    lost = change == "missing"
    words = "before: %s; now: %s" % (_words(was), _words(now))
    found = {"before": _words(was), "after": _words(now), "attribute": attribute}
    if kind == "resolv.conf":
        # a whole item that went or came is told by its name servers
        servers = [set((x["nameservers"] + x["upstream"] if isinstance(x, dict) else x) or []) for x in (was, now)]
        severity = "blocker" if attribute in ("", "nameservers", "upstream") and servers[0] - servers[1] else "warning"
        ident, title = (
            "servers",
            "the resolver's %s have changed"
            % {"search": "search domains", "options": "options", "upstream": "upstream servers"}.get(attribute, "name servers"),
        )
    elif kind == "nsswitch":
        plain = [set(x["sources"] if isinstance(x, dict) else x or []) for x in (was, now)]
        severity = "blocker" if plain[0] - plain[1] and subject in ("nsswitch hosts", "nsswitch passwd", "nsswitch group", "nsswitch shadow") else "warning"
        ident, title = "nsswitch", "%s are looked up in other places" % subject.split(" ", 1)[1]
    elif kind == "hosts":
        names = [set(x["names"] if isinstance(x, dict) else x or []) for x in (was, now)]
        severity = "blocker" if names[0] - names[1] else "warning"
        ident, title = "hosts", "names are gone from the hosts file" if severity == "blocker" else "the hosts file has more names"
    else:
        severity, ident, title = "blocker", "hostname", "the host has another name"
    return [
        Finding(
            id="resolver.%s.%s" % (ident, change),
            severity=severity,
            subject=subject,
            check="QF30",
            title=title,
            evidence=words,
            remedy="compare %s with the earlier one and put back what is missing" % path
            if lost or severity == "blocker"
            else "expected? then allow it with a reason",
            details=details(change, **found),
            covers=[{"section": "files", "path": path}],
        )
    ]


def _words(value):
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return ", ".join(_words(v) for _k, v in sorted(value.items()) if v) or "nothing"
    return " ".join(value) if isinstance(value, list) else str(value)
