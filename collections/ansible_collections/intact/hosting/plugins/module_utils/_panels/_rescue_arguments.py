# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What panel_restore and panel_rescue are asked alike, and which driver is meant."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._cold import _mysql
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import _export, _registry, _rescue

SPEC = {
    "panel": {"type": "str", "default": ""},
    "dir": {"type": "path", "default": _export.ROOT},
    "scratch_dir": {"type": "path", "default": _rescue.SCRATCH},
    "how": {"type": "str", "choices": list(_mysql.HOWS), "default": "auto"},
}


def driver(name, view):
    """The driver that is named, or of the only panel on this host."""
    return _one(name, _registry.detected(view), "on this host")


def on_disk(name, root):
    """The driver that is named, or of the only panel on a disk."""
    return _one(name, _registry.detected(_rescue.view_of(root)), "on %s" % root)


def _one(name, found, where):
    if name:
        return _registry.driver(name)
    if len(found) != 1:
        told = ", ".join(module.NAME for module, _found in found) or "none of %s" % ", ".join(module.NAME for module in _registry.DRIVERS)
        raise IntactError("which panel is meant? %s there is %s: name one" % (where, told), panels=[module.NAME for module, _found in found])
    return found[0][0]
