# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for a DirectAdmin server. It is no DirectAdmin and holds nothing of it: it plays what facts/panels.md section 3 documents.

From the facts: the paths of detection, data/users/USER/{user.conf,domains.list,crontab.conf,domains/}, users.list of resellers, /etc/virtual/DOMAIN,
databases known by their prefix only, the commands admin-backup and taskq, the selection's options, every member of an archive, the nested home.tar.zst
with the complement of domains/ and imap/, status 0 on failure, "error running backup task", that the destination must be open to account and admin.
From public tools and listings: the transcript's records (info, error; executing and finished a task), ftp.passwd, domain.pointers and <database>.conf,
what is left out without the option domain, that the account is the one in backup/user.conf.
Guessed: the keys of user.conf and domain.conf beyond those, /etc/proftpd.passwd as the live list of FTP users, majordomo's files, the numbers before the
lines of crontab.conf, backup_gzip for the compression, the words around a failed dump or a full disk, what `version` prints.
"""

from __future__ import annotations

import os

from stand_ins import mysql_server
from stand_ins.machine import Machine

ROOT = "/usr/local/directadmin"
SECRETS = {
    "account": "$6$planted$minaAccountHash",
    "mailbox": "$6$planted$postMailboxHash",
    "database": "*C0FFEE00PLANTEDDATABASEHASH0000000000001",
    "ftp": "$6$planted$uploadFtpHash",
    "tls": "MIIplantedTlsPrivateKeyOfMinaExample",
    "cron": "cronPlantedPassword",
    "pipe": "pipePlantedToken",
    "login": "plantedLoginToTheDatabase",
}
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIBminaExampleCertificate\n-----END CERTIFICATE-----\n"
KEY = "-----BEGIN RSA PRIVATE KEY-----\n%s\n-----END RSA PRIVATE KEY-----\n" % SECRETS["tls"]
ACCOUNTS = {
    "admin": {"type": "admin", "creator": "root", "hash": "$6$planted$admin", "domains": {}},
    "rita": {"type": "reseller", "creator": "admin", "hash": "$6$planted$rita", "domains": {"rita.example": {}}},
    "mina": {
        "type": "user",
        "creator": "rita",
        "hash": SECRETS["account"],
        "domains": {
            "mina.example": {
                "subdomains": ["dev"],
                "pointers": {"mina.test": "alias"},
                "boxes": {"post": SECRETS["mailbox"], "info": "$6$planted$info"},
                "aliases": {
                    "mina": "mina",
                    "sales": "post@mina.example,boss@elsewhere.example",
                    "robot": '"|/home/mina/robot --token=%s"' % SECRETS["pipe"],
                },
                "lists": {"crew": ["a@elsewhere.example", "b@elsewhere.example"]},
                "ftp": {"upload": SECRETS["ftp"]},
                "certificate": True,
                "autoresponder": "holiday",
            },
            "blog.example": {},
        },
        "databases": {"mina_shop": ["customers", "orders"], "mina_blog": ["posts"]},
        "dbusers": {"mina_app": ["mina_shop", "mina_blog"], "mina": ["mina_shop"]},
        "cron": ["17 3 * * * /usr/bin/curl -u shop:%s https://mina.example/cron" % SECRETS["cron"]],
    },
    "nils": {
        "type": "user",
        "creator": "rita",
        "hash": "$6$planted$nils",
        "domains": {"nils.example": {"boxes": {"me": "$6$planted$me"}}},
        "databases": {"nils_wp": ["options"]},
        "dbusers": {"nils_wp": ["nils_wp"]},
    },
}
ZONE = """$TTL 14400
@ IN SOA ns1.{d}. hostmaster.{d}. (
    2026112201
    14400
    3600
    1209600
    86400 )
{d}. 14400 IN NS ns1.{d}.
{d}. 14400 IN A 192.0.2.20
"""


def install(root, accounts=None, compression="zst"):
    """A Machine below `root` with these accounts (ACCOUNTS). compression: zst (by the program zstd), gz or none."""
    machine = Machine(root)
    accounts = ACCOUNTS if accounts is None else accounts
    machine.write(ROOT + "/conf/directadmin.conf", "backup_gzip=%d\nservername=host.example\n" % {"none": 0, "gz": 1, "zst": 2}[compression])
    machine.write(ROOT + "/conf/my.cnf", "[client]\nuser=da_admin\npassword=%s\n" % SECRETS["login"], 0o600)
    machine.write("/etc/hostname", "host.example\n")
    machine.write("/etc/passwd", "root:x:0:0:root:/root:/bin/bash\n")
    machine.write("/etc/shadow", "root:$6$planted$root:20000::::::\n", 0o600)
    machine.write("/etc/proftpd.passwd", "", 0o640)
    machine.write(ROOT + "/data/task.queue", "")
    machine.program(ROOT + "/directadmin", "directadmin.program", "directadmin")
    machine.at("/usr/bin").mkdir(parents=True, exist_ok=True)
    os.symlink("../local/directadmin/directadmin", machine.at("/usr/bin/da"))
    machine.program("/usr/bin/ps", "directadmin.program", "ps")
    databases, users = {}, {}
    for user, account in accounts.items():
        create(machine, user, account)
        for name, tables in account.get("databases", {}).items():
            databases[name] = {table: [[n, "%s of %s" % (table, user)] for n in range(3)] for table in tables}
        for name, granted in account.get("dbusers", {}).items():
            users[name] = {"host": "localhost", "hash": SECRETS["database"], "databases": granted}
    mysql_server.install(machine, databases, users)
    return machine


def know(machine, user, hashed):
    """The system's own user."""
    home = "/home/%s" % user
    for path, line in (
        ("/etc/passwd", "%s:x:%d:%d::%s:/bin/bash\n" % (user, os.getuid(), os.getgid(), home)),
        ("/etc/shadow", "%s:%s:20000::::::\n" % (user, hashed)),
    ):
        lines = [text for text in machine.read(path).splitlines(True) if not text.startswith(user + ":")]
        machine.write(path, "".join([*lines, line]), 0o644 if path == "/etc/passwd" else 0o600)
    machine.at(home).mkdir(parents=True, exist_ok=True)


def create(machine, user, account):
    """One account's files."""
    top = ROOT + "/data/users/" + user
    know(machine, user, account["hash"])
    main = next(iter(account["domains"]), "")
    lines = ["username=%s" % user, "usertype=%s" % account["type"], "creator=%s" % account["creator"], "domain=%s" % main, "email=%s@elsewhere.example" % user]
    lines += ["package=gold", "suspended=no", "bandwidth=10000", "quota=500", "vdomains=5", "mysql=10", "nemails=50"]
    machine.write(top + "/user.conf", "\n".join(lines) + "\n", 0o600)
    machine.write(top + "/domains.list", "".join(name + "\n" for name in account["domains"]))
    machine.write(top + "/crontab.conf", "".join("%d=%s\n" % pair for pair in enumerate(account.get("cron", []), 1)), 0o600)
    if account["type"] != "user":
        machine.write(top + "/users.list", machine.read(top + "/users.list"))
        machine.write(top + "/packages/gold", "quota=500\nmysql=10\n")
    elif account["creator"]:
        path = ROOT + "/data/users/%s/users.list" % account["creator"]
        machine.write(path, machine.read(path) + user + "\n")
    home = "/home/%s" % user
    machine.write(home + "/.bashrc", "# %s\n" % user)
    machine.write(home + "/private/orders.csv", "1,2\n")
    for name, domain in account["domains"].items():
        add(machine, user, name, domain)
    machine.write("/etc/proftpd.passwd", machine.read("/etc/proftpd.passwd") + "%s:%s:1001:1001::%s:/bin/false\n" % (user, account["hash"], home), 0o640)


def add(machine, user, name, domain):
    """One domain's files."""
    there, virtual, home = "%s/data/users/%s/domains/%s" % (ROOT, user, name), "/etc/virtual/%s" % name, "/home/%s" % user
    machine.write(there + ".conf", "UseCanonicalName=OFF\nactive=yes\ndomain=%s\nphp=ON\nphp1_select=2\nssl=ON\nusername=%s\n" % (name, user))
    machine.write(there + ".subdomains", "".join(line + "\n" for line in domain.get("subdomains", [])))
    machine.write(there + ".pointers", "".join("%s=%s\n" % pair for pair in domain.get("pointers", {}).items()))
    machine.write(there + ".ip_list", "192.0.2.20\n")
    if domain.get("certificate"):
        machine.write(there + ".cert", CERTIFICATE, 0o640)
        machine.write(there + ".key", KEY, 0o640)
    machine.write("/var/named/%s.db" % name, ZONE.format(d=name))
    boxes = domain.get("boxes", {})
    machine.write(virtual + "/passwd", "".join("%s:%s:1001:12::/home/%s/imap/%s/%s:/bin/false\n" % (b, h, user, name, b) for b, h in boxes.items()), 0o640)
    machine.write(virtual + "/quota", "".join("%s:50\n" % box for box in boxes))
    machine.write(virtual + "/aliases", "".join("%s: %s\n" % pair for pair in domain.get("aliases", {user: user}).items()))
    machine.write(virtual + "/autoresponder.conf", "".join("%s\n" % domain["autoresponder"] if domain.get("autoresponder") else ""))
    machine.write(virtual + "/vacation.conf", "")
    for box in boxes:
        machine.write("%s/imap/%s/%s/Maildir/new/1.host" % (home, name, box), "Subject: hello %s\n\nhello\n" % box, 0o640)
    for entry, members in domain.get("lists", {}).items():
        machine.write("%s/majordomo/lists/%s" % (virtual, entry), "".join(line + "\n" for line in members))
        machine.write("%s/majordomo/lists/%s.config" % (virtual, entry), "subject_prefix = [%s]\n" % entry)
    for login, digest in domain.get("ftp", {}).items():
        line = "%s@%s:%s:1001:1001::%s/domains/%s/public_ftp:/bin/false\n" % (login, name, digest, home, name)
        machine.write("/etc/proftpd.passwd", machine.read("/etc/proftpd.passwd") + line, 0o640)
    machine.write("%s/domains/%s/public_html/index.html" % (home, name), "<h1>%s</h1>\n" % name)
