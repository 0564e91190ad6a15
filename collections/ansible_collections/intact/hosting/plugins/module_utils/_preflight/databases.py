# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Are the databases whole, and can they be shut down cleanly before their binary changes (PF36, PF38)."""

from __future__ import annotations

import re

from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError
from ansible_collections.intact.hosting.plugins.module_utils._preflight import _clusters

MYSQL_SERVERS = ("mariadb-server-[0-9]*", "mariadb-server", "mysql-server-[0-9]*", "mysql-server", "mariadb-server-core*")


def parse_check(text):
    """[(table, kind, message)] of what mariadb-check says is not well: kind is error or warning. Pure.

    A table is "db.table   OK", or its name alone and lines "kind : message" below it.
    """
    out, table = [], ""
    for line in text.splitlines():
        said = re.match(r"^(Error|error|warning|Warning|note|status|info)\s*: (.*)$", line)
        if said:
            kind, message = said.group(1).lower(), said.group(2).strip()
            if kind == "error" or kind == "warning" or (kind == "status" and message not in ("OK", "Operation failed")):
                out.append((table, kind, message))
        elif line.strip():
            table = line.split()[0]
    return out


def _mysql(context):
    """The client's argument lists for this host's server: (client, checker), or (None, None) when there is no server."""
    if not context.installed(*MYSQL_SERVERS):
        return None, None
    extra = ["--defaults-file=" + context.options["mysql_defaults_file"]] if context.options.get("mysql_defaults_file") else []
    client = "mariadb" if context.host.which("mariadb") else "mysql"
    checker = "mariadb-check" if context.host.which("mariadb-check") else "mysqlcheck"
    return [client] + extra + ["--batch", "--skip-column-names"], [checker] + extra


def integrity(context):
    """PF36: every table of every database can be read and is consistent."""
    found = []
    seconds = float(context.options.get("database_seconds") or 600)
    client, checker = _mysql(context)
    if client:
        found += _check_mysql(context, client, checker, seconds)
    for cluster in _clusters.clusters(context):
        found += _check_cluster(context, cluster, seconds)
    return found


def _unchecked(subject, why, remedy):
    return Finding(
        id="databases.unchecked", severity="blocker", subject=subject, title="nobody could see whether these databases are whole", evidence=why, remedy=remedy
    )


def _check_mysql(context, client, checker, seconds):
    alive = context.host.run(client + ["--execute", "SELECT 1"], check=False)
    if alive.rc != 0:
        return []  # told by PF38: no server answers
    try:
        asked = context.host.run(checker + ["--all-databases", "--check"], timeout=seconds, check=False)
    except IntactError as exc:
        return [_unchecked("MariaDB", str(exc), "raise preflight_database_seconds, or run mariadb-check --all-databases the day before and waive this")]
    found = []
    for table, kind, message in parse_check(asked.text + "\n" + asked.error):
        found.append(
            Finding(
                id="databases.corrupt" if kind == "error" else "databases.suspect",
                severity="blocker" if kind == "error" else "warning",
                subject=table or "MariaDB",
                title="the table is not well",
                evidence=message,
                remedy="make a copy, then mariadb-check --repair %s (MyISAM, Aria), or restore it (InnoDB)" % (table.replace(".", " ", 1) if table else ""),
            )
        )
    if asked.rc != 0 and not found:
        found.append(_unchecked("MariaDB", asked.error or asked.text[-300:], "run mariadb-check --all-databases as root and clear what it says"))
    return found


def _check_cluster(context, cluster, seconds):
    name = "PostgreSQL %s/%s" % (cluster["version"], cluster["cluster"])
    if not cluster.get("running"):
        if cluster.get("config", {}).get("start", cluster.get("start")) == "auto":
            return [
                Finding(
                    id="databases.down",
                    severity="blocker",
                    subject=name,
                    title="the cluster should run and does not",
                    remedy="pg_ctlcluster %s %s start, and read its log" % (cluster["version"], cluster["cluster"]),
                )
            ]
        return [Finding(id="databases.off", severity="info", subject=name, title="the cluster is switched off and was not looked at")]
    as_owner = ["runuser", "-u", "postgres", "--"]
    here = ["--port", str(cluster["port"])] + (["--host", cluster["socketdir"]] if cluster.get("socketdir") else [])
    tools = "/usr/lib/postgresql/%s/bin/" % cluster["version"]
    listed = context.host.run(
        as_owner + ["psql"] + here + ["-AtX0", "--dbname", "postgres", "--command", "SELECT datname FROM pg_database WHERE datallowconn"], check=False
    )
    if listed.rc != 0:
        return [_unchecked(name, listed.error, "see that user postgres can log in by the local socket (pg_hba.conf: peer)")]
    found, deep = [], 0
    for database in filter(None, (part.strip("\n") for part in listed.text.split("\0"))):
        has = context.host.run(
            as_owner + ["psql"] + here + ["-AtX", "--dbname", database, "--command", "SELECT count(*) FROM pg_extension WHERE extname = 'amcheck'"], check=False
        )
        amcheck = has.text.strip() == "1" and context.host.exists(tools + "pg_amcheck")
        # Without the extension (we install nothing) a full dump to nowhere still reads every row.
        argv = (
            [tools + "pg_amcheck"] + here + ["--database", database]
            if amcheck
            else [tools + "pg_dump"] + here + ["--no-sync", "--format", "custom", "--compress", "0", "--file", "/dev/null", database]
        )
        deep += amcheck
        try:
            asked = context.host.run(as_owner + argv, timeout=seconds, check=False)
        except IntactError as exc:
            found.append(_unchecked("%s %s" % (name, database), str(exc), "raise preflight_database_seconds, or run it the day before and waive this"))
            continue
        if asked.rc != 0:
            found.append(
                Finding(
                    id="databases.corrupt",
                    severity="blocker",
                    subject="%s %s" % (name, database),
                    title="the database cannot be read whole",
                    evidence=(asked.text + asked.error)[-500:].strip(),
                    remedy="copy the cluster's directory, then repair or restore what the message names",
                )
            )
    return found


def shutdown(context):
    """PF38: the server answers, and its shutdown before the change of binary will be slow and clean."""
    client, _checker = _mysql(context)
    if not client:
        return []
    query = "SELECT @@innodb_fast_shutdown, @@innodb_force_recovery, @@version; XA RECOVER"
    asked = context.host.run(client + ["--execute", query], check=False)
    if asked.rc != 0:
        return [
            Finding(
                id="databases.down",
                severity="blocker",
                subject="MariaDB",
                title="the server does not answer, so it cannot be shut down cleanly",
                evidence=asked.error[-300:],
                remedy="start it and see it healthy (journalctl -u mariadb), or give a login in preflight_mysql_defaults_file: a newer server refuses "
                "the log of one that was not shut down cleanly",
            )
        ]
    rows = [line.split("\t") for line in asked.text.splitlines()]
    found = []
    fast, recovery = int(rows[0][0]), int(rows[0][1])
    if recovery:
        found.append(
            Finding(
                id="databases.recovery",
                severity="blocker",
                subject="MariaDB",
                title="it runs in forced recovery (innodb_force_recovery = %d)" % recovery,
                remedy="dump, rebuild and restore its data, take the setting out, then run check-host again",
            )
        )
    for row in rows[1:]:
        found.append(
            Finding(
                id="databases.prepared",
                severity="blocker",
                subject="MariaDB",
                title="a distributed transaction is prepared and nobody finished it",
                evidence=" ".join(row)[:120],
                remedy="XA COMMIT or XA ROLLBACK it: a clean shutdown keeps it open, and the new server may not read it",
            )
        )
    if fast == 2:
        found.append(
            Finding(
                id="databases.fast-shutdown",
                severity="blocker",
                subject="MariaDB",
                title="innodb_fast_shutdown = 2 stops the server as if it crashed",
                remedy="set it to 1 or 0 in the configuration: the newer server refuses such a log",
            )
        )
    if context.plan.get("stages") and "database-stop" not in context.plan["stages"]:
        found.append(
            Finding(
                id="databases.stop.unplanned",
                severity="blocker",
                subject="MariaDB",
                title="the plan changes the server's binary without stopping it cleanly first",
                remedy="make the plan anew with this release of Intact",
            )
        )
    grants = context.host.run(client + ["--execute", "SHOW GRANTS"], check=False)
    if not re.search(r"ALL PRIVILEGES ON \*\.\*|SUPER|SYSTEM_VARIABLES_ADMIN|CONNECTION ADMIN", grants.text):
        found.append(
            Finding(
                id="databases.rights",
                severity="blocker",
                subject="MariaDB",
                title="this login may not ask for a slow shutdown",
                evidence="SHOW GRANTS names no privilege for SET GLOBAL",
                remedy="use a login with ALL PRIVILEGES in preflight_mysql_defaults_file, or restore root@localhost's unix_socket login",
            )
        )
    status = context.host.run(
        client
        + [
            "--execute",
            "SELECT VARIABLE_NAME, VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME IN ('INNODB_HISTORY_LIST_LENGTH', "
            "'INNODB_BUFFER_POOL_BYTES_DIRTY')",
        ],
        check=False,
    )
    pending = {row.split("\t")[0].upper(): int(row.split("\t")[1]) for row in status.text.splitlines() if row.count("\t") == 1 and row.split("\t")[1].isdigit()}
    if pending.get("INNODB_HISTORY_LIST_LENGTH", 0) > 1000000:
        found.append(
            Finding(
                id="databases.purge",
                severity="warning",
                subject="MariaDB",
                title="a slow shutdown has a lot to purge first",
                evidence="history list length %d" % pending["INNODB_HISTORY_LIST_LENGTH"],
                remedy="end long transactions before the window (SHOW ENGINE INNODB STATUS names them)",
            )
        )
    return found
