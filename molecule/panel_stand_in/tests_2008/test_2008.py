# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The case of 2008: the chain ends at the disk, what is rescued verifies, a killed database is rolled back, the second try succeeds; the journal has it all."""

from __future__ import annotations

import json

import pytest
import unseen

JOURNAL = "/var/lib/intact/panel/restores/case-2008/journal.jsonl"
RESCUED = "/var/lib/intact/panel/plesk_old"
TABLES = (
    "clients",
    "domains",
    "mail",
    "mail_aliases",
    "data_bases",
    "db_users",
    "domainaliases",
    "MailLists",
    "dns_recs",
    "Limits",
    "certificates",
    "accounts",
)


@pytest.fixture
def journal(on):
    host = on("new13")
    return [json.loads(line) for line in host.check_output("cat " + JOURNAL).splitlines()]


def test_the_first_try_is_rolled_back_and_says_so(said):
    told = said("case-first")
    assert told.rc != 0 and "nothing was restored (rolled-back)" in told.text or "panel_restore says NO GO" in told.text, told.text[-3000:]
    assert told.module("new13", "journal_path")["status"] == "rolled-back"


def test_then_the_host_is_as_it_was_by_sql_and_by_files(result):
    before, between = result("case-before"), result("case-between")
    assert before == between
    assert len(before["tables"]) > 20 and len(before["files"]) > 3 and len(before["accounts"]) > 2


def test_the_second_try_succeeds(said):
    told = said("case-second")
    assert told.rc == 0, told.text[-3000:]
    done = told.module("new13", "journal_path")
    assert (done["status"], done["changed"], done["plan"]["source"]["kind"]) == ("restored", True, "rescued")


def test_both_exports_and_the_panels_own_dump_are_refused_by_name(said, result):
    older, newer = result("old-exports")
    found = said("case-second").module("new13", "journal_path")["findings"]
    refused = {f["subject"].rpartition(" ")[2]: f for f in found if f["id"] == "panel.source.refused"}
    assert set(refused) == {older, newer, "mysql.daily.dump.0.gz"}
    assert all(f["severity"] == "warning" and f["evidence"] and f["remedy"] for f in refused.values())


def test_what_was_rescued_from_the_disk_verifies(on):
    host = on("new13")
    (path,) = host.check_output("ls -d %s/*-settings" % RESCUED).split()
    told = json.loads(host.check_output("cat %s/export.json" % path))
    assert (told["verdict"], told["rescued"]["kind"], told["rescued"]["root"]) == ("proven", "disk", "/mnt/old")
    assert told["host"] == "old12.lab.test"
    # and it is closed as any export
    assert host.check_output("find %s -type f ! -name '*.gpg' ! -name export.json ! -name '.*'" % RESCUED) == ""


def test_each_step_is_in_the_journal(journal, result):
    steps = ["%s %s" % (event["stage"], event["result"]) for event in journal if event["event"] == "stage.end"]
    first = ["checkpoint ok", "import failed", "rollback ok"]
    assert steps == first + ["%s ok" % stage for stage in ("checkpoint", "import", "repair", "check", "compare", "commit")]
    assert [event["verdict"] for event in journal if event["event"] == "flight.close"] == ["rolled-back", "intact"]
    older, newer = result("old-exports")
    why = [event["why"] for event in journal if event["event"] == "decision"]
    kept = [[line.split(":")[0] for line in why if name in line] for name in (newer, older, "mysql.daily.dump.0.gz")]
    assert all(len(lines) == 2 and all(line.endswith("is refused") for line in lines) for lines in kept), why
    taken = [line for line in why if "is taken: every check passes now" in line]
    assert len(taken) == 2 and taken[0].startswith("disk /mnt/old ") and taken[1].startswith("export that was rescued from a disk ")
    # in the order in which they were tried: the newest first
    assert newer in why[0] and older in why[1]
    notes = [event["text"] for event in journal if event["event"] == "note"]
    assert "the database server does not answer: it is started again" in notes and "mariadb:psa is put back" in notes


@pytest.mark.parametrize("table", TABLES)
def test_the_old_servers_rows_are_there_by_sql(on, worlds, table):
    host = on("new13")
    columns = sorted(set(worlds["old12"].tables[table][0]) - {"cr_date"})
    told = host.check_output("mariadb -BN psa -e 'SELECT HEX(CONCAT_WS(0x1f, %s)) FROM `%s`'" % (", ".join("`%s`" % column for column in columns), table))
    seen = sorted(bytes.fromhex(line).decode() for line in told.split())
    wanted = sorted("\x1f".join(row[column] for column in columns) for row in worlds["old12"].tables[table])
    if table == "clients":
        # the change in the minute before the power went, which no export had
        (late,) = [row for row in seen if "last-minute@example.net" in row]
        (early,) = [row for row in wanted if row not in seen]
        assert late.replace("last-minute@example.net", "") == early.replace(worlds["old12"].tables[table][0]["email"], "")
        seen.remove(late)
        wanted.remove(early)
    assert seen == wanted
    assert len(seen) > 0


def test_the_server_runs_and_its_own_accounts_are_as_they_were(on, result):
    host = on("new13")
    assert host.service("mariadb").is_running
    assert result("case-after")["accounts"] == result("case-before")["accounts"]


def test_not_one_byte_of_the_disk_changed(result):
    before, after = result("disk-before")["files"], result("disk-after")["files"]
    assert before == after and len(before) > 200


def test_nothing_is_left_behind(on):
    host = on("new13")
    assert host.check_output("find /var/tmp /tmp /dev/shm -name 'intact-*'; ls /var/lib/intact-drills") == ""
    assert host.check_output("pgrep -c mariadbd") == "1"
    assert not host.file("/var/lib/intact/panel/.restore-credentials").exists


def test_no_secret_is_seen(on, sought):
    host = on("new13")
    assert sought() == []
    # the witness saw what it was there for
    assert "gpg --batch" in host.check_output("cat /run/lab-witness")


def test_the_search_finds_what_is_laid_for_it(on, decoys):
    on("new13")
    assert decoys() == unseen.expected()


def test_the_controller_was_told_no_secret(on_the_controller):
    assert on_the_controller == []
