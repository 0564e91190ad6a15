# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Mail protocols as a client meets them: greeting, STARTTLS and the ways to log in, from the host's own addresses."""

from __future__ import annotations

import re
import socket
import ssl

# port: (protocol, TLS from the first byte)
PORTS = {
    25: ("smtp", False),
    465: ("smtp", True),
    587: ("smtp", False),
    143: ("imap", False),
    993: ("imap", True),
    110: ("pop3", False),
    995: ("pop3", True),
    4190: ("sieve", False),
}
LIMIT = 65536


class Dialogue:
    """Lines over a socket."""

    def __init__(self, sock):
        self.sock, self.buffer = sock, b""

    def line(self):
        """One line without its end; OSError when the other side hung up."""
        while b"\n" not in self.buffer:
            data = self.sock.recv(4096)
            if not data:
                raise ConnectionResetError(104, "the connection was closed")
            self.buffer += data
            if len(self.buffer) > LIMIT:
                raise OSError(90, "the answer is too long")
        line, _sep, self.buffer = self.buffer.partition(b"\n")
        return line.rstrip(b"\r").decode("utf-8", "replace")

    def send(self, text):
        """Send one line."""
        self.sock.sendall(text.encode() + b"\r\n")

    def smtp(self):
        """The lines of one SMTP answer."""
        lines = [self.line()]
        while lines[-1][3:4] == "-":
            lines.append(self.line())
        return lines

    def until(self, done):
        """Lines until done(line), that one included."""
        lines = [self.line()]
        while not done(lines[-1]) and len(lines) < 200:
            lines.append(self.line())
        return lines


def talk(talk_to, protocol):
    """{greeting, starttls, auth} that a server shows to somebody who has not logged in."""
    if protocol == "smtp":
        greeting = talk_to.smtp()[0]
        talk_to.send("EHLO intact.invalid")
        lines = [line[4:] for line in talk_to.smtp()]
        talk_to.send("QUIT")
        auth = sorted({word for line in lines for word in re.findall(r"[\w-]+", line[4:]) if line.upper().startswith("AUTH")})
        return {"greeting": greeting[:3], "starttls": "STARTTLS" in [line.upper() for line in lines], "auth": auth}
    if protocol == "imap":
        greeting = talk_to.line()
        talk_to.send("a CAPABILITY")
        words = " ".join(talk_to.until(lambda line: line.startswith("a "))).split()
        talk_to.send("b LOGOUT")
        return {
            "greeting": " ".join(greeting.split()[:2]),
            "starttls": "STARTTLS" in words,
            "auth": sorted({w[5:] for w in words if w.startswith("AUTH=")}),
            "login": "LOGINDISABLED" not in words,
        }
    if protocol == "pop3":
        greeting = talk_to.line()
        talk_to.send("CAPA")
        lines = talk_to.until(lambda line: line == "." or line.startswith("-ERR"))
        talk_to.send("QUIT")
        return {
            "greeting": greeting.split()[0] if greeting else "",
            "starttls": "STLS" in lines,
            "auth": sorted({w for line in lines if line.startswith("SASL ") for w in line.split()[1:]}),
        }
    lines = talk_to.until(lambda line: line.startswith(("OK", "NO", "BYE")))
    talk_to.send("LOGOUT")
    sasl = [re.findall(r"[\w-]+", line[6:]) for line in lines if line.upper().startswith('"SASL"')]
    return {"greeting": lines[-1].split()[0], "starttls": any(line.upper().startswith('"STARTTLS"') for line in lines), "auth": sorted(sasl[0]) if sasl else []}


def unverified():
    """A TLS context that accepts any certificate: looking at it is the tls section's work."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def look(system, port, timeout=15):
    """talk() with a port of this host over IPv4 or else IPv6; None when nothing listens there, {"error": ...} when it does not talk."""
    protocol, tls = PORTS[port]
    sock = None
    for address in ("127.0.0.1", "::1"):
        try:
            sock = system.dial(address, port, timeout)
            break
        except OSError:
            continue
    if sock is None:
        return None
    try:
        sock.settimeout(timeout)
        if tls:
            sock = unverified().wrap_socket(sock)
        return dict(talk(Dialogue(sock), protocol), protocol=protocol)
    except socket.timeout:
        return {"protocol": protocol, "error": "no answer in time"}
    except (OSError, IndexError) as exc:
        return {"protocol": protocol, "error": getattr(exc, "strerror", None) or getattr(exc, "reason", None) or type(exc).__name__}
    finally:
        sock.close()
