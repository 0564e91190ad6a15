# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plesk Obsidian in the matrix."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._panels import plesk
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels import panel_matrix as matrix
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels.panel_matrix import Cell
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels.rows import pleskish
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels.rows.pleskish import on

FILE = "file plesk-full.tar"
DESCRIPTION = "!*backup_info_*.xml"


def bench(folder):
    return pleskish.bench(folder, plesk, "18.0.62.2")


CELLS = dict(
    pleskish.cells(FILE, site="domains/{domain}/backup_user-data"),
    **{
        # each description has its day in its name
        matrix.STALE: Cell([("panel.export.stale", FILE + DESCRIPTION), ("panel.object.missing", "*")], ".", before=on(stale="yes")),
        # only its own server can tell, by backup_sign and by --check-backup
        matrix.FOREIGN: Cell([("panel.export.signature", FILE), ("panel.export.signature", FILE + DESCRIPTION)], before=on(foreign="yes")),
        matrix.BUSY: (
            Cell([("panel.busy", "program plesk installer")], before=on(installer_busy="yes"), made=False),
            *pleskish.BUSY,
        ),
    },
)
