#!/usr/bin/env python3
# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fills the old server as years of customers did: accounts, sites, databases, mail, lists, jobs. Run inside it, once, as root.

Prints what a test wants to know of it as JSON. Real services of Debian 11; Mailman 2, which no Debian has any more, is a stand-in: its files in its layout,
pickled as its Python 2 pickled them.
"""

from __future__ import annotations

import crypt
import json
import os
import pickle
import pwd
import subprocess
import sys
import time
from pathlib import Path

# name, uid, shell, salt of the password's hash ($6$ today's, $1$ and none are what 2008 wrote)
PEOPLE = (
    ("alice", 1000, "/bin/bash", "$6$oldserver$"),
    ("bob", 1001, "/bin/bash", "$1$oldserv$"),
    ("carol", 501, "/bin/sh", "ab"),
    ("dave", 1003, "/usr/sbin/nologin", "$6$oldserver$"),
)
MESSAGES = {"alice": 30, "bob": 25, "carol": 7}


def sh(*argv: str, stdin: str = "", user: str = "") -> str:
    command = (["runuser", "-u", user, "--"] if user else []) + list(argv)
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, cwd="/")
    if done.returncode:
        sys.exit(f"fill.py: {' '.join(command)}: status {done.returncode}: {done.stderr.strip()[-400:]}")
    return done.stdout


def put(path: str, text: str | bytes, owner: str = "root", group: str = "", mode: int = 0o644) -> Path:
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(text.encode() if isinstance(text, str) else text)
    target.chmod(mode)
    entry = pwd.getpwnam(owner)
    os.chown(target, entry.pw_uid, entry.pw_gid if not group else int(sh("getent", "group", group).split(":")[2]))
    return target


def owned(top: str, owner: str) -> None:
    sh("chown", "-R", f"{owner}:{owner}", top)


def accounts() -> None:
    sh("groupadd", "--gid", "1500", "bakery")
    for name, number, shell, salt in PEOPLE:
        sh("useradd", "--uid", str(number), "--create-home", "--shell", shell, "--password", crypt.crypt(f"lab-{name}", salt), name)
    sh("usermod", "--append", "--groups", "bakery", "alice")
    sh("usermod", "--append", "--groups", "bakery,adm", "bob")
    sh("usermod", "--comment", "Bob the Builder,,,", "bob")


def sites() -> None:
    pages = Path("/home/alice/public_html")
    pages.mkdir()
    for number in range(60):
        put(f"{pages}/cakes/{number % 7}/page-{number}.html", f"<h1>Cake {number}</h1>\n" * (number + 1), "alice")
    put(f"{pages}/index.html", "<title>Bread since 1908</title>\n", "alice")
    owned(str(pages), "alice")
    Path("/home/alice").chmod(0o711)
    put(
        "/var/www/sail/index.php",
        """<?php
mysqli_report(MYSQLI_REPORT_ERROR | MYSQLI_REPORT_STRICT);
require __DIR__ . '/config.php';
$db = new mysqli('localhost', $user, $password, 'shop');
$row = $db->query('SELECT COUNT(*), SUM(price) FROM boats')->fetch_row();
echo "Boats: $row[0], worth $row[1]";
""",
        "bob",
    )
    put("/var/www/sail/config.php", "<?php $user = 'shop'; $password = 'lab-shop';\n", "bob", "www-data", 0o640)
    for number in range(40):
        put(f"/var/www/sail/pictures/{number}.jpg", os.urandom(3000 + number), "bob")
    for name, root, server in (("bakery", str(pages), "www.bakery.test"), ("sail", "/var/www/sail", "shop.sail.test")):
        put(
            f"/etc/apache2/sites-available/{name}.conf",
            f"<VirtualHost *:80>\n  ServerName {server}\n  DocumentRoot {root}\n"
            f"  <Directory {root}>\n    Require all granted\n  </Directory>\n</VirtualHost>\n",
        )
        sh("a2ensite", "--quiet", name)
    sh("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650", "-subj", "/CN=www.bakery.test", "-keyout", "/etc/ssl/private/bakery.key",
       "-out", "/etc/ssl/certs/bakery.pem")  # fmt: skip
    sh("chmod", "600", "/etc/ssl/private/bakery.key")
    put(
        "/etc/apache2/sites-available/bakery-tls.conf",
        f"<VirtualHost *:443>\n  ServerName www.bakery.test\n  DocumentRoot {pages}\n  SSLEngine on\n"
        "  SSLCertificateFile /etc/ssl/certs/bakery.pem\n  SSLCertificateKeyFile /etc/ssl/private/bakery.key\n</VirtualHost>\n",
    )
    sh("a2enmod", "--quiet", "ssl")
    sh("a2ensite", "--quiet", "bakery-tls")
    put(
        "/etc/bind/db.bakery.test",
        "$TTL 3600\n@ IN SOA ns1 root 2008010101 3600 900 604800 3600\n@ IN NS ns1\nns1 IN A 192.0.2.1\nwww IN A 192.0.2.1\n@ IN MX 10 www\n",
    )
    put("/etc/bind/named.conf.local", 'zone "bakery.test" { type master; file "/etc/bind/db.bakery.test"; };\n')
    sh("systemctl", "restart", "apache2")


def databases() -> None:
    rows = ",".join(f"({n}, 'Boat {n} \\'æøå\\'', {n * 13 % 997}.50, '2008-0{n % 9 + 1}-11 10:00:00')" for n in range(1, 501))
    sh(
        "mariadb",
        stdin=f"""
CREATE DATABASE shop CHARACTER SET latin1;
USE shop;
SET NAMES utf8mb4;
CREATE TABLE boats (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(80), price DECIMAL(9,2), seen DATETIME) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
INSERT INTO boats VALUES {rows};
CREATE TABLE visits (id INT PRIMARY KEY AUTO_INCREMENT, page VARCHAR(60), raw VARBINARY(40)) ENGINE=MyISAM;
INSERT INTO visits (page, raw) SELECT CONCAT('page ', id), UNHEX(MD5(id)) FROM boats;
CREATE TABLE orders (id INT PRIMARY KEY, boat INT, FOREIGN KEY (boat) REFERENCES boats (id)) ENGINE=InnoDB;
INSERT INTO orders SELECT id, id FROM boats WHERE id % 3 = 0;
CREATE VIEW dear AS SELECT id, name FROM boats WHERE price > 500;
CREATE TRIGGER noted AFTER INSERT ON orders FOR EACH ROW INSERT INTO visits (page) VALUES (CONCAT('order ', NEW.id));
CREATE PROCEDURE cheap(IN most DECIMAL(9,2)) SELECT COUNT(*) FROM boats WHERE price <= most;
SET NAMES latin1;
CREATE TABLE guests (id INT PRIMARY KEY, words TEXT) ENGINE=MyISAM DEFAULT CHARSET=latin1;
INSERT INTO guests VALUES (1, 'Grüße aus Köln'), (2, 'plain'), (3, NULL);
CREATE DATABASE diary;
CREATE TABLE diary.entries (id BIGINT PRIMARY KEY AUTO_INCREMENT, told TEXT, at TIMESTAMP) ENGINE=InnoDB;
CREATE USER shop@localhost IDENTIFIED BY 'lab-shop';
GRANT ALL ON shop.* TO shop@localhost;
CREATE USER reader@'%' IDENTIFIED BY 'lab-reader';
GRANT SELECT ON diary.* TO reader@'%';
""",
    )
    sh("psql", "-q", "-v", "ON_ERROR_STOP=1", user="postgres",
       stdin="""
CREATE ROLE club LOGIN PASSWORD 'lab-club';
CREATE DATABASE club OWNER club ENCODING 'UTF8' TEMPLATE template0;
\\connect club
SET ROLE club;
CREATE TABLE members (id serial PRIMARY KEY, name text NOT NULL, since date, picture bytea);
INSERT INTO members (name, since, picture) SELECT 'Lütt Deern ' || n, date '2008-01-01' + n, decode(md5(n::text), 'hex') FROM generate_series(1, 300) n;
CREATE TABLE races (id int PRIMARY KEY, winner int REFERENCES members);
INSERT INTO races SELECT n, n FROM generate_series(1, 50) n;
""")  # fmt: skip


def message(to: str, number: int, subject: str = "Letter") -> bytes:
    body = f"Dear {to},\n\nthis is letter {number}.\n" + ("From the sea, with love.\n" if number % 4 == 0 else "") + "x" * (number * 17 % 900) + "\n"
    return (f"From: Friend <friend@far.test>\nTo: {to}@old1.lab.test\nSubject: {subject} {number}\nMessage-ID: <{to}-{subject}-{number}@far.test>\n"
            f"Date: Tue, {number % 27 + 1:02d} Jan 2008 10:00:00 +0000\n\n{body}").encode()  # fmt: skip


def mbox(messages: list[bytes]) -> bytes:
    return b"".join(b"From friend@far.test Tue Jan 01 10:00:00 2008\n" + text.replace(b"\nFrom ", b"\n>From ") + b"\n" for text in messages)


def mail() -> None:
    # alice: mbox as Debian's Dovecot has it; bob: Maildir; carol: only a spool
    put("/etc/dovecot/conf.d/99-old.conf", "mail_location = mbox:~/mail:INBOX=/var/mail/%u\ndisable_plaintext_auth = no\nmail_privileged_group = mail\n")
    for name in ("alice", "carol"):
        put(f"/var/mail/{name}", mbox([message(name, n) for n in range(MESSAGES[name])]), name, "mail", 0o660)
    put("/home/alice/mail/Orders", mbox([message("alice", n, "Order") for n in range(12)]), "alice", mode=0o600)
    put("/home/alice/mail/Entw&APw-rfe", mbox([message("alice", n, "Draft") for n in range(3)]), "alice", mode=0o600)
    owned("/home/alice/mail", "alice")
    for folder, count, subject in (("", MESSAGES["bob"], "Letter"), (".Sent", 9, "Answer"), (".Projects.Boats", 5, "Plan")):
        for sub in ("cur", "new", "tmp"):
            Path("/home/bob/Maildir", folder, sub).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            flags = "S" if number % 2 else "FS"
            put(f"/home/bob/Maildir/{folder}/cur/{1200000000 + number}.M{number}P1.old1:2,{flags}", message("bob", number, subject), "bob", mode=0o600)
    owned("/home/bob/Maildir", "bob")
    put("/home/bob/.forward", "\\bob, partner@far.test\n", "bob")
    put("/home/alice/.vacation.msg", "I am sailing.\n", "alice")
    aliases = Path("/etc/aliases")
    aliases.write_text(
        aliases.read_text() + 'office: alice, bob\nsales: office\nfax: "|/usr/local/bin/fax"\nmembers: "|/usr/lib/mailman/mail/mailman post members"\n'
    )
    put("/etc/postfix/virtual", "info@bakery.test alice\nshop@sail.test bob\n")
    sh("postconf", "-e", "virtual_alias_maps=hash:/etc/postfix/virtual", "virtual_alias_domains=bakery.test sail.test", "inet_interfaces=loopback-only")
    sh("postmap", "/etc/postfix/virtual")
    sh("newaliases")
    sh("systemctl", "restart", "dovecot", "postfix")


def lists() -> None:
    """Mailman 2.1's files of one list. Its Python 2 pickled with protocol 0 or 1, all of it plain containers and numbers here."""
    people = [f"sailor{n}@far.test" for n in range(20)]
    config = {
        "real_name": "Members", "internal_name": None, "host_name": "old1.lab.test", "subject_prefix": "[Members] ", "description": "All who sail",
        "info": "Since 1908", "owner": ["alice@old1.lab.test"], "moderator": ["bob@old1.lab.test"], "members": dict.fromkeys(people[:15], 0),
        "digest_members": dict.fromkeys(people[15:], 0), "usernames": {people[0]: "Captain Haddock"}, "language": dict.fromkeys(people, "en"),
        "user_options": {people[1]: 16}, "passwords": dict.fromkeys(people, "lab-secret"), "delivery_status": {}, "bounce_info": {}, "data_version": 97,
        "advertised": 1, "archive": 1, "archive_private": 1, "default_member_moderation": 0, "generic_nonmember_action": 1, "max_message_size": 40,
        "send_welcome_msg": 1, "subscribe_policy": 1, "ban_list": ["spam@far.test"], "preferred_language": "en", "web_page_url": "http://old1.lab.test/mailman/",
        "topics": [], "header_filter_rules": [], "created_at": 1199145600.0, "mod_password": "0" * 40, "password": "1" * 40,
    }  # fmt: skip
    config["internal_name"] = "members"
    put("/var/lib/mailman/lists/members/config.pck", pickle.dumps(config, protocol=2), mode=0o660)
    put("/var/lib/mailman/archives/private/members.mbox/members.mbox", mbox([message("members", n, "Post") for n in range(18)]), mode=0o664)
    put("/var/lib/mailman/data/aliases", 'members: "|/var/lib/mailman/mail/mailman post members"\n', mode=0o660)
    sh("chown", "-R", "list:list", "/var/lib/mailman")


def jobs() -> None:
    sh(
        "crontab",
        "-u",
        "alice",
        "-",
        # not while the lab fills this server: cron's complaint about it would come back to alice as one more message
        stdin="MAILTO=alice@far.test\n5 4 1 1 * /home/alice/bin/tidy\n0 3 * * * /usr/bin/php4 /home/alice/public_html/night.php\n",
    )
    sh("crontab", "-u", "bob", "-", stdin="@daily /var/www/sail/nightly.sh\n")
    put("/etc/cron.d/sail", "17 4 * * * bob /usr/bin/php /var/www/sail/stock.php\n")
    put("/etc/sudoers.d/bob", "bob ALL=(ALL) NOPASSWD: /usr/sbin/apachectl\n", mode=0o440)


def ready(seconds: int = 60) -> None:
    end = time.monotonic() + seconds
    for argv in (["mariadb", "-e", "SELECT 1"], ["runuser", "-u", "postgres", "--", "psql", "-c", "SELECT 1"]):
        while subprocess.run(argv, capture_output=True, check=False, cwd="/").returncode:
            if time.monotonic() > end:
                sys.exit(f"fill.py: {' '.join(argv)} does not answer")
            time.sleep(0.5)


def main() -> int:
    ready()
    for step in (accounts, sites, databases, mail, lists, jobs):
        step()
    numbers = sh("mariadb", "-N", "-e", "SELECT COUNT(*), SUM(price) FROM shop.boats").split()
    print(json.dumps({"boats": numbers, "messages": MESSAGES, "people": [entry[0] for entry in PEOPLE]}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
