# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What is known of a host's backups from one run to the next, and what of it has become old. An earlier success never hides a later failure."""

from __future__ import annotations

import datetime
import os

from ansible_collections.intact.hosting.plugins.module_utils._backup import _check, _outcome
from ansible_collections.intact.hosting.plugins.module_utils._files import read_document, write_document
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError, parse_time

PATH = "/var/lib/intact/backup/state.json"
SCHEMA = 1
# Clocks that are synchronised differ by less.
SKEW = datetime.timedelta(minutes=5)
ENTRY = {"snapshot": "", "run": "", "taken": "", "manifest": "", "counts": {}, "result": "failed", "findings": [], "seconds": 0.0, "bytes": 0}


def fresh(host=""):
    """A state in which nothing was done.

    repositories: {name: {classes: {class: {last, good}}, checked: {at, result, findings}, coverage: {parts, read}, proofs: {class: {...}}}}.
    last: how the newest try ended, whatever it was; good: the newest that succeeded, or None.
    """
    return {"schema": SCHEMA, "host": host, "repositories": {}}


def load(path=PATH, host=""):
    """The state. One that cannot be read is put aside and begun anew: then everything is stale, which is what is known."""
    try:
        state = read_document(path)
        if state.get("schema") == SCHEMA and isinstance(state.get("repositories"), dict):
            return state
    except FileNotFoundError:
        return fresh(host)
    except (OSError, ValueError, AttributeError, EOFError):
        pass
    os.replace(path, path + ".unreadable")
    return fresh(host)


def save(state, path=PATH):
    """Write the state durably, for root only."""
    write_document(path, state)


def _repository(state, name):
    known = {"classes": {}, "checked": {}, "coverage": {}, "proofs": {}}
    return state["repositories"].setdefault(name, known)


def record(state, repository, klass, **entry):
    """Note how a class's backup into a repository ended. Keys as in ENTRY; result is ok, partial or failed; findings are dicts."""
    unknown = set(entry) - set(ENTRY)
    if unknown:
        raise IntactError("a class's state has no %s" % ", ".join(sorted(unknown)))
    known = _repository(state, repository)["classes"].setdefault(klass, {"last": None, "good": None})
    known["last"] = dict(ENTRY, **entry)
    if known["last"]["result"] == "ok":
        known["good"] = known["last"]


def record_check(state, repository, findings, coverage, when):
    """Note a check: its findings (Finding) and how much is read now."""
    known = _repository(state, repository)
    known["checked"] = {"at": when, "result": "failed" if findings else "ok", "findings": [finding.as_dict() for finding in findings]}
    known["coverage"] = coverage


def record_proof(state, proof):
    """Note what a proof document says of each repository and class; a newer one of a class replaces an older one, also when it says that it failed."""
    for name, entry in proof["repositories"].items():
        proofs = _repository(state, name)["proofs"]
        for klass, said in entry["classes"].items():
            if klass not in proofs or proofs[klass]["made"] <= proof["made"]:
                proofs[klass] = {key: said.get(key) for key in ("snapshot", "taken", "result", "seconds")}
                proofs[klass].update(made=proof["made"], digest=proof.get("digest", ""))


def expected(state, repository):
    """[(class, snapshot id)] that must be in the repository."""
    classes = state["repositories"].get(repository, {}).get("classes", {})
    return [(klass, entry["good"]["snapshot"]) for klass, entry in sorted(classes.items()) if entry["good"] and entry["good"]["snapshot"]]


def previous(state, repository, klass):
    """The newest entry that succeeded, or None: its counts are what a sudden drop is measured by."""
    return (state["repositories"].get(repository, {}).get("classes", {}).get(klass) or {}).get("good")


def judge(state, job, classes, now):
    """Findings about age: what is stale, failing, unproven, not read back, or from the future. classes: those in use; now: aware datetime. Pure."""
    found = []
    for repository in [entry["name"] for entry in job["repositories"]]:
        known = state["repositories"].get(repository) or {}
        for klass in classes:
            options = job["classes"][klass]
            entry = (known.get("classes") or {}).get(klass) or {"last": None, "good": None}
            found += _age(repository, klass, entry, float(options["max_age_hours"]), now)
            found += _proof(repository, klass, (known.get("proofs") or {}).get(klass), float(options["max_proof_days"]), now)
        found += [Finding.from_dict(entry) for entry in (known.get("checked") or {}).get("findings", [])]
        found += _check.stale(repository, known.get("coverage") or {}, job["check"]["max_age_days"], now)
    return found


def _made(id_, severity, repository, klass, title, evidence, remedy):
    details = {"repository": repository, "class": klass}
    return Finding(id=id_, severity=severity, subject=_outcome.subject(repository, klass), title=title, evidence=evidence, remedy=remedy, details=details)


def _hours(span):
    hours = span.total_seconds() / 3600
    return "%d days" % (hours // 24) if hours >= 72 else "%.1f hours" % hours


def _age(repository, klass, entry, hours, now):
    last, good, found = entry["last"], entry["good"], []
    if last and last["result"] != "ok":
        told = [Finding.from_dict(finding) for finding in last["findings"] if finding["severity"] == "blocker"]
        remedy = "read the run %s in /var/lib/intact/backup/runs, and run it again" % (last["run"] or "?")
        found += told or [
            _made("backup.snapshot.incomplete", "blocker", repository, klass, "the last backup did not succeed", "result %s" % last["result"], remedy)
        ]
    remedy = "look at systemctl status intact-backup-%s.timer and at the last run" % klass
    if not good:
        return found + [_made("backup.stale", "blocker", repository, klass, "was never backed up", "no run has succeeded", remedy)]
    age = now - parse_time(good["taken"])
    if age < -SKEW:
        evidence = "taken %s, now it is %s" % (good["taken"], now.isoformat(timespec="seconds"))
        found.append(
            _made("backup.clock", "blocker", repository, klass, "the newest backup is from the future", evidence, "set this host's clock, then back up again")
        )
    elif age > datetime.timedelta(hours=hours):
        evidence = "the newest that succeeded is %s old (%s), %g hours are allowed" % (_hours(age), good["taken"], hours)
        found.append(_made("backup.stale", "blocker", repository, klass, "the backup is too old", evidence, remedy))
    return found


def _proof(repository, klass, proof, days, now):
    if not proof:
        why = "it was never restored and compared"
    elif proof["result"] != "proven":
        why = "the drill of %s says %s" % (proof["made"], proof["result"])
    elif now - parse_time(proof["made"]) > datetime.timedelta(days=days):
        why = "the last drill was %s ago, %g days are allowed" % (_hours(now - parse_time(proof["made"])), days)
    elif parse_time(proof["made"]) - now > SKEW:
        why = "the proof is from the future (%s)" % proof["made"]
    else:
        return []
    return [_made("backup.unproven", "warning", repository, klass, "nobody knows whether it can be restored", why, "run drill-restore.yml for this host")]
