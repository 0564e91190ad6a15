# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""DirectAdmin's exports, made by a stand-in's program that is really run: red where something is damaged, green where not; findings name their object."""

from __future__ import annotations

import gzip
import os
import subprocess

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import _directadmin_export, _directadmin_task, _homes, _inventory, directadmin
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels import stand_in_run

from stand_ins.directadmin import host  # isort: skip

MINA = "directadmin customer mina"


@pytest.fixture
def machine(tmp_path):
    return host.install(tmp_path / "root")


def run(machine, tmp_path, mode="settings", **more):
    return stand_in_run.Run(directadmin, machine, tmp_path / "exports", mode, **more)


def look(machine):
    view = machine.view()
    return directadmin.inventory(view, directadmin.detect(view))


def workspaces(machine):
    top = machine.at(_directadmin_export.WORK)
    return sorted(os.listdir(top)) if top.is_dir() else []


@pytest.mark.parametrize("mode", ["settings", "full"])
@pytest.mark.parametrize("compression", ["zst", "gz", "none"])
def test_a_whole_export_is_proven_and_nothing_is_found(tmp_path, mode, compression):
    machine = host.install(tmp_path / "root", compression=compression)
    made = run(machine, tmp_path, mode)
    assert (made.verdict, made.findings) == ("proven", [])
    ending = {"zst": ".tar.zst", "gz": ".tar.gz", "none": ".tar"}[compression]
    assert {"user.rita.mina" + ending, "reseller.admin.rita" + ending, "admin.root.admin" + ending} <= {entry["name"] for entry in made.document["files"]}
    with made.opened() as opened:
        members = opened.contents("user.rita.mina" + ending).members
    # the settings leave the sites and the home out, and nothing else
    assert any(path.startswith("domains/") for path in members) == (mode == "full")
    assert ("backup/home.tar%s!private/orders.csv" % ending[4:] in members) == (mode == "full")
    assert "backup/mina.example/email/passwd" in members and "backup/mina_shop.sql" in members
    assert len(made.lines) == 4 and workspaces(machine) == []


def test_from_beginning_to_end_as_a_host_does_it(machine, tmp_path):
    outcome = stand_in_run.whole(directadmin, machine, tmp_path / "whole")
    assert (outcome.verdict, outcome.findings, outcome.made) == ("proven", [], True) and outcome.document["native"]
    machine.switch("missing_dump", "mina_shop")
    before = outcome.path
    # what the inventories before and after the export both have is missing, not moving
    outcome = stand_in_run.whole(directadmin, machine, tmp_path / "whole")
    assert outcome.verdict == "failed" and outcome.path.endswith(".failed") and os.path.isdir(before)


@pytest.mark.parametrize(
    ("switch", "value", "mode", "expected"),
    [
        ("no_home", "mina", "full", {("panel.export.member", MINA)}),
        ("another_account", "mina", "settings", {("panel.export.stale", MINA)}),
        ("not_ended", "mina", "settings", {("panel.export.failed", MINA)}),
        ("no_archive", "mina", "settings", {("panel.export.failed", MINA), ("panel.said", MINA), ("panel.object.missing", MINA)}),
        ("linked", "mina", "settings", {("panel.export.failed", MINA), ("panel.object.missing", MINA)}),
        ("second_name", "mina", "settings", {("panel.export.failed", MINA), ("panel.object.missing", MINA)}),
        (
            "database_dies",
            "mina_shop",
            "settings",
            {
                ("panel.database.refused", "directadmin database mina_shop"),
                ("panel.database.refused", "directadmin database nils_wp"),
                ("panel.object.missing", "directadmin database mina_shop"),
                ("panel.object.missing", "directadmin database nils_wp"),
            },
        ),
    ],
)
def test_damage_is_red_and_named(machine, tmp_path, switch, value, mode, expected):
    before = look(machine)
    machine.switch(switch, value)
    made = run(machine, tmp_path, mode, inventory=before)
    assert made.verdict == "failed"
    # the program's status is 0 in all of these; only what we refused ourselves has another one
    assert made.made["rc"] == int(switch in ("linked", "second_name"))
    told = made.told()
    assert expected <= told, made.findings
    assert not [subject for _id, subject in told if "rita.example" in subject or "nils.example" in subject]
    if switch in ("no_home", "another_account", "not_ended"):
        assert told == expected
    assert all(finding.title and finding.evidence and finding.remedy for finding in made.findings)
    assert workspaces(machine) == []


@pytest.mark.parametrize(("switch", "mode", "where"), [("truncated", "settings", ""), ("inner_broken", "full", "!backup/home.tar.gz")])
def test_gzip_tells_what_was_cut(tmp_path, switch, mode, where):
    machine = host.install(tmp_path / "root", compression="gz")
    machine.switch(switch, "mina")
    assert ("panel.export.truncated", "directadmin file user.rita.mina.tar.gz" + where) in run(machine, tmp_path, mode).told()


def test_31_of_47_databases_lost_at_status_0_are_named_one_by_one(tmp_path):
    names = ["dora_%02d" % number for number in range(47)]
    accounts = {"admin": host.ACCOUNTS["admin"], "dora": dict(host.ACCOUNTS["nils"], creator="admin", databases={name: ["t"] for name in names}, dbusers={})}
    machine = host.install(tmp_path / "root", accounts)
    before = look(machine)
    machine.switch("missing_dump", names[16:])
    made = run(machine, tmp_path, inventory=before)
    assert made.made["rc"] == 0 and made.told() == {("panel.object.missing", "directadmin database %s" % name) for name in names[16:]}


@pytest.mark.parametrize("where", ["user.rita.mina.tar.zst", "server.tar", "mina.transcript", "keys/usr.local.directadmin.conf.my.cnf"])
def test_a_bit_that_flips_on_our_disk_is_red(machine, tmp_path, where):
    made = run(machine, tmp_path)
    path = os.path.join(made.path, where)
    with open(path, "r+b") as handle:
        data = bytearray(handle.read())
        data[len(data) // 2] ^= 4
        handle.seek(0)
        handle.write(data)
    made.judge()
    assert made.verdict == "failed" and ("panel.export.corrupt", "directadmin file %s" % where) in made.told()


def test_a_panel_that_ignores_the_selection_gives_more_and_is_no_fault(machine, tmp_path):
    machine.switch("ignores_selection")
    made = run(machine, tmp_path)
    assert (made.verdict, made.findings) == ("proven", [])


def test_a_customers_broken_archive_is_the_customers_matter(machine, tmp_path):
    for path in ("/home/mina/old.tar.gz", "/home/mina/domains/mina.example/public_html/download.zip", "/home/mina/imap/mina.example/post/Maildir/new/a.tar.xz"):
        machine.write(path, b"\x1f\x8b\x08\x00 this ends here")
    made = run(machine, tmp_path, "full")
    assert (made.verdict, made.findings) == ("proven", [])


def test_a_user_whom_the_panels_list_omits_is_exported_and_named(machine, tmp_path):
    path = host.ROOT + "/data/users/rita/users.list"
    machine.write(path, "mina\nghost\n")
    view = machine.view()
    found = directadmin.detect(view)
    expected = [("panel.object.missing", "directadmin customer nils"), ("panel.object.extra", "directadmin customer ghost")]
    assert [(f.id, f.subject) for f in directadmin.ready(view, found) if f.severity == "warning"] == expected
    made = run(machine, tmp_path)
    assert made.verdict == "proven" and "nils" in made.inventory["objects"]["customer"]
    with made.opened() as opened:
        told = [(f.id, f.severity, f.subject) for f in directadmin.native(view, found, opened)]
    assert told == [("panel.unproven", "blocker", subject) for _id, subject in expected]
    assert [(f.id, f.subject) for f in directadmin.repair(view, found) if f.severity == "blocker"] == expected


def test_busy_no_room_no_key_and_a_database_that_refuses(machine, tmp_path, monkeypatch):
    view = machine.view()
    found = directadmin.detect(view)
    assert directadmin.ready(view, found) == []
    machine.switch("busy", "server")
    assert [(f.id, f.severity) for f in directadmin.ready(view, found)] == [("panel.busy", "blocker")]
    machine.switch("busy", False)
    machine.write(host.ROOT + "/data/task.queue", "action=restore&where=local&password=queuePlanted\n")
    told = directadmin.ready(view, found)
    assert [f.id for f in told] == ["panel.busy"] and "queuePlanted" not in told[0].evidence
    machine.write(host.ROOT + "/data/task.queue", "")
    monkeypatch.setattr(_homes, "free", lambda system, path: 1000)
    told = [(f.id, f.subject) for f in directadmin.ready(view, found, "full", "/srv/exports") if f.severity == "blocker"]
    assert told == [("panel.space", "directadmin directory /srv/exports")]
    monkeypatch.undo()
    machine.switch("database_refused", "server")
    assert [(f.id, f.subject) for f in directadmin.ready(view, found)] == [("panel.database.refused", "directadmin database server")]
    machine.switch("database_refused", False)
    machine.at(host.ROOT + "/conf/my.cnf").unlink()
    assert [(f.id, f.subject) for f in directadmin.ready(view, directadmin.detect(view))] == [
        ("panel.key.missing", "directadmin file %s/conf/my.cnf" % host.ROOT)
    ]


def test_files_of_root_in_a_home_are_told_before_they_stop_a_restore(machine):
    view = machine.view()
    found = directadmin.detect(view)
    for path, _names, files in os.walk(machine.at("/home")):
        os.chown(path, 4711, 4711)
        for name in files:
            os.chown(os.path.join(path, name), 4711, 4711)
    assert directadmin.ready(view, found, "full") == []
    os.chown(machine.at("/home/mina/private/orders.csv"), 0, 0)
    told = directadmin.ready(view, found, "full")
    assert [(f.id, f.severity, f.subject, f.evidence) for f in told] == [("panel.export.member", "warning", MINA, "private/orders.csv")]


def test_without_the_database_server_nothing_is_proven(machine, tmp_path):
    machine.switch("database_refused", "server")
    made = run(machine, tmp_path)
    assert made.inventory["unlooked"] and ("panel.unproven", "directadmin export %s" % made.inventory["unlooked"][0]["what"]) in made.told()
    assert ("panel.database.refused", MINA) in set(made.told()) or made.verdict == "failed"


def test_no_secret_is_seen_anywhere(machine, tmp_path):
    machine.switch("leaks", "mina")
    machine.switch("truncated", "nils")
    machine.switch("alters_alias", "robot@mina.example")
    before = look(machine)
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("correct horse\n")
    passphrase.chmod(0o600)
    made = run(machine, tmp_path, "full", inventory=before, passphrase_file=str(passphrase))
    assert made.findings and stand_in_run.leaked(host.SECRETS, machine, made) == []
    with made.opened() as opened:
        text = b""
        for name in [n for n in opened.names() if "nils" not in n]:
            raw = opened.read(name)
            text += subprocess.run(["zstd", "-dqc"], input=raw, capture_output=True, check=True).stdout if name.endswith(".zst") else raw
            text += gzip.decompress(raw) if name.endswith(".gz") else b""
        # each is in the export, some of them as DirectAdmin writes them
        text = text.replace(b"%2A", b"*").replace(b"%24", b"$")
        assert not [name for name, secret in host.SECRETS.items() if secret.encode() not in text]
        assert host.SECRETS["login"].encode() not in opened.read("mina.transcript")


def test_the_inventory_names_every_object_and_asks_no_program_of_the_panel(machine):
    found = look(machine)
    objects = found["objects"]
    assert {name: entry["role"] for name, entry in objects["customer"].items()} == {"admin": "admin", "rita": "reseller", "mina": "user", "nils": "user"}
    assert sorted(objects["domain"]) == ["blog.example", "mina.example", "nils.example", "rita.example"]
    assert objects["domain_alias"]["mina.test"] == {"owner": "mina", "of": "mina.example", "role": "alias"} and sorted(objects["subdomain"]) == [
        "dev.mina.example"
    ]
    assert sorted(objects["mailbox"]) == ["info@mina.example", "me@nils.example", "post@mina.example"]
    assert objects["forward"]["sales@mina.example"]["targets"] == ["boss@elsewhere.example", "post@mina.example"]
    assert objects["list"] == {"crew@mina.example": {"owner": "mina", "members": 2}} and sorted(objects["ftp_user"]) == ["upload@mina.example"]
    assert objects["database"]["mina_shop"] == {"owner": "mina", "tables": 2, "names": ["customers", "orders"], "rows": "some"}
    assert objects["database_user"]["mina_app"]["databases"] == ["mina_blog", "mina_shop"] and "autoresponder mina.example" in objects["setting"]
    assert objects["php_handler"]["mina.example"]["php1_select"] == "2" and objects["certificate"]["mina.example"]["key"].startswith("sha256:")
    assert objects["limit"]["mina"]["quota"] == "500" and [name.split(" #")[0] for name in objects["cron_job"]] == ["mina: 17 3 * * *"]
    # its version is the only thing that a program of the panel is asked for
    assert found["version"] == "1.709" and {tuple(words[:2]) for words in machine.started() if words[0] != "mysql"} == {("directadmin", "version")}


def test_a_database_belongs_to_the_longest_name_that_fits(tmp_path):
    accounts = {
        "rozin": dict(host.ACCOUNTS["nils"], databases={"rozin_a": ["t"]}),
        "rozin_shop": dict(host.ACCOUNTS["nils"], databases={"rozin_shop_b": ["t"]}),
    }
    owners = {name: entry["owner"] for name, entry in look(host.install(tmp_path / "root", accounts))["objects"]["database"].items()}
    assert owners == {"rozin_a": "rozin", "rozin_shop_b": "rozin_shop"}


@pytest.mark.parametrize(("switch", "rc", "word"), [("restore_fails", 1, "error running"), ("restore_quiet", 0, ""), ("restore_gone", 1, "not there")])
def test_a_damaged_restore_is_never_a_success(machine, tmp_path, switch, rc, word):
    made = run(machine, tmp_path)
    empty = host.install(tmp_path / "empty", {"admin": host.ACCOUNTS["admin"]})
    empty.switch(switch, "mina")
    view = empty.view()
    found = directadmin.detect(view)
    with made.opened() as opened:
        done = directadmin.restore(view, found, opened, made.lines.append)
    assert done["rc"] == rc, done
    assert not word or any(line.startswith("mina: ") and word in line for line in done["said"])
    differing = {f.subject for f in _inventory.compare(made.inventory, directadmin.inventory(view, found)) if f.severity == "blocker"}
    assert "directadmin database mina_shop" in differing and "directadmin database nils_wp" not in differing
    assert workspaces(empty) == []


@pytest.mark.parametrize("mode", ["settings", "full"])
def test_an_export_restored_on_an_empty_server_is_the_same_inventory(machine, tmp_path, mode):
    made = run(machine, tmp_path, mode)
    fresh = host.install(tmp_path / "fresh", {"admin": host.ACCOUNTS["admin"]})
    view = fresh.view()
    found = directadmin.detect(view)
    with made.opened() as opened:
        done = directadmin.restore(view, found, opened, made.lines.append)
    assert done["rc"] == 0 and directadmin.repair(view, found) == []
    assert _inventory.compare(made.inventory, directadmin.inventory(view, found)) == []
    tasks = [words for words in fresh.started("directadmin") if words[1] == "taskq"]
    # resellers come before those whom they created
    assert [w[2].split("select0=")[1].split("&")[0].split(".")[2] for w in tasks if "action=restore" in w[2]] == ["admin", "rita", "mina", "nils"]


def test_a_rewrite_that_fails_is_a_blocker(machine):
    machine.switch("rewrite_fails", "httpd")
    view = machine.view()
    told = directadmin.repair(view, directadmin.detect(view))
    assert [(f.id, f.severity, f.subject) for f in told] == [("panel.native", "blocker", "directadmin command rewrite httpd")]


def test_a_checkpoint_holds_what_a_restore_changes(machine):
    view = machine.view()
    asked = directadmin.checkpoint(view, directadmin.detect(view))
    assert {host.ROOT + "/data/users", "/etc/virtual", "/var/named", "/etc/shadow", "/etc/proftpd.passwd"} <= set(asked["paths"])
    assert asked["databases"] == asked["data"] == ["mina_blog", "mina_shop", "nils_wp"] and "directadmin.service" in asked["services"]
    assert "/home/mina/imap" in asked["loose"] and "/etc/bind" in asked["paths"] and not machine.at("/etc/bind").exists()
    machine.switch("database_refused", "server")
    with pytest.raises(IntactError):
        directadmin.checkpoint(view, directadmin.detect(view))


def test_a_disk_gives_inventory_and_archives_that_the_same_verification_takes(machine, tmp_path, monkeypatch):
    disk, query = stand_in_run.disk(machine.root), stand_in_run.Query(machine)
    found = directadmin.detect(disk)
    before = directadmin.inventory(disk, found, query)
    assert before["objects"] == look(machine)["objects"] and before["version"] == ""
    made = stand_in_run.rescued(directadmin, machine, tmp_path / "exports", before)
    assert {s for _i, s in made.told()} == {"directadmin database %s" % name for name in ("mina_blog", "mina_shop", "nils_wp")}
    made = stand_in_run.rescued(directadmin, machine, tmp_path / "more", before, monkeypatch)
    assert (made.verdict, made.findings) == ("proven", [])
    assert stand_in_run.leaked(host.SECRETS, machine, made) == []
    fresh = host.install(tmp_path / "fresh", {"admin": host.ACCOUNTS["admin"]})
    with made.opened() as opened:
        assert directadmin.restore(fresh.view(), directadmin.detect(fresh.view()), opened, made.lines.append)["rc"] == 0
    assert _inventory.compare(before, look(fresh)) == []


def test_the_panels_own_dumps_are_sources_that_say_what_they_lack(machine):
    machine.write("/home/admin/admin_backups/user.admin.mina.tar.zst", b"x")
    machine.write("/home/admin/admin_backups/2026-11-20/user.admin.mina.tar.gz", b"x")
    machine.write("/home/admin/admin_backups/notes/readme", b"x")
    told = directadmin.daily(machine.view(), {})
    assert {entry["path"] for entry in told} == {"/home/admin/admin_backups", "/home/admin/admin_backups/2026-11-20"}
    assert all(entry["made"].startswith("20") and "1 accounts" in entry["holds"] and "login" in entry["lacks"] for entry in told)


def test_the_workspace_is_open_to_admin_and_account_and_to_nobody_who_came_first(machine):
    view = machine.view()
    with _directadmin_export.workspace(view, "mina") as output:
        assert [os.stat(path).st_mode & 0o777 for path in (os.path.dirname(os.path.dirname(output)), os.path.dirname(output), output)] == [0o711, 0o710, 0o711]
    assert workspaces(machine) == []
    top = machine.at(_directadmin_export.WORK)
    top.rmdir()
    os.symlink("/tmp", top)
    with pytest.raises(IntactError), _directadmin_export.workspace(view, "mina"):
        pass
    with pytest.raises(IntactError, match="no user ghost"), _directadmin_export.workspace(view, "ghost"):
        pass


LINE = _directadmin_task.line(_directadmin_task.backup("mina", "/w/output", False))
GOOD = "2026/11/22 15:30:01  info executing task            task=%s\n2026/11/22 15:30:09  info finished task             duration=1s task=%s\n" % (LINE, LINE)


@pytest.mark.parametrize(
    ("text", "ended", "complaints"),
    [
        (GOOD, True, []),
        (GOOD + "2026/11/22 15:30:10  warn something harmless\n", True, []),
        (GOOD.splitlines()[0], False, []),
        ("", False, []),
        (GOOD.replace("select0=mina", "select0=nils"), False, []),
        (GOOD.replace("select0=mina", "select0=mina&select1=nils"), False, []),
        (GOOD + GOOD, False, []),
        (GOOD.replace("action=backup", "action=restore"), False, []),
        (GOOD + "2026/11/22 15:30:05 error running backup task       error=error code 1: disk full\n", True, ["panel.space"]),
        (GOOD + "2026/11/22 15:30:05 error something new\n", True, ["panel.said"]),
        (GOOD + "mina_shop: mysqldump: Got error: 2002: Can't connect to local MySQL server\n", True, ["panel.database.refused"]),
    ],
)
def test_a_transcript_is_believed_only_when_it_tells_of_this_task_alone(text, ended, complaints):
    told = _directadmin_task.told(text, "backup", "mina")
    assert (told.ended, [ident for ident, _line in told.complaints]) == (ended, complaints) and bool(told.why) == (not ended)
