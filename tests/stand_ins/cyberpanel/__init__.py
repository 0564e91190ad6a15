# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A stand-in of CyberPanel: /usr/bin/cyberpanel, its files, its database in the MariaDB stand-in. It is not CyberPanel.

From the facts (section 7) and CyberPanel's sources: names of tables and columns, the archive with meta.xml (written as ASCII, what is not is dropped),
public_html, vmail, vhost.conf, certificates and dumps, exit status 0 whatever happened, 0 or a text with [5009] when something did, the file status, "moving
on" after a failed dump, rsync whose result nobody looks at, lists that are JSON in JSON, a restore that refuses a site that is there.
Guessed: sizes, what is printed besides.

Switches: truncated=SITE, flipped=SITE, missing=SITE (no archive), missing=db:NAME, no-meta=SITE, broken-meta=SITE, no-files=SITE, no-mail=SITE,
other-meta=SITE, failed=SITE ([5009]), status-only=SITE, stale=SITE, zero=SITE, full=SITE (the disk; where the file %s lies is guessed), warning,
omits=NAME (lists), linked=SITE (the customer made the archive a link to somebody's file), restore-fails, and those of the MariaDB stand-in.
"""

from __future__ import annotations

import json
import os

from stand_ins import mariadb
from stand_ins.kit import install_program, put

ROOT = "/usr/local/CyberCP"
# Planted: none of these may be seen in a finding, an inventory, a log line or the arguments of a process.
SECRETS = {
    "root": "planted-root-password",
    "django": "planted-django-secret-key",
    "admin": "planted:pbkdf2:adminHash",
    "token": "Basic plantedToken==",
    "mailbox": "{CRYPT}$5$planted$mailboxHash",
    "database": "*PLANTEDDATABASEHASH",
    "ftp": "planted-ftp-hash",
    "tls": "-----BEGIN PRIVATE KEY-----\nplantedKey\n-----END PRIVATE KEY-----\n",
    "cron": "planted-token-of-a-job",
}


def tables():
    """{table: (columns, rows)} of two sites."""
    people = "id userName password firstName lastName email type owner token api securityLevel state initWebsitesLimit acl_id twoFA secretKey".split()
    admin = (
        "1",
        "admin",
        SECRETS["admin"],
        "Cyber",
        "Panel",
        "root@example.com",
        "1",
        "1",
        SECRETS["token"],
        "0",
        "0",
        "ACTIVE",
        "0",
        "1",
        "0",
        SECRETS["token"],
    )
    ann = ("2", "ann", SECRETS["admin"], "Änn", "B", "ann@example.com", "3", "1", SECRETS["token"], "0", "0", "ACTIVE", "5", "2", "0", "None")
    records = [
        ("1", "1", "shop.example", "SOA", "ns1 hostmaster 2026112201 10800", "0", "0"),
        ("2", "1", "shop.example", "A", "192.0.2.9", "0", "0"),
        ("3", "1", "shop.example", "MX", "mail.shop.example", "10", "0"),
    ]
    usage = json.dumps({"DiskUsage": 3, "DiskUsagePercentage": 1})
    return {
        "loginSystem_administrator": (people, [admin, ann]),
        "loginSystem_acl": (("id", "name", "adminStatus", "config"), [("1", "admin", "1", "{}"), ("2", "user", "0", "{}")]),
        "packages_package": (
            ("id", "packageName", "diskSpace", "bandwidth", "emailAccounts", "dataBases", "ftpAccounts", "allowedDomains"),
            [("1", "Default", "1000", "1000", "10", "5", "5", "3")],
        ),
        "websiteFunctions_websites": (
            ("id", "admin_id", "package_id", "domain", "adminEmail", "phpSelection", "ssl", "state", "externalApp", "config"),
            [
                ("1", "2", "1", "shop.example", "ann@example.com", "PHP 8.2", "1", "1", "shopx1234", usage),
                ("2", "2", "1", "plain.example", "ann@example.com", "PHP 8.1", "0", "1", "plain5678", usage),
            ],
        ),
        "websiteFunctions_childdomains": (
            ("id", "master_id", "domain", "path", "ssl", "phpSelection", "alais"),
            [("1", "1", "blog.shop.example", "/home/shop.example/blog.shop.example", "0", "PHP 8.2", "0")],
        ),
        "websiteFunctions_aliasdomains": (("id", "master_id", "aliasDomain"), [("1", "1", "shop.test")]),
        "databases_databases": (("id", "website_id", "dbName", "dbUser"), [("1", "1", "shop_db", "shop_user"), ("2", "1", "shop_log", "shop_user")]),
        "e_domains": (("domain", "domainOwner_id", "childOwner_id"), [("shop.example", "1", None)]),
        "e_users": (
            ("email", "emailOwner_id", "password", "mail"),
            [("info@shop.example", "shop.example", SECRETS["mailbox"], "maildir:/home/vmail/shop.example/info/Maildir")],
        ),
        "e_forwardings": (
            ("id", "source", "destination"),
            [("1", "sales@shop.example", "info@shop.example"), ("2", "sales@shop.example", "boss@else.example")],
        ),
        "domains": (("id", "name", "type", "master"), [("1", "shop.example", "MASTER", None)]),
        "records": (("id", "domain_id", "name", "type", "content", "prio", "disabled"), records),
        "users": (
            ("ID", "domain_id", "User", "Password", "Dir", "QuotaSize", "Status"),
            [("1", "1", "ann_ftp", SECRETS["ftp"], "/home/shop.example", "1024", "1")],
        ),
    }


def install(root):
    """A host with two sites of one customer."""
    install_program(root, "/usr/bin/cyberpanel", "cyberpanel.programs")
    mariadb.install(root, {"root": SECRETS["root"]})
    mariadb.make(root, "cyberpanel", tables())
    for name, rows in (("shop_db", [(number, "row %d; it's (said)" % number) for number in range(40)]), ("shop_log", [])):
        mariadb.make(root, name, {"orders": (("id", "text"), rows), "log": (("id",), [])})
    put(root, ROOT + "/version.txt", '{"version":"2.3","build":7}')
    settings = "SECRET_KEY = '%s'\nDATABASES = {\n    'default': {\n        'NAME': 'cyberpanel',\n        'PASSWORD': 'x'\n    }\n}\n" % SECRETS["django"]
    put(root, ROOT + "/CyberCP/settings.py", settings, 0o600)
    put(root, "/etc/cyberpanel/mysqlPassword", SECRETS["root"] + "\n", 0o600)
    put(root, "/etc/hostname", "panel.example.com\n")
    for name in ("shop.example", "plain.example"):
        put(root, "/home/%s/public_html/index.html" % name, "<h1>%s</h1>\n" % name * 40)
        put(root, "/home/%s/logs/access.log" % name, "GET /\n")
        put(root, "/usr/local/lsws/conf/vhosts/%s/vhost.conf" % name, "docRoot $VH_ROOT/public_html\n")
    put(root, "/home/shop.example/public_html/customers-own.tar.gz", b"\x1f\x8b\x08 broken, and none of our business")
    put(root, "/home/vmail/shop.example/info/Maildir/cur/1.M1.panel", "Subject: hello\n\nFor info\n")
    put(root, "/etc/letsencrypt/archive/shop.example/cert1.pem", "-----BEGIN CERTIFICATE-----\nMIIBplain\n-----END CERTIFICATE-----\n")
    put(root, "/etc/letsencrypt/archive/shop.example/privkey1.pem", SECRETS["tls"], 0o600)
    live = root + "/etc/letsencrypt/live/shop.example"
    _links(live)
    put(root, "/var/spool/cron/crontabs/shopx1234", "5 3 * * * /usr/bin/curl -s https://shop.example/?token=%s\n" % SECRETS["cron"], 0o600)


def _links(live):
    os.makedirs(live)
    for name in ("cert", "privkey"):
        os.symlink("../../archive/shop.example/%s1.pem" % name, "%s/%s.pem" % (live, name))
