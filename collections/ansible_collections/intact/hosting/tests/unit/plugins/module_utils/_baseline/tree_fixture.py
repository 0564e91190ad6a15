# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A walk over a real tree for tests, and what it found by its name below the tree."""

from __future__ import annotations

import os

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _tree, _trees_data
from ansible_collections.intact.hosting.plugins.module_utils._baseline._system import System


def walk(path, limits=None, rules=(), mounts=None, md5=(), clock=None):
    """A Walker that has walked the path."""
    system = System({}, limits, **({"clock": clock} if clock else {}))
    walker = _tree.Walker(system, _trees_data.matcher(rules), md5, mounts)
    walker.tree(os.fsencode(str(path)))
    walker.finish()
    return walker


def names(walker, top):
    """The walker's paths as they are below top."""
    return sorted(os.path.relpath(path, str(top)) for path in walker.items)
