# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for a cPanel & WHM server. It is no cPanel and holds nothing of it: it plays what facts/panels.md section 2 documents.

From the facts: the paths of detection, /var/cpanel/users (KEY=VALUE), userdata/main, /etc/userdomains, valiases, vdomainaliases and vfilters (as va,
vad, vf in the archive), the archive's members, whmapi1's answers, pkgacct's options and transcript, restorepkg's exit 0 with a failed module, error 2002
with exit 0. From public tools that were run against real servers: /var/cpanel/databases/USER.json (MYSQL: owner, dbs, dbusers, noprefix), mysql.sql in
cPanel's old GRANT syntax, apache_tls with one file for a domain, an archive directory that must be there or nothing is written at exit 0.
Guessed: the keys in /var/cpanel/users beyond those of the facts, the text that restorepkg prints, the mm/ directory's content, the words around a failed
dump, the answer of uapi beyond its frame, `ps` lines of a running backup.
"""

from __future__ import annotations

import json
import os

from stand_ins import mysql_server
from stand_ins.machine import Machine

# Each must never be seen outside the files that hold it.
SECRETS = {
    "account": "$6$planted$alicesAccountHash",
    "account of bob": "$6$planted$bobsAccountHash",
    "account of carol": "$6$planted$carolsAccountHash",
    "mailbox": "$6$planted$annsMailboxHash",
    "mailbox of ed": "$6$planted$edsMailboxHash",
    "database": "*C0FFEE00PLANTEDDATABASEHASH0000000000001",
    "ftp": "$6$planted$uploadFtpHash",
    "tls": "MIIplantedTlsPrivateKeyOfShopExample",
    "cron": "cronPlantedPassword",
    "pipe": "pipePlantedToken",
    "contact": "twoFactorPlantedSeed",
}
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIBshopExampleCertificate\n-----END CERTIFICATE-----\n"
KEY = "-----BEGIN RSA PRIVATE KEY-----\n%s\n-----END RSA PRIVATE KEY-----\n" % SECRETS["tls"]
ACCOUNTS = {
    "alice": {
        "domain": "shop.example",
        "addons": {"blog.example": "blog.shop.example"},
        "parked": ["shop.test"],
        "subs": ["dev.shop.example"],
        "plan": "gold",
        "owner": "root",
        "hash": SECRETS["account"],
        "mail": {"shop.example": {"ann": SECRETS["mailbox"], "info": "$6$planted$other"}, "blog.example": {"ed": SECRETS["mailbox of ed"]}},
        "aliases": {
            "shop.example": {
                "sales@shop.example": "ann@shop.example, ed@blog.example",
                "robot@shop.example": '"|/home/alice/bin/robot --token=%s"' % SECRETS["pipe"],
                "*": '":fail: No Such User Here"',
            },
            "blog.example": {"*": "alice"},
        },
        "lists": ["crew@shop.example"],
        "databases": {"alice_blog": ["posts"], "alice_shop": ["customers", "orders"]},
        "noprefix": {"legacydb": ["old"]},
        "dbusers": {"alice_app": ["alice_shop", "alice_blog"]},
        "ftp": {"upload@shop.example": SECRETS["ftp"]},
        "cron": "MAILTO=ann@shop.example\n17 3 * * * /usr/bin/curl -u shop:%s https://shop.example/cron\n" % SECRETS["cron"],
        "certificates": ["shop.example"],
    },
    "bob": {
        "domain": "bob.example",
        "plan": "silver",
        "owner": "bob",
        "reseller": "list-accts,create-acct",
        "hash": SECRETS["account of bob"],
        "aliases": {"bob.example": {"hello@bob.example": "bob@elsewhere.example"}},
    },
    "carol": {
        "domain": "carol.example",
        "plan": "silver",
        "owner": "bob",
        "hash": SECRETS["account of carol"],
        "mail": {"carol.example": {"me": "$6$planted$another"}},
        "databases": {"carol_wp": ["options", "posts"]},
        "dbusers": {"carol_wp": ["carol_wp"]},
    },
}
ZONE = """; cPanel first:122.0
$TTL 14400
@ 86400 IN SOA ns1.{d}. root.{d}. (
    2026112201 ;Serial Number
    3600 ;refresh
    1800 ;retry
    1209600 ;expire
    86400 )
{d}. 86400 IN NS ns1.{d}.
{d}. 14400 IN A 192.0.2.10
mail 14400 IN CNAME {d}.
"""


def install(root, accounts=None):
    """A Machine below `root` with these accounts (ACCOUNTS): a small server, all of whose programs can be run."""
    machine = Machine(root)
    accounts = ACCOUNTS if accounts is None else accounts
    machine.write("/usr/local/cpanel/version", "11.122.0.17\n")
    machine.write("/etc/wwwacct.conf", "HOST host.example\nHOMEDIR /home\n")
    machine.write("/var/cpanel/cpanel.config", "local_nameserver_type=bind\n", 0o600)
    machine.write("/var/cpanel/packages/gold", "QUOTA=1000\nMAXPOP=50\n")
    machine.write("/var/cpanel/packages/silver", "QUOTA=100\nMAXPOP=5\n")
    machine.write("/var/cpanel/authn/twofactor_auth/tfa_userdata.json", json.dumps({"alice": {"secret": SECRETS["contact"]}}), 0o600)
    machine.write("/var/cpanel/backups/config", "---\nBACKUPDIR: /backup\nBACKUPENABLE: 'yes'\n", 0o600)
    machine.write("/etc/passwd", "root:x:0:0:root:/root:/bin/bash\n")
    machine.write("/etc/group", "root:x:0:\nmail:x:%d:\n" % os.getgid())
    machine.write("/etc/shadow", "root:$6$planted$root:20000::::::\n", 0o600)
    names = {"/usr/local/cpanel/bin/whmapi1": "whmapi1", "/usr/local/cpanel/bin/uapi": "uapi", "/usr/local/cpanel/cpanel": "cpanel", "/usr/bin/ps": "ps"}
    names.update({"/usr/local/cpanel/scripts/%s" % name: name for name in ("restorepkg", "updateuserdomains", "updateuserdatacache", "rebuildhttpdconf")})
    for path, name in names.items():
        machine.program(path, "cpanel.programs", name)
    machine.program("/usr/local/cpanel/scripts/pkgacct", "cpanel.packing", "pkgacct")
    databases, users = {}, {}
    for user, account in accounts.items():
        create(machine, user, account)
        for name, tables in {**account.get("databases", {}), **account.get("noprefix", {})}.items():
            databases[name] = {table: [[number, "%s of %s" % (table, user)] for number in range(3)] for table in tables}
        for name, granted in account.get("dbusers", {}).items():
            users[name] = {"host": "localhost", "hash": SECRETS["database"], "databases": granted}
    mysql_server.install(machine, databases, users)
    maps(machine)
    return machine


def create(machine, user, account):
    """One account's files."""
    main = account["domain"]
    addons, parked, subs = account.get("addons", {}), account.get("parked", []), account.get("subs", [])
    lines = ["# cPanel", "BWLIMIT=1048576000", "CONTACTEMAIL=%s@elsewhere.example" % user, "DNS=%s" % main, "IP=192.0.2.10", "MAXADDON=10", "MAXPOP=50"]
    lines += ["MAXSQL=5", "OWNER=%s" % account["owner"], "PLAN=%s" % account["plan"], "USER=%s" % user]
    lines += ["DNS%d=%s" % (number, name) for number, name in enumerate([*addons, *parked, *subs], 1)]
    machine.write("/var/cpanel/users/%s" % user, "\n".join(lines) + "\n", 0o640)
    home = "/home/%s" % user
    text = machine.read("/etc/passwd") + "%s:x:%d:%d::%s:/bin/bash\n" % (user, os.getuid(), os.getgid(), home)
    machine.write("/etc/passwd", text)
    machine.write("/etc/shadow", machine.read("/etc/shadow") + "%s:%s:20000::::::\n" % (user, account["hash"]), 0o600)
    data = "/var/cpanel/userdata/%s/" % user
    listed = "".join("\n  - %s" % name for name in [*addons.values(), *subs])
    machine.write(
        data + "main",
        "---\naddon_domains: %s\nmain_domain: %s\nparked_domains: %s\nsub_domains: %s\n"
        % (
            "".join("\n  %s: %s" % pair for pair in addons.items()) or "{}",
            main,
            "".join("\n  - %s" % name for name in parked) or "[]",
            listed or "[]",
        ),
    )
    for name in [main, *addons.values(), *subs]:
        machine.write(data + name, "---\ndocumentroot: %s/public_html/%s\nip: 192.0.2.10\nphpversion: ea-php81\nservername: %s\n" % (home, name, name))
    machine.write(data + "main.cache", "never looked at")
    for name in [main, *addons, *parked]:
        machine.write("/var/named/%s.db" % name, ZONE.format(d=name))
    for domain, entries in account.get("aliases", {}).items():
        machine.write("/etc/valiases/%s" % domain, "".join("%s: %s\n" % pair for pair in entries.items()))
        machine.write("/etc/vfilters/%s" % domain, "")
    for name in parked:
        machine.write("/etc/vdomainaliases/%s" % name, "%s: %s\n" % (name, main))
    for domain, boxes in account.get("mail", {}).items():
        etc = "%s/etc/%s/" % (home, domain)
        machine.write(etc + "passwd", "".join("%s:x:1001:12::%s/mail/%s/%s:%s\n" % (box, home, domain, box, home) for box in boxes), 0o640)
        machine.write(etc + "shadow", "".join("%s:%s:20000::::::\n" % pair for pair in boxes.items()), 0o640)
        machine.write(etc + "quota", "".join("%s:262144000\n" % box for box in boxes), 0o640)
        for box in boxes:
            machine.write("%s/mail/%s/%s/cur/1.eml" % (home, domain, box), "Subject: hello %s\n\nhello\n" % box, 0o640)
    machine.write(home + "/public_html/index.html", "<h1>%s</h1>\n" % user)
    for address in account.get("lists", []):
        machine.write("/usr/local/cpanel/3rdparty/mailman/lists/%s/config.pck" % address.replace("@", "_"), b"a pickle that is never loaded", 0o660)
    if account.get("cron"):
        machine.write("/var/spool/cron/%s" % user, account["cron"], 0o600)
    ftp = {user: account["hash"], **account.get("ftp", {})}
    lines = "".join("%s:%s:1001:1001:%s:%s/public_html/ftp:/bin/ftpsh\n" % (name, digest, user, home) for name, digest in ftp.items())
    machine.write("/etc/proftpd/%s" % user, lines, 0o640)
    for domain in account.get("certificates", []):
        machine.write("/var/cpanel/ssl/apache_tls/%s/combined" % domain, KEY + CERTIFICATE, 0o640)
    if account.get("reseller"):
        machine.write("/var/cpanel/resellers", machine.read("/var/cpanel/resellers") + "%s:%s\n" % (user, account["reseller"]))
    mapped = {"owner": user, "dbs": dict.fromkeys(account.get("databases", {}), "localhost"), "noprefix": {}}
    mapped["dbs"].update(dict.fromkeys(account.get("noprefix", {}), "localhost"))
    mapped["dbusers"] = {name: {"dbs": dict.fromkeys(granted, "localhost")} for name, granted in account.get("dbusers", {}).items()}
    machine.write("/var/cpanel/databases/%s.json" % user, json.dumps({"MYSQL": mapped}), 0o640)


def users(machine):
    """Names of the accounts that have a file."""
    top = machine.at("/var/cpanel/users")
    return sorted(entry.name for entry in (top.iterdir() if top.is_dir() else ()) if entry.is_file() and entry.name != "system")


def maps(machine):
    """The panel's files that are made from the accounts' own: what updateuserdomains does."""
    true, owners = [], []
    for user in users(machine):
        found = dict(line.split("=", 1) for line in machine.read("/var/cpanel/users/%s" % user).splitlines() if "=" in line)
        true.append("%s: %s\n" % (found["DNS"], user))
        owners.append("%s: %s\n" % (user, found["OWNER"]))
    machine.write("/etc/trueuserdomains", "".join(true))
    machine.write("/etc/userdomains", "".join(true))
    machine.write("/etc/trueuserowners", "".join(owners))
