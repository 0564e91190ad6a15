# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Queue: the messages that wait in the mail server's queue, one by one; a message that left it was delivered or is lost."""

from __future__ import annotations

import collections
import datetime
import json
import re
import time

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _compare, _exim
from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError

SECTION = "queue"
SENT = re.compile(r"postfix\S*/\w+\[\d+\]: ([0-9A-Za-z]{6,20}): (?:to=<([^>]*)>)?.*\bstatus=(sent|bounced|expired)\b")
DELETED = re.compile(r"postfix\S*/postsuper\[\d+\]: ([0-9A-Za-z]{6,20}): removed")
KEPT = 20000
KEPT_OF_ONE = 20
GONE = ("sent", "bounced", "expired")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
ISO = re.compile(r"^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.\d+)? ?(Z|[+-]\d\d:?\d\d)?")


def capture(system):
    """Items by queue id. Beside them "looked" (when, seconds since 1970) and "left": {queue id: [[when or null, sent | bounced | expired | deleted,
    recipient or ""], ...]} from the newest part of the mail log (option log_bytes)."""
    looked = int(time.time())
    if system.which("postqueue"):
        items, server = _postfix(system), "postfix"
    elif _exim.program(system):
        items, server = _exim.queue(system), "exim"
    else:
        return None
    return {
        "items": items,
        "server": server,
        "looked": looked,
        "left": _left(system, time.time()),
        "summary": {"messages": len(items), "bytes": sum(i["size"] for i in items.values())},
    }


def _postfix(system):
    items = {}
    result = system.run(["postqueue", "-j"], check=False)
    if result.rc != 0 and not result.out:
        raise IntactError("the mail queue can't be read: %s" % (result.error.splitlines() or ["postqueue ended with status %d" % result.rc])[-1])
    for line in result.text.splitlines():
        if not line.startswith("{"):
            continue
        entry = json.loads(line)
        reasons = sorted({r.get("delay_reason", "") for r in entry.get("recipients", [])} - {""})
        items[entry["queue_id"]] = {
            "sender": escape(entry.get("sender", "")),
            "recipients": sorted(escape(r["address"]) for r in entry.get("recipients", [])),
            "arrived": entry.get("arrival_time", 0),
            "size": entry.get("message_size", 0),
            "held": entry.get("queue_name") == "hold",
            "reason": classify(reasons),
        }
    return items


def classify(reasons):
    """One word for why a message waits: the text itself changes with every attempt."""
    text = " ".join(reasons).lower()
    for word, pattern in (
        ("refused", r"connection refused"),
        ("timeout", r"timed out|timeout"),
        ("name", r"host not found|name not found|name service|domain not found|nxdomain|dns"),
        ("tls", r"tls|certificate"),
        ("greylisted", r"greylist|4\d\d 4\.7"),
        ("quota", r"quota|over limit|full"),
        ("unavailable", r"unavailable|no route|unreachable|lost connection"),
    ):
        if re.search(pattern, text):
            return word
    return "other" if text else ""


def moment(line, now):
    """Seconds since 1970 of a log line's beginning (journalctl's short-unix, ISO 8601, or "Nov 22 13:07:02" in local time), or None."""
    unix = re.match(r"^(\d{9,11})\.\d+ ", line)
    if unix:
        return int(unix.group(1))
    try:
        iso = ISO.match(line)
        if iso:
            day, clock, zone = iso.groups()
            if zone:
                return int(datetime.datetime.strptime("%s %s %s" % (day, clock, zone.replace("Z", "+0000")), "%Y-%m-%d %H:%M:%S %z").timestamp())
            return int(time.mktime(time.strptime("%s %s" % (day, clock), "%Y-%m-%d %H:%M:%S")))
        words = line[:15].split()
        if len(words) == 3 and words[0] in MONTHS:
            this_year = time.localtime(now).tm_year
            for year in (this_year, this_year - 1):
                # no year is written: the newest that does not lie ahead
                at = time.mktime(time.strptime("%d-%02d-%s %s" % (year, MONTHS.index(words[0]) + 1, words[1], words[2]), "%Y-%m-%d %H:%M:%S"))
                if at < now + 86400:
                    return int(at)
    except (ValueError, OverflowError):
        pass
    return None


def _left(system, now):
    """What the log says of queue ids that left the queue, oldest first."""
    limit, left = int(system.options.get("log_bytes", 32 * 2**20)), {}
    text = ""
    for path in ("/var/log/mail.log.1", "/var/log/mail.log", "/var/log/exim4/mainlog.1", "/var/log/exim4/mainlog"):
        if system.exists(path):
            text += (system.read(path) or b"")[-limit:].decode("utf-8", "replace")
    if system.which("journalctl"):
        # Debian 12 and later write no mail.log unless rsyslog is installed
        argv = ["journalctl", "-q", "--no-pager", "-o", "short-unix", "-n", "200000", "-S", "-7d", "--facility", "mail"]
        text += system.run(argv, check=False, timeout=60).text[-limit:]
    for line in text.splitlines():
        for pattern in (SENT, DELETED, _exim.DELETED, _exim.GONE):
            match = pattern.search(line)
            if match:
                to, how = match.groups()[1:] if pattern is SENT else ("", "sent" if pattern is _exim.GONE else "deleted")
                event = [moment(line, now), how, escape(to or "")]
                events = left.pop(match.group(1), [])  # an id that is spoken of again is new
                if pattern is _exim.GONE and events and events[-1][1] == "deleted":
                    event = events[-1]  # Exim says of a message that somebody removed that it is completed
                left[match.group(1)] = (events + [event] if event not in events else events)[-KEPT_OF_ONE:]
                break
    return dict(list(left.items())[-KEPT:])


def _how(queue_id, item, before, after):
    """How a message left the queue: of what the log says of its id, only what came after the earlier look and is about one of its recipients.

    Postfix gives short ids out again soon: older lines, and those about others, are another message's. So is a line without a readable time.
    """
    since = max(before.get("looked") or 0, item["arrived"])
    to = {address.lower() for address in item["recipients"]}
    events = after.get("left", {}).get(queue_id, [])
    events = [(how, whom.lower()) for at, how, whom in events if at is not None and at >= since and (not whom or whom.lower() in to)]
    gone = [(how, whom) for how, whom in events if how in GONE]
    if len(gone) < len(events) and not to <= {whom for _word, whom in gone} and all(whom for _word, whom in gone):
        return "deleted"  # before all of its recipients had it
    return gone[-1][0] if gone else ""


def compare(before, after):
    """A finding for each message that left the queue without the log saying that it was sent or returned; one for the queue when many did."""
    old, new = before.get("items", {}), after.get("items", {})
    out, lost, server = [], [], before.get("server", "postfix")
    stayed = {queue_id for queue_id, item in old.items() if queue_id in new and _stayed(item, new[queue_id])}
    # postsuper gives a message another id when its file got another inode: known by what it is, each one once
    moved = collections.Counter(_identity(item) for queue_id, item in new.items() if queue_id not in stayed)
    for queue_id, item in sorted(old.items()):
        if queue_id in stayed or _how(queue_id, item, before, after) in GONE:
            continue
        if moved[_identity(item)]:
            moved[_identity(item)] -= 1
        else:
            lost.append(queue_id)
    if len(lost) > 3:
        samples = "; ".join("%s %s" % (queue_id, _shown(old[queue_id])) for queue_id in lost[:5])
        out.append(
            _finding(
                "messages.lost", "blocker", "mail queue", "messages vanished from the mail queue", "%d of %d: %s" % (len(lost), len(old), samples), lost, server
            )
        )
    else:
        for queue_id in lost:
            why = (
                "deleted with %s" % ("exim4 -Mrm" if server == "exim" else "postsuper")
                if _how(queue_id, old[queue_id], before, after) == "deleted"
                else "the mail log knows nothing of its delivery"
            )
            out.append(
                _finding(
                    "message.lost",
                    "blocker",
                    "%s %s" % (queue_id, _shown(old[queue_id])),
                    "a message vanished from the mail queue",
                    "%d bytes; %s" % (old[queue_id]["size"], why),
                    [queue_id],
                    server,
                )
            )
    fresh = len(set(new) - set(old))
    if fresh > 50 + len(old):
        reasons = sorted({new[q]["reason"] for q in set(new) - set(old)} - {""})
        out.append(
            _finding(
                "grown",
                "warning",
                "mail queue",
                "mail piles up in the queue",
                "%d messages, now %d%s" % (len(old), len(new), " (%s)" % ", ".join(reasons) if reasons else ""),
                [],
                server,
                remedy="look at the deferral reasons with %s" % ("exim4 -bp and exim4 -Mvl" if server == "exim" else "postqueue -p"),
            )
        )
    return out


def _identity(item):
    return item["sender"], tuple(item["recipients"]), item["arrived"], item["size"]


def _stayed(was, now):
    """Whether an id still names the same message: recipients leave one by one, its sender and its arrival stay."""
    return (was["sender"], was["arrived"]) == (now["sender"], now["arrived"])


def _shown(item):
    return "from %s to %s" % (item["sender"] or "<>", ", ".join(item["recipients"][:3]) or "nobody")


# server: (its queue, what brings messages back)
SPOOLS = {
    "postfix": ("/var/spool/postfix", "bring /var/spool/postfix back from the backup and run postsuper -r for these messages"),
    "exim": (_exim.SPOOL, "bring both files of each of these messages back from the backup to %s/input, owned by Exim's user" % _exim.SPOOL),
}


def _finding(name, severity, subject, title, evidence, ids, server, remedy=""):
    spool, restore = SPOOLS[server]
    return Finding(
        id="queue." + name,
        severity=severity,
        subject=subject,
        title=title,
        evidence=evidence,
        remedy=remedy or restore,
        check="QF15",
        details=_compare.details("missing" if ids else "changed", "", ids or None, None, paths=[spool]),
        covers=[{"section": "files", "path": spool}],
    )
