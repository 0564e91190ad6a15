# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Queues of an old mail server: every message copied to where the operator can look at it; sent only when a setting says so, and never twice."""

from __future__ import annotations

import os
import re
import stat

from ansible_collections.intact.hosting.plugins.module_utils import _command
from ansible_collections.intact.hosting.plugins.module_utils._files import append_durable, escape, read_if_exists, write_document
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._migration import _mail_disk

POSTFIX = ("maildrop", "incoming", "active", "deferred", "hold")
EXIM = ("/var/spool/exim4/input", "/var/spool/exim/input")
SENDMAIL = ("/var/spool/mqueue", "/var/spool/clientmqueue")
LIMIT = 1 << 30


def waiting(context):
    """[{server, queue, id, path (a Place's), file}] of messages in the old queues."""
    out = []
    for queue in POSTFIX:
        out += _found(context, "postfix", queue, "/var/spool/postfix/" + queue, rb"[0-9A-Za-z]{5,24}\Z")
    for top in EXIM:
        out += _found(context, "exim", "input", top, rb"[0-9A-Za-z]{6}-[0-9A-Za-z]{6,11}-[0-9A-Za-z]{2,4}-H\Z")
    for top in SENDMAIL:
        out += _found(context, "sendmail", os.path.basename(top), top, rb"qf[0-9A-Za-z]+\Z")
    return out


def _found(context, server, queue, top, pattern):
    place = _mail_disk.place(context, top)
    if place is None:
        return []
    with place:
        names = [name for name, status in place.files(b"", 3) if re.match(pattern, name.rpartition(b"/")[2]) and stat.S_ISREG(status.st_mode)]
    return [{"server": server, "queue": queue, "id": escape(name.rpartition(b"/")[2]), "path": top, "file": name} for name in names]


def copy(context, entry, directory):
    """Raw copies, and where it can be told the message as ID.eml and its envelope as ID.json. Returns {sender recipients} or {said}."""
    target = os.path.join(directory, entry["server"], entry["queue"])
    os.makedirs(target, mode=0o700, exist_ok=True)
    name = entry["file"].rpartition(b"/")[2]
    twins = [entry["file"]]
    if entry["server"] == "exim":
        twins.append(entry["file"][:-1] + b"D")
    elif entry["server"] == "sendmail":
        twins.append(entry["file"].replace(b"qf", b"df"))
    paths = []
    with _mail_disk.Place(context, entry["path"]) as place:
        for twin in twins:
            data = place.read(twin, LIMIT)
            path = os.path.join(target, os.fsdecode(twin.rpartition(b"/")[2]))
            if data is not None:
                with open(path, "wb") as handle:
                    os.fchmod(handle.fileno(), 0o600)
                    handle.write(data)
                paths.append(path)
    stem = os.path.join(target, os.fsdecode(name))
    try:
        told = _postfix(paths[0], stem) if entry["server"] == "postfix" else _exim(paths, stem) if entry["server"] == "exim" else {"said": "kept as it lay"}
    except (IntactError, ValueError, IndexError) as exc:
        told = {"said": str(exc) or "it is damaged"}
    write_document(stem + ".json", told)
    return told


def _postfix(path, stem):
    """A queue file by Postfix's own postcat, from the copy."""
    envelope = _command.run(["postcat", "-e", path]).text
    message = _command.run(["postcat", "-hb", path]).out
    with open(stem + ".eml", "wb") as handle:
        os.fchmod(handle.fileno(), 0o600)
        handle.write(message)
    senders = re.findall(r"^sender: ?(.*)$", envelope, re.MULTILINE)
    done = re.findall(r"^done_recipient: ?(.*)$", envelope, re.MULTILINE)
    recipients = [r for r in re.findall(r"^recipient: ?(.*)$", envelope, re.MULTILINE) if r not in done]
    if not senders or not (message.strip() and recipients):
        raise ValueError("postcat tells no %s" % ("sender" if not senders else "recipients or no message"))
    return {"sender": escape(senders[0]), "recipients": [escape(r) for r in recipients]}


def _exim(paths, stem):
    """An -H file: names, sender, options, a tree of recipients that have it, recipients, headers with a length before each; -D after its first line."""
    head, body = (_slurp(path) for path in (paths[0], paths[1]))
    lines = head.split(b"\n")
    sender = lines[2].strip().strip(b"<>")
    blank = lines.index(b"", 3)
    number, count = next((i, int(line)) for i, line in enumerate(lines[3:blank], 3) if re.match(rb"\d+\Z", line))
    recipients = [line.split(b" ")[0] for line in lines[number + 1 : number + 1 + count]]
    done = {line.split(b" ", 1)[1] for line in lines[3:number] if re.match(rb"[YN][YN] ", line)}
    rest, headers = b"\n".join(lines[blank + 1 :]), b""
    while True:
        found = re.match(rb"(\d{3,})(.) ", rest)
        if not found:
            break
        text = rest[found.end() : found.end() + int(found.group(1))]
        headers += b"" if found.group(2) == b"*" else text
        rest = rest[found.end() + int(found.group(1)) :]
    with open(stem + ".eml", "wb") as handle:
        os.fchmod(handle.fileno(), 0o600)
        handle.write(headers + b"\n" + body.partition(b"\n")[2])
    return {"sender": escape(sender), "recipients": [escape(r) for r in recipients if r not in done]}


def _slurp(path):
    with open(path, "rb") as handle:
        return handle.read()


def requeue(context, entry, told, directory, config=""):
    """Hand a message to the live mail server, once. Returns whether it did. The note is durable before: a message may rather wait than go twice."""
    journal = os.path.join(directory, "requeued")
    mark = ("%s %s %s" % (entry["server"], entry["queue"], entry["id"])).encode()
    if mark in (read_if_exists(journal) or b"").split(b"\n"):
        return False
    append_durable(journal, mark)
    path = os.path.join(directory, entry["server"], entry["queue"], os.fsdecode(entry["file"].rpartition(b"/")[2])) + ".eml"
    words = ["-C", config] if config else []
    recipients = [r for r in told["recipients"] if not r.startswith("-")]
    _command.run(["sendmail", *words, "-i", "-f", told["sender"] or "<>", "--", *recipients], stdin=_slurp(path), timeout=300)
    return True
