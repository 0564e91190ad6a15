# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Findings from the differences of a manifest: alone, or together where many of a kind are below one directory. Pure."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._baseline._allowed import Together
from ansible_collections.intact.hosting.plugins.module_utils._baseline._compare import details
from ansible_collections.intact.hosting.plugins.module_utils._baseline._entry import KINDS, describe
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding

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


def told(changes, together):
    """Findings for changes: alone, or together where more than `together` of one kind, origin and package are below one directory."""
    merged = {}
    for change in changes:
        # Where rules speak of an origin, what else changed must stay visible to them: new content is a package's, another owner is not.
        kinds = ",".join(change.kinds) if change.origin else ""
        merged.setdefault((change.kind, kinds, change.origin or "", change.package or ""), []).append(change)
    out = []
    for _key, group in sorted(merged.items(), key=lambda entry: entry[0]):
        for directory, some in gather(group, together):
            out.append(alone(some[0]) if directory is None else _many(directory, some, together))
    return out


def gather(group, together):
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


def alone(change):
    """The finding for one change."""
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
        package=change.package,
        trend=change.trend,
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


def _many(directory, some, together):
    kind = some[0].kind
    severity, _title, title = KINDS[kind]
    attribute = ",".join(name.split(".")[0] for name in (some[0].kinds if some[0].origin else [kind]))
    finding = Finding(
        id="files." + kind,
        severity=severity,
        subject=directory,
        title="%d %s" % (len(some), title),
        evidence="%s, ... (first: %s)" % (", ".join(change.path[len(directory.rstrip("/")) + 1 :] for change in some[:5]), some[0].evidence),
        remedy=REMEDIES.get(kind, "compare them with the backup and put back what is right"),
        details=details(_word(kind), attribute, None, None, paths=[directory], origin=some[0].origin, package=some[0].package, count=len(some)),
    )
    return Together.of(finding, lambda: some, alone, lambda parts: told(parts, together))


def _word(kind):
    return kind if kind in ("missing", "new") else "changed"


def _short(value):
    return describe(value) if isinstance(value, dict) and "type" in value else value
