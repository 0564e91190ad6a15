# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A hosting server's world from a seed: customers, sites, mail, databases, as rows of the tables that Plesk keeps them in; and the secrets planted in it.

Tables and columns, only a part of each: of Plesk 8.6 from mugenken/App-Plesk-DB, since Plesk 10 from mbethke/plesk2ispconfig and Plesk's password changer.
Guessed: which columns an Obsidian still has beside those that its own scripts name; values of status and limits.
"""

from __future__ import annotations

import base64
import hashlib
import random
import urllib.parse
from dataclasses import dataclass, field

WORDS = "amber birch cedar delta ember fjord grove heath inlet jetty knoll larch mesa north ocean pine quarry ridge stone tidal umber vale willow yew".split()
PEOPLE = "ann bo cem dag eva finn gus hana ida jan kim lea mia nik ola pia rui sam tea uwe vic wim yan zoe".split()

# {table: {column: type}}; a type before Plesk 10, and from it on
NUMBER, TEXT = "int(10) unsigned", "varchar(255)"
FLAG = "enum('false','true')"
SCHEMA = {
    "clients": {
        "id": NUMBER,
        "cr_date": "date",
        "cname": TEXT,
        "pname": TEXT,
        "login": TEXT,
        "account_id": NUMBER,
        "status": "bigint(20)",
        "email": TEXT,
        "limits_id": NUMBER,
    },
    "domains": {
        "id": NUMBER,
        "name": TEXT,
        "displayName": TEXT,
        "dns_zone_id": NUMBER,
        "status": "bigint(20)",
        "htype": TEXT,
        "real_size": "bigint(20)",
        "cl_id": NUMBER,
        "cert_rep_id": NUMBER,
        "limits_id": NUMBER,
    },
    "accounts": {"id": NUMBER, "type": TEXT, "password": "text"},
    "mail": {
        "id": NUMBER,
        "mail_name": TEXT,
        "postbox": FLAG,
        "account_id": NUMBER,
        "redirect": FLAG,
        "redir_addr": TEXT,
        "mail_group": FLAG,
        "mbox_quota": "bigint(20)",
        "dom_id": NUMBER,
    },
    "mail_aliases": {"id": NUMBER, "mn_id": NUMBER, "alias": TEXT},
    "mail_redir": {"id": NUMBER, "mn_id": NUMBER, "address": TEXT},
    "data_bases": {"id": NUMBER, "name": "varchar(63)", "type": "enum('mysql','postgresql')", "dom_id": NUMBER, "db_server_id": NUMBER},
    "db_users": {"id": NUMBER, "login": TEXT, "account_id": NUMBER, "db_id": NUMBER},
    "DatabaseServers": {"id": NUMBER, "host": TEXT, "port": NUMBER, "type": TEXT, "admin_password": "varbinary(255)"},
    "domainaliases": {"id": NUMBER, "dom_id": NUMBER, "dns_zone_id": NUMBER, "name": TEXT, "dns": FLAG, "mail": FLAG, "web": FLAG},
    "hosting": {"dom_id": NUMBER, "sys_user_id": NUMBER, "ip_address_id": NUMBER, "certificate_id": NUMBER, "php": FLAG},
    "sys_users": {"id": NUMBER, "login": "varchar(20)", "account_id": NUMBER, "home": TEXT, "shell": TEXT},
    "ftp_users": {"id": NUMBER, "dom_id": NUMBER, "sys_user_id": NUMBER},
    "web_users": {"id": NUMBER, "dom_id": NUMBER, "sys_user_id": NUMBER},
    "dns_zone": {"id": NUMBER, "name": TEXT, "type": "enum('slave','master')", "ttl": NUMBER},
    "dns_recs": {"id": NUMBER, "dns_zone_id": NUMBER, "type": TEXT, "host": TEXT, "val": TEXT, "opt": TEXT},
    "MailLists": {"id": NUMBER, "dom_id": NUMBER, "name": TEXT, "status": "bigint(20)"},
    "Limits": {"id": NUMBER, "limit_name": TEXT, "value": "varbinary(255)"},
    "certificates": {"id": NUMBER, "csr": "blob", "pvt_key": "blob", "cert": "blob", "ca_cert": "blob", "name": TEXT},
    "Repository": {"rep_id": NUMBER, "component_id": NUMBER},
    "misc": {"param": TEXT, "val": "varbinary(255)"},
    "dom_param": {"dom_id": NUMBER, "param": TEXT, "val": "varbinary(255)"},
    "cl_param": {"cl_id": NUMBER, "param": TEXT, "val": "varbinary(255)"},
    "protected_dirs": {"id": NUMBER, "dom_id": NUMBER, "path": TEXT, "realm": TEXT},
    "sessions": {"sess_id": TEXT, "login": TEXT, "ip_address": TEXT},
}
OLD = {"subdomains": {"id": NUMBER, "dom_id": NUMBER, "name": TEXT, "displayName": TEXT, "sys_user_type": TEXT}}
NINE = {"clients": {"parent_id": NUMBER, "type": "enum('admin','reseller','client')", "guid": TEXT}}
NEW = {
    "domains": {"webspace_id": NUMBER, "parentDomainId": NUMBER, "guid": TEXT},
    "mail": {"userId": NUMBER},
    "hosting": {"php_handler_id": TEXT, "ssl": FLAG},
    "Subscriptions": {"id": NUMBER, "object_id": NUMBER, "object_type": "enum('domain','client')", "locked": FLAG},
}


def schema(major):
    """{table: {column: type}} of a version."""
    out = {table: dict(columns) for table, columns in SCHEMA.items()}
    for more in (NINE if major >= 9 else {}, NEW if major >= 10 else OLD):
        for table, columns in more.items():
            out.setdefault(table, {}).update(columns)
    return out


def empty(kind):
    """What stands in a column of which nothing is known."""
    return "0" if "int(" in kind else "false" if kind == FLAG else ""


def encrypted(key, plain, salt):
    """What the stand-in keeps instead of a password since Plesk 11: the shape is Plesk's, the cipher is not."""
    nonce = hashlib.sha256(salt.encode()).digest()[:16]
    stream = hashlib.sha256(key + nonce).digest() * (len(plain) // 32 + 1)
    return "$AES-128-CBC$%s$%s" % tuple(base64.b64encode(part).decode() for part in (nonce, bytes(a ^ b for a, b in zip(plain.encode(), stream, strict=False))))


def decrypted(key, text):
    """The password again."""
    _empty, _name, nonce, body = text.split("$")
    raw, nonce = base64.b64decode(body), base64.b64decode(nonce)
    stream = hashlib.sha256(key + nonce).digest() * (len(raw) // 32 + 1)
    return bytes(a ^ b for a, b in zip(raw, stream, strict=False)).decode("utf-8", "replace")


@dataclass
class World:
    """tables: {table: [row as dict]}; databases: {name: {table: (columns, rows)}}; files: {path: bytes} of mail and sites; secrets: {what: text}."""

    major: int
    key: bytes
    shadow: str
    tables: dict = field(default_factory=dict)
    databases: dict = field(default_factory=dict)
    files: dict = field(default_factory=dict)
    secrets: dict = field(default_factory=dict)


class _Maker:
    def __init__(self, seed, major):
        self.dice, self.major, self.ids = random.Random("plesk-%s-%s" % (seed, major)), major, {}
        self.world = World(major, bytes(self.dice.randrange(256) for _ in range(16)), "planted-db-admin-%s" % self.token())
        self.world.tables = {table: [] for table in schema(major)}
        self.world.secrets = {"shadow": self.world.shadow, "backup password": "planted-backup-%s" % self.token()}
        self.names = self.dice.sample(WORDS, len(WORDS))

    def token(self, length=14):
        return "".join(self.dice.choice("abcdefghijkmnpqrstuvwxyz23456789") for _ in range(length))

    def add(self, table, **row):
        columns = schema(self.major)[table]
        self.ids[table] = self.ids.get(table, 0) + 1
        row = dict({"id": self.ids[table]} if "id" in columns else {}, **row)
        self.world.tables[table].append({column: str(row.get(column, empty(kind))) for column, kind in columns.items()})
        return row.get("id")

    def account(self, what):
        plain = "planted-%s" % self.token()
        self.world.secrets["password of %s" % what] = plain
        kept = encrypted(self.world.key, plain, what) if self.major >= 10 else plain
        return self.add("accounts", type="sym" if self.major >= 10 else "plain", password=kept)

    def limits(self, **values):
        number = self.ids["Limits"] = self.ids.get("Limits", 0) + 1
        for name, value in values.items():
            self.world.tables["Limits"].append({"id": str(number), "limit_name": name, "value": str(value)})
        return number

    def client(self, login, kind, parent=0):
        limits = self.limits(max_dom=self.dice.randrange(1, 50), disk_space=-1) if kind != "admin" else 0
        name = "%s O'%s \\ Söhne\tGmbH" % (login.title(), login.title())
        more = {"type": kind, "parent_id": parent, "account_id": self.account("customer %s" % login), "limits_id": limits}
        return self.add("clients", login=login, pname=name, cname="%s & Co" % login, email="%s@example.net" % login, **more)

    def user(self, login, domain, table, dom_id):
        number = self.add("sys_users", login=login, account_id=self.account("system user %s" % login), home="/var/www/vhosts/%s" % domain)
        if table:
            self.add(table, dom_id=dom_id, sys_user_id=number)
        return number

    def zone(self, name, *more):
        number = self.add("dns_zone", name=name, type="master", ttl=86400)
        for kind, host, value, opt in (("NS", name, "ns." + name, ""), ("A", name, "192.0.2.7", ""), ("MX", name, "mail." + name, "10"), *more):
            self.add("dns_recs", dns_zone_id=number, type=kind, host=host + ".", val=value if kind == "A" else value + ".", opt=opt)
        return number

    def certificate(self, name, rep):
        body = "\n".join(base64.b64encode(self.token(48).encode()).decode() for _ in range(3))
        secret = base64.b64encode(self.token(48).encode()).decode()
        self.world.secrets["private key of %s" % name] = secret
        texts = {
            "cert": "-----BEGIN CERTIFICATE-----\n%s+/=\n-----END CERTIFICATE-----\n" % body,
            "pvt_key": "-----BEGIN PRIVATE KEY-----\n%s\n-----END PRIVATE KEY-----\n" % secret,
        }
        number = self.add("certificates", name=name, **{key: urllib.parse.quote_plus(text) for key, text in texts.items()})
        if rep:
            self.add("Repository", rep_id=rep, component_id=number)

    def mail(self, domain, dom_id):
        people = self.dice.sample(PEOPLE, self.dice.randrange(3, 6))
        for number, name in enumerate(people):
            address = "%s@%s" % (name, domain)
            group = number == 1
            row = {"postbox": "false" if group else "true", "mail_group": "true" if group else "false", "redirect": "true" if number == 2 else "false"}
            row["redir_addr"] = "%s@example.org" % name if number == 2 else ""
            found = self.add("mail", mail_name=name, dom_id=dom_id, account_id=self.account("mailbox %s" % address), mbox_quota=-1, **row)
            if group:
                for one in ("%s@%s" % (people[0], domain), "far@example.org"):
                    self.add("mail_redir", mn_id=found, address=one)
            else:
                for message in range(2):
                    text = "From: %s@example.org\nSubject: hello %d\n\n--_b_\n%s\n" % (self.token(5), message, self.token(300))
                    self.world.files["mail/%s/%s/Maildir/cur/%d.M1:2,S" % (domain, name, message)] = text.encode()
        first = self.world.tables["mail"][-len(people)]["id"]
        self.add("mail_aliases", mn_id=first, alias="office")
        self.add("mail_aliases", mn_id=first, alias="post")
        self.add("MailLists", dom_id=dom_id, name="news", status=0)

    def database(self, name, dom_id):
        found = self.add("data_bases", name=name, type="mysql", dom_id=dom_id, db_server_id=1)
        self.add("db_users", login=name[:12] + "_u", account_id=self.account("database user %s_u" % name[:12]), db_id=found)
        rows = [(str(number), "order %d; it's (said) %s" % (number, self.token(20))) for number in range(30)]
        self.world.databases[name] = {"orders": (("id", "text"), rows), "empty_log": (("id", "line"), [])}

    def domain(self, name, client, kind="vrt_hst"):
        rep = 100 + self.ids.get("domains", 0)
        more = {"limits_id": self.limits(max_box=self.dice.randrange(5, 90)), "cert_rep_id": rep, "real_size": self.dice.randrange(10**6, 10**8)}
        dom_id = self.add("domains", name=name, displayName=name, cl_id=client, htype=kind, dns_zone_id=self.zone(name), **more)
        if kind == "vrt_hst":
            login = name.partition(".")[0][:14] + "_ftp"
            self.hosting(dom_id, self.user(login, name, None, dom_id))
            self.user(login[:10] + "_two", name, "ftp_users", dom_id)
            self.database(name.partition(".")[0] + "_shop", dom_id)
            # a customer's own file that is no whole archive is no fault of the backup
            self.world.files["site/%s/httpdocs/half-uploaded.zip" % name] = b"PK\x03\x04" + self.token(50).encode()
            self.world.files["site/%s/httpdocs/index.html" % name] = ("<h1>%s</h1>" % self.token(4000)).encode()
        self.certificate("Certificate of %s" % name, rep)
        self.mail(name, dom_id)
        if self.major >= 10:
            self.add("Subscriptions", object_id=dom_id, object_type="domain", locked="false")
        return dom_id

    def hosting(self, dom_id, user):
        self.add("hosting", dom_id=dom_id, sys_user_id=user, ip_address_id=1, php="true", php_handler_id="plesk-php83-fpm")


def world(seed=1, major=18):
    """A World. Each seed has other names and numbers; all have every kind of object."""
    make = _Maker(seed, major)
    make.add("DatabaseServers", host="localhost", port=3306, type="mysql")
    admin = make.client("admin", "admin") if major >= 9 else 0
    reseller = make.client("rs_" + make.names.pop(), "reseller", admin) if major >= 9 else 0
    owners = [make.client("cl_" + make.names.pop(), "client", reseller if not number else admin) for number in range(make.dice.randrange(2, 4))]
    first = None
    for number, owner in enumerate([*owners, owners[0]]):
        name = "%s.example" % make.names.pop()
        dom_id = make.domain(name, owner, "vrt_hst" if number != 1 else "std_fwd")
        first = first or (dom_id, name, owner)
    dom_id, name, owner = first
    alias = "%s.example" % make.names.pop()
    make.add("domainaliases", dom_id=dom_id, name=alias, dns_zone_id=make.zone(alias), dns="true", mail="true", web="true")
    user = make.world.tables["hosting"][0]["sys_user_id"]
    if major >= 10:
        for site, parent in (("blog." + name, dom_id), ("%s.example" % make.names.pop(), 0)):
            found = make.add("domains", name=site, cl_id=owner, htype="vrt_hst", webspace_id=dom_id, parentDomainId=parent, dns_zone_id=make.zone(site))
            make.hosting(found, user)
    else:
        make.add("subdomains", dom_id=dom_id, name="blog", displayName="blog", sys_user_type="main")
    make.certificate("default certificate", 0)
    make.world.secrets["misc secret"] = "planted-misc-%s" % make.token()
    for param, val in (("FullHostName", "panel.example.com"), ("smtp_relay_key", make.world.secrets["misc secret"]), ("last_daily_time", "1700000000")):
        make.add("misc", param=param, val=val)
    make.add("dom_param", dom_id=dom_id, param="apacheErrorDocs", val="true")
    make.add("cl_param", cl_id=owner, param="skin_token", val=make.world.secrets["misc secret"])
    make.add("protected_dirs", dom_id=dom_id, path="intern", realm="members")
    make.add("sessions", sess_id=make.token(), login="admin", ip_address="192.0.2.1")
    return make.world
