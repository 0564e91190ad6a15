# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Network and resolver."""

from __future__ import annotations

import json

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _compare, network, resolver
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.tests.unit.plugins.fake_system import FakeSystem
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._baseline.recorded import HOSTS, changed, recorded, told


def net(host="web1-bookworm", edit=None, rules=None):
    answers = {
        "ip -j -d addr show": recorded(host, "ip-addr.json"),
        "ip -4 -j route": recorded(host, "ip-route4.json"),
        "ip -6 -j route": recorded(host, "ip-route6.json"),
        "ip -4 -j rule": rules or recorded(host, "ip-rule4.json"),
        "ip -6 -j rule": (2, "", "Operation not supported"),
    }
    if edit:
        links = json.loads(answers["ip -j -d addr show"])
        edit(links)
        answers["ip -j -d addr show"] = json.dumps(links)
    return network.capture(FakeSystem(commands=answers))


@pytest.mark.parametrize("host", HOSTS)
def test_recorded_networks(host):
    data = net(host)
    assert data["items"]["link eth0"]["up"] and data["items"]["link eth0"]["ipv6"] and data["items"]["link eth0"]["mtu"] == 1500
    assert "route default (IPv4)" in data["items"] and not [s for s in data["items"] if "fe80" in s or "127.0.0.1" in s]
    assert network.compare(data, net(host)) == []


def test_recorded_hosting_server():
    items = net()["items"]
    assert sorted(items) == [
        "address 172.28.10.10/24",
        "address fd28:1077:ac70:10::10/64",
        "link eth0",
        "link lo",
        "route default (IPv4)",
        "route default (IPv6)",
    ]
    assert items["route default (IPv6)"]["via"] == ["fd28:1077:ac70:10::1 dev eth0"]


def test_what_a_restart_changes_is_no_finding():
    def restart(links):
        links[1]["ifindex"] = 99
        links[1]["link_index"] = 100
        links[1]["addr_info"] = [
            dict(a, local="fe80::1234", valid_life_time=3) if a.get("scope") == "link" else dict(a, valid_life_time=7) for a in links[1]["addr_info"]
        ]
        links.append({"ifname": "veth1a2b3c4", "link_netnsid": 0, "link_type": "ether", "address": "aa:bb:cc:dd:ee:ff", "addr_info": []})
        links[1]["addr_info"].append({"family": "inet6", "local": "2001:db8::beef", "prefixlen": 64, "scope": "global", "temporary": True})

    assert net(edit=restart) == net()


@pytest.mark.parametrize(
    "step, expected",
    [
        (lambda i: i.pop("address 172.28.10.10/24"), [("network.address.missing", "blocker", "address 172.28.10.10/24")]),
        (lambda i: i.pop("route default (IPv6)"), [("network.route.missing", "blocker", "route default (IPv6)")]),
        (lambda i: i["route default (IPv4)"].update(via=["172.28.10.2 dev eth0"]), [("network.route.changed", "blocker", "route default (IPv4)")]),
        (lambda i: i.update({"address 192.0.2.7/32": {"dev": "eth0", "scope": "global"}}), [("network.address.new", "warning", "address 192.0.2.7/32")]),
        (lambda i: i["link eth0"].update(mac="02:00:00:00:00:01"), [("network.link.changed", "warning", "link eth0")]),
        (lambda i: i["link eth0"].update(mtu=1400), [("network.link.changed", "warning", "link eth0")]),
        (lambda i: i.update({"link sit0": {"mac": "", "mtu": 1480, "up": False, "ipv6": False, "kind": "sit"}}), []),
        (
            lambda i: i.update({"link eth1": {"mac": "02:00:00:00:00:09", "mtu": 1500, "up": True, "ipv6": False, "kind": ""}}),
            [("network.link.new", "warning", "link eth1")],
        ),
    ],
)
def test_each_change_of_the_network_is_its_own_finding(step, expected):
    assert told(network.compare(net(), changed(net(), step))) == expected


def one_event(before, after):
    return _compare.correlate(network.compare(before, after))


def test_a_renamed_interface_is_one_finding():
    def rename(items):
        items["link enp0s3"] = items.pop("link eth0")
        for subject, item in items.items():
            if subject.startswith("address"):
                item["dev"] = "enp0s3"
            if subject.startswith("route"):
                item.update(dev=["enp0s3"], via=[v.replace("eth0", "enp0s3") for v in item["via"]])

    out = one_event(net(), changed(net(), rename))
    assert told(out) == [("network.link.renamed", "blocker", "link eth0")] and "enp0s3" in out[0].title
    assert len(out[0].consequences) == 4


def test_a_dead_interface_takes_its_addresses_along():
    def die(items):
        items["link eth0"]["up"] = False
        for subject in [s for s in items if not s.startswith("link")]:
            del items[subject]

    out = one_event(net(), changed(net(), die))
    assert told(out) == [("network.link.down", "blocker", "link eth0")] and len(out[0].consequences) == 4


def test_ipv6_switched_off_is_one_finding():
    def off(items):
        items["link eth0"]["ipv6"] = False
        for subject in [s for s in items if "IPv6" in s or "fd28" in s]:
            del items[subject]

    out = one_event(net(), changed(net(), off))
    assert told(out) == [("network.ipv6.lost", "blocker", "link eth0")] and len(out[0].consequences) == 2


def test_a_lost_address_explains_its_listeners():
    out = network.compare(net(), changed(net(), lambda i: i.pop("address 172.28.10.10/24")))
    dead = _compare.Finding(
        id="sockets.missing", severity="blocker", subject="tcp 172.28.10.10:53 named", title="x", details=_compare.details("missing", address="172.28.10.10")
    )
    live = _compare.Finding(
        id="sockets.missing", severity="blocker", subject="tcp 127.0.0.1:53 named", title="x", details=_compare.details("missing", address="127.0.0.1")
    )
    assert [f.subject for f in _compare.correlate([dead, live] + out)] == ["address 172.28.10.10/24", "tcp 127.0.0.1:53 named"]


def test_policy_rules_other_than_the_kernels_own_count():
    rules = json.dumps(
        [
            {"priority": 0, "src": "all", "table": "local"},
            {"priority": 100, "src": "192.0.2.7", "table": "isp2"},
            {"priority": 32766, "src": "all", "table": "main"},
        ]
    )
    with_rule = net(rules=rules)
    assert told(network.compare(with_rule, net())) == [("network.rule.missing", "blocker", "rule IPv4 100")]


def test_output_that_is_no_json_is_an_error():
    with pytest.raises(IntactError, match="gave no JSON"):
        network.capture(FakeSystem(commands={"ip": "Device does not exist"}))


RESOLV = "# made by hand\nnameserver 192.0.2.53\nnameserver 2001:db8::53\nsearch example.com\noptions rotate\n"
NSSWITCH = "passwd: files systemd\nhosts:  files mdns4_minimal [NOTFOUND=return] dns\nnetworks: files\n"
HOSTS_FILE = "127.0.0.1 localhost\n192.0.2.7 web1.example.com web1 # me\n::1 localhost ip6-localhost\n"
ANSWERS = {
    "getent ahosts localhost": "::1  STREAM localhost\n::1  DGRAM\n",
    "getent ahosts web1": "192.0.2.7 STREAM web1\nfe80::1%eth0 STREAM\n",
    "getent ahosts db.example.com": "198.51.100.4 STREAM\n",
}


def names(resolv=RESOLV, nsswitch=NSSWITCH, hosts=HOSTS_FILE, answers=None, more=None, hostname="web1"):
    files = {"/etc/resolv.conf": resolv, "/etc/nsswitch.conf": nsswitch, "/etc/hosts": hosts, "/proc/sys/kernel/hostname": hostname + "\n"}
    return resolver.capture(FakeSystem(commands=dict(ANSWERS, **(answers or {})), files=dict(files, **(more or {})), options={"names": ["db.example.com"]}))


def test_what_the_resolver_is():
    items = names()["items"]
    assert items["resolv.conf"] == {"nameservers": ["192.0.2.53", "2001:db8::53"], "search": ["example.com"], "options": ["rotate"], "upstream": []}
    assert items["nsswitch hosts"] == {"sources": ["files", "mdns4_minimal", "[NOTFOUND=return]", "dns"]}
    assert items["hosts 192.0.2.7"] == {"names": ["web1", "web1.example.com"]}
    assert items["lookup web1"] == {"addresses": ["192.0.2.7"]} and items["lookup localhost"] == {"addresses": ["::1"]}
    assert resolver.compare(names(), names(resolv=RESOLV.replace("made by hand", "made by another"))) == []


def test_the_stub_hides_the_servers_behind_it():
    stub, real = "nameserver 127.0.0.53\n", {"/run/systemd/resolve/resolv.conf": "nameserver 192.0.2.53\n"}
    before = names(resolv=stub, more=real)
    assert before["items"]["resolv.conf"]["upstream"] == ["192.0.2.53"]
    after = names(resolv=stub, more={"/run/systemd/resolve/resolv.conf": ""})
    assert told(resolver.compare(before, after)) == [("resolver.servers.changed", "blocker", "resolv.conf")]


@pytest.mark.parametrize(
    "given, expected",
    [
        (dict(resolv=RESOLV.replace("nameserver 192.0.2.53\n", "")), [("resolver.servers.changed", "blocker", "resolv.conf")]),
        (dict(resolv="nameserver 192.0.2.99\n" + RESOLV), [("resolver.servers.changed", "warning", "resolv.conf")]),
        (dict(resolv=RESOLV.replace("search example.com\n", "")), [("resolver.servers.changed", "warning", "resolv.conf")]),
        (dict(nsswitch=NSSWITCH.replace(" dns", "")), [("resolver.nsswitch.changed", "blocker", "nsswitch hosts")]),
        (dict(nsswitch=NSSWITCH.replace("files systemd", "files systemd sss")), [("resolver.nsswitch.changed", "warning", "nsswitch passwd")]),
        (dict(nsswitch=NSSWITCH.replace("networks: files\n", "")), [("resolver.nsswitch.missing", "warning", "nsswitch networks")]),
        (dict(hosts=HOSTS_FILE.replace("192.0.2.7 web1.example.com", "192.0.2.7")), [("resolver.hosts.changed", "blocker", "hosts 192.0.2.7")]),
        (dict(hosts=HOSTS_FILE + "192.0.2.8 new\n"), [("resolver.hosts.new", "warning", "hosts 192.0.2.8")]),
        (dict(answers={"getent ahosts db.example.com": (2, "")}), [("resolver.lookup.missing", "blocker", "lookup db.example.com")]),
        (dict(answers={"getent ahosts db.example.com": "198.51.100.5 STREAM\n"}), [("resolver.lookup.changed", "blocker", "lookup db.example.com")]),
        (dict(answers={"getent ahosts localhost": "::1 STREAM\n127.0.0.1 STREAM\n"}), []),
        (dict(hostname="other", answers={"getent ahosts other": "192.0.2.7 STREAM\n"}), [("resolver.hostname.changed", "blocker", "hostname")]),
    ],
)
def test_each_change_of_the_resolver_is_its_own_finding(given, expected):
    assert told(_compare.correlate(resolver.compare(names(), names(**given)))) == expected


def test_name_servers_that_are_gone_altogether_are_told():
    without = dict(names()["items"])
    del without["resolv.conf"]
    assert told(resolver.compare(names(), {"items": without})) == [("resolver.servers.missing", "blocker", "resolv.conf")]
    assert told(resolver.compare({"items": without}, names())) == [("resolver.servers.new", "warning", "resolv.conf")]
    # nothing of the section is left: every name server, source and hosts line is told
    assert ("resolver.servers.missing", "blocker", "resolv.conf") in told(resolver.compare(names(), {}))


def test_a_name_that_is_gone_because_of_its_hosts_line_is_one_finding():
    after = names(hosts="127.0.0.1 localhost\n::1 localhost ip6-localhost\n", answers={"getent ahosts web1": (2, "")})
    out = _compare.correlate(resolver.compare(names(), after))
    assert told(out) == [("resolver.hosts.missing", "blocker", "hosts 192.0.2.7")]
    assert [c["id"] for c in out[0].consequences] == ["resolver.lookup.missing"]
    assert {"section": "files", "path": "/etc/hosts"} in out[0].covers
