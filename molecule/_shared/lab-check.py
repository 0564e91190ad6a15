# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Does a populated web1 do its work? Asks every service as its customers do; changes nothing on the server.

lab-check.py --container NAME --ca FILE ADDRESS...    (each address, IPv4 or IPv6, is asked for everything)
"""

from __future__ import annotations

import argparse
import concurrent.futures
import http.client
import imaplib
import smtplib
import socket
import ssl
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

# name, path, status over HTTP, status over HTTPS, text that must be in the HTTPS answer or its Location
SITES = (
    ("www.hilltop.test", "/", 200, 200, "Bread since 1908"),
    ("www.hilltop.test", "/gallery-39/page-000.html", 200, 200, "Cake 0 of gallery 39"),
    ("www.hilltop.test", "/private/till.csv", 403, 403, ""),
    ("old.hilltop.test", "/menu.php", 302, 302, "https://www.hilltop.test/menu.html"),
    ("blog.northwind.test", "/", 301, 200, "Logbook entry 23"),
    ("blog.northwind.test", "/2014/04/logbook-3/", 301, 200, "Comment 2 on entry 3"),
    ("wiki.harbour.test", "/club/boats", 200, 200, "Lütt Deern"),
    ("guests.harbour.test", "/", 200, 200, "250 entries"),
)
# login, password, folders and the fewest messages each must hold
MAILBOXES = (
    ("info@hilltop.test", "lab-info", {"INBOX": 25, "Sent": 12, "Trash": 3, "Junk": 1}),
    ("orders@hilltop.test", "lab-orders", {"INBOX": 41, "Archive.2022": 25}),
    ("anna@hilltop.test", "lab-anna", {"INBOX": 19, "Entw&APw-rfe": 4, "Projects.Cakes.Wedding": 7}),
    ("editor@northwind.test", "lab-editor", {"INBOX": 22, '"Issue 12"': 8}),
    ("sales@northwind.test", "lab-sales", {"INBOX": 7}),
    ("captain@harbour.test", "lab-captain", {"INBOX": 16, "Crew": 12}),
    ("carol", "lab-carol", {"INBOX": 32, "family/2019": 6}),
    ("oldpaul", "lab-oldpaul", {"INBOX": 20, "saved": 12}),
)
RECIPIENTS = ("info@hilltop.test", "captain@harbour.test", "carol@web1.lab.test", "crew@lists.harbour.test", "sales-team@hilltop.test")
REFUSED = ("nobody-here@hilltop.test", "someone@elsewhere.example")
# generous: the machine may be busy with other scenarios, and the first look at a page compiles it
TIMEOUT = 90
ZONES = {"hilltop.test": "mail.hilltop.test", "northwind.test": "blog.northwind.test", "harbour.test": "wiki.harbour.test"}
MAIL_NAME = "mail.hilltop.test"
SIGNED = "northwind.test"
# what is run on the server and what it must print
ON_THE_SERVER = {
    "no failed unit": (["systemctl", "--failed", "--no-legend", "--plain"], ""),
    "/home is the data disk": (["findmnt", "-no", "FSTYPE", "/home"], "ext4"),
    "MariaDB rows": (["mariadb", "-NBe", "SELECT COUNT(*) FROM hilltop_shop.orders"], "60000"),
    "MyISAM rows": (["mariadb", "-NBe", "SELECT COUNT(*) FROM hilltop_shop.old_orders"], "25000"),
    "MariaDB login of a customer": (
        ["env", "MYSQL_PWD=lab-hilltop_shop", "mariadb", "-u", "hilltop_shop", "-NBe", "SELECT COUNT(*) FROM hilltop_shop.pictures"],
        "400",
    ),
    "PostgreSQL login of a customer": (
        ["env", "PGPASSWORD=lab-northwind_crm", "psql", "-XAt", "-h", "127.0.0.1", "-U", "northwind_crm", "-c"]
        + ["SELECT count(*) FROM crm.invoice", "northwind_crm"],
        "9000",
    ),
    "list members": (["sh", "-c", "runuser -u list -- mailman members crew@lists.harbour.test | wc -l"], "43"),
    "one message is queued": (["sh", "-c", "postqueue -j | grep -c deadend.test"], "1"),
    "held package": (["apt-mark", "showhold"], "unzip"),
    "firewall table": (["sh", "-c", "nft list chain inet hosting input | grep -c 'policy drop'"], "1"),
}


@dataclass
class Check:
    """One question: what is asked, and the callable that raises when the answer is wrong."""

    what: str
    ask: Callable[[], None]


class Wrong(Exception):
    """An answer that came but is not the one it should be."""


def expect(got: object, wanted: object) -> None:
    if got != wanted:
        raise Wrong(f"got {got!r} instead of {wanted!r}")


def site(address: str, ca: ssl.SSLContext, name: str, path: str, status: int, text: str, tls: bool) -> None:
    """One request to one address under one name; over TLS the certificate must be the name's own."""
    sock = socket.create_connection((address, 443 if tls else 80), timeout=TIMEOUT)
    with ca.wrap_socket(sock, server_hostname=name) if tls else sock as stream:
        connection = http.client.HTTPConnection(name, timeout=TIMEOUT)
        connection.sock = stream
        connection.request("GET", path, headers={"Host": name})
        answer = connection.getresponse()
        body = answer.read().decode("utf-8", "replace")
        expect(answer.status, status)
        if tls and text not in body and text != answer.headers.get("Location"):
            raise Wrong(f"{text!r} is not in the answer ({len(body)} characters)")


def mailbox(address: str, ca: ssl.SSLContext, login: str, password: str, folders: dict[str, int]) -> None:
    with imaplib.IMAP4(address, 143, timeout=TIMEOUT) as server:
        # the certificate is for the name, not for the address
        server.host = MAIL_NAME
        server.starttls(ca)
        server.login(login, password)
        for folder, fewest in folders.items():
            _state, data = server.select(folder, readonly=True)
            if int(data[0] or 0) < fewest:
                raise Wrong(f"{folder} holds {data[0]!r} messages, fewer than {fewest}")


def recipient(address: str, to: str, accepted: bool) -> None:
    """Ask for a recipient, then quit: nothing is delivered."""
    with smtplib.SMTP(address, 25, local_hostname="check.example.test", timeout=TIMEOUT) as server:
        server.ehlo()
        server.mail("check@example.test")
        code, text = server.rcpt(to)
        if (code == 250) is not accepted:
            raise Wrong(f"{code} {text!r}")


def query(address: str, name: str, kind: int) -> bytes:
    """Answer to one question over UDP with DNSSEC wanted; raises unless it is authoritative and without error."""
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0"
    message = struct.pack(">6H", 4711, 0, 1, 0, 0, 1) + labels + struct.pack(">2H", kind, 1)
    message += b"\0" + struct.pack(">HHIH", 41, 1232, 0x8000, 0)
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(5)
        sock.sendto(message, (address, 53))
        answer = sock.recv(4096)
    flags, _questions, answers = struct.unpack(">3H", answer[2:8])
    if flags & 0xF or not flags & 0x0400 or not answers:
        raise Wrong(f"flags {flags:#06x}, {answers} answers")
    return answer


def signed(address: str) -> None:
    # type 46 is RRSIG: its two bytes followed by class IN must be in the answer section
    if b"\x00\x2e\x00\x01" not in query(address, SIGNED, 6):
        raise Wrong("no RRSIG with the SOA record")


def on_the_server(container: str, argv: list[str], wanted: str) -> None:
    done = subprocess.run(["docker", "exec", "-w", "/", container, *argv], capture_output=True, text=True, check=False)
    expect(done.stdout.strip() or done.stderr.strip(), wanted)


def checks(addresses: list[str], ca: ssl.SSLContext, container: str) -> list[Check]:
    found = []
    for where in addresses:
        for name, path, over_http, over_tls, text in SITES:
            found.append(Check(f"http://{name}{path} at {where}", lambda a=where, n=name, p=path, s=over_http: site(a, ca, n, p, s, "", False)))
            found.append(Check(f"https://{name}{path} at {where}", lambda a=where, n=name, p=path, s=over_tls, t=text: site(a, ca, n, p, s, t, True)))
        for login, password, folders in MAILBOXES:
            found.append(Check(f"IMAP {login} at {where}", lambda a=where, u=login, w=password, f=folders: mailbox(a, ca, u, w, f)))
        for to in RECIPIENTS:
            found.append(Check(f"SMTP takes mail for {to} at {where}", lambda a=where, t=to: recipient(a, t, True)))
        for to in REFUSED:
            found.append(Check(f"SMTP refuses mail for {to} at {where}", lambda a=where, t=to: recipient(a, t, False)))
        for zone, host in ZONES.items():
            found.append(Check(f"DNS {zone} SOA at {where}", lambda a=where, z=zone: query(a, z, 6) and None))
            found.append(Check(f"DNS {host} A at {where}", lambda a=where, h=host: query(a, h, 1) and None))
        found.append(Check(f"DNS {SIGNED} is signed at {where}", lambda a=where: signed(a)))
    if container:
        for what, (argv, wanted) in ON_THE_SERVER.items():
            found.append(Check(what, lambda v=argv, w=wanted: on_the_server(container, v, w)))
    return found


def failure(check: Check) -> str:
    """Empty when the answer is right, else what was wrong."""
    try:
        check.ask()
    except (OSError, Wrong, ssl.SSLError, smtplib.SMTPException, imaplib.IMAP4.error, http.client.HTTPException) as exc:
        return f"{check.what}: {exc or type(exc).__name__}"
    return ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--container", default="", help="also ask inside this container")
    parser.add_argument("--ca", required=True, help="the lab CA's certificate")
    parser.add_argument("addresses", nargs="+", metavar="ADDRESS")
    args = parser.parse_args()
    todo = checks(args.addresses, ssl.create_default_context(cafile=args.ca), args.container)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        wrong = [text for text in pool.map(failure, todo) if text]
    for text in wrong:
        print(f"    wrong: {text}", file=sys.stderr)
    print(f"    {len(todo) - len(wrong)} of {len(todo)} answers are right", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
