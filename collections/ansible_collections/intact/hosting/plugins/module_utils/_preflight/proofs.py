# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Is there a proven backup, and a proven export of the control panel: the sockets that those roles plug into (PF33, PF34).

A drill's document (restore_drill) is judged class by class and repository by repository. A sentence that somebody wrote by hand still counts,
as nobody else may be able to drill a given backup, but it is told as a warning, and not accepted where signers are configured. Of a panel only
the document of a proven export counts, on the host with its files as they were, or given.
"""

from __future__ import annotations

import datetime

from ansible_collections.intact.hosting.plugins.module_utils import _proofs
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError, parse_time
from ansible_collections.intact.hosting.plugins.module_utils._panels import _export, _registry, _state

NEEDED = ("kind", "taken", "host", "digest")
# Sections of the baseline that tell whether a class of the backup is in use; files and system always are.
TOLD_BY = {"databases": "databases", "mail": "mail", "lists": "lists"}
# Mailman is the class lists of a backup.
LISTS = "mailman"


def check_proofs(proofs):
    """Raise IntactError for a proof document that does not say what it proves."""
    for proof in proofs:
        missing = [key for key in NEEDED if not str(proof.get(key) or "").strip()]
        if missing:
            raise IntactError("proof %s lacks %s: a proof names kind, taken (a date), host and digest" % (proof.get("kind") or proof, ", ".join(missing)))
        parse_time(proof["taken"])


def judge(proofs, kind, names, hours, now):
    """Whether some proof of this kind holds: (proof or None, why the newest does not). Pure.

    names: what this host may be called in a proof (machine-id, host names). hours: how old a proof may be.
    """
    ours = [proof for proof in proofs if proof["kind"] == kind]
    if not ours:
        return None, "no proof document was given"
    # One list may hold the proofs of many hosts.
    about_us = [proof for proof in ours if proof["host"] in names]
    newest = max(about_us or ours, key=lambda proof: parse_time(proof.get("made") or proof["taken"]))
    if newest["host"] not in names:
        return None, "the proof is about %s, this host is %s" % (newest["host"], " or ".join(names))
    if _proofs.shaped(newest):
        return newest, ""  # its age and result are judged for each class (see _proofs.weaknesses)
    why = _proofs.late(newest["taken"], hours, now)
    if why:
        return None, "the newest proof is " + why
    if str(newest.get("result", "proven")) != "proven":
        return None, "the proof itself says %s" % newest["result"]
    return newest, ""


def _names(context):
    host = context.host
    return [
        name
        for name in (host.text("/etc/machine-id").strip(), host.text("/proc/sys/kernel/hostname").strip(), context.options.get("inventory_name") or "")
        if name
    ]


def classes_in_use(context):
    """Classes that a proof must name: the operator's list, or what the baseline saw on this host. A section that nobody could look at counts as in use."""
    if context.options.get("proof_classes"):
        return list(context.options["proof_classes"])
    found = ["files", "system"]
    for name, section in sorted(TOLD_BY.items()):
        seen = context.section(section)
        items = (seen.get("data") or {}).get("items") or {}
        held = any(item.get("kind") == "mailbox" for item in items.values()) if name == "mail" else bool(items)
        if held or seen.get("status") == "failed":
            found.append(name)
    if context.host.listdir(_export.ROOT) or any(driver.NAME != LISTS for driver, _found in _registry.detected(context.host)):
        found.append("panel")
    return found


def _proven(kind, subject, proof, who=""):
    signed = "signed by %s" % who if who else ""
    evidence = ", ".join(text for text in ("taken %s" % proof["taken"], "digest %s" % proof["digest"], signed) if text)
    # What the flight's journal keeps of it, and the report shows.
    about = _proofs.covers(proof) or ("%d objects" % sum(proof["objects"].values()) if kind == "panel" else "somebody's word")
    name = ", ".join(text for text in ("%s of %s: %s" % (kind, subject, about), signed) if text)
    details = {"name": name, "taken": str(proof["taken"]), "digest": proof["digest"]}
    return Finding(id="%s.proven" % kind, severity="info", subject=subject, title="proven", evidence=evidence, details=details)


def _unproven(kind, subject, why, remedy):
    title = "nobody has proven that it can be restored"
    return Finding(id="%s.unproven" % kind, severity="blocker", subject=subject, title=title, evidence=why, remedy=remedy)


def _weaker(name, subject, title, evidence, remedy):
    return Finding(id="backup.proof.%s" % name, severity="warning", subject=subject, title=title, evidence=evidence, remedy=remedy)


def _choose(context, kind):
    check_proofs(context.proofs)
    hours = float(context.options.get("proof_max_hours") or 24)
    now = datetime.datetime.now(datetime.timezone.utc)
    proof, why = judge(context.proofs, kind, _names(context), hours, now)
    return proof, why, hours, now


def backup(context):
    """PF33: a backup exists, is young, and was read back: every class in use, from at least two repositories, told by somebody we know."""
    subject = context.options.get("inventory_name") or context.host.text("/proc/sys/kernel/hostname").strip()
    remedy = (
        "make a backup, restore from it into an empty place and compare (drill-restore.yml); then give its proof in preflight_proofs or as "
        "/var/lib/intact/proofs/backup.json (kind: backup, taken, host, digest), or waive backup.unproven with a reason"
    )
    proof, why, hours, now = _choose(context, "backup")
    if proof is None:
        return [_unproven("backup", subject, why, remedy)]
    ours = context.host.text("/etc/machine-id").strip()
    signers, who = str(context.options.get("proof_signers") or ""), ""
    wrong, weaker = [], []
    if signers.strip():
        who, why = _proofs.signer(proof, signers)
        wrong += [why] if why else []
    if _proofs.shaped(proof):
        wrong += _proofs.weaknesses(proof, classes_in_use(context), hours, now, int(context.options.get("proof_repositories") or 2))
        if ours and proof.get("host_id") and proof["host_id"] != ours:
            wrong.append("it is about another machine of this name (machine-id %s)" % proof["host_id"])
        if proof.get("result") != "proven":
            weaker.append(
                _weaker("partly", subject, "a part of the drill did not end well", "its result is %s" % proof.get("result"), "read the drill's findings")
            )
        if not who:
            why = "no allowed signers are configured" if proof.get("signature") else "it is not signed"
            weaker.append(_weaker("unsigned", subject, "who made the proof was not checked", why, "give preflight_proof_signers, and the drill a key"))
    else:
        weaker.append(
            _weaker(
                "by_hand",
                subject,
                "the proof is somebody's word: no drill of ours read this backup back",
                "it names no repositories and no classes",
                "drill the backup with drill-restore.yml",
            )
        )
    if wrong:
        return [_unproven("backup", subject, "; ".join(wrong), remedy)]
    return [_proven("backup", subject, proof, who)] + weaker


def _wrong(context, name, document, hours, now):
    return _state.weaknesses(document, name, context.host.text("/etc/machine-id").strip(), _names(context), hours, now)


def _panel(context, name, hours, now):
    """(document of an export that proves this panel, or None, why none does)."""
    told = []
    for held in _export.held(_export.ROOT, name, context.host):
        wrong = _wrong(context, name, held.document, hours, now) if held.document else [held.why]
        # what was proven then may have rotted since: every stored file is read once more
        damaged = [] if wrong else [finding for finding in _export.check(held.path, held.document) if finding.severity == "blocker"]
        wrong += ["%s: %s: %s" % (finding.details["name"], finding.title, finding.evidence) for finding in damaged]
        if not wrong:
            return held.document, ""
        told.append("%s: %s" % (held.ident, "; ".join(wrong)))
    given = [proof for proof in context.proofs if proof["kind"] == "panel:%s" % name]
    ours = _names(context)
    # one list may hold the exports of many hosts
    about_us = [proof for proof in given if proof["host"] in ours or proof.get("host_id") in ours] or given
    for proof in sorted(about_us, key=lambda proof: parse_time(proof["taken"]), reverse=True):
        wrong = _wrong(context, name, proof, hours, now)
        if not wrong:
            return proof, ""
        told.append("a proof of %s that was given: %s" % (proof["taken"], "; ".join(wrong)))
    more = "; and %d more" % (len(told) - 2) if len(told) > 2 else ""
    return None, "; ".join(told[:2]) + more or "there is no export in %s, and none was given" % _export.ROOT


def panel(context):
    """PF34: the settings of every control panel on this host were exported, and the export is proven, of this machine, and young enough."""
    check_proofs(context.proofs)
    hours = float(context.options.get("proof_max_hours") or 24)
    now = datetime.datetime.now(datetime.timezone.utc)
    found = []
    for driver, _there in _registry.detected(context.host):
        proof, why = _panel(context, driver.NAME, hours, now)
        remedy = (
            "export %s with export-panel.yml, and read its findings; an export that lies elsewhere is given by its export.json in preflight_proofs; "
            "or waive panel.unproven with a reason" % driver.TITLE
        )
        found.append(_proven("panel", driver.NAME, proof) if proof else _unproven("panel", driver.NAME, why, remedy))
    if found:
        return found
    looked = "looked for " + ", ".join(driver.NAME for driver in _registry.DRIVERS if driver.NAME != _registry.NONE)
    return [Finding(id="panel.none", severity="info", subject="control panel", title="no control panel found on this host", evidence=looked)]
