# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Does the control panel support the target release (PF42), and is it at rest (PF43)."""

from __future__ import annotations

import fnmatch
import os

from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding
from ansible_collections.intact.hosting.plugins.module_utils._panels import _registry
from ansible_collections.intact.hosting.plugins.module_utils._preflight import _machine
from ansible_collections.intact.hosting.plugins.module_utils._preflight._context import accepted

# Programs by which panels and backups work on what an upgrade changes: (panel or "" for every host, name of the program or script, what it does).
JOBS = (
    ("plesk", "plesk_installer", "an installation or update"),
    ("plesk", "autoinstaller", "an installation or update"),
    ("plesk", "pleskbackup", "a backup"),
    ("plesk", "pmm-ras", "a backup or restore"),
    ("plesk", "pmmcli*", "a backup or restore"),
    ("plesk", "plesk-migrator", "a migration"),
    ("cpanel", "upcp*", "an update"),
    ("cpanel", "pkgacct*", "a backup"),
    ("cpanel", "restorepkg*", "a restore"),
    ("cpanel", "cpbackup*", "a backup"),
    ("directadmin", "dataskq", "its task queue"),
    ("directadmin", "da-build", "an update"),
    ("virtualmin", "backup-domain.pl", "a backup"),
    ("virtualmin", "restore-domain.pl", "a restore"),
    ("virtualmin", "backup.pl", "a backup"),
    ("hestiacp", "v-backup-user*", "a backup"),
    ("hestiacp", "v-restore-*", "a restore"),
    ("hestiacp", "v-update-sys-*", "an update"),
    ("ispconfig", "ispconfig_update*", "an update"),
    ("cyberpanel", "backupUtilities.py", "a backup"),
    ("cyberpanel", "upgrade.py", "an update"),
    ("", "clp-update", "an update of CloudPanel"),
    ("", "restic", "a backup"),
    ("", "borg", "a backup"),
    ("", "rsnapshot", "a backup"),
    ("", "duplicity", "a backup"),
    ("", "rdiff-backup", "a backup"),
    ("", "mysqldump", "a dump of databases"),
    ("", "mariadb-dump", "a dump of databases"),
    ("", "mariabackup", "a copy of databases"),
    ("", "pg_dump", "a dump of databases"),
    ("", "pg_dumpall", "a dump of databases"),
    ("", "pg_basebackup", "a copy of databases"),
    ("", "imapsync", "a migration of mail"),
)


def support(context):
    """PF42: whoever makes the panel supports it on the target release, or the operator has decided."""
    rules = list(context.release_path.get("panels") or [])
    there = [(driver.NAME, driver.TITLE, found.get("version") or "") for driver, found in _registry.detected(context.host)]
    known = {name for name, _title, _version in there}
    for rule in rules:
        if rule["panel"] not in known and any(context.host.exists(path) for path in rule.get("detect") or []):
            there.append((rule["panel"], rule.get("title") or rule["panel"], ""))
    found, after = [], _machine.coming(context)
    for name, title, version in there:
        agreed = accepted(context.options.get("accepted_panels"), "panel", name)
        if agreed:
            found.append(Finding("panel.target.accepted", "info", name, "%s goes along, accepted" % title, str(agreed.get("reason", ""))))
            continue
        rule = next((entry for entry in rules if entry["panel"] == name), None)
        ask = "; or decide: preflight_accepted_panels: [{panel: %s, reason: WHO SAYS SO}]" % name
        if rule is None:
            words = "nobody has said that %s%s runs on %s" % (title, " " + version if version else "", context.target())
            remedy = "ask its makers; a panel that does not support it is moved to a new server instead (migrate-host.yml)" + ask
            found.append(Finding("panel.target.unknown", "blocker", name, words, "the release path's panels don't name it", remedy))
        elif rule.get("refused"):
            remedy = str(rule.get("remedy") or "move to a new server instead (migrate-host.yml)") + ask
            found.append(Finding("panel.target.refused", "blocker", name, "%s does not go along with an upgrade in place" % title, str(rule["reason"]), remedy))
        elif rule.get("packages"):
            if _left_over(context, rule["packages"]):
                title = "%s was removed, and left files behind" % title
                found.append(Finding("panel.target.removed", "info", name, title, "its package is not installed any more"))
            elif not (set(context.installed(*rule["packages"])) & after):
                remedy = str(rule.get("remedy") or "bring it to a version that its makers support there") + ask
                words = "%s is not from the distribution's packages: the upgrade does not bring it along" % title
                found.append(Finding("panel.target.own", "blocker", name, words, str(rule["reason"]), remedy))
        elif rule.get("minimum"):
            old = not version or context.host.run(["dpkg", "--compare-versions", version, "lt", str(rule["minimum"])], check=False).rc == 0
            if old:
                remedy = "upgrade the panel first" + ask
                evidence = "version %s, %s is needed; %s" % (version or "not told", rule["minimum"], rule["reason"])
                found.append(Finding("panel.target.old", "blocker", name, "this version of %s does not support the target" % title, evidence, remedy))
    return found


def _left_over(context, patterns):
    """Whether one of these packages was removed and left its configuration, and none is installed."""
    states = [status for name, (_v, status) in context.packages().items() if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)]
    return bool(states) and all(status[1] == "c" for status in states)


def jobs(processes, panels):
    """[(process id, program, whose, what it does)] of running jobs. processes: [(pid, name, argv)]. Pure."""
    out = []
    for number, _comm, argv in processes:
        names = [os.path.basename(word) for word in argv[:3] if word and not word.startswith("-")]
        if "serve" in argv[1:3]:
            continue  # a repository's side of another host's backup
        for panel, pattern, what in JOBS:
            name = next((name for name in names if fnmatch.fnmatchcase(name, pattern)), None)
            if name and (not panel or panel in panels):
                out.append((number, name, panel, what))
                break
    return out


def at_rest(context):
    """PF43: no backup, update or migration works on what the upgrade is about to change."""
    panels = {driver.NAME for driver, _found in _registry.detected(context.host)}
    found = []
    for number, name, panel, what in jobs(context.host.processes(), panels):
        words = "%s is at work" % (what[0].lower() + what[1:]) + (" in %s" % panel if panel else "")
        remedy = "wait until it has ended (ps -fp %d), and see that its next run is outside the window" % number
        found.append(Finding("panel.job", "blocker", escape(name), words, "process %d" % number, remedy))
    return found
