# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Which numbers own something on the old disk, or are named in an access list there. Walks by descriptors, follows no link, reads no content."""

from __future__ import annotations

import collections
import os
import stat
import struct

from ansible_collections.intact.hosting.plugins.module_utils._backup._metadata import ACLS
from ansible_collections.intact.hosting.plugins.module_utils._baseline import _descriptors
from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

# In an ACL's entries: a named user, a named group (linux/posix_acl_xattr.h).
USER, GROUP = 0x02, 0x08
TELL_EVERY = 100000


def count(root, trees, tell=None):
    """{"users": {number: entries}, "groups": {number: entries}, "unread": [path: why]} of trees (paths on the old host, str or bytes) below its mounted root.

    A hard link counts for each of its names. tell: called with the entries seen so far. Raises IntactError for a tree that is not there.
    """
    counted = {"users": collections.Counter(), "groups": collections.Counter(), "unread": []}
    seen = 0
    for tree in trees:
        raw = os.fsencode(tree)
        try:
            top = _descriptors.open_directory(raw, os.fsencode(root))
        except OSError as exc:
            raise IntactError("the tree %s of the old disk can't be walked (%s): name a directory that is no link" % (escape(raw), exc.strerror)) from exc
        try:
            _count(os.fstat(top), "/proc/self/fd/%d" % top, counted)

            def unread(exc, tree=raw):
                counted["unread"].append("%s below %s: %s" % (escape(exc.filename or b""), escape(tree), exc.strerror))

            for _folder, folders, names, at in os.fwalk(b".", dir_fd=top, onerror=unread, follow_symlinks=False):
                for name in folders + names:
                    try:
                        entry = os.stat(name, dir_fd=at, follow_symlinks=False)
                    except OSError as exc:
                        unread(exc)
                        continue
                    _count(entry, b"/proc/self/fd/%d/%s" % (at, name), counted)
                    seen += 1
                    if tell and seen % TELL_EVERY == 0:
                        tell(seen)
        finally:
            os.close(top)
    return {key: dict(sorted(value.items())) if key != "unread" else value for key, value in counted.items()}


def _count(entry, path, counted):
    counted["users"][entry.st_uid] += 1
    counted["groups"][entry.st_gid] += 1
    if stat.S_ISLNK(entry.st_mode):
        return
    for name in ACLS if stat.S_ISDIR(entry.st_mode) else ACLS[:1]:
        try:
            value = os.getxattr(path, name, follow_symlinks=path[-1:].isdigit() if isinstance(path, str) else False)
        except OSError:
            continue  # none, or a filesystem without
        for at in range(4, len(value) - 7, 8):
            tag, _perm, number = struct.unpack_from("<HHI", value, at)
            if tag in (USER, GROUP):
                counted["users" if tag == USER else "groups"][number] += 1
