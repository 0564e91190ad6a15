# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""DirectAdmin's stand-in: what is in an archive, by the listing of a real one (facts/panels.md section 3), and what its failures make of it."""

from __future__ import annotations

import gzip
import io
import subprocess
import tarfile
import urllib.parse

from stand_ins import mysql_server
from stand_ins.directadmin.host import ROOT

OPTIONS = "domain subdomain email email_data emailsettings forwarder autoresponder vacation list ftp ftpsettings database database_data trash".split()
BESIDE = {
    "conf": "domain.conf",
    "subdomains": "subdomain.list",
    "pointers": "domain.pointers",
    "cert": "domain.cert",
    "key": "domain.key",
    "ip_list": "domain.ip_list",
}


def tar(members):
    """A tar of [(name, content)]."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, content in members:
            data = content if isinstance(content, bytes) else content.encode("utf-8")
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.mtime = len(data), 0o600, 1795361400
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def compressed(machine, data):
    """(data as directadmin.conf wants it, the name's ending)."""
    how = machine.read(ROOT + "/conf/directadmin.conf")
    if "backup_gzip=2" in how:
        return subprocess.run(["zstd", "-q", "-c"], input=data, capture_output=True, check=True).stdout, ".zst"
    return (gzip.compress(data, 6, mtime=0), ".gz") if "backup_gzip=1" in how else (data, "")


def archive(machine, user, options):
    """(bytes of an account's archive, ending, [complaints])."""
    identity = "nobody" if machine.hit("another_account", user) else user
    conf = machine.read("%s/data/users/%s/user.conf" % (ROOT, user)).replace("username=%s" % user, "username=%s" % identity)
    shadow = [line.split(":")[1] for line in machine.read("/etc/shadow").splitlines() if line.startswith(user + ":")]
    held = [("backup/user.conf", conf), ("backup/.shadow", "".join(shadow) + "\n"), ("backup/user.usage", "bandwidth=0\n"), ("backup/ticket.conf", "")]
    held += [("backup/crontab.conf", machine.read("%s/data/users/%s/crontab.conf" % (ROOT, user))), ("backup/bandwidth.tally", "")]
    packed = ["email"] if machine.hit("stale", user) else options
    held.append(("backup/backup_options.list", "".join("%s\n" % option for option in packed)))
    for domain in machine.read("%s/data/users/%s/domains.list" % (ROOT, user)).split():
        held += _domain(machine, user, domain)
    complaints = []
    if "database" in options:
        dumps, complaints = _databases(machine, user)
        held += dumps
    home = machine.at("/home/%s" % user)
    paths = [path for path in sorted(home.rglob("*")) if path.is_file() and not path.is_symlink()]
    named = [(str(path.relative_to(home)), path.read_bytes()) for path in paths]
    if "email" in options:
        held += [(name, data) for name, data in named if name.startswith("imap/")]
    if "domain" in options:
        held += [(name, data) for name, data in named if name.startswith("domains/")]
        inner, ending = compressed(machine, tar([(name, data) for name, data in named if not name.startswith(("domains/", "imap/", "backups/"))]))
        if machine.hit("inner_broken", user):
            inner = inner[: len(inner) * 2 // 3]
        if not machine.hit("no_home", user):
            held.append(("backup/home.tar" + ending, inner))
    data, ending = compressed(machine, tar(held))
    return data, ending, complaints


def _domain(machine, user, domain):
    top, there = "backup/%s/" % domain, machine.at("%s/data/users/%s/domains" % (ROOT, user))
    held = []
    for ending, name in BESIDE.items():
        path = there / ("%s.%s" % (domain, ending))
        if path.is_file():
            held.append((top + name, path.read_bytes()))
    if not machine.hit("lost_zone", domain):
        held.append(("%s%s.db" % (top, domain), machine.read("/var/named/%s.db" % domain)))
    virtual = machine.at("/etc/virtual/%s" % domain)
    for path in sorted(virtual.rglob("*")):
        if path.is_file():
            text = path.read_text()
            if path.name == "passwd":
                text = "".join(line for line in text.splitlines(True) if not machine.hit("lost_mailbox", "%s@%s" % (line.split(":")[0], domain)))
            if path.name == "aliases" and machine.document("switches").get("alters_alias"):
                name = machine.document("switches")["alters_alias"].split("@")[0]
                text = "".join(line.replace(": ", ": nobody-", 1) if line.startswith(name + ":") else line for line in text.splitlines(True))
            held.append(("%semail/%s" % (top, path.relative_to(virtual)), text))
    ftp = []
    for line in machine.read("/etc/proftpd.passwd").splitlines():
        fields = line.split(":")
        if fields[0].endswith("@" + domain):
            ftp.append("%s=passwd=%s&path=%s&type=domain\n" % (fields[0], urllib.parse.quote(fields[1], safe=""), fields[5]))
    return [*held, (top + "ftp.conf", ""), (top + "ftp.passwd", "".join(ftp))]


def _databases(machine, user):
    held, complaints = [], []
    for name in mysql_server.databases(machine):
        if not name.startswith(user + "_") or machine.hit("missing_dump", name):
            continue
        text, complaint = mysql_server.dumped(machine, name)
        if complaint:
            complaints.append("%s: %s" % (name, complaint))
            continue
        lines = ["accesshosts=0=localhost"]
        for person, told in sorted(mysql_server.users(machine).items()):
            if name in told["databases"]:
                lines.append("%s=alter_priv=Y&select_priv=Y&passwd=%s" % (person, urllib.parse.quote(told["hash"], safe="")))
        held += [("backup/%s.sql" % name, text), ("backup/%s.conf" % name, "\n".join(lines) + "\n")]
    return held, complaints
