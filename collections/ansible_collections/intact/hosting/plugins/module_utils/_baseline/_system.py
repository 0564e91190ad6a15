# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""The baseline's view of the host is the shared one: probes keep this name for it."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._system import OutOfTime, System

__all__ = ["OutOfTime", "System"]
