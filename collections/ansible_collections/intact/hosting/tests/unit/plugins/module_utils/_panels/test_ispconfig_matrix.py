# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ISPConfig and damage: the stand-in's database server really runs; an export is red where it must be, green where not, and each finding names its object."""

from __future__ import annotations

import os

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._backup._rooted import Rooted
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import _export, _homes, _inventory, _verify, ispconfig
from ansible_collections.intact.hosting.plugins.module_utils._panels import _mysql_login as mysql
from ansible_collections.intact.hosting.tests.unit.plugins.fake_system import FakeSystem
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels import stand_in_fixture as fixture
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels.stand_in_fixture import Stage, kit, mariadb

from stand_ins import ispconfig as panel  # isort: skip (its place is known once the fixture is imported)

ROOT = "/usr/local/ispconfig"
FACTS = {"version": "", "met": "stand-in", "host": "", "host_id": "", "seconds": 0}


@pytest.fixture
def host(tmp_path):
    """The root of a host with ISPConfig."""
    root = str(tmp_path / "host")
    os.makedirs(root)
    panel.install(root)
    return root


def about(ident, kind, *names):
    return [(ident, "ispconfig %s %s" % (kind, name)) for name in names]


def between(old, new):
    """What somebody does to a dump between the export and its verification."""

    def damage(target):
        path = target / "db_dbispconfig.sql"
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")

    return damage


def flip(name):
    def damage(target):
        (target / name).write_bytes(kit.flipped((target / name).read_bytes()))

    return damage


# besides the cells of the matrix (rows), name: (what is done to the host, what is done to the files, the blockers of a full export)
DAMAGE = {
    "a zone lost a record": (None, between("'www','A'", "'www','X'"), about("panel.object.changed", "dns_zone", "shop.example")),
    "a bit of the keys": (None, flip("keys.tar.gz"), None),
    "a key is missing": (
        lambda root: os.unlink(root + ROOT + "/server/lib/mysql_clientdb.conf"),
        None,
        None,
    ),
}


@pytest.mark.parametrize("name", sorted(name for name, (_host, _files, expected) in DAMAGE.items() if expected is not None))
def test_full_export_is_red_where_it_must_be(host, name):
    before, between_, expected = DAMAGE[name]
    if before:
        before(host)
    run = fixture.export(ispconfig, Stage(host), damage=between_)
    assert run.red == sorted(expected)
    assert run.verdict == ("failed" if expected else "proven")
    assert fixture.unspoken(run.text, panel.SECRETS) == []


def test_a_changed_bit_of_the_keys_is_told(host):
    run = fixture.export(ispconfig, Stage(host), damage=flip("keys.tar.gz"))
    assert run.verdict == "failed" and {subject for _ident, subject in run.red} == {"ispconfig file keys.tar.gz"}


def test_the_panels_own_dump_that_breaks_off_names_who_is_lost(host):
    kit.switch(host, "mysql-dump-broken", "dbispconfig")
    run = fixture.export(ispconfig, Stage(host))
    assert {("panel.dump.incomplete", "ispconfig database dbispconfig"), ("panel.said", "ispconfig database dbispconfig")} <= set(run.red)
    assert run.made["rc"] == 3 and any(ident == "panel.object.missing" for ident, _subject in run.red)
    assert fixture.unspoken(run.text, panel.SECRETS) == []


@pytest.mark.parametrize(("switch", "ident"), [("mysql-dump-nothing", "panel.dump.incomplete"), ("mysql-dump-silent", "panel.dump.empty")])
def test_a_dump_of_the_panel_that_says_nothing_at_exit_0(host, switch, ident):
    kit.switch(host, switch, "dbispconfig")
    run = fixture.export(ispconfig, Stage(host), "settings")
    assert run.made["rc"] == 0 and (ident, "ispconfig database dbispconfig") in run.red
    assert set(about("panel.object.missing", "customer", "ann", "bob") + about("panel.object.missing", "mailbox", "info@shop.example")) <= set(run.red)


def test_a_key_that_is_gone_is_told_before_and_after(host):
    os.unlink(host + ROOT + "/server/lib/mysql_clientdb.conf")
    stage = Stage(host)
    path = ROOT + "/server/lib/mysql_clientdb.conf"
    assert [(f.id, f.subject) for f in ispconfig.ready(stage, ispconfig.detect(stage))] == about("panel.key.missing", "setting", path)
    run = fixture.export(ispconfig, stage, "settings")
    assert run.red == about("panel.key.missing", "setting", path)


def test_a_refusing_server_is_told_and_no_inventory_is_made_up(host):
    kit.switch(host, "mysql-refused")
    stage = Stage(host)
    found = ispconfig.detect(stage)
    assert [(f.id, f.subject) for f in ispconfig.ready(stage, found)] == [("panel.database.refused", "ispconfig database")]
    with pytest.raises(IntactError, match="2002"):
        ispconfig.inventory(stage, found)


def test_a_database_without_the_panels_tables_is_no_empty_panel(host):
    stage = Stage(host)
    found = dict(ispconfig.detect(stage), database="c1shop")
    with pytest.raises(IntactError, match="none of the panel's tables"):
        ispconfig.inventory(stage, found)


def test_a_full_export_wants_room_for_the_customers_databases(host, monkeypatch):
    stage = Stage(host)
    found = ispconfig.detect(stage)
    assert ispconfig.ready(stage, found, "full", "/srv/exports") == []
    monkeypatch.setattr(_homes, "free", lambda system, path: ispconfig.SETTINGS_ROOM)
    assert ispconfig.ready(stage, found, "settings", "/srv/exports") == []
    (told,) = ispconfig.ready(stage, found, "full", "/srv/exports")
    assert (told.id, told.subject) == ("panel.space", "ispconfig directory /srv/exports") and "twice the customers' databases" in told.evidence


@pytest.mark.parametrize(
    ("argv", "busy"), [(("php", "update.php"), True), (("/bin/bash", "/usr/local/bin/ispconfig_update.sh"), True), (("php", "cron.php"), False)]
)
def test_an_update_at_work_is_waited_for(host, argv, busy):
    kit.process(host, 77, *argv)
    stage = Stage(host)
    assert [f.id for f in ispconfig.ready(stage, ispconfig.detect(stage))] == (["panel.busy"] if busy else [])


def test_a_restore_brings_back_the_rows(host):
    stage = Stage(host)
    found = ispconfig.detect(stage)
    run = fixture.export(ispconfig, stage, "settings")
    for table in ("mail_user", "client"):
        mariadb.change(host, "dbispconfig", "DELETE FROM %s" % table)
    mariadb.change(host, "dbispconfig", "UPDATE web_domain SET document_root = '/wrong'")
    with _verify.Opened(run.path) as opened:
        done = ispconfig.restore(stage, found, opened, lambda line: None)
    assert done["rc"] == 0 and _inventory.compare(run.inventory, ispconfig.inventory(stage, found)) == []
    assert ispconfig.repair(stage, found) == []
    kit.switch(host, "mysql-table-damaged", "dbispconfig")
    assert [(f.id, f.subject) for f in ispconfig.repair(stage, found)] == [("panel.native", "ispconfig database dbispconfig")]


def test_a_restore_without_a_dump_does_not_end_well(host):
    stage = Stage(host)
    found = ispconfig.detect(stage)
    run = fixture.export(ispconfig, stage, "settings")
    with _verify.Opened(run.path) as opened:
        assert ispconfig.restore(stage, dict(found, database="another"), opened, lambda line: None)["rc"] == 1


def test_a_checkpoint_is_the_database_and_the_files(host):
    stage = Stage(host)
    held = ispconfig.checkpoint(stage, ispconfig.detect(stage))
    assert held["databases"] == [{"engine": "mysql", "name": "dbispconfig"}] and {ROOT, "/etc/postfix", "/etc/pure-ftpd"} <= set(held["paths"])


def test_what_an_update_left_says_what_it_lacks(host):
    panel.updated(host)
    stage = Stage(host)
    (source,) = ispconfig.daily(stage, ispconfig.detect(stage))
    assert source["path"].endswith("ispconfig_db_backup.sql") and any("definitions of tables" in text for text in source["lacks"])
    assert "CREATE TABLE" not in kit.text(host, source["path"]) and "INSERT INTO" in kit.text(host, source["path"])


def test_rescue_from_a_disk_is_read_by_the_same_verification_and_can_be_restored(host):
    disk, stage = Rooted(host), Stage(host)
    found = ispconfig.detect(disk)
    query = mysql.asking(stage, ispconfig.login(disk, found))
    inventory = ispconfig.inventory(disk, found, query)
    with _export.begin("ispconfig", "settings", host + "/var/lib/intact/panel") as work:
        made = ispconfig.rescue(disk, found, query, work.target)
        document = _export.store(work, made, inventory, FACTS)
        with _verify.Opened(work.path) as opened:
            findings, verdict = _verify.judge(ispconfig, opened)
        path = _export.seal(work, dict(document, verdict=verdict))
    assert (findings, verdict) == ([], "proven")
    mariadb.change(host, "dbispconfig", "DELETE FROM mail_user")
    with _verify.Opened(path) as opened:
        assert ispconfig.restore(stage, found, opened, lambda line: None)["rc"] == 0
    assert _inventory.compare(inventory, ispconfig.inventory(stage, found)) == []


def test_detection_and_the_login_in_phps_words():
    assert ispconfig.detect(FakeSystem()) is None
    conf = "define('ISPC_APP_VERSION', '3.2dev');\n$conf['db_database'] = \"isp\";\n$conf['db_user'] = 'u';\n$conf['db_password'] = 'it\\'s';\n"
    view = FakeSystem(files={ispconfig.CONFIG: conf})
    found = ispconfig.detect(view)
    assert found == {"version": "3.2dev", "root": ROOT, "database": "isp"}
    assert ispconfig.login(view, found).user == "u" and ispconfig.login(view, found).environment()["MYSQL_PWD"] == "it's"
    remote = FakeSystem(files={ispconfig.CONFIG: conf, ispconfig.CLIENTDB: "$clientdb_host = 'db.example.com';\n$clientdb_user = 'root';\n"})
    assert ispconfig.login(remote, found).user == "u"
