# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A stand-in of Virtualmin: /usr/sbin/virtualmin with backup-domain, restore-domain, validate-domains and list-domains. It is not Virtualmin.

From the facts (section 4) and Virtualmin's sources: the files below /etc/webmin/virtual-server, both shapes of an archive (home format with .backup,
and one with the features' files alone when dir is left out), virtualmin.tar.gz, the sidecars .info and .dom, which a test believes when they are newer
than the archive, exit statuses 0, 1, 2, 3, 4 and the error count of validate-domains (256 errors are 0), a home tar whose failure nobody notices,
dumps of which only the first line is looked at, passwords in clear in list-domains --multiline.
Guessed: wording of lines that no fact quotes, what a failing restore leaves.

Switches: truncated=DOMAIN, flipped=DOMAIN, missing=DOMAIN or DOMAIN:FEATURE, inner=DOMAIN (the tar of Webmin's rights), empty-dump=DB, partial=DOMAIN, full,
warning, altered=TEXT, no-home=DOMAIN, purge-fails, no-settings, invalid=DOMAIN, errors=NUMBER (of DOMAIN's), restore-fails, and those of the MariaDB stand-in.
"""

from __future__ import annotations

from stand_ins import mariadb
from stand_ins.kit import install_program, put

MODULE = "/etc/webmin/virtual-server"
# Planted: none of these may be seen in a finding, an inventory, a log line or the arguments of a process.
SECRETS = {
    "domain": "planted-domain-password",
    "mysql": "planted-mysql-password",
    "root": "planted-root-password",
    "shadow": "$6$planted$mailboxHash",
    "tls": "-----BEGIN PRIVATE KEY-----\nplantedKey\n-----END PRIVATE KEY-----\n",
    "cron": "planted-token-of-a-job",
}
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIBplain\n-----END CERTIFICATE-----\n"
DOMAINS = {
    "1700000001": {
        "dom": "example.com",
        "user": "example",
        "uid": "1001",
        "gid": "1001",
        "group": "example",
        "home": "/home/example",
        "pass": SECRETS["domain"],
        "mysql_pass": SECRETS["mysql"],
        "mysql_user": "example",
        "db_mysql": "example shop",
        "plan": "1700000100",
        "template": "1700000200",
        "emailto": "ann@example.com",
        "ip": "192.0.2.9",
        "quota": "1024000",
        "mailboxlimit": "20",
        "php_mode": "fpm",
        "ssl_cert": "/home/example/ssl.cert",
        "ssl_key": "/home/example/ssl.key",
        "features": "unix dir mail dns web ssl mysql webmin logrotate",
    },
    "1700000002": {
        "dom": "sub.example.com",
        "parent": "1700000001",
        "user": "example",
        "uid": "1001",
        "gid": "1001",
        "home": "/home/example/domains/sub.example.com",
        "ip": "192.0.2.9",
        "features": "dir mail dns web",
    },
    "1700000003": {
        "dom": "example.org",
        "parent": "1700000001",
        "alias": "1700000001",
        "user": "example",
        "uid": "1001",
        "gid": "1001",
        "home": "/home/example/domains/example.org",
        "ip": "192.0.2.9",
        "features": "mail dns web",
    },
    "1700000004": {
        "dom": "other.test",
        "user": "other",
        "uid": "1002",
        "gid": "1002",
        "home": "/home/other",
        "pass": SECRETS["domain"],
        "plan": "1700000100",
        "emailto": "bob@other.test",
        "ip": "192.0.2.9",
        "features": "unix dir mail dns web",
    },
}
PASSWD = """root:x:0:0:root:/root:/bin/bash
example:x:1001:1001:Example:/home/example:/bin/bash
info.example:x:1003:1001:Info:/home/example/homes/info:/dev/null
example-web:x:1001:1001:Web:/home/example/public_html:/bin/false
desk.sub:x:1004:1001:Desk:/home/example/domains/sub.example.com/homes/desk:/dev/null
other:x:1002:1002:Other:/home/other:/bin/bash
bob.other:x:1005:1002:Bob:/home/other/homes/bob:/dev/null
"""
VIRTUAL = """# Postfix's table
example.com example.com
example@example.com example
info@example.com info.example
sales@example.com info@example.com,boss@elsewhere.example
robot@example.com robot-example.com
@example.org @example.com
desk@sub.example.com desk.sub
other@other.test other
bob@other.test bob.other
"""


def written(held):
    """A domain's file."""
    own = {key: value for key, value in held.items() if key != "features"}
    own.update((feature, "1") for feature in held["features"].split())
    return "".join("%s=%s\n" % item for item in own.items())


def install(root):
    """A host with two customers, a sub-server and an alias."""
    install_program(root, "/usr/sbin/virtualmin", "virtualmin.programs")
    mariadb.install(root, {"root": SECRETS["root"]})
    for name, rows in (("example", []), ("shop", [(number, "row %d; it's (said)" % number) for number in range(40)])):
        mariadb.make(root, name, {"orders": (("id", "text"), rows), "log": (("id",), [])})
    put(root, "/etc/hostname", "panel.example.com\n")
    put(root, "/etc/webmin/version", "2.660\n")
    put(root, "/etc/webmin/mysql/config", "login=root\npass=%s\nmysql=/usr/bin/mysql\n" % SECRETS["root"], 0o600)
    put(root, "/etc/webmin/miniserv.pem", SECRETS["tls"], 0o600)
    put(root, "/etc/webmin/virtual-server/example.acl", "noconfig=1\n")
    put(root, "/usr/share/webmin/virtual-server/module.info", "desc=Virtualmin\nversion=8.1.0\n")
    put(root, MODULE + "/config", "mysql=1\nmail=1\nhome_base=/home\n")
    put(root, MODULE + "/plans/1700000100", "name=Default Plan\nquota=1024000\n")
    put(root, MODULE + "/templates/1700000200", "name=Customers\nphp_vars=a=b\n")
    put(root, MODULE + "/backups/1700000300", "dest=/backup/%Y-%m-%d\nall=1\nstrftime=1\n")
    for ident, held in DOMAINS.items():
        put(root, "%s/domains/%s" % (MODULE, ident), "id=%s\n%s" % (ident, written(held)), 0o600)
        if "dns" in held["features"]:
            zone = "$ttl 38400\n@ IN SOA ns1.example.com. root (\n 1\n 2 3 4 5 )\n@ IN NS ns1.example.com.\n@ IN A 192.0.2.9 ; here\n"
            put(root, "/var/lib/bind/%s.hosts" % held["dom"], zone)
        if "dir" in held["features"]:
            put(root, held["home"] + "/public_html/index.html", "<h1>%s</h1>\n" % held["dom"] * 40)
    put(root, "/home/example/public_html/customers-own.tar.gz", b"\x1f\x8b\x08 broken, and none of our business")
    put(root, "/home/example/ssl.cert", CERTIFICATE)
    put(root, "/home/example/ssl.key", SECRETS["tls"], 0o600)
    put(root, "/etc/passwd", PASSWD)
    put(root, "/etc/shadow", "".join("%s:%s:20000::::::\n" % (line.split(":")[0], SECRETS["shadow"]) for line in PASSWD.splitlines()), 0o600)
    put(root, "/etc/group", "example:x:1001:\nother:x:1002:\n")
    put(root, "/etc/postfix/main.cf", "myhostname = panel.example.com\nvirtual_alias_maps = hash:/etc/postfix/virtual\n")
    put(root, "/etc/postfix/virtual", VIRTUAL)
    put(root, "/var/spool/cron/crontabs/example", "MAILTO=ann@example.com\n5 3 * * * /usr/bin/curl -s https://example.com/?token=%s\n" % SECRETS["cron"], 0o600)
