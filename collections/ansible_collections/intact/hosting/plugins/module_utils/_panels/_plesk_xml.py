# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""The description of a backup as it comes: XML of any size in the memory of one domain, without entities (external ones, bombs), out of its signature."""

from __future__ import annotations

import re
from xml.parsers import expat

# more of these is no description of a server
DEPTH, NODES, TEXT = 200, 2000000, 64 << 20
LEAD, TRAIL = 1 << 16, 1 << 20
_START = re.compile(rb"(?:\A|\n)(?:\xef\xbb\xbf)?[ \t]*(<\?xml\s|<!DOCTYPE|<!--|<[A-Za-z][\w.:-]*[\s/>])")
_BOUNDARY = re.compile(rb"boundary\s*=\s*(?:\"([^\"]+)\"|([^\s;\"]+))", re.I)


class Refused(Exception):
    """The XML holds what no backup of a panel needs."""


class Node:
    """An element: tag, attributes, text, and the elements in it."""

    __slots__ = ("at", "below", "tag", "text")

    def __init__(self, tag, at):
        self.tag, self.at, self.below, self.text = tag, at, [], ""

    def value(self, name, default=""):
        """What the element says by this name: as an attribute, or as the text of an element in it."""
        if name in self.at:
            return self.at[name]
        return next((node.text.strip() for node in self.below if node.tag == name), default)

    def kids(self, *tags):
        """The elements right in it with one of these tags."""
        return [node for node in self.below if node.tag in tags]

    def all(self, *tags, but=()):
        """All elements below it with one of these tags; what is below one of `but` is left out."""
        for node in self.below:
            if node.tag in tags:
                yield node
            if node.tag not in but:
                yield from node.all(*tags, but=but)


class Scan:
    """feed(bytes) as often as there is something, then result(). reader: takes what was read, see read().

    result(): {"why": why it is no whole description, or "", "root": tag, "signed": whether it is in a signature, "signature": why that is not whole, or ""},
    and what the reader's result() gives.
    """

    def __init__(self, reader):
        self._reader, self._why, self._lead, self._trail, self._held = reader, "", b"", b"", b""
        self._state, self._fed, self._nodes, self._text, self._stack, self._root = "lead", 0, 0, 0, [], ""
        self._parser = parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
        parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = self._start, self._end, self._characters
        parser.EntityDeclHandler = parser.ExternalEntityRefHandler = parser.UnparsedEntityDeclHandler = self._entity

    def feed(self, data):
        """The next bytes."""
        if self._why:
            return
        if self._state == "lead":
            self._held += data
            found = _START.search(self._held)
            if not found:
                if len(self._held) > LEAD:
                    self._why = "no XML begins in its first %d bytes" % LEAD
                return
            self._lead, data, self._held = self._held[: found.start(1)], self._held[found.start(1) :], b""
            self._state = "xml"
        if self._state == "xml":
            self._parse(data)
        else:
            self._trail = (self._trail + data)[:TRAIL]

    def _parse(self, data, final=False):
        try:
            self._parser.Parse(data, final)
        except Refused as exc:
            self._why = str(exc)
        except expat.ExpatError as exc:
            if exc.code == expat.errors.codes[expat.errors.XML_ERROR_JUNK_AFTER_DOC_ELEMENT] and not self._stack and self._root:
                # what stands behind the description is its signature
                self._state, self._trail = "trail", data[max(0, self._parser.ErrorByteIndex - self._fed) :]
            else:
                self._why = "it is no whole XML: line %d, %s" % (exc.lineno, expat.ErrorString(exc.code))
        self._fed += len(data)

    def _start(self, tag, at):
        self._nodes += 1
        node = Node(tag.rpartition(":")[2], at)
        if len(self._stack) >= DEPTH or self._nodes > NODES:
            raise Refused("its XML has more than %d levels or %d elements" % (DEPTH, NODES))
        self._root = self._root or node.tag
        if self._stack:
            self._stack[-1].below.append(node)
        self._stack.append(node)
        self._reader.began(node, self._stack)

    def _end(self, _tag):
        node = self._stack.pop()
        if self._reader.ended(node, self._stack):
            # it was read: its place is enough
            self._nodes -= sum(1 for _one in _every(node))
            self._text -= sum(len(one.text) for one in _every(node))
            node.below, node.text = [], ""
            if self._stack:
                self._stack[-1].below.pop()

    def _characters(self, text):
        self._text += len(text)
        if self._text > TEXT:
            raise Refused("its XML has more than %d bytes of text in one piece" % TEXT)
        if self._stack:
            self._stack[-1].text += text

    def _entity(self, *_more):
        raise Refused("its XML declares entities, which no backup of a panel does: somebody made it by hand")

    def result(self):
        """What was read; the end is here."""
        if not self._why and self._state == "lead":
            self._why = "it is empty" if not self._held.strip() else "there is no XML in it"
        if not self._why and self._state == "xml":
            self._parse(b"", True)
        signed = bool(self._lead.strip(b" \t\r\n\xef\xbb\xbf")) or bool(self._trail.strip())
        told = {"why": self._why, "root": self._root, "signed": signed, "signature": self._signature() if signed and not self._why else ""}
        return dict(told, **self._reader.result())

    def _signature(self):
        """Why the signature around the description is not whole; what it proves only the server knows that made it."""
        boundary = _BOUNDARY.search(self._lead)
        if boundary:
            end = b"--" + (boundary.group(1) or boundary.group(2)) + b"--"
            return "" if any(line.strip() == end for line in self._trail.split(b"\n")) else "its closing boundary is missing: it is cut short"
        if not re.search(rb"signature|-----BEGIN", self._trail, re.I):
            return "%d bytes that are no signature stand behind the description" % len(self._trail.strip()) if self._trail.strip() else ""
        begun, ended = self._trail.count(b"-----BEGIN"), self._trail.count(b"-----END")
        return "" if begun == ended else "it is cut short"


def _every(node):
    yield node
    for one in node.below:
        yield from _every(one)
