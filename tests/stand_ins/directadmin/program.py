# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for the program directadmin (and da): version, admin, config, admin-backup, taskq --run; and ps. Facts: facts/panels.md section 3.

Switches, each for one account (or True for all): truncated (the archive loses its end at status 0), bit (one bit of it is flipped), no_archive
(status 0, an error record and no archive), not_ended (no record that the task finished), warns (words of a harmless kind), leaks (a password in the
transcript), disk_full (an error record and a file that ends early), linked (the archive is a link), second_name (it is a file with another name as
well), another_account, stale (backup_options.list is of another selection), inner_broken (home.tar.zst in it is cut), no_home, lost_mailbox,
lost_zone, alters_alias, missing_dump, ignores_selection (everything is packed whatever was asked for), busy (ps shows a backup), restore_fails
(status 0 and an error record), restore_quiet (status 0, no word, no databases), restore_gone (the same, and no account), rewrite_fails, and those of
mysql_server.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import tarfile
import urllib.parse

from stand_ins import mysql_server
from stand_ins.directadmin import packing
from stand_ins.directadmin.host import ROOT, SECRETS, know
from stand_ins.machine import Machine

STAMP = "2026/11/22 15:30:%02d "


def record(second, level, message):
    print("%s%5s %s" % (STAMP % second, level, message))


def ps(root, arguments):
    """The machine's processes: number and arguments."""
    machine = Machine(root)
    machine.note("ps", arguments)
    print("    1 /usr/lib/systemd/systemd\n  812 /usr/local/directadmin/directadmin server")
    if machine.hit("busy", "server"):
        print(" 4711 /usr/local/directadmin/directadmin admin-backup --destination=/home/admin/admin_backups")
    return 0


def directadmin(root, arguments):
    """directadmin COMMAND."""
    machine = Machine(root)
    machine.note("directadmin", arguments)
    command = arguments[0] if arguments else ""
    if command == "version":
        print("DirectAdmin v.1.709 65ac6839c8e47738f160be5f8cc6c883941185e8")
        return 0
    if command in ("admin", "config"):
        print("admin" if command == "admin" else machine.read(ROOT + "/conf/directadmin.conf"))
        return 0
    if command == "admin-backup":
        options = dict(a.lstrip("-").split("=", 1) for a in arguments[1:])
        return run(
            machine,
            {"action": "backup", "local_path": options["destination"], "owner": "admin", "select0": options["user"], "type": "admin", "value": "multiple"},
        )
    if command == "taskq" and len(arguments) == 2 and arguments[1].startswith("--run="):
        return run(machine, dict(urllib.parse.parse_qsl(arguments[1][len("--run=") :])))
    print("unknown command %s" % command)
    return 2


def run(machine, task):
    """Carry a task out, as taskq does: its status is 0."""
    line = urllib.parse.urlencode(sorted({**task, "when": "now", "where": "local"}.items()))
    record(1, "info", "executing task            task=%s" % line)
    ended = {"backup": backup, "restore": restore, "rewrite": rewrite}[task["action"]](machine, task)
    if ended:
        record(9, "info", "finished task             duration=739ms task=%s" % line)
    return 0


def refused(task, why):
    record(5, "error", "running %s task       error=error code 1: %s" % ("backup", why))  # it says backup for restores too
    return True


def backup(machine, task):
    user, output = task["select0"], task["local_path"]
    for path in (output, os.path.dirname(output)):
        if not os.path.isdir(path) or not os.stat(path).st_mode & 0o011:
            return refused(task, "mkdir %s/%s: permission denied" % (output, user))
    if machine.hit("no_archive", user) or not machine.at("%s/data/users/%s" % (ROOT, user)).is_dir():
        return refused(task, "user %s: the backup could not be made" % user)
    if machine.hit("warns", user):
        record(2, "warn", "user has a symlink in public_html: it is packed as one")
    if machine.hit("leaks", user):
        record(2, "info", "mysqldump --password=%s %s" % (SECRETS["login"], user))
    options = [task[key] for key in sorted(task) if key.startswith("option")] if task.get("what") == "select" else packing.OPTIONS
    if machine.hit("ignores_selection", user):
        options = packing.OPTIONS
    data, ending, complaints = packing.archive(machine, user, options)
    for complaint in complaints:
        print(complaint)
    if machine.hit("disk_full", user):
        refused(task, "write %s: no space left on device" % output)
    if machine.hit("truncated", user) or machine.hit("disk_full", user):
        data = data[: len(data) * 2 // 3]
    if machine.hit("bit", user):
        data = bytearray(data)
        data[len(data) // 2] ^= 0x10
    kind = re.search(r"usertype=(\w+)", machine.read("%s/data/users/%s/user.conf" % (ROOT, user))).group(1)
    creator = re.search(r"creator=(\w+)", machine.read("%s/data/users/%s/user.conf" % (ROOT, user))).group(1)
    path = os.path.join(output, "%s.%s.%s.tar%s" % (kind, creator, user, ending))
    with open(path + (".held" if machine.hit("linked", user) else ""), "wb") as handle:
        handle.write(data)
    if machine.hit("linked", user):
        os.symlink("/etc/shadow", path)
    if machine.hit("second_name", user):
        os.link(path, path + ".held")
    return not machine.hit("not_ended", user)


def restore(machine, task):
    path = os.path.join(task["local_path"], task["select0"])
    if not os.path.isfile(path):
        return refused(task, "%s cannot find the archive" % path)
    user = task["select0"].split(".")[2]
    if machine.hit("restore_fails", user):
        return refused(task, "user %s: Error extracting home.tar.zst : /bin/tar: .jb: Cannot utime: Operation not permitted" % user)
    if machine.hit("restore_gone", user):
        return True
    with open(path, "rb") as handle:
        data = handle.read()
    if path.endswith(".zst"):
        data = subprocess.run(["zstd", "-q", "-dc"], input=data, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        held = {m.name: archive.extractfile(m).read() for m in archive if m.isfile()}
    _files(machine, user, held)
    if not machine.hit("restore_quiet", user):
        _databases(machine, user, held)
    record(8, "info", "Account %s has been restored from %s under admin" % (user, task["select0"]))
    return True


def _files(machine, user, held):
    top = "%s/data/users/%s" % (ROOT, user)
    know(machine, user, held["backup/.shadow"].decode().strip())
    machine.write(top + "/user.conf", held["backup/user.conf"], 0o600)
    machine.write(top + "/crontab.conf", held["backup/crontab.conf"], 0o600)
    for name, data in held.items():
        if name.startswith(("imap/", "domains/")):
            machine.write("/home/%s/%s" % (user, name), data)
        elif name.startswith("backup/home.tar"):
            inner = subprocess.run(["zstd", "-q", "-dc"], input=data, capture_output=True, check=True).stdout if name.endswith(".zst") else data
            with tarfile.open(fileobj=io.BytesIO(inner)) as archive:
                for member in [m for m in archive if m.isfile()]:
                    machine.write("/home/%s/%s" % (user, member.name), archive.extractfile(member).read())
    domains = [name.split("/")[1] for name in held if re.match(r"backup/[^/]+/domain\.conf\Z", name)]
    machine.write(top + "/domains.list", "".join(name + "\n" for name in domains))
    others = [line for line in machine.read("/etc/proftpd.passwd").splitlines(True) if line.split(":")[0].rpartition("@")[2] not in (*domains, user)]
    own = "%s:%s:1001:1001::/home/%s:/bin/false\n" % (user, held["backup/.shadow"].decode().strip(), user)
    machine.write("/etc/proftpd.passwd", "".join([*others, own]), 0o640)
    for domain in domains:
        for ending, name in packing.BESIDE.items():
            if "backup/%s/%s" % (domain, name) in held:
                machine.write("%s/domains/%s.%s" % (top, domain, ending), held["backup/%s/%s" % (domain, name)])
        if "backup/%s/%s.db" % (domain, domain) in held:
            machine.write("/var/named/%s.db" % domain, held["backup/%s/%s.db" % (domain, domain)])
        for name, data in held.items():
            if name.startswith("backup/%s/email/" % domain):
                machine.write("/etc/virtual/%s/%s" % (domain, name.split("/", 3)[3]), data)
        for line in held.get("backup/%s/ftp.passwd" % domain, b"").decode().splitlines():
            login, _sign, rest = line.partition("=")
            fields = dict(urllib.parse.parse_qsl(rest))
            machine.write(
                "/etc/proftpd.passwd", machine.read("/etc/proftpd.passwd") + "%s:%s:1001:1001::%s:/bin/false\n" % (login, fields["passwd"], fields["path"])
            )
    conf = held["backup/user.conf"].decode()
    creator = re.search(r"creator=(\w+)", conf).group(1)
    path = "%s/data/users/%s/users.list" % (ROOT, creator)
    if "usertype=user" in conf and user not in machine.read(path).split():
        machine.write(path, machine.read(path) + user + "\n")


def _databases(machine, user, held):
    people = {}
    for name, data in held.items():
        match = re.match(r"backup/(%s_[^/]+)\.conf\Z" % user, name)
        for line in data.decode().splitlines() if match else ():
            person, _sign, rest = line.partition("=")
            fields = dict(urllib.parse.parse_qsl(rest))
            if "passwd" in fields:
                people.setdefault(person, (fields["passwd"], []))[1].append(match.group(1))
    for person, (digest, granted) in people.items():
        mysql_server.grant(machine, person, "localhost", digest, granted)
    for name, data in held.items():
        match = re.match(r"backup/(%s_[^/]+)\.sql\Z" % user, name)
        if match:
            mysql_server.loaded(machine, match.group(1), data.decode())


def rewrite(machine, task):
    if machine.hit("rewrite_fails", task["value"]):
        record(5, "error", "running rewrite task      error=error code 1: httpd -t failed")
    return True
