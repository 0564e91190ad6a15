# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Log rotation's dry run, with the real logrotate."""

from __future__ import annotations

import os
import shutil

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._baseline import rotation
from ansible_collections.intact.hosting.plugins.module_utils._baseline._system import System
from ansible_collections.intact.hosting.tests.unit.plugins.fake_system import FakeSystem


@pytest.fixture
def configured(tmp_path, monkeypatch):
    """A function that writes one file of configuration and gives what the real logrotate says of all."""
    if os.geteuid() != 0 or not shutil.which("logrotate", path=os.environ["PATH"] + ":/usr/sbin"):
        pytest.skip("needs root and logrotate")
    logs = tmp_path / "logs"
    logs.mkdir(mode=0o755)
    (logs / "shop.log").write_text("x")
    main = tmp_path / "logrotate.conf"
    main.write_text("include %s/d\n" % tmp_path)
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "shop").write_text("%s/shop.log %s/more.log {\n weekly\n missingok\n}\n" % (logs, logs))
    for path in (tmp_path / "d" / "shop", main):
        path.chmod(0o644)
    monkeypatch.setattr(rotation, "CONFIGURATION", str(main))

    def capture(**files):
        for name, text in files.items():
            (tmp_path / "d" / name).write_text(text)
            (tmp_path / "d" / name).chmod(0o644)
        return rotation.capture(System())

    capture.logs = logs
    return capture


def test_a_file_that_the_new_logrotate_refuses(configured):
    good = configured()
    assert {"log %s/shop.log" % configured.logs, "log %s/more.log" % configured.logs} == set(good["items"]) and good["summary"] == {"logs": 2, "errors": 0}
    assert configured() == good
    bad = configured(broken="/var/log/broken.log {\n weekly\n nosuchword\n}\n")
    found = rotation.compare(good, bad)
    assert found and {(f.id, f.severity, f.check) for f in found} == {("rotation.error", "warning", "QF40")}
    assert any("nosuchword" in f.evidence for f in found)
    assert rotation.compare(bad, configured()) == [], "what was so before is nobody's news"


def test_a_log_that_is_not_there_and_may_not_miss(configured):
    good = configured()
    found = rotation.compare(good, configured(gone="%s/gone.log {\n daily\n}\n" % configured.logs))
    assert len(found) == 1 and "gone.log" in found[0].subject
    # so that a mount that is not there explains it
    assert "%s/gone.log" % configured.logs in found[0].details["paths"]


def test_new_packages_rotate_other_logs():
    def host(text):
        return FakeSystem(commands={"logrotate -d": (0, "", text)}, files={rotation.CONFIGURATION: "x"})

    old = rotation.capture(host("rotating pattern: /var/log/php8.2-fpm.log  weekly (12 rotations)\n"))
    new = rotation.capture(host("rotating pattern: /var/log/php8.4-fpm.log /var/log/x  1048576 bytes (12 rotations)\n"))
    assert set(new["items"]) == {"log /var/log/php8.4-fpm.log", "log /var/log/x"}
    assert rotation.compare(old, new) == []
    broken = rotation.capture(host("error: /etc/logrotate.d/php:3 unknown option 'x' -- ignoring line\nerror: found error in file php, skipping\n"))
    found = rotation.compare(old, broken)
    assert [f.subject for f in found] == ["/etc/logrotate.d/php unknown option 'x' -- ignoring line"]
    assert "not rotated any more: /var/log/php8.2-fpm.log" in found[0].evidence


def test_without_logrotate_there_is_nothing_to_look_at():
    assert rotation.capture(FakeSystem()) is None
