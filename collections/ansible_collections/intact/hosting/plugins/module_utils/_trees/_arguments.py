# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What the modules' options mean."""

from __future__ import annotations

import gzip
import os
import zlib

from ansible_collections.intact.hosting.plugins.module_utils._files import read_document
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError


class Numbers:
    """uid(n) and gid(n) of an identity map's tables; a number that the map does not know goes to its orphans' range, never to somebody."""

    def __init__(self, document):
        self._users = {int(old): int(new) for old, new in document["uids"].items()}
        self._groups = {int(old): int(new) for old, new in document["gids"].items()}
        span = document.get("range")
        self._start = int(span[0]) if span else None
        self._size = int(span[1]) - int(span[0]) + 1 if span else None

    def uid(self, old):
        """A user's number here."""
        return self._of(self._users, old)

    def gid(self, old):
        """A group's number here."""
        return self._of(self._groups, old)

    def _of(self, table, old):
        if old in table:
            return table[old]
        if self._start is None:
            raise IntactError("the identity map does not know the number %d and has no range for orphans: make it again with identity_map_info" % old)
        return self._start + old % self._size


def ids(path):
    """The map of identity.json, or None without a path. The migration's own reader is asked when it is there."""
    if not path:
        return None
    try:
        from ansible_collections.intact.hosting.plugins.module_utils._migration import _identity_map  # noqa: PLC0415 (another part may be missing)
    except ImportError:
        pass
    else:
        return _identity_map.load(path)
    try:
        return Numbers(read_document(path))
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise IntactError("the identity map %s can't be read: %s; make it with identity_map_info" % (path, exc), path=path) from exc


def same_bytes(one, other):
    """Whether two gzip files hold the same."""
    if not os.path.exists(other):
        return False
    try:
        with gzip.open(one) as first, gzip.open(other) as second:
            while True:
                block = first.read(1 << 20)
                if block != second.read(1 << 20):
                    return False
                if not block:
                    return True
    except (OSError, EOFError, zlib.error):
        return False
