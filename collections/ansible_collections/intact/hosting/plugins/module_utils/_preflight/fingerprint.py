# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Does an earlier pre-flight result still hold for this host (PF52)."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils import _binding


def holds(context):
    """PF52: the result that the upgrade starts from is this host's, young, and nothing changed since. Without one: nothing to say."""
    binding = context.options.get("binding")
    return _binding.differences(binding, _binding.current(context.host, context.items("disks"))) if binding else []
