# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""cPanel & WHM in the matrix."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._panels import cpanel
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels import panel_matrix as matrix
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels import stand_in_run
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels.panel_matrix import Bench, Cell, Unfit
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels.rows import meanwhile

from stand_ins.cpanel import host  # isort: skip (found by stand_in_run)

__all__ = ["CELLS", "bench", "stand_in_run"]
FILE = "file cpmove-alice.tar.gz"
ALICE = "customer alice"
# all that is alice's: what is cut off with her archive
HERS = r"alice|shop|blog|crew|legacydb|upload"


def bench(folder):
    machine = host.install(folder / "root")
    return Bench(cpanel, machine.view(), folder / "exports", machine.switch, tuple(host.SECRETS.values()), started=machine.started)


def on(name, value=True):
    return lambda here: here.switch(name, value)


def has_carol(here, outcome):
    assert "cpmove-carol.tar.gz" in {entry["name"] for entry in outcome.document["files"]}


CELLS = {
    matrix.INTACT: (Cell(), Cell(mode="settings")),
    matrix.TRUNCATED: (
        Cell([("panel.export.truncated", FILE), ("panel.export.truncated", ALICE)], HERS, before=on("truncated", "alice")),
        Cell([("panel.export.truncated", FILE)], HERS, before=on("quiet_cut", "alice"), mode="settings"),
    ),
    matrix.FLIPPED: Cell([("panel.export.corrupt", FILE), ("panel.export.corrupt", ALICE)], HERS, before=on("bit", "alice")),
    matrix.MISSING: (
        Cell([("panel.object.missing", "mailbox ann@shop.example")], before=on("lost_mailbox", "ann@shop.example")),
        Cell([("panel.object.missing", "dns_zone shop.test")], before=on("lost_zone", "shop.test"), mode="settings"),
        Cell([("panel.object.missing", "database alice_shop")], before=on("missing_dump", "alice_shop"), mode="settings"),
    ),
    matrix.EMPTY: (
        Cell([("panel.dump.empty", "database alice_shop")], before=on("empty_dump", "alice_shop"), mode="settings"),
        Cell([("panel.dump.incomplete", "database alice_shop")], before=on("dump_cut", "alice_shop"), mode="settings"),
    ),
    matrix.INNER: Cell([("panel.export.truncated", FILE + "!cpmove-alice/homedir.tar")], HERS, before=on("inner_broken", "alice")),
    matrix.STALE: Cell([("panel.export.stale", ALICE)], before=on("stale", "alice"), mode="settings"),
    matrix.FOREIGN: Unfit("pkgacct signs nothing: its archive has an md5 and a size in the transcript, and these are recomputed"),
    matrix.FULL: (
        Cell([("panel.space", ALICE), ("panel.export.truncated", FILE)], HERS, before=on("disk_full", "alice"), mode="settings"),
        Cell([("panel.space", "*")], before=meanwhile.no_room, made=False),
    ),
    matrix.BUSY: Cell([("panel.busy", "export")], before=on("busy", "server"), made=False),
    matrix.WARNING: Cell(before=on("warns")),
    matrix.REFUSED: (
        Cell([("panel.database.refused", "database server")], before=on("database_refused", "server"), made=False),
        # it answers before, and is gone in the middle
        Cell(
            [("panel.database.refused", "database carol_wp"), ("panel.object.missing", "database carol_wp"), ("panel.object.missing", "database legacydb")],
            "legacydb|customer",
            before=on("database_dies", "carol_wp"),
            mode="settings",
        ),
    ),
    matrix.OMITTED: Cell(
        [("panel.unproven", "customer carol")], warns=[("panel.object.missing", "customer carol")], before=on("list_omits", "carol"), then=has_carol
    ),
    matrix.ALTERED: Cell([("panel.object.changed", "forward sales@shop.example")], before=on("alters_alias", "sales@shop.example"), mode="settings"),
}
