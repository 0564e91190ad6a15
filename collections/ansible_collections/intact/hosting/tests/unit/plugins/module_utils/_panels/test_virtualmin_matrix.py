# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Virtualmin and damage: the stand-in's programs really run, each documented failure is switched on; an export is red where it must be, green where not."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._backup._rooted import Rooted
from ansible_collections.intact.hosting.plugins.module_utils._panels import _export, _inventory, _verify, virtualmin
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels import stand_in_fixture as fixture
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels.stand_in_fixture import Stage, kit, mariadb

from stand_ins import virtualmin as panel  # isort: skip (its place is known once the fixture is imported)

MODULE = "/etc/webmin/virtual-server"
DOMAIN_FILE = MODULE + "/domains/1700000001"


@pytest.fixture
def host(tmp_path):
    """The root of a host with Virtualmin."""
    root = str(tmp_path / "host")
    os.makedirs(root)
    panel.install(root)
    return root


def on(name, value="yes"):
    return lambda root: kit.switch(root, name, value)


def about(ident, kind, *names):
    return [(ident, "virtualmin %s %s" % (kind, name)) for name in names]


def missing(kind, *names):
    return about("panel.object.missing", kind, *names)


# besides the cells of the matrix (rows), name: (what is done to the host, the blockers of a full export)
DAMAGE = {
    "a zone is missing at exit 0": (on("missing", "other.test:dns"), about("panel.export.member", "domain", "other.test")),
    "the domain's own settings are missing": (on("missing", "example.com:virtualmin"), None),
    "a dump that breaks off, told as done": (on("mysql-dump-broken", "shop"), about("panel.dump.incomplete", "database", "shop")),
    "no home in it": (on("no-home", "other.test"), about("panel.object.empty", "domain", "other.test")),
    "partial": (
        on("partial", "example.com"),
        [("panel.export.failed", "virtualmin export"), *about("panel.said", "domain", "example.com")]
        + about("panel.dump.incomplete", "database", "example", "shop"),
    ),
    "disk full": (on("full"), None),
    "purge failed": (on("purge-fails"), [("panel.export.failed", "virtualmin export")]),
    "no settings of the panel": (on("no-settings"), about("panel.export.member", "setting", "virtualmin")),
    "a limit is altered": (on("altered", "1024000"), about("panel.object.changed", "limit", "example.com")),
}


@pytest.mark.parametrize("name", sorted(name for name, (_damage, expected) in DAMAGE.items() if expected is not None))
def test_full_export_is_red_where_it_must_be(host, name):
    damage, expected = DAMAGE[name]
    damage(host)
    run = fixture.export(virtualmin, Stage(host))
    assert run.red == sorted(expected)
    assert run.verdict == ("failed" if expected else "proven")
    assert fixture.unspoken(run.text, panel.SECRETS) == []


def test_a_domain_whose_settings_are_not_in_its_backup_is_lost_with_all_it_has(host):
    kit.switch(host, "missing", "example.com:virtualmin")
    run = fixture.export(virtualmin, Stage(host))
    assert set(missing("domain", "example.com") + missing("customer", "example") + missing("database", "example", "shop")) <= set(run.red)
    assert about("panel.export.member", "domain", "example.com")[0] in run.red and not any("other" in subject for _ident, subject in run.red)


def test_a_full_disk_leaves_nothing_and_each_domain_is_told(host):
    kit.switch(host, "full")
    run = fixture.export(virtualmin, Stage(host))
    assert set(missing("domain", "example.com", "other.test", "sub.example.com") + missing("domain_alias", "example.org")) <= set(run.red)
    assert ("panel.export.failed", "virtualmin export") in run.red and ("panel.said", "virtualmin domain example.com") in run.red


@pytest.mark.parametrize(("switch", "status"), [("full", 2), ("purge-fails", 3), ("partial", 4)])
def test_exit_statuses_are_told_with_their_meaning(host, switch, status):
    kit.switch(host, switch, "example.com")
    run = fixture.export(virtualmin, Stage(host))
    assert run.made["rc"] == status
    (told,) = [finding for finding in run.findings if finding.id == "panel.export.failed"]
    assert "exit %d: " % status in told.evidence and "does not document" not in told.evidence


def test_settings_alone_have_no_home_and_no_dump(host):
    run = fixture.export(virtualmin, Stage(host), "settings")
    assert (run.red, run.verdict) == ([], "proven")
    names = subprocess.run(["tar", "-tzf", run.path + "/example.com.tar.gz"], capture_output=True, text=True, check=True).stdout.split()
    assert "example.com_virtualmin" in names and not any("mysql" in name or "public_html" in name for name in names)
    assert set(run.inventory["objects"]["setting"]) == {"plan/1700000100", "template/1700000200"}
    assert set(run.inventory["measured"]["setting"]) == {"config", "schedule/1700000300"}


def test_a_plan_that_the_export_lost_is_told(host):
    def damage(target):
        (target / "virtualmin.tar.gz").write_bytes(kit.tar_bytes({"virtualmin_config": b"mysql=1\nmail=1\nhome_base=/home\n"}, "gz"))

    run = fixture.export(virtualmin, Stage(host), "settings", damage)
    assert run.red == sorted(missing("setting", "plan/1700000100", "template/1700000200", "schedule/1700000300"))


def test_sidecars_are_not_kept_as_the_panels_own_test_believes_them(host):
    """A truncated archive passes `restore-domain --test` beside its sidecars, and not without them."""
    stage = Stage(host)
    target = host + "/backup"
    os.makedirs(target)
    words = ["--all-domains", "--all-features", "--newformat", "--all-virtualmin"]
    stage.run([virtualmin.PROGRAM, "backup-domain", "--dest", target, *words])
    with open(target + "/example.com.tar.gz", "r+b") as handle:
        handle.truncate(400)
    os.utime(target + "/example.com.tar.gz", (1700000000, 1700000000))
    test = [virtualmin.PROGRAM, "restore-domain", "--test", "--source", target, "--all-domains", "--all-features"]
    assert stage.run(test, check=False).rc == 0
    kit.switch(host, "truncated", "example.com")
    run = fixture.export(virtualmin, stage)
    assert not [name for name in os.listdir(run.path) if name.endswith((".info", ".dom"))]
    with _verify.Opened(run.path) as opened:
        native = virtualmin.native(stage, virtualmin.detect(stage), opened)
    assert [(f.id, f.subject) for f in native] == [("panel.native", "virtualmin domain example.com")]


def test_the_panels_own_test_passes_a_good_export(host):
    stage = Stage(host)
    run = fixture.export(virtualmin, stage)
    with _verify.Opened(run.path) as opened:
        assert virtualmin.native(stage, virtualmin.detect(stage), opened) == []
        kit.switch(host, "critical")
        assert [f.subject for f in virtualmin.native(stage, virtualmin.detect(stage), opened)] == ["virtualmin export"]


def running(root):
    kit.put(root, MODULE + "/backuprunnings/1-77", "id=1\npid=77\n")
    kit.process(root, 77, "/usr/bin/perl", "/usr/share/webmin/virtual-server/backup.pl")


@pytest.mark.parametrize(
    ("prepare", "expected"),
    [
        (lambda root: None, []),
        (running, ["panel.busy"]),
        (lambda root: kit.put(root, MODULE + "/backuprunnings/1-78", "id=1\npid=78\n"), []),
        (lambda root: kit.process(root, 79, "/usr/bin/perl", "/usr/share/webmin/virtual-server/restore-domain.pl"), ["panel.busy"]),
        (on("mysql-refused"), ["panel.database.refused"]),
        (lambda root: os.unlink(root + "/etc/webmin/mysql/config"), ["panel.database.refused", "panel.key.missing"]),
    ],
)
def test_what_keeps_an_export_from_being_taken(host, prepare, expected):
    prepare(host)
    stage = Stage(host)
    assert [f.id for f in virtualmin.ready(stage, virtualmin.detect(stage))] == expected


def test_a_full_export_wants_room_for_the_homes(host, monkeypatch):
    survey = virtualmin._homes.survey
    monkeypatch.setattr(
        virtualmin._homes, "survey", lambda system, home: (survey(system, home)[0] + (1 << 60), []) if home == "/home/other" else survey(system, home)
    )
    assert virtualmin.ready(Stage(host), virtualmin.detect(Stage(host))) == []
    (found,) = virtualmin.ready(Stage(host), virtualmin.detect(Stage(host)), "full", "/srv/exports")
    assert (found.id, found.subject) == ("panel.space", "virtualmin directory /srv/exports") and "homes use" in found.evidence


def test_a_domain_whose_file_is_damaged_is_unlooked(host):
    kit.put(host, DOMAIN_FILE, "")
    stage = Stage(host)
    inventory = virtualmin.inventory(stage, virtualmin.detect(stage))
    assert [entry["what"] for entry in inventory["unlooked"]] == ["domain of file 1700000001"]


def test_a_restore_brings_back_what_was_lost(host):
    stage = Stage(host)
    found = virtualmin.detect(stage)
    run = fixture.export(virtualmin, stage)
    os.unlink(host + DOMAIN_FILE)
    table = kit.text(host, "/etc/postfix/virtual").replace("sales@example.com info@example.com,boss@elsewhere.example\n", "")
    kit.put(host, "/etc/postfix/virtual", table)
    assert _inventory.compare(run.inventory, virtualmin.inventory(stage, found))
    with _verify.Opened(run.path) as opened:
        done = virtualmin.restore(stage, found, opened, lambda line: None)
    assert done["rc"] == 0 and _inventory.compare(run.inventory, virtualmin.inventory(stage, found)) == []
    asked = next(argv for argv in stage.started if argv[1:2] == ["restore-domain"])
    assert [asked[i + 1] for i, word in enumerate(asked) if word == "--virtualmin"] == ["config", "scheds", "templates"]
    assert virtualmin.repair(stage, found) == []


@pytest.mark.parametrize(("switch", "status"), [("restore-fails", 1), ("critical", 2)])
def test_a_restore_that_the_panel_refuses_is_told(host, switch, status):
    stage = Stage(host)
    found = virtualmin.detect(stage)
    run = fixture.export(virtualmin, stage, "settings")
    kit.switch(host, switch)
    with _verify.Opened(run.path) as opened:
        done = virtualmin.restore(stage, found, opened, lambda line: None)
    assert done["rc"] == status and len(done["said"]) > 1


def test_as_many_errors_as_a_byte_has_values_are_not_none(host):
    kit.switch(host, "invalid", "example.com")
    kit.switch(host, "errors", "256")
    stage = Stage(host)
    found = virtualmin.repair(stage, virtualmin.detect(stage))
    assert len(found) == 256 and {(f.id, f.subject) for f in found} == {("panel.native", "virtualmin domain example.com")}


def test_a_checkpoint_names_what_a_restore_may_change(host):
    stage = Stage(host)
    held = virtualmin.checkpoint(stage, virtualmin.detect(stage))
    assert held["databases"] == [{"engine": "mysql", "name": "example"}, {"engine": "mysql", "name": "shop"}] and {
        "/etc/webmin",
        "/etc/postfix",
        "/etc/passwd",
    } <= set(held["paths"])


def test_scheduled_backups_are_sources_and_say_what_they_lack(host):
    stage = Stage(host)
    for day in ("2026-11-20", "2026-11-21"):
        os.makedirs(host + "/backup/" + day)
        words = [] if day == "2026-11-20" else ["--all-virtualmin"]
        stage.run([virtualmin.PROGRAM, "backup-domain", "--dest", host + "/backup/" + day, "--all-domains", "--all-features", "--newformat", *words])
    older, newer = virtualmin.daily(stage, virtualmin.detect(stage))
    assert older["path"] == "/backup/2026-11-20" and "domain other.test" in older["holds"]
    assert "plans, templates and the panel's configuration" in older["lacks"] and "plans, templates and the panel's configuration" not in newer["lacks"]


def test_rescue_from_a_disk_is_read_by_the_same_verification(host):
    disk = Rooted(host)
    found = virtualmin.detect(disk)
    inventory = virtualmin.inventory(disk, found, lambda database, sql: [])
    facts = {"version": "", "met": "stand-in", "host": "", "host_id": "", "seconds": 0}
    with _export.begin("virtualmin", "settings", host + "/var/lib/intact/panel") as work:
        made = virtualmin.rescue(disk, found, None, work.target)
        document = _export.store(work, made, inventory, facts)
        with _verify.Opened(work.path) as opened:
            findings, verdict = _verify.judge(virtualmin, opened)
        path = _export.seal(work, dict(document, verdict=verdict))
    assert (findings, verdict) == ([], "proven")
    shutil.rmtree(host + MODULE + "/domains")
    stage = Stage(host)
    with _verify.Opened(path) as opened:
        assert virtualmin.restore(stage, found, opened, lambda line: None)["rc"] == 0
    assert _inventory.compare(inventory, virtualmin.inventory(stage, found)) == []


def test_the_stand_in_tells_passwords_and_refuses_wrong_arguments(host):
    stage = Stage(host)
    assert panel.SECRETS["domain"] in stage.run([virtualmin.PROGRAM, "list-domains", "--multiline"]).text
    assert stage.run([virtualmin.PROGRAM, "backup-domain", "--nonsense", "x"], check=False).rc == 1
    mariadb.change(host, "shop", "DELETE FROM orders")
    assert virtualmin.inventory(stage, virtualmin.detect(stage))["measured"]["database"]["shop"]["filled"] == []


def test_an_export_without_the_panels_login_is_half_a_backup(host):
    run = fixture.export(virtualmin, Stage(host), "settings", lambda target: (target / "keys.tar.gz").write_bytes(kit.tar_bytes({"etc/other": b"x"}, "gz")))
    assert run.red == [("panel.key.missing", "virtualmin setting /etc/webmin/mysql/config")]
