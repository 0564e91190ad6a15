# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The faults of relay1: BIND and Postfix, and nothing else."""

from __future__ import annotations

from fault_kinds import (
    Case,
    Commands,
    Edited,
    FirewallRuleLost,
    Ipv6BindingLost,
    ListenerNew,
    PackageRemoved,
    PostfixQueueVanished,
    Removed,
    disabled,
    run,
    stopped,
)

FLOORS = {"files": 400, "accounts": 35, "packages": 150, "mail": 12, "dns": 30, "cron": 6, "firewall": 8}
ABSENT = ("sites", "databases", "lists")
LOCAL = "/etc/bind/named.conf.local"
ORCHARD = "/var/lib/bind/orchard.test.zone"
RIVERSIDE = "/var/lib/bind/riverside.test.zone"
REVERSE = 'zone "2.0.192.in-addr.arpa" {\n\ttype primary;\n\tfile "/var/lib/bind/2.0.192.in-addr.arpa.zone";\n};\n'
KEYS = "/var/lib/bind/keys"
TIMER = "/etc/systemd/system/zone-check.timer"
RESTART = [("systemctl", "restart", "named")]


def ask(name: str, kind: str) -> str:
    return run("dig", "+short", "+tries=1", "+time=2", "@127.0.0.1", name, kind, check=False)


def answers() -> bool:
    return bool(ask("northwind.test", "SOA").strip())


def postmap(table: str, key: str) -> str:
    return run("postmap", "-q", key, f"hash:/etc/postfix/{table}", check=False)


def table(name: str, old: str, new: str, key: str, good: str) -> Edited:
    """A line of one of Postfix's tables; the key had a good value."""
    path = f"/etc/postfix/{name}"
    return Edited(path, (old, new), then=[("postmap", path)], derived=(path + ".db",), back=[], seen=lambda: postmap(name, key).strip() != good)


CASES = {
    "zone_record_changed": Case(
        # an older serial: named takes it only when it starts
        Edited(
            ORCHARD,
            ("mail    300 IN A    192.0.2.25", "mail    300 IN A    192.0.2.66"),
            ("2024030201", "2024030202"),
            then=[("rndc", "reload", "orchard.test")],
            back=RESTART,
            seen=lambda: "192.0.2.66" in ask("mail.orchard.test", "A"),
            ready=answers,
        ),
        "blocker",
        "dns.record.changed",
        "mail.orchard.test. A",
        explains=("files.content.changed", ORCHARD),
    ),
    "zone_record_lost": Case(
        Edited(
            RIVERSIDE,
            ('_dmarc      IN TXT  "v=DMARC1; p=reject"\n', ""),
            ("2024030203", "2024030204"),
            then=[("rndc", "reload", "riverside.test")],
            back=RESTART,
            seen=lambda: answers() and "DMARC1" not in ask("_dmarc.riverside.test", "TXT"),
            ready=answers,
        ),
        "blocker",
        "dns.record.missing",
        "_dmarc.riverside.test. TXT",
        explains=("files.content.changed", RIVERSIDE),
    ),
    "zone_forgotten": Case(
        Edited(
            LOCAL,
            (REVERSE, ""),
            then=[("rndc", "reconfig")],
            seen=lambda: answers() and "ns1.orchard.test" not in ask("53.2.0.192.in-addr.arpa", "PTR"),
            ready=answers,
        ),
        "blocker",
        "dns.zone.missing",
        "zone 2.0.192.in-addr.arpa.",
        explains=("files.content.changed", LOCAL),
    ),
    "transfer_opened": Case(
        Edited(LOCAL, ("allow-transfer { 127.0.0.1; ::1; 192.0.2.54; };", "allow-transfer { any; };"), then=[("rndc", "reconfig")], ready=answers),
        "warning",
        "dns.transfer.changed",
        "zone riverside.test.",
    ),
    "key_readable": Case(
        Commands(
            ("find", KEYS, "-name", "*.private", "-exec", "chmod", "0644", "{}", "+"),
            ("find", KEYS, "-name", "*.private", "-exec", "chmod", "0600", "{}", "+"),
            lambda: bool(run("find", KEYS, "-name", "*.private", "-perm", "/044").strip()),
        ),
        "blocker",
        "files.mode.changed",
        f"{KEYS}/Knorthwind.test.*.private",
    ),
    "relay_domain_lost": Case(
        table("relay_domains", "riverside.test              ok\n", "", "riverside.test", "ok"),
        "blocker",
        "mail.domain.missing",
        "domain riverside.test",
        explains=("files.content.changed", "/etc/postfix/relay_domains"),
    ),
    "transport_changed": Case(
        table("transport", ".riverside.test             smtp:[192.0.2.22]", ".riverside.test smtp:[192.0.2.99]", ".riverside.test", "smtp:[192.0.2.22]"),
        "blocker",
        "mail.transport.changed",
        "transport .riverside.test",
        explains=("files.content.changed", "/etc/postfix/transport"),
    ),
    "recipient_lost": Case(
        table("relay_recipients", "crew@riverside.test         ok\n", "", "crew@riverside.test", "ok"),
        "blocker",
        "mail.address.missing",
        "address crew@riverside.test",
    ),
    "alias_into_nothing": Case(
        Edited(
            "/etc/aliases",
            ("root: olga", "root: /dev/null"),
            then=[("newaliases",)],
            back=[],
            derived=("/etc/aliases.db",),
            seen=lambda: "olga" not in run("postalias", "-q", "root", "hash:/etc/aliases", check=False),
        ),
        "blocker",
        "mail.alias.changed",
        "alias root",
    ),
    "open_relay": Case(
        Edited(
            "/etc/postfix/main.cf",
            ("\nmynetworks = 127.0.0.0/8", "\nmynetworks = 0.0.0.0/0 127.0.0.0/8"),
            then=[("postfix", "reload")],
            seen=lambda: "0.0.0.0/0" in run("postconf", "-h", "mynetworks"),
        ),
        "warning",
        "mail.setting.changed",
        "postfix mynetworks",
        explains=("files.content.changed", "/etc/postfix/main.cf"),
        allowed_with_rules=True,
    ),
    "mail_queue_vanished": Case(PostfixQueueVanished(), "blocker", "queue.message.lost", "* from partner@example.test to sales@orchard.test"),
    "account_unlocked": Case(
        Commands(("usermod", "-U", "piet"), ("usermod", "-L", "piet"), lambda: run("passwd", "-S", "piet").split()[1] == "P"),
        "blocker",
        "accounts.password.changed",
        "user piet",
    ),
    "ssh_key_lost": Case(Removed("/home/olga/.ssh/authorized_keys"), "blocker", "accounts.keys.changed", "user olga"),
    "sudo_rights_lost": Case(Removed("/etc/sudoers.d/relay"), "blocker", "accounts.sudoers.missing", "sudoers /etc/sudoers.d/relay"),
    "group_member_lost": Case(
        Commands(("gpasswd", "-d", "olga", "dnsadmin"), ("gpasswd", "-a", "olga", "dnsadmin"), lambda: "dnsadmin" not in run("id", "-Gn", "olga").split()),
        "blocker",
        "accounts.group.member.lost",
        "olga in group dnsadmin",
    ),
    "service_disabled": Case(disabled("cron.service"), "blocker", "services.enabled.changed", "cron.service"),
    "firewall_rule_lost": Case(
        FirewallRuleLost("ip saddr 198.51.100.0/24 tcp dport 953"),
        "blocker",
        "firewall.rule.missing",
        "inet hosting input: ip saddr 198.51.100.0/24 tcp dport 953 drop",
        literal=True,
    ),
    "cron_job_lost": Case(
        Edited("/etc/cron.d/relay", ("17 3 * * *   root   /usr/local/sbin/queue-report >/dev/null\n", "")),
        "blocker",
        "cron.job.missing",
        "root: 17 3 * * * /usr/local/sbin/queue-report >/dev/null",
        literal=True,
    ),
    "timer_changed": Case(
        Edited(
            TIMER,
            ("OnCalendar=*-*-* 02:30:00 UTC", "OnCalendar=Mon *-*-* 02:30:00 UTC"),
            then=[("systemctl", "daemon-reload")],
            seen=lambda: "Mon" in run("systemctl", "show", "-p", "TimersCalendar", "zone-check.timer").split("next_elapse")[0],
        ),
        "blocker",
        "cron.timer.changed",
        "timer zone-check.timer",
        explains=("files.content.changed", TIMER),
    ),
    "route_lost": Case(
        Commands(
            ("ip", "route", "del", "198.51.100.0/24"),
            ("systemctl", "restart", "office-route.service"),
            lambda: "198.51.100" not in run("ip", "-4", "route", "show"),
        ),
        "blocker",
        "network.route.missing",
        "route 198.51.100.0/24",
    ),
    "listener_new": Case(ListenerNew(), "warning", "sockets.new", "tcp 0.0.0.0:8099 python*"),
    "ipv6_binding_lost": Case(Ipv6BindingLost(), "blocker", "sockets.ipv6.lost", "tcp [[]::]:22 sshd"),
    "package_removed": Case(PackageRemoved("zip", "zip"), "blocker", "packages.missing", "zip"),
    "hold_lost": Case(
        Commands(("apt-mark", "unhold", "unzip"), ("apt-mark", "hold", "unzip"), lambda: "unzip" not in run("apt-mark", "showhold").split()),
        "warning",
        "packages.hold.lost",
        "unzip",
    ),
    # nobody resolves the customers' names any more
    "named_stopped": Case(
        stopped("named.service"), "blocker", "services.active.changed", "named.service", explains=("dns.zone.unanswered", "zone orchard.test."), alone=True
    ),
}
