# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plesk's questions, its rescued rows and their way back, against a real MariaDB with psa in it: what SQLite lets pass a server may not."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import tempfile

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._backup import _throwaway_mysql
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import _inventory, _plesk_dump, plesk
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels import plesk_fixture as fixture

from stand_ins.plesk import store  # isort: skip (found by stand_in_fixture)

pytestmark = pytest.mark.skipif(not (shutil.which("mariadbd") or shutil.which("mysqld")) or os.getuid() != 0, reason="no MariaDB server here, or not root")


@pytest.fixture(scope="module")
def server():
    """A private MariaDB with the tables of seed 1, and customers' databases beside them."""
    # not pytest's directory: another session of it closes that to the server's user
    place = tempfile.mkdtemp(prefix="intact-m-")
    os.chmod(place, 0o711)
    try:
        running = _throwaway_mysql.MariaDB(place + "/server")
    except IntactError as exc:
        shutil.rmtree(place)
        pytest.skip("no throw-away server here: %s" % exc)
    world = fixture.host(1, "18.0.62.2").world
    script = store.script(world)
    for name, tables in world.databases.items():
        script += "CREATE DATABASE `%s`;\n" % name
        for table, (columns, rows) in tables.items():
            script += "CREATE TABLE `%s`.`%s` (%s);\n" % (name, table, ", ".join("`%s` text" % column for column in columns))
            script += "".join("INSERT INTO `%s`.`%s` VALUES (%s);\n" % (name, table, ", ".join("'%s'" % v.replace("'", "''") for v in row)) for row in rows)
    assert not running._sql(script).rc
    yield running
    running.close()
    shutil.rmtree(place)


@pytest.fixture(scope="module")
def host(server, tmp_path_factory):
    """The stand-in's programs before that server."""
    return fixture.Host(tmp_path_factory.mktemp("host"), 1, "18.0.62.2", server=server._login)


def test_a_real_server_tells_the_same_inventory(host):
    wanted = fixture.host(1, "18.0.62.2").inventory
    seen = host.driver.inventory(host.stage, host.found)
    assert [(finding.id, finding.subject, finding.evidence) for finding in _inventory.compare(wanted, seen)] == [] and not seen["unlooked"]
    # and the same attributes, not only those that both have
    assert seen["objects"] == wanted["objects"]


def test_an_export_of_it_is_proven(host):
    run = host.export("settings", native=True)
    assert (run.red, run.verdict) == ([], "proven"), run.made["said"]
    assert not fixture.spoken(run.text, host.world)


def test_a_damaged_table_is_told(host, server):
    assert not server._sql("RENAME TABLE psa.mail TO psa.mail_gone;").rc
    try:
        with pytest.raises(IntactError, match="no table mail"):
            host.driver.inventory(host.stage, host.found)
        assert not server._sql("CREATE VIEW psa.MailListsV AS SELECT 1; RENAME TABLE psa.mail_gone TO psa.mail; ALTER TABLE psa.MailLists RENAME psa.ml;").rc
        # a view that is broken stands where the table was
        assert not server._sql("CREATE VIEW psa.MailLists AS SELECT id, dom_id, name, status FROM psa.ml; RENAME TABLE psa.ml TO psa.ml2;").rc
        with pytest.raises(IntactError):
            host.driver.inventory(host.stage, host.found)
    finally:
        server._sql("DROP VIEW IF EXISTS psa.MailLists; DROP VIEW IF EXISTS psa.MailListsV; RENAME TABLE psa.ml2 TO psa.MailLists;")
    assert host.driver.inventory(host.stage, host.found)["objects"] == fixture.host(1, "18.0.62.2").inventory["objects"]


def asked(server):
    """A query function as rescue has one."""

    def query(database, sql):
        argv = server._argv("--default-character-set=utf8mb4", "--skip-column-names", database)
        done = subprocess.run(argv, input=sql.encode(), capture_output=True, check=False)
        if done.returncode:
            raise IntactError(done.stderr.decode())
        lines = done.stdout.decode("utf-8", "surrogateescape").split("\n")[:-1]
        return [tuple(value.replace("\\n", "\n").replace("\\t", "\t").replace("\\\\", "\\") for value in line.split("\t")) for line in lines]

    return query


def test_rescued_rows_go_back_as_they_were(server, tmp_path):
    """Odd bytes, NULLs, dates, enums and numbers: the same by the server's own digest after a drop and a load."""
    odd = "CREATE TABLE psa.odd (a INT, b VARCHAR(20) CHARACTER SET latin1, c BLOB, d DATE, e ENUM('x','O''y'), f DOUBLE, g TIMESTAMP NULL, h TEXT);"
    odd += "INSERT INTO psa.odd VALUES (-1, _latin1 0xE4F6, 0x00FF0A27, '2008-02-29', 'O''y', 1.5, '2008-12-31 23:59:59', 'a\\\\b\\nc\\'d;(e)'),"
    odd += " (NULL, '', '', NULL, NULL, NULL, NULL, 'NULL');"
    assert not server._sql(odd).rc
    tables = server._sql(
        "SELECT GROUP_CONCAT(CONCAT('psa.`', TABLE_NAME, '`') SEPARATOR ', ') FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'psa';"
    ).text.strip()
    before = server._sql("CHECKSUM TABLE %s EXTENDED;" % tables).text
    assert before.count("\n") > 20 and "NULL" not in before
    query = asked(server)
    made = plesk.rescue(fixture.host(1, "18.0.62.2").stage, {"major": 18}, query, str(tmp_path))
    text = gzip.decompress((tmp_path / "psa.sql.gz").read_bytes())
    told = _plesk_dump.Scan()
    told.feed(text)
    assert told.result()["whole"] and len(told.result()["psa"]["mail"]) > 5 and "rows of the panel's database" in made["said"][0]
    assert not server._sql("DROP DATABASE psa;").rc
    done = subprocess.run(server._argv(), input=text, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert server._sql("CHECKSUM TABLE %s EXTENDED;" % tables).text == before
    server._sql("DROP TABLE psa.odd;")
    assert "planted" not in json.dumps(made)


def test_a_backup_of_everything_goes_back_into_it(host, server):
    run = host.export("full")
    assert (run.red, run.verdict) == ([], "proven"), run.made["said"]
    lost = "DELETE FROM psa.mail WHERE id %% 2 = 0; DELETE FROM psa.domainaliases; UPDATE psa.clients SET email = 'lost@example.net'; DROP DATABASE `%s`;"
    assert not server._sql(lost % sorted(host.world.databases)[0]).rc
    wanted = [finding.subject for finding in _inventory.compare(host.inventory, host.driver.inventory(host.stage, host.found))]
    assert len(wanted) > 8
    with host.opened(run.path) as opened:
        done = host.driver.restore(host.stage, host.found, opened, [].append)
    assert done["rc"] == 0, done["said"]
    assert [(f.id, f.subject, f.evidence) for f in _inventory.compare(host.inventory, host.driver.inventory(host.stage, host.found))] == []
