# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A panel that fails at exit 0 makes the playbook red, and the finding names the object, the host and the next step; a warning beside a good file does not."""

from __future__ import annotations

import json

ROOT = "/var/lib/intact/panel"


def test_an_object_that_is_missing_at_exit_0_is_named(said, result):
    told = said("export-missing")
    assert told.rc != 0
    (found,) = told.blockers("obsidian12")
    assert (found["id"], found["subject"]) == ("panel.object.missing", "plesk mailbox " + result("mailbox"))
    assert found["details"]["host"] == "obsidian12.lab.test" and found["remedy"]
    assert "obsidian12.lab.test: panel_export says NO GO: 1 blocker; first: plesk mailbox %s" % result("mailbox") in told.text


def test_an_archive_that_was_cut_at_exit_0_and_is_listed_as_a_backup_is_named(said):
    found = said("export-missing").blockers("hestia13")
    assert any(f["id"] in ("panel.export.truncated", "panel.export.corrupt") and "alice" in f["subject"] for f in found), found
    assert all(f["details"]["host"] == "hestia13.lab.test" and f["remedy"] for f in found)


def test_a_truncated_backup_is_named(said):
    told = said("export-truncated")
    assert told.rc != 0
    found = told.blockers("obsidian12")
    assert {f["id"] for f in found} & {"panel.export.truncated", "panel.export.corrupt"}, found
    assert all(f["subject"].startswith("plesk ") and f["details"]["host"] == "obsidian12.lab.test" and f["remedy"] for f in found)


def test_a_warning_beside_a_good_file_is_no_failure(said):
    told = said("export-warning")
    assert told.rc == 0, told.text[-3000:]
    for host in ("obsidian12", "hestia13"):
        (made,) = told.module(host, "exports")["exports"]
        assert made["verdict"] == "proven" and made["made"]


def test_the_failed_one_is_kept_to_look_at_and_the_proven_ones_stay(on, name):
    host = on("obsidian12", "hestia13")
    panel, mode = {"obsidian12": ("plesk", "settings"), "hestia13": ("hestiacp", "full")}[name]
    failed = host.check_output("ls -d %s/%s/*.failed" % (ROOT, panel)).split()
    assert len(failed) == 1 and json.loads(host.check_output("cat %s/export.json" % failed[0]))["verdict"] == "failed"
    proven = host.check_output("ls -d %s/%s/*-%s" % (ROOT, panel, mode)).split()
    assert [json.loads(host.check_output("cat %s/export.json" % path))["verdict"] for path in proven] == ["proven", "proven"]


def test_the_pre_flight_is_green_with_a_proven_export_and_red_when_it_rots(result):
    proven, rotten, mended = (result("preflight-" + name) for name in ("proven", "rotten", "mended"))
    assert [f for f in proven + mended if f["severity"] == "blocker"] == [] and {f["subject"] for f in proven} == {"plesk"}
    (found,) = rotten
    assert (found["id"], found["severity"], found["subject"]) == ("panel.unproven", "blocker", "plesk")
    assert "plesk-settings.tar" in found["evidence"] and "export-panel.yml" in found["remedy"]
