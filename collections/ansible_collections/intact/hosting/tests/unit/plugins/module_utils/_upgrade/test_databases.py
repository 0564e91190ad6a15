# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Databases: a clean stop is proved, clusters are read."""

from __future__ import annotations

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _databases

CLEAN = (
    "[Note] InnoDB: Starting shutdown...\n"
    "[Note] Shutdown completed; log sequence number 5661450; transaction id 48\n"
    "[Note] /usr/sbin/mariadbd: Shutdown complete\n"
)


@pytest.mark.parametrize(
    ("log", "clean"),
    [
        (CLEAN, True),
        ("Starting MariaDB 10.11 as process 77\n/usr/sbin/mariadbd: ready for connections.\n" + CLEAN, True),
        (CLEAN + "Starting MariaDB as process 9\n", False),
        ("InnoDB: Starting shutdown...\n", False),
        ("", False),
        (CLEAN.split("\n", 2)[0] + "\nmariadbd: Shutdown complete\n", False),
        ("Shutdown completed; log sequence number 1\n", False),
    ],
)
def test_a_clean_stop_is_told_from_the_log(log, clean):
    assert _databases.clean_stop(log) is clean
