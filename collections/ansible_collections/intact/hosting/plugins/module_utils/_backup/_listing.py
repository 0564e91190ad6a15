# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What `restic ls` lists, with names as they are. Pure.

JSON replaces bytes that are no UTF-8, the plain listing does not tell where a name ends; both together tell all.
"""

from __future__ import annotations

import itertools
import json
import os
import re

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

LOST = "\ufffd"
MANY = 500


def told(name):
    """A name (bytes) as Go's JSON tells it: each byte that is no UTF-8 becomes a replacement character."""
    return re.sub("[\udc80-\udcff]", LOST, name.decode("utf-8", "surrogateescape"))


def nodes(lines):
    """Entries of `ls --json` (bytes), one by one: dict with path as it was told. The snapshot's own line is left out."""
    lines = iter(lines)
    while True:
        some = list(itertools.islice(lines, MANY))
        if not some:
            return
        for entry in _parsed(some):
            if (entry.get("struct_type") or entry.get("message_type")) == "node":
                yield entry


def _parsed(lines):
    """One JSON value for each line, parsed together, which is cheaper."""
    lines = [line for line in lines if line.strip()]
    try:
        together = json.loads(b"[%s]" % b",".join(lines))
        if len(together) == len(lines):
            return together
    except ValueError:
        pass
    out = []
    for line in lines:
        try:
            out.append(json.loads(line))
        except ValueError as exc:
            raise IntactError("restic ls said something that is no JSON: %r" % line[:200]) from exc
    return out


def plain(entry, path):
    """What we keep of an entry; mode is Go's number, whose set-id and sticky bits lie above the file type."""
    return {
        "path": path,
        "type": entry["type"],
        "size": entry.get("size") or 0,
        "mode": entry.get("mode") or 0,
        "uid": entry.get("uid") or 0,
        "gid": entry.get("gid") or 0,
        "mtime": entry.get("mtime") or "",
        "ctime": entry.get("ctime") or "",
    }


def exact(entries, raw):
    """Entries with path as bytes. raw() gives the lines (bytes, without line end) of the plain listing of the same snapshot; asked only when needed."""
    lines = None
    passed = 0
    for entry in entries:
        if lines is None and LOST not in entry["path"]:
            # Where nothing was replaced so far, only the count of lines is needed should the plain listing be asked later.
            passed += entry["path"].count("\n") + 1
            yield plain(entry, entry["path"].encode("utf-8"))
            continue
        if lines is None:
            lines = iter(raw())
            for _line in range(passed):
                next(lines, None)
        path = b"\n".join(next(lines, b"") for _part in range(entry["path"].count("\n") + 1))
        if told(path) != entry["path"]:
            raise IntactError("restic's two listings of the snapshot differ at %r: this restic writes names in a way that is not known" % entry["path"])
        yield plain(entry, path)


def find_exact(name, listdir=os.listdir):
    """The one path on this host (bytes) that restic told as name; as it was told when none or several are."""
    path = b"/" if name.startswith("/") else b""
    for part in name.strip("/").split("/"):
        if LOST not in part:
            path = os.path.join(path, part.encode("utf-8", "surrogateescape"))
            continue
        try:
            same = [other for other in listdir(path or b".") if told(other) == part]
        except OSError:
            same = []
        if len(same) != 1:
            return name.encode("utf-8", "surrogateescape")
        path = os.path.join(path, same[0])
    return path


def globless(path):
    """A path for `--files-from` of restic 0.11, which reads patterns and lines: None when it can't be written there (line break, blank at the end). Pure."""
    if b"\n" in path or b"\r" in path or path != path.strip() or path.startswith(b"#"):
        return None
    return re.sub(rb"([*?\[\\])", rb"\\\1", path)
