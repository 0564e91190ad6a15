# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""DNS: every zone this host serves, record by record as its own server answers, and whether its signatures hold."""

from __future__ import annotations

import posixpath
import struct
import time

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _dns_files, _dnswire, _webconf
from ansible_collections.intact.hosting.plugins.module_utils._baseline._dns_compare import compare
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

__all__ = ["SECTION", "capture", "compare"]
SECTION = "dns"
PRIMARY, SECONDARY = {"master", "primary"}, {"slave", "secondary", "mirror"}
# signatures and what is derived from them change with every signing
DERIVED = {"RRSIG", "NSEC", "NSEC3", "NSEC3PARAM", "TYPE65534", "CDS", "CDNSKEY", "ZONEMD"}
# zones that the Debian package itself brings
OWN = {"/etc/bind/db.local", "/etc/bind/db.127", "/etc/bind/db.0", "/etc/bind/db.255", "/etc/bind/db.empty", "/usr/share/dns/root.hints"}


class Server:
    """The host's own server over one TCP connection."""

    def __init__(self, system, address, port, timeout=10):
        self.system, self.address, self.port, self.timeout, self.sock = system, address, port, timeout, None

    def _receive(self, count):
        out = b""
        while len(out) < count:
            data = self.sock.recv(count - len(out))
            if not data:
                raise ConnectionResetError(104, "the server closed the connection")
            out += data
        return out

    def close(self):
        """Give the connection back."""
        if self.sock is not None:
            self.sock.close()
            self.sock = None

    def _message(self):
        (length,) = struct.unpack("!H", self._receive(2))
        return _dnswire.parse(self._receive(length))

    def ask(self, name, kind, dnssec=False):
        """The parsed answer to one question; a connection that the server closed meanwhile is opened again once."""
        try:
            return self._ask(name, kind, dnssec)
        except OSError:
            self.close()
            return self._ask(name, kind, dnssec)

    def _ask(self, name, kind, dnssec):
        if self.sock is None:
            self.sock = self.system.dial(self.address, self.port, self.timeout)
        self.sock.sendall(_dnswire.query(name, kind, dnssec=dnssec))
        return self._message()

    def transfer(self, zone):
        """All records of a zone by AXFR, or None when the server refuses."""
        records, ends = [], 0
        try:
            self.close()
            self.sock = self.system.dial(self.address, self.port, self.timeout)
            self.sock.sendall(_dnswire.query(zone, "AXFR"))
            while ends < 2:
                answer = self._message()
                if answer["rcode"] != "NOERROR" or not answer["sections"][0]:
                    return None
                records += answer["sections"][0]
                ends += sum(1 for record in answer["sections"][0] if record[1] == "SOA")
            return records
        except OSError:
            return None
        finally:
            self.close()


def zones(text):
    """[{zone, view, type, file, transfer}] from named-checkconf -p."""
    out = []

    def visit(blocks, view, inherited, directory):
        for block in blocks:
            if block.words[0] == "options" and block.children:
                directory[0] = block.value("directory", directory[0])
                inherited = _members(block) or inherited
        for block in blocks:
            if block.words[0] == "view" and block.children:
                visit(block.children, block.words[1], _members(block) or inherited, directory)
            elif block.words[0] == "zone" and block.children and len(block.words) > 1:
                file = block.value("file")
                out.append(
                    {
                        "zone": block.words[1].rstrip(".").lower() + ".",
                        "view": view,
                        "type": block.value("type"),
                        "transfer": _members(block) or inherited,
                        "file": posixpath.join(directory[0], file) if file else "",
                    }
                )

    visit(_webconf.nginx_parse(text, "named.conf"), "", None, ["/var/cache/bind"])
    return [z for z in out if z["type"] in PRIMARY | SECONDARY and z["file"] not in OWN]


def _members(block):
    found = [c for c in block.find("allow-transfer") if c.children is not None]
    return sorted(" ".join(child.words) for child in found[-1].children) if found else None


def capture(system):
    """Items: "zone NAME", and "NAME TYPE" for each record set. Options: address, port (of the server on this host), records (at most, for one zone)."""
    if not system.which("named-checkconf") or not system.which("named"):
        return None
    result = system.run(["named-checkconf", "-p"], check=False)
    if result.rc != 0:
        raise IntactError("named refuses its configuration: %s" % (result.text.strip().splitlines() or [result.error])[-1])
    items = {}
    served = zones(result.text)
    if not served:
        return {"items": {}, "summary": {"zones": 0, "record sets": 0}}
    server = _server(system)
    entries, options = _dns_files.where(system)
    for zone in served:
        system.remaining()
        name = zone["zone"] + (" (view %s)" % zone["view"] if zone["view"] else "")
        try:
            items.update(_zone(system, server, zone, name))
        except _dnswire.Malformed as exc:
            items["zone " + name] = {"kind": "zone", "file": zone["file"], "error": "the server's answer can't be read: %s" % exc}
        except OSError as exc:
            items["zone " + name] = {"kind": "zone", "file": zone["file"], "error": "the server does not answer: %s" % (exc.strerror or exc)}
    for zone in served:
        name = "zone " + zone["zone"] + (" (view %s)" % zone["view"] if zone["view"] else "")
        if name in items:
            items[name].update(config=entries.get(zone["zone"], []), options=options)
    server.close()
    kinds = [item["kind"] for item in items.values()]
    return {"items": items, "summary": {"zones": kinds.count("zone"), "record sets": kinds.count("records")}}


def _server(system):
    port = int(system.options.get("port", 53))
    candidates = [system.options["address"]] if system.options.get("address") else ["127.0.0.1", "::1"]
    for address in candidates:
        server = Server(system, address, port)
        try:
            server.ask(".", "SOA")
            return server
        except (OSError, _dnswire.Malformed):
            continue
    return Server(system, candidates[0], port)


def _zone(system, server, zone, name):
    origin, items = zone["zone"], {}
    top = server.ask(origin, "SOA", dnssec=True)
    if top["rcode"] != "NOERROR" or not top["authoritative"]:
        reason = top["rcode"] if top["rcode"] != "NOERROR" else "it is not authoritative"
        return {"zone " + name: {"kind": "zone", "file": zone["file"], "error": "the server answers %s for it" % reason}}
    soa = [r for r in top["sections"][0] if r[1] == "SOA"]
    fields = soa[0][3].split()
    signatures = [r[3].split() for r in top["sections"][0] if r[1] == "RRSIG"]
    moved = server.transfer(origin)
    wanted = {(r[0], r[1]) for r in moved or []} | _from_file(system, zone)
    wanted = {(n, t) for n, t in wanted if t not in DERIVED and t != "SOA"} | {(origin, "NS")}
    limit = int(system.options.get("records", 100000))
    if len(wanted) > limit:
        system.skip("zone " + name, "%d record sets are more than the limit: only the first were asked for" % len(wanted))
    suffix = " (view %s)" % zone["view"] if zone["view"] else ""
    for owner, kind in sorted(wanted)[:limit]:
        if kind == "DNSKEY":
            continue
        found = _records(server, owner, kind)
        if found:
            items["%s %s%s" % (owner, kind, suffix)] = {"kind": "records", "zone": name, "ttl": found[0], "data": found[1], "file": zone["file"]}
    keys = _records(server, origin, "DNSKEY")
    item = {
        "kind": "zone",
        "type": "primary" if zone["type"] in PRIMARY else "secondary",
        "file": zone["file"],
        "serial": int(fields[2]),
        "soa": fields[:2] + fields[3:],
        "signed": bool(signatures),
        "transfer": moved is not None,
        "allowed": zone["transfer"],
    }
    if signatures:
        item["keys"] = list(keys[1]) if keys else []
        item["signature"] = _validity(system, server, origin, item["keys"], signatures)
    items["zone " + name] = item
    return items


def _records(server, owner, kind):
    """(TTL, sorted data) of a record set as answered; what a delegation says stands in the other sections."""
    answer = server.ask(owner, kind)
    for section in answer["sections"]:
        found = [r for r in section if r[0] == owner and r[1] == kind]
        if found:
            return found[0][2], sorted(r[3] for r in found)
    return None


def _from_file(system, zone):
    """Names and types in the zone's file: needed where the server allows no transfer."""
    if not zone["file"] or not system.which("named-compilezone") or not system.exists(zone["file"]):
        return set()
    for form in ("text", "raw"):
        argv = ["named-compilezone", "-q", "-i", "none", "-k", "ignore", "-m", "ignore", "-n", "ignore", "-r", "ignore", "-f", form]
        if system.exists(zone["file"] + ".jnl"):
            argv.append("-j")
        result = system.run(argv + ["-o", "-", zone["zone"], zone["file"]], check=False)
        if result.rc == 0:
            out = set()
            for line in result.text.splitlines():
                fields = line.split(None, 4)
                if len(fields) == 5 and fields[2] == "IN":
                    out.add((fields[0].lower(), fields[3].upper()))
            return out
    return set()


def _validity(system, server, origin, keys, signatures):
    """ "valid", or a sentence: delv's judgement against the zone's own keys, or the signature's dates where delv is missing."""
    if system.which("delv") and keys:
        anchors = "".join(
            'trust-anchors { "%s" static-key %s "%s"; };\n' % ((origin, " ".join(k.split()[:3]), k.split()[3])) for k in keys if k.split()[0] == "257"
        )
        argv = ["delv", "-a", "/dev/stdin", "+root=%s" % origin, "@" + server.address, "-p", str(server.port), origin, "SOA"]
        result = system.run(argv, stdin=anchors.encode(), check=False, timeout=30)
        if "; fully validated" in result.text:
            return "valid"
        said = [
            line.strip("; ")
            for line in (result.text + "\n" + result.error).splitlines()
            if "resolution failed" in line or "unsigned" in line or "no valid" in line
        ]
        if said:
            return said[0]
    now = time.time()
    for _covered, _algorithm, tag, begins, expires in signatures:
        if not int(begins) <= now <= int(expires):
            return "the signature by key %s is %s" % (tag, "out of date" if now > int(expires) else "not valid yet")
    return "valid"
