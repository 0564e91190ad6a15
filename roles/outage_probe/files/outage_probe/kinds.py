# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One poll of one target, by kind: returns None when the service answered as it should, else raises Down or Maintenance.

Every poll is a new connection, as a new customer would make: a connection held open can still be served by a
process that is about to end, while nobody new gets in.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
import struct

import logins

BODY_LIMIT = 1024 * 1024
PORTS = {"http": 80, "smtp": 25, "imap": 143, "pop3": 110, "dns": 53, "mysql": 3306, "postgresql": 5432, "ssh": 22, "tcp": None}
TLS_PORTS = {"http": 443, "smtp": 465, "imap": 993, "pop3": 995}
# What a production server takes from one visitor without locking it out, in seconds between polls: OpenSSH 9.8+ adds a
# penalty of 1 s for each connection that does not log in and refuses from 15 s on; mail servers fork and log per connection.
INTERVALS = {"http": 0.2, "dns": 0.2, "mysql": 0.2, "postgresql": 0.2, "tcp": 0.2, "smtp": 1.0, "imap": 1.0, "pop3": 1.0, "ssh": 3.0}
FLOORS = {"ssh": 2.0}


class Down(Exception):
    """The service did not answer as it should; the text is the reason, short and the same for the same cause."""


class Maintenance(Exception):
    """The service says itself that it is away: 503 with Retry-After."""


def reason(exc):
    """A short reason for an exception of a poll."""
    if isinstance(exc, (Down, logins.Refused)):
        return str(exc)
    if isinstance(exc, asyncio.TimeoutError):
        return "no answer in time"
    if isinstance(exc, asyncio.IncompleteReadError):
        return "connection closed before an answer"
    if isinstance(exc, ssl.SSLCertVerificationError):
        return "certificate: %s" % exc.verify_message
    if isinstance(exc, ssl.SSLError):
        return "TLS: %s" % (exc.reason or exc.__class__.__name__)
    if isinstance(exc, OSError) and exc.errno:
        return {
            errno.ECONNREFUSED: "connection refused",
            errno.EHOSTUNREACH: "no route to host",
            errno.ECONNRESET: "connection reset",
            errno.ETIMEDOUT: "no answer in time",
        }.get(exc.errno, (exc.strerror or str(exc)).lower())
    if isinstance(exc, OSError):
        return str(exc)[:120] or exc.__class__.__name__
    return "%s: %s" % (exc.__class__.__name__, str(exc)[:120])


_contexts = {}


def tls_context(verify, ca_file=None):
    """A client context, made once: availability is what is watched, certificates only where asked for."""
    key = (verify, ca_file)
    if key not in _contexts:
        context = ssl.create_default_context(cafile=ca_file)
        if not verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        _contexts[key] = context
    return _contexts[key]


async def connect(target):
    """(reader, writer) to the target, TLS when it says so."""
    options = {}
    if target.get("tls"):
        options = {"ssl": tls_context(bool(target.get("verify")), target.get("ca_file")), "server_hostname": target.get("host") or target["address"]}
    return await asyncio.open_connection(target["address"], target["port"], **options)


async def line(reader):
    """One line of an answer as text; a connection that ends before it is an error."""
    data = await reader.readuntil(b"\n")
    return data.decode("latin-1").rstrip("\r\n")


async def say(writer, text):
    """Send one command line."""
    writer.write(text.encode("utf-8") + b"\r\n")
    await writer.drain()


async def http(target, reader, writer):
    """GET by HTTP/1.0 (no chunks), judged by status and, when given, by a marker in the body."""
    host = target.get("host") or target["address"]
    writer.write(
        (
            "GET %s HTTP/1.0\r\nHost: %s\r\nUser-Agent: intact-outage-probe\r\nAccept: */*\r\nConnection: close\r\n\r\n" % (target.get("path") or "/", host)
        ).encode("utf-8")
    )
    await writer.drain()
    first = (await line(reader)).split(" ", 2)
    if len(first) < 2 or not first[0].startswith("HTTP/") or not first[1].isdigit():
        raise Down("not an HTTP answer")
    status, headers = int(first[1]), {}
    while True:
        text = await line(reader)
        if not text:
            break
        name, _colon, value = text.partition(":")
        headers[name.strip().lower()] = value.strip()
    wanted = target.get("status") or []
    if status == 503 and status not in wanted and "retry-after" in headers:
        raise Maintenance("status 503, Retry-After %s" % headers["retry-after"][:40])
    if (status not in wanted) if wanted else (status >= 400):
        raise Down("status %d" % status)
    marker = (target.get("marker") or "").encode("utf-8")
    body = b""
    while marker and marker not in body:
        part = await reader.read(65536)
        if not part:
            raise Down("status %d, but the page lacks its marker" % status)
        body += part
        if len(body) > BODY_LIMIT:
            raise Down("the marker is not in the first %d bytes" % BODY_LIMIT)


async def smtp_reply(reader):
    """Code of one SMTP reply, its continuation lines read."""
    while True:
        text = await line(reader)
        if text[3:4] != "-":
            return text


async def smtp(_target, reader, writer):
    """Banner and EHLO."""
    for command, code in ((None, "220"), ("EHLO outage-probe.invalid", "250")):
        if command:
            await say(writer, command)
        text = await smtp_reply(reader)
        if not text.startswith(code):
            raise Down("%s answered %s" % (command.split()[0] if command else "the greeting", text[:60]))
    await say(writer, "QUIT")


async def imap(target, reader, writer):
    """Greeting, and a login when there are credentials."""
    text = await line(reader)
    if not text.startswith("* OK"):
        raise Down("greeting %s" % text[:60])
    account = target.get("account")
    if account:
        await say(writer, "a1 LOGIN %s %s" % (quoted(account["user"]), quoted(account["password"])))
        while not text.startswith("a1 "):
            text = await line(reader)
        if not text.startswith("a1 OK"):
            raise Down("login refused")
    await say(writer, "a2 LOGOUT")


def quoted(text):
    """An IMAP quoted string."""
    return '"%s"' % text.replace("\\", "\\\\").replace('"', '\\"')


async def pop3(target, reader, writer):
    """Greeting, and a login when there are credentials."""
    text = await line(reader)
    if not text.startswith("+OK"):
        raise Down("greeting %s" % text[:60])
    account = target.get("account")
    for command in ["USER %s" % account["user"], "PASS %s" % account["password"]] if account else []:
        await say(writer, command)
        if not (await line(reader)).startswith("+OK"):
            raise Down("login refused")
    await say(writer, "QUIT")


async def ssh(_target, reader, _writer):
    """The banner."""
    text = await line(reader)
    if not text.startswith("SSH-"):
        raise Down("greeting %s" % text[:60])


async def tcp(_target, _reader, _writer):
    """A connection is enough."""


async def mysql(target, reader, writer):
    """A whole handshake: MariaDB locks out who leaves in the middle (max_connect_errors)."""
    await logins.mysql(reader, writer, target.get("account"))


async def postgresql(target, reader, writer):
    """Start-up and, with credentials, login."""
    await logins.postgresql(reader, writer, target.get("account"))


class _Datagram(asyncio.DatagramProtocol):
    def __init__(self, answer):
        self.answer = answer

    def datagram_received(self, data, _addr):
        if not self.answer.done():
            self.answer.set_result(data)

    def error_received(self, exc):
        if not self.answer.done():
            self.answer.set_exception(exc)


TYPES = {"A": 1, "NS": 2, "SOA": 6, "MX": 15, "TXT": 16, "AAAA": 28}
RCODES = {1: "format error", 2: "server failure", 3: "no such name", 5: "refused"}


def dns_query(number, zone, kind):
    """A question as bytes. number: 16 bits."""
    labels = b"".join(struct.pack("B", len(part)) + part for part in zone.rstrip(".").encode("idna" if not zone.isascii() else "ascii").split(b".") if part)
    return struct.pack(">HHHHHH", number, 0, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">HH", TYPES[kind], 1)


def dns_judge(question, answer):
    """Raise Down unless the answer is to this question, without error and with a record."""
    if len(answer) < 12 or answer[:2] != question[:2] or not answer[2] & 0x80:
        raise Down("not an answer to the question")
    rcode, count = answer[3] & 15, struct.unpack(">H", answer[6:8])[0]
    if rcode:
        raise Down(RCODES.get(rcode, "DNS error %d" % rcode))
    if not count:
        raise Down("answer without a record")


async def dns(target, number):
    """One question by UDP for a zone's record (SOA unless said otherwise)."""
    loop = asyncio.get_event_loop()
    answer = loop.create_future()
    question = dns_query(number & 0xFFFF, target["zone"], target.get("type") or "SOA")
    transport, _protocol = await loop.create_datagram_endpoint(
        lambda: _Datagram(answer), remote_addr=(target["address"], target["port"]), family=socket.AF_UNSPEC
    )
    try:
        transport.sendto(question)
        dns_judge(question, await answer)
    finally:
        transport.close()


STREAMS = {"http": http, "smtp": smtp, "imap": imap, "pop3": pop3, "ssh": ssh, "tcp": tcp, "mysql": mysql, "postgresql": postgresql}


async def poll(target, number):
    """One poll. number: a count that makes DNS questions differ."""
    if target["kind"] == "dns":
        await dns(target, number)
        return
    reader, writer = await connect(target)
    try:
        await STREAMS[target["kind"]](target, reader, writer)
    finally:
        writer.close()
