# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""DirectAdmin: one archive for each account by a task, which ends with status 0 whether it failed or not."""

from __future__ import annotations

from dataclasses import replace

from ansible_collections.intact.hosting.plugins.module_utils._panels import _directadmin_export, _directadmin_live, _mysql_look, _ready
from ansible_collections.intact.hosting.plugins.module_utils._panels._directadmin_export import export, keys
from ansible_collections.intact.hosting.plugins.module_utils._panels._directadmin_live import detect
from ansible_collections.intact.hosting.plugins.module_utils._panels._directadmin_restore import checkpoint, daily, reaches, repair, rescue, restore, take
from ansible_collections.intact.hosting.plugins.module_utils._panels._directadmin_verify import packed, verify

__all__ = [
    "checkpoint",
    "daily",
    "detect",
    "export",
    "inventory",
    "keys",
    "login",
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
NAME = "directadmin"
TITLE = "DirectAdmin"
MET = "stand-in"
SOURCES = (
    "docs.directadmin.com: directories and locations, the directadmin binary, backup and restore, hooks",
    "shukiv/gniza docs/adr/0019 and 0021, docs/directadmin-validation-2026-09-08.md: tasks, transcripts, status 0 and archives of a DirectAdmin 1.709",
    "shukiv/gniza internal/layout/dabackup/testdata: every member of real archives, whole ones and those made without the option domain",
    "virtualmin migration-directadmin.pl, mbrother2/backup_information: the formats of ftp.passwd, domain.pointers and <database>.conf",
    "pastebin AxnvrSgL: the line of a backup task",
)


def inventory(system, found, query=None):
    """All accounts by their files and by SQL."""
    return _directadmin_live.inventory(system, found, query or _mysql_look.asking(system, found.get("defaults")))


def ready(system, found, mode="settings", where=_ready.ROOT):
    """Findings before an export. The panel's own lists may be wrong; the export goes by files, so that is only a warning here."""
    return _directadmin_export.ready(system, found, mode, where)


def login(system, found):
    """How the panel's database server is asked: with the panel's own option file."""
    return _mysql_look.Login(file=found.get("defaults") or "")


def native(system, found, opened):
    """The panel has no check of archives. Only its own list of accounts can be compared; whom that leaves out is in the export all the same."""
    return [replace(finding, id="panel.unproven", severity="blocker") for finding in _directadmin_export.listed(system)]
