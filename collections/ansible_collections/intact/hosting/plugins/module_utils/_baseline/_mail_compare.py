# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Judge two captures of mail: what a mailbox's owner would miss, and what the mail server no longer offers. Pure."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._baseline._mailbox_compare import finding, mailbox


def compare(before, after):
    """Findings: mailboxes, folders and messages that are gone, aliases and settings that differ, ports that offer less."""
    old, new = before.get("items", {}), after.get("items", {})
    broken = {item["path"] for item in new.values() if item["kind"] == "table" and item.get("error")}
    broken |= {item["path"] for s, item in old.items() if item["kind"] == "table" and s not in new}
    out = []
    for subject in sorted(set(old) | set(new)):
        was, now = old.get(subject), new.get(subject)
        kind = (now or was)["kind"]
        if kind == "mailbox":
            out += mailbox(subject, was, now)
        elif kind == "port":
            out += _port(subject, was, now)
        elif kind == "setting":
            if was != now:
                path = (now or was).get("path", "/etc/postfix/main.cf")
                out.append(
                    finding(
                        "setting.changed",
                        "warning",
                        subject,
                        "%s's setting differs" % subject.split(" ")[0].capitalize(),
                        "was %s, is %s" % tuple(repr(i["value"]) if i else "not set" for i in (was, now)),
                        "changed",
                        "value",
                        was and was["value"],
                        now and now["value"],
                        [path],
                        remedy="compare %s with the backup" % path.rpartition("/")[2],
                    )
                )
        elif kind == "table":
            out += _table_change(subject, was, now)
        elif was != now and (now or was)["path"] not in broken:
            out.append(_entry(subject, was, now))
    return out


def _entry(subject, was, now):
    kind, name = subject.split(" ", 1)
    path = (now or was)["path"]
    covers = [path, path + ".db", path + ".lmdb", path + ".cdb"]
    if now is None:
        return finding(
            "%s.missing" % kind,
            "blocker",
            subject,
            "the %s is gone" % kind,
            "it led to %s" % was["value"],
            "missing",
            "",
            was["value"],
            None,
            [path],
            covers=covers,
        )
    if was is None:
        return finding(
            "%s.new" % kind,
            "warning",
            subject,
            "%s was not there before" % name,
            "it leads to %s" % now["value"],
            "new",
            "",
            None,
            now["value"],
            [path],
            remedy="find out who made it",
            covers=covers,
        )
    return finding(
        "%s.changed" % kind,
        "blocker",
        subject,
        "the %s leads elsewhere" % kind,
        "was %s, is %s" % (was["value"], now["value"]),
        "changed",
        "value",
        was["value"],
        now["value"],
        [path],
        covers=covers,
    )


def _table_change(subject, was, now):
    if was and now and now.get("error") and not was.get("error"):
        return [
            finding(
                "table.unread",
                "blocker",
                subject,
                "the mail server's table can't be read",
                "%d entries before; %s" % (was.get("entries", 0), now["error"]),
                "changed",
                "error",
                None,
                now["error"],
                [now["path"]],
                remedy="rebuild it with postmap, or change its type",
            )
        ]
    if was and now and now.get("error"):
        return [
            finding(
                "table.unread.before",
                "warning",
                subject,
                "the mail server's table can't be read, nor could it before: its entries were not compared",
                now["error"],
                "still",
                "error",
                was["error"],
                now["error"],
                [now["path"]],
                remedy="rebuild it with postmap, or take it out of main.cf",
                covers=[],
            )
        ]
    if now is None:
        return [
            finding(
                "table.missing",
                "blocker",
                subject,
                "the mail server no longer uses the table",
                "it had %d entries" % was.get("entries", 0),
                "missing",
                "",
                None,
                None,
                [was["path"]],
                remedy="compare main.cf with the backup",
            )
        ]
    return []


def _port(subject, was, now):
    number = subject.split()[1]
    paths = ["socket:0.0.0.0:" + number, "socket:[::]:" + number, "socket:*:" + number] + [
        "service:" + u
        for u in (
            ("postfix.service", "postfix@-.service", "exim4.service") if (now or was)["protocol"] == "smtp" else ("dovecot.service", "courier-imap.service")
        )
    ]
    if now is None or (now.get("error") and was):
        title, seen = "%s does not answer" % was["protocol"].upper(), (now or {}).get("error", "nothing listens")
        if was.get("error"):
            told = ("port.unanswered.before", "warning", subject, title + ", nor did it before", seen, "still", "error", was["error"], (now or {}).get("error"))
        else:
            told = ("port.unanswered", "blocker", subject, title, seen, "missing", "", None, None)
        dead = finding(*told, paths, check="QF14", remedy="start its service and look at its log", covers=[])
        # what a dead port can't show of its certificate is no second event
        dead.covers = [{"section": "tls", "path": "mailport:" + number}]
        return [dead]
    if was is None or was.get("error"):
        return [
            finding(
                "port.new",
                "info",
                subject,
                "%s listens where it did not before" % now["protocol"].upper()
                if now.get("error")
                else "%s answers where it did not before" % now["protocol"].upper(),
                now.get("error", ""),
                "new",
                "",
                None,
                None,
                paths,
                check="QF14",
                remedy="",
            )
        ]
    lost = ["STARTTLS"] if was["starttls"] and not now["starttls"] else []
    lost += ["login by %s" % name for name in was["auth"] if name not in now["auth"]]
    lost += ["login"] if was.get("login") and not now.get("login") and not lost else []
    lost += ["greeting %s (now %s)" % (was["greeting"], now["greeting"])] if was["greeting"] != now["greeting"] else []
    gained = ["login by %s" % name for name in now["auth"] if name not in was["auth"]] + (
        ["login without TLS"] if now.get("login") and was.get("login") is False else []
    )
    if lost:
        return [
            finding(
                "port.changed",
                "blocker",
                subject,
                "the server offers less than before",
                "gone: " + ", ".join(lost),
                "changed",
                "offers",
                lost,
                gained,
                paths,
                check="QF14",
                remedy="compare the mail server's configuration with the backup",
            )
        ]
    if gained:
        return [
            finding(
                "port.more",
                "warning",
                subject,
                "the server offers what it did not before",
                ", ".join(gained),
                "changed",
                "offers",
                lost,
                gained,
                paths,
                check="QF14",
                remedy="check that it is meant",
            )
        ]
    return []
