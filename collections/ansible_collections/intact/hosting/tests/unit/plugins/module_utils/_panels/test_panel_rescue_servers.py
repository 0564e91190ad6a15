# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rescue from the disk of a killed server, for panels whose dumps come from a real server that is started cold on it."""

from __future__ import annotations

import os
import shutil
import tempfile

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import _asking, _copies, _rescue, _run, _sqltext, _verify, postfixadmin
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels import accounts_lab, old_disk, panel_server, sqlpanels_fixture
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels.test_postfixadmin import CONFIG, FILES

pytestmark = pytest.mark.skipif(bool(panel_server.missing()), reason=panel_server.missing() or "-")


@pytest.fixture(scope="module", autouse=True)
def _template():
    yield
    panel_server.forget()


@pytest.fixture
def top():
    made = tempfile.mkdtemp(prefix="intact-panel-")
    os.chmod(made, 0o711)
    yield made
    shutil.rmtree(made)


def disk_of(top, server, files):
    disk = old_disk.OldDisk(top + "/disk")
    disk.take(server)
    for path, text in dict({"/etc/passwd": "root:x:0:0::/root:/bin/sh\n", "/etc/hostname": "old1\n"}, **files).items():
        disk.write(path, text)
    disk.lock()
    return disk


def test_a_panel_of_one_database_on_a_disks_server_is_rescued(top):
    server = panel_server.HostServer(top).make()
    server.sql("CREATE DATABASE pfa")
    server.sql(sqlpanels_fixture.recorded("postfixadmin-mysql.sql").decode(), "pfa")
    people = server.sql("SELECT username FROM mailbox ORDER BY 1", "pfa").split()
    local = "<?php\n$CONF['database_type'] = 'mysqli';\n$CONF['database_name'] = 'pfa';\n"
    disk = disk_of(top, server, dict(FILES, **{"/etc/postfixadmin/config.inc.php": CONFIG, "/etc/postfixadmin/config.local.php": local}))
    try:
        before = disk.state()
        outcome = _rescue.from_disk(postfixadmin, disk.root, _run.Settings(root=top + "/panel"), top + "/scratch")
        assert outcome.verdict == "proven", outcome.findings
        with _verify.Opened(outcome.path) as opened:
            assert people and sorted(opened.inventory()["objects"]["mailbox"]) == people
            with open(opened.files["postfixadmin.sql"], "rb") as handle:
                assert sorted(row["username"] for row in _sqltext.rows(handle, {"mailbox"})["mailbox"]) == people
        assert disk.state() == before and os.stat(outcome.path + "/postfixadmin.sql").st_mode & 0o077 == 0
    finally:
        disk.unlock()


def test_a_server_that_does_not_open_is_named_and_one_of_another_kind_too(top):
    os.makedirs(top + "/disk/etc")
    with _asking.Disk(_rescue.view_of(top + "/disk"), top + "/work") as query:
        with pytest.raises(IntactError, match="no data of a MySQL or MariaDB"):
            _copies.rescued(None, {"engine": "mysql", "name": "pfa", "port": ""}, top + "/x.sql", query, "PostfixAdmin")
        with pytest.raises(IntactError, match="PostfixAdmin's database is in PostgreSQL pfa: only a MariaDB"):
            _copies.rescued(None, {"engine": "postgresql", "name": "pfa", "port": ""}, top + "/x.sql", query, "PostfixAdmin")
    with pytest.raises(IntactError, match="no server was started"):
        _copies.rescued(None, {"engine": "mysql", "name": "pfa", "port": ""}, top + "/x.sql", lambda *given: [], "PostfixAdmin")


@pytest.mark.parametrize("panel", ["cpanel", "directadmin"])
def test_accounts_with_all_their_databases_are_rescued(top, panel):
    lab = accounts_lab.Lab(panel).make()
    disk = old_disk.OldDisk(top + "/disk")
    try:
        wanted = lab.inventory()["objects"]
        shutil.rmtree(disk.root)
        shutil.copytree(lab.root, disk.root, symlinks=True)
        disk.take(lab.server)
        disk.lock()
        before = disk.state()
        outcome = _rescue.from_disk(lab.driver, disk.root, _run.Settings(root=top + "/panel"), top + "/scratch")
        assert outcome.verdict == "proven", outcome.findings
        with _verify.Opened(outcome.path) as opened:
            objects = opened.inventory()["objects"]
        assert objects["database"] == wanted["database"] and objects["database_user"].keys() == wanted["database_user"].keys()
        assert any(entry["rows"] == "some" for entry in objects["database"].values()) and disk.state() == before
    finally:
        disk.unlock()
        lab.close()
