# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""restore_run, started again under one restore_id."""

from __future__ import annotations

import os
import shutil
from types import SimpleNamespace

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._backup import _arguments, _identity, _restore
from ansible_collections.intact.hosting.plugins.modules import restore_run
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._backup import readback_fixture as fake
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._backup import restore_fixture as fixture


@pytest.fixture
def host(tmp_path, monkeypatch):
    """A tree that was backed up and is lost."""
    top, etc = tmp_path / "host" / "www", tmp_path / "etc"
    (top / "shop").mkdir(parents=True)
    (top / "shop" / "index").write_text("backup")
    os.utime(top / "shop" / "index", (1, 1))
    etc.mkdir()
    for name in _identity.FILES:
        (etc / name).touch()
    source = fake.Memory("near")
    fixture.back_up(source, tmp_path / "store", "files", top)
    monkeypatch.setattr(_arguments, "source", lambda _given, _params: source)
    monkeypatch.setattr(_restore.Restore, "_by_device", lambda _self, paths: {str(tmp_path): paths})
    monkeypatch.setattr(_restore, "Restore", lambda *given, f=_restore.Restore: f(*given, etc=str(etc)))
    shutil.rmtree(top)
    return SimpleNamespace(top=top, restores=tmp_path / "restores", source=source)


def start(call_module, host, **more):
    repository = {"name": "near", "url": "sftp:x@y.example.com:/z", "password_file": "/x"}
    given = {"restore_id": "r", "restores_dir": str(host.restores), "host": "web1", "repository": repository, "select": {"paths": [str(host.top)]}}
    return call_module(restore_run.main, **dict(given, **more))


def test_an_id_belongs_to_one_question(host, call_module):
    assert start(call_module, host)["changed"]
    shutil.rmtree(host.top)
    other = start(call_module, host, select={"paths": [str(host.top / "shop")]})
    assert other["failed"] and "r was begun with other sites, select or system_paths: take another restore_id" in other["msg"]
    assert not host.top.exists()


def test_check_mode_of_a_restore_that_is_done_changes_nothing(host, call_module):
    assert start(call_module, host, check=True)["changed"]
    assert start(call_module, host)["changed"]
    assert not start(call_module, host, check=True)["changed"] and not start(call_module, host)["changed"]


def test_what_the_plan_told_is_told_again(host, call_module):
    first = start(call_module, host, select={}, system_paths=["/etc/none"])
    fixture.back_up(host.source, host.restores / "store", "system", files=fixture.names(["/etc"], "/etc/x"))
    wanted = [("restore.path.unknown", "/etc/none")]
    for _time in range(2):
        result = start(call_module, host, restore_id="s", select={}, system_paths=["/etc/none"])
        assert [(f["id"], f["subject"]) for f in result["findings"]] == wanted
    assert [f["subject"] for f in first["findings"]] == ["/etc/none"]


@pytest.mark.parametrize(
    ("stopped", "words"), [([], "where it was"), (["a.service"], "; a.service is stopped until then"), (["a", "b"], "; a, b are stopped until then")]
)
def test_a_cut_names_what_is_down(stopped, words):
    assert restore_run.again(SimpleNamespace(stopped=stopped)).endswith(words)
    assert restore_run.again(None).endswith("where it was")
