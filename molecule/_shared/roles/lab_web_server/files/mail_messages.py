# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages, maildirs and mboxes: the same bytes on each call."""

from __future__ import annotations

import base64
import os
import random
import time

import lab

SUBJECTS = ("Invoice", "Re: order", "Kuchen für Samstag", "=?utf-8?B?5rW344Gu5YaZ55yf?=", "Minutes", "Lost and found", "Weather")
SENDERS = ("Anna <anna@hilltop.test>", "boat@example.test", "=?iso-8859-1?Q?J=FCrgen?= <juergen@example.test>", "shop@example.test")


def message(owner: str, number: int, folder: str) -> bytes:
    """One message, dated by its number; kinds alternate between plain, latin1, HTML and with an attachment."""
    rng = random.Random(f"{owner} {folder} {number}")
    when = time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime(lab.EPOCH + number * 3600))
    head = [
        f"Return-Path: <bounce-{number}@example.test>",
        f"From: {rng.choice(SENDERS)}",
        f"To: {owner}",
        f"Subject: {rng.choice(SUBJECTS)} {number}",
        f"Date: {when}",
        f"Message-ID: <{number}.{folder.replace(' ', '_')}.{owner.replace('@', '.')}@example.test>",
        "MIME-Version: 1.0",
    ]
    words = " ".join(rng.choice(("tide", "bread", "mast", "flour", "gull", "oven")) for _ in range(rng.randint(5, 200)))
    kind = number % 4
    if kind == 0:
        body = ["Content-Type: text/plain; charset=utf-8", "", words, "From here on it is text, no separator.", ""]
        return ("\n".join(head + body)).encode()
    if kind == 1:
        body = ["Content-Type: text/plain; charset=iso-8859-1", "Content-Transfer-Encoding: 8bit", "", "Grüße aus Köln: " + words, ""]
        return ("\n".join(head + body)).encode("latin-1")
    if kind == 2:
        body = ["Content-Type: text/html; charset=utf-8", "", f"<p>{words}</p>", ""]
        return ("\n".join(head + body)).encode()
    data = base64.encodebytes(rng.randbytes(rng.randint(500, 20000))).decode()
    edge = f"=_{number}_edge"
    body = [f'Content-Type: multipart/mixed; boundary="{edge}"', "", f"--{edge}", "Content-Type: text/plain", "", words]
    body += [f"--{edge}", "Content-Type: application/octet-stream", 'Content-Disposition: attachment; filename="scan.bin"']
    body += ["Content-Transfer-Encoding: base64", "", data + f"--{edge}--", ""]
    return ("\n".join(head + body)).encode()


def maildir(base: str, owner: str, uid: int, folders: dict[str, int]) -> None:
    """A Maildir++ with messages, flags, one keyword and the list of subscriptions. Folder "" is INBOX."""
    for folder, count in folders.items():
        path = f"{base}/.{folder}" if folder else base
        for part in ("cur", "new", "tmp"):
            os.makedirs(f"{path}/{part}", exist_ok=True)
        if folder:
            open(f"{path}/maildirfolder", "w").close()
        with open(f"{path}/dovecot-keywords", "w", encoding="ascii") as out:
            out.write("0 invoice\n1 $Forwarded\n")
        for number in range(count):
            data = message(owner, number, folder or "INBOX")
            when = lab.EPOCH + number * 3600
            flags = ("S", "RS", "", "FS", "Sa", "PSab", "ST")[number % 7]
            name = f"{when}.M{number:06d}P{4000 + number}.web1,S={len(data)}:2,{flags}"
            where = f"{path}/new/{name.split(':', maxsplit=1)[0]}" if folder == "" and number >= count - 2 else f"{path}/cur/{name}"
            with open(where, "wb") as out:
                out.write(data)
            os.utime(where, (when, when))
    with open(f"{base}/subscriptions", "w", encoding="ascii") as out:
        out.write("V\t2\n\n" + "".join(name.replace(".", "\t") + "\n" for name in folders if name))
    for root, _names, files in os.walk(base):
        os.chown(root, uid, uid)
        os.chmod(root, 0o700)
        for name in files:
            os.chown(f"{root}/{name}", uid, uid)
            os.chmod(f"{root}/{name}", 0o600)


def mbox(owner: str, folder: str, count: int) -> bytes:
    """An mbox file's bytes, with the flags in Status and X-Status and the separator escaped in bodies."""
    out = []
    for number in range(count):
        data = message(owner, number, folder)
        head, _, body = data.partition(b"\n\n")
        status = (b"RO", b"O", b"RO")[number % 3]
        mark = (b"", b"F", b"A", b"FA")[number % 4]
        lines = [b">" + line if line.startswith(b"From ") else line for line in body.split(b"\n")]
        when = time.asctime(time.gmtime(lab.EPOCH + number * 3600))
        out.append(f"From bounce-{number}@example.test {when}\n".encode() + head + b"\nStatus: " + status)
        if mark:
            out.append(b"\nX-Status: " + mark)
        out.append(b"\n\n" + b"\n".join(lines).rstrip(b"\n") + b"\n\n")
    return b"".join(out)
