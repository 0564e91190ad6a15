# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Do mail filters work (QF16): those that Postfix or Exim is told to ask do answer, and a message carries the marks that it carried before."""

from __future__ import annotations

import email
import os
import re
import socket
import struct

from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError

SECONDS = 10
# Headers of our own message and of the way that every message goes; all others are some filter's mark.
PLAIN = set(
    "from to cc date message-id subject x-intact-probe mime-version content-type content-transfer-encoding content-length lines return-path delivered-to "
    "received x-original-to envelope-to delivery-date x-envelope-to x-uid status x-status sender x-greylist".split()
)
MILTERS = ("smtpd_milters", "non_smtpd_milters")
# What reads a filter's own configuration and tells whether it would start.
CONFIGURED = (("opendkim", ["opendkim", "-n"]), ("rspamadm", ["rspamadm", "configtest"]))


def marks(headers):
    """{header's name in small letters: what of it must stay} of the marks that filters put into a message. headers: text. Pure."""
    out = {}
    for name, value in email.message_from_string(headers).items():
        key, value = name.lower(), " ".join(str(value).split())
        if key in PLAIN:
            continue
        if key in ("dkim-signature", "arc-message-signature", "arc-seal"):
            found = re.search(r"\bd=([^;\s]+)", value)
            kind = "d=%s" % found.group(1) if found else "signed"
        elif key in ("authentication-results", "arc-authentication-results"):
            kind = " ".join(sorted(set(re.findall(r"\b(?:dkim|spf|dmarc|arc|auth|iprev|sender-id)=[a-z]+", value))))
        else:
            kind = "there"
        out.setdefault(key, set()).update({kind})
    return {key: sorted(kinds) for key, kinds in sorted(out.items())}


def compare(before, after):
    """Findings about marks that a message no longer carries. Pure."""
    found = []
    for name, kinds in sorted(before.items()):
        now = after.get(name)
        if now is None or any(kind not in now for kind in kinds):
            signed = name == "dkim-signature"
            found.append(
                Finding(
                    id="mail.mark.missing" if now is None else "mail.mark.changed",
                    severity="warning",
                    subject=name,
                    title="messages are no longer signed" if signed and now is None else "messages no longer carry this mark of a filter as they did",
                    evidence="before: %s; now: %s" % (", ".join(kinds), ", ".join(now) if now else "not there"),
                    remedy="journalctl -u opendkim -u rspamd -u 'spam*' -u amavis; the filter may run and not be asked, or not find its keys",
                )
            )
    return found


def same_marks(context):
    """QF16: the probe message carries what the one before the flight carried."""
    before, now = (context.before.get("mail") or {}).get("marks"), context.seen.get("headers")
    if now is None:
        if not context.seen.get("unread") or not before:
            return []  # no message arrived, or none was sent: told by QF14
        title = "the message that arrived could not be read, so its marks were not compared"
        return [Finding("mail.mark.unread", "warning", "mail filters", title, context.seen["unread"], "doveadm fetch, and run verify-host again")]
    if before is None:
        return [
            Finding(
                id="mail.mark.unproven",
                severity="info",
                subject="mail filters",
                title="whether messages carry the marks of filters that they carried before can't be told",
                evidence="no probe message was sent before the flight; now: %s" % (", ".join(marks(now)) or "none"),
                remedy="name a mailbox of your own in intact_mail_recipient, for the looks before and after",
            )
        ]
    return compare(before, marks(now))


def addresses(text):
    """[(address, default action)] of a list of milters as postconf -xh prints it. Pure."""
    out = []
    for braced, plain in re.findall(r"\{([^}]*)\}|([^\s,{}]+)", text):
        words = [word.strip() for word in braced.split(",")] if braced else [plain]
        actions = [word.partition("=")[2].strip() for word in words[1:] if word.startswith("default_action")]
        if words[0]:
            out.append((words[0], actions[0] if actions else ""))
    return out


def _connect(address, root):
    """A connected socket to unix:PATH, local:PATH, inet:HOST:PORT or inet:PORT@HOST. root: where a chrooted server looks for PATH."""
    kind, _colon, rest = address.partition(":")
    if kind in ("unix", "local"):
        paths = [rest] if rest.startswith("/") else []
        paths.append(os.path.join(root, rest.lstrip("/")))
        path = next((path for path in paths if os.path.exists(path)), paths[0])
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(SECONDS)
        try:
            client.connect(path)
        except OSError:
            client.close()
            raise
        return client
    host, port = (rest.partition("@")[2], rest.partition("@")[0]) if "@" in rest else (rest.rpartition(":")[0], rest.rpartition(":")[2])
    if not port.isdigit():
        raise IntactError("%s is no address that this can ask" % address)
    return socket.create_connection((host.strip("[]") or "127.0.0.1", int(port)), timeout=SECONDS)


def ask_milter(address, root="/var/spool/postfix"):
    """ "" when a milter negotiates as Postfix would have it (SMFIC_OPTNEG), or why it does not."""
    try:
        with _connect(address, root) as client:
            client.sendall(struct.pack(">IcIII", 13, b"O", 6, 0x1FF, 0x1FFFFF))
            answer = client.recv(64)
            client.sendall(struct.pack(">Ic", 1, b"Q"))
    except (OSError, IntactError) as exc:
        return str(exc)
    return "" if answer[4:5] == b"O" else "it answers as no milter does" if answer else "it closes the connection"


def ask_banner(address):
    """ "" when HOST:PORT greets as SMTP does, or why not."""
    try:
        with _connect("inet:" + address, "/") as client:
            answer = client.recv(512)
    except (OSError, IntactError) as exc:
        return str(exc)
    return "" if answer[:3] == b"220" else "it does not greet as SMTP does"


def ask_line(address, line, wanted):
    """ "" when a daemon gives a wanted answer to one line, or why not. address: as of a milter."""
    try:
        with _connect(address, "/") as client:
            client.sendall(line)
            answer = client.recv(512)
    except (OSError, IntactError) as exc:
        return str(exc)
    return "" if wanted in answer else "it answers %r" % answer[:60]


def postfix(host):
    """[(what it is, address, what asks it, whether mail waits without it)] of the filters that Postfix asks."""
    if not host.which("postconf"):
        return []
    names = [*MILTERS, "milter_default_action", "content_filter", "queue_directory"]
    held = dict(line.partition(" =")[::2] for line in host.run(["postconf", "-x", *names], check=False).text.splitlines())
    lists, default = [held.get(name, "") for name in MILTERS], held.get("milter_default_action", "").strip() or "tempfail"
    content, root = held.get("content_filter", "").strip(), held.get("queue_directory", "").strip() or "/var/spool/postfix"
    # settings of single services in master.cf: "submission/inet/smtpd_milters = ..."
    services = host.run(["postconf", "-P"], check=False).text.splitlines()
    lists += [line.partition("=")[2] for line in services if re.match(r"\S+/(?:%s)\s*=" % "|".join(MILTERS), line)]
    contents = [content] + [line.partition("=")[2].strip() for line in services if re.match(r"\S+/content_filter\s*=", line)]
    out = {}
    for text in lists:
        for address, action in addresses(text):
            if "$" not in address:
                out[address] = ("milter", address, lambda at=address: ask_milter(at, root), (action or default) in ("tempfail", "reject", "quarantine"))
    for value in contents:
        found = re.match(r"^[^:\s]+:\[?([^\]\s]+)\]?:(\d+)$", value)
        if found:
            address = "%s:%s" % found.groups()
            out[address] = ("content filter", address, lambda at=address: ask_banner(at), True)
    return [out[address] for address in sorted(out)]


def exim(host):
    """As postfix(), of Exim: its virus scanner and SpamAssassin."""
    program = host.which("exim4") or host.which("exim")
    if not program:
        return []
    said = host.run([program, "-bP", "av_scanner", "spamd_address"], check=False).text
    out = []
    scanner = re.search(r"^av_scanner = clamd:(\S+?)(?::?\s+(\d+))?\s*$", said, re.M)
    if scanner:
        address = "unix:" + scanner.group(1) if scanner.group(1).startswith("/") else "inet:%s:%s" % (scanner.group(1), scanner.group(2) or 3310)
        out.append(("virus scanner", address, lambda: ask_line(address, b"zPING\0", b"PONG"), True))
    spamd = re.search(r"^spamd_address = (\S+)\s+(\d+)", said, re.M)
    # Exim's own default names a port that nobody may have asked for
    if spamd and "spam" in _acls(host):
        where = "inet:%s:%s" % spamd.groups()
        out.append(("spam filter", where, lambda: ask_line(where, b"PING SPAMC/1.2\r\n\r\n", b"PONG"), False))
    return out


def _acls(host):
    texts = [host.text(path) for path in host.glob("/etc/exim4/*.conf*") + host.glob("/etc/exim4/conf.d/acl/*") + host.glob("/etc/exim/*.conf")]
    return {word for text in texts for word in re.findall(r"^\s*(spam)\s*=", text, re.M)}


def filters(context):
    """QF16: every filter that the mail server asks answers, and reads its own configuration."""
    host, found = context.host, []
    asked = postfix(host) + exim(host)
    for kind, address, ask, waits in asked:
        why = ask()
        if why:
            found.append(
                Finding(
                    id="mail.filter.silent",
                    severity="blocker" if waits else "warning",
                    subject="%s %s" % (kind, address),
                    title="the mail server asks this filter, and it does not answer: %s" % ("no mail comes in" if waits else "mail passes by it"),
                    evidence=why,
                    remedy="start its service and look at its log; if it moved, correct its address in the mail server's configuration",
                )
            )
    for program, argv in CONFIGURED if asked else ():
        if host.which(program):
            said = host.run(argv, timeout=60, check=False)
            if said.rc != 0:
                evidence = (said.error.splitlines() or [said.text.strip()[-300:]])[-1]
                remedy = "correct what it names, then restart it"
                title = "the filter refuses its own configuration"
                found.append(Finding(id="mail.filter.refused", severity="warning", subject=program, title=title, evidence=evidence, remedy=remedy))
    return found
