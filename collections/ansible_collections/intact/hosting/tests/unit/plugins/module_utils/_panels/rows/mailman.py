# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Mailman 3 in the matrix, with the rows and the words of a real 3.3.3."""

from __future__ import annotations

import json

from ansible_collections.intact.hosting.plugins.module_utils._panels import mailman
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels import panel_matrix as matrix
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels import sqlpanels_fixture as fixture
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels.panel_matrix import Bench, Cell, Unfit
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels.rows import damage, meanwhile

COPY, DATABASE, NEWS = "mailman.db", "/var/lib/mailman3/data/mailman.db", "list news@lists.example.com"
CONFIG = "/etc/mailman3/mailman.cfg"
FILES = {
    "/usr/bin/mailman": "#!/usr/bin/python3\n",
    "/usr/lib/python3/dist-packages/mailman-3.3.3.egg-info/PKG-INFO": "Version: 3.3.3\n",
    "/etc/mailman3/mailman-hyperkitty.cfg": "[general]\napi_key: PLANTED-hyperkitty\n",
    "/var/lib/mailman3/templates/lists/news.lists.example.com/de/welcome.txt": "Willkommen, $user_name!\n",
}
ONE = "SELECT m.id FROM member m JOIN address a ON a.id = m.address_id WHERE a.email = 'reader03@example.net'"


def bench(folder):
    rest = fixture.Rest(json.loads(fixture.recorded("mailman-3.3.3-rest.json")))
    fixture.database(folder / "host", DATABASE, "mailman-3.3.3.sql")
    system = fixture.host(folder / "host", dict(FILES, **{CONFIG: fixture.recorded("mailman-3.3.3.cfg")}), rest=rest)
    return Bench(mailman, system, folder / "exports", secrets=fixture.SECRETS, close=rest.close)


def silent(here):
    """Its service is down."""
    here.system.rest = None


def elsewhere(here):
    config = fixture.recorded("mailman-3.3.3.cfg").replace(b"sqlite:///$DATA_DIR/mailman.db", b"mysql://mm:PLANTED@db.example.com/mm")
    fixture.put(here.system.place("/"), {CONFIG: config})


def unreadable(here):
    with open(here.system.place(DATABASE), "r+b") as handle:
        handle.write(b"no database" * 100)


def lost(told):
    told["lists"].pop("staff@lists.example.com")


def unsubscribed(told):
    told["lists"]["news@lists.example.com"]["member"].pop()


CELLS = {
    matrix.INTACT: (Cell(mode="settings"), Cell()),
    matrix.TRUNCATED: (
        Cell([("panel.export.corrupt", "database " + COPY)], after=damage.rewritten(COPY, lambda data: data[:-9000])),
        Cell([("panel.export.truncated", "file " + COPY)], after=damage.rewritten(COPY, lambda data: b"")),
        Cell([("panel.export.corrupt", "file rest.json")], after=damage.cut("rest.json")),
    ),
    matrix.FLIPPED: Cell([("panel.export.corrupt", "database " + COPY)], after=damage.flip(COPY, b"second-owner@example.com", 1)),
    matrix.MISSING: (
        Cell(
            [("panel.object.missing", "list empty@club.example.org")],
            "empty@club",
            after=damage.sql(COPY, "DELETE FROM mailinglist WHERE list_name = 'empty'"),
        ),
        Cell([("panel.object.changed", NEWS)], "customer|news@", after=damage.sql(COPY, "DELETE FROM member WHERE id = (%s)" % ONE)),
        Cell(
            [("panel.object.missing", "setting template lists/news.lists.example.com/de/welcome.txt")],
            after=damage.member("etc.tar", "var/lib/mailman3/templates/lists/news.lists.example.com/de/welcome.txt", lambda data: None),
        ),
    ),
    matrix.EMPTY: (
        Cell([("panel.dump.empty", "database " + COPY)], after=damage.blank(COPY)),
        Cell([("panel.object.empty", NEWS)], "list ", after=damage.sql(COPY, "DELETE FROM member WHERE role = 1")),
    ),
    matrix.INNER: Cell([("panel.export.truncated", "file etc.tar")], after=damage.cut("etc.tar")),
    # facts.json is the export's word of what its copy is
    matrix.STALE: Cell([("panel.export.schema", "database " + COPY)], after=damage.document("facts.json", lambda told: told.update(revision="98224512c9c2"))),
    matrix.FOREIGN: Unfit("Mailman has no export of its own, and signs neither its database nor its configuration"),
    matrix.FULL: Cell([("panel.space", "export")], before=meanwhile.no_room, made=False),
    matrix.BUSY: Cell([("panel.busy", "export")], before=meanwhile.locked, made=False),
    # the service that does not answer: its rows are proven all the same
    matrix.WARNING: Cell(warns=[("panel.export.member", "file rest.json")], before=silent),
    matrix.REFUSED: (
        Cell([("panel.database.refused", "database")], before=elsewhere, made=False),
        Cell([("panel.database.refused", "database")], before=unreadable, made=False),
    ),
    matrix.OMITTED: (
        Cell([("panel.object.changed", NEWS)], after=damage.document("rest.json", unsubscribed)),
        Cell([("panel.object.missing", "list staff@lists.example.com")], after=damage.document("rest.json", lost)),
    ),
    matrix.ALTERED: Cell(
        [("panel.object.changed", NEWS)], after=damage.sql(COPY, "UPDATE acceptablealias SET alias = 'zeitun@lists.example.com' WHERE id = 1")
    ),
}
