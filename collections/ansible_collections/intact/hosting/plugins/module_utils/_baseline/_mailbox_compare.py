# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Judge two captures of one mailbox: folders and messages that are gone, filters and passwords that differ. Pure."""

from __future__ import annotations

import collections

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _compare
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding

RESTORE = "restore it from the backup, or allow the change with a reason if the customer did it"


def finding(name, severity, subject, title, evidence, change, attribute, before, after, paths, check="QF17", remedy=RESTORE, covers=None):
    """A finding of the mail section; it covers the files among its paths unless covers names others."""
    files = [p for p in paths if p.startswith("/")]
    return Finding(
        id="mail." + name,
        severity=severity,
        subject=subject,
        title=title,
        evidence=evidence,
        remedy=remedy,
        check=check,
        details=_compare.details(change, attribute, before, after, paths=paths),
        covers=[{"section": "files", "path": p} for p in (files if covers is None else covers)],
    )


def mailbox(user, was, now):
    """Findings for one mailbox; was and now are items of kind mailbox, or None."""
    if now is None:
        count = sum(f["messages"] or 0 for f in was["folders"].values())
        return [
            finding(
                "mailbox.missing",
                "blocker",
                user,
                "the mailbox is gone",
                "it held %d messages in %d folders" % (count, len(was["folders"])),
                "missing",
                "",
                count,
                None,
                was["paths"],
            )
        ]
    if was is None:
        return [
            finding(
                "mailbox.new",
                "warning",
                user,
                "a mailbox that was not there before",
                "%d folders" % len(now["folders"]),
                "new",
                "",
                None,
                None,
                now["paths"],
                remedy="find out who made it",
            )
        ]
    out = []
    everywhere = collections.Counter(i for f in now["folders"].values() for i in f.get("ids", []))
    kept = collections.Counter()
    for name, folder in now["folders"].items():
        if name in was["folders"] and was["folders"][name]["by"] == folder["by"]:
            kept.update(collections.Counter(was["folders"][name].get("ids", [])) & collections.Counter(folder.get("ids", [])))
    # messages that stand in another folder than before were moved, not lost
    spare = everywhere - kept
    for name in sorted(was["folders"]):
        out += _folder(user, name, was["folders"][name], now["folders"].get(name), spare)
    out += _attributes(user, was, now)
    return out


def _folder(user, name, was, now, spare):
    subject, paths = "%s: %s" % (user, name), [p for p in (was.get("path"),) if p]
    if now is None:
        return [
            finding(
                "folder.missing",
                "blocker",
                subject,
                "the mailbox's folder is gone",
                "it held %s messages" % was["messages"],
                "missing",
                "",
                was["messages"],
                None,
                paths,
            )
        ]
    if was["digest"] == now["digest"] and was["by"] == now["by"] and was["messages"] == now["messages"]:
        return _flags(subject, was, now, paths)
    if was["messages"] is None or now["messages"] is None:
        if (now.get("bytes") or 0) < (was.get("bytes") or 0):
            return [
                finding(
                    "messages.lost",
                    "blocker",
                    subject,
                    "the folder is smaller",
                    "%s bytes, now %s" % (was.get("bytes"), now.get("bytes")),
                    "changed",
                    "bytes",
                    was.get("bytes"),
                    now.get("bytes"),
                    paths,
                )
            ]
        return []
    if "ids" in was and "ids" in now and was["by"] == now["by"]:
        missing = collections.Counter(was["ids"]) - collections.Counter(now["ids"])
        moved = missing & spare
        spare.subtract(moved)
        lost = sum((missing - moved).values())
        if not lost:
            return []
        fresh = sum((collections.Counter(now["ids"]) - collections.Counter(was["ids"])).values())
        if now["messages"] == was["messages"] and fresh >= lost:
            return [
                finding(
                    "messages.changed",
                    "blocker",
                    subject,
                    "messages changed",
                    "%d of %d messages have other content" % (lost, was["messages"]),
                    "changed",
                    "messages",
                    was["messages"],
                    now["messages"],
                    paths,
                )
            ]
        return [
            finding(
                "messages.lost",
                "blocker",
                subject,
                "messages are gone",
                "%d of %d messages, %d others came in" % (lost, was["messages"], fresh),
                "changed",
                "messages",
                was["messages"],
                now["messages"],
                paths,
            )
        ]
    if now["messages"] < was["messages"]:
        return [
            finding(
                "messages.lost",
                "blocker",
                subject,
                "messages are gone",
                "%d messages, now %d" % (was["messages"], now["messages"]),
                "changed",
                "messages",
                was["messages"],
                now["messages"],
                paths,
            )
        ]
    if was["by"] != now["by"] or was["digest"] == now["digest"]:
        return []  # not looked at in the same way: the capture that looked less says so itself
    same = now["messages"] == was["messages"]
    return [
        finding(
            "messages.changed" if same else "messages.uncertain",
            "blocker" if same else "warning",
            subject,
            "messages changed" if same else "messages came in, and whether earlier ones are gone can't be told",
            "%d messages, now %d; a folder of this size is not kept message by message" % (was["messages"], now["messages"]),
            "changed",
            "messages",
            was["messages"],
            now["messages"],
            paths,
            remedy=RESTORE if same else "raise messages_listed in the mail section's options before the next capture",
        )
    ]


def _flags(subject, was, now, paths):
    # marks that disappear from many messages at once were not taken away by a reader
    fallen = {k: (v, now["flags"].get(k, 0)) for k, v in was["flags"].items() if now["flags"].get(k, 0) < v and k != "deleted"}
    if not any(new == 0 or old - new > max(5, old // 4) for old, new in fallen.values()):
        return []
    return [
        finding(
            "flags.lost",
            "warning",
            subject,
            "messages lost their marks",
            ", ".join("%s on %d, now %d" % (k, a, b) for k, (a, b) in sorted(fallen.items())),
            "changed",
            "flags",
            was["flags"],
            now["flags"],
            paths,
        )
    ]


def _attributes(user, was, now):
    out, paths = [], was["paths"]
    # a folder that is gone is told by itself
    lost = sorted(name for name in set(was["subscriptions"]) - set(now["subscriptions"]) if name in now["folders"])
    if lost:
        out.append(
            finding(
                "subscriptions.lost",
                "warning",
                user,
                "the mailbox lost subscriptions to folders",
                ", ".join(lost),
                "changed",
                "subscriptions",
                was["subscriptions"],
                now["subscriptions"],
                paths,
                covers=[],
            )
        )
    changes = [
        "%s %s" % (name, "is gone" if name not in now["filters"] else "changed")
        for name in sorted(was["filters"])
        if now["filters"].get(name) != was["filters"][name]
    ]
    if was["active"] != now["active"]:
        changes.append("the active one was %s, is %s" % (was["active"] or "none", now["active"] or "none"))
    if changes:
        home = was["home"]
        out.append(
            finding(
                "filter.changed",
                "blocker",
                user,
                "the mailbox's filter, forwarding or absence notice changed",
                "; ".join(changes),
                "changed",
                "filters",
                was["filters"],
                now["filters"],
                paths,
                covers=[home + "/" + name for name in was["filters"]] + [home + "/.dovecot.sieve"],
            )
        )
    if was["secret"] and was["secret"] != now["secret"]:
        out.append(
            finding(
                "password.changed",
                "blocker",
                user,
                "the mailbox's password %s" % ("changed" if now["secret"] else "is gone"),
                "",
                "changed",
                "secret",
                None,
                None,
                paths,
                covers=["/etc/dovecot/users"],
            )
        )
    return out
