# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Rules of sudo on the old disk: read and told, never applied. A rule may name what means something else here."""

from __future__ import annotations

import re

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _sudoers
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding

# What every distribution brings; it gives rights to root only, or none.
_USUAL = re.compile(r"(root|%root)\s+ALL\s*=\s*\((ALL|ALL\s*:\s*ALL)\)\s+(NOPASSWD:\s*)?ALL\Z|Defaults\b")


def run(context):
    """{"rules": [{path, rule}], "findings", "explained", "counts"}: for the plan that an operator sees."""
    items = _sudoers.capture(context.old)
    rules = [
        {"path": subject.split(" ", 1)[1], "rule": rule}
        for subject, item in sorted(items.items())
        if subject.startswith("sudoers ")
        for rule in item["rules"]
        if not _USUAL.match(rule)
    ]
    findings = []
    if rules:
        findings.append(
            Finding(
                "accounts.sudoers",
                "warning",
                "sudoers",
                "rules of sudo are not carried",
                " | ".join("%(path)s: %(rule)s" % rule for rule in rules)[:2000],
                "whoever needs one here gets it with visudo, by the name that the account has here",
            ).as_dict()
        )
    return {"rules": rules, "findings": findings, "explained": [], "counts": {"sudo_rules": len(rules)}}
