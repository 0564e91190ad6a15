# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Plesks of all versions have in common in the matrix: one host for all cells of a version, as every failure is a switch that is turned off again."""

from __future__ import annotations

import os
from pathlib import Path

from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels import panel_matrix as matrix
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels import plesk_fixture as fixture
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels.panel_matrix import Bench, Cell
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels.stand_in_fixture import kit


def bench(folder, driver, version):
    """A Bench."""
    host, on_now = fixture.host(1, version), []

    def switch(name, value="yes"):
        on_now.append(name)
        kit.switch(host.root, name, value.format(**host.names))

    def close():
        for name in on_now:
            os.unlink(kit.real(host.root, "/stand-in/" + name))

    secrets = tuple(value for value in host.world.secrets.values() if value)
    host.stage.options = {"directory": str(folder / "exports")}
    begun = len(host.stage.started)
    return Bench(driver, host.stage, folder / "exports", switch, secrets, host.names, lambda: host.stage.started[begun:], close)


def on(**switches):
    """A cell's `before`: these failures of the stand-in; an underscore is a hyphen, {x} the fixture's object x."""

    def before(here):
        for name, value in switches.items():
            here.switch(name.replace("_", "-"), value)

    return before


def running(here):
    """Somebody's own backup."""
    root = here.system.root.decode()
    kit.process(root, 77, "/opt/psa/admin/bin/pleskbackup", "--server")
    before = here.close

    def close():
        os.unlink(Path(root, ".proc/77/cmdline"))
        before()

    here.close = close


def says_so(here, outcome):
    """Its own words are there for the operator."""
    assert any("already running" in finding.evidence for finding in outcome.findings)


BUSY = (
    Cell([("panel.busy", "program pleskbackup")], before=running, made=False),
    # the program says it itself
    Cell([("panel.export.failed", "file *")], before=on(busy="yes"), then=says_so),
)


def cells(file, site):
    """The cells that all have. site: where a site's content lies in the archive."""
    return {
        matrix.INTACT: (Cell(), Cell(mode="settings")),
        matrix.TRUNCATED: Cell([("panel.export.truncated", file + "*")], ".", before=on(truncated="yes")),
        matrix.FLIPPED: Cell([("panel.export.corrupt|panel.export.truncated", file + "*")], "file|domain|mailbox|export", before=on(flipped="yes")),
        matrix.MISSING: (
            Cell([("panel.object.missing", "mailbox {mailbox}")], "{mailbox}|mail_alias", before=on(missing="mailbox:{mailbox}")),
            Cell([("panel.object.missing", "database {database}")], "{database}|database_user", before=on(missing="database:{database}")),
            Cell([("panel.reference.broken", "domain {domain}")], before=on(member=site)),
        ),
        matrix.EMPTY: (
            Cell([("panel.dump.empty", "database {database}")], before=on(empty_dump="{database}")),
            Cell([("panel.dump.empty", "database {database}")], before=on(silent_dump="{database}")),
            Cell([("panel.dump.incomplete", "database {database}")], before=on(half_dump="{database}")),
        ),
        matrix.INNER: Cell([("panel.export.truncated", file + "!*{domain}*")], "{domain}|\\.tar\\Z", before=on(inner=site)),
        matrix.FULL: (
            Cell([("panel.export.truncated", file + "*"), ("panel.said", "export")], ".", before=on(full="yes")),
            Cell([("panel.space", "directory *")], before=on(space="yes"), made=False),
        ),
        matrix.WARNING: (Cell(before=on(warning="yes")), Cell(warns=[("panel.said", "export")], before=on(warning="yes", nonzero="1"))),
        matrix.REFUSED: Cell([("panel.database.refused", "database psa")], before=on(mysql_refused="yes"), made=False),
        # the server's own description is its list: whom it leaves out is lost with all that he has
        matrix.OMITTED: Cell([("panel.object.missing", "customer {customer}")], ".", before=on(missing="customer:{customer}")),
        matrix.ALTERED: Cell([("panel.object.missing", "mail_alias {mail_alias}")], before=on(altered="mail_alias:{mail_alias}")),
    }
