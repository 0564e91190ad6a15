# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The first words with a repository: what they find, what did not work, and that nothing is backed up before they are through."""

from __future__ import annotations

import threading
import time

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._backup import _greet
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._backup.restic_fixture import FakeRestic


class Vault(FakeRestic):
    def __init__(self, raises=None):
        super().__init__("vault")
        self.raises, self.order, self.may = raises, [], threading.Event()

    def unlock_stale(self):
        assert self.may.wait(10)
        if self.raises:
            raise self.raises
        self.order.append("unlocked")
        return [], []

    def snapshots(self, tags=(), host=""):
        self.order.append("asked")
        return super().snapshots(tags, host)


def greet(vault):
    greeting = _greet.Greeting(vault, "web1", time.time)
    vault.may.set()
    return greeting.wait()


def test_dead_locks_first_then_the_newest_snapshot():
    vault = Vault()
    vault.newest = ["2999-01-01T00:00:00.123456789Z"]
    findings, error = greet(vault)
    assert vault.order == ["unlocked", "asked"] and error == ""
    assert [finding.id for finding in findings] == ["backup.clock"]


def test_what_does_not_work_is_a_sentence():
    assert greet(Vault(IntactError("no way"))) == ([], "vault: no way")


def test_what_nobody_expected_is_raised_for_the_one_who_waits():
    with pytest.raises(ZeroDivisionError):
        greet(Vault(ZeroDivisionError()))
