# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What a post-flight check gets, and the list of all checks.

A check is a function (context) -> list of Finding. Most of what post-flight asks is answered by comparing two
baselines; these are the questions that a comparison can't ask (is the target reached, is the package database clean,
does a message really arrive).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError


@dataclass
class Context:
    """host: a reader with run, read, text, glob, exists, which. release_path: the release path's data.

    options: the role's settings for checks. plan: what was accepted before take-off, or {}.
    opened: when the flight was opened, UTC ISO 8601, or "". clock: seconds, for waiting.
    """

    host: object
    release_path: dict = field(default_factory=dict)
    options: dict = field(default_factory=dict)
    plan: dict = field(default_factory=dict)
    opened: str = ""
    clock: object = time


@dataclass(frozen=True)
class Check:
    """number: as in the list of checks (QF03). title: what it asks. run: the function."""

    number: str
    title: str
    run: object


def perform(checks, context, clock=time.monotonic):
    """Run checks; one that fails itself is a blocker, never silence.

    Returns (findings, [{check, title, seconds, findings}]).
    """
    findings, told = [], []
    for check in checks:
        begun = clock()
        try:
            raised = check.run(context)
        except IntactError as exc:
            raised = [_undone(check, str(exc))]
        except Exception as exc:  # a check's own defect must not hide the other checks
            raised = [_undone(check, "%s: %s (a defect in this check)" % (type(exc).__name__, exc))]
        for finding in raised:
            finding.check = finding.check or check.number
        findings += raised
        told.append({"check": check.number, "title": check.title, "seconds": round(clock() - begun, 3), "findings": len(raised)})
    return findings, told


def _undone(check, why):
    return Finding(
        id="postflight.unchecked",
        severity="blocker",
        subject=check.title,
        title="this check could not be done",
        evidence=why,
        remedy="repair what is named and run verify-host again",
        check=check.number,
    )
