# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Every member of an archive, through all archives in it, to the last byte of each; nothing is extracted."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from typing import NamedTuple

from ansible_collections.intact.hosting.plugins.module_utils._panels import _compressed, _mime, _tar, _zip
from ansible_collections.intact.hosting.plugins.module_utils._panels._streams import BLOCK, Broken, Reader

# A format that holds members is a module with NAME, told(head) and members(source, work) -> yields (name, kind, size, reader, target).
CONTAINERS = (_tar, _zip, _mime)
ENDINGS = (".tar", ".zip", *_compressed.ENDINGS, *_compressed.TARS)
DEEPEST = 8
MOST_KEPT = 16 << 20


class Member(NamedTuple):
    """What one member is: bytes, sha256 of these, and file | directory | symlink | hardlink | special, or what its first bytes tell: tar, gzip, zip..."""

    size: int
    sha256: str
    kind: str
    target: str = ""


@dataclass
class Contents:
    """members: {path: Member}; "!" stands between an archive and what is in it. The outermost file itself: kind, size, sha256.

    broken: [(path, why)], the outermost file by its name. cut: members that could not be read to their end because what holds them, or they, are broken; they
    are not in members. kept: {path: bytes}. scanned: {path: what the scanner's result() says}.
    """

    members: dict = field(default_factory=dict)
    broken: list = field(default_factory=list)
    cut: list = field(default_factory=list)
    kept: dict = field(default_factory=dict)
    scanned: dict = field(default_factory=dict)
    kind: str = "file"
    size: int = 0
    sha256: str = ""

    def files(self, *endings):
        """Sorted paths of what has bytes of its own; only those that end so."""
        bare = ("directory", "symlink", "hardlink", "special")
        return [path for path, member in sorted(self.members.items()) if member.kind not in bare and path.endswith(endings or ("",))]


def walk(path, keep=None, scan=None, enter=None, source=None, work=None):
    """Read an archive, or a plain file, to its last byte and tell its Contents.

    keep(path, size) -> whether the member's bytes are wanted (size -1: not known before it was read; more than 16 MiB are never kept, which is told in broken).
    scan(path) -> None, or an object with feed(bytes) and result() that reads along.
    enter(path) -> whether a member that is an archive is taken apart; without it all are. Leave customers' own archives out: they are no part of the proof.
    source: an open binary file to read instead, path is then its name only. work: directory for private temporary files.
    """
    walker = _Walker(keep, scan, enter, work)
    if source is not None:
        return walker.outermost(os.path.basename(path), source)
    with open(path, "rb") as handle:
        return walker.outermost(os.path.basename(path), handle)


class _Told:
    """A member's bytes on their way: counted, digested, kept and scanned. cut: what is below it broke while it was read."""

    def __init__(self, source, keep=False, scanner=None):
        self.size, self._digest, self.scanner = 0, hashlib.sha256(), scanner
        self.kept = [] if keep else None
        self.too_large = self.cut = False
        self._source = source
        self.reader = Reader(self._next)

    def _next(self):
        try:
            block = self._source.read(BLOCK)
        except Broken:
            self.cut = True
            raise
        self.size += len(block)
        self._digest.update(block)
        if self.kept is not None:
            self.kept.append(block)
            if self.size > MOST_KEPT:
                self.kept, self.too_large = None, True
        if self.scanner and block:
            self.scanner.feed(block)
        return block

    @property
    def sha256(self):
        return self._digest.hexdigest()


class _Walker:
    def __init__(self, keep, scan, enter, work):
        self._keep, self._scan, self._enter, self._work = keep, scan, enter, work
        self._containers = {module.NAME: module for module in CONTAINERS}
        self.contents = Contents()

    def _kind(self, head):
        return _compressed.told(head) or next((name for name, module in self._containers.items() if module.told(head)), "file")

    def outermost(self, name, handle):
        """The Contents of an open file."""
        out, told = self.contents, _Told(handle)
        try:
            try:
                out.kind = self._kind(told.reader.peek())
                if out.kind == "file":
                    self._member(name, told.reader, "file", 0)
                else:
                    self._apart(out.kind, "", name, told.reader, 0)
            except Broken as exc:
                out.broken.append((name, exc.why))
            told.reader.drain()
        except Broken:
            pass  # the file itself could not be read on, which was told above
        out.size, out.sha256 = told.size, told.sha256
        return out

    def _member(self, path, source, kind, depth, size=-1, target=""):
        """Read one member and what is in it. What is wrong with itself is told; when what it comes from broke, that is raised again."""
        out, plain = self.contents, kind == "file"
        told = _Told(source, plain and bool(self._keep and self._keep(path, size)), self._scan(path) if plain and self._scan else None)
        why = ""
        try:
            try:
                found = self._kind(told.reader.peek()) if plain else kind
                entered = plain and (self._enter is None or self._enter(path))
                name = path.rpartition("!")[2].rpartition("/")[2]
                if entered and found != kind:
                    kind = found
                    self._apart(found, path, name, told.reader, depth)
                elif entered and name.lower().endswith(ENDINGS):
                    why = "it is empty" if not told.reader.peek() else "its first bytes are not those of the archive that its name says"
            except Broken as exc:
                if told.cut:
                    raise
                why = exc.why
            told.reader.drain()
        except Broken:
            out.cut.append(path)
            self._scanned(path, told)
            raise
        if told.too_large:
            why = why or "it is too large to be looked into: %d bytes, %d are allowed" % (told.size, MOST_KEPT)
        if why:
            out.broken.append((path, why))
        if told.kept is not None:
            out.kept[path] = b"".join(told.kept)
        self._scanned(path, told)
        out.members[path] = Member(told.size, told.sha256, kind, target)

    def _scanned(self, path, told):
        if told.scanner:
            self.contents.scanned[path] = told.scanner.result()

    def _apart(self, kind, path, name, reader, depth):
        """Take an archive apart. path: "" for the outermost; name: what it is called itself."""
        if depth >= DEEPEST:
            raise Broken("archives lie more than %d deep in each other: it was not taken apart" % DEEPEST)
        if kind in self._containers:
            self._contained(kind, path, reader, depth)
            return
        inner = _compressed.opened(kind, reader)
        try:
            found = self._kind(inner.peek())
            if found in self._containers:
                self._contained(found, path, inner, depth)
            else:
                self._member(_below(path, _compressed.stem(name)), inner, "file", depth + 1)
            inner.drain()
        finally:
            inner.close()

    def _contained(self, kind, path, reader, depth):
        for name, what, size, body, target in self._containers[kind].members(reader, self._work):
            try:
                self._member(_below(path, name), body, what, depth + 1, size, target)
            except Broken as exc:
                if not exc.alone or exc.origin is not body:
                    raise
                self.contents.broken.append((_below(path, name), exc.why))


def _below(path, name):
    return path + "!" + name if path else name
