# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""cPanel's exports, made by a stand-in's programs that are really run: red where something is damaged, green where not, and each finding names its object."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import tarfile

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import _homes, _inventory, cpanel
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels import stand_in_run

from stand_ins.cpanel import host  # isort: skip

ALICE = "cpanel customer alice"


@pytest.fixture
def machine(tmp_path):
    return host.install(tmp_path / "root")


def run(machine, tmp_path, mode="settings", **more):
    return stand_in_run.Run(cpanel, machine, tmp_path / "exports", mode, **more)


def look(machine):
    view = machine.view()
    return cpanel.inventory(view, cpanel.detect(view))


@pytest.mark.parametrize("mode", ["settings", "full"])
def test_a_whole_export_is_proven_and_nothing_is_found(machine, tmp_path, mode):
    made = run(machine, tmp_path, mode)
    assert (made.verdict, made.findings) == ("proven", [])
    assert made.document["objects"]["mailbox"] == 4 and made.document["objects"]["database"] == 4
    asked = machine.started("pkgacct")
    assert [words[-2] for words in asked] == ["alice", "bob", "carol"] and all(("--skiphomedir" in words) == (mode == "settings") for words in asked)
    assert len(made.lines) == 3


def test_from_beginning_to_end_as_a_host_does_it(machine, tmp_path):
    outcome = stand_in_run.whole(cpanel, machine, tmp_path / "whole")
    assert (outcome.verdict, outcome.findings, outcome.made) == ("proven", [], True) and outcome.document["native"]
    machine.switch("truncated", "alice")
    outcome = stand_in_run.whole(cpanel, machine, tmp_path / "whole")
    assert outcome.verdict == "failed" and outcome.path.endswith(".failed")
    machine.switch("busy", "server")
    outcome = stand_in_run.whole(cpanel, machine, tmp_path / "whole")
    assert not outcome.made and [f.id for f in outcome.findings] == ["panel.busy"]


@pytest.mark.parametrize(
    ("switch", "value", "mode", "expected"),
    [
        ("not_ended", "alice", "settings", {("panel.export.failed", ALICE)}),
        ("no_sums", "alice", "settings", {("panel.export.failed", ALICE)}),
        (
            "database_dies",
            "carol_wp",
            "settings",
            {
                ("panel.database.refused", "cpanel database carol_wp"),
                ("panel.database.refused", "cpanel database legacydb"),
                ("panel.object.missing", "cpanel database carol_wp"),
                ("panel.object.missing", "cpanel database legacydb"),
            },
        ),
    ],
)
def test_damage_is_red_and_named(machine, tmp_path, switch, value, mode, expected):
    before = look(machine)
    machine.switch(switch, value)
    made = run(machine, tmp_path, mode, inventory=before)
    assert made.verdict == "failed" and made.made["rc"] == 0
    told = made.told()
    assert expected <= told, made.findings
    # what the damage did not hit is not complained about; a server that is gone is gone for all that are packed later
    assert switch == "database_dies" or not [subject for _id, subject in told if "bob" in subject]
    assert switch == "database_dies" or told == expected
    assert all(finding.title and finding.evidence and finding.remedy for finding in made.findings)


def test_31_of_47_databases_lost_at_exit_0_are_named_one_by_one(tmp_path):
    names = ["dave_%02d" % number for number in range(47)]
    accounts = {
        "dave": {"domain": "dave.example", "plan": "gold", "owner": "root", "hash": "$6$x$dave", "databases": {name: ["t"] for name in names}},
    }
    machine = host.install(tmp_path / "root", accounts)
    before = look(machine)
    machine.switch("database_dies", "dave_16")
    made = run(machine, tmp_path, inventory=before)
    assert made.made["rc"] == 0 and "dave: status 0, pkgacct completed" in made.made["said"]
    assert {s for i, s in made.told() if i == "panel.object.missing"} == {"cpanel database %s" % name for name in names[16:]}
    assert ("panel.database.refused", "cpanel database dave_16") in made.told()


@pytest.mark.parametrize("where", ["cpmove-alice.tar.gz", "home-alice.tar", "server.tar", "alice.transcript", "inventory.json.gz"])
def test_a_bit_that_flips_on_our_disk_is_red(machine, tmp_path, where):
    made = run(machine, tmp_path)
    path = os.path.join(made.path, where)
    with open(path, "r+b") as handle:
        data = bytearray(handle.read())
        data[len(data) // 2] ^= 4
        handle.seek(0)
        handle.write(data)
    made.judge()
    assert made.verdict == "failed" and ("panel.export.corrupt", "cpanel file %s" % where) in made.told()


def test_an_account_that_cannot_be_packed_is_missing_by_name(machine, tmp_path):
    before = look(machine)
    machine.at("/var/cpanel/users/carol").write_text("")
    made = run(machine, tmp_path, inventory=before)
    assert ("panel.object.missing", "cpanel customer carol") in made.told()
    # pkgacct itself refuses, or says nothing at all
    machine.switch("refuses_account", "bob")
    made = run(machine, tmp_path, inventory=before)
    failed = {f.subject: f.evidence for f in made.findings if f.id == "panel.export.failed"}
    assert sorted(failed) == ["cpanel customer bob", "cpanel customer carol"] and "user id" in failed["cpanel customer bob"]
    assert made.made["rc"] == 2 and ("panel.object.missing", "cpanel domain bob.example") in made.told()


def test_another_accounts_archive_under_this_ones_name(machine, tmp_path):
    before = look(machine)

    def swap(target):
        for name in ("cpmove-%s.tar.gz", "%s.transcript"):
            shutil.copy(os.path.join(target, name % "bob"), os.path.join(target, name % "alice"))

    made = run(machine, tmp_path, inventory=before, break_it=swap)
    assert {("panel.export.stale", ALICE), ("panel.object.missing", ALICE), ("panel.object.missing", "cpanel mailbox ann@shop.example")} <= made.told()
    assert len([f for f in made.findings if f.id == "panel.export.stale"]) == 2


def test_a_second_account_in_an_archive_and_an_empty_home(machine, tmp_path):
    before = look(machine)

    def more(target):
        path = os.path.join(target, "cpmove-bob.tar.gz")
        held = {}
        with tarfile.open(path) as archive:
            held = {m.name: archive.extractfile(m).read() for m in archive if "/homedir/" not in m.name}
        held["cpmove-mallory/cp/mallory"] = b"USER=mallory\n"
        os.unlink(path)
        _homes.write_tar(path, held, compress=True)

    made = run(machine, tmp_path, "full", inventory=before, break_it=more)
    bob = "cpanel customer bob"
    assert {("panel.export.stale", bob), ("panel.export.member", bob), ("panel.object.empty", bob)} <= made.told()


@pytest.mark.parametrize("how", ["zero", "nonzero", "status"])
def test_an_api_that_refuses_is_told_whatever_its_status(machine, how):
    view = machine.view()
    found = cpanel.detect(view)
    assert cpanel.native(view, found, None) == [] and cpanel.ready(view, found) == []
    machine.switch("api_refuses", how)
    told = cpanel.native(view, found, None)
    assert [(f.id, f.severity, f.subject) for f in told] == [("panel.unproven", "blocker", "cpanel command whmapi1 listaccts")]
    assert ("licen" in told[0].evidence or "Permission Denied" in told[0].evidence) and told[0].remedy
    # it does not keep an export from being made
    assert [(f.id, f.severity) for f in cpanel.ready(view, found)] == [("panel.native", "warning")]


def test_a_user_whom_the_panels_list_omits_is_exported_and_named(machine, tmp_path):
    machine.switch("list_omits", "carol")
    view = machine.view()
    found = cpanel.detect(view)
    assert [(f.id, f.severity, f.subject) for f in cpanel.ready(view, found)] == [("panel.object.missing", "warning", "cpanel customer carol")]
    made = run(machine, tmp_path)
    assert made.verdict == "proven" and "carol" in made.inventory["objects"]["customer"]
    with made.opened() as opened:
        assert [(f.id, f.severity, f.subject) for f in cpanel.native(view, found, opened)] == [("panel.unproven", "blocker", "cpanel customer carol")]
    # a good export stays one: it is kept and can be taken, only not as a proven one
    outcome = stand_in_run.whole(cpanel, machine, tmp_path / "whole")
    assert outcome.verdict == "unproven" and not outcome.path.endswith(".failed")


def test_busy_no_room_and_a_database_that_refuses(machine, monkeypatch):
    view = machine.view()
    found = cpanel.detect(view)
    machine.switch("busy", "server")
    assert [(f.id, f.severity) for f in cpanel.ready(view, found)] == [("panel.busy", "blocker")]
    machine.switch("busy", False)
    monkeypatch.setattr(_homes, "free", lambda system, path: {"/srv/exports": 10**9 + 1000}.get(path, 1 << 40))
    assert cpanel.ready(view, found, "settings", "/srv/elsewhere") == cpanel.ready(view, found, "full") == []
    # a full export has the homes as well, and goes where it was sent to
    machine.write("/home/bob/public_html/film", b"x" * 3000)
    told = cpanel.ready(view, found, "full", "/srv/exports")
    assert [(f.id, f.subject) for f in told] == [("panel.space", "cpanel directory /srv/exports")] and "the largest account's once more" in told[0].evidence
    monkeypatch.undo()
    machine.switch("database_refused", "server")
    assert [(f.id, f.subject) for f in cpanel.ready(view, found)] == [("panel.database.refused", "cpanel database server")]


def test_without_the_database_server_nothing_is_proven(machine, tmp_path):
    machine.switch("database_refused", "server")
    made = run(machine, tmp_path)
    assert {e["what"] for e in made.inventory["unlooked"]} == {"tables and users of the databases"}
    assert ("panel.unproven", "cpanel export tables and users of the databases") in made.told()
    # the names come from cPanel's own map
    assert ("panel.object.missing", "cpanel database alice_shop") in made.told() and made.verdict == "failed"


def test_no_secret_is_seen_anywhere(machine, tmp_path):
    machine.switch("leaks", "alice")
    machine.switch("database_dies", "alice_blog")
    machine.switch("truncated", "carol")
    before = look(machine)
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("correct horse\n")
    passphrase.chmod(0o600)
    made = run(machine, tmp_path, inventory=before, passphrase_file=str(passphrase))
    assert made.findings and stand_in_run.leaked(host.SECRETS, machine, made) == []
    # encrypted, nothing of them is on the disk at all; each is in the export all the same
    for path, _names, files in os.walk(made.path):
        for name in files:
            with open(os.path.join(path, name), "rb") as handle:
                raw = handle.read()
            assert not [secret for secret in host.SECRETS.values() if secret.encode() in raw]
    with made.opened() as opened:
        text = b"".join(gzip.decompress(opened.read(n)) if n.endswith(".tar.gz") else opened.read(n) for n in opened.names() if "carol" not in n)
        assert not [name for name, secret in host.SECRETS.items() if secret.encode() not in text and name != "account of carol"]
        assert host.SECRETS["database"].encode() not in opened.read("alice.transcript")


def test_the_inventory_names_every_object_and_no_secret(machine):
    found = look(machine)
    objects = found["objects"]
    assert sorted(objects["domain"]) == ["blog.example", "bob.example", "carol.example", "shop.example"]
    assert objects["domain_alias"] == {"shop.test": {"owner": "alice", "of": "shop.example"}} and sorted(objects["subdomain"]) == ["dev.shop.example"]
    assert sorted(objects["mailbox"]) == ["ann@shop.example", "ed@blog.example", "info@shop.example", "me@carol.example"]
    assert objects["forward"]["sales@shop.example"]["targets"] == ["ann@shop.example", "ed@blog.example"]
    assert objects["mail_alias"]["shop.test"]["targets"] == ["shop.example"] and sorted(objects["list"]) == ["crew@shop.example"]
    assert objects["database"]["legacydb"] == {"owner": "alice", "tables": 1, "names": ["old"], "rows": "some"}
    assert objects["database_user"]["alice_app"]["databases"] == ["alice_blog", "alice_shop"]
    assert objects["certificate"]["shop.example"]["key"].startswith("sha256:") and objects["php_handler"]["blog.shop.example"]["version"] == "ea-php81"
    assert {name.split(" #")[0] for name in objects["cron_job"]} == {"alice: MAILTO", "alice: 17 3 * * *"}
    assert objects["limit"]["alice"]["MAXPOP"] == "50" and objects["customer"]["bob"]["reseller"] == ["create-acct", "list-accts"]
    assert found["version"] == "11.122.0.17" and found["host"] == "host.example" and found["route"] == {"kind": "files"}
    # no program of the panel was asked
    assert {words[0] for words in machine.started()} == {"mysql"}


def test_an_account_without_a_map_has_its_databases_by_their_prefix(machine):
    machine.at("/var/cpanel/databases/carol.json").unlink()
    machine.write("/var/cpanel/databases/alice.json", '{"MYSQL": {"owner": "somebody else", "dbs": {"other": ""}}}')
    objects = look(machine)["objects"]
    assert {name: entry["owner"] for name, entry in objects["database"].items()} == {"alice_blog": "alice", "alice_shop": "alice", "carol_wp": "carol"}


def test_a_damaged_restore_is_never_a_success(machine, tmp_path):
    made = run(machine, tmp_path)
    for switch, rc in ((("restore_loses_databases", "alice"), 1), (("restore_refused", "alice"), 1), (("restore_quiet", "alice"), 0)):
        empty = host.install(tmp_path / switch[0], {})
        empty.switch(*switch)
        view = empty.view()
        found = cpanel.detect(view)
        with made.opened() as opened:
            done = cpanel.restore(view, found, opened, made.lines.append)
        assert done["rc"] == rc, done
        differing = {f.subject for f in _inventory.compare(made.inventory, cpanel.inventory(view, found)) if f.severity == "blocker"}
        assert "cpanel database alice_shop" in differing and "cpanel database carol_wp" not in differing
        if rc:
            assert any(line.startswith("alice: ") and "status" not in line for line in done["said"])


@pytest.mark.parametrize("mode", ["settings", "full"])
def test_an_export_restored_on_an_empty_server_is_the_same_inventory(machine, tmp_path, mode):
    made = run(machine, tmp_path, mode)
    fresh = host.install(tmp_path / "fresh", {})
    for path in ("/var/cpanel/packages/gold", "/var/cpanel/authn/twofactor_auth/tfa_userdata.json"):
        fresh.at(path).unlink()
    view = fresh.view()
    for user in ("alice", "bob", "carol"):
        # restorepkg makes the home
        fresh.at("/home/%s" % user).mkdir(parents=True)
    found = cpanel.detect(view)
    with made.opened() as opened:
        done = cpanel.restore(view, found, opened, made.lines.append)
    assert done["rc"] == 0 and cpanel.repair(view, found) == []
    assert _inventory.compare(made.inventory, cpanel.inventory(view, found)) == []
    assert host.SECRETS["contact"] in fresh.read("/var/cpanel/authn/twofactor_auth/tfa_userdata.json")
    assert {words[0] for words in fresh.started()} >= {"restorepkg", "updateuserdomains", "rebuildhttpdconf", "whmapi1"}
    # a second time over what is there
    with made.opened() as opened:
        assert cpanel.restore(view, found, opened, made.lines.append)["rc"] == 0
    assert "--force" in fresh.started("restorepkg")[-1] and "--force" not in fresh.started("restorepkg")[0]


def test_a_panel_that_does_not_know_a_restored_customer_is_a_blocker(machine):
    machine.switch("list_omits", "carol")
    view = machine.view()
    told = cpanel.repair(view, cpanel.detect(view))
    assert [(f.id, f.severity, f.subject) for f in told] == [("panel.object.missing", "blocker", "cpanel customer carol")]


def test_a_repair_that_fails_is_a_blocker(machine):
    machine.switch("repair_fails", "rebuildhttpdconf")
    view = machine.view()
    told = cpanel.repair(view, cpanel.detect(view))
    assert [(f.id, f.severity, f.subject) for f in told] == [("panel.native", "blocker", "cpanel command rebuildhttpdconf")]


def test_a_checkpoint_holds_what_a_restore_changes(machine):
    view = machine.view()
    asked = cpanel.checkpoint(view, cpanel.detect(view))
    assert {"/var/cpanel/users", "/etc/valiases", "/var/named", "/etc/shadow", "/home/alice/etc"} <= set(asked["paths"])
    assert asked["databases"] == asked["data"] == ["alice_blog", "alice_shop", "carol_wp", "legacydb"]
    # what is not there is named as well: a restore may make it
    assert {"/var/cpanel/suspended", "/home/bob/etc"} <= set(asked["paths"]) and not machine.at("/var/cpanel/suspended").exists()


def test_a_full_archive_reaches_into_homes_and_one_of_settings_to_those_that_it_makes(machine, tmp_path):
    for mode, here, gone in (("full", ["/home/alice", "/home/bob"], ["/home/carol"]), ("settings", [], ["/home/carol"])):
        made = run(machine, tmp_path / mode, mode=mode)
        fresh = host.install(tmp_path / ("fresh-" + mode), {user: told for user, told in host.ACCOUNTS.items() if user != "carol"})
        with made.opened() as opened:
            assert cpanel.reaches(fresh.view(), cpanel.detect(fresh.view()), opened) == {"paths": gone, "loose": here}


def test_detection_by_files_only(machine, tmp_path):
    assert cpanel.detect(machine.view()) == {"version": "11.122.0.17", "root": "/usr/local/cpanel"}
    os.mkdir(tmp_path / "other")
    assert cpanel.detect(stand_in_run.disk(tmp_path / "other")) is None
    assert cpanel.detect(stand_in_run.disk(machine.root))["version"] == "11.122.0.17"


def test_a_disk_gives_inventory_and_archives_that_the_same_verification_takes(machine, tmp_path, monkeypatch):
    disk, query = stand_in_run.disk(machine.root), stand_in_run.Query(machine)
    found = cpanel.detect(disk)
    before = cpanel.inventory(disk, found, query)
    assert before["objects"] == look(machine)["objects"]
    made = stand_in_run.rescued(cpanel, machine, tmp_path / "exports", before)
    # rows come from a database that was started cold: without its dumps they are missing, and named
    assert any("database alice_shop: nothing that could dump it" in line for line in made.made["said"])
    assert {s for _i, s in made.told()} == {"cpanel database %s" % name for name in ("alice_blog", "alice_shop", "carol_wp", "legacydb")}
    made = stand_in_run.rescued(cpanel, machine, tmp_path / "more", before, monkeypatch)
    assert (made.verdict, made.findings) == ("proven", [])
    assert stand_in_run.leaked(host.SECRETS, machine, made) == []
    # and restorepkg takes them
    fresh = host.install(tmp_path / "fresh", {})
    with made.opened() as opened:
        assert cpanel.restore(fresh.view(), cpanel.detect(fresh.view()), opened, made.lines.append)["rc"] == 0
    assert _inventory.compare(before, look(fresh)) == []


def test_the_panels_own_dumps_are_sources_that_say_what_they_lack(machine):
    for day in ("2026-11-20", "2026-11-21"):
        machine.write("/backup/%s/accounts/alice.tar.gz" % day, b"x")
    machine.write("/backup/2026-11-22/accounts/readme", b"x")
    told = cpanel.daily(machine.view(), {})
    assert [entry["path"] for entry in told] == ["/backup/2026-11-21/accounts", "/backup/2026-11-20/accounts"]
    assert all(entry["made"] and "1 accounts" in entry["holds"] and "second factors" in entry["lacks"] for entry in told)


def test_links_in_a_home_lead_nowhere(machine, tmp_path):
    """A customer puts links where root reads: nothing behind them may come into the inventory or the export, nor be written through them."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    (outside / "shadow").write_text("root:$6$stolen$hash:1::::::\n")
    etc = machine.at("/home/alice/etc")
    os.symlink(outside, etc / "evil.example")
    os.unlink(etc / "shop.example" / "shadow")
    os.symlink(outside / "shadow", etc / "shop.example" / "shadow")
    found = look(machine)
    assert not [name for name in found["objects"]["mailbox"] if name.startswith("root")]
    assert found["objects"]["mailbox"]["ann@shop.example"]["password"] == ""
    made = run(machine, tmp_path)
    with tarfile.open(os.path.join(made.path, "home-alice.tar")) as archive:
        held = {m.name: m for m in archive}
        assert "etc/shop.example/shadow" not in held and not any("evil" in name for name in held)
        assert not any(b"stolen" in archive.extractfile(m).read() for m in held.values() if m.isfile())
    os.symlink(outside, etc / "blog.example.new")
    os.rename(etc / "blog.example", etc / "blog.example.old")
    os.rename(etc / "blog.example.new", etc / "blog.example")
    with pytest.raises(IntactError):
        _homes.put_back(machine.view(), "/home/alice", os.path.join(made.path, "home-alice.tar"), (os.getuid(), os.getgid()))
    assert sorted(os.listdir(outside)) == ["passwd", "shadow"] and "root" in (outside / "passwd").read_text()


def test_a_customer_cannot_fill_or_stop_an_export_of_settings(machine, tmp_path):
    etc = machine.at("/home/alice/etc")
    with open(etc / "huge", "wb") as handle:
        handle.truncate(_homes.LARGEST + 1)
    os.mkfifo(etc / "waits")
    deep = etc
    for _number in range(_homes.DEEPEST + 3):
        deep = deep / "d"
    deep.mkdir(parents=True)
    made = run(machine, tmp_path)
    assert made.verdict == "proven"
    left = [line for line in made.made["said"] if "left out" in line]
    assert any("etc/huge" in line and "MiB" in line for line in left) and any("too deep" in line for line in left)
    assert os.path.getsize(os.path.join(made.path, "home-alice.tar")) < 1 << 20


def test_a_tar_that_was_tampered_with_stays_below_the_home(machine, tmp_path):
    path = tmp_path / "home.tar"
    with tarfile.open(path, "w") as archive:
        for name in ("../escaped", "/escaped", "etc/../../escaped", "etc/fine"):
            info = tarfile.TarInfo(name)
            info.size, info.mode = 1, 0o4755
            archive.addfile(info, io.BytesIO(b"x"))
        link = tarfile.TarInfo("etc/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc"
        archive.addfile(link)
    assert _homes.put_back(machine.view(), "/home/alice", str(path), (os.getuid(), os.getgid())) == 1
    fine = machine.at("/home/alice/etc/fine")
    assert fine.stat().st_mode & 0o7777 == 0o755 and not (machine.root / "escaped").exists() and not machine.at("/home/escaped").exists()
    assert not machine.at("/home/alice/etc/link").exists()
