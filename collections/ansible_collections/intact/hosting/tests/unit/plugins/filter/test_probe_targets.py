# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""probe_targets: from a baseline to the outage probe's targets."""

from __future__ import annotations

import gzip
import json

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.intact.hosting.plugins.filter.probe_targets import probe_targets


def listen(port, program, address="0.0.0.0", proto="tcp"):
    return {"proto": proto, "address": address, "port": port, "program": program, "unit": ""}


def site(listen, **answers):
    return {"server": "nginx", "listen": listen, "answers": {k.replace("__", ":").replace("_", " ") + " /": v for k, v in answers.items()}}


def document(**sections):
    return {"sections": {name: {"status": "ok", "data": {"items": found}} for name, found in sections.items()}}


WEB = document(
    sites={
        "shop.example.com": site(
            ["0.0.0.0:80", "0.0.0.0:443", "[::]:443"],
            http_IPv4={"status": 200, "chain": ["301 https://shop.example.com/"]},
            https_IPv4={"status": 200, "title": "The shop"},
            https_IPv6={"status": 200, "title": "The shop"},
        ),
        "old.example.com": site(["0.0.0.0:80"], http_IPv4={"status": 200, "title": "T", "chain": ["302 http://www.example.com/"]}),
        "intra.example.com": site(["127.0.0.1:8080"], http__8080_IPv4={"status": 200}),
        "broken.example.com": site(["0.0.0.0:80"], http_IPv4={"status": 502}),
        "login.example.com": site(["192.0.2.77:443"], https_IPv4={"status": 401, "title": "Tom &amp; Ann"}),
        "_": site(["0.0.0.0:80"], http_IPv4={"status": 404}),
    },
    mail={
        "port 25": {"kind": "port", "greeting": "220"},
        "port 993": {"kind": "port"},
        "port 143": {"kind": "port"},
        "port 110": {"kind": "port", "error": "no answer"},
        "ada": {"kind": "mailbox"},
    },
    dns={"zone example.com.": {"kind": "zone"}, "example.com. A": {"kind": "records"}, "zone broken.example.": {"kind": "zone", "error": "x"}},
    sockets={
        str(n): s
        for n, s in enumerate(
            [
                listen(22, "sshd"),
                listen(25, "master"),
                listen(993, "dovecot"),
                listen(143, "dovecot", "127.0.0.1"),
                listen(53, "named", proto="udp"),
                listen(3306, "mariadbd"),
                listen(5432, "postgres", "127.0.0.1"),
                listen(4190, "dovecot"),
                listen(80, "nginx"),
                listen(443, "nginx"),
                listen(9, "x", "::1"),
            ]
        )
    },
)


def by_name(targets):
    return {t["name"]: t for t in targets}


def test_everything_that_is_reachable_is_watched_and_nothing_else():
    found = by_name(probe_targets(WEB, "198.51.100.7"))
    assert sorted(found) == sorted(
        [
            "https://shop.example.com",
            "http://old.example.com",
            "https://login.example.com",
            "SMTP port 25",
            "IMAP port 993",
            "zone example.com",
            "ssh",
            "MySQL",
            "port 4190 (dovecot)",
        ]
    )
    shop = found["https://shop.example.com"]
    assert (shop["kind"], shop["host"], shop["address"], shop["port"], shop["status"], shop["marker"]) == (
        "https",
        "shop.example.com",
        "198.51.100.7",
        443,
        [200],
        "The shop",
    )
    assert found["http://old.example.com"]["status"] == [302] and "marker" not in found["http://old.example.com"]
    assert found["https://login.example.com"]["address"] == "192.0.2.77" and found["https://login.example.com"]["status"] == [401]
    assert "marker" not in found["https://login.example.com"]
    assert found["IMAP port 993"]["tls"] and found["ssh"]["kind"] == "ssh" and found["MySQL"]["optional"]
    assert found["zone example.com"]["zone"] == "example.com"


def test_listed_by_hand_or_skipped_is_not_derived():
    given = [{"name": "database", "kind": "mysql", "address": "198.51.100.7", "credentials": "w"}, {"name": "ssh", "kind": "ssh", "address": "198.51.100.7"}]
    found = by_name(probe_targets(WEB, "198.51.100.7", skip=["zone *", "https://login.*"], given=given))
    assert not {"MySQL", "ssh", "zone example.com", "https://login.example.com"} & set(found)


def test_a_section_that_was_not_read_gives_no_target():
    assert probe_targets({"sections": {"sites": {"status": "off"}}}, "198.51.100.7") == []


def test_the_document_may_be_a_file(tmp_path):
    path = tmp_path / "baseline-before.json.gz"
    path.write_bytes(gzip.compress(json.dumps(WEB).encode()))
    assert len(probe_targets(str(path), "198.51.100.7")) == 9
    path.write_bytes(b"\x1f\x8btorn")
    with pytest.raises(AnsibleFilterError, match="cannot be read"):
        probe_targets(str(path), "198.51.100.7")


def test_a_host_with_the_catch_all_site_only_is_watched_by_its_address():
    only = document(sites={"_": site(["0.0.0.0:80"], http_IPv4={"status": 200, "title": "Welcome to nginx!"})})
    (target,) = probe_targets(only, "198.51.100.7")
    assert target["name"] == "http://198.51.100.7" and target["host"] == "198.51.100.7" and target["marker"] == "Welcome to nginx!"
