# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""CyberPanel in the matrix. Its program ends with 0 whatever happened."""

from __future__ import annotations

import os

from ansible_collections.intact.hosting.plugins.module_utils._panels import cyberpanel
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels import panel_matrix as matrix
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels.panel_matrix import Cell, Unfit
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels.rows import damage, staged

from stand_ins import cyberpanel as panel  # isort: skip (found by staged)
from stand_ins import kit, mariadb  # isort: skip

on = staged.on
SITE, ARCHIVE = "shop.example", "backup-shop.example-*.tar.gz"
GONE = [("panel.object.missing", "domain " + SITE), ("panel.said", "domain " + SITE)]
AT_WORK = ("/usr/local/CyberCP/bin/python", "/usr/local/CyberCP/plogical/backupUtilities.py", "startBackup")


def bench(folder):
    return staged.bench(folder, cyberpanel, panel)


def sql(statement):
    return lambda here: mariadb.change(staged.root(here), "cyberpanel", statement)


def yesterdays(here):
    """No archive is made, and the one of the day before lies there."""
    here.system.run([cyberpanel.PROGRAM, "createBackup", "--domainName", SITE])
    place = "%s/home/%s/backup" % (staged.root(here), SITE)
    for name in os.listdir(place):
        os.utime(os.path.join(place, name), (1700000000, 1700000000))
    here.switch("stale", SITE)


CELLS = {
    matrix.INTACT: (Cell(), Cell(mode="settings")),
    matrix.TRUNCATED: (
        Cell([("panel.export.truncated", "domain " + SITE)], r"shop", before=on("truncated", SITE)),
        Cell([("panel.export.schema", "domain " + SITE)], before=on("broken-meta", SITE)),
    ),
    matrix.FLIPPED: Cell([("panel.export.corrupt|panel.export.truncated", "domain " + SITE)], r"shop", before=on("flipped", SITE)),
    matrix.MISSING: (
        Cell([("panel.dump.incomplete", "database shop_db")], before=on("missing", "db:shop_db")),
        Cell(GONE, before=on("missing", SITE)),
        Cell([("panel.export.member", "domain " + SITE)], before=on("no-meta", SITE)),
    ),
    matrix.EMPTY: (
        Cell([("panel.dump.incomplete", "database shop_db")], before=on("mysql-dump-nothing", "shop_db")),
        Cell([("panel.dump.empty", "database shop_db")], before=on("mysql-dump-silent", "shop_db")),
        # it goes on after a dump that failed
        Cell([("panel.dump.incomplete", "database shop_db"), ("panel.said", "domain " + SITE)], before=on("mysql-dump-broken", "shop_db")),
    ),
    matrix.INNER: Cell([("panel.export.truncated", "domain " + SITE)], r"shop", after=damage.inner(ARCHIVE)),
    matrix.STALE: Cell(GONE, before=yesterdays),
    matrix.FOREIGN: Unfit("CyberPanel's archives are not signed: meta.xml in them is what a restore believes, and it is held against the rows"),
    matrix.FULL: (
        # the sentence about it goes to a file that is called %s
        Cell(GONE, before=on("full", SITE)),
        Cell(
            [("panel.space", "domain " + SITE)],
            before=sql("UPDATE websiteFunctions_websites SET config = '{\"DiskUsage\": 99999999999}' WHERE domain = '%s'" % SITE),
            made=False,
        ),
    ),
    matrix.BUSY: Cell([("panel.busy", "export")], before=lambda here: kit.process(staged.root(here), 77, *AT_WORK), made=False),
    matrix.WARNING: Cell(before=on("warning")),
    matrix.REFUSED: Cell([("panel.database.refused", "database")], before=on("mysql-refused"), made=False),
    matrix.OMITTED: (
        Cell(warns=[("panel.native", "mailbox info@" + SITE)], before=on("omits", "info@" + SITE)),
        Cell(warns=[("panel.native", "domain " + SITE)], before=on("omits", SITE)),
    ),
    # meta.xml is written as ASCII, and what is not is dropped
    matrix.ALTERED: (
        Cell(
            [("panel.object.missing", "domain_alias bücher.test")],
            before=sql("UPDATE websiteFunctions_aliasdomains SET aliasDomain = 'bücher.test'"),
        ),
        Cell([("panel.object.changed", "forward sales@" + SITE)], after=damage.text("db_cyberpanel.sql", "boss@else.example", "eve@else.example")),
    ),
}
