# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Is this pair of releases a supported step, and is the host ready to leave the old one (PF01, PF02, PF03)."""

from __future__ import annotations

import re

from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding


def pair(context):
    """PF01: the host runs the release that the release path starts from, and a path of Debian is one step (other engines judge how far they go)."""
    os_release = context.os_release()
    source, target = context.release_path.get("source") or {}, context.release_path.get("target") or {}
    runs = "%s %s" % (os_release.get("ID", "?"), os_release.get("VERSION_ID", "?"))
    name = os_release.get("PRETTY_NAME") or runs
    if not context.release_path:
        return [
            Finding(
                id="release.path.none",
                severity="info",
                subject=name,
                title="no release path starts from what this host runs",
                evidence="only the checks that need none were run",
                remedy="nothing to upgrade: run verify-host to see that it is well",
            )
        ]
    if is_release(os_release, target):
        return [
            Finding(
                id="release.reached",
                severity="info",
                subject=name,
                title="this host already runs the target release",
                remedy="nothing to upgrade: run verify-host to see that it is well",
            )
        ]
    by_one = (context.release_path.get("engine") or target.get("id")) == "debian"
    if by_one and source.get("id") == target.get("id") and steps(source.get("version"), target.get("version")) != 1:
        return [
            Finding(
                id="release.path.unsupported",
                severity="blocker",
                subject=context.release_path.get("name", "release path"),
                title="this path does not go exactly one release ahead",
                evidence="from %s to %s" % (source.get("version"), target.get("version")),
                remedy="use one path per release, with a full check before and after each",
            )
        ]
    if is_release(os_release, source):
        return []
    hops = steps(os_release.get("VERSION_ID"), target.get("version"))
    remedy = "choose the path that starts from %s with intact_release_path" % runs
    if by_one and os_release.get("ID") == target.get("id") and hops and hops > 1:
        first = int(float(os_release["VERSION_ID"]))
        remedy = "upgrade one release at a time, with a full check before and after each: " + " -> ".join(str(first + n) for n in range(hops + 1))
    return [
        Finding(
            id="release.unsupported",
            severity="blocker",
            subject=name,
            title="the release path does not start from what this host runs",
            evidence="host: %s; path: %s %s to %s %s" % (runs, source.get("id"), source.get("version"), target.get("id"), target.get("version")),
            remedy=remedy,
        )
    ]


def is_release(os_release, release):
    """Whether a host's os-release is this release's ({id, version}): a version without a minor one means all of them (AlmaLinux 8 is 8.10 too). Pure."""
    runs, version = os_release.get("VERSION_ID", ""), str(release.get("version"))
    return os_release.get("ID") == release.get("id") and (runs == version or ("." not in version and runs.split(".")[0] == version))


def steps(older, newer):
    """Releases from one version to another, by whole numbers; None when they are not numbers."""
    try:
        return int(float(newer)) - int(float(older))
    except (TypeError, ValueError):
        return None


def patched(context):
    """PF02: nothing is left to upgrade within the source release."""
    left = context.planned("patch")
    if not left:
        return []
    names = ", ".join(entry["name"] for entry in left[:8]) + (" and %d more" % (len(left) - 8) if len(left) > 8 else "")
    # The upgrade's own first stage does this; without it a person has to.
    does_it = "patch-source" in (context.plan.get("stages") or [])
    return [
        Finding(
            id="packages.unpatched",
            severity="warning" if does_it else "blocker",
            subject="%d packages" % len(left),
            title="the source release is not fully patched",
            evidence=names,
            remedy="the upgrade patches the source release first (stage patch-source), in the window; to do it before: apt-get update && apt-get dist-upgrade"
            if does_it
            else "apt-get update && apt-get dist-upgrade, reboot, then run check-host again",
            details={"packages": [entry["name"] for entry in left]},
        )
    ]


def newest_kernel(images, compare):
    """The newest of kernel releases; compare(a, b) is True when a is newer than b."""
    best = None
    for image in images:
        if best is None or compare(image, best):
            best = image
    return best


def reboot(context):
    """PF03: the newest installed kernel is running and nothing asks for a reboot."""
    found = []
    for flag in ("/run/reboot-required", "/var/run/reboot-required"):
        if context.host.exists(flag):
            wants = " ".join(sorted(set(context.host.text(flag + ".pkgs").split()))) or "no package named"
            found.append(
                Finding(
                    id="reboot.required",
                    severity="blocker",
                    subject=flag,
                    title="the host waits for a reboot",
                    evidence="asked for by: " + wants,
                    remedy="reboot in a window, then run check-host again",
                )
            )
            break
    if context.container():
        found.append(
            Finding(
                id="kernel.unseen",
                severity="info",
                subject="kernel",
                title="the kernel can't be judged here: this is a %s container" % context.container(),
                evidence="the running kernel belongs to the machine below",
                remedy="nothing to do in this container",
            )
        )
        return found
    images = [p[len("linux-image-") :] for p in context.installed("linux-image-[0-9]*") if not p.endswith("-dbg")]
    images = [re.sub(r"-unsigned$", "", image) for image in images]
    running = context.host.kernel()
    if not images:
        found.append(
            Finding(
                id="kernel.foreign",
                severity="warning",
                subject=running,
                title="the running kernel is from no installed package",
                remedy="find out who supplies this host's kernel (provider, rescue, own build) before a reboot depends on it",
            )
        )
        return found

    def newer(one, other):
        return context.host.run(["dpkg", "--compare-versions", one, "gt", other], check=False).rc == 0

    newest = newest_kernel(images, newer)
    if running != newest:
        found.append(
            Finding(
                id="kernel.old",
                severity="blocker",
                subject=running,
                title="a newer kernel is installed than the one that runs",
                evidence="installed: " + ", ".join(sorted(images)),
                remedy="reboot into %s in a window, then run check-host again" % newest,
            )
        )
    return found
