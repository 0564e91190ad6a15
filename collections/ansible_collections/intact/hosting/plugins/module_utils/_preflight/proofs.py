# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Is there a proven backup, and a proven export of the control panel: the sockets that those roles plug into (PF33, PF34)."""

from __future__ import annotations

import datetime

from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError, parse_time

NEEDED = ("kind", "taken", "host", "digest")
# What keeps its settings to itself, outside of plain configuration files: name -> a path that only it has.
PANELS = {
    "plesk": "/usr/local/psa/version",
    "cpanel": "/usr/local/cpanel/version",
    "directadmin": "/usr/local/directadmin/directadmin",
    "virtualmin": "/etc/webmin/virtual-server",
    "hestiacp": "/usr/local/hestia/conf/hestia.conf",
    "ispconfig": "/usr/local/ispconfig/server",
    "cyberpanel": "/usr/local/CyberCP",
    "modoboa": "/srv/modoboa",
    "mailman": "/usr/lib/mailman3",
    "postfixadmin": "/usr/share/postfixadmin",
}


def check_proofs(proofs):
    """Raise IntactError for a proof document that does not say what it proves."""
    for proof in proofs:
        missing = [key for key in NEEDED if not str(proof.get(key) or "").strip()]
        if missing:
            raise IntactError("proof %s lacks %s: a proof names kind, taken (a date), host and digest" % (proof.get("kind") or proof, ", ".join(missing)))
        parse_time(proof["taken"])


def judge(proofs, kind, names, hours, now):
    """Whether some proof of this kind holds: (proof or None, why the newest does not). Pure.

    names: what this host may be called in a proof (machine-id, host names). hours: how old a proof may be.
    """
    ours = [proof for proof in proofs if proof["kind"] == kind]
    if not ours:
        return None, "no proof document was given"
    newest = max(ours, key=lambda proof: parse_time(proof["taken"]))
    if newest["host"] not in names:
        return None, "the proof is about %s, this host is %s" % (newest["host"], " or ".join(names))
    age = now - parse_time(newest["taken"])
    if age > datetime.timedelta(hours=hours):
        return None, "the newest proof is %d hours old (%s), %d are allowed" % (age.total_seconds() // 3600, newest["taken"], hours)
    if age < datetime.timedelta(minutes=-5):
        return None, "the proof is from the future: %s" % newest["taken"]
    if str(newest.get("result", "proven")) != "proven":
        return None, "the proof itself says %s" % newest["result"]
    return newest, ""


def _names(context):
    host = context.host
    return [
        name
        for name in (host.text("/etc/machine-id").strip(), host.text("/proc/sys/kernel/hostname").strip(), context.options.get("inventory_name") or "")
        if name
    ]


def _judge(context, kind, label, remedy):
    hours = float(context.options.get("proof_max_hours") or 24)
    now = datetime.datetime.now(datetime.timezone.utc)
    check_proofs(context.proofs)
    proof, why = judge(context.proofs, kind, _names(context), hours, now)
    subject = label
    if proof:
        return [
            Finding(
                id="%s.proven" % kind.split(":")[0],
                severity="info",
                subject=subject,
                title="proven",
                evidence="taken %s, digest %s" % (proof["taken"], proof["digest"]),
            )
        ]
    return [
        Finding(
            id="%s.unproven" % kind.split(":")[0],
            severity="blocker",
            subject=subject,
            title="nobody has proven that it can be restored",
            evidence=why,
            remedy=remedy,
        )
    ]


def backup(context):
    """PF33: a backup exists, is young, and was read back."""
    return _judge(
        context,
        "backup",
        context.options.get("inventory_name") or context.host.text("/proc/sys/kernel/hostname").strip(),
        (
            "make a backup, restore from it into an empty place and compare; then give its proof in preflight_proofs or as /var/lib/intact/proofs/backup.json "
            "(kind: backup, taken, host, digest), or waive backup.unproven with a reason"
        ),
    )


def panel(context):
    """PF34: the settings of every control panel on this host were exported and the export was read back."""
    found = []
    for name, path in sorted(PANELS.items()):
        if context.host.exists(path):
            found += _judge(
                context,
                "panel:%s" % name,
                name,
                "export %s's settings, read the export back and compare the counts; then give its proof (kind: 'panel:%s') as for the backup, or "
                "waive panel.unproven with a reason" % (name, name),
            )
    return found or [
        Finding(
            id="panel.none",
            severity="info",
            subject="control panel",
            title="no control panel found on this host",
            evidence="looked for " + ", ".join(sorted(PANELS)),
        )
    ]
