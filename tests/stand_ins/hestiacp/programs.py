# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The stand-in's programs: lists, rebuilds, and the way to backup and restore. See the package's docstring for what is known and what is guessed."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from stand_ins.kit import real, switched, text

OK, ARGS, INVALID, NOTEXIST, SUSPENDED, LIMIT, DISABLED, PARSING, DISK, CONNECT, DB = 0, 1, 2, 3, 5, 8, 11, 12, 13, 15, 17
PAIR = re.compile(r"\b([a-zA-Z]+\w*)='(.*?)'(?=\s|$)", re.M)
CONFS = {"v-list-web-domains": "web", "v-list-mail-domains": "mail", "v-list-dns-domains": "dns", "v-list-databases": "db", "v-list-user-backups": "backup"}
REBUILDS = ("v-rebuild-", "v-update-")


class Stop(Exception):
    """A program's end: exit code and sentence."""


class Panel:
    """What all programs know: root, where the panel lies, its configuration."""

    def __init__(self, root, name):
        self.root, self.name = root, name
        self.flavour = "hestia" if os.path.isdir(real(root, "/usr/local/hestia")) else "vesta"
        self.home = "/usr/local/" + self.flavour
        self.conf = dict(PAIR.findall(text(root, "%s/conf/%s.conf" % (self.home, self.flavour))))

    def data(self, user, *more):
        """A path in a user's data."""
        return "/".join((self.home, "data/users", user) + more)

    def lines(self, user, conf):
        """[{key: value}] of one of a user's files."""
        return [dict(PAIR.findall(line)) for line in text(self.root, self.data(user, conf)).splitlines() if line.strip()]

    def known(self, user):
        """Stops with 3 for a user that is not there."""
        if not os.path.isdir(real(self.root, self.data(user))):
            raise Stop(NOTEXIST, "user %s doesn't exist" % user)

    def listed(self):
        """The quirk: users are those with an @ in /etc/passwd and a user.conf."""
        names = [line.split(":")[0] for line in text(self.root, "/etc/passwd").splitlines() if "@" in line]
        return [name for name in names if os.path.isfile(real(self.root, self.data(name, "user.conf")))]


def main(root, name, arguments):
    """One of the programs; its exit code. Errors are printed as Error: sentence, on standard output."""
    panel = Panel(root, name)
    if panel.flavour == "vesta" and os.environ.get("VESTA") != "/usr/local/vesta":
        print("%s: line 12: /func/main.sh: No such file or directory" % name)  # Vesta's scripts take their place from the environment
        return 1
    try:
        return _run(panel, arguments)
    except Stop as exc:
        print("Error: %s" % exc.args[1])
        return exc.args[0]


def _run(panel, arguments):
    from stand_ins.hestiacp import backup, restore

    if panel.name == "v-list-users":
        return _users(panel, arguments)
    if panel.name == "v-list-sys-info":
        print(json.dumps({"sysinfo": {"HOSTNAME": "panel.example.com", "HESTIA": panel.conf["VERSION"], "RELEASE": "release"}}, indent=4))
        return OK
    if panel.name == "v-backup-users":
        for user in panel.listed():
            backup.backup(panel, user)
        return OK  # whatever happened to one of them
    if not arguments:
        print("Usage: %s USER [FORMAT]" % panel.name)
        return ARGS
    panel.known(arguments[0]) if panel.name != "v-restore-user" else None
    if panel.name == "v-backup-user":
        return backup.backup(panel, arguments[0])
    if panel.name == "v-restore-user":
        return restore.restore(panel, arguments)
    if panel.name in CONFS:
        return _objects(panel, arguments[0])
    if panel.name.startswith(REBUILDS):
        if switched(panel.root, "rebuild-fails") == arguments[0]:
            raise Stop(PARSING, "rebuild of %s failed" % arguments[0])
        return OK
    raise AssertionError("the stand-in has no %s" % panel.name)


def _users(panel, arguments):
    if "list" in arguments:
        print("\n".join(panel.listed()))
        return OK
    users = {user: {key: value for key, value in settings(panel, user).items() if key != "MD5"} for user in panel.listed()}
    print("{\n}" if not users else json.dumps(users, indent=4))
    return OK


def settings(panel, user):
    """A user's user.conf."""
    return dict(PAIR.findall(text(panel.root, panel.data(user, "user.conf"))))


def _objects(panel, user):
    conf = CONFS[panel.name]
    first = {"backup": "BACKUP", "db": "DB"}.get(conf, "DOMAIN")
    found = {line[first]: {key: value for key, value in line.items() if key not in (first, "MD5", "FTP_MD5")} for line in panel.lines(user, conf + ".conf")}
    print("{\n}" if not found else json.dumps(found, indent=4))
    return OK


def free_megabytes(panel):
    """What the disk of /backup seems to have; a switch makes it small."""
    return 0 if switched(panel.root, "space") else 100000


def usage(panel, user):
    """The estimate in MB, as du -shm tells it: never less than 1."""
    home = Path(real(panel.root, "/home/" + user))
    size = sum(path.stat().st_size for path in home.rglob("*") if path.is_file() and not path.is_symlink())
    return max(1, size >> 20)
