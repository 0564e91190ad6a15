# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""A site without a panel: its services are what there is to ask, and their configuration is what there is to keep.

Customers' data (databases, mail, lists, files) is no part of this export: host_backup's other classes hold it, and restore_drill proves it.
"""

from __future__ import annotations

import hashlib
import io
import posixpath
import re
import stat
import tarfile

from ansible_collections.intact.hosting.plugins.module_utils._backup import _eyes
from ansible_collections.intact.hosting.plugins.module_utils._baseline import _schedule, _vhosts, _x509, accounts, cron, databases, dns, lists, mail, tls
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import _inventory, _ready, _services, _verify

NAME, TITLE, MET = "none", "no control panel", "real"
SOURCES = ("the baseline's probes, tested against Debian's nginx, Apache, Postfix, Dovecot, Mailman 3, bind, MariaDB and PostgreSQL",)
ARTEFACT = "configuration.tar.gz"
PROBES = (tls, mail, lists, dns, databases, accounts, cron)
# Names, numbers and settings are asked for, not content.
OPTIONS = {"mail": {"content_bytes": 0, "ports": []}, "databases": {"table_bytes": 0}, "accounts": {"read_only": True}}
CONTENT = re.compile(r"content was not digested|too much mail for the limit|no key to digest")
# What can tell nothing of itself when its program is not there, as on a disk.
PROGRAMS = {
    "/etc/nginx/nginx.conf": ("nginx", "sites of nginx"),
    "/etc/apache2/apache2.conf": ("apache2ctl", "sites of Apache"),
    "/etc/bind/named.conf": ("named-checkconf", "zones of bind"),
    "/etc/postfix/main.cf": ("postconf", "Postfix's settings and tables"),
    "/var/lib/mysql/ibdata1": ("mysql", "databases of MariaDB or MySQL"),
    "/etc/postgresql": ("psql", "databases of PostgreSQL"),
}
TREES = (
    "/etc/nginx /etc/apache2 /etc/php /etc/postfix /etc/exim4 /etc/dovecot /etc/opendkim /etc/opendkim.conf /etc/dkimkeys /etc/rspamd /etc/spamassassin "
    "/etc/mailman3 /etc/bind /etc/powerdns /etc/nsd /etc/mysql /etc/postgresql /etc/letsencrypt /etc/ssl/private /etc/proftpd /etc/vsftpd.conf /etc/pure-ftpd "
    "/etc/passwd /etc/shadow /etc/group /etc/gshadow /etc/subuid /etc/subgid /etc/sudoers /etc/sudoers.d /etc/aliases /etc/crontab /etc/anacrontab "
    "/etc/cron.d /etc/cron.hourly /etc/cron.daily /etc/cron.weekly /etc/cron.monthly /etc/cron.yearly /var/spool/cron/crontabs /etc/systemd/system"
).split()
LARGEST, MAIN = 16 << 20, "/etc/postfix/main.cf"


def detect(view):
    """Always: a host is a site."""
    release = dict(re.findall(r"^(PRETTY_NAME|ID)=\"?([^\"\n]*)", view.text("/etc/os-release"), re.MULTILINE))
    return {"version": release.get("PRETTY_NAME", ""), "root": "/"}


def inventory(system, found, query=None):
    """What the services say of themselves; what is there and can't be asked is unlooked."""
    began = len(system.unlooked)
    for path, (program, what) in PROGRAMS.items():
        if system.exists(path) and not system.which(program):
            system.skip(what, "%s is there, and the program %s is not: nothing tells them" % (path, program))
    try:
        sites = _vhosts.discover(system)
    except IntactError as exc:
        sites = None
        system.skip("sites", str(exc))
    seen = {probe.SECTION: _eyes.look(system, probe, OPTIONS.get(probe.SECTION)) for probe in PROBES}
    for what, why in _services.silent(seen):
        system.skip(what, why)
    objects = _services.objects(sites, seen)
    found["files"] = _services.named(objects)
    unlooked = [entry for entry in system.unlooked[began:] if not CONTENT.search(entry["why"])]
    host = system.text("/proc/sys/kernel/hostname").strip() or system.text("/etc/hostname").strip()
    return _inventory.make(NAME, found.get("version", ""), host, {"kind": "command", "of": "the services"}, objects, unlooked)


def ready(system, found, mode="settings", where=_ready.ROOT):
    """Room for the copy."""
    return _ready.space(NAME, 256 << 20, "the configuration of all services is copied", where)


def keys(view, found):
    """Private keys that the configuration needs."""
    held = [path for path in found.get("files", []) if path.endswith((".key", "privkey.pem"))]
    return sorted(
        set(held) | {path for pattern in ("/etc/ssl/private/*", "/etc/dkimkeys/*", "/etc/letsencrypt/archive/*/privkey*.pem") for path in view.glob(pattern)}
    )


def export(system, found, mode, target, say):
    """Every configuration file of the services, links as links."""
    if mode != "settings":
        raise IntactError("a site without a panel has only settings to export: its data is what host_backup backs up")
    if "files" not in found:
        inventory(system, found)
    said, done = [], set()
    with tarfile.open(posixpath.join(target, ARTEFACT), "w:gz", format=tarfile.PAX_FORMAT) as archive:
        for path in TREES + [posixpath.normpath(_services.raw(text)) for text in found["files"] + keys(system, found)]:
            _copy(system, archive, path, done, said)
            real = system.realpath(path)
            if real != path:
                _copy(system, archive, real, done, said)
        say("%d files copied" % len(done))
    return {"files": [{"name": ARTEFACT, "role": "artefact"}], "said": said, "rc": 0}


def rescue(view, found, query, target):
    """The same from a disk."""
    return export(view, found, "settings", target, _silent)


def _silent(line):
    """Nobody listens to a rescue."""


def _copy(system, archive, path, done, said):
    status = system.lstat(path)
    if status is None or path in done:
        return
    done.add(path)
    entry = tarfile.TarInfo(path.lstrip("/"))
    entry.mode, entry.uid, entry.gid, entry.mtime = stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, int(status.st_mtime)
    if stat.S_ISLNK(status.st_mode):
        entry.type, entry.linkname = tarfile.SYMTYPE, system.readlink(path) or ""
        archive.addfile(entry)
    elif stat.S_ISDIR(status.st_mode):
        entry.type = tarfile.DIRTYPE
        archive.addfile(entry)
        for name in system.listdir(path):
            _copy(system, archive, posixpath.join(path, name), done, said)
    elif stat.S_ISREG(status.st_mode) and status.st_size <= LARGEST:
        data = system.read(path) or b""
        entry.size = len(data)
        archive.addfile(entry, io.BytesIO(data))
    elif stat.S_ISREG(status.st_mode):
        said.append("%s is too large for a configuration file and was left out: %d bytes" % (path, status.st_size))


def verify(opened, inventory, mode):
    """Every file that an object names is in the archive and says that object."""
    wanted = {_member(path) for path in _services.named(inventory["objects"])}
    contents = opened.contents(ARTEFACT, keep=lambda path, _size: path in wanted)
    found = _verify.broken(contents, NAME, ARTEFACT)
    texts = {path: data.decode("utf-8", "surrogateescape") for path, data in contents.kept.items()}
    for kind, entries in sorted(inventory["objects"].items()):
        for name, item in sorted(entries.items()):
            found += _references(contents, kind, name, item)
            files = [texts[_member(path)] for path in item.get("files", []) if _member(path) in texts]
            if files and not any(_says(kind, name, item, text) for text in files):
                evidence = "none of %s says it" % ", ".join(item["files"])
                found.append(_inventory.finding("panel.object.missing", NAME, kind, name, "it is not in the export", evidence, _verify.AGAIN, change="missing"))
            elif files and all(_otherwise(kind, name, item, text) for text in files):
                evidence = "%s has another value than the service told" % ", ".join(item["files"])
                found.append(_inventory.finding("panel.object.changed", NAME, kind, name, "it is not what it was", evidence, _verify.AGAIN, change="changed"))
    told = {kind: len(inventory["objects"].get(kind, {})) for kind in ("database", "database_user", "list", "mailbox")}
    known = ", ".join("%d of kind %s" % (number, kind) for kind, number in told.items() if number)
    if known:
        remedy = "back up and drill the classes databases, lists and mail (back-up-host.yml, drill-restore.yml)"
        found.append(_inventory.finding("panel.unproven", NAME, "export", "", "these are known by name only", known, remedy, severity="info"))
    return found


def _member(text):
    """What a path is called in the archive, as _archives tells names."""
    return text.lstrip("/").replace("!", "\\x21")


def _references(contents, kind, name, item):
    found = []
    for key, ident, what in (("files", "panel.reference.broken", "a file that tells it"), ("keys", "panel.key.missing", "its private key")):
        for path in item.get(key, []):
            held = contents.members.get(_member(path))
            if held is None or held.kind == "directory" or (held.kind == "file" and not held.size):
                why = "is not in the export" if held is None else "says nothing in the export"
                found.append(_inventory.finding(ident, NAME, kind, name, "%s %s" % (what, why), path, _verify.AGAIN))
    return found


def _says(kind, name, item, text):
    """Whether a configuration file's text tells an object."""
    bare = _services.raw(name)
    if kind == "domain":
        return bare == "_" or bare.lower() in text.lower()
    if kind == "certificate":
        return not item.get("certificate") or item["certificate"] in [hashlib.sha256(der).hexdigest() for der in _x509.from_pem(text)]
    if kind == "customer":
        rows = [row.split(":") for row in text.splitlines()]
        return any(
            row[0] == bare and row[2:3] == [str(item["uid"])] and row[5:7] == [_services.raw(item["home"]), _services.raw(item["shell"])] for row in rows
        )
    if kind == "cron_job" and item["what"] in ("user", "system"):
        return any(name == _services.job(entry["user"], entry["schedule"], entry["command"]) for entry in _jobs(item, text))
    if kind == "mail_alias":
        return bool(_entries(name, text)) if item["files"] != [MAIN] else bare.rpartition(" ")[2].lower() in text.lower()
    if kind == "setting":
        return re.search(r"^%s\s*=" % re.escape(bare.partition(" ")[2]), text, re.MULTILINE) is not None
    return bool(text)


def _otherwise(kind, name, item, text):
    """Whether a text has an alias or a setting with another value; one whose lines can't be told apart says nothing of it."""
    if kind == "mail_alias":
        return bool(_entries(name, text)) and {_plain(_services.raw(part)) for part in item["to"]} not in _entries(name, text)
    if kind == "setting":
        told = re.findall(r"(?m)^%s\s*=(.*)$" % re.escape(_services.raw(name).partition(" ")[2]), _unfolded(text))
        value = re.sub(r"[,\s]+", " ", told[-1]).strip() if told else ""
        return bool(told) and item["value"] not in (value, _inventory.secret(value))
    return False


def _entries(name, text):
    """The values, each as a set of recipients, that a table's text has for an alias. A colon stands behind the name in aliases(5), a blank elsewhere."""
    key, out = _services.raw(name).rpartition(" ")[2].lower().strip('"'), []
    for line in _unfolded(text).splitlines():
        for between in (r"\s*:\s*", r"\s+"):
            told, *value = re.split(between, line, maxsplit=1)
            if value and told.strip('"').lower() == key:
                out.append({_plain(part) for part in value[0].split(",")} - {""})
                break
    return out


def _unfolded(text):
    """Lines that begin with a blank belong to the one before; comments may stand between."""
    return re.sub(r"\n[ \t]+", " ", re.sub(r"(?m)^[ \t]*(?:#.*)?\n", "", text))


def _plain(part):
    return re.sub(r'["\s\\]', "", part)


def _jobs(item, text):
    """Jobs of a crontab; whose they are is its file's name, or stands in each line."""
    path = _services.raw(item["files"][0])
    return _schedule.crontab(text, user=posixpath.basename(path) if item["what"] == "user" else None)
