# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each kind of poll against a server that speaks the protocol on a real socket."""

from __future__ import annotations

import asyncio
import hashlib
import struct

import kinds
import logins
import observer
import pytest


def against(serve, **target):
    """(state, reason) of one poll against a TCP server whose connections are served by serve(reader, writer)."""

    async def scene():
        async def handle(reader, writer):
            try:
                await serve(reader, writer)
            except (asyncio.IncompleteReadError, ConnectionError):
                pass
            finally:
                writer.close()

        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        config = {"targets": [dict({"name": "t", "address": "127.0.0.1", "port": server.sockets[0].getsockname()[1], "timeout": 0.5}, **target)]}
        try:
            return await observer.attempt(observer.load(config, {"me": {"user": "ada", "password": "s3cret", "database": "shop"}})[0], 7)
        finally:
            server.close()

    return asyncio.run(scene())


def script(*steps):
    """A server that sends bytes, and waits for a line where a step is None."""

    async def serve(reader, writer):
        for step in steps:
            if step is None:
                await reader.readuntil(b"\n")
            else:
                writer.write(step)
                await writer.drain()
        await asyncio.sleep(0.01)

    return serve


def page(status, body=b"", headers=b""):
    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 " + status + b"\r\n" + headers + b"\r\n" + body)
        await writer.drain()

    return serve


@pytest.mark.parametrize(
    ("serve", "options", "state", "reason"),
    [
        (page(b"200 OK", b"<h1>Bakery</h1>"), {"marker": "Bakery"}, "up", ""),
        (page(b"301 Moved", headers=b"Location: /\r\n"), {}, "up", ""),
        (page(b"301 Moved"), {"status": [200]}, "down", "status 301"),
        (page(b"401 Unauthorized"), {"status": [401]}, "up", ""),
        (page(b"200 OK", b"<h1>It works!</h1>"), {"marker": "Bakery"}, "down", "status 200, but the page lacks its marker"),
        (page(b"502 Bad Gateway"), {}, "down", "status 502"),
        (page(b"503 Service Unavailable", headers=b"Retry-After: 300\r\n"), {}, "maintenance", "status 503, Retry-After 300"),
        (page(b"503 Service Unavailable"), {}, "down", "status 503"),
        (page(b"200 OK", b"x" * (kinds.BODY_LIMIT + 70000)), {"marker": "Bakery"}, "down", "the marker is not in the first 1048576 bytes"),
        (script(b"220 not http\r\n"), {}, "down", "not an HTTP answer"),
        (script(None), {}, "down", "connection closed before an answer"),
    ],
)
def test_http(serve, options, state, reason):
    assert against(serve, kind="http", **options) == (state, reason)


def test_http_asks_for_the_right_site():
    seen = []

    async def serve(reader, writer):
        seen.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(b"HTTP/1.0 200 OK\r\n\r\n")

    assert against(serve, kind="http", host="shop.example.com", path="/login") == ("up", "")
    assert seen[0].startswith("GET /login HTTP/1.0\r\nHost: shop.example.com\r\n")


@pytest.mark.parametrize(
    ("kind", "serve", "state"),
    [
        ("smtp", script(b"220 mx ESMTP\r\n", None, b"250-mx\r\n250 SIZE 1\r\n", None), "up"),
        ("smtp", script(b"220-wait\r\n220 mx\r\n", None, b"250 mx\r\n", None), "up"),
        ("smtp", script(b"421 too busy\r\n"), "down"),
        ("smtp", script(b"220 mx\r\n", None, b"451 later\r\n"), "down"),
        ("imap", script(b"* OK ready\r\n", None), "up"),
        ("imap", script(b"* BYE shutting down\r\n"), "down"),
        ("pop3", script(b"+OK\r\n", None), "up"),
        ("pop3", script(b"-ERR\r\n"), "down"),
        ("ssh", script(b"SSH-2.0-OpenSSH_10.0\r\n"), "up"),
        ("ssh", script(b"Not allowed at this time\r\n"), "down"),
        ("tcp", script(), "up"),
    ],
)
def test_greetings(kind, serve, state):
    assert against(serve, kind=kind)[0] == state


@pytest.mark.parametrize("kind", ["http", "smtp", "imap", "pop3", "ssh", "mysql", "postgresql"])
def test_silence_is_down(kind):
    async def serve(reader, writer):
        await asyncio.sleep(2)

    assert against(serve, kind=kind) == ("down", "no answer in time")


def test_imap_login():
    lines = []

    async def serve(reader, writer, good=True):
        writer.write(b"* OK\r\n")
        lines.append(await reader.readuntil(b"\n"))
        writer.write(b"* CAPABILITY IMAP4rev1\r\na1 " + (b"OK" if good else b"NO") + b" done\r\n")
        await reader.readuntil(b"\n")

    assert against(serve, kind="imap", credentials="me") == ("up", "")
    assert lines == [b'a1 LOGIN "ada" "s3cret"\r\n']
    assert against(lambda r, w: serve(r, w, good=False), kind="imap", credentials="me") == ("down", "login refused")


SALT = b"abcdefghijklmnopqrst"


def mysql_server(answer, seen=None):
    async def serve(reader, writer):
        body = (
            b"\x0a5.5.5-10.11\0"
            + struct.pack("<I", 5)
            + SALT[:8]
            + b"\0"
            + b"\xff\xf7"
            + b"\x21"
            + b"\x02\0"
            + b"\xff\x81"
            + bytes([21])
            + b"\0" * 10
            + SALT[8:]
            + b"\0"
            + b"mysql_native_password\0"
        )
        writer.write(struct.pack("<I", len(body))[:3] + b"\0" + body)
        head = await reader.readexactly(4)
        payload = await reader.readexactly(int.from_bytes(head[:3], "little"))
        if seen is not None:
            seen.append(payload)
        writer.write(struct.pack("<I", len(answer))[:3] + b"\x02" + answer)
        await writer.drain()
        await reader.read(100)

    return serve


def error(code, text):
    return b"\xff" + struct.pack("<H", code) + b"#28000" + text


def test_mysql_login_sends_the_scramble_and_the_database():
    seen = []
    assert against(mysql_server(b"\0\0\0\2\0\0\0", seen), kind="mysql", credentials="me") == ("up", "")
    user, rest = seen[0][32:].split(b"\0", 1)
    proof = rest[1 : 1 + rest[0]]
    stage2 = hashlib.sha1(hashlib.sha1(b"s3cret").digest()).digest()
    mask = hashlib.sha1(SALT + stage2).digest()
    assert user == b"ada" and rest[0] == 20 and rest[21:].startswith(b"shop\0mysql_native_password")
    assert hashlib.sha1(bytes(a ^ b for a, b in zip(proof, mask, strict=True))).digest() == stage2  # what the server checks


@pytest.mark.parametrize(
    ("answer", "credentials", "state"),
    [
        (error(1045, b"Access denied"), None, "up"),
        (error(1045, b"Access denied"), "me", "down"),
        (error(1040, b"Too many connections"), None, "down"),
        (error(1129, b"Host is blocked"), None, "down"),
    ],
)
def test_mysql_refusals(answer, credentials, state):
    assert against(mysql_server(answer), kind="mysql", credentials=credentials)[0] == state


def frame(kind, payload):
    return kind + struct.pack(">I", len(payload) + 4) + payload


@pytest.mark.parametrize(
    ("answer", "credentials", "state"),
    [
        (frame(b"R", struct.pack(">I", 10) + b"SCRAM-SHA-256\0\0"), None, "up"),
        (frame(b"E", b"SFATAL\0C28000\0Mno pg_hba.conf entry\0\0"), None, "up"),
        (frame(b"E", b"SFATAL\0C57P03\0Mthe database system is starting up\0\0"), None, "down"),
        (frame(b"E", b"SFATAL\0C28P01\0Mpassword authentication failed\0\0"), "me", "down"),
        (frame(b"R", struct.pack(">I", 0)) + frame(b"S", b"a\0b\0") + frame(b"Z", b"I"), "me", "up"),
    ],
)
def test_postgresql(answer, credentials, state):
    async def serve(reader, writer):
        await reader.readexactly(struct.unpack(">I", await reader.readexactly(4))[0] - 4)
        writer.write(answer)
        await writer.drain()
        await reader.read(100)

    assert against(serve, kind="postgresql", credentials=credentials)[0] == state


def test_scram_by_the_rfcs_own_example():
    # RFC 7677 section 3
    bare = "n=user,r=rOprNGfwEbeRWgbNEkqO"
    server = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    assert (
        logins.scram_final("pencil", bare, server)
        == "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    )


def dns_answer(question, rcode=0, count=1, number=None):
    return struct.pack(">HBBHHHH", struct.unpack(">H", question[:2])[0] if number is None else number, 0x84, rcode, 1, count, 0, 0) + question[12:]


@pytest.mark.parametrize(
    ("change", "state"),
    [({}, "up"), ({"rcode": 2}, "down"), ({"rcode": 3}, "down"), ({"count": 0}, "down"), ({"number": 1}, "down")],
)
def test_dns(change, state):
    async def scene():
        class Server(asyncio.DatagramProtocol):
            def connection_made(self, transport):
                self.transport = transport

            def datagram_received(self, data, addr):
                assert data[12:] == b"\x07example\x03com\0\0\x06\0\x01"
                self.transport.sendto(dns_answer(data, **change), addr)

        transport, _protocol = await asyncio.get_event_loop().create_datagram_endpoint(Server, local_addr=("127.0.0.1", 0))
        target = {"name": "z", "kind": "dns", "address": "127.0.0.1", "port": transport.get_extra_info("sockname")[1], "zone": "example.com.", "timeout": 0.5}
        try:
            return await observer.attempt(observer.load({"targets": [target]})[0], 99)
        finally:
            transport.close()

    assert asyncio.run(scene())[0] == state


def test_nobody_listens():
    target = observer.load({"targets": [{"name": "t", "kind": "tcp", "address": "127.0.0.1", "port": 1}]})[0]
    assert asyncio.run(observer.attempt(target, 1)) == ("down", "connection refused")
