# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Is it the disk that the token was given for, and which newer halves of its mirrors are in this host."""

from __future__ import annotations

import os

from ansible_collections.intact.hosting.plugins.module_utils._disks import _block, _look, _token
from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._system import System


def check(device, token):
    """Raise an IntactError unless the disk at device has the token. Returns {md uuid: (events, path)} of the newest half on every other disk."""
    real, found = os.path.realpath(device), _look.look(System(), smart=False, describe=False)["devices"]
    if _block.is_file(device):
        entry = _look.look(System(), [device], smart=False, describe=False)["devices"].get(escape(real))
    else:
        name = _block.name(device)
        entry = next((e for e in found.values() if name == e.get("name") or real in (e.get("node_path"), e["path"])), None)
    if entry is None:
        raise IntactError("%s is not among the block devices of this host: look with block_device_info" % device, device=device)
    _token.check(token, entry)
    newest = {}
    for other in found.values():
        md = other.get("md")
        if md and other["path"] != entry["path"] and other.get("parent") != entry["path"] and md.get("events", 0) > newest.get(md["uuid"], (-1, ""))[0]:
            newest[md["uuid"]] = (md["events"], other["path"])
    return newest
