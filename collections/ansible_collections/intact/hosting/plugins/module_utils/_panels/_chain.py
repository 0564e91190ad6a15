# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Pure: which source a panel's settings are taken from. By proof, not by date: each is proven now, in the order of what it is, and what is refused is named."""

from __future__ import annotations

from dataclasses import dataclass, field

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import _inventory

# In the order in which they are tried; of one kind the newest first.
PROVEN, UNPROVEN, DAILY, RESCUED, DISK = KINDS = ("proven", "unproven", "daily", "rescued", "disk")
TITLES = {
    "proven": "export, proven when it was made",
    "unproven": "export that was not proven when it was made",
    "daily": "the panel's own dump",
    "rescued": "export that was rescued from a disk",
    "disk": "disk",
}


@dataclass
class Source:
    """Something that settings may come from. name: an export's id, or a path; made: ISO 8601, "" where nobody knows; why: a reason not even to try it.

    holds, lacks: sentences about the panel's own dumps.
    """

    kind: str
    name: str
    path: str
    made: str = ""
    why: str = ""
    holds: str = ""
    lacks: str = ""

    def told(self):
        """As results and the journal have it."""
        return {"kind": self.kind, "name": self.name, "path": self.path, "made": self.made}


@dataclass
class Choice:
    """taken: the Source, None when none is good. path: the proven export that it is, or became. refused: [(Source, sentence, [Finding])]."""

    taken: Source = None
    path: str = ""
    findings: list = field(default_factory=list)
    refused: list = field(default_factory=list)


def of_export(held):
    """The Source that an export on the disk (_export.Held) is."""
    document = held.document
    if document is None:
        return Source(UNPROVEN, held.ident, held.path, why=held.why)
    kind = RESCUED if document.get("rescued") else PROVEN if held.verdict == "proven" else UNPROVEN
    return Source(kind, held.ident, held.path, made=document["taken"])


def order(sources):
    """The sources as they are tried."""
    newest = sorted(sources, key=lambda source: (source.made, source.name), reverse=True)
    return sorted(newest, key=lambda source: KINDS.index(source.kind))


def only(sources, name):
    """Those that an operator named, by id or path."""
    return [source for source in sources if name in (source.name, source.path)]


def choose(sources, prove, tell=lambda _line: None):
    """A Choice. prove(source) -> (path of an export, findings): every source that is tried is proven now; the first without a blocker is taken."""
    choice = Choice()
    for source in order(sources):
        if source.why:
            choice.refused.append((source, source.why, []))
            continue
        tell("%s: %s" % (TITLES[source.kind], source.name))
        try:
            path, findings = prove(source)
        except IntactError as exc:
            choice.refused.append((source, str(exc), []))
            continue
        blockers = [finding for finding in findings if finding.severity == "blocker"]
        if not blockers:
            choice.taken, choice.path, choice.findings = source, path, findings
            break
        choice.refused.append((source, _sentence(blockers), blockers))
    return choice


def _sentence(blockers):
    first = blockers[0]
    more = " (and %d more)" % (len(blockers) - 1) if len(blockers) > 1 else ""
    return "%s: %s%s%s" % (first.subject, first.title, ": " + first.evidence if first.evidence else "", more)


def findings(choice, panel):
    """What a choice has to tell: the refused ones and why, and what the taken one lacks. Without a source the refusals are blockers."""
    severity = "warning" if choice.taken else "blocker"
    out = []
    for source, why, blockers in choice.refused:
        remedy = "take another copy of it, or find out what damaged it" if choice.taken else "bring another copy, an older export or the disk"
        told = sorted({"%s %s" % (finding.id, finding.subject) for finding in blockers})[:50]
        out.append(
            _inventory.finding("panel.source.refused", panel, "source", source.name, "%s is refused" % TITLES[source.kind], why, remedy, severity, found=told)
        )
    if not choice.taken and not choice.refused:
        title, remedy = "there is nothing to restore from", "export the panel (export-panel.yml), or name a disk of the old server"
        out.append(_inventory.finding("panel.source.refused", panel, "source", "", title, "no export, no dump of the panel, no disk", remedy))
    if choice.taken and choice.taken.lacks:
        remedy = "bring these back from their own backups (restore-host.yml)"
        out.append(_inventory.finding("panel.source.lacks", panel, "source", choice.taken.name, "the source lacks", choice.taken.lacks, remedy, "warning"))
    return out


def lines(choice):
    """The decision for the journal: [sentence], in the order in which sources were tried."""
    out = ["%s %s is refused: %s" % (TITLES[source.kind], source.name, why) for source, why, _blockers in choice.refused]
    taken = choice.taken
    return out + (["%s %s is taken: every check passes now" % (TITLES[taken.kind], taken.name)] if taken else ["no source is left"])
