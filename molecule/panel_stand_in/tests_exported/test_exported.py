# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check mode tells and writes nothing; then each stand-in's export is proven, made once, closed, and nothing that was planted is seen anywhere."""

from __future__ import annotations

import json

import pytest
import unseen

PANELS = {"obsidian12": "plesk", "hestia13": "hestiacp", "old12": "plesk_old"}
MODES = {"plesk": "settings", "hestiacp": "full", "plesk_old": "settings"}
ROOT = "/var/lib/intact/panel"


@pytest.fixture
def export(on, name):
    """export.json of the host's newest export, and where it is."""
    host = on(*PANELS)
    path = host.check_output("ls -d %s/%s/*-%s | sort | tail -1" % (ROOT, PANELS[name], MODES[PANELS[name]]))
    return dict(json.loads(host.check_output("cat %s/export.json" % path)), path=path)


@pytest.mark.parametrize("short", sorted(PANELS))
def test_check_mode_writes_nothing(result, short):
    before, after = result("check-before-" + short), result("check-after-" + short)
    assert before == after
    # it looked
    assert len(before["tables"]) > 2 and len(before["files"]) > 100


@pytest.mark.parametrize("short", sorted(PANELS))
def test_check_mode_tells_what_would_be_exported(said, short):
    told, panel = said("export-check"), PANELS[short]
    assert told.rc == 0, told.text[-3000:]
    made = told.module(short, "exports")
    assert [(entry["panel"], entry["verdict"], entry["made"]) for entry in made["exports"]] == [(panel, "would-run", False)] and made["changed"]
    assert "+%s: a new %s export" % (panel, MODES[panel]) in told.text


def test_before_the_export_the_pre_flight_of_an_upgrade_is_red_and_says_what_to_do(result):
    (found,) = result("preflight-before")
    assert (found["id"], found["severity"], found["subject"]) == ("panel.unproven", "blocker", "plesk")
    assert "there is no export" in found["evidence"] and "export-panel.yml" in found["remedy"]


def test_the_export_is_proven(export, name):
    panel = PANELS[name]
    assert (export["panel"], export["verdict"], export["met"], export["mode"], export["rc"]) == (panel, "proven", "stand-in", MODES[panel], 0)
    assert [f for f in export["findings"] if f["severity"] == "blocker"] == []
    assert export["host"] == name + ".lab.test" and len(export["host_id"]) == 32
    # a Plesk before 10 has no check of its own
    assert export["native"] == (panel != "plesk_old")


def test_all_objects_are_in_it(export, name, worlds):
    seen = export["objects"]
    if name == "hestia13":
        wanted = {"customer": 3, "domain": 3, "mailbox": 2, "database": 2, "cron_job": 2}
    else:
        rows = worlds[name].tables
        boxes = [row for row in rows["mail"] if row["postbox"] == "true"]
        wanted = {"mailbox": len(boxes), "database": len(rows["data_bases"]), "list": len(rows["MailLists"]), "mail_alias": len(rows["mail_aliases"])}
    assert {kind: seen.get(kind) for kind in wanted} == wanted


def test_a_customer_whom_the_panels_own_list_omits_is_told_and_exported(on, export):
    on("hestia13")
    (found,) = [f for f in export["findings"] if f["severity"] == "warning" and f["subject"] == "hestiacp customer bob"]
    assert found["id"] == "panel.native" and "usermod" in found["remedy"]
    assert [entry["name"] for entry in export["files"] if entry["name"].startswith("bob.")]


def test_it_was_not_made_again(on, name):
    host = on(*PANELS)
    assert host.check_output("ls -d %s/%s/*-%s | wc -l" % (ROOT, PANELS[name], MODES[PANELS[name]])) == "1"


def test_all_of_it_is_encrypted_and_roots(on, export):
    host = on(*PANELS)
    assert host.check_output("find %s ! -user root -o -perm /077" % ROOT) == ""
    assert host.check_output("find %s -type f ! -name '*.gpg' ! -name export.json ! -name '.*'" % ROOT) == ""
    # and not empty words: it opens with the passphrase, and with no other
    stored = max(export["files"], key=lambda entry: entry["stored"]["bytes"])["stored"]["name"]
    command = "gpg --batch --quiet --pinentry-mode loopback --passphrase-file %s --decrypt %s/%s | wc -c"
    assert int(host.check_output(command % ("/etc/intact/panel/passphrase", export["path"], stored))) > 1000
    assert host.run(command % ("/etc/hostname", export["path"], stored)).stdout.strip() == "0"


def test_nothing_is_left_behind(on):
    host = on(*PANELS)
    assert host.check_output("find /var/tmp /tmp /dev/shm -name 'intact-*'") == ""
    assert host.check_output("find %s -name '.*' -type d" % ROOT) == ""


def test_no_secret_is_seen(on, sought):
    host = on(*PANELS)
    assert sought() == []
    # the witness saw what it was there for
    assert "gpg --batch" in host.check_output("cat /run/lab-witness")


def test_the_search_finds_what_is_laid_for_it(on, decoys):
    on(*PANELS)
    assert decoys() == unseen.expected()


def test_the_controller_was_told_no_secret(on_the_controller):
    assert on_the_controller == []
