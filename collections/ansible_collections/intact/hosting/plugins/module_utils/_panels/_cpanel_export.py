# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""cPanel's export: pkgacct for each account that has files, whatever the panel's list says; what pkgacct leaves out beside it; and whether it may begin."""

from __future__ import annotations

import os
import re
import shutil

from ansible_collections.intact.hosting.plugins.module_utils._files import write_atomic
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import _accounts, _cpanel_live, _cpanel_said, _homes, _inventory, _mysql_look, _ready

PKGACCT = "/usr/local/cpanel/scripts/pkgacct"
WHMAPI = "/usr/local/cpanel/bin/whmapi1"
SERVER = "server.tar"
ENDING = ".transcript"
# Other runs of these programs would be in our way, or we in theirs.
RUNNING = re.compile(r"(?:^|/)(?:pkgacct|restorepkg|cpbackup|upcp|cpanel/bin/backup|elevate-cpanel)(?:\s|$)|/usr/local/cpanel/bin/backup\b")
# pkgacct needs twice the largest account and 1 GB.
SPARE = 10**9
DAY = 86400


def ready(system, found, mode, where):
    """Findings before an export. where: the directory that it will be written below."""
    out = busy(system)
    query = _mysql_look.asking(system, found.get("defaults"))
    sizes = {}
    try:
        sizes = _mysql_look.sizes(query)
    except IntactError as exc:
        remedy = "start the database server, or repair the login in /root/.my.cnf: pkgacct would leave all databases out and end with status 0"
        title = "the database server does not answer the panel's login"
        out.append(_inventory.finding("panel.database.refused", "cpanel", "database", "server", title, str(exc), remedy))
    out += _space(system, sizes, mode, where)
    return out + listed(system)


def busy(system):
    """A finding when a backup, a restore or an upgrade of cPanel runs."""
    if not system.which("ps"):
        return []
    lines = [line.strip() for line in system.run(["ps", "-eo", "pid=,args="]).text.splitlines()]
    running = [line for line in lines if RUNNING.search(" ".join(line.split()[1:4]))]
    if not running:
        return []
    evidence = "; ".join(_accounts.redact(line)[:120] for line in running[:3])
    return [_ready.busy("cpanel", "a backup, a restore or an update of its own", evidence)]


def _space(system, sizes, mode, where):
    needed = []
    for user in _cpanel_live.users(system):
        held = sum(sizes.get(name, 0) for name in _cpanel_live.databases(system, user))
        needed.append(held + (_homes.survey(system, _cpanel_live.home(system, user))[0] if mode == "full" else 0))
    # pkgacct: twice the account that it works on, beside the archives that are there by then
    rule = "all accounts' data, the largest account's once more (%d MiB), and 1 GB" % (max(needed, default=0) >> 20)
    return _ready.rooms(system, "cpanel", [(where, _ready.packed(needed) + SPARE, rule)])


def listed(system):
    """Warnings about the panel's own list of accounts: it refuses to give it, or leaves out who has files, or has who has none."""
    data, why = asked(system, "listaccts")
    if data is None:
        title = "the panel's own list of accounts can't be had"
        remedy = "run %s listaccts and repair what it complains about (licence, damaged user files)" % WHMAPI
        return [_inventory.finding("panel.native", "cpanel", "command", "whmapi1 listaccts", title, why, remedy, severity="warning")]
    told = {str(entry.get("user")) for entry in data.get("acct") or [] if isinstance(entry, dict)}
    here = set(_cpanel_live.users(system))
    remedy = "look at %s/%%s, then run /usr/local/cpanel/scripts/updateuserdomains; the export has the account all the same" % _cpanel_live.USERS
    out = []
    for name in sorted(here - told):
        title, evidence = (
            "the panel's own list leaves this account out",
            "it has a file in %s; whmapi1 listaccts names %d others" % (_cpanel_live.USERS, len(told)),
        )
        out.append(_inventory.finding("panel.object.missing", "cpanel", "customer", name, title, evidence, remedy % name, severity="warning", change="missing"))
    for name in sorted(told - here):
        title, evidence = "the panel lists an account that has no file", "%s/%s is not there or empty" % (_cpanel_live.USERS, name)
        more = "find out whether this account was removed half-way; pkgacct can't pack it"
        out.append(_inventory.finding("panel.object.extra", "cpanel", "customer", name, title, evidence, more, severity="warning", change="extra"))
    return out


def asked(system, function):
    """(data, why not) of a function of the API."""
    if not system.which(WHMAPI):
        return None, "%s is not there" % WHMAPI
    return _cpanel_said.answer(system.run([WHMAPI, "--output=json", function], timeout=600, check=False))


def export(system, found, mode, target, say):
    """Write all accounts' archives into `target`."""
    if not system.which(PKGACCT):
        raise IntactError("%s is not there: this cPanel can't export an account" % PKGACCT, program=PKGACCT)
    users = _cpanel_live.users(system)
    files, said, worst = [], [], 0
    owners, groups = _cpanel_live.names(system, "/etc/passwd"), _cpanel_live.names(system, "/etc/group")
    for number, user in enumerate(users, 1):
        say("cpanel: account %d of %d: %s" % (number, len(users), user))
        done = system.run([PKGACCT] + (["--skiphomedir"] if mode == "settings" else []) + [user, target], timeout=DAY, check=False)
        worst = max(worst, abs(done.rc))
        text = _accounts.redact(done.text + done.err.decode("utf-8", "surrogateescape"))
        write_atomic(os.path.join(target, user + ENDING), text.encode("utf-8", "surrogateescape"), 0o600)
        # an archive that pkgacct did not write is told by verify, with its words
        wrote = [name for name in ("cpmove-%s.tar.gz" % user, user + ENDING) if os.path.lexists(os.path.join(target, name))]
        files += [{"name": name, "role": "artefact"} for name in wrote]
        said += _summary(user, done, text)
        # what a run that broke off left of its working directory is no part of the export
        shutil.rmtree(os.path.join(target, "cpmove-" + user), ignore_errors=True)
        if mode == "settings":
            left = _homes.pack(system, _cpanel_live.home(system, user), _cpanel_live.HOME, os.path.join(target, "home-%s.tar" % user), owners, groups)
            said += ["%s: left out: %s" % (user, sentence) for sentence in left[:5]]
            files.append({"name": "home-%s.tar" % user, "role": "artefact"})
    _homes.write_tar(os.path.join(target, SERVER), {path.lstrip("/"): data for path, data in _cpanel_live.server(system).items()})
    files.append({"name": SERVER, "role": "artefact"})
    files += _homes.kept_keys(system, keys(system), target)
    return {"files": files, "said": said, "rc": worst}


def _summary(user, done, text):
    told = _cpanel_said.package(text)
    words = [line for _ident, line in told.complaints[:5]] or ([text.strip().splitlines()[0]] if done.rc and text.strip() else [])
    ended = "pkgacct completed" if told.ended else "pkgacct did not say that it completed"
    return ["%s: status %d, %s" % (user, done.rc, ended)] + ["%s: %s" % (user, line[:300]) for line in words]


def keys(view, found=None):
    """Key material that belongs to an export and is there."""
    return [path for path in _cpanel_live.KEYS if view.exists(path)]
