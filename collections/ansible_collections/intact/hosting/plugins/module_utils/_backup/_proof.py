# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""The document that a drill writes: what was restored from where, when its data was taken, how long that took, and how it ended. Pure."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils import _proofs
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding

SCHEMA = 1
# From the best to the worst: a whole is as good as its worst part.
RESULTS = ("proven", "unproven", "failed")


def worst(results):
    """The worst of some results; of none it is unproven."""
    found = list(results)
    return max(found, key=RESULTS.index) if found else "unproven"


def document(host, host_id, made, repositories, wanted=()):
    """A proof. repositories: {name: {"classes": {class: entry of Drill.judge()}, "covered": share of packs read or None}}.

    wanted: classes that a proof has to speak of: one that was not drilled makes the whole unproven.
    """
    results, moments = [], []
    for entry in repositories.values():
        for name in sorted(set(wanted) | set(entry["classes"])):
            held = entry["classes"].get(name) or {"result": "unproven"}
            entry["classes"][name] = held
            results.append(held["result"])
            if held.get("taken"):
                moments.append(held["taken"])
    proof = {
        "schema": SCHEMA,
        "kind": "backup",
        "host": host,
        "host_id": host_id,
        "taken": min(moments, default=made),
        "made": made,
        "repositories": repositories,
        "result": worst(results),
    }
    return dict(proof, digest=_proofs.digest(proof))


def unproven(proof):
    """A finding for every class of every repository that this proof does not prove."""
    found = []
    for repository, entry in sorted(proof["repositories"].items()):
        for name, held in sorted(entry["classes"].items()):
            if held["result"] == "unproven":
                found.append(
                    Finding(
                        id="backup.unproven",
                        severity="warning",
                        subject="%s %s" % (repository, name),
                        title="was not read back: nobody knows whether it can be restored",
                        evidence=held.get("why", ""),
                        remedy="drill it: drill-restore.yml",
                        details={"repository": repository, "class": name, "change": "unproven"},
                    )
                )
    return found


def summary(proof):
    """What a proof proves, as one line for people."""
    held = {"%s %s" % (repository, name): entry for repository, part in proof["repositories"].items() for name, entry in part["classes"].items()}
    bad = ["%s is %s" % (what, entry["result"]) for what, entry in sorted(held.items()) if entry["result"] != "proven"]
    return "%d of %d proven: %s%s; restored in %.0f s, %s" % (
        len(held) - len(bad),
        len(held),
        _proofs.covers(proof),
        " (not: %s)" % ", ".join(bad) if bad else "",
        sum(entry.get("seconds", 0) for entry in held.values()),
        "signed" if proof.get("signature") else "not signed",
    )
