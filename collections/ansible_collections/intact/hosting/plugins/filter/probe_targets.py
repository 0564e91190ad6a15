# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filter that turns what a host was seen to serve into the targets of the outage probe."""

from __future__ import annotations

import fnmatch
import re

from ansible.errors import AnsibleFilterError

from ansible_collections.intact.hosting.plugins.module_utils._files import read_document

MAIL = {25: ("smtp", False), 465: ("smtp", True), 587: ("smtp", False), 143: ("imap", False), 993: ("imap", True), 110: ("pop3", False), 995: ("pop3", True)}
KNOWN = {22: ("ssh", "ssh"), 3306: ("mysql", "MySQL"), 5432: ("postgresql", "PostgreSQL")}
ANY = ("", "*", "0.0.0.0", "::")
# A title that stands in the page byte for byte, whatever entities its author uses.
PLAIN = re.compile(r"^[A-Za-z0-9][A-Za-z0-9 .,:!_-]{2,60}$")


def probe_targets(baseline, address, skip=(), given=()):
    """Targets (list of dict) of a baseline, given as document or as path of one.

    address: where the host is reached from outside. skip: shell patterns of names. given: targets listed by hand; what they cover isn't derived again.
    Sites are asked for their own name with the status that was seen; listeners that only the host itself reaches are left out.
    """
    if isinstance(baseline, str):
        try:
            baseline = read_document(baseline)
        except (OSError, ValueError, EOFError) as exc:
            raise AnsibleFilterError("outage probe: the baseline %s cannot be read: %s" % (baseline, exc)) from exc
    sockets = items(baseline, "sockets")
    open_ports = {proto: {s["port"] for s in sockets.values() if s.get("proto") == proto and outside(s.get("address", ""))} for proto in ("tcp", "udp")}
    found, web = sites(items(baseline, "sites"), address)
    found += mail(items(baseline, "mail"), address, open_ports["tcp"] if sockets else None)
    if not sockets or 53 in open_ports["udp"]:
        found += zones(items(baseline, "dns"), address)
    taken = web | {t["port"] for t in found} | {53}
    found += listeners(sockets, address, taken)
    names, services = (
        {t["name"] for t in given},
        {(t["kind"], t.get("port") or {"mysql": 3306, "postgresql": 5432}.get(t["kind"])) for t in given if t.get("credentials")},
    )
    return [t for t in found if t["name"] not in names and (t["kind"], t["port"]) not in services and not any(fnmatch.fnmatchcase(t["name"], p) for p in skip)]


def items(baseline, section):
    """Items of a section, {} when it was not read."""
    return (((baseline.get("sections") or {}).get(section) or {}).get("data") or {}).get("items") or {}


def outside(address):
    """Whether an address a socket is bound to can be reached from another machine."""
    address = address.strip("[]").split("%")[0]
    return not (address.startswith(("127.", "fe80:")) or address == "::1")


def sites(found, address):
    """(targets, ports): one target for each site that answered, by TLS where it has it; the catch-all site only when there is no other."""
    targets, ports = [], set()
    for name, site in sorted(found.items()):
        bound = [entry.rpartition(":")[::2] for entry in site.get("listen") or []]
        ports |= {int(port) for _address, port in bound if port.isdigit()}
        front = front_pages(site.get("answers") or {})
        if (name == "_" and len(found) > 1) or "*" in name or name.startswith(".") or not front:
            continue
        tls, port, answer = front[0]
        own = [a.strip("[]") for a, p in bound if p == str(port) and outside(a)]
        if bound and not own:
            continue
        scheme, default = ("https", 443) if tls else ("http", 80)
        chain = answer.get("chain") or []
        status = int(chain[0].split()[0]) if chain else answer["status"]
        target = {
            "name": "%s://%s%s" % (scheme, address if name == "_" else name, "" if port == default else ":%d" % port),
            "kind": scheme,
            "host": address if name == "_" else name,
            "port": port,
            "tls": tls,
            "path": "/",
            "address": address if not own or any(a in ANY or a == address for a in own) else own[0],
            "status": [status],
        }
        if not chain and PLAIN.match(answer.get("title") or ""):
            target["marker"] = answer["title"]
        targets.append(target)
    return targets, ports


def front_pages(answers):
    """List of (tls, port, answer): the front page as it was seen, the way to ask for it first (https before http, IPv4 before IPv6)."""
    good = []
    for label, answer in sorted(answers.items()):
        scheme, _space, rest = label.partition(" ")
        where, _space, path = rest.partition(" ")
        if path != "/" or "error" in answer or not isinstance(answer.get("status"), int) or answer["status"] >= 500:
            continue
        kind, _colon, port = scheme.partition(":")
        tls = kind == "https"
        rank = (not tls, where != "IPv4", bool(port))
        good.append((rank, (tls, int(port) if port else 443 if tls else 80, answer)))
    return [page for _rank, page in sorted(good, key=lambda entry: entry[0])]


def mail(found, address, open_ports):
    """Targets for the mail ports that talked. open_ports: those reachable from outside, or None when it is not known."""
    targets = []
    for port, (kind, tls) in sorted(MAIL.items()):
        item = found.get("port %d" % port)
        if item and "error" not in item and (open_ports is None or port in open_ports):
            targets.append({"name": "%s port %d" % (kind.upper(), port), "kind": kind, "address": address, "port": port, "tls": tls})
    return targets


def zones(found, address):
    """Targets for the zones that the server answers for."""
    return [
        {"name": "zone %s" % subject[5:].rstrip("."), "kind": "dns", "address": address, "port": 53, "zone": subject[5:].rstrip(".")}
        for subject, item in sorted(found.items())
        if subject.startswith("zone ") and "error" not in item
    ]


def listeners(found, address, taken):
    """Targets for other TCP ports that are open to the outside; a firewall may hide them, so they are dropped when they never answer."""
    targets = {}
    for item in found.values():
        port = item.get("port")
        if item.get("proto") != "tcp" or not isinstance(port, int) or port in taken or not outside(item.get("address", "")):
            continue
        kind, name = KNOWN.get(port, ("tcp", "port %d (%s)" % (port, item.get("program") or "kernel")))
        if "sshd" in (item.get("program") or ""):
            kind, name = "ssh", "ssh" if port == 22 else "ssh port %d" % port
        targets.setdefault(port, {"name": name, "kind": kind, "address": address, "port": port, "optional": True})
    return [targets[port] for port in sorted(targets)]


class FilterModule:
    """Filters of this file."""

    def filters(self):
        """Name to function."""
        return {"probe_targets": probe_targets}
