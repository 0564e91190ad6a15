# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""PostfixAdmin in the matrix, with the rows of a real 3.3.13. It has no export and no list of its own."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._panels import postfixadmin
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels import panel_matrix as matrix
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels import sqlpanels_fixture as fixture
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels.panel_matrix import Bench, Cell, Unfit
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels.rows import damage, meanwhile

COPY, DATABASE = "postfixadmin.db", "/var/lib/postfixadmin/postfixadmin.db"
LOCAL = "/etc/postfixadmin/config.local.php"
FILES = {
    "/etc/postfixadmin/config.inc.php": "<?php\n$CONF['configured'] = true;\n$CONF['database_tables'] = array ('admin' => 'admin', 'config' => 'config');\n",
    LOCAL: "<?php\n$CONF['database_type'] = 'sqlite';\n$CONF['database_name'] = '%s';\n$CONF['setup_password'] = 'PLANTED:hash';\n" % DATABASE,
    "/usr/share/postfixadmin/public/upgrade.php": "<?php\nfunction upgrade_1847() {}\n",
    "/var/lib/dpkg/status": "Package: postfixadmin\nStatus: installed\nVersion: 3.3.13-1+deb12u1\n",
}


def bench(folder):
    fixture.database(folder / "host", DATABASE, "postfixadmin-sqlite.sql")
    return Bench(postfixadmin, fixture.host(folder / "host", FILES), folder / "exports", secrets=fixture.SECRETS)


def elsewhere(here):
    text = "<?php\n$CONF['database_type'] = 'mysqli'; $CONF['database_host'] = 'db.example.com'; $CONF['database_password'] = 'PLANTED';\n"
    fixture.put(here.system.place("/"), {LOCAL: text})


def unreadable(here):
    with open(here.system.place(DATABASE), "r+b") as handle:
        handle.write(b"no database" * 100)


CELLS = {
    matrix.INTACT: (Cell(mode="settings"), Cell()),
    matrix.TRUNCATED: (
        Cell([("panel.export.corrupt", "database " + COPY)], after=damage.rewritten(COPY, lambda data: data[:-9000])),
        Cell([("panel.export.truncated", "file " + COPY)], after=damage.rewritten(COPY, lambda data: b"")),
    ),
    matrix.FLIPPED: Cell([("panel.object.changed", "mailbox ann@example.com")], after=damage.flip(COPY, b"$6$vF.eI.i17", 1)),
    matrix.MISSING: (
        Cell([("panel.object.missing", "mailbox ann@example.com")], after=damage.sql(COPY, "DELETE FROM mailbox WHERE username = 'ann@example.com'")),
        Cell([("panel.object.missing", "domain empty.example.net")], "empty", after=damage.sql(COPY, "DELETE FROM domain WHERE domain = 'empty.example.net'")),
        Cell([("panel.export.failed", "file etc.tar")], after=damage.gone("etc.tar")),
    ),
    matrix.EMPTY: (
        Cell([("panel.dump.empty", "database " + COPY)], after=damage.blank(COPY)),
        Cell(
            [("panel.object.empty", "mail_alias sales@example.com")],
            after=damage.sql(COPY, "UPDATE alias SET goto = '' WHERE address = 'sales@example.com'"),
        ),
    ),
    matrix.INNER: Cell([("panel.export.truncated", "file etc.tar")], after=damage.cut("etc.tar", 0.1)),
    # facts.json is the export's word of what its copy is
    matrix.STALE: Cell([("panel.export.schema", "database " + COPY)], after=damage.document("facts.json", lambda told: told.update(schema="1800"))),
    matrix.FOREIGN: Unfit("PostfixAdmin has no export of its own, and signs neither its database nor its configuration"),
    matrix.FULL: Cell([("panel.space", "export")], before=meanwhile.no_room, made=False),
    matrix.BUSY: Cell([("panel.busy", "export")], before=meanwhile.locked, made=False),
    matrix.WARNING: Unfit("no program of PostfixAdmin's runs for an export, so that nothing can warn: SQLite copies its own file"),
    matrix.REFUSED: (
        Cell([("panel.database.refused", "database")], before=elsewhere, made=False),
        Cell([("panel.database.refused", "database")], before=unreadable, made=False),
    ),
    matrix.OMITTED: Unfit("PostfixAdmin's command line has no list task: there is no list that could leave somebody out, its rows are the only one"),
    matrix.ALTERED: (
        Cell(
            [("panel.object.missing", "mail_alias @shop.example.org")],
            after=damage.sql(COPY, "UPDATE alias SET address = '''@shop.example.org' WHERE address = '@shop.example.org'"),
        ),
        Cell(
            [("panel.object.changed", "mail_alias sales@example.com")],
            after=damage.sql(COPY, "UPDATE alias SET goto = 'eve@example.com' WHERE address = 'sales@example.com'"),
        ),
    ),
}
