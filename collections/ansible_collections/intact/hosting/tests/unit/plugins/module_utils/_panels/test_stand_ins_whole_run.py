# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The whole way of an export, encrypted, over each stand-in: proven, restorable, private on the disk, and without a planted secret anywhere outside of it."""

from __future__ import annotations

import datetime
import json
import os
import shutil
import stat

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._panels import _inventory, _registry, _run, _verify, cyberpanel, hestiacp, ispconfig, virtualmin
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels import export_fixture as made
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels import stand_in_fixture as fixture
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels.stand_in_fixture import Stage, kit, mariadb

from stand_ins import cyberpanel as play_cyberpanel  # isort: skip (found once the fixture is imported)
from stand_ins import hestiacp as play_hestiacp  # isort: skip
from stand_ins import ispconfig as play_ispconfig  # isort: skip
from stand_ins import virtualmin as play_virtualmin  # isort: skip

PANELS = {
    "hestiacp": (hestiacp, play_hestiacp),
    "virtualmin": (virtualmin, play_virtualmin),
    "cyberpanel": (cyberpanel, play_cyberpanel),
    "ispconfig": (ispconfig, play_ispconfig),
}
gpg = pytest.mark.skipif(not shutil.which("gpg"), reason="gpg is not installed: exports are not encrypted here")


@pytest.fixture(params=sorted(PANELS))
def case(request, tmp_path):
    """(driver, stage, planted secrets, settings of an encrypted full export)."""
    driver, play = PANELS[request.param]
    root = str(tmp_path / "host")
    os.makedirs(root)
    play.install(root)
    settings = _run.Settings(mode="full", root=root + "/var/lib/intact/panel", passphrase_file=made.passphrase(tmp_path))
    stage = Stage(root)
    # here the programs are processes, as on a host
    stage.apart = True
    return driver, stage, play.SECRETS, settings


@gpg
def test_an_encrypted_export_is_proven_private_and_restorable(case):
    driver, stage, secrets, settings = case
    found, told = driver.detect(stage), []
    assert [module.NAME for module, _found in _registry.detected(stage)] == [driver.NAME]
    outcome = _run.export(stage, driver, found, settings, told.append)
    assert (outcome.verdict, [f.id for f in outcome.findings if f.severity == "blocker"]) == ("proven", []) and outcome.document["met"] == "stand-in"
    said = json.dumps([[f.as_dict() for f in outcome.findings], outcome.document, told, stage.started], default=str)
    assert fixture.unspoken(said, secrets) == []
    for folder, folders, names in os.walk(outcome.path):
        for name in folders + names:
            path = os.path.join(folder, name)
            assert not os.stat(path).st_mode & (stat.S_IRWXG | stat.S_IRWXO), path
            if name in names:
                with open(path, "rb") as handle:
                    assert fixture.unspoken(handle.read().decode("latin-1"), secrets) == [], path
    with _verify.Opened(outcome.path, settings.passphrase_file) as opened:
        inventory = opened.inventory()
        assert driver.restore(stage, found, opened, told.append)["rc"] == 0
    assert _inventory.compare(inventory, driver.inventory(stage, found)) == []
    assert fixture.unspoken(json.dumps([told, stage.started]), secrets) == []


def test_a_file_that_is_damaged_after_the_export_is_red(case):
    driver, stage, _secrets, settings = case
    settings.passphrase_file, settings.mode = "", "settings"
    outcome = _run.export(stage, driver, driver.detect(stage), settings)
    name = next(entry["stored"]["name"] for entry in outcome.document["files"] if entry["role"] in ("artefact", "dump"))
    path = os.path.join(outcome.path, name)
    with open(path, "rb") as handle:
        whole = handle.read()
    for data, ident in ((kit.flipped(whole), "panel.export.corrupt"), (whole[:-9], "panel.export.truncated")):
        with open(path, "wb") as handle:
            handle.write(data)
        _document, findings, verdict = _run.verify(driver, outcome.path)
        assert verdict == "failed" and (ident, "%s file %s" % (driver.NAME, name)) in [(f.id, f.subject) for f in findings]


def test_a_busy_or_refusing_panel_gets_no_export(case):
    driver, stage, _secrets, settings = case
    settings.passphrase_file = ""
    kit.switch(fixture.kit_root(stage), "mysql-refused")
    outcome = _run.export(stage, driver, driver.detect(stage), settings)
    assert not outcome.made and [f.id for f in outcome.findings if f.severity == "blocker"] == ["panel.database.refused"]


def test_what_a_customer_removes_while_the_panel_exports_is_no_loss(case):
    driver, stage, _secrets, settings = case
    settings.passphrase_file, settings.mode = "", "settings"
    root, found, first = fixture.kit_root(stage), driver.detect(stage), []

    def removed(line):
        """A customer is quicker than the export."""
        if first or not line.endswith("the panel exports"):
            return
        first.append(line)
        if driver is hestiacp:
            path = "/usr/local/hestia/data/users/alice/mail/example.test.conf"
            kit.put(root, path, "".join(one for one in kit.text(root, path).splitlines(True) if "ACCOUNT='ann'" not in one))
        elif driver is virtualmin:
            path = "/etc/postfix/virtual"
            kit.put(root, path, "".join(one for one in kit.text(root, path).splitlines(True) if not one.startswith("sales@")))
        else:
            table, database = ("mail_forwarding", "dbispconfig") if driver is ispconfig else ("e_forwardings", "cyberpanel")
            mariadb.change(root, database, "DELETE FROM %s" % table)

    outcome = _run.export(stage, driver, found, settings, removed, datetime.datetime(2026, 11, 22, tzinfo=datetime.timezone.utc))
    assert first and (outcome.verdict, [f.subject for f in outcome.findings if f.severity == "blocker"]) == ("proven", [])
    assert outcome.document["later"]
