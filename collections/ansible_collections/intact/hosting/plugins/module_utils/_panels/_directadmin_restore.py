# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""DirectAdmin's way back: what a checkpoint must hold, one task for each account, the panel's rewrite of what it makes; and archives made from a disk."""

from __future__ import annotations

import datetime
import os
import re
import tarfile
import urllib.parse
from dataclasses import replace

from ansible_collections.intact.hosting.plugins.module_utils._files import write_atomic
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import (
    _accounts,
    _directadmin_export,
    _directadmin_files,
    _directadmin_live,
    _directadmin_task,
    _directadmin_verify,
    _homes,
    _inventory,
    _mysql_look,
    _repacked,
)

PROGRAM, DATA, ROOT = _directadmin_live.PROGRAM, _directadmin_live.DATA, _directadmin_live.ROOT
PATHS = (
    ROOT + "/data/users",
    ROOT + "/data/admin",
    ROOT + "/conf",
    "/etc/virtual",
    "/etc/named.conf",
    "/var/named",
    "/etc/bind",
    "/etc/proftpd.passwd",
    "/etc/passwd",
    "/etc/shadow",
    "/etc/group",
    "/etc/gshadow",
    "/var/spool/cron",
    "/etc/httpd/conf/extra",
)
SERVICES = ("crond", "directadmin", "dovecot", "exim", "httpd", "named", "proftpd", "pure-ftpd")
DAY = 86400
# Rights that a customer's user of a database has, as an archive names them.
RIGHTS = (
    "alter_priv alter_routine_priv create_priv create_routine_priv create_tmp_table_priv create_view_priv delete_priv drop_priv event_priv execute_priv"
    " index_priv insert_priv lock_tables_priv references_priv select_priv show_view_priv trigger_priv update_priv"
).split()


def checkpoint(system, found):
    """What a restore changes: the panel's own files, mail and zones, all customers' databases. Raises when the database server does not tell these."""
    accounts = _directadmin_live.users(system)
    names = _mysql_look.databases(_mysql_look.asking(system, found.get("defaults")))
    databases = sorted(name for name in names if _directadmin_live.owner_of(name, accounts) not in (None, name))
    # what is not there is named as well: a restore may make it. An archive of settings has mail in it
    mail = [_directadmin_live.home(system, user) + "/imap" for user in accounts]
    return {"paths": list(PATHS), "loose": mail, "databases": databases, "data": databases, "services": ["%s.service" % name for name in SERVICES]}


def reaches(system, found, opened):
    """Homes: those of accounts that are not here are made, and a full archive writes over all that is in one."""
    users = {_directadmin_export.ARCHIVE.match(name).group(1) for name in _directadmin_verify.archives(opened.names("artefact"))}
    here = users & set(_directadmin_live.users(system))
    full = here if opened.document["mode"] == "full" else ()
    return {name: [_directadmin_live.home(system, user) for user in sorted(those)] for name, those in (("paths", users - here), ("loose", full))}


def restore(system, found, opened, say):
    """Each account by a task of its own, in a directory that the panel may enter. Status 0 is no success; neither is an account that is not there."""
    if not system.which(PROGRAM):
        raise IntactError("%s can't be run: install DirectAdmin first" % PROGRAM, program=PROGRAM)
    archives = _directadmin_verify.archives(opened.names("artefact"))
    if not archives:
        raise IntactError("this export holds no account's archive", path=opened.directory)
    said, worst = ["put back %s" % path for path in _server(system, opened)], 0
    # who creates accounts comes before those whom they created
    order = {"admin": 0, "reseller": 1, "user": 2}
    for number, name in enumerate(sorted(archives, key=lambda n: (order[n.split(".")[0]], n)), 1):
        user = _directadmin_export.ARCHIVE.match(name).group(1)
        say("directadmin: account %d of %d: %s" % (number, len(archives), user))
        status, words = _one(system, opened, user, name)
        worst = max(worst, abs(status), int(bool(words)))
        said.append("%s: status %d" % (user, status))
        said += ["%s: %s" % (user, _accounts.redact(line)[:300]) for line in words[:10]]
    return {"said": said, "rc": worst}


def _one(system, opened, user, name):
    """(status, words of failure) of one account's restore."""
    # an account that is to be made has no group yet: the administrator's directory is enough
    owner = user if _directadmin_live.ids(system, user) else "admin"
    with _directadmin_export.workspace(system, owner) as output:
        # what DirectAdmin unpacks is read by the account, too
        _directadmin_export.hand_over(opened.files[name], os.path.join(output, name), _directadmin_live.ids(system, "admin"))
        done = system.run([PROGRAM, "taskq", "--run=" + _directadmin_task.line(_directadmin_task.restore(name, output))], timeout=DAY, check=False)
        told = _directadmin_task.told(done.text + "\n" + done.err.decode("utf-8", "surrogateescape"), "restore", name, output)
    words = [line for _ident, line in told.complaints] + ([] if told.ended else [told.why])
    if not _directadmin_live.conf(system, user):
        words.append("the account is not there after its restore")
    return done.rc, words


def _server(system, opened):
    """Put back packages that are not there; what is there is the administrator's. Returns the paths."""
    done = []
    if _directadmin_export.SERVER not in opened.names("artefact"):
        return done
    with tarfile.open(opened.files[_directadmin_export.SERVER], mode="r:") as archive:
        for member in archive:
            path = "/" + member.name
            known = path.startswith(ROOT + "/data/") and _directadmin_live.SETTINGS.match(path) and ".." not in path.split("/")
            if member.isfile() and known and not system.exists(path):
                real = _homes.place(system, path)
                os.makedirs(os.path.dirname(real), mode=0o711, exist_ok=True)
                write_atomic(real, archive.extractfile(member).read(), 0o600)
                done.append(path)
    return done


def repair(system, found):
    """The panel writes the web server's configuration again; then its own lists of accounts. Findings of what went wrong."""
    out, task = [], {"action": "rewrite", "value": "httpd"}
    if system.which(PROGRAM):
        done = system.run([PROGRAM, "taskq", "--run=" + _directadmin_task.line(task)], timeout=3600, check=False)
        wrong = [line for line in (done.text + "\n" + done.error).split("\n") if re.search(r"\berror\b", line, re.I)]
        if done.rc or wrong:
            evidence = "status %d: %s" % (done.rc, _accounts.redact((wrong or ["it says nothing"])[0])[:300])
            remedy = "run 'directadmin taskq --run=action=rewrite&value=httpd' by hand and repair what it names"
            title = "the panel could not write the web server's configuration"
            out.append(_inventory.finding("panel.native", "directadmin", "command", "rewrite httpd", title, evidence, remedy))
    return out + [replace(finding, severity="blocker") for finding in _directadmin_export.listed(system)]


def rescue(view, found, query, target):
    """Archives in DirectAdmin's layout, made from a disk's files. With dumps, as far as the disk's database could be started."""
    files = []
    said = ["made from the files of a disk, without DirectAdmin; rights on databases are written as all that a customer's user can have"]
    grants, dumps, accounts = [], {}, _directadmin_live.users(view)
    try:
        grants = _mysql_look.grants(query) if query else []
        names = [name for (name,) in query("", _mysql_look.NAMES)] if query else []
        dumps, why = _mysql_look.kept(query, [name for name in names if _directadmin_live.owner_of(name, accounts) not in (None, name)], target)
        said += why
    except IntactError as exc:
        said.append("databases and their users: %s" % exc)
    for user in accounts:
        held = _directadmin_live.held(view, user)
        for name, data in _databases(user, accounts, grants).items():
            held["backup/%s.conf" % name] = data
        held.update(("backup/%s.sql" % name, path) for name, path in dumps.items() if _directadmin_live.owner_of(name, accounts) == user)
        for domain in _directadmin_live.domains(view, user):
            held["backup/%s/ftp.passwd" % domain] = _ftp(view, domain)
        held["backup/backup_options.list"] = ("\n".join(_directadmin_files.OPTIONS) + "\n").encode()
        told = _directadmin_live.conf(view, user)
        kind = told.get("usertype") if told.get("usertype") in ("admin", "reseller") else "user"
        name = "%s.%s.%s.tar.gz" % (kind, told.get("creator") or "admin", user)
        if not _directadmin_export.ARCHIVE.match(name):
            name = "%s.admin.%s.tar.gz" % (kind, user)
        _homes.write_tar(os.path.join(target, name), held, compress=True)
        files.append({"name": name, "role": "artefact"})
    _homes.write_tar(os.path.join(target, _directadmin_export.SERVER), {path.lstrip("/"): data for path, data in _directadmin_live.server(view).items()})
    files.append({"name": _directadmin_export.SERVER, "role": "artefact"})
    return {"files": files + _homes.kept_keys(view, _directadmin_export.keys(view), target), "said": said, "rc": 0}


def _databases(user, accounts, grants):
    """{database: users with their hashes} of one account."""
    out = {}
    for name, host, digest, patterns in grants:
        for pattern in patterns:
            database = re.sub(r"\\([_%])", r"\1", pattern)
            if database.startswith(user + "_") and _directadmin_live.owner_of(database, accounts) == user:
                rights = "&".join("%s=Y" % right for right in RIGHTS)
                entry = "%s=%s&passwd=%s" % (name, rights, urllib.parse.quote(digest, safe=""))
                out.setdefault(database, {}).setdefault("users", []).append(entry)
                out[database].setdefault("hosts", set()).add(host)
    return {
        database: (
            "\n".join(sorted(set(told["users"])) + ["accesshosts=%s" % "&".join("%d=%s" % pair for pair in enumerate(sorted(told["hosts"])))]) + "\n"
        ).encode()
        for database, told in out.items()
    }


def _ftp(view, domain):
    lines = []
    for login, fields in _accounts.passwords(view.read(_directadmin_live.FTP)).items():
        if len(fields) > 5 and login.rpartition("@")[2] == domain:
            lines.append("%s=passwd=%s&path=%s&type=custom" % (login, urllib.parse.quote(fields[1], safe=""), urllib.parse.quote(fields[5])))
    return ("".join(line + "\n" for line in lines)).encode("utf-8", "surrogateescape")


def take(view, found, path, target, say):
    """The settings in the panel's own archives of a directory, as an export's files: sites and mail stay where they are."""
    files, said, users = [], ["taken from the panel's own backup: what DirectAdmin said of it is not known"], set()
    for name in [name for name in view.listdir(path) if _directadmin_export.ARCHIVE.match(name)]:
        user = _directadmin_export.ARCHIVE.match(name).group(1)
        if user in users:
            raise IntactError("%s has two archives of %s: which one counts can't be told" % (path, user), path=path)
        users.add(user)
        say("directadmin: the panel's own archive of %s" % user)
        made = re.sub(r"\.tar(?:\.gz|\.zst)?\Z", ".tar.gz", name)
        # the directory is an account's: a link there must not bring us somebody else's file
        _repacked.settings(view, "%s/%s" % (path, name), os.path.join(target, made), name, _settings, below="/home")
        files.append({"name": made, "role": "artefact"})
    lacking = sorted(set(_directadmin_live.users(view)) - users)
    return {"files": files, "said": said + ["%s has no archive in it" % user for user in lacking], "rc": 0, "lacks": lacking}


def _settings(member):
    """What a member of the panel's own archive is called in one of ours; "" for a site, a home or mail."""
    return member if member.startswith("backup/") and not _directadmin_verify.HOME.match(member) else ""


def daily(view, found):
    """The panel's own dumps, newest first: directories with archives of accounts."""
    out = []
    for path in ["/home/admin/admin_backups"] + view.glob("/home/admin/admin_backups/*"):
        names = [name for name in view.listdir(path) if _directadmin_export.ARCHIVE.match(name)] if _directory(view, path) else []
        if names:
            made = max((view.lstat("%s/%s" % (path, name)).st_mtime for name in names), default=0)
            lacks = "the panel's own settings and its login to the database server; what is taken of it lacks sites and mail"
            about = os.path.relpath(path, "/home/admin")
            out.append({"path": path, "name": about, "made": _moment(made), "holds": "%d accounts as DirectAdmin packs them" % len(names), "lacks": lacks})
    return sorted(out, key=lambda entry: entry["made"], reverse=True)


def _directory(view, path):
    # the administrator's home is nobody's whom root should follow
    return view.readlink(path) is None and view.exists(path)


def _moment(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
