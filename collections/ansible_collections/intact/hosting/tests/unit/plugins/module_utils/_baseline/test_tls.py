# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""TLS: reading a certificate without help, endpoints from recorded answers, one finding for one replaced certificate."""

from __future__ import annotations

import copy
import datetime

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _x509, tls
from ansible_collections.intact.hosting.tests.unit.plugins.fake_system import FakeSystem

PEM = """-----BEGIN CERTIFICATE-----
MIIBxDCCAWqgAwIBAgIUQUUmXVU9PCgpT+VlHsk9T21Sb4UwCgYIKoZIzj0EAwIw
IjEMMAoGA1UECgwDTGFiMRIwEAYDVQQDDAlzaG9wLnRlc3QwHhcNMjYxMTIyMTIz
MjE2WhcNMzYxMTE5MTIzMjE2WjAiMQwwCgYDVQQKDANMYWIxEjAQBgNVBAMMCXNo
b3AudGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABGuZfnE5QM6uPpUeIldT
tDbyB00dF8iI9zMc7angTPEyr8JmHBaUsZL0+6GEw9iEs0iK9jHNDfT0NVdXI6Ke
HM+jfjB8MB0GA1UdDgQWBBTfu81XZIPyH+bzb396d8pARrdIJTAfBgNVHSMEGDAW
gBTfu81XZIPyH+bzb396d8pARrdIJTAPBgNVHRMBAf8EBTADAQH/MCkGA1UdEQQi
MCCCCXNob3AudGVzdIINV1dXLnNob3AudGVzdIcEwAACATAKBggqhkjOPQQDAgNI
ADBFAiB56/7lxb6v6MqqTDfrIJwpOmRq2LzjFnOfCYlYaD5IIQIhAIDJofpTrveF
/0qBjfEjLAQYjTfFWuYbmBTY0k3cJWSA
-----END CERTIFICATE-----
"""
KEY = "0d653254137bb5d5c5a8a7c8bb0a8fdf3c0f87d558294ad3312784918bf2eec7"


def test_certificate_is_read_as_openssl_reads_it():
    found = _x509.read(_x509.from_pem("noise\n" + PEM)[0])
    assert found["key"] == KEY
    assert found["certificate"] == "bbbb76b0132b5e8b89eba02ea4a7b9088531aec38c998bd3facfe7b9129e368d"
    assert found["names"] == ["192.0.2.1", "shop.test", "www.shop.test"] and found["subject"] == "shop.test" and found["self_signed"] is True
    assert found["not_after"] == datetime.datetime(2036, 11, 19, 12, 32, 16, tzinfo=datetime.timezone.utc)


@pytest.mark.parametrize("data", [b"", b"\x30\x03abc", b"\x30\x82\xff\xff", b"\x30\x00"])
def test_what_is_no_certificate_is_refused(data):
    with pytest.raises(ValueError, match="certificate"):
        _x509.read(data)


DUMP = """# configuration file /etc/nginx/nginx.conf:
http { server { listen 80; listen 443 ssl; server_name shop.test; ssl_certificate /etc/ssl/shop.crt; ssl_certificate_key /etc/ssl/shop.key; } }
"""


def host(answer):
    return FakeSystem({"nginx -T": DUMP, "openssl s_client": answer}, options={"ports": []})


def test_capture_names_key_files_and_chain():
    system = host(PEM + "\nVerify return code: 18 (self-signed certificate)\n")
    found = tls.capture(system)
    item = found["items"]["shop.test:443"]
    assert item["key"] == KEY and item["sent"] == 1 and item["verify"] == "self-signed certificate" and item["expired"] is False
    assert {"/etc/ssl/shop.crt", "/etc/ssl/shop.key", "site:shop.test", "service:nginx.service", "socket:0.0.0.0:443"} <= set(item["paths"])
    assert ("openssl", "s_client", "-connect", "127.0.0.1:443", "-showcerts", "-servername", "shop.test") in system.calls


def test_an_endpoint_that_does_not_answer_is_a_finding_that_its_site_explains():
    before = tls.capture(host(PEM))
    (finding,) = tls.compare(before, tls.capture(host((1, "", "connect: Connection refused"))))
    assert (
        (finding.id, finding.subject) == ("tls.unanswered", "shop.test:443") and "refused" in finding.evidence and "site:shop.test" in finding.details["paths"]
    )


ITEM = {
    "key": "aa",
    "certificate": "c1",
    "subject": "shop.test",
    "names": ["shop.test", "www.shop.test"],
    "issuer": "Lab CA",
    "self_signed": False,
    "not_after": "2030-01-01T00:00:00Z",
    "expired": False,
    "sent": 2,
    "verify": "ok",
    "floor": "TLSv1.2",
    "paths": ["/etc/ssl/shop.crt"],
}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, None),
        ({"certificate": "c2", "not_after": "2031-01-01T00:00:00Z", "issuer": "Other CA"}, None),
        ({"key": "bb", "certificate": "c2", "self_signed": True, "verify": "self-signed certificate"}, ("tls.key.changed", "blocker")),
        ({"expired": True}, ("tls.expired", "blocker")),
        ({"names": ["shop.test"]}, ("tls.names.lost", "blocker")),
        ({"sent": 1, "verify": "unable to get local issuer certificate"}, ("tls.chain.broken", "blocker")),
        ({"floor": "TLSv1"}, ("tls.protocol.weaker", "warning")),
        ({"floor": "TLSv1.3"}, ("tls.protocol.stricter", "info")),
    ],
)
def test_what_happened_to_one_endpoint(change, expected):
    found = tls.compare({"items": {"shop.test:443": ITEM}}, {"items": {"shop.test:443": dict(ITEM, **change)}})
    assert [(f.id, f.severity) for f in found] == ([expected] if expected else [])


def test_one_certificate_on_many_ports_is_one_finding():
    items = {s: copy.deepcopy(ITEM) for s in ("mail.test:443", "port 25", "port 993")}
    (finding,) = tls.compare({"items": items}, {"items": {s: dict(i, key="bb") for s, i in items.items()}})
    assert finding.subject == "mail.test:443" and "port 993" in finding.evidence
    assert {"section": "files", "path": "/etc/ssl/shop.crt"} in finding.covers


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ({"error": "Connection refused", "paths": []}, "tls.unanswered.before"),
        (dict(ITEM, expired=True), "tls.expired.before"),
    ],
)
def test_what_was_no_better_before_is_said(item, expected):
    (finding,) = tls.compare({"items": {"shop.test:443": item}}, {"items": {"shop.test:443": item}})
    assert (finding.id, finding.severity, finding.details["change"]) == (expected, "warning", "still")


def test_an_older_protocol_explains_no_other_certificate_file():
    (weaker,) = tls.compare({"items": {"a:443": ITEM}}, {"items": {"a:443": dict(ITEM, floor="TLSv1")}})
    assert weaker.severity == "warning" and not [entry for entry in weaker.covers if entry["section"] == "files"]


def test_tls_that_is_no_longer_offered():
    assert [f.id for f in tls.compare({"items": {"port 587": ITEM}}, {"items": {}})] == ["tls.unanswered"]


def test_host_without_anything_that_speaks_tls():
    assert tls.capture(FakeSystem()) is None
