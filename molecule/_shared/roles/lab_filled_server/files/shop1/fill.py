# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Customers of a server with Apache, PostgreSQL, Exim and ProFTPD: homes on the data disk, sites, databases, mail and files."""

from __future__ import annotations

import os
import smtplib
import ssl

import accounts
import databases
import disk
import firewall
import mail
import mail_messages
import shop_data
import tls

import lab

# name, uid, shell, comment
CUSTOMERS = (
    ("orchard", 2001, "/bin/bash", "Orchard Farm"),
    ("riverside", 2002, "/bin/bash", "Rowing club Riverside"),
    ("anna", 2003, "/bin/bash", "Anna of the farm"),
    ("ben", 2004, "/usr/sbin/nologin", "Ben; mail only"),
    ("meadow", 2005, "/bin/sh", "Meadow Ltd, left in 2021"),
)
# account: folders with their number of messages
MAILDIRS = {
    "orchard": {"": 20, "Sent": 8, "Orders.2024": 12},
    "anna": {"": 15, "Archive": 10, "Archive.2022": 14, "Entw&APw-rfe": 3},
    "ben": {"": 6},
}
FTP = (("photos", 2003, "/home/anna/photos"), ("printer", 2002, "/home/riverside/print"))
ALIASES = """# edited by hand since 2015
mailer-daemon: postmaster
postmaster: root
nobody: root
hostmaster: root
root: anna
info: anna, ben
crew: riverside
"""
CRONTABS = {
    "orchard": "MAILTO=anna@orchard.test\n5 2 * * * find $HOME/www -name '*.bak' -mtime +30 -delete\n@monthly test -d $HOME/shop\n",
    "riverside": "15 5 * * 0 test -s $HOME/club/boats.csv\n",
}
SITES = ("www.orchard.test", "shop.orchard.test", "club.riverside.test")
BOATS = "Möwe,4\nLütt Deern,2\nForelle,8\n"


def customers() -> None:
    for customer in CUSTOMERS:
        accounts.account(*customer)
        home = f"/home/{customer[0]}"
        if os.stat(home).st_mode & 0o7777 != 0o751:
            os.chmod(home, 0o751)
        lab.put(f"{home}/notes.txt", f"Notes of {customer[0]}\n", 0o640, f"{customer[0]}:{customer[0]}", lab.EPOCH)
    if not lab.succeeds("getent", "group", "farmers"):
        lab.run("groupadd", "--gid", "2100", "farmers")
        for name in ("orchard", "anna"):
            lab.run("gpasswd", "-a", name, "farmers")
        lab.changed("group farmers")
    with open("/etc/shadow", encoding="utf-8") as lines:
        if not dict(line.split(":")[:2] for line in lines)["meadow"].startswith("!"):
            lab.run("usermod", "-L", "meadow")
            lab.changed("meadow locked")
    lab.place("etc/sudoers.d/hosting", 0o440)
    lab.run("visudo", "-cq")


def certificates() -> None:
    tls.NAMES = {
        "www.orchard.test": ("www.orchard.test", "orchard.test"),
        "shop.orchard.test": ("shop.orchard.test",),
        "mail.orchard.test": ("mail.orchard.test", "mail.riverside.test", "shop1.lab.test"),
    }
    tls.main()


def orders() -> None:
    databases.fill_postgresql()
    if "orchard_shop" in databases.postgres("SELECT datname FROM pg_database").split():
        return
    databases.postgres("CREATE ROLE orchard_shop LOGIN PASSWORD 'lab-orchard_shop'; CREATE ROLE accountant LOGIN PASSWORD 'lab-accountant'")
    databases.postgres("CREATE DATABASE orchard_shop OWNER orchard_shop")
    databases.postgres("".join(shop_data.shop()), "orchard_shop")
    lab.changed("PostgreSQL database orchard_shop")


def sites() -> None:
    www = "/home/orchard/www"
    lab.folder(www, 0o755, "orchard:orchard")
    for name in ("index", "apples", "pears", "contact"):
        text = f"<!DOCTYPE html>\n<title>Orchard Farm: {name}</title>\n<h1>Orchard Farm since 1908</h1>\n<p>About {name}.</p>\n"
        lab.put(f"{www}/{name}.html", text, 0o644, "orchard:orchard", lab.EPOCH)
    lab.put(f"{www}/.htaccess", "ErrorDocument 404 /contact.html\n", 0o644, "orchard:orchard", lab.EPOCH)
    lab.folder(f"{www}/uploads", 0o2775, "orchard:farmers")
    for number in range(12):
        lab.put(f"{www}/uploads/crate-{number:02d}.txt", f"Crate {number}\n", 0o664, "orchard:farmers", lab.EPOCH)
    if "user:2003:rw-" not in lab.run("getfacl", "-np", f"{www}/contact.html"):
        lab.run("setfacl", "-n", "-m", "u:2003:rw-", f"{www}/contact.html")
        lab.changed("access list of contact.html")
    for owner, folder in (("orchard", "shop"), ("riverside", "club")):
        lab.folder(f"/home/{owner}/{folder}", 0o755, f"{owner}:{owner}")
        lab.place(f"home/{owner}/{folder}/index.php", 0o644, f"{owner}:{owner}")
    lab.put("/home/riverside/club/boats.csv", BOATS, 0o644, "riverside:riverside", lab.EPOCH)
    lab.put("/home/riverside/.members", "rower:$apr1$labseed0$7gP9C4Dr1c8x0LJ9cY1oG/\n", 0o640, "riverside:www-data", lab.EPOCH)
    fresh = False
    for module in ("ssl", "headers"):
        if not os.path.exists(f"/etc/apache2/mods-enabled/{module}.load"):
            lab.run("a2enmod", "-q", module)
            fresh = True
    for site in SITES:
        fresh |= lab.place(f"etc/apache2/sites-available/{site}.conf")
        fresh |= lab.link(f"/etc/apache2/sites-enabled/{site}.conf", f"../sites-available/{site}.conf")
    fresh |= lab.absent("/etc/apache2/sites-enabled/000-default.conf")
    fresh |= lab.edit(
        "/etc/apache2/conf-available/security.conf", ("\nServerTokens OS\n", "\nServerTokens Prod\n"), ("\nServerSignature On\n", "\nServerSignature Off\n")
    )
    lab.run("apache2ctl", "-t")
    lab.service("apache2.service", restart=fresh)


def post() -> None:
    for name, folders in MAILDIRS.items():
        uid = next(c[1] for c in CUSTOMERS if c[0] == name)
        if not os.path.isdir(f"/home/{name}/Maildir"):
            mail_messages.maildir(f"/home/{name}/Maildir", f"{name}@orchard.test", uid, folders)
            lab.changed(f"mailbox {name}")
    # Exim drops all groups but its own before it reads the key
    os.chown("/etc/ssl/hosting/mail.orchard.test.key", *lab.ids("root:Debian-exim"))
    fresh = lab.put("/etc/mailname", "shop1.lab.test\n")
    fresh |= lab.put("/etc/aliases", ALIASES)
    fresh |= lab.place("etc/exim4/update-exim4.conf.conf")
    fresh |= lab.place("etc/exim4/exim4.conf.localmacros", 0o644)
    gateway = lab.run("ip", "-4", "route", "show", "default").split()[2]
    # the partner's server is down: its port refuses
    fresh |= lab.put("/etc/exim4/hubbed_hosts", f"# a partner whose own server has been down for weeks\ndeadend.test: {gateway}::9\n")
    lab.run("update-exim4.conf")
    lab.service("exim4.service", restart=fresh)
    lab.wait("Exim", greets)
    if not certified():
        # a daemon that was started before its certificate could be read shows one of its own until it is started again
        lab.run("systemctl", "restart", "exim4.service")
        lab.wait("Exim with the customers' certificate", certified)
    deliveries()


def greets() -> bool:
    try:
        with smtplib.SMTP("127.0.0.1", 25, local_hostname="client.example.test", timeout=10) as server:
            return server.noop()[0] == 250
    except OSError:
        return False


def certified() -> bool:
    """Whether port 25 shows the certificate that Exim's configuration names."""
    with open("/etc/ssl/hosting/mail.orchard.test.crt", encoding="ascii") as handle:
        wanted = ssl.PEM_cert_to_DER_cert(handle.read().partition("-----END CERTIFICATE-----")[0] + "-----END CERTIFICATE-----\n")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with smtplib.SMTP("127.0.0.1", 25, local_hostname="client.example.test", timeout=10) as server:
            server.starttls(context=context)
            return server.sock.getpeercert(binary_form=True) == wanted
    except (OSError, smtplib.SMTPException):
        return False


def deliveries() -> None:
    """A real message into a maildir, and one that nobody will take."""
    marker = "/var/lib/intact-lab/delivered"
    if not os.path.exists(marker):
        mail.send("buyer@example.test", "info@orchard.test", "Two crates", "By Friday, please.\n")
        mail.send("buyer@example.test", "crew@riverside.test", "A boat", "For Sunday.\n")
        lab.wait("the messages in their maildirs", lambda: len(os.listdir("/home/ben/Maildir/new")) > 2 and os.path.isdir("/home/riverside/Maildir/new"))
        lab.put(marker, "")
    if "deadend.test" not in lab.run("exim4", "-bp"):
        mail.send("anna@orchard.test", "kim@deadend.test", "Are you back yet?", "We still wait for your reply.\n")
        lab.wait("the message to deadend.test", lambda: "deadend.test" in lab.run("exim4", "-bp"))
        queue_id = lab.run("exim4", "-bp").split()[2]
        lab.wait("its first attempt", lambda: "defer" in lab.run("exigrep", queue_id, "/var/log/exim4/mainlog", check=False), 60)
        lab.changed("one message waits in the queue")


def files() -> None:
    lines = []
    for name, uid, home in FTP:
        owner = f"{uid}:{uid}"
        lab.folder(home, 0o755, owner)
        lab.put(f"{home}/README", f"Files of {name}\n", 0o644, owner, lab.EPOCH)
        hashed = lab.run("openssl", "passwd", "-6", "-salt", "labseed00", f"lab-{name}").strip()
        lines.append(f"{name}:{hashed}:{uid}:{uid}::{home}:/bin/false\n")
    fresh = lab.put("/etc/proftpd/ftpd.passwd", "".join(lines), 0o600)
    fresh |= lab.place("etc/proftpd/conf.d/hosting.conf")
    lab.run("proftpd", "-t")
    lab.service("proftpd.service", restart=fresh)


def jobs() -> None:
    for name, text in CRONTABS.items():
        if lab.run("crontab", "-u", name, "-l", check=False) != text:
            lab.run("crontab", "-u", name, "-", data=text)
            lab.changed(f"crontab of {name}")
    lab.place("etc/cron.d/hosting")
    lab.place("usr/local/bin/stock-report", 0o755)
    lab.service("cron.service")
    lab.edit("/etc/logrotate.conf", ("\nrotate 4\n", "\nrotate 12\n"))
    if not lab.run("getcap", "/home/orchard/port-check", check=False).strip():
        lab.put("/home/orchard/port-check", "#!/bin/sh\nexit 0\n", 0o755, "orchard:orchard", lab.EPOCH)
        lab.run("setcap", "cap_net_raw=ep", "/home/orchard/port-check")
        lab.changed("capability of port-check")


def main() -> None:
    lab.folder("/var/lib/intact-lab")
    disk.main()
    customers()
    certificates()
    orders()
    sites()
    post()
    files()
    jobs()
    firewall.main()


if __name__ == "__main__":
    main()
