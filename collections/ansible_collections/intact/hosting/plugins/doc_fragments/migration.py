# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the modules of a migration from an old disk have in common."""

from __future__ import annotations


class ModuleDocFragment:
    """Which migration, and of which disk."""

    DOCUMENTATION = r"""
options:
  migration:
    description:
      - The migration's name. The same name again goes on with it.
      - A migration is of one disk, told by its O(token); with another one it is refused.
    type: str
    required: true
  directory:
    description: Where migrations are kept on the new host, each in a directory of its own (0700).
    type: path
    default: /var/lib/intact/migrations
  root:
    description: Where the old system's C(/) is mounted, as M(intact.hosting.legacy_volume) returned it. It must be mounted read-only.
    type: path
    required: true
  token:
    description: The token of the disk, as M(intact.hosting.block_device_info) gave it. What is mounted at O(root) must be that disk.
    type: str
    required: true
  overlay_dir:
    description: Where M(intact.hosting.legacy_volume) keeps what it attached.
    type: path
    default: /var/lib/intact/overlays
  settings:
    description: What the phase is told besides, see the role C(intact.hosting.site_migration).
    type: dict
    default: {}
author:
  - Intact contributors (@intact-project)
"""
