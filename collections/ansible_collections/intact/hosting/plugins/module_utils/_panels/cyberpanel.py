# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""CyberPanel: settings are rows of its database; backups of sites come from a program that ends with 0 whatever happened."""

from __future__ import annotations

import json
import os
import re
import time

from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._panels import _cyberpanel_tables as tables
from ansible_collections.intact.hosting.plugins.module_utils._panels import _cyberpanel_verify, _homes, _inventory, _measured, _ready, _sql_panel, _state
from ansible_collections.intact.hosting.plugins.module_utils._panels import _mysql_login as mysql
from ansible_collections.intact.hosting.plugins.module_utils._panels import _panel_host as host

NAME, TITLE, MET = "cyberpanel", "CyberPanel", "stand-in"
SOURCES = (
    "usmannasir/cyberpanel at e8a1387 (2.3, 2024-10), read only: cli/cyberPanel.py, plogical/backupUtilities.py, mysqlUtilities.py, the models",
    "its restore was not seen: restoreBackup asks the panel's own web service until that says that it has ended",
)
ROOT = "/usr/local/CyberCP"
SETTINGS = ROOT + "/CyberCP/settings.py"
PASSWORD = "/etc/cyberpanel/mysqlPassword"
PROGRAM = "/usr/bin/cyberpanel"
FILES = ["/etc/cyberpanel", SETTINGS, ROOT + "/version.txt", "/usr/local/lsws/conf", "/etc/letsencrypt", "/etc/opendkim", "/etc/postfix", "/etc/dovecot"]
FILES += ["/etc/pure-ftpd", "/etc/powerdns", "/var/spool/cron"]
AT_WORK = r"backupUtilities\.py|IncScheduler\.py|upgrade\.py"
SETTINGS_ROOM = 256 << 20
MIB = 1 << 20


def detect(view):
    """By its files."""
    if not view.exists(ROOT):
        return None
    try:
        held = json.loads(view.text(ROOT + "/version.txt"))
        version = "%s.%s" % (held["version"], held["build"])
    except (ValueError, KeyError, TypeError):
        version = ""
    name = re.search(r"'NAME':\s*'(\w+)'", view.text(SETTINGS))
    return {"version": version, "root": ROOT, "database": name.group(1) if name else "cyberpanel"}


def login(view, found):
    """The administrator of the databases: JSON, or a first line with root's password."""
    text = view.text(PASSWORD)
    try:
        held = json.loads(text)
        return mysql.Login(held["mysqluser"], held["mysqlpassword"])
    except (ValueError, KeyError, TypeError):
        password = text.split("\n", 1)[0].strip()
    return mysql.Login("root", password) if password else mysql.Login()


def inventory(system, found, query=None):
    """Rows of the panel's database, sites and mail on the disk, crontabs and certificates, and what the customers' databases hold."""
    ask, unlooked = query or mysql.asking(system, login(system, found)), []
    rows = _sql_panel.asked(ask, found["database"], tables.WANTED)
    objects = tables.objects(rows)
    objects.update(_cyberpanel_verify.of_files(system.read, rows))
    measured = {"domain": {}, "mailbox": {}, "database": _measured.databases(ask, objects.get("database", {}), unlooked)}
    for name in objects.get("domain", {}):
        files, vhost = system.listdir("/home/%s/public_html" % name), system.exists("/usr/local/lsws/conf/vhosts/%s/vhost.conf" % name)
        measured["domain"][name] = {"stored": "yes" if files else "no", "vhost": "yes" if vhost else "no"}
    for address in objects.get("mailbox", {}):
        account, _at, domain = address.rpartition("@")
        measured["mailbox"][address] = {"stored": "yes" if system.exists("/home/vmail/%s/%s" % (domain, account)) else "no"}
    host_name, route = _state.host_of(system)[0], {"kind": "sql", "of": found["database"]}
    return _measured.beside(_inventory.make(NAME, found["version"], host_name, route, objects, unlooked), measured)


def ready(system, found, mode="settings", where=_ready.ROOT):
    """A backup or an upgrade at work, a server that refuses, no room by the panel's own rule, keys that are gone."""
    out = [_ready.busy(NAME, program, "it runs as process %d" % number) for number, program in host.at_work(system, AT_WORK)]
    ask = mysql.asking(system, login(system, found))
    refused = mysql.refused(NAME, ask)
    out += refused + _room(system, {} if refused or mode != "full" else mysql.rows(ask, found["database"], {tables.SITES: ("domain", "config")}), where)
    return out + _sql_panel.gone(NAME, system, keys(system, found))


def _room(system, rows, where):
    """The panel's own rule for each site's backup, and room for all of them where they are taken to. rows: of a full export."""
    have, _percent = host.free(system, "/home")
    out, used = [], [0]
    for row in rows.get(tables.SITES, ()):
        used.append(tables.megabytes(row.get("config", "")) * MIB)
        if used[-1] >= have:
            title, remedy = "there is no room for the backup of this site", "make room at /home"
            evidence = "/home has %d MiB free, the site uses %d MiB, and the panel makes no backup of it then" % (have >> 20, used[-1] >> 20)
            out.append(_inventory.finding("panel.space", NAME, "domain", escape(row["domain"]), title, evidence, remedy))
    # each backup stays in its site's home as well
    wanted = [
        (where, SETTINGS_ROOM + _ready.packed(used), "the panel's files and all sites, the largest once more"),
        ("/home", sum(used), "all sites' backups"),
    ]
    return out or _ready.rooms(system, NAME, wanted)


def keys(view, found):
    """The logins of its databases and Django's key."""
    return [SETTINGS, PASSWORD]


def export(system, found, mode, target, say):
    """A dump of the panel's database and its files, as backups of sites lack forwards, FTP accounts, cron jobs and packages; in full the sites' too."""
    known = login(system, found)
    out, said, worst = _sql_panel.dumps(system, known, [found["database"]], target, say)
    files, lines = _sql_panel.pack(system, target, FILES, (), keys(system, found))
    said += lines
    if mode == "full":
        rows = mysql.rows(mysql.asking(system, known), found["database"], {tables.SITES: ("domain",)})
        for name in sorted(row["domain"] for row in rows.get(tables.SITES, ())):
            say("backup of site %s" % escape(name))
            lines, made = _backup(system, known, name, target)
            said += ["domain %s: %s" % (escape(name), line) for line in lines]
            files += [{"name": made, "role": "artefact"}] if made else []
    return {"files": out + files, "said": said, "rc": worst}


def _backup(system, known, name, target):
    """(what went wrong, name of the archive or "") of one site. The exit status is always 0, so that only text, status file and archive tell."""
    begun = time.time()
    done = host.call(system, [PROGRAM, "createBackup", "--domainName", name])
    wrong = [line for line in host.words(done, known.environment().values()) if re.search("|".join(_cyberpanel_verify.ERRORS[:3]) + r"|\A0\Z", line)]
    place = "/home/%s/backup" % name
    status = (_homes.read(system, "/home/" + name, "backup/status", 4096) or b"").decode("utf-8", "backslashreplace").strip()
    if status and not status.startswith("Completed"):
        wrong.append("status %s" % status[:200])
    names = [entry for entry in system.listdir(place) if _cyberpanel_verify.ARCHIVE.match(entry)]
    states = sorted((system.lstat("%s/%s" % (place, entry)).st_mtime, entry) for entry in names)
    if not states:
        return wrong + ["no archive was made"], ""
    # the directory is the customer's: a link there must not bring us somebody else's file
    why = host.take(system, "%s/%s" % (place, states[-1][1]), target, states[-1][1], newer=begun, below="/home")
    return wrong + ([why] if why else []), "" if why else states[-1][1]


def verify(opened, inventory, mode):
    """Offline: see _cyberpanel_verify."""
    return _cyberpanel_verify.verify(NAME, opened, inventory, mode, (SETTINGS, PASSWORD))


def native(system, found, opened):
    """What the panel's own lists tell must be what its rows tell. The export has the rows, so that a list that lacks one is a warning."""
    return _lists(system, found, "warning")


def _lists(system, found, severity):
    """Findings of the panel's lists. The program ends with 0, and prints 0 when it fails."""
    rows = mysql.rows(mysql.asking(system, login(system, found)), found["database"], tables.WANTED)
    objects = tables.objects(rows)
    told = _listed(system, ["listWebsitesJson"], "domain")
    if told is None:
        return [_native("export", "", "the panel can't list its sites", "listWebsitesJson gave no list", severity)]
    out = _lacking("domain", set(objects.get("domain", {})) - told, "listWebsitesJson", severity)
    for site in sorted(set(objects.get("domain", {})) & told):
        for kind, command, option, key in (
            ("database", "listDatabasesJson", "--databaseWebsite", "dbName"),
            ("mailbox", "listEmailsJson", "--domainName", "email"),
        ):
            wanted = {name for name, entry in objects.get(kind, {}).items() if entry.get("domain") == site}
            held = _listed(system, [command, option, site], key) if wanted else set()
            if held is None:
                out.append(_native("domain", site, "the panel can't list what it has", command, severity))
            else:
                out += _lacking(kind, wanted - held, command, severity)
    return out


def _listed(system, arguments, key):
    """Names that a list of the panel's tells, None when it failed. Some lists are JSON in JSON."""
    try:
        held = json.loads(host.call(system, [PROGRAM] + arguments, timeout=600).text)
        held = json.loads(held) if isinstance(held, str) else held
        return {escape(entry[key]) for entry in held}
    except (ValueError, TypeError, KeyError):
        return None


def _lacking(kind, names, command, severity):
    return [_native(kind, name, "the panel's own list leaves it out", "%s does not tell it" % command, severity) for name in sorted(names)]


def _native(kind, name, title, evidence, severity):
    return _inventory.finding("panel.native", NAME, kind, name, title, evidence, "look at /home/cyberpanel/error-logs.txt", severity)


def checkpoint(system, found):
    """What a restore may change."""
    rows = mysql.rows(mysql.asking(system, login(system, found)), found["database"], {"databases_databases": ("dbName",)})
    names = [found["database"]] + [row["dbName"] for row in rows.get("databases_databases", ())]
    paths = ["/etc/cyberpanel", SETTINGS, "/usr/local/lsws/conf", "/etc/postfix", "/etc/dovecot", "/etc/passwd", "/etc/shadow", "/etc/group", "/var/spool/cron"]
    return {"paths": paths, "databases": [{"engine": "mysql", "name": name} for name in names], "services": ["lscpd", "lsws"]}


def reaches(system, found, opened):
    """What a restore makes of sites that are not here: their homes and their mail."""
    names = sorted({match.group("name") for match in map(_cyberpanel_verify.ARCHIVE.match, opened.names("artefact")) if match})
    return {"paths": [top + name for name in names for top in ("/home/", "/home/vmail/") if not system.exists("/home/%s/public_html" % name)]}


def restore(system, found, opened, say):
    """Sites that are not there through restoreBackup; then the panel's rows as the dump has them, with all that sites' backups lack."""
    known, said, worst = login(system, found), [], 0
    rows = mysql.rows(mysql.asking(system, known), found["database"], {tables.SITES: ("domain",)})
    there = {row["domain"] for row in rows.get(tables.SITES, ())}
    for file in opened.names("artefact"):
        match = _cyberpanel_verify.ARCHIVE.match(file)
        if match and match.group("name") not in there:
            say("restore of site %s" % escape(match.group("name")))
            done = host.call(system, [PROGRAM, "restoreBackup", "--fileName", opened.files[file]], timeout=host.DAY)
            if "Backup restore completed" not in done.text:
                said.append("domain %s: %s" % (escape(match.group("name")), (host.words(done) or ["no word about what became of it"])[-1]))
                worst = 1
    if worst:
        return {"said": said, "rc": worst}
    say("loading %s" % found["database"])
    name = _sql_panel.dump_name(found["database"])
    if name not in opened.names("dump"):
        return {"said": said + ["the export has no dump of %s" % found["database"]], "rc": 1}
    status, lines = mysql.load(system, known, found["database"], opened.files[name])
    if not status and _sql_panel.SETTINGS in opened.names("artefact"):
        count = host.unpack(system, opened.files[_sql_panel.SETTINGS], lambda path: path.startswith(("/var/spool/cron/", "/etc/letsencrypt/")))
        lines.append("%d crontabs and certificates were put back" % count)
    return {"said": said + lines, "rc": status}


def repair(system, found):
    """The server's check of the panel's tables, and the panel's own lists."""
    return _sql_panel.check(NAME, system, login(system, found), found["database"]) or _lists(system, found, "blocker")


def daily(view, found):
    """The sites' own backups, one archive for each."""
    out = []
    lacks = ["forwards, FTP accounts, cron jobs, packages and what is not ASCII in meta.xml", "directories called backup or logs", "what was made after it"]
    for path in view.glob("/home/*/backup/backup-*.tar.gz") + view.glob("/home/backup/backup-*.tar.gz"):
        match, state = _cyberpanel_verify.ARCHIVE.match(os.path.basename(path)), view.lstat(path)
        if match and state:
            made = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(state.st_mtime))
            out.append({"path": path, "made": made, "holds": ["domain %s" % escape(match.group("name"))], "lacks": list(lacks)})
    return out


def rescue(view, found, query, target):
    """From a disk: a dump made of the answers of its database, the panel's files, its keys."""
    file = _sql_panel.dump_name(found["database"])
    number = _sql_panel.by_query(query, found["database"], os.path.join(target, file))
    files, said = _sql_panel.pack(view, target, FILES, (), keys(view, found))
    return {"files": [{"name": file, "role": "dump"}] + files, "said": said + ["%d tables of %s were read" % (number, found["database"])], "rc": 0}
