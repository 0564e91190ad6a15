# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The stand-in's program: virtualmin COMMAND. See the package's docstring for what is known and what is guessed."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import tarfile
import time
from pathlib import Path

from stand_ins.kit import flipped, put, real, switched, tar_bytes, text, tree_bytes
from stand_ins.mariadb import clients
from stand_ins.virtualmin import MODULE

FEATURES = "virtualmin unix mail dns web ssl logrotate mysql postgres webmin dir".split()


def main(root, name, arguments):
    """The exit status of a command."""
    commands = {"backup-domain": backup, "restore-domain": restore, "validate-domains": validate, "list-domains": listed}
    if not arguments or arguments[0] not in commands:
        print("Unknown command")
        return 1
    return commands[arguments[0]](root, arguments[1:])


def settings(data):
    """{key: value}."""
    return dict(line.split("=", 1) for line in data.splitlines() if "=" in line)


def domains(root):
    """[what a domain's file says], in the order of names."""
    found = [settings(text(root, "%s/domains/%s" % (MODULE, name))) for name in sorted(os.listdir(real(root, MODULE + "/domains")))]
    return sorted(found, key=lambda held: held["dom"])


def options(arguments):
    """{option: [values]}."""
    out, index = {}, 0
    while index < len(arguments):
        key = arguments[index]
        alone = index + 1 >= len(arguments) or arguments[index + 1].startswith("--")
        out.setdefault(key, []).append("" if alone else arguments[index + 1])
        index += 1 if alone else 2
    return out


def listed(root, arguments):
    """Passwords in clear and all, as the facts say."""
    for held in domains(root):
        print(held["dom"])
        if "--multiline" in arguments:
            print("    Username: %s\n    Password: %s" % (held["user"], held.get("pass", "")))
    return 0


def backup(root, arguments):
    """backup-domain."""
    asked = options(arguments)
    known = {"--dest", "--all-domains", "--all-features", "--except-feature", "--newformat", "--all-virtualmin", "--ignore-errors", "--no-differential"}
    known |= {"--compression", "--mkdir", "--purge", "--strftime"}
    wrong = sorted(set(asked) - known)
    if wrong or "--dest" not in asked:
        print("Unknown parameter %s\n\nCreates a Virtualmin backup" % (wrong or ["--dest"])[0])
        return 1
    target = real(root, asked["--dest"][0])
    without = asked.get("--except-feature", [])
    print("Starting backup..")
    if switched(root, "full"):
        print("Creating backup for virtual server example.com ..\n    .. TAR failed : tar: write error: No space left on device\nBackup failed!")
        return 2
    failed = []
    for held in domains(root):
        print("Creating backup for virtual server %s .." % held["dom"])
        failed += [held["dom"]] * (not one(root, held, target, without))
        print(".. completed in 0 seconds")
    if "--all-virtualmin" in asked and not switched(root, "no-settings"):
        put(root, target + "/virtualmin.tar.gz", own_settings(root), 0o600)
    if switched(root, "purge-fails"):
        print("Deleting old backups ..\n.. no old backups could be deleted")
        return 3
    if failed:
        print("Backup partially completed. Final size was 12 kB")
        return 4
    print("Backup completed successfully. Final size was 12 kB")
    return 0


def one(root, held, target, without):
    """One domain's archive with its sidecars; whether all went well."""
    name = held["dom"]
    missing = switched(root, "missing")
    entries, good = {}, True
    for feature in [f for f in FEATURES if f not in without and (held.get(f) == "1" or f == "virtualmin")]:
        if missing == "%s:%s" % (name, feature):
            continue
        if feature == "mysql":
            good = databases(root, held, entries) and good
        elif feature != "dir":
            entries.update({"%s_%s" % (name, part): data for part, data in files(root, held, feature).items()})
    if "dir" in without:
        data = gzip.compress(tar_bytes(entries), 4)
    else:
        place = real(root, held["home"])
        shutil.rmtree(place + "/.backup", ignore_errors=True)
        for part, content in {**entries, "%s_dir" % name: b""}.items():
            put(root, "%s/.backup/%s" % (place, part), content)
        if switched(root, "warning"):
            print("    tar: ./public_html/index.html: file changed as we read it")
        hidden = ("domains", *[entry for entry in os.listdir(place) if entry != ".backup" and switched(root, "no-home") == name])
        data = tree_bytes(place, "gz", without=hidden)
        shutil.rmtree(place + "/.backup")
    if missing == name:
        return good
    if switched(root, "truncated") == name:
        data = data[: len(data) * 2 // 3]  # tar | gzip | writer without pipefail: nobody notices
    if switched(root, "flipped") == name:
        data = flipped(data)
    path = "%s/%s.tar.gz" % (target, name)
    put(root, path, data, 0o600)
    features = [f for f in FEATURES if f not in without and held.get(f) == "1"]
    put(root, path + ".info", "HASH,%s,ARRAY%%2C%s" % (name, "%2C".join(features)))
    put(root, path + ".dom", "HASH,%s,HASH%%2Cdom%%2C%s" % (name, name))
    for sidecar in (".info", ".dom"):
        os.utime(path + sidecar, (time.time() + 5, time.time() + 5))
    return good


def altered(root, content):
    """What the export changes on its way, by a switch."""
    what = switched(root, "altered")
    return content.replace(what.encode(), what.encode()[::-1]) if what else content


def files(root, held, feature):
    """{part: bytes} that a feature leaves."""
    name, user = held["dom"], held["user"]
    ident = next(i for i in os.listdir(real(root, MODULE + "/domains")) if settings(text(root, "%s/domains/%s" % (MODULE, i)))["dom"] == name)
    if feature == "virtualmin":
        extra = "backup_web_type=web\n" + ("backup_parent_dom=example.com\n" if held.get("parent") else "")
        parts = {"virtualmin": altered(root, (text(root, "%s/domains/%s" % (MODULE, ident)) + extra).encode()), "virtualmin_scripts": b""}
        for key in ("cert", "key"):
            if held.get("ssl_" + key):
                parts["virtualmin_ssl_" + key] = text(root, held["ssl_" + key]).encode()
        return parts
    if feature == "unix":
        return {"unix": text(root, "/var/spool/cron/crontabs/" + user).encode(), "unix_url": b"\n"} if not held.get("parent") else {}
    if feature == "dns":
        return {"dns": text(root, "/var/lib/bind/%s.hosts" % name).encode(), "dns_records": b"ARRAY"}
    if feature == "mail":
        return mail(root, held)
    if feature == "webmin":
        data = tar_bytes({"example.acl": b"noconfig=1\n"})
        return {"webmin.tar": data[:700] if switched(root, "inner") == name else data, "webmin_url": b"\n"}
    return {feature: b"<VirtualHost 192.0.2.9:80>\n</VirtualHost>\n"}


def mail(root, held):
    """Users and aliases, in the format of the real ones."""
    home, name = held["home"], held["dom"]
    table = dict(line.split(None, 1) for line in text(root, "/etc/postfix/virtual").splitlines() if "@" in line.split()[0])
    shadow = dict(line.split(":")[:2] for line in text(root, "/etc/shadow").splitlines())
    lines, primary = [], set()
    for row in (line.split(":") for line in text(root, "/etc/passwd").splitlines()):
        inside = (row[5] + "/").startswith(home + "/")
        mine = row[3] == held["gid"] and (inside and "/domains/" not in row[5][len(home) :] if not held.get("parent") else inside)
        if not mine:
            continue
        web = row[2] == held["uid"] and row[0] != held["user"]
        email = next((address for address, to in table.items() if address.endswith("@" + name) and to == row[0]), "")
        primary.add(email)
        fields = [row[0], shadow[row[0]], "w" if web else row[2], row[3], row[4], row[5], row[6], "" if web else email]
        lines.append(":".join(fields) + ":-:-:-:-:-:-:-\n" + table.get(email, "") + "\n")
    aliases = ["%s: %s\n" % (address, to) for address, to in table.items() if address.endswith("@" + name) and address not in primary]
    return {"mail": b"", "mail_users": altered(root, "".join(lines).encode()), "mail_aliases": altered(root, "".join(aliases).encode()), "mail_cron": b"0\n"}


def databases(root, held, entries):
    """Dumps; only the first line is looked at, so that one that breaks off is good."""
    name, good = held["dom"], True
    entries["%s_mysql" % name] = b"hosts=localhost\n"
    for database in held.get("db_mysql", "").split():
        print("    Dumping MySQL database %s .." % database)
        dump, _status = clients.dump_text(root, database)
        if switched(root, "partial") == name:
            print("    .. dump failed : <pre>mysqldump: Got error: 1045: Access denied for user 'root' using password %s</pre>" % held.get("mysql_pass"))
            entries["%s_mysql_%s" % (name, database)] = dump.encode()[:90]
            good = False
        elif switched(root, "missing") != "db:" + database:
            entries["%s_mysql_%s" % (name, database)] = b"-- MariaDB dump 10.19\n" if switched(root, "empty-dump") == database else dump.encode()
            print("    .. done")
    return good


def own_settings(root):
    """virtualmin.tar.gz."""
    templates = {"0": b"name=Default Settings\n", "1": b"name=Settings For Sub-Servers\n"}
    for name in os.listdir(real(root, MODULE + "/templates")):
        templates[name] = text(root, "%s/templates/%s" % (MODULE, name)).encode() + b"standard=0\n"
    entries = {"virtualmin_config": text(root, MODULE + "/config").encode(), "virtualmin_templates": tar_bytes({"./" + n: d for n, d in templates.items()})}
    for part, directory in (("templates_plans", "plans"), ("scheds", "backups")):
        entries["virtualmin_" + part] = tree_bytes(real(root, "%s/%s" % (MODULE, directory)))
    entries["virtualmin_mailserver_maincf"] = text(root, "/etc/postfix/main.cf").encode()
    return gzip.compress(tar_bytes(entries), 4)


def contents(path):
    """{domain: archive} of a directory, or None with the file that can't be read. Sidecars that are newer than their archive are believed."""
    found = {}
    for place in sorted(Path(path).iterdir()):
        if place.name.endswith((".info", ".dom")):
            continue
        info = Path(str(place) + ".info")
        if info.exists() and info.stat().st_mtime >= place.stat().st_mtime:
            found[info.read_text().split(",")[1]] = place
            continue
        try:
            with tarfile.open(place) as archive:
                names = [member.name for member in archive]
        except (tarfile.TarError, EOFError, OSError):
            return None, place
        match = next((m for m in (re.match(r"(?:\./)?(?:\.backup/)?([^/_]+)_[a-z]+\Z", name) for name in names) if m), None)
        if match:
            found[match.group(1)] = place
    return found, None


def restore(root, arguments):
    """restore-domain, and its --test."""
    asked = options(arguments)
    found, bad = contents(real(root, asked["--source"][0]))
    if bad:
        print("Failed to read backup file : %s : Failed to list contents of backup\n" % bad)
        return 1
    print("Checking for missing features ..\n.. all features in backup are supported\nChecking for errors in backup ..")
    if switched(root, "critical"):
        print(".. this backup cannot be restored : the Unix group example is already in use")
        return 2
    print(".. no errors found")
    if "--test" in asked:
        print("The following servers will be restored :\n" + "".join("        %s\n" % name for name in found))
        return 0
    print("Starting restore..")
    if switched(root, "restore-fails"):
        print("Restore failed!")
        return 1
    for name, place in found.items():
        with tarfile.open(place) as archive:
            parts = {info.name.split("/")[-1]: archive.extractfile(info).read() for info in archive if info.isfile() and name + "_" in info.name}
        if name == "virtualmin":
            continue
        data = parts[name + "_virtualmin"].decode()
        put(root, "%s/domains/%s" % (MODULE, settings(data)["id"]), "".join(x for x in data.splitlines(True) if not x.startswith("backup_")), 0o600)
        put(root, "/var/lib/bind/%s.hosts" % name, parts.get(name + "_dns", b""))
        kept = [line for line in text(root, "/etc/postfix/virtual").splitlines(True) if not re.search(r"@%s\s" % re.escape(name), line)]
        kept += ["%s %s\n" % tuple(line.split(": ", 1)) for line in parts[name + "_mail_aliases"].decode().splitlines()]
        users = parts[name + "_mail_users"].decode().splitlines()
        kept += ["%s %s\n" % (row.split(":")[7], row.split(":")[0]) for row in users[::2] if row.split(":")[7]]
        put(root, "/etc/postfix/virtual", "".join(kept))
    print("Restore completed successfully.")
    return 0


def validate(root, arguments):
    """validate-domains: the exit status is the number of errors, which is a byte."""
    name, number = switched(root, "invalid"), int(switched(root, "errors") or 1)
    if not name:
        return 0
    print(name)
    for count in range(number):
        print("    Home directory : Sub-directory %d under home directory does not exist" % count)
    return number % 256
