# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plesk 8 in the matrix: one MIME stream."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._panels import plesk_old
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels import panel_matrix as matrix
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels.panel_matrix import Cell, Unfit
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels.rows import pleskish
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels.rows.pleskish import on

FILE = "file pleskbackup-full.mime"


def bench(folder):
    return pleskish.bench(folder, plesk_old, "8.6.0")


CELLS = dict(
    pleskish.cells(FILE, site="{domain}.httpdocs"),
    **{
        # dump.xml has no day: what was made since is not in it
        matrix.STALE: Cell([("panel.object.missing", "mailbox *"), ("panel.object.missing", "database *")], ".", before=on(stale="yes")),
        matrix.FOREIGN: Unfit("Plesk binds a backup to its server since 11.5; what an 8 signs is a second multipart around it, which is read to its end"),
        matrix.BUSY: pleskish.BUSY,
    },
)
