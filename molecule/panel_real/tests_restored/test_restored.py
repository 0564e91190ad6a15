# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What came back is what there was, by other eyes than the project's: through two upgrades of Debian, on a fresh host, in servers, in an instance."""

from __future__ import annotations

import json

import looking
import pytest
import unseen
from looking import eyes, result

# Mailman's schemas, as Debian 11, 12 and 13 have them.
SCHEMAS = {"lists11-mailman-exported": "2b73fbcc97c9", "lists11-mailman-bookworm": "98224512c9c2", "lists11-mailman-trixie": "8cc1f79f4459"}
SCHEMAS["fresh13-mailman-restored"] = SCHEMAS["lists11-mailman-trixie"]
RESTORED = [("fresh13", "mailman"), ("fresh13", "postfixadmin"), ("servers12", "mailman"), ("servers12", "postfixadmin"), ("servers12", "modoboa")]
STEPS = ["checkpoint", "import", "repair", "check", "compare", "commit"]


def steps(told):
    """[(stage, result)] of the last attempt in a restore's journal."""
    last = max(number for number, event in enumerate(told["journal"]) if event["event"] == "flight.open")
    return [(event["stage"], event["result"]) for event in told["journal"][last:] if event["event"] == "stage.end"]


@pytest.mark.parametrize("name", ["lists11-mailman-bookworm", "lists11-mailman-trixie", "fresh13-mailman-restored"])
def test_lists_are_what_they_were_on_debian_11(name):
    before, after = eyes("lists11-mailman-exported"), eyes(name)
    assert before["sound"] == after["sound"] == "ok"
    for what in before:
        if what != "schema":
            assert after[what] == before[what], what
    # it says something
    assert len(before["people"]) > 50 and len(before["lists"]) == 4 and len(before["files"]) == 4
    assert {row[1] for row in before["people"]} >= {1, 2, 3, 4}
    assert "archive_dir: $var_dir/archives" in before["archive"] and "[archiver.prototype]\nenable: yes\n" in before["archive"]


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_schema_is_the_releases_own(name):
    assert eyes(name)["schema"] == SCHEMAS[name]


@pytest.mark.parametrize("name", ["lists11-mailman-trixie", "fresh13-mailman-restored"])
def test_the_driver_sees_no_difference_either(name):
    before, after = result("lists11-mailman-exported.inventory")["objects"], result(name + ".inventory")["objects"]
    assert {kind: sorted(entries) for kind, entries in after.items()} == {kind: sorted(entries) for kind, entries in before.items()}
    for kind, entries in before.items():
        for object_, told in entries.items():
            both = set(told) & set(after[kind][object_])
            assert {key: after[kind][object_][key] for key in both} == {key: told[key] for key in both}, object_


@pytest.mark.parametrize(("host_", "panel"), RESTORED)
def test_check_mode_tells_the_plan_and_changes_nothing(host_, panel):
    told = result("%s-%s-foretold" % (host_, panel))
    assert (told["status"], told["failed"]) == ("would-restore", "")
    assert told["plan"]["source"]["kind"] == "proven" and told["plan"]["changes"] and told["plan"]["checkpoint"]["databases"]
    assert not [event for event in told["journal"] if event["event"] == "flight.open"]
    assert eyes("%s-%s-lost" % (host_, panel)) == eyes("%s-%s-foretold" % (host_, panel))


@pytest.mark.parametrize(("host_", "panel"), RESTORED)
def test_restore_is_a_transaction_from_a_proven_source(host_, panel):
    told = result("%s-%s-restored" % (host_, panel))
    assert told["status"] == "restored" and told["plan"]["source"]["kind"] == "proven"
    assert steps(told) == [(name, "ok") for name in STEPS]
    assert told["journal"][-2]["event"] == "flight.close" and told["journal"][-2]["verdict"] == "intact"
    assert not [f for f in told["findings"] if f["severity"] == "blocker"]


@pytest.mark.parametrize(("host_", "panel"), RESTORED)
def test_a_second_restore_finds_nothing_to_do(host_, panel):
    told = result("%s-%s-again" % (host_, panel))
    assert (told["status"], told["failed"], told["plan"]["changes"]) == ("unchanged", "", [])


def test_the_fresh_host_had_no_lists_and_no_domains():
    assert not eyes("fresh13-mailman-lost").get("lists") and not eyes("fresh13-postfixadmin-lost").get("domain")


def test_postfixadmin_is_equal_by_sql_on_debian_13():
    before, after = eyes("files12-postfixadmin-exported"), eyes("fresh13-postfixadmin-restored")
    assert before == after and len(before["mailbox"]) == 4 and ["version", "1847"] in [row[1:] for row in before["config"]]


@pytest.mark.parametrize("panel", ["mailman", "postfixadmin"])
def test_what_was_lost_in_a_server_is_back_and_what_came_later_is_gone_by_sql(panel):
    before, lost, after = (eyes("servers12-%s-%s" % (panel, when)) for when in ("exported", "lost", "restored"))
    assert "junk" in lost and "junk" not in after
    assert sorted(before) == sorted(after)
    assert [table for table in before if before[table] != after[table]] == []
    changed = {"mailman": ["mailinglist", "member"], "postfixadmin": ["domain", "mailbox"]}[panel]
    assert all(before[table] and before[table] != lost[table] for table in changed)


def test_what_only_the_host_has_is_not_lost_without_somebodys_word():
    told = result("servers12-postfixadmin-refused")
    assert told["status"] == "rolled-back" and "later.example.com" in told["failed"]
    assert [name for name, said in steps(told) if said == "ok"] == ["checkpoint", "import", "repair", "check", "rollback"]
    assert "postfixadmin domain later.example.com" in [f["subject"] for f in told["findings"] if f["severity"] == "blocker"]
    before, after = eyes("servers12-postfixadmin-later"), eyes("servers12-postfixadmin-refused")
    assert before == after and "junk" in after and "later.example.com" in str(after["domain"])


def test_modoboa_is_equal_by_sql_in_another_instance():
    before, after = eyes("files12-modoboa-exported"), eyes("servers12-modoboa-restored")
    assert sorted(before) == sorted(after)
    assert [table for table in before if before[table] != after[table]] == []
    assert [row[1] for row in before["admin_alias"] if row[1].endswith("@catch.test") and row[1].startswith(("@", "'"))] == ["@catch.test"]


def test_modoboas_own_import_makes_another_alias_of_the_catch_all_and_says_nothing():
    assert result("modoboa-import") == ["domains 0", "identities 0", "the second export is the first"]
    before, after = result("files12-modoboa-exported.inventory")["objects"], result("servers12-modoboa-imported.inventory")["objects"]
    assert "@catch.test" in before["mail_alias"] and "@catch.test" not in after["mail_alias"] and "'@catch.test" in after["mail_alias"]
    assert before["customer"]["bob@lists.test"]["first_name"] == "=Eq" and after["customer"]["bob@lists.test"]["first_name"] == "'=Eq"
    assert before["domain"]["relay.test"]["type"] == "relaydomain" and after["domain"]["relay.test"]["type"] == "domain"


@pytest.mark.parametrize("name", ["lists11", "fresh13", "servers12"])
def test_the_service_runs_and_tells_the_lists(host, short, name):
    if short != name:
        pytest.skip("it is on %s" % name)
    assert host.service("mailman3").is_running
    told = host.check_output("runuser -u list -- mailman lists -q").split()
    assert sorted(told) == ["announce@club.example.org", "empty@club.example.org", "news@lists.example.com", "staff@lists.example.com"]
    assert "reader07@example.net" in host.check_output("runuser -u list -- mailman members news@lists.example.com")


def test_the_upgraded_host_is_debian_13_and_whole(host, short):
    if short != "lists11":
        pytest.skip("it is lists11")
    assert host.check_output("cat /etc/debian_version").startswith("13.")
    assert host.check_output("dpkg --audit") == ""


@pytest.mark.parametrize(("name", "panels"), [("lists11", ["mailman"]), ("servers12", ["mailman", "postfixadmin"])])
def test_preflight_takes_young_exports_and_no_old_ones(name, panels):
    assert {(f["id"], f["severity"], f["subject"]) for f in result(name + "-pf34-young")} == {("panel.proven", "info", panel) for panel in panels}
    old = result(name + "-pf34-old")
    assert {(f["id"], f["severity"], f["subject"]) for f in old} == {("panel.unproven", "blocker", panel) for panel in panels}
    assert all("hours old" in f["evidence"] for f in old), old


def test_checkpoints_are_there_and_only_roots(host, short):
    if short not in dict(RESTORED):
        pytest.skip("nothing was restored here")
    places = host.check_output("ls -d /var/lib/intact/panel/restores/*/attempt-*/checkpoint").split()
    assert len(places) >= 2
    assert host.check_output("find /var/lib/intact -perm /077 ! -path '*/attempt-*/*' | head") == ""
    # taken off again
    assert not host.file("/var/lib/intact/panel/.restore-credentials").exists


def test_nothing_secret_is_seen_in_arguments_journals_logs_or_files_for_everybody(host, short):
    found = looking.seek(short, looking.texts())
    assert not found, found
    assert len(json.dumps(host.check_output("cat /run/lab-witness"))) > 1000


def test_the_search_finds_what_is_planted_for_it(decoys):
    assert decoys == unseen.expected()


def test_the_controller_was_told_nothing_secret():
    found = looking.on_controller(looking.texts())
    assert not found, found
    log = looking.LOG.read_text(encoding="utf-8")
    for line in ("TASK [intact.hosting.panel_restore : Apply | Restore the panel's settings, or leave everything as it was]", "panel_restore_result"):
        assert line in log
