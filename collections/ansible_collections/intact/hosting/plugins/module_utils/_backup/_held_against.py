# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Hold what a repository says that a snapshot has (restic ls) against the manifest: names, types, sizes, modes, owners. Pure."""

from __future__ import annotations

import functools

from ansible_collections.intact.hosting.plugins.module_utils._backup import _outcome
from ansible_collections.intact.hosting.plugins.module_utils._files import escape, unescape
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding

TYPES = {"file": "file", "dir": "dir", "symlink": "link", "fifo": "fifo", "chardev": "char", "dev": "block", "socket": "socket"}
# restic tells modes as Go does: set-id and sticky bits lie above the file type's own.
GO_BITS = ((1 << 23, 0o4000), (1 << 22, 0o2000), (1 << 20, 0o1000))
LISTED = 20


@functools.lru_cache(maxsize=1024)
def mode(number):
    """Permission bits as the manifest tells them, from restic's number."""
    bits = number & 0o777
    for go, unix in GO_BITS:
        if number & go:
            bits |= unix
    return "%04o" % bits


def differences(items, nodes, volatile=(), known=()):
    """[(escaped path, what is wrong)]. nodes: dicts with path (bytes), type, size, mode, uid, gid. volatile: paths that are not held against.

    known: paths (bytes) that must be there besides the items. Names that only the snapshot has are no difference:
    they came after the look, and the second look tells.
    """
    wanted = {unescape(path) if "\\" in path else path.encode("utf-8"): path for path, item in items.items() if item["type"] != "unknown"}
    missing, skipped, out = set(known) - wanted.keys(), set(volatile), []
    for node in nodes:
        path = wanted.pop(node["path"], None)
        if path is None:
            missing.discard(node["path"])
        elif path not in skipped:
            wrong = _wrong(items[path], node)
            if wrong:
                out.append((path, wrong))
    gone = list(wanted.values()) + [escape(path) for path in missing]
    return sorted([(path, "is not in the snapshot") for path in gone if path not in skipped] + out)


def _wrong(item, node):
    kind = TYPES.get(node["type"], node["type"])
    if kind != item["type"]:
        return "is a %s in the snapshot, was a %s" % (kind, item["type"])
    if kind == "file" and node["size"] != item["size"]:
        return "has %d bytes in the snapshot, had %d" % (node["size"], item["size"])
    if "mode" in item and mode(node["mode"]) != item["mode"]:
        return "has mode %s in the snapshot, had %s" % (mode(node["mode"]), item["mode"])
    if (node["uid"], node["gid"]) != (item["uid"], item["gid"]):
        return "belongs to %d:%d in the snapshot, belonged to %d:%d" % (node["uid"], node["gid"], item["uid"], item["gid"])
    return ""


def findings(klass, repository, wrong):
    """A finding for each of a few paths, one for many."""

    def finding(subject, evidence):
        return Finding(
            id="backup.snapshot.incomplete",
            severity="blocker",
            subject=_outcome.subject(repository, klass, subject),
            title="the snapshot does not hold what the manifest says",
            evidence=evidence,
            remedy="back this class up again; if it stays, check the repository",
            details={"repository": repository, "class": klass, "paths": [path for path, _said in wrong][:1000]},
        )

    if len(wrong) > LISTED:
        return [finding("%d paths" % len(wrong), "; ".join("%s %s" % pair for pair in wrong[:5]) + "; ...")]
    return [finding(path, said) for path, said in wrong]
