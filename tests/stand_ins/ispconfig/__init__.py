# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A stand-in of ISPConfig 3: its files, its database in the MariaDB stand-in, and what an update leaves behind. It is not ISPConfig.

From the facts (section 6) and ISPConfig's sources: where its configuration stands, names of tables and columns, the dump without definitions of tables that an
update writes. The panel has no program for its settings: what is played is the database server (refused, a dump that breaks off, is empty or has no rows at
exit 0, damaged tables). Guessed: values.
Switches: those of the MariaDB stand-in.
"""

from __future__ import annotations

from stand_ins import mariadb
from stand_ins.kit import put
from stand_ins.mariadb import clients

ROOT = "/usr/local/ispconfig"
# Planted: none of these may be seen in a finding, an inventory, a log line or the arguments of a process.
SECRETS = {
    "panel": "planted-panel-db-password",
    "root": "planted-root's-password",
    "client": "$1$planted$clientHash",
    "mailbox": "$6$planted$mailboxHash",
    "database": "*PLANTEDDATABASEHASH",
    "dkim": "-----BEGIN RSA PRIVATE KEY-----\nplantedDkim\n-----END RSA PRIVATE KEY-----",
    "tls": "-----BEGIN PRIVATE KEY-----\nplantedKey\n-----END PRIVATE KEY-----",
    "cron": "planted-token-of-a-job",
    "directive": "AuthPassword planted-in-a-directive",
    "list": "planted-list-password",
}


def tables():
    """{table: (columns, rows)} of two customers."""
    ann, bob = "2", "3"
    clients_ = [
        ("1", "ann", SECRETS["client"], "Ann Ltd", "Ann", "ann@example.com", "10", "5"),
        ("2", "bob", SECRETS["client"], "", "Bob", "b@example.org", "-1", "-1"),
    ]
    webs = [
        (
            "1",
            ann,
            "shop.example",
            "vhost",
            "0",
            "/var/www/clients/client1/web1",
            "web1",
            "php-fpm",
            "1",
            "y",
            "CERTIFICATE",
            SECRETS["tls"],
            SECRETS["directive"],
        ),
        ("2", ann, "www2.shop.example", "alias", "1", "", "", "no", "0", "n", "", "", ""),
        ("3", ann, "blog.shop.example", "subdomain", "1", "", "", "no", "0", "n", "", "", ""),
        ("4", bob, "bob.example", "vhost", "0", "/var/www/clients/client2/web4", "web4", "no", "0", "n", "", "", ""),
    ]
    web = "domain_id sys_groupid domain type parent_domain_id document_root system_user php server_php_id ssl ssl_cert ssl_key apache_directives".split()
    mailboxes = [
        ("1", ann, "info@shop.example", "info@shop.example", SECRETS["mailbox"], "Info's box \\ ü", "1000", "boss@elsewhere.example"),
        ("2", bob, "bob@bob.example", "bob@bob.example", SECRETS["mailbox"], "", "0", ""),
    ]
    forwards = [
        ("1", ann, "sales@shop.example", "info@shop.example\nboss@elsewhere.example", "forward", "y"),
        ("2", ann, "office@shop.example", "info@shop.example", "alias", "y"),
        ("3", bob, "@bob.example", "bob@bob.example", "catchall", "y"),
    ]
    zone = ("1", ann, "shop.example.", "ns1.example.com.", "admin.example.com.", "2026112201", "7200", "Y")
    records = [("1", "1", "www", "A", "192.0.2.9", "0", "3600", "Y"), ("2", "1", "shop.example.", "MX", "mail.shop.example.", "10", "3600", "Y")]
    cron = [("1", ann, "1", "full", "/usr/bin/curl -s https://shop.example/?token=%s" % SECRETS["cron"], "5", "3", "*", "*", "*", "y")]
    return {
        "sys_group": (("groupid", "name", "client_id"), [("1", "admin", "0"), (ann, "ann", "1"), (bob, "bob", "2")]),
        "client": (("client_id", "username", "password", "company_name", "contact_name", "email", "limit_mailbox", "limit_database"), clients_),
        "web_domain": (web, webs),
        "mail_domain": (("domain_id", "sys_groupid", "domain", "dkim", "dkim_private", "active"), [("1", ann, "shop.example", "y", SECRETS["dkim"], "y")]),
        "mail_user": (("mailuser_id", "sys_groupid", "email", "login", "password", "name", "quota", "cc"), mailboxes),
        "mail_forwarding": (("forwarding_id", "sys_groupid", "source", "destination", "type", "active"), forwards),
        "mail_mailinglist": (
            ("mailinglist_id", "sys_groupid", "domain", "listname", "email", "password"),
            [("1", ann, "shop.example", "news", "ann@example.com", SECRETS["list"])],
        ),
        "web_database": (
            ("database_id", "sys_groupid", "parent_domain_id", "type", "database_name", "database_user_id", "active"),
            [("1", ann, "1", "mysql", "c1shop", "1", "y"), ("2", bob, "4", "mysql", "c2wiki", "2", "y")],
        ),
        "web_database_user": (
            ("database_user_id", "sys_groupid", "database_user", "database_password"),
            [("1", ann, "c1shop", SECRETS["database"]), ("2", bob, "c2wiki", SECRETS["database"])],
        ),
        "dns_soa": (("id", "sys_groupid", "origin", "ns", "mbox", "serial", "refresh", "active"), [zone]),
        "dns_rr": (("id", "zone", "name", "type", "data", "aux", "ttl", "active"), records),
        "cron": (("id", "sys_groupid", "parent_domain_id", "type", "command", "run_min", "run_hour", "run_mday", "run_month", "run_wday", "active"), cron),
        "ftp_user": (
            ("ftp_user_id", "sys_groupid", "parent_domain_id", "username", "password", "dir", "quota_size", "active"),
            [("1", ann, "1", "annftp", SECRETS["client"], "/var/www/clients/client1/web1", "-1", "y")],
        ),
        "server": (("server_id", "server_name", "config", "active"), [("1", "panel.example.com", "[server]\nbackup_dir=/var/backup", "1")]),
        "server_php": (("server_php_id", "name", "active"), [("1", "PHP 8.2", "y")]),
        "sys_user": (("userid", "username", "passwort", "typ", "active", "client_id"), [("1", "admin", SECRETS["client"], "admin", "1", "0")]),
        "sys_ini": (("sysini_id", "config"), [("1", "[global]\nwebserver=apache")]),
        "sys_datalog": (("datalog_id", "data"), [(str(number), 'a:%d:{s:3:"old";}' % number) for number in range(30)]),
    }


def install(root):
    """A host with two customers."""
    mariadb.install(root, {"root": SECRETS["root"], "ispconfig": SECRETS["panel"]})
    mariadb.make(root, "dbispconfig", tables())
    for name, rows in (("c1shop", [(number, "row %d; it's (said)" % number) for number in range(40)]), ("c2wiki", [])):
        mariadb.make(root, name, {"orders": (("id", "text"), rows), "log": (("id",), [])})
    conf = "<?php\ndefine('ISPC_APP_VERSION', '3.2.11');\n$conf['db_host'] = 'localhost';\n$conf['db_database'] = 'dbispconfig';\n"
    conf += "$conf['db_user'] = 'ispconfig';\n$conf['db_password'] = '%s';\n" % SECRETS["panel"]
    for part in ("server", "interface"):
        put(root, "%s/%s/lib/config.inc.php" % (ROOT, part), conf, 0o600)
    clientdb = "<?php\n$clientdb_host\t\t= 'localhost';\n$clientdb_user\t\t= 'root';\n$clientdb_password\t= '%s';\n?>\n" % SECRETS["root"].replace("'", "\\'")
    put(root, ROOT + "/server/lib/mysql_clientdb.conf", clientdb, 0o600)
    put(root, ROOT + "/interface/temp/session", "gone with the next clean-up")
    put(root, "/etc/postfix/main.cf", "virtual_alias_maps = proxy:mysql:/etc/postfix/mysql-virtual_forwardings.cf\n")
    put(root, "/etc/hostname", "panel.example.com\n")


def updated(root):
    """What an update of the panel leaves: rows without definitions of tables, and 1 for a dump that nobody looked at."""
    whole, _status = clients.dump_text(root, "dbispconfig")
    rows, making = [], False
    for line in whole.splitlines(True):
        making = making or line.startswith(("DROP TABLE", "CREATE TABLE"))
        if not making:
            rows.append(line)
        if line.startswith((")", "DROP TABLE")):
            making = False
    put(root, "/var/backup/ispconfig_panel.example.com_2026-10-01_10-00/ispconfig_db_backup.sql", "".join(rows), 0o700)
