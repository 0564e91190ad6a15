# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Queue: the messages that wait in the mail server's queue, one by one; a message that left it was delivered or is lost."""

from __future__ import annotations

import json
import re

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _compare
from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError

SECTION = "queue"
SENT = re.compile(r"postfix\S*/\w+\[\d+\]: ([0-9A-Za-z]{6,20}): .*\bstatus=(sent|bounced|expired)\b")
DELETED = re.compile(r"postfix\S*/postsuper\[\d+\]: ([0-9A-Za-z]{6,20}): removed")
EXIM_GONE = re.compile(r" ([0-9A-Za-z]{6}-[0-9A-Za-z]{6,11}-[0-9A-Za-z]{2,4}) Completed")
KEPT = 20000


def capture(system):
    """Items by queue id. Beside them "left": {queue id: sent | bounced | expired | deleted} from the newest part of the mail log (option log_bytes)."""
    if system.which("postqueue"):
        items, server = _postfix(system), "postfix"
    elif system.which("exim4") or system.which("exim"):
        items, server = _exim(system, "exim4" if system.which("exim4") else "exim"), "exim"
    else:
        return None
    return {"items": items, "server": server, "left": _left(system), "summary": {"messages": len(items), "bytes": sum(i["size"] for i in items.values())}}


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


def _exim(system, program):
    items, current = {}, None
    for line in system.run([program, "-bp"], check=False).text.splitlines():
        head = re.match(r"^\s*(\d+[smhdw])\s+(\S+)\s+(\S+-\S+-\S+)\s+<([^>]*)>(.*)$", line)
        if head:
            unit = {"K": 1024, "M": 2**20}.get(head.group(2)[-1], 1)
            current = items[head.group(3)] = {
                "sender": escape(head.group(4)),
                "recipients": [],
                "arrived": 0,
                "size": int(float(head.group(2).rstrip("KM")) * unit),
                "held": "frozen" in head.group(5),
                "reason": "",
            }
        elif line.strip() and current is not None and not line.strip().startswith("D "):
            current["recipients"].append(escape(line.strip()))
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


def _left(system):
    """Queue ids that left the queue lately, and how."""
    limit, left = int(system.options.get("log_bytes", 32 * 2**20)), {}
    text = ""
    for path in ("/var/log/mail.log.1", "/var/log/mail.log", "/var/log/exim4/mainlog.1", "/var/log/exim4/mainlog"):
        if system.exists(path):
            text += (system.read(path) or b"")[-limit:].decode("utf-8", "replace")
    if system.which("journalctl"):
        # Debian 12 and later write no mail.log unless rsyslog is installed
        argv = ["journalctl", "-q", "--no-pager", "-o", "short", "-n", "200000", "-S", "-7d", "--facility", "mail"]
        text += system.run(argv, check=False, timeout=60).text[-limit:]
    for line in text.splitlines():
        match = SENT.search(line)
        if match:
            left[match.group(1)] = match.group(2)
            continue
        match = DELETED.search(line)
        if match:
            left[match.group(1)] = "deleted"
            continue
        match = EXIM_GONE.search(line)
        if match:
            left[match.group(1)] = "sent"
    return dict(list(left.items())[-KEPT:])


def compare(before, after):
    """A finding for each message that left the queue without the log saying that it was sent or returned; one for the queue when many did."""
    old, new, left = before.get("items", {}), after.get("items", {}), after.get("left", {})
    out, lost = [], []
    # postsuper gives a message another id when its file got another inode: known by what it is
    same = {_identity(item) for item in new.values()}
    for queue_id, item in sorted(old.items()):
        if queue_id not in new and _identity(item) not in same and left.get(queue_id) not in ("sent", "bounced", "expired"):
            lost.append(queue_id)
    if len(lost) > 3:
        samples = "; ".join("%s %s" % (queue_id, _shown(old[queue_id])) for queue_id in lost[:5])
        out.append(
            _finding("messages.lost", "blocker", "mail queue", "messages vanished from the mail queue", "%d of %d: %s" % (len(lost), len(old), samples), lost)
        )
    else:
        for queue_id in lost:
            why = "deleted with postsuper" if left.get(queue_id) == "deleted" else "the mail log knows nothing of its delivery"
            out.append(
                _finding(
                    "message.lost",
                    "blocker",
                    "%s %s" % (queue_id, _shown(old[queue_id])),
                    "a message vanished from the mail queue",
                    "%d bytes; %s" % (old[queue_id]["size"], why),
                    [queue_id],
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
                remedy="look at the deferral reasons with postqueue -p",
            )
        )
    return out


def _identity(item):
    return item["sender"], tuple(item["recipients"]), item["arrived"], item["size"]


def _shown(item):
    return "from %s to %s" % (item["sender"] or "<>", ", ".join(item["recipients"][:3]) or "nobody")


def _finding(name, severity, subject, title, evidence, ids, remedy="bring /var/spool/postfix back from the backup and run postsuper -r for these messages"):
    return Finding(
        id="queue." + name,
        severity=severity,
        subject=subject,
        title=title,
        evidence=evidence,
        remedy=remedy,
        check="QF15",
        details=_compare.details("missing" if ids else "changed", "", ids or None, None, paths=["/var/spool/postfix"]),
        covers=[{"section": "files", "path": "/var/spool/postfix"}],
    )
