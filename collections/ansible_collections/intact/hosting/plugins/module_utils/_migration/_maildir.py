# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""A Maildir of the old disk: folders, messages with flags and UIDs as Dovecot or Courier numbered them, subscriptions."""

from __future__ import annotations

import re
import stat

from ansible_collections.intact.hosting.plugins.module_utils._migration import _mbox

FLAGS = {"S": "seen", "R": "answered", "F": "flagged", "T": "deleted", "D": "draft"}
# of a list of numbers: its owner could make it as long as his quota, and each line takes memory
LIST_BYTES, LIST_LINES = 1 << 26, 1 << 20


def folders(place, root=b""):
    """{components of the folder's name as on the disk ([] is INBOX): directory below the place}, Maildir++ or directories in directories."""
    out = {}
    if any(place.is_directory(_join(root, part)) for part in (b"cur", b"new")):
        out[()] = root
    for name, status in place.entries(root):
        if not stat.S_ISDIR(status.st_mode) or name in (b".", b".."):
            continue
        below = _join(root, name)
        if name.startswith(b"."):
            if any(place.is_directory(_join(below, part)) for part in (b"cur", b"new")):
                out[tuple(name[1:].split(b"."))] = below
        elif name not in (b"cur", b"new", b"tmp") and place.is_directory(_join(below, b"cur")):
            out.update({(name, *deeper): where for deeper, where in folders(place, below).items()})
    return out


def _join(root, name):
    return root + b"/" + name if root else name


def messages(place, folder):
    """[{file directory digest id flags uid}] of one folder."""
    numbers, out = uids(place, folder)[2], []
    for part in (b"cur", b"new"):
        for name, status in place.entries(_join(folder, part)):
            if name.startswith(b".") or not stat.S_ISREG(status.st_mode):
                continue
            handle = place.open(_join(_join(folder, part), name))
            if handle is None:
                continue
            with handle:
                digest, head, size = _mbox.Digest(), [], 0
                line = handle.readline(_mbox.LINE)
                while line:
                    digest.line(line)
                    size += len(line)
                    if size < _mbox.LINE:
                        head.append(line)
                    line = handle.readline(_mbox.LINE)
            told = _mbox.headers(b"".join(head).replace(b"\r\n", b"\n").partition(b"\n\n")[0])
            base, _colon, marks = name.decode("latin-1").partition(":2,")
            out.append(
                {
                    "file": name,
                    "part": part,
                    "digest": digest.end(),
                    "id": told.get("message-id", b"")[:300],
                    "flags": {FLAGS[c] for c in marks if c in FLAGS} if part == b"cur" else set(),
                    "uid": numbers.get(base.encode("latin-1"), 0),
                    "size": status.st_size,
                }
            )
    return out


def uids(place, folder):
    """(validity, next uid, {base name: uid}) as Dovecot's list says, or else Courier's; (0, 0, {}) without one that can be used."""
    for name in (b"dovecot-uidlist", b"courierimapuiddb"):
        text = place.read(_join(folder, name), LIST_BYTES)
        if text:
            return parse_uids(text)
    return 0, 0, {}


def parse_uids(text):
    """The same from a list's bytes: Dovecot's version 3 (3 V.. N.. G..), its version 1 and Courier's (1 VALIDITY NEXT)."""
    head, _newline, rest = text.partition(b"\n")
    words = head.split()
    validity = following = 0
    if words[:1] == [b"3"]:
        for word in words[1:]:
            if word[1:].isdigit():
                validity = int(word[1:]) if word[:1] == b"V" else validity
                following = int(word[1:]) if word[:1] == b"N" else following
    elif len(words) >= 3 and words[1].isdigit() and words[2].isdigit():
        validity, following = int(words[1]), int(words[2])
    pattern = rb"^(\d+) (?:[^:\n]*:)?([^\n]+)$" if words[:1] == [b"3"] else rb"^(\d+) (?:[0-9A-Z,=]* )?([^\n]+)$"
    out = {}
    for found in re.finditer(pattern, rest, re.MULTILINE):
        out[found.group(2).partition(b":2,")[0]] = int(found.group(1))
        if len(out) > LIST_LINES:
            return 0, 0, {}
    return validity, following, out


def dovecot_list(validity, following, numbers):
    """The bytes of a dovecot-uidlist with these numbers (version 3), for folders that Courier numbered."""
    rows = sorted((uid, name) for name, uid in numbers.items())
    return b"3 V%d N%d\n" % (validity, following) + b"".join(b"%d :%s\n" % row for row in rows)


def subscriptions(place, root=b""):
    """Subscribed folders as components, from Dovecot's or Courier's file."""
    text = place.read(_join(root, b"subscriptions"))
    if text is not None:
        lines = text.split(b"\n")
        if lines[:1] and lines[0].startswith(b"V\t"):
            return [tuple(line.split(b"\t")) for line in lines[1:] if line.strip()]
        return [tuple(re.split(rb"[./]", line.strip())) for line in lines if line.strip()]
    text = place.read(_join(root, b"courierimapsubscribed")) or b""
    return [tuple(line.strip().split(b".")[1:]) for line in text.split(b"\n") if line.startswith(b"INBOX.")]
