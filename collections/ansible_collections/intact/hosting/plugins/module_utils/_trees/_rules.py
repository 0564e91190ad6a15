# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Which entries of a source are taken: exclude patterns, and what belongs to a filesystem and not to its files. Pure."""

from __future__ import annotations

import fnmatch
import os
import re

# The filesystem's own, when they are root's.
SYSTEMS = (b"lost+found", b"aquota.user", b"aquota.group", b"quota.user", b"quota.group", b".journal")


class Rules:
    """patterns: shell patterns; with a / at the start they mean the path below the source, else a name anywhere (and all that is below it)."""

    def __init__(self, patterns=()):
        parts = []
        for pattern in patterns:
            regex = fnmatch.translate(os.fsencode(pattern).decode("latin-1").rstrip("/")).encode("latin-1")
            parts.append(regex if os.fsencode(pattern).startswith(b"/") else rb"(?:.*/)" + regex)
        self._match = re.compile(b"|".join(b"(?:%s)" % part for part in parts), re.DOTALL).match if parts else None
        self.some = bool(parts)

    def excluded(self, path):
        """Whether a path (bytes below the source, no / at the start) is left out."""
        return self._match is not None and self._match(b"/" + path) is not None
