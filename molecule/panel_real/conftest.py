# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests before and after the restores share."""

from __future__ import annotations

import pathlib
import sys

import pytest

# pytest imports each file by itself, so that a folder's other modules are not found
sys.path.insert(0, str(pathlib.Path(__file__).parent))

import looking


@pytest.fixture(scope="module")
def short(host):
    return host.check_output("hostname -s")


@pytest.fixture
def decoys(short):
    """A look for texts that were planted for it: {name: {(where it was found, path)}}, on the host and on the controller."""
    return looking.decoys(short)
