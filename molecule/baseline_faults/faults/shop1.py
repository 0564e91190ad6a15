# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The faults of shop1: Apache with PHP inside, PostgreSQL, Exim, ProFTPD."""

from __future__ import annotations

import glob
import os

from fault_kinds import (
    Case,
    CertificateReplaced,
    Commands,
    Edited,
    Emptied,
    Fault,
    FirewallRuleLost,
    Ipv6BindingLost,
    ListenerNew,
    PackageRemoved,
    Removed,
    UidChanged,
    run,
    stopped,
    wait,
)
from mounts import MountMissing

FLOORS = {"files": 1000, "accounts": 40, "packages": 200, "databases": 15, "mail": 12, "sites": 4, "cron": 10, "firewall": 8, "tls": 4}
ABSENT = ("lists", "dns")
CLUB = "/etc/apache2/sites-available/club.riverside.test.conf"
CONTACT = "/home/orchard/www/contact.html"
UPLOADS = "/home/orchard/www/uploads"
FTP = "/etc/proftpd/ftpd.passwd"
MAIL_CRT = "/etc/ssl/hosting/mail.orchard.test.crt"
# Users of /home that keep files open there.
HOME_SERVICES = ("apache2.service", "exim4.service", "proftpd.service")


def psql(sql: str) -> str:
    return run("runuser", "-u", "postgres", "--", "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", "orchard_shop", data=sql).strip()


def sql(text: str) -> tuple[str, ...]:
    return ("runuser", "-u", "postgres", "--", "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", "orchard_shop", "-c", text)


def page(name: str) -> str:
    return run("curl", "-s", "--resolve", f"{name}:80:127.0.0.1", f"http://{name}/", check=False)


class MessageDeleted(Fault):
    """A message that a customer had sent and nobody had taken yet, deleted from Exim's queue as administrators do."""

    def ids(self) -> list[str]:
        return [line.split()[2] for line in run("exim4", "-bp").splitlines() if "<anna@orchard.test>" in line]

    def inject(self) -> None:
        (queue_id,) = self.ids()
        self.save(*glob.glob(f"/var/spool/exim4/input/**/{queue_id}-[DH]", recursive=True))
        run("exim4", "-Mrm", queue_id)

    def undo(self) -> None:
        self.restore()
        wait("the message in the queue", lambda: not self.there())

    def there(self) -> bool:
        return not self.ids()


class CertificateExpired(Fault):
    """The mail server's own key and names, in a certificate that ran out in the night."""

    key = MAIL_CRT[:-4] + ".key"

    def inject(self) -> None:
        self.save(MAIL_CRT)
        argv = ["openssl", "req", "-new", "-key", self.key, "-subj", "/CN=mail.orchard.test"]
        argv += ["-addext", "subjectAltName=DNS:mail.orchard.test,DNS:mail.riverside.test,DNS:shop1.lab.test", "-out", str(self.keep / "csr")]
        run(*argv)
        config = f"[ca]\ndefault_ca=d\n[d]\ndatabase={self.keep}/db\nserial={self.keep}/serial\nnew_certs_dir={self.keep}\n"
        config += "policy=p\ncopy_extensions=copy\ndefault_md=sha256\n[p]\nCN=supplied\n"
        (self.keep / "ca.conf").write_text(config, encoding="ascii")
        (self.keep / "db").write_text("", encoding="ascii")
        (self.keep / "serial").write_text("01\n", encoding="ascii")
        argv = ["openssl", "ca", "-batch", "-notext", "-config", str(self.keep / "ca.conf"), "-selfsign", "-keyfile", self.key, "-in", str(self.keep / "csr")]
        run(*argv, "-startdate", "20240101000000Z", "-enddate", "20240601000000Z", "-out", str(self.keep / "crt"))
        with open(MAIL_CRT, "r+", encoding="ascii") as handle:
            handle.write((self.keep / "crt").read_text(encoding="ascii"))
            handle.truncate()
        run("systemctl", "restart", "exim4")
        wait("the old certificate", self.there)

    def undo(self) -> None:
        self.restore()
        run("systemctl", "restart", "exim4")
        wait("the own certificate", lambda: bool(self.until()) and not self.there())

    def until(self) -> str:
        """Until when the certificate that Exim shows is valid; empty when it shows none."""
        shown = run("openssl", "s_client", "-connect", "127.0.0.1:25", "-starttls", "smtp", data="", check=False)
        return run("openssl", "x509", "-noout", "-enddate", data=shown, check=False)

    def there(self) -> bool:
        return "Jun  1 00:00:00 2024" in self.until()


CASES = {
    "mailbox_folder_gone": Case(Removed("/home/anna/Maildir/.Archive.2022"), "blocker", "mail.folder.missing", "anna: Archive/2022"),
    "alias_changed": Case(
        Edited("/etc/aliases", ("info: anna, ben", "info: anna"), seen=lambda: "ben" not in run("exim4", "-bt", "info@orchard.test", check=False)),
        "blocker",
        "mail.alias.changed",
        "alias info",
        explains=("files.content.changed", "/etc/aliases"),
    ),
    "queued_message_deleted": Case(MessageDeleted(), "blocker", "queue.message.lost", "* from anna@orchard.test to kim@deadend.test"),
    "row_changed": Case(
        Commands(
            sql("UPDATE shop.orders SET at = at + interval '1 day' WHERE id = 777"),
            sql("UPDATE shop.orders SET at = at - interval '1 day' WHERE id = 777"),
            lambda: psql("SELECT count(*) FILTER (WHERE extract(day FROM at AT TIME ZONE 'UTC') <> 15) || ' of ' || count(*) FROM shop.orders") == "1 of 4000",
        ),
        "blocker",
        "databases.rows.changed",
        "postgresql:orchard_shop.shop.orders",
    ),
    "grant_lost": Case(
        Commands(
            sql("REVOKE SELECT ON shop.unpaid FROM accountant"),
            sql("GRANT SELECT ON shop.unpaid TO accountant"),
            lambda: psql("SELECT has_table_privilege('accountant', 'shop.unpaid', 'SELECT')") == "f",
        ),
        "blocker",
        "databases.view.changed",
        "postgresql:orchard_shop.shop.unpaid",
    ),
    "login_lost": Case(
        Commands(
            sql("ALTER ROLE accountant NOLOGIN"),
            sql("ALTER ROLE accountant LOGIN"),
            lambda: psql("SELECT rolcanlogin FROM pg_roles WHERE rolname = 'accountant'") == "f",
        ),
        "blocker",
        "databases.role.changed",
        "postgresql role accountant",
    ),
    "sequence_back": Case(
        Commands(
            sql("SELECT setval('shop.order_number', 17)"),
            sql("SELECT setval('shop.order_number', 10000)"),
            lambda: psql("SELECT last_value FROM shop.order_number") == "17",
        ),
        "blocker",
        "databases.sequence.changed",
        "postgresql:orchard_shop.shop.order_number",
    ),
    "uid_changed": Case(UidChanged("ben", 2004), "blocker", "accounts.uid.changed", "user ben"),
    "ftp_account_lost": Case(
        Edited(FTP, ("\nprinter:", "\n#printer:")), "blocker", "accounts.ftp.missing", "ftp printer", explains=("files.content.changed", FTP)
    ),
    "service_stopped": Case(
        stopped("proftpd.service"), "blocker", "services.active.changed", "proftpd.service", explains=("sockets.missing", "tcp 0.0.0.0:21 proftpd")
    ),
    "module_lost": Case(
        Commands(
            [("a2dismod", "-q", "headers"), ("systemctl", "reload", "apache2")],
            [("ln", "-s", "../mods-available/headers.load", "/etc/apache2/mods-enabled/headers.load"), ("systemctl", "reload", "apache2")],
            lambda: not os.path.exists("/etc/apache2/mods-enabled/headers.load"),
        ),
        "blocker",
        "files.missing",
        "/etc/apache2/mods-enabled/headers.load",
    ),
    "uploads_emptied": Case(Emptied(UPLOADS), "blocker", "files.tree.emptied", UPLOADS),
    "acl_lost": Case(
        Commands(
            ("setfacl", "-n", "-x", "u:2003", CONTACT),
            ("setfacl", "-n", "-m", "u:2003:rw-", CONTACT),
            lambda: "user:2003:rw-" not in run("getfacl", "-np", CONTACT),
        ),
        "blocker",
        "files.acl.changed",
        CONTACT,
    ),
    "owner_changed": Case(
        Commands(
            ("chown", "root:root", "/home/orchard/shop/index.php"),
            ("chown", "orchard:orchard", "/home/orchard/shop/index.php"),
            lambda: run("stat", "-c", "%U", "/home/orchard/shop/index.php").strip() == "root",
        ),
        "blocker",
        "files.owner.changed",
        "/home/orchard/shop/index.php",
    ),
    # the club's name answers 200, with the farm's pages
    "vhost_serves_another": Case(
        Edited(
            CLUB,
            ("DocumentRoot /home/riverside/club", "DocumentRoot /home/orchard/www"),
            ("DirectoryIndex index.php", "DirectoryIndex index.html"),
            ("<Directory /home/riverside/club>", "<Directory /home/orchard/www>"),
            then=[("systemctl", "reload", "apache2")],
            seen=lambda: "Orchard Farm since 1908" in page("club.riverside.test"),
        ),
        "blocker",
        "sites.body.changed",
        "club.riverside.test",
        explains=("files.content.changed", CLUB),
    ),
    "certificate_replaced": Case(
        CertificateReplaced("shop.orchard.test", ("systemctl", "reload", "apache2")),
        "blocker",
        "tls.key.changed",
        "shop.orchard.test:443",
        explains=("files.content.changed", "/etc/ssl/hosting/shop.orchard.test.crt"),
    ),
    "certificate_expired": Case(CertificateExpired(), "blocker", "tls.expired", "port 25", explains=("files.content.changed", MAIL_CRT)),
    "cron_job_lost": Case(
        Edited(
            "/var/spool/cron/crontabs/orchard",
            ("5 2 * * * find $HOME/www -name '*.bak' -mtime +30 -delete\n", ""),
            seen=lambda: "-delete" not in run("crontab", "-u", "orchard", "-l"),
        ),
        "blocker",
        "cron.job.missing",
        "orchard: 5 2 * * * find $HOME/www -name '*.bak' -mtime +30 -delete",
        literal=True,
    ),
    "firewall_rule_lost": Case(
        FirewallRuleLost("tcp dport { 21, 49152-49200 }"),
        "blocker",
        "firewall.rule.missing",
        "inet hosting input: tcp dport { 21, 49152-49200 } accept",
        literal=True,
    ),
    "listener_new": Case(ListenerNew(), "warning", "sockets.new", "tcp 0.0.0.0:8099 python*"),
    "ipv6_binding_lost": Case(Ipv6BindingLost(), "blocker", "sockets.ipv6.lost", "tcp [[]::]:22 sshd"),
    "package_removed": Case(PackageRemoved("unzip", "unzip"), "blocker", "packages.missing", "unzip"),
    "mount_missing": Case(
        MountMissing({"/home/orchard/www/index.html": "<h1>Orchard Farm, our new site of 2014</h1>\n", "/home/anna/notes.txt": "old notes\n"}, HOME_SERVICES),
        "blocker",
        "mounts.missing",
        "/home",
        explains=("sites.body.changed", "www.orchard.test"),
        alone=True,
    ),
}
