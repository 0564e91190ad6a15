# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""v-backup-user of the stand-in: a tar in the real layout, and each documented failure at the place where it happens."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import time
from pathlib import Path

from stand_ins import mariadb
from stand_ins.hestiacp import programs
from stand_ins.hestiacp.programs import CONNECT, DB, DISABLED, DISK, INVALID, LIMIT, OK, SUSPENDED, Stop
from stand_ins.kit import flipped, put, real, switched, tar_bytes, text, tree_bytes
from stand_ins.mariadb import clients


def backup(panel, user):
    """The exit code of v-backup-user."""
    root = panel.root
    if not panel.conf.get("BACKUP_SYSTEM"):
        raise Stop(DISABLED, "BACKUP_SYSTEM is not enabled")
    if programs.settings(panel, user).get("SUSPENDED") == "yes" and panel.conf.get("POLICY_BACKUP_SUSPENDED_USERS") != "yes":
        raise Stop(SUSPENDED, "user %s is suspended" % user)
    if int(programs.settings(panel, user).get("BACKUPS", "0")) <= 0:
        raise Stop(DISABLED, "user backup is disabled")
    estimate = programs.usage(panel, user) * 2
    if estimate > programs.free_megabytes(panel):
        raise Stop(LIMIT, "not enough disk space available (0 mb) to perform the backup  of %s. ( %d mb * 2 = %d mb)." % (user, estimate // 2, estimate))
    work = "/backup/tmp.%s%d" % (user, os.getpid())
    os.makedirs(real(root, work + "/pam"))
    for name in ("passwd", "shadow", "group"):
        own = [line for line in text(root, "/etc/" + name).splitlines(True) if line.startswith(user + ":")]
        put(root, "%s/pam/%s" % (work, name), "".join(own), 0o600)
    print("-- SYSTEM --\n%s user.conf\n%s pam" % (_now(), _now()))
    if switched(root, "invalid") == user:
        raise Stop(INVALID, "Invalid key value format [DOMAIN=]")  # and the temporary directory stays, with the shadow line
    try:
        lists = _fill(panel, user, work)
        return _pack(panel, user, work, lists)
    finally:
        shutil.rmtree(real(root, work), ignore_errors=True)


def _now():
    return time.strftime("%Y-%m-%d %H:%M:%S")


def _fill(panel, user, work):
    """The temporary directory; {WEB: [...], ...} as they will be registered."""
    own = "%s/%s" % (work, panel.flavour)
    for name in ("user.conf", "history.log"):
        put(panel.root, "%s/%s" % (own, name), text(panel.root, panel.data(user, name)))
    excludes = text(panel.root, panel.data(user, "backup-excludes.conf"))
    if excludes:
        put(panel.root, own + "/backup-excludes.conf", excludes)
    shutil.copytree(real(panel.root, panel.data(user, "ssl")), real(panel.root, own + "/ssl"))
    lists = {"WEB": _web(panel, user, work), "DNS": _dns(panel, user, work), "MAIL": _mail(panel, user, work), "DB": _databases(panel, user, work)}
    cron = text(panel.root, panel.data(user, "cron.conf"))
    put(panel.root, work + "/cron/cron.conf", cron)
    lists["CRON"] = [str(len(cron.splitlines()))] if cron else []
    lists["UDIR"] = []
    home = Path(real(panel.root, "/home/" + user))
    os.makedirs(real(panel.root, work + "/user_dir"))
    for entry in sorted(home.iterdir()):
        if entry.name not in ("conf", "web", "dns", "tmp", "mail"):
            data = tree_bytes(entry, prefix=entry.name) if entry.is_dir() else tar_bytes({entry.name: entry.read_bytes()})
            _compressed(panel, "%s/user_dir/%s.tar" % (work, entry.name), data)
            lists["UDIR"].append(entry.name)
    if _zstd(panel):
        put(panel.root, work + "/.zstd")
    return lists


def _zstd(panel):
    return panel.conf.get("BACKUP_MODE") == "zstd"


def _compressed(panel, path, data, broken=False, bit=False):
    """data behind path.gz or path.zst; with its end cut off, or one bit changed."""
    packed = subprocess.run(["zstd", "-q", "-c"], input=data, capture_output=True, check=True).stdout if _zstd(panel) else gzip.compress(data, 4)
    packed = packed[: len(packed) * 2 // 3] if broken else packed
    put(panel.root, path + (".zst" if _zstd(panel) else ".gz"), flipped(packed) if bit else packed)


def _spoiled(panel, what):
    """{broken, bit}: how the archive of an object is to be spoiled."""
    return {"broken": switched(panel.root, "inner") == what, "bit": switched(panel.root, "flipped") == what}


def _altered(panel, data):
    """A line as it is written to the archive; the switch names what is changed in it."""
    what = switched(panel.root, "altered")
    return data.replace(what, what.replace("www", "wwx").replace("500", "50").replace("sales", "salez")) if what else data


def _web(panel, user, work):
    excluded = dict(programs.PAIR.findall(text(panel.root, panel.data(user, "backup-excludes.conf")))).get("WEB", "").split(",")
    domains = [line["DOMAIN"] for line in panel.lines(user, "web.conf") if line["DOMAIN"] not in excluded]
    print("\n-- WEB --")
    for domain in domains:
        print("%s %s" % (_now(), domain))
        if switched(panel.root, "missing") == "web:" + domain:
            continue
        place = "%s/web/%s" % (work, domain)
        own = [line for line in text(panel.root, panel.data(user, "web.conf")).splitlines(True) if "DOMAIN='%s'" % domain in line]
        put(panel.root, "%s/%s/web.conf" % (place, panel.flavour), _altered(panel, "".join(own)))
        put(panel.root, place + "/conf/apache2.conf", text(panel.root, "/home/%s/conf/web/%s/apache2.conf" % (user, domain)))
        put(panel.root, place + "/template/apache2/default.tpl", "<VirtualHost %ip%:%web_port%>\n")
        for ending in ("crt", "key"):
            if os.path.exists(real(panel.root, panel.data(user, "ssl", "%s.%s" % (domain, ending)))):
                put(panel.root, "%s/%s/%s.%s" % (place, panel.flavour, domain, ending), text(panel.root, panel.data(user, "ssl", "%s.%s" % (domain, ending))))
        home = real(panel.root, "/home/%s/web/%s" % (user, domain))
        if not os.path.isdir(home):
            print("v-backup-user: line 345: cd: /home/%s/web/%s: No such file or directory" % (user, domain))
            home = real(panel.root, place)  # the script goes on where it is
        _compressed(panel, place + "/domain_data.tar", tree_bytes(home, without=("logs",)), **_spoiled(panel, "web:" + domain))
    return domains


def _dns(panel, user, work):
    domains = [line["DOMAIN"] for line in panel.lines(user, "dns.conf")]
    for domain in domains:
        if switched(panel.root, "missing") == "dns:" + domain:
            continue
        place = "%s/dns/%s" % (work, domain)
        own = [line for line in text(panel.root, panel.data(user, "dns.conf")).splitlines(True) if "DOMAIN='%s'" % domain in line]
        put(panel.root, "%s/%s/dns.conf" % (place, panel.flavour), "".join(own))
        put(panel.root, "%s/%s/%s.conf" % (place, panel.flavour, domain), text(panel.root, panel.data(user, "dns", domain + ".conf")))
        put(panel.root, "%s/conf/%s.db" % (place, domain), text(panel.root, "/home/%s/conf/dns/%s.db" % (user, domain)))
    return domains


def _mail(panel, user, work):
    domains = [line["DOMAIN"] for line in panel.lines(user, "mail.conf")]
    for domain in domains:
        if switched(panel.root, "missing") == "mail:" + domain:
            continue
        place = "%s/mail/%s" % (work, domain)
        own = [line for line in text(panel.root, panel.data(user, "mail.conf")).splitlines(True) if "DOMAIN='%s'" % domain in line]
        put(panel.root, "%s/%s/mail.conf" % (place, panel.flavour), "".join(own))
        for ending in ("conf", "pem", "pub"):
            name = "%s.%s" % (domain, ending)
            put(panel.root, "%s/%s/%s" % (place, panel.flavour, name), _altered(panel, text(panel.root, panel.data(user, "mail", name))))
        put(panel.root, place + "/conf/passwd", text(panel.root, "/home/%s/conf/mail/%s/passwd" % (user, domain)))
        home = real(panel.root, "/home/%s/mail/%s" % (user, domain))
        home = home if os.path.isdir(home) else real(panel.root, place)
        if os.listdir(home):
            _compressed(panel, place + "/accounts.tar", tree_bytes(home, prefix=""), **_spoiled(panel, "mail:" + domain))
    return domains


def _databases(panel, user, work):
    names = []
    for line in panel.lines(user, "db.conf"):
        name = line["DB"]
        names.append(name)
        if switched(panel.root, "missing") == "db:" + name:
            continue
        if switched(panel.root, "mysql-refused"):
            raise Stop(CONNECT, "Connection to localhost failed")
        place = "%s/db/%s" % (work, name)
        kind = line.get("TYPE", "mysql")
        dump, status = clients.dump_text(panel.root, name) if name in mariadb.databases(panel.root) else ("", 2)
        if status:
            raise Stop(DB, "dump %s failed" % name)
        own = [one for one in text(panel.root, panel.data(user, "db.conf")).splitlines(True) if "DB='%s'" % name in one]
        put(panel.root, "%s/%s/db.conf" % (place, panel.flavour), "".join(own))
        put(panel.root, "%s/conf/%s.mysql.%s" % (place, name, line["DBUSER"]), "GRANT ALL ON `%s`.* TO `%s`@`%%`\n" % (name, line["DBUSER"]))
        data = b"" if switched(panel.root, "empty-dump") == name else dump.encode("utf-8")
        _compressed(panel, "%s/%s.%s.sql" % (place, name, kind), data, **_spoiled(panel, "db:" + name))
    return names


def _pack(panel, user, work, lists):
    """The final tar, wherever it goes; it is registered whatever became of it."""
    root = panel.root
    kind = panel.conf["BACKUP_SYSTEM"]
    name = "%s.%s.tar" % (user, time.strftime("%Y-%m-%d_%H-%M-%S"))
    if switched(root, "warning"):
        print("tar: ./web/%s/domain_data.tar.gz: file changed as we read it" % (lists["WEB"] or ["none"])[0])
    if "local" in kind.split(","):
        if switched(root, "full"):
            raise Stop(DISK, "Not enough dsk space")
        older = sorted(Path(real(root, "/backup")).glob("%s.2*.tar" % user))
        if switched(root, "stale") and older:
            name = older[-1].name  # the disk took nothing and the name of the day before is told
        else:
            data = tree_bytes(real(root, work))
            if switched(root, "truncated") in ("yes", user):
                data = data[: len(data) * 2 // 3 // 512 * 512 + 100]
                print("tar: /backup/%s: Wrote only 4096 of 10240 bytes\ntar: Error is not recoverable: exiting now" % name)
            put(root, "/backup/" + name, data, 0o640)
        print("%s Local: /backup/%s" % (_now(), name))
    if kind == "ftp" or kind.endswith(",ftp"):
        print("ftp.backup.conf doesn't exist")
        if kind == "ftp":
            print("%s *** Remote backup failed ***" % _now())
            return OK  # `exit $error_code`, and the variable is called errorcode
        print("%s *** Local backup was successfully executed. Remote backup failed ***" % _now())
    told = " ".join("%s='%s'" % (key, ",".join(value)) for key, value in lists.items())
    line = "BACKUP='%s' TYPE='local' SIZE='1' %s RUNTIME='1' TIME='%s' DATE='%s'\n" % (name, told, time.strftime("%H:%M:%S"), time.strftime("%Y-%m-%d"))
    put(root, panel.data(user, "backup.conf"), text(root, panel.data(user, "backup.conf")) + line, 0o660)
    return OK
