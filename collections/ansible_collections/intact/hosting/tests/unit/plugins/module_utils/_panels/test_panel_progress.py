# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an operator sees of an export that works for hours, and what stays of it."""

from __future__ import annotations

import json
import os
import stat
import time

from ansible_collections.intact.hosting.plugins.module_utils._panels import _export, _progress, _run
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels import acme_fixture as acme

SECRET = "hunter2-planted"


def document(root):
    with open("%s/acme/.progress.json" % root) as handle:
        return json.load(handle)


def test_while_a_panel_is_silent_bytes_count_on_and_what_it_says_is_there_without_secrets(tmp_path):
    root, heard = str(tmp_path / "panel"), []
    with _export.begin("acme", "full", root) as work, _progress.Progress(work, heard.append, every=0.02) as progress:
        progress.stage("the panel exports")
        path = os.path.join(root, "acme", ".progress.json")
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        with open(work.target + "/part", "wb") as handle:
            handle.write(b"x" * 5000)
        deadline = time.monotonic() + 20
        while document(root)["bytes"] < 5000:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        progress("account 2 of 3: password=%s\nmore" % SECRET)
        told = document(root)
        assert (told["status"], told["stage"], told["mode"], told["pid"], told["export"]) == ("running", "the panel exports", "full", os.getpid(), work.ident)
        assert _progress.running("acme", root) == told
    assert heard[-1] == "acme: account 2 of 3: password=***\\x0amore"
    assert document(root)["status"] == "failed" and _progress.running("acme", root) is None


def test_one_that_was_killed_does_not_work_any_more(tmp_path):
    root = str(tmp_path / "panel")
    with _export.begin("acme", "full", root) as work:
        os.makedirs(root + "/acme", exist_ok=True)
        with open(root + "/acme/.progress.json", "w") as handle:
            json.dump({"status": "running", "export": work.ident, "pid": 4194304 + 1}, handle)
        assert _progress.running("acme", root) is None
    assert _progress.running("none", root) is None


def test_a_run_tells_its_stages_its_end_and_its_last_lines(tmp_path):
    system, driver, heard = acme.host(tmp_path / "host"), acme.driver(), []
    export = driver.export

    def chatty(system, found, mode, target, say):
        for number in range(30):
            say("account %d; token: %s" % (number, SECRET))
        return export(system, found, mode, target, say)

    driver.export = chatty
    outcome = _run.export(system, driver, driver.detect(system), _run.Settings(root=str(tmp_path / "panel")), heard.append)
    told = document(tmp_path / "panel")
    assert (told["status"], told["verdict"], told["stage"]) == ("ended", "proven", "") and told["ended"] >= told["began"]
    assert len(outcome.lines) == _progress.KEPT and outcome.lines[-1] == "proven" and outcome.told()["lines"] == outcome.lines
    stages = ["room and quiet", "the inventory is taken", "the panel exports", "the export is stored", "the export is read back", "proven"]
    assert [line for line in heard if "account" not in line] == ["acme: " + stage for stage in stages]
    assert SECRET not in json.dumps([heard, told, outcome.told()])
    driver.export = lambda *given: 1 / 0
    _run.export(system, driver, driver.detect(system), _run.Settings(root=str(tmp_path / "panel")))
    assert document(tmp_path / "panel")["status"] == "failed"


def test_an_export_does_not_depend_on_anybody_being_told(tmp_path, monkeypatch):
    system, driver = acme.host(tmp_path / "host"), acme.driver()
    monkeypatch.setattr(_progress._progress, "write_document", lambda *given: (no for no in ()).throw(OSError(28, "No space left on device")))
    outcome = _run.export(system, driver, driver.detect(system), _run.Settings(root=str(tmp_path / "panel")))
    assert outcome.verdict == "proven"
