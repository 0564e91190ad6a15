# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""DirectAdmin in the matrix."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._panels import directadmin
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels import panel_matrix as matrix
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels import stand_in_run
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels.panel_matrix import Bench, Cell, Unfit
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels.rows import meanwhile

from stand_ins.directadmin import host  # isort: skip (found by stand_in_run)

__all__ = ["CELLS", "bench", "stand_in_run"]
FILE = "file user.rita.mina.tar.zst"
MINA = "customer mina"
# all that is mina's: what is cut off with her archive
HERS = r"mina|blog\.example"


def bench(folder):
    machine = host.install(folder / "root")
    return Bench(directadmin, machine.view(), folder / "exports", machine.switch, tuple(host.SECRETS.values()), started=machine.started)


def on(name, value=True):
    return lambda here: here.switch(name, value)


def nils_unlisted(here):
    with open(here.system.place(host.ROOT + "/data/users/rita/users.list"), "w") as handle:
        handle.write("mina\n")


def has_nils(here, outcome):
    assert "user.rita.nils.tar.zst" in {entry["name"] for entry in outcome.document["files"]}


CELLS = {
    matrix.INTACT: (Cell(), Cell(mode="settings")),
    # zstd does not tell what is cut from what is damaged
    matrix.TRUNCATED: Cell([("panel.export.corrupt", FILE)], HERS, before=on("truncated", "mina"), mode="settings"),
    matrix.FLIPPED: Cell([("panel.export.corrupt", FILE)], HERS, before=on("bit", "mina")),
    matrix.MISSING: (
        Cell([("panel.object.missing", "mailbox post@mina.example")], before=on("lost_mailbox", "post@mina.example"), mode="settings"),
        Cell([("panel.object.missing", "dns_zone blog.example")], before=on("lost_zone", "blog.example"), mode="settings"),
        Cell([("panel.object.missing", "database nils_wp"), ("panel.object.missing", "database_user nils_wp")], before=on("missing_dump", "nils_wp")),
    ),
    matrix.EMPTY: (
        Cell([("panel.dump.empty", "database mina_shop")], before=on("empty_dump", "mina_shop"), mode="settings"),
        Cell([("panel.dump.incomplete", "database mina_shop")], before=on("dump_cut", "mina_shop"), mode="settings"),
    ),
    matrix.INNER: Cell([("panel.export.corrupt", FILE + "!backup/home.tar.zst")], HERS, before=on("inner_broken", "mina")),
    # backup_options.list is the archive's own word of what was packed
    matrix.STALE: Cell([("panel.export.stale", MINA)], before=on("stale", "mina"), mode="settings"),
    matrix.FOREIGN: Unfit("DirectAdmin signs nothing, and writes no sum of what it made: the archive is told by its own user.conf and read to its end"),
    matrix.FULL: (
        Cell([("panel.space", MINA), ("panel.export.corrupt", FILE)], HERS, before=on("disk_full", "mina"), mode="settings"),
        Cell([("panel.space", "*")], before=meanwhile.no_room, made=False),
    ),
    matrix.BUSY: Cell([("panel.busy", "export")], before=on("busy", "server"), made=False),
    matrix.WARNING: Cell(before=on("warns")),
    matrix.REFUSED: (
        Cell([("panel.database.refused", "database server")], before=on("database_refused", "server"), made=False),
        Cell(
            [("panel.database.refused", "database nils_wp"), ("panel.object.missing", "database nils_wp")],
            "nils_wp",
            before=on("database_dies", "nils_wp"),
            mode="settings",
        ),
    ),
    matrix.OMITTED: Cell([("panel.unproven", "customer nils")], warns=[("panel.object.missing", "customer nils")], before=nils_unlisted, then=has_nils),
    matrix.ALTERED: Cell([("panel.object.changed", "forward sales@mina.example")], before=on("alters_alias", "sales@mina.example")),
}
