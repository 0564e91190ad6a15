# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""CyberPanel and damage: the stand-in's programs really run, end with 0 whatever happens, and each documented failure is switched on."""

from __future__ import annotations

import os
import shutil

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._backup._rooted import Rooted
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import _cyberpanel_tables, _export, _inventory, _verify, cyberpanel
from ansible_collections.intact.hosting.plugins.module_utils._panels import _mysql_login as mysql
from ansible_collections.intact.hosting.tests.unit.plugins.fake_system import FakeSystem
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels import stand_in_fixture as fixture
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels.stand_in_fixture import Stage, kit, mariadb

from stand_ins import cyberpanel as panel  # isort: skip (its place is known once the fixture is imported)

FACTS = {"version": "", "met": "stand-in", "host": "", "host_id": "", "seconds": 0}
SITE = "shop.example"


@pytest.fixture
def host(tmp_path):
    """The root of a host with CyberPanel."""
    root = str(tmp_path / "host")
    os.makedirs(root)
    panel.install(root)
    return root


def on(name, value="yes"):
    return lambda root: kit.switch(root, name, value)


def about(ident, kind, *names):
    return [(ident, "cyberpanel %s %s" % (kind, name)) for name in names]


def sql(statement):
    return lambda root: mariadb.change(root, "cyberpanel", statement)


SAID = about("panel.said", "domain", SITE)
GONE = about("panel.object.missing", "domain", SITE) + SAID
# besides the cells of the matrix (rows), name: (what is done to the host, the blockers of a full export)
DAMAGE = {
    "[5009]": (on("failed", SITE), GONE),
    "the program prints 0": (on("zero", SITE), GONE),
    "a status that is not Completed": (on("status-only", SITE), SAID),
    "no files": (on("no-files", SITE), about("panel.object.empty", "domain", SITE)),
    "no mail": (on("no-mail", SITE), about("panel.object.empty", "mailbox", "info@" + SITE)),
    "the customer made the archive a link": (on("linked", SITE), GONE),
    "a record that is not ASCII": (
        sql("INSERT INTO records VALUES ('9', '1', 'shop.example', 'TXT', 'grüezi', '0', '0')"),
        about("panel.object.changed", "dns_zone", SITE),
    ),
}


@pytest.mark.parametrize("name", sorted(DAMAGE))
def test_full_export_is_red_where_it_must_be(host, name):
    damage, expected = DAMAGE[name]
    damage(host)
    run = fixture.export(cyberpanel, Stage(host))
    assert run.red == sorted(expected)
    assert run.verdict == ("failed" if expected else "proven") and run.made["rc"] == 0
    assert fixture.unspoken(run.text, panel.SECRETS) == []


def test_another_sites_backup_is_told(host):
    kit.switch(host, "other-meta", SITE)
    run = fixture.export(cyberpanel, Stage(host))
    assert about("panel.export.member", "domain", SITE)[0] in run.red and about("panel.object.missing", "domain", SITE)[0] in run.red


def test_a_link_for_a_status_brings_nobody_elses_file_into_the_report(host):
    kit.switch(host, "linked", SITE)
    run = fixture.export(cyberpanel, Stage(host))
    assert fixture.unspoken(run.text, panel.SECRETS) == [] and not any(SITE in name for name in os.listdir(run.path))


def test_settings_hold_what_backups_of_sites_lack(host):
    run = fixture.export(cyberpanel, Stage(host), "settings")
    assert (run.red, run.verdict) == ([], "proven")
    assert {"forward", "ftp_user", "cron_job", "setting", "certificate"} <= set(run.inventory["objects"])
    assert not any("panel.object.missing" in finding.id for finding in run.findings)


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("DELETE FROM e_forwardings", about("panel.object.missing", "forward", "sales@shop.example")),
        ("DELETE FROM users", about("panel.object.missing", "ftp_user", "ann_ftp")),
        ("UPDATE e_users SET password = 'other'", about("panel.object.changed", "mailbox", "info@shop.example")),
    ],
)
def test_a_row_that_the_dump_lost_is_told(host, statement, expected):
    stage = Stage(host)
    found = cyberpanel.detect(stage)
    inventory = cyberpanel.inventory(stage, found)
    mariadb.change(host, "cyberpanel", statement)
    with _export.begin("cyberpanel", "settings", host + "/var/lib/intact/panel") as work:
        made = cyberpanel.export(stage, found, "settings", work.target, lambda line: None)
        _export.store(work, made, inventory, FACTS)
        with _verify.Opened(work.path) as opened:
            assert [(f.id, f.subject) for f in _verify.judge(cyberpanel, opened)[0]] == expected


def test_mail_of_a_child_domain_is_in_no_backup_of_the_panel(host):
    mariadb.change(host, "cyberpanel", "INSERT INTO e_users VALUES ('me@blog.shop.example', 'blog.shop.example', 'x', '')")
    kit.put(host, "/home/vmail/blog.shop.example/me/Maildir/cur/1", "mail")
    run = fixture.export(cyberpanel, Stage(host))
    assert run.verdict == "proven"
    assert [(f.id, f.subject, f.severity) for f in run.findings] == [("panel.object.empty", "cyberpanel mailbox me@blog.shop.example", "warning")]


def test_a_refusing_server_is_told_and_no_inventory_is_made_up(host):
    kit.switch(host, "mysql-refused")
    stage = Stage(host)
    found = cyberpanel.detect(stage)
    assert [(f.id, f.subject) for f in cyberpanel.ready(stage, found)] == [("panel.database.refused", "cyberpanel database")]
    with pytest.raises(IntactError, match="2002"):
        cyberpanel.inventory(stage, found)


@pytest.mark.parametrize(
    ("prepare", "expected"),
    [
        (lambda root: None, []),
        (
            lambda root: kit.process(root, 77, "/usr/local/CyberCP/bin/python", "/usr/local/CyberCP/plogical/backupUtilities.py", "startBackup"),
            ["cyberpanel export"],
        ),
        (
            lambda root: mariadb.change(root, "cyberpanel", "UPDATE websiteFunctions_websites SET config = '{\"DiskUsage\": 99999999999}' WHERE id = '1'"),
            ["cyberpanel domain shop.example"],
        ),
        (lambda root: os.unlink(root + "/usr/local/CyberCP/CyberCP/settings.py"), ["cyberpanel setting /usr/local/CyberCP/CyberCP/settings.py"]),
    ],
)
def test_what_keeps_an_export_from_being_taken(host, prepare, expected):
    prepare(host)
    stage = Stage(host)
    assert [f.subject for f in cyberpanel.ready(stage, cyberpanel.detect(stage), "full")] == expected
    # the settings alone need no backup of a site
    assert [f.subject for f in cyberpanel.ready(stage, cyberpanel.detect(stage))] == [subject for subject in expected if "domain" not in subject]


@pytest.mark.parametrize(
    ("switch", "expected"),
    [("", []), (SITE, about("panel.native", "domain", SITE)), ("shop_db", about("panel.native", "database", "shop_db"))],
)
def test_the_panels_lists_must_tell_what_its_rows_tell(host, switch, expected):
    kit.switch(host, "omits", switch)
    stage = Stage(host)
    found = cyberpanel.detect(stage)
    assert [(f.id, f.subject) for f in cyberpanel.native(stage, found, None)] == expected
    assert {f.severity for f in cyberpanel.native(stage, found, None)} <= {"warning"}
    assert [(f.id, f.subject) for f in cyberpanel.repair(stage, found) if f.severity == "blocker"] == expected


def test_a_restore_brings_back_a_site_and_what_its_backup_lacks(host):
    stage = Stage(host)
    found = cyberpanel.detect(stage)
    run = fixture.export(cyberpanel, stage)
    for statement in ("DELETE FROM websiteFunctions_websites WHERE id = '1'", "DELETE FROM e_forwardings", "DELETE FROM e_users"):
        mariadb.change(host, "cyberpanel", statement)
    shutil.rmtree(host + "/home/shop.example/public_html")
    os.unlink(host + "/var/spool/cron/crontabs/shopx1234")
    shutil.rmtree(host + "/etc/letsencrypt")
    with _verify.Opened(run.path) as opened:
        done = cyberpanel.restore(stage, found, opened, lambda line: None)
    assert done["rc"] == 0 and _inventory.compare(run.inventory, cyberpanel.inventory(stage, found)) == []
    assert cyberpanel.repair(stage, found) == []


def test_a_site_that_the_panel_does_not_take_back_is_told(host):
    stage = Stage(host)
    found = cyberpanel.detect(stage)
    run = fixture.export(cyberpanel, stage)
    mariadb.change(host, "cyberpanel", "DELETE FROM websiteFunctions_websites WHERE id = '1'")
    kit.switch(host, "restore-fails")
    with _verify.Opened(run.path) as opened:
        done = cyberpanel.restore(stage, found, opened, lambda line: None)
    assert done["rc"] == 1 and done["said"][0].startswith("domain shop.example: Failed to restore backup")


def test_damaged_tables_are_told_by_the_server(host):
    kit.switch(host, "mysql-table-damaged", "cyberpanel")
    stage = Stage(host)
    assert [(f.id, f.subject) for f in cyberpanel.repair(stage, cyberpanel.detect(stage))] == about("panel.native", "database", "cyberpanel")


def test_checkpoint_and_the_panels_own_backups(host):
    stage = Stage(host)
    found = cyberpanel.detect(stage)
    assert [database["name"] for database in cyberpanel.checkpoint(stage, found)["databases"]] == ["cyberpanel", "shop_db", "shop_log"]
    stage.run([cyberpanel.PROGRAM, "createBackup", "--domainName", SITE])
    (source,) = cyberpanel.daily(stage, found)
    assert source["holds"] == ["domain " + SITE] and any("forwards" in text for text in source["lacks"])


def test_rescue_from_a_disk_is_read_by_the_same_verification(host):
    disk, stage = Rooted(host), Stage(host)
    found = cyberpanel.detect(disk)
    query = mysql.asking(stage, cyberpanel.login(disk, found))
    inventory = cyberpanel.inventory(disk, found, query)
    with _export.begin("cyberpanel", "settings", host + "/var/lib/intact/panel") as work:
        made = cyberpanel.rescue(disk, found, query, work.target)
        _export.store(work, made, inventory, FACTS)
        with _verify.Opened(work.path) as opened:
            assert _verify.judge(cyberpanel, opened) == ([], "proven")


def test_detection_and_both_shapes_of_the_login():
    assert cyberpanel.detect(FakeSystem()) is None
    files = {"/usr/local/CyberCP/version.txt": '{"version":"2.3","build":5}', cyberpanel.PASSWORD: "secret\n"}
    view = FakeSystem(files=files)
    assert cyberpanel.detect(view) == {"version": "2.3.5", "root": "/usr/local/CyberCP", "database": "cyberpanel"}
    assert (cyberpanel.login(view, {}).user, cyberpanel.login(view, {}).environment()["MYSQL_PWD"]) == ("root", "secret")
    json_ = '{"mysqluser": "cp", "mysqlpassword": "s", "mysqlport": "3306", "mysqlhost": "localhost"}'
    assert cyberpanel.login(FakeSystem(files={cyberpanel.PASSWORD: json_}), {}).user == "cp"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"<metaFile><masterDomain>a", "no XML"),
        (b"<metaFile/>", "names no site"),
        (b"<other><masterDomain>a</masterDomain></other>", "names no site"),
        (b'<!DOCTYPE x [<!ENTITY a "b">]><metaFile><masterDomain>&a;</masterDomain></metaFile>', "entities"),
    ],
)
def test_a_meta_file_that_says_nothing(data, why):
    with pytest.raises(_cyberpanel_tables.Unreadable, match=why):
        _cyberpanel_tables.meta(data)


@pytest.mark.parametrize(("config", "megabytes"), [('{"DiskUsage": "12.7"}', 12), ("", 0), ("{}", 0), ("[1]", 0), ('{"DiskUsage": null}', 0)])
def test_the_panels_last_count_of_a_site(config, megabytes):
    assert _cyberpanel_tables.megabytes(config) == megabytes
