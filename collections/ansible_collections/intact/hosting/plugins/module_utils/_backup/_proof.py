# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""The document that a drill writes: what was restored from where, when its data was taken, how long that took, and how it ended. Pure."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils import _proofs
from ansible_collections.intact.hosting.plugins.module_utils._backup import _compared
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
            # of one that was read back, the drill tells by itself why it is not proven
            if held["result"] == "unproven" and "run" not in held:
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


def _entries(proof):
    """{"repository class": entry}."""
    return {"%s %s" % (repository, name): entry for repository, part in proof["repositories"].items() for name, entry in part["classes"].items()}


def compared(proof):
    """How much of each class was compared, a line for each of which a proof tells: proofs of earlier drills do not."""
    lines = []
    for what, entry in sorted(_entries(proof).items()):
        told = []
        for kind in ("files", "mailboxes", "tables"):
            done, left = ((entry.get(key) or {}).get(kind, 0) for key in ("compared", "uncompared"))
            if done or left:
                told.append("%d of %d %s" % (done, done + left, kind))
            if kind == "files" and (done or left):
                done, left = ((entry.get(key) or {}).get("bytes", 0) for key in ("compared", "uncompared"))
                told[-1] += " with %s of the bytes" % _compared.percent(100.0 * done / (done + left) if left else 100)
        if told:
            lines.append("%s: compared %s" % (what, ", ".join(told)))
    return lines


def _left(held):
    """What was not compared, in all, as the summary says it."""
    told = []
    for kind in _compared.JUDGED:
        done, left = (sum((entry.get(key) or {}).get(kind, 0) for entry in held) for key in ("compared", "uncompared"))
        if left:
            told.append("%d of %d %s" % (left, done + left, kind))
    return "; not compared: " + ", ".join(told) if told else ""


def summary(proof):
    """What a proof proves, as one line for people."""
    held = _entries(proof)
    bad = ["%s is %s" % (what, entry["result"]) for what, entry in sorted(held.items()) if entry["result"] != "proven"]
    return "%d of %d proven: %s%s%s; restored in %.0f s, %s" % (
        len(held) - len(bad),
        len(held),
        _proofs.covers(proof),
        " (not: %s)" % ", ".join(bad) if bad else "",
        _left(held.values()),
        sum(entry.get("seconds", 0) for entry in held.values()),
        "signed" if proof.get("signature") else "not signed",
    )
