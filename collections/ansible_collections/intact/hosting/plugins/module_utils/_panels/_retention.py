# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Which exports may go. None does before a newer one of the same server and mode was read back: a proven one for proven ones, else one that is whole."""

from __future__ import annotations

import shutil

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import _export, _inventory


def alike(exports):
    """[[Held]] of those that replace each other, newest first: of one mode and one server. What was rescued replaces nothing, and nothing replaces it.

    exports: of one panel, newest first. One whose document can't be read is among those of its mode, whose server the newest is of.
    """
    groups = {}
    for entry in exports:
        document = entry.document
        if document and not document.get("rescued"):
            groups.setdefault((document.get("mode", ""), document.get("host_id") or document.get("host", "")), []).append(entry)
    out = list(groups.items())
    for entry in exports:
        group = next((held for (mode, _host), held in out if not entry.document and entry.ident.endswith("-" + mode)), None)
        if group is not None:
            group.append(entry)
    return [sorted(held, key=lambda entry: entry.ident, reverse=True) for _key, held in out]


def doomed(exports, keep, keep_unproven):
    """[(Held, the Held that has to be whole for that)] of alike exports, newest first. Pure.

    What is older than the newest `keep` proven ones goes. Of unproven ones that are older than the newest proven one, or where there is none of all, the
    newest `keep_unproven` stay. Nothing that is newer than the newest proven one goes.
    """
    keep, keep_unproven = max(int(keep), 1), max(int(keep_unproven), 1)
    proven = [entry for entry in exports if entry.verdict == "proven"]
    whole = [entry for entry in exports if entry.verdict in ("proven", "unproven")]
    if not whole:
        return []
    witness = proven[0] if proven else whole[0]
    oldest = proven[keep - 1] if len(proven) >= keep else None
    spare = [entry for entry in exports if entry.verdict == "unproven" and (not proven or entry.ident < witness.ident)][keep_unproven:]
    return [(entry, witness) for entry in exports if (oldest and entry.ident < oldest.ident) or entry in spare]


def foretold(panel, settings, more=()):
    """Paths that prune() would remove. more: [Held] that will be there by then."""
    exports = list(more) + _export.held(settings.root, panel)
    return [entry.path for group in alike(exports) for entry, _witness in doomed(group, settings.keep, settings.keep_unproven)]


def prune(panel, settings):
    """Remove what may go, after what replaces it was read again. Returns (paths, findings): those that went without a proven one are told."""
    removed, found = [], []
    for group in alike(_export.held(settings.root, panel)):
        going = doomed(group, settings.keep, settings.keep_unproven)
        if not going:
            continue
        witness = going[0][1]
        if any(finding.severity == "blocker" for finding in _export.check(witness.path, witness.document)):
            raise IntactError("%s is damaged: no older export is removed" % witness.path, path=witness.path)
        for entry, _witness in going:
            shutil.rmtree(entry.path)
        removed += [entry.path for entry, _witness in going]
        if witness.verdict != "proven":
            found.append(_unproven(panel, witness, [entry.ident for entry, _witness in going], settings.keep_unproven))
    return removed, found


def _unproven(panel, witness, gone, keep):
    evidence = "%s went; none of the %d that stay is proven, the newest (%s) was read whole" % (", ".join(gone), keep, witness.ident)
    remedy = "read what keeps this panel's exports from being proven (panel.unproven), and mend it; keep more with panel_export_keep_unproven"
    return _inventory.finding("panel.export.removed", panel, "export", witness.ident, "unproven exports made room", evidence, remedy, "warning")
