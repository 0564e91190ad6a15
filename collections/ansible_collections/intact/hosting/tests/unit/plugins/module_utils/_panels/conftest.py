# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What all tests of panels have in common."""

from __future__ import annotations

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._panels import _crypt

COUNT = "16777216"


@pytest.fixture(scope="session", autouse=True)
def _quick_passphrases():
    """A passphrase is stretched for some 50 ms each time it is used, which is what it is for, and most of what these tests would do."""
    before = _crypt.ENCRYPT
    # how often is part of the contract: lower, and guessing is cheap
    assert before[before.index("--s2k-count") + 1] == COUNT
    _crypt.ENCRYPT = [word if word != COUNT else "65536" for word in before]
    yield
    _crypt.ENCRYPT = before
