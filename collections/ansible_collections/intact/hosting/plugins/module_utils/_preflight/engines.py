# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Can the target's database servers and brokers read what today's have written (PF37)."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass

from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding
from ansible_collections.intact.hosting.plugins.module_utils._preflight import _clusters, _machine


@dataclass(frozen=True)
class Engine:
    """name: as the release path says it. packages: patterns, one installed is enough. ask: argument lists, the first program that is there tells.

    says: how the version stands in the answer, [major.minor]. package: whose version tells when no program does.
    """

    name: str
    packages: tuple
    ask: tuple
    says: str


ENGINES = (
    Engine(
        "mariadb",
        ("mariadb-server", "mariadb-server-[0-9]*", "MariaDB-server"),
        (("mariadbd", "--version"), ("mysqld", "--version")),
        r"(\d+\.\d+)[\d.]*-MariaDB",
    ),
    Engine(
        "mysql",
        ("mysql-server", "mysql-server-[0-9]*", "mysql-community-server", "percona-server-server*"),
        (("mysqld", "--version"),),
        r"Ver (\d+\.\d+)(?!\S*MariaDB)",
    ),
    Engine("rabbitmq", ("rabbitmq-server",), (), ""),
    Engine("mongodb", ("mongodb-org-server", "mongodb-server*"), (("mongod", "--version"),), r"v(\d+\.\d+)"),
    Engine("elasticsearch", ("elasticsearch", "opensearch"), (), ""),
)
STATE = ("/var/lib/mysql/mariadb_upgrade_info", "/var/lib/mysql/mysql_upgrade_info")


def version_of(context, engine):
    """Version (major.minor) of an engine that is installed, by its program or its package, "" when it can't be told."""
    host = context.host
    for argv in engine.ask:
        if host.which(argv[0]):
            said = host.run(list(argv), check=False)
            found = re.search(engine.says, said.text + said.error)
            if found:
                return found.group(1)
    names = context.installed(*engine.packages)
    found = re.search(r"(?:\d+:)?(\d+\.\d+)", context.packages()[names[0]][0]) if names else None
    return found.group(1) if found else ""


def engines(context):
    """PF37: each database engine has a way to the target's version that its makers support."""
    rules = {str(entry["engine"]): entry for entry in context.release_path.get("engines") or []}
    found = []
    for engine in ENGINES:
        if not context.installed(*engine.packages):
            continue
        version = version_of(context, engine)
        if engine.name == "mysql" and not version:
            continue
        found += _planned(context, engine, version) or _judged(context, engine.name, engine.name, version, rules.get(engine.name))
        if engine.name in ("mariadb", "mysql"):
            found += _never_upgraded(context, engine.name, version)
    for cluster in _clusters.clusters(context):
        name = "postgresql %s/%s" % (cluster["version"], cluster["cluster"])
        found += _judged(context, "postgresql", name, str(cluster["version"]), rules.get("postgresql"))
    return found + _extensions(context)


def _planned(context, engine, version):
    """What the plan itself says of the server's package, [] where the release path has to judge.

    A package that stays or is updated within its version, as a vendor's may, takes no step at all.
    """
    rows = [entry for kind in ("upgrade", "install") for entry in context.planned(kind) if any(fnmatch.fnmatchcase(entry["name"], p) for p in engine.packages)]
    gone = {entry["name"] for entry in context.planned("remove")}
    if not rows:
        stays = bool(context.plan.get("upgrade")) and not gone & set(context.installed(*engine.packages))
        return [_same(engine.name, "its package stays as it is", version)] if stays else []
    found = re.search(r"(?:\d+:)?(\d+\.\d+)", str(rows[0].get("to") or ""))
    if not found or not version:
        return []
    new, old = ([int(n) for n in text.split(".")] for text in (found.group(1), version))
    if new == old:
        return [_same(engine.name, "the target has the same version", version)]
    if new < old:
        title = "the upgrade brings an older version than the one that wrote the files"
        remedy = "map the vendor's source to the target (preflight_source_map), or move its databases by dumps"
        return [Finding("databases.path", "blocker", engine.name, title, "%s, and then %s" % (version, found.group(1)), remedy)]
    return []


def _same(name, why, version):
    return Finding("databases.path.same", "info", name, "the engine takes no step", "%s (%s)" % (why, version or "version not told"))


def _judged(context, engine, subject, version, rule):
    if rule is None:
        title = "the release path says nothing about this engine's way to the target"
        remedy = "read its makers' notes on upgrading, and write it into the path's engines, or keep the vendor's packages for the target"
        return [Finding("databases.path.unknown", "warning", subject, title, "version %s" % (version or "not told"), remedy)]
    if any(fnmatch.fnmatchcase(version, str(pattern)) for pattern in rule.get("from") or []):
        return []
    title = "%s has no direct way from this version to the target's %s" % (engine, rule.get("target") or "version")
    remedy = str(rule.get("remedy") or "upgrade the engine to one of %s first, before the system" % ", ".join(str(name) for name in rule.get("from") or []))
    evidence = "version %s; %s" % (version or "not told", rule["reason"])
    return [Finding("databases.path", "blocker", subject, title, evidence, remedy)]


def _never_upgraded(context, name, version):
    """System tables of an older version than the server: the next one meets two steps at once."""
    text = next((text for text in (context.host.text(path).strip("\0\n ") for path in STATE) if text), "")
    held = re.match(r"(\d+)\.(\d+)", text)
    if not held or not version or [int(n) for n in held.groups()] >= [int(n) for n in version.split(".")]:
        return []
    remedy = "mariadb-upgrade (mysql_upgrade), and read its output; then run check-host again"
    title = "the system tables were never brought to the server's version"
    return [Finding("databases.tables", "blocker", name, title, "tables of %s.%s, server %s" % (held.group(1), held.group(2), version), remedy)]


def _extensions(context):
    """Extensions' packages of PostgreSQL that the plan does not bring for the new version: pg_upgrade stops at them."""
    after = _machine.coming(context)
    new = sorted(
        (int(name.rsplit("-", 1)[1]) for name in (entry["name"] for entry in context.planned("install")) if re.match(r"postgresql-\d+$", name)), reverse=True
    )
    if not new:
        return []
    found = []
    for name in context.installed("postgresql-[0-9]*-*"):
        match = re.match(r"postgresql-(\d+)-(.+?)(-scripts|-dbgsym)?$", name)
        if not match or match.group(3) or int(match.group(1)) >= new[0]:
            continue
        wanted = "postgresql-%d-%s" % (new[0], match.group(2))
        if wanted not in after:
            title = "this extension does not come along to PostgreSQL %d" % new[0]
            remedy = "apt-get install %s in the same transaction (or DROP EXTENSION where it isn't used), or the cluster can't be upgraded" % wanted
            found.append(Finding("databases.extension", "warning", name, title, "the plan brings no %s" % wanted, remedy))
    return found
