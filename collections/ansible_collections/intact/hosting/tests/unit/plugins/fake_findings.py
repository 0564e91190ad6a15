# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Findings for tests, with as little said as a test needs."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _compare
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding


def finding(ident, subject, covers=(), **found):
    change = found.pop("change", "changed")
    return Finding(id=ident, severity="blocker", subject=subject, title=ident, details=_compare.details(change, **found), covers=list(covers))
