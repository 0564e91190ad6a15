# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Is the host on the target release, and do its sources say so (QF01, QF02, QF35)."""

from __future__ import annotations

import re

from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding


def os_release(text):
    """{KEY: value} of an os-release file's text."""
    out = {}
    for line in text.splitlines():
        key, sep, value = line.partition("=")
        if sep and not key.startswith("#"):
            out[key.strip()] = value.strip().strip("\"'")
    return out


def target_reached(context):
    """QF01: version and codename are the target's."""
    target = context.release_path.get("target") or {}
    if not target:
        return []
    seen = os_release(context.host.text("/etc/os-release"))
    have = (seen.get("ID"), seen.get("VERSION_ID"), seen.get("VERSION_CODENAME"))
    want = (target.get("id"), str(target.get("version")), target.get("codename"))
    if have == want:
        return []
    return [
        Finding(
            id="release.unreached",
            severity="blocker",
            subject="%s %s" % (target.get("id"), target.get("version")),
            title="the host is not on the target release",
            evidence="/etc/os-release says %s %s (%s)" % have,
            remedy="start upgrade-host again: it continues where it stopped",
        )
    ]


def kernel(context):
    """QF02: the running kernel is the newest installed one."""
    listed = context.host.glob("/boot/vmlinuz-*")
    running = context.host.run(["uname", "-r"]).text.strip()
    if not listed:
        return [
            Finding(
                id="kernel.none",
                severity="info",
                subject="kernel %s" % running,
                title="no kernel is installed on this host (a container, or one started by its hypervisor): not judged",
            )
        ]
    ordered = sorted((path.rsplit("/vmlinuz-", 1)[1] for path in listed), key=version_key)
    if running == ordered[-1]:
        return []
    return [
        Finding(
            id="kernel.old",
            severity="blocker",
            subject="kernel %s" % running,
            title="a newer kernel is installed and not running",
            evidence="/boot holds %s" % ", ".join(ordered),
            remedy="check the boot loader's default entry and reboot",
        )
    ]


def version_key(text):
    """Sort key that puts 6.12.9 before 6.12.10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.findall(r"\d+|[^\d]+", text)]


def targets_of(indextargets):
    """(codename or suite, site, file) rows from `apt-get indextargets --format`."""
    rows = []
    for line in indextargets.splitlines():
        parts = line.split("|")
        if len(parts) == 4:
            rows.append(tuple(parts))
    return rows


def sources_committed(context):
    """QF35: every source that follows the release points to the target, and apt reads all without an error."""
    suites = context.release_path.get("suites") or {}
    if not suites:
        return []
    said = context.host.run(["apt-get", "indextargets", "--format", "$(RELEASE)|$(CODENAME)|$(SUITE)|$(REPO_URI)"], check=False)
    found = []
    if said.rc != 0:
        return [
            Finding(
                id="sources.unreadable",
                severity="blocker",
                subject="/etc/apt",
                title="apt cannot read its sources",
                evidence=said.error,
                remedy="repair the file that apt names",
            )
        ]
    old = set(suites) - {new for new in suites.values() if new}
    for release, codename, _suite, uri in sorted(set(targets_of(said.text))):
        if release in old:
            found.append(
                Finding(
                    id="sources.old",
                    severity="blocker",
                    subject="%s %s" % (uri, release),
                    title="a source still names the old release",
                    evidence="release %s, codename %s" % (release, codename),
                    remedy="name the target's suite there, or disable the source by a rule in preflight_source_map",
                )
            )
    done = context.host.run(
        [
            "apt-get",
            "-q",
            "update",
            "-o",
            "APT::Update::Error-Mode=any",
            "-o",
            "Dir::State::lists=%s" % context.options["scratch"],
            "-o",
            "Dir::Cache::pkgcache=",
            "-o",
            "Dir::Cache::srcpkgcache=",
            "-o",
            "APT::Sandbox::User=root",
        ],
        timeout=300,
        check=False,
    )
    if done.rc != 0:
        found.append(
            Finding(
                id="sources.update",
                severity="warning",
                subject="apt-get update",
                title="a source gives an error",
                evidence=done.error[-600:],
                remedy="repair or disable the source that apt names",
            )
        )
    return found
