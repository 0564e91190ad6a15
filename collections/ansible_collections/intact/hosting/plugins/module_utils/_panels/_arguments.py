# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What the modules about panels are asked alike."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._panels import _export

SPEC = {
    "panels": {"type": "list", "elements": "str", "default": []},
    "dir": {"type": "path", "default": _export.ROOT},
}
# The name of a file; what is in it never comes near a result.
PASSPHRASE = {"passphrase_file": {"type": "path", "default": "", "no_log": False}}


def shown(findings):
    """Findings as results have them."""
    return [finding.as_dict() for finding in findings]
