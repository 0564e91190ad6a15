# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plesk 7.5, 8 and 9 beside their matrix: the server of 2008, whose newest backup is corrupt, an older one truncated, and whose disk is all that is left."""

from __future__ import annotations

import gzip
import json
import os
import sqlite3
from pathlib import Path

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._backup._rooted import Rooted
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import _export, _inventory, _plesk_restore, _verify
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels import plesk_fixture as fixture
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels.stand_in_fixture import kit

from stand_ins.plesk import store  # isort: skip (found by stand_in_fixture)


@pytest.fixture(params=["8.6.0", "9.5.4"])
def server(request, tmp_path):
    return fixture.Host(tmp_path / "host", 4, request.param)


@pytest.fixture
def eight(tmp_path):
    return fixture.Host(tmp_path / "host", 4, "8.6.0")


def execute(host, *statement):
    connection = sqlite3.connect(store.path(host.root))
    connection.execute(*statement)
    connection.commit()
    connection.close()


def differences(host):
    return [(finding.id, finding.subject, finding.evidence) for finding in _inventory.compare(host.inventory, host.driver.inventory(host.stage, host.found))]


def restored(host, path):
    with host.opened(path) as opened:
        return host.driver.restore(host.stage, host.found, opened, [].append)


def test_the_inventory_has_all_but_what_came_later(server):
    missing = set(_inventory.KINDS) - set(server.inventory["objects"])
    assert missing == {"subscription"} and not server.inventory["unlooked"]
    assert not fixture.spoken(json.dumps([server.inventory, server.stage.started]), server.world)
    mailbox = next(iter(server.inventory["objects"]["mailbox"].values()))
    assert mailbox["password"].startswith("sha256:"), "plain passwords can be compared by a digest"


def test_the_database_s_password_is_no_argument_and_a_wrong_one_is_told(server):
    assert all(server.world.shadow not in word for argv in server.stage.started for word in argv)
    kit.put(server.root, "/etc/psa/.psa.shadow", "not it", 0o600)
    (finding,) = [finding for finding in server.driver.ready(server.stage, server.found) if finding.id == "panel.database.refused"]
    assert "ERROR 1045" in finding.evidence and "not it" not in json.dumps(finding.as_dict())


@pytest.mark.parametrize("version, words", [("7.5.4", ["psadump", "-f"]), ("8.6.0", ["pleskbackup", "all"]), ("9.5.4", ["pleskbackup", "server", "-c"])])
def test_each_version_s_program_is_called(version, words):
    host = fixture.host(1, version)
    host.export("settings")
    argv = next(argv for argv in reversed(host.stage.started) if "/bin/ps" in argv[0] or "/bin/plesk" in argv[0])
    argv = [os.path.basename(argv[0])] + argv[1:]
    assert argv[: len(words)] == words and argv[-1].rpartition("=")[2].startswith("/")


def test_seven_and_eight_say_that_they_can_t_leave_data_out():
    assert any("whole backups only" in line for line in fixture.host(1, "8.6.0").export("settings").made["said"])
    assert not any("whole backups only" in line for line in fixture.host(1, "8.6.0").export("full").made["said"])


def test_there_is_no_check_and_no_repair_of_plesk_s_own(server):
    assert not hasattr(server.driver, "native") and not hasattr(server.driver, "repair")
    assert server.driver.checkpoint(server.stage, server.found)["databases"] == ["psa"]


def lose(host):
    for table in ("mail", "mail_aliases", "mail_redir", "MailLists", "domainaliases", "db_users", "dns_recs", "subdomains", "ftp_users"):
        execute(host, "DELETE FROM `%s` WHERE rowid %% 2 = 0 OR rowid = 1" % table)


def test_eight_comes_back_by_sql(eight):
    path = eight.export().path
    lose(eight)
    assert len(differences(eight)) > 15
    told = restored(eight, path)
    assert (told["rc"], differences(eight)) == (0, [])
    words = [argv[1] for argv in eight.stage.started if argv[0].endswith("pleskrestore")]
    assert words == ["--create-map", "--restore"]


def test_seven_comes_back_as_far_as_its_backup_says(tmp_path):
    host = fixture.Host(tmp_path / "host", 4, "7.5.4")
    path = host.export().path
    execute(host, "DELETE FROM mail")
    execute(host, "DELETE FROM data_bases")
    assert restored(host, path)["rc"] == 0
    seen = host.driver.inventory(host.stage, host.found)
    for kind in ("domain", "mailbox", "forward", "database"):
        assert set(seen["objects"][kind]) == set(host.inventory["objects"][kind]), kind


def test_what_can_t_be_restored_says_so(eight):
    path = eight.export(truncated="yes").path
    told = restored(eight, path)
    assert told["rc"] == 1 and "corrupted" in told["said"][-1]


def query(root):
    """The disk's database, opened cold by somebody: a MySQL 4.1 without information_schema."""

    def ask(database, sql):
        if "information_schema" in sql:
            raise IntactError("ERROR 1146: there is no such thing")
        connection = sqlite3.connect(store.path(root))
        try:
            rows = store._show(root, sql)
            rows = connection.execute(sql).fetchall() if rows is None else rows
        finally:
            connection.close()
        return [tuple("NULL" if value is None else str(value) for value in row) for row in rows]

    return ask


def sealed(host, files, inventory):
    with _export.begin(host.driver.NAME, "settings", os.path.join(host.root, "sources")) as work:
        for name, data in files.items():
            Path(work.target, name).write_bytes(data)
        named = [{"name": name, "role": "key" if name == "psa.shadow" else "artefact"} for name in files]
        document = _export.store(work, {"files": named, "said": [], "rc": 0}, inventory, dict(fixture.FACTS, version="8.6.0"))
        with _verify.Opened(work.path) as opened:
            findings, verdict = _verify.judge(host.driver, opened)
        return _export.seal(work, dict(document, verdict=verdict)), findings, verdict


def test_the_server_of_2008(eight, tmp_path):
    """Newest export corrupt, an older one truncated, the disk pulled: what is rescued from it is proven, its restore is killed and begun again."""
    newest, older = eight.export(flipped="yes"), eight.export(truncated="yes")
    assert (newest.verdict, older.verdict) == ("failed", "failed")
    daily = eight.driver.daily(eight.stage, eight.found)[0]
    broken = Path(kit.real(eight.root, daily["path"])).read_bytes()[:-100]
    assert sealed(eight, {"mysql.daily.dump.0.gz": broken}, eight.inventory)[2] == "failed"
    # the old disk, read only
    disk, target = Rooted(eight.root), tmp_path / "target"
    target.mkdir()
    found = eight.driver.detect(disk)
    inventory = eight.driver.inventory(disk, found, query(eight.root))
    # how many tables a customer's database has, a server without information_schema does not tell
    told = [(finding.subject, finding.evidence) for finding in _inventory.compare(eight.inventory, inventory)]
    assert (found["version"], told) == ("8.6.0", [])
    made = eight.driver.rescue(disk, found, query(eight.root), str(target))
    path, findings, verdict = sealed(eight, {entry["name"]: (target / entry["name"]).read_bytes() for entry in made["files"]}, inventory)
    assert verdict == "proven", [(finding.id, finding.subject) for finding in findings]
    # a new server, empty, on which the first try kills the database
    new = fixture.Host(tmp_path / "new", 5, "8.6.0")
    before = new.inventory
    kit.switch(new.root, "kill-restore")
    told = restored(new, path)
    assert told["rc"] and any("Lost connection" in line for line in told["said"])
    os.unlink(kit.real(new.root, "/stand-in/mysql-refused"))
    assert _inventory.compare(before, new.driver.inventory(new.stage, new.found)), "half of it was overwritten"
    assert restored(new, path)["rc"] == 0
    assert [f.subject for f in _inventory.compare(inventory, new.driver.inventory(new.stage, new.found)) if f.details["kind"] != "cron_job"] == []
    assert not fixture.spoken(json.dumps([eight.stage.started, new.stage.started, inventory, made, told]), eight.world)


def test_only_the_panel_s_own_part_of_a_daily_dump_is_loaded(eight):
    text = gzip.decompress(Path(kit.real(eight.root, eight.driver.daily(eight.stage, eight.found)[0]["path"])).read_bytes())
    own = _plesk_restore._psa(text)
    assert b"`clients`" in own and b"roundcubemail" not in own and b"authentication_string" not in own
    with pytest.raises(IntactError, match="does not hold the panel's database"):
        _plesk_restore._psa(b"-- Current Database: `shop`\nx\n")
    assert _plesk_restore._psa(b"no mark\n") == b"no mark\n"
