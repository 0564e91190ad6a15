# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Names of folders: bytes on an old disk, IMAP's modified UTF-7, and what a live server can call the same folder."""

from __future__ import annotations

import base64
import re

from ansible_collections.intact.hosting.plugins.module_utils._files import escape

_SHIFTED = re.compile(r"&([A-Za-z0-9+,]*)-")


def encode(text):
    """Modified UTF-7 (RFC 3501 5.1.3) of a text, as str."""
    out, wide = [], []

    def flush():
        if wide:
            data = "".join(wide).encode("utf-16-be", "surrogatepass")
            out.append("&" + base64.b64encode(data).decode().rstrip("=").replace("/", ",") + "-")
            del wide[:]

    for char in text:
        if " " <= char <= "~":
            flush()
            out.append("&-" if char == "&" else char)
        else:
            wide.append(char)
    flush()
    return "".join(out)


def decode(text):
    """The text that modified UTF-7 means, or None when it is none."""

    def wide(match):
        if not match.group(1):
            return "&"
        data = match.group(1).replace(",", "/")
        return base64.b64decode(data + "=" * (-len(data) % 4)).decode("utf-16-be")

    try:
        if "&" in _SHIFTED.sub("", text):
            return None
        return _SHIFTED.sub(wide, text)
    except (ValueError, UnicodeDecodeError):
        return None


def readable(raw):
    """The text of one component of a folder's name on an old disk: modified UTF-7, else UTF-8, else Latin-1."""
    try:
        text = raw.decode("ascii")
    except UnicodeDecodeError:
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            return raw.decode("latin-1")
    told = decode(text)
    return text if told is None else told


def shown(components):
    """A folder's name as it is told: INBOX, or its components as text with / between."""
    return "/".join(escape(readable(part)) for part in components) or "INBOX"


class Names:
    """What folders are called on the live server. separator, prefix: as its namespace says; more: another character that no component may hold.

    A separator inside a component becomes _; two folders never share a name. renamed: {old name as told: new one}.
    """

    def __init__(self, separator, prefix="", more=""):
        self.separator, self.prefix, self.renamed, self._more = separator, prefix, {}, more
        self._taken, self._known = {}, {}

    def parts(self, components):
        """The components in modified UTF-7, as they must be staged."""
        key = tuple(components)
        if key in self._known:
            return self._known[key]
        if not key:
            return []
        clean = [self._component(readable(part)) for part in key]
        if clean[0].upper() == "INBOX":
            # only the INBOX is called so
            clean = clean[1:] if len(clean) > 1 and self.prefix.upper().startswith("INBOX") else ["INBOX_old", *clean[1:]]
        last, number = clean[-1], 1
        while self._taken.get(tuple(clean), key) != key:
            number += 1
            clean[-1] = "%s_%d" % (last, number)
        self._taken[tuple(clean)] = key
        if clean != [readable(part) for part in key]:
            self.renamed[shown(key)] = "/".join(clean)
        self._known[key] = [encode(part) for part in clean]
        return self._known[key]

    def _component(self, text):
        text = re.sub(r"[\x00-\x1f\x7f/]", "_", text).replace(self.separator, "_").replace(self._more or "/", "_")
        # what Dovecot takes for a hidden file, a home or a pattern
        return re.sub(r"\A[.~]", "_", text).replace("*", "_").replace("%", "_") or "_"

    def imap(self, components):
        """The name over IMAP, modified UTF-7."""
        parts = self.parts(components)
        return self.prefix + self.separator.join(parts) if parts else "INBOX"
