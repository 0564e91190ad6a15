# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for cPanel's pkgacct: a real archive in the documented layout, and the transcript that a real run of 2019 had (facts/panels.md section 2).

Switches, each for one account (or True for all), see Machine.switch: refuses_account (status 2 and no archive), truncated (the file loses its end
after its md5 was told), quiet_cut (before, and nothing is said), bit (one bit is flipped after its md5 was told), lost_mailbox and lost_zone (a
member is left out at exit 0), missing_dump (names of databases left out at exit 0), inner_broken (homedir.tar in it is cut), stale (the md5 and size
of an earlier archive are told), disk_full (exit 0, words, a file that ends early), alters_alias (an address, whose target is another one in the
archive), warns (words of a harmless kind), leaks (a password in the transcript), not_ended (no "pkgacct completed"), no_sums (no word after the
archive was made), and those of mysql_server.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import sys
import tarfile

from stand_ins import mysql_server
from stand_ins.cpanel.host import SECRETS, users
from stand_ins.machine import Machine

STAMP = "[2026-11-22 15:30:00 +0000] "
ABSENT = (
    "The system failed to connect to the “MySQL” database “mysql” because of an error: "
    "CR_CONNECTION_ERROR (Can't connect to local MySQL server through socket '%s' (111))" % mysql_server.SOCKET
)
USAGE = "Usage: pkgacct [options] USER [DESTDIR]\n\nOptions:\n  --stdout-archive  output the cpmove file to STDOUT and disable all other output"


def say(text=""):
    sys.stdout.write(STAMP + text + "\n")


def pkgacct(root, arguments):
    """pkgacct [options] USER [DESTDIR]."""
    machine = Machine(root)
    machine.note("pkgacct", arguments)
    options = [a for a in arguments if a.startswith("--")]
    rest = [a for a in arguments if not a.startswith("--")]
    if not rest or rest[0] not in users(machine) or machine.hit("refuses_account", rest[0]):
        print("Unable to get user id for user “%s”" % (rest[0] if rest else ""))
        print(USAGE)
        return 2
    user, target = rest[0], rest[1] if len(rest) > 1 else "/home"
    home = "--skiphomedir" not in options
    say("pkgacct started.")
    say(
        "pkgacct version 10 - user : %s - tarball: 1 - target mysql : default - split: 0 - incremental: 0 - homedir: %d - mailman: 1 - backup: 0"
        " - archive version: 4 - running with uid 0" % (user, home)
    )
    say("pkgacct using '/usr/local/cpanel/3rdparty/bin/pigz -6 --processes 4 --blocksize 1024 --rsyncable' to compress archives")
    say("pkgacct working dir : %s/cpmove-%s" % (target, user))
    for what in ("Copying Reseller Config", "Copying Dns Zones...", "Copying Mail files", "Copying proftpd file"):
        sys.stdout.write("%s%s....%sDone\n" % (STAMP, what, STAMP))
    if machine.hit("warns", user):
        say("warn: the zone of this account has a record type that is not known, it was copied as it is")
    if machine.hit("leaks", user):
        say("GRANT USAGE ON *.* TO 'alice_app'@'localhost' IDENTIFIED BY PASSWORD '%s'" % SECRETS["database"])
    members, size = _members(machine, user, home)
    say("Performing “Quota” component....")
    say("Completed “Quota” component.")
    say("Creating Archive ........................")
    path = "%s/cpmove-%s.tar.gz" % (target, user)
    _write(machine, user, path, members, home)
    say("Done")
    if not machine.hit("no_sums", user):
        _ends(machine, user, path, home, size)
    _damage(machine, user, path)
    return 0


def _ends(machine, user, path, home, size):
    if not os.path.exists(path):
        return  # the directory is not there: nothing was written, and nothing is said
    with open(path, "rb") as handle:
        said = b"an earlier archive" if machine.hit("stale", user) else handle.read()
    say("pkgacctfile is: %s" % path)
    for line in ("md5sum is: %s" % hashlib.md5(said).hexdigest(), "size is: %d" % len(said)):
        say(line)
        say()
    if home:
        say("homesize is: 41713664")
        say()
        say("homefiles is: 12")
    say("mysqlsize is: %d" % size)
    if mysql_server.refuses(machine, "~"):
        say("Error while connecting to MySQL: (XID jrnw8w) %s" % ABSENT)
    if not machine.hit("not_ended", user):
        say("pkgacct completed")


def _members(machine, user, home):
    """([(path, content)], size of the databases as the panel tells it)."""
    found = dict(line.split("=", 1) for line in machine.read("/var/cpanel/users/%s" % user).splitlines() if "=" in line)
    domains = [value for key, value in found.items() if key.startswith("DNS")]
    held = [
        ("cp/" + user, machine.read("/var/cpanel/users/%s" % user)),
        ("meta/user", user + "\n"),
        ("version", "4\n"),
        ("shell", "/bin/bash\n"),
        ("quota", "0\n"),
    ]
    for entry in sorted(machine.at("/var/cpanel/userdata/%s" % user).iterdir()):
        held.append(("userdata/" + entry.name, entry.read_bytes()))
    shadow = [line.split(":")[1] for line in machine.read("/etc/shadow").splitlines() if line.startswith(user + ":")]
    held.append(("shadow", "".join(shadow) + "\n"))
    held.append(("proftpdpasswd", machine.read("/etc/proftpd/%s" % user)))
    if machine.at("/var/spool/cron/%s" % user).exists():
        held.append(("cron/" + user, machine.read("/var/spool/cron/%s" % user)))
    for domain in domains:
        for name, path in (("va", "/etc/valiases"), ("vad", "/etc/vdomainaliases"), ("vf", "/etc/vfilters")):
            if machine.at("%s/%s" % (path, domain)).exists():
                held.append(("%s/%s" % (name, domain), _altered(machine, machine.read("%s/%s" % (path, domain)))))
        if machine.at("/var/named/%s.db" % domain).exists() and not machine.hit("lost_zone", domain):
            held.append(("dnszones/%s.db" % domain, machine.read("/var/named/%s.db" % domain)))
        if machine.at("/var/cpanel/ssl/apache_tls/%s/combined" % domain).exists():
            held.append(("apache_tls/" + domain, machine.read("/var/cpanel/ssl/apache_tls/%s/combined" % domain)))
        lists = machine.at("/usr/local/cpanel/3rdparty/mailman/lists")
        for entry in sorted(lists.glob("*_" + domain)) if lists.is_dir() else ():
            held.append(("mm/%s/config.pck" % entry.name, (entry / "config.pck").read_bytes()))
    for line in machine.read("/var/cpanel/resellers").splitlines():
        if line.startswith(user + ":"):
            held.append(("resellerconfig/resellers", line + "\n"))
    dumps, size = _databases(machine, user)
    return held + dumps + (_home(machine, user) if home else []), size


def _altered(machine, text):
    lines = text.splitlines(True)
    wrong = machine.document("switches").get("alters_alias")
    return "".join(line.replace(": ", ": nobody-", 1) if wrong and line.startswith(wrong + ":") else line for line in lines)


def _databases(machine, user):
    say("Performing “Mysql” component....")
    say("Determining mysql dbs...")
    say("Storing mysql dbs............")
    mapped = json.loads(machine.read("/var/cpanel/databases/%s.json" % user))["MYSQL"]
    held, size = [], 0
    for name in sorted(mapped["dbs"]):
        if machine.hit("missing_dump", name):
            continue
        text, complaint = mysql_server.dumped(machine, name)
        size += 104857600
        if complaint:
            say("%s: %s" % (name, complaint))
            continue
        sys.stdout.write("%s.........\n%s(%d bytes) \n" % (name, STAMP, len(text)))
        held.append(("mysql/%s.create" % name, "CREATE DATABASE /*!32312 IF NOT EXISTS*/ `%s`;\n" % name))
        held.append(("mysql/%s.sql" % name, text))
    say("...Done")
    say("Completed “Mysql” component.")
    grants = "-- cPanel mysql backup\n"
    for name, user_of in sorted(mysql_server.users(machine).items()):
        if name in mapped["dbusers"]:
            grants += "GRANT USAGE ON *.* TO '%s'@'%s' IDENTIFIED BY PASSWORD '%s';\n" % (name, user_of["host"], user_of["hash"])
            for database in user_of["databases"]:
                grants += "GRANT ALL PRIVILEGES ON `%s`.* TO '%s'@'%s';\n" % (database.replace("_", "\\_"), name, user_of["host"])
    return [*held, ("mysql.sql", grants)], size


def _home(machine, user):
    top = machine.at("/home/%s" % user)
    held = []
    for path in sorted(top.rglob("*")):
        if path.is_file() and not path.is_symlink():
            name = str(path.relative_to(top))
            text = path.read_bytes()
            lost = machine.document("switches").get("lost_mailbox")
            if lost and name.startswith("etc/") and name.endswith(("/passwd", "/shadow")):
                text = b"".join(line for line in text.splitlines(True) if not line.startswith(lost.split("@")[0].encode() + b":"))
            held.append(("homedir/" + name, text))
    return held


def _tar(members, prefix):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, content in members:
            data = content if isinstance(content, bytes) else content.encode("utf-8")
            info = tarfile.TarInfo(prefix + name)
            info.size, info.mode, info.mtime = len(data), 0o600, 1795361400
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def _write(machine, user, path, members, home):
    if machine.hit("inner_broken", user) and home:
        inner = _tar([(name[8:], content) for name, content in members if name.startswith("homedir/")], "")
        members = [m for m in members if not m[0].startswith("homedir/")] + [("homedir.tar", inner[: len(inner) // 2 // 512 * 512 + 100])]
    data = gzip.compress(_tar(members, "cpmove-%s/" % user), 6, mtime=0)
    if machine.hit("disk_full", user):
        say("gtar: cpmove-%s: Wrote only 4096 of 10240 bytes: No space left on device" % user)
        say("Could not create the archive: No space left on device")
    if machine.hit("disk_full", user) or machine.hit("quiet_cut", user):
        data = data[: len(data) * 2 // 3]
    try:
        with open(path, "wb") as handle:
            handle.write(data)
    except FileNotFoundError:
        return


def _damage(machine, user, path):
    if not (machine.hit("truncated", user) or machine.hit("bit", user)):
        return
    with open(path, "rb") as handle:
        data = bytearray(handle.read())
    if machine.hit("truncated", user):
        data = data[: len(data) - 700]
    else:
        data[len(data) // 2] ^= 0x10
    with open(path, "wb") as handle:
        handle.write(data)
