# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Is the package database sound and free, and who holds what back (PF04, PF05, PF06)."""

from __future__ import annotations

import os
import re

from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError
from ansible_collections.intact.hosting.plugins.module_utils._preflight import _apt
from ansible_collections.intact.hosting.plugins.module_utils._preflight._context import accepted

LOCKS = ("/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock", "/var/lib/apt/lists/lock", "/var/cache/apt/archives/lock")
# A waiting shutdown helper of unattended-upgrades and PackageKit's idle daemon are no package work.
BUSY = re.compile(r"^(apt|apt-get|aptitude|dpkg|dpkg-deb|unattended-upgr(ade)?|apt\.systemd\.dai?l?y?|do-release-upgrade|pkcon|dselect)$")
PANEL_LOCKS = ("/var/lock/psa_upgrade.lock", "/usr/local/cpanel/upgrade_in_progress.txt", "/var/lock/parallels-panel-maintenance-mode.lock")
# What apt gives by itself: a pin with one of these orders sources and forces nothing.
ORDINARY = ("100", "500", "990")
DECISIONS = ("keep", "unhold-and-rehold")
STATES = {"H": "half-installed", "U": "unpacked", "F": "half-configured", "W": "waiting for triggers", "T": "triggers pending"}


def database(context):
    """PF04: nothing half-installed, no leftover of a cut dpkg, dependencies whole."""
    host, found = context.host, []
    for name, (version, status) in sorted(context.packages().items()):
        state = STATES.get(status[1].upper())
        if state or status[2] == "R":
            found.append(
                Finding(
                    id="packages.broken",
                    severity="blocker",
                    subject=name,
                    title="the package is %s" % (state or "marked for reinstallation"),
                    evidence="version %s, dpkg status %s" % (version or "unknown", status.strip()),
                    remedy="dpkg --configure -a, then apt-get -f install; if %s stays so, read its postinst's message there" % name,
                )
            )
    left = host.glob("/var/lib/dpkg/updates/*")
    if left:
        found.append(
            Finding(
                id="packages.database.updates",
                severity="blocker",
                subject="/var/lib/dpkg/updates",
                title="an interrupted dpkg left its journal behind",
                evidence="%d files: %s" % (len(left), ", ".join(os.path.basename(p) for p in left[:6])),
                remedy="dpkg --configure -a; a file there that dpkg cannot parse after a power cut is moved aside after a copy of /var/lib/dpkg was kept",
            )
        )
    audit = host.run(["dpkg", "--audit"], check=False)
    if not found and (audit.rc != 0 or audit.text.strip()):
        found.append(_database("dpkg --audit", audit.text.strip() or audit.error))
    checked = host.run(["apt-get", "-q", "-c", _apt.private(context, "check"), "check"], check=False)
    if checked.rc != 0 and not found:
        found.append(_database("apt-get check", checked.error or checked.text))
    return found


def _database(subject, evidence):
    return Finding(
        id="packages.database",
        severity="blocker",
        subject=subject,
        title="the package database is not sound",
        evidence=" ".join(evidence.split())[:600],
        remedy="dpkg --configure -a, then apt-get -f install, then run check-host again",
    )


def busy(context):
    """PF05: no package manager or panel installer at work, no lock held."""
    found, told = [], set()
    running = {pid: (name, argv) for pid, name, argv in context.host.processes()}
    for path in LOCKS:
        pid = context.host.lock_holder(path)
        if pid:
            told.add(pid)
            name = " ".join(running[pid][1])[:120] if pid in running else "a process outside this container"
            found.append(
                Finding(
                    id="packages.locked",
                    severity="blocker",
                    subject=path,
                    title="somebody holds the package manager's lock",
                    evidence="%s (pid %d)" % (name, pid),
                    remedy="wait until it is done (ps -fp %d), then run check-host again" % pid,
                )
            )
    for pid, (name, argv) in sorted(running.items()):
        if pid not in told and BUSY.match(name) and "--wait-for-signal" not in argv:
            found.append(
                Finding(
                    id="packages.busy",
                    severity="blocker",
                    subject=name,
                    title="a package manager is at work",
                    evidence="%s (pid %d)" % (" ".join(argv)[:120], pid),
                    remedy="wait until it is done, then run check-host again",
                )
            )
    for path in PANEL_LOCKS:
        if context.host.exists(path):
            found.append(
                Finding(
                    id="packages.panel.busy",
                    severity="blocker",
                    subject=path,
                    title="the control panel is being updated",
                    remedy="wait for the panel's update; if none runs, the panel's support says how to clear this file",
                )
            )
    return found


def check_holds(entries):
    """Raise IntactError for an entry of preflight_accepted_holds that decides nothing."""
    for entry in entries or []:
        missing = [key for key in ("package", "decision", "reason") if not str(entry.get(key) or "").strip()]
        if missing:
            raise IntactError("preflight_accepted_holds: entry %s lacks %s" % (entry.get("package") or entry, ", ".join(missing)))
        if entry["decision"] not in DECISIONS:
            raise IntactError("preflight_accepted_holds: %s: decision %r is none of %s" % (entry["package"], entry["decision"], ", ".join(DECISIONS)))


def parse_preferences(text):
    """[(package patterns, pin, priority)] of a file of apt preferences."""
    out = []
    for stanza in re.split(r"\n\s*\n", re.sub(r"(?m)^#.*\n?", "", text)):
        fields = {key.lower(): " ".join(value.split()) for key, value in re.findall(r"(?m)^(\S+):[ \t]*(.*(?:\n[ \t].*)*)", stanza)}
        if fields.get("package") and fields.get("pin"):
            out.append((fields["package"], fields["pin"], fields.get("pin-priority", "")))
    return out


def held(context):
    """PF06: every held or pinned package has the operator's decision."""
    decided = context.options.get("accepted_holds")
    check_holds(decided)
    found = []
    for name, (version, status) in sorted(context.packages().items()):
        if status[0] == "h":
            found.append(_held(context, name, "packages.held", "held", "version %s on hold" % version, decided))
    files = ["/etc/apt/preferences"] + context.host.glob("/etc/apt/preferences.d/*")
    for path in files:
        base = os.path.basename(path)
        if "." in base and not base.endswith(".pref"):
            continue
        for package, pin, priority in parse_preferences(context.host.text(path)):
            if priority in ORDINARY:
                found.append(
                    Finding(
                        id="packages.pinned.ordinary",
                        severity="info",
                        subject=package,
                        title="pinned with an ordinary priority",
                        evidence="%s: Pin: %s, Pin-Priority: %s" % (path, pin, priority),
                    )
                )
                continue
            found.append(_held(context, package, "packages.pinned", "pinned", "%s: Pin: %s, Pin-Priority: %s" % (path, pin, priority or "none"), decided))
    return found


def _held(_context, name, ident, word, evidence, decided):
    entry = accepted(decided, "package", name)
    if entry:
        return Finding(
            id=ident + ".decided",
            severity="info",
            subject=name,
            title="%s, decided: %s" % (word, entry["decision"]),
            evidence="%s; %s" % (evidence, entry["reason"]),
        )
    return Finding(
        id=ident,
        severity="blocker",
        subject=name,
        title="the package is %s and nobody decided what the upgrade does with it" % word,
        evidence=evidence,
        remedy="name %s in preflight_accepted_holds with decision keep (stays as it is) or unhold-and-rehold, and the reason" % name,
    )
