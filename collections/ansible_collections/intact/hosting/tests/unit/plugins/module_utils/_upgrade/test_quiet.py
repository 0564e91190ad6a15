# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keeping others still, and letting them go again."""

from __future__ import annotations

import subprocess
from types import SimpleNamespace

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _host, _quiet


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


@pytest.fixture
def host(places, monkeypatch):
    """A host whose policy and cron jobs lie below places.path."""
    top = places.path / "host"
    top.mkdir()
    monkeypatch.setattr(_quiet, "POLICY", str(top / "policy-rc.d"))
    monkeypatch.setattr(_quiet, "CRON_JOBS", (str(top / "apticron"),))
    monkeypatch.setattr(_quiet, "POSTGRESQL", str(top / "none" / "createcluster.d"))
    monkeypatch.setattr(_host.Host, "systemctl", lambda self, *words, **more: SimpleNamespace(rc=0, text=""))
    monkeypatch.setattr(_host.Host, "wait_for_dpkg", lambda self: None)
    made = _host.Host(places.directory, str(places.path), places.memory())
    made.policy, made.cron = top / "policy-rc.d", top / "apticron"
    return made


def attempt(host):
    """One attempt that is given up before the point of no return."""
    _quiet.quiet(host, "f-1", ["dovecot"])
    assert _quiet.MARK in host.policy.read_text()
    assert not host.cron.exists()
    # The same once more, as after a cut.
    _quiet.quiet(host, "f-1", ["dovecot"])
    _quiet.loud(host)
    host.memory.forget()


def test_each_attempt_gives_back_what_it_found(host):
    for policy, cron in (("first", "one"), ("second", "two"), (None, "three"), ("third", "three")):
        for path, text in ((host.policy, policy), (host.cron, cron)):
            path.write_text("#!/bin/sh\n# %s\nexit 0\n" % text)
            if text is None:
                path.unlink()
        attempt(host)
        assert host.cron.read_text().splitlines()[1] == "# " + cron
        assert (host.policy.read_text().splitlines()[1] == "# " + policy) if policy else not host.policy.exists()


def test_a_policy_that_is_gone_is_not_asked_either(host):
    host.policy.write_text("#!/bin/sh\nexit 0\n")
    attempt(host)
    host.policy.unlink()
    _quiet.quiet(host, "f-1", ["dovecot"])
    assert "exec" not in host.policy.read_text()
