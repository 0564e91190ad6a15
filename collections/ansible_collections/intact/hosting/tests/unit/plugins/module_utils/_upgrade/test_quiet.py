# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keeping others still, and letting them go again."""

from __future__ import annotations

import subprocess

from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _quiet


def test_policy_forbids_starting_only_what_is_fragile(tmp_path):
    previous = tmp_path / "previous"
    previous.write_text("#!/bin/sh\nexit 42\n")
    previous.chmod(0o755)
    for text, expected in ((_quiet.policy("f", ["dovecot"]), 0), (_quiet.policy("f", ["dovecot"], str(previous)), 42)):
        script = tmp_path / "policy"
        script.write_text(text)
        for words, status in (
            (["dovecot", "start"], 101),
            (["--quiet", "dovecot.service", "restart"], 101),
            (["dovecot", "try-restart"], 101),
            (["dovecot", "stop"], expected),
            (["nginx", "start"], expected),
        ):
            assert subprocess.run(["sh", str(script)] + words, check=False).returncode == status, words


def test_fragile_are_only_services_that_get_new_configuration():
    path = {"fragile_services": [{"service": "dovecot", "package": "dovecot-core", "configuration": "/etc/dovecot", "reason": "r"}]}
    assert _quiet.fragile(path, {"target_files_cover": ["/etc/dovecot/dovecot.conf"]}, lambda name: "2.3") == ["dovecot"]
    assert _quiet.fragile(path, {"target_files_cover": ["/etc/dovecotx"]}, lambda name: "2.3") == []
    assert _quiet.fragile(path, {"target_files_cover": ["/etc/dovecot/dovecot.conf"]}, lambda name: None) == []
