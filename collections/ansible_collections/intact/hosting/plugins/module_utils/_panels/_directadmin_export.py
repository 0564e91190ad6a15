# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""DirectAdmin's export: one task for each account that has files, in a directory that both the panel's administrator and the account may enter."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
import tempfile

from ansible_collections.intact.hosting.plugins.module_utils._files import write_atomic
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import (
    _accounts,
    _directadmin_live,
    _directadmin_task,
    _homes,
    _inventory,
    _mysql_look,
    _ready,
)

PROGRAM = _directadmin_live.PROGRAM
QUEUE = _directadmin_live.ROOT + "/data/task.queue"
SERVER = "server.tar"
ENDING = ".transcript"
ARCHIVE = re.compile(r"(?:user|reseller|admin)\.[^.]+\.([A-Za-z0-9_-]+)\.tar(?:\.gz|\.zst)?\Z")
RUNNING = re.compile(r"(?:^|/)(?:directadmin|da) (?:admin-backup|taskq|user-backup|build|update)\b")
QUEUED = re.compile(r"(?:^|&)action=(backup|restore|update)\b")
DAY = 86400
# The parent of working directories. No customer may list it, all may pass: DirectAdmin works as the account in there.
WORK = "/var/lib/intact-directadmin"
# The data, the home's archive in it, and the archive around both.
COPIES = {"settings": 2, "full": 3}
SPARE = 256 << 20


@contextlib.contextmanager
def workspace(system, user):
    """A directory for one account's task; gone afterwards. Yields its path, as both we and the panel name it."""
    admin, account = _directadmin_live.ids(system, "admin"), _directadmin_live.ids(system, user)
    if not admin or not account:
        missing = "admin" if not admin else user
        raise IntactError("the host has no user %s, without whom DirectAdmin can't work" % missing, user=missing)
    parent = _homes.place(system, WORK, follow=False)
    os.makedirs(parent, mode=0o711, exist_ok=True)
    found = os.lstat(parent)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o022:
        raise IntactError("%s is not a directory of ours that only we may write to: remove it" % parent, path=parent)
    os.chmod(parent, 0o711)
    top = tempfile.mkdtemp(prefix=user + "-", dir=parent)
    try:
        output = os.path.join(top, "output")
        os.mkdir(output, 0o700)
        for path, owner, group, mode in ((output, admin[0], admin[1], 0o711), (top, admin[0], account[1], 0o710)):
            os.chown(path, owner, group)
            os.chmod(path, mode)
        yield output
    finally:
        os.chown(top, os.geteuid(), os.getegid())
        os.chmod(top, 0o700)
        shutil.rmtree(top, ignore_errors=True)


def hand_over(source, target, owner=None):
    """Copy an archive between the workspace, where others may write, and a private directory; a link or a second name is refused."""
    fd = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(fd, "rb") as handle:
        found = os.fstat(handle.fileno())
        if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
            raise IntactError("%s is no plain file with one name: it was not taken" % os.path.basename(source), path=source)
        new = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(new, "wb") as out:
            shutil.copyfileobj(handle, out, 1 << 20)
            if owner:
                os.fchown(out.fileno(), *owner)
        after = os.fstat(handle.fileno())
    if (after.st_size, after.st_mtime_ns) != (found.st_size, found.st_mtime_ns):
        raise IntactError("%s was still written to while it was taken" % os.path.basename(source), path=source)


def export(system, found, mode, target, say):
    """Write all accounts' archives into `target`."""
    if not system.which(PROGRAM):
        raise IntactError("%s can't be run: this DirectAdmin can't export an account" % PROGRAM, program=PROGRAM)
    accounts = _directadmin_live.users(system)
    files, said, worst = [], [], 0
    for number, user in enumerate(accounts, 1):
        say("directadmin: account %d of %d: %s" % (number, len(accounts), user))
        status, text, names = _one(system, user, mode, target)
        worst = max(worst, abs(status))
        write_atomic(os.path.join(target, user + ENDING), text.encode("utf-8", "surrogateescape"), 0o600)
        files += [{"name": name, "role": "artefact"} for name in names + [user + ENDING]]
        said.append("%s: status %d, %s" % (user, status, "an archive" if names else "no archive"))
        words = [line for line in text.split("\n") if re.search(r"\berror\b|cannot|can't|no space", line, re.I) and "task=" not in line]
        said += ["%s: %s" % (user, line.strip()[:300]) for line in words[:5]]
    _homes.write_tar(os.path.join(target, SERVER), {path.lstrip("/"): data for path, data in _directadmin_live.server(system).items()})
    return {"files": files + [{"name": SERVER, "role": "artefact"}] + _homes.kept_keys(system, keys(system), target), "said": said, "rc": worst}


def _one(system, user, mode, target):
    """(status, words, names of archives) of one account's task."""
    try:
        with workspace(system, user) as output:
            if mode == "full":
                argv = [PROGRAM, "admin-backup", "--destination=" + output, "--user=" + user]
            else:
                argv = [PROGRAM, "taskq", "--run=" + _directadmin_task.line(_directadmin_task.backup(user, output, False))]
            done = system.run(argv, timeout=DAY, check=False)
            text = _accounts.redact(done.text + done.err.decode("utf-8", "surrogateescape"))
            names = [name for name in sorted(os.listdir(output)) if ARCHIVE.match(name) and ARCHIVE.match(name).group(1) == user]
            for name in names:
                hand_over(os.path.join(output, name), os.path.join(target, name))
            return done.rc, text, names
    except (IntactError, OSError) as exc:
        # one account without an archive must not cost all others theirs
        return 1, "intact: %s\n" % exc, []


def keys(view, found=None):
    """The panel's own settings and its login to the database server."""
    return [path for path in _directadmin_live.KEYS if view.exists(path)]


def ready(system, found, mode, where):
    """Findings before an export."""
    out = busy(system)
    for path in _directadmin_live.KEYS:
        if not system.exists(path):
            remedy = "put it back from a backup of the server: without it the panel can't reach its database server or its licence"
            out.append(_inventory.finding("panel.key.missing", "directadmin", "file", path, "it is not there", "no such file", remedy))
    sizes = {}
    try:
        sizes = _mysql_look.sizes(_mysql_look.asking(system, found.get("defaults")))
    except IntactError as exc:
        remedy = "start the database server, or repair the login in %s: DirectAdmin would leave databases out and end with status 0" % _directadmin_live.MY_CNF
        title = "the database server does not answer the panel's login"
        out.append(_inventory.finding("panel.database.refused", "directadmin", "database", "server", title, str(exc), remedy))
    return out + _room(system, sizes, mode, where) + listed(system)


def busy(system):
    """A finding when a backup or a restore runs or is about to."""
    lines = [line.strip() for line in system.run(["ps", "-eo", "pid=,args="]).text.splitlines()] if system.which("ps") else []
    running = [line for line in lines if RUNNING.search(" ".join(line.split()[1:3]))]
    running += ["waits in task.queue: %s" % found.group(1) for found in map(QUEUED.search, _accounts.lines(system.read(QUEUE))) if found]
    if not running:
        return []
    evidence = "; ".join(_accounts.redact(line)[:120] for line in running[:3])
    return [_ready.busy("directadmin", "a backup, a restore or an update of its own", evidence)]


def _room(system, sizes, mode, where):
    accounts, needed, out = _directadmin_live.users(system), [], []
    for user in accounts:
        home = _directadmin_live.home(system, user)
        files, of_root = _homes.survey(system, home if mode == "full" else home + "/imap")
        needed.append(files + sum(count for name, count in sizes.items() if _directadmin_live.owner_of(name, accounts) == user))
        if of_root and mode == "full" and user != "admin":
            title, evidence = "root owns files in this home: DirectAdmin's restore stops at the first of them", ", ".join(of_root)
            remedy = "give them to the account: chown -h"
            out.append(_inventory.finding("panel.export.member", "directadmin", "customer", user, title, evidence, remedy, severity="warning"))
    largest = max(needed, default=0)
    wanted = [(where, _ready.packed(needed), "all accounts' data, and the largest account's once more (%d MiB)" % (largest >> 20))]
    wanted.append((os.path.dirname(WORK), COPIES[mode] * largest + SPARE, "%d times the largest account while it is packed" % COPIES[mode]))
    return out + _ready.rooms(system, "directadmin", wanted)


def listed(system):
    """Warnings about resellers' lists that leave out who has files, or name who has none."""
    accounts, out = _directadmin_live.users(system), []
    for user in accounts:
        told = _directadmin_live.conf(system, user)
        creator = told.get("creator", "")
        path = "%s/%s/users.list" % (_directadmin_live.DATA, creator)
        if told.get("usertype") == "user" and user not in [line.strip() for line in _accounts.lines(system.read(path))]:
            title, remedy = "the panel's list of its creator's users leaves this account out", "add it to %s; the export has the account all the same" % path
            evidence = "%s/%s/user.conf names the creator %s" % (_directadmin_live.DATA, user, creator)
            out.append(
                _inventory.finding("panel.object.missing", "directadmin", "customer", user, title, evidence, remedy, severity="warning", change="missing")
            )
    for path in system.glob(_directadmin_live.DATA + "/*/users.list"):
        for name in [line.strip() for line in _accounts.lines(system.read(path))]:
            if name not in accounts:
                title, remedy = "the panel lists an account that has no files", "find out whether this account was removed half-way"
                out.append(_inventory.finding("panel.object.extra", "directadmin", "customer", name, title, path, remedy, severity="warning", change="extra"))
    return out
