# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.
"""Packages and databases of an old root, by their files."""

from __future__ import annotations

import posixpath
import re
import stat

from ansible_collections.intact.hosting.plugins.module_utils._cold import _mysql_options
from ansible_collections.intact.hosting.plugins.module_utils._files import escape

LARGE = 4 << 20
STATUS = 256 << 20
PROGRAM = 64 << 20
POSTGRESQL = (
    "/var/lib/pgsql/data",
    "/var/lib/pgsql/*/data",
    "/var/lib/postgresql/*/*",
    "/var/lib/postgres/data",
    "/usr/local/pgsql/data",
    "/opt/postgresql/data",
)
UPGRADED = ("mariadb_upgrade_info", "mysql_upgrade_info")
SERVERS = ("mariadb-server-core", "mysql-server-core", "mariadb-server", "mysql-server", "mysql-server-5")
# how MySQL and MariaDB call themselves in their own bytes
OWN = rb"\x00(\d{1,2}\.\d{1,2}\.\d{1,3}(?:-MariaDB|-log|-community)?[-\w.+~]{0,40})\x00"
RPM = ("/var/lib/rpm/Packages", "/var/lib/rpm/Packages.db", "/var/lib/rpm/rpmdb.sqlite", "/usr/lib/sysimage/rpm/rpmdb.sqlite")


def text(view, path, limit=LARGE):
    """Text of a plain file, "" when there is none; more than the limit nobody wrote by hand."""
    return (view.read(path, limit) or b"").decode("utf-8", "surrogateescape")


def inside(view, program, pattern):
    """What a pattern with one group finds in a program's bytes, "" when nothing."""
    found = re.search(pattern, view.read(program, PROGRAM) or b"")
    return escape(found.group(1)) if found else ""


def packages(view):
    """{format (dpkg | rpm | ""), versions {name: version}}; of rpm's database only that it is there."""
    status = text(view, "/var/lib/dpkg/status", STATUS)
    if status:
        versions = {}
        for block in status.split("\n\n"):
            fields = dict(re.findall(r"^(Package|Status|Version): (.*)$", block, re.MULTILINE))
            if fields.get("Status", "").endswith(" installed") and "Package" in fields:
                versions[fields["Package"]] = escape(fields.get("Version", ""))
        return {"format": "dpkg", "versions": versions}
    return {"format": "rpm" if any(view.exists(path) for path in RPM) else "", "versions": {}}


def databases(view, versions):
    """[{kind (mysql | mariadb | postgresql) datadir version how databases [names] running}]; running: its files say that it was not stopped."""
    out = []
    held = _mysql_options.locate(view)
    if held:
        out.append(_mysql(view, held, versions))
    for pattern in POSTGRESQL:
        for place in view.glob(pattern) if "*" in pattern else [pattern]:
            version = text(view, place + "/PG_VERSION", 64).strip()
            if version:
                running = view.exists(place + "/postmaster.pid")
                entry = {"kind": "postgresql", "datadir": escape(place), "version": escape(version), "how": "PG_VERSION", "running": running}
                out.append(dict(entry, databases=[]))
    return out


def _mysql(view, held, versions):
    place, version, how = held["datadir"], "", ""
    for name in UPGRADED:
        words = text(view, posixpath.join(place, name), 256).strip("\0 \n").split()
        if words:
            version, how = escape(words[0].rstrip("\0")), name
            break
    if not version:
        package = next((p for p in sorted(versions) if p.startswith(SERVERS)), None)
        if package:
            version, how = versions[package], "package"
    if not version:
        program = next(iter(held["programs"]), None)
        version = inside(view, program, OWN) if program else ""
        how = "program" if version else ""
    maria = "mariadb" in version.lower() or any("mariadb" in program for program in held["programs"]) or any(p.startswith("mariadb-server") for p in versions)
    names = [escape(name) for name in view.listdir(place) if _directory(view, posixpath.join(place, name))]
    return {
        "kind": "mariadb" if maria else "mysql",
        "datadir": escape(place),
        "version": version,
        "how": how,
        "running": any(name.endswith(".pid") for name in view.listdir(place)),
        "databases": [name for name in names if name not in ("mysql", "performance_schema", "sys", "#innodb_redo", "#innodb_temp", "lost+found")],
    }


def _directory(view, path):
    state = view.lstat(path)
    return state is not None and stat.S_ISDIR(state.st_mode)
