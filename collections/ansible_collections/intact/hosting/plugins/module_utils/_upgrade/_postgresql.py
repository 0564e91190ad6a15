# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""PostgreSQL's clusters after the packages: brought to the new version or kept, with what Debian's pg_upgradecluster leaves behind."""

from __future__ import annotations

import json
import os

from ansible_collections.intact.hosting.plugins.module_utils._command import which
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._upgrade._host import StageFailure

ETC = "/etc/postgresql"
VIEWS = "SELECT json_agg(json_build_array(schemaname, matviewname)) FROM pg_matviews WHERE %s"


def clusters(text):
    """[{version, name, port, status, owner, data}] from pg_lsclusters -h. Pure."""
    out = []
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 6:
            out.append(dict(zip(("version", "name", "port", "status", "owner", "data"), words)))
    return out


def postgresql(host, policy, reindex):
    """After the packages: upgrade clusters or keep them, and repair indexes whose order the new C library changed; returns a sentence."""
    if not which("pg_lsclusters"):
        return ""
    said, found = [], clusters(host.run(["pg_lsclusters", "-h"], check=False).text)
    versions = sorted(
        {name for name in os.listdir("/usr/lib/postgresql") if name.isdigit() and os.path.exists("/usr/lib/postgresql/%s/bin/postgres" % name)}, key=int
    )
    newest = versions[-1] if versions else ""
    for cluster in found:
        label = "%s/%s" % (cluster["version"], cluster["name"])
        if policy == "upgrade" and newest and int(cluster["version"]) < int(newest):
            if not any(c["version"] == newest and c["name"] == cluster["name"] for c in found):
                _remember_views(host, cluster)
                host.memory.progress(0, 0, "", "upgrading cluster %s to %s" % (label, newest))
                host.run(["pg_upgradecluster", "-v", newest, cluster["version"], cluster["name"]], timeout=86400 * 2)
                said.append("PostgreSQL cluster %s upgraded to %s; the old one is stopped and kept" % (label, newest))
            # Also after a cut that came between: both find nothing to do when it is done.
            _start_the_new_one(host, cluster, newest)
            said += _carry_drop_ins(host, cluster, newest) + _fill_views(host, cluster, newest)
            continue
        if not cluster["status"].startswith("online"):
            continue
        said.append("PostgreSQL cluster %s stays on version %s" % (label, cluster["version"]))
        if reindex:
            said += _reindex(host, cluster)
    return "; ".join(said)


def _psql(host, cluster, database, statement):
    argv = ["runuser", "-u", cluster["owner"], "--", "psql", "-X", "-A", "-t", "-q", "-p", cluster["port"], "-c", statement]
    # By environment: as an argument, a name with = in it would be taken for connection settings.
    return host.run(argv, timeout=86400, env={"PGDATABASE": database}).text


def _reindex(host, cluster):
    """Rebuild the indexes of databases whose collation version is not the C library's any more (PostgreSQL 15 and later know)."""
    if int(cluster["version"]) < 15:
        stale = [n for n in _psql(host, cluster, "postgres", "SELECT datname FROM pg_database WHERE datallowconn").splitlines() if n]
    else:
        query = "SELECT datname FROM pg_database WHERE datallowconn AND datcollversion IS DISTINCT FROM pg_database_collation_actual_version(oid)"
        stale = [n for n in _psql(host, cluster, "postgres", query).splitlines() if n]
    for name in stale:
        quoted = '"%s"' % name.replace('"', '""')
        host.memory.progress(0, 0, "", "rebuilding the indexes of PostgreSQL database %s" % name)
        _psql(host, cluster, name, "REINDEX DATABASE %s" % quoted)
        if int(cluster["version"]) >= 15:
            _psql(host, cluster, name, "ALTER DATABASE %s REFRESH COLLATION VERSION" % quoted)
    return ["indexes of %s rebuilt for the new C library's sort order" % ", ".join(stale)] if stale else []


def _databases_of(host, cluster):
    return [n for n in _psql(host, cluster, "postgres", "SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate").splitlines() if n]


def _views(host, cluster, condition):
    """{database: [[schema, materialised view], ...]} for which the condition holds."""
    out = {}
    for name in _databases_of(host, cluster):
        found = json.loads(_psql(host, cluster, name, VIEWS % condition).strip() or "null")
        if found:
            out[name] = found
    return out


def _key(cluster):
    return "matviews %s/%s" % (cluster["version"], cluster["name"])


def _remember_views(host, cluster):
    """Which materialised views hold rows: in the new version one that could not be filled is there, and empty."""
    if cluster["status"].startswith("online"):
        host.memory.remember(_key(cluster), _views(host, cluster, "ispopulated"))


def _fill_views(host, cluster, version):
    """Fill the materialised views that held rows and hold none now: the load has an empty search path, with which some definitions fail."""
    known = host.memory.recall(_key(cluster)) or {}
    new = _cluster(host, version, cluster["name"])
    if not known or not new or not new["status"].startswith("online"):
        return []
    said, empty = [], _views(host, new, "NOT ispopulated")
    for database in sorted(known):
        left = [view for view in empty.get(database, []) if view in known[database]]
        # One may be made of others: again as long as it helps.
        while left:
            still, why = [], ""
            for view in left:
                try:
                    _psql(host, new, database, "REFRESH MATERIALIZED VIEW %s" % ".".join('"%s"' % part.replace('"', '""') for part in view))
                    said.append("%s of database %s filled" % (".".join(view), database))
                except IntactError as exc:
                    still.append(view)
                    why = str(exc)
            if len(still) == len(left):
                host.memory.journal("note", text="materialised views of %s could not be filled: %s (%s)" % (database, ", ".join(map(".".join, still)), why))
                break
            left = still
    return said


def _start_the_new_one(host, cluster, version):
    """At boot: pg_upgradecluster only writes start.conf, and a unit that somebody enabled starts the old cluster beside the new one all the same."""
    old, new = ("postgresql@%s-%s.service" % (number, cluster["name"]) for number in (cluster["version"], version))
    if host.unit_state(old, "UnitFileState") == "enabled":
        host.systemctl("enable", new)
        host.systemctl("disable", old)
        host.memory.journal("note", text="%s starts at boot in the place of %s" % (new, old))


def _cluster(host, version, name):
    found = clusters(host.run(["pg_lsclusters", "-h"], check=False).text)
    return next((c for c in found if (c["version"], c["name"]) == (version, name)), None)


def _carry_drop_ins(host, cluster, version, etc=ETC):
    """Bring the files of conf.d, which pg_upgradecluster leaves behind, and start the new cluster with them; a sentence in a list.

    StageFailure when it does not start with them: then they are taken out again, and it runs without.
    """
    source, target = (os.path.join(etc, number, cluster["name"], "conf.d") for number in (cluster["version"], version))
    names = sorted(n for n in os.listdir(source) if n.endswith(".conf")) if os.path.isdir(source) else []
    names = [name for name in names if not os.path.lexists(os.path.join(target, name))]
    if not names or not os.path.isdir(os.path.dirname(target)):
        return []
    if not os.path.isdir(target):
        info = os.stat(source)
        os.mkdir(target, 0o755)
        os.chown(target, info.st_uid, info.st_gid)
    unit = "postgresql@%s-%s.service" % (version, cluster["name"])
    for name in names:
        host.run(["cp", "-a", "--", os.path.join(source, name), os.path.join(target, name)])
    try:
        host.systemctl("restart", unit, timeout=900)
    except IntactError as exc:
        for name in names:
            os.unlink(os.path.join(target, name))
        host.systemctl("restart", unit, timeout=900, check=False)
        raise StageFailure(
            "PostgreSQL %s does not start with %s of version %s: %s" % (version, ", ".join(names), cluster["version"], exc),
            "put files that version %s understands into %s under the same names, then start the upgrade again" % (version, target),
        ) from exc
    return ["settings of %s carried over (%s)" % (source, ", ".join(names))]
