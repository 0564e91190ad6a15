# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""A dump of one cold database server's databases: what both kinds of server share: files, digests, names, findings."""

from __future__ import annotations

import os
import re
import urllib.parse

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _digests
from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError

DOCUMENT = "document.json"
# in a directory of dumps from its first moment
MARK = "of-intact"
TAIL = 4096


def digest(item):
    """A table's rows as one short text, whatever the ranges its keys were cut into; "" where they were not digested."""
    if "parts" not in item or item.get("error"):
        return ""
    return _digests.short("%d %d" % (sum(part[1] for part in item["parts"]), sum(int(part[2]) for part in item["parts"])))


def quoted(name):
    """A name as the name of a file."""
    return urllib.parse.quote(name.encode("utf-8", "surrogateescape"), safe="").replace(".", "%2E")


class Files:
    """Files of a dump below a directory that only root may read."""

    def __init__(self, top):
        self.top = top
        os.makedirs(top, mode=0o700, exist_ok=True)
        os.chmod(top, 0o700)
        self.write(MARK, lambda _fd: None)

    def write(self, name, produce):
        """Make a file by produce(descriptor) -> anything, which is handed back. name: relative. An older file of that name goes."""
        path = os.path.join(self.top, name)
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        half = path + ".half"
        fd = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        try:
            said = produce(fd)
            os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(half, path)
        return said

    def append(self, name, produce):
        """Go on with a file: produce(descriptor)."""
        fd = os.open(os.path.join(self.top, name), os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW)
        try:
            said = produce(fd)
            os.fsync(fd)
        finally:
            os.close(fd)
        return said


def whole(path, ending):
    """Whether a dump's last lines hold the one that a whole dump ends with."""
    with open(path, "rb") as handle:
        handle.seek(max(0, os.fstat(handle.fileno()).st_size - TAIL))
        return any(line.startswith(ending) for line in handle.read().split(b"\n")[-8:])


def never_full(said, place):
    """Raise when a program complains of a full filesystem: that is no damage of the disk's."""
    if re.search(r"No space left|[Ee]rr(no|code):? 28\b|Disk full|disk is full", said):
        raise IntactError("there is no room left for the dump or the copy (%s): %s" % (place, said.strip().splitlines()[0][:300]), space=True)


def finding(kind, severity, subject, title, evidence="", remedy="", **details):
    """A Finding databases.cold.KIND."""
    return Finding(
        id="databases.cold." + kind, severity=severity, subject=escape(subject), title=title, evidence=evidence[:600], remedy=remedy, details=details
    )
