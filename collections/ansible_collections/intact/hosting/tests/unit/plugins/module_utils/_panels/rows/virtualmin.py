# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Virtualmin in the matrix."""

from __future__ import annotations

import os

from ansible_collections.intact.hosting.plugins.module_utils._panels import virtualmin
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels import panel_matrix as matrix
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels.panel_matrix import Cell, Unfit
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels.rows import meanwhile, staged

from stand_ins import kit  # isort: skip (found by staged)
from stand_ins import virtualmin as panel  # isort: skip

on = staged.on


def bench(folder):
    return staged.bench(folder, virtualmin, panel)


def running(here):
    kit.process(staged.root(here), 79, "/usr/bin/perl", "/usr/share/webmin/virtual-server/restore-domain.pl")


def no_sidecars(here, outcome):
    """The panel's own test believes these when they are newer than the archive: they say that a cut one is whole."""
    assert not [name for name in os.listdir(outcome.path) if name.endswith((".info", ".dom"))]


CUT = [("panel.export.truncated", "domain sub.example.com"), ("panel.native", "domain sub.example.com")]
CELLS = {
    matrix.INTACT: (Cell(), Cell(mode="settings")),
    matrix.TRUNCATED: Cell(CUT, r"sub\.example\.com", before=on("truncated", "sub.example.com")),
    matrix.FLIPPED: Cell([("panel.export.corrupt|panel.export.truncated", "domain other.test")], "other", before=on("flipped", "other.test")),
    matrix.MISSING: (
        Cell([("panel.object.missing", "domain other.test")], before=on("missing", "other.test")),
        Cell([("panel.object.missing", "domain_alias example.org")], before=on("missing", "example.org")),
        Cell([("panel.dump.incomplete", "database shop")], before=on("missing", "db:shop")),
    ),
    matrix.EMPTY: (
        Cell([("panel.dump.incomplete", "database shop")], before=on("empty-dump", "shop")),
        Cell([("panel.dump.empty", "database shop")], before=on("mysql-dump-silent", "shop")),
    ),
    matrix.INNER: Cell([("panel.export.truncated", "domain example.com")], before=on("inner", "example.com")),
    matrix.STALE: Cell(
        [("panel.export.truncated", "domain example.com"), ("panel.native", "domain example.com")],
        r"example|shop",
        before=on("truncated", "example.com"),
        then=no_sidecars,
    ),
    matrix.FOREIGN: Unfit("Virtualmin's archives are not signed: with --key it encrypts them, which is another thing and not what an export asks for"),
    matrix.FULL: (
        Cell([("panel.export.failed", "export"), ("panel.said", "domain example.com"), ("panel.object.missing", "domain example.com")], ".", before=on("full")),
        Cell([("panel.space", "*")], before=meanwhile.no_room, made=False),
    ),
    matrix.BUSY: Cell([("panel.busy", "export")], before=running, made=False),
    matrix.WARNING: Cell(before=on("warning")),
    matrix.REFUSED: Cell([("panel.database.refused", "database")], before=on("mysql-refused"), made=False),
    # its users are those of mailboxes; of who owns a domain nothing is listed but the domain
    matrix.OMITTED: Cell(
        [("panel.object.missing", "mailbox desk@sub.example.com"), ("panel.export.member", "domain sub.example.com")],
        before=on("missing", "sub.example.com:mail"),
    ),
    matrix.ALTERED: Cell([("panel.object.missing", "mail_alias sales@example.com")], before=on("altered", "sales")),
}
