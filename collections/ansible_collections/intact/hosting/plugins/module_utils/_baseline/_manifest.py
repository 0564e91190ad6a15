# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Judge two manifests: pure. One event, one finding: a lost tree is one, a file with three changed attributes is one."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _origin, _trees_data
from ansible_collections.intact.hosting.plugins.module_utils._baseline._compare import details
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding

TOGETHER = 20

# Kind of change: severity, title of one, title of many. The first kind of a file that applies names its finding.
KINDS = {
    "type.changed": ("blocker", "another kind of file is in its place", "entries are of another kind now"),
    "unreadable": ("blocker", "cannot be read any more", "files cannot be read any more"),
    "content.changed": ("blocker", "the content is not what it was", "files have other content"),
    "link.changed": ("blocker", "the link points elsewhere", "links point elsewhere"),
    "owner.changed": ("blocker", "owner or group is not what it was", "entries have another owner or group"),
    "acl.changed": ("blocker", "the access list is not what it was", "access lists are not what they were"),
    "mode.changed": ("blocker", "the permissions are not what they were", "entries have other permissions"),
    "capability.lost": ("blocker", "the file capability is lost", "file capabilities are lost"),
    "capability.changed": ("blocker", "the file capability is not what it was", "file capabilities are not what they were"),
    "xattr.changed": ("blocker", "extended attributes are not what they were", "entries have other extended attributes"),
    "device.changed": ("blocker", "the device number is not what it was", "device numbers are not what they were"),
    "flags.changed": ("warning", "immutable or append-only is not set as it was", "entries have other immutable or append-only flags"),
    "hardlink.broken": ("warning", "no longer one file with its other names", "hard links are no longer one file with their other names"),
    "sparse.lost": ("warning", "holes were filled: the file takes its full size on disk", "sparse files take their full size on disk"),
    "missing": ("blocker", "gone", "entries are gone"),
    "new": ("warning", "was not there before", "entries were not there before"),
}
REMEDIES = {
    "missing": "restore it from the backup, or allow the change with a reason",
    "owner.changed": "chown it back to the owner before",
    "mode.changed": "chmod it back to the mode before",
    "acl.changed": "set the entries again with setfacl",
    "capability.lost": "set it again with setcap",
    "flags.changed": "set the flags again with chattr",
    "new": "find out who made it; remove it or allow it with a reason",
    "sparse.lost": "dig the holes again with fallocate --dig-holes",
}


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
    lost = _lost_trees(old, new, missing)
    tops = {finding.covers[0]["path"] for finding in lost}
    missing = {path for path in missing if path not in tops and not any(parent in tops for parent in _parents(path))}
    found += _lost_together(lost, together)
    changes = [_Change("missing", path, _origin.moved(old[path].get("origin"), None), _describe(old[path]), old[path], None) for path in sorted(missing)]
    names, strangers, split = _Names(before, after), {}, _split_links(old, new)
    for path in sorted(old):
        if path in new and (old[path] != new[path] or names.drifts(old[path], new[path])):
            if old[path].get("hardlink", path) != path and old[path]["hardlink"] == new[path].get("hardlink"):
                continue  # still the same file as the group's first name, which is told
            change = _changed(path, old[path], new[path], names, strangers, split.get(path))
            if change:
                changes.append(change)
    changes += [c for c in (_new(path, new[path], docroot=_trees_data.docroot(path)) for path in sorted(new) if path not in old) if c]
    found += [_identity(name, paths) for name, paths in sorted(strangers.items())]
    return found + _told(changes, together)


class _Change:
    """One entry's difference: the kind that names it, and what was seen."""

    def __init__(self, kind, path, origin, evidence, before=None, after=None, kinds=()):
        self.kind, self.path, self.origin, self.evidence = kind, path, origin, evidence
        self.before, self.after, self.kinds = before, after, list(kinds) or [kind]


class _Names:
    """Owner and group names of both looks, and what is one identity under another number or name."""

    def __init__(self, before, after):
        self.tables = {"uid": (before.get("owners", {}), after.get("owners", {})), "gid": (before.get("groups", {}), after.get("groups", {}))}

    def name(self, key, number, late):
        return self.tables[key][late].get(str(number))

    def shown(self, item, late):
        return ":".join(self.name(key, item[key], late) or str(item[key]) if key in item else "?" for key in ("uid", "gid"))

    def drift(self, key, a, b):
        """The name of the account or group that itself changed (number or name), or None when this entry's owner changed or nothing did."""
        if key not in a or key not in b:
            return None
        was, now = self.name(key, a[key], 0), self.name(key, b[key], 1)
        if a[key] == b[key]:
            return None if was == now else was or now
        return was if was is not None and was == now else None

    def drifts(self, a, b):
        return self.drift("uid", a, b) is not None or self.drift("gid", a, b) is not None


def _open_parts(items, closed):
    return {path: item for path, item in items.items() if not any(_below(path, top) for top in closed)}


def _below(path, top):
    return path == top or path.startswith(top.rstrip("/") + "/")


def _parents(path):
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
        for parent in _parents(path):
            held[parent] = held.get(parent, 0) + 1
            if gone:
                lost[parent] = lost.get(parent, 0) + 1
    tops = {top for top, count in lost.items() if count >= 2 and count == held[top] and top in old}
    tops = sorted(top for top in tops if not any(parent in tops for parent in _parents(top)))
    out = []
    for top in tops:
        files = sorted(path for path in missing if path.startswith(top + "/") and old[path].get("type") != "dir")
        subject, gone = _where(top, files, missing, old)
        number = sum(1 for path in missing if _below(path, top))
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


def _lost_together(lost, together):
    """The same findings, or one for each directory below which more than `together` trees are gone."""
    out = []
    for directory, some in _gather([_Change("missing", finding.subject, None, "", finding) for finding in lost], together):
        findings = [change.before for change in some]
        if directory is None:
            out += findings
            continue
        count = sum(finding.details["count"] for finding in findings)
        out.append(
            Finding(
                id="files.tree.missing",
                severity="blocker",
                subject=directory,
                title="%d whole trees in it are gone or empty" % len(findings),
                evidence="%s, ... held %d entries before" % (", ".join(f.subject[len(directory.rstrip("/")) + 1 :] for f in findings[:5]), count),
                remedy=findings[0].remedy,
                details=details("missing", "tree", count, 0, paths=[f.subject for f in findings], count=count),
                covers=[entry for finding in findings for entry in finding.covers],
            )
        )
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
    for parent in _parents(named):
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


def _changed(path, a, b, names, strangers, was_with=None):
    """The _Change of one entry, or None; files of an account whose number or name moved are collected in strangers."""
    origin = _origin.moved(a.get("origin"), b.get("origin"))
    if a.get("type") != b.get("type"):
        return _Change("type.changed", path, origin, "%s before, %s now" % (_describe(a), _describe(b)), a.get("type"), b.get("type"))
    seen = []
    for kind, was, now in _differences(a, b):
        if kind == "owner.changed":
            keys = [key for key in ("uid", "gid") if a.get(key) != b.get(key)]
            if all(names.drift(key, a, b) for key in keys):
                continue
            was, now = names.shown(a, 0), names.shown(b, 1)
        seen.append((kind, was, now))
    if was_with:
        seen.append(("hardlink.broken", was_with, None))
    for key, word in (("uid", "account"), ("gid", "group")):
        name = names.drift(key, a, b)
        if name is not None:
            strangers.setdefault((word, name), []).append(
                (path, "%s %s" % (names.name(key, a[key], 0), a[key]), "%s %s" % (names.name(key, b[key], 1), b[key]))
            )
    if not seen:
        return None
    order = list(KINDS)
    seen.sort(key=lambda entry: order.index(entry[0]))
    evidence = "; ".join(_sentence(kind, was, now, a, b) for kind, was, now in seen)
    if a.get("origin") == "conffile-edited" and b.get("origin") == "conffile-unmodified":
        evidence += "; it was edited here and is the package's own version now"
    return _Change(seen[0][0], path, origin, evidence, seen[0][1], seen[0][2], [kind for kind, _was, _now in seen])


def _differences(a, b):
    """(kind, before, after) of two items of the same type."""
    states = (a.get("state", ""), b.get("state", ""))
    if states[1].startswith("unreadable") and not states[0].startswith("unreadable"):
        yield "unreadable", "read", states[1]
    elif "hash" in a and "hash" in b:
        if a["hash"] != b["hash"]:
            yield "content.changed", a["hash"], b["hash"]
    elif a.get("size") != b.get("size") and "changing" not in states:
        yield "content.changed", a.get("size"), b.get("size")
    plain = (("target", "link.changed"), ("mode", "mode.changed"), ("xattr", "xattr.changed"), ("device", "device.changed"), ("flags", "flags.changed"))
    for key, kind in plain:
        if a.get(key) != b.get(key):
            yield kind, a.get(key), b.get(key)
    if (a.get("uid"), a.get("gid")) != (b.get("uid"), b.get("gid")):
        yield "owner.changed", None, None
    if (a.get("acl"), a.get("default_acl")) != (b.get("acl"), b.get("default_acl")):
        yield "acl.changed", _acls(a), _acls(b)
    if a.get("capability") != b.get("capability"):
        yield ("capability.changed" if b.get("capability") else "capability.lost"), a.get("capability"), b.get("capability")
    if a.get("sparse") and not b.get("sparse") and b.get("size") == a.get("size"):
        yield "sparse.lost", True, False


def _acls(item):
    out = item.get("acl") or ""
    return out + ((" default " + item["default_acl"]) if item.get("default_acl") else "")


def _sentence(kind, was, now, a, b):
    if kind == "content.changed":
        x, y = a.get("size") or 0, b.get("size") or 0
        how = "emptied" if x and not y else "shrunk" if y < x else "grown" if y > x else "same size, other bytes"
        return "content: %d bytes before, %d now (%s)" % (x, y, how)
    if kind == "unreadable":
        return now
    if kind == "hardlink.broken":
        return "was one file with %s (%s names), has %s now" % (was, a.get("links", "?"), b.get("links", 1))
    if kind == "sparse.lost":
        return "sparse before, not now"
    if kind == "acl.changed":
        lost = [e for e in str(was).replace(" ", ",").split(",") if e not in str(now).replace(" ", ",").split(",")]
        return "access list: %s before, %s now%s" % (was or "none", now or "none", "; lost: " + ", ".join(lost) if lost and was else "")
    return "%s: %s before, %s now" % (kind.split(".")[0], was if was not in (None, "") else "none", now if now not in (None, "") else "none")


def _describe(item):
    kind = item.get("type", "entry")
    if kind == "link":
        return "a link to %s" % item.get("target")
    if kind == "file":
        return "a file of %d bytes, mode %s" % (item.get("size", 0), item.get("mode"))
    return "a %s, mode %s" % ({"dir": "directory"}.get(kind, kind), item.get("mode"))


def _new(path, item, docroot):
    """What is worth a look among what is new: programs with other rights, programs a web server could run, configuration."""
    mode = int(item.get("mode", "0"), 8)
    file = item.get("type") == "file"
    origin = item.get("origin")
    if file and (mode & 0o6000 or item.get("capability")) and origin != "package":
        return _Change(
            "new",
            path,
            origin,
            "%s; it gives whoever runs it other rights%s" % (_describe(item), " (%s)" % item["capability"] if item.get("capability") else ""),
            None,
            item,
        )
    if file and docroot and mode & 0o111:
        return _Change("new", path, origin, "%s: a program in a directory that is served" % _describe(item), None, item)
    if path.startswith("/etc/") and item.get("type") != "dir" and origin in ("local", "leftover"):
        return _Change("new", path, origin, _describe(item), None, item)
    return None


def _identity(key, entries):
    """Files that no longer belong to the same account, because the account moved: one finding for all of them."""
    word, name = key
    paths = sorted({path for path, _was, _now in entries})
    have = set(paths)
    tops = [path for path in paths if not any(parent in have for parent in _parents(path))][:500]
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


def _told(changes, together):
    """Findings for changes: alone, or together where more than `together` of one kind and origin are below one directory."""
    merged = {}
    for change in changes:
        merged.setdefault((change.kind, change.origin), []).append(change)
    out = []
    for (kind, origin), group in sorted(merged.items(), key=lambda entry: (entry[0][0], entry[0][1] or "")):
        for directory, some in _gather(group, together):
            out.append(_one(some[0]) if directory is None else _many(kind, origin, directory, some))
    return out


def _gather(group, together):
    """(None, [change]) for those told alone, (directory, changes) for more than `together` below the deepest such directory."""
    tree = {}
    for change in group:
        directory = change.path.rpartition("/")[0] or "/"
        tree.setdefault(directory, []).append((None, [change]))
    for depth in range(max((d.count("/") for d in tree if d != "/"), default=0), 0, -1):
        for directory in sorted(d for d in tree if d != "/" and d.count("/") == depth):
            entries = tree.pop(directory)
            if len(entries) > together:
                entries = [(directory, sorted((c for _d, some in entries for c in some), key=lambda c: c.path))]
            tree.setdefault(directory.rpartition("/")[0] or "/", []).extend(entries)
    return sorted(tree.get("/", []), key=lambda entry: entry[1][0].path)


def _one(change):
    severity, title, _many_title = KINDS[change.kind]
    if change.kind == "missing" and change.before and change.before.get("type") == "dir":
        title = "the directory is gone"
    more = details(
        _word(change.kind),
        ",".join(kind.split(".")[0] for kind in change.kinds),
        _short(change.before),
        _short(change.after),
        paths=[change.path],
        origin=change.origin,
    )
    return Finding(
        id="files." + change.kind,
        severity=severity,
        subject=change.path,
        title=title,
        evidence=change.evidence,
        remedy=REMEDIES.get(change.kind, "compare it with the backup and put back what is right"),
        details=more,
    )


def _many(kind, origin, directory, some):
    severity, _title, title = KINDS[kind]
    return Finding(
        id="files." + kind,
        severity=severity,
        subject=directory,
        title="%d %s" % (len(some), title),
        evidence="%s, ... (first: %s)" % (", ".join(change.path[len(directory.rstrip("/")) + 1 :] for change in some[:5]), some[0].evidence),
        remedy=REMEDIES.get(kind, "compare them with the backup and put back what is right"),
        details=details(_word(kind), kind.split(".")[0], None, None, paths=[directory], origin=origin, count=len(some)),
    )


def _word(kind):
    return kind if kind in ("missing", "new") else "changed"


def _short(value):
    return _describe(value) if isinstance(value, dict) and "type" in value else value


def _tree_not_compared(tree, before):
    return Finding(
        id="files.unlooked",
        severity="warning",
        subject=tree,
        title="looked at only %s: not compared" % ("before" if before else "after"),
        remedy="give both captures the same trees",
        details=details("unlooked", paths=[tree]),
    )
