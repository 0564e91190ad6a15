# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Is it the disk that the token was given for, and which newer halves of its mirrors are in this host."""

from __future__ import annotations

import os
import stat

from ansible_collections.intact.hosting.plugins.module_utils._disks import _block, _look, _token
from ansible_collections.intact.hosting.plugins.module_utils._files import escape, read_document
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._system import System


def _imaged(image, token, entry):
    """The entry of an image with its disk's serial, where legacy_image wrote down that it is a whole image of the disk with this token."""
    try:
        state, document = os.lstat(image + ".json"), read_document(image + ".json")
    except (OSError, ValueError):
        return entry
    trusted = stat.S_ISREG(state.st_mode) and state.st_uid == 0 and not state.st_mode & 0o022 and isinstance(document, dict)
    serial = token.rpartition("/")[0]
    if not trusted or serial == _token.NO_SERIAL or (document.get("status"), document.get("token"), document.get("size")) != ("done", token, entry["size"]):
        return entry
    return dict(entry, serial=serial)


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
    _token.check(token, _imaged(real, token, entry) if _block.is_file(device) else entry)
    newest = {}
    for other in found.values():
        md = other.get("md")
        if md and other["path"] != entry["path"] and other.get("parent") != entry["path"] and md.get("events", 0) > newest.get(md["uuid"], (-1, ""))[0]:
            newest[md["uuid"]] = (md["events"], other["path"])
    return newest
