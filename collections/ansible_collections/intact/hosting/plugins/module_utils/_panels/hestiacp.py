# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""HestiaCP, and Vesta, from which it comes: settings are files below data/users, exports are tars of v-backup-user, one for each customer."""

from __future__ import annotations

import os
import re
import time

from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import (
    _hestia_conf,
    _hestia_files,
    _hestia_restore,
    _hestia_verify,
    _inventory,
    _measured,
    _ready,
    _state,
)
from ansible_collections.intact.hosting.plugins.module_utils._panels import _mysql_login as mysql
from ansible_collections.intact.hosting.plugins.module_utils._panels import _panel_host as host

NAME, TITLE, MET = "hestiacp", "HestiaCP (Vesta)", "stand-in"
SOURCES = (
    "hestiacp/hestiacp at d128cc6 (1.10.0): bin/v-backup-user, v-restore-user, v-list-users, func/main.sh, func/backup.sh, func/db.sh",
    "HestiaCP's own scripts, run in a chroot: exit statuses, the truncated tar at exit 0, the customer whom the list omits",
    "serghey-rodin/vesta at bba7400: bin/v-backup-user (read only)",
)
ROOTS = (("hestia", "/usr/local/hestia"), ("vesta", "/usr/local/vesta"))
BACKUPS = "/backup"
PROGRAMS = r"v-backup-user(?:s|-config|-restic)?|v-backup-users-restic|v-restore-user(?:-restic)?|mysqldump|mariadb-dump"
FULL = 95
SETTINGS_ROOM = 64 << 20
MIB = 1 << 20


def detect(view):
    """What is there, by files: flavour hestia or vesta, where it lies, its version."""
    for flavour, root in ROOTS:
        conf = "%s/conf/%s.conf" % (root, flavour)
        if view.exists(root + "/bin/v-list-users") or view.exists(conf):
            held = _hestia_conf.pairs(view.text(conf))
            return {"version": held.get("VERSION", ""), "root": root, "flavour": flavour, "branch": held.get("RELEASE_BRANCH", "")}
    return None


def _conf(view, found):
    return _hestia_conf.pairs(view.text("%s/conf/%s.conf" % (found["root"], found["flavour"])))


def environment(found):
    """Vesta's programs find themselves by a variable that a login shell has."""
    return {"VESTA": found["root"]} if found["flavour"] == "vesta" else {}


def program(found, name):
    """Full path of one of the panel's programs."""
    return "%s/bin/%s" % (found["root"], name)


def login(view, found):
    """The panel's login at its first MariaDB or MySQL, None when it has none."""
    for held in _hestia_conf.lines(view.text(found["root"] + "/conf/mysql.conf")):
        if held.get("USER") and held.get("HOST", "") in ("localhost", "127.0.0.1", ""):
            return mysql.Login(held["USER"], held.get("PASSWORD", ""))
    return None


def inventory(system, found, query=None):
    """The customers' files, whether their sites and mail are there, and which tables of their databases hold something."""
    unlooked, several, measured = [], [], {"domain": {}, "mailbox": {}, "setting": {}}
    known = login(system, found)
    ask = query or (mysql.asking(system, known) if known else None)
    for customer in _hestia_files.live(system, found["root"]):
        if not customer.user:
            unlooked.append({"what": "customer %s" % escape(customer.name), "why": "data/users/%s has no user.conf" % escape(customer.name)})
        objects = _hestia_conf.objects(customer)
        _stored(system, customer.name, objects, measured)
        several.append(objects)
    objects = _hestia_conf.merged(several)
    for path in system.glob(found["root"] + "/conf/*.conf") + system.glob(found["root"] + "/data/packages/*.pkg"):
        name, attributes = _hestia_files.package(path, system.read(path) or b"")
        # conf belongs to the version that is installed: an export has it, a restore leaves it
        (measured if name.startswith("conf/") else objects).setdefault("setting", {})[name] = attributes
    names = [name for name, entry in objects.get("database", {}).items() if entry.get("type", "mysql") == "mysql"]
    measured["database"] = _measured.databases(ask, names, unlooked) if ask else {}
    host_name, route = _state.host_of(system)[0], {"kind": "files", "of": "data/users"}
    return _measured.beside(_inventory.make(NAME, found["version"], host_name, route, objects, unlooked), measured)


def _stored(system, customer, objects, measured):
    """Whether what the panel lists is on the disk: the panel's backup is silent about what is not."""
    for name, entry in objects.get("domain", {}).items():
        if "web_customer" in entry:
            measured["domain"][name] = {"stored": "yes" if system.exists("/home/%s/web/%s/public_html" % (customer, name)) else "no"}
    for address in objects.get("mailbox", {}):
        account, _at, domain = address.rpartition("@")
        measured["mailbox"][address] = {"stored": "yes" if system.exists("/home/%s/mail/%s/%s" % (customer, domain, account)) else "no"}


def ready(system, found, mode="settings", where=_ready.ROOT):
    """What keeps an export from being taken now: a panel at work, no room by the panel's own estimate, a server that refuses, no backup allowed."""
    conf, out = _conf(system, found), []
    for number, name in host.at_work(system, PROGRAMS):
        out.append(_ready.busy(NAME, name, "it runs as process %d; v-backup-user waits for a running dump without end" % number))
    out += _room(system, found, mode, where)
    known = login(system, found)
    if known and "mysql" in conf.get("DB_SYSTEM", ""):
        out += mysql.refused(NAME, mysql.asking(system, known))
    if mode == "full":
        out += _backups(system, conf)
    for path in keys(system, found):
        if not system.exists(path):
            title, remedy = "key material of the panel is not there", "put it back; without it databases can't be reached after a restore"
            out.append(_inventory.finding("panel.key.missing", NAME, "setting", path, title, "no such file", remedy))
    return out


def _backups(system, conf):
    """What the panel's own backups of customers wait for, or are not made for; settings are packed without them."""
    out, (now, processors) = [], host.load(system)
    limit = conf.get("BACKUP_LA_LIMIT", "")
    limit = int(limit) if limit.isdigit() else processors
    if int(now) >= limit:
        out.append(_ready.busy(NAME, "other work", "the load is %.2f, from %d on (BACKUP_LA_LIMIT) v-backup-user waits without end" % (now, limit)))
    if "local" not in re.split(r"[,\s]+", conf.get("BACKUP_SYSTEM", "")):
        title = "the panel keeps no backup on this host"
        evidence = "BACKUP_SYSTEM is %r: with ftp and no configuration of it, v-backup-user ends with 0 and makes nothing" % conf.get("BACKUP_SYSTEM", "")
        remedy = "add local to BACKUP_SYSTEM; an export of the settings alone does not need it"
        out.append(_inventory.finding("panel.export.failed", NAME, "setting", "BACKUP_SYSTEM", title, evidence, remedy, severity="warning"))
    return out


def _room(system, found, mode, where):
    """R9, as v-backup-user reckons: twice what the largest customer uses, and a disk that is not 95 % full. Then its archives are taken to the export."""
    if mode != "full":
        return _ready.rooms(system, NAME, [(where, SETTINGS_ROOM, "the panel's settings")])
    have, percent = host.free(system, BACKUPS)
    out, used = [], {}
    for customer in _hestia_files.live(system, found["root"]):
        told = _hestia_conf.pairs(customer.user).get("U_DISK", "")
        used[customer.name] = MIB * (int(told) if told.isdigit() else 0)
        wanted = 2 * used[customer.name]
        out += host.room(system, NAME, BACKUPS, wanted, escape(customer.name), "twice what the customer uses") if wanted > have else []
    if percent >= FULL:
        evidence, remedy = "%s is %d %% full, v-backup-user stops at %d %%" % (BACKUPS, percent, FULL), "make room at %s" % BACKUPS
        out.append(_inventory.finding("panel.space", NAME, "directory", BACKUPS, "there is no room for the export", evidence, remedy))
    if out:
        return out
    # each archive lies at both places until the panel's own rotation removes it
    every = [(where, _ready.packed(used.values()) + SETTINGS_ROOM, "what all customers use, and the largest once more")]
    return _ready.rooms(system, NAME, every + [(BACKUPS, 2 * max(used.values(), default=0), "twice what the largest customer uses")])


def keys(view, found):
    """The logins of the database servers; the certificate of the panel itself."""
    conf = _conf(view, found).get("DB_SYSTEM", "")
    out = ["%s/conf/%s.conf" % (found["root"], name) for name in ("mysql", "pgsql") if name in conf]
    return out + [path for path in (found["root"] + "/ssl/certificate.key",) if view.exists(path)]


def export(system, found, mode, target, say):
    """The settings as an archive of ours; in mode full also a backup of each customer, the ones that the panel's own list leaves out included."""
    say("settings of %s" % TITLE)
    paths, without = _hestia_restore.settings_paths(found)
    said = ["setting panel: %s" % line for line in host.pack(system, target, _hestia_verify.SETTINGS, paths, without)]
    files, worst = [{"name": _hestia_verify.SETTINGS, "role": "artefact"}], 0
    if keys(system, found):
        said += ["setting key: %s" % line for line in host.pack(system, target, _hestia_verify.KEYS, keys(system, found))]
        files.append({"name": _hestia_verify.KEYS, "role": "key"})
    for name in _hestia_files.names(system, found["root"]) if mode == "full" else []:
        say("backup of customer %s" % escape(name))
        status, lines, made = _backup(system, found, name, target)
        said += ["customer %s: %s" % (escape(name), line) for line in lines]
        files += [{"name": made, "role": "artefact"}] if made else []
        worst = max(worst, status)
    return {"files": files, "said": said, "rc": worst}


def _backup(system, found, name, target):
    """(exit status, lines, name of the archive or "") of one customer's backup."""
    begun = time.time()
    done = host.call(system, [program(found, "v-backup-user"), name, "no"], environment(found))
    told = host.words(done)
    lines = [line for line in told if re.search("|".join(_hestia_verify.ERRORS + _hestia_verify.HARMLESS) + "|Error", line)]
    if done.rc:
        error = next((line for line in told if line.startswith("Error:")), (told or ["no word about why"])[-1])
        lines = ["exit %d (%s): %s" % (done.rc, _hestia_conf.status(done.rc), error)] + [line for line in lines if line != error]
        # seen with an invalid object: copies of the shadow line stay behind
        lines += ["%s was left behind, with a copy of the shadow line: remove it" % path for path in system.glob(BACKUPS + "/tmp.*")]
    match = re.search(r"Local: (\S+/)?(%s\.\d{4}-\S+\.tar)\s*$" % re.escape(name), "\n".join(told), re.M)
    if not match:
        return done.rc, lines + ([] if done.rc else ["no archive was made, at exit 0"]), ""
    why = host.take(system, (match.group(1) or BACKUPS + "/") + match.group(2), target, match.group(2), newer=begun)
    return done.rc, lines + ([why] if why else []), "" if why else match.group(2)


def verify(opened, inventory, mode):
    """Offline: see _hestia_verify."""
    settings = inventory.get("measured", {}).get("setting", {})
    root = next((root for flavour, root in ROOTS if "conf/%s.conf" % flavour in settings), ROOTS[0][1])
    return _hestia_verify.verify(NAME, opened, inventory, mode, root)


def native(system, found, opened):
    """The panel has no check of a backup. What it has is a list; whom it leaves out is in the export all the same, and in no backup of the panel's own."""
    done = host.call(system, [program(found, "v-list-users"), "list"], environment(found), timeout=600)
    if done.rc:
        return [_native("setting", "v-list-users", "the panel can't list its customers", "exit %d" % done.rc)]
    out = []
    for name in sorted(set(_hestia_files.names(system, found["root"])) - set(done.text.split())):
        evidence = "data/users/%s is there, v-list-users does not tell it: no @ in the comment of /etc/passwd, or no account there" % escape(name)
        remedy = "give the account its e-mail address as comment (usermod -c); until then the panel's own nightly backup leaves this customer out"
        out.append(_native("customer", escape(name), "the panel's own list leaves this customer out", evidence, remedy, "warning"))
    return out


def _native(kind, name, title, evidence, remedy="run the program by hand and repair what it says", severity="blocker"):
    return _inventory.finding("panel.native", NAME, kind, name, title, evidence, remedy, severity)


def checkpoint(system, found):
    """What a restore may change."""
    databases = []
    for customer in _hestia_files.live(system, found["root"]):
        engines = {"mysql": "mysql", "pgsql": "postgresql"}
        held = [one for one in _hestia_conf.lines(customer.db) if one.get("DB")]
        databases += [{"engine": engines.get(one.get("TYPE", ""), "mysql"), "name": one["DB"]} for one in held]
    paths = [found["root"] + "/conf", found["root"] + "/data", found["root"] + "/ssl", "/etc/hestiacp"]
    paths += ["/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow", "/var/spool/cron/crontabs"]
    paths += ["/home/%s/conf" % name for name in _hestia_files.names(system, found["root"])]
    return {
        "paths": paths,
        "databases": sorted(databases, key=lambda database: database["name"]),
        "services": ["hestia" if found["flavour"] == "hestia" else "vesta"],
    }


def reaches(system, found, opened):
    """Homes of the customers whose backups are in it: v-restore-user makes them, and writes over what is in them."""
    names = sorted({match.group("user") for match in map(_hestia_verify.ARTEFACT.match, opened.names("artefact")) if match})
    homes = ["/home/" + name for name in names if "/" not in name]
    return {"paths": [home for home in homes if not system.exists(home)], "loose": [home for home in homes if system.exists(home)]}


def restore(system, found, opened, say):
    """Customers' backups through v-restore-user, then their settings to the letter: see _hestia_restore."""
    return _hestia_restore.restore(system, found, opened, say)


def repair(system, found):
    """The panel's own rebuild of all that is made from settings, for each customer by name: v-rebuild-users would leave some out."""
    out = []
    for name in _hestia_files.names(system, found["root"]):
        for what in ("user", "web-domains", "dns-domains", "mail-domains", "databases", "cron-jobs"):
            try:
                done = host.call(system, [program(found, "v-rebuild-" + what), name], environment(found))
            except IntactError as exc:
                out.append(_native("customer", escape(name), "the panel could not rebuild it", str(exc)))
                continue
            if done.rc:
                evidence = "v-rebuild-%s: exit %d (%s): %s" % (what, done.rc, _hestia_conf.status(done.rc), "; ".join(host.words(done)[-2:]))
                out.append(_native("customer", escape(name), "the panel could not rebuild it", evidence))
    return out


def daily(view, found):
    """The tars that the panel's nightly run left, one for each customer."""
    out = []
    lacks = ["packages, templates and the panel's configuration", "customers whom v-list-users leaves out", "what was made after it"]
    for path in view.glob(BACKUPS + "/*.tar"):
        match = _hestia_verify.ARTEFACT.match(os.path.basename(path))
        state = view.lstat(path)
        if match and state:
            made = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(state.st_mtime))
            out.append({"path": path, "made": made, "holds": ["customer %s" % escape(match.group("user"))], "lacks": list(lacks)})
    return out


def rescue(view, found, query, target):
    """From a disk: the settings are files, and nothing of the panel has to run for them."""
    paths, without = _hestia_restore.settings_paths(found)
    said = ["setting panel: %s" % line for line in host.pack(view, target, _hestia_verify.SETTINGS, paths, without)]
    files = [{"name": _hestia_verify.SETTINGS, "role": "artefact"}]
    if keys(view, found):
        said += ["setting key: %s" % line for line in host.pack(view, target, _hestia_verify.KEYS, keys(view, found))]
        files.append({"name": _hestia_verify.KEYS, "role": "key"})
    return {"files": files, "said": said, "rc": 0}
