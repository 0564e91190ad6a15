# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The stand-in's backup_info_*.xml, in the shape that virtualmin-gpl's migration-plesk.pl reads.

Guessed: maillists, limits, pinfo, ftpusers, the attributes home and php-handler-id, and what the server's own part looks like.
"""

from __future__ import annotations

from xml.sax.saxutils import escape, quoteattr

from stand_ins.plesk.volumes import pem


def tag(name, text="", /, **attributes):
    """An element; one underscore in an attribute's name is a hyphen, two are one."""
    told = "".join(" %s=%s" % (key.replace("_", "-").replace("--", "_"), quoteattr(value)) for key, value in attributes.items())
    return "<%s%s>%s</%s>" % (name, told, text, name) if text else "<%s%s/>" % (name, told)


class Description:
    """XML of a Dump (see backup.py), and the volumes that it refers to: dump.volume() takes what each holds."""

    def __init__(self, dump):
        self.dump, self.rows = dump, dump.rows

    def password(self, row, kind="password"):
        account = next((one for one in self.rows("accounts") if one["id"] == row["account_id"]), None)
        return tag(kind, escape(self.dump.password(account["password"])), type=self.dump.password_type) if account else ""

    def cid(self, kind, folder, name, make):
        """A reference, and its volume; settings-only backups have none of customers' content."""
        if not self.dump.volume("%s/%s" % (folder, name) if folder else name, make):
            return ""
        return tag("content", tag("cid", tag("content-file", name), type=kind, path=folder))

    def server(self):
        """The whole description."""
        admin, body = next(row for row in self.rows("clients") if row["type"] == "admin"), []
        resellers = [row for row in self.rows("clients") if row["type"] == "reseller"]
        body.append(tag("resellers", "".join(self.reseller(row) for row in resellers)))
        body.append(
            tag("clients", "".join(self.client(row, "") for row in self.rows("clients") if row["type"] == "client" and row["parent_id"] == admin["id"]))
        )
        body.append(tag("domains", "".join(self.domains(admin, ""))))
        extension = self.cid("ext", "", "backup_ext_wp-toolkit_%s%s" % (self.dump.stamp, self.dump.packed), self.dump.extension)
        key = self.cid("key", "", "backup_key00001.sapp_%s%s" % (self.dump.stamp, self.dump.packed), self.dump.licence)
        owned = {row["component_id"] for row in self.rows("Repository")}
        server = self.certificates([row for row in self.rows("certificates") if row["id"] not in owned], "server")
        settings = tag("server", tag("certificates", server) + extension + key)
        return self.whole(tag("admin", self.owner(admin) + "".join(body)) + settings)

    def whole(self, body):
        head = '<?xml version="1.0" encoding="UTF-8"?>\n'
        return head + tag("migration-dump", body, dump_format="panel", dump_version=self.dump.version, agent_name="PleskX", content_included="true") + "\n"

    def reseller(self, row):
        clients = [one for one in self.rows("clients") if one["type"] == "client" and one["parent_id"] == row["id"]]
        folder = "resellers/%s/" % row["login"]
        body = self.owner(row) + tag("clients", "".join(self.client(one, folder) for one in clients)) + tag("domains", "".join(self.domains(row, folder)))
        return tag("reseller", body, name=row["login"], contact=row["pname"])

    def client(self, row, folder):
        if self.dump.left_out("customer", row["login"]):
            return ""
        return tag(
            "client",
            self.owner(row) + tag("domains", "".join(self.domains(row, "%sclients/%s/" % (folder, row["login"])))),
            name=row["login"],
            contact=row["pname"],
        )

    def owner(self, row):
        told = tag("pinfo", escape(row["email"]), name="email") + tag("pinfo", escape(row["cname"]), name="company")
        return tag("properties", self.password(row) + told) + self.limits(row)

    def limits(self, row):
        return tag(
            "limits-and-permissions",
            "".join(tag("limit", escape(one["value"]), name=one["limit_name"]) for one in self.rows("Limits") if one["id"] == row["limits_id"]),
        )

    def domains(self, client, folder):
        for row in self.rows("domains"):
            if row["cl_id"] == client["id"] and row.get("webspace_id", "0") == "0" and not self.dump.left_out("domain", row["name"]):
                place = "%sdomains/%s" % (folder, row["name"])
                body = self.domain(row, place)
                self.dump.describe("%s/backup_info_%s.xml" % (place, self.dump.stamp), self.whole(body))
                yield body

    def domain(self, row, place):
        aliases = [one for one in self.rows("domainaliases") if one["dom_id"] == row["id"] and not self.dump.left_out("domain_alias", one["name"])]
        body = tag(
            "preferences", "".join(tag("domain-alias", self.zone(one), name=one["name"], web=one["web"], mail=one["mail"], dns=one["dns"]) for one in aliases)
        )
        body += self.common(row, place) + self.limits(row)
        bases = [one for one in self.rows("data_bases") if one["dom_id"] == row["id"] and not self.dump.left_out("database", one["name"])]
        body += tag("databases", "".join(self.database(one, place) for one in bases))
        reps = {one["component_id"] for one in self.rows("Repository") if one["rep_id"] == row["cert_rep_id"]}
        body += tag("certificates", self.certificates([one for one in self.rows("certificates") if one["id"] in reps], row["name"]))
        if row["htype"] == "vrt_hst":
            body += self.hosting(row, place)
        return tag("domain", body, name=row["name"])

    def common(self, row, place):
        """What domains and sites have alike."""
        ip = tag("ip", tag("ip-type", "shared") + tag("ip-address", "192.0.2.7"))
        lists = [one for one in self.rows("MailLists") if one["dom_id"] == row["id"] and not self.dump.left_out("list", "%s@%s" % (one["name"], row["name"]))]
        users = "".join(self.mailuser(one, row["name"], place) for one in self.rows("mail") if one["dom_id"] == row["id"])
        mail = tag("mailsystem", tag("properties", tag("status", "<enabled/>")) + tag("mailusers", users))
        return tag("properties", ip + self.zone(row)) + mail + tag("maillists", "".join(tag("maillist", name=one["name"]) for one in lists))

    def zone(self, row):
        if self.dump.left_out("dns_zone", row["name"]):
            return ""
        records = [one for one in self.rows("dns_recs") if one["dns_zone_id"] == row["dns_zone_id"]]
        return tag("dns-zone", "".join(tag("dnsrec", src=one["host"], dst=one["val"], type=one["type"], opt=one["opt"]) for one in records))

    def mailuser(self, row, domain, place):
        address = "%s@%s" % (row["mail_name"], domain)
        if self.dump.left_out("mailbox", address) or self.dump.left_out("forward", address):
            return ""
        body, folder = "", "%s/mailnames/%s" % (place, row["mail_name"])
        if row["postbox"] == "true":
            make = self.dump.mailbox(domain, row["mail_name"])
            body += tag("mailbox", self.cid("mailbox", folder, "backup_mailbox_%s.tgz" % self.dump.stamp, make), type="mdir", enabled="true")
        for one in self.rows("mail_aliases"):
            if one["mn_id"] == row["id"] and not self.dump.left_out("mail_alias", "%s@%s" % (one["alias"], domain)):
                body += tag("alias", escape(self.dump.altered("mail_alias", one["alias"], "%s@%s" % (one["alias"], domain))))
        if row["redirect"] == "true":
            body += tag("redirect", escape(row["redir_addr"]), enabled="true")
        if row["mail_group"] == "true":
            body += "".join(tag("mailgroup-member", escape(one["address"])) for one in self.rows("mail_redir") if one["mn_id"] == row["id"])
        return tag("mailuser", tag("properties", self.password(row)) + tag("preferences", body), name=row["mail_name"], mailbox_quota=row["mbox_quota"])

    def database(self, row, place):
        server = next(one for one in self.rows("DatabaseServers") if one["id"] == row["db_server_id"])
        body = tag("db-server", tag("host", server["host"]) + tag("port", server["port"]), type=server["type"])
        users = [one for one in self.rows("db_users") if one["db_id"] == row["id"] and not self.dump.left_out("database_user", one["login"])]
        body += "".join(tag("dbuser", self.password(one), name=one["login"]) for one in users)
        name = "backup_%s_sqldump_%s.tgz" % (row["name"], self.dump.stamp)
        body += self.cid("sqldump", "%s/databases/%s_1" % (place, row["name"]), name, self.dump.sqldump(row["name"]))
        return tag("database", body, name=row["name"], type=row["type"])

    def certificates(self, rows, owner):
        rows = [row for row in rows if not self.dump.left_out("certificate", "%s/%s" % (owner, row["name"]))]
        parts = [(row["name"], tag("certificate-data", escape(pem(row["cert"]))) + tag("private-key", escape(pem(row["pvt_key"])))) for row in rows]
        return "".join(tag("certificate", body, name=name) for name, body in parts)

    def sysuser(self, number):
        row = next(one for one in self.rows("sys_users") if one["id"] == number)
        return tag("sysuser", self.password(row), name=row["login"], home=row["home"])

    def hosting(self, row, place):
        place_row = next(one for one in self.rows("hosting") if one["dom_id"] == row["id"])
        logins = {one["id"]: one["login"] for one in self.rows("sys_users")}
        more = [one for table in ("ftp_users", "web_users") for one in self.rows(table) if one["dom_id"] == row["id"]]
        more = [one for one in more if not self.dump.left_out("ftp_user", logins[one["sys_user_id"]])]
        body = tag("preferences", self.sysuser(place_row["sys_user_id"]))
        body += tag("ftpusers", "".join(tag("ftpuser", self.sysuser(one["sys_user_id"])) for one in more))
        body += self.cid("user-data", place, "backup_user-data_%s.tgz" % self.dump.stamp, self.dump.site(row["name"]))
        sites = [one for one in self.rows("domains") if one.get("webspace_id") == row["id"] and not self.dump.left_out("subdomain", one["name"])]
        body += tag("sites", "".join(tag("site", self.common(one, place), name=one["name"]) for one in sites))
        below = [
            one for one in self.rows("subdomains") if one["dom_id"] == row["id"] and not self.dump.left_out("subdomain", "%s.%s" % (one["name"], row["name"]))
        ]
        body += tag("subdomains", "".join(tag("subdomain", name=one["name"]) for one in below)) if below else ""
        return tag("phosting", body, php_handler_id=place_row.get("php_handler_id", ""))
