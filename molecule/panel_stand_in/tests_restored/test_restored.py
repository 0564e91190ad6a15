# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A restore tells its plan in check mode; killed half-way it is found by its journal and undone first; then it brings back what was lost, and nothing else."""

from __future__ import annotations

import json

import pytest
import unseen

JOURNAL = "/var/lib/intact/panel/restores/obsidian/journal.jsonl"
# addresses, aliases of domains and customers, as they stand in the panel's tables
SEEN = {
    "mail": "SELECT CONCAT(m.mail_name, '@', d.name) FROM mail m JOIN domains d ON d.id = m.dom_id",
    "aliases": "SELECT CONCAT(a.alias, '@', d.name) FROM mail_aliases a JOIN mail m ON m.id = a.mn_id JOIN domains d ON d.id = m.dom_id"
    " WHERE a.alias <> 'later'",
    "domainaliases": "SELECT name FROM domainaliases",
    "customers": "SELECT CONCAT(login, ' ', email) FROM clients",
}


@pytest.fixture
def journal(on):
    host = on("obsidian12")
    return [json.loads(line) for line in host.check_output("cat " + JOURNAL).splitlines()]


def test_check_mode_tells_the_plan_and_changes_nothing(said, result, worlds):
    told = said("restore-check")
    assert told.rc == 0, told.text[-3000:]
    plan = told.module("obsidian12", "plan")
    assert (plan["status"], plan["changed"], plan["plan"]["source"]["kind"]) == ("would-restore", True, "proven")
    assert plan["plan"]["checkpoint"]["databases"] == ["mariadb:psa"] and "/etc/psa" in plan["plan"]["checkpoint"]["paths"]
    rows = worlds["obsidian12"].tables
    names = {row["id"]: row["name"] for row in rows["domains"]}
    lost = ["plesk mailbox %s@%s" % (row["mail_name"], names[row["dom_id"]]) for row in rows["mail"] if int(row["id"]) <= 4 and row["postbox"] == "true"]
    told_of = [line.rpartition(": ")[0] for line in plan["plan"]["changes"]]
    assert lost and set(lost) <= set(told_of) and "plesk domain_alias " + rows["domainaliases"][0]["name"] in told_of
    assert [line for line in plan["plan"]["only_here"] if line.startswith("plesk mail_alias later@")]
    assert result("restore-check-before") == result("restore-check-after")


def test_the_module_was_killed_in_the_middle_and_the_import_went_on_without_it(said, result):
    told = said("restore-killed")
    assert told.rc != 0 and not [entry for entry in told.of("obsidian12") if entry.get("status") == "restored"]
    assert result("restore-killed-look")["tables"] != result("restore-before")["tables"]
    assert result("orphan") != []


def test_check_mode_then_says_that_it_would_be_undone_first(said):
    told = said("restore-cut-check").module("obsidian12", "recovered")
    assert told["recovered"] == [{"id": "obsidian", "status": "would-roll-back"}]


def test_the_next_start_undoes_it_whatever_it_is_asked(said, result):
    told = said("restore-recovered")
    assert told.rc != 0 and "there is no source no-such-export" in told.text
    assert result("restore-recovered-look") == result("restore-before")


def test_what_the_import_left_running_is_ended(on):
    assert on("obsidian12").run("pgrep -f '[p]lesk bin pleskrestore'").rc == 1


def test_then_it_restores(said):
    told = said("restore-done")
    assert told.rc == 0, told.text[-3000:]
    done = told.module("obsidian12", "plan")
    assert (done["status"], done["changed"], done["recovered"]) == ("restored", True, [])


def test_once_more_changes_nothing(said):
    told = said("restore-again")
    assert told.rc == 0, told.text[-3000:]
    done = told.module("obsidian12", "plan")
    assert (done["status"], done["changed"]) == ("unchanged", False)


def test_every_step_is_in_the_journal(journal):
    steps = [(event["event"], event.get("stage"), event.get("result") or event.get("verdict")) for event in journal]
    shown = [step for step in steps if step[0] in ("flight.open", "stage.start", "stage.end", "flight.close")]
    ends = [step for step in shown if step[0] != "stage.start"]
    first = [
        ("flight.open", None, None),
        ("stage.end", "checkpoint", "ok"),
        ("stage.end", "rollback", "ok"),
        ("flight.close", None, "rolled-back"),
        ("flight.open", None, None),
        *[("stage.end", stage, "ok") for stage in ("checkpoint", "import", "repair", "check", "compare")],
        ("flight.close", None, "intact"),
        ("stage.end", "commit", "ok"),
    ]
    assert ends == first
    # the import of the first try began and has no end
    assert shown[3] == ("stage.start", "import", None) and shown[4] == ("stage.start", "rollback", None)
    notes = [event["text"] for event in journal if event["event"] == "note"]
    assert "obsidian was cut: everything is put back first" in notes and [line for line in notes if "of the import outlived it and is ended" in line]
    why = [event["why"] for event in journal if event["event"] == "decision"]
    assert len(why) == 2 and all("is taken: every check passes now" in line for line in why)


@pytest.mark.parametrize("what", sorted(SEEN))
def test_what_was_lost_is_back_by_sql(on, worlds, what):
    rows = worlds["obsidian12"].tables
    names = {row["id"]: row["name"] for row in rows["domains"]}
    mail = {row["id"]: row for row in rows["mail"]}
    wanted = {
        "mail": ["%s@%s" % (row["mail_name"], names[row["dom_id"]]) for row in rows["mail"]],
        "aliases": ["%s@%s" % (row["alias"], names[mail[row["mn_id"]]["dom_id"]]) for row in rows["mail_aliases"]],
        "domainaliases": [row["name"] for row in rows["domainaliases"]],
        "customers": ["%s %s" % (row["login"], row["email"]) for row in rows["clients"]],
    }[what]
    seen = on("obsidian12").check_output('mariadb -BN psa -e "%s"' % SEEN[what]).splitlines()
    assert sorted(seen) == sorted(wanted) != []


def test_what_only_this_host_had_is_still_there(on):
    assert on("obsidian12").check_output("mariadb -BN psa -e \"SELECT COUNT(*) FROM mail_aliases WHERE alias = 'later'\"") == "1"


def test_no_credentials_are_left(on):
    host = on("obsidian12")
    assert not host.file("/var/lib/intact/panel/.restore-credentials").exists
    assert host.check_output("stat -c '%U %a' /var/lib/intact/panel /var/lib/intact/panel/restores").split("\n") == ["root 700"] * 2


def test_no_secret_is_seen(on, sought):
    host = on("obsidian12")
    assert sought() == []
    # the witness saw what it was there for
    assert "gpg --batch" in host.check_output("cat /run/lab-witness")


def test_the_search_finds_what_is_laid_for_it(on, decoys):
    on("obsidian12")
    assert decoys() == unseen.expected()


def test_the_controller_was_told_no_secret(on_the_controller):
    assert on_the_controller == []
