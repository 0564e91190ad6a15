# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What changed after the look that a manifest tells of, and before its snapshot was whole: on a busy host there always is something. Pure.

The manifest lies in the snapshot and can't tell. The snapshot does: it has the change time of each entry, which can't be set back.
"""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._backup import _again, _held_against, _snapshots


def parent(path):
    """The directory (escaped path) that an entry is in."""
    return path.rpartition("/")[0] or "/"


def differing(before, after):
    """Paths of a section files whose entries are not what they were, or gone."""
    old, new = before.get("items", {}), after.get("items", {})
    return {path for path, item in old.items() if new.get(path) != item}


def asked(paths):
    """What the snapshot has to be asked for: the entries, and all directories that they are in."""
    out = set()
    for path in paths:
        while path not in out:
            out.add(path)
            path = parent(path)
    return out


def told(before, after, paths, nodes, looked):
    """(before, {path}): what changed after `looked` (nanoseconds), and the section with what the snapshot says of their owners and modes, as it is newer.

    nodes: {escaped path: entry of the snapshot} as far as it has those of asked(paths).
    """
    since, old, late = looked - _again.TICK, dict(before.get("items", {})), set()
    for path in paths:
        node = nodes.get(path)
        # of what is not there its directory tells, or whoever took that away
        witness = path
        while witness not in nodes and witness != "/":
            witness = parent(witness)
        if witness not in nodes or _changed(nodes[witness]) < since:
            continue
        if node is not None and path not in after.get("items", {}):
            continue  # the snapshot has it, and it did not come back
        late.add(path)
        if node is None:
            del old[path]
            continue
        kind = _held_against.TYPES.get(node["type"], node["type"])
        was = old[path] if old[path]["type"] == kind else {}
        old[path] = dict(was, type=kind, uid=node["uid"], gid=node["gid"])
        if kind != "link":
            old[path]["mode"] = _held_against.mode(node["mode"])
    return dict(before, items=old), late


def _changed(node):
    return int(_snapshots.moment(node["ctime"]).timestamp() * 1e6) * 1000 if node["ctime"] else 0


def touched(sections, paths):
    """Subjects of the other sections that lie at such paths: a mailbox into which mail came."""
    out = set()
    for section, data in sections.items():
        for subject, item in (data or {}).get("items", {}).items() if section != "files" and paths else ():
            places = item.get("paths") if isinstance(item, dict) else None
            if places and any(path == place or path.startswith(place + "/") for path in paths for place in places):
                out.add(subject)
    return out
