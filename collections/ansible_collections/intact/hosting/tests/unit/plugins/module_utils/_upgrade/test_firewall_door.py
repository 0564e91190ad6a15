# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The door in real firewalls: nftables and both kinds of iptables, in a network namespace."""

from __future__ import annotations

import json
import re
import subprocess

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._command import Result
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _firewall_door
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._upgrade.isolated import needs, places, wire

COMMENT = "intact-rescue-ssh:web1-upgrade-1"
ADDRESSES = ["192.0.2.2", "2001:db8::2"]
RULES = """
table inet filter {
    map verdicts { type inet_service : verdict; elements = { 22 : accept } }
    chain input {
        type filter hook input priority filter; policy drop;
        ct state established,related accept
        tcp dport 22 accept comment "operator's"
        iif "lo" accept
        meta l4proto ipv6-icmp accept
    }
    chain forward { type filter hook forward priority filter; policy drop; }
    chain output { type filter hook output priority filter; policy accept; }
}
table ip late {
    chain last { type filter hook input priority 50; policy accept; jump deeper; }
    chain deeper { tcp dport 1-65535 goto deepest; }
    chain deepest { counter reject with icmp type port-unreachable; }
}
table ip6 late { chain last { type filter hook input priority 50; policy accept; tcp dport vmap { 25 : accept, 26 : drop }; }
}
table inet harmless { chain input { type filter hook input priority 10; policy accept; tcp dport 22 counter accept; }
}
table inet early { chain pre { type filter hook prerouting priority raw; policy accept; tcp dport 3000-9000 drop; }
}
table inet stateless { chain out { type filter hook output priority 20; policy drop; tcp sport 22 accept; oif "lo" accept; meta l4proto ipv6-icmp accept; }
}
table ip nat { chain prerouting { type nat hook prerouting priority dstnat; policy accept; }
}
"""


@pytest.fixture
def host():
    """Two places with a cable between them: the host, and the controller with one address more."""
    with places(":", ":") as (first, second):
        wire(first, second, ("192.0.2.1/24", "192.0.2.2/24"), ("2001:db8::1/64", "2001:db8::2/64"))
        second.run("ip", "addr", "add", "192.0.2.3/24", "dev", "cable")
        first.other = second
        yield first


def runner(place):
    """run() as the host's, but in a place."""

    def run(argv, timeout=60, check=True, stdin=b""):
        done = subprocess.run(place.argv(*argv), capture_output=True, check=check, input=stdin, timeout=timeout)
        return Result(tuple(argv), done.returncode, done.stdout, done.stderr)

    return run


def reaches(host, address, source, port=4222):
    """Whether a listener on the host answers the controller that calls from an address."""
    listener = subprocess.Popen(host.argv("python3", "-c", SERVER, str(port)), stdout=subprocess.PIPE, text=True)
    try:
        assert listener.stdout.readline() == "listening\n"
        done = host.other.run("python3", "-c", CLIENT, address, source, str(port), check=False)
        return done.stdout.strip() == "hello"
    finally:
        listener.kill()
        listener.communicate()


SERVER = """
import socket, sys
s = socket.socket(socket.AF_INET6)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("::", int(sys.argv[1])))
s.listen()
print("listening", flush=True)
while True:
    s.accept()[0].sendall(b"hello")
"""
CLIENT = """
import socket, sys
print(socket.create_connection((sys.argv[1], int(sys.argv[3])), 1, (sys.argv[2], 0)).recv(9).decode())
"""


def top(host, *chain):
    """Comments of a chain's rules, "" for none."""
    said = json.loads(host.run("nft", "-j", "list", "chain", *chain))
    return [entry["rule"].get("comment", "") for entry in said["nftables"] if "rule" in entry]


@needs("nft")
def test_every_chain_that_could_drop_gets_one_rule_at_its_top_and_gives_it_back(host):
    host.run("nft", "-f", "-", stdin=RULES)
    before, run = host.run("nft", "-s", "list", "ruleset"), runner(host)
    assert not reaches(host, "192.0.2.1", "192.0.2.2")
    opened = _firewall_door.open_door(run, COMMENT, 4222, ADDRESSES)
    assert sorted(opened) == ["inet early pre", "inet filter input", "inet stateless out", "ip late last", "ip6 late last"]
    assert reaches(host, "192.0.2.1", "192.0.2.2")
    assert reaches(host, "2001:db8::1", "2001:db8::2")
    assert not reaches(host, "192.0.2.1", "192.0.2.3")
    assert not reaches(host, "192.0.2.1", "192.0.2.2", 4223)
    assert top(host, "ip", "late", "last") == [COMMENT, ""]
    assert top(host, "inet", "filter", "input") == [COMMENT, COMMENT, "", "operator's", "", ""]
    assert COMMENT not in host.run("nft", "list", "table", "inet", "harmless")
    during = host.run("nft", "-s", "list", "ruleset")
    assert _firewall_door.open_door(run, COMMENT, 4222, ADDRESSES) == []
    assert host.run("nft", "-s", "list", "ruleset") == during
    assert len(_firewall_door.close_door(run, COMMENT)) == 5
    assert host.run("nft", "-s", "list", "ruleset") == before
    assert not reaches(host, "192.0.2.1", "192.0.2.2")


@needs("nft")
def test_a_reload_and_a_rule_above_ours_are_noticed(host):
    host.run("nft", "-f", "-", stdin=RULES)
    run = runner(host)
    _firewall_door.open_door(run, COMMENT, 4222, ADDRESSES)
    assert _firewall_door.missing(run, COMMENT, 4222, ADDRESSES) == []
    host.run("nft", "-f", "-", stdin="flush ruleset\n" + RULES)
    assert "inet filter input" in _firewall_door.missing(run, COMMENT, 4222, ADDRESSES)
    assert not reaches(host, "192.0.2.1", "192.0.2.2")
    _firewall_door.open_door(run, COMMENT, 4222, ADDRESSES)
    host.run("nft", "insert", "rule", "inet", "filter", "input", "tcp", "dport", "1000-9999", "drop")
    assert _firewall_door.missing(run, COMMENT, 4222, ADDRESSES) == ["inet filter input"]
    _firewall_door.open_door(run, COMMENT, 4222, ADDRESSES)
    assert top(host, "inet", "filter", "input")[:3] == [COMMENT, COMMENT, ""]
    assert reaches(host, "192.0.2.1", "192.0.2.2")


@needs("nft")
def test_networks_and_another_port_take_the_place_of_what_was_there(host):
    host.run("nft", "-f", "-", stdin=RULES)
    before, run = host.run("nft", "-s", "list", "ruleset"), runner(host)
    many = ["192.0.2.0/24", "198.51.100.7", "2001:db8::/64", "2001:db8:1::/48"]
    _firewall_door.open_door(run, COMMENT, 4222, ADDRESSES)
    assert _firewall_door.missing(run, COMMENT, 4222, many)
    _firewall_door.open_door(run, COMMENT, 4222, many)
    assert _firewall_door.missing(run, COMMENT, 4222, many) == []
    assert reaches(host, "192.0.2.1", "192.0.2.3")
    _firewall_door.open_door(run, COMMENT, 4333, many)
    assert not reaches(host, "192.0.2.1", "192.0.2.2")
    assert top(host, "inet", "filter", "input").count(COMMENT) == 2
    _firewall_door.close_door(run, COMMENT)
    assert host.run("nft", "-s", "list", "ruleset") == before


@needs("nft")
def test_another_flights_rule_is_not_ours(host):
    host.run("nft", "-f", "-", stdin=RULES)
    run = runner(host)
    _firewall_door.open_door(run, "intact-rescue-ssh:web1-upgrade", 4222, ADDRESSES)
    during = host.run("nft", "-s", "list", "ruleset")
    _firewall_door.open_door(run, COMMENT, 4222, ADDRESSES)
    _firewall_door.close_door(run, COMMENT)
    assert host.run("nft", "-s", "list", "ruleset") == during


@needs("nft")
def test_no_firewall_needs_no_door(host):
    assert _firewall_door.open_door(runner(host), COMMENT, 4222, ADDRESSES) == []
    assert host.run("nft", "-s", "list", "ruleset") == ""


def rules_of(program):
    """A usual set of rules by one kind of iptables."""
    return "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n:UFW - [0:0]\n-A INPUT -i lo -j ACCEPT\n" + (
        '-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n-A INPUT -p tcp -m tcp --dport 22 -m comment --comment "operator\'s" -j ACCEPT\n'
        "-A INPUT -j UFW\n-A UFW -p icmp%s -j RETURN\n-A UFW -j DROP\nCOMMIT\n" % ("v6" if "6" in program else "")
    )


def saved(host, program):
    """What one kind of iptables saves, without counters and dates."""
    return [re.sub(r" \[\d+:\d+\]$", "", line) for line in host.run(program + "-save").splitlines() if not line.startswith("#")]


@needs("nft", "iptables-save")
@pytest.mark.parametrize("kind", ["nft", "legacy"])
def test_iptables_of_both_kinds(host, kind):
    programs = ["iptables-" + kind, "ip6tables-" + kind]
    for program in programs:
        if host.run(program + "-restore", stdin=rules_of(program), check=False).returncode:
            pytest.skip("%s does not work on this kernel" % program)
    before, run = [saved(host, p) for p in programs], runner(host)
    assert not reaches(host, "192.0.2.1", "192.0.2.2")
    opened = _firewall_door.open_door(run, COMMENT, 4222, ADDRESSES)
    assert opened == ["%s filter INPUT" % p for p in programs]
    assert _firewall_door.open_door(run, COMMENT, 4222, ADDRESSES) == []
    for program in programs:
        rules = host.run(program, "-S", "INPUT").splitlines()
        assert COMMENT in rules[1] and sum(COMMENT in rule for rule in rules) == 1
    assert reaches(host, "192.0.2.1", "192.0.2.2")
    assert reaches(host, "2001:db8::1", "2001:db8::2")
    assert not reaches(host, "192.0.2.1", "192.0.2.3")
    # A reload by the operator's own means.
    host.run(programs[0] + "-restore", stdin=rules_of(programs[0]))
    assert _firewall_door.missing(run, COMMENT, 4222, ADDRESSES) == ["filter INPUT"]
    _firewall_door.open_door(run, COMMENT, 4222, ADDRESSES)
    assert len(_firewall_door.close_door(run, COMMENT)) == 2
    assert [saved(host, p) for p in programs] == before


@needs("nft", "iptables-nft")
def test_iptables_beside_native_tables(host):
    """An accept in one table does not help where another base chain drops; iptables still understands its own tables."""
    host.run("iptables-nft-restore", stdin=rules_of("iptables-nft"))
    host.run("nft", "-f", "-", stdin=RULES)
    before, run = host.run("nft", "-s", "list", "ruleset"), runner(host)
    opened = _firewall_door.open_door(run, COMMENT, 4222, ADDRESSES)
    assert "iptables-nft filter INPUT" in opened and "inet filter input" in opened
    assert reaches(host, "192.0.2.1", "192.0.2.2")
    assert host.run("iptables-nft", "-S", "INPUT").count(COMMENT) == 1
    _firewall_door.close_door(run, COMMENT)
    assert host.run("nft", "-s", "list", "ruleset") == before


@needs("nft")
def test_a_native_table_that_is_named_like_iptables(host):
    """Debian's own example is named so; iptables does not know its chains."""
    host.run("nft", "-f", "-", stdin="table ip filter { chain input { type filter hook input priority filter; policy drop; }\n}")
    before, run = host.run("nft", "-s", "list", "ruleset"), runner(host)
    assert _firewall_door.open_door(run, COMMENT, 4222, ADDRESSES) == ["ip filter input"]
    assert reaches(host, "192.0.2.1", "192.0.2.2")
    _firewall_door.close_door(run, COMMENT)
    assert host.run("nft", "-s", "list", "ruleset") == before


def test_a_firewall_that_does_not_let_us_is_told():
    def run(argv, **_more):
        if argv[:3] == ["nft", "-j", "list"]:
            return Result(tuple(argv), 0, json.dumps({"nftables": [CHAIN]}).encode(), b"")
        return Result(tuple(argv), 1, b"", b"Error: Could not process rule: Operation not permitted")

    with pytest.raises(IntactError, match="Operation not permitted"):
        _firewall_door.Nft(run, COMMENT).look().open(4222, ADDRESSES)


CHAIN = {"chain": {"family": "inet", "table": "firewalld", "name": "in", "handle": 1, "type": "filter", "hook": "input", "prio": 0, "policy": "drop"}}
