# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What a restore has to tell, and what it may overwrite."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._backup import _restore_plan
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding

AGAIN = "repair what is named and run the restore again: it goes on where it was"


class Told:
    """accept: shell patterns of what may be overwritten, besides what the plan says."""

    def __init__(self, accept=()):
        self.findings, self._accept = [], list(accept)

    def find(self, kind, step, subject, title, evidence, severity="blocker", remedy=AGAIN):
        """Remember a finding."""
        self.findings.append(
            Finding(
                id=kind,
                severity=severity,
                subject=" ".join(part for part in (step, subject) if part),
                title=title,
                evidence=evidence,
                remedy=remedy,
                details={"step": step, "change": "changed"},
            )
        )

    def accepted(self, step, path):
        """Whether the host's version of a path or a database may be overwritten."""
        return path in (step.get("overwritten") or []) or _restore_plan.named(path, self._accept)

    def newer(self, step, paths):
        """What the host's people wrote after the plan was made is not overwritten."""
        if paths:
            told = ", ".join(sorted(paths)[:5]) + (", ..." if len(paths) > 5 else "")
            why = "what is on the host became newer than the backup since the restore was planned, and was left"
            decide = "keep the host's version by naming it in keep; for the backup's start another restore, with another restore_id, that has it in accept"
            self.find("restore.newer", step["name"], "", why, "%d: %s" % (len(paths), told), remedy=decide)
