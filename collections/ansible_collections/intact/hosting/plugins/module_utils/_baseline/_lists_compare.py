# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Judge two captures of mailing lists: lists, members and settings that are gone or differ. Pure."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _compare, _mysql
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding

RESTORE = "restore Mailman's database from the backup, or add them again with mailman addmembers"


def compare(before, after):
    """Findings: lists that are gone, people who are not on them any more, settings that differ."""
    old, new = before.get("items", {}), after.get("items", {})
    source = after.get("source") or before.get("source") or {}
    out = []
    for name in sorted(set(old) | set(new)):
        was, now = old.get(name), new.get(name)
        if now is None:
            people = sum(len(role) for role in was["people"].values())
            out.append(
                _finding("missing", "blocker", name, "the mailing list is gone", "it had %d people" % people, "missing", "", None, None, source, "mailinglist")
            )
        elif was is None:
            out.append(
                _finding(
                    "new",
                    "warning",
                    name,
                    "a mailing list that was not there before",
                    "",
                    "new",
                    "",
                    None,
                    None,
                    source,
                    "mailinglist",
                    remedy="find out who made it",
                )
            )
        else:
            out += _people(name, was, now, source) + _settings(name, was, now, source)
    for path in sorted(before.get("templates", {})):
        if after.get("templates", {}).get(path) != before["templates"][path]:
            out.append(
                _finding(
                    "template.changed", "warning", path, "a template of Mailman changed or is gone", "", "changed", "template", None, None, source, "template"
                )
            )
            out[-1].covers.append({"section": "files", "path": path})
    return out


def _people(name, was, now, source):
    out = []
    for role in sorted(set(was["people"]) | set(now["people"])):
        had, has = was["people"].get(role, {}), now["people"].get(role, {})
        lost = sorted(set(had) - set(has))
        if len(lost) > 5:
            out.append(
                _finding(
                    "members.lost",
                    "blocker",
                    "%s: %d of %d %ss" % (name, len(lost), len(had), role),
                    "people are no longer on the list",
                    ", ".join(lost[:10]),
                    "missing",
                    role,
                    lost,
                    None,
                    source,
                    "member",
                )
            )
        else:
            out += [
                _finding(
                    "member.lost",
                    "blocker",
                    "%s: %s" % (name, address),
                    "a %s is no longer on the list" % role,
                    "%d %ss, now %d" % (len(had), role, len(has)),
                    "missing",
                    role,
                    address,
                    None,
                    source,
                    "member",
                )
                for address in lost
            ]
        if role != "nonmember":
            fresh = sorted(set(has) - set(had))
            if fresh:
                severity = "info" if role == "member" else "warning"
                out.append(
                    _finding(
                        "member.new",
                        severity,
                        "%s: %s" % (name, ", ".join(fresh[:3]) + (" …" if len(fresh) > 3 else "")),
                        "%d %ss were added" % (len(fresh), role),
                        ", ".join(fresh[:10]),
                        "new",
                        role,
                        None,
                        fresh,
                        source,
                        "member",
                        remedy="nothing, if they joined themselves",
                    )
                )
        differ = sorted(a for a in set(had) & set(has) if had[a] != has[a])
        for address in differ[:5]:
            words = [
                "%s was %s, is %s" % (k, had[address].get(k), has[address].get(k))
                for k in sorted(set(had[address]) | set(has[address]))
                if had[address].get(k) != has[address].get(k)
            ]
            out.append(
                _finding(
                    "member.changed",
                    "warning",
                    "%s: %s" % (name, address),
                    "a %s's delivery or moderation changed" % role,
                    "; ".join(words),
                    "changed",
                    role,
                    had[address],
                    has[address],
                    source,
                    "member",
                )
            )
    return out


def _settings(name, was, now, source):
    # a setting that only the later version knows is no change; one that had a value and is not there any more was lost
    common = set(was["settings"]) & set(now["settings"])
    lost = sorted(k for k in set(was["settings"]) - common if was["settings"][k] not in (None, ""))
    words = ["no longer there: %s" % ", ".join(lost)] if lost else []
    words += ["%s was %r, is %r" % (k, was["settings"][k], now["settings"][k]) for k in sorted(common) if was["settings"][k] != now["settings"][k]]
    if was["bans"] != now["bans"]:
        words.append("banned were %s, are %s" % (", ".join(was["bans"]) or "none", ", ".join(now["bans"]) or "none"))
    if not words:
        return []
    return [
        _finding(
            "settings.changed",
            "warning",
            name,
            "the list's settings changed",
            "; ".join(words)[:1000],
            "changed",
            "settings",
            None,
            None,
            source,
            "mailinglist",
            remedy="compare with the backup of Mailman's database",
        )
    ]


def _finding(kind, severity, subject, title, evidence, change, attribute, before, after, source, table, remedy=RESTORE):
    paths, covers = ["service:mailman3.service"], []
    if source.get("kind") == "sqlite":
        paths.append(source["database"])
        covers.append({"section": "files", "path": source["database"]})
    elif source:
        paths += ["database:" + source["database"], "service:%s" % ("mariadb.service" if source["kind"] == _mysql.NAME else "postgresql.service")]
        middle = "" if source["kind"] == _mysql.NAME else ".public"
        # the same event as the databases section sees it
        covers += [
            {"section": "databases", "subject": "%s:%s%s.%s" % (source["kind"], source["database"], middle, t)}
            for t in ({table, "preferences", "address", "user"} if table == "member" else {table})
        ]
    covers.append({"section": "mail", "path": "/var/lib/mailman3/data"})
    return Finding(
        id="lists." + kind,
        severity=severity,
        subject=subject,
        title=title,
        evidence=evidence,
        remedy=remedy,
        check="QF17",
        details=_compare.details(change, attribute, before, after, paths=paths),
        covers=covers,
    )
