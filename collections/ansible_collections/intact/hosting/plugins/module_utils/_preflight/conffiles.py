# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Which configuration files would raise a question, and whether each has an answer (PF45)."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils import _conffiles
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding


def questions(context):
    """PF45: files edited here and changed by the target's packages are decided, the delicate ones by name."""
    entries, default = context.options.get("conffiles"), context.options.get("conffile_default") or ""
    _conffiles.check(entries)
    laid = target_paths(context)
    found = []
    for item in context.plan.get("conffiles") or []:
        if not item.get("question"):
            continue
        path = item["path"]
        evidence = "of %s: here %s, in the target's package %s" % (item.get("package", "?"), item.get("local", "edited"), item.get("target", "changed"))
        choice, why = _conffiles.decision(path, entries, default, laid)
        if choice == "merge" and path not in laid:
            found.append(
                Finding(
                    id="conffiles.merge.missing",
                    severity="blocker",
                    subject=path,
                    title="a merged file was promised and is not there",
                    evidence=evidence,
                    remedy="put it at %s below distro_upgrade_target_files, or decide keep or replace" % path.lstrip("/"),
                )
            )
        elif choice:
            found.append(
                Finding(id="conffiles.decided", severity="info", subject=path, title="will be decided: %s" % choice, evidence="%s; %s" % (evidence, why))
            )
        elif _conffiles.delicate(path):
            found.append(
                Finding(
                    id="conffiles.undecided",
                    severity="blocker",
                    subject=path,
                    title="both you and the target's package changed this file, and nobody decided which one counts",
                    evidence=evidence,
                    remedy="name it in distro_upgrade_conffiles with decision keep, replace or merge and the reason; or set "
                    "distro_upgrade_conffile_default: keep for all",
                )
            )
        else:
            found.append(
                Finding(
                    id="conffiles.kept", severity="info", subject=path, title="yours will be kept, the package's new one is laid beside it", evidence=evidence
                )
            )
    return found


def target_paths(context):
    """Absolute paths for which the operator's target configuration holds a file."""
    root = context.options.get("target_files") or ""
    if not root or not context.host.exists(root):
        return []
    listed = context.host.run(["find", root, "-type", "f", "-print0"]).text
    return sorted(name[len(root.rstrip("/")) :] for name in listed.split("\0") if name)
