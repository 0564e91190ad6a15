# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""PostgreSQL: a dump of one database and its digests from one exported snapshot; nobody waits for it."""

from __future__ import annotations

import json

from ansible_collections.intact.hosting.plugins.module_utils._backup._dump import Dump, Program, Statements, stream_path
from ansible_collections.intact.hosting.plugins.module_utils._backup._held import Held, Session
from ansible_collections.intact.hosting.plugins.module_utils._baseline import _postgresql
from ansible_collections.intact.hosting.plugins.module_utils._files import escape, unescape
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

ENGINE = "postgresql"
ENDING = b"-- PostgreSQL database dump complete"
ACCOUNTS_ENDING = b"-- PostgreSQL database cluster dump complete"
AS_OWNER = ["runuser", "-u", "postgres", "--"]
# the values that the dump finds are these or later ones: a sequence knows no snapshot
SEQUENCES = (
    "SELECT json_build_object('is', 'sequence', 'name', schemaname, 'sequence', sequencename, 'value', COALESCE(last_value, start_value)) FROM pg_sequences;"
)
BEGIN = (
    "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; SET lock_timeout = '10s';\n"
    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;\nSELECT json_build_object('is', 'snapshot', 'id', pg_export_snapshot());\n"
)


def _clusters(system):
    """[(label, cluster)]; raises for one that does not run: what it holds would be left out without a word."""
    found = _postgresql.labelled(_postgresql.clusters(system))
    for _label, cluster in found:
        if not cluster["status"].startswith("online"):
            raise IntactError("PostgreSQL's cluster %s/%s is %s: it can't be dumped" % (cluster["version"], cluster["name"], cluster["status"]))
    return found


def _cluster(system, name):
    """(cluster, label, the database's own name) of postgresql(other):app."""
    label, _colon, database = name.partition(":")
    cluster = dict(_clusters(system)).get(label)
    if cluster is None:
        raise IntactError("there is no cluster %s on this host any more" % label)
    return cluster, label, unescape(database).decode("utf-8", "surrogateescape")


def connection(database):
    """A connection string, so that odd database names can't be taken for options."""
    return "dbname='%s'" % database.replace("\\", "\\\\").replace("'", "\\'")


def databases(system):
    """Names of the databases of all clusters (postgresql:app), postgres among them, templates not; [] without a server."""
    out = []
    for label, cluster in _clusters(system):
        _items, names = _postgresql.cluster_items(system, cluster, label)
        out += ["%s:%s" % (label, escape(name)) for name in names]
    return sorted(out)


def open(system, name):  # noqa: A001 (the contract's word)
    """A PostgresqlDump that is being written."""
    cluster, label, database = _cluster(system, name)
    argv = AS_OWNER + ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=0", "-p", cluster["port"], "-d", connection(database)]
    session = Session(argv, "\\echo {}", env={"PGCONNECT_TIMEOUT": "10"})
    try:
        result = session.ask((_postgresql.SESSION + BEGIN + SEQUENCES).encode(), 120)
        rows = [json.loads(line) for line in result.text.split("\n") if line.startswith("{")]
        snapshot = next((row["id"] for row in rows if row["is"] == "snapshot"), None)
        if not snapshot or result.rc or "ERROR" in result.error:
            raise IntactError("%s: no snapshot: %s" % (name, (result.error or "the server ended the session").splitlines()[0]))
        sequences = {(row["name"], row["sequence"]): row["value"] for row in rows if row["is"] == "sequence"}
        process = Program(dump_argv(cluster["port"], database, snapshot))
    except BaseException:
        session.close()
        raise
    return PostgresqlDump(system, name, process, session, (cluster, label, database), sequences)


def dump_argv(port, database, snapshot):
    """The dump program's arguments. Plain text: it has an end that can be told from a cut, and repeats itself from day to day."""
    argv = AS_OWNER + ["pg_dump", "-p", port, "--no-password", "--snapshot=" + snapshot, "--lock-wait-timeout=10s"]
    # the database postgres is there already wherever this is loaded
    argv += ["--create"] if database != "postgres" else []
    return argv + ["-d", connection(database)]


class PostgresqlDump(Dump):
    """A dump by pg_dump of the snapshot that session exported."""

    def __init__(self, system, name, process, session, where, sequences):
        super().__init__(name, stream_path(name, ENGINE), process, ENDING)
        self._system, self._session, self._where, self._sequences = system, session, where, sequences

    def section(self):
        """Items of the database."""
        cluster, label, database = self._where
        # the catalogue is asked for as a whole: an error in it must end the transaction, and be seen
        held = Held(self._system, self._session, ("psql",), b"\\set ON_ERROR_ROLLBACK off\n")
        items = items_of(held, cluster, label, database)
        for (schema, sequence), value in self._sequences.items():
            item = items.get("%s.%s.%s" % (self.name, escape(schema), escape(sequence)))
            if item and item.get("value") is not None:
                item["value"] = min(item["value"], value)
        return items

    def close(self):
        """End the program and the transaction."""
        super().close()
        self._session.close()


def items_of(system, cluster, label, database, rules=()):
    """Items of one database, itself first."""
    subject = "%s:%s" % (label, escape(database))
    everything, _names = _postgresql.cluster_items(system, cluster, label, database)
    items = {subject: everything[subject]} if subject in everything else {}
    return dict(items, **_postgresql.database_items(system, cluster, label, database, list(rules)))


def account_items(system, cluster, label):
    """Items of the server itself and of its roles."""
    everything, _names = _postgresql.cluster_items(system, cluster, label)
    return {subject: item for subject, item in everything.items() if item["kind"] in ("server", "role")}


def accounts(system):
    """[Statements] with roles, memberships and tablespaces of each cluster. They hold password hashes: secrets."""
    out = []
    for label, cluster in _clusters(system):
        name = label + " accounts"
        result = system.run(AS_OWNER + ["pg_dumpall", "-p", cluster["port"], "--no-password", "--globals-only"], timeout=600, check=False)
        if result.rc:
            raise IntactError("%s: pg_dumpall: %s" % (name, (result.error or "it failed").splitlines()[-1]))
        out.append(Statements(name, stream_path(name, ENGINE), result.out, ACCOUNTS_ENDING, account_items(system, cluster, label)))
    return out
