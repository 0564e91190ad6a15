# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Modoboa in the matrix, with the rows and the CSV of a real 2.12.0, which alters a catch-all alias on its way out."""

from __future__ import annotations

import re

from ansible_collections.intact.hosting.plugins.module_utils._panels import modoboa
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels import panel_matrix as matrix
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels import sqlpanels_fixture as fixture
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels.panel_matrix import Bench, Cell, Unfit
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels.rows import damage, meanwhile

COPY, CSV = "modoboa.db", "identities.csv"
ROOT, DATABASE = "/srv/modoboa/instance", "/srv/modoboa/modoboa.db"
KEY = "6!9z-PLANTED-secret-key"
SETTINGS = """
SECRET_KEY = '%s'
INSTALLED_APPS = ('modoboa', 'modoboa.core')
DATABASES = {'default': {'ENGINE': 'django.db.backends.%s', 'NAME': '%s', 'USER': 'm', 'PASSWORD': 'PLANTED-db', 'HOST': '%s', 'PORT': ''}}
"""
FILES = {
    ROOT + "/manage.py": "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'instance.settings')\n",
    ROOT + "/instance/settings.py": SETTINGS % (KEY, "sqlite3", DATABASE, ""),
    ROOT + "/.env": "OIDC_RSA_PRIVATE_KEY=PLANTED\n",
    "/srv/modoboa/env/bin/python": "",
    "/srv/modoboa/env/lib/python3.11/site-packages/modoboa-2.12.0.dist-info/METADATA": "",
    "/srv/modoboa/dkim/lists.test.pem": "PLANTED signing key",
}
IDENTITIES = fixture.recorded("modoboa-2.12.0-identities.csv")
# what the CSV's quoting makes of cells that begin with = + - @, on every export
QUOTED = ("mail_alias @catch.test", "customer bob@lists.test", "customer chef@catch.test")


def bench(folder):
    fixture.database(folder / "host", DATABASE, "modoboa-2.12.0.sql")
    said = {("export", "domains"): fixture.recorded("modoboa-2.12.0-domains.csv"), ("export", "identities"): IDENTITIES}
    system = fixture.host(folder / "host", FILES, said=said)
    return Bench(modoboa, system, folder / "exports", secrets=fixture.SECRETS)


def warned(here):
    here.system.said[("export", "identities")] = (0, IDENTITIES, b"RemovedInDjango60Warning: the default for URLField.assume_scheme changes")


def elsewhere(here):
    fixture.put(here.system.place("/"), {ROOT + "/instance/settings.py": SETTINGS % (KEY, "mysql", "modoboa", "db.example.com")})


def unreadable(here):
    with open(here.system.place(DATABASE), "r+b") as handle:
        handle.write(b"no database" * 100)


CELLS = {
    matrix.INTACT: (Cell(mode="settings"), Cell()),
    matrix.TRUNCATED: (
        Cell([("panel.export.corrupt", "database " + COPY)], after=damage.rewritten(COPY, lambda data: data[:-9000])),
        Cell([("panel.export.truncated", "file " + COPY)], after=damage.rewritten(COPY, lambda data: b"")),
        Cell([("panel.export.truncated", "file " + CSV)], "alias", after=damage.rewritten(CSV, lambda data: data[:-9])),
    ),
    matrix.FLIPPED: (
        Cell([("panel.object.missing", "mail_alias sales@lists.test")], "sales", after=damage.flip(COPY, b"sales@lists.test", 1)),
        Cell([("panel.object.changed", "customer ann@lists.test")], after=damage.flip(CSV, b"70000$Cz6", 1)),
    ),
    matrix.MISSING: (
        Cell(
            [("panel.object.missing", "mailbox plain@catch.test")], "plain@catch", after=damage.sql(COPY, "DELETE FROM admin_mailbox WHERE address = 'plain'")
        ),
        # the keys belong to it (R6)
        Cell([("panel.key.missing", "setting SECRET_KEY")], ".", after=damage.member("keys.tar", ROOT[1:] + "/instance/settings.py", lambda data: None)),
    ),
    matrix.EMPTY: (
        Cell([("panel.dump.empty", "database " + COPY)], after=damage.blank(COPY)),
        Cell([("panel.export.truncated", "file " + CSV)], ".", after=damage.rewritten(CSV, lambda data: b"")),
        Cell([("panel.dump.empty", "file " + CSV)], ".", after=damage.rewritten(CSV, lambda data: b"\r\n\r\n")),
    ),
    matrix.INNER: Cell([("panel.export.truncated", "file keys.tar")], after=damage.cut("keys.tar", 0.4)),
    # facts.json is the export's word of what its copy is
    matrix.STALE: Cell(
        [("panel.export.schema", "database " + COPY)], after=damage.document("facts.json", lambda told: told["schema"].update(webmail="0001_old"))
    ),
    matrix.FOREIGN: Unfit("Modoboa signs nothing that it exports: two CSV files, and neither a sum nor a signature with them"),
    matrix.FULL: (
        Cell([("panel.space", "export")], before=meanwhile.no_room, made=False),
        # what its program wrote when it could not write
        Cell(
            [("panel.export.truncated", "file " + CSV)],
            ".",
            before=lambda here: here.system.said.update({("export", "identities"): (1, b"", b"OSError: [Errno 28] No space left on device")}),
        ),
    ),
    matrix.BUSY: Cell([("panel.busy", "export")], before=meanwhile.locked, made=False),
    matrix.WARNING: Cell(before=warned),
    matrix.REFUSED: (
        Cell([("panel.database.refused", "database")], before=elsewhere, made=False),
        Cell([("panel.database.refused", "database")], before=unreadable, made=False),
    ),
    matrix.OMITTED: Cell(
        [("panel.object.missing", "customer ann@lists.test")], after=damage.rewritten(CSV, lambda data: re.sub(rb"(?m)^account;ann@.*\n", b"", data))
    ),
    matrix.ALTERED: (
        # the known corruption: told, and worked around, as the copy of the rows is what a restore takes
        Cell(warns=[("panel.object.changed", name) for name in QUOTED]),
        Cell(
            [("panel.object.missing", "mail_alias @catch.test")],
            "@catch.test",
            after=damage.sql(COPY, "UPDATE admin_alias SET address = '''@catch.test' WHERE address = '@catch.test'"),
        ),
    ),
}
