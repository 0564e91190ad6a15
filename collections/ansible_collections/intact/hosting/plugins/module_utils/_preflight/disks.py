# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Will every line of fstab mount again, and are these the disks that were backed up (PF21, PF23)."""

from __future__ import annotations

import re

from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding

KERNEL_NAME = re.compile(r"^/dev/(sd|vd|xvd|hd|nvme)\w+$")
NETWORK = ("nfs", "nfs4", "cifs", "smb3", "ceph", "glusterfs", "sshfs", "fuse.sshfs")
BOOT = ("/", "/boot", "/boot/efi", "/usr", "/var")


def parse_fstab(text):
    """[(line number, source, target, type, [options])] of /etc/fstab."""
    out = []
    for number, line in enumerate(text.splitlines(), 1):
        parts = line.split()
        if len(parts) >= 3 and not parts[0].startswith("#"):
            out.append((number, parts[0], parts[1], parts[2], parts[3].split(",") if len(parts) > 3 else ["defaults"]))
    return out


def fstab(context):
    """PF21: every line of fstab is understood, mounted now, and will find its disk again after the reboot."""
    host, found = context.host, []
    lines = parse_fstab(host.text("/etc/fstab"))
    mounted = {line.split()[1] for line in host.text("/proc/mounts").splitlines() if len(line.split()) > 1}
    seen = {}
    for number, source, target, fstype, options in lines:
        where = "/etc/fstab:%d" % number
        if target in seen and target not in ("none", "swap"):
            found.append(
                Finding(
                    id="mounts.fstab.duplicate",
                    severity="blocker",
                    subject=target,
                    title="two lines of /etc/fstab mount the same place",
                    evidence="lines %d and %d" % (seen[target], number),
                    remedy="remove one of them",
                )
            )
        seen[target] = number
        if KERNEL_NAME.match(source):
            found.append(
                Finding(
                    id="mounts.fstab.name",
                    severity="blocker",
                    subject=target,
                    title="%s is a name that the next kernel may give to another disk" % source,
                    evidence=where,
                    remedy="blkid %s shows its UUID: write UUID=... in line %d of /etc/fstab" % (source, number),
                )
            )
        if fstype == "swap" or "noauto" in options or "x-systemd.automount" in options or target in ("none", "swap"):
            continue
        if target not in mounted:
            found.append(
                Finding(
                    id="mounts.fstab.unmounted",
                    severity="blocker",
                    subject=target,
                    title="fstab wants this mounted and it is not",
                    evidence="%s: %s (%s)" % (where, source, fstype),
                    remedy="mount %s; if it can't be mounted, repair it or take the line out: without nofail the reboot stops at it" % target,
                )
            )
        elif target not in BOOT and "nofail" not in options and fstype not in NETWORK and not source.startswith(("tmpfs", "proc")) and not context.container():
            found.append(
                Finding(
                    id="mounts.fstab.nofail",
                    severity="warning",
                    subject=target,
                    title="if this disk is slow or missing, the reboot stops before SSH is there",
                    evidence=where,
                    remedy="add nofail,x-systemd.device-timeout=30s to its options, or accept this",
                )
            )
    if lines and host.which("findmnt"):
        verified = host.run(["findmnt", "--verify", "--tab-file", "/etc/fstab"], check=False)
        for target, error in parse_verify(verified.text):
            if not any(finding.subject == target for finding in found):
                found.append(
                    Finding(
                        id="mounts.fstab.invalid",
                        severity="blocker",
                        subject=target,
                        title="findmnt finds an error in this line of /etc/fstab",
                        evidence=error,
                        remedy="correct the line; findmnt --verify shows whether it is right",
                    )
                )
    return found


def parse_verify(text):
    """[(target, message)] of the errors that `findmnt --verify` prints; its warnings are left out. [E] marks an error."""
    out, target = [], ""
    for line in text.splitlines():
        if line and not line[0].isspace():
            target = line.strip()
        elif "[E]" in line:
            out.append((target, line.split("[E]", 1)[1].strip()))
    return out


def identity(context):
    """PF23: the disks are those of the inventory that the last proof or flight was made with, and none is unknown."""
    section = context.section("disks")
    if section.get("status") not in ("ok", "partial"):
        return [
            Finding(
                id="disks.unread",
                severity="blocker",
                subject="disks",
                title="nobody could read which disks this host has",
                evidence=section.get("reason") or "the baseline has no disks section",
                remedy="repair what the reason names; the disks section must not be switched off",
            )
        ]
    now = context.items("disks")
    found = []
    if not context.inventories:
        found.append(
            Finding(
                id="disks.first",
                severity="info",
                subject="disks",
                title="no earlier inventory of this host's disks: this look is the first",
                evidence="%d devices" % len(now),
                remedy="look at the list once: from now on it is what later checks compare with",
            )
        )
        idle = [
            (subject, item)
            for subject, item in sorted(now.items())
            if item.get("type") and not item.get("mounts") and not item.get("holders") and item.get("type") != "swap"
        ]
        for subject, item in idle:
            found.append(
                Finding(
                    id="disks.idle",
                    severity="warning",
                    subject=subject,
                    title="a file system that is attached and not mounted",
                    evidence="%s on %s, %s bytes" % (item.get("type"), item.get("path"), item.get("size")),
                    remedy="is it the old disk, or one that should be mounted? Know it before the reboot gives out names anew",
                )
            )
        return found
    newest = context.inventories[0]
    for finding in context.compare_disks({"items": newest["items"]}, {"items": now}):
        finding.check = "PF23"
        finding.evidence = "%s (inventory of %s, %s)" % (finding.evidence, newest["taken"], newest["from"])
        if finding.severity == "blocker":
            finding.remedy = (
                "%s. If the change is wanted and a backup was taken since, remove /var/lib/intact/disks.json on the host: the next check-host takes a "
                "new inventory" % finding.remedy.rstrip(".")
            )
        found.append(finding)
    return found
