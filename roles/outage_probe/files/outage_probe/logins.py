# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Logins to MariaDB/MySQL and PostgreSQL, spoken by hand: as much of both protocols as asking "may I in?" takes."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import struct

STRANGER = "intact_probe"
# Answers to a stranger that prove a server which works: access denied, host not allowed, plugin denied.
MYSQL_DENIED = {1045, 1130, 1698, 1044}
# Class 28: invalid authorization; 3D000: no such database. Not 57P03 (starting up), not 53300 (too many connections).
POSTGRESQL_DENIED = ("28", "3D")


class Refused(Exception):
    """The server answered, but did not let the observer in, or is not ready."""


async def _packet(reader):
    """One MySQL packet: (sequence, payload)."""
    head = await reader.readexactly(4)
    return head[3], await reader.readexactly(head[0] | head[1] << 8 | head[2] << 16)


def _send(writer, sequence, payload):
    writer.write(struct.pack("<I", len(payload))[:3] + bytes([sequence & 255]) + payload)


def native_password(password, salt):
    """Answer of mysql_native_password: SHA1(p) xor SHA1(salt + SHA1(SHA1(p)))."""
    if not password:
        return b""
    first = hashlib.sha1(password.encode("utf-8")).digest()
    mask = hashlib.sha1(salt + hashlib.sha1(first).digest()).digest()
    return bytes(a ^ b for a, b in zip(first, mask))


def greeting(payload):
    """(salt, plugin) of a server's first packet."""
    end = payload.index(b"\0", 1)
    rest = payload[end + 1 :]
    salt, length = rest[4:12], rest[20] if len(rest) > 20 else 0
    size = max(13, length - 8)
    more, tail = rest[31 : 31 + size], rest[31 + size :]
    return (salt + more.rstrip(b"\0"))[:20], tail.split(b"\0", 1)[0].decode("ascii", "replace")


def _mysql_error(payload):
    code = struct.unpack("<H", payload[1:3])[0]
    text = payload[3:].decode("utf-8", "replace")
    return code, text[6:] if text.startswith("#") else text


async def mysql(reader, writer, account):
    """Handshake to its end. Without an account, being refused as a stranger is an answer."""
    user, password = (account["user"], account["password"]) if account else (STRANGER, "")
    database = (account or {}).get("database") or ""
    sequence, payload = await _packet(reader)
    if payload[:1] == b"\xff":
        _judge_mysql(payload, account)
        return
    if payload[:1] != b"\x0a":
        raise Refused("not a MySQL greeting")
    salt, _plugin = greeting(payload)
    # LONG_PASSWORD, PROTOCOL_41, SECURE_CONNECTION, PLUGIN_AUTH, and CONNECT_WITH_DB when there is one
    flags = 0x1 | 0x200 | 0x8000 | 0x80000 | (0x8 if database else 0)
    proof = native_password(password, salt)
    answer = struct.pack("<IIB23x", flags, 1 << 24, 33) + user.encode("utf-8") + b"\0" + bytes([len(proof)]) + proof
    _send(writer, sequence + 1, answer + (database.encode("utf-8") + b"\0" if database else b"") + b"mysql_native_password\0")
    await writer.drain()
    sequence, payload = await _packet(reader)
    if payload[:1] == b"\xfe":
        plugin, _nul, data = payload[1:].partition(b"\0")
        known = plugin == b"mysql_native_password"
        if not known and account:
            raise Refused("the server wants the login plugin %s, the observer knows mysql_native_password" % plugin.decode("ascii", "replace"))
        _send(writer, sequence + 1, native_password(password, data.rstrip(b"\0")[:20]) if known else b"")
        await writer.drain()
        sequence, payload = await _packet(reader)
    if payload[:1] == b"\xff":
        _judge_mysql(payload, account)
        return
    if payload[:1] != b"\0":
        raise Refused("unexpected answer to the login")
    _send(writer, 0, b"\x01")


def _judge_mysql(payload, account):
    code, text = _mysql_error(payload)
    if account or code not in MYSQL_DENIED:
        raise Refused("error %d: %s" % (code, text[:80]))


async def _message(reader):
    """One PostgreSQL message: (type, payload)."""
    head = await reader.readexactly(5)
    return head[:1], await reader.readexactly(struct.unpack(">I", head[1:])[0] - 4)


def _frame(kind, payload):
    return kind + struct.pack(">I", len(payload) + 4) + payload


_salted = {}


def scram_first():
    """(nonce, bare message) of a SCRAM client."""
    nonce = base64.b64encode(os.urandom(18)).decode()
    return nonce, "n=,r=" + nonce


def scram_final(password, bare, server):
    """The client's last message for the server's first one (RFC 5802, SHA-256)."""
    parts = dict(piece.split("=", 1) for piece in server.split(","))
    key = (password, parts["s"], parts["i"])
    if key not in _salted:  # 4096 rounds at every poll would cost more than the poll
        _salted.clear()
        _salted[key] = hashlib.pbkdf2_hmac("sha256", password.encode("utf-8"), base64.b64decode(parts["s"]), int(parts["i"]))
    client = hmac.new(_salted[key], b"Client Key", "sha256").digest()
    plain = "c=biws,r=" + parts["r"]
    signature = hmac.new(hashlib.sha256(client).digest(), ",".join((bare, server, plain)).encode(), "sha256").digest()
    return plain + ",p=" + base64.b64encode(bytes(a ^ b for a, b in zip(client, signature))).decode()


async def postgresql(reader, writer, account):
    """Start-up packet and login. Without an account, being asked for a password or refused as a stranger is an answer."""
    user = account["user"] if account else STRANGER
    database = (account or {}).get("database") or "postgres"
    fields = b"".join(part.encode("utf-8") + b"\0" for part in ("user", user, "database", database)) + b"\0"
    writer.write(struct.pack(">II", len(fields) + 8, 196608) + fields)
    await writer.drain()
    bare = ""
    while True:
        kind, payload = await _message(reader)
        if kind == b"E":
            pieces = {part[:1]: part[1:].decode("utf-8", "replace") for part in payload.split(b"\0") if part}
            code = pieces.get(b"C", "")
            if not account and code.startswith(POSTGRESQL_DENIED):
                return
            raise Refused("%s: %s" % (code, pieces.get(b"M", "")[:80]))
        if kind == b"Z":
            writer.write(_frame(b"X", b""))
            return
        if kind != b"R":
            continue
        method = struct.unpack(">I", payload[:4])[0]
        if method == 0:
            continue
        if not account:
            return
        if method == 3:
            writer.write(_frame(b"p", account["password"].encode("utf-8") + b"\0"))
        elif method == 5:
            inner = hashlib.md5((account["password"] + user).encode("utf-8")).hexdigest()
            writer.write(_frame(b"p", b"md5" + hashlib.md5(inner.encode() + payload[4:8]).hexdigest().encode() + b"\0"))
        elif method == 10:
            _nonce, bare = scram_first()
            first = b"n,," + bare.encode()
            writer.write(_frame(b"p", b"SCRAM-SHA-256\0" + struct.pack(">I", len(first)) + first))
        elif method == 11:
            writer.write(_frame(b"p", scram_final(account["password"], bare, payload[4:].decode()).encode()))
        elif method != 12:
            raise Refused("the server wants login method %d, which the observer does not know" % method)
        await writer.drain()
