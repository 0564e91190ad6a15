# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""cPanel & WHM: one archive for each account by pkgacct, which ends with status 0 whatever it lost; so nothing that it says is believed without its files."""

from __future__ import annotations

from dataclasses import replace

from ansible_collections.intact.hosting.plugins.module_utils._panels import _cpanel_export, _cpanel_live, _mysql_look, _ready
from ansible_collections.intact.hosting.plugins.module_utils._panels._cpanel_export import export, keys
from ansible_collections.intact.hosting.plugins.module_utils._panels._cpanel_live import detect
from ansible_collections.intact.hosting.plugins.module_utils._panels._cpanel_restore import checkpoint, daily, reaches, repair, rescue, restore, take
from ansible_collections.intact.hosting.plugins.module_utils._panels._cpanel_verify import packed, verify

__all__ = [
    "checkpoint",
    "daily",
    "detect",
    "export",
    "inventory",
    "keys",
    "native",
    "packed",
    "reaches",
    "ready",
    "repair",
    "rescue",
    "restore",
    "take",
    "verify",
]
NAME = "cpanel"
TITLE = "cPanel & WHM"
MET = "stand-in"
SOURCES = (
    "docs.cpanel.net: The pkgacct Script, The restorepkg Script, Backup Tarball Contents, The rebuildhttpdconf Script; api.docs.cpanel.net: updateuserdomains",
    "support.cpanel.net 1500006505921: the patterns by which cPanel's own backup throws an archive away",
    "a transcript of pkgacct of 2019 and one of 2020, published by their servers' owners",
    "shukiv/gniza docs/adr/0017 and 0019: exit 0 with 31 of 47 databases lost, restorepkg's exit 0, the database map, cPanel 136's archives",
    "cpanel/elevate: whmapi1's answers and how they fail; virtualmin, hestia and mbrother2/backup_information: the archive's members",
)


def inventory(system, found, query=None):
    """All accounts by their files and by SQL."""
    return _cpanel_live.inventory(system, found, query or _mysql_look.asking(system, found.get("defaults")))


def ready(system, found, mode="settings", where=_ready.ROOT):
    """Findings before an export. The panel's own list may be wrong; the export goes by files, so that is only a warning here."""
    return _cpanel_export.ready(system, found, mode, where)


def native(system, found, opened):
    """The panel has no check of archives. Only its own list of accounts can be compared; whom that leaves out is in the export all the same."""
    return [replace(finding, id="panel.unproven", severity="blocker") for finding in _cpanel_export.listed(system)]
