# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The stand-in's backups of Plesk 7 and 8: dump.xml and its parts, as one MIME stream."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import quopri
import tarfile
from xml.sax.saxutils import escape

from stand_ins.kit import switched
from stand_ins.plesk.backup import Dump
from stand_ins.plesk.describe import Description, tag

ENCODINGS = {"base64": base64.encodebytes, "quoted-printable": quopri.encodestring}


class OldDump(Dump):
    """Parts instead of a repository; every old backup is a whole one. parts: {name: bytes}."""

    def password(self, kept):
        return kept

    @property
    def parts(self):
        return self.entries


class Eight(Description):
    """dump.xml of Plesk 8."""

    def part(self, name, make):
        """Put a part into the stream and return its name."""
        self.dump.volume(name, make)
        return name

    def server(self):
        return (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            + tag("dump", "".join(self.client(row, "") for row in self.rows("clients")), version=self.dump.version, mode="all")
            + "\n"
        )

    def client(self, row, folder):
        if self.dump.left_out("customer", row["login"]):
            return ""
        told = tag("pinfo", escape(row["email"]), name="email") + tag("pinfo", escape(row["cname"]), name="company")
        return tag("client", self.password(row) + told + self.limits(row) + "".join(self.domains(row, "")), name=row["login"], contact=row["pname"])

    def limits(self, row):
        return "".join(tag("limit", escape(one["value"]), name=one["limit_name"]) for one in self.rows("Limits") if one["id"] == row["limits_id"])

    def domains(self, client, folder):
        for row in self.rows("domains"):
            if row["cl_id"] == client["id"] and not self.dump.left_out("domain", row["name"]):
                yield self.domain(row, "")

    def domain(self, row, place):
        name = row["name"]
        users = "".join(self.mailuser(one, name, "") for one in self.rows("mail") if one["dom_id"] == row["id"])
        lists = [one for one in self.rows("MailLists") if one["dom_id"] == row["id"] and not self.dump.left_out("list", "%s@%s" % (one["name"], name))]
        body = tag("ip", tag("ip-type", "shared") + tag("ip-address", "192.0.2.7")) + self.limits(row) + self.zone(row)
        body += tag("mailsystem", tag("status", "<enabled/>") + users) + tag("maillists", "".join(tag("maillist", name=one["name"]) for one in lists))
        body += "".join(
            self.database(one, name) for one in self.rows("data_bases") if one["dom_id"] == row["id"] and not self.dump.left_out("database", one["name"])
        )
        reps = {one["component_id"] for one in self.rows("Repository") if one["rep_id"] == row["cert_rep_id"]}
        body += self.certificates([one for one in self.rows("certificates") if one["id"] in reps], name)
        aliases = [one for one in self.rows("domainaliases") if one["dom_id"] == row["id"] and not self.dump.left_out("domain_alias", one["name"])]
        body += "".join(tag("domain-alias", self.zone(one), name=one["name"], web=one["web"], mail=one["mail"], dns=one["dns"]) for one in aliases)
        return tag("domain", body + (self.hosting(row, name) if row["htype"] == "vrt_hst" else ""), name=name)

    def mailuser(self, row, domain, place):
        address = "%s@%s" % (row["mail_name"], domain)
        if self.dump.left_out("mailbox", address) or self.dump.left_out("forward", address):
            return ""
        body = self.password(row)
        if row["postbox"] == "true":
            body += tag("mailbox", type="mdir", enabled="true", cid=self.part("%s.mailbox" % address, self.dump.mailbox(domain, row["mail_name"])))
        for one in self.rows("mail_aliases"):
            if one["mn_id"] == row["id"] and not self.dump.left_out("mail_alias", "%s@%s" % (one["alias"], domain)):
                body += tag("alias", escape(self.dump.altered("mail_alias", one["alias"], "%s@%s" % (one["alias"], domain))))
        body += tag("redirect", escape(row["redir_addr"]), enabled="true") if row["redirect"] == "true" else ""
        body += "".join(tag("mailgroup-member", escape(one["address"])) for one in self.rows("mail_redir") if one["mn_id"] == row["id"])
        return tag("mailuser", body, name=row["mail_name"], mailbox_quota=row["mbox_quota"])

    def database(self, row, place):
        users = [one for one in self.rows("db_users") if one["db_id"] == row["id"] and not self.dump.left_out("database_user", one["login"])]
        body = "".join(tag("dbuser", self.password(one), name=one["login"]) for one in users)
        return tag(
            "database", body, name=row["name"], type=row["type"], version="5.0", cid=self.part("%s.%s.mysql" % (place, row["name"]), self.sql(row["name"]))
        )

    def sql(self, name):
        """A dump as a part of its own, without a tar around it."""
        make = self.dump.sqldump(name)

        def plain():
            with tarfile.open(fileobj=io.BytesIO(make()), mode="r:gz") as archive:
                return archive.extractfile(archive.getmembers()[0]).read()

        return plain

    def hosting(self, row, place):
        number = next(one["sys_user_id"] for one in self.rows("hosting") if one["dom_id"] == row["id"])
        logins = {one["id"]: one["login"] for one in self.rows("sys_users")}
        more = [one["sys_user_id"] for one in self.rows("ftp_users") if one["dom_id"] == row["id"]]
        body = self.sysuser(number) + "".join(tag("ftpuser", self.sysuser(one)) for one in more if not self.dump.left_out("ftp_user", logins[one]))
        for one in self.rows("subdomains"):
            if one["dom_id"] == row["id"] and not self.dump.left_out("subdomain", "%s.%s" % (one["name"], place)):
                body += tag("subdomain", name=one["name"], cid__conf=self.part("%s.%s.conf" % (one["name"], place), lambda: b"# vhost\n"))
        return tag("phosting", body, cid__docroot=self.part("%s.httpdocs" % place, self.dump.site(row["name"])))


class Seven(Eight):
    """The description of Plesk 7: sites/domain/user."""

    def server(self):
        body = "".join(self.domain(row, "") for row in self.rows("domains") if not self.dump.left_out("domain", row["name"]))
        return '<?xml version="1.0" encoding="UTF-8"?>\n' + tag("psadump", tag("sites", body), version=self.dump.version) + "\n"

    def login(self, row, name):
        account = next(one for one in self.rows("accounts") if one["id"] == row["account_id"])
        return tag("login", name=name, PW__TYPE=account["type"], password=account["password"])

    def domain(self, row, place):
        name = row["name"]
        hosting = next((one for one in self.rows("hosting") if one["dom_id"] == row["id"]), None)
        owner = next((one for one in self.rows("sys_users") if hosting and one["id"] == hosting["sys_user_id"]), None)
        home = {"src": "cid:" + self.part("%s.home" % name, self.dump.site(name))} if owner else {}
        body = tag("user", self.login(owner, owner["login"]) if owner else tag("login", name=""), **home)
        body += "".join(self.mailuser(one, name, "") for one in self.rows("mail") if one["dom_id"] == row["id"])
        body += "".join(
            self.database(one, name) for one in self.rows("data_bases") if one["dom_id"] == row["id"] and not self.dump.left_out("database", one["name"])
        )
        return tag("domain", body, name=name)

    def mailuser(self, row, domain, place):
        address = "%s@%s" % (row["mail_name"], domain)
        if self.dump.left_out("mailbox", address) or self.dump.left_out("forward", address):
            return ""
        to = [row["redir_addr"]] if row["redirect"] == "true" else [one["address"] for one in self.rows("mail_redir") if one["mn_id"] == row["id"]]
        body = tag("postbox", row["postbox"]) + tag("forwarding", "".join(tag("email", escape(self.dump.altered("forward", one, address))) for one in to))
        return tag(
            "user",
            self.login(row, row["mail_name"]) + tag("services", body),
            src="cid:" + self.part("%s.mail" % address, self.dump.mailbox(domain, row["mail_name"])),
        )

    def database(self, row, place):
        users = "".join(tag("user", self.login(one, one["login"])) for one in self.rows("db_users") if one["db_id"] == row["id"])
        return tag("data_bases", users, name=row["name"], type=row["type"], src="cid:" + self.part("%s.sql" % row["name"], self.sql(row["name"])))


def make(root, major):
    """The bytes of a backup."""
    dump = OldDump(root)
    xml = (Seven if major == 7 else Eight)(dump).server()
    if switched(root, "bomb"):
        xml = xml.replace("?>\n", "?>\n<!DOCTYPE x [<!ENTITY a 'b'><!ENTITY f SYSTEM 'file:///etc/passwd'>]>\n", 1)
    outer, inner = ("_----------=_%s" % hashlib.sha256(word + xml.encode()).hexdigest()[:24] for word in (b"outer", b"inner"))
    signed = major == 8 and not switched(root, "unsigned")
    line = "\r\n" if switched(root, "crlf") else "\n"
    parts = [_part(major, "dump.xml", xml.encode("utf-8"), 0, line)]
    parts += [_part(major, name, body, number, line) for number, (name, body) in enumerate(dump.parts.items(), 1)]
    mixed = b"".join(_lines(line, "--%s" % inner) + one + line.encode() for one in parts)
    mixed += b"" if switched(root, "open") else _lines(line, "--%s--" % inner)
    top = ["MIME-Version: 1.0", "Dumped-Psa-Version: %s" % dump.version]
    if not signed:
        out = _lines(line, *top, 'Content-Type: multipart/mixed; boundary="%s"' % inner, "") + mixed
    else:
        digest = base64.encodebytes(hashlib.sha256(mixed).digest()).decode().strip()
        seal = ('Content-Type: application/x-pkcs7-signature; name="smime.p7s"', "Content-Transfer-Encoding: base64", "", digest)
        out = _lines(line, *top, 'Content-Type: multipart/signed; boundary="%s"' % outer, "", "--" + outer)
        out += _lines(line, "Content-Type: multipart/mixed;", ' boundary="%s"' % inner, "") + mixed
        out += _lines(line, "", "--" + outer, *seal, "--%s--" % outer)
    return out if switched(root, "plain") else gzip.compress(out, mtime=0)


def _lines(line, *texts):
    return "".join(text + line for text in texts).encode()


def _part(major, name, body, number, line):
    encoding = "quoted-printable" if name == "dump.xml" else "base64" if number % 3 == 1 else "binary"
    if major == 7:
        head = ["Content-Type: text/xml; charset=UTF-8"] if name == "dump.xml" else ["Content-Type: application/octet-stream", "Content-ID: <%s>" % name]
    else:
        head = ["Content-Type: application/octet-stream", "Content-Disposition: attachment;", ' filename="%s"' % name]
    return _lines(line, *head, "Content-Transfer-Encoding: %s" % encoding, "") + ENCODINGS.get(encoding, bytes)(body)
