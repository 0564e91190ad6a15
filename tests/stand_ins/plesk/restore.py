# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The stand-in's pleskrestore: --check-backup, --info (which imports), --restore. What a backup names is made or overwritten, what it does not name stays."""

from __future__ import annotations

import gzip
import io
import os
import signal
import sqlite3
import sys
import tarfile
import time
import urllib.parse
import zlib
from pathlib import Path
from xml.etree import ElementTree

from stand_ins import mariadb
from stand_ins.kit import put, real, switched, text
from stand_ins.mariadb import clients, running
from stand_ins.plesk import store, volumes, world

DUMPS = "/var/lib/psa/dumps"
# longer than it takes to start the next restore
ORPHANED = 300


def main(root, arguments):
    """pleskrestore COMMAND FILE [options]."""
    from stand_ins.plesk.backup import log

    log(root, "pleskrestore")
    command, path, options = arguments[0], arguments[1], arguments[2:]
    if command == "--check-backup":
        return check(root, path)
    if command == "--info":
        return info(root, path)
    if command == "--restore" and options[:2] == ["-level", "server"]:
        return restore(root, path, "-ignore-sign" in options)
    print("pleskrestore: wrong options", file=sys.stderr)
    return 2


def members(path):
    """{name: bytes} of an exported file, each volume read."""
    with tarfile.open(path, "r:") as archive:
        held = {entry.name: archive.extractfile(entry).read() for entry in archive if entry.isfile()}
    for data in [data for name, data in held.items() if name.endswith(".tgz")]:
        with tarfile.open(fileobj=io.BytesIO(gzip.decompress(data))) as inner:
            inner.getnames()
    if not held:
        raise tarfile.ReadError("it is empty")
    return held


def top(held):
    """The name of the server's description."""
    return next(name for name in sorted(held) if "/" not in name and name.endswith(".xml"))


def check(root, path):
    """Guessed: text and status; the sentence about the signature is from the facts."""
    try:
        held = members(path)
        _raw, ours = volumes.unsigned(held[top(held)], text(root, "/stand-in/signing-key").encode())
    except (tarfile.TarError, OSError, EOFError, zlib.error, StopIteration) as exc:
        print("Error: the backup file is corrupted: %s" % exc, file=sys.stderr)
        return 1
    print("WARNING: Backup file has wrong signature for this server" if not ours else "The backup file has been checked.")
    return 0


def info(root, path):
    """Import into the repository."""
    try:
        held = members(path)
    except (tarfile.TarError, OSError, EOFError, zlib.error) as exc:
        print("Error: unable to import: %s" % exc, file=sys.stderr)
        return 1
    for name, data in held.items():
        put(root, "%s/%s" % (DUMPS, name), data, 0o600)
    print("<backup-info><name>%s</name></backup-info>" % top(held))
    return 0


def restore(root, path, ignore):
    """Of a description in the repository; a tar is refused, as it was in the field."""
    if not path.endswith(".xml"):
        print("Error: unable to restore the backup: the dump is not in the repository", file=sys.stderr)
        return 1
    raw, ours = volumes.unsigned(Path(real(root, path)).read_bytes(), text(root, "/stand-in/signing-key").encode())
    if not ours and not ignore:
        print("Error: Backup file has wrong signature for this server", file=sys.stderr)
        return 1
    try:
        Restorer(root, ElementTree.fromstring(raw)).all()
    except store.Down as exc:
        print("Runtime error: Lost connection to MySQL server during query: %s" % exc, file=sys.stderr)
        return 1
    print("Restore finished. 0 errors, 0 warnings.")
    return 0


class Restorer:
    """Rows from a description."""

    def __init__(self, root, tree):
        self.root, self.tree, self.store = root, tree, store.Store(root)
        self.major = int(text(root, text(root, "/stand-in/product") + "/version").split(".")[0])
        self.key = Path(real(root, "/etc/psa/private/secret_key")).read_bytes() if self.major >= 10 else b""
        self.own = os.environ.get("PLESK_BACKUP_PASSWORD", "").encode()
        self.done = 0

    def put(self, table, by, **values):
        """Make or overwrite the row with these values of `by`; its id."""
        found = next((row for row in self.store.rows(table) if all(row[key] == str(values[key]) for key in by)), None)
        columns = world.schema(self.major)[table]
        values = {key: str(value) for key, value in values.items() if key in columns}
        if found and values:
            told = ", ".join("`%s` = ?" % key for key in values)
            where = " AND ".join("`%s` = ?" % key for key in by)
            self.store.run(("UPDATE `%s` SET %s WHERE %s" % (table, told, where), *values.values(), *[str(values[key]) for key in by]))
            return found.get("id")
        row = {column: values.get(column, world.empty(kind)) for column, kind in columns.items()}
        if "id" in columns and "id" not in values:
            row["id"] = str(max([int(one["id"]) for one in self.store.rows(table)] or [0]) + 1)
        self.store.run(("INSERT INTO `%s` VALUES (%s)" % (table, ", ".join("?" * len(row))), *row.values()))
        return row.get("id")

    def account(self, node, table, by, **values):
        """The account of a password element; the row's own one is overwritten."""
        found = next((row for row in self.store.rows(table) if all(row[key] == str(values[key]) for key in by)), None)
        password = node.find(".//password")
        kept, kind = (password.text or "", password.get("type")) if password is not None else ("", "plain")
        if kind == "sym" and self.own:
            kept = world.encrypted(self.key, world.decrypted(self.own, kept), kept)
        elif kind == "plain" and self.major >= 10 and kept:
            kept = world.encrypted(self.key, kept, kept)
        number = found["account_id"] if found else str(max([int(row["id"]) for row in self.store.rows("accounts")] or [0]) + 1)
        return self.put("accounts", ("id",), id=number, type="sym" if self.major >= 10 else "plain", password=kept)

    def all(self):
        told = self.tree.find("admin/properties")
        if told is not None:
            email = next((one.text or "" for one in told.findall("pinfo") if one.get("name") == "email"), "")
            self.store.run(("UPDATE clients SET email = ? WHERE type = 'admin'", email))
        for node in self.tree.iter():
            if node.tag in ("reseller", "client"):
                self.client(node)
        for owner in [self.tree.find("admin"), *[node for node in self.tree.iter() if node.tag in ("reseller", "client")]]:
            for domain in owner.findall("domains/domain"):
                self.domain(domain, owner.get("name", "admin"))
                self.done += 1
                for name, end in (("kill-restore", self.killed), ("kill-caller", self.orphaned)):
                    if self.done == 1 and switched(self.root, name):
                        self.half(name)
                        end()

    def half(self, name):
        """What half a restore leaves: half of the mail names are gone, and a domain is nobody's. Only once."""
        Path(real(self.root, "/stand-in/" + name)).unlink()
        rows = self.store.rows("mail")
        self.store.run(*[("DELETE FROM mail WHERE id = ?", row["id"]) for row in rows[: len(rows) // 2]], ("UPDATE domains SET cl_id = '9999' WHERE id = '1'",))

    def killed(self):
        """The database stops."""
        if running.options(self.root):
            running.kill(self.root)
        else:
            put(self.root, "/stand-in/mysql-refused", "killed")
        raise store.Down(store.REFUSED)

    def orphaned(self):
        """Who started this is killed; this goes on after a while, as nobody told it to stop."""
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(ORPHANED)

    def limits(self, node, table, number):
        row = next(one for one in self.store.rows(table) if one["id"] == number)
        known = row["limits_id"] if row["limits_id"] != "0" else str(max([int(one["id"]) for one in self.store.rows("Limits")] or [0]) + 1)
        for limit in node.findall("limits-and-permissions/limit"):
            self.put("Limits", ("id", "limit_name"), id=known, limit_name=limit.get("name"), value=limit.text or "")
            self.store.run(("UPDATE `%s` SET limits_id = ? WHERE id = ?" % table, known, number))

    def client(self, node):
        parents = {child: parent for parent in self.tree.iter() for child in parent}
        owner = parents[parents[node]]
        row = next((one for one in self.store.rows("clients") if one["login"] == owner.get("name", "admin")), {"id": "0"})
        told = {one.get("name"): one.text or "" for one in node.findall("properties/pinfo")}
        account = self.account(node.find("properties"), "clients", ("login",), login=node.get("name"))
        values = {"pname": node.get("contact", ""), "cname": told.get("company", ""), "email": told.get("email", ""), "type": node.tag, "parent_id": row["id"]}
        self.limits(node, "clients", self.put("clients", ("login",), login=node.get("name"), account_id=account, **values))

    def domain(self, node, owner):
        client = next(row["id"] for row in self.store.rows("clients") if row["login"] == owner)
        name, hosted = node.get("name"), node.find("phosting") is not None
        values = {"cl_id": client, "htype": "vrt_hst" if hosted else "std_fwd", "webspace_id": "0", "parentDomainId": "0", "displayName": name}
        number = self.put("domains", ("name",), name=name, dns_zone_id=self.zone(node.find("properties/dns-zone"), name), **values)
        self.limits(node, "domains", number)
        self.put("Subscriptions", ("object_id",), object_id=number, object_type="domain", locked="false")
        for alias in node.findall("preferences/domain-alias"):
            told = {key: alias.get(key) for key in ("web", "mail", "dns")}
            zone = self.zone(alias.find("dns-zone"), alias.get("name"))
            self.put("domainaliases", ("name",), name=alias.get("name"), dom_id=number, dns_zone_id=zone, **told)
        self.place(node, name, number)
        for base in node.findall("databases/database"):
            self.database(base, number)
        self.certificates(node, name)
        if hosted:
            self.hosting(node.find("phosting"), name, number, client)

    def zone(self, node, name):
        number = self.put("dns_zone", ("name",), name=name, type="master", ttl="86400")
        self.store.run(("DELETE FROM dns_recs WHERE dns_zone_id = ?", number))
        for one in node.findall("dnsrec") if node is not None else []:
            self.put(
                "dns_recs",
                ("dns_zone_id", "type", "host", "val"),
                dns_zone_id=number,
                type=one.get("type"),
                host=one.get("src"),
                val=one.get("dst"),
                opt=one.get("opt"),
            )
        return number

    def place(self, node, name, number):
        for user in node.findall("mailsystem/mailusers/mailuser"):
            by = {"mail_name": user.get("name"), "dom_id": number}
            box, redirect, members = user.find("preferences/mailbox"), user.find("preferences/redirect"), user.findall("preferences/mailgroup-member")
            values = {
                "postbox": "true" if box is not None else "false",
                "redirect": "true" if redirect is not None else "false",
                "mbox_quota": user.get("mailbox-quota"),
            }
            values.update(redir_addr=redirect.text if redirect is not None else "", mail_group="true" if members else "false")
            found = self.put("mail", tuple(by), account_id=self.account(user, "mail", tuple(by), **by), **by, **values)
            for one in user.findall("preferences/alias"):
                self.put("mail_aliases", ("mn_id", "alias"), mn_id=found, alias=one.text)
            for one in members:
                self.put("mail_redir", ("mn_id", "address"), mn_id=found, address=one.text)
        for one in node.findall("maillists/maillist"):
            self.put("MailLists", ("dom_id", "name"), dom_id=number, name=one.get("name"), status="0")

    def database(self, node, dom_id):
        number = self.put("data_bases", ("name",), name=node.get("name"), type=node.get("type"), dom_id=dom_id, db_server_id="1")
        for user in node.findall("dbuser"):
            self.put(
                "db_users", ("login",), login=user.get("name"), account_id=self.account(user, "db_users", ("login",), login=user.get("name")), db_id=number
            )
        for script in self.contents(node):
            if node.get("name") not in mariadb.databases(self.root):
                mariadb.make(self.root, node.get("name"), {})
            if running.options(self.root):
                running.run(self.root, script, node.get("name"))
                continue
            connection = sqlite3.connect(store.path(self.root, node.get("name")))
            for statement in clients.statements(script):
                if statement.startswith(("DROP", "CREATE TABLE", "INSERT")):
                    connection.execute(statement.split(" ENGINE=")[0])
            connection.commit()
            connection.close()

    def contents(self, node):
        """The scripts of a database's content."""
        for cid in node.findall("content/cid"):
            data = Path(real(self.root, "%s/%s/%s" % (DUMPS, cid.get("path"), cid.find("content-file").text))).read_bytes()
            with tarfile.open(fileobj=io.BytesIO(gzip.decompress(data))) as archive:
                yield archive.extractfile(archive.getmembers()[0]).read().decode("utf-8", "surrogateescape")

    def certificates(self, node, name):
        row = next(one for one in self.store.rows("domains") if one["name"] == name)
        rep = row["cert_rep_id"] if row["cert_rep_id"] != "0" else str(100 + int(row["id"]))
        self.store.run(("UPDATE domains SET cert_rep_id = ? WHERE name = ?", rep, name))
        for one in node.findall("certificates/certificate"):
            values = {"cert": one.find("certificate-data").text, "pvt_key": one.find("private-key").text}
            number = self.put("certificates", ("name",), name=one.get("name"), **{key: urllib.parse.quote_plus(value) for key, value in values.items()})
            self.put("Repository", ("rep_id", "component_id"), rep_id=rep, component_id=number)

    def user(self, node, table, dom_id):
        login = node.get("name")
        number = self.put("sys_users", ("login",), login=login, account_id=self.account(node, "sys_users", ("login",), login=login), home=node.get("home", ""))
        if table:
            self.put(table, ("dom_id", "sys_user_id"), dom_id=dom_id, sys_user_id=number)
        return number

    def hosting(self, node, name, number, client):
        user = self.user(node.find("preferences/sysuser"), None, number)
        more = {"ip_address_id": "1", "php": "true", "php_handler_id": node.get("php-handler-id", "")}
        self.put("hosting", ("dom_id",), dom_id=number, sys_user_id=user, **more)
        for one in node.findall("ftpusers/ftpuser/sysuser"):
            self.user(one, "ftp_users", number)
        for site in node.findall("sites/site"):
            parent = number if site.get("name").endswith("." + name) else "0"
            values = {"cl_id": client, "htype": "vrt_hst", "webspace_id": number, "parentDomainId": parent}
            found = self.put("domains", ("name",), name=site.get("name"), dns_zone_id=self.zone(site.find("properties/dns-zone"), site.get("name")), **values)
            self.put("hosting", ("dom_id",), dom_id=found, sys_user_id=user, **more)
            self.place(site, site.get("name"), found)
