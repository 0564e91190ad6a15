# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""HestiaCP and damage: the stand-in's programs really run, each documented failure is switched on; an export is red where it must be, green where not."""

from __future__ import annotations

import os
import shutil

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._panels import _export, _hestia_conf, _inventory, _verify, hestiacp
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels import stand_in_fixture as fixture
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels.stand_in_fixture import Stage, kit, mariadb

from stand_ins import hestiacp as panel  # isort: skip (its place is known once the fixture is imported)

HOME = "/usr/local/hestia"


@pytest.fixture
def host(tmp_path):
    """The root of a host with HestiaCP."""
    root = str(tmp_path / "host")
    os.makedirs(root)
    panel.install(root)
    return root


BUSY = [("panel.busy", "hestiacp export")]


def missing(kind, *names):
    return [("panel.object.missing", "hestiacp %s %s" % (kind, name)) for name in names]


def said(name, ident="panel.export.failed"):
    return [(ident, "hestiacp customer " + name)]


def corrupt(kind, name):
    return [("panel.export.corrupt", "hestiacp %s %s" % (kind, name))]


def conf(root, old, new):
    path = HOME + "/conf/hestia.conf"
    kit.put(root, path, kit.text(root, path).replace(old, new))


# besides the cells of the matrix (rows), name: (what is done to the host, the blockers of a full export)
DAMAGE = {
    "a bit of a domain's mail": (lambda root: kit.switch(root, "flipped", "mail:example.test"), corrupt("domain", "example.test")),
    "a domain's mail is missing at exit 0": (
        lambda root: kit.switch(root, "missing", "mail:example.test"),
        missing("forward", "info@example.test")
        + missing("mail_alias", "office@example.test", "sales@example.test")
        + missing("mailbox", "ann@example.test", "info@example.test"),
    ),
    "a dump that fails": (lambda root: kit.switch(root, "mysql-dump-broken", "alice_shop"), said("alice") + missing("customer", "alice")),
    "invalid object": (
        lambda root: kit.switch(root, "invalid", "alice"),
        [*said("alice"), *missing("customer", "alice"), ("panel.said", "hestiacp customer alice")],
    ),
    "ftp without a configuration": (
        lambda root: conf(root, "'local'", "'ftp'"),
        [pair for name in ("alice", "bob", "carol") for pair in [*said(name), *missing("customer", name), ("panel.said", "hestiacp customer " + name)]],
    ),
    "local and ftp, ftp fails": (
        lambda root: conf(root, "'local'", "'local,ftp'"),
        [("panel.said", "hestiacp customer " + name) for name in ("alice", "bob", "carol")],
    ),
    "a domain's directory is missing": (
        lambda root: shutil.rmtree(root + "/home/alice/web/blog.example.test"),
        [("panel.export.member", "hestiacp domain blog.example.test"), ("panel.said", "hestiacp customer alice")],
    ),
    "a mail domain's directory is missing": (
        lambda root: shutil.rmtree(root + "/home/alice/mail/example.test"),
        [("panel.export.member", "hestiacp domain example.test")],
    ),
    "a quota is altered": (lambda root: kit.switch(root, "altered", "QUOTA='500'"), [("panel.object.changed", "hestiacp mailbox info@example.test")]),
}


@pytest.mark.parametrize("name", sorted(DAMAGE))
def test_full_export_is_red_where_it_must_be(host, name):
    damage, expected = DAMAGE[name]
    damage(host)
    run = fixture.export(hestiacp, Stage(host))
    assert run.red == sorted(expected)
    assert run.verdict == ("failed" if expected else "proven")
    assert fixture.unspoken(run.text, panel.SECRETS) == []


@pytest.mark.parametrize("flavour", ["hestia", "vesta"])
@pytest.mark.parametrize("zstd", [False, True])
def test_both_flavours_and_compressions_are_proven(tmp_path, flavour, zstd):
    root = str(tmp_path)
    panel.install(root, flavour, zstd)
    run = fixture.export(hestiacp, Stage(root))
    assert (run.red, run.verdict) == ([], "proven")
    assert len([name for name in os.listdir(run.path) if name.endswith(".tar")]) == 3


def test_a_tar_that_the_disk_cut_names_who_lost_what(host):
    kit.switch(host, "truncated", "alice")
    run = fixture.export(hestiacp, Stage(host))
    assert ("panel.export.truncated", "hestiacp customer alice") in run.red and ("panel.said", "hestiacp customer alice") in run.red
    lost = [subject for ident, subject in run.red if ident == "panel.object.missing"]
    assert lost and run.verdict == "failed"
    objects = run.inventory["objects"]
    for ident, subject in run.red:
        _panel, kind, name = subject.split(" ", 2)
        assert kind == "customer" and name == "alice" or objects[kind][name]["customer"] == "alice", (ident, subject)


def test_a_refusing_server_is_told_before_and_makes_no_export(host):
    kit.switch(host, "mysql-refused")
    stage = Stage(host)
    found = hestiacp.detect(stage)
    assert [(f.id, f.subject) for f in hestiacp.ready(stage, found)] == [("panel.database.refused", "hestiacp database")]
    run = fixture.export(hestiacp, stage)
    assert set(said("alice") + missing("customer", "alice") + said("bob") + missing("customer", "bob")) <= set(run.red)
    assert [entry["what"] for entry in run.inventory["unlooked"]] == ["tables of database alice_shop", "tables of database bob_wiki"]
    assert "2002" in run.inventory["unlooked"][0]["why"] and fixture.unspoken(run.text, panel.SECRETS) == []


def test_who_is_not_in_the_panels_list_is_exported_and_told(host):
    stage = Stage(host)
    found = hestiacp.detect(stage)
    run = fixture.export(hestiacp, stage)
    assert run.verdict == "proven" and any(name.startswith("bob.") for name in os.listdir(run.path))
    told = [(f.id, f.subject, f.severity) for f in hestiacp.native(stage, found, None)]
    assert told == [("panel.native", "hestiacp customer bob", "warning")]
    kit.put(host, "/etc/passwd", kit.text(host, "/etc/passwd").replace("Bob Builder", "bob@example.com"))
    assert hestiacp.native(stage, found, None) == []


def test_the_panels_own_nightly_run_leaves_that_customer_out(host):
    stage = Stage(host)
    found = hestiacp.detect(stage)
    inventory = hestiacp.inventory(stage, found)
    assert stage.run([HOME + "/bin/v-backup-users"]).rc == 0
    sources = hestiacp.daily(stage, found)
    assert [source["holds"] for source in sources] == [["customer alice"], ["customer carol"]]
    assert all("customers whom v-list-users leaves out" in source["lacks"] for source in sources)
    with _export.begin("hestiacp", "full", host + "/var/lib/intact/panel") as work:
        for source in sources:
            shutil.copy(stage.place(source["path"]), work.target)
        _export.store(work, {"files": []}, inventory, {"version": "", "met": "stand-in", "host": "", "host_id": "", "seconds": 0})
        with _verify.Opened(work.path) as opened:
            red = [(f.id, f.subject) for f in hestiacp.verify(opened, inventory, "full")]
    key = ("panel.key.missing", "hestiacp setting %s/conf/mysql.conf" % HOME)
    assert red == [("panel.export.member", "hestiacp setting panel.tar.gz"), key, *missing("customer", "bob")]


@pytest.mark.parametrize(
    ("prepare", "expected"),
    [
        (lambda root: None, []),
        (lambda root: kit.process(root, 77, "/bin/bash", HOME + "/bin/v-backup-user", "alice"), BUSY),
        (lambda root: kit.process(root, 78, "mysqldump", "--all-databases"), BUSY),
        (lambda root: kit.process(root, 79, "vim", "notes", "about", HOME + "/bin/v-backup-user"), []),
        (lambda root: kit.put(root, "/.proc/loadavg", "2.01 1.00 1.00 3/200 4242\n"), BUSY),
        (lambda root: os.unlink(root + HOME + "/conf/mysql.conf"), [("panel.key.missing", "hestiacp setting %s/conf/mysql.conf" % HOME)]),
    ],
)
def test_what_keeps_an_export_from_being_taken(host, prepare, expected):
    prepare(host)
    stage = Stage(host)
    assert [(f.id, f.subject) for f in hestiacp.ready(stage, hestiacp.detect(stage), "full") if f.severity == "blocker"] == expected


def test_space_is_asked_for_as_the_panel_does_it(host):
    path = HOME + "/data/users/alice/user.conf"
    kit.put(host, path, kit.text(host, path).replace("U_DISK='1'", "U_DISK='99999999999'"))
    stage = Stage(host)
    # the settings alone need no backup of hers
    assert hestiacp.ready(stage, hestiacp.detect(stage)) == []
    found = [f for f in hestiacp.ready(stage, hestiacp.detect(stage), "full") if f.severity == "blocker"]
    assert [(f.id, f.subject) for f in found] == [("panel.space", "hestiacp customer alice")] and "twice" in found[0].evidence


def test_what_a_customer_excludes_is_a_warning(host):
    kit.put(host, HOME + "/data/users/alice/backup-excludes.conf", "WEB='blog.example.test'\nDB=''\n")
    run = fixture.export(hestiacp, Stage(host))
    assert run.verdict == "proven"
    assert [(f.id, f.subject, f.severity) for f in run.findings] == [
        ("panel.object.missing", "hestiacp domain blog.example.test", "warning"),
        ("panel.object.missing", "hestiacp php_handler blog.example.test", "warning"),
    ]


def test_settings_alone_hold_every_object(host):
    run = fixture.export(hestiacp, Stage(host), "settings")
    assert (run.red, run.verdict) == ([], "proven") and sorted(os.listdir(run.path)) == ["export.json", "inventory.json.gz", "keys.tar.gz", "panel.tar.gz"]


@pytest.mark.parametrize(("keep", "ident"), [(lambda data: data[: len(data) // 2], "panel.export.truncated"), (kit.flipped, "panel.export.corrupt")])
def test_damaged_settings_are_red(host, keep, ident):
    def damage(target):
        path = target / "panel.tar.gz"
        path.write_bytes(keep(path.read_bytes()))

    run = fixture.export(hestiacp, Stage(host), "settings", damage)
    assert run.verdict == "failed" and ident in run.ids


def test_settings_that_lack_one_customers_files_are_red(host, monkeypatch):
    pack = hestiacp.host.pack
    monkeypatch.setattr(
        hestiacp.host, "pack", lambda view, target, name, paths, without=(): pack(view, target, name, paths, [*without, HOME + "/data/users/bob"])
    )
    run = fixture.export(hestiacp, Stage(host), "settings")
    assert set(missing("customer", "bob") + missing("domain", "bob.example") + missing("database", "bob_wiki")) <= set(run.red)
    assert all("bob" in subject for _ident, subject in run.red)


def test_a_restore_brings_back_what_was_lost(host):
    stage = Stage(host)
    found = hestiacp.detect(stage)
    run = fixture.export(hestiacp, stage)
    shutil.rmtree(host + HOME + "/data/users/alice")
    path = HOME + "/data/users/bob/web.conf"
    kit.put(host, path, kit.text(host, path).replace("www.bob.example", "wrong.example"))
    assert _inventory.compare(run.inventory, hestiacp.inventory(stage, found))
    with _verify.Opened(run.path) as opened:
        done = hestiacp.restore(stage, found, opened, lambda line: None)
    assert done["rc"] == 0 and _inventory.compare(run.inventory, hestiacp.inventory(stage, found)) == []
    assert hestiacp.repair(stage, found) == []
    assert [name for name in os.listdir(host + "/backup") if name.startswith("alice")] == [n for n in os.listdir(run.path) if n.startswith("alice")]


def test_a_restore_that_the_panel_refuses_says_whose(host):
    stage = Stage(host)
    found = hestiacp.detect(stage)
    run = fixture.export(hestiacp, stage)
    name = next(name for name in os.listdir(run.path) if name.startswith("alice."))
    with open(os.path.join(run.path, name), "r+b") as handle:
        handle.truncate(700)
    with _verify.Opened(run.path) as opened:
        done = hestiacp.restore(stage, found, opened, lambda line: None)
    assert done["rc"] == 12 and any(line.startswith("customer alice: exit 12 (PARSING): Error: Can't unpack") for line in done["said"])


def test_a_rebuild_that_fails_is_told(host):
    kit.switch(host, "rebuild-fails", "carol")
    stage = Stage(host)
    found = hestiacp.repair(stage, hestiacp.detect(stage))
    assert {(f.id, f.subject) for f in found} == {("panel.native", "hestiacp customer carol")} and len(found) == 6
    assert "exit 12 (PARSING)" in found[0].evidence


def test_a_checkpoint_names_what_a_restore_may_change(host):
    stage = Stage(host)
    held = hestiacp.checkpoint(stage, hestiacp.detect(stage))
    assert held["databases"] == [{"engine": "mysql", "name": "alice_shop"}, {"engine": "mysql", "name": "bob_wiki"}] and held["services"] == ["hestia"]
    assert {HOME + "/conf", HOME + "/data", "/etc/passwd", "/etc/shadow", "/home/alice/conf"} <= set(held["paths"])


def test_rescue_from_a_disk_is_read_by_the_same_verification(host):
    from ansible_collections.intact.hosting.plugins.module_utils._backup._rooted import Rooted

    kit.switch(host, "mysql-refused")
    disk = Rooted(host)
    found = hestiacp.detect(disk)

    def query(database, sql):
        return []

    inventory = hestiacp.inventory(disk, found, query)
    assert sorted(inventory["objects"]["customer"]) == ["alice", "bob", "carol"] and inventory["unlooked"] == []
    with _export.begin("hestiacp", "settings", host + "/var/lib/intact/panel") as work:
        made = hestiacp.rescue(disk, found, query, work.target)
        document = _export.store(work, made, inventory, {"version": "", "met": "stand-in", "host": "", "host_id": "", "seconds": 0})
        with _verify.Opened(work.path) as opened:
            findings, verdict = _verify.judge(hestiacp, opened)
    assert (findings, verdict, document["rc"]) == ([], "proven", 0)


@pytest.mark.parametrize(
    ("number", "word"), [(0, "OK"), (3, "NOTEXIST"), (8, "LIMIT"), (12, "PARSING"), (13, "DISK"), (17, "DB"), (20, "RESTART"), (99, "unknown")]
)
def test_exit_statuses_have_names(number, word):
    assert _hestia_conf.status(number) == word


def test_the_stand_ins_own_statuses(host):
    stage = Stage(host)
    program = HOME + "/bin/v-backup-user"
    assert stage.run([program], check=False).rc == 1 and stage.run([program, "nobody"], check=False).rc == 3
    done = stage.run([HOME + "/bin/v-list-user-backups", "carol", "json"], check=False)
    assert (done.rc, done.text.split()) == (0, ["{", "}"])
    mariadb.change(host, "alice_shop", "DELETE FROM orders")
    conf(host, "BACKUP_SYSTEM='local'", "BACKUP_SYSTEM=''")
    assert stage.run([program, "alice"], check=False).rc == 11


def test_a_suspended_customer_is_told_with_what_to_do(host):
    path = HOME + "/data/users/carol/user.conf"
    kit.put(host, path, kit.text(host, path).replace("SUSPENDED='no'", "SUSPENDED='yes'"))
    run = fixture.export(hestiacp, Stage(host))
    assert run.red == sorted(said("carol") + missing("customer", "carol"))
    (told,) = [finding for finding in run.findings if finding.id == "panel.export.failed"]
    assert "exit 5 (SUSPENDED)" in told.evidence and "POLICY_BACKUP_SUSPENDED_USERS" in told.remedy
    conf(host, "BACKUP_SYSTEM='local'", "BACKUP_SYSTEM='local'\nPOLICY_BACKUP_SUSPENDED_USERS='yes'")
    assert fixture.export(hestiacp, Stage(host)).verdict == "proven"


def test_a_dump_of_postgresql_must_have_a_table(host):
    path = HOME + "/data/users/bob/db.conf"
    kit.put(host, path, kit.text(host, path).replace("TYPE='mysql'", "TYPE='pgsql'"))
    stage = Stage(host)
    inventory = hestiacp.inventory(stage, hestiacp.detect(stage))
    assert "bob_wiki" not in inventory["measured"]["database"] and inventory["unlooked"] == []
    assert fixture.export(hestiacp, stage).verdict == "proven"
    for table in ("orders", "log"):
        mariadb.change(host, "bob_wiki", "DROP TABLE %s" % table)
    assert fixture.export(hestiacp, stage).red == [("panel.dump.empty", "hestiacp database bob_wiki")]


def test_what_customers_do_to_their_data_is_nothing_that_a_restore_of_settings_undoes(host):
    """Rows, tables, sites and mail change without the panel: a transaction that compared them would roll every restore back."""
    stage = Stage(host)
    found = hestiacp.detect(stage)
    run = fixture.export(hestiacp, stage, "settings")
    mariadb.change(host, "alice_shop", "CREATE TABLE later (id)")
    mariadb.change(host, "alice_shop", "DELETE FROM orders")
    for name in ("web", "mail"):
        shutil.rmtree(host + "/home/alice/" + name)
    conf(host, "VERSION='1.10.0'", "VERSION='1.11.0'")
    kit.put(host, HOME + "/data/users/alice/db.conf", "")
    assert [f.subject for f in _inventory.compare(run.inventory, hestiacp.inventory(stage, found))] == [
        "hestiacp database alice_shop",
        "hestiacp database_user alice_shop",
    ]
    with _verify.Opened(run.path) as opened:
        assert hestiacp.restore(stage, found, opened, lambda line: None)["rc"] == 0
    assert _inventory.compare(run.inventory, hestiacp.inventory(stage, found)) == []
    assert "1.11.0" in kit.text(host, HOME + "/conf/hestia.conf")


def test_another_hosts_addresses_are_refused_before_anything_is_written(host):
    stage = Stage(host)
    found = hestiacp.detect(stage)
    run = fixture.export(hestiacp, stage, "settings")
    os.rename(host + HOME + "/data/ips/192.0.2.9", host + HOME + "/data/ips/198.51.100.1")
    kit.put(host, HOME + "/data/users/alice/web.conf", "")
    with _verify.Opened(run.path) as opened:
        done = hestiacp.restore(stage, found, opened, lambda line: None)
    assert done["rc"] == 1 and "192.0.2.9" in done["said"][0] and kit.text(host, HOME + "/data/users/alice/web.conf") == ""


def test_a_configuration_that_the_archive_lost_is_told(host, monkeypatch):
    name, pack = "conf/hestia.conf", hestiacp.host.pack
    left = "%s/%s" % (HOME, name)
    monkeypatch.setattr(hestiacp.host, "pack", lambda view, target, file, paths, without=(): pack(view, target, file, paths, [*without, left]))
    run = fixture.export(hestiacp, Stage(host), "settings")
    assert run.red == missing("setting", name)


@pytest.mark.parametrize("data", [{"etc/other": b"x"}, {"usr/local/hestia/conf/mysql.conf": b""}])
def test_an_export_without_the_panels_login_is_half_a_backup(host, data):
    run = fixture.export(hestiacp, Stage(host), "settings", lambda target: (target / "keys.tar.gz").write_bytes(kit.tar_bytes(data, "gz")))
    assert run.red == [("panel.key.missing", "hestiacp setting %s/conf/mysql.conf" % HOME)]
