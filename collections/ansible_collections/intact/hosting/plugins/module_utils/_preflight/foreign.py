# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Packages that no configured source has, and versions that must be there before the upgrade (PF07, PF31)."""

from __future__ import annotations

import re

from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding
from ansible_collections.intact.hosting.plugins.module_utils._preflight import _apt
from ansible_collections.intact.hosting.plugins.module_utils._preflight._context import accepted


def parse_policy(text):
    """{package: (installed version, [(version, is in a source)])} from `apt-cache policy`."""
    out, name, version = {}, "", ""
    for line in text.splitlines():
        head = re.match(r"^(\S+):$", line)
        if head:
            name, version = head.group(1), ""
            out[name] = ["", []]
        elif name and line.startswith("  Installed: "):
            out[name][0] = line.split(": ", 1)[1].strip()
        elif name:
            row = re.match(r"^ (?:\*\*\*|   ) (\S+) -?\d+$", line)
            if row:
                version = row.group(1)
                out[name][1].append([version, False])
            elif version and re.match(r"^ +-?\d+ (?!/var/lib/dpkg/status)\S", line):
                out[name][1][-1][1] = True
    return {key: (installed, [tuple(row) for row in rows]) for key, (installed, rows) in out.items()}


def obsolete(policy):
    """[(package, version)] whose installed version is in no source and older than nothing there. Pure.

    apt lists versions newest first: one listed above the installed one is an open upgrade, told elsewhere.
    """
    out = []
    for name, (installed, rows) in sorted(policy.items()):
        if installed in ("", "(none)"):
            continue
        versions = [version for version, _there in rows]
        if installed not in versions:
            continue
        index = versions.index(installed)
        if not rows[index][1] and not any(there for _version, there in rows[:index]):
            out.append((name, installed))
    return out


def unknown(context):
    """Names of the installed packages that are in no configured source, [] while a source fails (PF07 tells)."""
    return [name for name, _version in _obsolete(context)]


def _obsolete(context):
    def look():
        path, result = _apt.refreshed(context)
        if result.rc != 0:
            return []
        return obsolete(parse_policy(context.host.run(["apt-cache", "-c", path, "policy"] + context.installed(), timeout=180).text))

    return context.once("obsolete", look)


def foreign(context):
    """PF07: every installed package comes from a configured source, or is accepted by name."""
    if _apt.refreshed(context)[1].rc != 0:
        return [
            Finding(
                id="packages.foreign.unseen",
                severity="info",
                subject="packages",
                title="which packages come from no source can't be told while a source fails",
                remedy="clear the findings on sources first",
            )
        ]
    found = []
    for name, version in _obsolete(context):
        entry = accepted(context.options.get("accepted_packages"), "package", name)
        if entry:
            found.append(
                Finding(
                    id="packages.foreign.accepted",
                    severity="info",
                    subject=name,
                    title="from no configured source, accepted",
                    evidence="version %s; %s" % (version, entry.get("reason", "")),
                )
            )
        else:
            found.append(
                Finding(
                    id="packages.foreign",
                    severity="warning",
                    subject=name,
                    title="this package comes from no configured source: nobody will upgrade it",
                    evidence="version %s" % version,
                    remedy="find a source of it for %s, remove it, or name it in preflight_accepted_packages with the reason" % context.target(),
                )
            )
    return found


def minimum_versions(context):
    """PF31: packages whose installed version decides how the upgrade goes, above all sshd."""
    found = []
    for name, wanted in sorted((context.release_path.get("minimum_versions") or {}).items()):
        if not context.installed(name):
            continue
        version = context.packages()[name][0]
        if context.host.run(["dpkg", "--compare-versions", version, "ge", wanted["version"]], check=False).rc == 0:
            continue
        ident = "access.sshd.old" if name == "openssh-server" else "packages.too-old"
        found.append(
            Finding(
                id=ident,
                severity="blocker",
                subject=name,
                title="too old to go through the upgrade safely",
                evidence="installed %s, needed %s; %s" % (version, wanted["version"], wanted.get("reason", "")),
                remedy="apt-get update && apt-get install %s, then run check-host again" % name,
            )
        )
    if "openssh-server" not in (context.release_path.get("minimum_versions") or {}) and context.installed("openssh-server"):
        found.append(
            Finding(
                id="access.sshd.unjudged",
                severity="warning",
                subject="openssh-server",
                title="the release path says nothing about the version of sshd that takes new connections throughout",
                remedy="add openssh-server to minimum_versions of the release path, or keep a second way in open",
            )
        )
    return found
