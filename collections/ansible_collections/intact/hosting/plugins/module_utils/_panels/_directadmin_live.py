# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""A DirectAdmin server, or the disk of one, by its files and its database server: past the program."""

from __future__ import annotations

import re

from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import _accounts, _directadmin_files, _homes, _inventory, _mysql_look

ROOT = "/usr/local/directadmin"
PROGRAM, DATA = ROOT + "/directadmin", ROOT + "/data/users"
MY_CNF = ROOT + "/conf/my.cnf"
ZONES = ("/var/named", "/etc/bind", "/etc/namedb")
FTP = "/etc/proftpd.passwd"
VIRTUAL = "/etc/virtual"
# The panel's own: its settings with the licence's and the certificate's places, and the login to the database server.
KEYS = (ROOT + "/conf/directadmin.conf", MY_CNF)
SERVER = (
    ROOT + "/data/admin/*.list",
    ROOT + "/data/admin/ips/*",
    ROOT + "/data/admin/packages/*",
    ROOT + "/data/users/*/packages/*",
    ROOT + "/data/users/*/users.list",
)
SETTINGS = re.compile(r".*/packages/[^/]+\Z")
# archive's name of a file beside domain.conf: the server's ending
BESIDE = (
    ("domain.conf", "conf"),
    ("subdomain.list", "subdomains"),
    ("domain.pointers", "pointers"),
    ("domain.cert", "cert"),
    ("domain.key", "key"),
    ("domain.cacert", "cacert"),
    ("domain.ip_list", "ip_list"),
)


def detect(view):
    """{version, root}, or None. No file is known that tells the version."""
    if not view.exists(PROGRAM) or not view.exists(ROOT + "/conf/directadmin.conf"):
        return None
    return {"version": "", "root": ROOT, "defaults": _homes.place(view, MY_CNF) if view.exists(MY_CNF) else None}


def version(system):
    """The version, as the program tells it; "" on a disk."""
    if not system.which(PROGRAM):
        return ""
    found = re.search(r"\b(\d+\.\d[\d.]*)", system.run([PROGRAM, "version"], timeout=60, check=False).text)
    return found.group(1) if found else ""


def users(view):
    """Names of all accounts, the administrator's and the resellers' too: each has a directory, whatever a list says."""
    return [name for name in view.listdir(DATA) if _accounts.plain(name) and _accounts.settings(view.read("%s/%s/user.conf" % (DATA, name)))]


def conf(view, user):
    """An account's user.conf."""
    return _accounts.settings(view.read("%s/%s/user.conf" % (DATA, user)))


def home(view, user):
    """An account's home."""
    fields = _accounts.passwords(view.read("/etc/passwd")).get(user) or []
    return fields[5] if len(fields) > 5 and fields[5].startswith("/") else "/home/" + user


def ids(view, user):
    """(uid, gid) of an account, None when the host has no such user."""
    fields = _accounts.passwords(view.read("/etc/passwd")).get(user) or []
    return (int(fields[2]), int(fields[3])) if len(fields) > 3 and fields[2].isdigit() and fields[3].isdigit() else None


def domains(view, user):
    """An account's domains, as its list says and as its files say."""
    listed = [line.strip() for line in _accounts.lines(view.read("%s/%s/domains.list" % (DATA, user)))]
    files = [name[: -len(".conf")] for name in view.listdir("%s/%s/domains" % (DATA, user)) if name.endswith(".conf")]
    return sorted({name for name in listed + files if _accounts.plain(name)})


def held(view, user, skipped=None):
    """{member as an archive names it: bytes} of one account's small files. skipped: filled with (what, why) of those that can't be read."""
    out, skipped, top = {}, [] if skipped is None else skipped, "%s/%s" % (DATA, user)

    def take(member, path):
        try:
            data = view.read(path)
        except OSError as exc:
            skipped.append((path, exc.strerror or "it can't be read"))
            return
        if data is not None:
            out[member] = data

    take("backup/user.conf", top + "/user.conf")
    take("backup/crontab.conf", top + "/crontab.conf")
    shadow = _accounts.passwords(view.read("/etc/shadow")).get(user) or []
    if len(shadow) > 1:
        out["backup/.shadow"] = (shadow[1] + "\n").encode("utf-8", "surrogateescape")
    for domain in domains(view, user):
        there = "backup/%s/" % domain
        for name, ending in BESIDE:
            take(there + name, "%s/domains/%s.%s" % (top, domain, ending))
        # a domain of the list without its file is one all the same
        out.setdefault(there + "domain.conf", b"")
        for path in ZONES:
            if "%s%s.db" % (there, domain) not in out:
                take("%s%s.db" % (there, domain), "%s/%s.db" % (path, domain))
        for name in ("passwd", "quota", "aliases", "autoresponder.conf", "vacation.conf"):
            take("%semail/%s" % (there, name), "%s/%s/%s" % (VIRTUAL, domain, name))
        for name in view.listdir("%s/%s/majordomo/lists" % (VIRTUAL, domain)):
            take("%semail/majordomo/lists/%s" % (there, name), "%s/%s/majordomo/lists/%s" % (VIRTUAL, domain, name))
    return out


def ftp_users(view, user, names):
    """{login: attributes} of an account's FTP users, from the FTP server's own file. The account itself is no object here: its password is its own."""
    out = {}
    for login, fields in _accounts.passwords(view.read(FTP)).items():
        person, sign, domain = login.rpartition("@")
        if len(fields) > 5 and sign and domain in names and person != user:
            out[escape(login)] = {"owner": escape(user), "home": escape(fields[5]), "password": _accounts.hashed(fields[1])}
    return out


def server(view):
    """{path: bytes} of the panel's own settings, which no account's archive has."""
    out = {}
    for pattern in SERVER:
        for path in view.glob(pattern):
            data = view.read(path, _homes.LARGEST)
            if data is not None:
                out[path] = data
    return out


def settings(files):
    """The packages as an inventory's objects; the lists are made again from the accounts."""
    return {escape(path): {"content": _inventory.secret(data), "bytes": len(data)} for path, data in files.items() if SETTINGS.match(path)}


def owner_of(name, accounts):
    """Whose a database or a user of one is: there is no list of them, only their prefix; the longest account's name that fits."""
    return max((user for user in accounts if name == user or name.startswith(user + "_")), key=len, default=None)


def inventory(view, found, query):
    """The inventory document of all accounts, by files and SQL."""
    objects, unlooked, accounts = {"ftp_user": {}}, [], users(view)
    for user in accounts:
        skipped = []
        for kind, entries in _directadmin_files.account(user, held(view, user, skipped)).items():
            objects.setdefault(kind, {}).update(entries)
        objects["ftp_user"].update(ftp_users(view, user, domains(view, user)))
        unlooked += [{"what": escape(what), "why": why} for what, why in skipped]
    objects.setdefault("setting", {}).update(settings(server(view)))
    try:
        live, people = _mysql_look.databases(query), _mysql_look.users(query)
    except IntactError as exc:
        live, people = {}, {}
        unlooked.append({"what": "the databases and their users: only the database server knows them", "why": str(exc)})
    for name, told in live.items():
        user = owner_of(name, accounts)
        if user and name != user:
            objects.setdefault("database", {})[escape(name)] = _mysql_look.database(user, told)
            unlooked += [{"what": "tables of database %s" % escape(name), "why": told["error"]}] if told["error"] else []
    for name, told in people.items():
        user = owner_of(name, accounts)
        # who may use no database is in no archive: these name users database by database
        if user and told["databases"]:
            objects.setdefault("database_user", {})[escape(name)] = _mysql_look.database_user(user, told)
    return _inventory.make("directadmin", version(view), escape(view.text("/etc/hostname").strip()), "files", objects, unlooked)
