# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""cPanel's way back: what a checkpoint must hold, restorepkg for each account, the panel's own repair scripts; and archives made from a disk."""

from __future__ import annotations

import hashlib
import os
import re
import tarfile
from dataclasses import replace

from ansible_collections.intact.hosting.plugins.module_utils._files import write_atomic
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import (
    _accounts,
    _cpanel_export,
    _cpanel_files,
    _cpanel_live,
    _cpanel_said,
    _cpanel_verify,
    _homes,
    _inventory,
    _mysql_look,
    _repacked,
)

RESTOREPKG = "/usr/local/cpanel/scripts/restorepkg"
# What makes cPanel's maps again: the first and the last by its own docs, the other one by an administrator's notes.
REPAIRS = ("updateuserdomains", "updateuserdatacache", "rebuildhttpdconf")
PUT_BACK = ("/var/cpanel/packages/", "/var/cpanel/features/")
DAY = 86400
PATHS = (
    "/var/cpanel/users",
    "/var/cpanel/userdata",
    "/var/cpanel/databases",
    "/var/cpanel/packages",
    "/var/cpanel/features",
    "/var/cpanel/ssl",
    "/var/cpanel/suspended",
    "/var/cpanel/resellers",
    "/var/cpanel/authn",
    "/var/cpanel/cpanel.config",
    "/etc/userdomains",
    "/etc/trueuserdomains",
    "/etc/trueuserowners",
    "/etc/domainusers",
    "/etc/localdomains",
    "/etc/remotedomains",
    "/etc/valiases",
    "/etc/vdomainaliases",
    "/etc/vfilters",
    "/etc/proftpd",
    "/etc/named.conf",
    "/var/named",
    "/var/spool/cron",
    "/etc/passwd",
    "/etc/shadow",
    "/etc/group",
    "/etc/gshadow",
    "/usr/local/cpanel/3rdparty/mailman/lists",
)
SERVICES = ("cpanel", "crond", "dovecot", "exim", "httpd", "named")


def checkpoint(system, found):
    """What a restore changes: cPanel's own files, the settings in all homes, all customers' databases."""
    # what is not there is named as well: a restore may make it
    paths, databases = list(PATHS), set()
    for user in _cpanel_live.users(system):
        databases.update(_cpanel_live.databases(system, user))
        home = _cpanel_live.home(system, user)
        paths += [home + "/" + name for name in _cpanel_live.HOME]
    names = sorted(databases)
    return {"paths": paths, "databases": names, "data": names, "services": ["%s.service" % name for name in SERVICES]}


def reaches(system, found, opened):
    """Homes: those of accounts that are not here are made, and a full archive writes over all that is in one."""
    users = {_cpanel_verify.ARCHIVE.match(name).group(1) for name in _cpanel_verify.archives(opened.names("artefact"))}
    here = users & set(_cpanel_live.users(system))
    full = here if opened.document["mode"] == "full" else ()
    return {name: [_cpanel_live.home(system, user) for user in sorted(those)] for name, those in (("paths", users - here), ("loose", full))}


def restore(system, found, opened, say):
    """Each account by restorepkg, then what pkgacct had left out. A word of failure at status 0 counts as a failure."""
    if not system.which(RESTOREPKG):
        raise IntactError("%s is not there: install cPanel first" % RESTOREPKG, program=RESTOREPKG)
    names = opened.names("artefact")
    archives = _cpanel_verify.archives(names)
    if not archives:
        raise IntactError("this export holds no account's archive", path=opened.directory)
    said, worst = [], 0
    if _cpanel_export.SERVER in names:
        said += ["put back %s" % path for path in _server(system, opened)]
    here = set(_cpanel_live.users(system))
    groups = {name: number for number, name in _cpanel_live.names(system, "/etc/group").items()}
    for number, name in enumerate(archives, 1):
        user = _cpanel_verify.ARCHIVE.match(name).group(1)
        say("cpanel: account %d of %d: %s" % (number, len(archives), user))
        done = system.run([RESTOREPKG] + (["--force"] if user in here else []) + ["--allow_reseller", opened.files[name]], timeout=DAY, check=False)
        wrong = _cpanel_said.restored(done.text + "\n" + done.err.decode("utf-8", "surrogateescape"))
        worst = max(worst, abs(done.rc), int(bool(wrong)))
        said.append("%s: status %d" % (user, done.rc))
        said += ["%s: %s" % (user, _accounts.redact(line)[:300]) for line in wrong[:10]]
        ids = _cpanel_live.ids(system, user)
        if "home-%s.tar" % user in names and ids and not done.rc:
            count = _homes.put_back(system, _cpanel_live.home(system, user), opened.files["home-%s.tar" % user], ids, groups)
            said.append("%s: %d files of its mailboxes and protected directories" % (user, count))
    return {"said": said, "rc": worst}


def _server(system, opened):
    """Put back packages, features and second factors that are not there. What is there is the administrator's: it stays. Returns the paths."""
    done = []
    with tarfile.open(opened.files[_cpanel_export.SERVER], mode="r:") as archive:
        for member in archive:
            path = "/" + member.name
            if member.isfile() and path.startswith(PUT_BACK) and ".." not in path.split("/") and not system.exists(path):
                done.append(_write(system, path, archive.extractfile(member).read(), 0o644))
    for path in _cpanel_live.KEYS:
        name = _homes.key_name(path)
        if name in opened.names("key") and not system.exists(path):
            done.append(_write(system, path, opened.read(name), 0o600))
    return done


def _write(system, path, data, mode):
    real = _homes.place(system, path)
    os.makedirs(os.path.dirname(real), mode=0o755, exist_ok=True)
    write_atomic(real, data, mode)
    return path


def repair(system, found):
    """The panel's own scripts that make its maps again, then its own list of accounts. Findings of what went wrong."""
    out = []
    for name in REPAIRS:
        path = "/usr/local/cpanel/scripts/" + name
        if not system.which(path):
            continue
        done = system.run([path], timeout=3600, check=False)
        wrong = _cpanel_said.complaints((done.text + "\n" + done.error).split("\n"))
        if done.rc or wrong:
            words = wrong[0][1] if wrong else (done.error.splitlines() or done.text.strip().splitlines() or ["it says nothing"])[-1]
            evidence = "status %d: %s" % (done.rc, _accounts.redact(words)[:300])
            remedy = "run %s by hand and repair what it names" % path
            out.append(_inventory.finding("panel.native", "cpanel", "command", name, "the panel's own repair failed", evidence, remedy))
    return out + [replace(finding, severity="blocker") for finding in _cpanel_export.listed(system)]


def rescue(view, found, query, target):
    """Archives in pkgacct's layout, made from a disk's files, with dumps as far as its database could be started: restorepkg takes them elsewhere."""
    files, said, grants = [], ["made from the files of a disk, without cPanel: what pkgacct derives from a running server is not in it"], None
    try:
        grants = _mysql_look.grants(query) if query else None
    except IntactError as exc:
        said.append("users of databases: %s" % exc)
    for user in _cpanel_live.users(view):
        held = _cpanel_live.held(view, user)
        held["meta/user"] = (user + "\n").encode()
        databases, people = _cpanel_files.mapped(user, view.read("%s/%s.json" % (_cpanel_live.DATABASES, user)))
        dumps, why = _mysql_look.kept(query, databases or [], target)
        said += why
        held.update(("mysql/%s.sql" % name, path) for name, path in dumps.items())
        for name in databases or []:
            held["mysql/%s.create" % name] = ("CREATE DATABASE /*!32312 IF NOT EXISTS*/ %s;\n" % _mysql_look.quoted(name)).encode("utf-8", "surrogateescape")
        if grants is not None:
            held["mysql.sql"] = _grants(grants, set(people or []) | {user})
        name = "cpmove-%s.tar.gz" % user
        path = os.path.join(target, name)
        _homes.write_tar(path, {"cpmove-%s/%s" % (user, member): data for member, data in held.items()}, compress=True)
        write_atomic(os.path.join(target, user + _cpanel_export.ENDING), _transcript(user, path), 0o600)
        files += [{"name": entry, "role": "artefact"} for entry in (name, user + _cpanel_export.ENDING)]
    _homes.write_tar(os.path.join(target, _cpanel_export.SERVER), {path.lstrip("/"): data for path, data in _cpanel_live.server(view).items()})
    files.append({"name": _cpanel_export.SERVER, "role": "artefact"})
    return {"files": files + _homes.kept_keys(view, _cpanel_export.keys(view), target), "said": said, "rc": 0}


def _grants(grants, people):
    lines = ["-- cPanel mysql backup"]
    for name, host, digest, databases in grants:
        if name in people:
            lines.append("GRANT USAGE ON *.* TO '%s'@'%s' IDENTIFIED BY PASSWORD '%s';" % (name, host, digest))
            lines += ["GRANT ALL PRIVILEGES ON `%s`.* TO '%s'@'%s';" % (database, name, host) for database in databases]
    return ("\n".join(lines) + "\n").encode("utf-8", "surrogateescape")


def _transcript(user, path):
    """The lines that a verification asks for, in our name."""
    digest, size = hashlib.md5(), 0
    with open(path, "rb") as handle:
        for block in iter(lambda: handle.read(1 << 20), b""):
            digest.update(block)
            size += len(block)
    lines = ["pkgacct version 0 - user : %s - made by intact from a disk's files" % user, "pkgacctfile is: %s" % os.path.basename(path)]
    lines += ["md5sum is: %s" % digest.hexdigest(), "size is: %d" % size, "pkgacct completed"]
    return ("\n".join(lines) + "\n").encode()


def take(view, found, path, target, say):
    """The settings in a day's archives, as an export's files: sites and mail stay where they are."""
    files, said, users = [], ["taken from the panel's own backup: what pkgacct said of it is not known"], set()
    for name in [name for name in view.listdir(path) if _cpanel_verify.ARCHIVE.match(name)]:
        user = _cpanel_verify.ARCHIVE.match(name).group(1)
        if user in users:
            raise IntactError("%s has two archives of %s: which one counts can't be told" % (path, user), path=path)
        users.add(user)
        say("cpanel: the panel's own archive of %s" % user)
        made = "cpmove-%s.tar.gz" % user
        _repacked.settings(view, "%s/%s" % (path, name), os.path.join(target, made), name, lambda member, user=user: _settings(member, user))
        write_atomic(os.path.join(target, user + _cpanel_export.ENDING), _transcript(user, os.path.join(target, made)), 0o600)
        files += [{"name": entry, "role": "artefact"} for entry in (made, user + _cpanel_export.ENDING)]
    said += ["%s has no archive in it" % user for user in sorted(set(_cpanel_live.users(view)) - users)]
    return {"files": files, "said": said, "rc": 0, "lacks": sorted(set(_cpanel_live.users(view)) - users)}


def _settings(member, user):
    """What a member of the panel's own archive is called in one of ours, "" for a site, mail or a log; a function for a home in an archive of its own."""
    top, _slash, path = member.partition("/")
    if path == "homedir.tar" or re.match(r"homedir\.tar\.\w+\Z", path):
        return lambda inner: _settings("%s/homedir/%s" % (top, inner), user)
    if path.startswith("homedir/") and path.split("/")[1] not in _cpanel_live.HOME:
        return ""
    return "cpmove-%s/%s" % (user, path) if path else ""


def daily(view, found):
    """The panel's own dumps, newest first: one entry for each day's directory of archives."""
    top = _accounts.userdata(view.read("/var/cpanel/backups/config")).get("BACKUPDIR") or "/backup"
    out = []
    for pattern in ("/[0-9]*-[0-9]*-[0-9]*/accounts", "/weekly/[0-9]*/accounts", "/monthly/[0-9]*/accounts"):
        for path in view.glob(str(top).rstrip("/") + pattern):
            names = [name for name in view.listdir(path) if _cpanel_verify.ARCHIVE.match(name)]
            if names:
                made = path.split("/")[-2]
                lacks = "the server's own settings, second factors; what is taken of it lacks sites and mail"
                about = path[len(str(top).rstrip("/")) + 1 : -len("/accounts")]
                out.append({"path": path, "name": about, "made": made, "holds": "%d accounts as pkgacct packs them" % len(names), "lacks": lacks})
    return sorted(out, key=lambda entry: entry["made"], reverse=True)
