# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""A host with Plesk, of any version: where its things are, its database's answers, whether it is busy, what it says without its secrets."""

from __future__ import annotations

import datetime
import os
import re
import secrets

from ansible_collections.intact.hosting.plugins.module_utils._backup._secrets import read_secret
from ansible_collections.intact.hosting.plugins.module_utils._files import escape, write_atomic
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import _inventory, _mysql_login, _plesk_sql, _state

ROOTS = ("/usr/local/psa", "/opt/psa")
KEY, SHADOW = "/etc/psa/private/secret_key", "/etc/psa/.psa.shadow"
DUMPS = "/var/lib/psa/dumps"
# an operator's file (0600) with the password that Plesk's own backups are to be protected with
PASSWORD = "/etc/intact/panel/plesk-backup-password"
# what a backup of everything may take
PATIENCE = 7 * 86400
MIB = 1 << 20
# a client's own default differs from server to server, and a disk's database is asked in this one; older servers know fewer of them
NAMES = "/*!40101 SET NAMES utf8 */; /*!50503 SET NAMES utf8mb4 */; "
# the names of programs that make or restore a backup
BUSY = ("pleskbackup", "pleskrestore", "psadump", "psarestore", "pmm-ras", "pmmcli", "backup_agent", "pre9-backup-convert")
_ESCAPES = {"n": "\n", "t": "\t", "0": "\0", "\\": "\\"}
_SECRET = re.compile(
    r"(?i)((?:pass(?:word|wd)?|secret|token)\S{0,20}?\s*(?:[=:]|\bis\b)\s*)\S+|(\w+://[^\s:/@]+:)[^\s@]+(?=@)"
    r"|()-----BEGIN[^\n]*|()\$AES-[\w-]+\$\S*|()<password\b[^>]*>[^<]*"
)


def config(view):
    """{key: value} of /etc/psa/psa.conf."""
    pairs = (line.split(None, 1) for line in view.text("/etc/psa/psa.conf").splitlines() if line.strip() and not line.lstrip().startswith("#"))
    return {pair[0]: pair[1].strip() for pair in pairs if len(pair) == 2}


def detect(view):
    """{version, major, root, dumps} of a Plesk of any version, or None; by files only."""
    told = config(view)
    roots = [told["PRODUCT_ROOT_D"]] if told.get("PRODUCT_ROOT_D") else []
    for root in roots + list(ROOTS):
        words = view.text(root + "/version").split()
        if words or view.exists(root + "/bin/pleskbackup") or view.exists(root + "/bin/psadump"):
            version = words[0] if words else ""
            major = re.match(r"\d+", version)
            return {"version": version, "major": int(major.group()) if major else 0, "root": root, "dumps": told.get("DUMP_D") or DUMPS}
    return None


def program(system, found, name):
    """The beginning of a command line for one of the panel's utilities."""
    if system.which("plesk"):
        return ["plesk", "bin", name]
    return ["%s/bin/%s" % (found["root"], name)]


def client(system):
    """(command line of a client of the panel's database, its environment): the password is there and nowhere else."""
    if system.which("plesk"):
        return ["plesk", "db"], None
    name = next((name for name in ("mariadb", "mysql") if system.which(name)), "mysql")
    shadow = (system.read(SHADOW) or b"").decode("utf-8", "surrogateescape").strip()
    return [name, "-uadmin", "-D", _plesk_sql.DATABASE], {"MYSQL_PWD": shadow}


def login(system):
    """The panel's own login of its database server, for a checkpoint's questions; None where there is no password."""
    shadow = (system.read(SHADOW) or b"").decode("utf-8", "surrogateescape").strip()
    return _mysql_login.Login("admin", shadow) if shadow else None


class Asker:
    """ask(sql) -> [tuple of text], and many([sql]) -> [rows of each]: of the live panel's database in one session, which sees one moment of it."""

    def __init__(self, system):
        self._system = system
        self._argv, self._own = client(system)

    def __call__(self, sql):
        result = self._system.run(self._argv + ["-B", "-N", "-e", NAMES + sql], timeout=3600, env=self._own, check=False)
        if result.rc:
            words = [line for line in (result.error + "\n" + result.text).splitlines() if "ERROR" in line] or result.error.splitlines()[-1:]
            raise IntactError("the panel's database refused: %s" % clean(words[0] if words else "status %d" % result.rc), rc=result.rc)
        return [tuple(_plain(value) for value in line.split("\t")) for line in result.text.split("\n")[:-1]]

    def many(self, statements):
        """Rows of each statement."""
        mark = "intact-%s" % secrets.token_hex(8)
        script = "".join("SELECT '%s'; %s; " % (mark, statement) for statement in statements)
        out = []
        for row in self("START TRANSACTION WITH CONSISTENT SNAPSHOT; " + script) if statements else []:
            if row == (mark,):
                out.append([])
            else:
                out[-1].append(row)
        if len(out) != len(statements):
            raise IntactError("the panel's database stopped answering in the middle")
        return out


class Other:
    """The same of a database that a query function gives."""

    def __init__(self, query):
        self._query = query

    def __call__(self, sql):
        return self._query(_plesk_sql.DATABASE, sql)

    def many(self, statements):
        """Rows of each statement."""
        return [self(statement) for statement in statements]


def _plain(value):
    return re.sub(r"\\([nt0\\])", lambda found: _ESCAPES[found.group(1)], value) if "\\" in value else value


def inventory(system, panel, found, query=None):
    """The inventory document by SQL. query(database, sql): for a database that is not the live one."""
    ask = Other(query) if query else Asker(system)
    unlooked = []
    tables = _plesk_sql.read(ask, unlooked)
    seen, lost = _plesk_sql.objects(tables, _contents(ask, [row["name"] for row in tables["data_bases"]]))
    _cron_jobs(system, seen)
    return _inventory.make(panel, found["version"], _state.host_of(system)[0], {"kind": "sql", "of": "the panel's database"}, seen, unlooked + lost)


def _contents(ask, names):
    """{database: (tables, whether any holds a row)} of the customers' databases; {} where the server is too old to tell."""
    try:
        rows = ask("SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES WHERE TABLE_TYPE = 'BASE TABLE'")
    except IntactError:
        return {}
    tables = {name: [] for name in names}
    for schema, table in rows:
        if schema in tables:
            tables[schema].append(table)
    # exactly, as the server's own estimate is an old one after an import; some at a time, as nobody knows how many there are
    parts = [(name, held[start : start + 50]) for name, held in sorted(tables.items()) for start in range(0, len(held), 50)]
    answers = ask.many(["SELECT " + ", ".join("EXISTS (SELECT 1 FROM %s.%s LIMIT 1)" % (_quoted(name), _quoted(one)) for one in held) for name, held in parts])
    filled = {name for (name, _held), answer in zip(parts, answers) if any(value == "1" for row in answer for value in row)}
    return {name: (len(held), name in filled) for name, held in tables.items()}


def _quoted(name):
    return "`%s`" % name.replace("`", "``")


def _cron_jobs(system, seen):
    """Cron jobs of the panel's system users, from their files: no version keeps them where all do. A command may hold a password, so a digest tells it."""
    for login in sorted(seen.get("ftp_user", {})):
        for path in ("/var/spool/cron/crontabs/%s" % login, "/var/spool/cron/%s" % login):
            for line in (system.read(path) or b"").decode("utf-8", "surrogateescape").splitlines():
                words = line.split(None, 1) if line.startswith("@") else line.split(None, 5)
                if line.strip() and not line.lstrip().startswith("#") and (line.startswith("@") or len(words) == 6):
                    digest = _inventory.secret(line)
                    entry = {"user": login, "when": " ".join(words[:-1]), "command": _inventory.secret(words[-1])}
                    seen.setdefault("cron_job", {})["%s/%s" % (login, digest[7:15])] = entry


def ready(system, panel, found, mode, where):
    """Findings before an export: busy, database refused, no space, no key."""
    out = busy(system, panel)
    try:
        Asker(system)("SELECT 1")
    except IntactError as exc:
        remedy = "start the database server, or repair it, before anything is exported"
        out.append(_inventory.finding("panel.database.refused", panel, "", "database psa", "the panel's database does not answer", str(exc), remedy))
        return out
    return out + space(system, panel, found, mode, where) + missing_keys(system, panel, found)


def busy(system, panel):
    """A running backup or restore, told by the names of processes only: what stands behind them may hold a password."""
    out = []
    for number in [name for name in system.listdir("/proc") if name.isdigit()]:
        try:
            words = (system.read("/proc/%s/cmdline" % number) or b"").split(b"\0")
        except OSError:
            continue  # it has just ended
        names = [os.path.basename(os.fsdecode(word)) for word in words[:4]]
        name = next((name for name in names if name in BUSY), None)
        if name and int(number) != os.getpid():
            remedy = "wait until it has ended, then export again"
            out.append(_inventory.finding("panel.busy", panel, "program", name, "it is running", "process %s" % number, remedy))
    return out


def key_paths(found):
    """The key material that this version has; before Plesk 10 passwords were not encrypted with a key."""
    return (KEY, SHADOW) if found["major"] >= 10 or not found["major"] else (SHADOW,)


def missing_keys(view, panel, found):
    """A finding for each piece of key material that is not there: a psa dump without it can't be decoded."""
    out = []
    for path in key_paths(found):
        if not view.read(path):
            remedy = "find it (a backup of /etc/psa): without it the passwords in the export are lost"
            out.append(_inventory.finding("panel.key.missing", panel, "key", path, "the panel's key is not there, or empty", path, remedy))
    return out


def space(system, panel, found, mode, where):
    """A finding for each place without the room: the panel's own FREE_DISK_SPACE, and twice the data of a full export, as panels ask for."""
    told = re.search(r"(?m)^\s*FREE_DISK_SPACE\s+(\d+)", system.text("%s/admin/share/pmmcli/pmmcli-rc" % found["root"]))
    own = int(told.group(1)) * MIB if told else 0
    data = 0
    if mode == "full":
        data = sum(int(row[0] or 0) for row in Asker(system)("SELECT IFNULL(SUM(real_size), 0) FROM domains"))
    need = max(own, 2 * data, 256 * MIB)
    out = []
    for path in sorted({found["dumps"], where}):
        while not system.exists(path):
            path = os.path.dirname(path)
        result = system.run(["df", "-Pk", path], check=False)
        lines = result.text.splitlines()
        words = lines[-1].split() if len(lines) > 1 else []
        if result.rc or len(words) < 4 or not words[3].isdigit():
            title, evidence = "how much room there is can't be told", clean(result.error or result.text)[-200:]
            out.append(_inventory.finding("panel.space", panel, "directory", path, title, evidence, "look at the disk (df -Pk %s)" % path))
        elif int(words[3]) * 1024 < need:
            evidence = "%d MiB are free, %d are needed" % (int(words[3]) // 1024, need // MIB)
            remedy = "make room there, or export to another disk"
            out.append(_inventory.finding("panel.space", panel, "directory", path, "there is not enough room for a backup", evidence, remedy))
    return out


def backup_password(system):
    """The password for Plesk's backups, "" without one. It may be in the environment of the program that needs it, and nowhere else."""
    path = system.options.get("backup_password_file") or (PASSWORD if system.exists(PASSWORD) else "")
    return read_secret(place(system, path), "the file with the password for Plesk's backups").decode("utf-8", "surrogateescape").strip() if path else ""


def place(system, path):
    """Where a path of the host lies for who writes it: below the root that the system looks at."""
    return system.place(path) if hasattr(system, "place") else path


def clean(text, hidden=()):
    """Printable text without these secrets and without what looks like one."""
    for value in hidden:
        if value:
            text = text.replace(value, "***")
    text = _SECRET.sub(lambda found: (found.group(1) or found.group(2) or "") + "***", text)
    return "\n".join(escape(line) for line in text.splitlines())


def lines(result, hidden=(), most=40):
    """The last lines that a program said, clean."""
    text = result.text + "\n" + result.err.decode("utf-8", "surrogateescape")
    return [line[:400] for line in clean(text, hidden).splitlines() if line.strip()][-most:]


def take_keys(view, target):
    """Put the key material into an export's directory: [{name, role}]."""
    out = []
    for path in (KEY, SHADOW):
        data = view.read(path)
        if data:
            name = os.path.basename(path).lstrip(".")
            write_atomic(os.path.join(target, name), data, 0o600)
            out.append({"name": name, "role": "key"})
    return out


def daily(view, found):
    """The panel's own dumps of its database, newest first."""
    out = []
    for pattern, holds in (("mysql.daily.dump.*.gz", "daily"), ("mysql.preupgrade.*.dump.gz", "before an upgrade of the panel")):
        for path in view.glob(os.path.join(found["dumps"], pattern)):
            stat = view.lstat(path)
            made = datetime.datetime.fromtimestamp(stat.st_mtime, datetime.timezone.utc) if stat else None
            out.append(
                {
                    "path": path,
                    "made": made.strftime("%Y-%m-%dT%H:%M:%SZ") if made else "",
                    "holds": "the panel's databases (psa, mysql, horde, roundcubemail, phpmyadmin), %s" % holds,
                    "lacks": "customers' databases, mail, files, and the panel's key %s" % KEY,
                }
            )
    return sorted(out, key=lambda entry: (entry["made"], entry["path"]), reverse=True)


def checkpoint(system, found):
    """What a restore changes of the panel's own: put back when anything is off."""
    paths = ["/etc/psa", "%s/etc" % found["root"], "%s/admin/conf" % found["root"], "/var/www/vhosts/system", "/etc/psa-webmail"]
    databases = [row[0] for row in Asker(system)("SHOW DATABASES") if row[0] in ("psa", "apsc")] or [_plesk_sql.DATABASE]
    services = [
        name
        for name in ("psa", "sw-engine", "sw-cp-server")
        if system.exists("/lib/systemd/system/%s.service" % name) or system.exists("/etc/init.d/%s" % name)
    ]
    return {"paths": paths, "databases": databases, "services": services}


def reaches(system, found, opened):
    """Sites, mail and databases: a full backup writes over those that are here, any backup makes those that are not."""
    told = config(system)
    tops = (told.get("HTTPD_VHOSTS_D") or "/var/www/vhosts", told.get("PLESK_MAILNAMES_D") or "/var/qmail/mailnames")
    if opened.document["mode"] == "full":
        own = ("information_schema", "performance_schema", "mysql", "sys")
        return {"loose": list(tops), "databases": [row[0] for row in Asker(system)("SHOW DATABASES") if row[0] not in own]}
    names = [name for name in sorted(opened.inventory()["objects"].get("domain", {})) if re.match(r"[\w.-]+\Z", name)]
    return {"paths": ["%s/%s" % (top, name) for name in names for top in tops if not system.exists("%s/%s" % (top, name))]}
