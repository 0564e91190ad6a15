# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Does a message really arrive (QF14): sent through port 25, looked for in the mailbox, taken out again."""

from __future__ import annotations

import email.utils
import smtplib
import socket
import uuid

from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding

DOMAIN = "@intact.invalid"
PROBES = ["mailbox", "*", "header", "X-Intact-Probe", DOMAIN]


def send(address, port, sender, recipient, token, timeout=20):
    """Hand one small message to an SMTP server; returns "" or what it said instead. Without a sender it comes from the mailbox itself: that is signed here."""
    body = "From: <%s>\r\nTo: <%s>\r\nDate: %s\r\nMessage-ID: <%s>\r\nSubject: Intact delivery probe\r\nX-Intact-Probe: %s\r\n\r\nprobe\r\n" % (
        sender or recipient,
        recipient,
        email.utils.formatdate(),
        token,
        token,
    )
    try:
        with smtplib.SMTP(address, port, timeout=timeout) as client:
            client.sendmail(sender, [recipient], body)
    except (OSError, smtplib.SMTPException, socket.timeout) as exc:
        return "%s: %s" % (type(exc).__name__, exc)
    return ""


def delivery(context, hand_over=send):
    """QF14: a message to the probe mailbox arrives and can be read by the mail server's own tool."""
    host = context.host
    if not (host.which("postfix") or host.which("exim4")) or not host.which("doveadm"):
        return []
    recipient, user = context.options.get("mail_recipient"), context.options.get("mail_user")
    if not recipient:
        return [
            Finding(
                id="mail.delivery.unproven",
                severity="warning",
                subject="mail delivery",
                title="no message was sent to see it arrive",
                remedy="name a mailbox of your own in postflight_mail_recipient",
            )
        ]
    token = uuid.uuid4().hex + DOMAIN
    said = hand_over("127.0.0.1", 25, context.options.get("mail_sender") or "", recipient, token)
    if said:
        return [_undelivered(recipient, "port 25 answered: %s" % said)]
    query = ["mailbox", "*", "header", "Message-ID", token]
    deadline = context.clock.monotonic() + context.options.get("mail_seconds", 60)
    while True:
        seen = host.run(["doveadm", "search", "-u", user or recipient] + query, check=False)
        if seen.rc == 0 and seen.text.strip():
            break
        if context.clock.monotonic() > deadline:
            return [_undelivered(recipient, seen.error or "not in the mailbox after %s s" % context.options.get("mail_seconds", 60))]
        context.clock.sleep(1)
    headers = host.run(["doveadm", "fetch", "-u", user or recipient, "hdr"] + query, check=False)
    if headers.rc == 0 and "hdr:" in headers.text:
        context.seen["headers"] = headers.text.partition("hdr:")[2].lstrip().partition("\f")[0]
    else:
        context.seen["unread"] = headers.error or "doveadm fetch ended with status %d" % headers.rc
    # with what a look that was cut had left there
    gone = host.run(["doveadm", "expunge", "-u", user or recipient] + PROBES, check=False)
    if gone.rc != 0:
        return [
            Finding(
                id="mail.probe.left",
                severity="warning",
                subject=recipient,
                title="the probe message arrived but could not be taken out again",
                evidence=gone.error,
                remedy="delete the message with the subject 'Intact delivery probe'",
            )
        ]
    return []


def _undelivered(recipient, evidence):
    return Finding(
        id="mail.delivery.failed",
        severity="blocker",
        subject=recipient,
        title="a message sent to this mailbox did not arrive",
        evidence=evidence,
        remedy="postqueue -p and journalctl -u 'postfix*' -u dovecot say where it is",
    )
