# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""A panel's own dump as a stream for a private server: unpacked, and without the server's own databases, whose accounts would lock us out of it."""

from __future__ import annotations

import contextlib
import gzip
import re

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

OWN = {b"mysql", b"sys", b"information_schema", b"performance_schema"}
_MARK = re.compile(rb"-- Current Database: `?([^`\n]+)`?\s*\Z")
_USE = re.compile(rb"USE `?([^`;\n]+)`?;\s*\Z", re.I)
HEADS = (b"-- MySQL dump", b"-- MariaDB dump", b"/*!999999\\- enable the sandbox mode", b"/*M!999999\\- enable the sandbox mode", b"-- Host:", b"--\n", b"SET ")
ENDING = b"-- Dump completed"


class Filtered:
    """lines: of a dump, as an iterable of bytes. read(): the same without the databases of OWN."""

    def __init__(self, lines):
        self._lines, self._held, self._ended = iter(lines), b"", False
        self._passing = True

    def read(self, size=-1):
        """The next bytes, at most size; b"" at the end."""
        while not self._ended and (size < 0 or len(self._held) < size):
            line = next(self._lines, None)
            if line is None:
                self._ended = True
                break
            mark = _MARK.match(line) or _USE.match(line)
            if mark:
                self._passing = mark.group(1) not in OWN
            if self._passing or line.startswith(ENDING):
                self._held += line
        out = self._held if size < 0 else self._held[:size]
        self._held = self._held[len(out) :]
        return out


@contextlib.contextmanager
def opened(view, path):
    """A Filtered of a dump, packed with gzip or plain. Raises when it is no dump of such a server."""
    place = view.place(path) if hasattr(view, "place") else path
    with open(place, "rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        with gzip.GzipFile(fileobj=raw, mode="rb") if packed else contextlib.nullcontext(raw) as plain:
            head = plain.read(64)
            if not head.startswith(HEADS):
                raise IntactError("%s is no dump of a database server: only the panel can tell what is in it" % path, path=path)
            plain.seek(0)
            yield Filtered(plain)
