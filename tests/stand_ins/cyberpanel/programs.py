# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The stand-in's program: cyberpanel COMMAND. It ends with 0 whatever happened. See the package's docstring for what is known and what is guessed."""

from __future__ import annotations

import gzip
import json
import os
import re
import sqlite3
import tarfile
import time
from xml.etree import ElementTree
from xml.sax.saxutils import escape as xml

from stand_ins import mariadb
from stand_ins.cyberpanel import SECRETS
from stand_ins.kit import flipped, put, real, switched, tar_bytes
from stand_ins.mariadb import clients


def main(root, name, arguments):
    """Always 0."""
    options = dict(zip(arguments[1::2], arguments[2::2], strict=False))
    command = arguments[0] if arguments else ""
    if command == "createBackup":
        create(root, options["--domainName"])
    elif command == "restoreBackup":
        restore(root, options["--fileName"])
    elif command.startswith("list"):
        lists(root, command, options)
    return 0


def rows(root, sql):
    """Rows of the panel's database as dicts of text."""
    connection = sqlite3.connect(real(root, "/var/lib/mysql/cyberpanel/stand-in.sqlite"))
    connection.row_factory = sqlite3.Row
    return [{key: "None" if row[key] is None else str(row[key]) for key in tuple(row.keys())} for row in connection.execute(sql)]


def lists(root, command, options):
    """What the panel's lists tell; some are JSON in JSON."""
    left_out = switched(root, "omits")
    if switched(root, "mysql-refused"):
        print(0)
    elif command == "listWebsitesJson":
        print(json.dumps([{"domain": row["domain"]} for row in rows(root, "SELECT domain FROM websiteFunctions_websites") if row["domain"] != left_out]))
    elif command == "listDatabasesJson":
        held = rows(root, "SELECT d.* FROM databases_databases d JOIN websiteFunctions_websites w ON w.id = d.website_id")
        print(json.dumps(json.dumps([{"dbName": row["dbName"]} for row in held if row["dbName"] != left_out])))
    elif command == "listEmailsJson":
        held = [row["email"] for row in rows(root, "SELECT * FROM e_users") if row["emailOwner_id"] == options["--domainName"]]
        print(json.dumps(json.dumps([{"email": name} for name in held if name != left_out])))


def create(root, site):
    """createBackup."""
    moment = time.strftime("%m.%d.%Y_%H-%M-%S")
    place, name = "/home/%s/backup" % site, "backup-%s-%s" % (site, moment)
    print("Backup logs to be generated in /usr/local/lscp/logs/backup_log." + moment)
    if switched(root, "mysql-refused") or switched(root, "zero") == site:
        print(0)
        return
    if switched(root, "full") == site:
        put(root, place + "/%s", "Disk space exceeded for backup of " + site)
        return
    if switched(root, "failed") == site:
        print("[%s] Access denied for user 'root' using password %s [207][5009]" % (moment, SECRETS["root"]))
        put(root, place + "/status", "[207][5009]")
        return
    entries = parts(root, site, moment)
    data = gzip.compress(tar_bytes({"./" + path: content for path, content in entries.items()}), 4)
    if switched(root, "truncated") == site:
        data = data[: len(data) * 2 // 3]
    if switched(root, "flipped") == site:
        data = flipped(data)
    path = "%s/%s.tar.gz" % (place, name)
    if switched(root, "linked") == site:
        os.makedirs(real(root, place), exist_ok=True)
        os.symlink("/etc/cyberpanel/mysqlPassword", real(root, path))
        os.symlink("/etc/cyberpanel/mysqlPassword", real(root, place + "/status"))
        return
    if switched(root, "missing") != site and switched(root, "stale") != site:
        put(root, path, data, 0o600)
    if switched(root, "warning"):
        print('rsync: [sender] file has vanished: "/home/%s/public_html/tmp/x"' % site)
    put(root, place + "/status", "Preparing final compressed package.." if switched(root, "status-only") == site else "Completed")


def parts(root, site, moment):
    """{path in the archive: bytes}."""
    entries = {"meta.xml": meta(root, site)}
    home = real(root, "/home/" + site)
    if switched(root, "no-files") != site:
        for folder, folders, names in os.walk(home):
            folders[:] = [one for one in folders if one not in ("logs", "backup", ".wp-cli", "lscache")]
            for name in names:
                full = os.path.join(folder, name)
                with open(full, "rb") as handle:
                    entries["public_html/" + os.path.relpath(full, home)] = handle.read()
    vmail = real(root, "/home/vmail/" + site)
    for folder, _folders, names in os.walk(vmail) if switched(root, "no-mail") != site else ():
        for name in names:
            full = os.path.join(folder, name)
            with open(full, "rb") as handle:
                entries["vmail/" + os.path.relpath(full, vmail)] = handle.read()
    entries["vhost.conf"] = b"docRoot $VH_ROOT/public_html\n"
    for name in ("cert", "privkey"):
        try:
            with open(real(root, "/etc/letsencrypt/live/%s/%s.pem" % (site, name)), "rb") as handle:
                entries["%s.%s.pem" % (site, name)] = handle.read()
        except OSError:
            pass
    for row in rows(root, "SELECT d.dbName, w.domain FROM databases_databases d JOIN websiteFunctions_websites w ON w.id = d.website_id"):
        if row["domain"] != site or switched(root, "missing") == "db:" + row["dbName"]:
            continue
        text, status = clients.dump_text(root, row["dbName"]) if row["dbName"] in mariadb.databases(root) else ("", 2)
        if status:
            print("[%s] Database: %s could not be backed up! [createDatabaseBackup]" % (moment, row["dbName"]))
            print("[%s] Failed to create database backup for %s. This could be false positive, moving on." % (moment, row["dbName"]))
        entries[row["dbName"] + ".sql"] = text.encode()
    if switched(root, "no-meta") == site:
        del entries["meta.xml"]
    return entries


def meta(root, site):
    """meta.xml: what is not ASCII is dropped without a word."""
    joined = "SELECT w.*, a.userName, a.password, a.firstName FROM websiteFunctions_websites w JOIN loginSystem_administrator a ON a.id = w.admin_id"
    (own,) = rows(root, joined + " WHERE w.domain = '%s'" % site)
    name = "other.example" if switched(root, "other-meta") == site else site
    lines = ['<?xml version="1.0" ?>\n<metaFile>\n  <VERSION>2.3</VERSION>\n  <BUILD>7</BUILD>\n  <BackupWholeDir>1</BackupWholeDir>']
    told = {"masterDomain": name, "phpSelection": own["phpSelection"], "externalApp": own["externalApp"], "userName": own["userName"]}
    told.update({"userPassword": own["password"], "firstName": own["firstName"]})
    lines += ["  <%s>%s</%s>" % (key, xml(value), key) for key, value in told.items()]
    inner = {"ChildDomains": "", "Databases": "", "Aliases": "", "dnsrecords": "", "emails": ""}
    for row in rows(root, "SELECT * FROM websiteFunctions_childdomains WHERE master_id = '%s'" % own["id"]):
        inner["ChildDomains"] += "<domain><domain>%s</domain><phpSelection>%s</phpSelection><path>%s</path></domain>" % (
            row["domain"],
            row["phpSelection"],
            row["path"],
        )
    for row in rows(root, "SELECT * FROM databases_databases WHERE website_id = '%s'" % own["id"]):
        account = "<databaseUsers><dbUser>%s</dbUser><dbHost>localhost</dbHost><password>%s</password></databaseUsers>" % (row["dbUser"], SECRETS["database"])
        inner["Databases"] += "<database><dbName>%s</dbName>%s</database>" % (row["dbName"], account)
    for row in rows(root, "SELECT * FROM websiteFunctions_aliasdomains WHERE master_id = '%s'" % own["id"]):
        inner["Aliases"] += "<alias>%s</alias>" % xml(row["aliasDomain"])
    for row in rows(root, "SELECT r.* FROM records r JOIN domains d ON d.id = r.domain_id WHERE d.name = '%s'" % site):
        fields = {"type": row["type"], "name": row["name"], "content": row["content"], "priority": row["prio"]}
        inner["dnsrecords"] += "<dnsrecord>%s</dnsrecord>" % "".join("<%s>%s</%s>" % (key, xml(value), key) for key, value in fields.items())
    for row in rows(root, "SELECT * FROM e_users WHERE emailOwner_id = '%s'" % site):
        inner["emails"] += "<emailAccount><email>%s</email><password>%s</password></emailAccount>" % (xml(row["email"]), row["password"])
    lines += ["  <%s>%s</%s>" % (key, value, key) for key, value in inner.items()]
    data = ("\n".join(lines) + "\n</metaFile>\n").encode("ascii", "ignore")
    return data[: len(data) // 2] if switched(root, "broken-meta") == site else data


def restore(root, file):
    """restoreBackup: a site that is there is refused."""
    with tarfile.open(real(root, file)) as archive:
        held = {info.name[2:]: archive.extractfile(info).read() for info in archive if info.isfile()}
    told = ElementTree.fromstring(held["meta.xml"])
    site = told.findtext("masterDomain")
    if switched(root, "restore-fails") or [row for row in rows(root, "SELECT domain FROM websiteFunctions_websites") if row["domain"] == site]:
        print("Failed to restore backup, Error message : This website already exists.\n")
        return
    mariadb.change(root, "cyberpanel", "INSERT INTO websiteFunctions_websites (id, domain, externalApp) VALUES ('9', ?, ?)", site, told.findtext("externalApp"))
    for path, data in held.items():
        if re.match(r"public_html/", path):
            put(root, "/home/%s/%s" % (site, path[len("public_html/") :]), data)
    print("Waiting for restore to complete. Current status: Restoring Databases!\n\n\nBackup restore completed.\n")
