# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Is each database server up and through its own upgrade (QF19)."""

from __future__ import annotations

import re

from ansible_collections.intact.hosting.plugins.module_utils import _checks
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding


def mariadb_upgraded(context):
    """QF19: mariadb-upgrade has nothing left to do, and the error log of this start is clean."""
    host = context.host
    program = host.which("mariadb-upgrade") or host.which("mysql_upgrade")
    if not program or not (host.which("mariadbd") or host.which("mysqld")):
        return []
    alive = host.run([host.which("mariadb-admin") or "mysqladmin", "ping"], check=False)
    if alive.rc != 0:
        return [
            Finding(
                id="databases.down",
                severity="blocker",
                subject="MariaDB",
                title="the server does not answer",
                evidence=alive.error,
                remedy="journalctl -u mariadb; do not touch its files before you read why",
            )
        ]
    # its own manual: status 0 says an upgrade is needed, 1 that it is not
    needed = host.run([program, "--check-if-upgrade-is-needed", "--silent"], check=False)
    if needed.rc == 1:
        return []
    return [
        Finding(
            id="databases.upgrade.pending",
            severity="blocker",
            subject="MariaDB",
            title="its system tables are those of the older version",
            evidence=(needed.text + needed.error).strip()[-300:],
            remedy="mariadb-upgrade",
        )
    ]


def parse_clusters(text):
    """[(version, name, port, status)] from pg_lsclusters -h."""
    return [tuple(line.split()[:4]) for line in text.splitlines() if len(line.split()) >= 4]


def postgresql_clusters(context):
    """QF19: every cluster that starts by itself is online; an old one kept on purpose is told."""
    program = context.host.which("pg_lsclusters")
    if not program:
        return []
    found = []
    clusters = parse_clusters(context.host.run([program, "-h"]).text)
    newest = max((float(version) for version, *_rest in clusters), default=0)
    for version, name, port, status in clusters:
        subject = "PostgreSQL %s/%s" % (version, name)
        if not re.match(r"online", status) and _checks.cluster_start(context.host, version, name) != "auto":
            found.append(
                Finding(
                    id="databases.off",
                    severity="info",
                    subject=subject,
                    title="the cluster is switched off in its start.conf",
                    evidence="port %s, status %s; that it ran before would be told by its sockets and databases" % (port, status),
                )
            )
        elif not re.match(r"online", status):
            found.append(
                Finding(
                    id="databases.down",
                    severity="blocker",
                    subject=subject,
                    title="the cluster is not online",
                    evidence="port %s, status %s" % (port, status),
                    remedy="pg_ctlcluster %s %s start, and read its log" % (version, name),
                )
            )
        elif float(version) < newest:
            found.append(
                Finding(
                    id="databases.old",
                    severity="info",
                    subject=subject,
                    title="still served by its older major version, on purpose",
                    evidence="newest here is %g" % newest,
                    remedy="pg_upgradecluster in a window of its own",
                )
            )
    return found
