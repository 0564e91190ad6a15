# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small server: four zones, one of them signed, and Postfix as the relay of customers who have mail servers of their own."""

from __future__ import annotations

import accounts
import dns
import firewall
import mail

import lab

# name, uid, shell, comment
PEOPLE = (("olga", 2001, "/bin/bash", "Olga, looks after names"), ("piet", 2002, "/bin/bash", "Piet, left in 2019"))
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGyFZkLs4IvHDS+sTwkvsNh08GCd7ckZ9tI8mi9kqVpT olga@desk\n"
CRONTAB = "5 4 * * 1 test -s $HOME/notes.txt\n"
MAIN_CF = {
    "myhostname": "relay1.lab.test",
    "mydestination": "$myhostname, relay1, localhost",
    "relay_domains": "hash:/etc/postfix/relay_domains",
    "relay_recipient_maps": "hash:/etc/postfix/relay_recipients",
    "transport_maps": "hash:/etc/postfix/transport",
    "virtual_alias_maps": "hash:/etc/postfix/virtual",
    "smtpd_peername_lookup": "no",
    "smtp_host_lookup": "native",
    "maximal_queue_lifetime": "100d",
    "message_size_limit": "26214400",
}
ALIASES = "# edited by hand since 2014\npostmaster: root\nabuse: root\nroot: olga\nnames: olga, info@orchard.test\n"


def people() -> None:
    for person in PEOPLE:
        accounts.account(*person)
    if not lab.succeeds("getent", "group", "dnsadmin"):
        lab.run("groupadd", "--gid", "2100", "dnsadmin")
        lab.run("gpasswd", "-a", "olga", "dnsadmin")
        lab.changed("group dnsadmin")
    lab.folder("/home/olga/.ssh", 0o700, "olga:olga")
    lab.put("/home/olga/.ssh/authorized_keys", KEY, 0o600, "olga:olga", lab.EPOCH)
    lab.put("/home/olga/notes.txt", "The partner's server moves in spring.\n", 0o640, "olga:olga", lab.EPOCH)
    with open("/etc/shadow", encoding="utf-8") as lines:
        if not dict(line.split(":")[:2] for line in lines)["piet"].startswith("!"):
            lab.run("usermod", "-L", "piet")
            lab.changed("piet locked")
    lab.place("etc/sudoers.d/relay", 0o440)
    lab.run("visudo", "-cq")


def network() -> None:
    lab.place("usr/local/lib/intact-lab/office-route", 0o755)
    if lab.place("etc/systemd/system/office-route.service"):
        lab.run("systemctl", "daemon-reload")
    lab.service("office-route.service")


def names() -> None:
    dns.ZONES = ("orchard.test", "northwind.test", "riverside.test", "2.0.192.in-addr.arpa")
    dns.main()


def relay() -> None:
    have = dict(line.split(" = ", 1) for line in lab.run("postconf", "-n").splitlines() if " = " in line)
    wrong = [f"{name}={value}" for name, value in MAIN_CF.items() if have.get(name) != value]
    if wrong:
        lab.run("postconf", "-e", *wrong)
        lab.changed("main.cf")
    if lab.put("/etc/aliases", ALIASES):
        lab.run("newaliases")
    for name in ("transport", "relay_domains", "relay_recipients", "virtual"):
        if lab.place(f"etc/postfix/{name}"):
            lab.run("postmap", f"/etc/postfix/{name}")
    lab.service("postfix.service", restart=bool(wrong))
    if not any("orchard.test" in line for line in mail.queue()):
        mail.send("partner@example.test", "sales@orchard.test", "Four crates", "By Friday, please.\n")
        lab.wait("the message to orchard.test to be deferred", lambda: any('"deferred"' in line for line in mail.queue()), 60)
        lab.changed("one message waits in the queue")


def jobs() -> None:
    lab.place("etc/cron.d/relay")
    lab.place("usr/local/sbin/queue-report", 0o755)
    fresh = lab.place("etc/systemd/system/zone-check.service")
    fresh |= lab.place("etc/systemd/system/zone-check.timer")
    if fresh:
        lab.run("systemctl", "daemon-reload")
    lab.service("zone-check.timer")
    lab.service("cron.service")
    if lab.run("crontab", "-u", "olga", "-l", check=False) != CRONTAB:
        lab.run("crontab", "-u", "olga", "-", data=CRONTAB)
        lab.changed("crontab of olga")
    if "unzip" not in lab.run("apt-mark", "showhold").split():
        lab.run("apt-mark", "hold", "unzip")
        lab.changed("unzip held")
    lab.edit("/etc/logrotate.conf", ("\nrotate 4\n", "\nrotate 12\n"))


def main() -> None:
    network()
    people()
    names()
    relay()
    jobs()
    firewall.main()


if __name__ == "__main__":
    main()
