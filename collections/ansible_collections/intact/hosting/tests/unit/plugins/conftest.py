# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures that all unit tests share."""

from __future__ import annotations

import json

import pytest

from ansible_collections.intact.hosting.tests.unit.plugins.fake_system import FakeSystem


@pytest.fixture
def fake_system():
    """The FakeSystem class, for tests that would rather not import it."""
    return FakeSystem


@pytest.fixture
def call_module(capsys):
    """call_module(main, check=False, diff=False, **params): run a module's main() and return its JSON result."""
    from ansible.module_utils.testing import patch_module_args

    def call(main, check=False, diff=False, **params):
        args = dict(params, _ansible_check_mode=check, _ansible_diff=diff)
        with patch_module_args(args), pytest.raises(SystemExit):
            main()
        return json.loads(capsys.readouterr().out)

    return call
