# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The databases of an old disk's PostgreSQL in a live cluster."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import types

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._migration import _class_tables, _load_postgresql, databases
from ansible_collections.intact.hosting.plugins.module_utils._system import System
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._cold import postgresql_server

pytestmark = pytest.mark.skipif(bool(postgresql_server.missing()), reason=postgresql_server.missing() or "-")


class Live(System):
    """The host, whose only cluster is the test's."""

    def which(self, program):
        return None if program == "pg_lsclusters" else super().which(program)

    def run(self, argv, **more):
        words = list(argv)
        if "psql" in words:
            words[words.index("psql") + 1 : words.index("psql") + 1] = ["-h", self.options["postgresql_host"]]
        elif "systemctl" in words:
            pytest.fail("no unit is asked")
        return super().run(words, **more)


@pytest.fixture
def both():
    top = tempfile.mkdtemp(prefix="intact-cold-")
    os.chmod(top, 0o711)
    servers = []
    try:
        for name in ("old", "live"):
            os.mkdir(top + "/" + name)
            os.chmod(top + "/" + name, 0o711)
            servers.append(postgresql_server.Server(top + "/" + name).make())
        old, live = servers
        old.sql(
            "CREATE ROLE app LOGIN PASSWORD 'secret word'; CREATE ROLE readers; GRANT readers TO app; CREATE ROLE taken LOGIN; CREATE DATABASE app OWNER app"
        )
        old.sql(
            "CREATE TABLE t (id INT PRIMARY KEY, v TEXT); INSERT INTO t SELECT n, 'row ' || n FROM generate_series(1, 3000) n; ALTER TABLE t OWNER TO app;"
            "CREATE TABLE raw (b TEXT); INSERT INTO raw VALUES (E'\\xe4');",
            "app",
        )
        old.end()
        disk = postgresql_server.Disk(top + "/root")
        disk.take_cluster(old)
        os.mkdir(top + "/migration")
        settings = {"databases_scratch": top + "/work"}
        system = Live({"postgresql_host": live.socket})
        context = types.SimpleNamespace(root=disk.root, directory=top + "/migration", settings=settings, system=system, tell=lambda _line: None)
        # runuser must get to the socket
        os.chmod(live.socket, 0o755)
        yield context, live, disk
    finally:
        for server in servers:
            server.end()
        shutil.rmtree(top)


def blockers(document):
    return [(finding["id"], finding["subject"], finding["evidence"]) for finding in document["findings"] if finding["severity"] == "blocker"]


def test_databases_and_roles_come_over_once_and_nothing_that_is_there_is_touched(both, monkeypatch):
    context, live, disk = both
    live.sql("CREATE ROLE taken LOGIN SUPERUSER")
    before = disk.state()
    document = databases.run(context)
    assert disk.state() == before and not live.sql("SELECT count(*) FROM pg_db_role_setting").strip("0\n")
    assert [entry[:2] for entry in blockers(document)] == [("databases.migrate.role", "postgresql role taken")], blockers(document)
    live.sql("DROP ROLE taken")
    document = databases.run(context)
    assert document["status"] == "done", blockers(document)
    assert live.sql("SELECT count(*) FROM t", "app") == "3000\n" and live.sql("SELECT rolsuper FROM pg_authid WHERE rolname = 'taken'") == "f\n"
    assert live.sql("SELECT left(rolpassword, 5) FROM pg_authid WHERE rolname = 'app'") == "SCRAM\n"
    assert live.sql("SELECT pg_get_userbyid(relowner) FROM pg_class WHERE relname = 't'", "app") == "app\n"
    assert live.sql("SELECT pg_has_role('app', 'readers', 'MEMBER')") == "t\n"
    assert document["counts"]["tables"] == 2 and document["counts"]["rows"] == 3001 and "SCRAM" not in repr(document)
    old, new = _class_tables.old(context), _class_tables.new(context)
    assert old == new and old["postgresql:app.public.t"]["rows"] == 3000
    forgotten = os.path.join(disk.root, databases.sources(context)[0]["datadir"].lstrip("/"), "base/16999")
    os.mkdir(forgotten)
    assert set(_class_tables.old(context)) - set(new) == {"postgresql:(2 databases by files, 1 by the server)"}
    os.rmdir(forgotten)
    live.sql("UPDATE t SET v = 'x' WHERE id = 9", "app")
    assert _class_tables.new(context)["postgresql:app.public.t"] != old["postgresql:app.public.t"]

    # half loaded by a run that was killed: made anew; of somebody else: never
    live.sql("DROP DATABASE app")
    live.sql("CREATE DATABASE app")
    live.sql("CREATE TABLE mine (a INT)", "app")
    loader = _load_postgresql.Postgresql(context, databases.dest_of(context, databases.sources(context)[0]))
    loader._set("app", "")
    document = databases.run(context)
    assert [entry[:2] for entry in blockers(document)] == [("databases.migrate.existing", "postgresql:app")]
    loader._set("app", "loading", token="0a")
    assert [entry[0] for entry in blockers(databases.run(context))] == ["databases.migrate.existing"]
    live.sql("ALTER DATABASE app SET %s = '0a'" % _load_postgresql.MARK)
    document = databases.run(context)
    assert document["status"] == "done", blockers(document)
    assert live.sql("SELECT count(*) FROM pg_db_role_setting") == "0\n"
    assert live.sql("SELECT count(*) FROM t", "app") == "3000\n" and live.sql("SELECT count(*) FROM pg_class WHERE relname = 'mine'", "app") == "0\n"


def test_roles_that_were_cut_in_the_middle_are_made_by_the_next_run(both, monkeypatch):
    context, live, _disk = both
    run = _load_postgresql.Postgresql._psql

    def cut(self, database, path=None, text="", connected=""):
        if "CREATE ROLE" in text:
            lines = text.split("\n")
            run(self, database, text="\n".join(lines[: 1 + max(n for n, line in enumerate(lines) if line.startswith("CREATE ROLE"))]) + "\n")
            raise IntactError("killed")
        return run(self, database, path, text, connected)

    monkeypatch.setattr(_load_postgresql.Postgresql, "_psql", cut)
    assert [entry[2] for entry in blockers(databases.run(context))] == ["killed"]

    def refused(self, database, path=None, text="", connected=""):
        return run(self, database, path, text.replace("GRANT", "GRANT nobodys TO app;\nGRANT", 1), connected)

    monkeypatch.setattr(_load_postgresql.Postgresql, "_psql", refused)
    document = databases.run(context)
    # what one statement is refused for costs no other one
    assert [entry[0] for entry in blockers(document)] == ["databases.migrate.role"] and "nobodys" in blockers(document)[0][2], blockers(document)
    assert live.sql("SELECT left(rolpassword, 5) FROM pg_authid WHERE rolname = 'app'") == "SCRAM\n"
    assert live.sql("SELECT pg_has_role('app', 'readers', 'MEMBER')") == "t\n" and live.sql("SELECT count(*) FROM t", "app") == "3000\n"


def test_an_old_password_that_no_rule_of_the_live_server_takes_is_told(both):
    context, live, _disk = both
    hashed = "md5" + hashlib.md5(b"secret wordapp").hexdigest()
    live.sql("CREATE ROLE app LOGIN PASSWORD '%s'; CREATE ROLE other LOGIN PASSWORD '%s'" % (hashed, hashed))

    def told(rules):
        with open(live.data + "/pg_hba.conf", "w", encoding="ascii") as handle:
            handle.write("local all all trust\n" + rules)
        live.sql("SELECT pg_reload_conf()")
        return [entry[1] for entry in blockers(databases.run(context)) if entry[0] == "databases.migrate.password"]

    # of roles that did not come from the disk nothing is said
    assert told("host all all 127.0.0.1/32 scram-sha-256\n") == ["postgresql role app"]
    assert told("host all all 127.0.0.1/32 md5\n") == [] and told("") == []
