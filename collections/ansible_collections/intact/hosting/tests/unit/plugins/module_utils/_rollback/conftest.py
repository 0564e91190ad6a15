# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures for what really goes back."""

from __future__ import annotations

import os

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._command import which
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._rollback.rollback_disk import Disk


@pytest.fixture
def disk(tmp_path):
    lacking = [program for program in ("mkfs.btrfs", "btrfs", "losetup", "findmnt") if not which(program)]
    if os.getuid() or lacking:
        pytest.skip("a real btrfs needs root and %s" % (", ".join(lacking) or "btrfs-progs"))
    with open("/proc/filesystems", encoding="ascii") as handle:
        if "btrfs" not in handle.read().split():
            pytest.skip("this kernel has no btrfs")
    made = Disk(tmp_path)
    try:
        yield made.make()
    finally:
        made.close()
