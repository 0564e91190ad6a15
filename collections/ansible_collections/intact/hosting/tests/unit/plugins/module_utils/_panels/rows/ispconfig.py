# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ISPConfig in the matrix. It has no export program: what can be bad is the database server's dump, and what becomes of files."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._panels import ispconfig
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels import panel_matrix as matrix
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels.panel_matrix import Cell, Unfit
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels.rows import damage, meanwhile, staged

from stand_ins import ispconfig as panel  # isort: skip (found by staged)
from stand_ins import kit  # isort: skip

on = staged.on
DUMP, OWN = "db_dbispconfig.sql", "database dbispconfig"


def bench(folder):
    return staged.bench(folder, ispconfig, panel)


CELLS = {
    matrix.INTACT: (Cell(), Cell(mode="settings")),
    matrix.TRUNCATED: (
        # whatever stood behind the cut is missing as well
        Cell([("panel.dump.incomplete", OWN)], ".", after=damage.cut(DUMP, 0.99)),
        Cell([("panel.dump.incomplete", OWN), ("panel.object.missing", "customer ann")], ".", after=damage.cut(DUMP, 0.05), mode="settings"),
        Cell([("panel.export.truncated", "file settings.tar.gz")], after=damage.cut("settings.tar.gz")),
        Cell([("panel.export.failed", "file db_c2wiki.sql")], after=damage.gone("db_c2wiki.sql")),
    ),
    matrix.FLIPPED: (
        Cell([("panel.export.corrupt|panel.export.truncated", "file keys.tar.gz")], after=damage.flip("keys.tar.gz")),
        Cell([("panel.object.changed", "customer ann")], after=damage.flip(DUMP, b"$1$planted$clientHash','Ann"), mode="settings"),
    ),
    matrix.MISSING: (
        Cell(
            [("panel.object.missing", "mailbox bob@bob.example")],
            after=damage.text(DUMP, ",\n('2','3','bob@bob.example'", ";\n-- ('2','3','bob@bob.example'"),
        ),
        Cell([("panel.object.missing", "ftp_user annftp")], after=damage.text(DUMP, "`ftp_user`", "`ftp_uses`"), mode="settings"),
    ),
    matrix.EMPTY: (
        Cell([("panel.dump.empty", OWN), ("panel.object.missing", "mailbox info@shop.example")], ".", before=on("mysql-dump-silent", "dbispconfig")),
        Cell([("panel.dump.incomplete", "database c1shop")], "database c1shop", before=on("mysql-dump-nothing", "c1shop")),
        Cell([("panel.dump.empty", "database c1shop")], before=on("mysql-dump-silent", "c1shop")),
    ),
    matrix.INNER: Cell([("panel.export.truncated", "file settings.tar.gz*")], after=damage.inner("settings.tar.gz"), mode="settings"),
    matrix.STALE: Unfit("ISPConfig has no export and so no manifest of one: the dump is made of its live tables and is read in the same run"),
    matrix.FOREIGN: Unfit("a dump of its database is all there is, and no dump program signs what it writes"),
    matrix.FULL: (
        Cell([("panel.dump.incomplete", OWN), ("panel.said", OWN)], ".", before=on("mysql-dump-full", "dbispconfig")),
        Cell([("panel.space", "*")], before=meanwhile.no_room, made=False),
    ),
    matrix.BUSY: Cell([("panel.busy", "export")], before=lambda here: kit.process(staged.root(here), 77, "php", "update.php"), made=False),
    matrix.WARNING: Cell(before=on("mysql-dump-warning")),
    matrix.REFUSED: (
        Cell([("panel.database.refused", "database")], before=on("mysql-refused"), made=False),
        # it breaks off in the middle
        Cell([("panel.dump.incomplete", "database c1shop"), ("panel.said", "database c1shop")], before=on("mysql-dump-broken", "c1shop")),
    ),
    matrix.OMITTED: Cell(
        [("panel.object.missing", "customer bob")], r"\bbob\b|c2wiki", after=damage.text(DUMP, ",\n('2','bob',", ";\n-- ('2','bob',"), mode="settings"
    ),
    matrix.ALTERED: Cell(
        [("panel.object.changed", "mail_alias office@shop.example")],
        after=damage.text(DUMP, "'office@shop.example','info@", "'office@shop.example','nobody@"),
        mode="settings",
    ),
}
