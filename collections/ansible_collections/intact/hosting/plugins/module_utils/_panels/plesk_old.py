# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Plesk 7.5, 8 and 9: the case of 2008. 7 and 8 write one MIME stream (_mime.py), 9 what its successors write."""

from __future__ import annotations

import os

from ansible_collections.intact.hosting.plugins.module_utils._panels import _plesk_check, _plesk_host, _plesk_restore, _ready, plesk

NAME, TITLE, MET = "plesk_old", "Plesk 7.5, 8 and 9", "stand-in"
SOURCES = (
    "the stream: virtualmin-gpl before 5fbe3ca36, migration-plesk.pl and migration-psa.pl (readers); no backup of a Plesk 7 or 8 was at hand",
    "the database's columns: mugenken/App-Plesk-DB (Plesk 8.6); pleskhacker.com psa.mail, psa.clients",
    "programs: Plesk 7.5 Reloaded guide ch. 3 (psarestore), kb.parallels 5864, 6164; psadump's options are not established",
)


def detect(view):
    """{version, major, root, dumps}, or None."""
    found = _plesk_host.detect(view)
    if not found or view.exists("/usr/sbin/plesk"):
        return None
    return found if 0 < found["major"] < plesk.OLDEST or (not found["major"] and view.exists(found["root"] + "/bin/psadump")) else None


def inventory(system, found, query=None):
    """By SQL, from the live database or by the query function of a rescue."""
    return _plesk_host.inventory(system, NAME, found, query)


def ready(system, found, mode="settings", where=_ready.ROOT):
    """Whether an export may begin. What makes whole backups only wants the room of one."""
    return _plesk_host.ready(system, NAME, found, "full" if found["major"] < 9 else mode, where)


def keys(view, found):
    """These versions encrypt no password; the database's own password is kept."""
    return [path for path in _plesk_host.key_paths(found) if view.read(path)]


def export(system, found, mode, target, say):
    """psadump (7), pleskbackup all (8), pleskbackup server (9), of everything into one file."""
    program = "psadump" if found["major"] == 7 else "pleskbackup"
    name = "%s-%s.%s" % (program, mode, "tar" if found["major"] >= 9 else "mime")
    path, said = os.path.join(target, name), []
    argv = ["%s/bin/%s" % (found["root"], program)]
    if found["major"] == 7:
        # -f is psarestore's word for the file; what else psadump takes is not established
        argv += ["-f", path]
    elif found["major"] < 9:
        argv += ["all", path]
    else:
        argv += ["server"] + (["-c"] if mode == "settings" else []) + ["--output-file=%s" % path]
    if mode == "settings" and found["major"] < 9:
        said.append("this version makes whole backups only: more than the settings is in it")
    say("%s: a %s backup begins" % (TITLE, mode))
    result = system.run(argv, timeout=_plesk_host.PATIENCE, check=False)
    if os.path.exists(path):
        os.chmod(path, 0o600)
    said += _plesk_host.lines(result)
    for line in said[-3:]:
        say(line)
    return {"files": [{"name": name, "role": "artefact"}] + _plesk_host.take_keys(system, target), "said": said, "rc": result.rc}


def verify(opened, inventory, mode):
    """Everything in it, read without Plesk."""
    return _plesk_check.verify(opened, inventory, mode, NAME, keyed=False)


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
    return _plesk_restore.brings(opened, _plesk_check.SEVEN if opened.document["version"].startswith("7") else None)


def restore(system, found, opened, say):
    """The export back into the panel; a rescued dump of its database by the database's client."""
    name = next(iter(opened.names("artefact", "dump")), "")
    if _plesk_restore.is_dump(name):
        return _plesk_restore.dump(system, opened, name, say)
    path = opened.files[name]
    maps = [os.path.join(opened.work(), word) for word in ("ip_map", "shells_map")]
    if found["major"] == 7:
        commands = [["psarestore", "-f", path, "-m", maps[0], "-s", maps[1], "--force"]]
    else:
        level = "all" if found["major"] == 8 else "server"
        commands = [["pleskrestore", "--create-map", path, "-map", maps[0]], ["pleskrestore", "--restore", path, "-map", maps[0], "-level", level]]
    said, rc = [], 0
    for words in commands:
        say("%s begins" % " ".join(words[:2]))
        result = system.run(["%s/bin/%s" % (found["root"], words[0])] + words[1:], timeout=_plesk_host.PATIENCE, check=False)
        said, rc = said + _plesk_host.lines(result), result.rc
        if rc:
            break
    return {"said": said[-60:], "rc": rc}


def daily(view, found):
    """The panel's own dumps."""
    return _plesk_host.daily(view, found)


def rescue(view, found, query, target):
    """From a disk: the panel's database row by row, and what key material there is."""
    return plesk.rescued(view, query, target)
