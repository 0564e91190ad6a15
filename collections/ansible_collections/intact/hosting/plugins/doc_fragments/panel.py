# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the modules about control panels have in common."""

from __future__ import annotations


class ModuleDocFragment:
    """Which panels, and where their exports are."""

    DOCUMENTATION = r"""
options:
  panels:
    description:
      - Names of drivers, such as V(plesk). A panel that is not on the host is an error.
      - Empty is every panel that is found, or V(none), the services themselves, where there is no panel.
    type: list
    elements: str
    default: []
  dir:
    description: Directory of all exports on the host, one directory for each panel in it.
    type: path
    default: /var/lib/intact/panel
author:
  - Intact contributors (@intact-project)
"""

    PASSPHRASE = r"""
options:
  passphrase_file:
    description:
      - File on the host (mode 0600, root's) whose first line is the passphrase that exports are encrypted with. Empty does not encrypt.
      - gpg reads it through a descriptor, it is in no argument, environment or log.
    type: path
    default: ''
"""

    RESCUE = r"""
options:
  dir:
    description: Directory of all exports on the host, one directory for each panel in it. What is rescued becomes one of them.
    type: path
    default: /var/lib/intact/panel
  scratch_dir:
    description: Where private servers and copies of a disk's databases are while they are needed. Others must be able to pass through (0711).
    type: path
    default: /var/lib/intact-drills
  how:
    description:
      - How a disk's MySQL or MariaDB is opened. V(copy) reads each byte once, which a dying disk likes better; V(overlay) needs no room;
        V(disk) lets the disk's own program do it, with the disk as its C(/).
      - V(auto) takes a copy where there is room and an overlay else, and the disk's own program where this host's refuses what a crash of that version left.
    type: str
    choices: [auto, copy, overlay, disk]
    default: auto
"""
