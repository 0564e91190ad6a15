# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Files: a manifest of the trees that hold customers' data and the administrator's configuration, content and metadata.

Options: trees (list, instead of the default), more_trees, exclude ([{patterns, reason}], besides the default),
default_excludes (bool), privileged (list of program directories), together (how many like changes below one directory are told as one),
cache (a backup's, see _backup._files_cache).
"""

from __future__ import annotations

import os

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _manifest, _mounttable, _origin, _privileged, _tree, _trees_data
from ansible_collections.intact.hosting.plugins.module_utils._files import escape, unescape
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

SECTION = "files"
CHANGING = "being written while it was read, three times: content not compared"
UNREADABLE = "could not be read (a damaged disk?): content not compared"
# Where packages write as well.
SHARED = (b"/etc", b"/opt", b"/usr", b"/bin", b"/sbin", b"/lib", b"/var/lib")


def capture(system):
    """Items are entries by escaped path: type, uid, gid, mode, and what applies of size, hash (sha256), target, acl,
    default_acl, capability, xattr, flags, sparse, hardlink (first path of the group), links, device, origin, package, state.

    owners and groups: {number: name or null}. unwalked: directories that a limit kept closed. claimed: paths in the trees that a package or its
    configuration has and that are not there.
    """
    options = system.options
    trees = _paths(list(options.get("trees") or _trees_data.TREES) + list(options.get("more_trees") or []))
    rules = (list(_trees_data.EXCLUDED) if options.get("default_excludes", True) else []) + list(options.get("exclude") or [])
    for rule in rules:
        if not rule.get("patterns") or not rule.get("reason"):
            raise IntactError("files: an entry of exclude needs patterns and a reason: %s" % rule)
    rules = [rule for rule in rules if not rule.get("programs") or any(system.which(program) for program in rule["programs"])]
    known = _origin.conffiles(system)
    privileged = _paths(options.get("privileged", _trees_data.PRIVILEGED))
    packaged = _origin.owned(system, _shared(system, trees + privileged)) if known else {}
    shipped = {escape(path): md5 for path, md5 in _origin.shipped(system, trees, packaged).items()} if packaged else {}
    walker = _tree.Walker(system, _trees_data.matcher(rules), {escape(path) for path in known} | set(shipped), _mounttable.types(system), options.get("cache"))
    for tree in trees:
        walker.tree(tree)
    for tree in privileged:
        _privileged.walk(walker, tree)
    walker.finish()
    claimed = _set_origins(system, walker, known, packaged, shipped, trees + privileged)
    say_unreadable(system, walker.items)
    _say_what_was_left(system, walker)
    return {
        "items": walker.items,
        "summary": _summary(walker),
        "trees": [escape(tree) for tree in trees],
        "hash": "sha256",
        "owners": walker.owners,
        "groups": walker.groups,
        "mounts": walker.nested,
        "unwalked": walker.unwalked,
        "claimed": claimed,
        "excluded": [dict(rule) for rule in rules],
        "together": int(options.get("together", _manifest.TOGETHER)),
    }


def compare(before, after):
    """Findings for two manifests (see _manifest)."""
    return _manifest.compare(before, after)


def _paths(texts):
    out = []
    for text in texts:
        path = os.fsencode(text)
        if not path.startswith(b"/"):
            raise IntactError("files: %s is not an absolute path" % text)
        out.append(os.path.normpath(path))
    return out


def _shared(system, trees):
    """The parts of the trees where packages write as well, by every name that dpkg may know them by; a part is a tree or a place of SHARED."""
    trees = set(trees) | {os.fsencode(system.realpath(os.fsdecode(tree))) for tree in trees}
    trees |= {tree[4:] for tree in trees if tree.startswith(b"/usr/")}
    return sorted({max(tree, place, key=len) for tree in trees for place in SHARED if _below(tree, place) or _below(place, tree)})


def _below(path, top):
    return path == top or path.startswith(top.rstrip(b"/") + b"/")


def _set_origins(system, walker, known, packaged, shipped, trees):
    """Origin for everything that packages also write to; customers' trees carry none. Returns what packages have in the trees and the host has not."""
    known = {escape(path): md5 for path, md5 in known.items()}
    prefixes = tuple(os.fsdecode(root) + "/" for root in SHARED)
    for path, item in walker.items.items():
        if path.startswith(prefixes) and item["type"] != "dir":
            # dpkg may know a program by its name before the merge of /bin into /usr/bin
            raw = unescape(path) if "\\" in path else path.encode("utf-8")
            package = packaged.get(raw) or (packaged.get(raw[4:]) if raw.startswith(b"/usr/") else None)
            item["origin"] = _origin.classify(path, walker.md5.get(path), known, bool(package), shipped.get(path))
            if package:
                item["package"] = package
    roots = tuple(tree.rstrip(b"/") + b"/" for tree in trees)
    gone = {escape(raw) for raw in set(packaged) - (_origin.given_up(system) if packaged else set()) if raw.startswith(roots)} - set(walker.items)
    return sorted(path for path in gone if not system.exists(os.fsdecode(unescape(path))))


def say_unreadable(system, items):
    """Skip what the walk met and could not read."""
    _skip(system, sorted(path for path, item in items.items() if item.get("state", "").startswith("unreadable")), UNREADABLE)


def _say_what_was_left(system, walker):
    _skip(system, walker.unhashed, "a limit of this section was reached: only their size, owner and mode were compared")
    _skip(system, walker.changing, CHANGING)
    _skip(system, walker.unwalked, "a limit of this section was reached: nothing below was looked at")


def _skip(system, paths, why):
    if len(paths) > 3:
        system.skip("%d paths: %s, ..." % (len(paths), ", ".join(paths[:3])), why)
    else:
        for path in paths:
            system.skip(path, why)


def _summary(walker):
    out = {"entries": len(walker.items), "files": 0, "bytes": walker.bytes}
    places = {}
    for path, item in walker.items.items():
        if item["type"] == "file":
            out["files"] += 1
            parent = path.rpartition("/")[0]
            if parent not in places:
                places[parent] = _trees_data.place(path) + " files"
            out[places[parent]] = out.get(places[parent], 0) + 1
    if walker.sockets:
        out["sockets (left out)"] = walker.sockets
    return out
