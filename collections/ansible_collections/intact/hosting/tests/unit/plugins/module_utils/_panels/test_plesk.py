# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The driver for Plesk Obsidian beside its matrix: detection, inventory, readiness, secrets, Plesk's own checks, restore, repair, daily dumps, rescue."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import sqlite3
from pathlib import Path

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._backup._rooted import Rooted
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import (
    _export,
    _inventory,
    _plesk_host,
    _plesk_native,
    _registry,
    _run,
    _verify,
    plesk,
    plesk_old,
)
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels import plesk_fixture as fixture
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels.stand_in_fixture import Stage, kit

VERSION = "18.0.62.2"


@pytest.fixture
def own(tmp_path):
    """A host whose store a test may change."""
    return fixture.Host(tmp_path / "host", 3, VERSION)


def put(root, **files):
    for path, content in files.items():
        kit.put(str(root), "/" + path.replace("__", "/"), content)


def calls(host):
    return [json.loads(line) for line in kit.text(host.root, "/stand-in/calls").splitlines()]


def subjects(findings, severity="blocker"):
    return sorted((finding.id, finding.subject) for finding in findings if finding.severity == severity)


def execute(host, *statement):
    connection = sqlite3.connect(kit.real(host.root, "/var/lib/mysql/psa/stand-in.sqlite"))
    connection.execute(*statement)
    connection.commit()
    connection.close()


@pytest.mark.parametrize(
    "files, driver, version",
    [
        ({"opt__psa__version": "18.0.62.2 Debian 12 x\n"}, "plesk", "18.0.62.2"),
        ({"usr__local__psa__version": "12.5.30 CentOS 7\n"}, "plesk", "12.5.30"),
        ({"etc__psa__psa.conf": "PRODUCT_ROOT_D /srv/psa\nDUMP_D /srv/dumps\n", "srv__psa__version": "18.0.1\n"}, "plesk", "18.0.1"),
        ({"usr__local__psa__version": "8.6.0 CentOS 5 86080722.11\n"}, "plesk_old", "8.6.0"),
        ({"usr__local__psa__version": "9.5.4 x\n"}, "plesk_old", "9.5.4"),
        ({"usr__local__psa__bin__psadump": "#!\n"}, "plesk_old", ""),
        ({"opt__psa__bin__pleskbackup": "#!\n", "usr__sbin__plesk": "#!\n"}, "plesk", ""),
        ({"usr__sbin__plesk": "#!\n"}, None, None),
        ({}, None, None),
    ],
)
def test_detection_is_by_files_and_exactly_one_driver_sees_it(tmp_path, files, driver, version):
    put(tmp_path, **files)
    seen = [(module.NAME, found["version"]) for module in (plesk, plesk_old) for found in [module.detect(Rooted(str(tmp_path)))] if found]
    assert seen == ([(driver, version)] if driver else [])
    assert plesk in _registry.DRIVERS and plesk_old in _registry.DRIVERS
    if "etc__psa__psa.conf" in files:
        assert plesk.detect(Rooted(str(tmp_path)))["dumps"] == "/srv/dumps"


def test_the_inventory_has_every_kind_and_no_secret():
    host = fixture.host(1, VERSION)
    kinds = set(_inventory.KINDS)
    assert set(host.inventory["objects"]) == kinds and not host.inventory["unlooked"] and host.inventory["host"] == "panel.example.com"
    customer = next(entry for name, entry in host.inventory["objects"]["customer"].items() if name.startswith("cl_"))
    assert "O'" in customer["name"] and "\\x09GmbH" in customer["name"] and customer["password_set"] == "yes"
    assert "password" not in customer, "an encrypted one has no digest that means anything"
    assert len(host.inventory["objects"]["mail_alias"]) == 2 * sum(1 for row in host.world.tables["domains"] if row["webspace_id"] == "0")
    base = host.inventory["objects"]["database"][host.names["database"]]
    assert (base["tables"], base["filled"], base["server"]) == (2, "yes", "localhost:3306")
    assert not fixture.spoken(json.dumps(host.inventory), host.world)
    crons = host.inventory["objects"]["cron_job"].values()
    assert {entry["when"] for entry in crons} == {"*/5 * * * *", "@daily"}
    settings = host.inventory["objects"]["setting"]
    assert not any("time" in name for name in settings) and len(settings) == 5
    assert any(name.startswith("cl_") and name.endswith("/skin_token") for name in settings) and any(name.endswith("/protected intern") for name in settings)


def test_two_seeds_are_two_servers():
    one, two = (fixture.host(seed, VERSION).inventory["objects"] for seed in (1, 2))
    assert set(one["mailbox"]) != set(two["mailbox"]) and set(one["database"]) != set(two["database"]) and len(one["dns_zone"]) != len(two["dns_zone"])


def test_rows_that_point_to_nothing_make_an_export_unproven(own):
    execute(own, "UPDATE mail SET dom_id = '999' WHERE id = '1'")
    run = own.export()
    assert [entry["what"] for entry in own.inventory["unlooked"]][0].startswith("the domain ")
    assert ("panel.unproven", "plesk export " + own.inventory["unlooked"][0]["what"]) in run.red


def test_a_host_at_rest_is_ready():
    host = fixture.host(1, VERSION)
    assert host.driver.ready(host.stage, host.found) == []
    assert host.driver.keys(host.stage, host.found) == ["/etc/psa/private/secret_key", "/etc/psa/.psa.shadow"]


@pytest.mark.parametrize(
    "switch, red",
    [
        ("installer_busy", [("panel.busy", "plesk program plesk installer")]),
        ("mysql_refused", [("panel.database.refused", "plesk database psa")]),
        ("space", [("panel.space", "plesk directory /var/lib"), ("panel.space", "plesk directory /var/lib/psa/dumps")]),
    ],
)
def test_what_keeps_an_export_from_beginning(own, switch, red):
    own.stage.options = {}
    with own.switched(**{switch: "yes"}):
        found = own.driver.ready(own.stage, own.found)
        assert subjects(found) == red
        if switch == "space":
            assert found[0].evidence == "10 MiB are free, 300 are needed"
        elif switch == "mysql_refused":
            assert "ERROR 2002" in found[0].evidence
            with pytest.raises(IntactError, match="refused: ERROR 2002"):
                own.driver.inventory(own.stage, own.found)


def test_a_full_export_wants_twice_the_data(own):
    execute(own, "UPDATE domains SET real_size = '%d' WHERE id = '1'" % (60 << 30))
    assert own.driver.ready(own.stage, own.found) == []
    found = own.driver.ready(own.stage, own.found, "full", "/srv/exports")
    assert [f.id for f in found] == ["panel.space", "panel.space"] and re.search(r"MiB are free, 12[23]\d\d\d", found[0].evidence)


@pytest.mark.parametrize(
    "argv, name",
    [(["/opt/psa/bin/pleskbackup", "--server"], "pleskbackup"), (["/usr/bin/python3", "/opt/psa/admin/bin/pmm-ras"], "pmm-ras"), (["vim", "x"], "")],
)
def test_a_running_backup_is_told_by_its_name_only(own, argv, name):
    kit.process(own.root, 4711, *argv, "-output-file", "ftp://joe:planted-ftp@ftp.example/")
    found = own.driver.ready(own.stage, own.found)
    assert subjects(found) == ([("panel.busy", "plesk program " + name)] if name else [])
    assert "planted-ftp" not in json.dumps([finding.as_dict() for finding in found])


def test_a_key_that_is_gone_is_told_before_and_after(own):
    os.unlink(kit.real(own.root, "/etc/psa/private/secret_key"))
    assert subjects(own.driver.ready(own.stage, own.found)) == [("panel.key.missing", "plesk key /etc/psa/private/secret_key")]
    whole = fixture.host(1, VERSION)
    run = whole.export(damage=lambda target: os.unlink(target / "secret_key"))
    assert ("panel.export.failed", "plesk file secret_key") in run.red


def test_an_export_without_its_key_is_red():
    host = fixture.host(1, VERSION)
    path = host.export().path
    with host.opened(path) as opened:
        opened._entries.pop("secret_key")
        assert ("panel.key.missing", "plesk key secret_key") in subjects(host.driver.verify(opened, host.inventory, "full"))


def test_nothing_planted_is_in_an_argument_an_environment_of_others_or_a_readable_file(own):
    kit.put(own.root, _plesk_host.PASSWORD, own.world.secrets["backup password"] + "\n", 0o600)
    run = own.export()
    assert run.verdict == "proven" and not fixture.spoken(run.text, own.world)
    told = [entry for entry in calls(own) if entry["program"] == "pleskbackup"]
    assert told == [{"program": "pleskbackup", "environment": ["PLESK_BACKUP_PASSWORD"]}] and "PLESK_BACKUP_PASSWORD" not in os.environ
    modes = {oct(os.stat(os.path.join(run.path, name)).st_mode)[-3:] for name in os.listdir(run.path)}
    assert modes == {"600"}


def test_a_password_file_that_others_can_read_is_refused(own):
    kit.put(own.root, "/root/elsewhere", "x\n", 0o644)
    with pytest.raises(IntactError, match="can be read by others"):
        own.export(options={"backup_password_file": "/root/elsewhere"})


@pytest.mark.skipif(not shutil.which("gpg"), reason="gpg is not installed: exports are not encrypted here")
def test_the_whole_way_encrypted_and_native(own, tmp_path):
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("correct horse\n")
    passphrase.chmod(0o600)
    settings = _run.Settings(root=str(tmp_path / "panel"), passphrase_file=str(passphrase))
    outcome = _run.export(own.stage, own.driver, own.found, settings)
    assert (outcome.verdict, outcome.document["native"]) == ("proven", True)
    assert all(name.endswith((".gpg", "export.json")) for name in os.listdir(outcome.path))
    held = b"".join(Path(outcome.path, name).read_bytes() for name in os.listdir(outcome.path)).decode("latin-1")
    assert not fixture.spoken(held, own.world) and not fixture.spoken(json.dumps(own.stage.started), own.world)
    assert not [name for name in os.listdir(tmp_path / "panel") if name.startswith(".open")]


@pytest.mark.parametrize("switches, broken", [({}, False), ({"nonzero": "4"}, False), ({"mysql_refused": "yes"}, True), ({"busy": "yes"}, False)])
def test_plain_backups_are_put_back_whatever_happens(own, switches, broken):
    kit.put(own.root, "/stand-in/plain-backups", "false")
    if broken:
        with own.switched(**switches), pytest.raises(IntactError):
            own.export(options={"plain_backups": True})
    else:
        own.export(options={"plain_backups": True}, **switches)
        assert [entry["plain"] for entry in calls(own) if entry["program"] == "server_pref"] == ["true", "false"]
    assert kit.text(own.root, "/stand-in/plain-backups") == "false"


def test_plain_backups_of_a_killed_export_are_put_back_by_the_next_one(own, tmp_path, monkeypatch):
    class Killed(BaseException):
        pass

    def die(*_arguments, **_more):
        raise Killed

    mark = Path(kit.real(own.root, _export.ROOT), _plesk_native.MARK)
    own.stage.options = {}
    with monkeypatch.context() as patched, pytest.raises(Killed):
        # kill -9: no finally of ours is reached
        patched.setattr(_plesk_native, "_set", die)
        with _plesk_native.plain_backups(own.stage, own.found, True):
            pass
    assert kit.text(own.root, "/stand-in/plain-backups") == "true" and mark.exists()
    own.driver.export(own.stage, own.found, "settings", str(tmp_path), print)
    assert kit.text(own.root, "/stand-in/plain-backups") == "false" and not mark.exists()


def test_a_preference_that_can_t_be_read_is_left_alone(own, monkeypatch):
    monkeypatch.setattr(_plesk_native, "_SHOWN", re.compile("never said"))
    with pytest.raises(IntactError, match="it was left alone"):
        own.export(options={"plain_backups": True})
    assert not [entry for entry in calls(own) if entry["program"] == "server_pref"]


def test_plesk_s_own_checks_pass_what_is_whole():
    host = fixture.host(1, VERSION)
    run = host.export(native=True)
    assert (run.red, run.verdict) == ([], "proven")
    words = [" ".join(argv) for argv in host.stage.started[-3:]]
    assert "--check-backup" in words[0] and "backup_sign verify" in words[1] and "--schema" in words[2]


def test_a_signature_of_another_server_is_only_found_natively_and_can_be_allowed():
    host = fixture.host(1, VERSION)
    run = host.export(native=True, foreign="yes")
    assert run.verdict == "proven", "no file tells it"
    top = next(subject for ident, subject in run.red if "!" in subject)
    assert [ident for ident, _subject in run.red] == ["panel.export.signature"] * 2 and "plesk-full.tar!backup_info_" in top
    allowed = host.export(native=True, foreign="yes", options={"ignore_signature": True})
    assert allowed.red == [] and [finding.severity for finding in allowed.findings if finding.id == "panel.export.signature"] == ["warning"] * 2


def test_a_schema_error_names_the_element_and_not_the_password():
    host = fixture.host(1, VERSION)
    run = host.export(native=True, schema="yes", options={"plain_backups": True})
    (finding,) = [finding for finding in run.findings if finding.id == "panel.export.schema"]
    assert finding.evidence == "line 12, element password: Schemas validity error" and not fixture.spoken(run.text, host.world)


def test_plesk_s_own_check_of_a_broken_file_is_told():
    run = fixture.host(1, VERSION).export(native=True, inner="user-data")
    assert ("panel.native", "plesk file plesk-full.tar") in run.red


def test_an_unsigned_backup_is_said(own):
    path = own.export(native=True).path
    held = Path(path, "plesk-full.tar")
    data = held.read_bytes()
    at, end = data.index(b"<?xml"), data.index(b"\n", data.index(b"</migration-dump>"))
    head = data.index(b"MIME-Version")
    xml = data[at:end]
    held.write_bytes(data[:head] + xml + b" " * (data.index(b"--\n\0", end) + 3 - head - len(xml)) + data[data.index(b"--\n\0", end) + 3 :])
    with own.opened(path) as opened:
        found = own.driver.native(own.stage, own.found, opened)
    assert ("panel.export.signature", "plesk file plesk-full.tar") in subjects(found, "warning")


def restored(host, path, **options):
    host.stage.options = options
    with host.opened(path) as opened:
        return host.driver.restore(host.stage, host.found, opened, [].append)


def differences(host):
    return _inventory.compare(host.inventory, host.driver.inventory(host.stage, host.found))


def lose(host):
    """A few things of every kind go."""
    for table in ("mail", "mail_aliases", "mail_redir", "MailLists", "domainaliases", "db_users", "dns_recs", "certificates", "ftp_users", "Limits"):
        execute(host, "DELETE FROM `%s` WHERE rowid %% 2 = 0" % table)
    execute(host, "UPDATE clients SET email = 'changed@example.com'")
    execute(host, "DELETE FROM domains WHERE webspace_id <> '0'")


def test_what_is_lost_comes_back_by_sql(own):
    path = own.export().path
    lose(own)
    assert len(differences(own)) > 20
    told = restored(own, path)
    assert told["rc"] == 0 and [(f.subject, f.evidence) for f in differences(own)] == []
    words = [" ".join(argv[2:4]) for argv in own.stage.started if "pleskrestore" in argv]
    assert words == ["pleskrestore --info", "pleskrestore --restore"], "a tar has to be imported first"
    assert own.driver.repair(own.stage, own.found) == []


def test_a_protected_export_comes_back_with_its_password_which_is_no_argument(own):
    kit.put(own.root, _plesk_host.PASSWORD, own.world.secrets["backup password"] + "\n", 0o600)
    path = own.export().path
    execute(own, "DELETE FROM accounts")
    assert restored(own, path)["rc"] == 0
    plain = {name: value for name, value in own.world.secrets.items() if name.startswith("password of mailbox")}
    assert len(plain) > 5 and not fixture.spoken(json.dumps(own.stage.started), own.world)
    kept = {row["password_set"] for row in own.driver.inventory(own.stage, own.found)["objects"]["mailbox"].values()}
    assert kept == {"yes"}


def test_another_server_s_export_is_restored_only_when_that_is_said(own):
    path = own.export(foreign="yes").path
    told = restored(own, path)
    assert told["rc"] == 1 and any("wrong signature" in line for line in told["said"])
    assert restored(own, path, ignore_signature=True)["rc"] == 0


def test_a_restore_that_kills_the_database_is_seen_by_everybody(own):
    path = own.export().path
    kit.switch(own.root, "kill-restore")
    told = restored(own, path)
    assert told["rc"] and any("Lost connection" in line for line in told["said"])
    with pytest.raises(IntactError, match="ERROR 2002"):
        differences(own)
    assert [finding.subject for finding in own.driver.repair(own.stage, own.found)][0].startswith("plesk check Checking the Plesk database")
    os.unlink(kit.real(own.root, "/stand-in/mysql-refused"))
    assert differences(own), "half of it is gone: this is what a checkpoint is for"


def test_repair_repairs_and_tells_what_it_could_not(own):
    execute(own, "INSERT INTO mail (id, mail_name, dom_id, postbox) VALUES ('900', 'lost', '999', 'true')")
    assert own.driver.repair(own.stage, own.found) == []
    assert ["plesk", "repair", "db", "-y"] in own.stage.started
    with own.switched(repair_error="yes"):
        (finding,) = own.driver.repair(own.stage, own.found)
    assert (finding.id, finding.severity, finding.subject) == ("panel.native", "blocker", "plesk check Checking the consistency of the Plesk database")


def test_the_checkpoint_names_the_panel_s_own_things(own):
    held = own.driver.checkpoint(own.stage, own.found)
    assert {"/etc/psa", "/etc/psa-webmail"} <= set(held["paths"]) and (held["databases"], held["services"]) == (["psa"], [])


def test_a_full_backup_reaches_into_sites_mail_and_databases_and_one_of_settings_to_what_it_makes(own):
    kit.put(own.root, "/var/www/vhosts/%s/index.html" % sorted(own.inventory["objects"]["domain"])[0], "x")
    full, settings = (own.export(mode) for mode in ("full", "settings"))
    held = own.driver.reaches(own.stage, own.found, own.opened(full.path))
    assert held["loose"] == ["/var/www/vhosts", "/var/qmail/mailnames"] and set(own.inventory["objects"]["database"]) < set(held["databases"])
    held = own.driver.reaches(own.stage, own.found, own.opened(settings.path))
    domains = sorted(own.inventory["objects"]["domain"])
    assert "/var/www/vhosts/" + domains[1] in held["paths"] and "/var/www/vhosts/" + domains[0] not in held["paths"] and "loose" not in held


def test_without_the_program_plesk_the_utilities_of_version_10_are_called():
    stage = Stage("/nonexistent")
    assert _plesk_host.program(stage, {"root": "/usr/local/psa"}, "pleskbackup") == ["/usr/local/psa/bin/pleskbackup"]
    argv, environment = _plesk_host.client(stage)
    assert argv == ["mysql", "-uadmin", "-D", "psa"] and environment == {"MYSQL_PWD": ""}


def sealed(host, files, inventory=None):
    """An export of other files than the panel's own: a daily dump, a rescue."""
    with _export.begin(host.driver.NAME, "settings", os.path.join(host.root, "sources")) as work:
        for name, data in files.items():
            Path(work.target, name).write_bytes(data)
        named = [{"name": name, "role": "key" if name in ("secret_key", "psa.shadow") else "artefact"} for name in files]
        facts = dict(fixture.FACTS, version=host.found["version"])
        document = _export.store(work, {"files": named, "said": [], "rc": 0}, inventory or host.inventory, facts)
        with _verify.Opened(work.path) as opened:
            findings, verdict = _verify.judge(host.driver, opened)
        return _export.seal(work, dict(document, verdict=verdict)), findings, verdict


def test_daily_dumps_are_sources_newest_first_and_say_what_they_lack(own):
    told = own.driver.daily(own.stage, own.found)
    assert [os.path.basename(entry["path"]) for entry in told] == ["mysql.daily.dump.%d.gz" % number for number in range(3)]
    assert told[0]["made"] > told[1]["made"] and "customers' databases" in told[0]["lacks"] and "psa" in told[0]["holds"]


def key(host):
    return {"secret_key": host.world.key}


def test_a_daily_dump_is_proven_row_by_row_and_brings_them_back(own):
    data = Path(kit.real(own.root, own.driver.daily(own.stage, own.found)[0]["path"])).read_bytes()
    path, findings, verdict = sealed(own, {"mysql.daily.dump.0.gz": data, **key(own)})
    assert (subjects(findings), verdict) == ([], "proven")
    lose(own)
    assert restored(own, path)["rc"] == 0 and differences(own) == []
    # other databases of that dump were left alone
    assert sorted(os.listdir(kit.real(own.root, "/var/lib/mysql"))) == sorted([".accounts.json", "psa", *own.world.databases])


@pytest.mark.parametrize("damage", ["half", "bit", "unfinished", "no rows", "old", "other"])
def test_a_daily_dump_that_is_damaged_or_old_is_refused(own, damage):
    data = Path(kit.real(own.root, own.driver.daily(own.stage, own.found)[0]["path"])).read_bytes()
    if damage == "half":
        with own.switched(corrupt_daily="yes"):
            fixture.new.daily(own.root, own.world, 0)
        data = Path(kit.real(own.root, own.driver.daily(own.stage, own.found)[0]["path"])).read_bytes()
    elif damage == "bit":
        data = kit.flipped(data)
    elif damage == "unfinished":
        data = gzip.compress(gzip.decompress(data).rpartition(b"\n-- Dump completed")[0])
    elif damage == "no rows":
        data = gzip.compress(re.sub(rb"(?m)^INSERT INTO `(?:clients|domains)` VALUES\n(?:\(.*\n)*", b"", gzip.decompress(data)))
    elif damage == "old":
        execute(own, "UPDATE mail SET mail_name = 'since' WHERE id = '1'")
    else:
        data = b"-- MySQL dump 10.11\n-- Host: x    Database: shop\nCREATE TABLE `mail` (\n  `id` int\n);\n-- Dump completed\n"
    _path, findings, verdict = sealed(own, {"mysql.daily.dump.0.gz": data, **key(own)})
    wanted = {
        "half": "panel.export.truncated",
        "bit": "panel.export.(corrupt|truncated)",
        "unfinished": "panel.dump.incomplete",
        "no rows": "panel.dump.empty",
        "old": "panel.object.missing",
        "other": "panel.export.corrupt",
    }[damage]
    assert verdict == "failed" and any(re.fullmatch(wanted, ident) for ident, _subject in subjects(findings)), subjects(findings)


def query(root):
    """Rescue's view of a database that was opened cold: rows as text."""

    def ask(database, sql):
        from stand_ins.plesk import store

        assert database == "psa"
        connection = sqlite3.connect(store.path(root))
        rows = store._show(root, sql)
        try:
            rows = rows if rows is not None else connection.execute(sql).fetchall() if "information_schema" not in sql else _refuse(sql)
        finally:
            connection.close()
        return [tuple("NULL" if value is None else str(value) for value in row) for row in rows]

    return ask


def _refuse(sql):
    raise IntactError("MySQL 4.1 has no such thing: %s" % sql)


def test_a_disk_gives_an_inventory_and_an_export_that_the_same_verification_reads(own, tmp_path):
    disk = Rooted(own.root)
    found = own.driver.detect(disk)
    inventory = own.driver.inventory(disk, found, query(own.root))
    assert inventory["host"] == "panel.example.com" and not inventory["unlooked"]
    same = _inventory.compare(own.inventory, inventory)
    assert same == []
    target = tmp_path / "target"
    target.mkdir()
    made = own.driver.rescue(disk, found, query(own.root), str(target))
    assert [entry["name"] for entry in made["files"]] == ["psa.sql.gz", "secret_key", "psa.shadow"] and made["rc"] == 0
    assert {oct(path.stat().st_mode)[-3:] for path in target.iterdir()} == {"600"}
    files = {entry["name"]: (target / entry["name"]).read_bytes() for entry in made["files"]}
    path, findings, verdict = sealed(own, files, inventory)
    assert (subjects(findings), verdict) == ([], "proven") and not fixture.spoken(json.dumps([inventory, made]), own.world)
    lose(own)
    kit.put(own.root, "/etc/psa/private/secret_key", "another key", 0o600)
    assert restored(own, path)["rc"] == 0 and differences(own) == []
    assert Path(kit.real(own.root, "/etc/psa/private/secret_key")).read_bytes() == own.world.key
    # one row fewer than the inventory has, and it is named
    lines = gzip.decompress(files["psa.sql.gz"]).split(b"\n")
    gone = next(line for line in lines if line.startswith(b"INSERT INTO `mail_aliases`"))
    lines.remove(gone)
    _path, findings, verdict = sealed(own, dict(files, **{"psa.sql.gz": gzip.compress(b"\n".join(lines))}), inventory)
    assert verdict == "failed" and [ident for ident, _subject in subjects(findings)] == ["panel.object.missing"]
    assert subjects(findings)[0][1].startswith("plesk mail_alias office@")


def test_a_rescue_without_the_key_is_not_proven(own, tmp_path):
    os.unlink(kit.real(own.root, "/etc/psa/private/secret_key"))
    made = own.driver.rescue(Rooted(own.root), own.found, query(own.root), str(tmp_path))
    files = {entry["name"]: (tmp_path / entry["name"]).read_bytes() for entry in made["files"]}
    _path, findings, verdict = sealed(own, files)
    assert verdict == "failed" and ("panel.key.missing", "plesk key secret_key") in subjects(findings)
