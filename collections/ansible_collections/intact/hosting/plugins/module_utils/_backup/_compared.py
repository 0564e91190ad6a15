# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""How much of a class a drill held against its manifest, and whether that is enough to call the class proven. Pure.

What changed each time it was read at backup time (the manifest's volatile) has a copy that may be of another moment: its content is not compared.
"""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _manifest, _sqlite

# How much may be left out: a percentage, and so many objects where the percentage of so few would be less.
LIMIT = {"percent": 5, "objects": 3}
# Kinds that are judged. A mailbox is told of only: it is made of files, and one message that came in makes all of it volatile.
JUDGED = ("files", "tables")
# What an entry of a tree keeps while somebody writes it.
LASTING = ("type", "uid", "gid", "mode")
# What a table's rows bring about.
OF_ROWS = ("rows", "parts", "chunk", "key", "top", "earlier")
# Beside a SQLite file, while it is written.
JOURNALS = ("", "-wal", "-shm", "-journal")
SHOWN = 3


def loosened(section, before, after, volatile):
    """(before, after) in which what is volatile differs only by what can be looked at all the same.

    That is whether it is there; for an entry of a tree its type, owner and mode (all of a directory); for a table all but its rows.
    """
    if not volatile:
        return before, after
    old, new = dict(before.get("items", {})), dict(after.get("items", {}))
    for subject in volatile:
        was, now = old.get(subject), new.get(subject)
        if was is None:
            new.pop(subject, None)  # it came after the look
        elif now is None:
            # who takes a file away changes its directory: without that it is lost
            if section == "files" and (subject.rpartition("/")[0] or "/") in volatile:
                del old[subject]
        else:
            new[subject] = _alike(section, was, now)
    return dict(before, items=old), dict(after, items=new)


def _alike(section, was, now):
    if section == "files":
        if was.get("type") != now.get("type") or was.get("type") == "dir":
            return now
        return _mixed(was, now, lambda key: key in LASTING)
    if was.get("kind") == "table":
        return _mixed(was, now, lambda key: key not in OF_ROWS)
    return was


def _mixed(was, now, seen):
    """What is seen of the later item, the rest of the earlier one."""
    return dict({key: value for key, value in was.items() if not seen(key)}, **{key: value for key, value in now.items() if seen(key)})


class Counted:
    """Numbers of a class. compared, uncompared: {kind: number}; kinds are files, bytes, mailboxes, tables.

    left: {kind: [subject]} of what was not compared. changed: subjects that were looked at from outside only, as they are volatile.
    """

    def __init__(self, sections, pairs, volatile):
        """pairs: {section: (before, after) as they were looked at, or None}. sections: of the manifest, which alone says how much there is."""
        self.compared, self.uncompared, self.left = {}, {}, {}
        items = {name: (data or {}).get("items") or {} for name, data in sections.items()}
        dumped = _dumped(pairs.get("databases"))
        blurred = set(volatile) - dumped
        if "files" in items:
            self._files(items["files"], pairs.get("files"), blurred)
        if "mail" in items:
            boxes = {subject: item for subject, item in items["mail"].items() if item.get("kind") == "mailbox"}
            # only Dovecot opens the others
            opened = {subject for subject, item in boxes.items() if all(folder.get("path") for folder in (item.get("folders") or {}).values())}
            self._subjects("mailboxes", boxes, pairs.get("mail"), opened - blurred)
        if "databases" in items:
            tables = {subject for subject, item in items["databases"].items() if item.get("kind") == "table"}
            self._subjects("tables", tables, pairs.get("databases"), tables - blurred)
        self.changed = sorted(s for s in blurred if any(s in held and held[s].get("type") != "dir" for held in items.values()))

    def _files(self, items, pair, blurred):
        before, after = (side.get("items", {}) for side in pair) if pair else ({}, {})
        closed = [path for side in pair or () for path in side.get("unwalked", [])]
        numbers, left = [0, 0, 0, 0], []
        for path, item in items.items():
            if item.get("type") != "file":
                continue
            whole = path in before and path not in blurred and "hash" in item and "hash" in after.get(path, item)
            if whole and closed:
                whole = not any(_manifest.below(path, top) for top in closed)
            if not whole:
                left.append(path)
            numbers[0 if whole else 1] += 1
            numbers[2 if whole else 3] += item.get("size", 0)
        self._keep("files", numbers[0], numbers[1], left)
        self._keep("bytes", numbers[2], numbers[3], ())

    def _subjects(self, kind, subjects, pair, sharp):
        before = pair[0].get("items", {}) if pair else {}
        left = [subject for subject in subjects if subject not in before or subject not in sharp]
        self._keep(kind, len(subjects) - len(left), len(left), left)

    def _keep(self, kind, compared, uncompared, left):
        if compared or uncompared:
            self.compared[kind], self.uncompared[kind], self.left[kind] = compared, uncompared, sorted(left)


def _dumped(pair):
    """Files of SQLite databases that a dump of the same run holds: what is in them is compared by that dump."""
    items = pair[0].get("items", {}) if pair else {}
    paths = [item["path"] for s, item in items.items() if s.startswith(_sqlite.NAME + ":") and item.get("kind") == "database" and item.get("path")]
    return {path + suffix for path in paths for suffix in JOURNALS}


def too_much(counted, limit):
    """Why a class of which so much was not compared is not proven: (sentence, [subject of what was left out]); ("", []) when enough was."""
    said, paths = [], []
    for kind in JUDGED:
        left, done = counted.uncompared.get(kind, 0), counted.compared.get(kind, 0)
        if not left:
            continue
        bytes_left, bytes_done = (counted.uncompared.get("bytes", 0), counted.compared.get("bytes", 0)) if kind == "files" else (0, 0)
        share, weight = _share(done, left), _share(bytes_done, bytes_left)
        few = (done + left) * limit["percent"] < limit["objects"] * 100
        nothing = not done or (bytes_left and not bytes_done)
        if nothing or (left > limit["objects"] if few else max(share, weight) > limit["percent"]):
            evidence = "%d of %d %s (%s)" % (left, done + left, kind, percent(share))
            if bytes_left:
                evidence += " with %s of the bytes" % percent(weight)
            allowed = "%d are allowed" % limit["objects"] if few else "%g %% are allowed" % limit["percent"]
            if nothing:
                allowed = "and that is %s" % ("every byte" if done else "everything")
            said.append("%s were not compared, %s: %s" % (evidence, allowed, named(counted.left[kind])))
            paths += counted.left[kind]
    return "; ".join(said), paths


def named(subjects):
    """The first few, as text."""
    return ", ".join(subjects[:SHOWN]) + (", ..." if len(subjects) > SHOWN else "")


def _share(done, left):
    return 100.0 * left / (done + left) if left else 0.0


def percent(share):
    """A share as text; a little is not nothing, and not quite all is not all."""
    if 0 < share < 0.1 or 99.9 < share < 100:
        return "under 0.1 %" if share < 50 else "over 99.9 %"
    return "%g %%" % round(share, 1)
