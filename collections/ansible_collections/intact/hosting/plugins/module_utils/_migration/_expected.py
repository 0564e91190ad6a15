# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""How many of each class an old disk must have: looked for with file patterns, so that a class that reads nothing can't call it equal."""

from __future__ import annotations

import posixpath
import stat

# {class: patterns on the old disk}. They are crude on purpose: they only tell none from some.
PATTERNS = {
    "files": ("/home/*", "/var/www/*", "/srv/*"),
    "tables": (
        "/var/lib/mysql/*/*.frm",
        "/var/lib/mysql/*/*.ibd",
        "/var/lib/pgsql/*/base/*/*",
        "/var/lib/postgresql/*/*/base/*/*",
        "/var/lib/pgsql/data/base/*/*",
    ),
    "mailboxes": (
        "/var/mail/*",
        "/var/spool/mail/*",
        "/home/*/Maildir/cur",
        "/var/vmail/*/*/cur",
        "/var/vmail/*/*/Maildir/cur",
        "/var/qmail/mailnames/*/*/Maildir/cur",
        "/home/vmail/*/*/cur",
    ),
    "lists": ("/var/lib/mailman/lists/*/config.pck", "/usr/local/mailman/lists/*/config.pck"),
    "jobs": ("/var/spool/cron/crontabs/*", "/var/spool/cron/[a-z]*"),
    "aliases": ("/etc/aliases", "/etc/mail/aliases", "/etc/postfix/virtual"),
    "certificates": ("/etc/ssl/private/*.key", "/etc/apache2/ssl/*.key", "/etc/letsencrypt/live/*/privkey.pem", "/etc/pki/tls/private/*.key"),
    "zones": ("/var/named/*.zone", "/var/named/db.*", "/etc/bind/zones/*", "/etc/bind/db.*.*", "/var/lib/bind/db.*", "/var/cache/bind/db.*"),
}
# what a distribution brings by itself and nobody misses
SHIPPED = {"mailman", "placeholder", "lost+found", "snakeoil.key", "ssl-cert-snakeoil.key", "localhost.key", "db.local", "db.empty", "db.root"}
SYSTEM_TABLES = ("mysql", "information_schema", "performance_schema", "sys")
# the first object id that PostgreSQL gives to what users make
FIRST_OWN = 16384
PEOPLE_FROM = 500
NOBODY = (65533, 65534, 4294967294)


def expected(old):
    """{class: (number found, one that was found)} of a Rooted on the old disk; a class with nothing on it is (0, "")."""
    out = {"accounts": _people(old)}
    for name, patterns in PATTERNS.items():
        found = [path for pattern in patterns for path in old.glob(pattern) if _counts(old, name, path)]
        out[name] = (len(found), found[0] if found else "")
    return out


def _people(old):
    names = []
    for line in old.text("/etc/passwd").splitlines():
        parts = line.split(":")
        if len(parts) > 2 and parts[2].isdigit() and int(parts[2]) >= PEOPLE_FROM and int(parts[2]) not in NOBODY:
            names.append(parts[0])
    return len(names), names[0] if names else ""


def _counts(old, name, path):
    entry, last = old.lstat(path), posixpath.basename(path)
    if entry is None or last in SHIPPED or last.startswith("."):
        return False
    if name == "tables" and "/base/" in path:
        return last.isdigit() and int(last) >= FIRST_OWN
    if name == "tables":
        return posixpath.basename(posixpath.dirname(path)) not in SYSTEM_TABLES
    if name == "lists":
        return posixpath.basename(posixpath.dirname(path)) not in SHIPPED
    if name in ("jobs", "aliases", "zones"):
        return stat.S_ISREG(entry.st_mode) and any(line.strip() and not line.lstrip().startswith(("#", ";")) for line in old.text(path).splitlines())
    if name == "mailboxes" and stat.S_ISREG(entry.st_mode):
        return entry.st_size > 0
    return True
