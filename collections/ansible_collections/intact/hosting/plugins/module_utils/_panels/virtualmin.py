# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Virtualmin: settings are files below /etc/webmin, exports are archives of `virtualmin backup-domain`, one for each domain and one for the panel."""

from __future__ import annotations

import os
import re
import time

from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._panels import (
    _homes,
    _inventory,
    _measured,
    _ready,
    _state,
    _virtualmin_domains,
    _virtualmin_verify,
)
from ansible_collections.intact.hosting.plugins.module_utils._panels import _mysql_login as mysql
from ansible_collections.intact.hosting.plugins.module_utils._panels import _panel_host as host
from ansible_collections.intact.hosting.plugins.module_utils._panels import _virtualmin_files as files

NAME, TITLE, MET = "virtualmin", "Virtualmin (Webmin)", "stand-in"
SOURCES = (
    "virtualmin/virtualmin-gpl at 69a9c2a (8.1.0), read only: backup-domain.pl, restore-domain.pl, validate-domains.pl, backups-lib.pl, feature-*.pl",
    "virtualmin/virtualmin-gpl issues 83 and 1001: dump errors told as done, a partial status",
)
PROGRAM = "/usr/sbin/virtualmin"
MODULE = files.MODULE
PLACES = ("/usr/share/webmin/virtual-server", "/usr/libexec/webmin/virtual-server")
RUNNING = (MODULE + "/backuprunnings", "/var/webmin/modules/virtual-server/backuprunnings")
AT_WORK = r"(?:backup|restore)(?:-domain)?\.pl"
SETTINGS_ROOM = 256 << 20
# What is no setting of the panel's but of this host's mail server.
NOT_PUT_BACK = ("mailserver",)


def detect(view):
    """By its configuration; the version stands beside its programs."""
    if not view.exists(MODULE + "/config") and not view.exists(PROGRAM):
        return None
    version = next((found for found in (files.settings(view.text(place + "/module.info")).get("version", "") for place in PLACES) if found), "")
    return {"version": version, "root": MODULE, "webmin": view.text("/etc/webmin/version").strip()}


def login(view, found=None):
    """Webmin's login at MariaDB or MySQL; without a password root's own is used."""
    held = files.settings(view.text("/etc/webmin/mysql/config"))
    return mysql.Login(held.get("login", ""), held["pass"]) if held.get("pass") else mysql.Login()


def _mysql_in_use(view):
    return files.settings(view.text(MODULE + "/config")).get("mysql") == "1"


def inventory(system, found, query=None):
    """The domains' files, the host's accounts and Postfix's table; and which tables of the databases hold something."""
    objects, unlooked = _virtualmin_domains.objects(_virtualmin_domains.on(system)), []
    for ident in _virtualmin_domains.unreadable(_virtualmin_domains.on(system)):
        unlooked.append({"what": "domain of file %s" % escape(ident), "why": "%s/domains/%s names no domain" % (MODULE, escape(ident))})
    ask = query or (mysql.asking(system, login(system)) if _mysql_in_use(system) else None)
    names = [name for name, entry in objects.get("database", {}).items() if entry["type"] == "mysql"]
    measured = {"database": _measured.databases(ask, names, unlooked) if ask else {}, "setting": _virtualmin_domains.unsteady(objects)}
    host_name, route = _state.host_of(system)[0], {"kind": "files", "of": MODULE}
    return _measured.beside(_inventory.make(NAME, found["version"], host_name, route, objects, unlooked), measured)


def ready(system, found, mode="settings", where=_ready.ROOT):
    """Another backup or restore, a server that refuses, no room, keys that are gone."""
    out = []
    for directory in RUNNING:
        for name in system.listdir(directory):
            number = files.settings(system.text("%s/%s" % (directory, name))).get("pid", "")
            if number.isdigit() and system.read("/proc/%s/cmdline" % number, 16):
                out.append(_ready.busy(NAME, "a backup", "%s/%s: process %s; two backups remove each other's .backup directories" % (directory, name, number)))
    if not out:
        out += [_ready.busy(NAME, program, "it runs as process %d" % number) for number, program in host.at_work(system, AT_WORK)]
    if _mysql_in_use(system):
        out += mysql.refused(NAME, mysql.asking(system, login(system)))
    out += _ready.rooms(system, NAME, [(where,) + _wanted(system, mode)])
    for path in keys(system, found):
        if not system.exists(path):
            title, remedy = "key material of the panel is not there", "put it back; without it databases can't be reached after a restore"
            out.append(_inventory.finding("panel.key.missing", NAME, "setting", path, title, "no such file", remedy))
    return out


def _wanted(system, mode):
    """(bytes, whose rule)."""
    if mode != "full":
        return SETTINGS_ROOM, "the panel's settings"
    homes = [held["home"] for held in _virtualmin_domains.domains(_virtualmin_domains.on(system)).values() if held.get("home") and not held.get("parent")]
    return SETTINGS_ROOM + _ready.packed([_homes.survey(system, home)[0] for home in homes]), "what the domains' homes use, and the largest once more"


def keys(view, found):
    """Logins of database servers, keys of encrypted backups, Webmin's own certificate and passwords."""
    needed = ["/etc/webmin/mysql/config"] if _mysql_in_use(view) else []
    there = ["/etc/webmin/postgresql/config", "/etc/webmin/miniserv.pem", "/etc/webmin/miniserv.users", MODULE + "/bkeys"]
    return needed + [path for path in there if view.exists(path)]


def export(system, found, mode, target, say):
    """One archive for each domain, one for the panel. Errors of one domain do not stop the others: each is judged by its archive."""
    say("virtualmin backup-domain, mode %s" % mode)
    argv = [PROGRAM, "backup-domain", "--dest", target, "--all-domains", "--all-features"]
    if mode == "settings":
        argv += ["--except-feature", "dir", "--except-feature", "mysql", "--except-feature", "postgres"]
    # without --no-differential the next differential backup of the customers would begin from this one
    argv += ["--newformat", "--all-virtualmin", "--ignore-errors", "--no-differential", "--compression", "gzip"]
    done = host.call(system, argv)
    lines = _by_domain(host.words(done, _secrets(system)))
    for name in sorted(os.listdir(target)):
        if name.endswith(_virtualmin_verify.SIDECARS):
            # the panel's own test believes them when they are newer than the archive
            os.unlink(os.path.join(target, name))
    out = [{"name": name, "role": "artefact"} for name in sorted(os.listdir(target))]
    if keys(system, found):
        lines += ["setting key: %s" % line for line in host.pack(system, target, _virtualmin_verify.KEYS, keys(system, found))]
        out.append({"name": _virtualmin_verify.KEYS, "role": "key"})
    return {"files": out, "said": lines, "rc": done.rc}


def _secrets(view):
    """What the domains' files hold in clear: a failing program may print it."""
    held = _virtualmin_domains.domains(_virtualmin_domains.on(view)).values()
    return [one[key] for one in held for key in one if key.endswith("pass") and one[key]]


def _by_domain(words):
    """What went wrong, with the domain that was being backed up when it was said."""
    out, domain = [], ""
    for line in words:
        begun = re.match(r"\s*Creating backup for virtual server (\S+) \.\.", line)
        domain = begun.group(1) if begun else "" if re.match(r"\S", line) and not line.startswith("..") else domain
        if re.search("|".join(_virtualmin_verify.ERRORS + _virtualmin_verify.HARMLESS), line):
            out.append("%s%s" % ("domain %s: " % escape(domain) if domain else "", line.strip()))
    return out


def verify(opened, inventory, mode):
    """Offline: see _virtualmin_verify."""
    return _virtualmin_verify.verify(NAME, opened, inventory, mode)


def native(system, found, opened):
    """The panel's own test of the archives, in a directory where nothing but them is."""
    done = host.call(system, [PROGRAM, "restore-domain", "--test", "--source", _source(opened), "--all-domains", "--all-features"])
    if not done.rc:
        return []
    words = host.words(done)
    line = next((line for line in words if "Failed to read" in line or "cannot be restored" in line), (words or ["no word about why"])[-1])
    named = re.search(r"/([^/\s]+?)\.(?:tar|zip)[^/]*? : ", line)
    kind, name = ("domain", named.group(1)) if named else ("export", "")
    evidence = "restore-domain --test: exit %d: %s" % (done.rc, line.strip().replace(os.path.dirname(_source(opened)), ""))
    return [_native(kind, escape(name), "the panel would not restore this export", evidence, "export again")]


def _source(opened):
    """A directory with the archives only: the panel would take each other file in it for a backup too."""
    place = os.path.join(opened.work(), "source")
    os.makedirs(place, mode=0o700, exist_ok=True)
    for name in opened.names("artefact"):
        link = os.path.join(place, name)
        if not os.path.lexists(link):
            os.symlink(opened.files[name], link)
    return place


def _native(kind, name, title, evidence, remedy="repair what it says"):
    return _inventory.finding("panel.native", NAME, kind, name, title, evidence, remedy)


def checkpoint(system, found):
    """What a restore may change."""
    objects = _virtualmin_domains.objects(_virtualmin_domains.on(system))
    paths = ["/etc/webmin", "/etc/postfix", "/etc/aliases", "/etc/dovecot", "/etc/apache2", "/etc/nginx", "/etc/bind", "/var/lib/bind", "/etc/php"]
    paths += ["/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow", "/var/spool/cron/crontabs", "/etc/logrotate.d", "/etc/proftpd"]
    engines = {"mysql": "mysql", "postgres": "postgresql"}
    names = [{"engine": engines[entry["type"]], "name": name} for name, entry in sorted(objects.get("database", {}).items())]
    return {"paths": paths, "databases": names, "services": ["webmin"]}


def reaches(system, found, opened):
    """Homes: a full archive writes over all that is in one; those of domains that are not here are made, below /home as Virtualmin does."""
    here = [held["home"] for held in _virtualmin_domains.domains(_virtualmin_domains.on(system)).values() if held.get("home") and not held.get("parent")]
    owners = sorted(opened.inventory()["objects"].get("customer", {}))
    made = ["/home/" + name for name in owners if re.match(r"[\w.-]+\Z", name) and not system.exists("/home/" + name)]
    return {"paths": made, "loose": here if opened.document["mode"] == "full" else []}


def restore(system, found, opened, say):
    """restore-domain of all domains and of the panel's settings; from a rescued disk the panel's files themselves."""
    if _virtualmin_verify.RESCUED in opened.names("artefact"):
        wanted = tuple("%s/%s" % (MODULE, part) for part in ("domains/", "plans/", "templates/", "backups/", "users/", "admins/"))
        count = host.unpack(system, opened.files[_virtualmin_verify.RESCUED], lambda path: path.startswith(wanted))
        return {"said": ["%d files of the panel's settings were put back; accounts and services are repaired after it" % count], "rc": 0}
    say("virtualmin restore-domain")
    source = _source(opened)
    argv = [PROGRAM, "restore-domain", "--source", source, "--all-domains", "--all-features"]
    for part in _own_parts(opened):
        argv += ["--virtualmin", part]
    done = host.call(system, argv)
    words = [line.strip().replace(source, "") for line in host.words(done, _secrets(system))]
    said = [line for line in words if re.search("|".join(_virtualmin_verify.ERRORS) + "|failed|cannot be restored", line)]
    return {"said": said + ["the mail server's own settings stay as they are on this host; the export has them"], "rc": done.rc}


def _own_parts(opened):
    """Which of the panel's settings the export has and a restore puts back."""
    name = next((name for name in opened.names("artefact") if re.match(r"virtualmin\.tar(?:\.gz)?\Z", name)), None)
    members = opened.contents(name, enter=lambda _path: False).members if name else {}
    parts = {path[len("virtualmin_") :].split("_")[0] for path in members if path.startswith("virtualmin_")}
    return sorted(parts - set(NOT_PUT_BACK))


def repair(system, found):
    """The panel's validation of all domains. Its exit status is the number of errors, so that 256 of them are none: the lines count."""
    out = []
    done = host.call(system, [PROGRAM, "validate-domains", "--all-domains", "--all-features", "--problems"])
    domain = ""
    for line in done.text.split("\n"):
        if line.startswith("    ") and domain:
            out.append(_native("domain", domain, "the panel finds a fault in it", line.strip()))
        elif line.strip():
            domain = escape(line.strip())
    if done.rc and not out:
        out.append(_native("export", "", "the panel's validation failed", "exit %d: %s" % (done.rc, (host.words(done) or ["no word about why"])[-1])))
    return out


def daily(view, found):
    """Directories that scheduled backups write to."""
    out = []
    for ident in view.listdir(MODULE + "/backups"):
        held = files.settings(view.text("%s/backups/%s" % (MODULE, ident)))
        for key in sorted(key for key in held if re.match(r"dest\d*\Z", key) and held[key].startswith("/")):
            base = held[key].split("%")[0]
            base = base if "%" not in held[key] else base.rpartition("/")[0]
            for place in sorted({os.path.dirname(path) for pattern in ("/*", "/*/*") for path in view.glob(base.rstrip("/") + pattern)}):
                out += _daily(view, place)
    return out


def _daily(view, place):
    names = [name for name in view.listdir(place) if _virtualmin_verify.ARCHIVE.match(name)]
    states = [state for state in (view.lstat(place + "/" + name) for name in names) if state]
    if not states:
        return []
    held = sorted(_virtualmin_verify.ARCHIVE.match(name).group("name") for name in names)
    lacks = ["what was made after it"] + ([] if "virtualmin" in held else ["plans, templates and the panel's configuration"])
    made = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(max(state.st_mtime for state in states)))
    return [{"path": place, "made": made, "holds": ["domain %s" % escape(name) for name in held if name != "virtualmin"], "lacks": lacks}]


def rescue(view, found, query, target):
    """From a disk: the panel's files, and those that make its domains' users, aliases and zones."""
    paths = [path for path in _virtualmin_domains.PATHS if view.exists(path)]
    paths += [held[key] for held in _virtualmin_domains.domains(_virtualmin_domains.on(view)).values() for key in ("ssl_cert", "ssl_key") if held.get(key)]
    said = host.pack(view, target, _virtualmin_verify.RESCUED, paths)
    out = [{"name": _virtualmin_verify.RESCUED, "role": "artefact"}]
    if keys(view, found):
        said += host.pack(view, target, _virtualmin_verify.KEYS, keys(view, found))
        out.append({"name": _virtualmin_verify.KEYS, "role": "key"})
    return {"files": out, "said": said, "rc": 0}
