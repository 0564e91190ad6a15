# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The option of modules that wait for a host that is starting."""

from __future__ import annotations


class ModuleDocFragment:
    """For the modules whose action plugin is plugin_utils/_patience.py."""

    DOCUMENTATION = r"""
options:
  reconnect_seconds:
    description:
      - How long to try again, in seconds, when the host does not answer or goes away while the module runs, as it does when it reboots.
      - What waiting cannot mend, a refused key for example, fails at once. V(0) does not try again.
    type: int
    default: 0
"""
