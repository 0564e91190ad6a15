# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""From where a module was called: the controller's address as this host sees it."""

from __future__ import annotations

import os

from ansible_collections.intact.hosting.plugins.module_utils._files import read_if_exists

VARIABLE = b"SSH_CONNECTION="


def connection(process=None, proc="/proc"):
    """The address at the other end of the SSH session that this process belongs to, or "".

    sudo and su take the variable away, but the processes that they were started by still have it.
    """
    number, seen = process or os.getpid(), set()
    while number > 1 and number not in seen:
        seen.add(number)
        place = os.path.join(proc, str(number))
        try:
            for entry in (read_if_exists(place + "/environ") or b"").split(b"\0"):
                if entry.startswith(VARIABLE):
                    words = entry[len(VARIABLE) :].decode("ascii", "replace").split()
                    return words[0] if len(words) == 4 else ""
            number = int((read_if_exists(place + "/stat") or b"").rpartition(b")")[2].split()[1])
        except (OSError, IndexError, ValueError):
            return ""
    return ""
