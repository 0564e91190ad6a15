# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The faults of web1: nginx, MariaDB, PostgreSQL, Dovecot, Postfix, Mailman, BIND."""

from __future__ import annotations

import base64
import configparser
import json
import urllib.error
import urllib.request
from pathlib import Path

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
    PostfixQueueVanished,
    Removed,
    UidChanged,
    disabled,
    ok,
    run,
)
from mounts import DiskReplaced, MountMissing

FLOORS = {
    "files": 3000,
    "accounts": 40,
    "packages": 300,
    "databases": 20,
    "mail": 20,
    "dns": 30,
    "sites": 4,
    "cron": 15,
    "firewall": 12,
    "tls": 4,
    "runtimes": 2,
    "rotation": 5,
}
ABSENT = ()
WIKI = "/etc/nginx/sites-available/wiki.harbour.test"
ZONE = "/var/lib/bind/hilltop.test.zone"
MENU = "/home/hilltop/www/menu.html"
CHECK = "/home/hilltop/bin/port-check"
# Users of /home that keep files open there.
HOME_SERVICES = ("dovecot.service", "postfix.service", "php*-fpm.service", "nginx.service")


def mariadb(sql: str) -> str:
    return run("mariadb", "--batch", "--skip-column-names", "--default-character-set=utf8mb4", data=sql).strip()


def page(name: str) -> str:
    return run("curl", "-sk", "--resolve", f"{name}:443:127.0.0.1", f"https://{name}/", check=False)


class RowChanged(Fault):
    """One value of 60,000 rows; every count stays."""

    def inject(self) -> None:
        mariadb("UPDATE hilltop_shop.orders SET weight = weight + 1 WHERE id = 777")

    def undo(self) -> None:
        mariadb("UPDATE hilltop_shop.orders SET weight = weight - 1 WHERE id = 777")

    def there(self) -> bool:
        count, high = mariadb("SELECT COUNT(*), MAX(weight) > 1 FROM hilltop_shop.orders").split()
        assert count == "60000", f"{count} orders: the fault must not change their number"
        return high == "1"


class BlobTruncated(Fault):
    """A picture that lost its second half, as after a charset or a packet limit in the way."""

    def inject(self) -> None:
        self.keep.mkdir(parents=True, exist_ok=True)
        (self.keep / "blob").write_text(mariadb("SELECT HEX(data) FROM hilltop_shop.pictures WHERE id = 7"), encoding="ascii")
        mariadb("UPDATE hilltop_shop.pictures SET data = LEFT(data, LENGTH(data) DIV 2) WHERE id = 7")

    def undo(self) -> None:
        blob = (self.keep / "blob").read_text(encoding="ascii")
        mariadb(f"UPDATE hilltop_shop.pictures SET data = 0x{blob} WHERE id = 7")

    def there(self) -> bool:
        now = int(mariadb("SELECT LENGTH(data) FROM hilltop_shop.pictures WHERE id = 7"))
        saved = self.keep / "blob"
        return saved.exists() and now < len(saved.read_text(encoding="ascii")) // 2


class ListMemberLost(Fault):
    list_id, member = "crew.lists.harbour.test", "guest3@example.test"

    def rest(self, method: str, path: str, body: dict | None = None) -> dict:
        config = configparser.ConfigParser(interpolation=None, strict=False)
        config.read("/etc/mailman3/mailman.cfg")
        pair = f"{config['webservice']['admin_user']}:{config['webservice']['admin_pass']}".encode()
        headers = {"Authorization": "Basic " + base64.b64encode(pair).decode(), "Content-Type": "application/json"}
        request = urllib.request.Request("http://127.0.0.1:8001/3.1/" + path, json.dumps(body).encode() if body else None, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                text = answer.read()
        except urllib.error.HTTPError as exc:
            if exc.code == 404:
                return {}
            raise
        return json.loads(text) if text else {}

    def found(self) -> dict:
        body = {"list_id": self.list_id, "subscriber": self.member, "role": "member"}
        return (self.rest("POST", "members/find", body).get("entries") or [{}])[0]

    def inject(self) -> None:
        self.keep.mkdir(parents=True, exist_ok=True)
        member = self.found()
        (self.keep / "member").write_text(json.dumps(member), encoding="utf-8")
        self.rest("DELETE", "members/" + member["member_id"], {"pre_confirmed": True, "pre_approved": True})

    def undo(self) -> None:
        before = json.loads((self.keep / "member").read_text(encoding="utf-8"))
        made = {"pre_verified": True, "pre_confirmed": True, "pre_approved": True, "send_welcome_message": False}
        made.update({"list_id": self.list_id, "subscriber": self.member, "display_name": before["display_name"], "delivery_mode": before["delivery_mode"]})
        if before.get("delivery_status") != "enabled":
            made["delivery_status"] = "by_user"
        self.rest("POST", "members", made)

    def there(self) -> bool:
        said = run("runuser", "-u", "list", "--", "mailman", "members", self.list_id)
        assert "guest4@example.test" in said, "mailman does not list the others either"
        return self.member not in said


class CronJobLost(Fault):
    path = "/var/spool/cron/crontabs/hilltop"

    def inject(self) -> None:
        self.save(self.path)
        lines = Path(self.path).read_text(encoding="utf-8").splitlines(keepends=True)
        with open(self.path, "r+", encoding="utf-8") as handle:
            handle.write("".join(line for line in lines if "-mtime +365 -delete" not in line))
            handle.truncate()

    def undo(self) -> None:
        self.restore()

    def there(self) -> bool:
        return "-delete" not in run("crontab", "-u", "hilltop", "-l")


CASES = {
    "mailbox_folder_gone": Case(
        Removed("/home/vmail/hilltop.test/orders/Maildir/.Archive.2022", lambda: "2022" not in run("doveadm", "mailbox", "list", "-u", "orders@hilltop.test")),
        "blocker",
        "mail.folder.missing",
        "orders@hilltop.test: Archive/2022",
    ),
    "row_changed": Case(RowChanged(), "blocker", "databases.rows.changed", "mariadb:hilltop_shop.orders"),
    "blob_truncated": Case(BlobTruncated(), "blocker", "databases.rows.changed", "mariadb:hilltop_shop.pictures"),
    "uid_changed": Case(UidChanged("j.doe", 2004), "blocker", "accounts.uid.changed", "user j.doe"),
    "acl_lost": Case(
        Commands(
            ("setfacl", "-n", "-x", "u:2004", MENU), ("setfacl", "-n", "-m", "u:2004:rw-", MENU), lambda: "user:2004:rw-" not in run("getfacl", "-np", MENU)
        ),
        "blocker",
        "files.acl.changed",
        MENU,
    ),
    "service_disabled": Case(disabled("mailman3.service"), "blocker", "services.enabled.changed", "mailman3.service"),
    # the site still answers on its port; there is nothing to answer with, and its SQLite file is gone too
    "docroot_emptied": Case(
        Emptied("/home/harbour/guests"), "blocker", "files.tree.emptied", "/home/harbour/guests", explains=("sites.status.changed", "guests.harbour.test")
    ),
    # the wiki's name answers 200, with the bakery's pages
    "vhost_serves_another": Case(
        Edited(
            WIKI,
            ("root /usr/share/dokuwiki;", "root /home/hilltop/www;"),
            ("index doku.php;", "index index.html;"),
            then=[("systemctl", "reload", "nginx")],
            seen=lambda: "Bread since 1908" in page("wiki.harbour.test"),
        ),
        "blocker",
        "sites.body.changed",
        "wiki.harbour.test",
        explains=("files.content.changed", WIKI),
    ),
    "certificate_replaced": Case(
        CertificateReplaced("blog.northwind.test", ("systemctl", "reload", "nginx")),
        "blocker",
        "tls.key.changed",
        "blog.northwind.test:443",
        explains=("files.content.changed", "/etc/ssl/hosting/blog.northwind.test.crt"),
    ),
    "zone_record_changed": Case(
        Edited(
            ZONE,
            ("mail    300 IN A    192.0.2.10", "mail    300 IN A    192.0.2.66"),
            ("2024030201", "2024030202"),
            then=[("rndc", "reload", "hilltop.test")],
            # an older serial: named takes it only when it starts
            back=[("systemctl", "restart", "named")],
            seen=lambda: "192.0.2.66" in run("dig", "+short", "@127.0.0.1", "mail.hilltop.test", "A", check=False),
            ready=lambda: ok("dig", "+short", "@127.0.0.1", "northwind.test", "SOA"),
        ),
        "blocker",
        "dns.record.changed",
        "mail.hilltop.test. A",
        explains=("files.content.changed", ZONE),
    ),
    "list_member_lost": Case(ListMemberLost(), "blocker", "lists.member.lost", "crew@lists.harbour.test: guest3@example.test"),
    "cron_job_lost": Case(CronJobLost(), "blocker", "cron.job.missing", "hilltop: 5 2 * * * find $HOME/logs -name '*.gz' -mtime +365 -delete", literal=True),
    "firewall_rule_lost": Case(
        FirewallRuleLost("tcp dport { 3306, 5432 }"), "blocker", "firewall.rule.missing", "inet hosting input: tcp dport { 3306, 5432 } accept", literal=True
    ),
    "capability_lost": Case(
        Commands(("setcap", "-r", CHECK), ("setcap", "cap_net_raw,cap_net_bind_service=ep", CHECK), lambda: "cap_net" not in run("getcap", CHECK)),
        "blocker",
        "files.capability.lost",
        CHECK,
    ),
    "listener_new": Case(ListenerNew(), "warning", "sockets.new", "tcp 0.0.0.0:8099 python*"),
    "package_removed": Case(PackageRemoved("unzip", "unzip"), "blocker", "packages.missing", "unzip"),
    "ipv6_binding_lost": Case(Ipv6BindingLost(), "blocker", "sockets.ipv6.lost", "tcp [[]::]:22 sshd"),
    "mail_queue_vanished": Case(PostfixQueueVanished(), "blocker", "queue.message.lost", "* from editor@northwind.test to kim@deadend.test"),
    "mount_missing": Case(
        MountMissing(
            {"/home/hilltop/www/index.html": "<h1>Hilltop Bakery, our new site of 2014</h1>\n", "/home/carol/notes.txt": "old notes\n"}, HOME_SERVICES
        ),
        "blocker",
        "mounts.missing",
        "/home",
        explains=("sites.body.changed", "www.hilltop.test"),
        alone=True,
    ),
    "disk_replaced": Case(
        DiskReplaced(HOME_SERVICES), "blocker", "disks.identity.changed", "/home", explains=("mail.mailbox.missing", "orders@hilltop.test"), alone=True
    ),
}
