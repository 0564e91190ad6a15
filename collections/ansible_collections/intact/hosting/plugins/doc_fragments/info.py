# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the modules that only look have in common."""

from __future__ import annotations


class ModuleDocFragment:
    """Attributes of modules that change nothing."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in check mode and return changed status prediction without modifying target.
    support: full
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in check mode), when in diff mode.
    support: none
  idempotent:
    description: Run twice, the second run does not change anything.
    support: full
"""

    FINDINGS = r"""
options: {}
notes:
  - A finding is a dictionary with C(id) (dotted, its first part the section), C(severity) (V(blocker), V(warning) or V(info)), C(subject), C(title),
    C(evidence), C(remedy), C(check) (number in the list of checks), C(details) (machine-readable) and C(consequences) (findings that this one explains).
"""
