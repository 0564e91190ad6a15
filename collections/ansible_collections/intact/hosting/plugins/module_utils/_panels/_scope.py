# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What a checkpoint is of: a driver's paths, databases and services made exact, and how much room they take."""

from __future__ import annotations

import os

from ansible_collections.intact.hosting.plugins.module_utils._backup import _live, _restore_steps, mysql
from ansible_collections.intact.hosting.plugins.module_utils._baseline import _mysql, _postgresql
from ansible_collections.intact.hosting.plugins.module_utils._command import run
from ansible_collections.intact.hosting.plugins.module_utils._files import escape, unescape
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import _server

# of what is kept: once for the copy, once for the server that reads the dumps back
ROOM = 2.2


def named(view, database):
    """A database as the baseline names it. A driver says psa, mariadb:psa, or {engine, name, port}."""
    if not isinstance(database, dict):
        return database if ":" in database else "%s:%s" % (_mysql.NAME, escape(database))
    if database["engine"] == "sqlite":
        return "sqlite:%s" % escape(database["name"])
    if database["engine"] != "postgresql":
        return "%s:%s" % (_mysql.NAME, escape(database["name"]))
    clusters = _postgresql.labelled(_postgresql.clusters(view))
    label = next((label for label, cluster in clusters if database.get("port") and str(cluster["port"]) == str(database["port"])), _postgresql.NAME)
    return "%s:%s" % (label, escape(database["name"]))


def asked(driver, view, found, opened):
    """What a driver wants kept before it restores from an export: all that a restore changes, and how far it reaches from this very export."""
    out = dict(driver.checkpoint(view, found))
    if hasattr(driver, "reaches"):
        further = driver.reaches(view, found, opened)
        for name in ("paths", "loose", "databases"):
            out[name] = list(out.get(name) or []) + list(further.get(name) or [])
    return out


def wanted(view, asked, root):
    """What was asked to be kept, made exact: {paths, loose, strict, databases, data, services, stop}. root: where checkpoints are, which can't be in one.

    loose: customers' paths; what comes there meanwhile is theirs, and stays. strict: the panel's own ones, also where they are below those.
    """
    strict, loose = (_exact(view, asked.get(name), root) for name in ("paths", "loose"))
    return {
        "paths": _restore_steps.topmost(strict + loose),
        "loose": loose,
        "strict": strict,
        "databases": sorted({named(view, database) for database in asked.get("databases") or []}),
        "data": sorted({named(view, database) for database in asked.get("data") or []}),
        "services": _units(asked.get("services"), asked.get("stop")),
        "stop": _units(asked.get("stop")),
    }


def _exact(view, paths, root):
    out = []
    for path in paths or []:
        path = os.path.normpath(path)
        if not os.path.isabs(path) or path == "/" or (os.path.realpath(root) + "/").startswith(os.path.realpath(place(view, path)).rstrip("/") + "/"):
            raise IntactError("%s can't be kept in a checkpoint below %s" % (path, root))
        out.append(escape(path))
        target = view.realpath(path)
        if view.readlink(path) is not None and view.exists(target):
            out.append(escape(target))
    return out


def theirs(what):
    """A function that tells of an escaped path whether it is a customer's: the longest kept path decides. what: of wanted(), or a checkpoint's document."""

    def length(names, path):
        return max((len(name) for name in names if path == name or path.startswith(name.rstrip("/") + "/")), default=-1)

    return lambda path: length(what.get("loose", ()), path) > length(what.get("strict", ()), path)


def place(view, path):
    """Where a path lies for programs of this host."""
    return view.place(path) if hasattr(view, "place") else path


def _units(*several):
    return sorted({name if "." in name or "*" in name else name + ".service" for names in several for name in names or []})


def on_mysql(what):
    """Names of the databases that are on the host's MariaDB or MySQL."""
    return [name for name in what["databases"] if name.startswith(_mysql.NAME + ":")]


def bytes_of(view, what, server):
    """About how many bytes a checkpoint of this takes."""
    total = 0
    for path in what["paths"]:
        done = run(["du", "-sxB1", "--", place(view, os.fsdecode(unescape(path)))], timeout=3600, check=False)
        total += int(done.text.split()[0]) if done.text.split() else 0
    total += sum((view.lstat(_file(name)) or os.stat_result([0] * 10)).st_size for name in what["databases"] if _live.is_file(name))
    schemas = [mysql.schema(name) for name in on_mysql(what)]
    if schemas:
        texts = ", ".join("CONVERT(0x%s USING utf8mb4)" % name.encode("utf-8", "surrogateescape").hex() for name in [*schemas, _server.OWN])
        rows = server.ask(["SELECT IFNULL(SUM(DATA_LENGTH), 0) FROM information_schema.TABLES WHERE TABLE_SCHEMA IN (%s);" % texts])
        total += int(float(rows[0][0]))
    return total


def _file(name):
    return os.fsdecode(unescape(name.partition(":")[2]))


def room(directory, needed):
    """Raise unless so many bytes have place below a directory that is there."""
    state = os.statvfs(directory)
    free = state.f_bavail * state.f_frsize
    if free < needed * ROOM:
        raise IntactError(
            "%s has room for %d MB and the checkpoint may take %d MB: make room, then run this again" % (directory, free >> 20, int(needed * ROOM) >> 20),
            free=free,
            needed=int(needed * ROOM),
            space=True,
        )
