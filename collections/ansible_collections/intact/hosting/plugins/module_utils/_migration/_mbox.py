# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""An mbox file read by our own parser, in bounded memory: where each message lies, what it is, and the flags and numbers that IMAP servers keep in it.

Dovecot reads the same file when it is imported; that both find the same messages is the proof, so nothing here asks Dovecot.
"""

from __future__ import annotations

import hashlib
import io
import re

# written by mail servers into an mbox file: they hold flags and numbers, not the message
STATE_HEADERS = (b"status", b"x-status", b"x-keywords", b"x-uid", b"x-imapbase", b"x-imap", b"content-length", b"x-mozilla-status", b"x-mozilla-status2")
MONTHS = rb"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
# "From user Mon Jan  7 10:00:00 2008", also without seconds, with a zone, and as an RFC 822 date: what Dovecot 2.3 takes for one, held against it in a test
FROM = re.compile(
    rb'From (?:"[^"\n]*"\S*|\S*) +(?:[A-Z][a-z]{2},? +)?(?:' + MONTHS + rb" +\d{1,2} +\d{1,2}:\d\d|\d{1,2} +" + MONTHS + rb" +\d{4} +\d{1,2}:\d\d)"
)
FLAGS = {b"S": "seen", b"R": "answered", b"F": "flagged", b"T": "deleted", b"D": "draft"}
STATUS = {"status": {"R": "seen"}, "x-status": {"A": "answered", "F": "flagged", "D": "deleted", "T": "draft"}}
INTERNAL = b"FOLDER INTERNAL DATA"
LINE = 1 << 16
HEAD = 1 << 20


class Digest:
    """The same 20 hex digits for a message in mbox, in Maildir and over IMAP: servers' headers, kinds of line ends, blank lines at its end left out."""

    def __init__(self):
        self._hash, self._head, self._skipping, self._blank, self._rest = hashlib.sha256(), True, False, 0, b""
        self._fresh = True

    def line(self, line):
        """A line with its end, or a part of one."""
        if self._rest:
            line, self._rest = self._rest + line, b""
        if line.endswith(b"\r"):
            # its line feed may come with the next part
            line, self._rest = line[:-1], b"\r"
        # IMAP can't carry a zero byte: Dovecot tells 0x80 in its place
        line = line.replace(b"\r\n", b"\n").replace(b"\0", b"\x80")
        if self._head:
            fresh, self._fresh = self._fresh, line.endswith(b"\n") if line else self._fresh
            if fresh and line == b"\n":
                self._head = False
                self._hash.update(line)
                return
            if fresh and line[:1] not in (b" ", b"\t"):
                self._skipping = line.partition(b":")[0].strip().lower() in STATE_HEADERS
            if not self._skipping:
                self._hash.update(line)
            return
        kept = line.rstrip(b"\n")
        if kept:
            self._hash.update(b"\n" * self._blank + kept)
            self._blank = 0
        self._blank += len(line) - len(kept)

    def end(self):
        """The digest."""
        if self._rest:
            rest, self._rest = self._rest, b""
            self._hash.update(b"\n" * self._blank + rest)
        return self._hash.hexdigest()[:20]


def digest_of(data):
    """Digest of a message given as bytes."""
    digest = Digest()
    for line in io.BytesIO(data):
        digest.line(line)
    return digest.end()


def headers(head):
    """{name in lower case: value (first one, unfolded)} of a header as bytes."""
    out, last = {}, None
    for line in head.replace(b"\r\n", b"\n").split(b"\n"):
        if line[:1] in (b" ", b"\t") and last:
            out[last] += b" " + line.strip()
        elif b":" in line:
            name, _colon, value = line.partition(b":")
            last = name.strip().lower().decode("latin-1")
            if last in out:
                last = None
            else:
                out[last] = value.strip()
    return out


def flags_of(told):
    """Flags that an mbox message's headers hold."""
    return {word for name, table in STATUS.items() for letter, word in table.items() if letter.encode() in told.get(name, b"")}


class Mbox:
    """One mbox file. After messages() ran: validity (of its UIDs, or 0), next_uid, internal (messages of the server's own, which are none), oddities."""

    def __init__(self, handle):
        self._handle = handle
        self.validity = self.next_uid = self.internal = 0
        self.oddities = []

    def messages(self):
        """{start end digest id flags uid} of each message; start is that of its From_ line. The internal one of UW IMAP is left out."""
        handle = self._handle
        handle.seek(0)
        start, line = 0, handle.readline(LINE)
        while line and not line.strip():
            start, line = start + len(line), handle.readline(LINE)
        if line and not line.startswith(b"From "):
            self.oddities.append("it does not begin with a From line")
            return
        while line:
            found, line = self._message(handle, start, line)
            start = found["end"]
            if found.pop("internal"):
                self.internal += 1
                continue
            yield found

    def _rest(self, handle, line):
        while line and not line.endswith(b"\n"):
            line = handle.readline(LINE)

    def _message(self, handle, start, line):
        """(message, the next From_ line or b"" at the end)."""
        self._rest(handle, line)
        digest, head, size = Digest(), [], 0
        fresh, line = True, handle.readline(LINE)
        while line and line not in (b"\n", b"\r\n"):
            if fresh and FROM.match(line):
                # a message without a body
                break
            fresh = line.endswith(b"\n")
            digest.line(line)
            size += len(line)
            if size < HEAD:
                head.append(line)
            line = handle.readline(LINE)
        told = headers(b"".join(head))
        # the last one said of a folder counts: IMAP servers look at the first message, and only there
        base = re.match(rb"(\d+) +(\d+)", told.get("x-imapbase", told.get("x-imap", b"")))
        if base and not self.validity:
            self.validity, self.next_uid = int(base.group(1)), int(base.group(2)) + 1
        if line in (b"\n", b"\r\n"):
            digest.line(line)
            line = self._body(handle, digest, told)
        end = handle.tell() - len(line)
        uid = told.get("x-uid", b"").split(b" ")[0]
        return {
            "start": start,
            "end": end,
            "digest": digest.end(),
            "id": told.get("message-id", b"")[:300],
            "flags": flags_of(told),
            "uid": int(uid) if uid.isdigit() else 0,
            "internal": INTERNAL in told.get("subject", b""),
        }, line

    def _body(self, handle, digest, told):
        """Reads a body into the digest; the From_ line behind it, or b""."""
        length = told.get("content-length", b"")
        if length.isdigit() and self._ends_at(handle, handle.tell() + int(length)):
            left = int(length)
            while left:
                line = handle.readline(min(LINE, left))
                if not line:
                    break
                left -= len(line)
                digest.line(line)
            fresh = True
        else:
            fresh = True
        while True:
            line = handle.readline(LINE)
            if not line or (fresh and FROM.match(line)):
                return line
            fresh = line.endswith(b"\n")
            digest.line(line)

    def _ends_at(self, handle, end):
        """Whether a message ends at this place: Content-Length is believed only where another message begins there, or the file ends."""
        here = handle.tell()
        try:
            size = handle.seek(0, 2)
            if end > size:
                return False
            handle.seek(end)
            after = handle.read(512)
            # one blank line, no more and no less, as Dovecot has it
            line = after[2:] if after.startswith(b"\r\n") else after[1:] if after.startswith(b"\n") else b"-"
            return bool(FROM.match(line.split(b"\n")[0])) if after.strip() else size - end < 3
        finally:
            handle.seek(here)


def count_from(handle):
    """Lines that begin with From_ as Mailman's cleanarch counts them: (ones that begin a message, ones that only look so)."""
    handle.seek(0)
    real = odd = 0
    fresh, line = True, handle.readline(LINE)
    while line:
        if fresh and line.startswith(b"From "):
            if FROM.match(line):
                real += 1
            else:
                odd += 1
        fresh, line = line.endswith(b"\n"), handle.readline(LINE)
    return real, odd
