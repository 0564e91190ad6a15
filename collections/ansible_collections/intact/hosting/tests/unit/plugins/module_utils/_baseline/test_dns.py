# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""DNS: the wire format, a real server on a loopback port, named's configuration, one finding for one event."""

from __future__ import annotations

import copy
import socketserver
import struct
import threading

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _dnswire, dns
from ansible_collections.intact.hosting.plugins.module_utils._system import System
from ansible_collections.intact.hosting.tests.unit.plugins.fake_system import FakeSystem

# name, type, TTL, data in wire form
ZONE = {
    ("a.test.", "SOA"): (
        3600,
        [_dnswire.encode_name("ns1.a.test.") + _dnswire.encode_name("root.a.test.") + struct.pack("!5I", 2026010101, 7200, 3600, 1209600, 300)],
    ),
    ("a.test.", "NS"): (3600, [_dnswire.encode_name("ns1.a.test.")]),
    ("a.test.", "MX"): (3600, [struct.pack("!H", 10) + _dnswire.encode_name("mail.a.test."), struct.pack("!H", 5) + _dnswire.encode_name("mx.a.test.")]),
    ("www.a.test.", "A"): (300, [bytes([192, 0, 2, 1])]),
    ("www.a.test.", "AAAA"): (300, [bytes.fromhex("20010db8000000000000000000000001")]),
    ("txt.a.test.", "TXT"): (300, [b'\x03a;b\x02"c']),
    ("_sip.a.test.", "SRV"): (300, [struct.pack("!HHH", 1, 2, 5060) + _dnswire.encode_name("www.a.test.")]),
    ("a.test.", "CAA"): (300, [b"\x00\x05issueca.test"]),
    ("odd.a.test.", "TYPE65280"): (300, [b"\x01\x02"]),
}
FILE = "\n".join("%s 300 IN %s whatever" % key for key in ZONE)


class Answerer(socketserver.StreamRequestHandler):
    """Answers from the server's zone; AXFR only when it is allowed."""

    def handle(self):
        while True:
            head = self.rfile.read(2)
            if len(head) < 2:
                return
            message = self.rfile.read(struct.unpack("!H", head)[0])
            name, offset = _dnswire.decode_name(message, 12)
            kind = _dnswire.type_name(struct.unpack("!H", message[offset : offset + 2])[0])
            zone, code, found = self.server.zone, 0, []
            if kind == "AXFR":
                code = 0 if self.server.transfer else 5
                if not code:
                    found = (
                        [(("a.test.", "SOA"), zone[("a.test.", "SOA")])]
                        + [z for z in zone.items() if z[0][1] != "SOA"]
                        + [(("a.test.", "SOA"), zone[("a.test.", "SOA")])]
                    )
            elif self.server.broken and name == "a.test.":
                code = 2
            elif (name, kind) in zone:
                found = [((name, kind), zone[(name, kind)])]
            answers = b""
            count = 0
            for (owner, what), (ttl, datas) in found:
                for data in datas:
                    # the owner as a pointer to the question when it is the same name
                    wire = b"\xc0\x0c" if owner == name else _dnswire.encode_name(owner)
                    answers += wire + struct.pack("!HHIH", _dnswire.type_number(what), 1, ttl, len(data)) + data
                    count += 1
            body = message[:2] + struct.pack("!HHHHH", 0x8400 | code, 1, count, 0, 0) + message[12 : offset + 4] + answers
            self.wfile.write(struct.pack("!H", len(body)) + body)


@pytest.fixture
def named():
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Answerer)
    server.daemon_threads = True
    server.zone, server.transfer, server.broken = copy.deepcopy(ZONE), True, False
    threading.Thread(target=server.serve_forever, daemon=True).start()
    config = 'options { directory "/var/cache/bind"; };\nzone "a.test" { type primary; file "/var/lib/bind/a.zone"; };\n'
    config += 'zone "." { type hint; file "/usr/share/dns/root.hints"; };\n'

    class Host(FakeSystem):
        """Recorded configuration, real sockets."""

        dial = System.dial

    def capture():
        system = Host(
            {"named-checkconf -p": config, "named": "", "named-compilezone": FILE},
            {"/var/lib/bind/a.zone": "x"},
            options={"address": "127.0.0.1", "port": server.server_address[1]},
        )
        return dns.capture(system)

    yield server, capture
    server.shutdown()
    server.server_close()


def test_zone_as_the_server_answers(named):
    _server, capture = named
    items = capture()["items"]
    assert items["a.test. MX"]["data"] == ["10 mail.a.test.", "5 mx.a.test."]
    assert items["www.a.test. AAAA"]["data"] == ["2001:db8::1"] and items["www.a.test. A"]["ttl"] == 300
    assert items["txt.a.test. TXT"]["data"] == ['"a;b" "\\034c"'] and items["_sip.a.test. SRV"]["data"] == ["1 2 5060 www.a.test."]
    assert items["a.test. CAA"]["data"] == ['0 issue "ca.test"'] and items["odd.a.test. TYPE65280"]["data"] == ["\\# 2 0102"]
    assert items["zone a.test."]["serial"] == 2026010101 and items["zone a.test."]["signed"] is False
    assert dns.compare(capture(), capture()) == []


def test_without_transfer_the_zone_file_names_the_records(named):
    server, capture = named
    before = capture()
    server.transfer = False
    after = capture()
    assert set(before["items"]) == set(after["items"])
    assert [(f.id, f.severity) for f in dns.compare(before, after)] == [("dns.transfer.changed", "warning")]


def bump(server, serial):
    ttl, (data,) = server.zone[("a.test.", "SOA")]
    server.zone[("a.test.", "SOA")] = (ttl, [data[:-20] + struct.pack("!I", serial) + data[-16:]])


@pytest.mark.parametrize(
    ("act", "expected"),
    [
        (lambda s: s.zone.update({("www.a.test.", "A"): (300, [bytes([192, 0, 2, 66])])}), [("dns.record.changed", "www.a.test. A")]),
        (lambda s: s.zone.pop(("www.a.test.", "AAAA")), [("dns.record.missing", "www.a.test. AAAA")]),
        (lambda s: s.zone.update({("new.a.test.", "A"): (300, [bytes(4)])}), [("dns.record.new", "new.a.test. A")]),
        (lambda s: s.zone.update({("www.a.test.", "A"): (60, [bytes([192, 0, 2, 1])])}), [("dns.record.ttl", "www.a.test. A")]),
        (lambda s: bump(s, 2026010102), []),
        (lambda s: bump(s, 2025010101), [("dns.serial.backwards", "zone a.test.")]),
        (lambda s: setattr(s, "broken", True), [("dns.zone.unanswered", "zone a.test.")]),
        (lambda s: s.zone.pop(("a.test.", "MX")), [("dns.record.missing", "a.test. MX")]),
    ],
)
def test_one_finding_for_one_event(named, act, expected):
    server, capture = named
    before = capture()
    act(server)
    assert [(f.id, f.subject) for f in dns.compare(before, capture())] == expected


def test_server_that_is_gone(named):
    server, capture = named
    before = capture()
    server.shutdown()
    server.server_close()
    (finding,) = dns.compare(before, capture())
    assert (finding.id, finding.subject) == ("dns.zone.unanswered", "zone a.test.") and "refused" in finding.evidence.lower()


def test_configuration_with_views_inheritance_and_debians_own_zones():
    text = """options { directory "/var/cache/bind"; allow-transfer { 192.0.2.53; key "k"; }; };
    zone "localhost" { type master; file "/etc/bind/db.local"; };
    view "inside" { match-clients { any; }; zone "A.Test" IN { type master; file "a.zone"; allow-transfer { none; }; }; };
    zone "b.test" { type slave; file "b.zone"; primaries { 192.0.2.1; }; };
    zone "c.test" { type forward; forwarders { 192.0.2.1; }; };"""
    first, second = dns.zones(text)
    assert first == {"zone": "a.test.", "view": "inside", "type": "master", "transfer": ["none"], "file": "/var/cache/bind/a.zone"}
    assert second["transfer"] == ["192.0.2.53", "key k"] and second["type"] == "slave"


SIGNED = {
    "kind": "zone",
    "type": "primary",
    "file": "/z",
    "serial": 10,
    "soa": ["ns.", "root."],
    "signed": True,
    "transfer": True,
    "allowed": None,
    "keys": ["257 3 13 AAA", "256 3 13 BBB"],
    "signature": "valid",
}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"serial": 11}, []),
        ({"keys": ["257 3 13 AAA", "256 3 13 CCC"]}, [("dns.key.rolled", "info")]),
        ({"keys": ["257 3 13 XXX", "256 3 13 BBB"]}, [("dns.key.changed", "blocker")]),
        ({"signed": False, "keys": None, "signature": None}, [("dns.signature.missing", "blocker")]),
        ({"signature": "the signature by key 7 is out of date"}, [("dns.signature.invalid", "blocker")]),
        ({"serial": 2**32 - 5}, [("dns.serial.backwards", "blocker")]),
        ({"allowed": ["192.0.2.53"]}, [("dns.transfer.changed", "warning")]),
    ],
)
def test_signed_zone(change, expected):
    after = {k: v for k, v in dict(SIGNED, **change).items() if v is not None or k == "allowed"}
    found = dns.compare({"items": {"zone b.test.": SIGNED}}, {"items": {"zone b.test.": after}})
    assert [(f.id, f.severity) for f in found] == expected


def test_lost_zone_tells_of_its_records():
    record = {"kind": "records", "zone": "b.test.", "ttl": 1, "data": ["x"], "file": "/z"}
    (finding,) = dns.compare({"items": {"zone b.test.": SIGNED, "www.b.test. A": record}}, {"items": {}})
    assert finding.id == "dns.zone.missing" and "1 record sets" in finding.evidence and {"section": "files", "path": "/z"} in finding.covers


@pytest.mark.parametrize("message", [b"", b"\0" * 11, b"\0" * 4 + b"\0\1" + b"\0" * 6 + b"\xc0\x0c", b"\0" * 6 + b"\0\1\0\0\0\0" + b"\0\0\1"])
def test_malformed_messages_are_refused(message):
    with pytest.raises(_dnswire.Malformed):
        _dnswire.parse(message)


@pytest.mark.parametrize(("text", "expected"), [("a\\.b.test.", [b"a.b", b"test"]), ("\\097.test", [b"a", b"test"]), (".", []), ("*.x.", [b"*", b"x"])])
def test_names(text, expected):
    assert _dnswire.labels(text) == expected


def test_host_without_named():
    assert dns.capture(FakeSystem()) is None
