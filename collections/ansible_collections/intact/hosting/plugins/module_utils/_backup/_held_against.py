# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Hold what a repository says that a snapshot has (restic ls) against the manifest: names, types, sizes, modes, owners. Pure."""

from __future__ import annotations

import os
import re

from ansible_collections.intact.hosting.plugins.module_utils._files import unescape
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding

TYPES = {"file": "file", "dir": "dir", "symlink": "link", "fifo": "fifo", "chardev": "char", "dev": "block", "socket": "socket"}
# restic tells modes as Go does: set-id and sticky bits lie above the file type's own.
GO_BITS = ((1 << 23, 0o4000), (1 << 22, 0o2000), (1 << 20, 0o1000))
REPLACED = re.compile("\ufffd+")
LISTED = 20


def key(path):
    """A name as JSON can tell it: restic writes bytes that are no UTF-8 as replacement characters."""
    text = path.decode("utf-8", "replace") if isinstance(path, bytes) else path
    return REPLACED.sub("\ufffd", text) if "\ufffd" in text else text


def mode(number):
    """Permission bits as the manifest tells them, from restic's number."""
    bits = number & 0o777
    for go, unix in GO_BITS:
        if number & go:
            bits |= unix
    return "%04o" % bits


def differences(items, nodes, volatile=(), known=()):
    """[(escaped path, what is wrong)]. nodes: dicts with path, type, size, mode, uid, gid. volatile: paths of which only the name is held against.

    known: raw names that must be there besides the items. Names that only the snapshot has are no difference: they came after the look, and the second look tells.
    """
    wanted, twice = {}, set()
    for path, item in items.items():
        if item.get("type") == "unknown":
            continue
        name = key(unescape(path)) if "\\" in path else path
        if name in wanted:
            # two names that JSON can't tell apart: only that there is one can be said
            twice.add(name)
        wanted[name] = (path, item)
    missing = set(wanted) | {key(os.fsencode(name)) for name in known}
    skipped, out = set(volatile), []
    for node in nodes:
        name = key(node["path"])
        missing.discard(name)
        found = wanted.get(name)
        if found is None or name in twice or found[0] in skipped:
            continue
        wrong = _wrong(found[1], node)
        if wrong:
            out.append((found[0], wrong))
    gone = [wanted[name][0] if name in wanted else name for name in missing]
    return sorted([(path, "is not in the snapshot") for path in gone if path not in skipped] + out)


def _wrong(item, node):
    kind = TYPES.get(node["type"], node["type"])
    if kind != item["type"]:
        return "is a %s in the snapshot, was a %s" % (kind, item["type"])
    if kind == "file" and node.get("size", 0) != item["size"]:
        return "has %d bytes in the snapshot, had %d" % (node.get("size", 0), item["size"])
    if "mode" in item and mode(node["mode"]) != item["mode"]:
        return "has mode %s in the snapshot, had %s" % (mode(node["mode"]), item["mode"])
    if (node.get("uid", 0), node.get("gid", 0)) != (item["uid"], item["gid"]):
        return "belongs to %d:%d in the snapshot, belonged to %d:%d" % (node.get("uid", 0), node.get("gid", 0), item["uid"], item["gid"])
    return ""


def findings(klass, repository, wrong):
    """A finding for each of a few paths, one for many."""

    def finding(subject, evidence):
        return Finding(
            id="backup.snapshot.incomplete",
            severity="blocker",
            subject="%s, %s: %s" % (repository, klass, subject),
            title="the snapshot does not hold what the manifest says",
            evidence=evidence,
            remedy="back this class up again; if it stays, check the repository",
            details={"repository": repository, "class": klass, "paths": [path for path, _said in wrong][:1000]},
        )

    if len(wrong) > LISTED:
        return [finding("%d paths" % len(wrong), "; ".join("%s %s" % pair for pair in wrong[:5]) + "; ...")]
    return [finding(path, said) for path, said in wrong]
