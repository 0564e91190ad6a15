# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A site without a panel in the matrix: its services are asked, and their configuration is what is kept."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._panels import none
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels import panel_matrix as matrix
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels import site_fixture as site
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels.panel_matrix import Bench, Cell, Unfit
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels.rows import damage, meanwhile

FILE = "configuration.tar.gz"


def bench(folder):
    system = site.host()
    return Bench(none, system, folder / "exports", secrets=site.SECRETS, started=lambda: system.calls)


def kept(path, make):
    return damage.member(FILE, path, make)


def warned(here):
    """nginx complains and tells all the same."""
    told = here.system.commands[("nginx", "-T")]
    here.system.commands[("nginx", "-T")] = (
        0,
        told,
        'nginx: [warn] conflicting server name "example.com" on 0.0.0.0:443, ignored\nnginx: test is successful\n',
    )


def refused(here):
    """MariaDB is there and does not answer."""
    here.system.files["/var/lib/mysql/ibdata1"] = b"x"
    here.system.directories.add("/var/lib/mysql")
    here.system.commands.update({("mariadb",): (1, "", "ERROR 2002 (HY000): Can't connect to local server"), ("mariadbd",): ""})


def cell(told, also="", **more):
    return Cell(told, also, mode="settings", **more)


CELLS = {
    matrix.INTACT: cell(()),
    matrix.TRUNCATED: cell([("panel.export.truncated", "file " + FILE)], ".", after=damage.cut(FILE)),
    matrix.FLIPPED: (
        cell([("panel.export.corrupt|panel.export.truncated", "file " + FILE)], ".", after=damage.flip(FILE)),
        cell([("panel.object.missing", "customer ann")], after=kept("etc/passwd", lambda data: data.replace(b"1000:1000", b"1001:1000"))),
    ),
    matrix.MISSING: (
        cell([("panel.reference.broken", "domain example.com")], r"example\.com", after=kept("etc/nginx/sites-enabled/example", lambda data: None)),
        cell([("panel.key.missing", "domain example.com")], r"example\.com", after=kept("etc/ssl/private/example.key", lambda data: None)),
        cell([("panel.object.missing", "cron_job ann: 5 *")], after=kept("var/spool/cron/crontabs/ann", lambda data: b"# nothing\n")),
        cell([("panel.object.missing", "mail_alias sales")], after=kept("etc/aliases", lambda data: b"postmaster: root\n")),
    ),
    matrix.EMPTY: Unfit("this export holds configuration only: dumps of a site without a panel are host_backup's class databases, whose drills prove them"),
    matrix.INNER: cell([("panel.export.truncated", "file " + FILE + "*")], ".", after=damage.inner(FILE)),
    matrix.STALE: Unfit("the archive has no manifest: each file in it must itself say the objects that the services told before it was made"),
    matrix.FOREIGN: Unfit("there is no panel that could sign anything: the archive is our own, and its digest is in the export's document"),
    matrix.FULL: cell([("panel.space", "export")], before=meanwhile.no_room, made=False),
    matrix.BUSY: cell([("panel.busy", "export")], before=meanwhile.locked, made=False),
    matrix.WARNING: cell((), before=warned),
    # what can't be asked is not in the inventory, so that nothing is proven
    matrix.REFUSED: cell([("panel.unproven", "export *")], before=refused),
    matrix.OMITTED: Unfit("there is no panel with a list: whom /etc/passwd has is whom the host knows, and it is in the export line by line"),
    matrix.ALTERED: (
        cell([("panel.object.missing", "mail_alias sales")], after=kept("etc/aliases", lambda data: data.replace(b"sales:", b"'sales:"))),
        cell([("panel.object.changed", "mail_alias sales")], after=kept("etc/aliases", lambda data: data.replace(b"sales: ann", b"sales: eve"))),
        cell(
            [("panel.object.changed", "setting postfix relayhost")],
            after=kept("etc/postfix/main.cf", lambda data: data.replace(b"[smtp.example.com]", b"[smtp.example.org]")),
        ),
    ),
}
