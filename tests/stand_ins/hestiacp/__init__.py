# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A stand-in of HestiaCP (and of Vesta): its programs in Python, its file store, its real archives. It is not HestiaCP.

From the facts (section 5; most of it was seen when HestiaCP's own scripts ran): the layout of data/users and of the archives, the lists' JSON, exit
codes 0 to 20, the users whom the list omits (no @ in /etc/passwd), the domain whose directory is missing (the archive holds the temporary directory
instead), the disk that fills at the end (exit 0, a truncated tar, registered), ftp without a configuration (exit 0, nothing made), the estimate
(exit 8), 95 % (13), invalid object (2, with copies of shadow lines left in /backup/tmp.*), a dump that fails (17), a server that refuses (15), the
truncated tar on restore (12). From HestiaCP's sources as well: Vesta's directory names; a restore merges: what a user already has keeps its settings.
Guessed: wording of log lines that no fact quotes; sizes; what rebuild programs print. Web data is unpacked, services are not there.

Switches: truncated, full (95 %), space, flipped=OBJECT, missing=OBJECT, inner=OBJECT (OBJECT: web:DOMAIN, mail:DOMAIN, dns:DOMAIN, db:NAME), empty-dump=DB,
stale, warning, altered=TEXT (an object that the export changes), invalid=USER, rebuild-fails=USER, and those of the MariaDB stand-in.
"""

from __future__ import annotations

from stand_ins import mariadb
from stand_ins.kit import install_program, put, text

PROGRAMS = (
    "v-list-users v-list-sys-info v-list-user-backups v-list-web-domains v-list-mail-domains v-list-dns-domains v-list-databases v-backup-user v-backup-users"
    " v-restore-user v-rebuild-user v-rebuild-web-domains v-rebuild-dns-domains v-rebuild-mail-domains v-rebuild-databases v-rebuild-cron-jobs"
    " v-update-user-counters"
).split()
# Planted: none of these may be seen in a finding, an inventory, a log line or the arguments of a process.
SECRETS = {
    "shadow": "$6$planted$aliceShadowHash",
    "mailbox": "{MD5}$1$planted$infoMailboxHash",
    "database": "*PLANTED0DATABASE0HASH",
    "root": "planted-mysql-root-password",
    "ftp": "$1$planted$ftpHash",
    "dkim": "-----BEGIN PRIVATE KEY-----\nplantedDkimKey\n-----END PRIVATE KEY-----\n",
    "tls": "-----BEGIN PRIVATE KEY-----\nplantedTlsKey\n-----END PRIVATE KEY-----\n",
    "cron": "planted-token-in-a-cron-job",
    "rkey": "plantedRecoveryKey",
}
LIMITS = {"WEB_DOMAINS": "10", "DNS_DOMAINS": "10", "MAIL_DOMAINS": "10", "MAIL_ACCOUNTS": "20", "DATABASES": "5", "CRON_JOBS": "5", "DISK_QUOTA": "unlimited"}
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIBplain\n-----END CERTIFICATE-----\n"
STAMP = " SUSPENDED='no' TIME='10:00:00' DATE='2026-01-15'\n"


def install(root, flavour="hestia", zstd=False, server=None):
    """A host with three customers: alice (everything), bob (whom v-list-users omits: no @ in his comment), carol (nothing at all).

    server: an option file of a running MariaDB that keeps their databases. root "": this very host, with its own programs and its own accounts besides.
    """
    home = "/usr/local/" + flavour
    for name in PROGRAMS:
        install_program(root, "%s/bin/%s" % (home, name), "hestiacp.programs")
    if server:
        put(root, "/stand-in/server", server)
    if root:
        mariadb.install(root, {"root": SECRETS["root"]})
        put(root, "/etc/hostname", "panel.example.com\n")
        put(root, "/.proc/loadavg", "0.10 0.20 0.30 1/200 4242\n")
        put(root, "/.proc/cpuinfo", "processor\t: 0\nprocessor\t: 1\n")
    store(root, home, flavour, zstd)
    lines = "alice:x:1001:1001:alice@example.com:/home/alice:/bin/bash\n"
    lines += "bob:x:1002:1002:Bob Builder:/home/bob:/bin/bash\ncarol:x:1003:1003:carol@example.com:/home/carol:/bin/bash\n"
    put(root, "/etc/passwd", (text(root, "/etc/passwd") if not root else "root:x:0:0:root:/root:/bin/bash\n") + lines)
    put(root, "/etc/group", (text(root, "/etc/group") if not root else "root:x:0:\n") + "alice:x:1001:\nbob:x:1002:\ncarol:x:1003:\n")
    shadow = "".join("%s:%s:20000::::::\n" % (name, SECRETS["shadow"]) for name in ("alice", "bob", "carol"))
    put(root, "/etc/shadow", (text(root, "/etc/shadow") if not root else "") + shadow, 0o600)
    put(root, "/backup/.keep")
    alice(root, home)
    for owner, database in (("alice", "alice_shop"), ("bob", "bob_wiki")):
        rows = [(number, "%s row %d; it's (said)" % (owner, number)) for number in range(40)]
        mariadb.make(root, database, {"orders": (("id", "text"), rows), "log": (("id",), [])})
    user(root, home, "bob", "bob@example.com")
    web = "DOMAIN='bob.example' IP='192.0.2.9' ALIAS='www.bob.example' TPL='default' SSL='no' BACKEND='PHP-8_2'" + STAMP
    put(root, "%s/data/users/bob/web.conf" % home, web, 0o660)
    put(root, "%s/data/users/bob/db.conf" % home, database_line("bob_wiki"), 0o660)
    put(root, "/home/bob/web/bob.example/public_html/index.html", "<h1>Bob</h1>")
    user(root, home, "carol", "carol@example.com")


def store(root, home, flavour, zstd):
    """The panel's own configuration."""
    conf = "WEB_SYSTEM='apache2'\nPROXY_SYSTEM='nginx'\nDNS_SYSTEM='bind9'\nMAIL_SYSTEM='exim4'\nIMAP_SYSTEM='dovecot'\nDB_SYSTEM='mysql'\nCRON_SYSTEM='cron'\n"
    # on a host that others use too
    conf += "" if root else "BACKUP_LA_LIMIT='1000'\n"
    conf += "BACKUP_SYSTEM='local'\nBACKUP_GZIP='4'\nVERSION='%s'\n" % ("1.10.0" if flavour == "hestia" else "0.9.8")
    conf += "RELEASE_BRANCH='release'\nBACKUP_MODE='%s'\n" % ("zstd" if zstd else "gzip")
    put(root, "%s/conf/%s.conf" % (home, flavour), conf)
    put(root, "%s/conf/mysql.conf" % home, "HOST='localhost' USER='root' PASSWORD='%s' CHARSETS='UTF8' MAX_DB='500' U_DB_BASES='2'\n" % SECRETS["root"], 0o660)
    if flavour == "hestia":
        put(root, "/etc/hestiacp/hestia.conf", "# Do not edit\nexport HESTIA='/usr/local/hestia'\n")
    put(root, "%s/data/packages/default.pkg" % home, "".join("%s='%s'\n" % item for item in LIMITS.items()))
    put(root, "%s/data/ips/192.0.2.9" % home, "OWNER='admin' STATUS='shared' NAME='' INTERFACE='eth0' NETMASK='255.255.255.0'\n")
    put(root, "%s/data/packages/big.pkg" % home, "".join("%s='unlimited'\n" % key for key in LIMITS))


def user(root, home, name, contact):
    """A customer without anything."""
    data = "%s/data/users/%s" % (home, name)
    lines = {"NAME": "%s Example" % name.title(), "PACKAGE": "default", **LIMITS, "NS": "ns1.example.com,ns2.example.com", "SHELL": "nologin", "BACKUPS": "3"}
    lines.update({"CONTACT": contact, "MD5": SECRETS["shadow"], "RKEY": SECRETS["rkey"], "ROLE": "user", "SUSPENDED": "no", "U_DISK": "1", "LANGUAGE": "en"})
    lines.update({"TIME": "10:00:00", "DATE": "2026-01-15"})
    put(root, data + "/user.conf", "".join("%s='%s'\n" % item for item in lines.items()), 0o660)
    for conf in ("web", "dns", "mail", "db", "cron", "backup"):
        put(root, "%s/%s.conf" % (data, conf), "", 0o660)
    put(root, data + "/history.log", "ID='1' DATE='2026-01-15'\n")
    put(root, data + "/ssl/.keep")
    put(root, "/home/%s/.bash_logout" % name, "# bye\n")


def database_line(name):
    return "DB='%s' DBUSER='%s' MD5='%s' HOST='localhost' TYPE='mysql' CHARSET='UTF8' U_DISK='1'" % (name, name, SECRETS["database"]) + STAMP


def alice(root, home):
    """A customer with one of each."""
    user(root, home, "alice", "alice@example.com")
    data = "%s/data/users/alice" % home
    web = "DOMAIN='example.test' IP='192.0.2.9' IP6='' CUSTOM_DOCROOT='' ALIAS='www.example.test,shop.example.test' TPL='default' SSL='yes' SSL_HOME='same'"
    web += " LETSENCRYPT='yes' FTP_USER='alice_up' FTP_MD5='%s' FTP_PATH='' BACKEND='PHP-8_2' PROXY='default' PROXY_EXT='jpg,png'" % SECRETS["ftp"] + STAMP
    web += "DOMAIN='blog.example.test' IP='192.0.2.9' ALIAS='' TPL='wordpress' SSL='no' BACKEND='PHP-8_3' PROXY='default'" + STAMP
    put(root, data + "/web.conf", web, 0o660)
    zone = "DOMAIN='example.test' IP='192.0.2.9' TPL='default' TTL='14400' SOA='ns1.example.com' RECORDS='2' DNSSEC='no'" + STAMP
    put(root, data + "/dns.conf", zone, 0o660)
    records = "ID='1' RECORD='@' TYPE='A' PRIORITY='' VALUE='192.0.2.9'" + STAMP
    records += "ID='2' RECORD='@' TYPE='MX' PRIORITY='10' VALUE='mail.example.test.'" + STAMP
    put(root, data + "/dns/example.test.conf", records, 0o660)
    put(root, data + "/mail.conf", "DOMAIN='example.test' ANTIVIRUS='yes' ANTISPAM='yes' DKIM='yes' CATCHALL='info@example.test' ACCOUNTS='2'" + STAMP, 0o660)
    accounts = "ACCOUNT='info' ALIAS='sales,office' AUTOREPLY='no' FWD='boss@elsewhere.example' FWD_ONLY='' QUOTA='500'"
    accounts += " MD5='%s' U_DISK='1'" % SECRETS["mailbox"] + STAMP
    accounts += "ACCOUNT='ann' ALIAS='' AUTOREPLY='no' FWD='' FWD_ONLY='' MD5='%s' QUOTA='unlimited' U_DISK='0'" % SECRETS["mailbox"] + STAMP
    put(root, data + "/mail/example.test.conf", accounts, 0o660)
    put(root, data + "/mail/example.test.pem", SECRETS["dkim"], 0o660)
    put(root, data + "/mail/example.test.pub", "-----BEGIN PUBLIC KEY-----\nplain\n-----END PUBLIC KEY-----\n")
    put(root, data + "/db.conf", database_line("alice_shop"), 0o660)
    jobs = "JOB='1' MIN='5' HOUR='3' DAY='*' MONTH='*' WDAY='*' CMD='/usr/bin/curl -s https://example.test/cron?token=%s'" % SECRETS["cron"] + STAMP
    jobs += "JOB='2' MIN='0' HOUR='*' DAY='*' MONTH='*' WDAY='*' CMD='echo %quote%hello%quote%'" + STAMP
    put(root, data + "/cron.conf", jobs, 0o660)
    put(root, data + "/ssl/example.test.crt", CERTIFICATE)
    put(root, data + "/ssl/example.test.key", SECRETS["tls"], 0o660)
    for domain in ("example.test", "blog.example.test"):
        put(root, "/home/alice/web/%s/public_html/index.html" % domain, "<h1>%s</h1>" % domain * 50)
        put(root, "/home/alice/web/%s/logs/%s.log" % (domain, domain), "GET /\n")
        put(root, "/home/alice/conf/web/%s/apache2.conf" % domain, "<VirtualHost 192.0.2.9:8080>\n</VirtualHost>\n")
    put(root, "/home/alice/web/example.test/public_html/customers-own.zip", b"PK\x03\x04 broken, and none of our business")
    put(root, "/home/alice/conf/dns/example.test.db", "$TTL 14400\n@ IN SOA ns1.example.com. root.example.test. (1 2 3 4 5)\n")
    put(root, "/home/alice/conf/mail/example.test/passwd", "info:%s:alice:mail::/home/alice\n" % SECRETS["mailbox"], 0o660)
    for account in ("info", "ann"):
        put(root, "/home/alice/mail/example.test/%s/cur/1700000000.M1.panel:2,S" % account, "Subject: hello\n\nFor %s\n" % account)
