# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Plesk 10 to Obsidian. Its exit codes are documented nowhere, so what it did is told by what is there, never by how it ended."""

from __future__ import annotations

import gzip
import os

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import (
    _inventory,
    _plesk_check,
    _plesk_dump,
    _plesk_host,
    _plesk_native,
    _plesk_restore,
    _ready,
)

NAME, TITLE, MET = "plesk", "Plesk Obsidian", "stand-in"
SOURCES = (
    "plesk/dist-upgrader, plesk/kb-scripts; docs.plesk.com 73928, 74260, 68837-68853, 74665; support.plesk.com 213406689, 12377966554135",
    "the database's columns: mbethke/plesk2ispconfig (Plesk 10-11), plesk/kb-scripts' password changer (18.0.50)",
    "the description's elements: virtualmin-gpl migration-plesk.pl (a reader of Plesk 9-18 backups); no description written by a Plesk was at hand",
)
OLDEST = 10
# settings only, as it is done in the field (facts 1.3)
SETTINGS = ["-exclude-files", "-exclude-mail", "-exclude-logs", "-exclude-databases"]
DUMP = "psa.sql.gz"


def detect(view):
    """{version, major, root, dumps}, or None."""
    found = _plesk_host.detect(view)
    return found if found and (found["major"] >= OLDEST or (not found["major"] and view.exists("/usr/sbin/plesk"))) else None


def inventory(system, found, query=None):
    """By SQL, which pleskbackup has no part in."""
    return _plesk_host.inventory(system, NAME, found, query)


def ready(system, found, mode="settings", where=_ready.ROOT):
    """Whether an export may begin."""
    out = []
    if system.which("plesk"):
        # the only word for it that Plesk's own upgrade tools look for (facts 1.2)
        result = system.run(["plesk", "installer", "--query-status", "--enable-xml-output"], timeout=300, check=False)
        if "BUSY" in result.text or "BUSY" in result.error:
            remedy = "wait until the installer has ended, then export again"
            out.append(_inventory.finding("panel.busy", NAME, "program", "plesk installer", "it is installing or updating", "it says BUSY", remedy))
    return out + _plesk_host.ready(system, NAME, found, mode, where)


def keys(view, found):
    """What a dump of the panel's database can't be decoded without."""
    return [path for path in _plesk_host.key_paths(found) if view.read(path)]


def export(system, found, mode, target, say):
    """pleskbackup of the whole server into one file, and the key beside it."""
    name, password = "plesk-%s.tar" % mode, _plesk_host.backup_password(system)
    path = os.path.join(target, name)
    # in the environment of that one process: the only way that Plesk documents besides an argument, which everybody can see
    own = {"PLESK_BACKUP_PASSWORD": password} if password else None
    argv = _plesk_host.program(system, found, "pleskbackup") + ["--server", "-include-server-settings"] + (SETTINGS if mode == "settings" else [])
    say("%s: a %s backup begins" % (TITLE, mode))
    with _plesk_native.plain_backups(system, found, bool(system.options.get("plain_backups"))):
        result = system.run(argv + ["-output-file", path, "-v"], timeout=_plesk_host.PATIENCE, env=own, check=False)
    if os.path.exists(path):
        os.chmod(path, 0o600)
    said = _plesk_host.lines(result, [password])
    for line in said[-3:]:
        say(line)
    return {"files": [{"name": name, "role": "artefact"}] + _plesk_host.take_keys(system, target), "said": said, "rc": result.rc}


def verify(opened, inventory, mode):
    """Everything in it, read without Plesk."""
    return _plesk_check.verify(opened, inventory, mode, NAME)


def native(system, found, opened):
    """Plesk's own checks: of the file, of its signature, of its schema."""
    return _plesk_native.check(system, found, opened, NAME)


def checkpoint(system, found):
    """The panel's own database and configuration."""
    return _plesk_host.checkpoint(system, found)


def reaches(system, found, opened):
    """What of sites, mail and databases a restore from this export changes; a dump of the panel's database changes none of these."""
    return {} if _plesk_restore.is_dump(next(iter(opened.names("artefact", "dump")), "")) else _plesk_host.reaches(system, found, opened)


def login(system, found):
    """How the database server that a checkpoint is made of is asked."""
    return _plesk_host.login(system)


def brings(opened):
    """Kinds that a restore from this export brings back."""
    return _plesk_restore.brings(opened)


def restore(system, found, opened, say):
    """The export back into the panel: a backup by pleskrestore, a dump of the database by the database's client."""
    return _plesk_restore.restore(system, found, opened, say)


def repair(system, found):
    """plesk repair db: what it still finds after it was let repair."""
    return _plesk_restore.repair(system, found, NAME)


def daily(view, found):
    """The panel's own dumps."""
    return _plesk_host.daily(view, found)


def rescue(view, found, query, target):
    """From a disk: the panel's database row by row, and its key."""
    return rescued(view, query, target)


def rescued(view, query, target):
    """What rescue() is for any version of Plesk."""
    path = os.path.join(target, DUMP)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "wb") as out, gzip.GzipFile(filename="psa.sql", mode="wb", fileobj=out, mtime=0) as packed:
        counted = _plesk_dump.write(query, packed)
    if not counted:
        raise IntactError("the panel's database on this disk has no table: there is nothing to rescue")
    said = ["%d tables, %d rows of the panel's database" % (len(counted), sum(counted.values()))]
    return {"files": [{"name": DUMP, "role": "artefact"}] + _plesk_host.take_keys(view, target), "said": said, "rc": 0}
