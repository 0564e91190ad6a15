# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""FTP accounts that are no accounts of the system: ProFTPD's password files."""

from __future__ import annotations

import hashlib
import hmac
import re

from ansible_collections.intact.hosting.plugins.module_utils._baseline._compare import details
from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding

MAIN = "/etc/proftpd/proftpd.conf"
MORE = ("/etc/proftpd/conf.d/*.conf", "/etc/proftpd/*.conf")


def capture(system, key):
    """Items "ftp NAME" {uid gid home shell password path}; password is a digest with the host's own key, None without one."""
    items = {}
    for path in sorted(_files(system)):
        for line in system.text(path).splitlines():
            fields = line.split(":")
            if len(fields) == 7 and fields[2].isdigit() and not line.startswith("#"):
                name, secret, uid, gid, _gecos, home, shell = fields
                digest = hmac.new(key, secret.encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest() if key and secret else None
                items["ftp " + escape(name)] = {
                    "uid": int(uid),
                    "gid": int(gid) if gid.isdigit() else gid,
                    "home": escape(home),
                    "shell": escape(shell),
                    "password": digest,
                    "path": path,
                }
    return items


def _files(system):
    """Paths that AuthUserFile names; ProFTPD takes the first where a server has several."""
    found = set()
    for path in dict.fromkeys([MAIN] + [p for pattern in MORE for p in system.glob(pattern)]):
        found.update(re.findall(r"^\s*AuthUserFile\s+\"?(/[^\s\"]+)", system.text(path), re.MULTILINE | re.IGNORECASE))
    return found


def compare(old, new):
    """Findings accounts.ftp.{missing,new,changed} for two maps of items."""
    out = []
    for subject in sorted(s for s in set(old) | set(new) if s.startswith("ftp ")):
        was, now = old.get(subject), new.get(subject)
        if was == now:
            continue
        if now is None:
            told = ("missing", "blocker", "the FTP account is gone", "it led to %s as %d" % (was["home"], was["uid"]), "")
        elif was is None:
            told = ("new", "warning", "a new FTP account", "it leads to %s as %d" % (now["home"], now["uid"]), "")
        else:
            names = [k for k in ("uid", "gid", "home", "shell", "password") if was[k] != now[k]]
            if "password" in names and None in (was["password"], now["password"]):
                names.remove("password")  # one of the looks had no key to digest it with
            if not names:
                continue
            told = ("changed", "blocker", "the FTP account is not what it was", "; ".join(_words(k, was, now) for k in names), names[0])
        name, severity, title, evidence, attribute = told
        path = (now or was)["path"]
        out.append(
            Finding(
                id="accounts.ftp." + name,
                severity=severity,
                subject=subject,
                check="QF23",
                title=title,
                evidence=evidence,
                remedy="find out who made it" if was is None else "put its line in %s back from the backup" % path,
                details=details(name, attribute, None, None, paths=[path]),
                covers=[{"section": "files", "path": path}],
            )
        )
    return out


def _words(attribute, was, now):
    return "another password" if attribute == "password" else "%s %s, now %s" % (attribute, was[attribute], now[attribute])
