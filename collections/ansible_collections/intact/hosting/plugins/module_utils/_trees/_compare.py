# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Two manifests against each other, streamed: memory does not grow with the trees.

Classes: match (counted only), moved (the same content under another name), changed (content, type, where a link leads, holes filled), metadata (mode,
owner, times, ACLs,
attributes, flags, hard links), missing (only before), extra (only after), changed-while-read (no verdict: one side changed while it was read).
"""

from __future__ import annotations

import json
import os
import tempfile

from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._trees import _inode, _record
from ansible_collections.intact.hosting.plugins.module_utils._trees._manifest_file import Reader, Sorter

CLASSES = ("match", "moved", "changed", "metadata", "missing", "extra", "changed-while-read")
CONTENT = ("type", "size", "digest", "target", "rdev", "error")
METADATA = ("mode", "uid", "gid", "mtime", "acl", "default_acl", "capability", "xattr", "flags", "hardlink")
UNMADE = ("socket", "char", "block")


class Comparison:
    """Iterate over it: dicts {class, path (escaped), attributes {name: [before, after]}, and for moved: to}. counts ({class: number}) is whole at the end.

    before, after: paths of manifests. ids: as for Copier; what is before has the old numbers. granularity: of times (ns), at least what the copy wrote down.
    unmade: sockets and devices count as missing too (a copy does not make them).
    """

    def __init__(self, before, after, ids=None, granularity=None, unmade=False):
        self.before, self.after = Reader(before), Reader(after)
        self.owners = _inode.Owners(ids)
        self.step = granularity or max(self.before.header.get("granularity", 1), self.after.header.get("granularity", 1))
        self.unmade = unmade
        self.counts = dict.fromkeys(CLASSES, 0)
        self.pairs = {}

    def __iter__(self):
        counts = self.counts
        gone, come = Sorter(tempfile.gettempdir()), Sorter(tempfile.gettempdir())
        try:
            old, new = self._keyed(self.before, self.owners.ids is not None), self._keyed(self.after, False)
            left, right = next(old, None), next(new, None)
            while left is not None or right is not None:
                if right is None or left is not None and left[0] < right[0]:
                    yield from self._alone(left[1], "missing", gone)
                    left = next(old, None)
                elif left is None or left[0] > right[0]:
                    yield from self._alone(right[1], "extra", come)
                    right = next(new, None)
                else:
                    if left[1] == right[1] and b'"changed":true' not in left[1]:
                        counts["match"] += 1
                    else:
                        found = self._both(json.loads(left[1]), json.loads(right[1]))
                        counts[found["class"] if found else "match"] += 1
                        if found:
                            yield found
                    left, right = next(old, None), next(new, None)
            yield from self._moved(gone, come)
        finally:
            gone.close()
            come.close()

    def _keyed(self, reader, renumber):
        """(path's bytes, line) of each record; owners and ACLs as they are to be here."""
        raw, start = _record.raw_path, len(b'{"path":"')
        for line in reader.lines():
            end = line.index(b'","type":"', start)
            path = line[start:end]
            if b"\\" in path or not path.isascii():
                path = raw(json.loads(line[start - 1 : end + 1]))
            if renumber:
                line = self._renumbered(line)
            yield path, line

    def _renumbered(self, line):
        match = _record.OWNERS.search(line)
        pair = match.group()
        new = self.pairs.get(pair)
        if new is None:
            new = b'"uid":%d,"gid":%d' % (self.owners.uid(int(match.group(1))), self.owners.gid(int(match.group(2))))
            if len(self.pairs) < 1 << 16:
                self.pairs[pair] = new
        line = line[: match.start()] + new + line[match.end() :]
        if b'acl":"' in line:
            record = json.loads(line)
            for name in ("acl", "default_acl"):
                if name in record:
                    record[name] = self._acl(record[name])
            line = json.dumps(record, separators=(",", ":"), ensure_ascii=False).encode()
        return line

    def _acl(self, text):
        """An ACL's text with this host's numbers, in the kernel's order; two who become one keep what both had."""
        order = {"user": 0, "group": 2, "mask": 4, "other": 5}
        entries = {}
        for entry in text.split(","):
            tag, number, bits = (entry.split(":") + ["", ""])[:3]
            if not number.isdigit():
                entries[order.get(tag, 6), 0, tag, ""] = bits
                continue
            mapped = self.owners.uid(int(number)) if tag == "user" else self.owners.gid(int(number))
            key = (order.get(tag, 6) + 1, mapped, tag, str(mapped))
            entries[key] = "".join(a if a == b else "-" for a, b in zip(entries[key], bits)) if key in entries else bits
        return ",".join("%s:%s:%s" % (key[2], key[3], entries[key]) for key in sorted(entries))

    def _both(self, old, new):
        """The difference of two records of one path, or None."""
        found = {}
        for name in CONTENT + METADATA:
            one, other = old.get(name), new.get(name)
            if one != other and not (name == "mtime" and one is not None and other is not None and one // self.step == other // self.step):
                found[name] = [one, other]
        hole = old.get("size", 0) - old.get("allocated", old.get("size", 0))
        if hole > 1 << 20 and new.get("allocated", new.get("size", 0)) - old["allocated"] > hole // 2:
            found["allocated"] = [old["allocated"], new.get("allocated", new.get("size"))]
        changed = bool(old.get("changed") or new.get("changed"))
        if not found and not changed:
            return None
        if changed:
            kind = "changed-while-read"
        elif any(name in found for name in CONTENT) or "allocated" in found:
            kind = "changed"
        else:
            kind = "metadata"
        return {"class": kind, "path": old["path"], "attributes": found}

    def _alone(self, line, kind, kept):
        """An entry of one side: told at once, or when it may be a moved file, at the end."""
        record = json.loads(line)
        if kind == "missing" and record["type"] in UNMADE and not self.unmade:
            self.counts["match"] += 1
            return
        if record["type"] == "file" and record.get("size") and record.get("digest"):
            row = b"%s\0%s" % (("%s %d" % (record["digest"], record["size"])).encode(), line)
            kept.add([row], len(row) + 40)
            return
        self.counts[kind] += 1
        yield {"class": kind, "path": record["path"], "attributes": {}}

    def _moved(self, gone, come):
        """Pair what is missing with what is extra by content."""
        left, right = gone.sorted(), come.sorted()
        old, new = next(left, None), next(right, None)
        while old is not None or new is not None:
            one, other = old and old.split(b"\0", 1), new and new.split(b"\0", 1)
            if old is not None and new is not None and one[0] == other[0]:
                first, second = json.loads(one[1]), json.loads(other[1])
                found = self._both(first, dict(second, path=first["path"])) or {"attributes": {}}
                self.counts["moved"] += 1
                yield {"class": "moved", "path": first["path"], "to": second["path"], "attributes": found["attributes"]}
                old, new = next(left, None), next(right, None)
                continue
            if new is None or old is not None and one[0] < other[0]:
                kind, line, old = "missing", one[1], next(left, None)
            else:
                kind, line, new = "extra", other[1], next(right, None)
            self.counts[kind] += 1
            yield {"class": kind, "path": json.loads(line)["path"], "attributes": {}}


def compare(before, after, ids=None, granularity=None, unmade=False):
    """A Comparison of two manifest files."""
    return Comparison(before, after, ids, granularity, unmade)


def told(difference):
    """A difference as one line."""
    words = ["%s: %s -> %s" % (name, pair[0], pair[1]) for name, pair in sorted(difference["attributes"].items())]
    to = ["now %s" % difference["to"]] if "to" in difference else []
    return "; ".join([difference["class"]] + to + words)


def shown(path):
    """A path as records have it."""
    return escape(os.fsencode(path))
