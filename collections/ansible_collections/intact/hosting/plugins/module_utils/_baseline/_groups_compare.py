# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What a difference between groups or quotas means, and the shape that all findings of the accounts section have. Pure."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._baseline._compare import details
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding

FILES = ("/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow", "/etc/subuid", "/etc/subgid")
FIRST_UID = 1000


def person(uid):
    """Whether a uid is a customer's, a person's or root's, and not a service's."""
    return uid == 0 or (uid >= FIRST_UID and uid not in (65534, 65535))


def make(name, severity, subject, title, evidence, remedy, change, attribute, before, after, covers=(), **more):
    """A finding of this section; every one explains why the account files have changed."""
    return Finding(
        id="accounts." + name,
        severity=severity,
        subject=subject,
        check="QF23",
        title=title,
        evidence=evidence,
        remedy=remedy,
        details=details(change, attribute, before, after, **more),
        covers=list(covers) + [{"section": "files", "path": path, "told": True} for path in FILES],
    )


def group(subject, was, now, system):
    """Findings for one group; names of new system groups are added to system."""
    name, out = subject.split(" ", 1)[1], []
    if now is None:
        people = was["gid"] >= FIRST_UID or was["members"]
        return [
            make(
                "group.missing",
                "blocker" if people else "warning",
                subject,
                "the group is gone",
                "was gid %d with %s" % (was["gid"], ", ".join(was["members"]) or "no members"),
                "groupadd -g %d %s, then add its members" % (was["gid"], name),
                "missing",
                "",
                was["gid"],
                None,
                [{"section": "files", "id": "files.owner.*", "subject": "group " + name}],
            )
        ]
    if was is None:
        if now["gid"] < FIRST_UID:
            if name not in system:
                system.append(name)
            return []
        return [
            make(
                "group.new",
                "warning",
                subject,
                "a new group",
                "gid %d with %s" % (now["gid"], ", ".join(now["members"]) or "no members"),
                "expected? then allow it with a reason",
                "new",
                "",
                None,
                now["gid"],
            )
        ]
    if was["gid"] != now["gid"]:
        out.append(
            make(
                "group.gid.changed",
                "blocker",
                subject,
                "the group has another number",
                "before: %d; now: %d" % (was["gid"], now["gid"]),
                "groupmod -g %d %s" % (was["gid"], name),
                "changed",
                "gid",
                was["gid"],
                now["gid"],
                [
                    {"section": "files", "id": "files.owner.*", "subject": "group " + name},
                    {"section": "accounts", "id": "accounts.gid.changed", "details": {"before": was["gid"], "after": now["gid"]}},
                ],
            )
        )
    for member in was["members"]:
        if member not in now["members"]:
            out.append(
                make(
                    "group.member.lost",
                    "blocker",
                    "%s in %s" % (member, subject),
                    "the account is no longer in the group",
                    "members now: %s" % (", ".join(now["members"]) or "none"),
                    "gpasswd -a %s %s" % (member, name),
                    "changed",
                    "members",
                    member,
                    None,
                    member=member,
                )
            )
    for member in now["members"]:
        if member not in was["members"]:
            out.append(
                make(
                    "group.member.new",
                    "warning",
                    "%s in %s" % (member, subject),
                    "the account is in one more group",
                    "members before: %s" % (", ".join(was["members"]) or "none"),
                    "expected? then allow it with a reason; else gpasswd -d %s %s" % (member, name),
                    "changed",
                    "members",
                    None,
                    member,
                    member=member,
                )
            )
    return out


def quota(subject, was, now):
    """The finding for one changed quota."""
    words = ["none" if i is None else "blocks %(blocks_soft)d/%(blocks_hard)d, files %(files_soft)d/%(files_hard)d" % i for i in (was, now)]
    return make(
        "quota.changed",
        "warning" if was is None else "blocker",
        subject,
        "the quota has changed" if was and now else "the quota is gone" if was else "a new quota",
        "before: %s; now: %s (soft/hard)" % tuple(words),
        "setquota, or the control panel",
        "missing" if now is None else "new" if was is None else "changed",
        "limits",
        words[0],
        words[1],
    )
