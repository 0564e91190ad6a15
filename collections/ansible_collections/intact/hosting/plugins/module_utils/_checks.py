# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Checks before and after an upgrade, and how they are run: each with its seconds, none able to hide another."""

from __future__ import annotations

import time
from dataclasses import dataclass

from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError


@dataclass(frozen=True)
class Check:
    """number: as in the list of checks (PF06). title: what it asks. run: function (context) -> list of Finding."""

    number: str
    title: str
    run: object


def perform(checks, context, undone, clock=time.monotonic):
    """Run checks; one that cannot be done is a blocker, never silence. undone: its id, subject (a format of number and title) and remedy.

    Returns (findings, [{check, title, seconds, findings}]).
    """
    findings, told = [], []
    for check in checks:
        begun = clock()
        try:
            raised = check.run(context)
        except IntactError as exc:
            raised = [_undone(check, str(exc), undone)]
        except Exception as exc:  # a check's own defect must not hide the other checks
            raised = [_undone(check, "%s: %s (a defect in this check)" % (type(exc).__name__, exc), undone)]
        for finding in raised:
            finding.check = finding.check or check.number
        findings += raised
        told.append({"check": check.number, "title": check.title, "seconds": round(clock() - begun, 3), "findings": len(raised)})
    return findings, told


def cluster_start(host, version, name):
    """How a PostgreSQL cluster of Debian's packaging starts: auto (also where its start.conf says nothing), manual or disabled."""
    rows = [row.split("#")[0].strip() for row in host.text("/etc/postgresql/%s/%s/start.conf" % (version, name)).splitlines()]
    return next((row for row in rows if row), "auto")


def _undone(check, why, undone):
    return Finding(
        id=undone["id"],
        severity="blocker",
        subject=undone["subject"] % {"number": check.number, "title": check.title},
        title="this check could not be done",
        evidence=why,
        remedy=undone["remedy"],
        check=check.number,
    )
