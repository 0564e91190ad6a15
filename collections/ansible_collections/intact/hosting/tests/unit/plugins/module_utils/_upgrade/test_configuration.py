# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The operator's configuration for the target."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _configuration, _host


def test_target_files_take_the_place_keep_the_mode_and_leave_a_copy(bench, tmp_path):
    bench.keep = lambda path, group: _host.Host.keep(bench, path, group)
    host, live, staging = bench, tmp_path / "live", tmp_path / "staging"
    target = str(live)
    os.makedirs(str(staging) + target)
    live.mkdir()
    (live / "secret.conf").write_text("old")
    (live / "secret.conf").chmod(0o640)
    (live / "conf.d").mkdir()
    (live / "conf.d" / "old.conf").write_text("2.3")
    for name in ("secret.conf", "new.conf"):
        with open(str(staging) + target + "/" + name, "w", encoding="utf-8") as handle:
            handle.write("2.4")
    installed, removed = _configuration.install(host, str(staging), [str(live) + "/conf.d/*"])
    assert (sorted(os.path.basename(p) for p in installed), [os.path.basename(p) for p in removed]) == (["new.conf", "secret.conf"], ["old.conf"])
    assert (live / "secret.conf").read_text() == "2.4"
    assert (live / "secret.conf").stat().st_mode & 0o777 == 0o640
    assert Path(host.backups + "/target-files" + target + "/secret.conf").read_text() == "old"
    assert Path(host.backups + "/target-files" + target + "/conf.d/old.conf").read_text() == "2.3"
    assert _configuration.install(host, str(staging), [str(live) + "/conf.d/*"]) == ([], [])


def test_a_daemon_that_refuses_its_new_configuration_stops_the_flight():
    host = SimpleNamespace(
        package_version=lambda name: "2.4", run=lambda argv, **m: SimpleNamespace(rc=89, error="doveconf: Fatal: Unknown setting: x", text="")
    )
    checks = [{"name": "dovecot", "detect": ["dovecot-core"], "command": ["doveconf", "-n"], "configuration": "/etc/dovecot"}]
    with pytest.raises(_host.StageFailure, match=r"dovecot does not accept.*Unknown setting"):
        _configuration.check(host, checks, ["/etc/dovecot/dovecot.conf"])
    _configuration.check(host, checks, ["/etc/nginx/nginx.conf"])
