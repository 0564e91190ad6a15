# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Judge two manifests: pure. One event, one finding: a lost tree is one, a file with three changed attributes is one."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _trees_data
from ansible_collections.intact.hosting.plugins.module_utils._baseline._allowed import Together
from ansible_collections.intact.hosting.plugins.module_utils._baseline._compare import details
from ansible_collections.intact.hosting.plugins.module_utils._baseline._entry import Change, Names, changed, describe, new_entry
from ansible_collections.intact.hosting.plugins.module_utils._baseline._told import alone, gather, told
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding

TOGETHER = 20


def compare(before, after):
    """Findings for two data dicts of the files section."""
    old, new = before.get("items", {}), after.get("items", {})
    closed = before.get("unwalked", []) + after.get("unwalked", [])
    differing = sorted(set(before.get("trees", [])) ^ set(after.get("trees", [])))
    closed += differing
    if closed:
        old, new = _open_parts(old, closed), _open_parts(new, closed)
    missing = {path for path in old if path not in new}
    found = [_tree_not_compared(tree, tree in before.get("trees", [])) for tree in differing]
    together = int(after.get("together") or TOGETHER)
    claimed = set(after.get("claimed", []))

    def gone(paths):
        return [
            Change("missing", path, _missing_origin(old[path], path in claimed), describe(old[path]), old[path], package=old[path].get("package"))
            for path in sorted(paths)
        ]

    lost = [_with_parts(finding, missing, gone, together) for finding in _lost_trees(old, new, missing)]
    tops = {finding.covers[0]["path"] for finding in lost}
    missing = {path for path in missing if path not in tops and not any(parent in tops for parent in parents(path))}
    found += _lost_together(lost, together)
    changes = gone(missing)
    names, strangers, split = Names(before, after), {}, _split_links(old, new)
    for path in sorted(old):
        if path in new and (old[path] != new[path] or names.drifts(old[path], new[path])):
            if old[path].get("hardlink", path) != path and old[path]["hardlink"] == new[path].get("hardlink"):
                continue  # still the same file as the group's first name, which is told
            change = changed(path, old[path], new[path], names, strangers, split.get(path))
            if change:
                changes.append(change)
    changes += [c for c in (new_entry(path, new[path], docroot=_trees_data.docroot(path)) for path in sorted(new) if path not in old) if c]
    found += [_identity(name, paths) for name, paths in sorted(strangers.items())]
    return found + told(changes, together)


def _missing_origin(item, claimed):
    """The earlier origin. What the package still has was not given up by its new version, so no rule for that must match."""
    return "%s -> gone from its package" % item["origin"] if claimed and item.get("origin") else item.get("origin")


def _open_parts(items, closed):
    return {path: item for path, item in items.items() if not any(below(path, top) for top in closed)}


def below(path, top):
    return path == top or path.startswith(top.rstrip("/") + "/")


def parents(path):
    """Directories above a path, nearest first, without /."""
    while True:
        path = path.rpartition("/")[0]
        if not path:
            return
        yield path


def _lost_trees(old, new, missing):
    """Findings for directories whose whole content is gone: topmost ones only, at least two entries."""
    held, lost = {}, {}
    for path, item in old.items():
        if item.get("type") == "dir":
            continue
        gone = path in missing
        for parent in parents(path):
            held[parent] = held.get(parent, 0) + 1
            if gone:
                lost[parent] = lost.get(parent, 0) + 1
    tops = {top for top, count in lost.items() if count >= 2 and count == held[top] and top in old}
    tops = sorted(top for top in tops if not any(parent in tops for parent in parents(top)))
    out = []
    for top in tops:
        files = sorted(path for path in missing if path.startswith(top + "/") and old[path].get("type") != "dir")
        subject, gone = _where(top, files, missing, old)
        number = sum(1 for path in missing if below(path, top))
        size = sum(old[path].get("size", 0) for path in files)
        stale = sum(1 for path in new if path.startswith(subject + "/") and path not in old)
        evidence = "%d entries with %d bytes were there before (%s%s)" % (
            number,
            size,
            ", ".join(p[len(subject) + 1 :] for p in files[:3]),
            ", ..." if len(files) > 3 else "",
        )
        if stale:
            evidence += "; %d other entries are there now" % stale
        out.append(
            Finding(
                id="files.tree.missing" if gone else "files.tree.emptied",
                severity="blocker",
                subject=subject,
                title="the whole tree is gone" if gone else "nothing of what was in it is there any more",
                evidence=evidence,
                remedy="find out whether its disk is mounted; then restore the tree from the backup",
                details=details("missing", "tree", number, stale, paths=[subject], count=number),
                covers=[{"section": "*", "path": top}],
            )
        )
    return out


def _with_parts(finding, missing, gone, together):
    """The finding for a lost tree, which rules may also allow file by file."""
    top = finding.covers[0]["path"]
    return Together.of(finding, lambda: gone(path for path in missing if below(path, top)), alone, lambda parts: told(parts, together), own=True)


def _lost_together(lost, together):
    """The same findings, or one for each directory below which more than `together` trees are gone."""
    out = []
    for directory, some in gather([Change("missing", finding.subject, None, "", finding) for finding in lost], together):
        findings = [change.before for change in some]
        if directory is None:
            out += findings
            continue
        count = sum(finding.details["count"] for finding in findings)
        many = Finding(
            id="files.tree.missing",
            severity="blocker",
            subject=directory,
            title="%d whole trees in it are gone or empty" % len(findings),
            evidence="%s, ... held %d entries before" % (", ".join(f.subject[len(directory.rstrip("/")) + 1 :] for f in findings[:5]), count),
            remedy=findings[0].remedy,
            details=details("missing", "tree", count, 0, paths=[f.subject for f in findings], count=count),
            covers=[entry for finding in findings for entry in finding.covers],
        )
        out.append(Together.of(many, lambda some=findings: some, lambda tree: tree, lambda trees: _lost_together(trees, together)))
    return out


def _where(top, files, missing, old):
    """The directory to name for a lost top, and whether it is itself gone: the deepest that held all the lost files."""
    shared = files[0].rpartition("/")[0]
    for path in files:
        while not path.startswith(shared + "/"):
            shared = shared.rpartition("/")[0]
    named = shared if len(shared) >= len(top) and shared in old else top
    if named not in missing:
        return named, False
    for parent in parents(named):
        if parent not in missing or parent not in old:
            break
        named = parent
    return named, True


def _split_links(old, new):
    """{path: name it was linked with} for names that are no longer one file with the others of their group.

    Groups that lost a name are left out: the missing name is told. Of two halves the smaller is named, of equal ones the changed.
    """
    groups = {}
    for path, item in old.items():
        if item.get("hardlink"):
            groups.setdefault(item["hardlink"], []).append(path)
    out = {}
    for members in groups.values():
        if any(path not in new for path in members):
            continue
        parts = {}
        for path in members:
            parts.setdefault(new[path].get("hardlink", path), []).append(path)
        kept = max(parts.values(), key=lambda part: (len(part), all(old[p].get("hash") == new[p].get("hash") for p in part), part))
        for part in parts.values():
            if part is not kept:
                out.update(dict.fromkeys(part, kept[0]))
    return out


def _identity(key, entries):
    """Files that no longer belong to the same account, because the account moved: one finding for all of them."""
    word, name = key
    paths = sorted({path for path, _was, _now in entries})
    have = set(paths)
    tops = [path for path in paths if not any(parent in have for parent in parents(path))][:500]
    shown = sorted({"%s before, %s now" % (was, now) for _path, was, now in entries})
    return Finding(
        id="files.owner.identity",
        severity="blocker",
        subject="%s %s" % (word, name),
        title="files belong to another %s number or name than before" % word,
        evidence="%d entries: %s (%s%s)" % (len(paths), "; ".join(shown[:4]), ", ".join(tops[:3]), ", ..." if len(tops) > 3 else ""),
        remedy="give the %s its number back, or chown the files" % word,
        details=details("changed", "identity", shown[0].split(" before")[0], None, paths=tops, account=name, count=len(paths)),
    )


def _tree_not_compared(tree, before):
    return Finding(
        id="files.unlooked",
        severity="warning",
        subject=tree,
        title="looked at only %s: not compared" % ("before" if before else "after"),
        remedy="give both captures the same trees",
        details=details("unlooked", paths=[tree]),
    )
