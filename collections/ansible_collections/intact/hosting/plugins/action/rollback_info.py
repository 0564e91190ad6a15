# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module rollback_info, for a host that may be starting."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.plugin_utils._patience import PatientAction


class ActionModule(PatientAction):
    """See the documentation of the module intact.hosting.rollback_info."""
