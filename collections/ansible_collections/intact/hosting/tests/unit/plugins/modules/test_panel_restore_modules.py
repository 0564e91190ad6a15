# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""panel_restore and panel_rescue as modules, over a real MariaDB: what check mode says is what a run does, and nothing more is written."""

from __future__ import annotations

import os
import shutil
import tempfile

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._panels import _registry, _run
from ansible_collections.intact.hosting.plugins.modules import panel_rescue, panel_restore
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels import fake_panel, old_disk, panel_server, restore_lab

pytestmark = pytest.mark.skipif(bool(panel_server.missing()), reason=panel_server.missing() or "-")


@pytest.fixture(scope="module")
def lab():
    made = restore_lab.Lab().make()
    yield made
    made.close()
    panel_server.forget()


@pytest.fixture
def panel(lab, monkeypatch):
    made = fake_panel.Panel(lab)
    monkeypatch.setattr(_registry, "DRIVERS", (made,))
    return made


@pytest.fixture
def disk(lab):
    made = old_disk.OldDisk(tempfile.mkdtemp(prefix="root-", dir=lab.top))
    made.take_copy(lab.server)
    shutil.copytree(lab.etc, made.root + lab.etc, symlinks=True)
    made.write("/etc/hostname", "old1\n")
    made.lock()
    yield made
    made.unlock()
    shutil.rmtree(made.root)


def restore(call_module, lab, **more):
    given = {"restore_id": "r-1", "dir": lab.top + "/panel", "restores_dir": lab.root, "scratch_dir": lab.top + "/scratch"}
    # what is off is said as well, as the role does
    given.update(mysql_defaults_file=lab.server.options, prove_checkpoint=False, undo=False, force=False, abandon=False)
    return call_module(panel_restore.main, **dict(given, **more))


def rescue(call_module, lab, disk, **more):
    given = {"root": disk.root, "dir": lab.top + "/rescued", "scratch_dir": lab.top + "/scratch"}
    return call_module(panel_rescue.main, **dict(given, **more))


def names(top):
    return sorted(os.path.join(folder, name) for folder, folders, files in os.walk(top) for name in folders + files if "/data/" not in folder)


def test_a_restore_is_foretold_done_found_done_and_undone(call_module, lab, panel):
    _run.export(lab.view, panel, panel.detect(lab.view), _run.Settings(root=lab.top + "/panel"))
    lab.server.sql("DELETE FROM domains WHERE name = 'shop.example.com'; INSERT INTO domains VALUES ('new.example.com', 'zoe')", "panel")
    before, tree = lab.state(), names(lab.top)
    foretold = restore(call_module, lab, check=True, diff=True)
    assert (foretold["changed"], foretold["status"], lab.state(), names(lab.top)) == (True, "would-restore", before, tree)
    assert foretold["diff"]["before"] == "only here: fake domain new.example.com\n"
    assert foretold["diff"]["after"].splitlines()[1:] == ["fake domain shop.example.com comes or becomes another"]
    refused = restore(call_module, lab)
    assert (refused["changed"], refused["status"], lab.state()) == (True, "rolled-back", before)
    assert {f["id"] for f in refused["findings"]} == {"panel.object.missing", "panel.restore.rolled_back"}
    done = restore(call_module, lab, diff=True, accept=["fake domain new.*"])
    assert (done["changed"], done["status"], done["plan"], done["diff"]) == (True, "restored", foretold["plan"], foretold["diff"])
    assert [event["stage"] for event in done["journal"] if event["event"] == "stage.end"][-6:] == "checkpoint import repair check compare commit".split()
    assert os.path.isfile(done["journal_path"])
    for check in (True, False):
        again = restore(call_module, lab, check=check)
        assert (again["changed"], again["status"]) == (False, "unchanged")
    assert restore(call_module, lab, check=True, undo=True)["status"] == "would-undo"
    undone = restore(call_module, lab, undo=True)
    assert (undone["changed"], undone["status"], lab.state()) == (True, "rolled-back", before)
    assert not restore(call_module, lab, undo=True)["changed"]
    told = repr([foretold, refused, done, undone])
    assert fake_panel.SECRET not in told and fake_panel.HASH not in told


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"restore_id": "../x"}, "is no restore's id"),
        ({"keep": 0}, "at least the newest checkpoint stays"),
        ({"panel": "plesk"}, "there is no driver plesk"),
        ({"source": "20200101t000000z-settings"}, "there is no source 20200101t000000z-settings: there are"),
        ({"undo": True, "restore_id": "never-was"}, "nothing to undo"),
        ({"undo": True, "force": True}, "mutually exclusive"),
    ],
)
def test_what_can_not_be_done_says_why_in_one_sentence(call_module, lab, panel, given, words):
    result = restore(call_module, lab, **given)
    assert result["failed"] and words in result["msg"] and not result.get("changed")


def test_a_host_without_a_panel_says_so(call_module, lab, panel, monkeypatch):
    monkeypatch.setattr(panel, "detect", lambda _view: None)
    assert "which panel is meant? on this host there is none of fake" in restore(call_module, lab)["msg"]
    assert "is not on this host: install it first" in restore(call_module, lab, panel="fake")["msg"]


def test_a_disk_is_rescued_once_and_then_known(call_module, lab, panel, disk):
    before, state = names(lab.top), disk.state()
    foretold = rescue(call_module, lab, disk, check=True, diff=True)
    assert (foretold["changed"], foretold["verdict"], names(lab.top)) == (True, "would-run", before)
    assert foretold["disk"]["host"] == "old1" and foretold["disk"]["datadir"] == "/var/lib/mysql"
    done = rescue(call_module, lab, disk, diff=True)
    assert (done["changed"], done["verdict"], done["panel"]) == (True, "proven", "fake") and os.path.isfile(done["path"] + "/export.json")
    assert done["objects"]["domain"] > 0 and done["diff"]["after"] == "fake: %s, proven\n" % done["path"]
    again = rescue(call_module, lab, disk, diff=True)
    assert (again["changed"], again["path"], again["diff"]["before"]) == (False, done["path"], again["diff"]["after"])
    assert rescue(call_module, lab, disk, force=True)["changed"]
    assert disk.state() == state and fake_panel.SECRET not in repr([foretold, done, again])


def test_a_disk_that_is_none_says_so(call_module, lab, panel, disk):
    assert "there is no etc in it" in rescue(call_module, lab, disk, root=lab.top + "/drills")["msg"]
    assert "is this running host" in rescue(call_module, lab, disk, root="/")["msg"]
    disk.unlock()
    os.unlink(disk.root + lab.etc + "/version")
    assert "which panel is meant? on %s there is none" % disk.root in rescue(call_module, lab, disk)["msg"]
    assert "there is no Fake panel on" in rescue(call_module, lab, disk, panel="fake")["msg"]
