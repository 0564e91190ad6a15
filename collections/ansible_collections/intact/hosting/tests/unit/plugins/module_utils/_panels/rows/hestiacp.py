# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""HestiaCP in the matrix."""

from __future__ import annotations

import os

from ansible_collections.intact.hosting.plugins.module_utils._panels import hestiacp
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels import panel_matrix as matrix
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels.panel_matrix import Cell, Unfit
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels.rows import staged

from stand_ins import hestiacp as panel  # isort: skip (found by staged)
from stand_ins import kit  # isort: skip

on = staged.on
HOME = "/usr/local/hestia"
ALL = ("alice", "bob", "carol")


def bench(folder):
    return staged.bench(folder, hestiacp, panel)


def each(ident):
    return [(ident, "customer " + name) for name in ALL]


def uses_much(here):
    root, path = staged.root(here), HOME + "/data/users/alice/user.conf"
    kit.put(root, path, kit.text(root, path).replace("U_DISK='1'", "U_DISK='99999999999'"))


def running(here):
    kit.process(staged.root(here), 77, "/bin/bash", HOME + "/bin/v-backup-user", "alice")


def yesterdays(here):
    """The disk took nothing, and the name of the day before is told."""
    for name in ALL:
        here.system.run([HOME + "/bin/v-backup-user", name])
    for name in os.listdir(staged.root(here) + "/backup"):
        os.utime(os.path.join(staged.root(here), "backup", name), (1700000000, 1700000000))
    here.switch("stale")


def has_bob(here, outcome):
    assert any(entry["name"].startswith("bob.") for entry in outcome.document["files"])


CELLS = {
    # v-list-users leaves bob out of it, whatever else is damaged: each cell has that warning
    matrix.INTACT: (Cell(), Cell(mode="settings")),
    matrix.TRUNCATED: Cell(
        [("panel.export.truncated", "customer alice"), ("panel.said", "customer alice")], r"alice|example\.test", before=on("truncated", "alice")
    ),
    matrix.FLIPPED: (
        Cell([("panel.export.corrupt", "domain example.test")], before=on("flipped", "web:example.test")),
        Cell([("panel.export.corrupt", "database alice_shop")], "database alice_shop", before=on("flipped", "db:alice_shop")),
    ),
    matrix.MISSING: (
        Cell([("panel.object.missing", "dns_zone example.test")], before=on("missing", "dns:example.test")),
        Cell(
            [("panel.object.missing", "database alice_shop"), ("panel.dump.incomplete", "database alice_shop")],
            "database_user alice_shop",
            before=on("missing", "db:alice_shop"),
        ),
        Cell(
            [("panel.object.missing", "domain blog.example.test"), ("panel.object.missing", "php_handler blog.example.test")],
            before=on("missing", "web:blog.example.test"),
        ),
    ),
    matrix.EMPTY: (
        Cell([("panel.dump.incomplete", "database alice_shop")], before=on("empty-dump", "alice_shop")),
        Cell([("panel.dump.empty", "database alice_shop")], before=on("mysql-dump-silent", "alice_shop")),
    ),
    matrix.INNER: (
        Cell([("panel.export.truncated", "domain blog.example.test")], before=on("inner", "web:blog.example.test")),
        Cell([("panel.export.truncated", "database bob_wiki"), ("panel.dump.incomplete", "database bob_wiki")], before=on("inner", "db:bob_wiki")),
    ),
    matrix.STALE: Cell(each("panel.export.stale") + each("panel.object.missing"), before=yesterdays),
    matrix.FOREIGN: Unfit("HestiaCP's tars carry neither a signature nor a sum: they are told by the customer's own files in them and read to their end"),
    matrix.FULL: (
        Cell(each("panel.export.failed") + each("panel.object.missing"), before=on("full")),
        Cell(each("panel.export.failed") + each("panel.object.missing"), before=on("space")),
        Cell([("panel.space", "*")], before=uses_much, made=False),
    ),
    matrix.BUSY: (
        Cell([("panel.busy", "export")], before=running, made=False),
        Cell([("panel.busy", "export")], before=lambda here: kit.put(staged.root(here), "/.proc/loadavg", "2.01 1.00 1.00 3/200 4242\n"), made=False),
    ),
    matrix.WARNING: Cell(before=on("warning")),
    matrix.REFUSED: Cell([("panel.database.refused", "database")], before=on("mysql-refused"), made=False),
    matrix.OMITTED: Cell(warns=[("panel.native", "customer bob")], then=has_bob),
    matrix.ALTERED: (
        Cell([("panel.object.missing", "mail_alias sales@example.test")], before=on("altered", "sales")),
        Cell([("panel.object.missing", "domain_alias www.example.test")], before=on("altered", "www.example.test")),
    ),
}
