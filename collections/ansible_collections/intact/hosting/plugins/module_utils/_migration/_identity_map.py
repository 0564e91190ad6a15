# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""The identity map as the other phases use it: what number an old number becomes."""

from __future__ import annotations

import os

from ansible_collections.intact.hosting.plugins.module_utils._files import escape, read_document, unescape
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._migration import _identity_numbers

SCHEMA = 1
LEFT = ("orphan",)


class Map:
    """identity.json. document: all of it. unknown: {"uid" | "gid": {old number}} that were asked for and that no account and no count knew."""

    def __init__(self, document):
        self.document = document
        self.users, self.groups = document["users"], document["groups"]
        self.span = tuple(document["range"])
        self._uids = {int(old): new for old, new in document["uids"].items()}
        self._gids = {int(old): new for old, new in document["gids"].items()}
        self.unknown = {"uid": set(), "gid": set()}

    def uid(self, old):
        """The new number of an old user number; one that the map does not know becomes an orphan's, never somebody's."""
        return self._of(self._uids, "uid", old)

    def gid(self, old):
        """The new number of an old group number, as uid()."""
        return self._of(self._gids, "gid", old)

    def _of(self, table, kind, old):
        if old in table:
            return table[old]
        self.unknown[kind].add(old)
        return _identity_numbers.orphan(old, self.span)

    def user(self, name):
        """What an old account (name as str or bytes) is called on the new host, or None when it was not carried."""
        entry = self.users.get(escape(name))
        return os.fsdecode(unescape(entry["name"])) if entry and entry["how"] not in LEFT else None

    def group(self, name):
        """What an old group is called on the new host, or None when it was not carried."""
        entry = self.groups.get(escape(name))
        return os.fsdecode(unescape(entry["name"])) if entry and entry["how"] not in LEFT else None


def load(path):
    """The Map of a file. Raises IntactError when it is not there or is none."""
    try:
        document = read_document(path)
        if document.get("schema") != SCHEMA:
            raise ValueError("its schema is %r" % document.get("schema"))
        return Map(document)
    except FileNotFoundError as exc:
        raise IntactError("there is no identity map %s: run identity_map_info first" % path, path=path) from exc
    except (OSError, ValueError, KeyError, AttributeError, TypeError, EOFError) as exc:
        raise IntactError("the identity map %s can't be read (%s): put it aside and run identity_map_info again" % (path, exc), path=path) from exc
