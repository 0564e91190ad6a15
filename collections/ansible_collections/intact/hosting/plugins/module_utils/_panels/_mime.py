# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Plesk 7 and 8 write a backup as one MIME multipart: read part by part to its last byte. (Python's email package would hold all of it in memory.)"""

from __future__ import annotations

import binascii
import re

from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._panels._streams import Broken, Reader

NAME = "multipart"
DEEPEST = 8
# a header block longer than this is none, and so is a longer boundary line
HEADERS = 1 << 16
LINE = 512
_BLOCK = 1 << 18
_BLANK = b" \t\r\n\v\f"
_VERSION = re.compile(rb"^dumped-psa-version:", re.I | re.M)
_FIELD = re.compile(r"([!-9;-~]+):[ \t]*(.*)\Z", re.S)
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def told(head):
    """Whether a file with this beginning is one: by Plesk's own header, as customers' mail is multipart too and no archive."""
    top = re.split(rb"\r?\n\r?\n", head, maxsplit=1)[0]
    return bool(re.match(rb"[A-Za-z][A-Za-z0-9-]*:", top)) and bool(_VERSION.search(top))


def members(source, work=None):
    """Yield (name, kind, size, reader, target) of each part, nested ones too; raise Broken where the stream is. A part is read before the next is asked for."""
    return _Multipart(source).members()


def parameter(value, name):
    """A parameter of a header's value, without its quotes: boundary of multipart/mixed; boundary="x"."""
    found = re.search(r"(?:^|[;\s])%s\s*=\s*(?:\"([^\"]*)\"|([^\s;\"]+))" % re.escape(name), value, re.I)
    return (found.group(1) or found.group(2) or "") if found else ""


class _Multipart:
    """boundaries: of the multiparts that are open, the outermost first. found: (place in boundaries, whether it closes) of the boundary that was reached."""

    def __init__(self, source):
        self._source, self._held, self._ended = source, b"", False
        self._boundaries, self._found, self._fresh = [], None, False
        self._crlf, self._names, self._number, self._wrong = False, {}, 0, []

    def members(self):
        top = self._headers("the stream's headers")
        version = top.get("dumped-psa-version", "")
        boundary = parameter(top.get("content-type", ""), "boundary")
        if not boundary:
            raise Broken("its headers name no boundary: its parts can't be told apart")
        self._boundaries = [boundary.encode("latin-1")]
        self._skip()
        while self._boundaries:
            place, closes = self._found
            if place < len(self._boundaries) - 1:
                self._wrong.append("a multipart in it ends without its closing boundary")
                del self._boundaries[place + 1 :]
            if not closes:
                yield from self._part(version)
                continue
            self._boundaries.pop()
            if self._boundaries:
                self._skip()
        self._nothing_more()
        if self._wrong:
            raise Broken("; ".join(self._wrong))

    def _part(self, version):
        self._number += 1
        headers = self._headers("the headers of part %d" % self._number)
        kind = headers.get("content-type", "")
        inner = parameter(kind, "boundary")
        if inner and kind.lower().startswith("multipart/"):
            if len(self._boundaries) >= DEEPEST:
                raise Broken("multiparts lie more than %d deep in each other" % DEEPEST)
            self._boundaries.append(inner.encode("latin-1"))
            self._skip()
            return
        name = self._name(headers, kind, version)
        self._begin(name)
        yield name, "file", -1, Reader(self._produce(_decoder(headers.get("content-transfer-encoding", "")))), ""
        while self._raw():
            pass

    def _produce(self, decoder):
        def produce():
            while True:
                raw = self._raw()
                block = decoder.feed(raw) if raw else decoder.end()
                if block:
                    return block
                if not raw:
                    if decoder.wrong:
                        raise Broken(decoder.wrong, alone=True)
                    return b""

        return produce

    def _name(self, headers, kind, version):
        """What the dump's description calls this part, escaped; a name that comes twice is told apart."""
        disposition = headers.get("content-disposition", "")
        name = parameter(disposition, "filename") or parameter(disposition, "name")
        if not name and version.startswith("7") and kind.lower().startswith("text/xml"):
            name = "dump.xml"
        name = name or headers.get("content-id", "").strip("<> ") or "part-%d" % self._number
        name = escape(name.encode("latin-1")).replace("!", "\\x21")
        self._names[name] = self._names.get(name, 0) + 1
        if self._names[name] == 1:
            return name
        self._wrong.append("it holds %s twice" % name)
        return "%s#%d" % (name, self._names[name])

    def _fill(self):
        """Hold more bytes; False at the end."""
        block = b"" if self._ended else self._source.read(_BLOCK)
        self._ended = not block
        self._held += block
        return bool(block)

    def _headers(self, what):
        """Header fields by their names in small letters, up to the empty line."""
        end = None
        while not end:
            end = re.search(rb"\A\r?\n|\n\r?\n", self._held)
            if not end and (len(self._held) > HEADERS or not self._fill()):
                raise Broken("it ends in the middle of %s" % what if self._ended else "%s do not end" % what)
        block, self._held = self._held[: end.start()], self._held[end.end() :]
        self._crlf = end.group().endswith(b"\r\n")
        fields = {}
        for line in re.sub(r"\r?\n[ \t]+", " ", block.decode("latin-1")).splitlines():
            field = _FIELD.match(line)
            if not field:
                self._wrong.append("a line of %s is no header" % what)
            else:
                fields.setdefault(field.group(1).lower(), field.group(2).strip())
        return fields

    def _begin(self, what):
        """What follows is a body. A newline of our own before it lets a boundary stand at its very beginning."""
        self._held, self._fresh, self._found, self._what = b"\n" + self._held, True, None, what

    def _skip(self):
        self._begin("what stands between its parts")
        while self._raw():
            pass

    def _raw(self):
        """The next bytes of the body as they are in the stream; b"" when its boundary was reached."""
        needles = [b"\n--" + boundary for boundary in self._boundaries]
        longest = max(map(len, needles)) + 3 if needles else 0
        while self._found is None:
            places = [place for place in map(self._held.find, needles) if place >= 0]
            at = min(places) if places else None
            body = b""
            if at is None and len(self._held) > longest:
                body = self._take(len(self._held) - longest)
            elif at is None or (at + longest + LINE > len(self._held) and not self._ended):
                if not self._fill() and at is None:
                    raise Broken("it ends without its closing boundary, in the middle of %s: it is cut short" % self._what)
            else:
                boundary = self._boundary(at + 1)
                if boundary is None:
                    body = self._take(at + 1)
                else:
                    # the line's end before a boundary is the boundary's
                    start = at - 1 if self._crlf and self._held[at - 1 : at] == b"\r" else at
                    body, self._held = self._held[1 if self._fresh else 0 : start], self._held[boundary[2] :]
                    self._found, self._fresh = boundary[:2], False
            if body:
                return body
        return b""

    def _take(self, size):
        body, self._held = self._held[:size], self._held[size:]
        if self._fresh:
            body, self._fresh = body[1:], False
        return body

    def _boundary(self, at):
        """(place, whether it closes, where its line ends) when one stands here, else None."""
        for place in range(len(self._boundaries) - 1, -1, -1):
            start = at + 2 + len(self._boundaries[place])
            if self._held.startswith(b"--" + self._boundaries[place], at):
                end = re.match(rb"(--)?[ \t]*(?:\r?\n|\Z)", self._held[start : start + LINE])
                # only the stream's very last line needs no newline
                if end and (end.group().endswith(b"\n") or (self._ended and start + end.end() == len(self._held))):
                    return place, bool(end.group(1)), start + end.end()
        return None

    def _nothing_more(self):
        behind = len(self._held.strip(_BLANK))
        for block in iter(lambda: self._source.read(_BLOCK), b""):
            behind += len(block.strip(_BLANK))
        if behind:
            self._wrong.append("%d bytes stand behind its closing boundary" % behind)


class _Plain:
    """A body as it is. wrong: why it is no such body, known at its end."""

    def __init__(self, wrong=""):
        self.wrong, self._left = wrong, b""

    def feed(self, data):
        return data

    def end(self):
        return b""


class _Base64(_Plain):
    _padded = False

    def feed(self, data):
        if data.translate(None, _ALPHABET + b"=" + _BLANK):
            self.wrong = "it holds characters that are no base64"
        data = self._left + data.translate(None, bytes(set(range(256)) - set(_ALPHABET + b"=")))
        if self._padded and data:
            self.wrong = self.wrong or "its base64 goes on behind its end"
            return b""
        whole = data[: len(data) // 4 * 4]
        self._left = data[len(whole) :]
        body = whole.rstrip(b"=")
        self._padded = body != whole
        if b"=" in body or len(whole) - len(body) > 2:
            self.wrong = self.wrong or "its base64 goes on behind its end"
            body, self._padded = body.partition(b"=")[0], True
            whole = body[: len(body) // 4 * 4]
        return binascii.a2b_base64(whole)

    def end(self):
        if self._left:
            self.wrong = self.wrong or "its base64 is cut short"
        self._left = b""
        return b""


class _Quoted(_Plain):
    def feed(self, data):
        data = self._left + data
        # whole lines only: an escape may be cut in two, and blanks before a line's end are not the text's
        cut = data.rfind(b"\n") + 1
        if len(data) - cut > _BLOCK:
            self.wrong, cut = "it has a line that is too long for quoted-printable", len(data)
        self._left = data[cut:]
        return self._decoded(data[:cut])

    def end(self):
        data, self._left = self._left, b""
        return self._decoded(data)

    def _decoded(self, data):
        data = re.sub(rb"[ \t]+(\r?\n|\Z)", rb"\1", data)
        if re.search(rb"=(?![0-9A-Fa-f]{2}|\r?\n|\Z)", data):
            self.wrong = "it holds escapes that are no quoted-printable"
        data = re.sub(rb"=(\r?\n|\Z)", b"", data)
        return re.sub(rb"=([0-9A-Fa-f]{2})", lambda found: bytes.fromhex(found.group(1).decode("ascii")), data)


def _decoder(encoding):
    encoding = encoding.strip().lower()
    if encoding == "base64":
        return _Base64()
    if encoding == "quoted-printable":
        return _Quoted()
    known = encoding in ("", "binary", "7bit", "8bit")
    return _Plain("" if known else "its encoding %s is not known" % re.sub(r"[^\w.-]", "?", encoding[:40]))
